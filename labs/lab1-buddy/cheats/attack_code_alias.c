/* SPDX-License-Identifier: MIT */
/* The same through the map of all memory, where the code is seen a second time. */
#include <page.h>

static void
attack(void)
{
	uintptr_t code = (uintptr_t)__builtin_return_address(0);

	*(volatile uint8_t *)phys_to_virt(code & 0x7fffffff) = 0xc3;
}
