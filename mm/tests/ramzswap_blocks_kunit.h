/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KUnit tests for the blocks of ramzswap's backing devices.
 *
 * mm/ramzswap_blocks.c includes this file, because the tests look at the states
 * of a block.
 */

#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/random.h>

#define TEST_NONCE	0x5eed1e55

static void test_fill(void *to, unsigned int length, u32 seed)
{
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed);
	prandom_bytes_state(&rnd, to, length);
}

static bool test_is_filled(void *scratch, const void *from, unsigned int length, u32 seed)
{
	test_fill(scratch, length, seed);
	return !memcmp(scratch, from, length);
}

static u32 test_seed(struct kunit *test, struct rnd_state *rnd)
{
	u32 seed = get_random_u32();

	kunit_info(test, "seed %#x", seed);
	prandom_seed_state(rnd, seed);
	return seed;
}

static void *test_page(struct kunit *test)
{
	void *page = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	return page;
}

/* === Places ============================================================== */

static void place_keeps_what_it_is_made_of(struct kunit *test)
{
	struct rnd_state rnd;
	unsigned int i;

	test_seed(test, &rnd);
	for (i = 0; i < 100000; i++) {
		u32 block = prandom_u32_state(&rnd), number = prandom_u32_state(&rnd);
		unsigned int position = prandom_u32_state(&rnd) % RAMZSWAP_BLOCK_OBJECTS;
		enum ramzswap_place_kind kind = prandom_u32_state(&rnd) % 2 ?
			RAMZSWAP_PLACE_PACKED : RAMZSWAP_PLACE_PENDING;
		unsigned int units = 1 + prandom_u32_state(&rnd) % RAMZSWAP_BLOCK_UNITS;
		u64 packed = ramzswap_place_packed(kind, block, position, units, number);
		u64 whole = ramzswap_place_whole(block, number);

		KUNIT_ASSERT_EQ(test, ramzswap_place_kind(packed), kind);
		KUNIT_ASSERT_EQ(test, ramzswap_place_block(packed), block);
		KUNIT_ASSERT_EQ(test, ramzswap_place_position(packed), position);
		KUNIT_ASSERT_EQ(test, ramzswap_place_units(packed), units);
		KUNIT_ASSERT_EQ(test, ramzswap_place_units(whole), RAMZSWAP_BLOCK_UNITS);
		KUNIT_ASSERT_EQ(test, ramzswap_place_generation(packed),
				number & RAMZSWAP_GENERATION_MASK);
		KUNIT_ASSERT_EQ(test, ramzswap_place_kind(whole), RAMZSWAP_PLACE_WHOLE);
		KUNIT_ASSERT_EQ(test, ramzswap_place_block(whole), block);
		KUNIT_ASSERT_EQ(test, ramzswap_place_checksum(whole),
				number & RAMZSWAP_CHECKSUM_MASK);
	}
	KUNIT_EXPECT_EQ(test, ramzswap_place_kind(0), RAMZSWAP_PLACE_NONE);
}

/* === Packing ============================================================= */

static void block_gives_back_what_was_packed(struct kunit *test)
{
	u8 *block = test_page(test), *scratch = test_page(test);
	struct rnd_state rnd;
	unsigned int round;

	test_seed(test, &rnd);
	for (round = 0; round < 2000; round++) {
		unsigned int lengths[RAMZSWAP_BLOCK_OBJECTS], nr = 0, i;
		u32 number = prandom_u32_state(&rnd), generation = prandom_u32_state(&rnd);
		/* Blocks of one object, of more, and with all positions in use */
		unsigned int most = PAGE_SIZE >> (prandom_u32_state(&rnd) % 7);

		/* Old contents must not matter. */
		prandom_bytes_state(&rnd, block, PAGE_SIZE);
		ramzswap_block_init(block);
		KUNIT_ASSERT_EQ(test, ramzswap_block_room(block),
				ramzswap_block_max_object());
		for (;;) {
			unsigned int length = 1 + prandom_u32_state(&rnd) % most;
			void *data;

			if (length > ramzswap_block_room(block))
				break;
			KUNIT_ASSERT_EQ(test, ramzswap_block_add(block, number + nr, length,
								 nr % 7, &data), nr);
			test_fill(data, length, number + nr);
			lengths[nr++] = length;
		}
		KUNIT_ASSERT_LE(test, nr, RAMZSWAP_BLOCK_OBJECTS);
		ramzswap_block_seal(block, TEST_NONCE, number, generation);
		KUNIT_ASSERT_EQ(test, ramzswap_block_nr(block), nr);
		for (i = 0; i < nr; i++) {
			u64 place = ramzswap_place_packed(RAMZSWAP_PLACE_PACKED, number, i,
							  ramzswap_block_units(block, i),
							  generation);
			unsigned int length, codec;
			const void *data;

			KUNIT_ASSERT_TRUE(test, ramzswap_block_valid(block, TEST_NONCE, place));
			data = ramzswap_block_object(block, i, number + i, &length, &codec);
			KUNIT_ASSERT_NOT_NULL(test, data);
			KUNIT_ASSERT_EQ(test, length, lengths[i]);
			KUNIT_ASSERT_EQ(test, codec, i % 7);
			KUNIT_ASSERT_TRUE(test, test_is_filled(scratch, data, length,
							       number + i));
			KUNIT_ASSERT_EQ(test, ramzswap_block_slot(block, i), number + i);
			/* The block has no object of another slot there. */
			KUNIT_ASSERT_NULL(test, ramzswap_block_object(block, i, number - 1,
								      &length, &codec));
		}
		KUNIT_ASSERT_NULL(test, ramzswap_block_object(block, nr, number + nr,
							      lengths, lengths));
	}
}

static void block_is_no_other_block(struct kunit *test)
{
	u64 place = ramzswap_place_packed(RAMZSWAP_PLACE_PACKED, 7, 0, 1, 9);
	u8 *block = test_page(test), *torn = test_page(test);
	struct rnd_state rnd;
	unsigned int bit;
	void *data;

	test_seed(test, &rnd);
	KUNIT_EXPECT_FALSE_MSG(test, ramzswap_block_valid(block, TEST_NONCE, place), "zeros");
	ramzswap_block_init(block);
	ramzswap_block_add(block, 1, 3000, 0, &data);
	test_fill(data, 3000, 1);
	ramzswap_block_seal(block, TEST_NONCE, 7, 9);
	KUNIT_ASSERT_TRUE(test, ramzswap_block_valid(block, TEST_NONCE, place));

	KUNIT_EXPECT_FALSE_MSG(test, ramzswap_block_valid(block, TEST_NONCE + 1, place),
			       "of an earlier use");
	ramzswap_block_seal(block, TEST_NONCE, 7, 8);
	KUNIT_EXPECT_FALSE_MSG(test, ramzswap_block_valid(block, TEST_NONCE, place), "stale");
	ramzswap_block_seal(block, TEST_NONCE, 8, 9);
	KUNIT_EXPECT_FALSE_MSG(test, ramzswap_block_valid(block, TEST_NONCE, place), "misdirected");

	/* Any sector may be that of an older block. */
	memcpy(torn, block, PAGE_SIZE);
	ramzswap_block_init(block);
	ramzswap_block_add(block, 1, 3500, 0, &data);
	test_fill(data, 3500, 2);
	ramzswap_block_seal(block, TEST_NONCE, 7, 9);
	KUNIT_ASSERT_TRUE(test, ramzswap_block_valid(block, TEST_NONCE, place));
	for (bit = 512; bit < PAGE_SIZE; bit += 512) {
		u8 *mixed = test_page(test);

		memcpy(mixed, block, bit);
		memcpy(mixed + bit, torn + bit, PAGE_SIZE - bit);
		KUNIT_EXPECT_FALSE_MSG(test, ramzswap_block_valid(mixed, TEST_NONCE, place),
				       "torn at %u", bit);
		kunit_kfree(test, mixed);
	}

	for (bit = 0; bit < PAGE_SIZE * 8; bit++) {
		block[bit / 8] ^= BIT(bit % 8);
		KUNIT_ASSERT_FALSE_MSG(test, ramzswap_block_valid(block, TEST_NONCE, place),
				       "bit %u", bit);
		block[bit / 8] ^= BIT(bit % 8);
	}
}

static void object_goes_where_it_leaves_the_least_room(struct kunit *test)
{
	static const unsigned int room[] = { 0, 900, 500, 700, 500 };

	KUNIT_EXPECT_EQ(test, ramzswap_block_choose(room, 5, 1), 2);
	KUNIT_EXPECT_EQ(test, ramzswap_block_choose(room, 5, 500), 2);
	KUNIT_EXPECT_EQ(test, ramzswap_block_choose(room, 5, 501), 3);
	KUNIT_EXPECT_EQ(test, ramzswap_block_choose(room, 5, 900), 1);
	KUNIT_EXPECT_EQ(test, ramzswap_block_choose(room, 5, 901), -1);
	KUNIT_EXPECT_EQ(test, ramzswap_block_choose(room, 0, 1), -1);
}

/* === Blocks, against a model ============================================= */

#define MODEL_STEPS	1000000
#define MODEL_SLOTS	4096U
#define MODEL_HELD	64U

/* The blocks, and a plain model of their states */
struct blocks_model {
	struct ramzswap_blocks blocks;
	u8 *wanted;			/* for each block */
	u8 *units;
	bool *held;
	bool *bad;
	u64 slots[MODEL_SLOTS];		/* places, 0 for none */
	unsigned int held_blocks[MODEL_HELD];
	unsigned int nr_held;
	bool no_memory;
};

static void model_give_memory(struct kunit *test, struct blocks_model *m)
{
	void *page;

	while ((page = ramzswap_blocks_take_unused(&m->blocks)))
		free_page((unsigned long)page);
	if (m->no_memory) {
		free_page((unsigned long)m->blocks.spare);
		m->blocks.spare = NULL;
	} else if (ramzswap_blocks_needs_spare(&m->blocks)) {
		m->blocks.spare = (void *)__get_free_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, m->blocks.spare);
	}
}

static bool model_free(struct blocks_model *m, unsigned int block)
{
	return block && !m->wanted[block] && !m->held[block] && !m->bad[block];
}

static void model_hold(struct kunit *test, struct blocks_model *m, struct rnd_state *rnd)
{
	unsigned int want = 1 + prandom_u32_state(rnd) % 16, got, i;
	unsigned long first, nr_free = ramzswap_blocks_nr_free(&m->blocks);

	want = min(want, MODEL_HELD - m->nr_held);
	if (!want)
		return;
	first = ramzswap_blocks_hold(&m->blocks, m->blocks.next, want,
				     1 + prandom_u32_state(rnd) % 8, &got);
	KUNIT_ASSERT_LE(test, got, want);
	if (!got) {
		KUNIT_ASSERT_TRUE(test, !nr_free || m->no_memory);
		return;
	}
	KUNIT_ASSERT_GE(test, first, 1);
	KUNIT_ASSERT_LE(test, first + got, m->blocks.nr);
	for (i = 0; i < got; i++) {
		KUNIT_ASSERT_TRUE(test, model_free(m, first + i));
		m->held[first + i] = true;
		m->held_blocks[m->nr_held++] = first + i;
	}
	m->blocks.next = first + got;
}

/* Hold a block as the cleaner does to move its pages. */
static void model_hold_used(struct blocks_model *m, unsigned int slot)
{
	unsigned int block = ramzswap_place_block(m->slots[slot]);

	if (!block || m->held[block] || m->nr_held == MODEL_HELD)
		return;
	m->held[block] = true;
	m->held_blocks[m->nr_held++] = block;
	ramzswap_blocks_hold_used(&m->blocks, block);
}

/* A reader of a page finds that the block is not what was written. */
static void model_rot(struct blocks_model *m, unsigned int slot)
{
	unsigned int block = ramzswap_place_block(m->slots[slot]);

	if (!block)
		return;
	m->bad[block] = true;
	ramzswap_blocks_mark_rotten(&m->blocks, block);
}

static void model_let_go(struct blocks_model *m, struct rnd_state *rnd)
{
	unsigned int i, block;
	bool bad;

	if (!m->nr_held)
		return;
	i = prandom_u32_state(rnd) % m->nr_held;
	block = m->held_blocks[i];
	bad = !m->wanted[block] && !(prandom_u32_state(rnd) % 2048);
	m->held_blocks[i] = m->held_blocks[--m->nr_held];
	m->held[block] = false;
	m->bad[block] |= bad;
	ramzswap_blocks_let_go(&m->blocks, block, bad);
}

static void model_put(struct blocks_model *m, unsigned int slot)
{
	unsigned int block = ramzswap_place_block(m->slots[slot]);

	if (!block)
		return;
	ramzswap_blocks_put(&m->blocks, m->slots[slot]);
	m->wanted[block]--;
	m->units[block] -= ramzswap_place_units(m->slots[slot]);
	m->slots[slot] = 0;
}

static void model_get(struct blocks_model *m, struct rnd_state *rnd, unsigned int slot)
{
	unsigned int block, units;
	u64 place;

	if (!m->nr_held)
		return;
	block = m->held_blocks[prandom_u32_state(rnd) % m->nr_held];
	units = 1 + prandom_u32_state(rnd) % 32;
	place = ramzswap_place_packed(RAMZSWAP_PLACE_PACKED, block, 0, units, 0);
	if (!(prandom_u32_state(rnd) % 16)) {
		place = ramzswap_place_whole(block, prandom_u32_state(rnd));
		units = RAMZSWAP_BLOCK_UNITS;
	}
	if (m->wanted[block] == RAMZSWAP_BLOCK_OBJECTS ||
	    m->units[block] + units > RAMZSWAP_BLOCK_UNITS)
		return;
	model_put(m, slot);
	m->slots[slot] = place;
	m->wanted[block]++;
	m->units[block] += units;
	ramzswap_blocks_get(&m->blocks, place);
}

static void model_compare(struct kunit *test, struct blocks_model *m)
{
	unsigned long used = 0, bad = 0, nr_free = 0, pages = 0, units = 0, block;
	unsigned long rotten = 0;
	unsigned long filled[ARRAY_SIZE(m->blocks.nr_filled)] = {};
	const unsigned int step = RAMZSWAP_BLOCK_UNITS / ARRAY_SIZE(filled);
	unsigned int i;

	for (block = 1; block < m->blocks.nr; block++) {
		KUNIT_ASSERT_EQ(test, ramzswap_blocks_wanted(&m->blocks, block),
				m->wanted[block]);
		used += !!m->wanted[block];
		bad += m->bad[block];
		rotten += m->bad[block] && m->wanted[block];
		nr_free += model_free(m, block);
		pages += m->wanted[block];
		units += m->units[block];
		if (m->wanted[block] && !m->bad[block])
			filled[(m->units[block] - 1) / step]++;
	}
	for (i = 0; i < ARRAY_SIZE(filled); i++)
		KUNIT_ASSERT_EQ(test, m->blocks.nr_filled[i], filled[i]);
	KUNIT_ASSERT_EQ(test, m->blocks.nr_units, units);
	KUNIT_ASSERT_EQ(test, m->blocks.nr_used, used);
	KUNIT_ASSERT_EQ(test, m->blocks.nr_bad, bad);
	KUNIT_ASSERT_EQ(test, m->blocks.nr_rotten, rotten);
	KUNIT_ASSERT_EQ(test, m->blocks.nr_pages, pages);
	KUNIT_ASSERT_EQ(test, ramzswap_blocks_nr_free(&m->blocks), nr_free);
}

static void blocks_are_as_in_a_model(struct kunit *test)
{
	unsigned long nr = 3 * BLOCKS_PER_GROUP / 2 + 77, step, slot, block;
	unsigned int share = 50;
	struct blocks_model *m;
	struct rnd_state rnd;

	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	m->wanted = kunit_kzalloc(test, nr, GFP_KERNEL);
	m->held = kunit_kzalloc(test, nr, GFP_KERNEL);
	m->bad = kunit_kzalloc(test, nr, GFP_KERNEL);
	m->units = kunit_kzalloc(test, nr, GFP_KERNEL);
	KUNIT_ASSERT_TRUE(test, m->wanted && m->units && m->held && m->bad);
	test_seed(test, &rnd);
	KUNIT_ASSERT_EQ(test, ramzswap_blocks_init(&m->blocks, nr), 0);

	for (step = 0; step < MODEL_STEPS; step++) {
		unsigned int action = prandom_u32_state(&rnd) % 100;

		slot = prandom_u32_state(&rnd) % MODEL_SLOTS;
		/* Let the device fill up for a while, and then empty. */
		if (!(step % 20000)) {
			share = prandom_u32_state(&rnd) % 80;
			m->no_memory = !(prandom_u32_state(&rnd) % 4);
		}
		model_give_memory(test, m);
		if (action < 10)
			model_hold(test, m, &rnd);
		else if (action < 11)
			model_hold_used(m, slot);
		else if (action < 20)
			model_let_go(m, &rnd);
		else if (action < 20 + share)
			model_get(m, &rnd, slot);
		else
			model_put(m, slot);
		if (!(step % 50000))
			model_rot(m, slot);
		if (!(step % 10000))
			model_compare(test, m);
	}
	model_compare(test, m);

	/* At the end, only block 0 and the bad blocks are not free. */
	for (slot = 0; slot < MODEL_SLOTS; slot++)
		model_put(m, slot);
	while (m->nr_held)
		model_let_go(m, &rnd);
	model_compare(test, m);
	for (block = 1; block < nr; block++)
		if (m->bad[block])
			break;
	KUNIT_EXPECT_GE(test, m->blocks.nr_states, 1);
	if (block == nr)
		KUNIT_EXPECT_EQ(test, m->blocks.nr_states, 1);
	m->no_memory = true;
	model_give_memory(test, m);
	ramzswap_blocks_destroy(&m->blocks);
}

/* Single free blocks at the ends of groups come before a run: do not look at them all. */
static void search_for_a_run_ends(struct kunit *test)
{
	const unsigned long groups = 2 + 2 * DIV_ROUND_UP(MAX_STATES_READ, BLOCKS_PER_GROUP);
	unsigned long nr = groups * BLOCKS_PER_GROUP, left = nr - 1, group, first, i;
	struct blocks_model *m;
	unsigned int got;

	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	KUNIT_ASSERT_EQ(test, ramzswap_blocks_init(&m->blocks, nr), 0);
	for (; left; left -= got) {
		model_give_memory(test, m);
		ramzswap_blocks_hold(&m->blocks, nr - left, 16, 1, &got);
		KUNIT_ASSERT_GT(test, got, 0);
	}
	for (group = 1; group < groups; group++)
		ramzswap_blocks_let_go(&m->blocks, group * BLOCKS_PER_GROUP - 1, false);
	first = nr - BLOCKS_PER_GROUP + 1;
	for (i = 0; i < 16; i++)
		ramzswap_blocks_let_go(&m->blocks, first + i, false);

	KUNIT_EXPECT_EQ(test, ramzswap_blocks_hold(&m->blocks, 1, 16, UINT_MAX, &got),
			BLOCKS_PER_GROUP - 1);
	KUNIT_EXPECT_EQ(test, got, 1);
	/* From nearer by, the run is found. */
	KUNIT_EXPECT_EQ(test, ramzswap_blocks_hold(&m->blocks, first - 3, 16, UINT_MAX, &got),
			first);
	KUNIT_EXPECT_EQ(test, got, 16);
	m->no_memory = true;
	model_give_memory(test, m);
	ramzswap_blocks_destroy(&m->blocks);
}

/* Each block is handed out once, and the search skips full groups. */
static void blocks_are_all_handed_out(struct kunit *test)
{
	unsigned long nr = 2 * BLOCKS_PER_GROUP + 5, left = nr - 1, first;
	struct blocks_model *m;
	unsigned int got;

	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	KUNIT_ASSERT_EQ(test, ramzswap_blocks_init(&m->blocks, nr), 0);
	while (left) {
		model_give_memory(test, m);
		first = ramzswap_blocks_hold(&m->blocks, m->blocks.next, 16, 1, &got);
		KUNIT_ASSERT_GT(test, got, 0);
		/* In increasing order, without a gap */
		KUNIT_ASSERT_EQ(test, first, nr - left);
		KUNIT_ASSERT_LE(test, got, left);
		left -= got;
		m->blocks.next = first + got;
		/* It is 16 blocks, or fewer at the end of a group. */
		if (got < 16)
			KUNIT_ASSERT_TRUE(test, !left ||
					  !(m->blocks.next % BLOCKS_PER_GROUP));
	}
	KUNIT_EXPECT_EQ(test, ramzswap_blocks_nr_free(&m->blocks), 0);
	KUNIT_EXPECT_EQ(test, ramzswap_blocks_hold(&m->blocks, 1, 1, 1, &got), 0);
	KUNIT_EXPECT_EQ(test, got, 0);
	ramzswap_blocks_let_go(&m->blocks, BLOCKS_PER_GROUP + 3, false);
	KUNIT_EXPECT_EQ(test, ramzswap_blocks_hold(&m->blocks, nr - 2, 4, 4, &got),
			BLOCKS_PER_GROUP + 3);
	KUNIT_EXPECT_EQ(test, got, 1);
	m->no_memory = true;
	model_give_memory(test, m);
	ramzswap_blocks_destroy(&m->blocks);
}

/* On 32-bit, the block numbers of the last group must not overflow. */
static void largest_device_ends_where_it_should(struct kunit *test)
{
	unsigned long last = RAMZSWAP_MAX_BLOCKS - 1, from = last, size;
	struct ramzswap_blocks blocks;
	unsigned int got;

	KUNIT_ASSERT_EQ(test, ramzswap_blocks_init(&blocks, RAMZSWAP_MAX_BLOCKS), 0);
	KUNIT_EXPECT_EQ(test, ramzswap_blocks_nr_free(&blocks), last);
	blocks.spare = (void *)__get_free_page(GFP_KERNEL);
	KUNIT_EXPECT_EQ(test, ramzswap_blocks_hold(&blocks, last, 16, 1, &got), last);
	KUNIT_EXPECT_EQ(test, got, 1);
	ramzswap_blocks_let_go(&blocks, last, false);
	KUNIT_EXPECT_EQ(test, ramzswap_blocks_hold_emptied(&blocks, &from, &size),
			round_down(last, BLOCKS_PER_GROUP));
	KUNIT_EXPECT_EQ(test, size, last % BLOCKS_PER_GROUP + 1);
	KUNIT_EXPECT_GT(test, from, last);
	KUNIT_EXPECT_EQ(test, ramzswap_blocks_hold_emptied(&blocks, &from, &size), 0);
	KUNIT_EXPECT_GT(test, from, last);
	free_page((unsigned long)ramzswap_blocks_take_unused(&blocks));
	free_page((unsigned long)blocks.spare);
	ramzswap_blocks_destroy(&blocks);
}

/* A group that becomes free is found once, and no block is taken from it meanwhile. */
static void emptied_group_is_held_as_a_whole(struct kunit *test)
{
	unsigned long nr = 2 * BLOCKS_PER_GROUP + 5, block, from = 0, size, first;
	struct blocks_model *m;
	unsigned int got;

	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	KUNIT_ASSERT_EQ(test, ramzswap_blocks_init(&m->blocks, nr), 0);
	for (block = 1; block < nr; block = first + got) {
		model_give_memory(test, m);
		first = ramzswap_blocks_hold(&m->blocks, block, nr, 1, &got);
		KUNIT_ASSERT_EQ(test, first, block);
	}
	while (from < nr)
		KUNIT_EXPECT_EQ(test, 0, ramzswap_blocks_hold_emptied(&m->blocks, &from,
								      &size));

	for (block = BLOCKS_PER_GROUP; block < nr; block++)
		ramzswap_blocks_let_go(&m->blocks, block, false);
	/* A block of the last group is in use again. */
	model_give_memory(test, m);
	KUNIT_EXPECT_EQ(test, nr - 1, ramzswap_blocks_hold(&m->blocks, nr - 1, 1, 1, &got));
	from = 0;
	KUNIT_EXPECT_EQ(test, BLOCKS_PER_GROUP,
			ramzswap_blocks_hold_emptied(&m->blocks, &from, &size));
	KUNIT_EXPECT_EQ(test, BLOCKS_PER_GROUP, size);
	KUNIT_EXPECT_EQ(test, 0, ramzswap_blocks_hold_emptied(&m->blocks, &from, &size));
	KUNIT_EXPECT_LE(test, nr, from);
	KUNIT_EXPECT_EQ(test, 4, ramzswap_blocks_nr_free(&m->blocks));
	first = ramzswap_blocks_hold(&m->blocks, 1, 16, 16, &got);
	KUNIT_EXPECT_EQ(test, 2 * BLOCKS_PER_GROUP, first);
	KUNIT_EXPECT_EQ(test, 4, got);
	KUNIT_EXPECT_EQ(test, 0, ramzswap_blocks_hold(&m->blocks, 1, 1, 1, &got));

	ramzswap_blocks_let_emptied_go(&m->blocks, BLOCKS_PER_GROUP);
	KUNIT_EXPECT_EQ(test, BLOCKS_PER_GROUP, ramzswap_blocks_nr_free(&m->blocks));
	from = 0;
	while (from < nr)
		KUNIT_EXPECT_EQ(test, 0, ramzswap_blocks_hold_emptied(&m->blocks, &from,
								      &size));
	model_give_memory(test, m);
	KUNIT_EXPECT_EQ(test, BLOCKS_PER_GROUP,
			ramzswap_blocks_hold(&m->blocks, 1, 16, 16, &got));
	m->no_memory = true;
	model_give_memory(test, m);
	ramzswap_blocks_destroy(&m->blocks);
}

static void rotten_block_is_not_used_again(struct kunit *test)
{
	unsigned long nr = 3 * BLOCKS_PER_GROUP, first, block, from = 1, i;
	struct ramzswap_blocks blocks;
	unsigned int got, clean;
	u64 places[2];

	KUNIT_ASSERT_EQ(test, ramzswap_blocks_init(&blocks, nr), 0);
	first = ramzswap_blocks_hold(&blocks, 1, 1, 1, &got);
	KUNIT_ASSERT_EQ(test, got, 1);
	for (i = 0; i < 2; i++) {
		places[i] = ramzswap_place_packed(RAMZSWAP_PLACE_PACKED, first, i, 4, 1);
		ramzswap_blocks_get(&blocks, places[i]);
	}
	ramzswap_blocks_let_go(&blocks, first, false);
	KUNIT_EXPECT_FALSE(test, ramzswap_blocks_is_rotten(&blocks, first));
	KUNIT_EXPECT_EQ(test, ramzswap_blocks_find_sparse(&blocks, &from, 64), first);

	/* A reader finds it rotten, while it is held for cleaning and while it is not. */
	ramzswap_blocks_hold_used(&blocks, first);
	ramzswap_blocks_mark_rotten(&blocks, first);
	ramzswap_blocks_let_go(&blocks, first, false);
	ramzswap_blocks_mark_rotten(&blocks, first);
	KUNIT_EXPECT_TRUE(test, ramzswap_blocks_is_rotten(&blocks, first));
	KUNIT_EXPECT_EQ(test, blocks.nr_bad, 1);
	KUNIT_EXPECT_EQ(test, blocks.nr_used, 1);
	KUNIT_EXPECT_EQ(test, ramzswap_blocks_wanted(&blocks, first), 2);

	/* Even when all other blocks are taken, there is nothing to clean. */
	for (i = 1; (block = ramzswap_blocks_hold(&blocks, 1, 1, 1, &got)); i++) {
		KUNIT_ASSERT_NE(test, block, first);
		if (ramzswap_blocks_needs_spare(&blocks))
			blocks.spare = (void *)__get_free_page(GFP_KERNEL);
	}
	KUNIT_EXPECT_EQ(test, i, nr - 1);
	clean = ramzswap_blocks_to_clean(&blocks);
	KUNIT_EXPECT_EQ(test, clean, 0);
	from = 1;
	KUNIT_EXPECT_EQ(test, ramzswap_blocks_find_sparse(&blocks, &from, 64), 0);

	for (i = 0; i < 2; i++)
		ramzswap_blocks_put(&blocks, places[i]);
	KUNIT_EXPECT_EQ(test, blocks.nr_used, 0);
	KUNIT_EXPECT_EQ(test, blocks.nr_bad, 1);
	KUNIT_EXPECT_EQ(test, blocks.nr_rotten, 0);
	KUNIT_EXPECT_EQ(test, ramzswap_blocks_hold(&blocks, 1, 1, 1, &got), 0);

	free_page((unsigned long)blocks.spare);
	while ((blocks.spare = ramzswap_blocks_take_unused(&blocks)))
		free_page((unsigned long)blocks.spare);
	ramzswap_blocks_destroy(&blocks);
}

/* === Cleaning, against a model =========================================== */

#define CLEAN_BLOCKS	4096UL
#define CLEAN_BUFFER	16
#define CLEAN_READ	(3 * CLEAN_BUFFER)

/* A device, and what should be on it */
struct clean_model {
	struct ramzswap_blocks blocks;
	u8 *device;
	u64 *places;			/* of each slot, as the next three */
	u16 *lengths;
	u32 *seeds;
	bool *pending;
	unsigned int nr_slots;
	void *buffer[CLEAN_BUFFER];
	unsigned int room[CLEAN_BUFFER];
	u64 old[CLEAN_BUFFER][RAMZSWAP_BLOCK_OBJECTS];	/* before they are moved */
	u32 generation;
	unsigned long from;
	unsigned long nr_written;
	unsigned long nr_moved;
	unsigned long full;		/* blocks before any change, in percent of wanted data */
	unsigned long most;		/* most blocks after cleaning, likewise */
	void *scratch;
};

struct clean_param {
	const char *name;
	unsigned int percent;		/* of the device that is wanted data */
	unsigned int run;		/* neighbours that change together */
	unsigned int max_amplification;	/* of writes, in percent */
};

static const struct clean_param clean_params[] = {
	{ "half full, pages change at random", 50, 1, 130 },
	{ "80 % full, pages change at random", 80, 1, 180 },
	{ "80 % full, neighbours in time change", 80, 64, 110 },
	{ "90 % full, pages change at random", 90, 1, 250 },
};

static void clean_describe(const struct clean_param *param, char *description)
{
	strscpy(description, param->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(clean, clean_params, clean_describe);

static void clean_empty_buffer(struct clean_model *m)
{
	unsigned int i;

	for (i = 0; i < CLEAN_BUFFER; i++) {
		ramzswap_block_init(m->buffer[i]);
		m->room[i] = ramzswap_block_room(m->buffer[i]);
	}
}

/* Write the buffer. @moving: its pages are on the device already. */
static unsigned int clean_flush(struct kunit *test, struct clean_model *m, bool moving)
{
	unsigned int i, position, got, nr = 0;

	for (i = 0; i < CLEAN_BUFFER; i++) {
		void *block = m->buffer[i];
		unsigned long nr_block;

		if (!ramzswap_block_nr(block))
			continue;
		if (ramzswap_blocks_needs_spare(&m->blocks))
			m->blocks.spare = (void *)__get_free_page(GFP_KERNEL);
		nr_block = ramzswap_blocks_hold(&m->blocks, m->blocks.next, 1, 1, &got);
		KUNIT_ASSERT_EQ(test, got, 1);
		m->blocks.next = nr_block + 1;
		ramzswap_block_seal(block, TEST_NONCE, nr_block, ++m->generation);
		memcpy(m->device + nr_block * PAGE_SIZE, block, PAGE_SIZE);
		for (position = 0; position < ramzswap_block_nr(block); position++) {
			u64 place = ramzswap_block_place(block, position);
			u32 slot = ramzswap_block_slot(block, position);

			if (moving)
				KUNIT_ASSERT_EQ(test, m->places[slot], m->old[i][position]);
			else
				KUNIT_ASSERT_EQ(test, m->places[slot], 0);
			ramzswap_blocks_get(&m->blocks, place);
			if (moving)
				ramzswap_blocks_put(&m->blocks, m->places[slot]);
			m->places[slot] = place;
			m->pending[slot] = false;
		}
		ramzswap_blocks_let_go(&m->blocks, nr_block, false);
		nr++;
	}
	clean_empty_buffer(m);
	return nr;
}

static void clean_check(struct kunit *test, struct clean_model *m, unsigned int slot)
{
	u64 place = m->places[slot];
	const u8 *block = m->device + (size_t)ramzswap_place_block(place) * PAGE_SIZE;
	unsigned int length, codec;
	const void *data;

	if (!place)
		return;
	KUNIT_ASSERT_TRUE(test, ramzswap_block_valid(block, TEST_NONCE, place));
	data = ramzswap_block_object(block, ramzswap_place_position(place), slot,
				     &length, &codec);
	KUNIT_ASSERT_NOT_NULL(test, data);
	KUNIT_ASSERT_EQ(test, length, m->lengths[slot]);
	KUNIT_ASSERT_EQ(test, codec, m->seeds[slot] % 16);
	KUNIT_ASSERT_TRUE(test, test_is_filled(m->scratch, data, length, m->seeds[slot]));
}

/* Copy the wanted pages of a block to the buffer.  Return: whether all of them fit. */
static bool clean_one(struct kunit *test, struct clean_model *m, unsigned long nr_block)
{
	const void *block = m->device + nr_block * PAGE_SIZE;
	unsigned int position, new_position;
	int i;

	KUNIT_ASSERT_TRUE(test, ramzswap_block_is(block, TEST_NONCE, nr_block));
	for (position = 0; position < ramzswap_block_nr(block); position++) {
		u64 place = ramzswap_block_place(block, position);

		if (m->places[ramzswap_block_slot(block, position)] != place)
			continue;
		i = ramzswap_block_choose(m->room, CLEAN_BUFFER,
					  ramzswap_block_length(block, position));
		if (i < 0)
			return false;
		new_position = ramzswap_block_nr(m->buffer[i]);
		KUNIT_ASSERT_TRUE(test, ramzswap_block_move(m->buffer[i], &m->room[i],
							    block, position));
		m->old[i][new_position] = place;
	}
	return true;
}

/* Clean one buffer, which is empty before.  Return: whether that paid. */
static bool clean_some(struct kunit *test, struct clean_model *m)
{
	unsigned int units = ramzswap_blocks_to_clean(&m->blocks), nr = 0, i, filled = 0;
	unsigned long groups = 2 * nr_groups(&m->blocks) + CLEAN_READ, block;
	unsigned long blocks[CLEAN_READ];
	unsigned int nr_held = 0;

	while (units && nr < CLEAN_READ && groups--) {
		block = ramzswap_blocks_find_sparse(&m->blocks, &m->from, units);
		if (!block)
			continue;
		KUNIT_ASSERT_GT(test, ramzswap_blocks_wanted(&m->blocks, block), 0);
		ramzswap_blocks_hold_used(&m->blocks, block);
		blocks[nr_held++] = block;
		if (!clean_one(test, m, block))
			break;
		nr++;
	}
	for (i = 0; i < nr_held; i++)
		ramzswap_blocks_let_go(&m->blocks, blocks[i], false);
	for (i = 0; i < CLEAN_BUFFER; i++)
		filled += !!ramzswap_block_nr(m->buffer[i]);
	if (!ramzswap_blocks_worth_cleaning(nr, filled)) {
		clean_empty_buffer(m);
		return false;
	}
	m->nr_moved += clean_flush(test, m, true);
	return true;
}

/* Clean as long as that pays. */
static void clean(struct kunit *test, struct clean_model *m)
{
	while (clean_some(test, m))
		;
	if (ramzswap_blocks_nr_free(&m->blocks) <= CLEAN_BLOCKS / SCARCE_PART)
		m->most = max(m->most, 100 * m->blocks.nr_used * RAMZSWAP_BLOCK_UNITS /
				       m->blocks.nr_units);
}

static void clean_write(struct kunit *test, struct clean_model *m, struct rnd_state *rnd,
			unsigned int slot)
{
	unsigned int length = 100 + prandom_u32_state(rnd) % 1900;
	void *data;
	int i;

	if (m->pending[slot])
		return;
	if (m->places[slot])
		ramzswap_blocks_put(&m->blocks, m->places[slot]);
	m->places[slot] = 0;
	i = ramzswap_block_choose(m->room, CLEAN_BUFFER, length);
	if (i < 0) {
		m->nr_written += clean_flush(test, m, false);
		clean(test, m);
		i = 0;
	}
	m->lengths[slot] = length;
	m->seeds[slot] = prandom_u32_state(rnd);
	m->pending[slot] = true;
	ramzswap_block_add(m->buffer[i], slot, length, m->seeds[slot] % 16, &data);
	test_fill(data, length, m->seeds[slot]);
	m->room[i] = ramzswap_block_room(m->buffer[i]);
}

/* Fill all blocks, and then empty a half of each. */
static void full_device_can_begin_to_clean(struct kunit *test)
{
	const unsigned int half = RAMZSWAP_BLOCK_UNITS / 2;
	struct ramzswap_blocks blocks;
	unsigned long block;
	unsigned int got, i;

	KUNIT_ASSERT_EQ(test, ramzswap_blocks_init(&blocks, CLEAN_BLOCKS), 0);
	while (ramzswap_blocks_nr_free(&blocks) > ramzswap_blocks_reserve(&blocks)) {
		block = ramzswap_blocks_hold(&blocks, 1, 1, 1, &got);
		KUNIT_ASSERT_NE(test, block, 0);
		for (i = 0; i < 2; i++)
			ramzswap_blocks_get(&blocks, ramzswap_place_packed(RAMZSWAP_PLACE_PACKED,
									   block, i, half, 1));
		ramzswap_blocks_let_go(&blocks, block, false);
		if (ramzswap_blocks_needs_spare(&blocks))
			blocks.spare = (void *)__get_free_page(GFP_KERNEL);
	}
	KUNIT_EXPECT_EQ(test, ramzswap_blocks_to_clean(&blocks), 0);
	for (block = 1; block < CLEAN_BLOCKS; block++)
		if (ramzswap_blocks_wanted(&blocks, block))
			ramzswap_blocks_put(&blocks, ramzswap_place_packed(RAMZSWAP_PLACE_PACKED,
									   block, 1, half, 1));
	KUNIT_EXPECT_EQ(test, ramzswap_blocks_to_clean(&blocks), half);
	KUNIT_EXPECT_NE(test, ramzswap_blocks_hold(&blocks, 1, 1, 1, &got), 0);
	free_page((unsigned long)blocks.spare);
	ramzswap_blocks_destroy(&blocks);
}

static void cleaning_makes_room_and_loses_nothing(struct kunit *test)
{
	const struct clean_param *param = test->param_value;
	unsigned long wanted = (u64)CLEAN_BLOCKS * RAMZSWAP_BLOCK_UNITS * param->percent / 104;
	unsigned int slot, i, turn, turns;
	struct clean_model *m;
	struct rnd_state rnd;

	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	m->device = kvzalloc(CLEAN_BLOCKS * PAGE_SIZE, GFP_KERNEL);
	m->nr_slots = 4 * CLEAN_BLOCKS;
	m->places = kunit_kcalloc(test, m->nr_slots, sizeof(*m->places), GFP_KERNEL);
	m->lengths = kunit_kcalloc(test, m->nr_slots, sizeof(*m->lengths), GFP_KERNEL);
	m->seeds = kunit_kcalloc(test, m->nr_slots, sizeof(*m->seeds), GFP_KERNEL);
	m->pending = kunit_kcalloc(test, m->nr_slots, sizeof(*m->pending), GFP_KERNEL);
	m->scratch = test_page(test);
	KUNIT_ASSERT_TRUE(test, m->device && m->places && m->lengths && m->seeds &&
			  m->pending);
	for (i = 0; i < CLEAN_BUFFER; i++)
		m->buffer[i] = test_page(test);
	clean_empty_buffer(m);
	test_seed(test, &rnd);
	KUNIT_ASSERT_EQ(test, ramzswap_blocks_init(&m->blocks, CLEAN_BLOCKS), 0);

	/* Write slots until the device is as full as wanted. */
	for (slot = 0; m->blocks.nr_units < wanted; slot++) {
		KUNIT_ASSERT_LT(test, slot, m->nr_slots);
		clean_write(test, m, &rnd, slot);
	}
	m->nr_slots = slot;
	m->nr_written = 0;
	m->nr_moved = 0;
	m->full = 100 * m->blocks.nr_used * RAMZSWAP_BLOCK_UNITS / m->blocks.nr_units;

	turns = 6 * m->nr_slots / param->run;
	for (turn = 0; turn < turns; turn++) {
		slot = prandom_u32_state(&rnd) % m->nr_slots / param->run * param->run;
		for (i = slot; i < min(slot + param->run, m->nr_slots); i++)
			clean_write(test, m, &rnd, i);
		clean_check(test, m, prandom_u32_state(&rnd) % m->nr_slots);
	}
	for (slot = 0; slot < m->nr_slots; slot++)
		clean_check(test, m, slot);
	kunit_info(test, "of %u slots; blocks have at most %lu %% of what is wanted, full ones %lu %%; %lu written, %lu for cleaning\n",
		   m->nr_slots, m->most, m->full, m->nr_written, m->nr_moved);
	KUNIT_EXPECT_LT(test, 100 * m->most, 125 * m->full);
	KUNIT_EXPECT_LT(test, 100 * (m->nr_written + m->nr_moved),
			m->nr_written * param->max_amplification);

	free_page((unsigned long)m->blocks.spare);
	while ((m->blocks.spare = ramzswap_blocks_take_unused(&m->blocks)))
		free_page((unsigned long)m->blocks.spare);
	ramzswap_blocks_destroy(&m->blocks);
	kvfree(m->device);
}

static struct kunit_case ramzswap_blocks_test_cases[] = {
	KUNIT_CASE(place_keeps_what_it_is_made_of),
	KUNIT_CASE(block_gives_back_what_was_packed),
	KUNIT_CASE(block_is_no_other_block),
	KUNIT_CASE(object_goes_where_it_leaves_the_least_room),
	KUNIT_CASE(blocks_are_as_in_a_model),
	KUNIT_CASE(search_for_a_run_ends),
	KUNIT_CASE(blocks_are_all_handed_out),
	KUNIT_CASE(largest_device_ends_where_it_should),
	KUNIT_CASE(emptied_group_is_held_as_a_whole),
	KUNIT_CASE(rotten_block_is_not_used_again),
	KUNIT_CASE(full_device_can_begin_to_clean),
	KUNIT_CASE_PARAM(cleaning_makes_room_and_loses_nothing, clean_gen_params),
	{}
};

static struct kunit_suite ramzswap_blocks_test_suite = {
	.name = "ramzswap_blocks",
	.test_cases = ramzswap_blocks_test_cases,
};

kunit_test_suite(ramzswap_blocks_test_suite);
