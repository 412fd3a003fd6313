/* SPDX-License-Identifier: MIT */
/*
 * /proc/meminfo, vmstat, buddyinfo, zoneinfo, slabinfo: the memory manager's books, in Linux's
 * formats.
 */
#include <address_space.h>
#include <arch.h>
#include <cmdline.h>
#include <page_allocator.h>
#include <page_cache.h>
#include <page_table.h>
#include <slab.h>
#include <string.h>
#include <zone.h>

#include "procfs.h"

static const char *const zone_names[NR_ZONES] = { "DMA", "Normal", "HighMem", "Movable" };

/* Frames of all slabs, without asking all CPUs: good enough for a sum. */
static size_t
slab_frames(void)
{
	struct kmem_cache *cache;
	size_t frames = 0;

	for (unsigned n = 0; (cache = cache_pin_nth(n)) != NULL; n++) {
		for (unsigned kind = 0; kind < NR_SLAB_KINDS; kind++)
			frames += __atomic_load_n(&cache->node[0].nr[kind], __ATOMIC_RELAXED)
				  << cache->order;
		cache_unpin(cache);
	}
	return frames;
}

/* ---- meminfo ------------------------------------------------------------------------------- */

static void
show_amount(struct text *text, const char *name, uint64_t frames)
{
	text_printf(text, "%s:%*s%8lu kB\n", name, (int)(15 - strlen(name)), "",
		    (unsigned long)(frames * (PAGE_SIZE >> 10)));
}

static uint64_t
min_marks(void)
{
	uint64_t sum = 0;

	for (int zone = 0; zone < NR_ZONES; zone++) {
		zone_stats_t stats;

		get_zone_stats(zone, &stats);
		sum += stats.watermark_min;
	}
	return sum;
}

/* Pages of files in memory are all that there is of them, so they are not to be had; others are. */
static int
show_meminfo(struct text *text, int pid)
{
	uint64_t files = page_cache_total(), slab = slab_frames(), kept = min_marks();
	uint64_t memory_files = page_cache_total_unstored(), dirty = page_cache_total_dirty();
	uint64_t available;
	struct page_totals totals;
	struct space_stats spaces;

	(void)pid;
	page_allocator_totals(&totals);
	space_get_totals(&spaces);
	show_amount(text, "MemTotal", totals.managed);
	show_amount(text, "MemFree", totals.free);
	available = totals.free + files - memory_files - dirty;
	show_amount(text, "MemAvailable", available - MIN(kept, available));
	show_amount(text, "Buffers", 0);
	show_amount(text, "Cached", files);
	show_amount(text, "SwapCached", 0);
	show_amount(text, "Active", spaces.resident_anonymous);
	show_amount(text, "Inactive", 0);
	show_amount(text, "Unevictable", spaces.locked);
	show_amount(text, "Mlocked", spaces.locked);
	show_amount(text, "SwapTotal", 0);
	show_amount(text, "SwapFree", 0);
	show_amount(text, "Dirty", dirty);
	show_amount(text, "Writeback", 0);
	show_amount(text, "AnonPages", spaces.resident_anonymous);
	show_amount(text, "Mapped", spaces.resident - spaces.resident_anonymous);
	show_amount(text, "Shmem", memory_files);
	show_amount(text, "KReclaimable", 0);
	show_amount(text, "Slab", slab);
	show_amount(text, "SReclaimable", 0);
	show_amount(text, "SUnreclaim", slab);
	show_amount(text, "PageTables", spaces.tables);
	show_amount(text, "AnonHugePages", spaces.resident_huge);
	show_amount(text, "CommitLimit", totals.managed);
	show_amount(text, "Committed_AS", spaces.mapped);
	show_amount(text, "DirectMap4k", arch_direct_map_bytes(0) >> PAGE_SHIFT);
	show_amount(text, "DirectMap2M", arch_direct_map_bytes(1) >> PAGE_SHIFT);
	show_amount(text, "DirectMap1G", arch_direct_map_bytes(2) >> PAGE_SHIFT);
	return 0;
}

/* ---- vmstat -------------------------------------------------------------------------------- */

static void
show_count(struct text *text, const char *name, uint64_t count)
{
	text_printf(text, "%s %lu\n", name, (unsigned long)count);
}

static void
show_zone_counts(struct text *text)
{
	static const char *const suffixes[NR_ZONES] = { "dma", "normal", "high", "movable" };
	zone_stats_t zones[NR_ZONES], sum = { 0 };

	for (int zone = 0; zone < NR_ZONES; zone++) {
		get_zone_stats(zone, &zones[zone]);
		text_printf(text, "pgalloc_%s %lu\n", suffixes[zone],
			    (unsigned long)zones[zone].allocations);
		sum.frees += zones[zone].frees;
		sum.compactions += zones[zone].compactions;
		sum.compaction_failures += zones[zone].compaction_failures;
		sum.moved_pages += zones[zone].moved_pages;
	}
	show_count(text, "pgfree", sum.frees);
	show_count(text, "pgmigrate_success", sum.moved_pages);
	show_count(text, "compact_stall", sum.compactions + sum.compaction_failures);
	show_count(text, "compact_success", sum.compactions);
	show_count(text, "compact_fail", sum.compaction_failures);
}

/* The last lines, which Linux does not have, are faults by kind. */
static void
show_fault_counts(struct text *text, const struct space_stats *spaces)
{
	show_count(text, "thp_fault_alloc", spaces->huge_faults);
	show_count(text, "thp_fault_fallback", spaces->huge_fallbacks);
	show_count(text, "thp_split_pmd", spaces->huge_splits);
	show_count(text, "pgfault", spaces->faults_minor + spaces->faults_major);
	show_count(text, "pgmajfault", spaces->faults_major);
	show_count(text, "fault_zero", spaces->faults_zero);
	show_count(text, "fault_anonymous", spaces->faults_anonymous);
	show_count(text, "fault_cow", spaces->faults_cow);
	show_count(text, "fault_reuse", spaces->faults_reuse);
	show_count(text, "fault_file", spaces->faults_file);
	show_count(text, "fault_around", spaces->faults_around);
	show_count(text, "fault_stack", spaces->faults_stack);
	show_count(text, "fault_spurious", spaces->faults_spurious);
}

static int
show_vmstat(struct text *text, int pid)
{
	struct space_stats spaces;

	(void)pid;
	space_get_totals(&spaces);
	show_count(text, "nr_free_pages", page_allocator_nr_free());
	show_count(text, "nr_anon_pages", spaces.resident_anonymous);
	show_count(text, "nr_anon_transparent_hugepages", spaces.resident_huge / HUGE_PAGES);
	show_count(text, "nr_mapped", spaces.resident - spaces.resident_anonymous);
	show_count(text, "nr_file_pages", page_cache_total());
	show_count(text, "nr_shmem", page_cache_total_unstored());
	show_count(text, "nr_dirty", page_cache_total_dirty());
	show_count(text, "nr_slab_reclaimable", 0);
	show_count(text, "nr_slab_unreclaimable", slab_frames());
	show_count(text, "nr_page_table_pages", spaces.tables);
	show_count(text, "nr_mlock", spaces.locked);
	show_count(text, "pgpgin", 0);
	show_count(text, "pgpgout", 0);
	show_count(text, "pswpin", 0);
	show_count(text, "pswpout", 0);
	show_zone_counts(text);
	show_fault_counts(text, &spaces);
	return 0;
}

/* ---- buddyinfo, zoneinfo ------------------------------------------------------------------- */

static size_t
free_blocks(int zone, unsigned order)
{
	size_t nr = 0;

	for (unsigned mobility = 0; mobility < NR_MOBILITIES; mobility++) {
		struct buddy *buddy = page_allocator_buddy(group_number(zone, mobility));

		nr += __atomic_load_n(&buddy->area[order].nr_free, __ATOMIC_RELAXED);
	}
	return nr;
}

static int
show_buddyinfo(struct text *text, int pid)
{
	zone_stats_t stats;

	(void)pid;
	for (int zone = 0; zone < NR_ZONES; zone++) {
		get_zone_stats(zone, &stats);
		if (stats.managed_pages == 0)
			continue;
		text_printf(text, "Node 0, zone %8s ", zone_names[zone]);
		for (unsigned order = 0; order < NR_ORDERS; order++)
			text_printf(text, "%6lu ", (unsigned long)free_blocks(zone, order));
		text_printf(text, "\n");
	}
	return 0;
}

static int
show_zoneinfo(struct text *text, int pid)
{
	zone_stats_t stats;

	(void)pid;
	for (int zone = 0; zone < NR_ZONES; zone++) {
		get_zone_stats(zone, &stats);
		if (stats.managed_pages == 0)
			continue;
		text_printf(text, "Node 0, zone %8s\n", zone_names[zone]);
		text_printf(text, "  pages free     %lu\n        min      %lu\n",
			    (unsigned long)stats.free_pages, (unsigned long)stats.watermark_min);
		text_printf(text, "        low      %lu\n        high     %lu\n",
			    (unsigned long)stats.watermark_low,
			    (unsigned long)stats.watermark_high);
		text_printf(text, "        managed  %lu\n        cached   %lu\n",
			    (unsigned long)stats.managed_pages, (unsigned long)stats.cached_pages);
	}
	return 0;
}

/* ---- slabinfo ------------------------------------------------------------------------------ */

static void
show_cache(struct text *text, struct kmem_cache *cache)
{
	char name[CACHE_NAME_SIZE];
	struct slab_stats stats;
	size_t slabs;

	strlcpy(name, cache->name, sizeof(name));
	for (char *blank = name; (blank = strchr(blank, ' ')) != NULL;)
		*blank = '_'; /* who reads it expects one word */
	slab_get_stats(cache, &stats);
	slabs =
	    stats.nr_slabs[SLAB_FULL] + stats.nr_slabs[SLAB_PARTIAL] + stats.nr_slabs[SLAB_EMPTY];
	text_printf(text,
		    "%-17s %6lu %6lu %6u %4u %4u : tunables %4u %4u %4u : slabdata %6lu %6lu %6u\n",
		    name, (unsigned long)stats.nr_in_use, (unsigned long)stats.nr_objects,
		    cache->size, cache->nr_objects, 1u << cache->order, cache->max_capacity,
		    cache->max_capacity / 2, 0, (unsigned long)(slabs - stats.nr_slabs[SLAB_EMPTY]),
		    (unsigned long)slabs, 0);
}

static int
show_slabinfo(struct text *text, int pid)
{
	struct kmem_cache *cache;

	(void)pid;
	text_printf(text,
		    "slabinfo - version: 2.1\n"
		    "# name            <active_objs> <num_objs> <objsize> <objperslab> "
		    "<pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata "
		    "<active_slabs> <num_slabs> <sharedavail>\n");
	for (unsigned n = 0; (cache = cache_pin_nth(n)) != NULL; n++) {
		show_cache(text, cache);
		cache_unpin(cache);
	}
	return 0;
}

const struct proc_file proc_memory_files[] = {
	{ "meminfo", 0444, show_meminfo },     { "vmstat", 0444, show_vmstat },
	{ "buddyinfo", 0444, show_buddyinfo }, { "zoneinfo", 0444, show_zoneinfo },
	{ "slabinfo", 0400, show_slabinfo },   { NULL, 0, NULL },
};

/* ---- sys/vm -------------------------------------------------------------------------------- */

static int
show_overcommit(struct text *text, int pid)
{
	(void)pid;
	text_printf(text, "1\n"); /* whatever is asked for is promised */
	return 0;
}

static int
show_max_map_count(struct text *text, int pid)
{
	(void)pid;
	text_printf(text, "%lu\n", (unsigned long)space_regions_max());
	return 0;
}

const struct proc_file proc_vm_files[] = {
	{ "overcommit_memory", 0444, show_overcommit },
	{ "max_map_count", 0644, show_max_map_count },
	{ NULL, 0, NULL },
};
