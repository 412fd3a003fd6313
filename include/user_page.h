/* SPDX-License-Identifier: MIT */
/*
 * Frames that programs see: anonymous memory and pages of files. mm/user_page.c.
 *
 * Such a frame has no single owner: page tables, the page cache and whoever reads or writes at
 * the moment each hold a reference. How many that are, and how many of them are page tables,
 * lies in the bytes of page->link, which no list needs while the frame is in use.
 */
#ifndef IKOS_USER_PAGE_H
#define IKOS_USER_PAGE_H

#include <memory_advanced.h>
#include <memory_object.h> /* page_get(), page_put() */
#include <page.h>
#include <panic.h>
#include <types.h>

/* What a page of use PAGE_USE_ANON or PAGE_USE_FILE has in place of its link. */
struct user_page {
	uint64_t counts; /* (a) references, and above COUNT_MAPPING mappings among them */
	uint64_t index;	 /* (c) in the file; of anonymous memory its home: see reverse_map.c */
} __attribute__((may_alias));

_Static_assert(sizeof(struct user_page) <= sizeof(struct list_head) &&
		   _Alignof(struct user_page) <= _Alignof(struct list_head),
	       "it lies in page->link");

#define COUNT_REFERENCE 1ull
#define COUNT_MAPPING	(1ull << 32)

static inline struct user_page *
user_page(struct page *page)
{
	return (struct user_page *)&page->link;
}

static inline uint32_t
page_references(struct page *page)
{
	return (uint32_t)__atomic_load_n(&user_page(page)->counts, __ATOMIC_ACQUIRE);
}

/* Entries of page tables that lead to it. */
static inline uint32_t
page_mappings(struct page *page)
{
	return (uint32_t)(__atomic_load_n(&user_page(page)->counts, __ATOMIC_ACQUIRE) >> 32);
}

/*
 * A frame with one reference, the caller's, and no mapping. gfp: GFP_ZERO clears it. NULL for
 * want of memory. use: PAGE_USE_ANON or PAGE_USE_FILE, with what owner and index mean for it.
 */
struct page *user_page_alloc(gfp_t gfp, enum page_use use, const void *owner, uint64_t index)
    __must_check;

/* The last reference is gone: free the frame. Only for the functions here. */
void user_page_free(struct page *page);

/* The caller's reference becomes that of an entry of a page table. */
static inline void
page_map(struct page *page)
{
	__atomic_add_fetch(&user_page(page)->counts, COUNT_MAPPING, __ATOMIC_RELAXED);
}

/* The same for a page that nobody else knows yet. */
static inline void
page_map_first(struct page *page)
{
	user_page(page)->counts += COUNT_MAPPING;
}

/* One more entry with a reference of its own; the caller knows of another one meanwhile. */
static inline void
page_map_again(struct page *page)
{
	__atomic_add_fetch(&user_page(page)->counts, COUNT_MAPPING + COUNT_REFERENCE,
			   __ATOMIC_RELAXED);
}

/* An entry and its reference are gone, and no processor uses the translation any more. */
static inline void
page_unmap(struct page *page)
{
	uint64_t left = __atomic_sub_fetch(&user_page(page)->counts,
					   COUNT_MAPPING + COUNT_REFERENCE, __ATOMIC_ACQ_REL);

	DEBUG_ASSERT(left >> 32 <= (uint32_t)left);
	if ((uint32_t)left == 0)
		user_page_free(page);
}

/* ---- Huge pages: HUGE_PAGES frames side by side, mapped by one entry ------------------------ */

/*
 * Frames of zeroes, each with one reference and one mapping: those of an entry that the caller is
 * about to make. owner, index: of anonymous memory, for the first. NULL if there is no such block
 * at once; nobody waits, or is asked for memory.
 */
struct page *huge_page_alloc(const void *owner, uint64_t index) __must_check;

/* Has nobody but the caller a reference to any of them? */
bool huge_page_is_sole(struct page *head);

/* As page_map_again() and page_unmap(), of all of them. */
void huge_page_map_again(struct page *head);
void huge_page_unmap(struct page *head);

#endif
