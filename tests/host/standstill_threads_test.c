/* SPDX-License-Identifier: MIT */
/*
 * arch_stand_still(): while the function runs nobody else does anything with interrupts off,
 * whether threads play the other CPUs, or nobody, or they start and end meanwhile. What the
 * function reads is not atomic, so under the thread sanitizer a CPU that does not stand shows.
 */
#include "host.h"

#include <arch.h>
#include <panic.h>
#include <percpu.h>
#include <spinlock.h>

#define NR_THREADS 4
#define NR_LOOKS   150 /* of each caller */

/* What each CPU changes without a lock, with interrupts off. */
static uint64_t begun[MAX_CPUS], ended[MAX_CPUS];

static unsigned nr_looking, nr_looks; /* only while others stand */
static unsigned nr_wrong;	      /* atomic; threads may not use CHECK */
static bool done;		      /* atomic */

static void
wrong_if(bool wrong)
{
	if (wrong)
		__atomic_add_fetch(&nr_wrong, 1, __ATOMIC_RELAXED);
}

static void
work(void)
{
	irqflags_t flags = arch_irq_save();

	begun[cpu_id()]++;
	arch_cpu_relax();
	ended[cpu_id()]++;
	arch_irq_restore(flags);
}

/* Nobody is in the middle of work, and nobody gets on with it. */
static void
look(void *cpu)
{
	uint64_t before = 0, after = 0;

	wrong_if(arch_irqs_enabled() || cpu_id() != *(const unsigned *)cpu);
	wrong_if(nr_looking++ != 0);
	for (unsigned i = 0; i < MAX_CPUS; i++) {
		wrong_if(begun[i] != ended[i]);
		before += begun[i];
	}
	for (unsigned i = 0; i < 5; i++)
		arch_cpu_relax();
	for (unsigned i = 0; i < MAX_CPUS; i++)
		after += begun[i];
	wrong_if(before != after);
	nr_looking--;
	nr_looks++;
}

static void
stand_and_look(void)
{
	unsigned cpu = cpu_id();

	arch_stand_still(look, &cpu);
	wrong_if(!arch_irqs_enabled() || cpu_id() != cpu);
}

static void
run(unsigned nr_threads, void (*fn)(unsigned cpu, void *arg), void *arg)
{
	nr_wrong = nr_looking = nr_looks = 0;
	done = false;
	host_run_threads(nr_threads, fn, arg);
	CHECK_EQ(nr_wrong, 0);
}

/* Nobody plays the other CPUs, and nobody does afterwards. */
static void
alone(void)
{
	nr_wrong = nr_looks = 0;
	for (unsigned i = 0; i < 10; i++)
		stand_and_look();
	CHECK_EQ(nr_wrong, 0);
	CHECK_EQ(nr_looks, 10);
	CHECK_EQ(host_cpus_played(), 1);
}

/* ---- One looks, the others work ------------------------------------------------------ */

static void
first_looks(unsigned cpu, void *others_do)
{
	void (*const *fn)(unsigned cpu) = others_do;

	if (cpu != 0) {
		while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
			(*fn)(cpu);
		return;
	}
	for (unsigned i = 0; i < NR_LOOKS; i++)
		stand_and_look();
	__atomic_store_n(&done, true, __ATOMIC_RELEASE);
}

static void
one_looks(void (*others_do)(unsigned cpu))
{
	run(NR_THREADS, first_looks, &others_do);
	CHECK_EQ(nr_looks, NR_LOOKS);
}

static void
only_work(unsigned cpu)
{
	(void)cpu;
	work();
}

static void
others_work(void)
{
	one_looks(only_work);
}

/* A CPU that nobody plays can be played again only after it. */
static void
start_and_end(unsigned cpu)
{
	host_cpu_ends();
	if (cpu % 2)
		sched_yield();
	host_cpu_starts();
	work();
}

static void
others_start_and_end(void)
{
	one_looks(start_and_end);
}

static spinlock_t lock = SPINLOCK_INIT("test", RANK_TEST);

/* With the lock held, a CPU does not stand: so whoever looks could take it. */
static void
work_locked(unsigned cpu)
{
	irqflags_t flags = spin_lock_irqsave(&lock);

	begun[cpu]++;
	arch_cpu_relax();
	ended[cpu]++;
	spin_unlock_irqrestore(&lock, flags);
}

static void
others_hold_a_lock(void)
{
	one_looks(work_locked);
}

/* ---- Several callers ----------------------------------------------------------------- */

static void
count_answer(void *nr)
{
	__atomic_add_fetch((unsigned *)nr, 1, __ATOMIC_RELAXED);
}

static void
all_look(unsigned cpu, void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < NR_LOOKS; i++) {
		unsigned nr = 0;

		work();
		stand_and_look();
		if (i % 4 != cpu)
			continue;
		arch_call_cpus(count_answer, &nr);
		wrong_if(nr != nr_cpus);
	}
}

/* Two that want each other to stand take turns. */
static void
two_callers(void)
{
	run(2, all_look, NULL);
	CHECK_EQ(nr_looks, 2 * NR_LOOKS);
}

/* So do all, who call each other as well. */
static void
all_call(void)
{
	run(NR_THREADS, all_look, NULL);
	CHECK_EQ(nr_looks, NR_THREADS * NR_LOOKS);
}

/* ---- Mistakes ------------------------------------------------------------------------ */

static void
with_irqs_off(void *arg)
{
	irqflags_t flags = arch_irq_save();

	arch_stand_still(look, arg);
	arch_irq_restore(flags);
}

static void
interrupts_off(void)
{
	unsigned cpu = 0;

	CHECK(!host_try(with_irqs_off, &cpu, 1000));
	CHECK_NAMES(host_message, "arch_irqs_enabled()");
}

static void
fall_down(void *arg)
{
	(void)arg;
	panic("standstill test");
}

static void
stand_and_fall(void *arg)
{
	arch_stand_still(fall_down, arg);
}

static void
first_falls(unsigned cpu, void *arg)
{
	for (unsigned i = 0; i < 20; i++) {
		if (cpu == 0)
			wrong_if(host_try(stand_and_fall, arg, 1000));
		else
			work();
		if (cpu == 1)
			stand_and_look();
	}
}

/* After a panic nobody stands any more, whether anybody plays the others or not. */
static void
panic_while_others_stand(void)
{
	CHECK(!host_try(stand_and_fall, NULL, 1000));
	CHECK_NAMES(host_message, "standstill test");
	run(NR_THREADS, first_falls, NULL);
	CHECK_EQ(nr_looks, 20);
	CHECK_EQ(host_cpus_played(), 1);
	stand_and_look();
	CHECK_EQ(nr_looks, 21);
}

HOST_SUITE(standstill, { "alone", alone }, { "others_work", others_work },
	   { "others_start_and_end", others_start_and_end },
	   { "others_hold_a_lock", others_hold_a_lock }, { "two_callers", two_callers },
	   { "all_call", all_call }, { "interrupts_off", interrupts_off },
	   { "panic_while_others_stand", panic_while_others_stand });
