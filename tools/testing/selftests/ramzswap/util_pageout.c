// SPDX-License-Identifier: GPL-2.0
/* Swapping memory out, see swap_util.h. */
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

#define PAGEMAP_SWAPPED_BIT	62

/**
 * pages_swapped() - count the pages of private memory that are in swap
 * @mem: the first page
 * @nr: number of pages
 *
 * Return: how many of them are in swap.
 */
unsigned long pages_swapped(const void *mem, unsigned long nr)
{
	unsigned long vpn = (uintptr_t)mem / page_size;
	unsigned long done = 0, swapped = 0;
	__u64 entries[512];
	int fd;

	fd = open("/proc/self/pagemap", O_RDONLY);
	if (fd < 0)
		return 0;
	while (done < nr) {
		size_t left = nr - done;
		size_t want = left < ARRAY_SIZE(entries) ? left : ARRAY_SIZE(entries);
		ssize_t got = pread(fd, entries, want * sizeof(*entries),
				    (vpn + done) * sizeof(*entries));
		size_t i;

		if (got <= 0)
			break;
		for (i = 0; i < got / sizeof(*entries); i++)
			swapped += entries[i] >> PAGEMAP_SWAPPED_BIT & 1;
		done += i;
	}
	close(fd);
	return swapped;
}

/*
 * MADV_PAGEOUT skips pages that somebody else holds at the moment, and pages in
 * another CPU's LRU batch. So call it more than once, and on each CPU in turn.
 */
#define PAGE_OUT_ATTEMPTS	20
#define PAGE_OUT_PAUSE_US	10000
#define LRU_BATCH		31	/* FOLIO_BATCH_SIZE */

static void run_on(const cpu_set_t *allowed, int attempt)
{
	int nth = attempt % CPU_COUNT(allowed);
	cpu_set_t one;
	int cpu;

	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, allowed) && nth-- == 0)
			break;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/**
 * drain_lru_batches() - move what is in the LRU batch of each CPU to the lists
 *
 * Reclaim does not see the pages in these batches, so they would be paged out last
 * and be the youngest. MADV_COLD drains the batches first, and then finds nothing to
 * do in memory that was never touched.
 */
void drain_lru_batches(void)
{
	void *untouched = mmap(NULL, page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cpu_set_t allowed;
	int i;

	if (untouched == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (i = 0; i < CPU_COUNT(&allowed); i++) {
		run_on(&allowed, i);
		if (madvise(untouched, page_size, MADV_COLD))
			ksft_exit_fail_perror("madvise(MADV_COLD)");
	}
	sched_setaffinity(0, sizeof(allowed), &allowed);
	munmap(untouched, page_size);
}

/* @left: counts the pages that are still in memory. */
static unsigned long try_page_out(void *mem, unsigned long nr,
				  unsigned long (*left)(void *mem, unsigned long nr))
{
	unsigned long rest = nr;
	cpu_set_t allowed;
	int i;

	sched_getaffinity(0, sizeof(allowed), &allowed);
	if (nr > LRU_BATCH)
		drain_lru_batches();
	for (i = 0; rest && i < PAGE_OUT_ATTEMPTS; i++) {
		if (i) {
			usleep(PAGE_OUT_PAUSE_US);
			run_on(&allowed, i);
		}
		if (madvise(mem, nr * page_size, MADV_PAGEOUT)) {
			ksft_perror("madvise(MADV_PAGEOUT)");
			break;
		}
		rest = left(mem, nr);
	}
	if (i > 1)
		sched_setaffinity(0, sizeof(allowed), &allowed);
	return nr - rest;
}

static unsigned long pages_not_swapped(void *mem, unsigned long nr)
{
	return nr - pages_swapped(mem, nr);
}

/* MADV_PAGEOUT only sees mapped pages, so map what is in memory. */
static unsigned long pages_resident(void *mem, unsigned long nr)
{
	unsigned char *vec = malloc(nr);
	unsigned long i, resident = 0;

	if (!vec || mincore(mem, nr * page_size, vec))
		ksft_exit_fail_perror("mincore");
	for (i = 0; i < nr; i++)
		if (vec[i] & 1) {
			resident++;
			__atomic_load_n((unsigned char *)mem + i * page_size, __ATOMIC_RELAXED);
		}
	free(vec);
	return resident;
}

/**
 * page_out() - swap out private memory
 * @mem: the first page
 * @nr: number of pages
 *
 * Return: the number of pages that are in swap now.
 */
unsigned long page_out(void *mem, unsigned long nr)
{
	return try_page_out(mem, nr, pages_not_swapped);
}

/**
 * page_out_shared() - swap out shared memory
 * @mem: the first page
 * @nr: number of pages
 *
 * Page tables do not show which pages of a file are in swap, but mincore() does.
 *
 * Return: the number of pages that are no longer in memory.
 */
unsigned long page_out_shared(void *mem, unsigned long nr)
{
	return try_page_out(mem, nr, pages_resident);
}
