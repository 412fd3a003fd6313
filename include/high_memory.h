/* SPDX-License-Identifier: MIT */
/* The windows behind kmap() and kunmap(), which are declared in memory_advanced.h. */
#ifndef IKOS_HIGH_MEMORY_H
#define IKOS_HIGH_MEMORY_H

#include <memory_advanced.h>
#include <types.h>

/* Make the table, all of it empty. Once, before anybody calls kmap(). */
void kmap_init(void);

struct kmap_stats {
	unsigned used;	      /* windows that somebody looks through */
	unsigned released;    /* mapped still, but nobody looks */
	uint64_t nr_flushes;  /* of all CPUs, ever */
	uint64_t nr_waits;    /* times that a caller had to sleep */
	uint64_t nr_mappings; /* times that a window was pointed at a frame */
};

void kmap_get_stats(struct kmap_stats *stats);

/*
 * Recompute the table of windows and compare it with what the processor maps. Prints the
 * first contradictions, returns how many there are. Nobody may call kmap() meanwhile.
 */
unsigned kmap_check(void) __must_check;

#endif
