/* SPDX-License-Identifier: MIT */
/* Which frames have a struct page: see mm/page_frame.c. */
#ifndef IKOS_PAGE_FRAME_H
#define IKOS_PAGE_FRAME_H

#include <memory_map.h>
#include <page.h>
#include <types.h>

struct frame_range {
	pfn_t first, end; /* [first, end) */
};

/* Back memmap for every frame of memory in a normalised map. Returns bytes taken. */
uint64_t page_frame_init(const struct memory_map *map);

/*
 * The part of memmap that is backed and begins at or after pfn: empty when there is none.
 * Ends on a multiple of MAX_ORDER_FRAMES.
 */
struct frame_range page_frame_next(pfn_t pfn);

/* One past the last frame that has a page; a multiple of MAX_ORDER_FRAMES. */
pfn_t page_frame_end(void);

/* Has this frame a page? */
bool page_frame_present(pfn_t pfn);

#endif
