// SPDX-License-Identifier: GPL-2.0
/*
 * A long run: processes fill more memory than there is with pages whose contents
 * follow from their owner, their index and how often they were written. They
 * write, read, swap out, fork, share, merge, move and free them. Meanwhile a
 * controller changes every setting there is, and takes away devices, CPUs, memory
 * and the backing device. Each page is verified whenever it is touched.
 *
 * What each process does follows from the seed; how they interleave does not.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "soak.h"

#define MAX_AT_ONCE	3	/* actions of the controller */
#define USAGE		"Usage: %s -b disk " RUN_USAGE " [-p]\n"

struct run_options opts = { .seconds = 60, .processes = 6, .seed = 1 };
bool poison;
char backing[64], *backing_disk, other_disk[64];
struct shared *shared;

static void start_worker(unsigned int id)
{
	unsigned int owner = ++shared->owners % 0xfff0;
	pid_t pid;

	shared->workers[id].since = seconds_now();
	pid = fork();
	if (!pid)
		work(id, owner);
	if (pid < 0)
		ksft_perror("fork");
	shared->workers[id].pid = pid;
}

static struct { pid_t pid; unsigned int which; double since; } running[MAX_AT_ONCE];

static void start_action(__u64 dice)
{
	const unsigned int which = dice % nr_actions, slot = (dice >> 16) % MAX_AT_ONCE;
	const struct action *a = &actions[which];
	const char *value = NULL;
	unsigned int i, nr = 0;

	/* Never run an action twice at the same time: one would undo the other. */
	for (i = 0; i < MAX_AT_ONCE; i++)
		if (running[i].pid && (i == slot || running[i].which == which))
			return;
	if (!a->run && (!a->path || access(a->path, W_OK)))
		return;
	while (nr < ARRAY_SIZE(a->values) && a->values[nr])
		nr++;
	if (nr)
		value = a->values[(dice >> 24) % nr];
	note(&shared->controller, a->name, 0, 0)->detail = nr ? (dice >> 24) % nr : dice >> 32;
	add(&shared->tries[which], 1);
	running[slot].which = which;
	running[slot].since = seconds_now();
	running[slot].pid = fork();
	if (running[slot].pid)
		return;
	file_write("/proc/self/oom_score_adj", "0");
	alarm(PATIENCE / 5);
	_exit((value ? file_write(a->path, value) : a->run(dice >> 8)) ? DONE : FAILED);
}

/* === All together ======================================================== */

static bool report_stuck(const char *what, pid_t pid)
{
	char path[64], stack[2048];

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	if (!file_read(path, stack, sizeof(stack)))
		stack[0] = '\0';
	ksft_print_msg("%s (pid %d) is stuck:\n%s\n", what, pid, stack);
	shared->failed = true;
	return true;
}

/* Reap processes that have ended. Return: whether one that should end is left. */
static bool reap(bool restart)
{
	bool left = false;
	unsigned int i;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		bool is_action = false, killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;

		for (i = 0; i < MAX_AT_ONCE; i++) {
			if (pid != running[i].pid)
				continue;
			is_action = true;
			running[i].pid = 0;
			if (WIFEXITED(status) && WEXITSTATUS(status) == DONE)
				add(&shared->counts[running[i].which], 1);
			else if (actions[running[i].which].undo)
				actions[running[i].which].undo();
		}
		if (is_action)
			continue;
		/* Children of killed workers come here, too. */
		for (i = 0; i < opts.processes; i++) {
			if (pid != shared->workers[i].pid)
				continue;
			shared->kills += killed;
			shared->workers[i].pid = 0;
			if (restart && !shared->failed)
				start_worker(i);
		}
		if (!killed && status) {
			ksft_print_msg("pid %d ended with status %#x\n", pid, status);
			shared->failed = true;
		}
	}
	for (i = 0; i < MAX_AT_ONCE; i++) {
		left |= !!running[i].pid;
		if (running[i].pid && seconds_now() > running[i].since + PATIENCE)
			return report_stuck(actions[running[i].which].name, running[i].pid);
	}
	for (i = 0; i < opts.processes; i++) {
		left |= !!shared->workers[i].pid;
		if (shared->workers[i].progress != shared->workers[i].seen) {
			shared->workers[i].seen = shared->workers[i].progress;
			shared->workers[i].since = seconds_now();
		} else if (shared->workers[i].pid &&
			   seconds_now() > shared->workers[i].since + PATIENCE) {
			return report_stuck("a worker", shared->workers[i].pid);
		}
	}
	return left;
}

static const char *setup(const char *disk)
{
	struct swap_area areas[4];
	char real[80];
	unsigned int i;

	if (swap_areas(areas, 4) != 1 || strncmp(areas[0].path, "/dev/", 5))
		return "one swap disk has to be in use";
	strcpy(other_disk, areas[0].path);
	if (!disk || !realpath(disk, real) || !dm_create(real, backing, 0))
		return "no disk for the backing device (-b), or no device mapper";
	backing_disk = strdup(strrchr(real, '/') + 1);
	file_write(ZSWAP_PARAM "cold_compressor", "zstd");
	if (!device_setup(0, 2) || !device_setup(1, 2))
		return "two ramzswap devices are needed (ramzswap.num_devices=2)";
	all_on();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	file_write("/proc/self/oom_score_adj", "-1000");
	file_write("/sys/kernel/mm/ksm/pages_to_scan", "500");
	file_write("/sys/kernel/mm/ksm/run", "1");
	if (!setup_files())
		return "no shared memory";
	for (i = 0; i < opts.processes; i++) {
		char name[32];

		snprintf(name, sizeof(name), "soak-%u", i);
		if (!memcg_create(name, shared->workers[i].dir, sizeof(shared->workers[i].dir)))
			return "no cgroup with a memory controller";
	}
	return NULL;
}

/* After the run, without any limits: return whether nothing is left. */
static bool nothing_left(void)
{
	const double end = seconds_now() + 30;
	unsigned int i;
	bool good = true;

	zswap_defaults();
	file_write("/sys/kernel/mm/ksm/run", "2");
	for (i = 0; i < NR_FILES; i++)
		close(files[i].fd);
	umount("/tmp/soak");
	if (swapoff("/dev/ramzswap0") || swapoff("/dev/ramzswap1") || swapoff(other_disk)) {
		ksft_perror("swapoff");
		good = false;
	}
	/* Poisoned frames stay in the pool. */
	while ((pages_stored() || (pool_pages() && !poison)) && seconds_now() < end)
		usleep(100000);
	ksft_print_msg("%lld pages stored, in %lld of memory\n", pages_stored(), pool_pages());
	good &= !pages_stored() && (!pool_pages() || poison) && !zswap_value("stored_pages");
	for (i = 0; i < 2; i++) {
		const char *device = i ? "ramzswap1" : "ramzswap0";

		const long long stored = device_stat(device, "pages_stored");
		const long long spilled = device_stat(device, "pages_spilled");
		const long long failed = device_stat(device, "failed_reads");

		ksft_print_msg("%s: %lld stored, %lld on the disk, %lld reads failed\n", device,
			       stored, spilled, failed);
		if (stored || spilled || device_stat(device, "compr_data_size") ||
		    device_stat(device, "backing_blocks_used") > 0 || (failed && !poison))
			good = false;
		good &= device_attr(i, "reset", "1");
	}
	return dm_remove() && good;
}

static void print_counts(void)
{
	char stat[4096];
	unsigned int i;

	ksft_print_msg("%.0f seconds, seed %llu, %lu workers of %lu MiB\n",
		       seconds_now() - shared->started, opts.seed, opts.processes, opts.mib);
	ksft_print_msg("%lu page touches verified\n", shared->touches);
	ksft_print_msg("%lu round trips verified\n", shared->trips);
	if (file_read("/proc/stat", stat, sizeof(stat)))
		ksft_print_msg("CPU time (user, nice, system, idle, I/O, interrupts): %.*s\n",
			       (int)strcspn(stat, "\n"), stat);
	ksft_print_msg("%lu operations, %lu reads by the kernel\n", shared->operations,
		       shared->kernel_reads);
	ksft_print_msg("%lu workers killed, and %lu of their children; %lu exits\n",
		       shared->kills, shared->children_killed, shared->exits);
	if (poison)
		ksft_print_msg("%lu pages lost in bad frames\n", shared->lost);
	for (i = 0; i < nr_actions; i++)
		ksft_print_msg("%lu times %s (tried %lu times)\n", shared->counts[i],
			       actions[i].name, shared->tries[i]);
}

static void finish(void)
{
	double next = 0;
	unsigned int i;
	glob_t g;

	shared->stop = true;
	while (reap(false) && !shared->failed) {
		/* Stop disturbing the workers while they verify their memory. */
		if (seconds_now() > next) {
			zswap_defaults();
			all_on();
			backing_back();
			cpu_on();
			memory_on();
			for (i = 0; i < opts.processes; i++) {
				memcg_write(i, "memory.max", "max");
				memcg_write(i, "memory.high", "max");
			}
			next = seconds_now() + 10;
		}
		usleep(100000);
	}
	for (i = 0; i < opts.processes; i++)
		if (shared->workers[i].pid > 0)
			kill(shared->workers[i].pid, SIGKILL);
	for (i = 0; i < NR_FILES; i++) {
		if (!shared->failed)
			check_all(&files[i]);
		munmap(files[i].mem, FILE_PAGES * page_size);
	}
	if (!glob("/sys/fs/cgroup/soak-*", 0, NULL, &g))
		for (i = 0; i < g.gl_pathc; i++)
			memcg_remove(g.gl_pathv[i]);
}

int main(int argc, char **argv)
{
	const char *reason, *disk = NULL;
	double said = 0;
	unsigned int i;
	__u64 state;
	int c;

	while ((c = getopt(argc, argv, RUN_OPTIONS "b:p")) != -1) {
		switch (c) {
		case 'b':
			disk = optarg;
			break;
		case 'p':	/* poison frames, so that pages are lost */
			poison = true;
			break;
		default:
			if (!run_option(&opts, c))
				ksft_exit_fail_msg(USAGE, argv[0]);
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	ksft_print_header();
	reason = test_begin();
	if (reason)
		ksft_exit_skip("%s\n", reason);
	if (!opts.mib)
		opts.mib = meminfo_kb("MemTotal:") * 5 / 4 / 1024 / opts.processes;
	if (!opts.processes || opts.processes > MAX_WORKERS || opts.mib < 4)
		ksft_exit_fail_msg("too many or too few workers\n");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	test_stay_resident();
	reason = setup(disk);
	if (reason)
		ksft_exit_skip("%s\n", reason);
	ksft_set_plan(2);

	shared->started = seconds_now();
	state = opts.seed;
	for (i = 0; i < opts.processes; i++)
		start_worker(i);
	while (!shared->failed && seconds_now() < shared->started + opts.seconds) {
		reap(true);
		start_action(random_next(&state));
		usleep(100000);
		if (seconds_now() > said + 60) {
			said = seconds_now();
			ksft_print_msg("%.0f s: %lu touches, %lu round trips, %lu kills;",
				       said - shared->started, shared->touches, shared->trips,
				       shared->kills);
			for (i = 0; i < MAX_AT_ONCE; i++)
				if (running[i].pid)
					printf(" %s for %.0f s", actions[running[i].which].name,
					       said - running[i].since);
			printf("\n");
		}
	}
	finish();
	print_counts();
	ksft_test_result(!shared->failed, "every page is right, and no process failed\n");
	ksft_test_result(nothing_left(), "nothing is left after swapoff\n");
	ksft_finished();
}
