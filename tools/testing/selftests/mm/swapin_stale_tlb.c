// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim swaps a page out, and a thread swaps it in and writes to it.  Another
 * thread must see what was written.
 *
 * Reclaim unmaps many pages, and flushes the TLB afterwards, once.  A CPU that still
 * has the old translation of a page reads the old page frame until then.  Meanwhile,
 * another thread may swap the page in and change it.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <time.h>

#include "swap_util.h"

#define NR_PAGES	512
#define NR_ROUNDS	100
#define MAX_SECONDS	60

/* How often each page was written; its first word must say the same. */
static unsigned long written[NR_PAGES];
static char *pages;
static size_t page_size;

/* The page of this round */
static unsigned int chosen;
static unsigned long stale, nr_writes;
static bool go, stop;

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static volatile unsigned long *first_word(unsigned int page)
{
	return (unsigned long *)(pages + page * page_size);
}

/* Keep the translation in the TLB. */
static void *read_always(void *unused)
{
	run_on(1);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		unsigned int page = __atomic_load_n(&chosen, __ATOMIC_RELAXED);
		unsigned long want = __atomic_load_n(&written[page], __ATOMIC_ACQUIRE);

		stale += *first_word(page) < want;
	}
	return unused;
}

static bool is_swapped(int pagemap, volatile void *p)
{
	uint64_t entry = 0;

	if (pread(pagemap, &entry, sizeof(entry),
		  (uintptr_t)p / page_size * sizeof(entry)) != sizeof(entry))
		err(KSFT_FAIL, "/proc/self/pagemap");
	return entry >> 62 & 1;
}

/*
 * Write as soon as the page is swapped out.  This runs on the CPU of reclaim, which
 * does not go on meanwhile.
 */
static void *write_to_swapped_page(void *unused)
{
	struct sched_param param = { .sched_priority = 1 };
	int pagemap = open("/proc/self/pagemap", O_RDONLY);

	run_on(0);
	sched_setscheduler(0, SCHED_FIFO, &param);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		usleep(20);
		if (!__atomic_load_n(&go, __ATOMIC_ACQUIRE) ||
		    !is_swapped(pagemap, first_word(chosen)))
			continue;
		*first_word(chosen) = written[chosen] + 1;
		__atomic_store_n(&written[chosen], written[chosen] + 1, __ATOMIC_RELEASE);
		nr_writes++;
		__atomic_store_n(&go, false, __ATOMIC_RELEASE);
	}
	close(pagemap);
	return unused;
}

static void read_all(void)
{
	for (int i = 0; i < NR_PAGES; i++)
		*first_word(i);
}

int main(void)
{
	size_t size;
	time_t end = time(NULL) + MAX_SECONDS;
	pthread_t reader, writer;
	char path[32], percent[16] = "";
	int round;

	ksft_print_header();
	ksft_set_plan(1);
	need_zswap(percent, sizeof(percent));
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		ksft_exit_skip("needs two CPUs\n");
	page_size = getpagesize();
	size = NR_PAGES * page_size;
	swap_on_disk(2 * size, path, sizeof(path));
	pages = map_pages(size);
	fill(pages, size);
	for (int i = 0; i < NR_PAGES; i++)
		*first_word(i) = 0;
	if (pthread_create(&reader, NULL, read_always, NULL) ||
	    pthread_create(&writer, NULL, write_to_swapped_page, NULL))
		err(KSFT_FAIL, "pthread_create");
	run_on(0);

	for (round = 0; round < NR_ROUNDS && time(NULL) < end; round++) {
		/*
		 * Reclaim flushes the TLB at once for pages that were written since they
		 * were mapped.  So swap them out, and only read them before the test.
		 */
		page_out(pages, size);
		read_all();
		__atomic_store_n(&chosen, rand() % NR_PAGES, __ATOMIC_RELAXED);
		usleep(1000);
		__atomic_store_n(&go, true, __ATOMIC_RELEASE);
		page_out(pages, size);
		__atomic_store_n(&go, false, __ATOMIC_RELEASE);
		read_all();
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(reader, NULL);
	pthread_join(writer, NULL);

	ksft_print_msg("%d rounds, %lu writes, %lu stale reads\n", round, nr_writes, stale);
	ksft_test_result(!stale, "what was written is seen\n");
	munmap(pages, size);
	if (swapoff(path))
		err(KSFT_FAIL, "swapoff %s", path);
	ksft_finished();
}
