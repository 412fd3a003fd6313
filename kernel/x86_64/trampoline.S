/* SPDX-License-Identifier: MIT */
/*
 * Where application processors (APs) start.
 *
 * The startup interrupt makes a processor begin in real mode at the page that it names,
 * below 1 MiB. smp_start() copies the first part of this file there. It enters protected
 * mode and long mode in one go, on the kernel's own page tables, in which that page is
 * identity-mapped meanwhile, and jumps to ap_entry, in the kernel proper.
 *
 * Several processors run here at once, so this page is only read. No stack until ap_entry
 * has drawn a ticket: the ticket is the CPU's number and selects its stack.
 *
 * Source: Intel SDM vol. 3, 8.4 (startup), 10.8.5 (entering long mode).
 */
#define CR0_PE	   0x00000001
#define CR0_BITS   0x80010033 /* PG WP NE ET MP PE; cache on: CD and NW clear */
#define MSR_EFER   0xc0000080
#define TRAMPOLINE 0x8000     /* TRAMPOLINE_PAGE in ipi.h */

/* Where a label is once it has been copied. */
#define AT(label) (label - trampoline_start + TRAMPOLINE)

	.section .rodata
	.balign 16
	.global trampoline_start, trampoline_end
	.global trampoline_cr3, trampoline_cr4, trampoline_efer
	.code16
trampoline_start:
	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ds
	lgdtl	AT(gdt_pointer)
	movl	%cr0, %eax
	orl	$CR0_PE, %eax
	movl	%eax, %cr0
	ljmpl	$0x18, $AT(start32)

	.code32
start32:
	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	AT(trampoline_cr4), %eax /* five levels cannot be turned on later */
	movl	%eax, %cr4
	movl	AT(trampoline_cr3), %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx /* no-execute must be on before tables that use it */
	movl	AT(trampoline_efer), %eax
	xorl	%edx, %edx
	wrmsr
	movl	$CR0_BITS, %eax
	movl	%eax, %cr0
	ljmpl	$0x08, $AT(start64)

	.code64
start64:
	movabsq	$ap_entry, %rax
	jmp	*%rax

	.balign 8
gdt:
	.quad	0
	.quad	0x00af9b000000ffff /* 0x08: 64-bit code */
	.quad	0x00cf93000000ffff /* 0x10: data */
	.quad	0x00cf9b000000ffff /* 0x18: 32-bit code */
gdt_end:
gdt_pointer:
	.word	gdt_end - gdt - 1
	.long	AT(gdt)
	.balign 4
trampoline_cr3:
	.long	0
trampoline_cr4:
	.long	0
trampoline_efer:
	.long	0
trampoline_end:

	.text
	.code64
ap_entry:
	movl	$1, %eax
	lock xaddl %eax, ap_tickets(%rip)
	cmpl	ap_limit(%rip), %eax
	jae	1f /* too late, or one that nobody called */
	movl	%eax, %edi
	movq	ap_stacks(,%rdi,8), %rsp
	xorl	%ebp, %ebp /* ends backtraces, with the return address */
	pushq	%rbp
	jmp	ap_main
1:	cli
	hlt
	jmp	1b

	.section .note.GNU-stack, "", @progbits
