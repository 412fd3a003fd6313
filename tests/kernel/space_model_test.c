/* SPDX-License-Identifier: MIT */
/*
 * Address spaces against a model: random operations, with memory and while it runs out.
 */
#include <ktest.h>
#include <page_allocator.h>

static struct ktest *test;

#define MODEL_FAIL(...) ktest_fail(test, __FILE__, __LINE__, __VA_ARGS__)

#include "space_model.h"

static struct model model;

static void
run_steps(struct ktest *t, unsigned steps, uint64_t seed, unsigned fail_every)
{
	test = t;
	assert_true(t, model_begin(&model, seed));
	for (unsigned i = 0; i < steps && t->failures == 0; i++) {
		if (fail_every && i % 16 == 0) {
			model.shortage = i % 64 != 0;
			page_allocator_set_faults(model.shortage ? fail_every : 0, seed + i);
		}
		model_step(&model);
		if (i % 8 == 7)
			model_compare(&model);
	}
	page_allocator_set_faults(0, 0);
	model_end(&model);
}

KTEST(space_model, random, .budget_ms = 20000, .nr_params = 4)
{
	run_steps(t, 3000, t->seed, 0);
}

KTEST(space_model, shortage, .budget_ms = 20000, .nr_params = 2)
{
	run_steps(t, 3000, t->seed, 3);
	expect_lt(t, 10, model.nr_failed);
}

/* The same again and again leaves nothing behind. */
KTEST(space_model, no_leak, .budget_ms = 30000)
{
	size_t before;

	run_steps(t, 1000, t->seed, 3);
	before = page_allocator_nr_free();
	for (unsigned i = 0; i < 3; i++)
		run_steps(t, 1000, t->seed, 3);
	expect_eq(t, page_allocator_nr_free(), before);
}
