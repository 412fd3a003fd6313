/* SPDX-License-Identifier: MIT */
/* Interrupt controllers and the vectors they deliver; private to kernel/x86_64. */
#ifndef X86_APIC_H
#define X86_APIC_H

#include <types.h>

struct trap_frame;

enum {
	VECTOR_ISA_BASE = 32,	  /* ISA interrupt n is vector 32 + n */
	VECTOR_MESSAGE_BASE = 64, /* one for each device that sends messages */
	VECTOR_MESSAGE_END = 128,
	VECTOR_TIMER = 0xf0,
	VECTOR_RESCHEDULE = 0xf1,
	VECTOR_CALL = 0xf2,
	VECTOR_SPURIOUS = 0xff,
};

/* ---- Local APIC: apic.c --------------------------------------------------------- */

void apic_init(void);	  /* map the registers, once, on the boot CPU */
void apic_init_cpu(void); /* switch this CPU's on, with the timer stopped */

uint32_t apic_id(void); /* of this CPU */
void apic_eoi(void);	/* end of the interrupt being handled */

/* Can messages be addressed to that APIC id? xAPIC mode has only eight bits for it. */
bool apic_reaches(uint32_t apic_id);

/* To the CPU of that APIC id. Callable from any context. */
void apic_send_ipi(uint32_t apic_id, unsigned vector);
void apic_send_nmi(uint32_t apic_id);
void apic_send_init(uint32_t apic_id);
void apic_send_startup(uint32_t apic_id, unsigned page); /* start at page << 12, real mode */

/* This CPU's timer: interrupt after that many ticks, 0 stops it; what is left of them. */
void apic_timer_start(uint32_t ticks);
uint32_t apic_timer_left(void);

/* ---- IO-APICs: ioapic.c ------------------------------------------------------------ */

#define IOAPIC_DEFAULT 0xfec00000u /* where the first one is when nobody tells */

/* Pins of the IO-APIC with registers at base, or 0 if nothing answers there. */
unsigned ioapic_nr_pins(void *base);

/* Deliver a pin as NMI, edge-triggered, active high. */
void ioapic_set_nmi(void *base, unsigned pin, uint32_t apic_id);

/* Map every IO-APIC and mask all pins except the watchdog's. */
void ioapic_init(void);

/* Deliver an ISA interrupt as a vector to the CPU of that APIC id. */
void ioapic_route_isa(unsigned isa_irq, unsigned vector, uint32_t apic_id);

#endif
