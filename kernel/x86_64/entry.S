/* SPDX-License-Identifier: MIT */
/*
 * Where the processor enters the kernel: one stub a vector.
 *
 * The processor has pushed SS, RSP, RFLAGS, CS, RIP and for some exceptions an error code.
 * The stubs make the rest of struct trap_frame and call trap_dispatch(). Between the two
 * lies a made-up call frame that returns to the interrupted instruction, so that a backtrace
 * taken in a handler goes on through the interrupted code.
 *
 * GS points at this CPU's struct arch_cpu while the kernel runs, and wherever the program wants
 * while a program runs. swapgs exchanges the two, here and in user/syscall_entry.S, next to
 * the change of ring; so ordinarily the ring that was interrupted tells which GS is in force.
 * The three exceptions that may strike between a change of ring and its swapgs look at GS
 * itself: a program's is never in the upper half.
 */
#define FRAME_RIP 136 /* offsetof(struct trap_frame, rip) */
#define FRAME_CS  144

#define MSR_GS_BASE 0xc0000101

	.text

/* Vectors whose exceptions push an error code: bit n for vector n (Intel SDM 3, table 6-1). */
#define HAS_ERROR_CODE 0x60227d00

/* Bit n: vector n may strike anywhere: NMI, double fault, machine check. */
#define ANYWHERE 0x00040104

	.balign 16
	.global trap_stubs
trap_stubs:
	.set vector, 0
	.rept 32
	.balign 16
	.if !((HAS_ERROR_CODE >> vector) & 1)
	pushq $0
	.endif
	pushq $vector
	.if (ANYWHERE >> vector) & 1
	jmp trap_entry_anywhere
	.else
	jmp trap_entry
	.endif
	.set vector, vector + 1
	.endr
	.rept 256 - 32
	.balign 16
	pushq $0
	pushq $vector
	jmp trap_entry
	.set vector, vector + 1
	.endr

	.macro push_registers
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rbx
	pushq %rbp
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	.endm

	.macro call_dispatch
	movq %rsp, %rdi
	pushq FRAME_RIP(%rsp)
	pushq %rbp
	movq %rsp, %rbp
	call trap_dispatch
	addq $16, %rsp
	.endm

	.macro pop_registers
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rbp
	popq %rbx
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp /* vector, error code */
	.endm

trap_entry:
	push_registers
	testb $3, FRAME_CS(%rsp)
	jz 1f
	swapgs
1:	call_dispatch
	testb $3, FRAME_CS(%rsp)
	jz 2f
	swapgs
2:	pop_registers
	iretq

/* RBX remembers whether to swap back. */
trap_entry_anywhere:
	push_registers
	xorl %ebx, %ebx
	movl $MSR_GS_BASE, %ecx
	rdmsr
	testl %edx, %edx
	js 1f
	swapgs
	incl %ebx
1:	call_dispatch
	testl %ebx, %ebx
	jz 2f
	swapgs
2:	pop_registers
	iretq

/*
 * Go on in user mode with the trap frame that RSP points at. Interrupts are off, GS is the
 * kernel's.
 */
	.global trap_to_user
trap_to_user:
	swapgs
	pop_registers
	iretq

/*
 * bool trap_try(void (*fn)(void *), void *arg, uint64_t *rsp)
 *
 * Call fn(arg) and return false. *rsp is where trap_try_caught, which returns true in its
 * place, finds the callee-saved registers; it is entered with that RSP.
 */
	.global trap_try
trap_try:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	subq $8, %rsp
	movq %rsp, (%rdx)
	movq %rdi, %rax
	movq %rsi, %rdi
	call *%rax
	xorl %eax, %eax
1:	addq $8, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret

	.global trap_try_caught
trap_try_caught:
	movl $1, %eax
	jmp 1b

	.section .note.GNU-stack, "", @progbits
