/* SPDX-License-Identifier: MIT */
/* Makes the allocators as it should, and attacks when the allocator of a test is made. */
#include <allocators.h>

#define OWN_INIT

void
buddy_init(struct buddy *buddy, const char *name, pfn_t first, pfn_t end)
{
	*buddy = (struct buddy){ .name = name, .first = first, .end = end };
	spin_init(&buddy->lock, name, RANK_BUDDY);
	for (unsigned order = 0; order < NR_ORDERS; order++)
		list_init(&buddy->area[order].list);
	if (name[0] == 'l' && name[1] == 'a' && name[2] == 'b')
		attack();
}
