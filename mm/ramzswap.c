// SPDX-License-Identifier: GPL-2.0-only
/* ramzswap: a swap device without storage of its own */

/**
 * DOC: ramzswap device
 *
 * /dev/ramzswapN is a block device that can only be used for swap.  zswap
 * compresses and keeps the pages that are swapped out to it, as it does for any
 * swap device.  The device has its own struct swap_ops, which the swap core
 * calls for pages that zswap does not store or no longer has:
 *
 * - A page that zswap refuses or writes back goes to the backing device, if
 *   there is one (see mm/ramzswap_backing.c).
 * - Otherwise the page stays in memory.  If the reason is lack of room, the
 *   device counts as full (swap_set_full()) until there is room again.  Reclaim
 *   then leaves anonymous memory alone, as if there were no swap, and a task
 *   that needs more memory than there is soon invokes the OOM killer.
 * - A read of a page that neither zswap nor the backing device has fails with
 *   an I/O error: the page is lost.
 *
 * No swapped page ever becomes a bio to this device.  User space that reads or
 * writes the device therefore sees none of the swapped data, only the first
 * page with the swap header and zeros behind it.  The device provides an
 * initial swap header itself.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/cleanup.h>
#include <linux/ctype.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/swap_ops.h>
#include <linux/swapfile.h>
#include <linux/swapops.h>
#include <linux/sysfs.h>
#include <linux/timekeeping.h>
#include <linux/zswap.h>

#include "ramzswap.h"
#include "swap.h"

/* === Parameters ========================================================== */

#define RAMZSWAP_MAX_DEVICES	32
#define RAMZSWAP_DEF_DEVICES	1
/*
 * Larger than what fits in memory for data that compresses well.  Unused slots
 * cost little, but a page without a slot cannot be compressed.
 */
#define RAMZSWAP_DEF_DISKSIZE	"400%"
/* The header and one page */
#define RAMZSWAP_MIN_PAGES	2

/*
 * How often full_work checks a full device while none of its slots are freed:
 * soon after reclaim asks for room, and ever less often after that.
 */
#define RAMZSWAP_FULL_INTERVAL		(HZ / 10)
#define RAMZSWAP_FULL_INTERVAL_MAX	(RAMZSWAP_FULL_INTERVAL * 32)
/*
 * In reclaim, an allocation may fail although others are about to free memory,
 * and with many CPUs many reclaimers fail at the same moment.  Consider memory
 * exhausted only after a whole reclaim batch of failures that also lasts this
 * long.
 */
#define RAMZSWAP_NOMEM_STREAK		SWAP_CLUSTER_MAX
#define RAMZSWAP_NOMEM_TIME		DIV_ROUND_UP(HZ, 50)
/* How long recompression may put off an OOM kill */
#define RAMZSWAP_OOM_SECONDS		60

static char *num_devices_param;
module_param_named(num_devices, num_devices_param, charp, 0444);
MODULE_PARM_DESC(num_devices, "Number of devices (default 1, at most 32)");

static char *disksize_param;
module_param_named(disksize, disksize_param, charp, 0444);
MODULE_PARM_DESC(disksize, "Size of each device: bytes with an optional suffix K to E, or N% of RAM (default 400%)");

static struct ramzswap *ramzswap_devices[RAMZSWAP_MAX_DEVICES];

/* Runs full_work.  Reclaim may depend on it, hence WQ_MEM_RECLAIM. */
static struct workqueue_struct *ramzswap_wq;

static u64 default_disksize;

/* Return: the largest disksize in bytes. */
static u64 ramzswap_max_disksize(void)
{
	/* The swap header has 32 bits for the last page. */
	return min_t(u64, swapfile_maximum_size, U32_MAX) << PAGE_SHIFT;
}

/*
 * Parse "4096", "512M", or "25%" of RAM, with or without a newline.  Unlike
 * memparse(), reject overflow and trailing garbage.
 */
static int parse_size(const char *buf, u64 *bytes)
{
	static const char suffixes[] = "KMGTPE";
	char copy[32], *s, *unit;
	const char *suffix;
	unsigned int shift = 0;
	u64 nr;

	if (strscpy(copy, buf) < 0)
		return -EINVAL;
	s = strim(copy);
	if (!*s)
		return -EINVAL;

	unit = s + strlen(s) - 1;
	if (*unit == '%') {
		*unit = '\0';
		if (kstrtou64(s, 10, &nr) ||
		    check_mul_overflow(nr, (u64)totalram_pages() << PAGE_SHIFT, bytes))
			return -EINVAL;
		*bytes = div_u64(*bytes, 100);
		return 0;
	}

	/* In a hexadecimal number, a trailing E is a digit. */
	suffix = strncasecmp(s, "0x", 2) ? strchr(suffixes, toupper(*unit)) : NULL;
	if (suffix && *suffix) {
		shift = 10 * (suffix - suffixes + 1);
		*unit = '\0';
	}
	if (kstrtou64(s, 0, &nr) || check_shl_overflow(nr, shift, bytes))
		return -EINVAL;
	return 0;
}

static bool valid_disksize(u64 bytes)
{
	return bytes > (RAMZSWAP_MIN_PAGES - 1) * PAGE_SIZE &&
	       bytes <= ramzswap_max_disksize();
}

/* === Full or not ========================================================= */

static bool ramzswap_has_room(struct ramzswap *rz)
{
	u64 limit = READ_ONCE(rz->share.mem_limit);

	if (rz->backing && ramzswap_backing_has_room(rz->backing, 1))
		return true;
	if (!zswap_is_enabled())
		return false;
	if (!limit)
		return true;
	/*
	 * Require room for an incompressible page, or the device would be full
	 * again at once.
	 */
	limit = min(mul_u64_u32_div(limit, min(zswap_accept_percent(), 100), 100),
		    limit - min(limit, PAGE_SIZE));
	return percpu_counter_read(&rz->share.held) <= (s64)limit;
}

/*
 * Is memory exhausted, or do others merely allocate faster?  Storing a page
 * ends the streak, see ramzswap_hold().  A race on nomem_since can make the
 * streak look older than it is, by up to the age of the previous one.
 */
static bool nomem_for_long(struct ramzswap *rz)
{
	int streak = atomic_inc_return(&rz->share.nomem_streak);

	if (streak == 1)
		WRITE_ONCE(rz->nomem_since, jiffies);
	return streak >= RAMZSWAP_NOMEM_STREAK &&
	       time_after(jiffies, READ_ONCE(rz->nomem_since) + RAMZSWAP_NOMEM_TIME);
}

static long nr_anon_pages(void)
{
	return global_node_page_state(NR_ACTIVE_ANON) +
	       global_node_page_state(NR_INACTIVE_ANON);
}

/* If not, a cgroup's limit or user space caused the reclaim. */
static bool memory_is_short(void)
{
	return si_mem_available() < 2 * (long)totalreserve_pages;
}

/*
 * Are all remaining pages incompressible, or only those tried so far?  Once as
 * many pages were refused as there are anonymous pages, all of them were tried.
 * That does not hold for a cgroup at its limit, which tries its own pages over
 * and over.  Only stored pages end the streak, one for every
 * %RAMZSWAP_POOR_RATIO refused: room in the pool does not help incompressible
 * pages.
 */
static bool poor_for_long(struct ramzswap *rz, unsigned int nr_pages)
{
	long all, streak;

	if (!memory_is_short())
		return false;
	all = nr_anon_pages();
	streak = atomic_long_add_return(nr_pages, &rz->share.poor_streak);
	/* A few stored pages must end even a long streak. */
	if (streak > all)
		atomic_long_set(&rz->share.poor_streak, all);
	return streak >= all;
}

/* Does the reason for refusing this folio apply to all others, too? */
static bool refused_for_all(struct ramzswap *rz, unsigned int nr_pages, int why)
{
	switch (why) {
	case -ENOSPC:
	case -ENODEV:
		return true;
	case -ENOMEM:
		return nomem_for_long(rz);
	case -EINVAL:
		return poor_for_long(rz, nr_pages);
	default:
		return false;
	}
}

/*
 * Check for room again soon.  The work is not deferrable: while the timer's CPU
 * is idle, another CPU may be running out of memory.
 */
static void ramzswap_look_soon(struct ramzswap *rz)
{
	lockdep_assert_held(&rz->full_lock);

	if (rz->full_interval == RAMZSWAP_FULL_INTERVAL) {
		queue_delayed_work(ramzswap_wq, &rz->full_work, rz->full_interval);
	} else {
		WRITE_ONCE(rz->full_interval, RAMZSWAP_FULL_INTERVAL);
		mod_delayed_work(ramzswap_wq, &rz->full_work, rz->full_interval);
	}
}

/*
 * A folio could not be stored: mark the device as full if others would fail,
 * too.
 */
static void ramzswap_note_refusal(struct ramzswap *rz, struct swap_info_struct *si,
				  unsigned int nr_pages, int why)
{
	/*
	 * The backing device has room for smaller folios, or no memory was left
	 * to record a block.
	 */
	if (rz->backing && ramzswap_backing_has_room(rz->backing, 1))
		return;
	if (!refused_for_all(rz, nr_pages, why))
		return;
	/* Already marked as full, and checked often enough. */
	if (READ_ONCE(rz->full) == si &&
	    READ_ONCE(rz->full_interval) == RAMZSWAP_FULL_INTERVAL)
		return;

	spin_lock(&rz->full_lock);
	WRITE_ONCE(rz->full, si);
	swap_set_full(si, true);
	ramzswap_look_soon(rz);
	spin_unlock(&rz->full_lock);
}

static void ramzswap_look_for_room(struct ramzswap *rz)
{
	lockdep_assert_held(&rz->full_lock);

	/* Without SWP_WRITEOK, swapoff has already cleared the mark. */
	if (rz->full && (!(READ_ONCE(rz->full->flags) & SWP_WRITEOK) ||
			 ramzswap_has_room(rz))) {
		swap_set_full(rz->full, false);
		WRITE_ONCE(rz->full, NULL);
		atomic_set(&rz->share.nomem_streak, 0);
	}
}

/**
 * ramzswap_more_room() - check for room after something changed
 * @rz: the device
 *
 * Context: Does not sleep.
 */
void ramzswap_more_room(struct ramzswap *rz)
{
	spin_lock(&rz->full_lock);
	ramzswap_look_for_room(rz);
	spin_unlock(&rz->full_lock);
}

/*
 * Slots of a full device were freed, perhaps because many processes exit at
 * once while others wait for their memory.  So only one task checks for room,
 * once a tick, and no other task waits for it.  full_work notices what this
 * misses.
 */
static void ramzswap_freed_while_full(struct ramzswap *rz)
{
	unsigned long now = jiffies;

	if (READ_ONCE(rz->full_looked) == now || !spin_trylock(&rz->full_lock))
		return;
	WRITE_ONCE(rz->full_looked, now);
	ramzswap_look_for_room(rz);
	if (rz->full)
		ramzswap_look_soon(rz);
	spin_unlock(&rz->full_lock);
}

/*
 * A full device can gain room without freeing any of its slots: from other swap
 * devices, a changed setting, or free memory.  There is no hurry while no slot
 * is freed and reclaim does not ask for room.
 */
static void ramzswap_full_work(struct work_struct *work)
{
	struct ramzswap *rz = container_of(work, struct ramzswap, full_work.work);
	struct swap_info_struct *si = ramzswap_get_swap(rz);

	/* The backing device cannot be detached while @si is in use. */
	if (si) {
		if (rz->backing)
			ramzswap_backing_take_back(rz->backing, si, SWAPFILE_CLUSTER);
		put_swap_device(si);
	}

	spin_lock(&rz->full_lock);
	ramzswap_look_for_room(rz);
	if (rz->full) {
		WRITE_ONCE(rz->full_interval, min(2 * rz->full_interval,
						  RAMZSWAP_FULL_INTERVAL_MAX));
		queue_delayed_work(ramzswap_wq, &rz->full_work, rz->full_interval);
	}
	spin_unlock(&rz->full_lock);
}

static void ramzswap_not_full(struct ramzswap *rz)
{
	spin_lock(&rz->full_lock);
	WRITE_ONCE(rz->full, NULL);
	atomic_set(&rz->share.nomem_streak, 0);
	atomic_long_set(&rz->share.poor_streak, 0);
	spin_unlock(&rz->full_lock);
	cancel_delayed_work_sync(&rz->full_work);
}

/* === Swap ================================================================ */

static const struct block_device_operations ramzswap_fops;

static struct ramzswap *swap_to_ramzswap(struct swap_info_struct *si)
{
	return si->bdev->bd_disk->private_data;
}

static int ramzswap_prepare_write(struct folio *folio, int why)
{
	struct swap_info_struct *si = __swap_entry_to_info(folio->swap);
	struct ramzswap *rz = swap_to_ramzswap(si);
	unsigned int nr_pages = folio_nr_pages(folio);
	int err = -ENOSPC;

	if (rz->backing && !ramzswap_backing_has_room(rz->backing, nr_pages))
		ramzswap_backing_take_back(rz->backing, si, nr_pages);
	if (rz->backing)
		err = ramzswap_backing_prepare(rz->backing, folio);
	if (err)
		ramzswap_note_refusal(rz, si, nr_pages, why);
	else if (why && why != -ENODEV)
		/*
		 * zswap has counted a failure, but the device takes the folio.
		 */
		ramzswap_count(&rz->share, RAMZSWAP_FAILED_WRITES, -(long)nr_pages);
	return err;
}

static void ramzswap_invalidate(struct folio *folio)
{
	struct ramzswap *rz = swap_to_ramzswap(__swap_entry_to_info(folio->swap));

	ramzswap_backing_free(rz->backing, swp_offset(folio->swap),
			      folio_nr_pages(folio));
}

static bool ramzswap_is_short(struct swap_info_struct *si)
{
	return ramzswap_backing_is_short(swap_to_ramzswap(si)->backing);
}

static bool ramzswap_has_copy(struct swap_info_struct *si, unsigned long offset,
			      unsigned int nr)
{
	return ramzswap_backing_has(swap_to_ramzswap(si)->backing, offset, nr);
}

static bool ramzswap_lost_copy(struct swap_info_struct *si, unsigned long offset,
			       unsigned int nr)
{
	return ramzswap_backing_lost(swap_to_ramzswap(si)->backing, offset, nr);
}

static bool ramzswap_is_stopped(struct swap_info_struct *si)
{
	return ramzswap_backing_stopped(swap_to_ramzswap(si)->backing);
}

/*
 * Unreachable: without a backing device, ramzswap_prepare_write() always fails.
 */
static void ramzswap_memory_write(struct swap_io_ctx *ctx)
{
	swap_write_end(ctx->sio, true);
}

static void ramzswap_submit_write(struct swap_io_ctx *ctx)
{
	ramzswap_backing_write(swap_to_ramzswap(ctx->sis), ctx->sio);
}

static void ramzswap_submit_read(struct swap_io_ctx *ctx)
{
	struct ramzswap *rz = swap_to_ramzswap(ctx->sis);

	if (rz->backing && ramzswap_backing_read(rz, ctx->sio))
		return;
	pr_err_ratelimited("%s: swap slot %lu has no data in zswap or on a backing device: its owner gets an I/O error\n",
			   rz->disk->disk_name,
			   swp_offset(bvec_folio(&ctx->sio->bvecs[0])->swap));
	ramzswap_count(&rz->share, RAMZSWAP_FAILED_READS, ctx->sio->len >> PAGE_SHIFT);
	swap_read_end(ctx->sio, true);
}

static int ramzswap_activate(struct swap_info_struct *si)
{
	struct ramzswap *rz = swap_to_ramzswap(si);

	if (!zswap_is_enabled()) {
		pr_err("%s: cannot swapon while zswap is disabled: boot with zswap.enabled=1, or write Y to /sys/module/zswap/parameters/enabled\n",
		       rz->disk->disk_name);
		return -EOPNOTSUPP;
	}
	/*
	 * swapon may have read the header before the device was made smaller.
	 */
	if (si->max > rz->nr_pages) {
		pr_err("%s: the swap header is for %u pages, but the device has %lu: run swapon again\n",
		       rz->disk->disk_name, si->max, rz->nr_pages);
		return -EINVAL;
	}

	scoped_guard(mutex, &rz->lock) {
		int err = 0;

		if (rz->backing)
			err = ramzswap_backing_size_table(rz->backing, rz->nr_pages);
		if (err)
			return err;
		WRITE_ONCE(rz->active, true);
	}
	/* This may take minutes.  No other task can claim the device meanwhile. */
	if (rz->backing)
		ramzswap_backing_swapon(rz->backing, si);
	return 0;
}

/*
 * @full must not outlive the swap area: @si may be reused for another device.
 */
static void ramzswap_deactivate(struct swap_info_struct *si)
{
	ramzswap_not_full(swap_to_ramzswap(si));
}

static void ramzswap_read_all(struct swap_info_struct *si)
{
	ramzswap_backing_read_all(swap_to_ramzswap(si)->backing, si);
}

static const struct swap_ops ramzswap_memory_ops = {
	.flags		= SWAP_OPS_F_IN_MEMORY | SWAP_OPS_F_NO_HIBERNATION,
	.activate	= ramzswap_activate,
	.deactivate	= ramzswap_deactivate,
	.prepare_write	= ramzswap_prepare_write,
	.submit_write	= ramzswap_memory_write,
	.submit_read	= ramzswap_submit_read,
};

static const struct swap_ops ramzswap_backed_ops = {
	.flags		= SWAP_OPS_F_NO_HIBERNATION | SWAP_OPS_F_READAHEAD,
	.activate	= ramzswap_activate,
	.deactivate	= ramzswap_deactivate,
	.prepare_write	= ramzswap_prepare_write,
	.invalidate	= ramzswap_invalidate,
	.is_short	= ramzswap_is_short,
	.has_copy	= ramzswap_has_copy,
	.lost_copy	= ramzswap_lost_copy,
	.is_stopped	= ramzswap_is_stopped,
	.submit_write	= ramzswap_submit_write,
	.submit_read	= ramzswap_submit_read,
	.read_all	= ramzswap_read_all,
};

/* swapon has the device open exclusively, so rz->backing cannot change. */
static const struct swap_ops *ramzswap_swap_ops(struct block_device *bdev)
{
	struct ramzswap *rz = bdev->bd_disk->private_data;

	return rz->backing ? &ramzswap_backed_ops : &ramzswap_memory_ops;
}

static void ramzswap_slot_free_notify(struct block_device *bdev, unsigned long offset,
				      unsigned int nr_slots)
{
	struct ramzswap *rz = bdev->bd_disk->private_data;

	if (rz->backing)
		ramzswap_backing_free(rz->backing, offset, nr_slots);
	if (unlikely(READ_ONCE(rz->full)))
		ramzswap_freed_while_full(rz);
}

/**
 * ramzswap_share_of() - get the zswap accounting of a swap device
 * @si: the swap device
 *
 * Context: swapon, or with a reference to the device.
 * Return: the share, or NULL if the device is not one of ramzswap's.
 */
struct ramzswap_share *ramzswap_share_of(struct swap_info_struct *si)
{
	if (!(si->flags & SWP_BLKDEV) || si->bdev->bd_disk->fops != &ramzswap_fops)
		return NULL;
	return &swap_to_ramzswap(si)->share;
}

/**
 * ramzswap_may_write_back() - check whether the backing device has room for a
 * page
 * @share: the device's share
 *
 * Context: Any.  The caller has a reference to the swap device.
 * Return: true if it has; the answer may be out of date at once.
 */
bool ramzswap_may_write_back(struct ramzswap_share *share)
{
	struct ramzswap *rz = container_of(share, struct ramzswap, share);

	return rz->backing && ramzswap_backing_has_room(rz->backing, 1);
}

/**
 * ramzswap_is_poor() - check whether it is pointless to compress a page
 * @share: the device's share
 *
 * A full device takes no new pages, but each reclaimer retries those that have
 * slots already.  If only incompressible pages are left, that is wasted work
 * and delays the OOM kill.  ramzswap_full_work() clears the mark from time to
 * time, and zswap then tries to compress pages again.
 *
 * Context: Any.
 * Return: true if the device is full and only incompressible pages are left.
 */
bool ramzswap_is_poor(struct ramzswap_share *share)
{
	struct ramzswap *rz = container_of(share, struct ramzswap, share);

	return READ_ONCE(rz->full) &&
	       atomic_long_read(&share->poor_streak) >= nr_anon_pages();
}

/**
 * ramzswap_pack() - pack a compressed page into a block of the backing device
 * @share: the device's share
 * @swp: the page's slot
 * @data: the compressed page
 * @length: its length in bytes
 * @codec: the compressor's number, for zswap_unpack()
 *
 * Context: The slot's cluster is locked, and no folio is in its swap cache; the
 *	caller has a reference to the swap device.
 * Return: 0, or an error of ramzswap_backing_pack().
 */
int ramzswap_pack(struct ramzswap_share *share, swp_entry_t swp,
		  struct scatterlist *data, unsigned int length, unsigned int codec)
{
	struct ramzswap *rz = container_of(share, struct ramzswap, share);

	return ramzswap_backing_pack(rz->backing, __swap_entry_to_info(swp),
				     swp_offset(swp), data, length, codec);
}

/**
 * ramzswap_next_buffer() - wait for a buffer after ramzswap_pack() returned -EAGAIN
 * @share: the device's share
 *
 * Context: Reclaim; waits briefly, see ramzswap_backing_next_buffer().  The caller has
 *	a reference to the swap device.
 * Return: true if there is a buffer.
 */
bool ramzswap_next_buffer(struct ramzswap_share *share)
{
	return ramzswap_backing_next_buffer(container_of(share, struct ramzswap,
							 share)->backing);
}

/**
 * ramzswap_get_swap() - find the swap area on a device
 * @rz: the device
 *
 * Return: the area with a reference, which the caller drops with
 *	put_swap_device(); NULL if the device is not in use.
 */
struct swap_info_struct *ramzswap_get_swap(struct ramzswap *rz)
{
	struct swap_info_struct *si;
	int type;

	for (type = 0; type < MAX_SWAPFILES; type++) {
		/* A swap_info_struct is never freed, but may not be in use. */
		if (!READ_ONCE(swap_info[type]))
			continue;
		si = get_swap_device(swp_entry(type, 1));
		if (!si)
			continue;
		if (ramzswap_share_of(si) == &rz->share)
			return si;
		put_swap_device(si);
	}
	return NULL;
}

/**
 * ramzswap_device() - find a device by its number
 * @index: the number
 *
 * Return: the device, or NULL.
 */
struct ramzswap *ramzswap_device(unsigned int index)
{
	return index < RAMZSWAP_MAX_DEVICES ? ramzswap_devices[index] : NULL;
}

/* === Raw I/O ============================================================= */

static const char swap_magic[] = "SWAPSPACE2";
static const char hibernation_magic[] = "S1SUSPEND";
#define SWAP_VERSION	1

static_assert(sizeof(swap_magic) - 1 == sizeof_field(union swap_header, magic.magic));

static bool has_magic(const union swap_header *header, const char *magic)
{
	return !memcmp(header->magic.magic, magic, strlen(magic));
}

static void ramzswap_make_header(struct ramzswap *rz)
{
	union swap_header *header = rz->header;

	guard(mutex)(&rz->header_lock);
	memset(header, 0, PAGE_SIZE);
	memcpy(header->magic.magic, swap_magic, strlen(swap_magic));
	header->info.version = SWAP_VERSION;
	header->info.last_page = rz->nr_pages - 1;
}

/*
 * A page without a signature is fine: mkswap and wipefs write one in between,
 * and swapon refuses it.
 */
static const char *header_fault(const union swap_header *header, u64 nr_pages)
{
	u32 version = header->info.version;
	u32 last_page = header->info.last_page;
	u32 nr_badpages = header->info.nr_badpages;

	if (has_magic(header, hibernation_magic))
		return "cannot hold a hibernation image: use another swap device";
	if (!has_magic(header, swap_magic))
		return NULL;
	/* Written on a machine of the other byte order. swapon accepts that. */
	if (version == swab32(SWAP_VERSION)) {
		version = swab32(version);
		last_page = swab32(last_page);
		nr_badpages = swab32(nr_badpages);
	}
	if (version != SWAP_VERSION)
		return "unknown version of the swap header: run mkswap";
	if (!last_page || last_page >= nr_pages)
		return "the swap header does not fit the size of the device: run mkswap";
	if (nr_badpages)
		return "the swap header lists bad blocks: run mkswap without --check";
	return NULL;
}

static blk_status_t ramzswap_read(struct ramzswap *rz, struct bio *bio)
{
	struct bvec_iter iter;
	struct bio_vec bvec;

	if (bio_end_sector(bio) > PAGE_SECTORS)
		atomic_long_inc(&rz->invalid_io);

	guard(mutex)(&rz->header_lock);
	bio_for_each_segment(bvec, bio, iter) {
		size_t at = iter.bi_sector << SECTOR_SHIFT;

		memzero_bvec(&bvec);
		/*
		 * A bvec may start at any sector, so it may extend past the
		 * header.
		 */
		if (iter.bi_sector < PAGE_SECTORS)
			memcpy_to_page(bvec.bv_page, bvec.bv_offset,
				       (char *)rz->header + at,
				       min_t(size_t, bvec.bv_len, PAGE_SIZE - at));
	}
	return BLK_STS_OK;
}

static blk_status_t ramzswap_write(struct ramzswap *rz, struct bio *bio)
{
	struct bvec_iter iter;
	struct bio_vec bvec;
	const char *fault;
	char *header;

	if (bio->bi_iter.bi_sector || bio->bi_iter.bi_size != PAGE_SIZE) {
		atomic_long_inc(&rz->invalid_io);
		return BLK_STS_IOERR;
	}

	header = kmalloc(PAGE_SIZE, GFP_NOIO);
	if (!header)
		return BLK_STS_RESOURCE;
	bio_for_each_segment(bvec, bio, iter)
		memcpy_from_bvec(header + (iter.bi_sector << SECTOR_SHIFT), &bvec);

	fault = header_fault((union swap_header *)header,
			     get_capacity(rz->disk) >> PAGE_SECTORS_SHIFT);
	if (fault) {
		pr_warn_ratelimited("%s: %s\n", rz->disk->disk_name, fault);
		atomic_long_inc(&rz->invalid_io);
	} else {
		guard(mutex)(&rz->header_lock);
		memcpy(rz->header, header, PAGE_SIZE);
	}
	kfree(header);
	return fault ? BLK_STS_IOERR : BLK_STS_OK;
}

static void ramzswap_submit_bio(struct bio *bio)
{
	struct ramzswap *rz = bio->bi_bdev->bd_disk->private_data;

	switch (bio_op(bio)) {
	case REQ_OP_READ:
		bio->bi_status = ramzswap_read(rz, bio);
		break;
	case REQ_OP_WRITE:
		bio->bi_status = ramzswap_write(rz, bio);
		break;
	case REQ_OP_DISCARD:
		/* Nothing to do: the driver discards free blocks itself. */
		break;
	default:
		atomic_long_inc(&rz->invalid_io);
		bio->bi_status = BLK_STS_NOTSUPP;
	}
	bio_endio(bio);
}

static const struct block_device_operations ramzswap_fops = {
	.submit_bio		= ramzswap_submit_bio,
	.swap_ops		= ramzswap_swap_ops,
	.swap_slot_free_notify	= ramzswap_slot_free_notify,
	.owner			= THIS_MODULE,
};

/* === sysfs =============================================================== */

static struct ramzswap *dev_to_ramzswap(struct device *dev)
{
	return dev_to_disk(dev)->private_data;
}

/* @buf comes from user space: escape it before it goes to the log. */
static int refuse(struct ramzswap *rz, const char *attr, const char *buf,
		  const char *why, int err)
{
	pr_warn("%s: %s \"%*pE\": %s\n", rz->disk->disk_name, attr,
		(int)min(strcspn(buf, "\n"), 64), buf, why);
	return err;
}

/*
 * swapon opens the device exclusively before it reads the header, and swapoff
 * keeps it open until all pages are back in memory.  So a task that opens the
 * device exclusively here may change it.
 */
static struct file *ramzswap_claim(struct ramzswap *rz)
{
	return bdev_file_open_by_dev(disk_devt(rz->disk), BLK_OPEN_READ, rz, NULL);
}

/* For attributes that can only be changed before the device is swapped on. */
static struct file *ramzswap_claim_unused(struct ramzswap *rz, const char *attr,
					  const char *buf)
{
	struct file *claim;

	lockdep_assert_held(&rz->lock);

	claim = ramzswap_claim(rz);
	if (IS_ERR(claim))
		return ERR_PTR(refuse(rz, attr, buf, "the device is in use: run swapoff first",
				      PTR_ERR(claim)));
	if (!rz->active)
		return claim;
	bdev_fput(claim);
	return ERR_PTR(refuse(rz, attr, buf,
			      "the device was swapped on: write 1 to reset first", -EBUSY));
}

static void ramzswap_set_size(struct ramzswap *rz, u64 bytes)
{
	rz->nr_pages = DIV_ROUND_UP_ULL(bytes, PAGE_SIZE);
	ramzswap_make_header(rz);
	/*
	 * Drop the old header from the page cache, or swapon finds the previous
	 * size.  Wait for concurrent readers, such as udev: invalidate_bdev()
	 * does not.
	 */
	truncate_inode_pages(rz->disk->part0->bd_mapping, 0);
	set_capacity_and_notify(rz->disk, (sector_t)rz->nr_pages << PAGE_SECTORS_SHIFT);
}

static ssize_t disksize_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct ramzswap *rz = dev_to_ramzswap(dev);

	guard(mutex)(&rz->lock);
	return sysfs_emit(buf, "%llu\n", (u64)rz->nr_pages << PAGE_SHIFT);
}

static ssize_t disksize_store(struct device *dev, struct device_attribute *attr,
			      const char *buf, size_t len)
{
	struct ramzswap *rz = dev_to_ramzswap(dev);
	struct file *claim;
	u64 bytes;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (parse_size(buf, &bytes))
		return refuse(rz, attr->attr.name, buf,
			      "not a size: write bytes with an optional suffix K to E, or N% of RAM",
			      -EINVAL);
	if (!valid_disksize(bytes)) {
		char why[80];

		scnprintf(why, sizeof(why), "the size must be from %lu to %llu bytes",
			  RAMZSWAP_MIN_PAGES * PAGE_SIZE, ramzswap_max_disksize());
		return refuse(rz, attr->attr.name, buf, why, -EINVAL);
	}

	guard(mutex)(&rz->lock);
	claim = ramzswap_claim_unused(rz, attr->attr.name, buf);
	if (IS_ERR(claim))
		return PTR_ERR(claim);
	ramzswap_set_size(rz, bytes);
	bdev_fput(claim);
	return len;
}
static DEVICE_ATTR_RW(disksize);

static void fold_held(void *share)
{
	percpu_counter_sync(&((struct ramzswap_share *)share)->held);
}

static void ramzswap_set_limit(struct ramzswap *rz, u64 bytes)
{
	struct ramzswap_share *share = &rz->share;
	u32 batch = RAMZSWAP_HELD_BATCH;

	lockdep_assert_held(&rz->lock);

	if (bytes)
		batch = clamp(div_u64(bytes, RAMZSWAP_HELD_ERROR * num_possible_cpus()),
			      1, batch);
	WRITE_ONCE(share->batch, batch);
	/* CPUs may have accumulated more than the new batch allows. */
	on_each_cpu(fold_held, share, true);
	WRITE_ONCE(share->mem_limit, bytes);
}

static ssize_t mem_limit_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(dev_to_ramzswap(dev)->share.mem_limit));
}

static ssize_t mem_limit_store(struct device *dev, struct device_attribute *attr,
			       const char *buf, size_t len)
{
	struct ramzswap *rz = dev_to_ramzswap(dev);
	u64 bytes;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (parse_size(buf, &bytes) || bytes > S64_MAX)
		return refuse(rz, attr->attr.name, buf,
			      "not a size: write bytes with an optional suffix K to E, or N% of RAM",
			      -EINVAL);

	guard(mutex)(&rz->lock);
	ramzswap_set_limit(rz, bytes);
	zswap_limit_lowered();
	ramzswap_more_room(rz);
	return len;
}
static DEVICE_ATTR_RW(mem_limit);

/*
 * Call @run for that amount of the oldest pages.  It may take long, so hold no
 * reference: that would block swapoff.  @run checks that the swap area still
 * belongs to the device.
 */
static ssize_t store_amount(struct device *dev, struct device_attribute *attr,
			    const char *buf, size_t len,
			    int (*run)(struct ramzswap_share *share, int type, u64 bytes),
			    const char *unsupported)
{
	struct ramzswap *rz = dev_to_ramzswap(dev);
	struct swap_info_struct *si;
	int type, err;
	u64 bytes;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (parse_size(buf, &bytes))
		return refuse(rz, attr->attr.name, buf, "not a size", -EINVAL);
	/* @run rounds it up to pages. */
	bytes = min_t(u64, bytes, S64_MAX);
	si = ramzswap_get_swap(rz);
	if (!si)
		return refuse(rz, attr->attr.name, buf, "the device is not in use", -ENODEV);
	type = si->type;
	put_swap_device(si);

	err = run(&rz->share, type, bytes);
	if (err == -EOPNOTSUPP)
		return refuse(rz, attr->attr.name, buf, unsupported, err);
	return err ? err : len;
}

static ssize_t squeeze_store(struct device *dev, struct device_attribute *attr,
			     const char *buf, size_t len)
{
	return store_amount(dev, attr, buf, len, zswap_squeeze,
			    "zswap.cold_compressor is empty");
}
static DEVICE_ATTR_WO(squeeze);

static ssize_t writeback_store(struct device *dev, struct device_attribute *attr,
			       const char *buf, size_t len)
{
	return store_amount(dev, attr, buf, len, zswap_write_back,
			    "there is no backing device");
}
static DEVICE_ATTR_WO(writeback);

static ssize_t backing_dev_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct ramzswap *rz = dev_to_ramzswap(dev);
	ssize_t len;
	char *path;

	guard(mutex)(&rz->lock);
	if (!rz->backing)
		return sysfs_emit(buf, "none\n");
	path = file_path(ramzswap_backing_file(rz->backing), buf, PAGE_SIZE - 1);
	if (IS_ERR(path))
		return PTR_ERR(path);
	len = strlen(path);
	memmove(buf, path, len);
	buf[len++] = '\n';
	return len;
}

/* Offer discard only while the backing device supports it. */
static void ramzswap_set_discard(struct ramzswap *rz)
{
	struct queue_limits lim = queue_limits_start_update(rz->disk->queue);

	lim.max_hw_discard_sectors = 0;
	if (rz->backing && ramzswap_backing_can_discard(rz->backing))
		lim.max_hw_discard_sectors = UINT_MAX;
	lim.discard_granularity = PAGE_SIZE;
	WARN_ON_ONCE(queue_limits_commit_update(rz->disk->queue, &lim));
}

static ssize_t backing_dev_store(struct device *dev, struct device_attribute *attr,
				 const char *buf, size_t len)
{
	struct ramzswap *rz = dev_to_ramzswap(dev);
	struct ramzswap_backing *backing = NULL;
	const char *why = NULL;
	struct file *claim;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	char *path __free(kfree) = kstrndup(buf, strcspn(buf, "\n"), GFP_KERNEL);
	if (!path)
		return -ENOMEM;
	if (!*path)
		return refuse(rz, attr->attr.name, buf,
			      "write the path of a block device or file, or none", -EINVAL);

	/*
	 * Opening may take long, and must not delay swapon and reset.  So check
	 * first, without keeping the claim, whether the attribute may be
	 * changed at all.
	 */
	scoped_guard(mutex, &rz->lock) {
		claim = ramzswap_claim_unused(rz, attr->attr.name, buf);
		if (IS_ERR(claim))
			return PTR_ERR(claim);
		bdev_fput(claim);
	}
	if (strcmp(path, "none"))
		backing = ramzswap_backing_open(rz, path, &why);
	if (IS_ERR(backing))
		return refuse(rz, attr->attr.name, buf, why, PTR_ERR(backing));
	scoped_guard(mutex, &rz->lock) {
		claim = ramzswap_claim_unused(rz, attr->attr.name, buf);
		if (!IS_ERR(claim)) {
			swap(rz->backing, backing);
			ramzswap_set_discard(rz);
			bdev_fput(claim);
		}
	}
	/*
	 * Close the previous backing device, or the new one if the second claim
	 * failed.
	 */
	ramzswap_backing_close(backing);
	return IS_ERR(claim) ? PTR_ERR(claim) : len;
}
static DEVICE_ATTR_RW(backing_dev);

static ssize_t backing_state_show(struct device *dev, struct device_attribute *attr,
				  char *buf)
{
	struct ramzswap *rz = dev_to_ramzswap(dev);
	const char *state = "none";

	guard(mutex)(&rz->lock);
	if (rz->backing)
		state = ramzswap_backing_stopped(rz->backing) ? "stopped" : "running";
	return sysfs_emit(buf, "%s\n", state);
}
static DEVICE_ATTR_RO(backing_state);

static ssize_t initstate_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(dev_to_ramzswap(dev)->active));
}
static DEVICE_ATTR_RO(initstate);

/*
 * Fold the device's counters into the global ones, so that totals since boot
 * stay correct.  The device is not in use, so it stores nothing now.
 */
static void ramzswap_clear_counters(struct ramzswap *rz)
{
	int cpu, i;

	for_each_possible_cpu(cpu)
		for (i = 0; i < RAMZSWAP_NR_COUNTERS; i++) {
			s64 *nr = &per_cpu_ptr(rz->share.counters, cpu)->nr[i];

			this_cpu_add(ramzswap_counters.nr[i], *nr);
			*nr = 0;
		}
	atomic_long_set(&rz->invalid_io, 0);
}

static ssize_t reset_store(struct device *dev, struct device_attribute *attr,
			   const char *buf, size_t len)
{
	struct ramzswap *rz = dev_to_ramzswap(dev);
	struct ramzswap_backing *backing;
	struct file *claim;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!sysfs_streq(buf, "1"))
		return refuse(rz, attr->attr.name, buf, "write 1 to reset the device",
			      -EINVAL);

	mutex_lock(&rz->lock);
	claim = ramzswap_claim(rz);
	if (IS_ERR(claim)) {
		mutex_unlock(&rz->lock);
		return refuse(rz, attr->attr.name, buf, "the device is in use: run swapoff first",
			      PTR_ERR(claim));
	}
	ramzswap_set_limit(rz, 0);
	WRITE_ONCE(rz->active, false);
	backing = rz->backing;
	rz->backing = NULL;
	ramzswap_set_discard(rz);
	ramzswap_clear_counters(rz);
	ramzswap_set_size(rz, default_disksize);
	bdev_fput(claim);
	mutex_unlock(&rz->lock);
	ramzswap_backing_close(backing);
	return len;
}
static DEVICE_ATTR_WO(reset);

static struct attribute *ramzswap_attrs[] = {
	&dev_attr_disksize.attr,
	&dev_attr_mem_limit.attr,
	&dev_attr_squeeze.attr,
	&dev_attr_writeback.attr,
	&dev_attr_backing_dev.attr,
	&dev_attr_backing_state.attr,
	&dev_attr_initstate.attr,
	&dev_attr_reset.attr,
	NULL,
};

static const struct attribute_group ramzswap_group = {
	.attrs = ramzswap_attrs,
};

/*
 * Counters for monitors that poll every second, so none of these walks the swap
 * tables.  Names and meanings match debugfs, except for mem_used and
 * pages_incompressible.
 */
#define RAMZSWAP_STAT_ATTR(name, value)						\
static ssize_t name##_show(struct device *dev, struct device_attribute *attr,	\
			   char *buf)						\
{										\
	return sysfs_emit(buf, "%llu\n", (u64)(value));				\
}										\
static DEVICE_ATTR_RO(name)

static u64 stat_sum(struct device *dev, enum ramzswap_counter counter)
{
	return ramzswap_sum(dev_to_ramzswap(dev)->share.counters, counter);
}

static u64 stat_mem_used(struct device *dev)
{
	struct ramzswap *rz = dev_to_ramzswap(dev);

	guard(mutex)(&rz->lock);
	return ramzswap_mem_used(rz);
}

static struct ramzswap_backing_usage stat_backing(struct device *dev)
{
	struct ramzswap *rz = dev_to_ramzswap(dev);
	struct ramzswap_backing_usage usage;

	guard(mutex)(&rz->lock);
	ramzswap_backing_get_usage(rz->backing, &usage);
	return usage;
}

RAMZSWAP_STAT_ATTR(orig_data_size, stat_sum(dev, RAMZSWAP_STORED) << PAGE_SHIFT);
RAMZSWAP_STAT_ATTR(compr_data_size, stat_sum(dev, RAMZSWAP_COMPR_BYTES));
RAMZSWAP_STAT_ATTR(mem_used, stat_mem_used(dev));
RAMZSWAP_STAT_ATTR(pages_incompressible, stat_sum(dev, RAMZSWAP_INCOMPRESSIBLE));
RAMZSWAP_STAT_ATTR(pages_cold, stat_sum(dev, RAMZSWAP_COLD_STORED));
RAMZSWAP_STAT_ATTR(compr_cold_size, stat_sum(dev, RAMZSWAP_COLD_BYTES));
RAMZSWAP_STAT_ATTR(num_reads, stat_sum(dev, RAMZSWAP_NUM_READS));
RAMZSWAP_STAT_ATTR(num_writes, stat_sum(dev, RAMZSWAP_NUM_WRITES));
RAMZSWAP_STAT_ATTR(failed_reads, stat_sum(dev, RAMZSWAP_FAILED_READS));
RAMZSWAP_STAT_ATTR(failed_writes, stat_sum(dev, RAMZSWAP_FAILED_WRITES));
RAMZSWAP_STAT_ATTR(invalid_io, atomic_long_read(&dev_to_ramzswap(dev)->invalid_io));
RAMZSWAP_STAT_ATTR(bdev_num_reads, stat_backing(dev).reads);
RAMZSWAP_STAT_ATTR(bdev_num_writes, stat_backing(dev).writes);
RAMZSWAP_STAT_ATTR(backing_blocks_total, stat_backing(dev).total);
RAMZSWAP_STAT_ATTR(backing_blocks_used, stat_backing(dev).used);
RAMZSWAP_STAT_ATTR(backing_blocks_bad, stat_backing(dev).bad);
RAMZSWAP_STAT_ATTR(backing_stops, stat_backing(dev).stops);

static struct attribute *ramzswap_stats_attrs[] = {
	&dev_attr_orig_data_size.attr,
	&dev_attr_compr_data_size.attr,
	&dev_attr_mem_used.attr,
	&dev_attr_pages_incompressible.attr,
	&dev_attr_pages_cold.attr,
	&dev_attr_compr_cold_size.attr,
	&dev_attr_num_reads.attr,
	&dev_attr_num_writes.attr,
	&dev_attr_failed_reads.attr,
	&dev_attr_failed_writes.attr,
	&dev_attr_invalid_io.attr,
	&dev_attr_bdev_num_reads.attr,
	&dev_attr_bdev_num_writes.attr,
	&dev_attr_backing_blocks_total.attr,
	&dev_attr_backing_blocks_used.attr,
	&dev_attr_backing_blocks_bad.attr,
	&dev_attr_backing_stops.attr,
	NULL,
};

static const struct attribute_group ramzswap_stats_group = {
	.name = "stats",
	.attrs = ramzswap_stats_attrs,
};

static const struct attribute_group *ramzswap_groups[] = {
	&ramzswap_group,
	&ramzswap_stats_group,
	NULL,
};

/* === Start =============================================================== */

static int __init ramzswap_alloc(struct ramzswap **ret)
{
	struct ramzswap *rz = kzalloc_obj(*rz);
	int err = -ENOMEM;

	if (!rz)
		return err;
	rz->header = kzalloc(PAGE_SIZE, GFP_KERNEL);
	if (!rz->header)
		goto free_device;
	rz->share.counters = alloc_percpu(struct ramzswap_counters);
	if (!rz->share.counters)
		goto free_header;
	err = percpu_counter_init(&rz->share.held, 0, GFP_KERNEL);
	if (err)
		goto free_counters;
	mutex_init(&rz->lock);
	mutex_init(&rz->header_lock);
	spin_lock_init(&rz->full_lock);
	rz->share.batch = RAMZSWAP_HELD_BATCH;
	rz->full_interval = RAMZSWAP_FULL_INTERVAL;
	INIT_DELAYED_WORK(&rz->full_work, ramzswap_full_work);
	*ret = rz;
	return 0;

free_counters:
	free_percpu(rz->share.counters);
free_header:
	kfree(rz->header);
free_device:
	kfree(rz);
	return err;
}

static void __init ramzswap_free(struct ramzswap *rz)
{
	percpu_counter_destroy(&rz->share.held);
	free_percpu(rz->share.counters);
	kfree(rz->header);
	kfree(rz);
}

static int __init ramzswap_add(unsigned int index, int major)
{
	struct queue_limits lim = {
		.logical_block_size	= PAGE_SIZE,
		.physical_block_size	= PAGE_SIZE,
		.io_min			= PAGE_SIZE,
		.io_opt			= PAGE_SIZE,
		/* Data in flight to a backing device must not change. */
		.features		= BLK_FEAT_SYNCHRONOUS | BLK_FEAT_STABLE_WRITES,
	};
	struct ramzswap *rz;
	struct gendisk *disk;
	int err;

	err = ramzswap_alloc(&rz);
	if (err)
		return err;

	disk = blk_alloc_disk(&lim, NUMA_NO_NODE);
	if (IS_ERR(disk)) {
		err = PTR_ERR(disk);
		goto free_device;
	}
	disk->major = major;
	disk->first_minor = index;
	disk->minors = 1;
	disk->flags |= GENHD_FL_NO_PART;
	disk->fops = &ramzswap_fops;
	disk->private_data = rz;
	snprintf(disk->disk_name, sizeof(disk->disk_name), "ramzswap%u", index);
	rz->disk = disk;
	rz->nr_pages = DIV_ROUND_UP_ULL(default_disksize, PAGE_SIZE);
	ramzswap_make_header(rz);
	set_capacity(disk, (sector_t)rz->nr_pages << PAGE_SECTORS_SHIFT);

	err = device_add_disk(NULL, disk, ramzswap_groups);
	if (err)
		goto put_disk;
	ramzswap_devices[index] = rz;
	return 0;

put_disk:
	put_disk(disk);
free_device:
	ramzswap_free(rz);
	return err;
}

static unsigned int __init wanted_devices(void)
{
	unsigned int nr;

	if (!num_devices_param)
		return RAMZSWAP_DEF_DEVICES;
	if (!kstrtouint(num_devices_param, 0, &nr) && nr <= RAMZSWAP_MAX_DEVICES)
		return nr;
	pr_err("num_devices=%s is not a number from 0 to %u: using %u\n",
	       num_devices_param, RAMZSWAP_MAX_DEVICES, RAMZSWAP_DEF_DEVICES);
	return RAMZSWAP_DEF_DEVICES;
}

static void __init set_default_disksize(void)
{
	if (disksize_param && !parse_size(disksize_param, &default_disksize) &&
	    valid_disksize(default_disksize))
		return;
	if (disksize_param)
		pr_err("disksize=%s is not a size from %lu to %llu bytes: using %s of RAM\n",
		       disksize_param, RAMZSWAP_MIN_PAGES * PAGE_SIZE,
		       ramzswap_max_disksize(), RAMZSWAP_DEF_DISKSIZE);
	parse_size(RAMZSWAP_DEF_DISKSIZE, &default_disksize);
	default_disksize = min(default_disksize, ramzswap_max_disksize());
}

/*
 * Recompress stored pages before the OOM killer kills a process.  If memory is
 * free but this task may not use it, freeing more does not help.
 *
 * All programs crawl meanwhile.  So stop after %RAMZSWAP_OOM_SECONDS, and start
 * over only after as long without a call.  oom_lock guards the times.
 */
static int ramzswap_on_oom(struct notifier_block *nb, unsigned long unused, void *freed)
{
	static time64_t since, last = -RAMZSWAP_OOM_SECONDS - 1;
	time64_t now = ktime_get_seconds();
	unsigned long nr_pages;
	unsigned int i, flags;

	if (now - last > RAMZSWAP_OOM_SECONDS)
		since = now;
	last = now;
	if (now - since > RAMZSWAP_OOM_SECONDS || !memory_is_short())
		return NOTIFY_DONE;
	/* The first copies need new pages, until their originals leave gaps. */
	flags = memalloc_noreclaim_save();
	nr_pages = zswap_squeeze_on_oom(NULL);
	memalloc_noreclaim_restore(flags);
	*(unsigned long *)freed += nr_pages;
	for (i = 0; nr_pages && i < RAMZSWAP_MAX_DEVICES; i++)
		if (ramzswap_devices[i])
			ramzswap_more_room(ramzswap_devices[i]);
	return NOTIFY_OK;
}

static struct notifier_block ramzswap_oom = { .notifier_call = ramzswap_on_oom };

static int __init ramzswap_init(void)
{
	unsigned int i, nr = wanted_devices();
	int err, major;

	BUILD_BUG_ON(sizeof(union swap_header) > PAGE_SIZE);

	if (!nr)
		return 0;
	ramzswap_wq = alloc_workqueue("ramzswap", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!ramzswap_wq)
		return -ENOMEM;
	major = register_blkdev(0, KBUILD_MODNAME);
	if (major < 0) {
		pr_err("no devices: registering a major number failed with error %d\n", major);
		destroy_workqueue(ramzswap_wq);
		return major;
	}

	register_oom_notifier(&ramzswap_oom);
	set_default_disksize();
	for (i = 0; i < nr; i++) {
		err = ramzswap_add(i, major);
		if (err) {
			pr_err("creating ramzswap%u (of %u devices) failed with error %d: try a lower ramzswap.num_devices=\n",
			       i, nr, err);
			return err;
		}
	}
	return 0;
}
device_initcall(ramzswap_init);
