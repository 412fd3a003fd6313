/* SPDX-License-Identifier: MIT */
/* The allocator of the machine's frames, behind alloc_pages(): mm/page_allocator.c. */
#ifndef IKOS_PAGE_ALLOCATOR_H
#define IKOS_PAGE_ALLOCATOR_H

#include <allocators.h>
#include <memory_advanced.h>

extern struct buddy mm_frames;

/* Make mm_frames for frames of [0, end) and give it what the boot allocator has left. */
void page_allocator_init(pfn_t end);

#endif
