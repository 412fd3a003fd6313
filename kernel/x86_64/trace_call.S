/* SPDX-License-Identifier: MIT */
/*
 * What arch_trace_call() calls. On the stack, below the return address, lie a function and
 * its three arguments; they are gone after the return, and no register has changed. The
 * frame is linked into the list that arch_trace_caller() follows.
 *
 *	40(%rbp)  b
 *	32(%rbp)  a
 *	24(%rbp)  event
 *	16(%rbp)  function
 *	 8(%rbp)  return address
 *	  (%rbp)  frame of the code around the trace point
 */
	.text
	.globl	arch_trace_thunk
	.type	arch_trace_thunk, @function
arch_trace_thunk:
	pushq	%rbp
	movq	%rsp, %rbp
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	movq	24(%rbp), %rdi
	movq	32(%rbp), %rsi
	movq	40(%rbp), %rdx
	call	*16(%rbp)
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
	popq	%rbp
	ret	$32
	.size	arch_trace_thunk, . - arch_trace_thunk
