/* SPDX-License-Identifier: MIT */
/* What the console shows of zones: zoneinfo. */
#include <console.h>
#include <high_memory.h>
#include <printk.h>
#include <zone.h>

static const char *const zone_labels[NR_ZONES] = { "DMA", "Normal", "High", "Movable" };
static const char *const mobility_labels[NR_MOBILITIES] = { "unmovable", "reclaimable", "movable" };

static void
count(const char *name, uint64_t value)
{
	kprintf("  %-22s %10lu\n", name, (unsigned long)value);
}

static void
print_zone(const char *name, const zone_stats_t *stats)
{
	kprintf("zone %s: %lu frames, %lu free, %lu in CPUs' lists\n", name,
		(unsigned long)stats->managed_pages, (unsigned long)stats->free_pages,
		(unsigned long)stats->cached_pages);
	kprintf("  marks: min %lu, low %lu, high %lu\n", (unsigned long)stats->watermark_min,
		(unsigned long)stats->watermark_low, (unsigned long)stats->watermark_high);
	for (unsigned mobility = 0; mobility < NR_MOBILITIES; mobility++)
		kprintf("  %-11s %6lu page blocks, %8lu frames free\n", mobility_labels[mobility],
			(unsigned long)stats->blocks_by_mobility[mobility],
			(unsigned long)stats->free_by_mobility[mobility]);
	count("allocations", stats->allocations);
	count("frees", stats->frees);
	count("failures", stats->failures);
	count("fallbacks", stats->fallbacks);
	count("page blocks stolen", stats->stolen_blocks);
	count("blocks borrowed", stats->borrowed);
	count("list refills", stats->refills);
	count("list drains", stats->drains);
	count("compactions", stats->compactions);
	count("compactions failed", stats->compaction_failures);
	count("frames moved", stats->moved_pages);
	kprintf("  free but unusable for order 9: %lu.%lu %%\n",
		(unsigned long)stats->unusable / 10, (unsigned long)stats->unusable % 10);
}

static void
print_windows(void)
{
	struct kmap_stats stats;

	kmap_get_stats(&stats);
	kprintf("kmap: %u of %u windows used, %u kept for reuse\n", stats.used, KMAP_PAGES,
		stats.released);
	count("windows opened", stats.nr_mappings);
	count("flushes", stats.nr_flushes);
	count("waits for a window", stats.nr_waits);
}

static void
zoneinfo(int argc, char **argv)
{
	zone_stats_t stats;

	(void)argc;
	(void)argv;
	for (int zone = 0; zone < NR_ZONES; zone++) {
		get_zone_stats(zone, &stats);
		if (stats.managed_pages > 0)
			print_zone(zone_labels[zone], &stats);
	}
	get_zone_stats(ZONE_HIGH, &stats);
	if (stats.managed_pages > 0)
		print_windows();
}
CONSOLE_COMMAND(zoneinfo, "zoneinfo", "", "zones: free frames, marks, mobility, events", zoneinfo);
