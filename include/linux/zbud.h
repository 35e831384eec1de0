/* SPDX-License-Identifier: GPL-2.0-only */
/* zbud: an allocator for compressed pages; mm/zbud.c explains how it works. */
#ifndef _LINUX_ZBUD_H
#define _LINUX_ZBUD_H

#include <linux/log2.h>
#include <linux/types.h>

struct scatterlist;
struct zbud_pool;

/*
 * Maximum number of objects in a page, unless they are tiny: struct page has two
 * words with one byte for each.
 */
#define ZBUD_SLOTS		(2 * sizeof(unsigned long))

/* Maximum number of scatterlist entries for an object: one for each of its pages */
#define ZBUD_SG_ENTRIES		2

struct zbud_pool *zbud_create_pool(void);
void zbud_destroy_pool(struct zbud_pool *pool);

int zbud_store(struct zbud_pool *pool, const void *src, size_t size, gfp_t gfp,
	       int nid, unsigned long *handle);
void zbud_free(struct zbud_pool *pool, unsigned long *handle);

int zbud_read_begin(struct zbud_pool *pool, unsigned long *handle,
		    struct scatterlist *sg, size_t len);
void zbud_read_end(struct scatterlist *sg);

void zbud_move_handle(struct zbud_pool *pool, unsigned long *from,
		      unsigned long *to);
size_t zbud_footprint(size_t size);

void zbud_compact(struct zbud_pool *pool);
unsigned long zbud_total_pages(struct zbud_pool *pool);
unsigned long zbud_pages_compacted(struct zbud_pool *pool);
size_t zbud_meta_bytes(struct zbud_pool *pool);

#endif /* _LINUX_ZBUD_H */
