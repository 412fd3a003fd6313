/* SPDX-License-Identifier: MIT */
/*
 * The traces: what is asked for, in which order, for how long. Everything random is drawn
 * before the clock starts and from a seed, so that all subjects get the same requests.
 *
 * A replay writes one word to each object, as no one allocates memory without using it.
 */
#include "bench.h"

#include <prng.h>
#include <stdlib.h>
#include <string.h>

#define NR_PAIRS 20000
#define NR_BATCH 10000

static void
add_event(struct trace *trace, uint32_t slot, size_t size)
{
	trace->event[trace->nr_events++] = (struct event){ slot, (uint32_t)size };
	trace->nr_allocs += size != 0;
}

static void
make_room(struct trace *trace, unsigned nr_slots, unsigned nr_events)
{
	trace->nr_slots = nr_slots;
	trace->event = calloc(nr_events, sizeof(*trace->event));
	if (!trace->event)
		abort();
}

/* One object at a time. */
static void
generate_pair(struct trace *trace, uint64_t seed)
{
	(void)seed;
	make_room(trace, 1, 2 * NR_PAIRS);
	for (unsigned i = 0; i < NR_PAIRS; i++) {
		add_event(trace, 0, trace->size);
		add_event(trace, 0, 0);
	}
	trace->full_at = 1;
}

/* NR_BATCH objects, then freed in the order given. */
static void
generate_batch(struct trace *trace, const uint32_t *order)
{
	make_room(trace, NR_BATCH, 2 * NR_BATCH);
	for (unsigned i = 0; i < NR_BATCH; i++)
		add_event(trace, i, trace->size);
	trace->full_at = trace->nr_events;
	for (unsigned i = 0; i < NR_BATCH; i++)
		add_event(trace, order[i], 0);
}

static void
generate_same_order(struct trace *trace, uint64_t seed)
{
	uint32_t order[NR_BATCH];

	(void)seed;
	for (uint32_t i = 0; i < NR_BATCH; i++)
		order[i] = i;
	generate_batch(trace, order);
}

static void
generate_reverse_order(struct trace *trace, uint64_t seed)
{
	uint32_t order[NR_BATCH];

	(void)seed;
	for (uint32_t i = 0; i < NR_BATCH; i++)
		order[i] = NR_BATCH - 1 - i;
	generate_batch(trace, order);
}

/* Fisher and Yates. */
static void
generate_random_order(struct trace *trace, uint64_t seed)
{
	uint32_t order[NR_BATCH];
	struct prng prng;

	prng_seed(&prng, seed);
	for (uint32_t i = 0; i < NR_BATCH; i++) {
		uint32_t j = (uint32_t)prng_below(&prng, i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	generate_batch(trace, order);
}

/*
 * nr_slots objects, one of which, any, is replaced at each step: lifetimes are exponential.
 * The sizes come from size_of().
 */
static void
generate_replacing(struct trace *trace, uint64_t seed, unsigned nr_slots, unsigned nr_steps,
		   size_t (*size_of)(struct prng *prng))
{
	struct prng prng;

	prng_seed(&prng, seed);
	make_room(trace, nr_slots, 2 * (nr_slots + nr_steps));
	for (uint32_t i = 0; i < nr_slots; i++)
		add_event(trace, i, size_of(&prng));
	for (unsigned i = 0; i < nr_steps; i++) {
		uint32_t slot = (uint32_t)prng_below(&prng, nr_slots);

		add_event(trace, slot, 0);
		add_event(trace, slot, size_of(&prng));
	}
	trace->full_at = trace->nr_events;
	for (uint32_t i = 0; i < nr_slots; i++)
		add_event(trace, i, 0);
}

/*
 * What kernels ask for: mostly descriptors of 16 to 256 bytes, often the same few types, so
 * a third in multiples of 8 that are round numbers; some names and tables up to 1 KiB; few
 * buffers up to 8 KiB.
 */
static size_t
size_in_a_kernel(struct prng *prng)
{
	static const uint16_t types[] = { 32, 64, 96, 128, 192, 256 };
	uint64_t kind = prng_below(prng, 100);

	if (kind < 33)
		return types[prng_below(prng, sizeof(types) / sizeof(types[0]))];
	if (kind < 85)
		return 16 + prng_below(prng, 241);
	if (kind < 97)
		return 257 + prng_below(prng, 768);
	return 1025 + prng_below(prng, 7168);
}

static void
generate_mixed(struct trace *trace, uint64_t seed)
{
	generate_replacing(trace, seed, 8192, 20000, size_in_a_kernel);
}

/* More than the processor's caches hold. */
static void
generate_much(struct trace *trace, uint64_t seed)
{
	generate_replacing(trace, seed, 100000, 100000, size_in_a_kernel);
}

/* 4 to 64 KiB, small ones more often: the size's logarithm is uniform. */
static size_t
size_of_a_buffer(struct prng *prng)
{
	size_t low = 4096ul << prng_below(prng, 4);

	return low + prng_below(prng, low) + 1;
}

static void
generate_large(struct trace *trace, uint64_t seed)
{
	generate_replacing(trace, seed, 512, 4000, size_of_a_buffer);
}

struct trace bench_traces[] = {
	{ .name = "64 bytes, pair",
	  .size = 64,
	  .laps = 4,
	  .in_threads = true,
	  .generate = generate_pair },
	{ .name = "64 bytes, 10000 same order",
	  .size = 64,
	  .laps = 8,
	  .measure_used = true,
	  .generate = generate_same_order },
	{ .name = "64 bytes, 10000 reverse order",
	  .size = 64,
	  .laps = 8,
	  .measure_used = true,
	  .generate = generate_reverse_order },
	{ .name = "64 bytes, 10000 random order",
	  .size = 64,
	  .laps = 8,
	  .measure_used = true,
	  .generate = generate_random_order },
	{ .name = "mixed sizes, 8192 objects",
	  .laps = 3,
	  .measure_used = true,
	  .in_threads = true,
	  .generate = generate_mixed },
	{ .name = "mixed sizes, 100000 objects",
	  .laps = 1,
	  .measure_used = true,
	  .generate = generate_much },
	{ .name = "4 to 64 KiB", .laps = 8, .measure_used = true, .generate = generate_large },
	{ .name = "4 KiB, pair",
	  .size = 4096,
	  .laps = 4,
	  .in_threads = true,
	  .generate = generate_pair },
	{ .name = "4 KiB, 10000 random order",
	  .size = 4096,
	  .laps = 2,
	  .measure_used = true,
	  .generate = generate_random_order },
};
const unsigned nr_bench_traces = sizeof(bench_traces) / sizeof(bench_traces[0]);

bool
trace_replay(const struct trace *trace, const struct subject *subject, void **slots)
{
	const struct event *end = trace->event + trace->nr_events;
	void *(*alloc)(size_t) = subject->alloc;
	void (*release)(void *) = subject->free;

	for (const struct event *event = trace->event; event < end; event++) {
		if (event->size == 0) {
			release(slots[event->slot]);
		} else {
			uint64_t *object = alloc(event->size);

			if (!object)
				return false;
			*object = event->slot;
			slots[event->slot] = object;
		}
	}
	return true;
}

/* ---- The slow way ------------------------------------------------------------------ */

static int
mark(uint32_t slot, size_t size)
{
	return (int)((slot * 31 + size) & 0xff);
}

static bool
holds_mark(const unsigned char *object, int byte, size_t size)
{
	return object[0] == byte && memcmp(object, object + 1, size - 1) == 0;
}

static const char *
check_alloc(const struct subject *subject, const struct event *event, void **slots)
{
	void *object = subject->alloc(event->size);

	if (!object)
		return "no memory";
	if ((uintptr_t)object % 8 != 0)
		return "an object is not aligned";
	memset(object, mark(event->slot, event->size), event->size);
	slots[event->slot] = object;
	return NULL;
}

/* Add up what is in the slots. */
static void
count_live(const struct trace *trace, const struct subject *subject, void **slots,
	   const uint32_t *sizes, struct usage *usage)
{
	for (unsigned slot = 0; slot < trace->nr_slots; slot++) {
		if (sizes[slot] == 0)
			continue;
		usage->live += sizes[slot];
		usage->usable += subject->usable ? subject->usable(slots[slot]) : sizes[slot];
	}
	if (subject->used)
		usage->used = subject->used() - usage->used;
}

const char *
trace_check(const struct trace *trace, const struct subject *subject, void **slots,
	    struct usage *usage)
{
	uint32_t *sizes = calloc(trace->nr_slots, sizeof(*sizes));
	const char *wrong = NULL;

	if (subject->trim)
		subject->trim();
	*usage = (struct usage){ .used = subject->used ? subject->used() : 0 };
	for (unsigned i = 0; sizes && i < trace->nr_events && !wrong; i++) {
		const struct event *event = &trace->event[i];
		uint32_t *size = &sizes[event->slot];

		if (i == trace->full_at)
			count_live(trace, subject, slots, sizes, usage);
		if (event->size) {
			wrong = check_alloc(subject, event, slots);
		} else {
			if (!holds_mark(slots[event->slot], mark(event->slot, *size), *size))
				wrong = "an object was overwritten";
			subject->free(slots[event->slot]);
		}
		*size = event->size;
	}
	free(sizes);
	return wrong;
}
