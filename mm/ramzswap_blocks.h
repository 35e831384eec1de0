/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ramzswap: the blocks of a backing device.  mm/ramzswap_blocks.c explains
 * them.
 */
#ifndef _MM_RAMZSWAP_BLOCKS_H
#define _MM_RAMZSWAP_BLOCKS_H

#include <linux/bits.h>
#include <linux/bitfield.h>
#include <linux/limits.h>
#include <linux/types.h>

/* === Where a slot's page is ============================================== */

/*
 * The word of a slot:
 *
 *   63         46 45   39 38      34 33  32 31            0
 *   +------------+-------+----------+------+---------------+
 *   | generation | units | position | kind |     block     |   packed, or pending
 *   +------------+-------+----------+------+---------------+
 *   |           checksum            | kind |     block     |   whole
 *   +-------------------------------+------+---------------+
 *
 * The units field is the part of the block that the page takes, minus one.
 *
 * A word of 0 means that the page is not on the device.
 */
#define RAMZSWAP_PLACE_BLOCK		GENMASK_ULL(31, 0)
#define RAMZSWAP_PLACE_KIND		GENMASK_ULL(33, 32)
#define RAMZSWAP_PLACE_POSITION		GENMASK_ULL(38, 34)
#define RAMZSWAP_PLACE_UNITS		GENMASK_ULL(45, 39)
#define RAMZSWAP_PLACE_GENERATION	GENMASK_ULL(63, 46)
#define RAMZSWAP_PLACE_CHECKSUM		GENMASK_ULL(63, 34)

/**
 * enum ramzswap_place_kind - how a page is stored on the device
 * @RAMZSWAP_PLACE_NONE: not on the device
 * @RAMZSWAP_PLACE_WHOLE: uncompressed, in a block of its own
 * @RAMZSWAP_PLACE_PACKED: an object in a packed block
 * @RAMZSWAP_PLACE_PENDING: still in memory, while a copy is being written to
 *	the device; the word gives the copy's place in the buffers
 */
enum ramzswap_place_kind {
	RAMZSWAP_PLACE_NONE,
	RAMZSWAP_PLACE_WHOLE,
	RAMZSWAP_PLACE_PACKED,
	RAMZSWAP_PLACE_PENDING,
};

/* The bits of a generation and of a checksum that fit into a word */
#define RAMZSWAP_GENERATION_MASK \
	((u32)(RAMZSWAP_PLACE_GENERATION >> __bf_shf(RAMZSWAP_PLACE_GENERATION)))
#define RAMZSWAP_CHECKSUM_MASK \
	((u32)(RAMZSWAP_PLACE_CHECKSUM >> __bf_shf(RAMZSWAP_PLACE_CHECKSUM)))

/* Number of units in a block */
#define RAMZSWAP_BLOCK_UNITS	128U

static inline u64 ramzswap_place_packed(enum ramzswap_place_kind kind, u32 block,
					unsigned int position, unsigned int units,
					u32 generation)
{
	return FIELD_PREP(RAMZSWAP_PLACE_BLOCK, block) |
	       FIELD_PREP(RAMZSWAP_PLACE_KIND, kind) |
	       FIELD_PREP(RAMZSWAP_PLACE_POSITION, position) |
	       FIELD_PREP(RAMZSWAP_PLACE_UNITS, units - 1) |
	       FIELD_PREP(RAMZSWAP_PLACE_GENERATION,
			  generation & RAMZSWAP_GENERATION_MASK);
}

static inline u64 ramzswap_place_whole(u32 block, u32 checksum)
{
	return FIELD_PREP(RAMZSWAP_PLACE_BLOCK, block) |
	       FIELD_PREP(RAMZSWAP_PLACE_KIND, RAMZSWAP_PLACE_WHOLE) |
	       FIELD_PREP(RAMZSWAP_PLACE_CHECKSUM, checksum & RAMZSWAP_CHECKSUM_MASK);
}

static inline enum ramzswap_place_kind ramzswap_place_kind(u64 place)
{
	return FIELD_GET(RAMZSWAP_PLACE_KIND, place);
}

static inline u32 ramzswap_place_block(u64 place)
{
	return FIELD_GET(RAMZSWAP_PLACE_BLOCK, place);
}

static inline unsigned int ramzswap_place_position(u64 place)
{
	return FIELD_GET(RAMZSWAP_PLACE_POSITION, place);
}

/* The units of its block that a page takes, whole or packed */
static inline unsigned int ramzswap_place_units(u64 place)
{
	if (ramzswap_place_kind(place) == RAMZSWAP_PLACE_WHOLE)
		return RAMZSWAP_BLOCK_UNITS;
	return FIELD_GET(RAMZSWAP_PLACE_UNITS, place) + 1;
}

static inline u32 ramzswap_place_generation(u64 place)
{
	return FIELD_GET(RAMZSWAP_PLACE_GENERATION, place);
}

static inline u32 ramzswap_place_checksum(u64 place)
{
	return FIELD_GET(RAMZSWAP_PLACE_CHECKSUM, place);
}

/* === A packed block ====================================================== */

/* Maximum number of objects in a block: the position field has 5 bits. */
#define RAMZSWAP_BLOCK_OBJECTS	32U

void ramzswap_block_init(void *block);
unsigned int ramzswap_block_room(const void *block);
unsigned int ramzswap_block_max_object(void);
unsigned int ramzswap_block_nr(const void *block);
unsigned int ramzswap_block_bytes(const void *block);
unsigned int ramzswap_block_add(void *block, u32 slot, unsigned int length,
				unsigned int codec, void **data);
u32 ramzswap_block_slot(const void *block, unsigned int position);
unsigned int ramzswap_block_length(const void *block, unsigned int position);
unsigned int ramzswap_block_units(const void *block, unsigned int position);
void ramzswap_block_seal(void *block, u32 nonce, u32 nr, u32 generation);
bool ramzswap_block_valid(const void *block, u32 nonce, u64 place);
bool ramzswap_block_is(const void *block, u32 nonce, u32 nr);
u64 ramzswap_block_place(const void *block, unsigned int position);
bool ramzswap_block_move(void *block, unsigned int *room, const void *from,
			 unsigned int position);
const void *ramzswap_block_object(const void *block, unsigned int position, u32 slot,
				  unsigned int *length, unsigned int *codec);
int ramzswap_block_choose(const unsigned int *room, unsigned int nr,
			  unsigned int length);

/* === Which blocks are free =============================================== */

/* The states of a group fill a page. */
#define RAMZSWAP_GROUP_BLOCKS	(PAGE_SIZE / sizeof(u16))

/*
 * Numbers of blocks have 32 bits.  If a long has no more, those in the group after the
 * last one must not overflow.
 */
#define RAMZSWAP_MAX_BLOCKS	(U32_MAX - 2 * RAMZSWAP_GROUP_BLOCKS)

/**
 * struct ramzswap_blocks - the blocks of a backing device
 * @nr: their number, including block 0, which is never given out
 * @states: for each group of blocks, their states; NULL if all of them are free
 * @group_taken: for each group, how many blocks are not free
 * @free_groups: a bit for each group that has a free block
 * @emptied_groups: a bit for each group that has become free altogether, until
 *	the owner unsets it
 * @next: the block to start the next search at
 * @nr_taken: blocks that are not free
 * @nr_used: blocks with wanted pages
 * @nr_bad: blocks that were retired, or will be when none of their pages is wanted
 * @nr_rotten: bad blocks that still have wanted pages
 * @nr_pages: wanted pages in all blocks
 * @nr_units: the units that these pages take
 * @nr_filled: blocks with wanted pages, except for rotten ones, by the part that these
 *	pages take: up to 1/32 of the block, up to 2/32, and so on
 * @nr_states: groups that have states
 * @spare: a page for the states of another group, or NULL
 * @unused: pages that are no longer needed, linked by their first word
 *
 * The owner's lock guards all of it.
 */
struct ramzswap_blocks {
	unsigned long nr;
	u16 **states;
	u32 *group_taken;
	unsigned long *free_groups;
	unsigned long *emptied_groups;
	unsigned long next;
	unsigned long nr_taken;
	unsigned long nr_used;
	unsigned long nr_bad;
	unsigned long nr_rotten;
	unsigned long nr_pages;
	unsigned long nr_units;
	unsigned long nr_filled[32];
	unsigned long nr_states;
	void *spare;
	void *unused;
};

int ramzswap_blocks_init(struct ramzswap_blocks *blocks, unsigned long nr);
void ramzswap_blocks_destroy(struct ramzswap_blocks *blocks);
size_t ramzswap_blocks_bytes(const struct ramzswap_blocks *blocks);
unsigned long ramzswap_blocks_nr_free(const struct ramzswap_blocks *blocks);
bool ramzswap_blocks_needs_spare(const struct ramzswap_blocks *blocks);
void *ramzswap_blocks_take_unused(struct ramzswap_blocks *blocks);
unsigned long ramzswap_blocks_hold(struct ramzswap_blocks *blocks, unsigned long from,
				   unsigned int want, unsigned int tries,
				   unsigned int *got);
void ramzswap_blocks_hold_used(struct ramzswap_blocks *blocks, unsigned long block);
void ramzswap_blocks_let_go(struct ramzswap_blocks *blocks, unsigned long block,
			    bool bad);
void ramzswap_blocks_mark_rotten(struct ramzswap_blocks *blocks, unsigned long block);
bool ramzswap_blocks_is_rotten(const struct ramzswap_blocks *blocks,
			       unsigned long block);
unsigned long ramzswap_blocks_hold_emptied(struct ramzswap_blocks *blocks,
					   unsigned long *from, unsigned long *nr);
void ramzswap_blocks_let_emptied_go(struct ramzswap_blocks *blocks,
				    unsigned long first);
void ramzswap_blocks_get(struct ramzswap_blocks *blocks, u64 place);
void ramzswap_blocks_put(struct ramzswap_blocks *blocks, u64 place);
unsigned int ramzswap_blocks_wanted(const struct ramzswap_blocks *blocks,
				    unsigned long block);
unsigned int ramzswap_blocks_units(const struct ramzswap_blocks *blocks,
				   unsigned long block);

/* === Which blocks to clean =============================================== */

unsigned int ramzswap_blocks_to_clean(const struct ramzswap_blocks *blocks);
bool ramzswap_blocks_are_short(const struct ramzswap_blocks *blocks);
unsigned long ramzswap_blocks_reserve(const struct ramzswap_blocks *blocks);
unsigned long ramzswap_blocks_find_sparse(const struct ramzswap_blocks *blocks,
					  unsigned long *from, unsigned int units);
bool ramzswap_blocks_worth_cleaning(unsigned int nr_cleaned, unsigned int nr_filled);

#endif /* _MM_RAMZSWAP_BLOCKS_H */
