/* SPDX-License-Identifier: MIT */
/*
 * Regions: what a program may expect at which address.
 *
 * PROBLEM. A program has text, data, a heap, a stack, libraries and what else it maps: stretches
 * of pages with the same rights and the same source. System calls cut them anywhere; each fault
 * looks one up.
 *
 * IDEA. Half-open ranges that do not overlap, in a balanced tree by address, which also knows
 * the gaps (range_tree.c):
 *
 *	[text r-x) [rodata r--) [data rw-)  [heap rw-)  ........  [mmap rw-) .... [stack rw-)
 *
 * A call on [start, end) first cuts the regions at both ends, which takes up to two more
 * regions, reserved before anything is changed. Then it deals with whole ones, and afterwards
 * unites neighbours that have become alike, so that regions do not become more and more:
 *
 *	     [        A        )                    start    end
 *	cut  [  A   )[  A  )[A )                      |        |
 *	     [  A   )[  B  )[A )  changed             v        v
 *
 * A huge page lies in one region: one that a cut goes through is split (huge_page.c).
 *
 * A region counts for one reference to its object and is in the object's list, so that a file that
 * is cut short finds all who show it. home says where its first page was when it was mapped: the
 * anonymous pages of a region that mremap() moved keep their old numbers, and only that is
 * written in the page. See reverse_map.c.
 *
 * INVARIANTS: those of the range tree; shared regions have an object; regions of one object are in
 * its list; a region is in space->moved if and only if home is not where it begins.
 *
 * LOCKING. space->lock for the tree; object->lock, inside of it, for the object's list. Who holds
 * only that may also read where a region is: its limits change under both. A reference to an
 * object is dropped without any lock, as that may close a file.
 */
#include <errno.h>
#include <slab.h>

#include "space_internal.h"

static KMEM_CACHE(region_cache, "region", sizeof(struct region), 0, 0, NULL);

static struct region *
region_of(struct range *range)
{
	return range ? container_of(range, struct region, range) : NULL;
}

/* ---- Spares ------------------------------------------------------------------------ */

int
regions_reserve(struct region_spares *spares, unsigned nr)
{
	ASSERT_LE(spares->nr + nr, SPARES_MAX);
	for (; nr > 0; nr--) {
		struct region *region = kmem_cache_alloc(&region_cache, GFP_KERNEL);

		if (!region)
			return -ENOMEM;
		spares->region[spares->nr++] = region;
	}
	return 0;
}

void
regions_release(struct region_spares *spares)
{
	while (spares->nr > 0)
		kmem_cache_free(&region_cache, spares->region[--spares->nr]);
}

struct region *
regions_take_spare(struct region_spares *spares)
{
	ASSERT(spares->nr > 0);
	return spares->region[--spares->nr];
}

/* ---- In and out ---------------------------------------------------------------------- */

/* For changes to where a region of an object is. */
static irqflags_t
lock_object(const struct region *region)
{
	return region->object ? spin_lock_irqsave(&region->object->lock) : 0;
}

static void
unlock_object(const struct region *region, irqflags_t irq)
{
	if (region->object)
		spin_unlock_irqrestore(&region->object->lock, irq);
}

static bool
is_moved(const struct region *region)
{
	return region->home != region_start(region) >> PAGE_SHIFT;
}

/* Enter it in the tree, and in the list of those that are not at home. */
static void
insert(struct address_space *space, struct region *region, uintptr_t start, uintptr_t end)
{
	range_insert(&space->regions, &region->range, start, end);
	if (is_moved(region))
		list_add(&region->moved_link, &space->moved);
}

static void
erase(struct address_space *space, struct region *region)
{
	if (is_moved(region))
		list_del(&region->moved_link);
	range_erase(&space->regions, &region->range);
}

void
region_link(struct address_space *space, struct region *region, uintptr_t start, uintptr_t end)
{
	irqflags_t irq;

	assert_space_locked(space);
	region->space = space;
	if (region->object)
		region->object->ops->get(region->object);
	irq = lock_object(region);
	insert(space, region, start, end);
	/* At the end: whoever walks the list has not been there yet. See reverse_map.c. */
	if (region->object)
		list_add_tail(&region->object_link, &region->object->regions);
	unlock_object(region, irq);
}

void
region_unlink(struct region *region, struct list_head *dead)
{
	struct address_space *space = region->space;
	irqflags_t irq;

	assert_space_locked(space);
	space->last = NULL;
	irq = lock_object(region);
	if (region->object)
		list_del(&region->object_link);
	erase(space, region);
	unlock_object(region, irq);
	list_add(&region->object_link, dead);
}

void
regions_bury(struct list_head *dead)
{
	struct region *region, *tmp;

	list_for_each_entry_safe (region, tmp, dead, object_link) {
		if (region->object)
			region->object->ops->put(region->object);
		kmem_cache_free(&region_cache, region);
	}
	list_init(dead);
}

/* ---- Cutting and uniting --------------------------------------------------------------- */

void
region_grow_up(struct region *region, uintptr_t end)
{
	irqflags_t irq = lock_object(region);

	region->range.end = end;
	tree_update(&region->space->regions.tree, &region->range.node);
	unlock_object(region, irq);
}

struct region *
region_split(struct region *region, uintptr_t address, struct region_spares *spares)
{
	struct region *upper = regions_take_spare(spares), copy = *region;
	uintptr_t end = region_end(region);

	huge_split_at(region->space, address);
	copy.offset = region_index(region, address);
	copy.home = region_home(region, address);
	copy.lowest = region->flags & MAP_GROWSDOWN ? address : region->lowest;
	copy.object_link = (struct list_head){ NULL, NULL };
	region_grow_up(region, address);
	*upper = copy;
	region_link(region->space, upper, address, end);
	return upper;
}

/* May the two, side by side, be one? */
static bool
are_alike(const struct region *lower, const struct region *upper)
{
	if (region_end(lower) != region_start(upper) || lower->object != upper->object)
		return false;
	if (lower->object && lower->offset + region_pages(lower) != upper->offset)
		return false;
	if (lower->home + region_pages(lower) != upper->home)
		return false;
	return lower->prot == upper->prot && lower->rights == upper->rights &&
	       lower->max_prot == upper->max_prot && lower->flags == upper->flags;
}

void
regions_merge(struct address_space *space, uintptr_t start, uintptr_t end, struct list_head *dead)
{
	struct region *upper = region_find_from(space, end), *lower;

	/* From the highest pair that touches the range down. */
	if (!upper && !(upper = region_find_from(space, start > 0 ? start - 1 : 0)))
		return;
	while ((lower = region_next(upper)) && region_start(lower) <= end)
		upper = lower;
	while ((lower = region_prev(upper)) && region_end(lower) >= start) {
		uintptr_t upper_end = region_end(upper);

		if (region_start(upper) <= end && are_alike(lower, upper)) {
			region_unlink(upper, dead);
			region_grow_up(lower, upper_end);
		}
		upper = lower;
	}
}

/* Move the lower end of a region down. */
void
region_grow_down(struct region *region, uintptr_t start)
{
	struct address_space *space = region->space;
	uintptr_t end = region_end(region);

	assert_space_locked(space);
	erase(space, region);
	for (uintptr_t at = region_start(region); at > start; at -= PAGE_SIZE) {
		region->offset--;
		region->home--;
	}
	insert(space, region, start, end);
}

/* ---- Finding ----------------------------------------------------------------------------- */

/* A way down for every fault: right of what ends before the address, else left for a lower one. */
struct region *
region_find_from(struct address_space *space, uintptr_t address)
{
	struct tree_node *node = tree_floor(&space->regions.tree, address);
	struct region *region = node ? region_of(container_of(node, struct range, node)) : NULL;

	if (!region)
		return region_of(range_first(&space->regions));
	return region_end(region) > address ? region : region_next(region);
}

struct region *
region_find(struct address_space *space, uintptr_t address)
{
	struct region *region = region_find_from(space, address);

	return region && region_start(region) <= address ? region : NULL;
}

struct region *
region_next(const struct region *region)
{
	return region_of(range_next(&region->range));
}

struct region *
region_prev(const struct region *region)
{
	return region_of(range_prev(&region->range));
}

bool
regions_cover(struct address_space *space, uintptr_t start, uintptr_t end)
{
	struct region *region;

	for (region = region_find(space, start); region; region = region_next(region)) {
		if (region_start(region) > start)
			return false;
		start = region_end(region);
		if (start >= end)
			return true;
	}
	return false;
}

/* Does a region begin before address and end behind it? */
static bool
is_inside(struct address_space *space, uintptr_t address)
{
	struct region *region = region_find(space, address);

	return region && region_start(region) < address;
}

unsigned
regions_cuts(struct address_space *space, uintptr_t start, uintptr_t end)
{
	return is_inside(space, start) + is_inside(space, end);
}

void
regions_cut(struct address_space *space, uintptr_t start, uintptr_t end,
	    struct region_spares *spares)
{
	uintptr_t places[] = { end, start };

	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		struct region *region = region_find_from(space, places[i]);

		if (region && region_start(region) < places[i])
			(void)region_split(region, places[i], spares);
	}
}
