/* SPDX-License-Identifier: MIT */
/*
 * Requests for numbers of frames that are no power of two, and for given frames.
 *
 * A group is a buddy allocator, and a buddy allocator knows how: see buddy_alloc_exact() and
 * buddy_alloc_range(). What is added here is to find the group. A given range may cross page
 * blocks of several groups, and zones; it is taken a page block at a time, all or nothing.
 *
 *	range        |-----------------------------|
 *	page block       3          4          5
 *	group        UNMOVABLE   MOVABLE    MOVABLE
 *	taken        |-------|----------|----------|   one buddy_alloc_range() each
 *
 * Such frames are not lent as blocks, so node_free() refuses them: node_free_range() takes
 * them back.
 */
#include <errno.h>
#include <zone.h>

static void
account_run(struct zone *zone, size_t nr_frames)
{
	zone_account_locked(zone, (long)nr_frames);
	zone->events.nr_exact++;
	zone->events.frames_exact += nr_frames;
}

/* Exactly nr_frames frames, at most a page block, from whichever group has them. */
static struct page *
take_exact_locked(struct zone *zone, enum mobility mobility, size_t nr_frames)
{
	struct page *page = buddy_alloc_exact(&zone->group[mobility].buddy, nr_frames);

	if (!page && zone_steal_block_locked(zone, mobility))
		page = buddy_alloc_exact(&zone->group[mobility].buddy, nr_frames);
	for (unsigned other = 0; !page && other < NR_MOBILITIES; other++)
		page = buddy_alloc_exact(&zone->group[other].buddy, nr_frames);
	if (page)
		account_run(zone, nr_frames);
	return page;
}

/* From the highest zone that suits the request downwards. */
static struct page *
try_exact(struct node *node, gfp_t gfp, struct gfp_route route, unsigned order, size_t nr_frames)
{
	for (unsigned z = route.zone + 1; z-- > 0;) {
		struct zone *zone = &node->zone[z];
		irqflags_t flags = spin_lock_irqsave(&zone->lock);
		struct page *page = NULL;

		if (zone_allows(zone, order, zone_mark(zone, gfp, MARK_MIN), route.zone))
			page = take_exact_locked(zone, route.mobility, nr_frames);
		spin_unlock_irqrestore(&zone->lock, flags);
		if (page)
			return page;
	}
	return NULL;
}

struct page *
node_alloc_exact(struct node *node, gfp_t gfp, size_t nr_frames)
{
	struct gfp_route route = gfp_route(gfp);
	struct page *page;
	unsigned order;

	if (nr_frames == 0 || nr_frames > MAX_ORDER_FRAMES)
		return NULL;
	order = nr_frames == 1 ? 0 : 64 - (unsigned)__builtin_clzl(nr_frames - 1);
	page = try_exact(node, gfp, route, order, nr_frames);
	if (!page && !(gfp & (GFP_NOWAIT | GFP_ATOMIC)) && node_make_room(node, gfp, route, order))
		page = try_exact(node, gfp, route, order, nr_frames);
	return page;
}

/* The zone whose span holds a frame, or NULL. */
static struct zone *
zone_at(struct node *node, pfn_t pfn)
{
	for (unsigned z = 0; z < NR_ZONES; z++) {
		struct zone *zone = &node->zone[z];

		if (zone->first <= pfn && pfn < zone->end)
			return zone;
	}
	return NULL;
}

/* Where the part of [first, end) ends that lies in one page block. */
static pfn_t
part_end(pfn_t first, pfn_t end)
{
	return MIN(ALIGN_DOWN(first, MAX_ORDER_FRAMES) + MAX_ORDER_FRAMES, end);
}

void
node_free_range(struct node *node, pfn_t first, pfn_t end)
{
	for (pfn_t after; first < end; first = after) {
		struct zone *zone = zone_at(node, first);
		irqflags_t flags;

		ASSERT(zone != NULL);
		after = part_end(first, end);
		flags = spin_lock_irqsave(&zone->lock);
		buddy_free_range(&zone_group_of(zone, first)->buddy, first, after);
		zone_account_locked(zone, -(long)(after - first));
		spin_unlock_irqrestore(&zone->lock, flags);
	}
}

int
node_alloc_range(struct node *node, pfn_t first, pfn_t end)
{
	if (first >= end)
		return -EINVAL;
	for (pfn_t at = first, after; at < end; at = after) {
		struct zone *zone = zone_at(node, at);
		int error = -EINVAL;

		after = part_end(at, end);
		if (zone) {
			irqflags_t flags = spin_lock_irqsave(&zone->lock);

			error = buddy_alloc_range(&zone_group_of(zone, at)->buddy, at, after);
			if (!error)
				account_run(zone, after - at);
			spin_unlock_irqrestore(&zone->lock, flags);
		}
		if (error) {
			if (at > first)
				node_free_range(node, first, at);
			return error;
		}
	}
	return 0;
}
