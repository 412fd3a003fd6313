/* SPDX-License-Identifier: MIT */
/*
 * Lab 3, graded cases: mistakes of the caller. Each ends in the panic it announces, after
 * correct requests that must not: protection that cries wolf fails as well.
 */
#include "lab.h"

#define VICTIM (LAB_SLOTS - 1)
#define ZONE   64

/* Some life before the mistake, and one object more. */
static uint8_t *
victim(struct lab *lab, size_t most, slab_flags_t flags)
{
	lab3_cache(lab, 0, 1 + prng_below(&lab->t->prng, most), 0, flags, NULL);
	lab3_trace(lab, 300, 80, 1);
	lab3_alloc(lab, VICTIM, 0, GFP_KERNEL);
	return lab->slot[VICTIM].object;
}

static uint8_t *
kmalloc_victim(struct lab *lab, size_t least, size_t most)
{
	lab3_kmalloc_trace(lab, 300, 80, 10000);
	lab3_kmalloc(lab, VICTIM, least + prng_below(&lab->t->prng, most - least), GFP_KERNEL);
	return lab->slot[VICTIM].object;
}

/* Flip bits of a byte. */
static void
damage(struct lab *lab, uint8_t *byte)
{
	uint8_t bits = (uint8_t)(1 + prng_below(&lab->t->prng, 255));

	lab3_misuse(lab, VICTIM, byte, bits);
	*(volatile uint8_t *)byte ^= bits;
}

static void
free_again(struct lab *lab, void *object)
{
	lab3_misuse(lab, VICTIM, object, 0);
	kmem_cache_free(lab->cache[0], object);
}

static void
kfree_wrongly(struct lab *lab, const void *ptr)
{
	lab3_misuse(lab, VICTIM, ptr, 0);
	kfree(ptr);
}

/* ---- Contents ----------------------------------------------------------------------------- */

KTEST(slab, write_after, .expect_panic = "slab: red zone after object")
{
	struct lab *lab = lab3_begin(t);
	uint8_t *object = victim(lab, 600, GUARDED);

	damage(lab, object + lab->size[0] + prng_below(&t->prng, ZONE));
	lab3_free(lab, VICTIM);
}

KTEST(slab, write_before, .expect_panic = "slab: red zone before object")
{
	struct lab *lab = lab3_begin(t);
	uint8_t *object = victim(lab, 600, GUARDED);

	damage(lab, object - 1 - prng_below(&t->prng, ZONE));
	lab3_free(lab, VICTIM);
}

/* One byte beyond what was asked for, though still in what a size class would have. */
KTEST(slab, write_after_kmalloc, .expect_panic = "slab: red zone after object")
{
	struct lab *lab = lab3_begin_at(t, HEAP_FULL);
	uint8_t *object = kmalloc_victim(lab, 1, 2000);

	damage(lab, object + lab->slot[VICTIM].size);
	lab3_free(lab, VICTIM);
}

KTEST(slab, write_beside_large, .expect_panic = "slab: red zone")
{
	struct lab *lab = lab3_begin_at(t, HEAP_FULL);
	uint8_t *object = kmalloc_victim(lab, KMEM_MAX_SIZE + 1, 40000);
	size_t offset = prng_below(&t->prng, ZONE);

	damage(lab, prng_below(&t->prng, 2) ? object + lab->slot[VICTIM].size + offset
					    : object - 1 - offset);
	lab3_free(lab, VICTIM);
}

/* A write to a free object is found at the latest when it leaves the quarantine. */
KTEST(slab, write_to_freed, .expect_panic = "slab: written after free")
{
	struct lab *lab = lab3_begin(t);
	uint8_t *object = victim(lab, 600, GUARDED);

	lab3_free(lab, VICTIM);
	damage(lab, object + prng_below(&t->prng, lab->size[0]));
	for (unsigned i = 0; i < 100; i++)
		lab3_trace(lab, 100, 80, 1);
}

KTEST(slab, write_to_freed_shrink, .expect_panic = "slab: written after free")
{
	struct lab *lab = lab3_begin(t);
	uint8_t *object = victim(lab, 600, GUARDED);

	lab3_free(lab, VICTIM);
	damage(lab, object + prng_below(&t->prng, lab->size[0]));
	expect_eq(t, kmem_cache_shrink(lab->cache[0]), 0);
}

/* ---- Pointers ----------------------------------------------------------------------------- */

/* In its slab again. */
KTEST(slab, double_free, .expect_panic = "slab: double free")
{
	struct lab *lab = lab3_begin(t);
	uint8_t *object = victim(lab, 600, CHECKED);

	lab3_free(lab, VICTIM);
	free_again(lab, object);
}

/* In quarantine. */
KTEST(slab, double_free_guarded, .expect_panic = "slab: double free")
{
	struct lab *lab = lab3_begin(t);
	uint8_t *object = victim(lab, 600, GUARDED);

	lab3_free(lab, VICTIM);
	lab3_trace(lab, 20, 80, 1);
	free_again(lab, object);
}

/* Without protection, in a CPU's magazine: it is found when both come back to the slab. */
KTEST(slab, double_free_late, .expect_panic = "slab: double free")
{
	struct lab *lab = lab3_begin(t);
	uint8_t *object = victim(lab, 600, PLAIN);

	lab3_free(lab, VICTIM);
	free_again(lab, object);
	expect_eq(t, kmem_cache_shrink(lab->cache[0]), 0);
}

KTEST(slab, interior, .expect_panic = "slab: interior pointer")
{
	struct lab *lab = lab3_begin(t);
	uint8_t *object = victim(lab, 600, prng_below(&t->prng, 2) ? CHECKED : GUARDED);

	free_again(lab, object + 1 + prng_below(&t->prng, 7));
}

KTEST(slab, interior_large, .expect_panic = "slab: interior pointer")
{
	struct lab *lab = lab3_begin_at(t, HEAP_LIGHT);
	uint8_t *object = kmalloc_victim(lab, 3 * PAGE_SIZE, 40000);
	size_t offset = 1 + prng_below(&t->prng, lab->slot[VICTIM].size - 1);

	kfree_wrongly(lab, object + offset);
}

/* Where the objects of a slab end. */
static uint8_t *
end_of_objects(const struct slab *slab)
{
	return (uint8_t *)slab->first + slab->cache->nr_objects * slab->cache->stride;
}

/* The bytes of a slab that no object has: what is left at its end, or else its header. */
KTEST(slab, foreign_in_slab, .expect_panic = "slab: foreign pointer")
{
	struct lab *lab = lab3_begin(t);
	size_t offset = 8 * prng_below(&t->prng, 2);
	uint8_t *place;

	lab3_cache(lab, 0, 200 + prng_below(&t->prng, 400), 0, CHECKED, NULL);
	lab3_trace(lab, 300, 80, 1);
	lab3_alloc(lab, VICTIM, 0, GFP_KERNEL);
	place = page_to_virt(slab_of(lab->slot[VICTIM].object)->page);
	for (unsigned slot = 0; slot < LAB_SLOTS; slot++) {
		const struct slab *slab =
		    lab->slot[slot].object ? slab_of(lab->slot[slot].object) : NULL;
		uint8_t *end = slab ? end_of_objects(slab) : NULL;

		if (slab &&
		    end + offset < (uint8_t *)page_to_virt(slab->page) + slab_bytes(slab->cache))
			place = end;
	}
	free_again(lab, place + offset);
}

/* A frame that has another use: a thread's stack, or what alloc_pages() gave. */
KTEST(slab, foreign_frame, .expect_panic = "slab: foreign pointer")
{
	struct lab *lab = lab3_begin_at(t, HEAP_LIGHT);
	struct page *page = alloc_pages(GFP_KERNEL, 0);
	uint8_t local = 0;

	assert_true(t, page != NULL);
	kmalloc_victim(lab, 1, 2000);
	kfree_wrongly(lab, prng_below(&t->prng, 2) ? &local : page_to_virt(page));
}

static const uint8_t constant = 1;

/* No frame of memory: in the kernel's image, beyond memory, of no meaning at all. */
KTEST(slab, foreign_address, .expect_panic = "slab: foreign pointer")
{
	struct lab *lab = lab3_begin_at(t, HEAP_LIGHT);
	const void *const ptr[] = { &constant, phys_to_virt(1ul << 45), (const void *)4096 };

	kmalloc_victim(lab, 1, 2000);
	kfree_wrongly(lab, ptr[prng_below(&t->prng, ARRAY_SIZE(ptr))]);
}

KTEST(slab, wrong_cache, .expect_panic = "slab: wrong cache")
{
	struct lab *lab = lab3_begin(t);

	victim(lab, 600, prng_below(&t->prng, 2) ? CHECKED : GUARDED);
	/* The same shape, but another cache. */
	lab3_cache(lab, 1, lab->size[0], 0, lab->cache[0]->asked, NULL);
	lab3_alloc(lab, VICTIM - 1, 1, GFP_KERNEL);
	free_again(lab, lab->slot[VICTIM - 1].object);
}

/* An object of a cache is none of kmalloc()'s. */
KTEST(slab, wrong_cache_kfree, .expect_panic = "slab: wrong cache")
{
	struct lab *lab = lab3_begin_at(t, HEAP_LIGHT);

	kfree_wrongly(lab, victim(lab, 600, CHECKED));
}

KTEST(slab, wrong_size, .expect_panic = "slab: wrong size")
{
	struct lab *lab = lab3_begin_at(t, HEAP_LIGHT);
	uint8_t *object = kmalloc_victim(lab, 100, 20000);
	size_t size = lab->slot[VICTIM].size;

	/* More than was ever there. A smaller size may be right: see kmalloc_aligned(). */
	size = size * 2 + prng_below(&t->prng, 100);
	lab3_misuse(lab, VICTIM, object, (uint32_t)size);
	kfree_sized(object, size);
}

/* With full protection one byte is enough. */
KTEST(slab, wrong_size_guarded, .expect_panic = "slab: wrong size")
{
	struct lab *lab = lab3_begin_at(t, HEAP_FULL);
	uint8_t *object = kmalloc_victim(lab, 100, 20000);
	size_t size = lab->slot[VICTIM].size;

	size = prng_below(&t->prng, 2) ? size + 1 : size - 1;
	lab3_misuse(lab, VICTIM, object, (uint32_t)size);
	kfree_sized(object, size);
}
