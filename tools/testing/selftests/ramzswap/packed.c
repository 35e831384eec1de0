// SPDX-License-Identifier: GPL-2.0
/*
 * zswap packs the pages that it writes to a backing device. They take less room
 * than uncompressed ones, and come back unchanged.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "packed_util.h"

TEST_F_TIMEOUT(packed, takes_a_part_of_the_disk, TEST_SECONDS)
{
	long long written, ios, pages, spilled, blocks, reads, read_ios;
	int round = 0;

	/* A disk that does not keep up gets some pages uncompressed. */
	do {
		pages = stat_of("bdev_num_writes");
		written = stat_of("backing_bytes_written");
		ios = stat_of("backing_write_ios");
		region_write_all(&self->r);
		ASSERT_TRUE(spill(&self->r, self->memcg));
		pages = stat_of("bdev_num_writes") - pages;
		written = stat_of("backing_bytes_written") - written;
		ios = stat_of("backing_write_ios") - ios;
		spilled = stat_of("pages_spilled");
		blocks = stat_of("backing_blocks_used");
		ksft_print_msg("%lld bytes in %lld requests for %lld pages\n", written, ios, pages);
		ksft_print_msg("now %lld pages in %lld blocks\n", spilled, blocks);
	} while (++round < 5 && (0.6 * page_size * pages <= written || 0.6 * spilled <= blocks ||
				 written / (16 * 1024) <= ios));
	EXPECT_LE(NR_PAGES * 3 / 4, pages);
	/* The text compresses to about a third. */
	EXPECT_GT(0.6 * page_size * pages, written);
	EXPECT_GT(0.6 * spilled, blocks);
	EXPECT_GT(written / (16 * 1024), ios);

	reads = stat_of("bdev_num_reads");
	read_ios = stat_of("backing_read_ios");
	ASSERT_TRUE(file_write("/proc/sys/vm/page-cluster", "4"));
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_SEQUENTIAL));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	reads = stat_of("bdev_num_reads") - reads;
	read_ios = stat_of("backing_read_ios") - read_ios;
	ksft_print_msg("%lld requests to read %lld pages in sequence\n", read_ios, reads);
	EXPECT_LT(NR_PAGES / 2, reads);
	EXPECT_GT(0.7 * reads, read_ios);
	EXPECT_EQ(0, stat_of("failed_reads"));
	EXPECT_EQ(0, stat_of("failed_writes"));
}

/* Pages keep their contents if they are used while they are being written. */
TEST_F_TIMEOUT(packed, keeps_what_is_used_meanwhile, TEST_SECONDS)
{
	const double end = seconds_now() + 20;
	__u64 state = 91;

	while (seconds_now() < end) {
		unsigned long first = random_next(&state) % (NR_PAGES - 256);
		unsigned long nr = 1 + random_next(&state) % 256;

		switch (random_next(&state) % 4) {
		case 0:
			region_write(&self->r, first, nr);
			break;
		case 1:
			ASSERT_EQ(0, region_wrong_bytes(&self->r, first, nr));
			break;
		case 2:
			ASSERT_EQ(0, madvise(region_page(&self->r, first), nr * page_size,
					     MADV_DONTNEED));
			region_mark_zero(&self->r, first, nr);
			break;
		}
		madvise(self->r.mem, NR_PAGES * page_size, MADV_PAGEOUT);
	}
	EXPECT_LT(NR_PAGES / 2, stat_of("bdev_num_writes"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, stat_of("failed_reads"));
}

/* Reads use the compressor that made a page, not the current one. */
TEST_F_TIMEOUT(packed, can_be_read_when_the_compressors_have_changed, TEST_SECONDS)
{
	double blocks, pages;
	int tries = 0;

	ASSERT_TRUE(file_write(ZSWAP_PARAM "cold_compressor", "zstd"));
	/* A disk that does not keep up gets some pages uncompressed: try again. */
	do {
		/* zswap writes recompressed pages without decompressing them. */
		ASSERT_EQ(0, attr_write("mem_limit", "0"));
		region_write_all(&self->r);
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
		ASSERT_EQ(0, attr_write("squeeze", "1T"));
		EXPECT_LT(NR_PAGES * 3 / 4, stat_of("pages_cold"));
		ASSERT_EQ(0, attr_write("mem_limit", MEM_LIMIT));
		ASSERT_TRUE(spill(&self->r, self->memcg));
		blocks = stat_of("backing_blocks_used");
		pages = stat_of("pages_spilled");
	} while (blocks >= 0.4 * pages && ++tries < 5);
	EXPECT_GT(0.4 * pages, blocks);

	ASSERT_TRUE(file_write(ZSWAP_PARAM "compressor", "lzo"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "cold_compressor", "lz4"));
	region_write(&self->r, 0, NR_PAGES / 2);
	ASSERT_TRUE(spill(&self->r, self->memcg));

	ASSERT_TRUE(file_write(ZSWAP_PARAM "compressor", "lz4"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "cold_compressor", "zstd"));
	region_write(&self->r, 0, NR_PAGES / 4);
	ASSERT_TRUE(spill(&self->r, self->memcg));
	EXPECT_LT(NR_PAGES * 3 / 4, stat_of("pages_spilled"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, stat_of("failed_reads"));
}

/* Fields of a disk's statistics, see Documentation/block/stat.rst */
enum { DISK_READS = 0, DISK_WRITES = 4, DISK_DISCARDED_SECTORS = 13 };

/* Return: a field of a disk's statistics, or -1. */
static long long disk_stat(const char *path, int index)
{
	char name[128], text[512], *at = text;
	long long value = -1;

	snprintf(name, sizeof(name), "/sys/class/block/%s/stat", strrchr(path, '/') + 1);
	if (!file_read(name, text, sizeof(text)))
		return -1;
	for (; index >= 0; index--) {
		char *end;

		value = strtoll(at, &end, 10);
		if (end == at)
			return -1;
		at = end;
	}
	return value;
}

/*
 * Some disks take seconds to report an error, so the kernel must not retry each
 * block of a buffer before it stops such a disk.
 */
TEST_F_TIMEOUT(packed, takes_few_requests_to_be_stopped, TEST_SECONDS)
{
	const char *disk = strrchr(self->disk, '/') + 1;
	const int tries = 3;
	long long requests;
	double end;
	int i = 0;

	if (!inject(disk, "removeall"))
		SKIP(return, "this kernel cannot inject I/O errors");
	ASSERT_EQ(0, attr_write("mem_limit", "0"));
	/* It takes more requests if the worker that handles errors waits for a CPU. */
	do {
		ASSERT_TRUE(inject(disk, "removeall"));
		ASSERT_TRUE(backing_gets("running", 60));
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
		requests = disk_stat(self->path, DISK_WRITES);
		ASSERT_LE(0, requests);
		ASSERT_TRUE(inject(disk, "add,op=WRITE,status=IOERR"));
		end = seconds_now() + 90;
		while (!backing_is("stopped") && seconds_now() < end)
			attr_write("writeback", "16M");
		requests = disk_stat(self->path, DISK_WRITES) - requests;
		TH_LOG("%lld requests", requests);
		EXPECT_TRUE(backing_is("stopped"));
	} while (requests >= 512 && ++i < tries);
	/* At most 128 failures stop it, with 3 requests each. A buffer has 32 pages of 4 KiB. */
	if (page_size == 4096)
		EXPECT_GT(512, requests);
	EXPECT_EQ(0, stat_of("backing_blocks_bad"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	ASSERT_TRUE(inject(disk, "removeall"));
	ASSERT_TRUE(backing_gets("running", 60));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(0, attr_write("writeback", "16M"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, stat_of("failed_reads"));
}

/*
 * Swapoff reads the disk from one end to the other, in any order of the pages.
 */
TEST_F_TIMEOUT(packed, is_read_in_order_by_swapoff, TEST_SECONDS)
{
	long long pages, blocks, ios, requests;
	unsigned long i;

	/*
	 * The number of pages is a power of 2, so this visits each page once.
	 */
	for (i = 0; i < NR_PAGES; i++)
		madvise(region_page(&self->r, i * 1571 % NR_PAGES), page_size, MADV_PAGEOUT);
	ASSERT_TRUE(spill(&self->r, self->memcg));
	pages = stat_of("pages_spilled");
	blocks = stat_of("backing_blocks_used");
	ios = stat_of("backing_read_ios");
	requests = disk_stat(self->disk, DISK_READS);
	ASSERT_LE(0, requests);
	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	ios = stat_of("backing_read_ios") - ios;
	requests = disk_stat(self->disk, DISK_READS) - requests;
	ksft_print_msg("%lld requests to the disk for %lld blocks with %lld pages\n",
		       requests, blocks, pages);
	/* Each block is read once, together with its neighbours. */
	EXPECT_GE(blocks + NR_PAGES / 64, ios);
	EXPECT_GT(blocks / 4, requests);
	EXPECT_EQ(0, stat_of("failed_reads"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	ASSERT_TRUE(device_on());
}

/*
 * swapon --discard discards the whole disk first, and then free blocks, 2048 at
 * a time on most machines.
 */
TEST_F_TIMEOUT(packed, is_discarded_when_it_is_free, TEST_SECONDS)
{
	const unsigned long part = page_size / sizeof(__u16) * page_size / 512;
	long long discarded, at_swapon;
	int i;

	if (NR_PAGES * page_size / 512 < 2 * part)
		SKIP(return, "these pages do not fill two parts of a disk");
	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	discarded = disk_stat(self->disk, DISK_DISCARDED_SECTORS);
	ASSERT_EQ(0, swapon(DEVICE_PATH, SWAP_FLAG_DISCARD));
	at_swapon = disk_stat(self->disk, DISK_DISCARDED_SECTORS) - discarded;
	if (!at_swapon)
		SKIP(return, "this disk does not know discards");
	/* The kernel does not use the first block. */
	EXPECT_EQ(stat_of("backing_blocks_total") * page_size / 512, at_swapon);

	/* Each page takes a block. */
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_TRUE(spill(&self->r, self->memcg));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "Y"));
	discarded = disk_stat(self->disk, DISK_DISCARDED_SECTORS);
	usleep(2000000);
	EXPECT_EQ(discarded, disk_stat(self->disk, DISK_DISCARDED_SECTORS));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));

	/* Nobody needs the blocks once their pages have other contents. */
	region_write_all(&self->r);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	for (i = 0; i < 100; i++) {
		if (disk_stat(self->disk, DISK_DISCARDED_SECTORS) > discarded)
			break;
		usleep(100000);
	}
	discarded = disk_stat(self->disk, DISK_DISCARDED_SECTORS) - discarded;
	ksft_print_msg("%lld sectors discarded at swapon, %lld later\n", at_swapon,
		       discarded);
	EXPECT_LE(part, discarded);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, stat_of("failed_reads"));
}

/* Processes that write to a sysfs attribute can be killed, whatever the disk does. */
TEST_F_TIMEOUT(packed, can_be_detached_while_a_discard_hangs, TEST_SECONDS)
{
	long long discarded;
	int i, status;
	pid_t pid;

	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	discarded = disk_stat(self->disk, DISK_DISCARDED_SECTORS);
	ASSERT_EQ(0, swapon(DEVICE_PATH, SWAP_FLAG_DISCARD));
	if (disk_stat(self->disk, DISK_DISCARDED_SECTORS) == discarded)
		SKIP(return, "this disk does not know discards");
	/* Each page takes a block, so that whole parts of the disk become free. */
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_TRUE(spill(&self->r, self->memcg));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "Y"));

	region_unmap(&self->r);
	ASSERT_TRUE(dm_stop());
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	/* The discard begins, and does not end. */
	usleep(2500000);
	pid = fork();
	if (!pid) {
		attr_write("reset", "1");
		_exit(0);
	}
	usleep(1000000);
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	kill(pid, SIGKILL);
	for (i = 0; i < 100 && !waitpid(pid, &status, WNOHANG); i++)
		usleep(100000);
	EXPECT_GT(100, i);
	EXPECT_TRUE(dm_go_on());
	if (i == 100)
		waitpid(pid, &status, 0);

	/* The device is free soon after the disk has answered. */
	for (i = 0; i < 100 && !attach(self->path); i++) {
		attr_write("reset", "1");
		usleep(100000);
	}
	EXPECT_GT(100, i);
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 91));
}

/* Cleaning packs half-empty blocks again before holes fill the disk. */
TEST_F_TIMEOUT(packed, cleans_blocks_when_they_are_scarce, TEST_SECONDS)
{
	long long pages = 0, blocks = 0, need;
	double end;
	unsigned long i;
	int round;

	ASSERT_TRUE(spill(&self->r, self->memcg));
	/* Blocks for 100 pages when all are full, and a quarter more */
	need = 100 * stat_of("backing_blocks_used") / stat_of("pages_spilled") * 5 / 4;
	blocks = stat_of("backing_blocks_used");
	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_TRUE(dm_remove());
	ASSERT_TRUE(dm_create(self->disk, self->path, blocks * 13 / 10 * page_size));
	ASSERT_TRUE(attach(self->path));

	/* A disk that does not keep up gets some pages uncompressed: try again. */
	for (round = 0; round < 8 || (round < 16 && 100 * blocks > need * pages); round++) {
		for (i = round % 3; i < NR_PAGES; i += 3)
			region_write(&self->r, i, 1);
		region_page_out(&self->r);
		end = seconds_now() + (round < 7 ? 0 : 20);
		do {
			usleep(300000);
			pages = stat_of("pages_spilled");
			blocks = stat_of("backing_blocks_used");
		} while (100 * blocks > need * pages && seconds_now() < end);
	}
	ksft_print_msg("%lld pages in %lld of %lld blocks, %lld pages moved, %lld written\n",
		       pages, blocks, stat_of("backing_blocks_total"),
		       stat_of("backing_pages_moved"), stat_of("bdev_num_writes"));
	EXPECT_LT(NR_PAGES * 3 / 4, pages);
	EXPECT_LT(0, stat_of("backing_pages_moved"));
	EXPECT_GE(need * pages, 100 * blocks);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, stat_of("failed_reads"));
}

int main(int argc, char **argv)
{
	skip_reason = backing_test_begin();
	return test_harness_run(argc, argv);
}
