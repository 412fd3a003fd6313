/* SPDX-License-Identifier: MIT */
/* What a cheat does not care about: enough for the kernel to build and to boot. */
#include <page_table.h>

#ifndef OWN_INIT
int
page_table_init(struct page_table *table)
{
	(void)table;
	return -1;
}
#endif

void
page_table_destroy(struct page_table *table)
{
	(void)table;
}

#ifndef OWN_ROWS
bool
page_table_next_row(const struct page_table *table, uintptr_t start, uintptr_t end,
		    struct page_row *row)
{
	(void)table, (void)start, (void)end, (void)row;
	return false;
}

int
page_table_make_row(struct page_table *table, uintptr_t start, uintptr_t end, struct page_row *row)
{
	(void)table, (void)start, (void)end, (void)row;
	return -1;
}
#endif

#ifndef OWN_LOOKUP
mmu_entry_t
page_table_lookup(const struct page_table *table, uintptr_t address)
{
	(void)table, (void)address;
	return 0;
}
#endif

enum page_span
page_table_span(const struct page_table *table, uintptr_t address, struct page_row *row)
{
	(void)table, (void)address, (void)row;
	return SPAN_PAGES;
}

int
page_table_make_huge_row(struct page_table *table, uintptr_t start, struct page_row *row)
{
	(void)table, (void)start, (void)row;
	return -1;
}

void
page_table_set_huge(struct page_table *table, struct page_row *row, mmu_entry_t entry,
		    struct page *spare)
{
	(void)table, (void)row, (void)entry, (void)spare;
}

mmu_entry_t
page_table_clear_huge(struct page_table *table, struct page_row *row, struct page **spare)
{
	(void)table, (void)row, (void)spare;
	return 0;
}

void
page_table_break_huge(struct page_row *row, mmu_entry_t large)
{
	(void)row, (void)large;
}

void
page_table_prune(struct page_table *table, uintptr_t start, uintptr_t end, struct list_head *freed)
{
	(void)table, (void)start, (void)end, (void)freed;
}

void
page_table_free(struct list_head *freed)
{
	(void)freed;
}

unsigned
page_table_check(const struct page_table *table, size_t *nr_pages)
{
	(void)table;
	*nr_pages = 0;
	return 0;
}
