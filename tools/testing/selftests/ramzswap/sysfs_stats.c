// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/block/ramzswapN/stats/: each file has one number, which everybody can
 * read. It agrees with debugfs and with what the test did.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define STATS		DEVICE_SYSFS "stats"
#define NR_PAGES	(8 * MIB / page_size)

static const char *skip_reason;

/* Numbers that debugfs has under the same name, then the others. */
static const char * const names[] = {
	"orig_data_size", "compr_data_size", "num_reads", "num_writes",
	"failed_reads", "failed_writes", "invalid_io", "bdev_num_reads",
	"bdev_num_writes", "backing_blocks_total", "backing_blocks_used",
	"backing_blocks_bad", "backing_stops", "pages_cold", "compr_cold_size",
	"mem_used", "pages_incompressible",
};

#define NR_IN_DEBUGFS	(ARRAY_SIZE(names) - 2)

static long long sysfs_stat(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), STATS "/%s", name);
	return file_number(path);
}

static bool is_number_line(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits && !strcmp(text + digits, "\n");
}

/* === The files =========================================================== */

FIXTURE(files) {
};

FIXTURE_SETUP(files)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
}

FIXTURE_TEARDOWN(files)
{
}

TEST_F(files, are_these_and_no_others)
{
	bool seen[ARRAY_SIZE(names)] = {};
	DIR *dir = opendir(STATS);
	struct dirent *entry;
	unsigned int i;

	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		if (*entry->d_name == '.')
			continue;
		for (i = 0; i < ARRAY_SIZE(names) && strcmp(entry->d_name, names[i]); i++)
			;
		EXPECT_GT(ARRAY_SIZE(names), i) {
			TH_LOG("an unknown file: %s", entry->d_name);
		}
		if (i < ARRAY_SIZE(names))
			seen[i] = true;
	}
	closedir(dir);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_TRUE(seen[i]) {
			TH_LOG("there is no %s", names[i]);
		}
	}
}

/*
 * Exit status: the number of files that an unprivileged user cannot read as a
 * number.
 */
static int unreadable(void)
{
	char path[128], buf[64];
	unsigned int i;
	int nr = 0;

	if (setgid(65534) || setuid(65534))
		return 100;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), STATS "/%s", names[i]);
		nr += !file_read(path, buf, sizeof(buf)) || !is_number_line(buf);
	}
	return nr;
}

TEST_F(files, have_a_number_that_everybody_can_read)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(unreadable());
	EXPECT_EQ(0, child_status(pid));
}

TEST_F(files, cannot_be_written)
{
	char path[128];
	struct stat st;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), STATS "/%s", names[i]);
		ASSERT_EQ(0, stat(path, &st));
		EXPECT_EQ(0444, st.st_mode & 07777);
		EXPECT_FALSE(file_write(path, "1"));
	}
}

/* === The numbers ========================================================= */

FIXTURE(stats) {
	char path[64];
	struct region text;
	struct region zero;
	struct region random;
	bool ready;
};

FIXTURE_VARIANT(stats) {
	bool backed;
};

FIXTURE_VARIANT_ADD(stats, in_memory) {
	.backed = false,
};

FIXTURE_VARIANT_ADD(stats, with_a_backing_device) {
	.backed = true,
};

FIXTURE_SETUP(stats)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "256M"));
	test_stay_resident();
	if (variant->backed) {
		if (!borrow_disk(self->path, sizeof(self->path), 4 * NR_PAGES * page_size))
			SKIP(other_swap_on(); return, "no swap disk to borrow");
		ASSERT_EQ(0, attr_write("backing_dev", self->path));
	} else if (!other_swap_off()) {
		SKIP(return, "other swap could not be switched off");
	}
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(region_map(&self->text, NR_PAGES, FILL_TEXT, 61));
	ASSERT_TRUE(region_map(&self->zero, NR_PAGES, FILL_ZERO, 62));
	ASSERT_TRUE(region_map(&self->random, NR_PAGES, FILL_RANDOM, 63));
	region_write_all(&self->text);
	region_write_all(&self->zero);
	region_write_all(&self->random);
	self->ready = true;
}

FIXTURE_TEARDOWN(stats)
{
	unsigned int i;

	if (!self->ready)
		return;
	region_unmap(&self->text);
	region_unmap(&self->zero);
	region_unmap(&self->random);
	zswap_defaults();
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, sysfs_stat("orig_data_size"));
	EXPECT_EQ(0, sysfs_stat("compr_data_size"));
	EXPECT_EQ(0, sysfs_stat("pages_cold"));
	EXPECT_EQ(0, sysfs_stat("compr_cold_size"));
	EXPECT_EQ(0, sysfs_stat("pages_incompressible"));
	EXPECT_EQ(0, sysfs_stat("backing_blocks_used"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_EQ(0, sysfs_stat(names[i])) {
			TH_LOG("%s after reset", names[i]);
		}
	}
	other_swap_on();
}

static void expect_what_debugfs_says(struct __test_metadata *_metadata)
{
	unsigned int i;

	for (i = 0; i < NR_IN_DEBUGFS; i++) {
		EXPECT_EQ(stat_of(names[i]), sysfs_stat(names[i])) {
			TH_LOG("%s", names[i]);
		}
	}
}

TEST_F_TIMEOUT(stats, tell_what_is_stored, TEST_SECONDS)
{
	const long long nr = NR_PAGES;
	long long used;

	EXPECT_EQ(0, sysfs_stat("orig_data_size"));
	EXPECT_EQ(0, swap_used(DEVICE_PATH));
	ASSERT_EQ(nr, region_page_out(&self->text));
	ASSERT_EQ(nr, region_page_out(&self->zero));

	EXPECT_EQ(nr * (long long)page_size, sysfs_stat("orig_data_size"));
	EXPECT_EQ(nr, sysfs_stat("num_writes"));
	EXPECT_EQ(0, sysfs_stat("num_reads"));
	EXPECT_EQ(0, sysfs_stat("pages_incompressible"));
	EXPECT_EQ(2 * nr * (long long)page_size, swap_used(DEVICE_PATH));
	/* Text compresses to about a third. */
	EXPECT_LT(nr * (long long)page_size / 10, sysfs_stat("compr_data_size"));
	EXPECT_GT(nr * (long long)page_size / 2, sysfs_stat("compr_data_size"));
	expect_what_debugfs_says(_metadata);

	/* The memory that the pages take, except for a small part */
	used = sysfs_stat("mem_used");
	EXPECT_LE(stat_of("pages_used") * (long long)page_size, used);
	EXPECT_LE(sysfs_stat("compr_data_size"), used);
	EXPECT_GE(stat_of("mem_used_total"), used);
	EXPECT_LE(stat_of("mem_used_total") * 9 / 10, used);

	EXPECT_EQ(0, region_wrong_bytes(&self->text, 0, nr / 4));
	EXPECT_EQ(nr / 4, sysfs_stat("num_reads"));
	EXPECT_EQ((nr - nr / 4) * (long long)page_size, sysfs_stat("orig_data_size"));
	EXPECT_EQ(0, sysfs_stat("failed_reads"));
	expect_what_debugfs_says(_metadata);
}

TEST_F_TIMEOUT(stats, tell_what_does_not_compress, TEST_SECONDS)
{
	const long long nr = variant->backed ? NR_PAGES : 0;
	unsigned long swapped = 0;

	/*
	 * Without a backing device, storing an incompressible page would be
	 * useless.
	 */
	if (variant->backed)
		swapped = region_page_out(&self->random);
	else
		madvise(self->random.mem, NR_PAGES * page_size, MADV_PAGEOUT);
	ASSERT_EQ(nr, swapped);
	EXPECT_EQ(nr, sysfs_stat("pages_incompressible"));
	EXPECT_EQ(nr * (long long)page_size, sysfs_stat("orig_data_size"));
	EXPECT_EQ(nr * (long long)page_size, sysfs_stat("compr_data_size"));
	EXPECT_EQ(!variant->backed, sysfs_stat("failed_writes") > 0);
	expect_what_debugfs_says(_metadata);
}

TEST_F_TIMEOUT(stats, tell_what_is_cold, TEST_SECONDS)
{
	const long long nr = NR_PAGES;

	if (!file_write(ZSWAP_PARAM "compressor", "lz4") ||
	    !file_write(ZSWAP_PARAM "cold_compressor", "zstd"))
		SKIP(return, "there are no two compressors");
	ASSERT_EQ(nr, region_page_out(&self->text));
	EXPECT_EQ(0, sysfs_stat("pages_cold"));
	EXPECT_EQ(0, sysfs_stat("compr_cold_size"));
	ASSERT_EQ(0, attr_write("squeeze", "4M"));
	EXPECT_EQ(nr / 2, sysfs_stat("pages_cold"));
	EXPECT_LT(sysfs_stat("compr_cold_size"), sysfs_stat("compr_data_size") / 2);
	EXPECT_LT(0, sysfs_stat("compr_cold_size"));
	expect_what_debugfs_says(_metadata);
	ASSERT_EQ(0, attr_write("squeeze", "1T"));
	EXPECT_EQ(nr, sysfs_stat("pages_cold"));
	EXPECT_EQ(sysfs_stat("compr_data_size"), sysfs_stat("compr_cold_size"));
	expect_what_debugfs_says(_metadata);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->text));
}

TEST_F_TIMEOUT(stats, tell_what_is_on_the_backing_device, TEST_SECONDS)
{
	const long long nr = NR_PAGES;

	if (!variant->backed) {
		EXPECT_EQ(0, sysfs_stat("backing_blocks_total"));
		return;
	}
	/* The first block is not used. */
	EXPECT_LE(4 * nr - 1, sysfs_stat("backing_blocks_total"));
	EXPECT_EQ(0, sysfs_stat("backing_blocks_used"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(nr, region_page_out(&self->text));
	EXPECT_LE(nr, sysfs_stat("backing_blocks_used"));
	/* A page counts as written when the I/O has ended. */
	stat_reaches("bdev_num_writes", nr);
	EXPECT_LE(nr, sysfs_stat("bdev_num_writes"));
	EXPECT_EQ(0, sysfs_stat("orig_data_size"));
	EXPECT_EQ(0, sysfs_stat("backing_blocks_bad"));
	EXPECT_EQ(0, sysfs_stat("backing_stops"));
	/* The table of what is on the backing device takes memory, too. */
	EXPECT_LT(0, sysfs_stat("mem_used"));
	expect_what_debugfs_says(_metadata);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->text));
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	if (!skip_reason && access(STATS, F_OK))
		skip_reason = "there is no " STATS;
	return test_harness_run(argc, argv);
}
