/* SPDX-License-Identifier: MIT */
/*
 * Traces: lists of calls of a buddy allocator, run against the model.
 *
 * An operation names blocks and frames relative to what exists when it runs ("the 7th
 * thing held, modulo how many there are"), so every list of operations is a valid trace:
 * what is left of a trace after removing any part of it can be run as well. That is what
 * makes shrinking, and fuzzing, simple.
 */
#ifndef BUDDY_TRACE_H
#define BUDDY_TRACE_H

#include "buddy_model.h"

#include <prng.h>

enum op_kind {
	OP_ALLOC,     /* buddy_alloc(a) */
	OP_EXACT,     /* buddy_alloc_exact(a) */
	OP_RANGE,     /* buddy_alloc_range: from frame a of the span, b frames */
	OP_FREE,      /* give back holding a */
	OP_FREE_PART, /* give back holding a up to the b-th block in it, if it is a run */
	OP_RESERVE,   /* buddy_reserve_range: as OP_RANGE */
	OP_ADD,	      /* buddy_add_range of the arena's next range */
	OP_FAULT,     /* buddy_alloc(a) while requests fail, seeded by b */
	NR_OP_KINDS,
};

struct op {
	uint8_t kind; /* enum op_kind */
	uint32_t a, b;
};

#define TRACE_MAX_OPS 2048

struct trace {
	struct arena arena;
	unsigned check_every; /* operations between two full comparisons with the model */
	unsigned nr;
	struct op op[TRACE_MAX_OPS];
};

/* Make up an arena: any size, any holes, anywhere. */
void arena_generate(struct arena *arena, struct prng *prng);

/* Make up a trace of nr operations on it. */
void trace_generate(struct trace *trace, struct prng *prng, unsigned nr);

/*
 * Run the trace, give everything back at its end, and compare all the way. Returns NULL,
 * or what went wrong. A panic of the code under test goes to the caller.
 */
const char *trace_run(const struct trace *trace);

/* The same, with panics, faults and hangs caught and reported as failures. */
const char *trace_try(const struct trace *trace);

/*
 * Make a failing trace as short as possible and print it as C calls, the last of which
 * fails.
 */
void trace_explain(struct trace *trace);

#endif
