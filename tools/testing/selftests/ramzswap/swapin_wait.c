// SPDX-License-Identifier: GPL-2.0
/*
 * Swapin from a backing device that does not respond for a while: a task that
 * waits for a page can be killed, and does not block others in the same
 * mapping.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(16 * MIB / page_size)
/*
 * How long the device does not respond, and the longest time that counts as
 * none.
 */
#define STALL_SECONDS	5
#define AT_ONCE		(STALL_SECONDS * 0.6)
/* Timeout in seconds for quick operations, long enough for a busy machine. */
#define PATIENCE	60

static const char *skip_reason;

static void *go_on_later(void *data)
{
	sleep(STALL_SECONDS);
	dm_go_on();
	return NULL;
}

/* === Memory on the disk ================================================== */

FIXTURE(stopped) {
	struct region r;
	char path[64], memcg[256];
	bool ready;
};

FIXTURE_VARIANT(stopped) {
	unsigned long kib;
};

FIXTURE_VARIANT_ADD(stopped, single_pages) { .kib = 0 };
FIXTURE_VARIANT_ADD(stopped, large_folios) { .kib = 64 };

FIXTURE_SETUP(stopped)
{
	long long large;
	char disk[64];

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	if (variant->kib && access(THP_64K "enabled", F_OK))
		SKIP(return, "this kernel has no folios of 64 KiB");
	if (access("/dev/mapper/control", F_OK))
		SKIP(return, "this kernel has no device mapper");
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "256M"));
	thp_only_size(variant->kib);
	test_stay_resident();
	if (!borrow_disk(disk, sizeof(disk), 2 * NR_PAGES * page_size))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	if (!memcg_enter_own(self->memcg, sizeof(self->memcg)))
		SKIP(other_swap_on(); return, "there is no cgroup2 with a memory controller");
	ASSERT_TRUE(dm_create(disk, self->path, 0));
	ASSERT_EQ(0, attr_write("backing_dev", self->path));
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 61));
	ASSERT_EQ(0, mlock(self->r.version, NR_PAGES * sizeof(*self->r.version)));
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_SEQUENTIAL));
	if (variant->kib)
		ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	large = file_number(THP_64K "stats/swpout");
	self->ready = true;
	region_write_all(&self->r);
	/* Keep everything out of the cache. */
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	memcg_reclaim(self->memcg, NR_PAGES * page_size);
	if (variant->kib)
		ASSERT_LT(NR_PAGES / 16 / 2, file_number(THP_64K "stats/swpout") - large);
}

FIXTURE_TEARDOWN(stopped)
{
	if (!self->ready)
		return;
	dm_go_on();
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
	zswap_defaults();
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, attr_write("reset", "1"));
	EXPECT_TRUE(dm_remove());
	other_swap_on();
	EXPECT_TRUE(memcg_leave(self->memcg));
}

static void *touch(void *page)
{
	__atomic_load_n((char *)page, __ATOMIC_RELAXED);
	return NULL;
}

TEST_F_TIMEOUT(stopped, can_be_killed, TEST_SECONDS)
{
	double start;
	int status;
	pid_t pid;

	ASSERT_TRUE(dm_stop());
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		touch(region_page(&self->r, NR_PAGES / 2));
		_exit(0);
	}
	usleep(500000);
	ASSERT_EQ(0, waitpid(pid, &status, WNOHANG));
	start = seconds_now();
	kill(pid, SIGKILL);
	while (!waitpid(pid, &status, WNOHANG) && seconds_now() - start < PATIENCE)
		usleep(10000);
	EXPECT_GT(PATIENCE, seconds_now() - start);
	ASSERT_TRUE(dm_go_on());
	/* Not reaped above if it could not be killed. */
	waitpid(pid, &status, 0);
}

TEST_F_TIMEOUT(stopped, leaves_the_mapping_to_others, TEST_SECONDS)
{
	pthread_t waiting, later;
	double start;

	ASSERT_TRUE(dm_stop());
	ASSERT_EQ(0, pthread_create(&later, NULL, go_on_later, NULL));
	ASSERT_EQ(0, pthread_create(&waiting, NULL, touch, region_page(&self->r, NR_PAGES / 2)));
	usleep(300000);
	start = seconds_now();
	/* This locks the mapping, to change another part of it. */
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_NORMAL));
	ASSERT_EQ(0, mprotect(self->r.mem, page_size, PROT_READ));
	ASSERT_EQ(0, mprotect(self->r.mem, page_size, PROT_READ | PROT_WRITE));
	EXPECT_GT(AT_ONCE, seconds_now() - start);
	pthread_join(waiting, NULL);
	pthread_join(later, NULL);
}

/* === Others that use the device meanwhile ================================ */

static struct load {
	char dir[256];		/* cgroup of the load */
	bool stop;
	unsigned long done[2], failed[2];
} *load;

static unsigned long value_of(unsigned long *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void count(unsigned long *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static bool load_stopped(void)
{
	return __atomic_load_n(&load->stop, __ATOMIC_RELAXED);
}

/*
 * Copy a page through a pipe: a bad page is an error then, not a signal.
 * Return: whether it was copied.
 */
static bool put_page(int fd, const void *page)
{
	return write(fd, page, page_size) == page_size;
}

static bool get_page(int fd, void *page)
{
	return read(fd, page, page_size) == page_size;
}

/*
 * Use memory at random. All of it must be right. Pages that cannot be read stay
 * in swap, and are readable when the disk is back.
 */
static void use_memory(int id)
{
	unsigned char *seen, *good;
	__u64 random = id + 1;
	struct region r;
	int p[2];

	test_stay_resident();
	seen = mmap(NULL, 2 * page_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	good = seen + page_size;
	if (seen == MAP_FAILED || pipe(p) || !memcg_enter(load->dir) ||
	    !region_map(&r, NR_PAGES / 2, FILL_TEXT, 62 + id) ||
	    mlock(r.version, r.nr_pages * sizeof(*r.version)))
		_exit(2);
	madvise(r.mem, r.nr_pages * page_size, MADV_HUGEPAGE);
	region_write_all(&r);
	while (!load_stopped()) {
		unsigned long i = random_next(&random) % r.nr_pages;
		unsigned char *page = region_page(&r, i);
		__u32 next = (r.version[i] & ~VERSION_ZERO) + 1;

		if (!put_page(p[1], page)) {
			count(&load->failed[id]);
			/* Free some of the lost pages, so that writes continue. */
			if (!(random & 0x30000)) {
				madvise(page, page_size, MADV_DONTNEED);
				region_mark_zero(&r, i, 1);
			}
			continue;
		}
		memset(good, 0, page_size);
		if (!(r.version[i] & VERSION_ZERO))
			page_fill(good, r.fill, r.seed, i, r.version[i]);
		if (!get_page(p[0], seen) || memcmp(seen, good, page_size))
			_exit(1);
		count(&load->done[id]);
		if (random & 0x10000)
			continue;
		page_fill(good, r.fill, r.seed, i, next);
		if (!put_page(p[1], good))
			_exit(2);
		if (get_page(p[0], page)) {
			r.version[i] = next;
			continue;
		}
		/*
		 * Written to the pipe, but the page was swapped out before it
		 * could be read back.
		 */
		count(&load->failed[id]);
		if (!get_page(p[0], seen))
			_exit(2);
		madvise(page, page_size, MADV_DONTNEED);
		region_mark_zero(&r, i, 1);
	}
	memcg_reclaim(load->dir, NR_PAGES * page_size);
	_exit(!!region_wrong_bytes_all(&r));
}

/* Swap it out all the time. */
static void reclaim_memory(void)
{
	test_stay_resident();
	while (!load_stopped()) {
		memcg_set_number(load->dir, "memory.reclaim", NR_PAGES / 4 * page_size);
		usleep(1000);
	}
	_exit(0);
}

/*
 * Start two processes that use memory, and one, pids[2], that reclaims it.
 * Return when all are busy and memory comes from the disk. They do not touch
 * the test's own memory @own.
 */
static void load_start(struct __test_metadata *_metadata, struct region *own, pid_t *pids)
{
	const double end = seconds_now() + PATIENCE;
	const long long reads = stat_of("bdev_num_reads");
	int i;

	load = mmap(NULL, sizeof(*load), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	ASSERT_NE(MAP_FAILED, load);
	ASSERT_TRUE(memcg_create("ramzswap-load", load->dir, sizeof(load->dir)));
	for (i = 0; i < 3; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (pids[i])
			continue;
		region_unmap(own);
		if (i < 2)
			use_memory(i);
		else
			reclaim_memory();
	}
	while (value_of(&load->done[0]) < 500 || value_of(&load->done[1]) < 500 ||
	       stat_of("bdev_num_reads") < reads + 500) {
		ASSERT_GT(end, seconds_now());
		usleep(20000);
	}
}

/* Return: whether the process that was not killed makes progress. */
static bool load_goes_on(void)
{
	const double end = seconds_now() + PATIENCE;
	unsigned long done = value_of(&load->done[0]);

	while (value_of(&load->done[0]) < done + 500) {
		if (seconds_now() > end)
			return false;
		usleep(20000);
	}
	return true;
}

/*
 * Kill the second process. The reclaiming one may wait for writeback, and
 * cannot be killed then: without CONFIG_CGROUP_WRITEBACK, reclaim does so for
 * any disk. Return: whether the process exits while the disk is stopped.
 */
static bool load_kill(pid_t *pids)
{
	const double end = seconds_now() + PATIENCE / 2;
	int status;

	kill(pids[1], SIGKILL);
	while (seconds_now() < end) {
		if (waitpid(pids[1], &status, WNOHANG) == pids[1])
			return true;
		usleep(10000);
	}
	return false;
}

/* Return: 0 if the remaining process found nothing wrong. */
static int load_end(pid_t *pids)
{
	int status;

	__atomic_store_n(&load->stop, true, __ATOMIC_RELAXED);
	/* Not reaped above if it could not be killed. */
	waitpid(pids[1], &status, 0);
	waitpid(pids[2], &status, 0);
	status = child_status(pids[0]);
	memcg_remove(load->dir);
	munmap(load, sizeof(*load));
	return status;
}

/*
 * Return: whether the process that was not killed waits for the disk. It may not
 * wait before reclaim has taken the pages it works on.
 */
static bool load_waits(void)
{
	unsigned long done;
	int i;

	for (i = 0; i < 2 * PATIENCE; i++) {
		done = value_of(&load->done[0]);
		usleep(500000);
		if (done == value_of(&load->done[0]))
			return true;
	}
	return false;
}

TEST_F_TIMEOUT(stopped, loses_nothing_under_load, TEST_SECONDS)
{
	pid_t pids[3];
	int status;

	load_start(_metadata, &self->r, pids);
	ASSERT_TRUE(dm_stop());
	EXPECT_TRUE(load_waits());
	EXPECT_TRUE(load_kill(pids));
	EXPECT_TRUE(load_waits());
	ASSERT_TRUE(dm_go_on());
	EXPECT_TRUE(load_goes_on());
	EXPECT_EQ(0, value_of(&load->failed[0]));
	status = load_end(pids);
	EXPECT_EQ(0, status);
}

/*
 * The disk is unplugged, and plugged in again. Meanwhile, all I/O to it fails.
 */
TEST_F_TIMEOUT(stopped, loses_nothing_when_it_is_pulled_under_load, TEST_SECONDS)
{
	const double end = seconds_now() + 4 * PATIENCE;
	long long failed;
	pid_t pids[3];
	int status;

	load_start(_metadata, &self->r, pids);
	EXPECT_EQ(0, value_of(&load->failed[0]));
	ASSERT_TRUE(dm_replace("error", ""));
	EXPECT_TRUE(backing_gets("stopped", PATIENCE + 60));
	EXPECT_LT(0, stat_of("failed_writes"));
	/*
	 * Only pages on the disk cannot be read; the other pages are right.
	 */
	EXPECT_LT((long)NR_PAGES / 2, region_unreadable(&self->r, NULL));
	while (!value_of(&load->failed[0]) && seconds_now() < end)
		usleep(20000);
	EXPECT_LT(0, value_of(&load->failed[0]));
	EXPECT_TRUE(load_kill(pids));
	ASSERT_TRUE(dm_replace("linear", dm_disk));

	EXPECT_TRUE(backing_gets("running", PATIENCE + 60));
	EXPECT_TRUE(load_goes_on());
	EXPECT_EQ(0, stat_of("backing_blocks_bad"));
	/* The pages that could not be read are still in the swap cache. */
	memcg_reclaim(self->memcg, NR_PAGES * page_size);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	failed = stat_of("failed_writes");
	status = load_end(pids);
	EXPECT_EQ(0, status);
	EXPECT_EQ(failed, stat_of("failed_writes"));
}

/* === Pressure ============================================================= */

/* Microseconds for which tasks of the cgroup waited for memory. */
static long long waited_us(const char *memcg)
{
	char path[300], buf[512], *total;

	snprintf(path, sizeof(path), "%s/memory.pressure", memcg);
	if (!file_read(path, buf, sizeof(buf)))
		return -1;
	total = strstr(buf, "total=");
	return total ? atoll(total + strlen("total=")) : -1;
}

/* Count the pages that are neither in memory nor in the swap cache. */
static unsigned long pages_gone(const void *mem, unsigned long nr)
{
	static unsigned char in_memory[16 * MIB / 4096];
	unsigned long i, gone = 0;

	if (mincore((void *)mem, nr * page_size, in_memory))
		return 0;
	for (i = 0; i < nr; i++)
		gone += !(in_memory[i] & 1);
	return gone;
}

/*
 * Pages that a program uses more than once become active, but the accessed bits
 * in the page tables say so too late. Do not fault in what is not in memory.
 */
static bool make_active(struct region *r)
{
	int fd = open("/proc/self/mem", O_RDONLY), times;
	unsigned long i;
	char byte;
	bool ok = fd >= 0;

	for (times = 0; times < 3; times++)
		for (i = 0; ok && i < r->nr_pages; i++)
			ok = pages_gone(region_page(r, i), 1) ||
			     pread(fd, &byte, 1, (uintptr_t)region_page(r, i)) == 1;
	close(fd);
	return ok;
}

#define NR_WAITING	8

/* Reclaim some pages that are in use.  Return: whether any are gone. */
static bool reclaim_active(struct region *r, const char *memcg)
{
	int i;

	if (region_wrong_bytes_all(r) || !make_active(r))
		return false;
	/* Reclaim learns the number of active pages only every two seconds. */
	for (i = 0; i < 50 && pages_gone(r->mem, NR_PAGES) < NR_PAGES / 16; i++) {
		memcg_set_number(memcg, "memory.reclaim", NR_PAGES * page_size / 8);
		usleep(100000);
	}
	/*
	 * "Soon" means while active pages outnumber those reclaimed meanwhile.
	 */
	if (!make_active(r))
		return false;
	sleep(3);
	return pages_gone(r->mem, NR_PAGES) >= NR_PAGES / 16;
}

/*
 * Use some of the pages that are gone while the disk is stopped.  Some of the
 * first ones were not active, so use several that are far apart.
 */
static bool wait_for_some(struct region *r)
{
	pthread_t later, waiting[NR_WAITING];
	unsigned long page;
	int i = 0, nr = 0;
	bool all;

	if (!dm_stop())
		return false;
	for (page = 0; page < NR_PAGES && nr < NR_WAITING; page++) {
		if (!pages_gone(region_page(r, page), 1) ||
		    ++i % (NR_PAGES / 16 / NR_WAITING))
			continue;
		if (pthread_create(&waiting[nr], NULL, touch, region_page(r, page)))
			break;
		nr++;
	}
	all = nr == NR_WAITING;
	if (pthread_create(&later, NULL, go_on_later, NULL))
		ksft_exit_fail_perror("pthread_create");
	while (nr)
		pthread_join(waiting[--nr], NULL);
	pthread_join(later, NULL);
	return all;
}

/*
 * As on any swap disk, memory pressure counts pages that were in use before
 * they were reclaimed and are wanted again soon: the kernel treats them as
 * workingset.
 */
TEST_F_TIMEOUT(stopped, counts_as_memory_pressure, TEST_SECONDS)
{
	long long before, restored;
	int rounds = 5;

	if (waited_us(self->memcg) < 0)
		SKIP(return, "this kernel does not know the pressure of a cgroup");
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_RANDOM));
	/*
	 * Which pages reclaim takes for active, and which refaults count as soon,
	 * depends on when the kernel updated its statistics.
	 */
	do {
		ASSERT_TRUE(reclaim_active(&self->r, self->memcg));
		memcg_stats_settle();
		restored = memcg_stat(self->memcg, "workingset_restore_anon");
		before = waited_us(self->memcg);
		ASSERT_TRUE(wait_for_some(&self->r));
		memcg_stats_settle();
	} while (memcg_stat(self->memcg, "workingset_restore_anon") == restored && --rounds);
	EXPECT_LT(restored, memcg_stat(self->memcg, "workingset_restore_anon"));
	EXPECT_LT((long long)(AT_ONCE * 1000000), waited_us(self->memcg) - before);
}

/* === Failing ============================================================= */

/* A device with all its data on a disk that can be stopped. */
FIXTURE(failing) {
	struct region r;
	char path[64];
	bool ready;
};

FIXTURE_SETUP(failing)
{
	char disk[64];

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	if (access("/dev/mapper/control", F_OK))
		SKIP(return, "this kernel has no device mapper");
	ASSERT_EQ(0, attr_write("reset", "1"));
	thp_only_size(0);
	test_stay_resident();
	if (!borrow_disk(disk, sizeof(disk), 2 * NR_PAGES * page_size))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	ASSERT_TRUE(dm_create(disk, self->path, 0));
	ASSERT_EQ(0, attr_write("backing_dev", self->path));
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 65));
	ASSERT_EQ(0, mlock(self->r.version, NR_PAGES * sizeof(*self->r.version)));
	region_write_all(&self->r);
	self->ready = true;
}

FIXTURE_TEARDOWN(failing)
{
	if (!self->ready)
		return;
	dm_go_on();
	swapoff(DEVICE_PATH);
	EXPECT_EQ(0, attr_write("reset", "1"));
	EXPECT_TRUE(dm_remove());
	zswap_defaults();
	other_swap_on();
}

/* One write hangs, and the few others fail. */
TEST_F_TIMEOUT(failing, is_stopped_though_a_write_is_under_way, TEST_SECONDS)
{
	const double start = seconds_now();
	const unsigned long nr = 5;
	unsigned long page = 0;
	const char *disk = self->path + strlen("/dev/");

	if (!inject(disk, "removeall"))
		SKIP(return, "this kernel cannot inject I/O errors");
	ASSERT_TRUE(dm_stop());
	madvise(self->r.mem, nr * page_size, MADV_PAGEOUT);
	ASSERT_TRUE(inject(disk, "add,op=WRITE,status=TIMEOUT"));
	while (!stat_of("backing_stopped") && seconds_now() < start + PATIENCE) {
		page += nr;
		madvise(region_page(&self->r, page), nr * page_size, MADV_PAGEOUT);
		usleep(1000000);
	}
	TH_LOG("%lld writes failed in %d s", stat_of("failed_writes"),
	       (int)(seconds_now() - start));
	EXPECT_EQ(1, stat_of("backing_stopped"));
	EXPECT_GT(128, stat_of("failed_writes"));
	EXPECT_LT(8, seconds_now() - start);
	ASSERT_TRUE(inject(disk, "removeall"));
	ASSERT_TRUE(dm_go_on());
	EXPECT_TRUE(backing_gets("running", PATIENCE + 60));
	EXPECT_EQ(0, stat_of("backing_blocks_bad"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* The device has failed. Now it does not even respond to the probe. */
TEST_F_TIMEOUT(failing, is_detached_by_who_can_be_killed, TEST_SECONDS)
{
	const double began = seconds_now(), end = began + PATIENCE;
	double start;
	int status, fd;
	pid_t pid;

	ASSERT_TRUE(dm_replace("error", ""));
	do {
		region_write_all(&self->r);
		madvise(self->r.mem, NR_PAGES * page_size, MADV_PAGEOUT);
		ASSERT_GT(end, seconds_now());
	} while (stat_of("backing_stopped") != 1);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	ASSERT_TRUE(dm_stop());
	/*
	 * The kernel tries the device 1, 3, 7, 15... seconds after it has stopped. So
	 * it must try again before twice the time has passed.
	 */
	usleep((seconds_now() - began + 3) * 1000000);

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(attr_write("reset", "1"));
	while (file_number(DEVICE_SYSFS "initstate") && seconds_now() < end + PATIENCE)
		usleep(10000);
	usleep(500000);
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	start = seconds_now();
	kill(pid, SIGKILL);
	while (!waitpid(pid, &status, WNOHANG) && seconds_now() - start < PATIENCE)
		usleep(10000);
	EXPECT_GT(PATIENCE, seconds_now() - start);
	/*
	 * The reset is complete, and the device releases the disk as soon as it
	 * can.
	 */
	EXPECT_EQ(0, file_number(DEVICE_SYSFS "initstate"));
	EXPECT_GT(0, open(self->path, O_RDONLY | O_EXCL));
	ASSERT_TRUE(dm_replace("linear", dm_disk));
	while ((fd = open(self->path, O_RDONLY | O_EXCL)) < 0 &&
	       seconds_now() < start + PATIENCE)
		usleep(20000);
	EXPECT_LE(0, fd);
	close(fd);
}

int main(int argc, char **argv)
{
	skip_reason = backing_test_begin();
	return test_harness_run(argc, argv);
}
