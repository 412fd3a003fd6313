/* SPDX-License-Identifier: MIT */
/*
 * Fixed pools: elements of one size, cut from blocks of frames.
 *
 * PROBLEM. Many small things of one size come and go in any order. Each must cost a constant
 * number of steps, and a mistake of its user must not damage the pool.
 *
 * IDEA. A chunk is a block of 2^order frames, aligned to its own size, so the chunk of an
 * element is its address rounded down. Which elements are free is told by bits at the
 * beginning of the chunk, outside the elements: who writes to a freed element cannot lead the
 * pool astray, and a second free meets a bit that is set already. A bit for each word of bits
 * that is not 0 makes finding a free element two instructions, however full the chunk is.
 *
 *	chunk   | link  words  free[0] free[1] .. | element 0 | element 1 | ...
 *	          words = ..01    free[0] = 0..0100         free[1] = 0
 *	                   |                   |
 *	                   word 0 has one  ->  element 2
 *
 * Chunks with a free element are on one list, full ones on another, so allocation never
 * searches. One empty chunk is kept, at the end of its list: one that is emptied and needed
 * again at once would otherwise be built each time.
 *
 * INVARIANTS, which fixed_pool_check() recomputes from the bits:
 *	- a chunk is on partial if and only if nr_free > 0, which counts the bits of free;
 *	- bit w of words is set if and only if free[w] is not 0;
 *	- capacity, in_use and nr_empty are the sums over the chunks.
 *
 * DETECTED by fixed_pool_free(): another pool's element, memory of nobody, the middle of an
 * element, double free. Debug builds fill what is freed with POISON_POOL_FREED.
 *
 * LOCKING. The pool's lock guards all of it; frames are asked for with it held, which is why
 * they are asked for with GFP_NOWAIT.
 *
 * LEFT OUT. Colouring, per-CPU caches (percpu_pool.c), giving back half-used chunks.
 */
#include "fixed_pool.h"

#include <arch.h>
#include <errno.h>
#include <memory_pool.h>
#include <page_frame.h>
#include <panic.h>
#include <printk.h>
#include <string.h>

static size_t
chunk_bytes(const struct fixed_pool *pool)
{
	return PAGE_SIZE << pool->order;
}

static uint8_t *
element_at(const struct fixed_pool *pool, struct fixed_chunk *chunk, unsigned number)
{
	return (uint8_t *)chunk + pool->first + number * pool->size;
}

/* ---- Setting up ------------------------------------------------------------------------ */

/* The smallest chunk of which at most an eighth is no element. */
static void
choose_chunk(struct fixed_pool *pool)
{
	size_t fit, bytes;

	pool->first = ALIGN_UP(sizeof(struct fixed_chunk), pool->size % 16 ? 8 : 16);
	for (pool->order = 0;; pool->order++) {
		bytes = chunk_bytes(pool);
		fit = bytes > pool->first ? (bytes - pool->first) / pool->size : 0;
		if ((bytes - fit * pool->size) * 8 <= bytes || pool->order == MAX_ORDER)
			break;
	}
	pool->per_chunk = (unsigned)MIN(fit, CHUNK_MAX_ELEMENTS);
}

void
fixed_pool_init(struct fixed_pool *pool, size_t size)
{
	if (size == 0 || size > FIXED_POOL_MAX_SIZE)
		panic("fixed pool: elements of %lu bytes: 1 to %lu can be had", (unsigned long)size,
		      (unsigned long)FIXED_POOL_MAX_SIZE);
	*pool = (struct fixed_pool){ .size = ALIGN_UP(size, 8) };
	spin_init(&pool->lock, "fixed pool", RANK_SLAB);
	list_init(&pool->partial);
	list_init(&pool->full);
	choose_chunk(pool);
	pool->stats.chunk_bytes = chunk_bytes(pool);
}

/* Make a chunk, all of it free. Returns NULL when there is no memory. */
static struct fixed_chunk *
chunk_create_locked(struct fixed_pool *pool)
{
	struct page *page = alloc_pages(GFP_NOWAIT, pool->order);
	struct fixed_chunk *chunk;

	assert_held(&pool->lock);
	if (!page)
		return NULL;
	page->owner = (uintptr_t)pool;
	chunk = page_to_virt(page);
	memset(chunk, 0, sizeof(*chunk));
	chunk->pool = pool;
	chunk->nr_free = pool->per_chunk;
	for (unsigned left = pool->per_chunk, w = 0; left > 0; w++) {
		unsigned bits = MIN(left, 64);

		chunk->free[w] = bits == 64 ? UINT64_MAX : (1ul << bits) - 1;
		chunk->words |= 1u << w;
		left -= bits;
	}
	list_add_tail(&chunk->link, &pool->partial);
	pool->nr_empty++;
	pool->stats.chunks++;
	pool->stats.capacity += pool->per_chunk;
	return chunk;
}

/* Give an empty chunk back. */
static void
chunk_destroy_locked(struct fixed_pool *pool, struct fixed_chunk *chunk)
{
	struct page *page = pfn_to_page(virt_to_phys(chunk) >> PAGE_SHIFT);

	assert_held(&pool->lock);
	list_del(&chunk->link);
	pool->nr_empty--;
	pool->stats.chunks--;
	pool->stats.capacity -= pool->per_chunk;
	page->owner = 0;
	__free_pages(page, pool->order);
}

void
fixed_pool_fini(struct fixed_pool *pool)
{
	irqflags_t flags = spin_lock_irqsave(&pool->lock);

	ASSERT_EQ(pool->stats.in_use, 0);
	while (!list_empty(&pool->partial))
		chunk_destroy_locked(pool,
				     list_first_entry(&pool->partial, struct fixed_chunk, link));
	spin_unlock_irqrestore(&pool->lock, flags);
}

/* ---- Allocation ------------------------------------------------------------------------- */

/* Take a free element of a chunk that has one. */
static void *
take_locked(struct fixed_pool *pool, struct fixed_chunk *chunk)
{
	unsigned w = (unsigned)__builtin_ctz(chunk->words);
	unsigned bit = (unsigned)__builtin_ctzl(chunk->free[w]);

	assert_held(&pool->lock);
	pool->nr_empty -= chunk->nr_free == pool->per_chunk;
	chunk->free[w] &= ~(1ul << bit);
	if (chunk->free[w] == 0)
		chunk->words &= ~(1u << w);
	if (--chunk->nr_free == 0) {
		list_del(&chunk->link);
		list_add(&chunk->link, &pool->full);
	}
	pool->stats.nr_alloc++;
	pool->stats.in_use++;
	pool->stats.peak = MAX(pool->stats.peak, pool->stats.in_use);
	return element_at(pool, chunk, w * 64 + bit);
}

void *
fixed_pool_alloc(struct fixed_pool *pool)
{
	irqflags_t flags = spin_lock_irqsave(&pool->lock);
	struct fixed_chunk *chunk = NULL;
	void *element = NULL;

	if (!fault_strikes(&pool->faults))
		chunk = list_empty(&pool->partial)
			    ? chunk_create_locked(pool)
			    : list_first_entry(&pool->partial, struct fixed_chunk, link);
	if (chunk)
		element = take_locked(pool, chunk);
	else
		pool->stats.nr_failed++;
	spin_unlock_irqrestore(&pool->lock, flags);
	return element;
}

/* ---- Giving back -------------------------------------------------------------------------- */

/*
 * The address may be anything, so nothing behind it is read before its page, and no page
 * before it is known that there is one.
 */
struct fixed_chunk *
fixed_pool_find(struct fixed_pool *pool, const void *element, unsigned *number, const char **wrong)
{
	uintptr_t start = ALIGN_DOWN((uintptr_t)element, chunk_bytes(pool));
	pfn_t pfn = virt_to_phys((void *)start) >> PAGE_SHIFT;
	size_t offset = (uintptr_t)element - start;
	const struct page *page = pfn_to_page(pfn);

	*wrong = "wrong pool";
	if (!page_frame_present(pfn))
		return NULL;
	if (page->owner != (uintptr_t)pool || page->state != PAGE_ALLOCATED)
		return NULL;
	*wrong = "not the beginning of an element";
	if (offset < pool->first || (offset - pool->first) % pool->size != 0)
		return NULL;
	*number = (unsigned)((offset - pool->first) / pool->size);
	return *number < pool->per_chunk ? (struct fixed_chunk *)start : NULL;
}

static _Noreturn void
bad_free(struct fixed_pool *pool, const void *element, const char *wrong, irqflags_t flags)
{
	spin_unlock_irqrestore(&pool->lock, flags);
	panic("fixed pool: %s: %p, freed into pool %u \"%s\" of %lu bytes", wrong, element,
	      pool->entry.number, pool->entry.name, (unsigned long)pool->size);
}

/* Put an element back that is in use. */
static void
put_locked(struct fixed_pool *pool, struct fixed_chunk *chunk, unsigned number)
{
	unsigned w = number / 64;

	assert_held(&pool->lock);
	chunk->free[w] |= 1ul << number % 64;
	chunk->words |= 1u << w;
	pool->stats.nr_free++;
	pool->stats.in_use--;
	if (chunk->nr_free++ == 0) {
		list_del(&chunk->link);
		list_add(&chunk->link, &pool->partial);
	}
	if (chunk->nr_free < pool->per_chunk)
		return;
	/* The chunk is empty: keep it as the last resort, unless there is one already. */
	list_del(&chunk->link);
	list_add_tail(&chunk->link, &pool->partial);
	if (++pool->nr_empty > 1)
		chunk_destroy_locked(pool, chunk);
}

void
fixed_pool_free(struct fixed_pool *pool, void *element)
{
	irqflags_t flags = spin_lock_irqsave(&pool->lock);
	const char *wrong;
	unsigned number;
	struct fixed_chunk *chunk = fixed_pool_find(pool, element, &number, &wrong);

	if (unlikely(!chunk))
		bad_free(pool, element, wrong, flags);
	if (unlikely(chunk->free[number / 64] >> number % 64 & 1))
		bad_free(pool, element, "double free", flags);
	if (FIXED_POOL_CHECKS)
		memset(element, POISON_POOL_FREED, pool->size);
	put_locked(pool, chunk, number);
	spin_unlock_irqrestore(&pool->lock, flags);
}

/* ---- The checker ---------------------------------------------------------------------------- */

#define EXPECT(errors, pool, condition)                                                            \
	do {                                                                                       \
		if (!(condition) && (errors)++ < 8)                                                \
			kprintf("check: fixed pool %u \"%s\": not so: %s\n", (pool)->entry.number, \
				(pool)->entry.name, #condition);                                   \
	} while (0)

/* What the walk over the chunks found. */
struct census {
	uint64_t chunks, free, empty;
};

static unsigned
bits_set(uint64_t word)
{
	unsigned nr = 0;

	for (; word; word &= word - 1)
		nr++;
	return nr;
}

static unsigned
check_chunk_locked(const struct fixed_pool *pool, const struct fixed_chunk *chunk,
		   struct census *census)
{
	unsigned errors = 0, nr_free = 0;

	EXPECT(errors, pool, chunk->pool == pool);
	EXPECT(errors, pool, IS_ALIGNED((uintptr_t)chunk, chunk_bytes(pool)));
	for (unsigned w = 0; w < CHUNK_WORDS; w++) {
		nr_free += bits_set(chunk->free[w]);
		EXPECT(errors, pool, (chunk->words >> w & 1) == (chunk->free[w] != 0));
	}
	EXPECT(errors, pool, nr_free == chunk->nr_free);
	EXPECT(errors, pool, nr_free <= pool->per_chunk);
	census->chunks++;
	census->free += nr_free;
	census->empty += nr_free == pool->per_chunk;
	return errors;
}

unsigned
fixed_pool_check(struct fixed_pool *pool)
{
	irqflags_t flags = spin_lock_irqsave(&pool->lock);
	struct census census = { 0, 0, 0 };
	const struct fixed_chunk *chunk;
	unsigned errors = 0;

	list_for_each_entry (chunk, &pool->partial, link) {
		errors += check_chunk_locked(pool, chunk, &census);
		EXPECT(errors, pool, chunk->nr_free > 0);
	}
	list_for_each_entry (chunk, &pool->full, link) {
		errors += check_chunk_locked(pool, chunk, &census);
		EXPECT(errors, pool, chunk->nr_free == 0);
	}
	EXPECT(errors, pool, census.chunks == pool->stats.chunks);
	EXPECT(errors, pool, census.chunks * pool->per_chunk == pool->stats.capacity);
	EXPECT(errors, pool, pool->stats.capacity - census.free == pool->stats.in_use);
	EXPECT(errors, pool, census.empty == pool->nr_empty);
	EXPECT(errors, pool, census.empty <= 1);
	EXPECT(errors, pool, pool->stats.nr_alloc - pool->stats.nr_free == pool->stats.in_use);
	spin_unlock_irqrestore(&pool->lock, flags);
	return errors;
}

/* ---- The public face ------------------------------------------------------------------------- */

void
fixed_pool_get_stats(struct fixed_pool *pool, struct fixed_pool_stats *stats)
{
	irqflags_t flags = spin_lock_irqsave(&pool->lock);

	*stats = pool->stats;
	spin_unlock_irqrestore(&pool->lock, flags);
}

void
fixed_pool_set_faults(struct fixed_pool *pool, uint64_t every, uint64_t seed)
{
	irqflags_t flags = spin_lock_irqsave(&pool->lock);

	fault_set(&pool->faults, every, seed);
	spin_unlock_irqrestore(&pool->lock, flags);
}

static void
report(struct pool_entry *entry, struct pool_report *report)
{
	struct fixed_pool *pool = container_of(entry, struct fixed_pool, entry);
	struct fixed_pool_stats stats;

	fixed_pool_get_stats(pool, &stats);
	*report = (struct pool_report){
		.element_size = pool->size,
		.in_use = stats.in_use,
		.kept = stats.capacity - stats.in_use,
		.bytes = stats.chunks * stats.chunk_bytes,
		.nr_alloc = stats.nr_alloc,
		.nr_failed = stats.nr_failed,
	};
}

static unsigned
check(struct pool_entry *entry)
{
	return fixed_pool_check(container_of(entry, struct fixed_pool, entry));
}

static const struct pool_kind fixed_kind = { "fixed", report, check };

struct fixed_pool *
fixed_pool_create(const char *name, size_t size)
{
	struct fixed_pool *pool = kmalloc(sizeof(*pool), GFP_KERNEL);

	if (!pool)
		return NULL;
	fixed_pool_init(pool, size);
	pool_register(&pool->entry, &fixed_kind, name);
	return pool;
}

int
fixed_pool_destroy(struct fixed_pool *pool)
{
	struct fixed_pool_stats stats;

	fixed_pool_get_stats(pool, &stats);
	if (stats.in_use) {
		kprintf("fixed pool: \"%s\" is not destroyed: %lu elements are in use\n",
			pool->entry.name, (unsigned long)stats.in_use);
		return -EBUSY;
	}
	pool_unregister(&pool->entry);
	fixed_pool_fini(pool);
	kfree(pool);
	return 0;
}
