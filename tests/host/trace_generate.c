/* SPDX-License-Identifier: MIT */
/*
 * Making up arenas and traces.
 *
 * Uniformly random choices would leave most of the interesting states out: memory would
 * never be full, never almost empty, and small and large blocks never meet. So an arena is
 * one of a few shapes, and a trace changes its mood every few dozen operations: which
 * orders it asks for and whether it takes more than it gives back.
 */
#include "buddy_trace.h"

#include <string.h>

static bool
one_in(struct prng *prng, uint64_t n)
{
	return prng_below(prng, n) == 0;
}

/* Cut [0, span) into up to nr ranges with random ends; touching ones are allowed. */
static void
cut_ranges(struct arena *arena, struct prng *prng, unsigned nr)
{
	size_t span = arena->nr_blocks * MAX_ORDER_FRAMES, at = 0;

	for (unsigned i = 0; i < nr && at < span; i++) {
		/* A hole of nothing, of a few frames, or of any size. */
		size_t most = span - at, hole = 0, size;

		if (one_in(prng, 3))
			hole = prng_below(prng, MIN(20, most));
		else if (one_in(prng, 2))
			hole = prng_below(prng, most);
		at += hole;
		size = 1 + prng_below(prng, one_in(prng, 3) ? MIN(40, span - at) : span - at);
		arena->range[arena->nr_ranges++] =
		    (struct frame_range){ arena->first + at, arena->first + at + size };
		at += size;
	}
}

void
arena_generate(struct arena *arena, struct prng *prng)
{
	memset(arena, 0, sizeof(*arena));
	/* Frame 0 is a frame like any other, and must not be mistaken for "none". */
	arena->first = one_in(prng, 4) ? 0 : prng_below(prng, 4096) * MAX_ORDER_FRAMES;
	arena->nr_blocks = 1 + (unsigned)prng_below(prng, MODEL_MAX_BLOCKS);

	if (one_in(prng, 5)) {
		arena->range[0] =
		    (struct frame_range){ arena->first,
					  arena->first + arena->nr_blocks * MAX_ORDER_FRAMES };
		arena->nr_ranges = 1;
	} else {
		cut_ranges(arena, prng, 1 + (unsigned)prng_below(prng, MODEL_MAX_RANGES));
	}
	arena->nr_at_start = 1 + (unsigned)prng_below(prng, arena->nr_ranges);

	/* Memory need not be added in rising order. */
	for (unsigned i = arena->nr_ranges; i > 1; i--) {
		unsigned j = (unsigned)prng_below(prng, i);
		struct frame_range range = arena->range[j];

		arena->range[j] = arena->range[i - 1];
		arena->range[i - 1] = range;
	}
}

/* What a trace does for a while: out of 100 operations, how many are of which kind. */
struct mood {
	uint8_t weight[NR_OP_KINDS];
	uint8_t max_order;
};

static const struct mood moods[] = {
	{ { [OP_ALLOC] = 60, [OP_FREE] = 30, [OP_EXACT] = 5, [OP_FAULT] = 5 }, 3 },
	{ { [OP_ALLOC] = 50, [OP_FREE] = 50 }, MAX_ORDER },
	{ { [OP_ALLOC] = 95, [OP_FAULT] = 5 }, 0 },
	{ { [OP_FREE] = 80, [OP_ALLOC] = 10, [OP_FREE_PART] = 10 }, 1 },
	{ { [OP_EXACT] = 40, [OP_FREE] = 30, [OP_FREE_PART] = 20, [OP_ALLOC] = 10 }, 2 },
	{ { [OP_RANGE] = 45,
	    [OP_FREE] = 25,
	    [OP_FREE_PART] = 15,
	    [OP_ALLOC] = 12,
	    [OP_RESERVE] = 2,
	    [OP_ADD] = 1 },
	  5 },
};

static struct op
make_op(struct prng *prng, const struct mood *mood)
{
	struct op op = { .kind = OP_FREE };
	unsigned roll = (unsigned)prng_below(prng, 100);

	for (unsigned kind = 0; kind < NR_OP_KINDS; kind++) {
		if (roll < mood->weight[kind]) {
			op.kind = (uint8_t)kind;
			break;
		}
		roll -= mood->weight[kind];
	}
	op.a = (uint32_t)prng_next(prng);
	op.b = (uint32_t)prng_next(prng);
	if (op.kind == OP_ALLOC || op.kind == OP_FAULT)
		op.a = (uint32_t)prng_below(prng, mood->max_order + 1u);
	else if (op.kind == OP_EXACT && !one_in(prng, 4))
		op.a %= 70;
	else if (op.kind == OP_RANGE && !one_in(prng, 4))
		op.b %= 70;
	return op;
}

void
trace_generate(struct trace *trace, struct prng *prng, unsigned nr)
{
	const struct mood *mood = moods;

	arena_generate(&trace->arena, prng);
	trace->nr = nr;
	for (unsigned i = 0; i < nr; i++) {
		if (i == 0 || one_in(prng, 40))
			mood = &moods[prng_below(prng, ARRAY_SIZE(moods))];
		trace->op[i] = make_op(prng, mood);
	}
}
