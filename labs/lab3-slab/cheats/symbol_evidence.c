/* SPDX-License-Identifier: MIT */
/* Reaches for the transcript by name. */
#include <evidence.h>
#include <slab.h>

#define OWN_FREE

void
kmem_cache_free(kmem_cache_t *cache, void *object)
{
	(void)cache, (void)object;
	evidence.written--;
}
