/* SPDX-License-Identifier: GPL-2.0 */
/* Helpers of the tests of cgroups and limits */
#ifndef CGROUPS_UTIL_H
#define CGROUPS_UTIL_H

#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

static const char *skip_reason;

#define SECOND		"ramzswap1"
#define SECOND_SYSFS	"/sys/block/" SECOND "/"

#define PAGES(bytes)	((bytes) / page_size)

/* One percent of memory, in bytes: a step of max_pool_percent. */
static unsigned long percent;

/* Shared between the processes of a test. */
static struct {
	unsigned long swapped;	/* in pages */
	long long reads;	/* from the disk */
} *shared;

static inline long long vm_event(const char *name)
{
	return file_field("/proc/vmstat", name);
}

FIXTURE(cgroups) {
	char a[256], b[256], own[256];
	char disk[64];
	int zram;
	bool ready;
};

FIXTURE_SETUP(cgroups)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	self->zram = -1;
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "512M"));
	test_stay_resident();
	shared = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	ASSERT_NE(MAP_FAILED, shared);
	if (!borrow_disk(self->disk, sizeof(self->disk), 256 * MIB))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	if (!memcg_create("ramzswap-a", self->a, sizeof(self->a)) ||
	    !memcg_create("ramzswap-b", self->b, sizeof(self->b)) ||
	    !memcg_create("ramzswap-own", self->own, sizeof(self->own)))
		SKIP(other_swap_on(); return, "there is no cgroup2 with a memory controller");
	self->ready = true;
}

FIXTURE_TEARDOWN(cgroups)
{
	char root[256];

	if (!self->ready)
		return;
	strcpy(root, self->own);
	*strrchr(root, '/') = '\0';
	EXPECT_TRUE(memcg_enter(root));
	zswap_defaults();
	swapoff(DEVICE_PATH);
	swapoff("/dev/" SECOND);
	swapoff(self->disk);
	EXPECT_EQ(0, pages_stored());
	EXPECT_EQ(0, attr_write("reset", "1"));
	file_write(SECOND_SYSFS "reset", "1");
	if (self->zram >= 0)
		zram_remove(self->zram);
	other_swap_on();
	memcg_remove(self->a);
	memcg_remove(self->b);
	memcg_remove(self->own);
}

static inline void device_with_disk(struct __test_metadata *_metadata, const char *disk,
				    const char *mem_limit)
{
	ASSERT_EQ(0, attr_write("backing_dev", disk));
	ASSERT_EQ(0, attr_write("mem_limit", mem_limit));
	ASSERT_TRUE(device_on());
}

/* For main(): a reason to skip all tests, or NULL */
static inline void cgroups_begin(void)
{
	skip_reason = backing_test_begin();
	percent = (meminfo_kb("MemTotal:") / 100 / 1024 + 1) * MIB;
}

#endif /* CGROUPS_UTIL_H */
