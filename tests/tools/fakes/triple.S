/* SPDX-License-Identifier: MIT */
/* An interrupt without a table. */
#include "fake.inc"
	say "IKOS: fake\n"
	lidt empty
	ud2
	.data
empty:	.skip 6
