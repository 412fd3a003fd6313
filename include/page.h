/* SPDX-License-Identifier: MIT */
/*
 * struct page: what the kernel knows about one physical frame.
 *
 * The pages of all frames form one virtual array, memmap, indexed by frame number.
 * Only the parts of it that describe memory are backed, in pieces of one largest
 * block (MAX_ORDER): so the page of every frame of such a piece may be read, hole or
 * not, and the buddy of a block below MAX_ORDER always has one.
 */
#ifndef IKOS_PAGE_H
#define IKOS_PAGE_H

#include <arch/layout.h> /* memmap */
#include <list.h>
#include <types.h>

#define MAX_ORDER 10
#define NR_ORDERS (MAX_ORDER + 1)

#define MAX_ORDER_FRAMES (1ul << MAX_ORDER)

/* Zeroed memory describes frames that nobody may hand out. */
enum page_state {
	PAGE_RESERVED = 0,  /* not memory, or never handed to an allocator */
	PAGE_TAIL = 1,	    /* inside a block that a lower frame heads */
	PAGE_FREE = 2,	    /* heads a free block of 2^order frames */
	PAGE_ALLOCATED = 3, /* heads an allocated block of 2^order frames */
};

/* What the owner of an allocated frame uses it for, where others must be able to tell. */
enum page_use {
	PAGE_USE_NONE = 0, /* nobody's business */
	PAGE_USE_SLAB,	   /* objects; owner: its struct slab */
	PAGE_USE_LARGE,	   /* a large object of kmalloc(); owner: how many frames */
	PAGE_USE_MOVABLE,  /* may be moved; owner: its struct page_mover */
	PAGE_USE_ANON,	   /* memory of a program; owner: the family of spaces: see user_page.h */
	PAGE_USE_FILE,	   /* a page of a file; owner: its struct page_cache */
};

struct page {
	struct list_head link; /* (b) free list while PAGE_FREE; else the owner's */
	uint64_t owner;	       /* the owner's while PAGE_ALLOCATED; no allocator touches it */
	uint8_t state;	       /* (b) enum page_state */
	uint8_t order;	       /* (b) of the block, meaningful in its head only */
	uint8_t group;	       /* (z) number of the page group that the frame is in: see zone.h */
	uint8_t lent;	       /* not 0 while a caller has the block it heads: see zone.h */
	uint8_t use;	       /* the owner's: enum page_use */
	uint8_t flags;	       /* the owner's; of a page of a file: see page_cache.h */
};

_Static_assert(sizeof(struct page) == 32, "pfn_to_page() should be one shift");

static inline struct page *
pfn_to_page(pfn_t pfn)
{
	return memmap + pfn;
}

static inline pfn_t
page_to_pfn(const struct page *page)
{
	return (pfn_t)(page - memmap);
}

/*
 * For checkers, of a pointer that may be wrong: does it lead to the beginning of a page? As
 * numbers, since a compiler may take for granted that the difference of pages is whole.
 */
static inline bool
page_is_whole(const struct page *page)
{
	return ((uintptr_t)page - (uintptr_t)memmap) % sizeof(*page) == 0;
}

static inline void *
phys_to_virt(paddr_t paddr)
{
	return (void *)(DIRECT_MAP_BASE + paddr);
}

/* Of an address in the direct map only. */
static inline paddr_t
virt_to_phys(const void *address)
{
	return (uintptr_t)address - DIRECT_MAP_BASE;
}

static inline void *
page_to_virt(const struct page *page)
{
	return phys_to_virt(page_to_pfn(page) << PAGE_SHIFT);
}

#endif
