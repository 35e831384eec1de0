/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ramzswap: what the compressed swap cache tells of itself
 */
#ifndef _MM_RAMZSWAP_H
#define _MM_RAMZSWAP_H

#include <linux/percpu.h>
#include <linux/types.h>

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
	RAMZSWAP_NR_COUNTERS,
};

/* One CPU's share: only the sum over all CPUs says something. */
struct ramzswap_counters {
	long nr[RAMZSWAP_NR_COUNTERS];
};

DECLARE_PER_CPU(struct ramzswap_counters, ramzswap_counters);

/**
 * ramzswap_count() - count something
 * @counter: what
 * @nr: how much; may be negative for what can become less again
 *
 * Context: Any.
 */
static inline void ramzswap_count(enum ramzswap_counter counter, long nr)
{
	if (IS_ENABLED(CONFIG_RAMZSWAP_STATS))
		this_cpu_add(ramzswap_counters.nr[counter], nr);
}

/**
 * struct zswap_usage - how much zswap stores, and in how much memory
 * @stored_pages: pages that are stored
 * @incompressible_pages: those of them that are stored as they were
 * @pool_pages: pages that the compressed data occupies
 * @max_pool_pages: pages that it may occupy
 * @meta_bytes: memory for the entries and for the pools' own needs
 */
struct zswap_usage {
	unsigned long stored_pages;
	unsigned long incompressible_pages;
	unsigned long pool_pages;
	unsigned long max_pool_pages;
	size_t meta_bytes;
};

void zswap_get_usage(struct zswap_usage *usage);
size_t zswap_tree_bytes(int type);

#endif /* _MM_RAMZSWAP_H */
