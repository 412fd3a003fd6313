/* SPDX-License-Identifier: MIT */
/*
 * Lab 2, graded cases: mistakes of the caller. Each ends in the panic it announces, after
 * correct requests that must not: a node that cries wolf fails as well.
 */
#include "lab.h"

/* Some life before the mistake. Returns the slot of a block of 2^order frames. */
static unsigned
victim(struct lab *lab, unsigned order)
{
	unsigned slot = LAB_SLOTS - 1;

	lab2_trace(lab, 400, 80, 0, 6);
	assert_true(lab->t, lab2_alloc(lab, slot, GFP_ATOMIC | GFP_USER, order));
	return slot;
}

/* The block lies in a CPU's list. */
KTEST(zones, double_free_listed, .expect_panic = "zone: double free")
{
	struct lab *lab = lab2_begin(t);
	unsigned order = prng_below(&t->prng, CPU_LIST_ORDERS);
	unsigned slot = victim(lab, order);
	struct page *page = lab2_page(lab, slot);

	lab2_free(lab, slot);
	lab2_misuse(lab, page, order);
}

/* The block is in the zone again. */
KTEST(zones, double_free, .expect_panic = "zone: double free")
{
	struct lab *lab = lab2_begin(t);
	unsigned order = CPU_LIST_ORDERS + prng_below(&t->prng, 4);
	unsigned slot = victim(lab, order);
	struct page *page = lab2_page(lab, slot);

	lab2_free(lab, slot);
	lab2_misuse(lab, page, order);
}

/* The block has become the upper half of a larger one. */
KTEST(zones, double_free_merged, .expect_panic = "zone: double free")
{
	struct lab *lab = lab2_begin(t);
	unsigned order = CPU_LIST_ORDERS + prng_below(&t->prng, 5);
	struct page *upper;

	assert_true(t, lab2_alloc(lab, 0, GFP_DMA, order));
	assert_true(t, lab2_alloc(lab, 1, GFP_DMA, order));
	upper = MAX(lab2_page(lab, 0), lab2_page(lab, 1));
	lab2_free_all(lab);
	lab2_misuse(lab, upper, order);
}

/* Both orders have lists. */
KTEST(zones, wrong_order, .expect_panic = "zone: wrong order")
{
	struct lab *lab = lab2_begin(t);
	unsigned order = prng_below(&t->prng, CPU_LIST_ORDERS - 1);
	unsigned slot = victim(lab, order);

	lab2_misuse(lab, lab2_page(lab, slot), order + 1);
}

/* A block that no list takes is given back as one that a list would, and is too small. */
KTEST(zones, wrong_order_small, .expect_panic = "zone: wrong order")
{
	struct lab *lab = lab2_begin(t);
	unsigned order = CPU_LIST_ORDERS + prng_below(&t->prng, 4);
	unsigned slot = victim(lab, order);

	lab2_misuse(lab, lab2_page(lab, slot), prng_below(&t->prng, CPU_LIST_ORDERS));
}

/* And one that a list would take is given back as a larger one. */
KTEST(zones, wrong_order_large, .expect_panic = "zone: wrong order")
{
	struct lab *lab = lab2_begin(t);
	unsigned order = prng_below(&t->prng, CPU_LIST_ORDERS);
	unsigned slot = victim(lab, order);

	lab2_misuse(lab, lab2_page(lab, slot), CPU_LIST_ORDERS + prng_below(&t->prng, 20));
}

KTEST(zones, free_tail, .expect_panic = "zone: inside a block")
{
	struct lab *lab = lab2_begin(t);
	unsigned order = 1 + prng_below(&t->prng, 6);
	unsigned slot = victim(lab, order);

	lab2_misuse(lab, lab2_page(lab, slot) + 1 + prng_below(&t->prng, (1ul << order) - 1), 0);
}

/* A frame that no zone was given, or one beside the node's. */
KTEST(zones, free_reserved, .expect_panic = "zone: frame was never given out")
{
	struct lab2_layout layout = { .blocks = { 1, 3, 1, 1 } };
	struct lab *lab = lab2_begin_empty(t, layout);
	size_t hole = prng_below(&t->prng, 2) ? lab->end - lab->first : prng_below(&t->prng, 512);

	lab2_add(lab, MAX_ORDER_FRAMES / 2, lab->end - lab->first);
	lab2_trace(lab, 400, 80, 0, 6);
	lab2_misuse(lab, pfn_to_page(lab->first + hole), prng_below(&t->prng, 6));
}
