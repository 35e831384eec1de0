// SPDX-License-Identifier: GPL-2.0
/*
 * What do compressed pages cost when some of them are cold? Run it on one CPU with a clock that counts
 * instructions, so that times are CPU times, and idle time passes quickly.
 *
 * Usage: age CASE FILE...
 *
 *   CASE	latency	how long faults take, on pages just swapped out, and on others a minute and a half later
 *		mixed	80 % of the touches go to 20 % of the pages, in a cgroup with room for half of them
 *		busy	what two busy programs get done while many pages become old, and what they got before
 *   FILE	pages as a program had them in memory: what is in the pages
 *
 * The swap to be measured is set up already, and cgroup2 is mounted.
 *
 * Output: lines "NAME VALUE". latency: nanoseconds of a page out, and of a fault, at some percentiles. mixed: nanoseconds for each touch, of all programs and the kernel's threads. busy: rounds in a
 * thousand of what was done in the same time before.
 */
#include <sys/wait.h>

#include "region.h"

#define MEMCG		"/sys/fs/cgroup/age"
#define LATENCY_MIB	48
#define MIXED_MIB	64
#define MIXED_TOUCHES	200000UL
#define BUSY_MIB	96
#define BUSY_NS		(20ULL * 1000000000)
/* Pages are compressed again when they are 30 to 65 seconds old. */
#define COLD_SECONDS	90

static void report(const char *name, const char *suffix, double value)
{
	printf("%s%s %.0f\n", name, suffix, value);
	fflush(stdout);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void report_percentiles(const char *name, uint64_t *ns, unsigned long nr)
{
	qsort(ns, nr, sizeof(*ns), compare);
	report(name, "_p10", ns[nr / 10]);
	report(name, "_p25", ns[nr / 4]);
	report(name, "_p50", ns[nr / 2]);
	report(name, "_p75", ns[nr * 3 / 4]);
	report(name, "_p90", ns[nr * 9 / 10]);
	report(name, "_p99", ns[nr * 99 / 100]);
	report(name, "_p999", ns[nr * 999 / 1000]);
}

static void page_out(struct region *r)
{
	if (madvise(r->mem, r->nr_pages * PAGE_SIZE, MADV_PAGEOUT))
		err(1, "MADV_PAGEOUT");
}

/* The contents are compared outside of what is measured. */
static void measure_faults(struct region *r, const char *name)
{
	uint64_t *ns = get(r->nr_pages * sizeof(*ns)), start;
	unsigned long k, i;

	memset(ns, 0, r->nr_pages * sizeof(*ns));
	for (k = 0; k < r->nr_pages; k++) {
		/* Each page once, in no order: the number of pages is no multiple of 7919. */
		i = k * 7919 % r->nr_pages;
		start = now();
		*(volatile unsigned char *)(r->mem + i * PAGE_SIZE);
		ns[k] = now() - start;
		touch(r, i, false);
	}
	report_percentiles(name, ns, r->nr_pages);
	munmap(ns, r->nr_pages * sizeof(*ns));
}

static void latency(void)
{
	struct region r = region_make("age", LATENCY_MIB);
	uint64_t *ns = get(r.nr_pages * sizeof(*ns)), start;
	unsigned long i;

	region_fill(&r, MADV_NOHUGEPAGE);
	memset(ns, 0, r.nr_pages * sizeof(*ns));
	for (i = 0; i < r.nr_pages; i++) {
		start = now();
		if (madvise(r.mem + i * PAGE_SIZE, PAGE_SIZE, MADV_PAGEOUT))
			err(1, "MADV_PAGEOUT");
		ns[i] = now() - start;
	}
	report_percentiles("out", ns, r.nr_pages);
	measure_faults(&r, "hot");
	page_out(&r);
	sleep(COLD_SECONDS);
	measure_faults(&r, "cold");
}

/* Nobody else has anything to do, so on one CPU this is the CPU time of all but the idle task. */
static void mixed(void)
{
	struct region r = region_make("age", MIXED_MIB);
	unsigned long i, hot = r.nr_pages / 5;
	char max[32];
	uint64_t start;

	if (mkdir(MEMCG, 0755))
		err(1, MEMCG);
	write_file(MEMCG "/cgroup.procs", "0");
	snprintf(max, sizeof(max), "%luM", MIXED_MIB / 2UL + MIXED_MIB / 5);
	write_file(MEMCG "/memory.max", max);
	region_fill(&r, MADV_NOHUGEPAGE);
	start = now();
	for (i = 0; i < MIXED_TOUCHES; i++) {
		uint64_t random = random_next();
		unsigned long page = random % 5 ? (random >> 8) % hot : hot + (random >> 8) % (r.nr_pages - hot);

		/* The hot pages are not next to each other. */
		touch(&r, page * 7919 % r.nr_pages, random & 0x80);
	}
	report("mixed", "", (double)(now() - start) / MIXED_TOUCHES);
}

/* Return: how often two processes have got round in BUSY_NS. */
static uint64_t work(void)
{
	uint64_t *rounds = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t end = now() + BUSY_NS;
	int i;

	if (rounds == MAP_FAILED)
		err(1, "mmap");
	for (i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (pid)
			continue;
		while (now() < end)
			rounds[i]++;
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
	return rounds[0] + rounds[1];
}

static void busy(void)
{
	struct region r = region_make("age", BUSY_MIB);
	uint64_t before, meanwhile;
	unsigned long i;

	region_fill(&r, MADV_NOHUGEPAGE);
	before = work();
	page_out(&r);
	/* They have become old when the programs begin. */
	sleep(31);
	meanwhile = work();
	report("busy", "", meanwhile * 1000.0 / before);
	for (i = 0; i < r.nr_pages; i++)
		touch(&r, i, false);
}

int main(int argc, char **argv)
{
	int arg;

	if (argc < 3)
		errx(1, "usage: age latency|mixed|busy FILE...");
	for (arg = 2; arg < argc; arg++)
		source_add(argv[arg]);
	if (mlockall(MCL_CURRENT))
		err(1, "mlockall");
	if (!strcmp(argv[1], "latency"))
		latency();
	else if (!strcmp(argv[1], "mixed"))
		mixed();
	else if (!strcmp(argv[1], "busy"))
		busy();
	else
		errx(1, "there is no case '%s'", argv[1]);
	return 0;
}
