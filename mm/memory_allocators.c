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
	struct page_totals totals;

	page_allocator_totals(&totals);
	memset(stats, 0, sizeof(*stats));
	stats->total_memory = totals.managed * PAGE_SIZE;
	stats->free_memory = totals.free * PAGE_SIZE;
	stats->used_memory = stats->total_memory - stats->free_memory;
	stats->total_allocations = totals.requests;
	stats->failed_allocations = totals.failed;
	stats->allocation_size_total = totals.allocated * PAGE_SIZE;
	stats->allocation_size_peak = totals.peak * PAGE_SIZE;
}

unsigned
mm_check(void)
{
	return page_allocator_check() + slab_check_all();
}
