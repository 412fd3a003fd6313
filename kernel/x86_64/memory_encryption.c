/* SPDX-License-Identifier: MIT */
/*
 * Memory encryption: what the processor offers, and whether it is on.
 *
 * Processors of AMD can encrypt memory, each page of which a bit in its page-table entry (the
 * "C-bit") says that it is. The bit lies where addresses of frames end, above all memory that there
 * can be, as the processor gives up some address bits while encryption is on:
 *
 *	SME   a kernel chooses for each page; firmware has to allow it (SYSCFG)
 *	SEV   of a virtual machine: the host cannot read what it encrypts
 *
 * This kernel only tells. It does not encrypt: what the loader and firmware placed in memory is
 * plain, and would have to be encrypted where it lies before the first entry gets the bit. The
 * entries of programs are made with whatever C-bit <arch/mmu.h> is told, and none is told so far.
 *
 * Source: AMD APM vol. 3, E.4.17 (CPUID 8000001FH); vol. 2, 7.10 and 15.34.
 */
#include <arch.h>
#include <printk.h>

#include "memory_encryption.h"
#include "x86.h"

#define CPUID_LEAF 0x8000001f

#define MSR_SYSCFG     0xc0010010u
#define MSR_SEV_STATUS 0xc0010131u

#define LEAF_SME    (1u << 0) /* EAX */
#define LEAF_SEV    (1u << 1)
#define LEAF_SEV_ES (1u << 3)
#define SYSCFG_SME  (1ul << 23)
#define STATUS_SEV  (1ul << 0)

struct memory_encryption
memory_encryption_decode(struct cpuid_regs leaf, uint64_t syscfg, uint64_t sev_status)
{
	struct memory_encryption found = {
		.sme = leaf.eax & LEAF_SME,
		.sev = leaf.eax & LEAF_SEV,
		.sev_es = leaf.eax & LEAF_SEV_ES,
	};

	if (!found.sme && !found.sev)
		return (struct memory_encryption){ .sme = false };
	found.c_bit = leaf.ebx & 63;
	found.lost_bits = leaf.ebx >> 6 & 63;
	found.allowed = found.sme && (syscfg & SYSCFG_SME);
	found.encrypted_guest = found.sev && (sev_status & STATUS_SEV);
	return found;
}

/* The registers are read only where CPUID says that there are any. */
struct memory_encryption
memory_encryption_probe(void)
{
	struct cpuid_regs leaf = { 0 };

	if (cpuid(CPUID_LEAF & 0x80000000, 0).eax >= CPUID_LEAF)
		leaf = cpuid(CPUID_LEAF, 0);
	return memory_encryption_decode(leaf, leaf.eax & LEAF_SME ? rdmsr(MSR_SYSCFG) : 0,
					leaf.eax & LEAF_SEV ? rdmsr(MSR_SEV_STATUS) : 0);
}

void
memory_encryption_print(const struct memory_encryption *found, char *to, size_t size)
{
	const char *state = "not allowed by the firmware";

	if (!found->sme && !found->sev) {
		ksnprintf(to, size, "not supported");
		return;
	}
	if (found->encrypted_guest)
		state = "an encrypted guest";
	else if (found->allowed)
		state = "allowed, not used";
	ksnprintf(to, size, "%s%s%s%s, C-bit %u, %u address bits fewer: %s",
		  found->sme ? "SME" : "", found->sme && found->sev ? " and " : "",
		  found->sev ? "SEV" : "", found->sev_es ? "-ES" : "", found->c_bit,
		  found->lost_bits, state);
}

const char *
arch_memory_encryption(char buffer[80])
{
	struct memory_encryption found = memory_encryption_probe();

	memory_encryption_print(&found, buffer, 80);
	return buffer;
}
