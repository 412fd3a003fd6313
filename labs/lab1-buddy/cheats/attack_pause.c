/* SPDX-License-Identifier: MIT */
/* Does not end, in the way in which an instruction-counting emulator's time hardly moves. */
#include <arch/cpu.h>

static void
attack(void)
{
	arch_irq_disable();
	for (;;)
		__builtin_ia32_pause();
}
