/* SPDX-License-Identifier: MIT */
/* A memory pool from the inside: for memory_pool.c and memory_pool_check.c only. */
#ifndef IKOS_MM_MEMORY_POOL_INTERNAL_H
#define IKOS_MM_MEMORY_POOL_INTERNAL_H

#include <fault_injection.h>
#include <memory_pool.h>
#include <pool_manager.h>
#include <thread.h>

#include "element_set.h"

#ifdef IKOS_DEBUG
#define POOL_CHECKS true
#else
#define POOL_CHECKS false
#endif

/* A thread that waits for an element; lies on its stack. */
struct mempool_waiter {
	struct list_head link; /* (p) pool->waiters */
	void *element;	       /* (p) NULL until it is served */
};

/* (p) pool->lock; (c) fixed once made */
struct mempool {
	struct pool_entry entry;      /* its place in the list of all pools */
	spinlock_t lock;	      /* RANK_SLAB */
	mempool_alloc_t *alloc_fn;    /* (c) */
	mempool_free_t *free_fn;      /* (c) */
	void *pool_data;	      /* (c) */
	size_t poison_bytes;	      /* (c) of an element in the reserve; 0: size not known */
	bool elements_are_pages;      /* (c) an element is a struct page, not memory itself */
	void **reserve;		      /* (p) the first nr of nr_slots hold elements */
	size_t nr_slots;	      /* (p) */
	size_t nr;		      /* (p) */
	size_t minimum;		      /* (p) elements that are guaranteed */
	size_t target;		      /* (p) elements that the reserve tries to hold */
	size_t lent;		      /* (p) elements that the reserve gave and has not got back */
	size_t peak;		      /* (p) most that the reserve was asked for in this period */
	unsigned age;		      /* (p) frees in this period */
	struct list_head waiters;     /* (p) in the order of arrival */
	struct wait_queue queue;      /* the same threads in the same order, asleep */
	struct mempool_stats stats;   /* (p) */
	struct fault_injector faults; /* (p) */
	struct element_set out;	      /* (p) debug: the elements that callers have */
};

/* How many elements a pool may keep that guarantees minimum. */
size_t mempool_limit(size_t minimum);

/* ---- memory_pool_check.c ---- */

extern const struct pool_kind mempool_kind;

/* Does the element lie in the reserve? */
bool mempool_in_reserve_locked(const mempool_t *pool, const void *element);

/* Fill an element that goes into the reserve; is it unchanged when it leaves? Panics if not. */
void mempool_poison(const mempool_t *pool, void *element);
void mempool_check_poison(const mempool_t *pool, const void *element);

/* Give the set of outstanding elements room for more, if memory allows. Without the lock. */
void mempool_track_more(mempool_t *pool);

/* Say what is wrong with freeing element into pool. Without the lock. */
_Noreturn void mempool_bad_free(mempool_t *pool, const void *element);

#endif
