/* SPDX-License-Identifier: MIT */
/*
 * What kernel/proc/user asks of the machine: kernel/x86_64/user.
 */
#ifndef ARCH_USER_H
#define ARCH_USER_H

#include <types.h>

/*
 * Copies between the kernel and the program that runs, of ranges that have been found to lie
 * below USER_END. See usercopy.S for what they return. They may sleep.
 */
size_t usercopy_bytes(void *to, const void *from, size_t size);
size_t usercopy_clear(void *to, size_t size);
size_t usercopy_string(char *to, const char *from, size_t size);
size_t usercopy_read_u32(uint32_t *value, const uint32_t *from);
size_t usercopy_exchange_u32(uint32_t *at, uint32_t *expected, uint32_t desired);

/* ---- Threads of programs: user_thread.c -------------------------------------------------- */

struct thread;
struct trap_frame; /* a program's registers, at the top of its thread's stack in the kernel */

/* What a thread of a program has in the processor, besides the frame. */
struct arch_user {
	uintptr_t fs_base, gs_base;	       /* what FS and GS point at in user mode */
	void *fpu;			       /* floating-point registers, while it does not run */
	uint64_t vector, error, fault_address; /* of its last exception, for signal handlers */
	uint32_t keys;			       /* its protection keys, while it does not run */
};

/* Prepare every CPU for programs. Once. */
void arch_user_init(void);

/* Bytes that thread_new() is to reserve for the frame. */
size_t arch_user_reserve(void);

/* What the thread needs besides. 0 or -ENOMEM. */
int arch_user_create(struct arch_user *arch) __must_check;
void arch_user_destroy(struct arch_user *arch);

/* Let the thread begin a program at entry, with all other registers as at the start. */
void arch_user_start(struct thread *thread, uintptr_t entry, uintptr_t stack);

/* A thread like the running one, whose system call returns 0 in it. stack: or 0, the same. */
void arch_user_fork(struct thread *child, uintptr_t stack);

/* The running thread is about to begin another program: deny nothing of the old one's any more. */
void arch_user_reset_keys(void);

void arch_user_set_fs(uintptr_t base); /* of the running thread */

/* Go to user mode for the first time. Interrupts are on. */
_Noreturn void arch_user_enter(void);

/* Let the running thread and this CPU use this space from now on. NULL: the kernel's tables. */
struct address_space;
void arch_user_set_space(struct address_space *space);

/* ---- Signals: signal_frame.c ------------------------------------------------------------- */

struct abi_sigaction;
struct abi_siginfo;
struct abi_sigaltstack;

/* The number of the system call that the running thread makes. */
uint64_t arch_call_number(void);

/*
 * Did the running thread's system call end with -error? Then it may be made again once the
 * program goes on, or fail with -EINTR.
 */
bool arch_call_interrupted(int error);
void arch_call_again(void);
void arch_call_fail(void);

/*
 * Let the program go on in a signal handler that returns to where it is now. blocked: what is
 * to be blocked after that. Returns 0 or -EFAULT.
 */
int arch_signal_call(const struct abi_sigaction *action, const struct abi_siginfo *info,
		     uint64_t blocked, const struct abi_sigaltstack *stack) __must_check;

/* The end of a handler. Puts *blocked and *stack back; returns the call's result or -EFAULT. */
int arch_signal_return(uint64_t *blocked, struct abi_sigaltstack *stack, int64_t *result)
    __must_check;

/* Bytes that a handler's frame takes at most: AT_MINSIGSTKSZ. */
size_t arch_signal_frame_size(void);

/* Is the stack pointer of the running program in [start, start + size)? */
bool arch_on_stack(uintptr_t start, size_t size);

/* What AT_HWCAP says: features of the processor, as CPUID tells them. */
uint64_t arch_hwcap(void);

/* Seconds since 1970 that the battery clock shows; 0 if it makes no sense. */
uint64_t arch_wall_clock(void);

/* A number that nobody can guess, if the machine can make one, or of the time. */
uint64_t arch_random(void);

#endif
