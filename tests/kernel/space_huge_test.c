/* SPDX-License-Identifier: MIT */
/*
 * Huge pages one step at a time: who gets one, what splits it, what fork() makes of it, and that
 * nothing of it is lost. Random sequences are in space_model_test.c, several CPUs in
 * space_cpu_test.c.
 */
#include <errno.h>
#include <ktest.h>
#include <page_allocator.h>
#include <zone.h>

#include "space_user.h"

#define AT 0x40000000ul /* where the huge pages of a test begin */

static struct space_stats
stats_of(struct address_space *space)
{
	struct space_stats stats;

	space_get_stats(space, &stats);
	return stats;
}

static void
map_at(struct ktest *t, struct address_space *space, uintptr_t at, size_t length, unsigned flags)
{
	uintptr_t got = at;

	assert_eq(t,
		  space_map(space, &got, length, RW,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags, NULL, 0, 0),
		  0);
	assert_eq(t, got, at);
}

/* The byte that stamp() leaves in a page. */
static unsigned char
stamp_of(uintptr_t address)
{
	return (unsigned char)(1 + (address >> PAGE_SHIFT) % 251);
}

/* A space with nr huge pages from AT on, a stamp in each page of them. */
static struct address_space *
huge_space(struct ktest *t, unsigned nr)
{
	struct address_space *space = space_create();

	assert_true(t, space != NULL);
	map_at(t, space, AT, nr * HUGE_SIZE, 0);
	assert_eq(t, space_advise(space, AT, nr * HUGE_SIZE, MADV_HUGEPAGE), 0);
	for (uintptr_t at = AT; at < AT + nr * HUGE_SIZE; at += PAGE_SIZE)
		expect_eq(t, user_write(space, at, stamp_of(at)), FAULT_DONE);
	expect_eq(t, space->nr_huge, nr);
	return space;
}

/* All of [start, end) has the stamps of [from, ...). */
static void
expect_stamps(struct ktest *t, struct address_space *space, uintptr_t start, uintptr_t end,
	      uintptr_t from)
{
	for (uintptr_t at = start; at < end && t->failures == 0; at += PAGE_SIZE)
		expect_eq(t, user_read(space, at), stamp_of(from + (at - start)));
}

/* Run it once for the slabs that stay, then count. */
static void
expect_no_leak(struct ktest *t, void (*run)(struct ktest *t))
{
	size_t before;

	run(t);
	before = page_allocator_nr_free();
	for (unsigned i = 0; i < 3; i++)
		run(t);
	expect_eq(t, page_allocator_nr_free(), before);
	expect_eq(t, mm_check(), 0);
}

/* ---- Who gets one ---------------------------------------------------------------------- */

static void
first_touch(struct ktest *t)
{
	struct address_space *space = space_create();

	/* A span and a half, from the middle of one on. */
	map_at(t, space, AT + HUGE_SIZE / 2, HUGE_SIZE + HUGE_SIZE / 2, 0);
	expect_eq(t, space_advise(space, AT + HUGE_SIZE / 2, 3 * HUGE_SIZE / 2, MADV_HUGEPAGE), 0);
	expect_eq(t, user_write(space, AT + HUGE_SIZE - 1, 1), FAULT_DONE);
	expect_eq(t, space->nr_huge, 0);
	expect_eq(t, space->nr_resident, 1);
	expect_eq(t, user_write(space, AT + HUGE_SIZE + 5 * PAGE_SIZE + 7, 77), FAULT_DONE);
	expect_eq(t, space->nr_huge, 1);
	expect_eq(t, space->nr_resident, 1 + HUGE_PAGES);
	expect_eq(t, space->nr_anonymous, 1 + HUGE_PAGES);
	expect_eq(t, stats_of(space).resident_huge, HUGE_PAGES);
	expect_eq(t, stats_of(space).huge_faults, 1);
	expect_eq(t, stats_of(space).faults_minor, 2);
	/* The root, one table for each level below, and one that waits. */
	expect_eq(t, stats_of(space).tables, arch_mmu_levels + 1);
	for (unsigned i = 0; i < HUGE_PAGES; i++)
		expect_eq(t, user_read(space, AT + HUGE_SIZE + i * PAGE_SIZE + 7), i == 5 ? 77 : 0);
	expect_eq(t, stats_of(space).faults_minor, 2);
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

KTEST(space_huge, first_touch, .budget_ms = 20000)
{
	expect_no_leak(t, first_touch);
}

/* Reading gives one, too; old contents of frames are never seen. */
KTEST(space_huge, zeroes, .budget_ms = 20000)
{
	struct address_space *space = huge_space(t, 2);

	expect_eq(t, space_advise(space, AT, 2 * HUGE_SIZE, MADV_DONTNEED), 0);
	expect_eq(t, space->nr_huge, 0);
	expect_eq(t, space->nr_resident, 0);
	for (uintptr_t at = AT; at < AT + 2 * HUGE_SIZE; at += PAGE_SIZE)
		expect_eq(t, user_read(space, at), 0);
	expect_eq(t, space->nr_huge, 2);
	expect_eq(t, user_write(space, AT + PAGE_SIZE, 1), FAULT_DONE);
	expect_eq(t, stats_of(space).huge_faults, 4);
	expect_eq(t, stats_of(space).faults_minor, 4);
	space_put(space);
}

/* Is one given in a new mapping that has got an advice, if any? */
static bool
is_given(struct ktest *t, enum huge_policy policy, int advice)
{
	enum huge_policy saved = huge_pages;
	struct address_space *space = space_create();
	bool given;

	map_at(t, space, AT, HUGE_SIZE, 0);
	if (advice)
		expect_eq(t, space_advise(space, AT, HUGE_SIZE, advice), 0);
	huge_pages = policy;
	expect_eq(t, user_write(space, AT, 1), FAULT_DONE);
	huge_pages = saved;
	given = space->nr_huge == 1;
	expect_eq(t, space->nr_resident, given ? HUGE_PAGES : 1);
	space_put(space);
	return given;
}

KTEST(space_huge, policy)
{
	expect_true(t, !is_given(t, HUGE_OFF, 0));
	expect_true(t, !is_given(t, HUGE_OFF, MADV_HUGEPAGE));
	expect_true(t, !is_given(t, HUGE_ADVISED, 0));
	expect_true(t, is_given(t, HUGE_ADVISED, MADV_HUGEPAGE));
	expect_true(t, !is_given(t, HUGE_ADVISED, MADV_NOHUGEPAGE));
	expect_true(t, is_given(t, HUGE_ALWAYS, 0));
	expect_true(t, !is_given(t, HUGE_ALWAYS, MADV_NOHUGEPAGE));
}

/* Shared memory and files never, nor where a page is already. */
KTEST(space_huge, not_everywhere)
{
	struct address_space *space = space_create();
	uintptr_t at = AT;

	assert_eq(t,
		  space_map(space, &at, HUGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL,
			    0, 0),
		  0);
	expect_eq(t, space_advise(space, AT, HUGE_SIZE, MADV_HUGEPAGE), 0);
	expect_eq(t, user_write(space, AT, 1), FAULT_DONE);
	expect_eq(t, space->nr_resident, 1);
	map_at(t, space, AT + HUGE_SIZE, HUGE_SIZE, 0);
	expect_eq(t, user_read(space, AT + HUGE_SIZE), 0);
	expect_eq(t, space_advise(space, AT + HUGE_SIZE, HUGE_SIZE, MADV_HUGEPAGE), 0);
	expect_eq(t, user_write(space, AT + HUGE_SIZE + PAGE_SIZE, 1), FAULT_DONE);
	expect_eq(t, space->nr_huge, 0);
	expect_eq(t, space->nr_resident, 2);
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

KTEST(space_huge, populated)
{
	struct address_space *space = space_create();
	enum huge_policy saved = huge_pages;

	huge_pages = HUGE_ALWAYS;
	map_at(t, space, AT, 3 * HUGE_SIZE, MAP_POPULATE);
	huge_pages = saved;
	expect_eq(t, space->nr_huge, 3);
	expect_eq(t, space->nr_resident, 3 * HUGE_PAGES);
	expect_eq(t, stats_of(space).faults_minor, 3);
	space_put(space);
}

/* ---- Shortage ---------------------------------------------------------------------------- */

#define BLOCKS 1024

static struct page *blocks[BLOCKS];
static unsigned nr_blocks;

/*
 * Take all blocks that a huge page could be made of, and give back every second frame of some, so
 * that there is memory, in pieces. Returns how many are like that.
 */
static unsigned
take_blocks(void)
{
	unsigned nr_pierced = 0;

	for (nr_blocks = 0; nr_blocks < BLOCKS; nr_pierced++) {
		unsigned before = nr_blocks;

		while (nr_blocks < BLOCKS &&
		       (blocks[nr_blocks] = alloc_pages(GFP_NOWAIT, HUGE_ORDER)) != NULL)
			nr_blocks++;
		if (nr_blocks == before)
			break;
		split_pages(blocks[nr_blocks - 1], HUGE_ORDER);
		for (unsigned i = 0; i < HUGE_PAGES; i += 2)
			__free_pages(blocks[nr_blocks - 1] + i, 0);
	}
	return nr_pierced;
}

static void
give_blocks_back(void)
{
	while (nr_blocks-- > 0) {
		struct page *block = blocks[nr_blocks];

		if (block->lent == lent_mark(HUGE_ORDER)) {
			__free_pages(block, HUGE_ORDER);
			continue;
		}
		for (unsigned i = 1; i < HUGE_PAGES; i += 2)
			__free_pages(block + i, 0);
	}
}

static void
no_block(struct ktest *t)
{
	struct address_space *space = space_create();

	map_at(t, space, AT, 2 * HUGE_SIZE, 0);
	expect_eq(t, space_advise(space, AT, 2 * HUGE_SIZE, MADV_HUGEPAGE), 0);
	expect_lt(t, 0, take_blocks());
	expect_lt(t, nr_blocks, BLOCKS);
	expect_eq(t, user_write(space, AT, 1), FAULT_DONE);
	expect_eq(t, user_write(space, AT + PAGE_SIZE, 1), FAULT_DONE);
	expect_eq(t, space->nr_huge, 0);
	expect_eq(t, space->nr_resident, 2);
	expect_eq(t, stats_of(space).huge_fallbacks, 1); /* for a span it is tried once */
	expect_eq(t, space_check(space), 0);
	give_blocks_back();
	/* There is a block again: the other span gets it. */
	expect_eq(t, user_write(space, AT + HUGE_SIZE, 1), FAULT_DONE);
	expect_eq(t, space->nr_huge, 1);
	space_put(space);
}

KTEST(space_huge, no_block, .budget_ms = 20000)
{
	expect_no_leak(t, no_block);
}

/* Each of the requests that a fault makes fails at some time: what was got goes back. */
static void
failing_requests(struct ktest *t)
{
	unsigned huge = 0, small = 0, none = 0;

	for (unsigned i = 0; i < 60; i++) {
		struct address_space *space = space_create();
		enum fault_result result;

		map_at(t, space, AT, HUGE_SIZE, 0);
		expect_eq(t, space_advise(space, AT, HUGE_SIZE, MADV_HUGEPAGE), 0);
		page_allocator_set_faults(3, i + 1);
		result = user_write(space, AT, 1);
		page_allocator_set_faults(0, 0);
		huge += space->nr_huge;
		small += space->nr_resident == 1;
		none += result == FAULT_NOMEM;
		expect_eq(t, space->nr_resident,
			  space->nr_huge ? HUGE_PAGES : result == FAULT_DONE);
		expect_eq(t, space_check(space), 0);
		space_put(space);
	}
	expect_eq(t, huge + small + none, 60);
	expect_lt(t, 0, huge);
	expect_lt(t, 0, small);
	expect_lt(t, 0, none);
}

KTEST(space_huge, failing_requests, .budget_ms = 20000)
{
	expect_no_leak(t, failing_requests);
}

/* ---- Splitting ----------------------------------------------------------------------------- */

/* The middle of a huge page. */
#define PART	  (AT + 100 * PAGE_SIZE)
#define PART_SIZE (7 * PAGE_SIZE)
#define PART_END  (PART + PART_SIZE)

enum operation { UNMAP, PROTECT, DISCARD, FREE, LOCK, NO_FORK, MOVE, MAP_OVER, NR_OPERATIONS };

static int
operate(struct address_space *space, enum operation operation)
{
	uintptr_t at = PART;

	switch (operation) {
	case UNMAP:
		return space_unmap(space, PART, PART_SIZE);
	case PROTECT:
		return space_protect(space, PART, PART_SIZE, PROT_READ);
	case DISCARD:
		return space_advise(space, PART, PART_SIZE, MADV_DONTNEED);
	case FREE:
		return space_advise(space, PART, PART_SIZE, MADV_FREE);
	case LOCK:
		return space_lock(space, PART, PART_SIZE, true, false);
	case NO_FORK:
		return space_advise(space, PART, PART_SIZE, MADV_DONTFORK);
	case MOVE:
		return space_remap(space, PART, PART_SIZE, PART_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
				   AT + GiB(2), &at);
	default:
		return space_map(space, &at, PART_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				 NULL, 0, 0);
	}
}

/* What is to be seen in the part: its stamps, zeroes, or a fault. */
static void
expect_part(struct ktest *t, struct address_space *space, enum operation operation)
{
	switch (operation) {
	case UNMAP:
		expect_eq(t, user_read(space, PART), -1 - FAULT_MAPERR);
		expect_eq(t, user_read(space, PART_END - 1), -1 - FAULT_MAPERR);
		break;
	case PROTECT:
		expect_eq(t, user_write(space, PART, 1), FAULT_ACCERR);
		expect_eq(t, user_write(space, PART_END - 1, 1), FAULT_ACCERR);
		expect_stamps(t, space, PART, PART_END, PART);
		break;
	case LOCK:
	case NO_FORK:
		expect_stamps(t, space, PART, PART_END, PART);
		break;
	case MOVE:
		expect_eq(t, user_read(space, PART), -1 - FAULT_MAPERR);
		expect_stamps(t, space, AT + GiB(2), AT + GiB(2) + PART_SIZE, PART);
		break;
	default:
		for (uintptr_t at = PART; at < PART_END; at += PAGE_SIZE)
			expect_eq(t, user_read(space, at), 0);
	}
}

static void
split_by_each(struct ktest *t)
{
	for (enum operation i = 0; i < NR_OPERATIONS; i++) {
		struct address_space *space = huge_space(t, 2);
		bool gone = i == UNMAP || i == DISCARD || i == FREE || i == MAP_OVER;

		expect_eq(t, operate(space, i), 0);
		expect_eq(t, space->nr_huge, 1);
		expect_eq(t, stats_of(space).huge_splits, 1);
		expect_eq(t, space->nr_resident,
			  2 * HUGE_PAGES - (gone ? PART_SIZE >> PAGE_SHIFT : 0));
		expect_eq(t, space_check(space), 0);
		expect_stamps(t, space, AT, PART, AT);
		expect_part(t, space, i);
		expect_stamps(t, space, PART_END, AT + 2 * HUGE_SIZE, PART_END);
		expect_eq(t, user_write(space, AT, 1), FAULT_DONE);
		expect_eq(t, space_check(space), 0);
		space_put(space);
	}
}

KTEST(space_huge, split_by_each, .budget_ms = 60000)
{
	expect_no_leak(t, split_by_each);
}

/* With not a frame to be had; what was given up serves others at once. */
static void
split_without_memory(struct ktest *t)
{
	struct address_space *space = huge_space(t, 1);
	size_t before = page_allocator_nr_free();

	page_allocator_set_faults(1, 1);
	expect_eq(t, space_advise(space, PART, PART_SIZE, MADV_DONTNEED), 0);
	expect_eq(t, user_write(space, PART, 1), FAULT_NOMEM);
	page_allocator_set_faults(0, 0);
	expect_eq(t, space->nr_huge, 0);
	expect_eq(t, page_allocator_nr_free(), before + (PART_SIZE >> PAGE_SHIFT));
	expect_eq(t, user_write(space, PART, 1), FAULT_DONE);
	expect_stamps(t, space, AT, PART, AT);
	expect_stamps(t, space, PART_END, AT + HUGE_SIZE, PART_END);
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

KTEST(space_huge, split_without_memory, .budget_ms = 20000)
{
	expect_no_leak(t, split_without_memory);
}

/* As a whole nothing splits it, and it is given back as one block. */
static void
whole(struct ktest *t)
{
	struct address_space *space = huge_space(t, 3);
	size_t before;

	expect_eq(t, space_protect(space, AT, HUGE_SIZE, PROT_READ), 0);
	expect_eq(t, user_write(space, AT + HUGE_SIZE - 1, 1), FAULT_ACCERR);
	expect_eq(t, space_protect(space, AT, HUGE_SIZE, PROT_NONE), 0);
	expect_eq(t, user_read(space, AT), -1 - FAULT_ACCERR);
	expect_eq(t, space_check(space), 0);
	expect_eq(t, space_protect(space, AT, HUGE_SIZE, RW), 0);
	expect_eq(t, user_write(space, AT, stamp_of(AT)), FAULT_DONE);
	expect_eq(t, space->nr_huge, 3);
	before = page_allocator_nr_free();
	expect_eq(t, space_unmap(space, AT + HUGE_SIZE, HUGE_SIZE), 0);
	expect_eq(t, page_allocator_nr_free(), before + HUGE_PAGES + 1);
	expect_eq(t, stats_of(space).huge_splits, 0);
	expect_stamps(t, space, AT, AT + HUGE_SIZE, AT);
	expect_stamps(t, space, AT + 2 * HUGE_SIZE, AT + 3 * HUGE_SIZE, AT + 2 * HUGE_SIZE);
	space_put(space);
}

KTEST(space_huge, whole, .budget_ms = 20000)
{
	expect_no_leak(t, whole);
}

static void
moved(struct ktest *t)
{
	struct address_space *space = huge_space(t, 4);
	uintptr_t aligned = AT + GiB(4), shifted = AT + GiB(6) + PAGE_SIZE, to;

	/* With half a huge page on each side, which are split. */
	expect_eq(t,
		  space_remap(space, AT + HUGE_SIZE / 2, 2 * HUGE_SIZE, 2 * HUGE_SIZE,
			      MREMAP_MAYMOVE | MREMAP_FIXED, aligned + HUGE_SIZE / 2, &to),
		  0);
	expect_eq(t, space->nr_huge, 2);
	expect_eq(t, stats_of(space).huge_splits, 2);
	expect_stamps(t, space, to, to + 2 * HUGE_SIZE, AT + HUGE_SIZE / 2);
	expect_eq(t, space_check(space), 0);
	/* Somewhere else in its span. */
	expect_eq(t,
		  space_remap(space, aligned + HUGE_SIZE, HUGE_SIZE, 2 * HUGE_SIZE,
			      MREMAP_MAYMOVE | MREMAP_FIXED, shifted, &to),
		  0);
	expect_eq(t, space->nr_huge, 1);
	expect_stamps(t, space, to, to + HUGE_SIZE, AT + HUGE_SIZE);
	expect_eq(t, user_read(space, to + HUGE_SIZE), 0);
	expect_eq(t, space->nr_huge, 1); /* nothing is whole there */
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

KTEST(space_huge, moved, .budget_ms = 20000)
{
	expect_no_leak(t, moved);
}

/* ---- fork() ---------------------------------------------------------------------------------- */

static void
shared(struct ktest *t)
{
	struct address_space *space = huge_space(t, 1), *child;

	assert_eq(t, space_fork(space, &child), 0);
	expect_eq(t, space->nr_huge, 1);
	expect_eq(t, child->nr_huge, 1);
	expect_eq(t, child->nr_resident, HUGE_PAGES);
	expect_stamps(t, child, AT, AT + HUGE_SIZE, AT);
	expect_eq(t, space_check(space) + space_check(child), 0);
	/* One page of it becomes the child's own, and that is the parent's alone now. */
	expect_eq(t, user_write(child, AT, 1), FAULT_DONE);
	expect_eq(t, child->nr_huge, 0);
	expect_eq(t, space->nr_huge, 1);
	expect_eq(t, stats_of(child).faults_cow, 1);
	expect_eq(t, user_read(space, AT), stamp_of(AT));
	expect_eq(t, space_check(space) + space_check(child), 0);
	/* But the others are not. */
	expect_eq(t, space_protect(space, AT, HUGE_SIZE, PROT_READ), 0);
	expect_eq(t, space_protect(space, AT, HUGE_SIZE, RW), 0);
	expect_eq(t, user_write(space, PART, 2), FAULT_DONE);
	expect_eq(t, user_read(child, PART), stamp_of(PART));
	expect_eq(t, space->nr_huge, 0);
	expect_eq(t, stats_of(space).faults_cow, 1);
	expect_eq(t, user_write(space, AT, 3), FAULT_DONE);
	expect_eq(t, stats_of(space).faults_reuse, 1);
	expect_eq(t, user_read(child, AT), 1);
	expect_eq(t, space_check(space) + space_check(child), 0);
	space_put(space);
	expect_stamps(t, child, PART, AT + HUGE_SIZE, PART);
	expect_eq(t, user_write(child, PART, 4), FAULT_DONE);
	expect_eq(t, stats_of(child).faults_reuse, 1);
	space_put(child);
}

KTEST(space_huge, shared, .budget_ms = 20000)
{
	expect_no_leak(t, shared);
}

/* The last owner of all of it gets the right to write back by one fault; with one of 512 pages
 * shared still, it does not. */
static void
last_owner(struct ktest *t)
{
	struct address_space *space = huge_space(t, 2), *child;

	assert_eq(t, space_fork(space, &child), 0);
	expect_eq(t, space_unmap(child, AT, AT + HUGE_SIZE - PAGE_SIZE - AT), 0);
	expect_eq(t, space_check(space) + space_check(child), 0);
	expect_eq(t, user_write(space, AT, 1), FAULT_DONE);
	expect_eq(t, space->nr_huge, 1); /* the child has its last page */
	expect_eq(t, stats_of(space).faults_reuse, 1);
	expect_eq(t, stats_of(space).faults_cow, 0);
	space_put(child);
	expect_eq(t, user_write(space, AT + HUGE_SIZE, 1), FAULT_DONE);
	expect_eq(t, user_write(space, AT + 2 * HUGE_SIZE - 1, 1), FAULT_DONE);
	expect_eq(t, space->nr_huge, 1);
	expect_eq(t, stats_of(space).faults_reuse, 2);
	expect_eq(t, stats_of(space).huge_splits, 1);
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

KTEST(space_huge, last_owner, .budget_ms = 20000)
{
	expect_no_leak(t, last_owner);
}

/* fork() for want of memory gives everything back, wherever it stops. */
static void
fork_fails(struct ktest *t)
{
	struct address_space *space = huge_space(t, 3), *child;
	unsigned nr_failed = 0;

	for (unsigned i = 0; i < 30; i++) {
		int error;

		page_allocator_set_faults(4, i + 1);
		error = space_fork(space, &child);
		page_allocator_set_faults(0, 0);
		expect_true(t, error == 0 || error == -ENOMEM);
		nr_failed += error != 0;
		if (!error)
			space_put(child);
		expect_eq(t, space->nr_huge, 3);
		expect_eq(t, space_check(space), 0);
	}
	expect_lt(t, 0, nr_failed);
	expect_lt(t, nr_failed, 30);
	expect_eq(t, user_write(space, AT, 1), FAULT_DONE);
	expect_eq(t, space->nr_huge, 3);
	space_put(space);
}

KTEST(space_huge, fork_fails, .budget_ms = 20000)
{
	expect_no_leak(t, fork_fails);
}

/* ---- What is said of it ---------------------------------------------------------------------- */

static void
count_mapping(struct address_space *space, uintptr_t address, void *arg)
{
	uintptr_t *expected = arg;

	if (space && address == expected[0])
		expected[1]++;
}

KTEST(space_huge, reports, .budget_ms = 20000)
{
	struct address_space *space = huge_space(t, 1), *child;
	static uint8_t core[HUGE_PAGES];
	struct region_info info;

	expect_true(t, space_region_at(space, AT, &info));
	expect_eq(t, info.huge_advice, 1);
	expect_true(t, info.wants_huge);
	expect_eq(t, space_incore(space, AT, HUGE_SIZE, core), 0);
	for (unsigned i = 0; i < HUGE_PAGES; i++)
		expect_eq(t, core[i], 1);
	assert_eq(t, space_fork(space, &child), 0);
	for (uintptr_t at = AT; at < AT + HUGE_SIZE; at += 37 * PAGE_SIZE) {
		uintptr_t expected[2] = { at, 0 };
		struct page *page = entry_page(page_table_lookup(&space->table, at));

		expect_eq(t, page_each_mapping(page, count_mapping, expected), 2);
		expect_eq(t, expected[1], 2);
	}
	space_put(child);
	space_put(space);
}
