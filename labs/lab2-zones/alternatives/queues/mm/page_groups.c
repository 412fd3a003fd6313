/* SPDX-License-Identifier: MIT */
/*
 * Another right solution of lab 2: a page block is stolen from whoever has most that are whole,
 * found in the free list of the buddy allocator, which nobody else touches with zone->lock held;
 * and donors lend in another order.
 */
#include <errno.h>
#include <zone.h>

/* Whom a group steals and borrows from: whoever is hurt least comes first. */
static const uint8_t donors[NR_MOBILITIES][NR_MOBILITIES - 1] = {
	[UNMOVABLE] = { MOVABLE, RECLAIMABLE },
	[RECLAIMABLE] = { MOVABLE, UNMOVABLE },
	[MOVABLE] = { UNMOVABLE, RECLAIMABLE },
};

static uint8_t *
block_mobility_of(struct zone *zone, pfn_t pfn)
{
	return &zone->block_mobility[(pfn - zone->first) >> PAGE_BLOCK_ORDER];
}

struct page_group *
zone_group_of(struct zone *zone, pfn_t pfn)
{
	assert_held(&zone->lock);
	return &zone->group[*block_mobility_of(zone, pfn)];
}

/* Let a free page block, headed by pfn, change its group. */
static void
move_block(struct zone *zone, pfn_t pfn, enum mobility from, enum mobility to)
{
	pfn_t end = pfn + MAX_ORDER_FRAMES;
	int error = buddy_reserve_range(&zone->group[from].buddy, pfn, end);

	ASSERT_EQ(error, 0); /* it is free, and nobody else is here */
	*block_mobility_of(zone, pfn) = to;
	zone->group[from].nr_blocks--;
	zone->group[to].nr_blocks++;
	for (pfn_t at = pfn; at < end; at++)
		pfn_to_page(at)->group = (uint8_t)group_number(zone->type, to);
	buddy_add_range(&zone->group[to].buddy, pfn, end);
}

bool
zone_steal_block_locked(struct zone *zone, enum mobility mobility)
{
	enum mobility richest = mobility;
	size_t most = 0;
	pfn_t pfn;

	assert_held(&zone->lock);
	for (unsigned donor = 0; donor < NR_MOBILITIES; donor++) {
		size_t whole = zone->group[donor].buddy.area[PAGE_BLOCK_ORDER].nr_free;

		if (donor != mobility && whole > most) {
			most = whole;
			richest = donor;
		}
	}
	if (most == 0)
		return false;
	pfn =
	    page_to_pfn((struct page *)zone->group[richest].buddy.area[PAGE_BLOCK_ORDER].list.prev);
	move_block(zone, pfn, richest, mobility);
	zone->events.nr_stolen++;
	return true;
}

/* Take a block out of a page block that is and stays another group's. */
static struct page *
borrow(struct zone *zone, enum mobility mobility, unsigned order)
{
	for (unsigned i = 0; i < NR_MOBILITIES - 1; i++) {
		struct page *page = buddy_alloc(&zone->group[donors[mobility][i]].buddy, order);

		if (page) {
			zone->events.nr_borrowed++;
			return page;
		}
	}
	return NULL;
}

struct page *
zone_take_locked(struct zone *zone, enum mobility mobility, unsigned order)
{
	struct buddy *own = &zone->group[mobility].buddy;
	struct page *page;

	assert_held(&zone->lock);
	do {
		page = buddy_alloc(own, order);
	} while (!page && zone_steal_block_locked(zone, mobility));
	return page ? page : borrow(zone, mobility, order);
}

void
zone_give_locked(struct zone *zone, struct page *page, unsigned order)
{
	assert_held(&zone->lock);
	buddy_free(&zone->group[page->group % NR_MOBILITIES].buddy, page, order);
}
