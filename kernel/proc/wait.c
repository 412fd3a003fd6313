/* SPDX-License-Identifier: MIT */
/*
 * Waiting for something to happen.
 *
 * A wait queue holds the threads that sleep until a condition may have become true; it
 * knows nothing of the condition, which the caller's lock guards:
 *
 *	sleeper                                 waker
 *	flags = spin_lock_irqsave(&lock)        flags = spin_lock_irqsave(&lock)
 *	while (!condition)                      condition = true
 *		wait_on(&queue, &lock)          spin_unlock_irqrestore(&lock, flags)
 *	spin_unlock_irqrestore(&lock, flags)    wake_one(&queue)
 *
 * That no wake-up is lost in between is shown at the top of sched.c. The loop is needed
 * because a third thread may have used the condition up before the sleeper runs again.
 * Waiters are served first come, first served. (Hoare 1974; Lampson and Redell 1980 for
 * the loop)
 *
 * A sleep that can be interrupted ends for one of three reasons, whichever is first: a wake-up,
 * its time, or thread_interrupt(). The first takes the thread out of both queues it is in, so the
 * others do not find it any more. An interruption is remembered in the thread, under the same
 * lock, so one that comes just before the sleep prevents it.
 */
#include <errno.h>
#include <panic.h>
#include <percpu.h>
#include <smp.h>

#include "proc.h"

void
wait_queue_init(struct wait_queue *queue)
{
	list_init(&queue->waiters);
}

void
wait_locked(struct wait_queue *queue)
{
	struct thread *thread = thread_current();

	assert_held(&sched_lock);
	thread->state = THREAD_ASLEEP;
	thread->queued = true;
	list_add_tail(&thread->link, &queue->waiters);
	sched_switch_locked();
}

int
wait_until_locked(struct wait_queue *queue, uint64_t until)
{
	struct thread *thread = thread_current();

	assert_held(&sched_lock);
	if (thread->interrupted)
		return -ERESTARTSYS;
	if (until != WAIT_FOREVER)
		sched_add_sleeper_locked(thread, until);
	thread->interruptible = true;
	thread->woken = 0;
	wait_locked(queue);
	thread->interruptible = false;
	return thread->woken;
}

void
wait_on(struct wait_queue *queue, spinlock_t *lock)
{
	assert_held(lock);
	spin_lock(&sched_lock);
	spin_unlock(lock); /* a waker now has to wait for sched_lock */
	wait_locked(queue);
	spin_unlock(&sched_lock);
	spin_lock(lock);
}

int
wait_on_until(struct wait_queue *queue, spinlock_t *lock, uint64_t until)
{
	int woken;

	assert_held(lock);
	spin_lock(&sched_lock);
	spin_unlock(lock);
	woken = wait_until_locked(queue, until);
	spin_unlock(&sched_lock);
	spin_lock(lock);
	return woken;
}

void
thread_interrupt(struct thread *thread)
{
	irqflags_t flags = spin_lock_irqsave(&sched_lock);

	thread->interrupted = true;
	if (thread->state == THREAD_ASLEEP && thread->interruptible)
		sched_wake_locked(thread, -ERESTARTSYS);
	else if (thread->state == THREAD_RUNNING && thread->cpu != cpu_id())
		smp_reschedule(thread->cpu); /* on its way back to user mode it will see it */
	spin_unlock_irqrestore(&sched_lock, flags);
}

void
thread_clear_interrupt(struct thread *thread)
{
	irqflags_t flags = spin_lock_irqsave(&sched_lock);

	thread->interrupted = false;
	spin_unlock_irqrestore(&sched_lock, flags);
}

static bool
wake_first_locked(struct wait_queue *queue)
{
	struct thread *thread;

	assert_held(&sched_lock);
	if (list_empty(&queue->waiters))
		return false;
	thread = list_first_entry(&queue->waiters, struct thread, link);
	sched_wake_locked(thread, 0);
	return true;
}

void
wake_all_locked(struct wait_queue *queue)
{
	assert_held(&sched_lock);
	while (wake_first_locked(queue))
		;
}

void
wake_one(struct wait_queue *queue)
{
	irqflags_t flags = spin_lock_irqsave(&sched_lock);

	(void)wake_first_locked(queue);
	spin_unlock_irqrestore(&sched_lock, flags);
}

void
wake_all(struct wait_queue *queue)
{
	irqflags_t flags = spin_lock_irqsave(&sched_lock);

	wake_all_locked(queue);
	spin_unlock_irqrestore(&sched_lock, flags);
}
