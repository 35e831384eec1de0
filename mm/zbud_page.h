/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * zbud: what is in a page.
 *
 * Included by mm/zbud.c only, which explains the whole.  Here is how objects
 * lie in a page and how room is made for one more.  Nothing here takes a lock:
 * the caller has that of the page's shard.
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
#include <linux/wordpart.h>
#include <linux/zbud.h>

/* === Layout ============================================================== */

/*
 * What zbud keeps in struct page:
 *
 *   zbud_list    the bucket, or free for migration while a page is isolated
 *   zbud_shard   the shard, and by it the pool
 *   zbud_slots   a byte a slot, in the order of the objects in the page:
 *
 *                  7 | 6 ... 0
 *                  1 | length - 1    an object, of 1 to 128 chunks
 *                  0 | length        a hole, or (0) nothing at all
 *
 *                What is behind the last object is free, whatever the slots
 *                there say.
 *   zbud_owner   instead of the second half of the slots, if the one object
 *                in the page has all 128 chunks: its handle word's address
 *   page_type    31 ... 24 | 23       | 22 ... 8 | 7 ... 0
 *                PGTY_zbud | isolated | pins     | free chunks
 *
 * A page with a full complement of pins cannot be pinned again; there are
 * never as many readers, as each has a CPU's decompressor.
 */
#define ZBUD_CHUNKS		128U
#define ZBUD_CHUNK_SHIFT	(PAGE_SHIFT - const_ilog2(ZBUD_CHUNKS))
#define ZBUD_CHUNK_SIZE		BIT(ZBUD_CHUNK_SHIFT)

/*
 * An object begins with a header of one word: the address of its handle word,
 * and in the bits that are always 0 in such an address, what it is a part of.
 * The first of two parts has a second word in its header, the link: what a
 * handle to the second part would be.
 */
#define ZBUD_HEADER_SIZE	sizeof(unsigned long)
#define ZBUD_FIRST_PART		BIT(0)
#define ZBUD_SECOND_PART	BIT(1)
#define ZBUD_PART_MASK		(ZBUD_FIRST_PART | ZBUD_SECOND_PART)
#define ZBUD_MAX_PARTS		ZBUD_SG_ENTRIES

/*
 * No first part is smaller than this many chunks, or headers and links would
 * eat up what splitting gains.
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
/* The first word's bit 0 is PageTail()'s. */
static_assert(offsetof(struct page, zbud_list) == offsetof(struct page, lru));
static_assert(offsetofend(struct page, zbud_slots) <=
	      offsetof(struct page, page_type));

/* === Slots and pages ===================================================== */

static inline bool slot_used(u8 slot)
{
	return slot & ZBUD_SLOT_USED;
}

/* Chunks that the object or the hole in a slot takes. */
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

/* Chunks that an object of @size bytes and its header take. */
static inline unsigned int size_to_chunks(size_t size)
{
	return min(DIV_ROUND_UP(size + ZBUD_HEADER_SIZE, ZBUD_CHUNK_SIZE),
		   ZBUD_CHUNKS);
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

/* Has migration taken the page, and zbud_list with it? */
static inline bool page_isolated(const struct page *page)
{
	return page->page_type & ZBUD_ISOLATED;
}

/* Is there a single object, which has the whole page? */
static inline bool page_whole(const struct page *page)
{
	return page->zbud_slots[0] == (ZBUD_SLOT_USED | (ZBUD_CHUNKS - 1));
}

/*
 * The slots are looked at a word at a time: of the bytes of a word, the ones
 * that come first in memory, and the number of the last that is not 0.
 */
#ifdef __BIG_ENDIAN
#define FIRST_BYTES(nr)		~(~0UL >> (8 * (nr)))
#define LAST_BYTE(word)		(sizeof(long) - 1 - __ffs(word) / 8)
#else
#define FIRST_BYTES(nr)		((1UL << (8 * (nr))) - 1)
#define LAST_BYTE(word)		(__fls(word) / 8)
#endif

static inline const unsigned long *slot_words(const struct page *page)
{
	return (const unsigned long *)page->zbud_slots;
}

/* The sum of slot_chunks() of all slots in a word, which is 128 at the most. */
static inline unsigned int word_chunks(unsigned long word)
{
	word = (word & REPEAT_BYTE(0x7f)) + ((word >> 7) & REPEAT_BYTE(0x01));
	return (word * REPEAT_BYTE(0x01)) >> (BITS_PER_LONG - 8);
}

static inline bool page_has_slot(const struct page *page)
{
	const unsigned long *words = slot_words(page);

	return !page_whole(page) &&
	       (words[0] & words[1] & REPEAT_BYTE(ZBUD_SLOT_USED)) !=
	       REPEAT_BYTE(ZBUD_SLOT_USED);
}

/* First chunk of what is in @slot. */
static inline unsigned int slot_start(const struct page *page, unsigned int slot)
{
	const unsigned long *words = slot_words(page);
	unsigned int start = 0;

	if (slot >= sizeof(*words)) {
		start = word_chunks(*words++);
		slot -= sizeof(*words);
	}
	if (slot)
		start += word_chunks(*words & FIRST_BYTES(slot));
	return start;
}

/* The slot behind that of the last object. */
static inline unsigned int page_end_slot(const struct page *page)
{
	const unsigned long *words = slot_words(page);
	unsigned int i;

	if (page_whole(page))
		return 1;
	for (i = 2; i--; ) {
		unsigned long used = words[i] & REPEAT_BYTE(ZBUD_SLOT_USED);

		if (used)
			return i * sizeof(*words) + LAST_BYTE(used) + 1;
	}
	return 0;
}

/*
 * The chunks of an object: what a slot describes, and where the slots before
 * it say that it begins.
 */
struct zbud_run {
	struct page *page;
	unsigned int slot;
	unsigned int start;
};

/* What an object consists of. */
struct zbud_object {
	unsigned int nr_parts;
	struct zbud_run parts[ZBUD_MAX_PARTS];
};

static inline unsigned int run_chunks(const struct zbud_run *run)
{
	return slot_chunks(run->page->zbud_slots[run->slot]);
}

/* The first run in or behind the slot, with NULL for a page if there is none. */
static inline struct zbud_run find_run(struct zbud_run run)
{
	unsigned int end = page_end_slot(run.page);

	while (run.slot < end && !slot_used(run.page->zbud_slots[run.slot])) {
		run.start += run_chunks(&run);
		run.slot++;
	}
	if (run.slot >= end)
		run.page = NULL;
	return run;
}

/* All runs of a page, while its slots keep their lengths. */
static inline struct zbud_run first_run(struct page *page)
{
	return find_run((struct zbud_run){ .page = page });
}

static inline struct zbud_run next_run(struct zbud_run run)
{
	run.start += run_chunks(&run);
	run.slot++;
	return find_run(run);
}

/* === Room in a page ====================================================== */

/*
 * Move the objects of a page together, but for @room chunks that are left
 * free for @slot.  All other free space comes to lie behind the last object.
 * The page must not be pinned.  Objects keep their slots, and so their order.
 */
static void rearrange(struct page *page, unsigned int slot, unsigned int room)
{
	u8 *slots = page->zbud_slots;
	u8 from[ZBUD_SLOTS], to[ZBUD_SLOTS];
	unsigned int start = 0, target = 0;
	void *addr;
	int i;

	VM_WARN_ON_ONCE_PAGE(page_pinned(page), page);

	for (i = 0; i < ZBUD_SLOTS; i++) {
		from[i] = start;
		to[i] = target;
		start += slot_chunks(slots[i]);
		if (slot_used(slots[i]))
			target += slot_chunks(slots[i]);
		else
			slots[i] = 0;
		if (i == slot) {
			slots[i] = slot_make_hole(room);
			target += room;
		}
	}
	VM_WARN_ON_ONCE_PAGE(target > ZBUD_CHUNKS, page);

	/*
	 * First those that move down, from the bottom, then those that move
	 * up, from the top: then each finds its place empty.
	 */
	addr = kmap_local_page(page);
	for (i = 0; i < ZBUD_SLOTS; i++)
		if (slot_used(slots[i]) && to[i] < from[i])
			memmove(addr + chunks_to_bytes(to[i]),
				addr + chunks_to_bytes(from[i]),
				chunks_to_bytes(slot_chunks(slots[i])));
	for (i = ZBUD_SLOTS - 1; i >= 0; i--)
		if (slot_used(slots[i]) && to[i] > from[i])
			memmove(addr + chunks_to_bytes(to[i]),
				addr + chunks_to_bytes(from[i]),
				chunks_to_bytes(slot_chunks(slots[i])));
	kunmap_local(addr);
}

/*
 * Find a slot with room for an object of @chunks, of which the page has enough
 * free.  The smallest gap that will do is taken, as it is if possible, else
 * after moving the objects together.  A gap is a run of free slots: with two
 * of them, the second can say how much of it is left over; behind the last
 * object nobody needs to.
 *
 * Return: the slot, or -1 if the objects would have to move but are pinned.
 */
static int make_room(struct page *page, unsigned int chunks)
{
	u8 *slots = page->zbud_slots;
	unsigned int i = 0, start = 0, best_gap = UINT_MAX, best_end = 0;
	int best = -1, last = page_end_slot(page);

	/* All free space is behind the last object, as in a page being filled. */
	if (last < ZBUD_SLOTS &&
	    slot_start(page, last) + page_free_chunks(page) == ZBUD_CHUNKS)
		return last;

	while (i < ZBUD_SLOTS) {
		unsigned int first = i, gap = 0;

		if (slot_used(slots[i])) {
			start += slot_chunks(slots[i++]);
			continue;
		}
		while (i < ZBUD_SLOTS && !slot_used(slots[i]))
			gap += slots[i++];
		if (i == ZBUD_SLOTS)
			gap = ZBUD_CHUNKS - start;
		start += gap;
		last = first;

		if (gap < chunks || gap >= best_gap)
			continue;
		if (gap > chunks && i == first + 1 && i < ZBUD_SLOTS)
			continue;
		best = first;
		best_gap = gap;
		best_end = i;
	}

	if (best >= 0) {
		memset(&slots[best], 0, best_end - best);
		if (best_end < ZBUD_SLOTS && best_gap > chunks)
			slots[best + 1] = slot_make_hole(best_gap - chunks);
		return best;
	}

	if (page_pinned(page))
		return -1;

	rearrange(page, last, chunks);
	return last;
}

/* A run for @chunks in @slot, where make_room() has made room for it. */
static void occupy(struct page *page, unsigned int slot, unsigned int chunks,
		   struct zbud_run *run)
{
	page->zbud_slots[slot] = slot_make_used(chunks);
	page_add_free_chunks(page, -(int)chunks);
	run->page = page;
	run->slot = slot;
	run->start = slot_start(page, slot);
}

#endif /* _MM_ZBUD_PAGE_H */
