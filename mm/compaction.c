/* SPDX-License-Identifier: MIT */
/*
 * Compaction: making a large free block by moving what lies in the way.
 *
 * PROBLEM. Half of memory may be free, and yet no large block of it: every aligned run of
 * frames has something in it.
 *
 * IDEA. If what lies there can be moved, one run is chosen and emptied: the one that costs least,
 * by the number of frames that have to be moved. First its free frames are taken, so that
 * nobody else gets them; then each block in use is copied to a free block elsewhere and its
 * owner told; at last all of the run is given back, and is one free block.
 *
 *	before    m . m m   . . m .   u m . .   m m . m      (order 2; m can move, u cannot)
 *	cost        3         1         -         3
 *	taken     m . m m   # # m #   u m . .   m m . m
 *	moved     m m m m   # # # #   u m . .   m m . m
 *	after     m m m m  [ free  ]  u m . .   m m . m
 *
 * Unlike a sweep over all of memory (two scanners that meet) this moves no more than what one
 * request needs, and its cost is known before it begins.
 *
 * MOVERS. Only the owner of a block knows who holds its address, so the owner moves it, through
 * a struct page_mover that it set on the block. page->use says who may touch the block:
 *
 *	        page_set_mover()             compaction
 *	NONE  ------------------> MOVABLE <--------------> MOVING --> TAKEN (moved away)
 *	      <------------------
 *	        page_clear_mover()
 *
 * Each change is one atomic exchange, so the two never both have it. An owner that finds its
 * block MOVING lets go of its lock, under which move() changes its references, and looks again.
 *
 * LOCKING. zone->lock is held to look at the run and to take and give blocks, not while a block
 * is moved: movers may sleep. compact_lock lets one thread compact at a time.
 */
#include <errno.h>
#include <thread.h>
#include <zone.h>

/* enum page_use of blocks that compaction has in hand, beyond those of other owners. */
enum {
	USE_MOVING = 0x40, /* being copied; and its copy */
	USE_TAKEN = 0x41,  /* a part of the run that is empty already */
};

/* How long to wait for another thread that compacts. */
#define NAP_NS	 (100 * NSEC_PER_USEC)
#define MAX_NAPS 100

static spinlock_t compact_lock = SPINLOCK_INIT("compact", RANK_MODULE);
static bool compacting; /* (l) compact_lock */

/* ---- Owners ------------------------------------------------------------------------ */

static bool
change_use(struct page *page, uint8_t from, uint8_t to)
{
	return __atomic_compare_exchange_n(&page->use, &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

static uint8_t
use_of(const struct page *page)
{
	return __atomic_load_n(&page->use, __ATOMIC_ACQUIRE);
}

static void
set_use(struct page *page, uint8_t use)
{
	__atomic_store_n(&page->use, use, __ATOMIC_RELEASE);
}

void
page_set_mover(struct page *page, const struct page_mover *mover)
{
	DEBUG_ASSERT(page->lent != 0 && use_of(page) == PAGE_USE_NONE);
	page->owner = (uintptr_t)mover;
	set_use(page, PAGE_USE_MOVABLE);
}

bool
page_clear_mover(struct page *page)
{
	return change_use(page, PAGE_USE_MOVABLE, PAGE_USE_NONE);
}

/* ---- Choosing a run ------------------------------------------------------------------ */

/* Does a block begin here? Caller holds zone->lock, or has the block. */
static bool
is_head(const struct page *page)
{
	return page->state == PAGE_FREE || page->state == PAGE_ALLOCATED;
}

/*
 * How many frames must be moved to empty the run [pfn, pfn + 2^order), or SIZE_MAX if that
 * cannot be done or is not less than limit. Caller holds zone->lock.
 */
static size_t
run_cost(struct zone *zone, pfn_t pfn, unsigned order, size_t limit)
{
	pfn_t end = pfn + (1ul << order);
	size_t cost = 0;

	assert_held(&zone->lock);
	while (pfn < end) {
		const struct page *page = pfn_to_page(pfn);

		/* No memory; or a part of a block that is larger than the run. */
		if (!is_head(page) || page->order > order)
			return SIZE_MAX;
		if (page->state == PAGE_ALLOCATED) {
			if (use_of(page) != PAGE_USE_MOVABLE)
				return SIZE_MAX;
			cost += 1ul << page->order;
			if (cost >= limit)
				return SIZE_MAX;
		}
		pfn += 1ul << page->order;
	}
	return cost;
}

/* The first frame of the cheapest run of a zone, or zone->end if there is none. */
static pfn_t
cheapest_run(struct zone *zone, unsigned order)
{
	size_t least = SIZE_MAX;
	pfn_t best = zone->end;
	irqflags_t flags;

	for (pfn_t block = zone->first; block < zone->end; block += MAX_ORDER_FRAMES) {
		/* A page block at a time, so that others get at the zone in between. */
		flags = spin_lock_irqsave(&zone->lock);
		for (pfn_t pfn = block; pfn < block + MAX_ORDER_FRAMES; pfn += 1ul << order) {
			size_t cost = run_cost(zone, pfn, order, least);

			if (cost < least) {
				least = cost;
				best = pfn;
			}
		}
		spin_unlock_irqrestore(&zone->lock, flags);
	}
	return best;
}

/* ---- Emptying it ---------------------------------------------------------------------- */

/* Take a free block of the run. Caller holds zone->lock. */
static void
take_free(struct zone *zone, struct page *page)
{
	pfn_t pfn = page_to_pfn(page);
	unsigned order = page->order;
	int error = buddy_alloc_range(&zone_group_of(zone, pfn)->buddy, pfn, pfn + (1ul << order));

	ASSERT_EQ(error, 0); /* it is free, and zone->lock is held */
	zone_account_locked(zone, 1l << order);
	set_use(page, USE_TAKEN);
}

/*
 * Copy a block that is MOVING elsewhere. Returns 0 with the old block the compaction's, or an
 * error with nothing changed.
 */
static int
move_away(struct zone *zone, struct page *from)
{
	const struct page_mover *mover = (const struct page_mover *)from->owner;
	unsigned order = from->order;
	irqflags_t flags = spin_lock_irqsave(&zone->lock);
	struct page *to = buddy_alloc(&zone->group[MOVABLE].buddy, order);
	int error;

	if (to)
		zone_account_locked(zone, 1l << order);
	spin_unlock_irqrestore(&zone->lock, flags);
	if (!to) {
		set_use(from, PAGE_USE_MOVABLE);
		return -ENOMEM;
	}

	to->owner = from->owner;
	to->lent = from->lent;
	set_use(to, USE_MOVING); /* whoever finds the copy now waits until it is one */
	error = mover->move(from, to, order);
	if (!error) {
		from->lent = 0;
		set_use(to, PAGE_USE_MOVABLE);
		set_use(from, USE_TAKEN);
		return 0;
	}
	to->lent = 0;
	set_use(to, PAGE_USE_NONE);
	set_use(from, PAGE_USE_MOVABLE);
	flags = spin_lock_irqsave(&zone->lock);
	zone_account_locked(zone, -(1l << order));
	zone_give_locked(zone, to, order);
	spin_unlock_irqrestore(&zone->lock, flags);
	return error;
}

/* What comes after the block that begins at pfn. */
static pfn_t
after_block(pfn_t pfn)
{
	const struct page *page = pfn_to_page(pfn);

	return pfn + (is_head(page) ? 1ul << page->order : 1);
}

/* Take whatever is free in the run [first, end). */
static void
take_free_blocks(struct zone *zone, pfn_t first, pfn_t end)
{
	irqflags_t flags = spin_lock_irqsave(&zone->lock);

	for (pfn_t pfn = first; pfn < end; pfn = after_block(pfn)) {
		struct page *page = pfn_to_page(pfn);

		if (page->state == PAGE_FREE && pfn + (1ul << page->order) <= end)
			take_free(zone, page);
	}
	spin_unlock_irqrestore(&zone->lock, flags);
}

/* Move the block at pfn away, unless it is in hand. Returns 0 or an error. */
static int
empty_block(struct zone *zone, pfn_t pfn, pfn_t end)
{
	struct page *page = pfn_to_page(pfn);
	irqflags_t flags;
	int error;

	if (use_of(page) == USE_TAKEN)
		return 0;
	if (!change_use(page, PAGE_USE_MOVABLE, USE_MOVING)) {
		/* Its owner may just have freed it. */
		take_free_blocks(zone, pfn, end);
		return use_of(page) == USE_TAKEN ? 0 : -EBUSY;
	}
	error = move_away(zone, page);
	flags = spin_lock_irqsave(&zone->lock);
	if (!error)
		zone->events.nr_moved += 1ul << page->order;
	spin_unlock_irqrestore(&zone->lock, flags);
	return error;
}

/* Give back those blocks of the run [first, end) that are in hand. */
static void
give_back(struct zone *zone, pfn_t first, pfn_t end)
{
	irqflags_t flags = spin_lock_irqsave(&zone->lock);

	for (pfn_t pfn = first, after; pfn < end; pfn = after) {
		struct page *page = pfn_to_page(pfn);

		after = after_block(pfn); /* the page is a tail once it is back */
		if (use_of(page) != USE_TAKEN)
			continue;
		set_use(page, PAGE_USE_NONE);
		zone_account_locked(zone, -(1l << page->order));
		zone_give_locked(zone, page, page->order);
	}
	spin_unlock_irqrestore(&zone->lock, flags);
}

/* Make the run [first, first + 2^order) a free block. Returns whether it is one. */
static bool
empty_run(struct zone *zone, pfn_t first, unsigned order)
{
	pfn_t end = first + (1ul << order), pfn = first;

	/* All that is free first, or blocks would be moved from one place of it to another. */
	take_free_blocks(zone, first, end);
	while (pfn < end && empty_block(zone, pfn, end) == 0)
		pfn = after_block(pfn);
	give_back(zone, first, end);
	return pfn >= end;
}

/* Returns false if a thread compacts already. */
static bool
set_compacting(bool value)
{
	irqflags_t flags = spin_lock_irqsave(&compact_lock);
	bool changed = compacting != value;

	compacting = value;
	spin_unlock_irqrestore(&compact_lock, flags);
	return changed;
}

/* Is there such a block already? Caller holds zone->lock. */
static bool
has_block(struct zone *zone, unsigned order)
{
	assert_held(&zone->lock);
	for (unsigned mobility = 0; mobility < NR_MOBILITIES; mobility++) {
		if (zone->group[mobility].buddy.nonempty >> order)
			return true;
	}
	return false;
}

bool
compact_zone(struct zone *zone, unsigned order)
{
	irqflags_t flags = spin_lock_irqsave(&zone->lock);
	bool made = has_block(zone, order);
	pfn_t run;

	spin_unlock_irqrestore(&zone->lock, flags);
	if (made)
		return true;
	for (unsigned naps = 0; !set_compacting(true); naps++) {
		if (naps == MAX_NAPS)
			return false; /* it may be this thread: a mover that allocates */
		thread_sleep_ns(NAP_NS);
	}
	run = cheapest_run(zone, order);
	made = run < zone->end && empty_run(zone, run, order);
	set_compacting(false);

	flags = spin_lock_irqsave(&zone->lock);
	if (made)
		zone->events.nr_compacted++;
	else
		zone->events.nr_compact_failed++;
	spin_unlock_irqrestore(&zone->lock, flags);
	return made;
}
