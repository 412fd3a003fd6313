/* SPDX-License-Identifier: MIT */
/* Calls of a node, chosen by bytes, against a model: tests/host/zone_trace.c. */
#ifndef ZONE_TRACE_H
#define ZONE_TRACE_H

#include <zone.h>

#define TRACE_BLOCKS 9 /* page blocks of the largest node */
#define TRACE_FRAMES (TRACE_BLOCKS * MAX_ORDER_FRAMES)

/*
 * Make a node as the first bytes say, do what the others say, free everything. Returns NULL, or
 * what went wrong: the text is good until the next call.
 */
const char *zone_trace_run(const uint8_t *data, size_t size);

/* What happened in all traces so far, so that a test can tell that something did. */
struct zone_trace_counts {
	uint64_t calls, served, refused, moved, misused, compacted, borrowed, injected;
};

extern struct zone_trace_counts zone_trace_counts;

/* The zones that a request may use, by bit, and how far down it goes: told anew. */
unsigned zone_trace_allowed(gfp_t gfp);

/* Do these flags contradict each other? */
bool zone_trace_contradict(gfp_t gfp);

/* Back the pages of [0, TRACE_FRAMES), all PAGE_RESERVED. */
void zone_trace_back_pages(void);

#endif
