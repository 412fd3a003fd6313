/* SPDX-License-Identifier: MIT */
/*
 * What this processor can do, and turning it on.
 *
 * CPUID is asked before any control bit is set: a reserved bit in CR4 raises #GP on real
 * hardware and hangs some emulators. What is absent is reported in one line and done
 * without; the kernel needs only what every x86-64 processor has.
 *
 * Sources: Intel SDM vol. 2, CPUID; vol. 3, 2.5 (control registers).
 */
#include <arch/mmu.h>
#include <printk.h>

#include "x86.h"

enum { REG_EAX, REG_EBX, REG_ECX, REG_EDX };

/* Where CPUID tells, what it is called, and the CR4 bit that turns it on (0: none). */
static const struct {
	const char *name;
	uint32_t leaf;
	uint8_t reg, bit;
	uint64_t cr4;
} features[NR_CPU_FEATURES] = {
	[CPU_NX] = { "NX", 0x80000001, REG_EDX, 20, 0 },
	[CPU_PAGE_1G] = { "1G-pages", 0x80000001, REG_EDX, 26, 0 },
	[CPU_MCE] = { "MCE", 1, REG_EDX, 7, CR4_MCE },
	[CPU_PGE] = { "PGE", 1, REG_EDX, 13, CR4_PGE },
	[CPU_SMEP] = { "SMEP", 7, REG_EBX, 7, CR4_SMEP },
	[CPU_SMAP] = { "SMAP", 7, REG_EBX, 20, CR4_SMAP },
	[CPU_UMIP] = { "UMIP", 7, REG_ECX, 2, CR4_UMIP },
	[CPU_LA57] = { "LA57", 7, REG_ECX, 16, 0 }, /* not to be changed while paging is on */
	[CPU_PCID] = { "PCID", 1, REG_ECX, 17, CR4_PCIDE }, /* CR3 holds 0 as long as this runs */
	[CPU_INVPCID] = { "INVPCID", 7, REG_EBX, 10, 0 },
	[CPU_PKU] = { "PKU", 7, REG_ECX, 3, 0 },
};

static bool present[NR_CPU_FEATURES]; /* (c) */

bool
cpu_has(enum cpu_feature feature)
{
	return present[feature];
}

/* One register of a leaf, or 0 if the processor has no such leaf. */
static uint32_t
cpuid_reg(uint32_t leaf, unsigned reg)
{
	struct cpuid_regs r = cpuid(leaf & 0x80000000, 0);

	if (leaf > r.eax)
		return 0;
	r = cpuid(leaf, 0);
	return (uint32_t[]){ r.eax, r.ebx, r.ecx, r.edx }[reg];
}

void
cpu_features_probe(void)
{
	for (unsigned i = 0; i < NR_CPU_FEATURES; i++)
		present[i] = cpuid_reg(features[i].leaf, features[i].reg) >> features[i].bit & 1;
}

uint64_t
cpu_boot_efer(void)
{
	return EFER_LME | (cpu_has(CPU_NX) ? EFER_NXE : 0);
}

uint64_t
cpu_boot_cr4(void)
{
	return CR4_PAE | (arch_mmu_levels == 5 ? CR4_LA57 : 0);
}

/*
 * A loader may have left anything in CR0 (caches off, for one), so it is written whole;
 * without EM and MP's partner TS, and with CR4.OSFXSR clear, SSE stays unusable: kernel
 * code must not touch the vector registers, which no context switch saves.
 */
void
cpu_features_enable(void)
{
	uint64_t cr4 = cpu_boot_cr4();

	for (unsigned i = 0; i < NR_CPU_FEATURES; i++) {
		if (present[i])
			cr4 |= features[i].cr4;
	}
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | cpu_boot_efer());
	write_cr0(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
	write_cr4(cr4);
}

/* The processor's own name, 48 bytes in three leaves, without the blanks some begin with. */
const char *
arch_cpu_name(char brand[49])
{
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned reg = 0; reg < 4; reg++) {
			uint32_t word = cpuid_reg(0x80000002 + i, reg);

			for (unsigned byte = 0; byte < 4; byte++)
				brand[i * 16 + reg * 4 + byte] = (char)(word >> byte * 8);
		}
	}
	brand[48] = '\0';
	while (*brand == ' ')
		brand++;
	return *brand ? brand : "unnamed processor";
}

/* Where CPUID tells of what programs may want to know, in Linux's words. */
static const struct {
	const char *name;
	uint32_t leaf;
	uint8_t reg, bit;
} flags[] = {
	{ "fpu", 1, REG_EDX, 0 },
	{ "tsc", 1, REG_EDX, 4 },
	{ "mmx", 1, REG_EDX, 23 },
	{ "fxsr", 1, REG_EDX, 24 },
	{ "sse", 1, REG_EDX, 25 },
	{ "sse2", 1, REG_EDX, 26 },
	{ "syscall", 0x80000001, REG_EDX, 11 },
	{ "nx", 0x80000001, REG_EDX, 20 },
	{ "pdpe1gb", 0x80000001, REG_EDX, 26 },
	{ "lm", 0x80000001, REG_EDX, 29 },
	{ "pni", 1, REG_ECX, 0 },
	{ "ssse3", 1, REG_ECX, 9 },
	{ "fma", 1, REG_ECX, 12 },
	{ "sse4_1", 1, REG_ECX, 19 },
	{ "sse4_2", 1, REG_ECX, 20 },
	{ "popcnt", 1, REG_ECX, 23 },
	{ "aes", 1, REG_ECX, 25 },
	{ "xsave", 1, REG_ECX, 26 },
	{ "avx", 1, REG_ECX, 28 },
	{ "rdrand", 1, REG_ECX, 30 },
	{ "hypervisor", 1, REG_ECX, 31 },
	{ "bmi1", 7, REG_EBX, 3 },
	{ "avx2", 7, REG_EBX, 5 },
	{ "smep", 7, REG_EBX, 7 },
	{ "bmi2", 7, REG_EBX, 8 },
	{ "erms", 7, REG_EBX, 9 },
	{ "avx512f", 7, REG_EBX, 16 },
	{ "rdseed", 7, REG_EBX, 18 },
	{ "smap", 7, REG_EBX, 20 },
	{ "umip", 7, REG_ECX, 2 },
	{ "pku", 7, REG_ECX, 3 },
	{ "ospke", 7, REG_ECX, 4 },
	{ "sme", 0x8000001f, REG_EAX, 0 },
	{ "sev", 0x8000001f, REG_EAX, 1 },
	{ "sev_es", 0x8000001f, REG_EAX, 3 },
};

const char *
arch_cpu_flags(char *buffer, size_t size)
{
	size_t length = 0;

	buffer[0] = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(flags) && length < size; i++) {
		if (cpuid_reg(flags[i].leaf, flags[i].reg) >> flags[i].bit & 1)
			length += (size_t)ksnprintf(buffer + length, size - length, "%s%s",
						    length ? " " : "", flags[i].name);
	}
	return buffer;
}

unsigned
arch_physical_bits(void)
{
	unsigned bits = cpuid_reg(0x80000008, REG_EAX) & 0xff;

	return bits ? bits : 36; /* of the first processors */
}

void
cpu_features_report(void)
{
	char brand[49], absent[128] = "";
	int length = 0;

	for (unsigned i = 0; i < NR_CPU_FEATURES; i++) {
		if (!present[i])
			length += ksnprintf(absent + length, sizeof(absent) - (size_t)length,
					    "%s %s", length ? "," : " without", features[i].name);
	}
	kprintf("cpu: %s%s\n", arch_cpu_name(brand), absent);
}
