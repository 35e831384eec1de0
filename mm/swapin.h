/* SPDX-License-Identifier: GPL-2.0 */
/* Swapin without readahead, and of large folios */
#ifndef _MM_SWAPIN_H
#define _MM_SWAPIN_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/mm_types.h>
#include <linux/pfn.h>
#include <linux/types.h>

struct folio;
struct swap_info_struct;

/*
 * Each VMA and each shmem file records in one word which pages were recently
 * swapped in on demand:
 *
 *   last page wanted      | readahead | large folios
 *   ----------------------+-----------+-------------
 *   low bits of its       | hits, win | order, run
 *   number                |           |
 *
 * Readahead from a disk and large folios from memory share the page number, but
 * neither changes the other's fields.  On 32-bit the number has 14 bits, so
 * addresses that differ by 64 MiB look the same.
 */
#define SWAPIN_PAGE_SHIFT	18
#define SWAPIN_PAGE		GENMASK(BITS_PER_LONG - 1, SWAPIN_PAGE_SHIFT)

/* Number of pages wanted one after the other, saturating. */
#define SWAPIN_RUN		GENMASK(6, 0)
#define SWAPIN_RUN_MAX		127
/* Order of the folio that contained the last page. */
#define SWAPIN_ORDER		GENMASK(10, 7)
/* Order of the last readahead window plus 1, or 0 if there was none. */
#define SWAPIN_WIN		GENMASK(13, 11)
/*
 * Pages read ahead and then wanted.  A higher count would not enlarge the
 * window.
 */
#define SWAPIN_HITS		GENMASK(17, 14)
#define SWAPIN_HITS_MAX		15

/*
 * Orders of folios to swap in while zswap is in use. zswap_load_done() frees a
 * folio's entries under the page table lock: 256 of them at most.
 */
#define SWAPIN_ZSWAP_ORDERS	GENMASK(8, 0)

#ifdef CONFIG_SWAP

bool swapin_is_sync(struct swap_info_struct *si, swp_entry_t entry, bool large);
bool swapin_forget(struct folio *folio);
unsigned long swapin_run_orders(atomic_long_t *run, unsigned long page);
void swapin_run_add(atomic_long_t *run, unsigned long page,
		    unsigned int nr_pages);
long swapin_distance(unsigned long val, unsigned long page);
unsigned long swapin_run_advance(unsigned long val, unsigned long page,
				 unsigned int nr_pages);

/* swapin_run_orders() for an address in a VMA. */
static inline unsigned long swapin_vma_orders(struct vm_area_struct *vma,
					      unsigned long addr)
{
	return swapin_run_orders(&vma->swap_readahead_info, PFN_DOWN(addr));
}

/* swapin_run_add() for an address in a VMA. */
static inline void swapin_vma_add(struct vm_area_struct *vma,
				  unsigned long addr, unsigned int nr_pages)
{
	swapin_run_add(&vma->swap_readahead_info, PFN_DOWN(addr), nr_pages);
}

#else /* CONFIG_SWAP */

static inline bool swapin_is_sync(struct swap_info_struct *si,
				  swp_entry_t entry, bool large)
{
	return false;
}

static inline bool swapin_forget(struct folio *folio)
{
	return false;
}

static inline unsigned long swapin_run_orders(atomic_long_t *run,
					      unsigned long page)
{
	return BIT(0);
}

static inline void swapin_run_add(atomic_long_t *run, unsigned long page,
				  unsigned int nr_pages)
{
}

static inline unsigned long swapin_vma_orders(struct vm_area_struct *vma,
					      unsigned long addr)
{
	return BIT(0);
}

static inline void swapin_vma_add(struct vm_area_struct *vma,
				  unsigned long addr, unsigned int nr_pages)
{
}

#endif /* CONFIG_SWAP */

#endif /* _MM_SWAPIN_H */
