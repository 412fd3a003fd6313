/* SPDX-License-Identifier: MIT */
/*
 * Programs inside of tests: functions that run in user mode.
 *
 *	static USER long
 *	ends_with_seven(void)
 *	{
 *		return 7;
 *	}
 *	...
 *	expect_exit(t, ends_with_seven, 7);
 *
 * They are compiled into the kernel, in a section of their own of which a copy is mapped for the
 * process. A jump or call within it is relative and stays right. They may not use anything
 * outside of it: no global variable, no string, no function that is not USER. What they need
 * besides their stack is at DATA: two pages that may be written, of which the test can fill the
 * first. What such a function returns is the exit status.
 */
#ifndef PROCESS_USER_H
#define PROCESS_USER_H

#include <ktest.h>

#include "../../kernel/proc/user/user.h"

/* A stack guard is in the kernel, where these cannot look. */
#define USER	    __attribute__((section(".text.user_test"), noinline, used, no_stack_protector))
#define USER_INLINE static inline __attribute__((always_inline))

#define CODE	  0x400000ul
#define CODE_SIZE (8 * PAGE_SIZE)
#define DATA	  0x500000ul
#define DATA_SIZE (2 * PAGE_SIZE)
#define STACK_TOP 0x700000ul

typedef long user_fn(void);

/* Where a program begins: the address of its function lies on the stack. */
static USER __attribute__((naked)) void
user_start(void)
{
	__asm__("xorl %ebp, %ebp\n\t"
		"popq %rax\n\t"
		"callq *%rax\n\t"
		"movl %eax, %edi\n\t"
		"movl $231, %eax\n\t" /* exit_group */
		"syscall");
}

/* Run it as the first process, with size bytes of data at DATA, and wait for its end. */
struct wait_status process_run_from(struct ktest *t, const void *start, user_fn *program,
				    const void *data, size_t size);
#define process_run(t, program, data, size)                                                        \
	process_run_from(t, (const void *)user_start, program, data, size)

#define expect_end(t, program, code_, status_)                                                     \
	do {                                                                                       \
		struct wait_status end_ = process_run(t, program, NULL, 0);                        \
		expect_eq(t, end_.code, code_);                                                    \
		expect_eq(t, end_.status, status_);                                                \
	} while (0)

/* It ends by itself with that status, or by that signal. */
#define expect_exit(t, program, status)	  expect_end(t, program, CLD_EXITED, status)
#define expect_killed(t, program, signal) expect_end(t, program, CLD_KILLED, signal)

/* Whether what a function does leaves memory behind: frames that are less free after it. */
void expect_no_leak(struct ktest *t, void (*fn)(struct ktest *t));

/* ---- For programs ---------------------------------------------------------------------------- */

USER_INLINE long
call6(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#define call0(n)	     call6(n, 0, 0, 0, 0, 0, 0)
#define call1(n, a)	     call6(n, (long)(a), 0, 0, 0, 0, 0)
#define call2(n, a, b)	     call6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define call3(n, a, b, c)    call6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define call4(n, a, b, c, d) call6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

enum {
	NR_mprotect = 10,
	NR_munmap = 11,
	NR_sigaction = 13,
	NR_sigprocmask = 14,
	NR_sigreturn = 15,
	NR_yield = 24,
	NR_nanosleep = 35,
	NR_getpid = 39,
	NR_clone = 56,
	NR_fork = 57,
	NR_vfork = 58,
	NR_exit = 60,
	NR_wait4 = 61,
	NR_kill = 62,
	NR_uname = 63,
	NR_getppid = 110,
	NR_sigaltstack = 131,
	NR_getpriority = 140,
	NR_setpriority = 141,
	NR_arch_prctl = 158,
	NR_gettid = 186,
	NR_futex = 202,
	NR_sched_setaffinity = 203,
	NR_sched_getaffinity = 204,
	NR_clock_gettime = 228,
	NR_exit_group = 231,
	NR_getcpu = 309,
};

/* Where a USER function lies in user mode. For programs only. */
#define user_address(function)                                                                     \
	({                                                                                         \
		long address_;                                                                     \
		__asm__("leaq %c1(%%rip), %0" : "=r"(address_) : "i"(function));                   \
		address_;                                                                          \
	})

#endif
