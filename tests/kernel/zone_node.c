/* SPDX-License-Identifier: MIT */
#include "zone_node.h"

#include <string.h>
#include <test_arena.h>

struct node test_node;

static uint8_t block_mobility[ARENA_BLOCKS];

const struct node_shape all_zones = { .dma = 1, .normal = 3, .high = 2, .movable = 2 };
const struct node_shape one_zone = { .normal = 8 };

void
node_make(struct ktest *t, const struct node_shape *shape)
{
	struct frame_range arena = test_arena_get(t, ARENA_FRAMES);
	struct zone_limits limits = { .first = arena.first, .min_free = shape->min_free };

	limits.dma_end = limits.first + shape->dma * MAX_ORDER_FRAMES;
	limits.normal_end = limits.dma_end + shape->normal * MAX_ORDER_FRAMES;
	limits.movable = shape->movable * MAX_ORDER_FRAMES;
	limits.end = limits.normal_end + shape->high * MAX_ORDER_FRAMES + limits.movable;
	assert_le(t, limits.end, arena.end);
	node_init(&test_node, &limits, block_mobility);
	node_add_range(&test_node, limits.first, limits.end);
	expect_eq(t, node_check(&test_node), 0);
}

size_t
node_cached(void)
{
	size_t cached = 0;

	for (unsigned z = 0; z < NR_ZONES; z++) {
		zone_stats_t stats;

		zone_get_stats(&test_node.zone[z], &stats);
		cached += stats.cached_pages;
	}
	return cached;
}

size_t
node_free_frames(void)
{
	size_t free = node_cached();

	for (unsigned z = 0; z < NR_ZONES; z++)
		free += test_node.zone[z].nr_free;
	return free;
}

void
expect_node_whole(struct ktest *t)
{
	node_drain_lists(&test_node);
	expect_eq(t, node_cached(), 0);
	for (unsigned z = 0; z < NR_ZONES; z++) {
		const struct zone *zone = &test_node.zone[z];
		size_t blocks = 0;

		expect_eq(t, zone->nr_free, zone->nr_managed);
		for (unsigned m = 0; m < NR_MOBILITIES; m++)
			blocks += zone->group[m].buddy.area[MAX_ORDER].nr_free;
		expect_eq(t, blocks << MAX_ORDER, zone->nr_managed);
	}
	expect_eq(t, node_check(&test_node), 0);
}

/* ---- Piles ---------------------------------------------------------------------------- */

void
pile_add(struct pile *pile, struct page *page)
{
	page->link.next = (struct list_head *)pile->top;
	pile->top = page;
	pile->nr++;
}

struct page *
pile_take(struct pile *pile)
{
	struct page *page = pile->top;

	if (page) {
		pile->top = (struct page *)page->link.next;
		pile->nr--;
	}
	return page;
}

size_t
pile_fill(struct pile *pile, gfp_t gfp, unsigned order)
{
	size_t before = pile->nr;
	struct page *page;

	while ((page = node_alloc(&test_node, gfp, order)) != NULL)
		pile_add(pile, page);
	return pile->nr - before;
}

void
pile_free(struct pile *pile, unsigned order)
{
	struct page *page;

	while ((page = pile_take(pile)) != NULL)
		node_free(&test_node, page, order);
}
