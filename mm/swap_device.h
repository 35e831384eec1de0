/* SPDX-License-Identifier: GPL-2.0 */
/* Calls to a swap device about a folio */
#ifndef _MM_SWAP_DEVICE_H
#define _MM_SWAP_DEVICE_H

#include <linux/types.h>

struct folio;
struct swap_info_struct;
struct swap_io_ctx;

#ifdef CONFIG_SWAP

int swap_prepare_write(struct folio *folio, int why);
void swap_invalidate(struct folio *folio);
bool swap_is_short(struct folio *folio);
bool swap_has_copies(struct swap_info_struct *si, unsigned long offset,
		     unsigned int nr);
bool swap_has_copy(struct folio *folio);
bool swap_lost_copy(struct folio *folio);
void swap_keep_clean(struct swap_io_ctx *ctx, struct folio *folio);
bool swap_may_write(struct folio *folio, int why);

#else /* CONFIG_SWAP */

static inline bool swap_lost_copy(struct folio *folio)
{
	return false;
}

static inline void swap_keep_clean(struct swap_io_ctx *ctx, struct folio *folio)
{
}

static inline bool swap_is_short(struct folio *folio)
{
	return false;
}

#endif /* CONFIG_SWAP */

#endif /* _MM_SWAP_DEVICE_H */
