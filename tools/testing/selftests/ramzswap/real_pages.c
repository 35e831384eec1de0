// SPDX-License-Identifier: GPL-2.0
/*
 * Swap out more pages than the cache may hold, and read them back.
 *
 * The pages come from a file, for example one with the anonymous memory of real
 * programs. If the file is too short, its pages repeat. Without a file, pages
 * are generated. Each page has its number at the beginning.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

#define SEED		17
#define BATCH		(8 * MIB)

static int source_fd = -1;
static unsigned long source_pages;
static unsigned long nr_pages;
static unsigned char *mem;

/* Create the contents of page @index. A page of zeros remains one. */
static void make_page(unsigned char *page, unsigned long index)
{
	const __u64 stamp[] = { SEED, index };
	off_t pos = index % (source_pages ?: 1) * page_size;
	unsigned long i;

	if (source_fd < 0) {
		page_fill(page, FILL_MIXED, SEED, index, 0);
		return;
	}
	if (pread(source_fd, page, page_size, pos) != (ssize_t)page_size)
		ksft_exit_fail_perror("reading the file of pages");
	for (i = 0; i < page_size; i++)
		if (page[i]) {
			memcpy(page, stamp, sizeof(stamp));
			return;
		}
}

/* Swap out while filling, so that the size of RAM does not matter. */
static unsigned long fill_and_page_out(void)
{
	const unsigned long batch = BATCH / page_size;
	unsigned char page[page_size];
	unsigned long i;

	for (i = 0; i < nr_pages; i++) {
		make_page(page, i);
		memcpy(mem + i * page_size, page, page_size);
		if (i % batch == batch - 1)
			page_out(mem + (i + 1 - batch) * page_size, batch);
	}
	return page_out(mem, nr_pages);
}

/*
 * Read every page once, in steps of @step, which must be coprime to their
 * number. Return: the number of wrong bytes.
 */
static unsigned long wrong_bytes(unsigned long step)
{
	unsigned char page[page_size];
	unsigned long i, k, index = 0, wrong = 0, wrong_pages = 0;

	for (i = 0; i < nr_pages; i++, index = (index + step) % nr_pages) {
		const unsigned char *is = mem + index * page_size;
		unsigned long before = wrong;

		make_page(page, index);
		if (!memcmp(is, page, page_size))
			continue;
		for (k = 0; k < page_size; k++)
			wrong += is[k] != page[k];
		if (wrong_pages++ < 10)
			ksft_print_msg("page %lu has %lu wrong bytes\n", index, wrong - before);
	}
	return wrong;
}

static unsigned long greatest_common_divisor(unsigned long a, unsigned long b)
{
	return b ? greatest_common_divisor(b, a % b) : a;
}

int main(int argc, char **argv)
{
	unsigned long mib = 300, step = 769, swapped;
	const char *file = NULL, *reason;
	long long stored;
	off_t size;
	int c;

	while ((c = getopt(argc, argv, "f:m:")) != -1) {
		switch (c) {
		case 'f':
			file = optarg;
			break;
		case 'm':
			mib = strtoul(optarg, NULL, 0);
			break;
		default:
			fprintf(stderr, "Usage: %s [-f file of pages] [-m MiB]\n", argv[0]);
			return KSFT_FAIL;
		}
	}

	ksft_print_header();
	reason = test_begin();
	if (reason)
		ksft_exit_skip("%s\n", reason);
	if (meminfo_kb("SwapFree:") < (long long)(mib * 1024))
		ksft_exit_skip("%lld MiB of swap are free, %lu are needed\n",
			       meminfo_kb("SwapFree:") / 1024, mib);
	if (file) {
		source_fd = open(file, O_RDONLY);
		if (source_fd < 0)
			ksft_exit_fail_perror(file);
		/* This works for the size of a disk, too. */
		size = lseek(source_fd, 0, SEEK_END);
		source_pages = size < 0 ? 0 : size / page_size;
		if (!source_pages)
			ksft_exit_fail_msg("%s: not even one page\n", file);
	}
	/* So small that some pages are written to the swap device. */
	file_write(ZSWAP_PARAM "max_pool_percent", "20");
	file_write(ZSWAP_PARAM "shrinker_enabled", "Y");

	nr_pages = mib * MIB / page_size;
	while (greatest_common_divisor(nr_pages, step) != 1)
		step++;
	ksft_set_plan(5);
	stored = pages_stored();
	mem = mmap(NULL, nr_pages * page_size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		ksft_exit_fail_perror("mmap");

	swapped = fill_and_page_out();
	ksft_print_msg("%lu pages in swap, %lld of them in a cache of %lld pages\n",
		       swapped, pages_stored() - stored, pool_pages());
	ksft_test_result(swapped == nr_pages, "%lu MiB of pages are swapped out\n", mib);
	ksft_test_result(!wrong_bytes(1), "they come back in order with 0 wrong bytes\n");
	swapped = page_out(mem, nr_pages);
	ksft_test_result(swapped == nr_pages, "they are swapped out again\n");
	ksft_test_result(!wrong_bytes(step), "they come back out of order with 0 wrong bytes\n");
	munmap(mem, nr_pages * page_size);
	/*
	 * Memory is tight here, so pages of other processes may be swapped out,
	 * too.
	 */
	ksft_test_result(pages_stored() <= stored + (long long)nr_pages / 100,
			 "none stays in the cache after munmap\n");
	ksft_finished();
}
