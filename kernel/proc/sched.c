/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: which thread runs where, and for how long.
 *
 * Threads that could run wait in one queue. A CPU that becomes free takes the first one
 * that may run on it; a thread that has run for a tick while others wait goes to the
 * end: round robin.
 *
 *	            sched_ready_locked()            chosen by a CPU
 *	 created -----------------------> READY ---------------------> RUNNING ---> DEAD
 *	                                  ^   ^                        |     |  ends   |
 *	                                  |   |   yield, or its tick   |     |         v
 *	                                  |   +------------------------+     |      joined
 *	                                  |                                  |
 *	                                  +------------- ASLEEP <------------+
 *	                                    woken, or     on a wait queue or
 *	                                    time is up    this CPU's sleepers
 *
 * Each CPU has an idle thread, which is in none of these queues: it runs when there is
 * nothing else, and halts the CPU until an interrupt.
 *
 * Locks. sched_lock guards all of it: run queue, sleepers, wait queues, states. It is
 * held from the moment a thread changes its own state until the CPU has switched to
 * another stack. So a thread that others can see as READY, ASLEEP or DEAD is not running
 * any more: nobody can start it a second time, or free its stack under its feet.
 *
 * The lock is taken by the thread that stops and released by the one that goes on:
 *
 *	thread A                                thread B
 *	spin_lock(&sched_lock)
 *	arch_switch(A, B)         - - - - - ->  returns from its own, earlier arch_switch()
 *	                                        spin_unlock(&sched_lock)
 *
 * All paths into arch_switch() hold the lock and no other, with interrupts off, so
 * whoever it returns to finds what its counterpart left. A new thread has no earlier
 * arch_switch() to return from; thread_main() stands in for it and releases the lock.
 *
 * A wake-up is never lost. The sleeper tests its condition under the lock that guards
 * the condition, takes sched_lock, and only then gives up the first lock (wait.c). The
 * waker changes the condition under the first lock before it takes sched_lock to wake.
 * So either the sleeper saw the new condition, or the waker finds it in the queue. With an
 * idle CPU it is the same: it looks at the queue with interrupts off, and the interrupt
 * of a waker that came later is still pending when "sti; hlt" begins to wait.
 *
 * Time. Each CPU has a one-shot timer, set to the nearer of two times: the end of the
 * running thread's tick, and the wake-up of the first of the threads that fell asleep
 * on this CPU. An idle CPU has no tick, and without sleepers no timer at all.
 *
 * Ordinary threads have priority 0, and among them niceness is time: each has its turn, and a nice
 * value of 10 makes that half as long, one of -20 twice. So nobody starves, whatever
 * the others are.
 *
 * Those of higher priority, real-time ones, come first: the queue is sorted, and who becomes ready
 * with a higher priority than what some CPU runs is given that CPU at once. Of the same priority
 * each has its turn as well, unless it is not sliced: then it runs until it waits.
 *
 * What is left out: a run queue for each CPU. One queue is fair and simple; its lock would be
 * the limit on machines with many more CPUs.
 */
#include <cmdline.h>
#include <errno.h>
#include <panic.h>
#include <percpu.h>
#include <prng.h>
#include <smp.h>
#include <string.h>
#include <time.h>
#include <timer.h>

#include <arch/thread.h>

#include "../lib/lockdep.h"
#include "proc.h"

#define NEVER UINT64_MAX

struct cpu_sched {
	struct thread idle;
	struct list_head sleepers; /* (s) by rising wake_at */
	uint64_t tick_at;	   /* (s) time_ns(); NEVER while idle */
	uint64_t armed_for;	   /* (s) what the timer is set to, or NEVER */
	uint64_t tick_began;	   /* (s) the latest one */
	uint64_t switched_at;	   /* (s) up to when the running thread's time is counted */
	uint64_t ticks[2];	   /* (s) that found the kernel, and user mode, running */
	uint64_t nr_switches;	   /* (s) */
	bool preempt;		   /* (s) somebody of higher priority is ready; set from afar */
	struct prng prng;	   /* (s) draws ticks while fuzzing */
};

static DEFINE_PER_CPU(struct cpu_sched, cpu_sched);
static struct thread main_thread;

spinlock_t sched_lock = SPINLOCK_INIT("sched", RANK_SCHED);
struct list_head all_threads = LIST_INIT(all_threads);
void (*sched_switch_hook)(struct thread *prev, struct thread *next); /* (c) */
static struct list_head run_queue = LIST_INIT(run_queue);	     /* (s) */
static uint64_t idle_cpus; /* (s) bit for each CPU that halts and has not been called yet */
static uint64_t fuzz_min_ns, fuzz_max_ns; /* (s) 0: regular ticks */

static uint64_t tick_us = 4000; /* (c) */
TUNABLE(tick_us, "sched.tick_us", 100, 1000000, "microseconds that a thread runs at a stretch");

static bool idle_poll; /* (c) */

/*
 * An emulator that counts instructions (-icount with sleep=off) skips the time during which all
 * CPUs are halted. So a thread that waits for a disk would wait for seconds, as the guest counts
 * them, for what takes the host a moment. CPUs that look all the time let time pass as it does.
 */
static int
parse_idle(const char *value)
{
	if (strcmp(value, "poll") != 0)
		return -EINVAL;
	idle_poll = true;
	return 0;
}
CMDLINE_OPTION(idle, "idle", "poll: do not halt when there is nothing to do", parse_idle);

_Static_assert(MAX_CPUS <= 64, "idle_cpus has a bit for each CPU");

/* ---- The timer ---------------------------------------------------------------------- */

/* How long a thread may run that begins now. */
static uint64_t
next_tick_locked(struct cpu_sched *cpu, const struct thread *thread)
{
	assert_held(&sched_lock);
	if (fuzz_max_ns)
		return fuzz_min_ns + prng_below(&cpu->prng, fuzz_max_ns - fuzz_min_ns + 1);
	return tick_us * NSEC_PER_USEC * (uint64_t)(20 - thread->nice) / 20;
}

uint64_t
sched_tick_ns(void)
{
	return tick_us * NSEC_PER_USEC;
}

/* Set this CPU's timer to what comes first. */
static void
set_timer_locked(struct cpu_sched *cpu, uint64_t now)
{
	uint64_t at = cpu->tick_at;

	assert_held(&sched_lock);
	if (!list_empty(&cpu->sleepers))
		at = MIN(at, list_first_entry(&cpu->sleepers, struct thread, timer)->wake_at);
	if (at == cpu->armed_for)
		return;
	cpu->armed_for = at;
	if (at == NEVER)
		timer_disarm();
	else
		timer_arm(at > now ? at - now : 0);
}

void
sched_add_sleeper_locked(struct thread *thread, uint64_t wake_at)
{
	struct list_head *at;

	assert_held(&sched_lock);
	thread->state = THREAD_ASLEEP;
	thread->wake_at = wake_at;
	thread->timed = true;
	/* Look from the end: most sleep longer than those before them. Equals stay in order. */
	for (at = this_cpu(cpu_sched).sleepers.prev; at != &this_cpu(cpu_sched).sleepers;
	     at = at->prev)
		if (list_entry(at, struct thread, timer)->wake_at <= wake_at)
			break;
	list_add(&thread->timer, at);
}

/* A timer that was set for it stays set: an interrupt in which nothing is found to do. */
void
sched_wake_locked(struct thread *thread, int woken)
{
	assert_held(&sched_lock);
	if (thread->queued)
		list_del(&thread->link);
	if (thread->timed)
		list_del(&thread->timer);
	thread->queued = thread->timed = false;
	thread->woken = woken;
	sched_ready_locked(thread);
}

static void
wake_sleepers_locked(struct cpu_sched *cpu, uint64_t now)
{
	assert_held(&sched_lock);
	while (!list_empty(&cpu->sleepers)) {
		struct thread *thread = list_first_entry(&cpu->sleepers, struct thread, timer);

		if (thread->wake_at > now)
			return;
		sched_wake_locked(thread, -ETIMEDOUT);
	}
}

/* ---- Choosing and switching ----------------------------------------------------------- */

/* The first ready thread that may run on this CPU, or NULL. */
static struct thread *
first_ready_locked(void)
{
	struct thread *thread;

	assert_held(&sched_lock);
	list_for_each_entry (thread, &run_queue, link) {
		if (thread->cpus >> cpu_id() & 1)
			return thread;
	}
	return NULL;
}

/* Behind those of its priority, or before them: it was interrupted and its turn is not over. */
static void
enqueue_locked(struct thread *thread, bool before)
{
	struct list_head *at = run_queue.prev;

	assert_held(&sched_lock);
	thread->state = THREAD_READY;
	for (; at != &run_queue; at = at->prev) {
		int priority = list_entry(at, struct thread, link)->priority;

		if (before ? priority > thread->priority : priority >= thread->priority)
			break;
	}
	list_add(&thread->link, at);
}

/* Of the CPUs that it may run on, call the one that runs what is least urgent, if it is less so. */
static void
preempt_least_locked(const struct thread *thread)
{
	struct thread *running, *least = NULL;

	assert_held(&sched_lock);
	list_for_each_entry (running, &all_threads, all) {
		if (running->state != THREAD_RUNNING || !(thread->cpus >> running->cpu & 1))
			continue;
		if (!least || running->priority < least->priority)
			least = running;
	}
	if (!least || least->priority >= thread->priority)
		return;
	per_cpu(cpu_sched, least->cpu).preempt = true;
	smp_reschedule(least->cpu);
}

/* An idle CPU for the thread: this one, else the lowest; or -1. */
static int
idle_cpu_for_locked(const struct thread *thread)
{
	uint64_t cpus = idle_cpus & thread->cpus;

	assert_held(&sched_lock);
	if (cpus & 1ull << cpu_id())
		return (int)cpu_id();
	return cpus ? __builtin_ctzll(cpus) : -1;
}

/*
 * A CPU that is called is not idle any more, so two threads that become ready call two
 * CPUs. Without an idle one the thread waits for the next tick of a busy one. This CPU,
 * if idle, is inside an interrupt and calls sched_preempt() at its end.
 */
void
sched_ready_locked(struct thread *thread)
{
	int cpu = idle_cpu_for_locked(thread);

	assert_held(&sched_lock);
	enqueue_locked(thread, false);
	if (cpu < 0 && thread->priority > 0)
		preempt_least_locked(thread);
	if (cpu < 0)
		return;
	idle_cpus &= ~(1ull << cpu);
	if (cpu != (int)cpu_id())
		smp_reschedule((unsigned)cpu);
}

/* The running thread's time, up to now. */
static void
account_locked(struct cpu_sched *cpu, uint64_t now)
{
	assert_held(&sched_lock);
	thread_current()->run_ns += now - cpu->switched_at;
	cpu->switched_at = now;
}

void
sched_switch_locked(void)
{
	struct cpu_sched *cpu = &this_cpu(cpu_sched);
	struct thread *prev = thread_current(), *next = first_ready_locked();
	uint64_t now = time_ns();

	assert_only_held(&sched_lock);
	if (next)
		list_del(&next->link);
	else
		next = &cpu->idle;
	idle_cpus &= ~(1ull << cpu_id()); /* the idle thread says so itself */
	if (prev == &cpu->idle)
		prev->state = THREAD_READY;
	account_locked(cpu, now);
	if (next == &cpu->idle)
		cpu->tick_at = NEVER;
	else if (cpu->tick_at == NEVER || next->nice != prev->nice)
		cpu->tick_at = now + next_tick_locked(cpu, next);
	set_timer_locked(cpu, now);

	next->state = THREAD_RUNNING;
	next->cpu = cpu_id();
	if (next == prev)
		return;
	cpu->nr_switches++;
	if (sched_switch_hook)
		sched_switch_hook(prev, next);
	arch_thread_set_current(next);
	arch_switch(&prev->sp, next->sp);
	/* Here prev runs again, perhaps on another CPU: cpu and next are stale. */
}

uint64_t
thread_unaccounted_ns(void)
{
	irqflags_t flags = arch_irq_save();
	uint64_t ns = time_ns() - this_cpu(cpu_sched).switched_at;

	arch_irq_restore(flags);
	return ns;
}

enum yield_reason {
	YIELD_ASKED,	 /* the thread says so */
	YIELD_TURN_OVER, /* its tick is */
	YIELD_PREEMPTED, /* by one of higher priority */
};

/* Run another thread, if there is one that may come before the running one. */
static void
yield_locked(enum yield_reason reason)
{
	struct thread *thread = thread_current(), *next = first_ready_locked();
	bool is_idle = thread == &this_cpu(cpu_sched).idle, keeps_turn;

	assert_held(&sched_lock);
	keeps_turn = reason == YIELD_PREEMPTED || (reason == YIELD_TURN_OVER && thread->unsliced);
	if (!next || (!is_idle && next->priority < thread->priority + keeps_turn))
		return;
	if (!is_idle)
		enqueue_locked(thread, keeps_turn);
	sched_switch_locked();
}

void
thread_yield(void)
{
	irqflags_t flags;

	assert_may_sleep("thread_yield");
	flags = spin_lock_irqsave(&sched_lock);
	yield_locked(YIELD_ASKED);
	spin_unlock_irqrestore(&sched_lock, flags);
}

/* ---- Interrupts ----------------------------------------------------------------------- */

/*
 * While fuzzing, ticks may be drawn that are shorter than what the tick itself takes, waiting for
 * the other CPUs' ticks included. Then threads would never get on. So they get as much time as
 * the tick took, for each CPU, because an emulator may run the CPUs one after the other.
 */
static void
leave_time_locked(struct cpu_sched *cpu, uint64_t now)
{
	uint64_t took = MIN(now - cpu->tick_began, fuzz_max_ns);

	assert_held(&sched_lock);
	cpu->tick_at = MAX(cpu->tick_at, now + took * nr_cpus);
}

void
sched_tick(bool in_user)
{
	struct cpu_sched *cpu = &this_cpu(cpu_sched);
	uint64_t now = time_ns();

	spin_lock(&sched_lock);
	cpu->armed_for = NEVER;
	cpu->tick_began = now;
	wake_sleepers_locked(cpu, now);
	if (now >= cpu->tick_at) {
		account_locked(cpu, now);
		thread_current()->ticks[in_user]++;
		if (thread_current()->watched)
			thread_current()->interrupted = true;
		cpu->ticks[in_user]++;
		cpu->tick_at = now + next_tick_locked(cpu, thread_current());
		yield_locked(YIELD_TURN_OVER);
	} else if (thread_current() == &cpu->idle) {
		yield_locked(YIELD_TURN_OVER);
	}
	/* After a switch this may be another CPU. */
	cpu = &this_cpu(cpu_sched);
	now = time_ns();
	leave_time_locked(cpu, now);
	set_timer_locked(cpu, now);
	spin_unlock(&sched_lock);
}

/*
 * How long the CPU was idle is known; what it did otherwise is split as its ticks found it. Where
 * there were none yet, it was the kernel.
 */
void
sched_get_cpu_times(unsigned number, struct cpu_times *times)
{
	struct cpu_sched *cpu = &per_cpu(cpu_sched, number);
	irqflags_t flags = spin_lock_irqsave(&sched_lock);
	uint64_t now = time_ns(), busy, ticks = cpu->ticks[0] + cpu->ticks[1];

	times->idle_ns = cpu->idle.run_ns;
	if (cpu->idle.state == THREAD_RUNNING && now > cpu->switched_at)
		times->idle_ns += now - cpu->switched_at;
	busy = now - MIN(times->idle_ns, now);
	times->user_ns =
	    ticks ? busy / ticks * cpu->ticks[1] + busy % ticks * cpu->ticks[1] / ticks : 0;
	times->system_ns = busy - times->user_ns;
	times->nr_switches = cpu->nr_switches;
	spin_unlock_irqrestore(&sched_lock, flags);
}

/* Give up a CPU that the running thread may not use any more. */
static void
leave_cpu_locked(void)
{
	assert_held(&sched_lock);
	if (thread_current()->cpus >> cpu_id() & 1)
		return;
	sched_ready_locked(thread_current());
	sched_switch_locked();
}

/* Looked at without the lock: who sets it sends an interrupt, which comes here, afterwards. */
static bool
is_preempted(void)
{
	return __atomic_load_n(&this_cpu(cpu_sched).preempt, __ATOMIC_RELAXED);
}

void
sched_preempt(void)
{
	struct thread *thread = thread_current();
	bool idle = thread == &this_cpu(cpu_sched).idle;

	if (!idle && thread->cpus >> cpu_id() & 1 && !is_preempted())
		return;
	spin_lock(&sched_lock);
	this_cpu(cpu_sched).preempt = false;
	if (idle || thread->cpus >> cpu_id() & 1)
		yield_locked(YIELD_PREEMPTED);
	else
		leave_cpu_locked();
	spin_unlock(&sched_lock);
}

/* Who waits for a turn is sorted in anew; from who runs, a CPU may have to be taken away. */
void
thread_set_priority(struct thread *thread, int priority, bool unsliced)
{
	irqflags_t flags = spin_lock_irqsave(&sched_lock);

	thread->priority = priority;
	thread->unsliced = unsliced;
	if (thread->state == THREAD_READY) {
		list_del(&thread->link);
		sched_ready_locked(thread);
	} else if (thread->state == THREAD_RUNNING) {
		per_cpu(cpu_sched, thread->cpu).preempt = true;
		smp_reschedule(thread->cpu);
	}
	spin_unlock_irqrestore(&sched_lock, flags);
}

void
thread_set_cpus(struct thread *thread, uint64_t cpus)
{
	irqflags_t flags;

	flags = spin_lock_irqsave(&sched_lock);
	thread->cpus = cpus;
	if (thread == thread_current())
		leave_cpu_locked();
	else if (thread->state == THREAD_RUNNING)
		smp_reschedule(thread->cpu);
	if (thread->state == THREAD_READY) { /* now perhaps for a CPU that is idle */
		list_del(&thread->link);
		sched_ready_locked(thread);
	}
	spin_unlock_irqrestore(&sched_lock, flags);
}

/* ---- Start, and the idle threads -------------------------------------------------------- */

/*
 * Runs with interrupts off except inside arch_cpu_wait(), which turns them on and waits
 * in one step; so nothing becomes ready unseen between the look and the wait.
 */
static _Noreturn void
idle_loop(void)
{
	for (;;) {
		spin_lock(&sched_lock);
		yield_locked(YIELD_ASKED);
		idle_cpus |= 1ull << cpu_id();
		spin_unlock(&sched_lock);
		if (idle_poll) {
			arch_irq_enable();
			arch_cpu_relax();
		} else {
			arch_cpu_wait();
		}
		arch_irq_disable();
	}
}

static void
idle_main(void)
{
	spin_unlock(&sched_lock); /* taken by the thread that switched to here */
	idle_loop();
}

static struct cpu_sched *
init_cpu_locked(void)
{
	struct cpu_sched *cpu = &this_cpu(cpu_sched);

	assert_held(&sched_lock);
	list_init(&cpu->sleepers);
	cpu->tick_at = NEVER;
	cpu->armed_for = NEVER;
	cpu->switched_at = time_ns();
	thread_init_locked(&cpu->idle, "idle", (int)cpu_id());
	cpu->idle.cpu = cpu_id();
	return cpu;
}

void
sched_init(void)
{
	irqflags_t flags = spin_lock_irqsave(&sched_lock);
	struct cpu_sched *cpu;

	thread_init_locked(&main_thread, "main", CPU_ANY);
	main_thread.state = THREAD_RUNNING;
	arch_thread_set_current(&main_thread);
	cpu = init_cpu_locked();
	cpu->idle.sp = arch_thread_stack(smp_idle_stack(0), idle_main);
	cpu->tick_at = time_ns() + next_tick_locked(cpu, &main_thread);
	set_timer_locked(cpu, time_ns());
	spin_unlock_irqrestore(&sched_lock, flags);
}

void
sched_start_cpu(void)
{
	struct cpu_sched *cpu;

	spin_lock(&sched_lock);
	cpu = init_cpu_locked();
	cpu->idle.state = THREAD_RUNNING;
	arch_thread_set_current(&cpu->idle);
	spin_unlock(&sched_lock);
	idle_loop();
}

/* ---- Fuzzing ---------------------------------------------------------------------------- */

/* Start a tick of the new kind on this CPU, if it has ticks at all. */
static void
restart_tick(void *seed)
{
	struct cpu_sched *cpu = &this_cpu(cpu_sched);
	uint64_t now = time_ns();

	spin_lock(&sched_lock);
	prng_seed(&cpu->prng, *(const uint64_t *)seed + cpu_id());
	if (cpu->tick_at != NEVER)
		cpu->tick_at = now + next_tick_locked(cpu, thread_current());
	set_timer_locked(cpu, now);
	spin_unlock(&sched_lock);
}

/* The caller's CPU comes last, so that its first tick counts from the return. */
void
sched_fuzz_ticks(uint64_t min_ns, uint64_t max_ns, uint64_t seed)
{
	irqflags_t flags = spin_lock_irqsave(&sched_lock);

	ASSERT_LE(min_ns, max_ns);
	fuzz_min_ns = min_ns;
	fuzz_max_ns = max_ns;
	spin_unlock(&sched_lock);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (cpu != cpu_id())
			smp_call(cpu, restart_tick, &seed);
	restart_tick(&seed);
	arch_irq_restore(flags);
}
