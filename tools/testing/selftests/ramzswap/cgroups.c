// SPDX-License-Identifier: GPL-2.0
/*
 * Whose pages are written back when there is no room: the oldest ones, of
 * everyone whom the limit concerns. A limit of the device or the pool concerns
 * all cgroups, the limit of a cgroup only that cgroup.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define SECOND		"ramzswap1"
#define SECOND_SYSFS	"/sys/block/" SECOND "/"

#define PAGES(bytes)	((bytes) / page_size)

static const char *skip_reason;

/* One percent of memory, in bytes: a step of max_pool_percent. */
static unsigned long percent;

/* Shared between the processes of a test. */
static struct {
	unsigned long swapped;	/* in pages */
	long long reads;	/* from the disk */
} *shared;

static long long vm_event(const char *name)
{
	return file_field("/proc/vmstat", name);
}

static bool memcg_set(const char *dir, const char *file, const char *value)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return file_write(path, value);
}

static long long memcg_event(const char *dir, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/memory.events", dir);
	return file_field(path, name);
}

/* Drop written pages from the swap cache. */
static void reclaim_all(const char *dir)
{
	int i;

	for (i = 0; i < 8; i++) {
		memcg_set(dir, "memory.reclaim", "64M");
		usleep(10000);
	}
}

static long long zswapped_pages(const char *dir)
{
	return memcg_stat(dir, "zswapped") / (long long)page_size;
}

/* A process in a cgroup that swaps out its memory, and then sleeps. */
struct sleeper {
	struct gate ready, go;
	pid_t pid;
};

static bool sleeper_start(struct sleeper *s, const char *dir, unsigned long bytes,
			  __u64 seed)
{
	struct region r;
	bool good;

	shared->swapped = 0;
	if (!gate_init(&s->ready) || !gate_init(&s->go))
		return false;
	s->pid = fork();
	if (s->pid) {
		gate_wait(&s->ready);
		return s->pid > 0 && shared->swapped > PAGES(bytes) * 9 / 10;
	}
	good = memcg_enter(dir) && region_map(&r, PAGES(bytes), FILL_TEXT, seed);
	if (good) {
		region_write_all(&r);
		shared->swapped = region_page_out(&r);
	}
	gate_open(&s->ready);
	gate_wait(&s->go);
	_exit(!good || region_wrong_bytes_all(&r));
}

/* Return: 0 if the process found its memory unchanged. */
static int sleeper_end(struct sleeper *s)
{
	gate_open(&s->go);
	return child_status(s->pid);
}

/*
 * A process in a cgroup that uses all its memory again and again, and is
 * swapped out in between. shared->reads counts the disk reads of the second
 * half of the rounds.
 */
static int busy(const char *dir, unsigned long bytes, int rounds)
{
	pid_t pid = fork();
	struct region r;
	bool good;
	int i;

	if (pid)
		return child_status(pid);
	good = memcg_enter(dir) && region_map(&r, PAGES(bytes), FILL_TEXT, 71);
	for (i = 0; good && i < rounds; i++) {
		if (i == rounds / 2)
			shared->reads = stat_of("bdev_num_reads");
		region_write_all(&r);
		region_page_out(&r);
		reclaim_all(dir);
		good = !region_wrong_bytes_all(&r);
	}
	shared->reads = stat_of("bdev_num_reads") - shared->reads;
	_exit(!good);
}

/* === Cgroups that share a device ========================================= */

FIXTURE(cgroups) {
	char a[256], b[256], own[256];
	char disk[64];
	int zram;
	bool ready;
};

FIXTURE_SETUP(cgroups)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	self->zram = -1;
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "512M"));
	test_stay_resident();
	shared = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	ASSERT_NE(MAP_FAILED, shared);
	if (!other_swap_off() || !other_swap_disk(self->disk, sizeof(self->disk), 256 * MIB))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	if (!memcg_create("ramzswap-a", self->a, sizeof(self->a)) ||
	    !memcg_create("ramzswap-b", self->b, sizeof(self->b)) ||
	    !memcg_create("ramzswap-own", self->own, sizeof(self->own)))
		SKIP(other_swap_on(); return, "there is no cgroup2 with a memory controller");
	self->ready = true;
}

FIXTURE_TEARDOWN(cgroups)
{
	char root[256];

	if (!self->ready)
		return;
	strcpy(root, self->own);
	*strrchr(root, '/') = '\0';
	EXPECT_TRUE(memcg_enter(root));
	zswap_defaults();
	swapoff(DEVICE_PATH);
	swapoff("/dev/" SECOND);
	swapoff(self->disk);
	EXPECT_EQ(0, pages_stored());
	EXPECT_EQ(0, attr_write("reset", "1"));
	file_write(SECOND_SYSFS "reset", "1");
	if (self->zram >= 0)
		zram_remove(self->zram);
	other_swap_on();
	memcg_remove(self->a);
	memcg_remove(self->b);
	memcg_remove(self->own);
}

static void device_with_disk(struct __test_metadata *_metadata, const char *disk,
			     const char *mem_limit)
{
	ASSERT_EQ(0, attr_write("backing_dev", disk));
	ASSERT_EQ(0, attr_write("mem_limit", mem_limit));
	ASSERT_TRUE(device_on());
}

/*
 * The sleeping cgroup's pages are written back, and the busy one never reads.
 */
static void idle_and_busy(struct __test_metadata *_metadata, const char *a,
			  const char *b, unsigned long idle_bytes)
{
	const unsigned long bytes = 6 * MIB;
	const int rounds = 10;
	struct sleeper s;
	long long before;
	int status;

	ASSERT_TRUE(sleeper_start(&s, a, idle_bytes, 70));
	before = zswapped_pages(a);
	EXPECT_LT(PAGES(bytes), before);
	status = busy(b, bytes, rounds);
	EXPECT_EQ(0, status);
	TH_LOG("zswapped of the idle one: %lld, then %lld pages; %lld reads by the other",
	       before, zswapped_pages(a), shared->reads);
	EXPECT_GT(before - PAGES(bytes) / 2, zswapped_pages(a));
	EXPECT_GT(rounds / 2 * PAGES(bytes) / 20, shared->reads);
	status = sleeper_end(&s);
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, stat_of("failed_reads"));
}

TEST_F_TIMEOUT(cgroups, give_up_the_oldest_at_the_limit_of_a_device, TEST_SECONDS)
{
	device_with_disk(_metadata, self->disk, "4M");
	idle_and_busy(_metadata, self->a, self->b, 40 * MIB);
}

/* Others make room for a cgroup whose own pages must not be written back. */
TEST_F_TIMEOUT(cgroups, give_up_the_oldest_for_one_without_writeback, TEST_SECONDS)
{
	device_with_disk(_metadata, self->disk, "4M");
	ASSERT_TRUE(memcg_set(self->b, "memory.zswap.writeback", "0"));
	idle_and_busy(_metadata, self->a, self->b, 40 * MIB);
	ASSERT_TRUE(memcg_set(self->b, "memory.zswap.writeback", "1"));
}

TEST_F_TIMEOUT(cgroups, give_up_the_oldest_at_the_limit_of_the_pool, TEST_SECONDS)
{
	device_with_disk(_metadata, self->disk, "0");
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "1"));
	idle_and_busy(_metadata, self->a, self->b, 5 * percent);
}

/* A lowered limit is enforced even if nobody stores anything. */
TEST_F_TIMEOUT(cgroups, give_up_what_is_above_a_lowered_limit, TEST_SECONDS)
{
	struct sleeper s;
	int status, i;

	device_with_disk(_metadata, self->disk, "0");
	ASSERT_TRUE(sleeper_start(&s, self->a, 16 * MIB, 72));
	EXPECT_LT(4 * MIB, stat_of("compr_data_size"));
	ASSERT_EQ(0, attr_write("mem_limit", "1M"));
	for (i = 0; i < 1200 && stat_of("compr_data_size") > 5 * MIB / 4; i++)
		usleep(50000);
	EXPECT_GE(5 * MIB / 4, stat_of("compr_data_size"));
	EXPECT_LE(MIB / 2, stat_of("compr_data_size"));
	status = sleeper_end(&s);
	EXPECT_EQ(0, status);
}

TEST_F_TIMEOUT(cgroups, give_up_nothing_for_the_limit_of_another, TEST_SECONDS)
{
	struct sleeper a, b;
	long long before;
	int status;

	device_with_disk(_metadata, self->disk, "0");
	ASSERT_TRUE(memcg_set(self->b, "memory.zswap.max", "1M"));
	ASSERT_TRUE(sleeper_start(&a, self->a, 8 * MIB, 73));
	before = zswapped_pages(self->a);
	ASSERT_TRUE(sleeper_start(&b, self->b, 16 * MIB, 74));
	EXPECT_EQ(before, zswapped_pages(self->a));
	EXPECT_LT(PAGES(8 * MIB), stat_of("pages_spilled"));
	status = sleeper_end(&a);
	EXPECT_EQ(0, status);
	status = sleeper_end(&b);
	EXPECT_EQ(0, status);
}

/* A cgroup and those below it share its limit. */
TEST_F_TIMEOUT(cgroups, share_the_limit_of_the_one_above, TEST_SECONDS)
{
	char a[300], b[300];
	struct sleeper s;
	int status;

	device_with_disk(_metadata, self->disk, "0");
	ASSERT_TRUE(memcg_set(self->a, "memory.zswap.max", "4M"));
	ASSERT_TRUE(memcg_set(self->a, "cgroup.subtree_control", "+memory"));
	ASSERT_TRUE(memcg_create("ramzswap-a/idle", a, sizeof(a)));
	ASSERT_TRUE(memcg_create("ramzswap-a/busy", b, sizeof(b)));
	idle_and_busy(_metadata, a, b, 40 * MIB);
	ASSERT_TRUE(sleeper_start(&s, self->b, 4 * MIB, 75));
	status = sleeper_end(&s);
	EXPECT_EQ(0, status);
	memcg_remove(a);
	memcg_remove(b);
	memcg_set(self->a, "cgroup.subtree_control", "-memory");
}

/*
 * The compressed pages of a cgroup exceed its memory, and it uses them again
 * and again. The rest goes to the disk, and nobody is killed.
 */
static void more_than_its_memory(struct __test_metadata *_metadata, const char *dir)
{
	const unsigned long bytes = 32 * MIB;
	long long written = vm_event("zswpwb");
	int round, status;
	struct region r;
	pid_t pid;

	ASSERT_TRUE(memcg_set(dir, "memory.max", "6M"));
	pid = fork();
	if (!pid) {
		bool good = memcg_enter(dir) &&
			    region_map(&r, PAGES(bytes), FILL_TEXT, 76);

		for (round = 0; good && round < 2; round++) {
			region_write_all(&r);
			good = !region_wrong_bytes_all(&r);
		}
		_exit(!good);
	}
	status = child_status(pid);
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, memcg_event(dir, "oom_kill"));
	written = vm_event("zswpwb") - written;
	TH_LOG("%lld pages written back; out of memory %lld times",
	       written, memcg_event(dir, "oom"));
	EXPECT_LT(0, written);
}

TEST_F_TIMEOUT(cgroups, may_fill_their_memory_with_compressed_pages_on_a_device, TEST_SECONDS)
{
	device_with_disk(_metadata, self->disk, "0");
	more_than_its_memory(_metadata, self->a);
}

TEST_F_TIMEOUT(cgroups, may_fill_their_memory_with_compressed_pages_on_a_disk, TEST_SECONDS)
{
	ASSERT_TRUE(swap_enable(self->disk, DEVICE_PRIO));
	more_than_its_memory(_metadata, self->a);
}

/* === Devices ============================================================= */

/*
 * Swap a region of the test's own cgroup out to the device of the highest
 * priority.
 */
static void fill(struct __test_metadata *_metadata, struct region *r,
		 unsigned long bytes, __u64 seed)
{
	ASSERT_TRUE(region_map(r, PAGES(bytes), FILL_TEXT, seed));
	ASSERT_EQ(0, mlock(r->version, r->nr_pages * sizeof(*r->version)));
	region_write_all(r);
	madvise(r->mem, r->nr_pages * page_size, MADV_PAGEOUT);
	region_page_out(r);
}

/* Use these pages, and count how many were read from disks. */
static long long disk_reads(struct __test_metadata *_metadata, const struct region *r,
			    unsigned long first, unsigned long nr, unsigned long step)
{
	long long before = vm_event("pswpin"), zswpin = vm_event("zswpin");
	unsigned long i;

	for (i = first; i < first + nr; i += step)
		EXPECT_EQ(0, region_wrong_bytes(r, i, 1));
	TH_LOG("%lld pages read from disks, %lld from zswap",
	       vm_event("pswpin") - before, vm_event("zswpin") - zswpin);
	return vm_event("pswpin") - before;
}

/* A page in use does not keep its neighbours from being cold. */
TEST_F_TIMEOUT(cgroups, keep_a_page_stored_again_but_not_its_neighbours, TEST_SECONDS)
{
	struct region old, new[12];
	long long reads;
	unsigned long i;
	int round;

	ASSERT_TRUE(memcg_enter(self->own));
	ASSERT_TRUE(swap_enable(self->disk, DEVICE_PRIO));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "1"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "accept_threshold_percent", "90"));
	fill(_metadata, &old, percent * 8 / 5, 80);
	for (round = 0; round < ARRAY_SIZE(new); round++) {
		for (i = 0; i < old.nr_pages; i += 8)
			EXPECT_EQ(0, region_wrong_bytes(&old, i, 1));
		for (i = 0; i < old.nr_pages; i += 8)
			madvise(region_page(&old, i), page_size, MADV_PAGEOUT);
		fill(_metadata, &new[round], percent * 2 / 5, 81 + round);
		/* Let the worker make room. */
		usleep(100000);
	}
	reclaim_all(self->own);
	reads = 0;
	for (i = 1; i < 8; i++)
		reads += disk_reads(_metadata, &old, i, old.nr_pages - i, 8);
	EXPECT_LT(old.nr_pages / 2, reads);
	for (round = 0; round < ARRAY_SIZE(new); round++) {
		EXPECT_EQ(0, region_wrong_bytes_all(&new[round]));
		region_unmap(&new[round]);
	}
	region_unmap(&old);
}

/* The limit of a device only concerns its own pages. */
TEST_F_TIMEOUT(cgroups, keep_what_another_device_has_at_the_limit_of_one, TEST_SECONDS)
{
	struct region cold, more;
	char path[64];

	ASSERT_TRUE(memcg_enter(self->own));
	self->zram = zram_create(64 * MIB);
	ASSERT_LE(0, self->zram);
	snprintf(path, sizeof(path), "/dev/zram%d", self->zram);
	ASSERT_TRUE(swap_enable(self->disk, DEVICE_PRIO - 1));
	fill(_metadata, &cold, 16 * MIB, 82);
	device_with_disk(_metadata, path, "1M");
	fill(_metadata, &more, 16 * MIB, 83);
	EXPECT_LT(PAGES(8 * MIB), stat_of("bdev_num_writes"));
	reclaim_all(self->own);
	EXPECT_EQ(0, disk_reads(_metadata, &cold, 0, cold.nr_pages, 1));
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	region_unmap(&cold);
	region_unmap(&more);
}

/* A full device does not stop others. */
TEST_F_TIMEOUT(cgroups, are_not_stopped_by_a_full_device, TEST_SECONDS)
{
	const unsigned long some = 64;
	struct region stuck, r;
	unsigned long i;
	char path[64];
	long long reads;

	if (access(SECOND_SYSFS, F_OK))
		SKIP(return, "there is no second device");
	ASSERT_TRUE(memcg_enter(self->own));
	self->zram = zram_create(4 * MIB);
	ASSERT_LE(0, self->zram);
	snprintf(path, sizeof(path), "/dev/zram%d", self->zram);
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "1"));
	device_with_disk(_metadata, path, "6M");
	ASSERT_TRUE(region_map(&stuck, PAGES(32 * MIB), FILL_TEXT, 84));
	ASSERT_EQ(0, mlock(stuck.version, stuck.nr_pages * sizeof(*stuck.version)));
	region_write_all(&stuck);
	madvise(stuck.mem, stuck.nr_pages * page_size, MADV_PAGEOUT);
	EXPECT_LE(PAGES(4 * MIB) - 8, stat_of("pages_spilled"));
	/*
	 * The remaining pages would go to the second device, as its newest
	 * ones.
	 */
	for (i = 0; i < stuck.nr_pages; i++) {
		if (pages_swapped(region_page(&stuck, i), 1))
			continue;
		madvise(region_page(&stuck, i), page_size, MADV_DONTNEED);
		region_mark_zero(&stuck, i, 1);
	}

	file_write(SECOND_SYSFS "reset", "1");
	ASSERT_TRUE(file_write(SECOND_SYSFS "disksize", "256M"));
	ASSERT_TRUE(file_write(SECOND_SYSFS "backing_dev", self->disk));
	ASSERT_TRUE(swap_enable("/dev/" SECOND, DEVICE_PRIO + 1));
	fill(_metadata, &r, percent * 16 / 5, 85);
	reads = device_stat(SECOND, "bdev_num_reads");
	/* The last of them count when they have been written. */
	for (i = 0; i < 100; i++) {
		if (device_stat(SECOND, "bdev_num_writes") > PAGES(8 * MIB))
			break;
		usleep(20000);
	}
	EXPECT_LT(PAGES(8 * MIB), device_stat(SECOND, "bdev_num_writes"));
	reclaim_all(self->own);
	disk_reads(_metadata, &r, r.nr_pages - some, some, 1);
	EXPECT_EQ(reads, device_stat(SECOND, "bdev_num_reads"));
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	region_unmap(&r);
	EXPECT_EQ(0, region_wrong_bytes_all(&stuck));
	region_unmap(&stuck);
}

/* Pages that cannot be written back do not use up the cache of disks. */
TEST_F_TIMEOUT(cgroups, have_zswap_for_a_disk_beside_a_device_without, TEST_SECONDS)
{
	struct region in_memory, r;
	unsigned long other;

	ASSERT_TRUE(memcg_enter(self->own));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "2"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "accept_threshold_percent", "80"));
	ASSERT_EQ(0, attr_write("disksize", "80M"));
	ASSERT_TRUE(swap_enable(self->disk, DEVICE_PRIO - 1));
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(region_map(&in_memory, PAGES(10 * percent), FILL_TEXT, 86));
	region_write_all(&in_memory);
	/*
	 * Until the device has no more slots; the other pages go to the disk.
	 */
	madvise(in_memory.mem, in_memory.nr_pages * page_size, MADV_PAGEOUT);
	fill(_metadata, &r, percent * 16 / 5, 87);
	usleep(300000);
	madvise(r.mem, r.nr_pages * page_size, MADV_WILLNEED);
	region_write(&r, 0, r.nr_pages / 4);
	page_out(r.mem, r.nr_pages / 4);
	other = pages_stored() - stat_of("pages_stored");
	TH_LOG("%lld pages of the device, %lu of the disk", stat_of("pages_stored"), other);
	EXPECT_LT(PAGES(2 * MIB), other);
	EXPECT_LT(PAGES(72 * MIB), stat_of("pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&in_memory));
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	region_unmap(&in_memory);
	region_unmap(&r);
}

/* zswap makes room for large folios, too, and no more than they need. */
TEST_F_TIMEOUT(cgroups, make_room_for_large_folios, TEST_SECONDS)
{
	long long writes, whole;
	struct region r;

	if (access(THP_2M "enabled", F_OK))
		SKIP(return, "this kernel has no folios of 2 MiB");
	ASSERT_TRUE(memcg_enter(self->own));
	thp_only_size(2048);
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "2"));
	device_with_disk(_metadata, self->disk, "0");
	ASSERT_TRUE(region_map(&r, PAGES(10 * percent), FILL_TEXT, 88));
	ASSERT_EQ(0, mlock(r.version, r.nr_pages * sizeof(*r.version)));
	ASSERT_EQ(0, madvise(r.mem, r.nr_pages * page_size, MADV_HUGEPAGE));
	region_write_all(&r);
	whole = file_number(THP_2M "stats/swpout");
	EXPECT_EQ(r.nr_pages, region_page_out(&r));
	whole = file_number(THP_2M "stats/swpout") - whole;
	writes = stat_of("bdev_num_writes");
	TH_LOG("%lld pages written, %lld of them as large folios; %lld stored",
	       writes, whole * 512, stat_of("pages_stored"));
	EXPECT_EQ(0, whole);
	EXPECT_LT(0, writes);
	EXPECT_GE(r.nr_pages - stat_of("pages_stored") + 512, writes);
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	region_unmap(&r);
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	percent = (meminfo_kb("MemTotal:") / 100 / 1024 + 1) * MIB;
	if (!skip_reason && access(DEVICE_SYSFS "backing_dev", F_OK))
		skip_reason = "this kernel has no ramzswap device with a backing device";
	return test_harness_run(argc, argv);
}
