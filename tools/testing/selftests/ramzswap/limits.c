// SPDX-License-Identifier: GPL-2.0
/*
 * At a limit, cold pages leave memory: those of the device or the disks that the
 * limit is for, in folios of any size.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "cgroups_util.h"

/*
 * Swap a region of the test's own cgroup out to the device of the highest
 * priority.
 */
static void fill(struct __test_metadata *_metadata, struct region *r,
		 unsigned long bytes, __u64 seed)
{
	ASSERT_TRUE(region_map(r, PAGES(bytes), FILL_TEXT, seed));
	ASSERT_EQ(0, mlock(r->version, r->nr_pages * sizeof(*r->version)));
	region_write_all(r);
	madvise(r->mem, r->nr_pages * page_size, MADV_PAGEOUT);
	region_page_out(r);
}

/* Rarely, this reads the program's own pages from a disk, too. */
#define OWN_PAGES	8

/* Touch pages, and count how many the kernel read from disks. */
static long long disk_reads(struct __test_metadata *_metadata, const struct region *r,
			    unsigned long first, unsigned long nr, unsigned long step)
{
	long long before = vm_event("pswpin"), zswpin = vm_event("zswpin");
	unsigned long i;

	for (i = first; i < first + nr; i += step)
		EXPECT_EQ(0, region_wrong_bytes(r, i, 1));
	TH_LOG("%lld pages read from disks, %lld from zswap",
	       vm_event("pswpin") - before, vm_event("zswpin") - zswpin);
	return vm_event("pswpin") - before;
}

/* Neighbours of a page in use may still be cold. */
TEST_F_TIMEOUT(cgroups, keep_a_page_stored_again_but_not_its_neighbours, TEST_SECONDS)
{
	struct region old, new[12];
	long long reads;
	unsigned long i;
	int round;

	ASSERT_TRUE(memcg_enter(self->own));
	ASSERT_TRUE(swap_enable(self->disk, DEVICE_PRIO));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "1"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "accept_threshold_percent", "90"));
	fill(_metadata, &old, percent * 8 / 5, 80);
	for (round = 0; round < ARRAY_SIZE(new); round++) {
		for (i = 0; i < old.nr_pages; i += 8)
			EXPECT_EQ(0, region_wrong_bytes(&old, i, 1));
		for (i = 0; i < old.nr_pages; i += 8)
			madvise(region_page(&old, i), page_size, MADV_PAGEOUT);
		fill(_metadata, &new[round], percent * 2 / 5, 81 + round);
		/* Let the worker make room. */
		usleep(100000);
	}
	memcg_reclaim(self->own, 64 * MIB);
	reads = 0;
	for (i = 1; i < 8; i++)
		reads += disk_reads(_metadata, &old, i, old.nr_pages - i, 8);
	EXPECT_LT(old.nr_pages / 2, reads);
	for (round = 0; round < ARRAY_SIZE(new); round++) {
		EXPECT_EQ(0, region_wrong_bytes_all(&new[round]));
		region_unmap(&new[round]);
	}
	region_unmap(&old);
}

/* The limit of a device only concerns its own pages. */
TEST_F_TIMEOUT(cgroups, keep_what_another_device_has_at_the_limit_of_one, TEST_SECONDS)
{
	struct region cold, more;
	char path[64];

	ASSERT_TRUE(memcg_enter(self->own));
	self->zram = zram_create(64 * MIB);
	ASSERT_LE(0, self->zram);
	snprintf(path, sizeof(path), "/dev/zram%d", self->zram);
	ASSERT_TRUE(swap_enable(self->disk, DEVICE_PRIO - 1));
	fill(_metadata, &cold, 16 * MIB, 82);
	device_with_disk(_metadata, path, "1M");
	fill(_metadata, &more, 16 * MIB, 83);
	EXPECT_LT(PAGES(8 * MIB), stat_of("bdev_num_writes"));
	memcg_reclaim(self->own, 64 * MIB);
	EXPECT_GE(OWN_PAGES, disk_reads(_metadata, &cold, 0, cold.nr_pages, 1));
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	region_unmap(&cold);
	region_unmap(&more);
}

/* A full device does not stop others. */
TEST_F_TIMEOUT(cgroups, are_not_stopped_by_a_full_device, TEST_SECONDS)
{
	const unsigned long some = 64;
	struct region stuck, r;
	unsigned long i;
	char path[64];
	long long reads;

	if (access(SECOND_SYSFS, F_OK))
		SKIP(return, "there is no second device");
	ASSERT_TRUE(memcg_enter(self->own));
	self->zram = zram_create(4 * MIB);
	ASSERT_LE(0, self->zram);
	snprintf(path, sizeof(path), "/dev/zram%d", self->zram);
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "1"));
	device_with_disk(_metadata, path, "6M");
	ASSERT_TRUE(region_map(&stuck, PAGES(32 * MIB), FILL_TEXT, 84));
	ASSERT_EQ(0, mlock(stuck.version, stuck.nr_pages * sizeof(*stuck.version)));
	region_write_all(&stuck);
	madvise(stuck.mem, stuck.nr_pages * page_size, MADV_PAGEOUT);
	EXPECT_LE(PAGES(4 * MIB) - 8, stat_of("pages_spilled"));
	/*
	 * The remaining pages would go to the second device, as its newest
	 * ones.
	 */
	for (i = 0; i < stuck.nr_pages; i++) {
		if (pages_swapped(region_page(&stuck, i), 1))
			continue;
		madvise(region_page(&stuck, i), page_size, MADV_DONTNEED);
		region_mark_zero(&stuck, i, 1);
	}

	file_write(SECOND_SYSFS "reset", "1");
	ASSERT_TRUE(file_write(SECOND_SYSFS "disksize", "256M"));
	ASSERT_TRUE(file_write(SECOND_SYSFS "backing_dev", self->disk));
	ASSERT_TRUE(swap_enable("/dev/" SECOND, DEVICE_PRIO + 1));
	fill(_metadata, &r, percent * 16 / 5, 85);
	reads = device_stat(SECOND, "bdev_num_reads");
	/* The last ones only count once they are written. */
	for (i = 0; i < 100; i++) {
		if (device_stat(SECOND, "bdev_num_writes") > PAGES(8 * MIB))
			break;
		usleep(20000);
	}
	EXPECT_LT(PAGES(8 * MIB), device_stat(SECOND, "bdev_num_writes"));
	memcg_reclaim(self->own, 64 * MIB);
	disk_reads(_metadata, &r, r.nr_pages - some, some, 1);
	EXPECT_GE(reads + OWN_PAGES, device_stat(SECOND, "bdev_num_reads"));
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	region_unmap(&r);
	EXPECT_EQ(0, region_wrong_bytes_all(&stuck));
	region_unmap(&stuck);
}

/* Pages that cannot be written back do not use up the cache of disks. */
TEST_F_TIMEOUT(cgroups, have_zswap_for_a_disk_beside_a_device_without, TEST_SECONDS)
{
	struct region in_memory, r;
	unsigned long other;

	ASSERT_TRUE(memcg_enter(self->own));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "2"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "accept_threshold_percent", "80"));
	ASSERT_EQ(0, attr_write("disksize", "80M"));
	ASSERT_TRUE(swap_enable(self->disk, DEVICE_PRIO - 1));
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(region_map(&in_memory, PAGES(10 * percent), FILL_TEXT, 86));
	region_write_all(&in_memory);
	/*
	 * Until the device has no more slots; the other pages go to the disk.
	 */
	madvise(in_memory.mem, in_memory.nr_pages * page_size, MADV_PAGEOUT);
	fill(_metadata, &r, percent * 16 / 5, 87);
	usleep(300000);
	madvise(r.mem, r.nr_pages * page_size, MADV_WILLNEED);
	region_write(&r, 0, r.nr_pages / 4);
	page_out(r.mem, r.nr_pages / 4);
	other = pages_stored() - stat_of("pages_stored");
	TH_LOG("%lld pages of the device, %lu of the disk", stat_of("pages_stored"), other);
	EXPECT_LT(PAGES(2 * MIB), other);
	EXPECT_LT(PAGES(72 * MIB), stat_of("pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&in_memory));
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	region_unmap(&in_memory);
	region_unmap(&r);
}

/*
 * If a disk and a device are used alike, neither drives the other one's pages out.  As
 * on mainline, zswap refuses pages of the disk from when the pool is full until the
 * worker has made room, so the disk has fewer.
 */
TEST_F_TIMEOUT(cgroups, share_zswap_between_a_disk_and_a_busy_device, TEST_SECONDS)
{
	long long device, disk, device_writes, disk_writes;
	struct region r;
	char path[128], rotational[128];
	int round;

	/* All of it has to fit into the disk. */
	if (percent > 20 * MIB)
		SKIP(return, "so much memory needs a larger disk");
	ASSERT_TRUE(memcg_enter(self->own));
	/* Of a disk that rotates, a CPU takes single slots instead of clusters. */
	snprintf(rotational, sizeof(rotational), "/sys/block/%s/queue/rotational",
		 strrchr(self->disk, '/') + 1);
	ASSERT_TRUE(file_write(rotational, "0"));
	self->zram = zram_create(64 * MIB);
	ASSERT_LE(0, self->zram);
	snprintf(path, sizeof(path), "/dev/zram%d", self->zram);
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "2"));
	device_with_disk(_metadata, path, "0");
	ASSERT_TRUE(swap_enable(self->disk, DEVICE_PRIO));
	ASSERT_TRUE(region_map(&r, PAGES(10 * percent), FILL_TEXT, 89));
	ASSERT_EQ(0, mlock(r.version, r.nr_pages * sizeof(*r.version)));
	disk_writes = vm_event("pswpout");
	for (round = 0; round < 4; round++) {
		region_write_all(&r);
		region_page_out(&r);
	}
	device = stat_of("pages_stored");
	disk = pages_stored() - device;
	device_writes = stat_settled("bdev_num_writes");
	disk_writes = vm_event("pswpout") - disk_writes - device_writes;
	TH_LOG("device: %lld pages stored, %lld written; disk: %lld stored, %lld written",
	       device, device_writes, disk, disk_writes);
	EXPECT_LT((device + disk) / 8, device);
	EXPECT_LT((device + disk) / 8, disk);
	EXPECT_LT((device_writes + disk_writes) / 4, device_writes);
	EXPECT_LT((device_writes + disk_writes) / 4, disk_writes);
	EXPECT_TRUE(file_write(rotational, "1"));
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	region_unmap(&r);
}

/* zswap makes room for large folios, too, and no more than they need. */
TEST_F_TIMEOUT(cgroups, make_room_for_large_folios, TEST_SECONDS)
{
	long long writes, whole;
	struct region r;

	if (access(THP_2M "enabled", F_OK))
		SKIP(return, "this kernel has no folios of 2 MiB");
	ASSERT_TRUE(memcg_enter(self->own));
	thp_only_size(2048);
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "2"));
	device_with_disk(_metadata, self->disk, "0");
	ASSERT_TRUE(region_map(&r, PAGES(10 * percent), FILL_TEXT, 88));
	ASSERT_EQ(0, mlock(r.version, r.nr_pages * sizeof(*r.version)));
	ASSERT_EQ(0, madvise(r.mem, r.nr_pages * page_size, MADV_HUGEPAGE));
	region_write_all(&r);
	whole = file_number(THP_2M "stats/swpout");
	EXPECT_EQ(r.nr_pages, region_page_out(&r));
	whole = file_number(THP_2M "stats/swpout") - whole;
	writes = stat_of("bdev_num_writes");
	TH_LOG("%lld pages written, %lld of them as large folios; %lld stored",
	       writes, whole * 512, stat_of("pages_stored"));
	EXPECT_EQ(0, whole);
	EXPECT_LT(0, writes);
	EXPECT_GE(r.nr_pages - stat_of("pages_stored") + 512, writes);
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	region_unmap(&r);
}

int main(int argc, char **argv)
{
	cgroups_begin();
	return test_harness_run(argc, argv);
}
