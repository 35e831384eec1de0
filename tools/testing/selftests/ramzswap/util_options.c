// SPDX-License-Identifier: GPL-2.0
/* Options of long runs, see swap_util.h. */
#include <stdlib.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

/**
 * run_option() - take an option of RUN_OPTIONS
 * @opts: gets its value
 * @option: what getopt() returned
 *
 * Return: whether it is one of them.
 */
bool run_option(struct run_options *opts, int option)
{
	switch (option) {
	case 't':
		opts->seconds = strtoul(optarg, NULL, 0);
		return true;
	case 'n':
		opts->processes = strtoul(optarg, NULL, 0);
		return true;
	case 'm':
		opts->mib = strtoul(optarg, NULL, 0);
		return true;
	case 's':
		opts->seed = strtoull(optarg, NULL, 0);
		return true;
	}
	return false;
}
