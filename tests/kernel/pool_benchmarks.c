/* SPDX-License-Identifier: MIT */
/* What pools cost: an element taken and given back, a piece of an arena. */
#include <bench.h>
#include <memory_pool.h>
#include <pool_manager.h>
#include <printk.h>

#define PAIRS 2000

static char element[64];

static void *
give_the_one(gfp_t gfp, void *fails)
{
	(void)gfp;
	return *(bool *)fails ? NULL : element;
}

static void
take_the_one(void *memory, void *fails)
{
	(void)memory;
	(void)fails;
}

/* alloc_fn and free_fn cost next to nothing here: what is measured is the pool. */
static void
measure_mempool(const char *name, bool reserve)
{
	bool fails = false;
	mempool_t *pool = mempool_create(1, give_the_one, take_the_one, &fails);
	uint64_t ticks[BENCH_REPS];

	if (!pool)
		return;
	fails = reserve;
	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uint64_t before = arch_cycles();

		for (unsigned i = 0; i < PAIRS; i++)
			mempool_free(mempool_alloc(pool, GFP_KERNEL), pool);
		ticks[rep] = arch_cycles() - before;
	}
	bench_report(name, ticks, BENCH_REPS, PAIRS);
	mempool_destroy(pool);
}

static void
measure_fixed(void)
{
	struct fixed_pool *pool = fixed_pool_create("bench", 64);
	uint64_t ticks[BENCH_REPS];

	if (!pool)
		return;
	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uint64_t before = arch_cycles();

		for (unsigned i = 0; i < PAIRS; i++) {
			void *memory = fixed_pool_alloc(pool);

			if (memory)
				fixed_pool_free(pool, memory);
		}
		ticks[rep] = arch_cycles() - before;
	}
	bench_report("pools.fixed.pair", ticks, BENCH_REPS, PAIRS);
	(void)fixed_pool_destroy(pool);
}

static void
measure_arena(void)
{
	struct bump_arena *arena = arena_create("bench");
	uint64_t alloc_ticks[BENCH_REPS], release_ticks[BENCH_REPS];

	if (!arena)
		return;
	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uint64_t before = arch_cycles();
		unsigned failed = 0;

		for (unsigned i = 0; i < PAIRS; i++)
			failed += !arena_alloc(arena, 64, 8);
		alloc_ticks[rep] = arch_cycles() - before;
		before = arch_cycles();
		arena_release_all(arena);
		release_ticks[rep] = arch_cycles() - before;
		if (failed)
			kprintf("bench: %u allocations of an arena failed\n", failed);
	}
	bench_report("pools.arena.alloc", alloc_ticks, BENCH_REPS, PAIRS);
	bench_report("pools.arena.release", release_ticks, BENCH_REPS, PAIRS);
	arena_destroy(arena);
}

static void
measure_percpu(void)
{
	struct percpu_pool *pool = percpu_pool_create("bench", 64, 0);
	uint64_t ticks[BENCH_REPS];

	if (!pool)
		return;
	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uint64_t before = arch_cycles();

		for (unsigned i = 0; i < PAIRS; i++) {
			void *memory = percpu_pool_alloc(pool, GFP_KERNEL);

			if (memory)
				percpu_pool_free(pool, memory);
		}
		ticks[rep] = arch_cycles() - before;
	}
	bench_report("pools.percpu.pair", ticks, BENCH_REPS, PAIRS);
	(void)percpu_pool_destroy(pool);
}

BENCH_SUITE(pools, "pairs of alloc and free from pools of all kinds, arena allocation")
{
	measure_mempool("pools.mempool.pair", false);
	measure_mempool("pools.mempool.reserve.pair", true);
	measure_fixed();
	measure_arena();
	measure_percpu();
}
