/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * zswap: cold pages.  The interface between mm/zswap.c and mm/zswap_cold.c.
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

/* How many neighbouring slots a span has. */
#define ZSWAP_SPAN_SLOTS	8U

/*
 * A clock that fits in a byte, for ages of up to two minutes.  What is older
 * looks younger for a while.  That only makes it wait longer.
 */
#define ZSWAP_CLOCK_JIFFIES	BIT(const_ilog2(HZ))

static inline u8 zswap_clock(void)
{
	return jiffies / ZSWAP_CLOCK_JIFFIES;
}

/* === mm/zswap_cold.c ===================================================== */

extern bool zswap_cold_resting;

void zswap_cold_start(void);
void zswap_squeeze_for_room(struct mem_cgroup *root, int type, u64 bytes,
			    unsigned long nr_pages, bool young);
void zswap_cold_prepare(const char *hot, const char *cold);
void zswap_cold_wake(void);

/* Something was stored that is going to be old some day. */
static inline void zswap_cold_note_store(void)
{
	/*
	 * Pairs with the barrier in rest(): either this sees that the thread
	 * rests, or the thread sees what was stored, and does not rest.
	 */
	smp_mb();
	if (unlikely(READ_ONCE(zswap_cold_resting)))
		zswap_cold_wake();
}

/* === mm/zswap.c ========================================================== */

/**
 * struct zswap_pick - a span whose pages may be compressed again
 * @pool: the pool that is for cold pages; given
 * @min_age: a slot is old if nothing was stored for it for so long, in
 *	zswap_clock()'s time; given
 * @all: also take slots that were stored since the span was seen last; given
 * @gfp: how to allocate a span, if that is needed; given
 * @wait: how long until something is old; only made shorter
 * @span: the span.  It may be gone: only compare this pointer, never follow it.
 * @first: its first slot
 * @objcg: the cgroup that its data is charged to, with a reference, or NULL
 * @slots: the slots that are old
 * @compressor: the compressor of their data
 * @nr_young: how many young spans were skipped
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

struct zswap_pool *zswap_cold_pool_get(void);
const char *zswap_pool_name(const struct zswap_pool *pool);
void zswap_pool_put(struct zswap_pool *pool);

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
