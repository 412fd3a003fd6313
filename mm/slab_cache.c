/* SPDX-License-Identifier: MIT */
/*
 * The life of a cache: made, shared, shrunk, destroyed.
 *
 * Two kinds of cache exist. KMEM_CACHE() defines one at compile time; it makes itself ready at
 * its first use, so that code which runs before the memory manager, or without it, may name
 * it. kmem_cache_create() makes the other kind, from memory, or finds an existing cache that
 * will do: two caches with the same layout and no constructor differ only in name, and one
 * cache for both leaves fewer slabs half empty. A shared cache counts its users and keeps
 * their names.
 *
 * Objects that lie in the magazines of other CPUs can only be had by those CPUs. So whoever
 * wants a cache empty asks every CPU to give its magazine up, and trims the slabs then.
 *
 * LOCKING. caches_lock guards the list of all caches, their names and users. A cache on the
 * list is ready, and stays until it is off the list; so who holds the lock may use any cache
 * of the list. It is taken before a node's lock.
 */
#include <arch.h>
#include <errno.h>
#include <panic.h>
#include <printk.h>
#include <reclaim.h>
#include <slab.h>
#include <string.h>

#include "heap_protection.h"

#define MAX_REPORTED 8 /* objects that a refused kmem_cache_destroy() lists */

spinlock_t caches_lock = SPINLOCK_INIT("caches", RANK_CACHES);
struct list_head all_caches = LIST_INIT(all_caches);

static KMEM_CACHE(cache_cache, "kmem_cache", sizeof(struct kmem_cache), 64,
		  SLAB_NO_MAGAZINES | SLAB_NO_PROTECTION, NULL);
static KMEM_CACHE(alias_cache, "cache_alias", sizeof(struct cache_alias), 0,
		  SLAB_NO_MAGAZINES | SLAB_NO_PROTECTION, NULL);

/* From the allocator of frames, when these are short. */
static size_t
reclaim_slabs(size_t nr_frames, gfp_t gfp)
{
	(void)gfp;
	return slab_reclaim(nr_frames);
}

RECLAIMER(slab, reclaim_slabs, RECLAIM_CACHES);

/* Be as KMEM_CACHE() left the cache, whatever it holds. */
static void
cache_forget(struct kmem_cache *cache)
{
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		cache->magazine[cpu] = &no_magazine;
	memset(cache->node, 0, sizeof(cache->node));
	cache->nr_alloc_past = 0;
	cache->nr_users = 1;
	cache->quarantine = NULL;
	__atomic_store_n(&cache->ready, false, __ATOMIC_RELEASE);
}

void
slab_init(void)
{
	struct kmem_cache *cache;

	list_for_each_entry (cache, &all_caches, link) {
		if (cache->flags & SLAB_STATIC)
			cache_forget(cache);
	}
	list_init(&all_caches);
	kmalloc_init();
}

/* ---- Making one -------------------------------------------------------------------------- */

/* A magazine should not tie up too much memory, nor be too short to be worth it. */
static uint32_t
largest_magazine(const struct kmem_cache *cache)
{
	if (cache->flags & (SLAB_NO_MAGAZINES | SLAB_PROTECTED))
		return 0;
	if (cache->stride <= 256)
		return MAGAZINE_LARGE;
	return cache->stride <= 512 ? MAGAZINE_MEDIUM : MAGAZINE_SMALL;
}

/* Set all that follows from name, size, align, flags and constructor. */
static void
cache_set_up(struct kmem_cache *cache)
{
	cache->align = MAX(cache->align, SLAB_MIN_ALIGN);
	heap_protect(cache);
	cache_lay_out(cache);
	cache->max_capacity = largest_magazine(cache);
	cache->max_empty = 1 + cache->max_capacity / cache->nr_objects;
	list_init(&cache->aliases);
	for (unsigned i = 0; i < NR_NODES; i++) {
		struct cache_node *node = &cache->node[i];

		spin_init(&node->lock, cache->name, RANK_SLAB);
		for (unsigned kind = 0; kind < NR_SLAB_KINDS; kind++)
			list_init(&node->list[kind]);
	}
}

static void
publish_locked(struct kmem_cache *cache)
{
	list_add_tail(&cache->link, &all_caches);
	__atomic_store_n(&cache->ready, true, __ATOMIC_RELEASE);
}

void
cache_prepare(struct kmem_cache *cache)
{
	irqflags_t flags = spin_lock_irqsave(&caches_lock);

	if (!cache->ready) {
		cache_set_up(cache);
		publish_locked(cache);
	}
	spin_unlock_irqrestore(&caches_lock, flags);
}

static void
check_arguments(const char *name, size_t size, size_t align)
{
	if (!name)
		panic("slab: a cache without a name");
	if (size == 0 || size > KMEM_MAX_SIZE)
		panic("slab: %s: objects of %lu bytes", name, (unsigned long)size);
	if ((align & (align - 1)) != 0 || align > KMEM_MAX_SIZE)
		panic("slab: %s: an alignment of %lu", name, (unsigned long)align);
}

/* Can what was asked for with a description be had from the cache? */
static bool
can_share(const struct kmem_cache *cache, const struct kmem_cache *wanted)
{
	const slab_flags_t no = SLAB_NO_MERGE | SLAB_PROTECTED;

	return !((cache->flags | wanted->flags) & no) && cache->flags == wanted->flags &&
	       !cache->ctor && !wanted->ctor && cache->nr_users > 0 &&
	       cache->stride == wanted->stride && cache->size >= wanted->size &&
	       IS_ALIGNED(cache->align, wanted->align);
}

/* Become a user of a like cache. Returns NULL if there is none. */
static struct kmem_cache *
find_like(const struct kmem_cache *wanted)
{
	irqflags_t flags = spin_lock_irqsave(&caches_lock);
	struct kmem_cache *cache, *found = NULL;

	list_for_each_entry (cache, &all_caches, link) {
		if (!can_share(cache, wanted))
			continue;
		found = cache;
		found->nr_users++;
		break;
	}
	spin_unlock_irqrestore(&caches_lock, flags);
	return found;
}

static void
add_alias(struct kmem_cache *cache, struct cache_alias *alias)
{
	irqflags_t flags = spin_lock_irqsave(&caches_lock);

	list_add_tail(&alias->link, &cache->aliases);
	spin_unlock_irqrestore(&caches_lock, flags);
}

kmem_cache_t *
kmem_cache_create(const char *name, size_t size, size_t align, slab_flags_t flags,
		  void (*ctor)(void *object))
{
	struct kmem_cache *cache, *like;
	struct cache_alias *alias;
	irqflags_t irq_flags;

	check_arguments(name, size, align);
	cache = kmem_cache_alloc(&cache_cache, GFP_KERNEL);
	if (!cache)
		return NULL;
	*cache = (struct kmem_cache)KMEM_CACHE_INIT("", (uint32_t)size, (uint32_t)align, 0, ctor);
	cache->asked = flags;
	strlcpy(cache->name, name, sizeof(cache->name));
	cache_set_up(cache);

	like = find_like(cache);
	if (!like) {
		irq_flags = spin_lock_irqsave(&caches_lock);
		publish_locked(cache);
		spin_unlock_irqrestore(&caches_lock, irq_flags);
		return cache;
	}
	kmem_cache_free(&cache_cache, cache);
	alias = kmem_cache_alloc(&alias_cache, GFP_KERNEL);
	if (!alias) {
		kmem_cache_destroy(like);
		return NULL;
	}
	strlcpy(alias->name, name, sizeof(alias->name));
	add_alias(like, alias);
	return like;
}

/* ---- Giving memory back ---------------------------------------------------------------------- */

static void
drop_one(void *cache)
{
	magazine_drop(cache);
}

static void
drop_all(void *unused)
{
	struct kmem_cache *cache;

	(void)unused;
	spin_lock(&caches_lock);
	list_for_each_entry (cache, &all_caches, link)
		magazine_drop(cache);
	spin_unlock(&caches_lock);
}

size_t
kmem_cache_shrink(kmem_cache_t *cache)
{
	if (!__atomic_load_n(&cache->ready, __ATOMIC_ACQUIRE))
		return 0;
	guard_release_all(cache);
	arch_call_cpus(drop_one, cache);
	return cache_trim(cache, 0);
}

/* Trim each cache, until there are nr_frames. Returns how many. */
static size_t
trim_each(size_t nr_frames)
{
	irqflags_t flags = spin_lock_irqsave(&caches_lock);
	struct kmem_cache *cache;
	size_t freed = 0;

	list_for_each_entry (cache, &all_caches, link) {
		if (freed >= nr_frames)
			break;
		freed += cache_trim(cache, 0);
	}
	spin_unlock_irqrestore(&caches_lock, flags);
	return freed;
}

/* Again and again: slabs that go may have the last headers in a slab of an earlier cache. */
static size_t
trim_all(size_t nr_frames)
{
	size_t freed = 0, more;

	do {
		more = trim_each(nr_frames - freed);
		freed += more;
	} while (more > 0 && freed < nr_frames);
	return freed;
}

static void
end_quarantines(void)
{
	irqflags_t flags = spin_lock_irqsave(&caches_lock);
	struct kmem_cache *cache;

	list_for_each_entry (cache, &all_caches, link)
		guard_release_all(cache);
	spin_unlock_irqrestore(&caches_lock, flags);
}

size_t
slab_reclaim(size_t nr_frames)
{
	size_t freed = trim_all(nr_frames);

	if (freed < nr_frames && arch_irqs_enabled()) {
		end_quarantines();
		arch_call_cpus(drop_all, NULL);
		freed += trim_all(nr_frames - freed);
	}
	return freed;
}

/* ---- Destroying one -------------------------------------------------------------------------- */

/* Print the objects that keep a cache from being destroyed. */
static void
report_in_use(struct kmem_cache *cache, size_t nr_in_use)
{
	void *objects[MAX_REPORTED];
	unsigned nr = slab_list_in_use(cache, objects, MAX_REPORTED);

	kprintf("slab: %s: %lu objects are in use, the cache is kept\n", cache->name,
		(unsigned long)nr_in_use);
	for (unsigned i = 0; i < nr; i++) {
		kprintf("  object %p\n", objects[i]);
		heap_print_history(cache, objects[i]);
	}
	if (nr_in_use > nr)
		kprintf("  and %lu more\n", (unsigned long)(nr_in_use - nr));
}

/* Take a name off the cache. Returns it, or NULL if there is none. */
static struct cache_alias *
take_alias_locked(struct kmem_cache *cache)
{
	struct cache_alias *alias;

	assert_held(&caches_lock);
	if (list_empty(&cache->aliases))
		return NULL;
	alias = list_entry(cache->aliases.prev, struct cache_alias, link);
	list_del(&alias->link);
	return alias;
}

/* Leave a shared cache, together with one of its names. Returns false if it is not shared. */
static bool
leave_shared(struct kmem_cache *cache)
{
	irqflags_t flags = spin_lock_irqsave(&caches_lock);
	bool shared = cache->nr_users > 1;
	struct cache_alias *alias = shared ? take_alias_locked(cache) : NULL;

	cache->nr_users--;
	spin_unlock_irqrestore(&caches_lock, flags);
	if (alias)
		kmem_cache_free(&alias_cache, alias);
	return shared;
}

static void
set_users(struct kmem_cache *cache, unsigned nr)
{
	irqflags_t flags = spin_lock_irqsave(&caches_lock);

	cache->nr_users = nr;
	spin_unlock_irqrestore(&caches_lock, flags);
}

/*
 * Take the cache off the list. A name may be left: its user had joined, but not added it yet,
 * when another left.
 */
static void
unpublish(struct kmem_cache *cache)
{
	irqflags_t flags = spin_lock_irqsave(&caches_lock);
	struct cache_alias *alias = take_alias_locked(cache);

	list_del(&cache->link);
	spin_unlock_irqrestore(&caches_lock, flags);
	if (alias)
		kmem_cache_free(&alias_cache, alias);
}

void
kmem_cache_destroy(kmem_cache_t *cache)
{
	struct slab_stats stats;

	if (!cache || !__atomic_load_n(&cache->ready, __ATOMIC_ACQUIRE) || leave_shared(cache))
		return;
	/* Without users nobody else can come to share it meanwhile. */
	kmem_cache_shrink(cache);
	slab_get_stats(cache, &stats);
	if (stats.nr_in_use > 0) {
		report_in_use(cache, stats.nr_in_use);
		set_users(cache, 1);
		return;
	}
	unpublish(cache);
	if (cache->flags & SLAB_STATIC)
		cache_forget(cache);
	else
		kmem_cache_free(&cache_cache, cache);
}

/* ---- Visiting all of them ---------------------------------------------------------------- */

struct kmem_cache *
cache_pin_nth(unsigned n)
{
	irqflags_t flags = spin_lock_irqsave(&caches_lock);
	struct kmem_cache *cache, *found = NULL;

	list_for_each_entry (cache, &all_caches, link) {
		/* One without users is being destroyed. */
		if (cache->nr_users > 0 && n-- == 0) {
			found = cache;
			found->nr_users++;
			break;
		}
	}
	spin_unlock_irqrestore(&caches_lock, flags);
	return found;
}

void
cache_unpin(struct kmem_cache *cache)
{
	irqflags_t flags = spin_lock_irqsave(&caches_lock);
	bool last = cache->nr_users == 1;

	if (!last)
		cache->nr_users--;
	spin_unlock_irqrestore(&caches_lock, flags);
	/* Whoever destroyed it meanwhile has left it to us. */
	if (last)
		kmem_cache_destroy(cache);
}
