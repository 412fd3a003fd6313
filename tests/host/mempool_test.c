/* SPDX-License-Identifier: MIT */
/* Memory pools, one thread: the guarantee, failures at every point, size, misuse. */
#include "host.h"
#include "machine.h"
#include "pool_source.h"

#include "../../mm/memory_pool_internal.h"

#include <arch.h>
#include <errno.h>
#include <memory_pool.h>
#include <pool_manager.h>
#include <string.h>

static struct source source;
static mempool_t *pool;

static struct mempool_stats
stats_now(void)
{
	struct mempool_stats stats;

	mempool_get_stats(pool, &stats);
	return stats;
}

/* A pool whose source gives what creation takes, and extra elements more. */
static void
set_up(int min_nr, unsigned extra)
{
	machine_start(MiB(8));
	source_reset(&source, extra == SOURCE_FOREVER ? extra : (unsigned)min_nr + extra);
	pool = mempool_create(min_nr, source_alloc, source_free, &source);
	CHECK(pool != NULL);
	CHECK_EQ(mempool_check(pool), 0);
}

static void
tear_down(void)
{
	CHECK_EQ(mempool_check(pool), 0);
	mempool_destroy(pool);
	CHECK_EQ(source.nr_away, 0);
	CHECK_EQ(source.nr_bad, 0);
	CHECK_EQ(machine_frames_taken(), 0);
}

/* With a source that gives nothing any more, minimum elements can be had, again and again. */
static void
guarantee(void)
{
	struct source_element *held[8];

	set_up(8, 0);
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 8; i++) {
			/* With leave to wait: would it wait, the test would fail. */
			held[i] = mempool_alloc(pool, i % 2 ? GFP_KERNEL : GFP_ATOMIC);
			CHECK(held[i] && held[i]->away);
			for (unsigned j = 0; j < i; j++)
				CHECK(held[j] != held[i]);
		}
		CHECK(mempool_alloc(pool, GFP_NOWAIT) == NULL);
		CHECK(mempool_alloc(pool, GFP_ATOMIC) == NULL);
		CHECK_EQ(mempool_check(pool), 0);
		for (unsigned i = 0; i < 8; i++)
			mempool_free(held[(i + round) % 8], pool);
		CHECK_EQ(stats_now().reserve, 8);
		CHECK_EQ(source.nr_away, 8);
	}
	CHECK_EQ(stats_now().nr_alloc, 800);
	CHECK_EQ(stats_now().nr_reserve, 800);
	CHECK_EQ(stats_now().nr_failed, 200);
	CHECK_EQ(stats_now().nr_waited, 0);
	mempool_free(NULL, pool);
	tear_down();
}

/* As long as the source gives, the reserve is not touched; what comes back refills it first. */
static void
refill_before_the_source(void)
{
	void *held[6];

	set_up(4, 2);
	for (unsigned i = 0; i < 6; i++)
		held[i] = mempool_alloc(pool, GFP_KERNEL);
	CHECK_EQ(source.gfp, GFP_NOWAIT);
	CHECK_EQ(stats_now().nr_reserve, 4);
	CHECK_EQ(stats_now().outstanding, 6);
	for (unsigned i = 0; i < 6; i++) {
		mempool_free(held[i], pool);
		CHECK_EQ(stats_now().reserve, MIN(i + 1, 4));
		CHECK_EQ(source.nr_away, 6 - (i > 4) - (i > 3));
	}
	source.nr_left = 1;
	held[0] = mempool_alloc(pool, GFP_ATOMIC);
	CHECK_EQ(source.gfp, GFP_ATOMIC);
	CHECK_EQ(stats_now().reserve, 4);
	mempool_free(held[0], pool);
	tear_down();
}

/* ---- Failures at every point ---------------------------------------------------------- */

#define MINIMUM 5

static void
creation_fails_at_every_point(void)
{
	unsigned made = 0, failed = 0;

	machine_start(MiB(8));
	for (unsigned left = 0; left < MINIMUM; left++) {
		source_reset(&source, left);
		CHECK(mempool_create(MINIMUM, source_alloc, source_free, &source) == NULL);
		CHECK_EQ(source.nr_calls, left + 1);
		CHECK_EQ(source.gfp, GFP_KERNEL);
		CHECK_EQ(source.nr_away, 0);
		CHECK_EQ(machine_frames_taken(), 0);
	}
	/* Its own tables: with 64 seeds, every combination of three requests fails. */
	for (unsigned seed = 0; seed < 64; seed++) {
		source_reset(&source, SOURCE_FOREVER);
		machine_set_faults(2, seed);
		pool = mempool_create(MINIMUM, source_alloc, source_free, &source);
		machine_set_faults(0, 0);
		if (pool) {
			made++;
			CHECK_EQ(mempool_check(pool), 0);
			mempool_destroy(pool);
		} else {
			failed++;
			CHECK_EQ(source.nr_calls, 0);
		}
		CHECK_EQ(source.nr_away, 0);
		CHECK_EQ(machine_frames_taken(), 0);
	}
	CHECK(made > 0 && failed > made);
	CHECK_EQ(pools_check(), 0);
}

static void
resizing_fails_at_every_point(void)
{
	struct mempool_stats before;
	size_t frames;
	void *held;

	set_up(MINIMUM, 0);
	held = mempool_alloc(pool, GFP_KERNEL);
	before = stats_now();
	frames = machine_frames_free();
	for (unsigned left = 0; left <= 7; left++) {
		struct mempool_stats after;

		source.nr_left = left < 7 ? left : 0;
		if (left == 7)
			machine_set_faults(1, 1); /* no table */
		CHECK_EQ(mempool_resize(pool, MINIMUM + 7), -ENOMEM);
		machine_set_faults(0, 0);
		after = stats_now();
		CHECK_EQ(memcmp(&before, &after, sizeof(before)), 0);
		CHECK_EQ(source.nr_away, MINIMUM);
		CHECK_EQ(machine_frames_free(), frames);
		CHECK_EQ(mempool_check(pool), 0);
	}
	source.nr_left = 7;
	CHECK_EQ(mempool_resize(pool, MINIMUM + 7), 0);
	CHECK_EQ(stats_now().minimum, MINIMUM + 7);
	CHECK_EQ(stats_now().reserve, MINIMUM + 6);
	mempool_free(held, pool);
	CHECK_EQ(stats_now().reserve, MINIMUM + 7);
	CHECK_EQ(mempool_resize(pool, 2), 0);
	CHECK_EQ(stats_now().reserve, 2);
	CHECK_EQ(source.nr_away, 2);
	tear_down();
}

/* ---- Size ----------------------------------------------------------------------------- */

/* Fill and empty the pool once, with a source that gives. */
static void
use(unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		mempool_free(mempool_alloc(pool, GFP_NOWAIT), pool);
}

static void
grows_on_demand_and_shrinks_without(void)
{
	void *held[16];

	set_up(4, 12);
	for (unsigned i = 0; i < 16; i++)
		held[i] = mempool_alloc(pool, GFP_NOWAIT);
	CHECK_EQ(stats_now().target, 4);
	CHECK(mempool_alloc(pool, GFP_NOWAIT) == NULL);
	/* Four are lent, and one more was asked for. */
	CHECK_EQ(stats_now().target, 5);
	CHECK(mempool_alloc(pool, GFP_NOWAIT) == NULL);
	CHECK_EQ(stats_now().target, 5);
	for (unsigned i = 0; i < 16; i++)
		mempool_free(held[i], pool);
	CHECK_EQ(stats_now().reserve, 5);
	CHECK_EQ(source.nr_away, 5);
	CHECK_EQ(stats_now().nr_grown, 1);

	/* The rest of this period and the whole of the next, in which nothing is needed. */
	source.nr_left = SOURCE_FOREVER;
	use(64 - 16);
	CHECK_EQ(stats_now().target, 5);
	use(63);
	CHECK_EQ(stats_now().target, 5);
	CHECK_EQ(stats_now().nr_shrunk, 0);
	use(1);
	CHECK_EQ(stats_now().target, 4);
	CHECK_EQ(stats_now().reserve, 4);
	CHECK_EQ(stats_now().nr_shrunk, 1);
	use(1000);
	CHECK_EQ(stats_now().target, 4);
	tear_down();
}

/* Demand that keeps rising takes the pool to its limit, 4 times the minimum, and no further. */
static void
growth_is_bounded(void)
{
	void *held[64];
	unsigned nr = 0;

	set_up(2, 40);
	for (unsigned round = 0; round < 20; round++) {
		unsigned left = source.nr_left;

		/* Borrow all there is of the reserve, ask once more, and give all back. */
		source.nr_left = 0;
		while ((held[nr] = mempool_alloc(pool, GFP_NOWAIT)))
			nr++;
		CHECK_EQ(stats_now().target, MIN(2 + round + 1, 8));
		source.nr_left = left;
		held[nr++] = mempool_alloc(pool, GFP_NOWAIT);
		CHECK(held[nr - 1] != NULL);
		while (nr > 0)
			mempool_free(held[--nr], pool);
		CHECK_EQ(mempool_check(pool), 0);
	}
	CHECK_EQ(stats_now().reserve, 8);
	CHECK_EQ(mempool_shrink(pool), 6);
	CHECK_EQ(stats_now().reserve, 2);
	CHECK_EQ(mempool_shrink(pool), 0);
	CHECK_EQ(stats_now().nr_shrunk, 6);
	tear_down();
}

static void
shrinking_all_pools(void)
{
	struct source other_source;
	mempool_t *other;
	void *held[3];

	set_up(2, 1);
	source_reset(&other_source, 2);
	other = mempool_create(2, source_alloc, source_free, &other_source);
	for (unsigned i = 0; i < 3; i++)
		held[i] = mempool_alloc(pool, GFP_NOWAIT);
	CHECK(mempool_alloc(pool, GFP_NOWAIT) == NULL);
	for (unsigned i = 0; i < 3; i++)
		mempool_free(held[i], pool);
	CHECK_EQ(stats_now().reserve, 3);
	CHECK_EQ(mempool_shrink_all(), 1);
	CHECK_EQ(mempool_shrink_all(), 0);
	CHECK_EQ(stats_now().reserve, 2);
	mempool_destroy(other);
	tear_down();
}

/* ---- Random use against a model --------------------------------------------------------- */

struct model {
	struct source_element *held[512];
	unsigned nr;
	uint64_t mark;
};

static void
model_alloc(struct model *model, struct prng *prng)
{
	unsigned minimum = (unsigned)stats_now().minimum, left = source.nr_left;
	struct source_element *element;
	/* It may only wait when it cannot come to that. */
	bool sure = model->nr < minimum || left > 0;

	element = mempool_alloc(pool, sure && prng_below(prng, 2) ? GFP_KERNEL : GFP_NOWAIT);
	if (!element) {
		CHECK(!sure);
		return;
	}
	CHECK(element->away);
	for (unsigned i = 0; i < model->nr; i++)
		CHECK(model->held[i] != element);
	element->mark = ++model->mark;
	model->held[model->nr++] = element;
}

static void
model_step(struct model *model, struct prng *prng)
{
	unsigned kind = (unsigned)prng_below(prng, 100);

	if (kind < 48 && model->nr < ARRAY_SIZE(model->held)) {
		model_alloc(model, prng);
	} else if (kind < 94 && model->nr > 0) {
		unsigned i = (unsigned)prng_below(prng, model->nr);

		mempool_free(model->held[i], pool);
		model->held[i] = model->held[--model->nr];
	} else if (kind < 96) {
		int minimum = 1 + (int)prng_below(prng, 20);

		if (mempool_resize(pool, minimum) == 0)
			CHECK_EQ(stats_now().minimum, (unsigned)minimum);
		else
			CHECK((unsigned)minimum > stats_now().minimum);
	} else if (kind < 98) {
		source.nr_left = prng_below(prng, 2) ? 0 : (unsigned)prng_below(prng, 50);
	} else if (kind == 98) {
		(void)mempool_shrink(pool);
	} else {
		mempool_set_faults(pool, prng_below(prng, 4), prng_next(prng));
		mempool_set_faults(pool, 0, 0);
	}
}

static void
against_a_model(void)
{
	static struct model model;
	struct prng prng;

	for (unsigned trace = 0; trace < 40 && !host_failed(); trace++) {
		prng_seed(&prng, host_seed * 1000 + trace);
		model.nr = 0;
		set_up(1 + (int)prng_below(&prng, 16), 20);
		for (unsigned i = 0; i < 1500 && !host_failed(); i++) {
			struct mempool_stats stats;

			model_step(&model, &prng);
			stats = stats_now();
			CHECK_EQ(stats.outstanding, model.nr);
			CHECK_EQ(source.nr_away, model.nr + stats.reserve);
			CHECK(model.nr + stats.reserve >= stats.minimum);
			if (i % 16 == 0)
				CHECK_EQ(mempool_check(pool), 0);
		}
		while (model.nr > 0)
			mempool_free(model.held[--model.nr], pool);
		tear_down();
	}
}

/* Injected faults make the reserve serve, and nothing else changes. */
static void
injected_faults(void)
{
	set_up(3, SOURCE_FOREVER);
	mempool_set_faults(pool, 3, host_seed);
	use(3000);
	CHECK(stats_now().nr_reserve > 800 && stats_now().nr_reserve < 1200);
	CHECK_EQ(stats_now().nr_failed, 0);
	mempool_set_faults(pool, 0, 0);
	tear_down();
}

/* ---- Misuse ------------------------------------------------------------------------------ */

static void *
free_it(void *element)
{
	mempool_free(element, pool);
	return element;
}

static void
do_free(void *element)
{
	(void)free_it(element);
}

static void
do_alloc(void *gfp)
{
	host_note("got %p", mempool_alloc(pool, (gfp_t)(uintptr_t)gfp));
}

static void
do_create(void *min_nr)
{
	host_note("made %p",
		  (void *)mempool_create((int)(intptr_t)min_nr, source_alloc, source_free, NULL));
}

static void
do_create_without(void *which)
{
	mempool_alloc_t *alloc_fn = which ? source_alloc : NULL;
	mempool_free_t *free_fn = which ? NULL : source_free;

	host_note("made %p", (void *)mempool_create(1, alloc_fn, free_fn, NULL));
}

static void
do_resize(void *min_nr)
{
	host_note("resized: %d", mempool_resize(pool, (int)(intptr_t)min_nr));
}

static void
check_panics(void (*fn)(void *), void *arg, const char *message)
{
	CHECK(!host_try(fn, arg, 1000));
	CHECK_NAMES(host_message, message);
	CHECK_EQ(mempool_check(pool), 0);
}

#ifdef IKOS_DEBUG
static void
do_destroy(void *arg)
{
	mempool_destroy(arg);
}

static void
do_alloc_irqs_off(void *gfp)
{
	(void)arch_irq_save();
	do_alloc(gfp);
}

static void
misuse(void)
{
	static struct source other_source;
	struct fixed_pool *other_kind;
	mempool_t *first;
	void *a, *b, *of_first, *in_first;

	set_up(2, 2);
	first = pool;
	of_first = mempool_alloc(pool, GFP_KERNEL);
	in_first = mempool_alloc(pool, GFP_KERNEL);
	free_it(in_first); /* to the source: the reserve is full */
	check_panics(do_free, in_first, "mempool: not outstanding: ");
	source.nr_left = 0;
	in_first = mempool_alloc(pool, GFP_KERNEL);
	free_it(in_first);
	check_panics(do_free, in_first, "mempool: double free: ");

	source_reset(&other_source, 3);
	pool = mempool_create(2, source_alloc, source_free, &other_source);
	a = mempool_alloc(pool, GFP_KERNEL);
	b = mempool_alloc(pool, GFP_KERNEL);
	check_panics(do_free, of_first, "mempool: wrong pool: ");
	check_panics(do_free, in_first, "mempool: wrong pool: ");
	other_kind = fixed_pool_create("other kind", 8); /* where nothing is looked for */
	check_panics(do_free, &pool, "mempool: not outstanding: ");
	CHECK_EQ(fixed_pool_destroy(other_kind), 0);
	free_it(a);
	free_it(b); /* to the source: the reserve was full again */
	check_panics(do_free, a, "mempool: double free: ");
	mempool_destroy(pool);
	pool = first;
	check_panics(do_alloc_irqs_off, NULL, "arch_irqs_enabled()");
	free_it(of_first);
	tear_down();
}

/* Have kmalloc() find nothing any more: no frames, and no object in its cache. */
static void
exhaust(size_t size)
{
	machine_set_faults(1, 1);
	while (kmalloc(size, GFP_NOWAIT))
		;
}

/* The first write after the free is found, at the latest when the element leaves the reserve. */
static void
poison(void)
{
	static const size_t at[] = { 0, 1, 63, 64, 99 };

	for (unsigned i = 0; i < 2 * ARRAY_SIZE(at); i++) {
		uint8_t *bytes;

		machine_start(MiB(8));
		pool = mempool_create_kmalloc(1, 100);
		exhaust(100);
		bytes = mempool_alloc(pool, GFP_KERNEL);
		CHECK(bytes != NULL);
		memset(bytes, 0xff, 100);
		free_it(bytes);
		CHECK_EQ(bytes[50], POISON_POOL_RESERVE);
		bytes[at[i / 2]] ^= 1;
		host_capture_begin();
		CHECK_EQ(mempool_check(pool), 1);
		host_capture_end();
		CHECK(!host_try(i % 2 ? do_alloc : do_destroy, i % 2 ? (void *)0 : pool, 1000));
		CHECK_NAMES(host_message, "written to while in the reserve");
		machine_set_faults(0, 0);
	}
	machine_start(MiB(8));
	pool = mempool_create_pages(1, 1);
	machine_set_faults(1, 1);
	{
		struct page *page = mempool_alloc(pool, GFP_KERNEL);

		free_it(page);
		*(uint8_t *)page_to_virt(page) = 0;
		CHECK(!host_try(do_alloc, NULL, 1000));
		CHECK_NAMES(host_message, "written to while in the reserve");
	}
	machine_set_faults(0, 0);
	machine_start(MiB(8));
	pool = mempool_create_kmalloc(2, 100);
	((uint8_t *)pool->reserve[1])[99] = 0;
	CHECK(!host_try(do_resize, (void *)1, 1000)); /* it leaves as surplus */
	CHECK_NAMES(host_message, "written to while in the reserve");
}

/*
 * Thousands outstanding, freed in random order: the set of them grows, or, without memory,
 * knows that it does not know all.
 */
static void
many_outstanding(void)
{
	static void *held[SOURCE_ELEMENTS - 64];
	struct prng prng;

	for (unsigned round = 0; round < 2; round++) {
		unsigned nr = ARRAY_SIZE(held);

		set_up(4, SOURCE_FOREVER);
		prng_seed(&prng, host_seed + round);
		machine_set_faults(round, 1);
		for (unsigned i = 0; i < nr; i++)
			held[i] = mempool_alloc(pool, GFP_NOWAIT);
		machine_set_faults(0, 0);
		CHECK_EQ(mempool_check(pool), 0);
		CHECK_EQ(pool->out.untracked > 0, round);
		check_panics(do_free, pool->reserve[0], "mempool: double free: ");
		if (round == 0)
			check_panics(do_free, &source.element[0].away, "mempool: not outstanding");
		while (nr > 0) {
			unsigned i = (unsigned)prng_below(&prng, nr);

			free_it(held[i]);
			held[i] = held[--nr];
			if (nr % 256 == 0)
				CHECK_EQ(mempool_check(pool), 0);
		}
		check_panics(do_free, &pool, "mempool: not outstanding");
		tear_down();
	}
}
#else
static void
misuse(void)
{
	set_up(2, 0);
	check_panics(do_free, &source.element[0], "mempool: double free: ");
	tear_down();
}

static void
poison(void)
{
}

static void
many_outstanding(void)
{
}
#endif

static void
impossible_requests(void)
{
	set_up(1, 0);
	check_panics(do_alloc, (void *)(uintptr_t)GFP_ZERO, "mempool: GFP_ZERO");
	check_panics(do_create, (void *)0, "mempool: cannot guarantee 0 elements");
	check_panics(do_create, (void *)-1, "mempool: cannot guarantee -1 elements");
	check_panics(do_create_without, NULL, "without functions that make and free them");
	check_panics(do_create_without, &pool, "without functions that make and free them");
	check_panics(do_resize, (void *)0, "mempool: cannot guarantee 0 elements");
	check_panics(do_resize, (void *)-1, "mempool: cannot guarantee -1 elements");
	CHECK(mempool_create(0x7fffffff, source_alloc, source_free, &source) == NULL);
	tear_down();
}

/* Nobody else is there to give an element back. */
static void
waiting_alone(void)
{
	void *element;

	set_up(1, 0);
	element = mempool_alloc(pool, GFP_KERNEL);
	CHECK(element != NULL);
	CHECK(!host_try(do_alloc, NULL, 1000));
	CHECK_NAMES(host_message, "no thread is left that could wake it");
}

static void
destroying_with_elements_out(void)
{
	void *element;

	set_up(3, 0);
	element = mempool_alloc(pool, GFP_KERNEL);
	host_capture_begin();
	mempool_destroy(pool);
	host_capture_end();
	CHECK_NAMES(host_output, "is not destroyed: 1 elements are outstanding");
	CHECK_EQ(stats_now().reserve, 2);
	mempool_free(element, pool);
	mempool_destroy(NULL);
	tear_down();
}

static void
elements_of_known_size(void)
{
	struct page *page;
	uint8_t *bytes;

	machine_start(MiB(8));
	pool = mempool_create_kmalloc(3, 5000);
	bytes = mempool_alloc(pool, GFP_KERNEL);
	memset(bytes, 0xff, 5000);
	mempool_free(bytes, pool);
	CHECK_EQ(mempool_resize(pool, 5), 0);
	tear_down();

	pool = mempool_create_pages(3, 2);
	page = mempool_alloc(pool, GFP_KERNEL);
	CHECK_EQ(page->order, 2);
	memset(page_to_virt(page), 0xff, 4 * PAGE_SIZE);
	mempool_free(page, pool);
	tear_down();
}

/* ---- The checker ------------------------------------------------------------------- */

static void
damage_is_found(void)
{
	struct mempool_waiter waiter = { .element = NULL };
	struct source_element *fresh, *lent;

	set_up(3, 1);
	fresh = mempool_alloc(pool, GFP_KERNEL);
	lent = mempool_alloc(pool, GFP_KERNEL);
	CHECK_FINDS(pool->reserve[1], NULL, pools_check(), "element != NULL");
	CHECK_FINDS(pool->reserve[1], pool->reserve[0], pools_check(), "reserve[j] != element");
	CHECK_FINDS(pool->nr_slots, 1, pools_check(), "pool->nr <= pool->nr_slots");
	CHECK_FINDS(pool->lent, 0, pools_check(), "pool->nr + pool->lent >= pool->minimum");
	CHECK_FINDS(pool->lent, 3, pools_check(), "pool->lent <= pool->stats.outstanding");
	CHECK_FINDS(pool->target, 2, pools_check(), "pool->minimum <= pool->target");
	CHECK_FINDS(pool->target, 13, pools_check(), "pool->target <= mempool_limit");
	CHECK_FINDS(pool->stats.waiting, 1, pools_check(), "waiting == pool->stats.waiting");
#ifdef IKOS_DEBUG
	CHECK_FINDS(pool->reserve[1], lent, pools_check(), "!element_set_has(&pool->out, element)");
	CHECK_FINDS(pool->stats.outstanding, 1, pools_check(), "== pool->stats.outstanding");
#endif
	CHECK_EQ(mempool_check(pool), 0);

	list_add_tail(&waiter.link, &pool->waiters);
	CHECK_FINDS(pool->stats.waiting, 1, pools_check(), "waiting == 0 || pool->nr == 0");
	CHECK_FINDS(waiter.element, fresh, pools_check(), "waiter->element == NULL");
	list_del(&waiter.link);
	mempool_free(fresh, pool);
	mempool_free(lent, pool);
	tear_down();
}

/* A reserve with more elements than slots would be copied over the end of the new one. */
static void
overfull_reserve(void)
{
	set_up(1, 5);
	pool->nr = 100;
	CHECK(!host_try(do_resize, (void *)2, 1000));
	CHECK_NAMES(host_message, "nr_slots");
	pool->lock.serving = pool->lock.next; /* the panic left it taken */
	pool->nr = 1;
	mempool_destroy(pool);
}

HOST_SUITE(mempool, { "guarantee", guarantee },
	   { "refill_before_the_source", refill_before_the_source },
	   { "creation_fails_at_every_point", creation_fails_at_every_point },
	   { "resizing_fails_at_every_point", resizing_fails_at_every_point },
	   { "grows_on_demand_and_shrinks_without", grows_on_demand_and_shrinks_without },
	   { "growth_is_bounded", growth_is_bounded },
	   { "shrinking_all_pools", shrinking_all_pools }, { "against_a_model", against_a_model },
	   { "injected_faults", injected_faults }, { "misuse", misuse }, { "poison", poison },
	   { "many_outstanding", many_outstanding }, { "impossible_requests", impossible_requests },
	   { "waiting_alone", waiting_alone },
	   { "destroying_with_elements_out", destroying_with_elements_out },
	   { "elements_of_known_size", elements_of_known_size },
	   { "damage_is_found", damage_is_found }, { "overfull_reserve", overfull_reserve });
