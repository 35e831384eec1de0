// SPDX-License-Identifier: GPL-2.0
/* The ramzswap device, see swap_util.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

/**
 * device_test_begin() - test_begin() for tests of the ramzswap device
 *
 * Return: NULL, or the reason to skip the tests.
 */
const char *device_test_begin(void)
{
	const char *reason = test_begin();

	if (!reason && access(DEVICE_SYSFS, F_OK))
		reason = "this kernel has no " DEVICE_PATH;
	return reason;
}

/**
 * backing_test_begin() - test_begin() for tests of backing devices
 *
 * Return: NULL, or the reason to skip the tests.
 */
const char *backing_test_begin(void)
{
	const char *reason = test_begin();

	if (!reason && access(DEVICE_SYSFS "backing_dev", F_OK))
		reason = "this kernel has no ramzswap device with a backing device";
	return reason;
}

/**
 * stat_of() - read a field of the ramzswap device's statistics
 * @name: the field
 *
 * Return: its value, or -1 if it does not exist.
 */
long long stat_of(const char *name)
{
	return device_stat(DEVICE, name);
}

/**
 * stat_settled() - wait until writes have ended
 * @name: a field of the device's statistics that they change
 *
 * Return: the field's value when it has stopped changing.
 */
long long stat_settled(const char *name)
{
	long long value = stat_of(name), before;
	int i, same = 0;

	/* On a busy machine, a write may take longer than one pause. */
	for (i = 0; i < 300 && same < 10; i++) {
		before = value;
		usleep(100000);
		value = stat_of(name);
		same = value == before ? same + 1 : 0;
	}
	return value;
}

/**
 * stat_reaches() - wait up to a minute for what is being written
 * @name: a field of the device's statistics
 * @least: what it should be at least
 *
 * Return: the field's value.
 */
long long stat_reaches(const char *name, long long least)
{
	const double end = seconds_now() + 60;
	long long value;

	while ((value = stat_of(name)) < least && seconds_now() < end)
		usleep(20000);
	return value;
}

/**
 * attr_number() - read a sysfs attribute of the ramzswap device
 * @attr: its name
 *
 * Return: the number in it, or -1 if it cannot be read.
 */
long long attr_number(const char *attr)
{
	char path[128];

	snprintf(path, sizeof(path), DEVICE_SYSFS "%s", attr);
	return file_number(path);
}

/**
 * attr_write() - write a sysfs attribute of the ramzswap device
 * @attr: its name
 * @value: what to write
 *
 * Return: 0, or the errno.
 */
int attr_write(const char *attr, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DEVICE_SYSFS "%s", attr);
	return file_write(path, value) ? 0 : errno;
}

/**
 * backing_is() - compare the state of the backing device
 * @state: with what, such as "running"
 *
 * Return: whether that is the state.
 */
bool backing_is(const char *state)
{
	char value[32];

	return file_read(DEVICE_SYSFS "backing_state", value, sizeof(value)) &&
	       !strncmp(value, state, strlen(state));
}

/**
 * backing_gets() - wait for a state of the backing device
 * @state: the state
 * @seconds: how long to wait
 *
 * Return: whether the backing device got into this state.
 */
bool backing_gets(const char *state, int seconds)
{
	const double end = seconds_now() + seconds;

	while (!backing_is(state)) {
		if (seconds_now() > end)
			return false;
		usleep(20000);
	}
	return true;
}

/**
 * device_on() - swap on the ramzswap device, above all other swap areas
 *
 * Return: whether that worked. If not, errno is that of swapon().
 */
bool device_on(void)
{
	return swap_enable(DEVICE_PATH, DEVICE_PRIO);
}
