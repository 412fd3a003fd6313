/* SPDX-License-Identifier: MIT */
/*
 * What the cases of lab 3 share: slots for objects, each full of its own mark, and a transcript
 * of everything that is asked of the heap.
 *
 * Every call goes through a lab3_*() function here. It makes the call, fills what comes of it,
 * looks later whether the mark is still there, and logs all of it for the grader. That one has
 * a model of which addresses are in use, and looks at the guest's memory at the end: at the
 * marks of the objects that are held then, at bitmaps, lists and magazines.
 */
#ifndef LAB3_H
#define LAB3_H

#include <evidence.h>
#include <ktest.h>
#include <memory_advanced.h>
#include <slab.h>

#define LAB_SLOTS  4096 /* objects that a case can hold at one time */
#define LAB_CACHES 64

/* How a cache under test finds mistakes. */
#define PLAIN	(SLAB_NO_PROTECTION | SLAB_NO_MERGE)
#define CHECKED (SLAB_CHECK | SLAB_NO_MERGE)
#define GUARDED (SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER | SLAB_NO_MERGE)
#define BARE	(PLAIN | SLAB_NO_MAGAZINES)

/* Transcript records of this lab; labs/lab3-slab/oracle.py reads them. */
enum lab3_record {
	EV_CACHE = EV_LAB, /* arg: size; a: cache; b: alignment; c: flags | nr_objects << 32 */
	EV_ALLOC,	   /* arg: gfp; a: object or 0; b: cache; c: bytes that GFP_ZERO left */
	EV_FREE,	   /* a: object; b: cache. Logged before the call */
	EV_KMALLOC,	   /* arg: gfp | alignment << 4; a: object; b: size; c: ksize() */
	EV_KFREE,	   /* a: object; b: size, if kfree_sized(). Before the call */
	EV_KREALLOC,	   /* a: old; b: new; c: size */
	EV_FRAMES,	   /* a: free frames of the machine; b: frames given out, ever */
	EV_SHRINK,	   /* a: frames given back; b: cache */
	EV_DESTROY,	   /* a: cache. Before the call */
	EV_SLABS,	   /* a, b, c: slabs that are full, partial, empty */
	EV_MAGAZINE,	   /* a: exchanges; b: capacity; c: objects in it */
	EV_STATS,	   /* arg: which three of struct slab_stats */
	EV_CTOR,	   /* a: object; b: a number that it is given */
	EV_WORD,	   /* a: object; b: its first word */
	EV_FAULTS,	   /* a: every */
	EV_CHECK,	   /* a: contradictions that slab_check() found; b: a number */
	EV_MISUSE,	   /* arg: bytes; a: address; b: object; c: cache. Before it is done */
	EV_COST,	   /* arg: phase; a: instructions */
	EV_SITE,	   /* a: object; b: who allocated it; c: who freed it */
	EV_CLASS,	   /* arg: size; a: size class; b: size of its objects */
	EV_POOL,	   /* arg: minimum; a: pool or 0 */
	EV_POOL_ALLOC,	   /* arg: who asks; a: element or 0 */
	EV_POOL_FREE,	   /* arg: who gives; a: element. Before the call */
	EV_POOL_FRESH,	   /* a: element that the pool was given, or 0 */
	EV_POOL_RETURN,	   /* a: element that the pool gave back */
	EV_POOL_DESTROY,   /* a: pool. Before the call */
};

/* An object that a case holds. */
struct lab_slot {
	uint8_t *object;     /* NULL: the slot is empty */
	uint32_t size;	     /* that was asked for */
	uint32_t number;     /* of the allocation: makes its mark */
	kmem_cache_t *cache; /* NULL: from kmalloc() */
};

struct lab {
	struct ktest *t;
	uint32_t number; /* allocations so far */
	bool may_fail;	 /* failures are made on purpose now */
	kmem_cache_t *cache[LAB_CACHES];
	uint32_t size[LAB_CACHES]; /* of the objects of each */
	struct lab_slot slot[LAB_SLOTS];
};

/* All slots and caches empty. */
struct lab *lab3_begin(struct ktest *t);

/* The same for a case that needs at least that much protection of kmalloc(); else it is skipped. */
struct lab *lab3_begin_at(struct ktest *t, enum heap_level level);

/* Make cache number i. */
void lab3_cache(struct lab *lab, unsigned i, size_t size, size_t align, slab_flags_t flags,
		void (*ctor)(void *object));

/* Each ends the case when it gets NULL, unless may_fail is set: then it returns false. */
bool lab3_alloc(struct lab *lab, unsigned slot, unsigned cache, gfp_t gfp);
bool lab3_kmalloc(struct lab *lab, unsigned slot, size_t size, gfp_t gfp);
bool lab3_kmalloc_aligned(struct lab *lab, unsigned slot, size_t size, size_t align, gfp_t gfp);
bool lab3_krealloc(struct lab *lab, unsigned slot, size_t size, gfp_t gfp);

/* Look at the mark, and give the object back. */
void lab3_free(struct lab *lab, unsigned slot);
void lab3_free_all(struct lab *lab);

/* The same, of an object of kmalloc(), with its size. */
void lab3_kfree_sized(struct lab *lab, unsigned slot);

/* Free what the first slots hold, in any order. */
void lab3_free_at_random(struct lab *lab, unsigned slots);

/* Rounds of filling an empty slot, from one of the first caches, or emptying a full one. */
void lab3_trace(struct lab *lab, unsigned rounds, unsigned slots, unsigned caches);

/* The same with kmalloc() and a size from [1, max], small ones more often than large ones. */
void lab3_kmalloc_trace(struct lab *lab, unsigned rounds, unsigned slots, size_t max);
size_t lab3_random_size(struct ktest *t, size_t max);

/* Log what they find. */
void lab3_frames(struct lab *lab);
void lab3_settle(struct lab *lab); /* the same, when caches have given back what they can */
void lab3_slabs(struct lab *lab, unsigned cache);
void lab3_check(struct lab *lab, unsigned cache);
size_t lab3_shrink(struct lab *lab, unsigned cache);
void lab3_destroy(struct lab *lab, unsigned cache);

/* Log a mistake that is about to be made with an object, at an address. */
void lab3_misuse(struct lab *lab, unsigned slot, const void *address, uint32_t bytes);

bool lab3_is_filled(const void *object, uint8_t byte, size_t size);
uint8_t lab3_mark(uint32_t number);

#endif
