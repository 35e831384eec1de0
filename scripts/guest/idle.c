/*
 * In the guest: is the machine idle when its swap device is full and nothing of it can be written back?
 * The device has a limit that is too small for 200 MiB of memory. If there is a /dev/disk/backing, it has that
 * as storage, which is too small, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#define PARAM "/sys/module/zswap/parameters/"
#define DEVICE "/sys/block/ramzswap0/"
#define BACKING "/dev/disk/backing"
#define SIZE (200UL << 20)
#define SECONDS 5

static void write_to(const char *path, const char *value)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(value, f) < 0 || fclose(f)) {
		perror(path);
		exit(1);
	}
}

/* Ticks that the CPUs have worked and been idle */
static void cpu_ticks(long *busy, long *idle)
{
	long user, nice, system, wait;
	FILE *f = fopen("/proc/stat", "r");

	if (!f || fscanf(f, "cpu %ld %ld %ld %ld %ld", &user, &nice, &system, idle, &wait) != 5)
		exit(1);
	fclose(f);
	*busy = user + nice + system;
	*idle += wait;
}

/* In KiB; of a device that counts as full, there is none. */
static long swap_free(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long free = -1;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "SwapFree: %ld", &free) == 1)
			break;
	if (f)
		fclose(f);
	return free;
}

int main(void)
{
	long busy, idle, busy_after, idle_after;
	unsigned int *mem;
	size_t i;

	write_to(PARAM "enabled", "Y");
	write_to(DEVICE "mem_limit", "16M");
	if (!access(BACKING, F_OK))
		write_to(DEVICE "backing_dev", BACKING);
	if (swapon("/dev/ramzswap0", 0)) {
		perror("swapon");
		return 1;
	}
	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return 1;
	/* Each page shrinks to two fifths. */
	for (i = 0; i < SIZE / sizeof(*mem); i++)
		mem[i] = i % 1024 < 400 ? rand() : 7;
	madvise(mem, SIZE, MADV_PAGEOUT);
	madvise(mem, SIZE, MADV_PAGEOUT);
	if (swap_free()) {
		printf("the device is not full\n");
		return 1;
	}
	sleep(2);
	cpu_ticks(&busy, &idle);
	sleep(SECONDS);
	cpu_ticks(&busy_after, &idle_after);
	busy = busy_after - busy;
	idle = idle_after - idle;
	printf("%ld ticks busy, %ld idle in %d s\n", busy, idle, SECONDS);
	return busy * 5 > busy + idle;
}
