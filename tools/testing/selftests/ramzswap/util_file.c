// SPDX-License-Identifier: GPL-2.0
/* Files of the kernel, and the numbers in them, see swap_util.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

/**
 * file_read() - read the beginning of a file
 * @path: the file
 * @buf: gets the bytes and a terminating zero
 * @size: size of @buf
 *
 * Return: whether the file could be read.
 */
bool file_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	size_t len = 0;
	ssize_t n = -1;

	if (fd < 0)
		return false;
	while (len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n <= 0)
			break;
		len += n;
	}
	close(fd);
	buf[len] = '\0';
	return n >= 0;
}

/**
 * file_write() - write a string to a file, with one write()
 * @path: the file
 * @value: the string
 *
 * Return: whether all of it was written. If not, errno is that of write().
 */
bool file_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);
	ssize_t n;
	int err;

	if (fd < 0)
		return false;
	n = write(fd, value, strlen(value));
	err = errno;
	close(fd);
	errno = err;
	return n == (ssize_t)strlen(value);
}

/**
 * file_write_number() - write a number to a file, see file_write()
 * @path: the file
 * @value: the number
 *
 * Return: whether it was written.
 */
bool file_write_number(const char *path, long long value)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%lld", value);
	return file_write(path, buf);
}

/**
 * file_number() - read the number at the beginning of a file
 * @path: the file
 *
 * Return: the number, or -1 if the file cannot be read.
 */
long long file_number(const char *path)
{
	char buf[64];

	return file_read(path, buf, sizeof(buf)) ? atoll(buf) : -1;
}

/* Return: the number behind @name at the beginning of a line, or -1. */
static long long named_number(const char *text, const char *name)
{
	size_t len = strlen(name);
	const char *line;

	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && line[len] == ' ')
			return atoll(line + len);
	}
	return -1;
}

/**
 * file_field() - find a number in a file of lines "NAME VALUE"
 * @path: the file
 * @name: the name
 *
 * Return: the number, or -1 if there is no such line.
 */
long long file_field(const char *path, const char *name)
{
	char buf[16384];

	return file_read(path, buf, sizeof(buf)) ? named_number(buf, name) : -1;
}

/**
 * stat_value() - read a field of ramzswap/stats, the statistics of the cache
 * @name: the field
 *
 * Return: its value, or -1 if it does not exist.
 */
long long stat_value(const char *name)
{
	return file_field(RAMZSWAP_STATS, name);
}

/**
 * falls_to() - wait for what is being freed
 * @number: reads a field of statistics, like stat_value()
 * @name: the field
 * @most: what it should be at most
 * @seconds: how long to wait
 *
 * Return: the field's value.
 */
long long falls_to(long long (*number)(const char *name), const char *name, long long most,
		   int seconds)
{
	const double end = seconds_now() + seconds;
	long long value;

	while ((value = number(name)) > most && seconds_now() < end)
		usleep(50000);
	return value;
}

/**
 * device_stat() - read a field of a ramzswap device's statistics
 * @device: name of the device
 * @name: the field
 *
 * Return: its value, or -1 if it does not exist.
 */
long long device_stat(const char *device, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), RAMZSWAP_DEBUG "%s/stats", device);
	return file_field(path, name);
}

/**
 * zswap_value() - read a file of zswap's own debugfs directory
 * @name: the file
 *
 * Return: its value, or -1 if it does not exist.
 */
long long zswap_value(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), ZSWAP_DEBUG "%s", name);
	return file_number(path);
}

/**
 * pages_stored() - count the pages in the cache
 *
 * Return: zswap's own number if the kernel has no ramzswap/stats.
 */
long long pages_stored(void)
{
	long long stored = stat_value("pages_stored");

	return stored >= 0 ? stored : zswap_value("stored_pages");
}

/**
 * pool_pages() - count the pages that the pool occupies
 *
 * Return: zswap's own number if the kernel has no ramzswap/stats.
 */
long long pool_pages(void)
{
	long long used = stat_value("pages_used");

	return used >= 0 ? used : zswap_value("pool_total_size") / (long long)page_size;
}

/**
 * meminfo_kb() - read a line of /proc/meminfo
 * @name: its name, with the colon
 *
 * Return: the number, in KiB.
 */
long long meminfo_kb(const char *name)
{
	return file_field("/proc/meminfo", name);
}
