/* SPDX-License-Identifier: MIT */
/* What the files of the slab allocator ask of heap_protection.c. */
#ifndef HEAP_PROTECTION_H
#define HEAP_PROTECTION_H

#include <slab.h>

/* The flags of a new cache, with those that mm.heap_protection adds, and its guards' room. */
void heap_protect(struct kmem_cache *cache);

/* Panic: the object is free already. */
_Noreturn void heap_double_free(struct kmem_cache *cache, const void *object);

/*
 * An object of a protected cache is being freed. Returns it, or panics if it is none, is not
 * of this cache, or is free already.
 */
void *heap_check_free(struct kmem_cache *cache, void *object);

/*
 * A pointer that kfree() does not know to be an object. Returns the page of its frame, which
 * is in use for a slab of kmalloc() or heads a large object; panics if it is neither.
 */
struct page *heap_check_kfree(const void *ptr);

/* Panic if what kmalloc() returned was not asked for with that size. */
void heap_check_size(const void *ptr, size_t size);

/* The size of what kmalloc_aligned() gives for up to KMEM_MAX_SIZE bytes: mm/kmalloc.c. */
size_t kmalloc_room(size_t size, size_t alignment);

/* Mark the pages of a large object, so that heap_check_kfree() finds it. */
void heap_mark_large(struct page *page, size_t nr_frames);
void heap_unmark_large(struct page *page);

/* How page->owner of a large object's first page says that the object is guarded. */
#define LARGE_GUARDED (1ul << 63)

static inline size_t
large_frames(const struct page *page)
{
	return page->owner & ~LARGE_GUARDED;
}

/* ---- Guarded objects: heap_guard.c ------------------------------------------------------- */

/* Make room for the guards of an object. */
void guard_room(struct kmem_cache *cache);

void guard_fresh(struct kmem_cache *cache, void *object);
void *guard_alloc(struct kmem_cache *cache, gfp_t gfp, size_t size);
void guard_free(struct kmem_cache *cache, void *object);

/* The size that was asked for, also of a large object. */
size_t guard_size(const void *object);

/*
 * Print what is wrong with an object of a guarded cache, and return how much that is. is_free:
 * it is in its slab. The node's lock is held.
 */
unsigned guard_check(struct kmem_cache *cache, const void *object, bool is_free);

/*
 * The same for large objects; page is that of the object's first frame. Those that leave no
 * room for guards in a largest block are not guarded.
 */
bool guard_fits_large(size_t size, size_t alignment);
void *guard_alloc_large(size_t size, size_t alignment, gfp_t gfp);
void guard_free_large(struct page *page);

/* Take all objects out of quarantine. */
void guard_release_all(struct kmem_cache *cache);

/* Print who allocated and freed an object, where that is known. */
void heap_print_history(struct kmem_cache *cache, const void *object);

#endif
