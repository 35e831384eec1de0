/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ramzswap: what the compressed swap cache tells of itself, and what it knows
 * of the ramzswap devices
 */
#ifndef _MM_RAMZSWAP_H
#define _MM_RAMZSWAP_H

#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/percpu_counter.h>
#include <linux/spinlock.h>
#include <linux/swap.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct file;
struct folio;
struct gendisk;
struct ramzswap_backing;
struct swap_iocb;

/**
 * enum ramzswap_counter - what is counted on the way of a page
 * @RAMZSWAP_NUM_READS: pages read from the cache
 * @RAMZSWAP_NUM_WRITES: pages stored in the cache
 * @RAMZSWAP_FAILED_READS: pages that were in the cache but could not be read;
 *	whoever wanted them got an I/O error
 * @RAMZSWAP_FAILED_WRITES: pages that the cache was asked to store and did not;
 *	they went to the swap device or stayed in memory
 * @RAMZSWAP_NOTIFY_FREE: swap slots that were freed
 * @RAMZSWAP_GOOD_COMPRESS: pages now in the cache that compressed to half
 *	their size or less
 * @RAMZSWAP_COMPR_BYTES: size of the compressed data that is now in the cache
 * @RAMZSWAP_STORED: pages now in the cache
 * @RAMZSWAP_INCOMPRESSIBLE: those of them that are stored as they were
 * @RAMZSWAP_SPANS: what says where they are, see zswap_span_bytes()
 * @RAMZSWAP_NR_COUNTERS: how many counters there are
 */
enum ramzswap_counter {
	RAMZSWAP_NUM_READS,
	RAMZSWAP_NUM_WRITES,
	RAMZSWAP_FAILED_READS,
	RAMZSWAP_FAILED_WRITES,
	RAMZSWAP_NOTIFY_FREE,
	RAMZSWAP_GOOD_COMPRESS,
	RAMZSWAP_COMPR_BYTES,
	RAMZSWAP_STORED,
	RAMZSWAP_INCOMPRESSIBLE,
	RAMZSWAP_SPANS,
	RAMZSWAP_NR_COUNTERS,
};

/* One CPU's share: only the sum over all CPUs says something. */
struct ramzswap_counters {
	long nr[RAMZSWAP_NR_COUNTERS];
};

/* For all swap devices but ramzswap's. */
DECLARE_PER_CPU(struct ramzswap_counters, ramzswap_counters);

/**
 * struct ramzswap_share - what one ramzswap device has in the cache
 * @counters: the device's own
 * @held: bytes of compressed data
 * @mem_limit: how many that may be, 0 for no limit of the device's own
 * @batch: how many bytes a CPU may hold back before it adds them to @held
 * @nomem_streak: how many folios were refused for lack of memory while nothing
 *	was stored
 * @poor_streak: how many pages were refused as they do not compress, likewise
 */
struct ramzswap_share {
	struct ramzswap_counters __percpu *counters;
	struct percpu_counter held;
	u64 mem_limit;
	s32 batch;
	atomic_t nomem_streak;
	atomic_long_t poor_streak;
};

/**
 * ramzswap_count() - count something
 * @share: of the ramzswap device that it is about, NULL for any other device
 * @counter: what
 * @nr: how much; may be negative for what can become less again
 *
 * Context: Any.
 */
static inline void ramzswap_count(const struct ramzswap_share *share,
				  enum ramzswap_counter counter, long nr)
{
	if (!IS_ENABLED(CONFIG_RAMZSWAP_STATS))
		return;
	if (share)
		this_cpu_add(share->counters->nr[counter], nr);
	else
		this_cpu_add(ramzswap_counters.nr[counter], nr);
}

/*
 * ramzswap_share.batch of a device without a limit; with one, what all CPUs
 * hold back is no more than this part of the limit.  So nobody has to ask all
 * CPUs how near the limit is.
 */
#define RAMZSWAP_HELD_BATCH	(16 * PAGE_SIZE)
#define RAMZSWAP_HELD_ERROR	64

/**
 * ramzswap_hold() - account compressed data of a device
 * @share: the device's, or NULL
 * @bytes: how much more it has
 * @room_made: whether other pages made room for it
 *
 * The sum may be wrong by what CPUs hold back, a %RAMZSWAP_HELD_ERROR-th of the
 * limit, so room that was made may not be in it yet.  And those that do this at
 * the same time do not see each other: the limit may be exceeded by a page for
 * each CPU.
 *
 * Context: Any.
 * Return: whether the device's limit allows it; if not, nothing is accounted.
 */
static inline bool ramzswap_hold(struct ramzswap_share *share, unsigned int bytes,
				 bool room_made)
{
	u64 limit;

	if (!share)
		return true;
	limit = READ_ONCE(share->mem_limit);
	if (room_made)
		limit += limit / RAMZSWAP_HELD_ERROR;
	if (limit && percpu_counter_read(&share->held) + bytes > (s64)limit)
		return false;
	percpu_counter_add_batch(&share->held, bytes, READ_ONCE(share->batch));
	if (unlikely(atomic_read(&share->nomem_streak)))
		atomic_set(&share->nomem_streak, 0);
	if (unlikely(atomic_long_read(&share->poor_streak)))
		atomic_long_set(&share->poor_streak, 0);
	return true;
}

/**
 * ramzswap_excess() - how much has a device to give up because of its limit?
 * @share: the device's, or NULL
 * @nr_pages: for so many pages, of unknown compressed size
 *
 * Context: Any.
 * Return: bytes of compressed data.  A large folio need not have room for all
 * its pages where that is much of the limit.
 */
static inline u64 ramzswap_excess(struct ramzswap_share *share, unsigned int nr_pages)
{
	u64 limit = share ? READ_ONCE(share->mem_limit) : 0;
	s64 room = min((u64)nr_pages << PAGE_SHIFT, limit / 8);

	if (!limit)
		return 0;
	return max(percpu_counter_read(&share->held) + room - (s64)limit, 0);
}

/**
 * ramzswap_release() - account compressed data of a device that was freed
 * @share: the device's, or NULL
 * @bytes: how much less it has
 *
 * Context: Any.
 */
static inline void ramzswap_release(struct ramzswap_share *share, unsigned int bytes)
{
	if (share)
		percpu_counter_add_batch(&share->held, -(s64)bytes,
					 READ_ONCE(share->batch));
}

/**
 * ramzswap_over_limit() - has a device reached its limit?
 * @share: the device's, or NULL
 *
 * Context: Any.
 * Return: whether it has; a device without a limit never has.
 */
static inline bool ramzswap_over_limit(struct ramzswap_share *share)
{
	u64 limit = share ? READ_ONCE(share->mem_limit) : 0;

	return limit && percpu_counter_read(&share->held) >= (s64)limit;
}

/**
 * struct ramzswap - a device /dev/ramzswapN; they stay until the machine stops
 * @disk: what user space sees of it
 * @share: what it has in the cache
 * @lock: held while user space changes the device; outermost
 * @nr_pages: size, including the header's page; guarded by @lock, and stays as
 *	it is while somebody has the device open exclusively, as swapon has
 * @active: whether it was swapped on since it was made or reset; as @nr_pages
 * @backing: where pages go that do not stay in memory, or NULL; as @nr_pages
 * @header_lock: guards the contents of @header; a leaf
 * @header: the first page, all that user space can store on the device
 * @invalid_io: I/O requests for anything but the first page
 * @full_lock: guards the fields below; taken with a swap cluster's lock held,
 *	and the swap core's swap_avail_lock is taken inside
 * @full: the swap area that the swap core takes for full, NULL if it is not
 * @full_interval: how long until @full_work looks again, in jiffies
 * @full_looked: when somebody who had freed slots looked last; not guarded
 * @nomem_since: when share.nomem_streak began, in jiffies; not guarded
 * @full_work: looks from time to time whether there is room again
 */
struct ramzswap {
	struct gendisk *disk;
	struct ramzswap_share share;
	struct mutex lock;		/* see above */
	unsigned long nr_pages;
	bool active;
	struct ramzswap_backing *backing;

	struct mutex header_lock;	/* the contents of header */
	union swap_header *header;
	atomic_long_t invalid_io;

	spinlock_t full_lock;		/* what follows */
	struct swap_info_struct *full;
	unsigned int full_interval;
	unsigned long full_looked;
	unsigned long nomem_since;
	struct delayed_work full_work;
};

unsigned long ramzswap_sum(struct ramzswap_counters __percpu *counters,
			   enum ramzswap_counter counter);
u64 ramzswap_mem_used(struct ramzswap *rz);

/**
 * struct ramzswap_backing_usage - what is on a backing device
 * @total: blocks that can be used, of a page each
 * @used: blocks that have a page
 * @bad: blocks that could not be written
 * @stopped: whether the device has stopped working
 * @stops: how often it has
 * @reads: pages read
 * @writes: pages written
 * @write_ios: I/O requests that wrote them
 * @meta_bytes: memory to know what is where
 */
struct ramzswap_backing_usage {
	unsigned long total;
	unsigned long used;
	unsigned long bad;
	bool stopped;
	unsigned long stops;
	unsigned long reads;
	unsigned long writes;
	unsigned long write_ios;
	size_t meta_bytes;
};

void ramzswap_more_room(struct ramzswap *rz);

struct ramzswap_backing *ramzswap_backing_open(struct ramzswap *rz, const char *path,
					       const char **why);
bool ramzswap_backing_stopped(struct ramzswap_backing *b);
void ramzswap_backing_close(struct ramzswap_backing *b);
int ramzswap_backing_size_table(struct ramzswap_backing *b, unsigned long nr_pages);
bool ramzswap_backing_has_room(struct ramzswap_backing *b, unsigned int nr);
bool ramzswap_backing_is_short(struct ramzswap_backing *b);
bool ramzswap_backing_take_back(struct ramzswap_backing *b,
				struct swap_info_struct *si, unsigned int nr);
int ramzswap_backing_prepare(struct ramzswap_backing *b, struct folio *folio);
void ramzswap_backing_free(struct ramzswap_backing *b, unsigned long slot,
			   unsigned int nr);
void ramzswap_backing_write(struct ramzswap *rz, struct swap_iocb *sio);
bool ramzswap_backing_read(struct ramzswap *rz, struct swap_iocb *sio);

#ifdef CONFIG_RAMZSWAP
struct file *ramzswap_backing_file(struct ramzswap_backing *b);
void ramzswap_backing_get_usage(struct ramzswap_backing *b,
				struct ramzswap_backing_usage *usage);
struct ramzswap_share *ramzswap_share_of(struct swap_info_struct *si);
bool ramzswap_may_write_back(struct ramzswap_share *share);
struct ramzswap *ramzswap_device(unsigned int index);
struct swap_info_struct *ramzswap_get_swap(struct ramzswap *rz);
#else
static inline void ramzswap_backing_get_usage(struct ramzswap_backing *b,
					      struct ramzswap_backing_usage *usage)
{
	memset(usage, 0, sizeof(*usage));
}

static inline struct file *ramzswap_backing_file(struct ramzswap_backing *b)
{
	return NULL;
}

static inline struct ramzswap *ramzswap_device(unsigned int index)
{
	return NULL;
}

static inline struct swap_info_struct *ramzswap_get_swap(struct ramzswap *rz)
{
	return NULL;
}

static inline struct ramzswap_share *ramzswap_share_of(struct swap_info_struct *si)
{
	return NULL;
}

static inline bool ramzswap_may_write_back(struct ramzswap_share *share)
{
	return false;
}
#endif

/**
 * struct zswap_usage - how much zswap stores, and in how much memory
 * @stored_pages: pages that are stored
 * @incompressible_pages: those of them that are stored as they were
 * @pool_pages: pages that the compressed data occupies
 * @max_pool_pages: pages that it may occupy
 * @meta_bytes: memory for the pools' own needs
 */
struct zswap_usage {
	unsigned long stored_pages;
	unsigned long incompressible_pages;
	unsigned long pool_pages;
	unsigned long max_pool_pages;
	size_t meta_bytes;
};

void zswap_get_usage(struct zswap_usage *usage);
void zswap_limit_lowered(void);
size_t zswap_tree_bytes(int type);
size_t zswap_span_bytes(void);
unsigned int zswap_accept_percent(void);

#endif /* _MM_RAMZSWAP_H */
