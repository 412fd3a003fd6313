/* SPDX-License-Identifier: MIT */
/*
 * Spin locks, checked (debug builds).
 *
 * A deadlock needs two CPUs to meet at the wrong moment, which a test may never see. The
 * rule that excludes it, however, is broken or kept by each CPU alone: it takes locks in
 * rising rank only. So every acquisition is checked against the locks that this CPU
 * already holds, and the first run through a wrong path panics, contended or not. Of the locks
 * of an array, which are of one rank, two may be held, the one of lower address taken first.
 *
 *	held locks of this CPU     buddy   sched, which is of higher rank
 *	may take                   what is of higher rank than sched
 *
 * The stack of held locks is per CPU and only touched with interrupts off, as is the
 * holder's mark in a lock; so neither needs a lock. Locks need not be released in the
 * order they were taken. sched_lock is taken by one thread and released by the next, but on
 * one CPU: which is why holders are CPUs.
 *
 * Sources: the rank discipline is Havender's ordered resources (IBM Systems Journal 7(2),
 * 1968).
 */
#ifdef IKOS_DEBUG

#include "lockdep.h"

#include <percpu.h>

#define MAX_HELD 16 /* ranks rise, and nobody takes more than two of an array */

_Static_assert(RANK_CONSOLE < MAX_HELD, "one lock of each rank must fit");

struct held_locks {
	spinlock_t *lock[MAX_HELD]; /* in the order taken; [0, depth) */
	unsigned depth;
};

static DEFINE_PER_CPU(struct held_locks, held_locks);

/* May the second be taken while the first is held? */
static bool
in_order(const spinlock_t *first, const spinlock_t *second)
{
	if (first->rank != second->rank)
		return first->rank < second->rank;
	return first->by_address && second->by_address && first < second;
}

void
spin_check_acquire(spinlock_t *lock)
{
	const struct held_locks *held = &this_cpu(held_locks);

	if (arch_irqs_enabled())
		panic("lock %s: taken with interrupts on", lock->name);
	for (unsigned i = 0; i < held->depth; i++) {
		if (held->lock[i] == lock)
			panic("lock %s: taken again by its holder, CPU %u", lock->name, cpu_id());
		if (!in_order(held->lock[i], lock))
			panic("lock order: %s (rank %u) taken while holding %s (rank %u)",
			      lock->name, lock->rank, held->lock[i]->name, held->lock[i]->rank);
	}
}

void
spin_note_acquired(spinlock_t *lock)
{
	struct held_locks *held = &this_cpu(held_locks);

	ASSERT_LT(held->depth, MAX_HELD);
	held->lock[held->depth++] = lock;
	__atomic_store_n(&lock->holder, (uint16_t)(cpu_id() + 1), __ATOMIC_RELAXED);
}

void
spin_check_release(spinlock_t *lock)
{
	struct held_locks *held = &this_cpu(held_locks);
	unsigned i = 0;

	if (lock->holder == 0)
		panic("lock %s: released by CPU %u, but nobody holds it", lock->name, cpu_id());
	if (!spin_held(lock))
		panic("lock %s: released by CPU %u, but CPU %u holds it", lock->name, cpu_id(),
		      lock->holder - 1u);
	if (arch_irqs_enabled())
		panic("lock %s: interrupts were turned on while it was held", lock->name);
	while (held->lock[i] != lock)
		i++;
	held->depth--;
	for (; i < held->depth; i++)
		held->lock[i] = held->lock[i + 1];
	__atomic_store_n(&lock->holder, 0, __ATOMIC_RELAXED);
}

/* A reader that is not the holder sees some other value, whichever: no order is needed. */
bool
spin_held(const spinlock_t *lock)
{
	return __atomic_load_n(&lock->holder, __ATOMIC_RELAXED) == cpu_id() + 1;
}

void
assert_no_locks_held(void)
{
	const struct held_locks *held = &this_cpu(held_locks);

	if (held->depth > 0)
		panic("lock %s: held while waiting for another CPU", held->lock[0]->name);
}

void
assert_only_held(const spinlock_t *lock)
{
	const struct held_locks *held = &this_cpu(held_locks);

	ASSERT(spin_held(lock));
	for (unsigned i = 0; i < held->depth; i++)
		if (held->lock[i] != lock)
			panic("lock %s: held while waiting for another thread",
			      held->lock[i]->name);
}

void
assert_may_sleep(const char *what)
{
	const struct held_locks *held = &this_cpu(held_locks);

	if (arch_irqs_enabled())
		return; /* then no lock is held: spin_check_release() */
	if (held->depth > 0)
		panic("lock %s: held in a call of %s()", held->lock[0]->name, what);
	panic("%s() called with interrupts off", what);
}

#endif
