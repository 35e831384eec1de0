// SPDX-License-Identifier: GPL-2.0
/*
 * Disks and files as the backing device: which ones the device accepts, and that
 * others cannot change them meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(16 * MIB / page_size)

static const char *skip_reason;

/* === A file ============================================================== */

#define FILE_SYSTEM_BYTES	(96 * MIB)
#define FILE_BYTES		(24 * MIB)

FIXTURE(file) {
	struct region r;
	char dir[64], path[80], memcg[256];
	int zram;
	bool mounted, in_memcg;
};

static bool append(const char *path, size_t size)
{
	static char buf[MIB];
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	bool good = fd >= 0;

	while (good && size) {
		size_t part = size < sizeof(buf) ? size : sizeof(buf);

		good = write(fd, buf, part) == (ssize_t)part;
		size -= part;
	}
	good = good && !fsync(fd);
	close(fd);
	return good;
}

/* Make a file in pieces, with parts of another file between them. */
static bool make_file(const char *path)
{
	char other[128];
	int i;

	snprintf(other, sizeof(other), "%s.other", path);
	for (i = 0; i < 8; i++)
		if (!append(path, FILE_BYTES / 8) || !append(other, MIB / 2))
			return false;
	return true;
}

FIXTURE_SETUP(file)
{
	char dev[32], command[128];

	self->zram = -1;
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	test_stay_resident();
	self->zram = zram_create(FILE_SYSTEM_BYTES);
	if (self->zram < 0)
		SKIP(return, "no zram device could be made");
	snprintf(dev, sizeof(dev), "/dev/zram%d", self->zram);
	snprintf(command, sizeof(command), "mke2fs -b %lu %s >/dev/null 2>&1", page_size, dev);
	strcpy(self->dir, "/tmp/ramzswap-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	if (system(command) || mount(dev, self->dir, "ext4", 0, NULL))
		SKIP(zram_remove(self->zram); return, "no file system could be made");
	self->mounted = true;
	snprintf(self->path, sizeof(self->path), "%s/file", self->dir);
	other_swap_off();
	ASSERT_TRUE(make_file(self->path));
}

FIXTURE_TEARDOWN(file)
{
	if (!self->mounted)
		return;
	zswap_defaults();
	swapoff(DEVICE_PATH);
	EXPECT_EQ(0, stat_of("pages_spilled"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	/* The file is no longer in use. */
	EXPECT_EQ(0, umount(self->dir));
	rmdir(self->dir);
	zram_remove(self->zram);
	other_swap_on();
	if (self->in_memcg)
		EXPECT_TRUE(memcg_leave(self->memcg));
}

TEST_F_TIMEOUT(file, gives_back_what_was_swapped_out, TEST_SECONDS)
{
	int round;

	ASSERT_EQ(0, attr_write("backing_dev", self->path));
	ASSERT_TRUE(device_on());
	self->in_memcg = memcg_enter_own(self->memcg, sizeof(self->memcg));
	if (!self->in_memcg)
		SKIP(return, "there is no cgroup2 with a memory controller");
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 57));
	ASSERT_EQ(0, mlock(self->r.version, NR_PAGES * sizeof(*self->r.version)));
	ASSERT_TRUE(zswap_close());
	for (round = 0; round < 3; round++) {
		region_write_all(&self->r);
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
		ASSERT_TRUE(memcg_reclaim(self->memcg, NR_PAGES * page_size));
		EXPECT_LE(NR_PAGES, stat_of("pages_spilled"));
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	}
	EXPECT_LE(2 * NR_PAGES, stat_of("bdev_num_reads"));
	EXPECT_EQ(0, stat_of("failed_reads"));
	region_unmap(&self->r);
}

TEST_F_TIMEOUT(file, is_nobody_elses_meanwhile, TEST_SECONDS)
{
	struct stat st;
	int fd;

	ASSERT_EQ(0, stat(self->path, &st));
	ASSERT_EQ(0, attr_write("backing_dev", self->path));
	fd = open(self->path, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, write(fd, "x", 1));
	EXPECT_EQ(ETXTBSY, errno);
	EXPECT_EQ(-1, ftruncate(fd, 0));
	EXPECT_EQ(ETXTBSY, errno);
	EXPECT_EQ(-1, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, MIB));
	EXPECT_EQ(ETXTBSY, errno);
	EXPECT_EQ(-1, unlink(self->path));
	EXPECT_EQ(EPERM, errno);
	EXPECT_FALSE(swap_enable(self->path, -1));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(-1, umount(self->dir));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(0, attr_write("backing_dev", "none"));
	EXPECT_EQ(1, write(fd, "x", 1));
	EXPECT_EQ(0, ftruncate(fd, 0));
	close(fd);
	EXPECT_EQ(0, unlink(self->path));
}

TEST_F_TIMEOUT(file, is_refused_with_holes_and_elsewhere, TEST_SECONDS)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s.holes", self->path);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, FILE_BYTES));
	EXPECT_EQ(EINVAL, attr_write("backing_dev", path));
	/* The device released the file. */
	EXPECT_EQ(1, write(fd, "x", 1));
	ASSERT_EQ(0, ftruncate(fd, 100));
	EXPECT_EQ(EINVAL, attr_write("backing_dev", path));
	close(fd);
	EXPECT_EQ(0, unlink(path));
	EXPECT_EQ(EISDIR, attr_write("backing_dev", self->dir));
	/* This file system does not tell where the blocks of a file are. */
	EXPECT_EQ(EINVAL, attr_write("backing_dev", "/proc/self/oom_score_adj"));
}

/* === Attaching it ======================================================== */

TEST(backing_device_is_refused_with_a_reason)
{
	static const struct {
		const char *path;
		int error;
	} bad[] = {
		{ "\n", EINVAL }, { "/dev/does-not-exist", ENOENT },
		{ "/dev/null", ENOTBLK },
		{ "/proc", EISDIR },
		{ DEVICE_PATH, EINVAL },
	};
	struct swap_area areas[8];
	char path[128];
	int i, nr;

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(bad[i].error, attr_write("backing_dev", bad[i].path)) {
			TH_LOG("backing_dev number %d", i);
		}
	}
	nr = swap_areas(areas, ARRAY_SIZE(areas));
	if (nr)
		EXPECT_EQ(EBUSY, attr_write("backing_dev", areas[0].path));
	ASSERT_TRUE(file_read(DEVICE_SYSFS "backing_dev", path, sizeof(path)));
	EXPECT_STREQ("none\n", path);
	EXPECT_EQ(0, attr_write("backing_dev", "none"));
}

TEST(backing_device_is_held_and_given_back)
{
	char path[64], value[128], name[80], block[4096] = "";
	int fd, writer;

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	if (!borrow_disk(path, sizeof(path), 2 * NR_PAGES * page_size))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	snprintf(name, sizeof(name), "%s\n", path);
	/* A descriptor from before can write to the file before and after, but not meanwhile. */
	writer = open(path, O_WRONLY);
	ASSERT_LE(0, writer);
	EXPECT_EQ(sizeof(block), pwrite(writer, block, sizeof(block), MIB));
	ASSERT_EQ(0, attr_write("backing_dev", name));
	EXPECT_EQ(-1, pwrite(writer, block, sizeof(block), MIB));
	EXPECT_EQ(ETXTBSY, errno);
	ASSERT_TRUE(file_read(DEVICE_SYSFS "backing_dev", value, sizeof(value)));
	EXPECT_STREQ(name, value);
	EXPECT_FALSE(swap_enable(path, -1));
	EXPECT_EQ(EBUSY, errno);
	fd = open(path, O_RDONLY | O_EXCL);
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(EBUSY, errno);
	ASSERT_TRUE(device_on());
	EXPECT_EQ(EBUSY, attr_write("backing_dev", "none"));
	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(EBUSY, attr_write("backing_dev", "none"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	ASSERT_TRUE(file_read(DEVICE_SYSFS "backing_dev", value, sizeof(value)));
	EXPECT_STREQ("none\n", value);
	EXPECT_EQ(0, attr_write("backing_dev", path));
	EXPECT_EQ(0, attr_write("backing_dev", "none"));
	EXPECT_EQ(sizeof(block), pwrite(writer, block, sizeof(block), MIB));
	close(writer);
	fd = open(path, O_RDONLY | O_EXCL);
	EXPECT_LE(0, fd);
	close(fd);
	other_swap_on();
}

int main(int argc, char **argv)
{
	skip_reason = backing_test_begin();
	return test_harness_run(argc, argv);
}
