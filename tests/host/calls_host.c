/* SPDX-License-Identifier: MIT */
/*
 * arch_call_cpus() of the host build: interrupting the threads that play CPUs.
 *
 * A thread takes an "interrupt" where the kernel could: when it turns interrupts on, or
 * relaxes with interrupts on. A CPU that no thread plays at the moment cannot answer; then the
 * caller plays it for that long.
 *
 *	wanted[cpu]	set by the caller, taken back by whoever runs the call for that CPU
 *	state[cpu]	IDLE, or PLAYED by a thread, or CLAIMED by a caller
 *
 * One call at a time; who waits for its turn, or for answers, answers others meanwhile.
 *
 * What is called may panic, and a test may expect it to: host_try() then leaves the call half
 * done. host_abandon_calls() ends it, so that the next one does not wait for ever.
 *
 * A thread that does neither of the two above, such as one that sleeps in the C library,
 * keeps every caller waiting.
 */
#include <arch.h>
#include <panic.h>
#include <percpu.h>
#include <string.h>

#include "host.h"

enum cpu_state { IDLE, PLAYED, CLAIMED };

unsigned nr_cpus = 4;
bool host_wanted[MAX_CPUS];

static enum cpu_state state[MAX_CPUS] = { [0] = PLAYED }; /* main() is CPU 0 */
static bool calling;					  /* somebody's call is under way */
static _Thread_local bool is_caller;			  /* it is this thread's */
static _Thread_local bool serving;			  /* this thread is in call.fn() */

static struct {
	void (*fn)(void *);
	void *arg;
	unsigned pending; /* CPUs that have yet to answer */
	/* While the caller plays another CPU: which it is itself, and what that one's were. */
	unsigned self;
	bool elsewhere;
	char percpu_before[HOST_PERCPU_SIZE];
} call;

static bool
change_state(unsigned cpu, enum cpu_state from, enum cpu_state to)
{
	return __atomic_compare_exchange_n(&state[cpu], &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

/* Run the call for this CPU if it is wanted. Interrupts are off meanwhile. */
void
host_serve_calls(void)
{
	bool off = host_irqs_off;

	if (!__atomic_exchange_n(&host_wanted[host_cpu_id], false, __ATOMIC_ACQ_REL))
		return;
	host_irqs_off = true;
	serving = true;
	call.fn(call.arg);
	serving = false;
	host_irqs_off = off;
	__atomic_sub_fetch(&call.pending, 1, __ATOMIC_RELEASE);
}

void
host_cpu_starts(void)
{
	while (!change_state(host_cpu_id, IDLE, PLAYED))
		sched_yield();
}

void
host_cpu_ends(void)
{
	host_serve_calls();
	ASSERT(change_state(host_cpu_id, PLAYED, IDLE));
}

/* How many CPUs a thread plays. Exact only while none of them can start or end. */
unsigned
host_cpus_played(void)
{
	unsigned nr = 0;

	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		nr += __atomic_load_n(&state[cpu], __ATOMIC_ACQUIRE) == PLAYED;
	return nr;
}

/* Answer for a CPU that no thread plays. */
static void
answer_for(unsigned cpu)
{
	if (!change_state(cpu, IDLE, CLAIMED))
		return;
	memcpy(call.percpu_before, host_percpu[cpu], HOST_PERCPU_SIZE);
	call.self = host_cpu_id;
	call.elsewhere = true;
	host_cpu_id = cpu;
	host_serve_calls();
	host_cpu_id = call.self;
	call.elsewhere = false;
	ASSERT(change_state(cpu, CLAIMED, IDLE));
}

/* The caller is back on its own CPU; the one that it played has not done anything. */
static void
leave_played_cpu(void)
{
	unsigned cpu = host_cpu_id;

	memcpy(host_percpu[cpu], call.percpu_before, HOST_PERCPU_SIZE);
	host_cpu_id = call.self;
	call.elsewhere = false;
	ASSERT(change_state(cpu, CLAIMED, IDLE));
}

/*
 * This thread has left a call by a panic: it counts as answered if it was answering one, and
 * is answered by nobody else if it was its own. Before anything that depends on the CPU.
 */
void
host_abandon_calls(void)
{
	if (is_caller && call.elsewhere)
		leave_played_cpu();
	if (serving)
		__atomic_sub_fetch(&call.pending, 1, __ATOMIC_RELEASE);
	serving = false;
	if (!is_caller)
		return;
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		if (__atomic_exchange_n(&host_wanted[cpu], false, __ATOMIC_ACQ_REL))
			__atomic_sub_fetch(&call.pending, 1, __ATOMIC_RELEASE);
	}
	/* Others may be in the middle of it. */
	while (__atomic_load_n(&call.pending, __ATOMIC_ACQUIRE))
		sched_yield();
	is_caller = false;
	__atomic_store_n(&calling, false, __ATOMIC_RELEASE);
}

void
arch_call_cpus(void (*fn)(void *), void *arg)
{
	irqflags_t flags;

	ASSERT(arch_irqs_enabled());
	flags = arch_irq_save();
	while (__atomic_exchange_n(&calling, true, __ATOMIC_ACQUIRE)) {
		host_serve_calls();
		sched_yield();
	}
	is_caller = true;
	call.fn = fn;
	call.arg = arg;
	__atomic_store_n(&call.pending, nr_cpus, __ATOMIC_RELAXED);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		__atomic_store_n(&host_wanted[cpu], true, __ATOMIC_RELEASE);
	while (__atomic_load_n(&call.pending, __ATOMIC_ACQUIRE)) {
		host_serve_calls();
		for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
			if (__atomic_load_n(&host_wanted[cpu], __ATOMIC_RELAXED))
				answer_for(cpu);
		}
		sched_yield();
	}
	is_caller = false;
	__atomic_store_n(&calling, false, __ATOMIC_RELEASE);
	arch_irq_restore(flags);
}

/* ---- Standing still ------------------------------------------------------------------ */

static bool standstill_over;
static unsigned nr_standing;

static void
stand(void *arg)
{
	(void)arg;
	__atomic_add_fetch(&nr_standing, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&standstill_over, __ATOMIC_ACQUIRE))
		sched_yield();
}

/* Have each other CPU stand, or see that no thread begins to play it. Returns the latter. */
static uint64_t
stop_others(void)
{
	uint64_t claimed = 0;
	unsigned left = nr_cpus - 1;

	__atomic_store_n(&call.pending, left, __ATOMIC_RELAXED);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		__atomic_store_n(&host_wanted[cpu], cpu != host_cpu_id, __ATOMIC_RELEASE);
	while (__atomic_load_n(&nr_standing, __ATOMIC_ACQUIRE) < left) {
		for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
			if (!__atomic_load_n(&host_wanted[cpu], __ATOMIC_RELAXED) ||
			    !change_state(cpu, IDLE, CLAIMED))
				continue;
			__atomic_store_n(&host_wanted[cpu], false, __ATOMIC_RELAXED);
			__atomic_sub_fetch(&call.pending, 1, __ATOMIC_RELAXED);
			claimed |= 1ull << cpu;
			left--;
		}
		sched_yield();
	}
	return claimed;
}

void
arch_stand_still(void (*fn)(void *), void *arg)
{
	irqflags_t flags;
	uint64_t claimed;

	ASSERT(arch_irqs_enabled());
	flags = arch_irq_save();
	while (__atomic_exchange_n(&calling, true, __ATOMIC_ACQUIRE)) {
		host_serve_calls();
		sched_yield();
	}
	is_caller = true;
	nr_standing = 0;
	__atomic_store_n(&standstill_over, false, __ATOMIC_RELAXED);
	call.fn = stand;
	call.arg = NULL;
	claimed = stop_others();
	fn(arg);
	__atomic_store_n(&standstill_over, true, __ATOMIC_RELEASE);
	while (__atomic_load_n(&call.pending, __ATOMIC_ACQUIRE))
		sched_yield();
	for (; claimed; claimed &= claimed - 1)
		ASSERT(change_state((unsigned)__builtin_ctzll(claimed), CLAIMED, IDLE));
	is_caller = false;
	__atomic_store_n(&calling, false, __ATOMIC_RELEASE);
	arch_irq_restore(flags);
}
