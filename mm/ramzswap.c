// SPDX-License-Identifier: GPL-2.0-only
/*
 * ramzswap: a swap device without storage of its own
 */

/**
 * DOC: ramzswap device
 *
 * /dev/ramzswapN is a block device to swap to, and to nothing else.  What is
 * swapped out to it is compressed and kept by zswap, as for any swap device.
 * The device brings its own struct swap_ops, which the swap core turns to
 * where zswap does not have a page or does not take it:
 *
 * - A page that zswap does not take, or writes back, goes to the backing device
 *   if there is one, see mm/ramzswap_backing.c.
 * - Otherwise it stays in memory.  If that is because there is no room, the
 *   device counts as full (swap_set_full()) until there is: reclaim then leaves
 *   anonymous memory alone, as if there were no swap, and who wants more memory
 *   than there is gets to the out-of-memory killer soon.
 * - A page that is read and that neither zswap nor the backing device has is
 *   lost: whoever reads it gets an I/O error.
 *
 * As no page ever becomes a bio, what user space reads from and writes to the
 * device has nothing to do with what is swapped out.  It is the first page with
 * the swap header, which the device itself provides for a start, and zeros.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/cleanup.h>
#include <linux/ctype.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/swap_ops.h>
#include <linux/swapfile.h>
#include <linux/swapops.h>
#include <linux/sysfs.h>
#include <linux/zswap.h>

#include "ramzswap.h"
#include "swap.h"

/* === Parameters ========================================================== */

#define RAMZSWAP_MAX_DEVICES	32
#define RAMZSWAP_DEF_DEVICES	1
#define RAMZSWAP_DEF_DISKSIZE	"100%"
/* The header, and one page to swap to */
#define RAMZSWAP_MIN_PAGES	2

/* How often a full device is looked at, if nothing is freed meanwhile */
#define RAMZSWAP_FULL_INTERVAL	(HZ / 10)
/*
 * In reclaim memory may be short for a moment, as others are about to free
 * some.  It is gone when a whole batch of reclaim gets none.
 */
#define RAMZSWAP_NOMEM_STREAK	SWAP_CLUSTER_MAX

static char *num_devices_param;
module_param_named(num_devices, num_devices_param, charp, 0444);
MODULE_PARM_DESC(num_devices, "Number of devices (default 1, at most 32)");

static char *disksize_param;
module_param_named(disksize, disksize_param, charp, 0444);
MODULE_PARM_DESC(disksize, "Size of each device: bytes with an optional suffix K to E, or N% of RAM (default 100%)");

static struct ramzswap *ramzswap_devices[RAMZSWAP_MAX_DEVICES];
static u64 default_disksize;

/* In bytes. */
static u64 ramzswap_max_disksize(void)
{
	/* The swap header has 32 bits for the last page. */
	return min_t(u64, swapfile_maximum_size, U32_MAX) << PAGE_SHIFT;
}

/*
 * "4096", "512M", or "25%" of RAM, with a newline or not.  Unlike memparse()
 * this tells of overflow, and of what does not belong there.
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

	/* The last digit of a hexadecimal number may be an E. */
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

/* === Full, or not ======================================================== */

static bool ramzswap_has_room(struct ramzswap *rz)
{
	u64 limit = READ_ONCE(rz->share.mem_limit);

	if (rz->backing && ramzswap_backing_has_room(rz->backing, 1))
		return true;
	if (!zswap_has_room())
		return false;
	if (!limit)
		return true;
	/* There has to be room for any page, or it would be full again at once. */
	limit = min(mul_u64_u32_div(limit, min(zswap_accept_percent(), 100), 100),
		    limit - min(limit, PAGE_SIZE));
	return __percpu_counter_compare(&rz->share.held, limit,
					RAMZSWAP_HELD_BATCH) <= 0;
}

/* Is there no memory, or is it only that others are faster? */
static bool nomem_for_long(struct ramzswap *rz)
{
	unsigned long writes = ramzswap_sum(rz->share.counters, RAMZSWAP_NUM_WRITES);

	lockdep_assert_held(&rz->full_lock);

	if (writes != rz->nomem_writes)
		rz->nomem_streak = 0;
	rz->nomem_writes = writes;
	return ++rz->nomem_streak >= RAMZSWAP_NOMEM_STREAK;
}

/*
 * Not deferrable: while the CPU of the timer is idle, another one may be about
 * to run out of memory.
 */
static void ramzswap_look_later(struct ramzswap *rz)
{
	queue_delayed_work(system_power_efficient_wq, &rz->full_work,
			   RAMZSWAP_FULL_INTERVAL);
}

/* A folio could not be stored: does that say something about all others? */
static void ramzswap_note_refusal(struct ramzswap *rz, struct swap_info_struct *si,
				  unsigned int nr_pages, int why)
{
	bool full;

	/* It lacked memory to note a block. */
	if (rz->backing && ramzswap_backing_has_room(rz->backing, nr_pages))
		return;

	spin_lock(&rz->full_lock);
	full = why == -ENOSPC || why == -ENODEV ||
	       (why == -ENOMEM && nomem_for_long(rz));
	if (full) {
		WRITE_ONCE(rz->full, si);
		swap_set_full(si, true);
		ramzswap_look_later(rz);
	}
	spin_unlock(&rz->full_lock);
}

/* Return: whether the device is still full. */
static bool ramzswap_look_for_room(struct ramzswap *rz)
{
	bool full;

	spin_lock(&rz->full_lock);
	/* swapoff has ended it already. */
	if (rz->full && (!(READ_ONCE(rz->full->flags) & SWP_WRITEOK) ||
			 ramzswap_has_room(rz))) {
		swap_set_full(rz->full, false);
		WRITE_ONCE(rz->full, NULL);
		rz->nomem_streak = 0;
	}
	full = rz->full;
	spin_unlock(&rz->full_lock);
	return full;
}

/*
 * Room may come without any slot of the device being freed: from other swap
 * devices, from a setting that was changed, from free memory.
 */
static void ramzswap_full_work(struct work_struct *work)
{
	struct ramzswap *rz = container_of(work, struct ramzswap, full_work.work);

	if (ramzswap_look_for_room(rz))
		ramzswap_look_later(rz);
}

static void ramzswap_not_full(struct ramzswap *rz)
{
	spin_lock(&rz->full_lock);
	WRITE_ONCE(rz->full, NULL);
	rz->nomem_streak = 0;
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

	if (rz->backing && !ramzswap_backing_prepare(rz->backing, folio)) {
		/* zswap has failed, but the device has not. */
		if (why && why != -ENODEV)
			ramzswap_count(&rz->share, RAMZSWAP_FAILED_WRITES,
				       -folio_nr_pages(folio));
		return 0;
	}
	ramzswap_note_refusal(rz, si, folio_nr_pages(folio), why);
	return -ENOSPC;
}

static void ramzswap_invalidate(struct folio *folio)
{
	struct ramzswap *rz = swap_to_ramzswap(__swap_entry_to_info(folio->swap));

	ramzswap_backing_free(rz->backing, swp_offset(folio->swap),
			      folio_nr_pages(folio));
}

/* Not reached, as ramzswap_prepare_write() never agrees. */
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
	pr_err_ratelimited("%s: nothing is stored at offset %lu\n", rz->disk->disk_name,
			   swp_offset(bvec_folio(&ctx->sio->bvecs[0])->swap));
	ramzswap_count(&rz->share, RAMZSWAP_FAILED_READS, ctx->sio->len >> PAGE_SHIFT);
	swap_read_end(ctx->sio, true);
}

static bool ramzswap_can_merge(struct folio *folio, struct folio *prev_folio,
			       size_t prev_folio_size, int rw)
{
	return false;
}

static const struct swap_ops ramzswap_memory_ops = {
	.flags		= SWAP_OPS_F_IN_MEMORY | SWAP_OPS_F_NO_HIBERNATION,
	.prepare_write	= ramzswap_prepare_write,
	.can_merge	= ramzswap_can_merge,
	.submit_write	= ramzswap_memory_write,
	.submit_read	= ramzswap_submit_read,
};

static const struct swap_ops ramzswap_backed_ops = {
	.flags		= SWAP_OPS_F_NO_HIBERNATION | SWAP_OPS_F_READAHEAD,
	.prepare_write	= ramzswap_prepare_write,
	.invalidate	= ramzswap_invalidate,
	.can_merge	= ramzswap_can_merge,
	.submit_write	= ramzswap_submit_write,
	.submit_read	= ramzswap_submit_read,
};

/* The device is open exclusively, so nothing changes it meanwhile. */
static const struct swap_ops *ramzswap_swap_ops(struct block_device *bdev,
						unsigned long nr_pages)
{
	struct ramzswap *rz = bdev->bd_disk->private_data;

	if (!zswap_is_enabled()) {
		pr_err("%s: zswap is switched off; boot with zswap.enabled=1, or write Y to /sys/module/zswap/parameters/enabled\n",
		       bdev->bd_disk->disk_name);
		return ERR_PTR(-EPERM);
	}
	/* The header may have been read before the device was made smaller. */
	if (nr_pages > rz->nr_pages) {
		pr_err("%s: the swap header says %lu pages, the device has %lu\n",
		       bdev->bd_disk->disk_name, nr_pages, rz->nr_pages);
		return ERR_PTR(-EINVAL);
	}
	ramzswap_not_full(rz);

	guard(mutex)(&rz->lock);
	if (rz->backing) {
		int err = ramzswap_backing_size_table(rz->backing, rz->nr_pages);

		if (err)
			return ERR_PTR(err);
	}
	WRITE_ONCE(rz->active, true);
	return rz->backing ? &ramzswap_backed_ops : &ramzswap_memory_ops;
}

static void ramzswap_slot_free_notify(struct block_device *bdev, unsigned long offset,
				      unsigned int nr_slots)
{
	struct ramzswap *rz = bdev->bd_disk->private_data;

	if (rz->backing)
		ramzswap_backing_free(rz->backing, offset, nr_slots);
	if (unlikely(READ_ONCE(rz->full)))
		ramzswap_look_for_room(rz);
}

/**
 * ramzswap_share_of() - find what zswap has to account for a swap device
 * @si: the swap device
 *
 * Context: swapon, or with a reference to the device.
 * Return: the share; NULL if the device is not one of ramzswap's.
 */
struct ramzswap_share *ramzswap_share_of(struct swap_info_struct *si)
{
	if (!(si->flags & SWP_BLKDEV) || si->bdev->bd_disk->fops != &ramzswap_fops)
		return NULL;
	return &swap_to_ramzswap(si)->share;
}

/**
 * ramzswap_get_swap() - find the swap area on a device
 * @rz: the device
 *
 * Return: the area with a reference, for put_swap_device(); NULL if the device
 *	is not in use.
 */
struct swap_info_struct *ramzswap_get_swap(struct ramzswap *rz)
{
	struct swap_info_struct *si;
	int type;

	for (type = 0; type < MAX_SWAPFILES; type++) {
		/* Once there, it stays, but for its reference. */
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
 * ramzswap_device() - find a device
 * @index: its number
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
 * A page without a signature is what mkswap and wipefs leave on their way.
 * swapon would not take it.
 */
static const char *header_fault(const union swap_header *header, u64 nr_pages)
{
	u32 version = header->info.version;
	u32 last_page = header->info.last_page;
	u32 nr_badpages = header->info.nr_badpages;

	if (has_magic(header, hibernation_magic))
		return "the device cannot hold a hibernation image";
	if (!has_magic(header, swap_magic))
		return NULL;
	/* Of a machine with the other byte order; swapon takes that. */
	if (version == swab32(SWAP_VERSION)) {
		version = swab32(version);
		last_page = swab32(last_page);
		nr_badpages = swab32(nr_badpages);
	}
	if (version != SWAP_VERSION)
		return "the swap header's version is unknown";
	if (!last_page || last_page >= nr_pages)
		return "the swap header's size is not that of the device";
	if (nr_badpages)
		return "the swap header marks pages as bad, and there are none";
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
		/* It may end behind the header, as it may begin at any sector. */
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

/* @buf is what root has written: it goes to the log, but not as it is. */
static int refuse(struct ramzswap *rz, const char *attr, const char *buf,
		  const char *why, int err)
{
	pr_warn("%s: %s \"%*pE\": %s\n", rz->disk->disk_name, attr,
		(int)min(strcspn(buf, "\n"), 64), buf, why);
	return err;
}

/*
 * Swap has the device open exclusively from before it reads the header until
 * all is back in memory.  Whoever changes the device takes its place.
 */
static struct file *ramzswap_claim(struct ramzswap *rz)
{
	return bdev_file_open_by_dev(disk_devt(rz->disk), BLK_OPEN_READ, rz, NULL);
}

static void ramzswap_set_size(struct ramzswap *rz, u64 bytes)
{
	rz->nr_pages = DIV_ROUND_UP_ULL(bytes, PAGE_SIZE);
	ramzswap_make_header(rz);
	/* Whoever has the device open may have the old header in mind. */
	invalidate_bdev(rz->disk->part0);
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
	ssize_t ret = len;
	u64 bytes;

	if (parse_size(buf, &bytes))
		return refuse(rz, attr->attr.name, buf, "not a size", -EINVAL);
	if (!valid_disksize(bytes)) {
		char why[80];

		scnprintf(why, sizeof(why), "not from %lu to %llu bytes",
			  RAMZSWAP_MIN_PAGES * PAGE_SIZE, ramzswap_max_disksize());
		return refuse(rz, attr->attr.name, buf, why, -EINVAL);
	}

	guard(mutex)(&rz->lock);
	claim = ramzswap_claim(rz);
	if (IS_ERR(claim))
		return refuse(rz, attr->attr.name, buf, "the device is in use",
			      PTR_ERR(claim));
	if (rz->active)
		ret = refuse(rz, attr->attr.name, buf,
			     "the device was in use: reset it first", -EBUSY);
	else
		ramzswap_set_size(rz, bytes);
	bdev_fput(claim);
	return ret;
}
static DEVICE_ATTR_RW(disksize);

static ssize_t mem_limit_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(dev_to_ramzswap(dev)->share.mem_limit));
}

static ssize_t mem_limit_store(struct device *dev, struct device_attribute *attr,
			       const char *buf, size_t len)
{
	struct ramzswap *rz = dev_to_ramzswap(dev);
	u64 bytes;

	if (parse_size(buf, &bytes) || bytes > S64_MAX)
		return refuse(rz, attr->attr.name, buf, "not a size", -EINVAL);

	guard(mutex)(&rz->lock);
	WRITE_ONCE(rz->share.mem_limit, bytes);
	ramzswap_look_for_room(rz);
	return len;
}
static DEVICE_ATTR_RW(mem_limit);

static void ramzswap_set_backing(struct ramzswap *rz, struct ramzswap_backing *backing)
{
	ramzswap_backing_close(rz->backing);
	rz->backing = backing;
}

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

static ssize_t backing_dev_store(struct device *dev, struct device_attribute *attr,
				 const char *buf, size_t len)
{
	struct ramzswap *rz = dev_to_ramzswap(dev);
	struct ramzswap_backing *backing = NULL;
	const char *why = NULL;
	struct file *claim;
	ssize_t ret = len;

	char *path __free(kfree) = kstrndup(buf, strcspn(buf, "\n"), GFP_KERNEL);
	if (!path)
		return -ENOMEM;
	if (!*path)
		return refuse(rz, attr->attr.name, buf, "a path, or none", -EINVAL);

	guard(mutex)(&rz->lock);
	/* Held while the backing device is opened, so that it cannot be this one. */
	claim = ramzswap_claim(rz);
	if (IS_ERR(claim))
		return refuse(rz, attr->attr.name, buf, "the device is in use",
			      PTR_ERR(claim));
	if (rz->active) {
		ret = refuse(rz, attr->attr.name, buf,
			     "the device was in use: reset it first", -EBUSY);
		goto out;
	}
	if (strcmp(path, "none"))
		backing = ramzswap_backing_open(path, &why);
	if (IS_ERR(backing))
		ret = refuse(rz, attr->attr.name, buf, why, PTR_ERR(backing));
	else
		ramzswap_set_backing(rz, backing);
out:
	bdev_fput(claim);
	return ret;
}
static DEVICE_ATTR_RW(backing_dev);

static ssize_t initstate_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(dev_to_ramzswap(dev)->active));
}
static DEVICE_ATTR_RO(initstate);

/*
 * What was counted since boot stays in the sum of all devices; what is stored
 * now is nothing, as the device is not in use.
 */
static void ramzswap_clear_counters(struct ramzswap *rz)
{
	int cpu, i;

	for_each_possible_cpu(cpu)
		for (i = 0; i < RAMZSWAP_NR_COUNTERS; i++) {
			long *nr = &per_cpu_ptr(rz->share.counters, cpu)->nr[i];

			this_cpu_add(ramzswap_counters.nr[i], *nr);
			*nr = 0;
		}
	atomic_long_set(&rz->invalid_io, 0);
}

static ssize_t reset_store(struct device *dev, struct device_attribute *attr,
			   const char *buf, size_t len)
{
	struct ramzswap *rz = dev_to_ramzswap(dev);
	struct file *claim;

	if (!sysfs_streq(buf, "1"))
		return refuse(rz, attr->attr.name, buf, "write 1 to reset the device",
			      -EINVAL);

	guard(mutex)(&rz->lock);
	claim = ramzswap_claim(rz);
	if (IS_ERR(claim))
		return refuse(rz, attr->attr.name, buf, "the device is in use",
			      PTR_ERR(claim));
	ramzswap_not_full(rz);
	WRITE_ONCE(rz->share.mem_limit, 0);
	WRITE_ONCE(rz->active, false);
	ramzswap_set_backing(rz, NULL);
	ramzswap_clear_counters(rz);
	ramzswap_set_size(rz, default_disksize);
	bdev_fput(claim);
	return len;
}
static DEVICE_ATTR_WO(reset);

static struct attribute *ramzswap_attrs[] = {
	&dev_attr_disksize.attr,
	&dev_attr_mem_limit.attr,
	&dev_attr_backing_dev.attr,
	&dev_attr_initstate.attr,
	&dev_attr_reset.attr,
	NULL,
};
ATTRIBUTE_GROUPS(ramzswap);

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
		/* What is on its way to a backing device must not change. */
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
}

static int __init ramzswap_init(void)
{
	unsigned int i, nr = wanted_devices();
	int err, major;

	BUILD_BUG_ON(sizeof(union swap_header) > PAGE_SIZE);

	if (!nr)
		return 0;
	major = register_blkdev(0, KBUILD_MODNAME);
	if (major < 0) {
		pr_err("no major number: %d\n", major);
		return major;
	}

	set_default_disksize();
	for (i = 0; i < nr; i++) {
		err = ramzswap_add(i, major);
		if (err) {
			pr_err("device %u of %u could not be made: %d\n", i, nr, err);
			return err;
		}
	}
	return 0;
}
device_initcall(ramzswap_init);
