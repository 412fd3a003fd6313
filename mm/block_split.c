/* SPDX-License-Identifier: MIT */
/*
 * Splitting a block that is in use: 2^order frames together become as many single ones.
 *
 * PROBLEM. Who asked for a large block may find later that he must give back, or give away,
 * only a part of it. But a block comes back as it was given out, whole: nothing in the pages of
 * its other frames says that they could be freed alone.
 *
 * IDEA. Write into the pages what would be there if so many single frames had been asked for,
 * and correct the books to match. No frame moves, nothing is free in between, and it cannot fail:
 *
 *	frame        8          9          10         11
 *	before       ALLOCATED  TAIL       TAIL       TAIL
 *	order, lent  2, 3       -, 0       -, 0       -, 0
 *
 *	after        ALLOCATED  ALLOCATED  ALLOCATED  ALLOCATED
 *	order, lent  0, 1       0, 1       0, 1       0, 1
 *
 * Several owners of parts may find at the same time that the block must be split. The first does
 * it, and the others wait for the lock and find it done. A frame's mark "lent" is written last, so
 * that who sees it needs no lock: from then on its frame is one like any other.
 *
 * The trace shows a block that comes back, is halved all the way down, and given out again.
 *
 * LOCKING. zone->lock, and in it that of the group's buddy allocator.
 */
#include <trace.h>
#include <zone.h>

/* Make the frames of an allocated block allocated ones of their own. */
static void
split_frames(struct buddy *buddy, struct page *head, unsigned order)
{
	size_t nr = 1ul << order;

	assert_held(&buddy->lock);
	buddy_validate_locked(buddy);
	buddy->stats.nr_free[order]++;
	buddy->stats.nr_alloc[0] += nr;
	trace_buddy(TRACE_FREE, head, order);
	for (unsigned halved = order; halved > 0; halved--) {
		for (size_t i = 0; i < nr; i += 1ul << halved)
			trace_buddy(TRACE_SPLIT, head + i, halved);
	}
	for (size_t i = 0; i < nr; i++) {
		trace_buddy(TRACE_ALLOC, head + i, 0);
		head[i].state = PAGE_ALLOCATED;
		head[i].order = 0;
		__atomic_store_n(&head[i].lent, (uint8_t)lent_mark(0), __ATOMIC_RELEASE);
	}
	buddy_validate_locked(buddy);
}

void
node_split(struct node *node, struct page *page, unsigned order)
{
	struct zone *zone = node_zone_of(node, page);
	pfn_t first = ALIGN_DOWN(page_to_pfn(page), 1ul << order);
	struct page *head = pfn_to_page(first);
	irqflags_t flags = spin_lock_irqsave(&zone->lock);

	if (__atomic_load_n(&page->lent, __ATOMIC_RELAXED) != lent_mark(0)) {
		struct buddy *buddy = &zone_group_of(zone, first)->buddy;

		ASSERT_EQ(head->lent, lent_mark(order));
		spin_lock(&buddy->lock);
		split_frames(buddy, head, order);
		spin_unlock(&buddy->lock);
		/* As if nobody had ever asked for the block. */
		zone->events.nr_alloc[order]--;
		zone->events.nr_alloc[0] += 1ul << order;
	}
	spin_unlock_irqrestore(&zone->lock, flags);
}
