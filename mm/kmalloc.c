/* SPDX-License-Identifier: MIT */
/*
 * kmalloc(): memory of any size, by the byte.
 *
 * IDEA. A cache for each of NR_SIZE_CLASSES sizes; a request gets an object of the next size
 * up. Powers of two alone would waste a quarter of the memory, so there are three more sizes
 * between each two of them, evenly spaced, from 64 bytes on:
 *
 *	8  16  24  32  40  48  56  64        every 8 bytes
 *	80  96  112  128                     every 16
 *	160  192  224  256                   every 32
 *	...
 *	5120  6144  7168  8192               every 1024
 *
 * An object is then less than a quarter larger than what was asked for, and for sizes evenly
 * spread a ninth on average. With size - 1 written in binary, the class is its leading one's
 * position and the two bits behind that one, so no table is searched. (The same spacing as in
 * Evans, A Scalable Concurrent malloc(3) Implementation for FreeBSD, 2006)
 *
 * LARGER requests get frames of their own, exactly as many as needed. Which kind a pointer
 * is says the page of its frame: PAGE_USE_SLAB with the cache of its slab, or PAGE_USE_LARGE
 * with the number of frames as owner. So kfree() needs no size, and there is no header in front
 * of what it frees. What is larger than a largest block is made of scattered frames by
 * large_object.c, and known by its address.
 *
 * LOCKING. None of its own. kmalloc_cache[] is fixed; the frames of a large request belong to
 * whoever made it.
 */
#include <large_object.h>
#include <page_frame.h>
#include <panic.h>
#include <slab.h>
#include <string.h>

#include "heap_protection.h"
#include "slab_magazine.h"

#define CLASS(size_)                                                                               \
	KMEM_CACHE_INIT("kmalloc-" #size_, size_, (size_) & -(size_), SLAB_KMALLOC, NULL)

struct kmem_cache kmalloc_cache[NR_SIZE_CLASSES] = {
	CLASS(8),    CLASS(16),	  CLASS(24),   CLASS(32),   CLASS(40),	 CLASS(48),
	CLASS(56),   CLASS(64),	  CLASS(80),   CLASS(96),   CLASS(112),	 CLASS(128),
	CLASS(160),  CLASS(192),  CLASS(224),  CLASS(256),  CLASS(320),	 CLASS(384),
	CLASS(448),  CLASS(512),  CLASS(640),  CLASS(768),  CLASS(896),	 CLASS(1024),
	CLASS(1280), CLASS(1536), CLASS(1792), CLASS(2048), CLASS(2560), CLASS(3072),
	CLASS(3584), CLASS(4096), CLASS(5120), CLASS(6144), CLASS(7168), CLASS(8192),
};

/*
 * Pointers this far into the direct map may be given to kfree() unseen: 0 if all must be
 * looked at, because the heap is protected.
 */
static uintptr_t trusted_bytes; /* (c) */

void
kmalloc_init(void)
{
	trusted_bytes = heap_protection == HEAP_OFF ? page_frame_end() << PAGE_SHIFT : 0;
}

/* ---- Size classes ------------------------------------------------------------------------ */

/* Up to 64: by multiples of 8. Above: 4 classes for each position of the leading one. */
unsigned
size_class(size_t size)
{
	size_t last = size - 1;
	unsigned high;

	if (last < 64)
		return (unsigned)(last >> 3);
	high = 63 - (unsigned)__builtin_clzl(last);
	return 4 * (high - 6) + 4 + (unsigned)(last >> (high - 2));
}

size_t
size_of_class(unsigned class)
{
	return kmalloc_cache[class].size;
}

/*
 * The same, looked up: the cache for each multiple of 8 bytes, found when it is first wanted.
 * Until then it is no_cache, from which nothing can be had.
 */
static KMEM_CACHE(no_cache, "none", 8, 8, 0, NULL);

#define NR_ROUNDED    (KMEM_MAX_SIZE / 8 + 1)
#define ROUNDED(size) (((size) + 7) / 8)

static struct kmem_cache *cache_by_size[NR_ROUNDED] = { [0 ... NR_ROUNDED - 1] = &no_cache };

/* The smallest class from size on whose objects are aligned. There is one: 8192. */
static unsigned
aligned_class(size_t size, size_t alignment)
{
	unsigned class = size_class(size);

	while (kmalloc_cache[class].align < alignment)
		class ++;
	return class;
}

size_t
kmalloc_room(size_t size, size_t alignment)
{
	return size_of_class(aligned_class(size, alignment));
}

/* ---- Large requests ---------------------------------------------------------------------- */

#define LARGEST (MAX_ORDER_FRAMES << PAGE_SHIFT)

/* More than one largest block: scattered frames, whose addresses are not in the direct map. */
static void *
huge_alloc(size_t size, size_t alignment, gfp_t gfp)
{
	return alignment <= PAGE_SIZE ? large_alloc(size, gfp) : NULL;
}

static bool
is_huge(const void *ptr)
{
	return (uintptr_t)ptr - LARGE_BASE < LARGE_SIZE;
}

/* The frames come from the beginning of a block of at least that size: so they are aligned. */
static void *
frames_alloc(size_t size, size_t alignment, gfp_t gfp)
{
	size_t nr_frames;
	struct page *page;

	if (unlikely(gfp & GFP_USER))
		panic("slab: kmalloc: memory is neither movable nor high: gfp %#x", gfp);
	if (size > LARGEST)
		return huge_alloc(size, alignment, gfp);
	if (heap_protection == HEAP_FULL && guard_fits_large(size, alignment))
		return guard_alloc_large(size, alignment, gfp);
	nr_frames = MAX(ALIGN_UP(size, PAGE_SIZE), alignment) >> PAGE_SHIFT;
	page = alloc_pages_exact(gfp, nr_frames);
	if (!page)
		return NULL;
	heap_mark_large(page, nr_frames);
	return page_to_virt(page);
}

static void
frames_free(struct page *page)
{
	size_t nr_frames = large_frames(page);

	if (page->owner & LARGE_GUARDED) {
		guard_free_large(page);
		return;
	}
	heap_unmark_large(page);
	free_pages_exact(page, nr_frames);
}

/* ---- Allocation -------------------------------------------------------------------------- */

/* What the fast path cannot serve: unusual sizes, a size seen first, an empty magazine. */
static __attribute__((noinline)) void *
kmalloc_slow(size_t size, gfp_t flags)
{
	struct kmem_cache *cache;

	if (size == 0)
		return ZERO_SIZE_PTR;
	if (size > KMEM_MAX_SIZE)
		return frames_alloc(size, PAGE_SIZE, flags);
	cache = &kmalloc_cache[size_class(size)];
	__atomic_store_n(&cache_by_size[ROUNDED(size)], cache, __ATOMIC_RELAXED);
	return alloc_past_magazine(cache, flags, size);
}

void *
kmalloc(size_t size, gfp_t flags)
{
	struct kmem_cache *cache;
	void *object;

	if (unlikely(size > KMEM_MAX_SIZE))
		return kmalloc_slow(size, flags);
	cache = __atomic_load_n(&cache_by_size[ROUNDED(size)], __ATOMIC_RELAXED);
	if (unlikely(!magazine_alloc(cache, &object)))
		return kmalloc_slow(size, flags);
	if (unlikely(flags & GFP_ZERO))
		return memset(object, 0, cache->size);
	return object;
}

void *
kmalloc_node(size_t size, gfp_t flags, int node)
{
	if (node < -1 || node >= NR_NODES)
		panic("slab: kmalloc_node: there is no node %d", node);
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
	if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > LARGEST)
		panic("slab: kmalloc_aligned: an alignment of %lu", (unsigned long)alignment);
	if (size == 0)
		return ZERO_SIZE_PTR;
	if (size > KMEM_MAX_SIZE || alignment > KMEM_MAX_SIZE)
		return frames_alloc(size, alignment, flags);
	return alloc_past_magazine(&kmalloc_cache[aligned_class(size, alignment)], flags, size);
}

/* ---- Freeing ----------------------------------------------------------------------------- */

/* A large object, a pointer that has to be looked at first, or none at all. */
static __attribute__((noinline)) void
kfree_slow(const void *ptr)
{
	struct page *page;

	if ((uintptr_t)ptr <= (uintptr_t)ZERO_SIZE_PTR)
		return;
	if (is_huge(ptr)) {
		large_free(ptr);
		return;
	}
	page = heap_check_kfree(ptr);
	if (page->use == PAGE_USE_LARGE)
		frames_free(page);
	else
		kmem_cache_free(slab_of(ptr)->cache, (void *)ptr);
}

void
kfree(const void *ptr)
{
	uintptr_t offset = (uintptr_t)ptr - DIRECT_MAP_BASE;
	const struct page *page;
	struct kmem_cache *cache;

	if (unlikely(offset >= trusted_bytes)) {
		kfree_slow(ptr);
		return;
	}
	page = pfn_to_page(offset >> PAGE_SHIFT);
	if (unlikely(page->use != PAGE_USE_SLAB)) {
		kfree_slow(ptr);
		return;
	}
	cache = slab_page_cache(page);
	if (unlikely(!magazine_free(cache, (void *)ptr)))
		cache_free_slow(cache, (void *)ptr);
}

void
kfree_sized(const void *ptr, size_t size)
{
	if (heap_protection != HEAP_OFF && (uintptr_t)ptr > (uintptr_t)ZERO_SIZE_PTR)
		heap_check_size(ptr, size);
	kfree(ptr);
}

/* ---- Sizes ------------------------------------------------------------------------------- */

size_t
ksize(const void *ptr)
{
	const struct page *page;

	if ((uintptr_t)ptr <= (uintptr_t)ZERO_SIZE_PTR)
		return 0;
	if (is_huge(ptr))
		return large_size(ptr);
	page = heap_check_kfree(ptr);
	if (page->use == PAGE_USE_LARGE)
		return page->owner & LARGE_GUARDED ? guard_size(ptr)
						   : large_frames(page) << PAGE_SHIFT;
	if (slab_of(ptr)->cache->flags & SLAB_GUARDED)
		return guard_size(ptr);
	return slab_of(ptr)->cache->size;
}

/*
 * Would kmalloc() put that many bytes into the same kind of place as where ptr is? A guarded
 * object always moves, since its red zone begins where the size ends.
 */
static bool
fits_in_place(const void *ptr, size_t size)
{
	size_t room = ksize(ptr);

	if (heap_protection == HEAP_FULL || size == 0 || room == 0 || size > room)
		return false;
	if (size > KMEM_MAX_SIZE)
		return ALIGN_UP(size, PAGE_SIZE) == room;
	return size_of_class(size_class(size)) == room;
}

void *
krealloc(const void *ptr, size_t size, gfp_t flags)
{
	void *moved;

	if (fits_in_place(ptr, size))
		return (void *)ptr;
	moved = kmalloc(size, flags);
	if (!moved)
		return NULL;
	memcpy(moved, ptr, MIN(ksize(ptr), size));
	kfree(ptr);
	return moved;
}
