/* SPDX-License-Identifier: MIT */
/* Lab 4, graded cases: what a child gets, and who has which page afterwards. */
#include "lab.h"
#include <errno.h>

static void
begin_fork(struct lab *lab)
{
	for (unsigned i = 0; i < LAB_FILES; i++)
		lab4_file(lab, i, FILE_PAGES);
	lab4_space(lab, 0);
	lab4_map(lab, 0, 0, 50, RW);
	lab4_map_file(lab, 0, 50, 20, RW, 0, 0, MAP_PRIVATE, PROT_ALL);
	lab4_map_file(lab, 0, 70, 16, RW, 1, 5, MAP_SHARED, PROT_ALL);
	lab4_trace(lab, 60, TRACE_TOUCH);
}

/* The child has the parent's regions and shares its pages; neither may write to these. */
KTEST(spaces, fork)
{
	struct lab *lab = lab4_begin(t);
	size_t page, to;

	begin_fork(lab);
	/* Far away from all that the child gets: there it needs no table. */
	lab4_map_file(lab, 0, 4000, 8, RW, 0, 0, MAP_PRIVATE, PROT_ALL);
	lab4_read_page(lab, 0, 4000);
	lab4_map(lab, 0, 90, 6, RW);
	for (unsigned i = 0; i < 6; i++)
		lab4_write_page(lab, 0, 90 + i);
	lab4_advise(lab, 0, 90 + prng_below(&t->prng, 3), 2, MADV_DONTFORK);
	page = prng_below(&t->prng, 10);
	to = 200 + prng_below(&t->prng, 100);
	lab4_move(lab, 0, page, 8, to);
	assert_eq(t, space_lock(lab->space[0], lab4_page(lab, 30), 4 * PAGE_SIZE, true, true), 0);
	(void)lab4_fork(lab, 0, 1);
	lab4_regions(lab, 0);
	lab4_regions(lab, 1);
	(void)lab4_fork(lab, 1, 2);
	/* The child's are where they were moved to, and at home where they were. */
	for (unsigned i = 0; i < 8; i++)
		lab4_write_page(lab, 1, to + i);
	lab4_object(lab, 0);
	lab4_object(lab, 1);
	lab4_end(lab);
}

/* Who writes first gets a copy, who is the last goes on with what there is. */
KTEST(spaces, copy_on_write)
{
	struct lab *lab = lab4_begin(t);

	lab4_soil(lab);
	begin_fork(lab);
	for (unsigned i = 0; i < 4; i++) {
		(void)lab4_fork(lab, (unsigned)prng_below(&t->prng, i + 1), i + 1);
		lab4_trace(lab, 50, TRACE_TOUCH);
	}
	for (unsigned i = 0; i < 4; i++) {
		lab4_trace(lab, 50, TRACE_TOUCH);
		lab4_put(lab, i);
	}
	lab4_trace(lab, 60, TRACE_TOUCH);
	lab4_end(lab);
}

/* Spaces come from one another and end in any order; at last every frame comes back. */
KTEST(spaces, generations)
{
	struct lab *lab = lab4_begin(t);

	begin_fork(lab);
	lab4_put(lab, 0);
	lab4_frames(lab);
	lab4_space(lab, 0);
	lab4_map(lab, 0, 0, 60, RW);
	lab4_map_file(lab, 0, 60, 30, RW, 0, 0, MAP_PRIVATE, PROT_ALL);
	for (unsigned i = 0; i < 20; i++) {
		lab4_trace(lab, 30, TRACE_FORK | TRACE_PROTECT | TRACE_DISCARD | TRACE_TOUCH);
		for (unsigned k = 0; k < LAB_SPACES; k++) {
			if (lab->space[k])
				lab4_counts(lab, k);
		}
	}
	for (unsigned k = 0; k < LAB_SPACES; k++) {
		if (lab->space[k])
			lab4_put(lab, k);
	}
	lab4_object(lab, 0);
	lab4_end(lab);
}

/* A fork that finds no memory leaves nothing behind, and the parent as it was. */
KTEST(spaces, fork_shortage)
{
	struct lab *lab = lab4_begin(t);

	begin_fork(lab);
	for (unsigned i = 0; i < 12; i++) {
		lab4_frames(lab);
		lab4_faults(lab, 2 + i);
		if (lab4_fork(lab, 0, 1))
			lab4_put(lab, 1);
		lab4_faults(lab, 0);
		lab4_frames(lab);
		lab4_counts(lab, 0);
		lab4_trace(lab, 10, TRACE_TOUCH);
	}
	lab4_end(lab);
}

/* Everything at the same time. */
KTEST(spaces, mixed)
{
	struct lab *lab = lab4_begin(t);

	lab4_soil(lab);
	begin_fork(lab);
	for (unsigned i = 0; i < 12; i++) {
		lab4_trace(lab, 60,
			   TRACE_MAP | TRACE_PROTECT | TRACE_FILES | TRACE_FORK | TRACE_DISCARD |
			       TRACE_TOUCH);
		for (unsigned k = 0; k < LAB_SPACES; k++) {
			if (lab->space[k])
				lab4_regions(lab, k);
		}
	}
	lab4_end(lab);
}
