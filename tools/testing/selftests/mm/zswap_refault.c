// SPDX-License-Identifier: GPL-2.0
/*
 * A page that zswap writes back does not count as wanted again.
 *
 * For writeback, zswap takes the page into the swap cache, as a fault does.  But
 * it is written because nobody wanted it for a long time.
 */
#define _GNU_SOURCE
#include "swap_util.h"

#define NR_PAGES	1024

int main(void)
{
	unsigned long written, refaults;
	char path[32], percent[16] = "", *pages;
	size_t page_size = getpagesize(), size = NR_PAGES * page_size;

	ksft_print_header();
	ksft_set_plan(1);
	need_zswap(percent, sizeof(percent));
	swap_on_disk(2 * size, path, sizeof(path));
	pages = map_pages(size);
	fill(pages, size);
	page_out(pages, size - page_size);

	/*
	 * With a limit of 0, zswap refuses a page, and then writes others back. But
	 * first it gives each of them a second chance, a few at a time.
	 */
	written = vm_event("zswpwb");
	refaults = vm_event("workingset_refault_anon");
	write_string(ZSWAP "max_pool_percent", "0");
	for (int i = 0; i < 2000 && vm_event("zswpwb") - written < NR_PAGES / 2; i++) {
		pages[size - 1]++;
		page_out(pages + size - page_size, page_size);
		usleep(5000);
	}
	write_string(ZSWAP "max_pool_percent", percent);
	written = vm_event("zswpwb") - written;
	refaults = vm_event("workingset_refault_anon") - refaults;

	/* Some pages of others may have come in meanwhile. */
	ksft_print_msg("%lu pages were written back, %lu count as refaults\n", written, refaults);
	ksft_test_result(written >= NR_PAGES / 2 && refaults < written / 16,
			 "writeback is no refault\n");

	munmap(pages, size);
	if (swapoff(path))
		err(KSFT_FAIL, "swapoff %s", path);
	ksft_finished();
}
