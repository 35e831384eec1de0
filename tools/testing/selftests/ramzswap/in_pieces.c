// SPDX-License-Identifier: GPL-2.0
/*
 * A folio whose blocks on the backing device are not adjacent takes several
 * requests.  They are in flight together: on a disk with latency, the whole folio
 * takes as long as one request.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define DISK_BYTES	(24 * MIB)
#define SINGLE_PAGES	(20 * MIB / page_size)
#define FREE_PAGES	(4 * MIB / page_size)
#define NR_PAGES	(2 * FREE_PAGES)
#define FOLIO_PAGES	(64 * 1024 / page_size)
#define LATENCY_MS	1500

static const char *skip_reason;

FIXTURE(pieces) {
	struct region single, r;
	char path[64], memcg[256];
	bool ready;
};

/* Only single blocks are free when the folios are swapped out. */
FIXTURE_SETUP(pieces)
{
	char disk[64];
	unsigned long i;

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	if (access(THP_64K "enabled", F_OK) || FOLIO_PAGES < 8)
		SKIP(return, "this kernel has no folios of 64 KiB, of at least 8 pages");
	if (access("/dev/mapper/control", F_OK))
		SKIP(return, "this kernel has no device mapper");
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "256M"));
	test_stay_resident();
	if (!borrow_disk(disk, sizeof(disk), DISK_BYTES))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	if (!memcg_enter_own(self->memcg, sizeof(self->memcg)))
		SKIP(other_swap_on(); return, "there is no cgroup2 with a memory controller");
	ASSERT_TRUE(dm_create(disk, self->path, DISK_BYTES));
	ASSERT_EQ(0, attr_write("backing_dev", self->path));
	ASSERT_TRUE(device_on());
	self->ready = true;
	/* Keep everything out of the cache. */
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_TRUE(region_map(&self->single, SINGLE_PAGES, FILL_TEXT, 91));
	ASSERT_EQ(0, mlock(self->single.version, SINGLE_PAGES * sizeof(*self->single.version)));
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 92));
	ASSERT_EQ(0, mlock(self->r.version, NR_PAGES * sizeof(*self->r.version)));
	thp_only_size(0);
	region_write_all(&self->single);
	ASSERT_EQ(SINGLE_PAGES, region_page_out(&self->single));
	memcg_reclaim(self->memcg, DISK_BYTES);
	for (i = 1; i < SINGLE_PAGES; i += 2) {
		madvise(region_page(&self->single, i), page_size, MADV_DONTNEED);
		region_mark_zero(&self->single, i, 1);
	}
	thp_only_size(64);
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	region_write_all(&self->r);
	/* This takes the adjacent blocks at the end. */
	ASSERT_EQ(FREE_PAGES, page_out(self->r.mem, FREE_PAGES));
}

FIXTURE_TEARDOWN(pieces)
{
	if (!self->ready)
		return;
	EXPECT_TRUE(dm_replace("linear", dm_disk));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->single));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->single);
	region_unmap(&self->r);
	zswap_defaults();
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, attr_write("reset", "1"));
	EXPECT_TRUE(dm_remove());
	other_swap_on();
	EXPECT_TRUE(memcg_leave(self->memcg));
}

TEST_F_TIMEOUT(pieces, of_a_folio_are_written_together, TEST_SECONDS)
{
	unsigned char *folio = region_page(&self->r, NR_PAGES - FOLIO_PAGES);
	long long large = file_number(THP_64K "stats/swpout");
	long long ios = stat_of("backing_write_ios");
	long long writes = stat_of("bdev_num_writes");
	char target[128];
	double seconds;

	snprintf(target, sizeof(target), "%s %d", dm_disk, LATENCY_MS);
	if (!dm_replace("delay", target))
		SKIP(return, "this kernel has no disks with a delay (CONFIG_DM_DELAY)");
	seconds = seconds_now();
	EXPECT_EQ(FOLIO_PAGES, page_out(folio, FOLIO_PAGES));
	while (stat_of("bdev_num_writes") < writes + FOLIO_PAGES && seconds_now() - seconds < 60)
		usleep(1000);
	seconds = seconds_now() - seconds;
	ios = stat_of("backing_write_ios") - ios;
	TH_LOG("%lld requests in %.2f s", ios, seconds);
	EXPECT_EQ(1, file_number(THP_64K "stats/swpout") - large);
	EXPECT_LE(FOLIO_PAGES / 2, ios);
	EXPECT_LE(LATENCY_MS / 1000.0, seconds);
	EXPECT_GT(5 * LATENCY_MS / 1000.0, seconds);
}

int main(int argc, char **argv)
{
	skip_reason = backing_test_begin();
	return test_harness_run(argc, argv);
}
