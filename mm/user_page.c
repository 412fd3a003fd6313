/* SPDX-License-Identifier: MIT */
/*
 * Frames of programs and files, and who holds them.
 *
 * PROBLEM. After fork() two page tables lead to one frame; a page of a file is in the page
 * cache, in any number of page tables, and under the hands of read() and write() at the same
 * time. Nobody of these may free it, and the last one must.
 *
 * IDEA. References, counted in one word together with those of them that are entries of page
 * tables ("mappings"), so that mapping and unmapping are one atomic addition each:
 *
 *	page->link bytes   63        32 31         0
 *	                   | mappings | references |     references >= mappings
 *	                   |        index          |
 *	page->owner        family of address spaces, or page cache
 *
 * A page with one reference and one mapping belongs to one address space alone, whose lock then
 * keeps it so: a reference is only made from another one. That is how a write fault sees that
 * nobody else is left to copy for.
 *
 * The frames are of the direct map (GFP_KERNEL), because they are cleared, copied, read and
 * written through it.
 *
 * LOCKING. None: the word is atomic. owner and index are fixed while there is a reference.
 */
#include <arch.h>
#include <user_page.h>

struct page *
user_page_alloc(gfp_t gfp, enum page_use use, const void *owner, uint64_t index)
{
	struct page *page = alloc_pages(gfp & ~GFP_ZERO, 0);

	if (!page)
		return NULL;
	if (gfp & GFP_ZERO) /* no window is needed for a frame of the direct map */
		arch_clear_page(page_to_virt(page));
	page->owner = (uintptr_t)owner;
	page->use = (uint8_t)use;
	*user_page(page) = (struct user_page){ .counts = COUNT_REFERENCE, .index = index };
	return page;
}

void
user_page_free(struct page *page)
{
	DEBUG_ASSERT(page->use == PAGE_USE_ANON || page->use == PAGE_USE_FILE);
	DEBUG_ASSERT(user_page(page)->counts == 0);
	page->use = PAGE_USE_NONE;
	page->owner = 0;
	__free_pages(page, 0);
}

void
page_get(struct page *page)
{
	uint64_t now =
	    __atomic_add_fetch(&user_page(page)->counts, COUNT_REFERENCE, __ATOMIC_RELAXED);

	DEBUG_ASSERT((uint32_t)now > 1);
	(void)now;
}

void
page_put(struct page *page)
{
	uint64_t left =
	    __atomic_sub_fetch(&user_page(page)->counts, COUNT_REFERENCE, __ATOMIC_ACQ_REL);

	DEBUG_ASSERT(left >> 32 <= (uint32_t)left);
	if ((uint32_t)left == 0)
		user_page_free(page);
}
