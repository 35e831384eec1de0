// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/ramzswapN without a backing device: swap that needs no disk. Swapped
 * pages come back unchanged, user space sees only the swap header of the
 * device, and a device without room leads to an OOM kill.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/capability.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define DISKSIZE	(256 * MIB)
#define NR_PAGES	(16 * MIB / page_size)

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

static const char *skip_reason;

static long long attr_number(const char *attr)
{
	char path[128];

	snprintf(path, sizeof(path), DEVICE_SYSFS "%s", attr);
	return file_number(path);
}

/* Open the kernel log, to read what is logged from now on. */
static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* Return: a bit for each of @texts that the log contains. */
static unsigned int log_look(int fd, const char * const *texts, int nr)
{
	unsigned int found = 0;
	char line[1024];
	ssize_t n;
	int i;

	while ((n = read(fd, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		line[n] = '\0';
		for (i = 0; i < nr; i++)
			if (strstr(line, texts[i]))
				found |= 1U << i;
	}
	return found;
}

static bool log_says(int fd, const char *text)
{
	return log_look(fd, &text, 1);
}

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

/* Wait for something that happens shortly. */
static bool soon(bool (*happened)(void))
{
	int i;

	for (i = 0; i < 500; i++) {
		if (happened())
			return true;
		usleep(10000);
	}
	return false;
}

static bool counts_as_full(void)
{
	return meminfo_kb("SwapFree:") == 0;
}

static bool counts_as_free(void)
{
	return meminfo_kb("SwapFree:") > 0;
}

/* === The device as user space sees it ==================================== */

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
	/* Nobody is to hibernate to it. */
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

/* A buffer may begin at any sector of a page, and so extend past the header. */
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
	/* As with zram, this stays until reset. */
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

/* root without the capability that swapon requires. */
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

/* === Swapping to it ====================================================== */

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

/* However far zswap is told to shrink, it has nowhere to write the pages. */
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

/* That parameter only limits the cache in front of disks. */
TEST_F_TIMEOUT(swap, is_not_limited_by_max_pool_percent, TEST_SECONDS)
{
	ASSERT_TRUE(other_swap_off());
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "0"));
	EXPECT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_LT(NR_PAGES / 2, stat_of("pages_stored"));
	EXPECT_FALSE(counts_as_full());
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* Storing it would take as much memory as it frees. */
TEST_F_TIMEOUT(swap, does_not_store_what_does_not_compress, TEST_SECONDS)
{
	struct region more, text;

	ASSERT_TRUE(other_swap_off());
	ASSERT_TRUE(region_map(&more, NR_PAGES, FILL_RANDOM, 25));
	ASSERT_TRUE(region_map(&text, NR_PAGES, FILL_TEXT, 27));
	region_write_all(&more);
	region_write_all(&text);
	madvise(more.mem, NR_PAGES * page_size, MADV_PAGEOUT);
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
	EXPECT_LE(stat_of("compr_data_size"), limit + 2 * (long long)page_size);
	EXPECT_GE(stat_of("compr_data_size"), limit - 2 * (long long)page_size);
	EXPECT_TRUE(counts_as_full());
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	/* All pages are in memory now. */
	EXPECT_TRUE(soon(counts_as_free));

	region_page_out(&more);
	EXPECT_TRUE(counts_as_full());
	ASSERT_EQ(0, attr_write("mem_limit", "0"));
	EXPECT_TRUE(counts_as_free());
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
	EXPECT_TRUE(counts_as_full());
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "Y"));
	EXPECT_TRUE(soon(counts_as_free));
	EXPECT_EQ(NR_PAGES, region_page_out(&more));
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	region_unmap(&more);
}

/* A cgroup at its zswap limit does not make the device full. */
TEST_F_TIMEOUT(swap, is_not_full_because_a_cgroup_is, TEST_SECONDS)
{
	char dir[256], path[300];
	int status;
	pid_t pid;

	if (!memcg_create("ramzswap-device", dir, sizeof(dir)))
		SKIP(return, "there is no cgroup2 with a memory controller");
	ASSERT_TRUE(other_swap_off());
	snprintf(path, sizeof(path), "%s/memory.zswap.max", dir);
	ASSERT_TRUE(file_write(path, "65536"));
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
			       counts_as_free() && !region_wrong_bytes_all(&r);
		}
		_exit(!good);
	}
	status = child_status(pid);
	EXPECT_EQ(0, status);
	EXPECT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	memcg_remove(dir);
}

/* A process that takes memory until it is killed. */
static pid_t hog(enum fill fill)
{
	pid_t pid = fork();

	if (!pid) {
		unsigned long nr;

		file_write("/proc/self/oom_score_adj", "1000");
		/* Do not outlive the test. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (nr = 0;; nr++) {
			void *page = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			size_t i;

			if (page == MAP_FAILED)
				_exit(1);
			for (i = 0; i < MIB; i += page_size)
				page_fill(page + i, fill, 29, nr * (MIB / page_size) +
					  i / page_size, 1);
		}
	}
	return pid;
}

#define PRINTK	"/proc/sys/kernel/printk"

/* Memory left to the hog, so that it finishes soon on a slow machine. */
#define HOG_MEMORY	(300 * MIB)

/* Processes that take the rest: where an address has 32 bits, one cannot. */
#define NR_TAKERS	(sizeof(long) == 8 ? 1 : 4)

static void take_memory_but(long long left, pid_t *takers)
{
	long long take = meminfo_kb("MemAvailable:") * 1024 - left;
	struct gate taken;
	int i;

	for (i = 0; i < NR_TAKERS; i++) {
		takers[i] = take > 0 && gate_init(&taken) ? fork() : -1;
		if (takers[i] < 0)
			continue;
		if (!takers[i]) {
			/* It must not outlive the test, whatever happens. */
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			mmap(NULL, take / NR_TAKERS, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			     MAP_ANONYMOUS | MAP_POPULATE | MAP_LOCKED, -1, 0);
			gate_open(&taken);
			for (;;)
				pause();
		}
		gate_wait(&taken);
		close(taken.fd[0]);
		close(taken.fd[1]);
	}
}

static void give_memory_back(const pid_t *takers)
{
	int i;

	for (i = 0; i < NR_TAKERS; i++)
		if (takers[i] > 0) {
			kill(takers[i], SIGKILL);
			child_status(takers[i]);
		}
}

FIXTURE(no_room) {
	struct region r;
	char printk[64];
	pid_t takers[4];
};

FIXTURE_VARIANT(no_room) {
	enum fill fill;
	const char *mem_limit;
};

FIXTURE_VARIANT_ADD(no_room, for_text) {
	.fill = FILL_TEXT, .mem_limit = "0",
};

FIXTURE_VARIANT_ADD(no_room, for_what_compresses_to_a_half) {
	.fill = FILL_HALF, .mem_limit = "0",
};

FIXTURE_VARIANT_ADD(no_room, for_data_that_does_not_compress) {
	.fill = FILL_RANDOM, .mem_limit = "0",
};

FIXTURE_VARIANT_ADD(no_room, under_a_limit_of_its_own) {
	.fill = FILL_TEXT, .mem_limit = "16M",
};

FIXTURE_SETUP(no_room)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "400%"));
	ASSERT_EQ(0, attr_write("mem_limit", variant->mem_limit));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "20"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "accept_threshold_percent", "90"));
	ASSERT_TRUE(file_read(PRINTK, self->printk, sizeof(self->printk)));
	file_write("/proc/self/oom_score_adj", "-1000");
	test_stay_resident();
	ASSERT_TRUE(other_swap_off());
	take_memory_but(HOG_MEMORY, self->takers);
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_MIXED, 30));
	region_write_all(&self->r);
	region_page_out(&self->r);
}

FIXTURE_TEARDOWN(no_room)
{
	if (skip_reason)
		return;
	file_write(PRINTK, self->printk);
	give_memory_back(self->takers);
	region_unmap(&self->r);
	zswap_defaults();
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	other_swap_on();
	EXPECT_EQ(0, attr_write("reset", "1"));
	file_write("/proc/self/oom_score_adj", "0");
}

/*
 * The hog needs time to fill memory. Once the device is full, the hog has only
 * free memory left.
 */
#define OOM_SECONDS	20

TEST_F_TIMEOUT(no_room, ends_in_an_oom_kill_and_not_in_a_livelock, TEST_SECONDS)
{
	/*
	 * The expected message, and what the kernel logs when something breaks.
	 */
	static const char * const texts[] = {
		"Out of memory", "BUG:", "WARNING:", "possible ", "suspicious RCU",
		"blocked for more than", "soft lockup", "rcu: INFO",
	};
	double full_since = 0, took;
	int log = log_open();
	pid_t pid;
	int status;

	/* The OOM report contains call traces: keep them off the console. */
	ASSERT_TRUE(file_write(PRINTK, "1"));
	pid = hog(variant->fill);
	ASSERT_LE(0, pid);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (!full_since && counts_as_full())
			full_since = seconds_now();
		usleep(20000);
		if (full_since && seconds_now() - full_since > OOM_SECONDS)
			break;
	}
	took = full_since ? seconds_now() - full_since : 0;
	if (took > OOM_SECONDS) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	TH_LOG("killed %.1f s after the device was seen to be full", took);
	EXPECT_GT(OOM_SECONDS, took);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	EXPECT_EQ(1, log_look(log, texts, ARRAY_SIZE(texts)));
	close(log);
	/* The rest of the machine goes on, and the device has room again. */
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_TRUE(soon(counts_as_free));
	EXPECT_EQ(0, stat_of("failed_reads"));
}

/* === Several devices ===================================================== */

#define SECOND		"ramzswap1"
#define SECOND_PATH	"/dev/" SECOND

FIXTURE(two_devices) {
	struct region r;
	bool there;
};

FIXTURE_SETUP(two_devices)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	self->there = !access(SECOND_PATH, F_OK);
	if (!self->there)
		SKIP(return, "there is only one; boot with ramzswap.num_devices=2");
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "256M"));
	ASSERT_TRUE(file_write("/sys/block/" SECOND "/reset", "1"));
	test_stay_resident();
	ASSERT_TRUE(other_swap_off());
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(swap_enable(SECOND_PATH, DEVICE_PRIO - 1));
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 40));
	region_write_all(&self->r);
}

FIXTURE_TEARDOWN(two_devices)
{
	if (skip_reason || !self->there)
		return;
	region_unmap(&self->r);
	zswap_defaults();
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, swapoff(SECOND_PATH));
	other_swap_on();
	EXPECT_EQ(0, device_stat(SECOND, "pages_stored"));
	EXPECT_EQ(0, device_stat(SECOND, "failed_reads"));
	EXPECT_TRUE(file_write("/sys/block/" SECOND "/reset", "1"));
	EXPECT_EQ(0, attr_write("reset", "1"));
}

TEST_F_TIMEOUT(two_devices, are_used_in_the_order_of_their_priorities, TEST_SECONDS)
{
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(NR_PAGES, stat_of("pages_stored"));
	EXPECT_EQ(0, device_stat(SECOND, "pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(two_devices, the_second_is_used_when_the_first_is_full, TEST_SECONDS)
{
	ASSERT_EQ(0, attr_write("mem_limit", "1M"));
	region_page_out(&self->r);
	/*
	 * Pages that the first device refused stay in memory until they are
	 * used again.
	 */
	EXPECT_LT(NR_PAGES - 64, stat_of("pages_stored") + device_stat(SECOND, "pages_stored"));
	EXPECT_LT(0, stat_of("pages_stored"));
	EXPECT_LT(0, device_stat(SECOND, "pages_stored"));
	/* The limit is exact to a 64th. */
	EXPECT_GE(MIB + MIB / 64 + 2 * page_size, stat_of("compr_data_size"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, device_stat(SECOND, "pages_stored"));
}

/*
 * The first device has a slot for each page of the region and no more. It
 * counts as full for a moment, because it refuses swap cache pages. These have
 * slots already, which a child keeps in use.
 */
TEST_F_TIMEOUT(two_devices, one_without_free_slots_is_passed_over, TEST_SECONDS)
{
	const unsigned long nr = 64;
	struct region folios;
	struct gate gate;
	long long whole;
	char size[32];
	pid_t child;

	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	ASSERT_EQ(0, attr_write("reset", "1"));
	snprintf(size, sizeof(size), "%lu", (NR_PAGES + 1) * page_size);
	ASSERT_EQ(0, attr_write("disksize", size));
	ASSERT_TRUE(device_on());
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_EQ(NR_PAGES, stat_of("pages_stored"));

	ASSERT_TRUE(gate_init(&gate));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		gate_wait(&gate);
		_exit(0);
	}
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, nr));
	ASSERT_EQ(0, attr_write("mem_limit", "4096"));
	EXPECT_EQ(0, madvise(self->r.mem, nr * page_size, MADV_PAGEOUT));
	EXPECT_EQ(NR_PAGES - nr, stat_of("pages_stored"));
	ASSERT_EQ(0, attr_write("mem_limit", "0"));

	/*
	 * Allocation tries only the first device in the list for a large folio.
	 */
	thp_only_size(64);
	if (swaps_out_folios_of(64) &&
	    region_map(&folios, NR_PAGES / 4, FILL_TEXT, 41)) {
		EXPECT_EQ(0, madvise(folios.mem, NR_PAGES / 4 * page_size, MADV_HUGEPAGE));
		region_write_all(&folios);
		whole = file_number(THP_64K "stats/zswpout");
		EXPECT_EQ(NR_PAGES / 4, region_page_out(&folios));
		EXPECT_LE((long long)(NR_PAGES / 4 * page_size / (64 << 10)),
			  file_number(THP_64K "stats/zswpout") - whole);
		EXPECT_EQ(0, region_wrong_bytes_all(&folios));
		region_unmap(&folios);
	}
	thp_only_size(0);
	gate_open(&gate);
	EXPECT_EQ(0, child_status(child));
}

TEST_F_TIMEOUT(two_devices, the_second_takes_over_at_swapoff, TEST_SECONDS)
{
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, stat_of("pages_stored"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(NR_PAGES, device_stat(SECOND, "pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	ASSERT_TRUE(device_on());
}

TEST_F_TIMEOUT(two_devices, of_the_same_priority_both_get_pages, TEST_SECONDS)
{
	/* Each in turn, for as many pages as are in a cluster of slots: up to 512 */
	const unsigned long nr = NR_PAGES < 2048 ? 2048 : NR_PAGES;
	long long first, second;
	struct region r;

	ASSERT_EQ(0, swapoff(SECOND_PATH));
	ASSERT_TRUE(swap_enable(SECOND_PATH, DEVICE_PRIO));
	ASSERT_TRUE(region_map(&r, nr, FILL_TEXT, 42));
	region_write_all(&r);
	ASSERT_EQ(nr, region_page_out(&r));
	first = stat_of("pages_stored");
	second = device_stat(SECOND, "pages_stored");
	EXPECT_LE((long long)nr / 4, first);
	EXPECT_LE((long long)nr / 4, second);
	EXPECT_EQ(nr, first + second);
	EXPECT_EQ(0, region_wrong_bytes_all(&r));
	region_unmap(&r);
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, device_stat(SECOND, "pages_stored"));
}

TEST_F_TIMEOUT(two_devices, neither_is_the_backing_device_of_the_other, TEST_SECONDS)
{
	char backing[128];

	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	ASSERT_EQ(0, attr_write("reset", "1"));
	if (access(DEVICE_SYSFS "backing_dev", F_OK))
		SKIP(return, "this kernel has no backing devices");
	EXPECT_EQ(EBUSY, attr_write("backing_dev", SECOND_PATH));
	ASSERT_EQ(0, swapoff(SECOND_PATH));
	EXPECT_EQ(EINVAL, attr_write("backing_dev", SECOND_PATH));
	ASSERT_TRUE(file_read(DEVICE_SYSFS "backing_dev", backing, sizeof(backing)));
	EXPECT_STREQ("none\n", backing);
	/* It was released. */
	EXPECT_TRUE(device_on());
	EXPECT_TRUE(swap_enable(SECOND_PATH, DEVICE_PRIO));
}

/* === All at once ========================================================= */

#define STRESS_SECONDS	10

/* Swap out and in until *@stop, whatever happens to the device meanwhile. */
static pid_t swapper(int seed, const bool *stop)
{
	pid_t pid = fork();

	if (!pid) {
		struct region r;
		unsigned long wrong = 0;
		__u64 random = seed;

		/* Do not outlive the test. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!region_map(&r, NR_PAGES / 4, FILL_MIXED, seed))
			_exit(1);
		while (!__atomic_load_n(stop, __ATOMIC_RELAXED) && !wrong) {
			unsigned long first = random_next(&random) % r.nr_pages;
			unsigned long nr = 1 + random_next(&random) % (r.nr_pages - first);

			region_write(&r, first, nr);
			madvise(r.mem, r.nr_pages * page_size, MADV_PAGEOUT);
			if (random_next(&random) % 4 == 0) {
				pid_t child = fork();

				if (!child)
					_exit(!!region_wrong_bytes(&r, first, nr));
				wrong += child > 0 && child_status(child) != 0;
			}
			if (random_next(&random) % 4 == 0) {
				madvise(region_page(&r, first), nr * page_size, MADV_DONTNEED);
				region_mark_zero(&r, first, nr);
			}
			wrong += region_wrong_bytes_all(&r);
		}
		_exit(!!wrong);
	}
	return pid;
}

FIXTURE(stress) {
	struct region r;
	bool *stop;
};

FIXTURE_SETUP(stress)
{
	self->stop = MAP_FAILED;
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	self->stop = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->stop);
	ASSERT_EQ(0, attr_write("reset", "1"));
}

FIXTURE_TEARDOWN(stress)
{
	if (skip_reason)
		return;
	swapoff(DEVICE_PATH);
	zswap_defaults();
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, stat_of("compr_data_size"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	munmap(self->stop, page_size);
}

TEST_F_TIMEOUT(stress, swapon_swapoff_and_reset_while_others_swap, TEST_SECONDS)
{
	double end = seconds_now() + STRESS_SECONDS;
	pid_t pids[4];
	int i, rounds = 0;

	for (i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = swapper(i + 1, self->stop);
	while (seconds_now() < end) {
		EXPECT_TRUE(device_on());
		usleep(100000 * (rounds % 4));
		EXPECT_EQ(0, swapoff(DEVICE_PATH));
		EXPECT_EQ(0, stat_of("pages_stored"));
		EXPECT_EQ(0, stat_of("failed_reads"));
		EXPECT_EQ(0, attr_write("reset", "1"));
		rounds++;
	}
	__atomic_store_n(self->stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		EXPECT_EQ(0, child_status(pids[i]));
	TH_LOG("%d rounds", rounds);
}

/* A slow machine that emulates a debug kernel does what it can in this time. */
#define NR_WRITES		10000
#define STRESS_MAX_SECONDS	(TEST_SECONDS / 4)

static const char * const attrs[] = {
	"disksize", "mem_limit", "reset", "backing_dev", "initstate",
};

static const char * const likely_values[] = {
	"0", "1", "64M", "1G", "100%", "8192", "none", "", "\n", "-1", "2", "Y",
	"\x01\xff%s%n", "16E", "1048576", "/dev/null", "/dev/" DEVICE, "3M\n", "/",
};

/*
 * Choose a valid value for an attribute, an almost valid one, a number, or
 * random bytes. Return: its length, at most @size.
 */
static size_t random_value(__u64 *random, unsigned char *value, size_t size)
{
	const char *likely = likely_values[random_next(random) % ARRAY_SIZE(likely_values)];
	size_t len = strlen(likely), i;

	switch (random_next(random) % 4) {
	case 0:
		memcpy(value, likely, len);
		return len;
	case 1:
		memcpy(value, likely, len);
		if (len)
			value[random_next(random) % len] = random_next(random);
		return len;
	case 2:
		return snprintf((char *)value, size, "%llu%c",
				random_next(random) >> random_next(random) % 64,
				"\nkMGTPE%"[random_next(random) % 8]);
	}
	/* Mostly short values; sysfs takes up to a page at once. */
	len = random_next(random) % (random_next(random) % 16 ? 64 : size + 1);
	for (i = 0; i < len; i++)
		value[i] = random_next(random);
	return len;
}

/* @value may contain zero bytes. Return: whether the write succeeded. */
static bool attr_write_bytes(const char *attr, const void *value, size_t len)
{
	char path[128];
	bool taken;
	int fd;

	snprintf(path, sizeof(path), DEVICE_SYSFS "%s", attr);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return false;
	taken = len && write(fd, value, len) == (ssize_t)len;
	close(fd);
	return taken;
}

static void check_values(struct __test_metadata *_metadata)
{
	const long long size = attr_number("disksize");
	int fd = open(DEVICE_PATH, O_RDONLY);
	char backing[128];

	ASSERT_LE(0, fd);
	EXPECT_LE(2 * (long long)page_size, size);
	EXPECT_EQ(0, size % (long long)page_size);
	EXPECT_EQ(size, lseek(fd, 0, SEEK_END));
	EXPECT_LE(0, attr_number("mem_limit"));
	EXPECT_EQ(!!attr_number("initstate"), attr_number("initstate"));
	ASSERT_TRUE(file_read(DEVICE_SYSFS "backing_dev", backing, sizeof(backing)));
	EXPECT_STREQ("none\n", backing);
	close(fd);
}

TEST_F_TIMEOUT(stress, random_writes_to_every_attribute_while_others_swap, TEST_SECONDS)
{
	const long long size = attr_number("disksize");	/* the default */
	const double end = seconds_now() + STRESS_MAX_SECONDS;
	int taken[ARRAY_SIZE(attrs)] = {};
	unsigned char value[page_size];
	__u64 random = 31;
	pid_t pids[2];
	int i, nr, attr;

	for (i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = swapper(i + 11, self->stop);
	for (nr = 0; nr < NR_WRITES && seconds_now() < end; nr++) {
		for (attr = 0; attr < ARRAY_SIZE(attrs); attr++) {
			size_t len = random_value(&random, value, sizeof(value));

			taken[attr] += attr_write_bytes(attrs[attr], value, len);
		}
		if (nr % 100 == 0) {
			/*
			 * Swapping on terabytes needs more memory than there
			 * is.
			 */
			if (attr_number("disksize") > (long long)(1024 * MIB))
				attr_write("disksize", "1G");
			EXPECT_TRUE(device_on());
		}
		if (nr % 100 == 50)
			EXPECT_EQ(0, swapoff(DEVICE_PATH));
		if (nr % 100 == 60)
			EXPECT_EQ(0, attr_write("reset", "1"));
		if (nr % 100 == 99)
			check_values(_metadata);
	}
	__atomic_store_n(self->stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		EXPECT_EQ(0, child_status(pids[i]));
	EXPECT_EQ(0, stat_of("failed_reads"));
	check_values(_metadata);
	for (attr = 0; attr < ARRAY_SIZE(attrs); attr++) {
		TH_LOG("%s: %d of %d taken", attrs[attr], taken[attr], nr);
		EXPECT_GT(nr, taken[attr]);
	}
	/*
	 * Some of the values are valid, but a read-only attribute accepts none.
	 */
	for (attr = 0; attr < ARRAY_SIZE(attrs) - 1; attr++)
		EXPECT_LT(0, taken[attr]);
	EXPECT_EQ(0, taken[attr]);

	/* The device still works. */
	swapoff(DEVICE_PATH);
	ASSERT_EQ(0, attr_write("reset", "1"));
	EXPECT_EQ(size, attr_number("disksize"));
	EXPECT_EQ(0, attr_number("mem_limit"));
	EXPECT_EQ(0, attr_number("initstate"));
	ASSERT_TRUE(device_on());
	test_stay_resident();
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_MIXED, 33));
	region_write_all(&self->r);
	EXPECT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_LT(0, stat_of("pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
	EXPECT_EQ(0, stat_of("failed_reads"));
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	if (!skip_reason && access(DEVICE_SYSFS, F_OK))
		skip_reason = "this kernel has no " DEVICE_PATH;
	return test_harness_run(argc, argv);
}
