// SPDX-License-Identifier: GPL-2.0
/*
 * Processes swap while the device is swapped on and off, reset, and configured
 * with random values.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(16 * MIB / page_size)

static const char *skip_reason;

#define STRESS_SECONDS	10

/* Start a process that swaps until *@stop, whatever happens to the device. */
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
	skip_reason = device_test_begin();
	return test_harness_run(argc, argv);
}
