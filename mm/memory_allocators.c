/* SPDX-License-Identifier: MIT */
/*
 * The top of the memory manager: where its layers are wired together, and the only place
 * that knows all of them. Statistics and checks that span layers are here too.
 */
#include <memory_advanced.h>
#include <page_allocator.h>
#include <page_frame.h>
#include <slab.h>
#include <string.h>

void
mm_init(const struct memory_map *map)
{
	page_frame_init(map);
	page_allocator_init(page_frame_end());
	slab_init();
}

void
get_memory_stats(memory_stats_t *stats)
{
	irqflags_t flags = spin_lock_irqsave(&mm_frames.lock);
	const struct buddy_stats *frames = &mm_frames.stats;

	memset(stats, 0, sizeof(*stats));
	stats->total_memory = mm_frames.frames_managed * PAGE_SIZE;
	stats->free_memory = mm_frames.frames_free * PAGE_SIZE;
	stats->used_memory = stats->total_memory - stats->free_memory;
	stats->failed_allocations = frames->nr_failed;
	stats->total_allocations = frames->nr_failed;
	for (unsigned order = 0; order < NR_ORDERS; order++) {
		stats->total_allocations += frames->nr_alloc[order];
		stats->allocation_size_total += frames->nr_alloc[order] * (PAGE_SIZE << order);
	}
	stats->allocation_size_peak = frames->frames_peak * PAGE_SIZE;
	spin_unlock_irqrestore(&mm_frames.lock, flags);
}

unsigned
mm_check(void)
{
	return buddy_check(&mm_frames) + slab_check_all();
}
