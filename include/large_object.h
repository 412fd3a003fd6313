/* SPDX-License-Identifier: MIT */
/* Memory in one piece of addresses, from frames that lie anywhere: mm/large_object.c. */
#ifndef IKOS_LARGE_OBJECT_H
#define IKOS_LARGE_OBJECT_H

#include <memory_advanced.h>
#include <types.h>

/*
 * Allocate size bytes that begin at a page, of exactly as many frames as hold them, with an
 * inaccessible page before and another behind. gfp goes to alloc_pages(); GFP_ZERO clears the
 * object. Returns the object, which the caller owns until large_free(), or NULL, with nothing
 * changed, when frames or addresses are short or size is 0. May sleep; O(frames + log objects).
 */
void *large_alloc(size_t size, gfp_t gfp) __must_check;

/*
 * Give an object back. After the next flush no CPU can reach it any more, and only then are its
 * frames and addresses free again. Panics, with nothing changed,
 * when address is not where a living object begins: the message names double free, interior
 * pointer or foreign pointer. Callable from any context, with no lock of rank RANK_MODULE or
 * higher held; where interrupts are on, it may flush. O(frames + log objects).
 */
void large_free(const void *address);

/*
 * Call each(object, size) for every living object, in rising order. Takes no lock: only while all
 * other CPUs stand still.
 */
void large_for_each(void (*each)(const void *object, size_t size));

/* The bytes that were asked for. Panics like large_free(). */
size_t large_size(const void *address);

/* Does the address lie in a page of a living object? Of any address; O(log objects). */
bool large_contains(const void *address);

/*
 * Make all CPUs forget the objects freed so far, and free their frames and addresses; what other
 * CPUs are flushing is waited for. Returns how many frames became free. For use when memory is
 * short. From a thread with interrupts on.
 */
size_t large_flush(void);

struct large_stats {
	size_t nr_objects;	  /* living */
	size_t bytes;		  /* that were asked for, of the living */
	size_t frames;		  /* of the living */
	size_t waiting_objects;	  /* freed, not flushed: the batch */
	size_t waiting_frames;	  /* of those */
	size_t guard_pages;	  /* addresses that are kept inaccessible, in pages */
	size_t descriptor_frames; /* that hold the books */
	size_t table_frames;	  /* page tables of the area */
	uint64_t nr_alloc;	  /* objects given out since boot */
	uint64_t nr_free;	  /* and given back */
	uint64_t nr_failed;	  /* requests that got nothing */
	uint64_t nr_flushes;	  /* of all CPUs */
	uint64_t tree_steps;	  /* nodes of the tree visited, ever */
};

/* Copy the counters, all but table_frames taken at one moment. */
void large_get_stats(struct large_stats *stats);

/*
 * Recompute everything: the tree and its gaps, every page of every living object and its
 * guards in the page tables, all counters. Prints the first contradictions, returns how
 * many there are. O(frames), with interrupts off.
 */
unsigned large_check(void) __must_check;

#endif
