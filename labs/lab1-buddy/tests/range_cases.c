/* SPDX-License-Identifier: MIT */
/* Lab 1, graded cases: runs of frames that are no blocks. */
#include "lab.h"
#include <errno.h>

/* Exactly as many frames as were asked for; the rest of the block is free. */
KTEST(buddy, exact)
{
	struct lab *lab = lab_begin(t);

	lab_add(lab, 0, MAX_ORDER_FRAMES);
	for (unsigned round = 0; round < 200; round++) {
		size_t frames = 1 + prng_below(&t->prng, MAX_ORDER_FRAMES);

		expect_true(t, lab_alloc_exact(lab, 0, frames));
		if (round % 8 == 0) {
			/* All that is left can be had frame by frame. */
			unsigned slot = 1;

			while (lab_alloc(lab, slot, 0))
				slot++;
			expect_eq(t, slot - 1, MAX_ORDER_FRAMES - frames);
		}
		lab_totals(lab);
		lab_free_all(lab);
	}
	/* A power of two needs a block of just that size: there is one of each but the largest. */
	expect_true(t, lab_alloc_exact(lab, 0, 1));
	for (unsigned order = 0; order < MAX_ORDER; order++)
		expect_true(t, lab_alloc_exact(lab, 1 + order, 1ul << order));
	expect_true(t, !lab_alloc(lab, 100, 0));
}

/* Requests for nothing, or for more than a block can hold, get none. */
KTEST(buddy, exact_limits)
{
	static const size_t impossible[] = { 0, MAX_ORDER_FRAMES + 1, 1ul << 20, ~0ul };
	struct lab *lab = lab_begin_full(t);

	for (unsigned i = 0; i < ARRAY_SIZE(impossible); i++) {
		struct page *page = buddy_alloc_exact(&lab->buddy, impossible[i]);

		evidence_log(EV_EXACT, i, page ? page_to_pfn(page) : NO_FRAME, impossible[i], 0);
		expect_true(t, page == NULL);
	}
	lab_totals(lab);
	expect_true(t, lab_alloc_exact(lab, 0, MAX_ORDER_FRAMES));
	expect_true(t, lab_alloc_exact(lab, 1, 1));
	lab_totals(lab);
}

/* Ranges that are none, or not the allocator's, are not even looked at. */
static void
wrong_ranges(struct lab *lab)
{
	expect_eq(lab->t, lab_alloc_range(lab, 0, 5, 5), -EINVAL);
	expect_eq(lab->t, lab_alloc_range(lab, 0, 6, 5), -EINVAL);
	expect_eq(lab->t, lab_alloc_range(lab, 0, LAB_FRAMES - 1, LAB_FRAMES + 1), -EINVAL);
	expect_eq(lab->t, lab_alloc_range(lab, 0, -1ul, 1), -EINVAL);
	expect_eq(lab->t, lab_reserve(lab, 5, 5), -EINVAL);
	expect_eq(lab->t, lab_reserve(lab, LAB_FRAMES - 1, LAB_FRAMES + 1), -EINVAL);
}

/* Chosen frames, if all of them are free; otherwise nothing changes. */
KTEST(buddy, range)
{
	struct lab *lab = lab_begin_full(t);

	lab_trace(lab, 300, 60, 6);
	for (unsigned round = 0; round < 300; round++) {
		size_t first = prng_below(&t->prng, LAB_FRAMES);
		size_t end = first + 1 + prng_below(&t->prng, 700);

		if (end <= LAB_FRAMES)
			lab_alloc_range(lab, 100 + round, first, end);
		lab_trace(lab, 4, 60, 6);
	}
	lab_totals(lab);
	lab_peak(lab);
	lab_free_all(lab);
	lab_totals(lab);
	wrong_ranges(lab);
	lab_totals(lab);
	expect_eq(t, lab_alloc_range(lab, 0, 0, LAB_FRAMES), 0);
	lab_free_all(lab);
	lab_totals(lab);
}

static void
reserve_some(struct lab *lab, unsigned rounds)
{
	for (unsigned round = 0; round < rounds; round++) {
		size_t first = prng_below(&lab->t->prng, LAB_FRAMES - 64);

		lab_reserve(lab, first, first + 1 + prng_below(&lab->t->prng, 64));
	}
	lab_totals(lab);
}

/*
 * Frames taken out for good are never seen again, and nothing merges across them. The last
 * ones stay as they are, for the grader to look at.
 */
KTEST(buddy, reserve)
{
	struct lab *lab = lab_begin_full(t);

	lab_trace(lab, 300, 100, 5);
	reserve_some(lab, 60);
	lab_trace(lab, 1500, 300, 8);
	lab_free_all(lab);
	lab_totals(lab);
	for (unsigned slot = 0; lab_alloc(lab, slot, 0);)
		slot++;
	lab_totals(lab);
	lab_free_all(lab);
	reserve_some(lab, 20);
}
