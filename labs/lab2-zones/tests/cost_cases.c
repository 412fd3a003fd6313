/* SPDX-License-Identifier: MIT */
/* Lab 2, graded cases: cost, and several CPUs. */
#include "lab.h"
#include <arch.h>
#include <percpu.h>
#include <thread.h>

/* Instructions of one pair of calls: the least of several, since the first one warms up. */
static uint64_t
pair_cost(struct lab *lab, unsigned order)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < 8; i++) {
		uint64_t before = arch_cycles();
		struct page *page = node_alloc(&lab->node, GFP_MOVABLE, order);

		assert_true(lab->t, page != NULL);
		node_free(&lab->node, page, order);
		least = MIN(least, arch_cycles() - before);
	}
	return least;
}

/* Instructions of a pair when many blocks are taken, and then given back. */
static uint64_t
batch_cost(struct lab *lab, unsigned nr)
{
	static struct page *pages[512];
	uint64_t before = arch_cycles();

	for (unsigned i = 0; i < nr; i++) {
		pages[i] = node_alloc(&lab->node, GFP_MOVABLE, 0);
		assert_true(lab->t, pages[i] != NULL);
	}
	for (unsigned i = 0; i < nr; i++)
		node_free(&lab->node, pages[i], 0);
	return (arch_cycles() - before) / nr;
}

/* Costs with one page block, and with eight of which thousands of blocks are in use. */
KTEST(zones, cost)
{
	struct lab2_layout small = { .blocks = { 0, 1 }, .min_free = 64 };
	struct lab2_layout large = { .blocks = { 1, 3, 2, 2 }, .min_free = 64 };
	struct lab *lab = lab2_begin_with(t, small);
	unsigned phase = 0, last;

	evidence_log(EV_COST, phase++, pair_cost(lab, 4), 0, 0);
	evidence_log(EV_COST, phase++, pair_cost(lab, 0), 0, 0);
	evidence_log(EV_COST, phase++, pair_cost(lab, 3), 0, 0);
	evidence_log(EV_COST, phase++, batch_cost(lab, 512), 0, 0);

	lab = lab2_begin_with(t, large);
	lab2_set_limit(lab, group_number(ZONE_NORMAL, MOVABLE), 0, 500);
	last = lab2_alloc_until_none(lab, 0, GFP_NOWAIT | GFP_MOVABLE, 0);
	for (unsigned slot = 0; slot < last; slot += 2)
		lab2_free(lab, slot);
	evidence_log(EV_COST, phase++, pair_cost(lab, 0), 0, 0);
	evidence_log(EV_COST, phase++, batch_cost(lab, 512), 0, 0);
	lab2_free_all(lab);
	lab2_drain(lab);
	evidence_log(EV_COST, phase++, pair_cost(lab, 4), 0, 0);
	lab2_check(lab);
}

/* ---- Several CPUs ---------------------------------------------------------------------- */

#define NR_WORKERS 8
#define ROUNDS	   2500
#define HELD	   16

static struct worker {
	struct lab *lab;
	struct prng prng;
	unsigned errors;
} workers[NR_WORKERS];

struct held {
	struct page *page;
	unsigned order;
};

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

static void
request(struct worker *self, struct held *held)
{
	static const gfp_t flags[] = {
		GFP_KERNEL,
		GFP_NOWAIT | GFP_RECLAIMABLE,
		GFP_USER | GFP_NORETRY,
		GFP_ATOMIC,
	};
	gfp_t gfp = GFP_KERNEL;

	/* Two of three on one page list, so that who is interrupted there meets the next one. */
	held->order = 0;
	if (prng_below(&self->prng, 3) == 0) {
		gfp = flags[prng_below(&self->prng, ARRAY_SIZE(flags))];
		held->order = prng_below(&self->prng, 7);
	}
	held->page = node_alloc(&self->lab->node, gfp, held->order);
	evidence_log(EV_ALLOC, gfp | held->order << 12,
		     held->page ? page_to_pfn(held->page) : NO_FRAME, 0, 0);
	if (held->page)
		mark(held->page, 1ul << held->order, self - workers + 1);
}

static void
give_back(struct worker *self, struct held *held)
{
	self->errors += !marked(held->page, 1ul << held->order, self - workers + 1);
	evidence_log(EV_FREE, held->order, page_to_pfn(held->page), 0, 0);
	node_free(&self->lab->node, held->page, held->order);
	held->page = NULL;
}

static void
work(void *arg)
{
	struct worker *self = arg;
	struct held held[HELD] = { 0 };

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct held *one = &held[prng_below(&self->prng, HELD)];

		if (one->page)
			give_back(self, one);
		else
			request(self, one);
	}
	for (unsigned i = 0; i < HELD; i++) {
		if (held[i].page)
			give_back(self, &held[i]);
	}
}

/* Two threads on each of four CPUs, preempted at places that the seed chooses, short of memory now
 * and then. */
KTEST(zones, smp_stress, .min_cpus = 2)
{
	struct lab2_layout layout = { .blocks = { 0, 1, 0, 1 }, .min_free = 64 };
	struct lab *lab = lab2_begin_with(t, layout);
	struct thread *threads[NR_WORKERS];

	sched_fuzz_ticks(300, 2000, t->seed);
	for (unsigned i = 0; i < NR_WORKERS; i++) {
		workers[i] = (struct worker){ .lab = lab };
		prng_seed(&workers[i].prng, prng_next(&t->prng));
		threads[i] = thread_create("worker", work, &workers[i], (int)(i % nr_cpus));
		assert_true(t, threads[i] != NULL);
	}
	for (unsigned i = 0; i < NR_WORKERS; i++) {
		thread_join(threads[i]);
		expect_eq(t, workers[i].errors, 0);
	}
	sched_fuzz_ticks(0, 0, 0);
	lab2_check(lab);
	lab2_stats(lab);
	lab2_drain(lab);
	lab2_check(lab);
}
