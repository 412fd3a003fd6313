/* SPDX-License-Identifier: MIT */
/* Lab 3, graded cases: memory by the byte. */
#include "lab.h"

/* The class of every size that is a little below, at, or a little above that of a class. */
KTEST(slab, size_classes)
{
	struct lab *lab = lab3_begin(t);
	unsigned slot = 0;

	for (unsigned i = 0; i < 600; i++) {
		size_t size = i < 300 ? 1 + i : lab3_random_size(t, KMEM_MAX_SIZE);
		unsigned class = size_class(size);

		evidence_log(EV_CLASS, (uint32_t)size, class,
			     class < NR_SIZE_CLASSES ? size_of_class(class) : 0, 0);
	}
	for (unsigned class = 0; class < NR_SIZE_CLASSES; class ++) {
		for (int more = -1; more <= 1; more++) {
			size_t size = size_of_class(class) + (size_t)more;

			if (size <= KMEM_MAX_SIZE)
				lab3_kmalloc(lab, slot++, size, GFP_KERNEL);
		}
	}
	for (unsigned i = 0; i < 200; i++)
		lab3_kmalloc(lab, slot++, 1 + prng_below(&t->prng, KMEM_MAX_SIZE), GFP_KERNEL);
}

/* Sizes of all kinds, each object its holder's, freed with and without its size. */
KTEST(slab, kmalloc)
{
	struct lab *lab = lab3_begin(t);

	lab3_kmalloc_trace(lab, 5000, 500, 20000);
	for (unsigned i = 0; i < 200; i++) {
		unsigned slot = 1000 + (unsigned)prng_below(&t->prng, 40);

		if (lab->slot[slot].object)
			lab3_free(lab, slot);
		else
			lab3_kmalloc(lab, slot, lab3_random_size(t, 20000), GFP_ZERO);
	}
}

KTEST(slab, aligned)
{
	struct lab *lab = lab3_begin(t);

	for (unsigned i = 0; i < 800; i++) {
		unsigned slot = (unsigned)prng_below(&t->prng, 250);
		size_t align = 1ul << prng_below(&t->prng, 15);

		if (lab->slot[slot].object && slot % 2)
			lab3_kfree_sized(lab, slot);
		else if (lab->slot[slot].object)
			lab3_free(lab, slot);
		else
			lab3_kmalloc_aligned(lab, slot, lab3_random_size(t, 20000), align, 0);
	}
}

/* Nothing, and more than there is. */
KTEST(slab, limits)
{
	static const size_t impossible[] = { 1ul << 46, 1ul << 62, SIZE_MAX - PAGE_SIZE, SIZE_MAX };
	struct lab *lab = lab3_begin(t);

	lab3_settle(lab);
	for (unsigned i = 0; i < 4; i++)
		lab3_kmalloc(lab, i, 0, i % 2 ? GFP_ZERO : 0);
	lab3_kmalloc_aligned(lab, 4, 0, 64, 0);
	lab3_free_all(lab);
	kfree(NULL);
	kfree_sized(NULL, 0);
	lab->may_fail = true;
	for (unsigned i = 0; i < ARRAY_SIZE(impossible); i++) {
		lab3_kmalloc(lab, 0, impossible[i] - prng_below(&t->prng, 2), GFP_KERNEL);
		lab3_kmalloc_aligned(lab, 0, impossible[i], 8192, GFP_KERNEL);
	}
	lab->may_fail = false;
	lab3_kmalloc(lab, 0, KMEM_MAX_SIZE, GFP_KERNEL);
	lab3_kmalloc(lab, 1, KMEM_MAX_SIZE + 1, GFP_KERNEL);
	lab3_kmalloc(lab, 2, 1, GFP_KERNEL);
	lab3_free_all(lab);
	lab3_settle(lab);
}

/* Beyond the largest class: frames of their own, exactly as many as needed. */
KTEST(slab, large)
{
	struct lab *lab = lab3_begin(t);

	lab3_frames(lab);
	for (unsigned i = 0; i < 60; i++) {
		size_t size = KMEM_MAX_SIZE + 1 + prng_below(&t->prng, 100000);

		lab3_kmalloc(lab, i, size, GFP_KERNEL);
		lab3_frames(lab);
		if (prng_below(&t->prng, 2)) {
			lab3_free(lab, (unsigned)i);
			lab3_frames(lab);
		}
	}
}

/* Contents stay, whether the object moves or not. */
KTEST(slab, realloc)
{
	struct lab *lab = lab3_begin(t);

	for (unsigned i = 0; i < 1500; i++) {
		unsigned slot = (unsigned)prng_below(&t->prng, 100);
		size_t size = prng_below(&t->prng, 12) ? lab3_random_size(t, 30000) : 0;

		if (lab->slot[slot].object)
			lab3_krealloc(lab, slot, size, GFP_KERNEL);
		else if (size != 0 && prng_below(&t->prng, 2))
			lab3_kmalloc(lab, slot, size, GFP_KERNEL);
		else if (size != 0)
			lab3_krealloc(lab, slot, size, GFP_KERNEL);
	}
}
