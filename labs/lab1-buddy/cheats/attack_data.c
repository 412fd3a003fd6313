/* SPDX-License-Identifier: MIT */
#include <types.h>

/* Puts machine code into a variable, and runs it. */
static uint8_t code[] = { 0xb0, 0x10, 0xe6, 0xf4, 0xeb, 0xfe };

static void
attack(void)
{
	((void (*)(void))code)();
}
