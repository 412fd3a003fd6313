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

/* The order is too large. */
KTEST(buddy, wrong_order, .expect_panic = "buddy: wrong order")
{
	struct lab *lab = lab_begin_full(t);
	unsigned order = 1 + prng_below(&t->prng, 5);
	unsigned slot = victim(lab, order);

	lab_misuse(lab, page_of(lab, slot), order + 1);
}

KTEST(buddy, wrong_order_small, .expect_panic = "buddy: wrong order")
{
	struct lab *lab = lab_begin_full(t);
	unsigned order = 1 + prng_below(&t->prng, 5);
	unsigned slot = victim(lab, order);

	lab_misuse(lab, page_of(lab, slot), order - 1);
}

/* A range that ends inside of a block. */
KTEST(buddy, wrong_order_range, .expect_panic = "buddy: wrong order")
{
	struct lab *lab = lab_begin_full(t);
	unsigned order = 1 + prng_below(&t->prng, 5);
	size_t first;

	lab_trace(lab, 400, 80, 6);
	assert_true(t, lab_alloc_exact(lab, LAB_SLOTS - 1, 1ul << order));
	first = lab->slot[LAB_SLOTS - 1].start;
	lab_misuse_range(lab, first, first + (1ul << order) / 2);
}

KTEST(buddy, free_tail, .expect_panic = "buddy: tail of an allocated block")
{
	struct lab *lab = lab_begin_full(t);
	unsigned order = 1 + prng_below(&t->prng, 6);
	unsigned slot = victim(lab, order);

	lab_misuse(lab, page_of(lab, slot) + 1 + prng_below(&t->prng, (1ul << order) - 1), 0);
}

/* The very first frame of the allocator's span, or any near it. */
KTEST(buddy, free_reserved, .expect_panic = "buddy: frame was never given out")
{
	struct lab *lab = lab_begin(t);
	size_t frame;

	lab_add(lab, MAX_ORDER_FRAMES, 4 * MAX_ORDER_FRAMES);
	lab_trace(lab, 400, 80, 6);
	frame = prng_below(&t->prng, 2);
	frame *= prng_below(&t->prng, MAX_ORDER_FRAMES);
	lab_misuse(lab, pfn_to_page(lab->first + frame), 0);
}

/*
 * A frame beside the allocator's own. Its page says, as that of another allocator's may, that
 * somebody has it.
 */
static struct page *
foreign_page(pfn_t pfn)
{
	struct page *page = pfn_to_page(pfn);

	page->state = PAGE_ALLOCATED;
	page->order = 0;
	return page;
}

KTEST(buddy, free_foreign, .expect_panic = "buddy: not this allocator's frame")
{
	struct lab *lab = lab_begin_full(t);

	lab_trace(lab, 400, 80, 6);
	lab_misuse(lab, foreign_page(lab->end), 0);
}

/* One frame of a range is foreign, the others may be freed. */
KTEST(buddy, free_foreign_range, .expect_panic = "buddy: not this allocator's frame")
{
	struct lab *lab = lab_begin_full(t);
	bool low = prng_below(&t->prng, 2);
	size_t first = low ? 0 : LAB_FRAMES - 8;

	foreign_page(low ? lab->first - 1 : lab->end);
	assert_eq(t, lab_alloc_range(lab, 0, first, first + 8), 0);
	lab_misuse_range(lab, first - low, first + 8 + !low);
}
