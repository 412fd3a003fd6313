/* SPDX-License-Identifier: MIT */
/*
 * The seeded generator behind every randomised test: SplitMix64 (Steele, Lea and
 * Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014). The grader
 * has the same one, so both sides can unroll one seed into the same requests.
 */
#ifndef IKOS_PRNG_H
#define IKOS_PRNG_H

#include <types.h>

struct prng {
	uint64_t state;
};

static inline void
prng_seed(struct prng *prng, uint64_t seed)
{
	prng->state = seed;
}

static inline uint64_t
prng_next(struct prng *prng)
{
	uint64_t z = prng->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* A number in [0, bound), bound > 0; the small modulo bias does not matter to tests. */
static inline uint64_t
prng_below(struct prng *prng, uint64_t bound)
{
	return prng_next(prng) % bound;
}

#endif
