/* SPDX-License-Identifier: MIT */
/* The whole memory manager, started on a made-up machine and used through its public face. */
#include "host.h"

#include <arch.h>
#include <boot_allocator.h>
#include <errno.h>
#include <memory_advanced.h>
#include <page_allocator.h>
#include <page_frame.h>
#include <string.h>

/* What boot has left, but for what the memory manager keeps for its own books. */
static uint64_t all_memory;

/* 3 MiB + 9 frames of memory in two pieces with a hole, 64 KiB of it taken during boot. */
static void
start_machine(void)
{
	static struct memory_map firmware, map;
	struct memory_map_report report;

	firmware.nr = firmware.nr_dropped = 0;
	memory_map_add(&firmware, MiB(1), MiB(3), MEMORY_USABLE);
	memory_map_add(&firmware, MiB(2), MiB(1), MEMORY_KERNEL);
	memory_map_add(&firmware, GiB(4), MiB(1) + 9 * PAGE_SIZE, MEMORY_USABLE);
	host_memmap_reset();
	CHECK_EQ(memory_map_normalise(&firmware, &map, arch_direct_map_end(), &report), 0);
	boot_alloc_init(&map);
	CHECK_EQ(boot_alloc(KiB(64), KiB(64), 0), GiB(4) + KiB(960));
	mm_init(&map);
	CHECK_EQ(mm_check(), 0);
	all_memory = page_allocator_nr_free() * PAGE_SIZE;
	CHECK(all_memory <= MiB(3) + 9 * PAGE_SIZE - KiB(64));
	CHECK(all_memory >= MiB(3) + 7 * PAGE_SIZE - KiB(64));
}

static memory_stats_t
stats_now(void)
{
	memory_stats_t stats;

	memset(&stats, 0xff, sizeof(stats));
	get_memory_stats(&stats);
	return stats;
}

static void
start(void)
{
	memory_stats_t stats;

	start_machine();
	stats = stats_now();
	CHECK_EQ(stats.total_memory, all_memory);
	CHECK_EQ(stats.free_memory, all_memory);
	CHECK_EQ(stats.used_memory, 0);
	CHECK_EQ(stats.total_allocations, 0);
	CHECK_EQ(stats.pages_compressed, 0);
	CHECK_EQ(stats.numa_migrations, 0);

	CHECK(page_frame_present(MiB(1) >> PAGE_SHIFT));
	CHECK(page_frame_present(GiB(4) >> PAGE_SHIFT));
	CHECK(!page_frame_present(GiB(2) >> PAGE_SHIFT));
	CHECK(!page_frame_present(page_frame_end()));
	CHECK_EQ(page_frame_end(), (GiB(4) + MiB(4)) >> PAGE_SHIFT);
	CHECK_EQ(page_frame_next(MiB(5) >> PAGE_SHIFT).first, GiB(4) >> PAGE_SHIFT);
}

/* Every frame that is free at the start can be had, is zeroed on request, and is memory. */
static void
take_all_frames(void)
{
	struct page *pages = NULL, *page;
	uint64_t nr = 0, taken;

	start_machine();
	memset(phys_to_virt(MiB(1)), 0xa5, MiB(1));
	memset(phys_to_virt(GiB(4)), 0xa5, KiB(900));
	while ((page = alloc_pages(GFP_ZERO, 0))) { /* as far as zones let go */
		const uint64_t *words = page_to_virt(page);
		paddr_t start = page_to_pfn(page) << PAGE_SHIFT;

		CHECK(start < MiB(2) ? start >= MiB(1)
				     : (start >= MiB(3) && start < MiB(4)) || start >= GiB(4));
		CHECK(start < GiB(4) + KiB(960) || start >= GiB(4) + MiB(1));
		for (unsigned i = 0; i < PAGE_SIZE / sizeof(*words); i++)
			CHECK_EQ(words[i], 0);
		page->owner = (uintptr_t)pages;
		pages = page;
		nr++;
	}
	/* Zones keep a little for who cannot wait. */
	CHECK(stats_now().free_memory <= all_memory / 8);
	CHECK_EQ(nr * PAGE_SIZE, all_memory - stats_now().free_memory);
	CHECK_EQ(stats_now().failed_allocations, 1);
	CHECK_EQ(stats_now().total_allocations, nr + 1);
	CHECK_EQ(stats_now().allocation_size_total, nr * PAGE_SIZE);
	taken = nr * PAGE_SIZE;
	while ((page = pages)) {
		pages = (struct page *)page->owner;
		__free_pages(page, 0);
	}
	CHECK_EQ(stats_now().free_memory, all_memory);
	CHECK(stats_now().allocation_size_peak >= taken);
	CHECK_EQ(mm_check(), 0);
}

static bool
holds(const uint8_t *bytes, uint8_t value, size_t size)
{
	while (size > 0 && bytes[size - 1] != value)
		size--;
	return size > 0;
}

/* GFP_ZERO clears all of a block and nothing beside it. */
static void
zero_exactly(void)
{
	struct page *block, *run;

	start_machine();
	memset(phys_to_virt(MiB(1)), 0xa5, MiB(1));
	memset(phys_to_virt(MiB(3)), 0xa5, MiB(1));
	memset(phys_to_virt(GiB(4)), 0xa5, KiB(960));
	memset(phys_to_virt(GiB(4) + MiB(1)), 0xa5, 8 * PAGE_SIZE);
	block = alloc_pages(GFP_ZERO, 3);
	run = alloc_pages_exact(GFP_ZERO, 5);
	CHECK(block && run);
	if (host_failed())
		return;
	for (size_t i = 0; i < 8 * PAGE_SIZE; i++)
		CHECK_EQ(((char *)page_to_virt(block))[i], 0);
	for (size_t i = 0; i < 5 * PAGE_SIZE; i++)
		CHECK_EQ(((char *)page_to_virt(run))[i], 0);
	CHECK_EQ(((uint8_t *)page_to_virt(run))[5 * PAGE_SIZE], 0xa5);
	__free_pages(block, 3);
	free_pages_exact(run, 5);

	/* Without it frames come as they are: most of these were written to, the others cleared. */
	block = alloc_pages(GFP_KERNEL, 6);
	CHECK(block != NULL);
	if (block) {
		CHECK(holds(page_to_virt(block), 0xa5, 64 * PAGE_SIZE));
		__free_pages(block, 6);
	}
	CHECK_EQ(stats_now().free_memory, all_memory);
}

static void
contiguous_ranges(void)
{
	pfn_t first = MiB(3) >> PAGE_SHIFT, end = MiB(4) >> PAGE_SHIFT;

	start_machine();
	CHECK_EQ(alloc_contig_range(first, end), 0);
	CHECK_EQ(alloc_contig_range(end - 1, end), -EBUSY);
	CHECK_EQ(alloc_contig_range(first - 1, first), -EBUSY);
	CHECK_EQ(alloc_contig_range(GiB(2) >> PAGE_SHIFT, (GiB(2) >> PAGE_SHIFT) + 1), -EINVAL);
	CHECK_EQ(alloc_contig_range(end, end), -EINVAL);
	CHECK_EQ(stats_now().used_memory, MiB(1));
	free_contig_range(first, end);
	CHECK_EQ(stats_now().used_memory, 0);
	CHECK_EQ(mm_check(), 0);
}

/* mm.fail_every makes about that share of requests fail, the same ones for a seed. */
static void
injected_failures(void)
{
	uint64_t failed[2] = { 0, 0 }, pattern[2] = { 0, 0 };

	start_machine();
	for (unsigned round = 0; round < 2; round++) {
		page_allocator_set_faults(4, host_seed);
		for (unsigned i = 0; i < 1000; i++) {
			struct page *page = alloc_pages(GFP_KERNEL, 0);

			pattern[round] = pattern[round] * 31 + (page != NULL);
			failed[round] += !page;
			if (page)
				__free_pages(page, 0);
		}
		CHECK_EQ(page_allocator_nr_faults(), failed[round]);
	}
	page_allocator_set_faults(0, 0);
	CHECK(failed[0] > 150 && failed[0] < 350);
	CHECK_EQ(failed[0], failed[1]);
	CHECK_EQ(pattern[0], pattern[1]);
	CHECK_EQ(stats_now().failed_allocations, failed[0] + failed[1]);
	CHECK_EQ(mm_check(), 0);
}

HOST_SUITE(memory_allocators, { "start", start }, { "take_all_frames", take_all_frames },
	   { "zero_exactly", zero_exactly }, { "contiguous_ranges", contiguous_ranges },
	   { "injected_failures", injected_failures });
