/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ramzswap: statistics of the compressed swap cache, and the interface between
 * zswap, the ramzswap devices and their backing devices
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
struct scatterlist;
struct swap_iocb;

/**
 * enum ramzswap_counter - events and amounts that the cache counts
 * @RAMZSWAP_NUM_READS: pages read from the cache
 * @RAMZSWAP_NUM_WRITES: pages stored in the cache
 * @RAMZSWAP_FAILED_READS: pages that could not be read from the cache or from a
 *	backing device; the reader got an I/O error
 * @RAMZSWAP_FAILED_WRITES: pages that the cache was asked to store but did not.
 *	For a ramzswap device, only those that stayed in memory
 * @RAMZSWAP_NOTIFY_FREE: swap slots freed
 * @RAMZSWAP_GOOD_COMPRESS: pages now in the cache that compressed to half
 *	their size or less
 * @RAMZSWAP_COMPR_BYTES: bytes of compressed data now in the cache
 * @RAMZSWAP_STORED: pages now in the cache
 * @RAMZSWAP_INCOMPRESSIBLE: pages now in the cache that are stored uncompressed
 * @RAMZSWAP_SPANS: spans now in the cache, see zswap_span_bytes()
 * @RAMZSWAP_COLD_STORED: pages now in the cache that were recompressed
 * @RAMZSWAP_COLD_BYTES: bytes of their compressed data, now in the cache
 * @RAMZSWAP_NUM_SQUEEZED: pages that recompression made smaller
 * @RAMZSWAP_SQUEEZE_GAINED: bytes that recompression freed
 * @RAMZSWAP_NUM_HOPELESS: pages that recompression could not make smaller, or
 *	not enough
 * @RAMZSWAP_SQUEEZE_NS: CPU time that recompression took, in ns
 * @RAMZSWAP_NR_COUNTERS: number of counters
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
	RAMZSWAP_COLD_STORED,
	RAMZSWAP_COLD_BYTES,
	RAMZSWAP_NUM_SQUEEZED,
	RAMZSWAP_SQUEEZE_GAINED,
	RAMZSWAP_NUM_HOPELESS,
	RAMZSWAP_SQUEEZE_NS,
	RAMZSWAP_NR_COUNTERS,
};

/* One CPU's part of the counters.  Only the sum over all CPUs is meaningful. */
struct ramzswap_counters {
	s64 nr[RAMZSWAP_NR_COUNTERS];
};

/* Counts for all swap devices except ramzswap's. */
DECLARE_PER_CPU(struct ramzswap_counters, ramzswap_counters);

/**
 * struct ramzswap_share - what the cache stores for one ramzswap device
 * @counters: the device's own counters
 * @held: bytes of compressed data
 * @leaving: bytes of @held that are being written to the backing device
 * @mem_limit: limit for @held in bytes, 0 for none
 * @batch: bytes that a CPU may accumulate before it adds them to @held
 * @nomem_streak: folios refused for lack of memory since the last page was
 *	stored
 * @poor_streak: pages refused as incompressible, less %RAMZSWAP_POOR_RATIO for
 *	each page that was stored
 */
struct ramzswap_share {
	struct ramzswap_counters __percpu *counters;
	struct percpu_counter held;
	atomic_long_t leaving;
	u64 mem_limit;
	s32 batch;
	atomic_t nomem_streak;
	atomic_long_t poor_streak;
};

/**
 * ramzswap_count() - add to a counter
 * @share: the share of the ramzswap device, NULL for any other device
 * @counter: the counter
 * @nr: the amount; may be negative for counters of what is stored now
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
 * ramzswap_share.batch of a device without a limit.  With a limit, all CPUs
 * together accumulate at most one RAMZSWAP_HELD_ERROR-th of it, so that
 * checking the limit does not need the exact sum over all CPUs.
 */
#define RAMZSWAP_HELD_BATCH	(16 * PAGE_SIZE)
#define RAMZSWAP_HELD_ERROR	64

/*
 * Each stored page offsets this many refused ones.  With a smaller share of
 * compressible pages, storing them frees too little for the time it takes, and
 * the device must become full.
 */
#define RAMZSWAP_POOR_RATIO	64

/**
 * ramzswap_hold() - charge compressed data to a device
 * @share: the device's share, or NULL
 * @bytes: bytes to charge
 *
 * The caller has looked at ramzswap_excess(), and made room if there was none.
 *
 * Data that is being written to the backing device stays in memory until the
 * write ends, but does not count: the limit grows by share->leaving.  That is
 * never more than the buffers hold.
 *
 * percpu_counter_read() may be off by what CPUs have accumulated, at most a
 * %RAMZSWAP_HELD_ERROR-th of the limit.  So it may not show room that the caller
 * has just made.  Therefore this function allows that much above the limit.
 * It checks before it adds: each concurrent caller may exceed that by its @bytes.
 *
 * Context: Any.
 * Return: true if the device's limit allows it; otherwise nothing is charged.
 */
static inline bool ramzswap_hold(struct ramzswap_share *share, unsigned int bytes)
{
	long poor;
	u64 limit;

	if (!share)
		return true;
	limit = READ_ONCE(share->mem_limit);
	if (limit)
		limit = min(limit + limit / RAMZSWAP_HELD_ERROR +
			    atomic_long_read(&share->leaving), (u64)S64_MAX);
	if (limit && percpu_counter_read(&share->held) + bytes > (s64)limit)
		return false;
	percpu_counter_add_batch(&share->held, bytes, READ_ONCE(share->batch));
	if (unlikely(atomic_read(&share->nomem_streak)))
		atomic_set(&share->nomem_streak, 0);
	/* Races may make it slightly negative. */
	poor = atomic_long_read(&share->poor_streak);
	if (unlikely(poor > 0))
		atomic_long_sub(min(poor, RAMZSWAP_POOR_RATIO), &share->poor_streak);
	return true;
}

/**
 * ramzswap_excess() - get the amount that a device must write back to meet its
 * limit
 * @share: the device's share, or NULL
 * @nr_pages: pages about to be stored, of unknown compressed size
 *
 * Context: Any.
 * Return: bytes of compressed data.  Room for @nr_pages is capped at an eighth
 * of the limit, so that a large folio does not empty a small cache.
 */
static inline u64 ramzswap_excess(struct ramzswap_share *share, unsigned int nr_pages)
{
	u64 limit = share ? READ_ONCE(share->mem_limit) : 0;
	s64 room = min((u64)nr_pages << PAGE_SHIFT, limit / 8);

	if (!limit)
		return 0;
	return max(percpu_counter_read(&share->held) -
		   atomic_long_read(&share->leaving) + room - (s64)limit, 0);
}

/**
 * ramzswap_release() - uncharge compressed data that was freed
 * @share: the device's share, or NULL
 * @bytes: bytes to uncharge
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
 * ramzswap_over_limit() - check whether a device has reached its limit
 * @share: the device's share, or NULL
 *
 * Context: Any.
 * Return: true if it has; a device without a limit never has.
 */
static inline bool ramzswap_over_limit(struct ramzswap_share *share)
{
	u64 limit = share ? READ_ONCE(share->mem_limit) : 0;

	return limit && percpu_counter_read(&share->held) -
			atomic_long_read(&share->leaving) >= (s64)limit;
}

/**
 * struct ramzswap - a device /dev/ramzswapN; lives until shutdown
 * @disk: the gendisk
 * @share: the device's share of the cache
 * @lock: held while user space changes the device; outermost
 * @nr_pages: size in pages, including the header; guarded by @lock, and
 *	constant while the device is open exclusively, as it is for swapon
 * @active: whether the device was swapped on since boot or the last reset;
 *	guarded like @nr_pages
 * @backing: the backing device, or NULL; guarded like @nr_pages
 * @header_lock: guards the contents of @header; a leaf
 * @header: the first page, the only one that user space can write
 * @invalid_io: I/O requests for anything but the first page
 * @full_lock: guards the fields below unless they say otherwise; nests
 *	inside the swap cluster lock and outside swap_avail_lock
 * @full: the swap area marked as full, NULL if none is
 * @full_interval: delay until @full_work checks again, in jiffies
 * @full_looked: when a task that freed slots last checked for room; unguarded
 * @nomem_since: when share.nomem_streak began, in jiffies; unguarded
 * @full_work: checks periodically whether there is room again
 */
struct ramzswap {
	struct gendisk *disk;
	struct ramzswap_share share;
	struct mutex lock;		/* see above */
	unsigned long nr_pages;
	bool active;
	struct ramzswap_backing *backing;

	struct mutex header_lock;	/* guards header's contents */
	union swap_header *header;
	atomic_long_t invalid_io;

	spinlock_t full_lock;		/* guards the fields below */
	struct swap_info_struct *full;
	unsigned int full_interval;
	unsigned long full_looked;
	unsigned long nomem_since;
	struct delayed_work full_work;
};

u64 ramzswap_sum(struct ramzswap_counters __percpu *counters, enum ramzswap_counter counter);
u64 ramzswap_mem_used(struct ramzswap *rz);

/**
 * struct ramzswap_backing_usage - usage of a backing device
 * @total: usable blocks, of a page each
 * @used: blocks that hold wanted pages
 * @pages: wanted pages in all blocks
 * @bad: blocks that could not be written, or returned other data than written
 * @stopped: whether the device is stopped
 * @stops: how often it was stopped
 * @reads: pages read
 * @read_ios: I/O requests that read them
 * @writes: pages written
 * @moves: pages moved out of half-empty blocks
 * @blocks_written: blocks written
 * @write_ios: I/O requests that wrote them
 * @meta_bytes: memory that the device takes: tables, states of blocks, buffers
 *	and reserves
 */
struct ramzswap_backing_usage {
	unsigned long total;
	unsigned long used;
	unsigned long pages;
	unsigned long bad;
	bool stopped;
	unsigned long stops;
	unsigned long reads;
	unsigned long read_ios;
	unsigned long writes;
	unsigned long moves;
	unsigned long blocks_written;
	unsigned long write_ios;
	size_t meta_bytes;
};

void ramzswap_more_room(struct ramzswap *rz);

struct ramzswap_backing *ramzswap_backing_open(struct ramzswap *rz, const char *path,
					       const char **why);
bool ramzswap_backing_stopped(struct ramzswap_backing *b);
void ramzswap_backing_close(struct ramzswap_backing *b);
int ramzswap_backing_size_table(struct ramzswap_backing *b, unsigned long nr_pages);
bool ramzswap_backing_can_discard(struct ramzswap_backing *b);
void ramzswap_backing_swapon(struct ramzswap_backing *b, struct swap_info_struct *si);
bool ramzswap_backing_has_room(struct ramzswap_backing *b, unsigned int nr);
bool ramzswap_backing_is_short(struct ramzswap_backing *b);
bool ramzswap_backing_has(struct ramzswap_backing *b, unsigned long slot,
			  unsigned int nr);
bool ramzswap_backing_lost(struct ramzswap_backing *b, unsigned long slot,
			   unsigned int nr);
bool ramzswap_backing_take_back(struct ramzswap_backing *b,
				struct swap_info_struct *si, unsigned int nr);
int ramzswap_backing_prepare(struct ramzswap_backing *b, struct folio *folio);
void ramzswap_backing_free(struct ramzswap_backing *b, unsigned long slot,
			   unsigned int nr);
int ramzswap_backing_pack(struct ramzswap_backing *b, struct swap_info_struct *si,
			  unsigned long slot, struct scatterlist *data,
			  unsigned int length, unsigned int codec);
bool ramzswap_backing_next_buffer(struct ramzswap_backing *b);
void ramzswap_backing_write(struct ramzswap *rz, struct swap_iocb *sio);
bool ramzswap_backing_read(struct ramzswap *rz, struct swap_iocb *sio);
void ramzswap_backing_read_all(struct ramzswap_backing *b, struct swap_info_struct *si);

#ifdef CONFIG_RAMZSWAP
struct file *ramzswap_backing_file(struct ramzswap_backing *b);
void ramzswap_backing_get_usage(struct ramzswap_backing *b,
				struct ramzswap_backing_usage *usage);
struct ramzswap_share *ramzswap_share_of(struct swap_info_struct *si);
bool ramzswap_may_write_back(struct ramzswap_share *share);
bool ramzswap_is_poor(struct ramzswap_share *share);
int ramzswap_pack(struct ramzswap_share *share, swp_entry_t swp,
		  struct scatterlist *data, unsigned int length, unsigned int codec);
bool ramzswap_next_buffer(struct ramzswap_share *share);
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

static inline bool ramzswap_is_poor(struct ramzswap_share *share)
{
	return false;
}

static inline int ramzswap_pack(struct ramzswap_share *share, swp_entry_t swp,
				struct scatterlist *data, unsigned int length,
				unsigned int codec)
{
	return -E2BIG;
}

static inline bool ramzswap_next_buffer(struct ramzswap_share *share)
{
	return false;
}
#endif

/**
 * struct zswap_usage - what zswap stores, and the memory it takes
 * @stored_pages: pages stored
 * @incompressible_pages: pages stored uncompressed
 * @pool_pages: pages that the compressed data occupies
 * @max_pool_pages: limit for the cache in front of disks, in pages
 * @meta_bytes: memory for the pools' own data
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
int zswap_squeeze(struct ramzswap_share *share, int type, u64 bytes);
int zswap_write_back(struct ramzswap_share *share, int type, u64 bytes);
size_t zswap_tree_bytes(int type);
size_t zswap_span_bytes(void);
unsigned int zswap_accept_percent(void);
void zswap_written(swp_entry_t swp);
bool zswap_unpack(int type, unsigned int codec, const void *data, unsigned int length,
		  struct folio *folio);

#endif /* _MM_RAMZSWAP_H */
