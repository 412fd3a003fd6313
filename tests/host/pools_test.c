/* SPDX-License-Identifier: MIT */
/* Fixed pools, arenas and per-CPU pools, one thread: against models, short of memory, misused. */
#include "host.h"
#include "machine.h"

#include "../../mm/bump_arena.h"
#include "../../mm/percpu_pool.h"

#include <errno.h>
#include <memory_pool.h>
#include <page_allocator.h>
#include <percpu.h>
#include <pool_manager.h>
#include <string.h>

#define MEMORY	 MiB(16)
#define MAX_HELD 1500

/* All that was taken is back. */
static void
check_all_free(void)
{
	CHECK_EQ(machine_frames_taken(), 0);
}

static void
check_panics(void (*fn)(void *), void *arg, const char *message)
{
	CHECK(!host_try(fn, arg, 1000));
	CHECK_NAMES(host_message, message);
}

/* ---- Fixed pools ----------------------------------------------------------------------- */

/* Every byte of an element is its holder's: fill it, and find it so. */
static void
fill(uint8_t *element, size_t size, uint8_t byte)
{
	memset(element, byte, size);
}

static bool
is_filled(const uint8_t *element, size_t size, uint8_t byte)
{
	for (size_t i = 0; i < size; i++) {
		if (element[i] != byte)
			return false;
	}
	return true;
}

static void
fixed_trace(size_t size, unsigned max_held)
{
	static uint8_t *held[MAX_HELD];
	struct fixed_pool *pool = fixed_pool_create("test", size);
	struct fixed_pool_stats stats;
	unsigned nr = 0, peak = 0;
	struct prng prng;

	prng_seed(&prng, host_seed + size);
	for (unsigned i = 0; i < 4000 && !host_failed(); i++) {
		/* More allocations in one half, more frees in the other. */
		if (prng_below(&prng, 100) < (i / 1000 % 2 ? 40 : 60)) {
			if (nr == max_held)
				continue;
			held[nr] = fixed_pool_alloc(pool);
			CHECK(held[nr] != NULL);
			CHECK(IS_ALIGNED((uintptr_t)held[nr], size % 16 ? 8 : 16));
			fill(held[nr], size, (uint8_t)((uintptr_t)held[nr] >> 3));
			nr++;
			peak = MAX(peak, nr);
		} else if (nr > 0) {
			unsigned j = (unsigned)prng_below(&prng, nr);

			CHECK(is_filled(held[j], size, (uint8_t)((uintptr_t)held[j] >> 3)));
			fixed_pool_free(pool, held[j]);
			held[j] = held[--nr];
		}
		if (i % 64 == 0)
			CHECK_EQ(fixed_pool_check(pool), 0);
	}
	fixed_pool_get_stats(pool, &stats);
	CHECK_EQ(stats.in_use, nr);
	CHECK_EQ(stats.peak, peak);
	CHECK_EQ(stats.nr_failed, 0);
	while (nr > 0)
		fixed_pool_free(pool, held[--nr]);
	fixed_pool_get_stats(pool, &stats);
	CHECK_EQ(stats.chunks, 1); /* the empty one that is kept */
	CHECK_EQ(fixed_pool_check(pool), 0);
	CHECK_EQ(fixed_pool_destroy(pool), 0);
	check_all_free();
}

static void
fixed_against_a_model(void)
{
	static const size_t sizes[] = { 1,   8,	  16,  24,   40,   64,	 100,
					128, 500, 512, 1024, 4096, 5000, 65536 };

	machine_start(MEMORY);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes) && !host_failed(); i++)
		fixed_trace(sizes[i], sizes[i] < 4000 ? MAX_HELD : 60);
}

/* At most an eighth of a chunk is no element, from 16 bytes on. */
static void
fixed_wastes_little(void)
{
	machine_start(MEMORY);
	for (size_t size = 8; size <= KiB(64); size += size < 4096 ? 8 : 1000) {
		struct fixed_pool *pool = fixed_pool_create("test", size);
		void *element = fixed_pool_alloc(pool);
		struct fixed_pool_stats stats;

		fixed_pool_get_stats(pool, &stats);
		CHECK((stats.chunk_bytes - stats.capacity * size) * 8 <= stats.chunk_bytes);
		fixed_pool_free(pool, element);
		CHECK_EQ(fixed_pool_destroy(pool), 0);
	}
	check_all_free();
}

static void
fixed_without_memory(void)
{
	static void *held[MEMORY / 2048];
	struct fixed_pool_stats stats;
	struct fixed_pool *pool;
	unsigned nr = 0, failed = 0;

	machine_start(MEMORY);
	machine_set_faults(1, 1);
	CHECK(fixed_pool_create("test", 2000) == NULL);
	machine_set_faults(0, 0);
	pool = fixed_pool_create("test", 2000);
	while ((held[nr] = fixed_pool_alloc(pool)))
		nr++;
	CHECK(nr * 2000ul > MEMORY * 7 / 8);
	CHECK(fixed_pool_alloc(pool) == NULL);
	fixed_pool_free(pool, held[--nr]);
	CHECK(fixed_pool_alloc(pool) == held[nr]);
	nr++;
	CHECK_EQ(fixed_pool_check(pool), 0);
	while (nr > 0)
		fixed_pool_free(pool, held[--nr]);

	fixed_pool_set_faults(pool, 4, host_seed);
	for (unsigned i = 0; i < 1000; i++) {
		void *element = fixed_pool_alloc(pool);

		failed += !element;
		if (element)
			fixed_pool_free(pool, element);
	}
	CHECK(failed > 180 && failed < 320);
	fixed_pool_get_stats(pool, &stats);
	CHECK_EQ(stats.nr_failed, failed + 2);
	CHECK_EQ(fixed_pool_check(pool), 0);
	CHECK_EQ(fixed_pool_destroy(pool), 0);
	check_all_free();
}

static struct fixed_pool *fixed;

static void
free_fixed(void *element)
{
	fixed_pool_free(fixed, element);
}

static void
create_fixed(void *size)
{
	host_note("made %p", (void *)fixed_pool_create("test", (size_t)size));
}

static void
fini_fixed(void *pool)
{
	fixed_pool_fini(pool);
}

static void
fixed_misuse(void)
{
	struct fixed_pool *other, bare;
	struct page *page;
	uint8_t *element, *of_other;
	int local;

	machine_start(MEMORY);
	fixed = fixed_pool_create("test", 48);
	other = fixed_pool_create("other", 48);
	element = fixed_pool_alloc(fixed);
	of_other = fixed_pool_alloc(other);
	check_panics(free_fixed, of_other, "fixed pool: wrong pool");
	check_panics(free_fixed, &local, "fixed pool: wrong pool");
	check_panics(free_fixed, NULL, "fixed pool: wrong pool");
	check_panics(free_fixed, fixed, "fixed pool: wrong pool");
	check_panics(free_fixed, (void *)0x10, "fixed pool: wrong pool");
	check_panics(free_fixed, phys_to_virt(GiB(3)), "fixed pool: wrong pool");
	for (unsigned i = 1; i < 48; i++)
		check_panics(free_fixed, element + i, "fixed pool: not the beginning");
	check_panics(free_fixed, (void *)ALIGN_DOWN((uintptr_t)element, PAGE_SIZE),
		     "fixed pool: not the beginning");
	check_panics(free_fixed, (void *)(ALIGN_UP((uintptr_t)element, PAGE_SIZE) - 8),
		     "fixed pool: not the beginning");
	check_panics(free_fixed, element + 48, "fixed pool: double free");
	host_capture_begin();
	CHECK_EQ(fixed_pool_destroy(fixed), -EBUSY);
	host_capture_end();
	CHECK_NAMES(host_output, "\"test\" is not destroyed: 1 elements are in use");
	free_fixed(element);
#ifdef IKOS_DEBUG
	CHECK(is_filled(element, 48, POISON_POOL_FREED));
#endif
	check_panics(free_fixed, element, "fixed pool: double free");
	page = pfn_to_page(virt_to_phys(element) >> PAGE_SHIFT);
	page->state = PAGE_FREE; /* somebody freed the pool's frame */
	check_panics(free_fixed, element, "fixed pool: wrong pool");
	page->state = PAGE_ALLOCATED;
	fixed_pool_free(other, of_other);
	CHECK_EQ(fixed_pool_check(fixed), 0);
	CHECK_EQ(fixed_pool_destroy(fixed), 0);
	CHECK_EQ(fixed_pool_destroy(other), 0);
	check_all_free();

	/* Behind the last element of a chunk there is room, but not for one more. */
	fixed_pool_init(&bare, 40);
	fixed = &bare;
	element = fixed_pool_alloc(fixed);
	CHECK(fixed->first + fixed->per_chunk * 40 < PAGE_SIZE);
	check_panics(free_fixed, element + fixed->per_chunk * 40, "fixed pool: not the beginning");
	check_panics(fini_fixed, fixed, "pool->stats.in_use");
	machine_start(MEMORY);
	check_panics(create_fixed, (void *)0, "fixed pool: elements of 0 bytes");
	check_panics(create_fixed, (void *)(FIXED_POOL_MAX_SIZE + 1), "fixed pool: elements of");
}

static void
fixed_damage_is_found(void)
{
	struct fixed_chunk *full, *partial;
	struct fixed_pool *pool;
	void *element[15];

	machine_start(MEMORY);
	pool = fixed_pool_create("test", 1000);
	for (unsigned i = 0; i < ARRAY_SIZE(element); i++)
		element[i] = fixed_pool_alloc(pool);
	full = list_first_entry(&pool->full, struct fixed_chunk, link);
	partial = list_first_entry(&pool->partial, struct fixed_chunk, link);
	CHECK(pool->per_chunk == 8 && partial->nr_free == 1);
	CHECK_FINDS(partial->pool, NULL, pools_check(), "chunk->pool == pool");
	CHECK_FINDS(pool->order, 40, pools_check(), "IS_ALIGNED((uintptr_t)chunk");
	CHECK_FINDS(partial->words, 0, pools_check(), "(chunk->words >> w & 1)");
	CHECK_FINDS(full->words, 0x80, pools_check(), "(chunk->words >> w & 1)");
	CHECK_FINDS(partial->nr_free, 2, pools_check(), "nr_free == chunk->nr_free");
	CHECK_FINDS(partial->free[1], 0xff, pools_check(), "nr_free <= pool->per_chunk");
	CHECK_FINDS(partial->nr_free, 0, pools_check(), "chunk->nr_free > 0");
	CHECK_FINDS(full->nr_free, 1, pools_check(), "chunk->nr_free == 0");
	CHECK_FINDS(pool->stats.chunks, 3, pools_check(), "census.chunks == pool->stats.chunks");
	CHECK_FINDS(pool->stats.capacity, 24, pools_check(), "pool->per_chunk == pool->stats.cap");
	CHECK_FINDS(pool->stats.in_use, 14, pools_check(), "census.free == pool->stats.in_use");
	CHECK_FINDS(pool->nr_empty, 1, pools_check(), "census.empty == pool->nr_empty");
	CHECK_FINDS(pool->stats.nr_free, 1, pools_check(), "nr_free == pool->stats.in_use");
	CHECK_EQ(fixed_pool_check(pool), 0);

	fixed_pool_free(pool, element[0]);
	CHECK_FINDS(pool->per_chunk, 1, pools_check(), "census.empty <= 1");
	for (unsigned i = 1; i < ARRAY_SIZE(element); i++)
		fixed_pool_free(pool, element[i]);
	CHECK_EQ(fixed_pool_check(pool), 0);
	CHECK_EQ(fixed_pool_destroy(pool), 0);
	check_all_free();
}

/* ---- Arenas ------------------------------------------------------------------------------- */

#define MAX_ALLOCS 3000
#define MAX_MARKS  32

static struct {
	struct {
		uint8_t *memory;
		size_t size;
		uint8_t byte;
	} alloc[MAX_ALLOCS];
	unsigned nr;
	struct {
		struct arena_mark mark;
		unsigned nr;
	} mark[MAX_MARKS];
	unsigned nr_marks;
	uint64_t bytes;
} model;

static void
arena_model_alloc(struct bump_arena *arena, struct prng *prng)
{
	static const unsigned bound[] = { 16, 200, 3000, 30000 };
	size_t size = 1 + prng_below(prng, bound[MIN(prng_below(prng, 40) / 12, 3)]);
	size_t align = 1ul << prng_below(prng, 8);
	uint8_t *memory;

	if (model.nr == MAX_ALLOCS || model.bytes > MiB(4))
		return;
	memory = arena_alloc(arena, size, align);
	CHECK(memory != NULL);
	CHECK(IS_ALIGNED((uintptr_t)memory, align));
	if (host_failed())
		return;
	model.alloc[model.nr].memory = memory;
	model.alloc[model.nr].size = size;
	model.alloc[model.nr].byte = (uint8_t)prng_next(prng);
	memset(memory, model.alloc[model.nr].byte, size);
	model.bytes += size;
	model.nr++;
}

/* Everything since the mark is found unchanged, then released. */
static void
arena_model_release(struct bump_arena *arena, unsigned down_to)
{
	while (model.nr > down_to) {
		model.nr--;
		CHECK(is_filled(model.alloc[model.nr].memory, model.alloc[model.nr].size,
				model.alloc[model.nr].byte));
		model.bytes -= model.alloc[model.nr].size;
	}
	if (model.nr_marks > 0)
		arena_release_to(arena, model.mark[--model.nr_marks].mark);
	else
		arena_release_all(arena);
}

static void
arena_against_a_model(void)
{
	struct bump_arena *arena;
	struct arena_stats stats;
	struct prng prng;

	machine_start(MEMORY);
	prng_seed(&prng, host_seed);
	arena = arena_create("test");
	memset(&model, 0, sizeof(model));
	for (unsigned i = 0; i < 30000 && !host_failed(); i++) {
		unsigned kind = (unsigned)prng_below(&prng, 1000);

		if (kind < 970) {
			arena_model_alloc(arena, &prng);
		} else if (kind < 985 && model.nr_marks < MAX_MARKS) {
			model.mark[model.nr_marks].mark = arena_mark(arena);
			model.mark[model.nr_marks++].nr = model.nr;
		} else if (kind < 999 && model.nr_marks > 0) {
			arena_model_release(arena, model.mark[model.nr_marks - 1].nr);
		} else if (kind == 999) {
			model.nr_marks = 0;
			arena_model_release(arena, 0);
		}
		arena_get_stats(arena, &stats);
		CHECK_EQ(stats.allocs, model.nr);
		CHECK_EQ(stats.bytes, model.bytes);
		if (i % 16 == 0)
			CHECK_EQ(arena_check(arena), 0);
	}
	arena_destroy(arena);
	check_all_free();
}

/* Work that crosses the end of a chunk back and forth does not build one each time. */
static void
arena_keeps_a_spare(void)
{
	struct bump_arena *arena;
	struct arena_stats stats;
	struct arena_mark mark;
	size_t frames;

	machine_start(MEMORY);
	arena = arena_create("test");
	CHECK(arena_alloc(arena, 15000, 16) != NULL);
	mark = arena_mark(arena);
	CHECK(arena_alloc(arena, 8000, 16) != NULL);
	frames = machine_frames_free();
	for (unsigned i = 0; i < 10; i++) {
		arena_release_to(arena, mark);
		CHECK_EQ(machine_frames_free(), frames);
		CHECK(arena_alloc(arena, 8000, 16) != NULL);
		CHECK_EQ(machine_frames_free(), frames);
	}
	/* One that is larger than a chunk is not kept. */
	arena_release_to(arena, mark);
	CHECK(arena_alloc(arena, MiB(1), 16) != NULL);
	arena_release_to(arena, mark);
	CHECK_EQ(machine_frames_free(), frames);
	arena_get_stats(arena, &stats);
	CHECK_EQ(stats.chunks, 2);
	CHECK_EQ(stats.nr_release, 12);
	arena_destroy(arena);
	check_all_free();
}

static struct bump_arena *arena_in_test;

static void
release_to(void *mark)
{
	arena_release_to(arena_in_test, *(struct arena_mark *)mark);
}

static void
alloc_0_bytes(void *arg)
{
	(void)arg;
	host_note("got %p", arena_alloc(arena_in_test, 0, 8));
}

static void
alloc_aligned(void *align)
{
	host_note("got %p", arena_alloc(arena_in_test, 8, (size_t)align));
}

static void
arena_misuse(void)
{
	struct arena_mark early, late, other_chunk, same_chunk, marks[2];
	uint8_t *memory, *released;

	machine_start(MEMORY);
	arena_in_test = arena_create("test");
	early = arena_mark(arena_in_test);
	memory = arena_alloc(arena_in_test, 100, 8);
	memset(memory, 1, 100);
	late = arena_mark(arena_in_test);
	CHECK(arena_alloc(arena_in_test, 16000, 8) != NULL);
	CHECK(arena_alloc(arena_in_test, 16000, 8) != NULL);
	other_chunk = arena_mark(arena_in_test);
	arena_release_to(arena_in_test, late);
	CHECK_EQ(memory[99], 1);
	check_panics(release_to, &other_chunk, "arena \"test\": stale mark");
	released = arena_alloc(arena_in_test, 50, 8);
	CHECK(released != NULL);
	memset(released, 1, 50);
	same_chunk = arena_mark(arena_in_test);
	arena_release_to(arena_in_test, late);
#ifdef IKOS_DEBUG
	CHECK(is_filled(released, 50, POISON_ARENA));
#endif
	check_panics(release_to, &same_chunk, "arena \"test\": stale mark");
	arena_release_to(arena_in_test, early);
#ifdef IKOS_DEBUG
	CHECK(memory[0] == POISON_ARENA && memory[99] == POISON_ARENA);
#endif
	check_panics(release_to, &late, "arena \"test\": stale mark");
	check_panics(alloc_0_bytes, NULL, "arena \"test\": cannot place 0 bytes");
	check_panics(alloc_aligned, (void *)3, "multiples of 3");
	check_panics(alloc_aligned, (void *)0, "multiples of 0");
	check_panics(alloc_aligned, (void *)(2 * PAGE_SIZE), "multiples of 8192");

	/* Marks whose memory is in use again: by fewer allocations, or not so far. */
	early = arena_mark(arena_in_test);
	memory = arena_alloc(arena_in_test, 8, 8);
	late = arena_mark(arena_in_test);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(arena_alloc(arena_in_test, 8, 8) != NULL);
		marks[i] = arena_mark(arena_in_test);
	}
	arena_release_to(arena_in_test, late);
	CHECK(arena_alloc(arena_in_test, 100, 8) != NULL);
	check_panics(release_to, &marks[1], "arena \"test\": stale mark");
	arena_release_to(arena_in_test, late);
	for (unsigned i = 0; i < 3; i++)
		CHECK(arena_alloc(arena_in_test, 1, 1) != NULL);
	check_panics(release_to, &marks[1], "arena \"test\": stale mark");
	CHECK_EQ(arena_check(arena_in_test), 0);
	arena_destroy(arena_in_test);
	check_all_free();
}

static void
arena_damage_is_found(void)
{
	struct bump_arena *arena;
	struct arena_chunk *chunk;
	struct arena_mark mark;

	machine_start(MEMORY);
	arena = arena_create("test");
	CHECK(arena_alloc(arena, 10000, 8) != NULL);
	CHECK(arena_alloc(arena, 10000, 8) != NULL);
	mark = arena_mark(arena);
	CHECK(arena_alloc(arena, 10000, 8) != NULL);
	arena_release_to(arena, mark); /* two chunks and a spare one */
	chunk = list_first_entry(&arena->chunks, struct arena_chunk, link);
	CHECK_FINDS(chunk->serial, 2, pools_check(), "serial < chunk->serial");
	CHECK_FINDS(chunk->used, 8, pools_check(), "sizeof(*chunk) <= chunk->used");
	CHECK_FINDS(chunk->used, 4 * PAGE_SIZE + 1, pools_check(), "chunk->used <= chunk->size");
	CHECK_FINDS(arena->serial, 1, pools_check(), "serial <= arena->serial");
	CHECK_FINDS(arena->spare, NULL, pools_check(), "== arena->stats.chunks");
	CHECK_FINDS(arena->stats.frames, 8, pools_check(), "frames == arena->stats.frames");
	CHECK_FINDS(arena->stats.bytes, 20001, pools_check(), "arena->stats.bytes <= used");
	CHECK_FINDS(arena->stats.peak, 19999, pools_check(), "bytes <= arena->stats.peak");
	CHECK_FINDS(arena->stats.nr_alloc, 1, pools_check(), "allocs <= arena->stats.nr_alloc");
	CHECK_EQ(arena_check(arena), 0);
	arena_destroy(arena);
	check_all_free();
}

static void
arena_without_memory(void)
{
	struct arena_stats stats;
	struct bump_arena *arena;
	unsigned failed = 0;
	size_t own_frames;

	machine_start(MEMORY);
	machine_set_faults(1, 1);
	CHECK(arena_create("test") == NULL);
	machine_set_faults(0, 0);
	arena = arena_create("test");
	own_frames = machine_frames_taken();
	CHECK(arena_alloc(arena, SIZE_MAX, 1) == NULL);
	CHECK(arena_alloc(arena, MiB(4), 8) == NULL); /* with its header it is too large */
	CHECK(arena_alloc(arena, MiB(4) - PAGE_SIZE, 8) != NULL);
	while (arena_alloc(arena, 3000, 8))
		;
	arena_get_stats(arena, &stats);
	CHECK_EQ(stats.nr_failed, 3);
	CHECK_EQ(machine_frames_taken(), stats.frames + own_frames);
	CHECK(page_allocator_nr_free() < MEMORY / PAGE_SIZE / 8); /* zones keep some */
	arena_release_all(arena);
	arena_set_faults(arena, 4, host_seed);
	for (unsigned i = 0; i < 1000; i++)
		failed += !arena_alloc(arena, 10, 8);
	CHECK(failed > 180 && failed < 320);
	CHECK_EQ(arena_check(arena), 0);
	arena_destroy(arena);
	check_all_free();
}

/* ---- Per-CPU pools ------------------------------------------------------------------------- */

/* Play another CPU for a moment: it is idle, and nothing here interrupts. */
static void
as_cpu(unsigned cpu)
{
	host_cpu_id = cpu;
}

static struct percpu_pool_stats
percpu_stats(struct percpu_pool *pool)
{
	struct percpu_pool_stats stats;

	percpu_pool_get_stats(pool, &stats);
	return stats;
}

static void
percpu_against_a_model(void)
{
	static uint64_t *held[1000];
	struct percpu_pool *pool;
	struct prng prng;
	unsigned nr = 0;

	machine_start(MEMORY);
	prng_seed(&prng, host_seed);
	pool = percpu_pool_create("test", 64, 700);
	for (unsigned i = 0; i < 40000 && !host_failed(); i++) {
		as_cpu((unsigned)prng_below(&prng, 4));
		if (prng_below(&prng, 100) < (i / 5000 % 2 ? 40u : 60u)) {
			uint64_t *element = percpu_pool_alloc(pool, GFP_NOWAIT);

			/* With so many left some other CPU may have them all, not with more. */
			CHECK(element || nr + 3 * 32 >= 700);
			if (!element)
				continue;
			CHECK(nr < 700);
			for (unsigned j = 0; j < 8; j++)
				element[j] = (uintptr_t)element;
			held[nr++] = element;
		} else if (nr > 0) {
			unsigned j = (unsigned)prng_below(&prng, nr);

			for (unsigned k = 0; k < 8; k++)
				CHECK_EQ(held[j][k], (uintptr_t)held[j]);
			percpu_pool_free(pool, held[j]);
			held[j] = held[--nr];
		}
		CHECK_EQ(percpu_stats(pool).in_use, nr);
		if (i % 64 == 0)
			CHECK_EQ(percpu_pool_check(pool), 0);
	}
	as_cpu(0);
	while (nr > 0)
		percpu_pool_free(pool, held[--nr]);
	CHECK_EQ(percpu_pool_check(pool), 0);
	/* One request in a few takes the lock, for a whole batch. */
	CHECK(percpu_stats(pool).nr_slow * 4 < percpu_stats(pool).nr_alloc);
	percpu_pool_drain(pool);
	CHECK_EQ(percpu_stats(pool).in_caches + percpu_stats(pool).in_depot, 0);
	CHECK_EQ(percpu_pool_destroy(pool), 0);
	check_all_free();
}

/* What one CPU keeps, another one gets: after the next free there, or by a recall. */
static void
percpu_borrowing(void)
{
	struct percpu_pool *pool;
	void *held[40];

	machine_start(MEMORY);
	pool = percpu_pool_create("test", 64, 40);
	for (unsigned i = 0; i < 40; i++) {
		held[i] = percpu_pool_alloc(pool, GFP_KERNEL);
		CHECK(held[i] != NULL);
	}
	CHECK(percpu_pool_alloc(pool, GFP_NOWAIT) == NULL);
	CHECK(percpu_pool_alloc(pool, GFP_KERNEL) == NULL);
	CHECK_EQ(percpu_stats(pool).nr_failed, 2);
	CHECK_EQ(percpu_stats(pool).nr_recalls, 1);

	as_cpu(1);
	percpu_pool_free(pool, held[0]); /* was wanted: goes to the depot */
	CHECK_EQ(percpu_stats(pool).in_depot, 1);
	percpu_pool_free(pool, held[1]);
	percpu_pool_free(pool, held[2]);
	CHECK_EQ(percpu_stats(pool).in_caches, 2);
	as_cpu(0);
	held[0] = percpu_pool_alloc(pool, GFP_NOWAIT);
	CHECK(held[0] != NULL);
	CHECK(percpu_pool_alloc(pool, GFP_NOWAIT) == NULL);
	held[1] = percpu_pool_alloc(pool, GFP_KERNEL); /* recalled from CPU 1 */
	CHECK(held[1] != NULL);
	CHECK_EQ(percpu_stats(pool).nr_recalls, 2);
	held[2] = percpu_pool_alloc(pool, GFP_NOWAIT);
	CHECK(held[2] != NULL);
	for (unsigned i = 0; i < 40; i++)
		percpu_pool_free(pool, held[i]);
	CHECK_EQ(percpu_pool_check(pool), 0);
	CHECK_EQ(percpu_pool_destroy(pool), 0);
	check_all_free();
}

/* A CPU that came after the pool was made. */
static void
percpu_without_a_cache(void)
{
	struct percpu_pool *pool;
	void *element;

	machine_start(MEMORY);
	pool = percpu_pool_create("test", 64, 0);
	as_cpu(nr_cpus);
	element = percpu_pool_alloc(pool, GFP_NOWAIT);
	CHECK(element != NULL);
	CHECK_EQ(percpu_stats(pool).in_use, 1);
	CHECK_EQ(percpu_stats(pool).in_caches, 0);
	percpu_pool_free(pool, element);
	CHECK_EQ(percpu_stats(pool).in_depot, 1);
	as_cpu(0);
	CHECK_EQ(percpu_pool_check(pool), 0);
	CHECK_EQ(percpu_pool_destroy(pool), 0);
	check_all_free();
}

static struct percpu_pool *percpu;

static void
free_percpu(void *element)
{
	percpu_pool_free(percpu, element);
}

static void
percpu_misuse_and_failures(void)
{
	unsigned failed = 0;
	uint8_t *element;
	int local;

	machine_start(MEMORY);
	for (unsigned seed = 0; seed < 16; seed++) {
		machine_set_faults(2, seed);
		percpu = percpu_pool_create("test", 100, 0);
		machine_set_faults(0, 0);
		if (percpu)
			CHECK_EQ(percpu_pool_destroy(percpu), 0);
		failed += !percpu;
		check_all_free();
	}
	CHECK(failed > 4 && failed < 16);

	percpu = percpu_pool_create("test", 100, 0);
	machine_set_faults(1, 1);
	CHECK(percpu_pool_alloc(percpu, GFP_KERNEL) == NULL);
	machine_set_faults(0, 0);
	element = percpu_pool_alloc(percpu, GFP_KERNEL);
	host_capture_begin();
	CHECK_EQ(percpu_pool_destroy(percpu), -EBUSY);
	host_capture_end();
	CHECK_NAMES(host_output, "1 elements are in use");
	memset(element, 1, 100);
	percpu_pool_free(percpu, element);
#ifdef IKOS_DEBUG
	CHECK(is_filled(element, 100, POISON_POOL_FREED));
	check_panics(free_percpu, element, "percpu pool: double free");
	check_panics(free_percpu, element + 1, "percpu pool: not the beginning");
	check_panics(free_percpu, &local, "percpu pool: wrong pool");
#else
	(void)local;
	free_percpu(percpu_pool_alloc(percpu, GFP_KERNEL));
#endif
	percpu_pool_set_faults(percpu, 3, host_seed);
	failed = 0;
	for (unsigned i = 0; i < 900; i++) {
		element = percpu_pool_alloc(percpu, GFP_KERNEL);
		failed += !element;
		if (element)
			percpu_pool_free(percpu, element);
	}
	CHECK(failed > 220 && failed < 380);
	CHECK_EQ(percpu_pool_check(percpu), 0);
	CHECK_EQ(percpu_pool_destroy(percpu), 0);
	check_all_free();
}

static void
alloc_percpu(void *pool)
{
	host_note("got %p", percpu_pool_alloc(pool, GFP_KERNEL));
}

static void
percpu_damage_is_found(void)
{
	struct percpu_pool *pool;
	void *element;

	machine_start(MEMORY);
	pool = percpu_pool_create("test", 100, 0);
	element = percpu_pool_alloc(pool, GFP_KERNEL);
	CHECK_FINDS(pool->cache[0].nr, 14, percpu_pool_check(pool), "in_use == pool->made");
	CHECK_FINDS(pool->backing.stats.in_use, 15, percpu_pool_check(pool), "== backing.in_use");
	CHECK_FINDS(pool->limit, 15, percpu_pool_check(pool), "pool->made <= pool->limit");
	CHECK_FINDS(pool->nr, PERCPU_DEPOT_SIZE + 1, percpu_pool_check(pool), "in_depot <= ");
	CHECK_FINDS(pool->backing.nr_empty, 1, percpu_pool_check(pool), "pool->nr_empty");
	CHECK_FINDS(pool->backing.nr_empty, 1, pools_check(), "pool->nr_empty");
	CHECK_EQ(percpu_pool_check(pool), 0);
#ifdef IKOS_DEBUG
	pool->cache[0].element[14] = element;
	check_panics(alloc_percpu, pool, "was given out twice");
#else
	alloc_percpu(pool);
#endif
}

/* ---- The list of all pools ---------------------------------------------------------------- */

static struct pool_report reports[4];
static const char *kinds[4];
static unsigned nr_reports;

static bool
note_report(struct pool_entry *entry, void *arg)
{
	(void)arg;
	kinds[nr_reports] = entry->kind->name;
	entry->kind->report(entry, &reports[nr_reports++]);
	return nr_reports < 4;
}

static void
all_pools_are_listed(void)
{
	struct fixed_pool *fixed_pool;
	struct bump_arena *arena;
	struct percpu_pool *percpu_pool;
	mempool_t *mempool;
	void *element[4];

	machine_start(MEMORY);
	nr_reports = 0;
	fixed_pool = fixed_pool_create("f", 24);
	arena = arena_create("a");
	percpu_pool = percpu_pool_create("p", 40, 0);
	mempool = mempool_create_kmalloc(3, 100);
	element[0] = fixed_pool_alloc(fixed_pool);
	element[1] = arena_alloc(arena, 10, 8);
	element[2] = percpu_pool_alloc(percpu_pool, GFP_KERNEL);
	element[3] = mempool_alloc(mempool, GFP_KERNEL);
	pool_for_each(note_report, NULL);
	CHECK_EQ(nr_reports, 4);
	CHECK(strcmp(kinds[0], "fixed") == 0 && strcmp(kinds[1], "arena") == 0);
	CHECK(strcmp(kinds[2], "percpu") == 0 && strcmp(kinds[3], "mempool") == 0);
	for (unsigned i = 0; i < 4; i++) {
		CHECK(element[i] != NULL);
		CHECK_EQ(reports[i].in_use, 1);
		CHECK_EQ(reports[i].nr_alloc, 1);
		CHECK_EQ(reports[i].nr_failed, 0);
	}
	CHECK_EQ(reports[0].element_size, 24);
	CHECK_EQ(reports[0].bytes, PAGE_SIZE);
	CHECK_EQ(reports[1].bytes, 4 * PAGE_SIZE);
	CHECK_EQ(reports[2].kept, 15);
	CHECK_EQ(reports[3].kept, 3);
	CHECK_EQ(pools_check(), 0);

	mempool_free(element[3], mempool);
	percpu_pool_free(percpu_pool, element[2]);
	fixed_pool_free(fixed_pool, element[0]);
	mempool_destroy(mempool);
	CHECK_EQ(percpu_pool_destroy(percpu_pool), 0);
	arena_destroy(arena);
	CHECK_EQ(fixed_pool_destroy(fixed_pool), 0);
	nr_reports = 0;
	pool_for_each(note_report, NULL);
	CHECK_EQ(nr_reports, 0);
	check_all_free();
}

HOST_SUITE(pools, { "fixed_against_a_model", fixed_against_a_model },
	   { "fixed_wastes_little", fixed_wastes_little },
	   { "fixed_without_memory", fixed_without_memory }, { "fixed_misuse", fixed_misuse },
	   { "fixed_damage_is_found", fixed_damage_is_found },
	   { "arena_against_a_model", arena_against_a_model },
	   { "arena_keeps_a_spare", arena_keeps_a_spare }, { "arena_misuse", arena_misuse },
	   { "arena_damage_is_found", arena_damage_is_found },
	   { "arena_without_memory", arena_without_memory },
	   { "percpu_against_a_model", percpu_against_a_model },
	   { "percpu_borrowing", percpu_borrowing },
	   { "percpu_without_a_cache", percpu_without_a_cache },
	   { "percpu_misuse_and_failures", percpu_misuse_and_failures },
	   { "percpu_damage_is_found", percpu_damage_is_found },
	   { "all_pools_are_listed", all_pools_are_listed });
