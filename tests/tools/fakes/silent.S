/* SPDX-License-Identifier: MIT */
/* A good status and nothing else. */
#include "fake.inc"
	exit 0x10
