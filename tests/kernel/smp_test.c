/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs: each answers calls, has its own per-CPU variables and the same time; a
 * translation that was shot down is gone everywhere; nobody waits for ever.
 */
#include <arch.h>
#include <ktest.h>
#include <memory_advanced.h>
#include <panic.h>
#include <percpu.h>
#include <smp.h>
#include <string.h>
#include <thread.h>
#include <time.h>

#include "../../kernel/x86_64/pte.h"
#include "../../kernel/x86_64/x86.h"

static DEFINE_PER_CPU(uint64_t, scratch) = 42;

struct answer {
	unsigned cpu;
	bool irqs_enabled;
	uint64_t ns;
	uint64_t *scratch;
};

static void
give_answer(void *arg)
{
	*(struct answer *)arg = (struct answer){
		.cpu = cpu_id(),
		.irqs_enabled = arch_irqs_enabled(),
		.ns = time_ns(),
		.scratch = &this_cpu(scratch),
	};
}

KTEST(smp, every_cpu_answers)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		struct answer answer = { .cpu = MAX_CPUS };
		uint64_t before = time_ns();

		smp_call(cpu, give_answer, &answer);
		expect_eq(t, answer.cpu, cpu);
		expect_true(t, !answer.irqs_enabled);
		expect_le(t, before, answer.ns);
		expect_le(t, answer.ns, time_ns());
		for (unsigned other = 0; other < cpu; other++)
			expect_ne(t, arch_cpus[other].apic_id, arch_cpus[cpu].apic_id);
	}
}

static void
add_to_scratch(void *arg)
{
	this_cpu(scratch) += *(const uint64_t *)arg;
}

KTEST(smp, percpu_variables_are_distinct)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		uint64_t amount = 1000 * (cpu + 1);
		struct answer answer;

		per_cpu(scratch, cpu) = cpu;
		smp_call(cpu, add_to_scratch, &amount);
		smp_call(cpu, give_answer, &answer);
		expect_eq(t, (uintptr_t)answer.scratch, (uintptr_t)&per_cpu(scratch, cpu));
	}
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		expect_eq(t, per_cpu(scratch, cpu), cpu + 1000 * (cpu + 1));
		per_cpu(scratch, cpu) = 42;
	}
}

/* ---- Everybody calls everybody ---------------------------------------------------- */

#define CALL_ROUNDS 20

static unsigned calls_answered;

static void
count_call(void *arg)
{
	(void)arg;
	__atomic_add_fetch(&calls_answered, 1, __ATOMIC_RELAXED);
}

/* With interrupts off, a CPU can only answer others while it waits for its own answers. */
static void
call_everybody(void *arg)
{
	irqflags_t flags = arch_irq_save();

	(void)arg;
	for (unsigned round = 0; round < CALL_ROUNDS; round++) {
		for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
			smp_call(cpu, count_call, NULL);
		tlb_shootdown(0, (round % 2 ? 1 : 100) * PAGE_SIZE);
	}
	arch_irq_restore(flags);
}

KTEST(smp, calls_with_interrupts_off_do_not_deadlock, .min_cpus = 2, .budget_ms = 30000)
{
	struct thread *threads[4];
	unsigned nr = MIN(nr_cpus, ARRAY_SIZE(threads));

	calls_answered = 0;
	for (unsigned i = 0; i < nr; i++) {
		threads[i] = thread_create("caller", call_everybody, NULL, (int)i);
		assert_true(t, threads[i] != NULL);
	}
	for (unsigned i = 0; i < nr; i++)
		thread_join(threads[i]);
	expect_eq(t, calls_answered, nr * nr_cpus * CALL_ROUNDS);
}

/* ---- Calls of all CPUs, for the memory manager ------------------------------------- */

struct roll_call {
	unsigned nr[MAX_CPUS];
	unsigned nr_irqs_on; /* atomic */
};

static void
answer_roll_call(void *arg)
{
	struct roll_call *roll = arg;

	roll->nr[cpu_id()]++;
	if (arch_irqs_enabled())
		__atomic_add_fetch(&roll->nr_irqs_on, 1, __ATOMIC_RELAXED);
}

/* Returns how many CPUs did not answer exactly once with interrupts off. */
static unsigned
call_the_roll(void)
{
	struct roll_call roll = { .nr_irqs_on = 0 };
	unsigned nr_wrong;

	arch_call_cpus(answer_roll_call, &roll);
	nr_wrong = roll.nr_irqs_on + !arch_irqs_enabled();
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		nr_wrong += roll.nr[cpu] != (cpu < nr_cpus);
	return nr_wrong;
}

KTEST(smp, all_cpus_answer_once)
{
	for (unsigned round = 0; round < CALL_ROUNDS; round++)
		expect_eq(t, call_the_roll(), 0);
}

static unsigned nr_roll_calls_wrong;

static void
call_the_roll_often(void *arg)
{
	(void)arg;
	for (unsigned round = 0; round < CALL_ROUNDS; round++)
		__atomic_add_fetch(&nr_roll_calls_wrong, call_the_roll(), __ATOMIC_RELAXED);
}

/* Two callers on each CPU, so that one may be preempted in favour of the other. */
KTEST(smp, all_cpus_answer_all_callers, .budget_ms = 30000)
{
	struct thread *threads[8];
	unsigned nr = MIN(2 * nr_cpus, ARRAY_SIZE(threads));

	nr_roll_calls_wrong = 0;
	for (unsigned i = 0; i < nr; i++) {
		threads[i] = thread_create("caller", call_the_roll_often, NULL, (int)(i / 2));
		assert_true(t, threads[i] != NULL);
	}
	for (unsigned i = 0; i < nr; i++)
		thread_join(threads[i]);
	expect_eq(t, nr_roll_calls_wrong, 0);
}

/* ---- Shootdown ---------------------------------------------------------------------- */

struct reading {
	volatile uint64_t *address;
	uint64_t value;
};

static void
read_value(void *arg)
{
	struct reading *reading = arg;

	reading->value = *reading->address;
}

static void
expect_value_on_all_cpus(struct ktest *t, volatile uint64_t *address, uint64_t value)
{
	struct reading reading = { .address = address };

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		reading.value = 0;
		smp_call(cpu, read_value, &reading);
		expect_eq(t, reading.value, value);
	}
}

/*
 * Map another frame where all CPUs have just read, and ask again. The place is a page of a
 * stack that no thread uses. param 0: one page, so by address; 1: a range so long that
 * everything is flushed.
 */
KTEST(smp, shootdown_reaches_all_cpus, .min_cpus = 2, .nr_params = 2)
{
	uintptr_t top = kstack_alloc(GFP_KERNEL), at = top - PAGE_SIZE;
	struct page *frame = alloc_pages(GFP_KERNEL, 0);
	uint64_t *pte = kernel_map_entry(at), old = *pte;

	assert_true(t, top && frame);
	*(uint64_t *)at = 1;
	*(uint64_t *)page_to_virt(frame) = 2;
	for (unsigned round = 0; round < 10; round++) {
		expect_value_on_all_cpus(t, (uint64_t *)at, 1);
		*pte = (old & ~PTE_ADDRESS) | page_to_pfn(frame) << PAGE_SHIFT;
		tlb_shootdown(at, t->param ? at + 40 * PAGE_SIZE : top);
		expect_value_on_all_cpus(t, (uint64_t *)at, 2);
		*pte = old;
		tlb_shootdown(at, t->param ? at + 40 * PAGE_SIZE : top);
	}
	__free_pages(frame, 0);
	kstack_free(top);
}

/* ---- The end -------------------------------------------------------------------------- */

static void
spin_for_ever(void *arg)
{
	arch_irq_disable();
	__atomic_add_fetch((unsigned *)arg, 1, __ATOMIC_RELEASE);
	for (;;)
		arch_cpu_relax();
}

/* Every other CPU spins with interrupts off: only an NMI gets through to it. */
KTEST(smp, panic_stops_all_cpus, .min_cpus = 2, .expect_panic = "smp test: the end")
{
	static unsigned spinning;

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (cpu != 0)
			assert_true(t, thread_create("spin", spin_for_ever, &spinning, (int)cpu));
	while (__atomic_load_n(&spinning, __ATOMIC_ACQUIRE) < nr_cpus - 1)
		thread_sleep_ns(NSEC_PER_MSEC);
	panic("smp test: the end");
}

#ifdef IKOS_DEBUG
KTEST(smp, call_with_a_lock_held, .expect_panic = "lock test: held while waiting")
{
	static spinlock_t lock = SPINLOCK_INIT("test", RANK_TEST);

	spin_lock_irqsave(&lock);
	smp_call(0, count_call, t);
}

/* Two mistakes in one: with interrupts off the call would not be looked at so far. */
KTEST(smp, call_of_all_cpus_with_a_lock_held, .expect_panic = "lock test: held while waiting")
{
	static spinlock_t lock = SPINLOCK_INIT("test", RANK_TEST);

	spin_lock_irqsave(&lock);
	arch_irq_enable();
	arch_call_cpus(count_call, t);
}

KTEST(smp, call_of_all_cpus_with_interrupts_off, .expect_panic = "kernel/x86_64/shootdown.c")
{
	arch_irq_disable();
	arch_call_cpus(count_call, t);
}
#endif
