/* SPDX-License-Identifier: MIT */
/* What a cheat does not care about: enough for the kernel to build and to boot. */
#include <errno.h>
#include <zone.h>

#ifndef OWN_MARKS
void
zone_set_marks_locked(struct zone *zone, size_t min)
{
	(void)zone, (void)min;
}
#endif

#ifndef OWN_ROUTE
struct gfp_route
gfp_route(gfp_t gfp)
{
	(void)gfp;
	return (struct gfp_route){ ZONE_DMA, MOVABLE };
}
#endif

#ifndef OWN_ALLOC
struct page *
node_alloc_slowly(struct node *node, gfp_t gfp, unsigned order)
{
	(void)node, (void)gfp, (void)order;
	return NULL;
}
#endif

size_t
zone_mark(const struct zone *zone, gfp_t gfp, enum watermark mark)
{
	(void)zone, (void)gfp, (void)mark;
	return 12345;
}

bool
zone_allows(const struct zone *zone, unsigned order, size_t mark, zone_type_t preferred)
{
	(void)zone, (void)order, (void)mark, (void)preferred;
	return true;
}

bool
node_make_room(struct node *node, gfp_t gfp, struct gfp_route route, unsigned order)
{
	(void)node, (void)gfp, (void)route, (void)order;
	return false;
}

void
node_set_faults(struct node *node, uint64_t every, uint64_t seed)
{
	(void)node, (void)every, (void)seed;
}

void
node_set_nth_fault(struct node *node, const struct thread *thread, uint64_t nth)
{
	(void)node, (void)thread, (void)nth;
}

void
node_free_slowly(struct node *node, struct page *page, unsigned order)
{
	(void)node, (void)page, (void)order;
}

bool
injected_failure(struct node *node, gfp_t gfp)
{
	(void)node, (void)gfp;
	return false;
}

void
zone_count_failure(struct zone *zone)
{
	(void)zone;
}
