/* SPDX-License-Identifier: MIT */
/* Misuse of the heap: each mistake must be found, and the report must name it. */
#include <ktest.h>
#include <memory_advanced.h>
#include <slab.h>
#include <string.h>

#define GUARDED (SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER)

static kmem_cache_t *
make(struct ktest *t, const char *name, size_t size, slab_flags_t flags)
{
	kmem_cache_t *cache = kmem_cache_create(name, size, 0, flags | SLAB_NO_MERGE, NULL);

	assert_true(t, cache != NULL);
	return cache;
}

static uint8_t *
alloc(struct ktest *t, kmem_cache_t *cache)
{
	uint8_t *object = kmem_cache_alloc(cache, GFP_KERNEL);

	assert_true(t, object != NULL);
	return object;
}

/* ---- Pointers -------------------------------------------------------------------------------- */

KTEST(heap, double_free_checked, .expect_panic = "slab: double free of object ")
{
	kmem_cache_t *cache = make(t, "test", 64, SLAB_CHECK);
	uint8_t *object = alloc(t, cache);

	expect_true(t, alloc(t, cache) != object); /* keeps the slab */
	kmem_cache_free(cache, object);
	kmem_cache_free(cache, object);
}

KTEST(heap, double_free_guarded, .expect_panic = "slab: double free of object ")
{
	kmem_cache_t *cache = make(t, "test", 64, GUARDED);
	uint8_t *object = alloc(t, cache);

	kmem_cache_free(cache, object);
	kmem_cache_free(cache, object);
}

/* Without protection both meet in the slab, when the magazine is emptied. */
KTEST(heap, double_free_plain, .expect_panic = "slab: double free of object ")
{
	kmem_cache_t *cache = make(t, "test", 64, SLAB_NO_PROTECTION);
	uint8_t *object = alloc(t, cache);

	expect_true(t, alloc(t, cache) != object);
	kmem_cache_free(cache, object);
	kmem_cache_free(cache, object);
	kmem_cache_shrink(cache);
}

KTEST(heap, foreign_pointer, .expect_panic = "slab: foreign pointer: ", .nr_params = 5)
{
	static uint8_t variable;
	kmem_cache_t *cache = make(t, "test", 64, SLAB_CHECK);
	uint8_t *object = alloc(t, cache), on_stack;
	void *const wrong[] = { &variable, &on_stack, (void *)8, (void *)~0ul, slab_of(object) };

	kmem_cache_free(cache, wrong[t->param]);
}

KTEST(heap, interior_pointer, .expect_panic = "slab: interior pointer: ", .nr_params = 3)
{
	static const unsigned offset[] = { 1, 8, 63 };
	kmem_cache_t *cache = make(t, "test", 64, t->param == 2 ? GUARDED : SLAB_CHECK);

	kmem_cache_free(cache, alloc(t, cache) + offset[t->param]);
}

KTEST(heap, wrong_cache, .expect_panic = "slab: wrong cache: object ", .nr_params = 2)
{
	slab_flags_t flags = t->param ? GUARDED : SLAB_CHECK;

	kmem_cache_free(make(t, "one", 64, flags), alloc(t, make(t, "two", 64, flags)));
}

static void
skip_unprotected(struct ktest *t)
{
	if (heap_protection == HEAP_OFF)
		ktest_skip(t, "needs mm.heap_protection=light");
}

KTEST(heap, kfree_into_no_class, .expect_panic = "slab: wrong cache: object ")
{
	skip_unprotected(t);
	kfree(alloc(t, make(t, "test", 64, SLAB_CHECK)));
}

KTEST(heap, kfree_foreign, .expect_panic = "slab: foreign pointer: ", .nr_params = 3)
{
	static uint8_t variable;
	void *const wrong[] = { &variable, (void *)(DIRECT_MAP_BASE + GiB(900)), (void *)17 };

	skip_unprotected(t);
	kfree(wrong[t->param]);
}

KTEST(heap, kfree_interior, .expect_panic = "slab: interior pointer: ", .nr_params = 3)
{
	uint8_t *small = kmalloc(100, GFP_KERNEL), *large = kmalloc(20000, GFP_KERNEL);
	void *const wrong[] = { small + 8, large + 8, large + 8192 };

	skip_unprotected(t);
	kfree(wrong[t->param]);
}

KTEST(heap, kfree_twice, .expect_panic = "slab: double free of object ")
{
	uint8_t *keeper = kmalloc(100, GFP_KERNEL), *ptr = kmalloc(100, GFP_KERNEL);

	skip_unprotected(t);
	expect_true(t, keeper != NULL);
	kfree(ptr);
	kfree(ptr);
}

KTEST(heap, wrong_size, .expect_panic = "slab: wrong size: object ", .nr_params = 4)
{
	static const struct {
		size_t is, said;
	} sizes[] = { { 100, 129 }, { 100, 96 }, { 100, 0 }, { 20000, 100 } };

	skip_unprotected(t);
	kfree_sized(kmalloc(sizes[t->param].is, GFP_KERNEL), sizes[t->param].said);
}

/* ---- Contents ---------------------------------------------------------------------------- */

static const uint16_t sizes[] = { 1, 7, 8, 13, 64, 65, 100, 192, 500, 1000, 2048, 4096, 8192 };

/*
 * One byte, anywhere within 64 bytes of the object: the check finds exactly that, and nothing
 * once the byte is back. A byte of the object itself is its user's.
 */
KTEST(heap, red_zones_are_exact, .nr_params = ARRAY_SIZE(sizes), .budget_ms = 20000)
{
	long size = sizes[t->param];
	kmem_cache_t *cache = make(t, "test", (size_t)size, SLAB_RED_ZONE);
	uint8_t *neighbour = alloc(t, cache), *object = alloc(t, cache);

	expect_eq(t, slab_check(cache), 0);
	for (long offset = -64; offset < size + 64; offset++) {
		bool outside = offset < 0 || offset >= size;
		uint8_t before = object[offset];

		if (offset == 64 && size > 200)
			offset = size - 64; /* the middle of an object is like the rest of it */
		before = object[offset];
		object[offset] ^= (uint8_t)(1u << prng_below(&t->prng, 8));
		assert_eq(t, slab_check(cache), outside);
		object[offset] = before;
	}
	expect_eq(t, slab_check(cache), 0);
	kmem_cache_free(cache, object);
	kmem_cache_free(cache, neighbour);
	kmem_cache_destroy(cache);
}

/* A byte of a freed object: the same. */
KTEST(heap, poison_is_exact, .nr_params = ARRAY_SIZE(sizes), .budget_ms = 20000)
{
	size_t size = sizes[t->param], step = size / 60 + 1;
	kmem_cache_t *cache = make(t, "test", size, GUARDED);
	uint8_t *object = alloc(t, cache);

	kmem_cache_free(cache, object);
	for (size_t offset = 0; offset < size; offset += step) {
		uint8_t before = object[offset];

		object[offset] ^= (uint8_t)(1u << prng_below(&t->prng, 8));
		assert_eq(t, slab_check(cache), 1);
		object[offset] = before;
		assert_eq(t, slab_check(cache), 0);
	}
	kmem_cache_destroy(cache);
}

KTEST(heap, overflow, .expect_panic = "slab: red zone after object ", .nr_params = 3)
{
	static const unsigned offset[] = { 100, 101, 163 };
	kmem_cache_t *cache = make(t, "test", 100, GUARDED);
	uint8_t *object = alloc(t, cache);

	object[offset[t->param]] = 1;
	kmem_cache_free(cache, object);
}

KTEST(heap, underflow, .expect_panic = "slab: red zone before object ", .nr_params = 2)
{
	kmem_cache_t *cache = make(t, "test", 100, GUARDED);
	uint8_t *object = alloc(t, cache);

	object[t->param ? -1 : -64] = 1;
	kmem_cache_free(cache, object);
}

/* Found when the object leaves the quarantine, at the latest when it is handed out. */
KTEST(heap, written_after_free, .expect_panic = "slab: written after free: object ")
{
	kmem_cache_t *cache = make(t, "test", 100, GUARDED);
	uint8_t *object = alloc(t, cache);

	kmem_cache_free(cache, object);
	object[50] = 1;
	for (unsigned i = 0; i < 5000; i++)
		kmem_cache_free(cache, alloc(t, cache));
}

KTEST(heap, record_overwritten, .expect_panic = "slab: record of object ")
{
	kmem_cache_t *cache = make(t, "test", 100, GUARDED);
	uint8_t *object = alloc(t, cache);

	memset(object - 128, 0xff, 64);
	kmem_cache_free(cache, object);
}

/* ---- What is kept in mind ---------------------------------------------------------------- */

KTEST(heap, quarantine_delays_reuse)
{
	kmem_cache_t *cache = make(t, "test", 100, GUARDED);
	uint8_t *object = alloc(t, cache);

	kmem_cache_free(cache, object);
	for (unsigned i = 0; i < 300; i++) {
		uint8_t *other = alloc(t, cache);

		assert_ne(t, other, object);
		kmem_cache_free(cache, other);
	}
	kmem_cache_destroy(cache);
}

KTEST(heap, fresh_memory_is_recognised)
{
	kmem_cache_t *cache = make(t, "test", 100, GUARDED);
	uint8_t *object = alloc(t, cache);

	for (unsigned i = 0; i < 100; i++)
		expect_eq(t, object[i], 0x5a);
	kmem_cache_free(cache, object);
	for (unsigned i = 0; i < 100; i++)
		expect_eq(t, object[i], 0x9d);
	kmem_cache_destroy(cache);
}

static __attribute__((noinline)) void *
allocate_here(kmem_cache_t *cache)
{
	void *object = kmem_cache_alloc(cache, GFP_KERNEL);

	__asm__ volatile("" ::"r"(object)); /* no tail call */
	return object;
}

static __attribute__((noinline)) void
free_here(kmem_cache_t *cache, void *object)
{
	kmem_cache_free(cache, object);
	__asm__ volatile("" ::: "memory");
}

static bool
is_in(uintptr_t address, const void *function)
{
	return address - (uintptr_t)function < 100;
}

KTEST(heap, call_sites_are_known)
{
	kmem_cache_t *cache = make(t, "test", 100, GUARDED);
	void *object = allocate_here(cache);

	assert_true(t, object != NULL);
	expect_true(t, is_in(heap_alloc_site(object), allocate_here));
	free_here(cache, object);
	expect_true(t, is_in(heap_alloc_site(object), allocate_here));
	expect_true(t, is_in(heap_free_site(object), free_here));
	kmem_cache_destroy(cache);
}
