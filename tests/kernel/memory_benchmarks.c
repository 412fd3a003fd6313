/* SPDX-License-Identifier: MIT */
/*
 * What the page allocator costs, in the workloads that stock Linux was measured with on the
 * same emulated machine: the same generator and seeds, hence the same requests in the same
 * order, under the same names. "make bench" prints both side by side.
 *
 * Zeroing is excluded here as it is there. What "mixed" asks for comes from an allocator of
 * its own with as many frames as the memory node had that the Linux figures were taken on.
 */
#include <allocators.h>
#include <bench.h>
#include <memory_advanced.h>
#include <page_frame.h>
#include <printk.h>
#include <string.h>
#include <test_arena.h>

#include "workload.h"

/* Room for a benchmark's own tables. Ends the suite with a message when there is none. */
static void *
table(size_t bytes, struct page **page)
{
	*page = alloc_pages_exact(GFP_ZERO, ALIGN_UP(bytes, PAGE_SIZE) >> PAGE_SHIFT);
	if (!*page)
		kprintf("bench: no memory for a table of %lu bytes\n", (unsigned long)bytes);
	return *page ? page_to_virt(*page) : NULL;
}

static void
table_free(struct page *page, size_t bytes)
{
	if (page)
		free_pages_exact(page, ALIGN_UP(bytes, PAGE_SIZE) >> PAGE_SHIFT);
}

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

	pages = table(BATCH * sizeof(*pages), &pages_table);
	permutation = table(BATCH * sizeof(*permutation), &order_table);
	if (pages && permutation) {
		for (unsigned i = 0; i < BATCH; i++)
			permutation[i] = i;
		measure_batch(pages, permutation, "same");
		shuffle(permutation, BATCH, 7);
		measure_batch(pages, permutation, "random");
	}
	table_free(order_table, BATCH * sizeof(*permutation));
	table_free(pages_table, BATCH * sizeof(*pages));
}

/* ---- mixed: 200,000 requests of all orders ---------------------------------------- */

#define NODE_FRAMES    32768 /* 128 MiB */
#define MANAGED_FRAMES 32167 /* what Linux had left of it */
#define NR_REQUESTS    200000

struct holding {
	struct page *page;
	uint32_t order;
};

static struct buddy node;

static unsigned
mixed_order(uint32_t random)
{
	static const struct {
		uint8_t below, order;
	} share[] = { { 60, 0 }, { 75, 1 }, { 85, 2 }, { 93, 3 }, { 97, 4 }, { 99, 6 } };

	random %= 100;
	for (unsigned i = 0; i < ARRAY_SIZE(share); i++) {
		if (random < share[i].below)
			return share[i].order;
	}
	return 9;
}

/* Each request frees a random slot, or fills it if it is empty. dry: without the calls. */
static uint64_t
play(struct holding *slot, unsigned nr_slots, bool dry)
{
	uint64_t seed = 1, before = arch_cycles();

	for (unsigned i = 0; i < NR_REQUESTS; i++) {
		struct holding *held = &slot[draw(&seed) % nr_slots];

		if (held->page) {
			if (!dry)
				buddy_free(&node, held->page, held->order);
			held->page = NULL;
			continue;
		}
		held->order = mixed_order(draw(&seed));
		held->page = dry ? (struct page *)1 : buddy_alloc(&node, held->order);
	}
	return arch_cycles() - before;
}

static void
report_value(const char *load, const char *what, uint64_t value, const char *unit)
{
	char name[64];

	ksnprintf(name, sizeof(name), "mixed.%s.%s", load, what);
	bench_value(name, value, unit);
}

/* How many blocks of order 9 could be had now. */
static unsigned
large_blocks(void)
{
	static struct page *large[NODE_FRAMES >> 9];
	unsigned nr = 0;

	while (nr < ARRAY_SIZE(large) && (large[nr] = buddy_alloc(&node, 9)) != NULL)
		nr++;
	for (unsigned i = 0; i < nr; i++)
		buddy_free(&node, large[i], 9);
	return nr;
}

static void
measure_mixed(const char *load, unsigned nr_slots)
{
	size_t bytes = nr_slots * sizeof(struct holding);
	struct page *slots_table;
	struct holding *slot = table(bytes, &slots_table);
	uint64_t ticks;
	char name[32];

	if (!slot)
		return;
	ticks = play(slot, nr_slots, true);
	ksnprintf(name, sizeof(name), "mixed.%s.dry", load);
	bench_report(name, &ticks, 1, NR_REQUESTS);

	memset(slot, 0, bytes);
	ticks = play(slot, nr_slots, false);
	ksnprintf(name, sizeof(name), "mixed.%s", load);
	bench_report(name, &ticks, 1, NR_REQUESTS);

	report_value(load, "live.unusable9", buddy_unusable(&node, 9), "permille");
	report_value(load, "live.order9_available", large_blocks(), "blocks");
	for (unsigned i = 0; i < nr_slots; i++) {
		if (slot[i].page)
			buddy_free(&node, slot[i].page, slot[i].order);
	}
	report_value(load, "after_free_all.unusable9", buddy_unusable(&node, 9), "permille");
	table_free(slots_table, bytes);
}

BENCH_SUITE(mixed, "200,000 random requests of all orders at three loads, and fragmentation")
{
	struct frame_range arena = test_arena_frames(NODE_FRAMES);

	if (arena.first == arena.end) {
		kprintf("bench: mixed needs 128 MiB of free memory: start with more (-m 256M)\n");
		return;
	}
	buddy_init(&node, "node", arena.first, arena.end);
	buddy_add_range(&node, arena.end - MANAGED_FRAMES, arena.end);
	measure_mixed("light", 2048);
	measure_mixed("medium", 4096);
	measure_mixed("heavy", 6144);
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
