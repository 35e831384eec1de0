// SPDX-License-Identifier: GPL-2.0
/*
 * Recompress pages many thousand times while others free random ones.  Every
 * byte must be right.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cold_util.h"

/* Time to recompress as many pages as a variant asks for */
#define OFTEN_SECONDS	270

/*
 * Pages that are quick to write, compress and verify: the same text, and a
 * number.  Use processes, not threads: a thread that swaps a page out would
 * interrupt the CPUs of all other threads, and wait for them.
 */
struct many {
	unsigned char *mem;
	const unsigned char *text;
	const unsigned char *hopeless;	/* text of pages that stay, or NULL */
	unsigned long nr;
	__u64 *numbers;		/* of a page's last version; 0 if freed */
	__u64 state;
};

/* Number of pages to swap out at a time */
#define RUN		64
/*
 * Every eighth page may stay, and not get smaller.  zswap then stores new pages
 * next to it, exactly where the old ones were.
 */
#define STAYS		8

/* Memory shared between the processes */
struct shared {
	bool stop;
	unsigned long frees;
};

static bool many_stays(const struct many *m, unsigned long i)
{
	return m->hopeless && i % STAYS == 0;
}

static const unsigned char *many_text(const struct many *m, unsigned long i)
{
	return many_stays(m, i) ? m->hopeless : m->text;
}

static void many_write(struct many *m, unsigned long i)
{
	unsigned char *page = m->mem + i * page_size;

	if (!m->numbers[i])
		memcpy(page, many_text(m, i), page_size);
	else if (many_stays(m, i))
		return;
	m->numbers[i] = random_next(&m->state) | 1;
	memcpy(page, &m->numbers[i], sizeof(__u64));
}

static bool many_is_right(const struct many *m, unsigned long i)
{
	const unsigned char *page = m->mem + i * page_size;

	if (!m->numbers[i])
		return !*page && !memcmp(page, page + 1, page_size - 1);
	return !memcmp(page, &m->numbers[i], sizeof(__u64)) &&
	       !memcmp(page + sizeof(__u64), many_text(m, i) + sizeof(__u64),
		       page_size - sizeof(__u64));
}

/* Return: the number of freed pages. */
static unsigned long many_free(struct many *m, unsigned long first, unsigned long nr)
{
	unsigned long i, freed = 0;

	for (i = first; i < first + nr; i++)
		if (!many_stays(m, i) &&
		    !madvise(m->mem + i * page_size, page_size, MADV_DONTNEED)) {
			m->numbers[i] = 0;
			freed++;
		}
	return freed;
}

/*
 * Swap runs of pages out, and read or free some of these and of others while
 * they are recompressed.  Free the unread ones before they are written again,
 * because a read takes longer than anything else on an emulated machine.
 *
 * Return: the number of wrong pages.
 */
static unsigned long many_use(struct many *m, struct shared *shared)
{
	unsigned long first, page, i, wrong = 0, frees = 0;

	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		first = random_next(&m->state) % (m->nr / RUN) * RUN;
		for (i = first + random_next(&m->state) % 4; i < first + RUN; i += 4)
			wrong += !many_is_right(m, i);
		frees += many_free(m, first, RUN);
		for (i = first; i < first + RUN; i++)
			many_write(m, i);
		madvise(m->mem + first * page_size, RUN * page_size, MADV_PAGEOUT);
		for (i = 0; i < RUN / 4; i++) {
			page = random_next(&m->state);
			page = i % 4 < 2 ? first + page % RUN : page % m->nr;
			if (i % 2)
				wrong += !many_is_right(m, page);
			else
				frees += many_free(m, page, 1);
		}
	}
	for (i = 0; i < m->nr; i++)
		wrong += !many_is_right(m, i);
	__atomic_add_fetch(&shared->frees, frees, __ATOMIC_RELAXED);
	return wrong;
}

/* Return: the exit status of the process; 1 if pages were wrong. */
static int use_process(struct many *m, struct shared *shared)
{
	m->mem = mmap(NULL, m->nr * page_size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	m->numbers = calloc(m->nr, sizeof(*m->numbers));
	if (m->mem == MAP_FAILED || !m->numbers)
		return 2;
	return many_use(m, shared) ? 1 : 0;
}

static int squeeze_process(unsigned int rest, const struct shared *shared)
{
	int err = 0;

	while (!err && !__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		usleep(rest);
		err = squeeze_all();
	}
	return err;
}

FIXTURE(often) {
};

FIXTURE_VARIANT(often) {
	long long squeezed;
	unsigned long nr;	/* pages of each process */
	unsigned int rest;	/* in microseconds; starting takes as long as some pages */
	bool same_slots;
};

/* A device with so few slots that each is always in use */
FIXTURE_VARIANT_ADD(often, ten_thousand_in_the_same_slots) {
	.squeezed = 10000,
	.nr = RUN,
	.rest = 2000,
	.same_slots = true,
};

FIXTURE_VARIANT_ADD(often, ten_thousand_pages) {
	.squeezed = 10000,
	.nr = 1024,
	.rest = 20000,
};

/* This takes too long on an emulated debug kernel. */
FIXTURE_VARIANT_ADD(often, hundred_thousand_pages) {
	.squeezed = 100000,
	.nr = 1024,
	.rest = 20000,
};

FIXTURE_SETUP(often)
{
	const char *reason = begin();
	char size[32];

	if (reason)
		SKIP(return, "%s", reason);
	if (!variant->same_slots)
		return;
	ASSERT_EQ(0, swapoff(DEVICE_PATH));
	ASSERT_EQ(0, attr_write("reset", "1"));
	snprintf(size, sizeof(size), "%lu", (2 * RUN + 8) * page_size);
	ASSERT_EQ(0, attr_write("disksize", size));
	ASSERT_TRUE(device_on());
}

FIXTURE_TEARDOWN(often)
{
	end(_metadata);
}

TEST_F_TIMEOUT(often, every_byte_is_right, TEST_SECONDS)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double start = seconds_now(), next = start + OFTEN_SECONDS / 10, seconds;
	unsigned char *text, *hopeless;
	long long squeezed;
	pid_t pid[4];
	unsigned int i;

	text = malloc(page_size);
	hopeless = malloc(page_size);
	ASSERT_NE(NULL, text);
	ASSERT_NE(NULL, hopeless);
	ASSERT_NE(MAP_FAILED, shared);
	/*
	 * Repeated text takes little time, and still becomes smaller by an
	 * eighth.
	 */
	page_fill(text, FILL_TEXT, 9, 9, 9);
	for (i = 512; i < page_size; i += 512)
		memcpy(text + i, text, 512);
	page_fill(hopeless, FILL_HALF, 9, 9, 9);
	for (i = 0; i < ARRAY_SIZE(pid); i++) {
		struct many m = {
			.text = text,
			.hopeless = variant->same_slots ? hopeless : NULL,
			.nr = variant->nr,
			.state = i,
		};

		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i])
			_exit(i % 2 ? squeeze_process(variant->rest, shared) :
				      use_process(&m, shared));
	}
	while (stat_of("num_squeezed") < variant->squeezed &&
	       seconds_now() < start + OFTEN_SECONDS) {
		usleep(100000);
		/* Show whether it was always slow, or since when. */
		if (seconds_now() >= next) {
			TH_LOG("%lld pages squeezed after %.1f s", stat_of("num_squeezed"),
			       seconds_now() - start);
			next += OFTEN_SECONDS / 10;
		}
	}
	seconds = seconds_now() - start;
	squeezed = stat_of("num_squeezed");
	EXPECT_LE(variant->squeezed, squeezed);
	__atomic_store_n(&shared->stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(pid); i++)
		EXPECT_EQ(0, child_status(pid[i]));
	TH_LOG("%lld pages squeezed in %.1f s, %lu freed meanwhile", squeezed, seconds,
	       shared->frees);
	EXPECT_LT(0, shared->frees);
	munmap(shared, sizeof(*shared));
	free(text);
	free(hopeless);
}

int main(int argc, char **argv)
{
	cold_test_begin();
	return test_harness_run(argc, argv);
}
