/* SPDX-License-Identifier: MIT */
/* Lab 3, graded cases: what a call costs, and shortage made on purpose. */
#include "lab.h"
#include <page_allocator.h>

/* ---- Cost --------------------------------------------------------------------------------- */

/* Instructions of one pair of calls: the least of several, since the first one warms up. */
static uint64_t
pair_cost(kmem_cache_t *cache)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < 8; i++) {
		uint64_t before = arch_cycles();
		void *object = kmem_cache_alloc(cache, GFP_KERNEL);

		kmem_cache_free(cache, object);
		least = MIN(least, arch_cycles() - before);
	}
	return least;
}

static uint64_t
kmalloc_pair_cost(size_t size)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < 8; i++) {
		uint64_t before = arch_cycles();

		kfree(kmalloc(size, GFP_KERNEL));
		least = MIN(least, arch_cycles() - before);
	}
	return least;
}

static void *many[LAB_SLOTS];

/* Instructions of one call, on average, when all of them are allocated, then freed in an order. */
static void
log_batch_cost(kmem_cache_t *cache, unsigned phase, unsigned stride)
{
	uint64_t before = arch_cycles();

	for (unsigned i = 0; i < LAB_SLOTS; i++)
		many[i] = kmem_cache_alloc(cache, GFP_KERNEL);
	evidence_log(EV_COST, phase, (arch_cycles() - before) / LAB_SLOTS, (uintptr_t)many[1], 0);
	before = arch_cycles();
	for (unsigned i = 0; i < LAB_SLOTS; i++)
		kmem_cache_free(cache, many[i * stride % LAB_SLOTS]);
	evidence_log(EV_COST, phase + 1, (arch_cycles() - before) / LAB_SLOTS, (uintptr_t)many[1],
		     0);
}

/*
 * The cost of a call does not depend on how many objects are in use, nor on the order in which
 * they are freed. Counted in instructions where the emulator counts them, and judged by the
 * grader; elsewhere the figures are only printed.
 */
KTEST(slab, cost)
{
	struct lab *lab = lab3_begin(t);

	lab3_cache(lab, 0, 64, 0, PLAIN, NULL);
	lab3_cache(lab, 1, 64, 0, BARE, NULL);
	evidence_log(EV_COST, 0, pair_cost(lab->cache[0]), 0, 0);
	evidence_log(EV_COST, 1, pair_cost(lab->cache[1]), 0, 0);
	evidence_log(EV_COST, 2, kmalloc_pair_cost(1 + prng_below(&t->prng, 1000)), 0, 0);
	log_batch_cost(lab->cache[0], 10, 1);
	log_batch_cost(lab->cache[0], 12, 1 + 2 * (unsigned)prng_below(&t->prng, LAB_SLOTS / 2));
	for (unsigned slot = 0; slot < LAB_SLOTS; slot++)
		lab3_alloc(lab, slot, slot % 2, GFP_KERNEL);
	evidence_log(EV_COST, 3, pair_cost(lab->cache[0]), 0, 0);
	evidence_log(EV_COST, 4, pair_cost(lab->cache[1]), 0, 0);
	evidence_log(EV_COST, 5, kmalloc_pair_cost(1 + prng_below(&t->prng, 1000)), 0, 0);
	/* Holes everywhere: to find the next object takes no search through slabs. */
	for (unsigned slot = 0; slot < LAB_SLOTS; slot += 7)
		lab3_free(lab, slot);
	evidence_log(EV_COST, 6, pair_cost(lab->cache[1]), 0, 0);
}

/* ---- Shortage ----------------------------------------------------------------------------- */

static void
begin_faults(struct lab *lab, unsigned every)
{
	evidence_log(EV_FAULTS, 0, every, 0, 0);
	page_allocator_set_faults(every, lab->t->seed);
	lab->may_fail = every != 0;
}

static void
check_injected(struct lab *lab)
{
	uint64_t nr = page_allocator_nr_faults();

	evidence_log(EV_FAULTS, 1, nr, 0, 0);
	expect_true(lab->t, nr > 0);
}

/* A request that finds no frames gets none, and everything is as it was. */
KTEST(slab, shortage)
{
	static const slab_flags_t flags[] = { BARE, PLAIN, GUARDED };
	struct lab *lab = lab3_begin(t);

	lab3_settle(lab);
	for (unsigned i = 0; i < 9; i++)
		lab3_cache(lab, i, 1 + prng_below(&t->prng, i < 6 ? 500 : 6000), 0, flags[i % 3],
			   NULL);
	begin_faults(lab, 2);
	for (unsigned i = 0; i < 1500; i++) {
		unsigned slot = (unsigned)prng_below(&t->prng, 450);

		if (lab->slot[slot].object)
			lab3_free(lab, slot);
		else
			lab3_alloc(lab, slot, slot % 9, slot % 2 ? GFP_NOWAIT : GFP_KERNEL);
	}
	check_injected(lab);
	begin_faults(lab, 0);
	for (unsigned i = 0; i < 9; i++)
		lab3_check(lab, i);
	lab3_trace(lab, 600, 450, 9);
	lab3_free_all(lab);
	for (unsigned i = 0; i < 9; i++)
		lab3_destroy(lab, i);
	lab3_settle(lab);
}

/* The same for kmalloc(), whose large requests need frames each time; krealloc() loses nothing. */
KTEST(slab, kmalloc_shortage)
{
	struct lab *lab = lab3_begin(t);

	lab3_settle(lab);
	begin_faults(lab, 2);
	for (unsigned i = 0; i < 1200; i++) {
		unsigned slot = (unsigned)prng_below(&t->prng, 200);
		size_t size = lab3_random_size(t, 60000);

		if (!lab->slot[slot].object)
			lab3_kmalloc(lab, slot, size, GFP_NOWAIT);
		else if (slot % 3)
			lab3_krealloc(lab, slot, size, GFP_NOWAIT);
		else
			lab3_free(lab, slot);
	}
	check_injected(lab);
	begin_faults(lab, 0);
	lab3_free_all(lab);
	lab3_settle(lab);
}
