/* SPDX-License-Identifier: MIT */
/*
 * What the files of kernel/x86_64 share: this CPU's state, traps, kernel page tables
 * and stacks. Of the portable kernel only main.c, which orders the start, includes it.
 */
#ifndef X86_H
#define X86_H

#include <arch/thread.h> /* kstack_alloc(), kstack_free() */
#include <memory_map.h>
#include <percpu.h>
#include <types.h>

#include "insn.h"

/* ---- Start: start.c, kernel/main.c ---------------------------------------- */

/* arch_cycles() when the first line of C ran. */
extern uint64_t boot_cycles;

/* Until kernel_map_init(), physical memory below is mapped, and nothing above. */
#define BOOT_MAP_END GiB(4)

/* kernel.ld: limits of the kernel image, as the addresses of these symbols. */
extern const char image_phys_start[], image_phys_end[]; /* physical */
extern const char text_start[], text_end[];
extern const char rodata_start[], rodata_end[];
extern const char data_start[], data_end[];

_Noreturn void kernel_main(void);

/* ---- Stack guard: stack_guard.c -------------------------------------------- */

/*
 * Choose the word that guards arrays on stacks. Once; no function that is running then, and that
 * has such a word in its frame, may ever return.
 */
void stack_guard_init(void);

/* ---- CPU features: cpu_features.c ----------------------------------------- */

enum cpu_feature {
	CPU_NX,	     /* no-execute pages */
	CPU_PAGE_1G, /* 1 GiB pages */
	CPU_MCE,     /* machine checks are reported */
	CPU_PGE,     /* global pages: kept over a CR3 load */
	CPU_SMEP,    /* the kernel cannot execute user pages */
	CPU_SMAP,    /* the kernel cannot touch user pages by accident */
	CPU_UMIP,    /* user code cannot read descriptor tables' addresses */
	CPU_LA57,    /* five levels of page tables; see kernel_map.c */
	CPU_PCID,    /* translations belong to address spaces; see pcid.c */
	CPU_INVPCID, /* an instruction that forgets by them */
	CPU_PKU,     /* protection keys; turned on when programs begin */
	NR_CPU_FEATURES,
};

/* Does every CPU have it? (All are assumed to be like the boot CPU.) */
bool cpu_has(enum cpu_feature feature);

void cpu_features_probe(void);	/* read CPUID, once, on the boot CPU */
void cpu_features_report(void); /* one line: the model, and what it lacks */
void cpu_features_enable(void); /* set CR0, CR4 and EFER of this CPU */

/*
 * What an AP loads into EFER and CR4 before it turns paging on: what the kernel's page tables
 * need, for it runs on them at once.
 */
uint64_t cpu_boot_efer(void);
uint64_t cpu_boot_cr4(void);

/* ---- Descriptor tables and per-CPU state: gdt.c, idt.c --------------------- */

#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define USER_DS	  0x1b /* SYSRET wants it right below USER_CS */
#define USER_CS	  0x23
#define TSS_SEL	  0x28

/* Stacks of their own, for what may strike when the current stack is unusable. */
enum ist_index {
	IST_DOUBLE_FAULT,
	IST_NMI,
	IST_MACHINE_CHECK,
	NR_IST,
};

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7]; /* ist[i] is what a gate calls IST i + 1 */
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t iomap_base;
} __attribute__((packed));

struct thread;

/*
 * One for each CPU; GS points at its own. <arch/cpu.h> reads the first two fields. Of
 * CPU id > 0, smp_prepare() sets percpu_offset, apic_id and ist_top before it starts.
 */
struct arch_cpu {
	uintptr_t percpu_offset;   /* (c) percpu_offset[id] */
	uint32_t id;		   /* (c) */
	uint32_t apic_id;	   /* (c) */
	struct thread *current;	   /* this CPU, interrupts off: who runs here */
	uintptr_t kernel_sp;	   /* the same: where its stack begins when it leaves user mode */
	uintptr_t user_sp;	   /* scratch of syscall_entry.S */
	uintptr_t ist_top[NR_IST]; /* (c) tops of the IST stacks */
	struct tss tss;		   /* (c) but for rsp[0], which is kernel_sp */
	uint64_t gdt[7];	   /* (c) null, code, data, user's data and code, TSS (two slots) */
};

extern struct arch_cpu arch_cpus[MAX_CPUS];

/*
 * Make the CPU that runs this CPU id: descriptor tables, GS, control registers. Runs on
 * the kernel's page tables (APs) or the boot page tables (CPU 0), interrupts off.
 */
void x86_cpu_init(unsigned id);

void gdt_load(struct arch_cpu *cpu);
void idt_init(void);
void idt_load(void);

/* ---- Traps: entry.S, traps.c ------------------------------------------------ */

enum {
	VECTOR_DIVIDE = 0,
	VECTOR_DEBUG = 1,
	VECTOR_NMI = 2,
	VECTOR_BREAKPOINT = 3,
	VECTOR_OVERFLOW = 4,
	VECTOR_INVALID_OPCODE = 6,
	VECTOR_DOUBLE_FAULT = 8,
	VECTOR_PROTECTION = 13,
	VECTOR_PAGE_FAULT = 14,
	VECTOR_X87 = 16,
	VECTOR_ALIGNMENT = 17,
	VECTOR_MACHINE_CHECK = 18,
	VECTOR_SIMD = 19,
	VECTOR_FIRST_IRQ = 32, /* below are the processor's exceptions */
	NR_VECTORS = 256,
};

/* Page-fault error code. */
#define PF_PROTECTION (1u << 0) /* the page is present, but not for this */
#define PF_WRITE      (1u << 1)
#define PF_USER	      (1u << 2)
#define PF_RESERVED   (1u << 3) /* a reserved bit is set in a page table */
#define PF_FETCH      (1u << 4)
#define PF_KEY	      (1u << 5) /* the thread denies itself what has that protection key */

/* As entry.S lays it out on the stack. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector;
	uint64_t error; /* 0 where the processor gives none */
	uint64_t rip, cs, rflags, rsp, ss;
};

/* Did it interrupt a program, rather than the kernel? */
static inline bool
from_user(const struct trap_frame *frame)
{
	return frame->cs & 3;
}

/*
 * Let handler take a vector: an interrupt (32..255) or VECTOR_NMI. It runs with
 * interrupts off on the interrupted stack (the NMI: on its own), and signals the end of
 * the interrupt itself. It may switch threads, the NMI's may not.
 */
void trap_set_handler(unsigned vector, void (*handler)(struct trap_frame *frame));

/* What a kernel that runs programs adds. */
struct user_traps {
	void (*exception)(struct trap_frame *frame); /* in user mode. Interrupts are off */
	bool (*fixup)(struct trap_frame *frame);     /* page fault of the kernel: can it go on? */
	void (*leave)(struct trap_frame *frame);     /* the last before user mode. Interrupts off */
};
extern const struct user_traps *user_traps;

/*
 * For tests: run fn(arg) with interrupts off. Returns true if it raised that exception
 * and was cut short there (then *out, if given, says where), false if it returned.
 */
bool trap_expect(unsigned vector, void (*fn)(void *arg), void *arg, struct trap_frame *out);

/* ---- Panic: panic.c ----------------------------------------------------------- */

/* panic() about interrupted code: its registers and backtrace are printed. */
_Noreturn void panic_frame(const struct trap_frame *frame, const char *fmt, ...) __format(2, 3);

/* ---- Kernel page tables: kernel_map.c ----------------------------------------- */

extern uint64_t kernel_cr3;

/* boot.S: go on with five levels of page tables, the boot tables among them. Once, on those. */
void boot_five_levels(void);

/* Leave the boot page tables for the final ones. Once, right after boot_alloc_init(). */
void kernel_map_init(const struct memory_map *map);

/*
 * Map device registers uncached and never executable. Any time after kernel_map_init().
 * Never unmapped. Panics when the window for registers (2 MiB in all) is full.
 */
void *map_mmio(paddr_t start, uint64_t size);

/*
 * Map [start, start + size) at its physical address, writable and executable, while APs
 * start. Whole pages below 2 MiB. Undone, on this CPU, by kernel_unmap_identity(); the
 * other CPUs must have run on without using it, their TLBs are theirs to flush.
 */
void kernel_map_identity(paddr_t start, uint64_t size);
void kernel_unmap_identity(void);

/*
 * What the kernel's page tables say of address: the entry that maps it, or 0. shift, if
 * given, is the log2 of the page's size. Reads only; safe at any time.
 */
uint64_t kernel_map_lookup(uintptr_t address, unsigned *shift);

/* For areas that change later: make all tables of [start, start + size) now. */
void kernel_map_tables(uintptr_t start, uint64_t size);

/* The entry for one 4 KiB page of such an area. Its owner writes it. */
uint64_t *kernel_map_entry(uintptr_t address);

/* An entry's flags for kernel data: present, writable, not executable. */
uint64_t kernel_data_flags(void);

/* ---- Kernel stacks: kstack.c --------------------------------------------------- */

#define KSTACK_SIZE (4 * PAGE_SIZE)

/*
 * A stack of KSTACK_SIZE bytes above an unmapped guard page, made of boot_alloc() memory
 * and never freed. Returns its top, 16-byte aligned. Panics for want of memory.
 */
uintptr_t kstack_alloc_boot(void);

void kstack_init(void);		 /* from kernel_map_init() */
void boot_cpu_stacks_init(void); /* the boot CPU's IST stacks, before x86_cpu_init(0) */

/* What guard page address lies in: "thread stack", "double fault stack"..., or NULL. */
const char *kstack_guard_name(uintptr_t address);

/* Is it the guard page of the stack that sp is in? Then that overflowed; else a pointer is wild. */
bool kstack_is_own_guard(uintptr_t address, uintptr_t sp);

/* The boot CPU's stacks and their guards, [start, end). */
struct stack_area {
	uintptr_t start, end;
};
struct stack_area kstack_boot_area(void);

#endif
