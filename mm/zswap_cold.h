/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * zswap: cold pages.  The interface between mm/zswap_cold.c and the rest.
 */
#ifndef _MM_ZSWAP_COLD_H
#define _MM_ZSWAP_COLD_H

#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/crypto.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/mm_types.h>
#include <linux/types.h>
#include <asm/barrier.h>

struct mem_cgroup;
struct obj_cgroup;
struct zswap_pool;
struct zswap_span;

/* Neighbouring slots in a span */
#define ZSWAP_SPAN_SLOTS	8U

/*
 * A clock that fits in a byte, for ages of up to two minutes.  An older span
 * looks younger for a while, and so waits longer.
 */
#define ZSWAP_CLOCK_JIFFIES	BIT(const_ilog2(HZ))

static inline u8 zswap_clock(void)
{
	return jiffies / ZSWAP_CLOCK_JIFFIES;
}

/* === mm/zswap_cold.c ===================================================== */

extern bool zswap_cold_resting;

void zswap_cold_start(void);
u64 zswap_squeeze_for_room(struct mem_cgroup *root, int type, u64 bytes,
			   unsigned long nr_pages, bool young);
void zswap_cold_prepare(const char *hot, const char *cold);
void zswap_cold_wake(void);

/* A page was stored: make sure that the thread notices when it is old. */
static inline void zswap_cold_note_store(void)
{
	/*
	 * Pairs with the barrier in rest(): either this sees that the thread
	 * rests, or the thread sees the stored page, and does not rest.
	 */
	smp_mb();
	if (unlikely(READ_ONCE(zswap_cold_resting)))
		zswap_cold_wake();
}

/* === mm/zswap.c ========================================================== */

struct zswap_pool *zswap_cold_pool_get(void);
const char *zswap_pool_name(const struct zswap_pool *pool);
void zswap_pool_put(struct zswap_pool *pool);

/* === mm/zswap_replace.c ================================================== */

/**
 * struct zswap_pick - a span whose pages may be recompressed
 * @pool: the pool for cold pages; input
 * @min_age: a slot is old if no page was stored for it for this long, in units
 *	of zswap_clock(); input
 * @all: also take slots that were stored since the span was last seen; input
 * @gfp: flags to allocate a span, if needed; input
 * @wait: time until the next span is old; only ever shortened
 * @span: the span; it may be freed, so never dereference this pointer
 * @first: its first slot
 * @objcg: the cgroup that its data is charged to, with a reference, or NULL
 * @slots: bitmap of the old slots
 * @compressor: the compressor of their data
 * @nr_young: number of young spans skipped
 */
struct zswap_pick {
	struct zswap_pool *pool;
	u8 min_age;
	bool all;
	gfp_t gfp;

	u8 wait;
	struct zswap_span *span;
	swp_entry_t first;
	struct obj_cgroup *objcg;
	u8 slots;
	char compressor[CRYPTO_MAX_ALG_NAME];
	unsigned int nr_young;
};

unsigned long zswap_nr_unseen(int type);
unsigned long zswap_nr_unseen_one(int type, int nid, struct mem_cgroup *memcg,
				  gfp_t gfp);
bool zswap_pick_span(int type, int nid, struct mem_cgroup *memcg,
		     struct zswap_pick *pick);
int zswap_copy_slot(const struct zswap_pick *pick, unsigned int slot, void *data);
int zswap_replace_slot(const struct zswap_pick *pick, unsigned int slot,
		       const void *old, unsigned int old_length,
		       const void *data, unsigned int length);
void zswap_seen_span(const struct zswap_pick *pick);
void zswap_put_span(struct zswap_pick *pick);

#endif /* _MM_ZSWAP_COLD_H */
