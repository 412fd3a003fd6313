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

/* Sum over all CPUs: what their lists hold, in frames, and what went through them, in blocks. */
static __racy_reads void
add_lists(const struct zone *zone, zone_stats_t *stats)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		const struct cpu_pages *pages = &zone->cpu[cpu];

		stats->refills += pages->nr_refills;
		stats->drains += pages->nr_drains;
		for (unsigned mobility = 0; mobility < NR_MOBILITIES; mobility++) {
			for (unsigned order = 0; order < CPU_LIST_ORDERS; order++) {
				const struct cpu_list *list = &pages->list[mobility][order];

				stats->cached_pages += (uint64_t)list->nr << order;
				stats->allocations += list->nr_alloc;
				stats->frees += list->nr_free;
			}
		}
	}
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
	stats->failures = events->nr_failed;
	stats->fallbacks = events->nr_fallback;
	stats->stolen_blocks = events->nr_stolen;
	stats->borrowed = events->nr_borrowed;
	stats->compactions = events->nr_compacted;
	stats->compaction_failures = events->nr_compact_failed;
	stats->moved_pages = events->nr_moved;
	stats->unusable = unusable_9(zone);
	spin_unlock_irqrestore(&zone->lock, flags);
	add_lists(zone, stats);
}

/* What went through the CPUs' lists of a zone. */
static __racy_reads void
add_list_totals(const struct zone *zone, struct page_totals *totals)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		for (unsigned mobility = 0; mobility < NR_MOBILITIES; mobility++) {
			for (unsigned order = 0; order < CPU_LIST_ORDERS; order++) {
				const struct cpu_list *list = &zone->cpu[cpu].list[mobility][order];

				totals->free += (uint64_t)list->nr << order;
				totals->requests += list->nr_alloc;
				totals->allocated += list->nr_alloc << order;
			}
		}
	}
}

void
node_get_totals(struct node *node, struct page_totals *totals)
{
	*totals = (struct page_totals){ 0 };
	for (unsigned z = 0; z < NR_ZONES; z++) {
		struct zone *zone = &node->zone[z];
		irqflags_t flags = spin_lock_irqsave(&zone->lock);

		totals->managed += zone->nr_managed;
		totals->free += zone->nr_free;
		totals->peak += zone->peak;
		totals->failed += zone->events.nr_failed;
		totals->requests += zone->events.nr_failed + zone->events.nr_exact;
		totals->allocated += zone->events.frames_exact;
		for (unsigned order = 0; order < NR_ORDERS; order++) {
			totals->requests += zone->events.nr_alloc[order];
			totals->allocated += zone->events.nr_alloc[order] << order;
		}
		spin_unlock_irqrestore(&zone->lock, flags);
		add_list_totals(zone, totals);
	}
}
