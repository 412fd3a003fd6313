/* SPDX-License-Identifier: MIT */
/*
 * What a program says about memory that it has, and asks about it: madvise(), mlock(), mincore(),
 * msync().
 *
 * Advice is taken where it changes what a program can see (DONTNEED: the contents go; DONTFORK:
 * a child does not get it), what it costs (HUGEPAGE, NOHUGEPAGE: how its first touch is answered,
 * see huge_page.c) and where pages come that were not asked for (RANDOM: no fault-around, until
 * NORMAL or SEQUENTIAL). Otherwise it is accepted and not needed: nothing is read ahead, and no
 * page is taken away from a program yet. MADV_FREE may forget the contents at any time from the
 * call on; here it does so at once. Locked pages are brought in, and counted.
 *
 * Part of a range may be unmapped. As Linux has it, madvise(), mlock() and msync() then deal with
 * the parts that are mapped, and say ENOMEM.
 *
 * LOCKING. space->lock.
 */
#include <errno.h>

#include "space_internal.h"

/* Set and clear flags of all regions in [start, end), which are cut at the ends. */
static int
change_flags(struct address_space *space, uintptr_t start, uintptr_t end, unsigned clear,
	     unsigned set)
{
	struct region_spares spares = { .nr = 0 };
	struct list_head dead = LIST_INIT(dead);
	struct region *region;
	int error = 0;

	mutex_lock(&space->lock);
	if (has_too_many_regions(space, 2) ||
	    regions_reserve(&spares, regions_cuts(space, start, end)) != 0) {
		error = -ENOMEM;
	} else {
		if (!regions_cover(space, start, end))
			error = -ENOMEM;
		regions_cut(space, start, end, &spares);
		for (region = region_find_from(space, start); region && region_start(region) < end;
		     region = region_next(region))
			region->flags = (region->flags & ~clear) | set;
		regions_merge(space, start, end, &dead);
	}
	mutex_unlock(&space->lock);
	regions_release(&spares);
	regions_bury(&dead);
	return error;
}

/* ---- madvise() ------------------------------------------------------------------------- */

/* Throw pages of [start, end) away: they will be zeroes, or what the file has. */
static int
discard(struct address_space *space, uintptr_t start, uintptr_t end, bool anonymous_only)
{
	struct region *region;
	struct gather gather;
	int error = 0;

	mutex_lock(&space->lock);
	if (!regions_cover(space, start, end))
		error = -ENOMEM;
	huge_split_at(space, start);
	huge_split_at(space, end);
	gather_begin(&gather, space);
	for (region = region_find_from(space, start); region && region_start(region) < end;
	     region = region_next(region)) {
		if ((region->flags & MAP_LOCKED) || (anonymous_only && region->object)) {
			error = -EINVAL;
			break;
		}
		unmap_pages(&gather, MAX(start, region_start(region)), MIN(end, region_end(region)),
			    true);
	}
	gather_end(&gather);
	mutex_unlock(&space->lock);
	return error;
}

static int
check_mapped(struct address_space *space, uintptr_t start, uintptr_t end)
{
	int error;

	mutex_lock(&space->lock);
	error = regions_cover(space, start, end) ? 0 : -ENOMEM;
	mutex_unlock(&space->lock);
	return error;
}

static bool
is_known_advice(int advice)
{
	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
		return true;
	default:
		return false;
	}
}

int
space_advise(struct address_space *space, uintptr_t start, size_t length, int advice)
{
	uintptr_t end;

	if (!is_known_advice(advice) || !IS_ALIGNED(start, PAGE_SIZE))
		return -EINVAL;
	if (length == 0)
		return 0;
	if (length > UINTPTR_MAX - PAGE_SIZE || start + ALIGN_UP(length, PAGE_SIZE) < start)
		return -EINVAL;
	if (space_check_range(start, &length) != 0)
		return -ENOMEM;
	end = start + length;
	switch (advice) {
	case MADV_DONTNEED:
		return discard(space, start, end, false);
	case MADV_FREE:
		return discard(space, start, end, true);
	case MADV_DONTFORK:
		return change_flags(space, start, end, 0, REGION_NO_FORK);
	case MADV_DOFORK:
		return change_flags(space, start, end, REGION_NO_FORK, 0);
	case MADV_RANDOM:
		return change_flags(space, start, end, 0, REGION_RANDOM);
	case MADV_NORMAL:
	case MADV_SEQUENTIAL:
		return change_flags(space, start, end, REGION_RANDOM, 0);
	case MADV_HUGEPAGE:
		return change_flags(space, start, end, REGION_NO_HUGE, REGION_HUGE);
	case MADV_NOHUGEPAGE:
		return change_flags(space, start, end, REGION_HUGE, REGION_NO_HUGE);
	default:
		return check_mapped(space, start, end);
	}
}

/* ---- mlock() ----------------------------------------------------------------------------- */

/* Bring pages of [start, end) in. What mlock() says if that fails. */
static int
bring_in(struct address_space *space, uintptr_t start, uintptr_t end)
{
	int error;

	mutex_lock(&space->lock);
	error = populate(space, start, end);
	mutex_unlock(&space->lock);
	if (error == -ENOMEM)
		return -EAGAIN;
	return error ? -ENOMEM : 0;
}

int
space_lock(struct address_space *space, uintptr_t start, size_t length, bool lock, bool on_fault)
{
	unsigned flags = MAP_LOCKED | (on_fault ? REGION_LOCK_ON_FAULT : 0);
	size_t before = start % PAGE_SIZE;
	int error;

	if (length > UINTPTR_MAX - PAGE_SIZE - before || start + length < start)
		return -EINVAL;
	if (length == 0)
		return 0;
	start -= before;
	length += before;
	if (space_check_range(start, &length) != 0)
		return -ENOMEM;
	error = change_flags(space, start, start + length, MAP_LOCKED | REGION_LOCK_ON_FAULT,
			     lock ? flags : 0);
	if (error || !lock || on_fault)
		return error;
	return bring_in(space, start, start + length);
}

/* Set the flags of all regions; the lock is released. Only uniting regions can come of that:
 * nothing fails. */
static void
change_all_flags(struct address_space *space, unsigned set)
{
	struct list_head dead = LIST_INIT(dead);
	struct region *region = region_find_from(space, 0);

	for (; region; region = region_next(region))
		region->flags = (region->flags & ~(MAP_LOCKED | REGION_LOCK_ON_FAULT)) | set;
	regions_merge(space, 0, USER_END, &dead);
	mutex_unlock(&space->lock);
	regions_bury(&dead);
}

int
space_lock_all(struct address_space *space, int flags)
{
	bool on_fault = flags & MCL_ONFAULT, current = flags & MCL_CURRENT;

	if ((flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
		return -EINVAL;
	mutex_lock(&space->lock);
	space->lock_future = flags & MCL_FUTURE ? (unsigned)flags : 0;
	if (flags && !current) {
		mutex_unlock(&space->lock);
		return 0;
	}
	change_all_flags(space, (current ? MAP_LOCKED : 0) | (on_fault ? REGION_LOCK_ON_FAULT : 0));
	if (current && !on_fault)
		(void)bring_in(space, USER_MIN, USER_END); /* what cannot be had comes later */
	return 0;
}

/* ---- mincore() ------------------------------------------------------------------------------ */

/* Is the page there: mapped, or in memory for the next fault? */
static bool
is_in_core(struct address_space *space, struct region *region, uintptr_t address)
{
	struct memory_object *object = region->object;
	struct page *page;

	if (page_table_lookup(&space->table, address))
		return true;
	if (!object)
		return false;
	object->ops->peek_pages(object, region_index(region, address), 1, &page);
	if (page)
		page_put(page);
	return page != NULL;
}

int
space_incore(struct address_space *space, uintptr_t start, size_t length, uint8_t *vector)
{
	int error = 0;

	if (!IS_ALIGNED(start, PAGE_SIZE))
		return -EINVAL;
	if (length == 0)
		return 0;
	if (space_check_range(start, &length) != 0)
		return -ENOMEM;
	mutex_lock(&space->lock);
	if (!regions_cover(space, start, start + length))
		error = -ENOMEM;
	for (uintptr_t at = start; !error && at < start + length; at += PAGE_SIZE) {
		struct region *region = region_find(space, at);

		vector[(at - start) >> PAGE_SHIFT] = is_in_core(space, region, at);
	}
	mutex_unlock(&space->lock);
	return error;
}

/* ---- msync() --------------------------------------------------------------------------------- */

/*
 * Have what lies in one region written by its object, with the space unlocked meanwhile: the
 * region may be gone afterwards, so *at moves on behind it first. Returns what the object says.
 */
static int
sync_region(struct address_space *space, struct region *region, uintptr_t *at, uintptr_t end)
{
	struct memory_object *object = region->object;
	uintptr_t start = MAX(*at, region_start(region));
	uint64_t first = region_index(region, start), last;
	int error;

	*at = MIN(end, region_end(region));
	last = region_index(region, *at - 1) + 1;
	if (!object || !object->ops->sync || region_is_private(region))
		return 0;
	object->ops->get(object);
	mutex_unlock(&space->lock);
	error = object->ops->sync(object, first, last);
	object->ops->put(object);
	mutex_lock(&space->lock);
	return error;
}

/* MS_ASYNC asks for no more than what happens anyway: pages that are dirty are known to be. */
int
space_sync(struct address_space *space, uintptr_t start, size_t length, int flags)
{
	struct region *region;
	int error = 0;

	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || !IS_ALIGNED(start, PAGE_SIZE) ||
	    ((flags & MS_ASYNC) && (flags & MS_SYNC)))
		return -EINVAL;
	if (length == 0)
		return 0;
	if (space_check_range(start, &length) != 0)
		return -ENOMEM;
	mutex_lock(&space->lock);
	if (!regions_cover(space, start, start + length))
		error = -ENOMEM;
	for (region = region_find_from(space, start);
	     region && region_start(region) < start + length; region = region_next(region)) {
		if ((flags & MS_INVALIDATE) && (region->flags & MAP_LOCKED)) {
			error = -EBUSY;
			break;
		}
	}
	for (uintptr_t at = start; (flags & MS_SYNC) && at < start + length && error != -EBUSY;) {
		int now;

		region = region_find_from(space, at);
		if (!region || region_start(region) >= start + length)
			break;
		now = sync_region(space, region, &at, start + length);
		error = now ? now : error;
	}
	mutex_unlock(&space->lock);
	return error;
}
