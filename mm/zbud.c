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
 * objects (8 on 32-bit), or more if they are tiny.
 *
 * **Chunks and slots.**  A page is divided into 128 chunks, of 32 bytes where
 * pages have 4 KiB.  An object takes a run of chunks and one of the page's
 * slots.  A slot is one byte of struct page; it says how long the object is,
 * or how long the hole is that the object left behind.  The slots are in the
 * order of what they describe, so an object begins where the lengths of the
 * slots before it add up to, and nothing needs to be stored in the page but
 * the objects.
 *
 * **Tiny objects.**  Objects of less than a sixteenth of a page (an eighth on
 * 32-bit) would use up a page's slots before its chunks.  They go to pages that
 * are divided into cells of the same size, from 32 bytes on.  Struct page says
 * how large the cells of a page are, and how many are free.  Which of them are
 * free, the cells say: they begin with 0, where an object has the address of its
 * handle word.  Before a tiny object takes a new page, it takes a slot of a page
 * that has no room for anything larger.
 *
 * **Free space.**  Pages hang in buckets by their number of free chunks, and
 * an object goes to the fullest page that has enough of them, found by a
 * bitmap of the buckets that are not empty.  The free chunks may be in pieces:
 * the page's objects are then moved together first.  A page without objects
 * is given back at once.
 *
 * **Split objects.**  An object that no page has enough room for is split over
 * the free chunks of two pages, rather than to take a new one.  Each part is in
 * a slot of its own; the first part knows where the second one is.  Both pages
 * are of the same shard.
 *
 * **Handles.**  The owner of an object provides a word of memory, in which
 * zbud keeps the object's place: page frame number, shard, and either the cell
 * or the slot and whether the object is split.  To free an object in a slot, zbud
 * does not look at it; of one in a cell, it looks at the address only.  The object in turn
 * begins with the address of that word.  So zbud can move an object to
 * another page and tell the owner by rewriting the word, and needs no table
 * in between.  The word must stay where it is while the object is
 * allocated, and only zbud may write it.  An object that needs the whole page
 * has no room for the address in it; as it is alone in there, the address
 * takes the place of the slots that such a page does not use.  Of a split
 * object, the word has the place of the first part, and both parts begin with
 * the address of the word.
 *
 * **Pins.**  A reader pins the page, or both pages, of the object.  The objects
 * of a pinned page stay where they are; others may be freed from it, or added
 * where that moves nothing.  Pins are counted, and their holder may sleep.
 *
 * **Migration.**  A page that is not pinned can be migrated: its objects keep
 * their slots, and their owners' words get the new frame number.  While a page
 * is isolated for that it is in no bucket; reading and freeing go on.
 *
 * **Compaction.**  When more than an eighth of a shard is free, a worker moves
 * the objects of its emptiest pages into the holes of the others, and gives the
 * pages back.  It moves one object at a time and lets go of the lock in
 * between; the page that it empties is isolated meanwhile, as for migration.
 * What is in cells goes to cells of the same size.
 * Frees start it, so an idle pool costs nothing; where it gains nothing, it is
 * not started again before there is more to gain.  Under memory pressure a
 * shrinker does the same, and goes further.
 *
 * **Locks.**  The pages of a pool are dealt out over a number of shards, and
 * an object stays in its shard for life.  The shard's lock guards everything
 * about its pages: slots, object headers, free count, pins and buckets, and
 * it guards the handle words of the objects in them: who has read a word locks
 * the shard that it names, and reads it again; if it still says the same, the
 * object is there, and stays until the lock is dropped.  Nobody needs two
 * shards at a time.  Shard locks are taken under the page lock, the swap cluster
 * lock and the lock of zswap's index, and no lock under them.
 */

#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/cpumask.h>
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
 * How many pages an allocation looks at.  Only a pinned page can disappoint
 * it, and there are as few of those as there are readers.
 */
#define ZBUD_MAX_TRIES		8

/* Enough for CPUs to stay out of each other's way, even if one stores it all. */
#define ZBUD_SHARDS_PER_CPU	8
/* A constant, as sparse refuses what min() makes of the whole expression. */
enum { ZBUD_SHARD_BITS = MIN(6, ZBUD_SPARE_BITS - ZBUD_PLACE_BITS) };
#define ZBUD_MAX_SHARDS		BIT(ZBUD_SHARD_BITS)
static_assert(ZBUD_SHARD_BITS >= 0);

/* An object may go to as many of them; if there is no memory, to all. */
#define ZBUD_SHARDS_SEARCHED	4U
/* Of a class of cells, there is to be little more than one page with room. */
#define ZBUD_SHARDS_FOR_CELLS	16U

/*
 * Compaction starts when more than one part in 8 of a shard is free, and ends
 * when it is one in 16.  It has to gain a page to be worth it, so a shard must
 * have 8.  It starts after the time that the exit of a process may take, as it
 * would move objects that are freed next.
 */
#define ZBUD_COMPACT_START	8
#define ZBUD_COMPACT_STOP	16
#define ZBUD_COMPACT_DELAY	msecs_to_jiffies(100)
/* Under memory pressure, half of what then is left is worth having. */
#define ZBUD_SHRINK_STOP	32

/**
 * struct zbud_shard - a part of a pool's pages, and the lock that guards them
 * @lock: guards the shard and its pages; see "Locks" above
 * @index: the shard's number in its pool, for the handles
 * @bitmap: a bit for each bucket, set if there are pages in it.  Peeked at
 *	without the lock, to see whether it is worth taking.
 * @buckets: pages by free chunks, or by the class of their cells.  Bucket 0 is
 *	never searched: it has the pages that are full, or have no slot left.
 * @nr_pages: pages of the shard.  Like what follows, it is changed with the
 *	lock held, but read without it.
 * @nr_free: free chunks of the pages that can be searched
 * @gave_up: with so many of them, compaction gained nothing; or 0
 * @nr_lost: second parts that nobody can find, as the first is in a bad frame
 * @free_cells: of the pages in each class' bucket
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
} ____cacheline_aligned_in_smp;

/**
 * struct zbud_pool - what one user has stored
 * @nr_pages: pages in the pool
 * @compaction: the worker that compacts the pool
 * @shrinker: compacts the pool under memory pressure
 * @rcu: frees the pool, once nobody can be looking at it by way of a page
 *	that was its
 * @next_shard: where the shrinker goes on.  Only a hint: racing updates are
 *	harmless.
 * @nr_shards: how many shards there are, a power of two
 * @shards: the shards
 */
struct zbud_pool {
	atomic_long_t nr_pages;
	struct delayed_work compaction;
	struct shrinker *shrinker;
	struct rcu_head rcu;
	unsigned int next_shard;
	unsigned int nr_shards;
	struct zbud_shard shards[] __counted_by(nr_shards);
};

/* === Handles and headers ================================================= */

/* The shards in a row, beginning anew after the last one. */
static inline struct zbud_shard *pool_shard(struct zbud_pool *pool,
					    unsigned long index)
{
	return &pool->shards[index & (pool->nr_shards - 1)];
}

static inline struct zbud_pool *shard_pool(struct zbud_shard *shard)
{
	return container_of(shard - shard->index, struct zbud_pool, shards[0]);
}

/* The handle of an object with this run and header, or the link to a run. */
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

/* The cell, or the slot above the bit that says whether it has a first part. */
static inline unsigned int handle_place(unsigned long handle)
{
	return handle & (BIT(ZBUD_PLACE_BITS) - 1);
}

static inline struct zbud_shard *handle_shard(struct zbud_pool *pool,
					      unsigned long handle)
{
	return pool_shard(pool, handle >> ZBUD_PLACE_BITS);
}

/* A word of the header: number 0 has the owner, number 1 the link. */
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
 * Where the data of a part begins, from the beginning of its page, and what it
 * has room for, in bytes.
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

/* What a handle names, as far as that can be told without the header. */
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
		       (PageHWPoison(run->page) || read_header(run, 0));
	}
	run->slot >>= ZBUD_SPLIT_BITS;
	if (unlikely(run->slot >= ZBUD_SLOTS ||
		     !slot_used(run->page->zbud_slots[run->slot])))
		return false;
	run->offset = chunks_to_bytes(slot_start(run->page, run->slot));
	return true;
}

/* Does a run begin with this? */
static inline bool header_is(const struct zbud_run *run, unsigned long *owner,
			     unsigned long part)
{
	return read_header(run, 0) == ((unsigned long)owner | part);
}

/*
 * Find the object that @handle names, which lock_object() read as @word.  It is
 * there, unless somebody has written where they should not, or uses a handle
 * that was freed.  To be @read, it must have the right header.
 *
 * Nothing is read from a frame that memory_failure() found to be bad.  An object
 * that has a part there can be freed, but not read.  If that is the first part,
 * nobody knows where the second one is: it stays where it is, for good.
 * Nor can a free cell be told from others there: a stale copy of a handle, freed
 * again, counts it as free once more.  What the owner has is 0 after the first.
 */
static bool find_object(struct zbud_shard *shard, unsigned long *handle,
			unsigned long word, struct zbud_object *obj, bool read)
{
	struct zbud_run *parts = obj->parts;
	unsigned long link;
	bool split;

	obj->nr_parts = 1;
	/* A word that was freed is 0, which may be no page's. */
	if (unlikely(!(word || pfn_valid(0)) || !handle_run(shard, word, &parts[0])))
		goto none;
	split = word & ZBUD_FIRST_PART && !page_has_cells(parts[0].page);
	if (unlikely(PageHWPoison(parts[0].page))) {
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
	if (unlikely(PageHWPoison(parts[1].page)))
		return !read;
	if (likely(header_is(&parts[1], handle, ZBUD_SECOND_PART)))
		return true;
none:
	WARN_ONCE(1, "zbud: no object for the handle %#lx\n", word);
	return false;
}

/* === Buckets ============================================================= */

/* The slots of a page_whole() say nothing, but it has no free chunks either. */
static inline unsigned int page_bucket(const struct page *page)
{
	if (page_has_cells(page))
		return page_cells(page)->nr_free ? page_cells(page)->bucket : 0;
	return page_has_slot(page) ? page_free_chunks(page) : 0;
}

/* The free chunks that a page in this bucket counts for. */
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
		/* To be filled from here, and emptied from there. */
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

/* To be called with the bucket that the page was added to. */
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
 * Take a page out of its bucket; reading and freeing go on.  A frame that is bad
 * is never put back.  So each is found only once, however many there are.
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

/* The page is empty, and in no bucket.  It is left to free_pool_page(). */
static void shard_remove_page(struct zbud_shard *shard, struct page *page)
	__must_hold(&shard->lock)
{
	WRITE_ONCE(page->zbud_shard, NULL);
	/* What was not worth it in a large shard is worth it in a smaller one. */
	if (shard->gave_up)
		WRITE_ONCE(shard->gave_up,
			   shard->gave_up - shard->gave_up / shard->nr_pages);
	WRITE_ONCE(shard->nr_pages, shard->nr_pages - 1);
	atomic_long_dec(&shard_pool(shard)->nr_pages);
}

/* === Objects in a shard ================================================== */

/*
 * Find a run in the fullest page that has one, of those in the buckets below
 * @end: either of free chunks, or a cell.
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

			if (unlikely(PageHWPoison(page))) {
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
 * Return: its page, if that is empty now and for free_pool_page(), or NULL.
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

/* Make a run, or two, the object of @handle, with @len bytes of data. */
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

/* May two pages have room for @chunks, if the emptiest is in this bucket? */
static inline bool may_split(unsigned int bucket, unsigned int chunks)
{
	return bucket >= ZBUD_MIN_FIRST_PART && 2 * bucket >= chunks;
}

/*
 * Find two runs for an object of @size bytes, which needs @chunks if it is not
 * split.  The first part fills the emptiest page that there is, the second one
 * goes where it fits best.
 */
static bool take_two_runs(struct zbud_shard *shard, size_t size,
			  unsigned int chunks, struct zbud_object *obj)
	__must_hold(&shard->lock)
{
	unsigned int bucket = bucket_below(shard, chunks);

	if (!may_split(bucket, chunks))
		return false;
	/* Do not rearrange one page in vain if there is no other. */
	chunks = size_to_chunks(size + 2 * ZBUD_HEADER_SIZE - chunks_to_bytes(bucket));
	if (list_is_singular(&shard->buckets[bucket]) &&
	    bucket_below(shard, bucket) < chunks)
		return false;

	if (!take_run(shard, bucket, &obj->parts[0]))
		return false;
	obj->nr_parts = 2;
	if (take_run(shard, chunks, &obj->parts[1])) {
		/* If that is in the same page, it may have moved the first. */
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

	/* What cannot be migrated must not be in the way of what can. */
	if (!IS_ENABLED(CONFIG_MIGRATION))
		gfp &= ~__GFP_MOVABLE;
	return alloc_pages_node(nid, gfp, 0);
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
static void free_pool_page(struct page *page)
{
	VM_WARN_ON_ONCE_PAGE(page->zbud_shard || page_pinned(page), page);

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
	/* Compaction may have it. */
	taken = !page_isolated(page) && !page_pinned(page) && !PageHWPoison(page);
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
 * Do a run and its owner agree on where it is?  This is asked before a run is
 * moved, as what moving writes to comes from the header: a corrupt one may name
 * any address.
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
	/* In a bad frame, the link can neither be read nor changed. */
	return pfn_valid(handle_pfn(word)) &&
	       handle_run(run->page->zbud_shard, word, &first) &&
	       !PageHWPoison(first.page) &&
	       header_is(&first, owner, ZBUD_FIRST_PART) &&
	       read_header(&first, 1) == make_handle(run, 0);
}

static bool owners_agree(struct page *page)
{
	struct zbud_run run;

	for (run = first_run(page); run.page; run = next_run(run))
		if (!owner_agrees(&run))
			return false;
	return true;
}

/*
 * Tell the owner of an object where a part of it is now.  It is the link of the
 * first part that says where the second one is.
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

/* Make @dst what @src is, and tell the owners. */
static void replace_page(struct page *dst, struct page *src)
{
	struct zbud_run run;

	__folio_set_zbud(page_folio(dst));
	WRITE_ONCE(dst->page_type, dst->page_type | page_free_chunks(src));
	WRITE_ONCE(dst->zbud_shard, src->zbud_shard);
	memcpy(dst->zbud_slots, src->zbud_slots, sizeof(dst->zbud_slots));
	copy_highpage(dst, src);

	/* First parts first: by way of them the second ones are found. */
	for (run = first_run(dst); run.page; run = next_run(run))
		if (!(read_header(&run, 0) & ZBUD_SECOND_PART))
			part_moved(&run);
	/* Parts are never in cells, and there may be many of those. */
	if (!page_has_cells(dst))
		for (run = first_run(dst); run.page; run = next_run(run))
			if (read_header(&run, 0) & ZBUD_SECOND_PART)
				part_moved(&run);
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
	if (page_pinned(src) || PageHWPoison(src) || !owners_agree(src)) {
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

/* === Compaction ========================================================== */

/* Is more than one part in @parts of the shard free? */
static inline bool shard_sparse(const struct zbud_shard *shard, unsigned int parts)
{
	unsigned long nr_pages = READ_ONCE(shard->nr_pages);

	return nr_pages >= ZBUD_COMPACT_START &&
	       READ_ONCE(shard->nr_free) * parts > nr_pages * ZBUD_CHUNKS;
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
 * Copy an object, or a part of one, to another page of the shard, and tell its
 * owner.  The page it is in is isolated, and so is not found.
 */
static bool move_run(struct zbud_shard *shard, const struct zbud_run *run)
	__must_hold(&shard->lock)
{
	unsigned int bucket = run_bucket(run);
	unsigned long header = read_header(run, 0);
	size_t bytes = run_bytes(run);
	struct zbud_object to = { .nr_parts = 1 };
	void *addr;

	if (take_run(shard, bucket, &to.parts[0])) {
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

/*
 * Of the pages of cells that others of their class have room for, one with the
 * most free space: more than compaction leaves.
 */
static struct page *sparsest_cells(struct zbud_shard *shard)
	__must_hold(&shard->lock)
{
	unsigned int bucket = ZBUD_CHUNKS + 1, most = ZBUD_CHUNKS / ZBUD_COMPACT_START;
	struct page *page, *next, *found = NULL;

	for_each_set_bit_from(bucket, shard->bitmap, ZBUD_BUCKETS) {
		unsigned int tries = ZBUD_MAX_TRIES;

		list_for_each_entry_safe_reverse(page, next, &shard->buckets[bucket],
						 zbud_list) {
			unsigned int chunks = counted_chunks(page, bucket);

			if (unlikely(PageHWPoison(page))) {
				isolate_page(shard, page);
				continue;
			}
			if (shard->free_cells[bucket - ZBUD_CHUNKS] < page_nr_cells(page) ||
			    !tries--)
				break;
			if (chunks <= most || page_pinned(page))
				continue;
			most = chunks;
			found = page;
		}
	}
	return found;
}

/* Of the pages that can be emptied, the one with the most free space. */
static struct page *sparsest_page(struct zbud_shard *shard)
	__must_hold(&shard->lock)
{
	unsigned int bucket = ZBUD_CHUNKS, tries = ZBUD_MAX_TRIES;
	struct page *page = sparsest_cells(shard), *next;

	if (page)
		return page;
	while ((bucket = bucket_below(shard, bucket))) {
		list_for_each_entry_safe(page, next, &shard->buckets[bucket], zbud_list) {
			if (unlikely(PageHWPoison(page))) {
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

/* Isolate the page to empty next, and hold a reference to it. */
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

/* What became of a page that is to be emptied. */
enum zbud_step {
	ZBUD_MOVED,		/* an object, and there are more */
	ZBUD_EMPTIED,		/* the page has left the shard */
	ZBUD_PINNED,		/* somebody has begun to read from the page */
	ZBUD_STUCK,		/* there is no room for what is left in the page */
	ZBUD_FIXED,		/* what is left in the page is never moved */
};

/*
 * Move the first object of a page that isolate_sparsest_page() returned, or put
 * the page back.  The search begins at @slot, and what is returned there is where
 * the next one does: as nothing is added to the page, what was empty stays so.
 */
static enum zbud_step move_first_run(struct zbud_shard *shard, struct page *page,
				     unsigned int *slot)
{
	enum zbud_step step = ZBUD_STUCK;
	struct zbud_run run;

	guard(spinlock)(&shard->lock);
	/* Frees that came between may have emptied it. */
	if (page->zbud_shard != shard)
		return ZBUD_EMPTIED;
	/* It stays isolated, or it would be the sparsest again. */
	if (PageHWPoison(page))
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
		/* Not yet: the caller has a reference. */
		free_pool_page(page);
		return ZBUD_EMPTIED;
	}
	putback_page(shard, page);
	return step;
}

/*
 * Empty one page of the shard.  The lock is held for one object at a time:
 * with large pages, to move one and to make room for it takes long enough.
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

/* Empty up to @nr pages while more than one part in @parts is free. */
static unsigned long compact_shard(struct zbud_shard *shard, unsigned int parts,
				   unsigned long nr)
{
	unsigned int tries = ZBUD_MAX_TRIES;
	unsigned long done = 0;

	while (done < nr && tries && shard_sparse(shard, parts)) {
		switch (shard_empty_page(shard)) {
		case ZBUD_EMPTIED:
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
 * zbud_compact() - give free space back that is spread over a pool's pages
 * @pool: the pool
 *
 * The pool does so by itself, but later, and only if there is much.
 *
 * Context: May sleep.
 */
void zbud_compact(struct zbud_pool *pool)
{
	unsigned int i;

	for (i = 0; i < pool->nr_shards; i++)
		compact_shard(&pool->shards[i], ZBUD_SHRINK_STOP, ULONG_MAX);
}

static void compaction_worker(struct work_struct *work)
{
	struct zbud_pool *pool = container_of(to_delayed_work(work),
					      struct zbud_pool, compaction);
	unsigned int i;

	for (i = 0; i < pool->nr_shards; i++)
		compact_shard(&pool->shards[i], ZBUD_COMPACT_STOP, ULONG_MAX);
}

/* About as many pages can a shard give back under memory pressure. */
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

/* What zbud_store() is to store. */
struct zbud_data {
	const void *src;
	size_t size;
	unsigned int bucket;	/* chunks if it is not split, or cells */
	unsigned int end;	/* of the buckets to search */
	unsigned long *handle;
	unsigned int home;	/* the first shard to search */
};

/* Store in the pages that the shard has. */
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

/* Store in the pages that up to @nr shards have. */
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
		/* Only a peek: if it is wrong, that costs a little space or time. */
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

/* The same for those buckets alone that @data names, and not split. */
static bool store_tiny_in_shards(struct zbud_pool *pool,
				 const struct zbud_data *data, unsigned int nr)
{
	unsigned int i;

	nr = min(nr, pool->nr_shards);
	for (i = 0; i < nr; i++) {
		struct zbud_shard *shard = pool_shard(pool, data->home + i);
		/* Only a peek, as above. */
		unsigned int bucket = data_race(find_next_bit(shard->bitmap,
							      data->end, data->bucket));

		if (bucket < data->end && store_in_shard(shard, data, false))
			return true;
	}
	return false;
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

	obj.nr_parts = 1;
	occupy(page, 0, data->bucket, &obj.parts[0]);
	set_object(&obj, data->handle, data->src, data->size);
	guard(spinlock)(&shard->lock);
	shard_add_page(shard, page);
	page_set_movable(page);
	return true;
}

/*
 * Store in a cell, or where a page has so little left that nothing else would
 * miss the slot.
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
 * @src: what to store
 * @size: bytes of it, 1 to PAGE_SIZE
 * @gfp: how to get a page if none in the pool has room
 * @nid: the node that such a page should come from, or NUMA_NO_NODE
 * @handle: where to keep the handle, if it is stored.  The word belongs to zbud
 *	until the object is freed, and must stay where it is.
 *
 * Context: Sleeps if @gfp lets it.  Takes a shard lock, so not from interrupts.
 * Return: 0, -EINVAL if @size is 0, or -ENOMEM if @size is more than a page or
 * there was no memory.
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
	/* If there is no memory, any room will do. */
	return (size_is_tiny(size) ? store_tiny(pool, &data, gfp, nid) :
		store_in_shards(pool, &data, ZBUD_SHARDS_SEARCHED) ||
		store_in_new_page(pool, &data, gfp, nid)) ||
	       store_in_shards(pool, &data, ZBUD_MAX_SHARDS) ? 0 : -ENOMEM;
}

/**
 * zbud_free() - free an object
 * @pool: the pool
 * @handle: the object's handle.  The object must not be being read.
 *
 * The word is 0 afterwards.  A page that is left without objects is free when
 * this returns, or when migration lets go of it.
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
	/* If the object is not found whole, what there is of it stays there. */
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
		queue_delayed_work(system_dfl_wq, &pool->compaction,
				   ZBUD_COMPACT_DELAY);
}

/**
 * zbud_read_begin() - get at an object's data
 * @pool: the pool
 * @handle: the object's handle
 * @sg: ZBUD_SG_ENTRIES entries, which are made a list of one or two that
 *	cover the data
 * @len: bytes to read, not more than were stored
 *
 * Pins the data until zbud_read_end(), which needs the list as it is.  The
 * object must not be freed meanwhile.
 *
 * Context: Does not sleep, but the caller may until zbud_read_end().  Takes a
 * shard lock, so not from interrupts.
 * Return: 0, or -EIO if there is no such object, or less of it than @len; then
 * nothing is pinned.
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

/**
 * zbud_read_end() - let go of an object's data
 * @sg: the list that zbud_read_begin() made
 *
 * Context: Does not sleep.  Takes a shard lock, so not from interrupts.
 */
void zbud_read_end(struct scatterlist *sg)
{
	/* That of both pages: a page that is pinned stays in its shard. */
	struct zbud_shard *shard = sg_page(sg)->zbud_shard;

	guard(spinlock)(&shard->lock);
	for (; sg; sg = sg_next(sg))
		page_unpin(sg_page(sg));
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

/**
 * zbud_create_pool() - make an empty pool
 *
 * Context: Sleeps.
 * Return: the pool, or NULL if there was no memory.
 */
struct zbud_pool *zbud_create_pool(void)
{
	/* min() of two macros this long is too much for sparse. */
	const unsigned long max_shards = ZBUD_MAX_SHARDS;

	return create_pool(min(roundup_pow_of_two(nr_cpu_ids * ZBUD_SHARDS_PER_CPU),
			       max_shards));
}

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
	/* Objects have owners who would read the memory: rather leak it. */
	if (zbud_total_pages(pool)) {
		WARN_ON(!nr_lost);
		return;
	}
	kvfree_rcu(pool, rcu);
}

#ifdef CONFIG_ZBUD_KUNIT_TEST
#include "tests/zbud-kunit.h"
#endif
