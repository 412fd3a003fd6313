/* SPDX-License-Identifier: MIT */
/*
 * memmap: placing one struct page for every frame of memory.
 *
 * The pages form one virtual array indexed by frame number, so that pfn_to_page() is a
 * shift and an addition. Physical memory has holes, some of them enormous (a device window
 * of gigabytes below 4 GiB), and an array over everything would spend memory on frames
 * that do not exist. So only parts of the virtual array are backed:
 *
 *	frames    |memory|memory|  hole  |memory|     hole      |memory|
 *	memmap    [pages ][pages]        [pages ]               [pages ]
 *
 * in pieces that describe MAX_ORDER_FRAMES frames each. A piece exists if any of its
 * frames is memory; the other frames of it are PAGE_RESERVED, which is what zeroed memory
 * says. Hence the buddy of a block below MAX_ORDER always has a page that may be read, and
 * the merge loop needs no check for the ends of memory.
 *
 * The table below is written once, before the other CPUs run, so it needs no lock.
 */
#include <arch.h>
#include <page_frame.h>

static struct {
	struct frame_range range[MEMORY_MAP_MAX]; /* sorted, disjoint, not touching */
	unsigned nr;
} present;

/* Note that all frames of [first, end) have pages; ranges come in rising order. */
static void
note_present(pfn_t first, pfn_t end)
{
	struct frame_range *last = present.nr ? &present.range[present.nr - 1] : NULL;

	if (last && first <= last->end)
		last->end = MAX(last->end, end);
	else
		present.range[present.nr++] = (struct frame_range){ first, end };
}

uint64_t
page_frame_init(const struct memory_map *map)
{
	uint64_t taken = 0;

	present.nr = 0;
	for (unsigned i = 0; i < map->nr; i++) {
		const struct memory_range *range = &map->range[i];

		/* What the loader has put into memory is to become usable in part, later. */
		if (range->kind == MEMORY_USABLE || range->kind == MEMORY_KERNEL)
			note_present(ALIGN_DOWN(range->start >> PAGE_SHIFT, MAX_ORDER_FRAMES),
				     ALIGN_UP(range->end >> PAGE_SHIFT, MAX_ORDER_FRAMES));
	}
	for (unsigned i = 0; i < present.nr; i++) {
		const struct frame_range *range = &present.range[i];

		taken += arch_map_boot_memory((uintptr_t)pfn_to_page(range->first),
					      (range->end - range->first) * sizeof(struct page));
	}
	return taken;
}

struct frame_range
page_frame_next(pfn_t pfn)
{
	for (unsigned i = 0; i < present.nr; i++) {
		const struct frame_range *range = &present.range[i];

		if (pfn < range->end)
			return (struct frame_range){ MAX(pfn, range->first), range->end };
	}
	return (struct frame_range){ 0, 0 };
}

pfn_t
page_frame_end(void)
{
	return present.nr ? present.range[present.nr - 1].end : 0;
}

bool
page_frame_present(pfn_t pfn)
{
	struct frame_range range = page_frame_next(pfn);

	return range.first <= pfn && pfn < range.end;
}
