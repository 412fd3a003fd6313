/* SPDX-License-Identifier: MIT */
/*
 * Lab 1, graded cases: blocks. Each is a list of requests; lab.c judges the answers.
 */
#include "lab.h"

/* All memory is there, in blocks of the largest order, and nothing more. */
KTEST(buddy, pristine)
{
	struct lab *lab = lab_begin_full(t);
	unsigned blocks = LAB_FRAMES >> MAX_ORDER;

	lab_totals(lab);
	for (unsigned i = 0; i < blocks; i++)
		expect_true(t, lab_alloc(lab, i, MAX_ORDER));
	expect_true(t, !lab_alloc(lab, blocks, MAX_ORDER));
	expect_true(t, !lab_alloc(lab, blocks, 0));
	lab_totals(lab);
}

/*
 * A small block cut from a large one leaves all the rest, in every size there is. Requests of
 * rising size get it all only if each takes the smallest block that will do.
 */
KTEST(buddy, split)
{
	struct lab *lab = lab_begin(t);
	size_t start = prng_below(&t->prng, 8) << MAX_ORDER;
	unsigned order = prng_below(&t->prng, MAX_ORDER);
	unsigned slot = 0;

	lab_add(lab, start, start + MAX_ORDER_FRAMES);
	expect_true(t, lab_alloc(lab, slot++, order));
	lab_totals(lab);
	expect_true(t, !lab_alloc(lab, slot, MAX_ORDER));
	for (unsigned o = order; o < MAX_ORDER; o++)
		expect_true(t, lab_alloc(lab, slot++, o));
	expect_true(t, !lab_alloc(lab, slot, 0));
	lab_totals(lab);
}

/* Freed in any order, single frames become the largest block again. */
KTEST(buddy, merge)
{
	struct lab *lab = lab_begin(t);
	unsigned n = MAX_ORDER_FRAMES;

	lab_add(lab, 0, n);
	for (unsigned i = 0; i < n; i++)
		assert_true(t, lab_alloc(lab, i, 0));
	expect_true(t, !lab_alloc(lab, n, 0));
	for (unsigned left = n; left > 0; left--) {
		unsigned slot = prng_below(&t->prng, n);

		while (lab->slot[slot].frames == 0)
			slot = (slot + 1) % n;
		lab_free(lab, slot);
	}
	lab_totals(lab);
	expect_true(t, lab_alloc(lab, 0, MAX_ORDER));
}

/* While one frame of it is in use, a block stays in parts: each next to that frame. */
KTEST(buddy, merge_stops)
{
	struct lab *lab = lab_begin(t);
	unsigned n = MAX_ORDER_FRAMES;
	unsigned kept = prng_below(&t->prng, n);

	lab_add(lab, 0, n);
	for (unsigned i = 0; i < n; i++)
		assert_true(t, lab_alloc(lab, i, 0));
	for (unsigned i = 0; i < n; i++) {
		if (i != kept)
			lab_free(lab, i);
	}
	lab_totals(lab);
	for (unsigned order = MAX_ORDER + 1; order-- > 0;)
		expect_eq(t, lab_alloc(lab, n + order, order), order < MAX_ORDER);
	expect_true(t, !lab_alloc(lab, 2 * n, 0));
}

/* Every block begins at a multiple of its size, also when memory begins anywhere. */
KTEST(buddy, alignment)
{
	struct lab *lab = lab_begin(t);
	size_t first = 1 + prng_below(&t->prng, 1000);
	size_t end = LAB_FRAMES - 1 - prng_below(&t->prng, 1000);

	lab_add(lab, first, end);
	lab_totals(lab);
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned order = 0; order <= MAX_ORDER; order++)
			lab_alloc(lab, round * NR_ORDERS + order, order);
	}
	lab_totals(lab);
}

/* Until memory is used up, and again after all of it came back. */
KTEST(buddy, exhaustion)
{
	struct lab *lab = lab_begin_full(t);

	for (unsigned round = 0; round < 3; round++) {
		unsigned order = prng_below(&t->prng, 5), slot = 0;

		while (slot < LAB_SLOTS && lab_alloc(lab, slot, order))
			slot++;
		expect_eq(t, slot, LAB_FRAMES >> order);
		lab_totals(lab);
		lab_free_all(lab);
		lab_totals(lab);
	}
	for (unsigned i = 0; i < LAB_FRAMES >> MAX_ORDER; i++)
		expect_true(t, lab_alloc(lab, i, MAX_ORDER));
}

/* Thousands of random requests, then everything back to the beginning. */
KTEST(buddy, mixed)
{
	struct lab *lab = lab_begin_full(t);

	lab_trace(lab, 6000, 400, MAX_ORDER);
	lab_totals(lab);
	lab_free_all(lab);
	lab_totals(lab);
	for (unsigned i = 0; i < LAB_FRAMES >> MAX_ORDER; i++)
		expect_true(t, lab_alloc(lab, i, MAX_ORDER));
}

/* The same when memory is short, so that many requests fail and must change nothing. */
KTEST(buddy, pressure)
{
	struct lab *lab = lab_begin(t);

	lab_add(lab, 0, 2 * MAX_ORDER_FRAMES);
	lab_trace(lab, 6000, 600, MAX_ORDER);
	lab_totals(lab);
	lab_free_all(lab);
	expect_true(t, lab_alloc(lab, 0, MAX_ORDER));
	expect_true(t, lab_alloc(lab, 1, MAX_ORDER));
}

/* Memory with holes of every size: no block ever covers one. */
KTEST(buddy, holes)
{
	struct lab *lab = lab_begin(t);
	size_t at = 0;

	for (;;) {
		size_t first = at + 1 + prng_below(&t->prng, 100);
		size_t end = first + 1 + prng_below(&t->prng, 1500);

		if (end > LAB_FRAMES)
			break;
		lab_add(lab, first, end);
		at = end;
	}
	lab_totals(lab);
	lab_trace(lab, 3000, 300, MAX_ORDER);
	lab_totals(lab);
	lab_free_all(lab);
	lab_totals(lab);
	for (unsigned slot = 0; slot < LAB_SLOTS && lab_alloc(lab, slot, 0);)
		slot++;
	lab_totals(lab);
}

/* Memory that comes late joins what is there: while blocks are in use, and when none is. */
KTEST(buddy, late_memory)
{
	struct lab *lab = lab_begin(t);
	size_t last = 2 + prng_below(&t->prng, MAX_ORDER_FRAMES - 2);
	size_t first = 1 + prng_below(&t->prng, last - 1);

	lab_add(lab, last, 2 * MAX_ORDER_FRAMES);
	lab_trace(lab, 500, 50, 4);
	lab_add(lab, first, last);
	lab_totals(lab);
	lab_trace(lab, 500, 50, 4);
	lab_free_all(lab);
	lab_add(lab, 0, first);
	lab_totals(lab);
	expect_true(t, lab_alloc(lab, 0, MAX_ORDER));
	expect_true(t, lab_alloc(lab, 1, MAX_ORDER));
	expect_true(t, !lab_alloc(lab, 2, 0));
}

/* The counters count what was done. */
KTEST(buddy, statistics)
{
	struct lab *lab = lab_begin_full(t);
	struct buddy_stats stats;

	lab_trace(lab, 2000, 200, 7);
	lab_alloc(lab, 1001, MAX_ORDER);
	lab_free_all(lab);
	for (unsigned i = 0; i <= LAB_FRAMES >> MAX_ORDER; i++)
		lab_alloc(lab, i, MAX_ORDER);
	/* The peak stays when frames come back. */
	lab_free(lab, 0);

	buddy_get_stats(&lab->buddy, &stats);
	for (unsigned order = 0; order <= MAX_ORDER; order++)
		evidence_log(EV_STATS, order, stats.nr_alloc[order], stats.nr_free[order], 0);
	evidence_log(EV_PEAK, 0, stats.frames_peak, stats.nr_failed, 0);
	expect_eq(t, stats.frames_peak, LAB_FRAMES);
	expect_eq(t, stats.nr_free[MAX_ORDER], stats.nr_alloc[MAX_ORDER] - 7);
	lab_totals(lab);
}

/* Log both measures of a request, and compare them with what they must be. */
static void
measure(struct lab *lab, unsigned order, unsigned unusable, int index)
{
	unsigned is_unusable = buddy_unusable(&lab->buddy, order);
	int is_index = buddy_fragmentation_index(&lab->buddy, order);

	evidence_log(EV_FRAGMENTATION, order, is_unusable, (uint64_t)(int64_t)is_index, 0);
	expect_eq(lab->t, is_unusable, unusable);
	expect_eq(lab->t, is_index, index);
}

/* The measures when that many blocks of an order from 1 are free, and single frames. */
static void
measure_all(struct lab *lab, unsigned order, unsigned blocks, unsigned singles)
{
	unsigned frames = (blocks << order) + singles;

	for (unsigned o = 0; o <= MAX_ORDER; o++) {
		unsigned too_small = o == 0 ? 0 : o <= order ? singles : frames;
		/* Free memory over the size of the request, in thousandths. */
		unsigned requests = (uint64_t)frames * 1000 >> o;
		int index = 1000 - (int)((1000 + requests) / (blocks + singles));

		measure(lab, o, (uint64_t)too_small * 1000 / frames, o <= order ? -1000 : index);
	}
}

/*
 * What can be computed: all memory is in use, in blocks of one order and the last one in single
 * frames; then all but three blocks and one frame; then every second block, the worst case.
 */
KTEST(buddy, fragmentation)
{
	struct lab *lab = lab_begin_full(t);
	unsigned order, last, freed = 0, empty[3];

	lab_trace(lab, 300, 60, 6);
	lab_free_all(lab);
	order = 1 + prng_below(&t->prng, 4);
	last = (LAB_FRAMES >> order) - 1;
	for (unsigned slot = 0; slot < last + (1u << order); slot++)
		assert_true(t, lab_alloc(lab, slot, slot < last ? order : 0));
	measure(lab, 0, 0, 0);

	/* No two of these are buddies. Which slot has which block is the allocator's choice. */
	for (unsigned slot = 0; slot < last && freed < 3; slot++) {
		if ((lab->slot[slot].start >> order) % 4 != 1)
			continue;
		lab_free(lab, slot);
		empty[freed++] = slot;
	}
	lab_free(lab, last);
	measure_all(lab, order, 3, 1);
	expect_true(t, lab_alloc(lab, last, 0));
	for (unsigned i = 0; i < 3; i++)
		expect_true(t, lab_alloc(lab, empty[i], order));

	freed = 0;
	for (unsigned slot = 0; slot < last; slot++) {
		if (lab->slot[slot].start >> order & 1) {
			lab_free(lab, slot);
			freed++;
		}
	}
	measure_all(lab, order, freed, 0);
	expect_true(t, !lab_alloc(lab, LAB_SLOTS - 1, order + 1));
	lab_free_all(lab);
	measure(lab, MAX_ORDER, 0, -1000);
	expect_true(t, lab_alloc(lab, 0, MAX_ORDER));
}
