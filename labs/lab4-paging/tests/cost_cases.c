/* SPDX-License-Identifier: MIT */
/*
 * Lab 4, graded cases: what a call costs. Counted in instructions where the emulator counts them,
 * and judged by the grader.
 */
#include "lab.h"

#define PAGES 64

/* ---- Looking regions up ------------------------------------------------------------------ */

#define MOST_REGIONS 100000

static void
add_regions(struct lab *lab, unsigned first, unsigned end)
{
	struct address_space *space = lab->space[0];

	for (unsigned i = first; i < end; i++) {
		/* A stride that is odd reaches all places, in an order that is none. */
		uintptr_t at = lab->arena + (uint64_t)i * 38501 % 131072 * 2 * PAGE_SIZE;
		struct region_spares spares = { .nr = 0 };
		struct region *region;

		assert_eq(lab->t, regions_reserve(&spares, 1), 0);
		region = regions_take_spare(&spares);
		*region = (struct region){ .prot = RW,
					   .max_prot = PROT_ALL,
					   .flags = MAP_PRIVATE,
					   .home = at >> PAGE_SHIFT };
		region_link(space, region, at, at + PAGE_SIZE);
	}
}

static uint64_t
lookup_cost(struct lab *lab, unsigned nr)
{
	struct address_space *space = lab->space[0];
	uint64_t before = arch_cycles(), found = 0;

	for (unsigned i = 0; i < 256; i++) {
		uint64_t n = (uint64_t)i * 7919 % nr;
		uintptr_t at = lab->arena + n * 38501 % 131072 * 2 * PAGE_SIZE;

		found += region_find(space, at) != NULL;
		found += region_find(space, at + PAGE_SIZE) == NULL;
	}
	before = arch_cycles() - before;
	expect_eq(lab->t, found, 512);
	return before / 512;
}

/* Ten, a thousand, a hundred thousand regions: it costs by the logarithm. */
KTEST(spaces, lookup_cost, .budget_ms = 10000)
{
	static const unsigned steps[] = { 10, 1000, MOST_REGIONS };
	struct lab *lab = lab4_begin(t);
	unsigned nr = 0;

	lab4_space(lab, 0);
	lab->arena = GiB(16) + prng_below(&t->prng, 1000) * MiB(2);
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		uint64_t before = arch_cycles();

		mutex_lock(&lab->space[0]->lock);
		add_regions(lab, nr, steps[i]);
		before = (arch_cycles() - before) / (steps[i] - nr);
		evidence_log(EV_COST, 10 + i, before, 0, 0);
		evidence_log(EV_COST, i, lookup_cost(lab, steps[i]), 0, 0);
		mutex_unlock(&lab->space[0]->lock);
		nr = steps[i];
	}
}

/* ---- Faults and calls ---------------------------------------------------------------------- */

/* Instructions of a fault, on average, over so many pages of the arena. */
static void
log_faults(struct lab *lab, unsigned phase, size_t first, size_t step, enum fault_access access)
{
	uint64_t before = arch_cycles();
	unsigned nr = 0;

	for (size_t page = first; page < first + PAGES; page += step, nr++)
		(void)space_fault(lab->space[0], lab4_page(lab, page), access);
	evidence_log(EV_COST, phase, (arch_cycles() - before) / nr, 0, 0);
}

static void
log_call(struct lab *lab, unsigned phase, uint64_t before)
{
	(void)lab;
	evidence_log(EV_COST, phase, (arch_cycles() - before) / PAGES, 0, 0);
}

static void
add_crowd(struct lab *lab)
{
	for (unsigned i = 0; i < 500; i++) {
		uintptr_t at = lab->arena + GiB(1) + 2 * i * PAGE_SIZE;

		assert_eq(lab->t,
			  space_map(lab->space[0], &at, PAGE_SIZE, RW,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0, PROT_ALL),
			  0);
	}
}

/* All kinds, each on fresh pages: once alone, once among a crowd of regions. */
KTEST(spaces, fault_cost)
{
	struct lab *lab = lab4_begin(t);
	uint64_t before;

	lab->arena = GiB(2) + prng_below(&t->prng, 1000) * MiB(2);
	lab4_space(lab, 0);
	lab4_file(lab, 0, FILE_PAGES);
	lab4_use(lab->space[0]);
	for (unsigned round = 0; round < 2; round++) {
		unsigned phase = 20 * round;
		struct address_space *child = NULL;

		lab4_map(lab, 0, 0, 3 * PAGES, RW);
		log_faults(lab, phase, 0, 1, FAULT_READ);
		log_faults(lab, phase + 1, 0, 1, FAULT_WRITE);
		log_faults(lab, phase + 2, PAGES, 1, FAULT_WRITE);
		log_faults(lab, phase + 3, PAGES, 1, FAULT_READ);
		before = arch_cycles();
		assert_eq(t, space_fork(lab->space[0], &child), 0);
		log_call(lab, phase + 4, before);
		log_faults(lab, phase + 5, 0, 1, FAULT_WRITE);
		space_put(child);
		log_faults(lab, phase + 6, PAGES, 1, FAULT_WRITE);
		before = arch_cycles();
		assert_eq(t, space_protect(lab->space[0], lab4_page(lab, 0), PAGES * PAGE_SIZE, RO),
			  0);
		log_call(lab, phase + 7, before);
		before = arch_cycles();
		assert_eq(t, space_unmap(lab->space[0], lab4_page(lab, 0), PAGES * PAGE_SIZE), 0);
		log_call(lab, phase + 8, before);
		lab4_unmap(lab, 0, 0, 3 * PAGES);
		add_crowd(lab);
	}
	lab4_use(NULL);
}
