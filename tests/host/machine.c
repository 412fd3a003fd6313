/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <page_allocator.h>
#include <pool_manager.h>
#include <slab.h>

#include "host.h"

static size_t frames_at_start;

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
	forget_pools();
	frames_at_start = host_start_machine(size);
}

size_t
machine_frames_free(void)
{
	slab_reclaim(SIZE_MAX);
	return page_allocator_nr_free();
}

size_t
machine_frames_taken(void)
{
	return frames_at_start - machine_frames_free();
}

void
machine_set_faults(uint64_t every, uint64_t seed)
{
	page_allocator_set_faults(every, seed);
}
