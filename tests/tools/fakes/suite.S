/* SPDX-License-Identifier: MIT */
/* Lists its cases and runs a suite, whatever it is asked: one passes, one fails, one
   needs more processors, one does not find the disk that it has, and one is listed but never run.
   With GOOD, all is well. */
#include "fake.inc"
	say "# case: sample.work panic=0 cpus=1 budget_ms=2000\n"
#ifndef GOOD
	say "# case: sample.play panic=0 cpus=1 budget_ms=2000\n"
	say "# case: sample.team panic=0 cpus=2 budget_ms=2000\n"
	say "# case: sample.keep panic=0 cpus=1 budget_ms=2000 disks\n"
	say "# case: sample.lost panic=0 cpus=1 budget_ms=2000\n"
#endif
	say "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: sample\n    1..4\n"
	say "    ok 1 work\n"
#ifdef GOOD
	exit 0x10
#else
	say "    # fun.c:1: expected fun\n    not ok 2 play\n"
	say "    ok 3 team # SKIP needs 2 CPUs, there are 1\n"
	say "    ok 4 keep # SKIP there is no such disk\nnot ok 1 sample\n"
	exit 0x11
#endif
