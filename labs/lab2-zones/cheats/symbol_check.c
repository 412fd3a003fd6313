/* SPDX-License-Identifier: MIT */
/* Puts a checker that is always content in place of the kernel's own. */
#include <zone.h>

unsigned
node_check(struct node *node)
{
	(void)node;
	return 0;
}
