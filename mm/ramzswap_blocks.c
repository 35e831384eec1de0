// SPDX-License-Identifier: GPL-2.0-only
/*
 * ramzswap: the blocks of a backing device, and how pages are packed into them
 */

/**
 * DOC: ramzswap blocks
 *
 * A block of a backing device has the size of a page.  It holds one
 * uncompressed page (whole), or several compressed pages (packed).
 *
 * A packed block on the device::
 *
 *   +--------------------------- header, 16 bytes ---------------------------+
 *   | checksum | number of the block | generation | number of objects, used |
 *   +---------------------- directory, 8 bytes an object --------------------+
 *   | slot | length | codec |   slot | length | codec |   ...                |
 *   +------------------------------------------------------------------------+
 *   | free                                                                   |
 *   +---------------- objects, the first at the end of the block ------------+
 *   |                       ... | object 1         | object 0               |
 *   +------------------------------------------------------------------------+
 *
 * The checksum is the CRC-32C of all that follows it, seeded with a nonce: attaching
 * the device draws a new one.  The number of the block detects a block that was
 * written to, or read from, the wrong place.  The generation grows with each block
 * that is written, and readers know which one to expect.  So it detects a write that
 * never reached the disk.  The slot says whose page an object is, which cleaning
 * needs.  Only the kernel that wrote a block reads it, so numbers have the machine's
 * byte order.
 *
 * An object never spans blocks, so a read takes one block.  Two buffers collect
 * objects, each for as many blocks as one write takes, and each object goes where it
 * leaves the least room.  With real pages, that loses 3 to 6 % of the space, headers
 * included.
 *
 * A whole page leaves no room in its block for a checksum.  Its checksum is in memory
 * instead.
 *
 * In memory, each slot in use has a word, which ramzswap_blocks.h shows.  Each block
 * has a state of 16 bits: how many of its pages are wanted, how much of the block
 * they take, whether it is held to be written or cleaned, and whether it is bad.  A
 * bad block cannot be written, or is rotten: it returned other data than was
 * written.  A block whose state is 0 is free.  A group of blocks has no states while
 * all of them are free.
 *
 * Cleaning repacks the wanted pages of the emptiest blocks into fewer blocks.  A page
 * keeps its old place until it has been written to the new one.  The later a block is
 * cleaned, the fewer of its pages have to be moved, so cleaning waits until blocks are
 * scarce.  While more than a quarter of them are free, it does nothing.  Then it takes
 * half-empty blocks, but only if blocks in use take over 121 to 126 % of the space that
 * their pages would take in full blocks.  When hardly any block is free, it also takes
 * blocks that are three quarters full.  It gives up unless it frees more than a quarter
 * of the blocks that it cleans.
 *
 * The cost depends on the order in which pages are freed.  Neighbours in time are often
 * freed together, and then it is next to nothing.  The worst case is a random order: in
 * a model with pages of three real programs, compressed with LZ4, the device writes 1.6
 * blocks per block of new data if it is 80 % full, and 2.3 if it is 90 % full.  Smaller
 * pages cost more, 2.0 and 2.9 with zstd: with many pages in a block, all blocks are
 * about equally empty.  A greedy cleaner that starts at 1 % free would write 2 to 8 %
 * less, but up to 16 % more if some pages change more often than others.
 *
 * Nothing here does I/O or takes a lock: the owner does.
 */

#include <linux/bitfield.h>
#include <linux/bitmap.h>
#include <linux/bug.h>
#include <linux/crc32c.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "ramzswap_blocks.h"

/* === A packed block ====================================================== */

struct block_header {
	u32 checksum;		/* of everything behind it */
	u32 block;
	u32 generation;
	u16 nr;			/* of objects */
	u16 used;		/* bytes of objects */
};

struct block_object {
	u32 slot;
	u16 length;		/* in bytes */
	u8 codec;		/* number of the compressor */
	u8 unused;
};

struct packed_block {
	struct block_header header;
	struct block_object objects[];
};

static_assert(sizeof(struct block_header) == 16);
static_assert(sizeof(struct block_object) == 8);
static_assert(PAGE_SIZE - sizeof(struct block_header) <= U16_MAX);

/**
 * ramzswap_block_init() - make an empty block
 * @block: memory for the block
 */
void ramzswap_block_init(void *block)
{
	memset(block, 0, sizeof(struct block_header));
}

/**
 * ramzswap_block_max_object() - get the size of the largest object that fits
 *
 * Return: its length in bytes.
 */
unsigned int ramzswap_block_max_object(void)
{
	return PAGE_SIZE - sizeof(struct block_header) - sizeof(struct block_object);
}

/**
 * ramzswap_block_room() - get the size of the largest object that still fits
 * @block: the block
 *
 * Return: its length in bytes; 0 if the block is full.
 */
unsigned int ramzswap_block_room(const void *block)
{
	const struct packed_block *b = block;
	unsigned int taken = struct_size(b, objects, b->header.nr + 1) + b->header.used;

	if (b->header.nr == RAMZSWAP_BLOCK_OBJECTS || taken >= PAGE_SIZE)
		return 0;
	return PAGE_SIZE - taken;
}

/**
 * ramzswap_block_nr() - count the objects in a block
 * @block: the block
 *
 * Return: their number.
 */
unsigned int ramzswap_block_nr(const void *block)
{
	return ((const struct packed_block *)block)->header.nr;
}

/**
 * ramzswap_block_bytes() - count the bytes of objects in a block
 * @block: the block
 *
 * Return: bytes, without the header and the directory.
 */
unsigned int ramzswap_block_bytes(const void *block)
{
	return ((const struct packed_block *)block)->header.used;
}

/**
 * ramzswap_block_add() - add an object to a block
 * @block: the block; it must have room, see ramzswap_block_room()
 * @slot: the slot whose page it is
 * @length: its length in bytes
 * @codec: number of the compressor; only the caller interprets it
 * @data: set to the address where the caller must copy the object
 *
 * Return: the object's position.
 */
unsigned int ramzswap_block_add(void *block, u32 slot, unsigned int length,
				unsigned int codec, void **data)
{
	struct packed_block *b = block;
	unsigned int position = b->header.nr++;

	b->objects[position] = (struct block_object) {
		.slot = slot,
		.length = length,
		.codec = codec,
	};
	b->header.used += length;
	*data = block + PAGE_SIZE - b->header.used;
	return position;
}

/**
 * ramzswap_block_slot() - get the slot of an object
 * @block: the block
 * @position: the position of the object
 *
 * Return: the slot.
 */
u32 ramzswap_block_slot(const void *block, unsigned int position)
{
	return ((const struct packed_block *)block)->objects[position].slot;
}

/**
 * ramzswap_block_length() - get the length of an object
 * @block: the block
 * @position: the position of the object
 *
 * Return: its length in bytes.
 */
unsigned int ramzswap_block_length(const void *block, unsigned int position)
{
	return ((const struct packed_block *)block)->objects[position].length;
}

/**
 * ramzswap_block_units() - get the part of a block that an object takes
 * @block: the block
 * @position: the position of the object
 *
 * Return: units, including its entry in the directory.
 */
unsigned int ramzswap_block_units(const void *block, unsigned int position)
{
	return DIV_ROUND_UP(ramzswap_block_length(block, position) +
			    sizeof(struct block_object),
			    PAGE_SIZE / RAMZSWAP_BLOCK_UNITS);
}

static u32 block_checksum(const struct packed_block *b, u32 nonce)
{
	return crc32c(nonce, (const u8 *)b + sizeof(b->header.checksum),
		      PAGE_SIZE - sizeof(b->header.checksum));
}

/**
 * ramzswap_block_seal() - finish a block before it is written
 * @block: the block
 * @nonce: the nonce of the attached device
 * @nr: the number of the block
 * @generation: the generation of the block
 */
void ramzswap_block_seal(void *block, u32 nonce, u32 nr, u32 generation)
{
	struct packed_block *b = block;

	b->header.block = nr;
	b->header.generation = generation & RAMZSWAP_GENERATION_MASK;
	b->header.checksum = block_checksum(b, nonce);
}

/**
 * ramzswap_block_valid() - check that a block is the one that was written
 * @block: the block
 * @nonce: the nonce of the attached device
 * @place: the place of an object in it
 *
 * Return: true if it is.
 */
bool ramzswap_block_valid(const void *block, u32 nonce, u64 place)
{
	const struct packed_block *b = block;

	return b->header.checksum == block_checksum(b, nonce) &&
	       b->header.block == ramzswap_place_block(place) &&
	       b->header.generation == ramzswap_place_generation(place);
}

/**
 * ramzswap_block_is() - check that a block was written to this place
 * @block: the block
 * @nonce: the nonce of the attached device
 * @nr: the number of the block
 *
 * Return: true if it was; it may be an older block than expected.
 */
bool ramzswap_block_is(const void *block, u32 nonce, u32 nr)
{
	const struct packed_block *b = block;

	return b->header.block == nr && b->header.checksum == block_checksum(b, nonce) &&
	       b->header.nr <= RAMZSWAP_BLOCK_OBJECTS;
}

/**
 * ramzswap_block_place() - get the place of an object
 * @block: the sealed block
 * @position: the position of the object
 *
 * Return: the word that the slot has if this object is still its page.
 */
u64 ramzswap_block_place(const void *block, unsigned int position)
{
	const struct packed_block *b = block;

	return ramzswap_place_packed(RAMZSWAP_PLACE_PACKED, b->header.block, position,
				     ramzswap_block_units(block, position),
				     b->header.generation);
}

/**
 * ramzswap_block_move() - copy an object to another block
 * @block: the block to copy to
 * @room: room in @block, see ramzswap_block_room(); updated
 * @from: the block that has the object
 * @position: the object's position in @from
 *
 * Return: true on success; false if there is no room or no such object.
 */
bool ramzswap_block_move(void *block, unsigned int *room, const void *from,
			 unsigned int position)
{
	u32 slot = ramzswap_block_slot(from, position);
	unsigned int length, codec;
	const void *data;
	void *to;

	data = ramzswap_block_object(from, position, slot, &length, &codec);
	if (!data || length > *room)
		return false;
	ramzswap_block_add(block, slot, length, codec, &to);
	memcpy(to, data, length);
	*room = ramzswap_block_room(block);
	return true;
}

/**
 * ramzswap_block_object() - find an object in a block
 * @block: the block; it must be valid
 * @position: the position of the object
 * @slot: the slot whose page it is
 * @length: set to its length in bytes
 * @codec: set to the number of its compressor
 *
 * Return: the object; NULL if the block does not have it.
 */
const void *ramzswap_block_object(const void *block, unsigned int position, u32 slot,
				  unsigned int *length, unsigned int *codec)
{
	const struct packed_block *b = block;
	unsigned int i, end = 0;

	if (position >= min(b->header.nr, RAMZSWAP_BLOCK_OBJECTS) ||
	    b->objects[position].slot != slot)
		return NULL;
	for (i = 0; i <= position; i++)
		end += b->objects[i].length;
	if (struct_size(b, objects, b->header.nr) + end > PAGE_SIZE)
		return NULL;
	*length = b->objects[position].length;
	*codec = b->objects[position].codec;
	return block + PAGE_SIZE - end;
}

/**
 * ramzswap_block_choose() - choose the block for an object
 * @room: the room of each block, see ramzswap_block_room()
 * @nr: number of blocks
 * @length: length of the object in bytes
 *
 * Return: the block with the least room that is enough; -1 if no block has
 * enough.
 */
int ramzswap_block_choose(const unsigned int *room, unsigned int nr,
			  unsigned int length)
{
	int best = -1;
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (room[i] >= length && (best < 0 || room[i] < room[best]))
			best = i;
	return best;
}

/* === Which blocks are free =============================================== */

/* The state of a block */
#define STATE_UNITS	GENMASK(7, 0)	/* units that wanted pages take */
#define STATE_WANTED	GENMASK(13, 8)	/* number of wanted pages */
#define STATE_HELD	BIT(14)
#define STATE_BAD	BIT(15)

static_assert(STATE_WANTED >> __bf_shf(STATE_WANTED) >= RAMZSWAP_BLOCK_OBJECTS);
/* The units of each page are rounded up. */
static_assert(RAMZSWAP_BLOCK_UNITS + RAMZSWAP_BLOCK_OBJECTS <= STATE_UNITS);

/* A search skips full groups. */
#define BLOCKS_PER_GROUP	RAMZSWAP_GROUP_BLOCKS

static unsigned long nr_groups(const struct ramzswap_blocks *blocks)
{
	return DIV_ROUND_UP(blocks->nr, BLOCKS_PER_GROUP);
}

static unsigned long group_size(const struct ramzswap_blocks *blocks,
				unsigned long group)
{
	return min(BLOCKS_PER_GROUP, blocks->nr - group * BLOCKS_PER_GROUP);
}

static u16 get_state(const struct ramzswap_blocks *blocks, unsigned long block)
{
	const u16 *states = blocks->states[block / BLOCKS_PER_GROUP];

	return states ? states[block % BLOCKS_PER_GROUP] : 0;
}

/* Add a block with wanted pages to the counts (@sign 1), or remove it (-1). */
static void count_used(struct ramzswap_blocks *blocks, u16 state, int sign)
{
	unsigned int units = FIELD_GET(STATE_UNITS, state), part;

	if (!(state & STATE_WANTED))
		return;
	part = (units - 1) / (RAMZSWAP_BLOCK_UNITS / ARRAY_SIZE(blocks->nr_filled));
	blocks->nr_used += sign;
	/* Nothing can be moved from a rotten block. */
	if (!(state & STATE_BAD))
		blocks->nr_filled[min(part, ARRAY_SIZE(blocks->nr_filled) - 1)] += sign;
}

/* Is the block bad, while pages in it are still wanted? */
static bool is_rotten(u16 state)
{
	return state & STATE_BAD && state & STATE_WANTED;
}

static void set_state(struct ramzswap_blocks *blocks, unsigned long block, u16 state)
{
	unsigned long group = block / BLOCKS_PER_GROUP;
	u16 **states = &blocks->states[group];
	u16 *there = &(*states)[block % BLOCKS_PER_GROUP];
	u16 old = *there;

	*there = state;
	count_used(blocks, old, -1);
	count_used(blocks, state, 1);
	blocks->nr_bad += !!(state & STATE_BAD) - !!(old & STATE_BAD);
	blocks->nr_rotten += is_rotten(state) - is_rotten(old);
	if (!old && state) {
		blocks->nr_taken++;
		if (++blocks->group_taken[group] == group_size(blocks, group))
			__clear_bit(group, blocks->free_groups);
	} else if (old && !state) {
		blocks->nr_taken--;
		__set_bit(group, blocks->free_groups);
		if (!--blocks->group_taken[group]) {
			__set_bit(group, blocks->emptied_groups);
			*(void **)*states = blocks->unused;
			blocks->unused = *states;
			*states = NULL;
			blocks->nr_states--;
		}
	}
}

/*
 * Make sure that the block's group has states.  Return: false if there is no
 * spare page for them.
 */
static bool make_states(struct ramzswap_blocks *blocks, unsigned long block)
{
	u16 **states = &blocks->states[block / BLOCKS_PER_GROUP];

	if (!*states && blocks->spare) {
		*states = blocks->spare;
		blocks->spare = NULL;
		blocks->nr_states++;
		clear_page(*states);
	}
	return *states;
}

/**
 * ramzswap_blocks_init() - set up the blocks of a device, all free
 * @blocks: the structure to fill in
 * @nr: the number of blocks, from 2 to %RAMZSWAP_MAX_BLOCKS
 *
 * Context: May sleep.
 * Return: 0 or -ENOMEM.  In both cases, the caller must call
 *	ramzswap_blocks_destroy() later.
 */
int ramzswap_blocks_init(struct ramzswap_blocks *blocks, unsigned long nr)
{
	unsigned long groups;

	*blocks = (struct ramzswap_blocks) { .nr = nr, .next = 1 };
	groups = nr_groups(blocks);
	blocks->states = kvcalloc(groups, sizeof(*blocks->states), GFP_KERNEL);
	blocks->group_taken = kvcalloc(groups, sizeof(*blocks->group_taken), GFP_KERNEL);
	blocks->free_groups = kvcalloc(BITS_TO_LONGS(groups), sizeof(long), GFP_KERNEL);
	blocks->emptied_groups = kvcalloc(BITS_TO_LONGS(groups), sizeof(long), GFP_KERNEL);
	blocks->spare = (void *)__get_free_page(GFP_KERNEL);
	if (!blocks->states || !blocks->group_taken || !blocks->free_groups ||
	    !blocks->emptied_groups || !blocks->spare)
		return -ENOMEM;
	bitmap_set(blocks->free_groups, 0, groups);
	/* Block 0 is never free, and is not counted as in use. */
	make_states(blocks, 0);
	set_state(blocks, 0, STATE_HELD);
	return 0;
}

/**
 * ramzswap_blocks_destroy() - undo ramzswap_blocks_init()
 * @blocks: the blocks; the caller frees the pages in @unused and @spare
 *
 * Context: May sleep.
 */
void ramzswap_blocks_destroy(struct ramzswap_blocks *blocks)
{
	unsigned long group;

	for (group = 0; blocks->states && group < nr_groups(blocks); group++)
		free_page((unsigned long)blocks->states[group]);
	kvfree(blocks->states);
	kvfree(blocks->group_taken);
	kvfree(blocks->free_groups);
	kvfree(blocks->emptied_groups);
	blocks->states = NULL;
}

/**
 * ramzswap_blocks_bytes() - count the memory that the states of blocks take
 * @blocks: the blocks
 *
 * Return: bytes.
 */
size_t ramzswap_blocks_bytes(const struct ramzswap_blocks *blocks)
{
	unsigned long groups = nr_groups(blocks);

	return blocks->nr_states * PAGE_SIZE +
	       groups * (sizeof(*blocks->states) + sizeof(*blocks->group_taken)) +
	       2 * BITS_TO_LONGS(groups) * sizeof(long);
}

/**
 * ramzswap_blocks_nr_free() - count the free blocks
 * @blocks: the blocks
 *
 * Return: their number.
 */
unsigned long ramzswap_blocks_nr_free(const struct ramzswap_blocks *blocks)
{
	return READ_ONCE(blocks->nr) - READ_ONCE(blocks->nr_taken);
}

/**
 * ramzswap_blocks_needs_spare() - check whether the spare page is missing
 * @blocks: the blocks
 *
 * Without it, ramzswap_blocks_hold() only takes blocks from groups that have
 * states.
 *
 * Return: true if the caller should put a page into @blocks->spare.
 */
bool ramzswap_blocks_needs_spare(const struct ramzswap_blocks *blocks)
{
	return !READ_ONCE(blocks->spare);
}

/* With interrupts off, read this many states and the rest of a group: some microseconds. */
#define MAX_STATES_READ		4096

/**
 * ramzswap_blocks_take_unused() - take a page that is no longer needed
 * @blocks: the blocks
 *
 * Return: the page, which the caller must free, or NULL.
 */
void *ramzswap_blocks_take_unused(struct ramzswap_blocks *blocks)
{
	void **page = blocks->unused;

	if (page)
		blocks->unused = *page;
	return page;
}

/*
 * Return: the first free block from @from to the end, or @blocks->nr.  @seen counts
 * the states that were read.
 */
static unsigned long find_free(struct ramzswap_blocks *blocks, unsigned long from,
			       unsigned int *seen)
{
	unsigned long group = from / BLOCKS_PER_GROUP, groups = nr_groups(blocks);

	while (from < blocks->nr) {
		unsigned long end;

		group = find_next_bit(blocks->free_groups, groups, group);
		if (group == groups)
			break;
		from = max(from, group * BLOCKS_PER_GROUP);
		end = group * BLOCKS_PER_GROUP + group_size(blocks, group);
		if (make_states(blocks, from))
			for (; from < end; from++, ++*seen)
				if (!get_state(blocks, from))
					return from;
		from = end;
		group++;
	}
	return blocks->nr;
}

/**
 * ramzswap_blocks_hold() - take adjacent free blocks
 * @blocks: the blocks
 * @from: the block to start at; the search wraps around
 * @want: the number of blocks
 * @tries: number of runs of free blocks to look at; if none of them is long
 *	enough, take the longest
 * @got: set to the number of blocks taken
 *
 * Searches the bitmap of groups, and the states of some groups; when it has read
 * %MAX_STATES_READ, it takes the longest run so far.  No other caller gets the blocks
 * until ramzswap_blocks_let_go().
 *
 * Return: the first block, or 0 if none is free.
 */
unsigned long ramzswap_blocks_hold(struct ramzswap_blocks *blocks, unsigned long from,
				   unsigned int want, unsigned int tries,
				   unsigned int *got)
{
	unsigned long best = 0, block;
	unsigned int best_len = 0, seen = 0;
	bool around = false;

	*got = 0;
	if (from >= blocks->nr)
		from = 1;
	while (tries && best_len < want && !(best_len && seen >= MAX_STATES_READ)) {
		unsigned long start = find_free(blocks, from, &seen), end, limit;

		if (start == blocks->nr) {
			if (around)
				break;
			around = true;
			from = 1;
			continue;
		}
		tries--;
		/* A run ends at the end of its group, which has states. */
		limit = min3(blocks->nr, start + want,
			     round_down(start, BLOCKS_PER_GROUP) + BLOCKS_PER_GROUP);
		for (end = start + 1; end < limit && !get_state(blocks, end); end++)
			;
		if (end - start > best_len) {
			best = start;
			best_len = end - start;
		}
		seen += end - start;
		from = end;
	}
	for (block = best; block < best + best_len; block++)
		set_state(blocks, block, STATE_HELD);
	*got = best_len;
	return best;
}

/**
 * ramzswap_blocks_hold_used() - hold a block that has pages
 * @blocks: the blocks
 * @block: the block; it does not become free when its last page is freed
 */
void ramzswap_blocks_hold_used(struct ramzswap_blocks *blocks, unsigned long block)
{
	set_state(blocks, block, get_state(blocks, block) | STATE_HELD);
}

/**
 * ramzswap_blocks_let_go() - stop holding a block
 * @blocks: the blocks
 * @block: the block; if none of its pages is wanted, it becomes free
 * @bad: true to retire the block; then none of its pages may be wanted
 */
void ramzswap_blocks_let_go(struct ramzswap_blocks *blocks, unsigned long block,
			    bool bad)
{
	u16 state = get_state(blocks, block);

	VM_WARN_ON_ONCE(!(state & STATE_HELD) || (bad && state & STATE_WANTED));
	set_state(blocks, block, bad ? STATE_BAD : state & ~STATE_HELD);
}

/**
 * ramzswap_blocks_mark_rotten() - record that a block is not what was written
 * @blocks: the blocks
 * @block: the block, which has wanted pages or is held.  It is not cleaned, and is
 *	retired when its pages are no longer wanted
 */
void ramzswap_blocks_mark_rotten(struct ramzswap_blocks *blocks, unsigned long block)
{
	set_state(blocks, block, get_state(blocks, block) | STATE_BAD);
}

/**
 * ramzswap_blocks_is_rotten() - check whether a block is known to be bad
 * @blocks: the blocks
 * @block: the block
 *
 * Return: true if it was marked as rotten, or retired.
 */
bool ramzswap_blocks_is_rotten(const struct ramzswap_blocks *blocks,
			       unsigned long block)
{
	return get_state(blocks, block) & STATE_BAD;
}

/**
 * ramzswap_blocks_hold_emptied() - hold a group that has become free
 * @blocks: the blocks
 * @from: the block to start at; set to where to continue
 * @nr: set to the number of blocks in the group
 *
 * Returns each such group once.  No other caller gets its blocks until
 * ramzswap_blocks_let_emptied_go().
 *
 * Return: the first block of the group, or 0.
 */
unsigned long ramzswap_blocks_hold_emptied(struct ramzswap_blocks *blocks,
					   unsigned long *from, unsigned long *nr)
{
	unsigned long groups = nr_groups(blocks), group;

	group = find_next_bit(blocks->emptied_groups, groups, *from / BLOCKS_PER_GROUP);
	*from = (group + 1) * BLOCKS_PER_GROUP;
	if (group == groups)
		return 0;
	__clear_bit(group, blocks->emptied_groups);
	if (blocks->group_taken[group])
		return 0;
	*nr = group_size(blocks, group);
	blocks->group_taken[group] = *nr;
	blocks->nr_taken += *nr;
	__clear_bit(group, blocks->free_groups);
	/* Group 0 is never completely free: it has block 0. */
	return group * BLOCKS_PER_GROUP;
}

/**
 * ramzswap_blocks_let_emptied_go() - stop holding a group
 * @blocks: the blocks
 * @first: its first block
 */
void ramzswap_blocks_let_emptied_go(struct ramzswap_blocks *blocks, unsigned long first)
{
	unsigned long group = first / BLOCKS_PER_GROUP;

	blocks->nr_taken -= blocks->group_taken[group];
	blocks->group_taken[group] = 0;
	__set_bit(group, blocks->free_groups);
}

/* The amount that a wanted page adds to the state of its block */
static u16 place_state(u64 place)
{
	return FIELD_PREP(STATE_WANTED, 1) |
	       FIELD_PREP(STATE_UNITS, ramzswap_place_units(place));
}

/**
 * ramzswap_blocks_get() - add a wanted page to a block
 * @blocks: the blocks
 * @place: the page's place, whole or packed; the caller must hold the block
 */
void ramzswap_blocks_get(struct ramzswap_blocks *blocks, u64 place)
{
	unsigned long block = ramzswap_place_block(place);
	u16 state = get_state(blocks, block);

	VM_WARN_ON_ONCE(!(state & STATE_HELD));
	blocks->nr_pages++;
	blocks->nr_units += ramzswap_place_units(place);
	set_state(blocks, block, state + place_state(place));
}

/**
 * ramzswap_blocks_put() - remove a page that is no longer wanted from its block
 * @blocks: the blocks
 * @place: the page's place; its block becomes free if this was the last wanted
 *	page, unless the block is held or bad
 */
void ramzswap_blocks_put(struct ramzswap_blocks *blocks, u64 place)
{
	unsigned long block = ramzswap_place_block(place);
	u16 state = get_state(blocks, block);

	if (WARN_ON_ONCE(!(state & STATE_WANTED)))
		return;
	blocks->nr_pages--;
	blocks->nr_units -= ramzswap_place_units(place);
	set_state(blocks, block, state - place_state(place));
}

/**
 * ramzswap_blocks_wanted() - count the wanted pages of a block
 * @blocks: the blocks
 * @block: the block
 *
 * Return: their number.
 */
unsigned int ramzswap_blocks_wanted(const struct ramzswap_blocks *blocks,
				    unsigned long block)
{
	return FIELD_GET(STATE_WANTED, get_state(blocks, block));
}

/**
 * ramzswap_blocks_units() - count the units of a block that wanted pages take
 * @blocks: the blocks
 * @block: the block
 *
 * Context: The owner's lock.
 * Return: their number, at most %RAMZSWAP_BLOCK_UNITS plus one for each page.
 */
unsigned int ramzswap_blocks_units(const struct ramzswap_blocks *blocks,
				   unsigned long block)
{
	return FIELD_GET(STATE_UNITS, get_state(blocks, block));
}

/* === Which blocks to clean =============================================== */

/* Blocks are scarce if at most one in this many is free. */
#define SCARCE_PART		4

/* They are short if at most one in this many is free, or a few buffers' worth. */
#define SHORT_PART		64
#define SHORT_BLOCKS		64UL

/*
 * While blocks are scarce but not short, those in use may take up to this percentage of
 * the units of their wanted pages.  Full blocks take 99 to 105 %: headers and unused
 * room raise it, rounding units up lowers it.  Cleaning later is cheaper, because blocks
 * are emptier by then.
 */
#define ROOM_PERCENT		129

/*
 * Do not clean a block if wanted pages take more units of it.  At these limits,
 * cleaning writes one block, or three, for each one that it frees.
 */
#define MAX_UNITS		(RAMZSWAP_BLOCK_UNITS / 2)
#define MAX_UNITS_SHORT		(RAMZSWAP_BLOCK_UNITS * 3 / 4)

/*
 * On average, a search finds one block to clean among this many in use.
 * Cleaning only the emptiest ones would be a little better if pages were freed
 * at random.  But if some pages live longer than others, waiting pays: a block
 * that the search skips can get emptier before the next round.
 */
#define SEARCH_BLOCKS		16

/* Free blocks reserved for cleaning */
#define CLEAN_RESERVE		16UL

static bool room_exceeds(const struct ramzswap_blocks *blocks, unsigned int percent)
{
	return (u64)READ_ONCE(blocks->nr_used) * RAMZSWAP_BLOCK_UNITS * 100 >
	       (u64)READ_ONCE(blocks->nr_units) * percent;
}

/**
 * ramzswap_blocks_are_short() - check whether hardly any blocks are free
 * @blocks: the blocks
 *
 * Context: Any.  Without the owner's lock, the answer may be out of date.
 * Return: true if cleaning is urgent.
 */
bool ramzswap_blocks_are_short(const struct ramzswap_blocks *blocks)
{
	return ramzswap_blocks_nr_free(blocks) <=
	       max(blocks->nr / SHORT_PART, min(SHORT_BLOCKS, blocks->nr / 8));
}

/**
 * ramzswap_blocks_to_clean() - decide which blocks to clean
 * @blocks: the blocks
 *
 * Context: Any.  Without the owner's lock, the answer may be out of date.
 * Return: the maximum number of units that wanted pages may take in a block to
 * clean; 0 to clean none.
 */
unsigned int ramzswap_blocks_to_clean(const struct ramzswap_blocks *blocks)
{
	const unsigned int step = RAMZSWAP_BLOCK_UNITS / ARRAY_SIZE(blocks->nr_filled);
	unsigned int i, max_units, units = 0;
	unsigned long nr = 0;

	if (ramzswap_blocks_nr_free(blocks) > blocks->nr / SCARCE_PART)
		return 0;
	if (ramzswap_blocks_are_short(blocks))
		max_units = MAX_UNITS_SHORT;
	else if (room_exceeds(blocks, ROOM_PERCENT))
		max_units = MAX_UNITS;
	else
		return 0;
	for (i = 0; i < max_units / step; i++) {
		if (!READ_ONCE(blocks->nr_filled[i]))
			continue;
		nr += READ_ONCE(blocks->nr_filled[i]);
		units = (i + 1) * step;
		if (nr >= READ_ONCE(blocks->nr_used) / SEARCH_BLOCKS)
			break;
	}
	return units;
}

/**
 * ramzswap_blocks_reserve() - count the free blocks reserved for cleaning
 * @blocks: the blocks
 *
 * Cleaning needs a free block to start.  If there is nothing to clean now, only that
 * one is reserved.
 *
 * Context: Any.  Without the owner's lock, the answer may be out of date.
 * Return: their number.
 */
unsigned long ramzswap_blocks_reserve(const struct ramzswap_blocks *blocks)
{
	return min(ramzswap_blocks_to_clean(blocks) ? CLEAN_RESERVE : 1UL,
		   blocks->nr / 64);
}

/**
 * ramzswap_blocks_worth_cleaning() - check whether cleaning is worth its writes
 * @nr_cleaned: blocks that were cleaned
 * @nr_filled: blocks that their wanted pages take now
 *
 * How densely pages can be packed depends on their sizes: a block of 4 KiB has no
 * room for a third one of 1400 bytes.  So only an attempt shows whether cleaning pays.
 *
 * Return: true if it saves more than a quarter of the blocks.
 */
bool ramzswap_blocks_worth_cleaning(unsigned int nr_cleaned, unsigned int nr_filled)
{
	return 4 * nr_filled < 3 * nr_cleaned;
}

/**
 * ramzswap_blocks_find_sparse() - find a block to clean
 * @blocks: the blocks
 * @from: the block to start at; set to where to continue
 * @units: the value that ramzswap_blocks_to_clean() returned
 *
 * Return: the block; 0 if the rest of this group has none.
 */
unsigned long ramzswap_blocks_find_sparse(const struct ramzswap_blocks *blocks,
					  unsigned long *from, unsigned int units)
{
	unsigned long block = *from < blocks->nr ? *from : 1;
	unsigned long group = block / BLOCKS_PER_GROUP;
	unsigned long end = group * BLOCKS_PER_GROUP + group_size(blocks, group);

	for (; block < end && blocks->states[group]; block++) {
		u16 state = get_state(blocks, block);

		if (state & STATE_WANTED && !(state & (STATE_HELD | STATE_BAD)) &&
		    FIELD_GET(STATE_UNITS, state) <= units) {
			*from = block + 1;
			return block;
		}
	}
	*from = end;
	return 0;
}

#if IS_ENABLED(CONFIG_RAMZSWAP_BLOCKS_KUNIT_TEST)
#include "tests/ramzswap_blocks_kunit.h"
#endif
