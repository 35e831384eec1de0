// SPDX-License-Identifier: GPL-2.0-only
/*
 * ramzswap: the backing device, where pages go that do not stay in memory
 */

/**
 * DOC: ramzswap backing device
 *
 * A page that zswap writes back, or does not take, goes to a block of the
 * backing device.  The block is chosen when the page is written, and not when
 * its slot is: what is in memory takes no block, and what is written at the same
 * time is next to each other wherever the slots are.  Blocks have the size of a
 * page, and are handed out in increasing order, around the device.
 *
 * Where a slot's page is, is in a table of block numbers, of which only those
 * parts exist that tell of a page: one page of memory for each
 * %BLOCKS_PER_CHUNK adjacent slots.  These are allocated while memory is short,
 * so there is a reserve of them.
 *
 * A slot has a block from ramzswap_backing_prepare() until its page is swapped
 * out anew, or its slot is freed, or writing has failed.  A block that could not
 * be written is not used again.
 *
 * Block 0 is not used.  It says "none" in the table, and on the device it keeps
 * what tells others what the device is for.
 *
 * A regular file is activated as a swap file would be: its file system tells
 * where its blocks are, and leaves them there and alone until it is closed.
 */

#define pr_fmt(fmt) "ramzswap: " fmt

#include <linux/bio.h>
#include <linux/bitmap.h>
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mempool.h>
#include <linux/pagemap.h>
#include <linux/rbtree.h>
#include <linux/slab.h>
#include <linux/swap_ops.h>
#include <linux/swapops.h>

#include "ramzswap.h"
#include "swap.h"

#define BLOCKS_PER_CHUNK	(PAGE_SIZE / sizeof(u32))
/* Enough to write tens of thousands of pages with no memory at all. */
#define CHUNK_RESERVE		16

/* Full groups of blocks are skipped without a look at their bits. */
#define BLOCKS_PER_GROUP	4096UL

/* How many runs of free blocks are looked at to find one that is long enough */
#define RUNS_TO_TRY		32

struct ramzswap_chunk {
	u32 *block;		/* BLOCKS_PER_CHUNK of them, or NULL: none */
	unsigned int nr;	/* how many are not 0 */
};

/* Adjacent blocks that are adjacent on the disk as well */
struct ramzswap_extent {
	unsigned long first;
	sector_t sector;
};

/**
 * struct ramzswap_backing - a backing device
 * @file: holds it open exclusively
 * @closed: whether nobody else can write to it
 * @sis: the swap file, NULL for a block device.  It is in nobody's list; it is
 *	what file systems know
 * @extents: where the blocks are, in the order of the blocks
 * @nr_extents: their number
 * @bdev: where the I/O goes
 * @nr_blocks: its size, with block 0
 * @pool: where chunks' memory is from
 * @chunks: the table, by slot
 * @nr_chunks: its size
 * @lock: guards all below and @chunks' contents; a leaf, also taken in
 *	interrupts
 * @used: a bit for each block
 * @group_used: how many are set in each group
 * @next: where to look for a free block
 * @nr_used: blocks that have a page
 * @nr_bad: blocks that could not be written; they are set in @used
 * @reads: pages read
 * @writes: pages written
 * @write_ios: I/O requests for that
 */
struct ramzswap_backing {
	struct file *file;
	bool closed;
	struct swap_info_struct *sis;
	struct ramzswap_extent *extents;
	unsigned int nr_extents;
	struct block_device *bdev;
	unsigned long nr_blocks;
	mempool_t *pool;
	struct ramzswap_chunk *chunks;
	unsigned long nr_chunks;

	spinlock_t lock;	/* see above */
	unsigned long *used;
	unsigned short *group_used;
	unsigned long next;
	unsigned long nr_used;
	unsigned long nr_bad;

	atomic_long_t reads;
	atomic_long_t writes;
	atomic_long_t write_ios;
};

/* === Blocks ============================================================== */

static unsigned long group_size(struct ramzswap_backing *b, unsigned long group)
{
	return min(BLOCKS_PER_GROUP, b->nr_blocks - group * BLOCKS_PER_GROUP);
}

static void set_block(struct ramzswap_backing *b, unsigned long block)
{
	__set_bit(block, b->used);
	b->group_used[block / BLOCKS_PER_GROUP]++;
}

static void clear_block(struct ramzswap_backing *b, unsigned long block)
{
	__clear_bit(block, b->used);
	b->group_used[block / BLOCKS_PER_GROUP]--;
}

/* Return: the first free block from @from to the end, or nr_blocks. */
static unsigned long find_free(struct ramzswap_backing *b, unsigned long from)
{
	while (from < b->nr_blocks) {
		unsigned long group = from / BLOCKS_PER_GROUP;
		unsigned long end = group * BLOCKS_PER_GROUP + group_size(b, group);
		unsigned long block;

		if (b->group_used[group] < group_size(b, group)) {
			block = find_next_zero_bit(b->used, end, from);
			if (block < end)
				return block;
		}
		from = end;
	}
	return b->nr_blocks;
}

/*
 * Find up to @want adjacent free blocks, from @next on around the device; all
 * of them if a few attempts find them, otherwise as many as were found.
 * Return: the first; @got says how many.  There are free blocks.
 */
static unsigned long find_run(struct ramzswap_backing *b, unsigned int want,
			      unsigned int *got)
{
	unsigned long from = b->next, best = 0;
	unsigned int best_len = 0, try;
	bool around = false;

	lockdep_assert_held(&b->lock);

	for (try = 0; try < RUNS_TO_TRY && best_len < want; try++) {
		unsigned long start = find_free(b, from), end;

		if (start == b->nr_blocks) {
			if (around)
				break;
			around = true;
			from = 1;
			continue;
		}
		end = find_next_bit(b->used, min(b->nr_blocks, start + want), start);
		if (end - start > best_len) {
			best = start;
			best_len = end - start;
		}
		from = end;
	}
	*got = best_len;
	return best;
}

/* === The table =========================================================== */

static struct ramzswap_chunk *slot_chunk(struct ramzswap_backing *b, unsigned long slot)
{
	return &b->chunks[slot / BLOCKS_PER_CHUNK];
}

/* Take a slot's block from it; the block stays used. */
static unsigned long unmap_slot(struct ramzswap_backing *b, unsigned long slot,
				u32 **unused)
{
	struct ramzswap_chunk *chunk = slot_chunk(b, slot);
	unsigned long block;

	lockdep_assert_held(&b->lock);

	if (!chunk->block)
		return 0;
	block = chunk->block[slot % BLOCKS_PER_CHUNK];
	if (!block)
		return 0;
	chunk->block[slot % BLOCKS_PER_CHUNK] = 0;
	b->nr_used--;
	if (!--chunk->nr) {
		*unused = chunk->block;
		WRITE_ONCE(chunk->block, NULL);
	}
	return block;
}

static void free_chunk(struct ramzswap_backing *b, u32 *block)
{
	if (block)
		mempool_free(virt_to_page(block), b->pool);
}

/**
 * ramzswap_backing_free() - free the blocks of adjacent slots
 * @b: the backing device
 * @slot: the first slot
 * @nr: number of slots, all of one swap cluster
 *
 * Context: Does not sleep.  Nobody uses the slots meanwhile: they are unused
 *	and their cluster is locked, or their folio is locked.
 */
void ramzswap_backing_free(struct ramzswap_backing *b, unsigned long slot,
			   unsigned int nr)
{
	u32 *unused = NULL;
	unsigned long flags;

	/* A cluster is in one chunk.  What is there of the slots is of the caller. */
	if (!READ_ONCE(slot_chunk(b, slot)->block))
		return;

	spin_lock_irqsave(&b->lock, flags);
	while (nr--) {
		unsigned long block = unmap_slot(b, slot++, &unused);

		if (block)
			clear_block(b, block);
	}
	spin_unlock_irqrestore(&b->lock, flags);
	free_chunk(b, unused);
}

/* Give a slot's block up for good: it cannot be written. */
static void retire_block(struct ramzswap_backing *b, unsigned long slot)
{
	u32 *unused = NULL;
	unsigned long flags;

	spin_lock_irqsave(&b->lock, flags);
	if (unmap_slot(b, slot, &unused))
		b->nr_bad++;
	spin_unlock_irqrestore(&b->lock, flags);
	free_chunk(b, unused);
}

static unsigned long slot_block(struct ramzswap_backing *b, unsigned long slot)
{
	struct ramzswap_chunk *chunk = slot_chunk(b, slot);
	unsigned long flags, block;

	spin_lock_irqsave(&b->lock, flags);
	block = chunk->block ? chunk->block[slot % BLOCKS_PER_CHUNK] : 0;
	spin_unlock_irqrestore(&b->lock, flags);
	return block;
}

/**
 * ramzswap_backing_prepare() - choose blocks for a folio
 * @b: the backing device
 * @folio: the folio, locked and in the swap cache; its slots have no blocks
 *
 * The blocks are adjacent if that is possible.
 *
 * Context: Does not wait for memory.
 * Return: 0, -ENOSPC if there are not enough free blocks, -ENOMEM.
 */
int ramzswap_backing_prepare(struct ramzswap_backing *b, struct folio *folio)
{
	unsigned long slot = swp_offset(folio->swap);
	struct ramzswap_chunk *chunk = slot_chunk(b, slot);
	unsigned int left = folio_nr_pages(folio);
	struct page *page = NULL;
	unsigned long flags;
	int ret = 0;

	VM_WARN_ON_ONCE(slot_chunk(b, slot + left - 1) != chunk);

	if (!READ_ONCE(chunk->block)) {
		/* As for a swap table: a page makes room for many. */
		page = mempool_alloc(b->pool, GFP_ATOMIC | __GFP_NOWARN);
		if (page)
			clear_page(page_address(page));
	}

	spin_lock_irqsave(&b->lock, flags);
	if (b->nr_blocks - 1 - b->nr_used - b->nr_bad < left) {
		ret = -ENOSPC;
		goto out;
	}
	if (!chunk->block) {
		if (!page) {
			ret = -ENOMEM;
			goto out;
		}
		WRITE_ONCE(chunk->block, page_address(page));
		page = NULL;
	}
	while (left) {
		unsigned long block;
		unsigned int got;

		block = find_run(b, left, &got);
		b->next = block + got;
		left -= got;
		b->nr_used += got;
		chunk->nr += got;
		while (got--) {
			set_block(b, block);
			chunk->block[slot++ % BLOCKS_PER_CHUNK] = block++;
		}
	}
out:
	spin_unlock_irqrestore(&b->lock, flags);
	if (page)
		mempool_free(page, b->pool);
	return ret;
}

/**
 * ramzswap_backing_has_room() - are there free blocks?
 * @b: the backing device
 * @nr: how many
 *
 * Context: Any.
 * Return: whether there are.
 */
bool ramzswap_backing_has_room(struct ramzswap_backing *b, unsigned int nr)
{
	return READ_ONCE(b->nr_used) + READ_ONCE(b->nr_bad) + nr < b->nr_blocks;
}

/* === I/O ================================================================= */

static sector_t block_sector(struct ramzswap_backing *b, unsigned long block)
{
	unsigned int low = 0, high = b->nr_extents;
	const struct ramzswap_extent *e;

	/* The last extent that does not begin after the block */
	while (high - low > 1) {
		unsigned int mid = low + (high - low) / 2;

		if (b->extents[mid].first <= block)
			low = mid;
		else
			high = mid;
	}
	e = &b->extents[low];
	return e->sector + ((sector_t)(block - e->first) << PAGE_SECTORS_SHIFT);
}

static struct ramzswap *sio_to_ramzswap(struct swap_iocb *sio)
{
	swp_entry_t entry = bvec_folio(&sio->bvecs[0])->swap;

	return __swap_entry_to_info(entry)->bdev->bd_disk->private_data;
}

static void count_write(struct ramzswap *rz, unsigned int nr)
{
	atomic_long_inc(&rz->backing->write_ios);
	atomic_long_add(nr, &rz->backing->writes);
}

static void write_failed(struct ramzswap *rz, unsigned long slot, unsigned int nr)
{
	pr_err_ratelimited("%s: %u pages could not be written to block %lu of %pg, and stay in memory\n",
			   rz->disk->disk_name, nr, slot_block(rz->backing, slot),
			   rz->backing->bdev);
	ramzswap_count(&rz->share, RAMZSWAP_FAILED_WRITES, nr);
	while (nr--)
		retire_block(rz->backing, slot++);
}

static void read_failed(struct ramzswap *rz, unsigned long slot, unsigned int nr)
{
	pr_err_ratelimited("%s: %u pages could not be read from block %lu of %pg\n",
			   rz->disk->disk_name, nr, slot_block(rz->backing, slot),
			   rz->backing->bdev);
	ramzswap_count(&rz->share, RAMZSWAP_FAILED_READS, nr);
}

static void end_write(struct bio *bio)
{
	struct swap_iocb *sio = container_of(bio, struct swap_iocb, bio);
	struct folio *folio = bvec_folio(&sio->bvecs[0]);
	struct ramzswap *rz = sio_to_ramzswap(sio);
	bool failed = bio->bi_status;

	if (failed)
		write_failed(rz, swp_offset(folio->swap), folio_nr_pages(folio));
	else
		count_write(rz, folio_nr_pages(folio));
	bio_uninit(bio);
	/* From here on the device may be swapped off. */
	swap_write_end(sio, failed);
}

static void end_read(struct bio *bio)
{
	struct swap_iocb *sio = container_of(bio, struct swap_iocb, bio);
	struct folio *folio = bvec_folio(&sio->bvecs[0]);
	struct ramzswap *rz = sio_to_ramzswap(sio);
	bool failed = bio->bi_status;

	if (failed)
		read_failed(rz, swp_offset(folio->swap), folio_nr_pages(folio));
	else
		atomic_long_add(folio_nr_pages(folio), &rz->backing->reads);
	bio_uninit(bio);
	swap_read_end(sio, failed);
}

/*
 * Return: how many pages of a folio from @slot on are in adjacent sectors, 0 if
 * it has no block; @sector is the first.
 */
static unsigned int run_length(struct ramzswap_backing *b, unsigned long slot,
			       unsigned int max, sector_t *sector)
{
	unsigned long block = slot_block(b, slot);
	unsigned int nr = 1;

	if (!block)
		return 0;
	*sector = block_sector(b, block);
	while (nr < max && slot_block(b, slot + nr) == block + nr &&
	       block_sector(b, block + nr) ==
	       *sector + ((sector_t)nr << PAGE_SECTORS_SHIFT))
		nr++;
	return nr;
}

/* A folio in pieces, when the device is nearly full, or a file in pieces. */
static bool io_in_pieces(struct ramzswap *rz, struct folio *folio, blk_opf_t opf)
{
	unsigned long slot = swp_offset(folio->swap);
	unsigned int done = 0, nr_pages = folio_nr_pages(folio);
	struct ramzswap_backing *b = rz->backing;
	bool good = true;

	while (done < nr_pages) {
		struct bio_vec bvec;
		sector_t sector;
		unsigned int nr;
		struct bio bio;
		int err;

		nr = run_length(b, slot + done, nr_pages - done, &sector);
		if (!nr)
			return false;
		bvec_set_folio(&bvec, folio, (size_t)nr << PAGE_SHIFT,
			       (size_t)done << PAGE_SHIFT);
		bio_init(&bio, b->bdev, &bvec, 1, opf);
		bio.bi_iter.bi_size = bvec.bv_len;
		bio.bi_iter.bi_sector = sector;
		if (op_is_write(opf))
			bio_associate_blkg_from_page(&bio, folio);
		err = submit_bio_wait(&bio);
		bio_uninit(&bio);

		if (op_is_write(opf)) {
			if (err)
				write_failed(rz, slot + done, nr);
			else
				count_write(rz, nr);
		} else {
			if (err)
				read_failed(rz, slot + done, nr);
			else
				atomic_long_add(nr, &b->reads);
		}
		good &= !err;
		done += nr;
	}
	return good;
}

static void submit(struct ramzswap *rz, struct swap_iocb *sio, sector_t sector,
		   blk_opf_t opf, bio_end_io_t *end_io)
{
	struct bio *bio = &sio->bio;

	bio_init(bio, rz->backing->bdev, sio->bvecs, ARRAY_SIZE(sio->bvecs), opf);
	bio->bi_iter.bi_size = sio->len;
	bio->bi_iter.bi_sector = sector;
	if (op_is_write(opf))
		bio_associate_blkg_from_page(bio, bvec_folio(&sio->bvecs[0]));
	bio->bi_end_io = end_io;
	submit_bio(bio);
}

/**
 * ramzswap_backing_write() - write a folio to the blocks that were chosen for it
 * @rz: the device
 * @sio: the folio; ended by swap_write_end() when that is done
 *
 * Context: Reclaim; may wait for I/O.
 */
void ramzswap_backing_write(struct ramzswap *rz, struct swap_iocb *sio)
{
	struct folio *folio = bvec_folio(&sio->bvecs[0]);
	unsigned long slot = swp_offset(folio->swap);
	unsigned int nr = folio_nr_pages(folio);
	sector_t sector;
	bool good;

	VM_WARN_ON_ONCE(sio->nr_bvecs != 1);

	if (run_length(rz->backing, slot, nr, &sector) == nr) {
		submit(rz, sio, sector, REQ_OP_WRITE | REQ_SWAP, end_write);
		return;
	}
	good = io_in_pieces(rz, folio, REQ_OP_WRITE | REQ_SWAP);
	/* A folio is either on the device or in memory. */
	if (!good)
		ramzswap_backing_free(rz->backing, slot, nr);
	swap_write_end(sio, !good);
}

/**
 * ramzswap_backing_read() - read a folio
 * @rz: the device
 * @sio: the folio; ended by swap_read_end() when that is done
 *
 * Context: May wait for I/O.
 * Return: false if the backing device does not have it; @sio is not ended then.
 */
bool ramzswap_backing_read(struct ramzswap *rz, struct swap_iocb *sio)
{
	struct folio *folio = bvec_folio(&sio->bvecs[0]);
	unsigned long slot = swp_offset(folio->swap);
	unsigned int i, nr = folio_nr_pages(folio);
	sector_t sector;

	VM_WARN_ON_ONCE(sio->nr_bvecs != 1);

	for (i = 0; i < nr; i++)
		if (!slot_block(rz->backing, slot + i))
			return false;

	if (run_length(rz->backing, slot, nr, &sector) == nr)
		submit(rz, sio, sector, REQ_OP_READ, end_read);
	else
		swap_read_end(sio, !io_in_pieces(rz, folio, REQ_OP_READ));
	return true;
}

/* === Attaching it ======================================================== */

/**
 * ramzswap_backing_size_table() - make the table fit the device's slots
 * @b: the backing device, with all blocks free
 * @nr_pages: number of slots
 *
 * Context: May sleep.
 * Return: 0 or -ENOMEM.
 */
int ramzswap_backing_size_table(struct ramzswap_backing *b, unsigned long nr_pages)
{
	unsigned long nr = DIV_ROUND_UP(nr_pages, BLOCKS_PER_CHUNK);
	struct ramzswap_chunk *chunks;

	if (nr == b->nr_chunks)
		return 0;
	chunks = kvcalloc(nr, sizeof(*chunks), GFP_KERNEL);
	if (!chunks)
		return -ENOMEM;
	kvfree(b->chunks);
	b->chunks = chunks;
	b->nr_chunks = nr;
	return 0;
}

static const char *bdev_fault(struct block_device *bdev)
{
	if (bdev->bd_disk->fops->swap_ops)
		return "it keeps its pages in memory itself";
	if (bdev_is_zoned(bdev))
		return "zones cannot be written in any order";
	if (bdev_logical_block_size(bdev) > PAGE_SIZE)
		return "its blocks are larger than a page";
	if (bdev_nr_bytes(bdev) < 2 * PAGE_SIZE)
		return "it is too small";
	return NULL;
}

static int one_extent(struct ramzswap_backing *b)
{
	b->extents = kvcalloc(1, sizeof(*b->extents), GFP_KERNEL);
	b->nr_extents = 1;
	return b->extents ? 0 : -ENOMEM;
}

static int copy_extents(struct ramzswap_backing *b)
{
	struct swap_extent *se;
	unsigned int nr = 0;
	struct rb_node *rb;

	for (rb = rb_first(&b->sis->swap_extent_root); rb; rb = rb_next(rb))
		nr++;
	b->extents = kvcalloc(nr, sizeof(*b->extents), GFP_KERNEL);
	if (!b->extents)
		return -ENOMEM;
	for (rb = rb_first(&b->sis->swap_extent_root); rb; rb = rb_next(rb)) {
		struct ramzswap_extent *e = &b->extents[b->nr_extents++];

		se = rb_entry(rb, struct swap_extent, rb_node);
		e->first = se->start_page;
		e->sector = se->start_block << PAGE_SECTORS_SHIFT;
	}
	return 0;
}

/*
 * Nobody writes to it from now on, and what they have written before, whoever
 * has it open or mapped, is not for us.  The inode is locked.
 */
static int close_to_others(struct ramzswap_backing *b, struct inode *inode,
			   const char **why)
{
	int err;

	inode->i_flags |= S_SWAPFILE;
	*why = "what was written to it does not get to the disk";
	err = inode_drain_writes(inode);
	if (err)
		inode->i_flags &= ~S_SWAPFILE;
	else
		b->closed = true;
	return err;
}

static int activate_bdev(struct ramzswap_backing *b, const char **why)
{
	struct inode *inode = b->file->f_mapping->host;
	int err;

	b->bdev = I_BDEV(inode);
	*why = bdev_fault(b->bdev);
	if (*why)
		return -EINVAL;
	b->nr_blocks = min_t(u64, bdev_nr_bytes(b->bdev) >> PAGE_SHIFT, U32_MAX);
	/* Not a ramzswap device, whose inode swapon locks before its own lock. */
	inode_lock_nested(inode, I_MUTEX_CHILD);
	*why = "it is in use for swap already";
	err = IS_SWAPFILE(inode) ? -EBUSY : close_to_others(b, inode, why);
	inode_unlock(inode);
	if (err)
		return err;
	*why = "out of memory";
	return one_extent(b);
}

/* What swapon does with a file; the file system says in the log what is wrong. */
static int activate_file(struct ramzswap_backing *b, const char *path,
			 const char **why)
{
	struct inode *inode = b->file->f_mapping->host;
	struct swap_info_struct *sis;
	sector_t span;
	int err;

	*why = "out of memory";
	sis = kzalloc_obj(*sis);
	if (!sis)
		return -ENOMEM;
	sis->swap_extent_root = RB_ROOT;
	sis->max = min_t(u64, i_size_read(inode) >> PAGE_SHIFT, U32_MAX);
	b->sis = sis;

	*why = "it is too small";
	if (sis->max < 2)
		return -EINVAL;
	*why = "its file system does not take swap files";
	err = claim_swapfile(sis, inode);
	if (err)
		return err;

	inode_lock(inode);
	err = check_swapfile(b->file, path);
	if (err) {
		*why = "it is a swap file already, or cannot be one";
		goto unlock;
	}
	*why = "it cannot be a swap file, as it has holes for example";
	err = setup_swap_extents(sis, b->file, &span);
	if (err < 0)
		goto unlock;
	err = -EINVAL;
	if (sis->ops != &swap_bdev_ops || !sis->bdev) {
		*why = "its file system does not tell where its blocks are";
		goto unlock;
	}
	err = close_to_others(b, inode, why);
unlock:
	inode_unlock(inode);
	if (err)
		return err;

	b->bdev = sis->bdev;
	*why = bdev_fault(b->bdev);
	if (*why)
		return -EINVAL;
	b->nr_blocks = sis->max;
	*why = "out of memory";
	return copy_extents(b);
}

static void deactivate_file(struct ramzswap_backing *b)
{
	destroy_swap_extents(b->sis, b->file);
	kfree(b->sis);
}

static int alloc_blocks(struct ramzswap_backing *b)
{
	unsigned long groups = DIV_ROUND_UP(b->nr_blocks, BLOCKS_PER_GROUP);

	BUILD_BUG_ON(BLOCKS_PER_GROUP > USHRT_MAX);
	BUILD_BUG_ON(BLOCKS_PER_CHUNK % SWAPFILE_CLUSTER);

	b->used = kvcalloc(BITS_TO_LONGS(b->nr_blocks), sizeof(long), GFP_KERNEL);
	b->group_used = kvcalloc(groups, sizeof(*b->group_used), GFP_KERNEL);
	b->pool = mempool_create_page_pool(CHUNK_RESERVE, 0);
	if (!b->used || !b->group_used || !b->pool)
		return -ENOMEM;
	set_block(b, 0);
	b->next = 1;
	return 0;
}

/**
 * ramzswap_backing_open() - take a backing device into use
 * @path: its path, opened as the caller
 * @why: set to what is wrong with it
 *
 * It is a block device or a regular file.  What is on it will be overwritten,
 * but for the first block.
 *
 * Context: May sleep.
 * Return: the backing device or an ERR_PTR.
 */
struct ramzswap_backing *ramzswap_backing_open(const char *path, const char **why)
{
	struct ramzswap_backing *b;
	struct inode *inode;
	int err;

	*why = "out of memory";
	b = kzalloc_obj(*b);
	if (!b)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&b->lock);

	*why = "cannot be opened for nobody else to use";
	b->file = filp_open(path, O_RDWR | O_LARGEFILE | O_EXCL, 0);
	if (IS_ERR(b->file)) {
		err = PTR_ERR(b->file);
		b->file = NULL;
		goto fail;
	}
	inode = b->file->f_mapping->host;
	if (S_ISBLK(inode->i_mode)) {
		err = activate_bdev(b, why);
	} else if (S_ISREG(inode->i_mode)) {
		err = activate_file(b, path, why);
	} else {
		*why = "neither a block device nor a file";
		err = -ENOTBLK;
	}
	if (err)
		goto fail;

	*why = "out of memory";
	err = alloc_blocks(b);
	if (err)
		goto fail;
	*why = NULL;
	return b;
fail:
	ramzswap_backing_close(b);
	return ERR_PTR(err);
}

/**
 * ramzswap_backing_close() - give a backing device back
 * @b: the backing device, which has no pages; may be NULL
 *
 * Context: May sleep.
 */
void ramzswap_backing_close(struct ramzswap_backing *b)
{
	struct inode *inode;

	if (!b)
		return;
	WARN_ON_ONCE(b->nr_used);
	if (b->sis)
		deactivate_file(b);
	if (b->closed) {
		inode = b->file->f_mapping->host;
		inode_lock_nested(inode, I_MUTEX_CHILD);
		inode->i_flags &= ~S_SWAPFILE;
		inode_unlock(inode);
	}
	if (b->file)
		filp_close(b->file, NULL);
	kvfree(b->extents);
	mempool_destroy(b->pool);
	kvfree(b->chunks);
	kvfree(b->group_used);
	kvfree(b->used);
	kfree(b);
}

/**
 * ramzswap_backing_file() - what a backing device was opened as
 * @b: the backing device
 *
 * Return: the file.  It is the backing device's.
 */
struct file *ramzswap_backing_file(struct ramzswap_backing *b)
{
	return b->file;
}

/**
 * ramzswap_backing_get_usage() - say what is on a backing device
 * @b: the backing device; NULL for none
 * @usage: filled in
 *
 * Context: Any, with what keeps the backing device attached: the device's lock.
 */
void ramzswap_backing_get_usage(struct ramzswap_backing *b,
				struct ramzswap_backing_usage *usage)
{
	unsigned long i, flags;

	memset(usage, 0, sizeof(*usage));
	if (!b)
		return;
	spin_lock_irqsave(&b->lock, flags);
	usage->total = b->nr_blocks - 1;
	usage->used = b->nr_used;
	usage->bad = b->nr_bad;
	spin_unlock_irqrestore(&b->lock, flags);
	usage->reads = atomic_long_read(&b->reads);
	usage->writes = atomic_long_read(&b->writes);
	usage->write_ios = atomic_long_read(&b->write_ios);

	usage->meta_bytes = sizeof(*b) + CHUNK_RESERVE * PAGE_SIZE +
		BITS_TO_LONGS(b->nr_blocks) * sizeof(long) +
		DIV_ROUND_UP(b->nr_blocks, BLOCKS_PER_GROUP) * sizeof(*b->group_used) +
		b->nr_chunks * sizeof(*b->chunks) +
		b->nr_extents * sizeof(*b->extents);
	for (i = 0; i < b->nr_chunks; i++)
		if (READ_ONCE(b->chunks[i].block))
			usage->meta_bytes += PAGE_SIZE;
}
