/* SPDX-License-Identifier: MIT */
/* Reading ACPI tables: bytes in, struct acpi_info out. Private to ACPI and its tests. */
#ifndef ACPI_TABLES_H
#define ACPI_TABLES_H

#include <acpi.h>
#include <types.h>

#define ACPI_RSDP_SIZE	  20 /* of revision 0; the part that every RSDP has */
#define ACPI_RSDP_SIZE_V2 36
#define ACPI_HEADER_SIZE  36
#define ACPI_TABLE_MAX	  MiB(16) /* longer ones are taken for damaged */

/* Little-endian fields at any alignment. */
static inline uint16_t
acpi_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t
acpi_u32(const uint8_t *p)
{
	return acpi_u16(p) | (uint32_t)acpi_u16(p + 2) << 16;
}

static inline uint64_t
acpi_u64(const uint8_t *p)
{
	return acpi_u32(p) | (uint64_t)acpi_u32(p + 4) << 32;
}

/*
 * The functions below look at no byte outside of [bytes, bytes + size). Those that check
 * return NULL, or what is wrong in a few words, and then have changed nothing.
 */

/* The RSDP. Without the second part (revision 0, or it is damaged) *xsdt is 0. */
const char *acpi_parse_rsdp(const uint8_t *bytes, size_t size, paddr_t *rsdt, paddr_t *xsdt);

/* Header and checksum of any other table; signature may be NULL. */
const char *acpi_check_table(const uint8_t *bytes, size_t size, const char *signature);

/* Tables that acpi_check_table() found sound. */
const char *acpi_parse_madt(const uint8_t *bytes, size_t size, struct acpi_info *info);
const char *acpi_parse_fadt(const uint8_t *bytes, size_t size, struct acpi_info *info,
			    paddr_t *dsdt);
const char *acpi_parse_dsdt(const uint8_t *bytes, size_t size, struct acpi_info *info);

/* How the walk over the tables reaches memory, and whom it tells about damage. */
struct acpi_reader {
	/* Where [start, start + size) can be read, or NULL if it is not all there. */
	const uint8_t *(*map)(paddr_t start, size_t size);
	void (*damaged)(const char *table, paddr_t where, const char *why);
};

/* What holds with no tables at all. The boot CPU's APIC id is left 0. */
void acpi_defaults(struct acpi_info *info);

/* Walk all tables from the RSDP at rsdp; info holds the defaults before. */
void acpi_walk(const struct acpi_reader *reader, paddr_t rsdp, struct acpi_info *info);

#endif
