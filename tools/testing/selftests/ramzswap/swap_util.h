/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers that the ramzswap tests share. Each section is a file: util_region.c and
 * so on, where the functions are described.
 */
#ifndef SWAP_UTIL_H
#define SWAP_UTIL_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>
#include <sys/types.h>

#define MIB			(1024UL * 1024)

#define ZSWAP_PARAM		"/sys/module/zswap/parameters/"
#define ZSWAP_DEBUG		"/sys/kernel/debug/zswap/"
#define RAMZSWAP_DEBUG		"/sys/kernel/debug/ramzswap/"
#define RAMZSWAP_STATS		RAMZSWAP_DEBUG "stats"
#define COMPACT_MEMORY		"/proc/sys/vm/compact_memory"
#define THP			"/sys/kernel/mm/transparent_hugepage/"
#define THP_SIZE		THP "hugepages-%lukB/%s"
#define THP_64K			THP "hugepages-64kB/"
#define THP_2M			THP "hugepages-2048kB/"

/* Seconds per test; a slow machine that emulates a debug kernel needs them. */
#define TEST_SECONDS		600

/* === Memory whose every byte is known: util_region.c ====================== */

/*
 * Contents of a page. Except for FILL_ZERO, each page starts with a header, or
 * consists of a word, that contains its own index, so that data of another page
 * is recognised.
 */
enum fill {
	FILL_MIXED,	/* one of the kinds below, by index */
	FILL_TEXT,	/* JSON-like records: compresses to about a third */
	FILL_HALF,	/* half of the page is random */
	FILL_SPARSE,	/* a few nonzero bytes: a small object */
	FILL_WORD,	/* one repeated word: a tiny object */
	FILL_RANDOM,	/* incompressible: a PAGE_SIZE object */
	FILL_ZERO,	/* zeros: no object */
	FILL_SLOPE,	/* more random bytes in each page: slope_pages() sizes */
};

/**
 * struct region - pages whose contents follow from a seed
 * @mem: the pages, mapped readable and writable, 2 MiB aligned
 * @nr_pages: number of pages
 * @fill: what the pages contain
 * @seed: makes the pages of one region differ from those of another
 * @version: how often each page was written, or %VERSION_ZERO if it was freed
 *	since then and reads as zeros. Private to a process: after fork(), each
 *	process keeps track of the contents of its own memory.
 */
struct region {
	unsigned char *mem;
	unsigned long nr_pages;
	enum fill fill;
	__u64 seed;
	__u32 *version;
};

#define VERSION_ZERO		0x80000000U

extern unsigned long page_size;

__u64 random_next(__u64 *state);
void page_fill(void *page, enum fill fill, __u64 seed, unsigned long index,
	       __u32 version);

bool region_map(struct region *r, unsigned long nr_pages, enum fill fill, __u64 seed);
bool region_map_fd(struct region *r, unsigned long nr_pages, enum fill fill,
		   __u64 seed, int fd);
void region_unmap(struct region *r);
void region_write(struct region *r, unsigned long first, unsigned long nr);
void region_write_all(struct region *r);
void region_mark_zero(struct region *r, unsigned long first, unsigned long nr);
unsigned long region_wrong_bytes(const struct region *r, unsigned long first,
				 unsigned long nr);
unsigned long region_wrong_bytes_all(const struct region *r);
bool page_readable(const void *page);
long region_unreadable(const struct region *r, bool *lost);

static inline unsigned char *region_page(const struct region *r, unsigned long index)
{
	return r->mem + index * page_size;
}

/* One for each number of bytes in a page of 4 KiB.  Larger pages have fewer. */
static inline unsigned long slope_pages(void)
{
	return page_size <= 4096 ? page_size : 1024;
}

/* === Swapping memory out: util_pageout.c ================================== */

unsigned long pages_swapped(const void *mem, unsigned long nr);
unsigned long page_out(void *mem, unsigned long nr);
unsigned long page_out_shared(void *mem, unsigned long nr);
void drain_lru_batches(void);

static inline unsigned long region_page_out(struct region *r)
{
	return page_out(r->mem, r->nr_pages);
}

/* === Page faults that fail: util_fault.c ================================== */

bool page_copy(void *to, const void *from);

/* === Allocations that fail: util_alloc.c ================================== */

bool injector_set(const char *injector, const char *name, long long value);
bool injectors_prepare(int percent, bool all_tasks);
long long injector_failures(const char *injector);

/* === Files of the kernel, and the numbers in them: util_file.c ============ */

bool file_read(const char *path, char *buf, size_t size);
bool file_write(const char *path, const char *value);
bool file_write_number(const char *path, long long value);
long long file_number(const char *path);
long long file_field(const char *path, const char *name);
long long stat_value(const char *name);
long long falls_to(long long (*number)(const char *name), const char *name, long long most,
		   int seconds);
long long device_stat(const char *device, const char *name);
long long zswap_value(const char *name);
long long pages_stored(void);
long long pool_pages(void);
long long meminfo_kb(const char *name);

/* === Settings for the tests, and their previous values: util_setup.c ====== */

const char *test_begin(void);
void test_stay_resident(void);
bool zswap_defaults(void);
bool zswap_close(void);
bool swaps_out_folios_of(unsigned long kib);
bool thp_size_set(unsigned long kib, const char *name, const char *value);
void thp_only_size(unsigned long kib);

/* === Page frames: util_frame.c ============================================ */

/* Not in the uapi header, see include/linux/kernel-page-flags.h. */
#define KPF_ZBUD		43

#define SOFT_OFFLINE		"/sys/devices/system/memory/soft_offline_page"
#define UNPOISON_PFN		"/sys/kernel/debug/hwpoison/unpoison-pfn"

bool page_is(unsigned long pfn, int kpf);
unsigned long find_pages(__u64 mask, __u64 want, unsigned long *pfns,
			 unsigned long max);
unsigned long find_pool_pages(unsigned long *pfns, unsigned long max);

/* === Swap areas: util_swap.c ============================================== */

struct swap_area {
	char path[64];
	char type[16];
	long long size;		/* bytes */
	int prio;
};

int swap_areas(struct swap_area *areas, int max);
long long swap_used(const char *path);
bool swap_enable(const char *path, int prio);
bool swap_format(const char *path);
bool swap_is_full(void);
bool swap_has_room(void);

bool other_swap_off(void);
bool other_swap_disk(char *path, size_t size, long long bytes);
bool borrow_disk(char *path, size_t size, long long bytes);
void other_swap_on(void);

int zram_create(unsigned long bytes);
void zram_remove(int id);
bool zram_swapon(int id);
long long zram_value(int id, const char *file, int field);

/* === Memory cgroups: util_memcg.c ========================================= */

bool memcg_create(const char *name, char *dir, size_t size);
bool memcg_enter(const char *dir);
void memcg_remove(const char *dir);
bool memcg_enter_own(char *dir, size_t size);
bool memcg_leave(const char *dir);
bool memcg_set(const char *dir, const char *file, const char *value);
bool memcg_set_number(const char *dir, const char *file, long long value);
long long memcg_stat(const char *dir, const char *name);
long long memcg_number(const char *dir, const char *file);
long long memcg_soon(long long (*number)(const char *dir, const char *name),
		     const char *dir, const char *name, long long want);
void memcg_stats_settle(void);
bool memcg_reclaim(const char *dir, long long bytes);

/* === The ramzswap device: util_device.c =================================== */

#define DEVICE			"ramzswap0"
#define DEVICE_PATH		"/dev/" DEVICE
#define DEVICE_SYSFS		"/sys/block/" DEVICE "/"
/* Above all other swap areas */
#define DEVICE_PRIO		1000

const char *device_test_begin(void);
const char *backing_test_begin(void);
long long stat_of(const char *name);
long long stat_settled(const char *name);
long long stat_reaches(const char *name, long long least);
long long attr_number(const char *attr);
int attr_write(const char *attr, const char *value);
bool backing_is(const char *state);
bool backing_gets(const char *state, int seconds);
bool device_on(void);

/* === Disks that fail or stop: util_disk.c ================================= */

bool inject(const char *disk, const char *rule);

/* What dm_replace() takes for the disk that dm_create() was called with */
extern char dm_disk[80];

bool dm_create(const char *disk, char *path, __u64 most);
bool dm_stop(void);
bool dm_go_on(void);
bool dm_replace(const char *target, const char *parameters);
bool dm_remove(void);

/* === The kernel log: util_log.c =========================================== */

int log_open(void);
unsigned int log_look(int fd, const char * const *texts, int nr);
bool log_says(int fd, const char *text);
void console_quiet(void);
void console_restore(void);

/* === Processes and time: util_process.c =================================== */

double seconds_now(void);
bool soon(bool (*happened)(void));
long major_faults(void);
int child_status(pid_t pid);

/* A process waits at a gate until another process opens it. */
struct gate {
	int fd[2];
};

bool gate_init(struct gate *g);
void gate_open(struct gate *g);
void gate_wait(struct gate *g);

/* === Options of long runs: util_options.c ================================= */

/**
 * struct run_options - how long a program runs, and how much it does
 * @seconds: how long to run
 * @processes: number of processes that work
 * @mib: memory of each process, in MiB
 * @seed: determines what they do
 */
struct run_options {
	unsigned long seconds, processes, mib;
	__u64 seed;
};

/* For getopt() */
#define RUN_OPTIONS		"t:n:m:s:"
#define RUN_USAGE		"[-t seconds] [-n processes] [-m MiB] [-s seed]"

bool run_option(struct run_options *opts, int option);

#endif /* SWAP_UTIL_H */
