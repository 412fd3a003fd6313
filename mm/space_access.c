/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing the memory of a program that is not the running one: for /proc, and for
 * process_vm_readv() and process_vm_writev().
 *
 * Pages are brought in as the program itself would bring them in (a copy is made where it would
 * get one), and copied through the kernel's own mapping of their frames. The space stays locked
 * from finding a page to having copied it, so the page cannot go meanwhile.
 */
#include <string.h>

#include "space_internal.h"

/* The page at an address, ready for that access; NULL: there is none that it may have. */
static struct page *
page_at_locked(struct address_space *space, uintptr_t at, enum fault_access access)
{
	struct region *region = region_find(space, at);
	unsigned wanted = access == FAULT_WRITE ? PROT_WRITE : PROT_READ;

	assert_space_locked(space);
	if (!region || !(region->prot & wanted))
		return NULL;
	at = ALIGN_DOWN(at, PAGE_SIZE);
	if (populate_region(space, region, at, at + PAGE_SIZE, access) != 0)
		return NULL;
	return entry_page(page_table_lookup(&space->table, at));
}

/* Copy bytes of one page, to the kernel or from it. Returns how many, or 0. */
static size_t
copy_in_page(struct address_space *space, uintptr_t at, void *kernel, size_t size,
	     enum fault_access access)
{
	struct page *page = at < USER_END ? page_at_locked(space, at, access) : NULL;
	size_t start = at % PAGE_SIZE, bytes = MIN(PAGE_SIZE - start, size);

	if (!page)
		return 0;
	if (access == FAULT_WRITE)
		memcpy((char *)page_to_virt(page) + start, kernel, bytes);
	else
		memcpy(kernel, (char *)page_to_virt(page) + start, bytes);
	return bytes;
}

static size_t
copy(struct address_space *space, uintptr_t at, void *kernel, size_t size, enum fault_access access)
{
	size_t done = 0, bytes = 1;

	mutex_lock(&space->lock);
	for (; done < size && bytes > 0; done += bytes)
		bytes = copy_in_page(space, at + done, (char *)kernel + done, size - done, access);
	mutex_unlock(&space->lock);
	return done;
}

size_t
space_read(struct address_space *space, uintptr_t from, void *to, size_t size)
{
	return copy(space, from, to, size, FAULT_READ);
}

size_t
space_write(struct address_space *space, uintptr_t to, const void *from, size_t size)
{
	return copy(space, to, (void *)(uintptr_t)from, size, FAULT_WRITE);
}
