/* SPDX-License-Identifier: MIT */
/*
 * Copying an address space for fork(), without copying memory.
 *
 * The child gets regions of its own, and entries for the anonymous pages of the parent, from both
 * of which the right to write is taken: whoever writes first makes a copy (demand_paging.c). Pages
 * of files are left out, as the child's faults find them in the page cache; so a fork costs a few
 * instructions for each page that the parent has to itself, and nothing for its text.
 *
 *	parent  rw- --> [page]           parent  r-- --> [page] <-- r--  child
 *
 * The child belongs to the parent's family, so that all who may share a page can be found: see
 * reverse_map.c. It enters that before it has anything, and behind the parent.
 *
 * LOCKING. The parent's lock, then the child's, until the child is complete: whoever unmaps pages
 * everywhere meanwhile waits for both.
 */
#include <errno.h>

#include "space_internal.h"
#include "space_trace.h"

/* A region of the child like one of the parent's. Nothing is locked by fork() itself. */
static int
copy_region(const struct region *region, struct address_space *child)
{
	struct region_spares spares = { .nr = 0 };
	struct region *copy;
	int error = regions_reserve(&spares, 1);

	if (error)
		return error;
	copy = regions_take_spare(&spares);
	*copy = (struct region){
		.prot = region->prot,
		.rights = region->rights,
		.max_prot = region->max_prot,
		.flags = region->flags & ~(MAP_LOCKED | REGION_LOCK_ON_FAULT),
		.object = region->object,
		.offset = region->offset,
		.home = region->home,
		.lowest = region->lowest,
	};
	region_link(child, copy, region_start(region), region_end(region));
	space_count_mapped(child, (int64_t)region_pages(region));
	return 0;
}

static int
copy_locked(struct address_space *parent, struct address_space *child)
{
	struct region *region = region_find_from(parent, 0);
	struct gather gather;
	int error = 0;

	gather_begin(&gather, parent);
	for (; region && !error; region = region_next(region)) {
		if (region->flags & REGION_NO_FORK)
			continue;
		error = copy_region(region, child);
		if (!error && region_is_private(region))
			error = copy_pages(&gather, region, child);
	}
	gather_end(&gather);
	child->heap_start = parent->heap_start;
	child->heap_end = parent->heap_end;
	child->map_top = parent->map_top;
	child->guard_stack = parent->guard_stack;
	child->guard_heap = parent->guard_heap;
	child->heap_next = parent->heap_next;
	child->no_exec_gain = parent->no_exec_gain;
	child->keys = parent->keys;
	child->exec_key = parent->exec_key;
	child->no_huge = parent->no_huge;
	child->stats.peak_resident = child->nr_resident;
	return error;
}

int
space_fork(struct address_space *parent, struct address_space **child)
{
	struct address_space *copy = space_create_in(parent->family);
	int error;

	if (!copy)
		return -ENOMEM;
	trace_space(TRACE_SPACE_FORK, copy, (uintptr_t)parent);
	mutex_lock(&parent->lock);
	mutex_lock(&copy->lock);
	error = copy_locked(parent, copy);
	if (trace_space_is_on())
		trace_pages(copy, 0, USER_END);
	mutex_unlock(&copy->lock);
	mutex_unlock(&parent->lock);
	if (error)
		space_put(copy);
	else
		*child = copy;
	return error;
}
