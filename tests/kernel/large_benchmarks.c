/* SPDX-License-Identifier: MIT */
/*
 * What large objects cost. All figures include their share of the common flushes; on one CPU
 * a flush interrupts nobody.
 */
#include <bench.h>
#include <large_object.h>
#include <printk.h>

/* A pair of allocation and free; touch: with a write to each page in between. */
static void
measure_size(size_t size, const char *size_name, bool touch)
{
	unsigned pairs = (unsigned)MAX(MIN(MiB(64) / size, 512), 8);
	uint64_t ticks[BENCH_REPS];
	char name[48];

	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uint64_t before = arch_cycles();

		for (unsigned i = 0; i < pairs; i++) {
			uint8_t *object = large_alloc(size, GFP_KERNEL);

			if (!object)
				continue;
			for (size_t at = 0; touch && at < size; at += PAGE_SIZE)
				*(volatile uint8_t *)(object + at) = 1;
			large_free(object);
		}
		(void)large_flush();
		ticks[rep] = arch_cycles() - before;
	}
	ksnprintf(name, sizeof(name), "large.%s.%s", size_name, touch ? "touched" : "pair");
	bench_report(name, ticks, BENCH_REPS, pairs);
}

/*
 * One page, allocated and freed beside n living objects. The batch holds fewer pairs than make
 * it full, and is flushed outside the time that is taken.
 */
static void
measure_among(unsigned n)
{
	static void *object[10000];
	uint64_t ticks[BENCH_REPS];
	struct large_stats first, last;
	unsigned made = 0, pairs = 200;
	char name[48];

	for (; made < n && (object[made] = large_alloc(1, GFP_KERNEL)) != NULL; made++)
		;
	large_get_stats(&first);
	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uint64_t before = arch_cycles();

		for (unsigned i = 0; i < pairs; i++) {
			void *one = large_alloc(1, GFP_KERNEL);

			if (one)
				large_free(one);
		}
		ticks[rep] = arch_cycles() - before;
		(void)large_flush();
	}
	large_get_stats(&last);
	ksnprintf(name, sizeof(name), "large.among%u.pair", n);
	bench_report(name, ticks, BENCH_REPS, pairs);
	ksnprintf(name, sizeof(name), "large.among%u.tree_steps", n);
	bench_value(name, (last.tree_steps - first.tree_steps) / (BENCH_REPS * pairs), "nodes/op");
	while (made > 0)
		large_free(object[--made]);
	(void)large_flush();
}

BENCH_SUITE(large, "large objects by size, touched and not, and beside many others")
{
	static const struct {
		size_t size;
		const char *name;
	} sizes[] = { { KiB(8), "8K" }, { KiB(64), "64K" }, { MiB(1), "1M" }, { MiB(8), "8M" } };

	for (unsigned touch = 0; touch < 2; touch++) {
		for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
			measure_size(sizes[i].size, sizes[i].name, touch);
	}
	measure_among(10);
	measure_among(1000);
	measure_among(10000);
}
