/* SPDX-License-Identifier: MIT */
/* A set of pointers, for checks: see element_set.c. */
#ifndef IKOS_MM_ELEMENT_SET_H
#define IKOS_MM_ELEMENT_SET_H

#include <types.h>

/* The owner's lock guards all of it. */
struct element_set {
	void **slot;	  /* nr_slots of them, NULL: empty */
	size_t nr_slots;  /* a power of two */
	size_t nr;	  /* elements in the table */
	size_t untracked; /* elements that belong to the set, but found no room in the table */
};

/* Make an empty set. Returns 0 or -ENOMEM. */
int element_set_init(struct element_set *set) __must_check;
void element_set_fini(struct element_set *set);

/*
 * Growing takes memory, for which the owner's lock cannot be held: when the set is crowded,
 * make a larger table without the lock, and install it with the lock. element_set_install()
 * returns the table that is of no use any more, for element_set_free_table(), and its size.
 */
bool element_set_crowded(const struct element_set *set);
void **element_set_new_table(size_t nr_slots);
void **element_set_install(struct element_set *set, void **table, size_t *nr_slots);
void element_set_free_table(void **table, size_t nr_slots);

/* Add an element that is not in the set. */
void element_set_insert(struct element_set *set, void *element);

/* Returns whether the element was there, as far as the set knows. */
bool element_set_remove(struct element_set *set, void *element);

/* Is the element in the table? */
bool element_set_has(const struct element_set *set, const void *element);

#endif
