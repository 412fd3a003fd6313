/* SPDX-License-Identifier: MIT */
/* Does not end. */
static void
attack(void)
{
	for (;;)
		;
}
