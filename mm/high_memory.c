/* SPDX-License-Identifier: MIT */
#include <arch.h>
#include <zone.h>

void *
kmap(struct page *page)
{
	return page_to_virt(page);
}

void
kunmap(struct page *page)
{
	(void)page;
}
