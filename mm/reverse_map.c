/* SPDX-License-Identifier: MIT */
/*
 * The way back: from a page to every entry that leads to it.
 *
 * PROBLEM. A file that is cut short must disappear from all address spaces; a frame that is to be
 * moved or evicted must be taken out of every page table. Page tables lead from addresses to
 * frames. Keeping a list of entries for each page would cost memory and time for every page
 * mapped, and again at every fork().
 *
 * IDEA. Keep nothing for each page but where to look:
 *
 *	page of a file    owner: its page cache -> all regions that show it
 *	                  index: which page     -> address = start + (index - offset)
 *
 *	anonymous page    owner: the family     -> all spaces that came from one another by fork()
 *	                  index: its home       -> address = home, in each of them
 *
 * Home is the number of the page at which it was first mapped. fork() keeps addresses, so the
 * page is at home in all of the family, or nowhere; unless mremap() has moved its region: the
 * few regions that are not at home are on a list of their space, and each is asked.
 *
 *	family --> space A: region_find(home) -> entry leads to page?   yes
 *	       --> space B: region_find(home) -> entry leads to page?   no: it has its own copy
 *	       --> space B: moved regions     -> entry leads to page?   ...
 *
 * The entry decides; so a page that happens to have the same home as another does no harm.
 *
 * WALKING a list of regions and locking the spaces on it at the same time: a region's space is
 * locked outside of the object's lock. So the walker leaves a cursor in the list, a region
 * without a space, and lets go of the object's lock. New regions are put at the end of the list,
 * those of a child behind those of its parent; therefore whatever is shown to somebody before he
 * has been visited is still to come.
 *
 * LOCKING. spaces_lock, so that no space is freed; then each space's own, one at a time.
 */
#include <page_cache.h>

#include "space_internal.h"

/* ---- Pages of an object ------------------------------------------------------------- */

/* What is to be done with pages [first, end) of an object. */
struct object_walk {
	struct memory_object *object;
	uint64_t first, end;
	bool private; /* when they are taken out: with the copies of private regions */
	/* to the addresses [start, end), at which a region shows some of them */
	void (*fn)(struct gather *gather, const struct object_walk *walk, struct region *region,
		   uintptr_t start, uintptr_t end);
};

static void
unmap_part(struct gather *gather, const struct object_walk *walk, struct region *region,
	   uintptr_t start, uintptr_t end)
{
	(void)region;
	unmap_pages(gather, start, end, walk->private);
}

static void
protect_part(struct gather *gather, const struct object_walk *walk, struct region *region,
	     uintptr_t start, uintptr_t end)
{
	(void)walk;
	if (!region_is_private(region))
		write_protect_pages(gather, start, end);
}

/* In all regions of a space. */
static void
walk_space(const struct object_walk *walk, struct address_space *space)
{
	struct region *region;
	struct gather gather;

	mutex_lock(&space->lock);
	gather_begin(&gather, space);
	for (region = region_find_from(space, 0); region; region = region_next(region)) {
		uint64_t offset = region->offset, low, high;

		if (region->object != walk->object)
			continue;
		low = MAX(walk->first, offset);
		high = MIN(walk->end, offset + region_pages(region));
		if (low < high)
			walk->fn(&gather, walk, region,
				 region_start(region) + ((low - offset) << PAGE_SHIFT),
				 region_start(region) + ((high - offset) << PAGE_SHIFT));
	}
	gather_end(&gather);
	mutex_unlock(&space->lock);
}

/* Move the cursor behind the next region of a space. Returns that space, or NULL at the end. */
static struct address_space *
next_space(struct memory_object *object, struct region *cursor)
{
	struct address_space *space = NULL;
	irqflags_t irq = spin_lock_irqsave(&object->lock);

	while (!space && cursor->object_link.next != &object->regions) {
		struct list_head *next = cursor->object_link.next;

		space = list_entry(next, struct region, object_link)->space;
		list_del(&cursor->object_link);
		list_add(&cursor->object_link, next);
	}
	spin_unlock_irqrestore(&object->lock, irq);
	return space;
}

static void
walk_spaces(const struct object_walk *walk)
{
	struct memory_object *object = walk->object;
	struct region cursor = { .space = NULL };
	struct address_space *space, *last = NULL;
	irqflags_t irq = spin_lock_irqsave(&object->lock);
	bool is_mapped = !list_empty(&object->regions);

	if (is_mapped)
		list_add(&cursor.object_link, &object->regions);
	spin_unlock_irqrestore(&object->lock, irq);
	if (!is_mapped)
		return;
	mutex_lock(&spaces_lock);
	while ((space = next_space(object, &cursor))) {
		if (space != last)
			walk_space(walk, space);
		last = space;
	}
	irq = spin_lock_irqsave(&object->lock);
	list_del(&cursor.object_link);
	spin_unlock_irqrestore(&object->lock, irq);
	mutex_unlock(&spaces_lock);
}

void
memory_object_unmap(struct memory_object *object, uint64_t first, uint64_t end, bool private)
{
	struct object_walk walk = { object, first, end, private, unmap_part };

	walk_spaces(&walk);
}

bool
memory_object_is_writable(struct memory_object *object)
{
	irqflags_t irq = spin_lock_irqsave(&object->lock);
	struct region *region;
	bool writable = false;

	list_for_each_entry (region, &object->regions, object_link)
		writable |=
		    region->space && !region_is_private(region) && region->max_prot & PROT_WRITE;
	spin_unlock_irqrestore(&object->lock, irq);
	return writable;
}

void
memory_object_write_protect(struct memory_object *object, uint64_t first, uint64_t end)
{
	struct object_walk walk = { object, first, end, false, protect_part };

	walk_spaces(&walk);
}

/* ---- Every entry that leads to a page --------------------------------------------------- */

/* Who looks for the entries of a page, and what for. */
struct mapping_walk {
	struct page *page;
	mapping_fn fn;
	void *arg;
	size_t nr; /* found */
};

/* The page, if it is there, is at that address of the space. */
static void
visit(struct mapping_walk *walk, struct address_space *space, uintptr_t address)
{
	mmu_entry_t entry = page_table_lookup(&space->table, address);

	if (!entry || entry_page(entry) != walk->page)
		return;
	walk->nr++;
	if (walk->fn)
		walk->fn(space, address, walk->arg);
}

/* Where would the page with that home be in a region? */
static void
visit_home(struct mapping_walk *walk, struct region *region, uint64_t home)
{
	if (!region_is_private(region) || home < region->home ||
	    home - region->home >= region_pages(region))
		return;
	visit(walk, region->space, region_start(region) + ((home - region->home) << PAGE_SHIFT));
}

static void
walk_anonymous(struct mapping_walk *walk, struct space_family *family)
{
	uint64_t home = user_page(walk->page)->index;
	struct address_space *space;

	list_for_each_entry (space, &family->spaces, kin) {
		struct region *region;

		mutex_lock(&space->lock);
		region = region_find(space, home << PAGE_SHIFT);
		if (region && region->home == region_start(region) >> PAGE_SHIFT)
			visit_home(walk, region, home);
		list_for_each_entry (region, &space->moved, moved_link)
			visit_home(walk, region, home);
		mutex_unlock(&space->lock);
	}
}

/* In all regions of one space that show the object. */
static void
walk_object_in(struct mapping_walk *walk, struct address_space *space, struct memory_object *object)
{
	uint64_t index = user_page(walk->page)->index;
	struct region *region;

	mutex_lock(&space->lock);
	for (region = region_find_from(space, 0); region; region = region_next(region)) {
		if (region->object == object && index >= region->offset &&
		    index - region->offset < region_pages(region))
			visit(walk, space,
			      region_start(region) + ((index - region->offset) << PAGE_SHIFT));
	}
	mutex_unlock(&space->lock);
}

/* Spaces, not regions, are visited, as a space may have any number of regions of the object. */
static void
walk_file(struct mapping_walk *walk, struct memory_object *object)
{
	struct address_space *space;

	list_for_each_entry (space, &all_spaces, all)
		walk_object_in(walk, space, object);
}

size_t
page_each_mapping(struct page *page, mapping_fn fn, void *arg)
{
	struct mapping_walk walk = { .page = page, .fn = fn, .arg = arg };

	mutex_lock(&spaces_lock);
	/* With a mapping, and nobody able to leave, its family is there. */
	if (page_mappings(page) > 0) {
		if (page_is_anonymous(page))
			walk_anonymous(&walk, (struct space_family *)page->owner);
		else
			walk_file(&walk, &((struct page_cache *)page->owner)->object);
	}
	mutex_unlock(&spaces_lock);
	return walk.nr;
}
