/* SPDX-License-Identifier: MIT */
/*
 * Hands out one frame after the other and says that each zone has as many free frames as it
 * should: there are no groups, no marks, and nothing ever comes back.
 */
#include <zone.h>

#define OWN_ALLOC

struct page *
node_alloc_slowly(struct node *node, gfp_t gfp, unsigned order)
{
	static pfn_t next;
	unsigned z = gfp & GFP_DMA ? ZONE_DMA : gfp & GFP_HIGHMEM ? ZONE_MOVABLE : ZONE_NORMAL;
	struct zone *zone = &node->zone[z];
	struct page *page;

	while (zone->first == zone->end)
		zone = &node->zone[--z];
	next = ALIGN_UP(next, 1ul << order);
	page = pfn_to_page(zone->first + next % (zone->end - zone->first));
	next += 1ul << order;
	page->lent = (uint8_t)lent_mark(order);
	zone->nr_free -= 1ul << order;
	return page;
}
