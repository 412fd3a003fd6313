/* SPDX-License-Identifier: MIT */
/*
 * The slab allocator: objects of one size, many to a frame, for all CPUs at once.
 *
 * PROBLEM. The kernel allocates and frees small objects all the time, on every CPU. A whole
 * frame for each would waste most of memory; one lock around all of it would make the CPUs
 * wait for each other; and initialising an object over and over costs more than finding it.
 *
 * IDEA (Bonwick, The Slab Allocator, 1994; Bonwick and Adams, Magazines and Vmem, 2001).
 * A cache holds objects of one kind. Its memory comes in slabs, a few frames that are cut
 * into objects; above them each CPU keeps a magazine, an array of objects that are ready:
 *
 *	   CPU 0         CPU 1         CPU 2
 *	[magazine]    [magazine]    [magazine]     alloc and free: pop and push, no lock
 *	     \             |             /         half a magazine at a time, under one lock
 *	      +------------+------------+
 *	      |  full   partial   empty |          slabs of a node
 *	      +------------+------------+
 *	                   |                       alloc_pages(), and back
 *
 * A magazine that runs dry is filled to half from slabs, one that overflows is emptied to
 * half: then at least half a magazine of calls passes before the lock is needed again,
 * whichever way the calls go.
 *
 * A slab of 2^order frames, its header at the beginning; 256 bytes to an object:
 *
 *	| struct slab, bitmap | colour | object 0 | object 1 | ... | object 30 | rest |
 *
 * Which objects are free is in the bitmap, not in the objects: these keep the state that
 * their constructor gave them, a write to a freed object damages nothing of ours, and an
 * object that is freed twice finds its bit set already. The rest of a slab, too small for an
 * object, is used to colour it: from slab to slab the first object is moved by another cache
 * line, so that the same field of many objects does not always fall into the same cache set.
 *
 * INVARIANTS, which slab_check() recomputes:
 *	- slab->nr_free is the number of bits set in its bitmap;
 *	- a slab is on the list of its kind: full, partial or empty; node->nr[] counts them;
 *	- an object in a magazine has its bit clear, and is in no other magazine;
 *	- every frame of a slab has use PAGE_USE_SLAB, the slab as its owner, and the cache.
 *
 * LOCKING. node->lock guards slabs, their lists and bitmaps. A magazine is its CPU's, with
 * interrupts off. The lock is never held while frames are allocated or freed: that may lead to
 * reclaim, which comes back here. Frames are allocated with interrupts as the caller had them.
 *
 * LEFT OUT. Making, sharing and destroying caches is in slab_cache.c; what finds mistakes in
 * heap_protection.c. Memory of several nodes: there is an array, of one.
 */
#include <panic.h>
#include <slab.h>
#include <string.h>

#include "heap_protection.h"
#include "slab_magazine.h"

/* A CPU's magazine is replaced by a larger one after that many exchanges with the slabs. */
#define GROW_AFTER 4

/* A slab of which less than one part in WASTE is unused is good enough. */
#define WASTE 32

struct magazine no_magazine;

static const uint32_t capacities[] = { MAGAZINE_SMALL, MAGAZINE_MEDIUM, MAGAZINE_LARGE };

#define MAGAZINE_BYTES(capacity) (sizeof(struct magazine) + (capacity) * sizeof(void *))
#define OWN_CACHE		 (SLAB_NO_MAGAZINES | SLAB_NO_PROTECTION)

static struct kmem_cache magazine_cache[] = {
	KMEM_CACHE_INIT("magazine-12", MAGAZINE_BYTES(MAGAZINE_SMALL), 64, OWN_CACHE, NULL),
	KMEM_CACHE_INIT("magazine-28", MAGAZINE_BYTES(MAGAZINE_MEDIUM), 64, OWN_CACHE, NULL),
	KMEM_CACHE_INIT("magazine-124", MAGAZINE_BYTES(MAGAZINE_LARGE), 64, OWN_CACHE, NULL),
};

static KMEM_CACHE(header_cache, "slab", sizeof(struct slab) + OFF_SLAB_OBJECTS / 8, 0, OWN_CACHE,
		  NULL);

/* The node whose memory is nearest. */
static struct cache_node *
near_node(struct kmem_cache *cache)
{
	return &cache->node[0];
}

/* ---- The layout of a slab ---------------------------------------------------------------- */

/* Lay out slabs of 2^order frames. Returns how many of their bytes no object gets. */
static size_t
lay_out(struct kmem_cache *cache, unsigned order, bool off_slab)
{
	size_t bytes = PAGE_SIZE << order, nr = bytes / cache->stride, words, header, offset;

	if (off_slab)
		nr = MIN(nr, OFF_SLAB_OBJECTS);
	for (;; nr--) {
		words = (nr + 63) / 64;
		header = off_slab ? 0 : sizeof(struct slab) + words * sizeof(uint64_t);
		offset = ALIGN_UP(header + cache->guard_before, (size_t)cache->align);
		if (nr == 0 || offset + nr * cache->stride <= bytes)
			break;
	}
	cache->order = (uint8_t)order;
	cache->off_slab = off_slab;
	cache->nr_objects = (uint32_t)nr;
	cache->nr_words = (uint32_t)words;
	cache->offset = (uint32_t)offset;
	return bytes - nr * cache->stride + (off_slab ? header_cache.size : 0);
}

/*
 * The smallest order that wastes little and has some objects to a slab; if none does, the one
 * that wastes least. Headers in the slabs are preferred, as they need no memory of their own.
 */
static void
choose_layout(struct kmem_cache *cache)
{
	size_t best_waste = 1, best_bytes = 0;
	unsigned best_order = 0;
	bool best_off = false;

	for (unsigned i = 0; i < 2 * (SLAB_MAX_ORDER + 1); i++) {
		unsigned order = i % (SLAB_MAX_ORDER + 1);
		bool off_slab = i > SLAB_MAX_ORDER;
		size_t bytes = PAGE_SIZE << order, waste = lay_out(cache, order, off_slab);

		if (cache->nr_objects == 0)
			continue;
		if (cache->nr_objects >= (off_slab ? 8 : 16) && waste * WASTE <= bytes)
			return;
		/* waste / bytes < best_waste / best_bytes */
		if (waste * best_bytes < best_waste * bytes || best_bytes == 0) {
			best_waste = waste;
			best_bytes = bytes;
			best_order = order;
			best_off = off_slab;
		}
	}
	ASSERT(best_bytes != 0);
	lay_out(cache, best_order, best_off);
}

void
cache_lay_out(struct kmem_cache *cache)
{
	size_t room = cache->guard_before + cache->size + cache->guard_after;
	size_t step = MAX(SLAB_COLOUR, cache->align), rest;

	cache->stride = (uint32_t)ALIGN_UP(room, (size_t)cache->align);
	cache->reciprocal = (uint32_t)(((1ull << 32) + cache->stride - 1) / cache->stride);
	choose_layout(cache);
	rest = slab_bytes(cache) - cache->offset - cache->nr_objects * cache->stride;
	cache->nr_colours = (uint32_t)(rest / step + 1);
}

/* ---- Slabs come and go ------------------------------------------------------------------- */

/* The cache is in each page too: from there kfree() has it with one load less. */
static void
slab_mark_pages(const struct slab *slab, enum page_use use, uint64_t owner)
{
	for (size_t i = 0; i < 1ul << slab->cache->order; i++) {
		slab->page[i].use = (uint8_t)use;
		slab->page[i].owner = owner;
		slab_page_set_cache(&slab->page[i], slab->cache);
	}
}

static void
slab_init_objects(struct slab *slab)
{
	struct kmem_cache *cache = slab->cache;

	memset(slab->free, 0, cache->nr_words * sizeof(slab->free[0]));
	for (size_t i = 0; i < cache->nr_objects; i += 64) {
		size_t nr = MIN(cache->nr_objects - i, 64);

		slab->free[i / 64] = UINT64_MAX >> (64 - nr);
	}
	if (cache->flags & SLAB_GUARDED) {
		for (size_t i = 0; i < cache->nr_objects; i++)
			guard_fresh(cache, slab_object(slab, i));
	} else if (cache->ctor) {
		for (size_t i = 0; i < cache->nr_objects; i++)
			cache->ctor(slab_object(slab, i));
	}
}

/* A new slab, on no list, all objects free; or NULL for want of memory. */
static struct slab *
slab_create(struct kmem_cache *cache, gfp_t gfp, unsigned colour)
{
	struct page *page;
	struct slab *slab;

	if (unlikely(gfp & GFP_USER))
		panic("slab: %s: objects are neither movable nor in high memory: gfp %#x",
		      cache->name, gfp);
	page = alloc_pages(gfp & ~GFP_ZERO, cache->order);
	if (!page)
		return NULL;
	slab = page_to_virt(page);
	if (cache->off_slab) {
		slab = kmem_cache_alloc(&header_cache, gfp & ~GFP_ZERO);
		if (!slab)
			goto no_header;
	}
	slab->cache = cache;
	slab->page = page;
	slab->node = 0;
	slab->nr_free = cache->nr_objects;
	slab->first =
	    (char *)page_to_virt(page) + cache->offset + colour * MAX(SLAB_COLOUR, cache->align);
	slab_mark_pages(slab, PAGE_USE_SLAB, (uintptr_t)slab);
	slab_init_objects(slab);
	return slab;

no_header:
	__free_pages(page, cache->order);
	return NULL;
}

/* Give back the memory of a slab that is on no list and has no object in use. */
static void
slab_destroy(struct slab *slab)
{
	struct kmem_cache *cache = slab->cache;
	struct page *page = slab->page;

	slab_mark_pages(slab, PAGE_USE_NONE, 0);
	if (cache->off_slab)
		kmem_cache_free(&header_cache, slab);
	__free_pages(page, cache->order);
}

static void
slab_list_locked(struct cache_node *node, struct slab *slab, enum slab_kind kind)
{
	list_add(&slab->link, &node->list[kind]);
	node->nr[kind]++;
}

static void
slab_unlist_locked(struct cache_node *node, struct slab *slab, enum slab_kind kind)
{
	list_del(&slab->link);
	node->nr[kind]--;
}

static enum slab_kind
slab_kind(const struct slab *slab)
{
	if (slab->nr_free == 0)
		return SLAB_FULL;
	return slab->nr_free == slab->cache->nr_objects ? SLAB_EMPTY : SLAB_PARTIAL;
}

/* Add a slab to the cache. Returns false for want of memory. */
static bool
cache_grow(struct kmem_cache *cache, gfp_t gfp)
{
	struct cache_node *node = near_node(cache);
	unsigned colour = __atomic_fetch_add(&node->next_colour, 1, __ATOMIC_RELAXED);
	struct slab *slab = slab_create(cache, gfp, colour % cache->nr_colours);
	irqflags_t flags;

	if (!slab)
		return false;
	flags = spin_lock_irqsave(&node->lock);
	slab_list_locked(node, slab, SLAB_EMPTY);
	spin_unlock_irqrestore(&node->lock, flags);
	return true;
}

/* Take slabs without objects in use, all but keep, off their list and put them on another. */
static void
take_empty_locked(struct cache_node *node, size_t keep, struct list_head *taken)
{
	assert_held(&node->lock);
	list_init(taken);
	while (node->nr[SLAB_EMPTY] > keep) {
		struct slab *slab = list_entry(node->list[SLAB_EMPTY].prev, struct slab, link);

		slab_unlist_locked(node, slab, SLAB_EMPTY);
		list_add(&slab->link, taken);
	}
}

static size_t
destroy_slabs(struct kmem_cache *cache, struct list_head *slabs)
{
	struct slab *slab, *next;
	size_t nr_frames = 0;

	list_for_each_entry_safe (slab, next, slabs, link) {
		slab_destroy(slab);
		nr_frames += 1ul << cache->order;
	}
	return nr_frames;
}

size_t
cache_trim(struct kmem_cache *cache, size_t keep)
{
	size_t nr_frames = 0;

	for (unsigned i = 0; i < NR_NODES; i++) {
		struct cache_node *node = &cache->node[i];
		irqflags_t flags = spin_lock_irqsave(&node->lock);
		struct list_head taken;

		take_empty_locked(node, keep, &taken);
		spin_unlock_irqrestore(&node->lock, flags);
		nr_frames += destroy_slabs(cache, &taken);
	}
	return nr_frames;
}

/* ---- Objects out of slabs, and back ------------------------------------------------------ */

/* Take up to nr objects out of one slab. Returns how many. */
static unsigned
slab_take_locked(struct slab *slab, void **objects, unsigned nr)
{
	const size_t stride = slab->cache->stride;
	char *first = slab->first;
	unsigned taken = 0;

	for (unsigned word = 0; taken < nr && word < slab->cache->nr_words; word++) {
		uint64_t bits = slab->free[word];

		for (; bits != 0 && taken < nr; bits &= bits - 1)
			objects[taken++] = first + (unsigned)__builtin_ctzll(bits) * stride;
		slab->free[word] = bits;
		first += 64 * stride;
	}
	slab->nr_free -= taken;
	return taken;
}

/* Take up to nr objects, from slabs that are in use already if there are such. */
static unsigned
node_take_locked(struct cache_node *node, void **objects, unsigned nr)
{
	unsigned taken = 0;

	assert_held(&node->lock);
	while (taken < nr) {
		enum slab_kind kind = node->nr[SLAB_PARTIAL] ? SLAB_PARTIAL : SLAB_EMPTY;
		struct slab *slab;

		if (node->nr[kind] == 0)
			break;
		slab = list_first_entry(&node->list[kind], struct slab, link);
		taken += slab_take_locked(slab, objects + taken, nr - taken);
		if (kind != slab_kind(slab)) {
			slab_unlist_locked(node, slab, kind);
			slab_list_locked(node, slab, slab_kind(slab));
		}
	}
	return taken;
}

/* Put one object back. Returns false, with nothing changed, if it is there already. */
static bool
node_give_locked(struct kmem_cache *cache, struct cache_node *node, void *object)
{
	struct slab *slab = slab_of(object);
	size_t index = index_in_slab(cache, slab, object);
	uint64_t before = slab->free[index / 64], after = before | 1ull << index % 64;

	if (unlikely(after == before))
		return false;
	slab->free[index / 64] = after;
	if (unlikely(slab->nr_free++ == 0)) {
		slab_unlist_locked(node, slab, SLAB_FULL);
		slab_list_locked(node, slab, SLAB_PARTIAL);
	}
	if (unlikely(slab->nr_free == cache->nr_objects)) {
		slab_unlist_locked(node, slab, SLAB_PARTIAL);
		slab_list_locked(node, slab, SLAB_EMPTY);
	}
	return true;
}

/* Put objects back into their slabs. Slabs that are no longer needed are given back. */
static void
node_give(struct kmem_cache *cache, void **objects, unsigned nr)
{
	struct cache_node *node = near_node(cache);
	irqflags_t flags = spin_lock_irqsave(&node->lock);
	struct list_head taken;
	bool too_many;

	for (unsigned i = 0; i < nr; i++) {
		if (unlikely(!node_give_locked(cache, node, objects[i]))) {
			spin_unlock_irqrestore(&node->lock, flags);
			heap_double_free(cache, objects[i]);
		}
	}
	too_many = node->nr[SLAB_EMPTY] > cache->max_empty;
	if (too_many)
		take_empty_locked(node, cache->max_empty, &taken);
	spin_unlock_irqrestore(&node->lock, flags);
	if (too_many)
		destroy_slabs(cache, &taken);
}

void *
slab_alloc_object(struct kmem_cache *cache, gfp_t gfp)
{
	struct cache_node *node = near_node(cache);
	void *object;
	unsigned nr;

	do {
		irqflags_t flags = spin_lock_irqsave(&node->lock);

		nr = node_take_locked(node, &object, 1);
		node->nr_alloc += nr;
		spin_unlock_irqrestore(&node->lock, flags);
	} while (nr == 0 && cache_grow(cache, gfp));
	return nr ? object : NULL;
}

void
slab_free_object(struct kmem_cache *cache, void *object)
{
	node_give(cache, &object, 1);
}

/* ---- Magazines --------------------------------------------------------------------------- */

/* Fill this CPU's magazine to half and take an object, or return NULL if there is none. */
static void *
magazine_refill(struct kmem_cache *cache)
{
	struct cache_node *node = near_node(cache);
	irqflags_t flags = spin_lock_irqsave(&node->lock);
	struct magazine *magazine = cache->magazine[cpu_id()];
	void *object = NULL;

	if (magazine->capacity == 0) {
		node->nr_alloc += node_take_locked(node, &object, 1);
	} else if (magazine->nr == 0) {
		magazine->nr = node_take_locked(node, magazine->object, magazine->capacity / 2);
		magazine->nr_refill++;
	}
	spin_unlock(&node->lock);
	if (magazine->nr > 0) {
		object = magazine->object[--magazine->nr];
		magazine->nr_alloc++;
	}
	arch_irq_restore(flags);
	return object;
}

/* Free an object when this CPU's magazine is full: its older half goes to the slabs. */
static void
magazine_flush(struct kmem_cache *cache, void *object)
{
	irqflags_t flags = arch_irq_save();
	struct magazine *magazine = cache->magazine[cpu_id()];
	unsigned half = magazine->capacity / 2;

	if (magazine->capacity == 0) {
		node_give(cache, &object, 1);
		arch_irq_restore(flags);
		return;
	}
	if (magazine->nr == magazine->capacity) {
		node_give(cache, magazine->object, half);
		memcpy(magazine->object, magazine->object + half, half * sizeof(void *));
		magazine->nr = half;
		magazine->nr_flush++;
	}
	magazine->object[magazine->nr++] = object;
	arch_irq_restore(flags);
}

static void
magazine_delete(struct magazine *magazine)
{
	unsigned size = 0;

	if (magazine == &no_magazine)
		return;
	while (capacities[size] != magazine->capacity)
		size++;
	kmem_cache_free(&magazine_cache[size], magazine);
}

/* Which size of magazine would be better than the one with this CPU, or -1. */
static int
magazine_wanted(const struct kmem_cache *cache, const struct magazine *magazine)
{
	if (magazine->capacity >= cache->max_capacity)
		return -1;
	if (magazine->capacity != 0 && magazine->nr_refill + magazine->nr_flush < GROW_AFTER)
		return -1;
	for (unsigned i = 0; i < ARRAY_SIZE(capacities); i++) {
		if (capacities[i] > magazine->capacity)
			return (int)i;
	}
	return -1;
}

/*
 * Give this CPU a magazine, or a larger one, if it deserves it. Without memory for that, the
 * one that it has will do. The thread may change CPUs while the new one is allocated.
 */
static void
magazine_provide(struct kmem_cache *cache)
{
	irqflags_t flags = arch_irq_save();
	int size = magazine_wanted(cache, cache->magazine[cpu_id()]);
	struct magazine *old, *new;

	arch_irq_restore(flags);
	if (size < 0)
		return;
	new = kmem_cache_alloc(&magazine_cache[size], SLAB_OWN_GFP);
	if (!new)
		return;
	*new = (struct magazine){ .capacity = capacities[size] };
	flags = arch_irq_save();
	old = cache->magazine[cpu_id()];
	if (old->capacity < new->capacity) {
		new->nr = old->nr;
		new->nr_alloc = old->nr_alloc;
		memcpy(new->object, old->object, old->nr * sizeof(void *));
		cache->magazine[cpu_id()] = new;
	} else {
		old = new;
	}
	arch_irq_restore(flags);
	magazine_delete(old);
}

void
magazine_drop(struct kmem_cache *cache)
{
	struct magazine *magazine = cache->magazine[cpu_id()];

	if (magazine->capacity == 0)
		return;
	cache->magazine[cpu_id()] = &no_magazine;
	node_give(cache, magazine->object, magazine->nr);
	__atomic_fetch_add(&cache->nr_alloc_past, magazine->nr_alloc, __ATOMIC_RELAXED);
	magazine_delete(magazine);
}

/* ---- Allocation and freeing -------------------------------------------------------------- */

/* Out of line, so that callers who want no clearing do not pay for its registers. */
static __attribute__((noinline)) void *
clear_object(const struct kmem_cache *cache, void *object)
{
	if (unlikely(cache->ctor))
		panic("slab: %s: GFP_ZERO for an object with a constructor", cache->name);
	return memset(object, 0, cache->size);
}

__attribute__((noinline)) void *
cache_alloc_slow(struct kmem_cache *cache, gfp_t gfp, size_t size)
{
	void *object;

	if (unlikely(!__atomic_load_n(&cache->ready, __ATOMIC_ACQUIRE)))
		cache_prepare(cache);
	if (cache->flags & SLAB_GUARDED)
		return guard_alloc(cache, gfp, size);
	if (cache->max_capacity)
		magazine_provide(cache);
	do {
		object = magazine_refill(cache);
	} while (!object && cache_grow(cache, gfp));
	if (object && gfp & GFP_ZERO)
		clear_object(cache, object);
	return object;
}

__attribute__((noinline)) void
cache_free_slow(struct kmem_cache *cache, void *object)
{
	if (cache->flags & SLAB_PROTECTED)
		object = heap_check_free(cache, object);
	if (cache->flags & SLAB_GUARDED) {
		guard_free(cache, object);
		return;
	}
	if (cache->max_capacity)
		magazine_provide(cache);
	magazine_flush(cache, object);
}

void *
kmem_cache_alloc(kmem_cache_t *cache, gfp_t gfp)
{
	void *object;

	if (unlikely(!magazine_alloc(cache, &object)))
		return alloc_past_magazine(cache, gfp, cache->size);
	if (unlikely(gfp & GFP_ZERO))
		return clear_object(cache, object);
	return object;
}

void
kmem_cache_free(kmem_cache_t *cache, void *object)
{
	if (unlikely(!magazine_free(cache, object)))
		cache_free_slow(cache, object);
}
