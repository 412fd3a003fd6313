/* SPDX-License-Identifier: MIT */
/* What the firmware's ACPI tables say about the machine, in plain form. */
#ifndef IKOS_ACPI_H
#define IKOS_ACPI_H

#include <irq.h>
#include <percpu.h>
#include <types.h>

#define ACPI_MAX_IOAPICS 8

struct acpi_ioapic {
	paddr_t address;
	uint32_t gsi_base; /* its pin 0 is this global system interrupt */
};

/* How an ISA interrupt reaches the IO-APICs. */
struct acpi_isa_irq {
	uint32_t gsi;
	bool active_low;
	bool level;
};

struct acpi_register {
	bool present;
	bool in_memory; /* else an I/O port */
	uint64_t address;
};

struct acpi_info {
	/* MADT; without one: one CPU, whose id is not known, and no IO-APIC */
	unsigned nr_cpus;	    /* enabled ones, at least 1 */
	unsigned nr_cpus_ignored;   /* enabled ones beyond MAX_CPUS */
	uint32_t apic_id[MAX_CPUS]; /* of [0, nr_cpus), in the table's order */
	paddr_t lapic;		    /* registers of the local APIC */
	unsigned nr_ioapics;
	struct acpi_ioapic ioapic[ACPI_MAX_IOAPICS];
	struct acpi_isa_irq isa[NR_ISA_IRQS];

	/* FADT and DSDT: how to switch off and how to reset */
	uint16_t pm1a_control, pm1b_control; /* ports; 0: absent */
	uint16_t smi_command;		     /* port; 0: ACPI mode is always on */
	uint8_t acpi_enable;		     /* to write there before pm1*_control */
	bool has_s5;
	uint8_t s5_type_a, s5_type_b; /* SLP_TYP of the off state, for pm1a and pm1b */
	struct acpi_register reset;
	uint8_t reset_value;
};

extern struct acpi_info acpi_info;

/*
 * Fill in acpi_info. Tables that are damaged are reported, each in one line, and ignored.
 * After kernel_map_init().
 */
void acpi_init(void);

#endif
