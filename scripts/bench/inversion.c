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
#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE_SIZE		4096UL
#define SECTORS_PER_PAGE	8
#define PAGES_PER_MIB		256UL
#define SEED			7
/* Of so many cold pages one is looked at in the end. */
#define COLD_SAMPLE		16

/* Pages of one kind. The first words of a page tell which one it is, the rest is that of a real page. */
struct region {
	const char *name;
	unsigned char *mem;
	unsigned long nr_pages;
	uint32_t *version;	/* of each page: how often it was written to */
};

struct stamp {
	const char *name;
	unsigned long index;
	unsigned long version;
};

/* Pages read and written */
struct disk {
	unsigned long long in, out;
};

static unsigned char **source;
static unsigned long nr_source;
static char disk_stat[PATH_MAX];

static uint64_t random_next(void)
{
	static uint64_t state = SEED;
	uint64_t z = (state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static void *get(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	return p;
}

static void source_add(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	unsigned char *map;
	unsigned long i;

	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", path);
	map = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		err(1, "%s", path);
	close(fd);
	source = realloc(source, (nr_source + st.st_size / PAGE_SIZE) * sizeof(*source));
	if (!source)
		err(1, "realloc");
	for (i = 0; i < st.st_size / PAGE_SIZE; i++)
		source[nr_source++] = map + i * PAGE_SIZE;
}

static struct region region_make(const char *name, unsigned long mib)
{
	struct region r = { .name = name, .nr_pages = mib * PAGES_PER_MIB };

	r.version = get(r.nr_pages * sizeof(*r.version));
	return r;
}

static void region_fill(struct region *r)
{
	unsigned long i;

	r->mem = get(r->nr_pages * PAGE_SIZE);
	madvise(r->mem, r->nr_pages * PAGE_SIZE, MADV_NOHUGEPAGE);
	for (i = 0; i < r->nr_pages; i++) {
		unsigned char *page = r->mem + i * PAGE_SIZE;

		memcpy(page, source[i % nr_source], PAGE_SIZE);
		*(struct stamp *)page = (struct stamp){ .name = r->name, .index = i };
	}
}

static void touch(struct region *r, unsigned long i, bool write)
{
	unsigned char *page = r->mem + i * PAGE_SIZE;
	struct stamp *s = (struct stamp *)page;

	if (s->name != r->name || s->index != i || s->version != r->version[i] ||
	    memcmp(page + sizeof(*s), source[i % nr_source] + sizeof(*s), PAGE_SIZE - sizeof(*s)))
		errx(1, "%s page %lu is wrong", r->name, i);
	if (write)
		s->version = ++r->version[i];
}

static void touch_some(struct region *r, unsigned long times)
{
	while (times--) {
		uint64_t random = random_next();

		touch(r, (random >> 1) % r->nr_pages, random & 1);
	}
}

static void find_disk(void)
{
	char path[PATH_MAX];

	if (!realpath("/dev/disk/swap", path))
		err(1, "/dev/disk/swap");
	snprintf(disk_stat, sizeof(disk_stat), "/sys/block/%s/stat", strrchr(path, '/') + 1);
}

static struct disk disk_read(void)
{
	FILE *f = fopen(disk_stat, "r");
	struct disk d;

	if (!f || fscanf(f, "%*u %*u %llu %*u %*u %*u %llu", &d.in, &d.out) != 2)
		errx(1, "%s cannot be read", disk_stat);
	fclose(f);
	d.in /= SECTORS_PER_PAGE;
	d.out /= SECTORS_PER_PAGE;
	return d;
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

	region_fill(&cold);
	region_fill(&hot);
	report("pool_before", pool_pages());

	before = disk_read();
	faults = major_faults();
	start = now_ns();
	touch_some(&hot, touches / 2);
	middle = disk_read();
	touch_some(&hot, touches - touches / 2);
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
