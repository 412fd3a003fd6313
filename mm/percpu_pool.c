/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU pools: elements of one size, faster than a lock.
 *
 * PROBLEM. A lock that every CPU takes for every request costs each of them the time to fetch
 * its cache line from the last one that did: more CPUs, slower each.
 *
 * IDEA. (Bonwick and Adams, "Magazines and Vmem", USENIX 2001) Each CPU keeps a few elements
 * for itself. As long as it has some, or has room for some, a request touches nothing of any
 * other CPU: interrupts go off, so that no other thread runs here meanwhile, and that is all.
 * A CPU that runs out, or has too many, exchanges a whole batch with the depot, under its lock:
 * at most one request in a batch pays for it.
 *
 *	CPU 0: cache |aaaaa......|     CPU 1: cache |bbbbbbbbbbb|       no lock
 *	                 ^                          |
 *	                 | batch                    v batch             depot->lock
 *	               depot |cccccccccccccccc..........|
 *	                 ^                          |
 *	                 | new ones                 v too many          the fixed pool's lock
 *	               fixed pool: chunks of frames
 *
 * BORROWING. Elements that one CPU frees and another one needs pass through the depot. When
 * there are no more elements, because of the pool's limit or for want of memory, a request sets
 * wanted: the next free on any CPU brings all of that CPU's cache to the depot. And if the
 * request may wait it recalls what all CPUs keep, by interrupting them, and looks again. So it
 * fails only if no CPU keeps one.
 *
 * INVARIANTS, which percpu_pool_check() recomputes while nobody uses the pool:
 *	- made == in caches + in the depot + in use, made being what the fixed pool gave;
 *	- made <= limit.
 *
 * DETECTED. Debug builds mark in the element's chunk whether it is given out, by an atomic
 * operation: so a double free and a free of what is no element are found at once, on whatever
 * CPU. Other builds notice when the element goes from the depot to the fixed pool.
 *
 * LOCKING. A cache belongs to its CPU, with interrupts off. Others only read its counters,
 * for statistics. The depot's lock guards the depot; it is not held around the fixed pool's.
 * CPUs that started after the pool was made have no cache and use the depot.
 */
#include <arch.h>
#include <errno.h>
#include <memory_pool.h>
#include <panic.h>
#include <percpu.h>
#include <printk.h>
#include <string.h>

#include "percpu_pool.h"

/* Count one more: in this CPU's own counter, which others only read, or in the shared one. */
static inline void
count(struct percpu_pool *pool, uint64_t *own, uint64_t *shared)
{
	irqflags_t flags;

	if (likely(own)) {
		__atomic_store_n(own, *own + 1, __ATOMIC_RELAXED);
		return;
	}
	flags = spin_lock_irqsave(&pool->lock);
	++*shared;
	spin_unlock_irqrestore(&pool->lock, flags);
}

static void
set_nr(struct cpu_cache *cache, unsigned nr)
{
	__atomic_store_n(&cache->nr, nr, __ATOMIC_RELAXED);
}

/* This CPU's cache. Interrupts are off. NULL if it has none. */
static struct cpu_cache *
cache_here(struct percpu_pool *pool)
{
	unsigned cpu = cpu_id();

	return likely(cpu < pool->nr_caches) ? &pool->cache[cpu] : NULL;
}

/* ---- The depot --------------------------------------------------------------------------- */

/* Take up to nr elements from the depot. Returns how many. */
static unsigned
depot_get(struct percpu_pool *pool, void **element, unsigned nr)
{
	irqflags_t flags = spin_lock_irqsave(&pool->lock);

	nr = (unsigned)MIN(nr, pool->nr);
	pool->nr -= nr;
	memcpy(element, &pool->depot[pool->nr], nr * sizeof(void *));
	pool->stats.nr_slow++;
	pool->stats.nr_batches += nr > 0;
	spin_unlock_irqrestore(&pool->lock, flags);
	return nr;
}

/* Put elements into the depot. What is too much goes back to the fixed pool. */
static void
depot_put(struct percpu_pool *pool, void *const *element, unsigned nr)
{
	irqflags_t flags = spin_lock_irqsave(&pool->lock);
	unsigned kept = (unsigned)MIN(nr, PERCPU_DEPOT_SIZE - pool->nr);

	memcpy(&pool->depot[pool->nr], element, kept * sizeof(void *));
	pool->nr += kept;
	pool->stats.nr_slow++;
	spin_unlock_irqrestore(&pool->lock, flags);
	if (kept == nr)
		return;
	for (unsigned i = kept; i < nr; i++)
		fixed_pool_free(&pool->backing, element[i]);
	flags = spin_lock_irqsave(&pool->lock);
	pool->made -= nr - kept;
	spin_unlock_irqrestore(&pool->lock, flags);
}

/* Make up to nr new elements, as far as limit and memory allow. Returns how many. */
static unsigned
make_elements(struct percpu_pool *pool, void **element, unsigned nr)
{
	irqflags_t flags = spin_lock_irqsave(&pool->lock);
	unsigned got = 0;

	nr = (unsigned)MIN(nr, pool->limit - pool->made);
	pool->made += nr;
	spin_unlock_irqrestore(&pool->lock, flags);

	while (got < nr && (element[got] = fixed_pool_alloc(&pool->backing)))
		got++;
	if (got < nr) {
		flags = spin_lock_irqsave(&pool->lock);
		pool->made -= nr - got;
		spin_unlock_irqrestore(&pool->lock, flags);
	}
	return got;
}

/* ---- Debug: who has an element -------------------------------------------------------------- */

/* Note that an element is given out (or not any more); panic if it was already. */
static void
note_lent(struct percpu_pool *pool, void *element, bool lent)
{
	const char *wrong;
	unsigned number;
	struct fixed_chunk *chunk;
	uint64_t bit, before;

	if (!FIXED_POOL_CHECKS)
		return;
	chunk = fixed_pool_find(&pool->backing, element, &number, &wrong);
	if (!chunk)
		panic("percpu pool: %s: %p, freed into pool %u \"%s\"", wrong, element,
		      pool->entry.number, pool->entry.name);
	bit = 1ul << number % 64;
	before = lent ? __atomic_fetch_or(&chunk->lent[number / 64], bit, __ATOMIC_RELAXED)
		      : __atomic_fetch_and(&chunk->lent[number / 64], ~bit, __ATOMIC_RELAXED);
	if (lent && before & bit)
		panic("percpu pool: element %p of pool %u \"%s\" was given out twice", element,
		      pool->entry.number, pool->entry.name);
	if (!lent && !(before & bit))
		panic("percpu pool: double free: %p of pool %u \"%s\"", element, pool->entry.number,
		      pool->entry.name);
	if (!lent)
		memset(element, POISON_POOL_FREED, pool->backing.size);
}

/* ---- Allocation ------------------------------------------------------------------------------ */

/* Fill this CPU's cache, if it has one, from below. Returns one element more, or NULL. */
static void *
alloc_slow(struct percpu_pool *pool, struct cpu_cache *cache)
{
	unsigned wants = cache ? pool->batch : 1, got;
	void *element[PERCPU_BATCH];

	got = depot_get(pool, element, wants);
	if (got == 0)
		got = make_elements(pool, element, wants);
	if (got == 0) {
		__atomic_store_n(&pool->wanted, true, __ATOMIC_RELAXED);
		return NULL;
	}
	for (unsigned i = 1; i < got; i++)
		cache->element[i - 1] = element[i];
	if (cache)
		set_nr(cache, got - 1);
	return element[0];
}

/* Bring all that this CPU keeps to the depot. Interrupts are off. */
static void
flush_here(void *arg)
{
	struct percpu_pool *pool = arg;
	struct cpu_cache *cache = cache_here(pool);

	if (!cache || cache->nr == 0)
		return;
	depot_put(pool, cache->element, cache->nr);
	set_nr(cache, 0);
}

static void *
alloc_here(struct percpu_pool *pool)
{
	irqflags_t flags = arch_irq_save();
	struct cpu_cache *cache = cache_here(pool);
	void *element;

	if (likely(cache && cache->nr > 0)) {
		element = cache->element[cache->nr - 1];
		set_nr(cache, cache->nr - 1);
	} else {
		element = alloc_slow(pool, cache);
	}
	if (element) {
		note_lent(pool, element, true);
		count(pool, cache ? &cache->nr_alloc : NULL, &pool->stats.nr_alloc);
	}
	arch_irq_restore(flags);
	return element;
}

/* Does the injector make this request fail? */
static bool
fault(struct percpu_pool *pool)
{
	irqflags_t flags;
	bool strikes;

	if (likely(__atomic_load_n(&pool->faults.every, __ATOMIC_RELAXED) == 0))
		return false;
	flags = spin_lock_irqsave(&pool->lock);
	strikes = fault_strikes(&pool->faults);
	pool->stats.nr_failed += strikes;
	spin_unlock_irqrestore(&pool->lock, flags);
	return strikes;
}

void *
percpu_pool_alloc(struct percpu_pool *pool, gfp_t gfp)
{
	void *element;
	irqflags_t flags;
	bool recall;

	if (unlikely(fault(pool)))
		return NULL;
	element = alloc_here(pool);
	if (likely(element))
		return element;
	recall = !(gfp & (GFP_NOWAIT | GFP_ATOMIC));
	if (recall) {
		arch_call_cpus(flush_here, pool);
		element = alloc_here(pool);
	}
	flags = spin_lock_irqsave(&pool->lock);
	pool->stats.nr_recalls += recall;
	pool->stats.nr_failed += !element;
	spin_unlock_irqrestore(&pool->lock, flags);
	return element;
}

void
percpu_pool_free(struct percpu_pool *pool, void *element)
{
	irqflags_t flags = arch_irq_save();
	struct cpu_cache *cache = cache_here(pool);

	note_lent(pool, element, false);
	if (unlikely(!cache)) {
		depot_put(pool, &element, 1);
		count(pool, NULL, &pool->stats.nr_free);
		arch_irq_restore(flags);
		return;
	}
	if (unlikely(cache->nr == PERCPU_CACHE_SIZE)) {
		/* The oldest go; the newest are still in the processor's cache. */
		depot_put(pool, cache->element, PERCPU_BATCH);
		memmove(cache->element, cache->element + PERCPU_BATCH,
			PERCPU_BATCH * sizeof(void *));
		set_nr(cache, PERCPU_BATCH);
	}
	cache->element[cache->nr] = element;
	set_nr(cache, cache->nr + 1);
	count(pool, &cache->nr_free, NULL);
	if (unlikely(__atomic_load_n(&pool->wanted, __ATOMIC_RELAXED))) {
		__atomic_store_n(&pool->wanted, false, __ATOMIC_RELAXED);
		flush_here(pool);
	}
	arch_irq_restore(flags);
}

void
percpu_pool_drain(struct percpu_pool *pool)
{
	void *element[PERCPU_BATCH];
	unsigned nr;

	arch_call_cpus(flush_here, pool);
	while ((nr = depot_get(pool, element, PERCPU_BATCH)) > 0) {
		irqflags_t flags;

		for (unsigned i = 0; i < nr; i++)
			fixed_pool_free(&pool->backing, element[i]);
		flags = spin_lock_irqsave(&pool->lock);
		pool->made -= nr;
		spin_unlock_irqrestore(&pool->lock, flags);
	}
}

/* ---- Statistics and the checker -------------------------------------------------------------- */

void
percpu_pool_get_stats(struct percpu_pool *pool, struct percpu_pool_stats *stats)
{
	irqflags_t flags = spin_lock_irqsave(&pool->lock);

	*stats = pool->stats;
	stats->in_depot = pool->nr;
	for (unsigned cpu = 0; cpu < pool->nr_caches; cpu++) {
		const struct cpu_cache *cache = &pool->cache[cpu];

		stats->nr_alloc += __atomic_load_n(&cache->nr_alloc, __ATOMIC_RELAXED);
		stats->nr_free += __atomic_load_n(&cache->nr_free, __ATOMIC_RELAXED);
		stats->in_caches += __atomic_load_n(&cache->nr, __ATOMIC_RELAXED);
	}
	stats->in_use = stats->nr_alloc - stats->nr_free;
	spin_unlock_irqrestore(&pool->lock, flags);
}

void
percpu_pool_set_faults(struct percpu_pool *pool, uint64_t every, uint64_t seed)
{
	irqflags_t flags = spin_lock_irqsave(&pool->lock);

	pool->faults.nr_injected = 0;
	prng_seed(&pool->faults.prng, seed);
	__atomic_store_n(&pool->faults.every, every, __ATOMIC_RELAXED);
	spin_unlock_irqrestore(&pool->lock, flags);
}

#define EXPECT(errors, pool, condition)                                                            \
	do {                                                                                       \
		if (!(condition) && (errors)++ < 8)                                                \
			kprintf("check: percpu pool %u \"%s\": not so: %s\n",                      \
				(pool)->entry.number, (pool)->entry.name, #condition);             \
	} while (0)

unsigned
percpu_pool_check(struct percpu_pool *pool)
{
	unsigned errors = fixed_pool_check(&pool->backing);
	struct percpu_pool_stats stats;
	struct fixed_pool_stats backing;

	percpu_pool_get_stats(pool, &stats);
	fixed_pool_get_stats(&pool->backing, &backing);
	EXPECT(errors, pool, stats.in_caches + stats.in_depot + stats.in_use == pool->made);
	EXPECT(errors, pool, pool->made == backing.in_use);
	EXPECT(errors, pool, pool->made <= pool->limit);
	EXPECT(errors, pool, stats.in_depot <= PERCPU_DEPOT_SIZE);
	return errors;
}

/* ---- For the list of all pools --------------------------------------------------------------- */

static void
report(struct pool_entry *entry, struct pool_report *report)
{
	struct percpu_pool *pool = container_of(entry, struct percpu_pool, entry);
	struct percpu_pool_stats stats;
	struct fixed_pool_stats backing;

	percpu_pool_get_stats(pool, &stats);
	fixed_pool_get_stats(&pool->backing, &backing);
	*report = (struct pool_report){
		.element_size = pool->backing.size,
		.in_use = stats.in_use,
		.kept = stats.in_caches + stats.in_depot,
		.bytes = backing.chunks * backing.chunk_bytes,
		.nr_alloc = stats.nr_alloc,
		.nr_failed = stats.nr_failed,
	};
}

/* What does not depend on nobody using the pool meanwhile. */
static unsigned
check(struct pool_entry *entry)
{
	return fixed_pool_check(&container_of(entry, struct percpu_pool, entry)->backing);
}

static const struct pool_kind percpu_kind = { "percpu", report, check };

/* ---- Making and releasing -------------------------------------------------------------------- */

struct percpu_pool *
percpu_pool_create(const char *name, size_t size, size_t limit)
{
	struct percpu_pool *pool = kmalloc(sizeof(*pool), GFP_ZERO);

	if (!pool)
		return NULL;
	pool->nr_caches = nr_cpus;
	pool->cache = kmalloc(pool->nr_caches * sizeof(*pool->cache), GFP_ZERO);
	if (!pool->cache) {
		kfree(pool);
		return NULL;
	}
	fixed_pool_init(&pool->backing, size);
	spin_init(&pool->lock, "percpu pool", RANK_SLAB);
	pool->limit = limit ? limit : SIZE_MAX;
	/* Of few elements no CPU should take so many that the others have none. */
	pool->batch = (unsigned)MIN(PERCPU_BATCH, MAX(1, pool->limit / (2 * pool->nr_caches)));
	pool_register(&pool->entry, &percpu_kind, name);
	return pool;
}

int
percpu_pool_destroy(struct percpu_pool *pool)
{
	struct percpu_pool_stats stats;

	percpu_pool_get_stats(pool, &stats);
	if (stats.in_use) {
		kprintf("percpu pool: \"%s\" is not destroyed: %lu elements are in use\n",
			pool->entry.name, (unsigned long)stats.in_use);
		return -EBUSY;
	}
	pool_unregister(&pool->entry);
	percpu_pool_drain(pool);
	fixed_pool_fini(&pool->backing);
	kfree(pool->cache);
	kfree(pool);
	return 0;
}
