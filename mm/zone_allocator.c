/* SPDX-License-Identifier: MIT */
/*
 * Zones: the right frames for a request, and enough of them left for the next.
 *
 * PROBLEM. Frames are not alike. An old device reaches only the first 16 MiB; the kernel reads
 * and writes only what its direct map holds; a frame that cannot be moved spoils the place it
 * lies in. And if the last frame may go to anybody, it is gone when an interrupt handler needs
 * one and cannot wait.
 *
 * IDEA. The memory of a node is cut into zones. A request names the highest zone that suits it
 * and takes what it gets there, else from the next lower one:
 *
 *	DMA <---------- Normal <---------- High <---------- Movable
 *	          GFP_KERNEL begins here       GFP_USER begins here
 *
 * Each zone has marks: numbers of frames that must stay free. How far down a request may go
 * depends on how badly it needs the frame:
 *
 *	nr_free
 *	   |        everybody
 *	  high ---- reclaim has done enough
 *	  low  ---- from here on look into lower zones first, and let reclaim begin
 *	  min  ---- only who cannot wait: GFP_ATOMIC
 *	  min/2 --- only who cannot go on: GFP_NOFAIL
 *	   0
 *
 * and, lest requests that would be served elsewhere eat up a low zone, each zone keeps a
 * reserve against those that prefer a higher one, in proportion to how much there is of that.
 * (Gorman, Understanding the Linux Virtual Memory Manager, 2004, chapters 2 and 6)
 *
 * A request, from the cheapest attempt to the last:
 *
 *	1  the CPU's list of the preferred zone                 no lock
 *	2  every zone in turn, down to its mark low
 *	3  every zone in turn, down to the mark that the flags allow
 *	4  if it may wait: empty all lists, ask for reclaim, compact; then 3 again
 *
 * LOCKING. zone->lock guards a zone; nr_free may be read without it, as a hint. Steps 1 to 3
 * never sleep, step 4 does.
 */
#include <arch.h>
#include <errno.h>
#include <reclaim.h>
#include <thread.h>
#include <zone.h>

/* ---- What a request may use ------------------------------------------------------- */

/* Each pair or group excludes the others: a request has at most one flag of each. */
static const struct {
	gfp_t flags;
	const char *why;
} choices[] = {
	{ GFP_NOWAIT | GFP_ATOMIC | GFP_NOFAIL, "how long to wait" },
	{ GFP_NOWAIT | GFP_ATOMIC | GFP_NORETRY, "how hard to try" },
	{ GFP_NOFAIL | GFP_NORETRY, "whether it may fail" },
	{ GFP_DMA | GFP_HIGHMEM, "which zone" },
	{ GFP_DMA | GFP_MOVABLE, "whether it stays where devices reach it" },
	{ GFP_MOVABLE | GFP_RECLAIMABLE, "how it can be got out of the way" },
};

struct gfp_route
gfp_route(gfp_t gfp)
{
	struct gfp_route route = { .zone = ZONE_NORMAL, .mobility = UNMOVABLE };

	if (gfp >> NR_GFP_BITS)
		panic("zone: unknown flags: %#x", gfp);
	for (unsigned i = 0; i < ARRAY_SIZE(choices); i++) {
		gfp_t chosen = gfp & choices[i].flags;

		if (chosen & (chosen - 1))
			panic("zone: flags contradict each other: %#x: %s", gfp, choices[i].why);
	}
	if (gfp & GFP_MOVABLE)
		route.mobility = MOVABLE;
	else if (gfp & GFP_RECLAIMABLE)
		route.mobility = RECLAIMABLE;
	if (gfp & GFP_DMA)
		route.zone = ZONE_DMA;
	else if (gfp & GFP_HIGHMEM)
		route.zone = gfp & GFP_MOVABLE ? ZONE_MOVABLE : ZONE_HIGH;
	return route;
}

/* ---- Marks ------------------------------------------------------------------------- */

/*
 * A zone keeps 1/ratio of all that lies in higher zones, from requests that prefer those. The
 * lower a zone, the more there is above it, and the fewer requests have no other choice.
 */
static const unsigned reserve_ratio[NR_ZONES] = {
	[ZONE_DMA] = 256,
	[ZONE_NORMAL] = 32,
	[ZONE_HIGH] = 32,
	[ZONE_MOVABLE] = 32,
};

void
zone_set_marks_locked(struct zone *zone, size_t min)
{
	size_t above = 0;

	assert_held(&zone->lock);
	zone->mark[MARK_MIN] = min;
	zone->mark[MARK_LOW] = min + min / 4;
	zone->mark[MARK_HIGH] = min + min / 2;
	for (unsigned preferred = 0; preferred < NR_ZONES; preferred++) {
		if (preferred > zone->type)
			above += zone->node->zone[preferred].nr_managed;
		zone->reserve[preferred] = above / reserve_ratio[zone->type];
	}
}

size_t
zone_mark(const struct zone *zone, gfp_t gfp, enum watermark mark)
{
	size_t frames = zone->mark[mark];

	return gfp & GFP_ATOMIC ? frames / 2 : frames;
}

bool
zone_allows(const struct zone *zone, unsigned order, size_t mark, zone_type_t preferred)
{
	size_t free = __atomic_load_n(&zone->nr_free, __ATOMIC_RELAXED);

	return free >= (1ul << order) + mark + zone->reserve[preferred];
}

/* ---- Allocation --------------------------------------------------------------------- */

/* Take a block from a zone past the CPUs' lists, if mark allows it. */
static struct page *
take_from_zone(struct zone *zone, struct gfp_route route, unsigned order, size_t mark)
{
	irqflags_t flags = spin_lock_irqsave(&zone->lock);
	struct page *page = NULL;

	if (zone_allows(zone, order, mark, route.zone))
		page = zone_take_locked(zone, route.mobility, order);
	if (page) {
		page->lent = (uint8_t)lent_mark(order);
		zone->events.nr_alloc[order]++;
		zone_account_locked(zone, 1l << order);
	}
	spin_unlock_irqrestore(&zone->lock, flags);
	return page;
}

static void
count_fallback(struct zone *zone)
{
	irqflags_t flags = spin_lock_irqsave(&zone->lock);

	zone->events.nr_fallback++;
	spin_unlock_irqrestore(&zone->lock, flags);
}

/* Steps 1 to 3: each zone in turn, from the preferred one downwards, as far as mark. */
static struct page *
try_zones(struct node *node, gfp_t gfp, struct gfp_route route, unsigned order, enum watermark mark)
{
	for (unsigned z = route.zone + 1; z-- > 0;) {
		struct zone *zone = &node->zone[z];
		size_t frames = zone_mark(zone, gfp, mark);
		struct page *page;

		if (zone->nr_managed == 0)
			continue;
		if (order < CPU_LIST_ORDERS) {
			page = cpu_list_alloc(node, group_number(z, route.mobility), order);
			if (!page)
				page = cpu_list_refill(zone, route, order, frames);
		} else {
			page = take_from_zone(zone, route, order, frames);
		}
		if (!page)
			continue;
		if (z != route.zone && node->zone[route.zone].nr_managed > 0)
			count_fallback(zone);
		return page;
	}
	return NULL;
}

/* The last frames there are, for who cannot go on without: no marks, no reserves. */
static struct page *
take_any(struct node *node, struct gfp_route route, unsigned order)
{
	for (unsigned z = route.zone + 1; z-- > 0;) {
		struct gfp_route here = { .zone = z, .mobility = route.mobility };
		struct page *page;

		page = take_from_zone(&node->zone[z], here, order, 0);
		if (page)
			return page;
	}
	return NULL;
}

/* Step 4. */
bool
node_make_room(struct node *node, gfp_t gfp, struct gfp_route route, unsigned order)
{
	bool to_the_last = gfp & GFP_NOFAIL;
	size_t reclaimed;

	node_drain_lists(node);
	reclaimed = reclaim_frames(1ul << order, gfp);
	if (reclaimed > 0 && order > 0)
		node_drain_lists(node); /* where single frames do not come together */
	for (unsigned z = route.zone + 1; order > 0 && z-- > 0;) {
		struct zone *zone = &node->zone[z];
		size_t mark = to_the_last ? 0 : zone->mark[MARK_MIN];

		/* Moving does not make more frames free than there are. */
		if (zone_allows(zone, order, mark, to_the_last ? z : route.zone) &&
		    compact_zone(zone, order))
			return true;
	}
	return reclaimed > 0;
}

/* Wait for frames, as long as the flags want. */
static struct page *
wait_for_frames(struct node *node, gfp_t gfp, struct gfp_route route, unsigned order)
{
	bool forever = gfp & GFP_NOFAIL;
	unsigned rounds = gfp & GFP_NORETRY ? 1 : MAX_ROUNDS;

	for (unsigned round = 0; forever || round < rounds; round++) {
		bool progress = node_make_room(node, gfp, route, order);
		struct page *page = try_zones(node, gfp, route, order, MARK_MIN);

		if (!page && forever)
			page = take_any(node, route, order);
		if (page)
			return page;
		if (!progress && !forever)
			break;
		if (!progress)
			thread_sleep_ns(NOFAIL_NAP_NS);
	}
	return NULL;
}

/* Is this request to fail, for a test? */
bool
injected_failure(struct node *node, gfp_t gfp)
{
	spinlock_t *lock = &node->zone[0].lock;
	irqflags_t flags;
	bool fails;

	if (likely(node->faults.every == 0) || gfp & GFP_NOFAIL)
		return false;
	flags = spin_lock_irqsave(lock);
	fails = (!node->faults_of || node->faults_of == thread_current()) &&
		fault_strikes(&node->faults);
	spin_unlock_irqrestore(lock, flags);
	return fails;
}

/*
 * The route of a request. That of flags that were seen before is kept in a table, which
 * node_alloc() looks into as well; whoever is first enters it.
 */
static struct gfp_route
known_route(struct node *node, gfp_t gfp)
{
	struct gfp_route route;
	irqflags_t flags;
	unsigned known = 0; /* group + 1 */

	if (gfp < ARRAY_SIZE(node->known_group))
		known = __atomic_load_n(&node->known_group[gfp], __ATOMIC_RELAXED);
	if (known > 0) {
		route.zone = (known - 1) / NR_MOBILITIES;
		route.mobility = (known - 1) % NR_MOBILITIES;
		return route;
	}
	route = gfp_route(gfp);
	/* Under the lock of node_set_faults(), which empties the table. */
	flags = spin_lock_irqsave(&node->zone[0].lock);
	if (node->faults.every == 0)
		__atomic_store_n(&node->known_group[gfp],
				 (uint8_t)(group_number(route.zone, route.mobility) + 1),
				 __ATOMIC_RELAXED);
	spin_unlock_irqrestore(&node->zone[0].lock, flags);
	return route;
}

/* Every request takes the slow way for once, where it is looked whether it is to fail. */
static void
forget_groups_locked(struct node *node)
{
	assert_held(&node->zone[0].lock);
	for (size_t i = 0; i < ARRAY_SIZE(node->known_group); i++)
		__atomic_store_n(&node->known_group[i], 0, __ATOMIC_RELAXED);
}

void
node_set_faults(struct node *node, uint64_t every, uint64_t seed)
{
	irqflags_t flags = spin_lock_irqsave(&node->zone[0].lock);

	forget_groups_locked(node);
	fault_set(&node->faults, every, seed);
	node->faults_of = NULL;
	spin_unlock_irqrestore(&node->zone[0].lock, flags);
}

void
node_set_nth_fault(struct node *node, const struct thread *thread, uint64_t nth)
{
	irqflags_t flags = spin_lock_irqsave(&node->zone[0].lock);

	forget_groups_locked(node);
	fault_set_nth(&node->faults, nth);
	node->faults_of = nth > 0 ? thread : NULL;
	spin_unlock_irqrestore(&node->zone[0].lock, flags);
}

void
zone_count_failure(struct zone *zone)
{
	irqflags_t flags = spin_lock_irqsave(&zone->lock);

	zone->events.nr_failed++;
	spin_unlock_irqrestore(&zone->lock, flags);
}

struct page *
node_alloc_slowly(struct node *node, gfp_t gfp, unsigned order)
{
	struct gfp_route route = known_route(node, gfp);
	struct page *page = NULL;

	ASSERT_LE(order, MAX_ORDER);
	ASSERT(gfp & GFP_NO_WAIT || arch_irqs_enabled());
	if (!injected_failure(node, gfp)) {
		page = try_zones(node, gfp, route, order, MARK_LOW);
		if (!page)
			page = try_zones(node, gfp, route, order, MARK_MIN);
		if (!page && !(gfp & GFP_NO_WAIT))
			page = wait_for_frames(node, gfp, route, order);
	}
	if (!page)
		zone_count_failure(&node->zone[route.zone]);
	return page;
}

/* ---- Giving back ---------------------------------------------------------------------- */

/* Does a frame lie inside a free block, not at its beginning? */
static bool
in_free_block(pfn_t pfn)
{
	for (unsigned order = 1; order <= MAX_ORDER; order++) {
		const struct page *head = pfn_to_page(ALIGN_DOWN(pfn, 1ul << order));

		if (head->state != PAGE_TAIL)
			return head->state == PAGE_FREE;
	}
	return false;
}

/* Say what is wrong with a block that is given back. */
static _Noreturn __attribute__((noinline)) void
bad_free(struct zone *zone, struct page *page, unsigned order)
{
	pfn_t pfn = page_to_pfn(page);

	if (pfn < zone->first || pfn >= zone->end || page->state == PAGE_RESERVED)
		panic("zone: frame was never given out: frame %#lx, order %u", (unsigned long)pfn,
		      order);
	if (page->lent == LENT_RUN)
		panic("zone: part of a run: frame %#lx was not given out as a block of order %u",
		      (unsigned long)pfn, order);
	if (page->lent != 0)
		panic("zone: wrong order: frame %#lx was given out with order %u, not %u",
		      (unsigned long)pfn, page->order, order);
	/* A block that was given back may be a part of a larger one by now. */
	if (page->state == PAGE_TAIL && !in_free_block(pfn))
		panic("zone: inside a block: frame %#lx, order %u", (unsigned long)pfn, order);
	panic("zone: double free: frame %#lx, order %u", (unsigned long)pfn, order);
}

void
node_free_slowly(struct node *node, struct page *page, unsigned order)
{
	struct zone *zone = node_zone_of(node, page);
	irqflags_t flags;

	if (order > MAX_ORDER || page->lent != lent_mark(order))
		bad_free(zone, page, order);
	page->lent = 0;
	flags = spin_lock_irqsave(&zone->lock);
	zone->events.nr_free[order]++;
	zone_give_locked(zone, page, order);
	zone_account_locked(zone, -(1l << order));
	spin_unlock_irqrestore(&zone->lock, flags);
}
