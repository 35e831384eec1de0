// SPDX-License-Identifier: GPL-2.0
/*
 * Memory errors in pages of the cache. The kernel cannot recover such a page
 * and has to say so, without touching what is in it. The errors are simulated:
 * who reads what is in such a page finds it good, and so what should be lost is
 * not.
 */
#include <errno.h>
#include <linux/kernel-page-flags.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define CORRUPT_PFN		"/sys/kernel/debug/hwpoison/corrupt-pfn"
#define MEMORY			"/sys/devices/system/memory/"
#define PANIC_SYSCTL		"/proc/sys/vm/panic_on_unrecoverable_memory_failure"
#define HARD_OFFLINE		"/sys/devices/system/memory/hard_offline_page"

#define NR_PAGES		(16 * MIB / page_size)
#define NR_VICTIMS		100
#define MAX_POOL_PAGES		65536

static const char *skip_reason;

/* Pages that a part of an object keeps in the pool after its first part failed */
static unsigned long pool_pages_that_failed(void)
{
	const __u64 both = 1ULL << KPF_ZBUD | 1ULL << KPF_HWPOISON;

	return find_pages(both, both, NULL, 0);
}

FIXTURE(memory_failure) {
	struct region r;
	unsigned long victims[NR_VICTIMS];
};

FIXTURE_SETUP(memory_failure)
{
	unsigned long *pfns, nr, i;

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	if (access(RAMZSWAP_STATS, F_OK))
		SKIP(return, "the cache does not live in zbud");
	if (access("/proc/kpageflags", F_OK))
		SKIP(return, "no CONFIG_PROC_PAGE_MONITOR");

	test_stay_resident();
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_MIXED, 16));
	region_write_all(&self->r);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));

	pfns = mmap(NULL, MAX_POOL_PAGES * sizeof(*pfns), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, pfns);
	nr = find_pool_pages(pfns, MAX_POOL_PAGES);
	/* /proc/kpageflags knows exactly those pages that the pool counts. */
	ASSERT_EQ(stat_value("pages_used"), (long long)(nr + pool_pages_that_failed()));
	ASSERT_LE(NR_VICTIMS, nr);
	ASSERT_GE(MAX_POOL_PAGES, nr);
	for (i = 0; i < NR_VICTIMS; i++)
		self->victims[i] = pfns[i * nr / NR_VICTIMS];
}

FIXTURE_TEARDOWN(memory_failure)
{
}

static bool block_movable(unsigned long block)
{
	char path[80], zones[64];

	snprintf(path, sizeof(path), MEMORY "memory%lu/valid_zones", block);
	return file_read(path, zones, sizeof(zones)) && !strncmp(zones, "Movable", 7);
}

static bool block_write(unsigned long block, const char *state)
{
	char path[80];

	snprintf(path, sizeof(path), MEMORY "memory%lu/state", block);
	return file_write(path, state);
}

/*
 * Memory that may be unplugged is a zone of its own, as with "movablecore=384M".
 * This comes first: frames that were poisoned and unpoisoned are in the way of it.
 */
TEST_F_TIMEOUT(memory_failure, memory_can_be_unplugged, TEST_SECONDS)
{
	unsigned long *pfns, block_pages, block, last = -1UL, before, nr, left, i, k;
	unsigned int tried = 0, done = 0, moved = 0;
	char size[32];

	if (!file_read(MEMORY "block_size_bytes", size, sizeof(size)))
		SKIP(return, "no CONFIG_MEMORY_HOTPLUG");
	block_pages = strtoul(size, NULL, 16) / page_size;
	pfns = mmap(NULL, MAX_POOL_PAGES * sizeof(*pfns), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, pfns);
	nr = find_pool_pages(pfns, MAX_POOL_PAGES);
	for (i = 0; i < nr; i++) {
		block = pfns[i] / block_pages;
		if (block == last || !block_movable(block))
			continue;
		last = block;
		for (k = i, before = 0; k < nr && pfns[k] / block_pages == block; k++)
			before++;
		tried++;
		/* Others' pages may be in the way. */
		if (!block_write(block, "offline"))
			continue;
		done++;
		moved += before;
		ASSERT_TRUE(block_write(block, "online_movable"));
		EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, NR_PAGES / 4));
		EXPECT_EQ(NR_PAGES, region_page_out(&self->r));
	}
	left = find_pool_pages(NULL, 0);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
	if (!done)
		SKIP(return, "of %u movable blocks with pages of the pool, none can be unplugged",
		     tried);
	TH_LOG("%u of %u blocks unplugged, with %u of %lu pages of the pool; %lu now",
	       done, tried, moved, nr, left);
}

static int offline(const char *path, unsigned long pfn)
{
	if (strcmp(path, CORRUPT_PFN))
		pfn *= page_size;	/* the others want an address */
	return file_write_number(path, pfn) ? 0 : errno;
}

/* The flag stays, as with slab, so that a freed page is not handed out again. */
static void check_freed_victims(struct __test_metadata *_metadata,
				const unsigned long *victims)
{
	int i;

	for (i = 0; i < NR_VICTIMS; i++) {
		EXPECT_FALSE(page_is(victims[i], KPF_HWPOISON) && page_is(victims[i], KPF_BUDDY));
		/* No error really happened: try to get the memory back. */
		file_write_number(UNPOISON_PFN, victims[i]);
	}
}

/*
 * What is in a bad frame is lost, page by page, to who wants it.  All else is as
 * it was, and the pool goes on, with the frames left alone.
 */
static void fail_every_victim(struct __test_metadata *_metadata, struct region *r,
			      const unsigned long *victims, const char *path)
{
	long long failed = stat_value("failed_reads");
	bool lost[NR_PAGES];
	struct region more;
	unsigned long i;
	long nr;

	/* The data's owners can be told: that is no reason for a panic. */
	if (!access(PANIC_SYSCTL, F_OK))
		ASSERT_TRUE(file_write(PANIC_SYSCTL, "1"));
	for (i = 0; i < NR_VICTIMS; i++) {
		EXPECT_EQ(EBUSY, offline(path, victims[i]));
		EXPECT_TRUE(page_is(victims[i], KPF_ZBUD));
	}
	if (!access(PANIC_SYSCTL, F_OK))
		EXPECT_TRUE(file_write(PANIC_SYSCTL, "0"));
	nr = region_unreadable(r, lost);
	TH_LOG("%ld pages lost with %d frames", nr, NR_VICTIMS);
	/* No frame has more than 16 objects, and a part of a page at least. */
	EXPECT_LE(NR_VICTIMS / 2, nr);
	EXPECT_GE(16 * NR_VICTIMS, nr);
	EXPECT_LE(nr, stat_value("failed_reads") - failed);
	for (i = 0; i < NR_PAGES; i++) {
		if (!lost[i])
			continue;
		ASSERT_EQ(0, madvise(region_page(r, i), page_size, MADV_DONTNEED));
		region_mark_zero(r, i, 1);
	}
	EXPECT_EQ(0, region_wrong_bytes_all(r));

	/* Pages come and go beside the frames, and the rest is compacted. */
	region_write(r, 0, NR_PAGES / 2);
	/* What was lost was not written again in the second half. */
	EXPECT_LE(NR_PAGES - nr, region_page_out(r));
	ASSERT_TRUE(region_map(&more, NR_PAGES, FILL_MIXED, 17));
	region_write_all(&more);
	EXPECT_EQ(NR_PAGES, region_page_out(&more));
	for (i = 0; i < NR_PAGES; i++) {
		if (i % 4 == 0)
			continue;
		madvise(region_page(&more, i), page_size, MADV_DONTNEED);
		region_mark_zero(&more, i, 1);
	}
	usleep(500000);
	TH_LOG("%lld pages of the pool, for %lld bytes", stat_value("pages_used"),
	       stat_value("compr_data_size"));
	EXPECT_GT((stat_value("compr_data_size") / (long long)page_size + NR_VICTIMS) * 5 / 4,
		  stat_value("pages_used"));
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	EXPECT_EQ(0, region_wrong_bytes_all(r));
	region_unmap(&more);
	region_unmap(r);
	EXPECT_EQ(0, stat_value("pages_stored"));
	check_freed_victims(_metadata, victims);
}

TEST_F_TIMEOUT(memory_failure, an_error_in_the_pool_loses_what_is_in_the_frame, TEST_SECONDS)
{
	if (access(CORRUPT_PFN, F_OK))
		SKIP(return, "no CONFIG_HWPOISON_INJECT");
	fail_every_victim(_metadata, &self->r, self->victims, CORRUPT_PFN);
}

TEST_F_TIMEOUT(memory_failure, hard_offlining_loses_what_is_in_the_frame, TEST_SECONDS)
{
	if (access(HARD_OFFLINE, F_OK))
		SKIP(return, "no " HARD_OFFLINE);
	fail_every_victim(_metadata, &self->r, self->victims, HARD_OFFLINE);
}

/* It may move the page away, or refuse. */
TEST_F_TIMEOUT(memory_failure, soft_offlining_harms_nothing, TEST_SECONDS)
{
	int i, err, done = 0;

	if (access(SOFT_OFFLINE, F_OK))
		SKIP(return, "no " SOFT_OFFLINE);
	for (i = 0; i < NR_VICTIMS; i++) {
		err = offline(SOFT_OFFLINE, self->victims[i]);
		if (err) {
			EXPECT_TRUE(page_is(self->victims[i], KPF_ZBUD));
			EXPECT_FALSE(page_is(self->victims[i], KPF_HWPOISON));
		} else {
			EXPECT_TRUE(page_is(self->victims[i], KPF_HWPOISON));
			EXPECT_FALSE(page_is(self->victims[i], KPF_ZBUD));
			done++;
		}
	}
	TH_LOG("%d of %d pages could be taken away", done, NR_VICTIMS);
	EXPECT_EQ(stat_value("pages_used"),
		  (long long)(find_pool_pages(NULL, 0) + pool_pages_that_failed()));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_write_all(&self->r);
	EXPECT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
	check_freed_victims(_metadata, self->victims);
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	return test_harness_run(argc, argv);
}
