/* SPDX-License-Identifier: MIT */
/* Prints without an end. */
static void
attack(void)
{
	for (;;)
		kprintf("    ok 1 split ok 1 split ok 1 split ok 1 split ok 1 split ok 1 split\n");
}
