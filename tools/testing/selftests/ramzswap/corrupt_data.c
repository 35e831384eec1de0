// SPDX-License-Identifier: GPL-2.0
/*
 * Damage compressed data in memory: a process that needs such a page gets an
 * error and never wrong data, and all other pages are unaffected.
 *
 * The test damages the data through /dev/mem: it overwrites the first bytes of
 * LZ4's output. A few bytes further on, the output has bytes of the page
 * itself, because they do not compress. The test uses these to find the data in
 * the pool.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
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

/* The kernel logs at most 10 errors in 5 seconds. */
#define LOG_PAUSE_US	5500000

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

static __u64 pagemap_entry(const void *addr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	off_t pos = (uintptr_t)addr / page_size * sizeof(__u64);
	__u64 entry = 0;

	if (fd >= 0 && pread(fd, &entry, sizeof(entry), pos) != sizeof(entry))
		entry = 0;
	close(fd);
	return entry;
}

static bool mem_read(unsigned long pfn, unsigned int offset, void *buf, size_t size)
{
	return pread(mem_fd, buf, size, (off_t)pfn * page_size + offset) == (ssize_t)size;
}

static bool mem_write(unsigned long pfn, unsigned int offset, const void *buf, size_t size)
{
	return pwrite(mem_fd, buf, size, (off_t)pfn * page_size + offset) == (ssize_t)size;
}

/* Test with a page of our own. Return: whether memory can be changed. */
static bool mem_open(void)
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
static void pool_look(void)
{
	usleep(SETTLE_US);
	nr_pool_pfns = find_pool_pages(pool_pfns, MAX_POOL_PAGES);
	if (nr_pool_pfns > MAX_POOL_PAGES)
		nr_pool_pfns = MAX_POOL_PAGES;
}

/*
 * Find the mark of a page in the pool. Return: whether it exists. If so, @pfn
 * and @at are its location, and @buf has the contents of the pool page.
 */
static bool find_mark(const struct region *r, unsigned long index,
		      unsigned long *pfn, unsigned int *at, unsigned char *buf)
{
	unsigned char page[page_size], *found;
	unsigned long i;

	page_fill(page, r->fill, r->seed, index, r->version[index]);
	for (i = 0; i < nr_pool_pfns; i++) {
		if (!mem_read(pool_pfns[i], 0, buf, page_size))
			continue;
		found = memmem(buf, page_size, page + MARK_OFFSET, MARK_SIZE);
		if (found) {
			*pfn = pool_pfns[i];
			*at = found - buf;
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
static unsigned int data_start(const struct region *r, const struct victim *v,
			       const unsigned char *buf, unsigned int at)
{
	unsigned int start = at < MAX_DAMAGE ? 0 : at - MAX_DAMAGE, words;
	unsigned char page[page_size], *found;

	page_fill(page, r->fill, r->seed, v->index, r->version[v->index]);
	found = memmem(buf + start, at - start, page, START_SIZE);
	if (!found || found == buf)
		return 0;
	start = found - buf - 1;
	words = start % CHUNK_SIZE / sizeof(long);
	return start % sizeof(long) || words < 1 || words > 2 ? 0 : start;
}

/*
 * Damage the data of a page of the region. Nothing else is touched as long as
 * the pool does not change meanwhile.
 */
static bool damage(const struct region *r, struct victim *v)
{
	unsigned char buf[page_size], ff[MAX_DAMAGE];
	unsigned long pfn;
	unsigned int at, start;

	if (!find_mark(r, v->index, &pfn, &at, buf))
		return false;
	start = data_start(r, v, buf, at);
	if (!start || at - start < MIN_DAMAGE)
		return false;
	v->len = at - start;
	memcpy(v->good, buf + start, v->len);
	memset(ff, 0xff, v->len);
	return mem_write(pfn, start, ff, v->len);
}

/* Is the damaged data still stored? If @repair, restore the original bytes. */
static bool is_damaged(const struct region *r, const struct victim *v, bool repair)
{
	unsigned char buf[page_size];
	unsigned long pfn;
	unsigned int at, i;

	if (!find_mark(r, v->index, &pfn, &at, buf) || at < v->len)
		return false;
	for (i = at - v->len; i < at; i++)
		if (buf[i] != 0xff)
			return false;
	return !repair || mem_write(pfn, at - v->len, v->good, v->len);
}

/* Damage @nr pages, one in every @step. */
static void damage_pages(struct __test_metadata *_metadata, const struct region *r,
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

static void repair_pages(struct __test_metadata *_metadata, const struct region *r,
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

static __thread sigjmp_buf sigbus_env;
static __thread bool sigbus_expected;

static void on_sigbus(int sig)
{
	if (__atomic_exchange_n(&sigbus_expected, false, __ATOMIC_RELAXED))
		siglongjmp(sigbus_env, 1);
	/* Unexpected: let the signal kill the process. */
	signal(sig, SIG_DFL);
}

static enum outcome access_page(const struct region *r, unsigned long index, bool write)
{
	enum outcome outcome;

	if (sigsetjmp(sigbus_env, 1))
		return SIGNAL;
	__atomic_store_n(&sigbus_expected, true, __ATOMIC_RELAXED);
	if (write)	/* write the same value */
		__atomic_fetch_or(region_page(r, index), 0, __ATOMIC_RELAXED);
	outcome = region_wrong_bytes(r, index, 1) ? WRONG : RIGHT;
	__atomic_store_n(&sigbus_expected, false, __ATOMIC_RELAXED);
	return outcome;
}

static enum outcome read_page(const struct region *r, unsigned long index)
{
	return access_page(r, index, false);
}

/* Read pages, and count the outcomes. */
static void read_pages(const struct region *r, unsigned long first, unsigned long nr,
		       unsigned long counts[NR_OUTCOMES])
{
	unsigned long i;

	memset(counts, 0, NR_OUTCOMES * sizeof(*counts));
	for (i = first; i < first + nr; i++)
		counts[read_page(r, i)]++;
}

/* The victims cannot be read, and all other pages are right. */
static void check_pages(struct __test_metadata *_metadata, const struct region *r,
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

/* Return: the errno of a system call that reads a page, or 0. */
static int read_error(const void *page)
{
	int fds[2], err = 0;

	if (pipe(fds))
		return -1;
	if (write(fds[1], page, page_size) != (ssize_t)page_size)
		err = errno;
	close(fds[0]);
	close(fds[1]);
	return err;
}

/* Does the swap cache have a page that could not be read? */
static bool failed_pages_cached(void)
{
	const __u64 cached = 1ULL << KPF_SWAPCACHE;

	return find_pages(cached | 1ULL << KPF_UPTODATE, cached, NULL, 0);
}

/*
 * Pages that could not be read stay in the swap cache until reclaim. That may
 * take some seconds, because reclaim uses statistics that are up to 2 seconds
 * old.
 */
static bool drop_swap_cache(const char *memcg)
{
	char path[300];
	int i;

	snprintf(path, sizeof(path), "%s/memory.reclaim", memcg);
	for (i = 0; i < 100; i++) {
		file_write_number(path, 4 * NR_PAGES * page_size);
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

static bool device_begin(const char *backing)
{
	swapoff(DEVICE_PATH);
	return !attr_write("reset", "1") && !attr_write("disksize", "256M") &&
	       (!backing || !attr_write("backing_dev", backing)) && device_on();
}

/* Begin a test. Return: why to skip it, or NULL. */
static const char *begin(struct setup *s)
{
	struct sigaction sa = { .sa_handler = on_sigbus };

	if (skip_reason)
		return skip_reason;
	if (!file_write(ZSWAP_PARAM "compressor", "lz4"))
		return "zswap has no LZ4";
	if (s->large && (!swaps_out_folios_of(64) || access(THP_64K "stats/zswpin", F_OK)))
		return "no folios of 64 KiB, or none that zswap swaps in";
	if (s->device && access(DEVICE_SYSFS, F_OK))
		return "this kernel has no ramzswap device";
	if (!memcg_create("ramzswap-test", s->memcg, sizeof(s->memcg)) ||
	    !memcg_enter(s->memcg))
		return "there is no cgroup2 with a memory controller";
	if (s->device && !device_begin(s->backing))
		return "the ramzswap device cannot be swapped on";
	thp_only_size(s->large ? 64 : 0);
	test_stay_resident();
	sigaction(SIGBUS, &sa, NULL);
	s->stored = pages_stored();
	s->pool = pool_pages();
	s->failed_reads = stat_value("failed_reads");
	s->decompress_fail = zswap_value("decompress_fail");
	return NULL;
}

static void end(struct __test_metadata *_metadata, struct setup *s)
{
	zswap_defaults();
	if (s->device) {
		EXPECT_EQ(0, swapoff(DEVICE_PATH));
		EXPECT_EQ(0, stat_of("pages_stored"));
		EXPECT_EQ(0, attr_write("reset", "1"));
	}
	*strrchr(s->memcg, '/') = '\0';
	EXPECT_TRUE(memcg_enter(s->memcg));
	strcat(s->memcg, "/ramzswap-test");
	memcg_remove(s->memcg);
	other_swap_on();
}

/* Every test needs this: the whole region is in zswap. */
static bool swap_out(struct region *r, const struct setup *s, bool shared)
{
	unsigned long out;

	if (mlock(r->version, NR_PAGES * sizeof(*r->version)))
		return false;
	out = shared ? page_out_shared(r->mem, NR_PAGES) : region_page_out(r);
	return out == NR_PAGES && pages_stored() - s->stored >= (long long)NR_PAGES;
}

/* Check that nothing remains of the test's pages. */
static void check_all_freed(struct __test_metadata *_metadata, const struct setup *s)
{
	usleep(SETTLE_US);
	EXPECT_EQ(s->stored, pages_stored());
	EXPECT_GE(s->pool + POOL_SLACK, pool_pages());
}

#define FAILED_READS	(stat_value("failed_reads") - self->s.failed_reads)
#define DECOMPRESS_FAIL	(zswap_value("decompress_fail") - self->s.decompress_fail)

/* === Single pages ======================================================== */

FIXTURE(single) {
	struct region r;
	struct setup s;
	struct victim victims[NR_VICTIMS];
};

FIXTURE_VARIANT(single) {
	bool device;
};

FIXTURE_VARIANT_ADD(single, on_a_disk) { .device = false };
FIXTURE_VARIANT_ADD(single, on_ramzswap) { .device = true };

FIXTURE_SETUP(single)
{
	const char *reason;

	self->s.device = variant->device;
	reason = begin(&self->s);
	if (reason)
		SKIP(return, "%s", reason);
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_HALF, 61));
	region_write_all(&self->r);
	ASSERT_TRUE(swap_out(&self->r, &self->s, false));
	damage_pages(_metadata, &self->r, self->victims, NR_VICTIMS, 5, 13);
}

FIXTURE_TEARDOWN(single)
{
	end(_metadata, &self->s);
}

TEST_F_TIMEOUT(single, gives_a_signal_and_nothing_else, TEST_SECONDS)
{
	const unsigned char *page = region_page(&self->r, self->victims[3].index);
	struct region more;
	pid_t pid;
	int i;

	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	EXPECT_EQ(NR_VICTIMS, FAILED_READS);
	EXPECT_EQ(NR_VICTIMS, DECOMPRESS_FAIL);
	if (variant->device)
		EXPECT_EQ(NR_VICTIMS, stat_of("failed_reads"));
	EXPECT_EQ(NR_VICTIMS, pages_swapped(self->r.mem, NR_PAGES));

	/* The second attempt fails as well, with any kind of access. */
	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	for (i = 0; i < NR_VICTIMS; i++)
		EXPECT_EQ(SIGNAL, access_page(&self->r, self->victims[i].index, true));
	EXPECT_EQ(EFAULT, read_error(page));
	EXPECT_EQ(0, read_error(page + page_size));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		_exit(*page);
	}
	EXPECT_EQ(-SIGBUS, child_status(pid));

	/* Other pages come and go beside the damaged ones. */
	ASSERT_TRUE(region_map(&more, NR_PAGES, FILL_MIXED, 62));
	region_write_all(&more);
	EXPECT_EQ(NR_PAGES, region_page_out(&more));
	EXPECT_EQ(0, region_wrong_bytes_all(&more));
	for (i = 0; i < NR_VICTIMS; i++)
		region_write(&self->r, self->victims[i].index + 1, 12);
	EXPECT_EQ(NR_PAGES, region_page_out(&self->r));
	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	region_unmap(&more);
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

/* Recompression must skip damaged data, and must not report it. */
TEST_F_TIMEOUT(single, is_left_to_its_reader_by_who_compresses_it_again, TEST_SECONDS)
{
	if (!variant->device || attr_write("squeeze", "0") != EOPNOTSUPP)
		SKIP(return, "not for a disk, or nothing is compressed again");
	if (!file_write(ZSWAP_PARAM "cold_compressor", "zstd"))
		SKIP(return, "there is no second compressor");
	ASSERT_EQ(0, attr_write("squeeze", "1T"));
	EXPECT_EQ((long long)(NR_PAGES - NR_VICTIMS),
		  stat_of("num_hopeless") + stat_of("num_squeezed"));
	EXPECT_EQ(0, DECOMPRESS_FAIL);
	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	EXPECT_EQ(NR_VICTIMS, FAILED_READS);
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

/*
 * Count how often the log, from the position of @fd on, names the slot of a
 * page.
 */
static unsigned int times_in_log(int fd, __u64 entry)
{
	char want[128], record[8192];
	unsigned int times = 0;
	ssize_t n;

	snprintf(want, sizeof(want), "Decompression error from zswap (%llu:%llu ",
		 entry & PAGEMAP_TYPE, (entry & PAGEMAP_PFN) >> PAGEMAP_OFFSET_SHIFT);
	while ((n = read(fd, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		record[n > 0 ? n : 0] = '\0';
		times += !!strstr(record, want);
	}
	return times;
}

TEST_F_TIMEOUT(single, is_told_of_in_the_log, TEST_SECONDS)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK), i;
	unsigned long index;
	__u64 entry;

	if (fd < 0)
		SKIP(return, "no /dev/kmsg");
	usleep(LOG_PAUSE_US);
	for (i = 0; i < NR_VICTIMS / 4; i++) {
		index = self->victims[i].index;
		entry = pagemap_entry(region_page(&self->r, index));
		ASSERT_LE(0, lseek(fd, 0, SEEK_END));
		EXPECT_EQ(RIGHT, read_page(&self->r, index - 1));
		EXPECT_EQ(SIGNAL, read_page(&self->r, index));
		EXPECT_EQ(1, times_in_log(fd, entry));
	}
	close(fd);
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

/*
 * The data stays stored, and is read again once the swap cache drops its folio.
 */
TEST_F_TIMEOUT(single, stays_stored, TEST_SECONDS)
{
	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	EXPECT_EQ(self->s.stored + NR_VICTIMS, pages_stored());
	ASSERT_TRUE(drop_swap_cache(self->s.memcg));
	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	EXPECT_EQ(2 * NR_VICTIMS, FAILED_READS);
	ASSERT_TRUE(drop_swap_cache(self->s.memcg));
	repair_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(2 * NR_VICTIMS, FAILED_READS);
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

TEST_F_TIMEOUT(single, can_be_freed_and_written_anew, TEST_SECONDS)
{
	unsigned int i;

	/*
	 * Half of the victims have been read before, and are in the swap cache.
	 */
	for (i = 0; i < NR_VICTIMS; i += 2)
		EXPECT_EQ(SIGNAL, read_page(&self->r, self->victims[i].index));
	for (i = 0; i < NR_VICTIMS; i++) {
		unsigned long index = self->victims[i].index;

		ASSERT_EQ(0, madvise(region_page(&self->r, index), page_size, MADV_DONTNEED));
		region_mark_zero(&self->r, index, 1);
	}
	EXPECT_EQ(self->s.stored + (long long)NR_PAGES - NR_VICTIMS, pages_stored());
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(NR_VICTIMS / 2, FAILED_READS);
	region_write_all(&self->r);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(NR_VICTIMS / 2, FAILED_READS);
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

TEST_F_TIMEOUT(single, does_not_keep_the_device_from_being_swapped_off, TEST_SECONDS)
{
	EXPECT_EQ(SIGNAL, read_page(&self->r, self->victims[0].index));
	ASSERT_TRUE(variant->device ? !swapoff(DEVICE_PATH) : other_swap_off());
	EXPECT_EQ(NR_VICTIMS, FAILED_READS);
	/*
	 * Nothing is stored any more, but the pages are still known to be lost.
	 */
	EXPECT_EQ(self->s.stored, pages_stored());
	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	if (!variant->device)
		other_swap_on();
	else if (!device_on())
		SKIP(return, "the device cannot be swapped on again");
	region_page_out(&self->r);
	EXPECT_EQ(self->s.stored + (long long)NR_PAGES - NR_VICTIMS, pages_stored());
	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

/* === Large folios ======================================================== */

FIXTURE(large) {
	struct region r;
	struct setup s;
	struct victim victims[NR_VICTIMS];
	long long folios;
};

FIXTURE_SETUP(large)
{
	const char *reason;

	self->s.large = true;
	reason = begin(&self->s);
	if (reason)
		SKIP(return, "%s", reason);
	self->folios = file_number(THP_64K "stats/anon_fault_alloc");
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_HALF, 63));
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	region_write_all(&self->r);
	self->folios = file_number(THP_64K "stats/anon_fault_alloc") - self->folios;
	if (self->folios < (long long)NR_FOLIOS)
		SKIP(return, "only %lld large folios could be had", self->folios);
	ASSERT_TRUE(swap_out(&self->r, &self->s, false));
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_SEQUENTIAL));
	self->folios = file_number(THP_64K "stats/zswpin");
}

FIXTURE_TEARDOWN(large)
{
	end(_metadata, &self->s);
}

#define FOLIOS_IN	(file_number(THP_64K "stats/zswpin") - self->folios)

TEST_F_TIMEOUT(large, a_folio_that_is_damaged_gives_a_signal, TEST_SECONDS)
{
	const unsigned long first = 3 * FOLIO_PAGES;

	damage_pages(_metadata, &self->r, self->victims, FOLIO_PAGES, first, 1);
	EXPECT_EQ(SIGNAL, read_page(&self->r, first + 7));
	EXPECT_EQ(1, FAILED_READS);
	EXPECT_EQ(0, FOLIOS_IN);
	check_pages(_metadata, &self->r, self->victims, FOLIO_PAGES);
	EXPECT_EQ(FOLIO_PAGES, pages_swapped(self->r.mem, NR_PAGES));
	/* The other folios were swapped in whole. */
	EXPECT_EQ((long long)NR_FOLIOS - 1, FOLIOS_IN);
	EXPECT_EQ(self->s.stored + (long long)FOLIO_PAGES, pages_stored());

	ASSERT_TRUE(drop_swap_cache(self->s.memcg));
	repair_pages(_metadata, &self->r, self->victims, FOLIO_PAGES);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

/*
 * Damage one page of a folio and access one: the others are then read one by
 * one.
 */
static void damage_one_in_folio(struct __test_metadata *_metadata, struct region *r,
				struct victim *victim, const struct setup *s,
				unsigned long folio, unsigned long nth,
				unsigned long asked)
{
	const unsigned long first = folio * FOLIO_PAGES;
	unsigned long counts[NR_OUTCOMES];

	damage_pages(_metadata, r, victim, 1, first + nth, 1);
	EXPECT_EQ(asked == nth ? SIGNAL : RIGHT, read_page(r, first + asked));
	EXPECT_EQ(SIGNAL, read_page(r, first + nth));
	read_pages(r, first, FOLIO_PAGES, counts);
	EXPECT_EQ(0, counts[WRONG]);
	EXPECT_EQ(1, counts[SIGNAL]);
	EXPECT_EQ(1, pages_swapped(region_page(r, first), FOLIO_PAGES));

	/* A retry has the same result. */
	ASSERT_TRUE(drop_swap_cache(s->memcg));
	ASSERT_EQ(0, madvise(r->mem, NR_PAGES * page_size, MADV_RANDOM));
	read_pages(r, first, FOLIO_PAGES, counts);
	EXPECT_EQ(0, counts[WRONG]);
	EXPECT_EQ(1, counts[SIGNAL]);
	EXPECT_EQ(SIGNAL, read_page(r, first + nth));
	ASSERT_EQ(0, madvise(r->mem, NR_PAGES * page_size, MADV_SEQUENTIAL));
}

TEST_F_TIMEOUT(large, a_page_that_is_damaged_spares_the_others, TEST_SECONDS)
{
	struct victim *v = self->victims;

	damage_one_in_folio(_metadata, &self->r, &v[0], &self->s, 2, 0, 0);
	damage_one_in_folio(_metadata, &self->r, &v[1], &self->s, 4, 0, 9);
	damage_one_in_folio(_metadata, &self->r, &v[2], &self->s, 5, 6, 2);
	damage_one_in_folio(_metadata, &self->r, &v[3], &self->s, 9, FOLIO_PAGES - 1, 0);

	ASSERT_TRUE(drop_swap_cache(self->s.memcg));
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_RANDOM));
	check_pages(_metadata, &self->r, v, 4);
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

TEST_F_TIMEOUT(large, a_page_read_by_itself_spares_the_others, TEST_SECONDS)
{
	damage_pages(_metadata, &self->r, self->victims, NR_FOLIOS, 3, FOLIO_PAGES);
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_RANDOM));
	check_pages(_metadata, &self->r, self->victims, NR_FOLIOS);
	EXPECT_EQ((long long)NR_FOLIOS, FAILED_READS);
	EXPECT_EQ(0, FOLIOS_IN);
	/*
	 * The result is the same after the other pages were swapped out and in.
	 */
	EXPECT_EQ(NR_PAGES, region_page_out(&self->r));
	check_pages(_metadata, &self->r, self->victims, NR_FOLIOS);
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

/* swapoff finds a folio in the swap cache that could not be read. */
TEST_F_TIMEOUT(large, does_not_keep_the_device_from_being_swapped_off, TEST_SECONDS)
{
	const unsigned long first = 6 * FOLIO_PAGES;
	unsigned long counts[NR_OUTCOMES];

	damage_pages(_metadata, &self->r, self->victims, 1, first + 9, 1);
	EXPECT_EQ(SIGNAL, read_page(&self->r, first + 9));
	ASSERT_TRUE(other_swap_off());
	EXPECT_EQ(self->s.stored, pages_stored());
	other_swap_on();
	EXPECT_EQ(SIGNAL, read_page(&self->r, first + 9));
	read_pages(&self->r, first, FOLIO_PAGES, counts);
	EXPECT_EQ(0, counts[WRONG]);
	EXPECT_EQ(1, counts[SIGNAL]);
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, first));
	EXPECT_EQ(0, region_wrong_bytes(&self->r, first + FOLIO_PAGES,
					NR_PAGES - first - FOLIO_PAGES));
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

/* === Races =============================================================== */

struct reader {
	const struct region *r;
	const char *memcg;
	unsigned long nr_victims;
	unsigned long counts[NR_OUTCOMES];
};

static bool stop;

static void *read_all_the_time(void *data)
{
	struct reader *reader = data;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		unsigned long counts[NR_OUTCOMES], i;

		read_pages(reader->r, 0, NR_PAGES, counts);
		for (i = 0; i < NR_OUTCOMES; i++)
			reader->counts[i] += counts[i];
		/* A good page must not cause a signal either. */
		if (counts[SIGNAL] > reader->nr_victims)
			reader->counts[WRONG] += counts[SIGNAL] - reader->nr_victims;
	}
	return NULL;
}

static void *reclaim_all_the_time(void *data)
{
	const struct reader *reader = data;
	char path[300];

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		madvise(reader->r->mem, NR_PAGES * page_size, MADV_PAGEOUT);
		snprintf(path, sizeof(path), "%s/memory.reclaim", reader->memcg);
		file_write_number(path, NR_PAGES * page_size);
	}
	return NULL;
}

TEST_F_TIMEOUT(large, is_never_anything_else_while_others_reclaim, TEST_SECONDS)
{
	struct reader readers[3] = {};
	pthread_t threads[3];
	int i;

	damage_pages(_metadata, &self->r, self->victims, 4, 3, 2 * FOLIO_PAGES);
	stop = false;
	for (i = 0; i < 3; i++) {
		readers[i].r = &self->r;
		readers[i].memcg = self->s.memcg;
		readers[i].nr_victims = 4;
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, i ? read_all_the_time :
					    reclaim_all_the_time, &readers[i]));
	}
	sleep(5);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	for (i = 1; i < 3; i++) {
		EXPECT_EQ(0, readers[i].counts[WRONG]);
		EXPECT_LT(0, readers[i].counts[SIGNAL]);
		EXPECT_LT(0, readers[i].counts[RIGHT]);
	}
	TH_LOG("%lu reads were right, %lu gave a signal",
	       readers[1].counts[RIGHT] + readers[2].counts[RIGHT],
	       readers[1].counts[SIGNAL] + readers[2].counts[SIGNAL]);

	ASSERT_TRUE(drop_swap_cache(self->s.memcg));
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_RANDOM));
	check_pages(_metadata, &self->r, self->victims, 4);
	region_unmap(&self->r);
	EXPECT_GE(self->s.stored + OWN_PAGES, pages_stored());
}

/* === Writeback =========================================================== */

FIXTURE(writeback) {
	struct region r;
	struct setup s;
	struct victim victims[NR_VICTIMS];
};

FIXTURE_VARIANT(writeback) {
	bool device;
};

FIXTURE_VARIANT_ADD(writeback, on_a_disk) { .device = false };
FIXTURE_VARIANT_ADD(writeback, on_ramzswap) { .device = true };

FIXTURE_SETUP(writeback)
{
	const char *reason;
	char path[64];

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	if (variant->device && access(DEVICE_SYSFS "backing_dev", F_OK))
		SKIP(return, "this kernel has no ramzswap device with a backing device");
	if (variant->device &&
	    (!other_swap_off() ||
	     !other_swap_disk(path, sizeof(path), 4 * NR_PAGES * page_size)))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	self->s.device = variant->device;
	self->s.backing = variant->device ? path : NULL;
	reason = begin(&self->s);
	if (reason)
		SKIP(other_swap_on(); return, "%s", reason);
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_HALF, 64));
	region_write_all(&self->r);
	ASSERT_TRUE(swap_out(&self->r, &self->s, false));
	damage_pages(_metadata, &self->r, self->victims, NR_VICTIMS, 5, 13);
}

FIXTURE_TEARDOWN(writeback)
{
	end(_metadata, &self->s);
}

/*
 * To write a page to a swap disk, zswap decompresses it: a damaged page stays.
 * Compressed data goes to the backing device of ramzswap as it is.
 */
TEST_F_TIMEOUT(writeback, of_damaged_data_fails_or_its_reader_does, TEST_SECONDS)
{
	const long long stay = variant->device ? 0 : NR_VICTIMS;
	long long written = zswap_value("written_back_pages");
	struct region more;
	int i, k;

	/* zswap notices that the pool is too large when it is to store more. */
	ASSERT_TRUE(region_map(&more, NR_PAGES, FILL_HALF, 65));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "0"));
	for (i = 0; i < (int)NR_PAGES; i++) {
		if (zswap_value("written_back_pages") - written >= (long long)NR_PAGES - stay &&
		    stay <= DECOMPRESS_FAIL &&
		    (!variant->device || !stat_of("pages_stored")))
			break;
		region_write(&more, i, 1);
		page_out(region_page(&more, i), 1);
		usleep(50000);
	}
	EXPECT_GT((int)NR_PAGES, i);
	pool_look();
	for (k = 0; k < NR_VICTIMS && stay; k++)
		EXPECT_TRUE(is_damaged(&self->r, &self->victims[k], false));
	if (variant->device) {
		/* Writes in flight are not counted yet. */
		for (k = 0; k < 100 && stat_of("bdev_num_writes") < NR_PAGES; k++)
			usleep(50000);
		/*
		 * The pages that triggered this may have been stored and written
		 * themselves.
		 */
		EXPECT_LE((long long)NR_PAGES, stat_of("bdev_num_writes"));
		EXPECT_GE((long long)NR_PAGES + i, stat_of("bdev_num_writes"));
		EXPECT_LE((long long)NR_PAGES, stat_of("pages_spilled"));
		EXPECT_EQ(0, DECOMPRESS_FAIL);
	}
	/* Only the kernel itself has read the damaged data so far. */
	EXPECT_EQ(0, FAILED_READS);

	ASSERT_TRUE(drop_swap_cache(self->s.memcg));
	check_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
	EXPECT_EQ(NR_VICTIMS, FAILED_READS);
	EXPECT_EQ(0, region_wrong_bytes_all(&more));

	/* Nothing is lost that is in memory. */
	ASSERT_TRUE(drop_swap_cache(self->s.memcg));
	if (!variant->device) {
		repair_pages(_metadata, &self->r, self->victims, NR_VICTIMS);
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	}
	region_unmap(&more);
	region_unmap(&self->r);
	if (variant->device) {
		EXPECT_LT(0, stat_of("bdev_num_reads"));
		EXPECT_EQ(0, stat_of("pages_stored"));
		EXPECT_EQ(0, stat_of("pages_spilled"));
	}
}

/* === Shared memory ======================================================= */

FIXTURE(shared) {
	struct region r;
	struct setup s;
	struct victim victims[NR_VICTIMS];
	int fd;
};

FIXTURE_VARIANT(shared) {
	bool large;
};

FIXTURE_VARIANT_ADD(shared, in_pages) { .large = false };
FIXTURE_VARIANT_ADD(shared, in_folios_of_64k) { .large = true };

FIXTURE_SETUP(shared)
{
	const char *reason;

	self->s.large = variant->large;
	reason = begin(&self->s);
	if (reason)
		SKIP(return, "%s", reason);
	self->fd = memfd_create("ramzswap", 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, NR_PAGES * page_size));
	ASSERT_TRUE(region_map_fd(&self->r, NR_PAGES, FILL_HALF, 66, self->fd));
	region_write_all(&self->r);
	ASSERT_TRUE(swap_out(&self->r, &self->s, true));
	damage_pages(_metadata, &self->r, self->victims, 8, 5, 2 * FOLIO_PAGES);
}

FIXTURE_TEARDOWN(shared)
{
	end(_metadata, &self->s);
}

/* Read a page of the file. Return: as read_page(), with SIGNAL for EIO. */
static enum outcome read_file_page(const struct region *r, int fd, unsigned long index)
{
	unsigned char got[page_size], want[page_size];
	ssize_t n = pread(fd, got, page_size, index * page_size);

	if (n < 0)
		return errno == EIO ? SIGNAL : WRONG;
	page_fill(want, r->fill, r->seed, index, r->version[index]);
	return n != (ssize_t)page_size || memcmp(got, want, page_size) ? WRONG : RIGHT;
}

static void check_file(struct __test_metadata *_metadata, const struct region *r, int fd,
		       bool mapped)
{
	unsigned long i, wrong = 0;

	for (i = 0; i < NR_PAGES; i++) {
		enum outcome outcome = mapped ? read_page(r, i) : read_file_page(r, fd, i);

		wrong += outcome != (i % (2 * FOLIO_PAGES) == 5 ? SIGNAL : RIGHT);
	}
	EXPECT_EQ(0, wrong);
}

TEST_F_TIMEOUT(shared, gives_an_error_to_who_reads_the_file, TEST_SECONDS)
{
	check_file(_metadata, &self->r, self->fd, false);
	EXPECT_EQ(8, FAILED_READS);
	/*
	 * A page may first fail as part of a large folio, and then on its own.
	 */
	EXPECT_LE(8, DECOMPRESS_FAIL);
	EXPECT_GE(variant->large ? 16 : 8, DECOMPRESS_FAIL);
	check_file(_metadata, &self->r, self->fd, true);
	EXPECT_EQ(8, FAILED_READS);
	region_unmap(&self->r);
	close(self->fd);
	check_all_freed(_metadata, &self->s);
}

TEST_F_TIMEOUT(shared, gives_a_signal_to_who_has_it_mapped, TEST_SECONDS)
{
	check_file(_metadata, &self->r, self->fd, true);
	EXPECT_EQ(8, FAILED_READS);
	/*
	 * A page may first fail as part of a large folio, and then on its own.
	 */
	EXPECT_LE(8, DECOMPRESS_FAIL);
	EXPECT_GE(variant->large ? 16 : 8, DECOMPRESS_FAIL);
	check_file(_metadata, &self->r, self->fd, false);
	page_out_shared(self->r.mem, NR_PAGES);
	check_file(_metadata, &self->r, self->fd, true);
	region_unmap(&self->r);
	close(self->fd);
	check_all_freed(_metadata, &self->s);
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	if (!skip_reason && access(RAMZSWAP_STATS, F_OK))
		skip_reason = "the cache does not live in zbud";
	if (!skip_reason && access("/proc/kpageflags", F_OK))
		skip_reason = "no CONFIG_PROC_PAGE_MONITOR";
	if (!skip_reason && page_size != 4096)
		skip_reason = "only made for pages of 4 KiB";
	if (!skip_reason && !mem_open())
		skip_reason = "memory cannot be written through /dev/mem";
	return test_harness_run(argc, argv);
}
