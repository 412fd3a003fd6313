/* SPDX-License-Identifier: MIT */
/*
 * The machine's frames: one buddy allocator over all of memory, behind alloc_pages().
 *
 * This is how a kernel of lab 1 does without zones. A buddy allocator is an object (tests make
 * many); this file makes the one that the kernel lives on, fills it with what the boot allocator
 * has left, and adds what belongs to a request rather than to a block: flags.
 */
#include <arch.h>
#include <boot_allocator.h>
#include <cmdline.h>
#include <errno.h>
#include <page_allocator.h>
#include <page_frame.h>

static struct buddy mm_frames;

static uint64_t fail_every;
TUNABLE(fail_every, "mm.fail_every", 0, UINT64_MAX,
	"make one page allocation in N fail, on average; 0: none");

static uint64_t fail_seed = 1;
TUNABLE(fail_seed, "mm.fail_seed", 0, UINT64_MAX, "which page allocations fail");

/*
 * A graded kernel needs hardly any memory, and one whose allocator is wrong should still
 * reach the case that says how. So the grader asks for the easiest ranges there are.
 */
static uint64_t whole_blocks;
TUNABLE(whole_blocks, "mm.whole_blocks", 0, 1,
	"1: leave memory unused that is not in whole largest blocks");

static void
give(pfn_t first, pfn_t end)
{
	if (whole_blocks) {
		first = ALIGN_UP(first, MAX_ORDER_FRAMES);
		end = ALIGN_DOWN(end, MAX_ORDER_FRAMES);
	}
	if (first < end)
		buddy_add_range(&mm_frames, first, end);
}

void
page_allocator_init(pfn_t end)
{
	buddy_init(&mm_frames, "frames", 0, end);
	boot_alloc_finish(give);
	fault_set(&mm_frames.faults, fail_every, fail_seed);
}

/* Kept out of line, so that callers who want no clearing do not pay for its registers. */
static __attribute__((noinline)) void
clear_frames(struct page *page, size_t nr_frames)
{
	for (size_t i = 0; i < nr_frames; i++)
		arch_clear_page(page_to_virt(page + i));
}

struct page *
alloc_pages(gfp_t gfp_mask, unsigned int order)
{
	struct page *page = buddy_alloc(&mm_frames, order);

	if (page && gfp_mask & GFP_ZERO)
		clear_frames(page, 1ul << order);
	return page;
}

struct page *
alloc_pages_node(int nid, gfp_t gfp_mask, unsigned int order)
{
	ASSERT_EQ(nid, 0);
	return alloc_pages(gfp_mask, order);
}

void
__free_pages(struct page *page, unsigned int order)
{
	buddy_free(&mm_frames, page, order);
}

struct page *
alloc_pages_exact(gfp_t gfp_mask, size_t nr_frames)
{
	struct page *page = buddy_alloc_exact(&mm_frames, nr_frames);

	if (page && gfp_mask & GFP_ZERO)
		clear_frames(page, nr_frames);
	return page;
}

void
free_pages_exact(struct page *page, size_t nr_frames)
{
	buddy_free_range(&mm_frames, page_to_pfn(page), page_to_pfn(page) + nr_frames);
}

int
alloc_contig_range(pfn_t first, pfn_t end)
{
	struct frame_range present = page_frame_next(first);

	if (present.first > first || present.end < end)
		return -EINVAL;
	return buddy_alloc_range(&mm_frames, first, end);
}

void
free_contig_range(pfn_t first, pfn_t end)
{
	buddy_free_range(&mm_frames, first, end);
}

/* ---- What is known of it ---------------------------------------------------------- */

void
page_allocator_totals(struct page_totals *totals)
{
	irqflags_t flags = spin_lock_irqsave(&mm_frames.lock);
	const struct buddy_stats *stats = &mm_frames.stats;

	*totals = (struct page_totals){
		.managed = mm_frames.frames_managed,
		.free = mm_frames.frames_free,
		.peak = stats->frames_peak,
		.requests = stats->nr_failed,
		.failed = stats->nr_failed,
	};
	for (unsigned order = 0; order < NR_ORDERS; order++) {
		totals->requests += stats->nr_alloc[order];
		totals->allocated += stats->nr_alloc[order] << order;
	}
	spin_unlock_irqrestore(&mm_frames.lock, flags);
}

struct buddy *
page_allocator_buddy(unsigned i)
{
	return i == 0 ? &mm_frames : NULL;
}

void
page_allocator_set_faults(uint64_t every, uint64_t seed)
{
	irqflags_t flags = spin_lock_irqsave(&mm_frames.lock);

	fault_set(&mm_frames.faults, every, seed);
	spin_unlock_irqrestore(&mm_frames.lock, flags);
}

uint64_t
page_allocator_nr_faults(void)
{
	return mm_frames.faults.nr_injected;
}

unsigned
page_allocator_check(void)
{
	return buddy_check(&mm_frames);
}
