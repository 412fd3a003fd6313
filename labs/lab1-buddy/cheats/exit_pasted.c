/* SPDX-License-Identifier: MIT */
/* The same, with the keyword put together by a macro. */
#define PASTE(a, b) a##b

void exit_pasted(void);

void
exit_pasted(void)
{
	PASTE(__as, m__) volatile("outl %0, $0xf4" ::"a"(0x10));
}
