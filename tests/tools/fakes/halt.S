/* SPDX-License-Identifier: MIT */
/* Sleeps for ever. */
#include "fake.inc"
	say "IKOS: fake\n"
1:	cli
	hlt
	jmp 1b
