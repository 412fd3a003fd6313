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
 * Such frames are marked as lent in a run, not as blocks, so node_free() refuses them, and
 * node_free_range(), which takes them back, refuses all others.
 */
#include <arch.h>
#include <errno.h>
#include <thread.h>
#include <zone.h>

/* The frames [first, end) of a page block are given to a caller: mark what they consist of. */
static void
lend_run(struct zone *zone, pfn_t first, pfn_t end)
{
	zone_account_locked(zone, (long)(end - first));
	zone->events.nr_exact++;
	zone->events.frames_exact += end - first;
	for (pfn_t pfn = first; pfn < end; pfn += 1ul << pfn_to_page(pfn)->order)
		pfn_to_page(pfn)->lent = LENT_RUN;
}

/* They come back. Panics if they were given out otherwise, or lie in a CPU's list. */
static void
return_run(struct zone *zone, pfn_t first, pfn_t end)
{
	struct buddy *buddy = &zone_group_of(zone, first)->buddy;

	for (pfn_t pfn = first, after; pfn < end; pfn = after) {
		struct page *page = pfn_to_page(pfn);
		bool head = page->state == PAGE_ALLOCATED;

		after = pfn + (head ? 1ul << page->order : 1);
		if (head && page->lent != LENT_RUN)
			panic("zone: frame %#lx, of a block of order %u, was not given out as a "
			      "part of a run",
			      (unsigned long)pfn, page->order);
		page->lent = 0;
	}
	buddy_free_range(buddy, first, end); /* checks the rest */
	zone_account_locked(zone, -(long)(end - first));
	zone->events.nr_exact_free++;
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
		lend_run(zone, page_to_pfn(page), page_to_pfn(page) + nr_frames);
	return page;
}

/*
 * From the highest zone that suits the request downwards, as far as its flags go; or, for who
 * cannot go on without, to the last frame.
 */
static struct page *
try_exact(struct node *node, gfp_t gfp, struct gfp_route route, size_t nr_frames, bool to_the_last)
{
	for (unsigned z = route.zone + 1; z-- > 0;) {
		struct zone *zone = &node->zone[z];
		size_t mark = to_the_last ? 0 : zone_mark(zone, gfp, MARK_MIN);
		irqflags_t flags = spin_lock_irqsave(&zone->lock);
		struct page *page = NULL;

		if (zone_allows(zone, 0, mark + nr_frames - 1, to_the_last ? z : route.zone))
			page = take_exact_locked(zone, route.mobility, nr_frames);
		spin_unlock_irqrestore(&zone->lock, flags);
		if (page)
			return page;
	}
	return NULL;
}

/* As wait_for_frames() in zone_allocator.c does for blocks. */
static struct page *
wait_for_exact(struct node *node, gfp_t gfp, struct gfp_route route, size_t nr_frames)
{
	unsigned order = nr_frames == 1 ? 0 : 64 - (unsigned)__builtin_clzl(nr_frames - 1);
	unsigned rounds = gfp & GFP_NORETRY ? 1 : MAX_ROUNDS;
	bool forever = gfp & GFP_NOFAIL;

	for (unsigned round = 0; forever || round < rounds; round++) {
		bool progress = node_make_room(node, gfp, route, order);
		struct page *page = try_exact(node, gfp, route, nr_frames, false);

		if (!page && forever)
			page = try_exact(node, gfp, route, nr_frames, true);
		if (page)
			return page;
		if (!progress && !forever)
			break;
		if (!progress)
			thread_sleep_ns(NOFAIL_NAP_NS);
	}
	return NULL;
}

struct page *
node_alloc_exact(struct node *node, gfp_t gfp, size_t nr_frames)
{
	struct gfp_route route = gfp_route(gfp);
	struct page *page = NULL;

	ASSERT(gfp & GFP_NO_WAIT || arch_irqs_enabled());
	if (nr_frames == 0 || nr_frames > MAX_ORDER_FRAMES) {
		if (gfp & GFP_NOFAIL)
			panic("zone: no run has %lu frames, but the request may not fail",
			      (unsigned long)nr_frames);
		return NULL;
	}
	if (!injected_failure(node, gfp)) {
		page = try_exact(node, gfp, route, nr_frames, false);
		if (!page && !(gfp & GFP_NO_WAIT))
			page = wait_for_exact(node, gfp, route, nr_frames);
	}
	if (!page)
		zone_count_failure(&node->zone[route.zone]);
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
		return_run(zone, first, after);
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
				lend_run(zone, at, after);
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
