// SPDX-License-Identifier: GPL-2.0
/*
 * How large recorded pages are when each is compressed on its own: pagesizes <FILE.pages >FILE.sizes
 *
 * A line a page, in bytes. The compressor is LZ4's at its default level, from Debian's liblz4: the
 * algorithm that the kernel has in lib/lz4. A page that does not shrink counts as 4096, as it is stored
 * as it is. Zero pages are left out, though pagerec does not record them anyway.
 */
#include <err.h>
#include <lz4.h>
#include <stdio.h>
#include <string.h>

#define PAGE_SIZE 4096

int main(void)
{
	char page[PAGE_SIZE], compressed[PAGE_SIZE];
	int size;

	while (fread(page, PAGE_SIZE, 1, stdin) == 1) {
		if (!page[0] && !memcmp(page, page + 1, PAGE_SIZE - 1))
			continue;
		size = LZ4_compress_default(page, compressed, PAGE_SIZE, PAGE_SIZE - 1);
		printf("%d\n", size > 0 ? size : PAGE_SIZE);
	}
	if (ferror(stdin) || fflush(stdout))
		err(1, "pages cannot be read, or sizes not be written");
	return 0;
}
