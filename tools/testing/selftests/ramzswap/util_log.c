// SPDX-License-Identifier: GPL-2.0
/* The kernel log, see swap_util.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

/**
 * log_open() - open the kernel log, to read what is logged from now on
 *
 * Return: a file descriptor, or -1.
 */
int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/**
 * log_look() - search the rest of the kernel log
 * @fd: from log_open()
 * @texts: what to look for
 * @nr: number of texts
 *
 * Return: a bit for each of @texts that the log contains.
 */
unsigned int log_look(int fd, const char * const *texts, int nr)
{
	unsigned int found = 0;
	char line[1024];
	ssize_t n;
	int i;

	while ((n = read(fd, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		line[n] = '\0';
		for (i = 0; i < nr; i++)
			if (strstr(line, texts[i]))
				found |= 1U << i;
	}
	return found;
}

/**
 * log_says() - search the rest of the kernel log for one text
 * @fd: from log_open()
 * @text: what to look for
 *
 * Return: whether the log contains it.
 */
bool log_says(int fd, const char *text)
{
	return log_look(fd, &text, 1);
}

#define PRINTK	"/proc/sys/kernel/printk"

/* What PRINTK was before console_quiet() */
static char console_levels[64];

/**
 * console_quiet() - keep what the kernel logs off the console
 *
 * For tests that make the kernel print call traces for harmless events, such as an
 * OOM kill.
 */
void console_quiet(void)
{
	if (file_read(PRINTK, console_levels, sizeof(console_levels)))
		file_write(PRINTK, "1");
}

/**
 * console_restore() - undo console_quiet()
 */
void console_restore(void)
{
	if (console_levels[0])
		file_write(PRINTK, console_levels);
	console_levels[0] = '\0';
}
