/* SPDX-License-Identifier: MIT */
/*
 * The workload "mixed": 200,000 requests of all orders, and tables that benchmarks need.
 *
 * What it asks for comes from an allocator of its own, with as many frames as the memory node
 * had that the Linux figures were taken on. The functions that take the allocator's are
 * always inlined, so that calls of those are direct ones.
 */
#ifndef MIXED_WORKLOAD_H
#define MIXED_WORKLOAD_H

#include <bench.h>
#include <memory_advanced.h>
#include <printk.h>

#include "workload.h"

#define NODE_FRAMES    32768 /* 128 MiB */
#define MANAGED_FRAMES 32167 /* what Linux had left of it */
#define NR_REQUESTS    200000

struct holding {
	struct page *page;
	uint32_t order;
};

/* Room for a benchmark's own tables, zeroed. NULL, with a message, when there is none. */
static inline void *
bench_table(size_t bytes, struct page **page)
{
	*page = alloc_pages_exact(GFP_ZERO, ALIGN_UP(bytes, PAGE_SIZE) >> PAGE_SHIFT);
	if (!*page)
		kprintf("bench: no memory for a table of %lu bytes\n", (unsigned long)bytes);
	return *page ? page_to_virt(*page) : NULL;
}

static inline void
bench_table_free(struct page *page, size_t bytes)
{
	if (page)
		free_pages_exact(page, ALIGN_UP(bytes, PAGE_SIZE) >> PAGE_SHIFT);
}

static inline unsigned
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
static inline __attribute__((always_inline)) uint64_t
mixed_play(struct holding *slot, unsigned nr_slots, bool dry, struct page *(*alloc)(unsigned),
	   void (*free)(struct page *, unsigned))
{
	uint64_t seed = 1, before = arch_cycles();

	for (unsigned i = 0; i < NR_REQUESTS; i++) {
		struct holding *held = &slot[draw(&seed) % nr_slots];

		if (held->page) {
			if (!dry)
				free(held->page, held->order);
			held->page = NULL;
			continue;
		}
		held->order = mixed_order(draw(&seed));
		held->page = dry ? (struct page *)1 : alloc(held->order);
	}
	return arch_cycles() - before;
}

static inline void
mixed_report(const char *load, const char *what, uint64_t value, const char *unit)
{
	char name[64];

	ksnprintf(name, sizeof(name), "mixed.%s.%s", load, what);
	bench_value(name, value, unit);
}

static inline void
mixed_report_ticks(const char *load, const char *suffix, uint64_t ticks)
{
	char name[32];

	ksnprintf(name, sizeof(name), "mixed.%s%s", load, suffix);
	bench_report(name, &ticks, 1, NR_REQUESTS);
}

/* How many blocks of order 9 could be had now. */
static inline __attribute__((always_inline)) unsigned
mixed_large_blocks(struct page *(*alloc)(unsigned), void (*free)(struct page *, unsigned))
{
	static struct page *large[NODE_FRAMES >> 9];
	unsigned nr = 0;

	while (nr < ARRAY_SIZE(large) && (large[nr] = alloc(9)) != NULL)
		nr++;
	for (unsigned i = 0; i < nr; i++)
		free(large[i], 9);
	return nr;
}

#endif
