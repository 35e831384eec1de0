// SPDX-License-Identifier: GPL-2.0
/*
 * A swap file with scattered blocks returns each page from where it was written.
 * The disk is so fast that the kernel swaps in large folios.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "swap_util.h"

#define THP		"/sys/kernel/mm/transparent_hugepage/"
#define ORDER		2
#define NR_PAGES	1024
#define DISK_SIZE	(64 << 20)
#define FILE_PAGES	(2 * NR_PAGES)

static char dir[32], file[64], thp[128];
static size_t page_size;
static int zram = -1;

static bool set(const char *path, const char *format, long value)
{
	FILE *attribute = fopen(path, "w");
	bool done = attribute && fprintf(attribute, format, value) > 0;

	return attribute && !fclose(attribute) && done;
}

static long get(const char *format, const char *path)
{
	FILE *attribute = fopen(path, "r");
	long value = -1;

	if (attribute) {
		if (fscanf(attribute, format, &value) != 1)
			value = -1;
		fclose(attribute);
	}
	return value;
}

static void clean_up(void)
{
	char path[64];

	if (thp[0])
		set(thp, "never", 0);
	swapoff(file);
	umount(dir);
	rmdir(dir);
	snprintf(path, sizeof(path), "/sys/block/zram%d/reset", zram);
	set(path, "%ld", 1);
	set("/sys/class/zram-control/hot_remove", "%ld", zram);
}

/* Make a file system on zram without two adjacent free blocks, and a swap file in these. */
static void scattered_swap_file(void)
{
	char path[64], command[256], *data = calloc(1, page_size);
	off_t size = 0, offset;
	int filler, fd;

	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", zram);
	if (!set(path, "%ld", DISK_SIZE))
		err(KSFT_FAIL, "%s", path);
	snprintf(path, sizeof(path), "/dev/zram%d", zram);
	snprintf(command, sizeof(command), "mke2fs -F -m 0 -b %zu %s >/dev/null 2>&1",
		 page_size, path);
	if (system(command))
		ksft_exit_skip("no mke2fs\n");
	strcpy(dir, "/tmp/swapfile.XXXXXX");
	if (!mkdtemp(dir))
		err(KSFT_FAIL, "%s", dir);
	if (mount(path, dir, "ext4", 0, NULL) && mount(path, dir, "ext2", 0, NULL))
		ksft_exit_skip("no ext4: %s\n", strerror(errno));

	snprintf(path, sizeof(path), "%s/filler", dir);
	filler = open(path, O_RDWR | O_CREAT, 0600);
	memset(data, 'x', page_size);
	while (write(filler, data, page_size) == (ssize_t)page_size)
		size += page_size;
	if (fsync(filler))
		err(KSFT_FAIL, "%s", path);
	for (offset = 0; offset < size; offset += 2 * page_size)
		if (fallocate(filler, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      offset, page_size))
			ksft_exit_skip("no holes: %s\n", strerror(errno));
	fsync(filler);
	close(filler);

	snprintf(file, sizeof(file), "%s/swap", dir);
	fd = open(file, O_RDWR | O_CREAT, 0600);
	for (int i = 0; i < FILE_PAGES; i++)
		if (write(fd, data, page_size) != (ssize_t)page_size)
			err(KSFT_FAIL, "%s", file);
	make_swap(fd, FILE_PAGES);
	close(fd);
	free(data);
}

static unsigned long slot_of(int pagemap, char *page)
{
	uint64_t entry;

	if (pread(pagemap, &entry, sizeof(entry), (uintptr_t)page / page_size * sizeof(entry)) !=
	    sizeof(entry))
		err(KSFT_FAIL, "/proc/self/pagemap");
	return entry >> 62 & 1 ? entry >> 5 & ((1ULL << 50) - 1) : 0;
}

int main(void)
{
	unsigned long bad = 0, together = 0, slot;
	size_t align = (1 << ORDER) * getpagesize();
	char *memory, *pages, stat[128];
	int pagemap, i, swpin;
	cpu_set_t cpu;

	ksft_print_header();
	ksft_set_plan(1);
	page_size = getpagesize();
	if (geteuid())
		ksft_exit_skip("needs root\n");
	if (zswap_is_enabled())
		ksft_exit_skip("no large folios are swapped in where zswap is enabled\n");
	zram = get("%ld", "/sys/class/zram-control/hot_add");
	if (zram < 0)
		ksft_exit_skip("no zram\n");
	atexit(clean_up);
	scattered_swap_file();
	snprintf(thp, sizeof(thp), THP "hugepages-%zukB/enabled", align / 1024);
	snprintf(stat, sizeof(stat), THP "hugepages-%zukB/stats/swpin", align / 1024);
	if (!set(thp, "never", 0))
		ksft_exit_skip("no large folios\n");
	if (swapon(file, SWAP_FIRST))
		err(KSFT_FAIL, "swapon %s", file);

	/* One CPU takes one slot after the other. */
	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	pagemap = open("/proc/self/pagemap", O_RDONLY);
	memory = mmap(NULL, NR_PAGES * page_size + 3 * align, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(KSFT_FAIL, "mmap");
	memory = (char *)(((uintptr_t)memory + align - 1) & ~(align - 1));
	memset(memory, 'p', page_size);
	page_out(memory, page_size);
	slot = slot_of(pagemap, memory);
	if (!slot)
		ksft_exit_fail_msg("a page is not swapped out\n");
	/* As far from a boundary as the next slot is */
	pages = memory + align + (slot + 1) % (1 << ORDER) * page_size;

	for (i = 0; i < NR_PAGES; i++)
		for (size_t j = 0; j < page_size / sizeof(int); j++)
			((int *)(pages + i * page_size))[j] = i + 1;
	for (i = 0; i < NR_PAGES; i++)
		page_out(pages + i * page_size, page_size);
	for (i = 0; i < NR_PAGES; i++) {
		char *page = pages + i * page_size;

		slot = slot_of(pagemap, page);
		together += slot && slot_of(pagemap, page + page_size) == slot + 1 &&
			    slot % (1 << ORDER) == (uintptr_t)page / page_size % (1 << ORDER);
	}
	if (together < NR_PAGES / 2)
		ksft_exit_fail_msg("only %lu pages have neighbouring slots\n", together);

	swpin = get("%ld", stat);
	if (!set(thp, "always", 0))
		err(KSFT_FAIL, "%s", thp);
	for (i = 0; i < NR_PAGES; i++) {
		int *page = (int *)(pages + i * page_size);

		bad += page[0] != i + 1 || page[page_size / sizeof(int) - 1] != i + 1;
	}
	ksft_print_msg("%lu of %d pages are wrong; %ld large folios were swapped in\n",
		       bad, NR_PAGES, get("%ld", stat) - swpin);
	ksft_test_result(!bad, "pages from a swap file with scattered blocks\n");
	ksft_finished();
}
