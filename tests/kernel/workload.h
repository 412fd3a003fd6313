/* SPDX-License-Identifier: MIT */
/* The random choices of the workloads that Linux was measured with: same generator and seeds. */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <types.h>

/* Knuth's MMIX generator; 31 bits of the new state. */
static inline uint32_t
draw(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

/* A random permutation of [0, n): Fisher and Yates, from the top. */
static inline void
shuffle(uint32_t *p, uint32_t n, uint64_t seed)
{
	for (uint32_t i = 0; i < n; i++)
		p[i] = i;
	for (uint32_t i = n - 1; i > 0; i--) {
		uint32_t j = draw(&seed) % (i + 1), other = p[i];

		p[i] = p[j];
		p[j] = other;
	}
}

#endif
