// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zswap: whose pages are written back, and when
 *
 * mm/zswap.c writes one page back, and has zswap's shrinker and its worker.  This
 * file chooses the device, the cgroup and the node whose pages are the oldest, and
 * makes room for new ones when a limit is reached.
 */

#include <linux/math64.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/nodemask.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/swap.h>
#include <linux/swap_ops.h>
#include <linux/swapops.h>
#include "internal.h"
#include "ramzswap.h"
#include "swap.h"
#include "swap_device.h"
#include "zswap_cold.h"
#include "zswap_internal.h"

/* === What the limit applies to =========================================== */

/*
 * Count the pages of the pool that cannot be written back because their device has
 * no storage or no room, and those that are being written back already.
 */
static unsigned long zswap_resident_pages(void)
{
	u64 bytes = 0;
	int type;

	for (type = 0; type < MAX_SWAPFILES; type++) {
		swp_entry_t swp = swp_entry(type, 1);
		struct ramzswap_share *share;
		struct swap_info_struct *si;

		if (!swap_zswap_share(swp))
			continue;
		si = get_swap_device(swp);
		if (!si)
			continue;
		/* The type may belong to another device by now. */
		share = swap_zswap_share(swp);
		if (share && !zswap_may_write_back(swp))
			bytes += percpu_counter_read_positive(&share->held);
		else if (share)
			bytes += atomic_long_read(&share->leaving);
		put_swap_device(si);
	}
	return bytes >> PAGE_SHIFT;
}

/**
 * zswap_cache_pages() - count the pages of the pool that its limit applies to
 *
 * max_pool_percent limits the cache in front of storage.  Pages that cannot be
 * written back are not cached: refusing more of them makes no room, and counting
 * them would keep other devices' pages out forever.  Their limits are the size
 * of their device, its mem_limit, and memory.
 *
 * Return: their number, including all holes in the pool.
 *
 * Context: Does not sleep.
 */
unsigned long zswap_cache_pages(void)
{
	unsigned long total = zswap_total_pages();

	return total - min(total, zswap_resident_pages());
}

/* === Whose turn it is ==================================================== */

/* With fewer spans than this in all, one turn scans all of a cgroup. */
#define ZSWAP_MIN_ROUND		256UL
#define ZSWAP_MAX_TURNS		64UL
/* Number of cgroups and nodes to pass over at once if they have no spans */
#define ZSWAP_MAX_PASSED	64U

/*
 * If a round finds hardly any old spans, the next one looks at younger ones, too:
 * by this part of the time since zswap_lru.before.
 */
#define ZSWAP_AGE_STEPS		8

static unsigned long zswap_lru_count(struct zswap_lru *lru)
{
	unsigned long nr = 0;
	int nid;

	for_each_node_state(nid, N_NORMAL_MEMORY)
		nr += list_lru_count_node(&lru->list, nid) +
		      list_lru_count_node(&lru->old, nid);
	return nr;
}

/**
 * zswap_lru_count_one() - count the spans that a cgroup has on a device with storage
 * @lru: the device's spans
 * @nid: the node
 * @memcg: the cgroup
 *
 * Context: Does not sleep.
 * Return: their number; 0 if the device has no storage.
 */
unsigned long zswap_lru_count_one(struct zswap_lru *lru, int nid,
				  struct mem_cgroup *memcg)
{
	if (READ_ONCE(lru->in_memory))
		return 0;
	return list_lru_count_one(&lru->list, nid, memcg) +
	       list_lru_count_one(&lru->old, nid, memcg);
}

/**
 * zswap_set_turn() - give a turn to the cgroup and node that are next
 * @lru: the device's spans
 *
 * All cgroups age at the same speed: a round scans the same fraction of each
 * cgroup's spans, of those that are older than zswap_lru.before.  If that is not
 * a whole number, chance decides whether to round up or down.
 *
 * Context: Does not sleep.  The caller holds zswap_shrink_lock.
 */
void zswap_set_turn(struct zswap_lru *lru)
{
	unsigned long nr = 0;
	unsigned int parts;

	lockdep_assert_held(&zswap_shrink_lock);

	if (mem_cgroup_zswap_writeback_enabled(lru->next_shrink))
		nr = zswap_lru_count_one(lru, lru->nid, lru->next_shrink);
	if (nr) {
		parts = clamp(zswap_lru_count(lru) / ZSWAP_MIN_ROUND, 1UL, ZSWAP_MAX_TURNS);
		nr = (nr + get_random_u32_below(parts)) / parts;
	}
	lru->turn = nr;
	lru->nr_round += nr;
}

/*
 * Move on to the next node, or to the next cgroup.
 *
 * The offline cleaner is called only once, so an offline memcg must not be left
 * in next_shrink.  We can rely on the cleaner only if we get an online memcg
 * under the lock.
 *
 * Return: false at the end of a round.
 */
static bool zswap_pass_turn(struct zswap_lru *lru)
{
	bool more = true;

	lockdep_assert_held(&zswap_shrink_lock);

	if (lru->next_shrink || mem_cgroup_disabled()) {
		lru->nid = next_node_in(lru->nid, node_states[N_NORMAL_MEMORY]);
		more = lru->nid != first_node(node_states[N_NORMAL_MEMORY]);
		if (more || mem_cgroup_disabled()) {
			zswap_set_turn(lru);
			return more;
		}
	}

	lru->nid = first_node(node_states[N_NORMAL_MEMORY]);
	do {
		lru->next_shrink = mem_cgroup_iter(NULL, lru->next_shrink, NULL);
	} while (lru->next_shrink && !mem_cgroup_online(lru->next_shrink));

	lru->turn = 0;
	if (lru->next_shrink)
		zswap_set_turn(lru);
	return lru->next_shrink;
}

static void zswap_end_round(struct zswap_lru *lru)
{
	lockdep_assert_held(&zswap_shrink_lock);

	/* If all spans are full, this is an eighth of their pages. */
	if (atomic_long_xchg(&lru->nr_old, 0) <= lru->nr_round)
		WRITE_ONCE(lru->before, lru->before +
			   DIV_ROUND_UP(zswap_time() - lru->before, ZSWAP_AGE_STEPS));
	lru->nr_round = 0;
}

/* End a turn early: the remaining spans are too young. */
static void zswap_end_turn(struct zswap_lru *lru, struct mem_cgroup *memcg, int nid)
{
	guard(spinlock)(&zswap_shrink_lock);
	if (lru->next_shrink == memcg && lru->nid == nid)
		lru->turn = 0;
}

/**
 * zswap_next_memcg() - choose the cgroup that gives up pages of a device next
 * @lru: the device's pages
 * @memcg: returns the cgroup with a reference; NULL without memcg
 * @nid: returns the node
 * @nr: number of spans that the caller is ready to scan; returns the number to
 *	scan now, which may be 0
 *
 * Goes round all cgroups and nodes.  The caller needs a reference of its own
 * because zswap_memcg_offline_cleanup() may drop the one in
 * zswap_lru.next_shrink meanwhile.
 *
 * Return: false at the end of a round.
 */
static bool zswap_next_memcg(struct zswap_lru *lru, struct mem_cgroup **memcg,
			     int *nid, unsigned long *nr)
{
	unsigned int passed = 0;

	guard(spinlock)(&zswap_shrink_lock);

	/* The task that takes it offline calls the cleaner later. */
	if (!lru->turn || !mem_cgroup_tryget_online(lru->next_shrink)) {
		do {
			if (!zswap_pass_turn(lru)) {
				zswap_end_round(lru);
				return false;
			}
		} while ((!lru->turn && ++passed < ZSWAP_MAX_PASSED) ||
			 !mem_cgroup_tryget_online(lru->next_shrink));
	}
	*memcg = lru->next_shrink;
	*nid = lru->nid;
	*nr = min(*nr, lru->turn);
	lru->turn -= *nr;
	return true;
}

/* === Walks of the LRU ==================================================== */

/**
 * zswap_drop_copy() - drop the entry of a slot if its device has a copy
 * @span: the span of the slot; it may have been freed, and is only compared
 *	with the result of a lookup
 * @swp: the slot
 * @walk: goals and results
 *
 * With the slot's cluster locked and no folio in the swap cache, no other task
 * uses the entry.
 *
 * Context: Does not sleep.  The caller has a reference to the device.
 * Return: true if it was dropped.
 */
bool zswap_drop_copy(struct zswap_span *span, swp_entry_t swp,
		     struct zswap_walk *walk)
{
	struct swap_info_struct *si = __swap_entry_to_info(swp);
	struct swap_cluster_info *ci;
	bool dropped;

	if (!si->ops->has_copy)
		return false;

	ci = swap_cluster_lock(si, swp_offset(swp));
	dropped = !swap_cache_has_folio(swp) && zswap_find(swp, NULL) == span &&
		  swap_has_copies(si, swp_offset(swp), 1);
	if (dropped) {
		walk->freed += zswap_length(span, zswap_slot(swp));
		walk->to_write--;
		zswap_drop_range(swp, 1);
	}
	swap_cluster_unlock(ci);
	return dropped;
}

/*
 * Number of spans of a device that could be written back now: 0 if it has no
 * room, or if @direct reclaim must not enter it.
 */
static unsigned long zswap_lru_writable(struct zswap_lru *lru, bool direct)
{
	swp_entry_t swp = swp_entry(lru - zswap_lrus, 1);
	struct swap_info_struct *si;
	unsigned long nr;

	if (!READ_ONCE(zswap_trees[swp_type(swp)]) || READ_ONCE(lru->in_memory))
		return 0;
	nr = zswap_lru_count(lru);
	if (!nr)
		return 0;
	si = get_swap_device(swp);
	if (!si)
		return 0;
	if (!zswap_may_write_back(swp) ||
	    (direct && si->ops->flags & SWAP_OPS_F_REQUIRE_NOFS))
		nr = 0;
	put_swap_device(si);
	return nr;
}

/**
 * zswap_all_writable() - count the spans that could be written back now
 * @direct: called in reclaim, which waits for the result
 *
 * Context: May sleep.
 * Return: their number on all devices that have room.
 */
unsigned long zswap_all_writable(bool direct)
{
	unsigned long nr = 0;
	int type;

	for (type = 0; type < MAX_SWAPFILES; type++)
		nr += zswap_lru_writable(&zswap_lrus[type], direct);
	return nr;
}

/* Choose a device at random, weighted by its number of spans. */
static struct zswap_lru *zswap_choose_lru(bool direct)
{
	unsigned long nr = zswap_all_writable(direct), chance;
	struct zswap_lru *lru, *last = NULL;

	if (!nr)
		return NULL;
	chance = get_random_u32_below(min(nr, U32_MAX));
	for (lru = zswap_lrus; lru < zswap_lrus + ARRAY_SIZE(zswap_lrus); lru++) {
		nr = zswap_lru_writable(lru, direct);
		if (!nr)
			continue;
		last = lru;
		if (chance < nr)
			break;
		chance -= nr;
	}
	return last;
}

/*
 * Look at @nr spans of a cgroup, the oldest first: those that mm/zswap_cold.c is
 * done with.  If none of these can be written, try as many of the others.
 */
static void zswap_lru_walk_one(struct zswap_lru *lru, int nid, struct mem_cgroup *memcg,
			       unsigned long nr, struct zswap_walk *walk)
{
	unsigned long written = walk->written, left = nr;
	bool more;

	list_lru_walk_one(&lru->old, nid, memcg, &zswap_shrink_cb, walk, &left);
	if (walk->device_full || walk->encountered_page_in_swapcache ||
	    zswap_walk_done(walk))
		return;
	more = !left;
	if (walk->written == written)
		left = nr;
	list_lru_walk_one(&lru->list, nid, memcg, &zswap_shrink_cb, walk, &left);
	/* The next spans of the older part may not be young. */
	if (more)
		walk->young = false;
}

/*
 * Let the next cgroup give up pages of a device.  Scans at most @nr_spans spans.
 *
 * Return: 0 if any were scanned, -ENOENT if the cgroup had none, or -ESRCH at the
 * end of a round.
 */
static int zswap_take_turn(struct zswap_lru *lru, unsigned long nr_spans,
			   struct zswap_walk *walk)
{
	unsigned long scanned = walk->scanned;
	struct mem_cgroup *memcg;
	int nid;

	if (!zswap_next_memcg(lru, &memcg, &nid, &nr_spans))
		return -ESRCH;
	walk->to_scan = ULONG_MAX;
	walk->device_full = false;
	walk->young = false;
	walk->before = READ_ONCE(lru->before);
	if (nr_spans && mem_cgroup_zswap_writeback_enabled(memcg))
		zswap_lru_walk_one(lru, nid, memcg, nr_spans, walk);
	if (walk->by_age)
		atomic_long_add(walk->scanned - scanned, &lru->nr_old);
	if (walk->young)
		zswap_end_turn(lru, memcg, nid);
	mem_cgroup_put(memcg);
	return walk->scanned > scanned ? 0 : -ENOENT;
}

/**
 * zswap_lru_walk() - write back cold pages of a cgroup and node
 * @nid: the node
 * @memcg: the cgroup
 * @nr_pages: number of pages to scan
 * @walk: goals and results
 *
 * Scan @nr_pages of @memcg on node @nid, divided among the devices by their
 * number of spans, and write back cold ones.
 *
 * Return: number of pages scanned.
 *
 * Context: May sleep.
 */
unsigned long zswap_lru_walk(int nid, struct mem_cgroup *memcg,
			     unsigned long nr_pages, struct zswap_walk *walk)
{
	unsigned long total = 0, scanned = walk->scanned;
	struct zswap_lru *lru, *end = zswap_lrus + ARRAY_SIZE(zswap_lrus);

	for (lru = zswap_lrus; lru < end; lru++)
		total += zswap_lru_count_one(lru, nid, memcg);

	for (lru = zswap_lrus; lru < end && total; lru++) {
		unsigned long nr = zswap_lru_count_one(lru, nid, memcg);

		if (!nr || !zswap_lru_writable(lru, walk->direct))
			continue;
		nr = DIV64_U64_ROUND_UP((u64)nr_pages * min(nr, total), total);
		walk->to_scan = nr;
		walk->device_full = false;
		zswap_lru_walk_one(lru, nid, memcg, nr, walk);
		if (zswap_walk_done(walk) || walk->encountered_page_in_swapcache)
			break;
	}
	return walk->scanned - scanned;
}

/**
 * zswap_memcg_crowded() - check whether compressed pages fill a cgroup's memory
 * @memcg: the cgroup
 * @flush: bring the statistics up to date
 *
 * A cgroup's compressed pages count against memory.max and memory.high.  Without
 * writeback they would finally fill it, and the OOM killer would run while the
 * swap device has room.  So write pages back, even without shrinker_enabled, when
 * the compressed pages take more than half of a limit that the cgroup is close
 * to.  The memcg statistics may be seconds old, while memory fills faster: @flush
 * them before reclaim gives up.
 *
 * Context: May sleep if @flush is set.
 * Return: true if they do, in the cgroup or one above it.
 */
bool zswap_memcg_crowded(struct mem_cgroup *memcg, bool flush)
{
#ifdef CONFIG_MEMCG
	for (; memcg && !mem_cgroup_is_root(memcg); memcg = parent_mem_cgroup(memcg)) {
		unsigned long max = min(READ_ONCE(memcg->memory.max),
					READ_ONCE(memcg->memory.high));

		if (page_counter_read(&memcg->memory) < max - max / 8)
			continue;
		if (flush)
			mem_cgroup_flush_stats(memcg);
		if (memcg_page_state(memcg, MEMCG_ZSWAP_B) / PAGE_SIZE > max / 2)
			return true;
	}
#endif
	return false;
}

/*
 * Write back pages of any cgroup, of one device, or of any if @only is NULL.  If
 * @share is not NULL, stop when it is no longer the device's share.
 *
 * Global reclaim will select cgroup in a round-robin fashion from all
 * online memcgs, but memcgs that have no pages in zswap and
 * writeback-disabled memcgs (memory.zswap.writeback=0) are not
 * candidates for shrinking.
 *
 * Shrinking ends after a round without candidates, and after MAX_RECLAIM_RETRIES
 * rounds in a row in which no candidate had cold pages that could be written.  Rounds
 * that only clear referenced bits count once all pages have had their second chance.
 */
static void zswap_reclaim_pages(struct zswap_lru *only, struct ramzswap_share *share,
				struct zswap_walk *walk)
{
	unsigned int failures = 0, attempts = 0, empty = 0;
	unsigned long written = 0, failed = 0, chances;

	chances = 2 * ZSWAP_SPAN_SLOTS * (only ? zswap_lru_writable(only, false) :
						 zswap_all_writable(false));

	while (!zswap_walk_done(walk) && !signal_pending(current)) {
		struct zswap_lru *lru = only;
		int ret;

		if (!lru)
			lru = zswap_choose_lru(false);
		else if (!zswap_lru_writable(lru, false))
			break;
		if (!lru || (share && READ_ONCE(zswap_shares[lru - zswap_lrus]) != share))
			break;

		ret = zswap_take_turn(lru, SWAP_CLUSTER_MAX, walk);
		if (!ret)
			attempts++;
		if (ret == -ESRCH) {
			/* The first round may have started in the middle. */
			if (attempts)
				empty = 0;
			else if (++empty > 2)
				break;
			/* If a whole round found nothing, all spans are young. */
			walk->by_age = attempts || empty < 2;
			if (walk->written > written)
				failures = 0;
			else if (attempts &&
				 (walk->failed > failed || walk->scanned > chances) &&
				 ++failures == MAX_RECLAIM_RETRIES)
				break;
			written = walk->written;
			failed = walk->failed;
			attempts = 0;
		}
		cond_resched();
	}
}

/**
 * zswap_reclaim() - free compressed data of any cgroup
 * @only: the device, or NULL for any
 * @bytes: amount of compressed data to free, in bytes
 *
 * Context: A worker; may sleep.
 * Return: number of pages written.
 */
unsigned long zswap_reclaim(struct zswap_lru *only, u64 bytes)
{
	struct zswap_walk walk = {
		.gfp = GFP_KERNEL,
		.by_age = true,
		.to_write = ULONG_MAX,
		.to_free = bytes,
	};

	zswap_reclaim_pages(only, NULL, &walk);
	return walk.written;
}

/**
 * zswap_write_back() - write pages back now, the oldest first
 * @share: the share of the device
 * @type: the device
 * @bytes: how much to write, in bytes before compression
 *
 * Context: May sleep for a long time.  The device may be swapped off meanwhile.
 * Return: 0; -EINTR after a signal; or -EOPNOTSUPP if the device has no storage.
 */
int zswap_write_back(struct ramzswap_share *share, int type, u64 bytes)
{
	struct zswap_walk walk = {
		.gfp = GFP_KERNEL,
		.force = true,
		.by_age = true,
		.to_write = min(DIV_ROUND_UP_ULL(bytes, PAGE_SIZE), ULONG_MAX),
		.to_free = U64_MAX,
	};

	if (READ_ONCE(zswap_lrus[type].in_memory))
		return -EOPNOTSUPP;
	zswap_reclaim_pages(&zswap_lrus[type], share, &walk);
	return signal_pending(current) ? -EINTR : 0;
}

/* === Room without writing ================================================ */

/*
 * Limits for the pages that the worker recompresses before it writes.  Each one
 * gains a few hundred bytes.  Writing must not wait for long: while the pool is
 * full, other devices' pages are refused.
 */
#define ZSWAP_GAIN_GUESS	256U
#define ZSWAP_WORKER_TRIES	4096U

/**
 * zswap_worker_tries() - limit recompression by the worker before it writes
 * @bytes: amount of compressed data to free, in bytes
 *
 * Context: Any.
 * Return: number of pages.
 */
unsigned long zswap_worker_tries(u64 bytes)
{
	return clamp(div_u64(bytes, ZSWAP_GAIN_GUESS), SWAP_CLUSTER_MAX, ZSWAP_WORKER_TRIES);
}

/**
 * zswap_squeeze_cache() - recompress pages that could be written back
 * @bytes: amount of memory to gain, in bytes
 *
 * zswap_cache_pages() counts these pages.
 *
 * Context: May sleep.
 */
void zswap_squeeze_cache(u64 bytes)
{
	int type;

	for (type = 0; type < MAX_SWAPFILES; type++)
		if (zswap_lru_writable(&zswap_lrus[type], false))
			zswap_squeeze_for_room(NULL, type, bytes,
					       zswap_worker_tries(bytes), false);
}

/* === Room for a folio ==================================================== */

/*
 * A cgroup may not store more in zswap: find the cgroup whose limit was reached,
 * itself or an ancestor.
 */
#ifdef CONFIG_MEMCG
static struct mem_cgroup *zswap_memcg_at_limit(struct mem_cgroup *memcg)
{
	struct mem_cgroup *above;

	for (above = memcg; above && !mem_cgroup_is_root(above);
	     above = parent_mem_cgroup(above)) {
		unsigned long max = READ_ONCE(above->zswap_max);

		if (max != PAGE_COUNTER_MAX &&
		    memcg_page_state(above, MEMCG_ZSWAP_B) / PAGE_SIZE >= max)
			return above;
	}
	return memcg;
}
#else
static struct mem_cgroup *zswap_memcg_at_limit(struct mem_cgroup *memcg)
{
	return memcg;
}
#endif

static unsigned long zswap_memcg_spans(struct mem_cgroup *memcg)
{
	unsigned long nr = 0;
	int nid, type;

	if (!mem_cgroup_zswap_writeback_enabled(memcg))
		return 0;
	for (type = 0; type < MAX_SWAPFILES; type++) {
		if (!READ_ONCE(zswap_trees[type]))
			continue;
		for_each_node_state(nid, N_NORMAL_MEMORY)
			nr += zswap_lru_count_one(&zswap_lrus[type], nid, memcg);
	}
	return nr;
}

/*
 * Choose a cgroup in the subtree of @root at random, weighted by its number of
 * spans.  Few cgroups have a limit, so it is not worth remembering whose turn it
 * is in each subtree.
 */
static struct mem_cgroup *zswap_choose_memcg(struct mem_cgroup *root)
{
	struct mem_cgroup *memcg, *chosen = NULL;
	unsigned long nr, total = 0;

	for (memcg = mem_cgroup_iter(root, NULL, NULL); memcg;
	     memcg = mem_cgroup_iter(root, memcg, NULL)) {
		nr = zswap_memcg_spans(memcg);
		total += nr;
		if (nr && get_random_u32_below(min(total, U32_MAX)) < nr &&
		    mem_cgroup_tryget_online(memcg)) {
			mem_cgroup_put(chosen);
			chosen = memcg;
		}
	}
	return chosen;
}

/**
 * zswap_make_room_memcg() - make room below memory.zswap.max
 * @ctx: see zswap_store()
 * @objcg: the cgroup, or NULL
 * @swp: the first slot of the folio to store
 * @nr_pages: number of its pages
 *
 * Writes pages of the subtree that the limit applies to.
 *
 * Context: Reclaim; may sleep.
 * Return: true if any page was written.
 */
bool zswap_make_room_memcg(struct swap_io_ctx *ctx, struct obj_cgroup *objcg,
			   swp_entry_t swp, unsigned int nr_pages)
{
	const unsigned int flags = __swap_entry_to_info(swp)->ops->flags;
	struct zswap_walk walk = {
		.gfp = GFP_KERNEL,
		/* Reclaim that may enter the folio's device may enter others. */
		.direct = !(flags & SWAP_OPS_F_REQUIRE_NOFS),
		/* Finding a victim walks the subtree, so make room for some more. */
		.to_write = max(nr_pages, SWAP_CLUSTER_MAX),
		.to_free = U64_MAX,
	};
	struct mem_cgroup *memcg, *victim;
	unsigned int tries = 2;

	memcg = get_mem_cgroup_from_objcg(objcg);
	while (!walk.written && tries--) {
		victim = zswap_choose_memcg(zswap_memcg_at_limit(memcg));
		if (!victim)
			break;
		swap_write_submit(ctx);
		zswap_shrink_memcg(victim, max(nr_pages, SWAP_CLUSTER_MAX), &walk);
		mem_cgroup_put(victim);
		/* An old page is better than the new one, see zswap_make_room(). */
		walk.force = swap_zswap_share(swp);
	}
	mem_cgroup_put(memcg);
	return walk.written;
}

/* Number of turns of cgroups and nodes with pages when making room for a folio */
#define ZSWAP_ROOM_TURNS	512U
/* Number of turns before that, for old pages only */
#define ZSWAP_AGE_TURNS		64U

/*
 * Write the oldest pages of one device, or of any if @only is NULL, to make room
 * for a folio.  Prefer pages that were not stored recently.  If the first ones
 * were all stored recently, write the oldest anyway.
 */
static void zswap_write_oldest(struct zswap_lru *only, struct zswap_walk *walk)
{
	unsigned long chances = walk->scanned + 2 * walk->to_write + SWAP_CLUSTER_MAX;
	unsigned long failures = walk->failed + walk->to_write + SWAP_CLUSTER_MAX;
	unsigned int turns = ZSWAP_AGE_TURNS + ZSWAP_ROOM_TURNS;
	struct zswap_lru *lru = NULL;
	unsigned int empty = 0;
	bool any = false;

	while (!zswap_walk_done(walk) && walk->failed < failures && turns--) {
		int ret;

		if (!lru || walk->device_full) {
			walk->device_full = false;
			lru = only;
			if (!lru)
				lru = zswap_choose_lru(true);
			else if (!zswap_lru_writable(lru, true))
				break;
			if (!lru)
				break;
		}
		walk->force = walk->scanned >= chances;
		walk->by_age = turns >= ZSWAP_ROOM_TURNS;
		ret = zswap_take_turn(lru, DIV_ROUND_UP(min(walk->to_write, SWAP_CLUSTER_MAX),
							ZSWAP_SPAN_SLOTS), walk);
		if (ret != -ESRCH) {
			any |= !ret || walk->young;
			continue;
		}
		/* The first round may have started in the middle. */
		empty = any ? 0 : empty + 1;
		if (empty == 2)
			break;
		any = false;
	}
}

/*
 * Pages that are swapped out now are warmer than those that were stored before.
 * So if the device can write pages back, do not refuse new pages at a limit.  Write
 * as many of the oldest instead: the device's own at its mem_limit, those of any
 * device and cgroup at the pool's limit.
 *
 * Return: true if the pages may be stored.
 */
static bool zswap_make_room(struct swap_io_ctx *ctx, swp_entry_t swp,
			    unsigned int nr_pages)
{
	struct ramzswap_share *share = swap_zswap_share(swp);
	unsigned long cur_pages, max_pages = zswap_max_pages();
	struct zswap_walk walk = {
		/* Leave some of the reserves: writing the folio itself may need them. */
		.gfp = GFP_KERNEL | __GFP_HIGH | __GFP_NOMEMALLOC |
		       __GFP_NORETRY | __GFP_NOWARN,
		.direct = true,
		.to_free = ramzswap_excess(share, nr_pages),
	};

	if (walk.to_free) {
		/* The worker writes the rest, for example if the limit was lowered. */
		walk.to_write = nr_pages + SWAP_CLUSTER_MAX;
		swap_write_submit(ctx);
		zswap_write_oldest(&zswap_lrus[swp_type(swp)], &walk);
		if (walk.freed < walk.to_free) {
			zswap_wake_worker();
			if (ramzswap_over_limit(share))
				return false;
		}
	}
	if (!zswap_check_limits())
		return true;
	/*
	 * Until the worker is done, the pool is full for other devices.  Do not
	 * use up the room that it makes.
	 */
	cur_pages = zswap_cache_pages();
	if (cur_pages < max_pages && !READ_ONCE(zswap_shrinking))
		return true;
	/*
	 * New data fills holes before the pool grows, but not always.  If the
	 * pool is far above the limit, because that was lowered or a full device
	 * has room again, leave the excess to the worker, but write more than is
	 * stored meanwhile.
	 */
	if (cur_pages > max_pages + max_pages / 64)
		zswap_wake_worker();
	if (walk.written >= nr_pages)
		return true;
	walk.to_write = nr_pages - walk.written;
	if (cur_pages > max_pages + max_pages / 16)
		walk.to_write += SWAP_CLUSTER_MAX;
	walk.to_free = U64_MAX;
	swap_write_submit(ctx);
	zswap_write_oldest(NULL, &walk);
	return walk.written >= nr_pages;
}

/*
 * If no page can be written, try to recompress this many pages for each page to
 * store, and some in advance, so that the next ones need not wait.
 */
static unsigned long zswap_room_tries(unsigned int nr_pages)
{
	return 4UL * (nr_pages + SWAP_CLUSTER_MAX);
}

/**
 * zswap_squeeze_memcg() - make room below memory.zswap.max without writing
 * @objcg: the cgroup, or NULL
 * @nr_pages: number of pages to store
 *
 * Context: Reclaim; may sleep.
 * Return: true if memory was gained, and the cgroup may store more now.
 */
bool zswap_squeeze_memcg(struct obj_cgroup *objcg, unsigned int nr_pages)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_objcg(objcg);
	u64 gained;

	gained = zswap_squeeze_for_room(zswap_memcg_at_limit(memcg), -1,
					(u64)(nr_pages + SWAP_CLUSTER_MAX) << PAGE_SHIFT,
					zswap_room_tries(nr_pages), true);
	mem_cgroup_put(memcg);
	return gained && obj_cgroup_may_zswap(objcg);
}

/**
 * zswap_is_full() - try to make room for a folio if there is none
 * @ctx: see zswap_store()
 * @folio: the folio
 *
 * Context: Reclaim; may sleep.
 * Return: true if the folio must not be stored.
 */
bool zswap_is_full(struct swap_io_ctx *ctx, struct folio *folio)
{
	unsigned int nr_pages = folio_nr_pages(folio);
	swp_entry_t swp = folio->swap;
	struct ramzswap_share *share = swap_zswap_share(swp);
	u64 gained;

	if (!share)
		return zswap_check_limits();
	if (zswap_may_write_back(swp)) {
		if (zswap_make_room(ctx, swp, nr_pages))
			return false;
		/* Unless the device has become full meanwhile. */
		if (zswap_may_write_back(swp))
			return true;
	}
	/* There is room by the approximate sum; ramzswap_hold() allows for its error. */
	if (!ramzswap_excess(share, nr_pages))
		return false;
	/* If the device has a copy, drop the folio rather than recompress others. */
	if (swap_has_copy(folio))
		return true;
	gained = zswap_squeeze_for_room(NULL, swp_type(swp),
					ramzswap_excess(share, nr_pages + SWAP_CLUSTER_MAX),
					zswap_room_tries(nr_pages), true);
	/* Other tasks may have used up the room that this one has made. */
	return gained < (u64)nr_pages << PAGE_SHIFT && ramzswap_over_limit(share);
}

/**
 * zswap_squeeze_pool() - make room in the pool without memory
 * @nr_pages: number of pages to store
 *
 * There is no memory to store a page, and no page can be written: put smaller copies
 * into gaps of the pool to form larger gaps.  This does not wait for memory, so it
 * cannot recurse into reclaim.
 *
 * Context: Reclaim; may sleep.
 */
void zswap_squeeze_pool(unsigned int nr_pages)
{
	zswap_squeeze_for_room(NULL, -1, (u64)(nr_pages + SWAP_CLUSTER_MAX) << PAGE_SHIFT,
			       zswap_room_tries(nr_pages), true);
}

/* Pages to gain before the allocation is retried, and pages to recompress at most */
#define ZSWAP_OOM_PAGES		SWAP_CLUSTER_MAX
#define ZSWAP_OOM_TRIES		4096

/**
 * zswap_squeeze_on_oom() - gain memory before a process is killed for it
 * @memcg: only pages of this cgroup, whose limit was reached, and of those below
 *	it; NULL for all
 *
 * Everything else has been reclaimed: only compressed pages are left.  Their
 * smaller copies go into the gaps that earlier ones have left.  So the pool frees
 * its pages a little later, but the charge of a cgroup drops at once.
 *
 * Context: Out of memory, with oom_lock held; may sleep, but does not wait for
 * memory.  Takes some hundredths of a second.
 * Return: number of pages gained, or 0 if these were fewer than %ZSWAP_OOM_PAGES.
 */
unsigned long zswap_squeeze_on_oom(struct mem_cgroup *memcg)
{
	const u64 wanted = ZSWAP_OOM_PAGES << PAGE_SHIFT;
	u64 gained;

	gained = zswap_squeeze_for_room(memcg, -1, wanted, ZSWAP_OOM_TRIES, true);
	return gained == wanted ? ZSWAP_OOM_PAGES : 0;
}
