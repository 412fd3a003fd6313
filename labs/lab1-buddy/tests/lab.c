/* SPDX-License-Identifier: MIT */
/*
 * The model that lab 1's cases compare the allocator with: one byte for each frame of the
 * arena. It knows nothing of blocks, lists or buddies, so it cannot share a mistake with
 * the code under test.
 *
 * What it holds the allocator to:
 *	- an answer is aligned to its size, and all its frames were free;
 *	- "none" is only an answer when no aligned run of that many free frames exists;
 *	- what is not free stays untouched, and the totals agree.
 * A case may run with other CPUs only if it does not use this file.
 */
#include "lab.h"
#include <string.h>
#include <test_arena.h>

enum model { ABSENT, FREE, TAKEN };

static struct lab the_lab;
static uint8_t model[LAB_FRAMES];

struct lab *
lab_begin(struct ktest *t)
{
	struct frame_range arena = test_arena_get(t, LAB_FRAMES);
	struct lab *lab = &the_lab;

	memset(lab, 0, sizeof(*lab));
	memset(model, ABSENT, sizeof(model));
	lab->t = t;
	lab->first = arena.first;
	lab->end = arena.end;
	buddy_init(&lab->buddy, "lab", lab->first, lab->end);
	evidence_log(EV_ARENA, 0, lab->first, lab->end, (uintptr_t)&lab->buddy);
	return lab;
}

struct lab *
lab_begin_full(struct ktest *t)
{
	struct lab *lab = lab_begin(t);

	lab_add(lab, 0, LAB_FRAMES);
	return lab;
}

void
lab_add(struct lab *lab, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		model[i] = FREE;
	evidence_log(EV_ADD, 0, lab->first + first, lab->first + end, 0);
	buddy_add_range(&lab->buddy, lab->first + first, lab->first + end);
}

/* Also of ranges that are none: such frames are not free. */
static bool
all_free(size_t first, size_t end)
{
	if (first >= end || end > LAB_FRAMES)
		return false;
	for (size_t i = first; i < end; i++) {
		if (model[i] != FREE)
			return false;
	}
	return true;
}

bool
lab_model_has(struct lab *lab, unsigned order)
{
	size_t size = 1ul << order;

	(void)lab;
	for (size_t i = 0; i < LAB_FRAMES; i += size) {
		if (all_free(i, i + size))
			return true;
	}
	return false;
}

/*
 * Enter frames that the allocator has given out, as a slot. Ends the case when it had no
 * right to give them.
 */
static void
take(struct lab *lab, unsigned slot, struct lab_slot given)
{
	size_t end = (size_t)given.start + given.frames;

	if (end > LAB_FRAMES) {
		ktest_fail(lab->t, __FILE__, __LINE__,
			   "was given frames outside of the allocator's, from %#lx on",
			   (unsigned long)(lab->first + given.start));
		ktest_abort(lab->t);
	}
	for (size_t i = given.start; i < end; i++) {
		if (model[i] != FREE) {
			ktest_fail(lab->t, __FILE__, __LINE__,
				   "was given frame %#lx, but that frame is %s",
				   (unsigned long)(lab->first + i),
				   model[i] == TAKEN ? "in use" : "not the allocator's");
			ktest_abort(lab->t);
		}
		model[i] = TAKEN;
	}
	lab->slot[slot] = given;
}

/*
 * Check an answer to a request for an aligned run of 2^order frames. A wrong "none" ends the
 * case.
 */
static bool
judge(struct lab *lab, const struct page *page, unsigned order, const char *request)
{
	if (page) {
		if (!IS_ALIGNED(page_to_pfn(page), 1ul << order))
			ktest_fail(lab->t, __FILE__, __LINE__,
				   "%s gave frame %#lx, which is no multiple of %lu", request,
				   (unsigned long)page_to_pfn(page), 1ul << order);
		return true;
	}
	if (lab->buddy.faults.every == 0 && lab_model_has(lab, order)) {
		ktest_fail(lab->t, __FILE__, __LINE__,
			   "%s got none, but an aligned run of %lu free frames exists", request,
			   1ul << order);
		ktest_abort(lab->t);
	}
	return false;
}

bool
lab_alloc(struct lab *lab, unsigned slot, unsigned order)
{
	uint64_t before = arch_cycles();
	struct page *page = buddy_alloc(&lab->buddy, order);

	lab->cost += arch_cycles() - before;
	evidence_log(EV_ALLOC, order, page ? page_to_pfn(page) : NO_FRAME, 0, 0);
	if (!judge(lab, page, order, "buddy_alloc"))
		return false;
	take(lab, slot,
	     (struct lab_slot){ page_to_pfn(page) - lab->first, 1u << order, order, false });
	return true;
}

bool
lab_alloc_exact(struct lab *lab, unsigned slot, size_t frames)
{
	struct page *page = buddy_alloc_exact(&lab->buddy, frames);
	unsigned order = 0;

	while (1ul << order < frames)
		order++;
	evidence_log(EV_EXACT, frames, page ? page_to_pfn(page) : NO_FRAME, 0, 0);
	if (!judge(lab, page, order, "buddy_alloc_exact"))
		return false;
	take(lab, slot, (struct lab_slot){ page_to_pfn(page) - lab->first, frames, 0, true });
	return true;
}

int
lab_alloc_range(struct lab *lab, unsigned slot, size_t first, size_t end)
{
	int error = buddy_alloc_range(&lab->buddy, lab->first + first, lab->first + end);

	evidence_log(EV_RANGE, -error, lab->first + first, lab->first + end, 0);
	expect_eq(lab->t, error == 0, all_free(first, end));
	if (!error)
		take(lab, slot, (struct lab_slot){ first, end - first, 0, true });
	return error;
}

int
lab_reserve(struct lab *lab, size_t first, size_t end)
{
	int error = buddy_reserve_range(&lab->buddy, lab->first + first, lab->first + end);

	evidence_log(EV_RESERVE, -error, lab->first + first, lab->first + end, 0);
	expect_eq(lab->t, error == 0, all_free(first, end));
	if (!error)
		memset(model + first, ABSENT, end - first);
	return error;
}

void
lab_free(struct lab *lab, unsigned slot)
{
	struct lab_slot held = lab->slot[slot];
	pfn_t pfn = lab->first + held.start;

	lab->slot[slot].frames = 0;
	memset(model + held.start, FREE, held.frames);
	if (held.is_range) {
		evidence_log(EV_FREE_RANGE, 0, pfn, pfn + held.frames, 0);
		buddy_free_range(&lab->buddy, pfn, pfn + held.frames);
	} else {
		uint64_t before;

		evidence_log(EV_FREE, held.order, pfn, 0, 0);
		before = arch_cycles();
		buddy_free(&lab->buddy, pfn_to_page(pfn), held.order);
		lab->cost += arch_cycles() - before;
	}
}

void
lab_free_tail(struct lab *lab, unsigned slot, unsigned frames)
{
	struct lab_slot *held = &lab->slot[slot];
	pfn_t end = lab->first + held->start + held->frames;

	held->frames -= frames;
	memset(model + held->start + held->frames, FREE, frames);
	evidence_log(EV_FREE_RANGE, 0, end - frames, end, 0);
	buddy_free_range(&lab->buddy, end - frames, end);
}

void
lab_free_all(struct lab *lab)
{
	for (unsigned slot = 0; slot < LAB_SLOTS; slot++) {
		if (lab->slot[slot].frames)
			lab_free(lab, slot);
	}
}

void
lab_totals(struct lab *lab)
{
	size_t free = 0, managed = 0, listed = 0;

	for (size_t i = 0; i < LAB_FRAMES; i++) {
		free += model[i] == FREE;
		managed += model[i] != ABSENT;
	}
	for (unsigned order = 0; order < NR_ORDERS; order++)
		listed += lab->buddy.area[order].nr_free << order;
	evidence_log(EV_TOTALS, 0, lab->buddy.frames_free, lab->buddy.frames_managed, listed);
	expect_eq(lab->t, lab->buddy.frames_free, free);
	expect_eq(lab->t, lab->buddy.frames_managed, managed);
	expect_eq(lab->t, listed, free);
	/* What is wrong once stays so: it need not be said again and again. */
	if (lab->t->failures)
		ktest_abort(lab->t);
}

void
lab_peak(struct lab *lab)
{
	struct buddy_stats stats;

	buddy_get_stats(&lab->buddy, &stats);
	evidence_log(EV_PEAK, 0, stats.frames_peak, stats.nr_failed, 0);
}

void
lab_misuse(struct lab *lab, struct page *page, unsigned order)
{
	evidence_log(EV_MISUSE, order, page_to_pfn(page), 0, 0);
	buddy_free(&lab->buddy, page, order);
}

void
lab_misuse_range(struct lab *lab, size_t first, size_t end)
{
	evidence_log(EV_MISUSE, 0, lab->first + first, lab->first + end, 0);
	buddy_free_range(&lab->buddy, lab->first + first, lab->first + end);
}

unsigned
lab_random_order(struct ktest *t, unsigned max)
{
	return __builtin_ctzl(prng_next(&t->prng) | 1ul << max);
}

void
lab_trace(struct lab *lab, unsigned rounds, unsigned slots, unsigned max_order)
{
	for (unsigned i = 0; i < rounds; i++) {
		unsigned slot = prng_below(&lab->t->prng, slots);

		if (lab->slot[slot].frames)
			lab_free(lab, slot);
		else
			lab_alloc(lab, slot, lab_random_order(lab->t, max_order));
	}
}
