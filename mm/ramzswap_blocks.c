// SPDX-License-Identifier: GPL-2.0-only
/*
 * ramzswap: blocks of a backing device, and what is packed into them
 */

/**
 * DOC: ramzswap blocks
 *
 * A block of a backing device has the size of a page.  It holds one page as it was
 * in memory (whole), or several compressed pages (packed).
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
 * An object never spans blocks, so a read takes one block.  A buffer collects objects
 * for as many blocks as one write takes, and each object goes where it leaves the
 * least room.  With real pages, that loses about 6 % of the space, headers included.
 *
 * A whole page leaves no room in its block for a checksum.  Its checksum is in memory
 * instead.
 *
 * In memory, each slot in use has a word, which ramzswap_blocks.h shows.  Each block
 * has a state of 16 bits: how many of its pages are wanted, how much of the block
 * they take, whether somebody holds it to write or clean it, and whether it is bad.
 * A block whose state is 0 is free.  A group of blocks has no states while all of
 * them are free.
 *
 * When free blocks are scarce, cleaning packs the wanted pages of the emptiest blocks
 * again, into fewer blocks.  A page keeps its old place until it has been written to
 * the new one.  Nothing is cleaned while more than a quarter of the blocks are free,
 * or if all blocks are full of wanted pages.
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
	u32 checksum;		/* of all that follows it */
	u32 block;
	u32 generation;
	u16 nr;			/* of objects */
	u16 used;		/* bytes of objects */
};

struct block_object {
	u32 slot;
	u16 length;		/* in bytes */
	u8 codec;		/* what has compressed it; the owner's */
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
 * @block: its memory
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
 * Return: bytes, 0 if the block is full.
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
 * @slot: whose page it is
 * @length: its length in bytes
 * @codec: what compressed it, a number of the caller's
 * @data: set to the place where the caller must put the object
 *
 * Return: its position.
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
 * @position: the object's
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
 * @position: the object's
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
 * @position: the object's
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
 * @nonce: the number of this use of the device
 * @nr: the number of the block
 * @generation: of the block
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
 * @nonce: the number of this use of the device
 * @place: of an object in it
 *
 * Return: whether it is.
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
 * @nonce: the number of this use of the device
 * @nr: the number of the block
 *
 * Return: whether it was.  The block may be an older one.
 */
bool ramzswap_block_is(const void *block, u32 nonce, u32 nr)
{
	const struct packed_block *b = block;

	return b->header.block == nr && b->header.checksum == block_checksum(b, nonce) &&
	       b->header.nr <= RAMZSWAP_BLOCK_OBJECTS;
}

/**
 * ramzswap_block_place() - get the place of an object
 * @block: the block, sealed
 * @position: the object's
 *
 * Return: the word of its slot, if the object still is the slot's page.
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
 * @block: the block
 * @room: the block's, see ramzswap_block_room()
 * @from: the block that the object is in
 * @position: its position there
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
 * @block: the block, which is valid
 * @position: the object's
 * @slot: whose page it is
 * @length: set to its length in bytes
 * @codec: set to what compressed it
 *
 * Return: the object, or NULL if it is not there.
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
 * @length: the object's, in bytes
 *
 * Return: of the blocks with enough room, the one with the least; -1 if there is none.
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
#define STATE_UNITS	GENMASK(7, 0)	/* what its wanted pages take of it */
#define STATE_WANTED	GENMASK(13, 8)	/* how many of its pages are */
#define STATE_HELD	BIT(14)
#define STATE_BAD	BIT(15)

static_assert(STATE_WANTED >> __bf_shf(STATE_WANTED) >= RAMZSWAP_BLOCK_OBJECTS);
/* Each page's are rounded up. */
static_assert(RAMZSWAP_BLOCK_UNITS + RAMZSWAP_BLOCK_OBJECTS <= STATE_UNITS);

/*
 * The states of a group take a page.  A search skips full groups.
 */
#define BLOCKS_PER_GROUP	(PAGE_SIZE / sizeof(u16))

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

/* Count a block with wanted pages in (@sign 1) or out (-1). */
static void count_used(struct ramzswap_blocks *blocks, u16 state, int sign)
{
	unsigned int units = FIELD_GET(STATE_UNITS, state), eighth;

	if (!(state & STATE_WANTED))
		return;
	eighth = (units - 1) / (RAMZSWAP_BLOCK_UNITS / ARRAY_SIZE(blocks->nr_filled));
	blocks->nr_filled[min(eighth, ARRAY_SIZE(blocks->nr_filled) - 1)] += sign;
	blocks->nr_used += sign;
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

/* Return: whether the block's group has states, maybe made of the spare page. */
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
 * @blocks: filled in
 * @nr: their number, at least 2
 *
 * Context: May sleep.
 * Return: 0 or -ENOMEM.  In either case, the caller must call
 *	ramzswap_blocks_destroy() in the end.
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
 * @blocks: the blocks.  The caller frees the pages in @unused and @spare
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
 * Without it, blocks can be taken only from groups that have states.
 *
 * Return: whether the caller should put a page into @blocks->spare.
 */
bool ramzswap_blocks_needs_spare(const struct ramzswap_blocks *blocks)
{
	return !READ_ONCE(blocks->spare);
}

/**
 * ramzswap_blocks_take_unused() - take a page that is no longer needed
 * @blocks: the blocks
 *
 * Return: the page, which the caller frees, or NULL.
 */
void *ramzswap_blocks_take_unused(struct ramzswap_blocks *blocks)
{
	void **page = blocks->unused;

	if (page)
		blocks->unused = *page;
	return page;
}

/* Return: the first free block from @from to the end, or @blocks->nr. */
static unsigned long find_free(struct ramzswap_blocks *blocks, unsigned long from)
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
			for (; from < end; from++)
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
 * @tries: how many runs of free blocks to look at for one that is long enough;
 *	otherwise take the longest of them
 * @got: set to the number of blocks that were taken
 *
 * Looks at the bitmap of all groups, and at the states of some of them.  The caller
 * holds the blocks until ramzswap_blocks_let_go(): nobody else gets them.
 *
 * Return: the first block, or 0 if none is free.
 */
unsigned long ramzswap_blocks_hold(struct ramzswap_blocks *blocks, unsigned long from,
				   unsigned int want, unsigned int tries,
				   unsigned int *got)
{
	unsigned long best = 0, block;
	unsigned int best_len = 0;
	bool around = false;

	*got = 0;
	if (from >= blocks->nr)
		from = 1;
	while (tries && best_len < want) {
		unsigned long start = find_free(blocks, from), end, limit;

		if (start == blocks->nr) {
			if (around)
				break;
			around = true;
			from = 1;
			continue;
		}
		tries--;
		/* A run ends with its group, whose states are there. */
		limit = min3(blocks->nr, start + want,
			     round_down(start, BLOCKS_PER_GROUP) + BLOCKS_PER_GROUP);
		for (end = start + 1; end < limit && !get_state(blocks, end); end++)
			;
		if (end - start > best_len) {
			best = start;
			best_len = end - start;
		}
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
 * @block: the block.  Nobody gets it, even when none of its pages is wanted any more
 */
void ramzswap_blocks_hold_used(struct ramzswap_blocks *blocks, unsigned long block)
{
	set_state(blocks, block, get_state(blocks, block) | STATE_HELD);
}

/**
 * ramzswap_blocks_let_go() - stop holding a block
 * @blocks: the blocks
 * @block: the block.  If none of its pages is wanted, it is free now
 * @bad: never use it again; none of its pages may be wanted
 */
void ramzswap_blocks_let_go(struct ramzswap_blocks *blocks, unsigned long block,
			    bool bad)
{
	u16 state = get_state(blocks, block);

	VM_WARN_ON_ONCE(!(state & STATE_HELD) || (bad && state & STATE_WANTED));
	set_state(blocks, block, bad ? STATE_BAD : state & ~STATE_HELD);
}

/**
 * ramzswap_blocks_hold_emptied() - hold a group that has become free
 * @blocks: the blocks
 * @from: the block to start at; set to where to continue
 * @nr: set to the number of blocks in the group
 *
 * Finds each such group once.  Looks at one group.  Nobody else gets its blocks until
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
	/* Group 0 is never free altogether. */
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

/* What a page adds to the state of its block */
static u16 place_state(u64 place)
{
	return FIELD_PREP(STATE_WANTED, 1) |
	       FIELD_PREP(STATE_UNITS, ramzswap_place_units(place));
}

/**
 * ramzswap_blocks_get() - count a wanted page of a block
 * @blocks: the blocks
 * @place: the page's place, whole or packed; the caller holds the block
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
 * ramzswap_blocks_put() - stop counting a page that is no longer wanted
 * @blocks: the blocks
 * @place: the page's place.  If that was the last wanted page of its block, and
 *	nobody holds the block, it is free now
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

/* === Which blocks to clean =============================================== */

/* Blocks are scarce if no more than one in so many is free. */
#define SCARCE_PART		4

/*
 * How much blocks in use may take, in percent of what their wanted pages take.  Full
 * blocks take 104 %, because of headers and unused room.
 */
#define ROOM_PERCENT		120

/* Do not clean a block if wanted pages take more of it. */
#define MAX_EIGHTHS		6

/* A search finds one block to clean among so many in use, on average. */
#define SEARCH_BLOCKS		16

/* Free blocks kept for cleaning while there is something to clean */
#define CLEAN_RESERVE		16UL

static bool room_exceeds(const struct ramzswap_blocks *blocks, unsigned int percent)
{
	return (u64)READ_ONCE(blocks->nr_used) * RAMZSWAP_BLOCK_UNITS * 100 >
	       (u64)READ_ONCE(blocks->nr_units) * percent;
}

/**
 * ramzswap_blocks_to_clean() - decide which blocks to clean
 * @blocks: the blocks
 *
 * Context: Any.  Without the owner's lock, the answer may be out of date.
 * Return: clean blocks of which wanted pages take up to so many units; 0 for none.
 */
unsigned int ramzswap_blocks_to_clean(const struct ramzswap_blocks *blocks)
{
	unsigned long nr_free = ramzswap_blocks_nr_free(blocks), nr = 0;
	unsigned int i, eighths = 0;

	if (nr_free > blocks->nr / SCARCE_PART || !room_exceeds(blocks, ROOM_PERCENT))
		return 0;
	for (i = 0; i < MAX_EIGHTHS; i++) {
		if (!READ_ONCE(blocks->nr_filled[i]))
			continue;
		nr += READ_ONCE(blocks->nr_filled[i]);
		eighths = i + 1;
		if (nr >= READ_ONCE(blocks->nr_used) / SEARCH_BLOCKS)
			break;
	}
	return eighths * RAMZSWAP_BLOCK_UNITS / ARRAY_SIZE(blocks->nr_filled);
}

/**
 * ramzswap_blocks_reserve() - count the free blocks that are for cleaning only
 * @blocks: the blocks
 *
 * Cleaning needs a free block to begin with.  If it would make no room, there is no
 * reserve.
 *
 * Context: Any.  Without the owner's lock, the answer may be out of date.
 * Return: their number.
 */
unsigned long ramzswap_blocks_reserve(const struct ramzswap_blocks *blocks)
{
	return room_exceeds(blocks, 2 * ROOM_PERCENT - 100) ?
	       min(CLEAN_RESERVE, blocks->nr / 64) : 0;
}

/**
 * ramzswap_blocks_find_sparse() - find a block to clean
 * @blocks: the blocks
 * @from: the block to start at; set to where to continue
 * @units: what ramzswap_blocks_to_clean() returned
 *
 * Return: the block, or 0 if there is none in the rest of this group.
 */
unsigned long ramzswap_blocks_find_sparse(const struct ramzswap_blocks *blocks,
					  unsigned long *from, unsigned int units)
{
	unsigned long block = *from < blocks->nr ? *from : 1;
	unsigned long group = block / BLOCKS_PER_GROUP;
	unsigned long end = group * BLOCKS_PER_GROUP + group_size(blocks, group);

	for (; block < end && blocks->states[group]; block++) {
		u16 state = get_state(blocks, block);

		if (state & STATE_WANTED && !(state & STATE_HELD) &&
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
