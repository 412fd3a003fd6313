/* SPDX-License-Identifier: MIT */
/* Signals: what handlers are told, on which stack they run, what they may change. */
#include "ktap.h"

#include <fcntl.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

static volatile siginfo_t seen;
static volatile int count;

static void
note(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	memcpy((void *)&seen, info, sizeof(seen));
	count++;
}

static void
on(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	need(sigaction(signal, &action, NULL) == 0);
}

static sigset_t
set_of(int signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	return set;
}

/* ---- What a fault says ---------------------------------------------------------------------- */

CASE(where_and_why)
{
	char *memory = map(2);

	is(munmap(memory + PAGE, PAGE), 0);
	is(mprotect(memory, PAGE, PROT_READ), 0);
	faults(WRITE, memory + 1234, SIGSEGV, SEGV_ACCERR);
	faults(READ, memory + PAGE, SIGSEGV, SEGV_MAPERR);
	faults(READ, (char *)0 + 8, SIGSEGV, SEGV_MAPERR);
	faults(EXECUTE, memory, SIGSEGV, SEGV_ACCERR);
	faults(EXECUTE, memory + PAGE + 2, SIGSEGV, SEGV_MAPERR);
}

CASE(the_kernels_half)
{
	struct fault fault = fault_of(READ, (char *)0xffffffff80000000ul);

	is(fault.signal, SIGSEGV);
	fault = fault_of(READ, (char *)0x0123456789abcdeful); /* not canonical: no address */
	is(fault.signal, SIGSEGV);
	is(fault.code, SI_KERNEL);
	is(fault.address, NULL);
}

static int
killed_by(void (*act)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		act();
		_exit(0);
	}
	return -ended(pid);
}

static void
divide(void)
{
	__asm__ volatile("xorl %%ecx, %%ecx; divl %%ecx" : : : "eax", "ecx", "edx");
}

static void
undefined(void)
{
	__asm__ volatile("ud2");
}

static void
breakpoint(void)
{
	__asm__ volatile("int3");
}

static void
privileged(void)
{
	__asm__ volatile("hlt");
}

static void
port(void)
{
	__asm__ volatile("inb $0x80, %%al" : : : "eax");
}

CASE(exceptions_are_signals)
{
	is(killed_by(divide), SIGFPE);
	is(killed_by(undefined), SIGILL);
	is(killed_by(breakpoint), SIGTRAP);
	is(killed_by(privileged), SIGSEGV);
	is(killed_by(port), SIGSEGV);
	is(killed_by(abort), SIGABRT);
}

static sigjmp_buf back;

static void
note_and_leave(int signal, siginfo_t *info, void *context)
{
	note(signal, info, context);
	siglongjmp(back, 1);
}

CASE(exceptions_tell_their_codes)
{
	on(SIGFPE, note_and_leave, 0);
	on(SIGILL, note_and_leave, 0);
	on(SIGTRAP, note, 0);
	if (!sigsetjmp(back, 1))
		divide();
	is(seen.si_code, FPE_INTDIV);
	yes(seen.si_addr != NULL);
	if (!sigsetjmp(back, 1))
		undefined();
	is(seen.si_code, ILL_ILLOPN);
	breakpoint();
	is(seen.si_signo, SIGTRAP);
	is(count, 3);
}

/* ---- Handlers that go on -------------------------------------------------------------------- */

static char *broken;

static void
repair(int signal, siginfo_t *info, void *context)
{
	note(signal, info, context);
	if (mprotect(broken, PAGE, PROT_READ | PROT_WRITE))
		_exit(1);
}

CASE(a_repaired_mapping)
{
	broken = map(1);
	is(mprotect(broken, PAGE, PROT_NONE), 0);
	on(SIGSEGV, repair, 0);
	*(volatile char *)(broken + 5) = 6; /* twice: it is made again */
	is(count, 1);
	is(seen.si_addr, broken + 5);
	is(broken[5], 6);
}

static void
map_there(int signal, siginfo_t *info, void *context)
{
	void *page = (void *)((uintptr_t)info->si_addr & -PAGE);

	note(signal, info, context);
	if (mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) != page)
		_exit(1);
}

CASE(pages_made_by_the_handler)
{
	volatile char *memory = map(8);

	is(munmap((void *)memory, 8 * PAGE), 0);
	on(SIGSEGV, map_there, 0);
	for (int i = 0; i < 8; i++)
		memory[i * PAGE + i] = i;
	is(count, 8);
	is(memory[7 * PAGE + 7], 7);
}

static void
skip_two_bytes(int signal, siginfo_t *info, void *context)
{
	ucontext_t *state = context;

	note(signal, info, context);
	state->uc_mcontext.gregs[REG_RIP] += 2;
	state->uc_mcontext.gregs[REG_RBX] = 0x1122334455667788;
}

CASE(a_changed_context)
{
	unsigned long value = 1;

	on(SIGILL, skip_two_bytes, 0);
	__asm__ volatile("ud2" : "+b"(value));
	is(value, 0x1122334455667788);
	is(count, 1);
}

CASE(registers_and_vectors_survive)
{
	unsigned long general = 0x123456789abcdef0;
	double vector = 3.25, got;

	on(SIGUSR1, note, 0);
	__asm__ volatile("movq %2, %%xmm7\n\t"
			 "syscall\n\t"
			 "movq %%xmm7, %0"
			 : "=r"(got), "+b"(general)
			 : "r"(vector), "a"(SYS_tkill), "D"(syscall(SYS_gettid)), "S"(SIGUSR1)
			 : "rcx", "r11", "xmm7", "memory");
	is(count, 1);
	yes(got == 3.25);
	is(general, 0x123456789abcdef0);
}

static void
fault_inside(int signal, siginfo_t *info, void *context)
{
	note(signal, info, context);
	if (count == 1) {
		on(SIGSEGV, repair, 0);
		*(volatile char *)broken = 1;
	}
}

CASE(a_fault_inside_a_handler)
{
	broken = map(1);
	is(mprotect(broken, PAGE, PROT_READ), 0);
	on(SIGUSR1, fault_inside, 0);
	is(raise(SIGUSR1), 0);
	is(count, 2);
	is(*broken, 1);
}

static void
touch_broken(int signal, siginfo_t *info, void *context)
{
	note(signal, info, context);
	*(volatile char *)broken = 1;
}

static void
fault_while_blocked(void)
{
	on(SIGSEGV, touch_broken, 0);
	*(volatile char *)broken = 1;
}

CASE(a_fault_that_is_blocked_kills)
{
	broken = map(1);
	is(mprotect(broken, PAGE, PROT_READ), 0);
	is(killed_by(fault_while_blocked), SIGSEGV);
}

/* ---- Stacks --------------------------------------------------------------------------------- */

static void *volatile handler_stack;

static void
note_stack(int signal, siginfo_t *info, void *context)
{
	note(signal, info, context);
	handler_stack = __builtin_frame_address(0);
}

CASE(the_alternate_stack)
{
	char *memory = map(8);
	stack_t stack = { .ss_sp = memory, .ss_size = 8 * PAGE }, old;
	char *where;

	on(SIGUSR1, note_stack, SA_ONSTACK);
	on(SIGUSR2, note_stack, 0);
	is(sigaltstack(&stack, NULL), 0);
	is(raise(SIGUSR1), 0);
	where = handler_stack;
	yes(where >= memory && where < memory + 8 * PAGE);
	is(raise(SIGUSR2), 0);
	where = handler_stack;
	yes(where < memory || where >= memory + 8 * PAGE);
	is(sigaltstack(NULL, &old), 0);
	is(old.ss_sp, memory);
	is(old.ss_size, 8 * PAGE);
	is(old.ss_flags, 0);
	stack.ss_flags = SS_DISABLE;
	is(sigaltstack(&stack, NULL), 0);
	is(raise(SIGUSR1), 0);
	where = handler_stack;
	yes(where < memory || where >= memory + 8 * PAGE);
}

CASE(bad_alternate_stacks)
{
	stack_t small = { .ss_sp = map(1), .ss_size = 100 };
	stack_t strange = { .ss_sp = map(4), .ss_size = 4 * PAGE, .ss_flags = 99 };

	fails(syscall(SYS_sigaltstack, &small, NULL), ENOMEM);
	fails(syscall(SYS_sigaltstack, &strange, NULL), EINVAL);
	fails(syscall(SYS_sigaltstack, (void *)8, NULL), EFAULT);
}

static volatile bool forever = true;

static int __attribute__((noinline)) endless(int depth)
{
	volatile char frame[1024];

	frame[0] = depth;
	return (forever ? endless(depth + 1) : 0) + frame[0];
}

CASE(an_overflowing_stack_is_told_on_the_other)
{
	stack_t stack = { .ss_sp = map(8), .ss_size = 8 * PAGE };

	need(sigaltstack(&stack, NULL) == 0);
	on(SIGSEGV, note_and_leave, SA_ONSTACK);
	if (!sigsetjmp(back, 1))
		endless(0);
	is(seen.si_signo, SIGSEGV);
	is(seen.si_code, SEGV_MAPERR);
	is(count, 1);
}

static void
overflow(void)
{
	endless(0);
}

CASE(without_a_stack_it_kills)
{
	is(killed_by(overflow), SIGSEGV);
}

static void
lose_stack(void)
{
	on(SIGUSR1, note, 0);
	__asm__ volatile("xorl %%esp, %%esp\n\tsyscall"
			 :
			 : "a"(SYS_tkill), "D"(getpid()), "S"(SIGUSR1)
			 : "rcx", "r11", "memory");
}

CASE(no_stack_to_run_a_handler_on)
{
	is(killed_by(lose_stack), SIGSEGV);
}

/* ---- Sending, blocking, waiting ------------------------------------------------------------- */

CASE(who_sent_it)
{
	on(SIGUSR1, note, 0);
	is(kill(getpid(), SIGUSR1), 0);
	is(count, 1);
	is(seen.si_signo, SIGUSR1);
	is(seen.si_code, SI_USER);
	is(seen.si_pid, getpid());
	is(syscall(SYS_tkill, syscall(SYS_gettid), SIGUSR1), 0);
	is(seen.si_code, SI_TKILL);
}

CASE(blocked_until_allowed)
{
	sigset_t set = set_of(SIGUSR1), pending;

	on(SIGUSR1, note, 0);
	is(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	is(raise(SIGUSR1), 0);
	is(raise(SIGUSR1), 0); /* waits only once */
	is(count, 0);
	is(sigpending(&pending), 0);
	is(sigismember(&pending, SIGUSR1), 1);
	is(sigismember(&pending, SIGUSR2), 0);
	is(sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
	is(count, 1);
}

static volatile int depth, deepest;

static void
raise_again(int signal, siginfo_t *info, void *context)
{
	note(signal, info, context);
	if (++depth > deepest)
		deepest = depth;
	if (count < 3)
		raise(signal);
	depth--;
}

CASE(a_handler_blocks_its_own_signal)
{
	on(SIGUSR1, raise_again, 0);
	is(raise(SIGUSR1), 0);
	is(count, 3);
	is(deepest, 1);
}

CASE(unless_it_does_not_defer)
{
	on(SIGUSR1, raise_again, SA_NODEFER);
	is(raise(SIGUSR1), 0);
	is(count, 3);
	is(deepest, 3);
}

CASE(a_handler_for_once)
{
	struct sigaction now;

	on(SIGUSR1, note, SA_RESETHAND);
	is(raise(SIGUSR1), 0);
	is(count, 1);
	is(sigaction(SIGUSR1, NULL, &now), 0);
	yes(now.sa_handler == SIG_DFL);
}

CASE(suspended)
{
	sigset_t set = set_of(SIGALRM), none;

	sigemptyset(&none);
	on(SIGALRM, note, 0);
	is(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	is(raise(SIGALRM), 0);
	is(count, 0);
	fails(sigsuspend(&none), EINTR);
	is(count, 1);
	is(sigprocmask(SIG_BLOCK, NULL, &none), 0);
	is(sigismember(&none, SIGALRM), 1);
}

CASE(a_sleep_is_interrupted)
{
	/* Again and again: on a busy machine the first comes before the sleep has begun. */
	struct itimerval soon = { .it_value = { 0, 20000 }, .it_interval = { 0, 20000 } };
	struct timespec long_time = { 50, 0 };
	int ends[2], seen;
	char byte;

	need(pipe(ends) == 0);
	on(SIGALRM, note, 0);
	is(setitimer(ITIMER_REAL, &soon, NULL), 0);
	fails(nanosleep(&long_time, &long_time), EINTR);
	seen = count;
	yes(seen >= 1);
	yes(long_time.tv_sec >= 40);
	fails(read(ends[0], &byte, 1), EINTR);
	yes(count > seen);
}

static int refill[2];

static void
write_byte(int signal, siginfo_t *info, void *context)
{
	note(signal, info, context);
	if (write(refill[1], "R", 1) != 1)
		_exit(1);
}

CASE(a_read_is_started_again)
{
	struct itimerval soon = { .it_value = { 0, 20000 } };
	char byte = 0;

	need(pipe(refill) == 0);
	on(SIGALRM, write_byte, SA_RESTART);
	is(setitimer(ITIMER_REAL, &soon, NULL), 0);
	is(read(refill[0], &byte, 1), 1);
	is(byte, 'R');
	is(count, 1);
}

CASE(ignored)
{
	signal(SIGUSR1, SIG_IGN);
	is(raise(SIGUSR1), 0);
	signal(SIGUSR1, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	is(raise(SIGCHLD), 0); /* ignored by default */
	is(raise(SIGURG), 0);
	is(raise(SIGWINCH), 0);
	is(raise(SIGCONT), 0);
}

CASE(a_child_tells_its_end)
{
	sigset_t set = set_of(SIGCHLD), none;
	pid_t pid;

	sigemptyset(&none);
	on(SIGCHLD, note, 0);
	is(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	pid = fork();
	if (pid == 0)
		_exit(17);
	fails(sigsuspend(&none), EINTR);
	is(seen.si_signo, SIGCHLD);
	is(seen.si_code, CLD_EXITED);
	is(seen.si_pid, pid);
	is(seen.si_status, 17);
	is(ended(pid), 17);
}

CASE(stopped_and_continued)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		for (;;)
			pause();
	}
	is(kill(pid, SIGSTOP), 0);
	is(waitpid(pid, &status, WUNTRACED), pid);
	yes(WIFSTOPPED(status));
	is(WSTOPSIG(status), SIGSTOP);
	is(kill(pid, SIGCONT), 0);
	is(waitpid(pid, &status, WCONTINUED), pid);
	yes(WIFCONTINUED(status));
	is(kill(pid, SIGKILL), 0);
	is(ended(pid), -SIGKILL);
}

CASE(nobody_reads_the_pipe)
{
	int ends[2];

	need(pipe(ends) == 0);
	is(close(ends[0]), 0);
	on(SIGPIPE, note, 0);
	fails(write(ends[1], "x", 1), EPIPE);
	is(count, 1);
}

CASE(bad_arguments)
{
	struct sigaction action = { .sa_handler = SIG_IGN };
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	is(ended(pid), 0);
	fails(sigaction(SIGKILL, &action, NULL), EINVAL);
	fails(sigaction(SIGSTOP, &action, NULL), EINVAL);
	fails(syscall(SYS_rt_sigaction, 0, &action, NULL, 8), EINVAL);
	fails(syscall(SYS_rt_sigaction, 65, &action, NULL, 8), EINVAL);
	fails(syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 4), EINVAL);
	fails(syscall(SYS_rt_sigprocmask, 99, &(long){ 0 }, NULL, 8), EINVAL);
	fails(kill(getpid(), 65), EINVAL);
	fails(kill(pid, SIGUSR1), ESRCH);
	is(kill(getpid(), 0), 0);
}

/* A signal with a value goes to one process; no number stands for several here. */
CASE(values_for_nobody)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	fails(syscall(SYS_rt_sigqueueinfo, -1, SIGUSR1, &info), ESRCH);
	fails(syscall(SYS_rt_sigqueueinfo, 0, SIGUSR1, &info), ESRCH);
	fails(syscall(SYS_rt_sigqueueinfo, getpid(), 65, &info), EINVAL);
	fails(syscall(SYS_rt_tgsigqueueinfo, -1, getpid(), SIGUSR1, &info), EINVAL);
	info.si_code = SI_USER;
	fails(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &info), EPERM);
}
