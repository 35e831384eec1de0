/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zswap: declarations shared by its files
 *
 *  mm/zswap.c            pools, compressors, parameters, store and load
 *  mm/zswap_index.c      the index of stored data
 *  mm/zswap_writeback.c  whose pages are written back, and when
 *  mm/zswap_replace.c    a smaller copy takes the place of stored data
 *  mm/zswap_pack.c       compressed data goes to a backing device unchanged
 *  mm/zswap_cold.c       recompression of cold pages
 */
#ifndef _MM_ZSWAP_INTERNAL_H
#define _MM_ZSWAP_INTERNAL_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/crypto.h>
#include <linux/list.h>
#include <linux/list_lru.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/timekeeping.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include "ramzswap.h"
#include "zswap_cold.h"

struct acomp_req;
struct crypto_acomp;
struct kmem_cache;
struct mem_cgroup;
struct obj_cgroup;
struct ramzswap_share;
struct swap_io_ctx;
struct zbud_pool;

struct crypto_acomp_ctx {
	struct crypto_acomp *acomp;
	struct acomp_req *req;
	struct crypto_wait wait;
	u8 *buffer;
	struct mutex mutex;
};

/*
 * The lock of the LRU nests inside the lock of a tree, never the other way
 * round.  When a zswap_span is chosen from the LRU for writeback, it needs to
 * be verified that it's still valid in the tree.
 *
 * A pool may have two @roles: it is the current pool, the cold one, or both.
 * While it has any role, @ref has one reference for that.  Only the setters of
 * parameters change @roles, under the lock of all parameters.
 */
struct zswap_pool {
	struct crypto_acomp_ctx __percpu *acomp_ctx;
	struct percpu_ref ref;
	unsigned int roles;
	struct list_head list;
	struct work_struct release_work;
	struct hlist_node node;
	char tfm_name[CRYPTO_MAX_ALG_NAME];
};

/**
 * struct zswap_lru - the entries of a swap device, by age
 * @list: the spans, one list for each cgroup and node
 * @old: the spans that mm/zswap_cold.c is done with, all of them older than
 *	those of @list.  A span comes back to @list when something is stored
 *	in it.
 * @in_memory: the device has no storage, so zswap writes none of its pages back
 * @next_shrink: the cgroup whose turn it is to give up pages, with a reference;
 *	NULL between two rounds.  Guarded by zswap_shrink_lock
 * @nid: the node whose turn it is in that cgroup; guarded likewise
 * @turn: number of spans left to scan in this turn; guarded likewise
 * @before: turns only cover spans created before this time, in zswap_time();
 *	guarded likewise
 * @nr_round: number of spans that this round would scan without @before; guarded
 *	likewise
 * @nr_old: number of pages of old spans that this round has found
 *
 * Each device has one, shared by all zswap pools.  So a device that needs room,
 * or has none, does not affect the pages of other devices.
 */
struct zswap_lru {
	struct list_lru list;
	struct list_lru old;
	bool in_memory;
	struct mem_cgroup *next_shrink;
	int nid;
	unsigned long turn;
	u32 before;
	unsigned long nr_round;
	atomic_long_t nr_old;
};

/*
 * Entries of adjacent swap slots
 *
 * One cgroup usually fills adjacent slots one after the other, so their entries
 * have the same cgroup, pool and age.  A span stores these once for a range of
 * slots.  For each slot it only stores the handle and the length of the
 * compressed data.  If slots of a range belong to different cgroups or pools,
 * the range has several spans, linked to the first.
 *
 * swap_zswap_tree() indexes the spans by the number of the range.  Its lock
 * guards the links, @used, @stored, @tried and %ZSWAP_OLD; only the lock of the
 * LRU nests inside.  A slot's own fields belong to the task that holds the lock
 * of its folio in the swap cache, or that frees the slot.  The span exists while
 * this owner has the slot's bit set in @used.  Lookups take no lock: RCU frees
 * the spans, and only a slot's owner changes its bits in @used and @stored.
 *
 * While a slot's cluster is locked and the slot has no folio, no task can add one
 * or free the slot.  So the slot is private to the holder of that lock:
 * mm/zswap_cold.c recompresses pages without a folio.
 */

/*
 * Bits of zswap_span.marks.  The first two have a bit for each slot: a page was
 * stored for it recently, and a page was stored for it since zswap_span.seen.
 */
#define ZSWAP_REFERENCED	GENMASK(ZSWAP_SPAN_SLOTS - 1, 0)
#define ZSWAP_AGAIN_SHIFT	ZSWAP_SPAN_SLOTS
#define ZSWAP_AGAIN		(ZSWAP_REFERENCED << ZSWAP_AGAIN_SHIFT)
/* All data of the span was recompressed.  A store uses another span. */
#define ZSWAP_COLD		BIT(2 * ZSWAP_SPAN_SLOTS)
/* The span is on the list zswap_lru.old, or about to be. */
#define ZSWAP_OLD		BIT(2 * ZSWAP_SPAN_SLOTS + 1)

/**
 * struct zswap_span - the entries of some adjacent slots
 * @lru: links the spans of a cgroup by age
 * @next: the next span of the same range, or NULL
 * @pool: the pool whose compressor made the data
 * @objcg: the cgroup that the compressed data is charged to
 * @first: the first slot of the range
 * @used: slots that have data, or are about to get it
 * @stored: slots that have data
 * @tried: those of them that are being recompressed, or that recompression does
 *	not make smaller
 * @seen: when the span was created, or mm/zswap_cold.c last scanned it, in
 *	zswap_clock()'s time; guarded by the lock of the LRU
 * @marks: writeback clears %ZSWAP_REFERENCED, and takes only slots whose bit is
 *	clear already; see the comment in the shrinker section of mm/zswap.c.
 *	mm/zswap_cold.c does the same with %ZSWAP_AGAIN.
 * @created: when the span was created, in zswap_time()
 * @length: for each slot, the length of the data in bytes, minus one
 * @handle: for each slot, zbud's handle.  zbud rewrites it when it moves the
 *	data, so the span cannot move.
 * @unused: links spans without slots until they are freed
 * @rcu: frees the span
 */
struct zswap_span {
	struct list_head lru;
	struct zswap_span *next;
	struct zswap_pool *pool;
	struct obj_cgroup *objcg;
	swp_entry_t first;
	u8 used;
	u8 stored;
	u8 tried;
	u8 seen;
	atomic_t marks;
	u32 created;
	u16 length[ZSWAP_SPAN_SLOTS];
	union {
		unsigned long handle[ZSWAP_SPAN_SLOTS];
		struct {
			struct zswap_span *unused;
			struct rcu_head rcu;
		};
	};
};

static_assert(PAGE_SIZE - 1 <= U16_MAX);

/* Size of zswap_codecs[], for each device */
#define ZSWAP_CODECS	16U

/* One swap address space for each 64M swap space */
#define ZSWAP_ADDRESS_SPACE_SHIFT 14
#define ZSWAP_ADDRESS_SPACE_PAGES (1 << ZSWAP_ADDRESS_SPACE_SHIFT)

extern atomic_long_t zswap_stored_incompressible_pages;
extern u64 zswap_written_back_pages;
extern u64 zswap_decompress_fail;
extern u64 zswap_reject_alloc_fail;
extern u64 zswap_reject_kmemcache_fail;
extern struct zswap_lru zswap_lrus[MAX_SWAPFILES];
extern spinlock_t zswap_shrink_lock;
extern bool zswap_shrinking;
extern struct kmem_cache *zswap_span_cache;
extern struct zbud_pool *zswap_zbud;
extern struct xarray *zswap_trees[MAX_SWAPFILES];
extern unsigned int nr_zswap_trees[MAX_SWAPFILES];
extern struct ramzswap_share *zswap_shares[MAX_SWAPFILES];

extern struct zswap_pool *zswap_codecs[MAX_SWAPFILES][ZSWAP_CODECS];

/**
 * swap_zswap_tree() - find the tree that indexes the entry of a slot
 * @swp: the slot
 *
 * Context: Any.  The caller has a reference to the device.
 * Return: the tree.
 */
static inline struct xarray *swap_zswap_tree(swp_entry_t swp)
{
	return &zswap_trees[swp_type(swp)][swp_offset(swp)
		>> ZSWAP_ADDRESS_SPACE_SHIFT];
}

/**
 * swap_zswap_share() - find the counters of the device of a slot
 * @swp: the slot
 *
 * Context: Any.  The caller has a reference to the device.
 * Return: the counters, or NULL if the device is not ramzswap's.
 */
static inline struct ramzswap_share *swap_zswap_share(swp_entry_t swp)
{
	return IS_ENABLED(CONFIG_RAMZSWAP) ? zswap_shares[swp_type(swp)] : NULL;
}

/**
 * zswap_may_write_back() - check whether pages of a device can be written back
 * @swp: any slot of the device
 *
 * Context: Any.  The caller has a reference to the device.
 * Return: true if the device has storage, and room there.
 */
static inline bool zswap_may_write_back(swp_entry_t swp)
{
	struct ramzswap_share *share = swap_zswap_share(swp);

	return !share || ramzswap_may_write_back(share);
}

/**
 * span_to_nid() - get the node that a span is on
 * @span: the span
 *
 * Context: Any.
 * Return: the node.
 */
static inline int span_to_nid(struct zswap_span *span)
{
	return page_to_nid(virt_to_page(span));
}

/**
 * zswap_slot() - get the number of a slot in its range
 * @swp: the slot
 *
 * Context: Any.
 * Return: the number, below ZSWAP_SPAN_SLOTS.
 */
static inline unsigned int zswap_slot(swp_entry_t swp)
{
	return swp_offset(swp) % ZSWAP_SPAN_SLOTS;
}

/**
 * zswap_index() - get the number of the range of a slot
 * @swp: the slot
 *
 * Context: Any.
 * Return: the index of its spans in swap_zswap_tree().
 */
static inline unsigned long zswap_index(swp_entry_t swp)
{
	return swp_offset(swp) / ZSWAP_SPAN_SLOTS;
}

/**
 * zswap_length() - get the length of the data of a slot
 * @span: the span
 * @slot: number of the slot in its range
 *
 * Context: Any.  The slot has data.
 * Return: bytes, PAGE_SIZE if the data is not compressed.
 */
static inline unsigned int zswap_length(struct zswap_span *span,
					unsigned int slot)
{
	return span->length[slot] + 1;
}

/**
 * zswap_slots() - select the slots that are in one range
 * @swp: the first slot
 * @nr: number of slots
 * @index: number of the range, which has at least one of them
 *
 * Context: Any.
 * Return: a bitmap of the range.
 */
static inline u8 zswap_slots(swp_entry_t swp, unsigned int nr,
			     unsigned long index)
{
	pgoff_t first = index * ZSWAP_SPAN_SLOTS;
	pgoff_t from = max(first, swp_offset(swp));
	pgoff_t to = min(first + ZSWAP_SPAN_SLOTS, swp_offset(swp) + nr);

	return GENMASK(to - 1 - first, from - first);
}

/* The data of several slots, to be charged and counted at once */
struct zswap_data {
	int nr_pages;
	int nr_good;			/* compressed to half their size or less */
	int nr_incompressible;
	int bytes;
};

/**
 * zswap_data_add() - add a page to an amount of data
 * @data: the amount
 * @length: length of the page's data in bytes
 *
 * Context: Any.
 */
static inline void zswap_data_add(struct zswap_data *data, unsigned int length)
{
	data->nr_pages++;
	data->nr_good += length <= PAGE_SIZE / 2;
	data->nr_incompressible += length == PAGE_SIZE;
	data->bytes += length;
}

/**
 * struct zswap_walk - goals and results of a walk of LRU lists
 * @gfp: flags to allocate pages for writeback
 * @direct: write nothing to devices with %SWAP_OPS_F_REQUIRE_NOFS
 * @force: write the oldest pages even if they were stored recently
 * @by_age: stop at a span that was not created before @before
 * @stop_at_page_in_swapcache: stop at a page that is in the swap cache
 * @to_scan: pages left to scan, including those that get a second chance
 * @to_write: pages left to write
 * @to_free: bytes of compressed data to free
 * @scanned: pages scanned
 * @written: pages that left zswap
 * @failed: pages that could not be written
 * @freed: bytes of compressed data freed
 * @device_full: set if the device has no room
 * @young: set if the walk ended because of @by_age
 * @encountered_page_in_swapcache: set if such a page ended the walk
 * @before: a time in zswap_time()
 */
struct zswap_walk {
	gfp_t gfp;
	bool direct;
	bool force;
	bool by_age;
	bool stop_at_page_in_swapcache;
	unsigned long to_scan;
	unsigned long to_write;
	u64 to_free;
	unsigned long scanned;
	unsigned long written;
	unsigned long failed;
	u64 freed;
	bool device_full;
	bool young;
	bool encountered_page_in_swapcache;
	u32 before;
};

/**
 * zswap_walk_done() - check whether a walk has reached a goal
 * @walk: goals and results
 *
 * Context: Any.
 * Return: true if it has.
 */
static inline bool zswap_walk_done(const struct zswap_walk *walk)
{
	return !walk->to_write || walk->freed >= walk->to_free;
}

/**
 * zswap_time() - get the time for the age of spans
 *
 * Context: Any.
 * Return: units of 67 ms, which wrap around after nine years.
 */
static inline u32 zswap_time(void)
{
	return ktime_get_coarse_ns() >> 26;
}

/**
 * zswap_is_young() - check whether a span is too young for a walk
 * @span: the span
 * @walk: goals and results
 *
 * Context: The lock of the LRU.
 * Return: true if it was not created before zswap_walk.before, and
 * zswap_walk.by_age is set.
 */
static inline bool zswap_is_young(const struct zswap_span *span,
				  const struct zswap_walk *walk)
{
	u32 now = zswap_time();

	return walk->by_age && now - span->created < now - walk->before;
}

/* === mm/zswap.c ========================================================== */

void zswap_pool_get(struct zswap_pool *pool);
unsigned long zswap_max_pages(void);
bool zswap_check_limits(void);
void zswap_lru_add(struct zswap_span *span);
void zswap_lru_del(struct zswap_span *span);
enum lru_status zswap_shrink_cb(struct list_head *item, struct list_lru_one *l,
				void *arg);
int zswap_shrink_memcg(struct mem_cgroup *memcg, unsigned long nr_pages,
		       struct zswap_walk *walk);
void zswap_wake_worker(void);

/* === mm/zswap_index.c ==================================================== */

void zswap_lru_set_old(struct zswap_span *span, bool old);
struct zswap_span *zswap_find(swp_entry_t swp, struct zswap_span *span);
void zswap_data_charge(const struct zswap_data *data, struct zswap_span *span);
void zswap_data_uncharge(const struct zswap_data *data,
			 struct zswap_span *span);
struct zswap_span *zswap_take_unused(struct xa_state *xas,
				     struct zswap_span *head);
void zswap_free_spans(struct zswap_span *spans);
struct zswap_span *zswap_span_for(struct zswap_span *span,
				  struct zswap_pool *pool,
				  struct obj_cgroup *objcg, bool cold);
void zswap_span_init(struct zswap_span *span, swp_entry_t swp, u8 slots,
		     struct zswap_pool *pool, struct obj_cgroup *objcg,
		     unsigned int marks);
void zswap_span_added(struct zswap_span *span);
struct zswap_span *zswap_span_get(swp_entry_t swp, u8 slots, int nid,
				  struct zswap_pool *pool,
				  struct obj_cgroup *objcg);
void zswap_span_put(struct zswap_span *span, u8 slots, u8 stored);
void zswap_drop_range(swp_entry_t swp, unsigned int nr);

/* === mm/zswap_writeback.c ================================================ */

unsigned long zswap_cache_pages(void);
unsigned long zswap_lru_count_one(struct zswap_lru *lru, int nid,
				  struct mem_cgroup *memcg);
void zswap_set_turn(struct zswap_lru *lru);
bool zswap_drop_copy(struct zswap_span *span, swp_entry_t swp,
		     struct zswap_walk *walk);
unsigned long zswap_all_writable(bool direct);
unsigned long zswap_lru_walk(int nid, struct mem_cgroup *memcg,
			     unsigned long nr_pages, struct zswap_walk *walk);
bool zswap_memcg_crowded(struct mem_cgroup *memcg, bool flush);
unsigned long zswap_reclaim(struct zswap_lru *only, u64 bytes);
unsigned long zswap_worker_tries(u64 bytes);
void zswap_squeeze_cache(u64 bytes);
bool zswap_make_room_memcg(struct swap_io_ctx *ctx, struct obj_cgroup *objcg,
			   swp_entry_t swp, unsigned int nr_pages);
bool zswap_squeeze_memcg(struct obj_cgroup *objcg, unsigned int nr_pages);
bool zswap_is_full(struct swap_io_ctx *ctx, struct folio *folio);
void zswap_squeeze_pool(unsigned int nr_pages);

/* === mm/zswap_pack.c ===================================================== */

int zswap_pack_slot(struct zswap_span *span, swp_entry_t swp,
		    struct ramzswap_share *share, struct zswap_walk *walk);

#endif /* _MM_ZSWAP_INTERNAL_H */
