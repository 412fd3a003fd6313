/* SPDX-License-Identifier: MIT */
/* Attacks when the first object is wanted: a case does that, the kernel's start does not. */
#include <slab.h>

#define OWN_ALLOC

void *
kmem_cache_alloc(kmem_cache_t *cache, gfp_t gfp)
{
	(void)cache, (void)gfp;
	attack();
	return NULL;
}
