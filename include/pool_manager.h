/* SPDX-License-Identifier: MIT */
/*
 * Pools for particular patterns of use, and the list of all pools.
 *
 *	fixed_pool	elements of one size, any order of freeing
 *	bump_arena	elements of any size, released together
 *	percpu_pool	elements of one size, at a rate that a lock would not stand
 *
 * Guaranteed elements, for those who must not fail, are in <memory_pool.h>.
 */
#ifndef IKOS_POOL_MANAGER_H
#define IKOS_POOL_MANAGER_H

#include <arch/cpu.h>
#include <fault_injection.h>
#include <list.h>
#include <memory_advanced.h>
#include <spinlock.h>
#include <types.h>

/* ---- The list of all pools: mm/pool_manager.c --------------------------------- */

#define POOL_NAME_SIZE 24

/* What a pool says about itself. */
struct pool_report {
	uint64_t element_size; /* bytes; 0: not known, or not all the same */
	uint64_t in_use;       /* elements that callers have */
	uint64_t kept;	       /* elements that wait in the pool */
	uint64_t bytes;	       /* memory that the pool holds, in use or not; 0: not known */
	uint64_t nr_alloc;     /* requests served since the pool was made */
	uint64_t nr_failed;    /* requests that got nothing */
};

struct pool_entry;

/* What can be done with a pool of any kind. Both take the pool's lock. */
struct pool_kind {
	const char *name;
	void (*report)(struct pool_entry *entry, struct pool_report *report);
	unsigned (*check)(struct pool_entry *entry); /* the number of contradictions */
};

struct pool_entry {
	struct list_head link;	      /* (r) the list of pools */
	const struct pool_kind *kind; /* (c) */
	unsigned number;	      /* (c) counted from 1 in the order of creation */
	char name[POOL_NAME_SIZE];    /* (c) */
};

/* Put a pool on the list, once it is whole; take it off, before it is torn down. */
void pool_register(struct pool_entry *entry, const struct pool_kind *kind, const char *name);
void pool_unregister(struct pool_entry *entry);

/*
 * Call fn for every pool in the order of creation until it returns false. The list's lock,
 * of rank RANK_MODULE, is held meanwhile: no pool comes or goes, and fn must not make one.
 */
void pool_for_each(bool (*fn)(struct pool_entry *entry, void *arg), void *arg);

/* Check every pool. Prints the first contradictions, returns how many there are. */
unsigned pools_check(void) __must_check;

/* Bytes that the pools' checkers and debug builds fill memory with. */
#define POISON_POOL_RESERVE 0x6d /* an element that lies in the reserve of a memory pool */
#define POISON_POOL_FREED   0x6e /* an element of a fixed or per-CPU pool that is free */
#define POISON_ARENA	    0x6f /* memory of an arena that was released */

/* ---- Fixed size: mm/fixed_pool.c ---------------------------------------------- */

#define FIXED_POOL_MAX_SIZE KiB(64)

struct fixed_pool;

struct fixed_pool_stats {
	uint64_t nr_alloc, nr_free; /* elements given out, given back */
	uint64_t nr_failed;	    /* requests that got nothing */
	uint64_t in_use, peak;	    /* elements that callers have; the most there ever were */
	uint64_t capacity;	    /* elements in all chunks */
	uint64_t chunks;
	uint64_t chunk_bytes;
};

/*
 * Make a pool of elements of size bytes, 1 to FIXED_POOL_MAX_SIZE, rounded up to 8; name is
 * copied. Returns NULL when there is no memory. May sleep.
 */
struct fixed_pool *fixed_pool_create(const char *name, size_t size) __must_check;

/*
 * Release a pool. Refused, with a line that says why, while elements are in use: returns
 * -EBUSY and changes nothing. May sleep.
 */
int fixed_pool_destroy(struct fixed_pool *pool);

/*
 * Take an element, aligned to 16 if the size is a multiple of 16, else to 8. Its contents are
 * undefined. Returns NULL when there is no memory. Never sleeps; O(1).
 */
void *fixed_pool_alloc(struct fixed_pool *pool) __must_check;

/*
 * Give an element back. Panics, with nothing changed, when the pool did not give it out:
 * another pool's or nobody's memory, the middle of an element, double free. Never sleeps; O(1).
 */
void fixed_pool_free(struct fixed_pool *pool, void *element);

void fixed_pool_get_stats(struct fixed_pool *pool, struct fixed_pool_stats *stats);

/* Recompute everything and compare. Returns the number of contradictions. O(chunks). */
unsigned fixed_pool_check(struct fixed_pool *pool) __must_check;

/* Make one request in every fail, on average. 0: none. */
void fixed_pool_set_faults(struct fixed_pool *pool, uint64_t every, uint64_t seed);

/* ---- Arena: mm/bump_arena.c ----------------------------------------------------- */

struct bump_arena;

/* A moment in the life of an arena. Copy it freely. */
struct arena_mark {
	uint64_t chunk;	 /* serial number, 0: before the first */
	size_t used;	 /* bytes of it */
	uint64_t allocs; /* allocations in force */
	uint64_t bytes;	 /* asked for by these */
};

struct arena_stats {
	uint64_t nr_alloc, nr_failed; /* requests that got something, nothing */
	uint64_t nr_release;	      /* calls that released anything */
	uint64_t allocs;	      /* in force */
	uint64_t bytes, peak;	      /* asked for and in force; the most there ever were */
	uint64_t chunks, frames;      /* held, the spare one too */
};

/*
 * Make an empty arena; name is copied. Returns NULL when there is no memory. May sleep.
 */
struct bump_arena *arena_create(const char *name) __must_check;

/* Release an arena with all that is in it. May sleep. */
void arena_destroy(struct bump_arena *arena);

/*
 * Take size bytes, at least 1, aligned to align, a power of two up to PAGE_SIZE. Contents are
 * undefined. Returns NULL when there is no memory, or size is beyond the largest block.
 * There is no free of one allocation. Never sleeps.
 */
void *arena_alloc(struct bump_arena *arena, size_t size, size_t align) __must_check;

/*
 * arena_mark() notes the moment; arena_release_to() releases everything that was allocated
 * since. Marks nest: releasing to one makes those taken after it stale. Going to a stale mark
 * panics if memory that it counts on is gone. arena_release_all() goes back to the beginning.
 * O(chunks released).
 */
struct arena_mark arena_mark(struct bump_arena *arena);
void arena_release_to(struct bump_arena *arena, struct arena_mark mark);
void arena_release_all(struct bump_arena *arena);

void arena_get_stats(struct bump_arena *arena, struct arena_stats *stats);
unsigned arena_check(struct bump_arena *arena) __must_check;
void arena_set_faults(struct bump_arena *arena, uint64_t every, uint64_t seed);

/* ---- Per CPU: mm/percpu_pool.c ---------------------------------------------------- */

struct percpu_pool;

struct percpu_pool_stats {
	uint64_t nr_alloc, nr_free; /* elements given out, given back */
	uint64_t nr_failed;	    /* requests that got nothing */
	uint64_t nr_slow;	    /* of all these, how many had to take the depot's lock */
	uint64_t nr_batches;	    /* batches that went from one CPU to another by the depot */
	uint64_t nr_recalls;	    /* times that all CPUs had to give back what they kept */
	uint64_t in_use;	    /* elements that callers have */
	uint64_t in_caches;	    /* elements in the CPUs' caches */
	uint64_t in_depot;	    /* elements in the depot */
};

/*
 * Make a pool of elements of size bytes, as fixed_pool_create(), of which there are never more
 * than limit; 0: as many as memory has. May sleep.
 */
struct percpu_pool *percpu_pool_create(const char *name, size_t size, size_t limit) __must_check;

/* As fixed_pool_destroy(). Nobody else may use the pool meanwhile. May sleep. */
int percpu_pool_destroy(struct percpu_pool *pool);

/*
 * Take an element: from this CPU's cache, else from the depot, else from memory. When all
 * these are empty and gfp allows waiting, what the other CPUs keep is recalled. Returns NULL
 * when no CPU keeps one, or, with GFP_NOWAIT or GFP_ATOMIC, when another one may.
 */
void *percpu_pool_alloc(struct percpu_pool *pool, gfp_t gfp) __must_check;

/*
 * Give an element back, on any CPU. Debug builds panic for what the pool did not give out, as
 * fixed_pool_free(); others only when the element leaves the CPU's cache. Never sleeps.
 */
void percpu_pool_free(struct percpu_pool *pool, void *element);

/* Return what the CPUs' caches and the depot keep to the fixed pool below. May sleep. */
void percpu_pool_drain(struct percpu_pool *pool);

/* The sums are of one moment only while nobody uses the pool. */
void percpu_pool_get_stats(struct percpu_pool *pool, struct percpu_pool_stats *stats);

/* Recompute and compare. Nobody else may use the pool meanwhile. */
unsigned percpu_pool_check(struct percpu_pool *pool) __must_check;
void percpu_pool_set_faults(struct percpu_pool *pool, uint64_t every, uint64_t seed);

#endif
