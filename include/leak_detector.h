/* SPDX-License-Identifier: MIT */
/* Finding objects that nobody can reach any more: mm/leak_detector.c. */
#ifndef IKOS_LEAK_DETECTOR_H
#define IKOS_LEAK_DETECTOR_H

#include <types.h>

/* An object in use that no pointer leads to. */
struct leak {
	const void *object;
	size_t size;	      /* bytes, for its user */
	const char *cache;    /* its cache, or "large" */
	uintptr_t alloc_site; /* who allocated it, 0: not known (see mm.heap_protection) */
};

/*
 * Look at all of the heap, and call found(leak, arg) for each leak, in rising order of
 * addresses, with the world going on again. Returns how many there are, or -ENOMEM when there
 * is no room for the books. From a thread that holds no spin lock; all CPUs stand still for as
 * long as it takes, some 20 instructions for each word of memory that can hold pointers.
 */
int leak_scan(void (*found)(const struct leak *leak, void *arg), void *arg);

#endif
