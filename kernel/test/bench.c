/* SPDX-License-Identifier: MIT */
/*
 * The benchmark runner: see <bench.h> for what a suite is.
 *
 * A figure is the median of several repetitions, which one interrupt or one cold cache
 * among them cannot move. It is printed with one decimal by integer arithmetic, since the
 * kernel keeps out of the floating-point registers.
 */
#include <bench.h>
#include <cmdline.h>
#include <errno.h>
#include <power.h>
#include <printk.h>
#include <string.h>
#include <time.h>
#include <watchdog.h>

/* Longest time of one suite, so that a benchmark that hangs ends as a panic that says so. */
#define BENCH_BUDGET_NS (60 * NSEC_PER_SEC)

/* Set by the linker. Weak: a kernel may have no benchmarks. */
extern const struct bench_suite __start_bench_suites[] __attribute__((weak));
extern const struct bench_suite __stop_bench_suites[] __attribute__((weak));

static const char *selected;

static int
parse_bench(const char *value)
{
	if (!*value)
		return -EINVAL;
	selected = value;
	return 0;
}

CMDLINE_OPTION(bench, "bench", "a benchmark suite, or all", parse_bench);

/* Insertion sort: there are a handful. */
static void
sort(uint64_t *values, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		uint64_t value = values[i];
		unsigned j = i;

		for (; j > 0 && values[j - 1] > value; j--)
			values[j] = values[j - 1];
		values[j] = value;
	}
}

void
bench_report(const char *name, uint64_t *ticks, unsigned reps, uint64_t ops)
{
	uint64_t tenths;

	sort(ticks, reps);
	tenths = (ticks[reps / 2] * 10 + ops / 2) / ops;
	kprintf("bench: %s %lu.%lu insn/op\n", name, tenths / 10, tenths % 10);
}

void
bench_value(const char *name, uint64_t value, const char *unit)
{
	kprintf("bench: %s %lu %s\n", name, value, unit);
}

void
bench_print_suites(void)
{
	const struct bench_suite *suite;

	for (suite = __start_bench_suites; suite < __stop_bench_suites; suite++)
		kprintf("  %-16s %s\n", suite->name, suite->help);
}

int
bench_run(const char *name)
{
	const struct bench_suite *suite;
	bool all = strcmp(name, "all") == 0;
	bool found = false;

	for (suite = __start_bench_suites; suite < __stop_bench_suites; suite++) {
		if (!all && strcmp(name, suite->name) != 0)
			continue;
		found = true;
		watchdog_arm(BENCH_BUDGET_NS);
		suite->run();
		watchdog_disarm();
	}
	if (found)
		return 0;
	kprintf("bench: no suite \"%s\"; \"all\" runs these:\n", name);
	bench_print_suites();
	return -ENOENT;
}

bool
bench_requested(void)
{
	return selected != NULL;
}

void
bench_run_cmdline(void)
{
	if (selected)
		power_off(bench_run(selected) == 0 ? EXIT_PASS : EXIT_FAIL);
}
