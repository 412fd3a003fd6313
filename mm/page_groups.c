/* SPDX-License-Identifier: MIT */
/*
 * Groups: keeping apart what can be moved and what cannot.
 *
 * PROBLEM. One frame that nobody can move, in the middle of a largest block, is enough to make
 * that block unusable for large requests. A buddy allocator places by size alone, so after a
 * while such frames lie everywhere.
 *
 * IDEA (Gorman and Whitcroft, "The What, The Why and the Where To of Anti-Fragmentation", OLS
 * 2006). Memory is divided into page blocks, and all frames of a page block go to requests of
 * one mobility. The damage of unmovable frames is then confined to the page blocks that are
 * theirs; all others can be emptied, by compaction or by asking.
 *
 *	page block   0          1          2          3          4
 *	mobility     UNMOVABLE  MOVABLE    MOVABLE    RECLAIMABLE MOVABLE
 *	frames       ##.###.#   mm..m.mm   ........   rr...r..    m.mmmm.m
 *
 * A group is all page blocks of one mobility, and a buddy allocator of its own: since a page
 * block is a largest block, no block ever lies in two groups, and the buddy allocator need
 * not know of any of this.
 *
 * STEALING. All page blocks begin as MOVABLE. A group that has no block left takes a whole free
 * page block from another one. If there is none it borrows: a block of the size wanted from
 * another group's page block, which stays that group's. Borrowing is what lets fragmentation
 * spread, so it comes last, and is counted.
 *
 * INVARIANTS, which zone_check() recomputes:
 *	- block_mobility[b] says which group the frames of page block b are in, free or not;
 *	- page->group of each frame says the same;
 *	- nr_free is the sum of the groups' frames_free.
 *
 * LOCKING. zone->lock is held around everything, so that a page block does not change hands in
 * the middle. Each buddy allocator takes its own lock below it.
 */
#include <errno.h>
#include <zone.h>

/* Whom a group steals and borrows from: whoever is hurt least comes first. */
static const uint8_t donors[NR_MOBILITIES][NR_MOBILITIES - 1] = {
	[UNMOVABLE] = { RECLAIMABLE, MOVABLE },
	[RECLAIMABLE] = { UNMOVABLE, MOVABLE },
	[MOVABLE] = { RECLAIMABLE, UNMOVABLE },
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
	assert_held(&zone->lock);
	for (unsigned i = 0; i < NR_MOBILITIES - 1; i++) {
		enum mobility donor = donors[mobility][i];
		struct buddy *buddy = &zone->group[donor].buddy;
		struct page *page = buddy_alloc(buddy, PAGE_BLOCK_ORDER);

		if (!page)
			continue;
		/* It was only a way to find one. */
		buddy_free(buddy, page, PAGE_BLOCK_ORDER);
		move_block(zone, page_to_pfn(page), donor, mobility);
		zone->events.nr_stolen++;
		return true;
	}
	return false;
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
	page = buddy_alloc(own, order);
	if (!page && zone_steal_block_locked(zone, mobility))
		page = buddy_alloc(own, order);
	if (!page)
		page = borrow(zone, mobility, order);
	return page;
}

void
zone_give_locked(struct zone *zone, struct page *page, unsigned order)
{
	assert_held(&zone->lock);
	buddy_free(&zone->group[page->group % NR_MOBILITIES].buddy, page, order);
}
