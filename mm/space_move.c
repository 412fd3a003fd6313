/* SPDX-License-Identifier: MIT */
/*
 * mremap(): a mapping becomes larger, smaller, or is found somewhere else, without its pages being
 * copied.
 *
 *	shrink        [   A   )          [ A )            the tail is unmapped
 *	grow          [ A )....          [   A   )        if there is room behind it
 *	move          [ A )[ B )   [...] ......[ B ) [ A ...]   entries go from table to table
 *
 * To move, tables are made at the new place before anything is taken from the old one, so that
 * a shortage changes nothing. (What was at an address given by MREMAP_FIXED is gone all the same,
 * as Linux has it.) The region keeps its home: see reverse_map.c.
 *
 * LOCKING. space->lock.
 */
#include <errno.h>

#include "space_internal.h"

struct move {
	uintptr_t from, to;
	size_t old_length, new_length;
	unsigned flags; /* MREMAP_* */
};

/* The errors that follow from the arguments alone. */
static int
check_move(struct move *move)
{
	unsigned flags = move->flags;
	bool placed = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);

	if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) ||
	    (placed && !(flags & MREMAP_MAYMOVE)))
		return -EINVAL;
	if (!IS_ALIGNED(move->from, PAGE_SIZE) || move->new_length == 0 ||
	    move->new_length > USER_END || move->old_length > USER_END)
		return -EINVAL;
	move->old_length = ALIGN_UP(move->old_length, PAGE_SIZE);
	move->new_length = ALIGN_UP(move->new_length, PAGE_SIZE);
	if ((flags & MREMAP_DONTUNMAP) && move->old_length != move->new_length)
		return -EINVAL;
	if (!(flags & MREMAP_FIXED))
		return 0;
	if (!IS_ALIGNED(move->to, PAGE_SIZE) || move->to > USER_END - move->new_length)
		return -EINVAL;
	if (move->to < USER_MIN)
		return -EPERM;
	if (move->to < move->from + move->old_length && move->from < move->to + move->new_length)
		return -EINVAL;
	return 0;
}

/* May the region be resized in this way? What is left of it after a shrink is old_length long. */
static int
check_region(struct address_space *space, const struct move *move, const struct region *region)
{
	if (move->old_length == 0 && region_is_private(region))
		return -EINVAL;
	if (move->old_length > region_end(region) - move->from)
		return -EFAULT;
	if (region->object &&
	    region_index(region, move->from) + (move->new_length >> PAGE_SHIFT) < region->offset)
		return -EINVAL;
	return has_too_many_regions(space, 3) ? -ENOMEM : 0;
}

/* Bring in what has been added to a mapping that is locked into memory. */
static void
populate_added(struct address_space *space, const struct move *move, uintptr_t at)
{
	struct region *region = region_find(space, at);

	if (region && (region->flags & MAP_LOCKED) && !(region->flags & REGION_LOCK_ON_FAULT))
		(void)!populate(space, at + move->old_length, at + move->new_length);
}

/* Grow where it is. Returns whether that could be done. */
static bool
grow_in_place(struct address_space *space, const struct move *move, struct region *region,
	      struct list_head *dead)
{
	uintptr_t old_end = move->from + move->old_length;
	uintptr_t end = move->from + move->new_length;

	if (move->old_length == 0 || region_end(region) != old_end || end < old_end ||
	    !is_free(space, old_end, end))
		return false;
	region_grow_up(region, end);
	space_count_mapped(space, (int64_t)((end - old_end) >> PAGE_SHIFT));
	populate_added(space, move, move->from);
	regions_merge(space, move->from, end, dead);
	return true;
}

/* A region like the part of region from move->from on, at its new place. */
static void
link_moved(struct address_space *space, const struct move *move, const struct region *region,
	   struct region_spares *spares)
{
	struct region *moved = regions_take_spare(spares);

	*moved = (struct region){
		.prot = region->prot,
		.rights = region->rights,
		.max_prot = region->max_prot,
		.flags = region->flags,
		.object = region->object,
		.offset = region_index(region, move->from),
		.home = region_home(region, move->from),
		.lowest = region->flags & MAP_GROWSDOWN ? move->to : 0,
	};
	region_link(space, moved, move->to, move->to + move->new_length);
	space_count_mapped(space, (int64_t)(move->new_length >> PAGE_SHIFT));
}

/* Move to move->to, which is free. Spares for the cuts and one region. */
static int
move_locked(struct address_space *space, const struct move *move, struct region_spares *spares,
	    struct list_head *dead)
{
	uintptr_t end = move->from + move->old_length;
	struct region *region;
	struct gather gather;
	int error;

	gather_begin(&gather, space);
	error = prepare_move(space, move->from, end, move->to);
	if (!error) {
		if (move->old_length > 0)
			regions_cut(space, move->from, end, spares);
		region = region_find(space, move->from);
		link_moved(space, move, region, spares);
		move_pages(&gather, move->from, end, move->to);
		if (move->old_length > 0 && !(move->flags & MREMAP_DONTUNMAP)) {
			space_count_mapped(space, -(int64_t)region_pages(region));
			region_unlink(region, dead);
		}
	} else {
		prune_tables(&gather, move->to, move->to + move->new_length);
	}
	gather_end(&gather);
	if (error)
		return error;
	populate_added(space, move, move->to);
	regions_merge(space, move->to, move->to + move->new_length, dead);
	return 0;
}

/* Cut off what is behind the new length. */
static int
shrink(struct address_space *space, struct move *move, struct region_spares *spares,
       struct list_head *dead)
{
	uintptr_t start = move->from + move->new_length, end = move->from + move->old_length;

	if (has_too_many_regions(space, 3) ||
	    regions_reserve(spares, regions_cuts(space, start, end)) != 0)
		return -ENOMEM;
	unmap_locked(space, start, end, spares, dead);
	move->old_length = move->new_length;
	return 0;
}

/* Find the new place, or clear it, and move there. */
static int
move_away(struct address_space *space, struct move *move, struct region_spares *spares,
	  struct list_head *dead)
{
	uintptr_t end = move->from + move->old_length;
	unsigned needs = 1 + regions_cuts(space, move->from, end);

	if (!(move->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	if (move->flags & MREMAP_FIXED)
		needs += regions_cuts(space, move->to, move->to + move->new_length);
	else if (!find_place(space, move->new_length, move->flags & MREMAP_DONTUNMAP ? move->to : 0,
			     &move->to))
		return -ENOMEM;
	if (regions_reserve(spares, needs) != 0)
		return -ENOMEM;
	if (move->flags & MREMAP_FIXED)
		unmap_locked(space, move->to, move->to + move->new_length, spares, dead);
	return move_locked(space, move, spares, dead);
}

static int
remap_locked(struct address_space *space, struct move *move, struct region_spares *spares,
	     struct list_head *dead)
{
	bool placed = move->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
	struct region *region = region_find(space, move->from);
	int error;

	if (!region)
		return -EFAULT;
	if (move->old_length > move->new_length) {
		error = shrink(space, move, spares, dead);
		if (error)
			return error;
		region = region_find(space, move->from);
	}
	if (move->old_length == move->new_length && !placed) {
		move->to = move->from;
		return 0;
	}
	error = check_region(space, move, region);
	if (error)
		return error;
	if (!placed && grow_in_place(space, move, region, dead)) {
		move->to = move->from;
		return 0;
	}
	return move_away(space, move, spares, dead);
}

int
space_remap(struct address_space *space, uintptr_t old, size_t old_length, size_t new_length,
	    unsigned flags, uintptr_t new_hint, uintptr_t *result)
{
	struct move move = { old, new_hint, old_length, new_length, flags };
	struct region_spares spares = { .nr = 0 };
	struct list_head dead = LIST_INIT(dead);
	int error = check_move(&move);

	if (error)
		return error;
	mutex_lock(&space->lock);
	error = remap_locked(space, &move, &spares, &dead);
	mutex_unlock(&space->lock);
	regions_release(&spares);
	regions_bury(&dead);
	if (!error)
		*result = move.to;
	return error;
}
