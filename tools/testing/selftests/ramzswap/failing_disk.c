// SPDX-License-Identifier: GPL-2.0
/*
 * A ramzswap device whose backing device fails. Only pages on the backing device
 * may be lost. A bad sector costs a block. The kernel stops a device that does not
 * work at all, and resumes by itself.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/loop.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(16 * MIB / page_size)
/* Pages of the test itself that are swapped out as well */
#define OWN_PAGES	64
/* Time for the worker to fail often enough on an emulated debug kernel. */
#define STOP_SECONDS	90

static const char *skip_reason;

FIXTURE(failing) {
	struct region r;
	char path[64], memcg[256];
	const char *disk;
	bool ready;
};

FIXTURE_SETUP(failing)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "256M"));
	test_stay_resident();
	if (!borrow_disk(self->path, sizeof(self->path), 2 * NR_PAGES * page_size))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	self->disk = self->path + strlen("/dev/");
	if (!inject(self->disk, "removeall"))
		SKIP(other_swap_on(); return, "this kernel cannot inject I/O errors");
	if (!memcg_enter_own(self->memcg, sizeof(self->memcg)))
		SKIP(other_swap_on(); return, "there is no cgroup2 with a memory controller");
	EXPECT_TRUE(backing_is("none"));
	ASSERT_EQ(0, attr_write("backing_dev", self->path));
	EXPECT_TRUE(backing_is("running"));
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 81));
	ASSERT_EQ(0, mlock(self->r.version, NR_PAGES * sizeof(*self->r.version)));
	region_write_all(&self->r);
	self->ready = true;
}

FIXTURE_TEARDOWN(failing)
{
	if (!self->ready)
		return;
	inject(self->disk, "removeall");
	region_unmap(&self->r);
	zswap_defaults();
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, stat_of("pages_spilled"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	other_swap_on();
	EXPECT_TRUE(memcg_leave(self->memcg));
}

/* === Stopped, and going on =============================================== */

static void fails_for_a_while(struct __test_metadata *_metadata, struct region *r,
			      const char *disk, const char *memcg, const char *rule)
{
	const double start = seconds_now();
	long long stops = stat_of("backing_stops");

	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_TRUE(inject(disk, rule));
	do {
		region_write(r, 0, NR_PAGES / 4);
		madvise(r->mem, NR_PAGES * page_size, MADV_PAGEOUT);
		EXPECT_EQ(0, region_wrong_bytes_all(r));
	} while (seconds_now() < start + 3 ||
		 (!backing_is("stopped") && seconds_now() < start + STOP_SECONDS));
	EXPECT_TRUE(backing_is("stopped"));
	EXPECT_EQ(1, stat_of("backing_stopped"));
	EXPECT_LT(stops, stat_of("backing_stops"));
	/* No page can be swapped out, and SwapFree says so. */
	EXPECT_EQ(0, meminfo_kb("SwapFree:"));
	EXPECT_EQ(0, stat_of("backing_blocks_bad"));

	ASSERT_TRUE(inject(disk, "removeall"));
	ASSERT_TRUE(backing_gets("running", 60));
	EXPECT_EQ(0, stat_of("backing_stopped"));
	EXPECT_TRUE(soon(swap_has_room));
	ASSERT_EQ(NR_PAGES, region_page_out(r));
	memcg_reclaim(memcg, NR_PAGES * page_size);
	EXPECT_LE(NR_PAGES, stat_of("pages_spilled"));
	EXPECT_EQ(0, region_wrong_bytes_all(r));
	EXPECT_EQ(0, stat_of("backing_blocks_bad"));
	EXPECT_EQ(0, stat_of("failed_reads"));
}

TEST_F_TIMEOUT(failing, is_stopped_for_transport_errors_and_goes_on_by_itself, TEST_SECONDS)
{
	fails_for_a_while(_metadata, &self->r, self->disk, self->memcg,
			  "add,op=WRITE,status=TRANSPORT");
}

TEST_F_TIMEOUT(failing, retires_nothing_when_all_writes_fail_for_no_known_reason, TEST_SECONDS)
{
	fails_for_a_while(_metadata, &self->r, self->disk, self->memcg,
			  "add,op=WRITE,status=IOERR");
}

/* A thin volume without space accepts writes to the blocks that it has, and no others. */
TEST_F_TIMEOUT(failing, is_stopped_while_the_volume_is_full, TEST_SECONDS)
{
	const double end = seconds_now() + STOP_SECONDS;
	long long stops = stat_of("backing_stops");
	char rule[128];

	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	snprintf(rule, sizeof(rule), "add,op=WRITE,status=NOSPC,start=%lu",
		 NR_PAGES / 2 * page_size / 512);
	ASSERT_TRUE(inject(self->disk, rule));
	while (!backing_is("stopped") && seconds_now() < end)
		madvise(self->r.mem, NR_PAGES * page_size, MADV_PAGEOUT);
	EXPECT_LT(NR_PAGES / 2 - 64, stat_of("pages_spilled"));
	/*
	 * The kernel tries the device meanwhile, but not with a block that was written
	 * before and has become free: that write would succeed.
	 */
	madvise(self->r.mem, NR_PAGES / 8 * page_size, MADV_DONTNEED);
	region_mark_zero(&self->r, 0, NR_PAGES / 8);
	EXPECT_GT(NR_PAGES / 2 - NR_PAGES / 16, stat_of("pages_spilled"));
	usleep(4500000);
	EXPECT_TRUE(backing_is("stopped"));
	EXPECT_EQ(stops + 1, stat_of("backing_stops"));
	EXPECT_EQ(0, stat_of("backing_blocks_bad"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	ASSERT_TRUE(inject(self->disk, "removeall"));
	ASSERT_TRUE(backing_gets("running", 60));
	EXPECT_TRUE(soon(swap_has_room));
	region_write(&self->r, 0, NR_PAGES / 8);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, stat_of("failed_reads"));
}

/* The disk accepts nothing, and there is no memory: the process is killed or survives. */
TEST_F_TIMEOUT(failing, ends_in_a_kill_and_not_in_memory_full_of_swap_cache, TEST_SECONDS)
{
	char dir[256];
	long long cached;
	int status;
	pid_t pid;

	console_quiet();
	ASSERT_EQ(0, attr_write("mem_limit", "2M"));
	ASSERT_TRUE(inject(self->disk, "add,op=WRITE,status=IOERR"));
	cached = meminfo_kb("SwapCached:");
	ASSERT_TRUE(memcg_create("ramzswap-hog", dir, sizeof(dir)));
	ASSERT_TRUE(memcg_set(dir, "memory.max", "50331648"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct region r;

		if (!memcg_enter(dir) || !region_map(&r, 8 * NR_PAGES, FILL_TEXT, 82))
			_exit(1);
		region_write_all(&r);
		_exit(!!region_wrong_bytes_all(&r));
	}
	status = child_status(pid);
	console_restore();
	EXPECT_TRUE(!status || status == -SIGKILL);
	TH_LOG("ended with %d", status);
	EXPECT_TRUE(backing_is("stopped"));
	EXPECT_GT(4096, meminfo_kb("SwapCached:") - cached);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	memcg_remove(dir);
}

/* === Bad blocks ========================================================== */

static void one_bad_sector(struct __test_metadata *_metadata, struct region *own,
			   const char *disk, const char *memcg, const char *status)
{
	long long bad = stat_of("backing_blocks_bad"), large;
	long long failed = stat_of("failed_writes");
	struct region r;
	char rule[128];

	if (!swaps_out_folios_of(64))
		SKIP(return, "this kernel does not swap out folios of 64 KiB");
	thp_only_size(64);
	madvise(own->mem, NR_PAGES * page_size, MADV_DONTNEED);
	region_mark_zero(own, 0, NR_PAGES);
	ASSERT_TRUE(zswap_close());
	large = file_number(THP_64K "stats/swpout");
	ASSERT_TRUE(region_map(&r, NR_PAGES, FILL_TEXT, 83));
	ASSERT_EQ(0, madvise(r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	region_write_all(&r);
	snprintf(rule, sizeof(rule), "add,op=WRITE,status=%s,start=%lu,nr_sectors=1",
		 status, (NR_PAGES / 2 * page_size + 512) / 512);
	ASSERT_TRUE(inject(disk, rule));
	ASSERT_EQ(NR_PAGES, region_page_out(&r));
	memcg_reclaim(memcg, NR_PAGES * page_size);
	EXPECT_LT(NR_PAGES / 16 / 2, file_number(THP_64K "stats/swpout") - large);
	EXPECT_EQ(bad + 1, stat_of("backing_blocks_bad"));
	EXPECT_EQ(failed, stat_of("failed_writes"));
	EXPECT_TRUE(backing_is("running"));
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	EXPECT_EQ(0, stat_of("failed_reads"));
	region_unmap(&r);
}

TEST_F_TIMEOUT(failing, loses_a_block_to_a_bad_sector_in_a_large_folio, TEST_SECONDS)
{
	one_bad_sector(_metadata, &self->r, self->disk, self->memcg, "MEDIUM");
}

TEST_F_TIMEOUT(failing, finds_the_bad_sector_if_the_driver_does_not_tell, TEST_SECONDS)
{
	one_bad_sector(_metadata, &self->r, self->disk, self->memcg, "IOERR");
}

/* Let writes of other pages fail until the device stops; zswap accepts no pages. */
static bool stop_backing(const char *disk)
{
	const double end = seconds_now() + STOP_SECONDS;
	struct region r;
	bool stopped;

	if (!file_write(ZSWAP_PARAM "enabled", "N") ||
	    !inject(disk, "add,op=WRITE,status=OFFLINE") ||
	    !region_map(&r, NR_PAGES / 4, FILL_TEXT, 84))
		return false;
	do {
		region_write_all(&r);
		madvise(r.mem, r.nr_pages * page_size, MADV_PAGEOUT);
		stopped = backing_is("stopped");
	} while (!stopped && seconds_now() < end);
	stopped &= !region_wrong_bytes_all(&r);
	region_unmap(&r);
	return file_write(ZSWAP_PARAM "enabled", "Y") && stopped;
}

TEST_F_TIMEOUT(failing, is_read_from_while_it_is_stopped, TEST_SECONDS)
{
	long long reads;

	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	memcg_reclaim(self->memcg, NR_PAGES * page_size);
	EXPECT_LE(NR_PAGES, stat_of("pages_spilled"));
	ASSERT_TRUE(stop_backing(self->disk));
	reads = stat_of("bdev_num_reads");
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_LE(NR_PAGES, stat_of("bdev_num_reads") - reads);
	EXPECT_EQ(0, stat_of("failed_reads"));
	EXPECT_TRUE(backing_is("stopped"));
}

/* === Writeback that is refused, or fails ================================= */

/* The cgroup's charge, and the statistics of its pages */
/* Pages in memory when the disk fails need not be read from there again. */
TEST_F_TIMEOUT(failing, is_not_relied_upon_while_it_is_stopped, TEST_SECONDS)
{
	unsigned long i, readable = 0;

	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "Y"));
	ASSERT_EQ(0, region_wrong_bytes_all(&self->r));
	ASSERT_TRUE(stop_backing(self->disk));
	ASSERT_TRUE(inject(self->disk, "add,op=READ,status=OFFLINE"));
	ASSERT_LE(NR_PAGES * 9 / 10, region_page_out(&self->r));
	for (i = 0; i < NR_PAGES; i++)
		readable += page_readable(region_page(&self->r, i));
	EXPECT_EQ(NR_PAGES, readable);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

static const char * const traces[] = {
	"zswap", "zswapped", "zswpwb", "swapcached",
	"workingset_refault_anon", "workingset_activate_anon", "workingset_restore_anon",
};

static void look_for_traces(const char *memcg, long long *values)
{
	char path[300];
	unsigned int i;

	memcg_stats_settle();
	for (i = 0; i < ARRAY_SIZE(traces); i++)
		values[i] = memcg_stat(memcg, traces[i]);
	snprintf(path, sizeof(path), "%s/memory.swap.current", memcg);
	/* cgroup v1 has other files, and does not charge the pages in zswap. */
	values[i] = access(path, F_OK) ? memcg_stat(memcg, "swap") : file_number(path);
}

static void expect_same_traces(struct __test_metadata *_metadata, const char *memcg,
			       const long long *before)
{
	long long after[ARRAY_SIZE(traces) + 1];
	unsigned int i;

	look_for_traces(memcg, after);
	for (i = 0; i < ARRAY_SIZE(after); i++)
		EXPECT_EQ(before[i], after[i])
			TH_LOG("%s", i < ARRAY_SIZE(traces) ? traces[i] : "swap.current");
	EXPECT_LE((NR_PAGES - 64) * page_size, before[ARRAY_SIZE(traces)]);
	/* These numbers exist, or are -1 with cgroup v1. */
	EXPECT_NE(0, before[0]);
	EXPECT_NE(0, before[1]);
}

TEST_F_TIMEOUT(failing, refuses_writeback_without_a_trace_while_it_is_stopped, TEST_SECONDS)
{
	long long before[ARRAY_SIZE(traces) + 1], stored, written;
	int i;

	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(stop_backing(self->disk));
	stored = stat_of("pages_stored");
	EXPECT_LT(NR_PAGES - 64, stored);
	written = zswap_value("written_back_pages");
	look_for_traces(self->memcg, before);

	ASSERT_TRUE(file_write(ZSWAP_PARAM "shrinker_enabled", "Y"));
	ASSERT_EQ(0, attr_write("mem_limit", "1M"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "0"));
	for (i = 0; i < 10; i++) {
		ASSERT_TRUE(file_write("/proc/sys/vm/drop_caches", "2"));
		usleep(100000);
	}
	EXPECT_TRUE(backing_is("stopped"));
	EXPECT_EQ(stored, stat_of("pages_stored"));
	EXPECT_EQ(written, zswap_value("written_back_pages"));
	expect_same_traces(_metadata, self->memcg, before);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* Pages that zswap could not write are still stored, or stored again. */
TEST_F_TIMEOUT(failing, leaves_no_page_stuck_in_the_swap_cache, TEST_SECONDS)
{
	const double end = seconds_now() + STOP_SECONDS;
	long long cached, failed;
	char path[300];

	snprintf(path, sizeof(path), "%s/memory.zswap.current", self->memcg);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	memcg_reclaim(self->memcg, NR_PAGES * page_size);
	cached = meminfo_kb("SwapCached:");
	failed = stat_of("failed_writes");
	ASSERT_TRUE(inject(self->disk, "add,op=WRITE,status=IOERR"));
	/* The worker begins to write. */
	ASSERT_EQ(0, attr_write("mem_limit", "1M"));
	while (!backing_is("stopped") && seconds_now() < end) {
		usleep(100000);
		attr_write("mem_limit", "1M");
	}
	EXPECT_TRUE(backing_is("stopped"));
	failed = stat_of("failed_writes") - failed;
	TH_LOG("%lld writes failed, %lld kB more in the swap cache", failed,
	       meminfo_kb("SwapCached:") - cached);
	EXPECT_LE(8, failed);

	ASSERT_EQ(0, attr_write("mem_limit", "0"));
	usleep(200000);
	memcg_reclaim(self->memcg, NR_PAGES * page_size);
	EXPECT_GE(4 * page_size / 1024, meminfo_kb("SwapCached:") - cached);
	EXPECT_LE(NR_PAGES - 4, stat_of("pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	madvise(self->r.mem, NR_PAGES * page_size, MADV_DONTNEED);
	region_mark_zero(&self->r, 0, NR_PAGES);
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, file_number(path));
	/* Failed writes leave no charge either. */
	EXPECT_EQ(0, memcg_soon(memcg_stat, self->memcg, "swapcached", 0));
	snprintf(path, sizeof(path), "%s/memory.swap.current", self->memcg);
	EXPECT_GE(OWN_PAGES * page_size, file_number(path));
}

/* === Some writes fail ==================================================== */

static void every_tenth_write_fails(struct __test_metadata *_metadata, struct region *r,
				    const char *disk, const char *memcg,
				    const char *status, bool may_be_blocks)
{
	const double end = seconds_now() + 4;
	long long written = stat_of("bdev_num_writes");
	char rule[128];

	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	snprintf(rule, sizeof(rule), "add,op=WRITE,chance=10,status=%s", status);
	ASSERT_TRUE(inject(disk, rule));
	do {
		region_write(r, 0, NR_PAGES / 4);
		madvise(r->mem, NR_PAGES * page_size, MADV_PAGEOUT);
		EXPECT_EQ(0, region_wrong_bytes_all(r));
	} while (seconds_now() < end);
	TH_LOG("%lld pages written, %lld failed, %lld blocks bad",
	       stat_of("bdev_num_writes") - written, stat_of("failed_writes"),
	       stat_of("backing_blocks_bad"));
	EXPECT_LT(NR_PAGES / 8, stat_of("bdev_num_writes") - written);
	/* Some always succeed. */
	EXPECT_EQ(0, stat_of("backing_stops"));
	if (may_be_blocks) {
		/* One write in a hundred failed twice. */
		EXPECT_LT(0, stat_of("backing_blocks_bad"));
		EXPECT_GT((stat_of("bdev_num_writes") - written) / 20,
			  stat_of("backing_blocks_bad"));
	} else {
		EXPECT_EQ(0, stat_of("backing_blocks_bad"));
		EXPECT_LT(0, stat_of("failed_writes"));
	}
	ASSERT_TRUE(inject(disk, "removeall"));
	region_write_all(r);
	ASSERT_EQ(NR_PAGES, region_page_out(r));
	memcg_reclaim(memcg, NR_PAGES * page_size);
	EXPECT_LE(NR_PAGES, stat_of("pages_spilled"));
	EXPECT_EQ(0, region_wrong_bytes_all(r));
	EXPECT_EQ(0, stat_of("failed_reads"));
}

TEST_F_TIMEOUT(failing, has_every_tenth_write_fail_in_the_transport, TEST_SECONDS)
{
	every_tenth_write_fails(_metadata, &self->r, self->disk, self->memcg, "TRANSPORT", false);
}

TEST_F_TIMEOUT(failing, has_every_tenth_write_fail_for_lack_of_space, TEST_SECONDS)
{
	every_tenth_write_fails(_metadata, &self->r, self->disk, self->memcg, "NOSPC", false);
}

TEST_F_TIMEOUT(failing, has_every_tenth_write_fail_on_the_medium, TEST_SECONDS)
{
	every_tenth_write_fails(_metadata, &self->r, self->disk, self->memcg, "MEDIUM", true);
}

TEST_F_TIMEOUT(failing, has_every_tenth_write_fail_for_no_known_reason, TEST_SECONDS)
{
	every_tenth_write_fails(_metadata, &self->r, self->disk, self->memcg, "IOERR", true);
}

/* === swapon that fails =================================================== */

TEST(swapon_that_fails_leaves_no_trace)
{
	char path[64], name[80], value[128], block[4096] = "";
	int fd;

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	if (!borrow_disk(path, sizeof(path), MIB))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	snprintf(name, sizeof(name), "%s\n", path);
	ASSERT_EQ(0, attr_write("backing_dev", path));

	/* The page cache cannot write its pages to the device. */
	fd = open(DEVICE_PATH, O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(sizeof(block), pwrite(fd, block, sizeof(block), page_size));
	EXPECT_FALSE(device_on());
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(0, file_number(DEVICE_SYSFS "initstate"));
	EXPECT_EQ(0, attr_write("disksize", "64M"));
	ASSERT_TRUE(file_read(DEVICE_SYSFS "backing_dev", value, sizeof(value)));
	EXPECT_STREQ(name, value);
	EXPECT_EQ(0, attr_write("backing_dev", "none"));
	EXPECT_EQ(0, attr_write("backing_dev", path));
	close(fd);
	EXPECT_TRUE(device_on());
	EXPECT_EQ(1, file_number(DEVICE_SYSFS "initstate"));
	EXPECT_EQ(0, swapoff(DEVICE_PATH));

	/* swapon also fails while zswap is disabled, and changes nothing. */
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	EXPECT_FALSE(device_on());
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(0, file_number(DEVICE_SYSFS "initstate"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "Y"));
	EXPECT_TRUE(device_on());
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, attr_write("reset", "1"));
	other_swap_on();
}

int main(int argc, char **argv)
{
	skip_reason = backing_test_begin();
	return test_harness_run(argc, argv);
}
