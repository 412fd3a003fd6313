/* SPDX-License-Identifier: MIT */
/* Does not end, and lets no interrupt in. */
#include <arch/cpu.h>

static void
attack(void)
{
	arch_irq_disable();
	for (;;)
		;
}
