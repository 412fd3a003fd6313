/* SPDX-License-Identifier: MIT */
/*
 * Zones: what each flag means, from its first frame to its last, and what is refused. On a node
 * over the test arena, and a little on the memory that the kernel lives on. What happens under
 * pressure is in zone_pressure_test.c, compaction in zone_compaction_test.c.
 */
#include "zone_node.h"

#include <arch.h>
#include <errno.h>
#include <page_allocator.h>
#include <page_frame.h>
#include <thread.h>

/* ---- Flags -------------------------------------------------------------------------- */

/* The table in memory_advanced.h once more: zones that may be used, by bit. */
static const struct {
	gfp_t flags;
	unsigned zones, preferred;
	enum mobility mobility;
} wheres[] = {
	{ 0, 1u << ZONE_DMA | 1u << ZONE_NORMAL, ZONE_NORMAL, UNMOVABLE },
	{ GFP_DMA, 1u << ZONE_DMA, ZONE_DMA, UNMOVABLE },
	{ GFP_HIGHMEM, 1u << ZONE_DMA | 1u << ZONE_NORMAL | 1u << ZONE_HIGH, ZONE_HIGH, UNMOVABLE },
	{ GFP_MOVABLE, 1u << ZONE_DMA | 1u << ZONE_NORMAL, ZONE_NORMAL, MOVABLE },
	{ GFP_RECLAIMABLE, 1u << ZONE_DMA | 1u << ZONE_NORMAL, ZONE_NORMAL, RECLAIMABLE },
	{ GFP_USER, 15, ZONE_MOVABLE, MOVABLE },
	{ GFP_HIGHMEM | GFP_RECLAIMABLE, 1u << ZONE_DMA | 1u << ZONE_NORMAL | 1u << ZONE_HIGH,
	  ZONE_HIGH, RECLAIMABLE },
	{ GFP_DMA | GFP_RECLAIMABLE, 1u << ZONE_DMA, ZONE_DMA, RECLAIMABLE },
};

/* How far down each goes: mark min / divisor. */
static const struct {
	gfp_t flags;
	unsigned divisor;
} hows[] = {
	{ GFP_KERNEL, 1 },  { GFP_NOWAIT, 1 }, { GFP_ATOMIC, 2 },
	{ GFP_NORETRY, 1 }, { GFP_ZERO, 1 },
};

#define NR_COMBINATIONS (ARRAY_SIZE(wheres) * ARRAY_SIZE(hows))

/* Frames that must stay free in a zone: below it the request does not go. */
static size_t
floor_of(const struct zone *zone, enum watermark mark, unsigned divisor, unsigned preferred)
{
	return zone->mark[mark] / divisor + zone->reserve[preferred];
}

/* A frame came from zone z: then every higher one that is allowed was down to its low mark. */
static void
expect_order_of_zones(struct ktest *t, unsigned z, unsigned where, unsigned divisor)
{
	expect_true(t, wheres[where].zones & 1u << z);
	for (unsigned higher = z + 1; higher <= wheres[where].preferred; higher++) {
		const struct zone *zone = &test_node.zone[higher];

		expect_le(t, zone->nr_free,
			  floor_of(zone, MARK_LOW, divisor, wheres[where].preferred));
	}
}

KTEST(zone, every_flag_to_its_last_frame, .nr_params = NR_COMBINATIONS, .budget_ms = 20000)
{
	unsigned where = t->param / ARRAY_SIZE(hows), how = t->param % ARRAY_SIZE(hows);
	gfp_t gfp = wheres[where].flags | hows[how].flags;
	struct pile pile = { 0 };
	struct page *page;

	node_make(t, &all_zones);
	while ((page = node_alloc(&test_node, gfp, 0)) != NULL) {
		unsigned z = page->group / NR_MOBILITIES;
		const struct zone *zone = &test_node.zone[z];

		pile_add(&pile, page);
		assert_true(t, page_to_pfn(page) >= zone->first && page_to_pfn(page) < zone->end);
		expect_order_of_zones(t, z, where, hows[how].divisor);
		/* There were whole page blocks for each mobility, but for the marks. */
		if (zone->nr_free > zone->mark[MARK_HIGH] + MAX_ORDER_FRAMES)
			expect_eq(t, page->group % NR_MOBILITIES, wheres[where].mobility);
		if (t->failures > 10)
			ktest_abort(t);
	}
	for (unsigned z = 0; z < NR_ZONES; z++) {
		const struct zone *zone = &test_node.zone[z];
		bool used = wheres[where].zones & 1u << z;

		expect_eq(t, zone->nr_free,
			  used
			      ? floor_of(zone, MARK_MIN, hows[how].divisor, wheres[where].preferred)
			      : zone->nr_managed);
	}
	expect_eq(t, node_check(&test_node), 0);
	pile_free(&pile, 0);
	expect_node_whole(t);
}

/* The same for a large block, which no list serves. */
KTEST(zone, every_flag_large_blocks, .nr_params = NR_COMBINATIONS, .budget_ms = 20000)
{
	unsigned where = t->param / ARRAY_SIZE(hows), how = t->param % ARRAY_SIZE(hows);
	struct pile pile = { 0 };

	node_make(t, &all_zones);
	pile_fill(&pile, wheres[where].flags | hows[how].flags, 5);
	for (unsigned z = 0; z < NR_ZONES; z++) {
		const struct zone *zone = &test_node.zone[z];
		size_t least = floor_of(zone, MARK_MIN, hows[how].divisor, wheres[where].preferred);

		if (wheres[where].zones & 1u << z) {
			expect_le(t, least, zone->nr_free);
			expect_lt(t, zone->nr_free, least + 32);
		} else {
			expect_eq(t, zone->nr_free, zone->nr_managed);
		}
	}
	pile_free(&pile, 5);
	expect_node_whole(t);
}

/* GFP_NOFAIL goes to the very last frame of every zone that it may use. */
KTEST(zone, nofail_to_the_last_frame, .nr_params = ARRAY_SIZE(wheres), .budget_ms = 20000)
{
	gfp_t gfp = wheres[t->param].flags | GFP_NOFAIL;
	size_t frames = 0;
	struct pile pile = { 0 };

	node_make(t, &all_zones);
	for (unsigned z = 0; z < NR_ZONES; z++)
		frames += wheres[t->param].zones & 1u << z ? test_node.zone[z].nr_managed : 0;
	for (size_t i = 0; i < frames; i++)
		pile_add(&pile, node_alloc(&test_node, gfp, 0));
	for (unsigned z = 0; z < NR_ZONES; z++)
		expect_eq(t, test_node.zone[z].nr_free,
			  wheres[t->param].zones & 1u << z ? 0 : test_node.zone[z].nr_managed);
	pile_free(&pile, 0);
	expect_node_whole(t);
}

/* Marks grow with the square root of memory; a zone keeps a part of what lies above it. */
KTEST(zone, marks_and_reserves)
{
	struct node_shape shape = all_zones;
	const struct zone *dma = &test_node.zone[ZONE_DMA], *high = &test_node.zone[ZONE_HIGH];
	const struct zone *normal = &test_node.zone[ZONE_NORMAL];

	node_make(t, &all_zones);
	expect_eq(t, dma->mark[MARK_MIN], 2 * 64 / 4); /* of 4,096 frames, a quarter is DMA */
	expect_eq(t, normal->mark[MARK_MIN], 2 * 64 * 3 / 4);
	expect_eq(t, high->mark[MARK_MIN], 2048 / 1024);
	expect_eq(t, dma->reserve[ZONE_DMA], 0);
	expect_eq(t, dma->reserve[ZONE_NORMAL], 3072 / 256);
	expect_eq(t, dma->reserve[ZONE_HIGH], (3072 + 2048) / 256);
	expect_eq(t, dma->reserve[ZONE_MOVABLE], (3072 + 2048 + 2048) / 256);
	expect_eq(t, normal->reserve[ZONE_NORMAL], 0);
	expect_eq(t, normal->reserve[ZONE_HIGH], 2048 / 32);
	expect_eq(t, normal->reserve[ZONE_MOVABLE], (2048 + 2048) / 32);

	shape.min_free = 400;
	node_make(t, &shape);
	expect_eq(t, dma->mark[MARK_MIN] + normal->mark[MARK_MIN], 400);
	expect_eq(t, normal->mark[MARK_LOW], 300 + 300 / 4);
	expect_eq(t, normal->mark[MARK_HIGH], 300 + 300 / 2);
}

/* ---- What is refused -------------------------------------------------------------------- */

/* One for each reason; all pairs are in tests/host/zone_test.c. */
#define REFUSED(name, gfp, why)                                                                    \
	KTEST(zone, name, .expect_panic = "zone: flags contradict each other: " why)               \
	{                                                                                          \
		node_make(t, &one_zone);                                                           \
		(void)!node_alloc(&test_node, gfp, 0);                                             \
	}

REFUSED(nowait_or_atomic, GFP_NOWAIT | GFP_ATOMIC, "0x6: how long to wait")
REFUSED(nowait_or_noretry, GFP_NOWAIT | GFP_NORETRY, "0x12: how hard to try")
REFUSED(nofail_or_noretry, GFP_NOFAIL | GFP_NORETRY, "0x18: whether it may fail")
REFUSED(dma_or_highmem, GFP_DMA | GFP_HIGHMEM, "0x60: which zone")
REFUSED(dma_or_movable, GFP_DMA | GFP_MOVABLE, "0xa0: whether it stays")
REFUSED(movable_or_reclaimable, GFP_MOVABLE | GFP_RECLAIMABLE, "0x180: how it can be got")

KTEST(zone, unknown_flag, .expect_panic = "zone: unknown flags: 0x200")
{
	node_make(t, &one_zone);
	(void)!node_alloc(&test_node, 1u << NR_GFP_BITS, 0);
}

KTEST(zone, unknown_flag_exact, .expect_panic = "zone: unknown flags: 0x80000000")
{
	node_make(t, &one_zone);
	(void)!node_alloc_exact(&test_node, 1u << 31, 3);
}

KTEST(zone, impossible_but_may_not_fail, .expect_panic = "zone: no run has 1025 frames")
{
	node_make(t, &one_zone);
	(void)!node_alloc_exact(&test_node, GFP_NOFAIL, MAX_ORDER_FRAMES + 1);
}

KTEST(zone, wait_with_interrupts_off, .expect_panic = "mm/zone_allocator.c")
{
	node_make(t, &one_zone);
	(void)arch_irq_save();
	(void)!node_alloc(&test_node, GFP_KERNEL, 0);
}

KTEST(zone, double_free_small, .expect_panic = "zone: double free: frame ")
{
	struct page *page;

	node_make(t, &one_zone);
	page = node_alloc(&test_node, GFP_KERNEL, 2);
	node_free(&test_node, page, 2);
	node_free(&test_node, page, 2);
}

KTEST(zone, wrong_order, .expect_panic = "zone: wrong order: frame ")
{
	node_make(t, &one_zone);
	node_free(&test_node, node_alloc(&test_node, GFP_KERNEL, 2), 3);
}

KTEST(zone, inside_a_block, .expect_panic = "zone: inside a block: frame ")
{
	node_make(t, &one_zone);
	node_free(&test_node, node_alloc(&test_node, GFP_KERNEL, 6) + 1, 0);
}

KTEST(zone, run_freed_as_block, .expect_panic = "zone: part of a run: frame ")
{
	node_make(t, &one_zone);
	node_free(&test_node, node_alloc_exact(&test_node, GFP_KERNEL, 3), 1);
}

KTEST(zone, block_freed_as_run, .expect_panic = "zone: frame ")
{
	struct page *page;

	node_make(t, &one_zone);
	page = node_alloc(&test_node, GFP_KERNEL, 2);
	node_free_range(&test_node, page_to_pfn(page), page_to_pfn(page) + 4);
}

/* It lies in a CPU's list: that is free already. */
KTEST(zone, listed_block_freed_as_run, .expect_panic = "zone: frame ")
{
	struct page *page;

	node_make(t, &one_zone);
	page = node_alloc(&test_node, GFP_KERNEL, 2);
	node_free(&test_node, page, 2);
	node_free_range(&test_node, page_to_pfn(page), page_to_pfn(page) + 4);
}

/* ---- Ranges -------------------------------------------------------------------------------- */

/* ---- Splitting what is in use ----------------------------------------------------------- */

/* A block becomes frames that are given back alone, in any order, and come together again. */
KTEST(zone, split_in_use, .nr_params = NR_ORDERS)
{
	unsigned order = t->param;
	size_t nr = 1ul << order, step = nr / 2 + 1; /* odd, so it meets each of them */
	zone_stats_t before, after;
	struct page *block;

	node_make(t, &one_zone);
	block = node_alloc(&test_node, GFP_KERNEL, order);
	assert_true(t, block != NULL);
	zone_get_stats(&test_node.zone[ZONE_NORMAL], &before);
	node_split(&test_node, block + nr - 1, order);
	expect_eq(t, node_check(&test_node), 0);
	node_split(&test_node, block, order); /* it was done */
	zone_get_stats(&test_node.zone[ZONE_NORMAL], &after);
	expect_eq(t, after.free_pages + after.cached_pages,
		  before.free_pages + before.cached_pages);
	expect_eq(t, after.allocations, before.allocations + nr - 1);
	for (size_t i = 0; i < nr; i++)
		node_free(&test_node, block + (order > 1 ? i * step % nr : i), 0);
	zone_get_stats(&test_node.zone[ZONE_NORMAL], &after);
	expect_eq(t, after.allocations, after.frees);
	expect_node_whole(t);
}

KTEST(zone, split_freed_whole, .expect_panic = "zone: wrong order: frame ")
{
	struct page *page;

	node_make(t, &one_zone);
	page = node_alloc(&test_node, GFP_KERNEL, 9);
	node_split(&test_node, page, 9);
	node_free(&test_node, page, 9);
}

KTEST(zone, ranges_across_zones_are_all_or_nothing)
{
	pfn_t first, end;
	struct page *page;

	node_make(t, &all_zones);
	first = test_node.zone[ZONE_DMA].first + 5;
	end = test_node.zone[ZONE_MOVABLE].first + 7;
	expect_eq(t, node_alloc_range(&test_node, first, end), 0);
	expect_eq(t, node_free_frames(), ARENA_FRAMES - (end - first));
	expect_eq(t, node_alloc_range(&test_node, end - 1, end + 1), -EBUSY);
	expect_eq(t, node_check(&test_node), 0);
	/* Back in two parts, cut where a page block ends. */
	node_free_range(&test_node, test_node.zone[ZONE_HIGH].first, end);
	node_free_range(&test_node, first, test_node.zone[ZONE_HIGH].first);
	expect_node_whole(t);

	/* One frame in use, at the end: all that was taken before it comes back. */
	page = node_alloc(&test_node, GFP_USER, 4);
	expect_eq(t, node_alloc_range(&test_node, first, page_to_pfn(page) + 1), -EBUSY);
	node_free(&test_node, page, 4);
	expect_eq(t, node_alloc_range(&test_node, first, first), -EINVAL);
	expect_eq(t, node_alloc_range(&test_node, end, test_node.zone[ZONE_MOVABLE].end + 1),
		  -EINVAL);
	expect_node_whole(t);
}

/* Exactly so many, from where the flags say, and down to the same marks. */
KTEST(zone, exact_runs, .budget_ms = 10000)
{
	static const size_t sizes[] = { 1, 3, 37, 512, 1000, 1024 };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct page *run[300];
		unsigned nr = 0;
		size_t before;

		node_make(t, &all_zones);
		before = node_free_frames();
		while (nr < ARRAY_SIZE(run) &&
		       (run[nr] = node_alloc_exact(&test_node, GFP_KERNEL, sizes[i])) != NULL) {
			expect_lt(t, page_to_pfn(run[nr]), test_node.zone[ZONE_HIGH].first);
			nr++;
			expect_eq(t, node_free_frames(), before - nr * sizes[i]);
		}
		expect_lt(t, 0, nr);
		expect_eq(t, node_check(&test_node), 0);
		for (unsigned j = 0; j < nr; j++)
			node_free_range(&test_node, page_to_pfn(run[j]),
					page_to_pfn(run[j]) + sizes[i]);
		expect_node_whole(t);
	}
}

/* ---- Failures on purpose --------------------------------------------------------------------- */

/* Although lists are full of frames, and their flags were seen before. */
KTEST(zone, faults_strike_every_kind)
{
	unsigned failed[2] = { 0, 0 };
	struct page *page;

	node_make(t, &one_zone);
	node_free(&test_node, node_alloc(&test_node, GFP_KERNEL, 0), 0);
	node_set_faults(&test_node, 3, t->seed);
	for (unsigned i = 0; i < 300; i++) {
		page = node_alloc(&test_node, GFP_KERNEL, 0);
		failed[0] += !page;
		if (page)
			node_free(&test_node, page, 0);
		page = node_alloc_exact(&test_node, GFP_NORETRY, 3);
		failed[1] += !page;
		if (page)
			node_free_range(&test_node, page_to_pfn(page), page_to_pfn(page) + 3);
		page = node_alloc(&test_node, GFP_NOFAIL, 0);
		assert_true(t, page != NULL);
		node_free(&test_node, page, 0);
	}
	expect_eq(t, test_node.faults.nr_injected, failed[0] + failed[1]);
	expect_eq(t, test_node.zone[ZONE_NORMAL].events.nr_failed, failed[0] + failed[1]);
	for (unsigned i = 0; i < 2; i++)
		expect_true(t, 50 <= failed[i] && failed[i] <= 150);
	node_set_faults(&test_node, 0, 0);
	for (unsigned i = 0; i < 300; i++) {
		page = node_alloc(&test_node, GFP_KERNEL, 0);
		assert_true(t, page != NULL);
		node_free(&test_node, page, 0);
	}
	expect_node_whole(t);
}

/* The nth request of that thread, whatever its kind, once; others are served. */
KTEST(zone, a_certain_request_fails)
{
	static const unsigned nths[] = { 1, 2, 7 };

	node_make(t, &one_zone);
	for (unsigned i = 0; i < ARRAY_SIZE(nths); i++) {
		node_set_nth_fault(&test_node, thread_current(), nths[i]);
		for (unsigned k = 1; k <= 10; k++) {
			struct page *page = node_alloc(&test_node, GFP_KERNEL, 0);

			expect_eq(t, page == NULL, k == nths[i]);
			if (page)
				node_free(&test_node, page, 0);
		}
	}
	node_set_nth_fault(&test_node, (const struct thread *)t, 1); /* somebody else */
	for (unsigned k = 0; k < 10; k++) {
		struct page *page = node_alloc(&test_node, GFP_KERNEL, 0);

		assert_true(t, page != NULL);
		node_free(&test_node, page, 0);
	}
	node_set_nth_fault(&test_node, NULL, 0);
	expect_node_whole(t);
}

/* ---- Statistics ------------------------------------------------------------------------------ */

/* Every frame is free, in a list or with a caller, and every block given out is counted. */
KTEST(zone, statistics_add_up)
{
	zone_stats_t stats;
	struct page *page[100];
	uint64_t by_mobility = 0;

	node_make(t, &one_zone);
	for (unsigned i = 0; i < ARRAY_SIZE(page); i++)
		page[i] = node_alloc(&test_node, i % 2 ? GFP_MOVABLE : GFP_RECLAIMABLE, i % 7);
	for (unsigned i = 0; i < ARRAY_SIZE(page); i += 3)
		node_free(&test_node, page[i], i % 7);
	zone_get_stats(&test_node.zone[ZONE_NORMAL], &stats);
	expect_eq(t, stats.allocations, 100);
	expect_eq(t, stats.frees, 34);
	expect_eq(t, stats.managed_pages, ARENA_FRAMES);
	for (unsigned i = 0; i < ARRAY_SIZE(page); i++)
		by_mobility += i % 3 ? 1ul << i % 7 : 0;
	expect_eq(t, stats.free_pages + stats.cached_pages + by_mobility, ARENA_FRAMES);
	expect_eq(t,
		  stats.free_by_mobility[0] + stats.free_by_mobility[1] + stats.free_by_mobility[2],
		  stats.free_pages);
	expect_eq(t,
		  stats.blocks_by_mobility[0] + stats.blocks_by_mobility[1] +
		      stats.blocks_by_mobility[2],
		  ARENA_BLOCKS);
	expect_eq(t, stats.blocks_by_mobility[RECLAIMABLE], stats.stolen_blocks);
	expect_eq(t, stats.borrowed, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(page); i++) {
		if (i % 3)
			node_free(&test_node, page[i], i % 7);
	}
	expect_node_whole(t);
	zone_get_stats(&test_node.zone[ZONE_NORMAL], &stats);
	expect_eq(t, stats.frees, 100);
	expect_eq(t, stats.unusable, 0);
}

/* ---- The machine's own memory ---------------------------------------------------------------- */

/* Zones by address, whatever the command line made of them. */
KTEST(zone, machine_serves_by_address)
{
	pfn_t direct = arch_direct_map_end() >> PAGE_SHIFT;
	struct page *dma = alloc_pages(GFP_DMA, 0), *normal = alloc_pages(GFP_KERNEL, 0);
	struct page *atomic = alloc_pages(GFP_ATOMIC | GFP_HIGHMEM | GFP_ZERO, 0);
	struct page *user = alloc_pages(GFP_USER | GFP_ZERO, 0);
	zone_stats_t high;

	assert_true(t, dma && normal && user && atomic);
	expect_lt(t, page_to_pfn(dma), MiB(16) >> PAGE_SHIFT);
	expect_lt(t, page_to_pfn(normal), direct);
	expect_lt(t, page_to_pfn(atomic), direct); /* clearing others may sleep */
	get_zone_stats(ZONE_HIGH, &high);
	expect_eq(t, high.managed_pages > 0, page_frame_end() > direct && high.managed_pages > 0);
	__free_pages(dma, 0);
	__free_pages(normal, 0);
	__free_pages(atomic, 0);
	__free_pages(user, 0);
	expect_eq(t, mm_check(), 0);
}

/* A frame that was just freed lies in a list, and is free all the same. */
KTEST(zone, machine_range_in_a_list)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);
	pfn_t pfn = page_to_pfn(page);

	assert_true(t, page != NULL);
	expect_eq(t, alloc_contig_range(pfn, pfn + 1), -EBUSY);
	__free_pages(page, 0);
	expect_eq(t, alloc_contig_range(pfn, pfn + 1), 0);
	free_contig_range(pfn, pfn + 1);
	expect_eq(t, mm_check(), 0);
}
