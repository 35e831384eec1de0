// SPDX-License-Identifier: GPL-2.0
/*
 * Fill a redis-server with records, read every one back, compare every byte, and watch the compressed
 * swap while it happens.
 *
 * Usage: redisload SOCKET KEYS [STATS]
 *
 * A record is what a web application would keep: JSON of a few hundred bytes with names, text, numbers
 * and a random token. It follows from its key alone, so it need not be remembered to be verified.
 *
 * STATS is a file of "name value" lines, /sys/kernel/debug/ramzswap/stats by default; or, to try the
 * program on a kernel without the series, the directory /sys/kernel/debug/zswap. Exit status: 0 only if
 * every record was written and came back unchanged, and pages were in the compressed swap.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BATCH		64		/* commands sent before their answers are read */
#define REPORT_SECONDS	5

/* === Records ============================================================ */

static const char * const words[] = {
	"the", "of", "and", "to", "in", "order", "customer", "is", "was", "for", "delivery", "with",
	"please", "address", "on", "parcel", "by", "at", "from", "neighbour", "returned", "after",
	"warranty", "request", "which", "were", "invoice", "payment", "has", "been", "confirmed",
	"their", "an", "item", "damaged", "replacement", "sent", "first", "class", "contact", "phone",
	"not", "reachable", "morning", "afternoon", "they", "would", "have", "express", "courier",
	"storage", "location", "change", "subscription", "monthly", "newsletter", "cancelled", "open",
	"support", "ticket", "priority", "escalated", "resolved", "waiting",
};
static const char * const names[] = {
	"Anna", "Luis", "Mehmet", "Chiara", "Jonas", "Fatima", "Olga", "Pierre", "Yuki", "Ravi",
	"Ingrid", "Kwame", "Noor", "Tomasz", "Elena", "Samuel", "Priya", "Hugo", "Leila", "Marek",
};
static const char * const surnames[] = {
	"Schmidt", "Garcia", "Yilmaz", "Rossi", "Lindqvist", "Haddad", "Petrova", "Moreau", "Tanaka",
	"Sharma", "Nielsen", "Mensah", "Rahman", "Kowalski", "Popescu", "Okafor", "Iyer", "Silva",
	"Novak", "Jansen", "Murphy", "Costa", "Fischer", "Ivanov", "Dubois", "Sato",
};
static const char * const cities[] = {
	"Berlin", "Madrid", "Izmir", "Milano", "Malmo", "Amman", "Kazan", "Lyon", "Osaka", "Pune",
	"Aarhus", "Accra", "Dhaka", "Krakow", "Cluj", "Lagos", "Chennai", "Porto", "Brno", "Utrecht",
};
static const char * const states[] = { "active", "suspended", "pending", "closed" };

#define PICK(array, rng) ((array)[next(rng) % (sizeof(array) / sizeof(*(array)))])

/* splitmix64 */
static uint64_t next(uint64_t *rng)
{
	uint64_t z = *rng += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

struct text {
	char data[2048];
	size_t len;
};

static void put(struct text *t, const char *s)
{
	size_t len = strlen(s);

	memcpy(t->data + t->len, s, len);
	t->len += len;
}

static void put_number(struct text *t, uint64_t n, int digits)
{
	char buf[24];
	int i = sizeof(buf) - 1;

	buf[i] = 0;
	do {
		buf[--i] = '0' + n % 10;
		n /= 10;
		digits--;
	} while (n || digits > 0);
	put(t, buf + i);
}

static void put_token(struct text *t, uint64_t n)
{
	for (int i = 0; i < 16; i++, n >>= 4)
		t->data[t->len++] = "0123456789abcdef"[n & 15];
}

static void record(struct text *t, uint64_t key)
{
	uint64_t seed = key, *rng = &seed;
	const char *first, *last;

	next(rng);
	first = PICK(names, rng);
	last = PICK(surnames, rng);
	t->len = 0;
	put(t, "{\"id\":");
	put_number(t, key, 1);
	put(t, ",\"name\":\"");
	put(t, first);
	put(t, " ");
	put(t, last);
	put(t, "\",\"email\":\"");
	put(t, first);
	put(t, ".");
	put(t, last);
	put_number(t, next(rng) % 1000, 1);
	put(t, "@example.org\",\"city\":\"");
	put(t, PICK(cities, rng));
	put(t, "\",\"postcode\":\"");
	put_number(t, next(rng) % 100000, 5);
	put(t, "\",\"state\":\"");
	put(t, PICK(states, rng));
	put(t, "\",\"balance\":");
	put_number(t, next(rng) % 100000, 1);
	put(t, ".");
	put_number(t, next(rng) % 100, 2);
	put(t, ",\"created\":\"20");
	put_number(t, 10 + next(rng) % 15, 2);
	put(t, "-");
	put_number(t, 1 + next(rng) % 12, 2);
	put(t, "-");
	put_number(t, 1 + next(rng) % 28, 2);
	put(t, "\",\"session\":\"");
	put_token(t, next(rng));
	put_token(t, next(rng));
	put(t, "\",\"notes\":\"");
	for (int n = 30 + next(rng) % 40; n; n--) {
		put(t, PICK(words, rng));
		put(t, n > 1 ? " " : ".");
	}
	put(t, "\"}");
}

/* === The redis protocol ================================================= */

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("error: ", stdout);
	vprintf(format, args);
	puts("");
	exit(1);
}

static FILE *to_redis, *from_redis;

static void connect_redis(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (void *)&addr, sizeof(addr)))
		die("no redis-server answers at %s: %s", path, strerror(errno));
	to_redis = fdopen(fd, "w");
	from_redis = fdopen(dup(fd), "r");
	setvbuf(to_redis, NULL, _IOFBF, 1 << 17);
	setvbuf(from_redis, NULL, _IOFBF, 1 << 17);
}

static void send_set(const char *key, const struct text *value)
{
	fprintf(to_redis, "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(key), key, value->len);
	fwrite(value->data, 1, value->len, to_redis);
	fputs("\r\n", to_redis);
}

static void send_get(const char *key)
{
	fprintf(to_redis, "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", strlen(key), key);
}

static const char *answer(void)
{
	static char line[256];

	if (!fgets(line, sizeof(line), from_redis))
		die("redis-server hung up (killed for lack of memory?)");
	line[strcspn(line, "\r\n")] = 0;
	return line;
}

/* The value of a GET; false if there is none. */
static bool answer_value(struct text *value)
{
	const char *line = answer();
	char end[2];
	long len;

	if (*line != '$')
		die("redis-server says: %s", line);
	len = atol(line + 1);
	if (len < 0)
		return false;
	value->len = len;
	if (value->len > sizeof(value->data))
		die("a value of %ld bytes came back", len);
	if (fread(value->data, 1, len, from_redis) != value->len || fread(end, 1, 2, from_redis) != 2)
		die("redis-server hung up in the middle of a value");
	return true;
}

/* === Watching the swap ================================================== */

static const char *stats_path = "/sys/kernel/debug/ramzswap/stats";

struct stats {
	unsigned long pages_stored, orig, compr, used;
};

/* What mainline's zswap tells in its directory: a file each, and no size of the compressed data. */
static bool read_zswap_stats(struct stats *s)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/stored_pages", stats_path);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fscanf(f, "%lu", &s->pages_stored) != 1)
		die("%s: unreadable", path);
	fclose(f);
	snprintf(path, sizeof(path), "%s/pool_total_size", stats_path);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%lu", &s->used) != 1)
		die("%s: unreadable", path);
	fclose(f);
	s->orig = s->pages_stored * sysconf(_SC_PAGESIZE);
	return true;
}

static void read_stats(struct stats *s)
{
	FILE *f;
	char name[64];
	unsigned long value;
	char line[256];

	memset(s, 0, sizeof(*s));
	if (read_zswap_stats(s))
		return;
	f = fopen(stats_path, "r");
	if (!f)
		die("%s: %s (is this the kernel with the series, and debugfs mounted?)",
		    stats_path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %lu", name, &value) != 2)
			continue;
		if (!strcmp(name, "pages_stored"))
			s->pages_stored = value;
		else if (!strcmp(name, "orig_data_size"))
			s->orig = value;
		else if (!strcmp(name, "compr_data_size"))
			s->compr = value;
		else if (!strcmp(name, "mem_used_total"))
			s->used = value;
	}
	fclose(f);
}

static struct stats peak;
static unsigned long peak_swap;

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Called often: looks at the swap once a second, and says something every few seconds. */
static void watch(const char *what, unsigned long done, unsigned long all)
{
	static double start, looked, said;
	double now = seconds();
	struct sysinfo info;
	struct stats s;
	unsigned long swap;

	if (!start)
		start = now;
	if (done < all && now - looked < 1)
		return;
	looked = now;
	read_stats(&s);
	sysinfo(&info);
	swap = (info.totalswap - info.freeswap) * info.mem_unit >> 20;
	if (s.pages_stored > peak.pages_stored)
		peak = s;
	if (swap > peak_swap)
		peak_swap = swap;
	if (done < all && now - said < REPORT_SECONDS)
		return;
	said = now;
	printf("[%3.0f s] %s %lu/%lu keys, pages_stored %lu, swap used %lu MiB, free %lu MiB\n",
	       now - start, what, done, all, s.pages_stored, swap,
	       info.freeram * info.mem_unit >> 20);
}

/* === The job ============================================================ */

static const char *key_name(unsigned long key)
{
	static char name[32];

	snprintf(name, sizeof(name), "customer:%lu", key);
	return name;
}

static unsigned long write_all(unsigned long keys, unsigned long *bytes)
{
	unsigned long key, end, written = 0;
	struct text value;

	for (key = 0; key < keys; key = end) {
		end = key + BATCH < keys ? key + BATCH : keys;
		for (unsigned long k = key; k < end; k++) {
			record(&value, k);
			send_set(key_name(k), &value);
			*bytes += value.len;
		}
		fflush(to_redis);
		for (unsigned long k = key; k < end; k++) {
			const char *line = answer();

			if (!strcmp(line, "+OK"))
				written++;
			else
				printf("error: redis-server does not take %s: %s\n", key_name(k), line);
		}
		watch("written", end, keys);
	}
	return written;
}

static unsigned long verify_all(unsigned long keys, unsigned long *mismatches)
{
	unsigned long key, end, verified = 0;
	struct text value, expected;

	for (key = 0; key < keys; key = end) {
		end = key + BATCH < keys ? key + BATCH : keys;
		for (unsigned long k = key; k < end; k++)
			send_get(key_name(k));
		fflush(to_redis);
		for (unsigned long k = key; k < end; k++) {
			bool there = answer_value(&value);

			record(&expected, k);
			if (there && value.len == expected.len &&
			    !memcmp(value.data, expected.data, value.len)) {
				verified++;
				continue;
			}
			if ((*mismatches)++ < 10)
				printf("error: %s is %s\n  expected %.*s\n  got      %.*s\n",
				       key_name(k), there ? "not what was written" : "lost",
				       (int)expected.len, expected.data,
				       there ? (int)value.len : 0, value.data);
		}
		watch("verified", end, keys);
	}
	return verified;
}

int main(int argc, char **argv)
{
	unsigned long keys, written, verified, mismatches = 0, bytes = 0;
	struct sysinfo info;

	if (argc < 3)
		die("usage: %s SOCKET KEYS [STATS]", argv[0]);
	keys = strtoul(argv[2], NULL, 10);
	if (argc > 3)
		stats_path = argv[3];
	setvbuf(stdout, NULL, _IOLBF, 0);
	connect_redis(argv[1]);

	written = write_all(keys, &bytes);
	verified = verify_all(keys, &mismatches);

	sysinfo(&info);
	printf("data: %lu MiB in %lu records, on a machine with %lu MiB of RAM; peak of swap: %lu MiB\n",
	       bytes >> 20, keys, info.totalram * info.mem_unit >> 20, peak_swap);
	printf("keys written: %lu\n", written);
	printf("keys verified: %lu\n", verified);
	printf("mismatches: %lu\n", mismatches);
	printf("at the peak: %lu pages stored, compression ratio %.2f, %.1f MiB in %.1f MiB of memory, %.1f MiB saved\n",
	       peak.pages_stored, peak.compr ? (double)peak.orig / peak.compr : 0.0,
	       peak.orig / 1048576.0, peak.used / 1048576.0,
	       ((double)peak.orig - peak.used) / 1048576.0);

	if (mismatches || verified != written || written != keys)
		die("the data did not survive");
	if (!peak.pages_stored)
		die("nothing was ever stored in the compressed swap (%s)", stats_path);
	if (bytes >> 20 <= info.totalram * info.mem_unit >> 20)
		die("the data fits into RAM: more keys are needed");
	return 0;
}
