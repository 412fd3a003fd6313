/* SPDX-License-Identifier: MIT */
/* A node over the test arena, for suites that use up its last frames: tests/kernel/zone_node.c. */
#ifndef ZONE_NODE_H
#define ZONE_NODE_H

#include <ktest.h>
#include <zone.h>

#define ARENA_BLOCKS 8 /* page blocks: 32 MiB */
#define ARENA_FRAMES (ARENA_BLOCKS * MAX_ORDER_FRAMES)

extern struct node test_node;

/* How many page blocks each zone gets, together at most ARENA_BLOCKS. */
struct node_shape {
	unsigned dma, normal, high, movable;
	size_t min_free; /* frames; 0: by the amount of memory */
};

/* All zones; and one zone only, Normal. */
extern const struct node_shape all_zones, one_zone;

/* Make test_node anew. Skips the case if there is no arena. */
void node_make(struct ktest *t, const struct node_shape *shape);

/* All lists emptied, is every frame free and every book right? */
void expect_node_whole(struct ktest *t);

/* Frames that are free in the lists of all CPUs. */
size_t node_cached(void);
size_t node_free_frames(void); /* in zones and lists */

/* A stack of blocks, linked through page->link.next. */
struct pile {
	struct page *top;
	size_t nr;
};

void pile_add(struct pile *pile, struct page *page);
struct page *pile_take(struct pile *pile); /* NULL: it is empty */

/* Allocate blocks until none is left. Returns how many it were. */
size_t pile_fill(struct pile *pile, gfp_t gfp, unsigned order);
void pile_free(struct pile *pile, unsigned order);

#endif
