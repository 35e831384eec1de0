// SPDX-License-Identifier: GPL-2.0
/* Page frames, see swap_util.h. */
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

/**
 * page_is() - look up a flag in /proc/kpageflags
 * @pfn: the page frame
 * @kpf: number of the flag
 *
 * Return: whether the page has the flag.
 */
bool page_is(unsigned long pfn, int kpf)
{
	int fd = open("/proc/kpageflags", O_RDONLY);
	__u64 flags = 0;

	if (fd >= 0 && pread(fd, &flags, sizeof(flags), pfn * sizeof(flags)) != sizeof(flags))
		flags = 0;
	close(fd);
	return flags >> kpf & 1;
}

/**
 * find_pages() - find all page frames with certain flags in /proc/kpageflags
 * @mask: the flags to look at
 * @want: those that must be set; the others under @mask must not
 * @pfns: gets the first page frames
 * @max: how many of them at most
 *
 * Return: the number of page frames, which may be larger than @max.
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

/**
 * find_pool_pages() - find all pages of the pool except poisoned ones
 * @pfns: gets the first page frames
 * @max: how many of them at most
 *
 * Return: the number of pages, which may be larger than @max.
 */
unsigned long find_pool_pages(unsigned long *pfns, unsigned long max)
{
	const __u64 zbud = 1ULL << KPF_ZBUD;

	return find_pages(zbud | 1ULL << KPF_HWPOISON, zbud, pfns, max);
}
