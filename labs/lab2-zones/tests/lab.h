/* SPDX-License-Identifier: MIT */
/*
 * What the cases of lab 2 share: a node of their own over the test arena, a simple model of
 * it, and a transcript of everything that is asked of it.
 *
 * Every call of the node goes through a lab_*() function here. It makes the call, compares the
 * answer with the model (one byte a frame, no cleverness), and logs both for the grader, whose
 * own model is another one. A case is then only a list of requests.
 */
#ifndef LAB2_H
#define LAB2_H

#include <evidence.h>
#include <ktest.h>
#include <zone.h>

#define LAB_FRAMES 8192 /* the arena: eight page blocks */
#define LAB_BLOCKS (LAB_FRAMES >> PAGE_BLOCK_ORDER)
#define LAB_SLOTS  8192 /* blocks that a case can hold at one time */

#define NO_FRAME (~0ul)

/* Transcript records of this lab; labs/lab2-zones/oracle.py reads them. */
enum lab2_record {
	EV_NODE = EV_LAB, /* arg: min_free; a: first frame; b: struct node; c: zones, see lab.c */
	EV_ADD,		  /* a, b: frames added */
	EV_ALLOC,	  /* arg: see lab2_alloc(); a: frame or NO_FRAME; b, c: see lab.c */
	EV_FREE,	  /* arg: order; a: frame. Logged before the call */
	EV_FREED,	  /* b, c: see lab.c */
	EV_DRAIN,	  /* the same. Logged after the call */
	EV_ROUTE,	  /* arg: flags; a: zone; b: mobility */
	EV_MARKS,	  /* arg: zone; a: min, low, high; b: reserves, 16 bits each */
	EV_MARK,	  /* arg: flags, zone << 16, mark << 20; a: frames */
	EV_ALLOWS,	  /* arg: order, zone << 8, preferred << 12; a: mark; b: free; c: answer */
	EV_LIMIT,	  /* arg: order; a: group; b: limit */
	EV_MOVER,	  /* a: frame that may be moved from now on; b: 1: no longer */
	EV_MOVE,	  /* arg: order; a: from; b: to; c: error */
	EV_COMPACT,	  /* arg: zone, order << 8; a: answer; b, c: see lab.c */
	EV_RECLAIM,	  /* arg: frames given back; a: frames asked for */
	EV_STATS,	  /* arg: zone, page << 8; a, b, c: see lab2_stats() */
	EV_FAULTS,	  /* a: every */
	EV_COST,	  /* arg: phase; a: instructions */
	EV_MISUSE,	  /* arg: order; a: frame. Logged before the call */
	EV_CHECK,	  /* a: contradictions that node_check() found; b, c: see lab.c */
	EV_REFUSED,	  /* arg: flags. Logged before the call */
};

/* A block that a case was given and has not given back. */
struct lab2_slot {
	uint16_t start; /* offset of its first frame in the arena */
	uint8_t order;
	bool full;
	bool movable; /* has a mover */
};

struct lab {
	struct ktest *t;
	struct node node;
	pfn_t first, end;	  /* the arena */
	uint8_t blocks[NR_ZONES]; /* page blocks of each zone */
	uint8_t mobility[LAB_BLOCKS];
	unsigned moves_left; /* moves that succeed before one fails; then all succeed again */
	struct lab2_slot slot[LAB_SLOTS];
};

/* How many page blocks each zone has: together LAB_BLOCKS at most. */
struct lab2_layout {
	uint8_t blocks[NR_ZONES];
	uint32_t min_free; /* 0: as the node likes */
};

/* A node with zones of that size, without memory, and with all slots empty. */
struct lab *lab2_begin_empty(struct ktest *t, struct lab2_layout layout);

/* The same with all of its frames added. */
struct lab *lab2_begin_with(struct ktest *t, struct lab2_layout layout);

/* The same with all four zones, whose sizes and marks the seed chooses. */
struct lab *lab2_begin(struct ktest *t);

/* Offsets are in frames from the beginning of the arena. */
void lab2_add(struct lab *lab, size_t first, size_t end);
bool lab2_alloc(struct lab *lab, unsigned slot, gfp_t gfp, unsigned order);
void lab2_free(struct lab *lab, unsigned slot);
void lab2_free_all(struct lab *lab);
void lab2_drain(struct lab *lab);

/* Requests of an order into slots from first on, until one fails. Returns the slot it is for. */
unsigned lab2_alloc_until_none(struct lab *lab, unsigned first, gfp_t gfp, unsigned order);

/* Free frames, in the zone and in its lists together. */
size_t lab2_free_frames(const struct lab *lab, zone_type_t zone);

/* The page of a slot's block, and the zone that it lies in by its address. */
struct page *lab2_page(const struct lab *lab, unsigned slot);
zone_type_t lab2_zone_of(const struct lab *lab, unsigned slot);
zone_type_t lab2_zone_at(const struct lab *lab, pfn_t pfn);

/* The slot whose block begins at an offset, or LAB_SLOTS. */
unsigned lab2_slot_at(const struct lab *lab, size_t start);

/* Say how many blocks the lists of a group may hold. */
void lab2_set_limit(struct lab *lab, unsigned group, unsigned order, int32_t limit);

/* Give the slot's block contents and a mover; compare its contents. */
void lab2_set_mover(struct lab *lab, unsigned slot);
void lab2_check_contents(struct lab *lab, unsigned slot);

bool lab2_compact(struct lab *lab, zone_type_t zone, unsigned order);

/* Run node_check(), and log what every zone has. */
void lab2_check(struct lab *lab);

/* Log the statistics of every zone. */
void lab2_stats(struct lab *lab);

/* Log a call that must end in a panic, and make it. */
void lab2_misuse(struct lab *lab, struct page *page, unsigned order);

/* An order from [0, max], each half as likely as the one before. */
unsigned lab2_random_order(struct ktest *t, unsigned max);

/* One of the usual combinations of flags; none that waits. */
gfp_t lab2_random_gfp(struct ktest *t);

/*
 * Rounds of allocating into an empty slot or freeing a full one, chosen at random. Orders are
 * from [min, max].
 */
void lab2_trace(struct lab *lab, unsigned rounds, unsigned slots, unsigned min, unsigned max);

#endif
