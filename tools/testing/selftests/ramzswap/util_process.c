// SPDX-License-Identifier: GPL-2.0
/* Processes and time, see swap_util.h. */
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

/**
 * seconds_now() - read a clock that nobody sets, for deadlines and durations
 *
 * Return: the time, in seconds.
 */
double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/**
 * soon() - wait up to five seconds for a condition
 * @happened: returns whether it is true
 *
 * Return: whether it became true.
 */
bool soon(bool (*happened)(void))
{
	int i;

	for (i = 0; i < 500; i++) {
		if (happened())
			return true;
		usleep(10000);
	}
	return false;
}

/**
 * major_faults() - count the major page faults of this process
 *
 * Return: their number.
 */
long major_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_majflt;
}

/**
 * child_status() - wait for the end of a child
 * @pid: the child
 *
 * Return: its exit status, or minus the signal that killed it.
 */
int child_status(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/**
 * gate_init() - create a gate, which is closed
 * @g: the gate
 *
 * Return: whether it was created.
 */
bool gate_init(struct gate *g)
{
	return !pipe(g->fd);
}

/**
 * gate_open() - let one process through
 * @g: the gate
 */
void gate_open(struct gate *g)
{
	if (write(g->fd[1], "", 1) != 1)
		ksft_perror("gate_open");
}

/**
 * gate_wait() - wait until another process calls gate_open()
 * @g: the gate
 */
void gate_wait(struct gate *g)
{
	char c;

	if (read(g->fd[0], &c, 1) != 1)
		ksft_perror("gate_wait");
}
