// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measure zbud and zsmalloc side by side: the same objects in the same order.
 *
 * In debugfs, zbud_benchmark/:
 *
 *   sizes       the sizes of the objects, as binary 16-bit numbers.  They are
 *               used in a shuffled order, again and again.
 *   objects     how many objects are stored at a time
 *   threads     how many threads contend
 *   operations  how many operations each of these does
 *   one_stores  whether one thread stores the initial objects of all threads, as
 *               kswapd may do, or each thread its own
 *   measure     write an allocator's name: speed and memory, one thread
 *   contend     write an allocator's name: many threads on one pool
 *   results     of the last run: lines of a name and a number
 *
 * All times are in nanoseconds.  A run takes all the memory that the objects
 * need, so do not run it on a production machine.
 */

#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/init.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/prandom.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/seq_buf.h>
#include <linux/sort.h>
#include <linux/timex.h>
#include <linux/topology.h>
#include <linux/zbud.h>
#include <linux/zsmalloc.h>
#include "../slab.h"

#define SEED			20100217
#define MAX_SIZES		262144
#define MAX_OBJECTS		1000000
#define MAX_THREADS		64
#define REFILL_ROUNDS		6
#define CALIBRATION_MS		20
#define CALIBRATION_READS	1001
/* What zswap passes. */
#define BENCH_GFP		(GFP_NOWAIT | __GFP_NORETRY | __GFP_HIGHMEM | \
				 __GFP_MOVABLE)

/* When to look how many pages a burst of frees gave back, in ms. */
static const unsigned int burst_ms[] = { 0, 10, 50, 100, 200, 500, 1000 };

static DEFINE_MUTEX(bench_lock); /* guards everything below */
static u16 sizes[MAX_SIZES];
static unsigned int nr_sizes;
static u32 nr_objects = 60000;
static u32 nr_threads = 8;
static u32 nr_operations = 100000;
static bool one_stores;
static char results_text[PAGE_SIZE];
static struct seq_buf results;
/* An object's contents: up to PAGE_SIZE bytes of this, from any byte on */
static u8 pattern[2 * PAGE_SIZE];

/* === The allocators ====================================================== */

/*
 * How zswap uses each allocator, or used it.  @handle is the owner's word.
 */
struct allocator {
	const char *name;
	void *(*create)(void);
	void (*destroy)(void *pool);
	int (*store)(void *pool, unsigned long *handle, const void *src,
		     size_t len);
	int (*read_begin)(void *pool, unsigned long *handle,
			  struct scatterlist *sg, size_t len);
	void (*read_end)(void *pool, unsigned long *handle,
			 struct scatterlist *sg);
	void (*free)(void *pool, unsigned long *handle);
	unsigned long (*pages)(void *pool);
	size_t (*meta_bytes)(void *pool);
};

static void *zbud_bench_create(void)
{
	return zbud_create_pool();
}

static void zbud_bench_destroy(void *pool)
{
	zbud_destroy_pool(pool);
}

static int zbud_bench_store(void *pool, unsigned long *handle, const void *src,
			    size_t len)
{
	return zbud_store(pool, src, len, BENCH_GFP, numa_node_id(), handle);
}

static int zbud_bench_read_begin(void *pool, unsigned long *handle,
				 struct scatterlist *sg, size_t len)
{
	return zbud_read_begin(pool, handle, sg, len);
}

static void zbud_bench_read_end(void *pool, unsigned long *handle,
				struct scatterlist *sg)
{
	zbud_read_end(sg);
}

static void zbud_bench_free(void *pool, unsigned long *handle)
{
	zbud_free(pool, handle);
}

static unsigned long zbud_bench_pages(void *pool)
{
	return zbud_total_pages(pool);
}

static size_t zbud_bench_meta_bytes(void *pool)
{
	return zbud_meta_bytes(pool);
}

static void *zs_bench_create(void)
{
	return zs_create_pool("zbud_benchmark");
}

static void zs_bench_destroy(void *pool)
{
	zs_destroy_pool(pool);
}

static int zs_bench_store(void *pool, unsigned long *handle, const void *src,
			  size_t len)
{
	*handle = zs_malloc(pool, len, BENCH_GFP, numa_node_id());
	if (IS_ERR_VALUE(*handle))
		return (int)*handle;
	zs_obj_write(pool, *handle, (void *)src, len);
	return 0;
}

static int zs_bench_read_begin(void *pool, unsigned long *handle,
			       struct scatterlist *sg, size_t len)
{
	zs_obj_read_sg_begin(pool, *handle, sg, len);
	return 0;
}

static void zs_bench_read_end(void *pool, unsigned long *handle,
			      struct scatterlist *sg)
{
	zs_obj_read_sg_end(pool, *handle);
}

static void zs_bench_free(void *pool, unsigned long *handle)
{
	zs_free(pool, *handle);
}

static unsigned long zs_bench_pages(void *pool)
{
	return zs_get_total_pages(pool);
}

/*
 * The slabs of the two caches that zsmalloc has for handles and for struct
 * zspage.  Whole slabs count, because the system loses whole slabs.  To attribute
 * all of them to this pool, boot with slab_nomerge, and have no other pools.  The
 * pool and its size classes, some 50 KiB, do not count.  Without
 * CONFIG_SLUB_DEBUG the kernel does not count slabs, and the result is 0.
 */
static size_t zs_bench_meta_bytes(void *pool)
{
	struct kmem_cache *s;
	size_t bytes = 0;

	if (!IS_ENABLED(CONFIG_SLUB_DEBUG))
		return 0;

	guard(mutex)(&slab_mutex);
	list_for_each_entry(s, &slab_caches, list) {
		struct slabinfo info = {};

		if (strcmp(s->name, "zs_handle") && strcmp(s->name, "zspage"))
			continue;
		kmem_cache_shrink(s);
		get_slabinfo(s, &info);
		bytes += info.num_slabs * (PAGE_SIZE << info.cache_order);
	}
	return bytes;
}

static const struct allocator allocators[] = {
	{
		.name = "zsmalloc",
		.create = zs_bench_create,
		.destroy = zs_bench_destroy,
		.store = zs_bench_store,
		.read_begin = zs_bench_read_begin,
		.read_end = zs_bench_read_end,
		.free = zs_bench_free,
		.pages = zs_bench_pages,
		.meta_bytes = zs_bench_meta_bytes,
	}, {
		.name = "zbud",
		.create = zbud_bench_create,
		.destroy = zbud_bench_destroy,
		.store = zbud_bench_store,
		.read_begin = zbud_bench_read_begin,
		.read_end = zbud_bench_read_end,
		.free = zbud_bench_free,
		.pages = zbud_bench_pages,
		.meta_bytes = zbud_bench_meta_bytes,
	},
};

/* === Time ================================================================ */

static unsigned long ns_per_mcycle;	/* ns for 2^20 cycles */
static u32 clock_overhead;		/* cycles between two reads of the clock */

/*
 * The cheapest clock.  On User-mode Linux, any other one costs a system call of
 * the host.
 */
static __always_inline u64 bench_cycles(void)
{
#ifdef CONFIG_X86_64
	u32 low, high;

	asm volatile("lfence; rdtsc; lfence" : "=a" (low), "=d" (high) : : "memory");
	return (u64)high << 32 | low;
#else
	return ktime_get_ns();
#endif
}

static int compare_u32(const void *a, const void *b)
{
	return cmp_int(*(const u32 *)a, *(const u32 *)b);
}

static void calibrate(void)
{
	static u32 reads[CALIBRATION_READS];
	u64 cycles, ns, end;
	unsigned int i;

	ns = ktime_get_ns();
	cycles = bench_cycles();
	while ((end = ktime_get_ns()) < ns + CALIBRATION_MS * NSEC_PER_MSEC)
		cpu_relax();
	cycles = bench_cycles() - cycles;
	ns_per_mcycle = div64_u64((end - ns) << 20, cycles);

	for (i = 0; i < CALIBRATION_READS; i++) {
		u64 start = bench_cycles();

		reads[i] = bench_cycles() - start;
	}
	sort(reads, CALIBRATION_READS, sizeof(*reads), compare_u32, NULL);
	clock_overhead = reads[CALIBRATION_READS / 2];
}

/* How long single operations took, in cycles. */
struct samples {
	unsigned int nr;
	u32 *cycles;
};

/* Also lets others run, among them zbud's own workers. */
static void sample_add(struct samples *samples, u64 cycles)
{
	cycles -= min_t(u64, cycles, clock_overhead);
	samples->cycles[samples->nr++] = min_t(u64, cycles, U32_MAX);
	cond_resched();
}

static void report_ns(const char *name, const char *what, u64 cycles)
{
	u64 tenths = (cycles * 10 * ns_per_mcycle) >> 20;

	seq_buf_printf(&results, "%s_%s %llu.%llu\n", name, what, tenths / 10,
		       tenths % 10);
}

/*
 * The mean leaves out the slowest thousandth: other work of the machine and of its
 * host interrupts these operations.  The 99.9th percentile is where they begin.
 */
static void report_samples(const char *name, struct samples *samples)
{
	unsigned int i, nr = samples->nr - samples->nr / 1000;
	u64 sum = 0;

	sort(samples->cycles, samples->nr, sizeof(u32), compare_u32, NULL);
	for (i = 0; i < nr; i++)
		sum += samples->cycles[i];
	report_ns(name, "mean", div_u64(sum, nr));
	report_ns(name, "median", samples->cycles[samples->nr / 2]);
	report_ns(name, "p999", samples->cycles[nr - 1]);
	samples->nr = 0;
}

/* === A run =============================================================== */

struct object {
	unsigned long handle;
	u32 size;	/* 0 if there is none */
	u32 offset;	/* its contents in the pattern */
};

struct run {
	const struct allocator *alloc;
	void *pool;
	struct rnd_state rnd;
	u32 *queue;		/* sizes in the order of their use */
	unsigned int next;	/* in the queue */
	struct object *objects;
	u32 *order;		/* the objects' numbers, shuffled */
	unsigned int nr;	/* objects */
	u8 *buffer;
	struct samples store, read, free;
};

static void shuffle(struct rnd_state *rnd, u32 *array, unsigned int nr)
{
	for (; nr > 1; nr--) {
		u32 other = prandom_u32_state(rnd) % nr;

		swap(array[nr - 1], array[other]);
	}
}

static int bench_store(struct run *run, struct object *object)
{
	u64 start;
	int err;

	object->size = run->queue[run->next++ % nr_sizes];
	object->offset = prandom_u32_state(&run->rnd) % PAGE_SIZE;
	start = bench_cycles();
	err = run->alloc->store(run->pool, &object->handle,
				pattern + object->offset, object->size);
	sample_add(&run->store, bench_cycles() - start);
	if (err)
		object->size = 0;
	return err;
}

/* Return: -EIO if the object does not have the contents that were stored. */
static int bench_read(struct run *run, struct object *object)
{
	struct scatterlist list[ZBUD_SG_ENTRIES], *sg;
	size_t len = 0;
	u64 start;
	int err;

	start = bench_cycles();
	err = run->alloc->read_begin(run->pool, &object->handle, list,
				     object->size);
	if (err)
		return err;
	for (sg = list; sg; sg = sg_next(sg)) {
		void *addr = kmap_local_page(sg_page(sg));

		if (len + sg->length <= PAGE_SIZE)
			memcpy(run->buffer + len, addr + sg->offset, sg->length);
		len += sg->length;
		kunmap_local(addr);
	}
	run->alloc->read_end(run->pool, &object->handle, list);
	sample_add(&run->read, bench_cycles() - start);

	return len == object->size &&
	       !memcmp(run->buffer, pattern + object->offset, len) ? 0 : -EIO;
}

static void bench_free(struct run *run, struct object *object)
{
	u64 start = bench_cycles();

	run->alloc->free(run->pool, &object->handle);
	sample_add(&run->free, bench_cycles() - start);
	object->size = 0;
}

static int read_all(struct run *run, const char *name)
{
	unsigned int i;
	int err;

	shuffle(&run->rnd, run->order, run->nr);
	for (i = 0; i < run->nr; i++) {
		err = bench_read(run, &run->objects[run->order[i]]);
		if (err)
			return err;
	}
	report_samples(name, &run->read);
	return 0;
}

static void free_random_half(struct run *run)
{
	unsigned int i;

	shuffle(&run->rnd, run->order, run->nr);
	for (i = 0; i < run->nr / 2; i++)
		bench_free(run, &run->objects[run->order[i]]);
	run->free.nr = 0;
}

static int refill(struct run *run)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < run->nr && !err; i++)
		if (!run->objects[i].size)
			err = bench_store(run, &run->objects[i]);
	return err;
}

static void report_memory(struct run *run, const char *when)
{
	u64 compressed = 0;
	unsigned int i, nr = 0;

	for (i = 0; i < run->nr; i++) {
		nr += !!run->objects[i].size;
		compressed += run->objects[i].size;
	}
	seq_buf_printf(&results, "%s_objects %u\n", when, nr);
	seq_buf_printf(&results, "%s_compressed %llu\n", when, compressed);
	seq_buf_printf(&results, "%s_pool %lu\n", when,
		       run->alloc->pages(run->pool) << PAGE_SHIFT);
	/* Either allocator needs the owner's word for the handle. */
	seq_buf_printf(&results, "%s_meta %zu\n", when,
		       run->alloc->meta_bytes(run->pool) +
		       nr * sizeof(unsigned long));
}

static void watch_burst(struct run *run)
{
	ktime_t start = ktime_get();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(burst_ms); i++) {
		s64 us = ktime_us_delta(ktime_get(), start);

		if (burst_ms[i] * USEC_PER_MSEC > us)
			fsleep(burst_ms[i] * USEC_PER_MSEC - us);
		seq_buf_printf(&results, "burst_pages_%ums %lu\n", burst_ms[i],
			       run->alloc->pages(run->pool));
	}
}

static int measure(struct run *run)
{
	unsigned int i;
	int err;

	err = refill(run);
	if (err)
		return err;
	report_samples("fill_store", &run->store);
	report_memory(run, "full");
	err = read_all(run, "full_read");
	if (err)
		return err;

	seq_buf_printf(&results, "burst_pages_before %lu\n",
		       run->alloc->pages(run->pool));
	free_random_half(run);
	watch_burst(run);
	report_memory(run, "half");

	for (i = 0; i < REFILL_ROUNDS; i++) {
		if (i)
			free_random_half(run);
		run->store.nr = 0;
		err = refill(run);
		if (err)
			return err;
	}
	run->store.nr = 0;
	report_memory(run, "churned");
	err = read_all(run, "churned_read");
	if (err)
		return err;

	for (i = 0; i < run->nr; i++) {
		struct object *object =
			&run->objects[prandom_u32_state(&run->rnd) % run->nr];

		bench_free(run, object);
		err = bench_store(run, object);
		if (err)
			return err;
	}
	report_samples("churn_store", &run->store);
	report_samples("churn_free", &run->free);

	shuffle(&run->rnd, run->order, run->nr);
	for (i = 0; i < run->nr; i++)
		bench_free(run, &run->objects[run->order[i]]);
	report_samples("empty_free", &run->free);
	return 0;
}

static void run_release(struct run *run)
{
	unsigned int i;

	for (i = 0; run->objects && i < run->nr; i++)
		if (run->objects[i].size)
			run->alloc->free(run->pool, &run->objects[i].handle);
	kvfree(run->objects);
	kvfree(run->order);
	kvfree(run->queue);
	kvfree(run->store.cycles);
	kvfree(run->read.cycles);
	kvfree(run->free.cycles);
	kfree(run->buffer);
}

/* run_release() undoes this, even if it fails. */
static int run_prepare(struct run *run, unsigned int nr, unsigned int seed,
		       unsigned int nr_samples)
{
	unsigned int i;

	run->nr = nr;
	prandom_seed_state(&run->rnd, seed);
	run->objects = kvcalloc(nr, sizeof(*run->objects), GFP_KERNEL);
	run->order = kvcalloc(nr, sizeof(u32), GFP_KERNEL);
	run->queue = kvcalloc(nr_sizes, sizeof(u32), GFP_KERNEL);
	run->store.cycles = kvcalloc(nr_samples, sizeof(u32), GFP_KERNEL);
	run->read.cycles = kvcalloc(nr_samples, sizeof(u32), GFP_KERNEL);
	run->free.cycles = kvcalloc(nr_samples, sizeof(u32), GFP_KERNEL);
	run->buffer = kmalloc(PAGE_SIZE, GFP_KERNEL);
	if (!run->objects || !run->order || !run->queue || !run->store.cycles ||
	    !run->read.cycles || !run->free.cycles || !run->buffer)
		return -ENOMEM;

	for (i = 0; i < nr; i++)
		run->order[i] = i;
	for (i = 0; i < nr_sizes; i++)
		run->queue[i] = sizes[i];
	shuffle(&run->rnd, run->queue, nr_sizes);
	return 0;
}

static int bench_measure(const struct allocator *alloc, void *pool)
{
	struct run run = { .alloc = alloc, .pool = pool };
	int err;

	err = run_prepare(&run, nr_objects, SEED, nr_objects);
	if (!err)
		err = measure(&run);
	run_release(&run);
	return err;
}

/* === Contention ========================================================== */

struct contender {
	struct run run;
	struct completion *start;
	struct completion ready;
	struct completion done;
	ktime_t end;
	int err;
};

/* A random object is stored if it is not there; otherwise read, or freed. */
static int contend(struct run *run, unsigned int operations)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < operations && !err; i++) {
		u32 random = prandom_u32_state(&run->rnd);
		struct object *object = &run->objects[random % run->nr];

		if (!object->size)
			err = bench_store(run, object);
		else if (random & BIT(31))
			err = bench_read(run, object);
		else
			bench_free(run, object);
	}
	return err;
}

static int contender_thread(void *data)
{
	struct contender *c = data;

	c->err = refill(&c->run);
	c->run.store.nr = 0;
	complete(&c->ready);
	wait_for_completion(c->start);
	if (!c->err)
		c->err = contend(&c->run, nr_operations);
	c->end = ktime_get();
	complete(&c->done);
	return 0;
}

static int bench_contend(const struct allocator *alloc, void *pool)
{
	DECLARE_COMPLETION_ONSTACK(start);
	unsigned int i, nr_started = 0;
	struct contender *contenders;
	ktime_t begin, end = 0;
	int err = 0;

	contenders = kvcalloc(nr_threads, sizeof(*contenders), GFP_KERNEL);
	if (!contenders)
		return -ENOMEM;
	for (i = 0; i < nr_threads && !err; i++) {
		struct contender *c = &contenders[i];

		c->run.alloc = alloc;
		c->run.pool = pool;
		c->start = &start;
		init_completion(&c->ready);
		init_completion(&c->done);
		err = run_prepare(&c->run, max(nr_objects / nr_threads, 1U),
				  SEED + i, max(nr_operations, nr_objects));
		/* The thread does not store what is there already. */
		if (!err && one_stores)
			err = refill(&c->run);
	}
	for (i = 0; i < nr_threads && !err; i++) {
		err = PTR_ERR_OR_ZERO(kthread_run(contender_thread, &contenders[i],
						  "zbud_bench/%u", i));
		nr_started += !err;
	}

	for (i = 0; i < nr_started; i++)
		wait_for_completion(&contenders[i].ready);
	begin = ktime_get();
	complete_all(&start);
	for (i = 0; i < nr_started; i++) {
		wait_for_completion(&contenders[i].done);
		end = max(end, contenders[i].end);
		err = err ?: contenders[i].err;
	}
	for (i = 0; i < nr_threads; i++)
		run_release(&contenders[i].run);
	kvfree(contenders);
	if (!err)
		seq_buf_printf(&results, "contended_operation %llu\n",
			       div_u64(ktime_to_ns(ktime_sub(end, begin)),
				       nr_threads * nr_operations));
	return err;
}

/* === debugfs ============================================================= */

typedef int (*bench_fn)(const struct allocator *alloc, void *pool);

static int bench(const char *name, bench_fn fn)
{
	const struct allocator *alloc = NULL;
	unsigned int i;
	void *pool;
	int err;

	guard(mutex)(&bench_lock);
	for (i = 0; i < ARRAY_SIZE(allocators); i++)
		if (sysfs_streq(name, allocators[i].name))
			alloc = &allocators[i];
	if (!alloc || !nr_sizes || !nr_objects || nr_objects > MAX_OBJECTS ||
	    !nr_threads || nr_threads > MAX_THREADS)
		return -EINVAL;
	for (i = 0; i < nr_sizes; i++)
		if (!sizes[i] || sizes[i] > PAGE_SIZE)
			return -EINVAL;

	seq_buf_init(&results, results_text, sizeof(results_text));
	calibrate();
	pool = alloc->create();
	if (!pool)
		return -ENOMEM;
	err = fn(alloc, pool);
	/* All objects are freed, so any page that is left is lost. */
	if (!err && alloc->pages(pool))
		err = -EUCLEAN;
	alloc->destroy(pool);
	return err ?: seq_buf_has_overflowed(&results) ? -E2BIG : 0;
}

static ssize_t run_write(struct file *file, const char __user *buf, size_t len,
			 loff_t *ppos)
{
	char name[16] = "";
	ssize_t ret;

	ret = simple_write_to_buffer(name, sizeof(name) - 1, ppos, buf, len);
	if (ret < 0)
		return ret;
	return bench(name, debugfs_get_aux(file)) ?: len;
}

static ssize_t sizes_write(struct file *file, const char __user *buf, size_t len,
			   loff_t *ppos)
{
	ssize_t ret;

	guard(mutex)(&bench_lock);
	if (*ppos + len > sizeof(sizes))
		return -EFBIG;
	ret = simple_write_to_buffer(sizes, sizeof(sizes), ppos, buf, len);
	if (ret > 0)
		nr_sizes = *ppos / sizeof(*sizes);
	return ret;
}

static ssize_t results_read(struct file *file, char __user *buf, size_t len,
			    loff_t *ppos)
{
	guard(mutex)(&bench_lock);
	return simple_read_from_buffer(buf, len, ppos, results_text,
				       seq_buf_used(&results));
}

static const struct file_operations run_fops = {
	.open = simple_open,
	.write = run_write,
};

static const struct file_operations sizes_fops = {
	.open = simple_open,
	.write = sizes_write,
};

static const struct file_operations results_fops = {
	.open = simple_open,
	.read = results_read,
};

static int __init zbud_benchmark_init(void)
{
	struct dentry *dir = debugfs_create_dir("zbud_benchmark", NULL);
	struct rnd_state rnd;

	prandom_seed_state(&rnd, SEED);
	prandom_bytes_state(&rnd, pattern, sizeof(pattern));

	debugfs_create_u32("objects", 0600, dir, &nr_objects);
	debugfs_create_u32("threads", 0600, dir, &nr_threads);
	debugfs_create_u32("operations", 0600, dir, &nr_operations);
	debugfs_create_bool("one_stores", 0600, dir, &one_stores);
	debugfs_create_file("sizes", 0200, dir, NULL, &sizes_fops);
	debugfs_create_file_aux("measure", 0200, dir, NULL, bench_measure, &run_fops);
	debugfs_create_file_aux("contend", 0200, dir, NULL, bench_contend, &run_fops);
	debugfs_create_file("results", 0400, dir, NULL, &results_fops);
	return 0;
}
late_initcall(zbud_benchmark_init);
