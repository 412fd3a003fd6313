/* SPDX-License-Identifier: MIT */
/*
 * The page cache: the pages of a file that are in memory.
 *
 * PROBLEM. What write() puts into a file, read() and every mapping of it must see at once, and
 * a file that many read should be in memory once.
 *
 * IDEA. One frame for each page of a file, found by index in a tree. read() and write() copy
 * from and to that frame; page tables lead to it. So there is nothing to keep in step:
 *
 *	read(), write()  ---\
 *	                     >-->  page_tree[index]  -->  frame  <--  page tables
 *	space_fault()    ---/
 *
 * A file on a disk has a store: a page that is missed is read from it (page_reading.c), and one
 * that has changed is written to it later (write_back.c). A file in memory has none: its pages are
 * here or nowhere, and what was never written is zeroes. The life of a page with a store:
 *
 *	            miss           read                 written to
 *	 (nothing) ------> BUSY ----------> clean ------------------------> DIRTY
 *	      ^                             ^   ^                           ^   |
 *	      |            reclaim          |   |  it is on the disk        |   | write-back
 *	      `-----------------------------'   `------------------ SENT ---'   |
 *	                                                             ^          |
 *	                                                             `----------'
 *
 * SENT, a page has left for the disk and may be written to all the same: then it is DIRTY as
 * well, and will be sent again.
 *
 * CUTTING A FILE SHORT must not leave anybody with a page behind its end. So the size goes
 * first, after which nobody gets such a page; then the pages leave the tree; then they leave
 * all page tables. A fault that got its page before has put it into its page table by then,
 * because it holds its address space's lock from the one to the other.
 *
 * A BUDGET, if it has one, is what a cache shares with others: each page takes one from it, when it
 * enters the tree, under the lock. So a page that is there is never refused.
 *
 * LOCKING. object.lock guards the tree and the size. It is not held while memory is allocated,
 * pages are filled or unmapped. Whoever cuts or writes is kept apart by the file system.
 */
#include <errno.h>
#include <panic.h>
#include <printk.h>
#include <string.h>

#include "page_cache_internal.h"

#define BATCH 16 /* pages taken out of the tree at a time */

static size_t nr_total, nr_unstored; /* frames of caches, all and without a store; atomic */

void
page_cache_count(struct page_cache *cache, long pages)
{
	__atomic_add_fetch(&nr_total, (size_t)pages, __ATOMIC_RELAXED);
	if (!cache->store)
		__atomic_add_fetch(&nr_unstored, (size_t)pages, __ATOMIC_RELAXED);
}

void
memory_object_init(struct memory_object *object, const struct memory_object_ops *ops)
{
	object->ops = ops;
	spin_init(&object->lock, "memory object", RANK_OBJECT);
	list_init(&object->regions);
}

void
page_cache_init(struct page_cache *cache, const struct memory_object_ops *ops,
		const struct page_store *store)
{
	*cache = (struct page_cache){ .store = store };
	memory_object_init(&cache->object, ops);
	page_tree_init(&cache->pages);
	if (!store)
		return;
	mutex_init(&cache->writing);
	wait_queue_init(&cache->changed);
	page_cache_list(cache);
}

/* ---- Finding and making pages --------------------------------------------------- */

/* Look a page up. Returns 0 and a reference, -ENXIO behind limit, -ENOENT if it is not there. */
static int
find_locked(struct page_cache *cache, uint64_t index, uint64_t limit, struct page **page)
{
	assert_held(&cache->object.lock);
	if (index >= limit)
		return -ENXIO;
	*page = page_tree_find(&cache->pages, index);
	if (!*page)
		return -ENOENT;
	page_get(*page);
	return 0;
}

/* Where the pages end that may be had: behind the file, or for those who write nowhere. */
static uint64_t
limit_locked(struct page_cache *cache, bool anywhere)
{
	return anywhere ? UINT64_MAX : pages_for(cache->size);
}

static bool
budget_allows(struct page_cache *cache)
{
	return !cache->budget || budget_take(cache->budget);
}

/*
 * Put a fresh page where there is still none. Returns 0, and the cache has a reference; what
 * find_locked() says if that is no miss; -EAGAIN when spares does not hold what *needs says;
 * -ENOSPC: the budget is spent.
 */
static int
try_insert(struct page_cache *cache, struct page *fresh, bool anywhere,
	   struct page_tree_spares *spares, unsigned *needs, struct page **page)
{
	uint64_t index = user_page(fresh)->index;
	irqflags_t irq = spin_lock_irqsave(&cache->object.lock);
	int error = find_locked(cache, index, limit_locked(cache, anywhere), page);

	if (error == -ENOENT) {
		*needs = page_tree_needs(&cache->pages, index);
		error = *needs > spares->nr ? -EAGAIN : budget_allows(cache) ? 0 : -ENOSPC;
		if (!error) {
			page_tree_insert(&cache->pages, index, fresh, spares);
			page_get(fresh);
			*page = fresh;
		}
	}
	spin_unlock_irqrestore(&cache->object.lock, irq);
	return error;
}

/* The page was not there: make it. */
static int
add_page(struct page_cache *cache, uint64_t index, bool anywhere, struct page **page)
{
	struct page_tree_spares spares = { .nr = 0 };
	struct page *fresh = user_page_alloc(GFP_ZERO, PAGE_USE_FILE, cache, index);
	unsigned needs = 0;
	int error = fresh ? -EAGAIN : -ENOMEM;

	while (error == -EAGAIN) {
		error = page_tree_reserve(&spares, needs);
		if (!error)
			error = try_insert(cache, fresh, anywhere, &spares, &needs, page);
	}
	if (!error && *page == fresh)
		page_cache_count(cache, 1);
	else if (fresh)
		page_put(fresh);
	page_tree_release(&spares);
	return error;
}

static int
get_page(struct page_cache *cache, uint64_t index, bool anywhere, struct page **page)
{
	irqflags_t irq;
	int error;

	if (cache->store)
		return page_cache_read(cache, index, anywhere, page);
	irq = spin_lock_irqsave(&cache->object.lock);
	error = find_locked(cache, index, limit_locked(cache, anywhere), page);
	spin_unlock_irqrestore(&cache->object.lock, irq);
	return error == -ENOENT ? add_page(cache, index, anywhere, page) : error;
}

/* A program is going to write to its mapping of the page. */
static int
prepare_write(struct page_cache *cache, uint64_t index, struct page *page)
{
	uint64_t from = index << PAGE_SHIFT, size = page_cache_size(cache);
	int error =
	    from < size ? cache->store->reserve(cache, from, MIN(size, from + PAGE_SIZE)) : -ENXIO;

	if (error)
		return error;
	if (page_cache_size(cache) < size) /* it was cut meanwhile */
		cache->store->trim(cache);
	page_cache_dirty(cache, page);
	return 0;
}

int
page_cache_get_page(struct memory_object *object, uint64_t index, bool create, struct page **page)
{
	struct page_cache *cache = page_cache_of(object);
	int result = get_page(cache, index, false, page), error;

	/* Without a store, a hole that is looked at becomes a page, too. */
	if (result < 0 || !create || !cache->store)
		return result;
	error = prepare_write(cache, index, *page);
	if (error)
		page_put(*page);
	return error ? error : result;
}

int
page_cache_grab(struct page_cache *cache, uint64_t index, struct page **page)
{
	int result = get_page(cache, index, true, page);

	return MIN(result, 0);
}

void
page_cache_peek_pages(struct memory_object *object, uint64_t index, unsigned nr,
		      struct page **pages)
{
	struct page_cache *cache = page_cache_of(object);
	irqflags_t irq = spin_lock_irqsave(&object->lock);
	uint64_t limit = pages_for(cache->size);

	page_tree_find_range(&cache->pages, index, nr, pages);
	for (unsigned i = 0; i < nr; i++) {
		if (index + i >= limit || (pages[i] && pages[i]->flags & PAGE_BUSY))
			pages[i] = NULL;
		else if (pages[i])
			page_get(pages[i]);
	}
	spin_unlock_irqrestore(&object->lock, irq);
}

/* ---- The end of the file -------------------------------------------------------- */

uint64_t
page_cache_size(struct page_cache *cache)
{
	return __atomic_load_n(&cache->size, __ATOMIC_ACQUIRE);
}

void
page_cache_extend(struct page_cache *cache, uint64_t size)
{
	irqflags_t irq = spin_lock_irqsave(&cache->object.lock);

	if (size > cache->size)
		__atomic_store_n(&cache->size, size, __ATOMIC_RELEASE);
	spin_unlock_irqrestore(&cache->object.lock, irq);
}

void
page_cache_zero(struct page_cache *cache, uint64_t from, uint64_t to)
{
	struct page *page = NULL;
	irqflags_t irq = spin_lock_irqsave(&cache->object.lock);

	(void)find_locked(cache, from >> PAGE_SHIFT, UINT64_MAX, &page);
	spin_unlock_irqrestore(&cache->object.lock, irq);
	if (!page)
		return;
	memset((char *)page_to_virt(page) + from % PAGE_SIZE, 0, (size_t)(to - from));
	page_put(page);
}

/* Zero from the given byte of the file to the end of its page, if that is in memory. */
static void
zero_from(struct page_cache *cache, uint64_t byte)
{
	if (byte % PAGE_SIZE != 0)
		page_cache_zero(cache, byte, ALIGN_UP(byte, PAGE_SIZE));
}

void
page_cache_zero_tail(struct page_cache *cache)
{
	zero_from(cache, page_cache_size(cache));
}

/* Take pages [first, end) out of the tree and drop the cache's references to them. */
static void
take_out(struct page_cache *cache, uint64_t first, uint64_t end)
{
	struct page *pages[BATCH];
	bool let_go;
	unsigned nr;

	do {
		irqflags_t irq = spin_lock_irqsave(&cache->object.lock);

		nr = page_tree_take(&cache->pages, first, end, pages, BATCH);
		let_go = false;
		for (unsigned i = 0; i < nr; i++)
			let_go |= page_forget_dirty_locked(cache, pages[i]);
		spin_unlock_irqrestore(&cache->object.lock, irq);
		page_cache_count(cache, -(long)nr);
		if (cache->budget)
			budget_give(cache->budget, nr);
		for (unsigned i = 0; i < nr; i++) {
			page_cache_wait_sent(cache, pages[i]);
			page_put(pages[i]);
		}
		if (let_go)
			cache->store->let_go(cache);
	} while (nr == BATCH);
}

void
page_cache_truncate(struct page_cache *cache, uint64_t size)
{
	uint64_t old, first = pages_for(size);
	irqflags_t irq;

	page_cache_zero_tail(cache);
	irq = spin_lock_irqsave(&cache->object.lock);
	old = cache->size;
	__atomic_store_n(&cache->size, size, __ATOMIC_RELEASE);
	if (size < old)
		__atomic_add_fetch(&cache->nr_cuts, 1, __ATOMIC_RELEASE);
	spin_unlock_irqrestore(&cache->object.lock, irq);
	if (size >= old)
		return;
	take_out(cache, first, UINT64_MAX);
	memory_object_unmap(&cache->object, first, UINT64_MAX, true);
	zero_from(cache, size);
}

void
page_cache_punch(struct page_cache *cache, uint64_t first, uint64_t end)
{
	irqflags_t irq = spin_lock_irqsave(&cache->object.lock);

	__atomic_add_fetch(&cache->nr_cuts, 1, __ATOMIC_RELEASE);
	spin_unlock_irqrestore(&cache->object.lock, irq);
	take_out(cache, first, end);
	memory_object_unmap(&cache->object, first, end, false);
}

void
page_cache_drop(struct page_cache *cache)
{
	ASSERT(list_empty(&cache->object.regions));
	__atomic_store_n(&cache->size, 0, __ATOMIC_RELEASE);
	take_out(cache, 0, UINT64_MAX);
	ASSERT_EQ(cache->pages.nr, 0);
	if (cache->store)
		page_cache_unlist(cache);
}

/* ---- Looking at it --------------------------------------------------------------- */

size_t
page_cache_nr_pages(struct page_cache *cache)
{
	irqflags_t irq = spin_lock_irqsave(&cache->object.lock);
	size_t nr = cache->pages.nr;

	spin_unlock_irqrestore(&cache->object.lock, irq);
	return nr;
}

size_t
page_cache_total(void)
{
	return __atomic_load_n(&nr_total, __ATOMIC_RELAXED);
}

size_t
page_cache_total_unstored(void)
{
	return __atomic_load_n(&nr_unstored, __ATOMIC_RELAXED);
}

unsigned
page_cache_check(struct page_cache *cache)
{
	irqflags_t irq = spin_lock_irqsave(&cache->object.lock);
	unsigned errors = page_tree_check(&cache->pages);
	uint64_t index = 0;
	size_t nr_dirty = 0;
	struct page *page;

	for (; errors == 0 && (page = page_tree_next(&cache->pages, &index)); index++) {
		bool right = page->use == PAGE_USE_FILE && page->owner == (uintptr_t)cache &&
			     user_page(page)->index == index && page_references(page) > 0;

		nr_dirty += (page->flags & PAGE_DIRTY) != 0;
		if (right && (!(page->flags & PAGE_DIRTY) ||
			      (index >= cache->dirty_first && index < cache->dirty_end)))
			continue;
		kprintf("check: page %lu of a file is not its own\n", (unsigned long)index);
		errors++;
	}
	if (errors == 0 && nr_dirty > cache->nr_dirty) {
		kprintf("check: %lu pages of a file are dirty, not %lu\n", (unsigned long)nr_dirty,
			(unsigned long)cache->nr_dirty);
		errors++;
	}
	spin_unlock_irqrestore(&cache->object.lock, irq);
	return errors;
}
