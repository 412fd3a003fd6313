/* SPDX-License-Identifier: MIT */
/*
 * Threads of one program, each on a CPU: they map, touch, fork and unmap in the same address space,
 * and cut a file that all have mapped.
 */
#include "host.h"
#include "space_mmu.h"

#include <mutex.h>
#include <page_allocator.h>
#include <page_cache.h>
#include <slab.h>

#include "../kernel/space_user.h"

#define CPUS	4
#define ROUNDS	300
#define COMMON	32 /* pages that all touch */
#define OWN	8
#define FILE_AT 0x50000000ul
#define HUGE_AT 0x60000000ul /* a huge page for each, which changes all the time */

static struct address_space *space;
static uintptr_t common;
static struct page_cache file;
static unsigned nr_wrong; /* atomic */

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

static void
expect(bool right)
{
	if (!right)
		__atomic_add_fetch(&nr_wrong, 1, __ATOMIC_RELAXED);
}

/* A child sees what was there, and what it writes is its own. */
static void
fork_once(uintptr_t own, unsigned char value)
{
	struct address_space *child;

	if (space_fork(space, &child) != 0) {
		expect(false);
		return;
	}
	expect(user_read(child, own) == value);
	expect(user_write(child, own, (unsigned char)(value + 1)) == FAULT_DONE);
	expect(user_read(space, own) == value);
	space_put(child);
}

/* A huge page of one's own, part of which goes; in others, threads that fork share it. */
static void
split_one(unsigned cpu, struct prng *prng, unsigned char value)
{
	uintptr_t start = HUGE_AT + cpu * HUGE_SIZE;
	uintptr_t kept = start + prng_below(prng, HUGE_PAGES) * PAGE_SIZE;
	uintptr_t gone = start + prng_below(prng, HUGE_PAGES) * PAGE_SIZE;

	expect(user_write(space, kept, value) == FAULT_DONE);
	expect(space_advise(space, gone, PAGE_SIZE, MADV_DONTNEED) == 0);
	expect(user_read(space, kept) == (kept == gone ? 0 : value));
	if (prng_below(prng, 4) == 0)
		expect(space_advise(space, start, HUGE_SIZE, MADV_DONTNEED) == 0);
}

static void
live(unsigned cpu, void *arg)
{
	struct prng prng;

	(void)arg;
	host_mmu_cpu = cpu % 2;
	prng_seed(&prng, host_seed + cpu);
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned char value = (unsigned char)i;
		uintptr_t own = user_map(space, OWN, RW);

		expect(own != 0);
		for (unsigned n = 0; n < OWN; n++)
			expect(user_write(space, own + n * PAGE_SIZE, value) == FAULT_DONE);
		/* Faults only: several write to these pages at the same time. */
		expect(space_fault(space, common + prng_below(&prng, COMMON) * PAGE_SIZE,
				   prng_below(&prng, 2) ? FAULT_READ : FAULT_WRITE) == FAULT_DONE);
		(void)space_fault(space, FILE_AT + prng_below(&prng, COMMON) * PAGE_SIZE,
				  FAULT_READ);
		if (cpu == 0)
			page_cache_truncate(&file, prng_below(&prng, COMMON + 1) << PAGE_SHIFT);
		split_one(cpu, &prng, value);
		if (prng_below(&prng, 10) == 0)
			fork_once(own + PAGE_SIZE, value);
		for (unsigned n = 0; n < OWN; n++)
			expect(user_read(space, own + n * PAGE_SIZE) == value);
		expect(space_unmap(space, own, OWN * PAGE_SIZE) == 0);
	}
}

static void
live_together(void)
{
	uintptr_t at = FILE_AT, huge = HUGE_AT;
	size_t before;

	(void)host_start_machine(MiB(64));
	host_mmu_reset();
	space_init();
	before = page_allocator_nr_free();
	space = space_create();
	common = user_map(space, COMMON, RW);
	page_cache_init(&file, &file_ops, NULL);
	CHECK_EQ(space_map(space, &at, COMMON * PAGE_SIZE, RW, MAP_SHARED | MAP_FIXED, &file.object,
			   0, RW),
		 0);
	CHECK_EQ(space_map(space, &huge, CPUS * HUGE_SIZE, RW,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0, 0),
		 0);
	CHECK_EQ(space_advise(space, huge, CPUS * HUGE_SIZE, MADV_HUGEPAGE), 0);
	nr_wrong = 0;
	host_run_threads(CPUS, live, NULL);
	CHECK_EQ(nr_wrong, 0);
	CHECK_EQ(space->nr_mapped, 2 * COMMON + CPUS * HUGE_PAGES);
	CHECK(space->stats.huge_faults > CPUS);
	CHECK(space->stats.huge_splits > CPUS);
	CHECK_EQ(space_check(space), 0);
	space_put(space);
	page_cache_drop(&file);
	(void)slab_reclaim(SIZE_MAX / 2);
	CHECK_EQ(page_allocator_nr_free(), before);
	CHECK_EQ(mm_check(), 0);
}

/* ---- A huge page of several ------------------------------------------------------------------ */

static struct address_space *children[CPUS];

/* Give up one page after the other, as the others do at the same time. */
static void
take_apart(unsigned cpu, void *arg)
{
	(void)arg;
	host_mmu_cpu = cpu % 2;
	for (unsigned i = 0; i < HUGE_PAGES; i++) {
		uintptr_t page = HUGE_AT + (i * 7 + cpu) % HUGE_PAGES * PAGE_SIZE;

		expect(space_advise(children[cpu], page, PAGE_SIZE, MADV_DONTNEED) == 0);
	}
}

/* The first frame that nobody has any more splits the block: whose that is, nobody knows before. */
static void
last_of_several(void)
{
	size_t before = 0;

	(void)host_start_machine(MiB(64));
	host_mmu_reset();
	space_init();
	nr_wrong = 0;
	for (unsigned round = 0; round < 20; round++) {
		uintptr_t at = HUGE_AT;

		space = space_create();
		CHECK_EQ(space_map(space, &at, HUGE_SIZE, RW,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0, 0),
			 0);
		CHECK_EQ(space_advise(space, at, HUGE_SIZE, MADV_HUGEPAGE), 0);
		CHECK_EQ(user_write(space, at, 1), FAULT_DONE);
		for (unsigned i = 0; i < CPUS; i++)
			CHECK_EQ(space_fork(space, &children[i]), 0);
		space_put(space);
		host_run_threads(CPUS, take_apart, NULL);
		for (unsigned i = 0; i < CPUS; i++)
			space_put(children[i]);
		(void)slab_reclaim(SIZE_MAX / 2);
		if (round > 0)
			CHECK_EQ(page_allocator_nr_free(), before);
		before = page_allocator_nr_free();
	}
	CHECK_EQ(nr_wrong, 0);
	CHECK_EQ(mm_check(), 0);
}

/* ---- The lock itself ------------------------------------------------------------------------ */

static struct mutex mutex = MUTEX_INIT(mutex);
static unsigned long counter; /* (m) mutex */

static void
count(unsigned cpu, void *arg)
{
	(void)cpu;
	(void)arg;
	for (unsigned i = 0; i < 5000; i++) {
		mutex_lock(&mutex);
		counter++;
		mutex_unlock(&mutex);
		if (mutex_try_lock(&mutex)) {
			counter--;
			mutex_unlock(&mutex);
			mutex_lock(&mutex);
			counter++;
			mutex_unlock(&mutex);
		}
	}
}

static void
mutual_exclusion(void)
{
	counter = 0;
	host_run_threads(CPUS, count, NULL);
	CHECK_EQ(counter, CPUS * 5000);
	CHECK(!mutex_is_held(&mutex));
}

HOST_SUITE(space_threads, { "mutual_exclusion", mutual_exclusion },
	   { "live_together", live_together }, { "last_of_several", last_of_several });
