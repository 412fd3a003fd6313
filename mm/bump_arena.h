/* SPDX-License-Identifier: MIT */
/* An arena from the inside: for bump_arena.c, and for the tests of its checker. */
#ifndef IKOS_MM_BUMP_ARENA_H
#define IKOS_MM_BUMP_ARENA_H

#include <pool_manager.h>

/* At the beginning of a chunk's memory. */
struct arena_chunk {
	struct list_head link; /* (a) arena->chunks, the newest last */
	uint64_t serial;       /* (a) */
	size_t size;	       /* (a) bytes, a multiple of PAGE_SIZE */
	size_t used;	       /* (a) bytes from the beginning, this header too */
};

/* (a) arena->lock */
struct bump_arena {
	struct pool_entry entry;
	spinlock_t lock;	      /* RANK_SLAB */
	struct list_head chunks;      /* (a) */
	struct arena_chunk *spare;    /* (a) ARENA_CHUNK bytes and on no list, or NULL */
	uint64_t serial;	      /* (a) of the newest chunk there ever was */
	struct arena_stats stats;     /* (a) */
	struct fault_injector faults; /* (a) */
};

#endif
