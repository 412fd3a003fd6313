/* SPDX-License-Identifier: MIT */
/*
 * What zones can tell about themselves.
 *
 * Most numbers are kept by the zone under its lock. What the CPUs' lists hold and count is
 * theirs alone; it is added up without stopping them, so while they work a sum may be a few
 * blocks old. The functions that do so are marked __racy_reads.
 */
#include <page_allocator.h>
#include <string.h>
#include <zone.h>

/* For the thread sanitizer: reads here need not be of one moment. */
#define __racy_reads __attribute__((no_sanitize("thread")))

/* What the CPUs' lists of a zone hold, and what went through them. */
struct list_sums {
	uint64_t cached;	    /* frames */
	uint64_t nr_alloc, nr_free; /* blocks */
	uint64_t frames;	    /* given out, ever */
};

static __racy_reads struct list_sums
add_up_lists(const struct zone *zone)
{
	struct list_sums sums = { 0 };

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		for (unsigned i = 0; i < NR_MOBILITIES * CPU_LIST_ORDERS; i++) {
			unsigned group = group_number(zone->type, i / CPU_LIST_ORDERS);
			unsigned order = i % CPU_LIST_ORDERS;
			const struct cpu_list *list = &zone->node->cpu[cpu].list[group][order];

			sums.cached += (uint64_t)(list->limit - list->room) << order;
			sums.nr_alloc += list->nr_alloc;
			sums.nr_free += list->nr_free;
			sums.frames += list->nr_alloc << order;
		}
	}
	return sums;
}

/* Frames in free blocks below order 9, of all groups: in thousandths of what is free. */
static uint64_t
unusable_9(struct zone *zone)
{
	uint64_t free = 0, small = 0;

	for (unsigned mobility = 0; mobility < NR_MOBILITIES; mobility++) {
		struct buddy *buddy = &zone->group[mobility].buddy;

		free += buddy->frames_free;
		small += (uint64_t)buddy_unusable(buddy, 9) * buddy->frames_free;
	}
	return free ? small / free : 0;
}

void
zone_get_stats(struct zone *zone, zone_stats_t *stats)
{
	irqflags_t flags = spin_lock_irqsave(&zone->lock);
	const struct zone_events *events = &zone->events;
	struct list_sums lists;

	memset(stats, 0, sizeof(*stats));
	stats->managed_pages = zone->nr_managed;
	stats->free_pages = zone->nr_free;
	stats->watermark_min = zone->mark[MARK_MIN];
	stats->watermark_low = zone->mark[MARK_LOW];
	stats->watermark_high = zone->mark[MARK_HIGH];
	for (unsigned mobility = 0; mobility < NR_MOBILITIES; mobility++) {
		stats->free_by_mobility[mobility] = zone->group[mobility].buddy.frames_free;
		stats->blocks_by_mobility[mobility] = zone->group[mobility].nr_blocks;
	}
	for (unsigned order = 0; order < NR_ORDERS; order++) {
		stats->allocations += events->nr_alloc[order];
		stats->frees += events->nr_free[order];
	}
	stats->allocations += events->nr_exact;
	stats->frees += events->nr_exact_free;
	stats->failures = events->nr_failed;
	stats->fallbacks = events->nr_fallback;
	stats->stolen_blocks = events->nr_stolen;
	stats->borrowed = events->nr_borrowed;
	stats->compactions = events->nr_compacted;
	stats->compaction_failures = events->nr_compact_failed;
	stats->moved_pages = events->nr_moved;
	stats->refills = events->nr_refills;
	stats->drains = events->nr_drains;
	stats->unusable = unusable_9(zone);
	spin_unlock_irqrestore(&zone->lock, flags);
	lists = add_up_lists(zone);
	stats->cached_pages = lists.cached;
	stats->allocations += lists.nr_alloc;
	stats->frees += lists.nr_free;
}

void
node_get_totals(struct node *node, struct page_totals *totals)
{
	*totals = (struct page_totals){ 0 };
	for (unsigned z = 0; z < NR_ZONES; z++) {
		struct zone *zone = &node->zone[z];
		struct list_sums lists = add_up_lists(zone);
		irqflags_t flags = spin_lock_irqsave(&zone->lock);

		totals->managed += zone->nr_managed;
		totals->free += zone->nr_free + lists.cached;
		totals->peak += zone->peak;
		totals->failed += zone->events.nr_failed;
		totals->requests += zone->events.nr_failed + zone->events.nr_exact + lists.nr_alloc;
		totals->allocated += zone->events.frames_exact + lists.frames;
		for (unsigned order = 0; order < NR_ORDERS; order++) {
			totals->requests += zone->events.nr_alloc[order];
			totals->allocated += zone->events.nr_alloc[order] << order;
		}
		spin_unlock_irqrestore(&zone->lock, flags);
	}
}
