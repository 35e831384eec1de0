// SPDX-License-Identifier: GPL-2.0
/*
 * A backing device with I/O errors: a failed write loses nothing, and a failed
 * read loses no other page.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backing_util.h"

TEST_F_TIMEOUT(backing, loses_nothing_when_it_cannot_be_written, TEST_SECONDS)
{
	const char * const rules[] = {
		"add,op=WRITE,status=IOERR,chance=5",
		"add,op=WRITE,status=MEDIUM",
	};
	long long bad, failed = 0;
	int i;

	if (!inject(self->disk, "removeall"))
		SKIP(return, "this kernel cannot inject I/O errors");
	ASSERT_TRUE(zswap_close());
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
	/* The device stopped when all writes failed. */
	EXPECT_TRUE(backing_gets("running", 60));
	bad = stat_settled("backing_blocks_bad");
	EXPECT_GT(NR_PAGES / 10, bad);
	/* The device continues with the other blocks. */
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	EXPECT_EQ(bad, stat_of("backing_blocks_bad"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, stat_of("failed_reads"));
}

/* The device never tries a bad block again. */
TEST_F_TIMEOUT(backing, uses_a_bad_block_once, TEST_SECONDS)
{
	const long long nr_bad = 100;
	char rule[128];
	int i;

	if (!inject(self->disk, "removeall"))
		SKIP(return, "this kernel cannot inject I/O errors");
	ASSERT_TRUE(zswap_close());
	snprintf(rule, sizeof(rule), "add,op=WRITE,status=MEDIUM,start=%lu,nr_sectors=%llu",
		 1000 * page_size / 512, nr_bad * page_size / 512);
	ASSERT_TRUE(inject(self->disk, rule));
	/* Write more pages than the disk has blocks. */
	for (i = 0; i < 6; i++) {
		region_write_all(&self->r);
		madvise(self->r.mem, NR_PAGES * page_size, MADV_PAGEOUT);
		ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	}
	EXPECT_LT(6 * (NR_PAGES - nr_bad), stat_of("bdev_num_writes"));
	EXPECT_EQ(0, stat_of("failed_writes"));
	EXPECT_EQ(nr_bad, stat_of("backing_blocks_bad"));
}

/* A bad block makes one page of a large folio unreadable, and no other. */
static void one_bad_block(struct __test_metadata *_metadata, struct region *r,
			  const char *disk, unsigned long block, const char *memcg)
{
	long long large = file_number(THP_64K "stats/swpin"), failed;
	long long before = stat_of("failed_reads");
	char rule[128];

	region_write_all(r);
	ASSERT_TRUE(zswap_close());
	madvise(r->mem, r->nr_pages * page_size, MADV_PAGEOUT);
	ASSERT_TRUE(memcg_reclaim(memcg, NR_PAGES * page_size));
	ASSERT_LE(r->nr_pages, stat_of("pages_spilled"));
	snprintf(rule, sizeof(rule), "add,op=READ,status=IOERR,start=%lu,nr_sectors=%lu",
		 block * page_size / 512, page_size / 512);
	ASSERT_TRUE(inject(disk, rule));
	EXPECT_EQ(1, region_unreadable(r, NULL));
	ASSERT_TRUE(inject(disk, "removeall"));
	/* The kernel reads single pages from the disk. */
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

	/* The device uses blocks in order. */
	fd = memfd_create("ramzswap", 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, NR_PAGES * page_size));
	zswap_defaults();
	ASSERT_TRUE(region_map_fd(&r, NR_PAGES, FILL_TEXT, 56, fd));
	one_bad_block(_metadata, &r, self->disk, NR_PAGES + NR_PAGES / 2, self->memcg);
	region_unmap(&r);
	close(fd);
}

TEST_F_TIMEOUT(backing, gives_a_signal_for_what_cannot_be_read, TEST_SECONDS)
{
	pid_t pid;

	if (!inject(self->disk, "removeall"))
		SKIP(return, "this kernel cannot inject I/O errors");
	ASSERT_TRUE(zswap_close());
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
	ASSERT_TRUE(inject(self->disk, "add,op=READ,status=IOERR"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		region_wrong_bytes(&self->r, 0, 1);
		_exit(0);
	}
	EXPECT_EQ(-SIGBUS, child_status(pid));
	EXPECT_LT(0, stat_of("failed_reads"));
	/* All others can be read. The swap cache remembers that the first one failed. */
	ASSERT_TRUE(inject(self->disk, "removeall"));
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 1, NR_PAGES - 1));
}

int main(int argc, char **argv)
{
	skip_reason = backing_test_begin();
	return test_harness_run(argc, argv);
}
