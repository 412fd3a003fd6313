/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: what a program sees as memory.
 *
 * PROBLEM. Every program is to have all addresses for itself, and memory where it asked for
 * some, without a frame being spent on what it never touches.
 *
 * IDEA. Two descriptions of the same thing. Regions (region.c) say what is promised; page
 * tables (page_table.c) show what has been given. They may differ in one direction only: what
 * page tables show is promised. The fault handler (demand_paging.c) gives what was promised and
 * is missing; system calls take back what is promised no more:
 *
 *	                 regions                 page tables
 *	mmap()           +                       .            nothing is given yet
 *	touch            .                       +            space_fault()
 *	mprotect()       changed                 less rights at once, more by faults
 *	munmap(), exit   -                       -            gathered, flushed, freed
 *	fork()           copied                  shared, write-protected
 *
 * An address space is also a set of CPUs, those that use its page tables at the moment:
 * space->users. A CPU joins it before it loads the tables, and leaves it after it has loaded
 * others, so that whoever changes an entry knows whom to tell. What a CPU that has left may still
 * remember is the machine's affair: see arch_mmu_flush().
 *
 * LOCKING. One mutex a space, for regions and tables alike: a fault holds it from finding the
 * region to writing the entry, so nothing that it has found out becomes untrue. Order, outermost
 * first: spaces_lock, a parent's lock, its child's, then the spin locks of objects. What a file
 * system does to give a page must not wait for anybody who touches the memory of programs.
 *
 * LEFT OUT. Limits on what a process may have (RLIMIT_AS).
 */
#include <cmdline.h>
#include <errno.h>
#include <percpu.h>
#include <slab.h>
#include <start.h>

#include "space_internal.h"
#include "space_trace.h"

static KMEM_CACHE(space_cache, "address_space", sizeof(struct address_space), 0, 0, NULL);
static KMEM_CACHE(family_cache, "space_family", sizeof(struct space_family), 0, 0, NULL);

uint64_t regions_max = 65530; /* (a) as Linux has it */
TUNABLE(regions_max, "mm.max_map_count", 16, UINT32_MAX, "regions that one address space may have");

struct mutex spaces_lock = MUTEX_INIT(spaces_lock);
struct list_head all_spaces = LIST_INIT(all_spaces);

static DEFINE_PER_CPU(struct address_space *, active_space); /* (i) whose tables it uses */
static uint64_t last_id;				     /* (a) of the youngest space */

void
space_init(void)
{
	zero_page = alloc_pages(GFP_ZERO | GFP_NOFAIL, 0);
}
START_STEP(space, space_init, START_MEMORY);

/* ---- Coming and going ------------------------------------------------------------------ */

/* Enter a space into the list of all and into its family. */
static void
enter(struct address_space *space)
{
	mutex_lock(&spaces_lock);
	list_add_tail(&space->all, &all_spaces);
	list_add_tail(&space->kin, &space->family->spaces);
	mutex_unlock(&spaces_lock);
}

/* Returns the family if it is empty now. */
static struct space_family *
leave(struct address_space *space)
{
	struct space_family *family = space->family;

	mutex_lock(&spaces_lock);
	space_retire_stats(space);
	list_del(&space->all);
	list_del(&space->kin);
	if (!list_empty(&family->spaces))
		family = NULL;
	mutex_unlock(&spaces_lock);
	return family;
}

struct address_space *
space_create_in(struct space_family *family)
{
	struct address_space *space = kmem_cache_alloc(&space_cache, GFP_ZERO);

	if (!space)
		return NULL;
	space->family = family ? family : kmem_cache_alloc(&family_cache, GFP_KERNEL);
	if (!space->family)
		goto no_family;
	if (page_table_init(&space->table) != 0)
		goto no_tables;
	if (!family)
		list_init(&space->family->spaces);
	mutex_init(&space->lock);
	space->users.id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
	space->references = 1;
	range_tree_init(&space->regions, 0, USER_END);
	list_init(&space->moved);
	space->map_top = USER_WINDOW;
	space->guard_stack = true;
	protection_init(space);
	enter(space);
	trace_space(TRACE_SPACE_NEW, space, 0);
	return space;

no_tables:
	if (!family)
		kmem_cache_free(&family_cache, space->family);
no_family:
	kmem_cache_free(&space_cache, space);
	return NULL;
}

struct address_space *
space_create(void)
{
	return space_create_in(NULL);
}

struct address_space *
space_get(struct address_space *space)
{
	unsigned now = __atomic_add_fetch(&space->references, 1, __ATOMIC_RELAXED);

	ASSERT(now > 1);
	return space;
}

/* Unmap everything, whoever it is that still looks for pages in here. */
static void
empty(struct address_space *space)
{
	struct list_head dead = LIST_INIT(dead);
	struct region *region, *next;
	struct gather gather;

	mutex_lock(&space->lock);
	gather_begin(&gather, space);
	for (region = region_find_from(space, 0); region; region = next) {
		next = region_next(region);
		unmap_pages(&gather, region_start(region), region_end(region), true);
		region_unlink(region, &dead);
	}
	prune_tables(&gather, 0, USER_END);
	gather_end(&gather);
	ASSERT_EQ(space->nr_resident, 0);
	ASSERT_EQ(space->nr_huge, 0);
	mutex_unlock(&space->lock);
	regions_bury(&dead);
}

void
space_put(struct address_space *space)
{
	struct space_family *family;

	if (__atomic_sub_fetch(&space->references, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	if (space->users.cpus != 0)
		panic("address space: CPUs %#lx use it still", (unsigned long)space->users.cpus);
	empty(space);
	family = leave(space);
	if (family)
		kmem_cache_free(&family_cache, family);
	page_table_destroy(&space->table);
	trace_space(TRACE_SPACE_GONE, space, 0);
	kmem_cache_free(&space_cache, space);
}

void
space_activate(struct address_space *space)
{
	struct address_space *old = this_cpu(active_space);
	uint64_t bit = 1ull << cpu_id();

	DEBUG_ASSERT(!arch_irqs_enabled());
	if (space == old)
		return;
	if (space)
		__atomic_fetch_or(&space->users.cpus, bit, __ATOMIC_SEQ_CST);
	arch_mmu_load(space ? space->table.root : 0, space ? &space->users : NULL);
	if (old)
		__atomic_fetch_and(&old->users.cpus, ~bit, __ATOMIC_SEQ_CST);
	this_cpu(active_space) = space;
}

struct address_space *
space_running(void)
{
	irqflags_t irq = arch_irq_save();
	struct address_space *space = this_cpu(active_space);

	if (space)
		space_get(space);
	arch_irq_restore(irq);
	return space;
}

void
space_count_mapped(struct address_space *space, int64_t pages)
{
	space->nr_mapped += (size_t)pages;
	if (space->nr_mapped > space->stats.peak_mapped)
		space->stats.peak_mapped = space->nr_mapped;
}

/* ---- Arguments -------------------------------------------------------------------------- */

/* Round a length up to pages. Returns false if it is 0 or more than the user half. */
static bool
round_length(size_t *length)
{
	if (*length == 0 || *length > USER_END)
		return false;
	*length = ALIGN_UP(*length, PAGE_SIZE);
	return *length <= USER_END;
}

int
space_check_range(uintptr_t start, size_t *length)
{
	if (!IS_ALIGNED(start, PAGE_SIZE) || !round_length(length) || start > USER_END - *length)
		return -EINVAL;
	return 0;
}

/* ---- Unmapping -------------------------------------------------------------------------- */

/* Take out regions and pages of [start, end), with spares for the cuts. */
void
unmap_locked(struct address_space *space, uintptr_t start, uintptr_t end,
	     struct region_spares *spares, struct list_head *dead)
{
	struct region *region;
	struct gather gather;

	assert_space_locked(space);
	regions_cut(space, start, end, spares);
	/* All pages at once: what is in no region has none. */
	gather_begin(&gather, space);
	unmap_pages(&gather, start, end, true);
	gather_end(&gather);
	while ((region = region_find_from(space, start)) && region_start(region) < end) {
		space_count_mapped(space, -(int64_t)region_pages(region));
		region_unlink(region, dead);
	}
}

/* Would cutting at start and end make more regions than there may be? */
bool
has_too_many_regions(struct address_space *space, unsigned more)
{
	return space->regions.tree.nr + more > space_regions_max();
}

uint64_t
space_regions_max(void)
{
	return __atomic_load_n(&regions_max, __ATOMIC_RELAXED);
}

struct memory_object *
space_object_at(struct address_space *space, uintptr_t address)
{
	struct memory_object *object = NULL;
	struct region *region;

	mutex_lock(&space->lock);
	region = region_find(space, address);
	if (region && region->object && region_start(region) == address && region->offset == 0) {
		object = region->object;
		object->ops->get(object);
	}
	mutex_unlock(&space->lock);
	return object;
}

size_t
space_unmap_object(struct address_space *space, uintptr_t start, size_t length,
		   struct memory_object *object)
{
	struct list_head dead = LIST_INIT(dead);
	struct region_spares spares = { .nr = 0 };
	struct region *region, *next;
	size_t pages = 0;

	mutex_lock(&space->lock);
	region = region_find(space, start);
	for (; region && region_start(region) - start < length; region = next) {
		uint64_t index = (region_start(region) - start) >> PAGE_SHIFT;

		next = region_next(region);
		if (region->object != object || region->offset != index)
			continue;
		pages += region_pages(region);
		unmap_locked(space, region_start(region), region_end(region), &spares, &dead);
	}
	mutex_unlock(&space->lock);
	regions_bury(&dead);
	return pages;
}

int
space_unmap(struct address_space *space, uintptr_t start, size_t length)
{
	struct region_spares spares = { .nr = 0 };
	struct list_head dead = LIST_INIT(dead);
	int error = space_check_range(start, &length);
	unsigned cuts;

	if (error)
		return error;
	mutex_lock(&space->lock);
	cuts = regions_cuts(space, start, start + length);
	/* A hole in the middle of one makes one more. */
	if (cuts == 2 && region_find(space, start) == region_find(space, start + length) &&
	    has_too_many_regions(space, 1))
		error = -ENOMEM;
	else
		error = regions_reserve(&spares, cuts);
	if (!error)
		unmap_locked(space, start, start + length, &spares, &dead);
	mutex_unlock(&space->lock);
	regions_release(&spares);
	regions_bury(&dead);
	return error;
}
