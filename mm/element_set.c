/* SPDX-License-Identifier: MIT */
/*
 * A set of pointers, which debug builds keep to know what a pool has given out.
 *
 * A hash table with open addressing: an element lies in the first slot, from the one that its
 * hash names onwards and around, that was free. Removing one leaves no gap in such a run:
 * those behind it that may move up do so. (Knuth, The Art of Computer Programming, vol. 3,
 * section 6.4, algorithms L and R)
 *
 *	slot      4     5     6     7
 *	holds     a     b     -     c        hash(a) = 4, hash(b) = 4, hash(c) = 7
 *
 * The set belongs to a check, and a check must not make requests fail that would succeed
 * without it. So an element for which the table has no room is only counted, and as many
 * unknown elements are believed when they are removed. The set is exact whenever untracked
 * is 0, which it is unless memory was short.
 *
 * INVARIANTS: at least one slot in eight is empty; no slot between an element's hash and its
 * place is empty.
 */
#include "element_set.h"

#include <errno.h>
#include <panic.h>

#include "pool_memory.h"

#define FIRST_SLOTS (PAGE_SIZE / sizeof(void *))

/* Fibonacci hashing (Knuth vol. 3, 6.4): the middle bits of a product. */
static size_t
hash(const struct element_set *set, const void *element)
{
	return ((uintptr_t)element * 0x9e3779b97f4a7c15ull) >> 32 & (set->nr_slots - 1);
}

static size_t
next(const struct element_set *set, size_t slot)
{
	return (slot + 1) & (set->nr_slots - 1);
}

/* The slot that holds the element, or the empty one where it would go. */
static size_t
find(const struct element_set *set, const void *element)
{
	size_t slot = hash(set, element);

	while (set->slot[slot] && set->slot[slot] != element)
		slot = next(set, slot);
	return slot;
}

void **
element_set_new_table(size_t nr_slots)
{
	return pool_memory_alloc(nr_slots * sizeof(void *), GFP_ZERO);
}

void
element_set_free_table(void **table, size_t nr_slots)
{
	pool_memory_free(table, nr_slots * sizeof(void *));
}

int
element_set_init(struct element_set *set)
{
	*set = (struct element_set){ .nr_slots = FIRST_SLOTS };
	set->slot = element_set_new_table(FIRST_SLOTS);
	return set->slot ? 0 : -ENOMEM;
}

void
element_set_fini(struct element_set *set)
{
	element_set_free_table(set->slot, set->nr_slots);
}

bool
element_set_crowded(const struct element_set *set)
{
	return set->nr * 2 >= set->nr_slots;
}

void **
element_set_install(struct element_set *set, void **table, size_t *nr_slots)
{
	void **old = set->slot;
	size_t old_slots = set->nr_slots;

	if (*nr_slots <= old_slots)
		return table; /* somebody else was faster */
	set->slot = table;
	set->nr_slots = *nr_slots;
	for (size_t i = 0; i < old_slots; i++) {
		if (old[i])
			table[find(set, old[i])] = old[i];
	}
	*nr_slots = old_slots;
	return old;
}

void
element_set_insert(struct element_set *set, void *element)
{
	size_t slot = find(set, element);

	if (set->slot[slot])
		return;
	if ((set->nr + 1) * 8 > set->nr_slots * 7) {
		set->untracked++;
		return;
	}
	set->slot[slot] = element;
	set->nr++;
}

/* Close the gap at slot: move up what may lie there, until the run ends. */
static void
close_gap(struct element_set *set, size_t gap)
{
	for (size_t slot = next(set, gap); set->slot[slot]; slot = next(set, slot)) {
		size_t home = hash(set, set->slot[slot]);

		/* It may move up unless its home lies behind the gap, in (gap, slot]. */
		if (((slot - home) & (set->nr_slots - 1)) < ((slot - gap) & (set->nr_slots - 1)))
			continue;
		set->slot[gap] = set->slot[slot];
		gap = slot;
	}
	set->slot[gap] = NULL;
}

bool
element_set_remove(struct element_set *set, void *element)
{
	size_t slot = find(set, element);

	if (set->slot[slot]) {
		close_gap(set, slot);
		set->nr--;
		return true;
	}
	if (set->untracked == 0)
		return false;
	set->untracked--;
	return true;
}

bool
element_set_has(const struct element_set *set, const void *element)
{
	return set->slot[find(set, element)] != NULL;
}
