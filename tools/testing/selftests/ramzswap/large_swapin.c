// SPDX-License-Identifier: GPL-2.0
/*
 * The cache swaps in large folios whole, if all of their pages are in the cache
 * and the pages that nobody asked for are likely to be wanted.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(16 * MIB / page_size)
#define FOLIO_PAGES	(64UL * 1024 / page_size)
#define NR_FOLIOS	(NR_PAGES / FOLIO_PAGES)

static const char *skip_reason;

/* A setting in the directory of a folio size. */
static long long size_value(unsigned long kib, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), THP_SIZE, kib, name);
	return file_number(path);
}

/* Begin a test with folios of this size. Return: why to skip it, or NULL. */
static const char *use_size(unsigned long kib)
{
	if (skip_reason)
		return skip_reason;
	if (!swaps_out_folios_of(kib) || size_value(kib, "stats/zswpin") < 0)
		return "no folios of this size, or none that are swapped whole";

	thp_only_size(kib);
	test_stay_resident();
	return NULL;
}

/* All numbers below @nr, in the same random order each time. */
static void shuffle(unsigned long *order, unsigned long nr)
{
	__u64 state = 5;
	unsigned long i, k, swap;

	for (i = 0; i < nr; i++)
		order[i] = i;
	for (i = nr - 1; i; i--) {
		k = random_next(&state) % (i + 1);
		swap = order[i];
		order[i] = order[k];
		order[k] = swap;
	}
}

/* === Anonymous memory of each size ======================================= */

FIXTURE(anonymous) {
	struct region r;
	long long stored_before, folios_before;
	unsigned long nr_folios;
};

FIXTURE_VARIANT(anonymous) {
	unsigned long kib;
};

FIXTURE_VARIANT_ADD(anonymous, folios_of_16k) { .kib = 16 };
FIXTURE_VARIANT_ADD(anonymous, folios_of_32k) { .kib = 32 };
FIXTURE_VARIANT_ADD(anonymous, folios_of_64k) { .kib = 64 };
FIXTURE_VARIANT_ADD(anonymous, folios_of_128k) { .kib = 128 };
FIXTURE_VARIANT_ADD(anonymous, folios_of_256k) { .kib = 256 };
FIXTURE_VARIANT_ADD(anonymous, folios_of_512k) { .kib = 512 };
FIXTURE_VARIANT_ADD(anonymous, folios_of_1024k) { .kib = 1024 };

/* A region of large folios, all of it swapped out. */
FIXTURE_SETUP(anonymous)
{
	const char *reason;
	long long folios;

	reason = use_size(variant->kib);
	if (reason)
		SKIP(return, "%s", reason);
	self->stored_before = pages_stored();
	self->nr_folios = NR_PAGES * page_size / 1024 / variant->kib;
	folios = size_value(variant->kib, "stats/anon_fault_alloc");
	/*
	 * No zero pages: they are not stored, so a range with some of them is
	 * mixed.
	 */
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 21));
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	region_write_all(&self->r);
	folios = size_value(variant->kib, "stats/anon_fault_alloc") - folios;
	if (folios < (long long)self->nr_folios)
		SKIP(return, "only %lld large folios could be had", folios);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	self->folios_before = size_value(variant->kib, "stats/zswpin");
}

FIXTURE_TEARDOWN(anonymous)
{
}

#define FOLIOS_IN	(size_value(variant->kib, "stats/zswpin") - self->folios_before)

TEST_F_TIMEOUT(anonymous, come_whole_to_who_says_that_it_is_sequential, TEST_SECONDS)
{
	long faults = major_faults();

	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_SEQUENTIAL));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ((long long)self->nr_folios, FOLIOS_IN);
	EXPECT_GE((long)self->nr_folios + 16, major_faults() - faults);
	EXPECT_EQ(self->stored_before, pages_stored());
}

TEST_F_TIMEOUT(anonymous, come_whole_once_access_is_sequential, TEST_SECONDS)
{
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	/* As many single pages as the folio has, or as two of them have. */
	EXPECT_LE((long long)self->nr_folios - 2, FOLIOS_IN);
	EXPECT_EQ(self->stored_before, pages_stored());
}

TEST_F_TIMEOUT(anonymous, come_whole_once_access_is_backwards, TEST_SECONDS)
{
	unsigned long i;

	for (i = NR_PAGES; i--; )
		EXPECT_EQ(0, region_wrong_bytes(&self->r, i, 1));
	EXPECT_LE((long long)self->nr_folios - 2, FOLIOS_IN);
}

TEST_F_TIMEOUT(anonymous, do_not_come_when_access_is_random, TEST_SECONDS)
{
	unsigned long *order = calloc(NR_PAGES, sizeof(*order)), i;

	ASSERT_NE(NULL, order);
	shuffle(order, NR_PAGES);
	for (i = 0; i < NR_PAGES / 2; i++)
		EXPECT_EQ(0, region_wrong_bytes(&self->r, order[i], 1));
	EXPECT_GE((long long)self->nr_folios / 50, FOLIOS_IN);
	EXPECT_LE(NR_PAGES / 2 - NR_PAGES / 50, pages_swapped(self->r.mem, NR_PAGES));
	free(order);
}

TEST_F_TIMEOUT(anonymous, do_not_come_to_who_says_that_it_is_random, TEST_SECONDS)
{
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_RANDOM));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, FOLIOS_IN);
}

TEST_F_TIMEOUT(anonymous, a_size_that_is_switched_off_does_not_come, TEST_SECONDS)
{
	thp_only_size(0);
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_SEQUENTIAL));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, FOLIOS_IN);
}

TEST_F_TIMEOUT(anonymous, come_again_and_again, TEST_SECONDS)
{
	int round;

	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_SEQUENTIAL));
	for (round = 0; round < 3; round++) {
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		region_write_all(&self->r);
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	}
	/*
	 * A folio that was swapped in whole is swapped out and in whole again.
	 */
	EXPECT_EQ(3 * (long long)self->nr_folios, FOLIOS_IN);
}

/* === Parts of folios of 64 KiB =========================================== */

FIXTURE(parts) {
	struct region r;
	long long stored_before, folios_before;
};

FIXTURE_SETUP(parts)
{
	const char *reason;

	reason = use_size(64);
	if (reason)
		SKIP(return, "%s", reason);
	self->stored_before = pages_stored();
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 22));
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	region_write_all(&self->r);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_SEQUENTIAL));
	self->folios_before = size_value(64, "stats/zswpin");
}

FIXTURE_TEARDOWN(parts)
{
}

#define FOLIOS_OF_64K_IN	(size_value(64, "stats/zswpin") - self->folios_before)

/*
 * Write page @nth of each folio to the disk. The other pages stay in the cache.
 * All keep their slots.
 */
static void one_of_each_to_disk(struct __test_metadata *_metadata, struct region *r,
				unsigned long nth)
{
	long long stored;
	unsigned long i;

	ASSERT_EQ(0, madvise(r->mem, NR_PAGES * page_size, MADV_RANDOM));
	for (i = nth; i < NR_PAGES; i += FOLIO_PAGES)
		__atomic_load_n(region_page(r, i), __ATOMIC_RELAXED);
	stored = pages_stored();
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(r));
	ASSERT_EQ(stored, pages_stored());
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "Y"));
	ASSERT_EQ(0, madvise(r->mem, NR_PAGES * page_size, MADV_SEQUENTIAL));
}

TEST_F_TIMEOUT(parts, a_folio_that_is_partly_on_disk_comes_in_parts, TEST_SECONDS)
{
	one_of_each_to_disk(_metadata, &self->r, 5);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, FOLIOS_OF_64K_IN);
	EXPECT_EQ(self->stored_before, pages_stored());
}

TEST_F_TIMEOUT(parts, what_is_in_the_cache_comes_in_smaller_folios, TEST_SECONDS)
{
	long long small = size_value(16, "stats/zswpin");
	long long fallbacks = size_value(64, "stats/swpin_fallback");

	one_of_each_to_disk(_metadata, &self->r, 5);
	thp_size_set(16, "enabled", "always");
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, FOLIOS_OF_64K_IN);
	/* All quarters except the one with the page on the disk. */
	EXPECT_EQ(3 * (long long)NR_FOLIOS, size_value(16, "stats/zswpin") - small);
	EXPECT_LE((long long)NR_FOLIOS, size_value(64, "stats/swpin_fallback") - fallbacks);
}

/* Pages read from swap devices, without those from zswap. */
static long long pages_read(void)
{
	return file_field("/proc/vmstat", "pswpin");
}

/*
 * Make the kernel treat the swap disk as non-rotational, where readahead goes
 * by address, or restore that. Return: whether it is.
 */
static bool swap_disk_rotates(bool rotates)
{
	struct swap_area area;
	char path[128];

	if (swap_areas(&area, 1) != 1 || strncmp(area.path, "/dev/", 5))
		return false;
	snprintf(path, sizeof(path), "/sys/block/%s/queue/rotational", area.path + 5);
	return file_write(path, rotates ? "1" : "0") && !swapoff(area.path) &&
	       swap_enable(area.path, area.prio);
}

/*
 * The history of pages in the cache must not restart readahead from the disk:
 * every second page is on it.
 */
TEST_F_TIMEOUT(parts, one_page_is_read_where_access_is_random, TEST_SECONDS)
{
	unsigned long i, on_disk = 0;
	char memcg[256];
	long long reads, stored;
	struct region r;
	__u64 state = 7;

	if (!memcg_create("ramzswap_large", memcg, sizeof(memcg)))
		SKIP(return, "no cgroup with a memory controller");
	ASSERT_TRUE(memcg_enter(memcg));
	thp_only_size(0);
	region_unmap(&self->r);
	if (!swap_disk_rotates(false))
		SKIP(return, "no swap disk alone");
	ASSERT_TRUE(region_map(&r, NR_PAGES, FILL_TEXT, 26));
	region_write_all(&r);
	thp_only_size(64);
	ASSERT_EQ(0, madvise(r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	stored = pages_stored();
	for (i = 0; i < NR_PAGES; i += 2)
		ASSERT_EQ(1, page_out(region_page(&r, i), 1));
	EXPECT_EQ(stored + (long long)NR_PAGES / 2, pages_stored());
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(&r));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "Y"));
	memcg_reclaim(memcg, NR_PAGES * page_size);
	ASSERT_TRUE(file_write("/proc/sys/vm/page-cluster", "3"));

	reads = pages_read();
	/* One page in 8, far from each other and in no order. */
	for (i = 0; i < NR_PAGES / 8; i++) {
		unsigned long page = i * 1237 % (NR_PAGES / 8) * 8 + random_next(&state) % 8;

		EXPECT_EQ(0, region_wrong_bytes(&r, page, 1));
		on_disk += page % 2;
	}
	reads = pages_read() - reads;
	ASSERT_TRUE(file_write("/proc/sys/vm/page-cluster", "0"));
	TH_LOG("%lld pages read for %lu that were wanted", reads, on_disk);
	EXPECT_GE(on_disk * 1.25, reads);
	EXPECT_LE(on_disk, reads);
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	region_unmap(&r);
	EXPECT_TRUE(swap_disk_rotates(true));
	memcg_remove(memcg);
}

TEST_F_TIMEOUT(parts, a_page_freed_in_swap_leaves_the_rest, TEST_SECONDS)
{
	unsigned long i;

	for (i = 3; i < NR_PAGES; i += FOLIO_PAGES) {
		ASSERT_EQ(0, madvise(region_page(&self->r, i), page_size, MADV_DONTNEED));
		region_mark_zero(&self->r, i, 1);
	}
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, FOLIOS_OF_64K_IN);
	EXPECT_EQ(self->stored_before, pages_stored());
}

TEST_F_TIMEOUT(parts, a_page_freed_in_memory_leaves_the_rest, TEST_SECONDS)
{
	unsigned long i;

	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ((long long)NR_FOLIOS, FOLIOS_OF_64K_IN);
	for (i = 3; i < NR_PAGES; i += FOLIO_PAGES) {
		ASSERT_EQ(0, madvise(region_page(&self->r, i), page_size, MADV_DONTNEED));
		region_mark_zero(&self->r, i, 1);
	}
	ASSERT_EQ(NR_PAGES - NR_FOLIOS, region_page_out(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(parts, pages_freed_lazily_are_what_they_were_or_zero, TEST_SECONDS)
{
	static const unsigned char zeros[65536];
	unsigned long i;

	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	for (i = 0; i < NR_PAGES; i += FOLIO_PAGES)
		ASSERT_EQ(0, madvise(region_page(&self->r, i + 8), 4 * page_size, MADV_FREE));
	page_out(self->r.mem, NR_PAGES);
	for (i = 0; i < NR_PAGES; i++)
		if (!memcmp(region_page(&self->r, i), zeros, page_size) &&
		    i % FOLIO_PAGES >= 8 && i % FOLIO_PAGES < 12)
			region_mark_zero(&self->r, i, 1);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(parts, parent_and_child_share_what_comes, TEST_SECONDS)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		unsigned long wrong = region_wrong_bytes_all(&self->r);

		region_write(&self->r, NR_PAGES / 2 - 5, 10);
		_exit(wrong || region_wrong_bytes_all(&self->r));
	}
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_write(&self->r, 7, NR_PAGES / 2);
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(self->stored_before, pages_stored());
}

TEST_F_TIMEOUT(parts, an_exit_in_between_frees_all, TEST_SECONDS)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(!!region_wrong_bytes(&self->r, 0, NR_PAGES / 3));
	region_unmap(&self->r);
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(self->stored_before, pages_stored());
}

TEST_F_TIMEOUT(parts, pages_of_ksm_come_back, TEST_SECONDS)
{
	long long merged;
	int i;

	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	if (!file_write("/sys/kernel/mm/ksm/run", "1"))
		SKIP(return, "no KSM");
	file_write("/sys/kernel/mm/ksm/pages_to_scan", "100000");
	file_write("/sys/kernel/mm/ksm/sleep_millisecs", "0");
	/* KSM merges pages that exist twice. */
	for (i = 0; i < 16; i++)
		memcpy(region_page(&self->r, i * FOLIO_PAGES + 3),
		       region_page(&self->r, i * FOLIO_PAGES), page_size);
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_MERGEABLE));
	for (i = 0; i < 300 && file_number("/sys/kernel/mm/ksm/pages_sharing") < 16; i++)
		usleep(100000);
	merged = file_number("/sys/kernel/mm/ksm/pages_sharing");
	file_write("/sys/kernel/mm/ksm/run", "0");
	EXPECT_LE(16, merged);
	page_out(self->r.mem, NR_PAGES);
	for (i = 0; i < 16; i++)
		EXPECT_EQ(0, memcmp(region_page(&self->r, i * FOLIO_PAGES + 3),
				    region_page(&self->r, i * FOLIO_PAGES), page_size));
	for (i = 0; i < 16; i++) {
		self->r.version[i * FOLIO_PAGES + 3] = 0;
		region_write(&self->r, i * FOLIO_PAGES + 3, 1);
	}
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* === Races =============================================================== */

static bool stop;

static void *page_out_all_the_time(void *data)
{
	struct region *r = data;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		madvise(r->mem, NR_PAGES * page_size, MADV_PAGEOUT);
	return NULL;
}

#define WRITTEN_BACK	(zswap_value("written_back_pages") - written)

/* The cgroup may have a quarter of its pages in the cache: others make room. */
TEST_F_TIMEOUT(parts, come_while_others_are_written_back, TEST_SECONDS)
{
	long long written = zswap_value("written_back_pages");
	char memcg[256];
	pthread_t thread;
	struct region r;
	int round;

	if (!memcg_create("ramzswap_large", memcg, sizeof(memcg)))
		SKIP(return, "no cgroup with a memory controller");
	ASSERT_TRUE(memcg_set_number(memcg, "memory.zswap.max", NR_PAGES * page_size / 4));
	ASSERT_TRUE(memcg_enter(memcg));
	ASSERT_TRUE(region_map(&r, NR_PAGES, FILL_RANDOM, 25));
	ASSERT_EQ(0, madvise(r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	ASSERT_EQ(0, madvise(r.mem, NR_PAGES * page_size, MADV_SEQUENTIAL));
	region_write_all(&r);

	stop = false;
	ASSERT_EQ(0, pthread_create(&thread, NULL, page_out_all_the_time, &r));
	/*
	 * Pages that the disk has already need no room, so write some pages anew each
	 * time.  On a slow machine, it takes longer until the two collide.
	 */
	for (round = 0; round < 20 || (round < 200 && !(WRITTEN_BACK && FOLIOS_OF_64K_IN));
	     round++) {
		EXPECT_EQ(0, region_wrong_bytes_all(&r));
		region_write(&r, round % 16 * NR_PAGES / 16, NR_PAGES / 16);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	TH_LOG("%lld folios came whole, %lld pages were written back",
	       FOLIOS_OF_64K_IN, WRITTEN_BACK);
	EXPECT_LT(0, WRITTEN_BACK);
	EXPECT_LT(0, FOLIOS_OF_64K_IN);
	region_unmap(&r);
	memcg_remove(memcg);
}

static void *touch_backwards(void *data)
{
	struct region *r = data;
	unsigned long i;

	for (i = NR_PAGES; i--; )
		__atomic_load_n(region_page(r, i), __ATOMIC_RELAXED);
	return NULL;
}

TEST_F_TIMEOUT(parts, come_to_two_threads_at_once, TEST_SECONDS)
{
	pthread_t thread;
	int round;

	for (round = 0; round < 10; round++) {
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
		ASSERT_EQ(0, pthread_create(&thread, NULL, touch_backwards, &self->r));
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		pthread_join(thread, NULL);
		EXPECT_EQ(self->stored_before, pages_stored());
	}
}

/* Tells the thread which folio is being touched, to free its last page. */
struct late_free {
	struct region *r;
	unsigned long folio;
};

static void *free_the_last_page_late(void *data)
{
	struct late_free *f = data;
	unsigned long next;
	double start;

	for (next = 0; next < NR_FOLIOS; next++) {
		while (__atomic_load_n(&f->folio, __ATOMIC_ACQUIRE) <= next)
			;
		start = seconds_now();
		while (seconds_now() - start < (next % 32) * 0.000016)
			;
		madvise(region_page(f->r, (next + 1) * FOLIO_PAGES - 1), page_size,
			MADV_DONTNEED);
	}
	return NULL;
}

/* Whatever happened to the folio, no task may be stuck in a fault. */
TEST_F_TIMEOUT(parts, a_page_freed_as_they_come_leaves_the_rest, TEST_SECONDS)
{
	struct late_free f = { .r = &self->r };
	pthread_t thread;
	unsigned long i;
	int round;

	for (round = 0; round < 8; round++) {
		f.folio = 0;
		ASSERT_EQ(0, pthread_create(&thread, NULL, free_the_last_page_late, &f));
		for (i = 0; i < NR_FOLIOS; i++) {
			__atomic_store_n(&f.folio, i + 1, __ATOMIC_RELEASE);
			EXPECT_EQ(0, region_wrong_bytes(&self->r, i * FOLIO_PAGES,
							FOLIO_PAGES - 1));
		}
		pthread_join(thread, NULL);
		for (i = 0; i < NR_FOLIOS; i++)
			region_mark_zero(&self->r, (i + 1) * FOLIO_PAGES - 1, 1);
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		EXPECT_EQ(self->stored_before, pages_stored());
		region_write_all(&self->r);
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	}
	EXPECT_LT(0, FOLIOS_OF_64K_IN);
}

/* === Cgroups ============================================================= */

TEST_F_TIMEOUT(parts, a_cgroup_is_told_of_each_page_once, TEST_SECONDS)
{
	const long long all = NR_PAGES;
	char first[256], second[256];
	struct region r;

	if (!memcg_create("ramzswap_first", first, sizeof(first)) ||
	    !memcg_create("ramzswap_second", second, sizeof(second)))
		SKIP(return, "no cgroup with a memory controller");
	ASSERT_TRUE(memcg_enter(first));
	ASSERT_TRUE(region_map(&r, NR_PAGES, FILL_TEXT, 23));
	ASSERT_EQ(0, madvise(r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	region_write_all(&r);
	ASSERT_EQ(NR_PAGES, region_page_out(&r));
	EXPECT_LE(all, memcg_soon(memcg_stat, first, "zswpout", all));
	EXPECT_LE(all * page_size, memcg_soon(memcg_stat, first, "zswapped", all * page_size));
	ASSERT_EQ(0, madvise(r.mem, NR_PAGES * page_size, MADV_SEQUENTIAL));

	/* The memory belongs to the first cgroup, whoever touches it. */
	ASSERT_TRUE(memcg_enter(second));
	EXPECT_EQ(0, region_wrong_bytes(&r, 0, NR_PAGES / 2));
	EXPECT_EQ(all / 2, memcg_soon(memcg_stat, first, "zswpin", all / 2));
	EXPECT_EQ(0, memcg_stat(second, "zswpin"));

	/* After it is gone, the memory belongs to its parent. */
	memcg_remove(first);
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	EXPECT_EQ(self->stored_before + all, pages_stored());
	region_unmap(&r);
	memcg_remove(second);
}

/* === Shared memory ======================================================= */

FIXTURE(shared) {
	struct region r;
	long long stored_before, folios_before;
	int fd;
};

FIXTURE_SETUP(shared)
{
	const char *reason;
	long long folios;

	reason = use_size(64);
	if (reason)
		SKIP(return, "%s", reason);
	self->stored_before = pages_stored();
	folios = size_value(64, "stats/shmem_alloc");
	self->fd = memfd_create("ramzswap", 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, NR_PAGES * page_size));
	ASSERT_TRUE(region_map_fd(&self->r, NR_PAGES, FILL_TEXT, 24, self->fd));
	region_write_all(&self->r);
	folios = size_value(64, "stats/shmem_alloc") - folios;
	if (folios < (long long)NR_FOLIOS)
		SKIP(return, "only %lld large folios could be had", folios);
	ASSERT_EQ(NR_PAGES, page_out_shared(self->r.mem, NR_PAGES));
	self->folios_before = size_value(64, "stats/zswpin");
}

FIXTURE_TEARDOWN(shared)
{
}

TEST_F_TIMEOUT(shared, come_whole_once_access_is_sequential, TEST_SECONDS)
{
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_LE((long long)NR_FOLIOS - 2, FOLIOS_OF_64K_IN);
	EXPECT_EQ(self->stored_before, pages_stored());
}

TEST_F_TIMEOUT(shared, come_whole_to_who_reads_the_file, TEST_SECONDS)
{
	unsigned char got[page_size], want[page_size];
	unsigned long i;

	for (i = 0; i < NR_PAGES; i++) {
		ASSERT_EQ(page_size, pread(self->fd, got, page_size, i * page_size));
		page_fill(want, self->r.fill, self->r.seed, i, self->r.version[i]);
		EXPECT_EQ(0, memcmp(got, want, page_size));
	}
	EXPECT_LE((long long)NR_FOLIOS - 2, FOLIOS_OF_64K_IN);
}

TEST_F_TIMEOUT(shared, do_not_come_when_access_is_random, TEST_SECONDS)
{
	unsigned long *order = calloc(NR_PAGES, sizeof(*order)), i;

	ASSERT_NE(NULL, order);
	shuffle(order, NR_PAGES);
	for (i = 0; i < NR_PAGES; i++)
		EXPECT_EQ(0, region_wrong_bytes(&self->r, order[i], 1));
	EXPECT_GE((long long)NR_FOLIOS / 50, FOLIOS_OF_64K_IN);
	EXPECT_EQ(self->stored_before, pages_stored());
	free(order);
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	return test_harness_run(argc, argv);
}
