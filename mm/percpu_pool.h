/* SPDX-License-Identifier: MIT */
/* A per-CPU pool from the inside: for percpu_pool.c, and for the tests of its checker. */
#ifndef IKOS_MM_PERCPU_POOL_H
#define IKOS_MM_PERCPU_POOL_H

#include "fixed_pool.h"

#define PERCPU_BATCH	  16
#define PERCPU_CACHE_SIZE (2 * PERCPU_BATCH)
#define PERCPU_DEPOT_SIZE (16 * PERCPU_BATCH)

/* (i) written by its CPU with interrupts off; counters are read by all */
struct cpu_cache {
	unsigned nr;			  /* (i) */
	uint64_t nr_alloc, nr_free;	  /* (i) */
	void *element[PERCPU_CACHE_SIZE]; /* (i) the first nr */
} __attribute__((aligned(64)));

/* (d) pool->lock; (c) fixed once made */
struct percpu_pool {
	struct fixed_pool backing; /* where elements come from; on no list of its own */
	unsigned nr_caches;	   /* (c) for the CPUs below this */
	unsigned batch;		 /* (c) elements that a CPU takes at a time, at most PERCPU_BATCH */
	size_t limit;		 /* (c) of made */
	struct cpu_cache *cache; /* (c) nr_caches of them */
	bool wanted;		 /* atomic: somebody found nothing */
	struct pool_entry entry;
	spinlock_t lock;		/* RANK_SLAB */
	size_t made;			/* (d) elements that came from backing and are not back */
	size_t nr;			/* (d) */
	void *depot[PERCPU_DEPOT_SIZE]; /* (d) the first nr */
	struct percpu_pool_stats stats; /* (d) of what took the lock */
	struct fault_injector faults;	/* (d) */
};

#endif
