/* SPDX-License-Identifier: MIT */
/*
 * Budgets: things of which some users together may have so many. What they have is counted by one
 * atomic word, so that no lock is needed to take the last one once only.
 */
#ifndef IKOS_BUDGET_H
#define IKOS_BUDGET_H

#include <types.h>

struct budget {
	size_t limit; /* (c) */
	size_t used;  /* (a) at most limit */
};

/* Take one. Returns false, and takes none, if all are taken. From any context. */
static inline bool __must_check
budget_take(struct budget *budget)
{
	size_t used = __atomic_load_n(&budget->used, __ATOMIC_RELAXED);

	do {
		if (used >= budget->limit)
			return false;
	} while (!__atomic_compare_exchange_n(&budget->used, &used, used + 1, false,
					      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return true;
}

/* Give back nr that were taken. From any context. */
static inline void
budget_give(struct budget *budget, size_t nr)
{
	__atomic_sub_fetch(&budget->used, nr, __ATOMIC_ACQ_REL);
}

static inline size_t
budget_used(const struct budget *budget)
{
	return __atomic_load_n(&budget->used, __ATOMIC_ACQUIRE);
}

#endif
