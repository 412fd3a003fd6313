/* SPDX-License-Identifier: MIT */
/*
 * Console lines as if they had been typed. How lines are edited is tested from outside, by
 * tests/tools/test_console.py.
 */
#include <console.h>
#include <errno.h>
#include <ktest.h>
#include <string.h>

static int calls, last_argc;
static char last_word[64];

static void
record(int argc, char **argv)
{
	calls++;
	last_argc = argc;
	strlcpy(last_word, argv[argc - 1], sizeof(last_word));
}

CONSOLE_COMMAND(selftest, "selftest", "[word]...", "do nothing, for the tests", record);

KTEST(console, words)
{
	calls = 0;
	expect_eq(t, console_execute("selftest"), 0);
	expect_eq(t, last_argc, 1);
	expect_eq(t, console_execute("  selftest \t one  two "), 0);
	expect_eq(t, last_argc, 3);
	expect_eq(t, strcmp(last_word, "two"), 0);
	expect_eq(t, console_execute("selftest 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15"), 0);
	expect_eq(t, last_argc, 16);
	expect_eq(t, calls, 3);
}

KTEST(console, nothing)
{
	expect_eq(t, console_execute(""), 0);
	expect_eq(t, console_execute(" \t "), 0);
}

KTEST(console, unknown)
{
	calls = 0;
	expect_eq(t, console_execute("selftset"), -ENOENT);
	expect_eq(t, console_execute("SELFTEST"), -ENOENT);
	expect_eq(t, console_execute("no-such-command-and-a-very-long-name-at-that"), -ENOENT);
	expect_eq(t, calls, 0);
}

KTEST(console, too_long)
{
	char line[400];

	calls = 0;
	expect_eq(t, console_execute("selftest 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"), -E2BIG);
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	expect_eq(t, console_execute(line), -E2BIG);
	expect_eq(t, calls, 0);
}
