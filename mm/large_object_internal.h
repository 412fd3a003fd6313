/* SPDX-License-Identifier: MIT */
/* Large objects from the inside: for large_object.c, and for the tests of its checker. */
#ifndef IKOS_MM_LARGE_OBJECT_INTERNAL_H
#define IKOS_MM_LARGE_OBJECT_INTERNAL_H

#include <large_object.h>
#include <list.h>
#include <range_tree.h>

enum large_state { LARGE_NONE, LARGE_MAKING, LARGE_LIVE, LARGE_DYING, LARGE_WAITING };

/* (l) large_lock; (c) fixed while it is in the tree; (o) whoever the state says */
struct large_object {
	struct range range;	 /* (l) in the area, with both guard pages */
	struct list_head blocks; /* (o) heads of its blocks, by address */
	struct list_head link;	 /* (l) in waiting, or in the batch of who flushes */
	size_t size;		 /* (c) bytes that were asked for */
	size_t nr_frames;	 /* (c) that hold them */
	enum large_state state;	 /* (l) */
};

extern struct large_stats large_counters; /* (l) */

#endif
