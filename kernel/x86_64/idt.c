/* SPDX-License-Identifier: MIT */
/*
 * The interrupt descriptor table: which stub of entry.S each vector enters, and on which
 * stack. One table serves all CPUs, since an IST number means a stack through the CPU's own TSS.
 *
 * All gates are interrupt gates: interrupts are off on entry. Three exceptions get stacks
 * of their own. A double fault usually means that the stack itself is gone; an NMI and a
 * machine check come at any instruction, even between two that set up a stack.
 *
 * Source: Intel SDM vol. 3, 6.14 (64-bit interrupt handling).
 */
#include "x86.h"

#define GATE_INTERRUPT 0x8e /* present, ring 0, 64-bit interrupt gate */
#define GATE_FOR_ALL   0xee /* the same, for ring 3 too */
#define STUB_SIZE      16   /* entry.S */

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t ist; /* 0: stay on the current stack */
	uint8_t type;
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};

_Static_assert(sizeof(struct gate) == 16, "the processor's layout");

extern const uint8_t trap_stubs[NR_VECTORS][STUB_SIZE];

static struct gate idt[NR_VECTORS]; /* (c) filled in by the boot CPU */

static void
set_gate(unsigned vector, unsigned ist)
{
	uintptr_t entry = (uintptr_t)trap_stubs[vector];

	idt[vector] = (struct gate){
		.offset_low = (uint16_t)entry,
		.selector = KERNEL_CS,
		.ist = (uint8_t)ist,
		.type = GATE_INTERRUPT,
		.offset_middle = (uint16_t)(entry >> 16),
		.offset_high = (uint32_t)(entry >> 32),
	};
}

/* Fill in the table. Once, on the boot CPU, before any idt_load(). */
void
idt_init(void)
{
	for (unsigned vector = 0; vector < NR_VECTORS; vector++)
		set_gate(vector, 0);
	idt[VECTOR_BREAKPOINT].type = GATE_FOR_ALL; /* programs may execute INT3 */
	set_gate(VECTOR_DOUBLE_FAULT, IST_DOUBLE_FAULT + 1);
	set_gate(VECTOR_NMI, IST_NMI + 1);
	set_gate(VECTOR_MACHINE_CHECK, IST_MACHINE_CHECK + 1);
}

void
idt_load(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (uintptr_t)idt };

	__asm__ volatile("lidt %0" ::"m"(pointer) : "memory");
}
