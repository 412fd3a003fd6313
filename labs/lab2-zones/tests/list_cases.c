/* SPDX-License-Identifier: MIT */
/* Lab 2, graded cases: the CPUs' lists, and requests that wait. */
#include "lab.h"
#include <percpu.h>
#include <reclaim.h>
#include <thread.h>

/* One zone, with room for lists of that length in all groups. */
static struct lab *
begin(struct ktest *t, unsigned blocks, int32_t limit)
{
	struct lab2_layout layout = { .blocks = { 0, blocks }, .min_free = 64 };
	struct lab *lab = lab2_begin_with(t, layout);

	for (unsigned m = 0; limit > 0 && m < NR_MOBILITIES; m++)
		lab2_set_limit(lab, group_number(ZONE_NORMAL, m), 0, limit);
	return lab;
}

/* Up and down again in every list: filled by batches, emptied by batches. */
KTEST(zones, lists)
{
	struct lab *lab = begin(t, 4, 0);

	for (unsigned order = 0; order < CPU_LIST_ORDERS; order++) {
		int32_t limit = 4 + (int32_t)prng_below(&t->prng, 60);
		unsigned nr = (unsigned)limit * 3;

		lab2_set_limit(lab, group_number(ZONE_NORMAL, UNMOVABLE), order, limit);
		for (unsigned slot = 0; slot < nr; slot++)
			assert_true(t, lab2_alloc(lab, slot, GFP_KERNEL, order));
		for (unsigned slot = 0; slot < nr; slot++)
			lab2_free(lab, slot);
		lab2_check(lab);
		for (unsigned slot = 0; slot < nr; slot++)
			assert_true(t, lab2_alloc(lab, slot, GFP_KERNEL, order));
		lab2_free_all(lab);
	}
	lab2_check(lab);
	lab2_stats(lab);
}

/* Requests and frees in any order, with lists of a few blocks. */
KTEST(zones, list_limit)
{
	struct lab *lab = begin(t, 2, 1 + (int32_t)prng_below(&t->prng, 6));

	lab2_trace(lab, 3000, 100, 0, 3);
	lab2_check(lab);
	lab2_free_all(lab);
	lab2_check(lab);
}

/* A batch ends at the mark, and a list may be used below it. */
KTEST(zones, batch_at_mark)
{
	struct lab *lab = begin(t, 1, 20 + (int32_t)prng_below(&t->prng, 40));
	unsigned slot = lab2_alloc_until_none(lab, 0, GFP_NOWAIT | GFP_MOVABLE, 4);

	slot = lab2_alloc_until_none(lab, slot, GFP_NOWAIT, 0);
	slot = lab2_alloc_until_none(lab, slot, GFP_ATOMIC, 0);
	lab2_check(lab);
	lab2_free_all(lab);
	lab2_drain(lab);
	lab2_check(lab);
}

/* Emptied lists leave whole page blocks behind. */
KTEST(zones, draining)
{
	struct lab *lab = lab2_begin(t);

	lab2_trace(lab, 1000, 300, 0, 3);
	lab2_drain(lab);
	lab2_check(lab);
	lab2_trace(lab, 1000, 300, 0, 3);
	lab2_free_all(lab);
	lab2_drain(lab);
	lab2_check(lab);
	lab2_alloc_until_none(lab, 0, GFP_ATOMIC | GFP_USER, MAX_ORDER);
}

static void
fill_lists(void *arg)
{
	struct lab *lab = arg;

	lab2_trace(lab, 300, 60, 0, 3);
	lab2_free_all(lab);
}

/* The lists of all CPUs, from one of them. */
KTEST(zones, drain_cpus, .min_cpus = 2)
{
	struct lab *lab = lab2_begin(t);

	for (int cpu = 0; cpu < (int)nr_cpus; cpu++) {
		struct thread *thread = thread_create("filler", fill_lists, lab, cpu);

		assert_true(t, thread != NULL);
		thread_join(thread);
	}
	lab2_check(lab);
	lab2_drain(lab);
	lab2_check(lab);
	lab2_alloc_until_none(lab, 0, GFP_ATOMIC | GFP_USER, MAX_ORDER);
}

/* What lies in the lists of other groups helps a request that may wait, and no other. */
KTEST(zones, drain_on_demand)
{
	struct lab *lab = begin(t, 1, 200 + (int32_t)prng_below(&t->prng, 200));
	unsigned slot;

	for (slot = 0; slot < 150; slot++)
		assert_true(t, lab2_alloc(lab, slot, GFP_MOVABLE, 0));
	lab2_free_all(lab);
	slot = lab2_alloc_until_none(lab, 0, GFP_NOWAIT, 5);
	slot = lab2_alloc_until_none(lab, slot, GFP_NOWAIT, 0);
	assert_true(t, lab2_alloc(lab, slot++, GFP_KERNEL, 0));
	lab2_free_all(lab);
	lab2_drain(lab);
	lab2_check(lab);
}

/* ---- Reclaim --------------------------------------------------------------------------- */

static struct lab *reclaims; /* the case that wants to be asked, or NULL */
static unsigned victims[8];  /* slots, to be given back one each time */
static unsigned nr_victims, nr_asked;

/* Gives back one block each time. */
static size_t
give_back(size_t nr_frames, gfp_t gfp)
{
	size_t frames = 0;
	unsigned slot;

	(void)gfp;
	if (!reclaims)
		return 0;
	nr_asked++;
	if (nr_victims > 0) {
		slot = victims[--nr_victims];
		frames = 1ul << reclaims->slot[slot].order;
		evidence_log(EV_RECLAIM, frames, nr_frames, 0, 0);
		lab2_free(reclaims, slot);
	} else {
		evidence_log(EV_RECLAIM, 0, nr_frames, 0, 0);
	}
	return frames;
}

static struct reclaimer reclaimer = { .name = "lab2",
				      .reclaim = give_back,
				      .rank = RECLAIM_CACHES };

/* The slots of an aligned run of 2^order frames, all in use by blocks of order 4. */
static void
choose_victims(struct lab *lab, unsigned order)
{
	unsigned wanted = 1u << (order - 4);

	nr_victims = 0;
	for (size_t run = 0; nr_victims < wanted; run += 1ul << order) {
		nr_victims = 0;
		assert_true(lab->t, run < lab->end - lab->first);
		for (unsigned i = 0; i < wanted; i++) {
			unsigned slot = lab2_slot_at(lab, run + i * 16);

			if (slot < LAB_SLOTS)
				victims[nr_victims++] = slot;
		}
	}
}

/* A request that needs several rounds: those that may wait get them. */
KTEST(zones, waiting)
{
	static bool registered;
	struct lab *lab = begin(t, 1, 0);
	unsigned order = 6 + prng_below(&t->prng, 2), last;

	if (!registered)
		reclaim_register(&reclaimer);
	registered = true;
	/* What cases before have left in the kernel's own caches is nobody's progress here. */
	while (reclaim_frames(LAB_FRAMES, GFP_KERNEL) > 0)
		;
	last = lab2_alloc_until_none(lab, 0, GFP_NOWAIT, 4);
	reclaims = lab;
	/* Nothing to give back: all fail, those that do not wait without asking. */
	nr_victims = nr_asked = 0;
	expect_true(t, !lab2_alloc(lab, last, GFP_NOWAIT, order));
	expect_true(t, !lab2_alloc(lab, last, GFP_ATOMIC, order));
	expect_eq(t, nr_asked, 0);
	expect_true(t, !lab2_alloc(lab, last, GFP_KERNEL, order));
	expect_eq(t, nr_asked, 1);
	/* One block each time is not enough at once. */
	choose_victims(lab, order);
	expect_true(t, !lab2_alloc(lab, last, GFP_NORETRY, order));
	expect_eq(t, nr_asked, 2);
	expect_true(t, lab2_alloc(lab, last, GFP_KERNEL, order));
	reclaims = NULL;
	lab2_free_all(lab);
	lab2_check(lab);
}

/* ---- GFP_NOFAIL ---------------------------------------------------------------------------- */

static bool got_it;

static void
cannot_do_without(void *arg)
{
	struct lab *lab = arg;

	lab2_alloc(lab, LAB_SLOTS - 1, GFP_NOFAIL, 5);
	got_it = true;
}

/* With nothing left at all, it waits until something comes back. */
KTEST(zones, nofail_waits)
{
	struct lab *lab = begin(t, 1, 0);
	struct thread *thread;
	unsigned slot;

	for (slot = 0; slot < MAX_ORDER_FRAMES >> 5; slot++)
		assert_true(t, lab2_alloc(lab, slot, GFP_NOFAIL, 5));
	got_it = false;
	thread = thread_create("nofail", cannot_do_without, lab, 0);
	assert_true(t, thread != NULL);
	thread_sleep_ns((2 + prng_below(&t->prng, 8)) * NSEC_PER_MSEC);
	expect_true(t, !got_it);
	lab2_free(lab, prng_below(&t->prng, slot));
	thread_join(thread);
	expect_true(t, got_it);
	lab2_free_all(lab);
	lab2_check(lab);
}
