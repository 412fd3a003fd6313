/* SPDX-License-Identifier: MIT */
/*
 * IO-APICs: they turn the lines of devices into messages to local APICs.
 *
 * Pins of all IO-APICs together are numbered as global system interrupts (GSI); each
 * IO-APIC covers a range. ISA interrupt n is GSI n unless ACPI says otherwise: the timer,
 * ISA interrupt 0, is GSI 2 on nearly every PC.
 *
 * A register is reached through a window: its number is written to one address, its value
 * read or written at another. That pair is not atomic and not locked: pins are only set up
 * by the boot thread. (Intel 82093AA data sheet, 3.1 and 3.2)
 */
#include <acpi.h>
#include <printk.h>

#include "apic.h"
#include "x86.h"

#define WINDOW_SELECT 0 /* in 32-bit words */
#define WINDOW_DATA   4

#define REG_VERSION 1
#define REG_PIN	    0x10 /* two registers each: low, high */

#define PIN_NMI	       (4u << 8)
#define PIN_ACTIVE_LOW (1u << 13)
#define PIN_LEVEL      (1u << 15)
#define PIN_MASKED     (1u << 16)

struct ioapic {
	void *base;
	uint32_t gsi_base;
	unsigned nr_pins;
};

static struct ioapic ioapics[ACPI_MAX_IOAPICS]; /* (c) */
static unsigned nr_ioapics;			/* (c) */

static uint32_t
read_reg(void *base, unsigned reg)
{
	volatile uint32_t *window = base;

	window[WINDOW_SELECT] = reg;
	return window[WINDOW_DATA];
}

static void
write_reg(void *base, unsigned reg, uint32_t value)
{
	volatile uint32_t *window = base;

	window[WINDOW_SELECT] = reg;
	window[WINDOW_DATA] = value;
}

unsigned
ioapic_nr_pins(void *base)
{
	uint32_t version = read_reg(base, REG_VERSION);

	return version == 0 || version == UINT32_MAX ? 0 : (version >> 16 & 0xff) + 1;
}

/* Masked while it changes, so that no half-written entry delivers anything. */
static void
set_pin(void *base, unsigned pin, uint32_t low, uint32_t apic_id)
{
	write_reg(base, REG_PIN + 2 * pin, PIN_MASKED);
	write_reg(base, REG_PIN + 2 * pin + 1, apic_id << 24);
	write_reg(base, REG_PIN + 2 * pin, low);
}

void
ioapic_set_nmi(void *base, unsigned pin, uint32_t apic_id)
{
	set_pin(base, pin, PIN_NMI, apic_id);
}

/* The IO-APIC that has a GSI, or NULL. */
static struct ioapic *
find_gsi(uint32_t gsi)
{
	for (unsigned i = 0; i < nr_ioapics; i++)
		if (gsi - ioapics[i].gsi_base < ioapics[i].nr_pins)
			return &ioapics[i];
	return NULL;
}

static void
add_ioapic(paddr_t address, uint32_t gsi_base)
{
	void *base = map_mmio(address, PAGE_SIZE);
	unsigned nr_pins = ioapic_nr_pins(base);

	if (!nr_pins) {
		kprintf("ioapic: none answers at %#lx; ignored\n", (unsigned long)address);
		return;
	}
	for (unsigned pin = 0; pin < nr_pins; pin++)
		set_pin(base, pin, PIN_MASKED, 0);
	ioapics[nr_ioapics++] = (struct ioapic){ base, gsi_base, nr_pins };
}

void
ioapic_init(void)
{
	const struct acpi_isa_irq *timer = &acpi_info.isa[0];
	struct ioapic *ioapic;

	for (unsigned i = 0; i < acpi_info.nr_ioapics; i++)
		add_ioapic(acpi_info.ioapic[i].address, acpi_info.ioapic[i].gsi_base);
	if (acpi_info.nr_ioapics == 0)
		add_ioapic(IOAPIC_DEFAULT, 0);

	ioapic = find_gsi(timer->gsi);
	if (ioapic)
		ioapic_set_nmi(ioapic->base, timer->gsi - ioapic->gsi_base, apic_id());
}

void
ioapic_route_isa(unsigned isa_irq, unsigned vector, uint32_t apic_id)
{
	const struct acpi_isa_irq *isa = &acpi_info.isa[isa_irq];
	struct ioapic *ioapic = find_gsi(isa->gsi);

	if (!ioapic) {
		kprintf("ioapic: no pin for ISA interrupt %u; its device will not work\n", isa_irq);
		return;
	}
	set_pin(ioapic->base, isa->gsi - ioapic->gsi_base,
		vector | (isa->active_low ? PIN_ACTIVE_LOW : 0) | (isa->level ? PIN_LEVEL : 0),
		apic_id);
}
