// SPDX-License-Identifier: GPL-2.0
/*
 * Hostile input: attributes, parameters, swap headers, raw I/O, ioctls, and the
 * contents of the backing device. Refused input changes nothing, no page is ever
 * wrong, and users without the privilege can do none of this.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/blkpg.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "swap_util.h"

#define NODE		"/dev/ramzswap1"
#define NODE_SYSFS	"/sys/block/ramzswap1/"
#define MODULE		"/sys/module/ramzswap/parameters/"
#define NR_PAGES	(4 * MIB / page_size)
#define SECTOR		512
#define MAX_REPORTS	20
#define BLOCKS_AT_ONCE	512	/* damaged, before the pages are read */

static unsigned long nr_inputs = 100000;
static __u64 dice_state = 1;
static unsigned long inputs, accepted, wrong, lost;
static char memcg[256], backing[64];

static unsigned long dice(unsigned long sides)
{
	return (random_next(&dice_state) >> 16) % sides;
}

static bool report(const char *what, const void *input, size_t len)
{
	size_t i;

	if (wrong++ >= MAX_REPORTS)
		return false;
	ksft_print_msg("%s; input %lu, %zu bytes:", what, inputs, len);
	for (i = 0; i < len && i < 64; i++)
		printf(" %02x", ((const unsigned char *)input)[i]);
	printf("\n");
	return false;
}

/* === The state ========================================================== */

static const struct {
	const char *path;
	const char *value;	/* to continue with, NULL if it is read-only */
} files[] = {
	{ ZSWAP_PARAM "enabled", "Y" },
	{ ZSWAP_PARAM "compressor", "lz4" },
	{ ZSWAP_PARAM "cold_compressor", "zstd" },
	{ ZSWAP_PARAM "max_pool_percent", "90" },
	{ ZSWAP_PARAM "accept_threshold_percent", "90" },
	{ ZSWAP_PARAM "shrinker_enabled", "N" },
	{ MODULE "num_devices", NULL },
	{ MODULE "disksize", NULL },
	{ NODE_SYSFS "disksize", "256M" },
	{ NODE_SYSFS "mem_limit", "64M" },
	{ NODE_SYSFS "backing_dev", "none" },
	{ NODE_SYSFS "squeeze", NULL },
	{ NODE_SYSFS "writeback", NULL },
	{ NODE_SYSFS "reset", NULL },
	{ NODE_SYSFS "backing_state", NULL },
	{ NODE_SYSFS "initstate", NULL },
};

#define NR_FILES	ARRAY_SIZE(files)

struct state {
	char values[NR_FILES][128];
	unsigned char header[65536];
};

static unsigned char *buffer;	/* aligned, 256 KiB */

static void state_get(struct state *s)
{
	int fd = open(NODE, O_RDONLY | O_DIRECT);
	unsigned int i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < NR_FILES; i++)
		file_read(files[i].path, s->values[i], sizeof(s->values[i]));
	if (fd >= 0 && pread(fd, buffer, page_size, 0) == (ssize_t)page_size)
		memcpy(s->header, buffer, page_size);
	close(fd);
}

/* Return: whether refused input changed nothing. */
static bool state_same(const struct state *before, const void *input, size_t len)
{
	static struct state now;
	unsigned int i;

	state_get(&now);
	for (i = 0; i < NR_FILES; i++)
		if (strcmp(before->values[i], now.values[i])) {
			ksft_print_msg("%s was %s, is %s\n", files[i].path, before->values[i],
				       now.values[i]);
			return report("refused input changed it", input, len);
		}
	if (memcmp(before->header, now.header, page_size))
		return report("refused input changed the header", input, len);
	return true;
}

/* Return: whether the device is off, and in its initial state. */
static bool state_reset(bool on)
{
	unsigned int i;

	swapoff(NODE);
	if (!file_write(NODE_SYSFS "reset", "1"))
		return report("it cannot be reset", NULL, 0);
	for (i = 0; i < NR_FILES; i++)
		if (files[i].value && !file_write(files[i].path, files[i].value))
			return report(files[i].path, NULL, 0);
	return !on || swap_enable(NODE, 1000) || report("it cannot be swapped on", NULL, 0);
}

/* === Attributes and parameters =========================================== */

static size_t make_value(unsigned char *value, size_t size)
{
	static const char * const words[] = {
		"0", "1", "64M", "1G", "100%", "8192", "none", "\n", "-1", "Y", "N", "lz4", "zstd",
		"lzo", "16E", "18446744073709551615", "0x100000", "1048576\n", "%", "101%", "4K",
		"9223372036854775808", "/dev/null", "/dev/ramzswap0", "/dev/ramzswap1", "/",
		"/proc/self/mem", "../../dev/vda", "/dev/vda", "/sys/kernel/debug", "/tmp/file",
		"deflate", "842", "crct10dif", "lz4 zstd", "12 M",
	};
	const char *word = words[dice(ARRAY_SIZE(words))];
	size_t len = strlen(word), i, at;
	unsigned int changes;

	memcpy(value, word, len);
	for (changes = dice(4); changes; changes--) {
		at = dice(len + 1);
		switch (dice(5)) {
		case 0:		/* another byte */
			value[at] = dice(2) ? dice(256) : value[at] ^ 1 << dice(8);
			len += at == len;
			break;
		case 1:		/* one more */
			memmove(value + at + 1, value + at, len - at);
			value[at] = "0123456789KMGTPE% /-\n"[dice(21)];
			len++;
			break;
		case 2:		/* cut off */
			len = at;
			break;
		case 3:		/* twice */
			memmove(value + len, value, len);
			len *= 2;
			break;
		case 4:
			if (dice(8))
				break;
			len = dice(size);
			for (i = 0; i < len; i++)
				value[i] = dice(256);
		}
		len = len > size / 2 ? size / 2 : len;
	}
	return len;
}

static void fuzz_attribute(void)
{
	static unsigned char value[16384];
	static struct state before;
	const unsigned int which = dice(NR_FILES);
	size_t len = make_value(value, sizeof(value));
	bool done;
	int fd;

	if (inputs % 256 == 0)
		state_reset(inputs & 256);
	state_get(&before);
	fd = open(files[which].path, O_WRONLY);
	done = fd >= 0 && write(fd, value, len) > 0;
	close(fd);
	accepted += done;
	if (!done && !state_same(&before, value, len))
		state_reset(false);
	/* Swapping on terabytes takes long. */
	if (done && file_number(NODE_SYSFS "disksize") > (long long)(1024 * MIB))
		file_write(NODE_SYSFS "disksize", "1G");
}

/* === Swap headers ======================================================== */

static void fuzz_header(void)
{
	static struct state before, after;
	union {
		unsigned char bytes[65536];
		struct {
			unsigned char boot[1024];
			__u32 version, last_page, nr_badpages;
			unsigned char uuid_and_label[32];
			__u32 padding[117], badpages[64];
		} info;
	} h;
	unsigned int changes;
	struct region r;
	size_t len, at;
	bool direct;
	int fd;

	if (inputs % 1024 == 0)
		state_reset(false);
	state_get(&before);
	memcpy(h.bytes, before.header, page_size);
	for (changes = dice(4); changes; changes--)
		switch (dice(9)) {
		case 0:
			h.info.version = dice(2) ? dice(4) : h.info.version << 24;
			break;
		case 1:
			h.info.last_page += dice(2) ? -dice(65536) : dice(65536);
			break;
		case 2:
			h.info.last_page = dice(2) ? dice(4) : random_next(&dice_state);
			break;
		case 3:
			h.info.nr_badpages = dice(2) ? dice(64) : random_next(&dice_state);
			for (at = 0; at < 64; at++)
				h.info.badpages[at] = dice(65536);
			break;
		case 4:
			memcpy(h.bytes + page_size - 10,
			       dice(2) ? "SWAP-SPACE" : "S1SUSPEND\0", 10);
			break;
		case 5:
			h.bytes[page_size - 1 - dice(10)] ^= 1 << dice(8);
			break;
		case 6:
			for (len = dice(64), at = dice(page_size - 64); len; len--)
				h.bytes[at++] = dice(256);
			break;
		case 7:		/* of a machine with the other byte order */
			h.info.version = __builtin_bswap32(h.info.version);
			h.info.last_page = __builtin_bswap32(h.info.last_page);
			break;
		case 8:
			for (at = 0; at < 32; at++)
				h.info.uuid_and_label[at] = dice(256);
			break;
		}
	direct = dice(4);
	at = dice(8) ? 0 : dice(16) * SECTOR;
	len = dice(8) ? page_size : (1 + dice(16)) * SECTOR;
	memcpy(buffer, h.bytes, page_size);
	memset(buffer + page_size, 0, page_size);
	fd = open(NODE, O_RDWR | (direct ? O_DIRECT : 0));
	if (fd < 0 || pwrite(fd, buffer, len, at) != (ssize_t)len || fsync(fd)) {
		/* The page cache still has the pages that it could not write. */
		if (fd >= 0)
			posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
		/* The page cache writes pages one by one: some of them may have been accepted. */
		if (direct || at + len <= page_size)
			state_same(&before, h.bytes + 1024, 64);
		/* A partial write to the page cache may be refused later. */
		file_write(NODE_SYSFS "disksize", "256M");
		return;
	}
	close(fd);
	accepted++;
	state_get(&after);
	if (!at && len >= page_size && memcmp(after.header, h.bytes, page_size))
		report("the header is not what was written", h.bytes + 1024, 64);
	if (!swap_enable(NODE, 1000)) {
		state_same(&after, h.bytes + 1024, 64);
	} else {
		if (region_map(&r, 8, FILL_TEXT, inputs)) {
			region_write_all(&r);
			madvise(r.mem, 8 * page_size, MADV_PAGEOUT);
			if (region_wrong_bytes_all(&r))
				report("a page is wrong", h.bytes + 1024, 64);
			region_unmap(&r);
		}
		if (swapoff(NODE))
			report("it cannot be swapped off", h.bytes + 1024, 64);
	}
	if (memcmp(after.header, before.header, page_size))
		file_write(NODE_SYSFS "disksize", "256M");	/* makes a new one */
}

/* === Raw I/O and ioctls ================================================== */

static void raw_io(int fd, bool direct)
{
	unsigned long size = 256 * MIB, at, len, i;
	bool fits;

	len = dice(4) ? (1 + dice(64)) * SECTOR : dice(128 * 1024);
	if (dice(4))
		at = dice(size / SECTOR) * SECTOR;
	else
		at = dice(2) ? dice(16384) : random_next(&dice_state) >> 1;
	fits = at >= page_size;
	switch (dice(4)) {
	case 0 ... 1:
		memset(buffer, 0xaa, len);
		ssize_t n = pread(fd, buffer, len, at);

		for (i = 0; direct && n > 0 && i < (size_t)n; i++)
			if (at + i >= page_size && buffer[i]) {
				report("there is something to read", &at, sizeof(at));
				break;
			}
		break;
	case 2:
		memset(buffer, 0x55, len);
		if (len && fits && direct && pwrite(fd, buffer, len, at) > 0)
			report("something can be written", &at, sizeof(at));
		else if (len && fits && !direct && pwrite(fd, buffer, len, at) > 0 && !fsync(fd))
			report("something can be written back", &at, sizeof(at));
		break;
	case 3:
		accepted += !fallocate(fd, dice(4) | FALLOC_FL_KEEP_SIZE, at, len);
		break;
	}
}

static void random_ioctl(int fd)
{
	static const unsigned long commands[] = {
		BLKROSET, BLKROGET, BLKRRPART, BLKGETSIZE, BLKFLSBUF, BLKRASET, BLKRAGET,
		BLKSECTGET, BLKSSZGET, BLKBSZGET, BLKBSZSET, BLKGETSIZE64, BLKDISCARD, BLKIOMIN,
		BLKIOOPT, BLKALIGNOFF, BLKPBSZGET, BLKDISCARDZEROES, BLKSECDISCARD, BLKROTATIONAL,
		BLKZEROOUT, BLKPG, FIBMAP, FIGETBSZ, LOOP_SET_FD, LOOP_CLR_FD,
		0x301, /* HDIO_GETGEO */ 0x5382, /* SCSI_IOCTL_GET_IDLUN */ 0x2285, /* SG_IO */
		0x5331, /* CDROM_GET_CAPABILITY */ 0x1282, 0x1283, 0x1284, 0x1285,
	};
	__u64 argument[8];
	unsigned long command = dice(4) ? commands[dice(ARRAY_SIZE(commands))] :
				dice(2) ? 0x1200 + dice(256) : (__u32)random_next(&dice_state);
	int zero = 0;
	unsigned int i;

	for (i = 0; i < 8; i++)
		argument[i] = dice(2) ? dice(64) * SECTOR : random_next(&dice_state);
	accepted += ioctl(fd, command, dice(4) ? (void *)argument : (void *)dice(2)) >= 0;
	/* Anyone who may open the device for writing may do some of them. */
	ioctl(fd, BLKROSET, &zero);
}

static void fuzz_raw(void)
{
	static struct region r;
	static struct state before;
	const bool direct = dice(3);
	int fd;

	if (inputs % 256 == 0 || !r.mem) {
		if (!r.mem && !region_map(&r, NR_PAGES, FILL_MIXED, 5))
			return;
		if (region_wrong_bytes_all(&r))
			report("a page is wrong", NULL, 0);
		region_unmap(&r);
		state_reset(true);
		region_map(&r, NR_PAGES, FILL_MIXED, inputs);
		region_write_all(&r);
		madvise(r.mem, NR_PAGES * page_size, MADV_PAGEOUT);
		state_get(&before);
	}
	fd = open(NODE, (dice(4) ? O_RDWR : O_RDONLY) | (direct ? O_DIRECT : 0));
	if (fd < 0)
		return;
	if (dice(2))
		raw_io(fd, direct);
	else
		random_ioctl(fd);
	close(fd);
	if (inputs % 16 == 0)
		state_same(&before, NULL, 0);
}

/* === The contents of the backing device ================================== */

static void read_or_lose(struct region *r, unsigned long i)
{
	unsigned char copy[page_size];

	if (!page_copy(copy, region_page(r, i))) {
		lost++;
		madvise(region_page(r, i), page_size, MADV_DONTNEED);
		region_mark_zero(r, i, 1);
	} else if (region_wrong_bytes(r, i, 1)) {
		report("a page of the backing device is wrong", &i, sizeof(i));
	}
}

/* Damage a block, in one of the ways that disks and their owners have. */
static void damage(int fd, unsigned long nr_blocks, const unsigned char *old)
{
	const unsigned long block = dice(nr_blocks), other = dice(nr_blocks);
	unsigned char *a = buffer, *b = buffer + page_size;
	unsigned long i, from;

	if (pread(fd, a, page_size, block * page_size) < 0 ||
	    pread(fd, b, page_size, other * page_size) < 0)
		return;
	switch (dice(6)) {
	case 0:
		for (i = 1 + dice(4); i; i--)
			a[dice(page_size)] ^= 1 << dice(8);
		break;
	case 1:		/* two are exchanged */
		pwrite(fd, a, page_size, other * page_size);
		memcpy(a, b, page_size);
		break;
	case 2:		/* a write went to the wrong place */
		memcpy(a, b, page_size);
		break;
	case 3:		/* a write was lost: what was there before */
		memcpy(a, old + block * page_size, page_size);
		break;
	case 4:		/* a write was torn, between sectors */
		from = dice(page_size / SECTOR) * SECTOR;
		memcpy(a + from, old + block * page_size + from, page_size - from);
		break;
	case 5:
		from = dice(2);
		for (i = 0; i < page_size; i++)
			a[i] = from ? dice(256) : 0;
		break;
	}
	pwrite(fd, a, page_size, block * page_size);
	fsync(fd);
}

static bool fuzz_blocks(const char *disk, unsigned long end)
{
	unsigned long nr_blocks, i, round, pages = 16 * MIB / page_size;
	int fd = open(disk, O_RDWR | O_DIRECT);
	unsigned char *old;
	char path[300];
	struct region r;
	long long spilled = 0;

	nr_blocks = lseek(fd, 0, SEEK_END) / page_size;
	old = mmap(NULL, nr_blocks * page_size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || old == MAP_FAILED || attr_write("reset", "1") ||
	    attr_write("disksize", "128M") || attr_write("backing_dev", backing) || !device_on())
		return report("no backing device", NULL, 0);
	mlock(old, nr_blocks * page_size);
	if (!region_map(&r, pages, FILL_TEXT, 7) || !memcg_enter(memcg))
		return false;
	snprintf(path, sizeof(path), "%s/memory.reclaim", memcg);
	for (round = 0; inputs < end; round++) {
		/* Compressed pages, several to a block, or a page in each */
		file_write(ZSWAP_PARAM "enabled", round % 3 ? "Y" : "N");
		attr_write("mem_limit", "256K");
		region_write_all(&r);
		for (i = 0; i < 4; i++) {
			madvise(r.mem, pages * page_size, MADV_PAGEOUT);
			file_write_number(path, pages * page_size);
			usleep(10000);
		}
		spilled += stat_of("pages_spilled");
		for (i = 0; i < BLOCKS_AT_ONCE && inputs < end; i++, inputs++)
			damage(fd, nr_blocks, old);
		for (i = 0; i < pages; i++)
			read_or_lose(&r, round & 1 ? i : pages - 1 - i);
		/* The present contents are old by then. */
		for (i = 0; i < nr_blocks; i += 32)
			if (pread(fd, buffer, 32 * page_size, i * page_size) > 0)
				memcpy(old + i * page_size, buffer,
				       (nr_blocks - i < 32 ? nr_blocks - i : 32) * page_size);
	}
	ksft_print_msg("%lu rounds, %lld pages were on the backing device, %lu were lost\n", round,
		       spilled, lost);
	region_unmap(&r);
	if (swapoff(DEVICE_PATH))
		report("it cannot be swapped off", NULL, 0);
	file_write(ZSWAP_PARAM "enabled", "Y");
	attr_write("reset", "1");
	close(fd);
	return spilled && lost;
}

/* === Without privileges ================================================== */

enum who { NOBODY, NAMESPACE_ROOT, NO_CAPABILITY };

static bool drop_capability(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN) || syscall(SYS_capget, &header, data))
		return false;
	data[0].effective &= ~(1U << CAP_SYS_ADMIN);
	data[0].permitted &= ~(1U << CAP_SYS_ADMIN);
	return !syscall(SYS_capset, &header, data);
}

static bool become(enum who who)
{
	switch (who) {
	case NOBODY:
		return !setgid(65534) && !setuid(65534);
	case NAMESPACE_ROOT:
		/* Root in a user namespace, nobody outside */
		return !setgid(65534) && !setuid(65534) && !prctl(PR_SET_DUMPABLE, 1) &&
		       !unshare(CLONE_NEWUSER | CLONE_NEWNS) &&
		       file_write("/proc/self/setgroups", "deny") &&
		       file_write("/proc/self/uid_map", "0 65534 1") &&
		       file_write("/proc/self/gid_map", "0 65534 1") && !getuid();
	case NO_CAPABILITY:
		return drop_capability();
	}
	return false;
}

/*
 * Root without CAP_SYS_ADMIN owns the parameter files and the device node, as for
 * any other module and disk, so do not try these.
 */
static int try_all(enum who who)
{
	int done = 0, fd;
	unsigned int i;

	if (!become(who))
		return 255;
	for (i = 0; i < NR_FILES; i++) {
		const char *value = files[i].value ? files[i].value : "1";

		if (who == NO_CAPABILITY && strncmp(files[i].path, NODE_SYSFS, strlen(NODE_SYSFS)))
			continue;
		if (file_write(files[i].path, value)) {
			ksft_print_msg("%u could write %s\n", who, files[i].path);
			done++;
		}
	}
	if (swap_enable(NODE, 5) || !swapoff(NODE) || swap_enable(DEVICE_PATH, 5) ||
	    !swapoff(DEVICE_PATH)) {
		ksft_print_msg("%u could swap on or off\n", who);
		done++;
	}
	fd = open(NODE, O_RDONLY);
	if (who != NO_CAPABILITY && fd >= 0) {
		ksft_print_msg("%u could read it\n", who);
		done++;
	}
	if (who != NO_CAPABILITY && open(NODE, O_RDWR) >= 0)
		done++;
	return done;
}

static void without_privileges(enum who who, const char *name)
{
	static struct state before;
	int status = 0, on;
	pid_t pid;

	for (on = 0; on < 2 && !status; on++) {
		state_reset(on);
		state_get(&before);
		pid = fork();
		if (!pid)
			_exit(try_all(who));
		status = child_status(pid);
		if (!status)
			status = !state_same(&before, name, strlen(name));
	}
	if (status == 255)
		ksft_test_result_skip("%s: not here\n", name);
	else
		ksft_test_result(!status, "%s is refused all of it\n", name);
}

/* === All together ======================================================== */

static void phase(const char *name, void (*fuzz)(void), unsigned long percent)
{
	const unsigned long before = inputs, end = before + nr_inputs * percent / 100;
	const double start = seconds_now();

	wrong = 0;
	accepted = 0;
	for (; inputs < end; inputs++)
		fuzz();
	state_reset(false);
	ksft_print_msg("%s: %lu inputs in %.0f s, %lu of them were accepted\n", name,
		       inputs - before, seconds_now() - start, accepted);
	ksft_test_result(!wrong && accepted, "%s\n", name);
}

int main(int argc, char **argv)
{
	const char *reason, *disk = NULL;
	char real[80];
	int c;

	while ((c = getopt(argc, argv, "n:s:b:")) != -1) {
		if (c == 'n')
			nr_inputs = strtoul(optarg, NULL, 0);
		else if (c == 's')
			dice_state = strtoull(optarg, NULL, 0);
		else if (c == 'b')
			disk = optarg;
		else
			ksft_exit_fail_msg("Usage: %s -b disk [-n inputs] [-s seed]\n", argv[0]);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	ksft_print_header();
	reason = test_begin();
	if (!reason && access(NODE, F_OK))
		reason = "two ramzswap devices are needed (ramzswap.num_devices=2)";
	if (!reason && (!disk || !realpath(disk, real) || !dm_create(real, backing, 0)))
		reason = "no disk for the backing device (-b), or no device mapper";
	if (!reason && !memcg_create("fuzz", memcg, sizeof(memcg)))
		reason = "no cgroup with a memory controller";
	if (reason)
		ksft_exit_skip("%s\n", reason);
	buffer = mmap(NULL, 256 * 1024, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffer == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	test_stay_resident();
	ksft_set_plan(8);

	without_privileges(NOBODY, "a user without privileges");
	without_privileges(NAMESPACE_ROOT, "root in a user namespace");
	without_privileges(NO_CAPABILITY, "root without CAP_SYS_ADMIN");
	phase("attributes and parameters", fuzz_attribute, 40);
	phase("swap headers", fuzz_header, 20);
	phase("raw I/O and ioctls", fuzz_raw, 20);
	wrong = 0;
	ksft_test_result(fuzz_blocks(real, nr_inputs) && !wrong,
			 "the contents of the backing device\n");
	ksft_print_msg("%lu inputs\n", inputs);
	ksft_test_result(!stat_of("pages_stored") && dm_remove() &&
			 !device_stat("ramzswap1", "pages_stored"), "nothing is left\n");
	ksft_finished();
}
