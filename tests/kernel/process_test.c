/* SPDX-License-Identifier: MIT */
/*
 * Processes from inside the kernel: entry and exit, what happens to registers, exceptions, bad
 * pointers, fork and wait, threads, priorities; and that nothing is left behind.
 */
#include <abi/sched.h>
#include <page_allocator.h>
#include <time.h>

#include "process_user.h"

/* ---- Beginning and end ----------------------------------------------------------------------- */

static USER long
return_seven(void)
{
	return 7;
}

static USER long
exit_of_one_thread(void)
{
	return call1(NR_exit, 300);
}

KTEST(process, exit_status)
{
	expect_exit(t, return_seven, 7);
	expect_exit(t, exit_of_one_thread, 300 & 0xff);
}

static USER long
check_ids(void)
{
	return call0(NR_getpid) == 1 && call0(NR_gettid) == 1 && call0(NR_getppid) == 0 ? 0 : 1;
}

KTEST(process, first_has_id_1)
{
	expect_exit(t, check_ids, 0);
}

/* The memory manager asks for processes by number. */
KTEST(process, address_spaces_by_id)
{
	expect_true(t, space_of_process == process_space);
	expect_eq(t, enable_stack_protection(1), -ESRCH); /* none runs */
	expect_eq(t, disable_stack_protection(-1), -ESRCH);
}

static void
run_seven(struct ktest *t)
{
	expect_exit(t, return_seven, 7);
}

KTEST(process, nothing_is_left, .budget_ms = 60000)
{
	expect_no_leak(t, run_seven);
}

/* ---- Registers ------------------------------------------------------------------------------- */

/* All registers but RAX, RCX and R11 survive a system call; those hold result, RIP, RFLAGS. */
static USER __attribute__((naked)) long
registers_over_a_call(void)
{
	__asm__("pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n\t"
		"movq %rsp, %r15\n\t"
		"movl $0x1001, %ebx; movl $0x1002, %edx; movl $0x1003, %esi\n\t"
		"movl $0x1004, %edi; movl $0x1005, %ebp; movl $0x1006, %r8d\n\t"
		"movl $0x1007, %r9d; movl $0x1008, %r10d; movl $0x1009, %r12d\n\t"
		"movl $0x100a, %r13d; movl $0x100b, %r14d\n\t"
		"movl $39, %eax\n\t"
		"syscall\n"
		"1:\n\t"
		"cmpl $1, %eax; jne 2f\n\t"
		"leaq 1b(%rip), %rax; cmpq %rax, %rcx; jne 2f\n\t"
		"testl $0x200, %r11d; jz 2f\n\t"
		"cmpq $0x1001, %rbx; jne 2f\n\t"
		"cmpq $0x1002, %rdx; jne 2f\n\t"
		"cmpq $0x1003, %rsi; jne 2f\n\t"
		"cmpq $0x1004, %rdi; jne 2f\n\t"
		"cmpq $0x1005, %rbp; jne 2f\n\t"
		"cmpq $0x1006, %r8; jne 2f\n\t"
		"cmpq $0x1007, %r9; jne 2f\n\t"
		"cmpq $0x1008, %r10; jne 2f\n\t"
		"cmpq $0x1009, %r12; jne 2f\n\t"
		"cmpq $0x100a, %r13; jne 2f\n\t"
		"cmpq $0x100b, %r14; jne 2f\n\t"
		"cmpq %rsp, %r15; jne 2f\n\t"
		"xorl %eax, %eax\n\t"
		"jmp 3f\n"
		"2:	movl $1, %eax\n"
		"3:	popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n\t"
		"ret");
}

KTEST(process, registers_survive_a_call)
{
	expect_exit(t, registers_over_a_call, 0);
}

/* Count down in registers for long enough to be interrupted: nothing else may change them. */
static USER __attribute__((naked)) long
registers_over_interrupts(void)
{
	__asm__("pushq %rbx\n\t"
		"movl $20000000, %ecx; movq %rcx, %rbx\n\t"
		"movl $0x11, %edx; movl $0x22, %esi; movl $0x33, %edi; movl $0x44, %r11d\n"
		"1:	decq %rbx; decq %rcx; jnz 1b\n\t"
		"movl $1, %eax\n\t"
		"testq %rbx, %rbx; jnz 2f\n\t"
		"cmpq $0x11, %rdx; jne 2f\n\t"
		"cmpq $0x22, %rsi; jne 2f\n\t"
		"cmpq $0x33, %rdi; jne 2f\n\t"
		"cmpq $0x44, %r11; jne 2f\n\t"
		"xorl %eax, %eax\n"
		"2:	popq %rbx\n\t"
		"ret");
}

KTEST(process, registers_survive_interrupts, .budget_ms = 20000)
{
	sched_fuzz_ticks(100000, 1000000, t->seed);
	expect_exit(t, registers_over_interrupts, 0);
	sched_fuzz_ticks(0, 0, 0);
}

#define CALLS 1000

/* Writes how many cycles one call takes to DATA. */
static USER long
time_null_call(void)
{
	uint64_t start = arch_cycles();

	for (int i = 0; i < CALLS; i++)
		call0(NR_getppid);
	*(volatile uint64_t *)DATA = (arch_cycles() - start) / CALLS;
	return (long)MIN(*(volatile uint64_t *)DATA, 255);
}

KTEST(process, null_call)
{
	struct wait_status status = process_run(t, time_null_call, NULL, 0);

	ktest_note(t, "getppid: %d cycles (255: or more)", status.status);
	expect_eq(t, status.code, CLD_EXITED);
}

/* ---- Exceptions ------------------------------------------------------------------------------ */

static USER long
read_null(void)
{
	volatile long *null = computed((void *)8);

	return *null;
}

static USER long
write_code(void)
{
	*(volatile long *)CODE = 0;
	return 0;
}

static USER long
execute_data(void)
{
	*(volatile char *)DATA = (char)0xc3;
	((void (*)(void))DATA)();
	return 0;
}

static USER long
read_kernel(void)
{
	return *(volatile long *)KERNEL_BASE;
}

static USER long
read_noncanonical(void)
{
	return *(volatile long *)0x800000000000;
}

static USER long
jump_noncanonical(void)
{
	((void (*)(void))0x800000000000)();
	return 0;
}

static USER long
return_noncanonical(void)
{
	__asm__ volatile("pushq %0; ret" ::"r"(0x1234567812345678));
	return 0;
}

static USER long
overflow_stack(void)
{
	__asm__ volatile("1: pushq %rax; jmp 1b");
	return 0;
}

static USER long
divide(void)
{
	__asm__ volatile("xorl %%ecx, %%ecx; divl %%ecx" ::: "eax", "ecx", "edx");
	return 0;
}

static USER long
invalid(void)
{
	__asm__ volatile("ud2");
	return 0;
}

static USER long
breakpoint(void)
{
	__asm__ volatile("int3");
	return 0;
}

static USER long
single_step(void)
{
	__asm__ volatile("pushfq; orl $0x100, (%rsp); popfq; nop");
	return 0;
}

static USER long
halt(void)
{
	__asm__ volatile("hlt");
	return 0;
}

static USER long
port(void)
{
	__asm__ volatile("outb %al, $0x80");
	return 0;
}

static USER long
interrupts_off(void)
{
	__asm__ volatile("cli");
	return 0;
}

static USER long
old_call(void)
{
	__asm__ volatile("int $0x80" ::"a"(20));
	return 0;
}

static USER long
misaligned(void)
{
	__asm__ volatile("pushfq; orl $0x40000, (%rsp); popfq; movl 1(%rsp), %eax; ud2");
	return 0;
}

KTEST(process, exceptions_end_it, .budget_ms = 20000)
{
	expect_killed(t, read_null, SIGSEGV);
	expect_killed(t, write_code, SIGSEGV);
	expect_killed(t, execute_data, SIGSEGV);
	expect_killed(t, read_kernel, SIGSEGV);
	expect_killed(t, read_noncanonical, SIGSEGV);
	expect_killed(t, jump_noncanonical, SIGSEGV);
	expect_killed(t, return_noncanonical, SIGSEGV);
	expect_killed(t, overflow_stack, SIGSEGV);
	expect_killed(t, divide, SIGFPE);
	expect_killed(t, invalid, SIGILL);
	expect_killed(t, breakpoint, SIGTRAP);
	expect_killed(t, single_step, SIGTRAP);
	expect_killed(t, halt, SIGSEGV);
	expect_killed(t, port, SIGSEGV);
	expect_killed(t, interrupts_off, SIGSEGV);
	expect_killed(t, old_call, SIGSEGV);
}

/* Alignment checks need CR0.AM, which is not set: the flag has no effect, and ud2 ends it. */
KTEST(process, alignment_is_not_checked)
{
	expect_killed(t, misaligned, SIGILL);
}

/* A system call from the last two bytes that can be mapped returns to where nothing is. */
static USER long
call_at_the_end(void)
{
	char *last = (char *)(USER_WINDOW - PAGE_SIZE);
	long mapped = call6(9, (long)last, PAGE_SIZE, 7, 0x32, -1, 0);

	if (mapped != (long)last)
		return 1;
	last[PAGE_SIZE - 2] = 0x0f;
	last[PAGE_SIZE - 1] = 0x05;
	__asm__ volatile("jmpq *%0" ::"r"(last + PAGE_SIZE - 2), "a"(NR_getpid));
	return 2;
}

KTEST(process, call_at_the_end_of_memory)
{
	expect_killed(t, call_at_the_end, SIGSEGV);
}

#define HIGH (1ul << 50) /* an address that only five levels of page tables have */

/* The processor, and the kernel's copies, can use it where a program can have it. */
static USER long
memory_above_47_bits(void)
{
	long at = call6(9, HIGH, PAGE_SIZE, 3, 0x22, -1, 0);
	volatile char *byte = (volatile char *)at;

	byte[PAGE_SIZE - 1] = 1;
	if (byte[PAGE_SIZE - 1] != 1 || call1(NR_uname, at) != 0 || byte[0] != 'L')
		return 2;
	if (call1(NR_uname, at + PAGE_SIZE) != -14)
		return 3;
	return at == (long)HIGH;
}

KTEST(process, addresses_above_47_bits)
{
	expect_exit(t, memory_above_47_bits, arch_mmu_levels == 5);
}

/* ---- Bad pointers ---------------------------------------------------------------------------- */

#define EFAULT_ (-14)

static USER long
bad_pointers(void)
{
	char *end = (char *)(DATA + DATA_SIZE);

	if (call1(NR_uname, 8) != EFAULT_ || call1(NR_uname, -1) != EFAULT_ ||
	    call1(NR_uname, KERNEL_BASE) != EFAULT_ || call1(NR_uname, end - 8) != EFAULT_ ||
	    call1(NR_uname, CODE) != EFAULT_ || call1(NR_uname, 0x800000000000) != EFAULT_)
		return 1;
	if (call1(NR_uname, end - 390) != 0)
		return 2;
	if (call2(NR_clock_gettime, 0, USER_WINDOW - 8) != EFAULT_ ||
	    call2(NR_nanosleep, USER_WINDOW - 8, 0) != EFAULT_ ||
	    call4(NR_sigprocmask, 0, KERNEL_BASE, 0, 8) != EFAULT_)
		return 3;
	return 0;
}

KTEST(process, bad_pointers_are_errors)
{
	expect_exit(t, bad_pointers, 0);
}

static USER long
unknown_calls(void)
{
	for (long number = 400; number < 600; number++)
		if (number != 439 && number != 436 && call0(number) != -38 && call0(number) != -14)
			return 1;
	return call0(-1) == -38 && call0(1l << 32) == -38 && call0(1l << 63) == -38 ? 0 : 2;
}

KTEST(process, calls_that_there_are_not)
{
	expect_exit(t, unknown_calls, 0);
}

/* ---- fork and wait --------------------------------------------------------------------------- */

#define CHILDREN 8

/* Each child changes its own copy of memory, and ends with another status. */
static USER long
fork_some(void)
{
	volatile long *word = (volatile long *)DATA;
	int status, sum = 0;

	*word = 5;
	for (long i = 0; i < CHILDREN; i++) {
		long pid = call0(NR_fork);

		if (pid < 0)
			return 1;
		if (pid == 0) {
			if (*word != 5 || call0(NR_getppid) != 1)
				return 200;
			*word = 100 + i;
			return i + 1;
		}
	}
	for (long i = 0; i < CHILDREN; i++) {
		if (call4(NR_wait4, -1, &status, 0, 0) <= 1 || (status & 0xff))
			return 2;
		sum += status >> 8;
	}
	if (call4(NR_wait4, -1, &status, 0, 0) != -10)
		return 3;
	return sum == CHILDREN * (CHILDREN + 1) / 2 && *word == 5 ? 0 : 4;
}

KTEST(process, fork_and_wait, .budget_ms = 20000)
{
	expect_exit(t, fork_some, 0);
}

static void
run_fork_some(struct ktest *t)
{
	expect_exit(t, fork_some, 0);
}

KTEST(process, forks_leave_nothing, .budget_ms = 120000)
{
	expect_no_leak(t, run_fork_some);
}

/* Children of children that nobody waits for go to the first process, and end with it. */
static USER long
orphans(void)
{
	for (int i = 0; i < 4; i++) {
		if (call0(NR_fork) == 0) {
			if (call0(NR_fork) == 0)
				for (;;)
					call0(NR_yield);
			return 0;
		}
	}
	return 0;
}

static void
run_orphans(struct ktest *t)
{
	expect_exit(t, orphans, 0);
}

KTEST(process, orphans_end_with_the_first, .budget_ms = 120000)
{
	expect_no_leak(t, run_orphans);
}

/* The child runs on its parent's memory until it ends, and the parent waits so long. */
static USER long
vfork_child(void)
{
	volatile long *word = (volatile long *)DATA;
	long pid = call0(NR_vfork);

	if (pid == 0) {
		for (int i = 0; i < 100; i++)
			call0(NR_yield);
		*word = 77;
		call1(NR_exit_group, 0);
	}
	return *word == 77 && call4(NR_wait4, pid, 0, 0, 0) == pid ? 0 : 1;
}

KTEST(process, vfork_waits, .budget_ms = 20000)
{
	expect_exit(t, vfork_child, 0);
}

/* Out of memory anywhere in fork is an error, and nothing else. */
static USER long
fork_until_it_fails(void)
{
	long failed = 0;

	for (int i = 0; i < 20; i++) {
		long pid = call0(NR_fork);

		if (pid == 0)
			return 0;
		if (pid < 0)
			failed++;
		else
			call4(NR_wait4, pid, 0, 0, 0);
	}
	return 50 + failed;
}

KTEST(process, fork_without_memory, .budget_ms = 60000)
{
	struct wait_status status;

	expect_exit(t, return_seven, 7);
	page_allocator_set_faults(40, t->seed);
	status = process_run(t, fork_until_it_fails, NULL, 0);
	page_allocator_set_faults(0, 0);
	ktest_note(t, "ended %s %d", status.code == CLD_EXITED ? "with" : "by signal",
		   status.status);
	expect_exit(t, return_seven, 7);
}

/* ---- Threads --------------------------------------------------------------------------------- */

#define THREADS 4
#define THREAD_FLAGS                                                                               \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_CHILD_CLEARTID)

/* Start a thread on its own stack that calls fn, given by its address, and ends. */
static USER __attribute__((naked)) long
start_thread(long flags __attribute__((unused)), char *stack __attribute__((unused)),
	     int *tid __attribute__((unused)), long fn __attribute__((unused)))
{
	__asm__("movq %rcx, %r8\n\t" /* survives the call */
		"movq %rdx, %r10\n\t"
		"xorl %edx, %edx\n\t"
		"movq %r8, %r9\n\t"
		"xorl %r8d, %r8d\n\t"
		"movl $56, %eax\n\t"
		"syscall\n\t"
		"testl %eax, %eax\n\t"
		"jnz 1f\n\t"
		"callq *%r9\n\t"
		"movl %eax, %edi\n\t"
		"movl $60, %eax\n\t"
		"syscall\n"
		"1:	ret");
}

static USER long
increment_shared(void)
{
	for (int i = 0; i < 1000; i++)
		__atomic_add_fetch((long *)DATA, 1, __ATOMIC_RELAXED);
	return 0;
}

/* The word at tid is cleared, and woken, when the thread has ended. */
static USER long
join(int *tid)
{
	int seen;

	while ((seen = __atomic_load_n(tid, __ATOMIC_ACQUIRE)) != 0)
		call6(NR_futex, (long)tid, 0, seen, 0, 0, 0);
	return 0;
}

static USER long
run_threads(void)
{
	int *tid = (int *)(DATA + 64);

	for (int i = 0; i < THREADS; i++) {
		tid[i] = 1;
		if (start_thread(THREAD_FLAGS, (char *)(DATA + PAGE_SIZE + (i + 1) * 512), &tid[i],
				 user_address(increment_shared)) <= 0)
			return 1;
	}
	for (int i = 0; i < THREADS; i++)
		join(&tid[i]);
	return *(volatile long *)DATA == THREADS * 1000 ? 0 : 2;
}

KTEST(process, threads_share_memory, .budget_ms = 20000)
{
	expect_exit(t, run_threads, 0);
}

static void
run_run_threads(struct ktest *t)
{
	expect_exit(t, run_threads, 0);
}

KTEST(process, threads_leave_nothing, .budget_ms = 120000)
{
	expect_no_leak(t, run_run_threads);
}

/* For ever; mostly without pauses, at each of which an emulator turns to other things. */
static USER long
spin(void)
{
	__asm__ volatile("1: movl $1000, %%ecx\n"
			 "2: decl %%ecx\n\t"
			 "jnz 2b\n\t"
			 "pause\n\t"
			 "jmp 1b" ::
			     : "ecx");
	return 0;
}

/* exit_group() ends threads that run in user mode on other CPUs. */
static USER long
leave_spinners(void)
{
	for (int i = 0; i < THREADS; i++)
		start_thread(THREAD_FLAGS & ~CLONE_CHILD_CLEARTID,
			     (char *)(DATA + PAGE_SIZE + (i + 1) * 512), NULL, user_address(spin));
	for (int i = 0; i < 20; i++)
		call0(NR_yield);
	return 9;
}

KTEST(process, exit_ends_all_threads, .budget_ms = 20000)
{
	expect_exit(t, leave_spinners, 9);
}

/* ---- Scheduling ------------------------------------------------------------------------------ */

/* On each CPU in turn; and a child that is sent there by its parent. */
static USER long
move_about(void)
{
	uint64_t all = 0, one;
	uint32_t cpu;

	if (call3(NR_sched_getaffinity, 0, sizeof(all), &all) != sizeof(all) || !all)
		return 1;
	for (unsigned i = 0; i < 64; i++) {
		one = 1ull << i;
		if (!(all & one)) {
			if (call3(NR_sched_setaffinity, 0, sizeof(one), &one) != -22)
				return 2;
			continue;
		}
		if (call3(NR_sched_setaffinity, 0, sizeof(one), &one))
			return 3;
		for (int n = 0; n < 20; n++) {
			if (call3(NR_getcpu, &cpu, 0, 0) || cpu != i)
				return 4;
			call0(NR_yield);
		}
	}
	return 0;
}

static USER long
send_a_spinner(void)
{
	uint64_t last = 0, all = 0;
	long child;

	call3(NR_sched_getaffinity, 0, sizeof(all), &all);
	child = call0(NR_fork);
	if (child == 0)
		for (;;)
			call3(NR_getcpu, DATA, 0, 0);
	for (unsigned i = 0; i < 64; i++)
		if (all >> i & 1)
			last = 1ull << i;
	for (int n = 0; n < 50; n++) {
		if (call3(NR_sched_setaffinity, child, sizeof(all), n % 2 ? &all : &last))
			return 1;
		call0(NR_yield);
	}
	call2(NR_kill, child, SIGKILL);
	return call4(NR_wait4, child, 0, 0, 0) == child ? 0 : 2;
}

KTEST(process, affinity, .budget_ms = 20000)
{
	expect_exit(t, move_about, 0);
	expect_exit(t, send_a_spinner, 0);
}

/* The call tells 20 - nice; a child inherits it. */
static USER long
be_nice(void)
{
	int status;

	if (call2(NR_getpriority, 0, 0) != 20 || call3(NR_setpriority, 0, 0, 100) != 0 ||
	    call2(NR_getpriority, 0, 0) != 1)
		return 1;
	if (call0(NR_fork) == 0)
		return call2(NR_getpriority, 0, 0);
	call4(NR_wait4, -1, &status, 0, 0);
	if (status >> 8 != 1)
		return 2;
	return call2(NR_getpriority, 0, 12345) == -3 && call2(NR_getpriority, 9, 0) == -22 ? 0 : 3;
}

KTEST(process, nice_values)
{
	expect_exit(t, be_nice, 0);
}
