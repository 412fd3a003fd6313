/* SPDX-License-Identifier: MIT */
/*
 * arch_call_cpus(): the function runs once on each CPU, interrupts off, never in the middle of
 * what that CPU does with interrupts off; whether threads play the CPUs, start, end or wait.
 * It is also built with the thread sanitizer: what two CPUs share without order shows there.
 */
#include "host.h"

#include <arch.h>
#include <panic.h>
#include <percpu.h>
#include <spinlock.h>

#define NR_THREADS 4
#define NR_CALLS   300 /* of each caller */

/* What a CPU keeps without a lock: with interrupts off it is alone. */
struct own {
	uint64_t nr_answered, nr_worked;
	bool working; /* in a piece of work of this CPU */
};

static DEFINE_PER_CPU(struct own, own);

/* A call, and how often it ran on each CPU. */
struct roll_call {
	unsigned nr[MAX_CPUS];
	unsigned nr_wrong; /* with interrupts on, or in the middle of work; atomic */
};

/* What the threads found; they may not use CHECK. */
static unsigned nr_wrong;

static void
wrong_if(bool wrong)
{
	if (wrong)
		__atomic_add_fetch(&nr_wrong, 1, __ATOMIC_RELAXED);
}

static void
answer(void *arg)
{
	struct roll_call *roll = arg;

	roll->nr[cpu_id()]++;
	if (arch_irqs_enabled() || this_cpu(own).working)
		__atomic_add_fetch(&roll->nr_wrong, 1, __ATOMIC_RELAXED);
	this_cpu(own).nr_answered++;
}

static void
call_the_roll(void)
{
	struct roll_call roll = { .nr_wrong = 0 };

	arch_call_cpus(answer, &roll);
	wrong_if(roll.nr_wrong != 0);
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		wrong_if(roll.nr[cpu] != (cpu < nr_cpus));
	wrong_if(!arch_irqs_enabled());
}

/* Something that this CPU does with interrupts off, of some length. */
static void
work(unsigned length)
{
	irqflags_t flags = arch_irq_save();

	this_cpu(own).working = true;
	for (unsigned i = 0; i < length; i++)
		arch_cpu_relax();
	this_cpu(own).working = false;
	this_cpu(own).nr_worked++;
	arch_irq_restore(flags);
}

static void
begin(void)
{
	nr_wrong = 0;
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		per_cpu(own, cpu) = (struct own){ 0 };
}

static void
check_answers(uint64_t nr_calls)
{
	CHECK_EQ(nr_wrong, 0);
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
		CHECK_EQ(per_cpu(own, cpu).nr_answered, cpu < nr_cpus ? nr_calls : 0);
		CHECK(!per_cpu(own, cpu).working);
	}
	CHECK_EQ(cpu_id(), 0);
	CHECK(arch_irqs_enabled());
}

/* No other thread: the caller answers for all. */
static void
alone(void)
{
	begin();
	for (unsigned i = 0; i < 10; i++)
		call_the_roll();
	check_answers(10);
}

static void
call_and_work(unsigned cpu, void *arg)
{
	struct prng prng;

	(void)arg;
	prng_seed(&prng, host_seed * 100 + cpu);
	for (unsigned i = 0; i < NR_CALLS; i++) {
		call_the_roll();
		work((unsigned)prng_below(&prng, 3));
	}
}

/* Everybody calls everybody; who has done its calls is gone, and still answered for. */
static void
all_at_once(void)
{
	begin();
	host_run_threads(NR_THREADS, call_and_work, NULL);
	check_answers(NR_THREADS * NR_CALLS);
	for (unsigned cpu = 0; cpu < NR_THREADS; cpu++)
		CHECK_EQ(per_cpu(own, cpu).nr_worked, NR_CALLS);
}

/* ---- One calls, the others do something --------------------------------------------- */

static bool done;
static void (*others_do)(unsigned cpu);

static void
first_calls(unsigned cpu, void *arg)
{
	(void)arg;
	if (cpu == 0) {
		for (unsigned i = 0; i < NR_CALLS; i++)
			call_the_roll();
		__atomic_store_n(&done, true, __ATOMIC_RELEASE);
		return;
	}
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
		others_do(cpu);
}

static void
one_calls_others(void (*fn)(unsigned cpu))
{
	begin();
	done = false;
	others_do = fn;
	host_run_threads(NR_THREADS, first_calls, NULL);
	check_answers(NR_CALLS);
}

static void
relax(unsigned cpu)
{
	(void)cpu;
	arch_cpu_relax();
}

static void
waiting_threads_answer(void)
{
	one_calls_others(relax);
}

static void
start_and_end(unsigned cpu)
{
	host_cpu_ends();
	if (cpu % 2)
		sched_yield();
	host_cpu_starts();
	work(0);
}

static void
threads_start_and_end(void)
{
	one_calls_others(start_and_end);
}

static spinlock_t lock = SPINLOCK_INIT("test", RANK_TEST);

static void
take_lock(unsigned cpu)
{
	irqflags_t flags = spin_lock_irqsave(&lock);

	this_cpu(own).working = true;
	for (unsigned i = 0; i < cpu; i++)
		arch_cpu_relax();
	this_cpu(own).working = false;
	spin_unlock_irqrestore(&lock, flags);
}

static void
threads_hold_a_lock(void)
{
	one_calls_others(take_lock);
}

/* ---- A call waits ---------------------------------------------------------------------- */

static bool held, released, ran;

static void
take_lock_too(void *arg)
{
	irqflags_t flags = spin_lock_irqsave(&lock);

	(void)arg;
	wrong_if(!__atomic_load_n(&released, __ATOMIC_RELAXED));
	if (cpu_id() == 1)
		__atomic_store_n(&ran, true, __ATOMIC_RELAXED);
	spin_unlock_irqrestore(&lock, flags);
	wrong_if(arch_irqs_enabled());
}

static void
call_while_held(unsigned cpu, void *arg)
{
	irqflags_t flags;

	(void)arg;
	if (cpu == 0) {
		while (!__atomic_load_n(&held, __ATOMIC_ACQUIRE))
			arch_cpu_relax();
		arch_call_cpus(take_lock_too, NULL);
		wrong_if(!__atomic_load_n(&ran, __ATOMIC_RELAXED));
		return;
	}
	flags = spin_lock_irqsave(&lock);
	__atomic_store_n(&held, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < 1000; i++)
		arch_cpu_relax();
	wrong_if(__atomic_load_n(&ran, __ATOMIC_RELAXED));
	__atomic_store_n(&released, true, __ATOMIC_RELAXED);
	spin_unlock_irqrestore(&lock, flags);
}

/* The call that wants a lock gets on when the holder, whom it interrupts after that, does. */
static void
call_waits_for_a_lock(void)
{
	begin();
	held = released = ran = false;
	host_run_threads(2, call_while_held, NULL);
	CHECK_EQ(nr_wrong, 0);
	CHECK(ran);
}

/* ---- Mistakes ---------------------------------------------------------------------------- */

static void
call_with_irqs_off(void *arg)
{
	irqflags_t flags = arch_irq_save();

	arch_call_cpus(answer, arg);
	arch_irq_restore(flags);
}

static void
interrupts_off(void)
{
	struct roll_call roll = { .nr_wrong = 0 };

	CHECK(!host_try(call_with_irqs_off, &roll, 1000));
	CHECK_NAMES(host_message, "arch_irqs_enabled()");
	CHECK_EQ(roll.nr[0], 0);
}

/* Panics on one CPU, in the middle of things. */
static void
panic_on(void *arg)
{
	this_cpu(own).working = true;
	if (cpu_id() == *(const unsigned *)arg)
		panic("call test: CPU %u", cpu_id());
	this_cpu(own).working = false;
}

static void
call_panic(void *arg)
{
	arch_call_cpus(panic_on, arg);
}

/* After a panic in a call, on whichever CPU, all is as before. */
static void
panic_in_a_call(void)
{
	begin();
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		char expected[32];

		snprintf(expected, sizeof(expected), "call test: CPU %u", cpu);
		CHECK(!host_try(call_panic, &cpu, 1000));
		CHECK_NAMES(host_message, expected);
		CHECK(!this_cpu(own).working);
		CHECK(!per_cpu(own, cpu).working);
	}
	call_the_roll();
	check_answers(1);
}

static void
call_panic_beside_others(unsigned cpu, void *arg)
{
	unsigned where = 0; /* the only thread that may panic is that with the host_try() */

	(void)arg;
	for (unsigned i = 0; i < 20; i++) {
		if (cpu == 0)
			wrong_if(host_try(call_panic, &where, 1000));
		else
			call_the_roll();
	}
}

/* The others' calls are not lost by it. */
static void
panic_beside_other_calls(void)
{
	begin();
	host_run_threads(NR_THREADS, call_panic_beside_others, NULL);
	CHECK_EQ(nr_wrong, 0);
	nr_wrong = 0;
	call_the_roll();
	CHECK_EQ(nr_wrong, 0);
}

HOST_SUITE(calls, { "alone", alone }, { "all_at_once", all_at_once },
	   { "waiting_threads_answer", waiting_threads_answer },
	   { "threads_start_and_end", threads_start_and_end },
	   { "threads_hold_a_lock", threads_hold_a_lock },
	   { "call_waits_for_a_lock", call_waits_for_a_lock }, { "interrupts_off", interrupts_off },
	   { "panic_in_a_call", panic_in_a_call },
	   { "panic_beside_other_calls", panic_beside_other_calls });
