/* SPDX-License-Identifier: MIT */
/* The page cache from inside: what its files share. */
#ifndef PAGE_CACHE_INTERNAL_H
#define PAGE_CACHE_INTERNAL_H

#include <page_cache.h>
#include <user_page.h>

static inline uint64_t
pages_for(uint64_t bytes)
{
	return (bytes >> PAGE_SHIFT) + (bytes % PAGE_SIZE != 0);
}

/* Frames of a kind of caches have come, or gone. */
void page_cache_count(struct page_cache *cache, long pages);

/* mm/page_reading.c: the page at index below limit, read if need be: 0, 1 if it was, or an error.
 */
int page_cache_read(struct page_cache *cache, uint64_t index, bool anywhere, struct page **page)
    __must_check;

/* mm/write_back.c */

/* A page leaves the cache: if it was dirty, it is not any more. Returns whether to let go. */
bool page_forget_dirty_locked(struct page_cache *cache, struct page *page);

/* Sleep until a page that has left the tree is not on its way to the store. */
void page_cache_wait_sent(struct page_cache *cache, struct page *page);

/* Enter a cache in the list of those with a store; take it out. */
void page_cache_list(struct page_cache *cache);
void page_cache_unlist(struct page_cache *cache);

#endif
