// SPDX-License-Identifier: GPL-2.0
/*
 * Allocations fail during swapout and swapin. Pages may stay where they are,
 * but none is lost, and nothing is leaked.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(8 * MIB / page_size)

static const char *skip_reason;

static bool injector_set(const char *injector, const char *name, long long value)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", injector, name);
	return file_write_number(path, value);
}

/*
 * Let @percent of the allocations fail in tasks that opt in. Include
 * allocations that may wait, such as those of reclaim.
 */
static bool injectors_prepare(int percent)
{
	const char * const injectors[] = { "failslab", "fail_page_alloc" };
	int i;

	for (i = 0; i < ARRAY_SIZE(injectors); i++)
		if (!injector_set(injectors[i], "task-filter", 1) ||
		    !injector_set(injectors[i], "verbose", 0) ||
		    !injector_set(injectors[i], "ignore-gfp-wait", 0) ||
		    !injector_set(injectors[i], "times", -1) ||
		    !injector_set(injectors[i], "probability", percent))
			return false;
	return injector_set("fail_page_alloc", "min-order", 0) &&
	       injector_set("fail_page_alloc", "ignore-gfp-highmem", 0);
}

/* Open file: opening it could fail itself while failures are injected. */
static int make_it_fail = -1;

static bool injectors_start(int percent)
{
	return injectors_prepare(percent) && pwrite(make_it_fail, "1", 1, 0) == 1;
}

static bool injectors_stop(void)
{
	return pwrite(make_it_fail, "0", 1, 0) == 1;
}

FIXTURE(alloc_failure) {
	struct region r;
	long long stored, pool;
};

/* With a disk behind the cache, or without one. */
FIXTURE_VARIANT(alloc_failure) {
	bool device;
	unsigned long folio_kib;
};

FIXTURE_VARIANT_ADD(alloc_failure, on_a_disk) {
};

FIXTURE_VARIANT_ADD(alloc_failure, in_memory) {
	.device = true,
};

FIXTURE_VARIANT_ADD(alloc_failure, in_memory_64k) {
	.device = true,
	.folio_kib = 64,
};

FIXTURE_SETUP(alloc_failure)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	make_it_fail = open("/proc/self/make-it-fail", O_WRONLY);
	if (make_it_fail < 0 || !injectors_prepare(0))
		SKIP(return, "this kernel cannot let allocations fail");
	if (variant->device && access(DEVICE_PATH, F_OK))
		SKIP(return, "there is no " DEVICE_PATH);
	test_stay_resident();
	if (variant->device) {
		ASSERT_EQ(0, attr_write("reset", "1"));
		ASSERT_TRUE(other_swap_off());
		ASSERT_TRUE(device_on());
	}
	thp_only_size(variant->folio_kib);
	self->stored = pages_stored();
	self->pool = pool_pages();
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_MIXED, 71));
	ASSERT_EQ(0, mlock(self->r.version, NR_PAGES * sizeof(*self->r.version)));
	if (variant->folio_kib)
		ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	region_write_all(&self->r);
}

FIXTURE_TEARDOWN(alloc_failure)
{
	if (skip_reason || !self->r.mem)
		return;
	injectors_stop();
	region_unmap(&self->r);
	EXPECT_EQ(self->stored, pages_stored());
	EXPECT_EQ(self->pool, pool_pages());
	thp_only_size(0);
	if (variant->device) {
		EXPECT_EQ(0, swapoff(DEVICE_PATH));
		EXPECT_EQ(0, attr_write("reset", "1"));
		other_swap_on();
	}
}

TEST_F_TIMEOUT(alloc_failure, loses_nothing_on_the_way_out, TEST_SECONDS)
{
	const int percent[] = { 1, 10, 50, 100 };
	unsigned long out[ARRAY_SIZE(percent)], most;
	int i;

	for (i = 0; i < ARRAY_SIZE(percent); i++) {
		ASSERT_TRUE(injectors_start(percent[i]));
		madvise(self->r.mem, NR_PAGES * page_size, MADV_PAGEOUT);
		ASSERT_TRUE(injectors_stop());
		out[i] = pages_swapped(self->r.mem, NR_PAGES);
		TH_LOG("%3d %% fail: %lu of %lu pages went out", percent[i], out[i], NR_PAGES);
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		region_write_all(&self->r);
	}
	/*
	 * A disk takes what zswap cannot. Without one, the pool finds room in
	 * its pages.
	 */
	most = variant->device ? NR_PAGES / 2 : NR_PAGES;
	EXPECT_LT(NR_PAGES / 2, out[0]);
	EXPECT_GE(most, out[3]);
	EXPECT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* A fault that fails for lack of memory is retried. */
TEST_F_TIMEOUT(alloc_failure, loses_nothing_on_the_way_in, TEST_SECONDS)
{
	unsigned long i;
	int round;

	for (round = 0; round < 2; round++) {
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
		ASSERT_TRUE(injectors_start(20));
		for (i = 0; i < NR_PAGES; i++)
			__atomic_load_n(region_page(&self->r, i), __ATOMIC_RELAXED);
		ASSERT_TRUE(injectors_stop());
		EXPECT_EQ(0, pages_swapped(self->r.mem, NR_PAGES));
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		region_write_all(&self->r);
	}
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	return test_harness_run(argc, argv);
}
