/* SPDX-License-Identifier: MIT */
/*
 * Locks to sleep for.
 *
 * Taking and releasing a lock that nobody else wants is one atomic instruction each. Who finds it
 * held has three ways to get it, tried in this order:
 *
 *	spin      For a moment, as it is mostly held for less time than going to sleep takes.
 *	sleep     Until it is released. But it is free from then on for everybody, and a thread that
 *	          runs is faster than one that is being woken: so no processor waits for a sleeper.
 *	be given  Who was woken in vain once says so, and then the lock is not set free when it is
 *	          released, but kept for the next sleeper that runs. So nobody waits for ever.
 *
 * To hand it over every time would be fair, too, but then each holder of a lock that several want
 * has to be woken first, and all of them go as slowly as threads can be switched ("convoy"; Blasgen
 * et al. 1979). Never to do so would let one thread that releases and takes it in a loop keep the
 * others out, above all where processors take turns, as in an emulator.
 *
 *	state   0          HELD        HELD | WAITERS        WAITERS
 *	        free       held        held, sleepers        free, a sleeper is on its way
 *
 * No wake-up is lost: who finds it held sets WAITERS and goes to sleep under mutex->lock, and to
 * release a lock with WAITERS takes mutex->lock, too.
 */
#include <mutex.h>
#include <percpu.h>

#define SPINS 40

void
mutex_init(struct mutex *mutex)
{
	*mutex = (struct mutex){ .state = 0 };
	spin_init(&mutex->lock, "mutex", RANK_MODULE);
	wait_queue_init(&mutex->waiters);
}

/* Take it, or else note that somebody waits. Returns whether it was taken. */
static bool
take_or_wait_locked(struct mutex *mutex)
{
	uint32_t now = __atomic_load_n(&mutex->state, __ATOMIC_RELAXED), next;

	assert_held(&mutex->lock);
	do
		next = now & MUTEX_HELD ? now | MUTEX_WAITERS : now | MUTEX_HELD;
	while (!__atomic_compare_exchange_n(&mutex->state, &now, next, false, __ATOMIC_ACQUIRE,
					    __ATOMIC_RELAXED));
	return !(now & MUTEX_HELD);
}

/* Sleep until woken. Returns whether the lock was kept for whoever is woken. */
static bool
sleep_locked(struct mutex *mutex, bool impatient)
{
	bool granted;

	mutex->nr_waiting++;
	mutex->nr_impatient += impatient;
	wait_on(&mutex->waiters, &mutex->lock);
	mutex->nr_waiting--;
	mutex->nr_impatient -= impatient;
	granted = mutex->granted;
	mutex->granted = false;
	return granted;
}

void
mutex_lock_slow(struct mutex *mutex)
{
	bool impatient = false;
	irqflags_t irq;

	for (unsigned i = 0; i < SPINS && nr_cpus > 1; i++) {
		if (mutex_try_lock(mutex))
			return;
		arch_cpu_relax();
	}
	irq = spin_lock_irqsave(&mutex->lock);
	while (!take_or_wait_locked(mutex) && !sleep_locked(mutex, impatient))
		impatient = true;
	/* It is ours, and who waits is known: nobody else changes the state now. */
	__atomic_store_n(&mutex->state, MUTEX_HELD | (mutex->nr_waiting > 0 ? MUTEX_WAITERS : 0),
			 __ATOMIC_RELAXED);
	spin_unlock_irqrestore(&mutex->lock, irq);
}

void
mutex_unlock_slow(struct mutex *mutex)
{
	irqflags_t irq = spin_lock_irqsave(&mutex->lock);

	DEBUG_ASSERT(mutex_is_held(mutex) && mutex->nr_waiting > 0 && !mutex->granted);
	if (mutex->nr_impatient > 0)
		mutex->granted = true;
	else
		__atomic_store_n(&mutex->state, MUTEX_WAITERS, __ATOMIC_RELEASE);
	wake_one(&mutex->waiters);
	spin_unlock_irqrestore(&mutex->lock, irq);
}
