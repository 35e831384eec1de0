// SPDX-License-Identifier: GPL-2.0
/*
 * How much data does a machine hold before the out-of-memory killer comes, and how does it end? A process fills
 * memory with real pages for as long as it lives; from time to time it reads back a part of what it wrote before.
 *
 * Usage: capacity KIND FILE...
 *
 *   KIND	real	the files' pages
 *		half	every second one of them, and between these, random bytes
 *		random	random bytes
 *   FILE	pages as a program had them in memory
 *
 * Output: lines "NAME VALUE": pages written before the kill; nanoseconds from the start, from the last whole MiB that
 * was written, and from the last page that was written or read back, until the process is gone; from that page to the
 * kill, and from the kill until the process is gone; of the longest time in which no MiB was written; and in which some,
 * and all processes waited for memory. All are the machine's, which may be an emulated one. A kill takes 10 ms at least:
 * the time in the kernel's log may be no more exact than that.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "region.h"

/* What the process and its parent share; the parent never swaps. */
struct progress {
	unsigned long pages;
	uint64_t last, last_page, longest;
};

/* Of each MiB that is written, so many pages are random ones that were written before, and are read. */
#define READ_BACK	16

static bool is_random(const char *kind, unsigned long i)
{
	return !strcmp(kind, "random") || (!strcmp(kind, "half") && i % 2);
}

static void fill(const char *kind, struct progress *p)
{
	struct region r = { .name = "capacity" };
	unsigned long max = 64UL << 30 >> 12, i, k;
	uint64_t t;

	r.mem = get(max * PAGE_SIZE);
	madvise(r.mem, max * PAGE_SIZE, MADV_NOHUGEPAGE);
	for (i = 0; i < max; i++) {
		unsigned char *page = r.mem + i * PAGE_SIZE;

		if (is_random(kind, i)) {
			for (k = 0; k < PAGE_SIZE / sizeof(uint64_t); k++)
				((uint64_t *)page)[k] = random_next();
		} else {
			memcpy(page, source[i % nr_source], PAGE_SIZE);
		}
		*(struct stamp *)page = (struct stamp){ .name = r.name, .index = i };
		p->pages = i + 1;
		t = p->last_page = now();
		if ((i + 1) % PAGES_PER_MIB)
			continue;
		if (t - p->last > p->longest)
			p->longest = t - p->last;
		p->last = t;
		for (k = 0; k < READ_BACK; k++) {
			unsigned long nr = random_next() % i;
			struct stamp *s = (struct stamp *)(r.mem + nr * PAGE_SIZE);

			if (s->name != r.name || s->index != nr)
				errx(2, "page %lu is wrong", nr);
			p->last_page = now();
		}
	}
	errx(1, "there is too much memory");
}

/* The next record of the kernel's log with a text. Return: its time, in ns of the log's clock, or 0. */
static uint64_t log_time(int log, const char *text)
{
	unsigned long long us;
	char record[8192];
	ssize_t n;

	while ((n = read(log, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		record[n > 0 ? n : 0] = '\0';
		if (strstr(record, text) && sscanf(record, "%*u,%*u,%llu", &us) == 1)
			return us * 1000;
	}
	return 0;
}

static void report(const char *name, unsigned long long value)
{
	printf("%s %llu\n", name, value);
}

static void report_pressure(void)
{
	unsigned long long us;
	FILE *f = fopen("/proc/pressure/memory", "r");
	char kind[8];

	while (f && fscanf(f, "%7s %*s %*s %*s total=%llu", kind, &us) == 2)
		report(strcmp(kind, "full") ? "pressure_some" : "pressure_full", us * 1000);
	if (f)
		fclose(f);
}

int main(int argc, char **argv)
{
	uint64_t start, gone, killed, log_start;
	int arg, status, log;
	struct progress *p;
	pid_t pid;

	if (argc < 3)
		errx(1, "usage: capacity real|half|random FILE...");
	for (arg = 2; arg < argc; arg++)
		source_add(argv[arg]);
	p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mlockall(MCL_CURRENT))
		err(1, "mmap, mlockall");
	write_file("/proc/self/oom_score_adj", "-1000");
	log = open("/dev/kmsg", O_RDWR | O_NONBLOCK);
	if (log < 0 || lseek(log, 0, SEEK_END) < 0)
		err(1, "/dev/kmsg");
	if (write(log, "capacity begins\n", 16) < 0)
		err(1, "/dev/kmsg");
	start = now();
	log_start = log_time(log, "capacity begins");
	p->last = p->last_page = start;
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		write_file("/proc/self/oom_score_adj", "1000");
		fill(argv[1], p);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		errx(1, "it was not killed, but ended with %x", status);
	gone = now();
	killed = log_time(log, "Killed process");
	if (!log_start || !killed)
		errx(1, "the kernel's log has nothing of the kill");
	killed += start - log_start;
	report("pages", p->pages);
	report("until_kill", gone - start);
	report("since_last", gone - p->last);
	report("since_last_page", gone - p->last_page);
	report("kill_since_page", killed > p->last_page + 10000000 ? killed - p->last_page : 10000000);
	report("gone_since_kill", gone - killed);
	report("longest", p->longest);
	report_pressure();
	return 0;
}
