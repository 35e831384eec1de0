/* SPDX-License-Identifier: GPL-2.0 */
/* Helpers of the tests of packed pages */
#ifndef PACKED_UTIL_H
#define PACKED_UTIL_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

static const char *skip_reason;

#define NR_PAGES	(16 * MIB / page_size)
/* Bytes of compressed pages that stay in memory */
#define MEM_LIMIT	"256K"

/* A test writes to the disk while its mapping is in use. */
FIXTURE(packed) {
	struct region r;
	char disk[64], path[64], memcg[256];
	bool ready;
};

static inline bool attach(const char *path)
{
	return !attr_write("disksize", "256M") && !attr_write("backing_dev", path) &&
	       !attr_write("mem_limit", MEM_LIMIT) && device_on();
}

FIXTURE_SETUP(packed)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	if (access("/dev/mapper/control", F_OK))
		SKIP(return, "this kernel has no device mapper");
	ASSERT_EQ(0, attr_write("reset", "1"));
	test_stay_resident();
	thp_only_size(0);
	file_write("/proc/sys/vm/page-cluster", "0");
	if (!borrow_disk(self->disk, sizeof(self->disk), 2 * NR_PAGES * page_size))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	if (!memcg_enter_own(self->memcg, sizeof(self->memcg)))
		SKIP(other_swap_on(); return, "there is no cgroup2 with a memory controller");
	ASSERT_TRUE(dm_create(self->disk, self->path, 0));
	ASSERT_TRUE(attach(self->path));
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 91));
	ASSERT_EQ(0, mlock(self->r.version, NR_PAGES * sizeof(*self->r.version)));
	region_write_all(&self->r);
	self->ready = true;
}

FIXTURE_TEARDOWN(packed)
{
	if (!self->ready)
		return;
	region_unmap(&self->r);
	zswap_defaults();
	file_write("/proc/sys/vm/page-cluster", "0");
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, stat_of("pages_spilled"));
	EXPECT_EQ(0, stat_of("backing_blocks_used"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	EXPECT_TRUE(dm_remove());
	other_swap_on();
	EXPECT_TRUE(memcg_leave(self->memcg));
}

/* Move the region to the disk, except for what mem_limit allows in memory. */
static inline bool spill(struct region *r, const char *memcg)
{
	if (region_page_out(r) != r->nr_pages)
		return false;
	/* Pages that are written whole stay in the swap cache. */
	memcg_reclaim(memcg, NR_PAGES * page_size);
	return stat_settled("pages_spilled") > r->nr_pages * 3 / 4;
}

#endif /* PACKED_UTIL_H */
