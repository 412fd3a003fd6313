/* SPDX-License-Identifier: MIT */
/*
 * Normalising the firmware's memory map.
 *
 * Firmware hands over a list of ranges, and not one property of it can be relied on: it
 * comes unsorted, ranges overlap, are empty, begin in the middle of a frame, or wrap round
 * the end of the address space. The rest of mm/ wants the opposite:
 *
 *	firmware   |--usable-------------------|   |-usable-|
 *	                  |-reserved-|      |-usable-|
 *	normal     |usable|reserved--|usable---------|usable|     (one range where joined)
 *
 * The idea is a sweep. The ends of all ranges, sorted, cut the address space into strips
 * in which nothing begins or ends. The kind of a strip is the strongest kind that covers
 * it (enum memory_kind is in rising strength), so a doubtful frame is never used. Strips
 * of one kind that touch are joined.
 *
 * Rounding follows the same caution: a frame is usable if one usable range covers all of it,
 * and unusable if any byte of it is unusable.
 *
 * Cost is O(n^2) for n ranges, n <= MEMORY_MAP_MAX, and in practice about ten. No locks:
 * only the boot CPU runs.
 */
#include <errno.h>
#include <memory_map.h>

static const char *const kind_names[] = {
	[MEMORY_USABLE] = "usable",
	[MEMORY_ACPI_RECLAIM] = "ACPI tables",
	[MEMORY_ACPI_NVS] = "ACPI storage",
	[MEMORY_RESERVED] = "reserved",
	[MEMORY_BAD] = "bad",
	[MEMORY_KERNEL] = "kernel",
};

const char *
memory_kind_name(enum memory_kind kind)
{
	return kind < ARRAY_SIZE(kind_names) ? kind_names[kind] : "unknown";
}

void
memory_map_add(struct memory_map *map, paddr_t start, paddr_t length, enum memory_kind kind)
{
	if (map->nr == MEMORY_MAP_MAX) {
		map->nr_dropped++;
		return;
	}
	/* A range that wraps keeps end < start: memory_map_normalise() sees and reports it. */
	map->range[map->nr++] = (struct memory_range){ start, start + length, kind };
}

/*
 * Cut one range off at limit, counting what was wrong with it. Returns false if nothing of
 * it is left.
 */
static bool
cut_range(struct memory_range *range, paddr_t limit, struct memory_map_report *report)
{
	if (range->start == range->end) {
		report->empty++;
		return false;
	}
	if (range->end < range->start) {
		report->wrapped += range->end != 0; /* 2^64 itself does no harm */
		range->end = limit;
	}
	range->start = MIN(range->start, limit);
	range->end = MIN(range->end, limit);
	return range->start < range->end;
}

/* Round one range to whole frames. Returns false if nothing of it is left. */
static bool
round_range(struct memory_range *range, struct memory_map_report *report)
{
	if (range->kind == MEMORY_USABLE) {
		if (!IS_ALIGNED(range->start | range->end, PAGE_SIZE))
			report->misaligned++;
		range->start = ALIGN_UP(range->start, PAGE_SIZE);
		range->end = ALIGN_DOWN(range->end, PAGE_SIZE);
	} else {
		range->start = ALIGN_DOWN(range->start, PAGE_SIZE);
		range->end = ALIGN_UP(range->end, PAGE_SIZE);
	}
	return range->start < range->end;
}

static unsigned
count_overlaps(const struct memory_map *map)
{
	unsigned overlaps = 0;

	for (unsigned i = 0; i < map->nr; i++) {
		const struct memory_range *a = &map->range[i];

		for (unsigned j = 0; j < i; j++) {
			const struct memory_range *b = &map->range[j];

			/* The kernel lies in usable memory: that is no damage. */
			if (a->kind == b->kind || a->kind == MEMORY_KERNEL ||
			    b->kind == MEMORY_KERNEL)
				continue;
			if (a->start < b->end && b->start < a->end)
				overlaps++;
		}
	}
	return overlaps;
}

/* Collect the ends of all ranges, sorted. Returns how many. */
static unsigned
sorted_cuts(const struct memory_map *map, paddr_t *cuts)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < 2 * map->nr; i++) {
		const struct memory_range *range = &map->range[i / 2];
		paddr_t cut = i % 2 ? range->end : range->start;
		unsigned place = nr++;

		for (; place > 0 && cuts[place - 1] > cut; place--)
			cuts[place] = cuts[place - 1];
		cuts[place] = cut;
	}
	return nr;
}

/* The strongest kind that covers address. Returns false if none does. */
static bool
kind_at(const struct memory_map *map, paddr_t address, enum memory_kind *kind)
{
	bool covered = false;

	for (unsigned i = 0; i < map->nr; i++) {
		const struct memory_range *range = &map->range[i];

		if (address < range->start || address >= range->end)
			continue;
		if (!covered || range->kind > *kind)
			*kind = range->kind;
		covered = true;
	}
	return covered;
}

/* Append a strip that lies behind all others, joining it with the last one if it can. */
static void
append_strip(struct memory_map *map, paddr_t start, paddr_t end, enum memory_kind kind)
{
	struct memory_range *last = map->nr ? &map->range[map->nr - 1] : NULL;

	if (last && last->kind == kind && last->end == start)
		last->end = end;
	else
		memory_map_add(map, start, end - start, kind);
}

/* Write to work what cutting and rounding leave of the ranges of in. */
static void
clean_ranges(const struct memory_map *in, struct memory_map *work, paddr_t limit,
	     struct memory_map_report *report)
{
	unsigned nr = 0;

	work->nr = 0;
	for (unsigned i = 0; i < in->nr; i++) {
		work->range[work->nr] = in->range[i];
		work->nr += cut_range(&work->range[work->nr], limit, report);
	}
	/* Ranges that merely meet inside a frame overlap only once they are rounded. */
	report->overlaps = count_overlaps(work);
	for (unsigned i = 0; i < work->nr; i++) {
		work->range[nr] = work->range[i];
		nr += round_range(&work->range[nr], report);
	}
	work->nr = nr;
}

int
memory_map_normalise(const struct memory_map *in, struct memory_map *out, paddr_t limit,
		     struct memory_map_report *report)
{
	static struct memory_map work; /* too large for a kernel stack */
	static paddr_t cuts[2 * MEMORY_MAP_MAX];
	enum memory_kind kind = MEMORY_USABLE;
	bool usable = false;
	unsigned nr_cuts;

	*report = (struct memory_map_report){ .dropped = in->nr_dropped };
	out->nr = 0;
	out->nr_dropped = 0;
	clean_ranges(in, &work, ALIGN_DOWN(limit, PAGE_SIZE), report);

	nr_cuts = sorted_cuts(&work, cuts);
	for (unsigned i = 0; i + 1 < nr_cuts; i++) {
		if (cuts[i] == cuts[i + 1] || !kind_at(&work, cuts[i], &kind))
			continue;
		append_strip(out, cuts[i], cuts[i + 1], kind);
		usable |= kind == MEMORY_USABLE;
	}
	report->dropped += out->nr_dropped;
	if (!usable) {
		out->nr = 0;
		return -EINVAL;
	}
	return 0;
}

bool
memory_map_is_normal(const struct memory_map *map)
{
	for (unsigned i = 0; i < map->nr; i++) {
		const struct memory_range *range = &map->range[i];
		const struct memory_range *before = range - 1;

		if (range->start >= range->end || !IS_ALIGNED(range->start | range->end, PAGE_SIZE))
			return false;
		if (i == 0)
			continue;
		if (before->end > range->start ||
		    (before->end == range->start && before->kind == range->kind))
			return false;
	}
	return true;
}
