/* SPDX-License-Identifier: MIT */
/* Prints, and ends the machine as a passed test does. */
static void
attack(void)
{
	print_results();
	exit_passed();
}
