/* SPDX-License-Identifier: MIT */
/*
 * Bringing pages in before they are touched: for MAP_POPULATE, mlock(), madvise(), and for those
 * who look into a space from outside. Each page comes as a fault would bring it in, so the program
 * itself will have none.
 */
#include <errno.h>

#include "space_internal.h"

/* How to bring in a page so that the program's own first access needs no fault. */
static enum fault_access
populating_access(const struct region *region)
{
	if (region->prot & PROT_WRITE)
		return FAULT_WRITE;
	return region->prot & PROT_EXEC ? FAULT_EXEC : FAULT_READ;
}

int
populate_region(struct address_space *space, struct region *region, uintptr_t start, uintptr_t end,
		enum fault_access access)
{
	for (uintptr_t at = start; at < end; at += PAGE_SIZE) {
		mmu_entry_t entry = page_table_lookup(&space->table, at);

		if (entry && (access != FAULT_WRITE || arch_mmu_is_writable(entry)))
			continue;
		switch (fault_in_region(space, region, at, access)) {
		case FAULT_DONE:
			break;
		case FAULT_NOMEM:
			return -ENOMEM;
		default:
			return -EFAULT;
		}
	}
	return 0;
}

int
populate(struct address_space *space, uintptr_t start, uintptr_t end)
{
	struct region *region = region_find_from(space, start);
	int error = 0;

	assert_space_locked(space);
	for (; !error && region && region_start(region) < end; region = region_next(region))
		error = populate_region(space, region, MAX(start, region_start(region)),
					MIN(end, region_end(region)), populating_access(region));
	return error;
}
