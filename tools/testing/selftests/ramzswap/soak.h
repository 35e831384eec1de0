/* SPDX-License-Identifier: GPL-2.0 */
/* Declarations that the parts of soak share, see soak.c. */
#ifndef SOAK_H
#define SOAK_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>
#include <sys/types.h>

#include "swap_util.h"

#define MAX_WORKERS	32
#define MAX_ACTIONS	64
#define NR_FILES	4	/* shared by all workers */
#define FILE_PAGES	(16 * MIB / page_size)
#define HISTORY		256
#define PATIENCE	600	/* seconds until a process counts as stuck */

/* Exit status of a process. */
#define DONE		0
#define WRONG		1
#define BROKEN		2
#define FAILED		3	/* an action that did not succeed */

/* === Settings ============================================================ */

extern struct run_options opts;
extern bool poison;		/* poison frames, so that pages may be lost */
extern char backing[64];	/* the backing device, and the name of the disk under it */
extern char *backing_disk;
extern char other_disk[64];

/* === What all processes share ============================================ */

/* An operation, to print when a page is wrong */
struct event {
	double when;
	const char *what;
	unsigned long first, nr, detail;
};

struct history {
	unsigned long next;
	struct event events[HISTORY];
};

/* Of a file: what the owner of the lock on it is about to change */
struct file {
	unsigned long busy_first, busy_nr;
};

struct worker {
	pid_t pid;
	char dir[256];			/* of its cgroup */
	unsigned long progress, seen;	/* does it do anything? */
	double since;
};

struct shared {
	unsigned long touches, trips, lost, operations, kernel_reads;
	unsigned long kills, children_killed, exits, owners;
	unsigned long counts[MAX_ACTIONS], tries[MAX_ACTIONS];
	bool stop, failed;
	double started;
	struct history controller;
	struct file files[NR_FILES];
	struct worker workers[MAX_WORKERS];
};

extern struct shared *shared;

static inline void add(unsigned long *counter, unsigned long nr)
{
	__atomic_add_fetch(counter, nr, __ATOMIC_RELAXED);
}

static inline struct event *note(struct history *h, const char *what, unsigned long first,
				 unsigned long nr)
{
	struct event *e = &h->events[__atomic_fetch_add(&h->next, 1, __ATOMIC_RELAXED) % HISTORY];

	*e = (struct event){
		.when = seconds_now() - shared->started, .what = what, .first = first, .nr = nr,
	};
	return e;
}

/* === Pages ============================================================== */

/*
 * Pages of one owner. In the first @nr_same of them, there are only a few
 * different pages for KSM to merge, which do not depend on the owner.
 */
struct area {
	unsigned char *mem;
	unsigned long nr, nr_same;
	__u32 *version;		/* of each page; VERSION_ZERO, VERSION_MAYBE */
	unsigned int owner;
	int fd;			/* of a file, -1 for private memory */
};

/* Freed with MADV_FREE: the page is zero or as it was, until it is written. */
#define VERSION_MAYBE	0x40000000U
#define VERSION_BITS	0x00ffffffU

extern struct area files[NR_FILES];

bool setup_files(void);
void check_all(struct area *a);
void work(unsigned int id, unsigned int owner);

/* === Actions of the controller =========================================== */

struct action {
	const char *name;
	/* Write one of these to a file, ... */
	const char *path, *values[6];
	/* ... or call this, and the other one if it was interrupted. */
	bool (*run)(__u64 dice);
	void (*undo)(void);
};

extern const struct action actions[];
extern const unsigned int nr_actions;

bool device_attr(unsigned int nr, const char *attr, const char *value);
bool device_setup(unsigned int nr, __u64 dice);
bool memcg_write(unsigned int id, const char *file, const char *value);
void all_on(void);
void cpu_on(void);
void memory_on(void);
void backing_back(void);

#endif /* SOAK_H */
