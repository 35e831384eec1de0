// SPDX-License-Identifier: GPL-2.0
/*
 * Large folios are swapped out whole, and may be freed, read and written in
 * parts. Shared memory is swapped out without page tables.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(16 * MIB / page_size)
#define FOLIO_SIZE	(64UL * 1024)
#define FOLIO_PAGES	(FOLIO_SIZE / page_size)
#define NR_FOLIOS	(NR_PAGES / FOLIO_PAGES)

static const char *skip_reason;

/* === Anonymous memory ==================================================== */

FIXTURE(large_folios) {
	struct region r;
	long long stored_before;
};

/* Write a region of which at least half is in folios of 64 KiB. */
FIXTURE_SETUP(large_folios)
{
	long long folios;

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	/*
	 * A 2 MiB folio that was swapped in again would have been split
	 * differently.
	 */
	file_write(THP_2M "enabled", "never");
	if (!swaps_out_folios_of(64) || !file_write(THP_64K "enabled", "always"))
		SKIP(return, "this kernel does not swap out folios of 64 KiB");

	test_stay_resident();
	self->stored_before = pages_stored();
	folios = file_number(THP_64K "stats/anon_fault_alloc");
	ASSERT_TRUE(region_map(&self->r, NR_PAGES, FILL_MIXED, 11));
	ASSERT_EQ(0, madvise(self->r.mem, NR_PAGES * page_size, MADV_HUGEPAGE));
	region_write_all(&self->r);
	folios = file_number(THP_64K "stats/anon_fault_alloc") - folios;
	if (folios < (long long)NR_FOLIOS / 2)
		SKIP(return, "only %lld large folios could be had", folios);
}

FIXTURE_TEARDOWN(large_folios)
{
}

/*
 * Free @nr pages of each folio, from page @first on, with MADV_DONTNEED or
 * munmap().
 */
static void free_in_each_folio(struct __test_metadata *_metadata, struct region *r,
			       unsigned long first, unsigned long nr, bool unmap)
{
	unsigned long i;

	for (i = first; i < NR_PAGES; i += FOLIO_PAGES) {
		unsigned char *mem = region_page(r, i);
		size_t size = nr * page_size;

		if (!unmap) {
			ASSERT_EQ(0, madvise(mem, size, MADV_DONTNEED));
		} else {
			ASSERT_EQ(0, munmap(mem, size));
			/*
			 * Map them again as zeros, so that the whole region can
			 * be checked.
			 */
			ASSERT_EQ(mem, mmap(mem, size, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		}
		region_mark_zero(r, i, nr);
	}
}

TEST_F_TIMEOUT(large_folios, a_large_folio_comes_back_whole, TEST_SECONDS)
{
	long long whole = file_number(THP_64K "stats/zswpout");
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		region_write_all(&self->r);
	}
	/*
	 * At least the folios of the first round are stored without being
	 * split.
	 */
	EXPECT_LE((long long)NR_FOLIOS / 2, file_number(THP_64K "stats/zswpout") - whole);
}

TEST_F_TIMEOUT(large_folios, a_part_freed_in_swap_leaves_the_rest, TEST_SECONDS)
{
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	free_in_each_folio(_metadata, &self->r, 3, 5, false);
	EXPECT_EQ(NR_PAGES - 5 * NR_FOLIOS, pages_swapped(self->r.mem, NR_PAGES));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(self->stored_before, pages_stored());
}

TEST_F_TIMEOUT(large_folios, a_part_unmapped_in_swap_leaves_the_rest, TEST_SECONDS)
{
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	free_in_each_folio(_metadata, &self->r, 9, FOLIO_PAGES - 9, true);
	EXPECT_EQ(9 * NR_FOLIOS, pages_swapped(self->r.mem, NR_PAGES));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(self->stored_before, pages_stored());
}

TEST_F_TIMEOUT(large_folios, a_part_freed_in_memory_leaves_the_rest, TEST_SECONDS)
{
	/*
	 * No zero pages here: they need no swap when a folio is split.
	 */
	self->r.fill = FILL_TEXT;
	region_write_all(&self->r);
	free_in_each_folio(_metadata, &self->r, 0, 1, false);
	free_in_each_folio(_metadata, &self->r, 7, 2, true);
	EXPECT_EQ(NR_PAGES - 3 * NR_FOLIOS, page_out(self->r.mem, NR_PAGES));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(large_folios, one_page_read_back_leaves_the_others_in_swap, TEST_SECONDS)
{
	unsigned long i;

	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	for (i = 0; i < NR_PAGES; i += FOLIO_PAGES)
		region_write(&self->r, i + 6, 1);
	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(large_folios, parent_and_child_each_keep_their_own_view, TEST_SECONDS)
{
	pid_t pid;

	ASSERT_EQ(NR_PAGES, region_page_out(&self->r));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		region_write(&self->r, NR_PAGES / 2 - 5, 10);
		_exit(!!region_wrong_bytes_all(&self->r));
	}
	region_write(&self->r, 0, NR_PAGES / 2 - 3);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

/* === Shared memory ======================================================= */

FIXTURE(shared_memory) {
	struct region r;
	long long stored_before;
	int fd;
};

FIXTURE_VARIANT(shared_memory) {
	const char *enabled;
};

FIXTURE_VARIANT_ADD(shared_memory, small_folios) { .enabled = "never" };
FIXTURE_VARIANT_ADD(shared_memory, large_folios) { .enabled = "always" };

FIXTURE_SETUP(shared_memory)
{
	const bool large = !strcmp(variant->enabled, "always");
	long long folios;

	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	file_write(THP_2M "shmem_enabled", "never");
	if (!file_write(THP_64K "shmem_enabled", variant->enabled) && large)
		SKIP(return, "no large folios of 64 KiB in shared memory");

	test_stay_resident();
	self->stored_before = pages_stored();
	folios = file_number(THP_64K "stats/shmem_alloc");
	self->fd = memfd_create("ramzswap", 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, NR_PAGES * page_size));
	ASSERT_TRUE(region_map_fd(&self->r, NR_PAGES, FILL_MIXED, 12, self->fd));
	region_write_all(&self->r);
	folios = file_number(THP_64K "stats/shmem_alloc") - folios;
	if (large && folios < (long long)NR_FOLIOS / 2)
		SKIP(return, "only %lld large folios could be had", folios);
}

FIXTURE_TEARDOWN(shared_memory)
{
}

TEST_F_TIMEOUT(shared_memory, every_byte_comes_back, TEST_SECONDS)
{
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(NR_PAGES, page_out_shared(self->r.mem, NR_PAGES));
		EXPECT_LT(self->stored_before, pages_stored());
		EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
		region_write_all(&self->r);
	}
}

TEST_F_TIMEOUT(shared_memory, a_hole_punched_in_swap_leaves_the_rest, TEST_SECONDS)
{
	const unsigned long hole = 5 * FOLIO_PAGES + 3, nr = 9 * FOLIO_PAGES;

	ASSERT_EQ(NR_PAGES, page_out_shared(self->r.mem, NR_PAGES));
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       hole * page_size, nr * page_size));
	region_mark_zero(&self->r, hole, nr);
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

TEST_F_TIMEOUT(shared_memory, truncation_frees_what_is_in_swap, TEST_SECONDS)
{
	/*
	 * At a folio boundary: v7.3 hangs if the file ends inside a folio in
	 * swap.
	 */
	const unsigned long rest = NR_PAGES / 2;

	ASSERT_EQ(NR_PAGES, page_out_shared(self->r.mem, NR_PAGES));
	ASSERT_EQ(0, ftruncate(self->fd, rest * page_size));
	EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, rest));
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	EXPECT_EQ(self->stored_before, pages_stored());
}

TEST_F_TIMEOUT(shared_memory, what_one_process_writes_another_reads, TEST_SECONDS)
{
	unsigned long i;
	pid_t pid;

	ASSERT_EQ(NR_PAGES, page_out_shared(self->r.mem, NR_PAGES));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		unsigned long wrong = region_wrong_bytes_all(&self->r);

		region_write_all(&self->r);
		_exit(wrong || page_out_shared(self->r.mem, NR_PAGES) != NR_PAGES);
	}
	EXPECT_EQ(0, child_status(pid));
	/* The parent's record of versions predates the child's writes. */
	for (i = 0; i < NR_PAGES; i++)
		self->r.version[i]++;
	EXPECT_EQ(0, region_wrong_bytes_all(&self->r));
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	return test_harness_run(argc, argv);
}
