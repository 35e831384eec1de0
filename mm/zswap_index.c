// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zswap: the index of stored data
 *
 * Finds, adds and drops the entries of swap slots.  struct zswap_span describes
 * how they are kept, and what guards them.
 */

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/memcontrol.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/swapops.h>
#include <linux/xarray.h>
#include <linux/zbud.h>
#include <linux/zswap.h>
#include "ramzswap.h"
#include "zswap_cold.h"
#include "zswap_internal.h"

/**
 * zswap_lru_set_old() - move a span to the older part of the LRU, or back
 * @span: the span
 * @old: true to move it to the older part
 *
 * Context: Does not sleep.  The tree is locked.
 */
void zswap_lru_set_old(struct zswap_span *span, bool old)
{
	zswap_lru_del(span);
	if (old) {
		atomic_or(ZSWAP_OLD, &span->marks);
	} else {
		WRITE_ONCE(span->seen, zswap_clock());
		atomic_andnot(ZSWAP_OLD, &span->marks);
	}
	zswap_lru_add(span);
}

/**
 * zswap_find() - find the span that has data for a slot
 * @swp: the slot
 * @span: the span of the slot before, or NULL
 *
 * The span stays valid as long as the caller owns the slot, see struct
 * zswap_span.
 *
 * Context: Any.
 * Return: the span, or NULL if nothing is stored for the slot.
 */
struct zswap_span *zswap_find(swp_entry_t swp, struct zswap_span *span)
{
	u8 bit = BIT(zswap_slot(swp));

	/* Others may change the bits of other slots. */
	if (span && zswap_slot(swp) && READ_ONCE(span->stored) & bit)
		return span;

	rcu_read_lock();
	span = xa_load(swap_zswap_tree(swp), zswap_index(swp));
	while (span && !(READ_ONCE(span->stored) & bit))
		span = READ_ONCE(span->next);
	rcu_read_unlock();
	return span;
}

/* Add data to the statistics (@sign 1), or subtract it (-1). */
static void zswap_data_count(const struct zswap_data *data,
			     struct ramzswap_share *share, int sign)
{
	ramzswap_count(share, RAMZSWAP_COMPR_BYTES, sign * data->bytes);
	ramzswap_count(share, RAMZSWAP_GOOD_COMPRESS, sign * data->nr_good);
	if (share) {
		ramzswap_count(share, RAMZSWAP_STORED, sign * data->nr_pages);
		ramzswap_count(share, RAMZSWAP_INCOMPRESSIBLE,
			       sign * data->nr_incompressible);
	}
	if (data->nr_incompressible)
		atomic_long_add(sign * data->nr_incompressible,
				&zswap_stored_incompressible_pages);
	atomic_long_add(sign * data->nr_pages, &zswap_stored_pages);
}

/**
 * zswap_data_charge() - charge and count data that was added to a span
 * @data: number and size of the pages
 * @span: the span
 *
 * Context: Does not sleep.
 */
void zswap_data_charge(const struct zswap_data *data, struct zswap_span *span)
{
	if (span->objcg)
		obj_cgroup_charge_zswap(span->objcg, data->bytes, data->nr_pages,
					data->nr_incompressible);
	zswap_data_count(data, swap_zswap_share(span->first), 1);
}

/**
 * zswap_data_uncharge() - undo zswap_data_charge()
 * @data: number and size of the pages
 * @span: the span
 *
 * It also undoes ramzswap_hold(), which is called for each page.
 *
 * Context: Does not sleep.
 */
void zswap_data_uncharge(const struct zswap_data *data,
			 struct zswap_span *span)
{
	struct ramzswap_share *share = swap_zswap_share(span->first);

	ramzswap_release(share, data->bytes);
	if (atomic_read(&span->marks) & ZSWAP_COLD) {
		ramzswap_count(share, RAMZSWAP_COLD_STORED, -data->nr_pages);
		ramzswap_count(share, RAMZSWAP_COLD_BYTES, -data->bytes);
	}
	if (span->objcg)
		obj_cgroup_uncharge_zswap(span->objcg, data->bytes, data->nr_pages,
					  data->nr_incompressible);
	zswap_data_count(data, share, -1);
}

/* Free a span that is no longer in the tree. */
static void zswap_span_free(struct zswap_span *span)
{
	ramzswap_count(swap_zswap_share(span->first), RAMZSWAP_SPANS, -1);
	zswap_lru_del(span);
	zswap_pool_put(span->pool);
	if (span->objcg)
		obj_cgroup_put(span->objcg);
	/* Lockless lookups may still use it. */
	kfree_rcu(span, rcu);
}

/**
 * zswap_take_unused() - unlink the spans of a range that have no slots left
 * @xas: the place of the range in the tree
 * @head: the first span of the range
 *
 * Context: Does not sleep.  The tree is locked.
 * Return: these spans, for zswap_free_spans().
 */
struct zswap_span *zswap_take_unused(struct xa_state *xas,
				     struct zswap_span *head)
{
	struct zswap_span *span, *old = head, **link = &head, *unused = NULL;

	while ((span = *link)) {
		if (span->used) {
			link = &span->next;
			continue;
		}
		/* Keep the span's own link, for lookups that have reached it. */
		WRITE_ONCE(*link, span->next);
		span->unused = unused;
		unused = span;
	}
	if (head != old)
		xas_store(xas, head); /* takes no memory: the entry exists */
	return unused;
}

/**
 * zswap_free_spans() - free spans that zswap_take_unused() returned
 * @spans: the spans, or NULL
 *
 * Context: Does not sleep.
 */
void zswap_free_spans(struct zswap_span *spans)
{
	struct zswap_span *span;

	while ((span = spans)) {
		spans = span->unused;
		zswap_span_free(span);
	}
}

/*
 * Drop the entries of slots of one range.  The caller owns the slots, so no other
 * task looks up the data that is freed before their bits are cleared.
 */
static void zswap_drop_slots(struct xarray *tree, unsigned long index, u8 slots)
{
	XA_STATE(xas, tree, index);
	struct zswap_span *span, *head, *unused = NULL;
	bool any_stored = false, any_unused = false;

	rcu_read_lock();
	for (span = xa_load(tree, index); span; span = READ_ONCE(span->next)) {
		unsigned long bits = READ_ONCE(span->stored) & slots;
		struct zswap_data data = {};
		unsigned int slot;

		if (!bits)
			continue;
		for_each_set_bit(slot, &bits, ZSWAP_SPAN_SLOTS) {
			zbud_free(zswap_zbud, &span->handle[slot]);
			zswap_data_add(&data, zswap_length(span, slot));
		}
		zswap_data_uncharge(&data, span);
		any_stored = true;
	}
	rcu_read_unlock();
	if (!any_stored)
		return;

	xas_lock(&xas);
	head = xas_load(&xas);
	for (span = head; span; span = span->next) {
		u8 bits = span->stored & slots;

		WRITE_ONCE(span->stored, span->stored & ~bits);
		span->used &= ~bits;
		span->tried &= ~bits;
		any_unused |= !span->used;
	}
	if (any_unused)
		unused = zswap_take_unused(&xas, head);
	xas_unlock(&xas);
	zswap_free_spans(unused);
}

/**
 * zswap_span_for() - find the span of a range that matches data
 * @span: the first span of the range, or NULL
 * @pool: the pool whose compressor made the data
 * @objcg: the cgroup that the data is charged to, or NULL
 * @cold: true if the data was recompressed
 *
 * Context: Does not sleep.  The tree is locked.
 * Return: the span, or NULL if there is none.
 */
struct zswap_span *zswap_span_for(struct zswap_span *span,
				  struct zswap_pool *pool,
				  struct obj_cgroup *objcg, bool cold)
{
	while (span && (span->pool != pool || span->objcg != objcg ||
			!!(atomic_read(&span->marks) & ZSWAP_COLD) != cold))
		span = span->next;
	return span;
}

/* Take slots in an existing span that matches.  The tree is locked. */
static struct zswap_span *zswap_span_join(struct zswap_span *span, u8 slots,
					  struct zswap_pool *pool,
					  struct obj_cgroup *objcg)
{
	unsigned int marks = slots;

	span = zswap_span_for(span, pool, objcg, false);
	if (span) {
		VM_WARN_ON_ONCE(span->used & slots);
		span->used |= slots;
		if (unlikely(atomic_read(&span->marks) & ZSWAP_OLD)) {
			span->created = zswap_time();
			zswap_lru_set_old(span, false);
			zswap_cold_note_store();
		} else if ((u8)(zswap_clock() - READ_ONCE(span->seen)) > 1) {
			/* Otherwise the span's age is right for the new slots, too. */
			marks |= slots << ZSWAP_AGAIN_SHIFT;
		}
		atomic_or(marks, &span->marks);
	}
	return span;
}

/**
 * zswap_span_init() - initialize a span
 * @span: the span
 * @swp: a slot of its range
 * @slots: the slots that are about to get data, a bitmap
 * @pool: the pool that will have the data
 * @objcg: the cgroup that the data is charged to, or NULL
 * @marks: see struct zswap_span
 *
 * Context: Any.
 */
void zswap_span_init(struct zswap_span *span, swp_entry_t swp, u8 slots,
		     struct zswap_pool *pool, struct obj_cgroup *objcg,
		     unsigned int marks)
{
	INIT_LIST_HEAD(&span->lru);
	span->pool = pool;
	span->objcg = objcg;
	span->first = swp_entry(swp_type(swp),
				round_down(swp_offset(swp), ZSWAP_SPAN_SLOTS));
	span->used = slots;
	span->stored = 0;
	span->tried = 0;
	span->seen = zswap_clock();
	span->created = zswap_time();
	atomic_set(&span->marks, marks);
}

/**
 * zswap_span_added() - finish adding a span to the tree
 * @span: the span
 *
 * The span has slots that the caller owns.  From now on writeback may choose
 * it.
 *
 * Context: Does not sleep.
 */
void zswap_span_added(struct zswap_span *span)
{
	zswap_pool_get(span->pool);
	if (span->objcg)
		obj_cgroup_get(span->objcg);
	ramzswap_count(swap_zswap_share(span->first), RAMZSWAP_SPANS, 1);
	/* From now on writeback may choose it. */
	zswap_lru_add(span);
}

/**
 * zswap_span_get() - find or create a span for slots of one range
 * @swp: any of these slots
 * @slots: the slots, a bitmap; the caller owns them
 * @nid: node to allocate a span on
 * @pool: the pool that will have the data
 * @objcg: the cgroup that the data will be charged to, or NULL
 *
 * Drops the old entries of the slots: they became stale when the folio was
 * dirtied again.  zswap_span_put() must follow.
 *
 * Context: May sleep.
 * Return: the span, or NULL if there is no memory.
 */
struct zswap_span *zswap_span_get(swp_entry_t swp, u8 slots, int nid,
				  struct zswap_pool *pool,
				  struct obj_cgroup *objcg)
{
	struct xarray *tree = swap_zswap_tree(swp);
	XA_STATE(xas, tree, zswap_index(swp));
	struct zswap_span *span, *new;
	u8 stale;

	do {
		stale = 0;
		xas_lock(&xas);
		for (span = xas_load(&xas); span; span = span->next)
			stale |= span->stored & slots;
		if (likely(!stale))
			span = zswap_span_join(xas_load(&xas), slots, pool, objcg);
		xas_unlock(&xas);
		xas_reset(&xas);
		if (unlikely(stale))
			zswap_drop_slots(tree, zswap_index(swp), stale);
	} while (unlikely(stale));
	if (span)
		return span;

	new = kmem_cache_alloc_node(zswap_span_cache, GFP_KERNEL, nid);
	if (!new) {
		data_race(zswap_reject_kmemcache_fail++);
		return NULL;
	}
	zswap_span_init(new, swp, slots, pool, objcg, slots);
	do {
		xas_lock(&xas);
		/* Another task may have added one meanwhile. */
		span = zswap_span_join(xas_load(&xas), slots, pool, objcg);
		if (!span) {
			new->next = xas_load(&xas);
			xas_store(&xas, new);
		}
		xas_unlock(&xas);
	} while (xas_nomem(&xas, GFP_KERNEL));

	if (span || xas_error(&xas)) {
		if (!span)
			data_race(zswap_reject_alloc_fail++);
		kmem_cache_free(zswap_span_cache, new);
		return span;
	}

	zswap_span_added(new);
	zswap_cold_note_store();
	return new;
}

/**
 * zswap_span_put() - end zswap_span_get()
 * @span: the span
 * @slots: the slots that it was called for
 * @stored: those of them that have data now
 *
 * Context: Does not sleep.
 */
void zswap_span_put(struct zswap_span *span, u8 slots, u8 stored)
{
	XA_STATE(xas, swap_zswap_tree(span->first), zswap_index(span->first));
	struct zswap_span *unused = NULL;

	xas_lock(&xas);
	WRITE_ONCE(span->stored, span->stored | stored);
	span->used &= ~(slots & ~stored);
	if (!span->used)
		unused = zswap_take_unused(&xas, xas_load(&xas));
	xas_unlock(&xas);
	zswap_free_spans(unused);
}

/**
 * zswap_drop_range() - drop the entries of a range of slots
 * @swp: the first slot
 * @nr: number of slots, all of one cluster and so of one tree
 *
 * No other task stores or loads them meanwhile: the caller holds their folio's
 * lock, or their cluster's lock with no folio in the swap cache.
 *
 * Context: Does not sleep.
 */
void zswap_drop_range(swp_entry_t swp, unsigned int nr)
{
	swp_entry_t last = swp_entry(swp_type(swp), swp_offset(swp) + nr - 1);
	struct xarray *tree = swap_zswap_tree(swp);
	unsigned long index = zswap_index(swp);

	VM_WARN_ON_ONCE(tree != swap_zswap_tree(last));

	if (xa_empty(tree))
		return;

	for (; index <= zswap_index(last); index++)
		zswap_drop_slots(tree, index, zswap_slots(swp, nr, index));
}

/**
 * zswap_has() - check whether zswap has an entry for a swap slot
 * @swp: the slot
 *
 * Context: Any.  The caller has a reference to the device.  The answer may be out
 * of date at once, unless the caller holds the lock of the slot's folio in the
 * swap cache, or of its cluster with no folio there.
 * Return: true if it has one.
 */
bool zswap_has(swp_entry_t swp)
{
	return !zswap_never_enabled() && zswap_find(swp, NULL);
}

/**
 * zswap_range_stored() - count the entries of a range of slots
 * @swp: the first slot
 * @nr: number of slots, all of one swap cluster
 *
 * A large folio can only be read from one place.  So if some of its slots have
 * entries and others do not, the pages must be swapped in by smaller folios.
 *
 * A task that adds or removes an entry holds the lock of the slot's folio in the
 * swap cache, or the lock of its cluster with no folio there.  So if no slot has a
 * folio, the result stays valid while the cluster is locked.  If a folio is added
 * under that same lock, it stays valid until the folio is unlocked.
 *
 * Context: Does not sleep.  The slots' cluster is locked.
 * Return: the number of slots that have entries.
 */
unsigned int zswap_range_stored(swp_entry_t swp, unsigned int nr)
{
	swp_entry_t last = swp_entry(swp_type(swp), swp_offset(swp) + nr - 1);
	unsigned int nr_stored = 0;
	struct zswap_span *span;
	struct xarray *tree;
	unsigned long index;

	if (zswap_never_enabled())
		return 0;

	tree = swap_zswap_tree(swp);
	if (xa_empty(tree))
		return 0;

	rcu_read_lock();
	xa_for_each_range(tree, index, span, zswap_index(swp), zswap_index(last))
		for (; span; span = READ_ONCE(span->next))
			nr_stored += hweight8(READ_ONCE(span->stored) &
					      zswap_slots(swp, nr, index));
	rcu_read_unlock();
	return nr_stored;
}

/**
 * zswap_tree_bytes() - measure the trees that index a swap device's entries
 * @type: the device
 *
 * Context: May sleep.  The caller has a reference to the device.
 * Return: bytes.
 */
size_t zswap_tree_bytes(int type)
{
	struct xarray *trees = zswap_trees[type];
	unsigned int i, nr_nodes = 0;

	for (i = 0; i < nr_zswap_trees[type]; i++) {
		struct xa_node *seen[BITS_PER_LONG / XA_CHUNK_SHIFT + 1] = {};
		XA_STATE(xas, &trees[i], 0);
		struct xa_node *node;
		void *entry;

		rcu_read_lock();
		xas_for_each(&xas, entry, ULONG_MAX) {
			/* Nodes come in order, so a new one was not seen before. */
			for (node = xas.xa_node;
			     node && node != seen[node->shift / XA_CHUNK_SHIFT];
			     node = rcu_dereference(node->parent)) {
				seen[node->shift / XA_CHUNK_SHIFT] = node;
				nr_nodes++;
			}
			/* Skip the other entries of the node. */
			xas_set(&xas, (xas.xa_index | XA_CHUNK_MASK) + 1);
		}
		rcu_read_unlock();
		cond_resched();
	}
	return array_size(nr_zswap_trees[type], sizeof(*trees)) +
	       array_size(nr_nodes, sizeof(struct xa_node));
}
