/* SPDX-License-Identifier: MIT */
/*
 * Pages of files that have to be read first.
 *
 * PROBLEM. A disk takes as long as hundreds of thousands of instructions to answer. Several
 * threads may want the same page, and a reader that goes through a file would wait anew for each.
 *
 * IDEA. Who misses a page puts it into the cache before it is read, marked BUSY. Whoever finds it
 * meanwhile waits for that one read. And a miss just behind the last one means that somebody goes
 * through the file: the next pages are read with it, each time twice as many:
 *
 *	misses at     0    1      3          7                   15 ...
 *	reads       [0] [1 2] [3 4 5 6] [7 8 ... 14] [15 ...
 *
 * The file may be cut while a page is read. Then the page is no longer in the tree when it
 * comes: who waited for it looks again, and finds the end of the file.
 *
 * A page behind the end of the file, for write(), is zeroes and is not read.
 *
 * LOCKING. object.lock, not held while pages are read. BUSY keeps a page as it is.
 */
#include <cmdline.h>
#include <errno.h>
#include <panic.h>

#include "page_cache_internal.h"

static uint64_t ahead_max = STORE_PAGES;
TUNABLE(ahead_max, "mm.read_ahead", 1, STORE_PAGES, "pages of a file that are read at a time");

struct reading {
	struct page_cache *cache;
	uint64_t index; /* of the first page */
	unsigned nr;
	struct page *page[STORE_PAGES]; /* each with a reference of ours */
};

/* How many pages to read at a miss: those that are missing, too, as far as the file goes. */
static unsigned
window_locked(struct page_cache *cache, uint64_t index)
{
	uint64_t end = pages_for(cache->size);
	unsigned nr = 1, most = 1;

	assert_held(&cache->object.lock);
	if (index == cache->ahead_at && index > 0)
		most = (unsigned)MIN(2ul * cache->ahead, ahead_max);
	while (nr < most && index + nr < end && !page_tree_find(&cache->pages, index + nr))
		nr++;
	cache->ahead_at = index + nr;
	cache->ahead = nr;
	return nr;
}

/* Frames for a reading that are in no tree yet; fewer than wanted when memory is short. */
static int
allocate(struct reading *reading, unsigned nr)
{
	for (reading->nr = 0; reading->nr < nr; reading->nr++) {
		struct page *page = user_page_alloc(GFP_ZERO, PAGE_USE_FILE, reading->cache,
						    reading->index + reading->nr);

		if (!page)
			break;
		reading->page[reading->nr] = page;
	}
	return reading->nr > 0 ? 0 : -ENOMEM;
}

/* Enter one page. Returns 0, or -EEXIST if somebody else was faster, or -ENOMEM. */
static int
insert(struct page_cache *cache, struct page *page, unsigned flags)
{
	struct page_tree_spares spares = { .nr = 0 };
	uint64_t index = user_page(page)->index;
	bool done = false, there = false;
	unsigned needs = 0;

	while (!done && !there && page_tree_reserve(&spares, needs) == 0) {
		irqflags_t irq = spin_lock_irqsave(&cache->object.lock);

		there = page_tree_find(&cache->pages, index) != NULL;
		needs = page_tree_needs(&cache->pages, index);
		if (!there && needs <= spares.nr) {
			page->flags = (uint8_t)flags;
			page_tree_insert(&cache->pages, index, page, &spares);
			page_get(page);
			done = true;
		}
		spin_unlock_irqrestore(&cache->object.lock, irq);
	}
	page_tree_release(&spares);
	if (done)
		page_cache_count(cache, 1);
	return done ? 0 : there ? -EEXIST : -ENOMEM;
}

/* Enter the pages, up to the first that cannot be; the others go. Without any: insert()'s error. */
static int
insert_all(struct reading *reading, unsigned flags)
{
	unsigned nr = 0;
	int error = 0;

	while (nr < reading->nr && !error) {
		error = insert(reading->cache, reading->page[nr], flags);
		nr += !error;
	}
	for (unsigned i = nr; i < reading->nr; i++)
		page_put(reading->page[i]);
	reading->nr = nr;
	return nr > 0 ? 0 : error;
}

/* The pages have been read, or could not be: then they leave the cache. */
static void
finish(struct reading *reading, int error)
{
	struct page_cache *cache = reading->cache;
	irqflags_t irq = spin_lock_irqsave(&cache->object.lock);
	unsigned taken = 0;

	for (unsigned i = 0; i < reading->nr; i++) {
		struct page *page = reading->page[i], *out;
		uint64_t index = reading->index + i;

		page->flags &= (uint8_t)~PAGE_BUSY;
		if (error && page_tree_find(&cache->pages, index) == page) {
			taken += page_tree_take(&cache->pages, index, index + 1, &out, 1);
			page_put(page); /* not the last: ours is left */
		}
	}
	wake_all(&cache->changed);
	spin_unlock_irqrestore(&cache->object.lock, irq);
	page_cache_count(cache, -(long)taken);
	for (unsigned i = 0; i < reading->nr; i++)
		page_put(reading->page[i]);
}

/*
 * Bring the page at index into the cache, and some behind it. Returns 0, also if somebody else
 * has done so meanwhile, or an error.
 */
static int
read_in(struct page_cache *cache, uint64_t index, unsigned nr, bool behind)
{
	struct reading reading = { .cache = cache, .index = index };
	int error = allocate(&reading, nr);

	if (error)
		return error;
	error = insert_all(&reading, behind ? PAGE_USED : PAGE_BUSY | PAGE_USED);
	if (error)
		return error == -EEXIST ? 0 : error;
	if (!behind)
		error = cache->store->read(cache, index, reading.page, reading.nr);
	/* One that cannot be read must not take with it those that were read for later. */
	if (error && reading.nr > 1) {
		finish(&reading, error);
		return read_in(cache, index, 1, false);
	}
	finish(&reading, error);
	return error;
}

int
page_cache_read(struct page_cache *cache, uint64_t index, bool anywhere, struct page **page)
{
	int result = 0;

	for (;;) {
		irqflags_t irq = spin_lock_irqsave(&cache->object.lock);
		bool behind = index >= pages_for(cache->size);
		unsigned nr = 1;

		*page = behind && !anywhere ? NULL : page_tree_find(&cache->pages, index);
		if (*page && !((*page)->flags & PAGE_BUSY)) {
			(*page)->flags |= PAGE_USED;
			page_get(*page);
			spin_unlock_irqrestore(&cache->object.lock, irq);
			return result;
		}
		if (*page)
			wait_on(&cache->changed, &cache->object.lock);
		else if (!behind)
			nr = window_locked(cache, index);
		spin_unlock_irqrestore(&cache->object.lock, irq);
		if (!*page) {
			int error =
			    behind && !anywhere ? -ENXIO : read_in(cache, index, nr, behind);

			if (error)
				return error;
		}
		result = !behind; /* it was waited for */
	}
}
