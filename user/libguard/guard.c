/* SPDX-License-Identifier: MIT */
/*
 * libguard: the allocator.
 *
 * PROBLEM. A write past the end of an object does its damage later and somewhere else. The kernel
 * knows nothing of objects: it sees pages.
 *
 * IDEA. Give each object pages of its own, and let it end where they end. The page behind and
 * the page before cannot be accessed, so that the processor finds who goes too far:
 *
 *	| guard page | zeroes ... c3 c3 c3 | object          |c3 c3| guard page |
 *	  faults                  64 bytes   size asked for   0..15  faults
 *	                          ^ checked when it is freed  ^
 *
 * An object must be aligned, so up to 15 bytes are left behind it (more if more was asked for), and
 * it seldom begins where a page does: these bytes are filled with a pattern, which is looked at
 * when the object is freed, and by guard_check(). (Guard pages: Perens, "Electric Fence", 1987.)
 *
 * An object that is freed is hidden, and its addresses are used again only after many others: an
 * access faults until then. What is no object's start is not freed at all.
 *
 * The price is a page or two of addresses, a page of memory, and two system calls for each object:
 * this is for finding mistakes. The kernel is asked to know of it (prctl), so that its own line
 * about a program that died says "heap overflow" where the program has no time to.
 *
 * LOCKING. One lock, never held while anything is reported.
 */
#include "internal.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define MIN_ALIGNMENT 16ul

static char lock; /* atomic */
static size_t nr_objects;

void
guard_lock(void)
{
	while (__atomic_test_and_set(&lock, __ATOMIC_ACQUIRE))
		sched_yield();
}

void
guard_unlock(void)
{
	__atomic_clear(&lock, __ATOMIC_RELEASE);
}

static void
begin(void)
{
	report_faults();
	pthread_atfork(guard_lock, guard_unlock, guard_unlock);
	(void)prctl(PR_HEAP_GUARD, 1, 0, 0, 0);
}

static void
begin_once(void)
{
	static char begun; /* atomic */

	if (!__atomic_test_and_set(&begun, __ATOMIC_RELAXED))
		begin();
}

/* ---- Zones ----------------------------------------------------------------------------------- */

/* Bytes of an object's own pages that are not its: [start, object) and [object + size, end). */
struct zones {
	char *start, *end;
};

static struct zones
zones_of(const struct record *record)
{
	uintptr_t first = (uintptr_t)record->object & -PAGE;
	uintptr_t last = ((uintptr_t)record->object + record->size + PAGE - 1) & -PAGE;

	if (last == first) /* an object of 0 bytes at the start of a page */
		last += PAGE;
	if ((uintptr_t)record->object - first > GUARD_ZONE)
		first = (uintptr_t)record->object - GUARD_ZONE;
	return (struct zones){ (char *)first, (char *)last };
}

static void
fill_zones(const struct record *record)
{
	struct zones zones = zones_of(record);
	char *behind = record->object + record->size;

	memset(zones.start, FILL_RED, (size_t)(record->object - zones.start));
	memset(behind, FILL_RED, (size_t)(zones.end - behind));
}

/* The first byte of [from, to) that is not the pattern, or NULL. */
static const unsigned char *
find_other(const char *from, const char *to)
{
	for (; from < to; from++) {
		if ((unsigned char)*from != FILL_RED)
			return (const unsigned char *)from;
	}
	return NULL;
}

/* Is a zone overwritten? Then *r tells. */
static bool
is_damaged(const struct record *record, struct guard_report *r)
{
	struct zones zones = zones_of(record);
	const unsigned char *byte = find_other(zones.start, record->object);
	enum guard_kind kind = GUARD_ZONE_BEFORE;

	if (!byte) {
		byte = find_other(record->object + record->size, zones.end);
		kind = GUARD_ZONE_AFTER;
	}
	if (!byte)
		return false;
	*r = (struct guard_report){
		.kind = kind,
		.object = record->object,
		.size = record->size,
		.offset = (const char *)byte - record->object,
		.now = *byte,
		.allocated_at = record->allocated_at,
	};
	return true;
}

unsigned
guard_check(void)
{
	unsigned damaged = 0;
	struct guard_report r;
	struct record *record;
	bool bad;

	for (uint32_t number = 1;; number++) {
		guard_lock();
		record = record_at(number);
		bad = record && record->state == LIVE && is_damaged(record, &r);
		guard_unlock();
		if (!record)
			return damaged;
		if (bad)
			report(&r);
		damaged += bad;
	}
}

/* ---- Allocating ------------------------------------------------------------------------------ */

/* Pages that hold size bytes at a multiple of alignment, which end as near as can be to the last.
 */
static size_t
pages_for(size_t size, size_t alignment)
{
	size_t slack = alignment > PAGE ? alignment - PAGE : 0;

	return ((size ? size : 1) + slack + PAGE - 1) / PAGE;
}

static bool
place(struct record *record, size_t size, size_t alignment, const void *site)
{
	char *end = record->span + record->pages * PAGE;
	size_t room = size ? size : 1;

	record->object = (char *)(((uintptr_t)end - room) & -alignment);
	record->size = size;
	record->allocated_at = site;
	record->freed_at = NULL;
	/* Of a larger alignment, whole pages before or behind may be left hidden. */
	if (!pages_show((char *)((uintptr_t)record->object & -PAGE),
			(char *)(((uintptr_t)record->object + room + PAGE - 1) & -PAGE)))
		return false;
	record->state = LIVE;
	return true;
}

static void *
allocate(size_t size, size_t alignment, int fill, const void *site)
{
	struct record *record = NULL;
	bool placed = false;

	begin_once();
	if (alignment < MIN_ALIGNMENT)
		alignment = MIN_ALIGNMENT;
	if (size > PTRDIFF_MAX / 2 || alignment > PTRDIFF_MAX / 4) {
		errno = ENOMEM;
		return NULL;
	}
	guard_lock();
	record = span_take(pages_for(size, alignment));
	if (record) {
		placed = place(record, size, alignment, site);
		if (placed)
			fill_zones(record);
		else
			span_quarantine(record);
		nr_objects += placed;
	}
	guard_unlock();
	if (!placed) {
		errno = ENOMEM;
		return NULL;
	}
	if (fill)
		memset(record->object, fill, size);
	return record->object;
}

/* ---- Freeing --------------------------------------------------------------------------------- */

static struct guard_report
pointer_report(const struct record *record, const char *pointer)
{
	struct guard_report r = { .kind = GUARD_FOREIGN, .object = pointer };

	if (!record || record->state == UNUSED || record->state == FREE)
		return r;
	if (pointer < record->object || pointer > record->object + record->size)
		return r;
	r.object = record->object;
	r.size = record->size;
	r.offset = pointer - record->object;
	r.allocated_at = record->allocated_at;
	r.freed_at = record->freed_at;
	r.kind = pointer == record->object ? GUARD_DOUBLE_FREE : GUARD_INTERIOR;
	return r;
}

/* The record of an object in use that begins at pointer. Else NULL, and *r tells. */
static struct record *
find_object(const char *pointer, struct guard_report *r)
{
	struct record *record = span_of(pointer);

	if (record && record->state == LIVE && record->object == pointer)
		return record;
	*r = pointer_report(record, pointer);
	return NULL;
}

#define ANY_SIZE SIZE_MAX

static void
give_back(char *pointer, size_t size, const void *site)
{
	struct guard_report r;
	struct record *record;
	bool bad = true;

	if (!pointer)
		return;
	guard_lock();
	record = find_object(pointer, &r);
	if (record && size != ANY_SIZE && size != record->size) {
		r = pointer_report(record, pointer);
		r.kind = GUARD_WRONG_SIZE;
		r.offset = (ptrdiff_t)size;
	} else if (record) {
		bad = is_damaged(record, &r);
		record->freed_at = site;
		span_quarantine(record);
		nr_objects--;
	}
	guard_unlock();
	if (bad)
		report(&r);
}

/* The size of an object; a pointer to none is reported, and has SIZE_MAX. */
static size_t
size_of(const char *pointer)
{
	struct guard_report r;
	const struct record *record;
	size_t size = SIZE_MAX;

	guard_lock();
	record = find_object(pointer, &r);
	if (record)
		size = record->size;
	guard_unlock();
	if (!record)
		report(&r);
	return size;
}

size_t
guard_objects(void)
{
	return __atomic_load_n(&nr_objects, __ATOMIC_RELAXED);
}

/* ---- The C library's functions --------------------------------------------------------------- */

#define SITE __builtin_return_address(0)

static bool
is_power_of_two(size_t n)
{
	return n && !(n & (n - 1));
}

void *
malloc(size_t size)
{
	return allocate(size, MIN_ALIGNMENT, FILL_FRESH, SITE);
}

void *
calloc(size_t nr, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(nr, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return allocate(bytes, MIN_ALIGNMENT, 0, SITE); /* fresh pages are zeroes */
}

/* Always another object: who keeps the old pointer is found. */
void *
realloc(void *object, size_t size)
{
	size_t old;
	void *new;

	if (!object)
		return allocate(size, MIN_ALIGNMENT, FILL_FRESH, SITE);
	old = size_of(object);
	if (old == SIZE_MAX)
		return NULL;
	new = allocate(size, MIN_ALIGNMENT, FILL_FRESH, SITE);
	if (!new)
		return NULL;
	memcpy(new, object, old < size ? old : size);
	give_back(object, ANY_SIZE, SITE);
	return new;
}

void
free(void *object)
{
	int error = errno;

	give_back(object, ANY_SIZE, SITE);
	errno = error;
}

void
free_sized(void *object, size_t size)
{
	give_back(object, size, SITE);
}

void
free_aligned_sized(void *object, size_t alignment, size_t size)
{
	(void)alignment;
	give_back(object, size, SITE);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	if (!is_power_of_two(alignment)) {
		errno = EINVAL;
		return NULL;
	}
	return allocate(size, alignment, FILL_FRESH, SITE);
}

void *
memalign(size_t alignment, size_t size)
{
	if (!is_power_of_two(alignment)) {
		errno = EINVAL;
		return NULL;
	}
	return allocate(size, alignment, FILL_FRESH, SITE);
}

int
posix_memalign(void **object, size_t alignment, size_t size)
{
	int error = errno;
	void *new;

	if (!is_power_of_two(alignment) || alignment < sizeof(void *))
		return EINVAL;
	new = allocate(size, alignment, FILL_FRESH, SITE);
	errno = error;
	if (!new)
		return ENOMEM;
	*object = new;
	return 0;
}

size_t
malloc_usable_size(void *object)
{
	return object ? size_of(object) : 0;
}
