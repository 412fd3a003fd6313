/* SPDX-License-Identifier: MIT */
/* A panic, with a backtrace of one address: the one behind the call in culprit(). */
#include "fake.inc"
	say "KTAP version 1\n    # last words\npanic: buddy: wrong order\n"
	say "registers: rip=0 rsp=0\n"
	say "backtrace: 0x102005\n"
	exit 0x12

	.section .culprit, "ax"
	.globl culprit
	.type culprit, @function
culprit:
	call puts
	.size culprit, . - culprit
