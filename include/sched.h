/* SPDX-License-Identifier: MIT */
/* The scheduler's side towards the machine; threads themselves are in <thread.h>. */
#ifndef IKOS_SCHED_H
#define IKOS_SCHED_H

#include <types.h>

/* Make the running code thread 0, "main", of CPU 0. Once, after timer_init(). */
void sched_init(void);

/* Make the running code this CPU's idle thread; it runs threads for ever. Interrupts are off. */
_Noreturn void sched_start_cpu(void);

/*
 * This CPU's timer expired. Called at the end of the interrupt, interrupts off. in_user: it came
 * from user mode.
 */
void sched_tick(bool in_user);

/* Let an idle CPU run what became ready. Called at the end of interrupts, interrupts off. */
void sched_preempt(void);

/* What a CPU has done since the start, and how often it went from one thread to another. */
struct cpu_times {
	uint64_t user_ns, system_ns, idle_ns;
	uint64_t nr_switches;
};

void sched_get_cpu_times(unsigned cpu, struct cpu_times *times);

#endif
