/* SPDX-License-Identifier: MIT */
/* The hardware behind <time.h> and behind preemption. */
#ifndef IKOS_TIMER_H
#define IKOS_TIMER_H

#include <types.h>

/* Measure the clocks and start time_ns() at 0. Once, after irq_init(). About 1 ms. */
void timer_init(void);

/*
 * Interrupt this CPU once, in that many nanoseconds (at least 1000 cycles); replaces what
 * was armed before. The interrupt calls sched_tick(). Interrupts are off.
 */
void timer_arm(uint64_t ns);

/* Forget what was armed. Interrupts are off. */
void timer_disarm(void);

#endif
