/* SPDX-License-Identifier: MIT */
/*
 * Huge pages: 2 MiB of anonymous memory by one fault and one entry.
 *
 * PROBLEM. A program that touches 64 MiB faults 16,384 times, and the processor then needs a
 * translation for each page, of which it remembers far fewer. But memory comes back in any pieces:
 * munmap(), mprotect(), a write after fork() all may concern a single page.
 *
 * IDEA. An entry of level 1 can map all that its table would. At the first touch of a span (what
 * such an entry covers: HUGE_SIZE bytes at a multiple of that), give all of it at once, if
 *
 *	- the span lies in one private anonymous region, and there is no table for it yet,
 *	- the program, or the administrator, wants it: mm.huge_pages, madvise(), prctl(),
 *	- a block of that order is free now. Nobody waits, nothing is compacted: else 4 KiB.
 *
 * And as soon as a part of it is to be different from the rest, split: put a table in its place
 * with an entry for each page, which grants the same. Then all goes on as if it had always been so:
 *
 *	level 1   [ .  H  . ]                     [ .  e  . ]
 *	               |                               |
 *	               |            split              v
 *	               |           ------->  level 0  [e e e e e ... e]
 *	               v                               | | | | |     |
 *	frames    [0 1 2 3 4 ... 511]                 [0 1 2 3 4 ... 511]
 *
 * A split cannot fail: the frame of the table has been waiting since the page was mapped, see
 * page_table.c. It touches no frame: each has had its own counts from the beginning, see
 * user_page.c. It makes no difference to the program, and none to any number but AnonHugePages.
 *
 * WHO SPLITS.
 *	region_split()    a boundary inside: munmap(), mprotect(), mremap(), mlock(), madvise() of a
 *	                  part. So a huge page always lies in one region, and who works on a region
 *	                  finds it whole
 *	MADV_DONTNEED     of a part, which cuts no region
 *	a write           to a page that fork() shared, while others still have a part of it; then
 *	                  only the page that is written to is copied. The last owner gets the
 *	                  right to write to all of it back
 *	mremap()          to an address that is elsewhere in its span
 * fork() shares it as it is.
 *
 * BREAK BEFORE MAKE. A processor must not find two sizes for one address, or it may use either, or
 * stop. So the old entry is cleared and forgotten by all before the table is written. Who touches
 * the page in between faults, waits for the lock, and finds it mapped.
 *
 * INVARIANTS, which space_check() recomputes: space->nr_huge is the number of huge pages; each lies
 * in one region, private and anonymous.
 *
 * LOCKING. space->lock.
 *
 * LEFT OUT. Making huge pages of small ones later; pages of files; a huge page of zeroes.
 */
#include <cmdline.h>
#include <errno.h>
#include <string.h>

#include "space_internal.h"

enum huge_policy huge_pages = HUGE_ADVISED;

static int
parse_policy(const char *value)
{
	static const char *const names[] = { "off", "advise", "always" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(value, names[i]) == 0) {
			huge_pages = (enum huge_policy)i;
			return 0;
		}
	}
	return -EINVAL;
}
CMDLINE_OPTION(huge_pages, "mm.huge_pages",
	       "off, advise or always: who gets pages of 2 MiB; advise: who asks by madvise()",
	       parse_policy);

/* ---- Giving ---------------------------------------------------------------------------- */

bool
huge_is_wanted(const struct region *region)
{
	if (region->object || (region->flags & REGION_NO_HUGE) || region->space->no_huge)
		return false;
	return huge_pages == HUGE_ALWAYS ||
	       (huge_pages == HUGE_ADVISED && (region->flags & REGION_HUGE));
}

void
space_forbid_huge(struct address_space *space, bool forbid)
{
	mutex_lock(&space->lock);
	space->no_huge = forbid;
	mutex_unlock(&space->lock);
}

bool
space_forbids_huge(struct address_space *space)
{
	bool forbids;

	mutex_lock(&space->lock);
	forbids = space->no_huge;
	mutex_unlock(&space->lock);
	return forbids;
}

/* Map one at start, if there is a block for it. Returns false, with nothing done, if not. */
static bool
map_new(struct address_space *space, const struct region *region, uintptr_t start)
{
	struct page *spare = alloc_pages(GFP_NOWAIT, 0), *head;
	struct page_row row;

	if (!spare || page_table_make_huge_row(&space->table, start, &row) != 0)
		goto no_page;
	head = huge_page_alloc(space->family, region_home(region, start));
	if (!head)
		goto no_page; /* the tables will lead to small ones instead */
	page_table_set_huge(&space->table, &row,
			    arch_mmu_large(arch_mmu_page(page_to_pfn(head) << PAGE_SHIFT,
							 region->rights)),
			    spare);
	space->nr_huge++;
	space->nr_anonymous += HUGE_PAGES;
	space_count_resident(space, HUGE_PAGES);
	return true;

no_page:
	if (spare)
		__free_pages(spare, 0);
	return false;
}

bool
huge_map(struct address_space *space, const struct region *region, uintptr_t address)
{
	uintptr_t start = ALIGN_DOWN(address, HUGE_SIZE);

	assert_space_locked(space);
	if (start < region_start(region) || region_end(region) - start < HUGE_SIZE)
		return false;
	if (map_new(space, region, start)) {
		space->stats.huge_faults++;
		return true;
	}
	space->stats.huge_fallbacks++;
	return false;
}

/* ---- Splitting --------------------------------------------------------------------------- */

void
huge_split(struct address_space *space, struct page_row *row)
{
	mmu_entry_t large;

	assert_space_locked(space);
	large = arch_mmu_exchange(row->entry, 0);
	arch_mmu_flush(&space->users, &row->start, 1);
	page_table_break_huge(row, large);
	space->nr_huge--;
	space->stats.huge_splits++;
}

void
huge_split_at(struct address_space *space, uintptr_t address)
{
	struct page_row row;

	if (space->nr_huge > 0 && !IS_ALIGNED(address, HUGE_SIZE) &&
	    page_table_span(&space->table, address, &row) == SPAN_HUGE)
		huge_split(space, &row);
}

/* ---- Taking out, copying, moving: as mapped_range.c does with small ones ------------------- */

void
huge_unmap(struct gather *gather, struct page_row *row)
{
	struct address_space *space = gather->space;
	struct page *spare;
	mmu_entry_t entry = page_table_clear_huge(&space->table, row, &spare);

	list_add_tail(&spare->link, &gather->tables);
	space->nr_huge--;
	space->nr_resident -= HUGE_PAGES;
	space->nr_anonymous -= HUGE_PAGES;
	gather_huge(gather, row->start, entry_page(entry));
}

int
huge_copy(struct gather *gather, struct page_row *row, struct address_space *child)
{
	struct page *spare = alloc_pages(GFP_KERNEL, 0);
	mmu_entry_t entry = arch_mmu_read(row->entry);
	struct page_row child_row;

	if (!spare)
		return -ENOMEM;
	if (page_table_make_huge_row(&child->table, row->start, &child_row) != 0) {
		__free_pages(spare, 0);
		return -ENOMEM;
	}
	huge_page_map_again(entry_page(entry));
	if (arch_mmu_is_writable(entry)) {
		entry = arch_mmu_read_only(arch_mmu_write_protect(row->entry));
		gather_address(gather, row->start);
	}
	page_table_set_huge(&child->table, &child_row, entry, spare);
	child->nr_huge++;
	child->nr_resident += HUGE_PAGES;
	child->nr_anonymous += HUGE_PAGES;
	return 0;
}

int
huge_prepare_move(struct address_space *space, struct page_row *row, uintptr_t to)
{
	struct page_row target;

	if (IS_ALIGNED(to, HUGE_SIZE))
		return page_table_make_huge_row(&space->table, to, &target);
	huge_split(space, row);
	return 0;
}

void
huge_move(struct gather *gather, struct page_row *row, uintptr_t to)
{
	struct page_table *table = &gather->space->table;
	struct page *spare;
	mmu_entry_t entry = page_table_clear_huge(table, row, &spare);
	struct page_row target;

	ASSERT_EQ(page_table_make_huge_row(table, to, &target), 0); /* it is there */
	ASSERT_EQ(arch_mmu_read(target.entry), 0);
	page_table_set_huge(table, &target, entry, spare);
	gather_address(gather, row->start);
}
