// SPDX-License-Identifier: GPL-2.0
/*
 * Record real pages: run a program, stop it when it holds enough private memory, write some of its
 * pages to a file, and end it.
 *
 * Usage: pagerec FILE PAGES MIB PROGRAM [ARGUMENT...]
 *
 * Of the pages of anonymous memory that the program has in RAM once there are MIB of them, PAGES are
 * written to FILE, evenly chosen, or all if there are fewer. Pages full of zeros are left out, as they
 * are by compressed swap. The program is a child, so no privilege is needed to look into it.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_SIZE	4096UL
#define POLL_US		5000
#define MAX_POLLS	(300 * 1000 * 1000 / POLL_US)
#define PAGEMAP_PRESENT	(1ULL << 63)
#define PAGEMAP_FILE	(1ULL << 61)

static pid_t child;

static void end_child(void)
{
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
}

static void proc_path(char *path, size_t size, const char *file)
{
	snprintf(path, size, "/proc/%d/%s", child, file);
}

static int proc_open(const char *file)
{
	char path[64];
	int fd;

	proc_path(path, sizeof(path), file);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static FILE *proc_fopen(const char *file)
{
	char path[64];
	FILE *f;

	proc_path(path, sizeof(path), file);
	f = fopen(path, "r");
	if (!f)
		err(1, "%s", path);
	return f;
}

static unsigned long anonymous_mib(void)
{
	FILE *f = proc_fopen("status");
	unsigned long kib = 0;
	char line[256];

	while (fgets(line, sizeof(line), f) && sscanf(line, "RssAnon: %lu", &kib) != 1)
		;
	fclose(f);
	return kib >> 10;
}

static void run_until(char **argv, unsigned long mib)
{
	int status, polls = 0;

	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[0], argv);
		err(127, "%s", argv[0]);
	}
	atexit(end_child);

	while (anonymous_mib() < mib) {
		usleep(POLL_US);
		if (waitpid(child, &status, WNOHANG) == child) {
			child = 0;
			errx(1, "%s ended (status %#x) before it had %lu MiB", argv[0], status, mib);
		}
		if (++polls > MAX_POLLS)
			errx(1, "%s still has only %lu MiB", argv[0], anonymous_mib());
	}
	if (kill(child, SIGSTOP) || waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status))
		errx(1, "%s could not be stopped", argv[0]);
}

static bool page_is_zero(const char *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE_SIZE - 1);
}

/* Return: the number of pages that are worth recording; *addresses has where they are. */
static size_t find_pages(int mem, uint64_t **addresses)
{
	int pagemap = proc_open("pagemap");
	FILE *maps = proc_fopen("maps");
	size_t nr = 0, room = 0;
	char line[512], page[PAGE_SIZE];
	uint64_t start, end, entry;

	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx", &start, &end) != 2 || strstr(line, "[v"))
			continue;	/* vdso, vvar, vsyscall */
		for (; start < end; start += PAGE_SIZE) {
			if (pread(pagemap, &entry, sizeof(entry), start / PAGE_SIZE * sizeof(entry)) !=
			    sizeof(entry))
				err(1, "pagemap");
			if (!(entry & PAGEMAP_PRESENT) || entry & PAGEMAP_FILE)
				continue;
			if (pread(mem, page, PAGE_SIZE, start) != PAGE_SIZE || page_is_zero(page))
				continue;
			if (nr == room) {
				room = room ? 2 * room : 4096;
				*addresses = realloc(*addresses, room * sizeof(**addresses));
				if (!*addresses)
					err(1, "realloc");
			}
			(*addresses)[nr++] = start;
		}
	}
	fclose(maps);
	close(pagemap);
	return nr;
}

int main(int argc, char **argv)
{
	uint64_t *addresses = NULL;
	char page[PAGE_SIZE];
	size_t found, nr, i;
	FILE *out;
	int mem;

	if (argc < 5)
		errx(2, "usage: pagerec FILE PAGES MIB PROGRAM [ARGUMENT...]");
	run_until(argv + 4, strtoul(argv[3], NULL, 0));
	mem = proc_open("mem");
	found = find_pages(mem, &addresses);
	nr = strtoul(argv[2], NULL, 0);
	if (nr > found)
		nr = found;
	out = fopen(argv[1], "w");
	if (!out)
		err(1, "%s", argv[1]);
	for (i = 0; i < nr; i++)
		if (pread(mem, page, PAGE_SIZE, addresses[i * found / nr]) != PAGE_SIZE ||
		    fwrite(page, PAGE_SIZE, 1, out) != 1)
			err(1, "%s", argv[1]);
	if (fclose(out))
		err(1, "%s", argv[1]);
	printf("%zu pages of %zu of %s\n", nr, found, argv[4]);
	return 0;
}
