/* SPDX-License-Identifier: MIT */
/*
 * Writing back: how what was written to files comes to their disks.
 *
 * PROBLEM. A write to a file is a write to memory. It has to reach the disk some time later; at
 * once if a program asks for it; and in the end exactly as it was last, however it was written,
 * by write() or through any number of mappings, while it is being written again.
 *
 * IDEA. Every page is known to be clean or DIRTY. write() says so. A mapping shows a clean page
 * without the right to write, so that the first write faults, and that marks the page. To write
 * a page back is then, in this order:
 *
 *	1. DIRTY goes, SENT comes
 *	2. all address spaces lose the right to write        a write from now on marks it again
 *	3. the page goes to the disk                         so whatever comes to be in it while it
 *	4. SENT goes                                         is read from memory is not forgotten
 *
 * Caches with dirty pages are on a list in the order in which they got their first. Each has a
 * reference to its file meanwhile (hold), so that nothing is lost when the file is closed.
 *
 * AN ERROR cannot be told to who wrote: he has gone on. So the cache keeps the last error and how
 * many there were, in one word, and everybody who has the file open compares it with what it was
 * when he last looked. Everybody hears of an error once, whoever else has heard of it. The page
 * is taken for clean: nobody would be served if it were tried for ever.
 *
 * LOCKING. writing, a mutex for each cache, so that no page is sent twice at the same time and
 * overtakes itself; it is outside of spaces_lock. object.lock guards flags and counts, the list's
 * lock, inside it, the list.
 */
#include <cmdline.h>
#include <errno.h>
#include <page_allocator.h>
#include <panic.h>
#include <reclaim.h>
#include <string.h>

#include "page_cache_internal.h"

static uint64_t dirty_limit = 10;
TUNABLE(dirty_limit, "mm.dirty_background", 0, 100,
	"percent of memory that may wait to be written before it is begun at once");

static spinlock_t list_lock = SPINLOCK_INIT("dirty caches", RANK_DIRTY);
static spinlock_t stored_lock = SPINLOCK_INIT("stored caches", RANK_MODULE);
static struct list_head dirty_caches = LIST_INIT(dirty_caches);	  /* (d) oldest first */
static struct list_head stored_caches = LIST_INIT(stored_caches); /* stored_lock */
static uint64_t round_now;					  /* (d) */
static size_t nr_dirty_total;					  /* atomic */

void (*write_back_wanted)(void);

size_t
page_cache_total_dirty(void)
{
	return __atomic_load_n(&nr_dirty_total, __ATOMIC_RELAXED);
}

/* ---- Who is dirty ------------------------------------------------------------------ */

static void
mark_locked(struct page_cache *cache, struct page *page)
{
	uint64_t index = user_page(page)->index;

	assert_held(&cache->object.lock);
	page->flags |= PAGE_DIRTY;
	__atomic_add_fetch(&nr_dirty_total, 1, __ATOMIC_RELAXED);
	if (cache->dirty_first == cache->dirty_end) {
		cache->dirty_first = index;
		cache->dirty_end = index + 1;
	}
	cache->dirty_first = MIN(cache->dirty_first, index);
	cache->dirty_end = MAX(cache->dirty_end, index + 1);
	if (cache->nr_dirty++ > 0)
		return;
	cache->store->hold(cache);
	spin_lock(&list_lock);
	cache->dirty_since = round_now;
	list_add_tail(&cache->dirty, &dirty_caches);
	spin_unlock(&list_lock);
}

/* One DIRTY or SENT less. Returns whether it was the last: then let_go() is to be called. */
static bool
unmark_locked(struct page_cache *cache)
{
	assert_held(&cache->object.lock);
	DEBUG_ASSERT(cache->nr_dirty > 0);
	__atomic_sub_fetch(&nr_dirty_total, 1, __ATOMIC_RELAXED);
	if (--cache->nr_dirty > 0)
		return false;
	spin_lock(&list_lock);
	list_del(&cache->dirty);
	spin_unlock(&list_lock);
	cache->dirty_first = cache->dirty_end = 0;
	return true;
}

bool
page_forget_dirty_locked(struct page_cache *cache, struct page *page)
{
	if (!(page->flags & PAGE_DIRTY))
		return false;
	page->flags &= (uint8_t)~PAGE_DIRTY;
	return unmark_locked(cache);
}

static bool
are_too_many(uint64_t percent)
{
	struct page_totals totals;

	if (page_cache_total_dirty() < 64)
		return false;
	page_allocator_totals(&totals);
	return page_cache_total_dirty() > totals.managed / 100 * percent;
}

void
page_cache_dirty(struct page_cache *cache, struct page *page)
{
	irqflags_t irq = spin_lock_irqsave(&cache->object.lock);
	bool first = false;

	/* A page that has been cut off meanwhile is nobody's. */
	if (!(page->flags & PAGE_DIRTY) &&
	    page_tree_find(&cache->pages, user_page(page)->index) == page) {
		mark_locked(cache, page);
		first = true;
	}
	spin_unlock_irqrestore(&cache->object.lock, irq);
	if (first && write_back_wanted && are_too_many(dirty_limit))
		write_back_wanted();
}

void
page_cache_balance(struct page_cache *cache)
{
	if (are_too_many(2 * dirty_limit))
		(void)page_cache_write_back(cache, 0, UINT64_MAX);
}

void
page_cache_wait_sent(struct page_cache *cache, struct page *page)
{
	irqflags_t irq;

	if (!cache->store)
		return;
	irq = spin_lock_irqsave(&cache->object.lock);
	while (page->flags & PAGE_SENT)
		wait_on(&cache->changed, &cache->object.lock);
	spin_unlock_irqrestore(&cache->object.lock, irq);
}

/* ---- Errors -------------------------------------------------------------------------- */

#define ERROR_BITS 12 /* of the word, that hold the number; the others count */

static void
note_error(struct page_cache *cache, int error)
{
	uint32_t old = __atomic_load_n(&cache->error, __ATOMIC_RELAXED), new;

	do
		new = ((old >> ERROR_BITS) + 1) << ERROR_BITS | (uint32_t)-error;
	while (!__atomic_compare_exchange_n(&cache->error, &old, new, false, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED));
}

int
page_cache_error(struct page_cache *cache, uint32_t *seen)
{
	uint32_t now = __atomic_load_n(&cache->error, __ATOMIC_ACQUIRE);

	if (now == __atomic_exchange_n(seen, now, __ATOMIC_RELAXED))
		return 0;
	return -(int)(now & ((1u << ERROR_BITS) - 1));
}

/* ---- Writing one cache ------------------------------------------------------------------ */

/* Dirty pages that lie side by side. */
struct sending {
	uint64_t index;
	unsigned nr;
	struct page *page[STORE_PAGES]; /* each with a reference */
};

/* The next run of dirty pages in [*first, end), which become SENT. Returns whether there is one. */
static bool
collect(struct page_cache *cache, uint64_t *first, uint64_t end, struct sending *run)
{
	irqflags_t irq = spin_lock_irqsave(&cache->object.lock);
	uint64_t index = MAX(*first, cache->dirty_first);
	uint64_t last = MIN(end, cache->dirty_end);
	struct page *page = NULL;

	run->nr = 0;
	while (index < last && (page = page_tree_next(&cache->pages, &index)) && index < last &&
	       !(page->flags & PAGE_DIRTY))
		index++;
	run->index = index;
	while (page && index < last && page->flags & PAGE_DIRTY && run->nr < STORE_PAGES) {
		page->flags = (uint8_t)((page->flags & ~PAGE_DIRTY) | PAGE_SENT);
		page_get(page);
		run->page[run->nr++] = page;
		page = page_tree_find(&cache->pages, ++index);
	}
	*first = index;
	spin_unlock_irqrestore(&cache->object.lock, irq);
	return run->nr > 0;
}

/* What a program wrote behind the end of the file, where it has the last page mapped, is not kept.
 */
static void
wipe_tail(struct page_cache *cache, struct sending *run)
{
	uint64_t size = page_cache_size(cache), last = size >> PAGE_SHIFT;
	size_t keep = size % PAGE_SIZE;

	if (keep > 0 && last >= run->index && last < run->index + run->nr)
		memset((char *)page_to_virt(run->page[last - run->index]) + keep, 0,
		       PAGE_SIZE - keep);
}

static int
send(struct page_cache *cache, struct sending *run)
{
	bool let_go = false;
	irqflags_t irq;
	int error;

	memory_object_write_protect(&cache->object, run->index, run->index + run->nr);
	wipe_tail(cache, run);
	error = cache->store->write(cache, run->index, run->page, run->nr);
	if (error)
		note_error(cache, error);
	irq = spin_lock_irqsave(&cache->object.lock);
	for (unsigned i = 0; i < run->nr; i++) {
		run->page[i]->flags &= (uint8_t)~PAGE_SENT;
		let_go |= unmark_locked(cache);
	}
	wake_all(&cache->changed);
	spin_unlock_irqrestore(&cache->object.lock, irq);
	for (unsigned i = 0; i < run->nr; i++)
		page_put(run->page[i]);
	if (let_go)
		cache->store->let_go(cache);
	return error;
}

/* Once around, so that who writes as fast as this does not keep it for ever. */
int
page_cache_write_back(struct page_cache *cache, uint64_t first, uint64_t end)
{
	struct sending run;
	int error = 0, now;

	if (!cache->store)
		return 0;
	mutex_lock(&cache->writing);
	while (collect(cache, &first, end, &run)) {
		now = send(cache, &run);
		error = error ? error : now;
	}
	mutex_unlock(&cache->writing);
	return error;
}

int
page_cache_sync(struct memory_object *object, uint64_t first, uint64_t end)
{
	struct page_cache *cache = page_cache_of(object);
	int error = page_cache_write_back(cache, first, end);
	int earlier = page_cache_error(cache, &cache->error_told);

	return error ? error : earlier;
}

/* ---- All caches --------------------------------------------------------------------------- */

/* The oldest cache that got dirty in a round before that, with a reference to its file. */
static struct page_cache *
next_dirty(uint64_t before)
{
	struct page_cache *cache = NULL;
	irqflags_t irq = spin_lock_irqsave(&list_lock);

	if (!list_empty(&dirty_caches)) {
		cache = list_first_entry(&dirty_caches, struct page_cache, dirty);
		if (cache->dirty_since >= before)
			cache = NULL;
	}
	if (cache) {
		/* Dirty again while it is written, it is young again. */
		cache->dirty_since = round_now;
		list_del(&cache->dirty);
		list_add_tail(&cache->dirty, &dirty_caches);
		cache->store->hold(cache);
	}
	spin_unlock_irqrestore(&list_lock, irq);
	return cache;
}

int
page_caches_write_back(uint64_t rounds)
{
	irqflags_t irq = spin_lock_irqsave(&list_lock);
	uint64_t before = ++round_now > rounds ? round_now - rounds : 0;
	struct page_cache *cache;
	int error = 0, now;

	spin_unlock_irqrestore(&list_lock, irq);
	while ((cache = next_dirty(before))) {
		now = page_cache_write_back(cache, 0, UINT64_MAX);
		error = error ? error : now;
		cache->store->let_go(cache);
	}
	return error;
}

void
page_cache_list(struct page_cache *cache)
{
	irqflags_t irq = spin_lock_irqsave(&stored_lock);

	list_add_tail(&cache->stored, &stored_caches);
	spin_unlock_irqrestore(&stored_lock, irq);
}

void
page_cache_unlist(struct page_cache *cache)
{
	irqflags_t irq = spin_lock_irqsave(&stored_lock);

	list_del(&cache->stored);
	spin_unlock_irqrestore(&stored_lock, irq);
}

/* ---- Giving pages back ----------------------------------------------------------------------- */

#define SCAN 64 /* pages looked at while a lock is held */

/*
 * Free clean pages that only the cache holds. One that was asked for since the last time stays
 * once more. Returns how many; *index: where to go on, *more: whether there is anything.
 */
static size_t
drop_some_locked(struct page_cache *cache, uint64_t *index, bool *more)
{
	size_t freed = 0;
	struct page *page = NULL, *out;

	assert_held(&cache->object.lock);
	for (unsigned i = 0; i < SCAN && (page = page_tree_next(&cache->pages, index));
	     i++, (*index)++) {
		bool used = page->flags & PAGE_USED;

		page->flags &= (uint8_t)~PAGE_USED;
		if (used || page->flags || page_references(page) > 1)
			continue;
		freed += page_tree_take(&cache->pages, *index, *index + 1, &out, 1);
		page_put(page);
	}
	*more = page != NULL;
	page_cache_count(cache, -(long)freed);
	return freed;
}

void
page_cache_drop_clean(struct page_cache *cache)
{
	for (unsigned around = 0; around < 2; around++) {
		uint64_t index = 0;
		bool more = true;

		while (more) {
			irqflags_t irq = spin_lock_irqsave(&cache->object.lock);

			(void)drop_some_locked(cache, &index, &more);
			spin_unlock_irqrestore(&cache->object.lock, irq);
		}
	}
}

/* Twice around at most: the first time pages only lose the mark that they were used. */
static size_t
reclaim_clean(size_t nr_frames, gfp_t gfp)
{
	irqflags_t irq = spin_lock_irqsave(&stored_lock);
	struct page_cache *cache;
	size_t freed = 0;

	(void)gfp;
	for (unsigned around = 0; around < 2 && freed < nr_frames; around++) {
		list_for_each_entry (cache, &stored_caches, stored) {
			uint64_t index = 0;
			bool more = true;

			while (more && freed < nr_frames) {
				spin_lock(&cache->object.lock);
				freed += drop_some_locked(cache, &index, &more);
				spin_unlock(&cache->object.lock);
			}
		}
	}
	spin_unlock_irqrestore(&stored_lock, irq);
	return freed;
}

RECLAIMER(clean_pages, reclaim_clean, RECLAIM_PAGES);
