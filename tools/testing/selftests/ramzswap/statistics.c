// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/debug/ramzswap/stats is well-formed, complete and true, and
 * agrees with zswap's numbers. The file of a device is well-formed and
 * complete, too.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "swap_util.h"

#define NR_PAGES	(16 * MIB / page_size)

static const char *skip_reason;

/* === The fields ========================================================== */

static const char * const fields_of_all[] = {
	"memlimit", "num_reads", "num_writes", "failed_reads", "failed_writes",
	"notify_free", "pages_zero", "good_compress_pct", "pages_expand_pct",
	"pages_stored", "pages_used", "orig_data_size", "compr_data_size",
	"mem_used_total", "pages_hot", "pages_cold", "compr_hot_size",
	"compr_cold_size", "num_squeezed", "num_hopeless", "squeeze_gained",
	"squeeze_ns",
};

static const char * const fields_of_a_device[] = {
	"backing_swap_name", "memlimit", "disksize", "num_reads", "num_writes",
	"failed_reads", "failed_writes", "invalid_io", "notify_free", "pages_zero",
	"good_compress_pct", "pages_expand_pct", "pages_stored", "pages_used",
	"orig_data_size", "compr_data_size", "mem_used_total", "bdev_num_reads",
	"bdev_num_writes", "backing_blocks_total", "backing_blocks_used",
	"backing_blocks_bad", "backing_stopped", "backing_stops",
	"pages_spilled", "backing_bytes_written",
	"backing_write_ios", "backing_read_ios", "backing_pages_moved",
	"pages_hot", "pages_cold", "compr_hot_size", "compr_cold_size",
	"num_squeezed", "num_hopeless", "squeeze_gained", "squeeze_ns",
};

#define MAX_FIELDS	ARRAY_SIZE(fields_of_a_device)

FIXTURE(fields) {
};

FIXTURE_VARIANT(fields) {
	const char *path;
	const char * const *names;
	int nr;
};

FIXTURE_VARIANT_ADD(fields, of_all) {
	.path = RAMZSWAP_STATS,
	.names = fields_of_all,
	.nr = ARRAY_SIZE(fields_of_all),
};

FIXTURE_VARIANT_ADD(fields, of_a_device) {
	.path = RAMZSWAP_DEBUG DEVICE "/stats",
	.names = fields_of_a_device,
	.nr = ARRAY_SIZE(fields_of_a_device),
};

FIXTURE_SETUP(fields)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	if (access(variant->path, F_OK))
		SKIP(return, "there is no %s", variant->path);
}

FIXTURE_TEARDOWN(fields)
{
}

/* All values but one are numbers. */
static bool is_value(const char *name, const char *value)
{
	if (!strcmp(name, "backing_swap_name"))
		return *value == '/' || !strcmp(value, "none");
	return *value && !value[strspn(value, "0123456789")];
}

TEST_F(fields, are_each_on_a_line_of_their_own_and_there_is_nothing_else)
{
	int seen[MAX_FIELDS] = {};
	char buf[4096], *line, *save;
	size_t len;
	int i;

	ASSERT_TRUE(file_read(variant->path, buf, sizeof(buf)));
	len = strlen(buf);
	ASSERT_LT(0, len);
	EXPECT_EQ('\n', buf[len - 1]);
	EXPECT_EQ(NULL, strstr(buf, "\n\n"));
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *value = strchr(line, ' ');

		if (value)
			*value++ = '\0';
		for (i = 0; i < variant->nr && strcmp(line, variant->names[i]); i++)
			;
		EXPECT_GT(variant->nr, i) {
			TH_LOG("an unknown field: '%s'", line);
		}
		if (i < variant->nr)
			seen[i]++;
		EXPECT_TRUE(value && is_value(line, value)) {
			TH_LOG("'%s' has the value '%s'", line, value ? value : "");
		}
	}
	for (i = 0; i < variant->nr; i++) {
		EXPECT_EQ(1, seen[i]) {
			TH_LOG("%s is there %d times", variant->names[i], seen[i]);
		}
	}
}

/* === The numbers ========================================================= */

FIXTURE(statistics) {
	struct region r;
};

FIXTURE_SETUP(statistics)
{
	if (skip_reason)
		SKIP(return, "%s", skip_reason);
	if (access(RAMZSWAP_STATS, F_OK))
		SKIP(return, "there is no " RAMZSWAP_STATS);
	test_stay_resident();
}

FIXTURE_TEARDOWN(statistics)
{
}

static void store(struct __test_metadata *_metadata, struct region *r, enum fill fill)
{
	ASSERT_TRUE(region_map(r, NR_PAGES, fill, 15 + fill));
	region_write_all(r);
	ASSERT_EQ(NR_PAGES, region_page_out(r));
}

TEST_F(statistics, is_there_and_readable_while_zswap_is_disabled)
{
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "N"));
	EXPECT_LE(0, stat_value("pages_stored"));
	EXPECT_LE(0, stat_value("memlimit"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "enabled", "Y"));
}

TEST_F(statistics, is_only_for_root)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(setuid(65534) || stat_value("pages_stored") >= 0);
	EXPECT_EQ(0, child_status(pid));
}

TEST_F_TIMEOUT(statistics, agrees_with_itself_and_with_zswap, TEST_SECONDS)
{
	long long stored, used, compressed;

	store(_metadata, &self->r, FILL_MIXED);
	stored = stat_value("pages_stored");
	used = stat_value("pages_used");
	compressed = stat_value("compr_data_size");

	EXPECT_EQ(stored, zswap_value("stored_pages"));
	EXPECT_EQ(used * (long long)page_size, zswap_value("pool_total_size"));
	EXPECT_EQ(stored * (long long)page_size, stat_value("orig_data_size"));
	EXPECT_GE(stat_value("orig_data_size"), compressed);
	EXPECT_GE(used * (long long)page_size, compressed);
	EXPECT_LT(0, compressed);
	EXPECT_GE(stat_value("num_writes"), stored);
	EXPECT_GE(100, stat_value("good_compress_pct"));
	EXPECT_GE(100, stat_value("pages_expand_pct"));
}

/*
 * Each page in the cache has an entry for its swap slot, length and location.
 */
TEST_F_TIMEOUT(statistics, counts_metadata_in_mem_used_total, TEST_SECONDS)
{
	long long metadata;

	store(_metadata, &self->r, FILL_SPARSE);
	metadata = stat_value("mem_used_total") -
		   stat_value("pages_used") * (long long)page_size;
	EXPECT_LE(16 * stat_value("pages_stored"), metadata);
	EXPECT_GE(512 * stat_value("pages_stored") + (long long)(4 * MIB), metadata);
}

TEST_F_TIMEOUT(statistics, counts_each_page_stored_and_loaded_and_each_slot_freed, TEST_SECONDS)
{
	const long long reads = stat_value("num_reads"), writes = stat_value("num_writes");
	const long long failed_reads = stat_value("failed_reads");
	const long long failed_writes = stat_value("failed_writes");
	long long freed = stat_value("notify_free");
	const long long nr = NR_PAGES;

	store(_metadata, &self->r, FILL_TEXT);
	EXPECT_EQ(nr, stat_value("num_writes") - writes);
	EXPECT_EQ(0, stat_value("num_reads") - reads);

	EXPECT_EQ(0, region_wrong_bytes(&self->r, 0, NR_PAGES / 4));
	EXPECT_EQ(nr / 4, stat_value("num_reads") - reads);
	EXPECT_EQ(nr, stat_value("num_writes") - writes);

	/* Reading a page frees its slot as well, but not always at once. */
	freed = stat_value("notify_free");
	EXPECT_EQ(0, munmap(region_page(&self->r, NR_PAGES / 2), nr / 2 * page_size));
	EXPECT_EQ(nr / 2, stat_value("notify_free") - freed);

	EXPECT_EQ(failed_reads, stat_value("failed_reads"));
	EXPECT_EQ(failed_writes, stat_value("failed_writes"));
}

TEST_F_TIMEOUT(statistics, counts_pages_that_compress_well_and_that_do_not, TEST_SECONDS)
{
	struct region random;

	if (stat_value("pages_stored") > (long long)NR_PAGES / 100)
		SKIP(return, "others have pages in swap");
	store(_metadata, &self->r, FILL_SPARSE);
	EXPECT_LE(99, stat_value("good_compress_pct"));
	EXPECT_GE(1, stat_value("pages_expand_pct"));
	store(_metadata, &random, FILL_RANDOM);
	EXPECT_LE(49, stat_value("good_compress_pct"));
	EXPECT_GE(51, stat_value("good_compress_pct"));
	EXPECT_LE(49, stat_value("pages_expand_pct"));
	EXPECT_GE(51, stat_value("pages_expand_pct"));
}

TEST_F_TIMEOUT(statistics, tells_the_limit_in_bytes, TEST_SECONDS)
{
	const long long total = meminfo_kb("MemTotal:") * 1024 / (long long)page_size;

	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "20"));
	EXPECT_EQ(total * 20 / 100 * (long long)page_size, stat_value("memlimit"));
	ASSERT_TRUE(file_write(ZSWAP_PARAM "max_pool_percent", "90"));
	EXPECT_EQ(total * 90 / 100 * (long long)page_size, stat_value("memlimit"));
}

int main(int argc, char **argv)
{
	skip_reason = test_begin();
	return test_harness_run(argc, argv);
}
