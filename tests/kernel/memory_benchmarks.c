/* SPDX-License-Identifier: MIT */
/*
 * What the page allocator costs, in the workloads that stock Linux was measured with on the
 * same emulated machine: the same generator and seeds, hence the same requests in the same
 * order, under the same names. "make bench" prints both side by side.
 *
 * Zeroing is excluded here as it is there. The workload "mixed" is in buddy_benchmarks.c or,
 * from lab 2 on, in zone_benchmarks.c.
 */
#include <bench.h>
#include <memory_advanced.h>
#include <page_frame.h>
#include <printk.h>

#include "mixed_workload.h"
#include "workload.h"

/* ---- pages: one block, and thousands of frames --------------------------------- */

static void
measure_pair(unsigned order)
{
	unsigned pairs = order <= 4 ? 2000 : 20;
	uint64_t ticks[BENCH_REPS];
	char name[32];

	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uint64_t before = arch_cycles();

		for (unsigned i = 0; i < pairs; i++) {
			struct page *page = alloc_pages(GFP_KERNEL, order);

			if (page)
				__free_pages(page, order);
		}
		ticks[rep] = arch_cycles() - before;
	}
	ksnprintf(name, sizeof(name), "pages.order%u.pair", order);
	bench_report(name, ticks, BENCH_REPS, pairs);
}

#define BATCH 4096

static void
measure_batch(struct page **pages, const uint32_t *order_of_freeing, const char *how)
{
	uint64_t alloc_ticks[BENCH_REPS], free_ticks[BENCH_REPS];
	char name[64];

	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uint64_t before = arch_cycles();

		for (unsigned i = 0; i < BATCH; i++)
			pages[i] = alloc_pages(GFP_KERNEL, 0);
		alloc_ticks[rep] = arch_cycles() - before;

		before = arch_cycles();
		for (unsigned i = 0; i < BATCH; i++) {
			if (pages[order_of_freeing[i]])
				__free_pages(pages[order_of_freeing[i]], 0);
		}
		free_ticks[rep] = arch_cycles() - before;
	}
	ksnprintf(name, sizeof(name), "pages.batch4096.alloc.before-%s-free", how);
	bench_report(name, alloc_ticks, BENCH_REPS, BATCH);
	ksnprintf(name, sizeof(name), "pages.batch4096.free-%s", how);
	bench_report(name, free_ticks, BENCH_REPS, BATCH);
}

BENCH_SUITE(pages, "pairs of allocation and free by order, batches of 4,096 frames")
{
	static const unsigned orders[] = { 0, 1, 2, 3, 4, 6, 9, 10 };
	struct page *pages_table, *order_table;
	struct page **pages;
	uint32_t *permutation;

	for (unsigned i = 0; i < ARRAY_SIZE(orders); i++)
		measure_pair(orders[i]);

	pages = bench_table(BATCH * sizeof(*pages), &pages_table);
	permutation = bench_table(BATCH * sizeof(*permutation), &order_table);
	if (pages && permutation) {
		for (unsigned i = 0; i < BATCH; i++)
			permutation[i] = i;
		measure_batch(pages, permutation, "same");
		shuffle(permutation, BATCH, 7);
		measure_batch(pages, permutation, "random");
	}
	bench_table_free(order_table, BATCH * sizeof(*permutation));
	bench_table_free(pages_table, BATCH * sizeof(*pages));
}

/* ---- memory: what the manager itself takes ------------------------------------------ */

BENCH_SUITE(memory, "memory for use, and memory that describes memory")
{
	memory_stats_t stats;
	uint64_t frames = 0;

	get_memory_stats(&stats);
	for (struct frame_range part = page_frame_next(0); part.first < part.end;
	     part = page_frame_next(part.end))
		frames += part.end - part.first;
	bench_value("memory.struct_page", sizeof(struct page), "bytes");
	bench_value("memory.metadata",
		    frames * sizeof(struct page) * 1000 / (stats.total_memory + 1), "permille");
	bench_value("memory.for_use", stats.total_memory >> 10, "kB");
}
