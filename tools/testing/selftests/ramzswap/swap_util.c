// SPDX-License-Identifier: GPL-2.0
/* Helpers for the ramzswap tests, see swap_util.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <linux/kernel-page-flags.h>
#include <mntent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

#define ALIGNMENT		(2 * MIB)
#define PAGEMAP_SWAPPED_BIT	62
#define HEADER_MAGIC		0x3070617773a5a5a5ULL
#define MAX_AREAS		8
/* Describe this many wrong pages, and only count the rest. */
#define MAX_REPORTS		4

unsigned long page_size;

/* === Memory whose every byte is known ==================================== */

struct page_header {
	__u64 magic;
	__u64 seed;
	__u64 index;
	__u64 version;
};

/* splitmix64: fast, and random enough to be incompressible. */
__u64 random_next(__u64 *state)
{
	__u64 z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static void fill_random(unsigned char *p, size_t len, __u64 *state)
{
	__u64 word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		word = random_next(state);
		memcpy(p, &word, sizeof(word));
	}
	word = random_next(state);
	memcpy(p, &word, len);
}

static void fill_text(unsigned char *p, size_t len, __u64 *state)
{
	static const char * const words[] = {
		"{\"user\": \"", "\", \"name\": \"", "\", \"city\": \"",
		"\", \"balance\": ", ", \"active\": true", ", \"active\": false",
		", \"tags\": [\"red\", \"green\"]", ", \"parent\": null},\n",
		"Amsterdam", "Bengaluru", "Kinshasa", "Valparaiso",
		"alice", "bob", "charlie", "dora",
	};

	while (len) {
		__u64 r = random_next(state);
		const char *word = words[r % ARRAY_SIZE(words)];
		size_t n = strlen(word);
		char number[3];

		memcpy(p, word, n < len ? n : len);
		if (n >= len)
			break;
		p += n;
		len -= n;

		number[0] = '0' + (r >> 32) % 10;
		number[1] = '0' + (r >> 40) % 10;
		number[2] = '0' + (r >> 48) % 10;
		n = sizeof(number) < len ? sizeof(number) : len;
		memcpy(p, number, n);
		p += n;
		len -= n;
	}
}

static enum fill mixed_fill(unsigned long index, __u64 seed)
{
	static const enum fill kinds[] = {
		FILL_TEXT, FILL_TEXT, FILL_TEXT, FILL_HALF,
		FILL_SPARSE, FILL_WORD, FILL_RANDOM, FILL_ZERO,
	};
	__u64 state = seed ^ index;

	return kinds[random_next(&state) % ARRAY_SIZE(kinds)];
}

/**
 * page_fill() - write the contents of a page
 * @page: the page
 * @fill: what to fill it with
 * @seed: seed of the region
 * @index: index of the page in its region
 * @version: how often the page was written before; determines the bytes
 */
void page_fill(void *page, enum fill fill, __u64 seed, unsigned long index,
	       __u32 version)
{
	struct page_header header = {
		.magic = HEADER_MAGIC,
		.seed = seed,
		.index = index,
		.version = version,
	};
	__u64 state = seed ^ ((__u64)index << 20) ^ ((__u64)version << 52);
	unsigned char *body = (unsigned char *)page + sizeof(header);
	size_t len = page_size - sizeof(header);
	size_t i;

	if (version & VERSION_ZERO)
		fill = FILL_ZERO;
	if (fill == FILL_MIXED)
		fill = mixed_fill(index + version, seed);

	switch (fill) {
	case FILL_TEXT:
		fill_text(body, len, &state);
		break;
	case FILL_HALF:
		fill_random(body, len / 2, &state);
		memset(body + len / 2, 0, len - len / 2);
		break;
	case FILL_SPARSE:
		memset(body, 0, len);
		for (i = 0; i < 8; i++)
			body[random_next(&state) % len] = i + 1;
		break;
	case FILL_WORD:
		random_next(&state);
		for (i = 0; i < page_size; i += sizeof(state))
			memcpy((unsigned char *)page + i, &state, sizeof(state));
		return;
	case FILL_RANDOM:
		fill_random(body, len, &state);
		break;
	case FILL_SLOPE:
		i = page_size / slope_pages();
		memset(body, 0, len);
		fill_random(body, (index * i + index % i) % len, &state);
		break;
	case FILL_MIXED:
	case FILL_ZERO:
		memset(page, 0, page_size);
		return;
	}
	memcpy(page, &header, sizeof(header));
}

/* Describe the contents of a page that should have others. */
static void report_wrong_page(const struct region *r, unsigned long index,
			      const unsigned char *want, unsigned long wrong)
{
	const unsigned char *page = region_page(r, index);
	const struct page_header *header = (const void *)page;
	unsigned long at = 0;

	while (at < page_size - 1 && page[at] == want[at])
		at++;
	ksft_print_msg("page %lu version %#x: %lu wrong bytes, first at %lu: %#x, not %#x\n",
		       index, r->version[index], wrong, at, page[at], want[at]);
	if (header->magic == HEADER_MAGIC)
		ksft_print_msg("it says: page %llu version %#llx of seed %llu, which is not %llu\n",
			       header->index, header->version, header->seed, r->seed);
}

/**
 * region_wrong_bytes() - compare memory with what was written to it
 * @r: the region
 * @first: index of the first page
 * @nr: number of pages
 *
 * Describes the first few wrong pages.
 *
 * Return: the number of bytes that differ.
 */
unsigned long region_wrong_bytes(const struct region *r, unsigned long first,
				 unsigned long nr)
{
	unsigned char want[page_size];
	unsigned long wrong_pages = 0, sum = 0;
	unsigned long i, k;

	for (i = first; i < first + nr; i++) {
		const unsigned char *page = region_page(r, i);
		unsigned long wrong = 0;

		page_fill(want, r->fill, r->seed, i, r->version[i]);
		if (!memcmp(page, want, page_size))
			continue;
		for (k = 0; k < page_size; k++)
			wrong += page[k] != want[k];
		if (wrong_pages++ < MAX_REPORTS)
			report_wrong_page(r, i, want, wrong);
		sum += wrong;
	}
	return sum;
}

unsigned long region_wrong_bytes_all(const struct region *r)
{
	return region_wrong_bytes(r, 0, r->nr_pages);
}

/*
 * Count the pages that cannot be read, and mark them in @lost unless it is
 * NULL. Return: their number, or -1 if a readable page has wrong bytes.
 */
long region_unreadable(const struct region *r, bool *lost)
{
	unsigned long i;
	long nr = 0;
	char byte;
	int p[2];

	if (pipe(p))
		return -1;
	for (i = 0; nr >= 0 && i < r->nr_pages; i++) {
		/*
		 * In the kernel, a bad page is an error; here, reading it would
		 * raise a signal.
		 */
		bool readable = write(p[1], region_page(r, i), 1) == 1;

		if (lost)
			lost[i] = !readable;
		if (!readable && errno == EFAULT)
			nr++;
		else if (!readable || read(p[0], &byte, 1) != 1 || region_wrong_bytes(r, i, 1))
			nr = -1;
	}
	close(p[0]);
	close(p[1]);
	return nr;
}

/* Fill pages with new bytes that differ from the previous ones. */
void region_write(struct region *r, unsigned long first, unsigned long nr)
{
	unsigned long i;

	for (i = first; i < first + nr; i++) {
		r->version[i] = (r->version[i] & ~VERSION_ZERO) + 1;
		page_fill(region_page(r, i), r->fill, r->seed, i, r->version[i]);
	}
}

void region_write_all(struct region *r)
{
	region_write(r, 0, r->nr_pages);
}

/* Note that these pages were freed, so they must read as zeros now. */
void region_mark_zero(struct region *r, unsigned long first, unsigned long nr)
{
	unsigned long i;

	for (i = first; i < first + nr; i++)
		r->version[i] |= VERSION_ZERO;
}

static bool __region_map(struct region *r, unsigned long nr_pages, enum fill fill,
			 __u64 seed, int flags, int fd)
{
	size_t size = nr_pages * page_size;
	unsigned char *area, *mem;
	void *version;

	area = mmap(NULL, size + ALIGNMENT, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		return false;
	mem = (void *)(((uintptr_t)area + ALIGNMENT - 1) & ~(ALIGNMENT - 1));
	munmap(area, mem - area);
	munmap(mem + size, area + ALIGNMENT - mem);
	if (mmap(mem, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) == MAP_FAILED)
		return false;

	version = mmap(NULL, nr_pages * sizeof(*r->version), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (version == MAP_FAILED)
		return false;

	r->mem = mem;
	r->nr_pages = nr_pages;
	r->fill = fill;
	r->seed = seed;
	r->version = version;
	region_mark_zero(r, 0, nr_pages);
	return true;
}

/**
 * region_map() - map anonymous memory made of small pages
 * @r: the region to set up
 * @nr_pages: its size
 * @fill: what region_write() will fill it with
 * @seed: makes its pages differ from those of other regions
 *
 * The memory reads as zeros until region_write().
 */
bool region_map(struct region *r, unsigned long nr_pages, enum fill fill, __u64 seed)
{
	if (!__region_map(r, nr_pages, fill, seed, MAP_PRIVATE | MAP_ANONYMOUS, -1))
		return false;
	/* Fails without CONFIG_TRANSPARENT_HUGEPAGE, where it is not needed. */
	madvise(r->mem, nr_pages * page_size, MADV_NOHUGEPAGE);
	return true;
}

/* Like region_map(), for a file in shared memory. */
bool region_map_fd(struct region *r, unsigned long nr_pages, enum fill fill,
		   __u64 seed, int fd)
{
	return __region_map(r, nr_pages, fill, seed, MAP_SHARED, fd);
}

void region_unmap(struct region *r)
{
	munmap(r->mem, r->nr_pages * page_size);
	munmap(r->version, r->nr_pages * sizeof(*r->version));
}

/* === Swapping it out ===================================================== */

/* Return: how many of these pages of private memory are in swap. */
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

/* @left: counts the pages that are still in memory. */
static unsigned long try_page_out(void *mem, unsigned long nr,
				  unsigned long (*left)(void *mem, unsigned long nr))
{
	unsigned long rest = nr;
	cpu_set_t allowed;
	int i;

	sched_getaffinity(0, sizeof(allowed), &allowed);
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

/* Swap out shared memory. Page tables do not say what is in swap. */
unsigned long page_out_shared(void *mem, unsigned long nr)
{
	return try_page_out(mem, nr, pages_resident);
}

/* === Numbers and settings ================================================ */

bool file_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	size_t len = 0;
	ssize_t n = -1;

	if (fd < 0)
		return false;
	while (len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n <= 0)
			break;
		len += n;
	}
	close(fd);
	buf[len] = '\0';
	return n >= 0;
}

/* On failure, errno is that of write(). */
bool file_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);
	ssize_t n;
	int err;

	if (fd < 0)
		return false;
	n = write(fd, value, strlen(value));
	err = errno;
	close(fd);
	errno = err;
	return n == (ssize_t)strlen(value);
}

bool file_write_number(const char *path, long long value)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%lld", value);
	return file_write(path, buf);
}

/* Return: the number at the beginning of a file, -1 if there is none. */
long long file_number(const char *path)
{
	char buf[64];

	return file_read(path, buf, sizeof(buf)) ? atoll(buf) : -1;
}

/*
 * Return: the number behind @name at the beginning of a line, -1 if there is
 * none.
 */
static long long named_number(const char *text, const char *name)
{
	size_t len = strlen(name);
	const char *line;

	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && line[len] == ' ')
			return atoll(line + len);
	}
	return -1;
}

/* Return: the number in a line "NAME VALUE" of a file, -1 if there is none. */
long long file_field(const char *path, const char *name)
{
	char buf[16384];

	return file_read(path, buf, sizeof(buf)) ? named_number(buf, name) : -1;
}

/* Return: a field of ramzswap/stats, -1 if it does not exist. */
long long stat_value(const char *name)
{
	return file_field(RAMZSWAP_STATS, name);
}

/*
 * Return: a field of a ramzswap device's statistics, -1 if it does not exist.
 */
long long device_stat(const char *device, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), RAMZSWAP_DEBUG "%s/stats", device);
	return file_field(path, name);
}

/* Return: a file of zswap's own debugfs directory, -1 if it does not exist. */
long long zswap_value(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), ZSWAP_DEBUG "%s", name);
	return file_number(path);
}

/*
 * Pages in the cache: zswap's own number if the kernel has no ramzswap/stats.
 */
long long pages_stored(void)
{
	long long stored = stat_value("pages_stored");

	return stored >= 0 ? stored : zswap_value("stored_pages");
}

/* Pages that the pool occupies. */
long long pool_pages(void)
{
	long long used = stat_value("pages_used");

	return used >= 0 ? used : zswap_value("pool_total_size") / (long long)page_size;
}

/* @name is spelled as in /proc/meminfo, with the colon. */
long long meminfo_kb(const char *name)
{
	return file_field("/proc/meminfo", name);
}

/*
 * Return: whether the kernel allocates folios of this size and swaps them out
 * without splitting them.  That takes CONFIG_THP_SWAP, which user space cannot
 * see: 64-bit machines with pages of 4 KiB have it.
 */
bool swaps_out_folios_of(unsigned long kib)
{
	char path[128];

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/transparent_hugepage/hugepages-%lukB/enabled", kib);
	return sizeof(long) == 8 && page_size == 4096 && !access(path, F_OK);
}

/* A clock that nobody sets, for deadlines and durations. */
double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Page faults of this process that read from swap. */
long major_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_majflt;
}

/* A setting in the directory of a folio size. */
bool thp_size_set(unsigned long kib, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), THP_SIZE, kib, name);
	return file_write(path, value);
}

/*
 * Use only folios of this size, in both kinds of memory; 0 disables large ones.
 */
void thp_only_size(unsigned long kib)
{
	unsigned long size;

	for (size = 8; size <= 2048; size *= 2) {
		thp_size_set(size, "enabled", size == kib ? "always" : "never");
		thp_size_set(size, "shmem_enabled", size == kib ? "always" : "never");
	}
}

/* A setting that the tests change, with its previous value. */
struct setting {
	const char *path;
	char value[256];
};

static struct setting settings[] = {
	{ .path = ZSWAP_PARAM "compressor" },
	{ .path = ZSWAP_PARAM "cold_compressor" },
	{ .path = ZSWAP_PARAM "max_pool_percent" },
	{ .path = ZSWAP_PARAM "accept_threshold_percent" },
	{ .path = ZSWAP_PARAM "shrinker_enabled" },
	{ .path = ZSWAP_PARAM "enabled" },
	{ .path = THP_64K "enabled" },
	{ .path = THP_64K "shmem_enabled" },
	{ .path = THP_2M "enabled" },
	{ .path = THP_2M "shmem_enabled" },
	{ .path = THP "hugepages-16kB/enabled" },
	{ .path = THP "hugepages-16kB/shmem_enabled" },
	{ .path = THP "hugepages-32kB/enabled" },
	{ .path = THP "hugepages-32kB/shmem_enabled" },
	{ .path = THP "hugepages-128kB/enabled" },
	{ .path = THP "hugepages-128kB/shmem_enabled" },
	{ .path = THP "hugepages-256kB/enabled" },
	{ .path = THP "hugepages-256kB/shmem_enabled" },
	{ .path = THP "hugepages-512kB/enabled" },
	{ .path = THP "hugepages-512kB/shmem_enabled" },
	{ .path = THP "hugepages-1024kB/enabled" },
	{ .path = THP "hugepages-1024kB/shmem_enabled" },
	{ .path = "/proc/sys/vm/page-cluster" },
};

static struct swap_area areas_before[MAX_AREAS];
static int nr_areas_before;
static int own_zram = -1;

/* The value of a file is one word, or the word in brackets among several. */
static void setting_save(struct setting *s)
{
	char *from, *to;

	if (!file_read(s->path, s->value, sizeof(s->value)))
		s->value[0] = '\0';
	s->value[strcspn(s->value, "\n")] = '\0';
	from = strchr(s->value, '[');
	to = from ? strchr(from, ']') : NULL;
	if (to) {
		*to = '\0';
		memmove(s->value, from + 1, to - from);
	}
}

/* Runs when the program exits, whatever the results. */
static void test_end(void)
{
	struct swap_area now[MAX_AREAS];
	int nr_now = swap_areas(now, MAX_AREAS);
	unsigned int i;
	int k, m;

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (settings[i].value[0] && !file_write(settings[i].path, settings[i].value))
			ksft_print_msg("%s is no longer %s\n", settings[i].path,
				       settings[i].value);

	for (k = 0; k < nr_areas_before; k++) {
		for (m = 0; m < nr_now; m++)
			if (!strcmp(areas_before[k].path, now[m].path))
				break;
		if (m == nr_now && !swap_enable(areas_before[k].path, areas_before[k].prio))
			ksft_print_msg("%s could not be swapped on again\n",
				       areas_before[k].path);
	}

	if (own_zram >= 0)
		zram_remove(own_zram);
}

/*
 * Configure zswap for the tests: enough room for what they store, and no
 * automatic writeback. Return: whether zswap is enabled.
 */
bool zswap_defaults(void)
{
	bool enabled = file_write(ZSWAP_PARAM "enabled", "Y");

	file_write(ZSWAP_PARAM "max_pool_percent", "90");
	file_write(ZSWAP_PARAM "accept_threshold_percent", "100");
	file_write(ZSWAP_PARAM "shrinker_enabled", "N");
	file_write(ZSWAP_PARAM "cold_compressor", "\n");
	return enabled;
}

/**
 * test_begin() - prepare the machine for these tests
 *
 * Enables zswap, see zswap_defaults(), and finds or creates a swap area.
 * Restores everything when the program exits.
 *
 * Return: NULL, or the reason to skip the tests.
 */
const char *test_begin(void)
{
	unsigned int i;

	page_size = sysconf(_SC_PAGESIZE);
	if (geteuid())
		return "must be run as root";
	if (access(ZSWAP_PARAM "enabled", F_OK))
		return "this kernel has no zswap";
	if (access(ZSWAP_DEBUG, F_OK))
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		setting_save(&settings[i]);
	nr_areas_before = swap_areas(areas_before, MAX_AREAS);
	atexit(test_end);

	if (!zswap_defaults())
		return "zswap cannot be enabled";
	/* Readahead would load pages that a test did not ask for. */
	file_write("/proc/sys/vm/page-cluster", "0");
	if (access(ZSWAP_DEBUG "stored_pages", F_OK))
		return "zswap has no debugfs files";

	if (!nr_areas_before) {
		own_zram = zram_create(512 * MIB);
		if (own_zram < 0 || !zram_swapon(own_zram))
			return "no swap is active, and none could be made of zram";
	}
	return NULL;
}

/*
 * Lock everything that the process has mapped so far. Then only the test's
 * region changes the numbers.
 */
void test_stay_resident(void)
{
	if (mlockall(MCL_CURRENT))
		ksft_perror("mlockall");
}

/* === Page frames ========================================================= */

bool page_is(unsigned long pfn, int kpf)
{
	int fd = open("/proc/kpageflags", O_RDONLY);
	__u64 flags = 0;

	if (fd >= 0 && pread(fd, &flags, sizeof(flags), pfn * sizeof(flags)) != sizeof(flags))
		flags = 0;
	close(fd);
	return flags >> kpf & 1;
}

/*
 * Find all page frames whose flags in /proc/kpageflags are @want, under @mask.
 * Return: their number; the first @max of them are in @pfns.
 */
unsigned long find_pages(__u64 mask, __u64 want, unsigned long *pfns, unsigned long max)
{
	int fd = open("/proc/kpageflags", O_RDONLY);
	unsigned long pfn = 0, found = 0;
	__u64 flags[1024];
	ssize_t n;
	int i;

	if (fd < 0)
		return 0;
	while ((n = read(fd, flags, sizeof(flags))) > 0)
		for (i = 0; i < n / (ssize_t)sizeof(*flags); i++, pfn++)
			if ((flags[i] & mask) == want) {
				if (found < max)
					pfns[found] = pfn;
				found++;
			}
	close(fd);
	return found;
}

/* Find all pages of the pool except poisoned ones. Return: as find_pages(). */
unsigned long find_pool_pages(unsigned long *pfns, unsigned long max)
{
	const __u64 zbud = 1ULL << KPF_ZBUD;

	return find_pages(zbud | 1ULL << KPF_HWPOISON, zbud, pfns, max);
}

/* === Swap devices and cgroups ============================================ */

int swap_areas(struct swap_area *areas, int max)
{
	FILE *f = fopen("/proc/swaps", "r");
	char line[256];
	int nr = 0;

	if (!f)
		return 0;
	while (nr < max && fgets(line, sizeof(line), f)) {
		struct swap_area *a = &areas[nr];

		if (sscanf(line, "%63s %15s %lld %*d %d", a->path, a->type, &a->size,
			   &a->prio) == 4) {
			a->size *= 1024;
			nr++;
		}
	}
	fclose(f);
	return nr;
}

/* Used bytes of a swap area, as swapon --show prints; -1 if it is off. */
long long swap_used(const char *path)
{
	char buf[4096], *line;
	long long used;

	if (!file_read("/proc/swaps", buf, sizeof(buf)))
		return -1;
	line = strstr(buf, path);
	if (!line || sscanf(line, "%*s %*s %*s %lld", &used) != 1)
		return -1;
	return used * 1024;
}

bool swap_enable(const char *path, int prio)
{
	int flags = prio < 0 ? 0 : SWAP_FLAG_PREFER | (prio & SWAP_FLAG_PRIO_MASK);

	return !swapon(path, flags);
}

/* A rule for the block layer's error injection, see Documentation/block/. */
bool inject(const char *disk, const char *rule)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/kernel/debug/block/%s/error_injection", disk);
	return file_write(path, rule);
}

/* Write a swap header, as mkswap does. */
bool swap_format(const char *path)
{
	struct {
		__u32 version;
		__u32 last_page;
	} info = { .version = 1 };
	int fd = open(path, O_RDWR);
	char page[page_size];
	off_t size;
	bool done;

	if (fd < 0)
		return false;
	size = lseek(fd, 0, SEEK_END);
	info.last_page = size / page_size - 1;
	memset(page, 0, page_size);
	memcpy(page + 1024, &info, sizeof(info));
	memcpy(page + page_size - 10, "SWAPSPACE2", 10);
	done = size > 0 && pwrite(fd, page, page_size, 0) == (ssize_t)page_size && !fsync(fd);
	close(fd);
	return done;
}

static struct swap_area other_areas[MAX_AREAS];
static int nr_other_areas;

/*
 * Swap off all areas but the ramzswap device, until other_swap_on(). Return:
 * whether all of them are off.
 */
bool other_swap_off(void)
{
	int i;

	nr_other_areas = swap_areas(other_areas, MAX_AREAS);
	for (i = 0; i < nr_other_areas; i++)
		if (strcmp(other_areas[i].path, DEVICE_PATH) && swapoff(other_areas[i].path))
			return false;
	return true;
}

/*
 * Find a block device of at least @bytes among the areas that other_swap_off()
 * swapped off. The caller must not write its first page: other_swap_on() needs
 * the header. Return: whether there is one. Its path is in @path, which must be
 * at least as large as a swap_area's.
 */
bool other_swap_disk(char *path, size_t size, long long bytes)
{
	int i;

	for (i = 0; i < nr_other_areas; i++) {
		const struct swap_area *a = &other_areas[i];

		if (strcmp(a->path, DEVICE_PATH) && !strncmp(a->path, "/dev/", 5) &&
		    a->size >= bytes) {
			snprintf(path, size, "%s", a->path);
			return true;
		}
	}
	return false;
}

/* Swap on what other_swap_off() swapped off, if anything. */
void other_swap_on(void)
{
	int i;

	for (i = 0; i < nr_other_areas; i++)
		if (strcmp(other_areas[i].path, DEVICE_PATH))
			swap_enable(other_areas[i].path, other_areas[i].prio);
	nr_other_areas = 0;
}

static void zram_path(char *path, size_t size, int id, const char *file)
{
	snprintf(path, size, "/sys/block/zram%d/%s", id, file);
}

/* Return: the number of a new zram device for this test, -1 if that failed. */
int zram_create(unsigned long bytes)
{
	char path[64];
	int id;

	if (access("/sys/class/zram-control", F_OK) && system("modprobe -q zram 2>/dev/null"))
		return -1;
	id = file_number("/sys/class/zram-control/hot_add");
	if (id < 0)
		return -1;
	zram_path(path, sizeof(path), id, "disksize");
	if (!file_write_number(path, bytes)) {
		zram_remove(id);
		return -1;
	}
	return id;
}

void zram_remove(int id)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/zram%d", id);
	swapoff(path);
	zram_path(path, sizeof(path), id, "reset");
	file_write(path, "1");
	file_write_number("/sys/class/zram-control/hot_remove", id);
}

/* Swap on a zram device with a priority above all other swap areas. */
bool zram_swapon(int id)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/zram%d", id);
	return swap_format(path) && swap_enable(path, SWAP_FLAG_PRIO_MASK);
}

/* Field number @field of a zram statistics file, counted from 0. */
long long zram_value(int id, const char *file, int field)
{
	char path[64], buf[256];
	char *save, *word;

	zram_path(path, sizeof(path), id, file);
	if (!file_read(path, buf, sizeof(buf)))
		return -1;
	word = strtok_r(buf, "\n ", &save);
	while (word && field--)
		word = strtok_r(NULL, "\n ", &save);
	return word ? atoll(word) : -1;
}

/*
 * Find the mount point of the first cgroup hierarchy of @type with @option.  @dir
 * is an empty string if there is none.
 */
static void cgroup_mount(const char *type, const char *option, char *dir, size_t size)
{
	FILE *f = setmntent("/proc/mounts", "r");
	struct mntent *m;

	dir[0] = '\0';
	while (f && !dir[0] && (m = getmntent(f)))
		if (!strcmp(m->mnt_type, type) && (!option || hasmntopt(m, option)))
			snprintf(dir, size, "%s", m->mnt_dir);
	if (f)
		endmntent(f);
}

/*
 * Create a cgroup, on version 1 if that has the memory controller.
 * Return: whether a cgroup with a memory controller was created.
 */
bool memcg_create(const char *name, char *dir, size_t size)
{
	const char *limit = "memory.limit_in_bytes";
	char root[256], path[384];

	cgroup_mount("cgroup", "memory", root, sizeof(root));
	if (!root[0]) {
		limit = "memory.max";
		cgroup_mount("cgroup2", NULL, root, sizeof(root));
		if (!root[0]) {
			snprintf(root, sizeof(root), "/sys/fs/cgroup");
			if (mount("none", root, "cgroup2", 0, NULL))
				return false;
		}
		snprintf(path, sizeof(path), "%s/cgroup.subtree_control", root);
		file_write(path, "+memory");
	}

	snprintf(dir, size, "%s/%s", root, name);
	rmdir(dir);
	if (mkdir(dir, 0755))
		return false;
	snprintf(path, sizeof(path), "%s/%s", dir, limit);
	if (access(path, F_OK)) {
		rmdir(dir);
		return false;
	}
	return true;
}

bool memcg_enter(const char *dir)
{
	char path[384];

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	return file_write(path, "0");
}

/* A process that was just reaped may still be charged for a moment. */
void memcg_remove(const char *dir)
{
	int i;

	for (i = 0; i < 100 && rmdir(dir) && errno == EBUSY; i++)
		usleep(10000);
}

/* Return: a number of a cgroup's memory.stat, -1 if it does not exist. */
long long memcg_stat(const char *dir, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/memory.stat", dir);
	return file_field(path, name);
}

/* === The ramzswap device ================================================= */

/* Return: a field of the device's statistics, -1 if it does not exist. */
long long stat_of(const char *name)
{
	return device_stat(DEVICE, name);
}

/* Write one of the device's attributes. Return: 0, or the errno. */
int attr_write(const char *attr, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DEVICE_SYSFS "%s", attr);
	return file_write(path, value) ? 0 : errno;
}

/* Compare the state of the backing device. */
bool backing_is(const char *state)
{
	char value[32];

	return file_read(DEVICE_SYSFS "backing_state", value, sizeof(value)) &&
	       !strncmp(value, state, strlen(state));
}

/* Wait for that state, which may take some time. */
bool backing_gets(const char *state, int seconds)
{
	const double end = seconds_now() + seconds;

	while (!backing_is(state)) {
		if (seconds_now() > end)
			return false;
		usleep(20000);
	}
	return true;
}

/* Swap on the device, before all other swap areas. Sets errno on failure. */
bool device_on(void)
{
	return swap_enable(DEVICE_PATH, DEVICE_PRIO);
}

/* === A disk that can be stopped, with device mapper ====================== */

#define DM_NAME		"ramzswap-test"

static struct {
	struct dm_ioctl ioctl;
	struct dm_target_spec target;
	char parameters[128];
} dm;
static __u64 dm_sectors;
char dm_disk[80];

static bool dm_call(unsigned long command, __u32 flags)
{
	int fd = open("/dev/mapper/control", O_RDWR), ret;

	dm.ioctl.version[0] = DM_VERSION_MAJOR;
	dm.ioctl.version[1] = 0;
	dm.ioctl.version[2] = 0;
	dm.ioctl.data_size = sizeof(dm);
	dm.ioctl.data_start = sizeof(dm.ioctl);
	dm.ioctl.flags = flags;
	dm.ioctl.dev = 0;
	strcpy(dm.ioctl.name, DM_NAME);
	ret = fd < 0 ? -1 : ioctl(fd, command, &dm);
	close(fd);
	return !ret;
}

/* Map the whole disk to @target. The table takes effect on resume. */
static bool dm_load(const char *target, const char *parameters)
{
	memset(&dm, 0, sizeof(dm));
	dm.ioctl.target_count = 1;
	dm.target.length = dm_sectors;
	strcpy(dm.target.target_type, target);
	snprintf(dm.parameters, sizeof(dm.parameters), "%s", parameters);
	return dm_call(DM_TABLE_LOAD, 0);
}

/*
 * Create a mapping of all of @disk, or of its first @most bytes if that is not 0.
 * Stores its path in @path, of at least 64 bytes.
 */
bool dm_create(const char *disk, char *path, __u64 most)
{
	int fd = open(disk, O_RDONLY);
	__u64 bytes = 0;

	if (fd < 0)
		return false;
	ioctl(fd, BLKGETSIZE64, &bytes);
	close(fd);
	dm_sectors = (most && most < bytes ? most : bytes) / 512;
	snprintf(dm_disk, sizeof(dm_disk), "%s 0", disk);

	memset(&dm, 0, sizeof(dm));
	if (!dm_call(DM_DEV_CREATE, 0))
		return false;
	snprintf(path, 64, "/dev/dm-%llu",
		 (dm.ioctl.dev & 0xff) | (dm.ioctl.dev >> 12 & 0xfff00));
	return dm_load("linear", dm_disk) && dm_call(DM_DEV_SUSPEND, 0);
}

bool dm_stop(void)
{
	return dm_call(DM_DEV_SUSPEND, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG);
}

bool dm_go_on(void)
{
	return dm_call(DM_DEV_SUSPEND, 0);
}

bool dm_replace(const char *target, const char *parameters)
{
	return dm_load(target, parameters) &&
	       dm_call(DM_DEV_SUSPEND, DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG);
}

bool dm_remove(void)
{
	return dm_call(DM_DEV_REMOVE, 0);
}

/* === Processes =========================================================== */

/* Return: a child's exit status, or minus the signal that killed it. */
int child_status(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

bool gate_init(struct gate *g)
{
	return !pipe(g->fd);
}

void gate_open(struct gate *g)
{
	if (write(g->fd[1], "", 1) != 1)
		ksft_perror("gate_open");
}

void gate_wait(struct gate *g)
{
	char c;

	if (read(g->fd[0], &c, 1) != 1)
		ksft_perror("gate_wait");
}
