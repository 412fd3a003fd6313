/* SPDX-License-Identifier: MIT */
/*
 * Locks to sleep for.
 *
 * One word with three states, so that taking and releasing a lock that nobody else wants is one
 * atomic instruction each, and a release looks for sleepers only if there may be some:
 *
 *	          lock                 lock, by somebody else
 *	FREE  ----------->  HELD  -------------------------->  CONTENDED
 *	  ^                  |  release                            |  release, wake one
 *	  +------------------+-------------------------------------+
 *
 * Who has slept takes it as CONTENDED, as others may still be asleep. (Drepper, "Futexes Are
 * Tricky", 2011, mutex 2)
 *
 * No wake-up is lost: a thread writes CONTENDED and goes to sleep under mutex->lock, and whoever
 * releases a mutex that was CONTENDED takes that lock before it wakes. Not fair: a thread that
 * runs may be faster than the one that was woken.
 */
#include <mutex.h>

void
mutex_init(struct mutex *mutex)
{
	mutex->state = MUTEX_FREE;
	spin_init(&mutex->lock, "mutex", RANK_MODULE);
	wait_queue_init(&mutex->waiters);
}

void
mutex_lock_slow(struct mutex *mutex)
{
	irqflags_t irq = spin_lock_irqsave(&mutex->lock);

	while (__atomic_exchange_n(&mutex->state, MUTEX_CONTENDED, __ATOMIC_ACQUIRE) != MUTEX_FREE)
		wait_on(&mutex->waiters, &mutex->lock);
	spin_unlock_irqrestore(&mutex->lock, irq);
}

void
mutex_wake(struct mutex *mutex)
{
	irqflags_t irq = spin_lock_irqsave(&mutex->lock);

	wake_one(&mutex->waiters);
	spin_unlock_irqrestore(&mutex->lock, irq);
}
