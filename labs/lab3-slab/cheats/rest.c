/* SPDX-License-Identifier: MIT */
/* What a cheat does not care about: enough for the kernel to build and to boot. */
#include <slab.h>

struct magazine no_magazine;

void
cache_lay_out(struct kmem_cache *cache)
{
	cache->stride = cache->size;
	cache->nr_objects = 1;
}

#ifndef OWN_ALLOC
void *
kmem_cache_alloc(kmem_cache_t *cache, gfp_t gfp)
{
	(void)cache, (void)gfp;
	return NULL;
}
#endif

#ifndef OWN_FREE
void
kmem_cache_free(kmem_cache_t *cache, void *object)
{
	(void)cache, (void)object;
}
#endif

void *
cache_alloc_slow(struct kmem_cache *cache, gfp_t gfp, size_t size)
{
	(void)size;
	return kmem_cache_alloc(cache, gfp);
}

void
cache_free_slow(struct kmem_cache *cache, void *object)
{
	kmem_cache_free(cache, object);
}

void *
slab_alloc_object(struct kmem_cache *cache, gfp_t gfp)
{
	return kmem_cache_alloc(cache, gfp);
}

void
slab_free_object(struct kmem_cache *cache, void *object)
{
	kmem_cache_free(cache, object);
}

void
magazine_drop(struct kmem_cache *cache)
{
	(void)cache;
}

size_t
cache_trim(struct kmem_cache *cache, size_t keep)
{
	(void)cache, (void)keep;
	return 0;
}
