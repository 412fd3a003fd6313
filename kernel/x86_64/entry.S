/* SPDX-License-Identifier: MIT */
/*
 * Where the processor enters the kernel: one stub a vector.
 *
 * The processor has pushed SS, RSP, RFLAGS, CS, RIP and for some exceptions an error code.
 * The stubs make the rest of struct trap_frame and call trap_dispatch(). Between the two
 * lies a made-up call frame that returns to the interrupted instruction, so that a backtrace
 * taken in a handler goes on through the interrupted code.
 *
 * All code runs in ring 0, so there is no GS to swap.
 */
#define FRAME_RIP 136 /* offsetof(struct trap_frame, rip) */

	.text

/* Vectors whose exceptions push an error code: bit n for vector n (Intel SDM 3, table 6-1). */
#define HAS_ERROR_CODE 0x60227d00

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
	jmp trap_entry
	.set vector, vector + 1
	.endr
	.rept 256 - 32
	.balign 16
	pushq $0
	pushq $vector
	jmp trap_entry
	.set vector, vector + 1
	.endr

trap_entry:
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
	movq %rsp, %rdi
	pushq FRAME_RIP(%rsp)
	pushq %rbp
	movq %rsp, %rbp
	call trap_dispatch
	addq $16, %rsp
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
