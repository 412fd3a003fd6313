/* SPDX-License-Identifier: MIT */
/* What kernel/proc asks of the machine: who runs here, stacks, and the switch between them. */
#ifndef ARCH_THREAD_H
#define ARCH_THREAD_H

#include <memory_advanced.h>
#include <types.h>

struct thread;

/* Where struct arch_cpu, which GS points at, holds this CPU's thread. */
#define ARCH_CPU_CURRENT 16

/*
 * The thread that runs this. One instruction, so that being preempted and moved to
 * another CPU in the middle cannot mix up two CPUs.
 */
static inline struct thread *
arch_thread_current(void)
{
	struct thread *thread;

	__asm__ volatile("movq %%gs:%c1, %0" : "=r"(thread) : "i"(ARCH_CPU_CURRENT));
	return thread;
}

static inline void
arch_thread_set_current(struct thread *thread)
{
	__asm__ volatile("movq %0, %%gs:%c1" ::"r"(thread), "i"(ARCH_CPU_CURRENT) : "memory");
}

/*
 * Save the registers that a C call preserves on this stack, store the stack pointer in
 * *save, and go on from load, which an earlier call or arch_thread_stack() left.
 */
void arch_switch(uintptr_t *save, uintptr_t load);

/*
 * Lay out a stack, given by its 16-byte aligned top, so that switching to it calls
 * start(). Returns the stack pointer to switch to. The two zeros end backtraces: start()
 * finds no caller and no frame above its own.
 */
static inline uintptr_t
arch_thread_stack(uintptr_t top, void (*start)(void))
{
	uint64_t *sp = (uint64_t *)top;

	*--sp = 0;		    /* the return address of start() */
	*--sp = (uintptr_t)start;   /* what arch_switch() returns to */
	for (int i = 0; i < 6; i++) /* rbp, rbx, r12 to r15 */
		*--sp = 0;
	return (uintptr_t)sp;
}

/*
 * A kernel stack, by its top, or 0 for want of memory. gfp says whether it may wait for that.
 * See kernel/x86_64/kstack.c.
 */
uintptr_t kstack_alloc(gfp_t gfp);
void kstack_free(uintptr_t top);

/* The same for threads of programs: one that was kept, if there is one; and some are kept. */
uintptr_t kstack_take(gfp_t gfp);
void kstack_keep(uintptr_t top);

/* The top of the stack that an address lies in. */
uintptr_t kstack_top(uintptr_t sp);

/* Where the stack ends of the thread that a CPU runs, while arch_stand_still() has stopped it. */
uintptr_t arch_stopped_sp(unsigned cpu);

#endif
