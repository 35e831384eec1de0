// SPDX-License-Identifier: GPL-2.0
/*
 * How often are locks taken, waited for, and how long are they held, while several processes swap at the same moment?
 * The kernel has CONFIG_LOCK_STAT.
 *
 * Usage: locks PROCESSES MIB FILE...
 *
 *   PROCESSES	as many processes, each with
 *   MIB	of memory, filled with the pages of
 *   FILE	pages as a program had them in memory
 *
 * Output, for each of the phases out (all pages are swapped out by all processes at once), in (each touches its own),
 * and exit (when all is swapped out again, all exit at once), lines "PHASE_NAME VALUE":
 *   taken, waits, bounces	a page: locks of the kernel that were taken, waited for, had last been another CPU's
 *   held			ns a page for which locks of swap were held: see is_swap()
 *   longest			ns for which one of these was held at most
 * and comments with the locks of swap, each by itself.
 */
#include <pthread.h>
#include <sys/wait.h>

#include "region.h"

#define LOCK_STAT	"/proc/lock_stat"
#define LOCK_STAT_ON	"/proc/sys/kernel/lock_stat"

/* All wait for each other at the beginning and at the end of each phase. */
static pthread_barrier_t *barrier;
static unsigned long nr_processes, nr_pages;

static void meet(void)
{
	int ret = pthread_barrier_wait(barrier);

	if (ret && ret != PTHREAD_BARRIER_SERIAL_THREAD)
		errx(1, "pthread_barrier_wait: %s", strerror(ret));
}

/* In the base, of zswap, zsmalloc and the swap layer; in the series, of zswap, zbud and the swap layer. */
static bool is_swap(const char *class)
{
	static const char * const names[] = {
		"&ci->lock", "&xa->xa_lock", "&tree->xa_lock", "&l->lock", "&shard->lock", "&class->lock",
		"&zspage->lock", "&pool->lock", "&span->", "zswap", "ramzswap", "&rz->", "&b->",
		"key#", "&lru->node[i].lock", "swap_avail_lock", "swap_lock",
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strstr(class, names[i]))
			return true;
	return false;
}

static void report(const char *phase)
{
	double taken = 0, waits = 0, bounces = 0, held = 0, longest = 0;
	const double pages = nr_processes * nr_pages;
	FILE *f = fopen(LOCK_STAT, "r");
	char line[512];

	if (!f)
		err(1, LOCK_STAT);
	while (fgets(line, sizeof(line), f)) {
		/* con-bounces contentions wait-min -max -total -avg acq-bounces acquisitions hold-min -max -total -avg; us */
		char *numbers = strrchr(line, ':');
		double v[12];

		if (!numbers || sscanf(numbers + 1, "%lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf", v, v + 1, v + 2,
				       v + 3, v + 4, v + 5, v + 6, v + 7, v + 8, v + 9, v + 10, v + 11) != 12)
			continue;
		*numbers = '\0';
		taken += v[7];
		waits += v[1];
		bounces += v[6];
		if (!is_swap(line))
			continue;
		held += v[10] * 1000;
		if (v[9] * 1000 > longest)
			longest = v[9] * 1000;
		printf("# %s %s: %.0f taken, %.0f waits, held %.2f us at most, %.3f us on average\n", phase,
		       line + strspn(line, " "), v[7], v[1], v[9], v[11]);
	}
	fclose(f);
	if (!taken || !held)
		errx(1, "no lock of swap is in " LOCK_STAT);
	printf("%s_taken %.3f\n%s_waits %.5f\n%s_bounces %.3f\n%s_held %.0f\n%s_longest %.0f\n", phase, taken / pages,
	       phase, waits / pages, phase, bounces / pages, phase, held / pages, phase, longest);
	fflush(stdout);
}

static void count(bool on)
{
	if (on)
		write_file(LOCK_STAT, "0");
	write_file(LOCK_STAT_ON, on ? "1" : "0");
}

static void page_out(struct region *r)
{
	if (madvise(r->mem, r->nr_pages * PAGE_SIZE, MADV_PAGEOUT))
		err(1, "MADV_PAGEOUT");
}

static void work(unsigned long mib)
{
	struct region r = region_make("r", mib);
	unsigned long i;

	region_fill(&r, MADV_NOHUGEPAGE);
	meet();
	meet();
	page_out(&r);
	meet();
	meet();
	for (i = 0; i < r.nr_pages; i++)
		touch(&r, i, true);
	meet();
	page_out(&r);
	meet();
	meet();
	exit(0);
}

int main(int argc, char **argv)
{
	static const char * const phases[] = { "out", "in" };
	pthread_barrierattr_t attr;
	unsigned long i, mib;
	int status;

	if (argc < 4)
		errx(1, "usage: locks PROCESSES MIB FILE...");
	nr_processes = atol(argv[1]);
	mib = atol(argv[2]);
	nr_pages = mib * PAGES_PER_MIB;
	for (i = 3; i < (unsigned long)argc; i++)
		source_add(argv[i]);
	barrier = mmap(NULL, sizeof(*barrier), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (barrier == MAP_FAILED)
		err(1, "mmap");
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(barrier, &attr, nr_processes + 1);
	for (i = 0; i < nr_processes; i++) {
		switch (fork()) {
		case -1:
			err(1, "fork");
		case 0:
			work(mib);
		}
	}
	meet();
	for (i = 0; i < sizeof(phases) / sizeof(*phases); i++) {
		count(true);
		meet();
		meet();
		count(false);
		report(phases[i]);
	}
	/* They page out again. */
	meet();
	count(true);
	meet();
	while (wait(&status) > 0)
		if (status)
			errx(1, "a process ended with status %#x", status);
	count(false);
	report("exit");
	return 0;
}
