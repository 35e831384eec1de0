// SPDX-License-Identifier: GPL-2.0
/*
 * Memory errors in pages of the cache. The kernel cannot recover such a page.
 * It must report that, and must not touch the contents. The errors are
 * simulated: the contents stay intact.
 */
#include <errno.h>
#include <linux/kernel-page-flags.h>
#include <signal.h>
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

/*
 * Bad frames that stay in the pool: each has the second part of an object whose
 * first part was in another bad frame, so zbud cannot free it.
 */
static unsigned long pool_pages_that_failed(void)
{
	const __u64 both = 1ULL << KPF_ZBUD | 1ULL << KPF_HWPOISON;

	return find_pages(both, both, NULL, 0);
}

FIXTURE(memory_failure) {
	struct region r;
	unsigned long victims[NR_VICTIMS];
};

FIXTURE_VARIANT(memory_failure) {
	enum fill fill;
	unsigned int nr_victims;
	unsigned int max_objects;	/* in a frame */
};

FIXTURE_VARIANT_ADD(memory_failure, mixed) {
	.fill = FILL_MIXED, .nr_victims = NR_VICTIMS, .max_objects = 16,
};

/* All objects in cells, many to a frame */
FIXTURE_VARIANT_ADD(memory_failure, tiny) {
	.fill = FILL_WORD, .nr_victims = NR_VICTIMS / 5, .max_objects = 128,
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
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, variant->fill, 16));
	region_write_all(&self->r);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));

	pfns = mmap(NULL, MAX_POOL_PAGES * sizeof(*pfns), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, pfns);
	nr = find_pool_pages(pfns, MAX_POOL_PAGES);
	/* /proc/kpageflags marks exactly the pages that the pool counts. */
	ASSERT_EQ(stat_value("pages_used"), (long long)(nr + pool_pages_that_failed()));
	ASSERT_LE(variant->nr_victims, nr);
	ASSERT_GE(MAX_POOL_PAGES, nr);
	for (i = 0; i < variant->nr_victims; i++)
		self->victims[i] = pfns[i * nr / variant->nr_victims];
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

static void nothing(int signal)
{
}

/* The kernel tries until it succeeds, finds an obstacle, or is interrupted. */
static bool block_offline(unsigned long block)
{
	const struct sigaction interrupt = { .sa_handler = nothing };
	bool done;
	int err;

	sigaction(SIGALRM, &interrupt, NULL);
	alarm(60);
	done = block_write(block, "offline");
	err = errno;
	alarm(0);
	errno = err;
	return done;
}

/*
 * Memory to be unplugged is in a zone of its own, as with "movablecore=384M".
 * This test comes first: frames that were poisoned and unpoisoned would be in
 * the way.
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
		/* Pages of others may be in the way. */
		if (!block_offline(block))
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
		pfn *= page_size;	/* the other files take an address */
	return file_write_number(path, pfn) ? 0 : errno;
}

/* As with slab, the flag stays set, so that a freed page is not reused. */
static void check_freed_victims(struct __test_metadata *_metadata,
				const unsigned long *victims, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		EXPECT_FALSE(page_is(victims[i], KPF_HWPOISON) && page_is(victims[i], KPF_BUDDY));
		/* The error was simulated: try to get the memory back. */
		file_write_number(UNPOISON_PFN, victims[i]);
	}
}

/*
 * Each process that needs a page of a bad frame loses that page. All other pages
 * are unchanged. The pool keeps working, and leaves the frames alone.
 */
static void fail_every_victim(struct __test_metadata *_metadata, struct region *r,
			      const unsigned long *victims, unsigned int nr_victims,
			      unsigned int max_objects, const char *path)
{
	long long most, used, failed = stat_value("failed_reads");
	bool lost[NR_PAGES];
	struct region more;
	unsigned long i;
	long nr;

	/*
	 * The kernel can notify the owners of the data, so it must not panic.
	 */
	if (!access(PANIC_SYSCTL, F_OK))
		ASSERT_TRUE(file_write(PANIC_SYSCTL, "1"));
	for (i = 0; i < nr_victims; i++) {
		EXPECT_EQ(EBUSY, offline(path, victims[i]));
		EXPECT_TRUE(page_is(victims[i], KPF_ZBUD));
	}
	if (!access(PANIC_SYSCTL, F_OK))
		EXPECT_TRUE(file_write(PANIC_SYSCTL, "0"));
	nr = region_unreadable(r, lost);
	TH_LOG("%ld pages lost with %u frames", nr, nr_victims);
	/* Every frame has at least a part of a page. */
	EXPECT_LE(nr_victims / 2, nr);
	EXPECT_GE(max_objects * nr_victims, nr);
	EXPECT_LE(nr, stat_value("failed_reads") - failed);
	for (i = 0; i < NR_PAGES; i++) {
		if (!lost[i])
			continue;
		ASSERT_EQ(0, madvise(region_page(r, i), page_size, MADV_DONTNEED));
		region_mark_zero(r, i, 1);
	}
	EXPECT_EQ(0, region_wrong_bytes_all(r));

	/*
	 * Pages come and go beside the bad frames, and compaction moves the
	 * rest.
	 */
	region_write(r, 0, NR_PAGES / 2);
	/* Lost pages in the second half were not written again. */
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
	/* Compaction takes a while. */
	most = (stat_value("compr_data_size") / (long long)page_size + nr_victims) * 5 / 4;
	used = falls_to(stat_value, "pages_used", most - 1, 20);
	TH_LOG("%lld pages of the pool, for %lld bytes", used, stat_value("compr_data_size"));
	EXPECT_GT(most, used);
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	EXPECT_EQ(0, region_wrong_bytes_all(r));
	region_unmap(&more);
	region_unmap(r);
	EXPECT_EQ(0, stat_value("pages_stored"));
	check_freed_victims(_metadata, victims, nr_victims);
}

TEST_F_TIMEOUT(memory_failure, an_error_in_the_pool_loses_what_is_in_the_frame, TEST_SECONDS)
{
	if (access(CORRUPT_PFN, F_OK))
		SKIP(return, "no CONFIG_HWPOISON_INJECT");
	fail_every_victim(_metadata, &self->r, self->victims, variant->nr_victims,
			  variant->max_objects, CORRUPT_PFN);
}

TEST_F_TIMEOUT(memory_failure, hard_offlining_loses_what_is_in_the_frame, TEST_SECONDS)
{
	if (access(HARD_OFFLINE, F_OK))
		SKIP(return, "no " HARD_OFFLINE);
	fail_every_victim(_metadata, &self->r, self->victims, variant->nr_victims,
			  variant->max_objects, HARD_OFFLINE);
}

/* The kernel may move the page away, or refuse. */
TEST_F_TIMEOUT(memory_failure, soft_offlining_harms_nothing, TEST_SECONDS)
{
	unsigned int i, done = 0;
	int err;

	if (access(SOFT_OFFLINE, F_OK))
		SKIP(return, "no " SOFT_OFFLINE);
	for (i = 0; i < variant->nr_victims; i++) {
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
	TH_LOG("%u of %u pages could be taken away", done, variant->nr_victims);
	EXPECT_EQ(stat_value("pages_used"),
		  (long long)(find_pool_pages(NULL, 0) + pool_pages_that_failed()));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_write_all(&self->r);
	EXPECT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
	check_freed_victims(_metadata, self->victims, variant->nr_victims);
}

/* The bad frame's objects cannot move, so its memory is refused, and not tried for ever. */
TEST_F_TIMEOUT(memory_failure, memory_with_a_bad_frame_stays, TEST_SECONDS)
{
	unsigned long block_pages, pfn = 0, lost_pages;
	bool lost[NR_PAGES];
	unsigned int i;
	char size[32];

	if (!file_read(MEMORY "block_size_bytes", size, sizeof(size)))
		SKIP(return, "no CONFIG_MEMORY_HOTPLUG");
	if (access(CORRUPT_PFN, F_OK))
		SKIP(return, "no CONFIG_HWPOISON_INJECT");
	block_pages = strtoul(size, NULL, 16) / page_size;
	for (i = 0; i < variant->nr_victims && !pfn; i++)
		if (block_movable(self->victims[i] / block_pages))
			pfn = self->victims[i];
	if (!pfn)
		SKIP(return, "no page of the pool is in movable memory");

	ASSERT_EQ(EBUSY, offline(CORRUPT_PFN, pfn));
	EXPECT_FALSE(block_offline(pfn / block_pages));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_TRUE(page_is(pfn, KPF_ZBUD));
	lost_pages = region_unreadable(&self->r, lost);
	TH_LOG("%lu pages lost", lost_pages);
	EXPECT_LE(1, lost_pages);
	EXPECT_GE(variant->max_objects, lost_pages);
	region_unmap(&self->r);
	check_freed_victims(_metadata, &pfn, 1);
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	return test_harness_run(argc, argv);
}
