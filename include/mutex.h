/* SPDX-License-Identifier: MIT */
/*
 * Locks to sleep for: kernel/lib/mutex.c. For long stretches of a thread's work, which may
 * itself sleep. A thread takes one while it holds no spin lock; which mutexes it may hold
 * already, their owners say.
 */
#ifndef IKOS_MUTEX_H
#define IKOS_MUTEX_H

#include <panic.h>
#include <spinlock.h>
#include <thread.h>
#include <types.h>

/* In mutex->state; 0: it is free, and nobody waits. */
#define MUTEX_HELD    1u
#define MUTEX_WAITERS 2u /* somebody sleeps for it, or has just been woken */

/* (a) atomic   (l) lock */
struct mutex {
	uint32_t state; /* (a) MUTEX_WAITERS only changes under (l) */
	spinlock_t lock;
	struct wait_queue waiters; /* (l) */
	unsigned nr_waiting;	   /* (l) who sleep, or have been woken and did not run yet */
	unsigned nr_impatient;	   /* (l) of them, who were woken before, in vain */
	bool granted;		   /* (l) it is held for the next of them who runs */
};

#define MUTEX_INIT(ident)                                                                          \
	{                                                                                          \
		.lock = SPINLOCK_INIT("mutex", RANK_MODULE),                                       \
		.waiters = WAIT_QUEUE_INIT((ident).waiters)                                        \
	}

void mutex_init(struct mutex *mutex);

/* For the functions below. */
void mutex_lock_slow(struct mutex *mutex);
void mutex_unlock_slow(struct mutex *mutex);

/* Sleep until it is free, and take it. From a thread with interrupts on, without spin locks. */
static inline void
mutex_lock(struct mutex *mutex)
{
	uint32_t expected = 0;

	DEBUG_ASSERT(arch_irqs_enabled());
	if (unlikely(!__atomic_compare_exchange_n(&mutex->state, &expected, MUTEX_HELD, false,
						  __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
		mutex_lock_slow(mutex);
}

static inline void
mutex_unlock(struct mutex *mutex)
{
	uint32_t expected = MUTEX_HELD;

	if (unlikely(!__atomic_compare_exchange_n(&mutex->state, &expected, 0, false,
						  __ATOMIC_RELEASE, __ATOMIC_RELAXED)))
		mutex_unlock_slow(mutex);
}

/* Take it if it is free. Returns whether. */
static inline bool
mutex_try_lock(struct mutex *mutex)
{
	uint32_t now = __atomic_load_n(&mutex->state, __ATOMIC_RELAXED);

	return !(now & MUTEX_HELD) &&
	       __atomic_compare_exchange_n(&mutex->state, &now, now | MUTEX_HELD, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Does anybody hold it? For assertions. */
static inline bool
mutex_is_held(const struct mutex *mutex)
{
	return (__atomic_load_n(&mutex->state, __ATOMIC_RELAXED) & MUTEX_HELD) != 0;
}

#endif
