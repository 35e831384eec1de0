// SPDX-License-Identifier: GPL-2.0
/*
 * The swap devices behind the cache: swapoff brings all pages back, and a
 * device with swap_slot_free_notify is notified of every freed slot.
 */
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(16 * MIB / page_size)
#define ZRAM_SIZE	(128 * MIB)

static const char *skip_reason;

/* === swapoff ============================================================= */

FIXTURE(swapoff) {
	struct region r;
	struct swap_area area;
	int zram;
};

FIXTURE_VARIANT(swapoff) {
	bool own_zram;
};

FIXTURE_VARIANT_ADD(swapoff, of_the_swap_in_use) { .own_zram = false };
FIXTURE_VARIANT_ADD(swapoff, of_a_zram_device) { .own_zram = true };

/* The area that the kernel uses next: the one with the highest priority */
static bool first_area(struct swap_area *area)
{
	struct swap_area areas[8];
	int nr = swap_areas(areas, ARRAY_SIZE(areas));
	int i, best = 0;

	for (i = 1; i < nr; i++)
		if (areas[i].prio > areas[best].prio)
			best = i;
	if (nr)
		*area = areas[best];
	return nr;
}

FIXTURE_SETUP(swapoff)
{
	self->zram = -1;
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	if (variant->own_zram) {
		self->zram = zram_create(ZRAM_SIZE);
		if (self->zram < 0)
			SKIP(return, "no zram device could be made");
		ASSERT_TRUE(zram_swapon(self->zram)) {
			zram_remove(self->zram);
		}
	}
	test_stay_resident();
	ASSERT_TRUE(first_area(&self->area));
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_MIXED, 13));
	region_write_all(&self->r);
	if (self->area.size < 2 * NR_PAGES * page_size)
		SKIP(return, "%s is too small", self->area.path);
}

FIXTURE_TEARDOWN(swapoff)
{
	region_unmap(&self->r);
	if (self->zram >= 0)
		zram_remove(self->zram);
}

TEST_F_TIMEOUT(swapoff, brings_everything_back, TEST_SECONDS)
{
	const long long stored = pages_stored();
	int round;

	for (round = 0; round < 2; round++) {
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
		EXPECT_LT(stored, pages_stored());
		ASSERT_EQ(0, swapoff(self->area.path));
		EXPECT_EQ(0, pages_swapped(self->r.mem, NR_PAGES));
		/* Or less, if others had pages in this area. */
		EXPECT_GE(stored, pages_stored());
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		ASSERT_TRUE(swap_enable(self->area.path, self->area.prio));
		region_write_all(&self->r);
	}
}

/*
 * Some pages are in the cache, some on the device, some in memory, and some are
 * freed.
 */
TEST_F_TIMEOUT(swapoff, brings_back_what_is_in_the_cache_and_what_is_not, TEST_SECONDS)
{
	const unsigned long part = NR_PAGES / 4;

	ASSERT_EQ(part, page_out(self->r.mem, part));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(part, page_out(region_page(&self->r, part), part));
	ASSERT_EQ(part, page_out(region_page(&self->r, 2 * part), part));
	EXPECT_EQ(0, madvise(region_page(&self->r, part / 2), part * page_size,
			     MADV_DONTNEED));
	region_mark_zero(&self->r, part / 2, part);
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "Y"));

	ASSERT_EQ(0, swapoff(self->area.path));
	EXPECT_EQ(0, pages_swapped(self->r.mem, NR_PAGES));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	ASSERT_TRUE(swap_enable(self->area.path, self->area.prio));
}

/* === swap_slot_free_notify =============================================== */

/* Fields of zram's statistics files. */
#define IO_STAT_NOTIFY_FREE	3
#define MM_STAT_ORIG_DATA_SIZE	0
#define DEBUG_STAT_MISS_FREE	3

/* A zram device, with its statistics before anything was swapped out to it. */
struct notified_device {
	int id;
	long long notify_free;
	long long pages;
};

FIXTURE(free_notify) {
	struct region r;
	struct notified_device zram;
};

static long long zram_notified(int zram)
{
	return zram_value(zram, "io_stat", IO_STAT_NOTIFY_FREE);
}

/* zram skips a slot that is in use at this moment, and counts that. */
static long long zram_pages(int zram)
{
	return zram_value(zram, "mm_stat", MM_STAT_ORIG_DATA_SIZE) / (long long)page_size -
	       zram_value(zram, "debug_stat", DEBUG_STAT_MISS_FREE);
}

FIXTURE_SETUP(free_notify)
{
	self->zram.id = -1;
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	self->zram.id = zram_create(ZRAM_SIZE);
	if (self->zram.id < 0)
		SKIP(return, "no zram device could be made");
	ASSERT_TRUE(zram_swapon(self->zram.id)) {
		zram_remove(self->zram.id);
	}
	test_stay_resident();
	/* Zero pages are not written to a swap device. */
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 14));
	region_write_all(&self->r);
	self->zram.notify_free = zram_notified(self->zram.id);
	self->zram.pages = zram_pages(self->zram.id);
}

FIXTURE_TEARDOWN(free_notify)
{
	munmap(self->r.mem, NR_PAGES * page_size);
	zram_remove(self->zram.id);
	file_write(ZSWAP_PARAM "enabled", "Y");
}

static void check_zram(struct __test_metadata *_metadata, const struct notified_device *zram,
		       unsigned long nr_stored, unsigned long nr_freed)
{
	EXPECT_EQ((long long)nr_stored, zram_pages(zram->id) - zram->pages);
	EXPECT_EQ((long long)nr_freed, zram_notified(zram->id) - zram->notify_free);
}

TEST_F_TIMEOUT(free_notify, counts_every_slot_of_a_range, TEST_SECONDS)
{
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	check_zram(_metadata, &self->zram, NR_PAGES, 0);
	ASSERT_EQ(0, munmap(self->r.mem, NR_PAGES * page_size));
	check_zram(_metadata, &self->zram, 0, NR_PAGES);
}

TEST_F_TIMEOUT(free_notify, counts_every_slot_of_a_part, TEST_SECONDS)
{
	const unsigned long first = NR_PAGES / 4 + 3, nr = NR_PAGES / 2 - 8;

	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_EQ(0, madvise(region_page(&self->r, first), nr * page_size, MADV_DONTNEED));
	region_mark_zero(&self->r, first, nr);
	check_zram(_metadata, &self->zram, NR_PAGES - nr, nr);
	/* If the wrong slot had been freed, it would show here. */
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(free_notify, counts_single_slots, TEST_SECONDS)
{
	unsigned long i;

	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	for (i = 1; i < NR_PAGES; i += 16) {
		ASSERT_EQ(0, madvise(region_page(&self->r, i), page_size, MADV_DONTNEED));
		region_mark_zero(&self->r, i, 1);
	}
	check_zram(_metadata, &self->zram, NR_PAGES - NR_PAGES / 16, NR_PAGES / 16);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/*
 * zram does not have what is in the cache, but is notified of its slots, too.
 */
TEST_F_TIMEOUT(free_notify, counts_slots_that_only_the_cache_used, TEST_SECONDS)
{
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	check_zram(_metadata, &self->zram, 0, 0);
	ASSERT_EQ(0, munmap(self->r.mem, NR_PAGES * page_size));
	check_zram(_metadata, &self->zram, 0, NR_PAGES);
}

TEST_F_TIMEOUT(free_notify, counts_every_slot_at_swapoff, TEST_SECONDS)
{
	char path[32];

	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	snprintf(path, sizeof(path), "/dev/zram%d", self->zram.id);
	ASSERT_EQ(0, swapoff(path));
	check_zram(_metadata, &self->zram, 0, NR_PAGES);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	return test_harness_run(argc, argv);
}
