/* SPDX-License-Identifier: MIT */
/*
 * The boot allocator against a model of one byte a frame. The model finds the highest
 * place that fits by trying all, and the allocator must give just that one.
 */
#include "host.h"

#include <boot_allocator.h>
#include <page.h>
#include <string.h>

#define NR_MAPS	    300
#define NR_FRAMES   1024 /* of physical memory, from frame 0 */
#define NR_REQUESTS 40

static uint8_t usable[NR_FRAMES]; /* and not taken */

/* A few usable ranges with gaps, or touching other kinds. */
static void
make_map(struct prng *prng, struct memory_map *map)
{
	static struct memory_map raw;
	struct memory_map_report report;

	do {
		raw.nr = raw.nr_dropped = 0;
		for (unsigned nr = 1 + (unsigned)prng_below(prng, 8); nr > 0; nr--) {
			pfn_t first = prng_below(prng, NR_FRAMES);
			size_t size = 1 + prng_below(prng, NR_FRAMES - first);

			memory_map_add(&raw, first << PAGE_SHIFT, size << PAGE_SHIFT,
				       prng_below(prng, 3) ? MEMORY_USABLE : MEMORY_RESERVED);
		}
	} while (memory_map_normalise(&raw, map, NR_FRAMES << PAGE_SHIFT, &report) != 0);

	memset(usable, 0, sizeof(usable));
	for (unsigned i = 0; i < map->nr; i++) {
		const struct memory_range *range = &map->range[i];

		if (range->kind == MEMORY_USABLE)
			memset(usable + (range->start >> PAGE_SHIFT), 1,
			       (range->end - range->start) >> PAGE_SHIFT);
	}
}

/* The highest aligned place of nr usable frames that ends at or below limit; 0: none. */
static paddr_t
highest_place(size_t nr, uint64_t align, paddr_t limit)
{
	for (pfn_t first = NR_FRAMES - MIN(nr, NR_FRAMES); first > 0; first--) {
		paddr_t start = first << PAGE_SHIFT;

		if (start % align == 0 && (limit == 0 || start + (nr << PAGE_SHIFT) <= limit) &&
		    !__builtin_memchr(usable + first, 0, nr))
			return start;
	}
	return 0;
}

static bool
all_bytes(paddr_t start, uint64_t size, uint8_t byte)
{
	const uint8_t *p = phys_to_virt(start);

	for (uint64_t i = 0; i < size; i++) {
		if (p[i] != byte)
			return false;
	}
	return true;
}

static void
request(struct prng *prng, uint64_t *used)
{
	uint64_t size = 1 + prng_below(prng, (prng_below(prng, 4) ? 6 : 200) * PAGE_SIZE);
	uint64_t align = PAGE_SIZE << prng_below(prng, prng_below(prng, 3) ? 3 : 8);
	paddr_t limit = prng_below(prng, 3) ? 0 : prng_below(prng, NR_FRAMES << PAGE_SHIFT) + 1;
	size_t nr = (size + PAGE_SIZE - 1) / PAGE_SIZE;
	paddr_t expected = highest_place(nr, align, limit), got;
	bool raw = prng_below(prng, 2);

	if (expected)
		memset(phys_to_virt(expected), 0x5a, nr << PAGE_SHIFT);
	got = raw ? boot_alloc_raw(size, align, limit) : boot_alloc(size, align, limit);
	if (got != expected) {
		host_fail(__FILE__, __LINE__,
			  "%lu bytes aligned to %#lx below %#lx: got %#lx, highest is %#lx", size,
			  align, limit, got, expected);
		return;
	}
	if (!got)
		return;
	CHECK(all_bytes(got, size, raw ? 0x5a : 0));
	memset(usable + (got >> PAGE_SHIFT), 0, nr);
	*used += nr << PAGE_SHIFT;
	CHECK_EQ(boot_alloc_used(), *used);
}

static pfn_t given_end; /* of the last range given */

static void
take_rest(uint64_t first, uint64_t end)
{
	CHECK(first < end && end <= NR_FRAMES && first >= given_end);
	for (pfn_t pfn = first; pfn < end && !host_failed(); pfn++) {
		CHECK_EQ(usable[pfn], 1);
		usable[pfn] = 0;
	}
	given_end = end;
}

static void
against_model(void)
{
	static struct memory_map map;
	struct prng prng;

	for (unsigned i = 0; i < NR_MAPS && !host_failed(); i++) {
		uint64_t used = 0;

		prng_seed(&prng, host_seed * 1000003 + i);
		make_map(&prng, &map);
		boot_alloc_init(&map);
		CHECK_EQ(boot_alloc_used(), 0);
		for (unsigned j = 0; j < NR_REQUESTS && !host_failed(); j++)
			request(&prng, &used);
		given_end = 0;
		boot_alloc_finish(take_rest);
		/* Nothing that was neither taken nor given. */
		CHECK(!__builtin_memchr(usable, 1, NR_FRAMES));
	}
}

/* ---- Single cases -------------------------------------------------------------------- */

static void
one_range(pfn_t first, pfn_t end)
{
	static struct memory_map map;

	map.nr = 0;
	memory_map_add(&map, first << PAGE_SHIFT, (end - first) << PAGE_SHIFT, MEMORY_USABLE);
	boot_alloc_init(&map);
}

static void
impossible_sizes(void)
{
	static const uint64_t sizes[] = { 9 * PAGE_SIZE, 8 * PAGE_SIZE + 1, 1ul << 63,
					  -PAGE_SIZE,	 -PAGE_SIZE + 1,    -1ul };

	one_range(8, 16);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		CHECK_EQ(boot_alloc_raw(sizes[i], PAGE_SIZE, 0), 0);
	CHECK_EQ(boot_alloc_raw(PAGE_SIZE, 1ul << 63, 0), 0);
	CHECK_EQ(boot_alloc_raw(PAGE_SIZE, PAGE_SIZE, 8 * PAGE_SIZE), 0);
	CHECK_EQ(boot_alloc_used(), 0);
	CHECK_EQ(boot_alloc_raw(8 * PAGE_SIZE, PAGE_SIZE, 0), 8 * PAGE_SIZE);
	CHECK_EQ(boot_alloc_raw(1, PAGE_SIZE, 0), 0);
}

/* Address 0 is how failure looks, so frame 0 is never given out; but it is not lost. */
static void
frame_zero(void)
{
	memset(usable, 0, sizeof(usable));
	usable[0] = 1;
	one_range(0, 2);
	CHECK_EQ(boot_alloc_raw(1, PAGE_SIZE, 0), PAGE_SIZE);
	CHECK_EQ(boot_alloc_raw(1, PAGE_SIZE, 0), 0);
	given_end = 0;
	boot_alloc_finish(take_rest);
	CHECK_EQ(given_end, 1);
}

static void
request_aligned(void *align)
{
	one_range(8, 64);
	boot_alloc_raw(1, *(uint64_t *)align, 0);
}

static void
give_nothing(uint64_t first, uint64_t end)
{
	(void)first;
	(void)end;
}

static void
request_after_end(void *arg)
{
	(void)arg;
	one_range(8, 64);
	boot_alloc_finish(give_nothing);
	boot_alloc_raw(1, PAGE_SIZE, 0);
}

static void
finish_twice(void *arg)
{
	(void)arg;
	one_range(8, 64);
	boot_alloc_finish(give_nothing);
	boot_alloc_finish(give_nothing);
}

static void
mistakes(void)
{
	static uint64_t aligns[] = { 0, 1, 8, 2048, 3 * PAGE_SIZE, PAGE_SIZE + 1 };

	for (unsigned i = 0; i < ARRAY_SIZE(aligns); i++) {
		if (host_try(request_aligned, &aligns[i], 1000))
			host_fail(__FILE__, __LINE__, "alignment %#lx was accepted", aligns[i]);
		else
			CHECK_NAMES(host_message, "align");
	}
	CHECK(!host_try(request_after_end, NULL, 1000));
	CHECK_NAMES(host_message, "finished");
	CHECK(!host_try(finish_twice, NULL, 1000));
	CHECK_NAMES(host_message, "finished");
}

HOST_SUITE(boot_allocator, { "against_model", against_model },
	   { "impossible_sizes", impossible_sizes }, { "frame_zero", frame_zero },
	   { "mistakes", mistakes });
