// SPDX-License-Identifier: GPL-2.0-only
/*
 * ramzswap: statistics of the compressed swap cache
 *
 * /sys/kernel/debug/ramzswap/stats has a line "name value" for each number,
 * in bytes or counts; Documentation/admin-guide/mm/ramzswap.rst says what they
 * mean.  What happens often is counted per CPU where it happens.  What can be
 * found out by looking is looked for when somebody reads the file.
 */

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "ramzswap.h"
#include "swap.h"
#include "swap_table.h"

DEFINE_PER_CPU(struct ramzswap_counters, ramzswap_counters);

/* The CPUs are not stopped for it: a sum may miss what is on its way. */
static unsigned long counter_sum(enum ramzswap_counter counter)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(ramzswap_counters.nr[counter], cpu));
	return max(sum, 0L);
}

/* Slots of a device whose pages were found to be zero, and are not stored. */
static unsigned long count_zero_slots(struct swap_info_struct *si)
{
	unsigned long offset, nr = 0;

	for (offset = 0; offset < si->max; offset += SWAPFILE_CLUSTER) {
		struct swap_cluster_info *ci = swap_cluster_lock(si, offset);
		unsigned int i;

		for (i = 0; i < SWAPFILE_CLUSTER && rcu_access_pointer(ci->table); i++)
			if (swp_tb_is_countable(__swap_table_get(ci, i)) &&
			    __swap_table_test_zero(ci, i))
				nr++;
		swap_cluster_unlock(ci);
		cond_resched();
	}
	return nr;
}

/* What has to be looked for in the swap devices. */
static void scan_devices(unsigned long *zero_pages, size_t *tree_bytes)
{
	int type;

	*zero_pages = 0;
	*tree_bytes = 0;
	for (type = 0; type < MAX_SWAPFILES; type++) {
		struct swap_info_struct *si;

		/* Once there, it stays, but for its reference. */
		if (!READ_ONCE(swap_info[type]))
			continue;
		si = get_swap_device(swp_entry(type, 1));
		if (!si)
			continue;
		*zero_pages += count_zero_slots(si);
		*tree_bytes += zswap_tree_bytes(type);
		put_swap_device(si);
	}
}

static void show(struct seq_file *m, const char *name, u64 value)
{
	seq_printf(m, "%s %llu\n", name, value);
}

static u64 percent(unsigned long part, unsigned long whole)
{
	return whole ? min(div64_ul((u64)part * 100, whole), 100) : 0;
}

static int stats_show(struct seq_file *m, void *unused)
{
	struct zswap_usage usage;
	unsigned long zero_pages;
	size_t tree_bytes;

	scan_devices(&zero_pages, &tree_bytes);
	zswap_get_usage(&usage);

	show(m, "memlimit", (u64)usage.max_pool_pages << PAGE_SHIFT);
	show(m, "num_reads", counter_sum(RAMZSWAP_NUM_READS));
	show(m, "num_writes", counter_sum(RAMZSWAP_NUM_WRITES));
	show(m, "failed_reads", counter_sum(RAMZSWAP_FAILED_READS));
	show(m, "failed_writes", counter_sum(RAMZSWAP_FAILED_WRITES));
	show(m, "notify_free", counter_sum(RAMZSWAP_NOTIFY_FREE));
	show(m, "pages_zero", zero_pages);
	show(m, "good_compress_pct", percent(counter_sum(RAMZSWAP_GOOD_COMPRESS),
					     usage.stored_pages));
	show(m, "pages_expand_pct", percent(usage.incompressible_pages,
					    usage.stored_pages));
	show(m, "pages_stored", usage.stored_pages);
	show(m, "pages_used", usage.pool_pages);
	show(m, "orig_data_size", (u64)usage.stored_pages << PAGE_SHIFT);
	show(m, "compr_data_size", counter_sum(RAMZSWAP_COMPR_BYTES));
	show(m, "mem_used_total", ((u64)usage.pool_pages << PAGE_SHIFT) +
				  usage.meta_bytes + tree_bytes);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static int __init ramzswap_debugfs_init(void)
{
	debugfs_create_file("stats", 0444, debugfs_create_dir("ramzswap", NULL),
			    NULL, &stats_fops);
	return 0;
}
late_initcall(ramzswap_debugfs_init);
