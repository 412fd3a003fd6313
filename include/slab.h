/* SPDX-License-Identifier: MIT */
/*
 * The slab allocator from inside: what its files share, and what tests and tools look at.
 * Those who only want objects need memory_advanced.h and, for a cache that exists from the
 * start, KMEM_CACHE(). The theory is in mm/slab_allocator.c.
 *
 * (c) fixed once the cache is ready, or the slab made   (n) node->lock   (l) caches_lock
 * (i) its own CPU's, with interrupts off
 */
#ifndef IKOS_SLAB_H
#define IKOS_SLAB_H

#include <list.h>
#include <memory_advanced.h>
#include <page.h>
#include <percpu.h>
#include <spinlock.h>
#include <types.h>

#define NR_NODES 1

#define SLAB_MAX_ORDER	3
#define SLAB_COLOUR	64 /* bytes: a cache line */
#define SLAB_MIN_ALIGN	8
#define CACHE_NAME_SIZE 32

/* More flags of a cache, not for callers. */
#define SLAB_NO_MAGAZINES (1u << 16) /* no objects are kept for each CPU */
#define SLAB_KMALLOC	  (1u << 17) /* a size class of kmalloc() */
#define SLAB_STATIC	  (1u << 18) /* made with KMEM_CACHE(), not from memory */

#define SLAB_GUARDED   (SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER)
#define SLAB_PROTECTED (SLAB_CHECK | SLAB_GUARDED)

/* What the allocator's own objects are taken with: a free must not wait for memory. */
#define SLAB_OWN_GFP GFP_NOWAIT

/*
 * Objects that one CPU holds ready. Only that CPU touches it, with interrupts off.
 */
struct magazine {
	uint32_t nr;		      /* (i) objects in it */
	uint32_t capacity;	      /* (c) how many there is room for, an even number */
	uint64_t nr_alloc;	      /* (i) allocations that were served from it */
	uint32_t nr_refill, nr_flush; /* (i) exchanges with the slabs */
	uint64_t unused;
	void *object[];
};

#define MAGAZINE_SMALL	12
#define MAGAZINE_MEDIUM 28
#define MAGAZINE_LARGE	124

/* A CPU's magazine of a cache that has none there: empty and full at once. */
extern struct magazine no_magazine;

/*
 * 2^order frames full of objects. The header lies at their beginning, or outside where it
 * would take the room of an object. Bit i of free is set if object i is in the slab, clear if
 * it is in a magazine, in quarantine, or a caller's.
 */
struct slab {
	struct kmem_cache *cache; /* (c) */
	struct list_head link;	  /* (n) on node->list[] of its kind */
	char *first;		  /* (c) object 0 */
	struct page *page;	  /* (c) of the first frame */
	uint32_t nr_free;	  /* (n) bits that are set in free */
	uint32_t node;		  /* (c) */
	uint64_t free[];	  /* (n) cache->nr_words words */
};

/* Where a header lies that is not in its slab: room for that many objects. */
#define OFF_SLAB_OBJECTS 64

enum slab_kind {
	SLAB_FULL,    /* no object is free */
	SLAB_PARTIAL, /* some are */
	SLAB_EMPTY,   /* all are */
	NR_SLAB_KINDS,
};

struct cache_node {
	spinlock_t lock;
	struct list_head list[NR_SLAB_KINDS]; /* (n) */
	size_t nr[NR_SLAB_KINDS];	      /* (n) how many slabs */
	unsigned next_colour;		      /* (n) */
	uint64_t nr_alloc;		      /* (n) allocations from slabs, past any magazine */
};

struct kmem_cache {
	struct magazine *magazine[MAX_CPUS]; /* (i) */
	slab_flags_t flags;		     /* (c) those asked for, and what protection adds */
	slab_flags_t asked;		     /* (c) */
	bool ready;			     /* (l) all below is set; atomic */
	bool off_slab;			     /* (c) the headers of its slabs lie elsewhere */
	uint8_t order;			     /* (c) of its slabs */
	uint32_t size;			     /* (c) of an object, for its user */
	uint32_t align;			     /* (c) */
	uint32_t stride;		     /* (c) from one object to the next */
	uint32_t reciprocal;		     /* (c) 2^32 / stride, rounded up */
	uint32_t nr_objects;		     /* (c) in a slab */
	uint32_t nr_words;		     /* (c) of a slab's bitmap */
	uint32_t offset;		     /* (c) of object 0 in a slab of colour 0 */
	uint32_t guard_before, guard_after;  /* (c) bytes around an object that guard it */
	uint32_t nr_colours;		     /* (c) */
	uint32_t max_capacity;		     /* (c) of a magazine; 0: none */
	uint32_t max_empty;		     /* (c) slabs without objects in use that are kept */
	void (*ctor)(void *object);	     /* (c) */
	struct cache_node node[NR_NODES];
	uint64_t nr_alloc_past;		    /* atomic: of magazines that are gone */
	struct list_head link;		    /* (l) in all_caches */
	struct list_head aliases;	    /* (l) struct cache_alias */
	unsigned nr_users;		    /* (l) 1, and each cache that was merged into it */
	char name[CACHE_NAME_SIZE];	    /* (c) */
	struct heap_quarantine *quarantine; /* (n) of node 0; NULL: none */
};

/* Another name of a cache: what was merged into it. */
struct cache_alias {
	struct list_head link; /* (l) */
	char name[CACHE_NAME_SIZE];
};

/*
 * Define a cache that needs no kmem_cache_create(): it makes itself at its first use, so it is
 * there before the memory manager is. It is never merged. Its kmem_cache_destroy() gives back
 * its memory; it may be used again.
 */
#define KMEM_CACHE(ident, name_string, size_, align_, flags_, ctor_)                               \
	struct kmem_cache ident = KMEM_CACHE_INIT(name_string, size_, align_, flags_, ctor_)

#define KMEM_CACHE_INIT(name_string, size_, align_, flags_, ctor_)                                 \
	{                                                                                          \
		.magazine = { [0 ... MAX_CPUS - 1] = &no_magazine },                               \
		.asked = (flags_) | SLAB_STATIC | SLAB_NO_MERGE, .size = (size_),                  \
		.align = (align_), .ctor = (ctor_), .nr_users = 1, .name = name_string,            \
	}

/* ---- Caches: mm/slab_cache.c ------------------------------------------------------------- */

extern spinlock_t caches_lock;
extern struct list_head all_caches; /* (l) */

/*
 * Called by mm_init(): allocates nothing. What caches there are forget what they hold: a
 * program of tests/host starts many machines.
 */
void slab_init(void);

/*
 * The n-th cache of all, or NULL, with the caller as one more user, so that it stays: for those
 * who visit all caches and cannot hold the lock meanwhile. The user leaves with cache_unpin(),
 * from a thread with interrupts on that holds no spin lock.
 */
struct kmem_cache *cache_pin_nth(unsigned n);
void cache_unpin(struct kmem_cache *cache);

/* Make a cache from KMEM_CACHE() ready, if it is not yet. */
void cache_prepare(struct kmem_cache *cache);

/*
 * Give back frames that no object is in, of all caches, until there are nr_frames. If that
 * is not enough and interrupts are on, quarantines end, and what each CPU holds ready goes back
 * to the slabs.
 * Returns how many frames. Holds no lock of rank RANK_MODULE or above when called.
 */
size_t slab_reclaim(size_t nr_frames);

/* ---- Slabs: mm/slab_allocator.c ---------------------------------------------------------- */

/* Choose order, place of the header, number of objects and colours for size and alignment. */
void cache_lay_out(struct kmem_cache *cache);

/* What the fast paths of mm/slab_magazine.h leave over. size: what kmalloc() was asked for. */
void *cache_alloc_slow(struct kmem_cache *cache, gfp_t gfp, size_t size);
void cache_free_slow(struct kmem_cache *cache, void *object);

/* Take one object straight from a slab, and give one straight back. */
void *slab_alloc_object(struct kmem_cache *cache, gfp_t gfp);
void slab_free_object(struct kmem_cache *cache, void *object);

/* Take this CPU's magazine of the cache away and give its objects back. Interrupts are off. */
void magazine_drop(struct kmem_cache *cache);

/* Up to max objects that are not free in slabs. Returns how many. */
unsigned slab_list_in_use(struct kmem_cache *cache, void **objects, unsigned max);

/* Give back slabs without objects in use, all but keep of them. Returns frames. */
size_t cache_trim(struct kmem_cache *cache, size_t keep);

static inline size_t
slab_bytes(const struct kmem_cache *cache)
{
	return PAGE_SIZE << cache->order;
}

/* The slab of an object that is known to be one. */
static inline struct slab *
slab_of(const void *object)
{
	return (struct slab *)pfn_to_page(virt_to_phys(object) >> PAGE_SHIFT)->owner;
}

/* The cache of a slab, from any of its pages: no list needs the link of a page that is in use. */
static inline struct kmem_cache *
slab_page_cache(const struct page *page)
{
	return (struct kmem_cache *)page->link.next;
}

static inline void
slab_page_set_cache(struct page *page, struct kmem_cache *cache)
{
	page->link.next = (struct list_head *)cache;
}

static inline void *
slab_object(const struct slab *slab, size_t index)
{
	return slab->first + index * slab->cache->stride;
}

/*
 * Which object of the slab an address lies in: a division by the stride, done as a
 * multiplication with 2^32 / stride. Rounding that up adds less than offset / 2^32 to the
 * quotient, which is exact therefore while offset * stride < 2^32. (Granlund and Montgomery,
 * Division by Invariant Integers using Multiplication, 1994)
 */
static inline size_t
index_in_slab(const struct kmem_cache *cache, const struct slab *slab, const void *address)
{
	size_t offset = (size_t)((const char *)address - slab->first);

	return (offset * cache->reciprocal) >> 32;
}

static inline size_t
slab_index(const struct slab *slab, const void *address)
{
	return index_in_slab(slab->cache, slab, address);
}

static inline bool
slab_has_free(const struct slab *slab, size_t index)
{
	return slab->free[index / 64] >> index % 64 & 1;
}

/* ---- kmalloc: mm/kmalloc.c --------------------------------------------------------------- */

#define NR_SIZE_CLASSES 36

extern struct kmem_cache kmalloc_cache[NR_SIZE_CLASSES];

void kmalloc_init(void);

/* The size class for 1 to KMEM_MAX_SIZE bytes, and the size of its objects. */
unsigned size_class(size_t size);
size_t size_of_class(unsigned class);

/* ---- Protection: mm/heap_protection.c, mm/heap_guard.c --------------------------------------- */

/* Tunable mm.heap_protection: off, light or full. (c) once the first cache is made */
enum heap_level { HEAP_OFF, HEAP_LIGHT, HEAP_FULL };
extern enum heap_level heap_protection;

/* Who allocated, and who freed, an object of a cache with SLAB_STORE_USER; 0: not known. */
uintptr_t heap_alloc_site(const void *object);
uintptr_t heap_free_site(const void *object);

/* ---- Statistics: mm/slab_statistics.c ---------------------------------------------------- */

struct slab_stats {
	size_t nr_slabs[NR_SLAB_KINDS];
	size_t bytes;	    /* of the frames of all slabs */
	size_t own_bytes;   /* headers outside of slabs, and magazines */
	size_t nr_objects;  /* that there is room for */
	size_t nr_in_use;   /* callers' objects, and those in quarantine */
	size_t nr_held;	    /* in magazines */
	size_t nr_free;	    /* in slabs */
	uint64_t nr_alloc;  /* allocations ever */
	uint64_t nr_refill; /* how often a magazine was filled from slabs, */
	uint64_t nr_flush;  /* and was emptied into them; of the present magazines */
	unsigned nr_users;  /* caches that share it */
};

/* From a thread with interrupts on that holds no spin lock, as all CPUs are asked. */
void slab_get_stats(struct kmem_cache *cache, struct slab_stats *stats);

/*
 * Recompute the counters, lists and bitmaps of a cache from its slabs and magazines. Prints
 * the first contradictions, returns how many there are. O(objects). slab_check_all() does it
 * for every cache. From a thread with interrupts on that holds no spin lock.
 */
unsigned slab_check(struct kmem_cache *cache) __must_check;
unsigned slab_check_all(void) __must_check;

#endif
