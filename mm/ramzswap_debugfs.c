// SPDX-License-Identifier: GPL-2.0-only
/*
 * ramzswap: statistics of the compressed swap cache
 *
 * /sys/kernel/debug/ramzswap/stats and, for each device,
 * /sys/kernel/debug/ramzswap/ramzswapN/stats have one "name value" line per
 * number, in bytes or counts.  Documentation/admin-guide/mm/ramzswap.rst
 * explains them.  Frequent events are counted per CPU where they happen.
 * Everything else is computed when a file is read.
 */

#include <linux/blkdev.h>
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

/**
 * ramzswap_sum() - sum a counter over all CPUs
 * @counters: the counters of a device, or of all others
 * @counter: the counter to sum
 *
 * Other CPUs keep counting meanwhile, so the sum may miss their latest changes.
 *
 * Context: Any.
 * Return: the sum.
 */
u64 ramzswap_sum(struct ramzswap_counters __percpu *counters, enum ramzswap_counter counter)
{
	s64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(counters, cpu)->nr[counter]);
	return max(sum, 0LL);
}

/* Sum a counter over all swap devices. */
static u64 counter_sum(enum ramzswap_counter counter)
{
	u64 sum = ramzswap_sum(&ramzswap_counters, counter);
	struct ramzswap *rz;
	unsigned int i;

	for (i = 0; (rz = ramzswap_device(i)); i++)
		sum += ramzswap_sum(rz->share.counters, counter);
	return sum;
}

/* Count the slots whose pages are all zeros, and so are not stored anywhere. */
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

/* Gather the numbers that need a walk over the swap devices. */
static void scan_devices(unsigned long *zero_pages, size_t *tree_bytes)
{
	int type;

	*zero_pages = 0;
	*tree_bytes = 0;
	for (type = 0; type < MAX_SWAPFILES; type++) {
		struct swap_info_struct *si;

		/* A swap_info_struct is never freed, but may not be in use. */
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

/* Sum a counter of one device, or of all devices if @counters is NULL. */
static u64 sum_of(struct ramzswap_counters __percpu *counters, enum ramzswap_counter counter)
{
	return counters ? ramzswap_sum(counters, counter) : counter_sum(counter);
}

/* Everything that is not cold is hot. */
static void show_cold(struct seq_file *m, struct ramzswap_counters __percpu *counters,
		      u64 stored)
{
	u64 cold = sum_of(counters, RAMZSWAP_COLD_STORED);
	u64 bytes = sum_of(counters, RAMZSWAP_COMPR_BYTES);
	u64 cold_bytes = sum_of(counters, RAMZSWAP_COLD_BYTES);

	show(m, "pages_hot", stored - min(cold, stored));
	show(m, "pages_cold", cold);
	show(m, "compr_hot_size", bytes - min(cold_bytes, bytes));
	show(m, "compr_cold_size", cold_bytes);
	show(m, "num_squeezed", sum_of(counters, RAMZSWAP_NUM_SQUEEZED));
	show(m, "num_hopeless", sum_of(counters, RAMZSWAP_NUM_HOPELESS));
	show(m, "squeeze_gained", sum_of(counters, RAMZSWAP_SQUEEZE_GAINED));
	show(m, "squeeze_ns", sum_of(counters, RAMZSWAP_SQUEEZE_NS));
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
				  counter_sum(RAMZSWAP_SPANS) * zswap_span_bytes() +
				  usage.meta_bytes + tree_bytes);
	show_cold(m, NULL, usage.stored_pages);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

/* All devices share the pool.  Attribute pool pages by compressed bytes. */
static unsigned long pool_share(u64 bytes, const struct zswap_usage *usage)
{
	u64 all = counter_sum(RAMZSWAP_COMPR_BYTES);

	return all ? mul_u64_u64_div_u64(usage->pool_pages, min(bytes, all), all) : 0;
}

/* Sum up counters, without the numbers that need a walk. */
static u64 mem_used(struct ramzswap *rz, unsigned long pool_pages,
		    const struct ramzswap_backing_usage *backing)
{
	return ((u64)pool_pages << PAGE_SHIFT) +
	       ramzswap_sum(rz->share.counters, RAMZSWAP_SPANS) * zswap_span_bytes() +
	       backing->meta_bytes;
}

/**
 * ramzswap_mem_used() - memory that a device's swapped pages take
 * @rz: the device; its lock is held
 *
 * Only adds up counters.  Measuring the index of zswap's entries needs a walk,
 * so it is not included, see zswap_tree_bytes().
 *
 * Context: May sleep.
 * Return: bytes.
 */
u64 ramzswap_mem_used(struct ramzswap *rz)
{
	u64 bytes = ramzswap_sum(rz->share.counters, RAMZSWAP_COMPR_BYTES);
	struct ramzswap_backing_usage backing;
	struct zswap_usage usage;

	lockdep_assert_held(&rz->lock);

	ramzswap_backing_get_usage(rz->backing, &backing);
	zswap_get_usage(&usage);
	return mem_used(rz, pool_share(bytes, &usage), &backing);
}

static int device_stats_show(struct seq_file *m, void *unused)
{
	struct ramzswap *rz = m->private;
	struct ramzswap_counters __percpu *counters = rz->share.counters;
	unsigned long stored = ramzswap_sum(counters, RAMZSWAP_STORED);
	u64 compr_bytes = ramzswap_sum(counters, RAMZSWAP_COMPR_BYTES);
	unsigned long zero_pages = 0, pool_pages;
	struct swap_info_struct *si;
	struct ramzswap_backing_usage backing;
	struct zswap_usage usage;
	size_t tree_bytes = 0;

	si = ramzswap_get_swap(rz);
	if (si) {
		zero_pages = count_zero_slots(si);
		tree_bytes = zswap_tree_bytes(si->type);
		put_swap_device(si);
	}
	/* Keeps the backing device attached. */
	guard(mutex)(&rz->lock);
	ramzswap_backing_get_usage(rz->backing, &backing);
	zswap_get_usage(&usage);
	pool_pages = pool_share(compr_bytes, &usage);

	seq_puts(m, "backing_swap_name ");
	if (rz->backing)
		seq_file_path(m, ramzswap_backing_file(rz->backing), "\n");
	else
		seq_puts(m, "none");
	seq_putc(m, '\n');
	show(m, "memlimit", READ_ONCE(rz->share.mem_limit));
	show(m, "disksize", get_capacity(rz->disk) << SECTOR_SHIFT);
	show(m, "num_reads", ramzswap_sum(counters, RAMZSWAP_NUM_READS));
	show(m, "num_writes", ramzswap_sum(counters, RAMZSWAP_NUM_WRITES));
	show(m, "failed_reads", ramzswap_sum(counters, RAMZSWAP_FAILED_READS));
	show(m, "failed_writes", ramzswap_sum(counters, RAMZSWAP_FAILED_WRITES));
	show(m, "invalid_io", atomic_long_read(&rz->invalid_io));
	show(m, "notify_free", ramzswap_sum(counters, RAMZSWAP_NOTIFY_FREE));
	show(m, "pages_zero", zero_pages);
	show(m, "good_compress_pct",
	     percent(ramzswap_sum(counters, RAMZSWAP_GOOD_COMPRESS), stored));
	show(m, "pages_expand_pct",
	     percent(ramzswap_sum(counters, RAMZSWAP_INCOMPRESSIBLE), stored));
	show(m, "pages_stored", stored);
	show(m, "pages_used", pool_pages);
	show(m, "orig_data_size", (u64)stored << PAGE_SHIFT);
	show(m, "compr_data_size", compr_bytes);
	show(m, "mem_used_total", mem_used(rz, pool_pages, &backing) + tree_bytes);
	show_cold(m, counters, stored);
	show(m, "bdev_num_reads", backing.reads);
	show(m, "bdev_num_writes", backing.writes);
	show(m, "backing_blocks_total", backing.total);
	show(m, "backing_blocks_used", backing.used);
	show(m, "backing_blocks_bad", backing.bad);
	show(m, "backing_stopped", backing.stopped);
	show(m, "backing_stops", backing.stops);
	show(m, "pages_spilled", backing.pages);
	show(m, "backing_bytes_written", (u64)backing.blocks_written << PAGE_SHIFT);
	show(m, "backing_write_ios", backing.write_ios);
	show(m, "backing_read_ios", backing.read_ios);
	show(m, "backing_pages_moved", backing.moves);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(device_stats);

static int __init ramzswap_debugfs_init(void)
{
	struct dentry *root = debugfs_create_dir("ramzswap", NULL);
	struct ramzswap *rz;
	unsigned int i;

	debugfs_create_file("stats", 0444, root, NULL, &stats_fops);
	for (i = 0; (rz = ramzswap_device(i)); i++)
		debugfs_create_file("stats", 0444,
				    debugfs_create_dir(rz->disk->disk_name, root),
				    rz, &device_stats_fops);
	return 0;
}
late_initcall(ramzswap_debugfs_init);
