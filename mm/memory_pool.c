/* SPDX-License-Identifier: MIT */
/*
 * Memory pools: a request that must not fail does not fail.
 *
 * PROBLEM. To free memory the kernel sometimes needs memory: a request to the disk that a page
 * is written out with, a node of a tree. If that request can fail, or waits for memory that
 * only its own completion would free, the machine stands still.
 *
 * IDEA (Molnar 2001, for Linux). Set a few elements aside in time. As long as memory is to be
 * had, take fresh elements; in need take one of the reserve; and if that is empty wait, not
 * for memory but for an element of this very pool to be given back, which will happen, because
 * those who have one can finish without another.
 *
 *	             1. fresh              2. in need        3. in line
 *	alloc_fn ------------> caller <------ reserve          waiter, waiter, ...
 *	                         |               ^               ^
 *	free_fn <----------------+---------------+---------------+
 *	             3. the rest    2. refill        1. the first who waits
 *
 * GUARANTEE. nr + lent >= minimum always: what the reserve gave away comes back to it before
 * anything goes to free_fn. So while at most minimum elements are outstanding, and so at most
 * minimum are lent, one who waits is served, even if alloc_fn never gives anything again.
 *
 * ORDER. Who waits is served in the order of arrival. An element that is given back goes to
 * the first of them, in the hand of who frees it: no newcomer finds it in the reserve, which is
 * empty as long as anybody waits. A newcomer that may wait and got a fresh element while others
 * wait passes it on to the first of them, and waits behind the last. One that may not wait
 * cannot stand in line; it keeps what alloc_fn gave it, and never touches what others wait for.
 *
 * SIZE. The reserve tries to hold target elements, minimum <= target <= mempool_limit(). The
 * demand at a moment is lent + waiting: so many elements the reserve would have needed.
 *
 *	up      when the demand exceeds target, target becomes the demand, at most the limit.
 *	        Nothing is allocated for that: elements given back are kept until target is reached.
 *	down    peak is the greatest demand of a period of MEMPOOL_PERIOD frees. If it was below
 *	        target, target goes half the way down to it, not below minimum; what the reserve
 *	        has above target goes to free_fn.
 *
 * A pool that is used no more has no periods; mempool_shrink() takes it down to minimum.
 *
 * INVARIANTS, which mempool_check() recomputes:
 *	- nr + lent >= minimum; lent <= outstanding;
 *	- somebody waits only if the reserve is empty;
 *	- no element is in the reserve twice, or both there and outstanding.
 *
 * DETECTED. Any build: freeing more than was given out. Debug builds: freeing an element that
 * lies in the reserve, belongs to another pool, or was never given out or given back already;
 * writing to the first page of an element in the reserve, if the pool knows its size. Not: the
 * second free of an element that its first free gave to another caller, who has it now; the
 * use of an element after free_fn had it. While memory for the set of outstanding elements is
 * short, an unknown element may be believed (element_set.c).
 *
 * LOCKING. The pool's lock guards everything and is never held around alloc_fn and free_fn.
 *
 * LEFT OUT. Who waits does not look whether memory is to be had again meanwhile: another
 * request that finds some passes it on.
 */
#include <errno.h>
#include <panic.h>
#include <printk.h>
#include <reclaim.h>
#include <string.h>

#include "memory_pool_internal.h"

#define MEMPOOL_PERIOD	  64  /* frees */
#define MEMPOOL_MAX_EXTRA 128 /* elements beyond the guarantee */

size_t
mempool_limit(size_t minimum)
{
	return minimum + MIN(3 * minimum, MEMPOOL_MAX_EXTRA);
}

/* ---- Size ------------------------------------------------------------------- */

/* Note the demand, with extra requests that were turned away; raise target if it is too low. */
static void
note_demand_locked(mempool_t *pool, size_t extra)
{
	size_t demand = pool->lent + pool->stats.waiting + extra;
	size_t target = MIN(demand, mempool_limit(pool->minimum));

	assert_held(&pool->lock);
	pool->peak = MAX(pool->peak, demand);
	if (target <= pool->target)
		return;
	pool->stats.nr_grown += target - pool->target;
	pool->target = target;
}

/* Count a free. At the end of a period lower target towards the period's peak. */
static void
grow_older_locked(mempool_t *pool)
{
	size_t needed = MAX(pool->peak, pool->minimum);

	assert_held(&pool->lock);
	if (++pool->age < MEMPOOL_PERIOD)
		return;
	if (needed < pool->target)
		pool->target -= (pool->target - needed + 1) / 2;
	pool->peak = pool->lent + pool->stats.waiting;
	pool->age = 0;
}

/* Give away what the reserve holds beyond target. Returns how many elements that were. */
static size_t
release_surplus(mempool_t *pool)
{
	size_t released = 0;

	for (;;) {
		irqflags_t flags = spin_lock_irqsave(&pool->lock);
		bool surplus = pool->nr > pool->target;
		void *element = surplus ? pool->reserve[--pool->nr] : NULL;

		pool->stats.nr_shrunk += surplus;
		spin_unlock_irqrestore(&pool->lock, flags);
		if (!surplus)
			return released;
		mempool_check_poison(pool, element);
		pool->free_fn(element, pool->pool_data);
		released++;
	}
}

/* ---- Elements on their way ------------------------------------------------------ */

/* An element leaves the pool for a caller. */
static void
give_out_locked(mempool_t *pool, void *element)
{
	assert_held(&pool->lock);
	pool->stats.outstanding++;
	if (POOL_CHECKS)
		element_set_insert(&pool->out, element);
}

/* An element comes back from a caller. Returns false, with nothing changed, if it cannot. */
static bool
take_back_locked(mempool_t *pool, void *element)
{
	assert_held(&pool->lock);
	if (pool->stats.outstanding == 0)
		return false;
	if (POOL_CHECKS && pool->out.untracked && mempool_in_reserve_locked(pool, element))
		return false;
	if (POOL_CHECKS && !element_set_remove(&pool->out, element))
		return false;
	pool->stats.outstanding--;
	return true;
}

/* Hand an element to the first who waits. */
static void
serve_first_locked(mempool_t *pool, void *element)
{
	struct mempool_waiter *first =
	    list_first_entry(&pool->waiters, struct mempool_waiter, link);

	assert_held(&pool->lock);
	list_del(&first->link);
	pool->stats.waiting--;
	give_out_locked(pool, element);
	first->element = element;
	wake_one(&pool->queue); /* in the order of arrival as well, so it is the same thread */
}

static void *
take_reserve_locked(mempool_t *pool)
{
	void *element = pool->reserve[--pool->nr];

	assert_held(&pool->lock);
	pool->lent++;
	pool->stats.nr_reserve++;
	note_demand_locked(pool, 0);
	give_out_locked(pool, element);
	return element;
}

/* Wait at the end of the line until an element is handed over. Returns it. */
static void *
wait_in_line_locked(mempool_t *pool)
{
	struct mempool_waiter waiter = { .element = NULL };

	assert_held(&pool->lock);
	list_add_tail(&waiter.link, &pool->waiters);
	pool->stats.waiting++;
	pool->stats.longest_queue = MAX(pool->stats.longest_queue, pool->stats.waiting);
	note_demand_locked(pool, 0);
	while (!waiter.element)
		wait_on(&pool->queue, &pool->lock);
	pool->stats.nr_waited++;
	return waiter.element;
}

/* Ask alloc_fn, which must not wait. */
static void *
fresh_element(mempool_t *pool, gfp_t gfp)
{
	bool strikes = false;

	if (unlikely(__atomic_load_n(&pool->faults.every, __ATOMIC_RELAXED) != 0)) {
		irqflags_t flags = spin_lock_irqsave(&pool->lock);

		strikes = fault_strikes(&pool->faults);
		spin_unlock_irqrestore(&pool->lock, flags);
	}
	if (strikes)
		return NULL;
	return pool->alloc_fn(gfp & GFP_ATOMIC ? GFP_ATOMIC : GFP_NOWAIT, pool->pool_data);
}

/* ---- The public face -------------------------------------------------------------- */

mempool_t *
mempool_create(int min_nr, mempool_alloc_t *alloc_fn, mempool_free_t *free_fn, void *pool_data)
{
	mempool_t *pool;

	if (min_nr < 1 || !alloc_fn || !free_fn)
		panic("mempool: cannot guarantee %d elements%s", min_nr,
		      alloc_fn && free_fn ? "" : " without functions that make and free them");

	pool = kmalloc(sizeof(*pool), GFP_ZERO);
	if (!pool)
		goto no_pool;
	spin_init(&pool->lock, "mempool", RANK_SLAB);
	list_init(&pool->waiters);
	wait_queue_init(&pool->queue);
	pool->alloc_fn = alloc_fn;
	pool->free_fn = free_fn;
	pool->pool_data = pool_data;
	pool->minimum = pool->target = (size_t)min_nr;
	pool->nr_slots = mempool_limit(pool->minimum);
	pool->reserve = kmalloc(pool->nr_slots * sizeof(void *), GFP_KERNEL);
	if (!pool->reserve)
		goto no_reserve;
	if (POOL_CHECKS && element_set_init(&pool->out) != 0)
		goto no_set;

	while (pool->nr < pool->minimum) {
		void *element = alloc_fn(GFP_KERNEL, pool_data);

		if (!element)
			goto no_element;
		pool->reserve[pool->nr++] = element;
	}
	pool_register(&pool->entry, &mempool_kind, "");
	return pool;

no_element:
	while (pool->nr > 0)
		free_fn(pool->reserve[--pool->nr], pool_data);
	if (POOL_CHECKS)
		element_set_fini(&pool->out);
no_set:
	kfree(pool->reserve);
no_reserve:
	kfree(pool);
no_pool:
	return NULL;
}

void
mempool_destroy(mempool_t *pool)
{
	irqflags_t flags;
	uint64_t outstanding;

	if (!pool)
		return;
	flags = spin_lock_irqsave(&pool->lock);
	outstanding = pool->stats.outstanding;
	spin_unlock_irqrestore(&pool->lock, flags);
	if (outstanding) {
		kprintf("mempool: pool %u is not destroyed: %lu elements are outstanding\n",
			pool->entry.number, (unsigned long)outstanding);
		return;
	}
	pool_unregister(&pool->entry);
	while (pool->nr > 0) {
		void *element = pool->reserve[--pool->nr];

		mempool_check_poison(pool, element);
		pool->free_fn(element, pool->pool_data);
	}
	if (POOL_CHECKS)
		element_set_fini(&pool->out);
	kfree(pool->reserve);
	kfree(pool);
}

void *
mempool_alloc(mempool_t *pool, gfp_t gfp)
{
	bool may_wait = !(gfp & (GFP_NOWAIT | GFP_ATOMIC));
	bool reserved = false, crowded;
	irqflags_t flags;
	void *element;

	if (gfp & GFP_ZERO)
		panic("mempool: GFP_ZERO, but an element of the reserve is not cleared");
	DEBUG_ASSERT(!may_wait || arch_irqs_enabled());

	element = fresh_element(pool, gfp);
	flags = spin_lock_irqsave(&pool->lock);
	if (element && may_wait && pool->stats.waiting) {
		serve_first_locked(pool, element); /* who came first is served first */
		element = NULL;
	}
	if (element) {
		give_out_locked(pool, element);
	} else if (pool->nr > 0) {
		element = take_reserve_locked(pool);
		reserved = true;
	} else if (may_wait) {
		element = wait_in_line_locked(pool);
	} else {
		note_demand_locked(pool, 1);
	}
	pool->stats.nr_alloc += element != NULL;
	pool->stats.nr_failed += element == NULL;
	crowded = POOL_CHECKS && element_set_crowded(&pool->out);
	spin_unlock_irqrestore(&pool->lock, flags);

	if (crowded)
		mempool_track_more(pool);
	if (reserved)
		mempool_check_poison(pool, element);
	return element;
}

void
mempool_free(void *element, mempool_t *pool)
{
	irqflags_t flags;

	if (!element)
		return;
	flags = spin_lock_irqsave(&pool->lock);
	if (!take_back_locked(pool, element)) {
		spin_unlock_irqrestore(&pool->lock, flags);
		mempool_bad_free(pool, element);
	}
	grow_older_locked(pool);
	if (pool->stats.waiting) {
		serve_first_locked(pool, element); /* it lends what the reserve got back */
		element = NULL;
	} else {
		pool->lent -= pool->lent > 0;
		if (pool->nr < pool->target) {
			mempool_poison(pool, element);
			pool->reserve[pool->nr++] = element;
			element = NULL;
		}
	}
	spin_unlock_irqrestore(&pool->lock, flags);

	if (element) {
		pool->free_fn(element, pool->pool_data);
		release_surplus(pool);
	}
}

/* ---- Changing the size --------------------------------------------------------------- */

/* Guarantee extra elements more: all of them are there before anything changes. */
static int
raise_minimum(mempool_t *pool, size_t extra)
{
	size_t nr_slots = mempool_limit(pool->minimum + extra), got = 0;
	void **reserve = kmalloc(nr_slots * sizeof(void *), GFP_KERNEL), **old;
	irqflags_t flags;

	if (!reserve)
		goto no_reserve;
	for (; got < extra; got++) {
		reserve[got] = pool->alloc_fn(GFP_KERNEL, pool->pool_data);
		if (!reserve[got])
			goto no_element;
		mempool_poison(pool, reserve[got]);
	}

	flags = spin_lock_irqsave(&pool->lock);
	ASSERT_LE(extra + pool->nr, nr_slots);
	memcpy(reserve + extra, pool->reserve, pool->nr * sizeof(void *));
	old = pool->reserve;
	pool->reserve = reserve;
	pool->nr_slots = nr_slots;
	pool->nr += extra;
	pool->minimum += extra;
	pool->target += extra;
	while (pool->stats.waiting && pool->nr > 0) {
		pool->lent++;
		pool->stats.nr_reserve++;
		serve_first_locked(pool, pool->reserve[--pool->nr]);
	}
	spin_unlock_irqrestore(&pool->lock, flags);
	kfree(old);
	return 0;

no_element:
	while (got > 0)
		pool->free_fn(reserve[--got], pool->pool_data);
	kfree(reserve);
no_reserve:
	return -ENOMEM;
}

int
mempool_resize(mempool_t *pool, int new_min)
{
	size_t minimum = (size_t)new_min;
	irqflags_t flags;

	if (new_min < 1)
		panic("mempool: cannot guarantee %d elements", new_min);
	if (minimum > pool->minimum)
		return raise_minimum(pool, minimum - pool->minimum);

	flags = spin_lock_irqsave(&pool->lock);
	pool->target = MIN(pool->target - (pool->minimum - minimum), mempool_limit(minimum));
	pool->minimum = minimum;
	spin_unlock_irqrestore(&pool->lock, flags);
	release_surplus(pool);
	return 0;
}

size_t
mempool_shrink(mempool_t *pool)
{
	irqflags_t flags = spin_lock_irqsave(&pool->lock);

	pool->target = pool->minimum;
	pool->peak = pool->lent + pool->stats.waiting;
	pool->age = 0;
	spin_unlock_irqrestore(&pool->lock, flags);
	return release_surplus(pool);
}

void
mempool_get_stats(mempool_t *pool, struct mempool_stats *stats)
{
	irqflags_t flags = spin_lock_irqsave(&pool->lock);

	*stats = pool->stats;
	stats->reserve = pool->nr;
	stats->target = pool->target;
	stats->minimum = pool->minimum;
	spin_unlock_irqrestore(&pool->lock, flags);
}

void
mempool_set_faults(mempool_t *pool, uint64_t every, uint64_t seed)
{
	irqflags_t flags = spin_lock_irqsave(&pool->lock);

	pool->faults.nr_injected = 0;
	prng_seed(&pool->faults.prng, seed);
	__atomic_store_n(&pool->faults.every, every, __ATOMIC_RELAXED);
	spin_unlock_irqrestore(&pool->lock, flags);
}

/* ---- Elements of known size ------------------------------------------------------------ */

static void *
alloc_bytes(gfp_t gfp, void *size)
{
	return kmalloc((size_t)size, gfp);
}

static void
free_bytes(void *element, void *size)
{
	(void)size;
	kfree(element);
}

static void *
alloc_block(gfp_t gfp, void *order)
{
	return alloc_pages(gfp, (unsigned)(uintptr_t)order);
}

static void
free_block(void *element, void *order)
{
	__free_pages(element, (unsigned)(uintptr_t)order);
}

/* Tell a new pool, if there is one, how large its elements are. */
static mempool_t *
with_size(mempool_t *pool, size_t size, bool elements_are_pages)
{
	if (!pool)
		return NULL;
	pool->poison_bytes = MIN(size, PAGE_SIZE);
	pool->elements_are_pages = elements_are_pages;
	for (size_t i = 0; i < pool->nr; i++)
		mempool_poison(pool, pool->reserve[i]);
	return pool;
}

mempool_t *
mempool_create_kmalloc(int min_nr, size_t size)
{
	return with_size(mempool_create(min_nr, alloc_bytes, free_bytes, (void *)size), size,
			 false);
}

mempool_t *
mempool_create_pages(int min_nr, unsigned order)
{
	return with_size(mempool_create(min_nr, alloc_block, free_block, (void *)(uintptr_t)order),
			 PAGE_SIZE << order, true);
}

/* From the allocator of frames, when these are short. What comes back are free objects first. */
static size_t
reclaim_reserves(size_t nr_frames, gfp_t gfp)
{
	(void)nr_frames;
	(void)gfp;
	(void)mempool_shrink_all();
	return 0;
}
RECLAIMER(pools, reclaim_reserves, RECLAIM_POOLS);
