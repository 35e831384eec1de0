// SPDX-License-Identifier: GPL-2.0
/* A backing device that is too small for the pages that are swapped out */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(16 * MIB / page_size)
#define SMALL_BYTES	(4 * MIB)

static const char *skip_reason;

FIXTURE(small) {
	struct region r;
	int zram;
	bool ready;
};

FIXTURE_SETUP(small)
{
	char path[64];

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	test_stay_resident();
	self->zram = zram_create(SMALL_BYTES);
	if (self->zram < 0)
		SKIP(return, "no zram device could be made");
	other_swap_off();
	snprintf(path, sizeof(path), "/dev/zram%d", self->zram);
	ASSERT_EQ(0, attr_write("backing_dev", path));
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 55));
	region_write_all(&self->r);
	self->ready = true;
}

FIXTURE_TEARDOWN(small)
{
	if (!self->ready)
		return;
	region_unmap(&self->r);
	zswap_defaults();
	file_write("/proc/sys/vm/page-cluster", "0");
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, stat_of("pages_spilled"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	zram_remove(self->zram);
	other_swap_on();
}

TEST_F_TIMEOUT(small, has_the_rest_stay_in_memory, TEST_SECONDS)
{
	const unsigned long blocks = SMALL_BYTES / page_size - 1;

	EXPECT_EQ(blocks, stat_of("backing_blocks_total"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	region_page_out(&self->r);
	/* One block may be kept for cleaning. */
	EXPECT_LE(blocks - 1, stat_of("backing_blocks_used"));
	EXPECT_EQ(0, meminfo_kb("SwapFree:"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_LT(0, meminfo_kb("SwapFree:"));
	/* zswap takes the pages for which there is no block. */
	region_write_all(&self->r);
	region_page_out(&self->r);
	EXPECT_LE(blocks - 1, stat_of("backing_blocks_used"));
	zswap_defaults();
	/* The kernel looks for room again after a while. */
	EXPECT_TRUE(soon(swap_has_room));
	EXPECT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_LE(NR_PAGES - blocks - 64, stat_of("pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* An unchanged page keeps its block only while there are enough blocks. */
TEST_F_TIMEOUT(small, takes_blocks_back_when_they_are_short, TEST_SECONDS)
{
	const unsigned long blocks = SMALL_BYTES / page_size - 1, some = blocks / 2 - 20;

	ASSERT_TRUE(zswap_close());
	ASSERT_EQ(some, page_out(self->r.mem, some));
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, some));
	EXPECT_LE(some, stat_of("backing_blocks_used"));
	/* These need all blocks but 20. */
	EXPECT_EQ(blocks - 20, page_out(region_page(&self->r, some), blocks - 20));
	EXPECT_EQ(0, pages_swapped(self->r.mem, some));
	/* When half of the blocks are in use, a page that is read gives up its block. */
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_GE(blocks / 2 + 20, stat_of("backing_blocks_used"));
	EXPECT_LE(blocks / 2 - 20, stat_of("backing_blocks_used"));
}

/* The same holds for pages that zswap has as well. */
TEST_F_TIMEOUT(small, takes_back_blocks_of_what_zswap_has, TEST_SECONDS)
{
	const unsigned long blocks = SMALL_BYTES / page_size - 1, some = blocks / 2 - 20;

	ASSERT_TRUE(zswap_close());
	ASSERT_EQ(some, page_out(self->r.mem, some));
	zswap_defaults();
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, some));
	ASSERT_EQ(some, page_out(self->r.mem, some));
	ASSERT_LE(some, stat_of("pages_stored"));
	EXPECT_LE(some, stat_of("backing_blocks_used"));
	/* These need all blocks but 20. zswap keeps its pages. */
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	EXPECT_EQ(blocks - 20, page_out(region_page(&self->r, some), blocks - 20));
	EXPECT_LE(some, stat_of("pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* A nearly full device has no free blocks next to each other. */
TEST_F_TIMEOUT(small, takes_large_folios_in_pieces, TEST_SECONDS)
{
	const unsigned long blocks = SMALL_BYTES / page_size - 1, nr = blocks / 4;
	char *large;
	unsigned long i;

	if (!swaps_out_folios_of(64))
		SKIP(return, "this kernel does not swap out folios of 64 KiB");
	ASSERT_TRUE(zswap_close());
	ASSERT_EQ(blocks, page_out(self->r.mem, blocks));
	for (i = 0; i < blocks; i += 2) {
		ASSERT_EQ(0, madvise(region_page(&self->r, i), page_size, MADV_DONTNEED));
		region_mark_zero(&self->r, i, 1);
	}
	ASSERT_TRUE(file_write(THP_64K "enabled", "always"));
	large = mmap(NULL, nr * page_size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, large);
	for (i = 0; i < nr; i++)
		page_fill(large + i * page_size, FILL_TEXT, 56, i, 1);
	EXPECT_EQ(nr, page_out(large, nr));
	for (i = 0; i < nr; i++) {
		char page[page_size];

		page_fill(page, FILL_TEXT, 56, i, 1);
		ASSERT_EQ(0, memcmp(page, large + i * page_size, page_size));
	}
	munmap(large, nr * page_size);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

int main(int argc, char **argv)
{
	skip_reason = backing_test_begin();
	return test_harness_run(argc, argv);
}
