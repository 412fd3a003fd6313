/* SPDX-License-Identifier: MIT */
/*
 * What a buddy allocator can tell about itself: counters and external fragmentation.
 *
 * External fragmentation is free memory that cannot serve a request because it lies in
 * pieces. Two measures answer two questions, both for a request of a given order:
 *
 *	unusable   "how much of what is free is of no use?"
 *	           the frames in blocks below that order, over all free frames
 *	index      "if the request fails, whose fault is it?"
 *	           near 0: there is too little memory; near 1: there is enough, in pieces
 *
 * Both are computed from the number of free blocks of each order, in thousandths, since
 * the kernel has no floating point. (Gorman and Whitcroft, "Supporting superpage allocation
 * without additional hardware support", 2005; index: Gorman's anti-fragmentation work, 2006.)
 *
 * All take buddy->lock, so the figures are of one moment.
 */
#include <allocators.h>

unsigned
buddy_unusable(struct buddy *buddy, unsigned order)
{
	size_t usable = 0, all;
	irqflags_t flags;

	ASSERT_LE(order, MAX_ORDER);
	flags = spin_lock_irqsave(&buddy->lock);
	all = buddy->frames_free;
	for (unsigned o = order; o <= MAX_ORDER; o++)
		usable += buddy->area[o].nr_free << o;
	spin_unlock_irqrestore(&buddy->lock, flags);
	return all ? (all - usable) * 1000 / all : 0;
}

int
buddy_fragmentation_index(struct buddy *buddy, unsigned order)
{
	size_t frames, blocks = 0;
	irqflags_t flags;
	bool succeeds;

	ASSERT_LE(order, MAX_ORDER);
	flags = spin_lock_irqsave(&buddy->lock);
	frames = buddy->frames_free;
	succeeds = buddy->nonempty >> order != 0;
	for (unsigned o = 0; o <= MAX_ORDER; o++)
		blocks += buddy->area[o].nr_free;
	spin_unlock_irqrestore(&buddy->lock, flags);

	if (succeeds)
		return -1000;
	if (blocks == 0)
		return 0;
	/* 1 - (1 + frames / 2^order) / blocks */
	return 1000 - (int)((1000 + (frames * 1000 >> order)) / blocks);
}

void
buddy_get_stats(struct buddy *buddy, struct buddy_stats *stats)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);

	*stats = buddy->stats;
	spin_unlock_irqrestore(&buddy->lock, flags);
}
