/* SPDX-License-Identifier: MIT */
/*
 * Mapping: mmap(), the heap, and the stack of a new program.
 *
 * Where a mapping goes that did not say: the highest gap that is large enough, below map_top, so
 * that mappings pile up under the stack and the heap has all the room below to grow:
 *
 *	0   text data heap -->            <-- mappings   | guard | stack    USER_END
 *	                                            map_top
 *
 * An address that is only a hint is taken if it is free. With MAP_FIXED it is taken anyway, and
 * what was there goes. On a machine with five levels of page tables a hint above USER_WINDOW, free
 * or not, also says that any address above will do.
 *
 * Shared anonymous memory is a file without a name: a page cache that its regions keep alive.
 *
 * Everything that can fail is done before anything is changed. (Populating may fail, and then
 * has no consequence, as Linux has it: the pages come by faults.)
 */
#include <errno.h>
#include <page_cache.h>
#include <slab.h>

#include "space_internal.h"

#define MAP_KNOWN                                                                                  \
	(MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_DENYWRITE | MAP_EXECUTABLE |   \
	 MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK |                    \
	 MAP_FIXED_NOREPLACE)

#define PROT_ALL (PROT_READ | PROT_WRITE | PROT_EXEC)

#define STACK_START (32 * PAGE_SIZE) /* what a stack has before it has to grow */

/* ---- Shared anonymous memory --------------------------------------------------------------- */

struct shared_memory {
	struct page_cache cache;
	unsigned references; /* (a) */
};

static KMEM_CACHE(shared_cache, "shared_memory", sizeof(struct shared_memory), 0, 0, NULL);

static struct shared_memory *
shared_memory_of(struct memory_object *object)
{
	return container_of(page_cache_of(object), struct shared_memory, cache);
}

static void
shared_memory_get(struct memory_object *object)
{
	__atomic_add_fetch(&shared_memory_of(object)->references, 1, __ATOMIC_RELAXED);
}

static void
shared_memory_put(struct memory_object *object)
{
	struct shared_memory *memory = shared_memory_of(object);

	if (__atomic_sub_fetch(&memory->references, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	page_cache_drop(&memory->cache);
	kmem_cache_free(&shared_cache, memory);
}

static int
shared_memory_punch(struct memory_object *object, uint64_t first, uint64_t end)
{
	page_cache_punch(page_cache_of(object), first, end);
	return 0;
}

static const struct memory_object_ops shared_memory_ops = {
	.get_page = page_cache_get_page,
	.peek_pages = page_cache_peek_pages,
	.get = shared_memory_get,
	.put = shared_memory_put,
	.punch = shared_memory_punch,
};

/* With one reference; NULL for want of memory. */
static struct memory_object *
shared_memory_create(size_t size)
{
	struct shared_memory *memory = kmem_cache_alloc(&shared_cache, GFP_KERNEL);

	if (!memory)
		return NULL;
	page_cache_init(&memory->cache, &shared_memory_ops, NULL);
	page_cache_extend(&memory->cache, size);
	memory->references = 1;
	return &memory->cache.object;
}

/* ---- Finding a place ------------------------------------------------------------------------ */

/* Is [start, end) free, and clear of a stack above? */
bool
is_free(struct address_space *space, uintptr_t start, uintptr_t end)
{
	struct region *region = region_find_from(space, start);

	return start >= USER_MIN && end <= USER_END && start < end &&
	       (!region || region_start(region) >= end) &&
	       stack_clear_end(space, start, end) == end;
}

/* The highest free place for length bytes in [low, high) that is clear of stacks. */
static bool
highest_place(struct address_space *space, size_t length, uintptr_t low, uintptr_t high,
	      uintptr_t *start)
{
	uint64_t place;

	while (high > low && range_highest_gap(&space->regions, length, low, high, &place)) {
		high = stack_clear_end(space, place, place + length);
		if (high == place + length) {
			*start = place;
			return true;
		}
	}
	return false;
}

bool
find_place_below(struct address_space *space, size_t length, uintptr_t high, uintptr_t *start)
{
	return highest_place(space, length, USER_MIN, high, start);
}

bool
find_place(struct address_space *space, size_t length, uintptr_t hint, uintptr_t *start)
{
	uintptr_t wanted = MAX(ALIGN_DOWN(hint, PAGE_SIZE), USER_MIN);
	uintptr_t end = wanted > USER_WINDOW ? USER_END : USER_WINDOW;

	assert_space_locked(space);
	if (hint && wanted < end && length <= end - wanted &&
	    is_free(space, wanted, wanted + length)) {
		*start = wanted;
		return true;
	}
	if (unlikely(space->guard_heap) && heap_find_place(space, length, start))
		return true;
	return (end > USER_WINDOW && highest_place(space, length, USER_WINDOW, end, start)) ||
	       highest_place(space, length, USER_MIN, space->map_top, start) ||
	       highest_place(space, length, space->map_top, USER_WINDOW, start);
}

/* ---- mmap() ---------------------------------------------------------------------------------- */

/* What space_map() was asked for, checked and rounded. */
struct map_request {
	uintptr_t start;
	size_t length;
	unsigned prot, flags, max_prot;
	struct memory_object *object;
	uint64_t offset;
};

/* The errors that follow from the arguments alone, in the order that Linux looks for them. */
static int
check_request(struct map_request *request)
{
	bool fixed = request->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	unsigned type = request->flags & MAP_TYPE;

	if (request->length == 0)
		return -EINVAL;
	if (request->length > USER_END)
		return -ENOMEM;
	request->length = ALIGN_UP(request->length, PAGE_SIZE);
	if (!IS_ALIGNED(request->offset, PAGE_SIZE) || (request->prot & ~PROT_ALL))
		return -EINVAL;
	if (request->object && request->offset + request->length < request->offset)
		return -EOVERFLOW;
	if (fixed && !IS_ALIGNED(request->start, PAGE_SIZE))
		return -EINVAL;
	if ((request->flags & MAP_HUGETLB) ||
	    (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE))
		return -EINVAL;
	if (fixed && request->start > USER_END - request->length)
		return -ENOMEM;
	if (fixed && request->start < USER_MIN)
		return -EPERM;
	if (type == MAP_SHARED_VALIDATE && (request->flags & ~MAP_KNOWN))
		return -EOPNOTSUPP;
	if ((request->flags & MAP_GROWSDOWN) && (request->object || type != MAP_PRIVATE))
		return -EINVAL;
	return request->prot & ~request->max_prot ? -EACCES : 0;
}

/* Choose where it goes. */
static int
choose_place(struct address_space *space, struct map_request *request)
{
	uintptr_t end = request->start + request->length;
	struct region *above;

	if (request->flags & MAP_FIXED_NOREPLACE) {
		above = region_find_from(space, request->start);
		return above && region_start(above) < end ? -EEXIST : 0;
	}
	if (request->flags & MAP_FIXED)
		return 0;
	return find_place(space, request->length, request->start, &request->start) ? 0 : -ENOMEM;
}

static unsigned
region_flags(const struct address_space *space, const struct map_request *request)
{
	unsigned flags = request->flags & (REGION_KEPT_FLAGS & ~MAP_TYPE);

	flags |= (request->flags & MAP_TYPE) == MAP_PRIVATE ? MAP_PRIVATE : MAP_SHARED;
	if (space->lock_future & MCL_FUTURE)
		flags |= MAP_LOCKED;
	if ((space->lock_future & MCL_ONFAULT) && !(request->flags & MAP_LOCKED))
		flags |= REGION_LOCK_ON_FAULT;
	return flags;
}

/* Enter the new region; what was in its place goes. */
static int
map_locked(struct address_space *space, struct map_request *request, struct region_spares *spares,
	   struct list_head *dead)
{
	struct region *region;
	uintptr_t end;
	int error = choose_place(space, request);

	if (unlikely(space->no_exec_gain) && gains_exec(request->prot, request->prot))
		return -EACCES;
	if (error)
		return error;
	if (has_too_many_regions(space, 1)) /* in the midst of another it may make two more */
		return -ENOMEM;
	end = request->start + request->length;
	error = regions_reserve(spares, 1 + regions_cuts(space, request->start, end));
	if (error)
		return error;
	region = regions_take_spare(spares);
	unmap_locked(space, request->start, end, spares, dead);
	*region = (struct region){
		.prot = request->prot,
		.rights = prot_rights(request->prot, key_of_new(space, request->prot)),
		.max_prot = request->max_prot,
		.flags = region_flags(space, request),
		.object = request->object,
		.offset = request->offset >> PAGE_SHIFT,
		.home = request->start >> PAGE_SHIFT,
		.lowest = request->flags & MAP_GROWSDOWN ? USER_MIN : 0,
	};
	region_link(space, region, request->start, end);
	space_count_mapped(space, (int64_t)(request->length >> PAGE_SHIFT));
	if ((request->flags & MAP_POPULATE) ||
	    ((region->flags & MAP_LOCKED) && !(region->flags & REGION_LOCK_ON_FAULT)))
		(void)!populate(space, request->start, end);
	regions_merge(space, request->start, end, dead);
	return 0;
}

static int
map_request(struct address_space *space, struct map_request *request)
{
	struct region_spares spares = { .nr = 0 };
	struct list_head dead = LIST_INIT(dead);
	int error;

	mutex_lock(&space->lock);
	error = map_locked(space, request, &spares, &dead);
	mutex_unlock(&space->lock);
	regions_release(&spares);
	regions_bury(&dead);
	return error;
}

int
space_map(struct address_space *space, uintptr_t *address, size_t length, unsigned prot,
	  unsigned flags, struct memory_object *object, uint64_t offset, unsigned max_prot)
{
	struct map_request request = { *address, length, prot, flags, max_prot, object, offset };
	bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
	int error;

	if (!object)
		request.offset = 0;
	if (!object && !max_prot)
		request.max_prot = PROT_ALL;
	error = check_request(&request);
	if (error)
		return error;
	if (!object && shared) {
		request.object = shared_memory_create(request.length);
		if (!request.object)
			return -ENOMEM;
	}
	error = map_request(space, &request);
	if (!object && shared)
		shared_memory_put(request.object); /* its region has one of its own */
	if (!error)
		*address = request.start;
	return error;
}

/* ---- remap_file_pages() ---------------------------------------------------------------------- */

/* Do all of [start, start + length) show the object in the same way, one piece after the other? */
static bool
shows_throughout(const struct region *region, uintptr_t start, size_t length)
{
	const struct region *next;

	while (region_end(region) < start + length) {
		next = region_next(region);
		if (!next || region_start(next) != region_end(region) ||
		    next->object != region->object || next->flags != region->flags)
			return false;
		region = next;
	}
	return true;
}

/* A mapping of the same object, with the same rights, in place of what is there. */
static int
request_again(struct address_space *space, uintptr_t start, size_t length, uint64_t index,
	      struct map_request *request)
{
	struct region *region = region_find(space, start);

	if (!region || !region->object || region_is_private(region) ||
	    !shows_throughout(region, start, length))
		return -EINVAL;
	*request = (struct map_request){
		.start = start,
		.length = length,
		.prot = region->prot,
		.flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE | (region->flags & MAP_LOCKED),
		.max_prot = region->max_prot,
		.object = region->object,
		.offset = index << PAGE_SHIFT,
	};
	return 0;
}

int
space_remap_pages(struct address_space *space, uintptr_t start, size_t length, uint64_t index)
{
	struct region_spares spares = { .nr = 0 };
	struct list_head dead = LIST_INIT(dead);
	struct map_request request;
	int error;

	start = ALIGN_DOWN(start, PAGE_SIZE);
	length = ALIGN_DOWN(length, PAGE_SIZE);
	if (length == 0 || length > USER_END || start > USER_END - length ||
	    index > (UINT64_MAX >> PAGE_SHIFT) - (length >> PAGE_SHIFT))
		return -EINVAL;
	mutex_lock(&space->lock);
	error = request_again(space, start, length, index, &request);
	if (!error)
		error = map_locked(space, &request, &spares, &dead);
	mutex_unlock(&space->lock);
	regions_release(&spares);
	regions_bury(&dead);
	return error;
}

/* ---- The heap -------------------------------------------------------------------------------- */

void
space_set_heap(struct address_space *space, uintptr_t start)
{
	mutex_lock(&space->lock);
	space->heap_start = space->heap_end = start;
	mutex_unlock(&space->lock);
}

/* Make the heap end at wanted. Returns whether that could be done. */
static bool
break_locked(struct address_space *space, uintptr_t wanted, struct region_spares *spares,
	     struct list_head *dead)
{
	uintptr_t old_end = ALIGN_UP(space->heap_end, PAGE_SIZE);
	struct map_request request = {
		.start = old_end,
		.prot = PROT_READ | PROT_WRITE,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		.max_prot = PROT_ALL,
	};
	uintptr_t end = ALIGN_UP(wanted, PAGE_SIZE);

	if (wanted < space->heap_start || wanted > USER_END - PAGE_SIZE || !space->heap_start)
		return false;
	if (end < old_end && (has_too_many_regions(space, 1) ||
			      regions_reserve(spares, regions_cuts(space, end, old_end)) != 0))
		return false;
	if (end < old_end)
		unmap_locked(space, end, old_end, spares, dead);
	request.length = end - old_end;
	if (end > old_end &&
	    (!is_free(space, old_end, end + (space->guard_heap ? HEAP_GUARD : 0)) ||
	     map_locked(space, &request, spares, dead) != 0))
		return false;
	space->heap_end = wanted;
	return true;
}

uintptr_t
space_break(struct address_space *space, uintptr_t wanted)
{
	struct region_spares spares = { .nr = 0 };
	struct list_head dead = LIST_INIT(dead);
	uintptr_t result;

	mutex_lock(&space->lock);
	(void)break_locked(space, wanted, &spares, &dead);
	result = space->heap_end;
	mutex_unlock(&space->lock);
	regions_release(&spares);
	regions_bury(&dead);
	return result;
}

/* ---- The stack ------------------------------------------------------------------------------- */

void
space_set_map_top(struct address_space *space, uintptr_t top)
{
	mutex_lock(&space->lock);
	space->map_top = top;
	mutex_unlock(&space->lock);
}

int
space_map_stack(struct address_space *space, uintptr_t top, size_t limit)
{
	uintptr_t start, lowest;
	struct region *region;
	int error;

	if (!IS_ALIGNED(top, PAGE_SIZE) || top > USER_END || limit < PAGE_SIZE ||
	    limit > top - USER_MIN)
		return -EINVAL;
	lowest = ALIGN_UP(top - limit, PAGE_SIZE);
	start = MAX(top - STACK_START, lowest);
	error = space_map(space, &start, top - start, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, NULL,
			  0, PROT_ALL);
	if (error)
		return error;
	mutex_lock(&space->lock);
	region = region_find(space, start);
	if (region)
		region->lowest = lowest;
	if (lowest > STACK_GUARD + USER_MIN)
		space->map_top = MIN(space->map_top, lowest - STACK_GUARD);
	mutex_unlock(&space->lock);
	return 0;
}
