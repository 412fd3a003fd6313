/* SPDX-License-Identifier: MIT */
/* Reaches for the transcript by name. */
#include <evidence.h>
#include <zone.h>

#define OWN_ALLOC

struct page *
node_alloc_slowly(struct node *node, gfp_t gfp, unsigned order)
{
	(void)node, (void)gfp, (void)order;
	evidence.written = 0;
	return NULL;
}
