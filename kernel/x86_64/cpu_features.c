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
