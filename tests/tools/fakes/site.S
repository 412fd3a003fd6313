/* SPDX-License-Identifier: MIT */
/* A case that fails, and says where something was allocated: by the address of a kernel. */
#include "fake.inc"
	say "# case: sample.work panic=0 cpus=1 budget_ms=2000\n"
	say "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: sample\n    1..1\n"
	say "    # mm/x.c:7: 1 object lost, allocated at 0xffffffff80102005\n"
	say "    not ok 1 work\nnot ok 1 sample\n"
	exit 0x11

	.globl culprit
	.set culprit, 0xffffffff80102000
	.type culprit, @function
	.size culprit, 16
