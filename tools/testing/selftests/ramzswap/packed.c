// SPDX-License-Identifier: GPL-2.0
/*
 * zswap packs the pages that it writes to a backing device.  They take a part
 * of the room, and come back unchanged.  If the disk returns anything but what
 * was written, only the processes that need these pages get an I/O error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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
/* Bytes of compressed pages that stay in memory */
#define MEM_LIMIT	"256K"
#define NR_DAMAGED	8

static const char *skip_reason;

/* A test writes to the disk while its mapping is in use. */
FIXTURE(packed) {
	struct region r;
	char disk[64], path[64], memcg[256];
	bool ready;
};

static bool attach(const char *path)
{
	return !attr_write("disksize", "256M") && !attr_write("backing_dev", path) &&
	       !attr_write("mem_limit", MEM_LIMIT) && device_on();
}

FIXTURE_SETUP(packed)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	if (access("/dev/mapper/control", F_OK))
		SKIP(return, "this kernel has no device mapper");
	ASSERT_EQ(0, attr_write("reset", "1"));
	test_stay_resident();
	thp_only_size(0);
	file_write("/proc/sys/vm/page-cluster", "0");
	if (!other_swap_off() ||
	    !other_swap_disk(self->disk, sizeof(self->disk), 2 * NR_PAGES * page_size))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	if (!memcg_create("ramzswap-test", self->memcg, sizeof(self->memcg)) ||
	    !memcg_enter(self->memcg))
		SKIP(other_swap_on(); return, "there is no cgroup2 with a memory controller");
	ASSERT_TRUE(dm_create(self->disk, self->path, 0));
	ASSERT_TRUE(attach(self->path));
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 91));
	ASSERT_EQ(0, mlock(self->r.version, NR_PAGES * sizeof(*self->r.version)));
	region_write_all(&self->r);
	self->ready = true;
}

FIXTURE_TEARDOWN(packed)
{
	if (!self->ready)
		return;
	region_unmap(&self->r);
	zswap_defaults();
	file_write("/proc/sys/vm/page-cluster", "0");
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, stat_of("pages_spilled"));
	EXPECT_EQ(0, stat_of("backing_blocks_used"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	EXPECT_TRUE(dm_remove());
	other_swap_on();
	*strrchr(self->memcg, '/') = '\0';
	EXPECT_TRUE(memcg_enter(self->memcg));
	strcat(self->memcg, "/ramzswap-test");
	memcg_remove(self->memcg);
}

/* Move the region to the disk, except for what mem_limit allows in memory. */
static bool spill(struct region *r, const char *memcg)
{
	long long spilled = -1;
	char path[300];
	int i;

	if (region_page_out(r) != r->nr_pages)
		return false;
	/*
	 * Pages that are written whole stay in the swap cache until reclaim
	 * takes them.
	 */
	snprintf(path, sizeof(path), "%s/memory.reclaim", memcg);
	for (i = 0; i < 20; i++) {
		file_write_number(path, NR_PAGES * page_size);
		usleep(10000);
	}
	/* Wait until all writes have ended. */
	for (i = 0; i < 100 && stat_of("pages_spilled") != spilled; i++) {
		spilled = stat_of("pages_spilled");
		usleep(200000);
	}
	return spilled > r->nr_pages * 3 / 4;
}

TEST_F_TIMEOUT(packed, takes_a_part_of_the_disk, TEST_SECONDS)
{
	long long written, ios, pages, blocks, reads, read_ios;

	ASSERT_TRUE(spill(&self->r, self->memcg));
	pages = stat_of("bdev_num_writes");
	written = stat_of("backing_bytes_written");
	ios = stat_of("backing_write_ios");
	blocks = stat_of("backing_blocks_used");
	ksft_print_msg("%lld bytes in %lld requests for %lld pages, now %lld in %lld blocks\n",
		       written, ios, pages, stat_of("pages_spilled"), blocks);
	EXPECT_LE(NR_PAGES * 3 / 4, pages);
	/* The text compresses to about a third. */
	EXPECT_GT(0.6 * page_size * pages, written);
	EXPECT_GT(0.6 * stat_of("pages_spilled"), blocks);
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
	ASSERT_TRUE(file_write(ZSWAP_PARAM "cold_compressor", "zstd"));
	/* Recompressed pages are written as they are. */
	ASSERT_EQ(0, attr_write("mem_limit", "0"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_EQ(0, attr_write("squeeze", "1T"));
	EXPECT_LT(NR_PAGES * 3 / 4, stat_of("pages_cold"));
	ASSERT_EQ(0, attr_write("mem_limit", MEM_LIMIT));
	ASSERT_TRUE(spill(&self->r, self->memcg));
	EXPECT_GT(0.4 * stat_of("pages_spilled"), stat_of("backing_blocks_used"));

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
enum { DISK_READS = 0, DISK_DISCARDED_SECTORS = 13 };

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

	/* A block each */
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
	/* A block each, so that whole parts of the disk become free */
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

	/* Soon after the disk has answered, it is free. */
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
	long long pages, blocks, need;
	double end;
	unsigned long i;
	int round;

	ASSERT_TRUE(spill(&self->r, self->memcg));
	/* Blocks for 100 pages when all are full */
	need = 100 * stat_of("backing_blocks_used") / stat_of("pages_spilled");
	blocks = stat_of("backing_blocks_used");
	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_TRUE(dm_remove());
	ASSERT_TRUE(dm_create(self->disk, self->path, blocks * 13 / 10 * page_size));
	ASSERT_TRUE(attach(self->path));

	for (round = 0; round < 8; round++) {
		for (i = round % 3; i < NR_PAGES; i += 3)
			region_write(&self->r, i, 1);
		region_page_out(&self->r);
		usleep(300000);
	}
	end = seconds_now() + 20;
	do {
		usleep(200000);
		pages = stat_of("pages_spilled");
		blocks = stat_of("backing_blocks_used");
	} while (100 * blocks > need * 5 / 4 * pages && seconds_now() < end);
	ksft_print_msg("%lld pages in %lld of %lld blocks, %lld pages moved, %lld written\n",
		       pages, blocks, stat_of("backing_blocks_total"),
		       stat_of("backing_pages_moved"), stat_of("bdev_num_writes"));
	EXPECT_LT(NR_PAGES * 3 / 4, pages);
	EXPECT_LT(0, stat_of("backing_pages_moved"));
	EXPECT_GE(need * 5 / 4 * pages, 100 * blocks);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, stat_of("failed_reads"));
}

/* === Damage ============================================================== */

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

/* Can every second page be read, from @first on?  Return: the number that cannot. */
static long unreadable_halves(const struct region *r, unsigned long first)
{
	unsigned long i;
	long lost = 0;
	char byte;
	int p[2];

	if (pipe(p))
		return -1;
	for (i = first; i < r->nr_pages; i += 2)
		if (write(p[1], region_page(r, i), 1) == 1)
			lost -= read(p[0], &byte, 1) != 1;
		else
			lost++;
	close(p[0]);
	close(p[1]);
	return lost;
}

/*
 * Every second page is in memory, or in zswap if @compressed, and has not changed since it
 * was read.  So it would leave memory without being written.  But not when its block on
 * the disk is known to be rotten.
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
	/* A block that has none of them was not read.  Two or three pages fill one. */
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
	skip_reason = test_begin();
	if (!skip_reason && access(DEVICE_SYSFS "backing_dev", F_OK))
		skip_reason = "this kernel has no ramzswap device with a backing device";
	return test_harness_run(argc, argv);
}
