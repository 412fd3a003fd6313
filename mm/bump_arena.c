/* SPDX-License-Identifier: MIT */
/*
 * Arenas: many things of any size that end together.
 *
 * PROBLEM. A piece of work (one request, one walk, one test) makes many small things and needs
 * none of them afterwards. Freeing them one by one costs as much again as making them, and
 * needs a list of them.
 *
 * IDEA. (Hanson, "Fast allocation and deallocation of memory based on object lifetimes",
 * Software: Practice and Experience 20(1), 1990) Cut each from the front of what is left of a
 * chunk of frames: allocation is an addition and a comparison. Nothing is freed alone; all is
 * released at once, or everything since a mark.
 *
 *	chunk 1  |header|aaaa|bb|cccccc|......|       dd did not fit any more
 *	chunk 2  |header|dd|eeee|.............|       the newest: used ends behind eeee
 *	                   ^ mark: chunk 2, used. Releasing to it forgets eeee.
 *
 * A chunk has ARENA_CHUNK bytes, or as many as a larger request needs. What is left of a chunk
 * when the next begins is lost until release; it is less than the request that did not fit.
 *
 * One released chunk of the common size is kept as a spare, so that work which just crosses
 * the end of a chunk, again and again, does not build one each time.
 *
 * STALE MARKS. Each chunk has a serial number. A mark is good as long as its chunk is there and
 * holds at least as much as the mark says; any other panics before anything is changed. Not
 * detected: a mark whose memory was released and has been used again at least as far.
 *
 * INVARIANTS, which arena_check() recomputes:
 *	- serial numbers rise along the list; used is at least the header and at most size;
 *	- chunks and frames count what is on the list, and the spare chunk.
 *
 * LOCKING. The arena's lock guards all of it. Most arenas have one user, who never waits for it;
 * frames are asked for with it held, hence with GFP_NOWAIT.
 *
 * LEFT OUT. Calling something for each thing released (destructors).
 */
#include <memory_pool.h>
#include <panic.h>
#include <printk.h>
#include <string.h>

#include "bump_arena.h"
#include "pool_memory.h"

#ifdef IKOS_DEBUG
#define ARENA_CHECKS true
#else
#define ARENA_CHECKS false
#endif

#define ARENA_CHUNK    (4 * PAGE_SIZE)
#define ARENA_MAX_SIZE (MAX_ORDER_FRAMES * PAGE_SIZE)

/* ---- Chunks -------------------------------------------------------------------------- */

/* The newest chunk, or NULL. */
static struct arena_chunk *
newest(struct bump_arena *arena)
{
	if (list_empty(&arena->chunks))
		return NULL;
	return list_entry(arena->chunks.prev, struct arena_chunk, link);
}

/* Where in the chunk an allocation would begin. */
static size_t
place(const struct arena_chunk *chunk, size_t align)
{
	return ALIGN_UP((uintptr_t)chunk + chunk->used, align) - (uintptr_t)chunk;
}

static bool
fits(const struct arena_chunk *chunk, size_t size, size_t align)
{
	size_t start = place(chunk, align);

	return start <= chunk->size && size <= chunk->size - start;
}

/* A new newest chunk with room for the allocation. NULL when there is no memory. */
static struct arena_chunk *
add_chunk_locked(struct bump_arena *arena, size_t size, size_t align)
{
	size_t header = ALIGN_UP(sizeof(struct arena_chunk), align);
	size_t bytes = MAX(ALIGN_UP(header + size, PAGE_SIZE), ARENA_CHUNK);
	struct arena_chunk *chunk = NULL;

	assert_held(&arena->lock);
	if (bytes == ARENA_CHUNK && arena->spare) {
		chunk = arena->spare;
		arena->spare = NULL;
	} else {
		chunk = pool_memory_alloc(bytes, GFP_NOWAIT);
		if (!chunk)
			return NULL;
		arena->stats.chunks++;
		arena->stats.frames += bytes / PAGE_SIZE;
	}
	chunk->serial = ++arena->serial;
	chunk->size = bytes;
	chunk->used = sizeof(*chunk);
	list_add_tail(&chunk->link, &arena->chunks);
	return chunk;
}

/* Take a chunk off the list, and keep it as the spare one or give its frames back. */
static void
drop_chunk_locked(struct bump_arena *arena, struct arena_chunk *chunk)
{
	size_t bytes = chunk->size;

	assert_held(&arena->lock);
	list_del(&chunk->link);
	if (ARENA_CHECKS)
		memset(chunk, POISON_ARENA, chunk->used);
	if (bytes == ARENA_CHUNK && !arena->spare) {
		arena->spare = chunk;
		return;
	}
	arena->stats.chunks--;
	arena->stats.frames -= bytes / PAGE_SIZE;
	pool_memory_free(chunk, bytes);
}

/* ---- Allocation and release ------------------------------------------------------------ */

void *
arena_alloc(struct bump_arena *arena, size_t size, size_t align)
{
	struct arena_chunk *chunk;
	void *memory = NULL;
	irqflags_t flags;
	size_t start;

	if (size == 0 || align == 0 || (align & (align - 1)) != 0 || align > PAGE_SIZE)
		panic("arena \"%s\": cannot place %lu bytes at multiples of %lu", arena->entry.name,
		      (unsigned long)size, (unsigned long)align);
	flags = spin_lock_irqsave(&arena->lock);
	chunk = newest(arena);
	if (fault_strikes(&arena->faults) || size > ARENA_MAX_SIZE)
		chunk = NULL;
	else if (!chunk || !fits(chunk, size, align))
		chunk = add_chunk_locked(arena, size, align);
	if (chunk) {
		start = place(chunk, align);
		memory = (uint8_t *)chunk + start;
		chunk->used = start + size;
		arena->stats.nr_alloc++;
		arena->stats.allocs++;
		arena->stats.bytes += size;
		arena->stats.peak = MAX(arena->stats.peak, arena->stats.bytes);
	} else {
		arena->stats.nr_failed++;
	}
	spin_unlock_irqrestore(&arena->lock, flags);
	return memory;
}

struct arena_mark
arena_mark(struct bump_arena *arena)
{
	irqflags_t flags = spin_lock_irqsave(&arena->lock);
	const struct arena_chunk *chunk = newest(arena);
	struct arena_mark mark = {
		.chunk = chunk ? chunk->serial : 0,
		.used = chunk ? chunk->used : 0,
		.allocs = arena->stats.allocs,
		.bytes = arena->stats.bytes,
	};

	spin_unlock_irqrestore(&arena->lock, flags);
	return mark;
}

/* Is what the mark counts on still there? */
static bool
mark_is_good_locked(const struct bump_arena *arena, const struct arena_mark *mark)
{
	const struct arena_chunk *chunk;

	assert_held(&arena->lock);
	if (mark->chunk == 0)
		return true;
	list_for_each_entry (chunk, &arena->chunks, link) {
		if (chunk->serial == mark->chunk)
			return mark->used <= chunk->used && mark->allocs <= arena->stats.allocs;
	}
	return false;
}

void
arena_release_to(struct bump_arena *arena, struct arena_mark mark)
{
	irqflags_t flags = spin_lock_irqsave(&arena->lock);
	struct arena_chunk *chunk;

	if (!mark_is_good_locked(arena, &mark)) {
		spin_unlock_irqrestore(&arena->lock, flags);
		panic("arena \"%s\": stale mark: byte %lu of chunk %lu was released already",
		      arena->entry.name, (unsigned long)mark.used, (unsigned long)mark.chunk);
	}
	arena->stats.nr_release += mark.allocs < arena->stats.allocs;
	while ((chunk = newest(arena)) && chunk->serial != mark.chunk)
		drop_chunk_locked(arena, chunk);
	if (chunk) {
		if (ARENA_CHECKS)
			memset((uint8_t *)chunk + mark.used, POISON_ARENA, chunk->used - mark.used);
		chunk->used = mark.used;
	}
	arena->stats.allocs = mark.allocs;
	arena->stats.bytes = mark.bytes;
	spin_unlock_irqrestore(&arena->lock, flags);
}

void
arena_release_all(struct bump_arena *arena)
{
	arena_release_to(arena, (struct arena_mark){ .chunk = 0 });
}

/* ---- The checker -------------------------------------------------------------------------- */

#define EXPECT(errors, arena, condition)                                                           \
	do {                                                                                       \
		if (!(condition) && (errors)++ < 8)                                                \
			kprintf("check: arena %u \"%s\": not so: %s\n", (arena)->entry.number,     \
				(arena)->entry.name, #condition);                                  \
	} while (0)

unsigned
arena_check(struct bump_arena *arena)
{
	irqflags_t flags = spin_lock_irqsave(&arena->lock);
	uint64_t chunks = 0, frames = 0, serial = 0, used = 0;
	const struct arena_chunk *chunk;
	unsigned errors = 0;

	list_for_each_entry (chunk, &arena->chunks, link) {
		EXPECT(errors, arena, serial < chunk->serial);
		EXPECT(errors, arena, sizeof(*chunk) <= chunk->used);
		EXPECT(errors, arena, chunk->used <= chunk->size);
		serial = chunk->serial;
		chunks++;
		frames += chunk->size / PAGE_SIZE;
		used += chunk->used - sizeof(*chunk);
	}
	EXPECT(errors, arena, serial <= arena->serial);
	EXPECT(errors, arena, chunks + (arena->spare != NULL) == arena->stats.chunks);
	frames += arena->spare ? ARENA_CHUNK / PAGE_SIZE : 0;
	EXPECT(errors, arena, frames == arena->stats.frames);
	EXPECT(errors, arena, arena->stats.bytes <= used);
	EXPECT(errors, arena, arena->stats.bytes <= arena->stats.peak);
	EXPECT(errors, arena, arena->stats.allocs <= arena->stats.nr_alloc);
	spin_unlock_irqrestore(&arena->lock, flags);
	return errors;
}

/* ---- The public face ------------------------------------------------------------------------ */

void
arena_get_stats(struct bump_arena *arena, struct arena_stats *stats)
{
	irqflags_t flags = spin_lock_irqsave(&arena->lock);

	*stats = arena->stats;
	spin_unlock_irqrestore(&arena->lock, flags);
}

void
arena_set_faults(struct bump_arena *arena, uint64_t every, uint64_t seed)
{
	irqflags_t flags = spin_lock_irqsave(&arena->lock);

	fault_set(&arena->faults, every, seed);
	spin_unlock_irqrestore(&arena->lock, flags);
}

static void
report(struct pool_entry *entry, struct pool_report *report)
{
	struct arena_stats stats;

	arena_get_stats(container_of(entry, struct bump_arena, entry), &stats);
	*report = (struct pool_report){
		.in_use = stats.allocs,
		.bytes = stats.frames * PAGE_SIZE,
		.nr_alloc = stats.nr_alloc,
		.nr_failed = stats.nr_failed,
	};
}

static unsigned
check(struct pool_entry *entry)
{
	return arena_check(container_of(entry, struct bump_arena, entry));
}

static const struct pool_kind arena_kind = { "arena", report, check };

struct bump_arena *
arena_create(const char *name)
{
	struct bump_arena *arena = kmalloc(sizeof(*arena), GFP_ZERO);

	if (!arena)
		return NULL;
	spin_init(&arena->lock, "arena", RANK_SLAB);
	list_init(&arena->chunks);
	pool_register(&arena->entry, &arena_kind, name);
	return arena;
}

void
arena_destroy(struct bump_arena *arena)
{
	pool_unregister(&arena->entry);
	arena_release_all(arena);
	if (arena->spare)
		pool_memory_free(arena->spare, ARENA_CHUNK);
	kfree(arena);
}
