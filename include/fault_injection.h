/* SPDX-License-Identifier: MIT */
/*
 * Making requests fail on purpose, so that the paths that handle a shortage are run.
 * Either a share of them, seeded: the same seed fails the same requests. Or a certain one, so that
 * a test can have each of the requests of an operation fail in turn.
 */
#ifndef IKOS_FAULT_INJECTION_H
#define IKOS_FAULT_INJECTION_H

#include <prng.h>
#include <types.h>

struct fault_injector {
	uint64_t every; /* one request in every, on average, fails; 0: none */
	uint64_t nth;	/* not 0: the nth from now on fails instead, and then none */
	struct prng prng;
	uint64_t nr_injected;
};

/* The owner's lock guards the injector. */
static inline void
fault_set(struct fault_injector *faults, uint64_t every, uint64_t seed)
{
	faults->every = every;
	faults->nth = 0;
	faults->nr_injected = 0;
	prng_seed(&faults->prng, seed);
}

/* The nth request from now on fails, and no other; 0: none. */
static inline void
fault_set_nth(struct fault_injector *faults, uint64_t nth)
{
	faults->every = nth > 0;
	faults->nth = nth;
}

static inline bool
fault_strikes(struct fault_injector *faults)
{
	if (likely(faults->every == 0))
		return false;
	if (faults->nth > 0) {
		if (--faults->nth > 0)
			return false;
		faults->every = 0;
	} else if (prng_below(&faults->prng, faults->every) != 0) {
		return false;
	}
	faults->nr_injected++;
	return true;
}

#endif
