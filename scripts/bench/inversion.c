// SPDX-License-Identifier: GPL-2.0
/*
 * What a working set costs after a flood: first pages are written that nobody ever looks at again, more of
 * them than there is room for in memory; then others, which are used over and over, and of which memory holds
 * all if they are compressed, but not as they are. Where the first ones stay in memory, the others have to be
 * read from disk all the time: LRU inversion.
 *
 * Usage: inversion COLD_MIB HOT_MIB TOUCHES FILE...
 *
 *   FILE	pages as a program had them in memory: what is in the pages, hot and cold
 *   TOUCHES	how often a hot page, chosen at random, is compared to what it should be; half of them are
 *		also written to
 *
 * The swap to be measured is set up already, and /dev/disk/swap is its disk. Of the cold pages, some are
 * looked at in the end, to see whether they are still right.
 *
 * Output: lines "NAME VALUE". Time is in ns a touch, all else is counted over all touches.
 */
#include <sys/resource.h>
#include <time.h>

#include "region.h"

/* Of so many cold pages one is looked at in the end. */
#define COLD_SAMPLE		16

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static long major_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_majflt;
}

static long pool_pages(void)
{
	FILE *f = fopen("/proc/vmstat", "r");
	char name[64];
	long value;

	while (f && fscanf(f, "%63s %ld", name, &value) == 2)
		if (!strcmp(name, "nr_zspages")) {
			fclose(f);
			return value;
		}
	errx(1, "/proc/vmstat has no nr_zspages");
}

static void report(const char *name, double value)
{
	printf("%s %.0f\n", name, value);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct disk before, middle, after;
	struct region cold, hot;
	unsigned long touches, i;
	double start, ns;
	long faults;
	int arg;

	if (argc < 5)
		errx(1, "usage: inversion COLD_MIB HOT_MIB TOUCHES FILE...");
	cold = region_make("cold", strtoul(argv[1], NULL, 0));
	hot = region_make("hot", strtoul(argv[2], NULL, 0));
	touches = strtoul(argv[3], NULL, 0);
	for (arg = 4; arg < argc; arg++)
		source_add(argv[arg]);
	find_disk();
	/* All but the pages themselves stays where it is. */
	if (mlockall(MCL_CURRENT))
		err(1, "mlockall");

	region_fill(&cold, MADV_NOHUGEPAGE);
	region_fill(&hot, MADV_NOHUGEPAGE);
	report("pool_before", pool_pages());

	before = disk_read();
	faults = major_faults();
	start = now_ns();
	touch_some(&hot, touches / 2, 1);
	middle = disk_read();
	touch_some(&hot, touches - touches / 2, 1);
	ns = now_ns() - start;
	after = disk_read();

	report("touch", ns / touches);
	report("major", major_faults() - faults);
	report("disk_in", after.in - before.in);
	report("disk_in_late", after.in - middle.in);
	report("disk_out", after.out - before.out);
	report("pool_after", pool_pages());
	for (i = 0; i < cold.nr_pages; i += COLD_SAMPLE)
		touch(&cold, i, false);
	for (i = 0; i < hot.nr_pages; i++)
		touch(&hot, i, false);
	return 0;
}
