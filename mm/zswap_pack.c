// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zswap: compressed data goes to a backing device unchanged
 *
 * A ramzswap device packs the compressed data of several pages into one block of
 * its backing device.  When a page is read, its data is decompressed from the block.
 */

#include <linux/crypto.h>
#include <linux/memcontrol.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/swapops.h>
#include <linux/vmstat.h>
#include <linux/zbud.h>
#include <crypto/acompress.h>
#include "ramzswap.h"
#include "swap.h"
#include "swap_table.h"
#include "zswap_internal.h"

/*
 * The pools whose compressors made the pages on a backing device.  Each such page has
 * an index into this array.  There is at most one pool for each compressor, and the
 * pools stay until the device is swapped off.
 */
struct zswap_pool *zswap_codecs[MAX_SWAPFILES][ZSWAP_CODECS];

/* Return: the codec for zswap_unpack(), or -ENOSPC if there are too many. */
static int zswap_codec(int type, struct zswap_pool *pool)
{
	struct zswap_pool **codecs = zswap_codecs[type];
	unsigned int i;

	for (i = 0; i < ZSWAP_CODECS; i++) {
		if (READ_ONCE(codecs[i]) == pool)
			return i;
		if (READ_ONCE(codecs[i]))
			continue;
		zswap_pool_get(pool);
		if (!cmpxchg(&codecs[i], NULL, pool))
			return i;
		/* Another task was faster, maybe with the same pool. */
		zswap_pool_put(pool);
		i--;
	}
	return -ENOSPC;
}

/**
 * zswap_unpack() - decompress a page that ramzswap_pack() has packed
 * @type: the swap device
 * @codec: number of the compressor
 * @data: the compressed data, in lowmem
 * @length: its length in bytes
 * @folio: the page's folio, locked and in the swap cache
 *
 * Context: May sleep, but waits only for the compressor.
 * Return: true on success.
 */
bool zswap_unpack(int type, unsigned int codec, const void *data, unsigned int length,
		  struct folio *folio)
{
	struct zswap_pool *pool;
	struct crypto_acomp_ctx *acomp_ctx;
	struct scatterlist input, output;
	unsigned int dlen;
	int ret;

	pool = codec < ZSWAP_CODECS ? READ_ONCE(zswap_codecs[type][codec]) : NULL;
	if (!pool)
		return false;

	sg_init_one(&input, data, length);
	sg_init_table(&output, 1);
	sg_set_folio(&output, folio, PAGE_SIZE, 0);

	acomp_ctx = raw_cpu_ptr(pool->acomp_ctx);
	mutex_lock(&acomp_ctx->mutex);
	acomp_request_set_params(acomp_ctx->req, &input, &output, length, PAGE_SIZE);
	ret = crypto_wait_req(crypto_acomp_decompress(acomp_ctx->req), &acomp_ctx->wait);
	dlen = acomp_ctx->req->dlen;
	mutex_unlock(&acomp_ctx->mutex);

	if (!ret && dlen == PAGE_SIZE)
		return true;
	data_race(zswap_decompress_fail++);
	return false;
}

/**
 * zswap_written() - drop a page that has been written to a backing device
 * @swp: the slot, whose entry in zswap has not changed since
 *
 * Context: Does not sleep.  The slot's cluster is locked, and no folio is in its
 *	swap cache.
 */
void zswap_written(swp_entry_t swp)
{
	struct zswap_span *span = zswap_find(swp, NULL);

	if (WARN_ON_ONCE(!span))
		return;
	count_vm_event(ZSWPWB);
	count_vm_event(PSWPOUT);
	if (span->objcg) {
		count_objcg_events(span->objcg, ZSWPWB, 1);
		count_objcg_events(span->objcg, PSWPOUT, 1);
	}
	data_race(zswap_written_back_pages++);
	zswap_drop_range(swp, 1);
}

/**
 * zswap_pack_slot() - give the compressed data of a slot to its device, to be packed
 * @span: the span
 * @swp: the slot
 * @share: the device's counters, or NULL
 * @walk: goals and results
 *
 * Attempts to give the compressed data of a slot to a device that packs such data.
 * While the slot's cluster is locked, and no folio is in its swap cache, no other task
 * uses the slot; see zswap_range_stored().  The entry stays until the data has been
 * written: see zswap_written().
 *
 * The data counts as freed now: otherwise, every task that makes room would wait for
 * the I/O.  So memory.zswap.max and max_pool_percent may be exceeded by the data in
 * flight.  That is no more than the device's buffers hold, 1 MiB with pages of 4 KiB:
 * when they are full, this function returns -EAGAIN.
 *
 * @span may have been freed: it is only compared with the result of a lookup.
 *
 * Context: Does not sleep.  The caller has a reference to the device.
 * Return: 0; -EBUSY if the page is being written; -EAGAIN without a buffer; -E2BIG if
 * it must be written uncompressed; -EEXIST if it is in the swap cache; or -ENOMEM
 * without memory for its place, or if the slot has other data now.
 */
int zswap_pack_slot(struct zswap_span *span, swp_entry_t swp,
		    struct ramzswap_share *share, struct zswap_walk *walk)
{
	struct swap_info_struct *si = __swap_entry_to_info(swp);
	struct scatterlist sg[ZBUD_SG_ENTRIES];
	unsigned int length, slot = zswap_slot(swp);
	struct swap_cluster_info *ci;
	unsigned long swp_tb;
	int ret = -ENOMEM, codec;

	ci = swap_cluster_lock(si, swp_offset(swp));
	if (zswap_find(swp, NULL) != span)
		goto unlock;
	/* It is stored, so the slot is in use. */
	swp_tb = __swap_table_get(ci, swp_cluster_offset(swp));
	ret = -EEXIST;
	if (swp_tb_is_folio(swp_tb))
		goto unlock;
	ret = -E2BIG;
	length = zswap_length(span, slot);
	/* A page that does not compress needs no codec. */
	codec = length < PAGE_SIZE ? zswap_codec(swp_type(swp), span->pool) : 0;
	if (codec < 0)
		goto unlock;
	ret = zbud_read_begin(zswap_zbud, &span->handle[slot], sg, length);
	if (ret)
		goto unlock;
	ret = ramzswap_pack(share, swp, sg, length, codec);
	zbud_read_end(sg);
	if (!ret) {
		walk->freed += length;
		walk->to_write--;
	}
unlock:
	swap_cluster_unlock(ci);
	return ret;
}
