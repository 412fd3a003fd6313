/* SPDX-License-Identifier: MIT */
/* Where the elements of memory pools under test come from: it gives, or fails, as it is told. */
#ifndef POOL_SOURCE_H
#define POOL_SOURCE_H

#include <memory_pool.h>
#include <types.h>

#define SOURCE_ELEMENTS 4096

struct source_element {
	uint64_t mark; /* whoever has the element may write to it */
	bool away;     /* taken from the source and not given back */
};

struct source {
	struct source_element element[SOURCE_ELEMENTS];
	unsigned nr_away;
	unsigned nr_calls; /* of source_alloc() */
	unsigned nr_left;  /* calls that will still succeed */
	unsigned fail_one; /* one call in so many fails, 0: none */
	unsigned nr_bad;   /* elements given back that were not away */
	gfp_t gfp;	   /* of the last call */
};

#define SOURCE_FOREVER 0xffffffffu

/* All elements at home; the first nr_left calls succeed. */
void source_reset(struct source *source, unsigned nr_left);

/* alloc_fn and free_fn; the source is pool_data. Callable by several threads. */
void *source_alloc(gfp_t gfp, void *source);
void source_free(void *element, void *source);

#endif
