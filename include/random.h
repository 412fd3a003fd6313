/* SPDX-License-Identifier: MIT */
/* Random numbers that nobody can predict, unless seed= was given: kernel/proc/user/random.c. */
#ifndef IKOS_RANDOM_H
#define IKOS_RANDOM_H

#include <types.h>

/* Fill size bytes. From any context that may take a spin lock. */
void random_bytes(void *to, size_t size);
uint64_t random_u64(void);

#endif
