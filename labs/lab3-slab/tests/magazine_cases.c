/* SPDX-License-Identifier: MIT */
/* Lab 3, graded cases: what CPUs hold ready, alone and at the same time. */
#include "lab.h"
#include <percpu.h>
#include <thread.h>

/* ---- One CPU ------------------------------------------------------------------------------ */

/* Log how often this CPU's magazine was exchanged with the slabs, and how large it is. */
static void
log_magazine(const struct lab *lab)
{
	const struct magazine *magazine = lab->cache[0]->magazine[0];

	evidence_log(EV_MAGAZINE, 0, magazine->nr_refill + magazine->nr_flush, magazine->capacity,
		     magazine->nr);
}

/* Runs of allocations and runs of frees, of random lengths. */
static void
swing(struct lab *lab, unsigned runs, unsigned slots, unsigned longest)
{
	unsigned held = 0;

	while (lab->slot[held].object)
		held++;
	for (unsigned run = 0; run < runs; run++) {
		unsigned length = 1 + (unsigned)prng_below(&lab->t->prng, longest);

		for (; length > 0 && run % 2 == 0 && held < slots; length--)
			lab3_alloc(lab, held++, 0, GFP_KERNEL);
		for (; length > 0 && run % 2 == 1 && held > 0; length--)
			lab3_free(lab, --held);
	}
}

/*
 * A magazine grows with use, holds no more than it has room for, and goes to the slabs for
 * many objects at a time: also when calls swing to and fro around one point.
 */
KTEST(slab, magazine)
{
	struct lab *lab = lab3_begin(t);

	lab3_cache(lab, 0, 16 + prng_below(&t->prng, 240), 0, PLAIN, NULL);
	lab3_alloc(lab, LAB_SLOTS - 1, 0, GFP_KERNEL);
	log_magazine(lab);
	swing(lab, 150, 600, 80);
	lab3_free_all(lab);
	log_magazine(lab);
	swing(lab, 400, 600, 3);
	log_magazine(lab);
	swing(lab, 61, 600, 80);
	log_magazine(lab);
	lab3_check(lab, 0);
}

/* Where all objects are: with callers, in magazines, in slabs. */
KTEST(slab, statistics)
{
	struct lab *lab = lab3_begin(t);
	slab_flags_t flags[] = { BARE, PLAIN, CHECKED };
	struct slab_stats stats;

	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++)
		lab3_cache(lab, i, 8 + prng_below(&t->prng, 1000), 0, flags[i], NULL);
	lab3_trace(lab, 3000, 600, ARRAY_SIZE(flags));
	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		lab3_check(lab, i);
		slab_get_stats(lab->cache[i], &stats);
		evidence_log(EV_STATS, 0, stats.nr_in_use, stats.nr_held, stats.nr_free);
		evidence_log(EV_STATS, 1, stats.nr_alloc, stats.nr_objects, stats.bytes);
	}
}

/* ---- Several CPUs ------------------------------------------------------------------------- */

#define NR_WORKERS 8 /* two on each CPU, so that one interrupts the other */
#define ROUNDS	   1250
#define SWEPT	   800 /* of them: all slots in turn, so that magazines fill up and run dry */
#define HELD	   100

static struct worker {
	struct lab *lab;
	struct prng prng;
	unsigned errors;
	struct lab_slot held[HELD];
} workers[NR_WORKERS];

static void
worker_alloc(struct worker *self, struct lab_slot *slot, unsigned cache)
{
	kmem_cache_t *from = self->lab->cache[cache];
	size_t size = self->lab->size[cache];
	uint8_t *object = kmem_cache_alloc(from, GFP_KERNEL);

	evidence_log(EV_ALLOC, 0, (uintptr_t)object, (uintptr_t)from, 0);
	if (!object) {
		self->errors++;
		return;
	}
	for (size_t i = 0; i < size; i++)
		object[i] = (uint8_t)(self - workers + 1);
	*slot = (struct lab_slot){ object, (uint32_t)size, 0, from };
}

static void
worker_free(struct worker *self, struct lab_slot *slot)
{
	self->errors += !lab3_is_filled(slot->object, (uint8_t)(self - workers + 1), slot->size);
	evidence_log(EV_FREE, 0, (uintptr_t)slot->object, (uintptr_t)slot->cache, 0);
	kmem_cache_free(slot->cache, slot->object);
	slot->object = NULL;
}

static void
work(void *arg)
{
	struct worker *self = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned at = i < SWEPT ? i % HELD : (unsigned)prng_below(&self->prng, HELD);

		if (self->held[at].object)
			worker_free(self, &self->held[at]);
		else
			worker_alloc(self, &self->held[at], at % 3);
	}
	for (unsigned at = 0; at < HELD; at++) {
		if (self->held[at].object)
			worker_free(self, &self->held[at]);
	}
}

static struct thread *
start(struct lab *lab, void (*entry)(void *), unsigned i)
{
	struct thread *thread;

	workers[i] = (struct worker){ .lab = lab };
	prng_seed(&workers[i].prng, prng_next(&lab->t->prng));
	thread = thread_create("worker", entry, &workers[i], (int)(i % nr_cpus));
	assert_true(lab->t, thread != NULL);
	return thread;
}

static void
join(struct lab *lab, struct thread **threads)
{
	for (unsigned i = 0; i < NR_WORKERS; i++) {
		thread_join(threads[i]);
		expect_eq(lab->t, workers[i].errors, 0);
	}
}

/* All CPUs at once, preempted at places that the seed chooses. */
KTEST(slab, smp_stress, .min_cpus = 2, .budget_ms = 10000)
{
	struct lab *lab = lab3_begin(t);
	struct thread *threads[NR_WORKERS];

	lab3_cache(lab, 0, 8 + prng_below(&t->prng, 120), 0, PLAIN, NULL);
	/* Of a size whose magazines stay small. */
	lab3_cache(lab, 1, 513 + prng_below(&t->prng, 200), 0, PLAIN, NULL);
	lab3_cache(lab, 2, 1 + prng_below(&t->prng, 100), 0, BARE, NULL);
	sched_fuzz_ticks(300, 2000, t->seed);
	for (unsigned i = 0; i < NR_WORKERS; i++)
		threads[i] = start(lab, work, i);
	join(lab, threads);
	sched_fuzz_ticks(0, 0, 0);
	/* All of it has come back. Some is taken again, for the grader to look at. */
	for (unsigned i = 0; i < 3; i++) {
		lab3_check(lab, i);
		lab3_shrink(lab, i);
		lab3_slabs(lab, i);
		for (unsigned k = 0; k < 30; k++)
			lab3_alloc(lab, 30 * i + k, i, GFP_KERNEL);
	}
}

/* What one CPU allocates and another frees: a ring of objects on their way. */
#define RING   64
#define PASSED 1000

static struct {
	spinlock_t lock;
	void *object[RING];
	unsigned put, got;
} ring;

static void
pass_on(struct worker *self, bool produce)
{
	kmem_cache_t *cache = self->lab->cache[0];

	for (unsigned nr = 0; nr < PASSED;) {
		void *object = produce ? kmem_cache_alloc(cache, GFP_KERNEL) : NULL;
		irqflags_t flags;
		bool done = false;

		if (produce)
			evidence_log(EV_ALLOC, 0, (uintptr_t)object, (uintptr_t)cache, 0);
		while (!done) {
			flags = spin_lock_irqsave(&ring.lock);
			if (produce && ring.put - ring.got < RING) {
				ring.object[ring.put++ % RING] = object;
				done = true;
			} else if (!produce && ring.put != ring.got) {
				object = ring.object[ring.got++ % RING];
				done = true;
			}
			spin_unlock_irqrestore(&ring.lock, flags);
			if (!done)
				thread_yield();
		}
		nr++;
		if (!produce) {
			evidence_log(EV_FREE, 0, (uintptr_t)object, (uintptr_t)cache, 0);
			kmem_cache_free(cache, object);
		}
	}
}

static void
pass_objects(void *arg)
{
	struct worker *self = arg;

	pass_on(self, (self - workers) % 2 == 0);
}

/* Objects that end on another CPU do not pile up there: memory stays in bounds. */
KTEST(slab, remote_free, .min_cpus = 2, .budget_ms = 10000)
{
	struct lab *lab = lab3_begin(t);
	struct thread *threads[NR_WORKERS];

	lab3_cache(lab, 0, 64 + prng_below(&t->prng, 400), 0, PLAIN, NULL);
	spin_init(&ring.lock, "ring", RANK_TEST);
	ring.put = ring.got = 0;
	for (unsigned i = 0; i < NR_WORKERS; i++)
		threads[i] = start(lab, pass_objects, i);
	join(lab, threads);
	lab3_slabs(lab, 0);
	lab3_check(lab, 0);
	lab3_shrink(lab, 0);
	lab3_slabs(lab, 0);
}

static void
fill_magazine(void *arg)
{
	struct worker *self = arg;

	for (unsigned i = 0; i < HELD; i++)
		worker_alloc(self, &self->held[i], 0);
	for (unsigned i = 0; i < HELD; i++)
		worker_free(self, &self->held[i]);
}

/* When memory is short, what the CPUs hold ready goes back, and the frames with it. */
KTEST(slab, reclaim, .min_cpus = 2)
{
	struct lab *lab = lab3_begin(t);
	struct thread *threads[NR_WORKERS];
	size_t nr_frames;

	lab3_cache(lab, 0, 200 + prng_below(&t->prng, 600), 0, PLAIN, NULL);
	for (unsigned i = 0; i < NR_WORKERS; i++)
		threads[i] = start(lab, fill_magazine, i);
	join(lab, threads);
	lab3_slabs(lab, 0);
	lab3_frames(lab);
	nr_frames = slab_reclaim(SIZE_MAX);
	evidence_log(EV_SHRINK, 0, nr_frames, 0, 0);
	lab3_frames(lab);
	lab3_slabs(lab, 0);
}
