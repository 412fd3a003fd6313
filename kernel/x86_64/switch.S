/* SPDX-License-Identifier: MIT */
/*
 * The switch between two kernel threads.
 *
 * To the compiler this is an ordinary call, so it has already saved whatever it needs of
 * the registers that a call may destroy. What remains is rbp, rbx, r12 to r15 and the
 * stack pointer. The program counter is the return address: the "ret" goes back to where
 * the other thread called arch_switch(). Interrupts are off on both sides, so the flags
 * need no saving. (System V ABI, AMD64 supplement, 3.2.1)
 *
 *	void arch_switch(uintptr_t *save, uintptr_t load)
 *	                            rdi            rsi
 */
	.text
	.globl	arch_switch
	.type	arch_switch, @function
arch_switch:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size	arch_switch, . - arch_switch

	.section .note.GNU-stack, "", @progbits
