/* SPDX-License-Identifier: MIT */
/* What a cheat does not care about: enough for the kernel to build and to boot. */
#include <allocators.h>
#include <errno.h>

#ifndef OWN_INIT
void
buddy_init(struct buddy *buddy, const char *name, pfn_t first, pfn_t end)
{
	*buddy = (struct buddy){ .name = name, .first = first, .end = end };
	spin_init(&buddy->lock, name, RANK_BUDDY);
	for (unsigned order = 0; order < NR_ORDERS; order++)
		list_init(&buddy->area[order].list);
}
#endif

#ifndef OWN_ALLOC
struct page *
buddy_alloc(struct buddy *buddy, unsigned order)
{
	(void)buddy, (void)order;
	return NULL;
}
#endif

void
buddy_add_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	(void)buddy, (void)first, (void)end;
}

int
buddy_reserve_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	(void)buddy, (void)first, (void)end;
	return -EBUSY;
}

void
buddy_free(struct buddy *buddy, struct page *page, unsigned order)
{
	(void)buddy, (void)page, (void)order;
}

struct page *
buddy_alloc_exact(struct buddy *buddy, size_t frames)
{
	(void)frames;
	return buddy_alloc(buddy, 0);
}

int
buddy_alloc_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	return buddy_reserve_range(buddy, first, end);
}

void
buddy_free_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	(void)buddy, (void)first, (void)end;
}
