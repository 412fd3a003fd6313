/* SPDX-License-Identifier: MIT */
/* Lab 3, graded cases: what the protection sees, and that it sees nothing else. */
#include "lab.h"
#include <string.h>

#define ZONE 64 /* bytes on each side of an object */

/* Change one byte, ask slab_check() whether it sees that, and put it back. */
static void
probe(struct lab *lab, unsigned slot, long offset)
{
	volatile uint8_t *byte = lab->slot[slot].object + offset;
	uint8_t before = *byte;
	unsigned nr_wrong;

	lab3_misuse(lab, slot, (const void *)byte, 1);
	*byte = before ^ (uint8_t)(1u << prng_below(&lab->t->prng, 8));
	nr_wrong = slab_check(lab->slot[slot].cache);
	*byte = before;
	evidence_log(EV_CHECK, 0, nr_wrong, (uint64_t)offset, before);
	expect_eq(lab->t, nr_wrong, 1);
}

/* Every byte within 64 of an object, before and after, of objects of all sizes. */
KTEST(slab, red_zones)
{
	static const size_t most[] = { 16, 64, 300, 2000 };
	struct lab *lab = lab3_begin(t);

	for (unsigned i = 0; i < 4; i++) {
		lab3_cache(lab, i, 1 + prng_below(&t->prng, most[i]), 0, GUARDED, NULL);
		for (unsigned slot = 0; slot < 6; slot++)
			lab3_alloc(lab, 6 * i + slot, i, GFP_KERNEL);
		for (unsigned k = 0; k < 16; k++) {
			unsigned slot = 6 * i + (unsigned)prng_below(&t->prng, 6);
			long distance = (long)prng_below(&t->prng, ZONE);

			probe(lab, slot, -1 - distance);
			probe(lab, slot, (long)lab->size[i] + distance);
		}
		lab3_check(lab, i);
	}
}

/* Every byte of an object that is free. */
KTEST(slab, poison)
{
	struct lab *lab = lab3_begin(t);

	for (unsigned i = 0; i < 3; i++) {
		size_t size = 1 + prng_below(&t->prng, 40ul << 3 * i);

		lab3_cache(lab, i, size, 0, GUARDED, NULL);
		for (unsigned slot = 0; slot < 8; slot++)
			lab3_alloc(lab, 8 * i + slot, i, GFP_KERNEL);
		for (unsigned slot = 0; slot < 4; slot++) {
			struct lab_slot old = lab->slot[8 * i + slot];

			lab3_free(lab, 8 * i + slot);
			lab->slot[100] = old;
			for (unsigned k = 0; k < 6; k++)
				probe(lab, 100, (long)prng_below(&t->prng, size));
			lab->slot[100].object = NULL;
		}
		lab3_check(lab, i);
	}
}

/* Protection of all kinds finds nothing wrong with 50,000 right calls. */
KTEST(slab, no_false_alarm, .budget_ms = 20000)
{
	struct lab *lab = lab3_begin(t);

	lab3_cache(lab, 0, 1 + prng_below(&t->prng, 60), 0, GUARDED, NULL);
	lab3_cache(lab, 1, 1 + prng_below(&t->prng, 300), 64, GUARDED, NULL);
	lab3_cache(lab, 2, 1 + prng_below(&t->prng, 100), 0, CHECKED, NULL);
	for (unsigned i = 0; i < 5; i++) {
		lab3_trace(lab, 6000, 900, 3);
		lab3_free_at_random(lab, 300);
		lab3_check(lab, i % 3);
		if (i == 2)
			lab3_shrink(lab, 0);
		lab3_free_all(lab);
		lab3_kmalloc_trace(lab, 3500, 300, 500);
		lab3_free_all(lab);
	}
	expect_eq(t, slab_check_all(), 0);
}

/* Sizes with protection of kmalloc(): exact, also of large objects. */
KTEST(slab, guarded_kmalloc)
{
	struct lab *lab = lab3_begin(t);

	lab3_kmalloc_trace(lab, 2500, 200, 20000);
	for (unsigned i = 0; i < 500; i++) {
		unsigned slot = (unsigned)prng_below(&t->prng, 100);
		size_t align = 1ul << prng_below(&t->prng, 13);

		if (lab->slot[slot].object)
			lab3_krealloc(lab, slot, lab3_random_size(t, 20000), GFP_KERNEL);
		else
			lab3_kmalloc_aligned(lab, slot, lab3_random_size(t, 9000), align, 0);
	}
	expect_eq(t, slab_check_all(), 0);
}

/* An object that was freed rests while many others are freed. */
KTEST(slab, quarantine)
{
	struct lab *lab = lab3_begin(t);

	lab3_cache(lab, 0, 1 + prng_below(&t->prng, 200), 0, GUARDED, NULL);
	lab3_cache(lab, 1, 2000 + prng_below(&t->prng, 3000), 0, GUARDED, NULL);
	for (unsigned i = 0; i < 3000; i++) {
		unsigned slot = (unsigned)prng_below(&t->prng, 60);

		if (lab->slot[slot].object)
			lab3_free(lab, slot);
		else
			lab3_alloc(lab, slot, slot % 6 == 0, GFP_KERNEL);
	}
}

/* Who allocated and freed an object. */
KTEST(slab, history)
{
	struct lab *lab = lab3_begin(t);

	lab3_cache(lab, 0, 1 + prng_below(&t->prng, 500), 0, GUARDED, NULL);
	for (unsigned i = 0; i < 200; i++) {
		unsigned slot = (unsigned)prng_below(&t->prng, 30);
		struct lab_slot before = lab->slot[slot];

		if (before.object) {
			lab3_free(lab, slot);
			evidence_log(EV_SITE, 0, (uintptr_t)before.object,
				     heap_alloc_site(before.object), heap_free_site(before.object));
		} else {
			lab3_alloc(lab, slot, 0, GFP_KERNEL);
			evidence_log(EV_SITE, 1, (uintptr_t)lab->slot[slot].object,
				     heap_alloc_site(lab->slot[slot].object),
				     heap_free_site(lab->slot[slot].object));
		}
	}
}
