/* SPDX-License-Identifier: MIT */
/*
 * The contents of the ACPI tables that matter to this kernel.
 *
 * Firmware is written by others, and tables do arrive damaged. So every function here is
 * pure: it reads the bytes it was given and no others, and writes only its result. A
 * table is taken whole or not at all: the parsers fill in a copy and hand it over at the
 * end, so half a damaged table never decides anything.
 *
 *	RSDP --> RSDT (32-bit addresses) --> MADT  "APIC": processors, interrupt controllers
 *	     \-> XSDT (64-bit addresses) --> FADT  "FACP": power --> DSDT: program, holds \_S5_
 *
 * The numbers in comments are sections of the ACPI specification, version 6.4.
 */
#include <string.h>

#include "tables.h"

static uint8_t
sum(const uint8_t *bytes, size_t size)
{
	uint8_t total = 0;

	while (size--)
		total += *bytes++;
	return total;
}

/* 5.2.5.3 */
const char *
acpi_parse_rsdp(const uint8_t *bytes, size_t size, paddr_t *rsdt, paddr_t *xsdt)
{
	if (size < ACPI_RSDP_SIZE)
		return "too short";
	if (memcmp(bytes, "RSD PTR ", 8) != 0)
		return "no signature";
	if (sum(bytes, ACPI_RSDP_SIZE) != 0)
		return "bad checksum";
	*rsdt = acpi_u32(bytes + 16);
	*xsdt = 0;
	if (bytes[15] >= 2 && size >= ACPI_RSDP_SIZE_V2 &&
	    acpi_u32(bytes + 20) >= ACPI_RSDP_SIZE_V2 && sum(bytes, ACPI_RSDP_SIZE_V2) == 0)
		*xsdt = acpi_u64(bytes + 24);
	return NULL;
}

/* 5.2.6 */
const char *
acpi_check_table(const uint8_t *bytes, size_t size, const char *signature)
{
	uint32_t length;

	if (size < ACPI_HEADER_SIZE)
		return "too short";
	if (signature && memcmp(bytes, signature, 4) != 0)
		return "wrong signature";
	length = acpi_u32(bytes + 4);
	if (length < ACPI_HEADER_SIZE || length > size)
		return "bad length";
	return sum(bytes, length) ? "bad checksum" : NULL;
}

/* ---- MADT, 5.2.12 ------------------------------------------------------------ */

#define MADT_LAPIC_ADDRESS 36
#define MADT_ENTRIES	   44

/* 5.2.12, table 5.21 */
enum madt_type {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_ISA_OVERRIDE = 2,
	MADT_LAPIC_OVERRIDE = 5,
	MADT_X2APIC = 9,
	NR_MADT_TYPES,
};

/* The shortest sound entry of each type; 0: a type that we skip. */
static const uint8_t madt_entry_size[NR_MADT_TYPES] = {
	[MADT_LAPIC] = 8,	    [MADT_IOAPIC] = 12, [MADT_ISA_OVERRIDE] = 10,
	[MADT_LAPIC_OVERRIDE] = 12, [MADT_X2APIC] = 16,
};

/* Flag bit 0 is "enabled": the others are empty sockets. */
static void
madt_add_cpu(struct acpi_info *info, uint32_t apic_id, uint32_t flags)
{
	if (!(flags & 1))
		return;
	for (unsigned i = 0; i < info->nr_cpus; i++) /* listed as LAPIC and as x2APIC */
		if (info->apic_id[i] == apic_id)
			return;
	if (info->nr_cpus == MAX_CPUS)
		info->nr_cpus_ignored++;
	else
		info->apic_id[info->nr_cpus++] = apic_id;
}

static void
madt_add_ioapic(struct acpi_info *info, paddr_t address, uint32_t gsi_base)
{
	if (info->nr_ioapics < ACPI_MAX_IOAPICS)
		info->ioapic[info->nr_ioapics++] = (struct acpi_ioapic){ address, gsi_base };
}

/* 5.2.12.5: two fields of two bits; 0 means "as ISA does it": edge, active high. */
static void
madt_override(struct acpi_info *info, unsigned isa_irq, uint32_t gsi, uint16_t flags)
{
	if (isa_irq < NR_ISA_IRQS)
		info->isa[isa_irq] = (struct acpi_isa_irq){
			.gsi = gsi,
			.active_low = (flags & 3) == 3,
			.level = (flags >> 2 & 3) == 3,
		};
}

static void
madt_entry(const uint8_t *e, struct acpi_info *info)
{
	switch (e[0]) {
	case MADT_LAPIC:
		madt_add_cpu(info, e[3], acpi_u32(e + 4));
		break;
	case MADT_X2APIC:
		madt_add_cpu(info, acpi_u32(e + 4), acpi_u32(e + 8));
		break;
	case MADT_IOAPIC:
		madt_add_ioapic(info, acpi_u32(e + 4), acpi_u32(e + 8));
		break;
	case MADT_ISA_OVERRIDE:
		madt_override(info, e[3], acpi_u32(e + 4), acpi_u16(e + 8));
		break;
	case MADT_LAPIC_OVERRIDE:
		info->lapic = acpi_u64(e + 4);
		break;
	}
}

const char *
acpi_parse_madt(const uint8_t *bytes, size_t size, struct acpi_info *info)
{
	struct acpi_info new = *info;
	size_t length;

	if (size < MADT_ENTRIES)
		return "too short";
	new.nr_cpus = 0;
	new.nr_ioapics = 0;
	new.lapic = acpi_u32(bytes + MADT_LAPIC_ADDRESS);
	for (unsigned irq = 0; irq < NR_ISA_IRQS; irq++)
		new.isa[irq] = (struct acpi_isa_irq){ .gsi = irq };

	for (size_t at = MADT_ENTRIES; at < size; at += length) {
		if (size - at < 2)
			return "an entry is cut off";
		length = bytes[at + 1];
		if (length < 2 || length > size - at)
			return "an entry has a bad length";
		if (bytes[at] < NR_MADT_TYPES && length < madt_entry_size[bytes[at]])
			return "an entry is too short";
		madt_entry(bytes + at, &new);
	}
	if (new.nr_cpus == 0)
		return "it lists no processor";
	*info = new;
	return NULL;
}

/* ---- FADT, 5.2.9 --------------------------------------------------------------- */

#define FADT_DSDT	 40
#define FADT_SMI_COMMAND 48
#define FADT_ACPI_ENABLE 52
#define FADT_PM1A	 64
#define FADT_PM1B	 68
#define FADT_FLAGS	 112
#define FADT_RESET	 116
#define FADT_RESET_VALUE 128
#define FADT_X_DSDT	 140
#define FADT_SIZE_V1	 116
#define FADT_FLAG_RESET	 (1u << 10)

/* 5.2.3.2: a generic address: space, width, offset, access size, 64-bit address. */
static struct acpi_register
generic_address(const uint8_t *p)
{
	struct acpi_register reg = { .in_memory = p[0] == 0, .address = acpi_u64(p + 4) };

	reg.present = p[0] <= 1 && reg.address != 0;
	return reg;
}

const char *
acpi_parse_fadt(const uint8_t *bytes, size_t size, struct acpi_info *info, paddr_t *dsdt)
{
	if (size < FADT_SIZE_V1)
		return "too short";
	*dsdt = acpi_u32(bytes + FADT_DSDT);
	info->smi_command = (uint16_t)acpi_u32(bytes + FADT_SMI_COMMAND);
	info->acpi_enable = bytes[FADT_ACPI_ENABLE];
	info->pm1a_control = (uint16_t)acpi_u32(bytes + FADT_PM1A);
	info->pm1b_control = (uint16_t)acpi_u32(bytes + FADT_PM1B);
	if (size > FADT_RESET_VALUE && acpi_u32(bytes + FADT_FLAGS) & FADT_FLAG_RESET) {
		info->reset = generic_address(bytes + FADT_RESET);
		info->reset_value = bytes[FADT_RESET_VALUE];
	}
	if (size >= FADT_X_DSDT + 8 && acpi_u64(bytes + FADT_X_DSDT) != 0)
		*dsdt = acpi_u64(bytes + FADT_X_DSDT);
	return NULL;
}

/* ---- DSDT: the package \_S5_, 7.4.2 and 20.2 ------------------------------------- */

#define AML_ZERO    0x00
#define AML_ONE	    0x01
#define AML_NAME    0x08
#define AML_BYTE    0x0a
#define AML_WORD    0x0b
#define AML_DWORD   0x0c
#define AML_PACKAGE 0x12

/* Take one integer at *at. Returns false if there is none before end. (20.2.3) */
static bool
aml_integer(const uint8_t *bytes, size_t end, size_t *at, uint8_t *value)
{
	size_t width;

	if (*at >= end)
		return false;
	switch (bytes[*at]) {
	case AML_ZERO:
	case AML_ONE:
		*value = bytes[(*at)++];
		return true;
	case AML_BYTE:
		width = 1;
		break;
	case AML_WORD:
		width = 2;
		break;
	case AML_DWORD:
		width = 4;
		break;
	default:
		return false;
	}
	if (end - *at <= width)
		return false;
	*value = bytes[*at + 1]; /* SLP_TYP has three bits: the low byte is enough */
	*at += 1 + width;
	return true;
}

/* Two integers of the package that starts at *at. (20.2.4, 20.2.5.4) */
static bool
aml_package(const uint8_t *bytes, size_t size, size_t at, uint8_t *a, uint8_t *b)
{
	size_t length_bytes;

	if (size - at < 3 || bytes[at] != AML_PACKAGE)
		return false;
	length_bytes = 1 + (bytes[at + 1] >> 6);
	at += 1 + length_bytes + 1; /* the last one counts the elements */
	return aml_integer(bytes, size, &at, a) && aml_integer(bytes, size, &at, b);
}

/*
 * Reading \_S5_ properly takes an interpreter for the whole language. Firmware writes it
 * as a constant, Name (\_S5_, Package () { a, b, ... }), which has one fixed encoding: so
 * look for those bytes.
 */
const char *
acpi_parse_dsdt(const uint8_t *bytes, size_t size, struct acpi_info *info)
{
	uint8_t a, b;

	for (size_t at = ACPI_HEADER_SIZE + 1; at + 4 <= size; at++) {
		bool named = bytes[at - 1] == AML_NAME ||
			     (bytes[at - 1] == '\\' && bytes[at - 2] == AML_NAME);

		if (!named || memcmp(bytes + at, "_S5_", 4) != 0)
			continue;
		if (!aml_package(bytes, size, at + 4, &a, &b))
			return "\\_S5_ is no constant package";
		info->s5_type_a = a & 7;
		info->s5_type_b = b & 7;
		info->has_s5 = true;
		return NULL;
	}
	return NULL; /* a machine without a soft off state */
}
