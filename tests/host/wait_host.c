/* SPDX-License-Identifier: MIT */
/*
 * Waiting on the host: the part of <thread.h> that mm/ uses, between the threads that play
 * CPUs. Here a CPU whose thread waits does nothing else, but it answers other CPUs.
 *
 *	queue: waiter (on the stack of the thread that waits) - waiter - ...
 *	       woken is set, under the lock, by who takes the waiter off the queue
 *
 * Waiters are woken in the order in which they came, as in the kernel. No wake-up is lost: a
 * thread is on the queue before it releases the lock that guards its condition.
 *
 * When every thread that plays a CPU waits, nobody is left who could wake one: the wait ends
 * in a panic instead of a hang. A test of one thread thus fails at its first wait.
 */
#include <panic.h>
#include <percpu.h>
#include <thread.h>

#include "host.h"

int usleep(unsigned us); /* of the C library; its unistd.h has declarations of its own */

#define SPINS_BEFORE_SLEEP 100
#define NAP_US		   50

struct waiter {
	struct list_head link; /* (w) */
	bool woken;	       /* (w), read without it by the thread that waits */
};

/* (w) Guards all wait queues, as sched_lock does in the kernel. */
static spinlock_t wait_lock = SPINLOCK_INIT("wait", RANK_SCHED);
static unsigned nr_waiting; /* (w) threads on a queue */

void
wait_queue_init(struct wait_queue *queue)
{
	list_init(&queue->waiters);
}

/* Take the waiter off its queue and panic if all that could wake it wait as well. */
static void
check_deadlock(struct waiter *waiter)
{
	irqflags_t flags = spin_lock_irqsave(&wait_lock);
	bool hopeless = !waiter->woken && nr_waiting >= host_cpus_played();

	if (hopeless) {
		list_del(&waiter->link);
		nr_waiting--;
	}
	spin_unlock_irqrestore(&wait_lock, flags);
	if (hopeless)
		panic("wait: CPU %u waits, and no thread is left that could wake it", cpu_id());
}

void
wait_on(struct wait_queue *queue, spinlock_t *lock)
{
	struct waiter waiter = { .woken = false };
	unsigned spins = 0;

	assert_held(lock);
	spin_lock(&wait_lock);
	list_add_tail(&waiter.link, &queue->waiters);
	nr_waiting++;
	spin_unlock(&wait_lock);
	spin_unlock(lock);

	/* Another thread would run here, with interrupts on. */
	arch_irq_enable();
	while (!__atomic_load_n(&waiter.woken, __ATOMIC_ACQUIRE)) {
		check_deadlock(&waiter);
		thread_yield();
		if (++spins > SPINS_BEFORE_SLEEP)
			usleep(NAP_US);
	}
	arch_irq_disable();
	spin_lock(lock);
}

/* Returns whether there was one. */
static bool
wake_first(struct wait_queue *queue)
{
	irqflags_t flags = spin_lock_irqsave(&wait_lock);
	bool found = !list_empty(&queue->waiters);

	if (found) {
		struct waiter *waiter = list_first_entry(&queue->waiters, struct waiter, link);

		list_del(&waiter->link);
		nr_waiting--;
		/* From here on its thread may leave wait_on(), and the waiter is no more. */
		__atomic_store_n(&waiter->woken, true, __ATOMIC_RELEASE);
	}
	spin_unlock_irqrestore(&wait_lock, flags);
	return found;
}

void
wake_one(struct wait_queue *queue)
{
	(void)wake_first(queue);
}

void
wake_all(struct wait_queue *queue)
{
	while (wake_first(queue))
		;
}

void
thread_yield(void)
{
	ASSERT(arch_irqs_enabled());
	arch_cpu_relax();
}

void
thread_sleep_ns(uint64_t ns)
{
	uint64_t us = (ns + 999) / 1000;

	/* In naps, so that other CPUs need not wait for an answer. */
	for (; us > 0; us -= MIN(us, NAP_US)) {
		usleep((unsigned)MIN(us, NAP_US));
		thread_yield();
	}
}

/* A host's thread is known by an address of its own. */
struct thread *
thread_current(void)
{
	static __thread char me;

	return (struct thread *)&me;
}
