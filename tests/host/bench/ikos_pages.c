/* SPDX-License-Identifier: MIT */
/* The machine that IKOS's allocators are measured on, and its frames as a subject. */
#include "bench.h"
#include "ikos.h"

#include <arch.h>
#include <boot_allocator.h>
#include <memory_advanced.h>
#include <panic.h>

#include "../host.h"

#define MEMORY GiB(1)

static uint64_t used_at_start;

static uint64_t
used_bytes(void)
{
	memory_stats_t stats;

	get_memory_stats(&stats);
	return stats.used_memory;
}

void
ikos_start(void)
{
	static struct memory_map firmware, map;
	static bool started;
	struct memory_map_report report;

	if (started)
		return;
	started = true;
	memory_map_add(&firmware, MiB(1), MEMORY, MEMORY_USABLE);
	ASSERT_EQ(memory_map_normalise(&firmware, &map, arch_direct_map_end(), &report), 0);
	boot_alloc_init(&map);
	mm_init(&map);
	used_at_start = used_bytes();
}

/* With the pages of the frames: 32 bytes each. */
uint64_t
ikos_used(void)
{
	uint64_t frames = (used_bytes() - used_at_start) >> PAGE_SHIFT;

	return frames * (PAGE_SIZE + sizeof(struct page));
}

static bool
setup(void)
{
	ikos_start();
	return true;
}

static void
teardown(void)
{
	ASSERT_EQ(mm_check(), 0);
}

static void *
alloc(size_t size)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);

	(void)size;
	return page ? page_to_virt(page) : NULL;
}

static void
release(void *object)
{
	__free_pages(pfn_to_page(virt_to_phys(object) >> PAGE_SHIFT), 0);
}

struct subject subject_pages = {
	.name = "ikos-pages",
	.only_size = PAGE_SIZE,
	.setup = setup,
	.teardown = teardown,
	.alloc = alloc,
	.free = release,
	.used = ikos_used,
};

double
interrupt_flag_ns(void)
{
	const unsigned rounds = 1000000;
	double start = thread_ns();

	for (unsigned i = 0; i < rounds; i++) {
		irqflags_t flags = arch_irq_save();

		__asm__ volatile("" ::: "memory");
		arch_irq_restore(flags);
	}
	return (thread_ns() - start) / rounds;
}

void
relax(void)
{
	arch_cpu_relax();
}
