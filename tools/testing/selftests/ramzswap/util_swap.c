// SPDX-License-Identifier: GPL-2.0
/* Swap areas, see swap_util.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

#define MAX_AREAS		8

/**
 * swap_areas() - list the active swap areas
 * @areas: gets them
 * @max: how many at most
 *
 * Return: the number of entries in @areas.
 */
int swap_areas(struct swap_area *areas, int max)
{
	FILE *f = fopen("/proc/swaps", "r");
	char line[256];
	int nr = 0;

	if (!f)
		return 0;
	while (nr < max && fgets(line, sizeof(line), f)) {
		struct swap_area *a = &areas[nr];

		if (sscanf(line, "%63s %15s %lld %*d %d", a->path, a->type, &a->size,
			   &a->prio) == 4) {
			a->size *= 1024;
			nr++;
		}
	}
	fclose(f);
	return nr;
}

/**
 * swap_used() - look up how much of a swap area is in use
 * @path: the area
 *
 * Return: the number of bytes, as swapon --show prints; -1 if the area is off.
 */
long long swap_used(const char *path)
{
	char buf[4096], *line;
	long long used;

	if (!file_read("/proc/swaps", buf, sizeof(buf)))
		return -1;
	line = strstr(buf, path);
	if (!line || sscanf(line, "%*s %*s %*s %lld", &used) != 1)
		return -1;
	return used * 1024;
}

/**
 * swap_enable() - swap on
 * @path: a device or file with a swap header
 * @prio: its priority; the kernel chooses one if this is negative
 *
 * Return: whether that worked. If not, errno is that of swapon().
 */
bool swap_enable(const char *path, int prio)
{
	int flags = prio < 0 ? 0 : SWAP_FLAG_PREFER | (prio & SWAP_FLAG_PRIO_MASK);

	return !swapon(path, flags);
}

/**
 * swap_format() - write a swap header, as mkswap does
 * @path: the device
 *
 * Return: whether it was written.
 */
bool swap_format(const char *path)
{
	struct {
		__u32 version;
		__u32 last_page;
	} info = { .version = 1 };
	int fd = open(path, O_RDWR);
	char page[page_size];
	off_t size;
	bool done;

	if (fd < 0)
		return false;
	size = lseek(fd, 0, SEEK_END);
	info.last_page = size / page_size - 1;
	memset(page, 0, page_size);
	memcpy(page + 1024, &info, sizeof(info));
	memcpy(page + page_size - 10, "SWAPSPACE2", 10);
	done = size > 0 && pwrite(fd, page, page_size, 0) == (ssize_t)page_size && !fsync(fd);
	close(fd);
	return done;
}

/**
 * swap_is_full() - check whether the kernel reports no free swap
 *
 * A device counts as full while it cannot take a page, whatever slots it has.
 *
 * Return: whether SwapFree is 0.
 */
bool swap_is_full(void)
{
	return meminfo_kb("SwapFree:") == 0;
}

/**
 * swap_has_room() - the opposite of swap_is_full(), for soon()
 *
 * Return: whether SwapFree is not 0.
 */
bool swap_has_room(void)
{
	return meminfo_kb("SwapFree:") > 0;
}

static struct swap_area other_areas[MAX_AREAS];
static int nr_other_areas;

/**
 * other_swap_off() - swap off all areas but the ramzswap device
 *
 * They stay off until other_swap_on().
 *
 * Return: whether all of them are off.
 */
bool other_swap_off(void)
{
	int i;

	nr_other_areas = swap_areas(other_areas, MAX_AREAS);
	for (i = 0; i < nr_other_areas; i++)
		if (strcmp(other_areas[i].path, DEVICE_PATH) && swapoff(other_areas[i].path))
			return false;
	return true;
}

/**
 * other_swap_disk() - find a disk among the areas that other_swap_off() swapped off
 * @path: gets its path
 * @size: size of @path, at least that of a swap_area's
 * @bytes: how large the disk must be
 *
 * The caller must not write its first page: other_swap_on() needs the header.
 *
 * Return: whether there is one.
 */
bool other_swap_disk(char *path, size_t size, long long bytes)
{
	int i;

	for (i = 0; i < nr_other_areas; i++) {
		const struct swap_area *a = &other_areas[i];

		if (strcmp(a->path, DEVICE_PATH) && !strncmp(a->path, "/dev/", 5) &&
		    a->size >= bytes) {
			snprintf(path, size, "%s", a->path);
			return true;
		}
	}
	return false;
}

/**
 * borrow_disk() - swap off all other areas, and take a disk of them
 * @path: gets the path of the disk
 * @size: size of @path, at least that of a swap_area's
 * @bytes: how large the disk must be
 *
 * other_swap_on() gives it back.
 *
 * Return: whether there is one.
 */
bool borrow_disk(char *path, size_t size, long long bytes)
{
	return other_swap_off() && other_swap_disk(path, size, bytes);
}

/**
 * other_swap_on() - swap on what other_swap_off() swapped off, if anything
 */
void other_swap_on(void)
{
	int i;

	for (i = 0; i < nr_other_areas; i++)
		if (strcmp(other_areas[i].path, DEVICE_PATH))
			swap_enable(other_areas[i].path, other_areas[i].prio);
	nr_other_areas = 0;
}

static void zram_path(char *path, size_t size, int id, const char *file)
{
	snprintf(path, size, "/sys/block/zram%d/%s", id, file);
}

/**
 * zram_create() - create a zram device
 * @bytes: its size
 *
 * Return: the number of the device, or -1.
 */
int zram_create(unsigned long bytes)
{
	char path[64];
	int id;

	if (access("/sys/class/zram-control", F_OK) && system("modprobe -q zram 2>/dev/null"))
		return -1;
	id = file_number("/sys/class/zram-control/hot_add");
	if (id < 0)
		return -1;
	zram_path(path, sizeof(path), id, "disksize");
	if (!file_write_number(path, bytes)) {
		zram_remove(id);
		return -1;
	}
	return id;
}

/**
 * zram_remove() - swap off a zram device and remove it
 * @id: the number of the device
 */
void zram_remove(int id)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/zram%d", id);
	swapoff(path);
	zram_path(path, sizeof(path), id, "reset");
	file_write(path, "1");
	file_write_number("/sys/class/zram-control/hot_remove", id);
}

/**
 * zram_swapon() - swap on a zram device, above all other swap areas
 * @id: the number of the device
 *
 * Return: whether that worked.
 */
bool zram_swapon(int id)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/zram%d", id);
	return swap_format(path) && swap_enable(path, SWAP_FLAG_PRIO_MASK);
}

/**
 * zram_value() - read a number of a zram device's statistics
 * @id: the number of the device
 * @file: a file in its sysfs directory
 * @field: which of the numbers in the file, counted from 0
 *
 * Return: the number, or -1.
 */
long long zram_value(int id, const char *file, int field)
{
	char path[64], buf[256];
	char *save, *word;

	zram_path(path, sizeof(path), id, file);
	if (!file_read(path, buf, sizeof(buf)))
		return -1;
	word = strtok_r(buf, "\n ", &save);
	while (word && field--)
		word = strtok_r(NULL, "\n ", &save);
	return word ? atoll(word) : -1;
}
