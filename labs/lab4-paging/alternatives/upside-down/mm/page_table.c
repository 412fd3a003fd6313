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
 * HUGE PAGES. An entry of level 1 may map a huge page itself, and is then a row of its own. If it
 * has to become a table of single entries later, there must be a frame for that table, however
 * short memory is: so one is set aside with each such entry, and all of one table of level 1 wait
 * in a list, as link of its page is not needed otherwise:
 *
 *	level 1 [ .  e  H  .  H ]     link of its page --> spare --> spare
 *	            |   |     |                            (one for each H)
 *	       table    2 MiB 2 MiB
 *
 * FREEING. Processors also remember tables, not only pages. So a table that has become empty is
 * taken out of the tree first, and its frame is freed after the CPUs that use the tree have been
 * flushed; flushing any page makes a processor forget all tables. (Intel SDM vol. 3, 4.10.4.1)
 *
 * INVARIANTS, which page_table_check() recomputes: the owner field of a table's page is the number
 * of its entries that are not 0; nr_tables is the number of tables and spare frames; there are as
 * many of these as huge pages; only the root may be empty; last is a table of the tree.
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
	struct page *page = alloc_pages(GFP_KERNEL, 0);
	mmu_entry_t *entries;

	if (!page)
		return -ENOMEM;
	entries = page_to_virt(page);
	for (unsigned i = 0; i < MMU_ENTRIES; i++)
		entries[i] = 0;
	page->owner = 0;
	list_init(&page->link);
	table->nr_tables += 1;
	table_page(above)->owner += 1;
	arch_mmu_write(entry, arch_mmu_table(page_to_pfn(page) << PAGE_SHIFT));
	return 0;
}

/* ---- Walking ----------------------------------------------------------------------- */

/* Describe the entries from address on, up to end, in their table of level 0. */
static void
describe_row(struct page_row *row, paddr_t table, uintptr_t address, uintptr_t end)
{
	row->start = address;
	row->nr = (unsigned)((MIN(end, entry_end(address, 1)) - address) >> PAGE_SHIFT);
	row->huge = false;
	row->entry = table_entries(table) + entry_index(address, 0);
	row->table = table_page(table);
}

/* Describe the entry for the span of an address, in its table of level 1. */
static void
describe_huge_row(struct page_row *row, paddr_t table, uintptr_t address)
{
	row->start = ALIGN_DOWN(address, HUGE_SIZE);
	row->nr = HUGE_PAGES;
	row->huge = true;
	row->entry = table_entries(table) + entry_index(address, 1);
	row->table = table_page(table);
}

/* The same from a table of some level on. */
static mmu_entry_t
walk_from(paddr_t here, unsigned depth, uintptr_t address, paddr_t *at, unsigned *level)
{
	mmu_entry_t entry = arch_mmu_read(&table_entries(here)[entry_index(address, depth)]);

	*at = here;
	*level = depth;
	if (!entry || depth == 0 || (depth == 1 && arch_mmu_is_large(entry)))
		return entry;
	return walk_from(arch_mmu_frame(entry), depth - 1, address, at, level);
}

/*
 * Go from the root towards an address, to level 0 or as far as there are tables. Returns the entry
 * at the end of the way; *at: its table, *level: of which level that is. If the entry is not 0 and
 * of level 1, it is a huge page's.
 */
static mmu_entry_t
walk(const struct page_table *table, uintptr_t address, paddr_t *at, unsigned *level)
{
	return walk_from(table->root, arch_mmu_levels - 1, address, at, level);
}

bool
page_table_next_row(const struct page_table *table, uintptr_t start, uintptr_t end,
		    struct page_row *row)
{
	for (unsigned level; start < end; start = entry_end(start, level)) {
		paddr_t at;
		mmu_entry_t entry = walk(table, start, &at, &level);

		if (level > 0 && !entry)
			continue;
		if (level > 0)
			describe_huge_row(row, at, start);
		else
			describe_row(row, at, start, end);
		return true;
	}
	return false;
}

/* The same below a table. */
static paddr_t
make_from(struct page_table *table, paddr_t here, unsigned depth, uintptr_t address,
	  unsigned lowest)
{
	mmu_entry_t *entry = &table_entries(here)[entry_index(address, depth)];

	if (depth == lowest)
		return here;
	if (*entry == 0 && add_table(table, entry, here))
		return 0;
	return make_from(table, arch_mmu_frame(*entry), depth - 1, address, lowest);
}

/* The table of the given level for an address, made if need be. Returns 0 for want of memory. */
static paddr_t
make_tables(struct page_table *table, uintptr_t address, unsigned lowest)
{
	return make_from(table, table->root, arch_mmu_levels - 1, address, lowest);
}

int
page_table_make_row(struct page_table *table, uintptr_t start, uintptr_t end, struct page_row *row)
{
	paddr_t at = make_tables(table, start, 0);

	if (!at)
		return -ENOMEM;
	describe_row(row, at, start, end);
	return 0;
}

mmu_entry_t
page_table_lookup(const struct page_table *table, uintptr_t address)
{
	unsigned level;
	paddr_t at;
	mmu_entry_t entry = walk(table, address, &at, &level);

	return level == 1 && entry ? arch_mmu_small(entry, entry_index(address, 0)) : entry;
}

/* ---- Huge pages ---------------------------------------------------------------------- */

enum page_span
page_table_span(const struct page_table *table, uintptr_t address, struct page_row *row)
{
	unsigned level;
	paddr_t at;
	mmu_entry_t entry = walk(table, address, &at, &level);

	if (level == 0)
		return SPAN_PAGES;
	if (!entry)
		return SPAN_EMPTY;
	describe_huge_row(row, at, address);
	return SPAN_HUGE;
}

int
page_table_make_huge_row(struct page_table *table, uintptr_t start, struct page_row *row)
{
	paddr_t at = make_tables(table, start, 1);

	DEBUG_ASSERT(IS_ALIGNED(start, HUGE_SIZE));
	if (!at)
		return -ENOMEM;
	describe_huge_row(row, at, start);
	return 0;
}

void
page_table_set_huge(struct page_table *table, struct page_row *row, mmu_entry_t entry,
		    struct page *spare)
{
	page_row_set(row, 0, entry);
	list_add(&spare->link, &row->table->link);
	table->nr_tables++;
}

mmu_entry_t
page_table_clear_huge(struct page_table *table, struct page_row *row, struct page **spare)
{
	*spare = list_first_entry(&row->table->link, struct page, link);
	list_del(&(*spare)->link);
	table->nr_tables--;
	return page_row_clear(row, 0);
}

void
page_table_break_huge(struct page_row *row, mmu_entry_t large)
{
	struct page *spare = list_first_entry(&row->table->link, struct page, link);
	paddr_t at = page_to_pfn(spare) << PAGE_SHIFT;
	mmu_entry_t *small = table_entries(at);

	list_del(&spare->link);
	spare->owner = HUGE_PAGES;
	for (unsigned i = 0; i < HUGE_PAGES; i++)
		arch_mmu_write(&small[i], arch_mmu_small(large, i));
	arch_mmu_write(row->entry, arch_mmu_table(at));
	describe_row(row, at, row->start, page_row_end(row));
}

/* ---- Pruning ------------------------------------------------------------------------ */

/* The same for the tables below one of the given level. Depth: the number of levels. */
static void
prune_below(struct page_table *table, paddr_t above, unsigned level, uintptr_t start, uintptr_t end,
	    struct list_head *freed)
{
	unsigned first = entry_index(start, level), last = entry_index(end - 1, level);
	uintptr_t base = ALIGN_DOWN(start, 1ul << level_shift(level));

	if (start >= end)
		return;
	for (unsigned i = last + 1; i-- > first;) {
		uintptr_t low = base + ((uintptr_t)(i - first) << level_shift(level));
		mmu_entry_t *entry = &table_entries(above)[i];
		paddr_t below = arch_mmu_frame(*entry);

		if (!*entry || (level == 1 && arch_mmu_is_large(*entry)))
			continue;
		if (level > 1)
			prune_below(table, below, level - 1, MAX(start, low),
				    MIN(end, entry_end(low, level)), freed);
		if (table_page(below)->owner > 0)
			continue;
		arch_mmu_write(entry, 0);
		list_add(&table_page(below)->link, freed);
		table_page(above)->owner--;
		table->nr_tables--;
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

/* There is a spare frame for each of so many huge pages that a table of level 1 maps. */
static void
check_spares(paddr_t table, size_t nr_huge, struct table_census *census)
{
	struct list_head *list = &table_page(table)->link, *spare = list->next;
	size_t nr = 0;

	for (; spare != list && nr <= nr_huge; spare = spare->next)
		nr++;
	census->nr_tables += nr;
	if (nr == nr_huge)
		return;
	kprintf("check: a page table has %s spare frames than the %lu for its huge pages\n",
		nr < nr_huge ? "fewer" : "more", (unsigned long)nr_huge);
	census->errors++;
}

static void
count_below(paddr_t table, unsigned level, unsigned nr_entries, struct table_census *census)
{
	bool is_root = level == arch_mmu_levels - 1;
	unsigned used = 0;
	size_t nr_huge = 0;

	census->nr_tables++;
	for (unsigned i = 0; i < nr_entries; i++) {
		mmu_entry_t entry = arch_mmu_read(&table_entries(table)[i]);

		if (!entry)
			continue;
		used++;
		if (level == 1 && arch_mmu_is_large(entry))
			nr_huge++;
		else if (level > 0)
			count_below(arch_mmu_frame(entry), level - 1, MMU_ENTRIES, census);
		else
			census->nr_pages++;
	}
	census->nr_pages += nr_huge * HUGE_PAGES;
	if (level == 1)
		check_spares(table, nr_huge, census);
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
	unsigned level;
	paddr_t at;

	(void)walk(table, address, &at, &level);
	return level == 0 ? at : 0;
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
