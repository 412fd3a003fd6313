/* SPDX-License-Identifier: MIT */
/*
 * The watchdog: ends a kernel that hangs, even with interrupts off and before memory
 * management works, and says where it hung.
 *
 *	PIT channel 0 --> IO-APIC pin --> NMI to the boot CPU, every 20 ms while armed
 *
 * The processor takes a non-maskable interrupt whatever its interrupt flag says. The
 * handler counts the interrupts and panics when the budget is used up. Nothing in it
 * depends on the rest of the kernel; the PIT runs on the machine's own time, which under
 * an instruction-counting emulator makes the very instruction at which it strikes
 * repeatable.
 *
 * The boot CPU stands for all: if another one hangs while the boot CPU waits for it, the
 * deadline passes just the same.
 *
 * Before memory management the IO-APIC is reached where nearly every PC has it, through
 * the boot page tables; ioapic_init() sets up the same pin again from what ACPI says. To
 * start and stop, only the PIT is touched, through ports, so arming works at any time.
 *
 * The other user of NMIs is a panic, which stops other CPUs by them.
 */
#include <page.h>
#include <watchdog.h>

#include "apic.h"
#include "ipi.h"
#include "x86.h"

#define PIT_HZ	       1193182u
#define PIT_CHANNEL0   0x40
#define PIT_COMMAND    0x43
#define PIT_PERIODIC   0x34 /* channel 0, low byte then high, mode 2 */
#define PIT_ONE_SHOT   0x30 /* the same in mode 0, which stops by itself */
#define TICK_NS	       (20 * NSEC_PER_MSEC)
#define PIT_TICK_COUNT (PIT_HZ / (NSEC_PER_SEC / TICK_NS))
#define TIMER_PIN      2 /* where PCs wire the PIT; see ioapic_init() */

static bool present;	    /* (c) */
static uint64_t ticks_left; /* atomic; 0: not armed */
static uint64_t budget_ms;  /* written while not armed */

/* Another CPU may arm or disarm meanwhile: then the exchange fails, and this tick is void. */
static void
watchdog_tick(struct trap_frame *frame)
{
	uint64_t left = __atomic_load_n(&ticks_left, __ATOMIC_ACQUIRE);

	if (left == 0 || !__atomic_compare_exchange_n(&ticks_left, &left, left - 1, false,
						      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return;
	if (left == 1)
		panic_frame(frame, "hang: no end after %lu ms of virtual time",
			    (unsigned long)budget_ms);
}

static void
nmi(struct trap_frame *frame)
{
	if (smp_stopping())
		smp_halt();
	if (cpu_id() == 0)
		watchdog_tick(frame);
}

static void
pit_start(unsigned mode, uint16_t count)
{
	outb(PIT_COMMAND, (uint8_t)mode);
	outb(PIT_CHANNEL0, (uint8_t)count);
	outb(PIT_CHANNEL0, (uint8_t)(count >> 8));
}

void
watchdog_init(void)
{
	void *ioapic = phys_to_virt(IOAPIC_DEFAULT);

	trap_set_handler(VECTOR_NMI, nmi);
	pit_start(PIT_ONE_SHOT, 1);
	if (ioapic_nr_pins(ioapic) <= TIMER_PIN)
		return;
	ioapic_set_nmi(ioapic, TIMER_PIN, cpuid(1, 0).ebx >> 24);
	present = true;
}

void
watchdog_disarm(void)
{
	if (!present)
		return;
	__atomic_store_n(&ticks_left, 0, __ATOMIC_RELEASE);
	pit_start(PIT_ONE_SHOT, 1);
}

void
watchdog_arm(uint64_t budget_ns)
{
	if (!present)
		return;
	watchdog_disarm();
	budget_ms = budget_ns / NSEC_PER_MSEC;
	pit_start(PIT_PERIODIC, PIT_TICK_COUNT);
	__atomic_store_n(&ticks_left, (budget_ns + TICK_NS - 1) / TICK_NS, __ATOMIC_RELEASE);
}
