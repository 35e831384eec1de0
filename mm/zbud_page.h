/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * zbud: the contents of a page
 *
 * Only mm/zbud.c includes this file; it explains the allocator.  This file lays
 * out the objects in a page, and makes room for one more.  It takes no locks:
 * the caller holds the lock of the page's shard.
 */
#ifndef _MM_ZBUD_PAGE_H
#define _MM_ZBUD_PAGE_H

#include <linux/bitops.h>
#include <linux/bits.h>
#include <linux/highmem.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmdebug.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include <linux/wordpart.h>
#include <linux/zbud.h>
#include <kunit/static_stub.h>

/* === Layout ============================================================== */

/*
 * The fields of struct page that zbud uses:
 *
 *   zbud_list    links the page into its bucket; free for the migration core
 *                while the page is isolated
 *   zbud_shard   the shard, which leads to the pool
 *   zbud_slots   one byte per slot, in the order of the objects in the page:
 *
 *                  7 | 6 ... 0
 *                  1 | length - 1    an object of 1 to 128 chunks
 *                  0 | length        a hole; 0 for an unused slot
 *
 *                Everything behind the last object is free, whatever the slots
 *                there say.
 *   zbud_owner   the address of the handle word, if the page's only object has
 *                all 128 chunks; overlays the second half of zbud_slots
 *   page_type    31 ... 24 | 23       | 22 ... 8 | 7 ... 0
 *                PGTY_zbud | isolated | pins     | free chunks, or 255
 *
 * 255 marks a page that is divided into cells.  struct zbud_cells overlays the
 * slots of such a page.
 *
 * The pin count cannot overflow: each reader uses a CPU's decompressor, so
 * there are never as many readers.
 */
#define ZBUD_CHUNKS		128U
#define ZBUD_CHUNK_SHIFT	(PAGE_SHIFT - const_ilog2(ZBUD_CHUNKS))
#define ZBUD_CHUNK_SIZE		BIT(ZBUD_CHUNK_SHIFT)

/*
 * An object begins with a header of one word: the address of its handle word.
 * The low bits, always 0 in such an address, say which part of a split object
 * this is.  The header of a first part has a second word, the link: it names
 * the second part as a handle would.
 */
#define ZBUD_HEADER_SIZE	sizeof(unsigned long)
#define ZBUD_FIRST_PART		BIT(0)
#define ZBUD_SECOND_PART	BIT(1)
#define ZBUD_PART_MASK		(ZBUD_FIRST_PART | ZBUD_SECOND_PART)
#define ZBUD_MAX_PARTS		ZBUD_SG_ENTRIES

/* Bits of the largest page frame number, as in zsmalloc. */
#if defined(MAX_POSSIBLE_PHYSMEM_BITS)
#define ZBUD_PFN_BITS		(MAX_POSSIBLE_PHYSMEM_BITS - PAGE_SHIFT)
#elif defined(MAX_PHYSMEM_BITS)
#define ZBUD_PFN_BITS		(MAX_PHYSMEM_BITS - PAGE_SHIFT)
#else
#define ZBUD_PFN_BITS		(BITS_PER_LONG - PAGE_SHIFT)
#endif

/*
 * A handle has the page's frame number, the shard, and the place in the page.
 * That is the number of a cell, or a slot; bit 0, below the slot, is set if the
 * handle names a first part.
 */
#define ZBUD_SPLIT_BITS		const_ilog2(2 * ZBUD_FIRST_PART)
#define ZBUD_SPARE_BITS		(BITS_PER_LONG - ZBUD_PFN_BITS)
#define ZBUD_PLACE_BITS		MAX(const_ilog2(ZBUD_SLOTS) + ZBUD_SPLIT_BITS, \
				    ZBUD_CELL_BITS)

/*
 * The smallest cell has 32 bytes.  A page has at most 256 cells, because
 * migration visits all of them with the lock held.  The handle must leave two
 * bits for the shard, so cells are larger where page frame numbers leave few
 * bits.  Pages are not divided into cells if they would have no more cells than
 * slots.
 */
#define ZBUD_CELL_BITS		MIN(MIN(8, PAGE_SHIFT - 5), ZBUD_SPARE_BITS - 2)
#define ZBUD_HAS_CELLS		(const_ilog2(ZBUD_SLOTS) < ZBUD_CELL_BITS)

/*
 * No first part is smaller than this many chunks.  Otherwise headers and links
 * would use up what splitting gains.
 */
#define ZBUD_MIN_FIRST_PART	4U

#define ZBUD_SLOT_USED		BIT(7)

#define ZBUD_PIN_SHIFT		8
#define ZBUD_PIN		BIT(ZBUD_PIN_SHIFT)
#define ZBUD_ISOLATED		BIT(23)
#define ZBUD_PINS_MASK		GENMASK(22, ZBUD_PIN_SHIFT)
#define ZBUD_FREE_MASK		GENMASK(ZBUD_PIN_SHIFT - 1, 0)

static_assert(ZBUD_CHUNKS <= ZBUD_SLOT_USED);
static_assert(ZBUD_CHUNKS <= ZBUD_FREE_MASK);
static_assert(ZBUD_HEADER_SIZE <= ZBUD_CHUNK_SIZE);
static_assert(sizeof_field(struct page, zbud_slots) == ZBUD_SLOTS);
static_assert(offsetof(struct page, zbud_owner) >
	      offsetof(struct page, zbud_slots));
/* PageTail() uses bit 0 of the first word. */
static_assert(offsetof(struct page, zbud_list) == offsetof(struct page, lru));
static_assert(offsetofend(struct page, zbud_slots) <=
	      offsetof(struct page, page_type));

/*
 * An object is tiny if a page of such objects would run out of slots before it
 * is full.  It goes to a page of cells of equal size.  The size is a number of
 * units: each number up to 16, then in steps of at most an eighth, to limit the
 * number of size classes.
 */
#define ZBUD_TINY_CHUNKS	(ZBUD_CHUNKS / ZBUD_SLOTS - 1)
#define ZBUD_CELL_UNIT		MAX(16UL, PAGE_SIZE >> 11)
#define ZBUD_MAX_UNITS		(ZBUD_TINY_CHUNKS * ZBUD_CHUNK_SIZE / ZBUD_CELL_UNIT)
#define ZBUD_CELL_CLASSES	(8 * (const_ilog2(ZBUD_MAX_UNITS) - 1) + 1)

/*
 * Pages with room are in the bucket for their number of free chunks or, behind
 * these, in the bucket for the size class of their cells.
 */
#define ZBUD_BUCKETS		(ZBUD_CHUNKS + ZBUD_CELL_CLASSES)

/*
 * The fields that a page of cells has instead of slots:
 *
 *   byte   0     | 1      | 2 ... 3 | 4 ... 5    | 6 ... 7
 *          units | bucket | nr_free | first_free | nr_counted
 *
 * The contents of a page with 85 cells of 48 bytes:
 *
 *   0               48              96                   4032            4080
 *   | header | data | 0 | whatever  | header | data |...| 0 | whatever | rest |
 *     cell 0          cell 1: free    cell 2               cell 84
 *
 * A cell shows whether it has an object: a free cell begins with 0 instead of a
 * header.
 */
struct zbud_cells {
	u8 units;		/* of a cell; never 255, see page_whole() */
	u8 bucket;
	u16 nr_free;
	u16 first_free;		/* or any cell before it */
	u16 nr_counted;		/* nr_free as last counted by the shard */
};

static_assert(sizeof(struct zbud_cells) <= ZBUD_SLOTS);
static_assert(ZBUD_MAX_UNITS < 255);
static_assert(ZBUD_BUCKETS <= 256);

/* === Slots and pages ===================================================== */

static inline bool slot_used(u8 slot)
{
	return slot & ZBUD_SLOT_USED;
}

/* Number of chunks that the object or hole in a slot takes. */
static inline unsigned int slot_chunks(u8 slot)
{
	return slot_used(slot) ? (slot & ~ZBUD_SLOT_USED) + 1 : slot;
}

static inline u8 slot_make_used(unsigned int chunks)
{
	VM_WARN_ON_ONCE(!chunks || chunks > ZBUD_CHUNKS);
	return ZBUD_SLOT_USED | (chunks - 1);
}

static inline u8 slot_make_hole(unsigned int chunks)
{
	VM_WARN_ON_ONCE(chunks >= ZBUD_CHUNKS);
	return chunks;
}

/* Number of chunks for an object of @size bytes and its header. */
static inline unsigned int size_to_chunks(size_t size)
{
	return min(DIV_ROUND_UP(size + ZBUD_HEADER_SIZE, ZBUD_CHUNK_SIZE),
		   ZBUD_CHUNKS);
}

/* Is this the bucket of a class of cells? */
static inline bool bucket_has_cells(unsigned int bucket)
{
	return bucket > ZBUD_CHUNKS;
}

static inline bool size_is_tiny(size_t size)
{
	return ZBUD_HAS_CELLS && size_to_chunks(size) <= ZBUD_TINY_CHUNKS;
}

/* The bucket of pages with cells for a tiny object of @size bytes. */
static inline unsigned int tiny_bucket(size_t size)
{
	unsigned int units, shift;

	size = max(size + ZBUD_HEADER_SIZE, PAGE_SIZE >> ZBUD_CELL_BITS);
	units = DIV_ROUND_UP(size, ZBUD_CELL_UNIT);
	shift = units > 16 ? fls(units - 1) - 4 : 0;
	return ZBUD_CHUNKS + 8 * shift + DIV_ROUND_UP(units, BIT(shift));
}

/* The size of the cells in a bucket that has them. */
static inline unsigned int bucket_units(unsigned int bucket)
{
	unsigned int class = bucket - ZBUD_CHUNKS;
	unsigned int shift = class > 16 ? (class - 1) / 8 - 1 : 0;

	return (class - 8 * shift) << shift;
}

static inline size_t chunks_to_bytes(unsigned int chunks)
{
	return (size_t)chunks << ZBUD_CHUNK_SHIFT;
}

static inline unsigned int page_free_chunks(const struct page *page)
{
	return page->page_type & ZBUD_FREE_MASK;
}

static inline void page_add_free_chunks(struct page *page, int chunks)
{
	VM_WARN_ON_ONCE_PAGE(page_free_chunks(page) + chunks > ZBUD_CHUNKS, page);
	WRITE_ONCE(page->page_type, page->page_type + chunks);
}

static inline bool page_has_cells(const struct page *page)
{
	return page_free_chunks(page) == ZBUD_FREE_MASK;
}

static inline struct zbud_cells *page_cells(const struct page *page)
{
	return (struct zbud_cells *)page->zbud_slots;
}

static inline size_t cell_size(const struct page *page)
{
	return READ_ONCE(page_cells(page)->units) * ZBUD_CELL_UNIT;
}

static inline unsigned int page_nr_cells(const struct page *page)
{
	return PAGE_SIZE / (unsigned int)cell_size(page);
}

/* Divide an empty page into the cells of @bucket. */
static inline void page_set_cells(struct page *page, unsigned int bucket)
{
	struct zbud_cells *cells = page_cells(page);

	clear_highpage(page);
	WRITE_ONCE(cells->units, bucket_units(bucket));
	cells->bucket = bucket;
	cells->nr_free = page_nr_cells(page);
	cells->first_free = 0;
	/* Set it last: a task with a stale handle may look at the page. */
	WRITE_ONCE(page->page_type, page->page_type | ZBUD_FREE_MASK);
}

static inline bool page_pinned(const struct page *page)
{
	return page->page_type & ZBUD_PINS_MASK;
}

static inline void page_pin(struct page *page)
{
	VM_WARN_ON_ONCE_PAGE((page->page_type & ZBUD_PINS_MASK) == ZBUD_PINS_MASK,
			     page);
	WRITE_ONCE(page->page_type, page->page_type + ZBUD_PIN);
}

static inline void page_unpin(struct page *page)
{
	VM_WARN_ON_ONCE_PAGE(!page_pinned(page), page);
	WRITE_ONCE(page->page_type, page->page_type - ZBUD_PIN);
}

/*
 * Is the page isolated for migration or compaction?  Then it is in no bucket.
 */
static inline bool page_isolated(const struct page *page)
{
	return page->page_type & ZBUD_ISOLATED;
}

/* Has memory_failure() found the frame to be bad? */
static bool page_bad(struct page *page)
{
	KUNIT_STATIC_STUB_REDIRECT(page_bad, page);

	return PageHWPoison(page);
}

/* Does a single object take the whole page? */
static inline bool page_whole(const struct page *page)
{
	return page->zbud_slots[0] == (ZBUD_SLOT_USED | (ZBUD_CHUNKS - 1));
}

/*
 * Process the slots a word at a time.  The lowest byte of each word is its
 * first slot.
 */
#define ZBUD_WORD_SLOTS		sizeof(unsigned long)

static inline unsigned long slot_word(const struct page *page, unsigned int nr)
{
	const u8 *slots = &page->zbud_slots[nr * ZBUD_WORD_SLOTS];

	return IS_ENABLED(CONFIG_64BIT) ? get_unaligned_le64(slots) :
					  get_unaligned_le32(slots);
}

/* Sum slot_chunks() over the slots of a word; at most 128. */
static inline unsigned int word_chunks(unsigned long word)
{
	word = (word & REPEAT_BYTE(0x7f)) + ((word >> 7) & REPEAT_BYTE(0x01));
	return (word * REPEAT_BYTE(0x01)) >> (BITS_PER_LONG - 8);
}

/*
 * Return a bitmap of the used slots in a word.  The multiplier has every
 * seventh bit set: it moves bit 7 of each byte next to that of the byte before
 * it.
 */
static inline unsigned int word_used(unsigned long word)
{
	const unsigned long every_seventh = (~0UL / 0x7f) >> ZBUD_WORD_SLOTS;

	word &= REPEAT_BYTE(ZBUD_SLOT_USED);
	return (word * every_seventh) >> (BITS_PER_LONG - ZBUD_WORD_SLOTS);
}

/* Return a bitmap of the slots that hold an object. */
static inline unsigned int used_slots(const struct page *page)
{
	if (page_whole(page))
		return BIT(0);
	return word_used(slot_word(page, 0)) |
	       word_used(slot_word(page, 1)) << ZBUD_WORD_SLOTS;
}

static inline bool page_has_slot(const struct page *page)
{
	return (slot_word(page, 0) & slot_word(page, 1) &
		REPEAT_BYTE(ZBUD_SLOT_USED)) != REPEAT_BYTE(ZBUD_SLOT_USED);
}

/* Return the first chunk of the object or hole in @slot. */
static inline unsigned int slot_start(const struct page *page, unsigned int slot)
{
	unsigned int start = 0, nr = 0;

	if (slot > ZBUD_WORD_SLOTS) {
		start = word_chunks(slot_word(page, nr++));
		slot -= ZBUD_WORD_SLOTS;
	}
	if (slot)
		start += word_chunks(slot_word(page, nr) &
				     ~0UL >> (BITS_PER_LONG - 8 * slot));
	return start;
}

/*
 * The place of an object: the chunks that a slot describes, which start where
 * the slots before it end, or the cell with that number.
 */
struct zbud_run {
	struct page *page;
	unsigned int slot;
	unsigned int offset;	/* in bytes */
};

/* The parts of an object: one, or two if it is split. */
struct zbud_object {
	unsigned int nr_parts;
	struct zbud_run parts[ZBUD_MAX_PARTS];
};

/* The bucket of pages with exactly as much room as the run has. */
static inline unsigned int run_bucket(const struct zbud_run *run)
{
	return page_has_cells(run->page) ? page_cells(run->page)->bucket :
		slot_chunks(run->page->zbud_slots[run->slot]);
}

static inline size_t run_bytes(const struct zbud_run *run)
{
	return page_has_cells(run->page) ? cell_size(run->page) :
		chunks_to_bytes(slot_chunks(run->page->zbud_slots[run->slot]));
}

static inline size_t slot_offset(const struct page *page, unsigned int slot)
{
	return page_has_cells(page) ? slot * cell_size(page) :
		chunks_to_bytes(slot_start(page, slot));
}

/* Find the first cell from @cell on that has an object, or has none. */
static unsigned int find_cell(struct page *page, unsigned int cell, bool used)
{
	unsigned int nr = page_nr_cells(page);
	size_t size = cell_size(page);
	void *addr = kmap_local_page(page);

	while (cell < nr && !*(unsigned long *)(addr + cell * size) == used)
		cell++;
	kunmap_local(addr);
	return cell;
}

/*
 * Find the first run in @slot or behind it; its page is NULL if there is none.
 */
static inline struct zbud_run find_run(struct page *page, unsigned int slot)
{
	if (page_has_cells(page)) {
		slot = find_cell(page, slot, true);
		if (slot == page_nr_cells(page))
			return (struct zbud_run){};
	} else {
		unsigned int used = used_slots(page) >> slot;

		if (!used)
			return (struct zbud_run){};
		slot += __ffs(used);
	}
	return (struct zbud_run){ page, slot, slot_offset(page, slot) };
}

/* Iterate over all runs of a page.  The slots must not change meanwhile. */
static inline struct zbud_run first_run(struct page *page)
{
	return find_run(page, 0);
}

static inline struct zbud_run next_run(struct zbud_run run)
{
	return find_run(run.page, run.slot + 1);
}

/* === Room in a page ====================================================== */

static void move_chunks(struct page *page, unsigned int to, unsigned int from,
			unsigned int chunks)
{
	void *addr = kmap_local_page(page);

	memmove(addr + chunks_to_bytes(to), addr + chunks_to_bytes(from),
		chunks_to_bytes(chunks));
	kunmap_local(addr);
}

/*
 * Close the gaps between the objects of a page, except for one of @room chunks
 * at @slot, and leave all other free space behind the last object.  @slot is
 * the first of the last run of free slots, between objects or behind them.  The
 * page must not be pinned.  Objects keep their slots, and so their order.
 */
static void rearrange(struct page *page, unsigned int slot, unsigned int room)
{
	u8 *slots = page->zbud_slots;
	unsigned int used = used_slots(page), i = ffz(used);
	unsigned int start = slot_start(page, i), target = start;

	VM_WARN_ON_ONCE_PAGE(page_pinned(page), page);

	/* In front of the gap, move each object down. */
	for (; i < slot; i++) {
		unsigned int chunks = slot_chunks(slots[i]);

		if (!slot_used(slots[i])) {
			slots[i] = 0;
		} else {
			if (target < start)
				move_chunks(page, target, start, chunks);
			target += chunks;
		}
		start += chunks;
	}

	/* Behind the gap, the objects are adjacent and move as one. */
	if (!(used >> slot))
		return;
	for (; !slot_used(slots[i]); i++) {
		start += slots[i];
		slots[i] = 0;
	}
	if (target + room != start)
		move_chunks(page, target + room, start,
			    slot_start(page, ZBUD_SLOTS) - target);
}

/*
 * Find a slot with room for an object of @chunks in a page that has as many
 * free chunks: behind the last object, or else in the first gap that is large
 * enough, or else after moving the objects together.  The caller chose a page
 * with little room to spare, so there is hardly ever a choice between gaps.  A
 * gap is a run of free slots.  If it has two slots, the second one can record
 * the space that the object leaves free.  Behind the last object, that needs no
 * slot.  In a page of cells, any free cell is large enough.
 *
 * Return: the slot; -1 if objects would have to move but are pinned.  In a page
 * of cells, the cell; -1 if the page is damaged.
 */
static int make_room(struct page *page, unsigned int chunks)
{
	u8 *slots = page->zbud_slots;
	unsigned int used = used_slots(page), end = fls(used);
	unsigned int free = ~used & (BIT(end) - 1);
	unsigned int i, gap, slot = end;

	if (page_has_cells(page)) {
		slot = find_cell(page, page_cells(page)->first_free, false);
		return slot < page_nr_cells(page) ? slot : -1;
	}
	if (end < ZBUD_SLOTS && slot_start(page, end) + chunks <= ZBUD_CHUNKS)
		return end;

	for (; free; free &= ~0U << i) {
		slot = __ffs(free);
		for (i = slot, gap = 0; !slot_used(slots[i]); i++)
			gap += slots[i];
		if (gap < chunks || (gap > chunks && i == slot + 1))
			continue;
		while (--i > slot)
			slots[i] = 0;
		if (gap > chunks)
			slots[slot + 1] = slot_make_hole(gap - chunks);
		return slot;
	}

	if (page_pinned(page))
		return -1;
	if (end < ZBUD_SLOTS)
		slot = end;
	rearrange(page, slot, chunks);
	return slot;
}

/* Put a run into @slot, where make_room() has made room for it. */
static void occupy(struct page *page, unsigned int slot, unsigned int chunks,
		   struct zbud_run *run)
{
	if (page_has_cells(page)) {
		page_cells(page)->nr_free--;
		page_cells(page)->first_free = slot + 1;
	} else {
		page->zbud_slots[slot] = slot_make_used(chunks);
		page_add_free_chunks(page, -(int)chunks);
	}
	run->page = page;
	run->slot = slot;
	run->offset = slot_offset(page, slot);
}

/* Undo occupy().  Return: true if the page is now empty. */
static bool vacate(const struct zbud_run *run)
{
	struct page *page = run->page;
	unsigned int chunks;

	if (page_has_cells(page)) {
		struct zbud_cells *cells = page_cells(page);

		/* Do not touch bad memory; no new object will go there. */
		if (!page_bad(page))
			memzero_page(page, run->offset, ZBUD_HEADER_SIZE);
		cells->first_free = min(cells->first_free, run->slot);
		return ++cells->nr_free == page_nr_cells(page);
	}
	chunks = run_bucket(run);
	page_add_free_chunks(page, chunks);
	if (page_free_chunks(page) == ZBUD_CHUNKS)
		return true;
	page->zbud_slots[run->slot] = slot_make_hole(chunks);
	return false;
}

#endif /* _MM_ZBUD_PAGE_H */
