/* SPDX-License-Identifier: MIT */
/* Runs, their names and their selection: between ktest.c and ktest_select.c. */
#ifndef TEST_KTEST_SELECT_H
#define TEST_KTEST_SELECT_H

#include <ktest.h>

#define KTEST_NAME_SIZE 96 /* longest full name, with its NUL */

/* Set by the linker. Weak: a kernel may be built without tests. */
extern const struct ktest_case __start_ktest_cases[] __attribute__((weak));
extern const struct ktest_case __stop_ktest_cases[] __attribute__((weak));

/* How often the case runs: once for each parameter. */
unsigned ktest_runs_of(const struct ktest_case *test);

/* Write SUITE.CASE or SUITE.CASE/PARAM to name, which has KTEST_NAME_SIZE bytes. */
void ktest_full_name(char *name, const struct ktest_case *test, unsigned param);

bool ktest_is_selected(const char *selection, const struct ktest_case *test, unsigned param);

/* Runs of one suite (NULL: of all) that selection names. */
unsigned ktest_count_selected(const char *selection, const char *suite);

/* Is this the first case of its suite? Cases of one suite may come from several files. */
bool ktest_starts_suite(const struct ktest_case *test);

/* Does every item of selection name something? If not, says which and bails out. */
bool ktest_check_selection(const char *selection);

/* Print one line for each run, for tools: "# case: NAME panic=0|1 cpus=N budget_ms=N". */
void ktest_print_runs(void);

#endif
