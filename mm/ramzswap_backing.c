// SPDX-License-Identifier: GPL-2.0-only
/*
 * ramzswap: the backing device, where pages go that do not stay in memory
 */

/**
 * DOC: ramzswap backing device
 *
 * A page that zswap writes back, or does not take, goes to a block of the
 * backing device.  The block is chosen when the page is written, and not when
 * its slot is: what is in memory takes no block, and what is written at the same
 * time is next to each other wherever the slots are.  Blocks have the size of a
 * page, and are handed out in increasing order, around the device.
 *
 * Where a slot's page is, is in a table of block numbers, of which only those
 * parts exist that tell of a page: one page of memory for each
 * %BLOCKS_PER_CHUNK adjacent slots.  These are allocated while memory is short,
 * so there is a reserve of them.
 *
 * A slot has a block from ramzswap_backing_prepare() until its page is swapped
 * out anew, or its slot is freed, or writing has failed.
 *
 * The blocks of a folio need not be adjacent.  Each run of adjacent blocks has a
 * bio, and all of them are in flight at the same time.  Nobody waits for them
 * but who wants the folio.
 *
 * A write fails because a block is bad, or because the device does not work at
 * the moment, and drivers do not always say which.  If the block may be bad, a
 * worker writes the pages again, one by one: to the same block, and if that
 * fails, to another one.  If the other one takes the page, the first block is
 * retired: nobody uses it until the backing device is detached.  Any other
 * failure is the device's and retires nothing: the folio stays in memory, dirty.
 * Failures in a row stop the device: %FAILURES_TO_STOP if no other write is under
 * way or that lasts for %FAILING_TO_STOP, or else %FAILURES_AT_ONCE.  It then has
 * no room, and the worker writes zeros to a free block from time to time; when
 * that succeeds, the device goes on.  Reads still go to a stopped device.
 *
 * Block 0 is not used.  It says "none" in the table, and on the device it keeps
 * what tells others what the device is for.
 *
 * A regular file is activated as a swap file would be: its file system tells
 * where its blocks are, and leaves them there and alone until it is closed.
 */

#define pr_fmt(fmt) "ramzswap: " fmt

#include <linux/bio.h>
#include <linux/bitmap.h>
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mempool.h>
#include <linux/namei.h>
#include <linux/pagemap.h>
#include <linux/rbtree.h>
#include <linux/slab.h>
#include <linux/swap_ops.h>
#include <linux/swapops.h>

#include "ramzswap.h"
#include "swap.h"

#define BLOCKS_PER_CHUNK	(PAGE_SIZE / sizeof(u32))
/* Enough to write tens of thousands of pages with no memory at all. */
#define CHUNK_RESERVE		16

/* Full groups of blocks are skipped without a look at their bits. */
#define BLOCKS_PER_GROUP	4096UL

/* How many slots are looked at for pages in memory when blocks are short */
#define TAKE_BACK_SLOTS		1024

/* How many runs of free blocks are looked at to find one that is long enough */
#define RUNS_TO_TRY		32

/*
 * Pieces that can be had without any memory.  Each one is submitted before the
 * next one is allocated: who waits for one waits for I/O, and never for another
 * who waits.
 */
#define PIECE_RESERVE		32

/*
 * Failed writes without a good one between them that stop the device.  A write
 * that is refused at once fails before those that were submitted earlier, and may
 * be in a plug, have had a chance to succeed.  So wait for these, unless more
 * fail than plugs hold, or for longer than a plug lasts: of a device that times
 * out, something is always under way.
 */
#define FAILURES_TO_STOP	8
#define FAILING_TO_STOP		(10 * HZ)
#define FAILURES_AT_ONCE	128

/* How long until a stopped device is tried again, at first and at most */
#define PROBE_INTERVAL		HZ
#define PROBE_INTERVAL_MAX	(60 * HZ)

/* How often to look whether it has been, when it is to be closed */
#define CLOSE_INTERVAL		DIV_ROUND_UP(HZ, 50)

struct ramzswap_chunk {
	u32 *block;		/* BLOCKS_PER_CHUNK of them, or NULL: none */
	unsigned int nr;	/* how many are not 0 */
};

/* The I/O of some of a folio's pages, in adjacent sectors */
struct piece {
	struct bio bio;
	struct bio_vec bvec;
};

/* Adjacent blocks that are adjacent on the disk as well */
struct ramzswap_extent {
	unsigned long first;
	sector_t sector;
};

/**
 * struct ramzswap_backing - a backing device
 * @rz: whose it is
 * @file: holds it open exclusively
 * @closed: whether nobody else can write to it
 * @sis: the swap file, NULL for a block device.  It is in nobody's list; it is
 *	what file systems know
 * @extents: where the blocks are, in the order of the blocks
 * @nr_extents: their number
 * @bdev: where the I/O goes
 * @nr_blocks: its size, with block 0
 * @pool: where chunks' memory is from
 * @chunks: the table, by slot
 * @nr_chunks: its size
 * @pieces: struct piece for folios in pieces
 * @wq: for the next two.  It is the device's own, as they wait for its I/O, and
 *	reclaim waits for them
 * @retry_work: writes again what could not be written
 * @probe_work: writes to a stopped device whether it works again
 * @close_work: closes the device when @probe_work has returned
 * @lock: guards all below but the last four, and @chunks' contents; a leaf,
 *	also taken in interrupts
 * @used: a bit for each block
 * @group_used: how many are set in each group
 * @free_groups: a bit for each group that has a free block
 * @next: where to look for a free block
 * @nr_used: blocks that have a page, or were promised to one
 * @nr_held: blocks that have no page and are being written to all the same
 * @nr_bad: blocks that were retired; they are set in @used, as are those above
 * @take_back: the slot where ramzswap_backing_take_back() goes on
 * @nr_chunks_used: chunks that have a block
 * @to_retry: what is for @retry_work
 * @failures: failed writes since the last good one; set to 0 without @lock
 * @failing_since: when the first of them failed, in jiffies
 * @stopped: nothing is written but by @probe_work
 * @nr_stops: how often that was so
 * @resumed: when it last was so no more, in jiffies
 * @probe_interval: when to try next, in jiffies
 * @reads: pages read
 * @in_flight: writes that were submitted and have not ended
 * @writes: pages written
 * @write_ios: I/O requests for that
 */
struct ramzswap_backing {
	struct ramzswap *rz;
	struct file *file;
	bool closed;
	struct swap_info_struct *sis;
	struct ramzswap_extent *extents;
	unsigned int nr_extents;
	struct block_device *bdev;
	unsigned long nr_blocks;
	mempool_t *pool;
	struct ramzswap_chunk *chunks;
	unsigned long nr_chunks;
	mempool_t *pieces;
	struct workqueue_struct *wq;
	struct work_struct retry_work;
	struct delayed_work probe_work;
	struct delayed_work close_work;

	spinlock_t lock;	/* see above */
	unsigned long *used;
	unsigned short *group_used;
	unsigned long *free_groups;
	unsigned long next;
	unsigned long nr_used;
	unsigned long nr_held;
	unsigned long nr_bad;
	unsigned long take_back;
	unsigned long nr_chunks_used;
	struct bio_list to_retry;
	unsigned int failures;
	unsigned long failing_since;
	bool stopped;
	unsigned long nr_stops;
	unsigned long resumed;
	unsigned int probe_interval;

	atomic_t in_flight;
	atomic_long_t reads;
	atomic_long_t writes;
	atomic_long_t write_ios;
};

/* === Blocks ============================================================== */

static unsigned long group_size(struct ramzswap_backing *b, unsigned long group)
{
	return min(BLOCKS_PER_GROUP, b->nr_blocks - group * BLOCKS_PER_GROUP);
}

static void set_block(struct ramzswap_backing *b, unsigned long block)
{
	unsigned long group = block / BLOCKS_PER_GROUP;

	__set_bit(block, b->used);
	if (++b->group_used[group] == group_size(b, group))
		__clear_bit(group, b->free_groups);
}

static void clear_block(struct ramzswap_backing *b, unsigned long block)
{
	unsigned long group = block / BLOCKS_PER_GROUP;

	__clear_bit(block, b->used);
	b->group_used[group]--;
	__set_bit(group, b->free_groups);
}

static unsigned long nr_groups(struct ramzswap_backing *b)
{
	return DIV_ROUND_UP(b->nr_blocks, BLOCKS_PER_GROUP);
}

static unsigned long nr_free(struct ramzswap_backing *b)
{
	return b->nr_blocks - 1 - b->nr_used - b->nr_held - b->nr_bad;
}

/*
 * Looks at the bitmap of all groups, 128 KiB for 16 TiB, and at the bits of two
 * groups at most.
 * Return: the first free block from @from to the end, or nr_blocks.
 */
static unsigned long find_free(struct ramzswap_backing *b, unsigned long from)
{
	unsigned long group = from / BLOCKS_PER_GROUP;

	while (from < b->nr_blocks) {
		unsigned long end, block;

		group = find_next_bit(b->free_groups, nr_groups(b), group);
		if (group == nr_groups(b))
			break;
		from = max(from, group * BLOCKS_PER_GROUP);
		end = group * BLOCKS_PER_GROUP + group_size(b, group);
		block = find_next_zero_bit(b->used, end, from);
		if (block < end)
			return block;
		from = end;
		group++;
	}
	return b->nr_blocks;
}

/*
 * Find up to @want adjacent free blocks, from @from on around the device: so
 * many if the first @tries runs have them, otherwise the longest of these.
 * Return: the first; @got says how many.  There are free blocks.
 */
static unsigned long find_run(struct ramzswap_backing *b, unsigned long from,
			      unsigned int want, unsigned int tries,
			      unsigned int *got)
{
	unsigned long best = 0;
	unsigned int best_len = 0;
	bool around = false;

	lockdep_assert_held(&b->lock);

	while (tries && best_len < want) {
		unsigned long start = find_free(b, from), end;

		if (start == b->nr_blocks) {
			if (around)
				break;
			around = true;
			from = 1;
			continue;
		}
		tries--;
		end = find_next_bit(b->used, min(b->nr_blocks, start + want), start);
		if (end - start > best_len) {
			best = start;
			best_len = end - start;
		}
		from = end;
	}
	*got = best_len;
	return best;
}

/*
 * Take the first free block from @from on, which is to be no page's.
 * Return: the block, or 0 if there is none.
 */
static unsigned long hold_block(struct ramzswap_backing *b, unsigned long from)
{
	unsigned long block = 0;
	unsigned int got;

	lockdep_assert_held(&b->lock);

	if (nr_free(b)) {
		block = find_run(b, from, 1, 1, &got);
		set_block(b, block);
		b->nr_held++;
	}
	return block;
}

/* The same, far from where blocks are handed out now */
static unsigned long hold_block_elsewhere(struct ramzswap_backing *b)
{
	unsigned long from;

	guard(spinlock_irqsave)(&b->lock);
	from = b->next + b->nr_blocks / 2;
	if (from >= b->nr_blocks)
		from -= b->nr_blocks;
	return hold_block(b, max(from, 1));
}

/* The opposite; @bad: it is not to be used any more. */
static void let_block_go(struct ramzswap_backing *b, unsigned long block, bool bad)
{
	guard(spinlock_irqsave)(&b->lock);
	b->nr_held--;
	if (bad)
		b->nr_bad++;
	else
		clear_block(b, block);
}

/* === The table =========================================================== */

static struct ramzswap_chunk *slot_chunk(struct ramzswap_backing *b, unsigned long slot)
{
	return &b->chunks[slot / BLOCKS_PER_CHUNK];
}

/* Take a slot's block from it; the block stays used. */
static unsigned long unmap_slot(struct ramzswap_backing *b, unsigned long slot,
				u32 **unused)
{
	struct ramzswap_chunk *chunk = slot_chunk(b, slot);
	unsigned long block;

	lockdep_assert_held(&b->lock);

	if (!chunk->block)
		return 0;
	block = chunk->block[slot % BLOCKS_PER_CHUNK];
	if (!block)
		return 0;
	chunk->block[slot % BLOCKS_PER_CHUNK] = 0;
	b->nr_used--;
	if (!--chunk->nr) {
		*unused = chunk->block;
		WRITE_ONCE(chunk->block, NULL);
		b->nr_chunks_used--;
	}
	return block;
}

static void free_chunk(struct ramzswap_backing *b, u32 *block)
{
	if (block)
		mempool_free(virt_to_page(block), b->pool);
}

/**
 * ramzswap_backing_free() - free the blocks of adjacent slots
 * @b: the backing device
 * @slot: the first slot
 * @nr: number of slots, all of one swap cluster
 *
 * Context: Does not sleep.  Nobody uses the slots meanwhile: they are unused
 *	and their cluster is locked, or their folio is locked.
 */
void ramzswap_backing_free(struct ramzswap_backing *b, unsigned long slot,
			   unsigned int nr)
{
	u32 *unused = NULL;
	unsigned long flags;

	/* A cluster is in one chunk.  What is there of the slots is of the caller. */
	if (!READ_ONCE(slot_chunk(b, slot)->block))
		return;

	spin_lock_irqsave(&b->lock, flags);
	while (nr--) {
		unsigned long block = unmap_slot(b, slot++, &unused);

		if (block)
			clear_block(b, block);
	}
	spin_unlock_irqrestore(&b->lock, flags);
	free_chunk(b, unused);
}

static unsigned long slot_block(struct ramzswap_backing *b, unsigned long slot)
{
	struct ramzswap_chunk *chunk = slot_chunk(b, slot);

	guard(spinlock_irqsave)(&b->lock);
	return chunk->block ? chunk->block[slot % BLOCKS_PER_CHUNK] : 0;
}

/*
 * Give a slot, which has a block, another that was held, and hold its own.
 * Return: that.
 */
static unsigned long swap_block(struct ramzswap_backing *b, unsigned long slot,
				unsigned long block)
{
	u32 *there = &slot_chunk(b, slot)->block[slot % BLOCKS_PER_CHUNK];
	unsigned long old;

	guard(spinlock_irqsave)(&b->lock);
	old = *there;
	*there = block;
	return old;
}

/**
 * ramzswap_backing_prepare() - choose blocks for a folio
 * @b: the backing device
 * @folio: the folio, locked and in the swap cache; its slots have no blocks
 *
 * The blocks are adjacent if that is possible.
 *
 * Context: Does not wait for memory.
 * Return: 0; -ENOSPC if there are not enough free blocks, or the device does
 * not work; -ENOMEM if there is no memory to note them.
 */
int ramzswap_backing_prepare(struct ramzswap_backing *b, struct folio *folio)
{
	unsigned long slot = swp_offset(folio->swap);
	struct ramzswap_chunk *chunk = slot_chunk(b, slot);
	unsigned int left = folio_nr_pages(folio), tries = RUNS_TO_TRY;
	struct page *page = NULL;
	unsigned long flags;
	int ret = 0;

	VM_WARN_ON_ONCE(slot_chunk(b, slot + left - 1) != chunk);

	if (!READ_ONCE(chunk->block)) {
		/* As for a swap table: a page makes room for many. */
		page = mempool_alloc(b->pool, GFP_ATOMIC | __GFP_NOWARN);
		if (page)
			clear_page(page_address(page));
	}

	spin_lock_irqsave(&b->lock, flags);
	if (b->stopped || nr_free(b) < left) {
		ret = -ENOSPC;
		goto out;
	}
	if (!chunk->block) {
		if (!page) {
			ret = -ENOMEM;
			goto out;
		}
		WRITE_ONCE(chunk->block, page_address(page));
		b->nr_chunks_used++;
		page = NULL;
	}
	/* Nobody else gets these, and the chunk stays, while the lock is not held. */
	b->nr_used += left;
	chunk->nr += left;
	while (left) {
		unsigned long block;
		unsigned int got;

		block = find_run(b, b->next, left, tries, &got);
		b->next = block + got;
		left -= got;
		while (got--) {
			set_block(b, block);
			chunk->block[slot++ % BLOCKS_PER_CHUNK] = block++;
		}
		/* They are not all adjacent anyway: take what comes. */
		tries = 1;
		if (left) {
			spin_unlock_irqrestore(&b->lock, flags);
			spin_lock_irqsave(&b->lock, flags);
		}
	}
out:
	spin_unlock_irqrestore(&b->lock, flags);
	if (page)
		mempool_free(page, b->pool);
	return ret;
}

static bool has_free_blocks(struct ramzswap_backing *b, unsigned long nr)
{
	return READ_ONCE(b->nr_used) + READ_ONCE(b->nr_held) +
	       READ_ONCE(b->nr_bad) + nr < b->nr_blocks;
}

/**
 * ramzswap_backing_has_room() - are there free blocks?
 * @b: the backing device
 * @nr: how many
 *
 * Context: Any.
 * Return: whether there are, and the device works.
 */
bool ramzswap_backing_has_room(struct ramzswap_backing *b, unsigned int nr)
{
	return !READ_ONCE(b->stopped) && has_free_blocks(b, nr);
}

/**
 * ramzswap_backing_stopped() - has the device stopped working?
 * @b: the backing device
 *
 * Context: Any.
 * Return: whether it has, and is tried again from time to time.
 */
bool ramzswap_backing_stopped(struct ramzswap_backing *b)
{
	return READ_ONCE(b->stopped);
}

/**
 * ramzswap_backing_is_short() - are more than half of the blocks in use?
 * @b: the backing device
 *
 * Context: Any.
 * Return: whether they are, so that pages in memory are not to have one.
 */
bool ramzswap_backing_is_short(struct ramzswap_backing *b)
{
	return !has_free_blocks(b, b->nr_blocks / 2);
}

/* Return: the next slot that has a block, if @budget is not 0 in the end. */
static unsigned long next_slot(struct ramzswap_backing *b, unsigned long slot,
			       unsigned int *budget)
{
	const unsigned long end = b->nr_chunks * BLOCKS_PER_CHUNK;

	while (*budget) {
		--*budget;
		if (slot >= end)
			slot = 0;
		if (slot_block(b, slot))
			break;
		slot++;
		if (!READ_ONCE(slot_chunk(b, slot - 1)->block))
			slot = round_up(slot, BLOCKS_PER_CHUNK);
	}
	return slot;
}

/**
 * ramzswap_backing_take_back() - free blocks of pages that are in memory
 * @b: the backing device
 * @si: the swap area that uses it
 * @nr: how many are wanted
 *
 * A page that was read and not changed keeps its block, so that it need not be
 * written again.  When blocks are short others need them more.  The page has to
 * be written then, wherever to.
 *
 * Context: Reclaim, with a folio locked, or the device's work; the caller has a
 *	reference to @si.  Looks at a limited number of slots.
 * Return: whether as many were freed.
 */
bool ramzswap_backing_take_back(struct ramzswap_backing *b,
				struct swap_info_struct *si, unsigned int nr)
{
	unsigned int budget = TAKE_BACK_SLOTS;
	unsigned long slot = READ_ONCE(b->take_back);
	unsigned int got = 0;

	/* Of a device that has stopped, no page could be written anew. */
	if (READ_ONCE(b->stopped))
		return false;
	while (got < nr && budget) {
		struct folio *folio;
		swp_entry_t entry;

		slot = next_slot(b, slot, &budget);
		if (!budget)
			break;
		entry = swp_entry(si->type, slot++);
		folio = swap_cache_get_folio(entry);
		if (!folio)
			continue;
		if (folio_trylock(folio)) {
			unsigned int nr_pages = folio_nr_pages(folio);

			if (folio_matches_swap_entry(folio, entry) &&
			    folio_free_swap(folio))
				got += nr_pages;
			folio_unlock(folio);
		}
		folio_put(folio);
	}
	WRITE_ONCE(b->take_back, slot);
	return got >= nr;
}

/* === I/O ================================================================= */

static sector_t block_sector(struct ramzswap_backing *b, unsigned long block)
{
	unsigned int low = 0, high = b->nr_extents;
	const struct ramzswap_extent *e;

	/* The last extent that does not begin after the block */
	while (high - low > 1) {
		unsigned int mid = low + (high - low) / 2;

		if (b->extents[mid].first <= block)
			low = mid;
		else
			high = mid;
	}
	e = &b->extents[low];
	return e->sector + ((sector_t)(block - e->first) << PAGE_SECTORS_SHIFT);
}

static struct ramzswap_backing *sio_to_backing(struct swap_iocb *sio)
{
	swp_entry_t entry = bvec_folio(&sio->bvecs[0])->swap;
	struct block_device *bdev = __swap_entry_to_info(entry)->bdev;

	return ((struct ramzswap *)bdev->bd_disk->private_data)->backing;
}

/* What a bio was for; its iterator has moved on. */
static unsigned int bio_pages(struct bio *bio)
{
	return bio->bi_io_vec->bv_len >> PAGE_SHIFT;
}

static unsigned long bio_slot(struct bio *bio)
{
	struct swap_iocb *sio = bio->bi_private;
	struct folio *folio = bvec_folio(&sio->bvecs[0]);

	return swp_offset(folio->swap) +
	       folio_page_idx(folio, bio->bi_io_vec->bv_page) +
	       (bio->bi_io_vec->bv_offset >> PAGE_SHIFT);
}

/* === Errors ============================================================== */

/*
 * May it be the block that is bad?  MEDIUM says so.  TARGET is also what a disk
 * says that takes no writes any more, and many drivers know nothing but IOERR.
 */
static bool is_block_error(blk_status_t status)
{
	return status == BLK_STS_MEDIUM || status == BLK_STS_TARGET ||
	       status == BLK_STS_PROTECTION || status == BLK_STS_IOERR;
}

static void write_worked(struct ramzswap_backing *b, unsigned int nr)
{
	atomic_long_inc(&b->write_ios);
	atomic_long_add(nr, &b->writes);
	if (unlikely(READ_ONCE(b->failures)))
		WRITE_ONCE(b->failures, 0);
}

static blk_status_t write_page(struct ramzswap_backing *b, struct page *page,
			       unsigned long block)
{
	struct bio_vec bvec;
	struct bio bio;
	blk_status_t status;

	bio_init(&bio, b->bdev, &bvec, 1, REQ_OP_WRITE | REQ_SWAP);
	bio.bi_iter.bi_sector = block_sector(b, block);
	__bio_add_page(&bio, page, PAGE_SIZE, 0);
	submit_bio_wait(&bio);
	status = bio.bi_status;
	bio_uninit(&bio);
	return status;
}

/* Another write has failed.  Return: whether the device was stopped for that. */
static bool stop_device(struct ramzswap_backing *b)
{
	unsigned int failures;

	guard(spinlock_irqsave)(&b->lock);
	/* A good write may set it to 0 meanwhile, which is as good. */
	failures = READ_ONCE(b->failures) + 1;
	WRITE_ONCE(b->failures, failures);
	if (failures == 1)
		b->failing_since = jiffies;
	if (b->stopped || failures < FAILURES_TO_STOP)
		return false;
	if (failures < FAILURES_AT_ONCE && atomic_read(&b->in_flight) &&
	    time_before(jiffies, b->failing_since + FAILING_TO_STOP))
		return false;
	/* So soon again? */
	if (b->nr_stops && time_before(jiffies, b->resumed + PROBE_INTERVAL_MAX))
		b->probe_interval = min(2 * b->probe_interval, PROBE_INTERVAL_MAX);
	else
		b->probe_interval = PROBE_INTERVAL;
	b->nr_stops++;
	WRITE_ONCE(b->stopped, true);
	queue_delayed_work(b->wq, &b->probe_work, b->probe_interval);
	return true;
}

static void ramzswap_probe(struct work_struct *work)
{
	struct ramzswap_backing *b = container_of(work, struct ramzswap_backing,
						  probe_work.work);
	blk_status_t status = BLK_STS_NOSPC;
	unsigned long block;

	/* Where the next page would go: a volume may be full, and take others. */
	scoped_guard(spinlock_irqsave, &b->lock)
		block = hold_block(b, b->next);
	if (block) {
		status = write_page(b, ZERO_PAGE(0), block);
		let_block_go(b, block, false);
	}
	scoped_guard(spinlock_irqsave, &b->lock) {
		if (status) {
			/* It may be this block only. */
			if (block)
				b->next = block + 1;
			b->probe_interval = min(2 * b->probe_interval,
						PROBE_INTERVAL_MAX);
			queue_delayed_work(b->wq, &b->probe_work, b->probe_interval);
			return;
		}
		b->resumed = jiffies;
		WRITE_ONCE(b->failures, 0);
		WRITE_ONCE(b->stopped, false);
	}
	pr_notice("%s: %pg takes writes again\n", b->rz->disk->disk_name, b->bdev);
	ramzswap_more_room(b->rz);
}

static void write_failed(struct ramzswap_backing *b, struct bio *bio)
{
	struct swap_iocb *sio = bio->bi_private;

	pr_err_ratelimited("%s: %u pages could not be written to block %lu of %pg, and stay in memory: %pe\n",
			   b->rz->disk->disk_name, bio_pages(bio),
			   slot_block(b, bio_slot(bio)), b->bdev,
			   ERR_PTR(blk_status_to_errno(bio->bi_status)));
	WRITE_ONCE(sio->failed, true);
	if (stop_device(b))
		pr_err("%s: %pg is stopped: nothing is written to it until it takes writes again, which is tried in %u seconds, and then less and less often\n",
		       b->rz->disk->disk_name, b->bdev, b->probe_interval / HZ);
}

/* Return: whether a failed write is left to the worker. */
static bool write_again_later(struct ramzswap_backing *b, struct bio *bio)
{
	if (!is_block_error(bio->bi_status))
		return false;
	scoped_guard(spinlock_irqsave, &b->lock) {
		if (b->stopped)
			return false;
		bio_list_add(&b->to_retry, bio);
		/* Without the lock, it may be done at once, and @b closed. */
		queue_work(b->wq, &b->retry_work);
	}
	return true;
}

/*
 * Is it the block, or the device?  If the page gets through elsewhere on the
 * device, that is where it stays.
 */
static blk_status_t write_page_again(struct ramzswap_backing *b, struct page *page,
				     unsigned long slot)
{
	blk_status_t status = write_page(b, page, slot_block(b, slot)), other_status;
	unsigned long block;

	if (!is_block_error(status))
		return status;
	block = hold_block_elsewhere(b);
	if (!block)
		return status;
	other_status = write_page(b, page, block);
	if (!other_status || status == BLK_STS_MEDIUM) {
		block = swap_block(b, slot, block);
		pr_warn_ratelimited("%s: block %lu of %pg is bad, and not used any more\n",
				    b->rz->disk->disk_name, block, b->bdev);
		let_block_go(b, block, true);
	} else {
		let_block_go(b, block, false);
	}
	return other_status;
}

/* Page by page, as long as they can be written. */
static blk_status_t write_again(struct ramzswap_backing *b, struct bio *bio)
{
	unsigned int i, nr = bio_pages(bio);
	unsigned long slot = bio_slot(bio);
	struct swap_iocb *sio = bio->bi_private;
	struct folio *folio = bvec_folio(&sio->bvecs[0]);
	unsigned long first = slot - swp_offset(folio->swap);

	for (i = 0; i < nr; i++) {
		blk_status_t status = bio->bi_status;

		if (!READ_ONCE(b->stopped))
			status = write_page_again(b, folio_page(folio, first + i),
						  slot + i);
		if (status)
			return status;
		write_worked(b, 1);
	}
	return BLK_STS_OK;
}

/* The last piece ends all.  From then on the device may be swapped off. */
static void write_put(struct ramzswap_backing *b, struct swap_iocb *sio)
{
	struct folio *folio = bvec_folio(&sio->bvecs[0]);
	bool failed;

	if (!atomic_dec_and_test(&sio->pending))
		return;
	failed = READ_ONCE(sio->failed);
	/* A folio is either on the device or in memory. */
	if (failed) {
		ramzswap_count(&b->rz->share, RAMZSWAP_FAILED_WRITES,
			       folio_nr_pages(folio));
		ramzswap_backing_free(b, swp_offset(folio->swap),
				      folio_nr_pages(folio));
	}
	swap_write_end(sio, failed);
}

static void read_put(struct ramzswap_backing *b, struct swap_iocb *sio)
{
	if (atomic_dec_and_test(&sio->pending))
		swap_read_end(sio, READ_ONCE(sio->failed));
}

static void free_bio(struct ramzswap_backing *b, struct bio *bio, struct swap_iocb *sio)
{
	bio_uninit(bio);
	if (bio != &sio->bio)
		mempool_free(container_of(bio, struct piece, bio), b->pieces);
}

static void end_write(struct bio *bio)
{
	struct swap_iocb *sio = bio->bi_private;
	struct ramzswap_backing *b = sio_to_backing(sio);

	atomic_dec(&b->in_flight);
	if (bio->bi_status) {
		if (write_again_later(b, bio))
			return;
		write_failed(b, bio);
	} else {
		write_worked(b, bio_pages(bio));
	}
	free_bio(b, bio, sio);
	write_put(b, sio);
}

static void ramzswap_retry(struct work_struct *work)
{
	struct ramzswap_backing *b = container_of(work, struct ramzswap_backing,
						  retry_work);
	struct bio *bio;

	for (;;) {
		struct swap_iocb *sio;

		scoped_guard(spinlock_irqsave, &b->lock)
			bio = bio_list_pop(&b->to_retry);
		if (!bio)
			break;
		sio = bio->bi_private;
		bio->bi_status = write_again(b, bio);
		if (bio->bi_status)
			write_failed(b, bio);
		free_bio(b, bio, sio);
		write_put(b, sio);
	}
}

static void end_read(struct bio *bio)
{
	struct swap_iocb *sio = bio->bi_private;
	struct ramzswap_backing *b = sio_to_backing(sio);
	unsigned int nr = bio_pages(bio);

	if (!bio->bi_status) {
		atomic_long_add(nr, &b->reads);
	} else {
		pr_err_ratelimited("%s: %u pages could not be read from block %lu of %pg: %pe\n",
				   b->rz->disk->disk_name, nr,
				   slot_block(b, bio_slot(bio)), b->bdev,
				   ERR_PTR(blk_status_to_errno(bio->bi_status)));
		ramzswap_count(&b->rz->share, RAMZSWAP_FAILED_READS, nr);
		WRITE_ONCE(sio->failed, true);
	}
	free_bio(b, bio, sio);
	read_put(b, sio);
}

/*
 * Return: how many pages from @slot on, at most @max, are in adjacent sectors; 0
 * if it has no block.  @sector is the first.
 */
static unsigned int run_length(struct ramzswap_backing *b, unsigned long slot,
			       unsigned int max, sector_t *sector)
{
	struct ramzswap_chunk *chunk = slot_chunk(b, slot);
	unsigned long block = 0;
	unsigned int nr, i;

	scoped_guard(spinlock_irqsave, &b->lock) {
		u32 *there = chunk->block;

		if (there)
			block = there[slot % BLOCKS_PER_CHUNK];
		for (nr = 1; block && nr < max; nr++)
			if (there[slot % BLOCKS_PER_CHUNK + nr] != block + nr)
				break;
	}
	if (!block)
		return 0;
	*sector = block_sector(b, block);
	for (i = 1; i < nr; i++)
		if (block_sector(b, block + i) !=
		    *sector + ((sector_t)i << PAGE_SECTORS_SHIFT))
			break;
	return i;
}

static void submit(struct bio *bio, struct swap_iocb *sio, sector_t sector)
{
	bio->bi_iter.bi_sector = sector;
	bio->bi_private = sio;
	if (op_is_write(bio->bi_opf)) {
		bio_associate_blkg_from_page(bio, bvec_folio(&sio->bvecs[0]));
		bio->bi_end_io = end_write;
	} else {
		bio->bi_end_io = end_read;
	}
	submit_bio(bio);
}

/*
 * Start the I/O of a folio whose slots all have blocks.  The caller has one of
 * sio->pending, so that @sio is not ended by what is quick.
 */
static void start_io(struct ramzswap_backing *b, struct swap_iocb *sio, blk_opf_t opf)
{
	struct folio *folio = bvec_folio(&sio->bvecs[0]);
	unsigned long slot = swp_offset(folio->swap);
	unsigned int done, nr, nr_pages = folio_nr_pages(folio);
	sector_t sector;

	VM_WARN_ON_ONCE(sio->nr_bvecs != 1);

	for (done = 0; done < nr_pages; done += nr) {
		struct bio *bio = &sio->bio;
		struct piece *piece;

		nr = run_length(b, slot + done, nr_pages - done, &sector);
		if (WARN_ON_ONCE(!nr)) {
			WRITE_ONCE(sio->failed, true);
			break;
		}
		if (nr == nr_pages) {
			bio_init(bio, b->bdev, sio->bvecs, ARRAY_SIZE(sio->bvecs), opf);
			bio->bi_iter.bi_size = sio->len;
		} else {
			/* Does not fail; see PIECE_RESERVE. */
			piece = mempool_alloc(b->pieces, GFP_NOIO);
			bio = &piece->bio;
			bio_init(bio, b->bdev, &piece->bvec, 1, opf);
			bio_add_folio_nofail(bio, folio, (size_t)nr << PAGE_SHIFT,
					     (size_t)done << PAGE_SHIFT);
		}
		atomic_inc(&sio->pending);
		if (op_is_write(opf))
			atomic_inc(&b->in_flight);
		submit(bio, sio, sector);
	}
}

/**
 * ramzswap_backing_write() - write a folio to the blocks that were chosen for it
 * @rz: the device
 * @sio: the folio; ended by swap_write_end() when that is done
 *
 * Context: Reclaim.  Does not wait for the I/O.
 */
void ramzswap_backing_write(struct ramzswap *rz, struct swap_iocb *sio)
{
	struct ramzswap_backing *b = rz->backing;

	atomic_set(&sio->pending, 1);
	sio->failed = false;
	start_io(b, sio, REQ_OP_WRITE | REQ_SWAP);
	write_put(b, sio);
}

/**
 * ramzswap_backing_read() - read a folio
 * @rz: the device
 * @sio: the folio; ended by swap_read_end() when that is done
 *
 * Context: Does not wait for the I/O.
 * Return: false if the backing device does not have it; @sio is not ended then.
 */
bool ramzswap_backing_read(struct ramzswap *rz, struct swap_iocb *sio)
{
	struct folio *folio = bvec_folio(&sio->bvecs[0]);
	unsigned long slot = swp_offset(folio->swap);
	unsigned int nr, done, nr_pages = folio_nr_pages(folio);
	struct ramzswap_backing *b = rz->backing;
	sector_t sector;

	for (done = 0; done < nr_pages; done += nr) {
		nr = run_length(b, slot + done, nr_pages - done, &sector);
		if (!nr)
			return false;
	}
	atomic_set(&sio->pending, 1);
	sio->failed = false;
	start_io(b, sio, REQ_OP_READ);
	read_put(b, sio);
	return true;
}

/* === Attaching it ======================================================== */

/**
 * ramzswap_backing_size_table() - make the table fit the device's slots
 * @b: the backing device, with all blocks free
 * @nr_pages: number of slots
 *
 * Context: May sleep.
 * Return: 0 or -ENOMEM.
 */
int ramzswap_backing_size_table(struct ramzswap_backing *b, unsigned long nr_pages)
{
	unsigned long nr = DIV_ROUND_UP(nr_pages, BLOCKS_PER_CHUNK);
	struct ramzswap_chunk *chunks;

	if (nr == b->nr_chunks)
		return 0;
	chunks = kvcalloc(nr, sizeof(*chunks), GFP_KERNEL);
	if (!chunks)
		return -ENOMEM;
	kvfree(b->chunks);
	b->chunks = chunks;
	b->nr_chunks = nr;
	return 0;
}

static const char *bdev_fault(struct block_device *bdev)
{
	if (bdev->bd_disk->fops->swap_ops)
		return "it keeps its pages in memory itself";
	if (bdev_is_zoned(bdev))
		return "zones cannot be written in any order";
	if (bdev_logical_block_size(bdev) > PAGE_SIZE)
		return "its blocks are larger than a page";
	if (bdev_nr_bytes(bdev) < 2 * PAGE_SIZE)
		return "it is too small";
	return NULL;
}

static int one_extent(struct ramzswap_backing *b)
{
	b->extents = kvcalloc(1, sizeof(*b->extents), GFP_KERNEL);
	b->nr_extents = 1;
	return b->extents ? 0 : -ENOMEM;
}

static int copy_extents(struct ramzswap_backing *b)
{
	struct swap_extent *se;
	unsigned int nr = 0;
	struct rb_node *rb;

	for (rb = rb_first(&b->sis->swap_extent_root); rb; rb = rb_next(rb))
		nr++;
	b->extents = kvcalloc(nr, sizeof(*b->extents), GFP_KERNEL);
	if (!b->extents)
		return -ENOMEM;
	for (rb = rb_first(&b->sis->swap_extent_root); rb; rb = rb_next(rb)) {
		struct ramzswap_extent *e = &b->extents[b->nr_extents++];

		se = rb_entry(rb, struct swap_extent, rb_node);
		e->first = se->start_page;
		e->sector = se->start_block << PAGE_SECTORS_SHIFT;
	}
	return 0;
}

/*
 * Nobody writes to it from now on, and what they have written before, whoever
 * has it open or mapped, is not for us.  The inode is locked.
 */
static int close_to_others(struct ramzswap_backing *b, struct inode *inode,
			   const char **why)
{
	int err;

	inode->i_flags |= S_SWAPFILE;
	*why = "what was written to it does not get to the disk";
	err = inode_drain_writes(inode);
	if (err)
		inode->i_flags &= ~S_SWAPFILE;
	else
		b->closed = true;
	return err;
}

static int activate_bdev(struct ramzswap_backing *b, const char **why)
{
	struct inode *inode = b->file->f_mapping->host;
	int err;

	b->bdev = I_BDEV(inode);
	*why = bdev_fault(b->bdev);
	if (*why)
		return -EINVAL;
	b->nr_blocks = min_t(u64, bdev_nr_bytes(b->bdev) >> PAGE_SHIFT, U32_MAX);
	/* Not a ramzswap device, whose inode swapon locks before its own lock. */
	inode_lock_nested(inode, I_MUTEX_CHILD);
	*why = "it is in use for swap already";
	err = IS_SWAPFILE(inode) ? -EBUSY : close_to_others(b, inode, why);
	inode_unlock(inode);
	if (err)
		return err;
	*why = "out of memory";
	return one_extent(b);
}

/* What swapon does with a file; the file system says in the log what is wrong. */
static int activate_file(struct ramzswap_backing *b, const char *path,
			 const char **why)
{
	struct inode *inode = b->file->f_mapping->host;
	struct swap_info_struct *sis;
	sector_t span;
	int err;

	*why = "out of memory";
	sis = kzalloc_obj(*sis);
	if (!sis)
		return -ENOMEM;
	sis->swap_extent_root = RB_ROOT;
	sis->max = min_t(u64, i_size_read(inode) >> PAGE_SHIFT, U32_MAX);
	b->sis = sis;

	*why = "it is too small";
	if (sis->max < 2)
		return -EINVAL;
	*why = "its file system does not take swap files";
	err = claim_swapfile(sis, inode);
	if (err)
		return err;

	inode_lock(inode);
	err = check_swapfile(b->file, path);
	if (err) {
		*why = "it is a swap file already, or cannot be one";
		goto unlock;
	}
	*why = "it cannot be a swap file, as it has holes for example";
	err = setup_swap_extents(sis, b->file, &span);
	if (err < 0)
		goto unlock;
	err = -EINVAL;
	if (sis->ops != &swap_bdev_ops || !sis->bdev) {
		*why = "its file system does not tell where its blocks are";
		goto unlock;
	}
	err = close_to_others(b, inode, why);
unlock:
	inode_unlock(inode);
	if (err)
		return err;

	if (inode->i_mode & 0077)
		pr_warn("%s: insecure permissions %04o of %pD, which gets what is swapped out: 0600 suggested\n",
			b->rz->disk->disk_name, inode->i_mode & 07777, b->file);
	b->bdev = sis->bdev;
	*why = bdev_fault(b->bdev);
	if (*why)
		return -EINVAL;
	b->nr_blocks = sis->max;
	*why = "out of memory";
	return copy_extents(b);
}

static void deactivate_file(struct ramzswap_backing *b)
{
	destroy_swap_extents(b->sis, b->file);
	kfree(b->sis);
}

static int alloc_blocks(struct ramzswap_backing *b)
{
	unsigned long groups = nr_groups(b);

	BUILD_BUG_ON(BLOCKS_PER_GROUP > USHRT_MAX);
	BUILD_BUG_ON(BLOCKS_PER_CHUNK % SWAPFILE_CLUSTER);

	b->used = kvcalloc(BITS_TO_LONGS(b->nr_blocks), sizeof(long), GFP_KERNEL);
	b->group_used = kvcalloc(groups, sizeof(*b->group_used), GFP_KERNEL);
	b->free_groups = kvcalloc(BITS_TO_LONGS(groups), sizeof(long), GFP_KERNEL);
	b->pool = mempool_create_page_pool(CHUNK_RESERVE, 0);
	b->pieces = mempool_create_kmalloc_pool(PIECE_RESERVE, sizeof(struct piece));
	if (!b->used || !b->group_used || !b->free_groups || !b->pool || !b->pieces)
		return -ENOMEM;
	b->wq = alloc_workqueue("ramzswap-io", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!b->wq)
		return -ENOMEM;
	bitmap_set(b->free_groups, 0, groups);
	set_block(b, 0);
	b->next = 1;
	return 0;
}

static void close_now(struct ramzswap_backing *b)
{
	struct inode *inode;

	WARN_ON_ONCE(b->nr_used);
	/* It has ended all I/O, but may not have returned. */
	cancel_work_sync(&b->retry_work);
	cancel_delayed_work_sync(&b->probe_work);
	if (b->wq)
		destroy_workqueue(b->wq);
	if (b->sis)
		deactivate_file(b);
	if (b->closed) {
		inode = b->file->f_mapping->host;
		inode_lock_nested(inode, I_MUTEX_CHILD);
		inode->i_flags &= ~S_SWAPFILE;
		inode_unlock(inode);
	}
	if (b->file)
		filp_close(b->file, NULL);
	kvfree(b->extents);
	mempool_destroy(b->pieces);
	mempool_destroy(b->pool);
	kvfree(b->chunks);
	kvfree(b->free_groups);
	kvfree(b->group_used);
	kvfree(b->used);
	kfree(b);
}

static void ramzswap_close_later(struct work_struct *work)
{
	struct ramzswap_backing *b = container_of(work, struct ramzswap_backing,
						  close_work.work);

	if (work_busy(&b->probe_work.work))
		queue_delayed_work(system_dfl_wq, &b->close_work, HZ);
	else
		close_now(b);
}

/**
 * ramzswap_backing_close() - give a backing device back
 * @b: the backing device, which has no pages; may be NULL
 *
 * If the device has stopped, and does not answer, this waits until it does.
 * Whoever is killed meanwhile leaves that to a worker.
 *
 * Context: May sleep.
 */
void ramzswap_backing_close(struct ramzswap_backing *b)
{
	if (!b)
		return;
	disable_delayed_work(&b->probe_work);
	while (work_busy(&b->probe_work.work)) {
		schedule_timeout_killable(CLOSE_INTERVAL);
		if (fatal_signal_pending(current)) {
			queue_delayed_work(system_dfl_wq, &b->close_work, HZ);
			return;
		}
	}
	close_now(b);
}

/* To open something else may wait for ever, or do something. */
static int check_path(const char *name, const char **why)
{
	struct path path;
	umode_t mode;
	int err;

	*why = "not found";
	err = kern_path(name, LOOKUP_FOLLOW, &path);
	if (err)
		return err;
	mode = d_backing_inode(path.dentry)->i_mode;
	path_put(&path);
	*why = "neither a block device nor a file";
	if (S_ISDIR(mode))
		return -EISDIR;
	return S_ISBLK(mode) || S_ISREG(mode) ? 0 : -ENOTBLK;
}

/**
 * ramzswap_backing_open() - take a backing device into use
 * @rz: the device that it is for
 * @path: its path, opened as the caller
 * @why: set to what is wrong with it
 *
 * It is a block device or a regular file.  What is on it will be overwritten,
 * but for the first block.
 *
 * Context: May sleep.
 * Return: the backing device or an ERR_PTR.
 */
struct ramzswap_backing *ramzswap_backing_open(struct ramzswap *rz, const char *path,
					       const char **why)
{
	struct ramzswap_backing *b;
	struct inode *inode;
	int err;

	*why = "out of memory";
	b = kzalloc_obj(*b);
	if (!b)
		return ERR_PTR(-ENOMEM);
	b->rz = rz;
	spin_lock_init(&b->lock);
	bio_list_init(&b->to_retry);
	INIT_WORK(&b->retry_work, ramzswap_retry);
	INIT_DELAYED_WORK(&b->probe_work, ramzswap_probe);
	INIT_DELAYED_WORK(&b->close_work, ramzswap_close_later);

	err = check_path(path, why);
	if (err)
		goto fail;
	*why = "cannot be opened exclusively";
	b->file = filp_open(path, O_RDWR | O_LARGEFILE | O_EXCL, 0);
	if (IS_ERR(b->file)) {
		err = PTR_ERR(b->file);
		b->file = NULL;
		goto fail;
	}
	inode = b->file->f_mapping->host;
	if (S_ISBLK(inode->i_mode)) {
		err = activate_bdev(b, why);
	} else if (S_ISREG(inode->i_mode)) {
		err = activate_file(b, path, why);
	} else {
		err = -ENOTBLK;
	}
	if (err)
		goto fail;

	*why = "out of memory";
	err = alloc_blocks(b);
	if (err)
		goto fail;
	*why = NULL;
	return b;
fail:
	ramzswap_backing_close(b);
	return ERR_PTR(err);
}

/**
 * ramzswap_backing_file() - what a backing device was opened as
 * @b: the backing device
 *
 * Return: the file.  It is the backing device's.
 */
struct file *ramzswap_backing_file(struct ramzswap_backing *b)
{
	return b->file;
}

/**
 * ramzswap_backing_get_usage() - say what is on a backing device
 * @b: the backing device; NULL for none
 * @usage: filled in
 *
 * Context: Any, with what keeps the backing device attached: the device's lock.
 */
void ramzswap_backing_get_usage(struct ramzswap_backing *b,
				struct ramzswap_backing_usage *usage)
{
	unsigned long chunks_used = 0;

	memset(usage, 0, sizeof(*usage));
	if (!b)
		return;
	scoped_guard(spinlock_irqsave, &b->lock) {
		usage->total = b->nr_blocks - 1;
		usage->used = b->nr_used;
		usage->bad = b->nr_bad;
		usage->stopped = b->stopped;
		usage->stops = b->nr_stops;
		chunks_used = b->nr_chunks_used;
	}
	usage->reads = atomic_long_read(&b->reads);
	usage->writes = atomic_long_read(&b->writes);
	usage->write_ios = atomic_long_read(&b->write_ios);

	usage->meta_bytes = sizeof(*b) +
		(CHUNK_RESERVE + chunks_used) * PAGE_SIZE +
		PIECE_RESERVE * sizeof(struct piece) +
		BITS_TO_LONGS(b->nr_blocks) * sizeof(long) +
		BITS_TO_LONGS(nr_groups(b)) * sizeof(long) +
		nr_groups(b) * sizeof(*b->group_used) +
		b->nr_chunks * sizeof(*b->chunks) +
		b->nr_extents * sizeof(*b->extents);
}
