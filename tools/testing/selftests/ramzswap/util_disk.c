// SPDX-License-Identifier: GPL-2.0
/* Disks that fail or stop, see swap_util.h. */
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

/**
 * inject() - let requests to a disk fail
 * @disk: name of the disk
 * @rule: which ones, see Documentation/block/error-injection.rst; "removeall" ends it
 *
 * Return: whether the kernel accepted the rule.
 */
bool inject(const char *disk, const char *rule)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/kernel/debug/block/%s/error_injection", disk);
	return file_write(path, rule);
}

#define DM_NAME		"ramzswap-test"

static struct {
	struct dm_ioctl ioctl;
	struct dm_target_spec target;
	char parameters[128];
} dm;
static __u64 dm_sectors;
char dm_disk[80];

static bool dm_call(unsigned long command, __u32 flags)
{
	int fd = open("/dev/mapper/control", O_RDWR), ret;

	dm.ioctl.version[0] = DM_VERSION_MAJOR;
	dm.ioctl.version[1] = 0;
	dm.ioctl.version[2] = 0;
	dm.ioctl.data_size = sizeof(dm);
	dm.ioctl.data_start = sizeof(dm.ioctl);
	dm.ioctl.flags = flags;
	dm.ioctl.dev = 0;
	strcpy(dm.ioctl.name, DM_NAME);
	ret = fd < 0 ? -1 : ioctl(fd, command, &dm);
	close(fd);
	return !ret;
}

/* Map the whole disk to @target. The table takes effect on resume. */
static bool dm_load(const char *target, const char *parameters)
{
	memset(&dm, 0, sizeof(dm));
	dm.ioctl.target_count = 1;
	dm.target.length = dm_sectors;
	strcpy(dm.target.target_type, target);
	snprintf(dm.parameters, sizeof(dm.parameters), "%s", parameters);
	return dm_call(DM_TABLE_LOAD, 0);
}

/**
 * dm_create() - map a disk with device mapper, so that it can be stopped
 * @disk: path of the disk
 * @path: gets the path of the mapping; at least 64 bytes
 * @most: number of bytes to map, or 0 for all
 *
 * Return: whether the mapping was created.
 */
bool dm_create(const char *disk, char *path, __u64 most)
{
	int fd = open(disk, O_RDONLY);
	__u64 bytes = 0;

	if (fd < 0)
		return false;
	ioctl(fd, BLKGETSIZE64, &bytes);
	close(fd);
	dm_sectors = (most && most < bytes ? most : bytes) / 512;
	snprintf(dm_disk, sizeof(dm_disk), "%s 0", disk);

	memset(&dm, 0, sizeof(dm));
	if (!dm_call(DM_DEV_CREATE, 0))
		return false;
	snprintf(path, 64, "/dev/dm-%llu",
		 (dm.ioctl.dev & 0xff) | (dm.ioctl.dev >> 12 & 0xfff00));
	return dm_load("linear", dm_disk) && dm_call(DM_DEV_SUSPEND, 0);
}

/**
 * dm_stop() - let all requests to the mapping wait
 *
 * Return: whether that worked.
 */
bool dm_stop(void)
{
	return dm_call(DM_DEV_SUSPEND, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG);
}

/**
 * dm_go_on() - undo dm_stop()
 *
 * Return: whether that worked.
 */
bool dm_go_on(void)
{
	return dm_call(DM_DEV_SUSPEND, 0);
}

/**
 * dm_replace() - replace the disk under the mapping
 * @target: type of the new target, such as "error"
 * @parameters: its parameters
 *
 * Return: whether that worked.
 */
bool dm_replace(const char *target, const char *parameters)
{
	return dm_load(target, parameters) &&
	       dm_call(DM_DEV_SUSPEND, DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG);
}

/**
 * dm_remove() - remove the mapping
 *
 * Return: whether that worked.
 */
bool dm_remove(void)
{
	return dm_call(DM_DEV_REMOVE, 0);
}
