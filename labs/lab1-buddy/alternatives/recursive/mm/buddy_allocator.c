/* SPDX-License-Identifier: MIT */
/*
 * Another right solution of lab 1: recursion in place of loops, free lists that are queues, and
 * the upper half of a block that is split is the one that goes out.
 */
#include <allocators.h>
#include <errno.h>

static void
put(struct buddy *buddy, struct page *page, unsigned order)
{
	page->state = PAGE_FREE;
	page->order = order;
	list_add_tail(&page->link, &buddy->area[order].list);
	buddy->area[order].nr_free++;
	buddy->nonempty |= 1u << order;
}

static struct page *
unlink_block(struct buddy *buddy, struct page *page)
{
	unsigned order = page->order;

	list_del(&page->link);
	page->state = PAGE_TAIL;
	if (--buddy->area[order].nr_free == 0)
		buddy->nonempty &= ~(1u << order);
	return page;
}

/* A block of that order off its list, made from one of the next order if there is none. */
static struct page *
take(struct buddy *buddy, unsigned order)
{
	struct list_head *list;
	struct page *whole;

	if (order > MAX_ORDER)
		return NULL;
	list = &buddy->area[order].list;
	if (!list_empty(list))
		return unlink_block(buddy, list_first_entry(list, struct page, link));
	whole = take(buddy, order + 1);
	if (!whole)
		return NULL;
	put(buddy, whole, order);
	return whole + (1ul << order);
}

/* Free a block on no list, as part of the largest block that can be made. */
static void
give(struct buddy *buddy, pfn_t pfn, unsigned order)
{
	struct page *other = pfn_to_page(pfn ^ (1ul << order));

	pfn_to_page(pfn)->state = PAGE_TAIL;
	if (order == MAX_ORDER || other->state != PAGE_FREE || other->order != order) {
		put(buddy, pfn_to_page(pfn), order);
		return;
	}
	unlink_block(buddy, other);
	give(buddy, ALIGN_DOWN(pfn, 2ul << order), order + 1);
}

static void
account(struct buddy *buddy, struct page *page, unsigned order)
{
	size_t in_use;

	page->state = PAGE_ALLOCATED;
	page->order = order;
	buddy->stats.nr_alloc[order]++;
	buddy->frames_free -= 1ul << order;
	in_use = buddy->frames_managed - buddy->frames_free;
	if (in_use > buddy->stats.frames_peak)
		buddy->stats.frames_peak = in_use;
}

/* Of a block on no list, hand out the first frames and free the others. */
static void
keep(struct buddy *buddy, struct page *page, unsigned order, size_t frames)
{
	size_t half = (1ul << order) / 2;

	if (frames == 1ul << order) {
		account(buddy, page, order);
	} else if (frames <= half) {
		put(buddy, page + half, order - 1);
		keep(buddy, page, order - 1, frames);
	} else {
		account(buddy, page, order - 1);
		keep(buddy, page + half, order - 1, frames - half);
	}
}

void
buddy_init(struct buddy *buddy, const char *name, pfn_t first, pfn_t end)
{
	ASSERT(IS_ALIGNED(first | end, MAX_ORDER_FRAMES));
	*buddy = (struct buddy){ .name = name, .first = first, .end = end };
	spin_init(&buddy->lock, name, RANK_BUDDY);
	for (unsigned order = 0; order < NR_ORDERS; order++)
		list_init(&buddy->area[order].list);
}

/* Free the frames [first, end), all tails or reserved, of a block of that order. */
static void
add(struct buddy *buddy, pfn_t pfn, unsigned order, pfn_t first, pfn_t end)
{
	size_t size = 1ul << order;

	if (pfn >= end || pfn + size <= first)
		return;
	if (first <= pfn && pfn + size <= end) {
		give(buddy, pfn, order);
		return;
	}
	add(buddy, pfn, order - 1, first, end);
	add(buddy, pfn + size / 2, order - 1, first, end);
}

void
buddy_add_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);

	for (pfn_t pfn = first; pfn < end; pfn++)
		pfn_to_page(pfn)->state = PAGE_TAIL;
	for (pfn_t pfn = ALIGN_DOWN(first, MAX_ORDER_FRAMES); pfn < end; pfn += MAX_ORDER_FRAMES)
		add(buddy, pfn, MAX_ORDER, first, end);
	buddy->frames_free += end - first;
	buddy->frames_managed += end - first;
	spin_unlock_irqrestore(&buddy->lock, flags);
}

static struct page *
alloc(struct buddy *buddy, unsigned order, size_t frames)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);
	struct page *page = fault_strikes(&buddy->faults) ? NULL : take(buddy, order);

	if (page)
		keep(buddy, page, order, frames);
	else
		buddy->stats.nr_failed++;
	spin_unlock_irqrestore(&buddy->lock, flags);
	return page;
}

struct page *
buddy_alloc(struct buddy *buddy, unsigned order)
{
	ASSERT_LE(order, MAX_ORDER);
	return alloc(buddy, order, 1ul << order);
}

struct page *
buddy_alloc_exact(struct buddy *buddy, size_t frames)
{
	unsigned order = 0;

	if (frames == 0 || frames > MAX_ORDER_FRAMES)
		return NULL;
	while (1ul << order < frames)
		order++;
	return alloc(buddy, order, frames);
}

/* Are all frames of [first, end) that lie in this block free? */
static bool
all_free(pfn_t pfn, unsigned order, pfn_t first, pfn_t end)
{
	const struct page *page = pfn_to_page(pfn);
	size_t half = (1ul << order) / 2;

	if (pfn >= end || pfn + (1ul << order) <= first)
		return true;
	if (page->state == PAGE_FREE && page->order == order)
		return true;
	if (order == 0 || (page->state == PAGE_ALLOCATED && page->order == order))
		return false;
	return all_free(pfn, order - 1, first, end) && all_free(pfn + half, order - 1, first, end);
}

/* Take the frames of [first, end) that lie in this block. All of them are free. */
static void
claim(struct buddy *buddy, pfn_t pfn, unsigned order, pfn_t first, pfn_t end)
{
	struct page *page = pfn_to_page(pfn);
	size_t half = (1ul << order) / 2;

	if (pfn >= end || pfn + (1ul << order) <= first)
		return;
	if (page->state == PAGE_FREE && page->order == order) {
		unlink_block(buddy, page);
		if (first <= pfn && pfn + (1ul << order) <= end) {
			account(buddy, page, order);
			return;
		}
		put(buddy, page, order - 1);
		put(buddy, page + half, order - 1);
	}
	claim(buddy, pfn, order - 1, first, end);
	claim(buddy, pfn + half, order - 1, first, end);
}

static int
take_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	pfn_t start = ALIGN_DOWN(first, MAX_ORDER_FRAMES);

	if (first >= end || first < buddy->first || end > buddy->end)
		return -EINVAL;
	for (pfn_t pfn = start; pfn < end; pfn += MAX_ORDER_FRAMES) {
		if (!all_free(pfn, MAX_ORDER, first, end))
			return -EBUSY;
	}
	for (pfn_t pfn = start; pfn < end; pfn += MAX_ORDER_FRAMES)
		claim(buddy, pfn, MAX_ORDER, first, end);
	return 0;
}

int
buddy_alloc_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);
	int error = take_range(buddy, first, end);

	if (error)
		buddy->stats.nr_failed++;
	spin_unlock_irqrestore(&buddy->lock, flags);
	return error;
}

int
buddy_reserve_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);
	struct buddy_stats before = buddy->stats;
	int error = take_range(buddy, first, end);

	if (!error) {
		for (pfn_t pfn = first; pfn < end; pfn++)
			pfn_to_page(pfn)->state = PAGE_RESERVED;
		buddy->frames_managed -= end - first;
		buddy->stats = before;
	}
	spin_unlock_irqrestore(&buddy->lock, flags);
	return error;
}

/* The order of the allocated block that covers a frame, or NR_ORDERS. */
static unsigned
allocated_around(pfn_t pfn, unsigned order)
{
	const struct page *page = pfn_to_page(ALIGN_DOWN(pfn, 1ul << order));

	if (page->state == PAGE_ALLOCATED && page->order >= order)
		return page->order;
	return order == MAX_ORDER ? NR_ORDERS : allocated_around(pfn, order + 1);
}

/* What is wrong with freeing that block; NULL if nothing is. */
static const char *
mistake(const struct buddy *buddy, pfn_t pfn, unsigned order)
{
	const struct page *page = pfn_to_page(pfn);

	if (pfn < buddy->first || pfn >= buddy->end)
		return "not this allocator's frame";
	switch (page->state) {
	case PAGE_RESERVED:
		return "frame was never given out";
	case PAGE_ALLOCATED:
		return page->order == order ? NULL : "wrong order";
	case PAGE_TAIL:
		if (allocated_around(pfn, 0) <= MAX_ORDER)
			return "tail of an allocated block";
	}
	return "double free";
}

static void
check(struct buddy *buddy, pfn_t pfn, unsigned order, irqflags_t flags)
{
	const char *what = mistake(buddy, pfn, order);

	if (!what)
		return;
	spin_unlock_irqrestore(&buddy->lock, flags);
	panic("buddy: %s: frame %#lx, order %u", what, (unsigned long)pfn, order);
}

static void
free_checked(struct buddy *buddy, pfn_t pfn, unsigned order)
{
	buddy->stats.nr_free[order]++;
	buddy->frames_free += 1ul << order;
	give(buddy, pfn, order);
}

void
buddy_free(struct buddy *buddy, struct page *page, unsigned order)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);

	check(buddy, page_to_pfn(page), order, flags);
	free_checked(buddy, page_to_pfn(page), order);
	spin_unlock_irqrestore(&buddy->lock, flags);
}

void
buddy_free_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);
	unsigned order;

	for (pfn_t pfn = first; pfn < end; pfn += 1ul << order) {
		order = pfn < buddy->end ? pfn_to_page(pfn)->order : 0;
		/* A block that reaches past the range is not the caller's to free here. */
		check(buddy, pfn, pfn + (1ul << order) <= end ? order : NR_ORDERS, flags);
	}
	for (pfn_t pfn = first; pfn < end; pfn += 1ul << order) {
		order = pfn_to_page(pfn)->order;
		free_checked(buddy, pfn, order);
	}
	spin_unlock_irqrestore(&buddy->lock, flags);
}
