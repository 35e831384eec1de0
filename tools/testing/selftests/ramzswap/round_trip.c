// SPDX-License-Identifier: GPL-2.0
/* Pages that were swapped out come back unchanged, to their owner. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

static const char *skip_reason;

FIXTURE(round_trip) {
	struct region r;
};

FIXTURE_SETUP(round_trip)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
}

FIXTURE_TEARDOWN(round_trip)
{
}

TEST_F_TIMEOUT(round_trip, every_byte_comes_back_after_each_of_several_rounds, TEST_SECONDS)
{
	const unsigned long nr = 64 * MIB / page_size;
	__u64 state = 1;
	int round;

	ASSERT_TRUE(region_map(&self->r, nr, FILL_MIXED, 1));
	region_write_all(&self->r);
	for (round = 0; round < 4; round++) {
		unsigned long i;

		ASSERT_EQ(nr, region_page_out(&self->r));
		ASSERT_EQ(0, region_wrong_bytes_all(&self->r));
		for (i = 0; i < nr; i++)
			if (random_next(&state) % 3 == 0)
				region_write(&self->r, i, 1);
	}
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(round_trip, pages_written_while_in_swap_keep_the_new_contents, TEST_SECONDS)
{
	const unsigned long nr = 16 * MIB / page_size;

	ASSERT_TRUE(region_map(&self->r, nr, FILL_MIXED, 2));
	region_write_all(&self->r);
	ASSERT_EQ(nr, region_page_out(&self->r));
	region_write(&self->r, 0, nr / 2);
	ASSERT_EQ(nr, region_page_out(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* Pages with many different numbers of random bytes: objects of any length. */
TEST_F_TIMEOUT(round_trip, an_object_of_any_size_comes_back, TEST_SECONDS)
{
	ASSERT_TRUE(region_map(&self->r, slope_pages(), FILL_SLOPE, 3));
	region_write_all(&self->r);
	ASSERT_EQ(slope_pages(), region_page_out(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(round_trip, zero_and_incompressible_pages_come_back, TEST_SECONDS)
{
	const unsigned long nr = 8 * MIB / page_size;
	struct region zero;

	ASSERT_TRUE(region_map(&self->r, nr, FILL_RANDOM, 4));
	ASSERT_TRUE(region_map(&zero, nr, FILL_ZERO, 5));
	region_write_all(&self->r);
	region_write_all(&zero);
	ASSERT_EQ(nr, region_page_out(&self->r));
	ASSERT_EQ(nr, region_page_out(&zero));
	EXPECT_EQ(0, region_wrong_bytes_all(&zero));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(round_trip, pages_of_each_compressor_come_back_after_a_change, TEST_SECONDS)
{
	static const char * const compressors[] = { "lzo", "lz4", "zstd" };
	const unsigned long part = 8 * MIB / page_size;
	const unsigned long nr = part * ARRAY_SIZE(compressors);
	unsigned int i, usable = 0;

	ASSERT_TRUE(region_map(&self->r, nr, FILL_MIXED, 6));
	region_write_all(&self->r);
	for (i = 0; i < ARRAY_SIZE(compressors); i++) {
		usable += file_write(ZSWAP_PARAM "compressor", compressors[i]);
		ASSERT_EQ(part, page_out(region_page(&self->r, i * part), part));
	}
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	if (usable < 2)
		SKIP(return, "fewer than two of lzo, lz4 and zstd are available");
}

TEST_F_TIMEOUT(round_trip, pages_come_back_at_the_address_they_were_moved_to, TEST_SECONDS)
{
	const unsigned long nr = 16 * MIB / page_size;
	void *to;

	ASSERT_TRUE(region_map(&self->r, nr, FILL_MIXED, 7));
	region_write_all(&self->r);
	ASSERT_EQ(nr, region_page_out(&self->r));
	to = mmap(NULL, nr * page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, to);
	ASSERT_EQ(to, mremap(self->r.mem, nr * page_size, nr * page_size,
			     MREMAP_MAYMOVE | MREMAP_FIXED, to));
	self->r.mem = to;
	EXPECT_EQ(nr, pages_swapped(to, nr));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/*
 * Parent and child share pages in swap. Each writes one half of them and reads
 * the other. With copy-on-write, neither sees what the other wrote.
 */
TEST_F_TIMEOUT(round_trip, parent_and_child_each_keep_their_own_view, TEST_SECONDS)
{
	const unsigned long nr = 32 * MIB / page_size;
	pid_t pid;

	ASSERT_TRUE(region_map(&self->r, nr, FILL_MIXED, 8));
	region_write_all(&self->r);
	ASSERT_EQ(nr, region_page_out(&self->r));

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		unsigned long wrong;

		self->r.seed++;		/* the child writes other contents */
		region_write(&self->r, 0, nr / 2);
		wrong = region_wrong_bytes(&self->r, 0, nr / 2);
		self->r.seed--;
		wrong += region_wrong_bytes(&self->r, nr / 2, nr / 2);
		madvise(self->r.mem, nr * page_size, MADV_PAGEOUT);
		wrong += region_wrong_bytes(&self->r, nr / 2, nr / 2);
		self->r.seed++;
		wrong += region_wrong_bytes(&self->r, 0, nr / 2);
		_exit(!!wrong);
	}

	region_write(&self->r, nr / 2, nr / 2);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	/*
	 * Pages that are still shared stay in memory, the rest is swapped out.
	 */
	EXPECT_EQ(0, madvise(self->r.mem, nr * page_size, MADV_PAGEOUT));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(nr, region_page_out(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(round_trip, pages_stored_before_zswap_was_disabled_come_back, TEST_SECONDS)
{
	const unsigned long nr = 16 * MIB / page_size;

	ASSERT_TRUE(region_map(&self->r, nr, FILL_MIXED, 9));
	region_write_all(&self->r);
	ASSERT_EQ(nr / 2, page_out(self->r.mem, nr / 2));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	EXPECT_EQ(nr / 2, page_out(region_page(&self->r, nr / 2), nr / 2));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	/*
	 * Stale copies must not come back: pages in the cache are written anew.
	 */
	region_write_all(&self->r);
	EXPECT_EQ(nr, region_page_out(&self->r));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "Y"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* Compaction moves pages of the pool while others are freed around them. */
TEST_F_TIMEOUT(round_trip, pages_come_back_after_memory_was_compacted, TEST_SECONDS)
{
	const unsigned long nr = 32 * MIB / page_size;
	__u64 state = 10;
	unsigned long i;
	int round;

	if (access(COMPACT_MEMORY, F_OK))
		SKIP(return, "no CONFIG_COMPACTION");
	ASSERT_TRUE(region_map(&self->r, nr, FILL_MIXED, 10));
	region_write_all(&self->r);
	ASSERT_EQ(nr, region_page_out(&self->r));
	for (round = 0; round < 3; round++) {
		for (i = 0; i < nr; i++)
			if (random_next(&state) % 3 == 0) {
				ASSERT_EQ(0, madvise(region_page(&self->r, i), page_size,
						     MADV_DONTNEED));
				region_mark_zero(&self->r, i, 1);
			}
		ASSERT_TRUE(file_write(COMPACT_MEMORY, "1"));
	}
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* Only the cgroup's limit swaps these pages out. */
TEST_F_TIMEOUT(round_trip, pages_pushed_out_by_a_memory_limit_come_back, TEST_SECONDS)
{
	const unsigned long nr = 16 * MIB / page_size;
	char dir[256];
	pid_t pid;

	if (!memcg_create("ramzswap_round_trip", dir, sizeof(dir)))
		SKIP(return, "no cgroup with a memory controller");
	EXPECT_TRUE(memcg_set_number(dir, "memory.max", 12 * MIB));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		unsigned long wrong = 0;
		int round;

		if (!memcg_enter(dir) || !region_map(&self->r, nr, FILL_TEXT, 11))
			_exit(2);
		for (round = 0; round < 2; round++) {
			region_write_all(&self->r);
			if (pages_swapped(self->r.mem, nr) < nr / 4)
				_exit(3);
			wrong += region_wrong_bytes_all(&self->r);
		}
		_exit(!!wrong);
	}
	EXPECT_EQ(0, child_status(pid));
	memcg_remove(dir);
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	return test_harness_run(argc, argv);
}
