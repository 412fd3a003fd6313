/* SPDX-License-Identifier: MIT */
/* The main program of every host test: selects cases, runs them, prints TAP. */
#include "host.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CASE_BUDGET_MS 20000 /* of processor time */

uint64_t host_seed = 1;

/* The section that HOST_SUITE() collects the suites in; its ends are the linker's. */
extern const struct host_suite *const __start_host_suites[], *const __stop_host_suites[];

static const char *program;
static const char *running_suite, *running_case;
static unsigned failures;

void
host_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	/* One broken invariant can fail thousands of checks. */
	if (failures++ >= 10)
		return;
	va_start(ap, fmt);
	printf("# %s:%d: ", file, line);
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
}

bool
host_failed(void)
{
	return failures > 0;
}

bool
host_contains(const char *text, const char *word)
{
	/* The kernel's string.h has no strstr(). */
	return __builtin_strstr(text, word) != NULL;
}

/* A sanitizer has reported, or a thread has panicked: say in which case that was. */
static void
on_abort(int number)
{
	(void)number;
	printf("# replay: %s -s %lu %s.%s\n", program, (unsigned long)host_seed, running_suite,
	       running_case);
	printf("Bail out! %s.%s ended the program\n", running_suite, running_case);
	fflush(stdout);
}

static void
call_case(void *test)
{
	((const struct host_case *)test)->run();
}

static bool
run_case(unsigned number, const struct host_suite *suite, const struct host_case *test)
{
	running_suite = suite->name;
	running_case = test->name;
	failures = 0;
	if (!host_try(call_case, (void *)test, CASE_BUDGET_MS))
		host_fail(suite->name, 0, "%s", host_message);
	host_capture_end();
	if (failures > 0)
		host_note("replay: %s -s %lu %s.%s", program, (unsigned long)host_seed, suite->name,
			  test->name);
	printf("%sok %u - %s.%s\n", failures ? "not " : "", number, suite->name, test->name);
	fflush(stdout);
	return failures == 0;
}

/* Is the case one of those named on the command line, or was none named? */
static bool
selected(const struct host_suite *suite, const struct host_case *test, char **names)
{
	char full[128];

	snprintf(full, sizeof(full), "%s.%s", suite->name, test->name);
	if (!*names)
		return true;
	for (; *names; names++) {
		if (strcmp(*names, suite->name) == 0 || strcmp(*names, full) == 0)
			return true;
	}
	return false;
}

static int
run_all(char **names)
{
	unsigned number = 0, failed = 0;

	for (const struct host_suite *const *at = __start_host_suites; at < __stop_host_suites;
	     at++) {
		const struct host_suite *suite = *at;

		for (unsigned j = 0; j < suite->nr; j++) {
			if (selected(suite, &suite->cases[j], names))
				failed += !run_case(++number, suite, &suite->cases[j]);
		}
	}
	printf("1..%u\n", number);
	if (number == 0) {
		fprintf(stderr, "%s: no such case; -l lists them\n", program);
		return 2;
	}
	return failed ? 1 : 0;
}

static void
list_all(void)
{
	for (const struct host_suite *const *at = __start_host_suites; at < __stop_host_suites;
	     at++) {
		for (unsigned j = 0; j < (*at)->nr; j++)
			printf("%s.%s\n", (*at)->name, (*at)->cases[j].name);
	}
}

int
main(int argc, char **argv)
{
	int option;

	program = argv[0];
	while ((option = getopt(argc, argv, "ls:")) != -1) {
		char *end = "";

		if (option == 'l') {
			list_all();
			return 0;
		}
		if (option == 's')
			host_seed = strtoull(optarg, &end, 0);
		if (option == '?' || *end) {
			fprintf(stderr, "usage: %s [-l] [-s SEED] [SUITE[.CASE]...]\n", program);
			return 2;
		}
	}
	signal(SIGABRT, on_abort);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return run_all(argv + optind);
}
