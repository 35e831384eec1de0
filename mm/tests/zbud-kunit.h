/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KUnit tests for zbud.
 *
 * mm/zbud.c includes this file, so that the tests can make the function that
 * allocates pages fail.  They check what the allocator guarantees its users, and
 * which page it puts an object into.
 */

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/memblock.h>
#include <linux/memory_hotplug.h>
#include <linux/prandom.h>
#include <linux/random.h>

/* What a test knows about an object */
struct zbud_test_object {
	unsigned long handle;
	size_t size;
	u32 seed;
};

struct zbud_test {
	struct zbud_pool *pool;
	unsigned long nr_zspages;
	/* Contents to store or to compare */
	u8 *buf;
	/* A frame that counts as bad */
	struct page *bad;
	struct model *model;
};

#define ZBUD_TEST_GFP	(GFP_KERNEL | __GFP_HIGHMEM | __GFP_MOVABLE)

/* Pages of all pools in the system, including what the CPUs have yet to add */
static unsigned long nr_zspages(void)
{
	unsigned long nr = 0;
	struct zone *zone;

	for_each_populated_zone(zone)
		nr += zone_page_state_snapshot(zone, NR_ZSPAGES);
	return nr;
}

/* The largest object that takes @chunks chunks, unless it is a whole page */
static size_t chunks_size(unsigned int chunks)
{
	return chunks * ZBUD_CHUNK_SIZE - ZBUD_HEADER_SIZE;
}

static void fill(u8 *buf, size_t size, u32 seed)
{
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed);
	prandom_bytes_state(&rnd, buf, size);
}

/* The largest object that goes into a cell, if pages have cells */
#define TINY_SIZE	chunks_size(ZBUD_TINY_CHUNKS)

/*
 * Sizes as compressors make them: mostly small, and some pages that do not
 * shrink.  One class of cells gets enough objects to fill several pages.
 */
static size_t churn_size(struct rnd_state *rnd)
{
	switch (prandom_u32_state(rnd) % 12) {
	case 0:
		return PAGE_SIZE;
	case 1:
		return 1 + prandom_u32_state(rnd) % PAGE_SIZE;
	case 2:
		return 1 + prandom_u32_state(rnd) % (PAGE_SIZE / 16);
	case 3 ... 7:
		return TINY_SIZE - prandom_u32_state(rnd) % 8;
	default:
		return 1 + prandom_u32_state(rnd) % (PAGE_SIZE / 2);
	}
}

/* Store an object whose contents follow from its seed. */
static int store(struct zbud_pool *pool, u8 *buf, struct zbud_test_object *obj,
		 size_t size, u32 seed)
{
	int err;

	fill(buf, size, seed);
	err = zbud_store(pool, buf, size, ZBUD_TEST_GFP, NUMA_NO_NODE, &obj->handle);
	if (err)
		return err;

	obj->size = size;
	obj->seed = seed;
	return 0;
}

/* Does a scatterlist have the same contents as a buffer? */
static bool sg_same(struct scatterlist *sg, const u8 *buf, size_t size)
{
	struct sg_mapping_iter miter;
	size_t at = 0;
	bool ok = true;

	sg_miter_start(&miter, sg, sg_nents(sg), SG_MITER_FROM_SG | SG_MITER_ATOMIC);
	while (sg_miter_next(&miter)) {
		ok = ok && at + miter.length <= size &&
		     !memcmp(miter.addr, buf + at, miter.length);
		at += miter.length;
	}
	sg_miter_stop(&miter);
	return ok && at == size;
}

/* Does the object still have the contents that were stored? */
static bool same(struct zbud_pool *pool, u8 *buf, struct zbud_test_object *obj)
{
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	bool ok;

	fill(buf, obj->size, obj->seed);
	if (zbud_read_begin(pool, &obj->handle, sg, obj->size))
		return false;
	ok = sg_same(sg, buf, obj->size);
	zbud_read_end(sg);
	return ok;
}

static bool same_page(struct zbud_test_object *a, struct zbud_test_object *b)
{
	return handle_page(a->handle) == handle_page(b->handle);
}

static void must_store(struct kunit *test, struct zbud_test_object *obj,
		       size_t size)
{
	struct zbud_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, store(t->pool, t->buf, obj, size, size + 1), 0);
}

static struct page *no_page(gfp_t gfp, int nid)
{
	return NULL;
}

/* The same, in a page with slots, where tiny objects go as well if there are no cells */
static void must_store_in_slot(struct kunit *test, struct zbud_test_object *obj,
			       size_t size)
{
	kunit_activate_static_stub(test, get_page_from_buddy, no_page);
	must_store(test, obj, size);
	kunit_deactivate_static_stub(test, get_page_from_buddy);
	KUNIT_ASSERT_FALSE(test, page_has_cells(handle_page(obj->handle)));
}

static void must_be_same(struct kunit *test, struct zbud_test_object *obj)
{
	struct zbud_test *t = test->priv;

	KUNIT_ASSERT_TRUE_MSG(test, same(t->pool, t->buf, obj),
			      "an object of %zu bytes has changed", obj->size);
}

static void free_objects(struct kunit *test, struct zbud_test_object *objs,
			 unsigned int nr)
{
	struct zbud_test *t = test->priv;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (!objs[i].handle)
			continue;
		must_be_same(test, &objs[i]);
		zbud_free(t->pool, &objs[i].handle);
		KUNIT_EXPECT_EQ(test, objs[i].handle, 0);
	}
}

/* === Sizes =============================================================== */

static void size_zero_is_invalid(struct kunit *test)
{
	struct zbud_test *t = test->priv;
	unsigned long handle = 0;

	KUNIT_EXPECT_EQ(test, zbud_store(t->pool, t->buf, 0, ZBUD_TEST_GFP,
					 NUMA_NO_NODE, &handle), -EINVAL);
	KUNIT_EXPECT_EQ(test, handle, 0);
}

static void size_above_a_page_is_no_memory(struct kunit *test)
{
	struct zbud_test *t = test->priv;
	unsigned long handle = 0;

	KUNIT_EXPECT_EQ(test, zbud_store(t->pool, t->buf, PAGE_SIZE + 1, ZBUD_TEST_GFP,
					 NUMA_NO_NODE, &handle), -ENOMEM);
	KUNIT_EXPECT_EQ(test, zbud_store(t->pool, t->buf, SIZE_MAX, ZBUD_TEST_GFP,
					 NUMA_NO_NODE, &handle), -ENOMEM);
	KUNIT_EXPECT_EQ(test, handle, 0);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 0);
}

static void every_size_around_a_chunk_boundary_keeps_its_bytes(struct kunit *test)
{
	struct zbud_test *t = test->priv;
	struct zbud_test_object objs[3] = {};
	size_t edge;
	int i;

	/* Without the header, then with it. */
	for (edge = ZBUD_CHUNK_SIZE; edge <= 2 * PAGE_SIZE; edge += ZBUD_CHUNK_SIZE) {
		size_t middle = edge <= PAGE_SIZE ? edge :
				edge - PAGE_SIZE - ZBUD_HEADER_SIZE;

		for (i = 0; i < 3; i++) {
			size_t size = middle + i - 1;

			if (size >= 1 && size <= PAGE_SIZE)
				must_store(test, &objs[i], size);
		}
		free_objects(test, objs, 3);
		KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), 0);
	}
}

static void one_byte_and_a_whole_page_are_sizes(struct kunit *test)
{
	struct zbud_test *t = test->priv;
	struct zbud_test_object objs[2] = {};

	must_store(test, &objs[0], 1);
	must_store(test, &objs[1], PAGE_SIZE);
	/* Exactly one page, with nothing but the object in it. */
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 2);
	free_objects(test, objs, 2);
}

/* === Which page ========================================================== */

static void use_shards(struct kunit *test, unsigned int nr)
{
	struct zbud_test *t = test->priv;

	zbud_destroy_pool(t->pool);
	t->pool = create_pool(nr);
	KUNIT_ASSERT_NOT_NULL(test, t->pool);
	/* The worker would make results depend on time, see use_compaction(). */
	disable_delayed_work_sync(&t->pool->compaction);
}

static void use_compaction(struct zbud_pool *pool)
{
	enable_delayed_work(&pool->compaction);
}

/* For tests that have to know which page an object goes to */
static void use_one_shard(struct kunit *test)
{
	use_shards(test, 1);
}

static void a_page_holds_as_many_objects_as_it_has_slots(struct kunit *test)
{
	struct zbud_test_object objs[ZBUD_SLOTS + 1] = {};
	struct zbud_test *t = test->priv;
	unsigned int i;

	use_one_shard(test);
	must_store(test, &objs[0], TINY_SIZE + 1);
	for (i = 1; i < ZBUD_SLOTS; i++)
		must_store_in_slot(test, &objs[i], 1 + i);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 1);

	/* There is space left, but no slot. */
	must_store(test, &objs[ZBUD_SLOTS], TINY_SIZE + 1);
	KUNIT_EXPECT_FALSE(test, same_page(&objs[ZBUD_SLOTS], &objs[0]));
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 2);

	/* With a slot, the page is used again. */
	zbud_free(t->pool, &objs[ZBUD_SLOTS].handle);
	zbud_free(t->pool, &objs[3].handle);
	must_store(test, &objs[3], TINY_SIZE + 1);
	KUNIT_EXPECT_TRUE(test, same_page(&objs[3], &objs[0]));

	free_objects(test, objs, ZBUD_SLOTS);
}

static void an_object_goes_to_the_fullest_page_with_room(struct kunit *test)
{
	/* Free chunks of each page; chunks of each object, and the page that it should get */
	static const u8 room[] = { 30, 22, 50, 26, 23, 90 };
	static const struct {
		u8 chunks;
		u8 expected;
	} fits[] = { { 22, 1 }, { 24, 3 }, { 23, 4 }, { 31, 2 }, { 60, 5 }, { 17, 2 } };
	struct zbud_test_object pages[ARRAY_SIZE(room)] = {};
	struct zbud_test_object fillers[ARRAY_SIZE(room)] = {};
	struct zbud_test_object objs[ARRAY_SIZE(fits)] = {};
	int i;

	use_one_shard(test);

	for (i = 0; i < ARRAY_SIZE(room); i++) {
		must_store(test, &pages[i], chunks_size(ZBUD_CHUNKS - room[i]));
		must_store(test, &fillers[i], chunks_size(room[i]));
		KUNIT_ASSERT_TRUE(test, same_page(&pages[i], &fillers[i]));
	}
	free_objects(test, fillers, ARRAY_SIZE(fillers));

	for (i = 0; i < ARRAY_SIZE(fits); i++) {
		must_store(test, &objs[i], chunks_size(fits[i].chunks));
		KUNIT_EXPECT_TRUE_MSG(test, same_page(&objs[i], &pages[fits[i].expected]),
				      "%u chunks", fits[i].chunks);
	}
	free_objects(test, objs, ARRAY_SIZE(objs));
	free_objects(test, pages, ARRAY_SIZE(pages));
}

static void a_page_is_given_back_with_its_last_object(struct kunit *test)
{
	struct zbud_test_object objs[4] = {};
	struct zbud_test *t = test->priv;
	int i;

	use_one_shard(test);
	for (i = 0; i < 4; i++)
		must_store(test, &objs[i], chunks_size(ZBUD_CHUNKS / 2));
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 2);
	KUNIT_EXPECT_EQ(test, nr_zspages(), t->nr_zspages + 2);

	zbud_free(t->pool, &objs[0].handle);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 2);
	zbud_free(t->pool, &objs[1].handle);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 1);
	free_objects(test, objs, 4);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 0);
}

/* === Holes and pins ====================================================== */

static void holes_are_closed_for_an_object_that_needs_them(struct kunit *test)
{
	struct zbud_test_object objs[8] = {}, big = {};
	struct zbud_test *t = test->priv;
	int i;

	use_one_shard(test);
	for (i = 0; i < 8; i++)
		must_store(test, &objs[i], chunks_size(ZBUD_CHUNKS / 8));
	KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), 1);

	zbud_free(t->pool, &objs[1].handle);
	zbud_free(t->pool, &objs[4].handle);
	zbud_free(t->pool, &objs[6].handle);
	must_store(test, &big, chunks_size(ZBUD_CHUNKS * 3 / 8));
	KUNIT_EXPECT_TRUE(test, same_page(&big, &objs[0]));
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 1);

	free_objects(test, &big, 1);
	free_objects(test, objs, 8);
}

static void a_pinned_page_is_not_rearranged(struct kunit *test)
{
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct zbud_test_object objs[8] = {}, big = {}, small = {};
	struct zbud_test *t = test->priv;
	unsigned long word;
	int i;

	use_one_shard(test);
	for (i = 0; i < 8; i++)
		must_store(test, &objs[i], chunks_size(ZBUD_CHUNKS / 8));
	zbud_free(t->pool, &objs[1].handle);
	zbud_free(t->pool, &objs[4].handle);

	word = objs[5].handle;
	KUNIT_ASSERT_EQ(test, zbud_read_begin(t->pool, &objs[5].handle, sg,
					      objs[5].size), 0);

	/* To fit here, it would have to move others, so it goes elsewhere. */
	must_store(test, &big, chunks_size(ZBUD_CHUNKS / 4));
	KUNIT_EXPECT_FALSE(test, same_page(&big, &objs[0]));
	zbud_free(t->pool, &big.handle);

	/* These move nothing: one fits to the byte, one takes a free slot. */
	must_store(test, &small, chunks_size(ZBUD_CHUNKS / 8));
	KUNIT_EXPECT_TRUE(test, same_page(&small, &objs[0]));
	zbud_free(t->pool, &small.handle);
	zbud_free(t->pool, &objs[7].handle);
	must_store(test, &small, TINY_SIZE + 1);
	KUNIT_EXPECT_TRUE(test, same_page(&small, &objs[0]));
	zbud_free(t->pool, &small.handle);

	/* The reader's data has not moved. */
	KUNIT_EXPECT_EQ(test, objs[5].handle, word);
	fill(t->buf, objs[5].size, objs[5].seed);
	KUNIT_EXPECT_TRUE(test, sg_same(sg, t->buf, objs[5].size));
	zbud_read_end(sg);

	/* Without the pin there is room. */
	must_store(test, &big, chunks_size(ZBUD_CHUNKS * 3 / 8));
	KUNIT_EXPECT_TRUE(test, same_page(&big, &objs[0]));
	free_objects(test, &big, 1);
	free_objects(test, objs, 8);
}

static void pins_are_counted(struct kunit *test)
{
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct zbud_test_object objs[4] = {}, big = {};
	struct zbud_test *t = test->priv;
	int i;

	use_one_shard(test);
	for (i = 0; i < 4; i++)
		must_store(test, &objs[i], chunks_size(ZBUD_CHUNKS / 4));
	for (i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, zbud_read_begin(t->pool, &objs[1].handle,
						      sg, objs[1].size), 0);
	zbud_free(t->pool, &objs[0].handle);
	zbud_free(t->pool, &objs[2].handle);

	zbud_read_end(sg);
	must_store(test, &big, chunks_size(ZBUD_CHUNKS / 2));
	KUNIT_EXPECT_FALSE(test, same_page(&big, &objs[1]));
	zbud_free(t->pool, &big.handle);

	zbud_read_end(sg);
	must_store(test, &big, chunks_size(ZBUD_CHUNKS / 2));
	KUNIT_EXPECT_TRUE(test, same_page(&big, &objs[1]));
	free_objects(test, &big, 1);
	free_objects(test, objs, 4);
}

/* Something for a cell, and something for a slot. */
static const size_t sizes_of_both_kinds[] = { 100, 1000 };

static void kind_param_desc(const size_t *size, char *desc)
{
	strscpy(desc, *size == 100 ? "cells" : "slots", KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(kind, sizes_of_both_kinds, kind_param_desc);

static void an_object_with_a_strange_header_is_refused(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value;
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct zbud_test_object objs[2] = {};
	struct zbud_test *t = test->priv;
	struct zbud_run run = {};
	unsigned long word;

	must_store(test, &objs[0], size);
	must_store(test, &objs[1], PAGE_SIZE);
	run.page = handle_page(objs[0].handle);

	write_header(&run, 0, (unsigned long)&objs[1].handle);
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, zbud_read_begin(t->pool, &objs[0].handle,
						      sg, size), -EIO);
		/* Without CONFIG_DEBUG_VM, zbud_free() does not check the word. */
		if (IS_ENABLED(CONFIG_DEBUG_VM)) {
			word = objs[0].handle;
			zbud_free(t->pool, &objs[0].handle);
			KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 2);
			objs[0].handle = word;
		}
	}

	write_header(&run, 0, (unsigned long)&objs[0].handle);
	free_objects(test, objs, 2);
}

static void a_damaged_handle_is_refused(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value;
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct zbud_test *t = test->priv;
	struct zbud_test_object obj = {};
	unsigned long word, words[4];
	struct zbud_run other = {};
	struct zbud_pool *pool;
	unsigned int i;

	use_one_shard(test);
	pool = create_pool(1);
	KUNIT_ASSERT_NOT_NULL(test, pool);
	must_store(test, &obj, size);
	word = obj.handle;

	/* A frame that is in no pool, one of another pool, and places without an object */
	other.page = virt_to_page(t->buf);
	words[0] = (page_to_pfn(other.page) << ZBUD_SHARD_BITS) << ZBUD_PLACE_BITS;
	words[1] = word;
	words[2] = word + 2 * ZBUD_FIRST_PART;
	words[3] = word | (BIT(ZBUD_PLACE_BITS) - 1);
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		struct zbud_pool *where = i == 1 ? pool : t->pool;

		kunit_warning_suppress(test) {
			obj.handle = words[i];
			KUNIT_EXPECT_EQ_MSG(test, zbud_read_begin(where, &obj.handle, sg,
								  size), -EIO, "%u", i);
			zbud_free(where, &obj.handle);
			KUNIT_EXPECT_EQ(test, obj.handle, 0);
			KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 1);
		}
	}
	zbud_destroy_pool(pool);
	obj.handle = word;
	free_objects(test, &obj, 1);
}

/* === Tiny objects ======================================================== */

#define TINY_OBJECTS	6000U
#define LARGE_OBJECTS	1500U

/* The size that zsmalloc takes: classes from 32 bytes on, in steps of 1/256 of a page */
static size_t zsmalloc_size(size_t size)
{
	size += ZBUD_HEADER_SIZE;
	return 32 + (size > 32 ? round_up(size - 32, PAGE_SIZE / 256) : 0);
}

/* @nr objects of up to @max bytes, and of no less than @min. */
static struct zbud_test_object *some_objects(struct kunit *test, unsigned int nr, size_t min,
					     size_t max, size_t *zsmalloc)
{
	struct zbud_test *t = test->priv;
	struct zbud_test_object *objs;
	struct rnd_state rnd;
	unsigned int i;

	objs = kunit_kcalloc(test, nr, sizeof(*objs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, objs);
	prandom_seed_state(&rnd, 1);
	*zsmalloc = 0;
	for (i = 0; i < nr; i++) {
		size_t size = min + prandom_u32_state(&rnd) % (max - min + 1);

		KUNIT_ASSERT_EQ(test, store(t->pool, t->buf, &objs[i], size, i), 0);
		*zsmalloc += zsmalloc_size(size);
	}
	return objs;
}

/* Do objects of these sizes take at most 15 % more than in zsmalloc? */
static void compare_with_zsmalloc(struct kunit *test, unsigned int nr, size_t min, size_t max)
{
	struct zbud_test *t = test->priv;
	struct zbud_test_object *objs;
	size_t zsmalloc, bytes;

	objs = some_objects(test, nr, min, max, &zsmalloc);
	bytes = zbud_total_pages(t->pool) * PAGE_SIZE;
	KUNIT_EXPECT_LE_MSG(test, bytes, zsmalloc * 115 / 100, "objects of %zu to %zu bytes",
			    min, max);
	free_objects(test, objs, nr);
	kunit_kfree(test, objs);
}

static void tiny_objects_take_what_they_take_in_zsmalloc(struct kunit *test)
{
	size_t size, min = 1;

	if (!ZBUD_HAS_CELLS)
		kunit_skip(test, "no cells");
	use_one_shard(test);
	while (zsmalloc_size(min) < PAGE_SIZE >> ZBUD_CELL_BITS)
		min++;
	for (size = min; size <= chunks_size(ZBUD_TINY_CHUNKS + 2); size += ZBUD_HEADER_SIZE)
		compare_with_zsmalloc(test, TINY_OBJECTS, size, size);
	compare_with_zsmalloc(test, TINY_OBJECTS, min, TINY_SIZE);
}

/* Most sizes leave a hole in each page that no other object fits into. */
static void equal_objects_take_what_they_take_in_zsmalloc(struct kunit *test)
{
	size_t size;

	use_one_shard(test);
	for (size = TINY_SIZE + 1; size <= chunks_size(ZBUD_CHUNKS - 1);
	     size += ZBUD_CHUNK_SIZE + ZBUD_HEADER_SIZE)
		compare_with_zsmalloc(test, LARGE_OBJECTS, size, size);
}

/* A few tiny objects need no pages of their own. */
static void tiny_objects_fill_what_others_leave(struct kunit *test)
{
	struct zbud_test_object objs[3] = {}, tiny[2] = {};
	struct zbud_test *t = test->priv;
	unsigned int i;

	if (!ZBUD_HAS_CELLS)
		kunit_skip(test, "no cells");
	use_one_shard(test);
	must_store(test, &objs[0], chunks_size(ZBUD_CHUNKS - 1));
	must_store(test, &tiny[0], 1);
	KUNIT_EXPECT_TRUE(test, same_page(&tiny[0], &objs[0]));

	/* Tiny objects do not take the last slot of a page that has room for others. */
	must_store(test, &objs[1], chunks_size(ZBUD_CHUNKS - ZBUD_TINY_CHUNKS - 1));
	must_store(test, &tiny[1], 1);
	KUNIT_EXPECT_TRUE(test, page_has_cells(handle_page(tiny[1].handle)));
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 3);

	/* If there is a free cell, the next tiny object takes it. */
	zbud_free(t->pool, &tiny[0].handle);
	must_store(test, &tiny[0], 1);
	KUNIT_EXPECT_TRUE(test, same_page(&tiny[0], &tiny[1]));
	for (i = 0; i < 2; i++)
		must_be_same(test, &tiny[i]);
	free_objects(test, tiny, 2);
	free_objects(test, objs, 3);
}

static void a_cell_that_was_freed_is_not_found(struct kunit *test)
{
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct zbud_test_object objs[2] = {};
	struct zbud_test *t = test->priv;
	struct zbud_cells *cells;
	unsigned long word;
	unsigned int i;
	u8 units;

	use_one_shard(test);
	for (i = 0; i < 2; i++)
		must_store(test, &objs[i], 20);
	word = objs[0].handle;

	/* A page that is still being set up has no objects. */
	cells = page_cells(handle_page(word));
	units = cells->units;
	cells->units = 0;
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, zbud_read_begin(t->pool, &objs[0].handle,
						      sg, 20), -EIO);
	}
	cells->units = units;

	zbud_free(t->pool, &objs[0].handle);
	/* A cell that was freed, and one that was never used */
	for (i = 0; i < 2; i++) {
		objs[0].handle = i ? word | (ZBUD_SLOTS - 1) : word;
		kunit_warning_suppress(test) {
			KUNIT_EXPECT_EQ(test, zbud_read_begin(t->pool, &objs[0].handle,
							      sg, 20), -EIO);
			zbud_free(t->pool, &objs[0].handle);
		}
	}
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 1);
	free_objects(test, objs, 2);
}

static void pages_of_cells_are_compacted(struct kunit *test)
{
	struct zbud_test *t = test->priv;
	struct zbud_test_object *objs;
	size_t zsmalloc, half = 0;
	unsigned int i;

	use_one_shard(test);
	objs = some_objects(test, TINY_OBJECTS, 1, TINY_SIZE, &zsmalloc);
	for (i = 0; i < TINY_OBJECTS; i++) {
		if (i % 2)
			half += zsmalloc_size(objs[i].size);
		else
			zbud_free(t->pool, &objs[i].handle);
	}
	KUNIT_EXPECT_GT(test, zbud_total_pages(t->pool) * PAGE_SIZE, half * 180 / 100);
	compact_shard(t->pool->shards, ZBUD_COMPACT_STOP, ULONG_MAX);
	KUNIT_EXPECT_LE(test, zbud_total_pages(t->pool) * PAGE_SIZE, half * 125 / 100);
	free_objects(test, objs, TINY_OBJECTS);
}

/* If a stray write made a free cell look used, zbud stores nothing in it. */
static void a_damaged_cell_is_not_used(struct kunit *test)
{
	struct zbud_test *t = test->priv;
	struct zbud_test_object *objs, more = {};
	struct zbud_run run = {};
	unsigned int i, nr;

	if (!ZBUD_HAS_CELLS)
		kunit_skip(test, "no cells");
	use_one_shard(test);
	must_store(test, &more, TINY_SIZE);
	nr = page_nr_cells(handle_page(more.handle));
	zbud_free(t->pool, &more.handle);
	objs = kunit_kcalloc(test, nr, sizeof(*objs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, objs);
	for (i = 0; i < nr; i++)
		must_store(test, &objs[i], TINY_SIZE);
	KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), 1);

	KUNIT_ASSERT_TRUE(test, handle_run(t->pool->shards, objs[1].handle, &run));
	zbud_free(t->pool, &objs[1].handle);
	write_header(&run, 0, 1);
	must_store(test, &more, TINY_SIZE);
	KUNIT_EXPECT_FALSE(test, same_page(&more, &objs[0]));

	write_header(&run, 0, 0);
	must_store(test, &objs[1], TINY_SIZE);
	free_objects(test, &more, 1);
	free_objects(test, objs, nr);
}

/* === Split objects ======================================================= */

/* Make two pages with @a and @b free chunks; the pool has no others. */
static void make_holes(struct kunit *test, struct zbud_test_object *fillers,
		       unsigned int a, unsigned int b)
{
	struct zbud_test *t = test->priv;

	must_store(test, &fillers[0], chunks_size(ZBUD_CHUNKS - a));
	must_store(test, &fillers[1], chunks_size(ZBUD_CHUNKS - b));
	KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), 2);
}

/* The largest object that fits into two holes, of which the first is no smaller */
static size_t split_size(unsigned int a, unsigned int b)
{
	return (a + b) * ZBUD_CHUNK_SIZE - 3 * ZBUD_HEADER_SIZE;
}

static void an_object_is_split_over_holes_of_any_size(struct kunit *test)
{
	struct zbud_test_object fillers[2] = {}, obj = {}, more = {};
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct zbud_test *t = test->priv;
	unsigned int a, b;

	use_one_shard(test);
	for (a = ZBUD_MIN_FIRST_PART; a < ZBUD_CHUNKS - ZBUD_TINY_CHUNKS; a++) {
		for (b = 1; b <= a && a + b < ZBUD_CHUNKS; b++) {
			size_t size = split_size(a, b);

			if (size_is_tiny(size))
				continue;
			/* Make them in either order. */
			if ((a ^ b) & 1)
				make_holes(test, fillers, a, b);
			else
				make_holes(test, fillers, b, a);

			/* One byte more needs a new page, then one less fits. */
			must_store(test, &more, size + 1);
			KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), 3);
			zbud_free(t->pool, &more.handle);
			must_store(test, &obj, size);
			KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), 2);

			KUNIT_ASSERT_EQ(test, zbud_read_begin(t->pool, &obj.handle,
							      sg, size), 0);
			KUNIT_EXPECT_EQ(test, sg_nents(sg), 2);
			KUNIT_EXPECT_EQ(test, sg[0].length,
					a * ZBUD_CHUNK_SIZE - 2 * ZBUD_HEADER_SIZE);
			zbud_read_end(sg);

			free_objects(test, fillers, 2);
			KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), 2);
			free_objects(test, &obj, 1);
			KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), 0);
		}
	}
}

/* Holes of a page's worth that are too small for both parts take the first one. */
static void a_hole_and_a_new_page_take_an_object(struct kunit *test)
{
	struct zbud_test_object fillers[5] = {}, objs[2] = {};
	const unsigned int hole = ZBUD_CHUNKS / 4;
	const size_t size = chunks_size(ZBUD_CHUNKS - hole);
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct zbud_test *t = test->priv;
	unsigned int i;

	use_one_shard(test);
	/* Its hole is smaller. */
	must_store(test, &fillers[4], chunks_size(ZBUD_CHUNKS - hole + 1));
	for (i = 0; i < 4; i++)
		must_store(test, &fillers[i], size);
	KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), 5);

	must_store(test, &objs[0], size);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 6);
	for (i = 0; i < 4 && !same_page(&objs[0], &fillers[i]); i++)
		;
	KUNIT_EXPECT_LT(test, i, 4);
	KUNIT_ASSERT_EQ(test, zbud_read_begin(t->pool, &objs[0].handle, sg, size), 0);
	KUNIT_EXPECT_EQ(test, sg_nents(sg), 2);
	KUNIT_EXPECT_EQ(test, sg[0].length,
			hole * ZBUD_CHUNK_SIZE - 2 * ZBUD_HEADER_SIZE);
	zbud_read_end(sg);

	/* A page has a page to itself. */
	must_store(test, &objs[1], PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 7);
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		must_be_same(test, &objs[i]);
	free_objects(test, fillers, ARRAY_SIZE(fillers));
	free_objects(test, objs, ARRAY_SIZE(objs));
}

static void a_split_object_can_be_shortened(struct kunit *test)
{
	struct zbud_test_object fillers[2] = {}, obj = {};
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct zbud_test *t = test->priv;
	size_t first = 40 * ZBUD_CHUNK_SIZE - 2 * ZBUD_HEADER_SIZE;

	use_one_shard(test);
	make_holes(test, fillers, 40, 30);
	must_store(test, &obj, split_size(40, 30));

	/* Read no more than the first part, exactly that, and a byte more. */
	KUNIT_ASSERT_EQ(test, zbud_read_begin(t->pool, &obj.handle, sg, 1), 0);
	KUNIT_EXPECT_EQ(test, sg_nents(sg), 1);
	zbud_read_end(sg);
	KUNIT_ASSERT_EQ(test, zbud_read_begin(t->pool, &obj.handle, sg, first), 0);
	KUNIT_EXPECT_EQ(test, sg_nents(sg), 1);
	zbud_read_end(sg);
	KUNIT_ASSERT_EQ(test, zbud_read_begin(t->pool, &obj.handle, sg, first + 1), 0);
	KUNIT_EXPECT_EQ(test, sg_nents(sg), 2);
	KUNIT_EXPECT_EQ(test, sg[1].length, 1);
	zbud_read_end(sg);

	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, zbud_read_begin(t->pool, &obj.handle, sg,
						      obj.size + 1), -EIO);
	}
	free_objects(test, &obj, 1);
	free_objects(test, fillers, 2);
}

/*
 * The page with the best hole for the first part may be pinned.  Then the page
 * that the first part takes instead may also be the best one for the second part.
 */
static void both_parts_may_be_in_a_page_that_is_rearranged(struct kunit *test)
{
	static const u8 p_chunks[] = { 25, 3, 52, 20, 3 };
	static const u8 q_chunks[] = { 38, 26, 38, 26 };
	struct zbud_test_object p[ARRAY_SIZE(p_chunks)] = {};
	struct zbud_test_object q[ARRAY_SIZE(q_chunks)] = {};
	struct zbud_test_object r = {}, obj = { .size = chunks_size(100), .seed = 1 };
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct zbud_test *t = test->priv;
	struct zbud_object parts;
	struct zbud_shard *shard;
	bool found;
	int i;

	if (ZBUD_CHUNKS != 128)
		kunit_skip(test, "the pages of this example have 128 chunks");
	use_one_shard(test);
	shard = t->pool->shards;
	must_store(test, &p[0], chunks_size(p_chunks[0]));
	for (i = 1; i < ARRAY_SIZE(p); i++)
		must_store_in_slot(test, &p[i], chunks_size(p_chunks[i]));
	for (i = 0; i < ARRAY_SIZE(q); i++)
		must_store(test, &q[i], chunks_size(q_chunks[i]));
	must_store(test, &r, chunks_size(77));
	KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), 3);
	zbud_free(t->pool, &p[0].handle);
	zbud_free(t->pool, &p[2].handle);
	zbud_free(t->pool, &q[1].handle);
	zbud_free(t->pool, &q[3].handle);
	KUNIT_ASSERT_EQ(test, zbud_read_begin(t->pool, &q[0].handle, sg, 1), 0);

	fill(t->buf, obj.size, obj.seed);
	scoped_guard(spinlock, &shard->lock) {
		found = take_two_runs(shard, obj.size, 100, &parts);
		if (found)
			set_object(&parts, &obj.handle, t->buf, obj.size);
	}
	zbud_read_end(sg);
	KUNIT_ASSERT_TRUE(test, found);
	KUNIT_EXPECT_PTR_EQ(test, parts.parts[0].page, parts.parts[1].page);
	KUNIT_EXPECT_TRUE(test, same_page(&obj, &p[1]));

	must_be_same(test, &obj);
	for (i = 0; i < ARRAY_SIZE(p); i++)
		if (p[i].handle)
			must_be_same(test, &p[i]);
	free_objects(test, &obj, 1);
	free_objects(test, &r, 1);
	free_objects(test, p, ARRAY_SIZE(p));
	free_objects(test, q, ARRAY_SIZE(q));
}

static void a_lost_second_part_is_an_error(struct kunit *test)
{
	struct zbud_test_object fillers[2] = {}, obj = {};
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct zbud_test *t = test->priv;
	unsigned long link, header, word;
	struct zbud_run first, second;

	use_one_shard(test);
	make_holes(test, fillers, 40, 30);
	must_store(test, &obj, split_size(40, 30));
	KUNIT_ASSERT_TRUE(test, handle_run(t->pool->shards, obj.handle, &first));
	link = read_header(&first, 1);

	/* The link points to another object. */
	write_header(&first, 1, fillers[0].handle);
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, zbud_read_begin(t->pool, &obj.handle, sg, 1), -EIO);
	}
	/* The second part says that it belongs to another object. */
	write_header(&first, 1, link);
	KUNIT_ASSERT_TRUE(test, handle_run(t->pool->shards, link, &second));
	header = read_header(&second, 0);
	write_header(&second, 0, (unsigned long)&fillers[0].handle | ZBUD_SECOND_PART);
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, zbud_read_begin(t->pool, &obj.handle, sg, 1), -EIO);
	}
	write_header(&second, 0, header);
	/* The link points to no page at all. */
	write_header(&first, 1, ULONG_MAX);
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, zbud_read_begin(t->pool, &obj.handle, sg, 1), -EIO);
		word = obj.handle;
		zbud_free(t->pool, &obj.handle);
		KUNIT_EXPECT_EQ(test, obj.handle, 0);
		/* Another owner may use the word now, so zbud must not write it. */
		KUNIT_EXPECT_FALSE(test, owner_agrees(&first));
	}

	write_header(&first, 1, link);
	obj.handle = word;
	free_objects(test, &obj, 1);
	free_objects(test, fillers, 2);
}

/* === Out of memory ======================================================= */

static void out_of_memory_leaves_nothing_behind(struct kunit *test)
{
	struct zbud_test_object objs[3] = {}, none = {};
	struct zbud_test *t = test->priv;
	int i;

	use_one_shard(test);
	kunit_activate_static_stub(test, get_page_from_buddy, no_page);
	KUNIT_EXPECT_EQ(test, store(t->pool, t->buf, &none, 1, 1), -ENOMEM);
	KUNIT_EXPECT_EQ(test, store(t->pool, t->buf, &none, PAGE_SIZE, 1), -ENOMEM);
	KUNIT_EXPECT_EQ(test, none.handle, 0);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 0);
	kunit_deactivate_static_stub(test, get_page_from_buddy);

	for (i = 0; i < 3; i++)
		must_store(test, &objs[i], chunks_size(ZBUD_CHUNKS / 4));

	/* In a pool with objects, those that fit are stored, and others fail. */
	kunit_activate_static_stub(test, get_page_from_buddy, no_page);
	KUNIT_EXPECT_EQ(test, store(t->pool, t->buf, &none,
				    chunks_size(ZBUD_CHUNKS / 4) + 1, 1), -ENOMEM);
	KUNIT_EXPECT_EQ(test, none.handle, 0);
	must_store(test, &none, chunks_size(ZBUD_CHUNKS / 4));
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 1);
	kunit_deactivate_static_stub(test, get_page_from_buddy);

	free_objects(test, &none, 1);
	free_objects(test, objs, 3);
}

/* There is room for a first part, but none for the second one. */
static void a_second_part_without_room_takes_the_first_back(struct kunit *test)
{
	static const u8 chunks[] = { 25, 39, 25, 39 };
	struct zbud_test_object objs[ARRAY_SIZE(chunks)] = {}, a = {}, split = {};
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct zbud_test *t = test->priv;
	unsigned int i, nr = ARRAY_SIZE(chunks);
	unsigned long nr_free;

	use_one_shard(test);
	for (i = 0; i < nr; i++)
		must_store(test, &objs[i], chunks_size(chunks[i]));
	must_store(test, &a, chunks_size(ZBUD_CHUNKS - 60));
	KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), 2);
	zbud_free(t->pool, &objs[0].handle);
	zbud_free(t->pool, &objs[2].handle);
	nr_free = t->pool->shards[0].nr_free;
	KUNIT_ASSERT_EQ(test, nr_free, 60 + 50);

	/* The reader keeps the two holes from becoming one. */
	kunit_activate_static_stub(test, get_page_from_buddy, no_page);
	KUNIT_ASSERT_EQ(test, zbud_read_begin(t->pool, &objs[1].handle, sg, 1), 0);
	KUNIT_EXPECT_EQ(test, store(t->pool, t->buf, &split, split_size(60, 50), 1),
			-ENOMEM);
	KUNIT_EXPECT_EQ(test, split.handle, 0);
	KUNIT_EXPECT_EQ(test, t->pool->shards[0].nr_free, nr_free);
	KUNIT_EXPECT_EQ(test, hweight_long(used_slots(handle_page(a.handle))), 1);
	zbud_read_end(sg);
	must_store(test, &split, split_size(60, 50));
	kunit_deactivate_static_stub(test, get_page_from_buddy);
	KUNIT_EXPECT_EQ(test, t->pool->shards[0].nr_free, 0);

	free_objects(test, &split, 1);
	free_objects(test, &a, 1);
	free_objects(test, objs, nr);
}

static void out_of_memory_any_shard_will_do(struct kunit *test)
{
	struct zbud_test_object objs[ZBUD_SLOTS] = {};
	struct zbud_test *t = test->priv;
	int i;

	must_store(test, &objs[0], 1);
	kunit_activate_static_stub(test, get_page_from_buddy, no_page);
	for (i = 1; i < ZBUD_SLOTS; i++)
		must_store(test, &objs[i], 1);
	kunit_deactivate_static_stub(test, get_page_from_buddy);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 1);
	free_objects(test, objs, ZBUD_SLOTS);
}

/* === Migration =========================================================== */

static struct folio *migration_target(struct folio *src, unsigned long private)
{
	return folio_alloc(ZBUD_TEST_GFP, 0);
}

/* Migrate a page as memory compaction does.  The caller has a reference to it. */
static bool migrate(struct page *page)
{
	LIST_HEAD(pages);

	if (!isolate_folio_to_list(page_folio(page), &pages))
		return false;
	if (!migrate_pages(&pages, migration_target, NULL, 0, MIGRATE_SYNC,
			   MR_COMPACTION, NULL))
		return true;
	putback_movable_pages(&pages);
	return false;
}

static void must_migrate(struct kunit *test, struct zbud_test_object *obj,
			 bool possible)
{
	struct page *page = handle_page(obj->handle);

	get_page(page);
	KUNIT_EXPECT_EQ(test, migrate(page), possible);
	KUNIT_EXPECT_EQ(test, handle_page(obj->handle) != page, possible);
	put_page(page);
}

static void a_migrated_page_takes_its_objects_along(struct kunit *test)
{
	struct zbud_test_object objs[6] = {}, more = {}, whole = {};
	struct zbud_test *t = test->priv;
	int i;

	if (!IS_ENABLED(CONFIG_MIGRATION))
		kunit_skip(test, "no CONFIG_MIGRATION");

	use_one_shard(test);
	for (i = 0; i < 6; i++)
		must_store(test, &objs[i], chunks_size(ZBUD_CHUNKS / 8));
	zbud_free(t->pool, &objs[2].handle);

	must_migrate(test, &objs[0], true);
	for (i = 0; i < 6; i++) {
		if (i == 2)
			continue;
		KUNIT_EXPECT_TRUE(test, same_page(&objs[i], &objs[0]));
		must_be_same(test, &objs[i]);
	}
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 1);

	/* The new page takes objects as the old one did. */
	must_store(test, &more, chunks_size(ZBUD_CHUNKS / 2 - ZBUD_CHUNKS / 8));
	KUNIT_EXPECT_TRUE(test, same_page(&more, &objs[0]));

	must_store(test, &whole, PAGE_SIZE);
	must_migrate(test, &whole, true);

	free_objects(test, &whole, 1);
	free_objects(test, &more, 1);
	free_objects(test, objs, 6);
}

static void both_parts_of_an_object_can_be_migrated(struct kunit *test)
{
	struct zbud_test_object fillers[2] = {}, obj = {};
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct zbud_test *t = test->priv;
	int i;

	if (!IS_ENABLED(CONFIG_MIGRATION))
		kunit_skip(test, "no CONFIG_MIGRATION");

	use_one_shard(test);
	make_holes(test, fillers, 60, 50);
	must_store(test, &obj, split_size(60, 50));
	KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), 2);

	for (i = 0; i < 4; i++) {
		must_migrate(test, &fillers[i % 2], true);
		must_be_same(test, &obj);
	}

	/* A reader pins both pages. */
	KUNIT_ASSERT_EQ(test, zbud_read_begin(t->pool, &obj.handle, sg, obj.size), 0);
	for (i = 0; i < 2; i++)
		must_migrate(test, &fillers[i], false);
	zbud_read_end(sg);

	free_objects(test, fillers, 2);
	free_objects(test, &obj, 1);
}

static void a_pinned_page_is_not_migrated(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value;
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct zbud_test *t = test->priv;
	struct zbud_test_object obj = {};
	struct page *page;
	LIST_HEAD(pages);

	if (!IS_ENABLED(CONFIG_MIGRATION))
		kunit_skip(test, "no CONFIG_MIGRATION");

	must_store(test, &obj, size);
	KUNIT_ASSERT_EQ(test, zbud_read_begin(t->pool, &obj.handle, sg, size), 0);
	must_migrate(test, &obj, false);
	zbud_read_end(sg);

	/* Nor can a page that was pinned after it was isolated. */
	page = handle_page(obj.handle);
	KUNIT_ASSERT_TRUE(test, isolate_folio_to_list(page_folio(page), &pages));
	KUNIT_ASSERT_EQ(test, zbud_read_begin(t->pool, &obj.handle, sg, size), 0);
	KUNIT_EXPECT_NE(test, migrate_pages(&pages, migration_target, NULL, 0,
					    MIGRATE_SYNC, MR_COMPACTION, NULL), 0);
	zbud_read_end(sg);
	putback_movable_pages(&pages);
	KUNIT_EXPECT_PTR_EQ(test, handle_page(obj.handle), page);

	must_migrate(test, &obj, true);
	free_objects(test, &obj, 1);
}

static void an_isolated_page_can_be_emptied(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value;
	struct zbud_test_object objs[2] = {}, more = {};
	struct zbud_test *t = test->priv;
	struct page *page;
	LIST_HEAD(pages);
	int i, how;

	if (!IS_ENABLED(CONFIG_MIGRATION))
		kunit_skip(test, "no CONFIG_MIGRATION");

	/* In the end, the page is migrated or put back. */
	for (how = 0; how < 2; how++) {
		for (i = 0; i < 2; i++)
			must_store(test, &objs[i], size);
		page = handle_page(objs[0].handle);
		KUNIT_ASSERT_TRUE(test, isolate_folio_to_list(page_folio(page), &pages));

		/* It gets no objects while it is isolated. */
		must_store(test, &more, size);
		KUNIT_EXPECT_FALSE(test, same_page(&more, &objs[0]));
		zbud_free(t->pool, &more.handle);

		free_objects(test, objs, 2);
		KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 0);
		if (how)
			putback_movable_pages(&pages);
		else
			KUNIT_EXPECT_EQ(test, migrate_pages(&pages, migration_target,
							    NULL, 0, MIGRATE_SYNC,
							    MR_COMPACTION, NULL), 0);
		KUNIT_EXPECT_TRUE(test, list_empty(&pages));
	}
}

static void a_corrupt_page_is_not_migrated(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value;
	struct zbud_test_object objs[2] = {};
	struct zbud_test *t = test->priv;
	struct zbud_run run = {};

	if (!IS_ENABLED(CONFIG_MIGRATION))
		kunit_skip(test, "no CONFIG_MIGRATION");

	must_store(test, &objs[0], size);
	must_store(test, &objs[1], size);
	run.page = handle_page(objs[0].handle);

	/* The word of another object, and an address that is not mapped */
	write_header(&run, 0, (unsigned long)&objs[1].handle);
	kunit_warning_suppress(test)
		must_migrate(test, &objs[0], false);
	write_header(&run, 0, (unsigned long)(unsigned long *)-PAGE_SIZE);
	kunit_warning_suppress(test)
		must_migrate(test, &objs[0], false);

	write_header(&run, 0, (unsigned long)&objs[0].handle);
	must_migrate(test, &objs[0], true);
	free_objects(test, objs, 2);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 0);
}

/* === Handles that move =================================================== */

/* Move the handle to another word, and back. */
static void move_handle_there_and_back(struct zbud_pool *pool,
				       struct zbud_test_object *obj)
{
	unsigned long other;

	zbud_move_handle(pool, &obj->handle, &other);
	zbud_move_handle(pool, &other, &obj->handle);
}

static void an_object_keeps_its_bytes_under_another_handle(struct kunit *test)
{
	const size_t sizes[] = { 1, 1000, PAGE_SIZE, split_size(60, 50) };
	struct zbud_test_object objs[4] = {}, moved[4] = {}, fillers[2] = {};
	struct zbud_test *t = test->priv;
	unsigned int i;

	use_one_shard(test);
	make_holes(test, fillers, 60, 50);
	for (i = ARRAY_SIZE(sizes); i--; )
		must_store(test, &objs[i], sizes[i]);
	/* One object is split over the two holes. */
	KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), 2 + 3);

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		moved[i] = objs[i];
		zbud_move_handle(t->pool, &objs[i].handle, &moved[i].handle);
		KUNIT_EXPECT_EQ(test, objs[i].handle, 0);
		must_be_same(test, &moved[i]);
	}
	/* Migration rewrites the new words. */
	if (IS_ENABLED(CONFIG_MIGRATION)) {
		for (i = 0; i < 3; i++)
			must_migrate(test, &moved[i], true);
		for (i = 0; i < 2; i++)
			must_migrate(test, &fillers[i], true);
	}
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		KUNIT_EXPECT_EQ(test, objs[i].handle, 0);
	free_objects(test, moved, ARRAY_SIZE(sizes));
	free_objects(test, fillers, 2);
}

static void the_footprint_is_what_an_object_takes(struct kunit *test)
{
	struct zbud_test_object obj = {};
	size_t size;

	for (size = 1; size <= PAGE_SIZE; size += PAGE_SIZE / SZ_4K) {
		struct page *page;

		must_store(test, &obj, size);
		page = handle_page(obj.handle);
		KUNIT_ASSERT_EQ_MSG(test, zbud_footprint(size),
				    page_has_cells(page) ? cell_size(page) :
				    PAGE_SIZE - chunks_to_bytes(page_free_chunks(page)),
				    "%zu bytes", size);
		free_objects(test, &obj, 1);
	}
	/* Compressors may return more than a page. */
	KUNIT_EXPECT_EQ(test, zbud_footprint(PAGE_SIZE + 1), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, zbud_footprint(2 * PAGE_SIZE), PAGE_SIZE);
}

/* === Compaction ========================================================== */

#define POOL_OBJECTS	4000U

/* If compaction is pending, run it now. */
static void finish_compaction(struct zbud_pool *pool)
{
	flush_delayed_work(&pool->compaction);
}

/* Fill a pool with objects of many sizes, and free a random half of them. */
static struct zbud_test_object *half_freed_pool(struct kunit *test, size_t *bytes)
{
	struct zbud_test *t = test->priv;
	struct zbud_test_object *objs;
	struct rnd_state rnd;
	unsigned int i;

	objs = kunit_kcalloc(test, POOL_OBJECTS, sizeof(*objs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, objs);
	prandom_seed_state(&rnd, 1);
	for (i = 0; i < POOL_OBJECTS; i++)
		must_store(test, &objs[i], 1 + prandom_u32_state(&rnd) % (PAGE_SIZE - 1));
	*bytes = 0;
	for (i = 0; i < POOL_OBJECTS; i++) {
		if (prandom_u32_state(&rnd) % 2)
			zbud_free(t->pool, &objs[i].handle);
		else
			*bytes += objs[i].size;
	}
	return objs;
}

static void what_is_freed_comes_back_by_itself(struct kunit *test)
{
	struct zbud_test *t = test->priv;
	struct zbud_test_object *objs;
	unsigned long before, after;
	size_t bytes;

	objs = half_freed_pool(test, &bytes);
	/* If the test was slow, compaction has run already. */
	finish_compaction(t->pool);
	after = zbud_total_pages(t->pool);
	before = after + zbud_pages_compacted(t->pool);
	kunit_info(test, "%lu pages, then %lu, for %zu bytes\n", before, after, bytes);

	KUNIT_EXPECT_GT(test, before * PAGE_SIZE, bytes * 130 / 100);
	KUNIT_EXPECT_LE(test, after * PAGE_SIZE, bytes * 115 / 100);
	/* Compaction is done and has nothing left to do. */
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&t->pool->compaction));

	free_objects(test, objs, POOL_OBJECTS);
}

/* Return: how many pages a pool keeps when few of its many objects are left. */
static unsigned long pages_kept(struct kunit *test, size_t min, size_t max,
				unsigned int nr_shards, size_t *bytes)
{
	const unsigned int nr = POOL_OBJECTS, nr_left = 4 * nr_shards;
	struct zbud_test *t = test->priv;
	struct zbud_test_object *objs;
	unsigned long before, after;
	struct rnd_state rnd;
	unsigned int i;

	objs = kunit_kcalloc(test, nr, sizeof(*objs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, objs);
	prandom_seed_state(&rnd, 1);
	use_shards(test, nr_shards);
	use_compaction(t->pool);
	for (i = 0; i < nr; i++)
		must_store(test, &objs[i],
			   min + prandom_u32_state(&rnd) % (max - min + 1));
	before = zbud_total_pages(t->pool);
	*bytes = 0;
	for (i = 0; i < nr; i++) {
		if (i % (nr / nr_left))
			zbud_free(t->pool, &objs[i].handle);
		else
			*bytes += objs[i].size;
	}
	finish_compaction(t->pool);
	after = zbud_total_pages(t->pool);
	kunit_info(test, "%lu pages, then %lu in %u shards, for %zu bytes\n", before,
		   after, nr_shards, *bytes);
	free_objects(test, objs, nr);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 0);
	kunit_kfree(test, objs);
	return after;
}

static void an_idle_shard_keeps_about_a_page(struct kunit *test)
{
	unsigned long pages, nr_shards = 8;
	size_t bytes;

	pages = pages_kept(test, TINY_SIZE + 1, PAGE_SIZE / 8, nr_shards, &bytes);
	KUNIT_EXPECT_LE(test, pages, DIV_ROUND_UP(bytes, PAGE_SIZE) + nr_shards);
	/* Cells may be up to three quarters free, besides the last page of a shard. */
	pages = pages_kept(test, 1, TINY_SIZE, nr_shards, &bytes);
	KUNIT_EXPECT_LE(test, pages, DIV_ROUND_UP(4 * bytes, PAGE_SIZE) + nr_shards);
}

static void all_shards_together_keep_little_of_memory(struct kunit *test)
{
	static const struct {
		unsigned int nr_cpus;
		unsigned long nr_pages;
		unsigned int expected;
	} cases[] = {
		{ 1, 0, 1 }, { 1, 2 * ZBUD_PAGES_PER_SHARD - 1, 1 },
		{ 8, 7 * ZBUD_PAGES_PER_SHARD, 4 },
		{ 1, 100 * ZBUD_PAGES_PER_SHARD, ZBUD_SHARDS_PER_CPU },
		{ 16, 64 * ZBUD_PAGES_PER_SHARD, 64 }, { 4096, ULONG_MAX, 64 },
	};
	struct zbud_test *t = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		KUNIT_EXPECT_EQ_MSG(test, shards_for(cases[i].nr_cpus, cases[i].nr_pages),
				    min(cases[i].expected, (unsigned int)ZBUD_MAX_SHARDS),
				    "case %u", i);
	if (t->pool->nr_shards > 1)
		KUNIT_EXPECT_LE(test, t->pool->nr_shards,
				totalram_pages() / ZBUD_PAGES_PER_SHARD);
}

static void memory_pressure_compacts_further(struct kunit *test)
{
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL };
	struct zbud_test *t = test->priv;
	unsigned long before, count, freed;
	struct zbud_test_object *objs;
	struct shrinker *shrinker;
	size_t bytes;

	objs = half_freed_pool(test, &bytes);
	finish_compaction(t->pool);
	shrinker = t->pool->shrinker;

	before = zbud_total_pages(t->pool);
	count = shrinker->count_objects(shrinker, &sc);
	KUNIT_ASSERT_NE(test, count, SHRINK_EMPTY);
	sc.nr_to_scan = count;
	freed = shrinker->scan_objects(shrinker, &sc);
	KUNIT_ASSERT_NE(test, freed, SHRINK_STOP);
	KUNIT_EXPECT_GT(test, freed, 0);
	KUNIT_EXPECT_LE(test, freed, count);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), before - freed);

	free_objects(test, objs, POOL_OBJECTS);
	KUNIT_EXPECT_EQ(test, shrinker->count_objects(shrinker, &sc), SHRINK_EMPTY);
}

static void compaction_ends_where_there_is_nothing_to_gain(struct kunit *test)
{
	struct zbud_test_object objs[2 * ZBUD_COMPACT_START] = {};
	struct scatterlist sg[ARRAY_SIZE(objs)][ZBUD_SG_ENTRIES];
	struct zbud_test *t = test->priv;
	struct zbud_shard *shard;
	unsigned int i, nr = ARRAY_SIZE(objs);

	use_one_shard(test);
	use_compaction(t->pool);
	shard = t->pool->shards;
	for (i = 0; i < nr; i++)
		must_store(test, &objs[i], chunks_size(ZBUD_CHUNKS / 2));
	KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), nr / 2);

	/* One half of each page is being read, and the other half is freed. */
	for (i = 0; i < nr; i += 2)
		KUNIT_ASSERT_EQ(test, zbud_read_begin(t->pool, &objs[i].handle,
						      sg[i], 1), 0);
	for (i = 1; i < nr; i += 2)
		zbud_free(t->pool, &objs[i].handle);
	finish_compaction(t->pool);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), nr / 2);
	KUNIT_EXPECT_GT(test, shard->gave_up, shard->nr_free);

	for (i = 0; i < nr; i += 2)
		zbud_read_end(sg[i]);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&t->pool->compaction));

	/* More free space is a reason to try again. */
	zbud_free(t->pool, &objs[0].handle);
	zbud_free(t->pool, &objs[2].handle);
	must_store(test, &objs[1], chunks_size(ZBUD_CHUNKS / 4));
	must_store(test, &objs[3], chunks_size(ZBUD_CHUNKS / 4));
	free_objects(test, objs, nr);
}

/* Once the objects that do not fit elsewhere are freed, compacting the rest pays. */
static void a_shard_that_has_shrunk_is_compacted(struct kunit *test)
{
	const unsigned int nr_large = 192, nr_pages = 32, nr_small = nr_pages * ZBUD_SLOTS;
	struct zbud_test_object *large, *small, *fillers;
	struct zbud_test *t = test->priv;
	unsigned long compacted, left;
	unsigned int i, k, next = 1;

	large = kunit_kcalloc(test, 2 * nr_large + nr_small, sizeof(*large), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, large);
	small = large + nr_large;
	fillers = small + nr_small;
	use_one_shard(test);
	use_compaction(t->pool);
	for (i = 0; i < nr_small; i++)
		must_store(test, &small[i], chunks_size(ZBUD_CHUNKS / ZBUD_SLOTS));
	/* Even split in two, it does not fit into the holes that two others leave. */
	for (i = 0; i < nr_large; i++) {
		must_store(test, &large[i], chunks_size(ZBUD_CHUNKS * 3 / 4));
		must_store(test, &fillers[i], chunks_size(ZBUD_CHUNKS / 4));
	}
	free_objects(test, fillers, nr_large);
	KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), nr_pages + nr_large);
	zbud_free(t->pool, &large[0].handle);
	finish_compaction(t->pool);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), nr_pages + nr_large - 1);
	compacted = zbud_pages_compacted(t->pool);

	/* The free space never exceeds what there is now, nor falls below an eighth. */
	for (i = 0; i < nr_small; i++) {
		for (k = 0; i % 3 == 2 && k < 16 / ZBUD_SLOTS; k++)
			zbud_free(t->pool, &large[next++].handle);
		if (i % ZBUD_SLOTS)
			zbud_free(t->pool, &small[i].handle);
	}
	free_objects(test, large, nr_large);
	left = zbud_total_pages(t->pool);
	/* If the loop was slow, compaction may have run already. */
	if (zbud_pages_compacted(t->pool) == compacted)
		KUNIT_EXPECT_EQ(test, left, nr_pages);
	finish_compaction(t->pool);
	KUNIT_EXPECT_LT(test, zbud_total_pages(t->pool), ZBUD_COMPACT_START);
	free_objects(test, small, nr_small);
}

/* Compaction drops the lock after each object. */
static void a_page_can_be_used_while_it_is_emptied(struct kunit *test)
{
	struct zbud_test_object objs[2] = {}, rest = {}, more = {};
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct zbud_test *t = test->priv;
	struct zbud_shard *shard;
	struct page *page;
	unsigned int slot;
	int how;

	use_one_shard(test);
	shard = t->pool->shards;
	for (how = 0; how < 2; how++) {
		must_store(test, &objs[0], chunks_size(ZBUD_CHUNKS / 4));
		must_store(test, &objs[1], chunks_size(ZBUD_CHUNKS / 4));
		must_store(test, &rest, chunks_size(ZBUD_CHUNKS * 3 / 4));
		KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), 2);

		/* Nobody else migrates the page, or adds to it. */
		page = isolate_sparsest_page(shard);
		slot = 0;
		KUNIT_ASSERT_PTR_EQ(test, page, handle_page(objs[0].handle));
		if (IS_ENABLED(CONFIG_MIGRATION))
			must_migrate(test, &objs[0], false);
		must_store(test, &more, chunks_size(ZBUD_CHUNKS / 2));
		KUNIT_EXPECT_FALSE(test, same_page(&more, &objs[0]));
		zbud_free(t->pool, &more.handle);

		KUNIT_EXPECT_EQ(test, move_first_run(shard, page, &slot), ZBUD_MOVED);
		KUNIT_EXPECT_TRUE(test, same_page(&objs[0], &rest));
		must_be_same(test, &objs[0]);
		must_be_same(test, &objs[1]);

		if (how) {
			/* The remaining object is freed meanwhile. */
			free_objects(test, &objs[1], 1);
			KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 1);
			KUNIT_EXPECT_EQ(test, move_first_run(shard, page, &slot),
					ZBUD_EMPTIED);
		} else {
			/* The remaining object is read meanwhile. */
			KUNIT_ASSERT_EQ(test, zbud_read_begin(t->pool, &objs[1].handle,
							      sg, objs[1].size), 0);
			KUNIT_EXPECT_EQ(test, move_first_run(shard, page, &slot),
					ZBUD_PINNED);
			zbud_read_end(sg);
			/* The page is in its bucket again. */
			must_store(test, &more, chunks_size(ZBUD_CHUNKS * 3 / 4));
			KUNIT_EXPECT_TRUE(test, same_page(&more, &objs[1]));
			free_objects(test, &more, 1);
		}
		put_page(page);
		free_objects(test, objs, 2);
		free_objects(test, &rest, 1);
	}
}

/* The shrinker continues where it stopped, and skips shards that gave up. */
static void the_shrinker_goes_round(struct kunit *test)
{
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL, .nr_to_scan = 1 };
	const unsigned int nr_shards = 4, nr = 64 * ZBUD_COMPACT_START;
	struct zbud_test *t = test->priv;
	struct zbud_test_object *objs;
	unsigned long pages[4];
	unsigned int i, round;

	objs = kunit_kcalloc(test, nr, sizeof(*objs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, objs);
	use_shards(test, nr_shards);
	for (i = 0; i < nr; i++)
		must_store(test, &objs[i], chunks_size(ZBUD_CHUNKS / 4));
	for (i = 0; i < nr; i++)
		if (i % 4)
			zbud_free(t->pool, &objs[i].handle);

	t->pool->shards[1].gave_up = t->pool->shards[1].nr_free;
	for (i = 0; i < nr_shards; i++)
		pages[i] = t->pool->shards[i].nr_pages;
	for (round = 0; round < 3; round++)
		KUNIT_EXPECT_EQ(test, t->pool->shrinker->scan_objects(t->pool->shrinker,
								      &sc), 1);
	for (i = 0; i < nr_shards; i++)
		KUNIT_EXPECT_EQ_MSG(test, t->pool->shards[i].nr_pages,
				    pages[i] - (i != 1), "shard %u", i);
	free_objects(test, objs, nr);
}

/* === Bad frames ========================================================== */

static bool is_bad(struct page *page)
{
	struct zbud_test *t = kunit_get_current_test()->priv;

	return page == t->bad;
}

/* Mark a frame as bad, as memory_failure() does; NULL undoes that. */
static void poison(struct kunit *test, struct page *page)
{
	struct zbud_test *t = test->priv;

	t->bad = page;
	if (page)
		kunit_activate_static_stub(test, page_bad, is_bad);
	else
		kunit_deactivate_static_stub(test, page_bad);
}

static void only_objects_in_a_bad_frame_are_lost(struct kunit *test)
{
	size_t size = *(const size_t *)test->param_value;
	struct zbud_test_object objs[2] = {}, other = {}, more = {};
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct zbud_test *t = test->priv;
	struct zbud_run run = {};
	unsigned int i;

	use_one_shard(test);
	must_store(test, &other, PAGE_SIZE);
	for (i = 0; i < 2; i++)
		must_store(test, &objs[i], size);
	run.page = handle_page(objs[0].handle);
	KUNIT_ASSERT_TRUE(test, same_page(&objs[0], &objs[1]));

	/* zbud never reads the contents of a bad frame. */
	write_header(&run, 0, ULONG_MAX);
	poison(test, run.page);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, zbud_read_begin(t->pool, &objs[i].handle, sg,
						      size), -EIO);
	move_handle_there_and_back(t->pool, &objs[0]);
	must_be_same(test, &other);

	/* zbud stores nothing in it, now or after a part of it is free. */
	if (IS_ENABLED(CONFIG_MIGRATION))
		must_migrate(test, &objs[1], false);
	must_store(test, &more, size);
	KUNIT_EXPECT_FALSE(test, same_page(&more, &objs[0]));
	zbud_free(t->pool, &objs[0].handle);
	zbud_free(t->pool, &more.handle);
	must_store(test, &more, size);
	KUNIT_EXPECT_FALSE(test, same_page(&more, &objs[1]));
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 3);

	/* The frame leaves the pool when its last object is freed. */
	zbud_free(t->pool, &objs[1].handle);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 2);
	free_objects(test, &more, 1);
	free_objects(test, &other, 1);
	poison(test, NULL);
}

static void a_split_object_with_a_part_in_a_bad_frame_is_lost(struct kunit *test)
{
	struct zbud_test_object fillers[2] = {}, obj = {};
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	struct zbud_test *t = test->priv;
	struct zbud_shard *shard;
	struct zbud_object parts;
	unsigned int i;

	use_one_shard(test);
	shard = t->pool->shards;
	for (i = 0; i < 2; i++) {
		make_holes(test, fillers, 60, 50);
		must_store(test, &obj, split_size(60, 50));
		KUNIT_ASSERT_TRUE(test, find_object(shard, &obj.handle, obj.handle,
						    &parts, true));
		KUNIT_ASSERT_EQ(test, parts.nr_parts, 2);

		poison(test, parts.parts[i].page);
		KUNIT_EXPECT_EQ(test, zbud_read_begin(t->pool, &obj.handle, sg, 1), -EIO);
		if (i)
			move_handle_there_and_back(t->pool, &obj);
		/* The second part must not move: that would write to the first one. */
		if (!i)
			KUNIT_EXPECT_FALSE(test, owner_agrees(&parts.parts[1]));
		must_be_same(test, &fillers[1 - i]);
		zbud_free(t->pool, &obj.handle);
		KUNIT_EXPECT_EQ(test, shard->nr_lost, !i);
		/* It does not keep its page from being migrated. */
		if (!i && IS_ENABLED(CONFIG_MIGRATION)) {
			must_migrate(test, &fillers[1], true);
			must_be_same(test, &fillers[1]);
			parts.parts[1].page = handle_page(fillers[1].handle);
		}
		zbud_free(t->pool, &fillers[0].handle);
		zbud_free(t->pool, &fillers[1].handle);
		poison(test, NULL);
		/* Only the first part said where the second one is. */
		KUNIT_ASSERT_EQ(test, zbud_total_pages(t->pool), !i);
		if (!i) {
			scoped_guard(spinlock, &shard->lock)
				drop_run(shard, &parts.parts[1]);
			free_pool_page(parts.parts[1].page);
			shard->nr_lost = 0;
		}
	}
}

/* If something is wrong with a page, compaction continues with the others. */
static void compaction_passes_over(struct kunit *test, bool bad)
{
	struct zbud_test_object objs[16] = {};
	struct zbud_test *t = test->priv;
	unsigned int i, nr = ARRAY_SIZE(objs);
	struct zbud_run run = {};
	struct zbud_shard *shard;

	use_one_shard(test);
	shard = t->pool->shards;
	for (i = 0; i < nr; i++)
		must_store(test, &objs[i], chunks_size(ZBUD_CHUNKS / 2));
	for (i = 1; i < nr; i += 2)
		zbud_free(t->pool, &objs[i].handle);
	/* The page that compaction would empty first */
	run.page = sparsest_page(shard);
	for (i = 0; handle_page(objs[i].handle) != run.page; i += 2)
		;
	if (bad)
		poison(test, run.page);
	write_header(&run, 0, (unsigned long)(unsigned long *)-PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, compact_shard(shard, UINT_MAX, ULONG_MAX), 3);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 5);
	KUNIT_EXPECT_PTR_EQ(test, handle_page(objs[i].handle), run.page);
	KUNIT_EXPECT_TRUE(test, page_isolated(run.page));

	if (bad)
		poison(test, NULL);
	write_header(&run, 0, (unsigned long)&objs[i].handle);
	free_objects(test, objs, nr);
}

static void compaction_passes_over_a_bad_frame(struct kunit *test)
{
	compaction_passes_over(test, true);
}

static void compaction_passes_over_a_corrupt_page(struct kunit *test)
{
	compaction_passes_over(test, false);
}

/* === A model ============================================================= */

#define MODEL_OBJECTS	400U
#define MODEL_PINS	4U
#define MODEL_STEPS	1000000U
/* A slow machine, or one with large pages, does as many steps as it can in this time. */
#define MODEL_SECONDS	120

struct model {
	struct rnd_state rnd;
	struct zbud_test_object objs[MODEL_OBJECTS];
	struct {
		struct zbud_test_object *obj;
		struct scatterlist sg[ZBUD_SG_ENTRIES];
	} pins[MODEL_PINS];
	bool no_memory;
	/* Pages of cells that were migrated, and that compaction emptied */
	unsigned int migrated;
	unsigned int emptied;
};

static u32 model_random(struct model *m, u32 below)
{
	return prandom_u32_state(&m->rnd) % below;
}

static bool model_pinned(struct model *m, struct zbud_test_object *obj)
{
	unsigned int i;

	for (i = 0; i < MODEL_PINS; i++)
		if (m->pins[i].obj == obj)
			return true;
	return false;
}

static struct page *model_page(gfp_t gfp, int nid)
{
	struct zbud_test *t = kunit_get_current_test()->priv;

	return t->model->no_memory ? NULL : alloc_pages_node(nid, gfp, 0);
}

/* Is a page consistent?  Add its parts to *@nr_parts. */
static bool page_consistent(struct zbud_shard *shard, struct page *page,
			    unsigned int bucket, unsigned int *nr_parts)
{
	struct zbud_cells *cells = page_cells(page);
	unsigned int nr = 0;
	size_t bytes = 0;
	struct zbud_run run;

	if (page->zbud_shard != shard || page_bucket(page) != bucket)
		return false;
	for (run = first_run(page); run.page; run = next_run(run)) {
		bytes += run_bytes(&run);
		nr++;
		if (run.offset + run_bytes(&run) > PAGE_SIZE || !owner_agrees(&run))
			return false;
	}
	*nr_parts += nr;
	if (page_has_cells(page))
		return nr && nr + cells->nr_free == page_nr_cells(page) &&
		       (!bucket || cells->nr_counted == cells->nr_free) &&
		       find_cell(page, 0, false) >= cells->first_free;
	return nr && bytes + chunks_to_bytes(page_free_chunks(page)) == PAGE_SIZE;
}

/* Do all objects in @page, or in the pool if it is NULL, have their contents? */
static bool objects_same(struct zbud_test *t, struct model *m, struct page *page)
{
	unsigned int i;

	for (i = 0; i < MODEL_OBJECTS; i++) {
		struct zbud_test_object *o = &m->objs[i];

		if (o->handle && (!page || handle_page(o->handle) == page) &&
		    !same(t->pool, t->buf, o))
			return false;
	}
	return true;
}

/* Do the pool's counters match the model?  Return: NULL, or what is wrong. */
static const char *pool_wrong(struct zbud_test *t, struct model *m)
{
	struct zbud_pool *pool = t->pool;
	unsigned int i, nr_parts = 0, nr_expected = 0;
	unsigned long nr_pages = 0;
	struct zbud_object obj;

	for (i = 0; i < pool->nr_shards; i++) {
		struct zbud_shard *shard = &pool->shards[i];
		unsigned long pages = 0, nr_free = 0;
		unsigned int bucket, cells;
		struct page *page;

		guard(spinlock)(&shard->lock);
		for (bucket = 0; bucket < ZBUD_BUCKETS; bucket++) {
			cells = 0;
			if (test_bit(bucket, shard->bitmap) ==
			    list_empty(&shard->buckets[bucket]))
				return "a bit of the bitmap is wrong";
			list_for_each_entry(page, &shard->buckets[bucket], zbud_list) {
				if (!page_consistent(shard, page, bucket, &nr_parts))
					return "a page is inconsistent";
				pages++;
				nr_free += counted_chunks(page, bucket);
				if (bucket_has_cells(bucket))
					cells += page_cells(page)->nr_free;
			}
			if (bucket_has_cells(bucket) &&
			    shard->free_cells[bucket - ZBUD_CHUNKS] != cells)
				return "a shard has miscounted cells";
		}
		if (pages != shard->nr_pages || nr_free != shard->nr_free)
			return "a shard has miscounted";
		nr_pages += pages;
	}
	if (nr_pages != zbud_total_pages(pool))
		return "the pool has miscounted";

	for (i = 0; i < MODEL_OBJECTS; i++) {
		struct zbud_test_object *o = &m->objs[i];

		if (!o->handle)
			continue;
		if (!find_object(handle_shard(pool, o->handle), &o->handle,
				 o->handle, &obj, true))
			return "an object is lost";
		nr_expected += obj.nr_parts;
	}
	if (nr_parts != nr_expected)
		return "there is something else in the pool";
	return objects_same(t, m, NULL) ? NULL : "some object has changed";
}

/* Do one of the million steps.  Return: NULL, or what is wrong. */
static const char *model_step(struct zbud_test *t, struct model *m)
{
	struct zbud_test_object *obj = &m->objs[model_random(m, MODEL_OBJECTS)];
	unsigned int i = model_random(m, MODEL_PINS);
	unsigned long done, pages = zbud_total_pages(t->pool);
	struct zbud_shard *shard;
	struct page *page, *cells;
	int err;

	switch (model_random(m, 16)) {
	case 0:	/* end a read; the data must not have moved */
		obj = m->pins[i].obj;
		if (!obj)
			return NULL;
		fill(t->buf, obj->size, obj->seed);
		if (!sg_same(m->pins[i].sg, t->buf, obj->size))
			return "what is being read has changed";
		zbud_read_end(m->pins[i].sg);
		m->pins[i].obj = NULL;
		return NULL;
	case 1:	/* begin a read */
		if (m->pins[i].obj || !obj->handle)
			return NULL;
		if (zbud_read_begin(t->pool, &obj->handle, m->pins[i].sg, obj->size))
			return "an object cannot be read";
		m->pins[i].obj = obj;
		return NULL;
	case 2:	/* migrate */
		if (!IS_ENABLED(CONFIG_MIGRATION) || !obj->handle)
			return NULL;
		page = handle_page(obj->handle);
		get_page(page);
		m->migrated += migrate(page) && page_has_cells(handle_page(obj->handle));
		put_page(page);
		return objects_same(t, m, handle_page(obj->handle)) ?
			NULL : "a migrated object has changed";
	case 3:	/* compact */
		shard = &t->pool->shards[model_random(m, t->pool->nr_shards)];
		scoped_guard(spinlock, &shard->lock)
			cells = sparsest_cells(shard, ZBUD_CHUNKS / ZBUD_COMPACT_START,
					       class_has_room);
		done = compact_shard(shard, UINT_MAX, 1);
		m->emptied += cells && done;
		pages -= done;
		return pages != zbud_total_pages(t->pool) ?
			"compaction has miscounted" : NULL;
	default: /* allocate or free, with a bit of memory or none */
		if (obj->handle) {
			if (!same(t->pool, t->buf, obj))
				return "an object has changed";
			if (!model_pinned(m, obj))
				zbud_free(t->pool, &obj->handle);
			return NULL;
		}
		m->no_memory = !model_random(m, 8);
		err = store(t->pool, t->buf, obj, churn_size(&m->rnd),
			    prandom_u32_state(&m->rnd));
		if (err && (!m->no_memory || err != -ENOMEM || obj->handle ||
			    zbud_total_pages(t->pool) != pages))
			return "an allocation did not fail as it should";
		/* Storing it may have moved other objects of the page. */
		return err || objects_same(t, m, handle_page(obj->handle)) ?
			NULL : "an object beside a new one has changed";
	}
}

static void a_million_steps_agree_with_a_model(struct kunit *test)
{
	struct zbud_test *t = test->priv;
	const char *wrong = NULL;
	unsigned long end = jiffies + MODEL_SECONDS * HZ;
	unsigned int step, i;
	u32 seed = get_random_u32();
	struct model *m;

	kunit_info(test, "seed %u\n", seed);
	/* Few shards, so that each has enough pages to compact */
	use_shards(test, 2);
	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	prandom_seed_state(&m->rnd, seed);
	t->model = m;
	kunit_activate_static_stub(test, get_page_from_buddy, model_page);

	for (step = 0; step < MODEL_STEPS && !wrong; step++) {
		wrong = model_step(t, m);
		if (!wrong && step % 64 == 0)
			wrong = pool_wrong(t, m);
		if (step % 1024 == 0)
			cond_resched();
		if (time_after(jiffies, end))
			break;
	}
	kunit_info(test, "%u steps\n", step);
	KUNIT_EXPECT_NULL_MSG(test, wrong, "seed %u, step %u: %s", seed, step, wrong);
	kunit_info(test, "%u pages of cells migrated, %u emptied\n", m->migrated,
		   m->emptied);
	if (IS_ENABLED(CONFIG_MIGRATION))
		KUNIT_EXPECT_GT(test, m->migrated, 0);
	KUNIT_EXPECT_GT(test, m->emptied, 0);

	for (i = 0; i < MODEL_PINS; i++)
		if (m->pins[i].obj)
			zbud_read_end(m->pins[i].sg);
	free_objects(test, m->objs, MODEL_OBJECTS);
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 0);
}

/* === Churn =============================================================== */

#define CHURN_OBJECTS	1500U
#define CHURN_STEPS	200000U
#define CHURN_SECONDS	60

/* Return: NULL, or what went wrong. */
static const char *churn(struct zbud_pool *pool, u8 *buf,
			 struct zbud_test_object *objs, u32 seed)
{
	const unsigned long end = jiffies + CHURN_SECONDS * HZ;
	struct rnd_state rnd;
	unsigned int step, i;

	prandom_seed_state(&rnd, seed);
	for (step = 0; step < CHURN_STEPS && !time_after(jiffies, end); step++) {
		struct zbud_test_object *obj;

		obj = &objs[prandom_u32_state(&rnd) % CHURN_OBJECTS];
		if (!obj->handle) {
			if (store(pool, buf, obj, churn_size(&rnd),
				  prandom_u32_state(&rnd)))
				return "an object could not be stored";
			continue;
		}
		if (!same(pool, buf, obj))
			return "an object has changed";
		move_handle_there_and_back(pool, obj);
		if (prandom_u32_state(&rnd) % 2)
			zbud_free(pool, &obj->handle);
		if (step % 1024 == 0)
			cond_resched();
	}
	for (i = 0; i < CHURN_OBJECTS; i++) {
		if (!objs[i].handle)
			continue;
		if (!same(pool, buf, &objs[i]))
			return "an object has changed";
		zbud_free(pool, &objs[i].handle);
	}
	return NULL;
}

struct churner {
	struct zbud_pool *pool;
	struct zbud_test_object *objs;
	u8 *buf;
	u32 seed;
	const char *wrong;
	struct completion done;
};

static int churner_fn(void *arg)
{
	struct churner *c = arg;

	c->wrong = churn(c->pool, c->buf, c->objs, c->seed);
	complete(&c->done);
	return 0;
}

/* Migrate pages of the pool until told to stop. */
static int migrator_fn(void *arg)
{
	unsigned long pfn, *migrated = arg;

	while (!kthread_should_stop()) {
		for (pfn = 0; pfn < max_pfn && !kthread_should_stop(); pfn++) {
			struct page *page = pfn_to_online_page(pfn);

			if (!page || !PageZbud(page) || !get_page_unless_zero(page))
				continue;
			*migrated += migrate(page);
			put_page(page);
			cond_resched();
		}
	}
	return 0;
}

struct compactor {
	struct zbud_pool *pool;
	unsigned long nr_pages;
};

/* Compact until told to stop, whether that pays or not. */
static int compactor_fn(void *arg)
{
	struct compactor *c = arg;
	unsigned int i;

	while (!kthread_should_stop()) {
		for (i = 0; i < c->pool->nr_shards; i++)
			c->nr_pages += compact_shard(&c->pool->shards[i],
						     UINT_MAX, 4);
		usleep_range(100, 200);
	}
	return 0;
}

static void contents_survive_churn_by_several_threads(struct kunit *test)
{
	struct task_struct *task, *compactor, *migrator = NULL;
	struct compactor compaction = {};
	struct churner *c, churners[3] = {};
	struct zbud_test *t = test->priv;
	unsigned long migrated = 0;

	for (c = churners; c < churners + ARRAY_SIZE(churners); c++) {
		c->pool = t->pool;
		c->objs = kunit_kcalloc(test, CHURN_OBJECTS, sizeof(*c->objs), GFP_KERNEL);
		c->buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, c->objs);
		KUNIT_ASSERT_NOT_NULL(test, c->buf);
		c->seed = get_random_u32();
		init_completion(&c->done);
	}
	if (IS_ENABLED(CONFIG_MIGRATION))
		migrator = kthread_run(migrator_fn, &migrated, "zbud-migrate");
	compaction.pool = t->pool;
	compactor = kthread_run(compactor_fn, &compaction, "zbud-compact");
	KUNIT_EXPECT_FALSE(test, IS_ERR(compactor));
	for (c = churners; c < churners + ARRAY_SIZE(churners); c++) {
		task = kthread_run(churner_fn, c, "zbud-churn");
		if (IS_ERR(task)) {
			c->wrong = "no thread";
			complete(&c->done);
		}
	}
	for (c = churners; c < churners + ARRAY_SIZE(churners); c++) {
		wait_for_completion(&c->done);
		KUNIT_EXPECT_NULL_MSG(test, c->wrong, "seed %u: %s", c->seed, c->wrong);
	}
	if (!IS_ERR(compactor)) {
		kthread_stop(compactor);
		kunit_info(test, "%lu pages emptied\n", compaction.nr_pages);
		KUNIT_EXPECT_GT(test, compaction.nr_pages, 0);
	}
	if (!IS_ERR_OR_NULL(migrator)) {
		kthread_stop(migrator);
		kunit_info(test, "%u CPUs, %lu pages migrated\n",
			   num_online_cpus(), migrated);
		KUNIT_EXPECT_GT(test, migrated, 0);
	}
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 0);
}

/* === Suite =============================================================== */

static int zbud_test_init(struct kunit *test)
{
	struct zbud_test *t;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	if (!t)
		return -ENOMEM;
	t->buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	if (!t->buf)
		return -ENOMEM;
	t->nr_zspages = nr_zspages();
	t->pool = zbud_create_pool();
	if (!t->pool)
		return -ENOMEM;
	test->priv = t;
	return 0;
}

/* Every test must leave the pool empty. */
static void zbud_test_exit(struct kunit *test)
{
	struct zbud_test *t = test->priv;

	if (!t || !t->pool)
		return;
	KUNIT_EXPECT_EQ(test, zbud_total_pages(t->pool), 0);
	KUNIT_EXPECT_EQ(test, nr_zspages(), t->nr_zspages);
	zbud_destroy_pool(t->pool);
}

static struct kunit_case zbud_test_cases[] = {
	KUNIT_CASE(size_zero_is_invalid),
	KUNIT_CASE(size_above_a_page_is_no_memory),
	KUNIT_CASE(one_byte_and_a_whole_page_are_sizes),
	KUNIT_CASE(every_size_around_a_chunk_boundary_keeps_its_bytes),
	KUNIT_CASE(a_page_holds_as_many_objects_as_it_has_slots),
	KUNIT_CASE(an_object_goes_to_the_fullest_page_with_room),
	KUNIT_CASE(a_page_is_given_back_with_its_last_object),
	KUNIT_CASE(holes_are_closed_for_an_object_that_needs_them),
	KUNIT_CASE(a_pinned_page_is_not_rearranged),
	KUNIT_CASE(pins_are_counted),
	KUNIT_CASE_PARAM(an_object_with_a_strange_header_is_refused, kind_gen_params),
	KUNIT_CASE_PARAM(a_damaged_handle_is_refused, kind_gen_params),
	KUNIT_CASE(tiny_objects_take_what_they_take_in_zsmalloc),
	KUNIT_CASE(equal_objects_take_what_they_take_in_zsmalloc),
	KUNIT_CASE(tiny_objects_fill_what_others_leave),
	KUNIT_CASE(a_cell_that_was_freed_is_not_found),
	KUNIT_CASE(pages_of_cells_are_compacted),
	KUNIT_CASE(a_damaged_cell_is_not_used),
	KUNIT_CASE(an_object_is_split_over_holes_of_any_size),
	KUNIT_CASE(a_hole_and_a_new_page_take_an_object),
	KUNIT_CASE(a_split_object_can_be_shortened),
	KUNIT_CASE(both_parts_may_be_in_a_page_that_is_rearranged),
	KUNIT_CASE(a_lost_second_part_is_an_error),
	KUNIT_CASE(out_of_memory_leaves_nothing_behind),
	KUNIT_CASE(a_second_part_without_room_takes_the_first_back),
	KUNIT_CASE(out_of_memory_any_shard_will_do),
	KUNIT_CASE(a_migrated_page_takes_its_objects_along),
	KUNIT_CASE(both_parts_of_an_object_can_be_migrated),
	KUNIT_CASE_PARAM(a_pinned_page_is_not_migrated, kind_gen_params),
	KUNIT_CASE_PARAM(an_isolated_page_can_be_emptied, kind_gen_params),
	KUNIT_CASE(an_object_keeps_its_bytes_under_another_handle),
	KUNIT_CASE(the_footprint_is_what_an_object_takes),
	KUNIT_CASE_PARAM(a_corrupt_page_is_not_migrated, kind_gen_params),
	KUNIT_CASE(what_is_freed_comes_back_by_itself),
	KUNIT_CASE(an_idle_shard_keeps_about_a_page),
	KUNIT_CASE(all_shards_together_keep_little_of_memory),
	KUNIT_CASE(memory_pressure_compacts_further),
	KUNIT_CASE(compaction_ends_where_there_is_nothing_to_gain),
	KUNIT_CASE(a_shard_that_has_shrunk_is_compacted),
	KUNIT_CASE(a_page_can_be_used_while_it_is_emptied),
	KUNIT_CASE(the_shrinker_goes_round),
	KUNIT_CASE_PARAM(only_objects_in_a_bad_frame_are_lost, kind_gen_params),
	KUNIT_CASE(a_split_object_with_a_part_in_a_bad_frame_is_lost),
	KUNIT_CASE(compaction_passes_over_a_bad_frame),
	KUNIT_CASE(compaction_passes_over_a_corrupt_page),
	KUNIT_CASE_SLOW(a_million_steps_agree_with_a_model),
	KUNIT_CASE_SLOW(contents_survive_churn_by_several_threads),
	{}
};

static struct kunit_suite zbud_test_suite = {
	.name = "zbud",
	.init = zbud_test_init,
	.exit = zbud_test_exit,
	.test_cases = zbud_test_cases,
};

kunit_test_suite(zbud_test_suite);
