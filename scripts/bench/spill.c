// SPDX-License-Identifier: GPL-2.0
/*
 * What do real pages cost that leave the cache for the disk, and what does it cost to get them back?
 *
 * Usage: spill held|cold|MIB FILE...
 *
 *   held	swap pages out for as long as there is room, and report how many there were
 *   cold	swap COLD_MIB out to the cache, compress them again where that can be asked for, and write them back
 *   MIB	swap out so much, touch some pages at random, then some in sequence, and swap the device off
 *   FILE	pages as a program had them in memory
 *
 * Output: lines "NAME VALUE": pages written to the disk, and bytes and requests for each (and if cold, pages of memory
 * allocated for each); of the random touches the median
 * and the ninth tenth in nanoseconds, and their requests; of the pages touched in sequence, requests for each that was
 * read; of swapoff nanoseconds, requests, and pages that it brought back.
 */
#include <errno.h>
#include <sys/swap.h>

#include "region.h"

#define RANDOM_TOUCHES	1000
#define PIECE_MIB	8UL
#define COLD_MIB	128UL

#define ZSWAP_LIMIT	"/sys/module/zswap/parameters/max_pool_percent"
#define RAMZSWAP	"/sys/block/ramzswap0/"

/* Requests and bytes */
struct io {
	unsigned long long reads, read_sectors, writes, write_sectors;
};

static struct io io_now(void)
{
	FILE *f = fopen(disk_stat, "r");
	struct io io;

	if (!f || fscanf(f, "%llu %*u %llu %*u %llu %*u %llu", &io.reads, &io.read_sectors, &io.writes,
			 &io.write_sectors) != 4)
		errx(1, "%s cannot be read", disk_stat);
	fclose(f);
	return io;
}

/* Events whose names begin so */
static unsigned long long vm_events(const char *prefix)
{
	FILE *f = fopen("/proc/vmstat", "r");
	unsigned long long value, sum = 0;
	bool found = false;
	char field[64];

	while (f && fscanf(f, "%63s %llu", field, &value) == 2)
		if (!strncmp(field, prefix, strlen(prefix))) {
			found = true;
			sum += value;
		}
	if (!found)
		errx(1, "there is no %s in /proc/vmstat", prefix);
	fclose(f);
	return sum;
}

static void report(const char *name, unsigned long long value)
{
	printf("%s %llu\n", name, value);
}

static void report_each(const char *name, unsigned long long value, unsigned long long nr)
{
	printf("%s %.4f\n", name, nr ? (double)value / nr : 0.0);
}

/* Swap that is in use, in pages, and its path */
static unsigned long swap_used(char *path)
{
	FILE *f = fopen("/proc/swaps", "r");
	unsigned long used = 0;

	if (!f || fscanf(f, "%*[^\n] %255s %*s %*s %lu", path, &used) != 2)
		errx(1, "there is no swap");
	fclose(f);
	return used / (PAGE_SIZE / 1024);
}

static unsigned long swap_cached_kib(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	unsigned long kib;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "SwapCached: %lu", &kib) == 1) {
			fclose(f);
			return kib;
		}
	errx(1, "there is no SwapCached in /proc/meminfo");
}

/* Wait until nothing is written any more. */
static void settle(void)
{
	unsigned long long before;

	do {
		before = io_now().writes;
		usleep(300000);
	} while (io_now().writes != before);
}

/*
 * Swap pages out, and wait until nothing is written any more. Pages that have been written stay in the swap cache until
 * memory is short: reclaim them.
 */
static void out(void *mem, size_t size)
{
	int i, fd;

	for (i = 0; i < 3; i++)
		madvise(mem, size, MADV_PAGEOUT);
	settle();
	fd = open("/sys/fs/cgroup/memory.reclaim", O_WRONLY);
	if (fd < 0)
		err(1, "/sys/fs/cgroup/memory.reclaim");
	for (i = 0; i < 100 && swap_cached_kib() > 1024; i++)
		if (write(fd, "16M", 3) < 0 && errno != EAGAIN)
			err(1, "memory.reclaim");
	close(fd);
}

static void fill_disk(void)
{
	unsigned long used, before = 0, nr = PIECE_MIB * PAGES_PER_MIB, first = 0, i;
	unsigned char *mem = get(4UL << 30);
	char path[256];

	for (;; first += nr) {
		unsigned char *piece = mem + first * PAGE_SIZE;

		madvise(piece, nr * PAGE_SIZE, MADV_NOHUGEPAGE);
		for (i = 0; i < nr; i++)
			memcpy(piece + i * PAGE_SIZE, source[(first + i) % nr_source], PAGE_SIZE);
		out(piece, nr * PAGE_SIZE);
		used = swap_used(path);
		if (used < before + nr / 4)
			break;
		before = used;
	}
	report("held", used);
}

static int compare(const void *a, const void *b)
{
	const uint64_t *first = a, *second = b;

	return *first < *second ? -1 : *first > *second;
}

static void touch_at_random(struct region *r)
{
	static uint64_t took[RANDOM_TOUCHES];
	struct io before = io_now();
	unsigned int i;

	for (i = 0; i < RANDOM_TOUCHES; i++) {
		unsigned char *page = r->mem + random_next() % r->nr_pages * PAGE_SIZE;
		uint64_t start = now();

		*(volatile unsigned char *)page;
		took[i] = now() - start;
	}
	qsort(took, RANDOM_TOUCHES, sizeof(*took), compare);
	report("fault_median", took[RANDOM_TOUCHES / 2]);
	report("fault_high", took[RANDOM_TOUCHES * 9 / 10]);
	report("fault_requests", io_now().reads - before.reads);
}

static void touch_in_sequence(struct region *r)
{
	unsigned long long in = vm_events("pswpin");
	struct io before = io_now();
	unsigned long i;

	write_file("/proc/sys/vm/page-cluster", "3");
	for (i = 0; i < r->nr_pages / 4; i++)
		touch(r, i, false);
	report_each("sequence_requests_page", io_now().reads - before.reads, vm_events("pswpin") - in);
}

static void report_written(struct io before, unsigned long long written)
{
	struct io after = io_now();

	written = vm_events("pswpout") - written;
	report("written", written);
	report_each("written_bytes_page", 512 * (after.write_sectors - before.write_sectors), written);
	report_each("written_requests_page", after.writes - before.writes, written);
}

static void measure(unsigned long mib)
{
	struct region r = region_make("spill", mib);
	unsigned long long written = vm_events("pswpout");
	struct io before = io_now();
	unsigned long i, used;
	char path[256];
	uint64_t start;

	region_fill(&r, MADV_NOHUGEPAGE);
	out(r.mem, r.nr_pages * PAGE_SIZE);
	report_written(before, written);

	touch_at_random(&r);
	touch_in_sequence(&r);
	out(r.mem, r.nr_pages * PAGE_SIZE);

	used = swap_used(path);
	before = io_now();
	start = now();
	if (swapoff(path))
		err(1, "swapoff %s", path);
	report("swapoff", now() - start);
	report("swapoff_requests", io_now().reads - before.reads);
	report("swapoff_pages", used);
	for (i = 0; i < r.nr_pages; i++)
		touch(&r, i, false);
}

static bool ramzswap_is_used(void)
{
	FILE *f = fopen(RAMZSWAP "initstate", "r");
	bool used = f && fgetc(f) == '1';

	if (f)
		fclose(f);
	return used;
}

static void write_cold_pages(void)
{
	bool device = ramzswap_is_used();
	struct region r = region_make("cold", COLD_MIB);
	unsigned long long written, allocated;
	char limit[16] = "";
	struct io before;
	int i, fd;

	fd = open(ZSWAP_LIMIT, O_RDONLY);
	if (fd < 0 || read(fd, limit, sizeof(limit) - 1) <= 0)
		err(1, ZSWAP_LIMIT);
	close(fd);
	write_file(ZSWAP_LIMIT, "50");
	region_fill(&r, MADV_NOHUGEPAGE);
	for (i = 0; i < 3; i++)
		madvise(r.mem, (r.nr_pages - 1) * PAGE_SIZE, MADV_PAGEOUT);
	if (device)
		write_file(RAMZSWAP "squeeze", "1T");
	settle();

	before = io_now();
	written = vm_events("pswpout");
	allocated = vm_events("pgalloc_");
	if (device) {
		write_file(RAMZSWAP "writeback", "1T");
	} else {
		/* The next page to store finds the pool full, and wakes the worker. */
		write_file(ZSWAP_LIMIT, "1");
		madvise(r.mem + (r.nr_pages - 1) * PAGE_SIZE, PAGE_SIZE, MADV_PAGEOUT);
	}
	settle();
	report_each("allocated_page", vm_events("pgalloc_") - allocated, vm_events("pswpout") - written);
	report_written(before, written);
	for (i = 0; i < (int)r.nr_pages; i++)
		touch(&r, i, false);
	write_file(ZSWAP_LIMIT, limit);
}

int main(int argc, char **argv)
{
	int arg;

	if (argc < 3)
		errx(1, "usage: spill held|cold|MIB FILE...");
	for (arg = 2; arg < argc; arg++)
		source_add(argv[arg]);
	if (mlockall(MCL_CURRENT))
		err(1, "mlockall");
	find_disk();
	if (!strcmp(argv[1], "held"))
		fill_disk();
	else if (!strcmp(argv[1], "cold"))
		write_cold_pages();
	else
		measure(strtoul(argv[1], NULL, 10));
	return 0;
}
