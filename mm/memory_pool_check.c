/* SPDX-License-Identifier: MIT */
/*
 * Memory pools under suspicion: poison, misuse in words, and the checker.
 *
 * Elements carry no header, since a pool does not know what they are. What can be known about
 * one is where it is: in a reserve, outstanding in the set of some pool, or neither. That is
 * enough to name every mistake of freeing, see memory_pool.c for the two exceptions.
 */
#include <arch.h>
#include <page.h>
#include <panic.h>
#include <printk.h>
#include <string.h>

#include "memory_pool_internal.h"

/* ---- Poison ------------------------------------------------------------------------ */

/* The memory of an element whose size is known. */
static uint8_t *
element_bytes(const mempool_t *pool, const void *element)
{
	return pool->elements_are_pages ? page_to_virt(element) : (uint8_t *)element;
}

/* The first byte that is not as it was left, or poison_bytes. */
static size_t
first_changed(const mempool_t *pool, const void *element)
{
	const uint8_t *bytes = element_bytes(pool, element);
	size_t at = 0;

	while (at < pool->poison_bytes && bytes[at] == POISON_POOL_RESERVE)
		at++;
	return at;
}

void
mempool_poison(const mempool_t *pool, void *element)
{
	if (POOL_CHECKS && pool->poison_bytes)
		memset(element_bytes(pool, element), POISON_POOL_RESERVE, pool->poison_bytes);
}

void
mempool_check_poison(const mempool_t *pool, const void *element)
{
	size_t at;

	if (!POOL_CHECKS || !pool->poison_bytes)
		return;
	at = first_changed(pool, element);
	if (at < pool->poison_bytes)
		panic("mempool: element %p was written to while in the reserve of pool %u: "
		      "byte %lu is %#x, not %#x",
		      element, pool->entry.number, (unsigned long)at,
		      element_bytes(pool, element)[at], POISON_POOL_RESERVE);
}

/* ---- Misuse -------------------------------------------------------------------------- */

bool
mempool_in_reserve_locked(const mempool_t *pool, const void *element)
{
	assert_held(&pool->lock);
	for (size_t i = 0; i < pool->nr; i++) {
		if (pool->reserve[i] == element)
			return true;
	}
	return false;
}

void
mempool_track_more(mempool_t *pool)
{
	irqflags_t flags = spin_lock_irqsave(&pool->lock);
	size_t nr_slots = 2 * pool->out.nr_slots;
	void **table;

	spin_unlock_irqrestore(&pool->lock, flags);
	table = element_set_new_table(nr_slots);
	if (!table)
		return;
	flags = spin_lock_irqsave(&pool->lock);
	table = element_set_install(&pool->out, table, &nr_slots);
	spin_unlock_irqrestore(&pool->lock, flags);
	element_set_free_table(table, nr_slots);
}

/* Where an element is, looked for in all pools. */
struct search {
	const void *element;
	mempool_t *found;
	bool in_reserve;
};

static bool
look_in(struct pool_entry *entry, void *arg)
{
	mempool_t *pool = container_of(entry, mempool_t, entry);
	struct search *search = arg;
	irqflags_t flags;
	bool out;

	if (entry->kind != &mempool_kind)
		return true;
	flags = spin_lock_irqsave(&pool->lock);
	search->in_reserve = mempool_in_reserve_locked(pool, search->element);
	out = POOL_CHECKS && element_set_has(&pool->out, search->element);
	spin_unlock_irqrestore(&pool->lock, flags);
	if (search->in_reserve || out)
		search->found = pool;
	return !search->found;
}

void
mempool_bad_free(mempool_t *pool, const void *element)
{
	struct search search = { .element = element };

	pool_for_each(look_in, &search);
	if (search.found == pool && search.in_reserve)
		panic("mempool: double free: element %p lies in the reserve of pool %u", element,
		      pool->entry.number);
	if (search.found)
		panic("mempool: wrong pool: element %p of pool %u is freed into pool %u", element,
		      search.found->entry.number, pool->entry.number);
	panic("mempool: not outstanding: element %p was not given out by pool %u, or was given "
	      "back already",
	      element, pool->entry.number);
}

/* ---- The checker ------------------------------------------------------------------------ */

#define EXPECT(errors, pool, condition)                                                            \
	do {                                                                                       \
		if (!(condition) && (errors)++ < 8)                                                \
			kprintf("check: mempool %u: not so: %s\n", (pool)->entry.number,           \
				#condition);                                                       \
	} while (0)

/* Each element of the reserve: there once, nobody's, and unchanged. */
static unsigned
check_reserve_locked(const mempool_t *pool)
{
	unsigned errors = 0;

	for (size_t i = 0; i < pool->nr; i++) {
		const void *element = pool->reserve[i];

		EXPECT(errors, pool, element != NULL);
		for (size_t j = 0; j < i; j++)
			EXPECT(errors, pool, pool->reserve[j] != element);
		if (!POOL_CHECKS)
			continue;
		EXPECT(errors, pool, !element_set_has(&pool->out, element));
		EXPECT(errors, pool, first_changed(pool, element) == pool->poison_bytes);
	}
	return errors;
}

unsigned
mempool_check(mempool_t *pool)
{
	irqflags_t flags = spin_lock_irqsave(&pool->lock);
	const struct mempool_waiter *waiter;
	unsigned errors = 0;
	size_t waiting = 0;

	list_for_each_entry (waiter, &pool->waiters, link) {
		EXPECT(errors, pool, waiter->element == NULL);
		waiting++;
	}
	EXPECT(errors, pool, waiting == pool->stats.waiting);
	EXPECT(errors, pool, waiting == 0 || pool->nr == 0);
	EXPECT(errors, pool, pool->nr <= pool->nr_slots);
	EXPECT(errors, pool, pool->nr + pool->lent >= pool->minimum);
	EXPECT(errors, pool, pool->lent <= pool->stats.outstanding);
	EXPECT(errors, pool, pool->minimum <= pool->target);
	EXPECT(errors, pool, pool->target <= mempool_limit(pool->minimum));
	if (POOL_CHECKS)
		EXPECT(errors, pool, pool->out.nr + pool->out.untracked == pool->stats.outstanding);
	errors += check_reserve_locked(pool);
	spin_unlock_irqrestore(&pool->lock, flags);
	return errors;
}

/* ---- For the list of all pools -------------------------------------------------------- */

static void
report(struct pool_entry *entry, struct pool_report *report)
{
	mempool_t *pool = container_of(entry, mempool_t, entry);
	struct mempool_stats stats;

	mempool_get_stats(pool, &stats);
	*report = (struct pool_report){
		.in_use = stats.outstanding,
		.kept = stats.reserve,
		.nr_alloc = stats.nr_alloc,
		.nr_failed = stats.nr_failed,
	};
}

static unsigned
check(struct pool_entry *entry)
{
	return mempool_check(container_of(entry, mempool_t, entry));
}

const struct pool_kind mempool_kind = { "mempool", report, check };

static bool
shrink(struct pool_entry *entry, void *nr)
{
	if (entry->kind == &mempool_kind)
		*(size_t *)nr += mempool_shrink(container_of(entry, mempool_t, entry));
	return true;
}

size_t
mempool_shrink_all(void)
{
	size_t nr = 0;

	pool_for_each(shrink, &nr);
	return nr;
}
