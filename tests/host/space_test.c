/* SPDX-License-Identifier: MIT */
/*
 * Address spaces on a made-up machine whose processor remembers translations until it is told
 * not to: random operations against the model of tests/kernel/space_model.h, with four and with
 * five levels of page tables, with small pages only and with huge ones, with and without encrypted
 * memory, with memory and while it runs out.
 */
#include "host.h"
#include "space_mmu.h"

#include <page_allocator.h>
#include <slab.h>

#define MODEL_FAIL(...) host_fail(__FILE__, __LINE__, __VA_ARGS__)

#include "../kernel/space_model.h"

#define TRACES 12
#define STEPS  4000

static struct model model;

static void
run_steps(uint64_t seed, unsigned steps, unsigned fail_every, unsigned unit)
{
	CHECK(model_begin(&model, seed, unit));
	model.denies = true;
	for (unsigned i = 0; i < steps && !host_failed(); i++) {
		if (fail_every && i % 16 == 0) {
			model.shortage = i % 64 != 0;
			page_allocator_set_faults(model.shortage ? fail_every : 0, seed + i);
		}
		model_step(&model);
		if (i % 16 == 15)
			model_compare(&model);
	}
	page_allocator_set_faults(0, 0);
	model_end(&model);
}

static void
set_levels(unsigned levels)
{
	arch_mmu_levels = levels;
	arch_mmu_user_end = (levels == 5 ? 1ul << 56 : 1ul << 47) - PAGE_SIZE;
}

/* Every frame comes back, but those of slabs that are kept. */
static void
run_traces(unsigned fail_every, unsigned unit)
{
	for (unsigned i = 0; i < TRACES && !host_failed(); i++) {
		size_t before;

		(void)host_start_machine(unit > 1 ? MiB(128) : MiB(32));
		host_mmu_reset();
		set_levels(i % 2 ? 5 : 4);
		host_mmu_encrypted = i % 4 < 2 ? 0 : 1ul << 47;
		space_init();
		run_steps(host_seed + i, 200, 0, unit);
		(void)slab_reclaim(SIZE_MAX / 2);
		before = page_allocator_nr_free();
		run_steps(host_seed + i, STEPS, fail_every, unit);
		(void)slab_reclaim(SIZE_MAX / 2);
		CHECK_EQ(page_allocator_nr_free(), before);
		CHECK_EQ(mm_check(), 0);
	}
	set_levels(4);
	host_mmu_encrypted = 0;
}

static void
traces(void)
{
	run_traces(0, 1);
}

static void
shortage(void)
{
	run_traces(3, 1);
	CHECK(model.nr_failed > 0);
}

static void
huge(void)
{
	struct space_stats before, after;

	space_get_totals(&before);
	huge_pages = HUGE_ALWAYS;
	run_traces(0, UNIT);
	run_traces(3, UNIT);
	huge_pages = HUGE_ADVISED;
	space_get_totals(&after);
	CHECK(after.huge_faults > before.huge_faults + 1000);
	CHECK(after.huge_splits > before.huge_splits + 500);
	CHECK(after.huge_fallbacks > before.huge_fallbacks + 100);
	CHECK_EQ(after.resident_huge, 0);
}

HOST_SUITE(space, { "traces", traces }, { "shortage", shortage }, { "huge", huge });
