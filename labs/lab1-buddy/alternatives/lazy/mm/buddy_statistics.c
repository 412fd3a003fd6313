/* SPDX-License-Identifier: MIT */
/* Another right solution of lab 1: the measures, of what free blocks could be joined to. */
#include <allocators.h>

void buddy_coalesce_locked(struct buddy *buddy);

unsigned
buddy_unusable(struct buddy *buddy, unsigned order)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);
	uint64_t small = 0, all = buddy->frames_free;

	buddy_coalesce_locked(buddy);
	while (order-- > 0)
		small += (uint64_t)buddy->area[order].nr_free << order;
	spin_unlock_irqrestore(&buddy->lock, flags);
	return all == 0 ? 0 : small * 1000 / all;
}

int
buddy_fragmentation_index(struct buddy *buddy, unsigned order)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);
	int64_t blocks = 0, requests = 0, index = -1000;

	buddy_coalesce_locked(buddy);
	for (unsigned o = 0; o <= MAX_ORDER; o++)
		blocks += buddy->area[o].nr_free;
	if ((buddy->nonempty & ~((1u << order) - 1)) == 0) {
		/* Free memory over the size of the request, in thousandths. */
		requests = (int64_t)(buddy->frames_free * 1000 / (1ul << order));
		index = blocks == 0 ? 0 : 1000 - (1000 + requests) / blocks;
	}
	spin_unlock_irqrestore(&buddy->lock, flags);
	return (int)index;
}

void
buddy_get_stats(struct buddy *buddy, struct buddy_stats *stats)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);

	*stats = buddy->stats;
	spin_unlock_irqrestore(&buddy->lock, flags);
}
