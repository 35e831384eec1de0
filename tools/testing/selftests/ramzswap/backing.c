// SPDX-License-Identifier: GPL-2.0
/*
 * A ramzswap device with a backing device: what does not stay in memory goes to
 * the disk and comes back unchanged, and has a block only while it is there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "backing_util.h"

TEST_F_TIMEOUT(backing, gets_what_zswap_does_not_take, TEST_SECONDS)
{
	int round;

	EXPECT_EQ(0, stat_of("bdev_num_writes"));
	ASSERT_TRUE(zswap_close());
	for (round = 1; round <= 2; round++) {
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
		ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
		EXPECT_EQ(0, stat_of("pages_stored"));
		EXPECT_LE(NR_PAGES, stat_of("pages_spilled"));
		EXPECT_GE(NR_PAGES + OWN_PAGES, stat_of("pages_spilled"));
		EXPECT_LE(round * NR_PAGES, stat_of("bdev_num_writes"));
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		EXPECT_LE(round * NR_PAGES * 0.9, stat_of("bdev_num_reads"));
		region_write_all(&self->r);
	}
	EXPECT_EQ(0, stat_of("failed_reads"));
	EXPECT_EQ(0, stat_of("failed_writes"));
}

TEST_F_TIMEOUT(backing, has_no_block_for_what_is_in_memory, TEST_SECONDS)
{
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(NR_PAGES, stat_of("pages_stored"));
	EXPECT_EQ(0, stat_of("pages_spilled"));
	EXPECT_EQ(0, stat_of("bdev_num_writes"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(backing, gets_pages_once_zswap_is_switched_off, TEST_SECONDS)
{
	const unsigned long half = NR_PAGES / 2;

	ASSERT_EQ(half, page_out(self->r.mem, half));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(half, stat_of("pages_stored"));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	EXPECT_LE(NR_PAGES - half, stat_of("pages_spilled"));
	EXPECT_GE(NR_PAGES - half + OWN_PAGES, stat_of("pages_spilled"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* zswap writes back cold pages by itself when its pool is too large. */
TEST_F_TIMEOUT(backing, gets_cold_pages_by_itself, TEST_SECONDS)
{
	struct region more;
	int i;

	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(0, stat_of("pages_spilled"));
	ASSERT_TRUE(region_map(&more, NR_PAGES, FILL_TEXT, 52));
	ASSERT_TRUE(zswap_close());
	/* zswap notices that it is full when it has to store another page. */
	for (i = 0; i < 200 && stat_of("pages_stored") > NR_PAGES / 2; i++) {
		region_write(&more, i, 1);
		page_out(region_page(&more, i), 1);
		usleep(50000);
	}
	EXPECT_GE(NR_PAGES / 2, stat_of("pages_stored"));
	EXPECT_LE(NR_PAGES / 2, stat_of("pages_spilled"));
	EXPECT_LT(0, zswap_value("written_back_pages"));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	region_unmap(&more);
}

TEST_F_TIMEOUT(backing, gets_what_a_cgroup_may_not_have_in_zswap, TEST_SECONDS)
{
	char dir[256];
	pid_t pid;

	if (!memcg_create("ramzswap-backing", dir, sizeof(dir)))
		SKIP(return, "there is no cgroup2 with a memory controller");
	ASSERT_TRUE(memcg_set(dir, "memory.zswap.max", "1048576"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct region r;
		bool good = memcg_enter(dir) && region_map(&r, NR_PAGES, FILL_TEXT, 53);

		if (good) {
			region_write_all(&r);
			good = region_page_out(&r) == NR_PAGES &&
			       stat_of("pages_spilled") > NR_PAGES / 2 &&
			       stat_of("pages_stored") < NR_PAGES / 2 &&
			       !region_wrong_bytes_all(&r);
		}
		_exit(!good);
	}
	EXPECT_EQ(0, child_status(pid));
	memcg_remove(dir);
}

TEST_F_TIMEOUT(backing, frees_blocks_in_ranges_and_singly, TEST_SECONDS)
{
	const unsigned long range = NR_PAGES / 4, again = NR_PAGES / 8;
	unsigned long i, left;

	ASSERT_TRUE(zswap_close());
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	left = stat_of("pages_spilled");
	ASSERT_LE(NR_PAGES, left);
	ASSERT_EQ(0, madvise(region_page(&self->r, 3), range * page_size, MADV_DONTNEED));
	region_mark_zero(&self->r, 3, range);
	left -= range;
	EXPECT_EQ(left, stat_of("pages_spilled"));
	for (i = range + 100; i < NR_PAGES; i += 7, left--) {
		ASSERT_EQ(0, madvise(region_page(&self->r, i), page_size, MADV_DONTNEED));
		region_mark_zero(&self->r, i, 1);
	}
	EXPECT_EQ(left, stat_of("pages_spilled"));
	/* A block that is used again has the new contents. */
	region_write(&self->r, 3, again);
	EXPECT_EQ(again, page_out(region_page(&self->r, 3), again));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	EXPECT_LE(left + again, stat_of("pages_spilled") + OWN_PAGES);
	EXPECT_GE(left + again + OWN_PAGES, stat_of("pages_spilled"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(backing, gives_everything_back_at_swapoff, TEST_SECONDS)
{
	const unsigned long half = NR_PAGES / 2;

	ASSERT_EQ(half, page_out(self->r.mem, half));
	ASSERT_TRUE(zswap_close());
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	EXPECT_LT(0, stat_of("pages_spilled"));
	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, pages_swapped(self->r.mem, NR_PAGES));
	EXPECT_EQ(0, stat_of("pages_spilled"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	zswap_defaults();
	ASSERT_TRUE(device_on());
}

/* A page that two processes share stays on the disk after one has read it. */
TEST_F_TIMEOUT(backing, never_reads_what_is_out_of_date, TEST_SECONDS)
{
	int round, status;
	pid_t pid;

	for (round = 0; round < 4; round++) {
		if (round % 2)
			zswap_defaults();
		else
			ASSERT_TRUE(zswap_close());
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
		ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			unsigned long wrong = region_wrong_bytes_all(&self->r);

			region_write(&self->r, 0, NR_PAGES / 2);
			page_out(self->r.mem, NR_PAGES);
			wrong += region_wrong_bytes_all(&self->r);
			_exit(!!wrong);
		}
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		region_write(&self->r, NR_PAGES / 4, NR_PAGES / 2);
		region_page_out(&self->r);
		status = child_status(pid);
		EXPECT_EQ(0, status);
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	}
}

TEST_F_TIMEOUT(backing, writes_a_large_folio_at_once, TEST_SECONDS)
{
	long long writes, ios;
	char *large;
	size_t i;

	if (!swaps_out_folios_of(64))
		SKIP(return, "this kernel does not swap out folios of 64 KiB");
	ASSERT_TRUE(file_write(THP_64K "enabled", "always"));
	large = mmap(NULL, NR_PAGES * page_size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, large);
	for (i = 0; i < NR_PAGES; i++)
		page_fill(large + i * page_size, FILL_TEXT, 54, i, 1);
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_DONTNEED));
	region_mark_zero(&self->r, 0, NR_PAGES);
	ASSERT_TRUE(zswap_close());
	writes = stat_of("bdev_num_writes");
	ios = stat_of("backing_write_ios");
	ASSERT_EQ(NR_PAGES, page_out(large, NR_PAGES));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	writes = stat_of("bdev_num_writes") - writes;
	ios = stat_of("backing_write_ios") - ios;
	EXPECT_LE(NR_PAGES, writes);
	/* 16 pages in each, unless a folio was split */
	EXPECT_LT(ios * 8, writes);
	for (i = 0; i < NR_PAGES; i++) {
		char page[page_size];

		page_fill(page, FILL_TEXT, 54, i, 1);
		ASSERT_EQ(0, memcmp(page, large + i * page_size, page_size));
	}
	munmap(large, NR_PAGES * page_size);
}

/* A page that was only read keeps its block, and need not be written again. */
TEST_F_TIMEOUT(backing, is_not_written_for_what_is_only_read, TEST_SECONDS)
{
	long long writes, reads;
	int lap;

	ASSERT_TRUE(zswap_close());
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	writes = stat_of("bdev_num_writes");
	reads = stat_of("bdev_num_reads");
	/* Two thirds of the pages fit in memory. */
	ASSERT_TRUE(memcg_set_number(self->memcg, "memory.high", NR_PAGES * page_size * 2 / 3));
	for (lap = 0; lap < 4; lap++)
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	reads = stat_of("bdev_num_reads") - reads;
	writes = stat_of("bdev_num_writes") - writes;
	ASSERT_TRUE(memcg_set(self->memcg, "memory.high", "max"));
	TH_LOG("%lld pages read, %lld written", reads, writes);
	EXPECT_LE(2 * NR_PAGES, reads);
	EXPECT_GE(OWN_PAGES, writes);
	/* The kernel writes a changed page again, and frees its old block. */
	region_write_all(&self->r);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	EXPECT_GE(NR_PAGES + OWN_PAGES, stat_of("pages_spilled"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* A page that was read is young again, even if it still has a block. */
TEST_F_TIMEOUT(backing, keeps_in_memory_what_was_read, TEST_SECONDS)
{
	const long long slack = 256 * 1024;
	const unsigned long some = slack / page_size;
	long long writes, reads;
	struct region more;
	int round;

	ASSERT_TRUE(zswap_close());
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	zswap_defaults();
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));

	writes = stat_of("bdev_num_writes");
	reads = stat_of("bdev_num_reads");
	for (round = 0; round < 2; round++) {
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
		EXPECT_LE(NR_PAGES, stat_of("pages_stored"));
		EXPECT_LE(NR_PAGES, stat_of("backing_blocks_used"));
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	}
	EXPECT_GE(reads + OWN_PAGES, stat_of("bdev_num_reads"));

	/* To make room, zswap only drops the oldest: their blocks have the same contents. */
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(region_map(&more, some, FILL_TEXT, 58));
	region_write_all(&more);
	ASSERT_EQ(0, attr_write("mem_limit", "1M"));
	ASSERT_EQ(some, region_page_out(&more));
	EXPECT_GE(MIB + slack, stat_settled("compr_data_size"));
	EXPECT_GE(writes + OWN_PAGES, stat_of("bdev_num_writes"));
	EXPECT_GE(reads + OWN_PAGES, stat_of("bdev_num_reads"));
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_LE(reads + NR_PAGES / 2, stat_of("bdev_num_reads"));
	region_unmap(&more);

	/* A changed page loses its block. */
	ASSERT_EQ(0, attr_write("mem_limit", "0"));
	region_write_all(&self->r);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_GE(OWN_PAGES, stat_of("backing_blocks_used"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* At its limit, the device keeps the newest pages in memory. */
TEST_F_TIMEOUT(backing, gets_the_oldest_pages_at_the_limit, TEST_SECONDS)
{
	const long long slack = 256 * 1024;
	const unsigned long some = slack / page_size;
	long long reads;

	ASSERT_EQ(0, attr_write("mem_limit", "1M"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	EXPECT_GE(MIB + slack, stat_settled("compr_data_size"));
	EXPECT_LE(MIB - slack, stat_of("compr_data_size"));
	EXPECT_LT(NR_PAGES / 2, stat_of("pages_spilled"));

	reads = stat_of("bdev_num_reads");
	EXPECT_EQ(0, region_wrong_bytes(&self->r, NR_PAGES - some, some));
	/* Rarely, this reads a page of the program itself from the disk. */
	EXPECT_GE(reads + some / 8, stat_of("bdev_num_reads"));
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, some));
	EXPECT_LE(reads + some, stat_of("bdev_num_reads"));

	/* A lower limit takes effect when the next page is stored. */
	ASSERT_EQ(0, attr_write("mem_limit", "512K"));
	region_write(&self->r, 0, some);
	EXPECT_EQ(some, page_out(self->r.mem, some));
	EXPECT_GE(512 * 1024 + slack / 2, stat_settled("compr_data_size"));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(backing, gets_the_oldest_pages_on_request, TEST_SECONDS)
{
	const unsigned long some = NR_PAGES / 4;
	long long reads;
	char amount[32];

	EXPECT_EQ(EINVAL, attr_write("writeback", "much"));
	EXPECT_EQ(0, attr_write("writeback", "1G"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_EQ(NR_PAGES, stat_of("pages_stored"));
	snprintf(amount, sizeof(amount), "%lu", some * page_size);
	ASSERT_EQ(0, attr_write("writeback", amount));
	EXPECT_EQ(NR_PAGES - some, stat_settled("pages_stored"));
	EXPECT_EQ(some, stat_settled("bdev_num_writes"));

	/* If the disk does not keep up, pages are written from the swap cache. */
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	reads = stat_of("bdev_num_reads");
	EXPECT_EQ(0, region_wrong_bytes(&self->r, some, NR_PAGES - some));
	/* Each CPU allocates slots in its own cluster: a few young pages are next to old ones. */
	EXPECT_GE(reads + 16, stat_of("bdev_num_reads"));
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, some));
	EXPECT_EQ(reads + some, stat_of("bdev_num_reads"));

	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_EQ(0, attr_write("writeback", "1T"));
	EXPECT_EQ(0, stat_settled("pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* All pages are young, and too many for one turn of the worker. */
TEST_F_TIMEOUT(backing, gets_any_amount_on_request, TEST_SECONDS)
{
	struct region r;

	ASSERT_TRUE(file_write(ZSWAP_PARAM "cold_compressor", "\n"));
	ASSERT_TRUE(region_map(&r, 96 * MIB / page_size, FILL_TEXT, 58));
	region_write_all(&r);
	ASSERT_EQ(r.nr_pages, region_page_out(&r));
	ASSERT_EQ(r.nr_pages, stat_of("pages_stored"));
	ASSERT_EQ(0, attr_write("writeback", "8M"));
	EXPECT_EQ(r.nr_pages - 8 * MIB / page_size, stat_settled("pages_stored"));

	/* A lower limit does not wait for the next page that is stored. */
	ASSERT_EQ(0, attr_write("mem_limit", "1M"));
	EXPECT_GE(MIB + 256 * 1024,
		  falls_to(stat_of, "compr_data_size", MIB + 256 * 1024, 120));
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	region_unmap(&r);
}

/* In a full pool, freed objects make room, although they leave holes in all its pages. */
TEST_F_TIMEOUT(backing, is_written_only_for_what_has_no_room_in_holes, TEST_SECONDS)
{
	unsigned long i, freed, nr;
	long long stored, writes;
	struct region fill, r;

	/* Keep other pages out of the pool. */
	madvise(self->r.mem, NR_PAGES * page_size, MADV_DONTNEED);
	region_mark_zero(&self->r, 0, NR_PAGES);
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "1"));
	nr = meminfo_kb("MemTotal:") * 1024 / 100 / page_size * 3;
	ASSERT_TRUE(region_map(&fill, nr, FILL_HALF, 56));
	region_write_all(&fill);
	ASSERT_EQ(nr, region_page_out(&fill));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	stored = stat_of("pages_stored");
	ASSERT_LT(0, stat_of("bdev_num_writes"));
	EXPECT_LT(nr / 3, stored);

	srandom(56);
	for (i = 0; i < nr; i++)
		if (random() % 3 == 0) {
			madvise(fill.mem + i * page_size, page_size, MADV_DONTNEED);
			region_mark_zero(&fill, i, 1);
		}
	freed = stored - stat_of("pages_stored");
	ASSERT_LT(stored / 4, (long long)freed);

	writes = stat_of("bdev_num_writes");
	ASSERT_TRUE(region_map(&r, freed * 9 / 10, FILL_HALF, 57));
	region_write_all(&r);
	EXPECT_EQ(r.nr_pages, region_page_out(&r));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	writes = stat_of("bdev_num_writes") - writes;
	TH_LOG("%lld pages stored, %lu freed, %lu stored again, %lld written", stored,
	       freed, r.nr_pages, writes);
	EXPECT_GE((long long)r.nr_pages / 8, writes);
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	EXPECT_EQ(0, region_wrong_bytes_all(&fill));
	region_unmap(&r);
	region_unmap(&fill);
}

TEST_F_TIMEOUT(backing, holds_while_processes_come_and_go, TEST_SECONDS)
{
	const double end = seconds_now() + 10;
	int status, round = 0;
	pid_t pids[3];
	int i;

	file_write(ZSWAP_PARAM "shrinker_enabled", "Y");
	while (seconds_now() < end || round < 4) {
		/* Alternate between zswap and the disk. */
		file_write(ZSWAP_PARAM "max_pool_percent", round++ % 2 ? "90" : "0");
		for (i = 0; i < ARRAY_SIZE(pids); i++) {
			pids[i] = fork();
			ASSERT_LE(0, pids[i]);
			if (!pids[i]) {
				unsigned long part = NR_PAGES / 4 * i, wrong;

				region_write(&self->r, part, NR_PAGES / 4);
				madvise(self->r.mem, NR_PAGES * page_size, MADV_PAGEOUT);
				wrong = region_wrong_bytes_all(&self->r);
				madvise(self->r.mem, NR_PAGES * page_size, MADV_PAGEOUT);
				_exit(!!wrong);
			}
		}
		madvise(self->r.mem, NR_PAGES * page_size, MADV_PAGEOUT);
		if (round % 4 == 0) {
			EXPECT_EQ(0, swapoff(DEVICE_PATH));
			EXPECT_EQ(0, stat_of("pages_spilled"));
			EXPECT_TRUE(device_on());
		}
		for (i = 0; i < ARRAY_SIZE(pids); i++) {
			status = child_status(pids[i]);
			EXPECT_EQ(0, status);
		}
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	}
	TH_LOG("%d rounds", round);
	EXPECT_EQ(0, stat_of("failed_reads"));
	EXPECT_LT(0, stat_of("bdev_num_writes"));
}

int main(int argc, char **argv)
{
	skip_reason = backing_test_begin();
	return test_harness_run(argc, argv);
}
