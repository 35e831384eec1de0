// SPDX-License-Identifier: GPL-2.0-only
/*
 * ramzswapstat: what ramzswap devices hold, and how much memory that takes
 *
 * Shows a table like zramctl, rates like vmstat, JSON, or metrics for
 * Prometheus. The numbers come from /sys/block/ramzswapN/, which everybody can
 * read.  Numbers that are not there come from debugfs, which only root can
 * read.  A number that neither has is shown as "-".
 *
 * The tool never shows a number other than the kernel has written it.  It
 * reports a file that is truncated or malformed on stderr, and treats its value
 * as unknown.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>
#include <linux/compiler.h>

#define PROGRAM		"ramzswapstat"
#define PREFIX		"ramzswap"

#define EXIT_USAGE	2

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* More than the kernel allows */
#define MAX_DEVICES	1024
/* The most that a sysfs file can have, and more than a debugfs file has */
#define SYSFS_SIZE	4096
#define DEBUGFS_SIZE	16384
/* On a terminal, repeat the heading after this many lines. */
#define HEADING_LINES	20

/* === Fields ============================================================== */

enum kind {
	TEXT,
	BYTES,
	COUNT,
	RATIO,		/* in hundredths */
	RATE,		/* bytes per second, between two reports */
};

enum field_id {
	NAME, DISKSIZE, LIMIT, SWAPPED, STORED, COMPR, RATIO_, MEMORY, SAVED,
	HOT, COLD, HOTCOMPR, COLDCOMPR, ZERO, INCOMPR, READ, WRITTEN,
	BACKING, BSTATE, BSIZE, BUSED, BBAD, BREAD, BWRITTEN, BSTOPS,
	LOST, REFUSED, INVALID, ERRORS, SI, SO, BI, BO,
	NR_FIELDS,
};

/*
 * struct field - a column of the table
 * @column: its name; in lower case, its key in JSON
 * @kind: how to show it
 * @file: its file in the device's sysfs directory, or NULL
 * @line: its line in the device's debugfs file, or NULL
 * @in_pages: the kernel counts pages; show them as bytes
 * @metric: its name for Prometheus, without the prefix, or NULL
 * @help: its description
 */
struct field {
	const char *column;
	enum kind kind;
	const char *file;
	const char *line;
	bool in_pages;
	const char *metric;
	const char *help;
};

static const struct field fields[NR_FIELDS] = {
	[NAME] = { "NAME", TEXT, .help = "the device" },
	[DISKSIZE] = { "DISKSIZE", BYTES, "disksize", "disksize", false,
		"disksize_bytes", "how much can be swapped out to it, before compression" },
	[LIMIT] = { "LIMIT", BYTES, "mem_limit", "memlimit", false,
		"mem_limit_bytes", "limit for its compressed data in memory, 0 for none" },
	[SWAPPED] = { "SWAPPED", BYTES, NULL, NULL, false,
		"swapped_bytes", "pages swapped out to it, USED in swapon --show" },
	[STORED] = { "STORED", BYTES, "stats/orig_data_size", "orig_data_size", false,
		"stored_bytes", "pages that it has in memory, before compression" },
	[COMPR] = { "COMPR", BYTES, "stats/compr_data_size", "compr_data_size", false,
		"compressed_bytes", "compressed size of these pages" },
	[RATIO_] = { "RATIO", RATIO, .help = "STORED divided by COMPR" },
	[MEMORY] = { "MEMORY", BYTES, "stats/mem_used", "mem_used_total", false,
		"memory_used_bytes", "memory that all of this takes" },
	[SAVED] = { "SAVED", BYTES, .help = "STORED minus MEMORY" },
	[HOT] = { "HOT", BYTES, NULL, NULL, false,
		"hot_bytes", "part of STORED that was compressed once, fast" },
	[COLD] = { "COLD", BYTES, "stats/pages_cold", "pages_cold", true,
		"cold_bytes", "part of STORED that was compressed again, more densely" },
	[HOTCOMPR] = { "HOTCOMPR", BYTES, NULL, NULL, false,
		"hot_compressed_bytes", "compressed size of HOT" },
	[COLDCOMPR] = { "COLDCOMPR", BYTES, "stats/compr_cold_size", "compr_cold_size", false,
		"cold_compressed_bytes", "compressed size of COLD" },
	[ZERO] = { "ZERO", BYTES, "stats/pages_zero", "pages_zero", true,
		"zero_bytes", "pages of zeros, which take no memory" },
	[INCOMPR] = { "INCOMPR", BYTES, "stats/pages_incompressible", NULL, true,
		"incompressible_bytes", "part of STORED that did not compress" },
	[READ] = { "READ", BYTES, "stats/num_reads", "num_reads", true,
		"read_bytes_total", "pages read from memory" },
	[WRITTEN] = { "WRITTEN", BYTES, "stats/num_writes", "num_writes", true,
		"written_bytes_total", "pages stored in memory" },
	[BACKING] = { "BACKING", TEXT, "backing_dev", .help = "path of the backing device" },
	[BSTATE] = { "BSTATE", TEXT, "backing_state", .help = "state of the backing device" },
	[BSIZE] = { "BSIZE", BYTES, "stats/backing_blocks_total", "backing_blocks_total", true,
		"backing_size_bytes", "size of the backing device" },
	[BUSED] = { "BUSED", BYTES, "stats/backing_blocks_used", "backing_blocks_used", true,
		"backing_used_bytes", "used part of the backing device" },
	[BBAD] = { "BBAD", BYTES, "stats/backing_blocks_bad", "backing_blocks_bad", true,
		"backing_bad_bytes", "part that is unusable because writes failed" },
	[BREAD] = { "BREAD", BYTES, "stats/bdev_num_reads", "bdev_num_reads", true,
		"backing_read_bytes_total", "pages read from the backing device" },
	[BWRITTEN] = { "BWRITTEN", BYTES, "stats/bdev_num_writes", "bdev_num_writes", true,
		"backing_written_bytes_total", "pages written to the backing device" },
	[BSTOPS] = { "BSTOPS", COUNT, "stats/backing_stops", "backing_stops", false,
		"backing_stops_total", "how often the backing device was stopped" },
	[LOST] = { "LOST", COUNT, "stats/failed_reads", "failed_reads", false,
		"lost_pages_total", "pages that could not be read back" },
	[REFUSED] = { "REFUSED", COUNT, "stats/failed_writes", "failed_writes", false,
		"refused_pages_total", "pages that stayed in memory, uncompressed" },
	[INVALID] = { "INVALID", COUNT, "stats/invalid_io", "invalid_io", false,
		"invalid_requests_total", "reads and writes of the device other than by swap" },
	[ERRORS] = { "ERRORS", COUNT, .help = "sum of LOST, bad blocks and BSTOPS" },
	[SI] = { "SI", RATE, .help = "swapped in from memory, bytes per second (with -w)" },
	[SO] = { "SO", RATE, .help = "swapped out to memory, bytes per second (with -w)" },
	[BI] = { "BI", RATE, .help = "read from the backing device, bytes per second (with -w)" },
	[BO] = { "BO", RATE, .help = "written to it, bytes per second (with -w)" },
};

/* Computed columns and their inputs.  A rate is the change of a number. */
static const struct {
	enum field_id id;
	enum field_id of;
} parts[] = {
	{ RATIO_, STORED }, { RATIO_, COMPR },
	{ SAVED, STORED }, { SAVED, MEMORY },
	{ HOT, STORED }, { HOT, COLD },
	{ HOTCOMPR, COMPR }, { HOTCOMPR, COLDCOMPR },
	{ ERRORS, LOST }, { ERRORS, BBAD }, { ERRORS, BSTOPS },
	{ SI, READ }, { SO, WRITTEN }, { BI, BREAD }, { BO, BWRITTEN },
};

static const enum field_id default_columns[] = {
	NAME, DISKSIZE, STORED, COMPR, RATIO_, SAVED, HOT, COLD, BUSED, ERRORS,
};

static const enum field_id default_rates[] = {
	NAME, STORED, COMPR, RATIO_, SAVED, BUSED, SI, SO, BI, BO, ERRORS,
};

struct value {
	bool known;
	long long n;
	const char *text;		/* for fields of kind TEXT */
};

struct device {
	char path[32];			/* /dev/ramzswapN */
	const char *name;		/* without /dev/ */
	char backing[SYSFS_SIZE];
	char state[SYSFS_SIZE];
	struct value now[NR_FIELDS];
	struct value before[NR_FIELDS];	/* at the last report */
	struct timespec read_at;
	char debugfs[DEBUGFS_SIZE];	/* the file, if it was read */
	bool debugfs_tried;
	bool debugfs_read;
};

static struct device *devices;
static size_t nr_devices;

static enum field_id columns[NR_FIELDS];
static size_t nr_columns;

/* What the table does not show, and why */
static bool not_told[NR_FIELDS];
static bool not_readable[NR_FIELDS];
static char debugfs_path[SYSFS_SIZE];
static int debugfs_err;

static const char *sysroot = "";
static bool bytes, raw, json, prometheus, noheadings, quiet;
static double interval;		/* 0: one report */
static unsigned long count;	/* number of reports, 0: no end */
static int status = EXIT_SUCCESS;

/* === Reading ============================================================= */

static void __printf(1, 2) complain(const char *fmt, ...)
{
	va_list ap;

	fputs(PROGRAM ": ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	status = EXIT_FAILURE;
}

static void __noreturn __printf(1, 2) usage_error(const char *fmt, ...)
{
	va_list ap;

	fputs(PROGRAM ": ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\nTry '" PROGRAM " --help'.\n", stderr);
	exit(EXIT_USAGE);
}

/* @path has room for SYSFS_SIZE bytes. */
static bool __printf(2, 3) make_path(char *path, const char *fmt, ...)
{
	int root = snprintf(path, SYSFS_SIZE, "%s", sysroot), len;
	va_list ap;

	if (root < 0 || root >= SYSFS_SIZE)
		return false;
	va_start(ap, fmt);
	len = vsnprintf(path + root, SYSFS_SIZE - root, fmt, ap);
	va_end(ap);
	return len >= 0 && root + len < SYSFS_SIZE;
}

/* Return: 0, or an error; -EFBIG if the file does not fit. */
static int read_file(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	int err = 0;
	size_t len;

	if (!f)
		return -errno;
	len = fread(buf, 1, size, f);
	if (ferror(f))
		err = -errno;
	else if (len == size)
		err = -EFBIG;
	fclose(f);
	if (err)
		return err;
	buf[len] = '\0';
	/* A text file has no zero bytes. */
	return strlen(buf) == len ? 0 : -EILSEQ;
}

/* Parse a number, which must be all that is before @end. */
static bool parse_number(const char *text, const char *end, long long *n)
{
	const char *p;

	*n = 0;
	if (text == end)
		return false;
	for (p = text; p < end; p++) {
		if (*p < '0' || *p > '9' ||
		    __builtin_mul_overflow(*n, 10, n) ||
		    __builtin_add_overflow(*n, *p - '0', n))
			return false;
	}
	return true;
}

/*
 * The kernel has no such file, or this user cannot read it: it is not damaged.
 */
static bool is_absence(int err)
{
	return err == -ENOENT || err == -EACCES;
}

/*
 * Read the first line of a file in the device's directory, without its newline.
 * Return: 0, or an error: -ENOENT if the file does not exist.
 */
static int read_sysfs(const struct device *d, const char *file, char *buf)
{
	char path[SYSFS_SIZE];
	size_t len;
	int err;

	if (!make_path(path, "/sys/block/%s/%s", d->name, file))
		return -ENAMETOOLONG;
	err = read_file(path, buf, SYSFS_SIZE);
	if (is_absence(err))
		return err;
	if (err) {
		complain("%s: %s", path, strerror(-err));
		return err;
	}
	/* A line without a newline may be truncated. */
	len = strlen(buf);
	if (len < 2 || buf[len - 1] != '\n') {
		complain("%s: the file is cut off", path);
		return -EINVAL;
	}
	buf[len - 1] = '\0';
	return 0;
}

static int read_sysfs_number(const struct device *d, const char *file, long long *n)
{
	char buf[SYSFS_SIZE];
	int err = read_sysfs(d, file, buf);

	if (err)
		return err;
	if (parse_number(buf, buf + strlen(buf), n))
		return 0;
	complain("%s/sys/block/%s/%s: not a number", sysroot, d->name, file);
	return -EINVAL;
}

static bool open_debugfs(struct device *d)
{
	char path[SYSFS_SIZE], *end;

	if (d->debugfs_tried)
		return d->debugfs_read;
	d->debugfs_tried = true;
	if (!make_path(path, "/sys/kernel/debug/" PREFIX "/%s/stats", d->name))
		return false;
	debugfs_err = read_file(path, d->debugfs, sizeof(d->debugfs));
	d->debugfs_read = !debugfs_err;
	if (debugfs_err) {
		memcpy(debugfs_path, path, sizeof(path));
		if (!is_absence(debugfs_err))
			complain("%s: %s", path, strerror(-debugfs_err));
		return false;
	}
	/* A line without a newline may be truncated. */
	end = strrchr(d->debugfs, '\n');
	end = end ? end + 1 : d->debugfs;
	if (*end || end == d->debugfs)
		complain("%s: the file is cut off", path);
	*end = '\0';
	return true;
}

/* Return: 0, -ENOENT if there is no such line, -EINVAL if it is malformed. */
static int read_debugfs_number(struct device *d, const char *name, long long *n)
{
	const size_t len = strlen(name);
	const char *line, *end;

	for (line = d->debugfs; *line; line = end + 1) {
		end = strchr(line, '\n');
		if (strncmp(line, name, len) || line[len] != ' ')
			continue;
		if (parse_number(line + len + 1, end, n))
			return 0;
		complain("%s/sys/kernel/debug/" PREFIX "/%s/stats: %s: not a number",
			 sysroot, d->name, name);
		return -EINVAL;
	}
	return -ENOENT;
}

/* The device's block size is the page size. */
static long long page_size_of(const struct device *d)
{
	long long size;

	if (read_sysfs_number(d, "queue/logical_block_size", &size) || size < 512 ||
	    size > 1 << 20)
		size = sysconf(_SC_PAGESIZE);
	return size;
}

static void read_text_field(struct device *d, enum field_id id, char *buf)
{
	int err = read_sysfs(d, fields[id].file, buf);

	d->now[id].known = !err;
	d->now[id].text = buf;
	not_told[id] |= is_absence(err);
}

static void read_number_field(struct device *d, enum field_id id, long long page_size)
{
	const struct field *f = &fields[id];
	struct value *v = &d->now[id];
	int err = read_sysfs_number(d, f->file, &v->n);

	if (is_absence(err) && f->line) {
		if (!open_debugfs(d)) {
			not_readable[id] = true;
			return;
		}
		err = read_debugfs_number(d, f->line, &v->n);
	}
	if (!err && f->in_pages && __builtin_mul_overflow(v->n, page_size, &v->n)) {
		complain("%s: %s: too large a number", d->path, f->column);
		err = -ERANGE;
	}
	v->known = !err;
	not_told[id] |= is_absence(err);
}

/* Name, type, size, used, priority; sizes are in KiB. */
static bool parse_swaps_line(char *line, const char *path, long long *used)
{
	char *words[5], *rest = line;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		words[i] = strtok_r(i ? NULL : line, " \t\n", &rest);
		if (!words[i])
			return false;
	}
	return !strcmp(words[0], path) &&
	       parse_number(words[3], words[3] + strlen(words[3]), used) &&
	       !__builtin_mul_overflow(*used, 1024, used);
}

/* Only devices that are swapped on have a line in /proc/swaps. */
static void read_swapped(struct device *d)
{
	struct value *v = &d->now[SWAPPED];
	char path[SYSFS_SIZE], line[SYSFS_SIZE];
	size_t len = strlen(d->path);
	FILE *f = NULL;

	if (make_path(path, "/proc/swaps"))
		f = fopen(path, "re");
	if (!f) {
		not_told[SWAPPED] = true;
		return;
	}
	while (!v->known && fgets(line, sizeof(line), f)) {
		if (strncmp(line, d->path, len) || !isspace((unsigned char)line[len]))
			continue;
		v->known = parse_swaps_line(line, d->path, &v->n);
		if (!v->known)
			complain("%s: the line of %s makes no sense", path, d->path);
	}
	fclose(f);
}

static bool is_wanted(enum field_id id)
{
	size_t i;

	for (i = 0; i < nr_columns; i++)
		if (columns[i] == id)
			return true;
	return false;
}

/* Must this field be read, for its own column or for a computed one? */
static bool is_needed(enum field_id id)
{
	size_t i;

	if (prometheus)
		return fields[id].metric || id == BACKING || id == BSTATE;
	if (is_wanted(id))
		return true;
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i].of == id && is_wanted(parts[i].id))
			return true;
	return false;
}

/*
 * Hot is what is not cold.  Either number may change before the other is read.
 */
static void work_out_hot(struct value *hot, const struct value *all, const struct value *cold)
{
	hot->known = all->known && cold->known;
	if (hot->known && all->n > cold->n)
		hot->n = all->n - cold->n;
}

static void work_out_ratio(struct value *v)
{
	double ratio;

	if (!v[STORED].known || !v[COMPR].known || !v[STORED].n || !v[COMPR].n)
		return;
	ratio = 100.0 * v[STORED].n / v[COMPR].n + 0.5;
	v[RATIO_].known = ratio < 1e15;
	if (v[RATIO_].known)
		v[RATIO_].n = ratio;
}

static void work_out_errors(struct value *v, long long page_size)
{
	long long sum;

	v[ERRORS].known = v[LOST].known && v[BBAD].known && v[BSTOPS].known &&
		!__builtin_add_overflow(v[LOST].n, v[BSTOPS].n, &sum) &&
		!__builtin_add_overflow(sum, v[BBAD].n / page_size, &v[ERRORS].n);
}

static double seconds_of(const struct timespec *ts)
{
	return ts->tv_sec + ts->tv_nsec / 1e9;
}

static void work_out_rates(struct device *d, double seconds)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		const struct value *now = &d->now[parts[i].of];
		const struct value *before = &d->before[parts[i].of];
		struct value *rate = &d->now[parts[i].id];
		double change;

		if (fields[parts[i].id].kind != RATE)
			continue;
		/* A number that went down was reset. */
		if (!now->known || !before->known || now->n < before->n || seconds <= 0)
			continue;
		change = (now->n - before->n) / seconds + 0.5;
		rate->known = change < 1e18;
		if (rate->known)
			rate->n = change;
	}
}

static void read_device(struct device *d)
{
	struct timespec then = d->read_at;
	struct value *v = d->now;
	long long page_size;
	int id;

	d->name = d->path + strlen("/dev/");
	memcpy(d->before, d->now, sizeof(d->before));
	memset(d->now, 0, sizeof(d->now));
	d->debugfs_tried = false;
	clock_gettime(CLOCK_MONOTONIC, &d->read_at);
	page_size = page_size_of(d);

	v[NAME].known = true;
	v[NAME].text = d->path;
	for (id = 0; id < NR_FIELDS; id++)
		if (fields[id].kind != TEXT && fields[id].file && is_needed(id))
			read_number_field(d, id, page_size);
	if (is_needed(BACKING))
		read_text_field(d, BACKING, d->backing);
	if (is_needed(BSTATE))
		read_text_field(d, BSTATE, d->state);
	if (is_needed(SWAPPED))
		read_swapped(d);

	work_out_hot(&v[HOT], &v[STORED], &v[COLD]);
	work_out_hot(&v[HOTCOMPR], &v[COMPR], &v[COLDCOMPR]);
	work_out_ratio(v);
	v[SAVED].known = v[STORED].known && v[MEMORY].known;
	if (v[SAVED].known)
		v[SAVED].n = v[STORED].n - v[MEMORY].n;
	work_out_errors(v, page_size);
	work_out_rates(d, seconds_of(&d->read_at) - seconds_of(&then));
}

/* "ramzswap" and a number */
static bool is_device_name(const char *name)
{
	const char *digits = name + strlen(PREFIX);

	return !strncmp(name, PREFIX, strlen(PREFIX)) && *digits &&
	       strlen(digits) < 10 && !digits[strspn(digits, "0123456789")];
}

static void add_device(const char *name)
{
	struct device *more;

	if (nr_devices == MAX_DEVICES)
		return;
	more = realloc(devices, (nr_devices + 1) * sizeof(*devices));
	if (!more) {
		complain("%s", strerror(ENOMEM));
		exit(EXIT_FAILURE);
	}
	devices = more;
	memset(&devices[nr_devices], 0, sizeof(*devices));
	snprintf(devices[nr_devices].path, sizeof(devices->path), "/dev/%s", name);
	nr_devices++;
}

static int compare_devices(const void *a, const void *b)
{
	const char *one = ((const struct device *)a)->path + strlen("/dev/" PREFIX);
	const char *two = ((const struct device *)b)->path + strlen("/dev/" PREFIX);
	unsigned long i = strtoul(one, NULL, 10), j = strtoul(two, NULL, 10);

	return i < j ? -1 : i > j;
}

static void find_all_devices(void)
{
	char path[SYSFS_SIZE];
	struct dirent *entry;
	DIR *dir = NULL;

	if (make_path(path, "/sys/block"))
		dir = opendir(path);
	if (!dir) {
		complain("%s: %s", path, strerror(errno));
		return;
	}
	while ((entry = readdir(dir)))
		if (is_device_name(entry->d_name))
			add_device(entry->d_name);
	closedir(dir);
	if (!nr_devices) {
		complain("this kernel has no ramzswap device");
		return;
	}
	qsort(devices, nr_devices, sizeof(*devices), compare_devices);
}

static void find_device(const char *arg)
{
	const char *name = strncmp(arg, "/dev/", 5) ? arg : arg + 5;
	char path[SYSFS_SIZE];

	if (!is_device_name(name))
		complain("%s: not a ramzswap device", arg);
	else if (!make_path(path, "/sys/block/%s", name) || access(path, F_OK))
		complain("%s: there is no such device", arg);
	else
		add_device(name);
}

/* === Showing ============================================================= */

/* Like zramctl: one digit after the point, unless it is zero. */
static void format_size(char *buf, size_t size, long long n)
{
	unsigned long long abs = n < 0 ? -(unsigned long long)n : (unsigned long long)n;
	const char *sign = n < 0 ? "-" : "";
	unsigned long long whole, rest;
	unsigned int shift = 0, tenths;

	if (bytes) {
		snprintf(buf, size, "%lld", n);
		return;
	}
	while (shift < 60 && abs >> shift >= 1024)
		shift += 10;
	whole = abs >> shift;
	rest = abs & ((1ULL << shift) - 1);
	/* Compute thousandths without an overflow. */
	rest = shift < 60 ? rest * 1000 >> shift : (rest >> 10) * 1000 >> (shift - 10);
	tenths = (rest + 50) / 100;
	if (tenths == 10) {
		whole++;
		tenths = 0;
	}
	if (tenths)
		snprintf(buf, size, "%s%llu.%u%c", sign, whole, tenths, "BKMGTPE"[shift / 10]);
	else
		snprintf(buf, size, "%s%llu%c", sign, whole, "BKMGTPE"[shift / 10]);
}

/* Length of the character at @s, 0 if it is not valid UTF-8 */
static size_t utf8_length(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t len, i;

	if (*u < 0x80)
		return 1;
	if (*u >= 0xc2 && *u <= 0xdf)
		len = 2;
	else if (*u >= 0xe0 && *u <= 0xef)
		len = 3;
	else if (*u >= 0xf0 && *u <= 0xf4)
		len = 4;
	else
		return 0;
	for (i = 1; i < len; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong, a surrogate, too large, or a control character */
	if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
	    (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f) ||
	    (u[0] == 0xc2 && u[1] < 0xa0))
		return 0;
	return len;
}

/* Show in hexadecimal what a terminal could take for more than text. */
static void format_text(char *buf, size_t size, const char *text)
{
	size_t at = 0, len;

	for (; *text && at + 5 < size; text += len ? len : 1) {
		unsigned char c = *text;

		len = utf8_length(text);
		if (!len || c < ' ' || c == 0x7f ||
		    (raw && (c == ' ' || c == '\\'))) {
			at += snprintf(buf + at, size - at, "\\x%02x", c);
		} else {
			memcpy(buf + at, text, len);
			at += len;
		}
	}
	buf[at] = '\0';
}

/* Up to four characters for each byte of the text, and the separators */
#define CELL_SIZE	(4 * SYSFS_SIZE + 8)

static void format_cell(char *buf, const struct value *v, enum field_id id)
{
	if (!v->known) {
		snprintf(buf, CELL_SIZE, "-");
		return;
	}
	switch (fields[id].kind) {
	case TEXT:
		format_text(buf, CELL_SIZE, v->text);
		break;
	case BYTES:
	case RATE:
		format_size(buf, CELL_SIZE, v->n);
		break;
	case COUNT:
		snprintf(buf, CELL_SIZE, "%lld", v->n);
		break;
	case RATIO:
		snprintf(buf, CELL_SIZE, "%lld.%02lld", v->n / 100, v->n % 100);
		break;
	}
}

/* In characters, not bytes */
static int width_of(const char *cell)
{
	int width = 0;

	for (; *cell; cell++)
		width += (*cell & 0xc0) != 0x80;
	return width;
}

static void print_cell(size_t column, const char *cell, int width)
{
	int pad = raw ? 0 : width - width_of(cell);
	bool is_text = fields[columns[column]].kind == TEXT;

	if (column)
		putchar(' ');
	if (!is_text && pad > 0)
		printf("%*s", pad, "");
	fputs(cell, stdout);
	/* No padding after the last column. */
	if (is_text && pad > 0 && column + 1 < nr_columns)
		printf("%*s", pad, "");
}

static void print_table(unsigned long report)
{
	static unsigned long lines_since_heading;
	static int widths[NR_FIELDS];
	static char cell[CELL_SIZE];
	bool heading = !noheadings;
	size_t i, d;

	if (report)
		heading &= isatty(STDOUT_FILENO) && lines_since_heading >= HEADING_LINES;
	for (i = 0; i < nr_columns; i++) {
		int width = noheadings ? 0 : strlen(fields[columns[i]].column);

		/* Leave room for larger numbers in the next reports. */
		if (interval && fields[columns[i]].kind != TEXT && width < 7)
			width = 7;
		if (widths[i] < width)
			widths[i] = width;
		for (d = 0; d < nr_devices; d++) {
			format_cell(cell, &devices[d].now[columns[i]], columns[i]);
			width = width_of(cell);
			if (widths[i] < width)
				widths[i] = width;
		}
	}
	if (heading) {
		for (i = 0; i < nr_columns; i++)
			print_cell(i, fields[columns[i]].column, widths[i]);
		putchar('\n');
		lines_since_heading = 0;
	}
	for (d = 0; d < nr_devices; d++) {
		for (i = 0; i < nr_columns; i++) {
			format_cell(cell, &devices[d].now[columns[i]], columns[i]);
			print_cell(i, cell, widths[i]);
		}
		putchar('\n');
		lines_since_heading++;
	}
}

static void print_json_text(const char *text)
{
	size_t len;

	putchar('"');
	for (; *text; text += len ? len : 1) {
		unsigned char c = *text;

		len = utf8_length(text);
		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c == 0x7f)
			printf("\\u%04x", c);
		else if (!len)
			fputs("\\ufffd", stdout);
		else
			fwrite(text, 1, len, stdout);
	}
	putchar('"');
}

static void print_json_value(const struct value *v, enum field_id id)
{
	const char *c;

	putchar('"');
	for (c = fields[id].column; *c; c++)
		putchar(tolower(*c));
	printf("\":%s", interval ? "" : " ");
	if (!v->known)
		fputs("null", stdout);
	else if (fields[id].kind == TEXT)
		print_json_text(v->text);
	else if (fields[id].kind == RATIO)
		printf("%lld.%02lld", v->n / 100, v->n % 100);
	else
		printf("%lld", v->n);
}

/* With --wait, each report is a line. */
static void print_json(void)
{
	const char *newline = interval ? "" : "\n";
	struct timespec now;
	size_t d, i;

	putchar('{');
	if (interval) {
		clock_gettime(CLOCK_REALTIME, &now);
		printf("\"time\":%lld.%03ld,", (long long)now.tv_sec, now.tv_nsec / 1000000);
	}
	printf("%s%s\"" PREFIX "\":%s[", newline, interval ? "" : "  ", interval ? "" : " ");
	for (d = 0; d < nr_devices; d++) {
		printf("%s%s%s{", d ? "," : "", newline, interval ? "" : "    ");
		for (i = 0; i < nr_columns; i++) {
			printf("%s%s%s", i ? "," : "", newline, interval ? "" : "      ");
			print_json_value(&devices[d].now[columns[i]], columns[i]);
		}
		printf("%s%s}", newline, interval ? "" : "    ");
	}
	printf("%s%s]%s}\n", nr_devices ? newline : "",
	       interval || !nr_devices ? "" : "  ", newline);
}

static void print_label(const char *name, const char *text)
{
	size_t len;

	printf("%s=\"", name);
	for (; *text; text += len ? len : 1) {
		len = utf8_length(text);
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if (*text == '\n')
			fputs("\\n", stdout);
		else if (!len)
			fputs("\xef\xbf\xbd", stdout);
		else
			fwrite(text, 1, len, stdout);
	}
	putchar('"');
}

static void print_metric_head(const char *metric, const char *help)
{
	const char *total = strstr(metric, "_total");

	printf("# HELP " PREFIX "_%s %c%s.\n", metric, toupper(*help), help + 1);
	printf("# TYPE " PREFIX "_%s %s\n", metric, total ? "counter" : "gauge");
}

static bool is_known_anywhere(enum field_id id)
{
	size_t d;

	for (d = 0; d < nr_devices; d++)
		if (devices[d].now[id].known)
			return true;
	return false;
}

/* Leave out what is unknown. */
static void print_prometheus(void)
{
	size_t d;
	int id;

	for (id = 0; id < NR_FIELDS; id++) {
		if (!fields[id].metric || !is_known_anywhere(id))
			continue;
		print_metric_head(fields[id].metric, fields[id].help);
		for (d = 0; d < nr_devices; d++)
			if (devices[d].now[id].known)
				printf(PREFIX "_%s{device=\"%s\"} %lld\n", fields[id].metric,
				       devices[d].name, devices[d].now[id].n);
	}
	if (is_known_anywhere(BACKING)) {
		print_metric_head("backing_info", "path of the backing device");
		for (d = 0; d < nr_devices; d++) {
			if (!devices[d].now[BACKING].known)
				continue;
			printf(PREFIX "_backing_info{device=\"%s\",", devices[d].name);
			print_label("backing_dev", devices[d].now[BACKING].text);
			puts("} 1");
		}
	}
	if (is_known_anywhere(BSTATE)) {
		print_metric_head("backing_stopped", "whether the backing device is stopped");
		for (d = 0; d < nr_devices; d++)
			if (devices[d].now[BSTATE].known)
				printf(PREFIX "_backing_stopped{device=\"%s\"} %d\n",
				       devices[d].name,
				       !strcmp(devices[d].now[BSTATE].text, "stopped"));
	}
}

static void note(const bool *of, const char *why, const char *more)
{
	const char *comma = "";
	size_t i;

	for (i = 0; i < nr_columns; i++) {
		if (!of[columns[i]])
			continue;
		fprintf(stderr, "%s%s", *comma ? comma : PROGRAM ": ", fields[columns[i]].column);
		comma = ", ";
	}
	if (*comma)
		fprintf(stderr, ": %s%s\n", why, more);
}

/* A computed column is unknown for the same reason as its inputs. */
static void pass_on_reasons(bool *of)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++)
		of[parts[i].id] |= of[parts[i].of];
}

/* Say what the table does not show, and why. */
static void print_notes(void)
{
	char why[SYSFS_SIZE + 64];

	pass_on_reasons(not_told);
	pass_on_reasons(not_readable);
	note(not_told, "the kernel does not tell", "");
	snprintf(why, sizeof(why), "not in sysfs, and %s: ", debugfs_path);
	note(not_readable, why, strerror(-debugfs_err));
}

/* === Options ============================================================= */

static void add_column(enum field_id id)
{
	if (!is_wanted(id))
		columns[nr_columns++] = id;
}

static void add_columns(const enum field_id *ids, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		add_column(ids[i]);
}

/* Rates are only known with two reports. */
static void add_all_columns(void)
{
	int id;

	for (id = 0; id < NR_FIELDS; id++)
		if (fields[id].kind != RATE || interval)
			add_column(id);
}

static void add_default_columns(void)
{
	if (interval)
		add_columns(default_rates, ARRAY_SIZE(default_rates));
	else
		add_columns(default_columns, ARRAY_SIZE(default_columns));
}

static enum field_id find_column(const char *name, size_t len)
{
	int id;

	for (id = 0; id < NR_FIELDS; id++)
		if (strlen(fields[id].column) == len &&
		    !strncasecmp(fields[id].column, name, len))
			break;
	if (id == NR_FIELDS)
		usage_error("unknown column: %.*s", (int)len, name);
	if (fields[id].kind == RATE && !interval)
		usage_error("%s is only known with --wait", fields[id].column);
	return id;
}

/* "A,B", or "+A,B" to add to the default columns */
static void choose_columns(const char *list)
{
	if (*list == '+') {
		add_default_columns();
		list++;
	}
	for (;;) {
		size_t len = strcspn(list, ",");

		add_column(find_column(list, len));
		if (!list[len])
			break;
		list += len + 1;
	}
}

static double parse_interval(const char *arg)
{
	char *end;
	double seconds = strtod(arg, &end);

	if (!isdigit((unsigned char)*arg) || *end || !isfinite(seconds) || seconds < 0.01 ||
	    seconds > 1e6)
		usage_error("not a number of seconds: %s", arg);
	return seconds;
}

static unsigned long parse_count(const char *arg)
{
	long long n;

	if (!parse_number(arg, arg + strlen(arg), &n) || !n || n > 1LL << 30)
		usage_error("not a number of reports: %s", arg);
	return n;
}

static void print_help(void)
{
	int id;

	puts("Usage: " PROGRAM " [options] [device...]\n"
	     "\n"
	     "Show what ramzswap devices hold, and how much memory that takes.\n"
	     "\n"
	     "  -b, --bytes            sizes in bytes, not as 1.5G\n"
	     "  -c, --count NUMBER     exit after NUMBER reports (with -w)\n"
	     "  -J, --json             JSON: all columns, in bytes; null if unknown\n"
	     "  -n, --noheadings       no heading\n"
	     "  -o, --output LIST      these columns, or +LIST: in addition\n"
	     "      --output-all       all columns\n"
	     "  -p, --prometheus       metrics for Prometheus\n"
	     "  -q, --quiet            do not say why a column is unknown\n"
	     "  -r, --raw              columns with a space between them\n"
	     "      --sysroot DIR      look in DIR for /sys and /proc\n"
	     "  -w, --wait SECONDS     report repeatedly, with rates\n"
	     "  -h, --help             this text\n"
	     "\n"
	     "Columns:");
	for (id = 0; id < NR_FIELDS; id++)
		printf("  %10s  %s\n", fields[id].column, fields[id].help);
}

enum {
	OPT_OUTPUT_ALL = 256,
	OPT_SYSROOT,
};

static const struct option options[] = {
	{ "bytes", no_argument, NULL, 'b' },
	{ "count", required_argument, NULL, 'c' },
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, 'J' },
	{ "noheadings", no_argument, NULL, 'n' },
	{ "output", required_argument, NULL, 'o' },
	{ "output-all", no_argument, NULL, OPT_OUTPUT_ALL },
	{ "prometheus", no_argument, NULL, 'p' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "raw", no_argument, NULL, 'r' },
	{ "sysroot", required_argument, NULL, OPT_SYSROOT },
	{ "wait", required_argument, NULL, 'w' },
	{ }
};

static void parse_options(int argc, char **argv)
{
	const char *output = NULL;
	bool all = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "bc:hJno:pqrw:", options, NULL)) != -1) {
		switch (opt) {
		case 'b':
			bytes = true;
			break;
		case 'c':
			count = parse_count(optarg);
			break;
		case 'h':
			print_help();
			exit(EXIT_SUCCESS);
		case 'J':
			json = true;
			break;
		case 'n':
			noheadings = true;
			break;
		case 'o':
			output = optarg;
			break;
		case OPT_OUTPUT_ALL:
			all = true;
			break;
		case 'p':
			prometheus = true;
			break;
		case 'q':
			quiet = true;
			break;
		case 'r':
			raw = true;
			break;
		case OPT_SYSROOT:
			sysroot = optarg;
			break;
		case 'w':
			interval = parse_interval(optarg);
			break;
		default:
			fputs("Try '" PROGRAM " --help'.\n", stderr);
			exit(EXIT_USAGE);
		}
	}
	if (json + prometheus + raw > 1)
		usage_error("only one of --json, --prometheus and --raw");
	if (output && all)
		usage_error("only one of --output and --output-all");
	if (prometheus && (interval || output || all))
		usage_error("--prometheus goes with neither --wait nor --output");
	if (count && !interval)
		usage_error("--count is for --wait");
	if (output)
		choose_columns(output);
	else if (all || json)
		add_all_columns();
	else
		add_default_columns();
}

/* === Start =============================================================== */

static void read_devices(void)
{
	size_t d;

	for (d = 0; d < nr_devices; d++)
		read_device(&devices[d]);
}

static void report(unsigned long nr)
{
	if (prometheus)
		print_prometheus();
	else if (json)
		print_json();
	else if (nr_devices)
		print_table(nr);
	if (fflush(stdout) || ferror(stdout)) {
		complain("cannot write: %s", strerror(errno));
		exit(EXIT_FAILURE);
	}
	if (!nr && !quiet && !json && !prometheus)
		print_notes();
}

/* Reports are due at fixed times.  Skip those that a late report has missed. */
static void report_rates(void)
{
	struct timespec ts;
	double now, next;
	unsigned long nr;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	next = seconds_of(&ts);
	for (nr = 0; !count || nr < count; nr++) {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		now = seconds_of(&ts);
		next += interval;
		if (next < now)
			next = now + interval;
		ts.tv_sec = next;
		ts.tv_nsec = (next - ts.tv_sec) * 1e9;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
			;
		read_devices();
		report(nr);
	}
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	if (optind == argc)
		find_all_devices();
	for (; optind < argc; optind++)
		find_device(argv[optind]);
	read_devices();
	if (interval && nr_devices)
		report_rates();
	else
		report(0);
	free(devices);
	return status;
}
