/* SPDX-License-Identifier: MIT */
/*
 * Address spaces one step at a time: what each call promises, what each kind of fault gives, and
 * that every frame and table comes back. Random sequences are in space_model_test.c.
 */
#include <errno.h>
#include <ktest.h>
#include <page_allocator.h>
#include <page_cache.h>
#include <string.h>

#include "space_user.h"

/* Caches keep some slabs, CPUs some frames in their lists: run it once before counting. */
static void
expect_no_leak(struct ktest *t, void (*run)(struct ktest *t))
{
	size_t before, after;

	run(t);
	before = page_allocator_nr_free();
	for (unsigned i = 0; i < 3; i++)
		run(t);
	after = page_allocator_nr_free();
	expect_eq(t, after, before);
}

static struct space_stats
stats_of(struct address_space *space)
{
	struct space_stats stats;

	space_get_stats(space, &stats);
	return stats;
}

/* ---- Anonymous memory ----------------------------------------------------------------- */

static void
anonymous(struct ktest *t)
{
	struct address_space *space = space_create();
	uintptr_t at;

	assert_true(t, space != NULL);
	at = user_map(space, 600, RW);
	assert_true(t, at != 0);
	expect_eq(t, stats_of(space).resident, 0);
	expect_eq(t, stats_of(space).tables, 1);
	expect_eq(t, user_read(space, at + 5), 0);
	expect_eq(t, stats_of(space).resident, 0);
	expect_eq(t, stats_of(space).faults_zero, 1);
	expect_eq(t, user_write(space, at + 5, 77), FAULT_DONE);
	expect_eq(t, user_read(space, at + 5), 77);
	expect_eq(t, user_read(space, at + 6), 0);
	expect_eq(t, stats_of(space).faults_anonymous, 1);
	for (unsigned i = 0; i < 600; i++)
		expect_eq(t, user_write(space, at + i * PAGE_SIZE, (unsigned char)i), FAULT_DONE);
	expect_eq(t, stats_of(space).resident, 600);
	expect_eq(t, space_check(space), 0);
	expect_eq(t, space_unmap(space, at + 100 * PAGE_SIZE, 300 * PAGE_SIZE), 0);
	expect_eq(t, stats_of(space).resident, 300);
	expect_eq(t, user_read(space, at + 99 * PAGE_SIZE), 99);
	expect_eq(t, user_read(space, at + 100 * PAGE_SIZE), -1 - FAULT_MAPERR);
	expect_eq(t, user_read(space, at + 400 * PAGE_SIZE), 400 % 256);
	expect_eq(t, space_check(space), 0);
	expect_eq(t, space_unmap(space, at, 600 * PAGE_SIZE), 0);
	expect_eq(t, stats_of(space).tables, 1);
	expect_eq(t, stats_of(space).mapped, 0);
	space_put(space);
}

KTEST(space, anonymous)
{
	expect_no_leak(t, anonymous);
}

KTEST(space, map_errors)
{
	struct address_space *space = space_create();
	uintptr_t at = 0;
	unsigned private = MAP_PRIVATE | MAP_ANONYMOUS;

	assert_true(t, space != NULL);
	expect_eq(t, space_map(space, &at, 0, RW, private, NULL, 0, 0), -EINVAL);
	expect_eq(t, space_map(space, &at, USER_END + 1, RW, private, NULL, 0, 0), -ENOMEM);
	expect_eq(t, space_map(space, &at, UINT64_MAX, RW, private, NULL, 0, 0), -ENOMEM);
	expect_eq(t, space_map(space, &at, USER_END, RW, private, NULL, 0, 0), -ENOMEM);
	expect_eq(t, space_map(space, &at, PAGE_SIZE, RW, MAP_ANONYMOUS, NULL, 0, 0), -EINVAL);
	at = 0x12345;
	expect_eq(t, space_map(space, &at, 1, RW, private | MAP_FIXED, NULL, 0, 0), -EINVAL);
	at = 0x1000;
	expect_eq(t, space_map(space, &at, 1, RW, private | MAP_FIXED, NULL, 0, 0), -EPERM);
	at = USER_END;
	expect_eq(t, space_map(space, &at, 1, RW, private | MAP_FIXED, NULL, 0, 0), -ENOMEM);
	at = USER_END - PAGE_SIZE;
	expect_eq(t, space_map(space, &at, 1, RW, private | MAP_FIXED, NULL, 0, 0), 0);
	expect_eq(t, space_map(space, &at, 1, RW, private | MAP_FIXED_NOREPLACE, NULL, 0, 0),
		  -EEXIST);
	at = 0x400123;
	expect_eq(t, space_map(space, &at, 1, RW, private, NULL, 0, 0), 0);
	expect_eq(t, at, 0x400000); /* a hint is rounded down */
	expect_eq(t, space_unmap(space, 0x1234, PAGE_SIZE), -EINVAL);
	expect_eq(t, space_unmap(space, 0x1000, 0), -EINVAL);
	expect_eq(t, space_unmap(space, 0x1000, UINT64_MAX), -EINVAL);
	expect_eq(t, space_unmap(space, USER_END, PAGE_SIZE), -EINVAL);
	expect_eq(t, space_unmap(space, 0x1000, PAGE_SIZE), 0); /* nothing there is no error */
	expect_eq(t, space_protect(space, 0x500000, PAGE_SIZE, PROT_READ), -ENOMEM);
	expect_eq(t, space_protect(space, 0x400001, PAGE_SIZE, PROT_READ), -EINVAL);
	expect_eq(t, space_protect(space, 0x400000, PAGE_SIZE, 8), -EINVAL);
	expect_eq(t, space_protect(space, 0x400000, 0, PROT_READ), 0);
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

/* Whoever asks for an address above 47 bits gets it where there are such, and nobody else. */
KTEST(space, addresses_above_the_window)
{
	const unsigned flags = MAP_PRIVATE | MAP_ANONYMOUS;
	struct address_space *space = space_create();
	uintptr_t high = 1ul << 50, at = 0, last = USER_END - PAGE_SIZE;

	assert_true(t, space != NULL);
	expect_eq(t, space_map(space, &at, PAGE_SIZE, RW, flags, NULL, 0, 0), 0);
	expect_lt(t, at, USER_WINDOW);
	at = USER_WINDOW - 2 * PAGE_SIZE; /* it would end above */
	expect_eq(t, space_map(space, &at, 3 * PAGE_SIZE, RW, flags, NULL, 0, 0), 0);
	expect_lt(t, at, USER_WINDOW - 2 * PAGE_SIZE);
	at = high;
	expect_eq(t, space_map(space, &at, PAGE_SIZE, RW, flags, NULL, 0, 0), 0);
	if (arch_mmu_levels == 5)
		expect_eq(t, at, high);
	else
		expect_lt(t, at, USER_WINDOW);
	at = high;
	expect_eq(t, space_map(space, &at, PAGE_SIZE, RW, flags, NULL, 0, 0), 0);
	if (arch_mmu_levels == 5)
		expect_eq(t, at, last); /* taken: the highest that is free */
	else
		expect_lt(t, at, USER_WINDOW);
	expect_eq(t, user_write(space, at, 5), FAULT_DONE);
	expect_eq(t, user_read(space, at), 5);
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

static void
protect(struct ktest *t)
{
	struct address_space *space = space_create();
	uintptr_t at = user_map(space, 8, RW);

	for (unsigned i = 0; i < 8; i++)
		expect_eq(t, user_write(space, at + i * PAGE_SIZE, 1), FAULT_DONE);
	expect_eq(t, space_protect(space, at + 2 * PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ), 0);
	expect_eq(t, user_write(space, at + 2 * PAGE_SIZE, 2), FAULT_ACCERR);
	expect_eq(t, user_read(space, at + 2 * PAGE_SIZE), 1);
	expect_eq(t, space->regions.tree.nr, 3);
	expect_eq(t, space_protect(space, at + 3 * PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
	expect_eq(t, user_read(space, at + 3 * PAGE_SIZE), -1 - FAULT_ACCERR);
	expect_eq(t, stats_of(space).resident, 8);
	expect_eq(t, space_check(space), 0);
	expect_eq(t, space_protect(space, at, 8 * PAGE_SIZE, RW), 0);
	expect_eq(t, space->regions.tree.nr, 1);
	for (unsigned i = 0; i < 8; i++)
		expect_eq(t, user_read(space, at + i * PAGE_SIZE), 1);
	expect_eq(t, user_write(space, at + 3 * PAGE_SIZE, 3), FAULT_DONE);
	expect_eq(t, stats_of(space).resident, 8);
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

KTEST(space, protect)
{
	expect_no_leak(t, protect);
}

/* ---- fork() -------------------------------------------------------------------------------- */

static void
fork_chain(struct ktest *t)
{
	struct address_space *space[3] = { space_create() };
	uintptr_t at = user_map(space[0], 4, RW);

	expect_eq(t, user_write(space[0], at, 10), FAULT_DONE);
	expect_eq(t, user_write(space[0], at + PAGE_SIZE, 11), FAULT_DONE);
	expect_eq(t, user_read(space[0], at + 2 * PAGE_SIZE), 0);
	assert_eq(t, space_fork(space[0], &space[1]), 0);
	assert_eq(t, space_fork(space[1], &space[2]), 0);
	for (unsigned i = 0; i < 3; i++)
		expect_eq(t, space_check(space[i]), 0);
	expect_eq(t, user_write(space[1], at, 20), FAULT_DONE);
	expect_eq(t, user_write(space[1], at + 2 * PAGE_SIZE, 22), FAULT_DONE);
	expect_eq(t, user_read(space[0], at), 10);
	expect_eq(t, user_read(space[1], at), 20);
	expect_eq(t, user_read(space[2], at), 10);
	expect_eq(t, user_read(space[0], at + 2 * PAGE_SIZE), 0);
	expect_eq(t, stats_of(space[1]).faults_cow, 1);
	space_put(space[0]);
	expect_eq(t, user_read(space[2], at + PAGE_SIZE), 11);
	space_put(space[1]);
	expect_eq(t, user_write(space[2], at + PAGE_SIZE, 12), FAULT_DONE);
	expect_eq(t, stats_of(space[2]).faults_reuse, 1);
	expect_eq(t, stats_of(space[2]).faults_cow, 0);
	expect_eq(t, user_read(space[2], at), 10);
	expect_eq(t, space_check(space[2]), 0);
	space_put(space[2]);
}

KTEST(space, fork_chain)
{
	expect_no_leak(t, fork_chain);
}

/* ---- Stack and heap -------------------------------------------------------------------------- */

static void
stack_and_heap(struct ktest *t)
{
	struct address_space *space = space_create();
	uintptr_t top = USER_END - MiB(1), start = top - MiB(8), at;

	expect_eq(t, space_map_stack(space, top, MiB(8)), 0);
	expect_eq(t, user_write(space, top - 1, 1), FAULT_DONE);
	expect_eq(t, user_write(space, top - MiB(5), 2), FAULT_DONE);
	expect_eq(t, user_write(space, start, 3), FAULT_DONE);
	expect_eq(t, user_write(space, start - 1, 4), FAULT_OVERFLOW);
	expect_eq(t, user_write(space, start - STACK_GUARD - PAGE_SIZE, 4), FAULT_MAPERR);
	at = user_map(space, 1, RW);
	expect_le(t, at + PAGE_SIZE, start - STACK_GUARD);
	expect_eq(t, user_read(space, top - MiB(5)), 2);
	space_set_heap(space, 0x500123);
	expect_eq(t, space_break(space, 0), 0x500123);
	expect_eq(t, space_break(space, 0x502001), 0x502001);
	expect_eq(t, user_write(space, 0x501000, 9), FAULT_DONE);
	expect_eq(t, user_write(space, 0x502fff, 9), FAULT_DONE);
	expect_eq(t, user_write(space, 0x503000, 9), FAULT_MAPERR);
	expect_eq(t, space_break(space, 0x501000), 0x501000);
	expect_eq(t, user_write(space, 0x501000, 9), FAULT_MAPERR);
	expect_eq(t, space_break(space, 0x500122), 0x501000);
	expect_eq(t, space_break(space, USER_END), 0x501000);
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

KTEST(space, stack_and_heap)
{
	expect_no_leak(t, stack_and_heap);
}

/* ---- All of memory --------------------------------------------------------------------------- */

/* A program takes everything there is: it is told so, the kernel lives on, and all comes back. */
static void
exhaust(struct ktest *t)
{
	struct address_space *space = space_create();
	uintptr_t at = user_map(space, GiB(64) >> PAGE_SHIFT, RW);
	enum fault_result result = FAULT_DONE;
	size_t pages = 0;

	assert_true(t, at != 0);
	for (; result == FAULT_DONE; pages++)
		result = space_take_fault(space, at + pages * PAGE_SIZE, FAULT_WRITE);
	expect_eq(t, result, FAULT_NOMEM);
	expect_eq(t, space->nr_resident, pages - 1);
	expect_eq(t, space_check(space), 0);
	expect_eq(t, space_unmap(space, at + MiB(1), MiB(1)), 0);
	expect_eq(t, user_write(space, at + MiB(3), 1), FAULT_DONE);
	space_put(space);
}

KTEST(space, exhaust, .budget_ms = 60000)
{
	expect_no_leak(t, exhaust);
}

/* ---- Pages around ------------------------------------------------------------------------- */

#define AROUND_AT 0x10000000ul /* pages that are mapped with one another begin there */

static bool
count_region(const struct region_info *info, void *arg)
{
	(void)info;
	++*(unsigned *)arg;
	return true;
}

static unsigned
regions_of(struct address_space *space)
{
	unsigned nr = 0;

	space_each_region(space, count_region, &nr);
	return nr;
}

/* A child begins with no page of shared memory; what it reads tells how many come at once. */
static void
around_in_a_child(struct ktest *t, struct address_space *space)
{
	struct address_space *child;

	assert_eq(t, space_fork(space, &child), 0);
	expect_eq(t, user_read(child, AROUND_AT + 3 * PAGE_SIZE), 3);
	expect_eq(t, stats_of(child).resident, 1); /* and none around */
	expect_eq(t, user_read(child, AROUND_AT + 20 * PAGE_SIZE), 20);
	expect_eq(t, stats_of(child).resident, 17);
	expect_eq(t, stats_of(child).faults_around, 15);
	expect_eq(t, space_advise(child, AROUND_AT, 16 * PAGE_SIZE, MADV_NORMAL), 0);
	expect_eq(t, regions_of(child), 1);
	expect_eq(t, user_read(child, AROUND_AT + 5 * PAGE_SIZE), 5);
	expect_eq(t, stats_of(child).resident, 32);
	expect_eq(t, stats_of(child).faults_minor, 3);
	expect_eq(t, space_check(child), 0);
	space_put(child);
}

KTEST(space, advice_says_what_comes_along)
{
	struct address_space *space = space_create();
	uintptr_t at = AROUND_AT;

	assert_true(t, space != NULL);
	assert_eq(t,
		  space_map(space, &at, 32 * PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
			    NULL, 0, RW),
		  0);
	for (unsigned i = 0; i < 32; i++)
		expect_eq(t, user_write(space, at + i * PAGE_SIZE, (unsigned char)i), FAULT_DONE);
	expect_eq(t, space_advise(space, at, 16 * PAGE_SIZE, MADV_RANDOM), 0);
	expect_eq(t, regions_of(space), 2);
	around_in_a_child(t, space);
	expect_eq(t, space_advise(space, at, 32 * PAGE_SIZE, MADV_SEQUENTIAL), 0);
	expect_eq(t, regions_of(space), 1);
	expect_eq(t, space_check(space), 0);
	space_put(space);
}
