// SPDX-License-Identifier: GPL-2.0
/*
 * Processes do everything at once to memory whose every byte they know: they
 * write, read, swap out, free, move, fork and exit, in a cgroup that is too
 * small for them. Meanwhile zswap's parameters change, pages of the pool are
 * compacted, migrated and offlined, and the statistics are read.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

#define MAX_WORKERS	64
#define MAX_RUN		128	/* pages per operation */
#define MAX_OFFLINED	256
#define DROP_CACHES	"/proc/sys/vm/drop_caches"
#define USAGE		"Usage: %s " RUN_USAGE "\n"

/* Exit status of a worker. */
#define WORKER_DONE	0
#define WORKER_WRONG	1
#define WORKER_BROKEN	2

static struct run_options opts = {
	.seconds = 20, .processes = 4, .mib = 24, .seed = 1,
};

/* Shared by all processes. */
static struct {
	unsigned long operations;
	unsigned long wrong_bytes;
} *shared;

/* For threads of the main process. */
static bool stop, squeezing;
static unsigned long squeezes, stats_read, stats_broken, changes, moves;

/* === A worker ============================================================ */

static void check(struct region *r, unsigned long first, unsigned long nr)
{
	unsigned long wrong = region_wrong_bytes(r, first, nr);

	if (wrong)
		__atomic_add_fetch(&shared->wrong_bytes, wrong, __ATOMIC_RELAXED);
}

static void free_run(struct region *r, unsigned long first, unsigned long nr)
{
	if (!madvise(region_page(r, first), nr * page_size, MADV_DONTNEED))
		region_mark_zero(r, first, nr);
}

static void remap_run(struct region *r, unsigned long first, unsigned long nr)
{
	void *to = region_page(r, first);

	if (mmap(to, nr * page_size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != to)
		_exit(WORKER_BROKEN);
	region_mark_zero(r, first, nr);
}

/* Move all mappings of the region elsewhere. */
static void move_region(struct region *r)
{
	size_t size = r->nr_pages * page_size;
	unsigned char *to, *mem;
	unsigned long i;

	to = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (to == MAP_FAILED)
		return;
	/* Page by page: remap_run() may have left more than one mapping. */
	for (i = 0; i < r->nr_pages; i++) {
		mem = region_page(r, i);
		if (mremap(mem, page_size, page_size, MREMAP_MAYMOVE | MREMAP_FIXED,
			   to + i * page_size) == MAP_FAILED)
			_exit(WORKER_BROKEN);
	}
	munmap(r->mem, size);
	r->mem = to;
}

/*
 * Parent and child start with the same contents, and then change them
 * separately.
 */
static void fork_and_write(struct region *r, unsigned long first, unsigned long nr,
			   __u64 *state, bool kill_it)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return;
	if (!pid) {
		check(r, first, nr);
		region_write(r, first, nr / 2);
		madvise(region_page(r, first), nr * page_size, MADV_PAGEOUT);
		check(r, first, nr);
		_exit(WORKER_DONE);
	}
	region_write(r, first + nr / 2, nr - nr / 2);
	check(r, first, nr);
	if (kill_it) {
		usleep(random_next(state) % 20000);
		kill(pid, SIGKILL);
	}
	status = child_status(pid);
	if (status != WORKER_DONE && !(kill_it && status == -SIGKILL))
		_exit(WORKER_BROKEN);
	check(r, first, nr);
}

static void work(unsigned int id)
{
	__u64 state = opts.seed + id;
	double deadline;
	struct region r;

	if (!region_map(&r, opts.mib * MIB / page_size, FILL_MIXED, opts.seed + id))
		_exit(WORKER_BROKEN);
	region_write_all(&r);
	/*
	 * The time starts here, because writing may take longer on a slow
	 * machine.
	 */
	deadline = seconds_now() + opts.seconds;

	while (seconds_now() < deadline) {
		__u64 dice = random_next(&state);
		unsigned long nr = 1 + dice % MAX_RUN;
		unsigned long first = (dice >> 16) % (r.nr_pages - nr + 1);
		unsigned char *mem = region_page(&r, first);

		switch ((dice >> 48) % 32) {
		case 0 ... 7:
			region_write(&r, first, nr);
			break;
		case 8 ... 15:
			check(&r, first, nr);
			break;
		case 16 ... 24:
			madvise(mem, nr * page_size, MADV_PAGEOUT);
			break;
		case 25 ... 26:
			free_run(&r, first, nr);
			break;
		case 27:
			free_run(&r, first, 1);
			break;
		case 28:
			remap_run(&r, first, nr);
			break;
		case 29:
			fork_and_write(&r, first, nr, &state, false);
			break;
		case 30:
			fork_and_write(&r, first, nr, &state, true);
			break;
		case 31:
			/* This is slow and rarely finds a bug, so do it rarely. */
			if (dice >> 60 == 0)
				move_region(&r);
			break;
		}
		__atomic_add_fetch(&shared->operations, 1, __ATOMIC_RELAXED);
	}
	check(&r, 0, r.nr_pages);
	_exit(WORKER_DONE);
}

/* === Meanwhile =========================================================== */

/* Read the statistics. Each line must be a name and a plausible number. */
static void *read_statistics(void *unused)
{
	char buf[4096], *line, *save, *end;

	while (!stop) {
		usleep(5000);
		if (!file_read(RAMZSWAP_STATS, buf, sizeof(buf)))
			continue;
		stats_read++;
		for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
			char *value = strchr(line, ' ');

			if (value && strtoull(value, &end, 10) < 1ULL << 62 && !*end)
				continue;
			if (!stats_broken++)
				ksft_print_msg("in " RAMZSWAP_STATS ": '%s'\n", line);
		}
	}
	return NULL;
}

static void *change_parameters(void *unused)
{
	static const char * const compressors[] = { "lzo", "lz4", "zstd", "lzo-rle" };
	static const char * const colds[] = { "zstd", "lzo", "zstd", "\n" };
	static const char * const percents[] = { "1", "5", "20", "90" };
	__u64 state = opts.seed;

	while (!stop) {
		__u64 dice = random_next(&state);

		usleep(100000);
		switch (dice % (squeezing ? 6 : 5)) {
		case 0:
			file_write(ZSWAP_PARAM "compressor",
				   compressors[(dice >> 8) % ARRAY_SIZE(compressors)]);
			break;
		case 1:
			file_write(ZSWAP_PARAM "max_pool_percent",
				   percents[(dice >> 8) % ARRAY_SIZE(percents)]);
			break;
		case 2:
			file_write(ZSWAP_PARAM "shrinker_enabled", dice >> 8 & 1 ? "Y" : "N");
			break;
		case 3:
			file_write(ZSWAP_PARAM "enabled", (dice >> 8) % 4 ? "Y" : "N");
			break;
		case 4:
			file_write(COMPACT_MEMORY, "1");
			break;
		case 5:
			file_write(ZSWAP_PARAM "cold_compressor",
				   colds[(dice >> 8) % ARRAY_SIZE(colds)]);
			break;
		}
		changes++;
	}
	return NULL;
}

/*
 * Move the pages of the pool in all possible ways: by migration, by the pool's
 * shrinker, and by soft-offlining single pages.
 */
static void *move_pool_pages(void *unused)
{
	static unsigned long pfns[MAX_OFFLINED];
	unsigned long offlined[MAX_OFFLINED];
	unsigned int nr_offlined = 0, i;
	__u64 state = opts.seed + 1;
	unsigned long nr;

	while (!stop) {
		__u64 dice = random_next(&state);

		usleep(500000);
		file_write(COMPACT_MEMORY, "1");
		/* This also writes out most of the cache, so do it rarely. */
		if (dice >> 60 == 0)
			file_write(DROP_CACHES, "2");
		if (nr_offlined == MAX_OFFLINED || access(SOFT_OFFLINE, F_OK) ||
		    access(UNPOISON_PFN, F_OK))
			continue;
		nr = find_pool_pages(pfns, MAX_OFFLINED);
		if (nr > MAX_OFFLINED)
			nr = MAX_OFFLINED;
		if (!nr)
			continue;
		i = dice % nr;
		if (file_write_number(SOFT_OFFLINE, pfns[i] * page_size))
			offlined[nr_offlined++] = pfns[i];
	}
	moves += nr_offlined;
	for (i = 0; i < nr_offlined; i++)
		file_write_number(UNPOISON_PFN, offlined[i]);
	return NULL;
}

static void *squeeze(void *unused)
{
	while (squeezing && !stop) {
		usleep(1000);
		if (!attr_write("squeeze", "1T"))
			squeezes++;
	}
	return NULL;
}

/* === All together ======================================================== */

/* Return: whether all workers finished their work. */
static bool run_workers(const char *memcg)
{
	pid_t pids[MAX_WORKERS];
	bool good = true;
	unsigned int i;
	int status;

	for (i = 0; i < opts.processes; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		if (memcg && !memcg_enter(memcg))
			_exit(WORKER_BROKEN);
		work(i);
	}
	for (i = 0; i < opts.processes; i++) {
		status = pids[i] > 0 ? child_status(pids[i]) : WORKER_BROKEN;
		if (status == WORKER_DONE)
			continue;
		ksft_print_msg("worker %u ended with %d\n", i, status);
		good = false;
	}
	return good;
}

static bool run(const char *memcg)
{
	const unsigned long operations = shared->operations;
	pthread_t reader, changer, mover, squeezer;
	bool good;

	stop = false;
	if (pthread_create(&reader, NULL, read_statistics, NULL) ||
	    pthread_create(&changer, NULL, change_parameters, NULL) ||
	    pthread_create(&mover, NULL, move_pool_pages, NULL) ||
	    pthread_create(&squeezer, NULL, squeeze, NULL))
		ksft_exit_fail_perror("pthread_create");
	good = run_workers(memcg);
	stop = true;
	pthread_join(reader, NULL);
	pthread_join(changer, NULL);
	pthread_join(mover, NULL);
	pthread_join(squeezer, NULL);
	ksft_print_msg("%lu operations, %lu changes of parameters, %lu reads of statistics\n",
		       shared->operations - operations, changes, stats_read);
	ksft_print_msg("%lu pages of the pool offlined\n", moves);
	if (shared->wrong_bytes)
		ksft_print_msg("%lu wrong bytes\n", shared->wrong_bytes);
	return good && !shared->wrong_bytes && shared->operations != operations;
}

/* Run on a ramzswap device, and squeeze its pages all the time. */
static bool run_cold(void)
{
	long long squeezed;
	bool good;

	zswap_defaults();
	if (!file_write(ZSWAP_PARAM "cold_compressor", "zstd"))
		return false;
	squeezing = true;
	good = run(NULL);
	squeezing = false;
	squeezed = stat_of("num_squeezed");
	ksft_print_msg("squeezed %lu times, %lld pages\n", squeezes, squeezed);
	return good && squeezed > 0;
}

int main(int argc, char **argv)
{
	long long stored, swap_free, others;
	char memcg[256];
	const char *reason;
	bool limited;
	int c;

	while ((c = getopt(argc, argv, RUN_OPTIONS)) != -1)
		if (!run_option(&opts, c))
			ksft_exit_fail_msg(USAGE, argv[0]);
	if (!opts.processes || opts.processes > MAX_WORKERS || opts.mib < 4)
		ksft_exit_fail_msg(USAGE, argv[0]);

	ksft_print_header();
	reason = test_begin();
	if (reason)
		ksft_exit_skip("%s\n", reason);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	test_stay_resident();
	stored = pages_stored();
	swap_free = meminfo_kb("SwapFree:");
	ksft_set_plan(6);

	/* Compressed pages in swap count against the limit as well. */
	limited = memcg_create("ramzswap_stress", memcg, sizeof(memcg));
	if (limited) {
		memcg_set_number(memcg, "memory.max", opts.processes * opts.mib * MIB * 3 / 4);
		ksft_test_result(run(memcg), "every byte is right in a cgroup that is too small\n");
		memcg_remove(memcg);
	} else {
		ksft_test_result_skip("no cgroup with a memory controller\n");
	}
	ksft_test_result(run(NULL), "every byte is right without a limit\n");

	if (access(DEVICE_SYSFS "squeeze", F_OK) || !device_on())
		ksft_test_result_skip("no ramzswap device that squeezes\n");
	else
		ksft_test_result(run_cold(), "every byte is right while pages are squeezed\n");
	swapoff(DEVICE_PATH);

	if (stats_read)
		ksft_test_result(!stats_broken, "the statistics are well-formed all the time\n");
	else
		ksft_test_result_skip("there is no " RAMZSWAP_STATS "\n");

	/*
	 * Up to one in a hundred may be swapped-out pages of other processes.
	 */
	others = opts.processes * opts.mib * MIB / page_size / 100;
	ksft_print_msg("%lld pages in the cache, before %lld\n", pages_stored(), stored);
	ksft_test_result(pages_stored() <= stored + others,
			 "the cache holds no more pages than before\n");
	/*
	 * Reclaim frees the slots of pages that were freed during their
	 * writeback.
	 */
	others *= page_size / 1024;
	ksft_print_msg("%lld kB of swap free and %lld cached, before %lld free\n",
		       meminfo_kb("SwapFree:"), meminfo_kb("SwapCached:"), swap_free);
	ksft_test_result(meminfo_kb("SwapFree:") + meminfo_kb("SwapCached:") >= swap_free - others,
			 "no less swap is free than before\n");
	ksft_finished();
}
