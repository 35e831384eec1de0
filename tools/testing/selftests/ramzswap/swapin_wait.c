// SPDX-License-Identifier: GPL-2.0
/*
 * Pages come back from a backing device that does not answer for a while: who
 * waits for one can be killed, and keeps nobody else from the mapping.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(16 * MIB / page_size)
/* How long the device does not answer, and what is taken for at once */
#define STALL_SECONDS	3
#define AT_ONCE		(STALL_SECONDS * 0.6)

static const char *skip_reason;

/* === A disk that can be stopped: device mapper's ========================= */

#define DM_NAME		"ramzswap-test"

static struct {
	struct dm_ioctl ioctl;
	struct dm_target_spec target;
	char parameters[128];
} dm;

static bool dm_call(unsigned long command, __u32 flags)
{
	int fd = open("/dev/mapper/control", O_RDWR), ret;

	dm.ioctl.version[0] = DM_VERSION_MAJOR;
	dm.ioctl.version[1] = 0;
	dm.ioctl.version[2] = 0;
	dm.ioctl.data_size = sizeof(dm);
	dm.ioctl.data_start = sizeof(dm.ioctl);
	dm.ioctl.flags = flags;
	dm.ioctl.dev = 0;
	strcpy(dm.ioctl.name, DM_NAME);
	ret = fd < 0 ? -1 : ioctl(fd, command, &dm);
	close(fd);
	return !ret;
}

/* All of @disk. Its path is in @path, which has room for 64 bytes. */
static bool dm_create(const char *disk, char *path)
{
	int fd = open(disk, O_RDONLY);
	__u64 bytes = 0;

	if (fd < 0)
		return false;
	ioctl(fd, BLKGETSIZE64, &bytes);
	close(fd);

	memset(&dm, 0, sizeof(dm));
	if (!dm_call(DM_DEV_CREATE, 0))
		return false;
	snprintf(path, 64, "/dev/dm-%llu",
		 (dm.ioctl.dev & 0xff) | (dm.ioctl.dev >> 12 & 0xfff00));
	memset(&dm, 0, sizeof(dm));
	dm.ioctl.target_count = 1;
	dm.target.length = bytes / 512;
	strcpy(dm.target.target_type, "linear");
	snprintf(dm.parameters, sizeof(dm.parameters), "%s 0", disk);
	return dm_call(DM_TABLE_LOAD, 0) && dm_call(DM_DEV_SUSPEND, 0);
}

static bool dm_stop(void)
{
	return dm_call(DM_DEV_SUSPEND, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG);
}

static bool dm_go_on(void)
{
	return dm_call(DM_DEV_SUSPEND, 0);
}

static void *go_on_later(void *data)
{
	sleep(STALL_SECONDS);
	dm_go_on();
	return NULL;
}

/* === Memory that is on it ================================================ */

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

/* Have the cgroup's memory reclaimed, with all that is in the swap cache. */
static void drop_all(const char *memcg)
{
	char path[300];
	int i;

	snprintf(path, sizeof(path), "%s/memory.reclaim", memcg);
	for (i = 0; i < 20; i++) {
		file_write_number(path, NR_PAGES * page_size);
		usleep(10000);
	}
}

FIXTURE_SETUP(stopped)
{
	char disk[64];

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	if (access("/dev/mapper/control", F_OK))
		SKIP(return, "this kernel has no device mapper");
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "256M"));
	thp_only_size(variant->kib);
	test_stay_resident();
	if (!other_swap_off() || !other_swap_disk(disk, sizeof(disk), 2 * NR_PAGES * page_size))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	if (!memcg_create("ramzswap-test", self->memcg, sizeof(self->memcg)) ||
	    !memcg_enter(self->memcg))
		SKIP(other_swap_on(); return, "there is no cgroup2 with a memory controller");
	ASSERT_TRUE(dm_create(disk, self->path));
	ASSERT_EQ(0, attr_write("backing_dev", self->path));
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 61));
	ASSERT_EQ(0, mlock(self->r.version, NR_PAGES * sizeof(*self->r.version)));
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_SEQUENTIAL));
	self->ready = true;
	region_write_all(&self->r);
	/* Nothing stays in the cache. */
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	drop_all(self->memcg);
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
	EXPECT_TRUE(dm_call(DM_DEV_REMOVE, 0));
	other_swap_on();
	*strrchr(self->memcg, '/') = '\0';
	EXPECT_TRUE(memcg_enter(self->memcg));
	strcat(self->memcg, "/ramzswap-test");
	memcg_remove(self->memcg);
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
	while (!waitpid(pid, &status, WNOHANG) && seconds_now() - start < STALL_SECONDS)
		usleep(10000);
	EXPECT_GT(AT_ONCE, seconds_now() - start);
	ASSERT_TRUE(dm_go_on());
	/* Not collected above, if it could not be killed */
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
	/* Another part of the same mapping, which is locked for that */
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_NORMAL));
	ASSERT_EQ(0, mprotect(self->r.mem, page_size, PROT_READ));
	ASSERT_EQ(0, mprotect(self->r.mem, page_size, PROT_READ | PROT_WRITE));
	EXPECT_GT(AT_ONCE, seconds_now() - start);
	pthread_join(waiting, NULL);
	pthread_join(later, NULL);
}

/* Microseconds for which somebody in the cgroup waited for memory */
static long long waited_us(const char *memcg)
{
	char path[300], buf[512], *total;

	snprintf(path, sizeof(path), "%s/memory.pressure", memcg);
	if (!file_read(path, buf, sizeof(buf)))
		return -1;
	total = strstr(buf, "total=");
	return total ? atoll(total + strlen("total=")) : -1;
}

/* What a program uses more than once is active; the page tables tell it too late. */
static bool make_active(struct region *r)
{
	int fd = open("/proc/self/mem", O_RDONLY), times;
	unsigned long i;
	char byte;
	bool ok = fd >= 0;

	for (times = 0; times < 3; times++)
		for (i = 0; ok && i < r->nr_pages; i++)
			ok = pread(fd, &byte, 1, (uintptr_t)region_page(r, i)) == 1;
	close(fd);
	return ok;
}

/*
 * As on any swap disk, this is of pages that were in use before they were
 * reclaimed, and are wanted again soon: the kernel knows them as its workingset.
 */
TEST_F_TIMEOUT(stopped, counts_as_memory_pressure, TEST_SECONDS)
{
	long long before, restored;
	unsigned long page;
	char path[300];
	pthread_t later;
	int i;

	if (waited_us(self->memcg) < 0)
		SKIP(return, "this kernel does not know the pressure of a cgroup");
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_RANDOM));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	ASSERT_TRUE(make_active(&self->r));
	snprintf(path, sizeof(path), "%s/memory.reclaim", self->memcg);
	/* How many are active is known to reclaim every other second only. */
	for (i = 0; i < 50 && pages_swapped(self->r.mem, NR_PAGES) < NR_PAGES / 16; i++) {
		file_write_number(path, NR_PAGES * page_size / 8);
		usleep(100000);
	}
	/* Not one of the first, a few of which were not active. */
	for (page = 0, i = 0; page < NR_PAGES; page++)
		if (pages_swapped(region_page(&self->r, page), 1) && ++i == NR_PAGES / 32)
			break;
	ASSERT_GT(NR_PAGES, page);

	restored = memcg_stat(self->memcg, "workingset_restore_anon");
	before = waited_us(self->memcg);
	ASSERT_TRUE(dm_stop());
	ASSERT_EQ(0, pthread_create(&later, NULL, go_on_later, NULL));
	touch(region_page(&self->r, page));
	pthread_join(later, NULL);
	EXPECT_LT(restored, memcg_stat(self->memcg, "workingset_restore_anon"));
	EXPECT_LT((long long)(AT_ONCE * 1000000), waited_us(self->memcg) - before);
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	if (!skip_reason && access(DEVICE_SYSFS "backing_dev", F_OK))
		skip_reason = "this kernel has no ramzswap device with a backing device";
	return test_harness_run(argc, argv);
}
