// SPDX-License-Identifier: GPL-2.0
/* Swapin without readahead, and of large folios */

#include <linux/atomic.h>
#include <linux/bitfield.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/swap_ops.h>
#include <linux/zswap.h>
#include "swap.h"

/*
 * Choose the size of a folio to swap in from the recent swapins.
 *
 * A large folio brings in pages that no task asked for.  They save faults if
 * they are wanted next.  Otherwise they cost the work of bringing them in and
 * the memory of the pages that they displace.
 *
 * So limit the folio to the size of the run of consecutive pages that were
 * wanted just before it, or to half of it where the run has ended.  Then
 * unwanted pages never outnumber wanted ones.  Random access stays at single
 * pages.  Sequential access reaches 16 pages per fault after six faults if
 * smaller folio sizes are enabled, too, and after 16 faults otherwise.
 *
 * A run may go in either direction.  It may skip resident pages, up to the size
 * of the last folio.
 */

/**
 * swapin_distance() - distance from the last page wanted
 * @val: the word that records the swapins
 * @page: number of the page
 *
 * Context: Any.
 * Return: pages; negative if @page comes before it.
 */
long swapin_distance(unsigned long val, unsigned long page)
{
	page <<= SWAPIN_PAGE_SHIFT;
	return (long)(page - (val & SWAPIN_PAGE)) >> SWAPIN_PAGE_SHIFT;
}

/* Distance from the first page of the folio that contained it. */
static long swapin_folio_distance(unsigned long val, unsigned long page)
{
	unsigned long order = FIELD_GET(SWAPIN_ORDER, val);
	unsigned long last = FIELD_GET(SWAPIN_PAGE, val);

	return swapin_distance(val, page) + (last & (BIT(order) - 1));
}

/* Is @page within a folio size of the last folio, after it or before it? */
static bool swapin_run_goes_on(unsigned long val, unsigned long page)
{
	long distance = swapin_folio_distance(val, page);
	long size = BIT(FIELD_GET(SWAPIN_ORDER, val));

	return distance >= -size && distance < 2 * size;
}

static unsigned int swapin_run_pages(unsigned long val, unsigned long page)
{
	unsigned int nr_pages = FIELD_GET(SWAPIN_RUN, val);

	return max(swapin_run_goes_on(val, page) ? nr_pages : nr_pages / 2, 1);
}

/**
 * swapin_run_advance() - record a swapin
 * @val: the word that records the swapins
 * @page: number of the wanted page
 * @nr_pages: size of the folio that was swapped in
 *
 * Context: Any.
 * Return: the new word.  The readahead fields are unchanged.
 */
unsigned long swapin_run_advance(unsigned long val, unsigned long page,
				 unsigned int nr_pages)
{
	long distance = swapin_folio_distance(val, page);
	unsigned int pages = swapin_run_pages(val, page);

	/*
	 * The last folio already has @page: a fault that had to wait is being
	 * retried.
	 */
	if (distance >= 0 && distance < (long)BIT(FIELD_GET(SWAPIN_ORDER, val)))
		return val;

	if (swapin_run_goes_on(val, page))
		pages += nr_pages;
	return (val & (SWAPIN_WIN | SWAPIN_HITS)) |
	       FIELD_PREP(SWAPIN_RUN, min(pages, SWAPIN_RUN_MAX)) |
	       FIELD_PREP(SWAPIN_ORDER, ilog2(nr_pages)) |
	       page << SWAPIN_PAGE_SHIFT;
}

/**
 * swapin_run_orders() - folio orders worth swapping in
 * @run: the word that records the VMA's or file's swapins; initially 0
 * @page: number of the wanted page in the address space or file
 *
 * Context: Any.
 * Return: a bitmap of orders, which always includes order 0.
 */
unsigned long swapin_run_orders(atomic_long_t *run, unsigned long page)
{
	unsigned int nr_pages = swapin_run_pages(atomic_long_read(run), page);

	if (nr_pages == SWAPIN_RUN_MAX)
		return ~0UL;
	return (2UL << ilog2(nr_pages)) - 1;
}

/**
 * swapin_run_add() - record a swapin
 * @run: see swapin_run_orders()
 * @page: see swapin_run_orders()
 * @nr_pages: size of the folio that was swapped in
 *
 * Context: Any.
 */
void swapin_run_add(atomic_long_t *run, unsigned long page,
		    unsigned int nr_pages)
{
	atomic_long_set(run, swapin_run_advance(atomic_long_read(run), page,
						nr_pages));
}

/**
 * swapin_is_sync() - check whether to read a slot without readahead
 * @si: the slot's device; the caller has a reference to it
 * @entry: the slot
 * @large: whether a large folio may be swapped in
 *
 * Readahead hides the latency of I/O, so it is pointless where there is none.
 * Large folios need no readahead either: they bring in neighbours themselves.
 *
 * Context: Any.
 * Return: true to read the slot with swapin_sync(), false to use
 * swapin_readahead().
 */
bool swapin_is_sync(struct swap_info_struct *si, swp_entry_t entry, bool large)
{
	/* The flag does not change while the device is in use. */
	if (data_race(si->flags & SWP_SYNCHRONOUS_IO))
		return true;
	return (large || si->ops->flags & SWAP_OPS_F_READAHEAD) && zswap_has(entry);
}

/**
 * swapin_forget() - drop a large folio from the swap cache after a failed read
 * @folio: the folio; locked, in the swap cache and not uptodate
 *
 * The bad page may not be the one that is wanted.  So the caller retries, and
 * swapin_sync() finds another large folio or reads a single page.
 *
 * Context: The caller holds the folio's lock.  Takes the swap cluster lock.
 * Return: true if the folio was large; a small folio stays in the swap cache.
 */
bool swapin_forget(struct folio *folio)
{
	if (!folio_test_large(folio))
		return false;
	swap_cache_del_folio(folio);
	return true;
}
