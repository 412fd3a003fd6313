/* SPDX-License-Identifier: MIT */
/*
 * Caches and kmalloc() on a made-up machine, and every kind of misuse of them: each must be
 * found wherever in an object it happens, and the report must name it.
 */
#include "host.h"
#include "slab_model.h"

#include <memory_advanced.h>
#include <page_allocator.h>
#include <slab.h>
#include <string.h>

#define GUARDED (SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER)

/* ---- Random calls ---------------------------------------------------------------------------- */

#define NR_RUNS	   60
#define NR_CALLS   1500
#define RUN_BUDGET 20000

static uint8_t bytes[1 + NR_CALLS * SLAB_OP_BYTES];

static void
run_bytes(void *wrong)
{
	*(const char **)wrong = slab_run(bytes, sizeof(bytes));
}

static void
random_calls(void)
{
	struct prng prng;

	prng_seed(&prng, host_seed);
	for (unsigned run = 0; run < NR_RUNS && !host_failed(); run++) {
		const char *wrong = NULL;

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)prng_next(&prng);
		bytes[0] = (uint8_t)(run % 3);
		if (!host_try(run_bytes, &wrong, RUN_BUDGET))
			wrong = host_message;
		if (wrong)
			host_fail(__FILE__, __LINE__, "run %u: %s", run, wrong);
	}
}

/* A million correct calls, with everything on: nothing is reported. */
static void
use_correctly(void *unused)
{
	static struct {
		uint8_t *ptr;
		size_t size;
	} held[1024];
	struct prng prng;

	(void)unused;
	memset(held, 0, sizeof(held));
	prng_seed(&prng, host_seed);
	for (unsigned i = 0; i < 1000000; i++) {
		unsigned slot = (unsigned)prng_below(&prng, ARRAY_SIZE(held));

		if (held[slot].ptr) {
			kfree_sized(held[slot].ptr, held[slot].size);
			held[slot].ptr = NULL;
		} else {
			held[slot].size = 1 + prng_below(&prng, 1ul << prng_below(&prng, 11));
			held[slot].ptr = kmalloc(held[slot].size, GFP_KERNEL);
			CHECK(held[slot].ptr != NULL);
			memset(held[slot].ptr, (int)i, held[slot].size);
		}
		if (i % 100000 == 0)
			CHECK_EQ(slab_check_all(), 0);
	}
	CHECK_EQ(slab_check_all(), 0);
}

static void
no_false_report(void)
{
	heap_protection = HEAP_FULL;
	host_start_machine(MiB(64));
	if (!host_try(use_correctly, NULL, 60000))
		host_fail(__FILE__, __LINE__, "%s", host_message);
}

/* ---- A cache to misuse ------------------------------------------------------------------- */

static kmem_cache_t *cache, *other_cache;
static uint8_t *object, *neighbour;
static size_t object_size;

static void
set_up(size_t size, slab_flags_t flags)
{
	heap_protection = flags & GUARDED ? HEAP_FULL : flags ? HEAP_LIGHT : HEAP_OFF;
	host_start_machine(MiB(32));
	object_size = size;
	cache = kmem_cache_create("victim", size, 0, flags | SLAB_NO_MERGE, NULL);
	other_cache = kmem_cache_create("other", size, 0, flags | SLAB_NO_MERGE, NULL);
	neighbour = kmem_cache_alloc(cache, GFP_KERNEL);
	object = kmem_cache_alloc(cache, GFP_KERNEL);
	CHECK(neighbour && object);
}

static void
free_it(void *unused)
{
	(void)unused;
	kmem_cache_free(cache, object);
}

/* fn must panic, with a message that begins like this and names cache and object. */
static void
must_panic(void (*fn)(void *), void *arg, const char *message)
{
	char address[32];

	host_capture_begin();
	if (host_try(fn, arg, 1000)) {
		host_fail(__FILE__, __LINE__, "expected a panic: %s", message);
		return;
	}
	host_capture_end();
	snprintf(address, sizeof(address), "%p", (void *)object);
	CHECK_NAMES(host_message, message);
	CHECK_NAMES(host_message, "victim");
	CHECK_NAMES(host_message, address);
}

/* ---- Writes ------------------------------------------------------------------------------ */

static const uint16_t sizes[] = { 1, 2, 7, 8, 9, 24, 63, 64, 65, 100, 255, 1000, 4096, 5000, 8192 };

/* Every byte within 64 of an object: found when the object is freed, and named. */
static void
each_byte_beside_an_object(void)
{
	struct prng prng;

	prng_seed(&prng, host_seed);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		long size = sizes[i];

		set_up((size_t)size, GUARDED);
		for (long offset = -64; offset < size + 64 && !host_failed(); offset++) {
			char named[48];

			if (offset == 0)
				offset = size;
			/* A new object each time, as the last one is lost to the panic. */
			object = kmem_cache_alloc(cache, GFP_KERNEL);
			CHECK(object != NULL);
			object[offset] ^= (uint8_t)(1u << prng_below(&prng, 8));
			host_capture_begin();
			CHECK_EQ(slab_check(cache), 1);
			must_panic(free_it, NULL,
				   offset < 0 ? "slab: red zone before object "
					      : "slab: red zone after object ");
			snprintf(named, sizeof(named), "offset %ld holds", offset);
			CHECK_NAMES(host_message, named);
			CHECK_NAMES(host_output, "  allocated at ");
			object[offset] = 0xc3;
		}
	}
}

static void
flush_quarantine(void *unused)
{
	(void)unused;
	kmem_cache_shrink(cache);
}

static void
each_byte_of_a_freed_object(void)
{
	struct prng prng;

	prng_seed(&prng, host_seed);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t size = sizes[i], step = size / 100 + 1;

		for (size_t offset = 0; offset < size && !host_failed(); offset += step) {
			set_up(size, GUARDED);
			kmem_cache_free(cache, object);
			object[offset] ^= (uint8_t)(1u << prng_below(&prng, 8));
			host_capture_begin();
			CHECK_EQ(slab_check(cache), 1);
			must_panic(flush_quarantine, NULL, "slab: written after free: object ");
			CHECK_NAMES(host_output, "  allocated at ");
			CHECK_NAMES(host_output, "  freed at ");
		}
	}
}

/* kmalloc() guards what was asked for, not what its class is larger. */
static void
free_ptr(void *ptr)
{
	kfree(ptr);
}

static void
each_size_of_kmalloc(void)
{
	heap_protection = HEAP_FULL;
	host_start_machine(MiB(32));
	for (size_t size = 1; size < 40000 && !host_failed(); size += size < 200 ? 1 : 97) {
		static const int near[] = { -64, -1, 0, 1, 63 };

		for (unsigned i = 0; i < ARRAY_SIZE(near); i++) {
			uint8_t *ptr = kmalloc(size, GFP_KERNEL);
			uint8_t *byte = near[i] < 0 ? ptr + near[i] : ptr + size + near[i];

			CHECK(ptr != NULL);
			CHECK_EQ(ksize(ptr), size);
			*byte ^= 0x80;
			host_capture_begin();
			CHECK(!host_try(free_ptr, ptr, 1000));
			host_capture_end();
			CHECK_NAMES(host_message, near[i] < 0 ? "slab: red zone before object "
							      : "slab: red zone after object ");
			CHECK_NAMES(host_message, "of kmalloc-");
		}
		slab_reclaim(1);
		if (size % 50 == 0)
			host_start_machine(MiB(32));
	}
}

/* ---- Frees ------------------------------------------------------------------------------- */

static void
free_at(void *address)
{
	kmem_cache_free(cache, address);
}

static void
each_byte_freed_instead(void)
{
	static const slab_flags_t flags[] = { SLAB_CHECK, GUARDED };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes) * ARRAY_SIZE(flags); i++) {
		size_t size = sizes[i / 2], step = size / 100 + 1;

		set_up(size, flags[i % 2]);
		for (size_t offset = 1; offset < size && !host_failed(); offset += step)
			must_panic(free_at, object + offset, "slab: interior pointer: ");
		CHECK_EQ(slab_check(cache), 0);
	}
}

static void
free_twice(void *unused)
{
	(void)unused;
	kmem_cache_free(cache, object);
	kmem_cache_free(cache, object);
}

static void
free_elsewhere(void *unused)
{
	(void)unused;
	kmem_cache_free(other_cache, object);
}

static void
other_frees(void)
{
	static const slab_flags_t flags[] = { SLAB_CHECK, GUARDED };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes) * ARRAY_SIZE(flags); i++) {
		set_up(sizes[i / 2], flags[i % 2]);
		must_panic(free_elsewhere, NULL, "slab: wrong cache: object ");
		CHECK_EQ(slab_check(cache), 0);
		must_panic(free_twice, NULL, "slab: double free of object ");
	}
}

static void
foreign_frees(void)
{
	static uint8_t variable;
	uint8_t local = 0;
	struct page *page;

	set_up(64, SLAB_CHECK);
	page = alloc_pages(GFP_KERNEL, 0);
	CHECK(page != NULL);
	{
		void *const wrong[] = { &variable,	    &local,
					(void *)1,	    (void *)~7ul,
					page_to_virt(page), phys_to_virt(MiB(64)),
					slab_of(object) };

		for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
			CHECK(!host_try(free_at, wrong[i], 1000));
			CHECK_NAMES(host_message, "slab: foreign pointer: ");
			CHECK(!host_try(free_ptr, wrong[i], 1000) || (uintptr_t)wrong[i] <= 16);
		}
	}
	CHECK_EQ(slab_check(cache), 0);
}

static void
free_one_less(void *ptr)
{
	kfree_sized(ptr, ksize(ptr) - 1);
}

static void
free_one_more(void *ptr)
{
	kfree_sized(ptr, ksize(ptr) + 1);
}

/* With all objects guarded every other size is wrong. */
static void
wrong_sizes(void)
{
	heap_protection = HEAP_FULL;
	host_start_machine(MiB(32));
	for (size_t size = 1; size < 40000 && !host_failed(); size += size < 200 ? 1 : 997) {
		void *ptr = kmalloc(size, GFP_KERNEL);

		CHECK(!host_try(free_one_less, ptr, 1000));
		CHECK_NAMES(host_message, "slab: wrong size: object ");
		CHECK(!host_try(free_one_more, ptr, 1000));
		CHECK_NAMES(host_message, "slab: wrong size: object ");
		kfree_sized(ptr, size);
	}
}

/* ---- Reports ----------------------------------------------------------------------------- */

static void
destroy_reports(void)
{
	char address[32];

	set_up(100, GUARDED);
	host_capture_begin();
	kmem_cache_destroy(cache);
	host_capture_end();
	snprintf(address, sizeof(address), "  object %p\n", (void *)object);
	CHECK_NAMES(host_output, "slab: victim: 2 objects are in use, the cache is kept\n");
	CHECK_NAMES(host_output, address);
	CHECK_NAMES(host_output, "  allocated at ");
	kmem_cache_free(cache, object);
	kmem_cache_free(cache, neighbour);
	host_capture_begin();
	kmem_cache_destroy(cache);
	host_capture_end();
	CHECK_EQ(host_output[0], '\0');
}

/* The check finds what it is there for: each kind of damage to the books. */
static void
the_check_checks(void)
{
	struct slab *slab;

	set_up(64, SLAB_NO_PROTECTION);
	slab = slab_of(object);
	host_capture_begin();
	CHECK_EQ(slab_check(cache), 0);
	slab->nr_free++;
	CHECK(slab_check(cache) > 0);
	slab->nr_free--;
	slab->free[0] ^= 1ull << 63;
	CHECK(slab_check(cache) > 0);
	slab->free[0] ^= 1ull << 63;
	cache->node[0].nr[SLAB_PARTIAL]++;
	CHECK(slab_check(cache) > 0);
	cache->node[0].nr[SLAB_PARTIAL]--;
	slab->page->use = PAGE_USE_NONE;
	CHECK(slab_check(cache) > 0);
	slab->page->use = PAGE_USE_SLAB;
	slab_page_set_cache(slab->page, NULL);
	CHECK(slab_check(cache) > 0);
	slab_page_set_cache(slab->page, cache);
	kmem_cache_free(cache, object);
	CHECK_EQ(slab_check(cache), 0);
	kmem_cache_free(cache, object); /* twice in the magazine */
	CHECK(slab_check(cache) > 0);
	host_capture_end();
}

/* ---- Shortage ---------------------------------------------------------------------------- */

static void
all_memory_and_back(void)
{
	static void *held[40000];

	for (unsigned level = HEAP_OFF; level <= HEAP_FULL; level++) {
		size_t nr_free, nr = 0;

		heap_protection = (enum heap_level)level;
		nr_free = host_start_machine(MiB(8));
		while (nr < ARRAY_SIZE(held) && (held[nr] = kmalloc(1 + nr % 3000, GFP_NOWAIT)))
			nr++;
		CHECK(nr < ARRAY_SIZE(held));
		while (nr > 0)
			kfree(held[--nr]);
		CHECK_EQ(slab_check_all(), 0);
		slab_reclaim(SIZE_MAX);
		CHECK_EQ(page_allocator_nr_free(), nr_free);
	}
}

HOST_SUITE(slab, { "random_calls", random_calls }, { "no_false_report", no_false_report },
	   { "each_byte_beside_an_object", each_byte_beside_an_object },
	   { "each_byte_of_a_freed_object", each_byte_of_a_freed_object },
	   { "each_size_of_kmalloc", each_size_of_kmalloc },
	   { "each_byte_freed_instead", each_byte_freed_instead }, { "other_frees", other_frees },
	   { "foreign_frees", foreign_frees }, { "wrong_sizes", wrong_sizes },
	   { "destroy_reports", destroy_reports }, { "the_check_checks", the_check_checks },
	   { "all_memory_and_back", all_memory_and_back });
