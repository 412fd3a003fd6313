/* SPDX-License-Identifier: MIT */
/*
 * The tree of page tables of one address space: mm/page_table.c. Its owner's lock guards it, but
 * the processors read it, and note use in it, at any time.
 */
#ifndef IKOS_PAGE_TABLE_H
#define IKOS_PAGE_TABLE_H

#include <arch.h>
#include <list.h>
#include <page.h>
#include <types.h>

struct page_table {
	paddr_t root;
	size_t nr_tables;    /* frames that it takes, the root's included */
	paddr_t last;	     /* the table of level 0 that was made or asked for last; 0: none */
	uintptr_t last_base; /* the first address of what that one spans */
};

/* The entries of pages side by side, as far as one table holds them. */
struct page_row {
	uintptr_t start;    /* address of the first page */
	unsigned nr;	    /* pages */
	mmu_entry_t *entry; /* of the first */
	struct page *table; /* owner: how many of its entries are not 0 */
};

static inline uintptr_t
page_row_end(const struct page_row *row)
{
	return row->start + row->nr * PAGE_SIZE;
}

/* An empty one. Returns 0 or -ENOMEM. May sleep. */
int page_table_init(struct page_table *table) __must_check;

/* Give it back, all pages unmapped and pruned. No CPU uses it. */
void page_table_destroy(struct page_table *table);

/*
 * The lowest row in [start, end) that has a table; whether its entries are 0 is another matter.
 * Returns false if there is none. Walk a range by going on at page_row_end().
 */
bool page_table_next_row(const struct page_table *table, uintptr_t start, uintptr_t end,
			 struct page_row *row);

/*
 * The row that begins at start, its tables made if need be. Returns 0 or -ENOMEM: then the caller
 * prunes, as upper ones may have been made, which are empty. May sleep.
 */
int page_table_make_row(struct page_table *table, uintptr_t start, uintptr_t end,
			struct page_row *row) __must_check;

/* The entry of one page, 0 if there is none. */
mmu_entry_t page_table_lookup(const struct page_table *table, uintptr_t address);

/* Fill entry i of a row, which is 0. */
static inline void
page_row_set(struct page_row *row, unsigned i, mmu_entry_t entry)
{
	arch_mmu_write(&row->entry[i], entry);
	row->table->owner++;
}

/* Clear entry i, which is not 0; what it was. Its page stays in use until CPUs were flushed. */
static inline mmu_entry_t
page_row_clear(struct page_row *row, unsigned i)
{
	row->table->owner--;
	return arch_mmu_exchange(&row->entry[i], 0);
}

/*
 * Take out tables below [start, end) that map nothing, and put their frames on the list freed.
 * page_table_free() gives them back, once the CPUs that use the tables have been flushed.
 */
void page_table_prune(struct page_table *table, uintptr_t start, uintptr_t end,
		      struct list_head *freed);
void page_table_free(struct list_head *freed);

/* Recount everything. Returns the number of contradictions; *nr_pages: entries that are not 0. */
unsigned page_table_check(const struct page_table *table, size_t *nr_pages) __must_check;

#endif
