/* SPDX-License-Identifier: MIT */
/*
 * Address spaces against a model: random operations, with memory and while it runs out; with
 * pages of 4 KiB, and with huge ones wherever they fit.
 */
#include <ktest.h>
#include <page_allocator.h>

static struct ktest *test;

#define MODEL_FAIL(...) ktest_fail(test, __FILE__, __LINE__, __VA_ARGS__)

#include "space_model.h"

static struct model model;

static void
run_steps(struct ktest *t, unsigned steps, uint64_t seed, unsigned fail_every, unsigned unit)
{
	test = t;
	assert_true(t, model_begin(&model, seed, unit));
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
	run_steps(t, 3000, t->seed, 0, 1);
}

KTEST(space_model, shortage, .budget_ms = 20000, .nr_params = 2)
{
	run_steps(t, 3000, t->seed, 3, 1);
	expect_lt(t, 10, model.nr_failed);
}

/* The same again and again leaves nothing behind. */
KTEST(space_model, no_leak, .budget_ms = 30000)
{
	size_t before;

	run_steps(t, 1000, t->seed, 3, 1);
	before = page_allocator_nr_free();
	for (unsigned i = 0; i < 3; i++)
		run_steps(t, 1000, t->seed, 3, 1);
	expect_eq(t, page_allocator_nr_free(), before);
}

/* ---- Huge pages ---------------------------------------------------------------------------- */

/* The same steps where all that can be huge is. Returns what has happened to huge pages. */
static struct space_stats
run_huge(struct ktest *t, unsigned steps, unsigned fail_every)
{
	enum huge_policy saved = huge_pages;
	struct space_stats before, after;

	space_get_totals(&before);
	huge_pages = HUGE_ALWAYS;
	run_steps(t, steps, t->seed, fail_every, UNIT);
	huge_pages = saved;
	space_get_totals(&after);
	after.huge_faults -= before.huge_faults;
	after.huge_fallbacks -= before.huge_fallbacks;
	after.huge_splits -= before.huge_splits;
	expect_eq(t, after.resident_huge, before.resident_huge);
	return after;
}

KTEST(space_model, huge, .budget_ms = 40000, .nr_params = 4)
{
	struct space_stats stats = run_huge(t, 2000, 0);

	expect_lt(t, 20, stats.huge_faults);
	expect_lt(t, 5, stats.huge_splits);
}

KTEST(space_model, huge_shortage, .budget_ms = 40000, .nr_params = 2)
{
	struct space_stats stats = run_huge(t, 2000, 3);

	expect_lt(t, 10, model.nr_failed);
	expect_lt(t, 20, stats.huge_faults);
	expect_lt(t, 10, stats.huge_fallbacks);
}

KTEST(space_model, huge_no_leak, .budget_ms = 60000)
{
	size_t before;

	(void)run_huge(t, 1000, 3);
	before = page_allocator_nr_free();
	for (unsigned i = 0; i < 3; i++)
		(void)run_huge(t, 1000, 3);
	expect_eq(t, page_allocator_nr_free(), before);
	expect_eq(t, mm_check(), 0);
}
