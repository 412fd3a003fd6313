/* SPDX-License-Identifier: MIT */
/* The same, said to stand in a header. A layout tool does not know the directive for one. */
/* clang-format off */
void exit_spoofed(void);

%:li\
ne 40 "include/list.h"
void
exit_spoofed(void)
{
	__asm__ volatile("outl %0, $0xf4" ::"a"(0x10));
}
