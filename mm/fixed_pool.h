/* SPDX-License-Identifier: MIT */
/* A fixed pool from the inside: for fixed_pool.c, and for percpu_pool.c, which builds on one. */
#ifndef IKOS_MM_FIXED_POOL_H
#define IKOS_MM_FIXED_POOL_H

#include <pool_manager.h>

#ifdef IKOS_DEBUG
#define FIXED_POOL_CHECKS true
#else
#define FIXED_POOL_CHECKS false
#endif

/* Elements of one chunk, at most: one word of summary bits, and less than a frame of 8 bytes. */
#define CHUNK_WORDS	   8
#define CHUNK_MAX_ELEMENTS (CHUNK_WORDS * 64)

/*
 * The beginning of a chunk: a block of frames, aligned to its own size; elements follow. The
 * owner of its first frame's page is the pool.
 */
struct fixed_chunk {
	struct list_head link;	    /* (p) pool->partial or pool->full */
	struct fixed_pool *pool;    /* (c) */
	unsigned nr_free;	    /* (p) bits set in free */
	unsigned words;		    /* (p) bit w is set if and only if free[w] != 0 */
	uint64_t free[CHUNK_WORDS]; /* (p) bit e is set if element e is free */
	uint64_t lent[CHUNK_WORDS]; /* atomic: bits of elements that a per-CPU pool gave out */
};

/* (p) pool->lock; (c) fixed once made */
struct fixed_pool {
	struct pool_entry entry;
	spinlock_t lock;	       /* RANK_SLAB */
	size_t size;		       /* (c) bytes of an element, a multiple of 8 */
	size_t first;		       /* (c) offset of a chunk's first element */
	unsigned order;		       /* (c) of a chunk */
	unsigned per_chunk;	       /* (c) elements of a chunk */
	struct list_head partial;      /* (p) chunks with a free element, the empty one last */
	struct list_head full;	       /* (p) chunks without */
	unsigned nr_empty;	       /* (p) chunks without an element in use: 0 or 1 */
	struct fixed_pool_stats stats; /* (p) */
	struct fault_injector faults;  /* (p) */
};

/* Make and release the pool itself, in memory of the caller's and on no list. */
void fixed_pool_init(struct fixed_pool *pool, size_t size);
void fixed_pool_fini(struct fixed_pool *pool);

/* The chunk and the number of an element of the pool. NULL if it is not one; wrong says why. */
struct fixed_chunk *fixed_pool_find(struct fixed_pool *pool, const void *element, unsigned *number,
				    const char **wrong);

#endif
