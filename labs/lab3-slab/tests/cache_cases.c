/* SPDX-License-Identifier: MIT */
/* Lab 3, graded cases: caches and their slabs, without anything between them and the caller. */
#include "lab.h"

/* A size from [1, max], and an alignment that is often none. */
static void
random_cache(struct lab *lab, unsigned i, size_t max, slab_flags_t flags)
{
	struct prng *prng = &lab->t->prng;
	size_t size = 1 + prng_below(prng, max);
	size_t align = prng_below(prng, 3) ? 0 : 8ul << prng_below(prng, 8);

	lab3_cache(lab, i, size, align, flags, NULL);
}

/* The grader looks at what each cache says of itself, and where its first object lies. */
KTEST(slab, geometry)
{
	static const size_t most[] = { 64, 256, 1024, KMEM_MAX_SIZE };
	struct lab *lab = lab3_begin(t);

	for (unsigned i = 0; i < 48; i++) {
		random_cache(lab, i, most[i % 4], BARE);
		lab3_alloc(lab, i, i, GFP_KERNEL);
	}
}

/* Random requests to caches of random shapes: each object is its holder's, whole. */
KTEST(slab, objects)
{
	struct lab *lab = lab3_begin(t);

	for (unsigned i = 0; i < 4; i++)
		random_cache(lab, i, 8ul << 3 * i, BARE);
	lab3_trace(lab, 3000, 400, 4);
	for (unsigned i = 0; i < 4; i++)
		lab3_check(lab, i);
	lab3_free_at_random(lab, 200);
	lab3_trace(lab, 1000, 400, 4);
}

/* The same with what CPUs hold ready in between, and cleared when that was asked for. */
KTEST(slab, zeroed)
{
	struct lab *lab = lab3_begin(t);

	for (unsigned i = 0; i < 3; i++)
		random_cache(lab, i, 600, i == 0 ? BARE : i == 1 ? PLAIN : GUARDED);
	for (unsigned i = 0; i < 1200; i++) {
		unsigned slot = (unsigned)prng_below(&t->prng, 150);

		if (lab->slot[slot].object)
			lab3_free(lab, slot);
		else
			lab3_alloc(lab, slot, slot % 3, prng_below(&t->prng, 2) ? GFP_ZERO : 0);
	}
}

/* Slabs are used up to their last object, and all frames come back. */
KTEST(slab, exhaustion)
{
	struct lab *lab = lab3_begin(t);
	unsigned nr;

	lab3_settle(lab);
	random_cache(lab, 0, 600, BARE);
	for (unsigned slabs = 1; slabs <= 3; slabs++) {
		nr = slabs * lab->cache[0]->nr_objects;
		assert_le(t, nr + 1, LAB_SLOTS);
		for (unsigned slot = 0; slot < nr; slot++) {
			if (!lab->slot[slot].object)
				lab3_alloc(lab, slot, 0, GFP_KERNEL);
		}
		lab3_slabs(lab, 0);
	}
	lab3_alloc(lab, nr, 0, GFP_KERNEL);
	lab3_slabs(lab, 0);
	lab3_check(lab, 0);
	lab3_free_at_random(lab, nr + 1);
	lab3_slabs(lab, 0);
	lab3_check(lab, 0);
	lab3_destroy(lab, 0);
	lab3_settle(lab);
}

/*
 * Slabs in use come first, then those that are empty, and only then new frames; some empty
 * slabs are kept, so that a few calls at the edge of one do not cost frames again and again.
 */
KTEST(slab, slabs_in_use_first)
{
	struct lab *lab = lab3_begin(t);
	unsigned nr;

	random_cache(lab, 0, 400, BARE);
	nr = 8 * lab->cache[0]->nr_objects;
	nr = MIN(nr, LAB_SLOTS);
	for (unsigned slot = 0; slot < nr; slot++)
		lab3_alloc(lab, slot, 0, GFP_KERNEL);
	for (unsigned slot = 0; slot < nr; slot++) {
		if (prng_below(&t->prng, 2))
			lab3_free(lab, slot);
	}
	lab3_trace(lab, 1500, nr, 1);
	lab3_free_all(lab);
	lab3_frames(lab);
	for (unsigned i = 0; i < 100; i++) {
		lab3_alloc(lab, 0, 0, GFP_KERNEL);
		lab3_free(lab, 0);
	}
	lab3_frames(lab);
	lab3_slabs(lab, 0);
	lab3_alloc(lab, 0, 0, GFP_KERNEL);
}

/* ---- Constructors ------------------------------------------------------------------------- */

static uint64_t nr_built;

static void
build(void *object)
{
	uint64_t *word = object;

	*word = 0x5eed000000000000ul + nr_built++;
	evidence_log(EV_CTOR, 0, (uintptr_t)object, *word, 0);
}

/* Run once for each object, which keeps what that gave it. */
KTEST(slab, constructor)
{
	struct lab *lab = lab3_begin(t);
	size_t size = 8 + 8 * prng_below(&t->prng, 60);
	uint64_t *held[150] = { NULL };

	nr_built = 0;
	lab3_cache(lab, 0, size, 0, PLAIN, build);
	for (unsigned i = 0; i < 1500; i++) {
		unsigned slot = (unsigned)prng_below(&t->prng, ARRAY_SIZE(held));

		if (held[slot]) {
			evidence_log(EV_FREE, 0, (uintptr_t)held[slot], (uintptr_t)lab->cache[0],
				     0);
			kmem_cache_free(lab->cache[0], held[slot]);
			held[slot] = NULL;
			continue;
		}
		held[slot] = kmem_cache_alloc(lab->cache[0], GFP_KERNEL);
		evidence_log(EV_ALLOC, 0, (uintptr_t)held[slot], (uintptr_t)lab->cache[0], 0);
		assert_true(t, held[slot] != NULL);
		evidence_log(EV_WORD, 0, (uintptr_t)held[slot], *held[slot], 0);
	}
	lab3_check(lab, 0);
}

/* ---- Colours ------------------------------------------------------------------------------ */

/* The first objects of slabs that follow each other lie in different cache lines. */
KTEST(slab, colours)
{
	static const size_t sizes[] = { 96, 328, 456, 712, 904, 1360 };
	struct lab *lab = lab3_begin(t);
	unsigned slot = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t align = prng_below(&t->prng, 2) ? 0 : 8ul << prng_below(&t->prng, 4);

		lab3_cache(lab, i, sizes[i] + 8 * prng_below(&t->prng, 8), align, BARE, NULL);
		for (unsigned k = 5 * lab->cache[i]->nr_objects; k > 0 && slot < LAB_SLOTS; k--)
			lab3_alloc(lab, slot++, i, GFP_KERNEL);
	}
}

/* ---- Giving memory back ------------------------------------------------------------------- */

/* Whatever no object in use lies in goes back, and nothing else. */
KTEST(slab, shrink)
{
	struct lab *lab = lab3_begin(t);
	size_t size = 64 + prng_below(&t->prng, 400);

	lab3_cache(lab, 0, size, 0, PLAIN, NULL);
	for (unsigned round = 0; round < 4; round++) {
		lab3_frames(lab);
		for (unsigned slot = 0; slot < 600; slot++) {
			if (!lab->slot[slot].object)
				lab3_alloc(lab, slot, 0, GFP_KERNEL);
		}
		/* All but a few that are together, in slabs of theirs as far as can be. */
		for (unsigned slot = 0; slot < 600; slot++) {
			if (slot / 60 != round || prng_below(&t->prng, 8) == 0)
				lab3_free(lab, slot);
		}
		lab3_slabs(lab, 0);
		lab3_shrink(lab, 0);
		lab3_slabs(lab, 0);
		lab3_frames(lab);
		lab3_check(lab, 0);
	}
}

/* A cache with objects in use stays, and works, until it has none. */
KTEST(slab, destroy)
{
	struct lab *lab = lab3_begin(t);
	unsigned kept = (unsigned)prng_below(&t->prng, 100);

	lab3_settle(lab);
	for (unsigned i = 0; i < 3; i++)
		random_cache(lab, i, 500, i == 0 ? BARE : i == 1 ? PLAIN : GUARDED);
	lab3_trace(lab, 800, 100, 3);
	if (!lab->slot[kept].object)
		lab3_alloc(lab, kept, kept % 3, GFP_KERNEL);
	lab3_destroy(lab, kept % 3);
	lab3_destroy(lab, kept % 3);
	lab3_trace(lab, 400, 100, 3);
	for (unsigned i = 0; i < 3; i++)
		lab3_check(lab, i);
	if (!lab->slot[kept].object)
		lab3_alloc(lab, kept, kept % 3, GFP_KERNEL);
	lab3_destroy(lab, kept % 3);
	lab3_free_all(lab);
	for (unsigned i = 0; i < 3; i++)
		lab3_destroy(lab, i);
	lab3_settle(lab);
	kmem_cache_destroy(NULL);
}

static void
construct_nothing(void *object)
{
	(void)object;
}

/* Two caches with one use become one; the grader knows which may. */
KTEST(slab, merging)
{
	static const slab_flags_t flags[] = {
		SLAB_NO_PROTECTION,
		SLAB_NO_PROTECTION,
		SLAB_NO_PROTECTION,
		SLAB_NO_PROTECTION | SLAB_NO_MERGE,
		SLAB_NO_PROTECTION | SLAB_NO_MAGAZINES,
		SLAB_CHECK,
	};
	struct lab *lab = lab3_begin(t);
	size_t base = 24 + 8 * prng_below(&t->prng, 40);

	lab3_settle(lab);
	for (unsigned i = 0; i < 40; i++) {
		struct prng *prng = &t->prng;
		unsigned kind = (unsigned)prng_below(prng, 8);
		size_t size = base - prng_below(prng, 16);
		size_t align = prng_below(prng, 2) ? 0 : 8ul << prng_below(prng, 3);

		lab3_cache(lab, i, size, align, flags[kind % ARRAY_SIZE(flags)],
			   kind == 7 ? construct_nothing : NULL);
		lab3_alloc(lab, i, i, GFP_KERNEL);
	}
	/* Destroyed as often as made, each is gone with the last of its users. */
	for (unsigned i = 0; i < 40; i++) {
		lab3_free(lab, i);
		lab3_destroy(lab, i);
	}
	lab3_settle(lab);
}
