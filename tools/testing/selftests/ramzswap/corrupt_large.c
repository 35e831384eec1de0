// SPDX-License-Identifier: GPL-2.0
/* Damaged data of large folios: the folio cannot be read, but its good pages can. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "corrupt_util.h"

/* === Large folios ======================================================== */

FIXTURE(large) {
	struct region r;
	struct setup s;
	struct victim victims[NR_VICTIMS];
	long long folios;
};

FIXTURE_SETUP(large)
{
	const char *reason;

	self->s.large = true;
	reason = begin(&self->s);
	if (reason)
		SKIP(return, "%s", reason);
	self->folios = file_number(THP_64K "stats/anon_fault_alloc");
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_HALF, own_seed()));
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	region_write_all(&self->r);
	self->folios = file_number(THP_64K "stats/anon_fault_alloc") - self->folios;
	if (self->folios < (long long)NR_FOLIOS)
		SKIP(return, "only %lld large folios could be had", self->folios);
	ASSERT_TRUE(swap_out(&self->r, &self->s, false));
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_SEQUENTIAL));
	self->folios = file_number(THP_64K "stats/zswpin");
}

FIXTURE_TEARDOWN(large)
{
	end(_metadata, &self->s);
}

#define FOLIOS_IN	(file_number(THP_64K "stats/zswpin") - self->folios)

TEST_F_TIMEOUT(large, a_folio_that_is_damaged_gives_a_signal, TEST_SECONDS)
{
	const unsigned long first = 3 * FOLIO_PAGES;

	damage_pages(_metadata, &self->r, self->victims, FOLIO_PAGES, first, 1);
	EXPECT_EQ(SIGNAL, read_page(&self->r, first + 7));
	EXPECT_EQ(1, FAILED_READS);
	EXPECT_EQ(0, FOLIOS_IN);
	check_pages(_metadata, &self->r, self->victims, FOLIO_PAGES);
	EXPECT_EQ(FOLIO_PAGES, pages_swapped(self->r.mem, NR_PAGES));
	/* The other folios were swapped in whole. */
	EXPECT_EQ((long long)NR_FOLIOS - 1, FOLIOS_IN);
	EXPECT_EQ(self->s.stored + (long long)FOLIO_PAGES, pages_stored());

	ASSERT_TRUE(drop_swap_cache(self->s.memcg));
	repair_pages(_metadata, &self->r, self->victims, FOLIO_PAGES);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

/*
 * Damage one page of a folio and access one: the others are then read one by
 * one.
 */
static void damage_one_in_folio(struct __test_metadata *_metadata, struct region *r,
				struct victim *victim, const struct setup *s,
				unsigned long folio, unsigned long nth,
				unsigned long asked)
{
	const unsigned long first = folio * FOLIO_PAGES;
	unsigned long counts[NR_OUTCOMES];

	damage_pages(_metadata, r, victim, 1, first + nth, 1);
	EXPECT_EQ(asked == nth ? SIGNAL : RIGHT, read_page(r, first + asked));
	EXPECT_EQ(SIGNAL, read_page(r, first + nth));
	read_pages(r, first, FOLIO_PAGES, counts);
	EXPECT_EQ(0, counts[WRONG]);
	EXPECT_EQ(1, counts[SIGNAL]);
	EXPECT_EQ(1, pages_swapped(region_page(r, first), FOLIO_PAGES));

	/* A retry has the same result. */
	ASSERT_TRUE(drop_swap_cache(s->memcg));
	ASSERT_EQ(0, madvise(r->mem, NR_PAGES * page_size, MADV_RANDOM));
	read_pages(r, first, FOLIO_PAGES, counts);
	EXPECT_EQ(0, counts[WRONG]);
	EXPECT_EQ(1, counts[SIGNAL]);
	EXPECT_EQ(SIGNAL, read_page(r, first + nth));
	ASSERT_EQ(0, madvise(r->mem, NR_PAGES * page_size, MADV_SEQUENTIAL));
}

TEST_F_TIMEOUT(large, a_page_that_is_damaged_spares_the_others, TEST_SECONDS)
{
	struct victim *v = self->victims;

	damage_one_in_folio(_metadata, &self->r, &v[0], &self->s, 2, 0, 0);
	damage_one_in_folio(_metadata, &self->r, &v[1], &self->s, 4, 0, 9);
	damage_one_in_folio(_metadata, &self->r, &v[2], &self->s, 5, 6, 2);
	damage_one_in_folio(_metadata, &self->r, &v[3], &self->s, 9, FOLIO_PAGES - 1, 0);

	ASSERT_TRUE(drop_swap_cache(self->s.memcg));
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_RANDOM));
	check_pages(_metadata, &self->r, v, 4);
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

TEST_F_TIMEOUT(large, a_page_read_by_itself_spares_the_others, TEST_SECONDS)
{
	damage_pages(_metadata, &self->r, self->victims, NR_FOLIOS, 3, FOLIO_PAGES);
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_RANDOM));
	check_pages(_metadata, &self->r, self->victims, NR_FOLIOS);
	EXPECT_EQ((long long)NR_FOLIOS, FAILED_READS);
	EXPECT_EQ(0, FOLIOS_IN);
	/*
	 * The result is the same after the other pages were swapped out and in.
	 */
	EXPECT_EQ(NR_PAGES, region_page_out(&self->r));
	check_pages(_metadata, &self->r, self->victims, NR_FOLIOS);
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

/* swapoff finds a folio in the swap cache that could not be read. */
TEST_F_TIMEOUT(large, does_not_keep_the_device_from_being_swapped_off, TEST_SECONDS)
{
	const unsigned long first = 6 * FOLIO_PAGES;
	unsigned long counts[NR_OUTCOMES];

	damage_pages(_metadata, &self->r, self->victims, 1, first + 9, 1);
	EXPECT_EQ(SIGNAL, read_page(&self->r, first + 9));
	ASSERT_TRUE(other_swap_off());
	EXPECT_EQ(self->s.stored, pages_stored());
	other_swap_on();
	EXPECT_EQ(SIGNAL, read_page(&self->r, first + 9));
	read_pages(&self->r, first, FOLIO_PAGES, counts);
	EXPECT_EQ(0, counts[WRONG]);
	EXPECT_EQ(1, counts[SIGNAL]);
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, first));
	EXPECT_EQ(0, region_wrong_bytes(&self->r, first + FOLIO_PAGES,
					NR_PAGES - first - FOLIO_PAGES));
	region_unmap(&self->r);
	check_all_freed(_metadata, &self->s);
}

/* === Races =============================================================== */

struct reader {
	const struct region *r;
	const char *memcg;
	unsigned long nr_victims;
	unsigned long counts[NR_OUTCOMES];
};

static bool stop;

static void *read_all_the_time(void *data)
{
	struct reader *reader = data;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		unsigned long counts[NR_OUTCOMES], i;

		read_pages(reader->r, 0, NR_PAGES, counts);
		for (i = 0; i < NR_OUTCOMES; i++)
			reader->counts[i] += counts[i];
		/* A good page must not cause a signal either. */
		if (counts[SIGNAL] > reader->nr_victims)
			reader->counts[WRONG] += counts[SIGNAL] - reader->nr_victims;
	}
	return NULL;
}

static void *reclaim_all_the_time(void *data)
{
	const struct reader *reader = data;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		madvise(reader->r->mem, NR_PAGES * page_size, MADV_PAGEOUT);
		memcg_set_number(reader->memcg, "memory.reclaim", NR_PAGES * page_size);
	}
	return NULL;
}

TEST_F_TIMEOUT(large, is_never_anything_else_while_others_reclaim, TEST_SECONDS)
{
	struct reader readers[3] = {};
	pthread_t threads[3];
	int i;

	damage_pages(_metadata, &self->r, self->victims, 4, 3, 2 * FOLIO_PAGES);
	stop = false;
	for (i = 0; i < 3; i++) {
		readers[i].r = &self->r;
		readers[i].memcg = self->s.memcg;
		readers[i].nr_victims = 4;
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, i ? read_all_the_time :
					    reclaim_all_the_time, &readers[i]));
	}
	sleep(5);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	for (i = 1; i < 3; i++) {
		EXPECT_EQ(0, readers[i].counts[WRONG]);
		EXPECT_LT(0, readers[i].counts[SIGNAL]);
		EXPECT_LT(0, readers[i].counts[RIGHT]);
	}
	TH_LOG("%lu reads were right, %lu gave a signal",
	       readers[1].counts[RIGHT] + readers[2].counts[RIGHT],
	       readers[1].counts[SIGNAL] + readers[2].counts[SIGNAL]);

	ASSERT_TRUE(drop_swap_cache(self->s.memcg));
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_RANDOM));
	check_pages(_metadata, &self->r, self->victims, 4);
	region_unmap(&self->r);
	EXPECT_GE(self->s.stored + OWN_PAGES, pages_stored());
}

int main(int argc, char **argv)
{
	corrupt_begin();
	return test_harness_run(argc, argv);
}
