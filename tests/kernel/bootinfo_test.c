/* SPDX-License-Identifier: MIT */
/*
 * The boot loaders' information, good and damaged. The bytes of a case lie at the end of an
 * array that is the whole "physical memory" of the parser, so that any byte read beyond
 * it would be missed from the result or fault.
 */
#include <bootinfo.h>
#include <errno.h>
#include <ktest.h>
#include <string.h>

#include "../../kernel/x86_64/bootinfo_parse.h"

#define MEMORY_SIZE 8192
#define INFO	    1024 /* where the information begins */

static uint8_t memory[MEMORY_SIZE] __attribute__((aligned(8)));
static struct boot_info result;
static uint64_t fill; /* address of the next byte */

static void
begin(void)
{
	memset(memory, 0xa5, sizeof(memory));
	memset(&result, 0, sizeof(result));
	fill = INFO;
}

static void
put32(uint32_t value)
{
	memcpy(memory + fill, &value, sizeof(value));
	fill += sizeof(value);
}

static void
put64(uint64_t value)
{
	memcpy(memory + fill, &value, sizeof(value));
	fill += sizeof(value);
}

static void
put_string(const char *string)
{
	memcpy(memory + fill, string, strlen(string) + 1);
	fill += strlen(string) + 1;
}

static void
poke32(uint64_t address, uint32_t value)
{
	memcpy(memory + address, &value, sizeof(value));
}

/* ---- multiboot2 ----------------------------------------------------------- */

static void
mb2_begin(void)
{
	begin();
	put32(0); /* total size: mb2_parse() */
	put32(0);
}

/* Begin a tag; returns its address. */
static uint64_t
mb2_tag(uint32_t type)
{
	fill = ALIGN_UP(fill, 8);
	put32(type);
	put32(0);
	return fill - 8;
}

static void
mb2_tag_end(uint64_t tag)
{
	poke32(tag + 4, (uint32_t)(fill - tag));
}

static void
mb2_string_tag(uint32_t type, const char *string)
{
	uint64_t tag = mb2_tag(type);

	put_string(string);
	mb2_tag_end(tag);
}

static void
mb2_module(uint32_t start, uint32_t end, const char *args)
{
	uint64_t tag = mb2_tag(3);

	put32(start);
	put32(end);
	put_string(args);
	mb2_tag_end(tag);
}

/* A map with one usable MiB at 16 MiB and one range of each other type. */
static uint64_t
mb2_memory_map(void)
{
	uint64_t tag = mb2_tag(6);

	put32(24);
	put32(0);
	for (uint32_t type = 1; type <= 6; type++) {
		put64(MiB(16) * type);
		put64(MiB(1));
		put32(type);
		put32(0);
	}
	mb2_tag_end(tag);
	return tag;
}

static void
mb2_finish(void)
{
	mb2_tag_end(mb2_tag(0));
	poke32(INFO, (uint32_t)(fill - INFO));
}

static int
mb2_parse(void)
{
	memset(&result, 0, sizeof(result));
	return bootinfo_parse_multiboot2(memory, sizeof(memory), INFO, &result);
}

static void
expect_kinds(struct ktest *t)
{
	static const enum memory_kind kinds[] = { MEMORY_USABLE,       MEMORY_RESERVED,
						  MEMORY_ACPI_RECLAIM, MEMORY_ACPI_NVS,
						  MEMORY_BAD,	       MEMORY_RESERVED };

	assert_eq(t, result.map.nr, ARRAY_SIZE(kinds));
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		expect_eq(t, result.map.range[i].start, MiB(16) * (i + 1));
		expect_eq(t, result.map.range[i].end, MiB(16) * (i + 1) + MiB(1));
		expect_eq(t, result.map.range[i].kind, kinds[i]);
	}
}

KTEST(bootinfo, multiboot2)
{
	uint64_t rsdp;

	mb2_begin();
	mb2_string_tag(1, "ktest=all seed=7");
	mb2_string_tag(2, "a loader's name is skipped");
	mb2_module(0x200000, 0x201234, "one a=b");
	mb2_module(0x300000, 0x300000, "");
	mb2_memory_map();
	rsdp = mb2_tag(15) + 8;
	fill += 36;
	mb2_tag_end(rsdp - 8);
	mb2_string_tag(14, "an ACPI 1.0 RSDP does not win");
	mb2_finish();

	expect_eq(t, mb2_parse(), 0);
	expect_eq(t, strcmp(result.loader, "multiboot2"), 0);
	expect_eq(t, strcmp(result.cmdline, "ktest=all seed=7"), 0);
	expect_kinds(t);
	expect_eq(t, result.nr_modules, 2);
	expect_eq(t, result.modules[0].start, 0x200000);
	expect_eq(t, result.modules[0].end, 0x201234);
	expect_eq(t, strcmp(result.modules[0].args, "one a=b"), 0);
	expect_eq(t, result.rsdp, rsdp);
}

KTEST(bootinfo, multiboot2_tag_sizes)
{
	static const uint32_t sizes[] = {
		0, 1, 7, MEMORY_SIZE, 0x7fffffff, 0xfffffff8, 0xffffffff
	};

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t tag;

		mb2_begin();
		mb2_string_tag(1, "kept");
		tag = mb2_memory_map();
		mb2_finish();
		poke32(tag + 4, sizes[i]);
		expect_eq(t, mb2_parse(), (uint64_t)-EINVAL);
		expect_eq(t, strcmp(result.cmdline, "kept"), 0);
		expect_eq(t, result.map.nr, 0);
	}
}

KTEST(bootinfo, multiboot2_total_size)
{
	static const uint32_t sizes[] = { 0, 7, 8, 16, MEMORY_SIZE, 0xffffffff };

	mb2_begin();
	mb2_string_tag(1, "x");
	mb2_finish();
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		poke32(INFO, sizes[i]);
		expect_eq(t, mb2_parse(), (uint64_t)-EINVAL);
	}
	expect_eq(t, bootinfo_parse_multiboot2(memory, INFO + 4, INFO, &result), (uint64_t)-EINVAL);
	expect_eq(t, bootinfo_parse_multiboot2(memory, MEMORY_SIZE, MEMORY_SIZE, &result),
		  (uint64_t)-EINVAL);
	expect_eq(t, bootinfo_parse_multiboot2(memory, MEMORY_SIZE, 0xfffffffc, &result),
		  (uint64_t)-EINVAL);
}

/* A damaged map is left out; what comes after it still counts. */
KTEST(bootinfo, multiboot2_memory_map_entries)
{
	static const uint32_t entry_sizes[] = { 0, 8, 23, 25, 0xffffffff };

	for (unsigned i = 0; i < ARRAY_SIZE(entry_sizes); i++) {
		uint64_t map;

		mb2_begin();
		map = mb2_memory_map();
		mb2_string_tag(1, "after");
		mb2_finish();
		poke32(map + 8, entry_sizes[i]);
		expect_eq(t, mb2_parse(), (uint64_t)-EINVAL);
		expect_eq(t, strcmp(result.cmdline, "after"), 0);
	}
}

KTEST(bootinfo, multiboot2_strings)
{
	static char long_text[2 * BOOT_CMDLINE_MAX];
	uint64_t tag;

	mb2_begin(); /* not ended within its tag */
	tag = mb2_tag(1);
	put64(0x4141414141414141);
	mb2_tag_end(tag);
	mb2_memory_map();
	mb2_finish();
	expect_eq(t, mb2_parse(), (uint64_t)-EINVAL);
	expect_eq(t, result.cmdline[0], 0);
	expect_kinds(t);

	memset(long_text, 'x', sizeof(long_text) - 1);
	mb2_begin(); /* too long for us */
	mb2_string_tag(1, long_text);
	mb2_finish();
	expect_eq(t, mb2_parse(), (uint64_t)-E2BIG);
	expect_eq(t, strlen(result.cmdline), BOOT_CMDLINE_MAX - 1);
}

KTEST(bootinfo, multiboot2_modules)
{
	mb2_begin(); /* ends before it starts */
	mb2_module(0x200000, 0x1fffff, "backwards");
	mb2_module(0x200000, 0x200001, "good");
	mb2_finish();
	expect_eq(t, mb2_parse(), (uint64_t)-EINVAL);
	expect_eq(t, result.nr_modules, 1);
	expect_eq(t, strcmp(result.modules[0].args, "good"), 0);

	mb2_begin();
	for (unsigned i = 0; i <= BOOT_MAX_MODULES; i++)
		mb2_module(0x200000, 0x200001, "one too many");
	mb2_finish();
	expect_eq(t, mb2_parse(), (uint64_t)-E2BIG);
	expect_eq(t, result.nr_modules, BOOT_MAX_MODULES);
}

/* ---- PVH ------------------------------------------------------------------ */

#define PVH_VERSION	  (INFO + 4)
#define PVH_NR_MODULES	  (INFO + 12)
#define PVH_MODULES	  (INFO + 16)
#define PVH_CMDLINE	  (INFO + 24)
#define PVH_MEMORY_MAP	  (INFO + 40)
#define PVH_NR_MEMORY_MAP (INFO + 48)

#define PVH_TEXT       2048 /* the command line */
#define PVH_MAP	       4096
#define PVH_MODULE     3072
#define PVH_MODULE_ARG 3200

/* A complete and correct start_info with a padding entry at the end of its map. */
static void
pvh_begin(void)
{
	begin();
	put32(BOOT_MAGIC_PVH);
	put32(1);
	put32(0);
	put32(1);
	put64(PVH_MODULE);
	put64(PVH_TEXT);
	put64(0xf5ae0);
	put64(PVH_MAP);
	put32(7);
	put32(0);

	fill = PVH_TEXT;
	put_string("ktest=bootinfo");
	fill = PVH_MODULE;
	put64(0x400000);
	put64(0x1000);
	put64(PVH_MODULE_ARG);
	put64(0);
	put_string("arg");
	fill = PVH_MODULE_ARG;
	put_string("disk");
	fill = PVH_MAP;
	for (uint32_t type = 1; type <= 6; type++) {
		put64(MiB(16) * type);
		put64(MiB(1));
		put32(type);
		put32(0);
	}
	memset(memory + fill, 0, 24);
}

static int
pvh_parse(void)
{
	memset(&result, 0, sizeof(result));
	return bootinfo_parse_pvh(memory, sizeof(memory), INFO, &result);
}

KTEST(bootinfo, pvh)
{
	pvh_begin();
	expect_eq(t, pvh_parse(), 0);
	expect_eq(t, strcmp(result.loader, "PVH"), 0);
	expect_eq(t, strcmp(result.cmdline, "ktest=bootinfo"), 0);
	expect_eq(t, result.rsdp, 0xf5ae0);
	expect_eq(t, result.nr_modules, 1);
	expect_eq(t, result.modules[0].start, 0x400000);
	expect_eq(t, result.modules[0].end, 0x401000);
	expect_eq(t, strcmp(result.modules[0].args, "disk"), 0);
	expect_kinds(t);
}

/* Each field in turn points out of memory, or counts too much; the others still arrive. */
KTEST(bootinfo, pvh_damaged)
{
	static const struct {
		uint64_t address;
		uint32_t low, high;
	} damage[] = {
		{ PVH_CMDLINE, MEMORY_SIZE, 0 },
		{ PVH_CMDLINE, 0xffffffff, 0xffffffff },
		{ PVH_MODULES, MEMORY_SIZE - 8, 0 },
		{ PVH_MODULES, 0xfffffff0, 0xffffffff },
		{ PVH_MODULE + 16, MEMORY_SIZE + 5, 0 },    /* its string */
		{ PVH_MODULE + 8, 0xffffffff, 0xffffffff }, /* its size */
		{ PVH_MEMORY_MAP, MEMORY_SIZE - 8, 0 },
		{ PVH_MEMORY_MAP, 0xfffffff8, 0xffffffff },
		{ PVH_NR_MEMORY_MAP, 0xffffffff, 0 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(damage); i++) {
		pvh_begin();
		poke32(damage[i].address, damage[i].low);
		poke32(damage[i].address + 4, damage[i].high);
		expect_eq(t, pvh_parse(), (uint64_t)-EINVAL);
		expect_eq(t, result.rsdp, 0xf5ae0);
	}
}

KTEST(bootinfo, pvh_unusable)
{
	pvh_begin();
	poke32(PVH_VERSION, 0); /* the version without a memory map */
	expect_eq(t, pvh_parse(), (uint64_t)-EINVAL);
	pvh_begin();
	poke32(INFO, 0);
	expect_eq(t, pvh_parse(), (uint64_t)-EINVAL);
	pvh_begin();
	poke32(PVH_NR_MODULES, 0xffffffff);
	expect_true(t, pvh_parse() != 0);
	expect_kinds(t);
	expect_eq(t, bootinfo_parse_pvh(memory, MEMORY_SIZE, MEMORY_SIZE - 8, &result),
		  (uint64_t)-EINVAL);
}

/* Random bytes in any place: whatever comes out, nothing outside of memory is read. */
KTEST(bootinfo, random_damage)
{
	for (unsigned round = 0; round < 200; round++) {
		mb2_begin();
		mb2_string_tag(1, "text");
		mb2_module(0x200000, 0x201000, "module");
		mb2_memory_map();
		mb2_finish();
		for (unsigned i = 0; i < 4; i++)
			poke32(INFO + prng_below(&t->prng, fill - INFO),
			       (uint32_t)prng_next(&t->prng));
		(void)!mb2_parse();
		expect_le(t, result.nr_modules, BOOT_MAX_MODULES);

		pvh_begin();
		for (unsigned i = 0; i < 2; i++)
			poke32(INFO + prng_below(&t->prng, 56), (uint32_t)prng_next(&t->prng));
		(void)!pvh_parse();
		expect_le(t, result.nr_modules, BOOT_MAX_MODULES);
	}
}
