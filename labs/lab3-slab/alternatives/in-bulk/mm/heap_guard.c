/* SPDX-License-Identifier: MIT */
/*
 * Guarded objects: finding writes to memory that is not the writer's.
 *
 * PROBLEM. A write past the end of an object, or into one that was freed, does its damage
 * much later and somewhere else. It can be seen early only if memory that nobody may write to
 * holds something known.
 *
 * IDEA. Each object of a guarded cache has its own red zones, 64 bytes before and after, full
 * of a pattern; a free object is full of another. Whoever writes there changes the pattern,
 * and whoever looks finds it. (Red zones and freed-buffer patterns: Bonwick 1994, section 6;
 * quarantine: Serebryany and others, AddressSanitizer, 2012)
 *
 *	|        | c3 c3 c3 c3 ... | object          | c3 ... c3 | c3 c3 c3 c3 ... |
 *	| record | red zone        | size asked for  | to class  | red zone        |
 *	                           ^ what the caller gets
 *
 * The zone after the object begins where the size that was asked for ends, not where that of
 * its class does, so one byte too far is one byte too far for every size.
 *
 * A freed object goes to a quarantine first and is handed out again only after many others
 * were freed, so that a write through an old pointer hits memory that is still known to be
 * free. Fresh memory is filled with a third pattern: whoever uses it unset shows it.
 *
 * WHEN IT IS LOOKED AT. The zones: when the object is freed, and by slab_check(). A free
 * object: when it leaves the quarantine, when it is handed out, and by slab_check().
 *
 * STATES of an object, in its record:
 *
 *	FREE ---> BUSY ---> LIVE ---> BUSY ---> QUARANTINED ---> FREE
 *	  guard_alloc()        guard_free()          quarantine_put()
 *
 * The zones and, while QUARANTINED or FREE, the contents change only while BUSY, or while the
 * object is in no slab list that slab_check() reads under the lock. So that check never reports
 * a write that is just going on.
 *
 * LOCKING. BUSY belongs to the CPU that made it so. The quarantine is guarded by the lock of
 * node 0; objects in it belong to it.
 */
#include <panic.h>
#include <printk.h>
#include <slab.h>
#include <string.h>

#include <arch/trace_site.h>

#include "heap_protection.h"

#define FILL_RED   0x71 /* a red zone */
#define FILL_FRESH 0x5a /* allocated, not written yet */
#define FILL_FREED 0x9d /* free */

#define RED_ZONE	 64ul
#define QUARANTINE_BYTES KiB(96) /* of objects of one cache */
#define QUARANTINE_ENTRY 8ul	 /* at least that many objects */

/* Values that no accident makes out of each other. */
enum record_state {
	RECORD_FREE = 0x46524545,
	RECORD_BUSY = 0x42555359,
	RECORD_LIVE = 0x4c495645,
	RECORD_QUARANTINED = 0x51554152,
};

/* Lies in front of the first red zone. */
struct record {
	uint32_t state;	      /* enum record_state; atomic */
	uint32_t size;	      /* that was asked for */
	uint32_t room;	      /* from the object to the end of the zone after it */
	uint32_t lead;	      /* of a large object: from its first frame to the object */
	uintptr_t alloc_site; /* return address of the call into mm/, or 0 */
	uintptr_t free_site;
	uint64_t alloc_cycles, free_cycles; /* arch_cycles() */
	uint16_t alloc_cpu, free_cpu;
};

/* Objects in the order in which they were freed: a ring. */
struct heap_quarantine {
	uint32_t first, nr, capacity;
	void *object[];
};

#define QUARANTINE_SLOTS ((PAGE_SIZE - sizeof(struct heap_quarantine)) / sizeof(void *))

static struct record *
record_of(const void *object)
{
	return (struct record *)((uintptr_t)object - RED_ZONE - sizeof(struct record));
}

void
guard_room(struct kmem_cache *cache)
{
	cache->guard_before = sizeof(struct record) + RED_ZONE;
	cache->guard_after = RED_ZONE;
}

/* ---- Patterns ---------------------------------------------------------------------------- */

/* The first byte of [start, start + size) that is not fill, or NULL. */
static const uint8_t *
find_other(const void *start, size_t size, uint8_t fill)
{
	const uint64_t pattern = fill * 0x0101010101010101ull;
	const uint8_t *at = start, *end = at + size;

	for (; at < end && !IS_ALIGNED((uintptr_t)at, sizeof(pattern)); at++) {
		if (*at != fill)
			return at;
	}
	while (at + sizeof(pattern) <= end && *(const uint64_t *)at == pattern)
		at += sizeof(pattern);
	for (; at < end; at++) {
		if (*at != fill)
			return at;
	}
	return NULL;
}

/* How many bytes the zone after an object has. */
static size_t
zone_after(const struct record *record)
{
	return record->room - record->size;
}

static void
fill_red_zones(const struct kmem_cache *cache, void *object)
{
	const struct record *record = record_of(object);

	if (!(cache->flags & SLAB_RED_ZONE))
		return;
	memset((char *)object - RED_ZONE, FILL_RED, RED_ZONE);
	memset((char *)object + record->size, FILL_RED, zone_after(record));
}

/* The first byte of an object's red zones that was overwritten, or NULL. */
static const uint8_t *
find_red_zone_damage(const struct kmem_cache *cache, const void *object)
{
	const struct record *record = record_of(object);
	const uint8_t *before;

	if (!(cache->flags & SLAB_RED_ZONE))
		return NULL;
	before = find_other((const char *)object - RED_ZONE, RED_ZONE, FILL_RED);
	if (before)
		return before;
	return find_other((const char *)object + record->size, zone_after(record), FILL_RED);
}

/* The first byte of a free object that was written to, or NULL. */
static const uint8_t *
find_freed_damage(const struct kmem_cache *cache, const void *object)
{
	if (!(cache->flags & SLAB_POISON))
		return NULL;
	return find_other(object, record_of(object)->size, FILL_FREED);
}

/* ---- Reports ----------------------------------------------------------------------------- */

static void
print_site(const char *what, uintptr_t site, uint64_t cycles, unsigned cpu)
{
	if (site)
		kprintf("  %s at %#lx on CPU %u, cycle %lu\n", what, (unsigned long)site, cpu,
			(unsigned long)cycles);
}

void
heap_print_history(struct kmem_cache *cache, const void *object)
{
	const struct record *record = record_of(object);

	if (!(cache->flags & SLAB_GUARDED))
		return;
	print_site("allocated", record->alloc_site, record->alloc_cycles, record->alloc_cpu);
	print_site("freed", record->free_site, record->free_cycles, record->free_cpu);
}

/* What a damaged byte says, as one line. */
static void
describe(char *line, size_t size, const struct kmem_cache *cache, const void *object,
	 const uint8_t *damage)
{
	long offset = (const char *)damage - (const char *)object;

	if (offset >= 0 && offset < (long)record_of(object)->size)
		ksnprintf(line, size,
			  "slab: written after free: object %p of %s, offset %ld holds %#x", object,
			  cache->name, offset, *damage);
	else
		ksnprintf(line, size,
			  "slab: red zone %s object %p of %s overwritten: offset %ld holds %#x",
			  offset < 0 ? "before" : "after", object, cache->name, offset, *damage);
}

static void
panic_if_damaged(struct kmem_cache *cache, const void *object, const uint8_t *damage)
{
	char line[160];

	if (likely(!damage))
		return;
	describe(line, sizeof(line), cache, object, damage);
	heap_print_history(cache, object);
	panic("%s", line);
}

static _Noreturn void
bad_record(struct kmem_cache *cache, const void *object, uint32_t state)
{
	panic("slab: record of object %p of %s overwritten: its state is %#x", object, cache->name,
	      state);
}

unsigned
guard_check(struct kmem_cache *cache, const void *object, bool is_free)
{
	const struct record *record = record_of(object);
	uint32_t state = __atomic_load_n(&record->state, __ATOMIC_ACQUIRE);
	const uint8_t *damage;
	char line[160];

	/* Being allocated or freed right now: it is looked at there. */
	if (state == RECORD_BUSY || (state == RECORD_FREE && !is_free))
		return 0;
	if (state != RECORD_FREE &&
	    (is_free || (state != RECORD_LIVE && state != RECORD_QUARANTINED))) {
		kprintf("slab: record of object %p of %s overwritten: its state is %#x\n", object,
			cache->name, state);
		return 1;
	}
	damage = find_red_zone_damage(cache, object);
	if (!damage && state != RECORD_LIVE)
		damage = find_freed_damage(cache, object);
	if (!damage)
		return 0;
	describe(line, sizeof(line), cache, object, damage);
	heap_print_history(cache, object);
	kprintf("%s\n", line);
	return 1;
}

/* ---- Quarantine -------------------------------------------------------------------------- */

static struct heap_quarantine *
quarantine_make(const struct kmem_cache *cache)
{
	struct page *page = alloc_pages(SLAB_OWN_GFP, 0);
	struct heap_quarantine *quarantine;

	if (!page)
		return NULL;
	quarantine = page_to_virt(page);
	quarantine->first = quarantine->nr = 0;
	quarantine->capacity = (uint32_t)MIN(QUARANTINE_SLOTS, MAX(QUARANTINE_BYTES / cache->stride,
								   QUARANTINE_ENTRY));
	return quarantine;
}

/* Written under the lock; without it this is only a hint. */
static bool
has_quarantine(const struct kmem_cache *cache)
{
	return __atomic_load_n(&cache->quarantine, __ATOMIC_RELAXED) != NULL;
}

static void
quarantine_set_locked(struct kmem_cache *cache, struct heap_quarantine *quarantine)
{
	assert_held(&cache->node[0].lock);
	__atomic_store_n(&cache->quarantine, quarantine, __ATOMIC_RELAXED);
}

static void
quarantine_delete(struct heap_quarantine *quarantine)
{
	if (quarantine)
		__free_pages(pfn_to_page(virt_to_phys(quarantine) >> PAGE_SHIFT), 0);
}

/* The object that was freed first, taken out. */
static void *
take_oldest(struct heap_quarantine *quarantine)
{
	void *object = quarantine->object[quarantine->first];

	quarantine->first = (quarantine->first + 1) % quarantine->capacity;
	quarantine->nr--;
	return object;
}

/* Give an object back to its slab: it has not been touched since it was freed. */
static void
release(struct kmem_cache *cache, void *object)
{
	panic_if_damaged(cache, object, find_red_zone_damage(cache, object));
	panic_if_damaged(cache, object, find_freed_damage(cache, object));
	__atomic_store_n(&record_of(object)->state, RECORD_FREE, __ATOMIC_RELEASE);
	slab_free_object(cache, object);
}

/* Put an object in. Returns the one that has to leave for it: itself, if there is no quarantine. */
static void *
quarantine_put(struct kmem_cache *cache, void *object)
{
	bool wanted = cache->flags & SLAB_POISON && !has_quarantine(cache);
	struct heap_quarantine *made = wanted ? quarantine_make(cache) : NULL;
	irqflags_t flags = spin_lock_irqsave(&cache->node[0].lock);
	struct heap_quarantine *quarantine = cache->quarantine;
	void *leaves = NULL;

	if (!quarantine && made) {
		quarantine = made;
		quarantine_set_locked(cache, quarantine);
		made = NULL;
	}
	if (!quarantine) {
		leaves = object;
	} else {
		if (quarantine->nr == quarantine->capacity)
			leaves = take_oldest(quarantine);
		quarantine->object[(quarantine->first + quarantine->nr++) % quarantine->capacity] =
		    object;
	}
	spin_unlock_irqrestore(&cache->node[0].lock, flags);
	quarantine_delete(made);
	return leaves;
}

void
guard_release_all(struct kmem_cache *cache)
{
	struct heap_quarantine *quarantine;
	irqflags_t flags;

	if (!(cache->flags & SLAB_GUARDED))
		return;
	flags = spin_lock_irqsave(&cache->node[0].lock);
	quarantine = cache->quarantine;
	quarantine_set_locked(cache, NULL);
	spin_unlock_irqrestore(&cache->node[0].lock, flags);
	while (quarantine && quarantine->nr > 0)
		release(cache, take_oldest(quarantine));
	quarantine_delete(quarantine);
}

/* ---- Allocation and freeing -------------------------------------------------------------- */

/* Called in mm/ only, at the end of calls into it: finds who made the call. */
static __attribute__((noinline)) uintptr_t
call_site(void)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);

	return arch_trace_caller(&frame);
}

void
guard_fresh(struct kmem_cache *cache, void *object)
{
	struct record *record = record_of(object);

	*record = (struct record){
		.state = RECORD_FREE,
		.size = cache->size,
		.room = cache->size + RED_ZONE,
	};
	fill_red_zones(cache, object);
	if (cache->flags & SLAB_POISON)
		memset(object, FILL_FREED, cache->size);
}

/* Make an object LIVE, with the contents that its user expects. */
static void
hand_out(struct kmem_cache *cache, void *object, gfp_t gfp, size_t size)
{
	struct record *record = record_of(object);

	record->size = (uint32_t)size;
	record->alloc_site = cache->flags & SLAB_STORE_USER ? call_site() : 0;
	record->alloc_cycles = arch_cycles();
	record->alloc_cpu = (uint16_t)cpu_id();
	record->free_site = 0;
	fill_red_zones(cache, object);
	if (gfp & GFP_ZERO)
		memset(object, 0, size);
	else if (cache->flags & SLAB_POISON)
		memset(object, FILL_FRESH, size);
	if (cache->ctor)
		cache->ctor(object);
	__atomic_store_n(&record->state, RECORD_LIVE, __ATOMIC_RELEASE);
}

void *
guard_alloc(struct kmem_cache *cache, gfp_t gfp, size_t size)
{
	void *object = slab_alloc_object(cache, gfp);
	uint32_t state;

	if (!object && has_quarantine(cache)) {
		guard_release_all(cache);
		object = slab_alloc_object(cache, gfp);
	}
	if (!object)
		return NULL;
	state = __atomic_exchange_n(&record_of(object)->state, RECORD_BUSY, __ATOMIC_ACQ_REL);
	if (state != RECORD_FREE)
		bad_record(cache, object, state);
	panic_if_damaged(cache, object, find_red_zone_damage(cache, object));
	panic_if_damaged(cache, object, find_freed_damage(cache, object));
	hand_out(cache, object, gfp, size);
	return object;
}

/* Take an object from its user: from LIVE to BUSY, or panic. */
static void
take_from_user(struct kmem_cache *cache, void *object)
{
	uint32_t state = RECORD_LIVE;

	if (__atomic_compare_exchange_n(&record_of(object)->state, &state, RECORD_BUSY, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return;
	if (state != RECORD_FREE && state != RECORD_QUARANTINED && state != RECORD_BUSY)
		bad_record(cache, object, state);
	heap_double_free(cache, object);
}

void
guard_free(struct kmem_cache *cache, void *object)
{
	struct record *record = record_of(object);
	void *leaves;

	take_from_user(cache, object);
	panic_if_damaged(cache, object, find_red_zone_damage(cache, object));
	record->free_site = cache->flags & SLAB_STORE_USER ? call_site() : 0;
	record->free_cycles = arch_cycles();
	record->free_cpu = (uint16_t)cpu_id();
	if (cache->flags & SLAB_POISON)
		memset(object, FILL_FREED, record->size);
	__atomic_store_n(&record->state, RECORD_QUARANTINED, __ATOMIC_RELEASE);
	leaves = quarantine_put(cache, object);
	if (leaves)
		release(cache, leaves);
}

size_t
guard_size(const void *object)
{
	return record_of(object)->size;
}

uintptr_t
heap_alloc_site(const void *object)
{
	return record_of(object)->alloc_site;
}

uintptr_t
heap_free_site(const void *object)
{
	return record_of(object)->free_site;
}

/* ---- Large objects ----------------------------------------------------------------------- */

/*
 * A large object has frames of its own. Before it lies at least one more, for its record and
 * the red zone; the zone after it ends with its last frame.
 *
 *	|          record | zone | object, size bytes     | zone to the end |
 *	base                     base + lead              at least 64 bytes
 */
static struct kmem_cache large_objects = {
	.name = "kmalloc-large",
	.flags = SLAB_RED_ZONE | SLAB_STORE_USER,
};

bool
guard_fits_large(size_t size, size_t alignment)
{
	size_t lead = MAX(PAGE_SIZE, alignment);

	return lead + ALIGN_UP(size + RED_ZONE, PAGE_SIZE) <= MAX_ORDER_FRAMES << PAGE_SHIFT;
}

void *
guard_alloc_large(size_t size, size_t alignment, gfp_t gfp)
{
	size_t lead = MAX(PAGE_SIZE, alignment);
	size_t room = ALIGN_UP(size + RED_ZONE, PAGE_SIZE);
	struct page *page;
	void *object;

	page = alloc_pages_exact(gfp & ~GFP_ZERO, (lead + room) >> PAGE_SHIFT);
	if (!page)
		return NULL;
	object = (char *)page_to_virt(page) + lead;
	*record_of(object) = (struct record){ .room = (uint32_t)room, .lead = (uint32_t)lead };
	hand_out(&large_objects, object, gfp, size);
	page += lead >> PAGE_SHIFT;
	heap_mark_large(page, room >> PAGE_SHIFT);
	page->owner |= LARGE_GUARDED;
	return object;
}

void
guard_free_large(struct page *page)
{
	void *object = page_to_virt(page);
	const struct record *record = record_of(object);
	size_t nr_frames = (record->lead + record->room) >> PAGE_SHIFT;
	size_t nr_lead = record->lead >> PAGE_SHIFT;

	take_from_user(&large_objects, object);
	panic_if_damaged(&large_objects, object, find_red_zone_damage(&large_objects, object));
	heap_unmark_large(page);
	free_pages_exact(page - nr_lead, nr_frames);
}
