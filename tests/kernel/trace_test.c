// SPDX-License-Identifier: MIT
/*
 * The trace ring on memory of its own, and the code patching on a copy: the suites run
 * without trace=. That events come from the allocator, in order, is tested from outside, by
 * tests/tools/test_memview.py.
 */
#include <bench.h>
#include <ktest.h>
#include <page.h>
#include <string.h>
#include <trace.h>

#define CAPACITY 6

extern const struct trace_site __start_trace_sites[], __stop_trace_sites[];

static struct trace_record records[CAPACITY];

static struct trace_area
empty_ring(void)
{
	memset(records, 0, sizeof(records));
	return (struct trace_area){ .capacity = CAPACITY, .base = records };
}

KTEST(trace, record)
{
	struct trace_area area = empty_ring();
	uint64_t before = arch_cycles();

	trace_put(&area, TRACE_SPLIT, 0x123456789a, 10, 0xffffffff80100000);
	expect_eq(t, records[0].event, TRACE_SPLIT);
	expect_eq(t, records[0].pfn, 0x123456789a);
	expect_eq(t, records[0].order, 10);
	expect_eq(t, records[0].caller, 0xffffffff80100000);
	expect_eq(t, records[0].cpu, arch_cpu_id());
	expect_eq(t, records[0].sequence, 0);
	expect_le(t, before, records[0].time);
	expect_eq(t, trace_kept(&area), 1);
	expect_eq(t, trace_lost(&area), 0);
}

/* When the ring is full the newest stay, and the others are counted. */
KTEST(trace, keeps_newest)
{
	struct trace_area area = empty_ring();

	for (unsigned i = 0; i < CAPACITY + 2; i++)
		trace_put(&area, TRACE_ALLOC, i, 0, 0);
	expect_eq(t, trace_kept(&area), CAPACITY);
	expect_eq(t, trace_lost(&area), 2);
	for (unsigned i = 2; i < CAPACITY + 2; i++) {
		expect_eq(t, records[i % CAPACITY].pfn, i);
		expect_eq(t, records[i % CAPACITY].sequence, i);
	}
}

/* A range is told in the largest aligned blocks, also beyond MAX_ORDER. */
KTEST(trace, range)
{
	static const struct {
		pfn_t pfn;
		uint8_t order;
	} expected[] = { { 5, 0 }, { 6, 1 }, { 8, 3 }, { 16, 4 }, { 32, 1 } };
	struct trace_area area = empty_ring();

	trace_put_range(&area, TRACE_RESERVE, 5, 34, 0);
	expect_eq(t, area.written, ARRAY_SIZE(expected));
	for (unsigned i = 0; i < ARRAY_SIZE(expected); i++) {
		expect_eq(t, records[i].pfn, expected[i].pfn);
		expect_eq(t, records[i].order, expected[i].order);
	}

	area = empty_ring();
	trace_put_range(&area, TRACE_INIT, 0, 1ul << 24, 0);
	expect_eq(t, area.written, 1);
	expect_eq(t, records[0].order, 24);

	area = empty_ring();
	trace_put_range(&area, TRACE_INIT, 7, 7, 0);
	expect_eq(t, area.written, 0);
}

/* Every switch of the kernel is what its entry says: the nop, or a jump to its target. */
KTEST(trace, sites)
{
	static const uint8_t nop[TRACE_SITE_SIZE] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
	const struct trace_site *site;

	expect_lt(t, (uintptr_t)__start_trace_sites, (uintptr_t)__stop_trace_sites);
	for (site = __start_trace_sites; site < __stop_trace_sites; site++) {
		uint8_t jump[TRACE_SITE_SIZE];
		const uint8_t *expected = arch_trace_site_is_on(site) ? jump : nop;

		arch_trace_jump(jump, (uintptr_t)site->code, (uintptr_t)site->target);
		expect_eq(t, memcmp(site->code, expected, TRACE_SITE_SIZE), 0);
		expect_lt(t, site->group, NR_TRACE_GROUPS);
	}
}

KTEST(trace, jump)
{
	static const uint8_t forward[] = { 0xe9, 0x0b, 0x01, 0x00, 0x00 };
	static const uint8_t backward[] = { 0xe9, 0xeb, 0xff, 0xff, 0xff };
	uint8_t code[TRACE_SITE_SIZE];

	arch_trace_jump(code, 0xffffffff80100000, 0xffffffff80100110);
	expect_eq(t, memcmp(code, forward, sizeof(code)), 0);
	arch_trace_jump(code, 0xffffffff80100010, 0xffffffff80100000);
	expect_eq(t, memcmp(code, backward, sizeof(code)), 0);
}

/* Volatile, for the compiler believes that arch_trace_call() changes nothing. */
static volatile struct {
	uintptr_t caller;
	uint64_t event, a, b;
} seen;

static void
remember(unsigned event, uint64_t a, uint32_t b)
{
	seen.caller = arch_trace_caller(__builtin_frame_address(0));
	seen.event = event;
	seen.a = a;
	seen.b = b;
}

/* Nothing of mm/ lies between, so the caller is this function. */
KTEST(trace, call)
{
	uint64_t a = prng_next(&t->prng);
	uint32_t b = (uint32_t)prng_next(&t->prng);

	arch_trace_call(remember, TRACE_MERGE, a, b);
	expect_eq(t, seen.event, TRACE_MERGE);
	expect_eq(t, seen.a, a);
	expect_eq(t, seen.b, b);
	expect_lt(t, (uintptr_t)ktest_trace_call, seen.caller);
	expect_lt(t, seen.caller, (uintptr_t)ktest_trace_call + 512);
}

#define ROUNDS 1000

static __attribute__((noinline)) uint64_t
loop(void)
{
	uint64_t before = arch_cycles();

	for (unsigned i = 0; i < ROUNDS; i++)
		__asm__ volatile("" ::"r"(i));
	return arch_cycles() - before;
}

static __attribute__((noinline)) uint64_t
loop_with_site(const struct page *page)
{
	uint64_t before = arch_cycles();

	for (unsigned i = 0; i < ROUNDS; i++) {
		__asm__ volatile("" ::"r"(i));
		trace_buddy(TRACE_SPLIT, page, 0);
	}
	return arch_cycles() - before;
}

BENCH_SUITE(trace, "what a trace point costs (start with trace=buddy: one that is on)")
{
	uint64_t ticks[BENCH_REPS];

	for (unsigned rep = 0; rep < BENCH_REPS; rep++)
		ticks[rep] = loop_with_site(memmap) - loop();
	bench_report("trace.site", ticks, BENCH_REPS, ROUNDS);
}
