/* SPDX-License-Identifier: MIT */
/* The memory manager's public face, on the memory that the kernel itself lives on. */
#include <arch.h>
#include <errno.h>
#include <ktest.h>
#include <memory_advanced.h>
#include <page_allocator.h>
#include <page_frame.h>
#include <string.h>

KTEST(memory, frames_come_zeroed_when_asked)
{
	for (unsigned order = 0; order <= 3; order++) {
		struct page *page = alloc_pages(GFP_KERNEL, order);
		uint64_t *words;

		assert_true(t, page != NULL);
		words = page_to_virt(page);
		memset(words, 0xa5, PAGE_SIZE << order);
		__free_pages(page, order);

		page = alloc_pages(GFP_ZERO, order);
		assert_true(t, page != NULL);
		words = page_to_virt(page);
		for (size_t i = 0; i < (PAGE_SIZE << order) / sizeof(*words); i++)
			assert_eq(t, words[i], 0);
		__free_pages(page, order);
	}
}

KTEST(memory, every_frame_can_be_used)
{
	struct page *head = NULL, *others = NULL, *page;
	unsigned long frames = 0;
	memory_stats_t stats;

	/* Chain all of memory through the frames themselves, then find it unchanged. */
	while ((page = alloc_pages(GFP_KERNEL, 0)) != NULL) {
		uint64_t *words = page_to_virt(page);

		words[0] = (uintptr_t)head;
		words[PAGE_SIZE / 8 - 1] = page_to_pfn(page);
		head = page;
		frames++;
	}
	/* What is not mapped, or for movable frames only. */
	while ((page = alloc_pages(GFP_USER, 0)) != NULL) {
		page->owner = (uintptr_t)others;
		others = page;
	}
	/* Zones keep a little for who cannot wait. */
	get_memory_stats(&stats);
	expect_le(t, stats.free_memory, stats.total_memory / 32);
	expect_true(t, alloc_pages(GFP_KERNEL, MAX_ORDER) == NULL);
	while ((page = others) != NULL) {
		others = (struct page *)(uintptr_t)page->owner;
		__free_pages(page, 0);
	}
	while (head) {
		uint64_t *words = page_to_virt(head);
		struct page *next = (struct page *)(uintptr_t)words[0];

		assert_eq(t, words[PAGE_SIZE / 8 - 1], page_to_pfn(head));
		__free_pages(head, 0);
		head = next;
		frames--;
	}
	expect_eq(t, frames, 0);
	expect_eq(t, mm_check(), 0);
}

KTEST(memory, statistics_follow)
{
	memory_stats_t before, with, after;
	struct page *page;

	get_memory_stats(&before);
	page = alloc_pages(GFP_KERNEL, 4);
	assert_true(t, page != NULL);
	get_memory_stats(&with);
	__free_pages(page, 4);
	get_memory_stats(&after);

	expect_eq(t, with.total_memory, before.total_memory);
	expect_eq(t, with.free_memory, before.free_memory - 16 * PAGE_SIZE);
	expect_eq(t, with.used_memory, with.total_memory - with.free_memory);
	expect_eq(t, with.total_allocations, before.total_allocations + 1);
	expect_eq(t, with.allocation_size_total, before.allocation_size_total + 16 * PAGE_SIZE);
	expect_le(t, with.used_memory, with.allocation_size_peak);
	expect_eq(t, after.free_memory, before.free_memory);
}

static uint64_t
free_frames(void)
{
	struct page_totals totals;

	page_allocator_totals(&totals);
	return totals.free;
}

KTEST(memory, exact_sizes)
{
	uint64_t free = free_frames();
	struct page *page = alloc_pages_exact(GFP_ZERO, 37);

	assert_true(t, page != NULL);
	expect_eq(t, free_frames(), free - 37);
	free_pages_exact(page, 37);
	expect_eq(t, free_frames(), free);
	expect_true(t, alloc_pages_exact(GFP_KERNEL, 0) == NULL);
	expect_true(t, alloc_pages_exact(GFP_KERNEL, MAX_ORDER_FRAMES + 1) == NULL);
	expect_eq(t, mm_check(), 0);
}

KTEST(memory, chosen_ranges)
{
	struct page *page = alloc_pages(GFP_KERNEL, MAX_ORDER);
	pfn_t first;

	assert_true(t, page != NULL);
	first = page_to_pfn(page);
	expect_eq(t, alloc_contig_range(first, first + 10), -EBUSY);
	__free_pages(page, MAX_ORDER);
	expect_eq(t, alloc_contig_range(first + 3, first + 100), 0);
	expect_eq(t, alloc_contig_range(first + 99, first + 101), -EBUSY);
	free_contig_range(first + 3, first + 100);
	expect_eq(t, alloc_contig_range(first, first), -EINVAL);
	expect_eq(t, alloc_contig_range(page_frame_end(), page_frame_end() + 1), -EINVAL);
	expect_eq(t, mm_check(), 0);
}

/* All of memmap is backed that has to be, and nothing is given out that is not memory. */
KTEST(memory, memmap_covers_memory)
{
	struct page_totals totals;
	size_t managed = 0;

	page_allocator_totals(&totals);
	for (struct frame_range part = page_frame_next(0); part.first < part.end;
	     part = page_frame_next(part.end)) {
		for (pfn_t pfn = part.first; pfn < part.end; pfn++)
			managed += pfn_to_page(pfn)->state != PAGE_RESERVED;
	}
	expect_eq(t, managed, totals.managed);
	expect_true(t, !page_frame_present(page_frame_end()));
	expect_le(t, totals.managed, page_frame_end());
}

KTEST(memory, injected_failures)
{
	unsigned failed = 0;

	page_allocator_set_faults(3, t->seed);
	for (unsigned i = 0; i < 300; i++) {
		struct page *page = alloc_pages(GFP_KERNEL, 0);

		if (page)
			__free_pages(page, 0);
		else
			failed++;
	}
	expect_eq(t, page_allocator_nr_faults(), failed);
	page_allocator_set_faults(0, 0);
	expect_true(t, 50 <= failed && failed <= 150);
	expect_eq(t, mm_check(), 0);
}
