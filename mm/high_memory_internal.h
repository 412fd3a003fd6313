/* SPDX-License-Identifier: MIT */
/* kmap from the inside: for high_memory.c, and for the tests of its checker. */
#ifndef IKOS_MM_HIGH_MEMORY_INTERNAL_H
#define IKOS_MM_HIGH_MEMORY_INTERNAL_H

#include <high_memory.h>

struct window {
	struct page *page; /* (k) or NULL */
	uint32_t users;	   /* (k) */
	uint16_t next;	   /* (k) number + 1 of the next in its chain, or in the empty list */
};

extern struct window kmap_window[KMAP_PAGES];
/* Number + 1 of the first window of a hash, and of the first empty one; 0: none. */
extern uint16_t kmap_chain[KMAP_PAGES], kmap_empty; /* (k) */
extern unsigned kmap_nr_empty, kmap_nr_released;    /* (k) how many there are */

#endif
