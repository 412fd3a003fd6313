/* SPDX-License-Identifier: MIT */
/*
 * Tests that run inside the kernel and print KTAP version 1.
 *
 *	KTEST(locks, handover, .budget_ms = 200)
 *	{
 *		expect_eq(t, count, 2 * ROUNDS);
 *	}
 *
 * A suite is every case of one suite name, in link order. ktest=SUITE[.CASE][,...] on the
 * command line, or "test SUITE[.CASE]" at the console, runs them; "all" is every suite.
 *
 * An expect_*() that fails is printed as a diagnostic with both values and the case goes
 * on; an assert_*() ends the case. A case that ends in the panic it announced with
 * .expect_panic passes; it ends the kernel, so it only runs when it is selected alone.
 */
#ifndef IKOS_KTEST_H
#define IKOS_KTEST_H

#include <prng.h>
#include <types.h>

struct ktest {
	const struct ktest_case *test;
	unsigned failures;
	bool skipped;
	uint64_t seed;	  /* of this case: printed with every failure */
	struct prng prng; /* seeded with it */
	unsigned param;	  /* index in [0, nr_params) of this run */
};

struct ktest_case {
	const char *suite, *name;
	void (*run)(struct ktest *t);
	const char *expect_panic; /* how the announced panic's message begins */
	unsigned budget_ms;	  /* virtual time, 0: KTEST_BUDGET_MS */
	unsigned nr_params;	  /* runs as NAME/0 .. NAME/(n-1); 0: once, as NAME */
	unsigned min_cpus;	  /* skipped on fewer */
	bool needs_disks;	  /* for who starts the machine: see tests/kernel/block_scratch.h */
};

#define KTEST_BUDGET_MS 2000

#define KTEST(suite_, name_, ...)                                                                  \
	static void ktest_##suite_##_##name_(struct ktest *t);                                     \
	static const struct ktest_case ktest_case_##suite_##_##name_ __section("ktest_cases") = {  \
		.suite = #suite_, .name = #name_, .run = ktest_##suite_##_##name_, ##__VA_ARGS__   \
	};                                                                                         \
	static void ktest_##suite_##_##name_(struct ktest *t)

/* A "# " line that belongs to the running case. */
void ktest_note(struct ktest *t, const char *fmt, ...) __format(2, 3);
/* Count a failure and say why. */
void ktest_fail(struct ktest *t, const char *file, int line, const char *fmt, ...) __format(4, 5);
/* Leave the case at once, its failures counted. */
_Noreturn void ktest_abort(struct ktest *t);
/* Leave the case as skipped. */
_Noreturn void ktest_skip(struct ktest *t, const char *why);

#define KTEST_CMP(t, a, op, b, then)                                                               \
	do {                                                                                       \
		uint64_t a_ = (uint64_t)(a), b_ = (uint64_t)(b);                                   \
		if (!(a_ op b_)) {                                                                 \
			/* The texts are arguments: an expression may hold a "%". */               \
			ktest_fail(t, __FILE__, __LINE__,                                          \
				   "expected %s " #op " %s, but %s is %#lx (%ld) and "             \
				   "%s is %#lx (%ld)",                                             \
				   #a, #b, #a, (unsigned long)a_, (long)a_, #b, (unsigned long)b_, \
				   (long)b_);                                                      \
			then;                                                                      \
		}                                                                                  \
	} while (0)

#define expect_eq(t, a, b) KTEST_CMP(t, a, ==, b, (void)0)
#define expect_ne(t, a, b) KTEST_CMP(t, a, !=, b, (void)0)
#define expect_lt(t, a, b) KTEST_CMP(t, a, <, b, (void)0)
#define expect_le(t, a, b) KTEST_CMP(t, a, <=, b, (void)0)
#define assert_eq(t, a, b) KTEST_CMP(t, a, ==, b, ktest_abort(t))
#define assert_ne(t, a, b) KTEST_CMP(t, a, !=, b, ktest_abort(t))
#define assert_le(t, a, b) KTEST_CMP(t, a, <=, b, ktest_abort(t))

#define expect_true(t, cond)                                                                       \
	do {                                                                                       \
		if (!(cond))                                                                       \
			ktest_fail(t, __FILE__, __LINE__, "expected %s", #cond);                   \
	} while (0)
#define assert_true(t, cond)                                                                       \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			ktest_fail(t, __FILE__, __LINE__, "expected %s", #cond);                   \
			ktest_abort(t);                                                            \
		}                                                                                  \
	} while (0)

/* Run what ktest= selected, if anything, and power off. Returns if nothing was. */
void ktest_run_cmdline(void);

/* Was ktest= given? */
bool ktest_requested(void);

/*
 * Run the cases that selection names, "SUITE[.CASE[/PARAM]][,...]" or "all". Returns the
 * number of cases that failed, or -ENOENT when a part of it matches none.
 *
 * A case that is the only one selected gets exactly this seed; one among several gets a
 * seed derived from this and from its own full name. So the seed that is printed with a
 * failure repeats it when it is given with that case alone.
 */
int ktest_run(const char *selection, uint64_t seed);

/* The seed of the command line: seed=N, or 1. */
uint64_t ktest_seed(void);
bool ktest_seed_given(void);

/* Print the name of every suite and how many cases it has. */
void ktest_print_suites(void);

/* Called by panic(): is message the panic that the running case announced? */
bool ktest_expects_panic(const char *message);

/* Called by panic() after an announced panic has been printed: report the pass, power off. */
_Noreturn void ktest_panicked(void);

#endif
