/* SPDX-License-Identifier: MIT */
/*
 * The fast path of the slab allocator: objects that a CPU holds ready for itself.
 *
 * A magazine is touched by its own CPU only, and interrupts are off meanwhile, so that nobody
 * comes in between: no lock is taken, no instruction is locked, no cache line is shared with
 * another CPU. A cache without magazines (protected, or not used on this CPU yet) has the
 * global no_magazine in its place, which is empty as well as full: both functions fail on it,
 * and the slow path sees why. So the fast path has nothing to ask about that.
 */
#ifndef SLAB_MAGAZINE_H
#define SLAB_MAGAZINE_H

#include <slab.h>

/* Take an object of this CPU's magazine. Returns false, with nothing done, if it is empty. */
static inline __attribute__((always_inline)) bool
magazine_alloc(struct kmem_cache *cache, void **object)
{
	irqflags_t flags = arch_irq_save();
	struct magazine *magazine = cache->magazine[arch_cpu_id()];
	size_t nr = magazine->nr;
	bool any = nr != 0;

	if (likely(any)) {
		*object = magazine->object[--nr];
		magazine->nr = (uint32_t)nr;
		magazine->nr_alloc++;
	}
	arch_irq_restore(flags);
	return any;
}

/*
 * Allocate past the magazine, unless a test wants this request to fail. Not inline, so that who
 * calls it last needs no stack frame: slab_statistics.c.
 */
void *alloc_past_magazine(struct kmem_cache *cache, gfp_t gfp, size_t size);

/* Put an object into this CPU's magazine. Returns false, with nothing done, if it is full. */
static inline __attribute__((always_inline)) bool
magazine_free(struct kmem_cache *cache, void *object)
{
	irqflags_t flags = arch_irq_save();
	struct magazine *magazine = cache->magazine[arch_cpu_id()];
	size_t nr = magazine->nr;
	bool room = nr != magazine->capacity;

	if (likely(room)) {
		magazine->object[nr] = object;
		magazine->nr = (uint32_t)(nr + 1);
	}
	arch_irq_restore(flags);
	return room;
}

#endif
