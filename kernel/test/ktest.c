/* SPDX-License-Identifier: MIT */
/*
 * The test runner: see <ktest.h> for how a case is written.
 *
 * The linker collects all cases into one table. A run is one case with one parameter, and
 * has a full name, SUITE.CASE or SUITE.CASE/PARAM, by which it is selected. The cases run
 * one after the other on the boot thread, and the results are printed as KTAP version 1,
 * one subtest for each suite:
 *
 *	KTAP version 1
 *	1..1
 *	    KTAP version 1
 *	    # Subtest: buddy
 *	    1..2
 *	    # seed: 7  virtual_ns: 1234
 *	    ok 1 split
 *	    # mm/file.c:12: expected a == b, but ...
 *	    # replay: ktest=buddy.merge seed=7
 *	    # seed: 7  virtual_ns: 99
 *	    not ok 2 merge
 *	# buddy: pass:1 fail:1 skip:0 total:2
 *	not ok 1 buddy
 *
 * Seeds. A run that is selected alone gets exactly the seed asked for. One among several
 * gets a seed derived from that and from its own full name, so that what it does depends
 * neither on its neighbours nor on their order. Either way the seed printed with a
 * failure, given with the failed run alone, does the same again.
 *
 * A case is left early by a long jump back into the runner. What it held then, locks and
 * memory, stays held: the grader gives each case a boot of its own.
 *
 * A panic ends the kernel, also one that a case announced. So a case that announces one
 * only runs when it is selected alone; panic() asks ktest_expects_panic() whether the
 * message is the right one, and hands over to ktest_panicked(), which closes the report.
 */
#include <cmdline.h>
#include <errno.h>
#include <evidence.h>
#include <ktest.h>
#include <panic.h>
#include <percpu.h>
#include <power.h>
#include <printk.h>
#include <string.h>
#include <test_arena.h>
#include <thread.h>
#include <time.h>
#include <watchdog.h>

#include "ktest_select.h"

#define TEXT_SIZE  512 /* longest diagnostic, without */
#define PLACE_SIZE 128 /* "FILE:LINE: " */

struct totals {
	unsigned pass, fail, skip;
};

/* The run in progress; only the boot thread writes here, one run at a time. */
static struct {
	struct ktest *t; /* NULL between runs */
	void *jump[5];	 /* what __builtin_setjmp() saves */
	const char *why; /* of the skip */
	char name[KTEST_NAME_SIZE];
	unsigned number; /* of the result line */
	unsigned suite;	 /* number of the suite's result line */
	uint64_t start_ns;
	struct thread *thread;
	struct totals totals; /* of the suite */
} run;

static const char *selected; /* ktest= */
static uint64_t base_seed = 1;
static bool seed_given;

/* Where the host's time is the clock, a busy host must not look like a hang. */
static uint64_t patience = 1;
TUNABLE(patience, "ktest.patience", 1, 1000, "times as long for each test case as it says");

static int
parse_selection(const char *value)
{
	if (!*value)
		return -EINVAL;
	selected = value;
	return 0;
}

static int
parse_seed(const char *value)
{
	seed_given = parse_u64(value, &base_seed) == 0;
	return seed_given ? 0 : -EINVAL;
}

CMDLINE_OPTION(ktest, "ktest", "SUITE[.CASE[/PARAM]][,...], all or list", parse_selection);
CMDLINE_OPTION(seed, "seed", "a 64-bit number", parse_seed);

/* The seed of a run that is not alone: FNV-1a of its name, mixed with the seed given. */
static uint64_t
derive_seed(uint64_t seed, const char *name)
{
	uint64_t hash = 0xcbf29ce484222325ull;
	struct prng prng;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3ull;
	prng_seed(&prng, seed ^ hash);
	return prng_next(&prng);
}

/* ---- The result of one run ------------------------------------------------- */

/* The name on the result line: the full name without the suite. */
static const char *
short_name(void)
{
	return strchr(run.name, '.') + 1;
}

static void
report_skip(const char *why)
{
	run.totals.skip++;
	kprintf("    ok %u %s # SKIP %s\n", run.number, short_name(), why);
}

/* Print how the run in progress ended, and close it. */
static void
report_end(void)
{
	struct ktest *t = run.t;
	uint64_t end_ns = time_ns();

	run.t = NULL;
	if (t->skipped)
		evidence_log(EV_SKIP, t->param, 0, 0, 0);
	evidence_log(EV_CASE_END, t->param, t->failures, end_ns, 0);
	if (t->failures)
		kprintf("    # replay: ktest=%s seed=%lu\n", run.name, t->seed);
	kprintf("    # seed: %lu  virtual_ns: %lu\n", t->seed, end_ns - run.start_ns);
	if (t->failures) {
		run.totals.fail++;
		kprintf("    not ok %u %s\n", run.number, short_name());
	} else if (t->skipped) {
		report_skip(run.why);
	} else {
		run.totals.pass++;
		kprintf("    ok %u %s\n", run.number, short_name());
	}
}

static void
report_suite(const char *suite)
{
	struct totals *totals = &run.totals;

	kprintf("# %s: pass:%u fail:%u skip:%u total:%u\n", suite, totals->pass, totals->fail,
		totals->skip, totals->pass + totals->fail + totals->skip);
	kprintf("%sok %u %s\n", totals->fail ? "not " : "", run.suite, suite);
}

/* ---- Called by cases --------------------------------------------------------- */

/* Print "# ", a place and a message as one line. */
static void
diagnose(const char *place, const char *fmt, va_list ap)
{
	char text[TEXT_SIZE];

	kvsnprintf(text, sizeof(text), fmt, ap);
	kprintf("    # %s%s\n", place, text);
}

void
ktest_note(struct ktest *t, const char *fmt, ...)
{
	va_list ap;

	(void)t;
	va_start(ap, fmt);
	diagnose("", fmt, ap);
	va_end(ap);
}

void
ktest_fail(struct ktest *t, const char *file, int line, const char *fmt, ...)
{
	char place[PLACE_SIZE];
	va_list ap;

	/* Threads that the case started may fail at the same time. */
	__atomic_fetch_add(&t->failures, 1, __ATOMIC_RELAXED);
	ksnprintf(place, sizeof(place), "%s:%d: ", file, line);
	va_start(ap, fmt);
	diagnose(place, fmt, ap);
	va_end(ap);
}

void
ktest_abort(struct ktest *t)
{
	if (run.t != t || thread_current() != run.thread)
		panic("ktest: only the thread that runs a case may end it: "
		      "use expect_*() in threads that it starts");
	__builtin_longjmp(run.jump, 1);
}

void
ktest_skip(struct ktest *t, const char *why)
{
	t->skipped = true;
	run.why = why;
	ktest_abort(t);
}

bool
ktest_expects_panic(const char *message)
{
	const char *expected = run.t ? run.t->test->expect_panic : NULL;

	return expected && strncmp(message, expected, strlen(expected)) == 0;
}

void
ktest_panicked(void)
{
	const char *suite = run.t->test->suite;

	report_end();
	report_suite(suite);
	power_off(run.totals.fail ? EXIT_FAIL : EXIT_PASS);
}

/* ---- Running ------------------------------------------------------------------- */

/* A failure of the run as a whole, at no line of it. */
static __format(1, 2) void fail_run(const char *fmt, ...)
{
	va_list ap;

	run.t->failures++;
	va_start(ap, fmt);
	diagnose("", fmt, ap);
	va_end(ap);
}

/*
 * Call the case, until it returns or jumps back. Apart from its caller and not inlined:
 * no variable of a function that calls __builtin_setjmp() survives the jump for certain.
 */
static __attribute__((noinline)) void
call_case(void)
{
	if (__builtin_setjmp(run.jump) == 0) {
		run.t->test->run(run.t);
		if (!arch_irqs_enabled())
			fail_run("expected the case to return with interrupts on");
	}
	/* An assertion may have jumped out of a place where they were off. */
	arch_irq_enable();
}

static void
run_one(const struct ktest_case *test, unsigned param, uint64_t seed)
{
	struct ktest t = { .test = test, .seed = seed, .param = param };
	uint64_t budget_ms = patience * (test->budget_ms ? test->budget_ms : KTEST_BUDGET_MS);

	test_arena_reset();
	prng_seed(&t.prng, seed);
	run.t = &t;
	run.thread = thread_current();
	run.start_ns = time_ns();
	evidence_log(EV_CASE_BEGIN, param, seed, run.start_ns, 0);
	watchdog_arm(budget_ms * NSEC_PER_MSEC);
	call_case();
	watchdog_disarm();
	if (test->expect_panic && !t.failures && !t.skipped)
		fail_run("expected a panic starting with \"%s\", but there was none",
			 test->expect_panic);
	report_end();
}

/* Run one selected case, or say why not. */
static void
run_or_skip(const struct ktest_case *test, unsigned param, bool alone, uint64_t seed)
{
	char why[64];

	ktest_full_name(run.name, test, param);
	run.number++;
	if (test->min_cpus > nr_cpus)
		ksnprintf(why, sizeof(why), "needs %u CPUs, there are %u", test->min_cpus, nr_cpus);
	else if (test->expect_panic && !alone)
		strlcpy(why, "ends the kernel; run it alone", sizeof(why));
	else {
		run_one(test, param, alone ? seed : derive_seed(seed, run.name));
		return;
	}
	evidence_log(EV_SKIP, param, 0, 0, 0);
	report_skip(why);
}

static void
run_suite(const char *selection, const char *suite, bool alone, uint64_t seed)
{
	const struct ktest_case *test;

	run.totals = (struct totals){ 0 };
	run.number = 0;
	kprintf("    KTAP version 1\n    # Subtest: %s\n    1..%u\n", suite,
		ktest_count_selected(selection, suite));
	for (test = __start_ktest_cases; test < __stop_ktest_cases; test++) {
		if (strcmp(test->suite, suite) != 0)
			continue;
		for (unsigned param = 0; param < ktest_runs_of(test); param++) {
			if (ktest_is_selected(selection, test, param))
				run_or_skip(test, param, alone, seed);
		}
	}
	report_suite(suite);
}

int
ktest_run(const char *selection, uint64_t seed)
{
	const struct ktest_case *test;
	unsigned suites = 0, failed = 0;
	bool alone;

	kprintf("KTAP version 1\n");
	if (!ktest_check_selection(selection))
		return -ENOENT;
	for (test = __start_ktest_cases; test < __stop_ktest_cases; test++)
		suites +=
		    ktest_starts_suite(test) && ktest_count_selected(selection, test->suite) > 0;
	kprintf("1..%u\n", suites);

	alone = ktest_count_selected(selection, NULL) == 1;
	run.suite = 0;
	for (test = __start_ktest_cases; test < __stop_ktest_cases; test++) {
		if (!ktest_starts_suite(test) || ktest_count_selected(selection, test->suite) == 0)
			continue;
		run.suite++;
		run_suite(selection, test->suite, alone, seed);
		failed += run.totals.fail;
	}
	return (int)failed;
}

bool
ktest_requested(void)
{
	return selected != NULL;
}

uint64_t
ktest_seed(void)
{
	return base_seed;
}

bool
ktest_seed_given(void)
{
	return seed_given;
}

void
ktest_run_cmdline(void)
{
	if (!selected)
		return;
	if (strcmp(selected, "list") == 0) {
		ktest_print_runs();
		power_off(EXIT_PASS);
	}
	power_off(ktest_run(selected, base_seed) == 0 ? EXIT_PASS : EXIT_FAIL);
}
