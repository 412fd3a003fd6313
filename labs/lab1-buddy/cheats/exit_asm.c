/* SPDX-License-Identifier: MIT */
/* The instruction for the exit device. */
void exit_asm(void);

void
exit_asm(void)
{
	__asm__ volatile("outl %0, $0xf4" ::"a"(0x10));
}
