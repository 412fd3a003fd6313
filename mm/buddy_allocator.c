/* SPDX-License-Identifier: MIT */
/*
 * The buddy allocator: physical frames, in blocks of powers of two.
 *
 * PROBLEM. Hand out runs of contiguous frames and take them back, in any order and for
 * years, without memory falling into pieces too small to use, and at a cost that does not
 * depend on how much memory there is.
 *
 * IDEA (Knowlton 1965; Knuth, The Art of Computer Programming, vol. 1, section 2.5). Only
 * blocks of 2^order frames exist, and a block of 2^order begins at a multiple of 2^order.
 * Every block below MAX_ORDER then has one buddy, the other half of the block that both
 * were cut from, and its number is a single bit away:
 *
 *	buddy(pfn, order) = pfn ^ 2^order
 *
 *	order 3   |               8               |
 *	order 2   |       8       |      12       |     12 = 8 ^ 4
 *	order 1   |   8   |  10   |  12   |  14   |     10 = 8 ^ 2
 *	order 0   | 8 | 9 |10 |11 |12 |13 |14 |15 |      9 = 8 ^ 1
 *
 * To allocate, take a free block of the order wanted, or halve a larger one until it fits.
 * To free, look whether the buddy is free as well; if so the two become one block of the
 * next order, which is tried again.
 *
 * STATE. There is a list of free blocks for each order. The links, the state and the order
 * of a block lie in the struct page of its first frame, the head; all others are tails. No
 * operation ever writes the tails, or order 10 would cost a thousand times order 0. An
 * order-2 and an order-1 block, one free, one allocated:
 *
 *	frame     12      13      14      15      16         17
 *	state     FREE    TAIL    TAIL    TAIL    ALLOCATED  TAIL
 *	order     2                               1
 *
 * INVARIANTS, which buddy_check() recomputes from the frames:
 *	- each frame is reserved, or in exactly one block, free or allocated;
 *	- a block of order o begins at a multiple of 2^o and has one head, 2^o - 1 tails;
 *	- a block is on area[o].list if and only if it is free and of order o;
 *	- two buddies are never both free;
 *	- area[o].nr_free, nonempty, frames_free and frames_managed say how many there are.
 *
 * LOCKING. One spin lock guards everything of a struct buddy and the state, order and link
 * of its pages. Nothing here sleeps.
 *
 * TRACE. Every step is told to trace_buddy(), which costs next to nothing until tracing is
 * asked for: SPLIT before a block is halved, MERGE after two have become one, ADD before a
 * piece of new memory is freed, ALLOC and FREE for what callers have and give back, RESERVE.
 *
 * LEFT OUT. Whom a frame suits (zones), one list for each CPU (page lists), moving frames to
 * make room (compaction): they are built on top.
 */
#include <allocators.h>
#include <errno.h>
#include <trace.h>

/* ---- Blocks ---------------------------------------------------------------- */

/* The largest order of a block that begins at pfn and ends at or before end. */
static unsigned
piece_order(pfn_t pfn, pfn_t end)
{
	unsigned fits = 63 - __builtin_clzl(end - pfn);
	unsigned aligned = pfn ? __builtin_ctzl(pfn) : MAX_ORDER;

	return MIN(MIN(fits, aligned), MAX_ORDER);
}

static bool
is_free_block(const struct page *page, unsigned order)
{
	return page->state == PAGE_FREE && page->order == order;
}

/* Put a block that is on no list on the free list of its order. */
static void
area_insert(struct buddy *buddy, struct page *page, unsigned order)
{
	struct free_area *area = &buddy->area[order];

	page->state = PAGE_FREE;
	page->order = order;
	list_add(&page->link, &area->list);
	area->nr_free++;
	buddy->nonempty |= 1u << order;
}

/* Take a free block off its list. Its state is the caller's to set. */
static void
area_remove(struct buddy *buddy, struct page *page, unsigned order)
{
	struct free_area *area = &buddy->area[order];

	list_del(&page->link);
	if (--area->nr_free == 0)
		buddy->nonempty &= ~(1u << order);
}

/*
 * Halve a block that is on no list until its order is wanted, and free the upper halves.
 * The block keeps its head.
 */
static void
split_block(struct buddy *buddy, struct page *page, unsigned order, unsigned wanted)
{
	while (order > wanted) {
		trace_buddy(TRACE_SPLIT, page, order);
		order--;
		area_insert(buddy, page + (1ul << order), order);
	}
}

/*
 * Free a block that is on no list, joined with its buddy for as long as that is free. Of two
 * buddies, the lower one has the order's bit clear, so its number is pfn & other_pfn. Heads
 * become tails on the way; what remains at the end is a head again.
 */
static void
merge_block(struct buddy *buddy, struct page *page, unsigned order)
{
	pfn_t pfn = page_to_pfn(page);

	page->state = PAGE_TAIL;
	while (order < MAX_ORDER) {
		pfn_t other_pfn = pfn ^ (1ul << order);
		struct page *other = pfn_to_page(other_pfn);

		if (!is_free_block(other, order))
			break;
		area_remove(buddy, other, order);
		other->state = PAGE_TAIL;
		pfn &= other_pfn;
		order++;
		trace_buddy(TRACE_MERGE, pfn_to_page(pfn), order);
	}
	area_insert(buddy, pfn_to_page(pfn), order);
}

/* Note that a block on no list now belongs to a caller. */
static void
give_out(struct buddy *buddy, struct page *page, unsigned order)
{
	trace_buddy(TRACE_ALLOC, page, order);
	page->state = PAGE_ALLOCATED;
	page->order = order;
	buddy->frames_free -= 1ul << order;
	buddy->stats.nr_alloc[order]++;
	buddy->stats.frames_peak =
	    MAX(buddy->stats.frames_peak, buddy->frames_managed - buddy->frames_free);
}

/* Note that a block on no list is no longer a caller's. */
static void
take_back(struct buddy *buddy, const struct page *page, unsigned order)
{
	trace_buddy(TRACE_FREE, page, order);
	buddy->frames_free += 1ul << order;
	buddy->stats.nr_free[order]++;
}

/* ---- Setting up ------------------------------------------------------------ */

void
buddy_init(struct buddy *buddy, const char *name, pfn_t first, pfn_t end)
{
	ASSERT(IS_ALIGNED(first | end, MAX_ORDER_FRAMES));
	ASSERT_LE(first, end);

	*buddy = (struct buddy){ .name = name, .first = first, .end = end };
	spin_init(&buddy->lock, name, RANK_BUDDY);
	for (unsigned order = 0; order < NR_ORDERS; order++)
		list_init(&buddy->area[order].list);
	trace_buddy_range(TRACE_INIT, first, end);
}

void
buddy_add_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	irqflags_t flags;

	ASSERT_LE(buddy->first, first);
	ASSERT_LE(end, buddy->end);
	flags = spin_lock_irqsave(&buddy->lock);
	buddy_validate_locked(buddy);
	for (pfn_t pfn = first; pfn < end; pfn++) {
		ASSERT_EQ(pfn_to_page(pfn)->state, PAGE_RESERVED);
		pfn_to_page(pfn)->state = PAGE_TAIL;
	}
	while (first < end) {
		unsigned order = piece_order(first, end);

		trace_buddy(TRACE_ADD, pfn_to_page(first), order);
		merge_block(buddy, pfn_to_page(first), order);
		buddy->frames_free += 1ul << order;
		buddy->frames_managed += 1ul << order;
		first += 1ul << order;
	}
	buddy_validate_locked(buddy);
	spin_unlock_irqrestore(&buddy->lock, flags);
}

/* ---- Allocation ------------------------------------------------------------ */

/* Take 2^order frames off the free lists. Returns their head, on no list, or NULL. */
static struct page *
take_block(struct buddy *buddy, unsigned order)
{
	uint32_t candidates = buddy->nonempty >> order;
	struct page *page;
	unsigned found;

	if (candidates == 0 || fault_strikes(&buddy->faults)) {
		buddy->stats.nr_failed++;
		return NULL;
	}
	found = order + __builtin_ctz(candidates);
	page = list_first_entry(&buddy->area[found].list, struct page, link);
	area_remove(buddy, page, found);
	split_block(buddy, page, found, order);
	return page;
}

struct page *
buddy_alloc(struct buddy *buddy, unsigned order)
{
	struct page *page;
	irqflags_t flags;

	ASSERT_LE(order, MAX_ORDER);
	flags = spin_lock_irqsave(&buddy->lock);
	buddy_validate_locked(buddy);
	page = take_block(buddy, order);
	if (page)
		give_out(buddy, page, order);
	buddy_validate_locked(buddy);
	spin_unlock_irqrestore(&buddy->lock, flags);
	return page;
}

/* Give out [first, end), frames on no list, as the largest blocks they make. */
static void
give_out_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	while (first < end) {
		unsigned order = piece_order(first, end);

		give_out(buddy, pfn_to_page(first), order);
		first += 1ul << order;
	}
}

/* Free [first, end), frames on no list and of no caller. */
static void
merge_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	while (first < end) {
		unsigned order = piece_order(first, end);

		merge_block(buddy, pfn_to_page(first), order);
		first += 1ul << order;
	}
}

struct page *
buddy_alloc_exact(struct buddy *buddy, size_t nr_frames)
{
	struct page *page;
	irqflags_t flags;
	unsigned order;

	if (nr_frames == 0 || nr_frames > MAX_ORDER_FRAMES)
		return NULL;
	order = nr_frames == 1 ? 0 : 64 - __builtin_clzl(nr_frames - 1);

	flags = spin_lock_irqsave(&buddy->lock);
	buddy_validate_locked(buddy);
	page = take_block(buddy, order);
	if (page) {
		pfn_t first = page_to_pfn(page);

		give_out_range(buddy, first, first + nr_frames);
		merge_range(buddy, first + nr_frames, first + (1ul << order));
	}
	buddy_validate_locked(buddy);
	spin_unlock_irqrestore(&buddy->lock, flags);
	return page;
}

/* ---- Given ranges ---------------------------------------------------------- */

/*
 * The head of the block that holds a frame, which is not reserved. A block of order o
 * begins at a multiple of 2^o, so there are only NR_ORDERS places to look at.
 */
static struct page *
block_head(pfn_t pfn)
{
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		struct page *head = pfn_to_page(ALIGN_DOWN(pfn, 1ul << order));

		if (head->state != PAGE_FREE && head->state != PAGE_ALLOCATED)
			continue;
		if (head->order >= order)
			return head;
	}
	return NULL;
}

/*
 * Take [first, end) off the free lists, parts of larger blocks too. Returns 0, -EBUSY or
 * -EINVAL; on an error nothing has changed.
 */
static int
take_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	if (first >= end || first < buddy->first || end > buddy->end)
		return -EINVAL;

	for (pfn_t pfn = first; pfn < end;) {
		struct page *head;

		if (pfn_to_page(pfn)->state == PAGE_RESERVED)
			return -EBUSY;
		head = block_head(pfn);
		if (!head || head->state != PAGE_FREE)
			return -EBUSY;
		pfn = page_to_pfn(head) + (1ul << head->order);
	}

	for (pfn_t pfn = first; pfn < end;) {
		struct page *head = block_head(pfn);
		pfn_t head_pfn = page_to_pfn(head);
		pfn_t after = head_pfn + (1ul << head->order);

		area_remove(buddy, head, head->order);
		head->state = PAGE_TAIL;
		merge_range(buddy, head_pfn, MAX(head_pfn, first));
		merge_range(buddy, MIN(after, end), after);
		pfn = after;
	}
	return 0;
}

int
buddy_alloc_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);
	int error;

	buddy_validate_locked(buddy);
	error = take_range(buddy, first, end);
	if (error)
		buddy->stats.nr_failed++;
	else
		give_out_range(buddy, first, end);
	buddy_validate_locked(buddy);
	spin_unlock_irqrestore(&buddy->lock, flags);
	return error;
}

int
buddy_reserve_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);
	int error;

	buddy_validate_locked(buddy);
	error = take_range(buddy, first, end);
	if (!error) {
		trace_buddy_range(TRACE_RESERVE, first, end);
		buddy->frames_free -= end - first;
		buddy->frames_managed -= end - first;
		for (pfn_t pfn = first; pfn < end; pfn++)
			pfn_to_page(pfn)->state = PAGE_RESERVED;
	}
	buddy_validate_locked(buddy);
	spin_unlock_irqrestore(&buddy->lock, flags);
	return error;
}

/* ---- Giving back ----------------------------------------------------------- */

/* Is pfn the head of a block of that order that a caller has? */
static bool
is_allocated_block(const struct buddy *buddy, pfn_t pfn, unsigned order)
{
	const struct page *page;

	if (pfn < buddy->first || pfn >= buddy->end)
		return false;
	page = pfn_to_page(pfn);
	return page->state == PAGE_ALLOCATED && page->order == order;
}

/* What a frame is that is_allocated_block() is false for, in words. */
static const char *
free_mistake(const struct buddy *buddy, pfn_t pfn)
{
	const struct page *head;

	if (pfn < buddy->first || pfn >= buddy->end)
		return "not this allocator's frame";
	if (pfn_to_page(pfn)->state == PAGE_RESERVED)
		return "frame was never given out";
	if (pfn_to_page(pfn)->state == PAGE_ALLOCATED)
		return "wrong order";
	head = block_head(pfn);
	if (head && head->state == PAGE_ALLOCATED)
		return "tail of an allocated block";
	return "double free";
}

/* Report a caller's mistake. Nothing has been changed. Releases the lock. */
static _Noreturn void
bad_free(struct buddy *buddy, pfn_t pfn, unsigned order, irqflags_t flags)
{
	const char *mistake = free_mistake(buddy, pfn);
	const struct page *head = NULL;

	if (pfn >= buddy->first && pfn < buddy->end && pfn_to_page(pfn)->state != PAGE_RESERVED)
		head = block_head(pfn);
	spin_unlock_irqrestore(&buddy->lock, flags);

	if (head)
		panic("buddy: %s: frame %#lx, order %u, lies in the %s block %#lx of order %u",
		      mistake, (unsigned long)pfn, order,
		      head->state == PAGE_FREE ? "free" : "allocated",
		      (unsigned long)page_to_pfn(head), head->order);
	panic("buddy: %s: frame %#lx, order %u", mistake, (unsigned long)pfn, order);
}

void
buddy_free(struct buddy *buddy, struct page *page, unsigned order)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);

	if (unlikely(!is_allocated_block(buddy, page_to_pfn(page), order)))
		bad_free(buddy, page_to_pfn(page), order, flags);
	buddy_validate_locked(buddy);
	take_back(buddy, page, order);
	merge_block(buddy, page, order);
	buddy_validate_locked(buddy);
	spin_unlock_irqrestore(&buddy->lock, flags);
}

void
buddy_free_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);
	unsigned order;

	/* All of it is checked before any of it is freed. */
	if (first < buddy->first)
		bad_free(buddy, first, 0, flags);
	if (end > buddy->end)
		bad_free(buddy, buddy->end, 0, flags);
	for (pfn_t pfn = first; pfn < end; pfn += 1ul << order) {
		order = MIN(pfn_to_page(pfn)->order, piece_order(pfn, end));
		if (!is_allocated_block(buddy, pfn, order))
			bad_free(buddy, pfn, order, flags);
	}
	buddy_validate_locked(buddy);
	for (pfn_t pfn = first; pfn < end; pfn += 1ul << order) {
		order = pfn_to_page(pfn)->order;
		take_back(buddy, pfn_to_page(pfn), order);
		merge_block(buddy, pfn_to_page(pfn), order);
	}
	buddy_validate_locked(buddy);
	spin_unlock_irqrestore(&buddy->lock, flags);
}
