// SPDX-License-Identifier: GPL-2.0
/*
 * How dense can cold pages become? Compress recorded pages alone, in units of neighbours, and with
 * dictionaries, and print a table.
 *
 * Usage: density [-r ROUNDS] FILE.pages...
 *
 * Blocks of 64 pages of each file alternate: the even ones train dictionaries, the odd ones are
 * measured. "own" dictionaries come from the file that is measured, "all" from all files together,
 * as a machine's would, and "others" from all files but the one that is measured.
 *
 * Bytes are for a page, of objects rounded up to 16 bytes; what does not shrink takes whole pages.
 * "gain" is the memory saved against zstd 6, as zswap_cold.c has it: the mean of the files. Times are
 * microseconds: the median, or the 99th percentile, over pages of each page's best of ROUNDS; "evicted"
 * is one decompression after the caches were filled with something else. "latency" and the column after
 * it compare one wanted page's with zstd 6: of a unit, all is decompressed; a follower needs its leader
 * first. "dictionary" is the memory for it, its tables and its contents, without contexts. The "leader"
 * of four pages is the dictionary of the other three. Each result is compared with the page.
 */
#include <err.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ZSTD_DISABLE_DEPRECATE_WARNINGS
#define ZSTD_STATIC_LINKING_ONLY
#include <lz4.h>
#include <zdict.h>
#include <zstd.h>

#define PAGE_SIZE	4096UL
#define BLOCK		64UL		/* pages that go the same way, to training or to the test */
#define MAX_FILES	16
#define MAX_UNIT	4UL
#define TRAIN_PAGES	1024UL		/* for one dictionary */
#define EVICT_SIZE	(8UL << 20)
#define EVICT_EVERY	17UL		/* so that leaders and followers are among them */
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

enum source { NONE, OWN, ALL, OTHERS };
enum kind { PLAIN, TRAINED, RAW, LEADER };

struct method {
	int level;		/* of zstd; 0 for LZ4 */
	unsigned long unit;	/* pages compressed together */
	enum kind kind;
	enum source source;
	unsigned long dict_kib;
};

/* The first one is what the others are compared with. */
static const struct method methods[] = {
	{ 6, 1 },
	{ 3, 1 },
	{ 1, 1 },
	{ 0, 1 },
	{ 6, 2 },
	{ 6, 4 },
	{ 6, 1, LEADER },
	{ 6, 1, TRAINED, ALL, 4 },
	{ 6, 1, TRAINED, ALL, 16 },
	{ 6, 1, TRAINED, ALL, 64 },
	{ 6, 1, TRAINED, ALL, 112 },
	{ 6, 1, TRAINED, OWN, 4 },
	{ 6, 1, TRAINED, OWN, 16 },
	{ 6, 1, TRAINED, OWN, 64 },
	{ 6, 1, TRAINED, OWN, 112 },
	{ 6, 1, TRAINED, OTHERS, 64 },
	{ 6, 1, RAW, ALL, 16 },
	{ 6, 1, RAW, ALL, 64 },
	{ 6, 1, RAW, ALL, 112 },
	{ 6, 1, RAW, OWN, 64 },
	{ 3, 1, TRAINED, ALL, 64 },
	{ 1, 1, TRAINED, ALL, 64 },
	{ 0, 1, TRAINED, ALL, 64 },
	{ 0, 1, RAW, ALL, 64 },
	{ 19, 1 },
	{ 19, 4 },
	{ 19, 1, TRAINED, ALL, 64 },
};

struct file {
	const char *name;
	char *pages;
	unsigned long nr;
};

struct codec {
	const struct method *m;
	char name[64];
	ZSTD_CCtx *cctx;
	ZSTD_DCtx *dctx;
	ZSTD_parameters params;
	ZSTD_CDict *cdict;
	ZSTD_DDict *ddict;
	char *dict;
	size_t dict_size;
	LZ4_stream_t lz4, lz4_loaded;
};

struct times {
	double *us;
	unsigned long nr;
};

static struct file files[MAX_FILES];
static int nr_files;
static int rounds = 7;
static char *evict;

static void *xmalloc(size_t size)
{
	void *p = malloc(size);

	if (!p)
		err(1, "malloc");
	return p;
}

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double percentile(struct times *t, double part)
{
	if (!t->nr)
		return 0;
	qsort(t->us, t->nr, sizeof(*t->us), compare);
	return t->us[(unsigned long)(part * (t->nr - 1))];
}

static void evict_caches(void)
{
	for (unsigned long i = 0; i < EVICT_SIZE; i += 64)
		((volatile char *)evict)[i]++;
}

static void read_file(const char *path)
{
	struct file *f = &files[nr_files++];
	FILE *in = fopen(path, "r");

	if (!in || fseek(in, 0, SEEK_END))
		err(1, "%s", path);
	f->nr = ftell(in) / PAGE_SIZE;
	rewind(in);
	if (f->nr < 2 * BLOCK)
		errx(1, "%s has less than %lu pages", path, 2 * BLOCK);
	f->pages = xmalloc(f->nr * PAGE_SIZE);
	if (fread(f->pages, PAGE_SIZE, f->nr, in) != f->nr)
		err(1, "%s", path);
	fclose(in);
	f->name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
}

static bool is_test(unsigned long page)
{
	return page / BLOCK & 1;
}

static bool is_source(enum source source, int file, int tested)
{
	return source == ALL || (source == OWN) == (file == tested);
}

/* Evenly chosen training pages. Return: their number. */
static unsigned long sample(char *to, unsigned long wanted, enum source source, int tested)
{
	unsigned long total = 0, seen = 0, nr = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < nr_files; i++) {
			if (!is_source(source, i, tested))
				continue;
			for (unsigned long p = 0; p < files[i].nr; p++) {
				if (is_test(p))
					continue;
				if (!pass) {
					total++;
				} else if (nr < wanted && seen++ * wanted / total >= nr) {
					memcpy(to + nr * PAGE_SIZE, files[i].pages + p * PAGE_SIZE, PAGE_SIZE);
					nr++;
				}
			}
		}
	}
	return nr;
}

static void make_dict(struct codec *c, int tested)
{
	const struct method *m = c->m;
	size_t size = m->dict_kib << 10, sizes[TRAIN_PAGES];
	unsigned long nr, i;
	char *pages;

	c->dict = xmalloc(size);
	if (m->kind == RAW) {
		c->dict_size = sample(c->dict, size / PAGE_SIZE, m->source, tested) * PAGE_SIZE;
		return;
	}
	pages = xmalloc(TRAIN_PAGES * PAGE_SIZE);
	nr = sample(pages, TRAIN_PAGES, m->source, tested);
	for (i = 0; i < nr; i++)
		sizes[i] = PAGE_SIZE;
	c->dict_size = ZDICT_trainFromBuffer(c->dict, size, pages, sizes, nr);
	if (ZDICT_isError(c->dict_size))
		errx(1, "%s: %s", c->name, ZDICT_getErrorName(c->dict_size));
	free(pages);
}

static void describe(struct codec *c)
{
	static const char * const kinds[] = { "", "trained", "raw", "" };
	static const char * const sources[] = { "", "own", "all", "others" };
	const struct method *m = c->m;
	char *to = c->name, *end = c->name + sizeof(c->name);

	to += m->level ? snprintf(to, end - to, "zstd %d", m->level) : snprintf(to, end - to, "LZ4");
	if (m->unit > 1)
		snprintf(to, end - to, ", unit of %lu KiB", m->unit * PAGE_SIZE >> 10);
	else if (m->kind == LEADER)
		snprintf(to, end - to, ", three follow a leader");
	else if (m->source)
		snprintf(to, end - to, ", %s, %s, %lu KiB", kinds[m->kind], sources[m->source], m->dict_kib);
}

static void open_codec(struct codec *c, const struct method *m, int tested)
{
	unsigned long src_size = m->unit * PAGE_SIZE;

	memset(c, 0, sizeof(*c));
	c->m = m;
	describe(c);
	c->cctx = ZSTD_createCCtx();
	c->dctx = ZSTD_createDCtx();
	if (!c->cctx || !c->dctx)
		errx(1, "no memory for contexts");
	if (m->source)
		make_dict(c, tested);
	LZ4_initStream(&c->lz4_loaded, sizeof(c->lz4_loaded));
	if (!m->level) {
		if (c->dict)
			LZ4_loadDict(&c->lz4_loaded, c->dict, c->dict_size);
		return;
	}
	c->params = ZSTD_getParams(m->level, src_size, 0);
	if (!c->dict)
		return;
	/* As zram's backend_zstd.c does it */
	c->cdict = ZSTD_createCDict_advanced(c->dict, c->dict_size, ZSTD_dlm_byRef, ZSTD_dct_auto,
					     ZSTD_getCParams(m->level, src_size, c->dict_size),
					     ZSTD_defaultCMem);
	c->ddict = ZSTD_createDDict_advanced(c->dict, c->dict_size, ZSTD_dlm_byRef, ZSTD_dct_auto,
					     ZSTD_defaultCMem);
	if (!c->cdict || !c->ddict)
		errx(1, "%s: no dictionary", c->name);
}

static void close_codec(struct codec *c)
{
	ZSTD_freeCDict(c->cdict);
	ZSTD_freeDDict(c->ddict);
	ZSTD_freeCCtx(c->cctx);
	ZSTD_freeDCtx(c->dctx);
	free(c->dict);
}

/* Return: the object's size, or @size if it does not shrink. */
static size_t compress(struct codec *c, const char *leader, const char *src, size_t size, char *dst)
{
	size_t n;

	if (!c->m->level) {
		if (c->dict) {
			memcpy(&c->lz4, &c->lz4_loaded, sizeof(c->lz4));
			n = LZ4_compress_fast_continue(&c->lz4, src, dst, size, size, 1);
		} else {
			n = LZ4_compress_default(src, dst, size, size);
		}
		return n && n < size ? n : size;
	}
	if (c->cdict)
		n = ZSTD_compress_usingCDict(c->cctx, dst, 2 * size, src, size, c->cdict);
	else
		n = ZSTD_compress_advanced(c->cctx, dst, 2 * size, src, size, leader,
					   leader ? PAGE_SIZE : 0, c->params);
	if (ZSTD_isError(n))
		errx(1, "%s: %s", c->name, ZSTD_getErrorName(n));
	return n < size ? n : size;
}

static void decompress(struct codec *c, const char *leader, const char *src, size_t n, char *dst,
		       size_t size)
{
	size_t got;

	if (n == size) {
		memcpy(dst, src, size);
		return;
	}
	if (!c->m->level)
		got = LZ4_decompress_safe_usingDict(src, dst, n, size, c->dict, c->dict_size);
	else if (c->ddict)
		got = ZSTD_decompress_usingDDict(c->dctx, dst, size, src, n, c->ddict);
	else
		got = ZSTD_decompress_usingDict(c->dctx, dst, size, src, n, leader,
						leader ? PAGE_SIZE : 0);
	if (got != size)
		errx(1, "%s: an object cannot be decompressed", c->name);
}

struct row {
	double bytes[MAX_FILES];	/* a page */
	struct times out, in, evicted;
	size_t memory;
};

static void measure(struct codec *c, int file, struct row *row)
{
	static char object[2 * MAX_UNIT * PAGE_SIZE], result[MAX_UNIT * PAGE_SIZE];
	static char first[2 * PAGE_SIZE], leader[PAGE_SIZE];
	const struct file *f = &files[file];
	unsigned long unit = c->m->unit, size = unit * PAGE_SIZE, pages = 0, bytes = 0, p;
	size_t n = 0, first_n = 0;

	for (p = 0; p + unit <= f->nr; p += unit) {
		const char *src = f->pages + p * PAGE_SIZE, *lead = NULL;
		double out = 1e9, in = 1e9, t;

		if (!is_test(p))
			continue;
		if (c->m->kind == LEADER && p % MAX_UNIT) {
			lead = f->pages + p / MAX_UNIT * MAX_UNIT * PAGE_SIZE;
			first_n = compress(c, NULL, lead, PAGE_SIZE, first);
			if (first_n == PAGE_SIZE)
				memcpy(first, lead, PAGE_SIZE);
			lead = leader;
			decompress(c, NULL, first, first_n, leader, PAGE_SIZE);
		}
		for (int r = 0; r < rounds; r++) {
			t = now_us();
			n = compress(c, lead, src, size, object);
			t = now_us() - t;
			out = t < out ? t : out;
		}
		if (n == size)
			memcpy(object, src, size);
		/* The last round is for evicted caches. */
		for (int r = 0; r <= rounds; r++) {
			if (r == rounds && p / unit % EVICT_EVERY)
				break;
			if (r == rounds)
				evict_caches();
			t = now_us();
			if (lead)
				decompress(c, NULL, first, first_n, leader, PAGE_SIZE);
			decompress(c, lead, object, n, result, size);
			t = now_us() - t;
			if (r == rounds)
				row->evicted.us[row->evicted.nr++] = t;
			else
				in = t < in ? t : in;
		}
		if (memcmp(result, src, size))
			errx(1, "%s: %s, page %lu: wrong contents", c->name, f->name, p);
		row->out.us[row->out.nr++] = out / unit;
		row->in.us[row->in.nr++] = in;
		bytes += n == size ? size : (n + 15) & ~15UL;
		pages += unit;
	}
	row->bytes[file] = (double)bytes / pages;
}

int main(int argc, char **argv)
{
	static struct row row, base;
	static struct codec c;
	unsigned long total = 0;
	double gain, in, out, evicted, base_in = 0, base_evicted = 0;
	int opt, i;

	while ((opt = getopt(argc, argv, "r:")) != -1)
		rounds = opt == 'r' ? atoi(optarg) : 0;
	if (rounds < 1 || optind == argc || argc - optind > MAX_FILES)
		errx(2, "usage: density [-r ROUNDS] FILE.pages...");
	for (i = optind; i < argc; i++)
		read_file(argv[i]);
	for (i = 0; i < nr_files; i++)
		total += files[i].nr;
	evict = xmalloc(EVICT_SIZE);
	memset(evict, 1, EVICT_SIZE);
	row.out.us = xmalloc(total * sizeof(double));
	row.in.us = xmalloc(total * sizeof(double));
	row.evicted.us = xmalloc(total * sizeof(double));

	printf("| |");
	for (i = 0; i < nr_files; i++)
		printf(" %.*s |", (int)strcspn(files[i].name, "."), files[i].name);
	printf(" gain | out | in | in, p99 | in, evicted | latency | evicted | dictionary, KiB |\n| --- |");
	for (i = 0; i < nr_files + 8; i++)
		printf(" ---: |");
	printf("\n");

	for (unsigned long k = 0; k < ARRAY_SIZE(methods); k++) {
		const struct method *m = &methods[k];

		if (m->source == OTHERS && nr_files == 1)
			continue;
		row.out.nr = 0;
		row.in.nr = 0;
		row.evicted.nr = 0;
		row.memory = 0;
		for (i = 0; i < nr_files; i++) {
			/* What all files train is the same for each. */
			if (!i || m->source == OWN || m->source == OTHERS)
				open_codec(&c, m, i);
			measure(&c, i, &row);
			if (c.cdict)
				row.memory = c.dict_size + ZSTD_sizeof_CDict(c.cdict) +
					     ZSTD_sizeof_DDict(c.ddict);
			else if (c.dict)
				row.memory = c.dict_size + sizeof(c.lz4_loaded);
			if (i == nr_files - 1 || m->source == OWN || m->source == OTHERS)
				close_codec(&c);
		}
		if (!k)
			memcpy(base.bytes, row.bytes, sizeof(base.bytes));
		gain = 0;
		for (i = 0; i < nr_files; i++)
			gain += (1 - row.bytes[i] / base.bytes[i]) / nr_files;
		out = percentile(&row.out, 0.5);
		in = percentile(&row.in, 0.5);
		evicted = percentile(&row.evicted, 0.5);
		if (!k) {
			base_in = in;
			base_evicted = evicted;
		}
		printf("| %s |", c.name);
		for (i = 0; i < nr_files; i++)
			printf(" %.0f |", row.bytes[i]);
		printf(" %.1f %% | %.1f | %.1f | %.1f | %.1f | %.2f | %.2f | %.0f |\n", 100 * gain, out, in,
		       percentile(&row.in, 0.99), evicted, in / base_in, evicted / base_evicted,
		       row.memory / 1024.0);
		fflush(stdout);
	}
	return 0;
}
