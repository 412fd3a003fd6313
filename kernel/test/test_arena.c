/* SPDX-License-Identifier: MIT */
/*
 * Frames that test suites and benchmarks may do with as they like.
 *
 * An allocator under test must not be the one the kernel lives on: a broken one would take
 * the kernel down before it could say so. So suites make allocators of their own over an
 * arena: whole largest blocks that the kernel's allocator never sees.
 *
 * When the command line asks for tests or benchmarks, the arena is taken from the boot
 * allocator. At the console it is borrowed from the kernel's allocator. Either way all its
 * pages are PAGE_RESERVED when a case gets it, and test_arena_reset() makes the pages such
 * again, for the kernel's own checks, once nobody wants to look at what the case left.
 */
#include <arch.h>
#include <bench.h>
#include <boot_allocator.h>
#include <memory_advanced.h>
#include <panic.h>
#include <string.h>
#include <test_arena.h>

/* Tests want 32 MiB; benchmarks a node of 128 MiB, as the figures beside ours were taken. */
#define TEST_FRAMES  (MiB(32) >> PAGE_SHIFT)
#define BENCH_FRAMES (MiB(128) >> PAGE_SHIFT)

static struct frame_range arena;
static bool borrowed, used;
static struct page borrowed_head[BENCH_FRAMES / MAX_ORDER_FRAMES]; /* of each largest block */

void
test_arena_init(void)
{
	size_t frames = bench_requested() ? BENCH_FRAMES : ktest_requested() ? TEST_FRAMES : 0;
	paddr_t start;

	if (frames == 0)
		return;
	start = boot_alloc_raw(frames << PAGE_SHIFT, MAX_ORDER_FRAMES << PAGE_SHIFT, 0);
	if (start != 0)
		arena = (struct frame_range){ start >> PAGE_SHIFT, (start >> PAGE_SHIFT) + frames };
}

/* Take frames from the kernel's allocator, from the top of what the direct map reaches down. */
static void
borrow(size_t frames)
{
	pfn_t end = MIN(page_frame_end(), arch_direct_map_end() >> PAGE_SHIFT);

	end = ALIGN_DOWN(end, MAX_ORDER_FRAMES);

	for (; end >= frames; end -= MAX_ORDER_FRAMES) {
		if (alloc_contig_range(end - frames, end) != 0)
			continue;
		arena = (struct frame_range){ end - frames, end };
		borrowed = true;
		for (size_t i = 0; i < frames / MAX_ORDER_FRAMES; i++)
			borrowed_head[i] = *pfn_to_page(arena.first + i * MAX_ORDER_FRAMES);
		return;
	}
}

struct frame_range
test_arena_frames(size_t frames)
{
	ASSERT(IS_ALIGNED(frames, MAX_ORDER_FRAMES));
	if (arena.first == arena.end)
		borrow(frames);
	if (arena.end - arena.first < frames)
		return (struct frame_range){ 0, 0 };
	memset(pfn_to_page(arena.first), 0, frames * sizeof(struct page));
	used = true;
	return (struct frame_range){ arena.first, arena.first + frames };
}

struct frame_range
test_arena_get(struct ktest *t, size_t frames)
{
	struct frame_range range = test_arena_frames(frames);

	if (range.first == range.end)
		ktest_skip(t, "not enough memory for the test arena");
	return range;
}

void
test_arena_reset(void)
{
	if (!used)
		return;
	memset(pfn_to_page(arena.first), 0, (arena.end - arena.first) * sizeof(struct page));
	used = false;
	if (!borrowed)
		return;
	/* Give the frames back as the blocks that they were given out as. */
	for (pfn_t pfn = arena.first; pfn < arena.end; pfn++) {
		const struct page *head = &borrowed_head[(pfn - arena.first) / MAX_ORDER_FRAMES];

		if (IS_ALIGNED(pfn, MAX_ORDER_FRAMES)) {
			*pfn_to_page(pfn) = *head;
			continue;
		}
		pfn_to_page(pfn)->state = PAGE_TAIL;
		pfn_to_page(pfn)->group = head->group;
	}
	free_contig_range(arena.first, arena.end);
	arena = (struct frame_range){ 0, 0 };
	borrowed = false;
}
