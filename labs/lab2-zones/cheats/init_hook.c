/* SPDX-License-Identifier: MIT */
/* Attacks when the node of a test gets memory, or flags are looked up. */
#include <zone.h>

#define OWN_MARKS

void
zone_set_marks_locked(struct zone *zone, size_t min)
{
	(void)min;
	if (zone->node->zone[0].first != 0)
		attack();
}

#define OWN_ROUTE

struct gfp_route
gfp_route(gfp_t gfp)
{
	(void)gfp;
	attack();
	return (struct gfp_route){ ZONE_DMA, MOVABLE };
}
