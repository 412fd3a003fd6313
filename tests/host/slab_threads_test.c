/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs on one heap, with real threads. Objects wander: who takes one out of the market
 * frees it, wherever it came from. The thread sanitizer sees magazines that two CPUs touch.
 */
#include "host.h"

#include <memory_advanced.h>
#include <page_allocator.h>
#include <slab.h>
#include <string.h>

#define NR_THREADS 4
#define NR_ROUNDS  6000
#define NR_STALLS  64
#define SIZE	   56

static kmem_cache_t *cache;
static void *stall[NR_STALLS]; /* atomic */
static unsigned nr_damaged;    /* atomic; threads may not use CHECK */

static void
look_at(const uint8_t *object)
{
	for (unsigned i = 1; i < SIZE; i++) {
		if (object[i] != object[0])
			__atomic_add_fetch(&nr_damaged, 1, __ATOMIC_RELAXED);
	}
}

/* What a thread does once in a while: what reaches into the magazines of others. */
static void
disturb(struct prng *prng)
{
	switch (prng_below(prng, 4)) {
	case 0:
		kmem_cache_shrink(cache);
		break;
	case 1:
		slab_reclaim(8);
		break;
	case 2:
		if (slab_check(cache) || slab_check_all())
			__atomic_add_fetch(&nr_damaged, 1, __ATOMIC_RELAXED);
		break;
	default:
		kmem_cache_destroy(kmem_cache_create("brief", 100, 0, 0, NULL));
	}
}

static void
work(unsigned cpu, void *arg)
{
	struct prng prng;

	(void)arg;
	prng_seed(&prng, host_seed * 100 + cpu);
	for (unsigned i = 0; i < NR_ROUNDS; i++) {
		void **at = &stall[prng_below(&prng, NR_STALLS)], *object, *other;

		object = kmem_cache_alloc(cache, GFP_NOWAIT);
		if (object)
			memset(object, (int)(cpu + 1), SIZE);
		other = __atomic_exchange_n(at, object, __ATOMIC_ACQ_REL);
		if (other) {
			look_at(other);
			kmem_cache_free(cache, other);
		}
		kfree(kmalloc(1 + prng_below(&prng, 9000), GFP_NOWAIT));
		if (prng_below(&prng, 400) == 0)
			disturb(&prng);
	}
}

static void
share(slab_flags_t flags, enum heap_level level)
{
	size_t nr_free;

	heap_protection = level;
	nr_free = host_start_machine(MiB(64));
	cache = kmem_cache_create("shared", SIZE, 0, flags | SLAB_NO_MERGE, NULL);
	CHECK(cache != NULL);
	memset(stall, 0, sizeof(stall));
	nr_damaged = 0;
	host_run_threads(NR_THREADS, work, NULL);
	CHECK_EQ(nr_damaged, 0);
	CHECK_EQ(slab_check_all(), 0);
	for (unsigned i = 0; i < NR_STALLS; i++) {
		if (stall[i])
			kmem_cache_free(cache, stall[i]);
	}
	kmem_cache_destroy(cache);
	slab_reclaim(SIZE_MAX);
	CHECK_EQ(page_allocator_nr_free(), nr_free);
}

static void
plain(void)
{
	share(0, HEAP_OFF);
}

static void
checked(void)
{
	share(0, HEAP_LIGHT);
}

static void
guarded(void)
{
	share(0, HEAP_FULL);
}

HOST_SUITE(slab_threads, { "plain", plain }, { "checked", checked }, { "guarded", guarded });
