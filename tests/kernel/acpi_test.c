/* SPDX-License-Identifier: MIT */
/*
 * The ACPI parser on tables built here, sound ones and damaged ones.
 *
 * The tables lie in a small array that stands for physical memory: address 0 is its first
 * byte, and nothing lies beyond its end. The reader given to acpi_walk() maps from there
 * and counts the complaints.
 */
#include <acpi.h>
#include <ktest.h>
#include <string.h>

#include "../../kernel/acpi/tables.h"

#define MEMORY_SIZE 4096

/* Where each table is put. */
enum {
	RSDP = 0x40,
	RSDT = 0x100,
	XSDT = 0x180,
	MADT = 0x200,
	FADT = 0x400,
	DSDT = 0x600,
};

static uint8_t memory[MEMORY_SIZE];
static unsigned nr_damaged;
static char damaged_table[5]; /* the last one complained about */
static const char *damage;

static const uint8_t *
map(paddr_t start, size_t size)
{
	return start <= MEMORY_SIZE && size <= MEMORY_SIZE - start ? memory + start : NULL;
}

static void
count_damage(const char *table, paddr_t where, const char *why)
{
	(void)where;
	nr_damaged++;
	strlcpy(damaged_table, table, sizeof(damaged_table));
	damage = why;
}

static const struct acpi_reader reader = { map, count_damage };

static void
put32(size_t at, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		memory[at + i] = (uint8_t)(value >> 8 * i);
}

/* Make the bytes [start, start + size) add up to 0 by the one at checksum. */
static void
set_checksum(size_t start, size_t size, size_t checksum)
{
	uint8_t sum = 0;

	memory[checksum] = 0;
	for (size_t i = 0; i < size; i++)
		sum += memory[start + i];
	memory[checksum] = (uint8_t)-sum;
}

static void
finish_table(size_t at, const char *signature, uint32_t length)
{
	memcpy(memory + at, signature, 4);
	put32(at + 4, length);
	set_checksum(at, length, at + 9);
}

static void
build_rsdp(uint8_t revision)
{
	memcpy(memory + RSDP, "RSD PTR ", 8);
	memory[RSDP + 15] = revision;
	put32(RSDP + 16, RSDT);
	put32(RSDP + 20, ACPI_RSDP_SIZE_V2);
	put32(RSDP + 24, XSDT);
	put32(RSDP + 28, 0);
	set_checksum(RSDP, ACPI_RSDP_SIZE, RSDP + 8);
	set_checksum(RSDP, ACPI_RSDP_SIZE_V2, RSDP + 32);
}

/* Three processors, one of them disabled; an IO-APIC; the timer on pin 2; SCI level, low. */
static const uint8_t madt_body[] = {
	0x00, 0x00, 0xe0, 0xfe, 1,    0,    0,	  0,		       /* local APIC, flags */
	0,    8,    0,	  7,	1,    0,    0,	  0,		       /* APIC id 7 */
	0,    8,    1,	  9,	0,    0,    0,	  0,		       /* 9, disabled */
	0,    8,    2,	  3,	1,    0,    0,	  0,		       /* 3 */
	1,    12,   0,	  0,	0x00, 0x00, 0xc0, 0xfe, 16,   0, 0, 0, /* IO-APIC, from GSI 16 */
	2,    10,   0,	  0,	2,    0,    0,	  0,	0,    0,       /* ISA 0 is GSI 2 */
	2,    10,   0,	  9,	9,    0,    0,	  0,	0x0f, 0,       /* ISA 9: low, level */
	4,    6,    0xff, 0,	0,    1,			       /* skipped: NMI pin */
	9,    16,   0,	  0,	0x2c, 1,    0,	  0,	1,    0, 0, 0,
	0,    0,    0,	  0,					       /* x2APIC id 300 */
	5,    12,   0,	  0,	0x00, 0x10, 0xe0, 0xfe, 0,    0, 0, 0, /* local APIC elsewhere */
};

static const uint8_t s5_package[] = { 0x08, '_',  'S',	'5',  '_',  0x12, 0x06,
				      0x04, 0x0a, 0x05, 0x01, 0x00, 0x00 };

/* The whole of a sound machine. */
static void
build_machine(uint8_t rsdp_revision)
{
	memset(memory, 0, sizeof(memory));
	nr_damaged = 0;
	build_rsdp(rsdp_revision);

	put32(RSDT + 36, MADT);
	put32(RSDT + 40, FADT);
	finish_table(RSDT, "RSDT", 44);
	put32(XSDT + 36, MADT);
	put32(XSDT + 44, FADT);
	finish_table(XSDT, "XSDT", 52);

	memcpy(memory + MADT + 36, madt_body, sizeof(madt_body));
	finish_table(MADT, "APIC", 36 + sizeof(madt_body));

	put32(FADT + 40, DSDT);
	put32(FADT + 48, 0xb2);
	memory[FADT + 52] = 0xf1;
	put32(FADT + 64, 0x604);
	put32(FADT + 112, 1u << 10);
	memory[FADT + 116] = 1; /* an I/O port */
	put32(FADT + 120, 0xcf9);
	memory[FADT + 128] = 6;
	finish_table(FADT, "FACP", 132);

	memcpy(memory + DSDT + 50, s5_package, sizeof(s5_package));
	finish_table(DSDT, "DSDT", 80);
}

static struct acpi_info
walk(void)
{
	struct acpi_info info;

	acpi_defaults(&info);
	acpi_walk(&reader, RSDP, &info);
	return info;
}

static void
expect_madt(struct ktest *t, const struct acpi_info *info)
{
	expect_eq(t, info->nr_cpus, 3);
	expect_eq(t, info->apic_id[0], 7);
	expect_eq(t, info->apic_id[1], 3);
	expect_eq(t, info->apic_id[2], 300);
	expect_eq(t, info->lapic, 0xfee01000);
	expect_eq(t, info->nr_ioapics, 1);
	expect_eq(t, info->ioapic[0].address, 0xfec00000);
	expect_eq(t, info->ioapic[0].gsi_base, 16);
	expect_eq(t, info->isa[0].gsi, 2);
	expect_true(t, !info->isa[0].level && !info->isa[0].active_low);
	expect_eq(t, info->isa[4].gsi, 4);
	expect_true(t, info->isa[9].level && info->isa[9].active_low);
}

static void
expect_fadt(struct ktest *t, const struct acpi_info *info)
{
	expect_eq(t, info->smi_command, 0xb2);
	expect_eq(t, info->acpi_enable, 0xf1);
	expect_eq(t, info->pm1a_control, 0x604);
	expect_eq(t, info->pm1b_control, 0);
	expect_true(t, info->reset.present && !info->reset.in_memory);
	expect_eq(t, info->reset.address, 0xcf9);
	expect_eq(t, info->reset_value, 6);
}

/* The parts that no table has said anything about. */
static void
expect_no_madt(struct ktest *t, const struct acpi_info *info)
{
	expect_eq(t, info->nr_cpus, 1);
	expect_eq(t, info->nr_ioapics, 0);
	expect_eq(t, info->lapic, 0xfee00000);
	expect_eq(t, info->isa[9].gsi, 9);
	expect_true(t, !info->isa[9].level);
}

/* param: the revision of the RSDP, hence by RSDT or by XSDT */
KTEST(acpi, sound_tables, .nr_params = 3)
{
	struct acpi_info info;

	build_machine((uint8_t)t->param);
	if (t->param == 2) /* a walk by the RSDT would find nothing */
		put32(RSDT + 36, 0);
	else
		put32(XSDT + 36, 0);
	info = walk();
	expect_eq(t, nr_damaged, 0);
	expect_madt(t, &info);
	expect_fadt(t, &info);
	expect_true(t, info.has_s5);
	expect_eq(t, info.s5_type_a, 5);
	expect_eq(t, info.s5_type_b, 1);
}

/* Any one changed byte of any table: reported, and exactly that table is without effect. */
KTEST(acpi, any_flipped_byte_is_noticed)
{
	static const struct {
		size_t at, size;
	} tables[] = { { MADT, 36 + sizeof(madt_body) }, { FADT, 132 }, { DSDT, 80 } };

	for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
		for (size_t at = 0; at < tables[i].size; at++) {
			struct acpi_info info;

			build_machine(0);
			memory[tables[i].at + at] ^= (uint8_t)(1 + prng_below(&t->prng, 255));
			info = walk();
			expect_eq(t, nr_damaged, 1);
			if (tables[i].at == MADT)
				expect_no_madt(t, &info);
			else
				expect_madt(t, &info);
			if (tables[i].at == FADT)
				expect_eq(t, info.pm1a_control, 0);
			else
				expect_fadt(t, &info);
			expect_true(t, info.has_s5 == (tables[i].at == MADT));
		}
	}
}

KTEST(acpi, damaged_xsdt_falls_back_to_rsdt)
{
	struct acpi_info info;

	build_machine(2);
	memory[XSDT + 20] ^= 1;
	info = walk();
	expect_eq(t, nr_damaged, 1);
	expect_true(t, strcmp(damaged_table, "XSDT") == 0);
	expect_madt(t, &info);
	expect_fadt(t, &info);
}

KTEST(acpi, damaged_rsdp)
{
	struct acpi_info info;

	build_machine(0);
	memory[RSDP + 17] ^= 1;
	info = walk();
	expect_eq(t, nr_damaged, 1);
	expect_true(t, strcmp(damage, "bad checksum") == 0);
	expect_no_madt(t, &info);

	nr_damaged = 0;
	acpi_walk(&reader, MEMORY_SIZE - 8, &info);
	expect_eq(t, nr_damaged, 1);
	expect_true(t, strcmp(damage, "outside of memory") == 0);
}

/* A pointer or a length that leads out of memory must not be followed. */
KTEST(acpi, outside_of_memory)
{
	static const uint32_t lengths[] = { 0, 1, 35, MEMORY_SIZE, UINT32_MAX };
	struct acpi_info info;

	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		build_machine(0);
		put32(MADT + 4, lengths[i]);
		info = walk();
		expect_eq(t, nr_damaged, 1);
		expect_true(t, strcmp(damaged_table, "APIC") == 0);
		expect_no_madt(t, &info);
		expect_fadt(t, &info);
	}
	build_machine(0);
	put32(RSDT + 36, MEMORY_SIZE - 10);
	finish_table(RSDT, "RSDT", 44);
	info = walk();
	expect_eq(t, nr_damaged, 1);
	expect_no_madt(t, &info);
}

/* Damage that the checksum does not show, because the table was made like that. */
KTEST(acpi, bad_madt_entries)
{
	static const struct {
		uint8_t at, length; /* of an entry's length byte, and what it is set to */
		const char *why;
	} cases[] = {
		{ 9, 0, "an entry has a bad length" },	 { 9, 1, "an entry has a bad length" },
		{ 9, 255, "an entry has a bad length" }, { 9, 7, "an entry is too short" },
		{ 33, 11, "an entry is too short" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct acpi_info info;

		build_machine(0);
		memory[MADT + 36 + cases[i].at] = cases[i].length;
		finish_table(MADT, "APIC", 36 + sizeof(madt_body));
		info = walk();
		expect_eq(t, nr_damaged, 1);
		expect_true(t, strcmp(damage, cases[i].why) == 0);
		expect_no_madt(t, &info);
	}
}

KTEST(acpi, cut_off_tables)
{
	struct acpi_info info;

	build_machine(0);
	finish_table(MADT, "APIC", 36 + 9); /* one byte of the first entry */
	finish_table(FADT, "FACP", 115);
	finish_table(DSDT, "DSDT", 50 + 5); /* up to the name */
	info = walk();
	expect_eq(t, nr_damaged, 2);
	expect_no_madt(t, &info);
	expect_eq(t, info.pm1a_control, 0);

	build_machine(0);
	finish_table(DSDT, "DSDT", 50 + 9); /* in the middle of the package */
	info = walk();
	expect_eq(t, nr_damaged, 1);
	expect_true(t, !info.has_s5);
}

KTEST(acpi, more_cpus_than_fit)
{
	struct acpi_info info;
	size_t at = MADT + 44;

	build_machine(0);
	for (unsigned i = 0; i < MAX_CPUS + 5; i++, at += 8) {
		const uint8_t entry[8] = { 0, 8, 0, (uint8_t)i, 1 };

		memcpy(memory + 0x400 + at, entry, sizeof(entry));
	}
	/* A longer table does not fit at MADT: it goes to where nothing else is. */
	memcpy(memory + 0x400 + MADT, memory + MADT, 44);
	memset(memory + FADT, 0, 36);
	put32(RSDT + 36, 0x400 + MADT);
	finish_table(RSDT, "RSDT", 40);
	finish_table(0x400 + MADT, "APIC", (uint32_t)(at - MADT));
	info = walk();
	expect_eq(t, nr_damaged, 0);
	expect_eq(t, info.nr_cpus, MAX_CPUS);
	expect_eq(t, info.nr_cpus_ignored, 5);
	expect_eq(t, info.apic_id[MAX_CPUS - 1], MAX_CPUS - 1);
}

/* Random bytes with a sound header: whatever they say, the parsers stay inside of them. */
KTEST(acpi, random_contents, .nr_params = 4)
{
	static const char *const signatures[] = { "APIC", "FACP", "DSDT", "RSDT" };

	for (unsigned round = 0; round < 500; round++) {
		size_t size = ACPI_HEADER_SIZE + prng_below(&t->prng, 300);
		size_t at = MEMORY_SIZE - size; /* map() allows no byte after it */
		struct acpi_info info;
		paddr_t dsdt;

		build_machine(0);
		for (size_t i = 0; i < size; i++)
			memory[at + i] = (uint8_t)prng_below(&t->prng, i % 2 ? 256 : 16);
		if (t->param == 2 && size > 60)
			memcpy(memory + at + prng_below(&t->prng, size - 60) + 36, s5_package, 8);
		finish_table(at, signatures[t->param], (uint32_t)size);
		acpi_defaults(&info);
		if (t->param == 0)
			(void)acpi_parse_madt(memory + at, size, &info);
		else if (t->param == 1)
			(void)acpi_parse_fadt(memory + at, size, &info, &dsdt);
		else if (t->param == 2)
			(void)acpi_parse_dsdt(memory + at, size, &info);
		put32(RSDP + 16, (uint32_t)at);
		set_checksum(RSDP, ACPI_RSDP_SIZE, RSDP + 8);
		if (t->param == 3)
			acpi_walk(&reader, RSDP, &info);
		expect_le(t, info.nr_cpus, MAX_CPUS);
		expect_le(t, info.nr_ioapics, ACPI_MAX_IOAPICS);
		expect_lt(t, info.s5_type_a, 8);
	}
}

/* What the machine that this runs on says. */
KTEST(acpi, this_machine)
{
	expect_le(t, 1, acpi_info.nr_cpus);
	expect_le(t, nr_cpus, acpi_info.nr_cpus);
	for (unsigned i = 0; i < acpi_info.nr_cpus; i++)
		for (unsigned j = 0; j < i; j++)
			expect_ne(t, acpi_info.apic_id[i], acpi_info.apic_id[j]);
	if (acpi_info.pm1a_control)
		expect_true(t, acpi_info.has_s5);
}
