/* SPDX-License-Identifier: MIT */
/* What debug builds check beyond single locks: see lockdep.c. */
#ifndef LOCKDEP_H
#define LOCKDEP_H

#include <spinlock.h>

#ifdef IKOS_DEBUG
/* Panic if this CPU holds a spin lock. For what waits for other CPUs. Interrupts are off. */
void assert_no_locks_held(void);

/* Panic unless lock is the only one that this CPU holds. */
void assert_only_held(const spinlock_t *lock);

/* Panic if this CPU may not switch threads here. For what may sleep. */
void assert_may_sleep(const char *what);
#else
static inline void
assert_no_locks_held(void)
{
}

static inline void
assert_only_held(const spinlock_t *lock)
{
	(void)lock;
}

static inline void
assert_may_sleep(const char *what)
{
	(void)what;
}
#endif

#endif
