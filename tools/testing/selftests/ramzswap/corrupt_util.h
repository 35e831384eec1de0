/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Damages compressed data in memory, to test what happens to the processes that
 * need it.
 *
 * This goes through /dev/mem: it overwrites the first bytes of LZ4's output. A few
 * bytes further on, the output has bytes of the page itself, because they do not
 * compress. These tell where in the pool the data is.
 */
#ifndef CORRUPT_UTIL_H
#define CORRUPT_UTIL_H

#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

/* The tests assume pages of 4 KiB. */
#define NR_PAGES	256UL
#define NR_VICTIMS	16
#define FOLIO_PAGES	16UL
#define NR_FOLIOS	(NR_PAGES / FOLIO_PAGES)
#define MAX_POOL_PAGES	65536
#define CHUNK_SIZE	32

/* Compaction of the pool starts 100 ms after something was freed. */
#define SETTLE_US	300000

#define PAGEMAP_PFN	((1ULL << 55) - 1)
#define PAGEMAP_TYPE	31
#define PAGEMAP_OFFSET_SHIFT	5

static const char *skip_reason;
static int mem_fd = -1;

/* === Damage ============================================================== */

/* The bytes of a page to search for, and those that it begins with. */
#define MARK_OFFSET	64
#define MARK_SIZE	16
#define START_SIZE	8
/* LZ4 needs at most this many bytes for what is before the mark. */
#define MAX_DAMAGE	120
/* This many bytes of 0xff encode a run of literals longer than a page. */
#define MIN_DAMAGE	24

static const unsigned char damaged_bytes[MAX_DAMAGE] = { [0 ... MAX_DAMAGE - 1] = 0xff };

/**
 * struct victim - a page whose compressed data is damaged
 * @index: index of the page in its region
 * @len: number of bytes overwritten
 * @good: the original bytes
 */
struct victim {
	unsigned long index;
	unsigned int len;
	unsigned char good[MAX_DAMAGE];
};

static inline __u64 pagemap_entry(const void *addr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	off_t pos = (uintptr_t)addr / page_size * sizeof(__u64);
	__u64 entry = 0;

	if (fd >= 0 && pread(fd, &entry, sizeof(entry), pos) != sizeof(entry))
		entry = 0;
	close(fd);
	return entry;
}

static inline bool mem_read(unsigned long pfn, unsigned int offset, void *buf, size_t size)
{
	return pread(mem_fd, buf, size, (off_t)pfn * page_size + offset) == (ssize_t)size;
}

static inline bool mem_write(unsigned long pfn, unsigned int offset, const void *buf, size_t size)
{
	return pwrite(mem_fd, buf, size, (off_t)pfn * page_size + offset) == (ssize_t)size;
}

/* Test with a page of our own. Return: whether memory can be changed. */
static inline bool mem_open(void)
{
	unsigned char *page, byte = 0;
	unsigned long pfn;
	bool works;

	mem_fd = open("/dev/mem", O_RDWR);
	if (mem_fd < 0)
		return false;
	page = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || mlock(page, page_size))
		return false;
	__atomic_store_n(&page[100], 0x5a, __ATOMIC_RELAXED);
	pfn = pagemap_entry(page) & PAGEMAP_PFN;
	works = pfn && mem_read(pfn, 100, &byte, 1) && byte == 0x5a;
	byte = 0xa5;
	works = works && mem_write(pfn, 100, &byte, 1) &&
		__atomic_load_n(&page[100], __ATOMIC_RELAXED) == byte;
	munmap(page, page_size);
	return works;
}

/* The pages of the pool, as found by pool_look(). */
static unsigned long pool_pfns[MAX_POOL_PAGES];
static unsigned long nr_pool_pfns;

/* Wait until the pool is at rest, then list its pages. */
static inline void pool_look(void)
{
	usleep(SETTLE_US);
	nr_pool_pfns = find_pool_pages(pool_pfns, MAX_POOL_PAGES);
	if (nr_pool_pfns > MAX_POOL_PAGES)
		nr_pool_pfns = MAX_POOL_PAGES;
}

/*
 * A seed that no earlier test used: freed data stays in its frame until something
 * overwrites it, and this test must not take it for its own.
 */
static inline __u64 own_seed(void)
{
	return getpid();
}

/**
 * struct mark - where the mark of a page is
 * @i: the number of the page of the pool
 * @at: the offset in it
 */
struct mark {
	unsigned long i;
	unsigned int at;
};

/*
 * Find the mark of a page in the pool, from *@mark on. There may be several: when
 * zbud moves data, in its frame or to another, it leaves the old bytes behind.
 * Return: whether it exists. If so, *@mark is its place, and @buf the contents of
 * the frame.
 */
static inline bool find_mark(const struct region *r, unsigned long index,
			     struct mark *mark, unsigned char *buf)
{
	unsigned char page[page_size], *found;

	page_fill(page, r->fill, r->seed, index, r->version[index]);
	for (; mark->i < nr_pool_pfns; mark->i++, mark->at = 0) {
		if (!mem_read(pool_pfns[mark->i], 0, buf, page_size))
			continue;
		found = memmem(buf + mark->at, page_size - mark->at,
			       page + MARK_OFFSET, MARK_SIZE);
		if (found) {
			mark->at = found - buf;
			return true;
		}
	}
	return false;
}

/*
 * Find the start of the data that has its mark at @at. It is one byte before
 * the first bytes of the page, and behind one or two words of zbud's, which are
 * at a multiple of the chunk size. Return: 0 if the data does not look like
 * that.
 */
static inline unsigned int data_start(const struct region *r, const struct victim *v,
				      const unsigned char *buf, unsigned int at)
{
	unsigned int start = at < MAX_DAMAGE ? 0 : at - MAX_DAMAGE, words;
	unsigned char page[page_size], *found, *last = NULL;

	page_fill(page, r->fill, r->seed, v->index, r->version[v->index]);
	/* The last one: an older copy may begin before. */
	for (; (found = memmem(buf + start, at - start, page, START_SIZE));
	     start = found + 1 - buf)
		last = found;
	if (!last || last == buf)
		return 0;
	start = last - buf - 1;
	words = start % CHUNK_SIZE / sizeof(long);
	return start % sizeof(long) || words < 1 || words > 2 ? 0 : start;
}

/*
 * Damage the data of a page of the region, every copy of it. Nothing else is
 * touched as long as the pool does not change meanwhile.
 */
static inline bool damage(const struct region *r, struct victim *v)
{
	unsigned char buf[page_size];
	struct mark mark = {};
	bool damaged = false;
	unsigned int start;

	for (; find_mark(r, v->index, &mark, buf); mark.at++) {
		start = data_start(r, v, buf, mark.at);
		if (!start || mark.at - start < MIN_DAMAGE)
			continue;
		v->len = mark.at - start;
		memcpy(v->good, buf + start, v->len);
		if (!mem_write(pool_pfns[mark.i], start, damaged_bytes, v->len))
			return false;
		damaged = true;
	}
	return damaged;
}

/* Is the damaged data still stored? If @repair, restore the original bytes. */
static inline bool is_damaged(const struct region *r, const struct victim *v, bool repair)
{
	unsigned char buf[page_size];
	struct mark mark = {};
	bool damaged = false;
	unsigned int start;

	for (; find_mark(r, v->index, &mark, buf); mark.at++) {
		start = mark.at - v->len;
		if (mark.at < v->len || memcmp(buf + start, damaged_bytes, v->len))
			continue;
		if (repair && !mem_write(pool_pfns[mark.i], start, v->good, v->len))
			return false;
		damaged = true;
	}
	return damaged;
}

/* Damage @nr pages, one in every @step. */
static inline void damage_pages(struct __test_metadata *_metadata, const struct region *r,
				struct victim *victims, unsigned long nr,
				unsigned long first, unsigned long step)
{
	unsigned long i;

	pool_look();
	for (i = 0; i < nr; i++) {
		victims[i].index = first + i * step;
		ASSERT_TRUE(damage(r, &victims[i]));
	}
	for (i = 0; i < nr; i++)
		ASSERT_TRUE(is_damaged(r, &victims[i], false));
}

static inline void repair_pages(struct __test_metadata *_metadata, const struct region *r,
				const struct victim *victims, unsigned long nr)
{
	unsigned long i;

	pool_look();
	for (i = 0; i < nr; i++)
		ASSERT_TRUE(is_damaged(r, &victims[i], true));
}

/* === Reading ============================================================= */

enum outcome {
	RIGHT,
	SIGNAL,
	WRONG,
	NR_OUTCOMES,
};

static inline enum outcome read_page(const struct region *r, unsigned long index)
{
	unsigned char page[page_size];

	if (!page_copy(page, region_page(r, index)))
		return SIGNAL;
	return region_wrong_bytes(r, index, 1) ? WRONG : RIGHT;
}

/* Read pages, and count the outcomes. */
static inline void read_pages(const struct region *r, unsigned long first, unsigned long nr,
			      unsigned long counts[NR_OUTCOMES])
{
	unsigned long i;

	memset(counts, 0, NR_OUTCOMES * sizeof(*counts));
	for (i = first; i < first + nr; i++)
		counts[read_page(r, i)]++;
}

/* The victims cannot be read, and all other pages are right. */
static inline void check_pages(struct __test_metadata *_metadata, const struct region *r,
			       const struct victim *victims, unsigned long nr_victims)
{
	unsigned long i, k, wrong = 0, missed = 0;

	for (i = 0; i < r->nr_pages; i++) {
		enum outcome outcome = read_page(r, i);

		for (k = 0; k < nr_victims && victims[k].index != i; k++)
			;
		if (outcome == WRONG)
			wrong++;
		else if (outcome != (k < nr_victims ? SIGNAL : RIGHT))
			missed++;
	}
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, missed);
}

/* Does the swap cache have a page that could not be read? */
static inline bool failed_pages_cached(void)
{
	const __u64 cached = 1ULL << KPF_SWAPCACHE;

	return find_pages(cached | 1ULL << KPF_UPTODATE, cached, NULL, 0);
}

/*
 * Pages that could not be read stay in the swap cache until reclaim. That may
 * take some seconds, because reclaim uses statistics that are up to 2 seconds
 * old.
 */
static inline bool drop_swap_cache(const char *memcg)
{
	int i;

	for (i = 0; i < 100; i++) {
		memcg_set_number(memcg, "memory.reclaim", 4 * NR_PAGES * page_size);
		if (!failed_pages_cached())
			return true;
		usleep(100000);
	}
	return false;
}

/* === What the tests have in common ======================================= */

/* Pages of the test itself that may be swapped out with its region. */
#define OWN_PAGES	32
/* Pages of others may be spread over more pages of the pool than before. */
#define POOL_SLACK	4

/**
 * struct setup - state at the beginning of a test
 * @device: swap out to the ramzswap device, not to the previous swap areas
 * @backing: the device's backing device, or NULL
 * @large: use folios of 64 KiB
 * @memcg: the test's cgroup
 * @stored: pages stored before the test
 * @pool: pages of the pool before the test
 * @failed_reads: failed reads before the test
 * @decompress_fail: zswap's count of the same before the test
 */
struct setup {
	bool device, large;
	const char *backing;
	char memcg[256];
	long long stored, pool, failed_reads, decompress_fail;
};

static inline bool device_begin(const char *backing)
{
	swapoff(DEVICE_PATH);
	return !attr_write("reset", "1") && !attr_write("disksize", "256M") &&
	       (!backing || !attr_write("backing_dev", backing)) && device_on();
}

/* Begin a test. Return: why to skip it, or NULL. */
static inline const char *begin(struct setup *s)
{
	if (skip_reason)
		return skip_reason;
	if (!file_write(ZSWAP_PARAM "compressor", "lz4"))
		return "zswap has no LZ4";
	if (s->large && (!swaps_out_folios_of(64) || access(THP_64K "stats/zswpin", F_OK)))
		return "no folios of 64 KiB, or none that zswap swaps in";
	if (s->device && access(DEVICE_SYSFS, F_OK))
		return "this kernel has no ramzswap device";
	if (!memcg_enter_own(s->memcg, sizeof(s->memcg)))
		return "there is no cgroup2 with a memory controller";
	if (s->device && !device_begin(s->backing))
		return "the ramzswap device cannot be swapped on";
	thp_only_size(s->large ? 64 : 0);
	test_stay_resident();
	s->stored = pages_stored();
	s->pool = pool_pages();
	s->failed_reads = stat_value("failed_reads");
	s->decompress_fail = zswap_value("decompress_fail");
	return NULL;
}

static inline void end(struct __test_metadata *_metadata, struct setup *s)
{
	zswap_defaults();
	if (s->device) {
		EXPECT_EQ(0, swapoff(DEVICE_PATH));
		EXPECT_EQ(0, stat_of("pages_stored"));
		EXPECT_EQ(0, attr_write("reset", "1"));
	}
	EXPECT_TRUE(memcg_leave(s->memcg));
	other_swap_on();
}

/* Every test needs this: the whole region is in zswap. */
static inline bool swap_out(struct region *r, const struct setup *s, bool shared)
{
	unsigned long out;

	if (mlock(r->version, NR_PAGES * sizeof(*r->version)))
		return false;
	out = shared ? page_out_shared(r->mem, NR_PAGES) : region_page_out(r);
	return out == NR_PAGES && pages_stored() - s->stored >= (long long)NR_PAGES;
}

/* Check that nothing remains of the test's pages. */
static inline void check_all_freed(struct __test_metadata *_metadata, const struct setup *s)
{
	usleep(SETTLE_US);
	EXPECT_EQ(s->stored, pages_stored());
	EXPECT_GE(s->pool + POOL_SLACK, pool_pages());
}

#define FAILED_READS	(stat_value("failed_reads") - self->s.failed_reads)
#define DECOMPRESS_FAIL	(zswap_value("decompress_fail") - self->s.decompress_fail)

/* For main(): a reason to skip all tests, or NULL */
static inline void corrupt_begin(void)
{
	skip_reason = test_begin();
	if (!skip_reason && access(RAMZSWAP_STATS, F_OK))
		skip_reason = "the cache does not live in zbud";
	if (!skip_reason && access("/proc/kpageflags", F_OK))
		skip_reason = "no CONFIG_PROC_PAGE_MONITOR";
	if (!skip_reason && page_size != 4096)
		skip_reason = "only for pages of 4 KiB";
	if (!skip_reason && !mem_open())
		skip_reason = "memory cannot be written through /dev/mem";
}

#endif /* CORRUPT_UTIL_H */
