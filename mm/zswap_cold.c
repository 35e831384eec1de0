// SPDX-License-Identifier: GPL-2.0-only
/* zswap: recompress cold pages, more densely */

/**
 * DOC: cold pages
 *
 * zswap uses a fast compressor, because a task that needs memory waits for it.
 * But most stored pages are not loaded again for a long time, and a slower
 * compressor makes them smaller.  So a kernel thread recompresses a page with
 * zswap.cold_compressor when it was not used for 30 seconds to a minute.  The
 * thread takes only idle CPU time.  A load decompresses a recompressed page
 * like any other.
 *
 * **Age.**  zswap's LRU has two parts.  The older part has the spans that this
 * file is done with.  The younger part has the rest, ordered by creation time.
 * When a span is 30 seconds old, the thread recompresses its pages, except
 * those that were stored after the span was created: they wait for another 30
 * seconds.  When no page is left to try, the span moves to the older part.  So
 * the thread never looks at a span twice, and rests until zswap stores a page.
 *
 * **Gain.**  If recompression does not make a page smaller by at least an
 * eighth, the old copy stays, and the thread does not try it again until it is
 * stored again.  For a page that the first compressor could not make smaller, a
 * sample of its bytes tells whether to try at all.
 *
 * **Races.**  The thread copies the compressed data of a slot under the slot's
 * cluster lock, recompresses the copy without any lock, and takes the cluster
 * lock again to replace the data.  It replaces the data only if it is still the
 * same, byte by byte, and no task has begun to read it.  So a reader waits at
 * most for one copy, and several tasks may recompress at a time.  See
 * zswap_replace_slot().
 *
 * **No room.**  Before zswap refuses a page for lack of room, it recompresses
 * the oldest pages, even if they are young.  That costs several compressions
 * per page, but otherwise the device would count as full, and the OOM killer
 * would run.  Tasks do this in parallel, one on each CPU.  If there are more
 * tasks, each waits for its turn, and counts every recompression that it waits
 * for as one of its own tries.  Where pages can be written back, the writeback
 * worker first recompresses the oldest.  A task in reclaim does not: writing a
 * page takes less time than gaining its room.
 *
 * **Memory.**  A recompression needs about 100 KiB of buffers, allocated once
 * for the thread and once for each CPU, see zswap_cold_prepare().  If there is
 * no memory for the smaller copy, the old one stays.
 */

#define pr_fmt(fmt) "zswap: " fmt

#include <linux/atomic.h>
#include <linux/cleanup.h>
#include <linux/cpumask.h>
#include <linux/crypto.h>
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sched/cputime.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/wait.h>
#include <linux/zstd.h>
#include <crypto/acompress.h>
#include "ramzswap.h"
#include "zswap_cold.h"

/* === Data ================================================================ */

/* Age of an old page, and the shortest interval of the thread */
#define COLD_AGE		((u8)(30UL * HZ / ZSWAP_CLOCK_JIFFIES))
#define COLD_INTERVAL		((u8)(5UL * HZ / ZSWAP_CLOCK_JIFFIES))
/* squeeze_oldest() also uses twice this age. */
static_assert(30UL * HZ / ZSWAP_CLOCK_JIFFIES < U8_MAX / 2);

/* A page has to become smaller by this part of its compressed size. */
#define COLD_MIN_GAIN		8
/* Do not try smaller objects: zbud would give back hardly any room. */
#define COLD_MIN_LENGTH		64U

/* Number of bytes, evenly spread over a page, that represent the whole page */
#define COLD_SAMPLE		1024U

/*
 * The crypto API's zstd handles data of any size, and aims at speed.  Here,
 * compression may take two or three times as long to gain another 5 %.  Any
 * zstd decompressor reads the result.
 */
#define COLD_ZSTD		"zstd"
#define COLD_ZSTD_LEVEL		6

/* One compression algorithm, for one user at a time */
struct squeezer_tfm {
	struct crypto_acomp *acomp;
	struct acomp_req *req;
	struct crypto_wait wait;
	char name[CRYPTO_MAX_ALG_NAME];
};

/*
 * Buffers and contexts for one recompression.  The thread has its own, so that
 * no task waits for a thread that may not get the CPU.  For the same reason, it
 * does not use the contexts that store and load pages.
 */
struct squeezer {
	struct squeezer_tfm from;
	struct squeezer_tfm to;
	zstd_parameters zstd_params;
	void *zstd;
	size_t zstd_size;
	u8 *old;		/* the stored data */
	u8 *page;		/* the page */
	u8 *new;		/* the smaller copy */
	struct squeezer *next;	/* in room_idle */
};

static struct task_struct *cold_thread;
static struct squeezer cold_squeezer;
static DECLARE_WAIT_QUEUE_HEAD(cold_wait);

/*
 * When there is no room, there is no memory to allocate a squeezer, either.  So
 * zswap_cold_prepare() allocates squeezers in advance, one for each CPU.  A
 * task that needs room takes one for one page at a time.  The thread never
 * does.
 */
#define ROOM_MAX_SQUEEZERS	16U
/* Without memory, smaller copies need gaps.  Give up after this many failures. */
#define ROOM_MAX_NOMEM		8

static DEFINE_SPINLOCK(room_lock);
/* The idle squeezers, and the number of all, idle or in use */
static struct squeezer *room_idle __guarded_by(&room_lock);
static unsigned int room_nr __guarded_by(&room_lock);
/* How often a squeezer was given back, and the tasks that wait for one */
static atomic_t room_returns = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(room_wait);

/* The thread sleeps until zswap stores a page. */
bool zswap_cold_resting;
/* A compressor was set since the thread last looked. */
static unsigned int cold_changed;

/* === One page ============================================================ */

static void tfm_free(struct squeezer_tfm *tfm)
{
	if (tfm->req)
		acomp_request_free(tfm->req);
	if (tfm->acomp)
		crypto_free_acomp(tfm->acomp);
	memset(tfm, 0, sizeof(*tfm));
}

/* Get a context for an algorithm.  Return: true on success. */
static bool tfm_get(struct squeezer_tfm *tfm, const char *name)
{
	struct crypto_acomp *acomp;

	if (!strcmp(tfm->name, name))
		return true;
	tfm_free(tfm);
	acomp = crypto_alloc_acomp_node(name, 0, 0, NUMA_NO_NODE);
	if (IS_ERR(acomp))
		return false;
	tfm->acomp = acomp;
	tfm->req = acomp_request_alloc(acomp);
	if (!tfm->req) {
		tfm_free(tfm);
		return false;
	}
	crypto_init_wait(&tfm->wait);
	acomp_request_set_callback(tfm->req, CRYPTO_TFM_REQ_MAY_BACKLOG, crypto_req_done,
				   &tfm->wait);
	strscpy(tfm->name, name);
	return true;
}

/* If this allocation fails, compress() uses the crypto API's zstd. */
static void zstd_get(struct squeezer *sq)
{
	if (sq->zstd || !IS_BUILTIN(CONFIG_ZSTD_COMPRESS))
		return;
	sq->zstd_params = zstd_get_params(COLD_ZSTD_LEVEL, PAGE_SIZE);
	sq->zstd_size = zstd_cctx_workspace_bound(&sq->zstd_params.cParams);
	sq->zstd = kvmalloc(sq->zstd_size, GFP_KERNEL | __GFP_NOWARN);
}

/* Prepare @sq for compressing with @to.  Return: true on success. */
static bool squeezer_get(struct squeezer *sq, const char *to)
{
	if (!sq->old)
		sq->old = kmalloc(PAGE_SIZE, GFP_KERNEL);
	if (!sq->page)
		sq->page = kmalloc(PAGE_SIZE, GFP_KERNEL);
	if (!sq->new)
		sq->new = kmalloc(PAGE_SIZE, GFP_KERNEL);
	zstd_get(sq);
	return sq->old && sq->page && sq->new && tfm_get(&sq->to, to);
}

static void squeezer_free(struct squeezer *sq)
{
	if (!sq)
		return;
	tfm_free(&sq->from);
	tfm_free(&sq->to);
	kvfree(sq->zstd);
	kfree(sq->old);
	kfree(sq->page);
	kfree(sq->new);
	kfree(sq);
}

static unsigned int zstd_compress(struct squeezer *sq, unsigned int max)
{
	zstd_cctx *cctx = zstd_init_cctx(sq->zstd, sq->zstd_size);
	size_t ret;

	if (!cctx)
		return 0;
	ret = zstd_compress_cctx(cctx, sq->new, max, sq->page, PAGE_SIZE,
				 &sq->zstd_params);
	return zstd_is_error(ret) ? 0 : ret;
}

/* Return: the length of the data in @sq->new, or 0 if it exceeds @max. */
static unsigned int compress(struct squeezer *sq, unsigned int max)
{
	struct squeezer_tfm *tfm = &sq->to;
	struct scatterlist input, output;

	if (IS_BUILTIN(CONFIG_ZSTD_COMPRESS) && sq->zstd && !strcmp(tfm->name, COLD_ZSTD))
		return zstd_compress(sq, max);
	sg_init_one(&input, sq->page, PAGE_SIZE);
	sg_init_one(&output, sq->new, max);
	acomp_request_set_params(tfm->req, &input, &output, PAGE_SIZE, max);
	if (crypto_wait_req(crypto_acomp_compress(tfm->req), &tfm->wait) ||
	    tfm->req->dlen > max)
		return 0;
	return tfm->req->dlen;
}

/* Decompress @sq->old, of @length bytes, into @sq->page. */
static bool decompress(struct squeezer *sq, unsigned int length)
{
	struct squeezer_tfm *tfm = &sq->from;
	struct scatterlist input, output;

	if (length == PAGE_SIZE) {
		memcpy(sq->page, sq->old, PAGE_SIZE);
		return true;
	}
	sg_init_one(&input, sq->old, length);
	sg_init_one(&output, sq->page, PAGE_SIZE);
	acomp_request_set_params(tfm->req, &input, &output, length, PAGE_SIZE);
	return !crypto_wait_req(crypto_acomp_decompress(tfm->req), &tfm->wait) &&
	       tfm->req->dlen == PAGE_SIZE;
}

/*
 * This page has no repeated strings, or the first compressor would have found
 * them.  A better compressor can only exploit that some byte values are more
 * frequent than others.  The probability that two bytes are equal bounds that
 * gain: if it is 1 in 128 or less, each byte has at least 7 bits of entropy,
 * and the page does not shrink by an eighth.
 */
static bool looks_random(const u8 *page)
{
	const unsigned int step = PAGE_SIZE / COLD_SAMPLE;
	unsigned int i, pairs = 0;
	u16 seen[256] = {};

	/* Each byte forms a pair with every earlier byte of the same value. */
	for (i = 0; i < COLD_SAMPLE; i++)
		pairs += seen[page[i * step + i % step]]++;
	return pairs <= COLD_SAMPLE * (COLD_SAMPLE - 1) / 2 / 128;
}

/*
 * Recompress one slot.  If its data cannot be read or decompressed, leave it
 * for its reader to find.
 *
 * Return: the number of bytes gained, 0 for no gain, or -ENOMEM.
 */
static int squeeze_slot(struct squeezer *sq, const struct zswap_pick *pick,
			unsigned int slot, struct ramzswap_share *share)
{
	unsigned int length, smaller;
	int ret;

	ret = zswap_copy_slot(pick, slot, sq->old);
	if (ret < 0)
		return 0;
	length = ret;
	if (length >= COLD_MIN_LENGTH && !(length == PAGE_SIZE && looks_random(sq->old))) {
		if (!decompress(sq, length))
			return 0;
		smaller = compress(sq, length - length / COLD_MIN_GAIN);
		if (smaller) {
			ret = zswap_replace_slot(pick, slot, sq->old, length,
						 sq->new, smaller);
			if (ret)
				return ret == -ENOMEM ? ret : 0;
			return length - smaller;
		}
	}
	ramzswap_count(share, RAMZSWAP_NUM_HOPELESS, 1);
	return 0;
}

/* === Many ================================================================ */

/**
 * struct squeeze - which pages to recompress, and how many
 * @pick: the current span, and the pool for the smaller copies
 * @squeezer: the caller's own, or NULL if the caller waits for room: then take
 *	one from room_idle for each page, and allocate only the smaller copies
 * @share: only pages of this device; NULL for any
 * @root: only pages of this cgroup and those below it; NULL for all
 * @nr_pages: number of pages left to try
 * @bytes: number of bytes left to gain
 * @nr_nomem: number of pages in a row without memory for the smaller copy
 */
struct squeeze {
	struct zswap_pick pick;
	struct squeezer *squeezer;
	struct ramzswap_share *share;
	struct mem_cgroup *root;
	unsigned long nr_pages;
	u64 bytes;
	unsigned int nr_nomem;
};

static bool squeeze_done(const struct squeeze *s)
{
	return !s->nr_pages || !s->bytes;
}

/*
 * Take a squeezer, for good if the caller is going to free it.
 *
 * Return: a squeezer, NULL if all are in use, or -ENOENT if there are none.
 */
static struct squeezer *room_try_take(bool for_good)
{
	struct squeezer *sq;

	guard(spinlock)(&room_lock);
	if (!room_nr)
		return ERR_PTR(-ENOENT);
	sq = room_idle;
	if (sq) {
		room_idle = sq->next;
		room_nr -= for_good;
	}
	return sq;
}

/*
 * If all squeezers are in use, wait until a recompression ends.  Then a
 * squeezer is free, or another task that needs room has taken it.
 *
 * Return: a squeezer; NULL if another task took it; -ENOENT if there are none,
 * or -EINTR.
 */
static struct squeezer *room_take(void)
{
	int returns = atomic_read(&room_returns);
	struct squeezer *sq = NULL;
	int err;

	/* Does not sleep if a squeezer is idle. */
	err = wait_event_killable(room_wait, (sq = room_try_take(false)) ||
				  atomic_read(&room_returns) != returns);
	return err ? ERR_PTR(-EINTR) : sq;
}

static void room_give_back(struct squeezer *sq)
{
	scoped_guard(spinlock, &room_lock) {
		sq->next = room_idle;
		room_idle = sq;
	}
	atomic_inc(&room_returns);
	wake_up(&room_wait);
}

/*
 * A task that waits for room skips pages of compressors that the squeezers were
 * not prepared for.
 */
static int squeeze_slot_for_room(struct squeeze *s, unsigned int slot,
				 struct ramzswap_share *share)
{
	struct squeezer *sq;
	int ret = 0;

	/* Recompression by other tasks makes room, too: count it. */
	do {
		sq = room_take();
	} while (!sq && s->nr_pages && s->nr_pages--);
	if (IS_ERR_OR_NULL(sq))
		return PTR_ERR_OR_ZERO(sq);
	if (!strcmp(sq->from.name, s->pick.compressor) &&
	    !strcmp(sq->to.name, zswap_pool_name(s->pick.pool)))
		ret = squeeze_slot(sq, &s->pick, slot, share);
	room_give_back(sq);
	return ret;
}

static void squeeze_span(struct squeeze *s)
{
	struct zswap_pick *pick = &s->pick;
	u64 start = task_sched_runtime(current);
	unsigned long slots = pick->slots;
	struct ramzswap_share *share;
	struct swap_info_struct *si;
	unsigned int slot;
	int gained;

	/* Make swapoff wait.  Use entry 1, as device 0 has no entry 0. */
	si = get_swap_device(swp_entry(swp_type(pick->first), 1));
	if (!si)
		return;
	/* Meanwhile, a smaller device may have reused the type. */
	if (swp_offset(pick->first) >= si->max) {
		put_swap_device(si);
		return;
	}
	share = ramzswap_share_of(si);
	if ((s->share && share != s->share) ||
	    (slots && s->squeezer && !tfm_get(&s->squeezer->from, pick->compressor))) {
		put_swap_device(si);
		return;
	}
	for_each_set_bit(slot, &slots, ZSWAP_SPAN_SLOTS) {
		if (squeeze_done(s))
			break;
		s->nr_pages--;
		gained = s->squeezer ? squeeze_slot(s->squeezer, pick, slot, share) :
				       squeeze_slot_for_room(s, slot, share);
		if (gained > 0)
			s->bytes -= min(s->bytes, gained);
		s->nr_nomem = gained == -ENOMEM ? s->nr_nomem + 1 : 0;
		/* The next copy may fit into a gap, and its original leaves a larger one. */
		if (gained < 0 && !s->squeezer &&
		    (gained != -ENOMEM || s->nr_nomem == ROOM_MAX_NOMEM))
			s->nr_pages = 0;
		cond_resched();
	}
	zswap_seen_span(pick);
	ramzswap_count(share, RAMZSWAP_SQUEEZE_NS, task_sched_runtime(current) - start);
	put_swap_device(si);
}

/* Should this task stop? */
static bool interrupted(const struct squeeze *s)
{
	if (!s->squeezer)
		return fatal_signal_pending(current);
	if (current != cold_thread)
		return signal_pending(current);
	try_to_freeze();
	return false;
}

static bool squeeze_one(struct squeeze *s, int type, int nid, struct mem_cgroup *memcg)
{
	if (interrupted(s) || !zswap_pick_span(type, nid, memcg, &s->pick))
		return false;
	squeeze_span(s);
	zswap_put_span(&s->pick);
	cond_resched();
	return !squeeze_done(s);
}

/* Return: true if it went through the whole device. */
static bool squeeze_device(struct squeeze *s, int type)
{
	struct mem_cgroup *memcg = mem_cgroup_iter(s->root, NULL, NULL);
	unsigned long nr;
	int nid;

	do {
		for_each_node_state(nid, N_NORMAL_MEMORY) {
			/*
			 * Spans already seen are at the end, or off the list.
			 */
			nr = zswap_nr_unseen_one(type, nid, memcg, s->pick.gfp);
			while (nr-- && squeeze_one(s, type, nid, memcg))
				;
			if (squeeze_done(s) || interrupted(s)) {
				mem_cgroup_iter_break(s->root, memcg);
				return false;
			}
		}
		memcg = mem_cgroup_iter(s->root, memcg, NULL);
	} while (memcg);
	return true;
}

/*
 * Each cgroup has its own LRU.  To take the oldest pages of all cgroups first,
 * go through them in rounds: each round halves the age, down to @min_age.
 */
static void squeeze_oldest(struct squeeze *s, int first_type, int last_type, u8 min_age)
{
	unsigned long nr_unseen = 0;
	int type;

	for (type = first_type; type <= last_type; type++)
		nr_unseen += zswap_nr_unseen(type);
	/* A few spans are not worth a round for each age. */
	s->pick.min_age = nr_unseen > SWAP_CLUSTER_MAX ? COLD_AGE * 2 : min_age;

	for (; ; s->pick.min_age /= 2) {
		s->pick.all = !s->pick.min_age;
		for (type = first_type; type <= last_type; type++)
			if (zswap_nr_unseen(type) && !squeeze_device(s, type))
				return;
		if (s->pick.min_age <= min_age)
			break;
	}
}

/**
 * zswap_squeeze() - recompress pages now, the oldest first
 * @share: the share of the device
 * @type: the device
 * @bytes: how much to recompress, in bytes before compression
 *
 * Also takes pages that are too young for the thread.
 *
 * Context: May sleep for a long time.  The device may be swapped off meanwhile.
 * Return: 0; -EINTR after a signal; -ENOMEM; or -EOPNOTSUPP if there is no
 * compressor for cold pages.
 */
int zswap_squeeze(struct ramzswap_share *share, int type, u64 bytes)
{
	struct squeeze s = {
		.share = share,
		.nr_pages = min(DIV_ROUND_UP_ULL(bytes, PAGE_SIZE), ULONG_MAX),
		.bytes = U64_MAX,
		.pick.gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN,
	};
	int err = -ENOMEM;

	if (zswap_never_enabled())
		return -EOPNOTSUPP;
	s.pick.pool = zswap_cold_pool_get();
	if (!s.pick.pool)
		return -EOPNOTSUPP;
	s.squeezer = kzalloc_obj(*s.squeezer);
	if (s.squeezer && squeezer_get(s.squeezer, zswap_pool_name(s.pick.pool))) {
		squeeze_oldest(&s, type, type, 0);
		err = signal_pending(current) ? -EINTR : 0;
	}
	squeezer_free(s.squeezer);
	zswap_pool_put(s.pick.pool);
	return err;
}

/**
 * zswap_squeeze_for_room() - recompress the oldest pages to make room
 * @root: only pages of this cgroup and those below it; NULL for all
 * @type: only pages of this device; -1 for all
 * @bytes: number of bytes of compressed data to gain
 * @nr_pages: maximum number of pages to try
 * @young: also take pages that were stored a moment ago
 *
 * Context: Reclaim; may sleep, but does not wait for memory.
 * Return: number of bytes gained.
 */
u64 zswap_squeeze_for_room(struct mem_cgroup *root, int type, u64 bytes,
			   unsigned long nr_pages, bool young)
{
	struct squeeze s = {
		.root = root,
		.nr_pages = nr_pages,
		.bytes = bytes,
		.pick.gfp = GFP_NOWAIT | __GFP_NOWARN,
	};

	/*
	 * No squeezers: allocating them failed, or there is only one compressor.
	 */
	scoped_guard(spinlock, &room_lock)
		if (!room_nr)
			return 0;
	s.pick.pool = zswap_cold_pool_get();
	if (!s.pick.pool)
		return 0;
	squeeze_oldest(&s, max(type, 0), type < 0 ? MAX_SWAPFILES - 1 : type,
		       young ? 0 : COLD_AGE / 4);
	zswap_pool_put(s.pick.pool);
	return bytes - s.bytes;
}

/**
 * zswap_cold_prepare() - allocate squeezers for when there is no room
 * @hot: the compressor that stores use
 * @cold: the compressor for cold pages; the same as @hot for none
 *
 * If the allocation fails, no task can make room by recompression.
 *
 * Context: May sleep; not called twice at a time.
 */
void zswap_cold_prepare(const char *hot, const char *cold)
{
	unsigned int nr = 0, wanted = min(num_online_cpus(), ROOM_MAX_SQUEEZERS);
	struct squeezer *idle = NULL, *sq;

	for (; strcmp(hot, cold) && nr < wanted; nr++) {
		sq = kzalloc_obj(*sq);
		if (!sq)
			break;
		if (!squeezer_get(sq, cold) || !tfm_get(&sq->from, hot)) {
			squeezer_free(sq);
			break;
		}
		sq->next = idle;
		idle = sq;
	}
	/*
	 * Tasks in reclaim must not free their squeezer: that takes locks under
	 * which the crypto API allocates memory.  So wait until they give it
	 * back, and free it here.
	 */
	for (;;) {
		wait_event(room_wait, (sq = room_try_take(true)));
		if (IS_ERR(sq))
			break;
		/* Wake waiters first: they may hold locks that freeing needs. */
		atomic_inc(&room_returns);
		wake_up(&room_wait);
		squeezer_free(sq);
	}
	scoped_guard(spinlock, &room_lock) {
		room_idle = idle;
		room_nr = nr;
	}
}

/* === The thread ========================================================== */

static bool anything_unseen(void)
{
	int type;

	for (type = 0; type < MAX_SWAPFILES; type++)
		if (zswap_nr_unseen(type))
			return true;
	return false;
}

/* Sleep until zswap stores a page. */
static void rest(void)
{
	WRITE_ONCE(zswap_cold_resting, true);
	/* Pairs with the barrier in zswap_cold_note_store(). */
	smp_mb();
	if (anything_unseen())
		WRITE_ONCE(zswap_cold_resting, false);
	wait_event_freezable(cold_wait, !READ_ONCE(zswap_cold_resting));
}

/*
 * Recompress old pages.  Return: the time until more may be old, or 0 if there
 * is no cold compressor.
 */
static u8 squeeze_old(void)
{
	struct squeeze s = {
		.squeezer = &cold_squeezer,
		.nr_pages = ULONG_MAX,
		.bytes = U64_MAX,
		/*
		 * In direct reclaim, the thread would hold locks while it may
		 * not get the CPU.
		 */
		.pick.gfp = GFP_NOWAIT,
		.pick.min_age = COLD_AGE,
		.pick.wait = COLD_AGE,
	};
	int type;

	s.pick.pool = zswap_cold_pool_get();
	if (!s.pick.pool)
		return 0;
	/* If there is no memory, try again later. */
	if (squeezer_get(&cold_squeezer, zswap_pool_name(s.pick.pool)))
		for (type = 0; type < MAX_SWAPFILES; type++)
			if (zswap_nr_unseen(type))
				squeeze_device(&s, type);
	zswap_pool_put(s.pick.pool);
	return max(s.pick.wait, COLD_INTERVAL);
}

static int cold_thread_fn(void *unused)
{
	set_freezable();
	for (;;) {
		u8 wait = squeeze_old();

		if (!wait)
			wait_event_freezable(cold_wait, xchg(&cold_changed, 0));
		else if (anything_unseen())
			wait_event_freezable_timeout(cold_wait, xchg(&cold_changed, 0),
						     wait * ZSWAP_CLOCK_JIFFIES);
		else
			rest();
	}
	return 0;
}

/**
 * zswap_cold_wake() - end the thread's rest
 *
 * Context: Any in which a page is stored.
 */
void zswap_cold_wake(void)
{
	WRITE_ONCE(zswap_cold_resting, false);
	wake_up(&cold_wait);
}

/**
 * zswap_cold_start() - start the thread, or tell it that the compressor changed
 *
 * Context: May sleep; not called twice at a time.
 */
void zswap_cold_start(void)
{
	static const struct sched_param param = {};
	struct task_struct *thread;

	if (cold_thread) {
		WRITE_ONCE(cold_changed, 1);
		zswap_cold_wake();
		return;
	}
	thread = kthread_create(cold_thread_fn, NULL, "kzswapd");
	if (IS_ERR(thread)) {
		pr_warn("no thread for cold pages: %pe\n", thread);
		return;
	}
	cold_thread = thread;
	sched_setscheduler_nocheck(thread, SCHED_IDLE, &param);
	wake_up_process(thread);
}
