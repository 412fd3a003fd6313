/* SPDX-License-Identifier: MIT */
/*
 * What is in address spaces: for /proc, for statistics, and the checker.
 *
 * Regions and pages are counted where it costs nothing to count them, and here counted again:
 * space_check() walks regions and page tables and compares.
 */
#include <checker.h>
#include <page_allocator.h>
#include <page_cache.h>
#include <printk.h>

#include "space_internal.h"

static struct space_stats retired; /* (g) events of spaces that are gone */

/* ---- Regions ------------------------------------------------------------------------- */

/* Count an entry among those of its region. */
static void
count_entry(struct region_info *info, mmu_entry_t entry)
{
	struct page *page = entry_page(entry);
	bool dirty = arch_mmu_is_dirty(entry);

	if (page == zero_page)
		return;
	info->resident++;
	info->anonymous += page_is_anonymous(page);
	info->shared += page_mappings(page) > 1;
	if (page_mappings(page) > 1)
		*(dirty ? &info->shared_dirty : &info->shared_clean) += 1;
	else
		*(dirty ? &info->private_dirty : &info->private_clean) += 1;
	if (info->flags & MAP_LOCKED)
		info->locked++;
}

static struct region_info
describe(const struct address_space *space, const struct region *region)
{
	return (struct region_info){
		.start = region_start(region),
		.end = region_end(region),
		.prot = region->prot,
		.key = region_key(region),
		.flags = region->flags & REGION_KEPT_FLAGS,
		.stack = (region->flags & MAP_GROWSDOWN) != 0,
		.wants_huge = huge_is_wanted(region),
		.huge_advice = !!(region->flags & REGION_HUGE) - !!(region->flags & REGION_NO_HUGE),
		.no_fork = region->flags & REGION_NO_FORK,
		.wipe_on_fork = region->flags & REGION_WIPE_ON_FORK,
		.no_dump = region->flags & REGION_NO_DUMP,
		.heap = region_start(region) < ALIGN_UP(space->heap_end, PAGE_SIZE) &&
			region_end(region) > space->heap_start && !region->object,
		.object = region->object,
		.offset = region->object ? region->offset << PAGE_SHIFT : 0,
	};
}

/* Count the pages of a region that has been described. */
static void
count_pages(const struct address_space *space, struct region_info *info)
{
	struct page_row row;

	for (uintptr_t at = info->start; page_table_next_row(&space->table, at, info->end, &row);
	     at = page_row_end(&row)) {
		if (row.huge)
			info->huge += row.nr;
		for (unsigned i = 0; i < row.nr; i++) {
			mmu_entry_t entry = page_row_read(&row, i);

			if (entry)
				count_entry(info, entry);
		}
	}
}

bool
space_region_at(struct address_space *space, uintptr_t address, struct region_info *info)
{
	struct region *region;

	mutex_lock(&space->lock);
	region = region_find(space, address);
	if (region)
		*info = describe(space, region);
	mutex_unlock(&space->lock);
	return region != NULL;
}

void
space_each_region(struct address_space *space, bool (*fn)(const struct region_info *, void *),
		  void *arg)
{
	bool go_on = true;

	mutex_lock(&space->lock);
	for (struct region *region = region_find_from(space, 0); region && go_on;
	     region = region_next(region)) {
		struct region_info info = describe(space, region);

		count_pages(space, &info);
		go_on = fn(&info, arg);
	}
	mutex_unlock(&space->lock);
}

void
space_get_pages(struct address_space *space, uintptr_t start, size_t nr, struct shown_page *pages)
{
	mutex_lock(&space->lock);
	for (size_t i = 0; i < nr; i++) {
		mmu_entry_t entry = page_table_lookup(&space->table, start + i * PAGE_SIZE);
		struct page *page = entry ? entry_page(entry) : NULL;

		pages[i] = (struct shown_page){ .present = page != NULL };
		if (!page)
			continue;
		pages[i].frame = page_to_pfn(page);
		pages[i].of_object = page != zero_page && !page_is_anonymous(page);
		pages[i].exclusive = page != zero_page && page_mappings(page) == 1;
	}
	mutex_unlock(&space->lock);
}

/* ---- Statistics ------------------------------------------------------------------------ */

static void
count_region(struct space_stats *stats, const struct region *region)
{
	size_t pages = region_pages(region);

	if (region->flags & MAP_LOCKED)
		stats->locked += pages;
	if (region->flags & MAP_GROWSDOWN)
		stats->stack += pages;
	else if ((region->prot & PROT_EXEC) && !(region->prot & PROT_WRITE))
		stats->text += pages;
	else if ((region->prot & PROT_WRITE) && region_is_private(region))
		stats->data += pages;
}

void
space_get_stats(struct address_space *space, struct space_stats *stats)
{
	mutex_lock(&space->lock);
	*stats = space->stats;
	stats->mapped = space->nr_mapped;
	stats->resident = space->nr_resident;
	stats->resident_anonymous = space->nr_anonymous;
	stats->resident_huge = space->nr_huge * HUGE_PAGES;
	stats->tables = space->table.nr_tables;
	stats->locks_future = space->lock_future & MCL_FUTURE;
	for (struct region *region = region_find_from(space, 0); region;
	     region = region_next(region))
		count_region(stats, region);
	mutex_unlock(&space->lock);
}

/* Add what is counted by events. */
static void
add_events(struct space_stats *sum, const struct space_stats *stats)
{
	sum->faults_major += stats->faults_major;
	sum->faults_minor += stats->faults_minor;
	sum->faults_zero += stats->faults_zero;
	sum->faults_anonymous += stats->faults_anonymous;
	sum->faults_cow += stats->faults_cow;
	sum->faults_reuse += stats->faults_reuse;
	sum->faults_file += stats->faults_file;
	sum->faults_stack += stats->faults_stack;
	sum->faults_spurious += stats->faults_spurious;
	sum->faults_around += stats->faults_around;
	sum->huge_faults += stats->huge_faults;
	sum->huge_fallbacks += stats->huge_fallbacks;
	sum->huge_splits += stats->huge_splits;
}

static void
add_amounts(struct space_stats *sum, const struct space_stats *stats)
{
	sum->mapped += stats->mapped;
	sum->resident += stats->resident;
	sum->resident_anonymous += stats->resident_anonymous;
	sum->resident_huge += stats->resident_huge;
	sum->locked += stats->locked;
	sum->stack += stats->stack;
	sum->data += stats->data;
	sum->text += stats->text;
	sum->tables += stats->tables;
	sum->peak_mapped = MAX(sum->peak_mapped, stats->peak_mapped);
	sum->peak_resident = MAX(sum->peak_resident, stats->peak_resident);
}

void
space_retire_stats(struct address_space *space)
{
	DEBUG_ASSERT(mutex_is_held(&spaces_lock));
	add_events(&retired, &space->stats);
	retired.peak_mapped = MAX(retired.peak_mapped, space->stats.peak_mapped);
	retired.peak_resident = MAX(retired.peak_resident, space->stats.peak_resident);
}

void
space_get_totals(struct space_stats *sum)
{
	struct address_space *space;
	struct space_stats stats;

	mutex_lock(&spaces_lock);
	*sum = retired;
	list_for_each_entry (space, &all_spaces, all) {
		space_get_stats(space, &stats);
		add_events(sum, &stats);
		add_amounts(sum, &stats);
	}
	mutex_unlock(&spaces_lock);
}

static void
fill_memory_stats(memory_stats_t *stats)
{
	struct space_stats sum;

	space_get_totals(&sum);
	stats->page_faults_major = sum.faults_major;
	stats->page_faults_minor = sum.faults_minor;
	stats->page_faults_total = sum.faults_major + sum.faults_minor;
	stats->cached_memory = page_cache_total() * PAGE_SIZE;
}
MM_STATS_SOURCE(spaces, fill_memory_stats);

/* ---- Checking ---------------------------------------------------------------------------- */

#define MAX_PRINTED 8

/* What the walk over a space has found. */
struct space_census {
	size_t nr_mapped, nr_entries, nr_zero, nr_resident, nr_anonymous, nr_huge, nr_moved;
	unsigned errors;
};

#define REPORT(census, ...)                                                                        \
	do {                                                                                       \
		if ((census)->errors++ < MAX_PRINTED)                                              \
			kprintf("check: " __VA_ARGS__);                                            \
	} while (0)

/* By itself, or in a block that was given out for a huge page? */
static bool
is_allocated(const struct page *page)
{
	const struct page *head = pfn_to_page(ALIGN_DOWN(page_to_pfn(page), HUGE_PAGES));

	if (page->state == PAGE_ALLOCATED)
		return true;
	return page->state == PAGE_TAIL && head->state == PAGE_ALLOCATED &&
	       head->order == HUGE_ORDER;
}

/* May an entry of that region lead to page, with these rights? */
static const char *
entry_fault(const struct region *region, struct page *page, uintptr_t address, mmu_entry_t entry)
{
	unsigned rights = region->rights & MMU_ALL;

	if (region->rights != prot_rights(region->prot, region_key(region)))
		return "is in a region whose rights are not what its mapping says";
	if (arch_mmu_is_visible(entry) && arch_mmu_key(entry) != region_key(region))
		return "has another protection key";
	if (arch_mmu_is_executable(entry) && !(rights & MMU_EXEC))
		return "is executable where that is not allowed";
	if (arch_mmu_is_visible(entry) && rights == 0)
		return "is visible where nothing may be accessed";
	if (arch_mmu_is_writable(entry) && !(rights & MMU_WRITE))
		return "is writable where that is not allowed";
	if (page == zero_page)
		return arch_mmu_is_writable(entry) ? "makes the zero page writable" : NULL;
	if (!is_allocated(page) || page_mappings(page) == 0 ||
	    page_references(page) < page_mappings(page))
		return "leads to a frame that is not in use";
	if (page_is_anonymous(page)) {
		if (!region_is_private(region) || page->owner != (uintptr_t)region->space->family ||
		    user_page(page)->index != region_home(region, address))
			return "leads to somebody else's memory";
		if (arch_mmu_is_writable(entry) && page_mappings(page) > 1)
			return "makes writable what is shared";
		return NULL;
	}
	if (!region->object || page->use != PAGE_USE_FILE ||
	    user_page(page)->index != region_index(region, address))
		return "leads to another page of a file";
	if (region_is_private(region) && arch_mmu_is_writable(entry))
		return "lets a private mapping write to the file";
	return NULL;
}

static void
check_entry(struct space_census *census, const struct region *region, uintptr_t address,
	    mmu_entry_t entry)
{
	struct page *page = entry_page(entry);
	const char *wrong = entry_fault(region, page, address, entry);

	census->nr_entries++;
	census->nr_zero += page == zero_page;
	census->nr_resident += page != zero_page;
	census->nr_anonymous += page != zero_page && page_is_anonymous(page);
	if (wrong)
		REPORT(census, "the entry of %#lx %s\n", (unsigned long)address, wrong);
}

static void
check_row(struct space_census *census, const struct region *region, const struct page_row *row)
{
	for (unsigned i = 0; i < row->nr; i++) {
		mmu_entry_t entry = page_row_read(row, i);

		if (entry)
			check_entry(census, region, row->start + i * PAGE_SIZE, entry);
	}
	if (!row->huge)
		return;
	census->nr_huge++;
	if (region->object || !IS_ALIGNED(arch_mmu_frame(page_row_read(row, 0)), HUGE_SIZE) ||
	    row->start < region_start(region) || page_row_end(row) > region_end(region))
		REPORT(census, "a huge page at %#lx, where there can be none\n",
		       (unsigned long)row->start);
}

static void
check_region(struct space_census *census, struct address_space *space, const struct region *region)
{
	struct page_row row;

	census->nr_mapped += region_pages(region);
	census->nr_moved += region->home != region_start(region) >> PAGE_SHIFT;
	if (region->space != space ||
	    !IS_ALIGNED(region_start(region) | region_end(region), PAGE_SIZE))
		REPORT(census, "region %#lx is damaged\n", (unsigned long)region_start(region));
	if (!(region->flags & MAP_PRIVATE) == !(region->flags & MAP_SHARED) ||
	    ((region->flags & MAP_SHARED) && !region->object))
		REPORT(census, "region %#lx is neither private nor shared\n",
		       (unsigned long)region_start(region));
	if (region->prot & ~region->max_prot)
		REPORT(census, "region %#lx grants too much\n",
		       (unsigned long)region_start(region));
	for (uintptr_t at = region_start(region);
	     page_table_next_row(&space->table, at, region_end(region), &row);
	     at = page_row_end(&row))
		check_row(census, region, &row);
}

static void
compare(struct space_census *census, const char *what, size_t counted, size_t believed)
{
	if (counted != believed)
		REPORT(census, "%lu %s, not %lu\n", (unsigned long)counted, what,
		       (unsigned long)believed);
}

static unsigned
check_locked(struct address_space *space)
{
	struct space_census census = { .errors = range_tree_check(&space->regions) };
	struct region *region;
	size_t nr_entries, nr_moved = 0;

	if (census.errors)
		return census.errors;
	census.errors += page_table_check(&space->table, &nr_entries);
	for (region = region_find_from(space, 0); region; region = region_next(region))
		check_region(&census, space, region);
	list_for_each_entry (region, &space->moved, moved_link)
		nr_moved++;
	compare(&census, "pages in regions", census.nr_mapped, space->nr_mapped);
	compare(&census, "entries in regions", census.nr_entries, nr_entries);
	compare(&census, "resident pages", census.nr_resident, space->nr_resident);
	compare(&census, "anonymous pages", census.nr_anonymous, space->nr_anonymous);
	compare(&census, "huge pages", census.nr_huge, space->nr_huge);
	compare(&census, "moved regions", census.nr_moved, nr_moved);
	return census.errors;
}

unsigned
space_check(struct address_space *space)
{
	unsigned errors;

	mutex_lock(&space->lock);
	errors = check_locked(space);
	mutex_unlock(&space->lock);
	return errors;
}

static unsigned
check_all(void)
{
	struct address_space *space;
	unsigned errors = 0;

	mutex_lock(&spaces_lock);
	list_for_each_entry (space, &all_spaces, all)
		errors += space_check(space);
	mutex_unlock(&spaces_lock);
	return errors;
}
MM_CHECKER(spaces, check_all);
