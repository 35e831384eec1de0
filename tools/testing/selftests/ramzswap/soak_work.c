// SPDX-License-Identifier: GPL-2.0
/*
 * A process of soak, see soak.c: the contents of its pages, how it verifies them,
 * and what it does to them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest.h"
#include "soak.h"

#define MAX_RUN		64	/* pages per operation */

struct area files[NR_FILES];

/* === What is in a page =================================================== */

/* A page contains its owner, index and version. All its bytes follow from these. */
static __u64 tag_of(const struct area *a, unsigned long i, __u32 version)
{
	if (version & VERSION_ZERO)
		return 0;
	version &= VERSION_BITS;
	if (i < a->nr_same)
		return 0xffffULL << 48 | (i & 7) << 24 | (version & 3);
	return (__u64)a->owner << 48 | i << 24 | version;
}

/* Four of eight kinds are text; others are half random, sparse, one word and random. */
static void fill(__u64 *page, __u64 tag)
{
	static const char text[][8] = {
		"{\"user\":", "\"alice\",", "\"name\": ", "\"city\": ", "amsterda", "bengalur",
		"kinshasa", "valparai", ", true, ", ", false,", "\"tags\": ", "[\"red\",",
		"\"green\"]", "null,\n\n\n", "balance:", "parent: ", "child: 1", "child: 2",
		"00000000", "11111111", "\n       ",
	};
	const unsigned int nr = page_size / sizeof(*page);
	__u64 state = tag, x = random_next(&state);
	const unsigned int kind = x >> 61;
	unsigned int i;

	if (!tag || kind == 5)
		for (i = 0; i < nr; i++)
			page[i] = tag;
	else if (kind < 4)
		for (i = 0; i < nr; i++, x = x * 0x5851f42d4c957f2dULL + (tag | 1))
			memcpy(&page[i], text[(x >> 40) % ARRAY_SIZE(text)], 8);
	else if (kind == 4)
		for (i = 0; i < nr; i++)
			page[i] = i % 97 ? 0 : tag + i;
	else
		for (i = 0; i < nr; i++, x = x * 0x5851f42d4c957f2dULL + (tag | 1))
			page[i] = kind == 7 || i < nr / 2 ? x ^ x >> 29 : 0;
	page[0] = tag;
}

static struct history mine;
static unsigned int my_id;

static void broken(const char *what)
{
	ksft_print_msg("pid %d: %s: %s\n", getpid(), what, strerror(errno));
	_exit(BROKEN);
}

static void print_history(const struct history *h, const char *whose, unsigned long page)
{
	unsigned long i = h->next > HISTORY ? h->next - HISTORY : 0;

	for (; i < h->next; i++) {
		const struct event *e = &h->events[i % HISTORY];

		/* Recent events of this page, and the last ones overall */
		if (page - e->first < e->nr || i + 20 >= h->next)
			ksft_print_msg("%s %.3f: %s %lu+%lu (%lu)\n", whose, e->when, e->what,
				       e->first, e->nr, e->detail);
	}
}

/* @pagemap: the page's entry before it was touched */
static void report_wrong(const struct area *a, unsigned long i, const __u64 *want,
			 const __u64 *found, __u64 pagemap)
{
	const unsigned int nr = page_size / sizeof(*want);
	unsigned char *at = a->mem + i * page_size;
	unsigned int k, first = nr, count = 0;
	__u64 again[page_size / sizeof(__u64)];

	/* Only the first process reports. */
	if (__atomic_exchange_n(&shared->failed, true, __ATOMIC_RELAXED))
		_exit(WRONG);
	ksft_print_msg("%.3f: pid %d, owner %u, page %lu of %lu at %p, version %#x, %s\n",
		       seconds_now() - shared->started, getpid(), a->owner, i, a->nr, at,
		       a->version[i], a->fd < 0 ? "private" : "shared");
	if (pagemap >> 62 & 1)
		ksft_print_msg("it was in swap: type %llu, slot %llu\n", pagemap & 31,
			       pagemap >> 5 & ((1ULL << 50) - 1));
	else
		ksft_print_msg("it was not in swap: pagemap %#llx\n", pagemap);
	if (!found) {
		ksft_print_msg("SIGBUS\n");
	} else {
		for (k = 0; k < nr; k++)
			if (want[k] != found[k]) {
				first = first < k ? first : k;
				count++;
			}
		ksft_print_msg("%u wrong words, the first is %u: %#llx instead of %#llx\n",
			       count, first, found[first], want[first]);
		ksft_print_msg("it says: owner %llu, page %llu, version %llu; zero: %d\n",
			       found[0] >> 48, found[0] >> 24 & VERSION_BITS,
			       found[0] & VERSION_BITS,
			       !memcmp(found, found + 1, page_size - sizeof(*found)) && !found[0]);
		if (page_copy(again, at))
			ksft_print_msg("read again, it is %s\n",
				       !memcmp(again, want, page_size) ? "right" :
				       !memcmp(again, found, page_size) ? "the same" : "different");
	}
	print_history(&mine, "worker", i);
	print_history(&shared->controller, "controller", -1UL);
	_exit(WRONG);
}

/* === A worker ============================================================ */

/* Freed pages read as zeros. */
static void forget(struct area *a, unsigned long first, unsigned long nr)
{
	for (; nr; nr--, first++)
		a->version[first] = VERSION_ZERO | (a->version[first] & VERSION_BITS);
}

static void map_again(struct area *a, unsigned long first, unsigned long nr)
{
	void *to = a->mem + first * page_size;

	if (a->fd >= 0) {
		if (fallocate(a->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, first * page_size,
			      nr * page_size))
			return;
	} else if (mmap(to, nr * page_size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != to) {
		broken("mmap");
	}
	forget(a, first, nr);
}

/* A page cannot be read: a bug, unless the run poisons frames. */
static void unreadable(struct area *a, unsigned long i, const __u64 *want, __u64 pagemap)
{
	if (!poison)
		report_wrong(a, i, want, NULL, pagemap);
	add(&shared->lost, 1);
	map_again(a, i, 1);
}

static void check(struct area *a, unsigned long first, unsigned long nr)
{
	static const __u64 zeros[16384 / sizeof(__u64)];
	__u64 want[page_size / sizeof(__u64)], found[page_size / sizeof(__u64)];
	unsigned char *mem = a->mem + first * page_size, resident[MAX_RUN];
	__u64 pagemap[MAX_RUN] = {};
	unsigned long i, trips = 0;
	static int fd = -1;
	static pid_t whose;

	if (whose != getpid()) {
		close(fd);
		whose = getpid();
		fd = open("/proc/self/pagemap", O_RDONLY);
	}
	if (a->fd >= 0) {
		/* Page tables do not say which pages of a file are in swap. */
		if (!mincore(mem, nr * page_size, resident))
			for (i = 0; i < nr; i++)
				trips += !(resident[i] & 1) &&
					 !(a->version[first + i] & VERSION_ZERO);
	} else if (pread(fd, pagemap, nr * sizeof(*pagemap),
			 (uintptr_t)mem / page_size * sizeof(*pagemap)) > 0) {
		for (i = 0; i < nr; i++)
			trips += pagemap[i] >> 62 & 1;
	}
	/* Sometimes let the kernel load them all, and sometimes fault each one in. */
	if (first % 2)
		madvise(mem, nr * page_size, MADV_POPULATE_READ);
	for (i = first; i < first + nr; i++) {
		fill(want, tag_of(a, i, a->version[i]));
		if (!page_copy(found, a->mem + i * page_size)) {
			unreadable(a, i, want, pagemap[i - first]);
			continue;
		}
		if (!memcmp(want, found, page_size))
			continue;
		if (a->version[i] & VERSION_MAYBE && !memcmp(found, zeros, page_size))
			forget(a, i, 1);
		else
			report_wrong(a, i, want, found, pagemap[i - first]);
	}
	add(&shared->touches, nr);
	add(&shared->trips, trips);
	shared->workers[my_id].progress++;
}

static void rewrite(struct area *a, unsigned long first, unsigned long nr)
{
	__u64 page[page_size / sizeof(__u64)];
	unsigned long i;

	shared->workers[my_id].progress++;
	for (i = first; i < first + nr; i++) {
		a->version[i] = (a->version[i] + 1) & VERSION_BITS;
		fill(page, tag_of(a, i, a->version[i]));
		if (!page_copy(a->mem + i * page_size, page))
			unreadable(a, i, page, 0);
	}
}

/* Move mappings with their contents, and move them back. */
static void move(struct area *a, unsigned long first, unsigned long nr, bool leave)
{
	struct area there = *a;
	unsigned char *at = a->mem + first * page_size, *to;
	unsigned long i;

	to = mmap(NULL, nr * page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (to == MAP_FAILED)
		return;
	/* Page by page: they may be in several mappings. */
	for (i = 0; i < nr; i++)
		if (mremap(at + i * page_size, page_size, page_size,
			   MREMAP_MAYMOVE | MREMAP_FIXED | (leave ? MREMAP_DONTUNMAP : 0),
			   to + i * page_size) == MAP_FAILED)
			broken("mremap");
	there.mem = to - first * page_size;
	if (!leave) {
		check(&there, first, nr);
		for (i = 0; i < nr; i++)
			if (mremap(to + i * page_size, page_size, page_size,
				   MREMAP_MAYMOVE | MREMAP_FIXED, at + i * page_size) == MAP_FAILED)
				broken("mremap");
	} else {
		check(&there, first, nr);
		forget(a, first, nr);
		munmap(to, nr * page_size);
	}
	check(a, first, nr);
}

/* Parent and child start with the same contents, and then each has its own. */
static void fork_and_write(struct area *a, unsigned long first, unsigned long nr, bool kill_it)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return;
	if (!pid) {
		rewrite(a, first, nr / 2);
		check(a, first, nr);
		madvise(a->mem + first * page_size, nr * page_size, MADV_PAGEOUT);
		check(a, a->nr - nr, nr);
		check(a, first, nr);
		_exit(DONE);
	}
	rewrite(a, first + nr / 2, nr - nr / 2);
	check(a, first, nr);
	if (kill_it)
		kill(pid, SIGKILL);
	status = child_status(pid);
	if (status == -SIGKILL)
		add(&shared->children_killed, !kill_it);
	else if (status != DONE)
		_exit(status > 0 ? status : BROKEN);
	check(a, first, nr);
}

/* A lock ends with its owner, who may have been killed in the middle of a write. */
static void file_lock(struct area *a, struct file *f)
{
	struct flock lock = { .l_type = F_WRLCK };

	if (fcntl(a->fd, F_SETLKW, &lock))
		broken("F_SETLKW");
	if (!f->busy_nr)
		return;
	if (ftruncate(a->fd, FILE_PAGES * page_size))
		broken("ftruncate");
	rewrite(a, f->busy_first, f->busy_nr);
	f->busy_nr = 0;
}

static void change_file(unsigned int which, __u64 dice)
{
	unsigned long nr = 1 + dice % MAX_RUN, first = (dice >> 16) % (FILE_PAGES - nr + 1);
	struct flock unlock = { .l_type = F_UNLCK };
	struct file *f = &shared->files[which];
	struct area *a = &files[which];

	file_lock(a, f);
	f->busy_first = first;
	f->busy_nr = nr;
	switch (dice >> 48 & 15) {
	case 0 ... 3:
		rewrite(a, first, nr);
		break;
	case 4 ... 9:
		check(a, first, nr);
		break;
	case 10 ... 13:
		check(a, first, nr);
		madvise(a->mem + first * page_size, nr * page_size, MADV_PAGEOUT);
		break;
	case 14:
		map_again(a, first, nr);
		break;
	case 15:
		if (dice >> 40 & 7)
			break;
		f->busy_nr = FILE_PAGES - first;
		if (ftruncate(a->fd, first * page_size) || ftruncate(a->fd, FILE_PAGES * page_size))
			broken("ftruncate");
		forget(a, first, FILE_PAGES - first);
		break;
	}
	f->busy_nr = 0;
	fcntl(a->fd, F_SETLK, &unlock);
}

static void advise(struct area *a, unsigned long first, unsigned long nr, int advice)
{
	madvise(a->mem + first * page_size, nr * page_size, advice);
}

static void change_area(struct area *a, unsigned int what, unsigned long first, unsigned long nr,
			__u64 dice)
{
	static const char * const names[] = {
		[0 ... 6] = "write", [7 ... 16] = "verify", [17 ... 22] = "pageout", [23] = "cold",
		[24] = "willneed", [25] = "dontneed", [26] = "free", [27] = "map", [28] = "move",
		[29] = "fork", [30 ... 31] = "advise",
	};
	unsigned long i;
	int p[2];

	note(&mine, names[what], first, nr)->detail = dice >> 60;
	switch (what) {
	case 0 ... 6:
		return rewrite(a, first, nr);
	case 7 ... 16:
		check(a, first, nr);
		if (what & 1)
			advise(a, first, nr, MADV_PAGEOUT);
		return;
	case 17 ... 22:
		advise(a, first, nr, MADV_PAGEOUT);
		if (what & 1)
			check(a, first, nr);
		return;
	case 23:
		return advise(a, first, nr, MADV_COLD);
	case 24:
		return advise(a, first, nr, MADV_WILLNEED);
	case 25:
		if (!madvise(a->mem + first * page_size, nr * page_size, MADV_DONTNEED))
			forget(a, first, nr);
		return;
	case 26:
		for (i = first; i < first + nr; i++)
			a->version[i] |= a->version[i] & VERSION_ZERO ? 0 : VERSION_MAYBE;
		return advise(a, first, nr, MADV_FREE);
	case 27:
		return map_again(a, first, nr);
	case 28:
		return move(a, first, nr, dice >> 63);
	case 29:
		return fork_and_write(a, first, nr, dice >> 62 == 0);
	}
	switch (dice >> 60) {
	case 0 ... 1:
		return advise(a, 0, a->nr_same, MADV_UNMERGEABLE);
	case 2 ... 4:
		return advise(a, 0, a->nr_same, MADV_MERGEABLE);
	case 5:
		return advise(a, 0, a->nr, MADV_NOHUGEPAGE);
	case 6 ... 8:
		return advise(a, 0, a->nr, MADV_HUGEPAGE);
	case 9 ... 10:
		return advise(a, 0, a->nr, dice >> 32 & 1 ? MADV_RANDOM : MADV_SEQUENTIAL);
	case 11:
		return advise(a, 0, a->nr, MADV_NORMAL);
	case 12:
		if (!mlock(a->mem + first * page_size, nr * page_size))
			check(a, first, nr);
		munlock(a->mem + first * page_size, nr * page_size);
		return;
	}
	/* Let the kernel read the first page of the run, through a pipe. */
	if (!pipe(p)) {
		__u64 want[page_size / sizeof(__u64)], found[page_size / sizeof(__u64)];

		check(a, first, 1);
		fill(want, tag_of(a, first, a->version[first]));
		advise(a, first, nr, MADV_PAGEOUT);
		if (!(a->version[first] & VERSION_MAYBE) &&
		    write(p[1], a->mem + first * page_size, page_size) == page_size &&
		    read(p[0], found, page_size) == page_size) {
			if (memcmp(want, found, page_size))
				report_wrong(a, first, want, found, 0);
			add(&shared->kernel_reads, 1);
		}
		close(p[0]);
		close(p[1]);
	}
}

void check_all(struct area *a)
{
	unsigned long i;

	for (i = 0; i < a->nr; i += MAX_RUN)
		check(a, i, a->nr - i < MAX_RUN ? a->nr - i : MAX_RUN);
}

void work(unsigned int id, unsigned int owner)
{
	__u64 state = opts.seed * 1000 + owner;
	struct area a = {
		.nr = opts.mib * MIB / page_size, .owner = owner, .fd = -1,
	};
	unsigned long i;

	my_id = id;
	a.nr_same = a.nr / 8;
	file_write("/proc/self/oom_score_adj", "300");
	/* The controller may be about to replace it. */
	for (i = 0; !memcg_enter(shared->workers[id].dir); i++) {
		if (i == 100)
			broken("memcg_enter");
		usleep(10000);
	}
	a.mem = mmap(NULL, a.nr * page_size + 2 * MIB, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	a.version = mmap(NULL, a.nr * sizeof(*a.version), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (a.mem == MAP_FAILED || a.version == MAP_FAILED)
		broken("mmap");
	a.mem += -(uintptr_t)a.mem & (2 * MIB - 1);
	mlock(a.version, a.nr * sizeof(*a.version));
	forget(&a, 0, a.nr);
	if (owner & 1)
		advise(&a, 0, a.nr, MADV_HUGEPAGE);
	advise(&a, 0, a.nr_same, MADV_MERGEABLE);
	for (i = 0; i < a.nr && !shared->stop; i += MAX_RUN)
		rewrite(&a, i, a.nr - i < MAX_RUN ? a.nr - i : MAX_RUN);

	while (!shared->stop) {
		__u64 dice = random_next(&state), where = random_next(&state);
		unsigned long nr = 1 + dice % MAX_RUN, first;

		add(&shared->operations, 1);
		if ((dice >> 8) % 4 == 0) {
			change_file((dice >> 16) % NR_FILES, where);
			continue;
		}
		/* Some pages are used often, and others are left to grow old. */
		first = ((where & 0xffff) * (where >> 16 & 0xffff) >> 16) * a.nr >> 16;
		first = (first + owner % 3 * (a.nr / 3)) % (a.nr - nr + 1);
		change_area(&a, (dice >> 24) % 32, first, nr, dice);
		/* Verify everything from time to time, but rarely before the end. */
		if (where >> 48 < 64)
			check_all(&a);
		if (where >> 48 < 4) {
			add(&shared->exits, 1);
			_exit(DONE);
		}
	}
	check_all(&a);
	_exit(DONE);
}

/* Before the first process starts. */
bool setup_files(void)
{
	char path[64];
	unsigned int i;

	mkdir("/tmp/soak", 0700);
	mount("soak", "/tmp/soak", "tmpfs", 0, "huge=always,size=100%");
	for (i = 0; i < NR_FILES; i++) {
		struct area *a = &files[i];

		snprintf(path, sizeof(path), "/tmp/soak/%u", i);
		a->fd = i % 2 ? open(path, O_RDWR | O_CREAT | O_TRUNC, 0600) :
				memfd_create("soak", 0);
		a->nr = FILE_PAGES;
		a->owner = 0xfff0 + i;
		if (a->fd < 0 || ftruncate(a->fd, FILE_PAGES * page_size))
			return false;
		a->mem = mmap(NULL, FILE_PAGES * page_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			      a->fd, 0);
		a->version = mmap(NULL, FILE_PAGES * sizeof(*a->version), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (a->mem == MAP_FAILED || a->version == MAP_FAILED)
			return false;
		mlock(a->version, FILE_PAGES * sizeof(*a->version));
		forget(a, 0, FILE_PAGES);
	}
	return true;
}
