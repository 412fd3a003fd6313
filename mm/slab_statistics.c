/* SPDX-License-Identifier: MIT */
/*
 * What a cache holds: counted for people, and recomputed to see whether the allocator agrees
 * with itself.
 *
 * Magazines belong to their CPUs, so each CPU is asked about its own. Slabs are looked at
 * under their node's lock. Between the two, objects may move when other CPUs are at work:
 * the statistics are then off by what moved. The check compares only what one lock, or one
 * CPU, can vouch for.
 */
#include <arch.h>
#include <checker.h>
#include <page_allocator.h>
#include <printk.h>
#include <slab.h>
#include <string.h>

#include "heap_protection.h"
#include "slab_magazine.h"

#define MAX_REPORTS 10

/* ---- Statistics -------------------------------------------------------------------------- */

struct count {
	struct kmem_cache *cache;
	struct slab_stats *stats;
};

static void
add(size_t *to, size_t value)
{
	__atomic_fetch_add(to, value, __ATOMIC_RELAXED);
}

/* Add this CPU's magazine. All CPUs do it at once. */
static void
count_magazine(void *arg)
{
	const struct count *count = arg;
	const struct magazine *magazine = count->cache->magazine[cpu_id()];
	struct slab_stats *stats = count->stats;

	if (magazine->capacity == 0)
		return;
	add(&stats->nr_held, magazine->nr);
	add(&stats->nr_alloc, magazine->nr_alloc);
	add(&stats->nr_refill, magazine->nr_refill);
	add(&stats->nr_flush, magazine->nr_flush);
	add(&stats->own_bytes, sizeof(*magazine) + magazine->capacity * sizeof(void *));
}

static void
count_node(struct kmem_cache *cache, struct cache_node *node, struct slab_stats *stats)
{
	irqflags_t flags = spin_lock_irqsave(&node->lock);
	struct slab *slab;

	for (unsigned kind = 0; kind < NR_SLAB_KINDS; kind++) {
		stats->nr_slabs[kind] += node->nr[kind];
		stats->nr_objects += node->nr[kind] * cache->nr_objects;
		stats->bytes += node->nr[kind] * slab_bytes(cache);
		if (cache->off_slab)
			stats->own_bytes += node->nr[kind] * (sizeof(*slab) + sizeof(uint64_t));
	}
	stats->nr_alloc += node->nr_alloc;
	stats->nr_free += node->nr[SLAB_EMPTY] * cache->nr_objects;
	list_for_each_entry (slab, &node->list[SLAB_PARTIAL], link)
		stats->nr_free += slab->nr_free;
	spin_unlock_irqrestore(&node->lock, flags);
}

void
slab_get_stats(struct kmem_cache *cache, struct slab_stats *stats)
{
	struct count count = { cache, stats };

	memset(stats, 0, sizeof(*stats));
	if (!__atomic_load_n(&cache->ready, __ATOMIC_ACQUIRE))
		return;
	arch_call_cpus(count_magazine, &count);
	for (unsigned i = 0; i < NR_NODES; i++)
		count_node(cache, &cache->node[i], stats);
	stats->nr_alloc += __atomic_load_n(&cache->nr_alloc_past, __ATOMIC_RELAXED);
	stats->nr_in_use = stats->nr_objects - stats->nr_free - stats->nr_held;
	stats->nr_users = cache->nr_users;
}

/* ---- The check ------------------------------------------------------------------------------- */

struct check {
	struct kmem_cache *cache;
	unsigned nr_wrong; /* atomic */
};

static void __format(2, 3) wrong(struct check *check, const char *fmt, ...)
{
	va_list ap;

	if (__atomic_fetch_add(&check->nr_wrong, 1, __ATOMIC_RELAXED) >= MAX_REPORTS)
		return;
	kprintf("slab: %s: ", check->cache->name);
	va_start(ap, fmt);
	kvprintf(fmt, ap);
	va_end(ap);
	kprintf("\n");
}

static void
check_slab(struct check *check, const struct slab *slab, enum slab_kind kind)
{
	const struct kmem_cache *cache = check->cache;
	size_t nr_free = 0;

	if (slab->cache != cache)
		wrong(check, "slab %p is of another cache", slab);
	for (size_t i = 0; i < cache->nr_words * 64; i++) {
		bool free = slab_has_free(slab, i);

		nr_free += free;
		if (free && i >= cache->nr_objects)
			wrong(check, "slab %p: object %lu is free, of %u", slab, (unsigned long)i,
			      cache->nr_objects);
		if (cache->flags & SLAB_GUARDED && i < cache->nr_objects &&
		    guard_check(check->cache, slab_object(slab, i), free))
			__atomic_fetch_add(&check->nr_wrong, 1, __ATOMIC_RELAXED);
	}
	if (nr_free != slab->nr_free)
		wrong(check, "slab %p: nr_free is %u, but %lu are free", slab, slab->nr_free,
		      (unsigned long)nr_free);
	if ((kind == SLAB_FULL) != (nr_free == 0) ||
	    (kind == SLAB_EMPTY) != (nr_free == cache->nr_objects))
		wrong(check, "slab %p: on the list of kind %d with %lu free", slab, kind,
		      (unsigned long)nr_free);
	for (size_t i = 0; i < 1ul << cache->order; i++) {
		const struct page *page = &slab->page[i];

		if (page->use != PAGE_USE_SLAB || page->owner != (uintptr_t)slab ||
		    slab_page_cache(page) != cache)
			wrong(check, "slab %p: page %lu is not marked", slab, (unsigned long)i);
	}
}

static void
check_node(struct check *check, struct cache_node *node)
{
	irqflags_t flags = spin_lock_irqsave(&node->lock);
	const struct slab *slab;

	for (unsigned kind = 0; kind < NR_SLAB_KINDS; kind++) {
		size_t nr = 0;

		list_for_each_entry (slab, &node->list[kind], link) {
			check_slab(check, slab, kind);
			nr++;
		}
		if (nr != node->nr[kind])
			wrong(check, "%lu slabs on the list of kind %u, not %lu", (unsigned long)nr,
			      kind, (unsigned long)node->nr[kind]);
	}
	spin_unlock_irqrestore(&node->lock, flags);
}

/* This CPU's magazine: objects of the cache, not free in their slabs, each of them once. */
static void
check_magazine(void *arg)
{
	struct check *check = arg;
	const struct magazine *magazine = check->cache->magazine[cpu_id()];
	struct cache_node *node = &check->cache->node[0];

	spin_lock(&node->lock);
	if (magazine->nr > magazine->capacity)
		wrong(check, "CPU %u: %u objects in a magazine of %u", cpu_id(), magazine->nr,
		      magazine->capacity);
	for (unsigned i = 0; i < magazine->nr; i++) {
		const void *object = magazine->object[i];
		const struct slab *slab = slab_of(object);
		size_t index = slab_index(slab, object);

		if (slab->cache != check->cache || slab_object(slab, index) != object)
			wrong(check, "CPU %u: %p in its magazine is no object", cpu_id(), object);
		else if (slab_has_free(slab, index))
			wrong(check, "CPU %u: object %p in its magazine is free", cpu_id(), object);
		for (unsigned j = 0; j < i; j++) {
			if (magazine->object[j] == object)
				wrong(check, "CPU %u: object %p is in its magazine twice", cpu_id(),
				      object);
		}
	}
	spin_unlock(&node->lock);
}

unsigned
slab_check(struct kmem_cache *cache)
{
	struct check check = { .cache = cache };

	if (!__atomic_load_n(&cache->ready, __ATOMIC_ACQUIRE))
		return 0;
	arch_call_cpus(check_magazine, &check);
	for (unsigned i = 0; i < NR_NODES; i++)
		check_node(&check, &cache->node[i]);
	return check.nr_wrong;
}

unsigned
slab_check_all(void)
{
	struct kmem_cache *cache;
	unsigned nr_wrong = 0;

	for (unsigned n = 0; (cache = cache_pin_nth(n)) != NULL; n++) {
		nr_wrong += slab_check(cache);
		cache_unpin(cache);
	}
	return nr_wrong;
}

unsigned
slab_list_in_use(struct kmem_cache *cache, void **objects, unsigned max)
{
	struct cache_node *node = &cache->node[0];
	irqflags_t flags = spin_lock_irqsave(&node->lock);
	unsigned nr = 0;

	for (unsigned kind = SLAB_FULL; kind <= SLAB_PARTIAL; kind++) {
		struct slab *slab;

		list_for_each_entry (slab, &node->list[kind], link) {
			for (size_t i = 0; i < cache->nr_objects && nr < max; i++) {
				if (!slab_has_free(slab, i))
					objects[nr++] = slab_object(slab, i);
			}
		}
	}
	spin_unlock_irqrestore(&node->lock, flags);
	return nr;
}
MM_CHECKER(slab, slab_check_all);

/* ---- Shortage on request ----------------------------------------------------------------- */

void *
alloc_past_magazine(struct kmem_cache *cache, gfp_t gfp, size_t size)
{
	return page_allocator_fails(gfp) ? NULL : cache_alloc_slow(cache, gfp, size);
}
