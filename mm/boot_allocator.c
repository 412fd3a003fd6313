/* SPDX-License-Identifier: MIT */
/*
 * Memory before there is an allocator.
 *
 * Page tables, the stacks of the other CPUs and memmap itself are needed before the buddy
 * allocator can exist, since it keeps its state in memmap. They come from here.
 *
 * The idea: keep the usable ranges of the memory map in a small sorted table and cut
 * pieces off it, from the top of memory downwards. High memory is the least precious (old
 * devices reach only low memory), and cutting at the end of a range leaves one range, not
 * two. Nothing is ever given back. boot_alloc_finish() hands what is left to the buddy
 * allocator and ends this one.
 *
 *	usable     |===========|      |==================|
 *	taken                  ^^            ^^^^   ^^^^^^     (^^^^ below a limit)
 *	finish     |=========|        |=====|    |=|           given to the buddy
 *
 * Only the boot CPU runs, so there are no locks.
 */
#include <boot_allocator.h>
#include <page.h>
#include <panic.h>
#include <string.h>

static struct {
	struct memory_range range[MEMORY_MAP_MAX]; /* sorted, disjoint: what is left */
	unsigned nr;
	uint64_t used; /* bytes taken */
	paddr_t limit; /* take nothing above; 0: there is none */
	bool finished;
} boot;

void
boot_alloc_init(const struct memory_map *map)
{
	memset(&boot, 0, sizeof(boot));
	for (unsigned i = 0; i < map->nr; i++) {
		if (map->range[i].kind == MEMORY_USABLE)
			boot.range[boot.nr++] = map->range[i];
	}
}

void
boot_alloc_set_limit(paddr_t limit)
{
	boot.limit = limit;
}

/* Make room behind entry i of the table. Returns false if it is full. */
static bool
insert_entry(unsigned i)
{
	if (boot.nr == MEMORY_MAP_MAX)
		return false;
	memmove(&boot.range[i + 2], &boot.range[i + 1], (boot.nr - i - 1) * sizeof(boot.range[0]));
	boot.nr++;
	return true;
}

static void
remove_entry(unsigned i)
{
	memmove(&boot.range[i], &boot.range[i + 1], (boot.nr - i - 1) * sizeof(boot.range[0]));
	boot.nr--;
}

/* Cut [start, end) out of entry i, which holds it. */
static void
cut(unsigned i, paddr_t start, paddr_t end)
{
	struct memory_range *range = &boot.range[i];

	if (range->start == start && range->end == end) {
		remove_entry(i);
	} else if (range->end == end) {
		range->end = start;
	} else if (range->start == start) {
		range->start = end;
	} else {
		/* With the table full, what lies above the piece is lost: safe, and never seen. */
		if (insert_entry(i))
			range[1] = (struct memory_range){ end, range->end, MEMORY_USABLE };
		range->end = start;
	}
}

paddr_t
boot_alloc_raw(uint64_t size, uint64_t align, paddr_t limit)
{
	ASSERT(!boot.finished);
	ASSERT_LE(PAGE_SIZE, align);
	ASSERT_EQ(align & (align - 1), 0);

	if (size > UINT64_MAX - PAGE_SIZE)
		return 0; /* rounding it up would wrap */
	size = ALIGN_UP(size, PAGE_SIZE);
	if (boot.limit && (!limit || limit > boot.limit))
		limit = boot.limit;
	for (unsigned i = boot.nr; i-- > 0;) {
		const struct memory_range *range = &boot.range[i];
		paddr_t end = limit ? MIN(range->end, limit) : range->end;
		paddr_t start;

		if (end < size)
			continue;
		start = ALIGN_DOWN(end - size, align);
		/* Address 0 means failure to the caller, so the first frame is never given out. */
		if (start < range->start || start == 0)
			continue;
		cut(i, start, start + size);
		boot.used += size;
		return start;
	}
	return 0;
}

paddr_t
boot_alloc(uint64_t size, uint64_t align, paddr_t limit)
{
	paddr_t start = boot_alloc_raw(size, align, limit);

	if (start != 0)
		memset(phys_to_virt(start), 0, size);
	return start;
}

uint64_t
boot_alloc_used(void)
{
	return boot.used;
}

void
boot_alloc_finish(void (*give)(uint64_t first_pfn, uint64_t end_pfn))
{
	ASSERT(!boot.finished);
	boot.finished = true;
	for (unsigned i = 0; i < boot.nr; i++)
		give(boot.range[i].start >> PAGE_SHIFT, boot.range[i].end >> PAGE_SHIFT);
}
