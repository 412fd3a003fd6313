/* SPDX-License-Identifier: MIT */
/*
 * The top of the memory manager: where its layers are wired together, and the only place
 * that knows all of them. Statistics and checks that span layers are here too.
 */
#include <checker.h>
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

/* Set by the linker. Weak: there may be none. */
extern const struct stats_source __start_mm_stats_sources[] __attribute__((weak));
extern const struct stats_source __stop_mm_stats_sources[] __attribute__((weak));

void
get_memory_stats(memory_stats_t *stats)
{
	const struct stats_source *source;
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
	for (source = __start_mm_stats_sources; source < __stop_mm_stats_sources; source++)
		source->fill(stats);
}

/* Set by the linker. Weak: there may be none. */
extern const struct checker __start_mm_checkers[] __attribute__((weak));
extern const struct checker __stop_mm_checkers[] __attribute__((weak));

unsigned
mm_check(void)
{
	unsigned errors = page_allocator_check();
	const struct checker *checker;

	for (checker = __start_mm_checkers; checker < __stop_mm_checkers; checker++)
		errors += checker->check();
	return errors;
}
