/* SPDX-License-Identifier: MIT */
/*
 * Another right solution of lab 1: bitmaps in place of lists. Bit n of an order's map is set if
 * the n-th block of that order is free. Over each map lies a summary, one bit for each of its
 * words that is not zero, and so on up to a single word: the first free block at or after a
 * frame is found in a few steps, and the lowest one is taken. All allocators share the maps,
 * since a frame belongs to one of them only; where several share a span, block_owner tells
 * whose a free block is. The lists of struct free_area stay empty.
 */
#include <allocators.h>
#include <errno.h>

#define FRAME_BITS 22 /* frames that the maps have bits for: 16 GiB */
#define NR_LEVELS  4  /* 64^4 > 2^FRAME_BITS */
#define NONE	   (~0ul)

static uint64_t bits[2ul << (FRAME_BITS - 6)]; /* level 0 of all orders */
static uint64_t summaries[NR_ORDERS][NR_LEVELS - 1][1ul << (FRAME_BITS - 12)];
static spinlock_t maps_lock = SPINLOCK_INIT("maps", RANK_DEVICE);

/* ---- The maps: maps_lock is held ------------------------------------------- */

static uint64_t *
words(unsigned order, unsigned level)
{
	/* Each order has half as many bits as the one before. */
	size_t before = (2ul << (FRAME_BITS - 6)) - (2ul << (FRAME_BITS - 6 - order));

	return level == 0 ? bits + before : summaries[order][level - 1];
}

static void
map_set(pfn_t pfn, unsigned order)
{
	size_t at = pfn >> order;

	for (unsigned level = 0; level < NR_LEVELS; level++, at /= 64)
		words(order, level)[at / 64] |= 1ul << at % 64;
}

static void
map_clear(pfn_t pfn, unsigned order)
{
	size_t at = pfn >> order;

	for (unsigned level = 0; level < NR_LEVELS; level++, at /= 64) {
		uint64_t *word = &words(order, level)[at / 64];

		*word &= ~(1ul << at % 64);
		if (*word)
			break;
	}
}

static bool
map_test(pfn_t pfn, unsigned order)
{
	return words(order, 0)[(pfn >> order) / 64] >> (pfn >> order) % 64 & 1;
}

/* The first bit of a level that is set, at or after one. */
static size_t
next_bit(unsigned order, unsigned level, size_t at)
{
	size_t word = at / 64;
	uint64_t here = words(order, level)[word] & ~0ul << at % 64;

	if (!here) {
		/* The top level is one word: nothing can follow. */
		word = level + 1 < NR_LEVELS ? next_bit(order, level + 1, word + 1) : NONE;
		if (word == NONE)
			return NONE;
		here = words(order, level)[word];
	}
	return word * 64 + __builtin_ctzl(here);
}

/* ---- Blocks ---------------------------------------------------------------- */

static void
put(struct buddy *buddy, pfn_t pfn, unsigned order)
{
	ASSERT_LT(pfn, 1ul << FRAME_BITS);
	spin_lock(&maps_lock);
	map_set(pfn, order);
	spin_unlock(&maps_lock);
	pfn_to_page(pfn)->state = PAGE_FREE;
	pfn_to_page(pfn)->order = order;
	buddy->area[order].nr_free++;
	buddy->nonempty |= 1u << order;
}

static void
pull(struct buddy *buddy, pfn_t pfn, unsigned order)
{
	spin_lock(&maps_lock);
	map_clear(pfn, order);
	spin_unlock(&maps_lock);
	pfn_to_page(pfn)->state = PAGE_TAIL;
	if (--buddy->area[order].nr_free == 0)
		buddy->nonempty &= ~(1u << order);
}

static bool
is_free(pfn_t pfn, unsigned order)
{
	bool set;

	spin_lock(&maps_lock);
	set = map_test(pfn, order);
	spin_unlock(&maps_lock);
	return set;
}

static bool
is_own(const struct buddy *buddy, pfn_t pfn)
{
	return !buddy->block_owner ||
	       buddy->block_owner[(pfn - buddy->first) >> MAX_ORDER] == buddy->owner;
}

/* The lowest free block of that order, which there is. */
static pfn_t
lowest(struct buddy *buddy, unsigned order)
{
	size_t at = buddy->first >> order;

	spin_lock(&maps_lock);
	at = next_bit(order, 0, at);
	while (at != NONE && !is_own(buddy, at << order))
		at = next_bit(order, 0, at + 1);
	spin_unlock(&maps_lock);
	ASSERT_LT(at, buddy->end >> order);
	return at << order;
}

static void
merge(struct buddy *buddy, pfn_t pfn, unsigned order)
{
	pfn_to_page(pfn)->state = PAGE_TAIL;
	for (; order < MAX_ORDER && is_free(pfn ^ 1ul << order, order); order++) {
		pull(buddy, pfn ^ 1ul << order, order);
		pfn &= ~(1ul << order);
	}
	put(buddy, pfn, order);
}

static unsigned
piece(pfn_t first, pfn_t end)
{
	unsigned order = MAX_ORDER;

	while (!IS_ALIGNED(first, 1ul << order) || first + (1ul << order) > end)
		order--;
	return order;
}

static void
merge_all(struct buddy *buddy, pfn_t first, pfn_t end)
{
	unsigned order;

	for (; first < end; first += 1ul << order) {
		order = piece(first, end);
		merge(buddy, first, order);
	}
}

static void
own_all(struct buddy *buddy, pfn_t first, pfn_t end)
{
	buddy->frames_free -= end - first;
	if (buddy->frames_managed - buddy->frames_free > buddy->stats.frames_peak)
		buddy->stats.frames_peak = buddy->frames_managed - buddy->frames_free;
	while (first < end) {
		struct page *page = pfn_to_page(first);

		page->order = piece(first, end);
		page->state = PAGE_ALLOCATED;
		buddy->stats.nr_alloc[page->order]++;
		first += 1ul << page->order;
	}
}

/* ---- The interface --------------------------------------------------------- */

void
buddy_init(struct buddy *buddy, const char *name, pfn_t first, pfn_t end)
{
	irqflags_t flags;

	ASSERT(IS_ALIGNED(first | end, MAX_ORDER_FRAMES));
	*buddy = (struct buddy){ .name = name, .first = first, .end = end };
	spin_init(&buddy->lock, name, RANK_BUDDY);
	flags = spin_lock_irqsave(&maps_lock);
	for (unsigned order = 0; order < NR_ORDERS; order++) {
		list_init(&buddy->area[order].list);
		/* What an allocator that was here before has left. */
		for (pfn_t pfn = first; pfn < MIN(end, 1ul << FRAME_BITS); pfn += 1ul << order) {
			if (map_test(pfn, order))
				map_clear(pfn, order);
		}
	}
	spin_unlock_irqrestore(&maps_lock, flags);
}

void
buddy_add_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);

	for (pfn_t pfn = first; pfn < end; pfn++)
		pfn_to_page(pfn)->state = PAGE_TAIL;
	buddy->frames_free += end - first;
	buddy->frames_managed += end - first;
	merge_all(buddy, first, end);
	spin_unlock_irqrestore(&buddy->lock, flags);
}

struct page *
buddy_alloc_exact(struct buddy *buddy, size_t frames)
{
	struct page *page = NULL;
	irqflags_t flags;
	unsigned order, found;

	if (frames == 0 || frames > MAX_ORDER_FRAMES)
		return NULL;
	for (order = 0; 1ul << order < frames; order++)
		;
	flags = spin_lock_irqsave(&buddy->lock);
	for (found = order; found <= MAX_ORDER && buddy->area[found].nr_free == 0; found++)
		;
	if (found <= MAX_ORDER && !fault_strikes(&buddy->faults)) {
		pfn_t pfn = lowest(buddy, found);

		page = pfn_to_page(pfn);
		pull(buddy, pfn, found);
		own_all(buddy, pfn, pfn + frames);
		merge_all(buddy, pfn + frames, pfn + (1ul << found));
	} else {
		buddy->stats.nr_failed++;
	}
	spin_unlock_irqrestore(&buddy->lock, flags);
	return page;
}

struct page *
buddy_alloc(struct buddy *buddy, unsigned order)
{
	ASSERT_LE(order, MAX_ORDER);
	return buddy_alloc_exact(buddy, 1ul << order);
}

/* The order of the free block that holds a frame, or NR_ORDERS. */
static unsigned
free_around(pfn_t pfn)
{
	unsigned order = 0;

	while (order <= MAX_ORDER && !is_free(pfn, order))
		order++;
	return order;
}

static int
take_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	unsigned order;

	if (first >= end || first < buddy->first || end > buddy->end)
		return -EINVAL;
	for (pfn_t pfn = first; pfn < end; pfn = ALIGN_DOWN(pfn, 1ul << order) + (1ul << order)) {
		order = free_around(pfn);
		if (order > MAX_ORDER)
			return -EBUSY;
	}
	for (pfn_t pfn = first, after; pfn < end; pfn = after) {
		pfn_t head;

		order = free_around(pfn);
		head = ALIGN_DOWN(pfn, 1ul << order);
		after = head + (1ul << order);
		pull(buddy, head, order);
		merge_all(buddy, head, MAX(head, first));
		merge_all(buddy, MIN(after, end), after);
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
		own_all(buddy, first, end);
	spin_unlock_irqrestore(&buddy->lock, flags);
	return error;
}

int
buddy_reserve_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);
	int error = take_range(buddy, first, end);

	if (!error) {
		buddy->frames_free -= end - first;
		buddy->frames_managed -= end - first;
		while (first < end)
			pfn_to_page(first++)->state = PAGE_RESERVED;
	}
	spin_unlock_irqrestore(&buddy->lock, flags);
	return error;
}

/* What is wrong with giving that block back; NULL if nothing is. */
static const char *
mistake(const struct buddy *buddy, pfn_t pfn, unsigned order)
{
	const struct page *page;

	if (pfn < buddy->first || pfn >= buddy->end)
		return "not this allocator's frame";
	page = pfn_to_page(pfn);
	if (page->state == PAGE_ALLOCATED)
		return page->order == order ? NULL : "wrong order";
	if (page->state == PAGE_RESERVED)
		return "frame was never given out";
	if (free_around(pfn) <= MAX_ORDER)
		return "double free";
	return "tail of an allocated block";
}

void
buddy_free_range(struct buddy *buddy, pfn_t first, pfn_t end)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);
	unsigned order;

	for (pfn_t pfn = first; pfn < end; pfn += 1ul << order) {
		const char *what;

		order = piece(pfn, end);
		if (pfn < buddy->end)
			order = MIN(order, pfn_to_page(pfn)->order);
		what = mistake(buddy, pfn, order);
		if (!what)
			continue;
		spin_unlock_irqrestore(&buddy->lock, flags);
		panic("buddy: %s: frame %#lx", what, (unsigned long)pfn);
	}
	for (pfn_t pfn = first; pfn < end; pfn += 1ul << order) {
		order = pfn_to_page(pfn)->order;
		buddy->stats.nr_free[order]++;
		merge(buddy, pfn, order);
	}
	buddy->frames_free += end - first;
	spin_unlock_irqrestore(&buddy->lock, flags);
}

void
buddy_free(struct buddy *buddy, struct page *page, unsigned order)
{
	irqflags_t flags = spin_lock_irqsave(&buddy->lock);
	pfn_t pfn = page_to_pfn(page);
	const char *what = mistake(buddy, pfn, order);

	if (!what) {
		buddy->stats.nr_free[order]++;
		buddy->frames_free += 1ul << order;
		merge(buddy, pfn, order);
	}
	spin_unlock_irqrestore(&buddy->lock, flags);
	if (what)
		panic("buddy: %s: frame %#lx, order %u", what, (unsigned long)pfn, order);
}
