/* SPDX-License-Identifier: MIT */
/*
 * The way back from pages, how regions are found, stacks that overflow, and calls that programs
 * make rarely.
 */
#include <console.h>
#include <errno.h>
#include <ktest.h>
#include <page_allocator.h>
#include <page_cache.h>

#include "space_user.h"

/* ---- From a page to its entries --------------------------------------------------------- */

#define SPACES 4
#define PAGES  24

struct found {
	struct address_space *space[SPACES * PAGES];
	uintptr_t address[SPACES * PAGES];
	size_t nr;
};

static void
note(struct address_space *space, uintptr_t address, void *arg)
{
	struct found *found = arg;

	if (found->nr < ARRAY_SIZE(found->space)) {
		found->space[found->nr] = space;
		found->address[found->nr] = address;
	}
	found->nr++;
}

static bool
has(const struct found *found, const struct address_space *space, uintptr_t address)
{
	for (size_t i = 0; i < found->nr; i++) {
		if (found->space[i] == space && found->address[i] == address)
			return true;
	}
	return false;
}

/* Every entry of every space is found from its page, and nothing else is. */
static void
check_all_pages(struct ktest *t, struct address_space **space, unsigned nr)
{
	static struct found found;

	for (unsigned i = 0; i < nr; i++) {
		for (struct region *region = region_find_from(space[i], 0); region;
		     region = region_next(region)) {
			for (uintptr_t at = region_start(region); at < region_end(region);
			     at += PAGE_SIZE) {
				mmu_entry_t entry = page_table_lookup(&space[i]->table, at);

				if (!entry || entry_page(entry) == zero_page)
					continue;
				found.nr = 0;
				expect_eq(t, page_each_mapping(entry_page(entry), note, &found),
					  page_mappings(entry_page(entry)));
				expect_true(t, has(&found, space[i], at));
			}
		}
	}
}

static void
no_reference(struct memory_object *object)
{
	(void)object;
}

static const struct memory_object_ops file_ops = {
	.get_page = page_cache_get_page,
	.peek_pages = page_cache_peek_pages,
	.get = no_reference,
	.put = no_reference,
};

static struct page_cache file;

/* Map the file at several places, some of it twice, and touch all. */
static uintptr_t
map_file(struct ktest *t, struct address_space *space, unsigned flags)
{
	uintptr_t at = 0;

	assert_eq(t, space_map(space, &at, PAGES * PAGE_SIZE, RW, flags, &file.object, 0, RW), 0);
	for (unsigned i = 0; i < PAGES; i++) {
		if (i % 3 == 0)
			(void)user_write(space, at + i * PAGE_SIZE, 'w');
		else
			(void)user_read(space, at + i * PAGE_SIZE);
	}
	return at;
}

KTEST(space_reverse, all_mappings, .budget_ms = 20000)
{
	struct address_space *space[SPACES] = { space_create() };
	uintptr_t at = user_map(space[0], PAGES, RW), moved;

	page_cache_init(&file, &file_ops, NULL);
	page_cache_extend(&file, PAGES * PAGE_SIZE);
	for (unsigned i = 0; i < PAGES; i++)
		expect_eq(t, user_write(space[0], at + i * PAGE_SIZE, 1), FAULT_DONE);
	(void)map_file(t, space[0], MAP_SHARED);
	(void)map_file(t, space[0], MAP_PRIVATE);
	for (unsigned i = 1; i < SPACES; i++) {
		assert_eq(t, space_fork(space[i - 1], &space[i]), 0);
		/* Some pages become its own, some move away, the file is mapped once more. */
		for (unsigned j = 0; j < PAGES; j += 2 + i)
			expect_eq(t, user_write(space[i], at + j * PAGE_SIZE, 2), FAULT_DONE);
		(void)map_file(t, space[i], i % 2 ? MAP_SHARED : MAP_PRIVATE);
		moved = at + (i + 1) * GiB(1);
		expect_eq(t,
			  space_remap(space[i], at + i * 4 * PAGE_SIZE, 4 * PAGE_SIZE,
				      4 * PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, moved - GiB(60),
				      &moved),
			  0);
		/* Something else at the home of what has moved. */
		moved = at + i * 4 * PAGE_SIZE;
		assert_eq(t,
			  space_map(space[i], &moved, 4 * PAGE_SIZE, RW,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0, 0),
			  0);
		expect_eq(t, user_write(space[i], moved, 3), FAULT_DONE);
	}
	check_all_pages(t, space, SPACES);
	page_cache_truncate(&file, PAGES / 2 * PAGE_SIZE);
	for (unsigned i = 0; i < SPACES; i++)
		expect_eq(t, space_check(space[i]), 0);
	expect_eq(t, page_cache_nr_pages(&file), PAGES / 2);
	check_all_pages(t, space, SPACES);
	for (unsigned i = 0; i < SPACES; i++)
		space_put(space[i]);
	page_cache_drop(&file);
}

/* ---- Behind the end of a file ------------------------------------------------------------- */

KTEST(space_reverse, end_of_file)
{
	struct address_space *space = space_create();
	uintptr_t at;

	page_cache_init(&file, &file_ops, NULL);
	page_cache_extend(&file, PAGES * PAGE_SIZE);
	at = map_file(t, space, MAP_PRIVATE);
	page_cache_truncate(&file, 3 * PAGE_SIZE + 1);
	expect_eq(t, user_read(space, at + 2 * PAGE_SIZE), 0);
	expect_eq(t, user_read(space, at + 3 * PAGE_SIZE), 'w');
	expect_eq(t, user_read(space, at + 4 * PAGE_SIZE), -1 - FAULT_BUS);
	expect_eq(t, user_write(space, at + 6 * PAGE_SIZE, 1), FAULT_BUS);
	expect_eq(t, space->nr_resident, 4);
	expect_eq(t, space->table.nr_tables, arch_mmu_levels);
	expect_eq(t, space_check(space), 0);
	space_put(space);
	page_cache_drop(&file);
}

/* ---- Many regions --------------------------------------------------------------------------- */

/* Regions that cannot unite: every second page is read-only. */
static void
make_regions(struct ktest *t, struct address_space *space, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		uintptr_t at = GiB(1) + i * PAGE_SIZE;

		assert_eq(t,
			  space_map(space, &at, PAGE_SIZE, i % 2 ? RW : PROT_READ,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0, 0),
			  0);
	}
	expect_eq(t, space->regions.tree.nr, nr);
}

/* Finding a region, and a place for one, takes steps by the logarithm of how many there are. */
KTEST(space_reverse, many_regions, .nr_params = 3, .budget_ms = 60000)
{
	static const unsigned sizes[] = { 10, 1000, 60000 };
	unsigned nr = sizes[t->param];
	struct address_space *space = space_create();
	uint64_t before, most = 0;

	make_regions(t, space, nr);
	for (unsigned i = 0; i < 100; i++) {
		uintptr_t at = GiB(1) + prng_below(&t->prng, nr) * PAGE_SIZE;

		before = space->regions.tree.steps;
		expect_true(t, region_find(space, at) != NULL);
		most = MAX(most, space->regions.tree.steps - before);
	}
	ktest_note(t, "%u regions: at most %lu steps to find one", nr, (unsigned long)most);
	expect_le(t, most, 2 * (64 - (unsigned)__builtin_clzl(nr)));
	before = space->regions.tree.steps;
	expect_ne(t, user_map(space, 5, RW), 0);
	expect_le(t, space->regions.tree.steps - before, 40 * (64 - (unsigned)__builtin_clzl(nr)));
	space_put(space);
}

KTEST(space_reverse, too_many_regions, .budget_ms = 60000)
{
	struct address_space *space = space_create();
	uintptr_t at = GiB(2);

	make_regions(t, space, (unsigned)regions_max - 2);
	expect_eq(t,
		  space_map(space, &at, PAGE_SIZE * 9, RW, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0, 0),
		  0);
	expect_eq(t, space_protect(space, at + PAGE_SIZE, PAGE_SIZE, PROT_NONE), -ENOMEM);
	/* One that fills the table, and then nothing can be cut. */
	while (space->regions.tree.nr < regions_max) {
		at = GiB(3) + space->regions.tree.nr * 2 * PAGE_SIZE;
		assert_eq(t,
			  space_map(space, &at, PAGE_SIZE, RW,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0, 0),
			  0);
	}
	at = GiB(2);
	expect_eq(t, space_unmap(space, at + PAGE_SIZE, PAGE_SIZE), -ENOMEM);
	at = GiB(3);
	expect_eq(t, space_map(space, &at, PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0, 0),
		  -ENOMEM);
	at = GiB(1) + PAGE_SIZE * 100;
	expect_eq(t, space_unmap(space, at, PAGE_SIZE), 0);
	space_put(space);
}

/* ---- Stacks ---------------------------------------------------------------------------------- */

static struct address_space *
only_space(int pid)
{
	static struct address_space *space;

	if (!space && pid == 1)
		space = space_create();
	return pid == 1 ? space_get(space) : NULL;
}

KTEST(space_reverse, stack_guard)
{
	struct address_space *(*saved)(int pid) = space_of_process;
	struct address_space *space;
	uintptr_t top = USER_END - MiB(64), near;

	space_of_process = only_space;
	space = only_space(1);
	expect_eq(t, space_map_stack(space, top, MiB(8)), 0);
	/* Something 2 MiB below the top: the stack may come as near as the guard gap. */
	near = top - MiB(2) - PAGE_SIZE;
	assert_eq(t,
		  space_map(space, &near, PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			    NULL, 0, 0),
		  0);
	expect_eq(t, user_write(space, top - MiB(1), 1), FAULT_DONE);
	expect_eq(t, user_write(space, top - MiB(1) - 1, 1), FAULT_OVERFLOW);
	expect_eq(t, disable_stack_protection(2), -ESRCH);
	expect_eq(t, disable_stack_protection(1), 0);
	expect_eq(t, user_write(space, top - MiB(2), 1), FAULT_DONE);
	expect_eq(t, enable_stack_protection(1), 0);
	expect_eq(t, user_write(space, near - MiB(4), 1), FAULT_MAPERR);
	expect_eq(t, space_check(space), 0);
	expect_eq(t, space_unmap(space, 0, USER_END), 0);
	expect_eq(t, space->nr_mapped, 0);
	space_put(space);
	space_of_process = saved;
}

/* ---- Locking, asking, advising --------------------------------------------------------------- */

KTEST(space_reverse, locked_and_in_core)
{
	struct address_space *space = space_create();
	uintptr_t at = user_map(space, 8, RW), shared = 0;
	uint8_t core[8];

	expect_eq(t, user_write(space, at + 3 * PAGE_SIZE, 1), FAULT_DONE);
	expect_eq(t, space_incore(space, at, 8 * PAGE_SIZE, core), 0);
	for (unsigned i = 0; i < 8; i++)
		expect_eq(t, core[i], i == 3);
	expect_eq(t, space_incore(space, at + 1, PAGE_SIZE, core), -EINVAL);
	expect_eq(t, space_incore(space, at, 9 * PAGE_SIZE, core), -ENOMEM);
	expect_eq(t, space_lock(space, at + 5, 2 * PAGE_SIZE, true, false), 0);
	expect_eq(t, space->nr_resident, 4);
	expect_eq(t, space_advise(space, at, PAGE_SIZE, MADV_DONTNEED), -EINVAL);
	expect_eq(t, space_sync(space, at, PAGE_SIZE, MS_INVALIDATE), -EBUSY);
	expect_eq(t, space_lock(space, at, 9 * PAGE_SIZE, true, false), -ENOMEM);
	expect_eq(t, space_lock_all(space, 0), 0);
	expect_eq(t, space->regions.tree.nr, 1);
	expect_eq(t, space_advise(space, at, 8 * PAGE_SIZE, MADV_FREE), 0);
	expect_eq(t, space->nr_resident, 0);
	expect_eq(t, space_lock_all(space, MCL_ONFAULT), -EINVAL);
	expect_eq(t, space_lock_all(space, MCL_FUTURE), 0);
	expect_eq(t,
		  space_map(space, &shared, 4 * PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0,
			    0),
		  0);
	expect_eq(t, space->nr_resident, 4);
	expect_eq(t, space_sync(space, shared, 4 * PAGE_SIZE, MS_SYNC), 0);
	expect_eq(t, space_sync(space, shared, 4 * PAGE_SIZE, MS_SYNC | MS_ASYNC), -EINVAL);
	expect_eq(t, space_sync(space, shared, GiB(1), MS_SYNC), -ENOMEM);
	expect_eq(t, space_advise(space, shared, PAGE_SIZE, 77), -EINVAL);
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

KTEST(space_reverse, console_command)
{
	struct address_space *space = space_create();

	expect_ne(t, user_map(space, 3, RW), 0);
	expect_eq(t, console_execute("spaces"), 0);
	space_put(space);
}
