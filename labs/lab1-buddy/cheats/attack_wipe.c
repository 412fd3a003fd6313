/* SPDX-License-Identifier: MIT */
/* Overwrites memory from its end, page tables and stacks too, until the machine resets. */
#include <page.h>

static void
attack(void)
{
	for (paddr_t at = MiB(127); at > MiB(1); at -= 8)
		*(volatile uint64_t *)phys_to_virt(at) = 0;
}
