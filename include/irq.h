/* SPDX-License-Identifier: MIT */
/* Interrupts: of ISA devices, through the IO-APICs, and of devices that send messages. */
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

/* What a device writes, and where to, to interrupt. */
struct irq_message {
	uint64_t address;
	uint32_t data;
};

/*
 * The same for a device that sends messages: handler(arg) is called for each *message. Returns
 * false if there are no more vectors.
 */
bool irq_install_message(void (*handler)(void *arg), void *arg, struct irq_message *message);

#endif
