// SPDX-License-Identifier: GPL-2.0
/*
 * If the disk returns anything but what was written, only the processes that need
 * these pages get an I/O error.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

#include "packed_util.h"

#define NR_DAMAGED	8

enum damage { ROTTEN, ZEROED, EXCHANGED, EARLIER };

static off_t damaged_block(int i, long long blocks)
{
	/* The kernel uses blocks in order, from 1 on. */
	return (1 + i * (blocks / 2 / NR_DAMAGED)) * page_size;
}

static void try_damage(struct __test_metadata *_metadata, struct region *r,
		       const char *disk, const char *path, const char *memcg,
		       enum damage damage)
{
	long long blocks, failed;
	unsigned char *saved;
	int i, fd;
	long lost;

	ASSERT_EQ(0, posix_memalign((void **)&saved, page_size, NR_DAMAGED * page_size));
	ASSERT_TRUE(spill(r, memcg));
	blocks = stat_of("backing_blocks_used");
	ASSERT_LT(16 * NR_DAMAGED, blocks);
	fd = open(disk, O_RDWR | O_DIRECT | O_SYNC);
	ASSERT_LE(0, fd);
	for (i = 0; i < NR_DAMAGED; i++)
		ASSERT_EQ(page_size, pread(fd, saved + i * page_size, page_size,
					   damaged_block(i, blocks)));
	if (damage == EARLIER) {
		/*
		 * Use the device again, so that the same blocks get other
		 * contents.
		 */
		ASSERT_EQ(0, swapoff(DEVICE_PATH));
		ASSERT_EQ(0, attr_write("reset", "1"));
		ASSERT_TRUE(attach(path));
		ASSERT_TRUE(spill(r, memcg));
	}
	for (i = 0; i < NR_DAMAGED; i++) {
		unsigned char *block = saved + i * page_size;

		if (damage == ROTTEN)
			block[i * page_size / NR_DAMAGED] ^= 0x10;
		if (damage == ZEROED)
			memset(block, 0, page_size);
		if (damage == EXCHANGED)
			block = saved + (i ^ 1) * page_size;
		ASSERT_EQ(page_size, pwrite(fd, block, page_size, damaged_block(i, blocks)));
	}
	close(fd);
	free(saved);

	failed = stat_of("failed_reads");
	lost = region_unreadable(r, NULL);
	failed = stat_of("failed_reads") - failed;
	ksft_print_msg("%ld pages were in %d blocks\n", lost, NR_DAMAGED);
	/* -1 stands for wrong bytes. */
	EXPECT_LE(NR_DAMAGED, lost);
	EXPECT_GE(NR_DAMAGED * 32, lost);
	EXPECT_EQ(lost, failed);
}

TEST_F_TIMEOUT(packed, gives_an_error_for_a_rotten_block, TEST_SECONDS)
{
	try_damage(_metadata, &self->r, self->disk, self->path, self->memcg,
		   ROTTEN);
}

TEST_F_TIMEOUT(packed, gives_an_error_for_zeros, TEST_SECONDS)
{
	try_damage(_metadata, &self->r, self->disk, self->path, self->memcg,
		   ZEROED);
}

TEST_F_TIMEOUT(packed, gives_an_error_for_exchanged_blocks, TEST_SECONDS)
{
	try_damage(_metadata, &self->r, self->disk, self->path, self->memcg,
		   EXCHANGED);
}

TEST_F_TIMEOUT(packed, gives_an_error_for_blocks_of_an_earlier_use, TEST_SECONDS)
{
	try_damage(_metadata, &self->r, self->disk, self->path, self->memcg,
		   EARLIER);
}

/* The same for whole pages */
TEST_F_TIMEOUT(packed, gives_an_error_for_a_whole_page, TEST_SECONDS)
{
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	try_damage(_metadata, &self->r, self->disk, self->path, self->memcg,
		   EXCHANGED);
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "Y"));
}

/* Read every second page, from @first on. Return: how many cannot be read. */
static long unreadable_halves(const struct region *r, unsigned long first)
{
	unsigned long i;
	long lost = 0;

	for (i = first; i < r->nr_pages; i += 2)
		lost += !page_readable(region_page(r, i));
	return lost;
}

/*
 * Every second page is in memory, or in zswap if @compressed, and has not changed
 * since it was read.  So it would leave memory without being written.  But if its
 * block on the disk is known to be rotten, the kernel must write it.
 */
static void try_to_drop(struct __test_metadata *_metadata, struct region *r,
			const char *disk, const char *memcg, bool compressed)
{
	unsigned char *block;
	long long blocks, bad;
	long lost, others;
	int i, fd;

	ASSERT_EQ(0, posix_memalign((void **)&block, page_size, page_size));
	ASSERT_TRUE(spill(r, memcg));
	blocks = stat_of("backing_blocks_used");
	ASSERT_LT(16 * NR_DAMAGED, blocks);
	ASSERT_EQ(0, attr_write("mem_limit", "0"));
	ASSERT_EQ(0, unreadable_halves(r, 0));
	if (compressed)
		ASSERT_EQ(NR_PAGES, region_page_out(r));

	fd = open(disk, O_RDWR | O_DIRECT | O_SYNC);
	ASSERT_LE(0, fd);
	for (i = 0; i < NR_DAMAGED; i++) {
		ASSERT_EQ(page_size, pread(fd, block, page_size, damaged_block(i, blocks)));
		block[page_size / 2] ^= 0x10;
		ASSERT_EQ(page_size, pwrite(fd, block, page_size, damaged_block(i, blocks)));
	}
	close(fd);
	free(block);

	/* The other pages are on the disk only. */
	lost = unreadable_halves(r, 1);
	bad = stat_of("backing_blocks_bad");
	EXPECT_LE(bad, lost);
	ksft_print_msg("%ld pages were in %lld blocks that are known to be bad\n", lost,
		       bad);
	/* A block without any of these pages was not read.  Two or three pages fill a block. */
	EXPECT_LE(NR_DAMAGED / 4, bad);

	ASSERT_EQ(0, attr_write("mem_limit", MEM_LIMIT));
	for (i = 0; i < 3; i++)
		region_page_out(r);
	spill(r, memcg);
	others = unreadable_halves(r, 0);
	EXPECT_GE(3 * (NR_DAMAGED - bad), others);
	EXPECT_EQ(lost, unreadable_halves(r, 1));
	EXPECT_EQ(lost + others, region_unreadable(r, NULL));
}

TEST_F_TIMEOUT(packed, keeps_pages_in_memory_of_a_rotten_block, TEST_SECONDS)
{
	try_to_drop(_metadata, &self->r, self->disk, self->memcg, false);
}

TEST_F_TIMEOUT(packed, keeps_pages_in_zswap_of_a_rotten_block, TEST_SECONDS)
{
	try_to_drop(_metadata, &self->r, self->disk, self->memcg, true);
}

int main(int argc, char **argv)
{
	skip_reason = backing_test_begin();
	return test_harness_run(argc, argv);
}
