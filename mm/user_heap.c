/* SPDX-License-Identifier: MIT */
/*
 * Heaps of programs: gaps beside them, and telling an overflow from a wild pointer.
 *
 * PROBLEM. An allocator gets memory by brk() and mmap(). Mappings are made side by side, so who
 * writes past the end of one is in the next; and what is unmapped is soon something else, so who
 * uses it still finds memory there.
 *
 * IDEA. For a program that wants it, a mapping whose place the kernel chooses gets a page on each
 * side that nothing else is put into, and each is put below the one before, until all addresses
 * have been used once:
 *
 *	  next    ...  guard [ C ) guard guard [ B ) guard guard [ A ) guard   map_top
 *	<-- later mappings                     `-- unmapped: nothing comes here for a long time
 *
 *	  heap        guard                       brk() stops a page before the next mapping
 *	 [    ) -->  |     |  [ other )
 *
 * So a byte too far faults, and is found to be beside memory of the heap: that is what
 * FAULT_HEAP says. Pages within a heap that its allocator has made inaccessible (PROT_NONE) are
 * guards as well, so an allocator that puts each object between two (user/libguard) is
 * exact to the byte.
 *
 * The program asks by prctl(); others for it by enable_heap_protection().
 *
 * LOCKING. space->lock.
 */
#include <errno.h>

#include "space_internal.h"

/* Is the page that holds address memory of a heap: private, no file's, no stack, accessible? */
static bool
is_heap(struct address_space *space, uintptr_t address)
{
	const struct region *region = region_find(space, address);

	return region && !region->object && region_is_private(region) &&
	       !(region->flags & MAP_GROWSDOWN) && region->prot != PROT_NONE;
}

bool
heap_is_beside(struct address_space *space, uintptr_t address)
{
	const struct region *region = region_find(space, address);

	assert_space_locked(space);
	if (region && region->prot != PROT_NONE)
		return false;
	return (address >= HEAP_GUARD && is_heap(space, address - HEAP_GUARD)) ||
	       is_heap(space, address + HEAP_GUARD);
}

bool
heap_find_place(struct address_space *space, size_t length, uintptr_t *start)
{
	size_t with_guards = length + 2 * HEAP_GUARD;
	uintptr_t place;

	assert_space_locked(space);
	if (!find_place_below(space, with_guards, space->heap_next, &place) &&
	    !find_place_below(space, with_guards, space->map_top, &place))
		return false;
	space->heap_next = place;
	*start = place + HEAP_GUARD;
	return true;
}

void
space_guard_heap(struct address_space *space, bool guard)
{
	mutex_lock(&space->lock);
	space->guard_heap = guard;
	space->heap_next = space->map_top;
	mutex_unlock(&space->lock);
}

bool
space_guards_heap(struct address_space *space)
{
	return __atomic_load_n(&space->guard_heap, __ATOMIC_RELAXED);
}

static int
set_protection(int pid, bool guard)
{
	struct address_space *space = space_of_process ? space_of_process(pid) : NULL;

	if (!space)
		return -ESRCH;
	space_guard_heap(space, guard);
	space_put(space);
	return 0;
}

int
enable_heap_protection(int pid)
{
	return set_protection(pid, true);
}

int
disable_heap_protection(int pid)
{
	return set_protection(pid, false);
}
