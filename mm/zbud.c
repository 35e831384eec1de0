// SPDX-License-Identifier: GPL-2.0-only
/*
 * zbud: an allocator for compressed pages
 */

/**
 * DOC: zbud
 *
 * zbud stores compressed pages: objects of up to PAGE_SIZE bytes that are
 * written once, read a few times and freed in any order, while the system is
 * short of memory.  It uses single pages only, each of which holds up to 16
 * objects (8 on 32-bit).
 *
 * **Chunks and slots.**  A page is divided into 128 chunks, of 32 bytes where
 * pages have 4 KiB.  An object takes a run of chunks and one of the page's
 * slots.  A slot is one byte of struct page; it says how long the object is,
 * or how long the hole is that the object left behind.  The slots are in the
 * order of what they describe, so an object begins where the lengths of the
 * slots before it add up to, and nothing needs to be stored in the page but
 * the objects.
 *
 * **Free space.**  Pages hang in buckets by their number of free chunks, and
 * an object goes to the fullest page that has enough of them, found by a
 * bitmap of the buckets that are not empty.  The free chunks may be in pieces:
 * the page's objects are then moved together first.  A page without objects
 * is given back at once.
 *
 * **Handles.**  The owner of an object provides a word of memory, in which
 * zbud keeps the object's place: page frame number, shard and slot.  The
 * object in turn begins with the address of that word.  So zbud can move an
 * object to another page and tell the owner by rewriting the word, and needs
 * no table in between.  The word must stay where it is while the object is
 * allocated, and only zbud may write it.  An object that needs the whole page
 * has no room for the address in it; as it is alone in there, the address
 * takes the place of the slots that such a page does not use.
 *
 * **Pins.**  A reader pins the object's page.  The objects of a pinned page
 * stay where they are; others may be freed from it, or added where that moves
 * nothing.  Pins are counted, and their holder may sleep.
 *
 * **Migration.**  A page that is not pinned can be migrated: its objects keep
 * their slots, and their owners' words get the new frame number.  While a page
 * is isolated for that it is in no bucket; reading and freeing go on.
 *
 * **Locks.**  The pages of a pool are dealt out over a number of shards, and
 * an object stays in its shard for life.  The shard's lock guards everything
 * about its pages: slots, object headers, free count, pins and buckets, and
 * it guards the handle words of the objects in them: who has read a word locks
 * the shard that it names, and reads it again; if it still says the same, the
 * object is there, and stays until the lock is dropped.  Nobody needs two
 * shards at a time.  Shard locks are taken under the swap cluster lock and the
 * page lock, and no lock under them.
 */

#include <linux/bitmap.h>
#include <linux/bug.h>
#include <linux/cleanup.h>
#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/migrate.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmdebug.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/vmstat.h>
#include <linux/zbud.h>
#include <kunit/static_stub.h>

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
#define ZBUD_HEADER_SIZE	sizeof(unsigned long *)

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

/*
 * How many pages an allocation looks at.  Only a pinned page can disappoint
 * it, and there are as few of those as there are readers.
 */
#define ZBUD_MAX_TRIES		8

/* Bits of the largest page frame number, as in zsmalloc. */
#if defined(MAX_POSSIBLE_PHYSMEM_BITS)
#define ZBUD_PFN_BITS		(MAX_POSSIBLE_PHYSMEM_BITS - PAGE_SHIFT)
#elif defined(MAX_PHYSMEM_BITS)
#define ZBUD_PFN_BITS		(MAX_PHYSMEM_BITS - PAGE_SHIFT)
#else
#define ZBUD_PFN_BITS		(BITS_PER_LONG - PAGE_SHIFT)
#endif

/* Enough for the CPUs of a large machine to stay out of each other's way. */
#define ZBUD_SHARDS_PER_CPU	4
#define ZBUD_SHARD_BITS		MIN(6, BITS_PER_LONG - ZBUD_PFN_BITS - ZBUD_SLOT_BITS)
#define ZBUD_MAX_SHARDS		(1U << ZBUD_SHARD_BITS)
static_assert(ZBUD_SHARD_BITS >= 0);

/*
 * Shards that a CPU allocates from: its own, and as many of the next one's.
 * More would only be looked at in vain when the pool is full.
 */
#define ZBUD_SHARDS_SEARCHED	8U

/* === Data ================================================================ */

/**
 * struct zbud_shard - a part of a pool's pages, and the lock that guards them
 * @lock: guards the shard and its pages; see "Locks" above
 * @index: the shard's number in its pool, for the handles
 * @bitmap: a bit for each bucket, set if there are pages in it.  Peeked at
 *	without the lock, to see whether it is worth taking.
 * @buckets: pages by free chunks.  Bucket 0 is never searched: it has the
 *	pages that are full, or have no slot left.
 */
struct zbud_shard {
	spinlock_t lock; /* see above */
	unsigned int index;
	unsigned long bitmap[BITS_TO_LONGS(ZBUD_CHUNKS)] __guarded_by(&lock);
	struct list_head buckets[ZBUD_CHUNKS] __guarded_by(&lock);
} ____cacheline_aligned_in_smp;

/**
 * struct zbud_pool - what one user has stored
 * @nr_pages: pages in the pool
 * @rcu: frees the pool, once nobody can be looking at it by way of a page
 *	that was its
 * @nr_shards: how many shards there are, a power of two
 * @shards: the shards
 */
struct zbud_pool {
	atomic_long_t nr_pages;
	struct rcu_head rcu;
	unsigned int nr_shards;
	struct zbud_shard shards[] __counted_by(nr_shards);
};

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

static inline bool page_has_slot(const struct page *page)
{
	unsigned int i;

	if (page_whole(page))
		return false;
	for (i = 0; i < ZBUD_SLOTS; i++)
		if (!slot_used(page->zbud_slots[i]))
			return true;
	return false;
}

/* First chunk of what is in @slot. */
static unsigned int slot_start(const struct page *page, unsigned int slot)
{
	unsigned int i, start = 0;

	for (i = 0; i < slot; i++)
		start += slot_chunks(page->zbud_slots[i]);
	return start;
}

/* === Handles and headers ================================================= */

/* The shards in a row, beginning anew after the last one. */
static inline struct zbud_shard *pool_shard(struct zbud_pool *pool,
					    unsigned long index)
{
	return &pool->shards[index & (pool->nr_shards - 1)];
}

static inline unsigned long make_handle(struct page *page, unsigned int slot)
{
	return (page_to_pfn(page) << ZBUD_SHARD_BITS | page->zbud_shard->index)
		<< ZBUD_SLOT_BITS | slot;
}

static inline struct page *handle_page(unsigned long handle)
{
	return pfn_to_page(handle >> (ZBUD_SHARD_BITS + ZBUD_SLOT_BITS));
}

static inline unsigned int handle_slot(unsigned long handle)
{
	return handle & (ZBUD_SLOTS - 1);
}

static inline struct zbud_shard *handle_shard(struct zbud_pool *pool,
					      unsigned long handle)
{
	return pool_shard(pool, handle >> ZBUD_SLOT_BITS);
}

static void set_owner(struct page *page, unsigned int start,
		      unsigned long *owner)
{
	void *addr;

	if (page_whole(page)) {
		page->zbud_owner = owner;
		return;
	}
	addr = kmap_local_page(page);
	*(unsigned long **)(addr + chunks_to_bytes(start)) = owner;
	kunmap_local(addr);
}

static unsigned long *get_owner(struct page *page, unsigned int start)
{
	unsigned long *owner;
	void *addr;

	if (page_whole(page))
		return page->zbud_owner;
	addr = kmap_local_page(page);
	owner = *(unsigned long **)(addr + chunks_to_bytes(start));
	kunmap_local(addr);
	return owner;
}

/* Where the object begins that starts with chunk @start, in bytes. */
static inline size_t data_offset(const struct page *page, unsigned int start)
{
	return page_whole(page) ? 0 : chunks_to_bytes(start) + ZBUD_HEADER_SIZE;
}

/*
 * Lock the shard that an object is in.
 *
 * A word that is the same under the lock as before it names a page that has
 * the object, as moving the object rewrites the word under that lock.  Before
 * that, the frame may already belong to somebody else, and nothing of it but
 * its number may be looked at.
 */
static struct zbud_shard *lock_object(struct zbud_pool *pool,
				      const unsigned long *handle,
				      unsigned long *word)
{
	struct zbud_shard *shard;

	for (;;) {
		*word = READ_ONCE(*handle);
		shard = handle_shard(pool, *word);
		spin_lock(&shard->lock);
		if (likely(READ_ONCE(*handle) == *word))
			return shard;
		spin_unlock(&shard->lock);
	}
}

/*
 * Does the object in @slot, from chunk @start, really belong to @handle?  The
 * answer is always yes, unless somebody has written where they should not, or
 * uses a handle that was freed.  Then nobody may be given the data.
 */
static bool object_valid(struct zbud_shard *shard, struct page *page,
			 unsigned int slot, unsigned int start,
			 unsigned long *handle)
{
	if (likely(PageZbud(page) && page->zbud_shard == shard &&
		   slot_used(page->zbud_slots[slot]) &&
		   get_owner(page, start) == handle))
		return true;
	WARN_ONCE(1, "zbud: no object for the handle %#lx\n", *handle);
	return false;
}

/* === Buckets ============================================================= */

static inline unsigned int page_bucket(const struct page *page)
{
	return page_has_slot(page) ? page_free_chunks(page) : 0;
}

static void bucket_add(struct zbud_shard *shard, struct page *page)
	__must_hold(&shard->lock)
{
	unsigned int bucket = page_bucket(page);

	if (page_isolated(page))
		return;
	list_add(&page->zbud_list, &shard->buckets[bucket]);
	__set_bit(bucket, shard->bitmap);
}

/* To be called with the bucket that the page was added to. */
static void bucket_del(struct zbud_shard *shard, struct page *page,
		       unsigned int bucket)
	__must_hold(&shard->lock)
{
	if (page_isolated(page))
		return;
	list_del(&page->zbud_list);
	if (list_empty(&shard->buckets[bucket]))
		__clear_bit(bucket, shard->bitmap);
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
	int best = -1, last = -1;

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

/* Put an object into a page that has room for it in @slot, and tell its owner. */
static void place_object(struct page *page, unsigned int slot,
			 unsigned int chunks, unsigned long *handle)
{
	page->zbud_slots[slot] = slot_make_used(chunks);
	page_add_free_chunks(page, -(int)chunks);
	set_owner(page, slot_start(page, slot), handle);
	WRITE_ONCE(*handle, make_handle(page, slot));
}

/* Allocate from the pages that the shard has. */
static bool alloc_from_shard(struct zbud_shard *shard, unsigned int chunks,
			     unsigned long *handle)
{
	unsigned int bucket, tries = ZBUD_MAX_TRIES;
	struct page *page;

	/* A wrong answer costs a little space, or a look into the shard. */
	if (data_race(find_next_bit(shard->bitmap, ZBUD_CHUNKS, chunks)) >=
	    ZBUD_CHUNKS)
		return false;

	guard(spinlock)(&shard->lock);
	bucket = chunks;
	for_each_set_bit_from(bucket, shard->bitmap, ZBUD_CHUNKS) {
		list_for_each_entry(page, &shard->buckets[bucket], zbud_list) {
			int slot = make_room(page, chunks);

			if (slot >= 0) {
				bucket_del(shard, page, bucket);
				place_object(page, slot, chunks, handle);
				bucket_add(shard, page);
				return true;
			}
			if (!--tries)
				return false;
		}
	}
	return false;
}

/* === Pages of a pool ===================================================== */

static struct page *get_page_from_buddy(gfp_t gfp, int nid)
{
	KUNIT_STATIC_STUB_REDIRECT(get_page_from_buddy, gfp, nid);

	return alloc_pages_node(nid, gfp, 0);
}

static struct page *pool_add_page(struct zbud_pool *pool, unsigned int home,
				  gfp_t gfp, int nid)
{
	struct zbud_shard *shard;
	struct page *page;

	page = get_page_from_buddy(gfp, nid);
	if (!page)
		return NULL;

	__folio_set_zbud(page_folio(page));
	page_add_free_chunks(page, ZBUD_CHUNKS);
	shard = pool_shard(pool, home + page_to_pfn(page) % ZBUD_SHARDS_SEARCHED);
	WRITE_ONCE(page->zbud_shard, shard);
	memset(page->zbud_slots, 0, sizeof(page->zbud_slots));

	inc_zone_page_state(page, NR_ZSPAGES);
	atomic_long_inc(&pool->nr_pages);
	return page;
}

/*
 * The page has its first objects and is in its bucket: from here on migration
 * may take it.
 */
static void page_set_movable(struct page *page)
{
	/*
	 * What migration looks at must be there before the flag is.  Pairs with
	 * the folio_trylock() in isolate_movable_ops_page().
	 */
	smp_wmb();
	SetPageMovableOps(page);
}

/* The page is empty, in no bucket, and no longer says that it is the pool's. */
static void pool_remove_page(struct zbud_pool *pool, struct page *page)
{
	VM_WARN_ON_ONCE_PAGE(page->zbud_shard || page_pinned(page), page);

	atomic_long_dec(&pool->nr_pages);
	dec_zone_page_state(page, NR_ZSPAGES);
	/*
	 * Page type and flag stay until the page allocator resets them.  That
	 * is when migration lets go of the page, if it has it.
	 */
	__free_page(page);
}

/* === Migration =========================================================== */

/*
 * Lock the shard of a page that may be leaving the pool.  The caller has a
 * reference to the page and the RCU read lock, which keeps the shard's memory.
 *
 * Return: the shard, or NULL if the page has no objects any more.
 */
static struct zbud_shard *lock_page_shard(struct page *page)
{
	struct zbud_shard *shard = READ_ONCE(page->zbud_shard);

	if (!shard)
		return NULL;
	spin_lock(&shard->lock);
	if (likely(page->zbud_shard == shard))
		return shard;
	spin_unlock(&shard->lock);
	return NULL;
}

/* Take a page out of its bucket, so that migration can use zbud_list. */
static bool zbud_page_isolate(struct page *page, isolate_mode_t mode)
{
	struct zbud_shard *shard;
	bool taken;

	guard(rcu)();
	shard = lock_page_shard(page);
	if (!shard)
		return false;

	taken = !page_pinned(page);
	if (taken) {
		bucket_del(shard, page, page_bucket(page));
		WRITE_ONCE(page->page_type, page->page_type | ZBUD_ISOLATED);
	}
	spin_unlock(&shard->lock);
	return taken;
}

static void zbud_page_putback(struct page *page)
{
	struct zbud_shard *shard;

	guard(rcu)();
	shard = lock_page_shard(page);
	if (!shard)
		return;

	WRITE_ONCE(page->page_type, page->page_type & ~ZBUD_ISOLATED);
	bucket_add(shard, page);
	spin_unlock(&shard->lock);
}

/* Make @dst what @src is, and tell the owners. */
static void replace_page(struct page *dst, struct page *src)
{
	unsigned int slot, start = 0;

	__folio_set_zbud(page_folio(dst));
	page_add_free_chunks(dst, page_free_chunks(src));
	WRITE_ONCE(dst->zbud_shard, src->zbud_shard);
	memcpy(dst->zbud_slots, src->zbud_slots, sizeof(dst->zbud_slots));
	copy_highpage(dst, src);

	for (slot = 0; start < ZBUD_CHUNKS && slot < ZBUD_SLOTS; slot++) {
		u8 this = dst->zbud_slots[slot];

		if (slot_used(this))
			WRITE_ONCE(*get_owner(dst, start), make_handle(dst, slot));
		start += slot_chunks(this);
	}
	WRITE_ONCE(src->zbud_shard, NULL);
}

static int zbud_page_migrate(struct page *dst, struct page *src,
			     enum migrate_mode mode)
{
	struct zbud_shard *shard;

	guard(rcu)();
	shard = lock_page_shard(src);
	/* If it was emptied meanwhile, there is nothing left to do. */
	if (!shard)
		return 0;

	/* Not -EAGAIN: a reader may take longer than migration will retry. */
	if (page_pinned(src)) {
		spin_unlock(&shard->lock);
		return -EBUSY;
	}
	replace_page(dst, src);
	/* The pool's reference; migration will drop its own. */
	get_page(dst);
	bucket_add(shard, dst);
	page_set_movable(dst);
	spin_unlock(&shard->lock);

	inc_zone_page_state(dst, NR_ZSPAGES);
	dec_zone_page_state(src, NR_ZSPAGES);
	put_page(src);
	return 0;
}

static const struct movable_operations zbud_mops = {
	.isolate_page = zbud_page_isolate,
	.migrate_page = zbud_page_migrate,
	.putback_page = zbud_page_putback,
};

static int __init zbud_init(void)
{
	return IS_ENABLED(CONFIG_MIGRATION) ?
	       set_movable_ops(&zbud_mops, PGTY_zbud) : 0;
}
subsys_initcall(zbud_init);

/* === Interface =========================================================== */

/**
 * zbud_alloc() - allocate an object
 * @pool: the pool
 * @size: bytes that the object needs, 1 to PAGE_SIZE
 * @gfp: how to get a page if none in the pool has room
 * @nid: the node that such a page should come from, or NUMA_NO_NODE
 * @handle: where to keep the handle.  The word belongs to zbud until the
 *	object is freed, and must stay where it is.
 *
 * The object's contents are undefined until zbud_write().
 *
 * Context: Sleeps if @gfp lets it.  Takes a shard lock, so not from interrupts.
 * Return: 0, -EINVAL if @size is 0, or -ENOMEM if @size is more than a page or
 * there was no memory.
 */
int zbud_alloc(struct zbud_pool *pool, size_t size, gfp_t gfp, int nid,
	       unsigned long *handle)
{
	unsigned int home = raw_smp_processor_id() * ZBUD_SHARDS_PER_CPU;
	unsigned int i, chunks, searched;
	struct zbud_shard *shard;
	struct page *page;

	if (!size)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -ENOMEM;

	chunks = size_to_chunks(size);
	searched = chunks < ZBUD_CHUNKS ?
		   min(pool->nr_shards, ZBUD_SHARDS_SEARCHED) : 0;
	for (i = 0; i < searched; i++) {
		shard = pool_shard(pool, home + i);
		if (alloc_from_shard(shard, chunks, handle))
			return 0;
	}

	page = pool_add_page(pool, home, gfp, nid);
	if (!page)
		return -ENOMEM;

	shard = page->zbud_shard;
	guard(spinlock)(&shard->lock);
	place_object(page, 0, chunks, handle);
	bucket_add(shard, page);
	page_set_movable(page);
	return 0;
}

/**
 * zbud_free() - free an object
 * @pool: the pool
 * @handle: the object's handle.  The object must not be being read.
 *
 * The word is 0 afterwards.  A page that is left without objects is free when
 * this returns.
 *
 * Context: Does not sleep.  Takes a shard lock, so not from interrupts.
 */
void zbud_free(struct zbud_pool *pool, unsigned long *handle)
{
	unsigned int slot, chunks, bucket;
	struct zbud_shard *shard;
	unsigned long word;
	struct page *page;

	shard = lock_object(pool, handle, &word);
	page = handle_page(word);
	slot = handle_slot(word);
	if (!object_valid(shard, page, slot, slot_start(page, slot), handle)) {
		spin_unlock(&shard->lock);
		return;
	}

	bucket = page_bucket(page);
	chunks = slot_chunks(page->zbud_slots[slot]);
	bucket_del(shard, page, bucket);
	page_add_free_chunks(page, chunks);
	WRITE_ONCE(*handle, 0);

	if (page_free_chunks(page) == ZBUD_CHUNKS) {
		WRITE_ONCE(page->zbud_shard, NULL);
		spin_unlock(&shard->lock);
		pool_remove_page(pool, page);
		return;
	}
	page->zbud_slots[slot] = slot_make_hole(chunks);
	bucket_add(shard, page);
	spin_unlock(&shard->lock);
}

/**
 * zbud_write() - write an object
 * @pool: the pool
 * @handle: the object's handle
 * @src: what to write
 * @len: bytes to write, not more than were allocated
 *
 * Context: Does not sleep.  Takes a shard lock, so not from interrupts.
 * Return: 0, or -EIO if there is no such object; then nothing was written.
 */
int zbud_write(struct zbud_pool *pool, unsigned long *handle,
	       const void *src, size_t len)
{
	unsigned int slot, start;
	struct zbud_shard *shard;
	unsigned long word;
	struct page *page;
	void *addr;
	int err = -EIO;

	shard = lock_object(pool, handle, &word);
	page = handle_page(word);
	slot = handle_slot(word);
	start = slot_start(page, slot);
	if (object_valid(shard, page, slot, start, handle) &&
	    !WARN_ON_ONCE(size_to_chunks(len) >
			  slot_chunks(page->zbud_slots[slot]))) {
		addr = kmap_local_page(page);
		memcpy(addr + data_offset(page, start), src, len);
		kunmap_local(addr);
		err = 0;
	}
	spin_unlock(&shard->lock);
	return err;
}

/**
 * zbud_read_begin() - get at an object's data
 * @pool: the pool
 * @handle: the object's handle
 * @sg: ZBUD_SG_ENTRIES entries, which are made a list of one or two that
 *	cover the data
 * @len: bytes to read, not more than were allocated
 *
 * Pins the object until zbud_read_end().  It must not be freed meanwhile.
 *
 * Context: Does not sleep, but the caller may until zbud_read_end().  Takes a
 * shard lock, so not from interrupts.
 * Return: 0, or -EIO if there is no such object; then nothing is pinned.
 */
int zbud_read_begin(struct zbud_pool *pool, unsigned long *handle,
		    struct scatterlist *sg, size_t len)
{
	unsigned int slot, start;
	struct zbud_shard *shard;
	unsigned long word;
	struct page *page;

	shard = lock_object(pool, handle, &word);
	page = handle_page(word);
	slot = handle_slot(word);
	start = slot_start(page, slot);
	if (!object_valid(shard, page, slot, start, handle) ||
	    WARN_ON_ONCE(!len || size_to_chunks(len) >
			 slot_chunks(page->zbud_slots[slot]))) {
		spin_unlock(&shard->lock);
		return -EIO;
	}
	page_pin(page);
	spin_unlock(&shard->lock);

	sg_init_table(sg, 1);
	sg_set_page(sg, page, len, data_offset(page, start));
	return 0;
}

/**
 * zbud_read_end() - let go of an object's data
 * @pool: the pool
 * @handle: the handle that zbud_read_begin() returned 0 for
 *
 * Context: Does not sleep.  Takes a shard lock, so not from interrupts.
 */
void zbud_read_end(struct zbud_pool *pool, unsigned long *handle)
{
	struct zbud_shard *shard;
	unsigned long word;

	/* The object is pinned: the word cannot change. */
	shard = lock_object(pool, handle, &word);
	page_unpin(handle_page(word));
	spin_unlock(&shard->lock);
}

/**
 * zbud_total_pages() - size of a pool
 * @pool: the pool
 *
 * Return: the number of pages that hold the pool's objects.
 */
unsigned long zbud_total_pages(struct zbud_pool *pool)
{
	return atomic_long_read(&pool->nr_pages);
}

/**
 * zbud_meta_bytes() - memory that a pool needs besides its pages
 * @pool: the pool
 *
 * Return: bytes.
 */
size_t zbud_meta_bytes(struct zbud_pool *pool)
{
	return struct_size(pool, shards, pool->nr_shards);
}

static struct zbud_pool *create_pool(unsigned int nr_shards)
{
	struct zbud_pool *pool;
	unsigned int i, j;

	pool = kvzalloc_flex(*pool, shards, nr_shards);
	if (!pool)
		return NULL;

	pool->nr_shards = nr_shards;
	for (i = 0; i < nr_shards; i++) {
		struct zbud_shard *shard = &pool->shards[i];

		spin_lock_init(&shard->lock);
		shard->index = i;
		for (j = 0; j < ZBUD_CHUNKS; j++)
			INIT_LIST_HEAD(&shard->buckets[j]);
	}
	return pool;
}

/**
 * zbud_create_pool() - make an empty pool
 *
 * Context: Sleeps.
 * Return: the pool, or NULL if there was no memory.
 */
struct zbud_pool *zbud_create_pool(void)
{
	return create_pool(min(roundup_pow_of_two(nr_cpu_ids * ZBUD_SHARDS_PER_CPU),
			       ZBUD_MAX_SHARDS));
}

/**
 * zbud_destroy_pool() - free a pool
 * @pool: the pool, without objects
 *
 * Context: May sleep.
 */
void zbud_destroy_pool(struct zbud_pool *pool)
{
	/* Objects have owners who would read the memory: rather leak it. */
	if (WARN_ON(zbud_total_pages(pool)))
		return;
	kvfree_rcu(pool, rcu);
}

#ifdef CONFIG_ZBUD_KUNIT_TEST
#include "tests/zbud-kunit.h"
#endif
