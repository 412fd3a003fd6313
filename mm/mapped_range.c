/* SPDX-License-Identifier: MIT */
/*
 * Pages in ranges of addresses: taking them out, changing their rights, copying them for fork(),
 * moving them.
 *
 * PROBLEM. Processors keep translations, and never look whether an entry has changed. So a frame
 * may only be freed after every CPU that uses the page tables has forgotten the page; asking
 * for that one page at a time would cost an interrupt on every CPU for each.
 *
 * IDEA. Gather what has been taken out, and ask once for many:
 *
 *	clear entry, clear entry, ...     -->  gather: pages, addresses, empty tables
 *	gather full, or the end           -->  1. all CPUs in space->users forget the addresses
 *	                                       2. the pages lose their mappings, tables are freed
 *
 * Up to GATHER_ADDRESSES pages are forgotten one by one, more of them all at once. An entry
 * that has only got more rights needs none of this: a processor that uses an old one faults,
 * and finds the new one.
 *
 * WHAT AN ENTRY LEADS TO. The zero page, which is nobody's and not counted; an anonymous page;
 * or a page of an object. Each but the first is one mapping of its page and counts as resident.
 * The right to write is only in entries whose page nobody else would see change: anonymous with
 * no other mapping, or of a shared region; and of a file on a disk only in those whose page is
 * known to differ from the disk.
 *
 * A HUGE PAGE is a row of its own, which has one entry; what is to be done with it is in
 *huge_page.c.
 *
 * LOCKING. space->lock throughout; in copy_pages() also the child's.
 */
#include <errno.h>

#include "space_internal.h"
#include "space_trace.h"

struct page *zero_page;

/* ---- Gathering --------------------------------------------------------------------- */

void
gather_begin(struct gather *gather, struct address_space *space)
{
	gather->space = space;
	gather->nr_pages = gather->nr_addresses = gather->nr_huge = 0;
	gather->flush_all = false;
	list_init(&gather->tables);
}

void
gather_end(struct gather *gather)
{
	if (gather->nr_addresses > 0)
		arch_mmu_flush(&gather->space->users, gather->flush_all ? NULL : gather->address,
			       gather->nr_addresses);
	for (unsigned i = 0; i < gather->nr_pages; i++)
		page_unmap(gather->page[i]);
	for (unsigned i = 0; i < gather->nr_huge; i++)
		huge_page_unmap(gather->huge[i]);
	page_table_free(&gather->tables);
	gather->nr_pages = gather->nr_addresses = gather->nr_huge = 0;
	gather->flush_all = false;
}

/* A translation of address is to be forgotten, and then page, if any, loses a mapping. */
static inline void
gather_add(struct gather *gather, uintptr_t address, struct page *page)
{
	gather_address(gather, address);
	if (!page)
		return;
	trace_unmapped(gather->space, address, page);
	gather->page[gather->nr_pages++] = page;
	if (gather->nr_pages == GATHER_PAGES)
		gather_end(gather);
}

void
gather_huge(struct gather *gather, uintptr_t address, struct page *head)
{
	gather_address(gather, address);
	for (unsigned i = 0; trace_space_is_on() && i < HUGE_PAGES; i++)
		trace_unmapped(gather->space, address + i * PAGE_SIZE, head + i);
	gather->huge[gather->nr_huge++] = head;
	if (gather->nr_huge == GATHER_HUGE)
		gather_end(gather);
}

void
prune_tables(struct gather *gather, uintptr_t start, uintptr_t end)
{
	page_table_prune(&gather->space->table, start, end, &gather->tables);
	/* A table may have been looked at without any page in it. */
	if (!list_empty(&gather->tables) && gather->nr_addresses == 0)
		gather->address[gather->nr_addresses++] = start;
}

/* ---- Taking out ---------------------------------------------------------------------- */

void
unmap_pages(struct gather *gather, uintptr_t start, uintptr_t end, bool anonymous_too)
{
	struct address_space *space = gather->space;
	bool emptied = false;
	struct page_row row;

	assert_space_locked(space);
	for (uintptr_t at = start; page_table_next_row(&space->table, at, end, &row);
	     at = page_row_end(&row)) {
		unsigned nr = row.huge ? 0 : row.nr;

		if (row.huge && anonymous_too)
			huge_unmap(gather, &row);
		for (unsigned i = 0; i < nr; i++) {
			mmu_entry_t entry = arch_mmu_read(&row.entry[i]);
			struct page *page = entry_page(entry);

			if (!entry || (page_is_anonymous(page) && !anonymous_too))
				continue;
			(void)page_row_clear(&row, i);
			if (page == zero_page) {
				page = NULL;
			} else {
				space->nr_resident--;
				space->nr_anonymous -= page_is_anonymous(page);
			}
			gather_add(gather, row.start + i * PAGE_SIZE, page);
		}
		emptied |= row.table->owner == 0;
	}
	if (emptied)
		prune_tables(gather, start, end);
}

/* ---- Rights ---------------------------------------------------------------------------- */

/* Is the page of a private region's entry anonymous, and has nobody else a reference to it? */
static inline bool
is_ours(mmu_entry_t entry)
{
	struct page *page = entry_page(entry);

	return page_is_anonymous(page) && page_references(page) == 1;
}

/* Change one entry to the given rights. Returns whether anything changed. */
static inline bool
protect_entry(mmu_entry_t *at, mmu_entry_t old, unsigned rights)
{
	mmu_entry_t new = arch_mmu_with_rights(old, rights);

	if (new == old)
		return false;
	/* What the processor noted in between must not be lost. */
	if (arch_mmu_is_dirty(arch_mmu_exchange(at, new)) && !arch_mmu_is_dirty(new))
		arch_mmu_mark_dirty(at);
	return true;
}

/*
 * What was write-protected may have been so because its page is shared, or is as it is on a disk
 * (asks). One that is ours alone (see demand_paging.c) may be written at once, for the others a
 * fault finds out.
 */
static void
protect_row(struct gather *gather, struct page_row *row, unsigned rights, bool asks)
{
	for (unsigned i = 0; i < row->nr; i++) {
		mmu_entry_t old = arch_mmu_read(&row->entry[i]);
		unsigned granted = rights;

		if (!old)
			continue;
		if (asks && (rights & MMU_WRITE) && !arch_mmu_is_writable(old) && !is_ours(old))
			granted &= ~MMU_WRITE;
		if (protect_entry(&row->entry[i], old, granted))
			gather_address(gather, row->start + i * PAGE_SIZE);
	}
}

/* The same for a huge page, all of which must be ours. */
static void
protect_huge(struct gather *gather, struct page_row *row, unsigned rights)
{
	mmu_entry_t old = arch_mmu_read(row->entry);

	if ((rights & MMU_WRITE) && !arch_mmu_is_writable(old) &&
	    !huge_page_is_sole(entry_page(old)))
		rights &= ~MMU_WRITE;
	if (protect_entry(row->entry, old, rights))
		gather_address(gather, row->start);
}

void
protect_pages(struct gather *gather, const struct region *region)
{
	unsigned rights = region->rights;
	bool asks = region_is_private(region) || region_tracks_writes(region);
	struct page_row row;

	assert_space_locked(gather->space);
	for (uintptr_t at = region_start(region);
	     page_table_next_row(&gather->space->table, at, region_end(region), &row);
	     at = page_row_end(&row)) {
		if (row.huge)
			protect_huge(gather, &row, rights);
		else
			protect_row(gather, &row, rights, asks);
	}
}

/* Of shared regions: there are no huge pages. */
void
write_protect_pages(struct gather *gather, uintptr_t start, uintptr_t end)
{
	struct page_row row;

	assert_space_locked(gather->space);
	for (uintptr_t at = start; page_table_next_row(&gather->space->table, at, end, &row);
	     at = page_row_end(&row)) {
		for (unsigned i = 0; i < row.nr; i++) {
			if (!arch_mmu_is_writable(arch_mmu_read(&row.entry[i])))
				continue;
			(void)arch_mmu_write_protect(&row.entry[i]);
			gather_address(gather, row.start + i * PAGE_SIZE);
		}
	}
}

/* ---- Copying for fork() ------------------------------------------------------------------ */

/*
 * Show one page of the parent to the child as well, if it is one that fork() copies: anonymous
 * memory and zeroes. Pages of files come by faults. Returns whether; *protected: the parent's
 * right to write has gone.
 */
static inline bool
copy_entry(mmu_entry_t *from, mmu_entry_t entry, mmu_entry_t *to, bool *protected)
{
	struct page *page = entry_page(entry);

	if (page_is_anonymous(page))
		page_map_again(page);
	else if (page != zero_page)
		return false;
	if (arch_mmu_is_writable(entry)) {
		(void)arch_mmu_write_protect(from);
		entry = arch_mmu_read_only(entry);
		*protected = true;
	}
	arch_mmu_write(to, entry);
	return true;
}

/* Copy a row whose counterpart in the child is child_row. Returns how many pages; zeroes apart. */
static size_t
copy_row(struct page_row *row, struct page_row *child_row, bool *protected)
{
	size_t nr = 0, nr_anonymous = 0;

	for (unsigned i = 0; i < row->nr; i++) {
		mmu_entry_t entry = arch_mmu_read(&row->entry[i]);

		if (!entry || !copy_entry(&row->entry[i], entry, &child_row->entry[i], protected))
			continue;
		nr++;
		nr_anonymous += entry_page(entry) != zero_page;
	}
	child_row->table->owner += nr;
	return nr_anonymous;
}

/* Copy a row of single pages, to the same place of the child. */
static int
copy_small(struct gather *gather, struct page_row *row, struct address_space *child)
{
	struct list_head unused = LIST_INIT(unused);
	struct page_row child_row;
	bool protected = false;
	size_t nr;

	if (row->table->owner == 0)
		return 0;
	if (page_table_make_row(&child->table, row->start, page_row_end(row), &child_row) != 0)
		return -ENOMEM;
	nr = copy_row(row, &child_row, &protected);
	if (child_row.table->owner == 0) { /* nothing but pages of a file; no CPU saw it */
		page_table_prune(&child->table, row->start, page_row_end(row), &unused);
		page_table_free(&unused);
	}
	child->nr_resident += nr;
	child->nr_anonymous += nr;
	if (protected) {
		gather->flush_all = true;
		gather_address(gather, row->start);
	}
	return 0;
}

int
copy_pages(struct gather *gather, const struct region *region, struct address_space *child)
{
	struct page_row row;
	int error = 0;

	assert_space_locked(gather->space);
	assert_space_locked(child);
	if (region->flags & REGION_WIPE_ON_FORK)
		return 0; /* what the child has there is zeroes */
	for (uintptr_t at = region_start(region);
	     !error && page_table_next_row(&gather->space->table, at, region_end(region), &row);
	     at = page_row_end(&row))
		error = row.huge ? huge_copy(gather, &row, child) : copy_small(gather, &row, child);
	return error;
}

/* ---- Moving --------------------------------------------------------------------------------- */

/* Have tables where the pages of a row are to be. */
static int
prepare_row(struct address_space *space, struct page_row *row, uintptr_t first)
{
	uintptr_t last = first + row->nr * PAGE_SIZE;
	struct page_row target;

	if (row->huge) {
		int error = huge_prepare_move(space, row, first);

		if (error || row->huge)
			return error;
	}
	for (; first < last; first = page_row_end(&target)) {
		if (page_table_make_row(&space->table, first, last, &target) != 0)
			return -ENOMEM;
	}
	return 0;
}

int
prepare_move(struct address_space *space, uintptr_t start, uintptr_t end, uintptr_t to)
{
	struct page_row row;
	int error = 0;

	huge_split_at(space, start);
	huge_split_at(space, end);
	for (uintptr_t at = start; !error && page_table_next_row(&space->table, at, end, &row);
	     at = page_row_end(&row))
		error = prepare_row(space, &row, to + (row.start - start));
	return error;
}

/* Move the pages of a row that are there; target: the row of the last place, kept from call to
 * call. */
static void
move_row(struct gather *gather, struct page_row *row, uintptr_t to, struct page_row *target)
{
	for (unsigned i = 0; i < row->nr; i++) {
		uintptr_t place = to + i * PAGE_SIZE;

		if (!arch_mmu_read(&row->entry[i]))
			continue;
		if (place < target->start || place >= page_row_end(target))
			ASSERT(page_table_next_row(&gather->space->table, place,
						   to + row->nr * PAGE_SIZE, target));
		page_row_set(target, (unsigned)((place - target->start) >> PAGE_SHIFT),
			     page_row_clear(row, i));
		gather_address(gather, row->start + i * PAGE_SIZE);
	}
}

void
move_pages(struct gather *gather, uintptr_t start, uintptr_t end, uintptr_t to)
{
	struct page_row row, target = { .nr = 0 };

	for (uintptr_t at = start; page_table_next_row(&gather->space->table, at, end, &row);
	     at = page_row_end(&row)) {
		if (row.huge)
			huge_move(gather, &row, to + (row.start - start));
		else
			move_row(gather, &row, to + (row.start - start), &target);
	}
	prune_tables(gather, start, end);
	prune_tables(gather, to, to + (end - start));
}
