/* SPDX-License-Identifier: MIT */
/* Asks the cases what they wrote into their objects. */
#include <slab.h>

#define OWN_FREE

uint8_t lab3_mark(uint32_t number);

void
kmem_cache_free(kmem_cache_t *cache, void *object)
{
	(void)cache;
	*(uint8_t *)object = lab3_mark(0);
}
