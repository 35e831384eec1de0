// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zswap: a smaller copy takes the place of stored data
 *
 * mm/zswap_cold.c recompresses cold pages.  This file finds them for it, copies
 * their data, and replaces it, while others load, store and drop pages.
 */

#include <linux/list_lru.h>
#include <linux/memcontrol.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/swapops.h>
#include <linux/xarray.h>
#include <linux/zbud.h>
#include <crypto/scatterwalk.h>
#include "ramzswap.h"
#include "swap.h"
#include "swap_table.h"
#include "zswap_cold.h"
#include "zswap_internal.h"

/**
 * zswap_nr_unseen() - count the spans of a device that may still get old
 * @type: the device
 *
 * Return: their number, without those that mm/zswap_cold.c is done with.
 */
unsigned long zswap_nr_unseen(int type)
{
	unsigned long nr = 0;
	int nid;

	if (!READ_ONCE(zswap_trees[type]))
		return 0;
	for_each_node_state(nid, N_NORMAL_MEMORY)
		nr += list_lru_count_node(&zswap_lrus[type].list, nid);
	return nr;
}

/**
 * zswap_nr_unseen_one() - the same as zswap_nr_unseen(), for one cgroup and node
 * @type: the device
 * @nid: the node
 * @memcg: the cgroup
 * @gfp: flags to allocate the cgroup's list in zswap_lru.old
 *
 * If the result is not 0, zswap_pick_span() may be called.
 *
 * Context: May sleep if @gfp allows it.
 * Return: the number of spans, or 0 without memory for that list.
 */
unsigned long zswap_nr_unseen_one(int type, int nid, struct mem_cgroup *memcg,
				  gfp_t gfp)
{
	struct zswap_lru *lru = &zswap_lrus[type];
	unsigned long nr = list_lru_count_one(&lru->list, nid, memcg);

	if (nr && !mem_cgroup_disabled() && memcg_list_lru_alloc(memcg, &lru->old, gfp))
		return 0;
	return nr;
}

/*
 * The list is ordered by zswap_span.seen.  But when a cgroup is removed, its list is
 * put before its parent's.  So do not stop at the first young span.
 */
#define ZSWAP_MAX_YOUNG		64

static enum lru_status zswap_pick_cb(struct list_head *item, struct list_lru_one *l,
				     void *arg)
{
	struct zswap_span *span = container_of(item, struct zswap_span, lru);
	struct zswap_pick *pick = arg;
	u8 now = zswap_clock(), age = now - span->seen;
	unsigned int again;

	if (age < pick->min_age) {
		pick->wait = min(pick->wait, pick->min_age - age);
		if (++pick->nr_young < ZSWAP_MAX_YOUNG)
			return LRU_SKIP;
		spin_unlock(&l->lock);
		return LRU_STOP;
	}

	/* While the span is on the list, it exists, and so does its pool. */
	again = atomic_fetch_andnot(ZSWAP_AGAIN, &span->marks) & ZSWAP_AGAIN;
	WRITE_ONCE(span->seen, now);
	pick->slots = 0;
	if (span->pool != pick->pool) {
		pick->slots = READ_ONCE(span->stored) & ~READ_ONCE(span->tried);
		if (!pick->all)
			pick->slots &= ~(again >> ZSWAP_AGAIN_SHIFT);
		strscpy(pick->compressor, span->pool->tfm_name);
	}
	pick->span = span;
	pick->first = span->first;
	pick->objcg = span->objcg;
	if (pick->objcg)
		obj_cgroup_get(pick->objcg);
	/* As in zswap_shrink_cb(), the span may be gone when the lock is dropped. */
	list_move_tail(item, &l->list);
	spin_unlock(&l->lock);
	return LRU_STOP;
}

/**
 * zswap_pick_span() - find the oldest span that is old enough
 * @type: the device
 * @nid: the node
 * @memcg: the cgroup, which zswap_nr_unseen_one() was called for
 * @pick: the criteria, and the result
 *
 * This makes the span the youngest.  Call zswap_seen_span() when done with it, and
 * zswap_put_span() in any case.
 *
 * Context: Does not sleep.
 * Return: true if there is one; even then @pick->slots may be 0.
 */
bool zswap_pick_span(int type, int nid, struct mem_cgroup *memcg,
		     struct zswap_pick *pick)
{
	unsigned long nr = ZSWAP_MAX_YOUNG;

	pick->span = NULL;
	pick->nr_young = 0;
	list_lru_walk_one(&zswap_lrus[type].list, nid, memcg, &zswap_pick_cb, pick, &nr);
	return pick->span;
}

/*
 * With the tree locked: find the span that was picked, if it is still there.  A new
 * one at its address, of the same cgroup, will do: the cgroup has both lists.
 */
static struct zswap_span *zswap_find_span(struct zswap_span *span,
					  const struct zswap_pick *pick)
{
	while (span && (span != pick->span || span->objcg != pick->objcg))
		span = span->next;
	return span;
}

/*
 * The same, but only if it has data of the same compressor for a slot: a new span may
 * have been allocated at the address of the one that was picked.
 */
static struct zswap_span *zswap_find_picked(struct zswap_span *span,
					    const struct zswap_pick *pick,
					    unsigned int slot)
{
	span = zswap_find_span(span, pick);
	return span && span->stored & BIT(slot) &&
	       !strcmp(span->pool->tfm_name, pick->compressor) ? span : NULL;
}

/*
 * While a slot's cluster is locked and it has no folio, only the caller can read,
 * replace or drop its entry, see zswap_range_stored().
 */
static bool zswap_slot_is_ours(struct swap_cluster_info *ci, swp_entry_t swp)
{
	lockdep_assert_held(&ci->lock);
	return swp_tb_is_shadow(swap_table_get(ci, swp_cluster_offset(swp)));
}

/**
 * zswap_copy_slot() - copy the data of a slot, to recompress it
 * @pick: the span
 * @slot: the slot
 * @data: room for PAGE_SIZE bytes
 *
 * This marks the slot as tried, until its data is dropped or replaced.
 *
 * Context: Does not sleep.  The caller has a reference to the device.
 * Return: the length of the data, PAGE_SIZE if it is not compressed; -EAGAIN if
 * the slot is in use, is gone, or was tried; or -EIO if the data cannot be read.
 */
int zswap_copy_slot(const struct zswap_pick *pick, unsigned int slot, void *data)
{
	swp_entry_t swp = swp_entry(swp_type(pick->first), swp_offset(pick->first) + slot);
	XA_STATE(xas, swap_zswap_tree(swp), zswap_index(swp));
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct swap_cluster_info *ci;
	struct zswap_span *span;
	int ret = -EAGAIN;

	ci = swap_cluster_lock(__swap_entry_to_info(swp), swp_offset(swp));
	if (!zswap_slot_is_ours(ci, swp))
		goto unlock;

	xas_lock(&xas);
	span = zswap_find_picked(xas_load(&xas), pick, slot);
	if (span && span->tried & BIT(slot))
		span = NULL;
	if (span)
		WRITE_ONCE(span->tried, span->tried | BIT(slot));
	xas_unlock(&xas);
	if (!span)
		goto unlock;

	/* The span stays while the slot is ours. */
	ret = zswap_length(span, slot);
	if (zbud_read_begin(zswap_zbud, &span->handle[slot], sg, ret)) {
		ret = -EIO;
		goto unlock;
	}
	memcpy_from_sglist(data, sg, 0, ret);
	zbud_read_end(sg);
unlock:
	swap_cluster_unlock(ci);
	return ret;
}

/*
 * With the tree locked: take a slot in the span for cold data of the same cgroup.
 * If the range has no such span, @new becomes it.
 */
static struct zswap_span *zswap_take_cold(struct zswap_span *head, struct zswap_span *span,
					  struct zswap_span *new, swp_entry_t swp,
					  struct zswap_pool *pool)
{
	struct zswap_span *cold = zswap_span_for(head, pool, span->objcg, true);

	if (cold) {
		VM_WARN_ON_ONCE(cold->used & BIT(zswap_slot(swp)));
		cold->used |= BIT(zswap_slot(swp));
		/* The page may be younger than the span. */
		if (cold->created != span->created)
			atomic_or(BIT(zswap_slot(swp)), &cold->marks);
		return cold;
	}
	if (!new)
		return NULL;
	zswap_span_init(new, swp, BIT(zswap_slot(swp)), pool, span->objcg,
			ZSWAP_COLD | ZSWAP_OLD);
	new->created = span->created;
	new->next = span->next;
	/* Lockless lookups must find an initialized span. */
	smp_store_release(&span->next, new);
	return new;
}

/* The smaller copy is in @cold now: free the old one, and account for that. */
static void zswap_replace_data(struct zswap_span *span, struct zswap_span *cold,
			       unsigned int slot, unsigned int length)
{
	struct ramzswap_share *share = swap_zswap_share(span->first);
	unsigned int old = zswap_length(span, slot);
	struct zswap_data less = {
		.nr_good = (old <= PAGE_SIZE / 2) - (length <= PAGE_SIZE / 2),
		.nr_incompressible = old == PAGE_SIZE,
		.bytes = old - length,
	};

	cold->length[slot] = length - 1;
	zbud_free(zswap_zbud, &span->handle[slot]);
	zswap_data_uncharge(&less, span);
	/* A cold span is never recompressed, so the old copy was not cold. */
	ramzswap_count(share, RAMZSWAP_COLD_STORED, 1);
	ramzswap_count(share, RAMZSWAP_COLD_BYTES, length);
	ramzswap_count(share, RAMZSWAP_NUM_SQUEEZED, 1);
	ramzswap_count(share, RAMZSWAP_SQUEEZE_GAINED, less.bytes);
}

/* Is the data of a slot still the same as when it was copied? */
static bool zswap_same_data(struct zswap_span *span, unsigned int slot,
			    const void *old, unsigned int length)
{
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct sg_mapping_iter miter;
	bool same = true;

	if (zswap_length(span, slot) != length ||
	    zbud_read_begin(zswap_zbud, &span->handle[slot], sg, length))
		return false;
	sg_miter_start(&miter, sg, sg_nents(sg), SG_MITER_ATOMIC | SG_MITER_FROM_SG);
	while (same && sg_miter_next(&miter)) {
		same = !memcmp(miter.addr, old, miter.length);
		old += miter.length;
	}
	sg_miter_stop(&miter);
	zbud_read_end(sg);
	return same;
}

/* With the tree locked: a slot was not replaced; allow another try. */
static void zswap_untry(struct zswap_span *span, unsigned int slot)
{
	WRITE_ONCE(span->tried, span->tried & ~BIT(slot));
	/* Another task may have finished the span meanwhile. */
	if (unlikely(atomic_read(&span->marks) & ZSWAP_OLD))
		zswap_lru_set_old(span, false);
}

/**
 * zswap_replace_slot() - replace a slot's data by a smaller copy
 * @pick: the span
 * @slot: the slot that zswap_copy_slot() was called for
 * @old: the data that it copied
 * @old_length: the length of @old
 * @data: the same page, recompressed
 * @length: the length of @data, less than @old_length
 *
 * Races: since the slot was copied, other tasks may have dropped it, stored it
 * again, or recompressed it as well.  So replace the old copy only if it is the
 * same, byte by byte, and by the same compressor: then @data is the page, whatever
 * happened meanwhile.  If the slot has a folio, the folio's owner may be reading the
 * old copy: then it stays.  Otherwise no task looks at either copy until the cluster
 * is unlocked.  The owners of other slots may drop, store or write back theirs
 * meanwhile.  A lookup without owning the slot may briefly miss the data, see
 * zswap_has().
 *
 * Context: May sleep if @pick->gfp allows it.  The caller has a reference to the
 * device.
 * Return: 0; -EAGAIN if the data has changed or is in use, or -ENOMEM: then the old
 * copy stays, and may be tried again.
 */
int zswap_replace_slot(const struct zswap_pick *pick, unsigned int slot,
		       const void *old, unsigned int old_length,
		       const void *data, unsigned int length)
{
	swp_entry_t swp = swp_entry(swp_type(pick->first), swp_offset(pick->first) + slot);
	XA_STATE(xas, swap_zswap_tree(swp), zswap_index(swp));
	struct zswap_span *span, *new, *cold = NULL, *unused = NULL;
	struct swap_cluster_info *ci;
	int ret = -EAGAIN, nid = span_to_nid(pick->span);
	u8 bit = BIT(slot);
	bool ours;

	/* Rarely needed, but nothing can be allocated under the locks. */
	new = kmem_cache_alloc_node(zswap_span_cache, pick->gfp, nid);

	ci = swap_cluster_lock(__swap_entry_to_info(swp), swp_offset(swp));
	ours = zswap_slot_is_ours(ci, swp);
	xas_lock(&xas);
	span = zswap_find_picked(xas_load(&xas), pick, slot);
	if (span && !ours) {
		zswap_untry(span, slot);
		span = NULL;
	}
	xas_unlock(&xas);
	if (!span)
		goto unlock;

	/* The span stays while the slot is ours. */
	if (!zswap_same_data(span, slot, old, old_length))
		goto done;
	ret = -ENOMEM;
	xas_reset(&xas);
	xas_lock(&xas);
	cold = zswap_take_cold(xas_load(&xas), span, new, swp, pick->pool);
	xas_unlock(&xas);
	if (!cold)
		goto done;
	if (cold == new) {
		new = NULL;
		zswap_span_added(cold);
	}

	ret = zbud_store(zswap_zbud, data, length,
			 GFP_NOWAIT | __GFP_NORETRY | __GFP_HIGHMEM | __GFP_MOVABLE,
			 nid, &cold->handle[slot]);
	if (!ret)
		zswap_replace_data(span, cold, slot, length);
done:
	xas_reset(&xas);
	xas_lock(&xas);
	if (!ret) {
		WRITE_ONCE(cold->stored, cold->stored | bit);
		WRITE_ONCE(span->stored, span->stored & ~bit);
		WRITE_ONCE(span->tried, span->tried & ~bit);
		span->used &= ~bit;
	} else {
		zswap_untry(span, slot);
		if (cold)
			cold->used &= ~bit;
	}
	if (!span->used || (cold && !cold->used))
		unused = zswap_take_unused(&xas, xas_load(&xas));
	xas_unlock(&xas);
	zswap_free_spans(unused);
unlock:
	swap_cluster_unlock(ci);
	if (new)
		kmem_cache_free(zswap_span_cache, new);
	return ret;
}

/**
 * zswap_seen_span() - finish a span if it has no slot left to try
 * @pick: the span
 *
 * It is then among the oldest, until something is stored in it.
 *
 * Context: Does not sleep.  The caller has a reference to the device.
 */
void zswap_seen_span(const struct zswap_pick *pick)
{
	XA_STATE(xas, swap_zswap_tree(pick->first), zswap_index(pick->first));
	struct zswap_span *span;

	xas_lock(&xas);
	span = zswap_find_span(xas_load(&xas), pick);
	/* Leave the span in its place while a task stores in it. */
	if (span && span->used == span->stored &&
	    !(atomic_read(&span->marks) & ZSWAP_OLD) &&
	    (span->pool == pick->pool || !(span->stored & ~span->tried)))
		zswap_lru_set_old(span, true);
	xas_unlock(&xas);
}

/**
 * zswap_put_span() - let go of a span that zswap_pick_span() found
 * @pick: the span
 *
 * Context: Does not sleep.
 */
void zswap_put_span(struct zswap_pick *pick)
{
	if (pick->objcg)
		obj_cgroup_put(pick->objcg);
}
