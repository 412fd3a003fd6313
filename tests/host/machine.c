/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <page_allocator.h>
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
	forget_pools();
	(void)host_start_machine(size);
}

size_t
machine_frames_free(void)
{
	return page_allocator_nr_free();
}

void
machine_set_faults(uint64_t every, uint64_t seed)
{
	page_allocator_set_faults(every, seed);
}
