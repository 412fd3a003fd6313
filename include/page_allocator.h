/* SPDX-License-Identifier: MIT */
/*
 * What is behind alloc_pages(): the machine's own allocator of frames. One buddy allocator over
 * all of memory in a kernel of lab 1 (mm/page_allocator.c), zones from lab 2 on
 * (mm/node_allocator.c).
 */
#ifndef IKOS_PAGE_ALLOCATOR_H
#define IKOS_PAGE_ALLOCATOR_H

#include <allocators.h>
#include <memory_advanced.h>

/* Make it for frames of [0, end), and give it what the boot allocator has left. */
void page_allocator_init(pfn_t end);

/*
 * Give it frames [first, end) that were in use from the start, and are nobody's any more. All other
 * CPUs stand still meanwhile: from a thread with interrupts on that holds no spin lock. Not in a
 * kernel of lab 1.
 */
void page_allocator_add_range(pfn_t first, pfn_t end);

/* Sums over all of it. */
struct page_totals {
	uint64_t managed, free; /* frames */
	uint64_t peak;		/* most frames that were not free at one time */
	uint64_t allocated;	/* frames given out, ever */
	uint64_t requests, failed;
};

void page_allocator_totals(struct page_totals *totals);

/* Frames that are free, in all. */
static inline size_t
page_allocator_nr_free(void)
{
	struct page_totals totals;

	page_allocator_totals(&totals);
	return totals.free;
}

/* Its buddy allocators, [0, n): NULL for n. Which frames each has, it says itself. */
struct buddy *page_allocator_buddy(unsigned i);

/* Make one request in every fail, chosen by the seed; 0: none. */
void page_allocator_set_faults(uint64_t every, uint64_t seed);

/* How many have failed for that reason since then. */
uint64_t page_allocator_nr_faults(void);

/*
 * Make the nth request fail that the thread makes from now on, and no other; 0: none. Requests for
 * objects count, too, if their caches are protected, so that they have no magazines. One thread
 * at a time: whoever comes last. Not in kernels of labs 1 and 2.
 */
struct thread;
void page_allocator_set_nth_fault(const struct thread *thread, uint64_t nth);

/* The number of requests until then, of that thread's; 0: it has failed, or there is none. */
uint64_t page_allocator_nth_fault(const struct thread *thread);

/* Has it failed? */
bool page_allocator_has_failed(const struct thread *thread);

/* The thread ends. */
void page_allocator_forget_thread(const struct thread *thread);

/* Is a request for an object to fail, for that reason? */
bool page_allocator_fails(gfp_t gfp);

/* Recompute its state and compare. Returns the number of contradictions. */
unsigned page_allocator_check(void) __must_check;

/*
 * Sources of figures: functions that fill in what a later layer knows of memory_stats_t.
 * get_memory_stats() asks all that are declared.
 */
struct stats_source {
	void (*fill)(memory_stats_t *stats); /* from a thread that may sleep */
};

#define MM_STATS_SOURCE(ident, fill_function)                                                      \
	static const struct stats_source ident##_stats_source __section("mm_stats_sources") = {    \
		fill_function                                                                      \
	}

#endif
