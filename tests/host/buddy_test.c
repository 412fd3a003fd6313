/* SPDX-License-Identifier: MIT */
/*
 * The buddy allocator under random traces, against the model.
 *
 * Whatever a trace does, these hold after each operation (see model_compare()): results
 * are aligned, disjoint and free before; nothing is refused that fits; free memory lies in
 * the largest possible blocks; all counters are right; buddy_check() agrees.
 */
#include "buddy_trace.h"
#include "host.h"

#include <errno.h>

#define NR_TRACES 400

static void
run_traces(unsigned nr_traces, unsigned nr_ops, unsigned check_every)
{
	static struct trace trace;
	struct prng prng;

	for (unsigned i = 0; i < nr_traces; i++) {
		const char *wrong;

		prng_seed(&prng, host_seed * 1000003 + nr_ops * 1000 + i);
		trace_generate(&trace, &prng, nr_ops);
		trace.check_every = check_every;
		wrong = trace_try(&trace);
		if (!wrong)
			continue;
		host_fail(__FILE__, __LINE__, "trace %u: %s", i, wrong);
		trace_explain(&trace);
		return;
	}
}

/* Short traces, compared with the model at every step. */
static void
traces_short(void)
{
	run_traces(NR_TRACES, 60, 1);
}

/* Long ones reach states that take hundreds of steps to build up. */
static void
traces_long(void)
{
	run_traces(NR_TRACES / 8, 1500, 40);
}

/* One largest block, divided completely in every order and put together again. */
static void
every_order_fills_a_block(void)
{
	static struct trace trace = { .check_every = 100 };

	trace.arena = (struct arena){ .first = 5 * MAX_ORDER_FRAMES, .nr_blocks = 1 };
	trace.arena.range[0] = (struct frame_range){ 5 * MAX_ORDER_FRAMES, 6 * MAX_ORDER_FRAMES };
	trace.arena.nr_ranges = trace.arena.nr_at_start = 1;
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		const char *wrong;

		/* One more than there is. */
		trace.nr = (unsigned)(MAX_ORDER_FRAMES >> order) + 1;
		for (unsigned i = 0; i < trace.nr; i++)
			trace.op[i] = (struct op){ .kind = OP_ALLOC, .a = order };
		wrong = trace_try(&trace);
		if (wrong)
			host_fail(__FILE__, __LINE__, "order %u: %s", order, wrong);
	}
}

static struct buddy buddy;

static void
make_small_buddy(pfn_t first, pfn_t end)
{
	struct arena arena = { .first = ALIGN_DOWN(first, MAX_ORDER_FRAMES), .nr_ranges = 1 };

	arena.range[0] = (struct frame_range){ first, end };
	arena_back(&arena);
	buddy_init(&buddy, "test", arena.first, ALIGN_UP(end, MAX_ORDER_FRAMES));
	buddy_add_range(&buddy, first, end);
}

/* Two measures, by hand: 16 frames, of which every second one is free. */
static void
fragmentation(void)
{
	struct page *page[16];

	make_small_buddy(0, 16);
	for (unsigned i = 0; i < 16; i++)
		page[i] = buddy_alloc(&buddy, 0);
	CHECK_EQ(buddy_unusable(&buddy, 0), 0);
	CHECK_EQ(buddy_fragmentation_index(&buddy, 0), 0);
	for (unsigned i = 0; i < 16; i++) {
		if (page_to_pfn(page[i]) % 2)
			buddy_free(&buddy, page[i], 0);
	}
	/* 8 frames free in 8 blocks: all useless from order 1 on. */
	CHECK_EQ(buddy_unusable(&buddy, 0), 0);
	CHECK_EQ(buddy_unusable(&buddy, 1), 1000);
	CHECK_EQ(buddy_fragmentation_index(&buddy, 0), -1000);
	/* 1 - (1 + 8 / 2) / 8 and 1 - (1 + 8 / 8) / 8 */
	CHECK_EQ(buddy_fragmentation_index(&buddy, 1), 375);
	CHECK_EQ(buddy_fragmentation_index(&buddy, 3), 750);
	for (unsigned i = 0; i < 16; i++) {
		if (page_to_pfn(page[i]) == 0)
			buddy_free(&buddy, page[i], 0);
	}
	/* 9 frames, of which [0, 2) is one block. */
	CHECK_EQ(buddy_unusable(&buddy, 1), 777);
	CHECK_EQ(buddy_unusable(&buddy, 2), 1000);
	CHECK_EQ(buddy_fragmentation_index(&buddy, 1), -1000);
	CHECK_EQ(buddy_check(&buddy), 0);
}

/* Frames that are not memory, but have pages because memory is near, are never free. */
static void
ranges_over_holes(void)
{
	make_small_buddy(100, 900);
	CHECK_EQ(buddy_alloc_range(&buddy, 0, MAX_ORDER_FRAMES), -EBUSY);
	CHECK_EQ(buddy_alloc_range(&buddy, 99, 101), -EBUSY);
	CHECK_EQ(buddy_reserve_range(&buddy, 899, 901), -EBUSY);
	CHECK_EQ(buddy_alloc_range(&buddy, 7, 7), -EINVAL);
	CHECK_EQ(buddy_alloc_range(&buddy, 900, 100), -EINVAL);
	CHECK_EQ(buddy_alloc_range(&buddy, 0, MAX_ORDER_FRAMES + 1), -EINVAL);
	CHECK_EQ(buddy_reserve_range(&buddy, MAX_ORDER_FRAMES, MAX_ORDER_FRAMES + 1), -EINVAL);
	CHECK_EQ(buddy.frames_free, 800);
	CHECK_EQ(buddy_alloc_range(&buddy, 100, 900), 0);
	CHECK_EQ(buddy.frames_free, 0);
	CHECK_EQ(buddy_check(&buddy), 0);
}

HOST_SUITE(buddy, { "traces_short", traces_short }, { "traces_long", traces_long },
	   { "every_order_fills_a_block", every_order_fills_a_block },
	   { "fragmentation", fragmentation }, { "ranges_over_holes", ranges_over_holes });
