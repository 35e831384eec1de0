// SPDX-License-Identifier: GPL-2.0
/*
 * Recompress pages while others load, store, free, write back and move them,
 * swap the device off, remove their cgroup, or change the compressors.  Every
 * byte must be right.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cold_util.h"

#define NR_PAGES	(8 * MIB / page_size)
#define RACE_SECONDS	6

/* === Beside everything that is done to memory ============================ */

static bool stop;
static unsigned long squeezes, wrong_bytes;

/* Bytes to recompress at a time, and the pause in between */
static const char *squeeze_size;
static unsigned int squeeze_rest;

static void *squeeze_again_and_again(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		usleep(squeeze_rest);
		if (!attr_write("squeeze", squeeze_size))
			__atomic_add_fetch(&squeezes, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void *change_compressors(void *unused)
{
	static const char * const names[] = { "zstd", "lzo", "zstd", "\n", "lz4", "zstd" };
	static const char * const first[] = { "lz4", "zstd", "lzo", "lz4" };
	unsigned int i;

	for (i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
		usleep(30000);
		file_write(i % 2 ? COMPRESSOR : COLD_COMPRESSOR,
			   i % 2 ? first[i / 2 % ARRAY_SIZE(first)] :
				   names[i / 2 % ARRAY_SIZE(names)]);
	}
	return NULL;
}

struct worker {
	pthread_t thread;
	struct region r;
	__u64 state;
	unsigned long operations;
};

/* Write, read, swap out and free runs of pages whose bytes are known. */
static void *use_memory(void *arg)
{
	struct worker *w = arg;
	unsigned long wrong = 0;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		__u64 dice = random_next(&w->state);
		unsigned long nr = 1 + dice % 24;
		unsigned long first = (dice >> 16) % (w->r.nr_pages - nr + 1);
		unsigned char *mem = region_page(&w->r, first);

		switch ((dice >> 48) % 8) {
		case 0 ... 1:
			region_write(&w->r, first, nr);
			break;
		case 2 ... 3:
			wrong += region_wrong_bytes(&w->r, first, nr);
			break;
		case 4 ... 6:
			madvise(mem, nr * page_size, MADV_PAGEOUT);
			break;
		case 7:
			if (!madvise(mem, nr * page_size, MADV_DONTNEED))
				region_mark_zero(&w->r, first, nr);
			break;
		}
		w->operations++;
	}
	__atomic_add_fetch(&wrong_bytes, wrong, __ATOMIC_RELAXED);
	return NULL;
}

/*
 * Use and free pages while two tasks recompress them: in memory, as large
 * folios, while compressors change, without room, and while they are written to
 * a backing device.
 */
FIXTURE(race) {
	int zram;
};

FIXTURE_VARIANT(race) {
	unsigned long folio_kib;
	bool compressors_change;
	bool backed;
	const char *mem_limit;
};

FIXTURE_VARIANT_ADD(race, in_memory) {
};

FIXTURE_VARIANT_ADD(race, large_folios) {
	.folio_kib = 64,
};

FIXTURE_VARIANT_ADD(race, compressors_change) {
	.compressors_change = true,
};

FIXTURE_VARIANT_ADD(race, no_room) {
	.mem_limit = "1M",
};

FIXTURE_VARIANT_ADD(race, written_back) {
	.backed = true,
	.mem_limit = "1M",
};

FIXTURE_SETUP(race)
{
	const char *reason = begin();
	char path[64];

	self->zram = -1;
	if (reason)
		SKIP(return, "%s", reason);
	if (variant->backed) {
		ASSERT_EQ(0, swapoff(DEVICE_PATH));
		ASSERT_EQ(0, attr_write("reset", "1"));
		self->zram = zram_create(64 * MIB);
		if (self->zram < 0)
			SKIP(return, "no zram device could be made");
		snprintf(path, sizeof(path), "/dev/zram%d", self->zram);
		ASSERT_EQ(0, attr_write("backing_dev", path));
		ASSERT_TRUE(device_on());
	}
	if (variant->mem_limit)
		ASSERT_EQ(0, attr_write("mem_limit", variant->mem_limit));
	thp_only_size(variant->folio_kib);
}

FIXTURE_TEARDOWN(race)
{
	thp_only_size(0);
	if (!skip_reason)
		end(_metadata);
	if (self->zram >= 0)
		zram_remove(self->zram);
}

TEST_F_TIMEOUT(race, every_byte_is_right, TEST_SECONDS)
{
	const unsigned long nr = 4 * MIB / page_size;
	double until = seconds_now() + RACE_SECONDS;
	pthread_t squeezers[2], changer;
	struct worker w[2] = {};
	unsigned int i;

	squeeze_size = "1T";
	squeeze_rest = 1000;
	for (i = 0; i < ARRAY_SIZE(w); i++) {
		ASSERT_TRUE(region_map(&w[i].r, nr, FILL_MIXED, 100 + i));
		if (variant->folio_kib)
			ASSERT_EQ(0, madvise(w[i].r.mem, nr * page_size, MADV_HUGEPAGE));
		region_write_all(&w[i].r);
		madvise(w[i].r.mem, nr * page_size, MADV_PAGEOUT);
		w[i].state = i;
	}
	if (variant->compressors_change)
		ASSERT_EQ(0, pthread_create(&changer, NULL, change_compressors, NULL));
	for (i = 0; i < ARRAY_SIZE(squeezers); i++)
		ASSERT_EQ(0, pthread_create(&squeezers[i], NULL, squeeze_again_and_again, NULL));
	for (i = 0; i < ARRAY_SIZE(w); i++)
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, use_memory, &w[i]));
	while (seconds_now() < until)
		usleep(100000);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(w); i++)
		pthread_join(w[i].thread, NULL);
	for (i = 0; i < ARRAY_SIZE(squeezers); i++)
		pthread_join(squeezers[i], NULL);
	if (variant->compressors_change)
		pthread_join(changer, NULL);
	for (i = 0; i < ARRAY_SIZE(w); i++)
		EXPECT_EQ(0, region_wrong_bytes_all(&w[i].r));

	TH_LOG("%lu operations beside %lu squeezes of %lld pages, %lld hopeless, %lld written",
	       w[0].operations + w[1].operations, squeezes, stat_of("num_squeezed"),
	       stat_of("num_hopeless"), stat_of("bdev_num_writes"));
	EXPECT_EQ(0, wrong_bytes);
	EXPECT_LT(0, squeezes);
	EXPECT_LT(0, stat_of("num_squeezed"));
	EXPECT_EQ(variant->backed, stat_of("bdev_num_writes") > 0);
	for (i = 0; i < ARRAY_SIZE(w); i++)
		region_unmap(&w[i].r);
}

/* === Beside other events ================================================= */

FIXTURE(cold) {
	struct region r;
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

TEST_F_TIMEOUT(cold, swapoff_finds_every_page, TEST_SECONDS)
{
	pthread_t squeezer;
	int i;

	squeeze_size = "1M";
	squeeze_rest = 1000;
	map_and_swap_out(_metadata, &self->r, NR_PAGES / 4, FILL_TEXT);
	ASSERT_EQ(0, pthread_create(&squeezer, NULL, squeeze_again_and_again, NULL));
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, swapoff(DEVICE_PATH));
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		ASSERT_TRUE(device_on());
		region_write(&self->r, 0, NR_PAGES / 8);
		region_page_out(&self->r);
		usleep(50000);
	}
	stop = true;
	pthread_join(squeezer, NULL);
	EXPECT_LT(0, squeezes);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
}

TEST_F_TIMEOUT(cold, many_may_squeeze_at_once, TEST_SECONDS)
{
	pid_t pid[4];
	int i;

	map_and_swap_out(_metadata, &self->r, NR_PAGES, FILL_TEXT);
	for (i = 0; i < 4; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i])
			_exit(squeeze_all());
	}
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, child_status(pid[i]));
	EXPECT_EQ((long long)NR_PAGES, stat_of("pages_cold"));
	EXPECT_EQ((long long)NR_PAGES, stat_of("num_squeezed"));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
}

/* The pages of each cgroup are recompressed, even if the cgroup is gone. */
TEST_F_TIMEOUT(cold, cgroups_may_go_while_their_pages_are_squeezed, TEST_SECONDS)
{
	char dirs[6][256], name[32], root[256];
	struct region r[6];
	pthread_t squeezer;
	int i;

	if (!memcg_create("ramzswap_cold", root, sizeof(root)))
		SKIP(return, "no cgroup with a memory controller");
	squeeze_size = "256K";
	squeeze_rest = 1000;
	ASSERT_EQ(0, pthread_create(&squeezer, NULL, squeeze_again_and_again, NULL));
	for (i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "ramzswap_cold%d", i);
		ASSERT_TRUE(memcg_create(name, dirs[i], sizeof(dirs[i])));
		ASSERT_TRUE(memcg_enter(dirs[i]));
		map_and_swap_out(_metadata, &r[i], NR_PAGES / 8, FILL_TEXT);
		ASSERT_TRUE(memcg_enter(root));
		memcg_remove(dirs[i]);
		EXPECT_NE(0, access(dirs[i], F_OK));
	}
	for (i = 0; i < 600 && stat_of("pages_hot"); i++)
		usleep(100000);
	stop = true;
	pthread_join(squeezer, NULL);
	EXPECT_EQ(0, stat_of("pages_hot"));
	EXPECT_EQ(6 * (long long)(NR_PAGES / 8), stat_of("pages_cold"));
	for (i = 0; i < 6; i++) {
		EXPECT_EQ(0, region_wrong_bytes_all(&r[i]));
		region_unmap(&r[i]);
	}
	/* Back to the root */
	*strrchr(root, '/') = '\0';
	memcg_enter(root);
	snprintf(root + strlen(root), 32, "/ramzswap_cold");
	memcg_remove(root);
}

int main(int argc, char **argv)
{
	cold_test_begin();
	return test_harness_run(argc, argv);
}
