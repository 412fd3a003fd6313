/* SPDX-License-Identifier: MIT */
/*
 * Pools under many threads; also built with the thread sanitizer. What threads find wrong they
 * count: host_fail() is not for them.
 */
#include "host.h"
#include "machine.h"
#include "pool_source.h"

#include <memory_pool.h>
#include <panic.h>
#include <percpu.h>
#include <pool_manager.h>
#include <thread.h>

#define MEMORY	   MiB(16)
#define NR_THREADS 6

static struct source source;
static mempool_t *pool;
static unsigned nr_wrong; /* atomic */

#define WRONG_UNLESS(condition)                                                                    \
	((condition) ? 0 : __atomic_add_fetch(&nr_wrong, 1, __ATOMIC_RELAXED))

static struct mempool_stats
stats_now(void)
{
	struct mempool_stats stats;

	mempool_get_stats(pool, &stats);
	return stats;
}

static void
set_up(int min_nr)
{
	machine_start(MEMORY);
	source_reset(&source, (unsigned)min_nr);
	pool = mempool_create(min_nr, source_alloc, source_free, &source);
	nr_wrong = 0;
}

static void
tear_down(void)
{
	CHECK_EQ(nr_wrong, 0);
	CHECK_EQ(mempool_check(pool), 0);
	mempool_destroy(pool);
	CHECK_EQ(source.nr_away, 0);
	CHECK_EQ(source.nr_bad, 0);
	CHECK_EQ(machine_frames_taken(), 0);
}

/* ---- First come, first served ------------------------------------------------------------ */

#define ROUNDS 60

static unsigned turn;	   /* atomic: the thread whose turn it is to ask */
static unsigned nr_served; /* atomic */
static unsigned served[NR_THREADS * ROUNDS];

/* Ask when it is this thread's turn, so that the order of arrival is known: 1, 2, 3 ... */
static void
ask_in_turn(unsigned cpu)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		void *element;

		while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != cpu)
			thread_yield();
		element = mempool_alloc(pool, GFP_KERNEL);
		served[__atomic_fetch_add(&nr_served, 1, __ATOMIC_ACQ_REL)] = cpu;
		/* It was given without the source or the reserve: it is the one of CPU 0. */
		while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != NR_THREADS + cpu)
			thread_yield();
		mempool_free(element, pool);
		__atomic_store_n(&turn, NR_THREADS, __ATOMIC_RELEASE);
	}
}

static void
wait_for_turn(unsigned value)
{
	while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != value)
		thread_yield();
}

/* CPU 0 has the only element. It lets all others ask, then gives them what they wait for. */
static void
conduct(void)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		void *element, *fresh;

		/* Those who waited made the pool keep more, but it is to have one. */
		(void)mempool_shrink(pool);
		element = mempool_alloc(pool, GFP_KERNEL);
		for (unsigned cpu = 1; cpu < NR_THREADS; cpu++) {
			__atomic_store_n(&turn, cpu, __ATOMIC_RELEASE);
			while (stats_now().waiting < cpu)
				thread_yield();
		}
		WRONG_UNLESS(mempool_check(pool) == 0);
		/* In half of the rounds the source gives one: it is not for who came last. */
		if (round % 2) {
			source.nr_left = 1;
			fresh = mempool_alloc(pool, GFP_ATOMIC);
			WRONG_UNLESS(fresh != NULL);
			WRONG_UNLESS(stats_now().waiting == NR_THREADS - 1);
			mempool_free(fresh, pool);
			WRONG_UNLESS(stats_now().waiting == NR_THREADS - 2);
		}
		mempool_free(element, pool);
		for (unsigned cpu = 1; cpu < NR_THREADS; cpu++) {
			while (__atomic_load_n(&nr_served, __ATOMIC_ACQUIRE) <
			       round * (NR_THREADS - 1) + cpu)
				thread_yield();
			/* Nobody overtakes those who wait. */
			if (stats_now().waiting > 0)
				WRONG_UNLESS(mempool_alloc(pool, GFP_NOWAIT) == NULL);
			__atomic_store_n(&turn, NR_THREADS + cpu, __ATOMIC_RELEASE);
			wait_for_turn(NR_THREADS);
		}
	}
}

static void
ask_or_conduct(unsigned cpu, void *arg)
{
	(void)arg;
	if (cpu == 0)
		conduct();
	else
		ask_in_turn(cpu);
}

static void
first_come_first_served(void)
{
	set_up(1);
	turn = nr_served = 0;
	host_run_threads(NR_THREADS, ask_or_conduct, NULL);
	CHECK_EQ(nr_served, ROUNDS * (NR_THREADS - 1));
	/* In odd rounds two have elements at the same time: which one notes it first, is open. */
	for (unsigned i = 0; i < nr_served; i++) {
		unsigned round = i / (NR_THREADS - 1), place = i % (NR_THREADS - 1);

		if (round % 2 == 0)
			CHECK_EQ(served[i], 1 + place);
	}
	CHECK_EQ(stats_now().longest_queue, NR_THREADS - 1);
	CHECK_EQ(stats_now().nr_waited, nr_served);
	tear_down();
}

/* Who may wait and gets a fresh element while others wait passes it on, and waits last. */
static void
pass_it_on(unsigned cpu, void *arg)
{
	void *element;

	(void)arg;
	if (cpu == 0) {
		void *only = mempool_alloc(pool, GFP_KERNEL);

		for (unsigned other = 1; other < 3; other++) {
			__atomic_store_n(&turn, other, __ATOMIC_RELEASE);
			while (stats_now().waiting < other)
				thread_yield();
		}
		source.nr_left = 1;
		__atomic_store_n(&turn, 3, __ATOMIC_RELEASE); /* it gets 3 a fresh one: for 1 */
		while (__atomic_load_n(&nr_served, __ATOMIC_ACQUIRE) < 1 || stats_now().waiting < 2)
			thread_yield();
		mempool_free(only, pool);
		return;
	}
	while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) < cpu)
		thread_yield();
	element = mempool_alloc(pool, GFP_KERNEL);
	served[__atomic_fetch_add(&nr_served, 1, __ATOMIC_ACQ_REL)] = cpu;
	/* The first keeps its element until the others have been served. */
	while (cpu == 1 && __atomic_load_n(&nr_served, __ATOMIC_ACQUIRE) < 3)
		thread_yield();
	mempool_free(element, pool);
}

static void
fresh_elements_are_passed_on(void)
{
	set_up(1);
	turn = nr_served = 0;
	host_run_threads(4, pass_it_on, NULL);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(served[i], i + 1);
	tear_down();
}

/* ---- The guarantee under load ---------------------------------------------------------------- */

#define LOAD_ROUNDS 3000

static unsigned may_hold; /* elements, each thread */

/* Take up to may_hold elements, one after another, then give them back. */
static void
load(unsigned cpu, void *arg)
{
	struct source_element *held[4];
	struct prng prng;

	(void)arg;
	prng_seed(&prng, host_seed * 100 + cpu);
	for (unsigned round = 0; round < LOAD_ROUNDS; round++) {
		unsigned nr = 1 + (unsigned)prng_below(&prng, may_hold);

		for (unsigned i = 0; i < nr; i++) {
			held[i] = mempool_alloc(pool, GFP_KERNEL);
			WRONG_UNLESS(held[i] != NULL);
			held[i]->mark = cpu;
		}
		if (prng_below(&prng, 8) == 0)
			thread_yield();
		if (cpu == 0 && round % 64 == 0)
			WRONG_UNLESS(mempool_check(pool) == 0);
		if (cpu == 1 && round % 100 == 0)
			(void)mempool_shrink_all();
		for (unsigned i = 0; i < nr; i++) {
			WRONG_UNLESS(held[i]->mark == cpu);
			mempool_free(held[i], pool);
		}
	}
}

static void
under_load(int min_nr, unsigned each, unsigned left, unsigned fail_one)
{
	set_up(min_nr);
	source.nr_left = left;
	source.fail_one = fail_one;
	may_hold = each;
	host_run_threads(NR_THREADS, load, NULL);
	CHECK_EQ(stats_now().nr_failed, 0);
}

/* As many as are guaranteed: nobody ever waits. */
static void
enough_for_all(void)
{
	under_load(3 * NR_THREADS, 3, 0, 0);
	CHECK_EQ(stats_now().nr_waited, 0);
	tear_down();
}

/* Fewer: they wait, and all are served. */
static void
too_few_for_all(void)
{
	under_load(2, 1, 0, 0);
	CHECK(stats_now().nr_waited > 0);
	tear_down();
}

/* A source that fails every second time: fresh elements and the reserve in turn. */
static void
a_moody_source(void)
{
	under_load(2, 1, SOURCE_FOREVER, 2);
	CHECK(stats_now().nr_reserve > 0);
	CHECK(stats_now().nr_reserve < stats_now().nr_alloc);
	tear_down();
}

static void
resize_or_load(unsigned cpu, void *arg)
{
	struct prng prng;

	if (cpu != 2) {
		load(cpu, arg);
		return;
	}
	prng_seed(&prng, host_seed);
	for (unsigned i = 0; i < 500; i++)
		(void)(mempool_resize(pool, 1 + (int)prng_below(&prng, 12)) != 0);
}

static void
resizing_under_load(void)
{
	set_up(4);
	source.nr_left = SOURCE_FOREVER;
	source.fail_one = 3;
	may_hold = 1;
	host_run_threads(NR_THREADS, resize_or_load, NULL);
	tear_down();
}

/* ---- The other pools ------------------------------------------------------------------------- */

#define OPS   6000
#define SLOTS 64

static struct fixed_pool *fixed;
static struct percpu_pool *percpu;
static uint64_t *slot[SLOTS]; /* atomic: elements on their way between threads */

static uint64_t *
take(bool from_fixed)
{
	return from_fixed ? fixed_pool_alloc(fixed) : percpu_pool_alloc(percpu, GFP_KERNEL);
}

static void
give(bool to_fixed, uint64_t *element)
{
	if (to_fixed)
		fixed_pool_free(fixed, element);
	else
		percpu_pool_free(percpu, element);
}

/* Put an element into a slot, and free the one that lay there: often another thread's. */
static void
exchange(unsigned cpu, void *arg)
{
	bool use_fixed = arg != NULL;
	struct prng prng;

	prng_seed(&prng, host_seed * 100 + cpu);
	for (unsigned i = 0; i < OPS; i++) {
		uint64_t *mine = prng_below(&prng, 8) ? take(use_fixed) : NULL, *other;

		if (mine)
			mine[0] = mine[3] = (uintptr_t)mine;
		other =
		    __atomic_exchange_n(&slot[prng_below(&prng, SLOTS)], mine, __ATOMIC_ACQ_REL);
		if (!other)
			continue;
		WRONG_UNLESS(other[0] == (uintptr_t)other && other[3] == (uintptr_t)other);
		give(use_fixed, other);
		if (use_fixed && i % 500 == 0)
			WRONG_UNLESS(fixed_pool_check(fixed) == 0);
	}
}

static void
empty_slots(bool use_fixed)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		if (slot[i])
			give(use_fixed, slot[i]);
		slot[i] = NULL;
	}
}

static void
fixed_pool_shared(void)
{
	machine_start(MEMORY);
	nr_wrong = 0;
	fixed = fixed_pool_create("test", 32);
	host_run_threads(NR_THREADS, exchange, &fixed);
	empty_slots(true);
	CHECK_EQ(nr_wrong, 0);
	CHECK_EQ(fixed_pool_check(fixed), 0);
	CHECK_EQ(fixed_pool_destroy(fixed), 0);
	CHECK_EQ(machine_frames_taken(), 0);
}

static void
percpu_pool_shared(size_t limit)
{
	struct percpu_pool_stats stats;

	machine_start(MEMORY);
	nr_wrong = 0;
	percpu = percpu_pool_create("test", 32, limit);
	host_run_threads(NR_THREADS, exchange, NULL);
	empty_slots(false);
	CHECK_EQ(nr_wrong, 0);
	CHECK_EQ(percpu_pool_check(percpu), 0);
	percpu_pool_get_stats(percpu, &stats);
	CHECK_EQ(stats.in_use, 0);
	CHECK(limit == 0 || stats.nr_recalls > 0);
	CHECK(limit != 0 || stats.nr_failed == 0);
	CHECK_EQ(percpu_pool_destroy(percpu), 0);
	CHECK_EQ(machine_frames_taken(), 0);
}

static void
percpu_pool_without_limit(void)
{
	percpu_pool_shared(0);
}

/* Fewer elements than slots: CPUs take from one another all the time. */
static void
percpu_pool_with_limit(void)
{
	percpu_pool_shared(SLOTS / 2);
}

HOST_SUITE(pool_threads, { "first_come_first_served", first_come_first_served },
	   { "fresh_elements_are_passed_on", fresh_elements_are_passed_on },
	   { "enough_for_all", enough_for_all }, { "too_few_for_all", too_few_for_all },
	   { "a_moody_source", a_moody_source }, { "resizing_under_load", resizing_under_load },
	   { "fixed_pool_shared", fixed_pool_shared },
	   { "percpu_pool_without_limit", percpu_pool_without_limit },
	   { "percpu_pool_with_limit", percpu_pool_with_limit });
