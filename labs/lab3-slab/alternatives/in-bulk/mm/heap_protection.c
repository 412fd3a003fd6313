/* SPDX-License-Identifier: MIT */
/*
 * Heap protection: finding the mistakes of those who use the heap.
 *
 * PROBLEM. Who frees an object twice, or frees what never was an object, destroys somebody
 * else's memory, and is long gone when that shows.
 *
 * IDEA. A pointer says everything about itself: its frame's page names the slab, the slab its
 * cache and where its objects begin, and the bitmap whether the object is free. So each free
 * can be checked exactly, without a byte of memory for it. What was written where, on the other
 * hand, shows only in memory that is set aside for it: heap_guard.c.
 *
 * LEVELS of mm.heap_protection, and what they cost:
 *	off	nothing: the fast paths do not even ask. A double free is found when both meet
 *		in a slab; other mistakes are not looked for.
 *	light	every pointer that is freed is checked. Its caches have no magazines, so that
 *		an object is in use or its bit is set, and nothing between: one lock a call.
 *	full	light, and all objects are guarded.
 *
 * A cache may ask for more by its own flags, or for none with SLAB_NO_PROTECTION.
 *
 * REPORTS are a panic whose line begins with the mistake. The wording is relied upon:
 *	slab: foreign pointer		no object lies there, or it lies in a slab that is gone
 *	slab: interior pointer		an object lies there, but begins elsewhere
 *	slab: wrong cache		the object is of another cache
 *	slab: wrong size		kfree_sized() with another size than kmalloc()
 *	slab: double free
 *	slab: red zone before object ... overwritten, slab: red zone after object ... overwritten
 *	slab: written after free
 *	slab: record of object ... overwritten
 * In the lines before it, "  allocated at ADDRESS" and "  freed at ADDRESS" say who did that,
 * if it is known.
 */
#include <cmdline.h>
#include <errno.h>
#include <page_frame.h>
#include <panic.h>
#include <printk.h>
#include <slab.h>
#include <string.h>

#include "heap_protection.h"

#ifdef IKOS_DEBUG
enum heap_level heap_protection = HEAP_LIGHT;
#else
enum heap_level heap_protection = HEAP_OFF;
#endif

static int
parse_level(const char *value)
{
	static const char *const names[] = { "off", "light", "full" };
	uint64_t number;

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(value, names[i]) == 0) {
			heap_protection = (enum heap_level)i;
			return 0;
		}
	}
	if (parse_u64(value, &number) != 0 || number > HEAP_FULL)
		return -EINVAL;
	heap_protection = (enum heap_level)number;
	return 0;
}
CMDLINE_OPTION(heap_protection, "mm.heap_protection",
	       "find misuse of the heap: off, light (pointers), full (also contents)", parse_level);

void
heap_protect(struct kmem_cache *cache)
{
	cache->flags = cache->asked;
	if (!(cache->flags & SLAB_NO_PROTECTION)) {
		if (heap_protection >= HEAP_LIGHT)
			cache->flags |= SLAB_CHECK;
		if (heap_protection == HEAP_FULL)
			cache->flags |= SLAB_GUARDED;
	}
	cache->guard_before = cache->guard_after = 0;
	if (cache->flags & SLAB_GUARDED)
		guard_room(cache);
}

/* ---- Pointers ---------------------------------------------------------------------------- */

/* The page of the frame that ptr points into, or NULL if there is none. */
static struct page *
heap_page(const void *ptr)
{
	uintptr_t pfn = ((uintptr_t)ptr - DIRECT_MAP_BASE) >> PAGE_SHIFT;

	if (pfn >= page_frame_end() || !page_frame_present(pfn))
		return NULL;
	return pfn_to_page(pfn);
}

static _Noreturn void
foreign_pointer(const char *cache, const void *ptr)
{
	panic("slab: foreign pointer: %p is no object of %s", ptr, cache);
}

static _Noreturn void
interior_pointer(const char *cache, const void *ptr, const void *object)
{
	panic("slab: interior pointer: %p lies %lu bytes into object %p of %s", ptr,
	      (unsigned long)((const char *)ptr - (const char *)object), object, cache);
}

_Noreturn void
heap_double_free(struct kmem_cache *cache, const void *object)
{
	heap_print_history(cache, object);
	panic("slab: double free of object %p of %s", object, cache->name);
}

/* The slab that ptr points into an object of, at its beginning; panics otherwise. */
static struct slab *
check_object(struct kmem_cache *cache, const void *ptr)
{
	struct page *page = heap_page(ptr);
	struct slab *slab;
	size_t index;

	if (!page || page->use != PAGE_USE_SLAB)
		foreign_pointer(cache->name, ptr);
	slab = (struct slab *)page->owner;
	if (slab->cache != cache)
		panic("slab: wrong cache: object %p of %s was freed into %s", ptr,
		      slab->cache->name, cache->name);
	if ((const char *)ptr < slab->first)
		foreign_pointer(cache->name, ptr);
	index = (size_t)((const char *)ptr - slab->first) / cache->stride;
	if (index >= cache->nr_objects)
		foreign_pointer(cache->name, ptr);
	if (slab_object(slab, index) != ptr)
		interior_pointer(cache->name, ptr, slab_object(slab, index));
	return slab;
}

void *
heap_check_free(struct kmem_cache *cache, void *object)
{
	check_object(cache, object);
	return object;
}

struct page *
heap_check_kfree(const void *ptr)
{
	struct page *page = heap_page(ptr);

	if (!page)
		foreign_pointer("kmalloc", ptr);
	if (page->use == PAGE_USE_SLAB) {
		struct kmem_cache *cache = ((struct slab *)page->owner)->cache;

		if (heap_protection != HEAP_OFF && !(cache->flags & SLAB_KMALLOC))
			panic("slab: wrong cache: object %p of %s was freed with kfree()", ptr,
			      cache->name);
		return page;
	}
	if (page->use != PAGE_USE_LARGE)
		foreign_pointer("kmalloc", ptr);
	while (page->owner == 0)
		page--;
	if (page_to_virt(page) != ptr)
		interior_pointer("kmalloc", ptr, page_to_virt(page));
	return page;
}

/*
 * Could a request for size bytes have got room? From kmalloc(), or from kmalloc_aligned(), whose
 * alignment is not known: it takes a power of two where there is a smaller class.
 */
static bool
is_plausible(size_t size, size_t room)
{
	if (size == 0 || size > room)
		return false;
	if (room <= KMEM_MAX_SIZE)
		return kmalloc_room(size, 1) == room || kmalloc_room(size, room & -room) == room;
	return ALIGN_UP(size, PAGE_SIZE) == room || (room & (room - 1)) == 0;
}

void
heap_check_size(const void *ptr, size_t size)
{
	size_t room = ksize(ptr);

	/* Of a guarded object, and of one beyond the largest block, the very size is known. */
	if (room == size || (heap_protection != HEAP_FULL && is_plausible(size, room)))
		return;
	panic("slab: wrong size: object %p has %lu bytes, freed as %lu", ptr, (unsigned long)room,
	      (unsigned long)size);
}

/*
 * The first page says how many frames there are. The others are marked too when the heap is
 * protected, so that a pointer into the middle is known for one.
 */
void
heap_mark_large(struct page *page, size_t nr_frames)
{
	page->use = PAGE_USE_LARGE;
	page->owner = nr_frames;
	for (size_t i = 1; heap_protection != HEAP_OFF && i < nr_frames; i++) {
		page[i].use = PAGE_USE_LARGE;
		page[i].owner = 0;
	}
}

void
heap_unmark_large(struct page *page)
{
	size_t nr_frames = heap_protection != HEAP_OFF ? large_frames(page) : 1;

	for (size_t i = 0; i < nr_frames; i++) {
		page[i].use = PAGE_USE_NONE;
		page[i].owner = 0;
	}
}
