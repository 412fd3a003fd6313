/* SPDX-License-Identifier: MIT */
/*
 * What the cases of lab 1 share: an allocator over the test arena, a simple model of it,
 * and a transcript of everything that is asked of it.
 *
 * Every call of the allocator goes through a lab_*() function here. It makes the call,
 * compares the answer with the model (one byte a frame, no cleverness), and logs both for
 * the grader, whose own model is another one. A case is then only a list of requests.
 */
#ifndef LAB1_H
#define LAB1_H

#include <allocators.h>
#include <evidence.h>
#include <ktest.h>

#define LAB_FRAMES 8192 /* the arena: eight largest blocks */
#define LAB_SLOTS  8192 /* blocks that a case can hold at one time */

#define NO_FRAME (~0ul)

/* Transcript records of this lab; labs/lab1-buddy/oracle.py reads them. */
enum lab1_record {
	EV_ARENA = EV_LAB, /* a, b: [first, end) of the allocator; c: address of struct buddy */
	EV_ADD,		   /* a, b: frames added */
	EV_ALLOC,	   /* arg: order; a: frame or NO_FRAME */
	EV_FREE,	   /* arg: order; a: frame. Logged before the call */
	EV_EXACT,	   /* arg: frames wanted; a: frame or NO_FRAME */
	EV_RANGE,	   /* arg: -error; a, b: frames asked for */
	EV_RESERVE,	   /* arg: -error; a, b: frames asked for */
	EV_FREE_RANGE,	   /* a, b: frames. Logged before the call */
	EV_TOTALS,	   /* a: frames_free, b: frames_managed, c: sum of nr_free << order */
	EV_STATS,	   /* arg: order; a: nr_alloc, b: nr_free */
	EV_PEAK,	   /* a: frames_peak, b: nr_failed */
	EV_FRAGMENTATION,  /* arg: order; a: unusable, b: index */
	EV_MISUSE,	   /* arg: order; a: frame; of a range, a, b: frames. Before the call */
	EV_FAULTS,	   /* a: every */
	EV_COST,	   /* arg: phase; a: instructions */
};

/* Something that a case was given and has not given back. */
struct lab_slot {
	uint32_t start;	 /* offset of its first frame in the arena */
	uint16_t frames; /* how many; 0: the slot is empty */
	uint8_t order;	 /* of a block */
	bool is_range;	 /* an exact request or a range, which has no order */
};

struct lab {
	struct ktest *t;
	struct buddy buddy;
	pfn_t first, end; /* the arena */
	uint64_t cost;	  /* instructions of all calls of lab_alloc() and lab_free() */
	struct lab_slot slot[LAB_SLOTS];
};

/* Make the allocator over the arena, without memory, with all slots empty. */
struct lab *lab_begin(struct ktest *t);

/* The same with all of the arena's frames added. */
struct lab *lab_begin_full(struct ktest *t);

/* Offsets are in frames from the beginning of the arena. */
void lab_add(struct lab *lab, size_t first, size_t end);
bool lab_alloc(struct lab *lab, unsigned slot, unsigned order);
bool lab_alloc_exact(struct lab *lab, unsigned slot, size_t frames);
int lab_alloc_range(struct lab *lab, unsigned slot, size_t first, size_t end);
int lab_reserve(struct lab *lab, size_t first, size_t end);
void lab_free(struct lab *lab, unsigned slot);
void lab_free_all(struct lab *lab);

/* Give back the last frames of an exact request or a range. */
void lab_free_tail(struct lab *lab, unsigned slot, unsigned frames);

/* Compare the totals with the model, and log them. */
void lab_totals(struct lab *lab);

/* Log the peak and the failures that the allocator counted. */
void lab_peak(struct lab *lab);

/* Log a call that must end in a panic, and make it. */
void lab_misuse(struct lab *lab, struct page *page, unsigned order);
void lab_misuse_range(struct lab *lab, size_t first, size_t end);

/* An order from [0, max], each half as likely as the one before. */
unsigned lab_random_order(struct ktest *t, unsigned max);

/* Rounds of allocating into an empty slot or freeing a full one, chosen at random. */
void lab_trace(struct lab *lab, unsigned rounds, unsigned slots, unsigned max_order);

/* Does an aligned run of 2^order free frames exist, by the model? */
bool lab_model_has(struct lab *lab, unsigned order);

#endif
