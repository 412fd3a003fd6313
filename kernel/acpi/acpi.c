/* SPDX-License-Identifier: MIT */
/*
 * Finding the ACPI tables, and the walk over them.
 *
 * The boot loader tells where the RSDP is; if not, it lies on a 16-byte boundary in one of
 * two areas below 1 MiB (5.2.5.1). Every table is checked before it is used: mapped at
 * all, length, checksum. One that fails is reported in one line and counts as absent; the
 * kernel then runs with less (one CPU, no soft power off), but it runs.
 */
#include <arch.h>
#include <bootinfo.h>
#include <page.h>
#include <printk.h>
#include <string.h>

#include "../x86_64/x86.h"
#include "tables.h"

struct acpi_info acpi_info;

#define EBDA_SEGMENT  0x40e /* the BIOS keeps the segment of its extended data area here */
#define EBDA_SCAN     1024
#define BIOS_START    0xe0000
#define BIOS_END      0x100000
#define RSDP_BOUNDARY 16

#define LAPIC_DEFAULT 0xfee00000 /* Intel SDM vol. 3, 11.4.1 */

void
acpi_defaults(struct acpi_info *info)
{
	*info = (struct acpi_info){ .nr_cpus = 1, .lapic = LAPIC_DEFAULT };
	for (unsigned irq = 0; irq < NR_ISA_IRQS; irq++)
		info->isa[irq].gsi = irq;
	info->isa[0].gsi = 2; /* how PCs have always wired their timer */
}

/* ---- The walk -------------------------------------------------------------------- */

/*
 * Map the table at address and check it. Returns what is wrong, or NULL, and then the
 * table in *bytes and *size. name gets its signature, as far as it can be read.
 */
static const char *
map_table(const struct acpi_reader *reader, paddr_t address, const char *signature,
	  const uint8_t **bytes, size_t *size, char name[5])
{
	*bytes = reader->map(address, ACPI_HEADER_SIZE);
	if (!*bytes)
		return "outside of memory";
	for (unsigned i = 0; i < 4; i++)
		name[i] = (*bytes)[i] > ' ' && (*bytes)[i] <= '~' ? (char)(*bytes)[i] : '?';
	*size = acpi_u32(*bytes + 4);
	if (*size < ACPI_HEADER_SIZE || *size > ACPI_TABLE_MAX)
		return "bad length";
	*bytes = reader->map(address, *size);
	return *bytes ? acpi_check_table(*bytes, *size, signature) : "reaches outside of memory";
}

/* The same, but a table that is not sound is reported and NULL. signature NULL: any. */
static const uint8_t *
sound_table(const struct acpi_reader *reader, paddr_t address, const char *signature, size_t *size)
{
	char name[5] = "?";
	const uint8_t *bytes;
	const char *why = map_table(reader, address, signature, &bytes, size, name);

	if (!why)
		return bytes;
	reader->damaged(signature ? signature : name, address, why);
	return NULL;
}

static void
read_fadt(const struct acpi_reader *reader, paddr_t address, const uint8_t *bytes, size_t size,
	  struct acpi_info *info)
{
	paddr_t dsdt = 0;
	const char *why = acpi_parse_fadt(bytes, size, info, &dsdt);

	if (why) {
		reader->damaged("FACP", address, why);
		return;
	}
	bytes = sound_table(reader, dsdt, "DSDT", &size);
	if (!bytes)
		return;
	why = acpi_parse_dsdt(bytes, size, info);
	if (why)
		reader->damaged("DSDT", dsdt, why);
}

static void
read_table(const struct acpi_reader *reader, paddr_t address, struct acpi_info *info)
{
	size_t size;
	const uint8_t *bytes = sound_table(reader, address, NULL, &size);
	const char *why;

	if (!bytes)
		return;
	if (memcmp(bytes, "FACP", 4) == 0)
		read_fadt(reader, address, bytes, size, info);
	if (memcmp(bytes, "APIC", 4) == 0) {
		why = acpi_parse_madt(bytes, size, info);
		if (why)
			reader->damaged("APIC", address, why);
	}
}

/* Read every table that the RSDT or XSDT lists. Returns false if it is damaged itself. */
static bool
read_root(const struct acpi_reader *reader, paddr_t root, const char *signature, size_t entry_size,
	  struct acpi_info *info)
{
	size_t size;
	const uint8_t *bytes = sound_table(reader, root, signature, &size);

	if (!bytes)
		return false;
	for (size_t at = ACPI_HEADER_SIZE; at + entry_size <= size; at += entry_size)
		read_table(reader, entry_size == 8 ? acpi_u64(bytes + at) : acpi_u32(bytes + at),
			   info);
	return true;
}

void
acpi_walk(const struct acpi_reader *reader, paddr_t rsdp, struct acpi_info *info)
{
	const uint8_t *bytes = reader->map(rsdp, ACPI_RSDP_SIZE_V2);
	size_t size = ACPI_RSDP_SIZE_V2;
	const char *why = "outside of memory";
	paddr_t rsdt, xsdt;

	if (!bytes) {
		bytes = reader->map(rsdp, ACPI_RSDP_SIZE);
		size = ACPI_RSDP_SIZE;
	}
	if (bytes)
		why = acpi_parse_rsdp(bytes, size, &rsdt, &xsdt);
	if (why) {
		reader->damaged("RSDP", rsdp, why);
		return;
	}
	if (xsdt && read_root(reader, xsdt, "XSDT", 8, info))
		return;
	if (rsdt)
		read_root(reader, rsdt, "RSDT", 4, info);
}

/* ---- This machine ------------------------------------------------------------------ */

/* Through the direct map, as far as it reaches: a damaged address must not fault. */
static const uint8_t *
map_firmware(paddr_t start, size_t size)
{
	uintptr_t first = (uintptr_t)phys_to_virt(start), at = first;
	unsigned shift;

	if (start >= DIRECT_MAP_SIZE || size > DIRECT_MAP_SIZE - start)
		return NULL;
	while (at < first + size) {
		if (!kernel_map_lookup(at, &shift))
			return NULL;
		at = ALIGN_DOWN(at, 1ul << shift) + (1ul << shift);
	}
	return (const uint8_t *)first;
}

static void
report_damage(const char *table, paddr_t where, const char *why)
{
	kprintf("acpi: table %s at %#lx: %s; ignored\n", table, (unsigned long)where, why);
}

static paddr_t
scan_for_rsdp(paddr_t start, paddr_t end)
{
	paddr_t rsdt, xsdt;

	for (paddr_t at = start; at + ACPI_RSDP_SIZE <= end; at += RSDP_BOUNDARY) {
		const uint8_t *bytes = map_firmware(at, ACPI_RSDP_SIZE);

		if (bytes && !acpi_parse_rsdp(bytes, ACPI_RSDP_SIZE, &rsdt, &xsdt))
			return at;
	}
	return 0;
}

static paddr_t
find_rsdp(void)
{
	const uint8_t *segment = map_firmware(EBDA_SEGMENT, 2);
	paddr_t ebda = segment ? (paddr_t)acpi_u16(segment) << 4 : 0;
	paddr_t found = 0;

	if (ebda)
		found = scan_for_rsdp(ebda, ebda + EBDA_SCAN);
	return found ? found : scan_for_rsdp(BIOS_START, BIOS_END);
}

void
acpi_init(void)
{
	static const struct acpi_reader reader = { map_firmware, report_damage };
	paddr_t rsdp = boot_info.rsdp ? boot_info.rsdp : find_rsdp();

	acpi_defaults(&acpi_info);
	if (!rsdp) {
		kprintf("acpi: no tables found: using one CPU\n");
		return;
	}
	acpi_walk(&reader, rsdp, &acpi_info);
	if (acpi_info.nr_cpus_ignored)
		kprintf("acpi: %u CPUs more than the %u that this kernel can use; ignored\n",
			acpi_info.nr_cpus_ignored, MAX_CPUS);
}
