/* SPDX-License-Identifier: MIT */
/*
 * Reading the memory of a program that is not the running one: for /proc.
 *
 * Pages are brought in as the program itself would bring them in, and copied through the kernel's
 * own mapping of their frames. The space stays locked from finding a page to having copied it, so
 * the page cannot go meanwhile.
 */
#include <string.h>

#include "space_internal.h"

/* The page at an address, brought in if need be; NULL: there is none that may be read. */
static struct page *
page_at_locked(struct address_space *space, uintptr_t at)
{
	struct region *region = region_find(space, at);
	mmu_entry_t entry;

	assert_space_locked(space);
	if (!region)
		return NULL;
	entry = page_table_lookup(&space->table, at);
	if (!entry && fault_in_region(space, region, at, FAULT_READ) == FAULT_DONE)
		entry = page_table_lookup(&space->table, at);
	return entry ? entry_page(entry) : NULL;
}

size_t
space_read(struct address_space *space, uintptr_t from, void *to, size_t size)
{
	size_t done = 0;

	mutex_lock(&space->lock);
	while (done < size && from + done < USER_END) {
		uintptr_t at = from + done;
		size_t start = at % PAGE_SIZE, bytes = MIN(PAGE_SIZE - start, size - done);
		struct page *page = page_at_locked(space, at);

		if (!page)
			break;
		memcpy((char *)to + done, (char *)page_to_virt(page) + start, bytes);
		done += bytes;
	}
	mutex_unlock(&space->lock);
	return done;
}
