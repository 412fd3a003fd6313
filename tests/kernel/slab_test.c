/* SPDX-License-Identifier: MIT */
/*
 * Caches and kmalloc() in the kernel. Wherever an object is held, it is full of its holder's
 * mark, so two that overlap, or an object given out twice, show.
 */
#include <console.h>
#include <ktest.h>
#include <memory_advanced.h>
#include <slab.h>
#include <string.h>
#include <thread.h>

/* How a cache under test finds mistakes. */
#define PLAIN	SLAB_NO_PROTECTION
#define CHECKED (SLAB_CHECK | SLAB_NO_PROTECTION)
#define GUARDED (SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER)

static const slab_flags_t protections[] = { PLAIN, CHECKED, GUARDED };

static size_t
in_use(kmem_cache_t *cache)
{
	struct slab_stats stats;

	/* What is in quarantine is nobody's. */
	if (cache->flags & SLAB_POISON)
		kmem_cache_shrink(cache);
	slab_get_stats(cache, &stats);
	return stats.nr_in_use;
}

static uint64_t
free_memory(void)
{
	memory_stats_t stats;

	get_memory_stats(&stats);
	return stats.free_memory;
}

/* Give back all that caches keep, so that free memory can be compared. */
static uint64_t
settled_memory(void)
{
	slab_reclaim(SIZE_MAX);
	return free_memory();
}

static kmem_cache_t *
make(struct ktest *t, size_t size, size_t align, slab_flags_t flags, void (*ctor)(void *))
{
	kmem_cache_t *cache = kmem_cache_create("test", size, align, flags | SLAB_NO_MERGE, ctor);

	assert_true(t, cache != NULL);
	return cache;
}

static bool
is_filled(const void *object, int byte, size_t size)
{
	const uint8_t *bytes = object;

	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != (uint8_t)byte)
			return false;
	}
	return true;
}

/* ---- Caches ------------------------------------------------------------------------------ */

#define HELD   300
#define ROUNDS 3000

static void *held[HELD];

/* Free held[from] and all behind it; nothing is left that the leak detector would follow. */
static void
free_held(kmem_cache_t *cache, unsigned from)
{
	for (unsigned i = from; i < HELD; i++) {
		if (held[i])
			kmem_cache_free(cache, held[i]);
		held[i] = NULL;
	}
}

/* Random allocations and frees; every object keeps what was written to it. */
KTEST(heap, objects_are_their_holders, .nr_params = 12)
{
	static const struct {
		uint16_t size, align;
	} shape[] = { { 1, 0 }, { 24, 0 }, { 64, 64 }, { 200, 32 }, { 1000, 8 }, { 5000, 1024 } };
	size_t size = shape[t->param / 2].size, align = shape[t->param / 2].align;
	slab_flags_t flags = protections[prng_below(&t->prng, 3)];
	kmem_cache_t *cache = make(t, size, align, flags, NULL);
	size_t nr = 0;

	memset(held, 0, sizeof(held));
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned slot = (unsigned)prng_below(&t->prng, HELD);

		if (held[slot]) {
			assert_true(t, is_filled(held[slot], (int)slot, size));
			kmem_cache_free(cache, held[slot]);
			held[slot] = NULL;
			nr--;
		} else {
			held[slot] = kmem_cache_alloc(cache, GFP_KERNEL);
			assert_true(t, held[slot] != NULL);
			assert_true(t, IS_ALIGNED((uintptr_t)held[slot], align ? align : 8));
			memset(held[slot], (int)slot, size);
			nr++;
		}
		if (i % 500 == 0) {
			assert_eq(t, slab_check(cache), 0);
			assert_eq(t, in_use(cache), nr);
		}
	}
	free_held(cache, 0);
	expect_eq(t, in_use(cache), 0);
	expect_eq(t, slab_check(cache), 0);
	kmem_cache_destroy(cache);
}

KTEST(heap, all_memory_comes_back)
{
	uint64_t before = settled_memory();

	for (unsigned i = 0; i < ARRAY_SIZE(protections); i++) {
		kmem_cache_t *cache = make(t, 100 + 700 * i, 0, protections[i], NULL);

		for (unsigned slot = 0; slot < HELD; slot++) {
			held[slot] = kmem_cache_alloc(cache, GFP_KERNEL);
			assert_true(t, held[slot] != NULL);
		}
		expect_lt(t, free_memory(), before);
		free_held(cache, 0);
		kmem_cache_destroy(cache);
		expect_eq(t, settled_memory(), before);
	}
}

KTEST(heap, zeroed_when_asked)
{
	for (unsigned i = 0; i < ARRAY_SIZE(protections); i++) {
		kmem_cache_t *cache = make(t, 96, 0, protections[i], NULL);

		for (unsigned round = 0; round < 50; round++) {
			void *object = kmem_cache_alloc(cache, GFP_ZERO);

			assert_true(t, object != NULL);
			assert_true(t, is_filled(object, 0, 96));
			memset(object, 0xee, 96);
			kmem_cache_free(cache, object);
		}
		kmem_cache_destroy(cache);
	}
}

/* Memory of a new kind: without poison the newest object is handed out again, as it was. */
KTEST(heap, last_freed_is_first_reused)
{
	kmem_cache_t *cache = make(t, 64, 0, PLAIN, NULL);
	void *one = kmem_cache_alloc(cache, GFP_KERNEL), *two = kmem_cache_alloc(cache, GFP_KERNEL);

	assert_true(t, one && two && one != two);
	kmem_cache_free(cache, one);
	kmem_cache_free(cache, two);
	/* On one CPU: the thread may have been moved between the calls otherwise. */
	if (nr_cpus == 1) {
		expect_eq(t, kmem_cache_alloc(cache, GFP_KERNEL), two);
		expect_eq(t, kmem_cache_alloc(cache, GFP_KERNEL), one);
		kmem_cache_free(cache, one);
		kmem_cache_free(cache, two);
	}
	kmem_cache_destroy(cache);
}

/* ---- Constructors ---------------------------------------------------------------------------- */

static unsigned nr_constructed;

static void
construct(void *object)
{
	memset(object, 0x77, 40);
	nr_constructed++;
}

KTEST(heap, constructed_state_survives)
{
	kmem_cache_t *cache = make(t, 40, 0, PLAIN, construct);
	struct slab_stats stats;

	nr_constructed = 0;
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < HELD; i++) {
			held[i] = kmem_cache_alloc(cache, GFP_KERNEL);
			assert_true(t, held[i] != NULL);
			assert_true(t, is_filled(held[i], 0x77, 40));
		}
		free_held(cache, 0);
	}
	/* Once for each object that memory came for, not for each allocation. */
	slab_get_stats(cache, &stats);
	expect_le(t, stats.nr_objects, nr_constructed);
	expect_lt(t, nr_constructed, 3 * HELD);
	kmem_cache_destroy(cache);
}

KTEST(heap, constructed_again_when_poisoned)
{
	kmem_cache_t *cache = make(t, 40, 0, GUARDED, construct);

	for (unsigned i = 0; i < 1000; i++) {
		void *object = kmem_cache_alloc(cache, GFP_KERNEL);

		assert_true(t, object != NULL);
		assert_true(t, is_filled(object, 0x77, 40));
		kmem_cache_free(cache, object);
	}
	expect_eq(t, slab_check(cache), 0);
	kmem_cache_destroy(cache);
}

KTEST(heap, zero_and_constructor,
      .expect_panic = "slab: test: GFP_ZERO for an object with a constructor")
{
	expect_true(t, kmem_cache_alloc(make(t, 40, 0, PLAIN, construct), GFP_ZERO) != NULL);
}

/* ---- Sharing --------------------------------------------------------------------------------- */

KTEST(heap, like_caches_are_one)
{
	kmem_cache_t *one = kmem_cache_create("one", 52, 0, PLAIN, NULL);
	kmem_cache_t *two = kmem_cache_create("two", 50, 8, PLAIN, NULL);
	kmem_cache_t *own = kmem_cache_create("own", 52, 0, PLAIN | SLAB_NO_MERGE, NULL);
	kmem_cache_t *built = kmem_cache_create("built", 52, 0, PLAIN, construct);
	kmem_cache_t *large = kmem_cache_create("large", 64, 0, PLAIN, NULL);
	kmem_cache_t *aligned = kmem_cache_create("aligned", 56, 64, PLAIN, NULL);
	kmem_cache_t *checked = kmem_cache_create("checked", 52, 0, CHECKED, NULL);
	struct slab_stats stats;
	void *object;

	assert_true(t, one && two && own && built && large && aligned && checked);
	expect_eq(t, one, two);
	expect_ne(t, one, own);
	expect_ne(t, one, built);
	expect_ne(t, one, large);
	expect_ne(t, large, aligned);
	expect_ne(t, one, checked);
	slab_get_stats(one, &stats);
	expect_eq(t, stats.nr_users, 2);
	expect_eq(t, strcmp(list_first_entry(&one->aliases, struct cache_alias, link)->name, "two"),
		  0);

	/* One of the two ends; the other goes on. */
	kmem_cache_destroy(two);
	object = kmem_cache_alloc(one, GFP_KERNEL);
	expect_true(t, object != NULL);
	expect_true(t, list_empty(&one->aliases));
	kmem_cache_free(one, object);
	kmem_cache_destroy(one);
	kmem_cache_destroy(own);
	kmem_cache_destroy(built);
	kmem_cache_destroy(large);
	kmem_cache_destroy(aligned);
	kmem_cache_destroy(checked);
}

/* ---- Destroying and shrinking ------------------------------------------------------------ */

KTEST(heap, destroy_waits_for_objects)
{
	uint64_t before = settled_memory();

	for (unsigned i = 0; i < ARRAY_SIZE(protections); i++) {
		kmem_cache_t *cache = make(t, 80, 0, protections[i], NULL);
		void *object = kmem_cache_alloc(cache, GFP_KERNEL);

		assert_true(t, object != NULL);
		memset(object, 0x11, 80);
		kmem_cache_free(cache, kmem_cache_alloc(cache, GFP_KERNEL));
		kmem_cache_destroy(cache); /* reports, and keeps it */
		expect_true(t, is_filled(object, 0x11, 80));
		expect_eq(t, in_use(cache), 1);
		expect_eq(t, slab_check(cache), 0);
		kmem_cache_free(cache, object);
		kmem_cache_destroy(cache);
		expect_eq(t, settled_memory(), before);
	}
	kmem_cache_destroy(NULL);
}

KTEST(heap, shrink_gives_frames_back)
{
	kmem_cache_t *cache = make(t, 512, 0, PLAIN, NULL);
	uint64_t before = settled_memory();
	struct slab_stats stats;

	for (unsigned i = 0; i < HELD; i++) {
		held[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		assert_true(t, held[i] != NULL);
	}
	free_held(cache, 1);
	expect_lt(t, 0, kmem_cache_shrink(cache));
	slab_get_stats(cache, &stats);
	expect_eq(t, stats.nr_held, 0);
	expect_eq(t, stats.nr_slabs[SLAB_EMPTY], 0);
	expect_eq(t, stats.nr_slabs[SLAB_PARTIAL], 1);
	expect_eq(t, stats.nr_in_use, 1);
	free_held(cache, 0);
	expect_lt(t, 0, kmem_cache_shrink(cache));
	expect_eq(t, settled_memory(), before);
	kmem_cache_destroy(cache);
}

/* Not all of it is kept for the next time, nor is all of it given up at once. */
KTEST(heap, few_empty_slabs_are_kept, .nr_params = 2)
{
	kmem_cache_t *cache = make(t, 512, 0, protections[t->param], NULL);
	struct slab_stats stats;

	for (unsigned i = 0; i < HELD; i++) {
		held[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		assert_true(t, held[i] != NULL);
	}
	free_held(cache, 0);
	slab_get_stats(cache, &stats);
	expect_le(t, 1, stats.nr_slabs[SLAB_EMPTY]);
	expect_le(t, stats.nr_slabs[SLAB_EMPTY], 3);
	kmem_cache_destroy(cache);
}

KTEST(heap, reclaim_takes_what_is_free)
{
	kmem_cache_t *cache = make(t, 512, 0, PLAIN, NULL);

	for (unsigned i = 0; i < HELD; i++) {
		held[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		assert_true(t, held[i] != NULL);
	}
	settled_memory();
	free_held(cache, 0);
	expect_lt(t, 0, slab_reclaim(1));
	slab_reclaim(SIZE_MAX);
	expect_eq(t, slab_reclaim(SIZE_MAX), 0);
	expect_eq(t, kmem_cache_shrink(cache), 0);
	kmem_cache_destroy(cache);
}

/* ---- The layout of slabs ----------------------------------------------------------------- */

/* Objects are inside their slab, apart from each other and from the header. */
KTEST(heap, layouts_are_sound)
{
	for (size_t size = 1; size <= KMEM_MAX_SIZE; size += size < 600 ? 1 : 377) {
		struct kmem_cache cache = { .size = (uint32_t)size, .align = 8 };
		size_t end, header;

		cache_lay_out(&cache);
		header = cache.off_slab ? 0 : sizeof(struct slab) + cache.nr_words * 8;
		end = cache.offset + (cache.nr_colours - 1) * SLAB_COLOUR +
		      cache.nr_objects * cache.stride;
		assert_le(t, size, cache.stride);
		assert_le(t, 1, cache.nr_objects);
		assert_le(t, cache.nr_objects, cache.nr_words * 64);
		assert_le(t, header, cache.offset);
		assert_le(t, end, slab_bytes(&cache));
		assert_le(t, cache.order, SLAB_MAX_ORDER);
		assert_true(t, !cache.off_slab || cache.nr_objects <= OFF_SLAB_OBJECTS);
		/* The reciprocal divides exactly, to the last byte of a slab. */
		for (size_t i = 0; i < cache.nr_objects; i++) {
			struct slab slab = { .first = (char *)4096 };
			const char *object = slab.first + i * cache.stride;

			assert_eq(t, index_in_slab(&cache, &slab, object), i);
			assert_eq(t, index_in_slab(&cache, &slab, object + cache.stride - 1), i);
		}
	}
}

/* Little is lost to headers and remainders: below 7 %, and 3 % where sizes leave a choice. */
KTEST(heap, layouts_waste_little)
{
	for (size_t size = 8; size <= 2048; size += 8) {
		struct kmem_cache cache = { .size = (uint32_t)size, .align = 8 };
		size_t lost;

		cache_lay_out(&cache);
		lost = slab_bytes(&cache) - cache.nr_objects * cache.stride;
		assert_le(t, lost * 1000, slab_bytes(&cache) * (size <= 1024 ? 36 : 70));
	}
}

KTEST(heap, slabs_are_coloured)
{
	kmem_cache_t *cache = make(t, 800, 0, PLAIN, NULL);
	uint64_t colours = 0;
	unsigned nr = 0;

	assert_le(t, 2, cache->nr_colours);
	for (unsigned i = 0; i < HELD; i++) {
		const struct slab *slab;
		size_t offset;

		held[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		assert_true(t, held[i] != NULL);
		slab = slab_of(held[i]);
		offset = (size_t)(slab->first - (char *)page_to_virt(slab->page)) - cache->offset;
		assert_eq(t, offset % SLAB_COLOUR, 0);
		assert_le(t, offset / SLAB_COLOUR, cache->nr_colours - 1);
		colours |= 1ull << offset / SLAB_COLOUR;
	}
	for (; colours != 0; colours &= colours - 1)
		nr++;
	expect_le(t, MIN(cache->nr_colours, 4), nr);
	free_held(cache, 0);
	kmem_cache_destroy(cache);
}

/* ---- Many CPUs --------------------------------------------------------------------------- */

#define WORKERS	 8
#define EXCHANGE 64

static struct {
	kmem_cache_t *cache;
	void *slot[EXCHANGE]; /* atomic: objects on their way from one thread to another */
} market;

static void
close_market(void)
{
	for (unsigned i = 0; i < EXCHANGE; i++) {
		if (market.slot[i])
			kmem_cache_free(market.cache, market.slot[i]);
		market.slot[i] = NULL;
	}
}

struct worker {
	struct prng prng;
	unsigned damaged;
	uint8_t mark;
};

/* Objects are allocated on one CPU and freed on any. */
static void
trade(void *arg)
{
	struct worker *self = arg;

	for (unsigned i = 0; i < 3000; i++) {
		void *object = kmem_cache_alloc(market.cache, GFP_KERNEL), *other;
		unsigned slot = (unsigned)prng_below(&self->prng, EXCHANGE);

		if (!object)
			continue;
		memset(object, self->mark, 72);
		other = __atomic_exchange_n(&market.slot[slot], object, __ATOMIC_ACQ_REL);
		if (!other)
			continue;
		self->damaged += !is_filled(other, *(uint8_t *)other, 72);
		kmem_cache_free(market.cache, other);
		if (prng_below(&self->prng, 700) == 0)
			kmem_cache_shrink(market.cache);
	}
}

KTEST(heap, all_cpus, .nr_params = 6, .budget_ms = 20000)
{
	static struct worker workers[WORKERS];
	struct thread *threads[WORKERS];

	market.cache = make(t, 72, 0, protections[t->param / 2], NULL);
	memset(market.slot, 0, sizeof(market.slot));
	sched_fuzz_ticks(3000, 50000, t->seed);
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){ .mark = (uint8_t)(i + 1) };
		prng_seed(&workers[i].prng, prng_next(&t->prng));
		threads[i] = thread_create("trade", trade, &workers[i], CPU_ANY);
		assert_true(t, threads[i] != NULL);
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		thread_join(threads[i]);
		expect_eq(t, workers[i].damaged, 0);
	}
	sched_fuzz_ticks(0, 0, 0);
	expect_eq(t, slab_check(market.cache), 0);
	close_market();
	expect_eq(t, in_use(market.cache), 0);
	kmem_cache_destroy(market.cache);
}

/* Fast paths of different CPUs share nothing: each has a magazine of its own. */
KTEST(heap, cpus_have_magazines_of_their_own, .min_cpus = 2)
{
	static struct worker worker;
	struct thread *thread[2];

	market.cache = make(t, 72, 0, PLAIN, NULL);
	memset(market.slot, 0, sizeof(market.slot));
	prng_seed(&worker.prng, 1);
	for (int cpu = 0; cpu < 2; cpu++) {
		thread[cpu] = thread_create("trade", trade, &worker, cpu);
		assert_true(t, thread[cpu] != NULL);
		thread_join(thread[cpu]);
	}
	expect_ne(t, market.cache->magazine[0], market.cache->magazine[1]);
	close_market();
	kmem_cache_destroy(market.cache);
}

/* ---- The kernel's own -------------------------------------------------------------------- */

static void
nothing(void *arg)
{
	(void)arg;
}

KTEST(heap, threads_are_objects)
{
	struct thread *thread = thread_create("object", nothing, NULL, CPU_ANY);

	assert_true(t, thread != NULL);
	expect_eq(t, strcmp(slab_of(thread)->cache->name, "thread"), 0);
	thread_join(thread);
}

/* Also with a name that is another cache's. */
KTEST(heap, slabinfo_prints)
{
	kmem_cache_t *one = kmem_cache_create("one", 52, 0, PLAIN, NULL);
	kmem_cache_t *two = kmem_cache_create("two", 52, 0, PLAIN, NULL);

	assert_true(t, one && two);
	expect_eq(t, console_execute("slabinfo"), 0);
	kmem_cache_destroy(one);
	kmem_cache_destroy(two);
}

KTEST(heap, all_books_agree)
{
	expect_eq(t, slab_check_all(), 0);
}
