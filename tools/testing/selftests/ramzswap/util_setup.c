// SPDX-License-Identifier: GPL-2.0
/* Settings for the tests, and their previous values, see swap_util.h. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

#define MAX_AREAS		8

/**
 * swaps_out_folios_of() - find out whether large folios are swapped out whole
 * @kib: their size
 *
 * That takes CONFIG_THP_SWAP, which user space cannot see: 64-bit machines with
 * pages of 4 KiB have it.
 *
 * Return: whether the kernel allocates folios of this size and swaps them out
 * without splitting them.
 */
bool swaps_out_folios_of(unsigned long kib)
{
	char path[128];

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/transparent_hugepage/hugepages-%lukB/enabled", kib);
	return sizeof(long) == 8 && page_size == 4096 && !access(path, F_OK);
}

/**
 * thp_size_set() - change a setting of a folio size
 * @kib: the size
 * @name: the setting, a file in the directory of this size
 * @value: its new value
 *
 * Return: whether the kernel accepted the value.
 */
bool thp_size_set(unsigned long kib, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), THP_SIZE, kib, name);
	return file_write(path, value);
}

/**
 * thp_only_size() - use large folios of one size only
 * @kib: the size, for private and shared memory; 0 disables large folios
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

/**
 * zswap_defaults() - configure zswap for the tests
 *
 * There is enough room for what the tests store, and no automatic writeback.
 *
 * Return: whether zswap is enabled.
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
 * zswap_close() - make zswap refuse all pages, until zswap_defaults()
 *
 * Return: whether that worked.
 */
bool zswap_close(void)
{
	return file_write(ZSWAP_PARAM "max_pool_percent", "0");
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

/**
 * test_stay_resident() - lock everything that the process has mapped so far
 *
 * Then only the test's region changes the numbers.
 */
void test_stay_resident(void)
{
	if (mlockall(MCL_CURRENT))
		ksft_perror("mlockall");
}
