/* SPDX-License-Identifier: MIT */
/*
 * Another right solution of lab 1: lazy coalescing. A block that is freed goes on the list of
 * its order as it is. Only when a request finds nothing are all buddies joined, once, and the
 * request is tried again: so a request never fails while memory for it is there, and a program
 * that frees and allocates blocks of one size never splits or joins any.
 * (Lee and Barkley, "A watermark-based lazy buddy system", 1989, without the watermarks.)
 */
#include <allocators.h>
#include <errno.h>

void buddy_coalesce_locked(struct buddy *buddy);

static void
push(struct buddy *buddy, pfn_t pfn, unsigned order)
{
	struct page *page = pfn_to_page(pfn);

	page->state = PAGE_FREE;
	page->order = order;
	list_add(&page->link, &buddy->area[order].list);
	buddy->area[order].nr_free++;
	buddy->nonempty |= 1u << order;
}

static void
pull(struct buddy *buddy, struct page *page)
{
	list_del(&page->link);
	page->state = PAGE_TAIL;
	if (--buddy->area[page->order].nr_free == 0)
		buddy->nonempty &= ~(1u << page->order);
}

static unsigned
largest_piece(pfn_t first, pfn_t end)
{
	unsigned order = 0;

	while (order < MAX_ORDER && IS_ALIGNED(first, 2ul << order) &&
	       first + (2ul << order) <= end)
		order++;
	return order;
}

static void
push_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	while (first < end) {
		unsigned order = largest_piece(first, end);

		push(buddy, first, order);
		first += 1ul << order;
	}
}

/* Join all buddies that are both free, from the smallest order up. Caller holds buddy->lock. */
void
buddy_coalesce_locked(struct buddy *buddy)
{
	for (unsigned order = 0; order < MAX_ORDER; order++) {
		struct list_head *head = &buddy->area[order].list, *at = head->next;

		while (at != head) {
			struct page *page = list_entry(at, struct page, link);
			pfn_t pfn = page_to_pfn(page);
			struct page *other = pfn_to_page(pfn ^ (1ul << order));

			at = at->next;
			if (other->state != PAGE_FREE || other->order != order)
				continue;
			if (at == &other->link)
				at = at->next;
			pull(buddy, page);
			pull(buddy, other);
			push(buddy, ALIGN_DOWN(pfn, 2ul << order), order + 1);
		}
	}
}

static struct page *
find(struct buddy *buddy, unsigned order)
{
	for (unsigned found = order; found <= MAX_ORDER; found++) {
		struct list_head *list = &buddy->area[found].list;
		struct page *page;

		if (list_empty(list))
			continue;
		page = list_first_entry(list, struct page, link);
		pull(buddy, page);
		while (found-- > order)
			push(buddy, page_to_pfn(page) + (1ul << found), found);
		return page;
	}
	return NULL;
}

/* A block on no list, or NULL. */
static struct page *
take(struct buddy *buddy, unsigned order)
{
	struct page *page = NULL;

	if (!fault_strikes(&buddy->faults)) {
		page = find(buddy, order);
		if (!page) {
			buddy_coalesce_locked(buddy);
			page = find(buddy, order);
		}
	}
	if (!page)
		buddy->stats.nr_failed++;
	return page;
}

/* Mark [first, end), on no list, as blocks that a caller has. */
static void
own(struct buddy *buddy, pfn_t first, pfn_t end)
{
	size_t in_use;

	buddy->frames_free -= end - first;
	in_use = buddy->frames_managed - buddy->frames_free;
	buddy->stats.frames_peak = MAX(buddy->stats.frames_peak, in_use);
	while (first < end) {
		unsigned order = largest_piece(first, end);

		pfn_to_page(first)->state = PAGE_ALLOCATED;
		pfn_to_page(first)->order = order;
		buddy->stats.nr_alloc[order]++;
		first += 1ul << order;
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

void
buddy_add_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);

	for (pfn_t pfn = first; pfn < end; pfn++)
		pfn_to_page(pfn)->state = PAGE_TAIL;
	push_range(buddy, first, end);
	buddy->frames_free += end - first;
	buddy->frames_managed += end - first;
	spin_unlock_irqrestore(&buddy->lock, flags);
}

struct page *
buddy_alloc(struct buddy *buddy, unsigned order)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);
	struct page *page = take(buddy, order);

	if (page)
		own(buddy, page_to_pfn(page), page_to_pfn(page) + (1ul << order));
	spin_unlock_irqrestore(&buddy->lock, flags);
	return page;
}

struct page *
buddy_alloc_exact(struct buddy *buddy, size_t frames)
{
	struct page *page;
	irqflags_t flags;
	unsigned order = 0;

	if (frames == 0 || frames > MAX_ORDER_FRAMES)
		return NULL;
	while (1ul << order < frames)
		order++;
	flags = spin_lock_irqsave(&buddy->lock);
	page = take(buddy, order);
	if (page) {
		pfn_t pfn = page_to_pfn(page);

		own(buddy, pfn, pfn + frames);
		push_range(buddy, pfn + frames, pfn + (1ul << order));
	}
	spin_unlock_irqrestore(&buddy->lock, flags);
	return page;
}

/* The head of the free or allocated block that holds a frame, or NULL. */
static struct page *
head_of(pfn_t pfn)
{
	pfn_t lowest = ALIGN_DOWN(pfn, MAX_ORDER_FRAMES);

	for (size_t size = 1; size <= MAX_ORDER_FRAMES; size *= 2) {
		struct page *page = pfn_to_page(ALIGN_DOWN(pfn, size));

		if ((page->state == PAGE_FREE || page->state == PAGE_ALLOCATED) &&
		    page_to_pfn(page) + (1ul << page->order) > pfn)
			return page;
		if (page->state == PAGE_RESERVED || page_to_pfn(page) == lowest)
			break;
	}
	return NULL;
}

/* Take [first, end) off the lists, or nothing. */
static int
take_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	const struct page *head;

	if (first >= end || first < buddy->first || end > buddy->end)
		return -EINVAL;
	for (pfn_t pfn = first; pfn < end; pfn = page_to_pfn(head) + (1ul << head->order)) {
		head = head_of(pfn);
		if (!head || head->state != PAGE_FREE)
			return -EBUSY;
	}
	for (pfn_t pfn = first; pfn < end;) {
		struct page *block = head_of(pfn);
		pfn_t start = page_to_pfn(block), after = start + (1ul << block->order);

		pull(buddy, block);
		if (start < first)
			push_range(buddy, start, first);
		if (end < after)
			push_range(buddy, end, after);
		pfn = after;
	}
	return 0;
}

int
buddy_alloc_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);
	int error = take_range(buddy, first, end);

	if (error)
		buddy->stats.nr_failed++;
	else
		own(buddy, first, end);
	spin_unlock_irqrestore(&buddy->lock, flags);
	return error;
}

int
buddy_reserve_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);
	int error = take_range(buddy, first, end);

	for (pfn_t pfn = first; !error && pfn < end; pfn++) {
		pfn_to_page(pfn)->state = PAGE_RESERVED;
		buddy->frames_free--;
		buddy->frames_managed--;
	}
	spin_unlock_irqrestore(&buddy->lock, flags);
	return error;
}

/* End the kernel if that is no block of a caller's. */
static void
check(struct buddy *buddy, pfn_t pfn, unsigned order, irqflags_t flags)
{
	const char *what = "double free";
	const struct page *head;

	if (pfn < buddy->first || pfn >= buddy->end) {
		what = "not this allocator's frame";
	} else if (pfn_to_page(pfn)->state == PAGE_RESERVED) {
		what = "frame was never given out";
	} else {
		head = head_of(pfn);
		if (head && head->state == PAGE_ALLOCATED && head != pfn_to_page(pfn))
			what = "tail of an allocated block";
		else if (head && head->state == PAGE_ALLOCATED && head->order != order)
			what = "wrong order";
		else if (head && head->state == PAGE_ALLOCATED)
			return;
	}
	spin_unlock_irqrestore(&buddy->lock, flags);
	panic("buddy: %s: frame %#lx, order %u", what, (unsigned long)pfn, order);
}

static void
release(struct buddy *buddy, pfn_t pfn, unsigned order)
{
	buddy->frames_free += 1ul << order;
	buddy->stats.nr_free[order]++;
	push(buddy, pfn, order);
}

void
buddy_free(struct buddy *buddy, struct page *page, unsigned order)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);

	check(buddy, page_to_pfn(page), order, flags);
	release(buddy, page_to_pfn(page), order);
	spin_unlock_irqrestore(&buddy->lock, flags);
}

void
buddy_free_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);

	for (pfn_t pfn = first; pfn < end;) {
		unsigned order = largest_piece(pfn, end);

		order = MIN(order, pfn < buddy->end ? pfn_to_page(pfn)->order : order);
		check(buddy, pfn, order, flags);
		pfn += 1ul << order;
	}
	while (first < end) {
		unsigned order = pfn_to_page(first)->order;

		release(buddy, first, order);
		first += 1ul << order;
	}
	spin_unlock_irqrestore(&buddy->lock, flags);
}
