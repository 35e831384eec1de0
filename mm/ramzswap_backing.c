// SPDX-License-Identifier: GPL-2.0-only
/*
 * ramzswap: the backing device, for pages that leave memory
 */

/**
 * DOC: ramzswap backing device
 *
 * The backing device takes pages that zswap writes back or does not accept.  A page
 * gets a block when it is written, not when it gets its slot.  So pages in memory take
 * no blocks, and pages that are written at the same time are adjacent, whatever
 * their slots.  A block has the size of a page.  Blocks are handed out in increasing
 * order, around the device.
 *
 * A table has the place of each slot's page (see ramzswap_blocks.h).  A page of memory
 * has the places of %PLACES_PER_CHUNK adjacent slots, and exists only while one of
 * them has a place.  These pages are allocated while memory is short, so there is a
 * reserve of them.
 *
 * zswap passes compressed pages to the device unchanged.  The device packs them,
 * several to a block, into buffers of its own, so this takes no memory.  Two buffers
 * are open.  Pages that do not fit into the first one go to the second one, while
 * smaller pages still fill the first.  The device writes the first one when a page fits
 * into neither, and both if no page arrives for %FLUSH_INTERVAL.
 *
 * The pages stay in zswap until the write ends.  Then, with the cluster of each slot
 * locked, those that were not used meanwhile leave memory.  Until then, the slot's
 * place is pending, and identifies this write of the slot.  If the slot changes before
 * the write ends, its place is cleared, and nothing refers to the object on the device.
 *
 * Other pages are written whole, to a block of their own: pages that do not compress,
 * pages that zswap does not accept, among them large folios, and pages that cannot
 * wait for a buffer.  Those that are in zswap take a block of a buffer, unless they
 * cannot wait.  The others get their blocks from ramzswap_backing_prepare().
 *
 * A slot keeps its place until its page is swapped out with new contents, the slot is
 * freed, or the write fails.
 *
 * To read a page, the device reads its block.  Readers of other pages of that block
 * share the read.  The device verifies the data.  If it is not what was written, or
 * the disk cannot read it, the readers get an I/O error, and the block is rotten: its
 * pages that are in memory as well no longer count as stored on the device, see
 * ramzswap_backing_has().
 *
 * When blocks get scarce, a worker cleans blocks with few wanted pages.
 * ramzswap_blocks.c chooses them, and ramzswap_clean() cleans them.  No task waits
 * for that.  It uses two of the buffers.
 *
 * Locks: a swap cluster's, then @pack_lock, then @read_lock, then @lock.
 *
 * The blocks of a folio need not be adjacent.  Each run of adjacent blocks has its own
 * bio, and all these bios are in flight at the same time.
 *
 * A write fails because a block is bad or because the device does not work at the
 * moment, and drivers do not always report which.  If the block may be bad, a worker
 * writes the pages again, one by one, to the same block, and if that fails, to another
 * one.  If the other one takes the page, the first block is retired: it is not used
 * until the backing device is detached.  Any other failure counts against the device:
 * it retires no block, and the folio stays in memory, dirty.
 *
 * Consecutive failures stop the device: %FAILURES_TO_STOP if no other write is in
 * flight or they last for %FAILING_TO_STOP; otherwise %FAILURES_AT_ONCE, or as many as
 * there are writes in flight if these are more.  A stopped device has no room.  From
 * time to time, a worker writes zeros to a free block, and when that succeeds, the
 * device resumes.  Reads still go to a stopped device.
 *
 * Block 0 is not used: the table needs the number for "none", and the block's old
 * contents still identify the device to other programs.
 *
 * A regular file is activated like a swap file.  The file system reports where its
 * blocks are, and keeps them there until the file is closed.
 */

#define pr_fmt(fmt) "ramzswap: " fmt

#include <linux/bio.h>
#include <linux/blk-cgroup.h>
#include <linux/blkdev.h>
#include <linux/crc32c.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mempolicy.h>
#include <linux/mempool.h>
#include <linux/namei.h>
#include <linux/pagemap.h>
#include <linux/random.h>
#include <linux/rbtree.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/suspend.h>
#include <linux/swap_ops.h>
#include <linux/swapops.h>
#include <crypto/scatterwalk.h>

#include "ramzswap.h"
#include "ramzswap_blocks.h"
#include "swap.h"
#include "swap_table.h"

#define PLACES_PER_CHUNK	(PAGE_SIZE / sizeof(u64))
/* Enough to write over ten thousand pages without any free memory */
#define CHUNK_RESERVE		32

/* Slots to scan for pages in memory when blocks are short */
#define TAKE_BACK_SLOTS		1024

/* Runs of free blocks to try until one is long enough */
#define RUNS_TO_TRY		32

/*
 * Reserve of pieces for when memory runs out.  Each piece is submitted before the
 * next one is allocated.  So a task that waits for a piece waits for I/O, never for
 * another waiter.
 */
#define PIECE_RESERVE		32

/* The same for reads of packed blocks */
#define READ_RESERVE		32
#define READ_HASH		64

/*
 * A buffer has 128 KiB, or four blocks if that is more.  All buffers together take
 * this part of memory, but stay between a minimum and a maximum number.  Packing and
 * cleaning hold two each, and one more can be in flight.
 */
#define BUFFER_BLOCKS		(SZ_128K / PAGE_SIZE > 4 ? (unsigned int)(SZ_128K / PAGE_SIZE) : 4U)
#define MIN_BUFFERS		5UL
#define MAX_BUFFERS		8UL
#define BUFFERS_PART		1024

/* Limit for data being written: this part of the mem_limit, but at least a buffer. */
#define LEAVING_PART		8

/* If no page arrives for this time, write buffers even if they are not full. */
#define FLUSH_INTERVAL		DIV_ROUND_UP(HZ, 20)

/* How long to wait for more free blocks before they are discarded */
#define DISCARD_DELAY		HZ

/* Pause after cleaning that failed or did not pay */
#define CLEAN_PAUSE		HZ

/*
 * Each pause is twice as long as the last one, up to a maximum, because searching a
 * large device takes long.  Go back to the first one when the space that wanted pages
 * take has changed by more than this part since then.
 */
#define CLEAN_PAUSE_MAX		(60 * HZ)
#define CLEAN_CHANGED_PART	64

/* How many buffers of blocks to read, at most, to fill one with wanted pages */
#define CLEAN_READS		3

/* Reclaim waits no longer than this for a buffer. */
#define BUFFER_WAIT		DIV_ROUND_UP(HZ, 50)

/*
 * Consecutive failed writes that stop the device.  A write that is rejected at once
 * fails before earlier ones, which may still be in a plug, can succeed.  So wait for
 * these, unless more writes fail than plugs hold and than are in flight, or the
 * failures outlast a plug: a device that times out always has writes in flight.
 */
#define FAILURES_TO_STOP	8
#define FAILING_TO_STOP		(10 * HZ)
#define FAILURES_AT_ONCE	128U

/* Time between attempts to resume a stopped device: initial and maximum */
#define PROBE_INTERVAL		HZ
#define PROBE_INTERVAL_MAX	(60 * HZ)

/* How often to check for the end of other work before closing the device */
#define CLOSE_INTERVAL		DIV_ROUND_UP(HZ, 50)

struct ramzswap_chunk {
	u64 *place;		/* PLACES_PER_CHUNK of them; NULL if all are 0 */
	unsigned int nr;	/* places that are not 0, or are promised */
};

/* Write of some pages of a folio, to adjacent sectors */
struct piece {
	struct bio bio;
	struct bio_vec bvec;
};

/**
 * struct packed_read - a read of a page in a packed block
 * @next: another read of the same block
 * @b: the backing device
 * @sio: the folio
 * @place: the page's place
 *
 * Only the first read of a block uses the rest:
 *
 * @node: entry in @b->reading
 * @page: memory for the block
 * @bio: reads the block
 * @bvec: for @bio
 * @work: decompresses the pages when @bio has ended
 */
struct packed_read {
	struct packed_read *next;
	struct ramzswap_backing *b;
	struct swap_iocb *sio;
	u64 place;

	struct hlist_node node;
	struct page *page;
	struct bio bio;
	struct bio_vec bvec;
	struct work_struct work;
};

/**
 * struct pack_buffer - blocks that are packed, and written together
 * @list: entry in the list of free buffers
 * @b: the backing device
 * @index: number of the buffer
 * @use: how often it was used; part of pending places
 * @si: the swap area, with a reference, while the buffer is in use
 * @block: memory of the blocks
 * @room: size of the largest object that still fits, for each block
 * @whole: for each block, the slot if it holds a whole page, or 0
 * @nr: for each block, the number of the block on the device, or 0
 * @generation: for each block; the checksum if it holds a whole page
 * @status: for each block, the result of the write
 * @pending: bios in flight, and one for the submitter
 * @again: @work may write failed blocks again, so it runs on @b->wq
 * @bio: one for each run of adjacent blocks
 * @bvec: for the blocks
 * @work: runs when all bios have ended
 * @cleaning: the buffer has pages of blocks that are being cleaned; @b->moved has
 *	their old places
 */
struct pack_buffer {
	struct list_head list;
	struct ramzswap_backing *b;
	unsigned int index;
	u32 use;
	struct swap_info_struct *si;
	void *block[BUFFER_BLOCKS];
	unsigned int room[BUFFER_BLOCKS];
	u32 whole[BUFFER_BLOCKS];
	u32 nr[BUFFER_BLOCKS];
	u32 generation[BUFFER_BLOCKS];
	blk_status_t status[BUFFER_BLOCKS];
	atomic_t pending;
	bool again;
	struct bio bio[BUFFER_BLOCKS];
	struct bio_vec bvec[BUFFER_BLOCKS];
	struct work_struct work;
	bool cleaning;
};

/*
 * The old places of the pages in a buffer that cleaning moves, and the blocks that
 * cleaning has read and holds
 */
struct moved_places {
	u64 place[BUFFER_BLOCKS][RAMZSWAP_BLOCK_OBJECTS];
	u32 block[CLEAN_READS * BUFFER_BLOCKS];
};

/* Adjacent blocks that are adjacent on the disk as well */
struct ramzswap_extent {
	unsigned long first;
	sector_t sector;
};

/**
 * struct ramzswap_backing - a backing device
 * @rz: its ramzswap device
 * @file: holds it open exclusively
 * @closed: user space cannot write to it
 * @sis: the swap file as file systems know it, on no list of the swap core; NULL for
 *	a block device
 * @extents: sectors of the blocks, in the order of the blocks
 * @nr_extents: number of extents
 * @bdev: the block device for the I/O
 * @nr_blocks: size in blocks, including block 0
 * @nonce: random number in checksums; they do not match data from before attaching
 * @pool: memory for chunks, states of blocks, and blocks that are read
 * @chunks: the table, by slot
 * @nr_chunks: size of the table
 * @pieces: pool of struct piece
 * @reads: pool of struct packed_read
 * @read_pages: pool of memory for the blocks that these read
 * @end_wq: for work that runs when I/O has ended, and does not wait for I/O
 * @wq: for work that waits for the device's I/O.  Each device has its own, because
 *	reclaim waits for this work
 * @retry_work: retries failed writes
 * @probe_work: writes to a stopped device to find out whether it works again
 * @close_work: closes the device when work that may hang has returned
 * @buffers: memory for pages that are being packed
 * @nr_buffers: number of buffers
 * @flush_work: writes a buffer that is not full
 * @buffer_wait: tasks that wait for a buffer
 * @no_buffer: a task timed out waiting, and no buffer has become free since
 * @discard: discard free blocks
 * @discard_work: discards free blocks
 * @clean_work: cleans blocks
 * @moved: the old places of the pages that @clean_work moves
 * @clean_from: the block where @clean_work continues; only it uses this
 * @cleaning: a buffer that @clean_work has filled is being written
 * @packed: when a page was last packed, or a buffer opened for one, in jiffies
 * @pack_lock: guards the next three, and the contents of @open
 * @open: the buffers that are being filled, or NULL; the first one is written first
 * @free: unused buffers
 * @nr_free_buffers: their number
 * @read_lock: guards @reading; also taken in interrupts
 * @reading: packed blocks that are being read; cleaning moves no page of these
 * @lock: guards the following fields up to @probe_interval, and the contents of
 *	@chunks; a leaf, also taken in interrupts
 * @blocks: which blocks are free
 * @clean_paused: when cleaning last failed or did not pay, in jiffies
 * @clean_pause: how long it pauses after that, in jiffies; 0 if it has paid since
 * @clean_units: the units that all wanted pages took at that time
 * @promised: free blocks that ramzswap_backing_prepare() has reserved
 * @generation: generation of the packed block that was written last
 * @take_back: the slot where ramzswap_backing_take_back() continues
 * @nr_chunks_used: chunks with memory for places
 * @to_retry: bios for @retry_work
 * @failures: failed writes since the last good one; set to 0 without @lock
 * @failing_since: when the first of these failed, in jiffies
 * @stopped: only @probe_work may write
 * @nr_stops: number of times that the device was stopped
 * @resumed: when the device last resumed, in jiffies
 * @probe_interval: time until the next attempt to resume, in jiffies
 * @in_flight: writes that were submitted and have not ended
 * @pages_read: pages read
 * @read_ios: I/O requests to read them
 * @writes: pages written
 * @moves: pages moved by cleaning
 * @blocks_written: blocks written
 * @write_ios: I/O requests to write them
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
	u32 nonce;
	mempool_t *pieces;
	mempool_t *reads;
	mempool_t *read_pages;
	struct workqueue_struct *end_wq;
	struct workqueue_struct *wq;
	struct work_struct retry_work;
	struct delayed_work probe_work;
	struct delayed_work close_work;
	struct pack_buffer *buffers;
	unsigned int nr_buffers;
	struct delayed_work flush_work;
	wait_queue_head_t buffer_wait;
	bool no_buffer;
	bool discard;
	struct delayed_work discard_work;
	struct work_struct clean_work;
	struct moved_places *moved;
	unsigned long clean_from;
	bool cleaning;

	unsigned long packed;
	spinlock_t pack_lock;	/* the next three, and the contents of @open */
	struct pack_buffer *open[2];
	struct list_head free;
	unsigned int nr_free_buffers;

	spinlock_t read_lock;	/* reading */
	struct hlist_head reading[READ_HASH];

	spinlock_t lock;	/* see above */
	struct ramzswap_blocks blocks;
	unsigned long clean_paused;
	unsigned long clean_pause;
	unsigned long clean_units;
	unsigned long promised;
	u32 generation;
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
	atomic_long_t pages_read;
	atomic_long_t read_ios;
	atomic_long_t writes;
	atomic_long_t moves;
	atomic_long_t blocks_written;
	atomic_long_t write_ios;
};

/* === Blocks ============================================================== */

static unsigned long nr_free(struct ramzswap_backing *b)
{
	unsigned long nr = ramzswap_blocks_nr_free(&b->blocks);

	/* Without the lock, these two may not match. */
	return nr - min(nr, READ_ONCE(b->promised));
}

/* The same, without the reserve for cleaning */
static unsigned long nr_available(struct ramzswap_backing *b)
{
	unsigned long nr = nr_free(b);

	return nr - min(nr, ramzswap_blocks_reserve(&b->blocks));
}

/* With the lock: is it too early to clean again after a pass that did not pay? */
static bool cleaning_pauses(struct ramzswap_backing *b)
{
	if (abs_diff(b->blocks.nr_units, b->clean_units) > b->clean_units / CLEAN_CHANGED_PART)
		b->clean_pause = min(b->clean_pause, CLEAN_PAUSE);
	return time_in_range_open(jiffies, b->clean_paused,
				  b->clean_paused + b->clean_pause);
}

static void pause_cleaning(struct ramzswap_backing *b)
{
	guard(spinlock_irqsave)(&b->lock);
	b->clean_paused = jiffies;
	b->clean_pause = clamp(2 * b->clean_pause, CLEAN_PAUSE, CLEAN_PAUSE_MAX);
	b->clean_units = b->blocks.nr_units;
}

/* With the lock: are there blocks to clean, and is it time to do that? */
static bool may_clean(struct ramzswap_backing *b)
{
	return unlikely(ramzswap_blocks_to_clean(&b->blocks)) &&
	       !READ_ONCE(b->cleaning) && !b->stopped && !cleaning_pauses(b);
}

/* Call this with the lock when blocks were taken or pages are no longer wanted. */
static void clean_if_scarce(struct ramzswap_backing *b)
{
	if (may_clean(b))
		queue_work(b->wq, &b->clean_work);
}

/* Give the blocks a spare page for states, if there is memory. */
static void fill_spare(struct ramzswap_backing *b)
{
	struct page *page;

	if (likely(!ramzswap_blocks_needs_spare(&b->blocks)))
		return;
	page = mempool_alloc(b->pool, GFP_ATOMIC | __GFP_NOWARN);
	if (!page)
		return;
	scoped_guard(spinlock_irqsave, &b->lock) {
		if (ramzswap_blocks_needs_spare(&b->blocks)) {
			b->blocks.spare = page_address(page);
			page = NULL;
		}
	}
	if (page)
		mempool_free(page, b->pool);
}

/* Free the states of groups in which all blocks are free. */
static void free_unused(struct ramzswap_backing *b)
{
	if (unlikely(READ_ONCE(b->blocks.unused)) && READ_ONCE(b->discard))
		queue_delayed_work(system_dfl_wq, &b->discard_work, DISCARD_DELAY);
	while (unlikely(READ_ONCE(b->blocks.unused))) {
		void *states;

		scoped_guard(spinlock_irqsave, &b->lock)
			states = ramzswap_blocks_take_unused(&b->blocks);
		if (states)
			mempool_free(virt_to_page(states), b->pool);
	}
}

/*
 * Hold the first free block from @from on, without giving it to a page.
 *
 * Return: the block, or 0 if there is none.
 */
static unsigned long hold_block(struct ramzswap_backing *b, unsigned long from)
{
	unsigned int got;

	lockdep_assert_held(&b->lock);

	return nr_free(b) ? ramzswap_blocks_hold(&b->blocks, from, 1, 1, &got) : 0;
}

/* The same, but far from where blocks are handed out now */
static unsigned long hold_block_elsewhere(struct ramzswap_backing *b)
{
	unsigned long from;

	fill_spare(b);
	guard(spinlock_irqsave)(&b->lock);
	from = b->blocks.next + b->nr_blocks / 2;
	if (from >= b->nr_blocks)
		from -= b->nr_blocks;
	return hold_block(b, max(from, 1));
}

/* Release a held block, or retire it if it is @bad. */
static void let_block_go(struct ramzswap_backing *b, unsigned long block, bool bad)
{
	scoped_guard(spinlock_irqsave, &b->lock)
		ramzswap_blocks_let_go(&b->blocks, block, bad);
	free_unused(b);
}

/* === The table =========================================================== */

static struct ramzswap_chunk *slot_chunk(struct ramzswap_backing *b, unsigned long slot)
{
	return &b->chunks[slot / PLACES_PER_CHUNK];
}

/* The caller holds the lock, and the chunk has memory for places. */
static u64 *slot_place(struct ramzswap_backing *b, unsigned long slot)
{
	return &slot_chunk(b, slot)->place[slot % PLACES_PER_CHUNK];
}

/* Unset the place of a slot: its page there is no longer wanted. */
static void unmap_slot(struct ramzswap_backing *b, unsigned long slot, u64 **unused)
{
	struct ramzswap_chunk *chunk = slot_chunk(b, slot);
	u64 place;

	lockdep_assert_held(&b->lock);

	if (!chunk->place)
		return;
	place = *slot_place(b, slot);
	if (!place)
		return;
	*slot_place(b, slot) = 0;
	if (ramzswap_place_kind(place) != RAMZSWAP_PLACE_PENDING)
		ramzswap_blocks_put(&b->blocks, place);
	if (!--chunk->nr) {
		*unused = chunk->place;
		WRITE_ONCE(chunk->place, NULL);
		b->nr_chunks_used--;
	}
}

static void free_chunk(struct ramzswap_backing *b, u64 *place)
{
	if (place)
		mempool_free(virt_to_page(place), b->pool);
}

/* May use reserves, as for a swap table: one page serves many writes. */
static u64 *alloc_chunk(struct ramzswap_backing *b)
{
	struct page *page = mempool_alloc(b->pool, GFP_ATOMIC | __GFP_NOWARN);

	if (!page)
		return NULL;
	clear_page(page_address(page));
	return page_address(page);
}

/* With the lock: is there a chunk for the slot?  If not, @spare becomes it. */
static bool have_chunk(struct ramzswap_backing *b, unsigned long slot, u64 **spare)
{
	struct ramzswap_chunk *chunk = slot_chunk(b, slot);

	lockdep_assert_held(&b->lock);

	if (!chunk->place && *spare) {
		WRITE_ONCE(chunk->place, *spare);
		b->nr_chunks_used++;
		*spare = NULL;
	}
	return chunk->place;
}

/**
 * ramzswap_backing_free() - free the blocks of adjacent slots
 * @b: the backing device
 * @slot: the first slot
 * @nr: number of slots, all of one swap cluster
 *
 * Context: Does not sleep.  No task uses the slots meanwhile: they are unused
 *	and their cluster is locked, or their folio is locked.
 */
void ramzswap_backing_free(struct ramzswap_backing *b, unsigned long slot,
			   unsigned int nr)
{
	u64 *unused = NULL;
	unsigned long flags;

	/* A cluster is in one chunk, and the caller owns the slots' places. */
	if (!READ_ONCE(slot_chunk(b, slot)->place))
		return;

	spin_lock_irqsave(&b->lock, flags);
	while (nr--)
		unmap_slot(b, slot++, &unused);
	clean_if_scarce(b);
	spin_unlock_irqrestore(&b->lock, flags);
	free_chunk(b, unused);
	free_unused(b);
}

static u64 get_place(struct ramzswap_backing *b, unsigned long slot)
{
	/* No other task gives the slot a place, so most calls need no lock. */
	if (!READ_ONCE(slot_chunk(b, slot)->place))
		return 0;
	guard(spinlock_irqsave)(&b->lock);
	return slot_chunk(b, slot)->place ? *slot_place(b, slot) : 0;
}

/* Return: the slot's block, or 0 if it has none. */
static unsigned long slot_block(struct ramzswap_backing *b, unsigned long slot)
{
	u64 place = get_place(b, slot);

	return ramzswap_place_kind(place) == RAMZSWAP_PLACE_PENDING ?
	       0 : ramzswap_place_block(place);
}

/* Does the slot have a block whose rotten state equals @rotten? */
static bool has_block(struct ramzswap_backing *b, unsigned long slot, bool rotten)
{
	u64 place;

	/* As in get_place() */
	if (!READ_ONCE(slot_chunk(b, slot)->place))
		return false;
	guard(spinlock_irqsave)(&b->lock);
	place = slot_chunk(b, slot)->place ? *slot_place(b, slot) : 0;
	return place && ramzswap_place_kind(place) != RAMZSWAP_PLACE_PENDING &&
	       ramzswap_blocks_is_rotten(&b->blocks, ramzswap_place_block(place)) == rotten;
}

/*
 * A read of the block at @place for a slot failed, or did not return what was
 * written.  Reading it again may succeed, but do not rely on that.
 */
static void mark_rotten(struct ramzswap_backing *b, unsigned long slot, u64 place)
{
	guard(spinlock_irqsave)(&b->lock);
	/* While the slot still has this place, it is the same block. */
	if (slot_chunk(b, slot)->place && *slot_place(b, slot) == place)
		ramzswap_blocks_mark_rotten(&b->blocks, ramzswap_place_block(place));
}

/*
 * Move the whole page of a slot from its block to @block, which is held.
 *
 * Return: the old block, which is held now.
 */
static unsigned long swap_block(struct ramzswap_backing *b, unsigned long slot,
				unsigned long block)
{
	u64 *there = slot_place(b, slot), old, new;

	guard(spinlock_irqsave)(&b->lock);
	old = *there;
	new = ramzswap_place_whole(block, ramzswap_place_checksum(old));
	ramzswap_blocks_get(&b->blocks, new);
	ramzswap_blocks_let_go(&b->blocks, block, false);
	*there = new;
	ramzswap_blocks_hold_used(&b->blocks, ramzswap_place_block(old));
	ramzswap_blocks_put(&b->blocks, old);
	return ramzswap_place_block(old);
}

/**
 * ramzswap_backing_prepare() - choose blocks for a folio
 * @b: the backing device
 * @folio: the folio, locked and in the swap cache
 *
 * The blocks are adjacent if possible.  Objects of these slots that are being written
 * are out of date from now on.
 *
 * Context: Does not wait for memory.
 * Return: 0; -ENOSPC if there are not enough free blocks or the device has stopped;
 * -ENOMEM without memory for the table or the states of blocks.
 */
int ramzswap_backing_prepare(struct ramzswap_backing *b, struct folio *folio)
{
	unsigned long slot = swp_offset(folio->swap), next = slot;
	struct ramzswap_chunk *chunk = slot_chunk(b, slot);
	unsigned int nr = folio_nr_pages(folio), left = nr, tries = RUNS_TO_TRY;
	u64 *spare = NULL, *unused = NULL;
	unsigned long flags;
	int ret = 0;

	VM_WARN_ON_ONCE(slot_chunk(b, slot + nr - 1) != chunk);

	ramzswap_backing_free(b, slot, nr);
	if (!READ_ONCE(chunk->place))
		spare = alloc_chunk(b);
	fill_spare(b);

	spin_lock_irqsave(&b->lock, flags);
	if (b->stopped || nr_available(b) < nr) {
		ret = -ENOSPC;
		goto out;
	}
	if (!have_chunk(b, slot, &spare)) {
		ret = -ENOMEM;
		goto out;
	}
	/* This reserves the blocks and the chunk while the lock is dropped. */
	b->promised += left;
	chunk->nr += left;
	while (left) {
		unsigned long block;
		unsigned int got;

		block = ramzswap_blocks_hold(&b->blocks, b->blocks.next, left, tries, &got);
		if (!got) {
			ret = -ENOMEM;
			break;
		}
		b->blocks.next = block + got;
		left -= got;
		b->promised -= got;
		for (; got--; block++) {
			u64 place = ramzswap_place_whole(block, 0);

			ramzswap_blocks_get(&b->blocks, place);
			ramzswap_blocks_let_go(&b->blocks, block, false);
			*slot_place(b, next++) = place;
		}
		/* The blocks are not all adjacent anyway, so take any. */
		tries = 1;
		if (left) {
			spin_unlock_irqrestore(&b->lock, flags);
			fill_spare(b);
			spin_lock_irqsave(&b->lock, flags);
		}
	}
	if (left) {
		/* If any slot got a block, ramzswap_backing_free() frees the chunk. */
		b->promised -= left;
		chunk->nr -= left;
		if (!chunk->nr) {
			unused = chunk->place;
			WRITE_ONCE(chunk->place, NULL);
			b->nr_chunks_used--;
		}
	}
out:
	clean_if_scarce(b);
	spin_unlock_irqrestore(&b->lock, flags);
	free_chunk(b, spare);
	free_chunk(b, unused);
	if (ret)
		ramzswap_backing_free(b, slot, nr);
	return ret;
}

static bool has_free_blocks(struct ramzswap_backing *b, unsigned long nr)
{
	return nr_available(b) >= nr;
}

/**
 * ramzswap_backing_has_room() - check for free blocks
 * @b: the backing device
 * @nr: number of blocks
 *
 * Context: Any.
 * Return: true if there are as many, and the device is not stopped.
 */
bool ramzswap_backing_has_room(struct ramzswap_backing *b, unsigned int nr)
{
	return !READ_ONCE(b->stopped) && has_free_blocks(b, nr);
}

/**
 * ramzswap_backing_stopped() - check whether the device is stopped
 * @b: the backing device
 *
 * Context: Any.
 * Return: true if it has stopped.
 */
bool ramzswap_backing_stopped(struct ramzswap_backing *b)
{
	return READ_ONCE(b->stopped);
}

/**
 * ramzswap_backing_is_short() - check whether over half of the blocks are in use
 * @b: the backing device
 *
 * Context: Any.
 * Return: true if pages in memory should give up their blocks.
 */
bool ramzswap_backing_is_short(struct ramzswap_backing *b)
{
	return !has_free_blocks(b, b->nr_blocks / 2);
}

/**
 * ramzswap_backing_has() - check whether all slots have good blocks
 * @b: the backing device
 * @slot: the first slot
 * @nr: number of slots, all of one swap cluster
 *
 * Context: Does not sleep.  The slots' folio or cluster is locked.
 * Return: true if all have one, and none of them is known to be rotten.
 */
bool ramzswap_backing_has(struct ramzswap_backing *b, unsigned long slot,
			  unsigned int nr)
{
	while (nr && has_block(b, slot, false)) {
		slot++;
		nr--;
	}
	return !nr;
}

/**
 * ramzswap_backing_lost() - check whether a slot has a block known to be rotten
 * @b: the backing device
 * @slot: the first slot
 * @nr: number of slots, all of one swap cluster
 *
 * Context: Does not sleep.  The slots' folio or cluster is locked.
 * Return: true if any slot has one.
 */
bool ramzswap_backing_lost(struct ramzswap_backing *b, unsigned long slot,
			   unsigned int nr)
{
	/* Usually no block is rotten. */
	if (likely(!READ_ONCE(b->blocks.nr_rotten)))
		return false;
	while (nr && !has_block(b, slot, true)) {
		slot++;
		nr--;
	}
	return nr;
}

/* Return: the next slot that has a block; meaningless if @budget reaches 0. */
static unsigned long next_slot(struct ramzswap_backing *b, unsigned long slot,
			       unsigned int *budget)
{
	const unsigned long end = b->nr_chunks * PLACES_PER_CHUNK;

	while (*budget) {
		--*budget;
		if (slot >= end)
			slot = 0;
		if (slot_block(b, slot))
			break;
		slot++;
		if (!READ_ONCE(slot_chunk(b, slot - 1)->place))
			slot = round_up(slot, PLACES_PER_CHUNK);
	}
	return slot;
}

/* Free the block of a page if zswap has the page as well. */
static bool free_copy(struct ramzswap_backing *b, struct swap_info_struct *si,
		      swp_entry_t entry)
{
	struct swap_cluster_info *ci = swap_cluster_lock(si, swp_offset(entry));
	bool stored = !swap_cache_has_folio(entry) && zswap_has(entry);

	if (stored)
		ramzswap_backing_free(b, swp_offset(entry), 1);
	swap_cluster_unlock(ci);
	return stored;
}

/**
 * ramzswap_backing_take_back() - free blocks of pages that are in memory
 * @b: the backing device
 * @si: the swap area that uses it
 * @nr: number of blocks wanted
 *
 * A page that was read and not changed keeps its block, even while it is in zswap, to
 * avoid writing it again.  When blocks are short, other pages need them more.
 *
 * Context: Reclaim, with a folio locked, or the device's work; the caller has a
 *	reference to @si.  Scans a limited number of slots.
 * Return: true if @nr blocks were freed.
 */
bool ramzswap_backing_take_back(struct ramzswap_backing *b,
				struct swap_info_struct *si, unsigned int nr)
{
	unsigned int budget = TAKE_BACK_SLOTS;
	unsigned long slot = READ_ONCE(b->take_back);
	unsigned int got = 0;

	/*
	 * A stopped device could not write the pages again.  And a hibernation
	 * image may refer to blocks, as in folio_free_swap().
	 */
	if (READ_ONCE(b->stopped) || pm_suspended_storage())
		return false;
	while (got < nr && budget) {
		struct folio *folio;
		swp_entry_t entry;

		slot = next_slot(b, slot, &budget);
		if (!budget)
			break;
		entry = swp_entry(si->type, slot++);
		folio = swap_cache_get_folio(entry);
		if (!folio) {
			got += free_copy(b, si, entry);
			continue;
		}
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
	/* Cleaning may have paused.  Nothing else restarts it on a full device. */
	scoped_guard(spinlock_irqsave, &b->lock)
		clean_if_scarce(b);
	return got >= nr;
}

/* === I/O ================================================================= */

/* Return: the number of the extent that a block is in. */
static unsigned int block_extent(struct ramzswap_backing *b, unsigned long block)
{
	unsigned int low = 0, high = b->nr_extents;

	/* The last extent that does not begin after the block */
	while (high - low > 1) {
		unsigned int mid = low + (high - low) / 2;

		if (b->extents[mid].first <= block)
			low = mid;
		else
			high = mid;
	}
	return low;
}

static sector_t block_sector(struct ramzswap_backing *b, unsigned long block)
{
	const struct ramzswap_extent *e = &b->extents[block_extent(b, block)];

	return e->sector + ((sector_t)(block - e->first) << PAGE_SECTORS_SHIFT);
}

static struct ramzswap_backing *sio_to_backing(struct swap_iocb *sio)
{
	swp_entry_t entry = bvec_folio(&sio->bvecs[0])->swap;
	struct block_device *bdev = __swap_entry_to_info(entry)->bdev;

	return ((struct ramzswap *)bdev->bd_disk->private_data)->backing;
}

/* Size of a bio that has ended: its iterator has moved on. */
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
 * Could the block be bad?  MEDIUM says so.  TARGET also comes from disks that have
 * become read-only, and many drivers report nothing but IOERR.
 */
static bool is_block_error(blk_status_t status)
{
	return status == BLK_STS_MEDIUM || status == BLK_STS_TARGET ||
	       status == BLK_STS_PROTECTION || status == BLK_STS_IOERR;
}

static void write_worked(struct ramzswap_backing *b, unsigned int nr_blocks)
{
	atomic_long_inc(&b->write_ios);
	atomic_long_add(nr_blocks, &b->blocks_written);
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

/* Count a failed write.  Return: true if it stopped the device. */
static bool stop_device(struct ramzswap_backing *b)
{
	unsigned int failures, in_flight = atomic_read(&b->in_flight);

	guard(spinlock_irqsave)(&b->lock);
	/* A successful write may set it to 0 concurrently; that is harmless. */
	failures = READ_ONCE(b->failures) + 1;
	WRITE_ONCE(b->failures, failures);
	if (failures == 1)
		b->failing_since = jiffies;
	if (b->stopped || failures < FAILURES_TO_STOP)
		return false;
	if (in_flight && failures < max(FAILURES_AT_ONCE, in_flight) &&
	    time_before(jiffies, b->failing_since + FAILING_TO_STOP))
		return false;
	/* The device resumed only recently: wait longer. */
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

	/* Try the next block to hand out: a full thin volume still accepts others. */
	fill_spare(b);
	scoped_guard(spinlock_irqsave, &b->lock)
		block = hold_block(b, b->blocks.next);
	if (block) {
		status = write_page(b, ZERO_PAGE(0), block);
		let_block_go(b, block, false);
	}
	scoped_guard(spinlock_irqsave, &b->lock) {
		if (status) {
			/* Perhaps only this block fails. */
			if (block)
				b->blocks.next = block + 1;
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

/* Count a write that is not retried. */
static void count_failure(struct ramzswap_backing *b)
{
	if (stop_device(b))
		pr_err("%s: %pg is stopped because writes fail: retrying in %u seconds, then less often; check the disk and its connection\n",
		       b->rz->disk->disk_name, b->bdev, b->probe_interval / HZ);
}

static void say_write_failed(struct ramzswap_backing *b, unsigned int nr_pages,
			     unsigned long block, blk_status_t status)
{
	pr_err_ratelimited("%s: %u pages could not be written to block %lu of %pg, and stay in memory: %pe\n",
			   b->rz->disk->disk_name, nr_pages, block, b->bdev,
			   ERR_PTR(blk_status_to_errno(status)));
}

static void write_failed(struct ramzswap_backing *b, struct bio *bio)
{
	struct swap_iocb *sio = bio->bi_private;

	say_write_failed(b, bio_pages(bio), slot_block(b, bio_slot(bio)), bio->bi_status);
	WRITE_ONCE(sio->failed, true);
	count_failure(b);
}

/* Leave a failed write to the worker.  Return: false if a retry cannot help. */
static bool write_again_later(struct ramzswap_backing *b, struct bio *bio)
{
	if (!is_block_error(bio->bi_status))
		return false;
	scoped_guard(spinlock_irqsave, &b->lock) {
		if (b->stopped)
			return false;
		bio_list_add(&b->to_retry, bio);
		/* Under the lock: the work may take @bio at once, and @b be closed. */
		queue_work(b->wq, &b->retry_work);
	}
	return true;
}

/*
 * Find out whether the block or the device is at fault.  If another block takes the
 * page, the page stays there.
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
		pr_warn_ratelimited("%s: block %lu of %pg is bad: the kernel no longer uses it\n",
				    b->rz->disk->disk_name, block, b->bdev);
		let_block_go(b, block, true);
	} else {
		let_block_go(b, block, false);
	}
	return other_status;
}

/* Write page by page, until one write fails. */
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
		atomic_long_inc(&b->writes);
	}
	return BLK_STS_OK;
}

/* The last piece ends the folio.  Then the device may be swapped off. */
static void write_put(struct ramzswap_backing *b, struct swap_iocb *sio)
{
	struct folio *folio = bvec_folio(&sio->bvecs[0]);
	bool failed;

	if (!atomic_dec_and_test(&sio->pending))
		return;
	failed = READ_ONCE(sio->failed);
	/* All of a folio is on the device, or none of it. */
	if (failed) {
		ramzswap_count(&b->rz->share, RAMZSWAP_FAILED_WRITES,
			       folio_nr_pages(folio));
		ramzswap_backing_free(b, swp_offset(folio->swap),
				      folio_nr_pages(folio));
	}
	swap_write_end(sio, failed);
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
		atomic_long_add(bio_pages(bio), &b->writes);
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

/* End the read of a page, with the error @status if that is not 0. */
static void end_page_read(struct ramzswap_backing *b, struct swap_iocb *sio, u64 place,
			  blk_status_t status)
{
	if (status == BLK_STS_MEDIUM || status == BLK_STS_PROTECTION)
		mark_rotten(b, swp_offset(bvec_folio(&sio->bvecs[0])->swap), place);
	if (status) {
		pr_err_ratelimited("%s: a page could not be read from block %u of %pg: %pe\n",
				   b->rz->disk->disk_name, ramzswap_place_block(place),
				   b->bdev, ERR_PTR(blk_status_to_errno(status)));
		ramzswap_count(&b->rz->share, RAMZSWAP_FAILED_READS, 1);
	} else {
		atomic_long_inc(&b->pages_read);
	}
	swap_read_end(sio, status != BLK_STS_OK);
}

static u32 page_checksum(struct ramzswap_backing *b, struct page *page)
{
	void *data = kmap_local_page(page);
	u32 checksum = crc32c(b->nonce, data, PAGE_SIZE);

	kunmap_local(data);
	return checksum;
}

/* Set the checksums of whole pages before writing them. */
static void set_checksums(struct ramzswap_backing *b, struct folio *folio)
{
	unsigned long slot = swp_offset(folio->swap);
	unsigned int i, nr = folio_nr_pages(folio);

	for (i = 0; i < nr; i++) {
		u32 checksum = page_checksum(b, folio_page(folio, i));

		guard(spinlock_irqsave)(&b->lock);
		*slot_place(b, slot + i) =
			ramzswap_place_whole(ramzswap_place_block(*slot_place(b, slot + i)),
					     checksum);
	}
}

static void end_read(struct bio *bio)
{
	struct swap_iocb *sio = bio->bi_private;
	struct folio *folio = bvec_folio(&sio->bvecs[0]);
	struct ramzswap_backing *b = sio_to_backing(sio);
	u64 place = get_place(b, swp_offset(folio->swap));
	blk_status_t status = bio->bi_status;
	u32 checksum;

	atomic_long_inc(&b->read_ios);
	if (!status) {
		checksum = page_checksum(b, folio_page(folio, 0)) & RAMZSWAP_CHECKSUM_MASK;
		if (checksum != ramzswap_place_checksum(place))
			status = BLK_STS_PROTECTION;
	}
	bio_uninit(bio);
	end_page_read(b, sio, place, status);
}

/*
 * Return: the number of pages from @slot on, at most @max, that are whole and in
 * adjacent sectors; 0 if @slot has no block of its own.  Sets @sector to the first.
 */
static unsigned int run_length(struct ramzswap_backing *b, unsigned long slot,
			       unsigned int max, sector_t *sector)
{
	unsigned long block = 0;
	unsigned int nr = 1, i;

	scoped_guard(spinlock_irqsave, &b->lock) {
		u64 place = slot_chunk(b, slot)->place ? *slot_place(b, slot) : 0;

		if (ramzswap_place_kind(place) == RAMZSWAP_PLACE_WHOLE)
			block = ramzswap_place_block(place);
		for (; block && nr < max; nr++) {
			place = *slot_place(b, slot + nr);
			if (ramzswap_place_kind(place) != RAMZSWAP_PLACE_WHOLE ||
			    ramzswap_place_block(place) != block + nr)
				break;
		}
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

/* Decompress a page from a block that has been read, and free the request. */
static void end_packed_read(struct packed_read *read, const void *data,
			    blk_status_t status)
{
	struct ramzswap_backing *b = read->b;
	struct swap_iocb *sio = read->sio;
	struct folio *folio = bvec_folio(&sio->bvecs[0]);
	unsigned long slot = swp_offset(folio->swap);
	unsigned int length, codec;
	const void *object = NULL;

	if (!status && !ramzswap_block_valid(data, b->nonce, read->place))
		status = BLK_STS_PROTECTION;
	if (!status)
		object = ramzswap_block_object(data, ramzswap_place_position(read->place),
					       slot, &length, &codec);
	/* This error affects no other page of the block. */
	if (!status &&
	    !(object && zswap_unpack(swp_type(folio->swap), codec, object, length, folio)))
		status = BLK_STS_IOERR;
	end_page_read(b, sio, read->place, status);
	mempool_free(read, b->reads);
}

static void ramzswap_end_read(struct work_struct *work)
{
	struct packed_read *read = container_of(work, struct packed_read, work), *next;
	struct ramzswap_backing *b = read->b;
	blk_status_t status = read->bio.bi_status;
	struct page *page = read->page;

	/* After this, no reader can join the read. */
	scoped_guard(spinlock_irqsave, &b->read_lock)
		hlist_del(&read->node);
	atomic_long_inc(&b->read_ios);
	bio_uninit(&read->bio);
	/*
	 * When the last reader has its page, the device may be swapped off, but
	 * @b is not freed before this work returns.
	 */
	for (; read; read = next) {
		next = read->next;
		end_packed_read(read, page_address(page), status);
	}
	mempool_free(page, b->read_pages);
}

static void packed_read_endio(struct bio *bio)
{
	struct packed_read *read = container_of(bio, struct packed_read, bio);

	queue_work(read->b->end_wq, &read->work);
}

static struct hlist_head *reading_of(struct ramzswap_backing *b, u64 place)
{
	return &b->reading[ramzswap_place_block(place) % READ_HASH];
}

/* Return: the first read of the block at @place, or NULL if there is none. */
static struct packed_read *find_read(struct ramzswap_backing *b, u64 place)
{
	struct packed_read *read;

	lockdep_assert_held(&b->read_lock);

	hlist_for_each_entry(read, reading_of(b, place), node)
		if (ramzswap_place_block(read->place) == ramzswap_place_block(place))
			return read;
	return NULL;
}

/*
 * Look up the page's place, as cleaning may have moved it.  The place stays valid
 * under the lock, and then until the read of the block ends.
 *
 * Return: true if the block is being read already; @read then waits for that.
 */
static bool join_read(struct ramzswap_backing *b, struct packed_read *read)
{
	struct folio *folio = bvec_folio(&read->sio->bvecs[0]);
	struct packed_read *other;

	lockdep_assert_held(&b->read_lock);

	read->place = get_place(b, swp_offset(folio->swap));
	other = find_read(b, read->place);
	if (!other)
		return false;
	read->next = other->next;
	other->next = read;
	return true;
}

/* Start to read a packed page. */
static void read_packed(struct ramzswap_backing *b, struct swap_iocb *sio)
{
	/* Both allocations wait only for I/O; see PIECE_RESERVE. */
	struct packed_read *read = mempool_alloc(b->reads, GFP_NOIO);
	struct page *page;
	bool joined;

	read->next = NULL;
	read->b = b;
	read->sio = sio;

	scoped_guard(spinlock_irqsave, &b->read_lock)
		joined = join_read(b, read);
	if (joined)
		return;
	page = mempool_alloc(b->read_pages, GFP_NOIO);
	scoped_guard(spinlock_irqsave, &b->read_lock) {
		joined = join_read(b, read);
		if (!joined) {
			read->page = page;
			hlist_add_head(&read->node, reading_of(b, read->place));
		}
	}
	if (joined) {
		mempool_free(page, b->read_pages);
		return;
	}
	INIT_WORK(&read->work, ramzswap_end_read);
	bio_init(&read->bio, b->bdev, &read->bvec, 1, REQ_OP_READ);
	read->bio.bi_iter.bi_sector = block_sector(b, ramzswap_place_block(read->place));
	read->bio.bi_end_io = packed_read_endio;
	__bio_add_page(&read->bio, page, PAGE_SIZE, 0);
	submit_bio(&read->bio);
}

/*
 * Start the I/O of a folio whose slots all have blocks.  The caller holds one count
 * of sio->pending, so that early completions do not end @sio.
 */
static void start_write(struct ramzswap_backing *b, struct swap_iocb *sio)
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
			bio_init(bio, b->bdev, sio->bvecs, ARRAY_SIZE(sio->bvecs),
				 REQ_OP_WRITE | REQ_SWAP);
			bio->bi_iter.bi_size = sio->len;
		} else {
			/* Cannot fail; see PIECE_RESERVE. */
			piece = mempool_alloc(b->pieces, GFP_NOIO);
			bio = &piece->bio;
			bio_init(bio, b->bdev, &piece->bvec, 1, REQ_OP_WRITE | REQ_SWAP);
			bio_add_folio_nofail(bio, folio, (size_t)nr << PAGE_SHIFT,
					     (size_t)done << PAGE_SHIFT);
		}
		bio->bi_iter.bi_sector = sector;
		bio->bi_private = sio;
		bio->bi_end_io = end_write;
		bio_associate_blkg_from_page(bio, folio);
		atomic_inc(&sio->pending);
		atomic_inc(&b->in_flight);
		submit_bio(bio);
	}
}

/**
 * ramzswap_backing_write() - write a folio to the blocks that were chosen for it
 * @rz: the device
 * @sio: the folio; swap_write_end() ends it when the I/O has ended
 *
 * Context: Reclaim.  Does not wait for the I/O.
 */
void ramzswap_backing_write(struct ramzswap *rz, struct swap_iocb *sio)
{
	struct ramzswap_backing *b = rz->backing;

	set_checksums(b, bvec_folio(&sio->bvecs[0]));
	atomic_set(&sio->pending, 1);
	sio->failed = false;
	start_write(b, sio);
	write_put(b, sio);
}

/**
 * ramzswap_backing_read() - read a page
 * @rz: the device
 * @sio: the page's folio; swap_read_end() ends it when the I/O has ended
 *
 * The swap cache only adds large folios that zswap has, see
 * __swap_cache_add_check().
 *
 * Context: Does not wait for the I/O.
 * Return: false if the backing device does not have the page; the caller ends @sio.
 */
bool ramzswap_backing_read(struct ramzswap *rz, struct swap_iocb *sio)
{
	struct folio *folio = bvec_folio(&sio->bvecs[0]);
	struct ramzswap_backing *b = rz->backing;
	u64 place = get_place(b, swp_offset(folio->swap));
	struct bio *bio = &sio->bio;

	if (WARN_ON_ONCE(folio_test_large(folio)))
		return false;

	switch (ramzswap_place_kind(place)) {
	case RAMZSWAP_PLACE_WHOLE:
		bio_init(bio, b->bdev, sio->bvecs, ARRAY_SIZE(sio->bvecs), REQ_OP_READ);
		bio->bi_iter.bi_sector = block_sector(b, ramzswap_place_block(place));
		bio->bi_iter.bi_size = sio->len;
		bio->bi_private = sio;
		bio->bi_end_io = end_read;
		submit_bio(bio);
		return true;
	case RAMZSWAP_PLACE_PACKED:
		read_packed(b, sio);
		return true;
	default:
		return false;
	}
}

/* === Swapping off ======================================================== */

/* Size in bytes of a list to sort at once */
#define SWEEP_BYTES		SZ_8M
/* Pages to read in a batch; two batches are in flight */
#define SWEEP_BATCH		1024UL

/* A page on the device */
struct sweep_page {
	u32 block;
	u32 slot;
};

static int compare_blocks(const void *a, const void *b)
{
	const struct sweep_page *first = a, *second = b;

	return cmp_int(first->block, second->block);
}

/*
 * Find up to @max pages on the device, from slot *@slot on.  Set *@slot to where to
 * continue.
 *
 * Return: their number.
 */
static unsigned long find_pages(struct ramzswap_backing *b, struct sweep_page *pages,
				unsigned long max, unsigned long *slot)
{
	const unsigned long end = b->nr_chunks * PLACES_PER_CHUNK;
	unsigned long nr = 0;

	while (*slot < end && nr < max) {
		unsigned long block = slot_block(b, *slot);

		if (block)
			pages[nr++] = (struct sweep_page) {
				.block = block,
				.slot = *slot,
			};
		++*slot;
		if (!READ_ONCE(slot_chunk(b, *slot - 1)->place))
			*slot = round_up(*slot, PLACES_PER_CHUNK);
		if (!(*slot % PLACES_PER_CHUNK))
			cond_resched();
	}
	return nr;
}

/*
 * Start to read pages into the swap cache.
 * Return: the folio of the last one, with a reference; NULL if there is none.
 */
static struct folio *read_pages_ahead(struct swap_info_struct *si,
				      const struct sweep_page *pages, unsigned long nr)
{
	const gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN;
	struct folio *folio, *last = NULL;
	struct swap_io_ctx ctx = {};
	struct blk_plug plug;

	blk_start_plug(&plug);
	for (; nr; nr--, pages++) {
		folio = swap_cache_alloc_folio(swp_entry(si->type, pages->slot), gfp,
					       BIT(0), NULL, get_task_policy(current),
					       NO_INTERLEAVE_INDEX, true);
		/* The page was freed or read meanwhile, or there is no memory. */
		if (IS_ERR_OR_NULL(folio))
			continue;
		swap_read_folio(&ctx, folio);
		if (last)
			folio_put(last);
		last = folio;
	}
	blk_finish_plug(&plug);
	swap_read_submit(&ctx);
	return last;
}

/* Return: true if all of these pages were tried. */
static bool sweep(struct ramzswap_backing *b, struct swap_info_struct *si,
		  const struct sweep_page *pages, unsigned long nr)
{
	struct folio *folio, *last = NULL;
	unsigned long i, batch;

	for (i = 0; i < nr; i += batch) {
		batch = min(nr - i, SWEEP_BATCH);
		/*
		 * If not all of the pages fit into memory, some would be dropped
		 * before swapoff gets to them.
		 */
		if (signal_pending(current) || si_mem_available() < (long)(nr - i))
			break;
		folio = read_pages_ahead(si, pages + i, batch);
		if (last) {
			folio_wait_locked(last);
			folio_put(last);
		}
		last = folio;
		cond_resched();
	}
	if (last)
		folio_put(last);
	return i == nr;
}

/**
 * ramzswap_backing_read_all() - read pages into the swap cache for swapoff
 * @b: the backing device
 * @si: the swap area that uses it
 *
 * swapoff looks for pages in the order of the processes' address spaces.  Its reads
 * would be random, and would read a block once for each of its pages.  This
 * function reads the pages in the order of their blocks, which is sequential I/O.
 * The pages take the memory that swapoff needs for them anyway.  swapoff itself
 * reads the pages that this function does not.
 *
 * Context: swapoff.  May sleep.
 */
void ramzswap_backing_read_all(struct ramzswap_backing *b, struct swap_info_struct *si)
{
	unsigned long max, nr, slot = 0;
	struct sweep_page *pages;

	max = min(READ_ONCE(b->blocks.nr_pages), SWEEP_BYTES / sizeof(*pages));
	if (!max)
		return;
	pages = kvmalloc_objs(*pages, max, GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
	if (!pages)
		return;
	do {
		nr = find_pages(b, pages, max, &slot);
		sort_nonatomic(pages, nr, sizeof(*pages), compare_blocks, NULL);
	} while (sweep(b, si, pages, nr) && nr == max);
	kvfree(pages);
}

/* === Packing ============================================================= */

/* Return: the number of pages in a block of a buffer. */
static unsigned int buffer_nr(const struct pack_buffer *buf, unsigned int block)
{
	return buf->whole[block] ? 1 : ramzswap_block_nr(buf->block[block]);
}

static unsigned int buffer_bytes(const struct pack_buffer *buf, unsigned int block)
{
	return buf->whole[block] ? PAGE_SIZE : ramzswap_block_bytes(buf->block[block]);
}

static u32 buffer_slot(const struct pack_buffer *buf, unsigned int block,
		       unsigned int position)
{
	return buf->whole[block] ?: ramzswap_block_slot(buf->block[block], position);
}

/* Return: the place of a page that has been written. */
static u64 buffer_place(const struct pack_buffer *buf, unsigned int block,
			unsigned int position)
{
	if (buf->whole[block])
		return ramzswap_place_whole(buf->nr[block], buf->generation[block]);
	return ramzswap_place_packed(RAMZSWAP_PLACE_PACKED, buf->nr[block], position,
				     ramzswap_block_units(buf->block[block], position),
				     buf->generation[block]);
}

/* Finish a block of a buffer for its place on the device. */
static void seal_block(struct pack_buffer *buf, unsigned int block, u32 nr)
{
	struct ramzswap_backing *b = buf->b;

	if (buf->whole[block])
		buf->generation[block] = crc32c(b->nonce, buf->block[block], PAGE_SIZE);
	else
		ramzswap_block_seal(buf->block[block], b->nonce, nr,
				    buf->generation[block]);
}

static u64 pending_place(const struct pack_buffer *buf, unsigned int block,
			 unsigned int position)
{
	return ramzswap_place_packed(RAMZSWAP_PLACE_PENDING,
				     buf->index * BUFFER_BLOCKS + block, position, 1,
				     buf->use);
}

/* Replace a pending place.  Return: true if the slot still had it. */
static bool settle_place(struct ramzswap_backing *b, unsigned long slot, u64 pending,
			 u64 place)
{
	u64 *unused = NULL;
	bool settled = false;

	scoped_guard(spinlock_irqsave, &b->lock) {
		if (!slot_chunk(b, slot)->place || *slot_place(b, slot) != pending)
			break;
		settled = true;
		if (place) {
			ramzswap_blocks_get(&b->blocks, place);
			*slot_place(b, slot) = place;
		} else {
			unmap_slot(b, slot, &unused);
		}
	}
	free_chunk(b, unused);
	return settled;
}

/*
 * The write of an object has ended.  If it succeeded, and the slot's page is still
 * only in zswap, the page is on the device from now on.  A folio in the swap cache
 * prevents that: its owner may be about to load the page from zswap.
 */
static void settle_object(struct pack_buffer *buf, unsigned int block,
			  unsigned int position)
{
	struct ramzswap_backing *b = buf->b;
	u32 slot = buffer_slot(buf, block, position);
	u64 pending = pending_place(buf, block, position), place = 0;
	swp_entry_t entry = swp_entry(buf->si->type, slot);
	struct swap_cluster_info *ci;
	bool settled;

	ci = swap_cluster_lock(buf->si, slot);
	/* A slot with an entry in zswap is in use. */
	if (get_place(b, slot) == pending && buf->nr[block] && !buf->status[block] &&
	    !swp_tb_is_folio(__swap_table_get(ci, swp_cluster_offset(entry))) &&
	    zswap_has(entry))
		place = buffer_place(buf, block, position);
	settled = settle_place(b, slot, pending, place);
	if (settled && place) {
		atomic_long_inc(&b->writes);
		zswap_written(entry);
	} else if (settled && buf->nr[block] && buf->status[block]) {
		/* It stays in memory. */
		ramzswap_count(&b->rz->share, RAMZSWAP_FAILED_WRITES, 1);
	}
	swap_cluster_unlock(ci);
}

/*
 * The write of a page that cleaning moves has ended.  Set its new place, if the slot
 * still has the old one and no task is reading there.
 */
static void settle_moved(struct pack_buffer *buf, unsigned int block,
			 unsigned int position)
{
	struct ramzswap_backing *b = buf->b;
	u64 old = b->moved->place[block][position], place;
	u32 slot = ramzswap_block_slot(buf->block[block], position);

	if (!buf->nr[block] || buf->status[block])
		return;
	place = ramzswap_block_place(buf->block[block], position);
	guard(spinlock_irqsave)(&b->read_lock);
	if (find_read(b, old))
		return;
	guard(spinlock)(&b->lock);
	if (!slot_chunk(b, slot)->place || *slot_place(b, slot) != old)
		return;
	ramzswap_blocks_get(&b->blocks, place);
	*slot_place(b, slot) = place;
	ramzswap_blocks_put(&b->blocks, old);
	atomic_long_inc(&b->moves);
}

/*
 * Find out whether the block or the device is at fault, like write_page_again().  If it
 * is the device, leave the other blocks of the buffer alone.
 */
static void write_block_again(struct pack_buffer *buf, unsigned int i)
{
	struct ramzswap_backing *b = buf->b;
	struct page *page = virt_to_page(buf->block[i]);
	blk_status_t status, other_status;
	unsigned long block;

	status = write_page(b, page, buf->nr[i]);
	buf->status[i] = status;
	if (!is_block_error(status)) {
		buf->again = !status;
		return;
	}
	block = hold_block_elsewhere(b);
	if (!block)
		return;
	seal_block(buf, i, block);
	other_status = write_page(b, page, block);
	buf->status[i] = other_status;
	if (!other_status || status == BLK_STS_MEDIUM) {
		pr_warn_ratelimited("%s: block %u of %pg is bad: the kernel no longer uses it\n",
				    b->rz->disk->disk_name, buf->nr[i], b->bdev);
		let_block_go(b, buf->nr[i], true);
		buf->nr[i] = block;
	} else {
		let_block_go(b, block, false);
		buf->again = false;
	}
}

static bool may_write_again(struct pack_buffer *buf, unsigned int i)
{
	return buf->nr[i] && is_block_error(buf->status[i]) &&
	       !READ_ONCE(buf->b->stopped);
}

static void free_buffer(struct pack_buffer *buf)
{
	struct ramzswap_backing *b = buf->b;
	struct swap_info_struct *si = buf->si;

	buf->si = NULL;
	scoped_guard(spinlock, &b->pack_lock) {
		list_add_tail(&buf->list, &b->free);
		b->nr_free_buffers++;
	}
	WRITE_ONCE(b->no_buffer, false);
	wake_up(&b->buffer_wait);
	/* Now the device may be swapped off. */
	if (si)
		put_swap_device(si);
}

/* The write of moved pages has ended, or there was none: continue if that is useful. */
static void end_cleaning(struct pack_buffer *buf, bool failed)
{
	struct ramzswap_backing *b = buf->b;

	buf->cleaning = false;
	free_unused(b);
	if (failed)
		pause_cleaning(b);
	WRITE_ONCE(b->cleaning, false);
	scoped_guard(spinlock_irqsave, &b->lock) {
		if (!failed)
			b->clean_pause = 0;
		clean_if_scarce(b);
	}
	if (!failed)
		ramzswap_more_room(b->rz);
}

static void ramzswap_end_buffer(struct work_struct *work)
{
	struct pack_buffer *buf = container_of(work, struct pack_buffer, work);
	struct ramzswap_backing *b = buf->b;
	bool failed = false, written = false, cleaning = buf->cleaning;
	unsigned int i, position;
	long bytes = 0;

	for (i = 0; i < BUFFER_BLOCKS; i++) {
		unsigned int nr = buffer_nr(buf, i);

		if (!nr)
			continue;
		written |= buf->nr[i];
		if (buf->again && may_write_again(buf, i)) {
			write_block_again(buf, i);
			if (!buf->status[i])
				write_worked(b, 1);
		}
		if (buf->nr[i] && buf->status[i]) {
			say_write_failed(b, nr, buf->nr[i], buf->status[i]);
			failed = true;
		}
		for (position = 0; position < nr; position++) {
			if (cleaning)
				settle_moved(buf, i, position);
			else
				settle_object(buf, i, position);
		}
		if (buf->nr[i])
			let_block_go(b, buf->nr[i], false);
		bytes += buffer_bytes(buf, i);
	}
	/* Count one failure, as the blocks were mostly one request. */
	if (failed)
		count_failure(b);
	if (cleaning)
		end_cleaning(buf, failed || !written);
	else
		atomic_long_sub(bytes, &b->rz->share.leaving);
	free_buffer(buf);
	/* Cleaning may have found too few free buffers. */
	scoped_guard(spinlock_irqsave, &b->lock)
		clean_if_scarce(b);
}

static void end_bios(struct pack_buffer *buf)
{
	struct ramzswap_backing *b = buf->b;
	unsigned int i;

	if (!atomic_dec_and_test(&buf->pending))
		return;
	/*
	 * Work that waits for I/O must not delay work that does not.  Decide that
	 * once: a stopped device may resume meanwhile.
	 */
	buf->again = false;
	for (i = 0; i < BUFFER_BLOCKS; i++)
		buf->again |= may_write_again(buf, i);
	queue_work(buf->again ? b->wq : b->end_wq, &buf->work);
}

static void pack_endio(struct bio *bio)
{
	struct pack_buffer *buf = bio->bi_private;
	struct ramzswap_backing *b = buf->b;
	unsigned int i, first = bio - buf->bio, nr = bio->bi_vcnt;

	atomic_dec(&b->in_flight);
	if (!bio->bi_status)
		write_worked(b, nr);
	for (i = first; nr; i++) {
		if (!buf->nr[i])
			continue;
		buf->status[i] = bio->bi_status;
		nr--;
	}
	bio_uninit(bio);
	end_bios(buf);
}

/* With pack_lock: take a free buffer, and empty it. */
static struct pack_buffer *take_buffer(struct ramzswap_backing *b)
{
	struct pack_buffer *buf = list_first_entry(&b->free, struct pack_buffer, list);
	unsigned int i;

	lockdep_assert_held(&b->pack_lock);

	list_del(&buf->list);
	b->nr_free_buffers--;
	buf->use++;
	for (i = 0; i < BUFFER_BLOCKS; i++) {
		ramzswap_block_init(buf->block[i]);
		buf->room[i] = ramzswap_block_room(buf->block[i]);
		buf->whole[i] = 0;
	}
	return buf;
}

/* Choose blocks on the device for those of a buffer. */
static void place_buffer(struct pack_buffer *buf)
{
	struct ramzswap_backing *b = buf->b;
	unsigned int i, left = 0, got = 0, tries = RUNS_TO_TRY;
	unsigned long block = 0, available;

	for (i = 0; i < BUFFER_BLOCKS; i++) {
		buf->nr[i] = 0;
		buf->status[i] = BLK_STS_OK;
		left += !!buffer_nr(buf, i);
	}
	fill_spare(b);
	guard(spinlock_irqsave)(&b->lock);
	if (b->stopped)
		return;
	clean_if_scarce(b);
	available = buf->cleaning ? nr_free(b) : nr_available(b);
	for (i = 0; i < BUFFER_BLOCKS; i++) {
		if (!buffer_nr(buf, i))
			continue;
		if (!got) {
			unsigned int want = min_t(unsigned long, left, available);

			if (want)
				block = ramzswap_blocks_hold(&b->blocks, b->blocks.next,
							     want, tries, &got);
			/* No room for the remaining blocks: their pages stay in memory. */
			if (!got)
				return;
			b->blocks.next = block + got;
			available -= got;
			tries = 1;
		}
		buf->nr[i] = block++;
		buf->generation[i] = ++b->generation;
		got--;
		left--;
	}
}

static void submit_buffer(struct pack_buffer *buf)
{
	struct ramzswap_backing *b = buf->b;
	struct bio *bio = NULL;
	unsigned int i;
	struct blk_plug plug;

	place_buffer(buf);
	atomic_set(&buf->pending, 1);
	blk_start_plug(&plug);
	for (i = 0; i < BUFFER_BLOCKS; i++) {
		sector_t sector;

		if (!buf->nr[i])
			continue;
		seal_block(buf, i, buf->nr[i]);
		sector = block_sector(b, buf->nr[i]);
		if (bio && bio_end_sector(bio) != sector) {
			submit_bio(bio);
			bio = NULL;
		}
		if (!bio) {
			bio = &buf->bio[i];
			bio_init(bio, b->bdev, &buf->bvec[i], BUFFER_BLOCKS - i,
				 REQ_OP_WRITE | REQ_SWAP);
			bio->bi_iter.bi_sector = sector;
			bio->bi_private = buf;
			bio->bi_end_io = pack_endio;
			/* The buffer has pages of several cgroups. */
			bio_associate_blkg_from_css(bio, blkcg_root_css);
			atomic_inc(&buf->pending);
			atomic_inc(&b->in_flight);
		}
		__bio_add_page(bio, virt_to_page(buf->block[i]), PAGE_SIZE, 0);
	}
	if (bio)
		submit_bio(bio);
	blk_finish_plug(&plug);
	end_bios(buf);
}

/* Write both open buffers, or the first one if there are two. */
static void flush(struct ramzswap_backing *b, bool both)
{
	struct pack_buffer *first = NULL, *second = NULL;

	scoped_guard(spinlock, &b->pack_lock) {
		if (!both && !b->open[1])
			break;
		first = b->open[0];
		if (both)
			second = b->open[1];
		b->open[0] = both ? NULL : b->open[1];
		b->open[1] = NULL;
	}
	if (first)
		submit_buffer(first);
	if (second)
		submit_buffer(second);
}

/* Do not write while pages arrive: the buffers fill up then. */
static void ramzswap_flush(struct work_struct *work)
{
	struct ramzswap_backing *b = container_of(work, struct ramzswap_backing,
						  flush_work.work);
	unsigned long after = READ_ONCE(b->packed) + FLUSH_INTERVAL;

	if (time_before(jiffies, after))
		queue_delayed_work(b->wq, &b->flush_work, after - jiffies);
	else
		flush(b, true);
}

/*
 * Data that is being written stays in memory until the write has ended, but does not
 * count as stored.  Return: true if more such data keeps the device near its limit.
 */
static bool may_leave(struct ramzswap_backing *b)
{
	u64 limit = READ_ONCE(b->rz->share.mem_limit);

	return !limit || atomic_long_read(&b->rz->share.leaving) <
			 max(limit / LEAVING_PART, BUFFER_BLOCKS * PAGE_SIZE);
}

static bool buffer_is_free(struct ramzswap_backing *b)
{
	guard(spinlock)(&b->pack_lock);
	return (b->open[1] || !list_empty(&b->free)) && may_leave(b);
}

/**
 * ramzswap_backing_next_buffer() - write an open buffer, and wait for a free one
 * @b: the backing device
 *
 * Context: Reclaim.  Waits for up to %BUFFER_WAIT.  After a timeout, does not wait again
 *	until a buffer becomes free.  Does not wait for a stopped device.
 * Return: true if there is a free buffer.
 */
bool ramzswap_backing_next_buffer(struct ramzswap_backing *b)
{
	flush(b, !may_leave(b));
	if (!READ_ONCE(b->no_buffer) &&
	    !wait_event_timeout(b->buffer_wait,
				buffer_is_free(b) || READ_ONCE(b->stopped),
				BUFFER_WAIT))
		WRITE_ONCE(b->no_buffer, true);
	return buffer_is_free(b);
}

/* With pack_lock: open a buffer for objects. */
static struct pack_buffer *open_buffer(struct ramzswap_backing *b,
				       struct swap_info_struct *si)
{
	struct pack_buffer *buf;

	if (list_empty(&b->free) || !get_swap_device(swp_entry(si->type, 1)))
		return NULL;
	buf = take_buffer(b);
	buf->si = si;
	WRITE_ONCE(b->packed, jiffies);
	queue_delayed_work(b->wq, &b->flush_work, FLUSH_INTERVAL);
	return buf;
}

/* Return: an empty block of a buffer, or -1. */
static int empty_block(const struct pack_buffer *buf)
{
	unsigned int i;

	for (i = 0; i < BUFFER_BLOCKS; i++)
		if (!buffer_nr(buf, i))
			return i;
	return -1;
}

/* Choose the block of a buffer for an object, with pack_lock; -1 if none fits. */
static int choose_block(const struct pack_buffer *buf, unsigned int length)
{
	if (length == PAGE_SIZE)
		return empty_block(buf);
	return ramzswap_block_choose(buf->room, BUFFER_BLOCKS, length);
}

/*
 * With pack_lock: choose an open buffer for an object, and set @block to its block.
 *
 * Return: NULL if it fits into none.
 */
static struct pack_buffer *choose_buffer(struct ramzswap_backing *b,
					 struct swap_info_struct *si,
					 unsigned int length, int *block)
{
	unsigned int i;

	if (!may_leave(b))
		return NULL;
	for (i = 0; i < ARRAY_SIZE(b->open); i++) {
		if (!b->open[i])
			b->open[i] = open_buffer(b, si);
		if (!b->open[i])
			return NULL;
		*block = choose_block(b->open[i], length);
		if (*block >= 0)
			return b->open[i];
	}
	return NULL;
}

/*
 * With pack_lock: make room for an object in a block of a buffer, and set @to to
 * the memory for it.
 *
 * Return: its position.
 */
static unsigned int add_object(struct pack_buffer *buf, unsigned int block, u32 slot,
			       unsigned int length, unsigned int codec, void **to)
{
	unsigned int position = 0;

	if (length == PAGE_SIZE) {
		buf->whole[block] = slot;
		buf->room[block] = 0;
		*to = buf->block[block];
	} else {
		position = ramzswap_block_add(buf->block[block], slot, length, codec, to);
		buf->room[block] = ramzswap_block_room(buf->block[block]);
	}
	return position;
}

/**
 * ramzswap_backing_pack() - pack a page that shall leave memory
 * @b: the backing device
 * @si: the swap area that uses it
 * @slot: the page's slot
 * @data: the compressed page
 * @length: its length in bytes; PAGE_SIZE if it is the page itself
 * @codec: number of the compressor
 *
 * On success, the device calls zswap_written() when the page is on the device, unless
 * the slot has changed by then or the write fails.
 *
 * Context: The slot's cluster is locked, and no folio is in its swap cache; the
 *	caller has a reference to @si.
 * Return: 0; -EBUSY if the page is being written already; -E2BIG if it does not fit
 * into a block; -ENOMEM without memory for its place; -EAGAIN without a buffer, see
 * ramzswap_backing_next_buffer().
 */
int ramzswap_backing_pack(struct ramzswap_backing *b, struct swap_info_struct *si,
			  unsigned long slot, struct scatterlist *data,
			  unsigned int length, unsigned int codec)
{
	struct pack_buffer *buf;
	unsigned int position;
	u64 *spare = NULL;
	int ret = 0, i;
	void *to;

	if (length > ramzswap_block_max_object() && length != PAGE_SIZE)
		return -E2BIG;
	/* With the cluster locked, no other task gives the slot a place. */
	if (get_place(b, slot)) {
		if (!ramzswap_backing_lost(b, slot, 1))
			return -EBUSY;
		/* Its block is rotten: write the page to another one. */
		ramzswap_backing_free(b, slot, 1);
	}
	if (!READ_ONCE(slot_chunk(b, slot)->place))
		spare = alloc_chunk(b);

	spin_lock(&b->pack_lock);
	buf = choose_buffer(b, si, length, &i);
	if (!buf) {
		ret = -EAGAIN;
		goto unlock;
	}
	scoped_guard(spinlock_irqsave, &b->lock) {
		if (!have_chunk(b, slot, &spare)) {
			ret = -ENOMEM;
		} else {
			position = add_object(buf, i, slot, length, codec, &to);
			*slot_place(b, slot) = pending_place(buf, i, position);
			slot_chunk(b, slot)->nr++;
		}
	}
	if (!ret) {
		WRITE_ONCE(b->packed, jiffies);
		memcpy_from_sglist(to, data, 0, length);
		atomic_long_add(length, &b->rz->share.leaving);
	}
unlock:
	spin_unlock(&b->pack_lock);
	free_chunk(b, spare);
	return ret;
}

/* === Cleaning ============================================================ */

/* Reads of blocks to clean */
struct clean_io {
	atomic_t pending;	/* bios in flight, and one for the submitter */
	struct completion done;
};

static void clean_endio(struct bio *bio)
{
	struct clean_io *io = bio->bi_private;

	if (atomic_dec_and_test(&io->pending))
		complete(&io->done);
}

/*
 * Read blocks to clean until their wanted pages take @room units, and subtract these
 * units.  Hold the blocks, so that they stay in use and no search finds them again.
 *
 * Return: their number.
 */
static unsigned int read_sparse_blocks(struct ramzswap_backing *b, struct pack_buffer *from,
				       int *room)
{
	unsigned long groups = b->nr_blocks / PAGE_SIZE + 2, left = 2 * groups + BUFFER_BLOCKS;
	unsigned int nr = 0, units = 0;
	struct clean_io io;
	struct blk_plug plug;

	atomic_set(&io.pending, 1);
	init_completion(&io.done);
	blk_start_plug(&plug);
	while (nr < BUFFER_BLOCKS && *room > 0 && left--) {
		unsigned long block;
		struct bio *bio = &from->bio[nr];

		/* The lock is held for the search of one group only. */
		scoped_guard(spinlock_irqsave, &b->lock) {
			units = ramzswap_blocks_to_clean(&b->blocks);
			block = units ? ramzswap_blocks_find_sparse(&b->blocks, &b->clean_from,
								    units) : 0;
			if (block) {
				*room -= ramzswap_blocks_units(&b->blocks, block);
				ramzswap_blocks_hold_used(&b->blocks, block);
			}
		}
		if (!units)
			break;
		if (!block) {
			cond_resched();
			continue;
		}
		from->nr[nr] = block;
		bio_init(bio, b->bdev, &from->bvec[nr], 1, REQ_OP_READ);
		bio->bi_iter.bi_sector = block_sector(b, block);
		bio->bi_private = &io;
		bio->bi_end_io = clean_endio;
		__bio_add_page(bio, virt_to_page(from->block[nr]), PAGE_SIZE, 0);
		atomic_inc(&io.pending);
		submit_bio(bio);
		nr++;
	}
	blk_finish_plug(&plug);
	if (!atomic_dec_and_test(&io.pending))
		wait_for_completion(&io.done);
	return nr;
}

/* Return: true if all of a block's wanted pages have been packed into @to. */
static bool clean_block(struct ramzswap_backing *b, const void *block,
			unsigned long nr_block, struct pack_buffer *to)
{
	unsigned int position, nr = ramzswap_block_nr(block), found = 0;

	for (position = 0; position < nr; position++) {
		u64 place = ramzswap_block_place(block, position);
		u32 slot = ramzswap_block_slot(block, position);
		unsigned int new_position;
		int i;

		if (slot / PLACES_PER_CHUNK >= b->nr_chunks || get_place(b, slot) != place)
			continue;
		found++;
		i = ramzswap_block_choose(to->room, BUFFER_BLOCKS,
					  ramzswap_block_length(block, position));
		if (i < 0)
			return false;
		new_position = ramzswap_block_nr(to->block[i]);
		if (!ramzswap_block_move(to->block[i], &to->room[i], block, position))
			return false;
		b->moved->place[i][new_position] = place;
	}
	/* A held block gets no new page.  If one is missing, an older block was read. */
	guard(spinlock_irqsave)(&b->lock);
	if (found < ramzswap_blocks_wanted(&b->blocks, nr_block))
		ramzswap_blocks_mark_rotten(&b->blocks, nr_block);
	return true;
}

/* Was a block of a buffer read, and is it one that was written there? */
static bool can_clean(struct ramzswap_backing *b, struct pack_buffer *from,
		      unsigned int i)
{
	blk_status_t status = from->bio[i].bi_status;

	if (!status && ramzswap_block_is(from->block[i], b->nonce, from->nr[i]))
		return true;
	/* Keep the block: readers of its pages will get an error. */
	if (!status || status == BLK_STS_MEDIUM || status == BLK_STS_PROTECTION) {
		guard(spinlock_irqsave)(&b->lock);
		ramzswap_blocks_mark_rotten(&b->blocks, from->nr[i]);
	}
	return false;
}

/*
 * Clean some blocks: read them, pack the wanted pages, and write them.
 * ramzswap_end_buffer() does the rest.
 *
 * Pages may be freed or written elsewhere meanwhile.  So a place from the directory of
 * a block counts only if the slot still has it.
 */
static void clean_blocks(struct ramzswap_backing *b, struct swap_info_struct *si,
			 struct pack_buffer *from, struct pack_buffer *to)
{
	unsigned int i, nr, nr_cleaned = 0, nr_filled = 0, nr_held = 0;
	int room = min(BUFFER_BLOCKS, nr_free(b)) * RAMZSWAP_BLOCK_UNITS;
	bool full = false;

	do {
		nr = read_sparse_blocks(b, from, &room);
		for (i = 0; i < nr; i++) {
			if (!full && can_clean(b, from, i)) {
				full = !clean_block(b, from->block[i], from->nr[i],
						    to);
				nr_cleaned += !full;
			}
			bio_uninit(&from->bio[i]);
			b->moved->block[nr_held++] = from->nr[i];
		}
	} while (nr == BUFFER_BLOCKS && !full &&
		 nr_held < ARRAY_SIZE(b->moved->block));
	for (i = 0; i < nr_held; i++)
		let_block_go(b, b->moved->block[i], false);
	free_buffer(from);

	for (i = 0; i < BUFFER_BLOCKS; i++)
		nr_filled += !!ramzswap_block_nr(to->block[i]);
	if (!ramzswap_blocks_worth_cleaning(nr_cleaned, nr_filled)) {
		pause_cleaning(b);
		free_buffer(to);
		put_swap_device(si);
		return;
	}
	to->si = si;
	to->cleaning = true;
	WRITE_ONCE(b->cleaning, true);
	submit_buffer(to);
}

static void ramzswap_clean(struct work_struct *work)
{
	struct ramzswap_backing *b = container_of(work, struct ramzswap_backing,
						  clean_work);
	struct pack_buffer *from = NULL, *to = NULL;
	bool ready = false;
	struct swap_info_struct *si;
	unsigned int nr_spare = 2;

	scoped_guard(spinlock_irqsave, &b->lock)
		ready = may_clean(b);
	if (!ready)
		return;
	/* A hibernation image may refer to the old places. */
	if (pm_suspended_storage())
		return;
	/* This keeps the backing device attached. */
	si = ramzswap_get_swap(b->rz);
	if (!si)
		return;
	/* While blocks are not short, making room in memory needs the buffers more. */
	if (!ramzswap_blocks_are_short(&b->blocks))
		nr_spare = b->nr_buffers / 2;
	scoped_guard(spinlock, &b->pack_lock) {
		if (b->nr_free_buffers >= nr_spare) {
			from = take_buffer(b);
			to = take_buffer(b);
		}
	}
	if (from)
		clean_blocks(b, si, from, to);
	else
		put_swap_device(si);
}

/* === Discarding ========================================================== */

/**
 * ramzswap_backing_can_discard() - check whether free blocks can be discarded
 * @b: the backing device
 *
 * Context: Any.
 * Return: true if the disk supports discard.
 */
bool ramzswap_backing_can_discard(struct ramzswap_backing *b)
{
	return bdev_max_discard_sectors(b->bdev);
}

/* Discard blocks.  The caller keeps them unused meanwhile. */
static void discard_blocks(struct ramzswap_backing *b, unsigned long first,
			   unsigned long nr)
{
	/* A discard cannot be cancelled, but do not start another one after a close. */
	while (nr && READ_ONCE(b->discard)) {
		unsigned int extent = block_extent(b, first);
		unsigned long len = nr;

		if (extent + 1 < b->nr_extents)
			len = min(nr, b->extents[extent + 1].first - first);
		/* This only helps the disk, so ignore errors. */
		blkdev_issue_discard(b->bdev, block_sector(b, first),
				     (sector_t)len << PAGE_SECTORS_SHIFT, GFP_NOIO);
		first += len;
		nr -= len;
		cond_resched();
	}
}

/* Discard groups of blocks that have become free since the last time. */
static void ramzswap_discard(struct work_struct *work)
{
	struct ramzswap_backing *b = container_of(work, struct ramzswap_backing,
						  discard_work.work);
	unsigned long from = 0, first, nr;

	/* A hibernation image may refer to blocks that were freed after it was made. */
	while (from < b->nr_blocks && !READ_ONCE(b->stopped) && !pm_suspended_storage()) {
		first = 0;
		scoped_guard(spinlock_irqsave, &b->lock) {
			/* This holds a whole group, so leave another one free. */
			if (nr_available(b) < 2 * RAMZSWAP_GROUP_BLOCKS)
				return;
			first = ramzswap_blocks_hold_emptied(&b->blocks, &from, &nr);
		}
		if (!first)
			continue;
		discard_blocks(b, first, nr);
		scoped_guard(spinlock_irqsave, &b->lock)
			ramzswap_blocks_let_emptied_go(&b->blocks, first);
	}
}

/**
 * ramzswap_backing_swapon() - apply the discard options of swapon
 * @b: the backing device, with all blocks free
 * @si: the swap area that is going to use it
 *
 * Context: May sleep.
 */
void ramzswap_backing_swapon(struct ramzswap_backing *b, struct swap_info_struct *si)
{
	WRITE_ONCE(b->discard, si->flags & SWP_AREA_DISCARD);
	if (b->discard)
		discard_blocks(b, 1, b->nr_blocks - 1);
	WRITE_ONCE(b->discard, si->flags & SWP_PAGE_DISCARD);
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
	unsigned long nr = DIV_ROUND_UP(nr_pages, PLACES_PER_CHUNK);
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
 * Keep user space from writing to the file or device from now on, and write back
 * its page cache.  The inode is locked.
 */
static int close_to_others(struct ramzswap_backing *b, struct inode *inode,
			   const char **why)
{
	int err;

	inode->i_flags |= S_SWAPFILE;
	*why = "earlier writes to it did not reach the disk";
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
	b->nr_blocks = min_t(u64, bdev_nr_bytes(b->bdev) >> PAGE_SHIFT, RAMZSWAP_MAX_BLOCKS);
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

/* Activate a file as swapon does.  The file system logs errors. */
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
	sis->max = min_t(u64, i_size_read(inode) >> PAGE_SHIFT, RAMZSWAP_MAX_BLOCKS);
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
	*why = "it cannot be a swap file: it may have holes";
	err = setup_swap_extents(sis, b->file, &span);
	if (err < 0)
		goto unlock;
	err = -EINVAL;
	/* Only whole pages count. */
	if (sis->max < 2)
		goto unlock;
	if (sis->ops != &swap_bdev_ops || !sis->bdev) {
		*why = "its file system does not report where its blocks are";
		goto unlock;
	}
	err = close_to_others(b, inode, why);
unlock:
	inode_unlock(inode);
	if (err)
		return err;

	if (inode->i_mode & 0077)
		pr_warn("%s: insecure permissions %04o of %pD, which receives swapped pages: 0600 suggested\n",
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

static int alloc_buffers(struct ramzswap_backing *b)
{
	unsigned int i, block;

	b->nr_buffers = clamp(totalram_pages() / BUFFERS_PART / BUFFER_BLOCKS,
			      MIN_BUFFERS, MAX_BUFFERS);
	b->buffers = kvcalloc(b->nr_buffers, sizeof(*b->buffers), GFP_KERNEL);
	if (!b->buffers)
		return -ENOMEM;
	for (i = 0; i < b->nr_buffers; i++) {
		struct pack_buffer *buf = &b->buffers[i];

		buf->b = b;
		buf->index = i;
		INIT_WORK(&buf->work, ramzswap_end_buffer);
		for (block = 0; block < BUFFER_BLOCKS; block++) {
			buf->block[block] = (void *)get_zeroed_page(GFP_KERNEL);
			if (!buf->block[block])
				return -ENOMEM;
		}
		list_add_tail(&buf->list, &b->free);
		b->nr_free_buffers++;
	}
	b->moved = kvmalloc_obj(*b->moved);
	return b->moved ? 0 : -ENOMEM;
}

static void free_buffers(struct ramzswap_backing *b)
{
	unsigned int i, block;

	for (i = 0; b->buffers && i < b->nr_buffers; i++)
		for (block = 0; block < BUFFER_BLOCKS; block++)
			free_page((unsigned long)b->buffers[i].block[block]);
	kvfree(b->buffers);
	kvfree(b->moved);
}

static int alloc_blocks(struct ramzswap_backing *b)
{
	BUILD_BUG_ON(PLACES_PER_CHUNK % SWAPFILE_CLUSTER);

	if (ramzswap_blocks_init(&b->blocks, b->nr_blocks))
		return -ENOMEM;
	b->pool = mempool_create_page_pool(CHUNK_RESERVE, 0);
	b->pieces = mempool_create_kmalloc_pool(PIECE_RESERVE, sizeof(struct piece));
	b->reads = mempool_create_kmalloc_pool(READ_RESERVE, sizeof(struct packed_read));
	b->read_pages = mempool_create_page_pool(READ_RESERVE, 0);
	if (!b->pool || !b->pieces || !b->reads || !b->read_pages || alloc_buffers(b))
		return -ENOMEM;
	b->wq = alloc_workqueue("ramzswap-io", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	b->end_wq = alloc_workqueue("ramzswap-end",
				    WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	if (!b->wq || !b->end_wq)
		return -ENOMEM;
	b->nonce = get_random_u32();
	b->generation = get_random_u32();
	return 0;
}

static void close_now(struct ramzswap_backing *b)
{
	struct inode *inode;

	WARN_ON_ONCE(b->blocks.nr_pages);
	/* The work has ended all I/O, but may not have returned. */
	cancel_delayed_work_sync(&b->flush_work);
	cancel_work_sync(&b->clean_work);
	cancel_delayed_work_sync(&b->discard_work);
	cancel_work_sync(&b->retry_work);
	cancel_delayed_work_sync(&b->probe_work);
	if (b->end_wq)
		destroy_workqueue(b->end_wq);
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
	free_unused(b);
	free_page((unsigned long)b->blocks.spare);
	ramzswap_blocks_destroy(&b->blocks);
	free_buffers(b);
	mempool_destroy(b->read_pages);
	mempool_destroy(b->reads);
	mempool_destroy(b->pieces);
	mempool_destroy(b->pool);
	kvfree(b->chunks);
	kfree(b);
}

/* Is there work that hangs while the device does not answer? */
static bool is_busy(struct ramzswap_backing *b)
{
	return work_busy(&b->probe_work.work) || work_busy(&b->discard_work.work);
}

static void ramzswap_close_later(struct work_struct *work)
{
	struct ramzswap_backing *b = container_of(work, struct ramzswap_backing,
						  close_work.work);

	if (is_busy(b))
		queue_delayed_work(system_dfl_wq, &b->close_work, HZ);
	else
		close_now(b);
}

/**
 * ramzswap_backing_close() - close a backing device
 * @b: the backing device, which has no pages; may be NULL
 *
 * If the device does not answer an attempt to resume it, or a discard, this waits
 * until it does.  If the caller is killed meanwhile, a worker takes over.
 *
 * Context: May sleep.
 */
void ramzswap_backing_close(struct ramzswap_backing *b)
{
	if (!b)
		return;
	disable_delayed_work(&b->probe_work);
	disable_delayed_work(&b->discard_work);
	WRITE_ONCE(b->discard, false);
	while (is_busy(b)) {
		schedule_timeout_killable(CLOSE_INTERVAL);
		if (fatal_signal_pending(current)) {
			queue_delayed_work(system_dfl_wq, &b->close_work, HZ);
			return;
		}
	}
	close_now(b);
}

/* Opening other types may block forever, or have side effects. */
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
 * ramzswap_backing_open() - open a backing device
 * @rz: the ramzswap device
 * @path: path of a block device or a regular file, opened with the caller's
 *	credentials
 * @why: set to the reason if this fails
 *
 * Everything on it, except for the first block, will be overwritten.
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
	spin_lock_init(&b->pack_lock);
	spin_lock_init(&b->read_lock);
	spin_lock_init(&b->lock);
	init_waitqueue_head(&b->buffer_wait);
	INIT_LIST_HEAD(&b->free);
	bio_list_init(&b->to_retry);
	INIT_DELAYED_WORK(&b->flush_work, ramzswap_flush);
	INIT_WORK(&b->clean_work, ramzswap_clean);
	INIT_DELAYED_WORK(&b->discard_work, ramzswap_discard);
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
 * ramzswap_backing_file() - get the file of a backing device
 * @b: the backing device
 *
 * Return: the file, without a reference.
 */
struct file *ramzswap_backing_file(struct ramzswap_backing *b)
{
	return b->file;
}

/**
 * ramzswap_backing_get_usage() - report the usage of a backing device
 * @b: the backing device; NULL for none
 * @usage: the report
 *
 * Context: Any.  The caller keeps the backing device attached, for example by the
 *	device's lock.
 */
void ramzswap_backing_get_usage(struct ramzswap_backing *b,
				struct ramzswap_backing_usage *usage)
{
	unsigned long chunks_used = 0;
	size_t block_bytes = 0;

	memset(usage, 0, sizeof(*usage));
	if (!b)
		return;
	scoped_guard(spinlock_irqsave, &b->lock) {
		usage->total = b->nr_blocks - 1;
		usage->used = b->blocks.nr_used;
		usage->pages = b->blocks.nr_pages;
		usage->bad = b->blocks.nr_bad;
		usage->stopped = b->stopped;
		usage->stops = b->nr_stops;
		chunks_used = b->nr_chunks_used;
		block_bytes = ramzswap_blocks_bytes(&b->blocks);
	}
	usage->reads = atomic_long_read(&b->pages_read);
	usage->read_ios = atomic_long_read(&b->read_ios);
	usage->writes = atomic_long_read(&b->writes);
	usage->moves = atomic_long_read(&b->moves);
	usage->blocks_written = atomic_long_read(&b->blocks_written);
	usage->write_ios = atomic_long_read(&b->write_ios);

	usage->meta_bytes = sizeof(*b) +
		(CHUNK_RESERVE + chunks_used) * PAGE_SIZE +
		PIECE_RESERVE * sizeof(struct piece) +
		READ_RESERVE * (sizeof(struct packed_read) + PAGE_SIZE) +
		b->nr_buffers * (sizeof(struct pack_buffer) + BUFFER_BLOCKS * PAGE_SIZE) +
		sizeof(*b->moved) +
		block_bytes +
		b->nr_chunks * sizeof(*b->chunks) +
		b->nr_extents * sizeof(*b->extents);
}
