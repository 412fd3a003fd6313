/* SPDX-License-Identifier: MIT */
/*
 * Lab 1, graded cases: mistakes of the caller. Each ends in the panic it announces, after
 * correct requests that must not: an allocator that cries wolf fails as well.
 */
#include "lab.h"

/* Some life before the mistake. Returns the slot of a block of 2^order frames. */
static unsigned
victim(struct lab *lab, unsigned order)
{
	unsigned slot = LAB_SLOTS - 1;

	lab_trace(lab, 400, 80, 6);
	assert_true(lab->t, lab_alloc(lab, slot, order));
	return slot;
}

static struct page *
page_of(const struct lab *lab, unsigned slot)
{
	return pfn_to_page(lab->first + lab->slot[slot].start);
}

/* The block is free, and was not merged. */
KTEST(buddy, double_free, .expect_panic = "buddy: double free")
{
	struct lab *lab = lab_begin_full(t);
	unsigned order = prng_below(&t->prng, 5);
	unsigned slot = victim(lab, order);
	struct page *page = page_of(lab, slot);

	lab_free(lab, slot);
	lab_misuse(lab, page, order);
}

/* The block is free, and has become the upper half of a larger one. */
KTEST(buddy, double_free_merged, .expect_panic = "buddy: double free")
{
	struct lab *lab = lab_begin(t);
	unsigned order = prng_below(&t->prng, MAX_ORDER);
	struct page *upper;

	lab_add(lab, 0, MAX_ORDER_FRAMES);
	assert_true(t, lab_alloc(lab, 0, order));
	assert_true(t, lab_alloc(lab, 1, order));
	upper = MAX(page_of(lab, 0), page_of(lab, 1));
	lab_free_all(lab);
	lab_misuse(lab, upper, order);
}

/* Of a run of frames, the last ones are free already: all of it is refused. */
KTEST(buddy, double_free_range, .expect_panic = "buddy: double free")
{
	struct lab *lab = lab_begin_full(t);
	unsigned order = 1 + prng_below(&t->prng, 6);
	size_t frames = (1ul << order) + 1;
	size_t first;

	lab_trace(lab, 400, 80, 6);
	assert_true(t, lab_alloc_exact(lab, LAB_SLOTS - 1, frames));
	first = lab->slot[LAB_SLOTS - 1].start;
	lab_free_tail(lab, LAB_SLOTS - 1, 1);
	lab_misuse_range(lab, first, first + frames);
}

KTEST(buddy, wrong_order, .expect_panic = "buddy: wrong order")
{
	struct lab *lab = lab_begin_full(t);
	unsigned order = 1 + prng_below(&t->prng, 5);
	unsigned slot = victim(lab, order);

	lab_misuse(lab, page_of(lab, slot), prng_below(&t->prng, 2) ? order + 1 : order - 1);
}

KTEST(buddy, free_tail, .expect_panic = "buddy: tail of an allocated block")
{
	struct lab *lab = lab_begin_full(t);
	unsigned order = 1 + prng_below(&t->prng, 6);
	unsigned slot = victim(lab, order);

	lab_misuse(lab, page_of(lab, slot) + 1 + prng_below(&t->prng, (1ul << order) - 1), 0);
}

KTEST(buddy, free_reserved, .expect_panic = "buddy: frame was never given out")
{
	struct lab *lab = lab_begin(t);

	lab_add(lab, 0, 3 * MAX_ORDER_FRAMES);
	lab_trace(lab, 400, 80, 6);
	lab_misuse(lab,
		   pfn_to_page(lab->first + 3 * MAX_ORDER_FRAMES +
			       prng_below(&t->prng, MAX_ORDER_FRAMES)),
		   0);
}

KTEST(buddy, free_foreign, .expect_panic = "buddy: not this allocator's frame")
{
	struct lab *lab = lab_begin_full(t);

	lab_trace(lab, 400, 80, 6);
	lab_misuse(lab, pfn_to_page(lab->end), 0);
}
