// SPDX-License-Identifier: GPL-2.0
/*
 * Are the cold pages the ones that go to the disk? Processes in cgroups of their own fill memory and use a part
 * of it again and again, on a machine whose compressed pages do not all fit into memory. What the used part
 * costs is counted.
 *
 * Usage: aging CASE FILE...
 *
 *   CASE	idle	one cgroup has most of the cache and sleeps, another one works
 *		many	24 cgroups, used with very different frequencies
 *		fourth	every fourth page of a mapping is read, in order, while new pages come in
 *		fourth-write	the same, but these pages are written as well, and at random
 *		read	data is written once, then only read, more of it than fits
 *		thp	as "idle", with transparent huge pages
 *   FILE	pages as a program had them in memory: what is in the pages
 *
 * The swap to be measured is set up already, /dev/disk/swap is its disk, and cgroup2 is mounted. The sizes follow
 * from the limit of the pool and from how far the files' pages compress (the environment's RATIO, in percent of
 * a page; the default is that of the recorded pages with LZ4). Only one process runs at a time.
 *
 * Output: lines "NAME VALUE", counted while the pages that are in use are touched: major faults, pages read
 * from the disk; and pages written to the disk from the beginning to the end.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>

#include "region.h"

#define CGROUPS		"/sys/fs/cgroup"
#define NR_MANY		24
#define RATIO_DEFAULT	36

/* What a process does; it answers with its major faults. */
enum what { FILL, TOUCH, WRITE, READ_FOURTH, WRITE_FOURTH, EXIT };

struct order {
	enum what what;
	unsigned long nr;	/* touches, or MiB */
};

struct worker {
	pid_t pid;
	int orders, answers;
	char cgroup[64];
};

static int advice = MADV_NOHUGEPAGE;

static void write_file_in(const char *dir, const char *name, const char *value)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY);
	/* memory.reclaim says EAGAIN when it got less than it was asked for. */
	if (fd < 0 || (write(fd, value, strlen(value)) < 0 && errno != EAGAIN))
		err(1, "%s", path);
	close(fd);
}

static void set_mib(const struct worker *w, const char *name, unsigned long mib)
{
	char value[32];

	snprintf(value, sizeof(value), "%luM", mib);
	write_file_in(w->cgroup, name, value);
}

static unsigned long read_number(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned long value;

	if (!f || fscanf(f, "%lu", &value) != 1)
		errx(1, "%s cannot be read", path);
	fclose(f);
	return value;
}

static unsigned long ratio(void)
{
	return getenv("RATIO") ? strtoul(getenv("RATIO"), NULL, 0) : RATIO_DEFAULT;
}

/*
 * Give a cgroup memory for @resident MiB of @mib, and for all of them as they are
 * compressed: these count as its memory as well.
 */
static void set_max(const struct worker *w, unsigned long mib, unsigned long resident)
{
	set_mib(w, "memory.max", resident + mib * ratio() / 100 + 1);
}

/* How many MiB of pages the pool has room for */
static unsigned long cache_mib(void)
{
	unsigned long percent = read_number("/sys/module/zswap/parameters/max_pool_percent");
	unsigned long total = sysconf(_SC_PHYS_PAGES) / PAGES_PER_MIB;

	return total * percent / 100 * 100 / ratio();
}

static long major_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_majflt;
}

static void touch_fourths(struct region *r, unsigned long rounds)
{
	unsigned long i;

	while (rounds--)
		for (i = 0; i < r->nr_pages; i += 4)
			touch(r, i, false);
}

static void touch_reading(struct region *r, unsigned long times)
{
	while (times--)
		touch(r, random_next() % r->nr_pages, false);
}

static void work(int orders, int answers)
{
	struct region r = { .name = "aging" };
	struct order order;

	while (read(orders, &order, sizeof(order)) == sizeof(order) && order.what != EXIT) {
		long faults = major_faults();

		switch (order.what) {
		case FILL:
			r = region_make(r.name, order.nr);
			region_fill(&r, advice);
			break;
		case TOUCH:
			touch_reading(&r, order.nr);
			break;
		case WRITE:
			touch_some(&r, order.nr, 1);
			break;
		case READ_FOURTH:
			touch_fourths(&r, order.nr);
			break;
		case WRITE_FOURTH:
			touch_some(&r, order.nr * r.nr_pages / 4, 4);
			break;
		case EXIT:
			break;
		}
		faults = major_faults() - faults;
		if (write(answers, &faults, sizeof(faults)) != sizeof(faults))
			err(1, "answer");
	}
	/* Whatever has become of the pages, they have to be right. */
	touch_fourths(&r, 1);
	exit(0);
}

static struct worker start(const char *name)
{
	struct worker w;
	int orders[2], answers[2];

	snprintf(w.cgroup, sizeof(w.cgroup), CGROUPS "/%s", name);
	if (mkdir(w.cgroup, 0755) || pipe(orders) || pipe(answers))
		err(1, "%s", w.cgroup);
	w.pid = fork();
	if (w.pid < 0)
		err(1, "fork");
	if (!w.pid) {
		write_file_in(w.cgroup, "cgroup.procs", "0");
		/* While what was reclaimed is still being written, it tries again. */
		write_file_in("/proc/self", "oom_score_adj", "-1000");
		close(orders[1]);
		close(answers[0]);
		work(orders[0], answers[1]);
	}
	close(orders[0]);
	close(answers[1]);
	w.orders = orders[1];
	w.answers = answers[0];
	return w;
}

/* Return: major faults meanwhile */
static long tell(const struct worker *w, enum what what, unsigned long nr)
{
	struct order order = { .what = what, .nr = nr };
	long faults;

	if (write(w->orders, &order, sizeof(order)) != sizeof(order))
		err(1, "order");
	if (read(w->answers, &faults, sizeof(faults)) != sizeof(faults))
		errx(1, "%s: the process died", w->cgroup);
	return faults;
}

static void stop(struct worker *w)
{
	struct order order = { .what = EXIT };
	int status;

	if (write(w->orders, &order, sizeof(order)) != sizeof(order) ||
	    waitpid(w->pid, &status, 0) != w->pid || status)
		errx(1, "%s: the process ended with status %d", w->cgroup, status);
	close(w->orders);
	close(w->answers);
	/* The cgroup is busy for as long as the process is not quite gone. */
	while (rmdir(w->cgroup)) {
		if (errno != EBUSY)
			err(1, "%s", w->cgroup);
		usleep(10000);
	}
}

static void report(const char *name, double value)
{
	printf("%s %.0f\n", name, value);
	fflush(stdout);
}

static void report_use(long faults, struct disk before, struct disk after)
{
	report("major", faults);
	report("disk_in", after.in - before.in);
}

/* A fills most of the cache and sleeps; B works with what does not fit into its own memory. */
static void idle(unsigned long cache)
{
	struct worker a = start("a"), b = start("b");
	unsigned long hot = cache;
	struct disk before;
	long faults;

	tell(&a, FILL, cache * 8 / 10);
	set_mib(&a, "memory.reclaim", cache * 8 / 10);
	set_max(&b, hot, hot / 4);
	tell(&b, FILL, hot);
	/* Until things are where they stay */
	tell(&b, WRITE, hot * PAGES_PER_MIB);
	before = disk_read();
	faults = tell(&b, WRITE, hot * PAGES_PER_MIB);
	report_use(faults, before, disk_read());
	stop(&b);
	stop(&a);
}

/* The n-th of many is used n times less often than the first; the first quarter counts as in use. */
static void many(unsigned long cache)
{
	unsigned long each = cache * 2 / NR_MANY + 1, pages = each * PAGES_PER_MIB;
	struct worker w[NR_MANY];
	struct disk before, after;
	unsigned long in = 0;
	long faults = 0;
	int i, round;

	for (i = 0; i < NR_MANY; i++) {
		char name[16];

		snprintf(name, sizeof(name), "m%d", i);
		w[i] = start(name);
		set_max(&w[i], each, each / 4);
		tell(&w[i], FILL, each);
	}
	for (round = 0; round < 8; round++)
		for (i = 0; i < NR_MANY; i++) {
			before = disk_read();
			if (round < 4 || i >= NR_MANY / 4) {
				tell(&w[i], WRITE, pages / (i + 1));
				continue;
			}
			faults += tell(&w[i], WRITE, pages / (i + 1));
			after = disk_read();
			in += after.in - before.in;
		}
	report("major", faults);
	report("disk_in", in);
	for (i = 0; i < NR_MANY; i++)
		stop(&w[i]);
}

/* One mapping, of which a quarter would fit, and new pages that nobody uses again */
static void fourth(unsigned long cache, enum what what)
{
	struct worker a = start("a"), b = start("b");
	struct disk before;
	unsigned long in = 0;
	long faults = 0;
	int round;

	set_max(&a, cache, cache / 16);
	set_max(&b, cache, cache / 8);
	tell(&a, FILL, cache * 3 / 2);
	for (round = 0; round < 6; round++) {
		tell(&b, FILL, cache / 4);
		before = disk_read();
		if (round < 3) {
			tell(&a, what, 1);
			continue;
		}
		faults += tell(&a, what, 1);
		in += disk_read().in - before.in;
	}
	report("major", faults);
	report("disk_in", in);
	stop(&b);
	stop(&a);
}

static void read_mostly(unsigned long cache)
{
	struct worker a = start("a");
	unsigned long size = cache * 3 / 2;
	struct disk before, after;
	long faults;

	set_max(&a, size, size / 8);
	tell(&a, FILL, size);
	tell(&a, TOUCH, size * PAGES_PER_MIB);
	before = disk_read();
	faults = tell(&a, TOUCH, size * PAGES_PER_MIB);
	after = disk_read();
	report_use(faults, before, after);
	report("disk_out_reading", after.out - before.out);
	stop(&a);
}

int main(int argc, char **argv)
{
	struct disk before;
	unsigned long cache;
	int arg;

	if (argc < 3)
		errx(1, "usage: aging idle|many|fourth|fourth-write|read|thp FILE...");
	for (arg = 2; arg < argc; arg++)
		source_add(argv[arg]);
	find_disk();
	/* What the kernel says of that has call traces, which are no fault. */
	write_file_in("/proc/sys/kernel", "printk", "1");
	write_file_in(CGROUPS, "cgroup.subtree_control", "+memory");
	cache = cache_mib();
	before = disk_read();
	if (!strcmp(argv[1], "idle")) {
		idle(cache);
	} else if (!strcmp(argv[1], "many")) {
		many(cache);
	} else if (!strcmp(argv[1], "fourth")) {
		fourth(cache, READ_FOURTH);
	} else if (!strcmp(argv[1], "fourth-write")) {
		fourth(cache, WRITE_FOURTH);
	} else if (!strcmp(argv[1], "read")) {
		read_mostly(cache);
	} else if (!strcmp(argv[1], "thp")) {
		advice = MADV_HUGEPAGE;
		idle(cache);
	} else {
		errx(1, "no case is named %s", argv[1]);
	}
	report("disk_out", disk_read().out - before.out);
	return 0;
}
