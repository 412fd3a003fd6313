/* SPDX-License-Identifier: MIT */
/*
 * Page tables.
 *
 * PROBLEM. The processor finds the frame of a page by walking a tree from its root, nine bits of
 * the address a level. The kernel has to build that tree under the processor's eyes, only where
 * pages are, and take it down again, without ever paying for addresses that nobody touched.
 *
 * IDEA. A table is a frame of 512 entries. Its struct page counts those in use, so that nobody
 * must look through a table to see whether it is empty:
 *
 *	address  | level 3 | level 2 | level 1 | level 0 | byte in page |
 *	              |         |         |         |
 *	    root [....e....]    |         |         |       nr_tables counts the frames
 *	              `--> [....e....]    |         |
 *	                        `--> [....e....]    |
 *	                                  `--> [....e e e e ...]   <- a row: entries side by side
 *	                                            |
 *	                                            `--> frame of the page
 *
 * Whoever works on a range asks for a row at a time: up to 512 entries for one walk from the root,
 * and where tables are missing the walk steps over all that they would span. With five levels
 * the same loops go one step further: the number of levels is the machine's.
 *
 * FREEING. Processors also remember tables, not only pages. So a table that has become empty is
 * taken out of the tree first, and its frame is freed after the CPUs that use the tree have been
 * flushed; flushing any page makes a processor forget all tables. (Intel SDM vol. 3, 4.10.4.1)
 *
 * INVARIANTS, which page_table_check() recomputes: the owner field of a table's page is the number
 * of its entries that are not 0; nr_tables is the number of tables; only the root may be empty;
 * last is a table of the tree.
 *
 * LOCKING. The lock of the address space. Entries are written atomically, as processors note use
 * in them meanwhile.
 */
#include <errno.h>
#include <memory_advanced.h>
#include <page_table.h>
#include <panic.h>
#include <printk.h>

/* Log2 of what one entry of a table of that level spans. */
static unsigned
level_shift(unsigned level)
{
	return PAGE_SHIFT + level * MMU_LEVEL_BITS;
}

static unsigned
entry_index(uintptr_t address, unsigned level)
{
	return address >> level_shift(level) & (MMU_ENTRIES - 1);
}

/* Where the part of the address space ends that one entry of that level spans. */
static uintptr_t
entry_end(uintptr_t address, unsigned level)
{
	return ALIGN_DOWN(address, 1ul << level_shift(level)) + (1ul << level_shift(level));
}

static mmu_entry_t *
table_entries(paddr_t table)
{
	return phys_to_virt(table);
}

static struct page *
table_page(paddr_t table)
{
	return pfn_to_page(table >> PAGE_SHIFT);
}

/* ---- Making and giving back ------------------------------------------------------- */

int
page_table_init(struct page_table *table)
{
	table->root = arch_mmu_new_root();
	if (!table->root)
		return -ENOMEM;
	table_page(table->root)->owner = 0;
	table->nr_tables = 1;
	table->last = 0;
	return 0;
}

void
page_table_destroy(struct page_table *table)
{
	ASSERT_EQ(table->nr_tables, 1);
	ASSERT_EQ(table_page(table->root)->owner, 0);
	arch_mmu_free_root(table->root);
	table->root = 0;
	table->nr_tables = 0;
}

/* Put a new table below an entry of the table above. */
static int
add_table(struct page_table *table, mmu_entry_t *entry, paddr_t above)
{
	struct page *page = alloc_pages(GFP_ZERO, 0);

	if (!page)
		return -ENOMEM;
	page->owner = 0;
	arch_mmu_write(entry, arch_mmu_table(page_to_pfn(page) << PAGE_SHIFT));
	table_page(above)->owner++;
	table->nr_tables++;
	return 0;
}

/* ---- Walking ----------------------------------------------------------------------- */

/* Describe the entries from address on, up to end, in their table of level 0. */
static void
describe_row(struct page_row *row, paddr_t table, uintptr_t address, uintptr_t end)
{
	row->start = address;
	row->nr = (unsigned)((MIN(end, entry_end(address, 1)) - address) >> PAGE_SHIFT);
	row->entry = table_entries(table) + entry_index(address, 0);
	row->table = table_page(table);
}

bool
page_table_next_row(const struct page_table *table, uintptr_t start, uintptr_t end,
		    struct page_row *row)
{
	while (start < end) {
		unsigned level = arch_mmu_levels - 1;
		paddr_t at = table->root;

		for (; level > 0; level--) {
			mmu_entry_t entry =
			    arch_mmu_read(&table_entries(at)[entry_index(start, level)]);

			if (!entry)
				break;
			at = arch_mmu_frame(entry);
		}
		if (level == 0) {
			describe_row(row, at, start, end);
			return true;
		}
		start = entry_end(start, level);
	}
	return false;
}

int
page_table_make_row(struct page_table *table, uintptr_t start, uintptr_t end, struct page_row *row)
{
	uintptr_t base = ALIGN_DOWN(start, 1ul << level_shift(1));
	paddr_t at = table->root;

	/* One fault is often followed by the next one nearby. */
	if (table->last && table->last_base == base) {
		describe_row(row, table->last, start, end);
		return 0;
	}
	for (unsigned level = arch_mmu_levels - 1; level > 0; level--) {
		mmu_entry_t *entry = &table_entries(at)[entry_index(start, level)];

		if (!*entry && add_table(table, entry, at) != 0)
			return -ENOMEM;
		at = arch_mmu_frame(*entry);
	}
	table->last = at;
	table->last_base = base;
	describe_row(row, at, start, end);
	return 0;
}

mmu_entry_t
page_table_lookup(const struct page_table *table, uintptr_t address)
{
	struct page_row row;

	if (!page_table_next_row(table, address, address + PAGE_SIZE, &row))
		return 0;
	return arch_mmu_read(row.entry);
}

/* ---- Pruning ------------------------------------------------------------------------ */

/* The same for the tables below one of the given level. Depth: the number of levels. */
static void
prune_below(struct page_table *table, paddr_t above, unsigned level, uintptr_t start, uintptr_t end,
	    struct list_head *freed)
{
	while (start < end) {
		mmu_entry_t *entry = &table_entries(above)[entry_index(start, level)];
		uintptr_t stop = MIN(end, entry_end(start, level));
		paddr_t below = arch_mmu_frame(*entry);

		if (*entry && level > 1)
			prune_below(table, below, level - 1, start, stop, freed);
		if (*entry && table_page(below)->owner == 0) {
			arch_mmu_write(entry, 0);
			table_page(above)->owner--;
			table->nr_tables--;
			list_add_tail(&table_page(below)->link, freed);
		}
		start = stop;
	}
}

void
page_table_prune(struct page_table *table, uintptr_t start, uintptr_t end, struct list_head *freed)
{
	table->last = 0; /* it may be one of them */
	prune_below(table, table->root, arch_mmu_levels - 1, start, end, freed);
}

void
page_table_free(struct list_head *freed)
{
	struct page *page, *tmp;

	list_for_each_entry_safe (page, tmp, freed, link)
		__free_pages(page, 0);
	list_init(freed);
}

/* ---- Checking ----------------------------------------------------------------------- */

struct table_census {
	size_t nr_tables, nr_pages;
	unsigned errors;
};

static void
count_below(paddr_t table, unsigned level, unsigned nr_entries, struct table_census *census)
{
	bool is_root = level == arch_mmu_levels - 1;
	unsigned used = 0;

	census->nr_tables++;
	for (unsigned i = 0; i < nr_entries; i++) {
		mmu_entry_t entry = arch_mmu_read(&table_entries(table)[i]);

		if (!entry)
			continue;
		used++;
		if (level > 0)
			count_below(arch_mmu_frame(entry), level - 1, MMU_ENTRIES, census);
		else
			census->nr_pages++;
	}
	if (used == table_page(table)->owner && (used > 0 || is_root))
		return;
	kprintf("check: a page table of level %u has %u entries, not %lu\n", level, used,
		(unsigned long)table_page(table)->owner);
	census->errors++;
}

/* The table of level 0 for an address, or 0. */
static paddr_t
find_table(const struct page_table *table, uintptr_t address)
{
	struct page_row row;

	if (!page_table_next_row(table, address, address + PAGE_SIZE, &row))
		return 0;
	return page_to_pfn(row.table) << PAGE_SHIFT;
}

unsigned
page_table_check(const struct page_table *table, size_t *nr_pages)
{
	struct table_census census = { .errors = 0 };

	count_below(table->root, arch_mmu_levels - 1, arch_mmu_root_entries(), &census);
	if (census.nr_tables != table->nr_tables) {
		kprintf("check: %lu page tables, not %lu\n", (unsigned long)census.nr_tables,
			(unsigned long)table->nr_tables);
		census.errors++;
	}
	if (table->last && find_table(table, table->last_base) != table->last) {
		kprintf("check: the page table of %#lx is not the one that was used last\n",
			(unsigned long)table->last_base);
		census.errors++;
	}
	*nr_pages = census.nr_pages;
	return census.errors;
}
