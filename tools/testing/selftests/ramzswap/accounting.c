// SPDX-License-Identifier: GPL-2.0
/*
 * The cache holds what is in swap and nothing else: it gives memory back
 * whenever a slot is freed, in whichever way.
 *
 * All numbers are exact. The test process is locked in memory except for its
 * region, and no other process here has a reason to swap.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(32 * MIB / page_size)
#define STRIDE		16

static const char *skip_reason;

/* Levels before a test stores anything. */
struct levels {
	long long stored;
	long long pool;
	long long compressed;	/* -1 if unknown */
};

FIXTURE(accounting) {
	struct region r;
	struct levels before;
};

static void levels_read(struct levels *l)
{
	l->stored = pages_stored();
	l->pool = pool_pages();
	l->compressed = stat_value("compr_data_size");
}

FIXTURE_SETUP(accounting)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	test_stay_resident();
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_RANDOM, getpid()));
	region_write_all(&self->r);
	levels_read(&self->before);
}

FIXTURE_TEARDOWN(accounting)
{
}

/*
 * Pages of the region are incompressible. Each is an object of PAGE_SIZE bytes,
 * so their number determines what is in the cache.
 */
static void check_levels(struct __test_metadata *_metadata, const struct levels *before,
			 unsigned long nr_stored)
{
	struct levels now;

	levels_read(&now);
	EXPECT_EQ((long long)nr_stored, now.stored - before->stored);
	if (before->compressed >= 0) {
		EXPECT_EQ((long long)(nr_stored * page_size),
			  now.compressed - before->compressed);
	}
	/*
	 * Compaction may have freed pages that also held older objects. But the
	 * pool must not have more pages than the objects need.
	 */
	EXPECT_GE((long long)nr_stored + (long long)nr_stored / 16, now.pool - before->pool);
}

TEST_F_TIMEOUT(accounting, munmap_frees_at_once, TEST_SECONDS)
{
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	check_levels(_metadata, &self->before, NR_PAGES);
	EXPECT_LE(self->before.pool + (long long)NR_PAGES * 15 / 16, pool_pages());
	region_unmap(&self->r);
	check_levels(_metadata, &self->before, 0);
}

TEST_F_TIMEOUT(accounting, munmap_of_a_part_frees_that_part_at_once, TEST_SECONDS)
{
	/* Neither end is at the boundary of a cluster of swap slots. */
	const unsigned long first = NR_PAGES / 4 + 3, nr = NR_PAGES / 2 - 8;

	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_EQ(0, munmap(region_page(&self->r, first), nr * page_size));
	check_levels(_metadata, &self->before, NR_PAGES - nr);
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, first));
	EXPECT_EQ(0, region_wrong_bytes(&self->r, first + nr, NR_PAGES - first - nr));
	check_levels(_metadata, &self->before, 0);
}

TEST_F_TIMEOUT(accounting, dontneed_of_each_sixteenth_page_frees_a_sixteenth, TEST_SECONDS)
{
	unsigned long i;

	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	for (i = 0; i < NR_PAGES; i += STRIDE) {
		ASSERT_EQ(0, madvise(region_page(&self->r, i), page_size, MADV_DONTNEED));
		region_mark_zero(&self->r, i, 1);
	}
	/*
	 * An incompressible object has a page to itself, so the pool shrinks,
	 * too.
	 */
	check_levels(_metadata, &self->before, NR_PAGES - NR_PAGES / STRIDE);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	check_levels(_metadata, &self->before, 0);
}

TEST_F_TIMEOUT(accounting, a_page_that_is_read_back_leaves_the_cache, TEST_SECONDS)
{
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, NR_PAGES / 4));
	check_levels(_metadata, &self->before, NR_PAGES - NR_PAGES / 4);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	check_levels(_metadata, &self->before, 0);
}

/* Swap out a region, say so, and then exit or wait to be killed. */
static pid_t start_child(struct gate *swapped_out, bool wait)
{
	pid_t pid = fork();
	struct region r;

	if (pid)
		return pid;
	if (!region_map(&r, NR_PAGES, FILL_RANDOM, getpid()))
		_exit(2);
	region_write_all(&r);
	if (region_page_out(&r) != NR_PAGES)
		_exit(3);
	gate_open(swapped_out);
	while (wait)
		pause();
	_exit(0);
}

TEST_F_TIMEOUT(accounting, exit_frees_at_once, TEST_SECONDS)
{
	struct gate swapped_out;
	pid_t pid;

	ASSERT_TRUE(gate_init(&swapped_out));
	pid = start_child(&swapped_out, false);
	ASSERT_EQ(0, child_status(pid));
	check_levels(_metadata, &self->before, 0);
}

TEST_F_TIMEOUT(accounting, a_killed_process_is_freed_at_once, TEST_SECONDS)
{
	struct gate swapped_out;
	pid_t pid;

	ASSERT_TRUE(gate_init(&swapped_out));
	pid = start_child(&swapped_out, true);
	ASSERT_LE(0, pid);
	gate_wait(&swapped_out);
	check_levels(_metadata, &self->before, NR_PAGES);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(-SIGKILL, child_status(pid));
	check_levels(_metadata, &self->before, 0);
}

TEST_F_TIMEOUT(accounting, slots_shared_by_fork_are_freed_by_the_last_user, TEST_SECONDS)
{
	struct gate parent_is_done;
	pid_t pid;

	ASSERT_TRUE(gate_init(&parent_is_done));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		gate_wait(&parent_is_done);
		_exit(!!region_wrong_bytes(&self->r, 0, NR_PAGES / 2));
	}
	check_levels(_metadata, &self->before, NR_PAGES);
	EXPECT_EQ(0, munmap(self->r.mem, NR_PAGES * page_size));
	check_levels(_metadata, &self->before, NR_PAGES);
	gate_open(&parent_is_done);
	EXPECT_EQ(0, child_status(pid));
	check_levels(_metadata, &self->before, 0);
}

TEST_F_TIMEOUT(accounting, incompressible_pages_are_counted_as_such, TEST_SECONDS)
{
	const long long before = zswap_value("stored_incompressible_pages");

	if (before < 0)
		SKIP(return, "zswap does not count incompressible pages");
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(before + (long long)NR_PAGES, zswap_value("stored_incompressible_pages"));
	region_unmap(&self->r);
	EXPECT_EQ(before, zswap_value("stored_incompressible_pages"));
}

static bool stop_touching;

static void *touch_all_the_time(void *data)
{
	struct region *r = data;
	unsigned long i;

	while (!__atomic_load_n(&stop_touching, __ATOMIC_RELAXED))
		for (i = 0; i < r->nr_pages; i++)
			__atomic_load_n(region_page(r, i), __ATOMIC_RELAXED);
	return NULL;
}

/*
 * A reader of a page that is being stored gets it from the swap cache, and the
 * stored copy stays valid. When the page is then all zeros, that copy must not
 * come back.
 */
TEST_F_TIMEOUT(accounting, what_became_zero_is_not_stored_any_more, TEST_SECONDS)
{
	const unsigned long nr = 256;
	const long long stored = stat_value("pages_stored");
	struct region r;
	const double end = seconds_now() + 60;
	pthread_t thread;
	int i;

	ASSERT_TRUE(region_map(&r, nr, FILL_TEXT, 8));
	region_write_all(&r);
	stop_touching = false;
	ASSERT_EQ(0, pthread_create(&thread, NULL, touch_all_the_time, &r));
	/* On an emulated machine, pages that wait for the other CPU wait long. */
	for (i = 0; i < 200 && seconds_now() < end; i++)
		madvise(r.mem, nr * page_size, MADV_PAGEOUT);
	__atomic_store_n(&stop_touching, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	memset(r.mem, 0, nr * page_size);
	region_mark_zero(&r, 0, nr);
	ASSERT_EQ(nr, region_page_out(&r));
	EXPECT_EQ(stored, stat_value("pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	region_unmap(&r);
}

TEST_F_TIMEOUT(accounting, zero_pages_take_no_memory_of_the_pool, TEST_SECONDS)
{
	const long long zero_before = stat_value("pages_zero");
	struct region zero;

	ASSERT_TRUE(region_map(&zero, NR_PAGES, FILL_ZERO, 0));
	region_write_all(&zero);
	ASSERT_EQ(NR_PAGES, region_page_out(&zero));
	check_levels(_metadata, &self->before, 0);
	if (zero_before >= 0)
		EXPECT_EQ((long long)NR_PAGES, stat_value("pages_zero") - zero_before);
	EXPECT_EQ(0, region_wrong_bytes_all(&zero));
}

/* A nearly empty page takes a small part of a page of the pool. */
TEST_F_TIMEOUT(accounting, small_objects_share_pages, TEST_SECONDS)
{
	struct region small;
	struct levels now;

	ASSERT_TRUE(region_map(&small, NR_PAGES, FILL_SPARSE, 1));
	region_write_all(&small);
	ASSERT_EQ(NR_PAGES, region_page_out(&small));
	levels_read(&now);
	EXPECT_EQ((long long)NR_PAGES, now.stored - self->before.stored);
	EXPECT_GE((long long)NR_PAGES / 12, now.pool - self->before.pool);
	region_unmap(&small);
	check_levels(_metadata, &self->before, 0);
}

/*
 * The pool also returns the holes that freed pages leave, without any memory
 * pressure. It should take no more than 1.15 bytes per byte of data. The test does
 * not know the other contents of the cache as exactly.
 */
TEST_F_TIMEOUT(accounting, holes_are_given_back_soon, TEST_SECONDS)
{
	/* Each of the pool's shards needs some pages to be worth the work. */
	const unsigned long nr = NR_PAGES < 2048 ? 2048 : NR_PAGES;
	long long before, after, data;
	__u64 state = 1;
	struct region r;
	unsigned long i;
	int waited;

	if (self->before.compressed < 0)
		SKIP(return, "no " RAMZSWAP_STATS);
	ASSERT_TRUE(region_map(&r, nr, FILL_SLOPE, 7));
	region_write_all(&r);
	ASSERT_EQ(nr, region_page_out(&r));
	for (i = 0; i < nr; i++)
		if (random_next(&state) & 1) {
			ASSERT_EQ(0, madvise(region_page(&r, i), page_size, MADV_DONTNEED));
			region_mark_zero(&r, i, 1);
		}
	before = pool_pages();
	data = stat_value("compr_data_size");
	for (waited = 0; waited < 10; waited++) {
		sleep(1);
		after = pool_pages();
		if (after * (long long)page_size <= data * 120 / 100)
			break;
	}
	TH_LOG("%lld pages for %lld bytes, after %d s %lld", before, data, waited + 1, after);
	EXPECT_GE(data * 120 / 100, after * (long long)page_size);
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	region_unmap(&r);
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	return test_harness_run(argc, argv);
}
