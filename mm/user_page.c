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
 * A HUGE PAGE is HUGE_PAGES such frames side by side, each with a word of its own, as if they had
 * come one by one; only that one entry of a page table may lead to all of them, and then is a
 * reference to each and a mapping of each. Nothing here has to change when that entry becomes many.
 * The frames were one block, and are given back as one if nobody else has any of them; as soon as
 * one of them is freed alone, the block is split for ever (block_split.c). As long as an entry
 * leads to all of them none can be freed, so then the block is whole.
 *
 * LOCKING. None: the word is atomic. owner and index are fixed while there is a reference.
 */
#include <arch.h>
#include <page_table.h>
#include <user_page.h>
#include <zone.h>

static inline void
describe(struct page *page, enum page_use use, const void *owner, uint64_t counts, uint64_t index)
{
	page->owner = (uintptr_t)owner;
	page->use = (uint8_t)use;
	page->flags = 0;
	*user_page(page) = (struct user_page){ .counts = counts, .index = index };
}

struct page *
user_page_alloc(gfp_t gfp, enum page_use use, const void *owner, uint64_t index)
{
	struct page *page = alloc_pages(gfp & ~GFP_ZERO, 0);

	if (!page)
		return NULL;
	if (gfp & GFP_ZERO) /* no window is needed for a frame of the direct map */
		arch_clear_page(page_to_virt(page));
	describe(page, use, owner, COUNT_REFERENCE, index);
	return page;
}

void
user_page_free(struct page *page)
{
	DEBUG_ASSERT(page->use == PAGE_USE_ANON || page->use == PAGE_USE_FILE);
	DEBUG_ASSERT(user_page(page)->counts == 0);
	page->use = PAGE_USE_NONE;
	page->owner = 0;
	/* The first to be freed alone of what was a huge page? */
	if (unlikely(__atomic_load_n(&page->lent, __ATOMIC_ACQUIRE) != lent_mark(0)))
		split_pages(page, HUGE_ORDER);
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

/* ---- Huge pages ---------------------------------------------------------------------- */

struct page *
huge_page_alloc(const void *owner, uint64_t index)
{
	struct page *head = alloc_pages(GFP_NOWAIT, HUGE_ORDER);

	if (!head)
		return NULL;
	for (unsigned i = 0; i < HUGE_PAGES; i++) {
		arch_clear_page(page_to_virt(head + i));
		describe(head + i, PAGE_USE_ANON, owner, COUNT_MAPPING + COUNT_REFERENCE,
			 index + i);
	}
	return head;
}

bool
huge_page_is_sole(struct page *head)
{
	for (unsigned i = 0; i < HUGE_PAGES; i++) {
		if (page_references(head + i) != 1)
			return false;
	}
	return true;
}

void
huge_page_map_again(struct page *head)
{
	for (unsigned i = 0; i < HUGE_PAGES; i++)
		page_map_again(head + i);
}

void
huge_page_unmap(struct page *head)
{
	/* Nobody can come by a reference then, as those are only made from others. */
	bool sole = huge_page_is_sole(head);

	for (unsigned i = 0; i < HUGE_PAGES && !sole; i++)
		page_unmap(head + i);
	for (unsigned i = 0; i < HUGE_PAGES && sole; i++) {
		head[i].use = PAGE_USE_NONE;
		head[i].owner = 0;
	}
	if (sole)
		__free_pages(head, HUGE_ORDER);
}
