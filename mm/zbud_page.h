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
#include <linux/unaligned.h>
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

/* Below the slot, a handle says in bit 0 whether it is that of a first part. */
#define ZBUD_SPLIT_BITS		const_ilog2(2 * ZBUD_FIRST_PART)

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
 * The slots are looked at a word at a time.  Of either word, the lowest byte is
 * the slot that comes first.
 */
#define ZBUD_WORD_SLOTS		sizeof(unsigned long)

static inline unsigned long slot_word(const struct page *page, unsigned int nr)
{
	const u8 *slots = &page->zbud_slots[nr * ZBUD_WORD_SLOTS];

	return IS_ENABLED(CONFIG_64BIT) ? get_unaligned_le64(slots) :
					  get_unaligned_le32(slots);
}

/* The sum of slot_chunks() of all slots in a word, which is 128 at the most. */
static inline unsigned int word_chunks(unsigned long word)
{
	word = (word & REPEAT_BYTE(0x7f)) + ((word >> 7) & REPEAT_BYTE(0x01));
	return (word * REPEAT_BYTE(0x01)) >> (BITS_PER_LONG - 8);
}

/*
 * A bit for each slot of a word.  The product with a number that has every
 * seventh bit set puts bit 7 of each byte next to that of the byte before it.
 */
static inline unsigned int word_used(unsigned long word)
{
	const unsigned long every_seventh = (~0UL / 0x7f) >> ZBUD_WORD_SLOTS;

	word &= REPEAT_BYTE(ZBUD_SLOT_USED);
	return (word * every_seventh) >> (BITS_PER_LONG - ZBUD_WORD_SLOTS);
}

/* A bit for each slot that has an object. */
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

/* First chunk of what is in @slot. */
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
static inline struct zbud_run find_run(struct page *page, unsigned int slot)
{
	unsigned int used = used_slots(page) >> slot;

	if (!used)
		return (struct zbud_run){};
	slot += __ffs(used);
	return (struct zbud_run){ page, slot, slot_start(page, slot) };
}

/* All runs of a page, while its slots keep their lengths. */
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
 * Move the objects of a page together, but for @room chunks in front of what
 * is behind @slot: the first of the last free slots that lie between objects
 * or behind them.  All other free space comes to lie behind the last object.
 * The page must not be pinned.  Objects keep their slots, and so their order.
 */
static void rearrange(struct page *page, unsigned int slot, unsigned int room)
{
	u8 *slots = page->zbud_slots;
	unsigned int used = used_slots(page), i = ffz(used);
	unsigned int start = slot_start(page, i), target = start;

	VM_WARN_ON_ONCE_PAGE(page_pinned(page), page);

	/* In front of the slot, where there is nothing but to move down. */
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

	/* Behind it, the objects have no gaps, and stay together. */
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
 * Find a slot with room for an object of @chunks, of which the page has enough
 * free: behind the last object, or else in the first gap that will do, or else
 * after moving the objects together.  As objects are put where little is left
 * over, there is hardly ever a choice between gaps.  A gap is a run of free
 * slots: with two of them, the second can say how much of it is left over;
 * behind the last object nobody needs to.
 *
 * Return: the slot, or -1 if the objects would have to move but are pinned.
 */
static int make_room(struct page *page, unsigned int chunks)
{
	u8 *slots = page->zbud_slots;
	unsigned int used = used_slots(page), end = fls(used);
	unsigned int free = ~used & (BIT(end) - 1);
	unsigned int i, gap, slot = end;

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
