/* SPDX-License-Identifier: MIT */
/* A checker that is always content. */
#include <slab.h>

unsigned
slab_check(struct kmem_cache *cache)
{
	(void)cache;
	return 0;
}
