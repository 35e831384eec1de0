// SPDX-License-Identifier: GPL-2.0
/*
 * A page that is overwritten with zeros stays zero.
 *
 * A page may be compressed in zswap and stay in the swap cache, if somebody
 * wants it while it is being stored.  Once it is all zeros, reclaim only marks
 * its slot; writeback must not bring back what zswap had of it.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "swap_util.h"

#define NR_PAGES	256
#define NR_OTHERS	16
#define ROUNDS		20
/* A slow machine does fewer rounds. */
#define SECONDS		120

static char *pages;
static size_t page_size;
static bool stop;

static void *read_all(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		for (int i = 0; i < NR_PAGES; i++)
			__atomic_load_n(pages + i * page_size, __ATOMIC_RELAXED);
	return NULL;
}

/*
 * With a limit of 0, zswap refuses the next page, and then writes all it has to the
 * disk.  Store all but the last of @others before that, to see that it does.
 */
static void write_back(char *others, const char *percent)
{
	unsigned long last = vm_event("zswpwb"), now;
	int quiet = 0;

	fill(others, NR_OTHERS * page_size);
	page_out(others, (NR_OTHERS - 1) * page_size);
	write_string(ZSWAP "max_pool_percent", "0");
	page_out(others + (NR_OTHERS - 1) * page_size, page_size);
	for (int i = 0; i < 50 && quiet < 3; i++) {
		usleep(100000);
		now = vm_event("zswpwb");
		quiet = now == last ? quiet + 1 : 0;
		last = now;
	}
	write_string(ZSWAP "max_pool_percent", percent);
}

int main(void)
{
	char path[32], percent[16] = "", *others;
	unsigned long bad = 0, nr_written;
	pthread_t reader;
	time_t end;
	int round;

	ksft_print_header();
	ksft_set_plan(1);
	need_zswap(percent, sizeof(percent));
	swap_on_disk(64 << 20, path, sizeof(path));

	page_size = getpagesize();
	pages = map_pages((NR_PAGES + NR_OTHERS) * page_size);
	others = pages + NR_PAGES * page_size;
	nr_written = vm_event("zswpwb");

	end = time(NULL) + SECONDS;
	for (round = 0; round < ROUNDS && !bad && (!round || time(NULL) < end); round++) {
		fill(pages, NR_PAGES * page_size);
		stop = false;
		if (pthread_create(&reader, NULL, read_all, NULL))
			errx(KSFT_FAIL, "pthread_create");
		for (int i = 0; i < 10; i++)
			page_out(pages, NR_PAGES * page_size);
		__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
		pthread_join(reader, NULL);

		memset(pages, 0, NR_PAGES * page_size);
		page_out(pages, NR_PAGES * page_size);
		write_back(others, percent);
		for (int i = 0; i < NR_PAGES; i++)
			bad += pages[i * page_size] != 0;
	}
	nr_written = vm_event("zswpwb") - nr_written;
	ksft_print_msg("%lu of %d pages of round %d are not zero; %lu pages were written back\n",
		       bad, NR_PAGES, round, nr_written);
	ksft_test_result(!bad && nr_written, "zero pages stay zero when zswap writes back\n");

	munmap(pages, (NR_PAGES + NR_OTHERS) * page_size);
	if (swapoff(path))
		err(KSFT_FAIL, "swapoff %s", path);
	ksft_finished();
}
