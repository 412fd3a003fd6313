/* SPDX-License-Identifier: MIT */
/* Interrupts of ISA devices, through the IO-APICs. */
#ifndef IKOS_IRQ_H
#define IKOS_IRQ_H

#include <types.h>

#define NR_ISA_IRQS 16

/*
 * Set up the interrupt hardware: the legacy controller masked, this CPU's local APIC on,
 * every IO-APIC pin masked except the watchdog's. Once, after acpi_init().
 */
void irq_init(void);

/*
 * Have handler() called on the boot CPU, interrupts off, each time the ISA interrupt is
 * raised. The handler may wake threads; it must not sleep.
 */
void irq_install(unsigned isa_irq, void (*handler)(void));

#endif
