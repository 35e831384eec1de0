// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that zram takes for real pages as they come and go, and instructions for each, if the clock counts these.
 *
 * Usage: zramchurn ALGORITHM FILE...
 *
 * All pages are written to the device, then read, and overwritten by themselves. Random halves are discarded and
 * written anew with other pages, ROUNDS times. Twice as many pages as there are are overwritten at random. Half of all
 * are discarded. "compact" is asked for two seconds later.
 *
 * Output: "NAME VALUE" lines: bytes of the pool for a compressed byte at each point, and nanoseconds for each page.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "region.h"

#define ZRAM		"/sys/block/zram0/"
#define ROUNDS		6

static unsigned char *buffer;
static int device;

static void report_time(const char *name, uint64_t since, unsigned long nr)
{
	printf("%s_ns %lu\n", name, (unsigned long)((now() - since) / nr));
}

static void report_memory(const char *when)
{
	unsigned long compressed, used;
	FILE *f = fopen(ZRAM "mm_stat", "r");

	if (!f || fscanf(f, "%*u %lu %lu", &compressed, &used) != 2)
		errx(1, "mm_stat");
	fclose(f);
	printf("%s %.3f\n", when, (double)used / compressed);
}

static void put(unsigned long at, unsigned long from)
{
	memcpy(buffer, source[from], PAGE_SIZE);
	if (pwrite(device, buffer, PAGE_SIZE, at * PAGE_SIZE) != (ssize_t)PAGE_SIZE)
		err(1, "write");
}

static void check(unsigned long at)
{
	if (pread(device, buffer, PAGE_SIZE, at * PAGE_SIZE) != (ssize_t)PAGE_SIZE)
		err(1, "read");
	if (memcmp(buffer, source[at], PAGE_SIZE))
		errx(1, "page %lu is wrong", at);
}

static void discard(unsigned long at)
{
	uint64_t range[2] = { at * PAGE_SIZE, PAGE_SIZE };

	if (ioctl(device, BLKDISCARD, range))
		err(1, "BLKDISCARD");
}

static bool coin(void)
{
	return random_next() & 1;
}

int main(int argc, char **argv)
{
	unsigned long i, nr;
	char size[32];
	uint64_t start;
	bool *gone;

	if (argc < 3)
		errx(1, "usage: zramchurn ALGORITHM FILE...");
	for (int arg = 2; arg < argc; arg++)
		source_add(argv[arg]);
	gone = calloc(nr_source, sizeof(*gone));
	buffer = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	write_file(ZRAM "comp_algorithm", argv[1]);
	snprintf(size, sizeof(size), "%lu", nr_source * PAGE_SIZE);
	write_file(ZRAM "disksize", size);
	device = open("/dev/zram0", O_RDWR | O_DIRECT);
	if (!gone || !buffer || device < 0)
		err(1, "/dev/zram0");

	start = now();
	for (i = 0; i < nr_source; i++)
		put(i, i);
	report_time("write", start, nr_source);
	start = now();
	for (i = 0; i < nr_source; i++)
		check(i);
	report_time("read", start, nr_source);
	report_memory("full");
	start = now();
	for (i = 0; i < nr_source; i++)
		put(i, i);
	report_time("overwrite", start, nr_source);

	for (int round = 0; round < ROUNDS; round++) {
		for (i = 0; i < nr_source; i++) {
			gone[i] = coin();
			if (gone[i])
				discard(i);
		}
		for (i = 0; i < nr_source; i++)
			if (gone[i])
				put(i, random_next() % nr_source);
	}
	report_memory("churned");
	for (i = 0; i < 2 * nr_source; i++)
		put(random_next() % nr_source, random_next() % nr_source);
	report_memory("overwritten");

	start = now();
	for (i = nr = 0; i < nr_source; i++)
		if (coin()) {
			discard(i);
			nr++;
		}
	report_time("discard", start, nr);
	report_memory("half_freed");
	sleep(2);
	report_memory("two_seconds_later");
	write_file(ZRAM "compact", "1");
	report_memory("compacted");
	close(device);
	write_file(ZRAM "reset", "1");
	return 0;
}
