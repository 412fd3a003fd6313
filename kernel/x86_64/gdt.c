/* SPDX-License-Identifier: MIT */
/*
 * Segments, and what each CPU keeps to itself.
 *
 * 64-bit mode ignores segment bases and limits, but still wants a code segment that says
 * "64 bit, ring 0", a data segment for SS, the same two for ring 3, and a task state segment,
 * which names the stacks that traps switch to: from ring 3 (rsp[0]), and some always (IST). Each
 * CPU has its own TSS and hence its own GDT, inside struct arch_cpu, which GS points at.
 *
 * Source: Intel SDM vol. 3, 3.4.5 (segment descriptors), "TSS Descriptor in 64-bit mode".
 */
#include "x86.h"

#define DESCRIPTOR_CODE64 0x00af9b000000fffful /* present, ring 0, executable, L, accessed */
#define DESCRIPTOR_DATA	  0x00cf93000000fffful /* present, ring 0, writable, accessed */
#define DESCRIPTOR_RING3  0x0000600000000000ul /* in place of ring 0 */
#define TSS_AVAILABLE	  0x0000890000000000ul /* present, ring 0, 64-bit TSS, not busy */

struct arch_cpu arch_cpus[MAX_CPUS];

_Static_assert(offsetof(struct arch_cpu, percpu_offset) == ARCH_CPU_PERCPU_OFFSET, "<arch/cpu.h>");
_Static_assert(offsetof(struct arch_cpu, id) == ARCH_CPU_ID, "<arch/cpu.h>");
_Static_assert(offsetof(struct arch_cpu, current) == ARCH_CPU_CURRENT, "<arch/thread.h>");

struct descriptor_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* A TSS descriptor takes two slots: its base is scattered over the first, and a half more. */
static void
set_tss_descriptor(uint64_t slot[2], const struct tss *tss)
{
	uint64_t base = (uintptr_t)tss;

	slot[0] = TSS_AVAILABLE | (sizeof(*tss) - 1) | (base & 0xffffff) << 16 |
		  (base >> 24 & 0xff) << 56;
	slot[1] = base >> 32;
}

void
gdt_load(struct arch_cpu *cpu)
{
	struct descriptor_pointer pointer = { sizeof(cpu->gdt) - 1, (uintptr_t)cpu->gdt };

	for (unsigned i = 0; i < NR_IST; i++)
		cpu->tss.ist[i] = cpu->ist_top[i];
	cpu->tss.iomap_base = sizeof(cpu->tss); /* none */

	cpu->gdt[KERNEL_CS / 8] = DESCRIPTOR_CODE64;
	cpu->gdt[KERNEL_DS / 8] = DESCRIPTOR_DATA;
	cpu->gdt[USER_CS / 8] = DESCRIPTOR_CODE64 | DESCRIPTOR_RING3;
	cpu->gdt[USER_DS / 8] = DESCRIPTOR_DATA | DESCRIPTOR_RING3;
	set_tss_descriptor(&cpu->gdt[TSS_SEL / 8], &cpu->tss);

	/* CS can only be reloaded by a far jump, call or return. */
	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\n\t"
			 "movl %2, %%eax\n\t"
			 "movl %%eax, %%ds\n\t"
			 "movl %%eax, %%es\n\t"
			 "movl %%eax, %%ss\n\t"
			 "xorl %%eax, %%eax\n\t"
			 "movl %%eax, %%fs\n\t"
			 "movl %%eax, %%gs\n\t"
			 "movl %3, %%eax\n\t"
			 "ltr %%ax"
			 :
			 : "m"(pointer), "i"(KERNEL_CS), "i"(KERNEL_DS), "i"(TSS_SEL)
			 : "rax", "memory");
}

void
x86_cpu_init(unsigned id)
{
	struct arch_cpu *cpu = &arch_cpus[id];

	cpu->id = id;
	gdt_load(cpu);
	wrmsr(MSR_GS_BASE, (uintptr_t)cpu); /* after gdt_load(), which clears it */
	idt_load();
	cpu_features_enable();
}
