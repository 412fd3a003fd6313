/* SPDX-License-Identifier: MIT */
/*
 * Benchmarks inside the kernel: "bench=SUITE" on the command line or "bench [suite]" at
 * the console. Each figure is one line, "bench: NAME VALUE UNIT". Under -icount shift=0
 * the clock is the count of executed instructions, so figures repeat on any host.
 */
#ifndef IKOS_BENCH_H
#define IKOS_BENCH_H

#include <arch/cpu.h>
#include <types.h>

struct bench_suite {
	const char *name;
	const char *help;
	void (*run)(void);
};

#define BENCH_SUITE(ident, help_string)                                                            \
	static void bench_##ident(void);                                                           \
	static const struct bench_suite bench_suite_##ident __section("bench_suites") = {          \
		#ident, help_string, bench_##ident                                                 \
	};                                                                                         \
	static void bench_##ident(void)

#define BENCH_REPS 9

/* Print the median over reps of ticks[i] / ops, with one decimal: unit "insn/op". */
void bench_report(const char *name, uint64_t *ticks, unsigned reps, uint64_t ops);

/* Print a figure that is a plain count. */
void bench_value(const char *name, uint64_t value, const char *unit);

/* Run what bench= selected, if anything, and power off. Returns if nothing was. */
void bench_run_cmdline(void);

/* Run one suite, or "all". Returns 0, or -ENOENT when there is none (a line says so). */
int bench_run(const char *suite);

/* Print the name and purpose of every suite. */
void bench_print_suites(void);

/* Was bench= given? */
bool bench_requested(void);

#endif
