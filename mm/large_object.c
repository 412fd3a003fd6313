/* SPDX-License-Identifier: MIT */
/*
 * Large objects: contiguous addresses, scattered frames.
 *
 * PROBLEM. After some uptime free memory lies in pieces, and a request for many megabytes in one
 * piece fails although there is enough of it. But hardly anybody who wants a large array cares
 * where its frames are.
 *
 * IDEA. Take frames wherever they are and map them side by side in an area of addresses of
 * their own, which is so large (LARGE_SIZE) that its fragmentation does not matter. An object
 * lies between two pages that are never mapped, so that running over either end faults:
 *
 *	    range in the tree
 *	|<------------------------->|
 *	| guard | page | page | guard | guard | page | guard |      free      | guard | ...
 *	        ^ object
 *
 * Frames are taken in blocks of up to 2^BLOCK_ORDER: a few frames at a time cost fewer calls,
 * and larger blocks are left to those who need them.
 *
 * RANGES lie in an ordered tree that knows its gaps (range_tree.h): the lowest gap that fits and
 * the object at an address are both found in one way down. Keys are offsets in the area.
 * (Addresses as a resource with an allocator of its own: Bonwick and Adams, "Magazines and
 * Vmem", USENIX 2001)
 *
 * LAZY FLUSH. Every CPU may still have translations of an object that was freed, and asking all
 * CPUs to forget them costs thousands of instructions on each. So freed objects wait until
 * there are BATCH_OBJECTS of them or mm.large_batch bytes, and are flushed
 * together. Until then
 *	- their addresses stay taken: a CPU with an old translation would read and write
 *	  the old frame where the new object is;
 *	- their frames stay allocated: a CPU that uses a stale pointer, or one that fills its
 *	  cache ahead on its own account, would reach the frame of its next owner.
 * A shortage of frames or of addresses flushes at once and tries again. (Kumar et al., "LATR: Lazy
 * Translation Coherence", ASPLOS 2018, do without interrupts altogether.)
 *
 *	         large_alloc()          large_free()            large_flush()
 *	  (none) -----------> MAKING --> LIVE --> DYING --> WAITING ---------> (none)
 *	           range taken    mapped     unmapped   listed       range free
 *
 * DESCRIPTORS are 32 to a frame; page->owner of the frame has a bit for each one in use. In
 * the head of a block, page->owner holds the object's descriptor and, in its low bits, the
 * block's order, and page->link leads to the next block.
 *
 * INVARIANTS, which large_check() recomputes:
 *	- ranges do not overlap, and the tree knows its gaps;
 *	- every page of a LIVE object is mapped to a frame of its blocks, in their order; a block
 *	  belongs to one object; both guard pages are unmapped;
 *	- the counters say what the objects in the tree add up to.
 *
 * LOCKING. large_lock guards the tree, states, descriptors and counters. It is not held while
 * frames are taken, mapped or flushed: a MAKING or DYING object belongs to the one CPU that is
 * at it, a batch to the CPU that flushes it.
 *
 * LEFT OUT. Growing an object where it lies; alignment to more than a page; large pages.
 */
#include <arch.h>
#include <checker.h>
#include <cmdline.h>
#include <errno.h>
#include <panic.h>
#include <printk.h>
#include <reclaim.h>
#include <spinlock.h>

#include "large_object_internal.h"

#define BLOCK_ORDER   3
#define BATCH_OBJECTS 256

static uint64_t batch_bytes = MiB(32);
TUNABLE(batch_bytes, "mm.large_batch", 0, UINT64_MAX,
	"bytes of freed large objects that wait for a common TLB flush; 0: each is flushed");

#define DESCRIPTORS (PAGE_SIZE / sizeof(struct large_object))
#define ALL_USED    ((1ull << DESCRIPTORS) - 1)
#define ORDER_MASK  (sizeof(struct large_object) - 1)
#define GUARD_SIZE  PAGE_SIZE
#define GUARDS	    2
#define MAX_PRINTED 8

_Static_assert(PAGE_SIZE % sizeof(struct large_object) == 0 && DESCRIPTORS < 64,
	       "descriptors fill a frame, and a word has a bit for each");
_Static_assert(MAX_ORDER <= ORDER_MASK, "an order fits below a descriptor's address");

static spinlock_t large_lock = SPINLOCK_INIT("large", RANK_MODULE);

/* All (l) large_lock. */
static struct range_tree ranges = RANGE_TREE_INIT(0, LARGE_SIZE);
static struct list_head descriptors = LIST_INIT(descriptors); /* frames with a free one */
static struct list_head waiting = LIST_INIT(waiting);
static uint64_t waiting_start = LARGE_SIZE, waiting_end; /* all of waiting lies between */
static unsigned flushing;				 /* flushes under way */
static uint64_t frames_flushed;				 /* by flushes that have ended */
struct large_stats large_counters;

static struct large_object *
object_of(struct range *range)
{
	return container_of(range, struct large_object, range);
}

/* The first byte that the owner of the object may use, and one past the last page. */
static uintptr_t
object_start(const struct large_object *object)
{
	return LARGE_BASE + object->range.node.key + GUARD_SIZE;
}

static uintptr_t
object_end(const struct large_object *object)
{
	return object_start(object) + object->nr_frames * PAGE_SIZE;
}

static unsigned
block_order(const struct page *page)
{
	return page->owner & ORDER_MASK;
}

/* ---- Descriptors ------------------------------------------------------------ */

static void
descriptors_add_locked(struct page *page)
{
	page->owner = 0;
	list_add(&page->link, &descriptors);
	large_counters.descriptor_frames++;
}

/* There is one. */
static struct large_object *
descriptor_take_locked(void)
{
	struct page *page = list_first_entry(&descriptors, struct page, link);
	unsigned i = (unsigned)__builtin_ctzll(~page->owner);

	page->owner |= 1ull << i;
	if (page->owner == ALL_USED)
		list_del(&page->link);
	return (struct large_object *)page_to_virt(page) + i;
}

static void
descriptor_give_locked(struct large_object *object)
{
	struct page *page = pfn_to_page(virt_to_phys(object) >> PAGE_SHIFT);

	object->state = LARGE_NONE;
	if (page->owner == ALL_USED)
		list_add(&page->link, &descriptors);
	page->owner &= ~(1ull << (uintptr_t)object % PAGE_SIZE / sizeof(*object));
	if (page->owner != 0)
		return;
	list_del(&page->link);
	large_counters.descriptor_frames--;
	__free_pages(page, 0);
}

/* ---- Frames and addresses --------------------------------------------------- */

/*
 * The largest block of up to 2^order frames that can be had. Returns its page, with the order in
 * page->owner, or NULL when there is no frame even after a flush.
 */
static struct page *
take_block(gfp_t gfp, unsigned order)
{
	do {
		for (unsigned o = order + 1; o-- > 0;) {
			struct page *page = alloc_pages(gfp & ~GFP_ZERO, o);

			if (!page)
				continue;
			page->owner = o;
			return page;
		}
	} while (large_flush() > 0);
	return NULL;
}

/* Free the object's blocks. Nothing may map them any more. */
static void
give_blocks(struct large_object *object)
{
	struct page *page, *tmp;

	list_for_each_entry_safe (page, tmp, &object->blocks, link)
		__free_pages(page, block_order(page));
	list_init(&object->blocks);
}

/* Give the object its frames. Returns 0, or -ENOMEM with those that could be had. */
static int
take_blocks(struct large_object *object, gfp_t gfp)
{
	size_t left = object->nr_frames;

	while (left > 0) {
		unsigned fits = 63 - (unsigned)__builtin_clzl(left);
		struct page *page = take_block(gfp, MIN(fits, BLOCK_ORDER));

		if (!page)
			return -ENOMEM;
		left -= 1ul << page->owner;
		page->owner |= (uintptr_t)object;
		list_add_tail(&page->link, &object->blocks);
	}
	return 0;
}

static void
unmap_pages(uintptr_t start, uintptr_t end)
{
	for (; start < end; start += PAGE_SIZE)
		(void)arch_vm_unmap(start);
}

/* Map the object's frames. Returns 0, or -ENOMEM with none mapped, but TLBs may hold some. */
static int
map_blocks(struct large_object *object)
{
	uintptr_t at = object_start(object);
	struct page *page;

	list_for_each_entry (page, &object->blocks, link) {
		paddr_t frame = page_to_pfn(page) << PAGE_SHIFT;
		paddr_t end = frame + (PAGE_SIZE << block_order(page));

		for (; frame < end; frame += PAGE_SIZE, at += PAGE_SIZE) {
			while (arch_vm_map(at, frame) != 0) {
				if (large_flush() > 0)
					continue;
				unmap_pages(object_start(object), at);
				return -ENOMEM;
			}
		}
	}
	return 0;
}

/* Make sure that there is a free descriptor. Returns with the lock held, or -ENOMEM without. */
static int
lock_with_descriptor(irqflags_t *flags)
{
	struct page *page;

	*flags = spin_lock_irqsave(&large_lock);
	while (list_empty(&descriptors)) {
		spin_unlock_irqrestore(&large_lock, *flags);
		page = take_block(GFP_KERNEL, 0);
		if (!page)
			return -ENOMEM;
		*flags = spin_lock_irqsave(&large_lock);
		if (list_empty(&descriptors))
			descriptors_add_locked(page);
		else /* somebody else was faster */
			__free_pages(page, 0);
	}
	return 0;
}

/* Take a descriptor and the lowest range that fits, whatever waits. Returns NULL if none does. */
static struct large_object *
try_reserve(size_t size)
{
	size_t nr_frames = ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE;
	uint64_t span = nr_frames * PAGE_SIZE + GUARDS * GUARD_SIZE, start;
	struct large_object *object;
	irqflags_t flags;

	if (lock_with_descriptor(&flags) != 0)
		return NULL;
	object = descriptor_take_locked();
	if (range_lowest_gap(&ranges, span, &start)) {
		object->size = size;
		object->nr_frames = nr_frames;
		object->state = LARGE_MAKING;
		list_init(&object->blocks);
		range_insert(&ranges, &object->range, start, start + span);
		large_counters.guard_pages += GUARDS;
	} else {
		descriptor_give_locked(object);
		object = NULL;
	}
	spin_unlock_irqrestore(&large_lock, flags);
	return object;
}

/* The same, but what waits is flushed for it. */
static struct large_object *
reserve(size_t size)
{
	struct large_object *object;

	do {
		object = try_reserve(size);
	} while (!object && large_flush() > 0);
	return object;
}

/* Give back descriptor and range of an object that has no frames and that no TLB knows. */
static void
forget(struct large_object *object)
{
	irqflags_t flags = spin_lock_irqsave(&large_lock);

	if (object->state == LARGE_WAITING) {
		large_counters.waiting_objects--;
		large_counters.waiting_frames -= object->nr_frames;
	}
	large_counters.guard_pages -= GUARDS;
	range_erase(&ranges, &object->range);
	descriptor_give_locked(object);
	spin_unlock_irqrestore(&large_lock, flags);
}

/* ---- Flushing --------------------------------------------------------------- */

/* Let an object wait for the next flush. Returns whether it is time for that. */
static bool
let_wait(struct large_object *object)
{
	irqflags_t flags = spin_lock_irqsave(&large_lock);
	bool full;

	object->state = LARGE_WAITING;
	list_add_tail(&object->link, &waiting);
	waiting_start = MIN(waiting_start, object->range.node.key);
	waiting_end = MAX(waiting_end, object->range.end);
	large_counters.waiting_objects++;
	large_counters.waiting_frames += object->nr_frames;
	full = large_counters.waiting_objects >= BATCH_OBJECTS ||
	       large_counters.waiting_frames * PAGE_SIZE >= batch_bytes;
	spin_unlock_irqrestore(&large_lock, flags);
	return full;
}

/* Move everything that waits to an empty list. Returns false if there is nothing. */
static bool
take_batch(struct list_head *batch, uint64_t *start, uint64_t *end)
{
	irqflags_t flags = spin_lock_irqsave(&large_lock);
	bool any = !list_empty(&waiting);

	if (any) {
		list_add(batch, &waiting); /* a second head in the ring, then the only one */
		list_del(&waiting);
		list_init(&waiting);
		*start = waiting_start;
		*end = waiting_end;
		waiting_start = LARGE_SIZE;
		waiting_end = 0;
		flushing++;
		large_counters.nr_flushes++;
	}
	spin_unlock_irqrestore(&large_lock, flags);
	return any;
}

/* Flush what waits: first all CPUs forget it, then its frames and ranges are freed. */
static void
flush_batch(void)
{
	struct list_head batch = LIST_INIT(batch);
	struct large_object *object, *tmp;
	uint64_t start, end;
	irqflags_t flags;
	size_t freed = 0;

	if (!take_batch(&batch, &start, &end))
		return;
	arch_vm_flush(LARGE_BASE + start, LARGE_BASE + end);
	list_for_each_entry_safe (object, tmp, &batch, link) {
		freed += object->nr_frames;
		give_blocks(object);
		forget(object);
	}
	flags = spin_lock_irqsave(&large_lock);
	flushing--;
	frames_flushed += freed;
	spin_unlock_irqrestore(&large_lock, flags);
}

/* Is another CPU at a flush? *frames: how many frames flushes have freed so far. */
static bool
flush_goes_on(uint64_t *frames)
{
	irqflags_t flags = spin_lock_irqsave(&large_lock);
	bool goes_on = flushing > 0;

	*frames = frames_flushed;
	spin_unlock_irqrestore(&large_lock, flags);
	return goes_on;
}

/* Others may have taken a part of what was freed so far: wait for them, too. */
size_t
large_flush(void)
{
	uint64_t before, after;

	DEBUG_ASSERT(arch_irqs_enabled());
	(void)flush_goes_on(&before);
	flush_batch();
	while (flush_goes_on(&after))
		arch_cpu_relax();
	return after - before;
}

/* From the allocator of frames, when these are short. */
static size_t
reclaim_waiting(size_t nr_frames, gfp_t gfp)
{
	(void)nr_frames;
	(void)gfp;
	return large_flush();
}
RECLAIMER(large, reclaim_waiting, RECLAIM_CACHES);

/* ---- Allocation ------------------------------------------------------------- */

static void
clear_pages(const struct large_object *object)
{
	for (uintptr_t at = object_start(object); at < object_end(object); at += PAGE_SIZE)
		arch_clear_page((void *)at);
}

/* From here on the object is its owner's. */
static void
publish(struct large_object *object)
{
	irqflags_t flags = spin_lock_irqsave(&large_lock);

	object->state = LARGE_LIVE;
	large_counters.nr_objects++;
	large_counters.bytes += object->size;
	large_counters.frames += object->nr_frames;
	large_counters.nr_alloc++;
	spin_unlock_irqrestore(&large_lock, flags);
}

static void
count_failure(void)
{
	irqflags_t flags = spin_lock_irqsave(&large_lock);

	large_counters.nr_failed++;
	spin_unlock_irqrestore(&large_lock, flags);
}

void *
large_alloc(size_t size, gfp_t gfp)
{
	struct large_object *object;

	DEBUG_ASSERT(arch_irqs_enabled());
	if (size == 0 || size > LARGE_SIZE - GUARDS * GUARD_SIZE)
		goto no_range;
	object = reserve(size);
	if (!object)
		goto no_range;
	if (take_blocks(object, gfp) != 0)
		goto no_frames;
	if (map_blocks(object) != 0)
		goto no_tables;
	if (gfp & GFP_ZERO)
		clear_pages(object);
	publish(object);
	return (void *)object_start(object);

no_tables: /* pages were mapped for a while, and a processor may have looked */
	(void)let_wait(object);
	(void)large_flush();
	goto no_range;
no_frames:
	give_blocks(object);
	forget(object);
no_range:
	count_failure();
	return NULL;
}

/* ---- Giving back ------------------------------------------------------------ */

/* Report a pointer that is not where a living object begins. Releases the lock. */
static _Noreturn void
bad_pointer(const void *address, const struct large_object *object, irqflags_t flags)
{
	uintptr_t at = (uintptr_t)address, start = object ? object_start(object) : 0;
	enum large_state state = object ? object->state : LARGE_NONE;
	size_t size = object ? object->size : 0;

	spin_unlock_irqrestore(&large_lock, flags);
	if (at - LARGE_BASE >= LARGE_SIZE)
		panic("large: foreign pointer %p: not in the area of large objects", address);
	if (state == LARGE_NONE || state == LARGE_MAKING)
		panic("large: foreign pointer or double free: %p is in no object", address);
	if (at < start || at >= start + ALIGN_UP(size, PAGE_SIZE))
		panic("large: interior pointer %p: in a guard page of object %p of %lu bytes",
		      address, (void *)start, (unsigned long)size);
	if (state == LARGE_LIVE)
		panic("large: interior pointer %p: byte %lu of object %p of %lu bytes", address,
		      (unsigned long)(at - start), (void *)start, (unsigned long)size);
	panic("large: double free of %p: byte %lu of object %p of %lu bytes, freed before", address,
	      (unsigned long)(at - start), (void *)start, (unsigned long)size);
}

/* The living object that begins there. The lock is held; released before a panic. */
static struct large_object *
find_locked(const void *address, irqflags_t flags)
{
	struct range *range = range_find(&ranges, (uintptr_t)address - LARGE_BASE);
	struct large_object *object = range ? object_of(range) : NULL;

	if (!object || object->state != LARGE_LIVE || object_start(object) != (uintptr_t)address)
		bad_pointer(address, object, flags);
	return object;
}

void
large_free(const void *address)
{
	irqflags_t flags = spin_lock_irqsave(&large_lock);
	struct large_object *object = find_locked(address, flags);

	object->state = LARGE_DYING;
	large_counters.nr_objects--;
	large_counters.bytes -= object->size;
	large_counters.frames -= object->nr_frames;
	large_counters.nr_free++;
	spin_unlock_irqrestore(&large_lock, flags);

	unmap_pages(object_start(object), object_end(object));
	if (let_wait(object) && arch_irqs_enabled())
		flush_batch();
}

size_t
large_size(const void *address)
{
	irqflags_t flags = spin_lock_irqsave(&large_lock);
	size_t size = find_locked(address, flags)->size;

	spin_unlock_irqrestore(&large_lock, flags);
	return size;
}

bool
large_contains(const void *address)
{
	irqflags_t flags = spin_lock_irqsave(&large_lock);
	struct range *range = range_find(&ranges, (uintptr_t)address - LARGE_BASE);
	struct large_object *object = range ? object_of(range) : NULL;
	bool inside = object && object->state == LARGE_LIVE &&
		      (uintptr_t)address >= object_start(object) &&
		      (uintptr_t)address < object_end(object);

	spin_unlock_irqrestore(&large_lock, flags);
	return inside;
}

void
large_for_each(void (*each)(const void *object, size_t size))
{
	for (struct range *range = range_first(&ranges); range; range = range_next(range)) {
		const struct large_object *object = object_of(range);

		if (object->state == LARGE_LIVE)
			each((const void *)object_start(object), object->size);
	}
}

void
large_get_stats(struct large_stats *stats)
{
	irqflags_t flags = spin_lock_irqsave(&large_lock);

	*stats = large_counters;
	stats->tree_steps = ranges.tree.steps;
	spin_unlock_irqrestore(&large_lock, flags);
	stats->table_frames = arch_vm_tables();
}

/* ---- Checking --------------------------------------------------------------- */

#define REPORT(errors, ...)                                                                        \
	do {                                                                                       \
		if ((*(errors))++ < MAX_PRINTED)                                                   \
			kprintf("check: large: " __VA_ARGS__);                                     \
	} while (0)

static void
check_page(uintptr_t at, paddr_t frame, unsigned *errors)
{
	paddr_t found = arch_vm_lookup(at);

	if (found != frame)
		REPORT(errors, "page %#lx is mapped to %#lx, not to %#lx\n", (unsigned long)at,
		       (unsigned long)found, (unsigned long)frame);
}

/* Check the frames of a living object. Who walks a list of wrong links ends at its size. */
static void
check_frames(const struct large_object *object, unsigned *errors)
{
	const struct list_head *before = &object->blocks;
	uintptr_t at = object_start(object), end = object_end(object);
	const struct page *page;

	check_page(at - GUARD_SIZE, ARCH_VM_NONE, errors);
	list_for_each_entry (page, &object->blocks, link) {
		unsigned order = block_order(page);

		if (page->link.prev != before || page->state != PAGE_ALLOCATED ||
		    page->owner != ((uintptr_t)object | order) || order > BLOCK_ORDER ||
		    at + (PAGE_SIZE << order) > end)
			break;
		for (size_t i = 0; i < 1ul << order; i++, at += PAGE_SIZE)
			check_page(at, (page_to_pfn(page) + i) << PAGE_SHIFT, errors);
		before = &page->link;
	}
	if (&page->link != &object->blocks || at != end)
		REPORT(errors, "object %#lx: its list of frames is wrong at %#lx\n",
		       (unsigned long)object_start(object), (unsigned long)at);
	check_page(end, ARCH_VM_NONE, errors);
}

static void
check_object(const struct large_object *object, struct large_stats *found, unsigned *errors)
{
	size_t span = object->range.end - object->range.node.key;

	if (object->nr_frames != ALIGN_UP(object->size, PAGE_SIZE) / PAGE_SIZE ||
	    span != (object->nr_frames + GUARDS) * PAGE_SIZE)
		REPORT(errors, "object %#lx: %lu bytes, %lu frames, a range of %#lx\n",
		       (unsigned long)object_start(object), (unsigned long)object->size,
		       (unsigned long)object->nr_frames, (unsigned long)span);
	found->guard_pages += GUARDS;
	switch (object->state) {
	case LARGE_MAKING:
	case LARGE_DYING:
		break;
	case LARGE_LIVE:
		found->nr_objects++;
		found->bytes += object->size;
		found->frames += object->nr_frames;
		check_frames(object, errors);
		break;
	case LARGE_WAITING:
		found->waiting_objects++;
		found->waiting_frames += object->nr_frames;
		for (uintptr_t at = object_start(object); at < object_end(object); at += PAGE_SIZE)
			check_page(at, ARCH_VM_NONE, errors);
		break;
	default:
		REPORT(errors, "object %#lx is in state %d\n", (unsigned long)object_start(object),
		       (int)object->state);
	}
}

static void
check_counter(const char *name, uint64_t says, uint64_t found, unsigned *errors)
{
	if (says != found)
		REPORT(errors, "%s says %lu, but there are %lu\n", name, (unsigned long)says,
		       (unsigned long)found);
}

unsigned
large_check(void)
{
	irqflags_t flags = spin_lock_irqsave(&large_lock);
	unsigned errors = range_tree_check(&ranges);
	struct large_stats found = { .nr_objects = 0 };
	struct range *range = errors ? NULL : range_first(&ranges);

	if (errors)
		goto tree_is_wrong;
	for (; range; range = range_next(range))
		check_object(object_of(range), &found, &errors);
	check_counter("nr_objects", large_counters.nr_objects, found.nr_objects, &errors);
	check_counter("bytes", large_counters.bytes, found.bytes, &errors);
	check_counter("frames", large_counters.frames, found.frames, &errors);
	check_counter("waiting_objects", large_counters.waiting_objects, found.waiting_objects,
		      &errors);
	check_counter("waiting_frames", large_counters.waiting_frames, found.waiting_frames,
		      &errors);
	check_counter("guard_pages", large_counters.guard_pages, found.guard_pages, &errors);
	check_counter("nr_alloc - nr_free", large_counters.nr_alloc - large_counters.nr_free,
		      found.nr_objects, &errors);
	if (large_counters.descriptor_frames < ALIGN_UP(ranges.tree.nr, DESCRIPTORS) / DESCRIPTORS)
		REPORT(&errors, "%lu descriptor frames for %lu objects\n",
		       (unsigned long)large_counters.descriptor_frames,
		       (unsigned long)ranges.tree.nr);
tree_is_wrong:
	spin_unlock_irqrestore(&large_lock, flags);
	return errors;
}
MM_CHECKER(large, large_check);
