// SPDX-License-Identifier: GPL-2.0
/*
 * A device without room leads to an OOM kill, not to a livelock. Pages that one
 * cgroup cannot store take no room from others.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(16 * MIB / page_size)

static const char *skip_reason;

/* Start a process that takes memory until it is killed, and counts the MiB. */
static pid_t hog(enum fill fill, unsigned long *nr_mib)
{
	pid_t pid = fork();

	if (!pid) {
		unsigned long nr;

		file_write("/proc/self/oom_score_adj", "1000");
		/* Do not outlive the test. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (nr = 0;; *nr_mib = ++nr) {
			void *page = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			size_t i;

			if (page == MAP_FAILED)
				_exit(1);
			for (i = 0; i < MIB; i += page_size)
				page_fill(page + i, fill, 29, nr * (MIB / page_size) +
					  i / page_size, 1);
		}
	}
	return pid;
}

/* Memory left to the hog, so that it finishes soon on a slow machine. */
#define HOG_MEMORY	(64 * MIB)

/* Number of processes that take the rest. With 32-bit addresses, one cannot map it all. */
#define NR_TAKERS	(sizeof(long) == 8 ? 1 : 4)

static void take_memory_but(long long left, pid_t *takers)
{
	long long take = meminfo_kb("MemAvailable:") * 1024 - left;
	struct gate taken;
	int i;

	for (i = 0; i < NR_TAKERS; i++) {
		takers[i] = take > 0 && gate_init(&taken) ? fork() : -1;
		if (takers[i] < 0)
			continue;
		if (!takers[i]) {
			/* Do not outlive the test. */
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			mmap(NULL, take / NR_TAKERS, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			     MAP_ANONYMOUS | MAP_POPULATE | MAP_LOCKED, -1, 0);
			gate_open(&taken);
			for (;;)
				pause();
		}
		gate_wait(&taken);
		close(taken.fd[0]);
		close(taken.fd[1]);
	}
}

static void give_memory_back(const pid_t *takers)
{
	int i;

	for (i = 0; i < NR_TAKERS; i++)
		if (takers[i] > 0) {
			kill(takers[i], SIGKILL);
			child_status(takers[i]);
		}
}

FIXTURE(no_room) {
	struct region r;
	pid_t takers[4];
};

FIXTURE_VARIANT(no_room) {
	enum fill fill;
	const char *mem_limit;
	bool again;	/* zswap recompresses cold pages */
};

FIXTURE_VARIANT_ADD(no_room, for_text) {
	.fill = FILL_TEXT, .mem_limit = "0",
};

FIXTURE_VARIANT_ADD(no_room, for_text_that_is_compressed_again) {
	.fill = FILL_TEXT, .mem_limit = "0", .again = true,
};

FIXTURE_VARIANT_ADD(no_room, for_what_compresses_to_a_half) {
	.fill = FILL_HALF, .mem_limit = "0",
};

FIXTURE_VARIANT_ADD(no_room, for_data_that_does_not_compress) {
	.fill = FILL_RANDOM, .mem_limit = "0",
};

FIXTURE_VARIANT_ADD(no_room, under_a_limit_of_its_own) {
	.fill = FILL_TEXT, .mem_limit = "16M",
};

FIXTURE_SETUP(no_room)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	ASSERT_EQ(0, attr_write("reset", "1"));
	ASSERT_EQ(0, attr_write("disksize", "400%"));
	ASSERT_EQ(0, attr_write("mem_limit", variant->mem_limit));
	if (variant->again && !file_write(ZSWAP_PARAM "cold_compressor", "zstd"))
		SKIP(return, "the kernel has no zstd");
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "20"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "accept_threshold_percent", "90"));
	file_write("/proc/self/oom_score_adj", "-1000");
	test_stay_resident();
	ASSERT_TRUE(other_swap_off());
	take_memory_but(HOG_MEMORY, self->takers);
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_MIXED, 30));
	region_write_all(&self->r);
	region_page_out(&self->r);
}

FIXTURE_TEARDOWN(no_room)
{
	if (skip_reason)
		return;
	console_restore();
	give_memory_back(self->takers);
	region_unmap(&self->r);
	zswap_defaults();
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	other_swap_on();
	EXPECT_EQ(0, attr_write("reset", "1"));
	file_write("/proc/self/oom_score_adj", "0");
}

TEST_F_TIMEOUT(no_room, ends_in_an_oom_kill_and_not_in_a_livelock, TEST_SECONDS)
{
	/*
	 * The expected message, and what the kernel logs when something breaks.
	 */
	static const char * const texts[] = {
		"Out of memory", "BUG:", "WARNING:", "possible ", "suspicious RCU",
		"blocked for more than", "soft lockup", "rcu: INFO",
	};
	/*
	 * The hog needs time to fill memory. Once the device is full, the hog has
	 * only free memory left. But recompression may delay the kill for a minute.
	 */
	const int patience = variant->again ? 90 : 30;
	volatile unsigned long *nr_mib;
	double full_since = 0, took;
	unsigned long last = 0;
	int log = log_open();
	pid_t pid;
	int status;

	nr_mib = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, nr_mib);

	console_quiet();
	pid = hog(variant->fill, (unsigned long *)nr_mib);
	ASSERT_LE(0, pid);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (last != *nr_mib)
			full_since = 0;
		last = *nr_mib;
		if (!full_since && swap_is_full())
			full_since = seconds_now();
		usleep(20000);
		if (full_since && seconds_now() - full_since > patience)
			break;
	}
	took = full_since ? seconds_now() - full_since : 0;
	if (took > patience) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	TH_LOG("killed with %lu MiB, %.1f s after the device was seen to be full", last, took);
	EXPECT_GT(patience, took);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	EXPECT_EQ(1, log_look(log, texts, ARRAY_SIZE(texts)));
	close(log);
	munmap((void *)nr_mib, page_size);
	/* The kernel recompresses pages for some time before it kills a process. */
	if (variant->again)
		EXPECT_LT(1024, stat_of("num_squeezed"));
	/* The rest of the machine continues, and the device has room again. */
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_TRUE(soon(swap_has_room));
	EXPECT_EQ(0, stat_of("failed_reads"));
}

FIXTURE(cgroup) {
	struct region r, text;
	char dir[256];
};

FIXTURE_SETUP(cgroup)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	if (!memcg_enter_own(self->dir, sizeof(self->dir)))
		SKIP(return, "there are no memory cgroups");
	ASSERT_EQ(0, attr_write("reset", "1"));
	test_stay_resident();
	ASSERT_TRUE(other_swap_off());
	ASSERT_TRUE(device_on());
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_RANDOM, 31));
	ASSERT_TRUE(region_map(&self->text, NR_PAGES, FILL_TEXT, 32));
	region_write_all(&self->r);
	region_write_all(&self->text);
}

FIXTURE_TEARDOWN(cgroup)
{
	if (skip_reason || !self->text.mem)
		return;
	region_unmap(&self->r);
	region_unmap(&self->text);
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	other_swap_on();
	EXPECT_TRUE(memcg_leave(self->dir));
	EXPECT_EQ(0, attr_write("reset", "1"));
}

TEST_F_TIMEOUT(cgroup, leaves_room_for_others_if_its_pages_do_not_compress, TEST_SECONDS)
{
	long long anon = meminfo_kb("Active(anon):") + meminfo_kb("Inactive(anon):");
	double end = seconds_now() + TEST_SECONDS / 2;
	bool full = false;

	/* There is free memory, but zswap refuses these pages again and again. */
	while (stat_of("failed_writes") < anon / (page_size / 1024) * 2 && seconds_now() < end) {
		if (!memcg_reclaim(self->dir, NR_PAGES * page_size))
			SKIP(return, "this kernel has no memory.reclaim");
		full = full || swap_is_full();
	}
	EXPECT_LE(anon / (page_size / 1024) * 2, stat_of("failed_writes"));
	EXPECT_FALSE(full);
	EXPECT_LE(NR_PAGES, stat_of("pages_stored"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->text));
}

int main(int argc, char **argv)
{
	skip_reason = device_test_begin();
	return test_harness_run(argc, argv);
}
