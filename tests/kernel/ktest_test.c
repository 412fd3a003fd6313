/* SPDX-License-Identifier: MIT */
/*
 * The test runner itself, as far as a kernel that must pass can show: parameters, skipping,
 * seeds, and the panic that was announced. What failing looks like is shown on a struct
 * ktest of the case's own, so those lines of output are part of a pass.
 */
#include <ktest.h>
#include <panic.h>
#include <string.h>

#define PARAMS 3

/* Each parameter once, each with a seed of its own. */
KTEST(ktest, params, .nr_params = PARAMS)
{
	static uint64_t seeds[PARAMS];
	static unsigned runs;

	assert_true(t, t->param < PARAMS);
	seeds[t->param] = t->seed;
	if (++runs < PARAMS)
		return;
	expect_ne(t, seeds[0], seeds[1]);
	expect_ne(t, seeds[1], seeds[2]);
	expect_ne(t, seeds[0], seeds[2]);
}

KTEST(ktest, seed)
{
	struct prng prng;

	prng_seed(&prng, t->seed);
	for (unsigned i = 0; i < 10; i++)
		expect_eq(t, prng_next(&t->prng), prng_next(&prng));
}

KTEST(ktest, skip)
{
	ktest_skip(t, "to show that a case can");
	ktest_fail(t, __FILE__, __LINE__, "expected ktest_skip() not to return");
}

KTEST(ktest, needs_more_cpus_than_there_are, .min_cpus = 1000)
{
	ktest_fail(t, __FILE__, __LINE__, "expected to be skipped");
}

KTEST(ktest, expectations)
{
	struct ktest inner = { .test = t->test };

	ktest_note(t, "five failures follow, as they should");
	expect_eq(&inner, 1, 2);
	expect_ne(&inner, 1, 1);
	expect_lt(&inner, 1, 1);
	expect_le(&inner, 2, 1);
	expect_true(&inner, false);
	expect_eq(t, inner.failures, 5);

	expect_eq(&inner, 1, 1);
	expect_ne(&inner, 1, 2);
	expect_lt(&inner, 1, 2);
	expect_le(&inner, 1, 1);
	expect_true(&inner, true);
	expect_eq(t, inner.failures, 5);
}

/* Arguments are evaluated once, and compared as 64-bit numbers. */
KTEST(ktest, arguments)
{
	unsigned calls = 0;

	expect_eq(t, ++calls, 1);
	expect_eq(t, -1, UINT64_MAX);
}

KTEST(ktest, panic_not_announced)
{
	expect_true(t, !ktest_expects_panic("anything"));
	expect_true(t, !ktest_expects_panic(""));
}

KTEST(ktest, panic_announced, .expect_panic = "ktest: announced")
{
	expect_true(t, !ktest_expects_panic("ktest: another"));
	expect_true(t, !ktest_expects_panic("ktest: announce"));
	panic("ktest: announced, and so it came");
}
