/* SPDX-License-Identifier: MIT */
/* A made-up machine with the whole memory manager on it, for tests of what is built on frames. */
#ifndef MACHINE_H
#define MACHINE_H

#include <types.h>

/* Start mm_init() on size bytes of memory; no pool is left of what was before. */
void machine_start(uint64_t size);

/*
 * Frames that are free, once all caches have given back what they can: so those are taken that
 * objects in use lie in. From a thread with interrupts on.
 */
size_t machine_frames_free(void);

/* Frames that were free when the machine started, and are not now. */
size_t machine_frames_taken(void);

/* Make one request for frames in every fail; 0: none. */
void machine_set_faults(uint64_t every, uint64_t seed);

#endif
