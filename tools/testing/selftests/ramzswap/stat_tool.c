// SPDX-License-Identifier: GPL-2.0
/*
 * Run tools/mm/ramzswapstat on a device whose contents the test knows. The
 * numbers agree with the test, with swapon and with debugfs, for every user.
 * ramzswapstat.sh tests files that no kernel has.
 */
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(8 * MIB / page_size)
#define MAX_NUMBERS	16

static const char *skip_reason;
static char tool[512];		/* path of the tool */

/*
 * Run the tool with the options @fmt, as parsed by a shell. Return: its exit
 * status; @out receives its output.
 */
static int run(char *out, size_t size, const char *fmt, ...)
{
	char command[1024];
	size_t len;
	va_list ap;
	FILE *f;
	int n, status;

	n = snprintf(command, sizeof(command), "%s 2>/dev/null ", tool);
	va_start(ap, fmt);
	vsnprintf(command + n, sizeof(command) - n, fmt, ap);
	va_end(ap);
	f = popen(command, "r");
	if (!f)
		return -1;
	len = fread(out, 1, size - 1, f);
	out[len] = '\0';
	status = pclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/*
 * Read the columns of the device as numbers, -1 for "-". Return: how many, or
 * -1.
 */
static int numbers(const char *columns, long long *n)
{
	char out[1024], *word, *save, *end;
	int nr = 0;

	if (run(out, sizeof(out), "-b -n -r -o %s " DEVICE, columns))
		return -1;
	out[strcspn(out, "\n")] = '\0';
	for (word = strtok_r(out, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (nr == MAX_NUMBERS)
			return -1;
		if (!strcmp(word, "-")) {
			n[nr++] = -1;
			continue;
		}
		n[nr++] = strtoll(word, &end, 10);
		if (*end)
			return -1;
	}
	return nr;
}

static long long number(const char *column)
{
	long long n[MAX_NUMBERS];

	return numbers(column, n) == 1 ? n[0] : -2;
}

FIXTURE(tool) {
	char path[64];
	struct region text;
	struct region zero;
	bool ready;
};

FIXTURE_VARIANT(tool) {
	bool backed;
};

FIXTURE_VARIANT_ADD(tool, in_memory) {
	.backed = false,
};

FIXTURE_VARIANT_ADD(tool, with_a_backing_device) {
	.backed = true,
};

FIXTURE_SETUP(tool)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "256M"));
	test_stay_resident();
	if (!other_swap_off())
		SKIP(return, "other swap could not be switched off");
	if (variant->backed) {
		if (!other_swap_disk(self->path, sizeof(self->path),
				     2 * NR_PAGES * page_size))
			SKIP(other_swap_on(); return, "no swap disk to borrow");
		ASSERT_EQ(0, attr_write("backing_dev", self->path));
	}
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(region_map(&self->text, NR_PAGES, FILL_TEXT, 71));
	ASSERT_TRUE(region_map(&self->zero, NR_PAGES, FILL_ZERO, 72));
	region_write_all(&self->text);
	region_write_all(&self->zero);
	self->ready = true;
}

FIXTURE_TEARDOWN(tool)
{
	if (!self->ready)
		return;
	region_unmap(&self->text);
	region_unmap(&self->zero);
	zswap_defaults();
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(-1, number("SWAPPED"));
	EXPECT_EQ(0, number("STORED"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	other_swap_on();
}

/* Check the numbers that the current user gets for what was stored. */
static void expect_stored(struct __test_metadata *_metadata, long long stored,
			  long long zero)
{
	long long n[MAX_NUMBERS];

	ASSERT_EQ(9, numbers("DISKSIZE,LIMIT,SWAPPED,STORED,COMPR,MEMORY,SAVED,INCOMPR,ERRORS", n));
	EXPECT_EQ(256 * (long long)MIB, n[0]);
	EXPECT_EQ(0, n[1]);
	EXPECT_EQ(stored + zero, n[2]);
	EXPECT_EQ(swap_used(DEVICE_PATH), n[2]);
	EXPECT_EQ(stored, n[3]);
	/* Text compresses to about a third. */
	EXPECT_LT(stored / 10, n[4]);
	EXPECT_GT(stored / 2, n[4]);
	EXPECT_LE(n[4], n[5]);
	EXPECT_EQ(n[3] - n[5], n[6]);
	EXPECT_LT(0, n[6]);
	EXPECT_EQ(0, n[7]);
	EXPECT_EQ(0, n[8]);
}

TEST_F_TIMEOUT(tool, shows_what_is_stored, TEST_SECONDS)
{
	const long long size = NR_PAGES * page_size;
	long long n[MAX_NUMBERS];

	EXPECT_EQ(0, number("SWAPPED"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->text));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->zero));
	expect_stored(_metadata, size, size);
	EXPECT_EQ(stat_of("compr_data_size"), number("COMPR"));
	EXPECT_EQ(size, number("ZERO"));
	EXPECT_EQ(size, number("WRITTEN"));
	EXPECT_EQ(0, number("READ"));

	/* The kernel has both numbers or neither. */
	ASSERT_EQ(2, numbers("HOT,COLD", n));
	EXPECT_EQ(n[0] < 0 ? -2 : size, n[0] + n[1]);

	EXPECT_EQ(0, region_wrong_bytes(&self->text, 0, NR_PAGES / 4));
	EXPECT_EQ(size / 4, number("READ"));
	EXPECT_EQ(size - size / 4, number("STORED"));
}

TEST_F_TIMEOUT(tool, tells_everybody_but_for_what_only_debugfs_has, TEST_SECONDS)
{
	const long long size = NR_PAGES * page_size;
	pid_t pid;

	ASSERT_EQ(NR_PAGES, region_page_out(&self->text));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->zero));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		char out[1024];

		if (setgid(65534) || setuid(65534))
			_exit(100);
		expect_stored(_metadata, size, size);
		EXPECT_EQ(-1, number("ZERO"));
		/* The tool says so, and does not fail. */
		EXPECT_EQ(0, run(out, sizeof(out), "-o ZERO 2>&1 >/dev/null"));
		EXPECT_NE(NULL, strstr(out, "ZERO: not in sysfs"));
		EXPECT_NE(NULL, strstr(out, "Permission denied"));
		_exit(!__test_passed(_metadata));
	}
	EXPECT_EQ(0, child_status(pid));
}

TEST_F_TIMEOUT(tool, shows_a_table_json_and_metrics, TEST_SECONDS)
{
	const long long size = NR_PAGES * page_size;
	char out[16384], want[256];

	ASSERT_EQ(NR_PAGES, region_page_out(&self->text));
	EXPECT_EQ(0, run(out, sizeof(out), "-n -r -o NAME,DISKSIZE,STORED " DEVICE));
	EXPECT_STREQ(DEVICE_PATH " 256M 8M\n", out);
	EXPECT_EQ(0, run(out, sizeof(out), "--json " DEVICE_PATH));
	snprintf(want, sizeof(want), "\"stored\": %lld,\n", size);
	EXPECT_NE(NULL, strstr(out, want));
	EXPECT_EQ(0, run(out, sizeof(out), "--prometheus"));
	snprintf(want, sizeof(want), "\nramzswap_stored_bytes{device=\"" DEVICE "\"} %lld\n",
		 size);
	EXPECT_NE(NULL, strstr(out, want));
}

TEST_F_TIMEOUT(tool, shows_the_backing_device, TEST_SECONDS)
{
	char out[1024], want[256];

	EXPECT_EQ(0, run(out, sizeof(out), "-n -r -o BACKING,BSTATE " DEVICE));
	if (!variant->backed) {
		EXPECT_STREQ("none none\n", out);
		EXPECT_EQ(0, number("BSIZE"));
		return;
	}
	snprintf(want, sizeof(want), "%s running\n", self->path);
	EXPECT_STREQ(want, out);
	EXPECT_EQ(stat_of("backing_blocks_total") * (long long)page_size, number("BSIZE"));
	EXPECT_EQ(0, number("BUSED"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->text));
	EXPECT_LE(NR_PAGES * page_size, number("BUSED"));
	EXPECT_EQ(stat_of("backing_blocks_used") * (long long)page_size, number("BUSED"));
	/* A page counts as written when the I/O has ended. */
	EXPECT_LE(NR_PAGES, stat_reaches("bdev_num_writes", NR_PAGES));
	stat_settled("bdev_num_writes");
	EXPECT_LE(NR_PAGES * page_size, number("BWRITTEN"));
	EXPECT_EQ(stat_of("bdev_num_writes") * (long long)page_size, number("BWRITTEN"));
	EXPECT_EQ(0, number("STORED"));
	EXPECT_EQ(0, number("ERRORS"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->text));
}

/* Pages are swapped out and in between two reports of the tool. */
TEST_F_TIMEOUT(tool, shows_rates, TEST_SECONDS)
{
	const unsigned long nr = 64;
	unsigned long rounds = 0;
	long long si, so, limit;
	char command[1024];
	struct pollfd p;
	double start;
	FILE *f;

	snprintf(command, sizeof(command), "%s -w 2 -c 1 -b -n -r -o SI,SO " DEVICE, tool);
	start = seconds_now();
	f = popen(command, "r");
	ASSERT_NE(NULL, f);
	p = (struct pollfd){ .fd = fileno(f), .events = POLLIN };
	while (poll(&p, 1, 0) == 0 && seconds_now() < start + TEST_SECONDS / 2) {
		ASSERT_EQ(nr, page_out(self->text.mem, nr));
		ASSERT_EQ(0, region_wrong_bytes(&self->text, 0, nr));
		rounds++;
	}
	ASSERT_EQ(2, fscanf(f, "%lld %lld", &si, &so));
	EXPECT_EQ(0, pclose(f));
	/* At most all of the traffic, over at least two seconds */
	limit = (rounds + 1) * nr * page_size / 2;
	EXPECT_LT(0, si);
	EXPECT_LT(0, so);
	EXPECT_GE(limit, si);
	EXPECT_GE(limit, so);
}

TEST(there_is_no_such_device)
{
	char out[1024];

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	EXPECT_EQ(1, run(out, sizeof(out), "ramzswap999"));
	EXPECT_STREQ("", out);
}

/* The tool is in the same directory as this program. */
static const char *find_tool(void)
{
	ssize_t len = readlink("/proc/self/exe", tool, sizeof(tool) - 32);
	char *slash;

	if (len < 0)
		return "/proc is not mounted";
	tool[len] = '\0';
	slash = strrchr(tool, '/');
	strcpy(slash + 1, "ramzswapstat");
	return access(tool, X_OK) ? "ramzswapstat is not built" : NULL;
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	if (!skip_reason && access(DEVICE_SYSFS "stats", F_OK))
		skip_reason = "there is no " DEVICE_SYSFS "stats";
	if (!skip_reason)
		skip_reason = find_tool();
	return test_harness_run(argc, argv);
}
