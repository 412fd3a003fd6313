/* SPDX-License-Identifier: MIT */
/* Uses up the stack. */
static unsigned
deeper(volatile unsigned *n)
{
	volatile unsigned next = *n + 1;

	return deeper(&next) + next;
}

static void
attack(void)
{
	volatile unsigned n = 0;

	deeper(&n);
}
