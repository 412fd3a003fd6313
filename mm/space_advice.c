/* SPDX-License-Identifier: MIT */
/*
 * What a program says about memory that it has, and asks about it: madvise(), mlock(), mincore(),
 * msync().
 *
 * Advice is taken where it changes what a program can see (DONTNEED: the contents go; REMOVE: those
 * of the file, too; DONTFORK: a child does not get it; WIPEONFORK: it gets zeroes), what it costs
 * (HUGEPAGE, NOHUGEPAGE: how its first touch is answered, see huge_page.c; POPULATE_READ,
 * POPULATE_WRITE: pages come now) and where pages come that were not asked for (RANDOM: no
 * fault-around, until NORMAL or SEQUENTIAL). Otherwise it is accepted and not needed: nothing is
 * read ahead, no page is taken away from a program yet (COLD, PAGEOUT), and nothing dumped.
 * MADV_FREE may forget the contents at any time from the call on; here it does so at once. Locked
 * pages are brought in, and counted.
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

/* What is said of every region in a range, until one has an error. -ENOMEM: there are holes. */
static int
check_each(struct address_space *space, uintptr_t start, uintptr_t end,
	   int (*check)(const struct region *region))
{
	struct region *region;
	int error = 0;

	mutex_lock(&space->lock);
	for (region = region_find_from(space, start);
	     !error && region && region_start(region) < end; region = region_next(region))
		error = check(region);
	if (!error && !regions_cover(space, start, end))
		error = -ENOMEM;
	mutex_unlock(&space->lock);
	return error;
}

/* COLD, PAGEOUT: not where pages are to stay. */
static int
may_be_taken(const struct region *region)
{
	return region->flags & MAP_LOCKED ? -EINVAL : 0;
}

/* WIPEONFORK: only what no file has. */
static int
may_be_wiped(const struct region *region)
{
	return region_is_private(region) && !region->object ? 0 : -EINVAL;
}

static int
wipe_on_fork(struct address_space *space, uintptr_t start, uintptr_t end)
{
	int error = check_each(space, start, end, may_be_wiped);

	return error && error != -ENOMEM ? error
					 : change_flags(space, start, end, 0, REGION_WIPE_ON_FORK);
}

/* Bring pages in for reading or for writing, until one cannot be had. */
static int
populate_for(struct address_space *space, uintptr_t start, uintptr_t end, enum fault_access access)
{
	unsigned wanted = access == FAULT_WRITE ? PROT_WRITE : PROT_READ;
	uintptr_t at = start;
	int error = 0;

	mutex_lock(&space->lock);
	while (!error && at < end) {
		struct region *region = region_find(space, at);
		uintptr_t until = region ? MIN(end, region_end(region)) : at;

		if (!region)
			error = -ENOMEM;
		else if (!(region->prot & wanted))
			error = -EINVAL;
		else
			error = populate_region(space, region, at, until, access);
		at = until;
	}
	mutex_unlock(&space->lock);
	return error;
}

/*
 * Have what a region shows of its object thrown away, with the space unlocked meanwhile: *at moves
 * on behind the region first.
 */
static int
remove_region(struct address_space *space, struct region *region, uintptr_t *at, uintptr_t end)
{
	struct memory_object *object = region->object;
	uintptr_t start = MAX(*at, region_start(region));
	uint64_t first = region_index(region, start), last;
	int error;

	*at = MIN(end, region_end(region));
	last = region_index(region, *at - 1) + 1;
	if ((region->flags & MAP_LOCKED) || !object)
		return -EINVAL;
	if (region_is_private(region) || !(region->prot & PROT_WRITE))
		return -EACCES;
	if (!object->ops->punch)
		return -EOPNOTSUPP;
	object->ops->get(object);
	mutex_unlock(&space->lock);
	error = object->ops->punch(object, first, last);
	object->ops->put(object);
	mutex_lock(&space->lock);
	return error;
}

static int
remove_range(struct address_space *space, uintptr_t start, uintptr_t end)
{
	uintptr_t at = start;
	int error = 0;
	bool holes;

	mutex_lock(&space->lock);
	holes = !regions_cover(space, start, end);
	while (!error && at < end) {
		struct region *region = region_find_from(space, at);

		if (!region || region_start(region) >= end)
			break;
		error = remove_region(space, region, &at, end);
	}
	mutex_unlock(&space->lock);
	return !error && holes ? -ENOMEM : error;
}

static int
dont_need(struct address_space *space, uintptr_t start, uintptr_t end)
{
	return discard(space, start, end, false);
}

static int
free_lazily(struct address_space *space, uintptr_t start, uintptr_t end)
{
	return discard(space, start, end, true);
}

static int
cool(struct address_space *space, uintptr_t start, uintptr_t end)
{
	return check_each(space, start, end, may_be_taken);
}

static int
populate_to_read(struct address_space *space, uintptr_t start, uintptr_t end)
{
	return populate_for(space, start, end, FAULT_READ);
}

static int
populate_to_write(struct address_space *space, uintptr_t start, uintptr_t end)
{
	return populate_for(space, start, end, FAULT_WRITE);
}

/* What is done, or else which flags of the regions change. */
static const struct {
	int (*take)(struct address_space *space, uintptr_t start, uintptr_t end);
	unsigned clear, set;
} advices[] = {
	[MADV_NORMAL] = { .clear = REGION_RANDOM },
	[MADV_RANDOM] = { .set = REGION_RANDOM },
	[MADV_SEQUENTIAL] = { .clear = REGION_RANDOM },
	[MADV_WILLNEED] = { .take = check_mapped },
	[MADV_DONTNEED] = { .take = dont_need },
	[MADV_FREE] = { .take = free_lazily },
	[MADV_REMOVE] = { .take = remove_range },
	[MADV_DONTFORK] = { .set = REGION_NO_FORK },
	[MADV_DOFORK] = { .clear = REGION_NO_FORK },
	[MADV_HUGEPAGE] = { .clear = REGION_NO_HUGE, .set = REGION_HUGE },
	[MADV_NOHUGEPAGE] = { .clear = REGION_HUGE, .set = REGION_NO_HUGE },
	[MADV_DONTDUMP] = { .set = REGION_NO_DUMP },
	[MADV_DODUMP] = { .clear = REGION_NO_DUMP },
	[MADV_WIPEONFORK] = { .take = wipe_on_fork },
	[MADV_KEEPONFORK] = { .clear = REGION_WIPE_ON_FORK },
	[MADV_COLD] = { .take = cool },
	[MADV_PAGEOUT] = { .take = cool },
	[MADV_POPULATE_READ] = { .take = populate_to_read },
	[MADV_POPULATE_WRITE] = { .take = populate_to_write },
};

static bool
is_known_advice(int advice)
{
	return advice >= 0 && (size_t)advice < ARRAY_SIZE(advices) &&
	       (advices[advice].take || advices[advice].clear || advices[advice].set);
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
	if (advices[advice].take)
		return advices[advice].take(space, start, end);
	return change_flags(space, start, end, advices[advice].clear, advices[advice].set);
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
