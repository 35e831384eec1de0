/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that is filled with real pages, touched and verified, the disk's counters, and the clock: what the programs
 * that measure aging and capacity share. Each is a single file, so everything is static, and inline, as not all use all of it.
 */
#ifndef BENCH_REGION_H
#define BENCH_REGION_H

#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE_SIZE		4096UL
#define SECTORS_PER_PAGE	8
#define PAGES_PER_MIB		256UL
#define SEED			7

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

static void *get(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	return p;
}

/* Nanoseconds */
static inline uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static inline void write_file(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		err(1, "%s", path);
	close(fd);
}

static inline void source_add(const char *path)
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

static inline struct region region_make(const char *name, unsigned long mib)
{
	struct region r = { .name = name, .nr_pages = mib * PAGES_PER_MIB };

	r.version = get(r.nr_pages * sizeof(*r.version));
	return r;
}

/* @advice: MADV_NOHUGEPAGE, MADV_HUGEPAGE */
static inline void region_fill(struct region *r, int advice)
{
	unsigned long i;

	r->mem = get(r->nr_pages * PAGE_SIZE);
	madvise(r->mem, r->nr_pages * PAGE_SIZE, advice);
	for (i = 0; i < r->nr_pages; i++) {
		unsigned char *page = r->mem + i * PAGE_SIZE;

		memcpy(page, source[i % nr_source], PAGE_SIZE);
		*(struct stamp *)page = (struct stamp){ .name = r->name, .index = i };
	}
}

static inline void touch(struct region *r, unsigned long i, bool write)
{
	unsigned char *page = r->mem + i * PAGE_SIZE;
	struct stamp *s = (struct stamp *)page;

	if (s->name != r->name || s->index != i || s->version != r->version[i] ||
	    memcmp(page + sizeof(*s), source[i % nr_source] + sizeof(*s), PAGE_SIZE - sizeof(*s)))
		errx(1, "%s page %lu is wrong", r->name, i);
	if (write)
		s->version = ++r->version[i];
}

/* Of each @step pages, one is touched at all. */
static inline void touch_some(struct region *r, unsigned long times, unsigned long step)
{
	while (times--) {
		uint64_t random = random_next();

		touch(r, (random >> 1) % (r->nr_pages / step) * step, random & 1);
	}
}

static inline void find_disk(void)
{
	char path[PATH_MAX];

	if (!realpath("/dev/disk/swap", path))
		err(1, "/dev/disk/swap");
	snprintf(disk_stat, sizeof(disk_stat), "/sys/block/%s/stat", strrchr(path, '/') + 1);
}

static inline struct disk disk_read(void)
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

#endif
