/* SPDX-License-Identifier: MIT */
/*
 * Entries in an array, by what is left of the address: the kernel finds them all, and counts
 * them right. But no processor does, and no address has an entry for itself.
 */
#include <errno.h>
#include <memory_advanced.h>
#include <page_table.h>

#define OWN_INIT
#define OWN_LOOKUP
#define OWN_ROWS

static mmu_entry_t flat[MMU_ENTRIES];
static struct page flat_page;

int
page_table_init(struct page_table *table)
{
	table->root = arch_mmu_new_root();
	table->nr_tables = 1;
	table->last = 0;
	return table->root ? 0 : -ENOMEM;
}

static void
describe(struct page_row *row, uintptr_t start, uintptr_t end)
{
	uintptr_t limit = ALIGN_DOWN(start, MiB(2)) + MiB(2);

	row->start = start;
	row->nr = (unsigned)((MIN(end, limit) - start) >> PAGE_SHIFT);
	row->huge = false;
	row->entry = &flat[start >> PAGE_SHIFT & (MMU_ENTRIES - 1)];
	row->table = &flat_page;
}

bool
page_table_next_row(const struct page_table *table, uintptr_t start, uintptr_t end,
		    struct page_row *row)
{
	(void)table;
	if (start >= end || end - start > GiB(1))
		return false;
	describe(row, start, end);
	return true;
}

int
page_table_make_row(struct page_table *table, uintptr_t start, uintptr_t end, struct page_row *row)
{
	(void)table;
	describe(row, start, end);
	return 0;
}

mmu_entry_t
page_table_lookup(const struct page_table *table, uintptr_t address)
{
	(void)table;
	return flat[address >> PAGE_SHIFT & (MMU_ENTRIES - 1)];
}
