// SPDX-License-Identifier: GPL-2.0
/*
 * Allocations fail during swapout and swapin. Pages may stay where they are,
 * but none may be lost or leaked.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(8 * MIB / page_size)

static const char *skip_reason;

/* Open file: opening it could fail itself while failures are injected. */
static int make_it_fail = -1;

static bool injectors_start(int percent)
{
	return injectors_prepare(percent, false) && pwrite(make_it_fail, "1", 1, 0) == 1;
}

static bool injectors_stop(void)
{
	return pwrite(make_it_fail, "0", 1, 0) == 1;
}

FIXTURE(alloc_failure) {
	struct region r;
	long long stored, pool;
	char memcg[256];
};

/*
 * With a disk behind the cache, a backing device, or nothing, and with
 * recompressed pages
 */
FIXTURE_VARIANT(alloc_failure) {
	bool device;
	bool backed;
	bool cold;
	unsigned long folio_kib;
};

FIXTURE_VARIANT_ADD(alloc_failure, on_a_disk) {
};

FIXTURE_VARIANT_ADD(alloc_failure, in_memory) {
	.device = true,
};

FIXTURE_VARIANT_ADD(alloc_failure, in_memory_and_cold) {
	.device = true,
	.cold = true,
};

FIXTURE_VARIANT_ADD(alloc_failure, on_a_backing_device) {
	.device = true,
	.backed = true,
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
	if (make_it_fail < 0 || !injectors_prepare(0, false))
		SKIP(return, "this kernel cannot let allocations fail");
	if (variant->device && access(DEVICE_PATH, F_OK))
		SKIP(return, "there is no " DEVICE_PATH);
	test_stay_resident();
	if (variant->device) {
		ASSERT_EQ(0, attr_write("reset", "1"));
		ASSERT_TRUE(other_swap_off());
	}
	if (variant->backed) {
		char disk[64];

		if (!other_swap_disk(disk, sizeof(disk), 4 * NR_PAGES * page_size))
			SKIP(other_swap_on(); return, "no swap disk to borrow");
		if (!memcg_enter_own(self->memcg, sizeof(self->memcg)))
			SKIP(other_swap_on(); return,
			     "there is no cgroup2 with a memory controller");
		ASSERT_EQ(0, attr_write("backing_dev", disk));
	}
	if (variant->device)
		ASSERT_TRUE(device_on());
	if (variant->cold && (!file_write(ZSWAP_PARAM "compressor", "lz4") ||
			      !file_write(ZSWAP_PARAM "cold_compressor", "zstd")))
		SKIP(return, "there are no two compressors");
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
	zswap_defaults();
	if (variant->device) {
		EXPECT_EQ(0, swapoff(DEVICE_PATH));
		EXPECT_EQ(0, attr_write("reset", "1"));
		other_swap_on();
	}
	if (variant->backed)
		EXPECT_TRUE(memcg_leave(self->memcg));
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
	 * A disk takes pages that zswap cannot. Without one, the pool reuses
	 * its holes.
	 */
	most = variant->device && !variant->backed ? NR_PAGES / 2 : NR_PAGES;
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

/* Whatever fails, the old copy stays, and recompression tries it again. */
TEST_F_TIMEOUT(alloc_failure, loses_nothing_that_is_compressed_again, TEST_SECONDS)
{
	const int percent[] = { 1, 10, 50, 100 };
	int squeeze = open(DEVICE_SYSFS "squeeze", O_WRONLY), i;
	long long squeezed, failed, done;

	if (!variant->cold)
		SKIP(return, "not when nothing is compressed again");
	ASSERT_LE(0, squeeze);
	for (i = 0; i < ARRAY_SIZE(percent); i++) {
		region_page_out(&self->r);
		squeezed = stat_of("num_squeezed");
		ASSERT_TRUE(injectors_start(percent[i]));
		for (failed = done = 0; failed + done < 20; )
			if (pwrite(squeeze, "64K", 3, 0) == 3)
				done++;
			else
				failed++;
		ASSERT_TRUE(injectors_stop());
		squeezed = stat_of("num_squeezed") - squeezed;
		TH_LOG("%3d %% fail: %lld writes failed, %lld pages became smaller",
		       percent[i], failed, squeezed);
		/* A write makes a dozen allocations before the first page. */
		EXPECT_TRUE(percent[i] > 10 || squeezed);
		EXPECT_TRUE(percent[i] < 100 || !(squeezed || done));
		EXPECT_EQ(0, attr_write("squeeze", "1T"));
		/* Pages that are still hot could not become smaller, or were small already. */
		EXPECT_GT(stat_of("pages_stored") / 2, stat_of("pages_hot"));
		EXPECT_LE(stat_of("pages_hot"), stat_of("num_hopeless"));
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		region_write_all(&self->r);
	}
	close(squeeze);
}

/* There is no room, and no memory to make room. */
TEST_F_TIMEOUT(alloc_failure, loses_nothing_when_there_is_no_room, TEST_SECONDS)
{
	const int percent[] = { 1, 10, 50, 100 };
	long long squeezed;
	int i;

	if (!variant->cold)
		SKIP(return, "not when nothing is compressed again");
	ASSERT_EQ(0, attr_write("mem_limit", "1M"));
	for (i = 0; i < ARRAY_SIZE(percent); i++) {
		squeezed = stat_of("num_squeezed");
		madvise(self->r.mem, NR_PAGES * page_size / 8, MADV_PAGEOUT);
		ASSERT_TRUE(injectors_start(percent[i]));
		madvise(self->r.mem, NR_PAGES * page_size, MADV_PAGEOUT);
		ASSERT_TRUE(injectors_stop());
		squeezed = stat_of("num_squeezed") - squeezed;
		TH_LOG("%3d %% fail: %lld pages became smaller", percent[i], squeezed);
		EXPECT_TRUE(squeezed || percent[i] > 10);
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		region_write_all(&self->r);
	}
}

/*
 * Pages leave memory even if every allocation fails. Writeback allocates only
 * the table of their places, one page for 512 slots, and has a reserve for it.
 */
TEST_F_TIMEOUT(alloc_failure, writes_back_without_memory, TEST_SECONDS)
{
	static const char size[] = "8M";
	long long before, written = 0, pages = 0, objects = 0;
	char path[300];
	int reclaim, i;

	if (!variant->backed)
		SKIP(return, "not without a backing device");
	region_unmap(&self->r);
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 73));
	ASSERT_EQ(0, mlock(self->r.version, NR_PAGES * sizeof(*self->r.version)));
	region_write_all(&self->r);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	before = stat_of("bdev_num_writes");
	ASSERT_TRUE(file_write(ZSWAP_PARAM "shrinker_enabled", "Y"));
	snprintf(path, sizeof(path), "%s/memory.reclaim", self->memcg);
	reclaim = open(path, O_WRONLY);
	ASSERT_LE(0, reclaim);

	for (i = 0; i < 100 && written < NR_PAGES * 9 / 10; i++) {
		ASSERT_TRUE(injectors_prepare(100, false));
		/*
		 * The write() itself copies its data to an allocation of 8 or
		 * 16 bytes.
		 */
		ASSERT_TRUE(injector_set("failslab", "space", 32));
		ASSERT_EQ(1, pwrite(make_it_fail, "1", 1, 0));
		pwrite(reclaim, size, sizeof(size) - 1, 0);
		ASSERT_TRUE(injectors_stop());
		pages += injector_failures("fail_page_alloc");
		objects += injector_failures("failslab");
		/* A buffer that is not full is written soon. */
		usleep(50000);
		written = stat_of("bdev_num_writes") - before;
	}
	close(reclaim);
	ASSERT_TRUE(injector_set("failslab", "space", 0));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "shrinker_enabled", "N"));
	TH_LOG("%lld pages written in %d rounds; %lld pages and %lld objects were refused",
	       written, i, pages, objects);
	EXPECT_LE(NR_PAGES * 9 / 10, written);
	/*
	 * No allocation is needed for each page.  virtio-blk tries to allocate
	 * descriptors for each request, but works without them.
	 */
	EXPECT_GE(written / 256 + 8, pages);
	EXPECT_GE(written / 8, objects);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, stat_of("failed_writes"));
	EXPECT_EQ(0, stat_of("failed_reads"));
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	return test_harness_run(argc, argv);
}
