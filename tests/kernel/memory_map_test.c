/* SPDX-License-Identifier: MIT */
/* Normalising firmware maps: a table of nasty ones, and random ones against the definition. */
#include <errno.h>
#include <ktest.h>
#include <memory_map.h>

#define PAGE(n) ((uint64_t)(n) << PAGE_SHIFT)
#define LIMIT	PAGE(1ul << 36)

static struct memory_map in, out; /* too large for a kernel stack */
static struct memory_map_report report;

struct expected {
	uint64_t start, end; /* pages */
	enum memory_kind kind;
};

static void
expect_map(struct ktest *t, const struct expected *expected, unsigned nr)
{
	expect_true(t, memory_map_is_normal(&out));
	assert_eq(t, out.nr, nr);
	for (unsigned i = 0; i < nr; i++) {
		expect_eq(t, out.range[i].start, PAGE(expected[i].start));
		expect_eq(t, out.range[i].end, PAGE(expected[i].end));
		expect_eq(t, out.range[i].kind, expected[i].kind);
	}
}

static int
normalise(void)
{
	return memory_map_normalise(&in, &out, LIMIT, &report);
}

KTEST(memory_map, unsorted_and_adjacent)
{
	static const struct expected expected[] = { { 0, 20, MEMORY_USABLE },
						    { 30, 40, MEMORY_USABLE } };

	in.nr = 0;
	memory_map_add(&in, PAGE(30), PAGE(10), MEMORY_USABLE);
	memory_map_add(&in, PAGE(10), PAGE(10), MEMORY_USABLE);
	memory_map_add(&in, PAGE(0), PAGE(10), MEMORY_USABLE);
	expect_eq(t, normalise(), 0);
	expect_map(t, expected, ARRAY_SIZE(expected));
	expect_eq(t, report.overlaps, 0);
}

KTEST(memory_map, strongest_kind_wins)
{
	static const struct expected expected[] = {
		{ 0, 10, MEMORY_USABLE },   { 10, 15, MEMORY_ACPI_RECLAIM },
		{ 15, 25, MEMORY_BAD },	    { 25, 30, MEMORY_RESERVED },
		{ 30, 100, MEMORY_USABLE },
	};

	in.nr = 0;
	memory_map_add(&in, 0, PAGE(100), MEMORY_USABLE);
	memory_map_add(&in, PAGE(20), PAGE(10), MEMORY_RESERVED);
	memory_map_add(&in, PAGE(15), PAGE(10), MEMORY_BAD);
	memory_map_add(&in, PAGE(10), PAGE(6), MEMORY_ACPI_RECLAIM);
	expect_eq(t, normalise(), 0);
	expect_map(t, expected, ARRAY_SIZE(expected));
	expect_eq(t, report.overlaps, 5);
}

KTEST(memory_map, rounded_to_whole_frames)
{
	static const struct expected expected[] = { { 1, 9, MEMORY_USABLE },
						    { 9, 11, MEMORY_RESERVED },
						    { 11, 20, MEMORY_USABLE } };

	in.nr = 0;
	memory_map_add(&in, 1, PAGE(9) + 0xbff, MEMORY_USABLE);
	memory_map_add(&in, PAGE(9) + 0xc00, PAGE(1), MEMORY_RESERVED);
	memory_map_add(&in, PAGE(10) + 0xc00, PAGE(9) + 0x400, MEMORY_USABLE);
	expect_eq(t, normalise(), 0);
	expect_map(t, expected, ARRAY_SIZE(expected));
	expect_eq(t, report.misaligned, 2);
}

KTEST(memory_map, empty_wrapping_and_above_the_limit)
{
	static const struct expected expected[] = { { 1, 2, MEMORY_USABLE },
						    { (1ul << 36) - 1, 1ul << 36, MEMORY_USABLE } };

	in.nr = 0;
	memory_map_add(&in, PAGE(1), PAGE(1), MEMORY_USABLE);
	memory_map_add(&in, PAGE(5), 0, MEMORY_USABLE);
	memory_map_add(&in, LIMIT - PAGE(1), ~0ul - PAGE(8), MEMORY_USABLE);
	memory_map_add(&in, LIMIT + PAGE(4), PAGE(4), MEMORY_USABLE);
	expect_eq(t, normalise(), 0);
	expect_map(t, expected, ARRAY_SIZE(expected));
	expect_eq(t, report.empty, 1);
	expect_eq(t, report.wrapped, 1);
}

KTEST(memory_map, nothing_usable)
{
	in.nr = 0;
	expect_eq(t, normalise(), -EINVAL);
	memory_map_add(&in, 0, PAGE(100), MEMORY_RESERVED);
	memory_map_add(&in, PAGE(10), PAGE(10), MEMORY_USABLE);
	memory_map_add(&in, PAGE(200) + 1, PAGE(2) - 2, MEMORY_USABLE);
	memory_map_add(&in, PAGE(201), PAGE(1), MEMORY_BAD);
	expect_eq(t, normalise(), -EINVAL);
	expect_eq(t, out.nr, 0);
}

KTEST(memory_map, more_ranges_than_fit)
{
	in.nr = in.nr_dropped = 0;
	for (unsigned i = 0; i < MEMORY_MAP_MAX + 5; i++)
		memory_map_add(&in, PAGE(2 * i), PAGE(1), MEMORY_USABLE);
	expect_eq(t, normalise(), 0);
	expect_eq(t, report.dropped, 5);
	expect_eq(t, out.nr, MEMORY_MAP_MAX);
	expect_true(t, memory_map_is_normal(&out));
	in.nr_dropped = 0;
}

/* What one frame must be, straight from the definition. */
static bool
frame_kind(uint64_t frame, enum memory_kind *kind)
{
	bool covered = false;

	for (unsigned i = 0; i < in.nr; i++) {
		const struct memory_range *range = &in.range[i];
		bool whole = range->start <= PAGE(frame) && PAGE(frame + 1) <= range->end;
		bool touched = range->start < PAGE(frame + 1) && PAGE(frame) < range->end;

		if (range->start == range->end)
			continue;
		if (range->kind == MEMORY_USABLE ? !whole : !touched)
			continue;
		if (!covered || range->kind > *kind)
			*kind = range->kind;
		covered = true;
	}
	return covered;
}

KTEST(memory_map, random_against_the_definition, .nr_params = 4)
{
	for (unsigned round = 0; round < 100; round++) {
		in.nr = 0;
		memory_map_add(&in, PAGE(500), PAGE(1), MEMORY_USABLE);
		for (unsigned i = prng_below(&t->prng, 20); i > 0; i--)
			memory_map_add(&in, prng_below(&t->prng, PAGE(200)),
				       prng_below(&t->prng, PAGE(60)),
				       prng_below(&t->prng, MEMORY_KERNEL + 1));
		assert_eq(t, normalise(), 0);
		assert_true(t, memory_map_is_normal(&out));
		for (uint64_t frame = 0, i = 0; frame < 300; frame++) {
			enum memory_kind kind = MEMORY_USABLE;
			bool covered = frame_kind(frame, &kind);

			while (i < out.nr && out.range[i].end <= PAGE(frame))
				i++;
			assert_eq(t, i < out.nr && out.range[i].start <= PAGE(frame), covered);
			if (covered)
				assert_eq(t, out.range[i].kind, kind);
		}
	}
}
