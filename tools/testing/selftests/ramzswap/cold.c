// SPDX-License-Identifier: GPL-2.0
/*
 * zswap recompresses cold pages.  Their contents never change, whatever happens
 * meanwhile.  Recompression frees memory at once, and the accounting is exact.
 * No page is tried twice or in vain.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cold_util.h"

#define NR_PAGES	(8 * MIB / page_size)

FIXTURE(cold) {
	struct region r;
};

FIXTURE_SETUP(cold)
{
	const char *reason = begin();

	if (reason)
		SKIP(return, "%s", reason);
}

FIXTURE_TEARDOWN(cold)
{
	end(_metadata);
}

/* === By order ============================================================ */

TEST_F_TIMEOUT(cold, pages_take_less_and_are_the_same, TEST_SECONDS)
{
	long long bytes, cold, gained;

	map_and_swap_out(_metadata, &self->r, NR_PAGES, FILL_TEXT);
	bytes = stat_of("compr_data_size");
	EXPECT_EQ(0, stat_of("pages_cold"));
	EXPECT_EQ((long long)NR_PAGES, stat_of("pages_hot"));
	EXPECT_EQ(bytes, stat_of("compr_hot_size"));
	ASSERT_EQ(0, squeeze_all());
	cold = stat_of("pages_cold");
	gained = stat_of("squeeze_gained");
	EXPECT_EQ((long long)NR_PAGES, cold);
	EXPECT_EQ(cold, stat_of("num_squeezed"));
	EXPECT_EQ((long long)NR_PAGES, stat_of("pages_stored"));
	EXPECT_EQ(0, stat_of("compr_hot_size"));
	EXPECT_EQ(stat_of("compr_data_size"), stat_of("compr_cold_size"));
	EXPECT_EQ(bytes - gained, stat_of("compr_data_size"));
	EXPECT_LT(bytes / 8, gained);
	EXPECT_LT(0, stat_of("squeeze_ns"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
}

TEST_F_TIMEOUT(cold, memory_is_given_back, TEST_SECONDS)
{
	long long used, left;

	map_and_swap_out(_metadata, &self->r, NR_PAGES, FILL_TEXT);
	used = stat_value("mem_used_total");
	ASSERT_EQ(0, squeeze_all());
	/* Compaction of the pool takes a while. */
	left = falls_to(stat_value, "mem_used_total", used * 9 / 10 - 1, 20);
	TH_LOG("%lld bytes for %lu pages before, %lld after", used, NR_PAGES, left);
	EXPECT_GT(used * 9 / 10, left);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
}

TEST_F_TIMEOUT(cold, pages_of_all_kinds_are_the_same, TEST_SECONDS)
{
	struct region slope;

	map_and_swap_out(_metadata, &self->r, NR_PAGES, FILL_MIXED);
	map_and_swap_out(_metadata, &slope, 2 * page_size, FILL_SLOPE);
	ASSERT_EQ(0, squeeze_all());
	EXPECT_LT(0, stat_of("pages_cold"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&slope));
	region_unmap(&self->r);
	region_unmap(&slope);
}

/* A page that cannot become smaller is tried once per store. */
TEST_F_TIMEOUT(cold, what_is_hopeless_is_tried_once, TEST_SECONDS)
{
	long long bytes;

	map_and_swap_out(_metadata, &self->r, NR_PAGES, FILL_HALF);
	bytes = stat_of("compr_data_size");
	ASSERT_EQ(0, squeeze_all());
	EXPECT_EQ((long long)NR_PAGES, stat_of("num_hopeless"));
	EXPECT_EQ(0, stat_of("num_squeezed"));
	EXPECT_EQ(0, stat_of("pages_cold"));
	EXPECT_EQ(bytes, stat_of("compr_data_size"));
	ASSERT_EQ(0, squeeze_all());
	EXPECT_EQ((long long)NR_PAGES, stat_of("num_hopeless"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_write(&self->r, 0, NR_PAGES / 2);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_EQ(0, squeeze_all());
	EXPECT_EQ(2 * (long long)NR_PAGES, stat_of("num_hopeless"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
}

TEST_F_TIMEOUT(cold, what_is_stored_again_is_hot, TEST_SECONDS)
{
	map_and_swap_out(_metadata, &self->r, NR_PAGES, FILL_TEXT);
	ASSERT_EQ(0, squeeze_all());
	EXPECT_EQ((long long)NR_PAGES, stat_of("pages_cold"));
	region_write(&self->r, 0, NR_PAGES / 2);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ((long long)(NR_PAGES - NR_PAGES / 2), stat_of("pages_cold"));
	EXPECT_EQ((long long)(NR_PAGES / 2), stat_of("pages_hot"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
}

/* Swap single slots of cold ranges in, and out again. */
TEST_F_TIMEOUT(cold, what_is_stored_again_among_cold_pages_gets_cold_again, TEST_SECONDS)
{
	unsigned long i;

	map_and_swap_out(_metadata, &self->r, NR_PAGES, FILL_TEXT);
	ASSERT_EQ(0, squeeze_all());
	for (i = 3; i < NR_PAGES; i += 8)
		region_write(&self->r, i, 1);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ((long long)(NR_PAGES / 8), stat_of("pages_hot"));
	ASSERT_EQ(0, squeeze_all());
	EXPECT_EQ((long long)NR_PAGES, stat_of("pages_cold"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
}

/* One span has both hopeless pages and pages that are stored again. */
TEST_F_TIMEOUT(cold, what_is_stored_among_hopeless_pages_gets_cold, TEST_SECONDS)
{
	struct region text;
	unsigned long i;

	/* The two kinds alternate in the swap slots. */
	ASSERT_TRUE(region_map(&self->r, NR_PAGES / 2, FILL_HALF, 1));
	ASSERT_TRUE(region_map(&text, NR_PAGES / 2, FILL_TEXT, 2));
	region_write_all(&self->r);
	region_write_all(&text);
	for (i = 0; i < NR_PAGES / 2; i += 4) {
		ASSERT_EQ(4, page_out(region_page(&self->r, i), 4));
		ASSERT_EQ(4, page_out(region_page(&text, i), 4));
	}
	ASSERT_EQ(0, squeeze_all());
	EXPECT_EQ((long long)(NR_PAGES / 2), stat_of("pages_cold"));
	region_write_all(&text);
	EXPECT_EQ(0, stat_of("pages_cold"));
	ASSERT_EQ(NR_PAGES / 2, region_page_out(&text));
	ASSERT_EQ(0, squeeze_all());
	EXPECT_EQ((long long)(NR_PAGES / 2), stat_of("pages_cold"));
	EXPECT_EQ((long long)(NR_PAGES / 2), stat_of("num_hopeless"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&text));
	region_unmap(&self->r);
	region_unmap(&text);
}

TEST_F_TIMEOUT(cold, so_much_is_done_as_is_asked_for, TEST_SECONDS)
{
	map_and_swap_out(_metadata, &self->r, NR_PAGES, FILL_TEXT);
	ASSERT_EQ(0, attr_write("squeeze", "4M"));
	EXPECT_EQ((long long)(4 * MIB / page_size), stat_of("pages_cold"));
	ASSERT_EQ(0, attr_write("squeeze", "1"));
	EXPECT_EQ((long long)(4 * MIB / page_size) + 1, stat_of("pages_cold"));
	ASSERT_EQ(0, attr_write("squeeze", "0"));
	EXPECT_EQ((long long)(4 * MIB / page_size) + 1, stat_of("pages_cold"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
}

TEST_F_TIMEOUT(cold, the_oldest_come_first, TEST_SECONDS)
{
	struct region young;

	map_and_swap_out(_metadata, &self->r, NR_PAGES / 2, FILL_TEXT);
	sleep(4);
	map_and_swap_out(_metadata, &young, NR_PAGES / 2, FILL_TEXT);
	ASSERT_EQ(0, attr_write("squeeze", "4M"));
	EXPECT_EQ((long long)(4 * MIB / page_size), stat_of("pages_cold"));
	region_unmap(&self->r);
	EXPECT_GE(16, stat_of("pages_cold"));
	EXPECT_EQ(0, region_wrong_bytes_all(&young));
	region_unmap(&young);
}

TEST_F_TIMEOUT(cold, it_can_be_interrupted, TEST_SECONDS)
{
	const struct itimerval soon = { .it_value.tv_usec = 100000 };
	double start;
	pid_t pid;

	map_and_swap_out(_metadata, &self->r, 4 * NR_PAGES, FILL_TEXT);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		setitimer(ITIMER_REAL, &soon, NULL);
		_exit(squeeze_all());
	}
	start = seconds_now();
	EXPECT_EQ(-SIGALRM, child_status(pid)) {
		TH_LOG("all was done in %.1f s", seconds_now() - start);
	}
	EXPECT_GT(20, seconds_now() - start);
	EXPECT_GT(4 * (long long)NR_PAGES, stat_of("pages_cold"));
	region_unmap(&self->r);
}

TEST_F_TIMEOUT(cold, what_cannot_be_done_is_refused, TEST_SECONDS)
{
	EXPECT_EQ(EINVAL, attr_write("squeeze", "much"));
	EXPECT_EQ(EINVAL, attr_write("squeeze", "-1"));
	EXPECT_EQ(EINVAL, attr_write("squeeze", "\n"));
	EXPECT_EQ(0, attr_write("squeeze", "50%"));
	EXPECT_FALSE(file_write(COLD_COMPRESSOR, "no-such-compressor"));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(0, attr_write("squeeze", "1M"));
	ASSERT_TRUE(file_write(COLD_COMPRESSOR, "\n"));
	EXPECT_EQ(EOPNOTSUPP, attr_write("squeeze", "1M"));
	ASSERT_TRUE(file_write(COLD_COMPRESSOR, "zstd"));
	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(ENODEV, attr_write("squeeze", "1M"));
	ASSERT_TRUE(device_on());
}

/* === All kinds of memory ================================================= */

TEST_F_TIMEOUT(cold, memory_shared_by_fork_is_the_same_for_all, TEST_SECONDS)
{
	pid_t pid[3];
	int i;

	map_and_swap_out(_metadata, &self->r, NR_PAGES, FILL_TEXT);
	for (i = 0; i < 3; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (pid[i])
			continue;
		if (i)
			squeeze_all();
		if (region_wrong_bytes_all(&self->r))
			_exit(1);
		region_write(&self->r, i * 100, NR_PAGES / 2);
		region_page_out(&self->r);
		_exit(squeeze_all() || region_wrong_bytes_all(&self->r));
	}
	EXPECT_EQ(0, squeeze_all());
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, child_status(pid[i]));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
}

TEST_F_TIMEOUT(cold, large_folios_are_the_same, TEST_SECONDS)
{
	thp_only_size(64);
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 9));
	madvise(self->r.mem, NR_PAGES * page_size, MADV_HUGEPAGE);
	region_write_all(&self->r);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_EQ(0, squeeze_all());
	EXPECT_EQ((long long)NR_PAGES, stat_of("pages_cold"));
	madvise(self->r.mem, NR_PAGES * page_size, MADV_SEQUENTIAL);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	/* Now only some of a folio's slots are cold. */
	region_write_all(&self->r);
	region_page_out(&self->r);
	ASSERT_EQ(0, attr_write("squeeze", "7M"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
	thp_only_size(0);
}

TEST_F_TIMEOUT(cold, shared_memory_is_the_same, TEST_SECONDS)
{
	int fd = memfd_create("cold", 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, NR_PAGES * page_size));
	ASSERT_TRUE(region_map_fd(&self->r, NR_PAGES, FILL_TEXT, 77, fd));
	region_write_all(&self->r);
	ASSERT_EQ(NR_PAGES, page_out_shared(self->r.mem, NR_PAGES));
	ASSERT_EQ(0, squeeze_all());
	EXPECT_EQ((long long)NR_PAGES, stat_of("pages_cold"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
	close(fd);
}

/* === Compressors change ================================================== */

TEST_F_TIMEOUT(cold, compressors_may_change, TEST_SECONDS)
{
	static const char * const first[] = { "lz4", "zstd", "lzo", "lz4" };
	static const char * const second[] = { "zstd", "lzo", "zstd", "\n", "zstd" };
	struct region r[ARRAY_SIZE(first) * ARRAY_SIZE(second)];
	unsigned int i, k, n = 0;

	for (i = 0; i < ARRAY_SIZE(first); i++)
		for (k = 0; k < ARRAY_SIZE(second); k++) {
			ASSERT_TRUE(file_write(COMPRESSOR, first[i]));
			ASSERT_TRUE(file_write(COLD_COMPRESSOR, second[k]));
			map_and_swap_out(_metadata, &r[n], 256, k % 2 ? FILL_TEXT : FILL_MIXED);
			EXPECT_EQ(*second[k] == '\n' ? EOPNOTSUPP : 0,
				  attr_write("squeeze", "512K"));
			EXPECT_EQ(0, region_wrong_bytes_all(&r[n / 2]));
			if (n % 3 == 2)
				region_page_out(&r[n / 2]);
			n++;
		}
	ASSERT_EQ(0, squeeze_all());
	while (n--) {
		EXPECT_EQ(0, region_wrong_bytes_all(&r[n]));
		region_unmap(&r[n]);
	}
}

/* === No room ============================================================= */

struct part {
	pthread_t thread;
	struct region *r;
	unsigned long first;
	unsigned long nr;
};

static void *part_page_out(void *arg)
{
	struct part *part = arg;
	unsigned long i;

	for (i = 0; i < part->nr; i += 8)
		madvise(region_page(part->r, part->first + i), 8 * page_size, MADV_PAGEOUT);
	return NULL;
}

/*
 * Count how many of @nr pages fit into the device if that many tasks swap them
 * out at once.  Their contents must be right afterwards.
 */
static unsigned long pages_that_fit(struct __test_metadata *_metadata, const char *cold,
				    unsigned long nr, unsigned int nr_tasks)
{
	struct part part[8];
	unsigned long fit, i;
	struct region r;

	EXPECT_TRUE(file_write(COLD_COMPRESSOR, cold));
	EXPECT_TRUE(region_map(&r, nr, FILL_TEXT, 3));
	region_write_all(&r);
	drain_lru_batches();
	for (i = 0; i < nr_tasks; i++) {
		part[i].r = &r;
		part[i].nr = nr / nr_tasks;
		part[i].first = i * part[i].nr;
		EXPECT_EQ(0, pthread_create(&part[i].thread, NULL, part_page_out, &part[i]));
	}
	for (i = 0; i < nr_tasks; i++)
		pthread_join(part[i].thread, NULL);
	/* A refused page may be in the swap cache, and look swapped out. */
	fit = stat_of("pages_stored");
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	region_unmap(&r);
	return fit;
}

TEST_F_TIMEOUT(cold, a_device_holds_more_before_it_is_full, TEST_SECONDS)
{
	unsigned long without, with;

	ASSERT_EQ(0, attr_write("mem_limit", "1M"));
	without = pages_that_fit(_metadata, "\n", NR_PAGES, 1);
	EXPECT_EQ(0, stat_of("num_squeezed"));
	/* The device is full until a worker finds room. */
	sleep(5);
	with = pages_that_fit(_metadata, "zstd", NR_PAGES, 1);
	TH_LOG("%lu pages fit, with those compressed again %lu", without, with);
	EXPECT_LT(0, stat_of("num_squeezed"));
	EXPECT_LT(without * 5 / 4, with);
	EXPECT_GT(NR_PAGES, with);
}

/* With more tasks than CPUs, no task is refused because of the others. */
TEST_F_TIMEOUT(cold, many_tasks_make_room_at_once, TEST_SECONDS)
{
	unsigned long without, nr, fit = 0;
	double start = 0;
	int i;

	ASSERT_EQ(0, attr_write("mem_limit", "1M"));
	without = pages_that_fit(_metadata, "\n", NR_PAGES, 1);
	/* All of these fit after recompression. */
	nr = without * 5 / 4 / 64 * 64 + 64;
	/*
	 * Each CPU counts in batches: rarely, the kernel refuses pages slightly below
	 * the limit.
	 */
	for (i = 0; i < 3 && fit < nr; i++) {
		/* As above */
		sleep(5);
		start = seconds_now();
		fit = pages_that_fit(_metadata, "zstd", nr, 8);
	}
	EXPECT_EQ(nr, fit);
	TH_LOG("%lu pages fit, %lu of eight tasks in %.2f s", without, nr,
	       seconds_now() - start);
}

/* === With a backing device =============================================== */

FIXTURE(backed) {
	struct region r;
	int zram;
};

FIXTURE_SETUP(backed)
{
	const char *reason = begin();
	char path[64];

	self->zram = -1;
	if (reason)
		SKIP(return, "%s", reason);
	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	ASSERT_EQ(0, attr_write("reset", "1"));
	self->zram = zram_create(64 * MIB);
	if (self->zram < 0)
		SKIP(return, "no zram device could be made");
	snprintf(path, sizeof(path), "/dev/zram%d", self->zram);
	ASSERT_EQ(0, attr_write("backing_dev", path));
	ASSERT_TRUE(device_on());
}

FIXTURE_TEARDOWN(backed)
{
	end(_metadata);
	if (self->zram >= 0)
		zram_remove(self->zram);
}

TEST_F_TIMEOUT(backed, cold_pages_are_written_and_are_the_same, TEST_SECONDS)
{
	char limit[32];

	map_and_swap_out(_metadata, &self->r, NR_PAGES, FILL_TEXT);
	ASSERT_EQ(0, squeeze_all());
	EXPECT_EQ((long long)NR_PAGES, stat_of("pages_cold"));
	snprintf(limit, sizeof(limit), "%lld", stat_of("compr_data_size") / 2);
	ASSERT_EQ(0, attr_write("mem_limit", limit));
	EXPECT_GE((long long)NR_PAGES * 11 / 20,
		  falls_to(stat_of, "pages_cold", NR_PAGES * 11 / 20, 30));
	EXPECT_LE((long long)NR_PAGES * 9 / 20, stat_of("bdev_num_writes"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
}

/* Recompressed pages are older than all others. */
TEST_F_TIMEOUT(backed, cold_pages_are_written_first, TEST_SECONDS)
{
	struct region young;
	long long stored;
	char limit[32];

	map_and_swap_out(_metadata, &self->r, NR_PAGES / 2, FILL_TEXT);
	ASSERT_EQ(0, squeeze_all());
	map_and_swap_out(_metadata, &young, NR_PAGES / 2, FILL_TEXT);
	/* On a slow machine, the kernel may recompress the others as well. */
	snprintf(limit, sizeof(limit), "%lld", stat_of("compr_hot_size") / 2);
	ASSERT_EQ(0, attr_write("mem_limit", limit));
	falls_to(stat_of, "compr_data_size", atoll(limit), 30);
	EXPECT_LE((long long)NR_PAGES * 2 / 5, stat_of("bdev_num_writes"));
	ASSERT_EQ(0, attr_write("mem_limit", "0"));
	/* Almost all of these pages have left memory. */
	stored = stat_of("pages_stored");
	ASSERT_EQ(0, munmap(region_page(&self->r, NR_PAGES / 4), NR_PAGES / 4 * page_size));
	EXPECT_GE((long long)NR_PAGES / 50, stored - stat_of("pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, NR_PAGES / 4));
	EXPECT_EQ(0, region_wrong_bytes_all(&young));
	region_unmap(&self->r);
	region_unmap(&young);
}

/*
 * Random pages are stored uncompressed; a sample shows that they are hopeless.
 */
TEST_F_TIMEOUT(backed, what_does_not_compress_costs_little, TEST_SECONDS)
{
	long long before, ns, random_ns = LLONG_MAX;
	int i;

	/* The best of three: an emulated CPU may stand still meanwhile. */
	for (i = 1; i <= 3; i++) {
		map_and_swap_out(_metadata, &self->r, NR_PAGES, FILL_RANDOM);
		EXPECT_EQ((long long)NR_PAGES, stat_of("pages_hot"));
		before = stat_of("squeeze_ns");
		ASSERT_EQ(0, squeeze_all());
		EXPECT_EQ(i * (long long)NR_PAGES, stat_of("num_hopeless"));
		EXPECT_EQ(0, stat_of("pages_cold"));
		ns = stat_of("squeeze_ns") - before;
		random_ns = ns < random_ns ? ns : random_ns;
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		region_unmap(&self->r);
	}
	map_and_swap_out(_metadata, &self->r, NR_PAGES, FILL_TEXT);
	before = stat_of("squeeze_ns");
	ASSERT_EQ(0, squeeze_all());
	EXPECT_GT((stat_of("squeeze_ns") - before) / 4, random_ns);
	region_unmap(&self->r);
}

/* === Cgroups ============================================================= */

TEST_F_TIMEOUT(cold, cgroups_are_charged_for_what_it_has_become, TEST_SECONDS)
{
	const long long all = NR_PAGES * page_size;
	long long zswap, memory, gained, less;
	struct gate ready, go, done;
	char dir[256];
	pid_t pid;

	if (!memcg_create("ramzswap_cold", dir, sizeof(dir)))
		SKIP(return, "no cgroup with a memory controller");
	ASSERT_TRUE(gate_init(&ready) && gate_init(&go) && gate_init(&done));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct region *r = &self->r;

		if (!memcg_enter(dir) || !region_map(r, NR_PAGES, FILL_TEXT, 5))
			_exit(2);
		region_write_all(r);
		if (region_page_out(r) != NR_PAGES)
			_exit(3);
		gate_open(&ready);
		gate_wait(&go);
		if (region_wrong_bytes_all(r))
			_exit(4);
		region_unmap(r);
		gate_open(&done);
		pause();
	}
	gate_wait(&ready);
	zswap = stat_of("compr_data_size");
	EXPECT_EQ(zswap, memcg_soon(memcg_number, dir, "memory.zswap.current", zswap));
	EXPECT_EQ(all, memcg_soon(memcg_stat, dir, "zswapped", all));
	memory = memcg_number(dir, "memory.current");

	ASSERT_EQ(0, squeeze_all());
	gained = stat_of("squeeze_gained");
	zswap -= gained;
	EXPECT_LT(0, gained);
	EXPECT_EQ(zswap, stat_of("compr_data_size"));
	EXPECT_EQ(zswap, memcg_soon(memcg_number, dir, "memory.zswap.current", zswap));
	EXPECT_EQ(zswap, memcg_soon(memcg_stat, dir, "zswap", zswap));
	EXPECT_EQ(all, memcg_stat(dir, "zswapped"));
	/* Each CPU's stock keeps charges for a while. */
	less = memory - memcg_number(dir, "memory.current");
	EXPECT_LT(gained - (long long)MIB / 2, less);
	EXPECT_GT(gained + (long long)MIB / 2, less);

	gate_open(&go);
	gate_wait(&done);
	EXPECT_EQ(0, memcg_soon(memcg_number, dir, "memory.zswap.current", 0));
	EXPECT_EQ(0, memcg_soon(memcg_stat, dir, "zswapped", 0));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_status(pid));
	memcg_remove(dir);
}

/*
 * memory.zswap.max limits the compressed size, so more recompressed pages fit.
 */
TEST_F_TIMEOUT(cold, cgroups_hold_more_below_their_limit, TEST_SECONDS)
{
	unsigned long fit[2] = {};
	char dir[256];
	int i;

	if (!memcg_create("ramzswap_cold", dir, sizeof(dir)))
		SKIP(return, "no cgroup with a memory controller");
	ASSERT_TRUE(memcg_set_number(dir, "memory.zswap.max", MIB));
	ASSERT_TRUE(memcg_enter(dir));
	for (i = 0; i < 2; i++)
		fit[i] = pages_that_fit(_metadata, i ? "zstd" : "\n", NR_PAGES, 1);
	TH_LOG("%lu pages fit, with those compressed again %lu", fit[0], fit[1]);
	EXPECT_LT(fit[0] * 5 / 4, fit[1]);
	EXPECT_GT(NR_PAGES, fit[1]);
	EXPECT_TRUE(memcg_leave(dir));
}

/*
 * A process in a cgroup writes to @nr pages, and counts them in @written.  Then it
 * verifies them.  Return: its status, see child_status().
 */
static int fill_cgroup(const char *dir, unsigned long nr, volatile unsigned long *written)
{
	pid_t pid = fork();
	struct region r;

	if (pid)
		return child_status(pid);
	file_write("/proc/self/oom_score_adj", "0");
	if (!memcg_enter(dir) || !region_map(&r, nr, FILL_TEXT, 6))
		_exit(2);
	for (*written = 0; *written < nr; ++*written)
		region_write(&r, *written, 1);
	_exit(!!region_wrong_bytes_all(&r));
}

/* Compressed pages count against memory.max, too. */
TEST_F_TIMEOUT(cold, cgroups_hold_more_before_a_process_is_killed, TEST_SECONDS)
{
	unsigned long *written = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char dir[256];
	int status;

	ASSERT_NE(MAP_FAILED, written);
	if (!memcg_create("ramzswap_cold", dir, sizeof(dir)))
		SKIP(return, "no cgroup with a memory controller");
	if (!memcg_set_number(dir, "memory.max", 4 * MIB))
		SKIP(memcg_remove(dir); return, "there is no memory.max");
	console_quiet();
	EXPECT_TRUE(file_write(COLD_COMPRESSOR, "\n"));
	status = fill_cgroup(dir, 64 * MIB / page_size, written);
	EXPECT_EQ(-SIGKILL, status);
	TH_LOG("killed after %lu pages", *written);
	EXPECT_LT(6 * MIB / page_size, *written);

	EXPECT_TRUE(file_write(COLD_COMPRESSOR, "zstd"));
	status = fill_cgroup(dir, *written * 9 / 8, written);
	EXPECT_EQ(0, status);
	EXPECT_LT(0, stat_of("num_squeezed"));
	status = fill_cgroup(dir, 64 * MIB / page_size, written);
	EXPECT_EQ(-SIGKILL, status);
	TH_LOG("where pages are compressed again, after %lu", *written);
	console_restore();
	memcg_remove(dir);
	munmap(written, page_size);
}

int main(int argc, char **argv)
{
	cold_test_begin();
	return test_harness_run(argc, argv);
}
