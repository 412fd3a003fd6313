/* SPDX-License-Identifier: MIT */
/*
 * Locks to sleep for, fair ones.
 *
 * One word with three states, so that taking and releasing a lock that nobody else wants is one
 * atomic instruction each, and a release looks for sleepers only if there are some:
 *
 *	          lock                 lock, by somebody else
 *	FREE  ----------->  HELD  -------------------------->  CONTENDED
 *	  ^                  |                                     |
 *	  +--- release ------+ <---- release to the last waiter ---+ release to the next waiter
 *
 * (Drepper, "Futexes Are Tricky", 2011, for the states.) A lock that is contended is not set free,
 * but handed to who has waited longest. If it were free, a thread that releases it and takes
 * it again at once would always be faster than one that has to be woken, and where processors
 * take turns, as in an emulator, the other might wait for ever.
 *
 * No wake-up is lost: who finds it held writes CONTENDED and goes to sleep under mutex->lock, and
 * to release a contended mutex takes that lock, too.
 */
#include <mutex.h>

void
mutex_init(struct mutex *mutex)
{
	mutex->state = MUTEX_FREE;
	spin_init(&mutex->lock, "mutex", RANK_MODULE);
	wait_queue_init(&mutex->waiters);
	mutex->nr_waiting = 0;
	mutex->granted = false;
}

/* It is ours, or becomes its next holder's: what it is besides depends on who waits. */
static void
set_held_locked(struct mutex *mutex)
{
	assert_held(&mutex->lock);
	__atomic_store_n(&mutex->state, mutex->nr_waiting > 0 ? MUTEX_CONTENDED : MUTEX_HELD,
			 __ATOMIC_RELEASE);
}

void
mutex_lock_slow(struct mutex *mutex)
{
	irqflags_t irq = spin_lock_irqsave(&mutex->lock);

	if (__atomic_exchange_n(&mutex->state, MUTEX_CONTENDED, __ATOMIC_ACQUIRE) == MUTEX_FREE) {
		set_held_locked(mutex);
	} else {
		mutex->nr_waiting++;
		do
			wait_on(&mutex->waiters, &mutex->lock);
		while (!mutex->granted);
		mutex->granted = false;
	}
	spin_unlock_irqrestore(&mutex->lock, irq);
}

void
mutex_unlock_slow(struct mutex *mutex)
{
	irqflags_t irq = spin_lock_irqsave(&mutex->lock);

	DEBUG_ASSERT(mutex_is_held(mutex) && mutex->nr_waiting > 0 && !mutex->granted);
	mutex->nr_waiting--;
	mutex->granted = true;
	set_held_locked(mutex);
	wake_one(&mutex->waiters);
	spin_unlock_irqrestore(&mutex->lock, irq);
}
