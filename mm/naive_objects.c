/* SPDX-License-Identifier: MIT */
/*
 * Objects in kernels without a slab allocator: whole frames for each.
 *
 * It stands in for the files of lab 3 in the kernels of the labs before, which need a few
 * objects too. An object is a block of 2^order frames; the order is in its page's owner. That
 * wastes nearly all of the memory, but there is nothing in it that could be wrong. It asks for
 * blocks by order only, which is the first thing of the buddy allocator that works.
 *
 * Of a struct kmem_cache only size, alignment and constructor are used.
 */
#include <panic.h>
#include <slab.h>
#include <string.h>

static KMEM_CACHE(cache_cache, "kmem_cache", sizeof(struct kmem_cache), 0, 0, NULL);

struct magazine no_magazine;

void
slab_init(void)
{
}

/* ---- Blocks ------------------------------------------------------------------------------ */

static void *
block_alloc(size_t size, gfp_t gfp)
{
	struct page *page;
	unsigned order = 0;

	while (order <= MAX_ORDER && PAGE_SIZE << order < size)
		order++;
	if (order > MAX_ORDER)
		return NULL;
	page = alloc_pages(gfp, order);
	if (!page)
		return NULL;
	page->use = PAGE_USE_LARGE;
	page->owner = order;
	return page_to_virt(page);
}

static struct page *
block_page(const void *ptr)
{
	struct page *page = pfn_to_page(virt_to_phys(ptr) >> PAGE_SHIFT);

	if (page->use != PAGE_USE_LARGE || page_to_virt(page) != ptr)
		panic("slab: foreign pointer: %p is no object", ptr);
	return page;
}

/* ---- Caches ------------------------------------------------------------------------------ */

kmem_cache_t *
kmem_cache_create(const char *name, size_t size, size_t align, slab_flags_t flags,
		  void (*ctor)(void *object))
{
	struct kmem_cache *cache = kmem_cache_alloc(&cache_cache, GFP_KERNEL);

	(void)flags;
	if (!cache)
		return NULL;
	*cache = (struct kmem_cache){ .size = (uint32_t)size, .align = (uint32_t)align };
	cache->ctor = ctor;
	strlcpy(cache->name, name, sizeof(cache->name));
	return cache;
}

void
kmem_cache_destroy(kmem_cache_t *cache)
{
	if (cache && cache != &cache_cache)
		kfree(cache);
}

void *
kmem_cache_alloc(kmem_cache_t *cache, gfp_t gfp)
{
	void *object = block_alloc(MAX(cache->size, cache->align), gfp);

	if (object && cache->ctor)
		cache->ctor(object);
	return object;
}

void
kmem_cache_free(kmem_cache_t *cache, void *object)
{
	(void)cache;
	kfree(object);
}

size_t
kmem_cache_shrink(kmem_cache_t *cache)
{
	(void)cache;
	return 0;
}

/* ---- kmalloc ----------------------------------------------------------------------------- */

void *
kmalloc(size_t size, gfp_t flags)
{
	return size == 0 ? ZERO_SIZE_PTR : block_alloc(size, flags);
}

void *
kmalloc_node(size_t size, gfp_t flags, int node)
{
	(void)node;
	return kmalloc(size, flags);
}

void *
kmalloc_zeroed(size_t size, gfp_t flags)
{
	return kmalloc(size, flags | GFP_ZERO);
}

void *
kmalloc_aligned(size_t size, size_t alignment, gfp_t flags)
{
	return size == 0 ? ZERO_SIZE_PTR : block_alloc(MAX(size, alignment), flags);
}

void
kfree(const void *ptr)
{
	struct page *page;
	unsigned order;

	if ((uintptr_t)ptr <= (uintptr_t)ZERO_SIZE_PTR)
		return;
	page = block_page(ptr);
	order = (unsigned)page->owner;
	page->use = PAGE_USE_NONE;
	page->owner = 0;
	__free_pages(page, order);
}

void
kfree_sized(const void *ptr, size_t size)
{
	(void)size;
	kfree(ptr);
}

size_t
ksize(const void *ptr)
{
	if ((uintptr_t)ptr <= (uintptr_t)ZERO_SIZE_PTR)
		return 0;
	return PAGE_SIZE << block_page(ptr)->owner;
}

void *
krealloc(const void *ptr, size_t size, gfp_t flags)
{
	void *moved;

	if (size > 0 && size <= ksize(ptr))
		return (void *)ptr;
	moved = kmalloc(size, flags);
	if (!moved)
		return NULL;
	memcpy(moved, ptr, MIN(ksize(ptr), size));
	kfree(ptr);
	return moved;
}
