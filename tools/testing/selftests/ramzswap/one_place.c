// SPDX-License-Identifier: GPL-2.0
/*
 * Each page in swap is in one place, and the statistics say where. Large folios
 * whose pages are in different places come back unchanged, and no task waits long.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backing_util.h"

/* === The numbers add up =================================================== */

/*
 * Every used slot has its page in the cache, among the pages of zeros, on the disk
 * or in memory. @both: number of pages in two of these places
 */
static void check_sum(struct __test_metadata *_metadata, const char *when, long long both)
{
	long long used, stored, zero, spilled, cached, sum;

	stat_settled("pages_stored");
	used = swap_used(DEVICE_PATH) / (long long)page_size;
	stored = stat_of("orig_data_size") / (long long)page_size;
	zero = stat_of("pages_zero");
	spilled = stat_of("pages_spilled");
	cached = meminfo_kb("SwapCached:") * 1024 / (long long)page_size;
	sum = stored + zero + spilled + cached - both;
	TH_LOG("%s: %lld used; %lld stored, %lld zero, %lld on disk, %lld in memory, %lld twice",
	       when, used, stored, zero, spilled, cached, both);
	EXPECT_LE(used - used / 100, sum);
	EXPECT_GE(used + used / 100, sum);
}

/* Free memory, with the free pages that CPUs hold back */
static long long free_kb(void)
{
	FILE *f = fopen("/proc/zoneinfo", "r");
	long long pages = 0, count;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " count: %lld", &count) == 1)
			pages += count;
	if (f)
		fclose(f);
	return meminfo_kb("MemFree:") + pages * (long long)page_size / 1024;
}

TEST_F_TIMEOUT(backing, accounts_for_every_slot, TEST_SECONDS)
{
	const unsigned long nr = NR_PAGES / 4;
	struct region *r = &self->r, zero, mixed;
	long long free, reads, on_disk;
	char amount[32];

	ASSERT_TRUE(region_map(&zero, nr, FILL_ZERO, 61));
	ASSERT_TRUE(region_map(&mixed, nr, FILL_MIXED, 62));
	ASSERT_EQ(0, mlock(zero.version, nr * sizeof(*zero.version)));
	ASSERT_EQ(0, mlock(mixed.version, nr * sizeof(*mixed.version)));
	region_write_all(&zero);
	region_write_all(&mixed);
	free = free_kb();
	ASSERT_EQ(NR_PAGES, region_page_out(r));
	ASSERT_EQ(nr, region_page_out(&zero));
	ASSERT_EQ(nr, region_page_out(&mixed));
	check_sum(_metadata, "swapped out", 0);
	EXPECT_LE(NR_PAGES + 2 * nr, swap_used(DEVICE_PATH) / page_size);

	/* The oldest: the first half of the region */
	snprintf(amount, sizeof(amount), "%lu", NR_PAGES / 2 * page_size);
	ASSERT_EQ(0, attr_write("writeback", amount));
	on_disk = stat_reaches("pages_spilled", NR_PAGES / 2 - OWN_PAGES);
	EXPECT_LE(NR_PAGES / 2 - OWN_PAGES, on_disk);
	check_sum(_metadata, "written back", 0);
	on_disk = stat_of("pages_spilled");

	if (!attr_write("squeeze", "1G"))
		check_sum(_metadata, "squeezed", 0);

	/* Pages that were on the disk are still there. */
	reads = stat_of("bdev_num_reads");
	EXPECT_EQ(0, region_wrong_bytes(r, NR_PAGES / 4, NR_PAGES / 2));
	reads = stat_of("bdev_num_reads") - reads;
	EXPECT_LE(NR_PAGES / 4 - OWN_PAGES, reads);
	check_sum(_metadata, "read", reads);

	/* Pages with a copy on the disk are in the cache as well. */
	ASSERT_EQ(NR_PAGES, region_page_out(r));
	check_sum(_metadata, "swapped out again", reads);

	/* Changed pages have no old copy left. */
	region_write_all(r);
	check_sum(_metadata, "written", 0);
	ASSERT_EQ(NR_PAGES, region_page_out(r));
	check_sum(_metadata, "swapped out after that", 0);
	EXPECT_GE(OWN_PAGES, stat_of("pages_spilled"));

	/* All pages were read and have no second copy, so as much memory is free as before. */
	EXPECT_EQ(0, region_wrong_bytes_all(r));
	EXPECT_EQ(0, region_wrong_bytes_all(&zero));
	EXPECT_EQ(0, region_wrong_bytes_all(&mixed));
	EXPECT_GE(OWN_PAGES, stat_of("pages_stored"));
	EXPECT_GE(OWN_PAGES, stat_of("pages_used"));
	/* The mark of a page of zeros stays for as long as its slot. */
	check_sum(_metadata, "read again", stat_of("pages_zero"));
	free -= free_kb();
	TH_LOG("%lld KiB less are free", free);
	EXPECT_GE((long long)(NR_PAGES * page_size / 1024 / 8), free);

	/* Slots are free once the memory is. */
	region_unmap(&zero);
	region_unmap(&mixed);
	madvise(r->mem, NR_PAGES * page_size, MADV_DONTNEED);
	region_mark_zero(r, 0, NR_PAGES);
	EXPECT_GE(OWN_PAGES * (long long)page_size, swap_used(DEVICE_PATH));
}

/* === Large folios in more than one place ================================== */

#define FOLIO_PAGES	(64UL * 1024 / page_size)
#define NR_ROUNDS	6
/* Seconds in which even a slow machine reads a folio */
#define LONGEST		30

static bool stop;

/* Write back the oldest pages, but never whole folios. */
static void *write_back_parts(void *data)
{
	char amount[32];

	snprintf(amount, sizeof(amount), "%lu", (FOLIO_PAGES - 1) * page_size);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		attr_write("writeback", amount);
		usleep(1000);
	}
	return NULL;
}

/* Another reader of the same memory. */
static void *read_all_the_time(void *data)
{
	const struct region *r = data;
	unsigned long i;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		for (i = r->nr_pages; i--; )
			__atomic_load_n(region_page(r, i), __ATOMIC_RELAXED);
	return NULL;
}

static long long folio_stat(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), THP_SIZE, 64UL, name);
	return file_number(path);
}

static unsigned long swap_out(struct region *r, bool shared)
{
	return shared ? page_out_shared(r->mem, r->nr_pages) : region_page_out(r);
}

/* Use a quarter of each folio, so that zswap writes the others first. */
static void make_parts_younger(struct __test_metadata *_metadata, struct region *r,
			       bool shared)
{
	unsigned long i;

	ASSERT_EQ(0, madvise(r->mem, r->nr_pages * page_size, MADV_RANDOM));
	for (i = 0; i < r->nr_pages; i++)
		if (i % FOLIO_PAGES < FOLIO_PAGES / 4)
			region_write(r, i, 1);
	ASSERT_EQ(r->nr_pages, swap_out(r, shared));
	ASSERT_EQ(0, madvise(r->mem, r->nr_pages * page_size, MADV_SEQUENTIAL));
}

/* @shared: use a file in memory */
static void check_folios(struct __test_metadata *_metadata, struct region *r, bool shared)
{
	long long whole = folio_stat("stats/zswpin");
	long long parts = folio_stat("stats/swpin_fallback");
	long long written = stat_of("bdev_num_writes");
	long long read = stat_of("bdev_num_reads");
	pthread_t writer, reader;
	double longest = 0, took;
	unsigned long i;
	int round;

	ASSERT_EQ(0, mlock(r->version, r->nr_pages * sizeof(*r->version)));
	for (round = 0; round < NR_ROUNDS; round++) {
		/* In the last rounds, pages are swapped in one by one. */
		thp_only_size(64);
		ASSERT_EQ(0, madvise(r->mem, r->nr_pages * page_size,
				     shared ? MADV_REMOVE : MADV_DONTNEED));
		region_mark_zero(r, 0, r->nr_pages);
		region_write_all(r);
		ASSERT_EQ(r->nr_pages, swap_out(r, shared));
		if (round >= NR_ROUNDS - 2)
			thp_only_size(0);
		else if (round % 4 >= 2)
			make_parts_younger(_metadata, r, shared);
		stop = false;
		ASSERT_EQ(0, pthread_create(&writer, NULL, write_back_parts, NULL));
		if (round % 2)
			ASSERT_EQ(0, pthread_create(&reader, NULL, read_all_the_time, r));
		/* Let it write some pages first. */
		usleep(20000);
		for (i = 0; i < r->nr_pages; i += FOLIO_PAGES) {
			took = seconds_now();
			EXPECT_EQ(0, region_wrong_bytes(r, i, FOLIO_PAGES));
			took = seconds_now() - took;
			if (took > longest)
				longest = took;
		}
		__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
		pthread_join(writer, NULL);
		if (round % 2)
			pthread_join(reader, NULL);
		region_write(r, 0, r->nr_pages / 2);
		EXPECT_EQ(0, region_wrong_bytes_all(r));
	}
	written = stat_of("bdev_num_writes") - written;
	read = stat_of("bdev_num_reads") - read;
	whole = folio_stat("stats/zswpin") - whole;
	parts = folio_stat("stats/swpin_fallback") - parts;
	TH_LOG("%lld pages written, %lld read; %lld folios whole, %lld in parts; at most %.2f s",
	       written, read, whole, parts, longest);
	EXPECT_LT(0, written);
	EXPECT_LT(0, read);
	EXPECT_LT(0, whole);
	EXPECT_GT(LONGEST, longest);
	EXPECT_EQ(0, stat_of("failed_reads"));
	region_unmap(r);
}

static const char *use_large_folios(void)
{
	if (!swaps_out_folios_of(64) || folio_stat("stats/zswpin") < 0)
		return "no folios of 64 KiB, or none that are swapped whole";
	thp_only_size(64);
	return NULL;
}

TEST_F_TIMEOUT(backing, gets_parts_of_folios_that_are_swapped_in, TEST_SECONDS)
{
	const char *reason = use_large_folios();
	struct region r;

	if (reason)
		SKIP(return, "%s", reason);
	ASSERT_TRUE(region_map(&r, NR_PAGES / 2, FILL_TEXT, 63));
	ASSERT_EQ(0, madvise(r.mem, r.nr_pages * page_size, MADV_HUGEPAGE));
	ASSERT_EQ(0, madvise(r.mem, r.nr_pages * page_size, MADV_SEQUENTIAL));
	check_folios(_metadata, &r, false);
}

TEST_F_TIMEOUT(backing, gets_parts_of_shared_folios_that_are_swapped_in, TEST_SECONDS)
{
	const char *reason = use_large_folios();
	struct region r;
	int fd;

	if (reason)
		SKIP(return, "%s", reason);
	fd = memfd_create("ramzswap", 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, NR_PAGES / 2 * page_size));
	ASSERT_TRUE(region_map_fd(&r, NR_PAGES / 2, FILL_TEXT, 64, fd));
	close(fd);
	ASSERT_EQ(0, madvise(r.mem, r.nr_pages * page_size, MADV_SEQUENTIAL));
	check_folios(_metadata, &r, true);
}

int main(int argc, char **argv)
{
	skip_reason = backing_test_begin();
	return test_harness_run(argc, argv);
}
