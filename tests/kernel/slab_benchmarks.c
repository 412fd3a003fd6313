/* SPDX-License-Identifier: MIT */
/*
 * What objects cost, in the workloads that stock Linux was measured with on the same emulated
 * machine, under the same names; and how much memory they take beside their own size.
 *
 * The caches are not shared with others, as there, so that the figures are of this workload.
 */
#include <bench.h>
#include <memory_advanced.h>
#include <printk.h>
#include <slab.h>

#include "workload.h"

#define NR_PAIRS 10000
#define NR_BATCH 10000

static void *objects[NR_BATCH];
static uint32_t order_of_freeing[NR_BATCH];

/* A figure called KIND SIZE.WHAT HOW: "kmem64.batch10k.free-", "random". */
static void
report(const char *kind, unsigned size, const char *what, const char *how, uint64_t *ticks,
       uint64_t ops)
{
	char name[64];

	ksnprintf(name, sizeof(name), "%s%u.%s%s", kind, size, what, how);
	bench_report(name, ticks, BENCH_REPS, ops);
}

/* ---- A cache of one's own ---------------------------------------------------------------- */

static void
measure_pair(kmem_cache_t *cache, unsigned size, const char *how)
{
	uint64_t ticks[BENCH_REPS];

	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uint64_t before = arch_cycles();

		for (unsigned i = 0; i < NR_PAIRS; i++) {
			void *object = kmem_cache_alloc(cache, GFP_KERNEL);

			kmem_cache_free(cache, object);
		}
		ticks[rep] = arch_cycles() - before;
	}
	report("kmem", size, "pair", how, ticks, NR_PAIRS);
}

static void
measure_batch(kmem_cache_t *cache, unsigned size, const char *how)
{
	uint64_t alloc_ticks[BENCH_REPS], free_ticks[BENCH_REPS];
	char before_how[16];

	ksnprintf(before_how, sizeof(before_how), "%s-free", how);
	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uint64_t before = arch_cycles();

		for (unsigned i = 0; i < NR_BATCH; i++)
			objects[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		alloc_ticks[rep] = arch_cycles() - before;

		before = arch_cycles();
		for (unsigned i = 0; i < NR_BATCH; i++)
			kmem_cache_free(cache, objects[order_of_freeing[i]]);
		free_ticks[rep] = arch_cycles() - before;
	}
	report("kmem", size, "batch10k.alloc.before-", before_how, alloc_ticks, NR_BATCH);
	report("kmem", size, "batch10k.free-", how, free_ticks, NR_BATCH);
}

static void
measure_cache(unsigned size)
{
	static const char *const how[] = { "same", "reverse", "random" };
	kmem_cache_t *cache = kmem_cache_create("bench", size, 0, SLAB_NO_MERGE, NULL);

	if (!cache) {
		kprintf("bench: no memory for a cache\n");
		return;
	}
	measure_pair(cache, size, "");
	for (unsigned order = 0; order < ARRAY_SIZE(how); order++) {
		for (unsigned i = 0; i < NR_BATCH; i++)
			order_of_freeing[i] = order ? NR_BATCH - 1 - i : i;
		if (order == 2)
			shuffle(order_of_freeing, NR_BATCH, 7);
		measure_batch(cache, size, how[order]);
	}
	kmem_cache_destroy(cache);
}

/* What mm.heap_protection=light and =full would make of it. */
static void
measure_protected(unsigned size, slab_flags_t flags, const char *how)
{
	kmem_cache_t *cache = kmem_cache_create("bench", size, 0, flags, NULL);

	if (!cache)
		return;
	measure_pair(cache, size, how);
	kmem_cache_destroy(cache);
}

/* ---- kmalloc ----------------------------------------------------------------------------- */

static void
measure_kmalloc(unsigned size)
{
	uint64_t ticks[BENCH_REPS], alloc_ticks[BENCH_REPS], free_ticks[BENCH_REPS];

	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uint64_t before = arch_cycles();

		for (unsigned i = 0; i < 2000; i++)
			kfree(kmalloc(size, GFP_KERNEL));
		ticks[rep] = arch_cycles() - before;
	}
	report("kmalloc", size, "pair", "", ticks, 2000);
	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uint64_t before = arch_cycles();

		for (unsigned i = 0; i < 1000; i++)
			objects[i] = kmalloc(size, GFP_KERNEL);
		alloc_ticks[rep] = arch_cycles() - before;
		before = arch_cycles();
		for (unsigned i = 0; i < 1000; i++)
			kfree(objects[i]);
		free_ticks[rep] = arch_cycles() - before;
	}
	report("kmalloc", size, "batch1k.alloc", "", alloc_ticks, 1000);
	report("kmalloc", size, "batch1k.free", "", free_ticks, 1000);
}

BENCH_SUITE(slab, "caches of 64 and 256 bytes, and kmalloc of 8 to 8,192")
{
	static const unsigned sizes[] = { 8,   16,  32,	  64,	96,   128, 192,
					  256, 512, 1024, 2048, 4096, 8192 };

	measure_cache(64);
	measure_cache(256);
	measure_protected(64, SLAB_CHECK, ".light");
	measure_protected(64, SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER, ".full");
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		measure_kmalloc(sizes[i]);
}

/* ---- Memory ------------------------------------------------------------------------------ */

/* What caches take beside the objects of their users, in thousandths of all they take. */
static void
report_overhead(const char *name, const struct slab_stats *stats, size_t object_bytes)
{
	size_t all = stats->bytes + stats->own_bytes;

	bench_value(name, (all - object_bytes) * 1000 / (all + 1), "permille");
}

static void
measure_cache_memory(unsigned size)
{
	kmem_cache_t *cache = kmem_cache_create("bench", size, 0, SLAB_NO_MERGE, NULL);
	struct slab_stats stats;
	char name[32];

	if (!cache)
		return;
	for (unsigned i = 0; i < NR_BATCH; i++)
		objects[i] = kmem_cache_alloc(cache, GFP_KERNEL);
	slab_get_stats(cache, &stats);
	ksnprintf(name, sizeof(name), "kmem%u.overhead", size);
	report_overhead(name, &stats, (size_t)NR_BATCH * size);
	for (unsigned i = 0; i < NR_BATCH; i++)
		kmem_cache_free(cache, objects[i]);
	kmem_cache_destroy(cache);
}

/* Sizes as a kernel asks for them: each power of two from 16 to 2,048 as often, small ones most. */
static size_t
trace_size(uint64_t *seed)
{
	return 1 + draw(seed) % (16u << draw(seed) % 8);
}

#define TRACE_SLOTS 262144
#define TRACE_STEPS (4 * TRACE_SLOTS)

struct trace_slot {
	void *ptr;
	size_t size;
};

/* Each step frees a random slot, or fills it if it is empty. */
static void
play_trace(struct trace_slot *slots)
{
	uint64_t seed = 1;

	for (unsigned i = 0; i < TRACE_STEPS; i++) {
		struct trace_slot *slot = &slots[draw(&seed) % TRACE_SLOTS];

		if (slot->ptr) {
			kfree(slot->ptr);
			slot->ptr = NULL;
		} else {
			slot->size = trace_size(&seed);
			slot->ptr = kmalloc(slot->size, GFP_KERNEL);
		}
	}
}

/* What all size classes hold. */
static void
class_stats(struct slab_stats *all)
{
	struct slab_stats stats;

	*all = (struct slab_stats){ .bytes = 0 };
	for (unsigned i = 0; i < NR_SIZE_CLASSES; i++) {
		slab_get_stats(&kmalloc_cache[i], &stats);
		all->bytes += stats.bytes;
		all->own_bytes += stats.own_bytes;
	}
}

static void
measure_kmalloc_memory(void)
{
	struct trace_slot *slots = kmalloc_zeroed(TRACE_SLOTS * sizeof(*slots), GFP_KERNEL);
	size_t asked = 0, given = 0;
	struct slab_stats stats;

	if (!slots) {
		kprintf("bench: no memory for a table\n");
		return;
	}
	slab_reclaim(SIZE_MAX);
	play_trace(slots);
	for (unsigned i = 0; i < TRACE_SLOTS; i++) {
		asked += slots[i].ptr ? slots[i].size : 0;
		given += ksize(slots[i].ptr);
	}
	class_stats(&stats);
	bench_value("kmalloc.trace.in_use", given >> 10, "kB");
	bench_value("kmalloc.trace.rounding", (given - asked) * 1000 / (given + 1), "permille");
	report_overhead("kmalloc.trace.overhead", &stats, given);
	for (unsigned i = 0; i < TRACE_SLOTS; i++)
		kfree(slots[i].ptr);
	kfree(slots);
}

BENCH_SUITE(slab_memory, "what caches take beside the objects themselves")
{
	measure_cache_memory(64);
	measure_cache_memory(256);
	measure_kmalloc_memory();
}
