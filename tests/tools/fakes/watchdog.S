/* SPDX-License-Identifier: MIT */
/* What the kernel prints when its virtual time is over. */
#include "fake.inc"
	say "IKOS: fake\npanic: hang: no end after 2000 ms of virtual time\n"
	exit 0x12
