/* SPDX-License-Identifier: MIT */
/* kmalloc(): sizes, alignment, and what becomes of nonsense; at every level of protection. */
#include <ktest.h>
#include <memory_advanced.h>
#include <slab.h>
#include <string.h>

#define LARGEST (PAGE_SIZE << MAX_ORDER)

static void
expect_filled(struct ktest *t, const void *ptr, int byte, size_t size)
{
	const uint8_t *bytes = ptr;

	for (size_t i = 0; i < size; i++)
		assert_eq(t, bytes[i], (uint8_t)byte);
}

static size_t
largest_power_in(size_t size)
{
	return size & -size;
}

KTEST(heap, every_size_has_its_class)
{
	for (size_t size = 1; size <= KMEM_MAX_SIZE; size++) {
		unsigned class = size_class(size);

		assert_le(t, class, NR_SIZE_CLASSES - 1);
		assert_le(t, size, size_of_class(class));
		if (class > 0)
			assert_le(t, size_of_class(class - 1) + 1, size);
	}
}

/* Over all sizes alike an object is less than an eighth larger than asked for. */
KTEST(heap, classes_waste_little)
{
	uint64_t asked = 0, given = 0;

	for (size_t size = 1; size <= KMEM_MAX_SIZE; size++) {
		asked += size;
		given += size_of_class(size_class(size));
	}
	expect_lt(t, (given - asked) * 8, given);
}

KTEST(heap, kmalloc_any_size)
{
	for (size_t size = 1; size <= 20000; size += size < 300 ? 1 : 61) {
		uint8_t *ptr = kmalloc(size, GFP_KERNEL);
		size_t align = size <= KMEM_MAX_SIZE ? largest_power_in(size) : PAGE_SIZE;

		assert_true(t, ptr != NULL);
		assert_true(t, IS_ALIGNED((uintptr_t)ptr, (uintptr_t)8));
		if (align == size || size > KMEM_MAX_SIZE)
			assert_true(t, IS_ALIGNED((uintptr_t)ptr, (uintptr_t)align));
		assert_le(t, size, ksize(ptr));
		memset(ptr, 0x42, size);
		kfree(ptr);
	}
	expect_eq(t, slab_check_all(), 0);
}

KTEST(heap, kmalloc_zeroed_is_zero)
{
	static const size_t sizes[] = { 1, 7, 8, 63, 64, 65, 1000, 8192, 8193, 100000 };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t *ptr = kmalloc(sizes[i], GFP_KERNEL);

		assert_true(t, ptr != NULL);
		memset(ptr, 0xff, sizes[i]);
		kfree(ptr);
		ptr = kmalloc_zeroed(sizes[i], GFP_KERNEL);
		assert_true(t, ptr != NULL);
		expect_filled(t, ptr, 0, sizes[i]);
		kfree(ptr);
	}
}

KTEST(heap, kmalloc_of_nothing)
{
	expect_eq(t, kmalloc(0, GFP_KERNEL), ZERO_SIZE_PTR);
	expect_eq(t, kmalloc_zeroed(0, GFP_KERNEL), ZERO_SIZE_PTR);
	expect_eq(t, kmalloc_aligned(0, 64, GFP_KERNEL), ZERO_SIZE_PTR);
	expect_eq(t, ksize(ZERO_SIZE_PTR), 0);
	expect_eq(t, ksize(NULL), 0);
	kfree(ZERO_SIZE_PTR);
	kfree(NULL);
	kfree_sized(ZERO_SIZE_PTR, 0);
	kfree_sized(NULL, 0);
}

KTEST(heap, kmalloc_of_too_much)
{
	static const size_t sizes[] = { SIZE_MAX,  SIZE_MAX - 4095, SIZE_MAX - 7,	 1ul << 63,
					1ul << 40, GiB(4),	    0xfffffffffffff001ul };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		expect_true(t, kmalloc(sizes[i], GFP_KERNEL) == NULL);
		expect_true(t, kmalloc_zeroed(sizes[i], GFP_KERNEL) == NULL);
		expect_true(t, kmalloc_aligned(sizes[i], 4096, GFP_KERNEL) == NULL);
	}
	/* What is made of scattered frames is aligned to one. */
	expect_true(t, kmalloc_aligned(LARGEST + 1, 2 * PAGE_SIZE, GFP_KERNEL) == NULL);
}

KTEST(heap, kmalloc_large)
{
	uint64_t before, after;
	memory_stats_t stats;

	slab_reclaim(SIZE_MAX);
	get_memory_stats(&stats);
	before = stats.free_memory;
	for (size_t size = KMEM_MAX_SIZE + 1; size <= LARGEST / 2; size = size * 3 / 2) {
		uint8_t *ptr = kmalloc(size, GFP_KERNEL);

		assert_true(t, ptr != NULL);
		ptr[0] = ptr[size - 1] = 1;
		kfree_sized(ptr, size);
	}
	slab_reclaim(SIZE_MAX);
	get_memory_stats(&stats);
	after = stats.free_memory;
	expect_eq(t, before, after);
}

KTEST(heap, kmalloc_aligned_is)
{
	for (size_t align = 1; align <= KiB(64); align *= 2) {
		for (size_t size = 1; size <= 20000; size = size * 2 + 1) {
			uint8_t *ptr = kmalloc_aligned(size, align, GFP_KERNEL);

			assert_true(t, ptr != NULL);
			assert_true(t, IS_ALIGNED((uintptr_t)ptr, (uintptr_t)align));
			memset(ptr, 0x21, size);
			kfree_sized(ptr, size);
		}
	}
}

/* Beyond the largest block: frames that need not be adjacent. */
KTEST(heap, kmalloc_huge)
{
	size_t size = LARGEST + 1;
	uint8_t *ptr = kmalloc(size, GFP_KERNEL), *moved;

	assert_true(t, ptr != NULL);
	assert_le(t, size, ksize(ptr));
	ptr[0] = ptr[size - 1] = 0x35;
	moved = krealloc(ptr, size + 100000, GFP_KERNEL);
	assert_true(t, moved != NULL);
	expect_eq(t, moved[0], 0x35);
	expect_eq(t, moved[size - 1], 0x35);
	kfree_sized(moved, size + 100000);
}

KTEST(heap, kmalloc_node_of_this_machine)
{
	void *ptr = kmalloc_node(100, GFP_KERNEL, 0), *any = kmalloc_node(100, GFP_KERNEL, -1);

	expect_true(t, ptr && any);
	kfree(ptr);
	kfree(any);
}

KTEST(heap, no_such_node, .expect_panic = "slab: kmalloc_node: there is no node 1")
{
	expect_true(t, kmalloc_node(8, GFP_KERNEL, 1) != NULL);
}

KTEST(heap, node_below_any, .expect_panic = "slab: kmalloc_node: there is no node -2")
{
	expect_true(t, kmalloc_node(8, GFP_KERNEL, -2) != NULL);
}

KTEST(heap, alignment_no_power, .expect_panic = "slab: kmalloc_aligned: an alignment of 24")
{
	expect_true(t, kmalloc_aligned(8, 24, GFP_KERNEL) != NULL);
}

KTEST(heap, alignment_zero, .expect_panic = "slab: kmalloc_aligned: an alignment of 0")
{
	expect_true(t, kmalloc_aligned(8, 0, GFP_KERNEL) != NULL);
}

KTEST(heap, alignment_too_large, .expect_panic = "slab: kmalloc_aligned: an alignment of 8388608")
{
	expect_true(t, kmalloc_aligned(8, 2 * LARGEST, GFP_KERNEL) != NULL);
}

KTEST(heap, cache_of_nothing, .expect_panic = "slab: test: objects of 0 bytes")
{
	expect_true(t, kmem_cache_create("test", 0, 0, 0, NULL) != NULL);
}

KTEST(heap, cache_of_too_much, .expect_panic = "slab: test: objects of 8193 bytes")
{
	expect_true(t, kmem_cache_create("test", KMEM_MAX_SIZE + 1, 0, 0, NULL) != NULL);
}

KTEST(heap, cache_badly_aligned, .expect_panic = "slab: test: an alignment of 48")
{
	expect_true(t, kmem_cache_create("test", 8, 48, 0, NULL) != NULL);
}

KTEST(heap, movable_objects, .expect_panic = "slab: kmalloc: memory is neither movable nor high")
{
	expect_true(t, kmalloc(10000, GFP_USER) != NULL);
}

/* ---- krealloc -------------------------------------------------------------------------------- */

KTEST(heap, krealloc_keeps_contents)
{
	static const size_t sizes[] = {
		1, 8, 9, 64, 100, 90, 5000, 8192, 8193, 30000, 20, 30000, 1
	};
	uint8_t *ptr = krealloc(NULL, 1, GFP_KERNEL);
	size_t old = 1;

	assert_true(t, ptr != NULL);
	ptr[0] = 0x35;
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t *moved = krealloc(ptr, sizes[i], GFP_KERNEL);

		assert_true(t, moved != NULL);
		expect_filled(t, moved, 0x35, MIN(old, sizes[i]));
		ptr = moved;
		old = sizes[i];
		memset(ptr, 0x35, old);
		assert_le(t, old, ksize(ptr));
	}
	expect_eq(t, krealloc(ptr, 0, GFP_KERNEL), ZERO_SIZE_PTR);
	ptr = krealloc(ZERO_SIZE_PTR, 10, GFP_KERNEL);
	assert_true(t, ptr != NULL);
	kfree(ptr);
}

KTEST(heap, krealloc_zeroes_what_is_new)
{
	uint8_t *ptr = kmalloc(64, GFP_KERNEL), *moved;

	assert_true(t, ptr != NULL);
	memset(ptr, 0x35, 64);
	moved = krealloc(ptr, 500, GFP_ZERO);
	assert_true(t, moved != NULL);
	expect_filled(t, moved, 0x35, 64);
	expect_filled(t, moved + 64, 0, 500 - 64);
	kfree(moved);
}

KTEST(heap, krealloc_fails_without_harm)
{
	uint8_t *ptr = kmalloc(64, GFP_KERNEL);

	assert_true(t, ptr != NULL);
	memset(ptr, 0x35, 64);
	expect_true(t, krealloc(ptr, SIZE_MAX, GFP_KERNEL) == NULL);
	expect_filled(t, ptr, 0x35, 64);
	kfree(ptr);
}

/* ---- At random --------------------------------------------------------------------------- */

#define HELD 200

KTEST(heap, kmalloc_at_random, .nr_params = 4, .budget_ms = 10000)
{
	static struct {
		uint8_t *ptr;
		size_t size;
	} held[HELD];

	memset(held, 0, sizeof(held));
	for (unsigned i = 0; i < 4000 + HELD; i++) {
		unsigned slot = i < 4000 ? (unsigned)prng_below(&t->prng, HELD) : i - 4000;

		if (held[slot].ptr) {
			expect_filled(t, held[slot].ptr, (int)slot, held[slot].size);
			kfree_sized(held[slot].ptr, held[slot].size);
			held[slot].ptr = NULL;
		} else if (i < 4000) {
			held[slot].size = 1 + prng_below(&t->prng, 1ul << prng_below(&t->prng, 15));
			held[slot].ptr = kmalloc(held[slot].size, GFP_KERNEL);
			assert_true(t, held[slot].ptr != NULL);
			memset(held[slot].ptr, (int)slot, held[slot].size);
		}
	}
	expect_eq(t, slab_check_all(), 0);
}
