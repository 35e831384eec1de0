/* SPDX-License-Identifier: GPL-2.0 */
/* Helpers of the tests of cold pages. */
#ifndef COLD_UTIL_H
#define COLD_UTIL_H

#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define COLD_COMPRESSOR	ZSWAP_PARAM "cold_compressor"
#define COMPRESSOR	ZSWAP_PARAM "compressor"

static const char *skip_reason;

/* From now on, all pages are swapped out to the device. */
static inline const char *begin(void)
{
	if (skip_reason)
		return skip_reason;
	test_stay_resident();
	zswap_defaults();
	if (!file_write(COMPRESSOR, "lz4") || !file_write(COLD_COMPRESSOR, "zstd"))
		return "there are no two compressors";
	if (!other_swap_off())
		return "other swap could not be switched off";
	if (attr_write("reset", "1") || !device_on())
		return "there is no " DEVICE_PATH;
	return NULL;
}

/* No pages or bytes may remain. */
static inline void end(struct __test_metadata *_metadata)
{
	EXPECT_EQ(0, stat_of("pages_stored"));
	EXPECT_EQ(0, stat_of("pages_cold"));
	EXPECT_EQ(0, stat_of("compr_data_size"));
	EXPECT_EQ(0, stat_of("compr_cold_size"));
	EXPECT_EQ(0, swapoff(DEVICE_PATH));
	EXPECT_EQ(0, attr_write("reset", "1"));
	other_swap_on();
	file_write(COLD_COMPRESSOR, "\n");
}

/* Recompress all pages: no test stores as much as this. */
static inline int squeeze_all(void)
{
	return attr_write("squeeze", "1T");
}

static inline void map_and_swap_out(struct __test_metadata *_metadata,
				    struct region *r,
				    unsigned long nr, enum fill fill)
{
	unsigned long swapped;

	ASSERT_TRUE(region_map(r, nr, fill, getpid()));
	region_write_all(r);
	swapped = region_page_out(r);
	/* Other pages do not compress, or are all zeros. */
	ASSERT_TRUE(swapped == nr || (fill != FILL_TEXT && fill != FILL_HALF));
}

/* For main(): skip all tests if the kernel cannot recompress pages. */
static inline void cold_test_begin(void)
{
	skip_reason = test_begin();
	if (!skip_reason && access(DEVICE_SYSFS "squeeze", F_OK))
		skip_reason = "the kernel has no ramzswap device, or none that squeezes";
	if (!skip_reason && access(RAMZSWAP_STATS, F_OK))
		skip_reason = "there is no " RAMZSWAP_STATS;
}

#endif /* COLD_UTIL_H */
