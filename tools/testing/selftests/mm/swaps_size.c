// SPDX-License-Identifier: GPL-2.0
/* /proc/swaps shows the right size of a swap device of more than 4 TiB. */
#define _GNU_SOURCE
#include <errno.h>

#include "swap_util.h"

#define SIZE	((4LL << 40) + (64LL << 20))

int main(void)
{
	unsigned long long size = 0, expected;
	char path[32], line[256], name[64];
	FILE *swaps;
	int fd;

	ksft_print_header();
	ksft_set_plan(1);
	if (geteuid())
		ksft_exit_skip("needs root\n");
	if (sizeof(long) < 8)
		ksft_exit_skip("no such swap devices on 32-bit\n");
	fd = make_swap_disk(SIZE, path, sizeof(path));
	if (fd < 0)
		ksft_exit_skip("no loop device\n");
	if (swapon(path, 0)) {
		if (errno == ENOMEM)
			ksft_exit_skip("too little memory for a swap device of that size\n");
		err(KSFT_FAIL, "swapon %s", path);
	}
	close(fd);

	swaps = fopen("/proc/swaps", "r");
	while (swaps && fgets(line, sizeof(line), swaps))
		if (sscanf(line, "%63s %*s %llu", name, &size) == 2 && !strcmp(name, path))
			break;
	if (swaps)
		fclose(swaps);
	/* without the page of the header */
	expected = (SIZE - getpagesize()) / 1024;
	ksft_print_msg("/proc/swaps has %llu KiB, the device %llu KiB\n", size, expected);
	ksft_test_result(size == expected, "size of a swap device of more than 4 TiB\n");

	if (swapoff(path))
		err(KSFT_FAIL, "swapoff %s", path);
	ksft_finished();
}
