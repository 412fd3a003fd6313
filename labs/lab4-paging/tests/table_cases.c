/* SPDX-License-Identifier: MIT */
/* Lab 4, graded cases: trees of page tables by themselves. No processor uses them. */
#include "lab.h"
#include <errno.h>

static struct page_table table;

static void
begin_table(struct lab *lab)
{
	assert_eq(lab->t, page_table_init(&table), 0);
	evidence_log(EV_TABLE, 0, table.root, 0, 0);
}

/* Addresses are near each other in every way: some share tables of each level. */
static uintptr_t
random_spot(struct lab *lab)
{
	static const unsigned shift[] = { 39, 30, 21, 12 };
	static const unsigned most[] = { 3, 3, 4, 512 };
	uintptr_t spot = lab->arena;

	for (unsigned i = 0; i < ARRAY_SIZE(shift); i++)
		spot += prng_below(&lab->t->prng, most[i]) << shift[i];
	return spot;
}

static void
log_row(int error, const struct page_row *row)
{
	if (error)
		evidence_log(EV_ROW, (uint32_t)error, 0, 0, 0);
	else
		evidence_log(EV_ROW, 0, row->start, row->nr, page_to_pfn(row->table));
}

/* Make a row, and put something into about a third of its entries. */
static int
make_and_fill(struct lab *lab, uintptr_t start)
{
	struct prng *prng = &lab->t->prng;
	uintptr_t end = start + (1 + prng_below(prng, 700)) * PAGE_SIZE;
	struct page_row row;
	int error = page_table_make_row(&table, start, end, &row);

	log_row(error, &row);
	if (error)
		return error;
	for (unsigned i = 0; i < row.nr && i < MMU_ENTRIES; i++) {
		paddr_t frame = (1 + prng_below(prng, 1 << 20)) << PAGE_SHIFT;

		if (arch_mmu_read(&row.entry[i]) || prng_below(prng, 3))
			continue;
		page_row_set(&row, i, arch_mmu_page(frame, MMU_READ | MMU_WRITE));
		evidence_log(EV_ENTRY, 0, row.start + i * PAGE_SIZE, arch_mmu_read(&row.entry[i]),
			     0);
	}
	return 0;
}

/* A length that may span pages or tables. */
static size_t
random_span(struct lab *lab)
{
	unsigned shift = PAGE_SHIFT + (unsigned)prng_below(&lab->t->prng, 30);

	return (1 + prng_below(&lab->t->prng, 8)) << shift;
}

/* What there is in a range, row by row. */
static void
scan(uintptr_t start, uintptr_t end)
{
	struct page_row row;
	unsigned nr = 0;

	while (nr++ < 1000 && page_table_next_row(&table, start, end, &row)) {
		log_row(0, &row);
		start = page_row_end(&row);
	}
	evidence_log(EV_ROW, 0, 0, 0, 0);
}

static void
scan_somewhere(struct lab *lab)
{
	uintptr_t start = random_spot(lab);

	scan(start, start + random_span(lab));
}

static void
look_up(struct lab *lab)
{
	uintptr_t address = random_spot(lab);

	evidence_log(EV_LOOKUP, 0, address, page_table_lookup(&table, address), 0);
}

static void
check_table(void)
{
	size_t nr_pages;
	unsigned nr_wrong = page_table_check(&table, &nr_pages);

	evidence_log(EV_CHECK, 0, nr_wrong, nr_pages, table.nr_tables);
}

/* Rows are found and made; what lies between them, however wide, costs next to nothing. */
KTEST(spaces, walk)
{
	struct lab *lab = lab4_begin(t);

	begin_table(lab);
	scan(0, USER_END);
	for (unsigned i = 0; i < 120; i++) {
		switch (prng_below(&t->prng, 4)) {
		case 0:
			(void)make_and_fill(lab, random_spot(lab));
			break;
		case 1:
			scan_somewhere(lab);
			break;
		default:
			look_up(lab);
		}
	}
	scan(0, USER_END);
	check_table();
}

/* Clear about so many in eight of what there is in a range. */
static void
clear_some(struct lab *lab, uintptr_t start, uintptr_t end, unsigned eighths)
{
	struct page_row row;

	for (; page_table_next_row(&table, start, end, &row); start = page_row_end(&row)) {
		for (unsigned i = 0; i < row.nr; i++) {
			if (!arch_mmu_read(&row.entry[i]) ||
			    prng_below(&lab->t->prng, 8) >= eighths)
				continue;
			(void)page_row_clear(&row, i);
			evidence_log(EV_ENTRY, 0, row.start + i * PAGE_SIZE, 0, 0);
		}
	}
}

static void
prune(uintptr_t start, uintptr_t end)
{
	struct list_head freed = LIST_INIT(freed), *at;
	unsigned nr = 0;

	page_table_prune(&table, start, end, &freed);
	for (at = freed.next; at != &freed; at = at->next)
		nr++;
	evidence_log(EV_PRUNE, nr, start, end, table.nr_tables);
	page_table_free(&freed);
}

static void
end_table(struct lab *lab)
{
	clear_some(lab, 0, USER_END, 8);
	prune(0, USER_END);
	page_table_destroy(&table);
}

/* Tables that have become empty go, and nothing else does; at the end all have gone. */
KTEST(spaces, prune)
{
	struct lab *lab = lab4_begin(t);

	lab4_frames(lab);
	begin_table(lab);
	for (unsigned i = 0; i < 40; i++) {
		uintptr_t start = random_spot(lab), end;

		(void)make_and_fill(lab, start);
		start = random_spot(lab);
		end = start + random_span(lab);
		clear_some(lab, start, end, prng_below(&t->prng, 2) ? 8 : 4);
		prune(start, end);
		if (i % 8 == 0)
			check_table();
	}
	scan(0, USER_END);
	end_table(lab);
	lab4_frames(lab);
}

/* Without frames for tables there is no row; what was made for it goes when the caller prunes. */
KTEST(spaces, table_shortage)
{
	struct lab *lab = lab4_begin(t);

	lab4_frames(lab);
	begin_table(lab);
	lab4_faults(lab, 2);
	for (unsigned i = 0; i < 60; i++) {
		uintptr_t start = random_spot(lab);

		if (make_and_fill(lab, start) != 0)
			prune(start, start + PAGE_SIZE);
	}
	lab4_faults(lab, 0);
	check_table();
	scan(0, USER_END);
	end_table(lab);
	lab4_frames(lab);
}
