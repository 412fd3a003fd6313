/* SPDX-License-Identifier: MIT */
/* Memory maps: damaged ones by the thousand against an oracle, and known ones by hand. */
#include "host.h"
#include "memory_map_oracle.h"

#include <errno.h>

#define NR_MAPS 20000

static void
nasty_maps(void)
{
	static struct memory_map map;
	struct window window;
	struct prng prng;

	for (unsigned i = 0; i < NR_MAPS; i++) {
		const char *wrong;

		prng_seed(&prng, host_seed * 1000003 + i);
		nasty_map(&prng, &window, &map);
		wrong = check_normalise(&window, &map);
		if (!wrong)
			continue;
		host_fail(__FILE__, __LINE__, "map %u, limit %#lx: %s", i, window.limit, wrong);
		for (unsigned j = 0; j < map.nr; j++)
			host_note("\t[%#lx, %#lx) %s", map.range[j].start, map.range[j].end,
				  memory_kind_name(map.range[j].kind));
		return;
	}
}

struct by_hand {
	const char *what;
	struct memory_range in[6], out[6]; /* up to the first { 0, 0 } */
	struct memory_map_report report;
};

#define U MEMORY_USABLE
#define R MEMORY_RESERVED
#define A MEMORY_ACPI_RECLAIM
#define B MEMORY_BAD
#define K MEMORY_KERNEL

static const struct by_hand table[] = {
	{ "a PC of 256 MiB",
	  { { 0, 0x9fc00, U },
	    { 0x9fc00, 0xa0000, R },
	    { 0xf0000, 0x100000, R },
	    { 0x100000, 0xffe0000, U },
	    { 0xffe0000, 0x10000000, R } },
	  { { 0, 0x9f000, U },
	    { 0x9f000, 0xa0000, R },
	    { 0xf0000, 0x100000, R },
	    { 0x100000, 0xffe0000, U },
	    { 0xffe0000, 0x10000000, R } },
	  { .misaligned = 1 } },
	{ "unsorted and touching",
	  { { 0x3000, 0x5000, U }, { 0x1000, 0x3000, U }, { 0x5000, 0x6000, U } },
	  { { 0x1000, 0x6000, U } },
	  { 0 } },
	{ "the kernel in usable memory is no damage",
	  { { 0, 0x10000, U }, { 0x4000, 0x6000, K } },
	  { { 0, 0x4000, U }, { 0x4000, 0x6000, K }, { 0x6000, 0x10000, U } },
	  { 0 } },
	{ "one frame said to be four things",
	  { { 0, 0x4000, U }, { 0x1000, 0x2000, A }, { 0x1000, 0x2000, R }, { 0x1000, 0x2000, B } },
	  { { 0, 0x1000, U }, { 0x1000, 0x2000, B }, { 0x2000, 0x4000, U } },
	  { .overlaps = 6 } },
	{ "the stronger kind wins in whichever order they come",
	  { { 0x1000, 0x3000, B }, { 0, 0x2000, R }, { 0x5000, 0x6000, U } },
	  { { 0, 0x1000, R }, { 0x1000, 0x3000, B }, { 0x5000, 0x6000, U } },
	  { .overlaps = 1 } },
	{ "an empty range cuts nothing",
	  { { 0, 0x4000, U }, { 0x2000, 0x2000, R } },
	  { { 0, 0x4000, U } },
	  { .empty = 1 } },
	{ "a range past the end of the address space",
	  { { 0, 0x4000, U }, { 0x8000, 0x1000, R } },
	  { { 0, 0x4000, U }, { 0x8000, 1ul << 40, R } },
	  { .wrapped = 1 } },
	{ "usable in one frame only by halves",
	  { { 0x1800, 0x2800, U }, { 0x4000, 0x5000, U } },
	  { { 0x4000, 0x5000, U } },
	  { .misaligned = 1 } },
	{ "neighbours in one frame do not overlap",
	  { { 0, 0x4000, U }, { 0x5000, 0x5800, R }, { 0x5800, 0x6000, A } },
	  { { 0, 0x4000, U }, { 0x5000, 0x6000, R } },
	  { 0 } },
	{ "above the limit",
	  { { 0, 0x4000, U },
	    { (1ul << 40) - 0x1000, (1ul << 40) + 0x1000, U },
	    { 1ul << 41, 1ul << 42, U } },
	  { { 0, 0x4000, U }, { (1ul << 40) - 0x1000, 1ul << 40, U } },
	  { 0 } },
};

static void
check_by_hand(const struct by_hand *test)
{
	static struct memory_map in, out;
	struct memory_map_report report;
	unsigned nr = 0;

	in.nr = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(test->in) && (test->in[i].start | test->in[i].end); i++)
		memory_map_add(&in, test->in[i].start, test->in[i].end - test->in[i].start,
			       test->in[i].kind);
	CHECK_EQ(memory_map_normalise(&in, &out, 1ul << 40, &report), 0);
	CHECK(memory_map_is_normal(&out));
	while (nr < ARRAY_SIZE(test->out) && (test->out[nr].start | test->out[nr].end))
		nr++;
	CHECK_EQ(out.nr, nr);
	for (unsigned i = 0; i < MIN(nr, out.nr); i++) {
		CHECK_EQ(out.range[i].start, test->out[i].start);
		CHECK_EQ(out.range[i].end, test->out[i].end);
		CHECK_EQ(out.range[i].kind, test->out[i].kind);
	}
	CHECK_EQ(report.empty, test->report.empty);
	CHECK_EQ(report.wrapped, test->report.wrapped);
	CHECK_EQ(report.overlaps, test->report.overlaps);
	CHECK_EQ(report.misaligned, test->report.misaligned);
	CHECK_EQ(report.dropped, test->report.dropped);
}

static void
known_maps(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		bool before = host_failed();

		check_by_hand(&table[i]);
		if (!before && host_failed())
			host_note("in: %s", table[i].what);
	}
}

/* More ranges than the table holds: some are lost, but none becomes usable by that. */
static void
too_many_ranges(void)
{
	static struct memory_map in, out;
	struct memory_map_report report;

	in.nr = in.nr_dropped = 0;
	memory_map_add(&in, 0, MEMORY_MAP_MAX * 2 * PAGE_SIZE, MEMORY_USABLE);
	for (unsigned i = 0; i < MEMORY_MAP_MAX; i++)
		memory_map_add(&in, (2 * i + 1) * PAGE_SIZE, PAGE_SIZE, MEMORY_RESERVED);
	CHECK_EQ(in.nr, MEMORY_MAP_MAX);
	CHECK_EQ(in.nr_dropped, 1);
	CHECK_EQ(memory_map_normalise(&in, &out, 1ul << 40, &report), 0);
	CHECK(memory_map_is_normal(&out));
	CHECK_EQ(out.nr, MEMORY_MAP_MAX);
	/* 255 islands in one sea make 511 strips, of which 256 fit; and one was lost before. */
	CHECK_EQ(report.dropped, 2 * MEMORY_MAP_MAX - 1 - MEMORY_MAP_MAX + 1);
	for (unsigned i = 0; i < out.nr; i++) {
		if (out.range[i].kind != MEMORY_USABLE)
			continue;
		CHECK_EQ(out.range[i].end - out.range[i].start, PAGE_SIZE);
		CHECK_EQ(out.range[i].start / PAGE_SIZE % 2, 0);
	}
}

static void
nothing_usable(void)
{
	static struct memory_map in, out;
	struct memory_map_report report;

	in.nr = in.nr_dropped = 0;
	CHECK_EQ(memory_map_normalise(&in, &out, 1ul << 40, &report), -EINVAL);
	memory_map_add(&in, 0x1000, 0x4000, MEMORY_USABLE);
	memory_map_add(&in, 0, 0x10000, MEMORY_RESERVED);
	CHECK_EQ(memory_map_normalise(&in, &out, 1ul << 40, &report), -EINVAL);
	CHECK_EQ(out.nr, 0);
	CHECK_EQ(memory_map_normalise(&in, &out, 0, &report), -EINVAL);
}

/* The judge itself must find each fault. */
static void
is_normal_finds_faults(void)
{
	static const struct memory_range faulty[][2] = {
		{ { 0x1000, 0x1000, U }, { 0x2000, 0x3000, U } }, /* empty */
		{ { 0x2000, 0x1000, U }, { 0x2000, 0x3000, U } }, /* upside down */
		{ { 0x1001, 0x2000, U }, { 0x2000, 0x3000, R } }, /* starts in a frame */
		{ { 0x1000, 0x2000, U }, { 0x2000, 0x3001, R } }, /* ends in a frame */
		{ { 0x4000, 0x5000, U }, { 0x2000, 0x3000, R } }, /* unsorted */
		{ { 0x1000, 0x3000, U }, { 0x2000, 0x4000, R } }, /* overlapping */
		{ { 0x1000, 0x2000, U }, { 0x2000, 0x3000, U } }, /* not joined */
	};
	static struct memory_map map;

	map.nr = 2;
	for (unsigned i = 0; i < ARRAY_SIZE(faulty); i++) {
		map.range[0] = faulty[i][0];
		map.range[1] = faulty[i][1];
		if (memory_map_is_normal(&map))
			host_fail(__FILE__, __LINE__, "faulty map %u was accepted", i);
	}
	map.range[0] = (struct memory_range){ 0x1000, 0x2000, U };
	map.range[1] = (struct memory_range){ 0x2000, 0x3000, R };
	CHECK(memory_map_is_normal(&map));
}

HOST_SUITE(memory_map, { "nasty_maps", nasty_maps }, { "known_maps", known_maps },
	   { "too_many_ranges", too_many_ranges }, { "nothing_usable", nothing_usable },
	   { "is_normal_finds_faults", is_normal_finds_faults });
