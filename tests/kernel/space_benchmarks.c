/* SPDX-License-Identifier: MIT */
/*
 * What address spaces cost: the handler alone, without the processor's entry into the kernel. The
 * space is in use on this CPU, so flushes are made.
 */
#include <bench.h>
#include <page_cache.h>
#include <printk.h>

#include "space_user.h"

#define PAGES	   512
#define FORK_PAGES 16384 /* 64 MiB */

static struct address_space *space;

static void
use_space(struct address_space *used)
{
	irqflags_t irq = arch_irq_save();

	space_activate(used);
	arch_irq_restore(irq);
}

static void
touch_all(uintptr_t at, unsigned pages, unsigned step, enum fault_access access)
{
	for (unsigned i = 0; i < pages; i += step)
		(void)space_fault(space, at + i * PAGE_SIZE, access);
}

/* ---- Anonymous memory ------------------------------------------------------------------ */

static void
measure_anonymous(void)
{
	uint64_t zero[BENCH_REPS], over[BENCH_REPS], fresh[BENCH_REPS], protect[BENCH_REPS],
	    unmap[BENCH_REPS];

	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uintptr_t read = user_map(space, PAGES, RW), at = user_map(space, PAGES, RW);
		uint64_t now = arch_cycles();

		touch_all(read, PAGES, 1, FAULT_READ);
		zero[rep] = arch_cycles() - now;
		now = arch_cycles();
		touch_all(read, PAGES, 1, FAULT_WRITE);
		over[rep] = arch_cycles() - now;
		now = arch_cycles();
		touch_all(at, PAGES, 1, FAULT_WRITE);
		fresh[rep] = arch_cycles() - now;
		now = arch_cycles();
		(void)space_protect(space, at, PAGES * PAGE_SIZE, PROT_READ);
		protect[rep] = arch_cycles() - now;
		now = arch_cycles();
		(void)space_unmap(space, at, PAGES * PAGE_SIZE);
		unmap[rep] = arch_cycles() - now;
		(void)space_unmap(space, read, PAGES * PAGE_SIZE);
	}
	bench_report("space.fault.zero_page", zero, BENCH_REPS, PAGES);
	bench_report("space.fault.write_over_zero", over, BENCH_REPS, PAGES);
	bench_report("space.fault.anonymous", fresh, BENCH_REPS, PAGES);
	bench_report("space.protect.page", protect, BENCH_REPS, PAGES);
	bench_report("space.unmap.page", unmap, BENCH_REPS, PAGES);
}

static void
measure_copy_on_write(void)
{
	uint64_t copy[BENCH_REPS], reuse[BENCH_REPS];

	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uintptr_t at = user_map(space, PAGES, RW);
		struct address_space *child;
		uint64_t now;

		touch_all(at, PAGES, 1, FAULT_WRITE);
		if (space_fork(space, &child) != 0)
			return;
		now = arch_cycles();
		touch_all(at, PAGES / 2, 1, FAULT_WRITE);
		copy[rep] = arch_cycles() - now;
		space_put(child);
		now = arch_cycles();
		touch_all(at + PAGES / 2 * PAGE_SIZE, PAGES / 2, 1, FAULT_WRITE);
		reuse[rep] = arch_cycles() - now;
		(void)space_unmap(space, at, PAGES * PAGE_SIZE);
	}
	bench_report("space.fault.copy", copy, BENCH_REPS, PAGES / 2);
	bench_report("space.fault.reuse", reuse, BENCH_REPS, PAGES / 2);
}

static void
measure_fork(void)
{
	uint64_t fork[BENCH_REPS], exit[BENCH_REPS];
	uintptr_t at = user_map(space, FORK_PAGES, RW);

	touch_all(at, FORK_PAGES, 1, FAULT_WRITE);
	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		struct address_space *child;
		uint64_t now = arch_cycles();

		if (space_fork(space, &child) != 0)
			return;
		fork[rep] = arch_cycles() - now;
		now = arch_cycles();
		space_put(child);
		exit[rep] = arch_cycles() - now;
	}
	bench_report("space.fork.64MiB", fork, BENCH_REPS, 1);
	bench_report("space.exit.64MiB", exit, BENCH_REPS, 1);
	(void)space_unmap(space, at, FORK_PAGES * PAGE_SIZE);
}

/* ---- Huge pages ------------------------------------------------------------------------------ */

#define NR_HUGE (FORK_PAGES / HUGE_PAGES)

/* 64 MiB that may be huge, at a multiple of that. */
static uintptr_t
map_huge(void)
{
	uintptr_t at = GiB(64);

	if (space_map(space, &at, FORK_PAGES * PAGE_SIZE, RW,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0, 0) != 0 ||
	    space_advise(space, at, FORK_PAGES * PAGE_SIZE, MADV_HUGEPAGE) != 0)
		return 0;
	return at;
}

/* Per page of 4 KiB, to be compared with what single ones cost; a split per huge page. */
static void
measure_huge(void)
{
	uint64_t fault[BENCH_REPS], protect[BENCH_REPS], fork[BENCH_REPS], exit[BENCH_REPS],
	    split[BENCH_REPS], unmap[BENCH_REPS];

	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uintptr_t at = map_huge();
		struct address_space *child;
		uint64_t now = arch_cycles();

		touch_all(at, FORK_PAGES, HUGE_PAGES, FAULT_WRITE);
		fault[rep] = arch_cycles() - now;
		now = arch_cycles();
		(void)space_protect(space, at, FORK_PAGES * PAGE_SIZE, PROT_READ);
		protect[rep] = arch_cycles() - now;
		now = arch_cycles();
		if (space->nr_huge < NR_HUGE || space_fork(space, &child) != 0)
			return;
		fork[rep] = arch_cycles() - now;
		now = arch_cycles();
		space_put(child);
		exit[rep] = arch_cycles() - now;
		now = arch_cycles();
		for (unsigned i = 0; i < NR_HUGE; i++)
			(void)space_advise(space, at + i * HUGE_SIZE + PAGE_SIZE, PAGE_SIZE,
					   MADV_DONTNEED);
		split[rep] = arch_cycles() - now;
		(void)space_unmap(space, at, FORK_PAGES * PAGE_SIZE);
		at = map_huge();
		touch_all(at, FORK_PAGES, HUGE_PAGES, FAULT_WRITE);
		now = arch_cycles();
		(void)space_unmap(space, at, FORK_PAGES * PAGE_SIZE);
		unmap[rep] = arch_cycles() - now;
	}
	bench_report("space.huge.fault.page", fault, BENCH_REPS, FORK_PAGES);
	bench_report("space.huge.protect.page", protect, BENCH_REPS, FORK_PAGES);
	bench_report("space.huge.unmap.page", unmap, BENCH_REPS, FORK_PAGES);
	bench_report("space.huge.split_and_discard", split, BENCH_REPS, NR_HUGE);
	bench_report("space.huge.fork.64MiB", fork, BENCH_REPS, 1);
	bench_report("space.huge.exit.64MiB", exit, BENCH_REPS, 1);
}

/* ---- Files --------------------------------------------------------------------------------- */

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
measure_file(void)
{
	uint64_t single[BENCH_REPS], around[BENCH_REPS];
	static struct page_cache file;

	page_cache_init(&file, &file_ops, NULL);
	page_cache_extend(&file, PAGES * PAGE_SIZE);
	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uintptr_t at = 0;
		uint64_t now;

		if (space_map(space, &at, PAGES * PAGE_SIZE, RW, MAP_SHARED, &file.object, 0, RW))
			return;
		now = arch_cycles();
		touch_all(at, PAGES, 1, FAULT_WRITE);
		single[rep] = arch_cycles() - now;
		(void)space_advise(space, at, PAGES * PAGE_SIZE, MADV_DONTNEED);
		now = arch_cycles();
		touch_all(at, PAGES, 16, FAULT_READ);
		around[rep] = arch_cycles() - now;
		(void)space_unmap(space, at, PAGES * PAGE_SIZE);
	}
	page_cache_drop(&file);
	bench_report("space.fault.file", single, BENCH_REPS, PAGES);
	bench_report("space.fault.file_around", around, BENCH_REPS, PAGES);
}

/* ---- Regions --------------------------------------------------------------------------------- */

static void
measure_map(void)
{
	uint64_t pair[BENCH_REPS];

	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		uint64_t now = arch_cycles();

		for (unsigned i = 0; i < 100; i++)
			(void)space_unmap(space, user_map(space, 16, RW), 16 * PAGE_SIZE);
		pair[rep] = arch_cycles() - now;
	}
	bench_report("space.map_unmap", pair, BENCH_REPS, 100);
}

/* A space with many regions: neighbours have different rights, so that they stay apart. */
static struct address_space *
make_crowd(unsigned nr)
{
	struct address_space *crowd = space_create();

	for (unsigned i = 0; crowd && i < nr; i++) {
		uintptr_t at = GiB(1) + i * PAGE_SIZE;

		if (space_map(crowd, &at, PAGE_SIZE, i % 2 ? RW : PROT_READ,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0, 0) != 0) {
			space_put(crowd);
			return NULL;
		}
	}
	return crowd;
}

/* What a region costs to find among nr, and a mapping to make and take away. */
static void
measure_crowd(const char *name, unsigned nr)
{
	uint64_t find[BENCH_REPS], pair[BENCH_REPS];
	struct address_space *crowd = make_crowd(nr);
	char full_name[64];

	for (unsigned rep = 0; crowd && rep < BENCH_REPS; rep++) {
		uint64_t at = rep, now = arch_cycles();

		for (unsigned i = 0; i < 1000; i++) {
			at = (at * 6364136223846793005ul + 1442695040888963407ul) >> 3;
			(void)region_find(crowd, GiB(1) + at % nr * PAGE_SIZE);
		}
		find[rep] = arch_cycles() - now;
		now = arch_cycles();
		for (unsigned i = 0; i < 100; i++)
			(void)space_unmap(crowd, user_map(crowd, 16, RW), 16 * PAGE_SIZE);
		pair[rep] = arch_cycles() - now;
	}
	if (!crowd)
		return;
	ksnprintf(full_name, sizeof(full_name), "space.regions%s.find", name);
	bench_report(full_name, find, BENCH_REPS, 1000);
	ksnprintf(full_name, sizeof(full_name), "space.regions%s.map_unmap", name);
	bench_report(full_name, pair, BENCH_REPS, 100);
	space_put(crowd);
}

static void
measure_regions(void)
{
	uint64_t kept = regions_max;

	regions_max = 200000;
	measure_crowd("10", 10);
	measure_crowd("1k", 1000);
	measure_crowd("100k", 100000);
	regions_max = kept;
}

BENCH_SUITE(space, "address spaces: faults, fork, mapping")
{
	space = space_create();
	if (!space)
		return;
	use_space(space);
	measure_anonymous();
	measure_copy_on_write();
	measure_file();
	measure_map();
	measure_regions();
	measure_fork();
	measure_huge();
	use_space(NULL);
	space_put(space);
}
