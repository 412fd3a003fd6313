/* SPDX-License-Identifier: MIT */
/* The oracle for normalised memory maps: see memory_map_oracle.h. */
#include "memory_map_oracle.h"

#include "host.h"

#include <errno.h>
#include <string.h>

#define NOTHING 255 /* no range covers the frame */

/* Wide enough for the end of the address space. */
typedef unsigned __int128 wide;

static wide
real_end(const struct memory_range *range)
{
	return range->end < range->start ? (wide)1 << 64 : range->end;
}

/* Does the range make the frame what it says? All of it counts as usable, any of it as not. */
static bool
covers(const struct memory_range *range, wide start, wide end)
{
	if (range->start == range->end)
		return false;
	if (range->kind == MEMORY_USABLE)
		return range->start <= start && end <= real_end(range);
	return range->start < end && start < real_end(range);
}

static void
judge_frames(const struct window *window, const struct memory_map *in, uint8_t *kinds)
{
	for (unsigned i = 0; i < WINDOW_FRAMES; i++) {
		wide start = (wide)window->base + i * PAGE_SIZE;

		kinds[i] = NOTHING;
		if (start + PAGE_SIZE > window->limit)
			continue;
		for (unsigned j = 0; j < in->nr; j++) {
			const struct memory_range *range = &in->range[j];

			if (covers(range, start, start + PAGE_SIZE) &&
			    (kinds[i] == NOTHING || range->kind > kinds[i]))
				kinds[i] = (uint8_t)range->kind;
		}
	}
}

/* Run lengths of the frames' kinds: the only normal map that says the same. */
static void
encode(const struct window *window, const uint8_t *kinds, struct memory_map *map)
{
	map->nr = 0;
	for (unsigned i = 0; i < WINDOW_FRAMES; i++) {
		paddr_t start = window->base + i * PAGE_SIZE;

		if (kinds[i] == NOTHING)
			continue;
		if (i > 0 && kinds[i] == kinds[i - 1])
			map->range[map->nr - 1].end += PAGE_SIZE;
		else
			map->range[map->nr++] =
			    (struct memory_range){ start, start + PAGE_SIZE, kinds[i] };
	}
}

static const char *
check_report(const struct memory_map *in, const struct memory_map_report *report)
{
	unsigned empty = 0, wrapped = 0;

	for (unsigned i = 0; i < in->nr; i++) {
		empty += in->range[i].start == in->range[i].end;
		/* An end of 0 is the end of the address space itself: nothing was cut. */
		wrapped += in->range[i].end < in->range[i].start && in->range[i].end != 0;
	}
	if (report->empty != empty)
		return "the report's number of empty ranges is wrong";
	if (report->wrapped != wrapped)
		return "the report's number of wrapped ranges is wrong";
	if (report->dropped != in->nr_dropped)
		return "the report's number of dropped ranges is wrong";
	return NULL;
}

const char *
check_normalise(const struct window *window, const struct memory_map *in)
{
	static struct memory_map out, expected;
	static char text[200];
	uint8_t kinds[WINDOW_FRAMES];
	struct memory_map_report report;
	int error, expected_error;
	const char *wrong;

	judge_frames(window, in, kinds);
	expected_error = __builtin_memchr(kinds, MEMORY_USABLE, sizeof(kinds)) ? 0 : -EINVAL;
	error = memory_map_normalise(in, &out, window->limit, &report);
	if (error != expected_error)
		return error ? "refused, though memory is usable"
			     : "accepted without usable memory";
	if ((wrong = check_report(in, &report)))
		return wrong;
	if (error)
		return out.nr == 0 ? NULL : "refused, but the result is not empty";
	if (!memory_map_is_normal(&out))
		return "memory_map_is_normal() does not accept the result";

	encode(window, kinds, &expected);
	for (unsigned i = 0; i < MAX(out.nr, expected.nr); i++) {
		const struct memory_range *a = &out.range[i], *b = &expected.range[i];

		if (i < out.nr && i < expected.nr && a->start == b->start && a->end == b->end &&
		    a->kind == b->kind)
			continue;
		snprintf(text, sizeof(text),
			 "range %u of %u is [%#lx, %#lx) %s, expected [%#lx, %#lx) %s of %u", i,
			 out.nr, i < out.nr ? a->start : 0, i < out.nr ? a->end : 0,
			 i < out.nr ? memory_kind_name(a->kind) : "missing",
			 i < expected.nr ? b->start : 0, i < expected.nr ? b->end : 0,
			 i < expected.nr ? memory_kind_name(b->kind) : "missing", expected.nr);
		return text;
	}
	return NULL;
}

/* An address in the window: mostly at the edge of a frame, or one byte off. */
static paddr_t
nasty_address(struct prng *prng, const struct window *window)
{
	paddr_t address = window->base + prng_below(prng, WINDOW_FRAMES) * PAGE_SIZE;

	switch (prng_below(prng, 8)) {
	case 0:
		return address + 1;
	case 1:
		return address + PAGE_SIZE - 1;
	case 2:
		return address + prng_below(prng, PAGE_SIZE);
	default:
		return address;
	}
}

void
nasty_map(struct prng *prng, struct window *window, struct memory_map *map)
{
	static const paddr_t bases[] = { 0, MiB(1), GiB(4) - 17 * PAGE_SIZE,
					 -(WINDOW_FRAMES * PAGE_SIZE) };
	paddr_t last;

	window->base = bases[prng_below(prng, ARRAY_SIZE(bases))];
	last = window->base + (WINDOW_FRAMES * PAGE_SIZE - 1);
	window->limit = prng_below(prng, 3) == 0 ? nasty_address(prng, window) : last;

	map->nr = 0;
	map->nr_dropped = (unsigned)prng_below(prng, 2);
	for (unsigned nr = 1 + (unsigned)prng_below(prng, 24); nr > 0; nr--) {
		paddr_t start = nasty_address(prng, window), end = nasty_address(prng, window);
		/* Usable twice as often as any other kind. */
		unsigned kind = (unsigned)prng_below(prng, MEMORY_KERNEL + 2);

		if (prng_below(prng, 16) == 0)
			end = start;
		else if (end < start && prng_below(prng, 16) != 0)
			end = start + prng_below(prng, last - start + 1);
		memory_map_add(map, start, end - start,
			       kind > MEMORY_KERNEL ? MEMORY_USABLE : kind);
	}
}
