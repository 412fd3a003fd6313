/* SPDX-License-Identifier: MIT */
/* Lab 4, graded cases: regions, at first by themselves, then by the calls that change them. */
#include "lab.h"
#include <errno.h>

/* The region that each page of the arena lies in. */
static struct region *owner[ARENA_PAGES];

static struct region *
new_region(struct lab *lab, unsigned file, unsigned flags, size_t page)
{
	struct region_spares spares = { .nr = 0 };
	struct region *region;

	assert_eq(lab->t, regions_reserve(&spares, 1), 0);
	region = regions_take_spare(&spares);
	*region = (struct region){
		.prot = RW,
		.max_prot = PROT_ALL,
		.flags = flags,
		.object = file == ANON ? NULL : &lab->file[file].cache.object,
		.offset = page,
		.home = lab4_page(lab, page) >> PAGE_SHIFT,
	};
	return region;
}

static bool
is_free_here(size_t page, size_t pages)
{
	for (size_t i = page; i < page + pages; i++) {
		if (owner[i])
			return false;
	}
	return true;
}

static void
own(struct region *region, size_t page, size_t pages)
{
	for (size_t i = page; i < page + pages; i++)
		owner[i] = region;
}

static void
log_link(const struct region *region)
{
	evidence_log(EV_LINK, 0, (uintptr_t)region, region_start(region), region_end(region));
}

/* Link a new region where there is room for it; else take out what is in the way. */
static void
link_or_unlink(struct lab *lab, unsigned file)
{
	struct address_space *space = lab->space[0];
	size_t page, pages = 1 + prng_below(&lab->t->prng, 9);
	struct list_head dead = LIST_INIT(dead);
	struct region *region;

	page = prng_below(&lab->t->prng, ARENA_PAGES + 1 - pages);
	if (is_free_here(page, pages)) {
		region = new_region(lab, file, file == ANON ? MAP_PRIVATE : MAP_SHARED, page);
		mutex_lock(&space->lock);
		region_link(space, region, lab4_page(lab, page), lab4_page(lab, page + pages));
		mutex_unlock(&space->lock);
		log_link(region);
		own(region, page, pages);
		return;
	}
	while (!owner[page])
		page++;
	region = owner[page];
	log_link(region);
	for (size_t i = 0; i < ARENA_PAGES; i++) {
		if (owner[i] == region)
			owner[i] = NULL;
	}
	mutex_lock(&space->lock);
	space->last = region;
	region_unlink(region, &dead);
	expect_true(lab->t, space->last == NULL);
	mutex_unlock(&space->lock);
	regions_bury(&dead);
}

static void
log_found(unsigned which, uintptr_t address, const struct region *region)
{
	evidence_log(EV_FOUND, which, address, region ? region_start(region) : 1,
		     region ? region_end(region) : 1);
}

static void
find(struct lab *lab)
{
	struct address_space *space = lab->space[0];
	uintptr_t address = lab4_page(lab, prng_below(&lab->t->prng, ARENA_PAGES));

	address += prng_below(&lab->t->prng, 2) * (PAGE_SIZE - 1);
	mutex_lock(&space->lock);
	log_found(0, address, region_find(space, address));
	log_found(1, address, region_find_from(space, address));
	mutex_unlock(&space->lock);
}

/* The region at an address, and the first that ends behind it. */
KTEST(spaces, lookup)
{
	struct lab *lab = lab4_begin(t);

	lab4_space(lab, 0);
	own(NULL, 0, ARENA_PAGES);
	for (unsigned i = 0; i < 500; i++) {
		if (prng_below(&t->prng, 2))
			link_or_unlink(lab, ANON);
		else
			find(lab);
	}
	mutex_lock(&lab->space[0]->lock);
	log_found(1, 0, region_find_from(lab->space[0], 0));
	log_found(1, USER_END - 1, region_find_from(lab->space[0], USER_END - 1));
	mutex_unlock(&lab->space[0]->lock);
}

/* A region that shows a file has a reference to it, and is in its list, as long as it is there. */
KTEST(spaces, link)
{
	struct lab *lab = lab4_begin(t);

	lab4_space(lab, 0);
	lab4_file(lab, 0, FILE_PAGES);
	own(NULL, 0, ARENA_PAGES);
	for (unsigned i = 0; i < 120; i++) {
		link_or_unlink(lab, prng_below(&t->prng, 3) ? 0 : ANON);
		if (i % 4 == 0)
			find(lab);
		lab4_object(lab, 0);
	}
}

static void
log_part(struct lab *lab, const struct region *region)
{
	evidence_log(EV_PART, region->object == &lab->file[0].cache.object ? 0 : ANON,
		     region_start(region), region_end(region), region->offset);
	evidence_log(EV_HOME, region->prot | region->max_prot << 8, region->home, region->lowest,
		     region->flags);
}

/* Cut one region of each kind again and again, and look at all parts. */
KTEST(spaces, split)
{
	struct lab *lab = lab4_begin(t);
	struct address_space *space;

	lab4_space(lab, 0);
	lab4_file(lab, 0, FILE_PAGES);
	space = lab->space[0];
	for (unsigned kind = 0; kind < 3; kind++) {
		static const unsigned flags[] = { MAP_PRIVATE, MAP_SHARED,
						  MAP_PRIVATE | MAP_GROWSDOWN };
		struct region *region =
		    new_region(lab, kind == 1 ? 0 : ANON, flags[kind], prng_below(&t->prng, 500));
		uintptr_t start = lab4_page(lab, kind * 32);

		region->lowest = kind == 2 ? start - MiB(1) : 0;
		region->home += prng_below(&t->prng, 2) * 7;
		mutex_lock(&space->lock);
		region_link(space, region, start, start + 32 * PAGE_SIZE);
		mutex_unlock(&space->lock);
		for (unsigned i = 0; i < 12; i++) {
			struct region_spares spares = { .nr = 0 };
			uintptr_t at = start + prng_below(&t->prng, 32) * PAGE_SIZE;

			mutex_lock(&space->lock);
			region = region_find(space, at);
			assert_true(t, region != NULL);
			if (region_start(region) != at) {
				assert_eq(t, regions_reserve(&spares, 1), 0);
				region = region_split(region, at, &spares);
				log_part(lab, region_find(space, at - 1));
				log_part(lab, region);
			}
			mutex_unlock(&space->lock);
		}
	}
	for (struct region *at = region_find_from(space, 0); at; at = region_next(at))
		log_part(lab, at);
	lab4_object(lab, 0);
	evidence_log(EV_CHECK, 0, range_tree_check(&space->regions), 0, 0);
}

static void
log_cover(struct lab *lab)
{
	size_t page, pages = lab4_random_length(lab, &page);
	struct address_space *space = lab->space[0];
	bool covered;

	mutex_lock(&space->lock);
	covered = regions_cover(space, lab4_page(lab, page), lab4_page(lab, page + pages));
	mutex_unlock(&space->lock);
	evidence_log(EV_FOUND, 2, lab4_page(lab, page), covered, lab4_page(lab, page + pages));
}

/* Is every page of a range in some region? */
KTEST(spaces, cover)
{
	struct lab *lab = lab4_begin(t);

	lab4_space(lab, 0);
	for (unsigned i = 0; i < 60; i++) {
		lab4_trace(lab, 2, TRACE_MAP);
		for (unsigned k = 0; k < 4; k++)
			log_cover(lab);
	}
}

/* ---- Calls that change them ------------------------------------------------------------- */

/* Mappings and their rights come and go: neighbours that are alike are one region. */
KTEST(spaces, merge)
{
	static const unsigned prots[] = { RO, PROT_WRITE, RW };
	struct lab *lab = lab4_begin(t);

	lab4_space(lab, 0);
	lab4_file(lab, 0, FILE_PAGES);
	for (unsigned i = 0; i < 200; i++) {
		size_t page = 8 * prng_below(&t->prng, ARENA_PAGES / 8);
		/* What may only be written has the entries of what may be read, too, and differs.
		 */
		unsigned prot = prots[prng_below(&t->prng, ARRAY_SIZE(prots))];
		unsigned flags = prng_below(&t->prng, 4) ? MAP_SHARED : MAP_PRIVATE, offset;
		size_t to;

		switch (prng_below(&t->prng, 7)) {
		case 0:
			lab4_map(lab, 0, page, 8, prot);
			break;
		case 1:
		case 2: /* mostly pages of the file in order, so that they go together */
			offset = (unsigned)page + (prng_below(&t->prng, 4) ? 0 : 8);
			lab4_map_file(lab, 0, page, 8, prot, 0, offset, flags,
				      prng_below(&t->prng, 4) ? PROT_ALL : RW);
			break;
		case 3: /* what is moved keeps its home */
			to = 8 * prng_below(&t->prng, ARENA_PAGES / 8);
			lab4_map(lab, 0, page, 8, prot);
			if (to != page)
				lab4_move(lab, 0, page, 8, to);
			break;
		case 4: /* also where there are holes */
			lab4_advise(lab, 0, page, ARENA_PAGES - page,
				    prng_below(&t->prng, 2) ? MADV_DONTFORK : MADV_DOFORK);
			break;
		default:
			lab4_protect(lab, 0, page, 16 - page / (ARENA_PAGES - 8) * 8, prot);
		}
		lab4_regions(lab, 0);
	}
	lab4_object(lab, 0);
	lab4_end(lab);
}

/* munmap(): holes are cut wherever they are wanted, and pages go with the regions. */
KTEST(spaces, unmap)
{
	struct lab *lab = lab4_begin(t);

	lab4_frames(lab);
	lab4_space(lab, 0);
	for (unsigned i = 0; i < LAB_FILES; i++)
		lab4_file(lab, i, FILE_PAGES);
	for (unsigned i = 0; i < 40; i++) {
		size_t page, pages;

		lab4_trace(lab, 12, TRACE_MAP | TRACE_FILES | TRACE_TOUCH);
		pages = lab4_random_length(lab, &page);
		lab4_unmap(lab, 0, page, pages);
		lab4_regions(lab, 0);
		lab4_counts(lab, 0);
	}
	lab4_object(lab, 0);
	lab4_end(lab);
}

/* mprotect(): what is promised, and what the entries of pages that are there allow. */
KTEST(spaces, protect)
{
	struct lab *lab = lab4_begin(t);

	lab4_space(lab, 0);
	for (unsigned i = 0; i < LAB_FILES; i++)
		lab4_file(lab, i, FILE_PAGES);
	lab4_map(lab, 0, 0, 40, RW);
	lab4_map_file(lab, 0, 40, 20, RO, 0, 3, MAP_SHARED, RO);
	lab4_map_file(lab, 0, 64, 32, RW, 1, 0, MAP_PRIVATE, PROT_ALL);
	for (unsigned i = 0; i < 30; i++) {
		lab4_trace(lab, 16, TRACE_PROTECT | TRACE_TOUCH);
		lab4_regions(lab, 0);
	}
	lab4_end(lab);
}
