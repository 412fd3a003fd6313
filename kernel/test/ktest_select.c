/* SPDX-License-Identifier: MIT */
/*
 * Which runs a selection names, and lists of what there is.
 *
 * A selection is a list of items separated by commas. An item names a run by the front of
 * its full name, up to a separator or to the end:
 *
 *	all             every run
 *	buddy           every run of the suite
 *	buddy.split     the case, with every parameter
 *	buddy.split/3   one run
 *
 * An item that names nothing is an error, not an empty success: a misspelt test must not
 * look like one that passed.
 */
#include <printk.h>
#include <string.h>

#include "ktest_select.h"

unsigned
ktest_runs_of(const struct ktest_case *test)
{
	return test->nr_params ? test->nr_params : 1;
}

void
ktest_full_name(char *name, const struct ktest_case *test, unsigned param)
{
	if (test->nr_params)
		ksnprintf(name, KTEST_NAME_SIZE, "%s.%s/%u", test->suite, test->name, param);
	else
		ksnprintf(name, KTEST_NAME_SIZE, "%s.%s", test->suite, test->name);
}

/* Does the item of size bytes name this run: in full, or its case, or its suite? */
static bool
item_matches(const char *item, size_t size, const char *name)
{
	if (size == 3 && strncmp(item, "all", 3) == 0)
		return true;
	return size > 0 && strncmp(item, name, size) == 0 &&
	       (name[size] == '\0' || name[size] == '.' || name[size] == '/');
}

/* Where the item at p of a selection ends. */
static size_t
item_size(const char *p)
{
	size_t size = 0;

	while (p[size] && p[size] != ',')
		size++;
	return size;
}

static const char *
next_item(const char *p)
{
	p += item_size(p);
	return *p ? p + 1 : NULL;
}

bool
ktest_is_selected(const char *selection, const struct ktest_case *test, unsigned param)
{
	char name[KTEST_NAME_SIZE];

	ktest_full_name(name, test, param);
	for (const char *p = selection; p; p = next_item(p)) {
		if (item_matches(p, item_size(p), name))
			return true;
	}
	return false;
}

/* Runs that one selection item names. */
static unsigned
count_item(const char *item, size_t size)
{
	const struct ktest_case *test;
	char name[KTEST_NAME_SIZE];
	unsigned count = 0;

	for (test = __start_ktest_cases; test < __stop_ktest_cases; test++) {
		for (unsigned param = 0; param < ktest_runs_of(test); param++) {
			ktest_full_name(name, test, param);
			count += item_matches(item, size, name);
		}
	}
	return count;
}

unsigned
ktest_count_selected(const char *selection, const char *suite)
{
	const struct ktest_case *test;
	unsigned count = 0;

	for (test = __start_ktest_cases; test < __stop_ktest_cases; test++) {
		if (suite && strcmp(test->suite, suite) != 0)
			continue;
		for (unsigned param = 0; param < ktest_runs_of(test); param++)
			count += ktest_is_selected(selection, test, param);
	}
	return count;
}

bool
ktest_starts_suite(const struct ktest_case *test)
{
	const struct ktest_case *before;

	for (before = __start_ktest_cases; before < test; before++) {
		if (strcmp(before->suite, test->suite) == 0)
			return false;
	}
	return true;
}

bool
ktest_check_selection(const char *selection)
{
	for (const char *p = selection; p; p = next_item(p)) {
		size_t size = item_size(p);

		if (count_item(p, size) == 0) {
			kprintf("# no test matches \"%.*s\": use SUITE[.CASE[/PARAM]], all, or "
				"ktest=list to see them\nBail out!\n",
				(int)size, p);
			return false;
		}
	}
	return true;
}

void
ktest_print_suites(void)
{
	const struct ktest_case *test;

	for (test = __start_ktest_cases; test < __stop_ktest_cases; test++) {
		if (ktest_starts_suite(test)) {
			unsigned count = count_item(test->suite, strlen(test->suite));

			kprintf("  %-24s %u %s\n", test->suite, count,
				count == 1 ? "case" : "cases");
		}
	}
}

void
ktest_print_runs(void)
{
	const struct ktest_case *test;
	char name[KTEST_NAME_SIZE];

	for (test = __start_ktest_cases; test < __stop_ktest_cases; test++) {
		for (unsigned param = 0; param < ktest_runs_of(test); param++) {
			ktest_full_name(name, test, param);
			kprintf("# case: %s panic=%d cpus=%u budget_ms=%u%s\n", name,
				test->expect_panic != NULL, MAX(test->min_cpus, 1u),
				test->budget_ms ? test->budget_ms : KTEST_BUDGET_MS,
				test->needs_disks ? " disks" : "");
		}
	}
}
