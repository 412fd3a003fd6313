/* SPDX-License-Identifier: MIT */
/* The allocators themselves, as objects. Most callers want memory_advanced.h. */
#ifndef IKOS_ALLOCATORS_H
#define IKOS_ALLOCATORS_H

#include <fault_injection.h>
#include <page.h>
#include <spinlock.h>
#include <types.h>

/*
 * ---- The buddy allocator: mm/buddy_allocator.c ----------------------------
 *
 * Wherever a page or a range is passed, its frames must have a struct page; see
 * page_frame_present(). All else that can be wrong with them is found and reported.
 */

struct free_area {
	struct list_head list; /* (b) heads of free blocks, linked through page->link */
	size_t nr_free;	       /* (b) how many */
};

struct buddy_stats {
	uint64_t nr_alloc[NR_ORDERS]; /* blocks given out, by order */
	uint64_t nr_free[NR_ORDERS];  /* blocks given back, by order */
	uint64_t nr_failed;	      /* requests that got nothing */
	uint64_t frames_peak;	      /* most frames that were allocated at one time */
};

/* (b) buddy->lock; (c) fixed once made */
struct buddy {
	spinlock_t lock;
	uint32_t nonempty;		  /* (b) bit o is set if and only if area[o] has a block */
	size_t frames_free;		  /* (b) == sum over o of area[o].nr_free << o */
	size_t frames_managed;		  /* (b) frames added and not reserved since */
	struct free_area area[NR_ORDERS]; /* (b) */
	struct buddy_stats stats;	  /* (b) */
	struct fault_injector faults;	  /* (b) makes requests fail, for tests */
	const char *name;		  /* (c) */
	pfn_t first, end;		  /* (c) spans [first, end), holes and all */
	/*
	 * Where several share a span: the owner of each largest block of it, and which one this
	 * allocator is. NULL: all blocks are its own. Free lists keep apart by themselves what is
	 * whose; who finds a free block by its place, as in a bitmap, must look here.
	 */
	const uint8_t *block_owner; /* (c) */
	uint8_t owner;		    /* (c) */
};

/*
 * Make an allocator without memory for frames of [first, end): whole largest blocks,
 * so that no block has its buddy in another allocator. The pages of the frames that
 * will be added must be PAGE_RESERVED. Nobody else may use it yet.
 */
void buddy_init(struct buddy *buddy, const char *name, pfn_t first, pfn_t end);

/* Give the frames [first, end), all PAGE_RESERVED, to the allocator. At any time. */
void buddy_add_range(struct buddy *buddy, pfn_t first, pfn_t end);

/*
 * Take the frames [first, end) out of the allocator for good: they become
 * PAGE_RESERVED. Returns 0, or -EBUSY if any of them is not free, or -EINVAL if the
 * range is empty or not the allocator's; then nothing has changed. At any time.
 */
int buddy_reserve_range(struct buddy *buddy, pfn_t first, pfn_t end) __must_check;

/*
 * Allocate 2^order contiguous frames, aligned to 2^order, from the smallest free block
 * that is large enough. Returns the page of the first, which the caller owns until
 * buddy_free(), or NULL when there is no such block. Never sleeps; O(MAX_ORDER).
 * (Knowlton 1965; Knuth vol. 1, 2.5, algorithm R)
 */
struct page *buddy_alloc(struct buddy *buddy, unsigned order) __must_check;

/*
 * Give back the block of 2^order frames headed by page, merging it with its buddy for as
 * long as that is free. Panics, with nothing changed, when page is not the head of an
 * allocated block of that order: the message names double free, wrong order, tail page,
 * a frame that was never given out, or one that is not this allocator's. Never sleeps;
 * O(MAX_ORDER). (Knuth vol. 1, 2.5, algorithm S)
 */
void buddy_free(struct buddy *buddy, struct page *page, unsigned order);

/*
 * Allocate exactly nr_frames contiguous frames: what the smallest block that holds them
 * has too many is free again at once. Returns the first page, which the caller owns until
 * buddy_free_range(), or NULL when there is no such block or nr_frames is 0 or greater
 * than MAX_ORDER_FRAMES. Never sleeps.
 */
struct page *buddy_alloc_exact(struct buddy *buddy, size_t nr_frames) __must_check;

/*
 * Allocate exactly the frames [first, end), however many. Returns 0; -EBUSY if any of them
 * is not free; -EINVAL if the range is empty or not the allocator's. On an error nothing
 * has changed. Never sleeps; O(MAX_ORDER) for each block touched.
 */
int buddy_alloc_range(struct buddy *buddy, pfn_t first, pfn_t end) __must_check;

/*
 * Give back frames [first, end) that buddy_alloc_exact() or buddy_alloc_range() gave out:
 * whole, or in parts that end where blocks end, which are the largest that the frames can be
 * cut into. Panics as buddy_free() does, before any of them is free.
 */
void buddy_free_range(struct buddy *buddy, pfn_t first, pfn_t end);

/*
 * Two measures of external fragmentation for a request of 2^order frames, both in
 * thousandths. unusable: the share of free memory that lies in blocks too small for it
 * (Gorman and Healy 2008); 0 when nothing is free. index: why a request would fail,
 * from 0, for want of memory, to 1000, because memory is in pieces; -1000 when it would
 * succeed (Gorman and Whitcroft 2006).
 */
unsigned buddy_unusable(struct buddy *buddy, unsigned order);
int buddy_fragmentation_index(struct buddy *buddy, unsigned order);

/* Copy the counters, all taken at one moment. */
void buddy_get_stats(struct buddy *buddy, struct buddy_stats *stats);

/* ---- Validation: mm/memory_validator.c ------------------------------------ */

/*
 * Recompute everything from the frames alone and compare it with what the allocator
 * believes. Prints the first contradictions, returns how many there are. O(frames).
 */
unsigned buddy_check(struct buddy *buddy) __must_check;
unsigned buddy_check_locked(struct buddy *buddy) __must_check;

/*
 * Tunable mm.check. 1: debug builds run buddy_check_locked() before and after every
 * mutation, and panic on the first contradiction.
 */
extern uint64_t mm_check_level;

static inline void
buddy_validate_locked(struct buddy *buddy)
{
#ifdef IKOS_DEBUG
	if (unlikely(mm_check_level != 0) && buddy_check_locked(buddy) != 0)
		panic("buddy: %s contradicts itself", buddy->name);
#else
	(void)buddy;
#endif
}

#endif
