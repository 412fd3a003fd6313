/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <arch.h>
#include <boot_allocator.h>
#include <memory_advanced.h>
#include <page_allocator.h>
#include <panic.h>
#include <pool_manager.h>

#include "host.h"

static bool
find_first(struct pool_entry *entry, void *first)
{
	*(struct pool_entry **)first = entry;
	return false;
}

/* Pools that a test has left on the machine before, perhaps because they panicked. */
static void
forget_pools(void)
{
	struct pool_entry *entry;

	for (;;) {
		entry = NULL;
		pool_for_each(find_first, &entry);
		if (!entry)
			return;
		pool_unregister(entry);
	}
}

void
machine_start(uint64_t size)
{
	static struct memory_map firmware, map;
	struct memory_map_report report;

	forget_pools();
	firmware.nr = firmware.nr_dropped = 0;
	memory_map_add(&firmware, MACHINE_START, size, MEMORY_USABLE);
	host_memmap_reset();
	ASSERT_EQ(memory_map_normalise(&firmware, &map, arch_direct_map_end(), &report), 0);
	boot_alloc_init(&map);
	mm_init(&map);
}

size_t
machine_frames_free(void)
{
	memory_stats_t stats;

	get_memory_stats(&stats);
	return stats.free_memory / PAGE_SIZE;
}

void
machine_set_faults(uint64_t every, uint64_t seed)
{
	fault_set(&mm_frames.faults, every, seed);
}
