// SPDX-License-Identifier: GPL-2.0
/*
 * Swap on /dev/ramzswapN without a backing device. Swapped pages come back
 * unchanged, nobody else can read them, and the device counts as full when it has
 * no room.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define DISKSIZE	(256 * MIB)
#define NR_PAGES	(16 * MIB / page_size)

static const char *skip_reason;

FIXTURE(swap) {
	struct region r;
};

FIXTURE_SETUP(swap)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "256M"));
	test_stay_resident();
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_MIXED, 21));
	region_write_all(&self->r);
}

FIXTURE_TEARDOWN(swap)
{
	if (skip_reason)
		return;
	region_unmap(&self->r);
	zswap_defaults();
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	other_swap_on();
	/* Nothing remains of what was swapped out. */
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, stat_of("compr_data_size"));
	EXPECT_EQ(0, stat_of("mem_used_total"));
	EXPECT_EQ(0, stat_of("failed_reads"));
	EXPECT_EQ(0, attr_write("reset", "1"));
}

TEST_F_TIMEOUT(swap, gives_back_what_was_swapped_out, TEST_SECONDS)
{
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
		EXPECT_LT(0, stat_of("pages_stored"));
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		EXPECT_EQ(0, stat_of("pages_stored"));
		region_write_all(&self->r);
	}
}

TEST_F_TIMEOUT(swap, gives_everything_back_at_swapoff, TEST_SECONDS)
{
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, pages_swapped(self->r.mem, NR_PAGES));
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	ASSERT_TRUE(device_on());
}

TEST_F_TIMEOUT(swap, counts_what_it_does, TEST_SECONDS)
{
	long long writes, reads, freed, stored, size, held;
	const unsigned long nr = NR_PAGES / 2;
	struct region text, noise, zero;

	ASSERT_TRUE(region_map(&text, nr, FILL_TEXT, 22));
	ASSERT_TRUE(region_map(&noise, nr, FILL_HALF, 23));
	ASSERT_TRUE(region_map(&zero, nr, FILL_ZERO, 24));
	region_write_all(&text);
	region_write_all(&noise);
	region_write_all(&zero);

	writes = stat_of("num_writes");
	reads = stat_of("num_reads");
	freed = stat_of("notify_free");

	ASSERT_EQ(nr, region_page_out(&text));
	EXPECT_EQ(nr, stat_of("pages_stored"));
	EXPECT_EQ(nr, stat_of("num_writes") - writes);
	EXPECT_LT(90, stat_of("good_compress_pct"));
	EXPECT_EQ(0, stat_of("pages_expand_pct"));
	ASSERT_EQ(nr, region_page_out(&zero));
	EXPECT_EQ(nr, stat_of("pages_zero"));
	EXPECT_EQ(nr, stat_of("pages_stored"));
	ASSERT_EQ(nr, region_page_out(&noise));
	stored = stat_of("pages_stored");
	held = stat_of("compr_data_size");
	EXPECT_EQ(2 * nr, stored);
	EXPECT_EQ(0, stat_of("pages_expand_pct"));
	EXPECT_EQ(stored * page_size, stat_of("orig_data_size"));
	EXPECT_LT(nr * page_size / 2, held);
	EXPECT_LT(held, stat_of("orig_data_size"));
	EXPECT_LE(held, stat_of("pages_used") * page_size);
	EXPECT_LT(stat_of("pages_used") * page_size, stat_of("mem_used_total"));
	EXPECT_GT(1.3 * held, stat_of("mem_used_total"));
	size = stat_of("disksize");
	EXPECT_EQ(DISKSIZE, size);

	EXPECT_EQ(0, region_wrong_bytes_all(&text));
	EXPECT_EQ(nr, stat_of("num_reads") - reads);
	EXPECT_EQ(0, region_wrong_bytes_all(&noise));
	region_unmap(&zero);
	EXPECT_EQ(3 * nr, stat_of("notify_free") - freed);
	EXPECT_EQ(0, stat_of("pages_zero"));
	region_unmap(&text);
	region_unmap(&noise);
}

/* Pages carry a pattern. Search the raw device for it. */
TEST_F_TIMEOUT(swap, shows_nobody_what_was_swapped_out, TEST_SECONDS)
{
	const size_t chunk = MIB;
	unsigned long found = 0;
	__u64 *pattern;
	char *buf;
	size_t i;
	off_t pos;
	int fd;

	pattern = mmap(NULL, NR_PAGES * page_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, pattern);
	for (i = 0; i < NR_PAGES * page_size / sizeof(*pattern); i++)
		pattern[i] = 0x5ec2e75ec2e75ec2ULL + (i & 0xff);
	ASSERT_EQ(NR_PAGES, page_out(pattern, NR_PAGES));

	ASSERT_EQ(0, posix_memalign((void **)&buf, page_size, chunk));
	fd = open(DEVICE_PATH, O_RDONLY | O_DIRECT);
	ASSERT_LE(0, fd);
	for (pos = 0; pos < DISKSIZE; pos += chunk) {
		memset(buf, 0xff, chunk);
		ASSERT_EQ(chunk, pread(fd, buf, chunk, pos));
		for (i = pos ? 0 : page_size; i < chunk; i++)
			found += !!buf[i];
	}
	EXPECT_EQ(0, found);
	/* Only swap can write the device. */
	close(fd);
	fd = open(DEVICE_PATH, O_RDWR | O_DIRECT);
	ASSERT_LE(0, fd);
	memset(buf, 0xee, page_size);
	EXPECT_EQ(-1, pwrite(fd, buf, page_size, 0));
	EXPECT_EQ(-1, pwrite(fd, buf, page_size, 64 * page_size));
	close(fd);
	for (i = 0; i < NR_PAGES * page_size / sizeof(*pattern); i++)
		found += pattern[i] != 0x5ec2e75ec2e75ec2ULL + (i & 0xff);
	EXPECT_EQ(0, found);
	munmap(pattern, NR_PAGES * page_size);
	free(buf);
}

/* zswap has nowhere to write the pages, however often it is told to shrink. */
TEST_F_TIMEOUT(swap, does_not_age_what_it_has, TEST_SECONDS)
{
	long long stored, writes, written_back = zswap_value("written_back_pages");
	long long rejects = zswap_value("reject_reclaim_fail");
	struct region more;

	ASSERT_TRUE(other_swap_off());
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	stored = stat_of("pages_stored");
	writes = stat_of("num_writes");
	ASSERT_TRUE(file_write(ZSWAP_PARAM "shrinker_enabled", "Y"));
	ASSERT_TRUE(file_write("/proc/sys/vm/drop_caches", "2"));
	ASSERT_EQ(0, attr_write("mem_limit", "4096"));
	ASSERT_TRUE(region_map(&more, NR_PAGES, FILL_TEXT, 25));
	region_write_all(&more);
	/* A refused page is unmapped, but stays in memory. */
	EXPECT_GE(64, region_page_out(&more));
	sleep(1);
	EXPECT_EQ(written_back, zswap_value("written_back_pages"));
	EXPECT_EQ(rejects, zswap_value("reject_reclaim_fail"));
	EXPECT_EQ(stored, stat_of("pages_stored"));
	EXPECT_EQ(writes, stat_of("num_writes"));
	EXPECT_EQ(0, attr_write("mem_limit", "0"));
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&more);
}

/* max_pool_percent only limits the cache in front of disks. */
TEST_F_TIMEOUT(swap, is_not_limited_by_max_pool_percent, TEST_SECONDS)
{
	ASSERT_TRUE(other_swap_off());
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "0"));
	EXPECT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_LT(NR_PAGES / 2, stat_of("pages_stored"));
	EXPECT_FALSE(swap_is_full());
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* To store such a page would take as much memory as it frees. */
TEST_F_TIMEOUT(swap, does_not_store_what_does_not_compress, TEST_SECONDS)
{
	struct region more, text;

	ASSERT_TRUE(other_swap_off());
	ASSERT_TRUE(region_map(&more, NR_PAGES, FILL_RANDOM, 25));
	ASSERT_TRUE(region_map(&text, NR_PAGES, FILL_TEXT, 27));
	region_write_all(&more);
	region_write_all(&text);
	/* Refused pages are in the swap cache. */
	EXPECT_EQ(NR_PAGES, region_page_out(&more));
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, stat_of("compr_data_size"));
	EXPECT_LE(NR_PAGES, stat_of("failed_writes"));
	/* Compressible pages are still stored. */
	EXPECT_EQ(NR_PAGES, region_page_out(&text));
	EXPECT_EQ(NR_PAGES, stat_of("pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	EXPECT_EQ(0, region_wrong_bytes_all(&text));
	region_unmap(&more);
	region_unmap(&text);
}

TEST_F_TIMEOUT(swap, is_full_at_its_own_limit_and_has_room_again, TEST_SECONDS)
{
	const long long limit = 2 * MIB;
	struct region more;
	long long out;

	ASSERT_TRUE(other_swap_off());
	ASSERT_EQ(0, attr_write("mem_limit", "2M"));
	ASSERT_TRUE(region_map(&more, NR_PAGES, FILL_HALF, 26));
	region_write_all(&more);
	out = region_page_out(&more);
	EXPECT_LT(0, out);
	EXPECT_GT(NR_PAGES, out);
	/* Each CPU may hold back a part of its count. */
	EXPECT_LE(stat_of("compr_data_size"), limit + limit / 64 + 2 * (long long)page_size);
	EXPECT_GE(stat_of("compr_data_size"), limit - 2 * (long long)page_size);
	EXPECT_TRUE(swap_is_full());
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	/* All pages are in memory now. */
	EXPECT_TRUE(soon(swap_has_room));

	region_page_out(&more);
	EXPECT_TRUE(swap_is_full());
	ASSERT_EQ(0, attr_write("mem_limit", "0"));
	EXPECT_TRUE(swap_has_room());
	EXPECT_EQ(NR_PAGES, region_page_out(&more));
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	region_unmap(&more);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* Stored pages stay readable, the others stay in memory. */
TEST_F_TIMEOUT(swap, lives_without_zswap_once_it_is_swapped_on, TEST_SECONDS)
{
	struct region more;

	ASSERT_TRUE(other_swap_off());
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_TRUE(region_map(&more, NR_PAGES, FILL_MIXED, 27));
	region_write(&more, 0, NR_PAGES);
	region_page_out(&more);
	EXPECT_TRUE(swap_is_full());
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "Y"));
	EXPECT_TRUE(soon(swap_has_room));
	EXPECT_EQ(NR_PAGES, region_page_out(&more));
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	region_unmap(&more);
}

/* A cgroup at its zswap limit does not make the device full. */
TEST_F_TIMEOUT(swap, is_not_full_because_a_cgroup_is, TEST_SECONDS)
{
	char dir[256];
	int status;
	pid_t pid;

	if (!memcg_create("ramzswap-device", dir, sizeof(dir)))
		SKIP(return, "there is no cgroup2 with a memory controller");
	ASSERT_TRUE(other_swap_off());
	ASSERT_TRUE(memcg_set(dir, "memory.zswap.max", "65536"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct region r;
		bool good = memcg_enter(dir) && region_map(&r, NR_PAGES, FILL_TEXT, 28);

		if (good) {
			region_write_all(&r);
			region_page_out(&r);
			/* Refused pages are unmapped, but stay in memory. */
			good = stat_of("pages_stored") < NR_PAGES / 2 &&
			       swap_has_room() && !region_wrong_bytes_all(&r);
		}
		_exit(!good);
	}
	status = child_status(pid);
	EXPECT_EQ(0, status);
	EXPECT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	memcg_remove(dir);
}

int main(int argc, char **argv)
{
	skip_reason = device_test_begin();
	return test_harness_run(argc, argv);
}
