/* SPDX-License-Identifier: MIT */
/*
 * From the boot loader to 64-bit C.
 *
 * Two kinds of loader start this file: multiboot2 (GRUB, on BIOS and UEFI machines) and
 * PVH (an emulator's or hypervisor's direct boot). Both enter in 32-bit protected mode with
 * paging off, interrupts off, and EBX pointing at what the loader knows; multiboot2 says
 * so by a magic number in EAX, PVH has an entry point of its own. Nothing else may be
 * assumed, so we bring our own stack, GDT and page tables:
 *
 *	             0 + [0, 4 GiB)   to run on while paging is turned on
 *	DIRECT_MAP_BASE + [0, 4 GiB)  so that phys_to_virt() works from the first line of C
 *	KERNEL_BASE + [0, 1 GiB)      the kernel, where it is linked
 *
 * all in 2 MiB pages, writable and executable; kernel_map_init() replaces them. Until
 * then .boot is reached at its physical address, the rest of the kernel is not.
 *
 * That is done with four levels of tables, as the command line, which may ask for five, is
 * something for C to read. A processor changes the number of levels only while paging is off, and
 * that only outside of 64-bit mode; so boot_five_levels() goes all the way back.
 *
 * Sources: Multiboot2 Specification 2.0; Xen's "x86/HVM direct boot ABI"; Intel SDM vol. 3,
 * "Initializing IA-32e Mode".
 */
#define MULTIBOOT2_HEADER_MAGIC 0xe85250d6
#define BOOT_MAGIC_PVH		0x336ec578

#define COM1	   0x3f8
#define COM1_LSR   (COM1 + 5)
#define LSR_THRE   0x20
#define EXIT_PORT  0xf4
#define EXIT_PANIC 0x12 /* <power.h> */

#define CR0_BITS   0x80010033 /* PG WP NE ET MP PE; cache on: CD and NW clear */
#define CR0_PG	   0x80000000
#define CR4_PAE	   0x20
#define CR4_LA57   0x1000
#define CR4_PCIDE  0x20000
#define MSR_EFER   0xc0000080
#define EFER_LME   0x100
#define PTE_TABLE  0x3	/* present, writable */
#define PDE_LARGE  0x83 /* present, writable, 2 MiB */
#define GUARD_SIZE 0x1000
#define STACK_SIZE 0x4000 /* KSTACK_SIZE in <x86.h> */

	.section .boot.header, "a"
	.balign 8
multiboot2_header:
	.long MULTIBOOT2_HEADER_MAGIC, 0
	.long multiboot2_header_end - multiboot2_header
	.long -(MULTIBOOT2_HEADER_MAGIC + (multiboot2_header_end - multiboot2_header))
	.short 6, 0 /* modules on page boundaries */
	.long 8
	.short 0, 0 /* end */
	.long 8
multiboot2_header_end:

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18 /* sizes of name and value; XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long pvh_start

	.section .boot.text, "ax"
	.code32
	.global _start
_start:
	cli
	jmp 1f
pvh_start:
	cli
	movl $BOOT_MAGIC_PVH, %eax
1:
	cld
	movl %eax, %ebp /* the loader's magic; EBX: its information */
	movl $boot_stack_end, %esp
	call check_long_mode
	call build_tables

	movl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $boot_pml4, %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl $CR0_BITS, %eax
	movl %eax, %cr0
	lgdt boot_gdt_pointer
	ljmp $0x08, $start64

/* Return if the processor has long mode; else say so and end. Clobbers EAX, ECX, EDX. */
check_long_mode:
	pushl %ebx
	pushfl /* CPUID exists if the ID flag (bit 21) can be changed */
	popl %eax
	movl %eax, %ecx
	xorl $1 << 21, %eax
	pushl %eax
	popfl
	pushfl
	popl %eax
	cmpl %eax, %ecx
	je no_long_mode
	movl $0x80000000, %eax
	cpuid
	cmpl $0x80000001, %eax
	jb no_long_mode
	movl $0x80000001, %eax
	cpuid
	testl $1 << 29, %edx
	jz no_long_mode
	popl %ebx
	ret

no_long_mode:
	movl $no_long_mode_message, %esi
1:	movw $COM1_LSR, %dx
2:	pause
	inb %dx, %al
	testb $LSR_THRE, %al
	jz 2b
	lodsb
	testb %al, %al
	jz 3f
	movw $COM1, %dx
	outb %al, %dx
	jmp 1b
3:	movb $EXIT_PANIC, %al
	outb %al, $EXIT_PORT
4:	hlt
	jmp 4b

/* Fill in the boot page tables. Clobbers EAX, ECX, EDI. */
build_tables:
	movl $boot_pml5, %edi /* all tables but the directories, to zero */
	movl $(boot_pd - boot_pml5) / 4, %ecx
	xorl %eax, %eax
	rep stosl

	movl $boot_pml4 + PTE_TABLE, boot_pml5 /* for the time when there is one */
	movl $boot_pml4 + PTE_TABLE, boot_pml5 + 511 * 8
	movl $boot_pdpt_low + PTE_TABLE, boot_pml4
	movl $boot_pdpt_low + PTE_TABLE, boot_pml4 + 256 * 8
	movl $boot_pdpt_high + PTE_TABLE, boot_pml4 + 511 * 8
	movl $boot_pd + PTE_TABLE, boot_pdpt_high + 510 * 8

	xorl %ecx, %ecx
	movl $boot_pd + PTE_TABLE, %eax
1:	movl %eax, boot_pdpt_low(,%ecx,8)
	addl $0x1000, %eax
	incl %ecx
	cmpl $4, %ecx
	jb 1b

	xorl %ecx, %ecx
	movl $PDE_LARGE, %eax
2:	movl %eax, boot_pd(,%ecx,8)
	movl $0, boot_pd + 4(,%ecx,8)
	addl $0x200000, %eax
	incl %ecx
	cmpl $4 * 512, %ecx
	jb 2b
	ret

	.code64
start64:
	movw $0x10, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	xorl %eax, %eax
	movw %ax, %fs
	movw %ax, %gs
	movl %ebp, %edi
	movl %ebx, %esi
	movabsq $boot_cpu_stack_top, %rsp
	xorl %ebp, %ebp /* ends backtraces */
	pushq %rbp
	movabsq $x86_start, %rax
	jmp *%rax

/*
 * void boot_five_levels(void)
 *
 * Called, with interrupts off, while the boot page tables are in force. What must last is on the
 * stack or in memory that is found at its physical address: in 32-bit mode the upper halves of
 * the registers are lost.
 */
	.text
	.global boot_five_levels
boot_five_levels:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, saved_rsp
	sgdt saved_gdt
	lgdt boot_gdt_pointer
	pushq $0x18
	pushq $change_levels
	lretq

	.section .boot.text, "ax"
	.code32
change_levels:
	movl %cr4, %ebx
	movl %ebx, %eax
	andl $~CR4_PCIDE, %eax /* else paging could not be turned off */
	movl %eax, %cr4
	movl %cr0, %ecx
	movl %ecx, %edx
	andl $~CR0_PG, %edx
	movl %edx, %cr0
	orl $CR4_LA57, %eax
	movl %eax, %cr4
	movl $boot_pml5, %eax
	movl %eax, %cr3
	movl %ecx, %cr0
	ljmp $0x08, $five_levels

	.code64
five_levels:
	orl $CR4_LA57, %ebx
	movq %rbx, %cr4
	movq saved_rsp, %rsp
	lgdt saved_gdt
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret

	.section .boot.rodata, "a"
no_long_mode_message:
	.asciz "IKOS needs a 64-bit x86 processor; this one has no long mode.\r\n"
	.balign 8
boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* 0x08: 64-bit code */
	.quad 0x00cf93000000ffff /* 0x10: data */
	.quad 0x00cf9b000000ffff /* 0x18: 32-bit code */
boot_gdt_end:
boot_gdt_pointer: /* in 32-bit mode only the first 4 bytes of the address count */
	.word boot_gdt_end - boot_gdt - 1
	.quad boot_gdt

	.section .boot.bss, "aw", @nobits
	.balign 4096
boot_pml5:	.skip 4096
boot_pml4:	.skip 4096
boot_pdpt_low:	.skip 4096
boot_pdpt_high: .skip 4096
boot_pd:	.skip 4 * 4096
boot_stack:	.skip 256
boot_stack_end:
saved_rsp:	.skip 8
saved_gdt:	.skip 10

/*
 * The stacks of the boot CPU, each above its guard page, in the order of <x86.h>: the
 * thread stack, then the IST stacks. kernel_map_init() leaves the guard pages unmapped.
 */
	.section .bss
	.balign 4096
	.global boot_cpu_stacks
boot_cpu_stacks:
	.skip 4 * (GUARD_SIZE + STACK_SIZE)
.set boot_cpu_stack_top, boot_cpu_stacks + GUARD_SIZE + STACK_SIZE

	.section .note.GNU-stack, "", @progbits
