// SPDX-License-Identifier: GPL-2.0
/* Memory cgroups, see swap_util.h. */
#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

/*
 * Find the mount point of the first cgroup hierarchy of @type with @option. @dir
 * gets it, or an empty string if there is none.
 */
static void cgroup_mount(const char *type, const char *option, char *dir, size_t size)
{
	FILE *f = setmntent("/proc/mounts", "r");
	struct mntent *m;

	dir[0] = '\0';
	while (f && !dir[0] && (m = getmntent(f)))
		if (!strcmp(m->mnt_type, type) && (!option || hasmntopt(m, option)))
			snprintf(dir, size, "%s", m->mnt_dir);
	if (f)
		endmntent(f);
}

/**
 * memcg_create() - create a cgroup with a memory controller
 * @name: its path below the root of the hierarchy
 * @dir: gets its directory
 * @size: size of @dir
 *
 * The cgroup is one of version 1 if that has the memory controller.
 *
 * Return: whether it was created.
 */
bool memcg_create(const char *name, char *dir, size_t size)
{
	const char *limit = "memory.limit_in_bytes";
	char root[256], path[384];

	cgroup_mount("cgroup", "memory", root, sizeof(root));
	if (!root[0]) {
		limit = "memory.max";
		cgroup_mount("cgroup2", NULL, root, sizeof(root));
		if (!root[0]) {
			snprintf(root, sizeof(root), "/sys/fs/cgroup");
			if (mount("none", root, "cgroup2", 0, NULL))
				return false;
		}
		snprintf(path, sizeof(path), "%s/cgroup.subtree_control", root);
		file_write(path, "+memory");
	}

	snprintf(dir, size, "%s/%s", root, name);
	rmdir(dir);
	if (mkdir(dir, 0755))
		return false;
	snprintf(path, sizeof(path), "%s/%s", dir, limit);
	if (access(path, F_OK)) {
		rmdir(dir);
		return false;
	}
	return true;
}

/**
 * memcg_enter() - move this process into a cgroup
 * @dir: directory of the cgroup
 *
 * Return: whether that worked.
 */
bool memcg_enter(const char *dir)
{
	return memcg_set(dir, "cgroup.procs", "0");
}

/**
 * memcg_remove() - remove a cgroup whose processes have ended or left
 * @dir: directory of the cgroup
 *
 * A process that was just reaped may still be charged for a moment.
 */
void memcg_remove(const char *dir)
{
	int i;

	for (i = 0; i < 100 && rmdir(dir) && errno == EBUSY; i++)
		usleep(10000);
}

/**
 * memcg_enter_own() - create a cgroup for the test itself, and enter it
 * @dir: gets the directory of the cgroup
 * @size: size of @dir
 *
 * Return: whether that worked.
 */
bool memcg_enter_own(char *dir, size_t size)
{
	return memcg_create("ramzswap-test", dir, size) && memcg_enter(dir);
}

/**
 * memcg_leave() - leave a cgroup for the one above, and remove it
 * @dir: directory of the cgroup
 *
 * Return: whether the process left it.
 */
bool memcg_leave(const char *dir)
{
	char parent[256];

	snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(dir, '/') - dir), dir);
	if (!memcg_enter(parent))
		return false;
	memcg_remove(dir);
	return true;
}

/**
 * memcg_set() - write a string to a file of a cgroup
 * @dir: directory of the cgroup
 * @file: the file
 * @value: the string
 *
 * Return: whether it was written.
 */
bool memcg_set(const char *dir, const char *file, const char *value)
{
	char path[384];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return file_write(path, value);
}

/**
 * memcg_set_number() - write a number to a file of a cgroup
 * @dir: directory of the cgroup
 * @file: the file
 * @value: the number
 *
 * Return: whether it was written.
 */
bool memcg_set_number(const char *dir, const char *file, long long value)
{
	char path[384];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return file_write_number(path, value);
}

/**
 * memcg_stat() - read a number of a cgroup's memory.stat
 * @dir: directory of the cgroup
 * @name: name of the number
 *
 * Return: the number, or -1 if it does not exist.
 */
long long memcg_stat(const char *dir, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/memory.stat", dir);
	return file_field(path, name);
}

/**
 * memcg_number() - read a cgroup's file with one number
 * @dir: directory of the cgroup
 * @file: the file
 *
 * Return: the number, or -1 if it does not exist.
 */
long long memcg_number(const char *dir, const char *file)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return file_number(path);
}

/* The kernel adds up the counters of its CPUs every two seconds, or later. */
#define STAT_DELAY_S	3
#define STAT_PATIENCE_S	20

/**
 * memcg_soon() - wait until a cgroup's number is what it should be
 * @number: memcg_stat() or memcg_number()
 * @dir: directory of the cgroup
 * @name: what to pass to @number
 * @want: the expected number
 *
 * Return: the number.
 */
long long memcg_soon(long long (*number)(const char *dir, const char *name),
		     const char *dir, const char *name, long long want)
{
	const double end = seconds_now() + STAT_PATIENCE_S;
	long long is;

	while ((is = number(dir, name)) != want && seconds_now() < end)
		usleep(100000);
	return is;
}

/**
 * memcg_stats_settle() - wait until the cgroups' statistics are up to date
 */
void memcg_stats_settle(void)
{
	sleep(STAT_DELAY_S);
}

/**
 * memcg_reclaim() - reclaim a cgroup's memory, its swap cache too
 * @dir: directory of the cgroup
 * @bytes: how much to reclaim at a time
 *
 * A page that was written to a disk stays in the swap cache until reclaim takes
 * it, which may be only after the write has ended. So this tries several times
 * after the last one has.
 *
 * Return: whether the cgroup has memory.reclaim.
 */
bool memcg_reclaim(const char *dir, long long bytes)
{
	const double end = seconds_now() + 5;
	long long writes;
	char path[384];
	int i;

	snprintf(path, sizeof(path), "%s/memory.reclaim", dir);
	if (access(path, F_OK))
		return false;
	for (i = 0; i < 20; i++) {
		writes = stat_of("bdev_num_writes");
		/* A page whose write has ended waits in a batch for its move to the list's end. */
		drain_lru_batches();
		file_write_number(path, bytes);
		usleep(10000);
		if (stat_of("bdev_num_writes") != writes && seconds_now() < end)
			i = 0;
	}
	return true;
}
