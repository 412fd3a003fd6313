/* SPDX-License-Identifier: MIT */
/*
 * The model that lab 2's cases compare a node with: one byte for each frame of the arena. It
 * knows nothing of groups, lists, marks or buddies, so it cannot share a mistake with the code
 * under test.
 *
 * What it holds the node to:
 *	- an answer is aligned to its size, lies in a zone that suits the request, and all its
 *	  frames were free;
 *	- in each zone, what is free there or in the CPUs' lists and what callers have is all it
 *has. How far down a zone may go, who shares a page block with whom, and whether "none" was the
 *only answer, the grader judges. A case may run with other CPUs only if it does not use this model.
 */
#include "lab.h"
#include <errno.h>
#include <string.h>
#include <test_arena.h>
#include <thread.h>

enum model { ABSENT, FREE, TAKEN };

static struct lab the_lab2; /* not "the_lab": a debugger would take that of lab 1 */
static uint8_t model[LAB_FRAMES];
static uint16_t slot_at[LAB_FRAMES]; /* whose block begins there */

/* ---- The node ------------------------------------------------------------------------- */

/* Logged with what each zone has: a byte a zone, the number of its page blocks. */
static uint64_t
packed_layout(const struct lab *lab)
{
	uint64_t packed = 0;

	for (unsigned z = 0; z < NR_ZONES; z++)
		packed |= (uint64_t)lab->blocks[z] << 8 * z;
	return packed;
}

struct lab *
lab2_begin_empty(struct ktest *t, struct lab2_layout layout)
{
	struct frame_range arena = test_arena_get(t, LAB_FRAMES);
	struct lab *lab = &the_lab2;
	struct zone_limits limits = { .first = arena.first, .min_free = layout.min_free };

	memset(lab, 0, sizeof(*lab));
	memset(model, ABSENT, sizeof(model));
	lab->t = t;
	lab->moves_left = UINT32_MAX;
	memcpy(lab->blocks, layout.blocks, sizeof(lab->blocks));
	limits.dma_end = limits.first + layout.blocks[ZONE_DMA] * MAX_ORDER_FRAMES;
	limits.normal_end = limits.dma_end + layout.blocks[ZONE_NORMAL] * MAX_ORDER_FRAMES;
	limits.movable = layout.blocks[ZONE_MOVABLE] * MAX_ORDER_FRAMES;
	limits.end =
	    limits.normal_end + layout.blocks[ZONE_HIGH] * MAX_ORDER_FRAMES + limits.movable;
	lab->first = limits.first;
	lab->end = limits.end;
	node_init(&lab->node, &limits, lab->mobility);
	evidence_log(EV_NODE, layout.min_free, lab->first, (uintptr_t)&lab->node,
		     packed_layout(lab));
	return lab;
}

struct lab *
lab2_begin_with(struct ktest *t, struct lab2_layout layout)
{
	struct lab *lab = lab2_begin_empty(t, layout);

	lab2_add(lab, 0, lab->end - lab->first);
	return lab;
}

struct lab *
lab2_begin(struct ktest *t)
{
	struct lab2_layout layout = { .blocks = { 1 } };

	layout.blocks[ZONE_NORMAL] = 2 + prng_below(&t->prng, 2);
	layout.blocks[ZONE_HIGH] = 1 + prng_below(&t->prng, 2);
	layout.blocks[ZONE_MOVABLE] =
	    LAB_BLOCKS - 1 - layout.blocks[ZONE_NORMAL] - layout.blocks[ZONE_HIGH];
	layout.min_free = 100 + prng_below(&t->prng, 300);
	return lab2_begin_with(t, layout);
}

void
lab2_add(struct lab *lab, size_t first, size_t end)
{
	memset(model + first, FREE, end - first);
	evidence_log(EV_ADD, 0, lab->first + first, lab->first + end, 0);
	node_add_range(&lab->node, lab->first + first, lab->first + end);
}

zone_type_t
lab2_zone_at(const struct lab *lab, pfn_t pfn)
{
	size_t block = (pfn - lab->first) >> PAGE_BLOCK_ORDER;
	unsigned z = 0;

	while (z < ZONE_MOVABLE && block >= lab->blocks[z])
		block -= lab->blocks[z++];
	return z;
}

struct page *
lab2_page(const struct lab *lab, unsigned slot)
{
	return pfn_to_page(lab->first + lab->slot[slot].start);
}

zone_type_t
lab2_zone_of(const struct lab *lab, unsigned slot)
{
	return lab2_zone_at(lab, lab->first + lab->slot[slot].start);
}

unsigned
lab2_slot_at(const struct lab *lab, size_t start)
{
	unsigned slot = slot_at[start];

	return lab->slot[slot].full && lab->slot[slot].start == start ? slot : LAB_SLOTS;
}

/* ---- What a node says that it has -------------------------------------------------------- */

/* Frames of a zone in the lists of all CPUs. */
static size_t
cached(const struct lab *lab, unsigned zone)
{
	size_t frames = 0;

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		for (unsigned m = 0; m < NR_MOBILITIES; m++) {
			const struct cpu_list *list =
			    lab->node.cpu[cpu].list[group_number(zone, m)];

			for (unsigned order = 0; order < CPU_LIST_ORDERS; order++)
				frames += (size_t)(list[order].limit - list[order].room) << order;
		}
	}
	return frames;
}

size_t
lab2_free_frames(const struct lab *lab, zone_type_t zone)
{
	return lab->node.zone[zone].nr_free + cached(lab, zone);
}

/*
 * Log a record with the frames that are free in each zone (b) and in the lists of each zone (c),
 * 16 bits a zone.
 */
static void
lab2_levels(const struct lab *lab, unsigned kind, uint32_t arg, uint64_t a)
{
	uint64_t free = 0, lists = 0;

	for (unsigned z = 0; z < NR_ZONES; z++) {
		free |= (lab->node.zone[z].nr_free & 0xffff) << 16 * z;
		lists |= (cached(lab, z) & 0xffff) << 16 * z;
	}
	evidence_log(kind, arg, a, free, lists);
}

/* Compare that with the model. Ends the case if frames were lost or made. */
static void
compare_levels(const struct lab *lab)
{
	size_t expected[NR_ZONES] = { 0 };
	size_t span = lab->end - lab->first;

	for (size_t i = 0; i < span; i++)
		expected[lab2_zone_at(lab, lab->first + i)] += model[i] == FREE;
	for (unsigned z = 0; z < NR_ZONES; z++) {
		size_t here = lab2_free_frames(lab, z);

		if (here == expected[z])
			continue;
		ktest_fail(lab->t, __FILE__, __LINE__,
			   "zone %s should have %lu free frames, but says %lu and %lu in lists",
			   lab->node.zone[z].name, (unsigned long)expected[z],
			   (unsigned long)lab->node.zone[z].nr_free, (unsigned long)cached(lab, z));
		ktest_abort(lab->t);
	}
}

void
lab2_check(struct lab *lab)
{
	unsigned errors = node_check(&lab->node);

	lab2_levels(lab, EV_CHECK, 0, errors);
	assert_eq(lab->t, errors, 0);
	compare_levels(lab);
}

void
lab2_stats(struct lab *lab)
{
	for (unsigned z = 0; z < NR_ZONES; z++) {
		zone_stats_t s;

		zone_get_stats(&lab->node.zone[z], &s);
		evidence_log(EV_STATS, z, s.allocations, s.frees, s.failures);
		evidence_log(EV_STATS, z | 1 << 8, s.fallbacks, s.stolen_blocks, s.borrowed);
		evidence_log(EV_STATS, z | 2 << 8, s.refills, s.drains, lab->node.zone[z].peak);
		evidence_log(EV_STATS, z | 3 << 8, s.compactions, s.compaction_failures,
			     s.moved_pages);
	}
}

/* ---- Requests ------------------------------------------------------------------------------ */

/* The highest zone that the flags permit. */
static zone_type_t
highest_zone(gfp_t gfp)
{
	if (gfp & GFP_DMA)
		return ZONE_DMA;
	if (gfp & GFP_HIGHMEM)
		return gfp & GFP_MOVABLE ? ZONE_MOVABLE : ZONE_HIGH;
	return ZONE_NORMAL;
}

/* Judge the frames of an answer one by one, and mark them. Ends the case if one is wrong. */
static void
take(struct lab *lab, pfn_t pfn, unsigned order)
{
	size_t start = pfn - lab->first;

	if (!IS_ALIGNED(pfn, 1ul << order) || start >= lab->end - lab->first) {
		ktest_fail(lab->t, __FILE__, __LINE__,
			   "was given frame %#lx for order %u: not aligned, or not the node's",
			   (unsigned long)pfn, order);
		ktest_abort(lab->t);
	}
	for (size_t i = start; i < start + (1ul << order); i++) {
		if (model[i] != FREE) {
			ktest_fail(lab->t, __FILE__, __LINE__,
				   "was given frame %#lx, but that frame is %s",
				   (unsigned long)(lab->first + i),
				   model[i] == TAKEN ? "in use" : "no memory");
			ktest_abort(lab->t);
		}
		model[i] = TAKEN;
	}
}

bool
lab2_alloc(struct lab *lab, unsigned slot, gfp_t gfp, unsigned order)
{
	struct page *page = node_alloc(&lab->node, gfp, order);
	pfn_t pfn = page ? page_to_pfn(page) : NO_FRAME;
	uint32_t group = page ? page->group : 0xff;

	/* Flags, order, and the group that the block says it is in. */
	lab2_levels(lab, EV_ALLOC, gfp | order << 12 | group << 16, pfn);
	if (!page)
		return false;
	take(lab, pfn, order);
	if (lab2_zone_at(lab, pfn) > highest_zone(gfp)) {
		ktest_fail(lab->t, __FILE__, __LINE__, "flags %#x got frame %#lx in zone %s", gfp,
			   (unsigned long)pfn, lab->node.zone[lab2_zone_at(lab, pfn)].name);
		ktest_abort(lab->t);
	}
	lab->slot[slot] = (struct lab2_slot){ pfn - lab->first, order, true, false };
	slot_at[pfn - lab->first] = slot;
	return true;
}

unsigned
lab2_alloc_until_none(struct lab *lab, unsigned first, gfp_t gfp, unsigned order)
{
	while (first < LAB_SLOTS && lab2_alloc(lab, first, gfp, order))
		first++;
	return first;
}

void
lab2_free(struct lab *lab, unsigned slot)
{
	struct lab2_slot held = lab->slot[slot];
	struct page *page = lab2_page(lab, slot);

	if (held.movable)
		expect_true(lab->t, page_clear_mover(page));
	lab->slot[slot].full = false;
	memset(model + held.start, FREE, 1ul << held.order);
	evidence_log(EV_FREE, held.order, page_to_pfn(page), 0, 0);
	node_free(&lab->node, page, held.order);
	lab2_levels(lab, EV_FREED, 0, 0);
}

void
lab2_free_all(struct lab *lab)
{
	for (unsigned slot = 0; slot < LAB_SLOTS; slot++) {
		if (lab->slot[slot].full)
			lab2_free(lab, slot);
	}
}

void
lab2_drain(struct lab *lab)
{
	node_drain_lists(&lab->node);
	lab2_levels(lab, EV_DRAIN, 0, 0);
}

void
lab2_set_limit(struct lab *lab, unsigned group, unsigned order, int32_t limit)
{
	evidence_log(EV_LIMIT, order, group, (uint64_t)limit, 0);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		struct cpu_list *list = &lab->node.cpu[cpu].list[group][order];

		list->room += limit - list->limit;
		list->limit = limit;
	}
}

void
lab2_misuse(struct lab *lab, struct page *page, unsigned order)
{
	evidence_log(EV_MISUSE, order, page_to_pfn(page), 0, 0);
	node_free(&lab->node, page, order);
}

/* ---- Moving ---------------------------------------------------------------------------------- */

/* What stands at the beginning and the end of each frame of a slot. */
static uint64_t
contents(const struct lab *lab, unsigned slot, size_t frame)
{
	return lab->t->seed ^ ((uint64_t)slot << 32 | frame << 16 | 0x5a5a);
}

static uint64_t *
words_of(const struct page *page)
{
	return page_to_virt(page);
}

#define LAST_WORD (PAGE_SIZE / sizeof(uint64_t) - 1)

/* Copies, and moves the slot; or is busy, if the case wants that. */
static int
move(struct page *from, struct page *to, unsigned order)
{
	struct lab *lab = &the_lab2;
	pfn_t pfn = page_to_pfn(from);
	unsigned slot = slot_at[pfn - lab->first];
	int error = 0;

	thread_yield(); /* it may sleep, so no lock may be held */
	if (lab->moves_left != UINT32_MAX && lab->moves_left-- == 0) {
		lab->moves_left = UINT32_MAX;
		error = -EBUSY;
	}
	evidence_log(EV_MOVE, order, pfn, page_to_pfn(to), (uint64_t)-error);
	if (error)
		return error;
	take(lab, page_to_pfn(to), order);
	memset(model + (pfn - lab->first), FREE, 1ul << order);
	memcpy(page_to_virt(to), page_to_virt(from), PAGE_SIZE << order);
	memset(page_to_virt(from), 0, PAGE_SIZE << order);
	lab->slot[slot].start = page_to_pfn(to) - lab->first;
	slot_at[lab->slot[slot].start] = slot;
	return 0;
}

static const struct page_mover mover = { .move = move };

void
lab2_set_mover(struct lab *lab, unsigned slot)
{
	struct page *page = lab2_page(lab, slot);

	for (size_t i = 0; i < 1ul << lab->slot[slot].order; i++)
		words_of(page + i)[0] = words_of(page + i)[LAST_WORD] = contents(lab, slot, i);
	lab->slot[slot].movable = true;
	evidence_log(EV_MOVER, slot, page_to_pfn(page), 0, 0);
	page_set_mover(page, &mover);
}

void
lab2_check_contents(struct lab *lab, unsigned slot)
{
	struct page *page = lab2_page(lab, slot);

	for (size_t i = 0; i < 1ul << lab->slot[slot].order; i++) {
		assert_eq(lab->t, words_of(page + i)[0], contents(lab, slot, i));
		assert_eq(lab->t, words_of(page + i)[LAST_WORD], contents(lab, slot, i));
	}
}

bool
lab2_compact(struct lab *lab, zone_type_t zone, unsigned order)
{
	bool made = compact_zone(&lab->node.zone[zone], order);

	lab2_levels(lab, EV_COMPACT, zone | order << 8, made);
	return made;
}

/* ---- Chance ---------------------------------------------------------------------------------- */

unsigned
lab2_random_order(struct ktest *t, unsigned max)
{
	return __builtin_ctzl(prng_next(&t->prng) | 1ul << max);
}

gfp_t
lab2_random_gfp(struct ktest *t)
{
	static const gfp_t usual[] = {
		GFP_NOWAIT,	      GFP_NOWAIT | GFP_RECLAIMABLE, GFP_NOWAIT | GFP_MOVABLE,
		GFP_NOWAIT | GFP_DMA, GFP_NOWAIT | GFP_HIGHMEM,	    GFP_NOWAIT | GFP_USER,
		GFP_ATOMIC,	      GFP_ATOMIC | GFP_USER,
	};

	return usual[prng_below(&t->prng, ARRAY_SIZE(usual))];
}

void
lab2_trace(struct lab *lab, unsigned rounds, unsigned slots, unsigned min, unsigned max)
{
	for (unsigned i = 0; i < rounds; i++) {
		unsigned slot = prng_below(&lab->t->prng, slots);

		if (lab->slot[slot].full) {
			lab2_free(lab, slot);
		} else {
			gfp_t gfp = lab2_random_gfp(lab->t);

			lab2_alloc(lab, slot, gfp, min + lab2_random_order(lab->t, max - min));
		}
	}
}
