/* SPDX-License-Identifier: MIT */
/* Only prints. */
static void
attack(void)
{
	print_results();
}
