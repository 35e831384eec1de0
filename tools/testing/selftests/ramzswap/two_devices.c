// SPDX-License-Identifier: GPL-2.0
/*
 * Two ramzswap devices: priorities decide which one the kernel uses, and a page
 * goes to the second if the first has no room.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(16 * MIB / page_size)

static const char *skip_reason;

#define SECOND		"ramzswap1"
#define SECOND_PATH	"/dev/" SECOND

FIXTURE(two_devices) {
	struct region r;
	bool there;
};

FIXTURE_SETUP(two_devices)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	self->there = !access(SECOND_PATH, F_OK);
	if (!self->there)
		SKIP(return, "there is only one; boot with ramzswap.num_devices=2");
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "256M"));
	ASSERT_TRUE(file_write("/sys/block/" SECOND "/reset", "1"));
	test_stay_resident();
	ASSERT_TRUE(other_swap_off());
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(swap_enable(SECOND_PATH, DEVICE_PRIO - 1));
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 40));
	region_write_all(&self->r);
}

FIXTURE_TEARDOWN(two_devices)
{
	if (skip_reason || !self->there)
		return;
	region_unmap(&self->r);
	zswap_defaults();
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, swapoff(SECOND_PATH));
	other_swap_on();
	EXPECT_EQ(0, device_stat(SECOND, "pages_stored"));
	EXPECT_EQ(0, device_stat(SECOND, "failed_reads"));
	EXPECT_TRUE(file_write("/sys/block/" SECOND "/reset", "1"));
	EXPECT_EQ(0, attr_write("reset", "1"));
}

TEST_F_TIMEOUT(two_devices, are_used_in_the_order_of_their_priorities, TEST_SECONDS)
{
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(NR_PAGES, stat_of("pages_stored"));
	EXPECT_EQ(0, device_stat(SECOND, "pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(two_devices, the_second_is_used_when_the_first_is_full, TEST_SECONDS)
{
	ASSERT_EQ(0, attr_write("mem_limit", "1M"));
	region_page_out(&self->r);
	/*
	 * Pages that the first device refused stay in memory until they are
	 * used again.
	 */
	EXPECT_LT(NR_PAGES - 64, stat_of("pages_stored") + device_stat(SECOND, "pages_stored"));
	EXPECT_LT(0, stat_of("pages_stored"));
	EXPECT_LT(0, device_stat(SECOND, "pages_stored"));
	/* The limit is exact to a 64th. */
	EXPECT_GE(MIB + MIB / 64 + 2 * page_size, stat_of("compr_data_size"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, device_stat(SECOND, "pages_stored"));
}

/*
 * The first device has a slot for each page of the region and no more. It
 * counts as full for a moment, because it refuses swap cache pages. These have
 * slots already, which a child keeps in use.
 */
TEST_F_TIMEOUT(two_devices, one_without_free_slots_is_passed_over, TEST_SECONDS)
{
	const unsigned long nr = 64;
	struct region folios;
	struct gate gate;
	long long whole;
	char size[32];
	pid_t child;

	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	ASSERT_EQ(0, attr_write("reset", "1"));
	snprintf(size, sizeof(size), "%lu", (NR_PAGES + 1) * page_size);
	ASSERT_EQ(0, attr_write("disksize", size));
	ASSERT_TRUE(device_on());
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_EQ(NR_PAGES, stat_of("pages_stored"));

	ASSERT_TRUE(gate_init(&gate));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		gate_wait(&gate);
		_exit(0);
	}
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, nr));
	ASSERT_EQ(0, attr_write("mem_limit", "4096"));
	EXPECT_EQ(0, madvise(self->r.mem, nr * page_size, MADV_PAGEOUT));
	EXPECT_EQ(NR_PAGES - nr, stat_of("pages_stored"));
	ASSERT_EQ(0, attr_write("mem_limit", "0"));

	/*
	 * Allocation tries only the first device in the list for a large folio.
	 */
	thp_only_size(64);
	if (swaps_out_folios_of(64) &&
	    region_map(&folios, NR_PAGES / 4, FILL_TEXT, 41)) {
		EXPECT_EQ(0, madvise(folios.mem, NR_PAGES / 4 * page_size, MADV_HUGEPAGE));
		region_write_all(&folios);
		whole = file_number(THP_64K "stats/zswpout");
		EXPECT_EQ(NR_PAGES / 4, region_page_out(&folios));
		EXPECT_LE((long long)(NR_PAGES / 4 * page_size / (64 << 10)),
			  file_number(THP_64K "stats/zswpout") - whole);
		EXPECT_EQ(0, region_wrong_bytes_all(&folios));
		region_unmap(&folios);
	}
	thp_only_size(0);
	gate_open(&gate);
	EXPECT_EQ(0, child_status(child));
}

TEST_F_TIMEOUT(two_devices, the_second_takes_over_at_swapoff, TEST_SECONDS)
{
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, stat_of("pages_stored"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(NR_PAGES, device_stat(SECOND, "pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	ASSERT_TRUE(device_on());
}

TEST_F_TIMEOUT(two_devices, of_the_same_priority_both_get_pages, TEST_SECONDS)
{
	/* The devices take turns, each for a cluster of slots: up to 512 pages. */
	const unsigned long nr = NR_PAGES < 2048 ? 2048 : NR_PAGES;
	long long first, second;
	struct region r;

	ASSERT_EQ(0, swapoff(SECOND_PATH));
	ASSERT_TRUE(swap_enable(SECOND_PATH, DEVICE_PRIO));
	ASSERT_TRUE(region_map(&r, nr, FILL_TEXT, 42));
	region_write_all(&r);
	ASSERT_EQ(nr, region_page_out(&r));
	first = stat_of("pages_stored");
	second = device_stat(SECOND, "pages_stored");
	EXPECT_LE((long long)nr / 4, first);
	EXPECT_LE((long long)nr / 4, second);
	EXPECT_EQ(nr, first + second);
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	region_unmap(&r);
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, device_stat(SECOND, "pages_stored"));
}

TEST_F_TIMEOUT(two_devices, neither_is_the_backing_device_of_the_other, TEST_SECONDS)
{
	char backing[128];

	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	ASSERT_EQ(0, attr_write("reset", "1"));
	if (access(DEVICE_SYSFS "backing_dev", F_OK))
		SKIP(return, "this kernel has no backing devices");
	EXPECT_EQ(EBUSY, attr_write("backing_dev", SECOND_PATH));
	ASSERT_EQ(0, swapoff(SECOND_PATH));
	EXPECT_EQ(EINVAL, attr_write("backing_dev", SECOND_PATH));
	ASSERT_TRUE(file_read(DEVICE_SYSFS "backing_dev", backing, sizeof(backing)));
	EXPECT_STREQ("none\n", backing);
	/* The first device has released it. */
	EXPECT_TRUE(device_on());
	EXPECT_TRUE(swap_enable(SECOND_PATH, DEVICE_PRIO));
}

int main(int argc, char **argv)
{
	skip_reason = device_test_begin();
	return test_harness_run(argc, argv);
}
