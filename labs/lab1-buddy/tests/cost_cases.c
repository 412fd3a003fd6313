/* SPDX-License-Identifier: MIT */
/*
 * Lab 1, graded cases: shortage made on purpose, cost, and several CPUs.
 */
#include "lab.h"
#include <percpu.h>
#include <thread.h>

/* Requests that fail for no reason of their own change nothing. */
KTEST(buddy, failures)
{
	struct lab *lab = lab_begin_full(t);
	unsigned every = 2 + prng_below(&t->prng, 6);

	evidence_log(EV_FAULTS, 0, every, 0, 0);
	fault_set(&lab->buddy.faults, every, t->seed);
	lab_trace(lab, 3000, 200, 8);
	expect_true(t, lab->buddy.faults.nr_injected > 0);
	fault_set(&lab->buddy.faults, 0, 0);
	evidence_log(EV_FAULTS, 0, 0, 0, 0);
	lab_totals(lab);
	lab_free_all(lab);
	for (unsigned i = 0; i < LAB_FRAMES >> MAX_ORDER; i++)
		expect_true(t, lab_alloc(lab, i, MAX_ORDER));
}

/* Instructions of one pair of calls: the least of several, since the first one warms up. */
static uint64_t
pair_cost(struct lab *lab, unsigned order)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < 8; i++) {
		uint64_t before = arch_cycles();
		struct page *page = buddy_alloc(&lab->buddy, order);

		buddy_free(&lab->buddy, page, order);
		least = MIN(least, arch_cycles() - before);
	}
	return least;
}

/* Empty the first slots, all full, in any order. */
static void
free_at_random(struct lab *lab, unsigned slots)
{
	for (unsigned left = slots; left > 0; left--) {
		unsigned slot = prng_below(&lab->t->prng, slots);

		while (lab->slot[slot].frames == 0)
			slot = (slot + 1) % slots;
		lab_free(lab, slot);
	}
}

/*
 * The cost of a request does not depend on how many blocks are free or in use, nor on how
 * large a block is. Counted in instructions where the emulator counts them, and then judged by the
 * grader; elsewhere the figures are only printed.
 */
KTEST(buddy, worst_case)
{
	struct lab *lab = lab_begin(t);
	unsigned slot = 0;

	/* One whole block: order 0 halves it ten times and joins it ten times. */
	lab_add(lab, 0, MAX_ORDER_FRAMES);
	for (unsigned order = 0; order < 2; order++)
		evidence_log(EV_COST, order, pair_cost(lab, order), 0, 0);

	/* Every second frame of the rest: thousands of free blocks that have no buddy. */
	for (size_t at = MAX_ORDER_FRAMES; at < LAB_FRAMES; at += 2)
		lab_add(lab, at, at + 1);
	for (unsigned order = 0; order < 2; order++)
		evidence_log(EV_COST, 2 + order, pair_cost(lab, order), 0, 0);

	/* Like order 0 now, the largest order is there as it is wanted: nobody touches tails. */
	evidence_log(EV_COST, 8, pair_cost(lab, MAX_ORDER), 0, 0);

	/* The same frames in use. */
	for (size_t at = MAX_ORDER_FRAMES; at < LAB_FRAMES; at += 2)
		lab_alloc(lab, slot++, 0);
	for (unsigned order = 0; order < 2; order++)
		evidence_log(EV_COST, 4 + order, pair_cost(lab, order), 0, 0);

	/* All of them back in any order, and out again: what one call costs on average. */
	lab->cost = 0;
	free_at_random(lab, slot);
	evidence_log(EV_COST, 6, lab->cost / slot, 0, 0);
	lab->cost = 0;
	for (unsigned i = 0; i < slot; i++)
		lab_alloc(lab, i, 0);
	evidence_log(EV_COST, 7, lab->cost / slot, 0, 0);
	lab_totals(lab);
}

#define NR_WORKERS 4
#define ROUNDS	   2000
#define HELD	   16

static struct worker {
	struct lab *lab;
	struct prng prng;
	unsigned errors;
} workers[NR_WORKERS];

/* Mark all frames of a block with its holder, and see later whether anybody else did. */
static void
mark(struct page *page, size_t frames, uint64_t holder)
{
	for (size_t i = 0; i < frames; i++)
		__atomic_store_n(&page[i].owner, holder, __ATOMIC_RELAXED);
}

static bool
marked(const struct page *page, size_t frames, uint64_t holder)
{
	for (size_t i = 0; i < frames; i++) {
		if (__atomic_load_n(&page[i].owner, __ATOMIC_RELAXED) != holder)
			return false;
	}
	return true;
}

/* Ask for a block, or now and then for a number of frames, and mark what comes of it. */
static void
request(struct worker *self, struct lab_slot *slot)
{
	struct buddy *buddy = &self->lab->buddy;
	unsigned order = prng_below(&self->prng, 6);
	bool exact = order == 5;
	size_t frames = exact ? 1 + prng_below(&self->prng, 24) : 1ul << order;
	struct page *page = exact ? buddy_alloc_exact(buddy, frames) : buddy_alloc(buddy, order);
	pfn_t pfn = page ? page_to_pfn(page) : NO_FRAME;

	if (exact)
		evidence_log(EV_EXACT, frames, pfn, 0, 0);
	else
		evidence_log(EV_ALLOC, order, pfn, 0, 0);
	if (!page)
		return;
	mark(page, frames, self - workers + 1);
	*slot = (struct lab_slot){ pfn - self->lab->first, frames, order, exact };
}

static void
give_back(struct worker *self, struct lab_slot *slot)
{
	struct buddy *buddy = &self->lab->buddy;
	pfn_t pfn = self->lab->first + slot->start;
	struct page *page = pfn_to_page(pfn);
	size_t frames = slot->frames;

	self->errors += !marked(page, frames, self - workers + 1);
	slot->frames = 0;
	if (slot->is_range) {
		evidence_log(EV_FREE_RANGE, 0, pfn, pfn + frames, 0);
		buddy_free_range(buddy, pfn, pfn + frames);
	} else {
		evidence_log(EV_FREE, slot->order, pfn, 0, 0);
		buddy_free(buddy, page, slot->order);
	}
}

static void
work(void *arg)
{
	struct worker *self = arg;
	struct lab_slot held[HELD] = { 0 };

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct lab_slot *slot = &held[prng_below(&self->prng, HELD)];

		if (slot->frames)
			give_back(self, slot);
		else
			request(self, slot);
	}
	for (unsigned i = 0; i < HELD; i++) {
		if (held[i].frames)
			give_back(self, &held[i]);
	}
}

/* All CPUs at once, preempted at places that the seed chooses. */
KTEST(buddy, smp_stress, .min_cpus = 2)
{
	struct lab *lab = lab_begin_full(t);
	struct thread *threads[NR_WORKERS];

	sched_fuzz_ticks(300, 2000, t->seed);
	for (unsigned i = 0; i < NR_WORKERS; i++) {
		workers[i] = (struct worker){ .lab = lab };
		prng_seed(&workers[i].prng, prng_next(&t->prng));
		threads[i] = thread_create("worker", work, &workers[i], i % nr_cpus);
		assert_true(t, threads[i] != NULL);
	}
	for (unsigned i = 0; i < NR_WORKERS; i++) {
		thread_join(threads[i]);
		expect_eq(t, workers[i].errors, 0);
	}
	sched_fuzz_ticks(0, 0, 0);
	lab_totals(lab);
	for (unsigned i = 0; i < LAB_FRAMES >> MAX_ORDER; i++)
		expect_true(t, lab_alloc(lab, i, MAX_ORDER));
}
