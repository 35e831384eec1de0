// SPDX-License-Identifier: GPL-2.0
/*
 * A page gets cold when nobody wants it for a while.  Then a thread
 * recompresses it, and rests.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cold_util.h"

#define NR_PAGES	(4 * MIB / page_size)
#define THREAD		"kzswapd"

/* A page is old after 30 to 65 seconds; a busy machine may need longer. */
#define YOUNG_SECONDS	25
#define OLD_SECONDS	100

FIXTURE(cold) {
	struct region idle;
	struct region used;
};

FIXTURE_SETUP(cold)
{
	const char *reason = begin();

	if (reason)
		SKIP(return, "%s", reason);
}

FIXTURE_TEARDOWN(cold)
{
	end(_metadata);
}

/* Path of the thread's directory in /proc */
static bool thread_dir(char *dir, size_t size)
{
	char path[64], name[32];
	struct dirent *d;
	DIR *proc = opendir("/proc");
	bool found = false;

	while (proc && !found && (d = readdir(proc))) {
		if (!isdigit(d->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/comm", d->d_name);
		if (!file_read(path, name, sizeof(name)) || strcmp(name, THREAD "\n"))
			continue;
		snprintf(dir, size, "/proc/%s", d->d_name);
		found = true;
	}
	if (proc)
		closedir(proc);
	return found;
}

/* Return: how often the thread has gone to sleep, or -1. */
static long long thread_switches(void)
{
	char dir[300], path[320], buf[4096], *line;

	if (!thread_dir(dir, sizeof(dir)))
		return -1;
	snprintf(path, sizeof(path), "%s/status", dir);
	if (!file_read(path, buf, sizeof(buf)))
		return -1;
	line = strstr(buf, "\nvoluntary_ctxt_switches:");
	return line ? atoll(line + strlen("\nvoluntary_ctxt_switches:")) : -1;
}

/* 5 is SCHED_IDLE: the 41st field of /proc/PID/stat. */
static int thread_policy(void)
{
	char dir[300], path[320], buf[1024], *p;
	int i;

	if (!thread_dir(dir, sizeof(dir)))
		return -1;
	snprintf(path, sizeof(path), "%s/stat", dir);
	if (!file_read(path, buf, sizeof(buf)))
		return -1;
	p = strrchr(buf, ')');
	for (i = 2; p && i < 41; i++)
		p = strchr(p + 1, ' ');
	return p ? atoi(p) : -1;
}

/*
 * Nobody wants the first region.  Every eighth page of the second one is wanted
 * every few seconds; the pages beside it must get cold all the same.
 */
TEST_F_TIMEOUT(cold, pages_get_cold_when_they_are_old_and_then_there_is_rest, TEST_SECONDS)
{
	long long switches, ns, cold, used = 0;
	double start = seconds_now(), now = 0;
	unsigned long i;

	EXPECT_EQ(5, thread_policy());
	map_and_swap_out(_metadata, &self->idle, NR_PAGES, FILL_TEXT);
	map_and_swap_out(_metadata, &self->used, NR_PAGES, FILL_TEXT);
	while (now < OLD_SECONDS && stat_of("pages_hot") > (long long)NR_PAGES / 8) {
		for (i = 5; i < NR_PAGES; i += 8) {
			region_write(&self->used, i, 1);
			page_out(region_page(&self->used, i), 1);
		}
		used++;
		usleep(1000000);
		cold = stat_of("pages_cold");
		now = seconds_now() - start;
		EXPECT_TRUE(!cold || now > YOUNG_SECONDS);
	}
	TH_LOG("all is cold after %.1f s but what was used %lld times", now, used);
	EXPECT_EQ((long long)NR_PAGES / 8, stat_of("pages_hot"));
	EXPECT_EQ((long long)NR_PAGES * 15 / 8, stat_of("pages_cold"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->used));
	region_unmap(&self->used);
	EXPECT_EQ((long long)NR_PAGES, stat_of("pages_cold"));

	/* The thread may wake once more and find nothing. */
	sleep(35);
	ns = stat_of("squeeze_ns");
	switches = thread_switches();
	sleep(40);
	EXPECT_EQ(ns, stat_of("squeeze_ns"));
	EXPECT_LE(0, switches);
	EXPECT_EQ(switches, thread_switches());
	EXPECT_EQ((long long)NR_PAGES, stat_of("pages_cold"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->idle));
	region_unmap(&self->idle);
}

TEST_F_TIMEOUT(cold, nothing_gets_cold_without_a_compressor, TEST_SECONDS)
{
	long long switches;
	int i;

	ASSERT_TRUE(file_write(COLD_COMPRESSOR, "\n"));
	map_and_swap_out(_metadata, &self->idle, NR_PAGES, FILL_TEXT);
	sleep(35);
	switches = thread_switches();
	sleep(10);
	EXPECT_EQ(0, stat_of("pages_cold"));
	EXPECT_EQ(switches, thread_switches());
	/*
	 * With a compressor, old pages are recompressed soon; spans may have
	 * merged.
	 */
	ASSERT_TRUE(file_write(COLD_COMPRESSOR, "zstd"));
	for (i = 0; i < 250 && stat_of("pages_hot") > (long long)NR_PAGES / 16; i++)
		usleep(100000);
	EXPECT_LE((long long)NR_PAGES * 15 / 16, stat_of("pages_cold"));
	for (i = 0; i < 500 && stat_of("pages_hot"); i++)
		usleep(100000);
	EXPECT_EQ((long long)NR_PAGES, stat_of("pages_cold"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->idle));
	region_unmap(&self->idle);
}

int main(int argc, char **argv)
{
	cold_test_begin();
	return test_harness_run(argc, argv);
}
