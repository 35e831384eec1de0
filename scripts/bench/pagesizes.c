// SPDX-License-Identifier: GPL-2.0
/*
 * How large recorded pages are when each is compressed on its own: pagesizes [LEVEL] <FILE.pages >FILE.sizes
 *
 * A line a page, in bytes. The compressor is zstd at that level, or LZ4 at its default one, both from Debian's
 * libraries: the algorithms that the kernel has in lib/. A page that does not shrink counts as 4096, as it is
 * stored as it is. Zero pages are left out, though pagerec does not record them anyway.
 */
#include <err.h>
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define PAGE_SIZE 4096

int main(int argc, char **argv)
{
	char page[PAGE_SIZE], compressed[PAGE_SIZE];
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	int level = argc > 1 ? atoi(argv[1]) : 0;
	size_t size;

	while (fread(page, PAGE_SIZE, 1, stdin) == 1) {
		if (!page[0] && !memcmp(page, page + 1, PAGE_SIZE - 1))
			continue;
		if (level)
			size = ZSTD_compressCCtx(cctx, compressed, PAGE_SIZE - 1, page, PAGE_SIZE, level);
		else
			size = LZ4_compress_default(page, compressed, PAGE_SIZE, PAGE_SIZE - 1);
		printf("%zu\n", size && !ZSTD_isError(size) ? size : PAGE_SIZE);
	}
	ZSTD_freeCCtx(cctx);
	if (ferror(stdin) || fflush(stdout))
		err(1, "pages cannot be read, or sizes not be written");
	return 0;
}
