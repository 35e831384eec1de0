// SPDX-License-Identifier: GPL-2.0
/*
 * When there is no room, zswap writes back the oldest pages of all cgroups that
 * share the limit: of every cgroup for a limit of the device or the pool, of one
 * cgroup for its own limit.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "cgroups_util.h"

static long long memcg_event(const char *dir, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/memory.events", dir);
	return file_field(path, name);
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
		memcg_reclaim(dir, 64 * MIB);
		good = !region_wrong_bytes_all(&r);
	}
	shared->reads = stat_of("bdev_num_reads") - shared->reads;
	_exit(!good);
}

/*
 * zswap writes back pages of the sleeping cgroup, so that the busy one never has to
 * read from the disk.
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

#define SLEEPER_BYTES	(24 * MIB)

/*
 * @first sleeps in cgroup @a.  Start another process in cgroup @b, which keeps its
 * pages.  Then end both.
 */
static void older_one_makes_room(struct __test_metadata *_metadata,
				 struct sleeper *first, const char *a, const char *b)
{
	struct sleeper second;
	int status;

	ASSERT_TRUE(sleeper_start(&second, b, SLEEPER_BYTES, 90));
	memcg_stats_settle();
	TH_LOG("%lld pages of the first cgroup are left, %lld of the second",
	       zswapped_pages(a), zswapped_pages(b));
	EXPECT_GT(PAGES(SLEEPER_BYTES) * 3 / 4, zswapped_pages(a));
	EXPECT_LT(PAGES(SLEEPER_BYTES) * 9 / 10, zswapped_pages(b));
	status = sleeper_end(first);
	EXPECT_EQ(0, status);
	status = sleeper_end(&second);
	EXPECT_EQ(0, status);
}

/* Eviction is by age, not by size: the later cgroup keeps its pages. */
TEST_F_TIMEOUT(cgroups, give_up_the_oldest_whoever_has_them, TEST_SECONDS)
{
	struct sleeper first;

	device_with_disk(_metadata, self->disk, "12M");
	ASSERT_TRUE(sleeper_start(&first, self->a, SLEEPER_BYTES, 89));
	older_one_makes_room(_metadata, &first, self->a, self->b);
}

/* The same if the older pages have been compressed again. */
TEST_F_TIMEOUT(cgroups, give_up_the_oldest_that_were_compressed_again, TEST_SECONDS)
{
	struct sleeper first;

	if (!file_write(ZSWAP_PARAM "cold_compressor", "zstd"))
		SKIP(return, "this kernel does not compress pages again");
	device_with_disk(_metadata, self->disk, "14M");
	ASSERT_TRUE(sleeper_start(&first, self->a, SLEEPER_BYTES, 91));
	ASSERT_EQ(0, attr_write("squeeze", "64M"));
	ASSERT_LT(PAGES(SLEEPER_BYTES) / 2, stat_of("pages_cold"));
	older_one_makes_room(_metadata, &first, self->a, self->b);
}

/* If the pages of one cgroup must stay in memory, others make room for it. */
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

/* The kernel enforces a lowered limit even if nobody stores a page. */
TEST_F_TIMEOUT(cgroups, give_up_what_is_above_a_lowered_limit, TEST_SECONDS)
{
	struct sleeper s;
	int status;

	device_with_disk(_metadata, self->disk, "0");
	ASSERT_TRUE(sleeper_start(&s, self->a, 16 * MIB, 72));
	EXPECT_LT(4 * MIB, stat_of("compr_data_size"));
	ASSERT_EQ(0, attr_write("mem_limit", "1M"));
	EXPECT_GE(5 * MIB / 4, falls_to(stat_of, "compr_data_size", 5 * MIB / 4, 60));
	EXPECT_LE(MIB / 2, stat_of("compr_data_size"));
	status = sleeper_end(&s);
	EXPECT_EQ(0, status);
}

TEST_F_TIMEOUT(cgroups, give_up_nothing_for_the_limit_of_another, TEST_SECONDS)
{
	struct sleeper a, b;
	long long all;
	int status;

	device_with_disk(_metadata, self->disk, "0");
	ASSERT_TRUE(memcg_set(self->b, "memory.zswap.max", "1M"));
	ASSERT_TRUE(sleeper_start(&a, self->a, 8 * MIB, 73));
	all = shared->swapped * page_size;
	EXPECT_EQ(all, memcg_soon(memcg_stat, self->a, "zswapped", all));
	ASSERT_TRUE(sleeper_start(&b, self->b, 16 * MIB, 74));
	memcg_stats_settle();
	EXPECT_EQ(all, memcg_soon(memcg_stat, self->a, "zswapped", all));
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

int main(int argc, char **argv)
{
	cgroups_begin();
	return test_harness_run(argc, argv);
}
