// SPDX-License-Identifier: GPL-2.0
/* Readahead from a backing device. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backing_util.h"

/* Readahead reads neighbours on the disk, but not those in memory. */
static void reads_ahead(struct __test_metadata *_metadata, struct region *r,
			const char *memcg)
{
	const unsigned long half = NR_PAGES / 2;
	unsigned long i, swapped;
	long faults;

	ASSERT_TRUE(file_write("/proc/sys/vm/page-cluster", "3"));
	/* Pages 2n and 2n + 1 are apart in swap, so they are not read as one folio. */
	for (i = 0; i < half; i += 2)
		ASSERT_EQ(1, page_out(region_page(r, i), 1));
	ASSERT_EQ(half, page_out(r->mem, half));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(r));
	ASSERT_TRUE(memcg_reclaim(memcg, NR_PAGES * page_size));
	ASSERT_EQ(half, stat_of("pages_stored"));

	faults = major_faults();
	EXPECT_EQ(0, region_wrong_bytes(r, half + 1, half - 1));
	EXPECT_GT(half / 4, major_faults() - faults);

	/* Reading every second page does not load the others. */
	faults = major_faults();
	for (i = 0; i < half; i += 2)
		EXPECT_EQ(0, region_wrong_bytes(r, i, 1));
	EXPECT_LE(half / 2, major_faults() - faults);
	swapped = pages_swapped(r->mem, half);
	EXPECT_EQ(half / 2, swapped);
	EXPECT_EQ(0, region_wrong_bytes_all(r));
	EXPECT_EQ(0, stat_of("failed_reads"));
}

TEST_F_TIMEOUT(backing, reads_ahead_from_the_disk_only, TEST_SECONDS)
{
	reads_ahead(_metadata, &self->r, self->memcg);
}

TEST_F_TIMEOUT(backing, reads_ahead_where_large_folios_are_enabled, TEST_SECONDS)
{
	if (!swaps_out_folios_of(64))
		SKIP(return, "this kernel does not swap out folios of 64 KiB");
	thp_only_size(64);
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	reads_ahead(_metadata, &self->r, self->memcg);
}

/* zswap has every second page, the others are on the disk. */
TEST_F_TIMEOUT(backing, reads_one_page_where_access_is_random, TEST_SECONDS)
{
	unsigned long i, on_disk = 0;
	long long reads;
	__u64 state = 7;

	ASSERT_TRUE(file_write("/proc/sys/vm/page-cluster", "3"));
	thp_only_size(64);
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	for (i = 0; i < NR_PAGES; i += 2)
		ASSERT_EQ(1, page_out(region_page(&self->r, i), 1));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	ASSERT_EQ(NR_PAGES / 2, stat_of("pages_stored"));

	reads = stat_of("bdev_num_reads");
	/* One page in 8, far from each other and in no order */
	for (i = 0; i < NR_PAGES / 8; i++) {
		unsigned long page = i * 1237 % (NR_PAGES / 8) * 8 + random_next(&state) % 8;

		EXPECT_EQ(0, region_wrong_bytes(&self->r, page, 1));
		on_disk += page % 2;
	}
	reads = stat_of("bdev_num_reads") - reads;
	TH_LOG("%lld pages read for %lu that were wanted", reads, on_disk);
	EXPECT_GE(on_disk * 1.25, reads);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

int main(int argc, char **argv)
{
	skip_reason = backing_test_begin();
	return test_harness_run(argc, argv);
}
