// SPDX-License-Identifier: GPL-2.0
/* Memory whose every byte is known, see swap_util.h. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

#define ALIGNMENT		(2 * MIB)
#define HEADER_MAGIC		0x3070617773a5a5a5ULL
/* Describe this many wrong pages, and only count the rest. */
#define MAX_REPORTS		4

unsigned long page_size;

struct page_header {
	__u64 magic;
	__u64 seed;
	__u64 index;
	__u64 version;
};

/**
 * random_next() - step a pseudo-random number generator
 * @state: its state, which may start with any value
 *
 * This is splitmix64: fast, and random enough to be incompressible.
 *
 * Return: the next number.
 */
__u64 random_next(__u64 *state)
{
	__u64 z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static void fill_random(unsigned char *p, size_t len, __u64 *state)
{
	__u64 word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		word = random_next(state);
		memcpy(p, &word, sizeof(word));
	}
	word = random_next(state);
	memcpy(p, &word, len);
}

static void fill_text(unsigned char *p, size_t len, __u64 *state)
{
	static const char * const words[] = {
		"{\"user\": \"", "\", \"name\": \"", "\", \"city\": \"",
		"\", \"balance\": ", ", \"active\": true", ", \"active\": false",
		", \"tags\": [\"red\", \"green\"]", ", \"parent\": null},\n",
		"Amsterdam", "Bengaluru", "Kinshasa", "Valparaiso",
		"alice", "bob", "charlie", "dora",
	};

	while (len) {
		__u64 r = random_next(state);
		const char *word = words[r % ARRAY_SIZE(words)];
		size_t n = strlen(word);
		char number[3];

		memcpy(p, word, n < len ? n : len);
		if (n >= len)
			break;
		p += n;
		len -= n;

		number[0] = '0' + (r >> 32) % 10;
		number[1] = '0' + (r >> 40) % 10;
		number[2] = '0' + (r >> 48) % 10;
		n = sizeof(number) < len ? sizeof(number) : len;
		memcpy(p, number, n);
		p += n;
		len -= n;
	}
}

static enum fill mixed_fill(unsigned long index, __u64 seed)
{
	static const enum fill kinds[] = {
		FILL_TEXT, FILL_TEXT, FILL_TEXT, FILL_HALF,
		FILL_SPARSE, FILL_WORD, FILL_RANDOM, FILL_ZERO,
	};
	__u64 state = seed ^ index;

	return kinds[random_next(&state) % ARRAY_SIZE(kinds)];
}

/**
 * page_fill() - write the contents of a page
 * @page: the page
 * @fill: what to fill it with
 * @seed: seed of the region
 * @index: index of the page in its region
 * @version: how often the page was written before; determines the bytes
 */
void page_fill(void *page, enum fill fill, __u64 seed, unsigned long index,
	       __u32 version)
{
	struct page_header header = {
		.magic = HEADER_MAGIC,
		.seed = seed,
		.index = index,
		.version = version,
	};
	__u64 state = seed ^ ((__u64)index << 20) ^ ((__u64)version << 52);
	unsigned char *body = (unsigned char *)page + sizeof(header);
	size_t len = page_size - sizeof(header);
	size_t i;

	if (version & VERSION_ZERO)
		fill = FILL_ZERO;
	if (fill == FILL_MIXED)
		fill = mixed_fill(index + version, seed);

	switch (fill) {
	case FILL_TEXT:
		fill_text(body, len, &state);
		break;
	case FILL_HALF:
		fill_random(body, len / 2, &state);
		memset(body + len / 2, 0, len - len / 2);
		break;
	case FILL_SPARSE:
		memset(body, 0, len);
		for (i = 0; i < 8; i++)
			body[random_next(&state) % len] = i + 1;
		break;
	case FILL_WORD:
		random_next(&state);
		for (i = 0; i < page_size; i += sizeof(state))
			memcpy((unsigned char *)page + i, &state, sizeof(state));
		return;
	case FILL_RANDOM:
		fill_random(body, len, &state);
		break;
	case FILL_SLOPE:
		i = page_size / slope_pages();
		memset(body, 0, len);
		fill_random(body, (index * i + index % i) % len, &state);
		break;
	case FILL_MIXED:
	case FILL_ZERO:
		memset(page, 0, page_size);
		return;
	}
	memcpy(page, &header, sizeof(header));
}

/* Describe the contents of a wrong page. */
static void report_wrong_page(const struct region *r, unsigned long index,
			      const unsigned char *want, unsigned long wrong)
{
	const unsigned char *page = region_page(r, index);
	const struct page_header *header = (const void *)page;
	unsigned long at = 0;

	while (at < page_size - 1 && page[at] == want[at])
		at++;
	ksft_print_msg("page %lu version %#x: %lu wrong bytes, first at %lu: %#x, not %#x\n",
		       index, r->version[index], wrong, at, page[at], want[at]);
	if (header->magic == HEADER_MAGIC)
		ksft_print_msg("it says: page %llu version %#llx of seed %llu, which is not %llu\n",
			       header->index, header->version, header->seed, r->seed);
}

/**
 * region_wrong_bytes() - compare memory with what was written to it
 * @r: the region
 * @first: index of the first page
 * @nr: number of pages
 *
 * Describes the first few wrong pages.
 *
 * Return: the number of bytes that differ.
 */
unsigned long region_wrong_bytes(const struct region *r, unsigned long first,
				 unsigned long nr)
{
	unsigned char want[page_size];
	unsigned long wrong_pages = 0, sum = 0;
	unsigned long i, k;

	for (i = first; i < first + nr; i++) {
		const unsigned char *page = region_page(r, i);
		unsigned long wrong = 0;

		page_fill(want, r->fill, r->seed, i, r->version[i]);
		if (!memcmp(page, want, page_size))
			continue;
		for (k = 0; k < page_size; k++)
			wrong += page[k] != want[k];
		if (wrong_pages++ < MAX_REPORTS)
			report_wrong_page(r, i, want, wrong);
		sum += wrong;
	}
	return sum;
}

/**
 * region_wrong_bytes_all() - compare a whole region with what was written to it
 * @r: the region
 *
 * Return: the number of bytes that differ.
 */
unsigned long region_wrong_bytes_all(const struct region *r)
{
	return region_wrong_bytes(r, 0, r->nr_pages);
}

/**
 * page_readable() - have the kernel read a byte of a page
 * @page: the page
 *
 * Where a process would get SIGBUS, the kernel gets an error.
 *
 * Return: whether the byte could be read. If not, errno tells why: EFAULT means
 * that the page is lost.
 */
bool page_readable(const void *page)
{
	bool readable;
	int p[2], err;

	if (pipe(p))
		return false;
	readable = write(p[1], page, 1) == 1;
	err = errno;
	close(p[0]);
	close(p[1]);
	errno = err;
	return readable;
}

/**
 * region_unreadable() - count the pages that cannot be read
 * @r: the region
 * @lost: gets true for each of them, and false for the others; may be NULL
 *
 * Return: their number, or -1 if a readable page has wrong bytes.
 */
long region_unreadable(const struct region *r, bool *lost)
{
	unsigned long i;
	long nr = 0;

	for (i = 0; i < r->nr_pages; i++) {
		const bool readable = page_readable(region_page(r, i));

		if (lost)
			lost[i] = !readable;
		if (readable ? region_wrong_bytes(r, i, 1) != 0 : errno != EFAULT)
			return -1;
		nr += !readable;
	}
	return nr;
}

/**
 * region_write() - fill pages with bytes that differ from the previous ones
 * @r: the region
 * @first: index of the first page
 * @nr: number of pages
 */
void region_write(struct region *r, unsigned long first, unsigned long nr)
{
	unsigned long i;

	for (i = first; i < first + nr; i++) {
		r->version[i] = (r->version[i] & ~VERSION_ZERO) + 1;
		page_fill(region_page(r, i), r->fill, r->seed, i, r->version[i]);
	}
}

/**
 * region_write_all() - fill a whole region, see region_write()
 * @r: the region
 */
void region_write_all(struct region *r)
{
	region_write(r, 0, r->nr_pages);
}

/**
 * region_mark_zero() - note that pages were freed, and must read as zeros
 * @r: the region
 * @first: index of the first page
 * @nr: number of pages
 */
void region_mark_zero(struct region *r, unsigned long first, unsigned long nr)
{
	unsigned long i;

	for (i = first; i < first + nr; i++)
		r->version[i] |= VERSION_ZERO;
}

static bool __region_map(struct region *r, unsigned long nr_pages, enum fill fill,
			 __u64 seed, int flags, int fd)
{
	size_t size = nr_pages * page_size;
	unsigned char *area, *mem;
	void *version;

	area = mmap(NULL, size + ALIGNMENT, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		return false;
	mem = (void *)(((uintptr_t)area + ALIGNMENT - 1) & ~(ALIGNMENT - 1));
	munmap(area, mem - area);
	munmap(mem + size, area + ALIGNMENT - mem);
	if (mmap(mem, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) == MAP_FAILED)
		return false;

	version = mmap(NULL, nr_pages * sizeof(*r->version), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (version == MAP_FAILED)
		return false;

	r->mem = mem;
	r->nr_pages = nr_pages;
	r->fill = fill;
	r->seed = seed;
	r->version = version;
	region_mark_zero(r, 0, nr_pages);
	return true;
}

/**
 * region_map() - map anonymous memory made of small pages
 * @r: the region to set up
 * @nr_pages: its size
 * @fill: what region_write() will fill it with
 * @seed: makes its pages differ from those of other regions
 *
 * The memory reads as zeros until region_write().
 *
 * Return: whether it was mapped.
 */
bool region_map(struct region *r, unsigned long nr_pages, enum fill fill, __u64 seed)
{
	if (!__region_map(r, nr_pages, fill, seed, MAP_PRIVATE | MAP_ANONYMOUS, -1))
		return false;
	/* Fails without CONFIG_TRANSPARENT_HUGEPAGE, where it is not needed. */
	madvise(r->mem, nr_pages * page_size, MADV_NOHUGEPAGE);
	return true;
}

/**
 * region_map_fd() - map a file in shared memory
 * @r: the region to set up
 * @nr_pages: its size
 * @fill: what region_write() will fill it with
 * @seed: makes its pages differ from those of other regions
 * @fd: the file, which must be as large
 *
 * Return: whether it was mapped.
 */
bool region_map_fd(struct region *r, unsigned long nr_pages, enum fill fill,
		   __u64 seed, int fd)
{
	return __region_map(r, nr_pages, fill, seed, MAP_SHARED, fd);
}

/**
 * region_unmap() - free the memory of a region
 * @r: the region
 */
void region_unmap(struct region *r)
{
	munmap(r->mem, r->nr_pages * page_size);
	munmap(r->version, r->nr_pages * sizeof(*r->version));
}
