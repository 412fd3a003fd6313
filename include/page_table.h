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

/*
 * A huge page: what one entry of level 1 may map, instead of a table of single pages. The span of
 * such an entry begins at a multiple of HUGE_SIZE.
 */
#define HUGE_ORDER MMU_LEVEL_BITS
#define HUGE_PAGES (1ul << HUGE_ORDER)
#define HUGE_SIZE  (PAGE_SIZE << HUGE_ORDER)

struct page_table {
	paddr_t root;
	size_t nr_tables;    /* frames that it takes, the root's and spare ones included */
	paddr_t last;	     /* the table of level 0 that was made or asked for last; 0: none */
	uintptr_t last_base; /* the first address of what that one spans */
};

/*
 * The entries of pages side by side, as far as one table holds them; or the one entry of level 1
 * that maps a huge page.
 */
struct page_row {
	uintptr_t start;    /* address of the first page */
	unsigned nr;	    /* pages */
	bool huge;	    /* all by one entry, of a table of level 1; nr is HUGE_PAGES */
	mmu_entry_t *entry; /* of the first, or the only one */
	struct page *table; /* owner: how many of its entries are not 0 */
};

static inline uintptr_t
page_row_end(const struct page_row *row)
{
	return row->start + row->nr * PAGE_SIZE;
}

/* The entry of page i, for who only looks: that of a huge page is as if it were one of many. */
static inline mmu_entry_t
page_row_read(const struct page_row *row, unsigned i)
{
	if (row->huge)
		return arch_mmu_small(arch_mmu_read(row->entry), i);
	return arch_mmu_read(&row->entry[i]);
}

/* An empty one. Returns 0 or -ENOMEM. May sleep. */
int page_table_init(struct page_table *table) __must_check;

/* Give it back, all pages unmapped and pruned. No CPU uses it. */
void page_table_destroy(struct page_table *table);

/*
 * The lowest row in [start, end) that has a table; whether its entries are 0 is another matter.
 * Returns false if there is none. Walk a range by going on at page_row_end(). A range must not
 * begin or end inside of a huge page.
 */
bool page_table_next_row(const struct page_table *table, uintptr_t start, uintptr_t end,
			 struct page_row *row);

/*
 * The row that begins at start, its tables made if need be. Returns 0 or -ENOMEM: then the caller
 * prunes, as upper ones may have been made, which are empty. May sleep. No huge page is there.
 */
int page_table_make_row(struct page_table *table, uintptr_t start, uintptr_t end,
			struct page_row *row) __must_check;

/* Is the row of an address in the table that was asked for last? There it is found at once. */
static inline bool
page_table_is_last(const struct page_table *table, uintptr_t address)
{
	return table->last && address - table->last_base < HUGE_SIZE;
}

/* The entry of the page that holds address, 0 if there is none: in a huge page as if it were many.
 */
mmu_entry_t page_table_lookup(const struct page_table *table, uintptr_t address);

/* ---- Huge pages: see mm/huge_page.c ---------------------------------------------------- */

/* What is in the span that an address lies in? */
enum page_span {
	SPAN_EMPTY, /* no table of pages, hence no page */
	SPAN_PAGES, /* a table of pages */
	SPAN_HUGE,  /* a huge page, which *row describes */
};

enum page_span page_table_span(const struct page_table *table, uintptr_t address,
			       struct page_row *row);

/*
 * The row of the entry for a whole span, whatever that holds, its tables made if need be. Returns
 * 0 or -ENOMEM, as page_table_make_row().
 */
int page_table_make_huge_row(struct page_table *table, uintptr_t start, struct page_row *row)
    __must_check;

/*
 * Fill the entry of a huge row, which is 0. The frame spare, the caller's until then, is kept for
 * the table that takes the place of the entry when it is broken.
 */
void page_table_set_huge(struct page_table *table, struct page_row *row, mmu_entry_t entry,
			 struct page *spare);

/* Clear it; what it was. The frame that was kept is the caller's again, in *spare. */
mmu_entry_t page_table_clear_huge(struct page_table *table, struct page_row *row,
				  struct page **spare);

/*
 * Put a table of single pages, with the same rights, where a huge page was mapped by "large" and
 * nothing is any more. row then describes them.
 */
void page_table_break_huge(struct page_row *row, mmu_entry_t large);

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

/*
 * Recount everything. Returns the number of contradictions; *nr_pages: pages with an entry that
 * is not 0, all those of huge pages among them.
 */
unsigned page_table_check(const struct page_table *table, size_t *nr_pages) __must_check;

#endif
