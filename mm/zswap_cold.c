// SPDX-License-Identifier: GPL-2.0-only
/*
 * zswap: compress cold pages again, and denser
 */

/**
 * DOC: cold pages
 *
 * zswap compresses fast what it stores, because a task that needs memory waits for
 * it.  Nobody wants much of that again for long, and it could take less room.  So
 * a kernel thread compresses a page again, with zswap.cold_compressor, when nobody
 * wanted it for 30 seconds to a minute.  The thread only takes CPU time that nobody
 * else wants.  A load decompresses such a page like any other.
 *
 * **Age.**  zswap's LRU has two parts.  The older part has the spans that this
 * file is done with; the other part has the rest, ordered by the time when each
 * was made.  When a span is 30 seconds old, the thread compresses its pages
 * again, but not those that were stored after the span was made: they wait until
 * the span is 30 seconds older.  When nothing is left to be tried, the span moves
 * to the older part.  So the thread looks at nothing twice, and rests until
 * something is stored.
 *
 * **Gain.**  A page becomes smaller by an eighth at least, or stays as it is and
 * is not tried again before it is stored again.  If the first compressor could not
 * make a page smaller, a sample tells whether there is any hope.
 *
 * **Races.**  The thread copies a page with its slot's cluster locked, compresses
 * the copy with nothing locked, and locks the cluster again to replace the page.
 * It does so only if what is stored is still the same, byte by byte, and nobody
 * has begun to read it.  So nobody ever waits for the thread for longer than a
 * copy takes, and several tasks may do this at a time.  See zswap_replace_slot().
 *
 * **No room.**  Before a page is refused for lack of room, the oldest pages are
 * compressed again, even if they are not that old.  That takes some compressions
 * for a page, but without them the device counts as full, and the out-of-memory
 * killer comes.  Tasks do this side by side, one on each CPU.  If there are more of
 * them, a task waits for its turn, and counts each recompression that it waits
 * for as a try of its own.  Where pages can be written back, the worker that writes them first
 * compresses the oldest again.  A task in reclaim does not: to write a page takes
 * less time than to gain its room.
 *
 * **Memory.**  One compression at a time needs about 100 KiB.  That is allocated
 * once for the thread, and once for each CPU, see zswap_cold_prepare().  If the
 * smaller copy finds no place, the old one stays.
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

/* When a page is old, and how often the thread looks at most */
#define COLD_AGE		((u8)(30UL * HZ / ZSWAP_CLOCK_JIFFIES))
#define COLD_INTERVAL		((u8)(5UL * HZ / ZSWAP_CLOCK_JIFFIES))
/* Twice as old is an age as well, see zswap_squeeze(). */
static_assert(30UL * HZ / ZSWAP_CLOCK_JIFFIES < U8_MAX / 2);

/* A page has to become smaller by this part of what it takes. */
#define COLD_MIN_GAIN		8
/* Less than this has hardly any room to give: zbud's own units are as large. */
#define COLD_MIN_LENGTH		64U

/* So many bytes, from all over a page, tell what the others are like. */
#define COLD_SAMPLE		1024U

/*
 * The crypto API's zstd is made for data of any size, and compresses as fast as it
 * can.  Here it may take two or three times as long to gain another 5 %.  Any
 * decompressor of zstd reads the result.
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
 * What one compression needs.  The thread has its own, so that nobody waits for a
 * thread that may not get the CPU.  For the same reason it does not use the
 * contexts that store and load pages.
 */
struct squeezer {
	struct squeezer_tfm from;
	struct squeezer_tfm to;
	zstd_parameters zstd_params;
	void *zstd;
	size_t zstd_size;
	u8 *old;		/* what is stored */
	u8 *page;		/* the page */
	u8 *new;		/* what it becomes */
	struct squeezer *next;	/* in room_idle */
};

static struct task_struct *cold_thread;
static struct squeezer cold_squeezer;
static DECLARE_WAIT_QUEUE_HEAD(cold_wait);

/*
 * Where there is no room, there is no memory to make a squeezer, either.  So
 * zswap_cold_prepare() makes some in advance, one for each CPU.  A task that needs
 * room takes one for a page at a time; the thread never does.
 */
#define ROOM_MAX_SQUEEZERS	16U

static DEFINE_SPINLOCK(room_lock);
/* Those that nobody uses now, and how many there are with those in use */
static struct squeezer *room_idle __guarded_by(&room_lock);
static unsigned int room_nr __guarded_by(&room_lock);
/* How often one was given back, and who waits for that */
static atomic_t room_returns = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(room_wait);

/* The thread sleeps until something is stored. */
bool zswap_cold_resting;
/* Somebody has set a compressor since the thread looked. */
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

/* Return: whether there is a context for an algorithm. */
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

/* If there is no memory for this, the crypto API's zstd will do. */
static void zstd_get(struct squeezer *sq)
{
	if (sq->zstd || !IS_BUILTIN(CONFIG_ZSTD_COMPRESS))
		return;
	sq->zstd_params = zstd_get_params(COLD_ZSTD_LEVEL, PAGE_SIZE);
	sq->zstd_size = zstd_cctx_workspace_bound(&sq->zstd_params.cParams);
	sq->zstd = kvmalloc(sq->zstd_size, GFP_KERNEL | __GFP_NOWARN);
}

/* Return: whether @sq has all that it needs to compress by @to. */
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

/* Return: the length of the page in @sq->new, or 0 if it does not get so small. */
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

/* @sq->old, of @length bytes, becomes @sq->page. */
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
 * Nothing in this page repeats itself, or the first compressor would have seen it.
 * All that is left is that some bytes are more frequent than others.  The
 * probability that two bytes are the same bounds what that gains: if it is 1 in
 * 128 or less, each byte has 7 bits of entropy or more, and the page does not shrink
 * by an eighth.
 */
static bool looks_random(const u8 *page)
{
	const unsigned int step = PAGE_SIZE / COLD_SAMPLE;
	unsigned int i, pairs = 0;
	u16 seen[256] = {};

	/* Each byte makes as many pairs as there were others of it before. */
	for (i = 0; i < COLD_SAMPLE; i++)
		pairs += seen[page[i * step + i % step]]++;
	return pairs <= COLD_SAMPLE * (COLD_SAMPLE - 1) / 2 / 128;
}

/*
 * If the data cannot be read or decompressed, leave it for its reader to find.
 *
 * Return: bytes that were gained, 0 if there was no gain, or -ENOMEM.
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
 * struct squeeze - what to compress again
 * @pick: what is old, and the pool for the smaller copies
 * @squeezer: the caller's, or NULL if somebody waits for room: then take one of
 *	room_idle, and allocate nothing but the smaller copies
 * @share: only pages of this device; NULL for any
 * @root: only pages of this cgroup and those below it; NULL for all
 * @nr_pages: how many pages are still to be tried
 * @bytes: how many bytes are still to be gained
 */
struct squeeze {
	struct zswap_pick pick;
	struct squeezer *squeezer;
	struct ramzswap_share *share;
	struct mem_cgroup *root;
	unsigned long nr_pages;
	u64 bytes;
};

static bool squeeze_done(const struct squeeze *s)
{
	return !s->nr_pages || !s->bytes;
}

/* Return: a squeezer, NULL if all are in use, or -ENOENT if there are none. */
static struct squeezer *room_try_take(void)
{
	struct squeezer *sq;

	guard(spinlock)(&room_lock);
	if (!room_nr)
		return ERR_PTR(-ENOENT);
	sq = room_idle;
	if (sq)
		room_idle = sq->next;
	return sq;
}

/*
 * Whoever finds all squeezers in use waits for one recompression: then one is free,
 * or another task that also makes room has taken it.
 *
 * Return: a squeezer; NULL if it was another task's turn; -ENOENT if there are
 * none, or -EINTR.
 */
static struct squeezer *room_take(void)
{
	int returns = atomic_read(&room_returns);
	struct squeezer *sq = NULL;
	int err;

	/* If one is idle, this does not wait. */
	err = wait_event_killable(room_wait, (sq = room_try_take()) ||
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
 * A task that waits for room gives up where it cannot make any: there is no memory
 * for a smaller copy, or the squeezers are for other compressors.  It does not
 * search for pages that they could decompress.
 */
static int squeeze_slot_for_room(struct squeeze *s, unsigned int slot,
				 struct ramzswap_share *share)
{
	struct squeezer *sq;
	int ret = -ENOENT;

	/* What others compress meanwhile makes room as well, so it counts as tried. */
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

	/* Swapoff waits until this is done.  There is no entry 0 of device 0. */
	si = get_swap_device(swp_entry(swp_type(pick->first), 1));
	if (!si)
		return;
	/* Since the span was found, a smaller device may have taken its place. */
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
		else if (gained && !s->squeezer)
			s->nr_pages = 0;
		cond_resched();
	}
	zswap_seen_span(pick);
	ramzswap_count(share, RAMZSWAP_SQUEEZE_NS, task_sched_runtime(current) - start);
	put_swap_device(si);
}

/* Is there a reason for this task to stop? */
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

/* Return: whether it went through all of the device. */
static bool squeeze_device(struct squeeze *s, int type)
{
	struct mem_cgroup *memcg = mem_cgroup_iter(s->root, NULL, NULL);
	unsigned long nr;
	int nid;

	do {
		for_each_node_state(nid, N_NORMAL_MEMORY) {
			/* What was seen is at the end of the list, or on none. */
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
 * Each cgroup has an LRU of its own.  So all have their turn, age by age: each
 * round takes what is half as old, down to @min_age.
 */
static void squeeze_oldest(struct squeeze *s, int first_type, int last_type, u8 min_age)
{
	int type;

	for (s->pick.min_age = COLD_AGE * 2; ; s->pick.min_age /= 2) {
		s->pick.all = !s->pick.min_age;
		for (type = first_type; type <= last_type; type++)
			if (zswap_nr_unseen(type) && !squeeze_device(s, type))
				return;
		if (s->pick.min_age <= min_age)
			break;
	}
}

/**
 * zswap_squeeze() - compress pages again now, the oldest first
 * @share: the share of the device
 * @type: the device
 * @bytes: how many pages, in bytes before compression
 *
 * This also takes pages that are not old enough for the thread.
 *
 * Context: May sleep, for long.  The device may be swapped off meanwhile.
 * Return: 0, -EINTR if there was a signal, -ENOMEM, or -EOPNOTSUPP if there is
 * no compressor for cold pages.
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
 * zswap_squeeze_for_room() - compress the oldest pages again, to make room
 * @root: only pages of this cgroup and those below it; NULL for all
 * @type: only pages of this device; -1 for all
 * @bytes: how many bytes of compressed data to gain
 * @nr_pages: how many pages to try at most
 * @young: also take pages that were stored a moment ago
 *
 * Context: Reclaim; may sleep, but for memory.
 */
void zswap_squeeze_for_room(struct mem_cgroup *root, int type, u64 bytes,
			    unsigned long nr_pages, bool young)
{
	struct squeeze s = {
		.root = root,
		.nr_pages = nr_pages,
		.bytes = bytes,
		.pick.gfp = GFP_NOWAIT | __GFP_NOWARN,
	};

	/* Without memory for a squeezer, or if there is only one compressor */
	scoped_guard(spinlock, &room_lock)
		if (!room_nr)
			return;
	s.pick.pool = zswap_cold_pool_get();
	if (!s.pick.pool)
		return;
	squeeze_oldest(&s, max(type, 0), type < 0 ? MAX_SWAPFILES - 1 : type,
		       young ? 0 : COLD_AGE / 4);
	zswap_pool_put(s.pick.pool);
}

/**
 * zswap_cold_prepare() - allocate what will be needed when there is no room
 * @hot: the compressor of pages that are stored
 * @cold: the compressor of cold pages; the same if there are none
 *
 * If there is no memory for this, nobody will be able to make room.
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
	 * Users must not free theirs: that takes locks of the crypto API, which
	 * allocates memory under them.  So wait for what is in use.
	 */
	for (;;) {
		wait_event(room_wait, (sq = room_try_take()));
		if (IS_ERR(sq))
			break;
		scoped_guard(spinlock, &room_lock)
			room_nr--;
		squeezer_free(sq);
	}
	scoped_guard(spinlock, &room_lock) {
		room_idle = idle;
		room_nr = nr;
	}
	/* Others may wait for one that is gone. */
	atomic_inc(&room_returns);
	wake_up(&room_wait);
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

/* Sleep until something is stored. */
static void rest(void)
{
	WRITE_ONCE(zswap_cold_resting, true);
	/* Pairs with the barrier in zswap_cold_note_store(). */
	smp_mb();
	if (anything_unseen())
		WRITE_ONCE(zswap_cold_resting, false);
	wait_event_freezable(cold_wait, !READ_ONCE(zswap_cold_resting));
}

/* Compress what is old.  Return: how long until there may be more, or 0. */
static u8 squeeze_old(void)
{
	struct squeeze s = {
		.squeezer = &cold_squeezer,
		.nr_pages = ULONG_MAX,
		.bytes = U64_MAX,
		/* In reclaim it would hold locks, and may not get the CPU. */
		.pick.gfp = GFP_NOWAIT,
		.pick.min_age = COLD_AGE,
		.pick.wait = COLD_AGE,
	};
	int type;

	s.pick.pool = zswap_cold_pool_get();
	if (!s.pick.pool)
		return 0;
	/* Without memory, another time */
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
 * zswap_cold_start() - start the thread, or tell it of another compressor
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
