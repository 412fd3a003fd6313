/* SPDX-License-Identifier: MIT */
/* The subjects of lab 3: a cache of objects of one size, and kmalloc(). */
#include "bench.h"
#include "ikos.h"

#include <memory_advanced.h>
#include <panic.h>
#include <slab.h>

#define OBJECT_SIZE 64

static kmem_cache_t *cache;

static void
trim(void)
{
	slab_reclaim(SIZE_MAX);
}

static bool
setup_kmem(void)
{
	ikos_start();
	cache = kmem_cache_create("bench", OBJECT_SIZE, 0, SLAB_NO_MERGE, NULL);
	ASSERT(cache != NULL);
	return true;
}

static void
teardown_kmem(void)
{
	kmem_cache_destroy(cache);
	ASSERT_EQ(mm_check(), 0);
}

static void *
alloc_kmem(size_t size)
{
	(void)size;
	return kmem_cache_alloc(cache, GFP_KERNEL);
}

static void
free_kmem(void *object)
{
	kmem_cache_free(cache, object);
}

struct subject subject_kmem = {
	.name = "ikos-kmem",
	.only_size = OBJECT_SIZE,
	.setup = setup_kmem,
	.teardown = teardown_kmem,
	.alloc = alloc_kmem,
	.free = free_kmem,
	.used = ikos_used,
	.trim = trim,
};

static bool
setup_kmalloc(void)
{
	ikos_start();
	return true;
}

static void
teardown_kmalloc(void)
{
	ASSERT_EQ(mm_check(), 0);
}

static void *
alloc_kmalloc(size_t size)
{
	return kmalloc(size, GFP_KERNEL);
}

static void
free_kmalloc(void *object)
{
	kfree(object);
}

struct subject subject_kmalloc = {
	.name = "ikos-kmalloc",
	.setup = setup_kmalloc,
	.teardown = teardown_kmalloc,
	.alloc = alloc_kmalloc,
	.free = free_kmalloc,
	.used = ikos_used,
	.trim = trim,
	.usable = ksize,
};
