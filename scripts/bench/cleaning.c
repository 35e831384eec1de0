// SPDX-License-Identifier: GPL-2.0
/*
 * What does it cost to clean the blocks of a backing device? A model of a device, with the driver's own code for
 * blocks, mm/ramzswap_blocks.c. Prints a table.
 *
 * Usage: cleaning [-w] FILE.sizes...	with -w, the worst case only
 *
 * A file has the sizes of compressed pages, as pagesizes prints them; those that do not fit into a packed block are
 * left out, as cleaning does not move them. Pages of such sizes, in random order, fill the device until so many percent
 * of its blocks are in use. Then pages change: their places are freed, and pages of other sizes go into the buffers of
 * new pages, TURNS times for each page, on average. The second half is measured. Which pages change:
 *   random		each as often as any other: the worst case
 *   80/20, 90/10	80 % of the changes are of every fifth page, 90 % of every tenth
 *   runs of 16		16 that were first written one after the other
 *
 * Columns:
 *   written		blocks written, of new and of moved pages, for each block of new pages
 *   greedy		the same for a cleaner that takes the emptiest blocks, whatever it gains, when only 1 % is free
 *   read		blocks that cleaning reads, for each block of new pages
 *   used		blocks in use after cleaning, at most, in percent of what their pages take when just packed
 *   packed		that, in percent of the units of these pages (ROOM_PERCENT is of these, too)
 *   lost		the part of just packed blocks that headers, directories and unused room take
 *
 * Mirrored from mm/ramzswap_backing.c, to be changed when that changes: BUFFER_BLOCKS, CLEAN_READS, RUNS_TO_TRY;
 * choose_buffer(); place_buffer(), with the reserve that new pages leave; read_sparse_blocks(), clean_block() and clean_blocks().
 *
 * Not modelled: time. Here, cleaning happens at once, after each buffer of new pages, as long as it is of use. The
 * driver cleans meanwhile, if buffers are free, and pauses for a second after cleaning that was of no use.
 */
#include <err.h>
#include <libgen.h>
#include <stdio.h>

#include "kernel.h"
#include "../../mm/ramzswap_blocks.c"

#define NR_BLOCKS	16384UL
#define MAX_SIZES	100000
#define TURNS		8

/* As in mm/ramzswap_backing.c */
#define BUFFER_BLOCKS	32U
#define CLEAN_READS	3
#define RUNS_TO_TRY	32

/* How full the device is, and which slots change */
struct order {
	const char *name;
	unsigned int percent;
	unsigned int run;		/* slots that change together */
	unsigned int hot_step;		/* one slot in so many is hot: all changes but one in so many are of these */
};

static const struct order orders[] = {
	{ "80 %, random", 80, 1, 0 },
	{ "90 %, random", 90, 1, 0 },
	{ "80 %, 80/20", 80, 1, 5 },
	{ "80 %, 90/10", 80, 1, 10 },
	{ "80 %, runs of 16", 80, 16, 0 },
};

/* Blocks to be written at once, and the old places of pages that cleaning moves */
struct buffer {
	u64 block[BUFFER_BLOCKS][PAGE_SIZE / sizeof(u64)];
	unsigned int room[BUFFER_BLOCKS];
	u64 old[BUFFER_BLOCKS][RAMZSWAP_BLOCK_OBJECTS];
};

static struct model {
	u64 data[NR_BLOCKS][PAGE_SIZE / sizeof(u64)];
	struct ramzswap_blocks blocks;
	u64 places[NR_BLOCKS * RAMZSWAP_BLOCK_OBJECTS];	/* of each slot's page */
	bool pending[NR_BLOCKS * RAMZSWAP_BLOCK_OBJECTS];	/* it is in a buffer of new pages */
	struct buffer open[2], moved;
	u32 generation;
	unsigned long clean_from;
	bool greedy;
	unsigned long nr_new, nr_moved, nr_read, nr_bytes;	/* blocks; bytes of objects written */
	double packed, most_used, lost;		/* see the columns; blocks for each unit, part of the bytes */
} m;

static u16 sizes[MAX_SIZES];
static unsigned long nr_sizes;

static void empty_buffer(struct buffer *buf)
{
	for (unsigned int i = 0; i < BUFFER_BLOCKS; i++) {
		ramzswap_block_init(buf->block[i]);
		buf->room[i] = ramzswap_block_room(buf->block[i]);
	}
}

/* Write a block of a buffer, and give its pages their new places. */
static void write_block(struct buffer *buf, unsigned int i, unsigned long nr_block)
{
	void *block = buf->block[i];

	ramzswap_block_seal(block, 0, nr_block, ++m.generation);
	memcpy(m.data[nr_block], block, PAGE_SIZE);
	m.nr_bytes += ramzswap_block_bytes(block);
	for (unsigned int position = 0; position < ramzswap_block_nr(block); position++) {
		u32 slot = ramzswap_block_slot(block, position);
		u64 place = ramzswap_block_place(block, position);

		ramzswap_blocks_get(&m.blocks, place);
		if (buf == &m.moved) {
			assert(m.places[slot] == buf->old[i][position]);
			ramzswap_blocks_put(&m.blocks, m.places[slot]);
		}
		m.places[slot] = place;
		m.pending[slot] = false;
	}
	ramzswap_blocks_let_go(&m.blocks, nr_block, false);
}

/* Choose blocks for those of a buffer, like place_buffer(), and write them. */
static void write_buffer(struct buffer *buf)
{
	unsigned long block = 0, available = ramzswap_blocks_nr_free(&m.blocks);
	unsigned int i, left = 0, got = 0, tries = RUNS_TO_TRY;
	void *page;

	if (ramzswap_blocks_needs_spare(&m.blocks))
		m.blocks.spare = (void *)__get_free_page(GFP_KERNEL);
	if (buf != &m.moved)
		available -= min(available, ramzswap_blocks_reserve(&m.blocks));
	for (i = 0; i < BUFFER_BLOCKS; i++)
		left += !!ramzswap_block_nr(buf->block[i]);
	*(buf == &m.moved ? &m.nr_moved : &m.nr_new) += left;
	for (i = 0; i < BUFFER_BLOCKS; i++) {
		if (!ramzswap_block_nr(buf->block[i]))
			continue;
		if (!got) {
			if (available)
				block = ramzswap_blocks_hold(&m.blocks, m.blocks.next, min(left, available),
							     tries, &got);
			if (!got)
				errx(1, "no block is free: the driver would leave pages in memory");
			m.blocks.next = block + got;
			available -= got;
			tries = 1;
		}
		write_block(buf, i, block++);
		got--;
		left--;
	}
	while ((page = ramzswap_blocks_take_unused(&m.blocks)))
		free(page);
	empty_buffer(buf);
}

static unsigned int to_clean(void)
{
	return m.greedy ? ramzswap_blocks_nr_free(&m.blocks) <= NR_BLOCKS / 100 :
			  ramzswap_blocks_to_clean(&m.blocks);
}

static unsigned long find_emptiest(void)
{
	unsigned long best = 0, least = STATE_UNITS + 1;

	for (unsigned long block = 1; block < NR_BLOCKS; block++) {
		u16 state = get_state(&m.blocks, block);

		if (state & STATE_WANTED && !(state & STATE_HELD) && (state & STATE_UNITS) < least) {
			least = state & STATE_UNITS;
			best = block;
		}
	}
	return best;
}

/* Like read_sparse_blocks(). Return: the number of blocks, which are held now. */
static unsigned int read_blocks(unsigned long *held, int *room)
{
	unsigned long left = 2 * (NR_BLOCKS / PAGE_SIZE + 2) + BUFFER_BLOCKS, block;
	unsigned int units, nr = 0;

	while (nr < BUFFER_BLOCKS && *room > 0 && left-- && (units = to_clean())) {
		block = m.greedy ? find_emptiest() :
			ramzswap_blocks_find_sparse(&m.blocks, &m.clean_from, units);
		if (block) {
			*room -= ramzswap_blocks_units(&m.blocks, block);
			ramzswap_blocks_hold_used(&m.blocks, block);
			held[nr++] = block;
		}
	}
	m.nr_read += nr;
	return nr;
}

/* Like clean_block(). Return: whether the buffer has all wanted pages of the block. */
static bool clean_block(unsigned long nr_block)
{
	unsigned int wanted = ramzswap_blocks_wanted(&m.blocks, nr_block);
	const void *block = m.data[nr_block];

	for (unsigned int position = 0; position < ramzswap_block_nr(block); position++) {
		u64 place = ramzswap_block_place(block, position);
		int i;

		if (m.places[ramzswap_block_slot(block, position)] != place)
			continue;
		i = ramzswap_block_choose(m.moved.room, BUFFER_BLOCKS, ramzswap_block_length(block, position));
		if (i < 0)
			return false;
		m.moved.old[i][ramzswap_block_nr(m.moved.block[i])] = place;
		if (!ramzswap_block_move(m.moved.block[i], &m.moved.room[i], block, position))
			errx(1, "a page cannot be moved");
		wanted--;
	}
	if (wanted)
		errx(1, "block %lu lacks %u pages", nr_block, wanted);
	return true;
}

/* Like clean_blocks(). Return: whether it was of use. */
static bool clean_blocks(void)
{
	unsigned int i, nr, nr_cleaned = 0, nr_filled = 0, nr_held = 0;
	unsigned long held[CLEAN_READS * BUFFER_BLOCKS];
	int room = min((unsigned long)BUFFER_BLOCKS, ramzswap_blocks_nr_free(&m.blocks)) * RAMZSWAP_BLOCK_UNITS;
	bool full = false;

	do {
		nr = read_blocks(held + nr_held, &room);
		for (i = 0; i < nr && !full; i++) {
			full = !clean_block(held[nr_held + i]);
			nr_cleaned += !full;
		}
		nr_held += nr;
	} while (nr == BUFFER_BLOCKS && !full && nr_held < ARRAY_SIZE(held));
	for (i = 0; i < nr_held; i++)
		ramzswap_blocks_let_go(&m.blocks, held[i], false);
	for (i = 0; i < BUFFER_BLOCKS; i++)
		nr_filled += !!ramzswap_block_nr(m.moved.block[i]);
	if (m.greedy ? nr_filled >= nr_cleaned : !ramzswap_blocks_worth_cleaning(nr_cleaned, nr_filled)) {
		empty_buffer(&m.moved);
		return false;
	}
	write_buffer(&m.moved);
	return true;
}

/* Choose an open buffer for a page, and its block, like choose_buffer(). */
static struct buffer *choose_buffer(unsigned int length, int *block)
{
	for (unsigned int i = 0; i < 2; i++) {
		*block = ramzswap_block_choose(m.open[i].room, BUFFER_BLOCKS, length);
		if (*block >= 0)
			return &m.open[i];
	}
	write_buffer(&m.open[0]);
	m.open[0] = m.open[1];
	empty_buffer(&m.open[1]);
	while (to_clean() && clean_blocks())
		;
	m.most_used = max(m.most_used, (double)m.blocks.nr_used / m.blocks.nr_units);
	return choose_buffer(length, block);
}

/* The page of a slot gets new contents. */
static void write_page(u32 slot)
{
	unsigned int length = sizes[random() % nr_sizes];
	struct buffer *buf;
	void *data;
	int i;

	if (m.pending[slot])
		return;
	if (m.places[slot])
		ramzswap_blocks_put(&m.blocks, m.places[slot]);
	m.places[slot] = 0;
	buf = choose_buffer(length, &i);
	m.pending[slot] = true;
	ramzswap_block_add(buf->block[i], slot, length, 0, &data);
	buf->room[i] = ramzswap_block_room(buf->block[i]);
}

/* Fill the device, and change its pages. */
static void run(const struct order *order, bool greedy)
{
	unsigned long slot, i, nr_slots = 0, turn, turns;
	unsigned int length, codec;

	memset(&m, 0, sizeof(m));
	m.greedy = greedy;
	srandom(7);
	if (ramzswap_blocks_init(&m.blocks, NR_BLOCKS))
		errx(1, "no memory for the states of blocks");
	empty_buffer(&m.open[0]);
	empty_buffer(&m.open[1]);
	empty_buffer(&m.moved);
	while (m.blocks.nr_used < NR_BLOCKS * order->percent / 100)
		write_page(nr_slots++);
	m.packed = (double)m.blocks.nr_used / m.blocks.nr_units;
	m.lost = 1 - (double)m.nr_bytes / (m.blocks.nr_used * PAGE_SIZE);
	turns = TURNS * nr_slots / order->run;
	for (turn = 0; turn < turns; turn++) {
		if (turn == turns / 2)
			m.nr_new = m.nr_moved = m.nr_read = m.most_used = 0;
		slot = random() % nr_slots / order->run * order->run;
		if (order->hot_step) {
			slot -= slot % order->hot_step;
			if (random() % order->hot_step == 0)
				slot += 1 + random() % (order->hot_step - 1);
		}
		for (i = slot; i < min(slot + order->run, nr_slots); i++)
			write_page(i);
	}
	for (i = 0; i < nr_slots; i++) {
		u64 place = m.places[i];
		const void *block = m.data[ramzswap_place_block(place)];

		if (!m.pending[i] && (!ramzswap_block_valid(block, 0, place) ||
		    !ramzswap_block_object(block, ramzswap_place_position(place), i, &length, &codec)))
			errx(1, "the page of slot %lu is lost", i);
	}
	free_page((unsigned long)m.blocks.spare);
	ramzswap_blocks_destroy(&m.blocks);
}

static void read_sizes(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned int size;

	nr_sizes = 0;
	while (f && nr_sizes < MAX_SIZES && fscanf(f, "%u", &size) == 1)
		if (size <= ramzswap_block_max_object())
			sizes[nr_sizes++] = size;
	if (!f || !feof(f) || !nr_sizes)
		errx(1, "%s is not a file with 1 to %u sizes", path, MAX_SIZES - 1);
	fclose(f);
}

int main(int argc, char **argv)
{
	bool worst = argc > 1 && !strcmp(argv[1], "-w");
	double greedy;

	if (argc < 2 + worst)
		errx(2, "usage: cleaning [-w] FILE.sizes...");
	printf("| sizes | full, changes | written | greedy | read | used | packed | lost |\n");
	printf("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
	for (int i = 1 + worst; i < argc; i++) {
		char *name = basename(argv[i]);

		read_sizes(argv[i]);
		name[strcspn(name, ".")] = 0;
		for (unsigned int k = 0; k < (worst ? 1 : ARRAY_SIZE(orders)); k++) {
			run(&orders[k], true);
			greedy = 1 + (double)m.nr_moved / m.nr_new;
			run(&orders[k], false);
			printf("| %s | %s | %.2f | %.2f | %.2f | %.0f %% | %.0f %% | %.1f %% |\n", name, orders[k].name,
			       1 + (double)m.nr_moved / m.nr_new, greedy, (double)m.nr_read / m.nr_new,
			       100 * m.most_used / m.packed, 100 * m.packed * RAMZSWAP_BLOCK_UNITS, 100 * m.lost);
			fflush(stdout);
		}
	}
	return 0;
}
