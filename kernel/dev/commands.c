/* SPDX-License-Identifier: MIT */
/*
 * Console commands that belong to no subsystem: tests, benchmarks, tunables, and the
 * ways to end. Other commands stand beside what they show.
 */
#include <bench.h>
#include <cmdline.h>
#include <console.h>
#include <ktest.h>
#include <panic.h>
#include <power.h>
#include <printk.h>
#include <test_arena.h>

static void
test(int argc, char **argv)
{
	uint64_t seed = ktest_seed();

	if (argc == 1) {
		ktest_print_suites();
		return;
	}
	if (argc > 2 && parse_u64(argv[2], &seed) != 0) {
		kprintf("test: \"%s\" is not a seed: give a 64-bit number\n", argv[2]);
		return;
	}
	(void)ktest_run(argv[1], seed);
	test_arena_reset();
}

static void
bench(int argc, char **argv)
{
	if (argc == 1)
		bench_print_suites();
	else
		(void)bench_run(argv[1]);
	test_arena_reset();
}

static void
tunables(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	tunables_print();
}

static void
do_panic(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	panic("asked for at the console");
}

static void
reboot(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	power_reboot();
}

static void
poweroff(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	power_off(EXIT_PASS);
}

CONSOLE_COMMAND(test, "test", "[suite[.case] [seed]]", "run tests; alone: list the suites", test);
CONSOLE_COMMAND(bench, "bench", "[suite]", "run benchmarks; alone: list the suites", bench);
CONSOLE_COMMAND(tunables, "tunables", "", "show what the command line can tune", tunables);
CONSOLE_COMMAND(panic, "panic", "", "panic, to see what that looks like", do_panic);
CONSOLE_COMMAND(reboot, "reboot", "", "start the machine again", reboot);
CONSOLE_COMMAND(poweroff, "poweroff", "", "switch the machine off", poweroff);
