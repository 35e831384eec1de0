// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/ramzswapN as user space sees it: its size and other attributes, the swap
 * header, and raw I/O.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/capability.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define DISKSIZE	(256 * MIB)

static const char *skip_reason;

/* The swap header, see union swap_header in include/linux/swap.h. */
struct header {
	__u8 boot[1024];
	__u32 version;
	__u32 last_page;
	__u32 nr_badpages;
	__u8 uuid[16];
	char label[16];
};

#define MAGIC		"SWAPSPACE2"
#define SUSPEND_MAGIC	"S1SUSPEND"
#define MAGIC_LEN	10

/* Does a line of the log name the attribute and quote the value? */
static bool log_names(int fd, const char *attr, const char *value)
{
	char line[1024], quoted[128];
	bool found = false;
	ssize_t n;

	snprintf(quoted, sizeof(quoted), "\"%.*s\"", (int)strcspn(value, "\n"), value);
	while ((n = read(fd, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		line[n] = '\0';
		found |= strstr(line, attr) && strstr(line, quoted);
	}
	return found;
}

FIXTURE(device) {
	int fd;
	void *page;
};

FIXTURE_SETUP(device)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	test_stay_resident();
	ASSERT_EQ(0, attr_write("reset", "1"));
	self->fd = open(DEVICE_PATH, O_RDWR | O_DIRECT);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, posix_memalign(&self->page, page_size, page_size));
}

FIXTURE_TEARDOWN(device)
{
	if (skip_reason)
		return;
	close(self->fd);
	swapoff(DEVICE_PATH);
	zswap_defaults();
	EXPECT_EQ(0, attr_write("reset", "1"));
	free(self->page);
}

TEST_F_TIMEOUT(device, is_there_and_as_large_as_memory, TEST_SECONDS)
{
	const double ram = meminfo_kb("MemTotal:") * 1024.0;

	/* Memory may have been freed or taken since the device was created. */
	EXPECT_LT(4 * ram * 0.9, attr_number("disksize"));
	EXPECT_GT(4 * ram * 1.1, attr_number("disksize"));
	EXPECT_EQ(attr_number("disksize"), lseek(self->fd, 0, SEEK_END));
	EXPECT_EQ(0, attr_number("mem_limit"));
	EXPECT_EQ(0, attr_number("initstate"));
	EXPECT_EQ(0, attr_number("queue/rotational"));
	EXPECT_EQ(page_size, attr_number("queue/logical_block_size"));
}

TEST_F_TIMEOUT(device, has_a_swap_header_that_follows_its_size, TEST_SECONDS)
{
	const struct header *header = self->page;
	const long long sizes[] = { 2 * page_size, MIB, DISKSIZE };
	char value[32];
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		snprintf(value, sizeof(value), "%lld\n", sizes[i]);
		ASSERT_EQ(0, attr_write("disksize", value));
		EXPECT_EQ(sizes[i], attr_number("disksize"));
		ASSERT_EQ(page_size, pread(self->fd, self->page, page_size, 0));
		EXPECT_EQ(0, memcmp(self->page + page_size - MAGIC_LEN, MAGIC, MAGIC_LEN));
		EXPECT_EQ(1, header->version);
		EXPECT_EQ(sizes[i] / page_size - 1, header->last_page);
		EXPECT_EQ(0, header->nr_badpages);
	}
}

TEST_F_TIMEOUT(device, is_swapped_on_without_mkswap, TEST_SECONDS)
{
	struct swap_area areas[8];
	int i, nr;

	ASSERT_TRUE(device_on());
	nr = swap_areas(areas, ARRAY_SIZE(areas));
	for (i = 0; i < nr; i++)
		if (!strcmp(areas[i].path, DEVICE_PATH))
			break;
	ASSERT_GT(nr, i);
	EXPECT_EQ(attr_number("disksize") - page_size, areas[i].size);
	EXPECT_EQ(DEVICE_PRIO, areas[i].prio);
	/* The type tells hibernation not to use it. */
	EXPECT_STREQ("virtual", areas[i].type);
	EXPECT_EQ(1, attr_number("initstate"));
}

TEST_F_TIMEOUT(device, keeps_the_header_that_mkswap_writes, TEST_SECONDS)
{
	struct header *header = self->page;
	void *copy;

	ASSERT_EQ(0, posix_memalign(&copy, page_size, page_size));
	ASSERT_EQ(page_size, pread(self->fd, self->page, page_size, 0));
	memset(header->uuid, 0x42, sizeof(header->uuid));
	strcpy(header->label, "a label");
	header->last_page /= 2;
	memcpy(copy, self->page, page_size);
	ASSERT_EQ(page_size, pwrite(self->fd, self->page, page_size, 0));
	memset(self->page, 0xff, page_size);
	ASSERT_EQ(page_size, pread(self->fd, self->page, page_size, 0));
	EXPECT_EQ(0, memcmp(self->page, copy, page_size));
	ASSERT_TRUE(device_on());
	ASSERT_EQ(page_size, pread(self->fd, self->page, page_size, 0));
	EXPECT_EQ(0, memcmp(self->page, copy, page_size));
	free(copy);
}

TEST_F_TIMEOUT(device, is_not_swapped_on_without_a_signature, TEST_SECONDS)
{
	memset(self->page, 0, page_size);
	ASSERT_EQ(page_size, pwrite(self->fd, self->page, page_size, 0));
	EXPECT_FALSE(device_on());
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, attr_number("initstate"));
}

enum header_change {
	BAD_VERSION, TOO_LONG, EMPTY, BAD_PAGES, HIBERNATION_IMAGE, NR_HEADER_CHANGES
};

TEST_F_TIMEOUT(device, refuses_a_header_that_does_not_fit, TEST_SECONDS)
{
	struct header *header;
	char before[page_size];
	int change;

	ASSERT_EQ(page_size, pread(self->fd, self->page, page_size, 0));
	memcpy(before, self->page, page_size);
	for (change = 0; change < NR_HEADER_CHANGES; change++) {
		long long invalid_io = stat_of("invalid_io");

		memcpy(self->page, before, page_size);
		header = self->page;
		switch (change) {
		case BAD_VERSION:
			header->version = 3;
			break;
		case TOO_LONG:
			header->last_page++;
			break;
		case EMPTY:
			header->last_page = 0;
			break;
		case BAD_PAGES:
			header->nr_badpages = 1;
			break;
		case HIBERNATION_IMAGE:
			memcpy(self->page + page_size - MAGIC_LEN, SUSPEND_MAGIC,
			       sizeof(SUSPEND_MAGIC));
		}
		EXPECT_EQ(-1, pwrite(self->fd, self->page, page_size, 0));
		EXPECT_EQ(EIO, errno);
		EXPECT_EQ(invalid_io + 1, stat_of("invalid_io"));
		ASSERT_EQ(page_size, pread(self->fd, self->page, page_size, 0));
		EXPECT_EQ(0, memcmp(self->page, before, page_size)) {
			TH_LOG("after header change %d", change);
		}
	}
}

/* A buffer may begin at any sector of a page, so it may extend past the header. */
TEST_F_TIMEOUT(device, reads_into_any_buffer, TEST_SECONDS)
{
	char *buf, header[page_size];
	size_t i, offset;
	int fd;

	fd = open(DEVICE_PATH, O_RDONLY | O_DIRECT);
	ASSERT_LE(0, fd);
	buf = aligned_alloc(page_size, 3 * page_size);
	ASSERT_NE(NULL, buf);
	ASSERT_EQ(page_size, pread(fd, buf, page_size, 0));
	memcpy(header, buf, page_size);
	for (offset = 0; offset < page_size; offset += 512) {
		memset(buf, 0xaa, 3 * page_size);
		ASSERT_EQ(2 * page_size, pread(fd, buf + offset, 2 * page_size, 0));
		EXPECT_EQ(0, memcmp(header, buf + offset, page_size));
		for (i = 0; i < page_size; i++)
			ASSERT_EQ(0, buf[offset + page_size + i]);
	}
	free(buf);
	close(fd);
}

TEST_F_TIMEOUT(device, reads_as_zeros_and_cannot_be_written, TEST_SECONDS)
{
	const off_t offsets[] = { page_size, 5 * page_size, DISKSIZE - page_size };
	long long invalid_io = stat_of("invalid_io");
	unsigned long k;
	int i;

	ASSERT_EQ(0, attr_write("disksize", "256M"));
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		memset(self->page, 0xff, page_size);
		EXPECT_EQ(-1, pwrite(self->fd, self->page, page_size, offsets[i]));
		EXPECT_EQ(EIO, errno);
		EXPECT_EQ(++invalid_io, stat_of("invalid_io"));
		ASSERT_EQ(page_size, pread(self->fd, self->page, page_size, offsets[i]));
		EXPECT_EQ(++invalid_io, stat_of("invalid_io"));
		for (k = 0; k < page_size; k++)
			ASSERT_EQ(0, ((char *)self->page)[k]);
	}
}

static const struct {
	const char *attr, *value;
	int error;
} bad_writes[] = {
	{ "disksize", "", 0 },	/* an empty write() does nothing */
	{ "disksize", "\n", EINVAL },
	{ "disksize", "0", EINVAL },
	{ "disksize", "4096", EINVAL },
	{ "disksize", "-1", EINVAL },
	{ "disksize", "1G1", EINVAL },
	{ "disksize", "12Q", EINVAL },
	{ "disksize", "many", EINVAL },
	{ "disksize", "%", EINVAL },
	{ "disksize", "G", EINVAL },
	{ "disksize", "16E", EINVAL },
	{ "disksize", "18446744073709551615", EINVAL },
	{ "disksize", "99999999999999999999999", EINVAL },
	{ "disksize", "1 2", EINVAL },
	{ "disksize", "0000000000000000000000000000000000000000000000000000001G", EINVAL },
	{ "mem_limit", "x", EINVAL },
	{ "mem_limit", "-5", EINVAL },
	{ "mem_limit", "16E", EINVAL },
	{ "mem_limit", "1M M", EINVAL },
	{ "reset", "0", EINVAL },
	{ "reset", "x", EINVAL },
	{ "reset", "y", EINVAL },
	{ "reset", "1G", EINVAL },
	{ "reset", "100%", EINVAL },
	{ "reset", "total", EINVAL },
	{ "reset", "exit", EINVAL },
	{ "reset", "\n", EINVAL },
};

TEST_F_TIMEOUT(device, refuses_values_that_make_no_sense_and_says_so, TEST_SECONDS)
{
	int log = log_open();
	int i;

	ASSERT_LE(0, log);
	ASSERT_EQ(0, attr_write("disksize", "256M"));
	ASSERT_EQ(0, attr_write("mem_limit", "64M"));
	for (i = 0; i < ARRAY_SIZE(bad_writes); i++) {
		EXPECT_EQ(bad_writes[i].error,
			  attr_write(bad_writes[i].attr, bad_writes[i].value)) {
			TH_LOG("%s: \"%s\"", bad_writes[i].attr, bad_writes[i].value);
		}
		EXPECT_EQ(!!bad_writes[i].error,
			  log_names(log, bad_writes[i].attr, bad_writes[i].value)) {
			TH_LOG("%s: \"%s\"", bad_writes[i].attr, bad_writes[i].value);
		}
		EXPECT_EQ(DISKSIZE, attr_number("disksize"));
		EXPECT_EQ(64 * MIB, attr_number("mem_limit"));
	}
	close(log);
}

TEST_F_TIMEOUT(device, takes_sizes_with_suffixes_and_percent, TEST_SECONDS)
{
	const long long ram = attr_number("disksize") / 4;	/* the default is 400% */

	EXPECT_EQ(0, attr_write("disksize", "0x1000000"));
	EXPECT_EQ(16 * MIB, attr_number("disksize"));
	EXPECT_EQ(0, attr_write("disksize", "32m\n"));
	EXPECT_EQ(32 * MIB, attr_number("disksize"));
	EXPECT_EQ(0, attr_write("disksize", "1G"));
	EXPECT_EQ(1024 * MIB, attr_number("disksize"));
	EXPECT_EQ(0, attr_write("disksize", "1000001"));
	EXPECT_EQ((1000001 + page_size - 1) / page_size * page_size, attr_number("disksize"));
	EXPECT_EQ(0, attr_write("disksize", "50%"));
	EXPECT_LT(ram * 0.45, attr_number("disksize"));
	EXPECT_GT(ram * 0.55, attr_number("disksize"));
	EXPECT_EQ(0, attr_write("mem_limit", "10%"));
	EXPECT_LT(ram * 0.05, attr_number("mem_limit"));
	EXPECT_GT(ram * 0.15, attr_number("mem_limit"));
	EXPECT_EQ(0, attr_write("mem_limit", "0"));
	EXPECT_EQ(0, attr_number("mem_limit"));
}

TEST_F_TIMEOUT(device, is_busy_while_swapped_on_and_new_after_reset, TEST_SECONDS)
{
	const long long size = attr_number("disksize");

	ASSERT_EQ(0, attr_write("disksize", "256M"));
	ASSERT_EQ(0, attr_write("mem_limit", "64M"));
	ASSERT_TRUE(device_on());
	EXPECT_EQ(EBUSY, attr_write("disksize", "128M"));
	EXPECT_EQ(EBUSY, attr_write("reset", "1"));
	EXPECT_EQ(DISKSIZE, attr_number("disksize"));
	EXPECT_EQ(0, attr_write("mem_limit", "32M"));
	EXPECT_FALSE(device_on());
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	/* As with zram, initstate stays 1 until reset. */
	EXPECT_EQ(1, attr_number("initstate"));
	EXPECT_EQ(EBUSY, attr_write("disksize", "128M"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	EXPECT_EQ(0, attr_number("initstate"));
	EXPECT_EQ(size, attr_number("disksize"));
	EXPECT_EQ(0, attr_number("mem_limit"));
	EXPECT_EQ(0, stat_of("invalid_io"));
	EXPECT_EQ(0, attr_write("disksize", "128M"));
}

TEST_F_TIMEOUT(device, is_not_swapped_on_while_zswap_is_off_and_the_log_says_why, TEST_SECONDS)
{
	int log = log_open();

	ASSERT_LE(0, log);
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	EXPECT_FALSE(device_on());
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_TRUE(log_says(log, "zswap.enabled=1"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "Y"));
	EXPECT_TRUE(device_on());
	close(log);
}

TEST_F_TIMEOUT(device, writes_nothing_back_without_a_backing_device, TEST_SECONDS)
{
	int log = log_open();

	ASSERT_LE(0, log);
	EXPECT_EQ(ENODEV, attr_write("writeback", "1M"));
	EXPECT_TRUE(log_says(log, "not in use"));
	ASSERT_TRUE(device_on());
	EXPECT_EQ(EOPNOTSUPP, attr_write("writeback", "1M"));
	EXPECT_TRUE(log_says(log, "no backing device"));
	close(log);
}

/* The process is root, but lacks the capability that swapon requires. */
TEST_F_TIMEOUT(device, is_not_changed_without_cap_sys_admin, TEST_SECONDS)
{
	static const struct {
		const char *attr, *value;
	} changes[] = {
		{ "disksize", "64M" }, { "mem_limit", "1M" }, { "backing_dev", "none" },
		{ "reset", "1" },
	};
	pid_t pid = fork();
	int i;

	ASSERT_LE(0, pid);
	if (!pid) {
		struct __user_cap_header_struct header = {
			.version = _LINUX_CAPABILITY_VERSION_3,
		};
		struct __user_cap_data_struct data[2];

		if (syscall(SYS_capget, &header, data))
			_exit(100);
		data[0].effective &= ~(1U << CAP_SYS_ADMIN);
		if (syscall(SYS_capset, &header, data))
			_exit(101);
		for (i = 0; i < ARRAY_SIZE(changes); i++)
			if (attr_write(changes[i].attr, changes[i].value) != EPERM)
				_exit(1 + i);
		if (attr_write("squeeze", "1M") != EPERM)
			_exit(50);
		if (attr_write("writeback", "1M") != EPERM)
			_exit(51);
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid));
	for (i = 0; i < ARRAY_SIZE(changes); i++)
		EXPECT_EQ(0, attr_write(changes[i].attr, changes[i].value));
}

TEST_F_TIMEOUT(device, is_not_hibernated_to, TEST_SECONDS)
{
	int log = log_open();

	if (access("/sys/power/disk", F_OK))
		SKIP(return, "this kernel cannot hibernate");
	ASSERT_LE(0, log);
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(other_swap_off());
	/*
	 * Nothing is written in any case: test_resume does not suspend devices.
	 */
	ASSERT_TRUE(file_write("/sys/power/disk", "test_resume"));
	EXPECT_FALSE(file_write("/sys/power/state", "disk"));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_TRUE(log_says(log, "cannot hibernate to it"));
	other_swap_on();
	close(log);
}

int main(int argc, char **argv)
{
	skip_reason = device_test_begin();
	return test_harness_run(argc, argv);
}
