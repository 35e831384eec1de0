// SPDX-License-Identifier: GPL-2.0
/*
 * Damaged data in memory: a process that needs such a page gets an error and never
 * wrong data, and all other pages are unaffected.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "corrupt_util.h"

/* The kernel logs at most 10 errors in 5 seconds. */
#define LOG_PAUSE_US	5500000

/* === Single pages ======================================================== */

FIXTURE(single) {
	struct region r;
	struct setup s;
	struct victim victims[NR_VICTIMS];
};

FIXTURE_VARIANT(single) {
	bool device;
};

FIXTURE_VARIANT_ADD(single, on_a_disk) { .device = false };
FIXTURE_VARIANT_ADD(single, on_ramzswap) { .device = true };

FIXTURE_SETUP(single)
{
	const char *reason;

	self->s.device = variant->device;
	reason = begin(&self->s);
	if (reason)
		SKIP(return, "%s", reason);
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_HALF, own_seed()));
	region_write_all(&self->r);
	ASSERT_TRUE(swap_out(&self->r, &self->s, false));
	damage_pages(_metadata, &self->r, self->victims, NR_VICTIMS, 5, 13);
}

FIXTURE_TEARDOWN(single)
{
	end(_metadata, &self->s);
}

TEST_F_TIMEOUT(single, gives_a_signal_and_nothing_else, TEST_SECONDS)
{
	const unsigned char *page = region_page(&self->r, self->victims[3].index);
	const unsigned char *good = page + page_size;
	struct region more;
	pid_t pid;
	int i;

	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	EXPECT_EQ(NR_VICTIMS, FAILED_READS);
	EXPECT_EQ(NR_VICTIMS, DECOMPRESS_FAIL);
	if (variant->device)
		EXPECT_EQ(NR_VICTIMS, stat_of("failed_reads"));
	EXPECT_EQ(NR_VICTIMS, pages_swapped(self->r.mem, NR_PAGES));

	/* The second attempt fails as well, with any kind of access. */
	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	for (i = 0; i < NR_VICTIMS; i++)
		EXPECT_FALSE(page_copy(region_page(&self->r, self->victims[i].index), good));
	EXPECT_FALSE(page_readable(page));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_TRUE(page_readable(page + page_size));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(*page);
	EXPECT_EQ(-SIGBUS, child_status(pid));

	/* Other pages come and go beside the damaged ones. */
	ASSERT_TRUE(region_map(&more, NR_PAGES, FILL_MIXED, 62));
	region_write_all(&more);
	EXPECT_EQ(NR_PAGES, region_page_out(&more));
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	for (i = 0; i < NR_VICTIMS; i++)
		region_write(&self->r, self->victims[i].index + 1, 12);
	EXPECT_EQ(NR_PAGES, region_page_out(&self->r));
	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	region_unmap(&more);
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

/* Recompression must skip damaged data, and must not report it. */
TEST_F_TIMEOUT(single, is_left_to_its_reader_by_who_compresses_it_again, TEST_SECONDS)
{
	if (!variant->device || attr_write("squeeze", "0") != EOPNOTSUPP)
		SKIP(return, "not for a disk, or nothing is compressed again");
	if (!file_write(ZSWAP_PARAM "cold_compressor", "zstd"))
		SKIP(return, "there is no second compressor");
	ASSERT_EQ(0, attr_write("squeeze", "1T"));
	EXPECT_EQ((long long)(NR_PAGES - NR_VICTIMS),
		  stat_of("num_hopeless") + stat_of("num_squeezed"));
	EXPECT_EQ(0, DECOMPRESS_FAIL);
	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	EXPECT_EQ(NR_VICTIMS, FAILED_READS);
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

/*
 * Count how often the log, from the position of @fd on, names the slot of a
 * page.
 */
static unsigned int times_in_log(int fd, __u64 entry)
{
	char want[128], record[8192];
	unsigned int times = 0;
	ssize_t n;

	snprintf(want, sizeof(want), "Decompression error from zswap (%llu:%llu ",
		 entry & PAGEMAP_TYPE, (entry & PAGEMAP_PFN) >> PAGEMAP_OFFSET_SHIFT);
	while ((n = read(fd, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		record[n > 0 ? n : 0] = '\0';
		times += !!strstr(record, want);
	}
	return times;
}

TEST_F_TIMEOUT(single, is_told_of_in_the_log, TEST_SECONDS)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK), i;
	unsigned long index;
	__u64 entry;

	if (fd < 0)
		SKIP(return, "no /dev/kmsg");
	usleep(LOG_PAUSE_US);
	for (i = 0; i < NR_VICTIMS / 4; i++) {
		index = self->victims[i].index;
		entry = pagemap_entry(region_page(&self->r, index));
		ASSERT_LE(0, lseek(fd, 0, SEEK_END));
		EXPECT_EQ(RIGHT, read_page(&self->r, index - 1));
		EXPECT_EQ(SIGNAL, read_page(&self->r, index));
		EXPECT_EQ(1, times_in_log(fd, entry));
	}
	close(fd);
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

/*
 * The data stays stored, and is read again once the swap cache drops its folio.
 */
TEST_F_TIMEOUT(single, stays_stored, TEST_SECONDS)
{
	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	EXPECT_EQ(self->s.stored + NR_VICTIMS, pages_stored());
	ASSERT_TRUE(drop_swap_cache(self->s.memcg));
	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	EXPECT_EQ(2 * NR_VICTIMS, FAILED_READS);
	ASSERT_TRUE(drop_swap_cache(self->s.memcg));
	repair_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(2 * NR_VICTIMS, FAILED_READS);
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

TEST_F_TIMEOUT(single, can_be_freed_and_written_anew, TEST_SECONDS)
{
	unsigned int i;

	/*
	 * Half of the victims have been read before, and are in the swap cache.
	 */
	for (i = 0; i < NR_VICTIMS; i += 2)
		EXPECT_EQ(SIGNAL, read_page(&self->r, self->victims[i].index));
	for (i = 0; i < NR_VICTIMS; i++) {
		unsigned long index = self->victims[i].index;

		ASSERT_EQ(0, madvise(region_page(&self->r, index), page_size, MADV_DONTNEED));
		region_mark_zero(&self->r, index, 1);
	}
	EXPECT_EQ(self->s.stored + (long long)NR_PAGES - NR_VICTIMS, pages_stored());
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(NR_VICTIMS / 2, FAILED_READS);
	region_write_all(&self->r);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(NR_VICTIMS / 2, FAILED_READS);
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

TEST_F_TIMEOUT(single, does_not_keep_the_device_from_being_swapped_off, TEST_SECONDS)
{
	EXPECT_EQ(SIGNAL, read_page(&self->r, self->victims[0].index));
	ASSERT_TRUE(variant->device ? !swapoff(DEVICE_PATH) : other_swap_off());
	EXPECT_EQ(NR_VICTIMS, FAILED_READS);
	/*
	 * Nothing is stored any more, but the pages are still known to be lost.
	 */
	EXPECT_EQ(self->s.stored, pages_stored());
	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	if (!variant->device)
		other_swap_on();
	else if (!device_on())
		SKIP(return, "the device cannot be swapped on again");
	region_page_out(&self->r);
	EXPECT_EQ(self->s.stored + (long long)NR_PAGES - NR_VICTIMS, pages_stored());
	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

/* === Writeback =========================================================== */

FIXTURE(writeback) {
	struct region r;
	struct setup s;
	struct victim victims[NR_VICTIMS];
};

FIXTURE_VARIANT(writeback) {
	bool device;
};

FIXTURE_VARIANT_ADD(writeback, on_a_disk) { .device = false };
FIXTURE_VARIANT_ADD(writeback, on_ramzswap) { .device = true };

FIXTURE_SETUP(writeback)
{
	const char *reason;
	char path[64];

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	if (variant->device && access(DEVICE_SYSFS "backing_dev", F_OK))
		SKIP(return, "this kernel has no ramzswap device with a backing device");
	if (variant->device &&
	    (!borrow_disk(path, sizeof(path), 4 * NR_PAGES * page_size)))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	self->s.device = variant->device;
	self->s.backing = variant->device ? path : NULL;
	reason = begin(&self->s);
	if (reason)
		SKIP(other_swap_on(); return, "%s", reason);
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_HALF, own_seed()));
	region_write_all(&self->r);
	ASSERT_TRUE(swap_out(&self->r, &self->s, false));
	damage_pages(_metadata, &self->r, self->victims, NR_VICTIMS, 5, 13);
}

FIXTURE_TEARDOWN(writeback)
{
	end(_metadata, &self->s);
}

/*
 * To write a page to a swap disk, zswap decompresses it: a damaged page stays.
 * Compressed data goes to the backing device of ramzswap as it is.
 */
TEST_F_TIMEOUT(writeback, of_damaged_data_fails_or_its_reader_does, TEST_SECONDS)
{
	const long long stay = variant->device ? 0 : NR_VICTIMS;
	long long written = zswap_value("written_back_pages");
	struct region more;
	int i, k;

	/* zswap notices that the pool is too large when it is to store more. */
	ASSERT_TRUE(region_map(&more, NR_PAGES, FILL_HALF, 65));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "0"));
	for (i = 0; i < (int)NR_PAGES; i++) {
		if (zswap_value("written_back_pages") - written >= (long long)NR_PAGES - stay &&
		    stay <= DECOMPRESS_FAIL &&
		    (!variant->device || !stat_of("pages_stored")))
			break;
		region_write(&more, i, 1);
		page_out(region_page(&more, i), 1);
		usleep(50000);
	}
	EXPECT_GT((int)NR_PAGES, i);
	pool_look();
	for (k = 0; k < NR_VICTIMS && stay; k++)
		EXPECT_TRUE(is_damaged(&self->r, &self->victims[k], false));
	if (variant->device) {
		/* Writes in flight are not counted yet. */
		for (k = 0; k < 100 && stat_of("bdev_num_writes") < NR_PAGES; k++)
			usleep(50000);
		/*
		 * The pages that triggered this may have been stored and written
		 * themselves.
		 */
		EXPECT_LE((long long)NR_PAGES, stat_of("bdev_num_writes"));
		EXPECT_GE((long long)NR_PAGES + i, stat_of("bdev_num_writes"));
		EXPECT_LE((long long)NR_PAGES, stat_of("pages_spilled"));
		EXPECT_EQ(0, DECOMPRESS_FAIL);
	}
	/* Only the kernel itself has read the damaged data so far. */
	EXPECT_EQ(0, FAILED_READS);

	ASSERT_TRUE(drop_swap_cache(self->s.memcg));
	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	EXPECT_EQ(NR_VICTIMS, FAILED_READS);
	EXPECT_EQ(0, region_wrong_bytes_all(&more));

	/* Pages that are in memory are not lost. */
	ASSERT_TRUE(drop_swap_cache(self->s.memcg));
	if (!variant->device) {
		repair_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	}
	region_unmap(&more);
	region_unmap(&self->r);
	if (variant->device) {
		EXPECT_LT(0, stat_of("bdev_num_reads"));
		EXPECT_EQ(0, stat_of("pages_stored"));
		EXPECT_EQ(0, stat_of("pages_spilled"));
	}
}

/* === Shared memory ======================================================= */

FIXTURE(shared) {
	struct region r;
	struct setup s;
	struct victim victims[NR_VICTIMS];
	int fd;
};

FIXTURE_VARIANT(shared) {
	bool large;
};

FIXTURE_VARIANT_ADD(shared, in_pages) { .large = false };
FIXTURE_VARIANT_ADD(shared, in_folios_of_64k) { .large = true };

FIXTURE_SETUP(shared)
{
	const char *reason;

	self->s.large = variant->large;
	reason = begin(&self->s);
	if (reason)
		SKIP(return, "%s", reason);
	self->fd = memfd_create("ramzswap", 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, NR_PAGES * page_size));
	ASSERT_TRUE(region_map_fd(&self->r, NR_PAGES, FILL_HALF, own_seed(), self->fd));
	region_write_all(&self->r);
	ASSERT_TRUE(swap_out(&self->r, &self->s, true));
	damage_pages(_metadata, &self->r, self->victims, 8, 5, 2 * FOLIO_PAGES);
}

FIXTURE_TEARDOWN(shared)
{
	end(_metadata, &self->s);
}

/* Read a page of the file. Return: as read_page(), with SIGNAL for EIO. */
static enum outcome read_file_page(const struct region *r, int fd, unsigned long index)
{
	unsigned char got[page_size], want[page_size];
	ssize_t n = pread(fd, got, page_size, index * page_size);

	if (n < 0)
		return errno == EIO ? SIGNAL : WRONG;
	page_fill(want, r->fill, r->seed, index, r->version[index]);
	return n != (ssize_t)page_size || memcmp(got, want, page_size) ? WRONG : RIGHT;
}

static void check_file(struct __test_metadata *_metadata, const struct region *r, int fd,
		       bool mapped)
{
	unsigned long i, wrong = 0;

	for (i = 0; i < NR_PAGES; i++) {
		enum outcome outcome = mapped ? read_page(r, i) : read_file_page(r, fd, i);

		wrong += outcome != (i % (2 * FOLIO_PAGES) == 5 ? SIGNAL : RIGHT);
	}
	EXPECT_EQ(0, wrong);
}

TEST_F_TIMEOUT(shared, gives_an_error_to_who_reads_the_file, TEST_SECONDS)
{
	check_file(_metadata, &self->r, self->fd, false);
	EXPECT_EQ(8, FAILED_READS);
	/*
	 * A page may first fail as part of a large folio, and then on its own.
	 */
	EXPECT_LE(8, DECOMPRESS_FAIL);
	EXPECT_GE(variant->large ? 16 : 8, DECOMPRESS_FAIL);
	check_file(_metadata, &self->r, self->fd, true);
	EXPECT_EQ(8, FAILED_READS);
	region_unmap(&self->r);
	close(self->fd);
	check_all_freed(_metadata, &self->s);
}

TEST_F_TIMEOUT(shared, gives_a_signal_to_who_has_it_mapped, TEST_SECONDS)
{
	check_file(_metadata, &self->r, self->fd, true);
	EXPECT_EQ(8, FAILED_READS);
	/*
	 * A page may first fail as part of a large folio, and then on its own.
	 */
	EXPECT_LE(8, DECOMPRESS_FAIL);
	EXPECT_GE(variant->large ? 16 : 8, DECOMPRESS_FAIL);
	check_file(_metadata, &self->r, self->fd, false);
	page_out_shared(self->r.mem, NR_PAGES);
	check_file(_metadata, &self->r, self->fd, true);
	region_unmap(&self->r);
	close(self->fd);
	check_all_freed(_metadata, &self->s);
}

int main(int argc, char **argv)
{
	corrupt_begin();
	return test_harness_run(argc, argv);
}
