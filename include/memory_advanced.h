/* SPDX-License-Identifier: MIT */
/* The memory manager's public face. */
#ifndef IKOS_MEMORY_ADVANCED_H
#define IKOS_MEMORY_ADVANCED_H

#include <memory_map.h>
#include <page.h>
#include <types.h>

/*
 * What a request for memory wants. GFP_KERNEL may sleep and is for threads that hold no spin
 * lock; the others are added to it. Flags that contradict each other are the caller's bug.
 *
 *	                  waits        goes down to            comes from, in this order
 *	GFP_KERNEL        yes          the mark min            Normal, DMA
 *	GFP_NOWAIT        no           min                     the same
 *	GFP_ATOMIC        no           half of min             the same
 *	GFP_NORETRY       one attempt  min                     the same
 *	GFP_NOFAIL        for ever     the last frame          the same
 *	GFP_DMA                                                DMA only
 *	GFP_HIGHMEM                                            High, Normal, DMA
 *	GFP_USER                                               Movable, High, Normal, DMA
 *
 * The last three say where from, those before them how hard to try, and one of each may be
 * given. Frames that are to be cleared and may not wait come from within the direct map, as
 * kmap() may sleep. Without zones (a kernel of lab 1 alone) all memory serves all, and nobody
 * waits.
 */
typedef uint32_t gfp_t;

#define GFP_KERNEL	0u
#define GFP_ZERO	(1u << 0) /* clear the frames */
#define GFP_NOWAIT	(1u << 1) /* do not sleep: from any context */
#define GFP_ATOMIC	(1u << 2) /* nor that, and it is urgent: use the atomic reserve */
#define GFP_NOFAIL	(1u << 3) /* never return NULL; the caller cannot go on without */
#define GFP_NORETRY	(1u << 4) /* rather fail than try hard: the caller has another way */
#define GFP_DMA		(1u << 5) /* below 16 MiB */
#define GFP_HIGHMEM	(1u << 6) /* may lie outside of the direct map: see kmap() */
#define GFP_MOVABLE	(1u << 7) /* will be given a mover: see zone.h */
#define GFP_RECLAIMABLE (1u << 8) /* the owner gives it back when asked to */
#define GFP_USER	(GFP_HIGHMEM | GFP_MOVABLE) /* for user programs */
#define NR_GFP_BITS	9

/* Build the memory manager on a normalised map. Called once, on the boot CPU. */
void mm_init(const struct memory_map *map);

/*
 * Allocate 2^order contiguous frames, aligned to their own size. Returns the page of
 * the first, which the caller owns, or NULL. Sleeps only as its flags say.
 */
struct page *alloc_pages(gfp_t gfp_mask, unsigned int order) __must_check;

/* The same from one node's memory. There is one node, 0. */
struct page *alloc_pages_node(int nid, gfp_t gfp_mask, unsigned int order) __must_check;

/* Give back what alloc_pages() returned, with the same order. Callable from any context. */
void __free_pages(struct page *page, unsigned int order);

/*
 * The block of 2^order frames that page lies in, allocated by alloc_pages(), becomes single frames,
 * each of which is given back alone with order 0. Nothing happens if that was done before and page
 * is one of these, not given back yet. Callable from any context. (Not in a kernel of lab 1 alone.)
 */
void split_pages(struct page *page, unsigned int order);

/* Exactly nr_frames contiguous frames, not rounded up to a power of two. */
struct page *alloc_pages_exact(gfp_t gfp_mask, size_t nr_frames) __must_check;
void free_pages_exact(struct page *page, size_t nr_frames);

/*
 * Exactly the frames [first, end). Returns 0; -EBUSY if one of them is in use; -EINVAL if
 * one of them is no memory at all or the range is empty.
 */
int alloc_contig_range(pfn_t first, pfn_t end) __must_check;
void free_contig_range(pfn_t first, pfn_t end);

/*
 * ---- Objects: mm/slab_allocator.c, mm/kmalloc.c ----------------------------
 *
 * Whoever gets an object owns it until it frees it. Nothing here sleeps by itself; what
 * gfp allows alloc_pages() to do is done only by an allocation that needs new frames.
 */
typedef struct kmem_cache kmem_cache_t;
typedef uint32_t slab_flags_t;

#define SLAB_NO_MERGE	   (1u << 0) /* keep the cache to itself, see kmem_cache_create() */
#define SLAB_NO_PROTECTION (1u << 1) /* only the checks below, whatever mm.heap_protection says */
#define SLAB_CHECK	   (1u << 2) /* check every pointer that is freed: "light" */
#define SLAB_RED_ZONE	   (1u << 3) /* find writes beside objects */
#define SLAB_POISON	   (1u << 4) /* find writes to freed objects */
#define SLAB_STORE_USER	   (1u << 5) /* remember who allocated and freed */

#define KMEM_MAX_SIZE 8192ul /* of an object of a cache, and of its alignment */

/*
 * Make a cache of objects of size bytes, at multiples of align (a power of two; 0: 8). ctor,
 * if not NULL, is run once on each object when its memory comes, and an object must be freed
 * in the state that ctor left it in. name is copied. Like caches (same size and flags, no
 * constructor, unprotected) become one, unless SLAB_NO_MERGE forbids it. Returns the cache, or
 * NULL for want of memory. A size of 0 or above KMEM_MAX_SIZE or a bad alignment panics.
 * Callable from any thread.
 */
kmem_cache_t *kmem_cache_create(const char *name, size_t size, size_t align, slab_flags_t flags,
				void (*ctor)(void *object)) __must_check;

/*
 * Give the cache and all its memory back. With objects that are not freed yet, it prints how
 * many and which ("slab: NAME: N objects are in use"), and the cache lives on; it may be
 * destroyed again later. NULL is ignored. From a thread that holds no spin lock, interrupts on.
 */
void kmem_cache_destroy(kmem_cache_t *cache);

/*
 * An object, or NULL for want of memory. GFP_ZERO clears it; not for caches with a
 * constructor, which panic. From any context that gfp allows.
 */
void *kmem_cache_alloc(kmem_cache_t *cache, gfp_t gfp) __must_check;

/* Give an object back to the cache that it is from. From any context. */
void kmem_cache_free(kmem_cache_t *cache, void *object);

/*
 * Give back what the cache does not need: objects kept for each CPU, slabs without objects in
 * use. Returns the number of frames. From a thread that holds no spin lock, interrupts on.
 */
size_t kmem_cache_shrink(kmem_cache_t *cache);

/* What kmalloc(0) returns: not NULL, not for use, and accepted by kfree(). */
#define ZERO_SIZE_PTR ((void *)16)

/*
 * size bytes, aligned to 8; for sizes that are a power of two up to KMEM_MAX_SIZE, aligned to
 * that; above KMEM_MAX_SIZE, to PAGE_SIZE. Size 0 gives ZERO_SIZE_PTR. Returns NULL for want
 * of memory, which includes every size that no machine has. From any context that gfp allows.
 */
void *kmalloc(size_t size, gfp_t flags) __must_check;

/* The same from the memory of one node, or of any for node -1. Another number panics. */
void *kmalloc_node(size_t size, gfp_t flags, int node) __must_check;

/* The same, cleared. */
void *kmalloc_zeroed(size_t size, gfp_t flags) __must_check;

/* At a multiple of alignment: a power of two up to 4 MiB; another number panics. */
void *kmalloc_aligned(size_t size, size_t alignment, gfp_t flags) __must_check;

/* Give back what a kmalloc function returned: also NULL and ZERO_SIZE_PTR. From any context. */
void kfree(const void *ptr);

/*
 * The same, when the caller knows the size that it asked for. Another size panics where that
 * can be known: always with mm.heap_protection=full, with light if nothing that is asked for
 * with that size would have got the same memory.
 */
void kfree_sized(const void *ptr, size_t size);

/*
 * Change the size of what a kmalloc function returned, which may move it: the contents up to
 * the smaller size are kept, the alignment is that of kmalloc(). NULL is allocated, size 0
 * frees. Returns where it is now, or NULL for want of memory: then ptr is as it was. With
 * GFP_ZERO, bytes beyond the old ksize() are zero.
 */
void *krealloc(const void *ptr, size_t size, gfp_t flags) __must_check;

/* How many bytes may be used at ptr: at least what was asked for. 0 for NULL, ZERO_SIZE_PTR. */
size_t ksize(const void *ptr);

typedef struct memory_stats {
	/* General statistics, bytes */
	uint64_t total_memory;
	uint64_t free_memory;
	uint64_t used_memory;
	uint64_t cached_memory;
	uint64_t buffered_memory;

	/* Allocation statistics */
	uint64_t total_allocations;
	uint64_t failed_allocations;
	uint64_t allocation_size_total; /* bytes allocated since boot */
	uint64_t allocation_size_peak;	/* most bytes allocated at one time */

	/* Paging statistics */
	uint64_t page_faults_total;
	uint64_t page_faults_major;
	uint64_t page_faults_minor;
	uint64_t pages_swapped_in;
	uint64_t pages_swapped_out;

	/* Compression statistics */
	uint64_t pages_compressed;
	uint64_t compression_ratio_avg;
	uint64_t compression_time_total;
	uint64_t decompression_time_total;

	/* NUMA statistics */
	uint64_t numa_local_allocations;
	uint64_t numa_remote_allocations;
	uint64_t numa_migrations;
} memory_stats_t;

/* One zone's state, in frames unless it says otherwise. */
typedef struct zone_stats {
	uint64_t managed_pages; /* that it has, free or not */
	uint64_t free_pages;	/* in its free blocks */
	uint64_t cached_pages;	/* free, in the CPUs' lists */
	uint64_t watermark_min, watermark_low, watermark_high;
	uint64_t free_by_mobility[3];	/* unmovable, reclaimable, movable page blocks' */
	uint64_t blocks_by_mobility[3]; /* page blocks */
	uint64_t allocations, frees;	/* blocks, ever */
	uint64_t failures;		/* requests that preferred this zone and got nothing */
	uint64_t fallbacks;		/* blocks given to requests that preferred a higher zone */
	uint64_t stolen_blocks;		/* page blocks that changed their mobility */
	uint64_t borrowed;		/* blocks taken from page blocks of another mobility */
	uint64_t compactions, compaction_failures;
	uint64_t moved_pages;	  /* by compaction */
	uint64_t refills, drains; /* batches to and from the CPUs' lists */
	uint64_t unusable;	  /* free memory in blocks below order 9, thousandths */
} zone_stats_t;

/* zone_id: enum zone_type; an empty zone is all zeroes. Panics when there is no such zone. */
void get_zone_stats(int zone_id, zone_stats_t *stats);

/*
 * An address for a frame that may lie outside of the direct map. Nests; kunmap() it as often.
 * kmap() sleeps while all windows are in use: from a thread that holds no spin lock, unless the
 * frame is in the direct map. kunmap() is callable from any context, and panics if the frame
 * has no window.
 */
void *kmap(struct page *page);
void kunmap(struct page *page);

/* Fill in stats. Fields of subsystems that this kernel is built without are 0. */
void get_memory_stats(memory_stats_t *stats);

/* Run every checker of the memory manager. Returns the number of contradictions. */
unsigned mm_check(void) __must_check;

#endif
