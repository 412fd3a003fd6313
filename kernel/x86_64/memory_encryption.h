/* SPDX-License-Identifier: MIT */
/* What the processor says of encrypted memory: memory_encryption.c. */
#ifndef X86_MEMORY_ENCRYPTION_H
#define X86_MEMORY_ENCRYPTION_H

#include <types.h>

struct cpuid_regs;

struct memory_encryption {
	bool sme, sev, sev_es; /* offered */
	unsigned c_bit;	       /* the bit of an entry that says that its page is encrypted */
	unsigned lost_bits;    /* of physical addresses, while it is on */
	bool allowed;	       /* SME: the firmware has turned it on */
	bool encrypted_guest;  /* SEV: this is a virtual machine that is encrypted */
};

/* From the leaf of CPUID and the two registers; pure. */
struct memory_encryption memory_encryption_decode(struct cpuid_regs leaf, uint64_t syscfg,
						  uint64_t sev_status);
struct memory_encryption memory_encryption_probe(void);

/* As one line of text. */
void memory_encryption_print(const struct memory_encryption *found, char *to, size_t size);

#endif
