/* SPDX-License-Identifier: MIT */
/*
 * The local APIC: each CPU's own interrupt controller, its timer, and its way to
 * interrupt other CPUs.
 *
 * Every CPU finds its own registers at the same physical address (xAPIC). If the firmware
 * has switched on x2APIC mode, which cannot be left without a reset, the same registers
 * are model-specific ones instead: number 0x800 + offset / 16. Nothing here is shared, so
 * nothing is locked.
 *
 * Sending is one write of the interrupt command register, ICR. In xAPIC mode it is two,
 * the destination first; an interrupt between them could send and so spoil the
 * destination, hence interrupts are off around both. (Intel SDM vol. 3, chapter 11)
 */
#include "apic.h"

#include <acpi.h>
#include <irq.h>

#include "x86.h"

#define MSR_APIC_BASE	 0x1bu
#define APIC_BASE_X2APIC (1u << 10)
#define APIC_BASE_ENABLE (1u << 11)
#define MSR_X2APIC	 0x800u

/* Registers, by their byte offsets. */
enum {
	REG_ID = 0x20,
	REG_TASK_PRIORITY = 0x80,
	REG_EOI = 0xb0,
	REG_SPURIOUS = 0xf0,
	REG_ICR = 0x300,
	REG_ICR_DESTINATION = 0x310, /* bits 24 to 31; xAPIC only */
	REG_LVT_TIMER = 0x320,
	REG_LVT_LINT0 = 0x350,
	REG_LVT_LINT1 = 0x360,
	REG_LVT_ERROR = 0x370,
	REG_TIMER_INITIAL = 0x380,
	REG_TIMER_CURRENT = 0x390,
	REG_TIMER_DIVIDE = 0x3e0,
};

#define SPURIOUS_ENABLE	  (1u << 8)
#define LVT_MASKED	  (1u << 16)
#define TIMER_DIVIDE_BY_1 0xbu

#define ICR_NMI	    (4u << 8)
#define ICR_INIT    (5u << 8)
#define ICR_STARTUP (6u << 8)
#define ICR_PENDING (1u << 12) /* xAPIC only */
#define ICR_ASSERT  (1u << 14)

static volatile uint32_t *registers; /* (c) NULL in x2APIC mode */

static uint32_t
read_reg(unsigned offset)
{
	return registers ? registers[offset / 4] : (uint32_t)rdmsr(MSR_X2APIC + offset / 16);
}

static void
write_reg(unsigned offset, uint32_t value)
{
	if (registers)
		registers[offset / 4] = value;
	else
		wrmsr(MSR_X2APIC + offset / 16, value);
}

/* The boot CPU decides the mode for all. */
void
apic_init(void)
{
	if (!(rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC))
		registers = map_mmio(acpi_info.lapic, PAGE_SIZE);
}

void
apic_init_cpu(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;

	wrmsr(MSR_APIC_BASE, base); /* x2APIC can only be entered from the enabled state */
	if (!registers)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
	write_reg(REG_TASK_PRIORITY, 0); /* accept every vector */
	write_reg(REG_LVT_TIMER, LVT_MASKED);
	write_reg(REG_LVT_LINT0, LVT_MASKED); /* the legacy controller's way in */
	write_reg(REG_LVT_LINT1, LVT_MASKED);
	write_reg(REG_LVT_ERROR, LVT_MASKED);
	write_reg(REG_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
	write_reg(REG_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
	write_reg(REG_TIMER_INITIAL, 0);
	write_reg(REG_LVT_TIMER, VECTOR_TIMER); /* one-shot: fires once for each start */
}

uint32_t
apic_id(void)
{
	return registers ? read_reg(REG_ID) >> 24 : read_reg(REG_ID);
}

bool
apic_reaches(uint32_t apic_id)
{
	return !registers || apic_id < 255; /* 255 is everybody */
}

void
apic_eoi(void)
{
	write_reg(REG_EOI, 0);
}

static void
send(uint32_t apic_id, uint32_t command)
{
	irqflags_t flags = arch_irq_save();

	if (registers) {
		while (read_reg(REG_ICR) & ICR_PENDING)
			arch_cpu_relax();
		write_reg(REG_ICR_DESTINATION, apic_id << 24);
		write_reg(REG_ICR, command);
	} else {
		/* An MSR write does not order the stores before it: the fence does. */
		__asm__ volatile("mfence; lfence" ::: "memory");
		wrmsr(MSR_X2APIC + REG_ICR / 16, (uint64_t)apic_id << 32 | command);
	}
	arch_irq_restore(flags);
}

void
apic_send_ipi(uint32_t apic_id, unsigned vector)
{
	send(apic_id, ICR_ASSERT | vector);
}

void
apic_send_nmi(uint32_t apic_id)
{
	send(apic_id, ICR_ASSERT | ICR_NMI);
}

void
apic_send_init(uint32_t apic_id)
{
	send(apic_id, ICR_ASSERT | ICR_INIT);
}

void
apic_send_startup(uint32_t apic_id, unsigned page)
{
	send(apic_id, ICR_ASSERT | ICR_STARTUP | page);
}

void
apic_timer_start(uint32_t ticks)
{
	write_reg(REG_TIMER_INITIAL, ticks);
}

uint32_t
apic_timer_left(void)
{
	return read_reg(REG_TIMER_CURRENT);
}
