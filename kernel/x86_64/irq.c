/* SPDX-License-Identifier: MIT */
/*
 * From interrupt vectors to handlers.
 *
 *	device --> IO-APIC pin --> vector 32 + n --> isa_interrupt() --> installed handler
 *	device -----(message)----> vector 64 + n --> message_interrupt() --> the same
 *	other CPU --> local APIC --> VECTOR_CALL, VECTOR_RESCHEDULE (see shootdown.c)
 *
 * Device interrupts all go to the boot CPU: with so few of them, spreading them would buy
 * nothing. Handlers run with interrupts off on the stack of the interrupted thread. The
 * end of the interrupt is signalled before a switch to another thread, or this CPU would
 * get no further interrupt until the first thread runs again.
 */
#include <irq.h>
#include <panic.h>
#include <sched.h>

#include "apic.h"
#include "ipi.h"
#include "x86.h"

/* The legacy 8259 pair is never used, only silenced. */
#define PIC1_COMMAND 0x20
#define PIC1_DATA    0x21
#define PIC2_COMMAND 0xa0
#define PIC2_DATA    0xa1
#define PIC_INIT     0x11 /* begin initialisation, four words */
#define PIC_8086     0x01

/* Where a write is a message to a local APIC. (Intel SDM vol. 3, 11.11) */
#define MESSAGE_ADDRESS	    0xfee00000u
#define MESSAGE_ADDRESS_CPU 12 /* the APIC id, eight bits, from here */

static void (*isa_handler[NR_ISA_IRQS])(void); /* (c) once its pin is unmasked */

static struct message_handler {
	void (*handler)(void *arg);
	void *arg;
} message_handlers[VECTOR_MESSAGE_END - VECTOR_MESSAGE_BASE]; /* (c) once it is given out */
static unsigned nr_messages;				      /* atomic */

/*
 * Masked alone is not enough: a spurious interrupt is not maskable. So move its vectors
 * away from the processor's exceptions first, to a block that is never used.
 */
static void
pic_disable(void)
{
	enum { unused_vectors = 0x30 };

	outb(PIC1_COMMAND, PIC_INIT);
	outb(PIC2_COMMAND, PIC_INIT);
	outb(PIC1_DATA, unused_vectors);
	outb(PIC2_DATA, unused_vectors + 8);
	outb(PIC1_DATA, 1 << 2); /* the second one hangs on line 2 */
	outb(PIC2_DATA, 2);
	outb(PIC1_DATA, PIC_8086);
	outb(PIC2_DATA, PIC_8086);
	outb(PIC1_DATA, 0xff);
	outb(PIC2_DATA, 0xff);
}

static void
isa_interrupt(struct trap_frame *frame)
{
	isa_handler[frame->vector - VECTOR_ISA_BASE]();
	apic_eoi();
	sched_preempt();
}

/* An interrupt that went away before it was delivered: not to be acknowledged. */
static void
spurious_interrupt(struct trap_frame *frame)
{
	(void)frame;
}

void
irq_init(void)
{
	pic_disable();
	trap_set_handler(VECTOR_SPURIOUS, spurious_interrupt);
	apic_init();
	apic_init_cpu();
	arch_cpus[0].apic_id = apic_id();
	ioapic_init();
	ipi_init();
}

void
irq_install(unsigned isa_irq, void (*handler)(void))
{
	ASSERT_LT(isa_irq, NR_ISA_IRQS);
	ASSERT(!isa_handler[isa_irq]);
	isa_handler[isa_irq] = handler;
	trap_set_handler(VECTOR_ISA_BASE + isa_irq, isa_interrupt);
	ioapic_route_isa(isa_irq, VECTOR_ISA_BASE + isa_irq, arch_cpus[0].apic_id);
}

static void
message_interrupt(struct trap_frame *frame)
{
	struct message_handler *message = &message_handlers[frame->vector - VECTOR_MESSAGE_BASE];

	message->handler(message->arg);
	apic_eoi();
	sched_preempt();
}

bool
irq_install_message(void (*handler)(void *arg), void *arg, struct irq_message *message)
{
	unsigned number = __atomic_fetch_add(&nr_messages, 1, __ATOMIC_RELAXED);
	unsigned vector = VECTOR_MESSAGE_BASE + number;

	if (vector >= VECTOR_MESSAGE_END || arch_cpus[0].apic_id >= 0xff)
		return false;
	message_handlers[number] = (struct message_handler){ handler, arg };
	trap_set_handler(vector, message_interrupt);
	message->address = MESSAGE_ADDRESS | arch_cpus[0].apic_id << MESSAGE_ADDRESS_CPU;
	message->data = vector;
	return true;
}
