/* SPDX-License-Identifier: MIT */
/* Works for ever. */
#include "fake.inc"
	say "IKOS: fake\n"
1:	jmp 1b
