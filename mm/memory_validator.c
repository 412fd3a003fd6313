/* SPDX-License-Identifier: MIT */
/*
 * The checkers: recompute the truth from first principles and compare.
 *
 * A checker trusts nothing that the code under check maintains. For the buddy allocator the
 * truth is what the frames say one by one: walking memory from its first frame to its last,
 * every frame must be reserved, or begin a block, and a block must be aligned and consist of
 * one head and tails only. That walk counts free blocks and frames. Then the free lists are
 * walked, without believing their links, and all counters are compared with what was counted.
 *
 * Contradictions are printed (the first MAX_PRINTED of them) and counted; the caller decides
 * what to do. Tests, the console command "check" and, with mm.check=1 in debug builds, every
 * mutation call the same functions.
 *
 * Locking: the allocator's lock is held throughout, so that memory stands still.
 */
#include <allocators.h>
#include <cmdline.h>
#include <page_frame.h>
#include <printk.h>

#define MAX_PRINTED 8

uint64_t mm_check_level;
TUNABLE(mm_check_level, "mm.check", 0, 1,
	"1: debug builds recompute the allocator's state around every change");

/* What the walk over the frames found. */
struct census {
	size_t free_blocks[NR_ORDERS];
	size_t frames_free, frames_allocated;
	unsigned errors;
};

#define REPORT(census, ...)                                                                        \
	do {                                                                                       \
		if ((census)->errors++ < MAX_PRINTED)                                              \
			kprintf("check: " __VA_ARGS__);                                            \
	} while (0)

static const char *
state_name(unsigned state)
{
	static const char *const names[] = {
		[PAGE_RESERVED] = "reserved",
		[PAGE_TAIL] = "tail",
		[PAGE_FREE] = "free",
		[PAGE_ALLOCATED] = "allocated",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "impossible";
}

/* Check the block that pfn heads. Returns the number of frames to step over. */
static size_t
census_block(struct census *census, pfn_t pfn, pfn_t end)
{
	const struct page *page = pfn_to_page(pfn);
	unsigned order = page->order;
	size_t size;

	if (order > MAX_ORDER) {
		REPORT(census, "frame %#lx heads a block of order %u\n", (unsigned long)pfn, order);
		return 1;
	}
	size = 1ul << order;
	if (!IS_ALIGNED(pfn, size) || pfn + size > end) {
		REPORT(census, "frame %#lx heads a block of order %u that cannot lie there\n",
		       (unsigned long)pfn, order);
		return 1;
	}
	for (size_t i = 1; i < size; i++) {
		if (page[i].state == PAGE_TAIL)
			continue;
		REPORT(census, "frame %#lx is %s inside the block %#lx of order %u\n",
		       (unsigned long)(pfn + i), state_name(page[i].state), (unsigned long)pfn,
		       order);
		return i;
	}
	if (page->state == PAGE_ALLOCATED) {
		census->frames_allocated += size;
		return size;
	}
	census->frames_free += size;
	census->free_blocks[order]++;
	if (order < MAX_ORDER) {
		const struct page *other = pfn_to_page(pfn ^ size);

		if (other > page && other->state == PAGE_FREE && other->order == order)
			REPORT(census, "buddies %#lx and %#lx of order %u are both free\n",
			       (unsigned long)pfn, (unsigned long)(pfn ^ size), order);
	}
	return size;
}

/* Is the largest block that holds a frame another allocator's, of those that share the span? */
static bool
is_anothers(const struct buddy *buddy, pfn_t pfn)
{
	return buddy->block_owner &&
	       buddy->block_owner[(pfn - buddy->first) >> MAX_ORDER] != buddy->owner;
}

/* Walk the frames [pfn, end), which all have pages. */
static void
census_frames(const struct buddy *buddy, struct census *census, pfn_t pfn, pfn_t end)
{
	while (pfn < end) {
		unsigned state = pfn_to_page(pfn)->state;

		if (is_anothers(buddy, pfn)) {
			pfn = ALIGN_DOWN(pfn, MAX_ORDER_FRAMES) + MAX_ORDER_FRAMES;
			continue;
		}

		if (state == PAGE_FREE || state == PAGE_ALLOCATED) {
			pfn += census_block(census, pfn, end);
			continue;
		}
		if (state != PAGE_RESERVED)
			REPORT(census, "frame %#lx is %s outside any block\n", (unsigned long)pfn,
			       state_name(state));
		pfn++;
	}
}

/* Is this link inside the page of a frame of the allocator? */
static bool
link_is_sane(const struct buddy *buddy, const struct list_head *link)
{
	const struct page *page = list_entry(link, struct page, link);

	if (page < pfn_to_page(buddy->first) || page >= pfn_to_page(buddy->end))
		return false;
	return page_is_whole(page) && page_frame_present(page_to_pfn(page));
}

/* Walk one free list, believing nothing. */
static void
check_list(struct buddy *buddy, struct census *census, unsigned order)
{
	const struct free_area *area = &buddy->area[order];
	const struct list_head *before = &area->list, *link = area->list.next;
	size_t length = 0;

	for (; link != &area->list; before = link, link = link->next) {
		const struct page *page = list_entry(link, struct page, link);

		if (!link_is_sane(buddy, link)) {
			REPORT(census, "free list %u leads to %p, which is no page\n", order,
			       (const void *)link);
			return;
		}
		if (link->prev != before) {
			REPORT(census, "free list %u is broken at frame %#lx\n", order,
			       (unsigned long)page_to_pfn(page));
			return;
		}
		if (page->state != PAGE_FREE || page->order != order)
			REPORT(census, "free list %u holds frame %#lx, %s of order %u\n", order,
			       (unsigned long)page_to_pfn(page), state_name(page->state),
			       page->order);
		if (++length > census->free_blocks[order])
			break;
	}
	if (area->list.prev != before && link == &area->list)
		REPORT(census, "free list %u does not end where it should\n", order);
	if (length != census->free_blocks[order])
		REPORT(census, "free list %u holds %s blocks than the %lu that are free\n", order,
		       length < census->free_blocks[order] ? "fewer" : "more",
		       (unsigned long)census->free_blocks[order]);
	if (area->nr_free != census->free_blocks[order])
		REPORT(census, "nr_free of order %u says %lu, but %lu blocks are free\n", order,
		       (unsigned long)area->nr_free, (unsigned long)census->free_blocks[order]);
	if ((buddy->nonempty >> order & 1) != (census->free_blocks[order] != 0))
		REPORT(census, "bit %u of nonempty (%#x) is wrong: %lu blocks are free\n", order,
		       buddy->nonempty, (unsigned long)census->free_blocks[order]);
}

unsigned
buddy_check_locked(struct buddy *buddy)
{
	struct census census = { .errors = 0 };
	struct frame_range part = page_frame_next(buddy->first);

	assert_held(&buddy->lock);
	while (part.first < part.end && part.first < buddy->end) {
		census_frames(buddy, &census, part.first, MIN(part.end, buddy->end));
		part = page_frame_next(part.end);
	}
	for (unsigned order = 0; order < NR_ORDERS; order++)
		check_list(buddy, &census, order);

	if (buddy->nonempty >> NR_ORDERS)
		REPORT(&census, "nonempty (%#x) has bits beyond order %d\n", buddy->nonempty,
		       MAX_ORDER);
	if (buddy->frames_free != census.frames_free)
		REPORT(&census, "frames_free says %lu, but %lu frames are free\n",
		       (unsigned long)buddy->frames_free, (unsigned long)census.frames_free);
	if (buddy->frames_managed != census.frames_free + census.frames_allocated)
		REPORT(&census, "frames_managed says %lu, but %lu are free or allocated\n",
		       (unsigned long)buddy->frames_managed,
		       (unsigned long)(census.frames_free + census.frames_allocated));
	if (census.errors > MAX_PRINTED)
		kprintf("check: and %u more\n", census.errors - MAX_PRINTED);
	return census.errors;
}

unsigned
buddy_check(struct buddy *buddy)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);
	unsigned errors = buddy_check_locked(buddy);

	spin_unlock_irqrestore(&buddy->lock, flags);
	return errors;
}
