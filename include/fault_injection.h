/* SPDX-License-Identifier: MIT */
/*
 * Making requests fail on purpose, so that the paths that handle a shortage are run.
 * Seeded: the same seed fails the same requests.
 */
#ifndef IKOS_FAULT_INJECTION_H
#define IKOS_FAULT_INJECTION_H

#include <prng.h>
#include <types.h>

struct fault_injector {
	uint64_t every; /* one request in every, on average, fails; 0: none */
	struct prng prng;
	uint64_t nr_injected;
};

/* The owner's lock guards the injector. */
static inline void
fault_set(struct fault_injector *faults, uint64_t every, uint64_t seed)
{
	faults->every = every;
	faults->nr_injected = 0;
	prng_seed(&faults->prng, seed);
}

static inline bool
fault_strikes(struct fault_injector *faults)
{
	if (likely(faults->every == 0) || prng_below(&faults->prng, faults->every) != 0)
		return false;
	faults->nr_injected++;
	return true;
}

#endif
