/* SPDX-License-Identifier: MIT */
/* What CPUID says of encrypted memory, of processors that no emulator is. */
#include <arch.h>
#include <ktest.h>
#include <string.h>

#include "../../kernel/x86_64/insn.h"
#include "../../kernel/x86_64/memory_encryption.h"

static void
expect_text(struct ktest *t, struct memory_encryption found, const char *text)
{
	char line[80];

	memory_encryption_print(&found, line, sizeof(line));
	if (strcmp(line, text) != 0)
		ktest_fail(t, __FILE__, __LINE__, "expected \"%s\", got \"%s\"", text, line);
}

KTEST(encryption, decoded)
{
	struct cpuid_regs none = { 0 };
	struct cpuid_regs first = { .eax = 0x0f, .ebx = 0x16f }; /* an EPYC of 2017 */
	struct cpuid_regs guest = { .eax = 0x02, .ebx = 0x073 };
	struct memory_encryption found = memory_encryption_decode(none, UINT64_MAX, UINT64_MAX);

	expect_true(t, !found.sme && !found.sev && !found.allowed && !found.encrypted_guest);
	expect_text(t, found, "not supported");
	found = memory_encryption_decode(first, 0, 0);
	expect_eq(t, found.c_bit, 47);
	expect_eq(t, found.lost_bits, 5);
	expect_text(t, found,
		    "SME and SEV-ES, C-bit 47, 5 address bits fewer: not allowed by the firmware");
	found = memory_encryption_decode(first, 1ul << 23, 0);
	expect_text(t, found, "SME and SEV-ES, C-bit 47, 5 address bits fewer: allowed, not used");
	found = memory_encryption_decode(guest, 1ul << 23, 1);
	expect_true(t, found.encrypted_guest && !found.allowed);
	expect_text(t, found, "SEV, C-bit 51, 1 address bits fewer: an encrypted guest");
}

KTEST(encryption, of_this_machine)
{
	char line[80], flags[320];

	expect_true(t, strlen(arch_memory_encryption(line)) > 0);
	expect_true(t, strncmp(arch_cpu_flags(flags, sizeof(flags)), "fpu tsc ", 8) == 0);
	expect_le(t, 36, arch_physical_bits());
	expect_le(t, arch_physical_bits(), 52);
	/* Cut off in the middle, it still ends. */
	expect_eq(t, strlen(arch_cpu_flags(flags, 10)), 9);
}
