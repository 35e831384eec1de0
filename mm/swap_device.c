// SPDX-License-Identifier: GPL-2.0
/*
 * Calls to a swap device about a folio
 *
 * Most of struct swap_ops is optional.  These functions give the default for an
 * operation that a device does not have.
 */

#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/swap.h>
#include <linux/swap_ops.h>
#include <linux/swapops.h>
#include <linux/zswap.h>
#include "swap.h"

/**
 * swap_prepare_write() - ask the swap device whether a folio may be written
 * @folio: the folio, locked and in the swap cache
 * @why: why zswap did not store it: 0, or a negative errno of zswap_store()
 *
 * Context: Reclaim; does not wait for memory.
 * Return: 0, or a negative errno if the folio must stay in memory.
 */
int swap_prepare_write(struct folio *folio, int why)
{
	const struct swap_ops *ops = __swap_entry_to_info(folio->swap)->ops;

	return ops->prepare_write ? ops->prepare_write(folio, why) : 0;
}

/**
 * swap_invalidate() - tell the swap device to drop its copy of a folio
 * @folio: the folio, locked and in the swap cache
 *
 * Context: Reclaim; does not sleep.
 */
void swap_invalidate(struct folio *folio)
{
	const struct swap_ops *ops = __swap_entry_to_info(folio->swap)->ops;

	if (ops->invalidate)
		ops->invalidate(folio);
}

/**
 * swap_is_short() - check whether a folio should give up its swap slots
 * @folio: the folio, locked and in the swap cache
 *
 * While a clean folio keeps its slots, it need not be written again.
 *
 * Context: Does not sleep.
 * Return: true if swap is short of room, for this folio's cgroup or device.
 */
bool swap_is_short(struct folio *folio)
{
	struct swap_info_struct *si = __swap_entry_to_info(folio->swap);

	return mem_cgroup_swap_full(folio) ||
	       (si->ops->is_short && si->ops->is_short(si));
}

/**
 * swap_has_copies() - check whether a swap device has copies of slots
 * @si: the device
 * @offset: the first slot
 * @nr: number of slots, all of one swap cluster
 *
 * Context: Does not sleep.  The slots' folio or cluster is locked.
 * Return: true if the device works and has an up-to-date copy of each; false if
 * not, or if it cannot tell.
 */
bool swap_has_copies(struct swap_info_struct *si, unsigned long offset, unsigned int nr)
{
	return si->ops->has_copy && si->ops->has_copy(si, offset, nr) &&
	       !(si->ops->is_stopped && si->ops->is_stopped(si));
}

/**
 * swap_has_copy() - check whether the swap device has a copy of a folio
 * @folio: the folio, locked and in the swap cache; not under writeback
 *
 * Context: Does not sleep.
 * Return: see swap_has_copies().
 */
bool swap_has_copy(struct folio *folio)
{
	return swap_has_copies(__swap_entry_to_info(folio->swap), swp_offset(folio->swap),
			       folio_nr_pages(folio));
}

/**
 * swap_lost_copy() - check whether a clean folio is the only copy of its pages
 * @folio: the folio, locked and in the swap cache; not under writeback
 *
 * Context: Does not sleep.
 * Return: true if the device has lost its copy, so that the folio must be written
 * again before it leaves memory.
 */
bool swap_lost_copy(struct folio *folio)
{
	struct swap_info_struct *si = __swap_entry_to_info(folio->swap);

	return si->ops->lost_copy && folio_test_uptodate(folio) &&
	       si->ops->lost_copy(si, swp_offset(folio->swap), folio_nr_pages(folio));
}

/**
 * swap_keep_clean() - compress a clean folio before it leaves memory
 * @ctx: see swap_writeout()
 * @folio: the folio; anonymous, locked, in the swap cache, just unmapped
 *
 * The device has a copy of the folio, so reclaim may simply drop it.  But a
 * task has mapped the folio since it was read, so it is younger than the pages
 * in zswap.  Store it in zswap as the youngest page, and let an older page go.
 * The device keeps its copy: when the page is the oldest, zswap drops it
 * without writing.  If the device does not work, that copy may be lost.
 *
 * Context: Reclaim; may sleep.
 */
void swap_keep_clean(struct swap_io_ctx *ctx, struct folio *folio)
{
	struct swap_info_struct *si = __swap_entry_to_info(folio->swap);

	/* Another task has a reference, so the folio stays in memory. */
	if (folio_ref_count(folio) != 1 + folio_nr_pages(folio))
		return;
	if (si->ops->has_copy && !zswap_has(folio->swap) &&
	    si->ops->has_copy(si, swp_offset(folio->swap), folio_nr_pages(folio)) &&
	    !zswap_store(ctx, folio))
		count_mthp_stat(folio_order(folio), MTHP_STAT_ZSWPOUT);
}

/**
 * swap_may_write() - check whether a folio may be written to its swap device
 * @folio: the folio, locked and in the swap cache
 * @why: see swap_prepare_write()
 *
 * memory.zswap.writeback can keep a cgroup's folios from reaching storage.  If
 * the device has no storage, only the device decides.
 *
 * Context: Reclaim; does not wait for memory.
 * Return: true if it may; otherwise the folio must stay in memory.
 */
bool swap_may_write(struct folio *folio, int why)
{
	const struct swap_ops *ops = __swap_entry_to_info(folio->swap)->ops;
	bool enabled = true;

	if (!(ops->flags & SWAP_OPS_F_IN_MEMORY)) {
		rcu_read_lock();
		enabled = mem_cgroup_zswap_writeback_enabled(folio_memcg(folio));
		rcu_read_unlock();
	}
	return enabled && !swap_prepare_write(folio, why);
}
