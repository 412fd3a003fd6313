/* SPDX-License-Identifier: MIT */
/* What the console shows of objects: slabinfo. */
#include <console.h>
#include <printk.h>
#include <slab.h>
#include <string.h>

/* Copy the n-th other name of a cache. Returns false if there is none. */
static bool
copy_alias(const struct kmem_cache *cache, unsigned n, char name[CACHE_NAME_SIZE])
{
	irqflags_t flags = spin_lock_irqsave(&caches_lock);
	const struct cache_alias *alias;
	bool found = false;

	list_for_each_entry (alias, &cache->aliases, link) {
		if (n-- == 0) {
			strlcpy(name, alias->name, CACHE_NAME_SIZE);
			found = true;
			break;
		}
	}
	spin_unlock_irqrestore(&caches_lock, flags);
	return found;
}

/* Returns whether there is anything to say. */
static bool
print_cache(struct kmem_cache *cache)
{
	struct slab_stats stats;

	slab_get_stats(cache, &stats);
	if (stats.nr_objects == 0)
		return false;
	kprintf("%-20s %6u %8lu %8lu %8lu %5lu/%lu/%-5lu %7lu %12lu\n", cache->name, cache->size,
		(unsigned long)stats.nr_in_use, (unsigned long)stats.nr_held,
		(unsigned long)stats.nr_free, (unsigned long)stats.nr_slabs[SLAB_FULL],
		(unsigned long)stats.nr_slabs[SLAB_PARTIAL],
		(unsigned long)stats.nr_slabs[SLAB_EMPTY],
		(unsigned long)((stats.bytes + stats.own_bytes) >> 10),
		(unsigned long)stats.nr_alloc);
	return true;
}

static void
slabinfo(int argc, char **argv)
{
	char name[CACHE_NAME_SIZE];
	struct kmem_cache *cache;
	unsigned nr_printed = 0, n;

	(void)argc;
	(void)argv;
	kprintf("%-20s %6s %8s %8s %8s %-13s %7s %12s\n", "cache", "bytes", "in use", "held",
		"free", "full/part/empty", "kB", "allocated");
	for (n = 0; (cache = cache_pin_nth(n)) != NULL; n++) {
		nr_printed += print_cache(cache);
		for (unsigned i = 0; copy_alias(cache, i, name); i++)
			kprintf("%-20s is %s\n", name, cache->name);
		cache_unpin(cache);
	}
	if (nr_printed == 0)
		kprintf("none of the %u caches has any memory yet\n", n);
}
CONSOLE_COMMAND(slabinfo, "slabinfo", "", "the caches of objects, and what they hold", slabinfo);
