/* SPDX-License-Identifier: MIT */
/*
 * The way of a system call into the kernel and back.
 *
 * SYSCALL does less than a trap: it puts RIP in RCX and RFLAGS in R11, clears in RFLAGS what
 * MSR_SFMASK says (interrupts among it), loads CS and SS, and jumps here. The stack is still
 * the program's. So the first instructions find the kernel's, and then make a struct trap_frame
 * as trap_entry of entry.S would: what the program's registers were can be found, and changed,
 * at one place, however it came.
 *
 *	top of the thread's stack    SS RSP RFLAGS CS RIP | number | VECTOR_SYSCALL | registers
 *	below                        the six arguments, as an array
 *
 * Back, SYSRET undoes what SYSCALL did, much faster than IRET. It is only used if nobody has
 * changed the frame for good (then vector is something else), and never to an address that is
 * not canonical: there some processors fault in ring 0 with the program's stack (CVE-2012-0217).
 * Addresses that only five levels of page tables have go by IRET, too.
 * A function of C keeps RBX and R12 to R15, so they need not be loaded again. All other registers
 * get their old values, except RAX, which is the result: no value of the kernel leaks.
 *
 * Source: Intel SDM vol. 2, SYSCALL and SYSRET.
 */
#define USER_DS	       0x1b
#define USER_CS	       0x23
#define VECTOR_SYSCALL 0x100
#define NR_SYSCALLS    512

/* Of struct arch_cpu, behind GS; of struct thread. user_thread.c compares them with C. */
#define CPU_CURRENT	   16
#define CPU_KERNEL_SP	   24
#define CPU_USER_SP	   32
#define THREAD_INTERRUPTED 0

/* Of struct trap_frame. */
#define FRAME_R10    40
#define FRAME_R9     48
#define FRAME_R8     56
#define FRAME_RDI    64
#define FRAME_RSI    72
#define FRAME_RBP    80
#define FRAME_RDX    96
#define FRAME_RAX    112
#define FRAME_VECTOR 120
#define FRAME_RIP    136
#define FRAME_RFLAGS 152
#define FRAME_RSP    160

	.text
	.globl	syscall_entry
	.type	syscall_entry, @function
syscall_entry:
	swapgs
	movq	%rsp, %gs:CPU_USER_SP
	movq	%gs:CPU_KERNEL_SP, %rsp
	pushq	$USER_DS
	pushq	%gs:CPU_USER_SP
	pushq	%r11
	pushq	$USER_CS
	pushq	%rcx
	pushq	%rax
	pushq	$VECTOR_SYSCALL
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	sti
	pushq	%r9
	pushq	%r8
	pushq	%r10
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	movq	%rsp, %rdi
	xorl	%ebp, %ebp	/* the end of a backtrace */
	cmpq	$NR_SYSCALLS, %rax
	jae	.Lno_such_call
	call	*syscall_table(, %rax, 8)
.Lcalled:
	addq	$48, %rsp
	movq	%rax, FRAME_RAX(%rsp)
	cli
	movq	%gs:CPU_CURRENT, %rcx
	cmpb	$0, THREAD_INTERRUPTED(%rcx)
	jne	.Lwork
.Lleave:
	cmpl	$VECTOR_SYSCALL, FRAME_VECTOR(%rsp)
	jne	.Lchanged
	movq	FRAME_RIP(%rsp), %rcx
	movq	%rcx, %rdx
	shrq	$47, %rdx
	jnz	trap_to_user
	movq	FRAME_R10(%rsp), %r10
	movq	FRAME_R9(%rsp), %r9
	movq	FRAME_R8(%rsp), %r8
	movq	FRAME_RDI(%rsp), %rdi
	movq	FRAME_RSI(%rsp), %rsi
	movq	FRAME_RDX(%rsp), %rdx
	movq	FRAME_RBP(%rsp), %rbp
	movq	FRAME_RFLAGS(%rsp), %r11
	movq	FRAME_RSP(%rsp), %rsp
	swapgs
	sysretq

.Lno_such_call:
	call	syscall_none
	jmp	.Lcalled

/* By sigreturn, to whatever the program put on its stack: IRET must not find that out. */
.Lchanged:
	movq	%rsp, %rdi
	call	user_leave
	jmp	trap_to_user

/* After this the frame may be that of a signal handler; then it is marked as changed. */
.Lwork:
	movq	%rsp, %rdi
	call	user_leave
	movq	FRAME_RAX(%rsp), %rax
	jmp	.Lleave
	.size	syscall_entry, . - syscall_entry

	.section .note.GNU-stack, "", @progbits
