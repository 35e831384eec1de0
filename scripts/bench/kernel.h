/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What mm/ramzswap_blocks.c uses of the kernel, for a program in user space that includes that file. Where the
 * file includes <linux/...>, it gets headers of the C library's or empty ones (see bench-pages.sh).
 */
#ifndef BENCH_KERNEL_H
#define BENCH_KERNEL_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#ifndef PAGE_SIZE
#define PAGE_SIZE		4096UL
#endif
#define U16_MAX			UINT16_MAX

#define min(a, b)		({ __auto_type a_ = (a); __auto_type b_ = (b); a_ < b_ ? a_ : b_; })
#define max(a, b)		({ __auto_type a_ = (a); __auto_type b_ = (b); a_ > b_ ? a_ : b_; })
#define min3(a, b, c)		({ __auto_type ab_ = min(a, b); min(ab_, c); })
#define round_down(x, y)	((x) / (y) * (y))
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define struct_size(p, member, n) \
	(sizeof(*(p)) + (n) * sizeof((p)->member[0]))

#define IS_ENABLED(option)	0
#define READ_ONCE(x)		(x)
#define VM_WARN_ON_ONCE(x)	assert(!(x))
#define WARN_ON_ONCE(x)		({ assert(!(x)); false; })

#define BIT(n)			(1UL << (n))
#define GENMASK_ULL(high, low)	((~0ULL << (low)) & (~0ULL >> (63 - (high))))
#define GENMASK(high, low)	GENMASK_ULL(high, low)
#define __bf_shf(mask)		(__builtin_ffsll(mask) - 1)
#define FIELD_GET(mask, value)	(((u64)(value) & (mask)) >> __bf_shf(mask))
#define FIELD_PREP(mask, value)	(((u64)(value) << __bf_shf(mask)) & (mask))

#define BITS_PER_LONG		(8 * sizeof(long))
#define BITS_TO_LONGS(n)	DIV_ROUND_UP(n, BITS_PER_LONG)

static inline void __set_bit(unsigned long bit, unsigned long *map)
{
	map[bit / BITS_PER_LONG] |= BIT(bit % BITS_PER_LONG);
}

static inline void __clear_bit(unsigned long bit, unsigned long *map)
{
	map[bit / BITS_PER_LONG] &= ~BIT(bit % BITS_PER_LONG);
}

static inline void bitmap_set(unsigned long *map, unsigned long first, unsigned long nr)
{
	while (nr--)
		__set_bit(first++, map);
}

static inline unsigned long find_next_bit(const unsigned long *map, unsigned long size, unsigned long bit)
{
	while (bit < size && !(map[bit / BITS_PER_LONG] & BIT(bit % BITS_PER_LONG)))
		bit++;
	return bit;
}

#define GFP_KERNEL			0
#define kvcalloc(n, size, gfp)		calloc(n, size)
#define kvfree(p)			free(p)
#define __get_free_page(gfp)		((unsigned long)aligned_alloc(PAGE_SIZE, PAGE_SIZE))
#define free_page(address)		free((void *)(address))
#define clear_page(p)			memset(p, 0, PAGE_SIZE)

/* Nothing is ever read wrong here, and the sum would take most of the time. */
static inline u32 crc32c(u32 seed, const void *data, size_t size)
{
	(void)data;
	return seed ^ size;
}

#endif
