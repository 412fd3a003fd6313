/* SPDX-License-Identifier: MIT */
/* The watchdog strikes, whatever the CPUs are doing. */
#include <arch/cpu.h>
#include <ktest.h>
#include <panic.h>
#include <percpu.h>
#include <thread.h>
#include <time.h>
#include <watchdog.h>

static _Noreturn void
spin_for_ever(void)
{
	for (;;)
		arch_cpu_relax();
}

KTEST(watchdog, interrupts_off, .budget_ms = 100, .expect_panic = "hang: no end after ")
{
	(void)t;
	arch_irq_disable();
	spin_for_ever();
}

KTEST(watchdog, interrupts_on, .budget_ms = 60, .expect_panic = "hang: no end after ")
{
	(void)t;
	spin_for_ever();
}

/* The boot CPU only waits for the thread that hangs. */
static void
hang(void *arg)
{
	(void)arg;
	arch_irq_disable();
	spin_for_ever();
}

KTEST(watchdog, another_cpu_hangs, .min_cpus = 2, .budget_ms = 100,
      .expect_panic = "hang: no end after ")
{
	struct thread *thread = thread_create("hang", hang, NULL, (int)nr_cpus - 1);

	assert_true(t, thread != NULL);
	thread_join(thread);
}

/* Nothing to run, no timer: every CPU is halted. */
KTEST(watchdog, all_asleep, .budget_ms = 100, .expect_panic = "hang: no end after ")
{
	struct wait_queue queue = WAIT_QUEUE_INIT(queue);
	static spinlock_t lock = SPINLOCK_INIT("test", RANK_TEST);

	(void)t;
	spin_lock_irqsave(&lock);
	for (;;)
		wait_on(&queue, &lock);
}

/*
 * Arming again gives the whole budget again; disarmed, it does not strike. The budget is wide,
 * since on a loaded host the clock may run on while the emulator is not given a processor.
 */
KTEST(watchdog, rearmed_and_disarmed, .budget_ms = 60000)
{
	for (unsigned i = 0; i < 4; i++) {
		watchdog_arm(1000 * NSEC_PER_MSEC);
		time_spin_ns(500 * NSEC_PER_MSEC);
	}
	watchdog_disarm();
	thread_sleep_ns(1200 * NSEC_PER_MSEC);
	expect_le(t, 3200 * NSEC_PER_MSEC, time_ns());
}
