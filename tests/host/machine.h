/* SPDX-License-Identifier: MIT */
/* A made-up machine with the whole memory manager on it, for tests of what is built on frames. */
#ifndef MACHINE_H
#define MACHINE_H

#include <types.h>

/* Start mm_init() on size bytes of memory; no pool is left of what was before. */
void machine_start(uint64_t size);

/* Frames that are free now. */
size_t machine_frames_free(void);

/* Make one request for frames in every fail; 0: none. */
void machine_set_faults(uint64_t every, uint64_t seed);

#endif
