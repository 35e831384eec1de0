// SPDX-License-Identifier: GPL-2.0
/*
 * A ramzswap device with a backing device: what does not stay in memory goes
 * there and comes back, takes a block only while it is there, and errors of the
 * backing device lose nothing that was not on it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(16 * MIB / page_size)
#define SMALL_BYTES	(4 * MIB)

static const char *skip_reason;

/* zswap takes nothing any more. */
static bool zswap_closed(void)
{
	return file_write(ZSWAP_PARAM "max_pool_percent", "0");
}

/* Have the device alone, and a disk for it with room for what the tests swap out. */
static bool borrow_disk(char *path, size_t size)
{
	return other_swap_off() && other_swap_disk(path, size, 2 * NR_PAGES * page_size);
}

/* Pages of the test itself that go with it */
#define OWN_PAGES	64

/*
 * A page that was written to a disk stays in the swap cache until memory is
 * short, which it is made for the test's own cgroup.
 */
static bool drop_swap_cache(const char *memcg)
{
	char path[300];
	int i;

	snprintf(path, sizeof(path), "%s/memory.reclaim", memcg);
	if (access(path, F_OK))
		return false;
	for (i = 0; i < 20; i++) {
		file_write_number(path, NR_PAGES * page_size);
		usleep(10000);
	}
	return true;
}

FIXTURE(backing) {
	struct region r;
	char path[64];
	char memcg[256];
	const char *disk;
	bool ready;
};

FIXTURE_SETUP(backing)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "256M"));
	test_stay_resident();
	if (!borrow_disk(self->path, sizeof(self->path)))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	self->disk = self->path + strlen("/dev/");
	if (!memcg_create("ramzswap-test", self->memcg, sizeof(self->memcg)) ||
	    !memcg_enter(self->memcg))
		SKIP(other_swap_on(); return, "there is no cgroup2 with a memory controller");
	ASSERT_EQ(0, attr_write("backing_dev", self->path));
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 51));
	ASSERT_EQ(0, mlock(self->r.version, NR_PAGES * sizeof(*self->r.version)));
	region_write_all(&self->r);
	self->ready = true;
}

FIXTURE_TEARDOWN(backing)
{
	if (!self->ready)
		return;
	inject(self->disk, "removeall");
	region_unmap(&self->r);
	zswap_defaults();
	file_write("/proc/sys/vm/page-cluster", "0");
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	/* Nothing is left of what was swapped out. */
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, stat_of("pages_spilled"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	other_swap_on();
	*strrchr(self->memcg, '/') = '\0';
	EXPECT_TRUE(memcg_enter(self->memcg));
	strcat(self->memcg, "/ramzswap-test");
	memcg_remove(self->memcg);
}

TEST_F_TIMEOUT(backing, gets_what_zswap_does_not_take, TEST_SECONDS)
{
	int round;

	EXPECT_EQ(0, stat_of("bdev_num_writes"));
	ASSERT_TRUE(zswap_closed());
	for (round = 1; round <= 2; round++) {
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
		ASSERT_TRUE(drop_swap_cache(self->memcg));
		EXPECT_EQ(0, stat_of("pages_stored"));
		EXPECT_LE(NR_PAGES, stat_of("pages_spilled"));
		EXPECT_GE(NR_PAGES + OWN_PAGES, stat_of("pages_spilled"));
		EXPECT_LE(round * NR_PAGES, stat_of("bdev_num_writes"));
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		EXPECT_LE(round * NR_PAGES * 0.9, stat_of("bdev_num_reads"));
		region_write_all(&self->r);
	}
	EXPECT_EQ(0, stat_of("failed_reads"));
	EXPECT_EQ(0, stat_of("failed_writes"));
}

TEST_F_TIMEOUT(backing, has_no_block_for_what_is_in_memory, TEST_SECONDS)
{
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(NR_PAGES, stat_of("pages_stored"));
	EXPECT_EQ(0, stat_of("pages_spilled"));
	EXPECT_EQ(0, stat_of("bdev_num_writes"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(backing, gets_pages_once_zswap_is_switched_off, TEST_SECONDS)
{
	const unsigned long half = NR_PAGES / 2;

	ASSERT_EQ(half, page_out(self->r.mem, half));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(half, stat_of("pages_stored"));
	ASSERT_TRUE(drop_swap_cache(self->memcg));
	EXPECT_LE(NR_PAGES - half, stat_of("pages_spilled"));
	EXPECT_GE(NR_PAGES - half + OWN_PAGES, stat_of("pages_spilled"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* Cold pages are written back by zswap itself when its pool is too large. */
TEST_F_TIMEOUT(backing, gets_cold_pages_by_itself, TEST_SECONDS)
{
	struct region more;
	int i;

	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(0, stat_of("pages_spilled"));
	ASSERT_TRUE(region_map(&more, NR_PAGES, FILL_TEXT, 52));
	ASSERT_TRUE(zswap_closed());
	/* zswap sees that it is full when it is asked for more. */
	for (i = 0; i < 200 && stat_of("pages_stored") > NR_PAGES / 2; i++) {
		region_write(&more, i, 1);
		page_out(region_page(&more, i), 1);
		usleep(50000);
	}
	EXPECT_GE(NR_PAGES / 2, stat_of("pages_stored"));
	EXPECT_LE(NR_PAGES / 2, stat_of("pages_spilled"));
	EXPECT_LT(0, zswap_value("written_back_pages"));
	ASSERT_TRUE(drop_swap_cache(self->memcg));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	region_unmap(&more);
}

TEST_F_TIMEOUT(backing, gets_what_a_cgroup_may_not_have_in_zswap, TEST_SECONDS)
{
	char dir[256], path[300];
	pid_t pid;

	if (!memcg_create("ramzswap-backing", dir, sizeof(dir)))
		SKIP(return, "there is no cgroup2 with a memory controller");
	snprintf(path, sizeof(path), "%s/memory.zswap.max", dir);
	ASSERT_TRUE(file_write(path, "1048576"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct region r;
		bool good = memcg_enter(dir) && region_map(&r, NR_PAGES, FILL_TEXT, 53);

		if (good) {
			region_write_all(&r);
			good = region_page_out(&r) == NR_PAGES &&
			       stat_of("pages_spilled") > NR_PAGES / 2 &&
			       stat_of("pages_stored") < NR_PAGES / 2 &&
			       !region_wrong_bytes_all(&r);
		}
		_exit(!good);
	}
	EXPECT_EQ(0, child_status(pid));
	memcg_remove(dir);
}

TEST_F_TIMEOUT(backing, frees_blocks_in_ranges_and_singly, TEST_SECONDS)
{
	const unsigned long range = NR_PAGES / 4, again = NR_PAGES / 8;
	unsigned long i, left;

	ASSERT_TRUE(zswap_closed());
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(drop_swap_cache(self->memcg));
	left = stat_of("pages_spilled");
	ASSERT_LE(NR_PAGES, left);
	ASSERT_EQ(0, madvise(region_page(&self->r, 3), range * page_size, MADV_DONTNEED));
	region_mark_zero(&self->r, 3, range);
	left -= range;
	EXPECT_EQ(left, stat_of("pages_spilled"));
	for (i = range + 100; i < NR_PAGES; i += 7, left--) {
		ASSERT_EQ(0, madvise(region_page(&self->r, i), page_size, MADV_DONTNEED));
		region_mark_zero(&self->r, i, 1);
	}
	EXPECT_EQ(left, stat_of("pages_spilled"));
	/* A block that was freed and is used again is not confused with another. */
	region_write(&self->r, 3, again);
	EXPECT_EQ(again, page_out(region_page(&self->r, 3), again));
	ASSERT_TRUE(drop_swap_cache(self->memcg));
	EXPECT_LE(left + again, stat_of("pages_spilled") + OWN_PAGES);
	EXPECT_GE(left + again + OWN_PAGES, stat_of("pages_spilled"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(backing, gives_everything_back_at_swapoff, TEST_SECONDS)
{
	const unsigned long half = NR_PAGES / 2;

	ASSERT_EQ(half, page_out(self->r.mem, half));
	ASSERT_TRUE(zswap_closed());
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(drop_swap_cache(self->memcg));
	EXPECT_LT(0, stat_of("pages_spilled"));
	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, pages_swapped(self->r.mem, NR_PAGES));
	EXPECT_EQ(0, stat_of("pages_spilled"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	zswap_defaults();
	ASSERT_TRUE(device_on());
}

/* What two processes share stays on the disk when one of them has read it. */
TEST_F_TIMEOUT(backing, never_reads_what_is_out_of_date, TEST_SECONDS)
{
	int round, status;
	pid_t pid;

	for (round = 0; round < 4; round++) {
		if (round % 2)
			zswap_defaults();
		else
			ASSERT_TRUE(zswap_closed());
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
		ASSERT_TRUE(drop_swap_cache(self->memcg));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			unsigned long wrong = region_wrong_bytes_all(&self->r);

			region_write(&self->r, 0, NR_PAGES / 2);
			page_out(self->r.mem, NR_PAGES);
			wrong += region_wrong_bytes_all(&self->r);
			_exit(!!wrong);
		}
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		region_write(&self->r, NR_PAGES / 4, NR_PAGES / 2);
		region_page_out(&self->r);
		status = child_status(pid);
		EXPECT_EQ(0, status);
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	}
}

TEST_F_TIMEOUT(backing, writes_a_large_folio_at_once, TEST_SECONDS)
{
	long long writes, ios;
	char *large;
	size_t i;

	if (!swaps_out_folios_of(64))
		SKIP(return, "this kernel does not swap out folios of 64 KiB");
	ASSERT_TRUE(file_write(THP_64K "enabled", "always"));
	large = mmap(NULL, NR_PAGES * page_size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, large);
	for (i = 0; i < NR_PAGES; i++)
		page_fill(large + i * page_size, FILL_TEXT, 54, i, 1);
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_DONTNEED));
	region_mark_zero(&self->r, 0, NR_PAGES);
	ASSERT_TRUE(zswap_closed());
	writes = stat_of("bdev_num_writes");
	ios = stat_of("backing_write_ios");
	ASSERT_EQ(NR_PAGES, page_out(large, NR_PAGES));
	ASSERT_TRUE(drop_swap_cache(self->memcg));
	writes = stat_of("bdev_num_writes") - writes;
	ios = stat_of("backing_write_ios") - ios;
	EXPECT_LE(NR_PAGES, writes);
	/* 16 pages each, but for what was split */
	EXPECT_LT(ios * 8, writes);
	for (i = 0; i < NR_PAGES; i++) {
		char page[page_size];

		page_fill(page, FILL_TEXT, 54, i, 1);
		ASSERT_EQ(0, memcmp(page, large + i * page_size, page_size));
	}
	munmap(large, NR_PAGES * page_size);
}

/* Neighbours are read along from the disk, but not what is in memory. */
static void reads_ahead(struct __test_metadata *_metadata, struct region *r,
			const char *memcg)
{
	const unsigned long half = NR_PAGES / 2;
	unsigned long i, swapped;
	long faults;

	ASSERT_TRUE(file_write("/proc/sys/vm/page-cluster", "3"));
	ASSERT_EQ(half, page_out(r->mem, half));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(r));
	ASSERT_TRUE(drop_swap_cache(memcg));
	ASSERT_EQ(half, stat_of("pages_stored"));

	faults = major_faults();
	EXPECT_EQ(0, region_wrong_bytes(r, half + 1, half - 1));
	EXPECT_GT(half / 4, major_faults() - faults);

	/* Every second page leaves the others where they are. */
	faults = major_faults();
	for (i = 0; i < half; i += 2)
		EXPECT_EQ(0, region_wrong_bytes(r, i, 1));
	EXPECT_LE(half / 2, major_faults() - faults);
	swapped = pages_swapped(r->mem, half);
	EXPECT_EQ(half / 2, swapped);
	EXPECT_EQ(0, region_wrong_bytes_all(r));
	EXPECT_EQ(0, stat_of("failed_reads"));
}

TEST_F_TIMEOUT(backing, reads_ahead_from_the_disk_only, TEST_SECONDS)
{
	reads_ahead(_metadata, &self->r, self->memcg);
}

TEST_F_TIMEOUT(backing, reads_ahead_where_large_folios_are_enabled, TEST_SECONDS)
{
	if (!swaps_out_folios_of(64))
		SKIP(return, "this kernel does not swap out folios of 64 KiB");
	thp_only_size(64);
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	reads_ahead(_metadata, &self->r, self->memcg);
}

/* Every second page is in memory, the others are on the disk. */
TEST_F_TIMEOUT(backing, reads_one_page_where_access_is_random, TEST_SECONDS)
{
	unsigned long i, on_disk = 0;
	long long reads;
	__u64 state = 7;

	ASSERT_TRUE(file_write("/proc/sys/vm/page-cluster", "3"));
	thp_only_size(64);
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	for (i = 0; i < NR_PAGES; i += 2)
		ASSERT_EQ(1, page_out(region_page(&self->r, i), 1));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(drop_swap_cache(self->memcg));
	ASSERT_EQ(NR_PAGES / 2, stat_of("pages_stored"));

	reads = stat_of("bdev_num_reads");
	/* One of 8, far from each other and in no order */
	for (i = 0; i < NR_PAGES / 8; i++) {
		unsigned long page = i * 1237 % (NR_PAGES / 8) * 8 + random_next(&state) % 8;

		EXPECT_EQ(0, region_wrong_bytes(&self->r, page, 1));
		on_disk += page % 2;
	}
	reads = stat_of("bdev_num_reads") - reads;
	TH_LOG("%lld pages read for %lu that were wanted", reads, on_disk);
	EXPECT_GE(on_disk * 1.25, reads);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* What was read and not changed is where it was. */
TEST_F_TIMEOUT(backing, is_not_written_for_what_is_only_read, TEST_SECONDS)
{
	long long writes, reads;
	char path[300];
	int lap;

	ASSERT_TRUE(zswap_closed());
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(drop_swap_cache(self->memcg));
	writes = stat_of("bdev_num_writes");
	reads = stat_of("bdev_num_reads");
	/* The cgroup may have two thirds of its pages in memory. */
	snprintf(path, sizeof(path), "%s/memory.high", self->memcg);
	ASSERT_TRUE(file_write_number(path, NR_PAGES * page_size * 2 / 3));
	for (lap = 0; lap < 4; lap++)
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	reads = stat_of("bdev_num_reads") - reads;
	writes = stat_of("bdev_num_writes") - writes;
	ASSERT_TRUE(file_write(path, "max"));
	TH_LOG("%lld pages read, %lld written", reads, writes);
	EXPECT_LE(2 * NR_PAGES, reads);
	EXPECT_GE(OWN_PAGES, writes);
	/* What was changed is written again, and its old block is free. */
	region_write_all(&self->r);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(drop_swap_cache(self->memcg));
	EXPECT_GE(NR_PAGES + OWN_PAGES, stat_of("pages_spilled"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* What was read from the disk and is still there is younger than what was not. */
TEST_F_TIMEOUT(backing, keeps_in_memory_what_was_read, TEST_SECONDS)
{
	const long long slack = 256 * 1024;
	const unsigned long some = slack / page_size;
	long long writes, reads;
	struct region more;
	int round;

	ASSERT_TRUE(zswap_closed());
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(drop_swap_cache(self->memcg));
	zswap_defaults();
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));

	writes = stat_of("bdev_num_writes");
	reads = stat_of("bdev_num_reads");
	for (round = 0; round < 2; round++) {
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
		EXPECT_LE(NR_PAGES, stat_of("pages_stored"));
		EXPECT_LE(NR_PAGES, stat_of("backing_blocks_used"));
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	}
	EXPECT_GE(reads + OWN_PAGES, stat_of("bdev_num_reads"));

	/* The oldest of them need not be written to make room. */
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(region_map(&more, some, FILL_TEXT, 58));
	region_write_all(&more);
	ASSERT_EQ(0, attr_write("mem_limit", "1M"));
	ASSERT_EQ(some, region_page_out(&more));
	EXPECT_GE(MIB + slack, stat_of("compr_data_size"));
	EXPECT_GE(writes + OWN_PAGES, stat_of("bdev_num_writes"));
	EXPECT_GE(reads + OWN_PAGES, stat_of("bdev_num_reads"));
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_LE(reads + NR_PAGES / 2, stat_of("bdev_num_reads"));
	region_unmap(&more);

	/* What was changed has no block any more. */
	ASSERT_EQ(0, attr_write("mem_limit", "0"));
	region_write_all(&self->r);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_GE(OWN_PAGES, stat_of("backing_blocks_used"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(backing, loses_nothing_when_it_cannot_be_written, TEST_SECONDS)
{
	const char * const rules[] = {
		"add,op=WRITE,status=IOERR,chance=5",
		"add,op=WRITE,status=MEDIUM",
	};
	long long bad, failed = 0;
	char state[16];
	int i;

	if (!inject(self->disk, "removeall"))
		SKIP(return, "this kernel cannot inject I/O errors");
	ASSERT_TRUE(zswap_closed());
	EXPECT_EQ(0, stat_of("failed_writes"));
	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		ASSERT_TRUE(inject(self->disk, rules[i]));
		madvise(self->r.mem, NR_PAGES * page_size, MADV_PAGEOUT);
		usleep(200000);
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		EXPECT_LT(failed, stat_of("failed_writes"));
		failed = stat_of("failed_writes");
		region_write_all(&self->r);
	}
	ASSERT_TRUE(inject(self->disk, "removeall"));
	bad = stat_of("backing_blocks_bad");
	EXPECT_GT(NR_PAGES / 10, bad);
	/* It was stopped when none could be written. */
	for (i = 0; i < 600; i++) {
		ASSERT_TRUE(file_read(DEVICE_SYSFS "backing_state", state, sizeof(state)));
		if (!strcmp(state, "running\n"))
			break;
		usleep(100000);
	}
	EXPECT_STREQ("running\n", state);
	/* It goes on with the blocks that are left. */
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(drop_swap_cache(self->memcg));
	EXPECT_EQ(bad, stat_of("backing_blocks_bad"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, stat_of("failed_reads"));
}

/* A block that could not be written is not tried again. */
TEST_F_TIMEOUT(backing, uses_a_bad_block_once, TEST_SECONDS)
{
	const long long nr_bad = 100;
	char rule[128];
	int i;

	if (!inject(self->disk, "removeall"))
		SKIP(return, "this kernel cannot inject I/O errors");
	ASSERT_TRUE(zswap_closed());
	snprintf(rule, sizeof(rule), "add,op=WRITE,status=MEDIUM,start=%lu,nr_sectors=%llu",
		 1000 * page_size / 512, nr_bad * page_size / 512);
	ASSERT_TRUE(inject(self->disk, rule));
	/* More than the disk has blocks */
	for (i = 0; i < 6; i++) {
		region_write_all(&self->r);
		madvise(self->r.mem, NR_PAGES * page_size, MADV_PAGEOUT);
		ASSERT_TRUE(drop_swap_cache(self->memcg));
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	}
	EXPECT_LT(6 * (NR_PAGES - nr_bad), stat_of("bdev_num_writes"));
	EXPECT_EQ(0, stat_of("failed_writes"));
	EXPECT_EQ(nr_bad, stat_of("backing_blocks_bad"));
}

/* Of a large folio with a page that cannot be read, the others can. */
static void one_bad_block(struct __test_metadata *_metadata, struct region *r,
			  const char *disk, unsigned long block, const char *memcg)
{
	long long large = file_number(THP_64K "stats/swpin"), failed;
	long long before = stat_of("failed_reads");
	char rule[128];

	region_write_all(r);
	ASSERT_TRUE(zswap_closed());
	madvise(r->mem, r->nr_pages * page_size, MADV_PAGEOUT);
	ASSERT_TRUE(drop_swap_cache(memcg));
	ASSERT_LE(r->nr_pages, stat_of("pages_spilled"));
	snprintf(rule, sizeof(rule), "add,op=READ,status=IOERR,start=%lu,nr_sectors=%lu",
		 block * page_size / 512, page_size / 512);
	ASSERT_TRUE(inject(disk, rule));
	EXPECT_EQ(1, region_unreadable(r, NULL));
	ASSERT_TRUE(inject(disk, "removeall"));
	/* The disk is read page by page. */
	EXPECT_EQ(large, file_number(THP_64K "stats/swpin"));
	failed = stat_of("failed_reads") - before;
	EXPECT_EQ(1, failed);
}

TEST_F_TIMEOUT(backing, loses_a_page_to_a_bad_block_not_a_folio, TEST_SECONDS)
{
	struct region r;
	int fd;

	if (!inject(self->disk, "removeall"))
		SKIP(return, "this kernel cannot inject I/O errors");
	if (!swaps_out_folios_of(64))
		SKIP(return, "this kernel does not swap out folios of 64 KiB");
	thp_only_size(64);
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_DONTNEED));

	ASSERT_TRUE(region_map(&r, NR_PAGES, FILL_TEXT, 55));
	ASSERT_EQ(0, madvise(r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	ASSERT_EQ(0, madvise(r.mem, NR_PAGES * page_size, MADV_SEQUENTIAL));
	one_bad_block(_metadata, &r, self->disk, NR_PAGES / 2, self->memcg);
	region_unmap(&r);

	/* Blocks are used in turn. */
	fd = memfd_create("ramzswap", 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, NR_PAGES * page_size));
	zswap_defaults();
	ASSERT_TRUE(region_map_fd(&r, NR_PAGES, FILL_TEXT, 56, fd));
	one_bad_block(_metadata, &r, self->disk, NR_PAGES + NR_PAGES / 2, self->memcg);
	region_unmap(&r);
	close(fd);
}

/* What is stored last stays in memory, as much as the device may have there. */
TEST_F_TIMEOUT(backing, gets_the_oldest_pages_at_the_limit, TEST_SECONDS)
{
	const long long slack = 256 * 1024;
	const unsigned long some = slack / page_size;
	long long reads;

	ASSERT_EQ(0, attr_write("mem_limit", "1M"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(drop_swap_cache(self->memcg));
	EXPECT_GE(MIB + slack, stat_of("compr_data_size"));
	EXPECT_LE(MIB - slack, stat_of("compr_data_size"));
	EXPECT_LT(NR_PAGES / 2, stat_of("pages_spilled"));

	reads = stat_of("bdev_num_reads");
	EXPECT_EQ(0, region_wrong_bytes(&self->r, NR_PAGES - some, some));
	EXPECT_EQ(reads, stat_of("bdev_num_reads"));
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, some));
	EXPECT_LE(reads + some, stat_of("bdev_num_reads"));

	/* A lower one holds as soon as there is more to be stored. */
	ASSERT_EQ(0, attr_write("mem_limit", "512K"));
	region_write(&self->r, 0, some);
	EXPECT_EQ(some, page_out(self->r.mem, some));
	EXPECT_GE(512 * 1024 + slack / 2, stat_of("compr_data_size"));
	ASSERT_TRUE(drop_swap_cache(self->memcg));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* In a pool at its limit, what is freed makes room, though it leaves holes in all pages. */
TEST_F_TIMEOUT(backing, is_written_only_for_what_has_no_room_in_holes, TEST_SECONDS)
{
	unsigned long i, freed, nr;
	long long stored, writes;
	struct region fill, r;

	/* Only what is freed and stored here is to be in the pool. */
	madvise(self->r.mem, NR_PAGES * page_size, MADV_DONTNEED);
	region_mark_zero(&self->r, 0, NR_PAGES);
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "1"));
	nr = meminfo_kb("MemTotal:") * 1024 / 100 / page_size * 3;
	ASSERT_TRUE(region_map(&fill, nr, FILL_HALF, 56));
	region_write_all(&fill);
	ASSERT_EQ(nr, region_page_out(&fill));
	ASSERT_TRUE(drop_swap_cache(self->memcg));
	stored = stat_of("pages_stored");
	ASSERT_LT(0, stat_of("bdev_num_writes"));
	EXPECT_LT(nr / 3, stored);

	srandom(56);
	for (i = 0; i < nr; i++)
		if (random() % 3 == 0) {
			madvise(fill.mem + i * page_size, page_size, MADV_DONTNEED);
			region_mark_zero(&fill, i, 1);
		}
	freed = stored - stat_of("pages_stored");
	ASSERT_LT(stored / 4, (long long)freed);

	writes = stat_of("bdev_num_writes");
	ASSERT_TRUE(region_map(&r, freed * 9 / 10, FILL_HALF, 57));
	region_write_all(&r);
	EXPECT_EQ(r.nr_pages, region_page_out(&r));
	ASSERT_TRUE(drop_swap_cache(self->memcg));
	writes = stat_of("bdev_num_writes") - writes;
	TH_LOG("%lld pages stored, %lu freed, %lu stored again, %lld written", stored,
	       freed, r.nr_pages, writes);
	EXPECT_GE((long long)r.nr_pages / 8, writes);
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	EXPECT_EQ(0, region_wrong_bytes_all(&fill));
	region_unmap(&r);
	region_unmap(&fill);
}

TEST_F_TIMEOUT(backing, gives_a_signal_for_what_cannot_be_read, TEST_SECONDS)
{
	pid_t pid;

	if (!inject(self->disk, "removeall"))
		SKIP(return, "this kernel cannot inject I/O errors");
	ASSERT_TRUE(zswap_closed());
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(drop_swap_cache(self->memcg));
	ASSERT_TRUE(inject(self->disk, "add,op=READ,status=IOERR"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		region_wrong_bytes(&self->r, 0, 1);
		_exit(0);
	}
	EXPECT_EQ(-SIGBUS, child_status(pid));
	EXPECT_LT(0, stat_of("failed_reads"));
	/* The others are there. The swap cache knows that the first could not be read. */
	ASSERT_TRUE(inject(self->disk, "removeall"));
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 1, NR_PAGES - 1));
}

TEST_F_TIMEOUT(backing, holds_while_processes_come_and_go, TEST_SECONDS)
{
	const double end = seconds_now() + 10;
	int status, round = 0;
	pid_t pids[3];
	int i;

	file_write(ZSWAP_PARAM "shrinker_enabled", "Y");
	while (seconds_now() < end || round < 4) {
		/* Now to the one, now to the other */
		file_write(ZSWAP_PARAM "max_pool_percent", round++ % 2 ? "90" : "0");
		for (i = 0; i < ARRAY_SIZE(pids); i++) {
			pids[i] = fork();
			ASSERT_LE(0, pids[i]);
			if (!pids[i]) {
				unsigned long part = NR_PAGES / 4 * i, wrong;

				region_write(&self->r, part, NR_PAGES / 4);
				madvise(self->r.mem, NR_PAGES * page_size, MADV_PAGEOUT);
				wrong = region_wrong_bytes_all(&self->r);
				madvise(self->r.mem, NR_PAGES * page_size, MADV_PAGEOUT);
				_exit(!!wrong);
			}
		}
		madvise(self->r.mem, NR_PAGES * page_size, MADV_PAGEOUT);
		if (round % 4 == 0) {
			EXPECT_EQ(0, swapoff(DEVICE_PATH));
			EXPECT_EQ(0, stat_of("pages_spilled"));
			EXPECT_TRUE(device_on());
		}
		for (i = 0; i < ARRAY_SIZE(pids); i++) {
			status = child_status(pids[i]);
			EXPECT_EQ(0, status);
		}
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	}
	TH_LOG("%d rounds", round);
	EXPECT_EQ(0, stat_of("failed_reads"));
	EXPECT_LT(0, stat_of("bdev_num_writes"));
}

/* === A small one ========================================================= */

FIXTURE(small) {
	struct region r;
	int zram;
	bool ready;
};

FIXTURE_SETUP(small)
{
	char path[64];

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	test_stay_resident();
	self->zram = zram_create(SMALL_BYTES);
	if (self->zram < 0)
		SKIP(return, "no zram device could be made");
	other_swap_off();
	snprintf(path, sizeof(path), "/dev/zram%d", self->zram);
	ASSERT_EQ(0, attr_write("backing_dev", path));
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 55));
	region_write_all(&self->r);
	self->ready = true;
}

FIXTURE_TEARDOWN(small)
{
	if (!self->ready)
		return;
	region_unmap(&self->r);
	zswap_defaults();
	file_write("/proc/sys/vm/page-cluster", "0");
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, stat_of("pages_spilled"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	zram_remove(self->zram);
	other_swap_on();
}

TEST_F_TIMEOUT(small, has_the_rest_stay_in_memory, TEST_SECONDS)
{
	const unsigned long blocks = SMALL_BYTES / page_size - 1;

	EXPECT_EQ(blocks, stat_of("backing_blocks_total"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	region_page_out(&self->r);
	EXPECT_EQ(blocks, stat_of("backing_blocks_used"));
	EXPECT_EQ(0, meminfo_kb("SwapFree:"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_LT(0, meminfo_kb("SwapFree:"));
	/* And zswap takes what the backing device cannot. */
	region_write_all(&self->r);
	region_page_out(&self->r);
	EXPECT_EQ(blocks, stat_of("backing_blocks_used"));
	zswap_defaults();
	usleep(300000);
	EXPECT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_LE(NR_PAGES - blocks - 64, stat_of("pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* Pages that were read and not changed have blocks only as long as there are enough. */
TEST_F_TIMEOUT(small, takes_blocks_back_when_they_are_short, TEST_SECONDS)
{
	const unsigned long blocks = SMALL_BYTES / page_size - 1, some = blocks / 2 - 20;

	ASSERT_TRUE(zswap_closed());
	ASSERT_EQ(some, page_out(self->r.mem, some));
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, some));
	EXPECT_LE(some, stat_of("backing_blocks_used"));
	/* As many as there are blocks */
	EXPECT_EQ(blocks - 20, page_out(region_page(&self->r, some), blocks - 20));
	EXPECT_EQ(0, pages_swapped(self->r.mem, some));
	/* From half on, a page that is read leaves its block. */
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_GE(blocks / 2 + 20, stat_of("backing_blocks_used"));
	EXPECT_LE(blocks / 2 - 20, stat_of("backing_blocks_used"));
}

/* Nor have pages that are in zswap as well. */
TEST_F_TIMEOUT(small, takes_back_blocks_of_what_zswap_has, TEST_SECONDS)
{
	const unsigned long blocks = SMALL_BYTES / page_size - 1, some = blocks / 2 - 20;

	ASSERT_TRUE(zswap_closed());
	ASSERT_EQ(some, page_out(self->r.mem, some));
	zswap_defaults();
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, some));
	ASSERT_EQ(some, page_out(self->r.mem, some));
	ASSERT_LE(some, stat_of("pages_stored"));
	EXPECT_LE(some, stat_of("backing_blocks_used"));
	/* As many as there are blocks; zswap keeps what it has. */
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	EXPECT_EQ(blocks - 20, page_out(region_page(&self->r, some), blocks - 20));
	EXPECT_LE(some, stat_of("pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* Nothing is next to each other on a device that is nearly full. */
TEST_F_TIMEOUT(small, takes_large_folios_in_pieces, TEST_SECONDS)
{
	const unsigned long blocks = SMALL_BYTES / page_size - 1, nr = blocks / 4;
	char *large;
	unsigned long i;

	if (!swaps_out_folios_of(64))
		SKIP(return, "this kernel does not swap out folios of 64 KiB");
	ASSERT_TRUE(zswap_closed());
	ASSERT_EQ(blocks, page_out(self->r.mem, blocks));
	for (i = 0; i < blocks; i += 2) {
		ASSERT_EQ(0, madvise(region_page(&self->r, i), page_size, MADV_DONTNEED));
		region_mark_zero(&self->r, i, 1);
	}
	ASSERT_TRUE(file_write(THP_64K "enabled", "always"));
	large = mmap(NULL, nr * page_size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, large);
	for (i = 0; i < nr; i++)
		page_fill(large + i * page_size, FILL_TEXT, 56, i, 1);
	EXPECT_EQ(nr, page_out(large, nr));
	for (i = 0; i < nr; i++) {
		char page[page_size];

		page_fill(page, FILL_TEXT, 56, i, 1);
		ASSERT_EQ(0, memcmp(page, large + i * page_size, page_size));
	}
	munmap(large, nr * page_size);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* === A file ============================================================== */

#define FILE_SYSTEM_BYTES	(96 * MIB)
#define FILE_BYTES		(24 * MIB)

FIXTURE(file) {
	struct region r;
	char dir[64], path[80], memcg[256];
	int zram;
	bool mounted, in_memcg;
};

static bool append(const char *path, size_t size)
{
	static char buf[MIB];
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	bool good = fd >= 0;

	while (good && size) {
		size_t part = size < sizeof(buf) ? size : sizeof(buf);

		good = write(fd, buf, part) == (ssize_t)part;
		size -= part;
	}
	good = good && !fsync(fd);
	close(fd);
	return good;
}

/* A file in pieces: others lie between them. */
static bool make_file(const char *path)
{
	char other[128];
	int i;

	snprintf(other, sizeof(other), "%s.other", path);
	for (i = 0; i < 8; i++)
		if (!append(path, FILE_BYTES / 8) || !append(other, MIB / 2))
			return false;
	return true;
}

FIXTURE_SETUP(file)
{
	char dev[32], command[128];

	self->zram = -1;
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	test_stay_resident();
	self->zram = zram_create(FILE_SYSTEM_BYTES);
	if (self->zram < 0)
		SKIP(return, "no zram device could be made");
	snprintf(dev, sizeof(dev), "/dev/zram%d", self->zram);
	snprintf(command, sizeof(command), "mke2fs -b %lu %s >/dev/null 2>&1", page_size, dev);
	strcpy(self->dir, "/tmp/ramzswap-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	if (system(command) || mount(dev, self->dir, "ext4", 0, NULL))
		SKIP(zram_remove(self->zram); return, "no file system could be made");
	self->mounted = true;
	snprintf(self->path, sizeof(self->path), "%s/file", self->dir);
	other_swap_off();
	ASSERT_TRUE(make_file(self->path));
}

FIXTURE_TEARDOWN(file)
{
	if (!self->mounted)
		return;
	zswap_defaults();
	swapoff(DEVICE_PATH);
	EXPECT_EQ(0, stat_of("pages_spilled"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	/* Nothing holds the file any longer. */
	EXPECT_EQ(0, umount(self->dir));
	rmdir(self->dir);
	zram_remove(self->zram);
	other_swap_on();
	if (self->in_memcg) {
		*strrchr(self->memcg, '/') = '\0';
		EXPECT_TRUE(memcg_enter(self->memcg));
		strcat(self->memcg, "/ramzswap-test");
		memcg_remove(self->memcg);
	}
}

TEST_F_TIMEOUT(file, gives_back_what_was_swapped_out, TEST_SECONDS)
{
	int round;

	ASSERT_EQ(0, attr_write("backing_dev", self->path));
	ASSERT_TRUE(device_on());
	self->in_memcg = memcg_create("ramzswap-test", self->memcg, sizeof(self->memcg)) &&
			 memcg_enter(self->memcg);
	if (!self->in_memcg)
		SKIP(return, "there is no cgroup2 with a memory controller");
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 57));
	ASSERT_EQ(0, mlock(self->r.version, NR_PAGES * sizeof(*self->r.version)));
	ASSERT_TRUE(zswap_closed());
	for (round = 0; round < 3; round++) {
		region_write_all(&self->r);
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
		ASSERT_TRUE(drop_swap_cache(self->memcg));
		EXPECT_LE(NR_PAGES, stat_of("pages_spilled"));
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	}
	EXPECT_LE(2 * NR_PAGES, stat_of("bdev_num_reads"));
	EXPECT_EQ(0, stat_of("failed_reads"));
	region_unmap(&self->r);
}

TEST_F_TIMEOUT(file, is_nobody_elses_meanwhile, TEST_SECONDS)
{
	struct stat st;
	int fd;

	ASSERT_EQ(0, stat(self->path, &st));
	ASSERT_EQ(0, attr_write("backing_dev", self->path));
	fd = open(self->path, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, write(fd, "x", 1));
	EXPECT_EQ(ETXTBSY, errno);
	EXPECT_EQ(-1, ftruncate(fd, 0));
	EXPECT_EQ(ETXTBSY, errno);
	EXPECT_EQ(-1, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, MIB));
	EXPECT_EQ(ETXTBSY, errno);
	EXPECT_EQ(-1, unlink(self->path));
	EXPECT_EQ(EPERM, errno);
	EXPECT_FALSE(swap_enable(self->path, -1));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(-1, umount(self->dir));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(0, attr_write("backing_dev", "none"));
	EXPECT_EQ(1, write(fd, "x", 1));
	EXPECT_EQ(0, ftruncate(fd, 0));
	close(fd);
	EXPECT_EQ(0, unlink(self->path));
}

TEST_F_TIMEOUT(file, is_refused_with_holes_and_elsewhere, TEST_SECONDS)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s.holes", self->path);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, FILE_BYTES));
	EXPECT_EQ(EINVAL, attr_write("backing_dev", path));
	/* It was let go of. */
	EXPECT_EQ(1, write(fd, "x", 1));
	ASSERT_EQ(0, ftruncate(fd, 100));
	EXPECT_EQ(EINVAL, attr_write("backing_dev", path));
	close(fd);
	EXPECT_EQ(0, unlink(path));
	EXPECT_EQ(EISDIR, attr_write("backing_dev", self->dir));
	/* A file system that does not tell where its blocks are */
	EXPECT_EQ(EINVAL, attr_write("backing_dev", "/proc/self/oom_score_adj"));
}

/* === Attaching it ======================================================== */

TEST(backing_device_is_refused_with_a_reason)
{
	static const struct {
		const char *path;
		int error;
	} bad[] = {
		{ "\n", EINVAL }, { "/dev/does-not-exist", ENOENT },
		{ "/dev/null", ENOTBLK },
		{ "/proc", EISDIR },
		{ DEVICE_PATH, EINVAL },
	};
	struct swap_area areas[8];
	char path[128];
	int i, nr;

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(bad[i].error, attr_write("backing_dev", bad[i].path)) {
			TH_LOG("backing_dev number %d", i);
		}
	}
	nr = swap_areas(areas, ARRAY_SIZE(areas));
	if (nr)
		EXPECT_EQ(EBUSY, attr_write("backing_dev", areas[0].path));
	ASSERT_TRUE(file_read(DEVICE_SYSFS "backing_dev", path, sizeof(path)));
	EXPECT_STREQ("none\n", path);
	EXPECT_EQ(0, attr_write("backing_dev", "none"));
}

TEST(backing_device_is_held_and_given_back)
{
	char path[64], value[128], name[80], block[4096] = "";
	int fd, writer;

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	if (!borrow_disk(path, sizeof(path)))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	snprintf(name, sizeof(name), "%s\n", path);
	/* Who has it open already can write to it before and after, but not meanwhile. */
	writer = open(path, O_WRONLY);
	ASSERT_LE(0, writer);
	EXPECT_EQ(sizeof(block), pwrite(writer, block, sizeof(block), MIB));
	ASSERT_EQ(0, attr_write("backing_dev", name));
	EXPECT_EQ(-1, pwrite(writer, block, sizeof(block), MIB));
	EXPECT_EQ(ETXTBSY, errno);
	ASSERT_TRUE(file_read(DEVICE_SYSFS "backing_dev", value, sizeof(value)));
	EXPECT_STREQ(name, value);
	EXPECT_FALSE(swap_enable(path, -1));
	EXPECT_EQ(EBUSY, errno);
	fd = open(path, O_RDONLY | O_EXCL);
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(EBUSY, errno);
	ASSERT_TRUE(device_on());
	EXPECT_EQ(EBUSY, attr_write("backing_dev", "none"));
	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(EBUSY, attr_write("backing_dev", "none"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	ASSERT_TRUE(file_read(DEVICE_SYSFS "backing_dev", value, sizeof(value)));
	EXPECT_STREQ("none\n", value);
	EXPECT_EQ(0, attr_write("backing_dev", path));
	EXPECT_EQ(0, attr_write("backing_dev", "none"));
	EXPECT_EQ(sizeof(block), pwrite(writer, block, sizeof(block), MIB));
	close(writer);
	fd = open(path, O_RDONLY | O_EXCL);
	EXPECT_LE(0, fd);
	close(fd);
	other_swap_on();
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	if (!skip_reason && access(DEVICE_SYSFS "backing_dev", F_OK))
		skip_reason = "this kernel has no ramzswap device with a backing device";
	return test_harness_run(argc, argv);
}
