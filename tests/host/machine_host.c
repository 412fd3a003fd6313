/* SPDX-License-Identifier: MIT */
/* A machine to run the whole memory manager on: one piece of memory from 1 MiB on. */
#include "host.h"

#include <arch.h>
#include <boot_allocator.h>
#include <memory_advanced.h>
#include <page_allocator.h>

size_t
host_start_machine(uint64_t size)
{
	static struct memory_map firmware, map;
	struct memory_map_report report;

	firmware.nr = firmware.nr_dropped = 0;
	memory_map_add(&firmware, MiB(1), size, MEMORY_USABLE);
	host_memmap_reset();
	host_vm_reset();
	ASSERT_EQ(memory_map_normalise(&firmware, &map, arch_direct_map_end(), &report), 0);
	boot_alloc_init(&map);
	mm_init(&map);
	return page_allocator_nr_free();
}
