/* SPDX-License-Identifier: MIT */
/*
 * Lab 2, graded cases: compaction. Movers copy a pattern that is compared afterwards, and tell
 * the grader of each move, who knows what the cheapest run would have cost.
 */
#include "lab.h"
#include <errno.h>
#include <percpu.h>

#define HUGE_ORDER 9
#define STRIDE	   7919 /* prime, and larger than the number of slots in use */

static struct lab *
begin(struct ktest *t, unsigned blocks)
{
	struct lab2_layout layout = { .blocks = { 0, blocks }, .min_free = 64 };

	return lab2_begin_with(t, layout);
}

/*
 * Fill the zone with small blocks of orders from [0, max], all of which may be moved, and free
 * most of them: about one in keep stays. Returns the slot behind the last one.
 */
static unsigned
fragment(struct lab *lab, unsigned max, unsigned keep)
{
	struct prng *prng = &lab->t->prng;
	unsigned last = 0;

	while (lab2_alloc(lab, last, GFP_NOWAIT | GFP_MOVABLE, prng_below(prng, max + 1)))
		last++;
	for (unsigned slot = 0; slot < last; slot++) {
		if (prng_below(prng, keep) == 0)
			lab2_set_mover(lab, slot);
	}
	assert_true(lab->t, last > 0);
	/* In an order that leaves free blocks from everywhere at the front of the free lists. */
	for (unsigned i = 0; i < last; i++) {
		unsigned slot = (i * STRIDE) % last;

		if (!lab->slot[slot].movable)
			lab2_free(lab, slot);
	}
	lab2_drain(lab);
	return last;
}

static void
check_contents(struct lab *lab)
{
	for (unsigned slot = 0; slot < LAB_SLOTS; slot++) {
		if (lab->slot[slot].full && lab->slot[slot].movable)
			lab2_check_contents(lab, slot);
	}
}

/* One of the blocks that have a mover. */
static unsigned
random_slot(struct lab *lab, unsigned last)
{
	unsigned slot = prng_below(&lab->t->prng, last);

	while (!lab->slot[slot].full || !lab->slot[slot].movable)
		slot = (slot + 1) % last;
	return slot;
}

/* Most of memory is free, and none of it in a large block. */
KTEST(zones, compaction)
{
	struct lab2_layout layout = { .blocks = { 0, 4, 0, 1 }, .min_free = 64 };
	struct lab *lab = lab2_begin_with(t, layout);
	unsigned last;

	/* The next zone has cheaper runs, which are of no use. */
	assert_true(t, lab2_alloc(lab, LAB_SLOTS - 1, GFP_NOWAIT | GFP_USER, 0));
	lab2_set_mover(lab, LAB_SLOTS - 1);
	last = fragment(lab, 2, 6);
	expect_true(t, !lab2_alloc(lab, last, GFP_NOWAIT | GFP_MOVABLE, HUGE_ORDER));
	assert_true(t, lab2_compact(lab, ZONE_NORMAL, HUGE_ORDER));
	check_contents(lab);
	lab2_check(lab);
	expect_true(t, lab2_alloc(lab, last, GFP_NOWAIT | GFP_MOVABLE, HUGE_ORDER));
	lab2_free_all(lab);
	lab2_drain(lab);
	lab2_check(lab);
}

/* Runs of any order, again and again, each the cheapest that there is then. */
KTEST(zones, compaction_orders)
{
	struct lab *lab = begin(t, 3);
	unsigned last = fragment(lab, 4, 5);

	for (unsigned round = 0; round < 16; round++) {
		unsigned order = 6 + prng_below(&t->prng, 4);

		if (lab2_compact(lab, ZONE_NORMAL, order))
			lab2_alloc(lab, last + round, GFP_NOWAIT | GFP_MOVABLE, order);
		check_contents(lab);
	}
	lab2_check(lab);
	lab2_stats(lab);
	lab2_free_all(lab);
	lab2_drain(lab);
	lab2_check(lab);
}

/* What cannot be moved stays, and a run that holds it is none. */
KTEST(zones, compaction_unmovable)
{
	struct lab *lab = begin(t, 3);
	unsigned last = fragment(lab, 1, 8);
	unsigned runs = 3 * MAX_ORDER_FRAMES >> HUGE_ORDER, spared = prng_below(&t->prng, runs);
	uint32_t held = 1u << spared;

	/* In each run but that one, somebody holds on to one address at least. */
	for (unsigned slot = 0; slot < last; slot++) {
		unsigned run = lab->slot[slot].start >> HUGE_ORDER;

		if (!lab->slot[slot].full || run == spared)
			continue;
		if ((held & 1u << run) && prng_below(&t->prng, 8) != 0)
			continue;
		held |= 1u << run;
		evidence_log(EV_MOVER, slot, page_to_pfn(lab2_page(lab, slot)), 1, 0);
		expect_true(t, page_clear_mover(lab2_page(lab, slot)));
		lab->slot[slot].movable = false;
	}
	assert_eq(t, held, (1u << runs) - 1);
	assert_true(t, lab2_compact(lab, ZONE_NORMAL, HUGE_ORDER));
	check_contents(lab);
	/* That one goes to somebody who keeps it. Now there is none. */
	expect_true(t, lab2_alloc(lab, last, GFP_NOWAIT | GFP_MOVABLE, HUGE_ORDER));
	expect_true(t, !lab2_compact(lab, ZONE_NORMAL, HUGE_ORDER));
	check_contents(lab);
	lab2_check(lab);
	lab2_stats(lab);
	lab2_free_all(lab);
	lab2_drain(lab);
	lab2_check(lab);
}

/* A block whose owner is busy stays where it is; nothing is lost, and another time it works. */
KTEST(zones, compaction_busy)
{
	struct lab *lab = begin(t, 3);
	unsigned last = fragment(lab, 2, 6);

	for (unsigned round = 0; round < 4; round++) {
		lab->moves_left = prng_below(&t->prng, 12);
		lab2_compact(lab, ZONE_NORMAL, HUGE_ORDER);
		check_contents(lab);
		lab2_check(lab);
		lab2_free(lab, random_slot(lab, last));
	}
	lab->moves_left = UINT32_MAX;
	lab2_drain(lab);
	assert_true(t, lab2_compact(lab, ZONE_NORMAL, HUGE_ORDER));
	check_contents(lab);
	lab2_stats(lab);
	lab2_free_all(lab);
	lab2_drain(lab);
	lab2_check(lab);
}

/* Blocks that another group lent: what comes free goes back to that group. */
KTEST(zones, compaction_groups)
{
	struct lab *lab = begin(t, 2);
	unsigned last, keeper = LAB_SLOTS - 1;

	/* One page block is of a group of its own, by a block in it that does not move. */
	assert_true(t, lab2_alloc(lab, keeper, GFP_NOWAIT, 4));
	last = fragment(lab, 1, 6);
	assert_true(t, lab2_compact(lab, ZONE_NORMAL, 8));
	check_contents(lab);
	lab2_check(lab);
	while (lab2_compact(lab, ZONE_NORMAL, 8) && lab2_alloc(lab, last, GFP_NOWAIT, 8))
		last++;
	check_contents(lab);
	lab2_check(lab);
	lab2_free_all(lab);
	lab2_drain(lab);
	lab2_check(lab);
}

/* A request that may wait compacts when it must, and no other does. */
KTEST(zones, compaction_alloc)
{
	struct lab *lab = begin(t, 4);
	unsigned last = fragment(lab, 2, 6);

	expect_true(t, !lab2_alloc(lab, last, GFP_NOWAIT | GFP_MOVABLE, HUGE_ORDER));
	expect_true(t, !lab2_alloc(lab, last, GFP_ATOMIC | GFP_MOVABLE, HUGE_ORDER));
	assert_true(t, lab2_alloc(lab, last, GFP_MOVABLE, HUGE_ORDER));
	assert_true(t, lab2_alloc(lab, last + 1, GFP_KERNEL, HUGE_ORDER));
	check_contents(lab);
	lab2_check(lab);
	lab2_stats(lab);
	lab2_free_all(lab);
	lab2_drain(lab);
	lab2_check(lab);
}
