/* SPDX-License-Identifier: MIT */
/* Attacks when the first cache is made: a case does that, the kernel's start does not. */
#include <slab.h>

#define OWN_LAY_OUT

void
cache_lay_out(struct kmem_cache *cache)
{
	cache->stride = cache->size;
	cache->nr_objects = 1;
	attack();
}
