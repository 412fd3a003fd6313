/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing the buddy allocator: any bytes are an arena and a list of calls, run against the
 * model. A difference or a panic ends the program, which is how a fuzzer sees a bug; the
 * calls are printed before.
 *
 *	byte 0		largest blocks that the arena spans
 *	then, as often as byte 1 says: 2 bytes hole, 2 bytes size of the next range
 *	then: 1 byte kind, 2 bytes a, 2 bytes b of each operation
 */
#include "../buddy_trace.h"
#include "../host.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reader {
	const uint8_t *data;
	size_t left;
};

/* The next bytes as a number; zeros follow behind the end. */
static uint32_t
next(struct reader *reader, unsigned bytes)
{
	uint32_t value = 0;

	for (; bytes > 0 && reader->left > 0; bytes--, reader->left--)
		value = value << 8 | *reader->data++;
	return value;
}

static void
read_arena(struct reader *reader, struct arena *arena)
{
	unsigned nr_ranges;
	pfn_t at, end;

	*arena = (struct arena){ .first = 0 };
	arena->nr_blocks = 1 + next(reader, 1) % MODEL_MAX_BLOCKS;
	nr_ranges = 1 + next(reader, 1) % MODEL_MAX_RANGES;
	at = arena->first;
	end = at + arena->nr_blocks * MAX_ORDER_FRAMES;
	while (nr_ranges-- > 0 && at < end) {
		pfn_t first = at + next(reader, 2) % (end - at);

		at = first + 1 + next(reader, 2) % (end - first);
		arena->range[arena->nr_ranges++] = (struct frame_range){ first, at };
	}
	arena->nr_at_start = 1 + arena->nr_ranges / 2;
	if (arena->nr_at_start > arena->nr_ranges)
		arena->nr_at_start = arena->nr_ranges;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct trace trace;
	struct reader reader = { data, size };
	const char *wrong;

	read_arena(&reader, &trace.arena);
	trace.check_every = 16;
	for (trace.nr = 0; reader.left > 0 && trace.nr < TRACE_MAX_OPS; trace.nr++) {
		struct op *op = &trace.op[trace.nr];

		op->kind = (uint8_t)(next(&reader, 1) % NR_OP_KINDS);
		op->a = next(&reader, 2);
		op->b = next(&reader, 2);
	}
	wrong = trace_try(&trace);
	if (wrong) {
		host_note("%s", wrong);
		trace_explain(&trace);
		fflush(stdout);
		abort();
	}
	return 0;
}
