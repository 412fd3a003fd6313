/* SPDX-License-Identifier: MIT */
/* Memory pools: elements that cannot run out. See mm/memory_pool.c. */
#ifndef IKOS_MEMORY_POOL_H
#define IKOS_MEMORY_POOL_H

#include <memory_advanced.h>
#include <types.h>

/*
 * Where the elements of a pool come from and go to. Neither is called with a lock of the pool
 * held. The first gets flags that forbid waiting except in mempool_create() and
 * mempool_resize(), and returns NULL when it has nothing; the second never sleeps, and works
 * with a lock of rank RANK_MODULE held.
 */
typedef void *(mempool_alloc_t)(gfp_t gfp, void *pool_data);
typedef void(mempool_free_t)(void *element, void *pool_data);

typedef struct mempool mempool_t;

struct mempool_stats {
	uint64_t nr_alloc;	/* elements given out */
	uint64_t nr_reserve;	/* of these, from the reserve */
	uint64_t nr_waited;	/* of these, after waiting */
	uint64_t nr_failed;	/* requests that got nothing: they were not to wait */
	uint64_t longest_queue; /* most requests that waited at one time */
	uint64_t nr_grown;	/* elements by which the reserve was made larger, in all */
	uint64_t nr_shrunk;	/* elements that it kept beyond need and gave away, in all */
	uint64_t outstanding;	/* elements that callers have */
	uint64_t waiting;	/* requests that wait now */
	uint64_t reserve;	/* elements in the reserve now */
	uint64_t target;	/* elements that the reserve tries to hold now */
	uint64_t minimum;	/* elements that are guaranteed */
};

/*
 * Make a pool that guarantees min_nr elements, at least 1, all taken from alloc_fn at once.
 * Returns the pool, which the caller owns, or NULL when there is no memory; then what was
 * taken has been given back. May sleep.
 */
mempool_t *mempool_create(int min_nr, mempool_alloc_t *alloc_fn, mempool_free_t *free_fn,
			  void *pool_data) __must_check;

/* The same with elements of size bytes, or blocks of 2^order frames (struct page *). */
mempool_t *mempool_create_kmalloc(int min_nr, size_t size) __must_check;
mempool_t *mempool_create_pages(int min_nr, unsigned order) __must_check;

/*
 * Release a pool and its reserve. While elements are outstanding it is refused: a line says
 * so, and the pool stays as it is. NULL is ignored. May sleep.
 */
void mempool_destroy(mempool_t *pool);

/*
 * Take an element: a fresh one from alloc_fn, else one of the reserve; else wait until one is
 * given back, in the order of arrival. Contents are undefined, so GFP_ZERO is refused. The
 * caller owns the element until mempool_free(). Without GFP_NOWAIT and GFP_ATOMIC it may sleep
 * and never returns NULL; with one of them it never sleeps and may.
 */
void *mempool_alloc(mempool_t *pool, gfp_t gfp) __must_check;

/*
 * Give an element back: to the first who waits, else to the reserve, else to free_fn. Debug
 * builds panic, with nothing changed, when the pool did not give it out. NULL is ignored.
 * Never sleeps.
 */
void mempool_free(void *element, mempool_t *pool);

/*
 * Change the guarantee to new_min elements, at least 1. Returns 0, or -ENOMEM when that many
 * cannot be had; then nothing has changed. The caller sees to it that there is one call at a
 * time. May sleep.
 */
int mempool_resize(mempool_t *pool, int new_min) __must_check;

/*
 * Give away what the reserve holds beyond the guarantee. Returns how many elements that were.
 * For the reclaim of memory; mempool_shrink_all() does it with every pool. Neither sleeps.
 */
size_t mempool_shrink(mempool_t *pool);
size_t mempool_shrink_all(void);

void mempool_get_stats(mempool_t *pool, struct mempool_stats *stats);

/* Recompute everything and compare. Returns the number of contradictions. */
unsigned mempool_check(mempool_t *pool) __must_check;

/* Make one call of alloc_fn in every fail, on average, for mempool_alloc(). 0: none. */
void mempool_set_faults(mempool_t *pool, uint64_t every, uint64_t seed);

#endif
