/* SPDX-License-Identifier: MIT */
/*
 * Lab 3, graded cases: memory pools. Elements are places in an array; how many of them there
 * are to be had at a moment, the case decides.
 */
#include "lab.h"
#include <memory_pool.h>
#include <thread.h>

#define NR_ELEMENTS 64

static struct {
	uint64_t element[NR_ELEMENTS];
	bool given[NR_ELEMENTS]; /* the pool has it, or a caller */
	unsigned nr_given, most; /* no more than that many are given */
} store;

static void
store_reset(unsigned most)
{
	store = (__typeof__(store)){ .most = most };
}

static void *
fresh(gfp_t gfp, void *data)
{
	uint64_t *element = NULL;

	(void)gfp;
	(void)data;
	for (unsigned i = 0; i < NR_ELEMENTS && store.nr_given < store.most && !element; i++) {
		if (store.given[i])
			continue;
		element = &store.element[i];
		store.given[i] = true;
		store.nr_given++;
	}
	evidence_log(EV_POOL_FRESH, 0, (uintptr_t)element, 0, 0);
	return element;
}

static void
take_back(void *element, void *data)
{
	size_t i = (size_t)((uint64_t *)element - store.element);

	(void)data;
	evidence_log(EV_POOL_RETURN, 0, (uintptr_t)element, 0, 0);
	store.nr_given -= i < NR_ELEMENTS && store.given[i];
	store.given[i % NR_ELEMENTS] = false;
}

static mempool_t *
create(unsigned minimum, unsigned most)
{
	mempool_t *pool;

	store_reset(most);
	pool = mempool_create((int)minimum, fresh, take_back, NULL);
	evidence_log(EV_POOL, minimum, (uintptr_t)pool, 0, 0);
	return pool;
}

static void
destroy(mempool_t *pool)
{
	evidence_log(EV_POOL_DESTROY, 0, (uintptr_t)pool, 0, 0);
	mempool_destroy(pool);
}

static void
give_back(mempool_t *pool, void *element, unsigned who)
{
	evidence_log(EV_POOL_FREE, who, (uintptr_t)element, 0, 0);
	mempool_free(element, pool);
}

/* A pool that cannot guarantee what it should is not made, and keeps nothing. */
KTEST(slab, pool_create)
{
	struct lab *lab = lab3_begin(t);
	unsigned minimum = 1 + (unsigned)prng_below(&t->prng, 16);

	for (unsigned i = 0; i < 8; i++) {
		unsigned most = (unsigned)prng_below(&t->prng, 2 * minimum);
		mempool_t *pool;

		lab3_settle(lab);
		pool = create(minimum, most);
		expect_eq(t, pool != NULL, most >= minimum);
		if (pool)
			destroy(pool);
		lab3_settle(lab);
	}
}

/* As many as are guaranteed can be had, however little there is besides. */
KTEST(slab, pool_guarantee)
{
	unsigned minimum = 2 + (unsigned)prng_below(&t->prng, 8);
	mempool_t *pool = create(minimum, minimum);
	void *held[40];
	unsigned nr = 0;

	assert_true(t, pool != NULL);
	for (unsigned i = 0; i < 2000; i++) {
		/* More, the same, or next to nothing: for a while each. */
		if (i % 50 == 0)
			store.most = (unsigned)prng_below(&t->prng, 2) * NR_ELEMENTS;
		if (prng_below(&t->prng, 20) < (i / 50 % 2 ? 13 : 7)) {
			void *element;

			if (nr == ARRAY_SIZE(held))
				continue;
			element = mempool_alloc(pool, GFP_NOWAIT);
			evidence_log(EV_POOL_ALLOC, 0, (uintptr_t)element, 0, 0);
			if (element)
				held[nr++] = element;
		} else if (nr > 0) {
			unsigned at = (unsigned)prng_below(&t->prng, nr);
			void *element = held[at];

			held[at] = held[--nr];
			give_back(pool, element, 0);
		}
	}
	if (nr > 0)
		destroy(pool); /* is refused */
	while (nr > 0)
		give_back(pool, held[--nr], 0);
	expect_eq(t, mempool_check(pool), 0);
	destroy(pool);
}

#define NR_WAITING 6
#define NO_TICK_NS (1000 * NSEC_PER_SEC) /* longer than any case */

static mempool_t *the_pool;

static void
wait_for_one(void *arg)
{
	unsigned who = (unsigned)(uintptr_t)arg;
	void *element = mempool_alloc(the_pool, GFP_KERNEL);

	evidence_log(EV_POOL_ALLOC, who, (uintptr_t)element, 0, 0);
	thread_yield();
	give_back(the_pool, element, who);
}

/* Who waits is served in the order of arrival. */
KTEST(slab, pool_order)
{
	struct thread *threads[NR_WAITING];
	struct mempool_stats stats;
	unsigned minimum = 1 + (unsigned)prng_below(&t->prng, 3);
	void *held[4];

	/* Without ticks: who has been served is not preempted before it has said so. */
	sched_fuzz_ticks(NO_TICK_NS, NO_TICK_NS, 0);
	the_pool = create(minimum, minimum);
	assert_true(t, the_pool != NULL);
	for (unsigned i = 0; i < minimum; i++) {
		held[i] = mempool_alloc(the_pool, GFP_NOWAIT);
		evidence_log(EV_POOL_ALLOC, 0, (uintptr_t)held[i], 0, 0);
		assert_true(t, held[i] != NULL);
	}
	for (unsigned i = 0; i < NR_WAITING; i++) {
		threads[i] = thread_create("waiter", wait_for_one, (void *)(i + 1ul), CPU_ANY);
		assert_true(t, threads[i] != NULL);
		do {
			thread_yield();
			mempool_get_stats(the_pool, &stats);
		} while (stats.waiting != i + 1);
	}
	/* There is enough now, but who waits has not asked for it. */
	store.most = prng_below(&t->prng, 2) ? NR_ELEMENTS : minimum;
	for (unsigned i = 0; i < minimum; i++)
		give_back(the_pool, held[i], 0);
	for (unsigned i = 0; i < NR_WAITING; i++)
		thread_join(threads[i]);
	sched_fuzz_ticks(0, 0, 0);
	expect_eq(t, mempool_check(the_pool), 0);
	destroy(the_pool);
}
