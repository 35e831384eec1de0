// SPDX-License-Identifier: GPL-2.0
/*
 * Programs open the device while it is set up, a signal kills swapoff, and pages
 * change while the kernel swaps them out. None of this does any harm.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

static const char *skip_reason;

/* === Programs that look at every block device ============================= */

/* Minimum and maximum of rounds, and the time limit for a slow machine */
#define MIN_ROUNDS		20
#define NR_ROUNDS		1000
#define ROUNDS_MAX_SECONDS	30

/* Open a device again and again, as udev and blkid do. */
static pid_t opener(const char *path, int flags)
{
	pid_t pid = fork();

	if (!pid) {
		static char buf[65536];
		int fd;

		/* Do not outlive the test. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			fd = open(path, flags | O_CLOEXEC);
			/* A swap device cannot be opened for writing. */
			if (fd < 0 && (flags & O_ACCMODE) == O_RDONLY)
				_exit(1);
			if (read(fd, buf, sizeof(buf)) < 0 && fd >= 0)
				_exit(2);
			close(fd);
		}
	}
	return pid;
}

FIXTURE(opened) {
	char disk[64];
	bool ready;
};

FIXTURE_SETUP(opened)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	if (!borrow_disk(self->disk, sizeof(self->disk), 16 * MIB))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	self->ready = true;
}

FIXTURE_TEARDOWN(opened)
{
	if (!self->ready)
		return;
	swapoff(DEVICE_PATH);
	EXPECT_EQ(0, attr_write("reset", "1"));
	other_swap_on();
}

TEST_F_TIMEOUT(opened, can_be_set_up_all_the_same, TEST_SECONDS)
{
	const double end = seconds_now() + ROUNDS_MAX_SECONDS;
	struct swap_area area;
	int i, err, rounds;
	pid_t pids[4];

	pids[0] = opener(DEVICE_PATH, O_RDONLY | O_NONBLOCK);
	pids[1] = opener(DEVICE_PATH, O_RDWR);
	pids[2] = opener(self->disk, O_RDONLY | O_NONBLOCK);
	pids[3] = opener(self->disk, O_RDWR);
	for (rounds = 0; rounds < NR_ROUNDS; rounds++) {
		if (rounds >= MIN_ROUNDS && seconds_now() > end)
			break;
		ASSERT_EQ(0, attr_write("disksize", rounds % 2 ? "64M" : "128M"));
		ASSERT_EQ(0, attr_write("backing_dev", self->disk));
		ASSERT_EQ(0, attr_write("mem_limit", "16M"));
		err = device_on() ? 0 : errno;
		if (err)
			TH_LOG("swapon: %s", strerror(err));
		ASSERT_EQ(0, err);
		/* The header must match the new size. */
		swap_areas(&area, 1);
		EXPECT_EQ((rounds % 2 ? 64 : 128) * MIB - page_size, area.size);
		ASSERT_EQ(0, swapoff(DEVICE_PATH));
		ASSERT_EQ(0, attr_write("reset", "1"));
	}
	TH_LOG("%d rounds", rounds);
	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		ASSERT_LE(0, pids[i]);
		EXPECT_EQ(0, kill(pids[i], SIGKILL));
		EXPECT_EQ(-SIGKILL, child_status(pids[i]));
	}
}

TEST_F_TIMEOUT(opened, is_busy_for_who_has_it_exclusively, TEST_SECONDS)
{
	int fd = open(DEVICE_PATH, O_RDONLY | O_EXCL);

	ASSERT_LE(0, fd);
	EXPECT_EQ(EBUSY, attr_write("disksize", "64M"));
	EXPECT_EQ(EBUSY, attr_write("backing_dev", self->disk));
	EXPECT_EQ(EBUSY, attr_write("reset", "1"));
	EXPECT_FALSE(device_on());
	EXPECT_EQ(EBUSY, errno);
	close(fd);
	fd = open(self->disk, O_RDONLY | O_EXCL);
	ASSERT_LE(0, fd);
	EXPECT_EQ(EBUSY, attr_write("backing_dev", self->disk));
	close(fd);
	EXPECT_EQ(0, attr_write("disksize", "64M"));
	EXPECT_EQ(0, attr_write("backing_dev", self->disk));
	EXPECT_TRUE(device_on());
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
}

/* === swapoff that does not come to its end ================================ */

#define NR_PAGES	(32 * MIB / page_size)
#define SHARED_PAGES	(4 * MIB / page_size)

/* Headroom below the cgroup's limit: too little for all that is swapped out */
#define SOME_BYTES	(8 * MIB)

/* swapoff checks for signals when it proceeds to the memory of another process. */
#define NR_OWNERS	4

FIXTURE(ended) {
	struct region r, shared;
	struct gate go[NR_OWNERS];
	pid_t owners[NR_OWNERS];
	char memcg[256];
	bool ready;
};

FIXTURE_VARIANT(ended) {
	bool backing;
};

FIXTURE_VARIANT_ADD(ended, in_memory) { .backing = false };
FIXTURE_VARIANT_ADD(ended, with_a_backing_device) { .backing = true };

/* Start a process with swapped memory of its own, which it verifies at the end. */
static pid_t owner(struct gate *swapped_out, struct gate *go, __u64 seed)
{
	pid_t pid = fork();
	struct region r;

	if (pid)
		return pid;
	/* Do not outlive the test. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!region_map(&r, NR_PAGES / NR_OWNERS, FILL_TEXT, seed))
		_exit(2);
	mlock(r.version, r.nr_pages * sizeof(*r.version));
	region_write_all(&r);
	if (region_page_out(&r) != r.nr_pages)
		_exit(3);
	gate_open(swapped_out);
	gate_wait(go);
	_exit(!!region_wrong_bytes_all(&r));
}

FIXTURE_SETUP(ended)
{
	struct gate swapped_out;
	char disk[64];
	int fd, i;

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "256M"));
	test_stay_resident();
	if (!borrow_disk(disk, sizeof(disk), (2 * NR_PAGES + SHARED_PAGES) * page_size))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	if (!memcg_enter_own(self->memcg, sizeof(self->memcg)))
		SKIP(other_swap_on(); return, "there is no cgroup with a memory controller");
	if (variant->backing) {
		ASSERT_EQ(0, attr_write("backing_dev", disk));
		ASSERT_EQ(0, attr_write("mem_limit", "4M"));
	}
	ASSERT_TRUE(device_on());
	fd = memfd_create("ramzswap", 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, SHARED_PAGES * page_size));
	ASSERT_TRUE(region_map_fd(&self->shared, SHARED_PAGES, FILL_TEXT, 71, fd));
	close(fd);
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_TEXT, 72));
	ASSERT_EQ(0, mlock(self->r.version, NR_PAGES * sizeof(*self->r.version)));
	ASSERT_EQ(0, mlock(self->shared.version,
			   SHARED_PAGES * sizeof(*self->shared.version)));
	self->ready = true;
	ASSERT_TRUE(gate_init(&swapped_out));
	for (i = 0; i < NR_OWNERS; i++) {
		ASSERT_TRUE(gate_init(&self->go[i]));
		self->owners[i] = owner(&swapped_out, &self->go[i], 80 + i);
		ASSERT_LE(0, self->owners[i]);
		gate_wait(&swapped_out);
	}
	region_write_all(&self->shared);
	region_write_all(&self->r);
	ASSERT_EQ(SHARED_PAGES, page_out_shared(self->shared.mem, SHARED_PAGES));
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
}

FIXTURE_TEARDOWN(ended)
{
	int i;

	if (!self->ready)
		return;
	for (i = 0; i < NR_OWNERS; i++) {
		gate_open(&self->go[i]);
		EXPECT_EQ(0, child_status(self->owners[i]));
	}
	region_unmap(&self->shared);
	region_unmap(&self->r);
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, stat_of("pages_spilled"));
	EXPECT_EQ(0, stat_of("failed_reads"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	other_swap_on();
	EXPECT_TRUE(memcg_leave(self->memcg));
}

static pid_t start_swapoff(void)
{
	pid_t pid = fork();

	if (!pid) {
		file_write("/proc/self/oom_score_adj", "0");
		_exit(swapoff(DEVICE_PATH) ? errno : 0);
	}
	return pid;
}

/* The device is in use, has all pages, accepts more, and can be swapped off. */
static void check_device(struct __test_metadata *_metadata, struct region *shared,
			 struct region *r)
{
	EXPECT_LT(0, swap_used(DEVICE_PATH));
	EXPECT_TRUE(soon(swap_has_room));
	EXPECT_EQ(0, region_wrong_bytes_all(shared));
	EXPECT_EQ(0, region_wrong_bytes_all(r));
	region_write(r, 0, r->nr_pages / 2);
	EXPECT_EQ(r->nr_pages, region_page_out(r));
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(-1, swap_used(DEVICE_PATH));
	EXPECT_EQ(0, region_wrong_bytes_all(shared));
	EXPECT_EQ(0, region_wrong_bytes_all(r));
	EXPECT_TRUE(device_on());
}

TEST_F_TIMEOUT(ended, by_a_signal_leaves_the_device_whole, TEST_SECONDS)
{
	int tries, status, killed = 0;
	long long before;
	double end;
	pid_t pid;

	for (tries = 0; killed < 2 && tries < 10; tries++) {
		before = swap_used(DEVICE_PATH);
		pid = start_swapoff();
		ASSERT_LE(0, pid);
		end = seconds_now() + 60;
		while (swap_used(DEVICE_PATH) > before - before / 64 && seconds_now() < end)
			;
		EXPECT_EQ(0, kill(pid, SIGKILL));
		status = child_status(pid);
		if (status) {
			EXPECT_EQ(-SIGKILL, status);
			EXPECT_LT(0, swap_used(DEVICE_PATH));
			killed++;
			continue;
		}
		/* swapoff ended before the signal came. */
		ASSERT_TRUE(device_on());
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	}
	EXPECT_EQ(2, killed);
	check_device(_metadata, &self->shared, &self->r);
}

TEST_F_TIMEOUT(ended, for_lack_of_memory_leaves_the_device_whole, TEST_SECONDS)
{
	char path[300];
	int status;

	file_write("/proc/self/oom_score_adj", "-1000");
	console_quiet();
	snprintf(path, sizeof(path), "%s/memory.current", self->memcg);
	ASSERT_TRUE(memcg_set_number(self->memcg, "memory.max", file_number(path) + SOME_BYTES));
	status = child_status(start_swapoff());
	TH_LOG("swapoff ended with %d", status);
	EXPECT_TRUE(status == -SIGKILL || status == ENOMEM || status == EINTR);
	console_restore();
	ASSERT_TRUE(memcg_set(self->memcg, "memory.max", "max"));
	check_device(_metadata, &self->shared, &self->r);
	file_write("/proc/self/oom_score_adj", "0");
}

/* === Pages that change while they are swapped out ========================= */

#define CHANGING_PAGES	126
/* Pages to store with each compressor, and how long that may take on a slow machine */
#define NR_STORED	(8 * CHANGING_PAGES)
#define STORE_SECONDS	40
/* Sources that pages are read from, in turn */
#define SOURCE_PAGES	2

struct changing {
	struct region r;
	const char *source;
	bool stop;
	/* Errors, and the number of changes to the pages */
	unsigned long wrong, signals, changes;
	/* The first wrong page, and how many of its bytes are wrong, from where to where */
	unsigned long page, bytes, first, last;
	unsigned char got, want;
};

FIXTURE(changing) {
	struct changing c;
	char source[64], memcg[256];
	int zram;
	bool ready;
};

FIXTURE_VARIANT(changing) {
	bool backing, squeeze;
};

FIXTURE_VARIANT_ADD(changing, in_memory) { };
FIXTURE_VARIANT_ADD(changing, in_memory_and_squeezed) { .squeeze = true };
FIXTURE_VARIANT_ADD(changing, on_a_backing_device) { .backing = true };

FIXTURE_SETUP(changing)
{
	char page[page_size], disk[64];
	unsigned long i;
	int fd;

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "256M"));
	test_stay_resident();
	if (!borrow_disk(disk, sizeof(disk), 16 * MIB))
		SKIP(other_swap_on(); return, "no swap disk to borrow");
	self->zram = zram_create(MIB);
	if (self->zram < 0)
		SKIP(other_swap_on(); return, "no zram device to read from");
	snprintf(self->source, sizeof(self->source), "/dev/zram%d", self->zram);
	fd = open(self->source, O_WRONLY);
	ASSERT_LE(0, fd);
	for (i = 0; i < SOURCE_PAGES; i++) {
		page_fill(page, i ? FILL_HALF : FILL_TEXT, 73, i, 1);
		ASSERT_EQ(page_size, pwrite(fd, page, page_size, i * page_size));
	}
	ASSERT_EQ(0, fsync(fd));
	close(fd);
	if (variant->backing) {
		ASSERT_EQ(0, attr_write("backing_dev", disk));
		ASSERT_EQ(0, attr_write("mem_limit", "64K"));
	}
	ASSERT_TRUE(device_on());
	memset(&self->c, 0, sizeof(self->c));
	self->c.source = self->source;
	ASSERT_TRUE(region_map(&self->c.r, CHANGING_PAGES, FILL_MIXED, 74));
	ASSERT_EQ(0, mlock(self->c.r.version, CHANGING_PAGES * sizeof(*self->c.r.version)));
	self->ready = true;
	region_write_all(&self->c.r);
}

FIXTURE_TEARDOWN(changing)
{
	if (!self->ready)
		return;
	region_unmap(&self->c.r);
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, stat_of("failed_reads"));
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, stat_of("pages_spilled"));
	EXPECT_EQ(0, attr_write("reset", "1"));
	zram_remove(self->zram);
	other_swap_on();
}

static bool stopped(const struct changing *c)
{
	return __atomic_load_n(&c->stop, __ATOMIC_RELAXED);
}

static void note_wrong(struct changing *c, unsigned long i, const unsigned char *got,
		       const unsigned char *want)
{
	unsigned long k;

	if (__atomic_fetch_add(&c->wrong, 1, __ATOMIC_RELAXED))
		return;
	c->page = i;
	for (k = 0; k < page_size; k++) {
		if (got[k] == want[k])
			continue;
		if (!c->bytes++) {
			c->first = k;
			c->got = got[k];
			c->want = want[k];
		}
		c->last = k;
	}
}

/* Compare a page with its expected contents. */
static void check_page(struct changing *c, unsigned long i, const void *want)
{
	unsigned char got[page_size];

	if (!page_copy(got, region_page(&c->r, i)))
		__atomic_add_fetch(&c->signals, 1, __ATOMIC_RELAXED);
	else if (memcmp(got, want, page_size))
		note_wrong(c, i, got, want);
	__atomic_add_fetch(&c->changes, 1, __ATOMIC_RELAXED);
}

/* A thread that knows their contents changes each third of the odd pages in another way. */
#define FIRST_OF(way)	(2 * (way) + 1)
#define NEXT		6

static void *change_by_processor(void *data)
{
	struct changing *c = data;
	unsigned char want[page_size];
	unsigned long i;
	__u32 version;

	for (version = 1; !stopped(c); version++)
		for (i = FIRST_OF(0); i < CHANGING_PAGES; i += NEXT) {
			page_fill(want, version % 2 ? FILL_TEXT : FILL_HALF, 75, i, version);
			memcpy(region_page(&c->r, i), want, page_size);
			check_page(c, i, want);
			sched_yield();
			check_page(c, i, want);
		}
	return NULL;
}

static void *change_by_direct_io(void *data)
{
	int fd = open(((struct changing *)data)->source, O_RDONLY | O_DIRECT);
	unsigned char want[SOURCE_PAGES][page_size];
	struct changing *c = data;
	unsigned long i, k;
	bool known = false;

	for (i = 0; i < SOURCE_PAGES; i++)
		page_fill(want[i], i ? FILL_HALF : FILL_TEXT, 73, i, 1);
	for (k = 0; !stopped(c); k++, known = true)
		for (i = FIRST_OF(1); i < CHANGING_PAGES; i += NEXT) {
			/* The contents that the last round read, wherever they are now */
			if (known)
				check_page(c, i, want[(k - 1) % SOURCE_PAGES]);
			if (pread(fd, region_page(&c->r, i), page_size,
				  k % SOURCE_PAGES * page_size) != page_size)
				__atomic_add_fetch(&c->wrong, 1, __ATOMIC_RELAXED);
			check_page(c, i, want[k % SOURCE_PAGES]);
		}
	close(fd);
	return NULL;
}

/* The pipe has the old page or the new one, and the process has the new one. */
static void *change_in_a_pipe(void *data)
{
	unsigned char old[page_size], new[page_size], got[page_size];
	struct changing *c = data;
	unsigned long i, k;
	__u32 version;
	int p[2];

	if (pipe(p)) {
		c->wrong++;
		return NULL;
	}
	for (version = 1; !stopped(c); version++)
		for (i = FIRST_OF(2); i < CHANGING_PAGES; i += NEXT) {
			unsigned char *page = region_page(&c->r, i);
			struct iovec iov = { .iov_base = page, .iov_len = page_size };

			page_fill(old, FILL_TEXT, 76, i, 2 * version);
			page_fill(new, FILL_HALF, 76, i, 2 * version + 1);
			memcpy(page, old, page_size);
			sched_yield();
			if (vmsplice(p[1], &iov, 1, 0) != page_size) {
				__atomic_add_fetch(&c->wrong, 1, __ATOMIC_RELAXED);
				continue;
			}
			sched_yield();
			memcpy(page, new, page_size);
			check_page(c, i, new);
			if (read(p[0], got, page_size) != page_size)
				__atomic_add_fetch(&c->wrong, 1, __ATOMIC_RELAXED);
			for (k = 0; k < page_size; k++)
				if (got[k] != old[k] && got[k] != new[k])
					break;
			if (k < page_size)
				note_wrong(c, i, got, new);
			check_page(c, i, new);
		}
	close(p[0]);
	close(p[1]);
	return NULL;
}

TEST_F_TIMEOUT(changing, pages_spare_their_neighbours, TEST_SECONDS)
{
	static void *(* const ways[])(void *data) = {
		change_by_processor, change_by_direct_io, change_in_a_pipe,
	};
	static const char * const compressors[] = {
		"lzo", "lz4", "zstd",
	};
	unsigned char want[page_size];
	struct changing *c = &self->c;
	pthread_t threads[ARRAY_SIZE(ways)];
	unsigned long i, usable = 0;
	unsigned int k, way;

	if (variant->squeeze && !file_write(ZSWAP_PARAM "cold_compressor", "zstd"))
		SKIP(return, "no zstd");
	for (k = 0; k < ARRAY_SIZE(compressors); k++) {
		const long long writes = stat_of("num_writes");
		double end;

		if (!file_write(ZSWAP_PARAM "compressor", compressors[k]))
			continue;
		usable++;
		c->stop = false;
		c->changes = 0;
		for (way = 0; way < ARRAY_SIZE(ways); way++)
			ASSERT_EQ(0, pthread_create(&threads[way], NULL, ways[way], c));
		end = seconds_now() + STORE_SECONDS;
		for (i = 0; stat_of("num_writes") - writes < NR_STORED && seconds_now() < end;
		     i = (i + 2) % CHANGING_PAGES) {
			if (i % 16 == 0)
				madvise(c->r.mem, CHANGING_PAGES * page_size, MADV_PAGEOUT);
			if (i % 128 == 0 && variant->squeeze)
				attr_write("squeeze", "1M");
			page_fill(want, c->r.fill, c->r.seed, i, c->r.version[i]);
			check_page(c, i, want);
		}
		__atomic_store_n(&c->stop, true, __ATOMIC_RELAXED);
		for (way = 0; way < ARRAY_SIZE(ways); way++)
			pthread_join(threads[way], NULL);
		TH_LOG("%s: %lu changes, %lld pages stored", compressors[k],
		       c->changes, stat_of("num_writes") - writes);
		EXPECT_EQ(0, c->wrong)
			TH_LOG("the first is page %lu: %lu bytes, %lu to %lu, %#x instead of %#x",
			       c->page, c->bytes, c->first, c->last, c->got, c->want);
		EXPECT_EQ(0, c->signals);
		EXPECT_LT(CHANGING_PAGES, stat_of("num_writes") - writes);
	}
	EXPECT_LE(1, usable);
	if (variant->backing)
		EXPECT_LT(0, stat_of("bdev_num_writes"));
	if (variant->squeeze)
		EXPECT_LT(0, stat_of("num_squeezed"));
}

int main(int argc, char **argv)
{
	skip_reason = backing_test_begin();
	return test_harness_run(argc, argv);
}
