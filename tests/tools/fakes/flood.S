/* SPDX-License-Identifier: MIT */
/* Never stops talking. */
#include "fake.inc"
	say "IKOS: fake\n"
1:	say "spam spam spam spam spam spam spam spam\n"
	jmp 1b
