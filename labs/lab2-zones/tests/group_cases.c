/* SPDX-License-Identifier: MIT */
/*
 * Lab 2, graded cases: page blocks and who has them. All requests are of orders that bypass the
 * CPUs' lists, so that the grader knows at every step what is free where.
 */
#include "lab.h"

static const gfp_t mobilities[NR_MOBILITIES] = { GFP_KERNEL, GFP_RECLAIMABLE, GFP_MOVABLE };

/* Rounds of requests of all mobilities in one zone, of orders from [min, max]. */
static void
trace(struct lab *lab, unsigned rounds, unsigned slots, unsigned min, unsigned max)
{
	for (unsigned i = 0; i < rounds; i++) {
		unsigned slot = prng_below(&lab->t->prng, slots);

		if (lab->slot[slot].full) {
			lab2_free(lab, slot);
		} else {
			gfp_t gfp = mobilities[prng_below(&lab->t->prng, NR_MOBILITIES)];

			lab2_alloc(lab, slot, gfp | GFP_NOWAIT,
				   min + lab2_random_order(lab->t, max - min));
		}
	}
}

static struct lab *
begin(struct ktest *t, unsigned blocks)
{
	struct lab2_layout layout = { .blocks = { 0, blocks }, .min_free = 64 };

	return lab2_begin_with(t, layout);
}

/* With enough memory, no page block is shared. */
KTEST(zones, grouping)
{
	struct lab *lab = begin(t, LAB_BLOCKS);

	trace(lab, 2000, 60, 4, 6);
	lab2_check(lab);
	lab2_stats(lab);
	lab2_free_all(lab);
	lab2_check(lab);
}

/* Page blocks change hands, whole ones only, and only when the group has nothing else. */
KTEST(zones, stealing)
{
	struct lab *lab = begin(t, LAB_BLOCKS);

	for (unsigned round = 0; round < 4; round++) {
		/* One mobility has nearly everything. Then all is free, and another wants it. */
		gfp_t gfp = mobilities[prng_below(&t->prng, NR_MOBILITIES)] | GFP_NOWAIT;

		lab2_alloc_until_none(lab, 100, gfp, 5 + prng_below(&t->prng, 4));
		lab2_check(lab);
		lab2_free_all(lab);
		trace(lab, 300, 100, 4, 8);
		lab2_stats(lab);
		lab2_free_all(lab);
	}
	lab2_check(lab);
	expect_true(t, lab2_alloc(lab, 0, GFP_NOWAIT, MAX_ORDER));
}

/* In every page block a half is in use, so that none can change hands. */
static void
halve_blocks(struct lab *lab, gfp_t gfp)
{
	unsigned last = lab2_alloc_until_none(lab, 0, gfp | GFP_ATOMIC, MAX_ORDER - 1);

	for (unsigned slot = 0; slot < last; slot++) {
		if (lab->slot[slot].start >> (MAX_ORDER - 1) & 1)
			lab2_free(lab, slot);
	}
}

/* With no free page block left, another group's is used, and stays that group's. */
KTEST(zones, borrowing)
{
	struct lab *lab = begin(t, 4);
	gfp_t owner = mobilities[prng_below(&t->prng, NR_MOBILITIES)];
	unsigned slot = 100;

	halve_blocks(lab, owner);
	lab2_check(lab);
	for (unsigned i = 0; i < NR_MOBILITIES; i++) {
		unsigned nr = 2 + prng_below(&t->prng, 6);

		while (nr-- > 0)
			assert_true(t, lab2_alloc(lab, slot++, mobilities[i] | GFP_NOWAIT, 4));
	}
	lab2_stats(lab);
	lab2_check(lab);
	for (unsigned i = 100; i < slot; i++)
		lab2_free(lab, i);
	lab2_check(lab);
	/* Whose it always was has all of it again. */
	assert_true(t, lab2_alloc(lab, 100, owner | GFP_NOWAIT, MAX_ORDER - 1));
	lab2_stats(lab);
	lab2_free_all(lab);
	lab2_check(lab);
}

/* Under pressure: own blocks first, then whole ones of others, and only then parts of others. */
KTEST(zones, group_pressure)
{
	struct lab *lab = begin(t, 4);

	trace(lab, 3000, 150, 4, 9);
	lab2_check(lab);
	lab2_stats(lab);
	lab2_free_all(lab);
	lab2_check(lab);
}
