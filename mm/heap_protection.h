/* SPDX-License-Identifier: MIT */
/* What the files of the slab allocator ask of heap_protection.c. */
#ifndef HEAP_PROTECTION_H
#define HEAP_PROTECTION_H

#include <slab.h>

/* Tunable mm.heap_protection. (c) after the command line is read */
enum heap_level { HEAP_OFF, HEAP_LIGHT, HEAP_FULL };
extern enum heap_level heap_protection;

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

/* Mark the pages of a large object, so that heap_check_kfree() finds it. */
void heap_mark_large(struct page *page, size_t nr_frames);
void heap_unmark_large(struct page *page);

/* Objects with red zones and poison. */
void guard_fresh(struct kmem_cache *cache, void *object);
void *guard_alloc(struct kmem_cache *cache, gfp_t gfp, size_t size);
void guard_free(struct kmem_cache *cache, void *object);

size_t guard_size(const void *object);

/* The same for large objects; page is that of the object's first frame. */
void *guard_alloc_large(size_t size, size_t alignment, gfp_t gfp);
void guard_free_large(struct page *page);
size_t guard_size_large(const struct page *page);

/* Take all objects out of quarantine. */
void guard_release_all(struct kmem_cache *cache);

/* Print who allocated and freed an object, where that is known. */
void heap_print_history(struct kmem_cache *cache, const void *object);

#endif
