// SPDX-License-Identifier: GPL-2.0
/*
 * Measure the cost of compressed swap: the time to swap out, swap in and free,
 * and the memory that it takes.  Not a test, and not run as one.
 *
 * Usage: swapbench [-f KIB] [-n PAGES] [-p PASSES] [-r] [-m] [-a SECONDS] FILE...
 *
 *   FILE	pages to swap, as a program had them in memory
 *   -f KIB	folio size, 4 by default
 *   -n PAGES	use only this many pages, evenly chosen
 *   -p PASSES	number of passes, 4 by default, after one to warm up
 *   -r		touch the pages in random order, not in sequence
 *   -m		measure memory, too
 *   -a SECONDS	measure it again after this time without any use
 *
 * Works with any swap of any kernel, and measures all of them from outside in the
 * same way.  The swap to measure must be active already, and zswap and zram
 * configured.
 *
 * Output: lines "NAME VALUE".  Times are in ns per page; under QEMU's -icount,
 * with a shift of 0, these are instructions per page, and calibration is 2. "out",
 * "in" and "free" are the fastest of the passes; "cpu" is the CPU time of all three
 * together, and "cpu_others" that of kernel threads meanwhile.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

#define USAGE		"usage: %s [-f KIB] [-n PAGES] [-p PASSES] [-r] [-m] [-a SECONDS] FILE..."
#define MEMCG_NAME		"swapbench"
#define CALIBRATION_ROUNDS	20000000UL
#define ALIGNMENT		(2 * MIB)
#define ZRAM_ID			0
#define ZRAM_ENTRY_SIZE		16
#define SEED			7

/*
 * A function of its own, so that a profiler can tell by address what is
 * measured.
 */
#define __noinline		__attribute__((__noinline__))

/* The kernel updates a memcg's statistics every two seconds. */
#define MEMCG_STAT_USECS	2500000

/**
 * struct timing - time of an operation, by batches of pages
 * @batch: pages in a batch
 * @nr_pages: pages in all
 * @ns: shortest time so far for each batch, or 0
 */
struct timing {
	unsigned long batch;
	unsigned long nr_pages;
	double *ns;
};

/**
 * struct bench - what to measure
 * @mem: the memory to swap
 * @nr_pages: its size
 * @source: the contents of each page
 * @order: the order in which pages are touched
 * @shuffled: a random order
 * @folio_pages: pages in a folio
 * @memcg: directory of the cgroup that the benchmark runs in
 * @out: time to swap out
 * @in: time to swap in
 * @freed: time to free what is in swap
 */
struct bench {
	unsigned char *mem;
	unsigned long nr_pages;
	const unsigned char **source;
	const unsigned long *order;
	unsigned long *shuffled;
	unsigned long folio_pages;
	char memcg[256];
	struct timing out;
	struct timing in;
	struct timing freed;
};

/* Memory that swap takes, in bytes. */
struct held {
	long long pool;
	long long slab;
};

static void __printf(1, 2) __noreturn die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(KSFT_FAIL);
}

static void report(const char *name, double value)
{
	printf("%s %.3f\n", name, value);
	fflush(stdout);
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

/* ns per iteration of a loop of two instructions. */
static double calibration(void)
{
	unsigned long n = CALIBRATION_ROUNDS;
	double start = now_ns();

	do {
		asm volatile("" : "+r" (n));
	} while (--n);
	return (now_ns() - start) / CALIBRATION_ROUNDS;
}

/* === Pages =============================================================== */

static unsigned char *page_at(const struct bench *b, unsigned long index)
{
	return b->mem + index * page_size;
}

/* Append the pages of a file to b->source. */
static void source_add(struct bench *b, const char *path)
{
	int fd = open(path, O_RDONLY);
	const unsigned char *map;
	struct stat st;
	unsigned long i, nr;

	if (fd < 0 || fstat(fd, &st))
		die("%s cannot be opened", path);
	nr = st.st_size / page_size;
	map = mmap(NULL, nr * page_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		die("%s cannot be mapped", path);
	close(fd);
	b->source = realloc(b->source, (b->nr_pages + nr) * sizeof(*b->source));
	if (!b->source)
		die("no memory");
	for (i = 0; i < nr; i++)
		b->source[b->nr_pages++] = map + i * page_size;
}

/* Keep at most @max pages, evenly chosen, in whole folios. */
static void source_thin_out(struct bench *b, unsigned long max)
{
	unsigned long i, all = b->nr_pages;

	if (max && max < all)
		b->nr_pages = max;
	b->nr_pages -= b->nr_pages % b->folio_pages;
	if (!b->nr_pages)
		die("too few pages");
	for (i = 0; i < b->nr_pages; i++)
		b->source[i] = b->source[i * all / b->nr_pages];
}

static void order_init(struct bench *b, bool random)
{
	unsigned long *sequence = calloc(b->nr_pages, sizeof(*sequence));
	unsigned long i, other, swap;
	__u64 state = SEED;

	b->shuffled = calloc(b->nr_pages, sizeof(*b->shuffled));
	if (!sequence || !b->shuffled)
		die("no memory");
	for (i = 0; i < b->nr_pages; i++)
		sequence[i] = i;
	memcpy(b->shuffled, sequence, b->nr_pages * sizeof(*sequence));
	for (i = b->nr_pages - 1; i; i--) {
		other = random_next(&state) % (i + 1);
		swap = b->shuffled[i];
		b->shuffled[i] = b->shuffled[other];
		b->shuffled[other] = swap;
	}
	b->order = random ? b->shuffled : sequence;
}

/* Use folios of one size only. */
static void folio_size_set(unsigned long kib)
{
	unsigned long size;

	for (size = 8; size <= 2048; size *= 2)
		if (!thp_size_set(size, "enabled", size == kib ? "always" : "never") &&
		    size == kib)
			die("no folios of %lu KiB", kib);
}

static long long folio_stat(const struct bench *b, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/mm/transparent_hugepage/hugepages-%lukB/stats/%s",
		 b->folio_pages * page_size / 1024, name);
	return file_number(path);
}

static void map_region(struct bench *b)
{
	size_t size = b->nr_pages * page_size;
	unsigned char *area;

	area = mmap(NULL, size + ALIGNMENT, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		die("no memory");
	b->mem = (void *)(((uintptr_t)area + ALIGNMENT - 1) & ~(ALIGNMENT - 1));
}

/* Fill fresh folios with the pages' contents. */
static void load(struct bench *b)
{
	unsigned long i;

	madvise(b->mem, b->nr_pages * page_size, MADV_DONTNEED);
	for (i = 0; i < b->nr_pages; i++)
		memcpy(page_at(b, i), b->source[i], page_size);
}

static void load_and_page_out(struct bench *b)
{
	load(b);
	if (page_out(b->mem, b->nr_pages) != b->nr_pages)
		die("not everything could be swapped out");
}

static void check_contents(const struct bench *b)
{
	unsigned long i;

	for (i = 0; i < b->nr_pages; i++)
		if (memcmp(page_at(b, i), b->source[i], page_size))
			die("page %lu is wrong", i);
}

/* === Time ================================================================ */

/*
 * A busy host takes the CPU away for milliseconds every now and then. So read
 * the clock after each batch of pages, and use the fastest pass for each batch.
 */
#define SWAP_BATCH		32UL	/* as many as reclaim takes at a time */
#define FREE_BATCH		512UL	/* as many as a page table maps */

static void timing_init(struct timing *t, const struct bench *b, unsigned long batch)
{
	t->batch = batch;
	t->nr_pages = b->nr_pages;
	t->ns = calloc(t->nr_pages / t->batch + 1, sizeof(*t->ns));
	if (!t->ns)
		die("no memory");
}

/* Return: the number of pages in the batch that begins with @first. */
static unsigned long timing_batch(const struct timing *t, unsigned long first)
{
	unsigned long left = t->nr_pages - first;

	return left < t->batch ? left : t->batch;
}

static void timing_add(struct timing *t, unsigned long first, double ns)
{
	double *best = &t->ns[first / t->batch];

	if (!*best || ns < *best)
		*best = ns;
}

static __noinline void timing_forget(struct timing *t)
{
	memset(t->ns, 0, (t->nr_pages / t->batch + 1) * sizeof(*t->ns));
}

static void timing_report(const struct timing *t, const char *name)
{
	double sum = 0;
	unsigned long i;

	for (i = 0; i < t->nr_pages; i += t->batch)
		sum += t->ns[i / t->batch];
	report(name, sum / t->nr_pages);
}

static __noinline void measure_out(struct bench *b)
{
	unsigned long first, nr, swapped;
	double start;

	for (first = 0; first < b->nr_pages; first += nr) {
		nr = timing_batch(&b->out, first);
		start = now_ns();
		if (madvise(page_at(b, first), nr * page_size, MADV_PAGEOUT))
			die("MADV_PAGEOUT: %m");
		timing_add(&b->out, first, now_ns() - start);
	}
	swapped = pages_swapped(b->mem, b->nr_pages);
	if (swapped < b->nr_pages - b->nr_pages / 100)
		die("only %lu of %lu pages were swapped out", swapped, b->nr_pages);
	/* Somebody may have held some pages for a moment. */
	page_out(b->mem, b->nr_pages);
}

/*
 * Write to a page, which also ends its life in swap: some swaps free the slot
 * on every load, others only now.
 */
static __noinline void measure_in(struct bench *b)
{
	unsigned long first, nr, i;
	double start;

	for (first = 0; first < b->nr_pages; first += nr) {
		nr = timing_batch(&b->in, first);
		start = now_ns();
		for (i = first; i < first + nr; i++)
			*page_at(b, b->order[i]) = *b->source[b->order[i]];
		timing_add(&b->in, first, now_ns() - start);
	}
}

static __noinline void measure_free(struct bench *b)
{
	unsigned long first, nr;
	double start;

	for (first = 0; first < b->nr_pages; first += nr) {
		nr = timing_batch(&b->freed, first);
		start = now_ns();
		madvise(page_at(b, first), nr * page_size, MADV_DONTNEED);
		timing_add(&b->freed, first, now_ns() - start);
	}
}

/* CPU time of this process, in ns. */
static __noinline double own_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

/*
 * CPU time of everything, including interrupts, as sampled by the tick, in ns.
 */
static double all_cpu_ns(void)
{
	FILE *f = fopen("/proc/stat", "r");
	unsigned long long user, nice, system, irq, softirq;

	if (!f || fscanf(f, "cpu %llu %llu %llu %*u %*u %llu %llu",
			 &user, &nice, &system, &irq, &softirq) != 5)
		die("/proc/stat cannot be read");
	fclose(f);
	return (user + nice + system + irq + softirq) * 1e9 / sysconf(_SC_CLK_TCK);
}

/* Return: the CPU time of this process that a measurement takes. */
static double measured_cpu_ns(void (*measure)(struct bench *b), struct bench *b)
{
	double start = own_cpu_ns();

	measure(b);
	return own_cpu_ns() - start;
}

/*
 * The part of the region that was swapped in folios of its size since @before.
 */
static double folio_share(const struct bench *b, long long before, long long now)
{
	return (double)(now - before) * b->folio_pages / b->nr_pages;
}

static void measure_time(struct bench *b, unsigned long passes)
{
	double cpu = 0, own = own_cpu_ns(), all = all_cpu_ns();
	long long folios_out = 0, folios_in = 0;
	unsigned long i;
	long faults;

	timing_init(&b->out, b, SWAP_BATCH);
	timing_init(&b->in, b, SWAP_BATCH);
	timing_init(&b->freed, b, FREE_BATCH);
	for (i = 0; i <= passes; i++) {
		load(b);
		folios_out = folio_stat(b, "swpout") + folio_stat(b, "zswpout");
		cpu += measured_cpu_ns(measure_out, b);
		folios_in = folio_stat(b, "swpin") + folio_stat(b, "zswpin");
		faults = major_faults();
		cpu += measured_cpu_ns(measure_in, b);
		faults = major_faults() - faults;
		if (i == passes && b->folio_pages > 1) {
			report("folios_out", folio_share(b, folios_out, folio_stat(b, "swpout") +
							 folio_stat(b, "zswpout")));
			report("folios_in", folio_share(b, folios_in, folio_stat(b, "swpin") +
							folio_stat(b, "zswpin")));
		}
		check_contents(b);
		load_and_page_out(b);
		cpu += measured_cpu_ns(measure_free, b);
		/* The first pass was to warm up. */
		if (!i && passes) {
			cpu = 0;
			own = own_cpu_ns();
			all = all_cpu_ns();
			timing_forget(&b->out);
			timing_forget(&b->in);
			timing_forget(&b->freed);
		}
	}
	own = own_cpu_ns() - own;
	all = all_cpu_ns() - all;
	if (!passes)
		passes = 1;
	report("faults_in", (double)faults / b->nr_pages);
	report("cpu", cpu / passes / b->nr_pages);
	report("cpu_others", (all - own) / passes / b->nr_pages);
	timing_report(&b->out, "out");
	timing_report(&b->in, "in");
	timing_report(&b->freed, "free");
}

/* === Memory ============================================================== */

/*
 * Slab caches for swap's metadata, by the beginning of their names. Count whole
 * slabs, because that is what they take from the system. Other users of xarray
 * nodes are idle meanwhile.
 */
static const char * const slab_caches[] = {
	"zswap_entry", "zswap_span", "zs_handle", "zspage", "zbud", "ramzswap", "radix_tree_node",
};

static bool slab_cache_counts(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(slab_caches); i++)
		if (!strncmp(name, slab_caches[i], strlen(slab_caches[i])))
			return true;
	return false;
}

static long long slab_bytes(void)
{
	FILE *f = fopen("/proc/slabinfo", "r");
	unsigned long pages, slabs;
	long long bytes = 0;
	char line[512], name[64];

	if (!f)
		die("/proc/slabinfo is not there");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %*u %*u %*u %*u %lu : %*s %*u %*u %*u : slabdata %*u %lu",
			   name, &pages, &slabs) == 3 && slab_cache_counts(name))
			bytes += pages * slabs * page_size;
	fclose(f);
	return bytes;
}

/* Free leftovers of earlier use: nodes that wait for RCU, and empty slabs. */
static void slab_shrink(void)
{
	char path[128];
	unsigned int i;

	sleep(1);
	for (i = 0; i < ARRAY_SIZE(slab_caches); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", slab_caches[i]);
		file_write(path, "1");
	}
}

static long long named_value(const char *path, const char *name)
{
	long long value = file_field(path, name);

	if (value < 0)
		die("%s has no %s", path, name);
	return value;
}

static struct held held_read(void)
{
	struct held h;

	/* Any value makes this fold the CPUs' counters. */
	file_write("/proc/sys/vm/stat_refresh", "1");
	h.pool = named_value("/proc/vmstat", "nr_zspages") * (long long)page_size;
	h.slab = slab_bytes();
	return h;
}

static long long zram_table_bytes(void)
{
	long long size = zram_value(ZRAM_ID, "disksize", 0);

	return size > 0 ? size / (long long)page_size * ZRAM_ENTRY_SIZE : 0;
}

static long long compressed_bytes(const struct bench *b)
{
	long long zram = zram_value(ZRAM_ID, "mm_stat", 1);
	char path[320];

	usleep(MEMCG_STAT_USECS);
	snprintf(path, sizeof(path), "%s/memory.stat", b->memcg);
	return named_value(path, "zswap") + (zram > 0 ? zram : 0);
}

static void report_held(const struct bench *b, const struct held *before, const char *when,
			unsigned long nr_pages)
{
	struct held h = held_read();
	char name[64];
	double pool = h.pool - before->pool;
	double meta = h.slab - before->slab + zram_table_bytes();
	double compressed = compressed_bytes(b);

	snprintf(name, sizeof(name), "pool_%s", when);
	report(name, pool / nr_pages);
	snprintf(name, sizeof(name), "meta_%s", when);
	report(name, meta / nr_pages);
	snprintf(name, sizeof(name), "compressed_%s", when);
	report(name, compressed / nr_pages);
	snprintf(name, sizeof(name), "held_%s", when);
	report(name, (pool + meta) / compressed);
}

static void measure_memory(struct bench *b, unsigned long idle)
{
	unsigned long i, half = b->nr_pages / 2;
	struct held before;

	madvise(b->mem, b->nr_pages * page_size, MADV_DONTNEED);
	slab_shrink();
	before = held_read();

	load_and_page_out(b);
	report_held(b, &before, "full", b->nr_pages);
	if (idle) {
		sleep(idle);
		report_held(b, &before, "idle", b->nr_pages);
	}

	for (i = 0; i < half; i++)
		madvise(page_at(b, b->shuffled[i]), page_size, MADV_DONTNEED);
	sleep(1);
	report_held(b, &before, "half", b->nr_pages - half);

	for (; i < b->nr_pages; i++)
		if (memcmp(page_at(b, b->shuffled[i]), b->source[b->shuffled[i]], page_size))
			die("page %lu is wrong", b->shuffled[i]);
}

/* === All of it =========================================================== */

/* Use one CPU, so that no batches of other CPUs are drained later. */
static void stay_on_one_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		die("sched_setaffinity: %m");
}

int main(int argc, char **argv)
{
	unsigned long folio_kib = 4, max_pages = 0, passes = 4, idle = 0;
	bool random = false, memory = false;
	struct bench b = {};
	int opt;

	while ((opt = getopt(argc, argv, "f:n:p:rma:")) != -1) {
		switch (opt) {
		case 'f':
			folio_kib = strtoul(optarg, NULL, 0);
			break;
		case 'n':
			max_pages = strtoul(optarg, NULL, 0);
			break;
		case 'p':
			passes = strtoul(optarg, NULL, 0);
			break;
		case 'r':
			random = true;
			break;
		case 'm':
			memory = true;
			break;
		case 'a':
			memory = true;
			idle = strtoul(optarg, NULL, 0);
			break;
		default:
			die(USAGE, argv[0]);
		}
	}

	page_size = sysconf(_SC_PAGESIZE);
	b.folio_pages = folio_kib * 1024 / page_size;
	if (!b.folio_pages)
		die("a folio has %lu bytes at least", page_size);
	for (; optind < argc; optind++)
		source_add(&b, argv[optind]);
	source_thin_out(&b, max_pages);
	order_init(&b, random);

	stay_on_one_cpu();
	test_stay_resident();
	folio_size_set(folio_kib);
	if (!memcg_create(MEMCG_NAME, b.memcg, sizeof(b.memcg)) || !memcg_enter(b.memcg))
		die("no cgroup with a memory controller");
	map_region(&b);

	report("calibration", calibration());
	report("pages", b.nr_pages);
	measure_time(&b, passes);
	if (memory)
		measure_memory(&b, idle);
	return 0;
}
