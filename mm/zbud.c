// SPDX-License-Identifier: GPL-2.0-only
/*
 * zbud: an allocator for compressed pages
 */

/**
 * DOC: zbud
 *
 * zbud stores compressed pages: objects of up to PAGE_SIZE bytes that are
 * written once, read a few times and freed in any order, while the system is
 * short of memory.  It uses single pages only.  A page holds up to 16 objects
 * (8 on 32-bit), or more if they are tiny.
 *
 * **Chunks and slots.**  A page has 128 chunks, of 32 bytes if pages have 4 KiB.
 * An object takes a run of chunks and one of the page's slots.  A slot is one
 * byte of struct page: the length of the object, or of the hole that a freed
 * object left.  The slots are in the order of the data, so the lengths of the
 * slots before it add up to the offset of an object.  The page itself stores
 * nothing but objects.
 *
 * **Tiny objects.**  Objects of less than a sixteenth of a page (an eighth on
 * 32-bit) would use up a page's slots before its chunks.  They go to pages that
 * are divided into cells of equal size, 32 bytes or more.  Struct page has the
 * size of the cells and the number of free ones.  A free cell begins with 0; a
 * used one begins with the address of its handle word.  Before a tiny object
 * takes a new page, it takes a slot of a page that has no room for larger ones.
 *
 * **Free space.**  Buckets hold the pages by their number of free chunks, and a
 * bitmap has a bit for each bucket that is not empty.  An object goes to the
 * fullest page that has enough free chunks.  If these are not adjacent, zbud
 * moves the page's objects together first.  It frees a page as soon as the page
 * has no objects.
 *
 * **Split objects.**  If no page has enough room, an object is split over the
 * free chunks of two pages of a shard, before a new page is allocated.  Each part
 * has a slot.  The first part has a link to the second one.  If more than a
 * sixteenth of the shard is free and all the holes are too small for that, the
 * first part fills the largest hole, and the second part goes to a new page.
 *
 * **Handles.**  The owner of an object provides a word of memory, the handle.
 * zbud writes the object's location to it: page frame number, shard, and either
 * the cell, or the slot and whether the object is split.  The object in turn
 * begins with the address of the handle.  So zbud can move an object to another
 * page and rewrite the handle, without a table in between.  The handle must not
 * move while the object is allocated, and only zbud may write to it.  zbud_free()
 * reads nothing of an object but the header, and that only if the object is split
 * or in a cell.  An object that fills a page may have no room for the address, so
 * the address replaces the page's slots.  The handle of a split object has the
 * location of the first part, and both parts begin with its address.
 *
 * **Pins.**  A reader pins the page, or both pages, of an object.  Objects of a
 * pinned page do not move.  Others can be freed, or added where nothing has to
 * move.  Pins are counted, and their holders may sleep.
 *
 * **Migration.**  A page that is not pinned can be migrated.  Its objects keep
 * their slots, and zbud rewrites their handles.  While a page is isolated for
 * migration, it is in no bucket; reading and freeing continue.
 *
 * **Compaction.**  When more than an eighth of a shard is free, and a page's worth
 * of chunks, a worker moves the objects of its emptiest pages to holes in other
 * pages, and frees the emptied pages.  It moves one object at a time, drops the
 * lock in between, and isolates the page meanwhile as migration does.  Objects in
 * cells move to cells of the same size, or to larger ones if their page is almost
 * empty.  Frees start the worker, so an idle pool costs nothing.  If compaction
 * gains nothing, it starts again only when there is more to gain.  Under memory
 * pressure, a shrinker does the same and goes further.
 *
 * **Locks.**  The pages of a pool are divided into shards, and an object stays in
 * its shard.  The shard's lock guards its pages' slots, object headers, free
 * counts, pins and buckets, and the handles of the objects.  A task that has
 * read a handle locks the shard that it names and reads the handle again.  If it
 * is unchanged, the object is there until the lock is dropped.  No task holds two
 * shard locks.  Shard locks are taken under the page lock, the swap cluster lock,
 * the lock of zswap's index and zram's slot lock, and no lock is taken under them.
 */

#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/cpumask.h>
#include <linux/export.h>
#include <linux/hash.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/migrate.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>
#include <linux/zbud.h>
#include <kunit/static_stub.h>
#include "zbud_page.h"

/* === Data ================================================================ */

/*
 * Number of pages that an allocation tries.  A page with enough free chunks only
 * lacks room if it is pinned, and few pages are pinned at a time.
 */
#define ZBUD_MAX_TRIES		8

/* Enough to avoid contention, even if one CPU has stored everything. */
#define ZBUD_SHARDS_PER_CPU	8
/* MIN(), because sparse rejects the expansion of min() here. */
enum { ZBUD_SHARD_BITS = MIN(6, ZBUD_SPARE_BITS - ZBUD_PLACE_BITS) };
#define ZBUD_MAX_SHARDS		BIT(ZBUD_SHARD_BITS)
static_assert(ZBUD_SHARD_BITS >= 0);

/* Shards to try for an object; without memory, try all. */
#define ZBUD_SHARDS_SEARCHED	4U
/* The same for cells, so that few pages of each class have room. */
#define ZBUD_SHARDS_FOR_CELLS	16U

/*
 * An idle shard keeps up to a page of free space that compaction cannot free.
 * There are so few shards in a pool that this is less than 1/1024 of memory.
 */
#define ZBUD_PAGES_PER_SHARD	1024

/*
 * Compaction starts when more than 1/8 of a shard is free, and ends at 1/16.  The
 * delay lets a process exit first, which would free the objects that were just
 * moved.
 */
#define ZBUD_COMPACT_START	8
#define ZBUD_COMPACT_STOP	16
/* Objects move to larger cells from pages with more free chunks than this. */
#define ZBUD_CELLS_SPARSE	(ZBUD_CHUNKS * 3 / 4)
#define ZBUD_COMPACT_DELAY	msecs_to_jiffies(100)
/* Under memory pressure, end at half of that. */
#define ZBUD_SHRINK_STOP	32

/**
 * struct zbud_shard - a part of a pool's pages, and the lock that guards them
 * @lock: guards the shard and its pages; see "Locks" above
 * @index: the shard's number in its pool, for the handles
 * @bitmap: a bit for each bucket, set if it has pages.  Read without the lock to
 *	decide whether to take it.
 * @buckets: pages by free chunks, or by the class of their cells.  Bucket 0 is
 *	never searched: its pages are full, or have no slot left.
 * @nr_pages: pages of the shard.  This and the following fields are written with
 *	the lock held, and read without it.
 * @nr_free: free chunks in pages outside bucket 0
 * @gave_up: value of @nr_free at which compaction gained nothing, or 0
 * @nr_lost: second parts that cannot be found because the first is in a bad frame
 * @free_cells: free cells of each class
 */
struct zbud_shard {
	spinlock_t lock; /* see above */
	unsigned int index;
	unsigned long bitmap[BITS_TO_LONGS(ZBUD_BUCKETS)] __guarded_by(&lock);
	struct list_head buckets[ZBUD_BUCKETS] __guarded_by(&lock);
	unsigned long nr_pages;
	unsigned long nr_free;
	unsigned long gave_up;
	unsigned long nr_lost;
	unsigned int free_cells[ZBUD_CELL_CLASSES] __guarded_by(&lock);
} ____cacheline_aligned_in_smp __aligned(sizeof(long));
/* Readers of page->mapping must not see the bits of an anonymous folio. */
static_assert(__alignof__(struct zbud_shard) > FOLIO_MAPPING_FLAGS);

/**
 * struct zbud_pool - the objects of one user
 * @nr_pages: pages in the pool
 * @nr_compacted: pages that compaction has freed
 * @compaction: the worker that compacts the pool
 * @shrinker: compacts the pool under memory pressure
 * @rcu: frees the pool when migration can no longer reach it through one of its
 *	former pages
 * @next_shard: where the shrinker continues.  Only a hint: racing updates are
 *	harmless.
 * @nr_shards: number of shards, a power of two
 * @shards: the shards
 */
struct zbud_pool {
	atomic_long_t nr_pages;
	atomic_long_t nr_compacted;
	struct delayed_work compaction;
	struct shrinker *shrinker;
	struct rcu_head rcu;
	unsigned int next_shard;
	unsigned int nr_shards;
	struct zbud_shard shards[] __counted_by(nr_shards);
};

/* === Handles and headers ================================================= */

/* Iterate over shards, wrapping around after the last one. */
static inline struct zbud_shard *pool_shard(struct zbud_pool *pool,
					    unsigned long index)
{
	return &pool->shards[index & (pool->nr_shards - 1)];
}

static inline struct zbud_pool *shard_pool(struct zbud_shard *shard)
{
	return container_of(shard - shard->index, struct zbud_pool, shards[0]);
}

/* The handle of an object whose first run this is, or the link to a second run */
static inline unsigned long make_handle(const struct zbud_run *run,
					unsigned long header)
{
	unsigned long place = run->slot;

	if (!page_has_cells(run->page))
		place = place << ZBUD_SPLIT_BITS | (header & ZBUD_FIRST_PART);
	return (page_to_pfn(run->page) << ZBUD_SHARD_BITS |
		run->page->zbud_shard->index) << ZBUD_PLACE_BITS | place;
}

static inline unsigned long handle_pfn(unsigned long handle)
{
	return handle >> (ZBUD_SHARD_BITS + ZBUD_PLACE_BITS);
}

static inline struct page *handle_page(unsigned long handle)
{
	return pfn_to_page(handle_pfn(handle));
}

/* The cell; or the slot, shifted by the bit for split objects */
static inline unsigned int handle_place(unsigned long handle)
{
	return handle & (BIT(ZBUD_PLACE_BITS) - 1);
}

static inline struct zbud_shard *handle_shard(struct zbud_pool *pool,
					      unsigned long handle)
{
	return pool_shard(pool, handle >> ZBUD_PLACE_BITS);
}

/* A word of the header: word 0 is the address of the handle, word 1 the link. */
static unsigned long read_header(const struct zbud_run *run, unsigned int nr)
{
	unsigned long *addr, value;

	if (page_whole(run->page))
		return (unsigned long)run->page->zbud_owner;
	addr = kmap_local_page(run->page) + run->offset;
	value = addr[nr];
	kunmap_local(addr);
	return value;
}

static void write_header(const struct zbud_run *run, unsigned int nr,
			 unsigned long value)
{
	unsigned long *addr;

	if (page_whole(run->page)) {
		run->page->zbud_owner = (unsigned long *)value;
		return;
	}
	addr = kmap_local_page(run->page) + run->offset;
	addr[nr] = value;
	kunmap_local(addr);
}

static inline unsigned long *header_owner(unsigned long header)
{
	return (unsigned long *)(header & ~ZBUD_PART_MASK);
}

/*
 * Offset of a part's data in its page, and the size of the room for it, in bytes.
 */
static inline size_t part_offset(const struct zbud_object *obj, unsigned int nr)
{
	const struct zbud_run *run = &obj->parts[nr];
	unsigned int words = obj->nr_parts - nr;

	return page_whole(run->page) ? 0 : run->offset + words * ZBUD_HEADER_SIZE;
}

static inline size_t part_room(const struct zbud_object *obj, unsigned int nr)
{
	const struct zbud_run *run = &obj->parts[nr];

	return run->offset + run_bytes(run) - part_offset(obj, nr);
}

static inline size_t object_room(const struct zbud_object *obj)
{
	size_t room = part_room(obj, 0);

	return obj->nr_parts > 1 ? room + part_room(obj, 1) : room;
}

/*
 * Lock the shard of an object.
 *
 * Moving an object rewrites its handle under the shard's lock.  So if the handle
 * is unchanged under the lock, its page has the object.  Without the lock, the
 * frame may already have another owner: only use its number.
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

/* Decode a handle, without looking at the header. */
static bool handle_run(struct zbud_shard *shard, unsigned long word,
		       struct zbud_run *run)
{
	run->page = handle_page(word);
	run->slot = handle_place(word);
	if (unlikely(!PageZbud(run->page) ||
		     READ_ONCE(run->page->zbud_shard) != shard))
		return false;
	if (page_has_cells(run->page)) {
		size_t size = cell_size(run->page);

		/* The page of a stale handle may not have its cells yet. */
		run->offset = run->slot * size;
		return size && run->offset + size <= PAGE_SIZE &&
		       (page_bad(run->page) || read_header(run, 0));
	}
	run->slot >>= ZBUD_SPLIT_BITS;
	if (unlikely(run->slot >= ZBUD_SLOTS ||
		     !slot_used(run->page->zbud_slots[run->slot])))
		return false;
	run->offset = chunks_to_bytes(slot_start(run->page, run->slot));
	return true;
}

/* Does the run begin with this word? */
static inline bool header_is(const struct zbud_run *run, unsigned long *owner,
			     unsigned long part)
{
	return read_header(run, 0) == ((unsigned long)owner | part);
}

/*
 * Find the object of @handle, which lock_object() has read as @word.  It exists
 * unless memory is corrupt, or the object was freed already.  For @read, also
 * check the header.
 *
 * Never read a frame that memory_failure() has found to be bad.  An object with a
 * part in such a frame can be freed, but not read.  If the first part is there,
 * the second one cannot be found and is lost.  Free cells there look like used
 * ones: freeing a stale copy of a handle counts the cell as free once more.  The
 * owner's own handle is 0 after it is freed.
 */
static bool find_object(struct zbud_shard *shard, unsigned long *handle,
			unsigned long word, struct zbud_object *obj, bool read)
{
	struct zbud_run *parts = obj->parts;
	unsigned long link;
	bool split;

	obj->nr_parts = 1;
	/* The handle of a freed object is 0, which need not be a page. */
	if (unlikely(!(word || pfn_valid(0)) || !handle_run(shard, word, &parts[0])))
		goto none;
	split = word & ZBUD_FIRST_PART && !page_has_cells(parts[0].page);
	if (unlikely(page_bad(parts[0].page))) {
		if (!read && split)
			shard->nr_lost++;
		return !read;
	}
	if (!split) {
		if (!read && !IS_ENABLED(CONFIG_DEBUG_VM))
			return true;
		if (likely(header_is(&parts[0], handle, 0)))
			return true;
		goto none;
	}
	if (unlikely(!header_is(&parts[0], handle, ZBUD_FIRST_PART)))
		goto none;
	obj->nr_parts = 2;
	link = read_header(&parts[0], 1);
	if (unlikely(!pfn_valid(handle_pfn(link)) ||
		     !handle_run(shard, link, &parts[1])))
		goto none;
	if (unlikely(page_bad(parts[1].page)))
		return !read;
	if (likely(header_is(&parts[1], handle, ZBUD_SECOND_PART)))
		return true;
none:
	WARN_ONCE(1, "zbud: no object for the handle %#lx\n", word);
	return false;
}

/* === Buckets ============================================================= */

/* A page_whole() has an address instead of slots, but no free chunks either. */
static inline unsigned int page_bucket(const struct page *page)
{
	if (page_has_cells(page))
		return page_cells(page)->nr_free ? page_cells(page)->bucket : 0;
	return page_has_slot(page) ? page_free_chunks(page) : 0;
}

/* Free chunks to count for a page in this bucket */
static inline unsigned int counted_chunks(const struct page *page,
					  unsigned int bucket)
{
	return bucket_has_cells(bucket) ?
		page_cells(page)->nr_counted * cell_size(page) / ZBUD_CHUNK_SIZE :
		bucket;
}

static void bucket_add(struct zbud_shard *shard, struct page *page)
	__must_hold(&shard->lock)
{
	unsigned int bucket = page_bucket(page);

	if (page_isolated(page))
		return;
	list_add(&page->zbud_list, &shard->buckets[bucket]);
	__set_bit(bucket, shard->bitmap);
	if (bucket_has_cells(bucket)) {
		struct zbud_cells *cells = page_cells(page);

		cells->nr_counted = cells->nr_free;
		shard->free_cells[bucket - ZBUD_CHUNKS] += cells->nr_free;
		/* Pages to fill are at the head, pages to empty at the tail. */
		if (cells->nr_free > page_nr_cells(page) / 2)
			list_move_tail(&page->zbud_list, &shard->buckets[bucket]);
	}
	WRITE_ONCE(shard->nr_free, shard->nr_free + counted_chunks(page, bucket));
}

/* The largest bucket that has pages without cells, or 0. */
static inline unsigned int largest_bucket(const struct zbud_shard *shard)
{
	unsigned int i = BITS_TO_LONGS(ZBUD_CHUNKS);

	while (i--) {
		unsigned long word = READ_ONCE(shard->bitmap[i]);

		if (word)
			return i * BITS_PER_LONG + __fls(word);
	}
	return 0;
}

/* @bucket: the bucket that holds the page */
static void bucket_del(struct zbud_shard *shard, struct page *page,
		       unsigned int bucket)
	__must_hold(&shard->lock)
{
	if (page_isolated(page))
		return;
	list_del(&page->zbud_list);
	if (bucket_has_cells(bucket))
		shard->free_cells[bucket - ZBUD_CHUNKS] -= page_cells(page)->nr_counted;
	WRITE_ONCE(shard->nr_free, shard->nr_free - counted_chunks(page, bucket));
	if (list_empty(&shard->buckets[bucket]))
		__clear_bit(bucket, shard->bitmap);
}

/*
 * Remove a page from its bucket; reading and freeing continue.  A bad frame is
 * never put back, so searches find each one only once.
 */
static void isolate_page(struct zbud_shard *shard, struct page *page)
	__must_hold(&shard->lock)
{
	bucket_del(shard, page, page_bucket(page));
	WRITE_ONCE(page->page_type, page->page_type | ZBUD_ISOLATED);
}

static void putback_page(struct zbud_shard *shard, struct page *page)
	__must_hold(&shard->lock)
{
	WRITE_ONCE(page->page_type, page->page_type & ~ZBUD_ISOLATED);
	bucket_add(shard, page);
}

static void shard_add_page(struct zbud_shard *shard, struct page *page)
	__must_hold(&shard->lock)
{
	WRITE_ONCE(shard->nr_pages, shard->nr_pages + 1);
	atomic_long_inc(&shard_pool(shard)->nr_pages);
	bucket_add(shard, page);
}

/* Remove an empty page that is in no bucket.  free_pool_page() must follow. */
static void shard_remove_page(struct zbud_shard *shard, struct page *page)
	__must_hold(&shard->lock)
{
	WRITE_ONCE(page->zbud_shard, NULL);
	/* In a smaller shard, compaction may be worth another try. */
	if (shard->gave_up)
		WRITE_ONCE(shard->gave_up,
			   shard->gave_up - shard->gave_up / shard->nr_pages);
	WRITE_ONCE(shard->nr_pages, shard->nr_pages - 1);
	atomic_long_dec(&shard_pool(shard)->nr_pages);
}

/* === Objects in a shard ================================================== */

/*
 * Find a run of free chunks, or a free cell, in the fullest suitable page of the
 * buckets below @end.
 */
static bool take_run_below(struct zbud_shard *shard, unsigned int chunks,
			   unsigned int end, struct zbud_run *run)
	__must_hold(&shard->lock)
{
	unsigned int bucket = chunks, tries = ZBUD_MAX_TRIES;
	struct page *page, *next;

	for_each_set_bit_from(bucket, shard->bitmap, end) {
		list_for_each_entry_safe(page, next, &shard->buckets[bucket], zbud_list) {
			int slot;

			if (unlikely(page_bad(page))) {
				isolate_page(shard, page);
				continue;
			}
			slot = make_room(page, chunks);
			if (slot >= 0) {
				occupy(page, slot, chunks, run);
				bucket_del(shard, page, bucket);
				bucket_add(shard, page);
				return true;
			}
			if (!--tries)
				return false;
		}
	}
	return false;
}

static bool take_run(struct zbud_shard *shard, unsigned int chunks,
		     struct zbud_run *run)
	__must_hold(&shard->lock)
{
	unsigned int end = bucket_has_cells(chunks) ? chunks + 1 : ZBUD_CHUNKS;

	return take_run_below(shard, chunks, end, run);
}

/*
 * Free a run.
 *
 * Return: its page, for free_pool_page(), if that is empty now; otherwise NULL.
 */
static struct page *drop_run(struct zbud_shard *shard, const struct zbud_run *run)
	__must_hold(&shard->lock)
{
	struct page *page = run->page;
	unsigned int bucket = page_bucket(page);
	bool empty = vacate(run);

	bucket_del(shard, page, bucket);
	if (empty) {
		shard_remove_page(shard, page);
		return page;
	}
	bucket_add(shard, page);
	return NULL;
}

/* Write an object of @len bytes to one run or two, and set @handle. */
static void set_object(const struct zbud_object *obj, unsigned long *handle,
		       const void *src, size_t len)
{
	const struct zbud_run *parts = obj->parts;
	unsigned long owner = (unsigned long)handle;
	unsigned long header = obj->nr_parts > 1 ? owner | ZBUD_FIRST_PART : owner;
	size_t part;

	part = min(len, part_room(obj, 0));
	memcpy_to_page(parts[0].page, part_offset(obj, 0), src, part);
	write_header(&parts[0], 0, header);
	if (obj->nr_parts > 1) {
		write_header(&parts[0], 1, make_handle(&parts[1], 0));
		write_header(&parts[1], 0, owner | ZBUD_SECOND_PART);
		memcpy_to_page(parts[1].page, part_offset(obj, 1), src + part,
			       len - part);
	}
	WRITE_ONCE(*handle, make_handle(&parts[0], header));
}

/* The largest bucket below @chunks that has pages, or 0. */
static inline unsigned int bucket_below(const struct zbud_shard *shard,
					unsigned int chunks)
{
	unsigned int bucket = find_last_bit(shard->bitmap, chunks);

	return bucket < chunks ? bucket : 0;
}

/* Could two pages hold @chunks if the emptiest is in this bucket? */
static inline bool may_split(unsigned int bucket, unsigned int chunks)
{
	return bucket >= ZBUD_MIN_FIRST_PART && 2 * bucket >= chunks;
}

/* Number of chunks for the second part of an object whose first part has @first. */
static inline unsigned int second_chunks(size_t size, unsigned int first)
{
	return size_to_chunks(size + 2 * ZBUD_HEADER_SIZE - chunks_to_bytes(first));
}

/*
 * Find two runs for an object of @size bytes, which needs @chunks if it is not
 * split.  The first part fills the emptiest page, and the second one goes where
 * it fits best.
 */
static bool take_two_runs(struct zbud_shard *shard, size_t size,
			  unsigned int chunks, struct zbud_object *obj)
	__must_hold(&shard->lock)
{
	unsigned int bucket = bucket_below(shard, chunks);

	if (!may_split(bucket, chunks))
		return false;
	/* Do not rearrange a page if there is no second one. */
	chunks = second_chunks(size, bucket);
	if (list_is_singular(&shard->buckets[bucket]) &&
	    bucket_below(shard, bucket) < chunks)
		return false;

	if (!take_run(shard, bucket, &obj->parts[0]))
		return false;
	obj->nr_parts = 2;
	if (take_run(shard, chunks, &obj->parts[1])) {
		/* If this is the same page, that may have moved the first run. */
		obj->parts[0].offset = slot_offset(obj->parts[0].page,
						   obj->parts[0].slot);
		return true;
	}
	drop_run(shard, &obj->parts[0]);
	return false;
}

/* === Pages of a pool ===================================================== */

static struct page *get_page_from_buddy(gfp_t gfp, int nid)
{
	KUNIT_STATIC_STUB_REDIRECT(get_page_from_buddy, gfp, nid);

	/* Pages that cannot be migrated must not be in movable areas. */
	if (!IS_ENABLED(CONFIG_MIGRATION))
		gfp &= ~__GFP_MOVABLE;
	return alloc_pages_node(nid, gfp, 0);
}

/*
 * Allow migration to take a page, which has its first objects and is in its
 * bucket.
 */
static void page_set_movable(struct page *page)
{
	/*
	 * Set the flag after everything that migration looks at.  Pairs with the
	 * folio_trylock() in isolate_movable_ops_page().
	 */
	smp_wmb();
	SetPageMovableOps(page);
}

/* Free a page that is empty, in no bucket, and no longer refers to the pool. */
static void free_pool_page(struct page *page)
{
	VM_WARN_ON_ONCE_PAGE(page->zbud_shard || page_pinned(page), page);

	dec_zone_page_state(page, NR_ZSPAGES);
	/*
	 * The page allocator resets the page type and flag: now, or when
	 * migration drops its reference, if it has one.
	 */
	__free_page(page);
}

/* === Migration =========================================================== */

/*
 * Lock the shard of a page that may be leaving the pool.  The caller has a
 * reference to the page, and holds the RCU read lock so that the shard is not
 * freed.
 *
 * Return: the shard, or NULL if the page has left the pool.
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
	/* Compaction may have isolated it. */
	taken = !page_isolated(page) && !page_pinned(page) && !page_bad(page);
	if (taken)
		isolate_page(shard, page);
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

	putback_page(shard, page);
	spin_unlock(&shard->lock);
}

/*
 * Do a run and its handle agree on its location?  Check that before moving the
 * run: its header has the address to write to, and a corrupt header could have any
 * address.
 */
static bool owner_agrees(const struct zbud_run *run)
{
	unsigned long header = read_header(run, 0);
	unsigned long *owner = header_owner(header);
	struct zbud_run first;
	unsigned long word;

	if (get_kernel_nofault(word, owner))
		return false;
	if (!(header & ZBUD_SECOND_PART))
		return word == make_handle(run, header);
	/* The first part is in a bad frame: do not read or write the link. */
	return pfn_valid(handle_pfn(word)) &&
	       handle_run(run->page->zbud_shard, word, &first) &&
	       !page_bad(first.page) &&
	       header_is(&first, owner, ZBUD_FIRST_PART) &&
	       read_header(&first, 1) == make_handle(run, 0);
}

/* A second part may have lost its first one to a bad frame; it moves along. */
static bool owners_agree(struct page *page)
{
	struct zbud_run run;

	for (run = first_run(page); run.page; run = next_run(run))
		if (!(read_header(&run, 0) & ZBUD_SECOND_PART) && !owner_agrees(&run))
			return false;
	return true;
}

/*
 * Write the new location of a part: that of the first part to the handle, that of
 * the second part to the link in the first part.
 */
static void part_moved(const struct zbud_run *run)
{
	unsigned long header = read_header(run, 0);
	unsigned long *owner = header_owner(header);
	struct zbud_run first;

	if (!(header & ZBUD_SECOND_PART))
		WRITE_ONCE(*owner, make_handle(run, header));
	else if (handle_run(run->page->zbud_shard, *owner, &first))
		write_header(&first, 1, make_handle(run, 0));
}

/* Move the state of page @src to @dst, and update the handles. */
static void replace_page(struct page *dst, struct page *src)
{
	struct zbud_run run, old;

	__folio_set_zbud(page_folio(dst));
	WRITE_ONCE(dst->page_type, dst->page_type | page_free_chunks(src));
	WRITE_ONCE(dst->zbud_shard, src->zbud_shard);
	memcpy(dst->zbud_slots, src->zbud_slots, sizeof(dst->zbud_slots));
	copy_highpage(dst, src);

	/* First parts first: they have the links to the second ones. */
	for (run = first_run(dst); run.page; run = next_run(run))
		if (!(read_header(&run, 0) & ZBUD_SECOND_PART))
			part_moved(&run);
	/* Split objects are never in cells.  The links still say @src. */
	if (!page_has_cells(dst))
		for (run = first_run(dst), old = first_run(src); run.page;
		     run = next_run(run), old = next_run(old))
			if (read_header(&run, 0) & ZBUD_SECOND_PART && owner_agrees(&old))
				part_moved(&run);
	WRITE_ONCE(src->zbud_shard, NULL);
}

static int zbud_page_migrate(struct page *dst, struct page *src,
			     enum migrate_mode mode)
{
	struct zbud_shard *shard;

	guard(rcu)();
	shard = lock_page_shard(src);
	/* The page was emptied meanwhile, so there is nothing left to do. */
	if (!shard)
		return 0;

	/* Not -EAGAIN: a reader may take longer than migration will retry. */
	if (page_pinned(src) || page_bad(src) || !owners_agree(src)) {
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

static struct workqueue_struct *zbud_wq;

static int __init zbud_init(void)
{
	/* Compaction gives memory back, so it must run where none is free. */
	zbud_wq = alloc_workqueue("zbud", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!zbud_wq)
		return -ENOMEM;
	return IS_ENABLED(CONFIG_MIGRATION) ?
	       set_movable_ops(&zbud_mops, PGTY_zbud) : 0;
}
subsys_initcall(zbud_init);

/* === Compaction ========================================================== */

/*
 * Is more than 1/@parts of the shard free, and enough to take a page's objects?
 * Without a page's worth of free chunks, there is no page to gain.
 */
static inline bool shard_sparse(const struct zbud_shard *shard, unsigned int parts)
{
	unsigned long nr_free = READ_ONCE(shard->nr_free);

	return nr_free >= ZBUD_CHUNKS &&
	       nr_free * parts > READ_ONCE(shard->nr_pages) * ZBUD_CHUNKS;
}

static bool shard_wants_compaction(struct zbud_shard *shard)
	__must_hold(&shard->lock)
{
	if (!shard_sparse(shard, ZBUD_COMPACT_START)) {
		WRITE_ONCE(shard->gave_up, 0);
		return false;
	}
	return shard->nr_free > shard->gave_up;
}

/*
 * Copy an object, or a part of one, to another page of the shard, and update its
 * handle.  Its old page is isolated, so the search does not find it.
 */
static bool move_run(struct zbud_shard *shard, const struct zbud_run *run)
	__must_hold(&shard->lock)
{
	unsigned int bucket = run_bucket(run);
	unsigned long header = read_header(run, 0);
	size_t bytes = run_bytes(run);
	struct zbud_object to = { .nr_parts = 1 };
	void *addr;

	if (take_run(shard, bucket, &to.parts[0]) ||
	    (bucket_has_cells(bucket) &&
	     take_run_below(shard, bucket + 1, ZBUD_BUCKETS, &to.parts[0]))) {
		memcpy_page(to.parts[0].page, to.parts[0].offset,
			    run->page, run->offset, bytes);
		part_moved(&to.parts[0]);
		return true;
	}
	if (header & ZBUD_PART_MASK || bucket_has_cells(bucket) ||
	    !take_two_runs(shard, bytes - ZBUD_HEADER_SIZE, bucket, &to))
		return false;

	addr = kmap_local_page(run->page);
	set_object(&to, header_owner(header), addr + run->offset + ZBUD_HEADER_SIZE,
		   bytes - ZBUD_HEADER_SIZE);
	kunmap_local(addr);
	return true;
}

/* Do the objects of a page of cells fit into other pages of its class? */
static bool class_has_room(const struct zbud_shard *shard, struct page *page)
	__must_hold(&shard->lock)
{
	unsigned int bucket = page_cells(page)->bucket;

	return shard->free_cells[bucket - ZBUD_CHUNKS] >= page_nr_cells(page);
}

/* Do its objects fit into the larger cells of other classes? */
static bool larger_cells_have_room(const struct zbud_shard *shard, struct page *page)
	__must_hold(&shard->lock)
{
	unsigned int used = page_nr_cells(page) - page_cells(page)->nr_free;
	unsigned int class = page_cells(page)->bucket - ZBUD_CHUNKS, free = 0;

	while (free < used && ++class < ZBUD_CELL_CLASSES)
		free += shard->free_cells[class];
	return free >= used;
}

/*
 * Find the emptiest page of cells with more free chunks than @most whose objects
 * fit elsewhere.
 */
static struct page *sparsest_cells(struct zbud_shard *shard, unsigned int most,
				   bool (*fits)(const struct zbud_shard *shard,
						struct page *page))
	__must_hold(&shard->lock)
{
	unsigned int bucket = ZBUD_CHUNKS + 1;
	struct page *page, *next, *found = NULL;

	for_each_set_bit_from(bucket, shard->bitmap, ZBUD_BUCKETS) {
		unsigned int tries = ZBUD_MAX_TRIES;

		list_for_each_entry_safe_reverse(page, next, &shard->buckets[bucket],
						 zbud_list) {
			unsigned int chunks = counted_chunks(page, bucket);

			if (unlikely(page_bad(page))) {
				isolate_page(shard, page);
				continue;
			}
			if (!tries-- || !fits(shard, page))
				break;
			if (chunks <= most || page_pinned(page))
				continue;
			most = chunks;
			found = page;
		}
	}
	return found;
}

/* Find the emptiest page that can be emptied. */
static struct page *sparsest_page(struct zbud_shard *shard)
	__must_hold(&shard->lock)
{
	unsigned int bucket = ZBUD_CHUNKS, tries = ZBUD_MAX_TRIES;
	struct page *page, *next;

	page = sparsest_cells(shard, ZBUD_CHUNKS / ZBUD_COMPACT_START, class_has_room) ?:
	       sparsest_cells(shard, ZBUD_CELLS_SPARSE, larger_cells_have_room);
	if (page)
		return page;
	while ((bucket = bucket_below(shard, bucket))) {
		list_for_each_entry_safe(page, next, &shard->buckets[bucket], zbud_list) {
			if (unlikely(page_bad(page))) {
				isolate_page(shard, page);
				continue;
			}
			if (!page_pinned(page))
				return page;
			if (!--tries)
				return NULL;
		}
	}
	return NULL;
}

/* Isolate the page to empty next, and take a reference to it. */
static struct page *isolate_sparsest_page(struct zbud_shard *shard)
{
	struct page *page;

	guard(spinlock)(&shard->lock);
	page = sparsest_page(shard);
	if (page) {
		isolate_page(shard, page);
		get_page(page);
	}
	return page;
}

/* The result of a step to empty a page */
enum zbud_step {
	ZBUD_MOVED,		/* moved one object; there may be more */
	ZBUD_EMPTIED,		/* the page was empty and has left the shard */
	ZBUD_PINNED,		/* a reader has pinned the page */
	ZBUD_STUCK,		/* no other page has room for the next object */
	ZBUD_FIXED,		/* the next object can never be moved */
};

/*
 * Move the first object of a page that isolate_sparsest_page() returned, or put
 * the page back.  Start searching at @slot, and set it to where to continue:
 * nothing is added to the page, so empty slots stay empty.
 */
static enum zbud_step move_first_run(struct zbud_shard *shard, struct page *page,
				     unsigned int *slot)
{
	enum zbud_step step = ZBUD_STUCK;
	struct zbud_run run;

	guard(spinlock)(&shard->lock);
	/* Frees may have emptied it meanwhile. */
	if (page->zbud_shard != shard)
		return ZBUD_EMPTIED;
	/* Keep it isolated, or it would be the emptiest again. */
	if (page_bad(page))
		return ZBUD_FIXED;
	run = find_run(page, *slot);
	if (!run.page || !owner_agrees(&run))
		return ZBUD_FIXED;
	*slot = run.slot;
	if (page_pinned(page)) {
		step = ZBUD_PINNED;
	} else if (move_run(shard, &run)) {
		if (!drop_run(shard, &run))
			return ZBUD_MOVED;
		/* This does not free it yet: the caller has a reference. */
		free_pool_page(page);
		return ZBUD_EMPTIED;
	}
	putback_page(shard, page);
	return step;
}

/*
 * Empty one page of the shard.  Hold the lock for one object at a time: with large
 * pages, moving one and making room for it takes long enough.
 */
static enum zbud_step shard_empty_page(struct zbud_shard *shard)
{
	struct page *page = isolate_sparsest_page(shard);
	enum zbud_step step = ZBUD_STUCK;
	unsigned int slot = 0;

	if (page) {
		do {
			step = move_first_run(shard, page, &slot);
		} while (step == ZBUD_MOVED);
		put_page(page);
	}
	if (step == ZBUD_STUCK) {
		guard(spinlock)(&shard->lock);
		WRITE_ONCE(shard->gave_up,
			   shard->nr_free + shard->nr_free / ZBUD_COMPACT_STOP);
	}
	return step;
}

/* Empty up to @nr pages while more than 1/@parts of the shard is free. */
static unsigned long compact_shard(struct zbud_shard *shard, unsigned int parts,
				   unsigned long nr)
{
	unsigned int tries = ZBUD_MAX_TRIES;
	unsigned long done = 0;

	while (done < nr && tries && shard_sparse(shard, parts)) {
		switch (shard_empty_page(shard)) {
		case ZBUD_EMPTIED:
			atomic_long_inc(&shard_pool(shard)->nr_compacted);
			done++;
			break;
		case ZBUD_PINNED:
		case ZBUD_FIXED:
			tries--;
			break;
		default:
			return done;
		}
		cond_resched();
	}
	return done;
}

/**
 * zbud_compact() - compact a pool to free pages
 * @pool: the pool
 *
 * Pools also compact themselves, but later, and only if there is much to gain.
 *
 * Context: May sleep.
 */
void zbud_compact(struct zbud_pool *pool)
{
	unsigned int i;

	for (i = 0; i < pool->nr_shards; i++)
		compact_shard(&pool->shards[i], ZBUD_SHRINK_STOP, ULONG_MAX);
}
EXPORT_SYMBOL_GPL(zbud_compact);

static void compaction_worker(struct work_struct *work)
{
	struct zbud_pool *pool = container_of(to_delayed_work(work),
					      struct zbud_pool, compaction);
	unsigned int i;

	for (i = 0; i < pool->nr_shards; i++)
		compact_shard(&pool->shards[i], ZBUD_COMPACT_STOP, ULONG_MAX);
}

/* Estimate the pages that a shard can free under memory pressure. */
static unsigned long shard_shrinkable(const struct zbud_shard *shard)
{
	unsigned long nr_free = READ_ONCE(shard->nr_free);
	unsigned long keep = READ_ONCE(shard->nr_pages) / ZBUD_SHRINK_STOP;

	if (!shard_sparse(shard, ZBUD_SHRINK_STOP) ||
	    nr_free <= READ_ONCE(shard->gave_up) || nr_free / ZBUD_CHUNKS <= keep)
		return 0;
	return nr_free / ZBUD_CHUNKS - keep;
}

static unsigned long shrinker_count(struct shrinker *shrinker,
				    struct shrink_control *sc)
{
	struct zbud_pool *pool = shrinker->private_data;
	unsigned long nr = 0;
	unsigned int i;

	for (i = 0; i < pool->nr_shards; i++)
		nr += shard_shrinkable(&pool->shards[i]);
	return nr ?: SHRINK_EMPTY;
}

static unsigned long shrinker_scan(struct shrinker *shrinker,
				   struct shrink_control *sc)
{
	struct zbud_pool *pool = shrinker->private_data;
	unsigned int i, first = READ_ONCE(pool->next_shard);
	unsigned long done = 0;

	for (i = 0; i < pool->nr_shards && done < sc->nr_to_scan; i++) {
		struct zbud_shard *shard = pool_shard(pool, first + i);
		unsigned long nr = min(shard_shrinkable(shard),
				       sc->nr_to_scan - done);

		done += compact_shard(shard, ZBUD_SHRINK_STOP, nr);
	}
	WRITE_ONCE(pool->next_shard, first + i);
	return done ?: SHRINK_STOP;
}

/* === Storing ============================================================= */

/* An object to store */
struct zbud_data {
	const void *src;
	size_t size;
	unsigned int bucket;	/* chunks if not split, or class of cells */
	unsigned int end;	/* end of the buckets to search */
	unsigned long *handle;
	unsigned int home;	/* the first shard to search */
};

/* Store to an existing page of the shard. */
static bool store_in_shard(struct zbud_shard *shard, const struct zbud_data *data,
			   bool split)
{
	struct zbud_object obj;

	obj.nr_parts = 1;
	guard(spinlock)(&shard->lock);
	if (split ? !take_two_runs(shard, data->size, data->bucket, &obj) :
		    !take_run_below(shard, data->bucket, data->end, &obj.parts[0]))
		return false;
	set_object(&obj, data->handle, data->src, data->size);
	return true;
}

/* Store to an existing page of up to @nr shards. */
static bool store_in_shards(struct zbud_pool *pool, const struct zbud_data *data,
			    unsigned int nr)
{
	DECLARE_BITMAP(may_split_in, ZBUD_MAX_SHARDS) = {};
	unsigned int i;

	if (data->bucket == ZBUD_CHUNKS)
		return false;
	nr = min(nr, pool->nr_shards);
	for (i = 0; i < nr; i++) {
		struct zbud_shard *shard = pool_shard(pool, data->home + i);
		/* Read without the lock: a wrong value costs a little space or time. */
		unsigned int bucket = data_race(largest_bucket(shard));

		if (bucket >= data->bucket && store_in_shard(shard, data, false))
			return true;
		if (may_split(bucket, data->bucket))
			__set_bit(i, may_split_in);
	}
	for_each_set_bit(i, may_split_in, nr)
		if (store_in_shard(pool_shard(pool, data->home + i), data, true))
			return true;
	return false;
}

/* The same, but only in the given buckets, and without splitting. */
static bool store_tiny_in_shards(struct zbud_pool *pool,
				 const struct zbud_data *data, unsigned int nr)
{
	unsigned int i;

	nr = min(nr, pool->nr_shards);
	for (i = 0; i < nr; i++) {
		struct zbud_shard *shard = pool_shard(pool, data->home + i);
		/* Read without the lock, as above. */
		unsigned int bucket = data_race(find_next_bit(shard->bitmap,
							      data->end, data->bucket));

		if (bucket < data->end && store_in_shard(shard, data, false))
			return true;
	}
	return false;
}

/* The first part of an object takes the largest hole, and the second one a new page. */
static bool take_hole_and_page(struct zbud_shard *shard, struct page *page,
			       const struct zbud_data *data, struct zbud_object *obj)
	__must_hold(&shard->lock)
{
	unsigned int bucket;

	if (data->bucket >= ZBUD_CHUNKS || !shard_sparse(shard, ZBUD_COMPACT_STOP))
		return false;
	bucket = bucket_below(shard, data->bucket);
	if (bucket < ZBUD_MIN_FIRST_PART || !take_run(shard, bucket, &obj->parts[0]))
		return false;
	obj->nr_parts = 2;
	occupy(page, 0, second_chunks(data->size, bucket), &obj->parts[1]);
	return true;
}

static bool store_in_new_page(struct zbud_pool *pool,
			      const struct zbud_data *data, gfp_t gfp, int nid)
{
	struct page *page = get_page_from_buddy(gfp, nid);
	struct zbud_shard *shard;
	struct zbud_object obj;

	if (!page)
		return false;

	__folio_set_zbud(page_folio(page));
	shard = pool_shard(pool, data->home);
	WRITE_ONCE(page->zbud_shard, shard);
	memset(page->zbud_slots, 0, sizeof(page->zbud_slots));
	if (bucket_has_cells(data->bucket))
		page_set_cells(page, data->bucket);
	else
		page_add_free_chunks(page, ZBUD_CHUNKS);
	inc_zone_page_state(page, NR_ZSPAGES);

	guard(spinlock)(&shard->lock);
	if (!take_hole_and_page(shard, page, data, &obj)) {
		obj.nr_parts = 1;
		occupy(page, 0, data->bucket, &obj.parts[0]);
	}
	set_object(&obj, data->handle, data->src, data->size);
	shard_add_page(shard, page);
	page_set_movable(page);
	return true;
}

/*
 * Store to a cell, or to a page that has too little room left for larger objects, so
 * that they do not need the slot.
 */
static bool store_tiny(struct zbud_pool *pool, const struct zbud_data *data,
		       gfp_t gfp, int nid)
{
	struct zbud_data cell = *data, rest = *data;

	cell.bucket = tiny_bucket(data->size);
	cell.end = cell.bucket + 1;
	rest.end = ZBUD_TINY_CHUNKS + 1;
	return store_tiny_in_shards(pool, &cell, ZBUD_SHARDS_FOR_CELLS) ||
	       store_tiny_in_shards(pool, &rest, ZBUD_SHARDS_SEARCHED) ||
	       store_in_new_page(pool, &cell, gfp, nid) ||
	       store_tiny_in_shards(pool, &cell, ZBUD_MAX_SHARDS);
}

/* === Interface =========================================================== */

/**
 * zbud_store() - store an object
 * @pool: the pool
 * @src: the data
 * @size: its size in bytes, 1 to PAGE_SIZE
 * @gfp: flags to allocate a page if none in the pool has room
 * @nid: preferred node for that, or NUMA_NO_NODE
 * @handle: returns the handle.  The word belongs to zbud until the object is
 *	freed, and must not move.
 *
 * Context: May sleep if @gfp allows it.  Takes a shard lock, so not from interrupts.
 * Return: 0; -EINVAL if @size is 0; -ENOMEM if @size is more than a page, or
 * without memory.
 */
int zbud_store(struct zbud_pool *pool, const void *src, size_t size, gfp_t gfp,
	       int nid, unsigned long *handle)
{
	struct zbud_data data = {
		.src = src,
		.size = size,
		.bucket = size_to_chunks(size),
		.end = ZBUD_CHUNKS,
		.handle = handle,
		.home = hash_ptr(handle, BITS_PER_BYTE),
	};

	if (!size || size > PAGE_SIZE)
		return size ? -ENOMEM : -EINVAL;
	/* Without memory, any room will do. */
	return (size_is_tiny(size) ? store_tiny(pool, &data, gfp, nid) :
		store_in_shards(pool, &data, ZBUD_SHARDS_SEARCHED) ||
		store_in_new_page(pool, &data, gfp, nid)) ||
	       store_in_shards(pool, &data, ZBUD_MAX_SHARDS) ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_GPL(zbud_store);

/**
 * zbud_free() - free an object
 * @pool: the pool
 * @handle: the object's handle.  No task may be reading the object.
 *
 * Sets the handle to 0.  Frees the page if it has no objects left, unless migration
 * has a reference to it, too.
 *
 * Context: Does not sleep.  Takes a shard lock, so not from interrupts.
 */
void zbud_free(struct zbud_pool *pool, unsigned long *handle)
{
	struct page *empty[ZBUD_MAX_PARTS];
	bool compact;
	struct zbud_shard *shard;
	struct zbud_object obj;
	unsigned long word;
	unsigned int i;

	shard = lock_object(pool, handle, &word);
	/* If a part is missing, leave the other one alone. */
	WRITE_ONCE(*handle, 0);
	if (!find_object(shard, handle, word, &obj, false)) {
		spin_unlock(&shard->lock);
		return;
	}
	for (i = 0; i < obj.nr_parts; i++)
		empty[i] = drop_run(shard, &obj.parts[i]);
	compact = shard_wants_compaction(shard);
	spin_unlock(&shard->lock);

	for (i = 0; i < obj.nr_parts; i++)
		if (empty[i])
			free_pool_page(empty[i]);
	if (compact && !delayed_work_pending(&pool->compaction))
		queue_delayed_work(zbud_wq, &pool->compaction,
				   ZBUD_COMPACT_DELAY);
}
EXPORT_SYMBOL_GPL(zbud_free);

/**
 * zbud_read_begin() - start reading an object
 * @pool: the pool
 * @handle: the object's handle
 * @sg: array of ZBUD_SG_ENTRIES entries; returns a list of one or two that cover
 *	the data
 * @len: bytes to read, at most the object's size
 *
 * Pins the data until zbud_read_end(), which needs the unchanged list.  The object
 * must not be freed meanwhile.
 *
 * Context: Does not sleep, but the caller may sleep before zbud_read_end().  Takes
 * a shard lock, so not from interrupts.
 * Return: 0; or -EIO if there is no such object or it is shorter than @len, and
 * then nothing is pinned.
 */
int zbud_read_begin(struct zbud_pool *pool, unsigned long *handle,
		    struct scatterlist *sg, size_t len)
{
	struct zbud_shard *shard;
	struct zbud_object obj;
	unsigned long word;
	size_t first;

	shard = lock_object(pool, handle, &word);
	if (!find_object(shard, handle, word, &obj, true) ||
	    WARN_ON_ONCE(!len || len > object_room(&obj))) {
		spin_unlock(&shard->lock);
		return -EIO;
	}
	first = min(len, part_room(&obj, 0));
	sg_init_table(sg, first < len ? 2 : 1);
	sg_set_page(&sg[0], obj.parts[0].page, first, part_offset(&obj, 0));
	page_pin(obj.parts[0].page);
	if (first < len) {
		sg_set_page(&sg[1], obj.parts[1].page, len - first,
			    part_offset(&obj, 1));
		page_pin(obj.parts[1].page);
	}
	spin_unlock(&shard->lock);
	return 0;
}
EXPORT_SYMBOL_GPL(zbud_read_begin);

/**
 * zbud_read_end() - end reading an object
 * @sg: the list from zbud_read_begin()
 *
 * Context: Does not sleep.  Takes a shard lock, so not from interrupts.
 */
void zbud_read_end(struct scatterlist *sg)
{
	/* Both pages are in this shard: a pinned page does not change shards. */
	struct zbud_shard *shard = sg_page(sg)->zbud_shard;

	guard(spinlock)(&shard->lock);
	for (; sg; sg = sg_next(sg))
		page_unpin(sg_page(sg));
}
EXPORT_SYMBOL_GPL(zbud_read_end);

/**
 * zbud_move_handle() - make another word the handle of an object
 * @pool: the pool
 * @from: the object's handle; 0 afterwards.  No task may be using it.
 * @to: the word that becomes the handle.  It belongs to zbud from now on.
 *
 * The object does not move.  So its owner can store another one with the old word,
 * and free this one only if that succeeds.
 *
 * Context: Does not sleep.  Takes a shard lock, so not from interrupts.
 */
void zbud_move_handle(struct zbud_pool *pool, unsigned long *from,
		      unsigned long *to)
{
	struct zbud_shard *shard;
	struct zbud_object obj;
	unsigned long word;
	unsigned int i;

	shard = lock_object(pool, from, &word);
	if (find_object(shard, from, word, &obj, false)) {
		for (i = 0; i < obj.nr_parts; i++) {
			struct zbud_run *run = &obj.parts[i];

			/* The object is lost, but can still be freed. */
			if (page_bad(run->page))
				continue;
			write_header(run, 0, (unsigned long)to |
				     (read_header(run, 0) & ZBUD_PART_MASK));
		}
	}
	WRITE_ONCE(*to, word);
	WRITE_ONCE(*from, 0);
	spin_unlock(&shard->lock);
}
EXPORT_SYMBOL_GPL(zbud_move_handle);

/**
 * zbud_footprint() - room that an object needs in a page
 * @size: its size in bytes
 *
 * Return: bytes; PAGE_SIZE if no other object fits in the page.
 */
size_t zbud_footprint(size_t size)
{
	if (size_is_tiny(size))
		return bucket_units(tiny_bucket(size)) * ZBUD_CELL_UNIT;
	return chunks_to_bytes(size_to_chunks(size));
}
EXPORT_SYMBOL_GPL(zbud_footprint);

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
EXPORT_SYMBOL_GPL(zbud_total_pages);

/**
 * zbud_pages_compacted() - count the pages that compaction has freed
 * @pool: the pool
 *
 * Return: their number so far, by the worker, by zbud_compact() and under memory
 * pressure.
 */
unsigned long zbud_pages_compacted(struct zbud_pool *pool)
{
	return atomic_long_read(&pool->nr_compacted);
}
EXPORT_SYMBOL_GPL(zbud_pages_compacted);

/**
 * zbud_meta_bytes() - memory that a pool uses besides its pages
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
	pool->shrinker = shrinker_alloc(0, "mm-zbud");
	if (!pool->shrinker) {
		kvfree(pool);
		return NULL;
	}
	INIT_DELAYED_WORK(&pool->compaction, compaction_worker);

	pool->nr_shards = nr_shards;
	for (i = 0; i < nr_shards; i++) {
		struct zbud_shard *shard = &pool->shards[i];

		spin_lock_init(&shard->lock);
		shard->index = i;
		for (j = 0; j < ZBUD_BUCKETS; j++)
			INIT_LIST_HEAD(&shard->buckets[j]);
	}

	pool->shrinker->count_objects = shrinker_count;
	pool->shrinker->scan_objects = shrinker_scan;
	pool->shrinker->private_data = pool;
	shrinker_register(pool->shrinker);
	return pool;
}

/* Return: the number of shards for this number of CPUs and pages of memory. */
static unsigned int shards_for(unsigned long nr_cpus, unsigned long nr_pages)
{
	/* MIN(), because sparse rejects the expansion of min() here. */
	const unsigned long max_shards = ZBUD_MAX_SHARDS;
	unsigned long nr = roundup_pow_of_two(nr_cpus * ZBUD_SHARDS_PER_CPU);

	nr_pages = max(nr_pages / ZBUD_PAGES_PER_SHARD, 1UL);
	return min3(nr, rounddown_pow_of_two(nr_pages), max_shards);
}

/**
 * zbud_create_pool() - create an empty pool
 *
 * Context: May sleep.
 * Return: the pool, or NULL without memory.
 */
struct zbud_pool *zbud_create_pool(void)
{
	return create_pool(shards_for(num_possible_cpus(), totalram_pages()));
}
EXPORT_SYMBOL_GPL(zbud_create_pool);

/**
 * zbud_destroy_pool() - free a pool
 * @pool: the pool, without objects and without users
 *
 * Context: May sleep.
 */
void zbud_destroy_pool(struct zbud_pool *pool)
{
	unsigned long nr_lost = 0;
	unsigned int i;

	shrinker_free(pool->shrinker);
	cancel_delayed_work_sync(&pool->compaction);
	for (i = 0; i < pool->nr_shards; i++)
		nr_lost += pool->shards[i].nr_lost;
	/* The objects' owners may still read the memory: leak it. */
	if (zbud_total_pages(pool)) {
		WARN_ON(!nr_lost);
		return;
	}
	kvfree_rcu(pool, rcu);
}
EXPORT_SYMBOL_GPL(zbud_destroy_pool);

#ifdef CONFIG_ZBUD_KUNIT_TEST
#include "tests/zbud-kunit.h"
#endif
