/* SPDX-License-Identifier: MIT */
/*
 * Spin locks: they exclude, they are fair, and their misuse is found (debug builds).
 */
#include <ktest.h>
#include <percpu.h>
#include <spinlock.h>
#include <thread.h>
#include <time.h>

static spinlock_t lock = SPINLOCK_INIT("test", RANK_TEST);

/* ---- Mutual exclusion ---------------------------------------------------------------- */

#define ADDERS	4
#define ADDINGS 2000

static volatile uint64_t counter; /* guarded by lock, and nothing else */
static volatile bool inside;

/* The addition takes long enough that an intruder would be noticed. */
static void
add(void *arg)
{
	struct ktest *t = arg;

	for (unsigned i = 0; i < ADDINGS; i++) {
		irqflags_t flags = spin_lock_irqsave(&lock);
		uint64_t value = counter;

		expect_true(t, !inside);
		inside = true;
		for (unsigned n = 0; n < 10; n++)
			__asm__ volatile("");
		counter = value + 1;
		inside = false;
		spin_unlock_irqrestore(&lock, flags);
	}
}

/* param 0: as many threads as fit on all CPUs; 1: all on one CPU, preempted all the time */
KTEST(locks, mutual_exclusion, .nr_params = 2, .budget_ms = 30000)
{
	struct thread *threads[ADDERS];

	counter = 0;
	sched_fuzz_ticks(5000, 50000, t->seed);
	for (unsigned i = 0; i < ADDERS; i++) {
		threads[i] = thread_create("add", add, t, t->param ? 0 : (int)(i % nr_cpus));
		assert_true(t, threads[i] != NULL);
	}
	for (unsigned i = 0; i < ADDERS; i++)
		thread_join(threads[i]);
	sched_fuzz_ticks(0, 0, 0);
	expect_eq(t, counter, ADDERS * ADDINGS);
	expect_eq(t, lock.serving, lock.next);
}

/* ---- Fairness -------------------------------------------------------------------------- */

static unsigned order[MAX_CPUS], nr_served; /* guarded by lock */
static unsigned turn;			    /* CPU that may go for the lock; atomic */

static void
queue_up(void *arg)
{
	irqflags_t flags;

	(void)arg;
	while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != cpu_id())
		thread_yield();
	flags = spin_lock_irqsave(&lock);
	order[nr_served++] = cpu_id();
	spin_unlock_irqrestore(&lock, flags);
}

static struct thread *queuers[MAX_CPUS];

/*
 * With the lock held, send one CPU after the other to wait for it, the next one when the
 * one before has drawn its ticket. They must be served in that order.
 */
static void
hold_and_queue(void *arg)
{
	irqflags_t flags = spin_lock_irqsave(&lock);
	uint16_t first = lock.serving;

	(void)arg;
	for (unsigned i = 1; i < nr_cpus; i++) {
		__atomic_store_n(&turn, nr_cpus - i, __ATOMIC_RELEASE);
		while ((uint16_t)(__atomic_load_n(&lock.next, __ATOMIC_ACQUIRE) - first) <= i)
			arch_cpu_relax();
	}
	spin_unlock_irqrestore(&lock, flags);
}

KTEST(locks, first_come_first_served, .min_cpus = 3, .budget_ms = 30000)
{
	struct thread *holder;

	nr_served = turn = 0;
	for (unsigned cpu = 1; cpu < nr_cpus; cpu++) {
		queuers[cpu] = thread_create("queue", queue_up, NULL, (int)cpu);
		assert_true(t, queuers[cpu] != NULL);
	}
	holder = thread_create("hold", hold_and_queue, NULL, 0);
	assert_true(t, holder != NULL);
	thread_join(holder);
	for (unsigned cpu = 1; cpu < nr_cpus; cpu++)
		thread_join(queuers[cpu]);
	assert_eq(t, nr_served, nr_cpus - 1);
	for (unsigned i = 0; i < nr_served; i++)
		expect_eq(t, order[i], nr_cpus - 1 - i);
}

/* ---- Interrupt state -------------------------------------------------------------------- */

KTEST(locks, interrupts_are_restored)
{
	static spinlock_t inner = SPINLOCK_INIT("inner", RANK_MODULE);
	irqflags_t outer_flags, inner_flags;

	expect_true(t, arch_irqs_enabled());
	outer_flags = spin_lock_irqsave(&lock);
	expect_true(t, !arch_irqs_enabled());
	inner_flags = spin_lock_irqsave(&inner);
	spin_unlock_irqrestore(&inner, inner_flags);
	expect_true(t, !arch_irqs_enabled());
	spin_unlock_irqrestore(&lock, outer_flags);
	expect_true(t, arch_irqs_enabled());
}

/* ---- Misuse, found by debug builds ------------------------------------------------------- */

#ifdef IKOS_DEBUG
static spinlock_t low = SPINLOCK_INIT("low", RANK_MODULE);
static spinlock_t high = SPINLOCK_INIT("high", RANK_DEVICE);

KTEST(locks, wrong_order,
      .expect_panic = "lock order: low (rank 1) taken while holding high (rank ")
{
	arch_irq_disable();
	spin_lock(&high);
	spin_lock(&low);
	expect_true(t, false);
}

KTEST(locks, same_rank,
      .expect_panic = "lock order: other (rank 1) taken while holding low (rank 1)")
{
	spinlock_t other = SPINLOCK_INIT("other", RANK_MODULE);

	arch_irq_disable();
	spin_lock(&low);
	spin_lock(&other);
	expect_true(t, false);
}

static spinlock_t array[] = {
	{ .rank = RANK_MODULE, .name = "first", .by_address = true },
	{ .rank = RANK_MODULE, .name = "second", .by_address = true },
};

KTEST(locks, two_of_an_array)
{
	irqflags_t flags = spin_lock_irqsave(&array[0]);

	spin_lock(&array[1]);
	expect_true(t, spin_held(&array[0]) && spin_held(&array[1]));
	spin_unlock(&array[1]);
	spin_unlock_irqrestore(&array[0], flags);
}

KTEST(locks, two_of_an_array_backwards,
      .expect_panic = "lock order: first (rank 1) taken while holding second (rank 1)")
{
	arch_irq_disable();
	spin_lock(&array[1]);
	spin_lock(&array[0]);
	expect_true(t, false);
}

KTEST(locks, one_of_an_array_and_another,
      .expect_panic = "lock order: first (rank 1) taken while holding low (rank 1)")
{
	arch_irq_disable();
	spin_lock(&low);
	spin_lock(&array[0]);
	expect_true(t, false);
}

KTEST(locks, taken_twice, .expect_panic = "lock low: taken again by its holder, CPU ")
{
	arch_irq_disable();
	spin_lock(&low);
	spin_lock(&low);
	expect_true(t, false);
}

static bool low_is_held;

static void
release_low(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&low_is_held, __ATOMIC_ACQUIRE))
		arch_cpu_relax();
	arch_irq_disable();
	spin_unlock(&low);
}

static void
hold_low(void *arg)
{
	struct thread *thread = thread_create("release", release_low, NULL, 1);

	expect_true((struct ktest *)arg, thread != NULL);
	arch_irq_disable();
	spin_lock(&low);
	__atomic_store_n(&low_is_held, true, __ATOMIC_RELEASE);
	for (;;)
		arch_cpu_relax();
}

KTEST(locks, released_by_another_cpu, .min_cpus = 2,
      .expect_panic = "lock low: released by CPU 1, but CPU 0 holds it")
{
	struct thread *thread = thread_create("hold", hold_low, t, 0);

	assert_true(t, thread != NULL);
	thread_join(thread);
}

KTEST(locks, released_while_free, .expect_panic = "lock low: released by CPU ")
{
	arch_irq_disable();
	spin_unlock(&low);
	expect_true(t, false);
}

KTEST(locks, taken_with_interrupts_on, .expect_panic = "lock low: taken with interrupts on")
{
	spin_lock(&low);
	expect_true(t, false);
}

KTEST(locks, released_with_interrupts_on,
      .expect_panic = "lock low: interrupts were turned on while it was held")
{
	arch_irq_disable();
	spin_lock(&low);
	arch_irq_enable();
	spin_unlock(&low);
	expect_true(t, false);
}

KTEST(locks, sleeping_with_a_lock, .expect_panic = "lock low: held in a call of thread_sleep_ns()")
{
	arch_irq_disable();
	spin_lock(&low);
	thread_sleep_ns(1);
	expect_true(t, false);
}

KTEST(locks, waiting_with_a_second_lock,
      .expect_panic = "lock low: held while waiting for another thread")
{
	struct wait_queue queue = WAIT_QUEUE_INIT(queue);

	arch_irq_disable();
	spin_lock(&low);
	spin_lock(&high);
	wait_on(&queue, &high);
	expect_true(t, false);
}

KTEST(locks, yielding_with_interrupts_off,
      .expect_panic = "thread_yield() called with interrupts off")
{
	arch_irq_disable();
	thread_yield();
	expect_true(t, false);
}

KTEST(locks, locks_are_released_in_any_order)
{
	irqflags_t flags = spin_lock_irqsave(&low);

	spin_lock(&high);
	expect_true(t, spin_held(&low) && spin_held(&high));
	spin_unlock(&low);
	expect_true(t, !spin_held(&low) && spin_held(&high));
	spin_unlock_irqrestore(&high, flags);
	expect_true(t, !spin_held(&high));
}
#endif
