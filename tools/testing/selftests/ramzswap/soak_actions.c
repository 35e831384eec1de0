// SPDX-License-Identifier: GPL-2.0
/* What the controller of soak does to the machine, see soak.c. */
#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest.h"
#include "soak.h"

#define CPU1		"/sys/devices/system/cpu/cpu1/online"
#define MEMORY		"/sys/devices/system/memory/"
#define CORRUPT_PFN	"/sys/kernel/debug/hwpoison/corrupt-pfn"

static void count(const char *name);

#define WRITE(what, file, ...)		\
	{ .name = what, .path = file, .values = { __VA_ARGS__ } }
#define ZSWAP(name, ...)		\
	WRITE(#name, ZSWAP_PARAM #name, __VA_ARGS__)
#define ATTR(nr, attr, ...)		\
	WRITE(#attr " of ramzswap" #nr, "/sys/block/ramzswap" #nr "/" #attr, __VA_ARGS__)
#define FOLIOS(size, attr, ...)		\
	WRITE(#attr " of " #size, THP "hugepages-" #size "/" #attr, __VA_ARGS__)
#define SYSCTL(name, ...)		\
	WRITE(#name, "/proc/sys/vm/" #name, __VA_ARGS__)

bool device_attr(unsigned int nr, const char *attr, const char *value)
{
	char path[80];

	snprintf(path, sizeof(path), "/sys/block/ramzswap%u/%s", nr, attr);
	return file_write(path, value);
}

static const char *const sizes[] = { "50%", "100%", "200%", "400%" };

/* Number 0 has a backing device, 1 has none, 2 is the disk. */
static bool swap_on(unsigned int nr, __u64 dice)
{
	int flags = SWAP_FLAG_PREFER | (10 + (dice >> 8) % 3);
	char path[32];

	if (dice >> 16 & 1)
		flags |= SWAP_FLAG_DISCARD;
	snprintf(path, sizeof(path), "/dev/ramzswap%u", nr);
	return !swapon(nr < 2 ? path : other_disk, flags);
}

bool device_setup(unsigned int nr, __u64 dice)
{
	return device_attr(nr, "reset", "1") &&
	       device_attr(nr, "disksize", sizes[dice % ARRAY_SIZE(sizes)]) &&
	       (nr ? device_attr(nr, "mem_limit", "10%") : device_attr(nr, "backing_dev", backing));
}

static bool off_and_on(__u64 dice)
{
	unsigned int nr = dice % 3, i;
	char path[32];

	snprintf(path, sizeof(path), "/dev/ramzswap%u", nr);
	/* swapoff brings many pages back, which makes its process the first OOM victim. */
	if (swap_used(nr < 2 ? path : other_disk) >= 0) {
		if (swapoff(nr < 2 ? path : other_disk))
			return false;
		count("swapoff");
	}
	usleep((dice >> 32) % 1000000);
	if (nr < 2 && dice >> 40 & 1 && device_setup(nr, dice >> 8))
		count("reset");
	for (i = 0; i < 100 && !swap_on(nr, dice); i++) {
		if (i % 4 == 3)
			file_write(ZSWAP_PARAM "enabled", "Y");
		usleep(100000);
	}
	return i < 100;
}

void all_on(void)
{
	unsigned int nr;
	int i;

	/* swapon fails for a device that is on. */
	for (nr = 0; nr < 3; nr++)
		for (i = 0; i < 20 && !swap_on(nr, 0) && errno == EOPNOTSUPP; i++)
			file_write(ZSWAP_PARAM "enabled", "Y");
}

bool memcg_write(unsigned int id, const char *file, const char *value)
{
	return memcg_set(shared->workers[id].dir, file, value);
}

static bool limit_memcg(__u64 dice)
{
	static const char * const names[] = {
		"memory.max", "memory.high", "memory.zswap.max", "memory.swap.max",
		"memory.zswap.writeback",
	};
	const unsigned int id = dice % opts.processes, what = (dice >> 8) % ARRAY_SIZE(names);
	unsigned long percent = (what < 2 ? 50 : what == 2 ? 0 : 70) + (dice >> 16) % 60;
	char value[32];

	snprintf(value, sizeof(value), "%lu", opts.mib * MIB / 100 * percent);
	if (what == 4)
		strcpy(value, dice >> 32 & 1 ? "1" : "0");
	else if ((dice >> 32) % 3 == 0)
		strcpy(value, "max");
	return memcg_write(id, names[what], value);
}

static bool reclaim_memcg(__u64 dice)
{
	return memcg_write(dice % opts.processes, "memory.reclaim",
			   (dice >> 8) & 1 ? "16M" : "64M");
}

/* The worker goes to a new cgroup; the old one is removed with all its pages in it. */
static bool replace_memcg(__u64 dice)
{
	const unsigned int id = dice % opts.processes;
	char name[64], dir[256], old[256], path[300];

	strcpy(old, shared->workers[id].dir);
	snprintf(name, sizeof(name), "soak-%u-%u", id, (unsigned int)getpid());
	if (!memcg_create(name, dir, sizeof(dir)))
		return false;
	strcpy(shared->workers[id].dir, dir);
	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	if (shared->workers[id].pid > 0)
		file_write_number(path, shared->workers[id].pid);
	memcg_remove(old);
	if (!access(old, F_OK))
		return false;
	count("cgroup deletion");
	return true;
}

/* Two workers in one cgroup, until the cgroup is replaced. */
static bool share_memcg(__u64 dice)
{
	pid_t pid = shared->workers[(dice >> 8) % opts.processes].pid;
	char value[32];

	snprintf(value, sizeof(value), "%d", pid);
	return pid > 0 && memcg_write(dice % opts.processes, "cgroup.procs", value);
}

static bool kill_worker(__u64 dice)
{
	pid_t pid = shared->workers[dice % opts.processes].pid;

	/* Rarely: a new cgroup has no old pages. */
	return (dice >> 32) % 8 == 0 && pid > 0 && !kill(pid, SIGKILL);
}

void cpu_on(void)
{
	file_write(CPU1, "1");
}

static bool cpu_off_and_on(__u64 dice)
{
	if (!file_write(CPU1, "0"))
		return false;
	usleep(dice % 2000000);
	cpu_on();
	return true;
}

/* Memory that can be unplugged is in a zone of its own ("movablecore="). */
void memory_on(void)
{
	glob_t g;
	size_t i;

	if (!glob(MEMORY "memory*/state", 0, NULL, &g)) {
		for (i = 0; i < g.gl_pathc; i++)
			file_write(g.gl_pathv[i], "online_movable");
		globfree(&g);
	}
}

static bool memory_off_and_on(__u64 dice)
{
	char zones[64], *path;
	bool off = false;
	glob_t g;
	size_t i;

	/* Offlining takes long, and leaves less memory for the workers meanwhile. */
	if ((dice >> 40) % 4)
		return false;
	/*
	 * Offlining isolates the pages of a whole block.  All tasks that reclaim wait
	 * for the number of isolated pages to go down, and so does compaction.
	 */
	alarm(20);
	if (glob(MEMORY "memory*/valid_zones", 0, NULL, &g))
		return false;
	for (i = 0; i < g.gl_pathc && !off; i++) {
		path = g.gl_pathv[(i + dice) % g.gl_pathc];
		if (!file_read(path, zones, sizeof(zones)) || strncmp(zones, "Movable", 7))
			continue;
		strcpy(strrchr(path, '/'), "/state");
		off = file_write(path, "offline");
	}
	if (off)
		usleep((dice >> 16) % 3000000);
	memory_on();
	return off;
}

/* Take pages of the pool away, and give the frames back later. */
static bool take_frame(const char *file, bool address, __u64 dice)
{
	static unsigned long pfns[4096];
	unsigned long nr = find_pool_pages(pfns, ARRAY_SIZE(pfns)), pfn;

	if (!nr)
		return false;
	pfn = pfns[dice % (nr < ARRAY_SIZE(pfns) ? nr : ARRAY_SIZE(pfns))];
	/* EBUSY: the frame is bad now, but the kernel could not take it away. */
	if (!file_write_number(file, address ? pfn * page_size : pfn) && errno != EBUSY)
		return false;
	usleep((dice >> 32) % 1000000);
	file_write_number(UNPOISON_PFN, pfn);
	return true;
}

static bool soft_offline(__u64 dice)
{
	return take_frame(SOFT_OFFLINE, true, dice);
}

static bool poison_frame(__u64 dice)
{
	return poison && take_frame(CORRUPT_PFN, false, dice);
}

void backing_back(void)
{
	inject(backing_disk, "removeall");
	dm_go_on();
}

static bool backing_fails(__u64 dice)
{
	static const char * const rules[] = {
		"add,op=WRITE,status=TRANSPORT", "add,op=WRITE,status=IOERR",
		"add,op=WRITE,status=MEDIUM,start=65536,nr_sectors=65536",
	};
	bool done = inject(backing_disk, rules[(dice >> 8) % ARRAY_SIZE(rules)]);

	usleep(dice % 4000000);
	inject(backing_disk, "removeall");
	return done;
}

static bool backing_hangs(__u64 dice)
{
	bool done = dm_stop();

	usleep(dice % 3000000);
	return dm_go_on() && done;
}

static bool read_all(__u64 dice)
{
	static const char * const patterns[] = {
		RAMZSWAP_DEBUG "*", RAMZSWAP_DEBUG "*/stats", "/sys/block/ramzswap?/*",
		"/sys/block/ramzswap?/stats/*", "/proc/swaps", "/proc/vmallocinfo",
		ZSWAP_DEBUG "*",
	};
	char buf[8192];
	size_t i, k;
	glob_t g;

	for (k = 0; k < ARRAY_SIZE(patterns); k++) {
		if (glob(patterns[k], 0, NULL, &g))
			continue;
		for (i = 0; i < g.gl_pathc; i++)
			file_read(g.gl_pathv[i], buf, sizeof(buf));
		globfree(&g);
	}
	return file_read("/dev/ramzswap0", buf, sizeof(buf));
}

const struct action actions[] = {
	ZSWAP(compressor, "lz4", "zstd", "lzo", "lzo-rle", "lz4"),
	ZSWAP(cold_compressor, "zstd", "lzo", "\n", "zstd"),
	ZSWAP(max_pool_percent, "1", "5", "20", "50", "90"),
	ZSWAP(accept_threshold_percent, "50", "90", "100"),
	ZSWAP(enabled, "Y", "Y", "N", "Y"),
	ZSWAP(shrinker_enabled, "Y", "N"),
	ATTR(0, mem_limit, "0", "0", "8M", "64M", "20%"),
	ATTR(1, mem_limit, "10%", "5%", "1M", "20%", "10%"),
	ATTR(0, squeeze, "1M", "8M", "32M"),
	ATTR(1, squeeze, "1M", "8M", "32M"),
	ATTR(0, writeback, "1M", "8M", "32M"),
	ATTR(1, writeback, "1M"),
	SYSCTL(compact_memory, "1"),
	SYSCTL(drop_caches, "3"),
	WRITE("page-cluster", "/proc/sys/vm/page-cluster", "0", "3", "5"),
	SYSCTL(swappiness, "1", "60", "100", "200"),
	WRITE("ksm", "/sys/kernel/mm/ksm/run", "1", "0", "1", "2", "1"),
	FOLIOS(16kB, enabled, "always", "never", "madvise"),
	FOLIOS(64kB, enabled, "always", "never", "madvise"),
	FOLIOS(2048kB, enabled, "always", "never", "madvise"),
	FOLIOS(64kB, shmem_enabled, "always", "never", "advise"),
	FOLIOS(2048kB, shmem_enabled, "always", "never", "within_size"),
	{ .name = "swapon", .run = off_and_on, .undo = all_on },
	{ .name = "swapoff" },		/* counted by others */
	{ .name = "reset" },
	{ .name = "cgroup limit", .run = limit_memcg },
	{ .name = "cgroup reclaim", .run = reclaim_memcg },
	{ .name = "cgroup replaced", .run = replace_memcg },
	{ .name = "cgroup deletion" },
	{ .name = "cgroup shared", .run = share_memcg },
	{ .name = "worker killed", .run = kill_worker },
	{ .name = "CPU hotplug", .run = cpu_off_and_on, .undo = cpu_on },
	{ .name = "memory hotplug", .run = memory_off_and_on, .undo = memory_on },
	{ .name = "soft offline", .run = soft_offline },
	{ .name = "poisoned frame", .run = poison_frame },
	{ .name = "backing device fails", .run = backing_fails, .undo = backing_back },
	{ .name = "backing device hangs", .run = backing_hangs, .undo = backing_back },
	{ .name = "statistics read", .run = read_all },
};

const unsigned int nr_actions = ARRAY_SIZE(actions);

static void count(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(actions); i++)
		if (!strcmp(actions[i].name, name))
			add(&shared->counts[i], 1);
}
