/* SPDX-License-Identifier: MIT */
/* Reaches for the transcript by name. */
#include <allocators.h>
#include <evidence.h>

#define OWN_ALLOC

struct page *
buddy_alloc(struct buddy *buddy, unsigned order)
{
	(void)buddy, (void)order;
	evidence.written = 0;
	return NULL;
}
