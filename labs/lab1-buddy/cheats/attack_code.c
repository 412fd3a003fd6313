/* SPDX-License-Identifier: MIT */
#include <types.h>

/* Writes "ret" over the code that called. */
static void
attack(void)
{
	*(volatile uint8_t *)__builtin_return_address(0) = 0xc3;
}
