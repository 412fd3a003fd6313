/* SPDX-License-Identifier: MIT */
/* The memory manager's public face. */
#ifndef IKOS_MEMORY_ADVANCED_H
#define IKOS_MEMORY_ADVANCED_H

#include <memory_map.h>
#include <page.h>
#include <types.h>

typedef uint32_t gfp_t;

#define GFP_KERNEL 0u
#define GFP_ZERO   (1u << 0) /* clear the frames */

/* Build the memory manager on a normalised map. Called once, on the boot CPU. */
void mm_init(const struct memory_map *map);

/*
 * Allocate 2^order contiguous frames, aligned to their own size. Returns the page of
 * the first, which the caller owns, or NULL. Callable from any context.
 */
struct page *alloc_pages(gfp_t gfp_mask, unsigned int order) __must_check;

/* Give back what alloc_pages() returned, with the same order. Callable from any context. */
void __free_pages(struct page *page, unsigned int order);

/* Exactly nr_frames contiguous frames, not rounded up to a power of two. */
struct page *alloc_pages_exact(gfp_t gfp_mask, size_t nr_frames) __must_check;
void free_pages_exact(struct page *page, size_t nr_frames);

/*
 * Exactly the frames [first, end). Returns 0; -EBUSY if one of them is in use; -EINVAL if
 * one of them is no memory at all or the range is empty.
 */
int alloc_contig_range(pfn_t first, pfn_t end) __must_check;
void free_contig_range(pfn_t first, pfn_t end);

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

/* Fill in stats. Fields of subsystems that this kernel is built without are 0. */
void get_memory_stats(memory_stats_t *stats);

/* Run every checker of the memory manager. Returns the number of contradictions. */
unsigned mm_check(void) __must_check;

#endif
