// SPDX-License-Identifier: GPL-2.0
/*
 * For each function of ours in turn, let all of its allocations fail, and those of
 * the functions it calls.  Print which functions allocate, and how often that failed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	64
#define MAX_SITES	2000
#define SITES_SECONDS	3600

static const char * const injectors[] = { "failslab", "fail_page_alloc" };
static const char * const prefixes[] = { "zbud_", "zswap_", "ramzswap_" };

static const char *skip_reason;

struct site {
	unsigned long long start, end;
	char name[80];
};

static struct site sites[MAX_SITES];
static unsigned int nr_sites;

static bool is_ours(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

/* The functions under test.  kallsyms is sorted by address. */
static bool find_sites(void)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	unsigned long long address;
	bool open = false;
	char type, line[256], name[80];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx %c %79s", &address, &type, name) != 3)
			continue;
		if (open && address > sites[nr_sites].start) {
			sites[nr_sites++].end = address;
			open = false;
		}
		if (!open && address && (type == 't' || type == 'T') && is_ours(name) &&
		    nr_sites < MAX_SITES) {
			sites[nr_sites].start = address;
			strcpy(sites[nr_sites].name, name);
			open = true;
		}
	}
	if (f)
		fclose(f);
	return nr_sites;
}

static bool injector_set_address(const char *injector, const char *name,
				 unsigned long long address)
{
	char path[128], value[32];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", injector, name);
	snprintf(value, sizeof(value), "0x%llx", address);
	return file_write(path, value);
}

static bool let_none_fail(void)
{
	return injector_set("failslab", "probability", 0) &&
	       injector_set("fail_page_alloc", "probability", 0);
}

/* Let all allocations fail that have @site on their stack. */
static bool let_fail(const struct site *site)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(injectors); i++)
		if (!injector_set_address(injectors[i], "require-start", site->start) ||
		    !injector_set_address(injectors[i], "require-end", site->end))
			return false;
	return injectors_prepare(100, true);
}

/* Allocations that have failed since let_fail() */
static long long failed(void)
{
	return injector_failures("failslab") + injector_failures("fail_page_alloc");
}

FIXTURE(alloc_sites) {
	char disk[64];
	char memcg[256];
};

FIXTURE_SETUP(alloc_sites)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	if (access("/sys/kernel/debug/failslab/require-start", F_OK) || !find_sites())
		SKIP(return, "this kernel cannot let allocations of a function fail");
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_TRUE(other_swap_off());
	if (!other_swap_disk(self->disk, sizeof(self->disk), 16 * MIB))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	if (!memcg_enter_own(self->memcg, sizeof(self->memcg)))
		SKIP(other_swap_on(); return, "there is no cgroup2 with a memory controller");
	test_stay_resident();
}

FIXTURE_TEARDOWN(alloc_sites)
{
	if (!self->memcg[0])
		return;
	let_none_fail();
	zswap_defaults();
	swapoff(DEVICE_PATH);
	EXPECT_EQ(0, attr_write("reset", "1"));
	other_swap_on();
	EXPECT_TRUE(memcg_leave(self->memcg));
}

/* Do everything that allocates while the device is swapped on.  Any of it may fail. */
static void use(struct region *r, const char *memcg)
{
	unsigned long i;

	file_write(ZSWAP_PARAM "compressor", "lzo");
	madvise(r->mem, NR_PAGES / 2 * page_size, MADV_PAGEOUT);
	file_write(ZSWAP_PARAM "cold_compressor", "zstd");
	attr_write("squeeze", "1M");
	file_write(ZSWAP_PARAM "compressor", "lz4");
	attr_write("writeback", "64K");
	madvise(r->mem, NR_PAGES * page_size, MADV_PAGEOUT);
	memcg_reclaim(memcg, MIB);
	file_write(COMPACT_MEMORY, "1");
	for (i = 0; i < NR_PAGES; i += 3)
		page_readable(region_page(r, i));
	madvise(r->mem, NR_PAGES * page_size, MADV_PAGEOUT);
}

TEST_F_TIMEOUT(alloc_sites, fail_without_loss_one_by_one, SITES_SECONDS)
{
	unsigned int i, nr_hit = 0;
	struct region r;

	ASSERT_TRUE(region_map(&r, NR_PAGES, FILL_MIXED, 91));
	ASSERT_EQ(0, mlock(r.version, NR_PAGES * sizeof(*r.version)));
	for (i = 0; i < nr_sites; i++) {
		long long stored = stat_of("pages_stored"), nr;

		/* Setting up may fail, but then works the second time. */
		ASSERT_TRUE(let_fail(&sites[i]));
		if (attr_write("backing_dev", self->disk) || !device_on()) {
			ASSERT_TRUE(let_none_fail());
			nr = failed();
			EXPECT_LT(0, nr);
			ASSERT_EQ(0, attr_write("reset", "1"));
			ASSERT_EQ(0, attr_write("backing_dev", self->disk));
			ASSERT_TRUE(device_on());
			ASSERT_TRUE(let_fail(&sites[i]));
		} else {
			nr = 0;
		}
		region_write_all(&r);
		use(&r, self->memcg);
		nr += failed();
		ASSERT_TRUE(let_none_fail());

		EXPECT_EQ(0, region_wrong_bytes_all(&r))
			TH_LOG("after %s", sites[i].name);
		ASSERT_EQ(0, swapoff(DEVICE_PATH));
		EXPECT_EQ(stored, stat_of("pages_stored"))
			TH_LOG("after %s", sites[i].name);
		EXPECT_EQ(0, stat_of("backing_blocks_used"));
		ASSERT_EQ(0, attr_write("reset", "1"));
		if (!nr)
			continue;
		nr_hit++;
		TH_LOG("%6lld in %s", nr, sites[i].name);
	}
	TH_LOG("%u of %u functions allocate", nr_hit, nr_sites);
	EXPECT_LE(20, nr_hit);
	region_unmap(&r);
}

int main(int argc, char **argv)
{
	skip_reason = backing_test_begin();
	return test_harness_run(argc, argv);
}
