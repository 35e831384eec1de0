// SPDX-License-Identifier: GPL-2.0
/* Allocations that fail, see swap_util.h. */
#include <stdio.h>

#include "kselftest.h"
#include "swap_util.h"

#define MANY_TIMES	1000000000

static const char * const injectors[] = { "failslab", "fail_page_alloc" };

/**
 * injector_set() - set a number of a fault injector of the kernel
 * @injector: failslab or fail_page_alloc
 * @name: its file with the number
 * @value: the number
 *
 * Return: whether that worked.
 */
bool injector_set(const char *injector, const char *name, long long value)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", injector, name);
	return file_write_number(path, value);
}

/**
 * injectors_prepare() - let allocations fail
 * @percent: how many of them
 * @all_tasks: allocations of all tasks, not only of those that opt in
 *
 * This includes allocations that may wait, such as those of reclaim.
 *
 * Return: whether the kernel can do that.
 */
bool injectors_prepare(int percent, bool all_tasks)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(injectors); i++)
		if (!injector_set(injectors[i], "task-filter", !all_tasks) ||
		    !injector_set(injectors[i], "verbose", 0) ||
		    !injector_set(injectors[i], "ignore-gfp-wait", 0) ||
		    !injector_set(injectors[i], "times", MANY_TIMES) ||
		    !injector_set(injectors[i], "probability", percent))
			return false;
	return injector_set("fail_page_alloc", "min-order", 0) &&
	       injector_set("fail_page_alloc", "ignore-gfp-highmem", 0);
}

/**
 * injector_failures() - count the allocations that have failed
 * @injector: failslab or fail_page_alloc
 *
 * Return: their number since injectors_prepare().
 */
long long injector_failures(const char *injector)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/times", injector);
	return MANY_TIMES - file_number(path);
}
