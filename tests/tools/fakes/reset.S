/* SPDX-License-Identifier: MIT */
/* Resets through the keyboard controller. */
#include "fake.inc"
	say "IKOS: fake\n"
	movb $0xfe, %al
	outb %al, $0x64
1:	hlt
	jmp 1b
