/* SPDX-License-Identifier: MIT */
/* Random numbers that are the same everywhere for a seed: xorshift64* (Marsaglia; Vigna 2016). */
#ifndef USER_RANDOM_H
#define USER_RANDOM_H

#include <stdint.h>

struct random {
	uint64_t state;
};

static inline struct random
random_of(uint64_t seed)
{
	/* The state is never 0, and seeds that follow each other are far apart. */
	return (struct random){ (seed + 1) * 0x9e3779b97f4a7c15 | 1 };
}

static inline uint64_t
random_next(struct random *random)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return random->state * 0x2545f4914f6cdd1d;
}

/* From 0 to end - 1. */
static inline unsigned
random_below(struct random *random, unsigned end)
{
	return (random_next(random) >> 32) * end >> 32;
}

#endif
