/* SPDX-License-Identifier: MIT */
/*
 * Pools inside the kernel: what memory pools guarantee, in which order they serve, with threads
 * on all CPUs that are preempted at seeded places; the other pools likewise.
 */
#include <errno.h>
#include <ktest.h>
#include <memory_pool.h>
#include <page_allocator.h>
#include <percpu.h>
#include <pool_manager.h>
#include <string.h>
#include <thread.h>

/* ---- A source of elements that fails when it is told to ------------------------------------- */

#define SOURCE_ELEMENTS 256

struct element {
	uint64_t mark; /* the holder's */
	bool away;
};

/* (l) lock */
#define KEPT_FRAMES 16 /* that caches of threads may keep */

static struct source {
	spinlock_t lock;
	struct element element[SOURCE_ELEMENTS]; /* (l) */
	unsigned nr_away;			 /* (l) */
	unsigned nr_left;			 /* (l) calls that will succeed */
	unsigned fail_one;			 /* (l) one call in so many fails; 0: none */
	unsigned nr_calls;			 /* (l) */
	unsigned nr_bad;			 /* (l) given back without being away */
} source;

#define FOREVER 0xffffffffu

static void
source_reset(unsigned nr_left)
{
	memset(&source, 0, sizeof(source));
	spin_init(&source.lock, "source", RANK_DEVICE);
	source.nr_left = nr_left;
}

static void *
source_alloc(gfp_t gfp, void *arg)
{
	irqflags_t flags = spin_lock_irqsave(&source.lock);
	unsigned calls = source.nr_calls++;
	struct element *element = NULL;

	(void)gfp;
	(void)arg;
	if (source.nr_left > 0 && (source.fail_one == 0 || calls % source.fail_one != 0)) {
		for (unsigned i = 0; i < SOURCE_ELEMENTS && !element; i++) {
			element = &source.element[(calls + i) % SOURCE_ELEMENTS];
			if (element->away)
				element = NULL;
		}
	}
	if (element) {
		element->away = true;
		source.nr_away++;
		source.nr_left -= source.nr_left != FOREVER;
	}
	spin_unlock_irqrestore(&source.lock, flags);
	return element;
}

static void
source_free(void *memory, void *arg)
{
	struct element *element = memory;
	irqflags_t flags = spin_lock_irqsave(&source.lock);

	(void)arg;
	source.nr_bad += !element->away;
	element->away = false;
	source.nr_away--;
	spin_unlock_irqrestore(&source.lock, flags);
}

/* ---- Memory pools, one thread --------------------------------------------------------------- */

static mempool_t *pool;
static size_t frames_before;

static struct mempool_stats
stats_now(void)
{
	struct mempool_stats stats;

	mempool_get_stats(pool, &stats);
	return stats;
}

/* A pool whose source gives nothing any more. */
static void
set_up(struct ktest *t, int min_nr)
{
	frames_before = page_allocator_nr_free();
	source_reset((unsigned)min_nr);
	pool = mempool_create(min_nr, source_alloc, source_free, NULL);
	assert_true(t, pool != NULL);
}

static void
tear_down(struct ktest *t)
{
	expect_eq(t, mempool_check(pool), 0);
	mempool_destroy(pool);
	expect_eq(t, source.nr_away, 0);
	expect_eq(t, source.nr_bad, 0);
	expect_le(t, frames_before, page_allocator_nr_free() + KEPT_FRAMES);
}

KTEST(mempool, guarantee_with_a_dead_source)
{
	struct element *held[16];

	set_up(t, 16);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 16; i++) {
			held[i] = mempool_alloc(pool, i % 2 ? GFP_KERNEL : GFP_ATOMIC);
			assert_true(t, held[i] && held[i]->away);
			for (unsigned j = 0; j < i; j++)
				assert_ne(t, (uintptr_t)held[j], (uintptr_t)held[i]);
		}
		expect_true(t, mempool_alloc(pool, GFP_NOWAIT) == NULL);
		for (unsigned i = 0; i < 16; i++)
			mempool_free(held[(i + round) % 16], pool);
		expect_eq(t, stats_now().reserve, 16);
		expect_eq(t, source.nr_away, 16);
		expect_eq(t, mempool_check(pool), 0);
	}
	tear_down(t);
}

KTEST(mempool, creation_fails_at_every_point)
{
	size_t free = page_allocator_nr_free();

	for (unsigned left = 0; left < 8; left++) {
		source_reset(left);
		expect_true(t, mempool_create(8, source_alloc, source_free, NULL) == NULL);
		expect_eq(t, source.nr_away, 0);
		expect_le(t, free, page_allocator_nr_free() + KEPT_FRAMES);
	}
	/* The pool's own tables, in all combinations. */
	for (unsigned i = 0; i < 32; i++) {
		source_reset(FOREVER);
		page_allocator_set_faults(2, prng_next(&t->prng));
		pool = mempool_create(8, source_alloc, source_free, NULL);
		page_allocator_set_faults(0, 0);
		if (pool)
			mempool_destroy(pool);
		expect_eq(t, source.nr_away, 0);
		expect_le(t, free, page_allocator_nr_free() + KEPT_FRAMES);
	}
}

KTEST(mempool, resizing_fails_at_every_point)
{
	struct mempool_stats before, after;

	set_up(t, 4);
	before = stats_now();
	for (unsigned left = 0; left < 6; left++) {
		source.nr_left = left;
		expect_eq(t, mempool_resize(pool, 10), -ENOMEM);
		after = stats_now();
		expect_eq(t, memcmp(&before, &after, sizeof(before)), 0);
		expect_eq(t, source.nr_away, 4);
		expect_eq(t, mempool_check(pool), 0);
	}
	source.nr_left = 6;
	expect_eq(t, mempool_resize(pool, 10), 0);
	expect_eq(t, stats_now().reserve, 10);
	expect_eq(t, mempool_resize(pool, 1), 0);
	expect_eq(t, stats_now().reserve, 1);
	expect_eq(t, source.nr_away, 1);
	tear_down(t);
}

KTEST(mempool, grows_and_shrinks_by_itself)
{
	void *held[12];

	set_up(t, 4);
	source.nr_left = 8;
	for (unsigned i = 0; i < 12; i++)
		held[i] = mempool_alloc(pool, GFP_NOWAIT);
	expect_true(t, mempool_alloc(pool, GFP_NOWAIT) == NULL);
	for (unsigned i = 0; i < 12; i++)
		mempool_free(held[i], pool);
	expect_eq(t, stats_now().reserve, 5);
	source.nr_left = FOREVER;
	for (unsigned i = 0; i < 2 * 64; i++)
		mempool_free(mempool_alloc(pool, GFP_NOWAIT), pool);
	expect_eq(t, stats_now().reserve, 4);
	expect_eq(t, stats_now().nr_grown, 1);
	expect_eq(t, stats_now().nr_shrunk, 1);
	expect_eq(t, mempool_shrink_all(), 0);
	tear_down(t);
}

KTEST(mempool, destroy_is_refused_with_elements_out)
{
	void *element;

	set_up(t, 2);
	element = mempool_alloc(pool, GFP_KERNEL);
	mempool_destroy(pool);
	expect_eq(t, stats_now().reserve, 1);
	mempool_free(element, pool);
	tear_down(t);
}

/* ---- Memory pools, many threads ------------------------------------------------------------- */

#define NR_WAITERS 12

static spinlock_t order_lock = SPINLOCK_INIT("order", RANK_TEST);
static unsigned served[NR_WAITERS], nr_served; /* (o) order_lock */
static unsigned nr_wrong;		       /* atomic: what threads found wrong */

static void
wait_for_element(void *arg)
{
	void *element = mempool_alloc(pool, GFP_KERNEL);
	irqflags_t flags = spin_lock_irqsave(&order_lock);

	served[nr_served++] = (unsigned)(uintptr_t)arg;
	spin_unlock_irqrestore(&order_lock, flags);
	mempool_free(element, pool); /* to the next who waits */
}

/* Each thread starts once the one before it waits, so the order of arrival is known. */
KTEST(mempool, first_come_first_served, .budget_ms = 10000)
{
	struct thread *threads[NR_WAITERS];
	void *only;

	set_up(t, 1);
	nr_served = 0;
	only = mempool_alloc(pool, GFP_KERNEL);
	sched_fuzz_ticks(3000, 50000, t->seed);
	for (unsigned i = 0; i < NR_WAITERS; i++) {
		threads[i] =
		    thread_create("waiter", wait_for_element, (void *)(uintptr_t)i, CPU_ANY);
		assert_true(t, threads[i] != NULL);
		while (stats_now().waiting <= i)
			thread_yield();
	}
	expect_eq(t, mempool_check(pool), 0);
	mempool_free(only, pool);
	/* A newcomer in the middle of it gets nothing as long as somebody waits. */
	while (stats_now().waiting > 0) {
		void *stolen = mempool_alloc(pool, GFP_NOWAIT);

		if (stolen) {
			expect_eq(t, stats_now().waiting, 0);
			mempool_free(stolen, pool);
		}
		thread_yield();
	}
	for (unsigned i = 0; i < NR_WAITERS; i++)
		thread_join(threads[i]);
	sched_fuzz_ticks(0, 0, 0);
	for (unsigned i = 0; i < NR_WAITERS; i++)
		expect_eq(t, served[i], i);
	expect_eq(t, stats_now().longest_queue, NR_WAITERS);
	expect_eq(t, stats_now().nr_waited, NR_WAITERS);
	tear_down(t);
}

#define ROUNDS	   50
#define NR_LOADERS 6

static unsigned may_hold; /* elements, each thread */

static void
load(void *arg)
{
	struct element *held[4];
	struct prng prng;

	prng_seed(&prng, (uintptr_t)arg);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned nr = 1 + (unsigned)prng_below(&prng, may_hold);
		unsigned wrong = 0;

		for (unsigned i = 0; i < nr; i++) {
			held[i] = mempool_alloc(pool, GFP_KERNEL);
			held[i]->mark = (uintptr_t)held;
		}
		if (prng_below(&prng, 4) == 0)
			thread_yield();
		for (unsigned i = 0; i < nr; i++) {
			wrong += held[i]->mark != (uintptr_t)held;
			mempool_free(held[i], pool);
		}
		__atomic_add_fetch(&nr_wrong, wrong, __ATOMIC_RELAXED);
	}
}

static void
run_load(struct ktest *t, void (*entry)(void *))
{
	struct thread *threads[NR_LOADERS];

	nr_wrong = 0;
	sched_fuzz_ticks(10000, 100000, t->seed);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
		threads[i] =
		    thread_create("load", entry, (void *)(uintptr_t)prng_next(&t->prng), CPU_ANY);
		assert_true(t, threads[i] != NULL);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		thread_join(threads[i]);
	sched_fuzz_ticks(0, 0, 0);
	expect_eq(t, nr_wrong, 0);
}

/* param 0: two elements for all; 1: enough, nobody waits; 2: a source that fails now and then */
KTEST(mempool, load, .budget_ms = 20000, .nr_params = 3)
{
	set_up(t, t->param == 1 ? NR_LOADERS * 4 : 2);
	may_hold = t->param == 1 ? 4 : 1;
	if (t->param == 2) {
		source.nr_left = FOREVER;
		source.fail_one = 2;
	}
	run_load(t, load);
	expect_eq(t, stats_now().nr_failed, 0);
	expect_true(t, (stats_now().nr_waited == 0) == (t->param == 1) || t->param == 2);
	expect_eq(t, stats_now().outstanding, 0);
	tear_down(t);
}

/* ---- Memory pools, misuse -------------------------------------------------------------------- */

KTEST(mempool, more_freed_than_given, .expect_panic = "mempool: double free: ")
{
	set_up(t, 1);
	mempool_free(source.element, pool);
}

KTEST(mempool, cleared_elements, .expect_panic = "mempool: GFP_ZERO")
{
	set_up(t, 1);
	expect_true(t, mempool_alloc(pool, GFP_ZERO) == NULL);
}

KTEST(mempool, guarantee_of_nothing, .expect_panic = "mempool: cannot guarantee 0 elements")
{
	expect_true(t, mempool_create(0, source_alloc, source_free, NULL) == NULL);
}

#ifdef IKOS_DEBUG
KTEST(mempool, double_free, .expect_panic = "mempool: double free: ")
{
	void *element;

	set_up(t, 2);
	element = mempool_alloc(pool, GFP_KERNEL);
	expect_true(t, mempool_alloc(pool, GFP_KERNEL) != NULL);
	mempool_free(element, pool);
	mempool_free(element, pool);
}

KTEST(mempool, free_after_it_left_the_pool, .expect_panic = "mempool: not outstanding: ")
{
	void *element;

	set_up(t, 1);
	source.nr_left = 2;
	element = mempool_alloc(pool, GFP_KERNEL);
	expect_true(t, mempool_alloc(pool, GFP_KERNEL) != NULL);
	mempool_free(element, pool);
	mempool_free(element, pool);
}

KTEST(mempool, element_of_another_pool, .expect_panic = "mempool: wrong pool: ")
{
	mempool_t *other;
	void *element;

	set_up(t, 1);
	source.nr_left = 1;
	other = mempool_create(1, source_alloc, source_free, NULL);
	element = mempool_alloc(pool, GFP_KERNEL);
	expect_true(t, mempool_alloc(other, GFP_KERNEL) != NULL);
	mempool_free(element, other);
}

KTEST(mempool, written_in_the_reserve, .expect_panic = "mempool: element ")
{
	uint8_t *element;

	pool = mempool_create_kmalloc(1, 200);
	assert_true(t, pool != NULL);
	mempool_set_faults(pool, 1, 1);
	element = mempool_alloc(pool, GFP_KERNEL);
	mempool_free(element, pool);
	element[199] = 0;
	expect_true(t, mempool_alloc(pool, GFP_KERNEL) == NULL);
}

KTEST(mempool, page_written_in_the_reserve, .expect_panic = "mempool: element ")
{
	struct page *page;

	pool = mempool_create_pages(1, 0);
	assert_true(t, pool != NULL);
	mempool_set_faults(pool, 1, 1);
	page = mempool_alloc(pool, GFP_KERNEL);
	mempool_free(page, pool);
	*(uint8_t *)page_to_virt(page) = 0;
	mempool_destroy(pool);
}
#endif

/* ---- Fixed pools ----------------------------------------------------------------------------- */

static struct fixed_pool *fixed;
static struct percpu_pool *percpu;

/* param: size of the elements. A random walk; each element holds its own address at both ends. */
KTEST(pools, fixed_against_a_model, .nr_params = 4, .budget_ms = 10000)
{
	static const size_t sizes[] = { 16, 40, 512, 3000 };
	static uint64_t *held[400];
	size_t size = sizes[t->param], last = size / 8 - 1;
	struct fixed_pool_stats stats;
	unsigned nr = 0;

	frames_before = page_allocator_nr_free();
	fixed = fixed_pool_create("test", size);
	assert_true(t, fixed != NULL);
	for (unsigned i = 0; i < 3000; i++) {
		unsigned j = (unsigned)prng_below(&t->prng, ARRAY_SIZE(held));

		if (j >= nr && nr < ARRAY_SIZE(held)) {
			held[nr] = fixed_pool_alloc(fixed);
			assert_true(t, held[nr] != NULL);
			held[nr][0] = held[nr][last] = (uintptr_t)held[nr];
			nr++;
		} else {
			assert_eq(t, held[j][0], (uintptr_t)held[j]);
			assert_eq(t, held[j][last], (uintptr_t)held[j]);
			fixed_pool_free(fixed, held[j]);
			held[j] = held[--nr];
		}
		if (i % 128 == 0)
			expect_eq(t, fixed_pool_check(fixed), 0);
	}
	fixed_pool_get_stats(fixed, &stats);
	expect_eq(t, stats.in_use, nr);
	expect_eq(t, fixed_pool_destroy(fixed), -EBUSY);
	while (nr > 0)
		fixed_pool_free(fixed, held[--nr]);
	expect_eq(t, fixed_pool_check(fixed), 0);
	expect_eq(t, fixed_pool_destroy(fixed), 0);
	expect_le(t, frames_before, page_allocator_nr_free() + KEPT_FRAMES);
}

KTEST(pools, fixed_double_free, .expect_panic = "fixed pool: double free")
{
	void *element;

	fixed = fixed_pool_create("test", 64);
	assert_true(t, fixed != NULL);
	element = fixed_pool_alloc(fixed);
	fixed_pool_free(fixed, element);
	fixed_pool_free(fixed, element);
}

KTEST(pools, fixed_inside_an_element, .expect_panic = "fixed pool: not the beginning")
{
	fixed = fixed_pool_create("test", 64);
	assert_true(t, fixed != NULL);
	fixed_pool_free(fixed, (uint8_t *)fixed_pool_alloc(fixed) + 8);
}

KTEST(pools, fixed_of_another_pool, .expect_panic = "fixed pool: wrong pool")
{
	fixed = fixed_pool_create("test", 64);
	assert_true(t, fixed != NULL);
	fixed_pool_free(fixed, fixed_pool_alloc(fixed_pool_create("other", 64)));
}

KTEST(pools, fixed_no_memory_at_all, .expect_panic = "fixed pool: wrong pool")
{
	fixed = fixed_pool_create("test", 64);
	assert_true(t, fixed != NULL);
	fixed_pool_free(fixed, (void *)0x1000);
}

/* ---- Arenas ---------------------------------------------------------------------------------- */

#define MAX_ALLOCS 600

KTEST(pools, arena_against_a_model, .budget_ms = 10000)
{
	static struct {
		uint8_t *memory;
		size_t size;
	} alloc[MAX_ALLOCS];
	struct arena_mark marks[4];
	unsigned at_mark[4], nr = 0, nr_marks = 0;
	struct bump_arena *arena;
	struct arena_stats stats;

	frames_before = page_allocator_nr_free();
	arena = arena_create("test");
	assert_true(t, arena != NULL);
	for (unsigned i = 0; i < 2000; i++) {
		unsigned kind = (unsigned)prng_below(&t->prng, 100);

		if (kind < 92 && nr < MAX_ALLOCS) {
			size_t size = 1 + prng_below(&t->prng, kind < 2 ? 20000 : 300);

			alloc[nr].memory = arena_alloc(arena, size, 1ul << kind % 7);
			assert_true(t, alloc[nr].memory != NULL);
			assert_eq(t, (uintptr_t)alloc[nr].memory % (1ul << kind % 7), 0);
			alloc[nr].size = size;
			memset(alloc[nr].memory, (int)(nr & 0xff), size);
			nr++;
		} else if (kind < 96 && nr_marks < ARRAY_SIZE(marks)) {
			marks[nr_marks] = arena_mark(arena);
			at_mark[nr_marks++] = nr;
		} else if (nr_marks > 0) {
			nr_marks--;
			for (; nr > at_mark[nr_marks]; nr--) {
				assert_eq(t, alloc[nr - 1].memory[0], (nr - 1) & 0xff);
				assert_eq(t, alloc[nr - 1].memory[alloc[nr - 1].size - 1],
					  (nr - 1) & 0xff);
			}
			arena_release_to(arena, marks[nr_marks]);
		}
		if (i % 64 == 0)
			expect_eq(t, arena_check(arena), 0);
	}
	arena_get_stats(arena, &stats);
	expect_eq(t, stats.allocs, nr);
	arena_release_all(arena);
	arena_get_stats(arena, &stats);
	expect_eq(t, stats.bytes, 0);
	arena_destroy(arena);
	expect_le(t, frames_before, page_allocator_nr_free() + KEPT_FRAMES);
}

KTEST(pools, arena_stale_mark, .expect_panic = "arena \"test\": stale mark")
{
	struct bump_arena *arena = arena_create("test");
	struct arena_mark mark;

	expect_true(t, arena_alloc(arena, 100, 8) != NULL);
	mark = arena_mark(arena);
	arena_release_all(arena);
	arena_release_to(arena, mark);
}

/* ---- Per-CPU pools --------------------------------------------------------------------------- */

#define SLOTS 48

static uint64_t *slot[SLOTS]; /* atomic: elements on their way between threads */

/* Put an element into a slot, and free what another thread left there. */
static void
exchange(void *arg)
{
	struct prng prng;

	prng_seed(&prng, (uintptr_t)arg);
	for (unsigned i = 0; i < 1500; i++) {
		uint64_t *mine = NULL, *other;

		if (prng_below(&prng, 8))
			mine = percpu_pool_alloc(percpu, GFP_KERNEL);
		if (mine)
			mine[0] = mine[3] = (uintptr_t)mine;
		other =
		    __atomic_exchange_n(&slot[prng_below(&prng, SLOTS)], mine, __ATOMIC_ACQ_REL);
		if (!other)
			continue;
		if (other[0] != (uintptr_t)other || other[3] != (uintptr_t)other)
			__atomic_add_fetch(&nr_wrong, 1, __ATOMIC_RELAXED);
		percpu_pool_free(percpu, other);
	}
}

/* param 0: as many as are wanted; 1: fewer than there are slots, so that CPUs must share */
KTEST(pools, percpu_on_all_cpus, .nr_params = 2, .budget_ms = 20000)
{
	size_t limit = t->param ? SLOTS * 3 / 4 : 0;
	struct percpu_pool_stats stats;

	frames_before = page_allocator_nr_free();
	percpu = percpu_pool_create("test", 32, limit);
	assert_true(t, percpu != NULL);
	run_load(t, exchange);
	for (unsigned i = 0; i < SLOTS; i++) {
		if (slot[i])
			percpu_pool_free(percpu, slot[i]);
		slot[i] = NULL;
	}
	percpu_pool_get_stats(percpu, &stats);
	expect_eq(t, stats.in_use, 0);
	expect_true(t, t->param || stats.nr_failed == 0);
	expect_eq(t, percpu_pool_check(percpu), 0);
	expect_eq(t, pools_check(), 0);
	expect_eq(t, percpu_pool_destroy(percpu), 0);
	expect_le(t, frames_before, page_allocator_nr_free() + KEPT_FRAMES);
}

/* What one CPU keeps does not make another one fail, if it may wait. */
KTEST(pools, percpu_recall)
{
	struct percpu_pool_stats stats;
	static void *held[100];

	percpu = percpu_pool_create("test", 32, ARRAY_SIZE(held));
	for (unsigned i = 0; i < ARRAY_SIZE(held); i++) {
		held[i] = percpu_pool_alloc(percpu, GFP_KERNEL);
		assert_true(t, held[i] != NULL);
	}
	expect_true(t, percpu_pool_alloc(percpu, GFP_KERNEL) == NULL);
	percpu_pool_get_stats(percpu, &stats);
	expect_eq(t, stats.nr_failed, 1);
	expect_eq(t, stats.nr_recalls, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(held); i++)
		percpu_pool_free(percpu, held[i]);
	expect_eq(t, percpu_pool_check(percpu), 0);
	percpu_pool_drain(percpu);
	percpu_pool_get_stats(percpu, &stats);
	expect_eq(t, stats.in_caches + stats.in_depot, 0);
	expect_eq(t, percpu_pool_destroy(percpu), 0);
}

#ifdef IKOS_DEBUG
KTEST(pools, percpu_double_free, .expect_panic = "percpu pool: double free")
{
	void *element;

	percpu = percpu_pool_create("test", 64, 0);
	assert_true(t, percpu != NULL);
	element = percpu_pool_alloc(percpu, GFP_KERNEL);
	percpu_pool_free(percpu, element);
	percpu_pool_free(percpu, element);
}

KTEST(pools, percpu_of_another_pool, .expect_panic = "percpu pool: wrong pool")
{
	percpu = percpu_pool_create("test", 64, 0);
	assert_true(t, percpu != NULL);
	percpu_pool_free(percpu, percpu_pool_alloc(percpu_pool_create("other", 64, 0), GFP_KERNEL));
}
#endif
