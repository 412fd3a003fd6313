/* SPDX-License-Identifier: MIT */
/*
 * A deadline that works even while the kernel spins with interrupts off: past it, the
 * kernel panics with "hang: no end after N ms of virtual time" and the backtrace of what
 * the boot CPU was doing.
 */
#ifndef IKOS_WATCHDOG_H
#define IKOS_WATCHDOG_H

#include <types.h>

/* Find the hardware; without an IO-APIC the other two calls do nothing. Needs only the IDT. */
void watchdog_init(void);

/* Panic unless disarmed or armed again within budget_ns, counted in whole 20 ms. */
void watchdog_arm(uint64_t budget_ns);
void watchdog_disarm(void);

#endif
