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

/*
 * The cost of a request does not depend on how many blocks are free or in use. Counted in
 * instructions where the emulator counts them, and then judged by the grader; elsewhere
 * the figures are only printed.
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

	/* The same frames in use. */
	for (size_t at = MAX_ORDER_FRAMES; at < LAB_FRAMES; at += 2)
		lab_alloc(lab, slot++, 0);
	for (unsigned order = 0; order < 2; order++)
		evidence_log(EV_COST, 4 + order, pair_cost(lab, order), 0, 0);
	lab_totals(lab);
}

#define NR_WORKERS 4
#define ROUNDS	   400
#define HELD	   16

static struct worker {
	struct lab *lab;
	struct prng prng;
	unsigned errors;
} workers[NR_WORKERS];

/* Mark all frames of a block with its holder, and see later whether anybody else did. */
static void
mark(struct page *page, unsigned order, uint64_t holder)
{
	for (size_t i = 0; i < 1ul << order; i++)
		__atomic_store_n(&page[i].owner, holder, __ATOMIC_RELAXED);
}

static bool
marked(const struct page *page, unsigned order, uint64_t holder)
{
	for (size_t i = 0; i < 1ul << order; i++) {
		if (__atomic_load_n(&page[i].owner, __ATOMIC_RELAXED) != holder)
			return false;
	}
	return true;
}

static void
work(void *arg)
{
	struct worker *self = arg;
	struct buddy *buddy = &self->lab->buddy;
	uint64_t holder = self - workers + 1;
	struct lab_slot held[HELD] = { 0 };
	struct page *page;

	for (unsigned i = 0; i < ROUNDS + HELD; i++) {
		/* At the end, give back what is held. */
		unsigned slot = i < ROUNDS ? prng_below(&self->prng, HELD) : i - ROUNDS;

		if (held[slot].frames) {
			page = pfn_to_page(self->lab->first + held[slot].start);
			self->errors += !marked(page, held[slot].order, holder);
			evidence_log(EV_FREE, held[slot].order, page_to_pfn(page), 0, 0);
			buddy_free(buddy, page, held[slot].order);
			held[slot].frames = 0;
		} else if (i < ROUNDS) {
			unsigned order = prng_below(&self->prng, 5);

			page = buddy_alloc(buddy, order);
			evidence_log(EV_ALLOC, order, page ? page_to_pfn(page) : NO_FRAME, 0, 0);
			if (!page)
				continue;
			mark(page, order, holder);
			held[slot] = (struct lab_slot){ page_to_pfn(page) - self->lab->first, 1,
							order, false };
		}
	}
}

/* All CPUs at once, preempted at places that the seed chooses. */
KTEST(buddy, smp_stress, .min_cpus = 2, .budget_ms = 4000)
{
	struct lab *lab = lab_begin_full(t);
	struct thread *threads[NR_WORKERS];

	sched_fuzz_ticks(2000, 30000, t->seed);
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
