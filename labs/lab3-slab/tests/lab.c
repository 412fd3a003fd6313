/* SPDX-License-Identifier: MIT */
/* Slots, marks and the transcript: see lab.h. */
#include "lab.h"
#include <page_allocator.h>
#include <string.h>

static struct lab the_slab_lab;

struct lab *
lab3_begin(struct ktest *t)
{
	struct lab *lab = &the_slab_lab;

	memset(lab, 0, sizeof(*lab));
	lab->t = t;
	return lab;
}

struct lab *
lab3_begin_at(struct ktest *t, enum heap_level level)
{
	if (heap_protection < level)
		ktest_skip(t, level == HEAP_FULL ? "needs mm.heap_protection=full"
						 : "needs mm.heap_protection=light");
	return lab3_begin(t);
}

void
lab3_cache(struct lab *lab, unsigned i, size_t size, size_t align, slab_flags_t flags,
	   void (*ctor)(void *object))
{
	lab->cache[i] = kmem_cache_create("lab", size, align, flags, ctor);
	lab->size[i] = (uint32_t)size;
	evidence_log(EV_CACHE, (uint32_t)size, (uintptr_t)lab->cache[i], align,
		     flags | (lab->cache[i] ? (uint64_t)lab->cache[i]->nr_objects << 32 : 0));
	assert_true(lab->t, lab->cache[i] != NULL);
}

/* ---- Marks -------------------------------------------------------------------------------- */

uint8_t
lab3_mark(uint32_t number)
{
	return (uint8_t)(number * 167 + 13);
}

bool
lab3_is_filled(const void *object, uint8_t byte, size_t size)
{
	const uint8_t *bytes = object;

	return size == 0 || (bytes[0] == byte && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static void
check_mark(struct lab *lab, const struct lab_slot *slot, size_t size)
{
	if (lab3_is_filled(slot->object, lab3_mark(slot->number), size))
		return;
	ktest_fail(lab->t, __FILE__, __LINE__,
		   "object %p of %u bytes does not hold what its holder wrote", slot->object,
		   slot->size);
	ktest_abort(lab->t);
}

static size_t
bytes_not_zero(const uint8_t *object, size_t size)
{
	size_t nr = 0;

	for (size_t i = 0; i < size; i++)
		nr += object[i] != 0;
	return nr;
}

/* Enter an object into a slot and mark it. Returns whether it is one. */
static bool
take(struct lab *lab, unsigned slot, void *object, size_t size, kmem_cache_t *cache)
{
	if (!object) {
		if (lab->may_fail)
			return false;
		ktest_fail(lab->t, __FILE__, __LINE__, "got no object of %lu bytes",
			   (unsigned long)size);
		ktest_abort(lab->t);
	}
	lab->slot[slot] = (struct lab_slot){ object, (uint32_t)size, lab->number++, cache };
	if (object != ZERO_SIZE_PTR)
		memset(object, lab3_mark(lab->slot[slot].number), size);
	return true;
}

/* ---- Calls -------------------------------------------------------------------------------- */

bool
lab3_alloc(struct lab *lab, unsigned slot, unsigned cache, gfp_t gfp)
{
	void *object = kmem_cache_alloc(lab->cache[cache], gfp);
	bool zero = object && gfp & GFP_ZERO;

	evidence_log(EV_ALLOC, gfp, (uintptr_t)object, (uintptr_t)lab->cache[cache],
		     zero ? bytes_not_zero(object, lab->size[cache]) : 0);
	return take(lab, slot, object, lab->size[cache], lab->cache[cache]);
}

static bool
log_kmalloc(struct lab *lab, unsigned slot, void *object, size_t size, size_t align, gfp_t gfp)
{
	bool real = object && object != ZERO_SIZE_PTR;

	if (real && gfp & GFP_ZERO)
		expect_eq(lab->t, bytes_not_zero(object, size), 0);
	evidence_log(EV_KMALLOC, (uint32_t)(gfp | align << 4), (uintptr_t)object, size,
		     ksize(object));
	return take(lab, slot, object, size, NULL);
}

bool
lab3_kmalloc(struct lab *lab, unsigned slot, size_t size, gfp_t gfp)
{
	void *object = gfp & GFP_ZERO ? kmalloc_zeroed(size, gfp) : kmalloc(size, gfp);

	return log_kmalloc(lab, slot, object, size, 0, gfp);
}

bool
lab3_kmalloc_aligned(struct lab *lab, unsigned slot, size_t size, size_t align, gfp_t gfp)
{
	void *object = kmalloc_aligned(size, align, gfp);

	return log_kmalloc(lab, slot, object, size, align, gfp);
}

bool
lab3_krealloc(struct lab *lab, unsigned slot, size_t size, gfp_t gfp)
{
	struct lab_slot old = lab->slot[slot];
	size_t kept = old.object ? MIN(size, old.size) : 0;
	void *object = krealloc(old.object, size, gfp);

	evidence_log(EV_KREALLOC, gfp, (uintptr_t)old.object, (uintptr_t)object, size);
	if (!object && lab->may_fail) {
		check_mark(lab, &lab->slot[slot], old.size); /* it is as it was */
		return false;
	}
	lab->slot[slot].object = object;
	if (object && object != ZERO_SIZE_PTR)
		check_mark(lab, &lab->slot[slot], kept);
	if (size == 0) {
		lab->slot[slot].object = NULL;
		return true;
	}
	return take(lab, slot, object, size, NULL);
}

void
lab3_free(struct lab *lab, unsigned slot)
{
	struct lab_slot held = lab->slot[slot];

	if (held.object != ZERO_SIZE_PTR)
		check_mark(lab, &held, held.size);
	lab->slot[slot].object = NULL;
	if (held.cache) {
		evidence_log(EV_FREE, 0, (uintptr_t)held.object, (uintptr_t)held.cache, 0);
		kmem_cache_free(held.cache, held.object);
	} else {
		evidence_log(EV_KFREE, 0, (uintptr_t)held.object, 0, 0);
		kfree(held.object);
	}
}

void
lab3_kfree_sized(struct lab *lab, unsigned slot)
{
	struct lab_slot held = lab->slot[slot];

	if (held.object != ZERO_SIZE_PTR)
		check_mark(lab, &held, held.size);
	lab->slot[slot].object = NULL;
	evidence_log(EV_KFREE, 0, (uintptr_t)held.object, held.size, 0);
	kfree_sized(held.object, held.size);
}

void
lab3_free_all(struct lab *lab)
{
	for (unsigned slot = 0; slot < LAB_SLOTS; slot++) {
		if (lab->slot[slot].object)
			lab3_free(lab, slot);
	}
}

void
lab3_free_at_random(struct lab *lab, unsigned slots)
{
	unsigned left = 0;

	for (unsigned slot = 0; slot < slots; slot++)
		left += lab->slot[slot].object != NULL;
	for (; left > 0; left--) {
		unsigned slot = (unsigned)prng_below(&lab->t->prng, slots);

		while (!lab->slot[slot].object)
			slot = (slot + 1) % slots;
		lab3_free(lab, slot);
	}
}

/* ---- Traces ------------------------------------------------------------------------------- */

void
lab3_trace(struct lab *lab, unsigned rounds, unsigned slots, unsigned caches)
{
	for (unsigned i = 0; i < rounds; i++) {
		unsigned slot = (unsigned)prng_below(&lab->t->prng, slots);

		if (lab->slot[slot].object)
			lab3_free(lab, slot);
		else
			lab3_alloc(lab, slot, slot % caches, GFP_KERNEL);
	}
}

size_t
lab3_random_size(struct ktest *t, size_t max)
{
	size_t limit = 8ul << prng_below(&t->prng, 16);

	return 1 + prng_below(&t->prng, MIN(limit, max));
}

void
lab3_kmalloc_trace(struct lab *lab, unsigned rounds, unsigned slots, size_t max)
{
	for (unsigned i = 0; i < rounds; i++) {
		unsigned slot = (unsigned)prng_below(&lab->t->prng, slots);

		if (!lab->slot[slot].object)
			lab3_kmalloc(lab, slot, lab3_random_size(lab->t, max), GFP_KERNEL);
		else if (slot % 2)
			lab3_kfree_sized(lab, slot);
		else
			lab3_free(lab, slot);
	}
}

/* ---- What is logged ----------------------------------------------------------------------- */

void
lab3_frames(struct lab *lab)
{
	struct page_totals totals;

	(void)lab;
	page_allocator_totals(&totals);
	evidence_log(EV_FRAMES, 0, totals.free, totals.allocated, 0);
}

void
lab3_settle(struct lab *lab)
{
	slab_reclaim(SIZE_MAX);
	lab3_frames(lab);
}

void
lab3_slabs(struct lab *lab, unsigned cache)
{
	const struct cache_node *node = &lab->cache[cache]->node[0];

	evidence_log(EV_SLABS, 0, node->nr[SLAB_FULL], node->nr[SLAB_PARTIAL],
		     node->nr[SLAB_EMPTY]);
}

void
lab3_check(struct lab *lab, unsigned cache)
{
	unsigned nr_wrong = slab_check(lab->cache[cache]);

	evidence_log(EV_CHECK, 0, nr_wrong, 0, 0);
	assert_eq(lab->t, nr_wrong, 0);
}

size_t
lab3_shrink(struct lab *lab, unsigned cache)
{
	size_t nr_frames = kmem_cache_shrink(lab->cache[cache]);

	evidence_log(EV_SHRINK, 0, nr_frames, (uintptr_t)lab->cache[cache], 0);
	return nr_frames;
}

void
lab3_destroy(struct lab *lab, unsigned cache)
{
	evidence_log(EV_DESTROY, 0, (uintptr_t)lab->cache[cache], 0, 0);
	kmem_cache_destroy(lab->cache[cache]);
}

void
lab3_misuse(struct lab *lab, unsigned slot, const void *address, uint32_t bytes)
{
	const struct lab_slot *held = &lab->slot[slot];

	evidence_log(EV_MISUSE, bytes, (uintptr_t)address, (uintptr_t)held->object,
		     (uintptr_t)held->cache);
}
