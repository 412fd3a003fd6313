/* SPDX-License-Identifier: MIT */
/* Lab 4, graded cases: each kind of fault, and what it must leave behind. */
#include "lab.h"
#include <errno.h>

/* Reading what nobody has written to shows the page of zeroes, and takes no memory. */
KTEST(spaces, zero_page)
{
	struct lab *lab = lab4_begin(t);

	lab4_space(lab, 0);
	lab4_map(lab, 0, 4, 60, RW);
	lab4_map(lab, 0, 70, 20, RO);
	for (unsigned i = 0; i < 120; i++)
		lab4_read_page(lab, 0,
			       prng_below(&t->prng, 2) ? 4 + prng_below(&t->prng, 60)
						       : 70 + prng_below(&t->prng, 20));
	for (unsigned i = 0; i < 30; i++) {
		lab4_write_page(lab, 0, 4 + prng_below(&t->prng, 60));
		lab4_read_page(lab, 0, 4 + prng_below(&t->prng, 60));
	}
	lab4_end(lab);
}

/* Writing takes a frame, which is all zeroes. */
KTEST(spaces, anonymous)
{
	struct lab *lab = lab4_begin(t);

	lab4_soil(lab);
	lab4_space(lab, 0);
	lab4_space(lab, 1);
	lab4_map(lab, 0, 0, ARENA_PAGES, RW);
	lab4_map(lab, 1, 10, 70, PROT_WRITE);
	for (unsigned i = 0; i < 300; i++) {
		if (prng_below(&t->prng, 3))
			lab4_write_page(lab, 0, prng_below(&t->prng, ARENA_PAGES));
		else
			lab4_read_page(lab, 0, prng_below(&t->prng, ARENA_PAGES));
		if (i % 4 == 0)
			lab4_write_page(lab, 1, 10 + prng_below(&t->prng, 70));
	}
	lab4_end(lab);
}

/*
 * What no region allows is refused, and changes nothing. Only to execute is not among the rights:
 * whether it can be read then depends on the processor.
 */
KTEST(spaces, refused)
{
	static const unsigned prots[] = {
		PROT_NONE, PROT_READ, PROT_WRITE, RW, PROT_READ | PROT_EXEC, PROT_ALL
	};
	struct lab *lab = lab4_begin(t);

	lab4_space(lab, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(prots); i++) {
		size_t page = 10 * i + prng_below(&t->prng, 4);

		lab4_map(lab, 0, page, 1 + prng_below(&t->prng, 6), prots[i]);
	}
	for (unsigned i = 0; i < 250; i++) {
		uintptr_t page = lab4_page(lab, prng_below(&t->prng, 72));
		uintptr_t at = page + prng_below(&t->prng, 512) * 8;
		enum fault_access access = (enum fault_access)prng_below(&t->prng, 3);

		if (i % 8 == 0)
			(void)lab4_fault(lab, 0, at, access);
		else
			(void)lab4_access(lab, 0, at, access);
	}
	(void)lab4_fault(lab, 0, USER_END, FAULT_READ);
	(void)lab4_fault(lab, 0, UINT64_MAX - prng_below(&t->prng, GiB(1)), FAULT_WRITE);
	(void)lab4_fault(lab, 0, USER_END - 1, FAULT_READ);
	(void)lab4_fault(lab, 0, 0, FAULT_READ);
	lab4_regions(lab, 0);
	lab4_end(lab);
}

/* ---- Files ------------------------------------------------------------------------------ */

/* Who maps a file shared sees and changes the file's own pages. */
KTEST(spaces, file_shared)
{
	struct lab *lab = lab4_begin(t);

	lab4_file(lab, 0, FILE_PAGES);
	lab4_space(lab, 0);
	lab4_space(lab, 1);
	lab4_map_file(lab, 0, 4, 40, RW, 0, 3, MAP_SHARED, PROT_ALL);
	lab4_map_file(lab, 1, 50, 46, RW, 0, 0, MAP_SHARED, PROT_ALL);
	lab4_map_file(lab, 1, 0, 20, RO, 0, 20, MAP_SHARED, RO);
	for (unsigned i = 0; i < 200; i++) {
		lab4_trace(lab, 1, TRACE_TOUCH);
		lab4_write_page(lab, 0, 4 + prng_below(&t->prng, 40));
		lab4_read_page(lab, 1, prng_below(&t->prng, ARENA_PAGES));
	}
	lab4_object(lab, 0);
	lab4_end(lab);
}

/* Who maps it private sees its pages until he writes, and then his own. */
KTEST(spaces, file_private)
{
	struct lab *lab = lab4_begin(t);

	lab4_soil(lab);
	lab4_file(lab, 0, FILE_PAGES);
	lab4_space(lab, 0);
	lab4_space(lab, 1);
	lab4_map_file(lab, 0, 4, 44, RW, 0, 3, MAP_PRIVATE, PROT_ALL);
	lab4_map_file(lab, 1, 40, 48, RW, 0, 0, MAP_PRIVATE, PROT_ALL);
	lab4_map_file(lab, 1, 0, 40, RW, 0, 8, MAP_SHARED, PROT_ALL);
	for (unsigned i = 0; i < 150; i++) {
		lab4_trace(lab, 1, TRACE_TOUCH);
		lab4_write_page(lab, 0, 4 + prng_below(&t->prng, 44));
		lab4_read_page(lab, 0, 4 + prng_below(&t->prng, 44));
		lab4_write_page(lab, 1, prng_below(&t->prng, 88));
	}
	lab4_end(lab);
}

/* One fault maps what lies around and is in memory: no more, and no less. */
KTEST(spaces, around)
{
	struct lab *lab = lab4_begin(t);
	unsigned offset = (unsigned)prng_below(&t->prng, 12);

	lab4_file(lab, 0, FILE_PAGES);
	lab4_space(lab, 0);
	lab4_space(lab, 1);
	lab4_map_file(lab, 0, 30, 36, RW, 0, offset, MAP_SHARED, PROT_ALL);
	lab4_map_file(lab, 1, 26 + prng_below(&t->prng, 10), 30, RW, 0, offset, MAP_PRIVATE,
		      PROT_ALL);
	for (unsigned i = 0; i < 40; i++) {
		unsigned space = (unsigned)prng_below(&t->prng, 2);

		if (prng_below(&t->prng, 5) == 0)
			lab4_write_page(lab, space, 26 + prng_below(&t->prng, 42));
		else
			lab4_read_page(lab, space, 26 + prng_below(&t->prng, 42));
	}
	lab4_end(lab);
}

/* Behind the end of a file there is nothing, until it has grown. */
KTEST(spaces, beyond_the_end)
{
	struct lab *lab = lab4_begin(t);
	unsigned pages = 10 + (unsigned)prng_below(&t->prng, 8);

	lab4_file(lab, 0, pages);
	lab4_space(lab, 0);
	lab4_map_file(lab, 0, 0, 30, RW, 0, 0, MAP_SHARED, PROT_ALL);
	lab4_map_file(lab, 0, 44, 30, RW, 0, 0, MAP_PRIVATE, PROT_ALL);
	for (unsigned i = 0; i < 80; i++) {
		size_t page = prng_below(&t->prng, 30);

		page += 44 * prng_below(&t->prng, 2);
		if (prng_below(&t->prng, 2))
			lab4_write_page(lab, 0, page);
		else
			lab4_read_page(lab, 0, page);
		if (i == 40) {
			pages = 24;
			page_cache_extend(&lab->file[0].cache, pages * PAGE_SIZE);
			evidence_log(EV_FILE, pages, (uintptr_t)&lab->file[0].cache.object, 0, 0);
		}
	}
	lab4_end(lab);
}

/* ---- What is noted of pages ---------------------------------------------------------------- */

/* That a page has been written to is not forgotten when its rights change. */
KTEST(spaces, dirty)
{
	struct lab *lab = lab4_begin(t);

	lab4_file(lab, 0, FILE_PAGES);
	lab4_space(lab, 0);
	lab4_map(lab, 0, 0, 48, RW);
	lab4_map_file(lab, 0, 48, 48, RW, 0, 0, MAP_SHARED, PROT_ALL);
	for (unsigned i = 0; i < 120; i++) {
		size_t page = prng_below(&t->prng, ARENA_PAGES);

		if (i % 3)
			lab4_write_page(lab, 0, page);
		else
			lab4_read_page(lab, 0, page);
	}
	for (unsigned i = 0; i < 12; i++) {
		size_t page, pages = lab4_random_length(lab, &page);

		lab4_protect(lab, 0, page, pages, i % 3 == 2 ? RW : i % 3 == 1 ? PROT_NONE : RO);
		lab4_read_page(lab, 0, prng_below(&t->prng, ARENA_PAGES));
	}
	lab4_protect(lab, 0, 0, ARENA_PAGES, RW);
	lab4_end(lab);
}

/* Each fault is counted as what it was. */
KTEST(spaces, statistics)
{
	struct lab *lab = lab4_begin(t);

	lab4_file(lab, 0, FILE_PAGES);
	lab4_space(lab, 0);
	lab4_map(lab, 0, 0, 40, RW);
	lab4_map_file(lab, 0, 40, 24, RW, 0, 0, MAP_PRIVATE, PROT_ALL);
	lab4_map_file(lab, 0, 70, 24, RW, 0, 10, MAP_SHARED, PROT_ALL);
	for (unsigned i = 0; i < 40; i++) {
		size_t page = prng_below(&t->prng, 40);

		lab4_trace(lab, 6, TRACE_TOUCH);
		if (i % 8 == 7 && lab4_fork(lab, 0, 1)) {
			lab4_write_page(lab, 0, prng_below(&t->prng, 60));
			lab4_put(lab, 1);
			lab4_write_page(lab, 0, prng_below(&t->prng, 60));
		}
		lab4_write_page(lab, 0, page);
		(void)lab4_fault(lab, 0, lab4_page(lab, page), i % 2 ? FAULT_READ : FAULT_WRITE);
		lab4_stats(lab, 0);
	}
	lab4_end(lab);
}

/* ---- Stacks ---------------------------------------------------------------------------------- */

static void
guard(struct lab *lab, bool guarded)
{
	space_guard_stack(lab->space[0], guarded);
	evidence_log(EV_GUARD, guarded, (uintptr_t)lab->space[0], 0, 0);
}

/* A stack grows to its limit, and keeps away from what lies below it. */
KTEST(spaces, stack)
{
	static const unsigned prots[] = { PROT_NONE, RW, RO };
	struct lab *lab = lab4_begin(t);
	size_t limit = 200 + prng_below(&t->prng, 400), top = 1200 + prng_below(&t->prng, 200);

	lab4_space(lab, 0);
	for (unsigned round = 0; round < 4; round++) {
		int error = space_map_stack(lab->space[0], lab4_page(lab, top), limit * PAGE_SIZE);

		evidence_log(EV_STACK, (uint32_t)error, (uintptr_t)lab->space[0],
			     lab4_page(lab, top), limit * PAGE_SIZE);
		guard(lab, round != 2);
		if (round > 0) { /* something is in the way, or near */
			size_t page = top - 40 - prng_below(&t->prng, limit + 200);
			size_t pages = 1 + prng_below(&t->prng, 3);

			lab4_map(lab, 0, page, pages, prots[round - 1]);
		}
		for (unsigned i = 0; i < 24; i++) {
			size_t reach = MIN(limit + 400, 60 + i * (limit + 400) / 20);
			size_t page = top - 1 - prng_below(&t->prng, reach);

			if (prng_below(&t->prng, 3))
				lab4_write_page(lab, 0, page);
			else
				lab4_read_page(lab, 0, page);
		}
		lab4_regions(lab, 0);
		lab4_counts(lab, 0);
		if (round < 3)
			lab4_unmap(lab, 0, 0, top);
	}
	lab4_end(lab);
}

/* ---- Shortage -------------------------------------------------------------------------------- */

/* Without frames a fault gives none; nothing has changed, and nothing is lost. */
KTEST(spaces, fault_shortage)
{
	struct lab *lab = lab4_begin(t);

	for (unsigned i = 0; i < LAB_FILES; i++)
		lab4_file(lab, i, FILE_PAGES);
	lab4_space(lab, 0);
	lab4_map(lab, 0, 0, 40, RW);
	lab4_map_file(lab, 0, 40, 40, RW, 0, 0, MAP_PRIVATE, PROT_ALL);
	(void)lab4_fork(lab, 0, 1);
	for (unsigned i = 0; i < 6; i++) {
		lab4_faults(lab, 2 + i % 2);
		lab4_trace(lab, 50, TRACE_TOUCH);
		lab4_faults(lab, 0);
		lab4_counts(lab, 0);
		lab4_counts(lab, 1);
		lab4_trace(lab, 20, TRACE_MAP | TRACE_FILES | TRACE_DISCARD | TRACE_TOUCH);
	}
	lab4_end(lab);
}
