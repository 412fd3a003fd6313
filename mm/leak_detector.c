/* SPDX-License-Identifier: MIT */
/*
 * The leak detector: objects in use that no pointer leads to.
 *
 * PROBLEM. C frees nothing by itself. An object whose last pointer was overwritten is lost: it
 * stays in use for ever, and nothing seems wrong until memory runs out.
 *
 * IDEA (Boehm and Weiser, "Garbage Collection in an Uncooperative Environment", 1988; the
 * marking is McCarthy's, 1960). What the kernel can still reach it reaches from somewhere: a
 * variable, a stack, a register, or an object that it reaches itself. So mark from these roots,
 * and what is left over is lost. Nothing says which words are pointers; every aligned word
 * whose value lies inside of an object counts as one, wherever in the object it points.
 *
 *	roots                        objects
 *	data, per-CPU  ----->  [ A ] --> [ B ]        [ D ] <--> [ E ]
 *	stacks, registers ---------------^  [ C ]     lost, though they
 *	                                  lost        point to each other
 *
 * So there is no false alarm: a pointer is never overlooked, if it lies in a root, at an aligned
 * address, and is not disguised. A number that looks like an address can hide a leak. That is
 * kept rare by looking only where pointers live: of a stack the part in use, of an object in use
 * what belongs to its user; neither free objects nor magazines nor the allocator's own.
 *
 * BOOKS. All objects in use are entered into a table, which rises by address since memmap is
 * walked from its beginning; so the object around an address is found by bisection. An entry is
 * WHITE until a pointer leads to it, then GREY, in a queue through the entries, until its own
 * words have been looked at. (Dijkstra et al., "On-the-Fly Garbage Collection", 1978)
 *
 * LOCKING. The table is made before, then all other CPUs stand still, with interrupts off and
 * so without a lock, until the marking is done. One scan at a time.
 *
 * LEFT OUT. Frames from alloc_pages() are not looked at, being nobody's objects. Whoever keeps
 * pointers there declares them with LEAK_ROOTS().
 */
#include <arch.h>
#include <errno.h>
#include <large_object.h>
#include <leak_detector.h>
#include <leak_roots.h>
#include <page_frame.h>
#include <panic.h>
#include <slab.h>
#include <string.h>
#include <thread.h>

#include "heap_protection.h"

/* Set by the linker. Weak: there may be no roots. */
extern const struct leak_roots __start_leak_roots[] __attribute__((weak));
extern const struct leak_roots __stop_leak_roots[] __attribute__((weak));

#define WHITE	 0u
#define LAST	 UINT32_MAX /* grey or black, and the end of the queue */
#define MAX_SIZE UINT32_MAX

/* An object in use. */
struct entry {
	uintptr_t start;
	uint32_t size; /* bytes that are looked at; at most MAX_SIZE */
	uint32_t next; /* WHITE; else the number + 1 of the next in the queue, or LAST */
};

/* The scan in progress; for who may be in it, see set_scanning(). */
static struct {
	struct entry *entry; /* rising, disjoint */
	size_t nr, capacity;
	uintptr_t lowest, highest; /* all objects lie in [lowest, highest) */
	uint32_t head, tail;	   /* queue of the grey: number + 1, or LAST */
	size_t nr_left_out;	   /* objects for which capacity was too small */
} scan;

static bool scanning; /* atomic */

/* ---- Which objects are in use -------------------------------------------------------- */

static void
enter(uintptr_t start, size_t size)
{
	if (scan.nr == scan.capacity) {
		scan.nr_left_out++;
		return;
	}
	scan.entry[scan.nr++] =
	    (struct entry){ .start = start, .size = (uint32_t)MIN(size, MAX_SIZE) };
}

/* The entry around an address, or NULL. */
static struct entry *
entry_at(uintptr_t address)
{
	size_t low = 0, high = scan.nr;

	if (address < scan.lowest || address >= scan.highest)
		return NULL;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (scan.entry[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || address - scan.entry[low - 1].start >= scan.entry[low - 1].size)
		return NULL;
	return &scan.entry[low - 1];
}

/* The caches that the allocator makes for itself: nobody holds a pointer to their objects. */
static bool
is_own(const struct kmem_cache *cache)
{
	return cache->flags & SLAB_NO_MAGAZINES;
}

/* Objects that are not in their slab: a caller's, a magazine's, or in quarantine. */
static void
enter_slab(const struct slab *slab)
{
	const struct kmem_cache *cache = slab->cache;

	for (size_t i = 0; i < cache->nr_objects && !is_own(cache); i++) {
		const void *object = slab_object(slab, i);

		if (slab_has_free(slab, i))
			continue;
		if (cache->flags & SLAB_STORE_USER && heap_free_site(object) != 0)
			continue;
		enter((uintptr_t)object, cache->size);
	}
}

/* What magazines hold is in use for its slab, but for nobody else: call it empty. */
static void
remove_held(void)
{
	struct kmem_cache *cache;

	list_for_each_entry (cache, &all_caches, link) {
		for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
			const struct magazine *magazine = cache->magazine[cpu];

			for (unsigned i = 0; i < magazine->nr; i++) {
				struct entry *entry = entry_at((uintptr_t)magazine->object[i]);

				if (entry)
					entry->size = 0;
			}
		}
	}
}

/* The objects that begin in a frame. Returns the first frame after them. */
static pfn_t
enter_frame(pfn_t pfn)
{
	struct page *page = pfn_to_page(pfn);

	if (page->state != PAGE_ALLOCATED && page->state != PAGE_TAIL)
		return pfn + 1;
	if (page->use == PAGE_USE_SLAB) {
		const struct slab *slab = (const struct slab *)page->owner;

		if (slab->page != page)
			return pfn + 1;
		enter_slab(slab);
		return pfn + (1ul << slab->cache->order);
	}
	if (page->use == PAGE_USE_LARGE && page->owner != 0) {
		enter((uintptr_t)page_to_virt(page), large_frames(page) << PAGE_SHIFT);
		return pfn + large_frames(page);
	}
	return pfn + 1;
}

static void
enter_large(const void *object, size_t size)
{
	if (object != scan.entry)
		enter((uintptr_t)object, size);
}

/* Fill the table. */
static void
enter_all(void)
{
	scan.nr = scan.nr_left_out = 0;
	for (struct frame_range part = page_frame_next(0); part.first < part.end;
	     part = page_frame_next(part.end)) {
		for (pfn_t pfn = part.first; pfn < part.end;)
			pfn = enter_frame(pfn);
	}
	large_for_each(enter_large); /* their area lies above the direct map */
	if (scan.nr > 0) {
		const struct entry *last = &scan.entry[scan.nr - 1];

		/* Not the address itself: this very variable is a root. */
		scan.lowest = scan.entry[0].start - 1;
		scan.highest = last->start + last->size;
	}
	remove_held();
}

/* Room for all objects there may be now, and some more: too little only for very small ones. */
static size_t
estimate(void)
{
	struct large_stats large;
	size_t nr = 1024;

	for (struct frame_range part = page_frame_next(0); part.first < part.end;
	     part = page_frame_next(part.end)) {
		for (pfn_t pfn = part.first; pfn < part.end; pfn++) {
			const struct page *page = pfn_to_page(pfn);

			if (page->use == PAGE_USE_SLAB)
				nr += PAGE_SIZE / 16;
			else if (page->use == PAGE_USE_LARGE)
				nr++;
		}
	}
	large_get_stats(&large);
	return nr + large.nr_objects;
}

/* ---- Marking ----------------------------------------------------------------------------- */

/* A word may be a pointer: make what it leads to grey. */
static void
consider(uintptr_t word)
{
	struct entry *entry = entry_at(word);
	uint32_t number;

	if (!entry || entry->next != WHITE)
		return;
	number = (uint32_t)(entry - scan.entry) + 1;
	entry->next = LAST;
	if (scan.head == LAST)
		scan.head = number;
	else
		scan.entry[scan.tail - 1].next = number;
	scan.tail = number;
}

/* Words anywhere: also such that a sanitizer would not let anybody read. */
static __attribute__((no_sanitize("address", "thread"))) void
scan_range(const void *start, const void *end)
{
	const uintptr_t *word = (const uintptr_t *)ALIGN_UP((uintptr_t)start, sizeof(*word));

	for (; (uintptr_t)(word + 1) <= (uintptr_t)end; word++) {
		if (*word >= scan.lowest && *word < scan.highest)
			consider(*word);
	}
}

/* Turn all grey entries black. */
static void
scan_grey(void)
{
	while (scan.head != LAST) {
		const struct entry *entry = &scan.entry[scan.head - 1];

		scan_range((const void *)entry->start, (const void *)(entry->start + entry->size));
		scan.head = entry->next; /* by now others may stand behind it */
	}
}

/* While all other CPUs stand still. */
static void
mark(void *arg)
{
	const struct leak_roots *roots;

	(void)arg;
	enter_all();
	if (scan.nr_left_out > 0)
		return;
	scan.head = scan.tail = LAST;
	for (roots = __start_leak_roots; roots < __stop_leak_roots; roots++)
		roots->each(scan_range);
	scan_grey();
}

/* ---- The scan ------------------------------------------------------------------------------ */

static struct leak
describe(const struct entry *entry)
{
	const void *object = (const void *)entry->start;
	struct leak leak = { .object = object, .size = entry->size, .cache = "large" };
	const struct page *page;

	if (entry->start - DIRECT_MAP_BASE >= arch_direct_map_end())
		return leak;
	page = pfn_to_page(virt_to_phys(object) >> PAGE_SHIFT);
	if (page->use == PAGE_USE_SLAB) {
		const struct kmem_cache *cache = slab_of(object)->cache;

		leak.cache = cache->name;
		if (cache->flags & SLAB_STORE_USER)
			leak.alloc_site = heap_alloc_site(object);
	}
	return leak;
}

static int
report(void (*found)(const struct leak *leak, void *arg), void *arg)
{
	int nr = 0;

	for (size_t i = 0; i < scan.nr; i++) {
		const struct entry *entry = &scan.entry[i];
		struct leak leak;

		if (entry->next != WHITE || entry->size == 0)
			continue;
		leak = describe(entry);
		found(&leak, arg);
		nr++;
	}
	return nr;
}

/*
 * Clear the stack below the caller: what functions that have returned left there would lie in
 * the frames of those that are called next, which are roots.
 */
static __attribute__((noinline)) void
wipe_stack(void)
{
	volatile uintptr_t below[256];

	for (size_t i = 0; i < ARRAY_SIZE(below); i++)
		below[i] = 0;
}

static __attribute__((noinline)) int
scan_heap(void (*found)(const struct leak *leak, void *arg), void *arg)
{
	size_t more = 0;
	int nr;

	while (__atomic_exchange_n(&scanning, true, __ATOMIC_ACQUIRE))
		thread_yield();
	do {
		scan.capacity = estimate() + more;
		scan.entry = large_alloc(scan.capacity * sizeof(*scan.entry), GFP_KERNEL);
		nr = -ENOMEM;
		if (!scan.entry)
			break;
		arch_stand_still(mark, NULL);
		more += scan.nr_left_out;
		if (scan.nr_left_out == 0)
			nr = report(found, arg);
		large_free(scan.entry);
		scan.entry = NULL;
	} while (scan.nr_left_out > 0);
	__atomic_store_n(&scanning, false, __ATOMIC_RELEASE);
	return nr;
}

int
leak_scan(void (*found)(const struct leak *leak, void *arg), void *arg)
{
	int nr;

	wipe_stack();
	nr = scan_heap(found, arg);
	wipe_stack(); /* and not a tail call, which would be on the caller's frame */
	return nr;
}
