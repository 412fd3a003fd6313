/* SPDX-License-Identifier: MIT */
/* Waiting between threads: in order, nothing lost, and an end where nobody is left to wake. */
#include "host.h"

#include <arch.h>
#include <panic.h>
#include <percpu.h>
#include <thread.h>

#define NR_THREADS 4
#define NR_ROUNDS  2000

static spinlock_t lock = SPINLOCK_INIT("test", RANK_TEST);
static struct wait_queue queue = WAIT_QUEUE_INIT(queue);

/* (l) lock */
static unsigned came[NR_THREADS * NR_ROUNDS], nr_came;	   /* (l) in order of arrival */
static unsigned served[NR_THREADS * NR_ROUNDS], nr_served; /* (l) in order of service */
static bool ready[NR_THREADS];				   /* (l) */
static unsigned nr_left;				   /* (l) threads that go on waiting */

static void
wait_in_line(unsigned cpu)
{
	for (unsigned i = 0; i < NR_ROUNDS; i++) {
		irqflags_t flags = spin_lock_irqsave(&lock);

		came[nr_came++] = cpu;
		while (!ready[cpu])
			wait_on(&queue, &lock);
		ready[cpu] = false;
		ASSERT(!arch_irqs_enabled());
		spin_unlock_irqrestore(&lock, flags);
	}
	__atomic_sub_fetch(&nr_left, 1, __ATOMIC_RELAXED);
}

/* Wake the first, whoever that is according to our own list. */
static void
serve(void)
{
	while (__atomic_load_n(&nr_left, __ATOMIC_RELAXED) > 0) {
		irqflags_t flags = spin_lock_irqsave(&lock);

		if (nr_served < nr_came) {
			served[nr_served] = came[nr_served];
			ready[served[nr_served]] = true;
			nr_served++;
			wake_one(&queue);
		}
		spin_unlock_irqrestore(&lock, flags);
		thread_yield();
	}
}

static void
wait_or_serve(unsigned cpu, void *arg)
{
	(void)arg;
	if (cpu == 0)
		serve();
	else
		wait_in_line(cpu);
}

/* If wake_one() woke another than the first, that one would go on waiting, for ever. */
static void
first_come_first_served(void)
{
	nr_came = nr_served = 0;
	nr_left = NR_THREADS - 1;
	host_run_threads(NR_THREADS, wait_or_serve, NULL);
	CHECK_EQ(nr_served, (NR_THREADS - 1) * NR_ROUNDS);
	CHECK_EQ(nr_came, nr_served);
	CHECK(list_empty(&queue.waiters));
	CHECK(arch_irqs_enabled());
}

static unsigned nr_waiting, nr_awake, nr_called; /* (l) */

static void
count_call(void *arg)
{
	(void)arg;
	__atomic_add_fetch(&nr_called, 1, __ATOMIC_RELAXED);
}

static void
wait_for_all(unsigned cpu, void *arg)
{
	irqflags_t flags;

	(void)arg;
	if (cpu == 0) {
		while (__atomic_load_n(&nr_waiting, __ATOMIC_RELAXED) < NR_THREADS - 1)
			thread_sleep_ns(1000);
		/* Those who wait answer. */
		arch_call_cpus(count_call, NULL);
	}
	flags = spin_lock_irqsave(&lock);
	if (cpu == 0) {
		wake_all(&queue);
	} else {
		__atomic_add_fetch(&nr_waiting, 1, __ATOMIC_RELAXED);
		wait_on(&queue, &lock);
		nr_awake++;
	}
	spin_unlock_irqrestore(&lock, flags);
}

static void
wake_all_wakes_all(void)
{
	nr_waiting = nr_awake = nr_called = 0;
	host_run_threads(NR_THREADS, wait_for_all, NULL);
	CHECK_EQ(nr_awake, NR_THREADS - 1);
	CHECK_EQ(nr_called, nr_cpus);
}

static void
wait_for_ever(void *arg)
{
	irqflags_t flags = spin_lock_irqsave(&lock);

	(void)arg;
	wait_on(&queue, &lock);
	spin_unlock_irqrestore(&lock, flags);
}

static void
a_wait_that_nobody_ends(void)
{
	for (unsigned i = 0; i < 3; i++) {
		CHECK(!host_try(wait_for_ever, NULL, 1000));
		CHECK_NAMES(host_message, "no thread is left that could wake it");
		CHECK(list_empty(&queue.waiters));
	}
}

HOST_SUITE(wait, { "first_come_first_served", first_come_first_served },
	   { "wake_all_wakes_all", wake_all_wakes_all },
	   { "a_wait_that_nobody_ends", a_wait_that_nobody_ends });
