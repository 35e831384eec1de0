/* SPDX-License-Identifier: GPL-2.0 */
/* Helpers of the tests of a backing device */
#ifndef BACKING_UTIL_H
#define BACKING_UTIL_H

#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(16 * MIB / page_size)

static const char *skip_reason;

/* At most this many pages of the test itself are swapped out as well. */
#define OWN_PAGES	64

FIXTURE(backing) {
	struct region r;
	char path[64];
	char memcg[256];
	const char *disk;
	bool ready;
};

FIXTURE_SETUP(backing)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "256M"));
	test_stay_resident();
	if (!borrow_disk(self->path, sizeof(self->path), 2 * NR_PAGES * page_size))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	self->disk = self->path + strlen("/dev/");
	if (!memcg_enter_own(self->memcg, sizeof(self->memcg)))
		SKIP(other_swap_on(); return, "there is no cgroup2 with a memory controller");
	ASSERT_EQ(0, attr_write("backing_dev", self->path));
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 51));
	ASSERT_EQ(0, mlock(self->r.version, NR_PAGES * sizeof(*self->r.version)));
	region_write_all(&self->r);
	self->ready = true;
}

FIXTURE_TEARDOWN(backing)
{
	if (!self->ready)
		return;
	inject(self->disk, "removeall");
	region_unmap(&self->r);
	zswap_defaults();
	file_write("/proc/sys/vm/page-cluster", "0");
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	/* Nothing remains of the swapped-out pages. */
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, stat_of("pages_spilled"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	other_swap_on();
	EXPECT_TRUE(memcg_leave(self->memcg));
}

#endif /* BACKING_UTIL_H */
