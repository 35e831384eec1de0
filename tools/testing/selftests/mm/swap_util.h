/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SWAP_UTIL_H
#define _SWAP_UTIL_H

#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>
#include <linux/loop.h>

#include "kselftest.h"

/* Before all other swap devices */
#define SWAP_FIRST	(SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK)

#define ZSWAP		"/sys/module/zswap/parameters/"

static inline void write_string(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		err(KSFT_FAIL, "%s", path);
	close(fd);
}

static inline bool zswap_is_enabled(void)
{
	int fd = open(ZSWAP "enabled", O_RDONLY);
	char enabled = 'N';

	if (fd >= 0) {
		if (read(fd, &enabled, 1) != 1)
			enabled = 'N';
		close(fd);
	}
	return enabled != 'N';
}

/* Skip the test unless it may change zswap.  @percent: gets max_pool_percent. */
static inline void need_zswap(char *percent, size_t size)
{
	int fd;

	if (geteuid())
		ksft_exit_skip("needs root\n");
	if (!zswap_is_enabled())
		ksft_exit_skip("zswap is disabled or not built in\n");
	fd = open(ZSWAP "max_pool_percent", O_RDONLY);
	if (fd < 0 || read(fd, percent, size - 1) < 1)
		err(KSFT_FAIL, "max_pool_percent");
	close(fd);
}

static inline unsigned long vm_event(const char *name)
{
	FILE *file = fopen("/proc/vmstat", "r");
	char line[128], key[64];
	unsigned long value, number = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %lu", key, &value) == 2 && !strcmp(key, name))
			number = value;
	if (file)
		fclose(file);
	return number;
}

/* Not too easy to compress, and never zero */
static inline void fill(char *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		p[i] = i % 2 ? 'A' : 'a' + rand() % 16;
}

static inline void page_out(char *p, size_t size)
{
	if (madvise(p, size, MADV_PAGEOUT))
		err(KSFT_FAIL, "MADV_PAGEOUT");
}

/* Write the header that makes a file or device of @nr_pages a swap area. */
static inline void make_swap(int fd, unsigned int nr_pages)
{
	size_t size = getpagesize();
	unsigned int *page = calloc(1, size);

	if (!page)
		err(KSFT_FAIL, "calloc");
	page[1024 / sizeof(*page)] = 1;				/* version */
	page[1024 / sizeof(*page) + 1] = nr_pages - 1;		/* last_page */
	memcpy((char *)page + size - 10, "SWAPSPACE2", 10);
	if (pwrite(fd, page, size, 0) != (ssize_t)size || fsync(fd))
		err(KSFT_FAIL, "header of the swap area");
	free(page);
}

/*
 * Make a swap area of @size bytes that takes memory only for what is written
 * to it: a loop device on a memfd.  It goes away when its last user does.
 * Returns a file descriptor, or -1 if there is no loop device.
 */
static inline int make_swap_disk(off_t size, char *path, size_t path_size)
{
	struct loop_config config = { .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int memfd, control, number, fd;

	control = open("/dev/loop-control", O_RDWR);
	if (control < 0)
		return -1;
	memfd = memfd_create("swap", 0);
	if (memfd < 0 || ftruncate(memfd, size))
		err(KSFT_FAIL, "memfd of %lld bytes", (long long)size);
	number = ioctl(control, LOOP_CTL_GET_FREE);
	if (number < 0)
		err(KSFT_FAIL, "LOOP_CTL_GET_FREE");
	snprintf(path, path_size, "/dev/loop%d", number);
	fd = open(path, O_RDWR);
	config.fd = memfd;
	if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config))
		err(KSFT_FAIL, "%s", path);
	close(control);
	close(memfd);
	make_swap(fd, size / getpagesize());
	return fd;
}

/* Swap on such an area, before all others, or skip the test. */
static inline void swap_on_disk(off_t size, char *path, size_t path_size)
{
	int fd = make_swap_disk(size, path, path_size);

	if (fd < 0)
		ksft_exit_skip("no loop device\n");
	if (swapon(path, SWAP_FIRST))
		err(KSFT_FAIL, "swapon %s", path);
	close(fd);
}

static inline char *map_pages(size_t size)
{
	char *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);

	if (pages == MAP_FAILED)
		err(KSFT_FAIL, "mmap");
	madvise(pages, size, MADV_NOHUGEPAGE);
	return pages;
}

#endif
