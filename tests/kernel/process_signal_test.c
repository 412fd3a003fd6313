/* SPDX-License-Identifier: MIT */
/*
 * Signals from inside the kernel: what a handler finds and what it may change, frames that are
 * damaged on purpose, and registers that must not be lost.
 */
#include <string.h>
#include <time.h>

#include "process_user.h"

#define SIGNAL_FRAME_SIZE 440
#define CONTEXT_AT	  48 /* of the registers in a frame */
#define RIP_AT		  (CONTEXT_AT + 16 * 8)
#define RFLAGS_AT	  (CONTEXT_AT + 17 * 8)
#define SEGMENTS_AT	  (CONTEXT_AT + 18 * 8)
#define FPSTATE_AT	  (CONTEXT_AT + 23 * 8)

/* ---- For programs ---------------------------------------------------------------------------- */

static USER __attribute__((naked)) void
restorer(void)
{
	__asm__("movl $15, %eax; syscall");
}

/* Call the function at that address for a signal. */
static USER long
handle(long signal, long handler, long flags)
{
	struct abi_sigaction action;

	action.handler = (uint64_t)handler;
	action.flags = (uint64_t)flags | SA_RESTORER;
	action.restorer = (uint64_t)user_address(restorer);
	action.mask = 0;
	return call4(NR_sigaction, signal, &action, 0, 8);
}

#define word ((volatile long *)DATA)

/* ---- Handlers -------------------------------------------------------------------------------- */

static USER void
note_signal(long signal)
{
	word[0] = signal;
	word[1]++;
}

static USER long
signal_oneself(void)
{
	if (handle(SIGUSR1, user_address(note_signal), 0))
		return 1;
	for (int i = 0; i < 10; i++)
		if (call2(NR_kill, call0(NR_getpid), SIGUSR1))
			return 2;
	return word[0] == SIGUSR1 && word[1] == 10 ? 0 : 3;
}

KTEST(process_signal, handler_is_called)
{
	expect_exit(t, signal_oneself, 0);
}

/* Registers are those of before, although the handler destroys all that it may. */
static USER void
destroy_registers(long signal)
{
	(void)signal;
	__asm__ volatile("xorl %%ecx, %%ecx; xorl %%edx, %%edx; xorl %%esi, %%esi\n\t"
			 "xorl %%edi, %%edi; xorl %%r8d, %%r8d; xorl %%r9d, %%r9d\n\t"
			 "xorl %%r10d, %%r10d; xorl %%r11d, %%r11d\n\t"
			 "pxor %%xmm0, %%xmm0; pxor %%xmm15, %%xmm15; std; cld" ::
			     : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
	word[1]++;
}

/* A child of the program signals it while it compares its registers, again and again. */
static USER __attribute__((naked)) long
compare_registers(void)
{
	__asm__("movl $0x501, %ecx; movl $0x502, %edx; movl $0x503, %esi; movl $0x504, %edi\n\t"
		"movl $0x505, %r8d; movl $0x506, %r9d; movl $0x507, %r10d; movl $0x508, %r11d\n\t"
		"movq %rcx, %xmm0; movq %rdx, %xmm15; movl $100000, %eax\n"
		"1:	cmpq $0x501, %rcx; jne 2f\n\t"
		"cmpq $0x502, %rdx; jne 2f\n\t"
		"cmpq $0x503, %rsi; jne 2f\n\t"
		"cmpq $0x504, %rdi; jne 2f\n\t"
		"cmpq $0x505, %r8; jne 2f\n\t"
		"cmpq $0x506, %r9; jne 2f\n\t"
		"cmpq $0x507, %r10; jne 2f\n\t"
		"cmpq $0x508, %r11; jne 2f\n\t"
		"movq %xmm0, %r11; cmpq $0x501, %r11; jne 2f\n\t"
		"movq %xmm15, %r11; cmpq $0x502, %r11; jne 2f\n\t"
		"movl $0x508, %r11d\n\t"
		"decl %eax; jnz 1b\n\t"
		"xorl %eax, %eax; ret\n"
		"2:	movl $1, %eax; ret");
}

static USER long
signalled_at_any_place(void)
{
	long child, parent = call0(NR_getpid), wrong = 0;

	handle(SIGUSR1, user_address(destroy_registers), 0);
	child = call0(NR_fork);
	if (child == 0)
		for (;;)
			call2(NR_kill, parent, SIGUSR1);
	while (word[1] < 200 && !wrong)
		wrong = compare_registers();
	call2(NR_kill, child, SIGKILL);
	while (call4(NR_wait4, child, 0, 0, 0) == -4)
		;
	return wrong;
}

KTEST(process_signal, registers_survive_signals, .budget_ms = 60000)
{
	expect_exit(t, signalled_at_any_place, 0);
}

/* A handler may look at the fault and repair it: here, by making the page writable. */
static USER void
repair(long signal, const struct abi_siginfo *info)
{
	if (signal != SIGSEGV || info->code != SEGV_ACCERR ||
	    info->fault.address != DATA + PAGE_SIZE)
		call1(NR_exit_group, 100);
	word[1]++;
	call3(NR_mprotect, DATA + PAGE_SIZE, PAGE_SIZE, 3);
}

static USER long
write_protected(void)
{
	volatile long *protected = (volatile long *)(DATA + PAGE_SIZE);

	handle(SIGSEGV, user_address(repair), SA_SIGINFO);
	call3(NR_mprotect, DATA + PAGE_SIZE, PAGE_SIZE, 1);
	*protected = 17;
	return word[1] == 1 && *protected == 17 ? 0 : 1;
}

KTEST(process_signal, faults_can_be_repaired)
{
	expect_exit(t, write_protected, 0);
}

/* The stack is used up: only an alternate one lets the handler run. */
static USER void
leave(long signal)
{
	call1(NR_exit_group, signal);
}

static USER long
overflow_with_altstack(void)
{
	struct abi_sigaltstack stack;

	stack.sp = DATA + 1024;
	stack.flags = 0;
	stack.size = 7 * 1024;
	if (call2(NR_sigaltstack, &stack, 0))
		return 1;
	handle(SIGSEGV, user_address(leave), SA_ONSTACK);
	__asm__ volatile("1: pushq %rax; jmp 1b");
	return 2;
}

static USER long
overflow_without_altstack(void)
{
	handle(SIGSEGV, user_address(leave), 0);
	__asm__ volatile("1: pushq %rax; jmp 1b");
	return 2;
}

KTEST(process_signal, alternate_stack)
{
	expect_exit(t, overflow_with_altstack, SIGSEGV);
	expect_killed(t, overflow_without_altstack, SIGSEGV);
}

/* A handler is told whether a stack was too small or a pointer wild. */
static USER void
leave_with_reason(long signal, const struct abi_siginfo *info)
{
	call1(NR_exit_group, info->signo == signal && info->code == SEGV_MAPERR ? info->error : 99);
}

static USER long
stack_or_pointer(void)
{
	struct abi_sigaltstack stack;

	stack.sp = DATA + 1024;
	stack.flags = 0;
	stack.size = 7 * 1024;
	if (call2(NR_sigaltstack, &stack, 0))
		return 98;
	handle(SIGSEGV, user_address(leave_with_reason), SA_ONSTACK | SA_SIGINFO);
	if (word[0])
		__asm__ volatile("1: pushq %rax; jmp 1b");
	*(volatile long *)0x123456789000 = 1;
	return 97;
}

KTEST(process_signal, overflow_is_told_from_a_wild_pointer)
{
	long overflows = 0;
	struct wait_status status = process_run(t, stack_or_pointer, &overflows, sizeof(overflows));

	expect_eq(t, status.status, 0);
	overflows = 1;
	status = process_run(t, stack_or_pointer, &overflows, sizeof(overflows));
	expect_eq(t, status.code, CLD_EXITED);
	expect_eq(t, status.status, EOVERFLOW);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static USER long
kill_a_spinner(void)
{
	int status = 0;
	long child = call0(NR_fork);

	if (child == 0)
		__asm__ volatile("1: jmp 1b");
	for (int i = 0; i < 10; i++)
		call0(NR_yield);
	call2(NR_kill, child, SIGKILL);
	return call4(NR_wait4, child, &status, 0, 0) == child && status == SIGKILL ? 0 : 1;
}

KTEST(process_signal, kill_ends_what_never_enters_the_kernel, .budget_ms = 20000)
{
	expect_exit(t, kill_a_spinner, 0);
}

/* A read that never ends: of a futex word that nobody wakes. */
static USER long
kill_a_sleeper(void)
{
	int status = 0;
	long child = call0(NR_fork);

	if (child == 0)
		call6(NR_futex, DATA, 0, 0, 0, 0, 0);
	for (int i = 0; i < 10; i++)
		call0(NR_yield);
	call2(NR_kill, child, SIGTERM);
	return call4(NR_wait4, child, &status, 0, 0) == child && status == SIGTERM ? 0 : 1;
}

KTEST(process_signal, kill_ends_what_sleeps, .budget_ms = 20000)
{
	expect_exit(t, kill_a_sleeper, 0);
}

static USER long
stop_and_continue(void)
{
	int status = 0;
	long child = call0(NR_fork);

	if (child == 0)
		for (;;)
			call0(NR_yield);
	call2(NR_kill, child, SIGSTOP);
	if (call4(NR_wait4, child, &status, 2, 0) != child || status != (SIGSTOP << 8 | 0x7f))
		return 1;
	if (call4(NR_wait4, child, &status, 3, 0) != 0) /* told once */
		return 2;
	call2(NR_kill, child, SIGCONT);
	if (call4(NR_wait4, child, &status, 8, 0) != child || status != 0xffff)
		return 3;
	call2(NR_kill, child, SIGSTOP);
	call2(NR_kill, child, SIGKILL);
	return call4(NR_wait4, child, &status, 0, 0) == child && status == SIGKILL ? 0 : 4;
}

KTEST(process_signal, stop_and_continue, .budget_ms = 20000)
{
	expect_exit(t, stop_and_continue, 0);
}

/* ---- Damaged frames -------------------------------------------------------------------------- */

/* The frame to return from lies at DATA, as the test has filled it in. */
static USER __attribute__((naked)) long
return_from_data(void)
{
	__asm__("movq $0x500008, %rsp\n\t" /* DATA, its first word taken off */
		"movl $15, %eax\n\t"
		"syscall\n\t"
		"ud2");
}

static USER long
end_well(void)
{
	call1(NR_exit_group, 33);
	return 0;
}

/* A frame of which only the registers matter: RIP, RSP; no vector registers. */
static void
fill_frame(uint8_t frame[SIGNAL_FRAME_SIZE], uint64_t rip, uint64_t rflags, uint64_t fpstate)
{
	uint64_t rsp = STACK_TOP - 256 - 8;

	memset(frame, 0, SIGNAL_FRAME_SIZE);
	memcpy(frame + RIP_AT - 8, &rsp, sizeof(rsp));
	memcpy(frame + RIP_AT, &rip, sizeof(rip));
	memcpy(frame + RFLAGS_AT, &rflags, sizeof(rflags));
	memcpy(frame + FPSTATE_AT, &fpstate, sizeof(fpstate));
}

static struct wait_status
return_to(struct ktest *t, uint64_t rip, uint64_t rflags, uint64_t fpstate)
{
	uint8_t frame[SIGNAL_FRAME_SIZE];

	fill_frame(frame, rip, rflags, fpstate);
	return process_run(t, return_from_data, frame, sizeof(frame));
}

/* Where process_run() puts a function. */
static uint64_t
copied(const void *function)
{
	return (uintptr_t)function - ALIGN_DOWN((uintptr_t)user_start - CODE_SIZE / 2, PAGE_SIZE) +
	       CODE;
}

KTEST(process_signal, returns_to_bad_addresses, .budget_ms = 20000)
{
	static const uint64_t bad[] = {
		0,	     KERNEL_BASE, 0x800000000000, 0xffff7fffffffffff, 0x1234567812345678,
		USER_WINDOW, UINT64_MAX
	};
	struct wait_status status = return_to(t, copied((const void *)end_well), 0, 0);

	expect_eq(t, status.code, CLD_EXITED);
	expect_eq(t, status.status, 33);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		status = return_to(t, bad[i], 0, 0);
		expect_eq(t, status.code, CLD_KILLED);
		expect_eq(t, status.status, SIGSEGV);
	}
}

/* No flag that a program cannot set by itself comes in that way: interrupts stay on. */
KTEST(process_signal, returns_with_bad_flags, .budget_ms = 20000)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		struct wait_status status =
		    return_to(t, copied((const void *)end_well), 1ull << bit, 0);

		if (bit == 8) { /* single step */
			expect_eq(t, status.status, SIGTRAP);
			continue;
		}
		expect_eq(t, status.code, CLD_EXITED);
		expect_eq(t, status.status, 33);
	}
}

#define RANDOM_FRAMES 300

/* Vector state from a page of random bytes, and whole frames of them. */
KTEST(process_signal, returns_from_garbage, .budget_ms = 120000)
{
	static uint8_t page[PAGE_SIZE];

	for (unsigned i = 0; i < RANDOM_FRAMES; i++) {
		struct wait_status status;

		for (unsigned n = 0; n < sizeof(page); n += 8) {
			uint64_t random = prng_next(&t->prng);

			memcpy(page + n, &random, sizeof(random));
		}
		if (i % 2) {
			fill_frame(page, copied((const void *)end_well), 0,
				   DATA + 512 + prng_below(&t->prng, 1024));
			if (i % 4 == 1) { /* as if it were an area of XSAVE */
				uint32_t info[5] = { 0x46505853, 0, 7, 0, 0 };

				memcpy(page + 512 + 464, info, sizeof(info));
			}
		}
		status = process_run(t, return_from_data, page, sizeof(page));
		expect_true(t, status.code == CLD_KILLED || status.code == CLD_EXITED);
	}
}

KTEST(process_signal, returns_on_no_stack)
{
	struct wait_status status = return_to(t, 0, 0, KERNEL_BASE);

	expect_eq(t, status.status, SIGSEGV);
	status = return_to(t, copied((const void *)end_well), 0, KERNEL_BASE);
	expect_eq(t, status.status, SIGSEGV);
}

/* ---- Vector registers over switches ---------------------------------------------------------- */

/*
 * Several processes, each with its own pattern in SSE registers, x87 and MXCSR, that are switched
 * all the time; each compares for a while.
 */
static USER long
keep_pattern(long pattern)
{
	uint32_t mxcsr = 0x1f80 | (uint32_t)(pattern & 3) << 13, seen;
	uint64_t x87 = (uint64_t)pattern, out, xmm;

	__asm__ volatile("ldmxcsr %0; fildq %1; movq %1, %%xmm3; movq %1, %%xmm11" ::"m"(mxcsr),
			 "m"(x87));
	for (int i = 0; i < 300; i++) {
		for (int n = 0; n < 2000; n++)
			__asm__ volatile("");
		__asm__ volatile("movq %%xmm3, %0" : "=r"(xmm));
		if (xmm != (uint64_t)pattern)
			return 1;
		__asm__ volatile("movq %%xmm11, %0" : "=r"(xmm));
		if (xmm != (uint64_t)pattern)
			return 2;
		__asm__ volatile("stmxcsr %0" : "=m"(seen));
		if ((seen & 0x6000) != (mxcsr & 0x6000))
			return 3;
		call0(NR_yield);
	}
	__asm__ volatile("fistpq %0" : "=m"(out));
	return out == (uint64_t)pattern ? 0 : 4;
}

static USER long
patterns(void)
{
	int status, wrong = 0;

	for (long i = 0; i < 8; i++)
		if (call0(NR_fork) == 0)
			return keep_pattern(0x1111111111 * (i + 1));
	for (long i = 0; i < 8; i++) {
		call4(NR_wait4, -1, &status, 0, 0);
		wrong |= status;
	}
	return wrong ? 1 + (wrong >> 8) : 0;
}

KTEST(process_signal, vector_registers_survive_switches, .budget_ms = 60000)
{
	sched_fuzz_ticks(200000, 2000000, t->seed);
	expect_exit(t, patterns, 0);
	sched_fuzz_ticks(0, 0, 0);
}
