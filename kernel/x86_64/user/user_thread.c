/* SPDX-License-Identifier: MIT */
/*
 * Threads in user mode: how they begin, and what changes with them at a switch.
 *
 * The stack of a program's thread in the kernel begins with the frame of its registers:
 *
 *	stack top  ->  struct trap_frame     by SYSCALL or a trap; or made here, for a new thread
 *	               whatever the kernel does for it
 *
 * Wherever a program leaves user mode, the processor finds the top of the stack in the TSS
 * (traps) or in struct arch_cpu (SYSCALL). So the frame is always at the same place, and
 * going to user mode for the first time is the return from a trap that never was.
 *
 * At a switch between threads the kernel's own registers are in arch_switch()'s hands. What
 * only programs use is exchanged here: vector registers, protection keys, what FS and GS point
 * at, the page tables, and the top of the stack. A thread of the kernel runs on its own tables:
 * no table of a program can go away under it.
 */
#include <arch.h>
#include <errno.h>
#include <string.h>

#include "machine.h"

#define MSR_STAR	   0xc0000081u
#define MSR_LSTAR	   0xc0000082u
#define MSR_CSTAR	   0xc0000083u
#define MSR_SFMASK	   0xc0000084u
#define MSR_FS_BASE	   0xc0000100u
#define MSR_KERNEL_GS_BASE 0xc0000102u

#define EFER_SCE (1ul << 0)

/* What SYSCALL clears. */
#define SYSCALL_MASK                                                                               \
	(RFLAGS_CF | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF |     \
	 RFLAGS_AC)

/* The numbers in syscall_entry.S. */
_Static_assert(offsetof(struct arch_cpu, current) == 16, "CPU_CURRENT");
_Static_assert(offsetof(struct arch_cpu, kernel_sp) == 24, "CPU_KERNEL_SP");
_Static_assert(offsetof(struct arch_cpu, user_sp) == 32, "CPU_USER_SP");
_Static_assert(offsetof(struct thread, interrupted) == 0, "THREAD_INTERRUPTED");
_Static_assert(offsetof(struct trap_frame, r10) == 40, "FRAME_R10");
_Static_assert(offsetof(struct trap_frame, rax) == 112, "FRAME_RAX");
_Static_assert(offsetof(struct trap_frame, vector) == 120, "FRAME_VECTOR");
_Static_assert(offsetof(struct trap_frame, rsp) == 160, "FRAME_RSP");
_Static_assert(sizeof(struct trap_frame) % 16 == 0, "the stack below stays aligned");
_Static_assert(USER_CS == USER_DS + 8 && KERNEL_DS == KERNEL_CS + 8, "SYSCALL and SYSRET");

static DEFINE_PER_CPU(struct address_space *, active_space);

/* ---- Switching --------------------------------------------------------------------------- */

/* Interrupts are off. */
static void
activate(struct address_space *space)
{
	if (this_cpu(active_space) == space)
		return;
	this_cpu(active_space) = space;
	space_activate(space);
}

static void
switch_user(struct thread *prev, struct thread *next)
{
	if (prev->user) {
		fpu_save(prev->user->arch.fpu);
		prev->user->arch.keys = keys_read();
	}
	activate(next->user ? next->user->space : NULL);
	if (next->user) {
		struct arch_cpu *cpu = &arch_cpus[cpu_id()];

		cpu->kernel_sp = cpu->tss.rsp[0] = next->stack;
		wrmsr(MSR_FS_BASE, next->user->arch.fs_base);
		wrmsr(MSR_KERNEL_GS_BASE, next->user->arch.gs_base);
		fpu_load(next->user->arch.fpu);
		keys_write(next->user->arch.keys);
	}
}

void
arch_user_set_space(struct address_space *space)
{
	irqflags_t flags = arch_irq_save();

	thread_current()->user->space = space;
	activate(space);
	arch_irq_restore(flags);
}

static void
init_cpu(void *arg)
{
	(void)arg;
	fpu_init_cpu();
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
	wrmsr(MSR_STAR, (uint64_t)KERNEL_CS << 32 | (uint64_t)(USER_DS - 8) << 48);
	wrmsr(MSR_LSTAR, (uintptr_t)syscall_entry);
	wrmsr(MSR_CSTAR, 0); /* there are no 32-bit programs */
	wrmsr(MSR_SFMASK, SYSCALL_MASK);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
}

void
arch_user_init(void)
{
	fpu_init();
	keys_init();
	usercopy_smap = cpu_has(CPU_SMAP);
	arch_call_cpus(init_cpu, NULL);
	user_traps = &x86_user_traps;
	sched_switch_hook = switch_user;
}

/* ---- Beginning --------------------------------------------------------------------------- */

static struct trap_frame *
frame_of(const struct thread *thread)
{
	return (struct trap_frame *)thread->stack - 1;
}

struct trap_frame *
user_frame(void)
{
	return frame_of(thread_current());
}

size_t
arch_user_reserve(void)
{
	return sizeof(struct trap_frame);
}

int
arch_user_create(struct arch_user *arch)
{
	memset(arch, 0, sizeof(*arch));
	arch->fpu = fpu_area_alloc();
	return arch->fpu ? 0 : -ENOMEM;
}

void
arch_user_destroy(struct arch_user *arch)
{
	fpu_area_free(arch->fpu);
}

void
arch_user_start(struct thread *thread, uintptr_t entry, uintptr_t stack)
{
	struct trap_frame *frame = frame_of(thread);
	struct arch_user *arch = &thread->user->arch;
	irqflags_t flags;

	*frame = (struct trap_frame){
		.rip = entry,
		.rsp = stack,
		.cs = USER_CS,
		.ss = USER_DS,
		.rflags = RFLAGS_FIXED | RFLAGS_IF,
	};
	flags = arch_irq_save();
	arch->fs_base = arch->gs_base = 0;
	fpu_area_reset(arch->fpu);
	arch->keys = KEYS_DEFAULT;
	if (thread == thread_current()) {
		keys_write(KEYS_DEFAULT);
		wrmsr(MSR_FS_BASE, 0);
		wrmsr(MSR_KERNEL_GS_BASE, 0);
		fpu_load(arch->fpu);
	}
	arch_irq_restore(flags);
}

void
arch_user_fork(struct thread *child, uintptr_t stack)
{
	struct arch_user *mine = &thread_current()->user->arch;
	struct trap_frame *frame = frame_of(child);
	irqflags_t flags;

	*frame = *user_frame();
	frame->rax = 0;
	frame->vector = 0; /* its registers must all be loaded */
	if (stack)
		frame->rsp = stack;
	child->user->arch.fs_base = mine->fs_base;
	child->user->arch.gs_base = mine->gs_base;
	child->user->arch.keys = keys_read();
	flags = arch_irq_save();
	fpu_save(mine->fpu);
	memcpy(child->user->arch.fpu, mine->fpu, fpu_area_size());
	arch_irq_restore(flags);
}

void
arch_user_enter(void)
{
	struct trap_frame *frame = user_frame();

	arch_irq_disable();
	user_leave(frame);
	__asm__ volatile("movq %0, %%rsp; jmp trap_to_user" ::"r"(frame) : "memory");
	__builtin_unreachable();
}

/* ---- FS and GS --------------------------------------------------------------------------- */

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004

static void
set_gs(uintptr_t base)
{
	irqflags_t flags = arch_irq_save();

	thread_current()->user->arch.gs_base = base;
	wrmsr(MSR_KERNEL_GS_BASE, base);
	arch_irq_restore(flags);
}

void
arch_user_set_fs(uintptr_t base)
{
	irqflags_t flags = arch_irq_save();

	thread_current()->user->arch.fs_base = base;
	wrmsr(MSR_FS_BASE, base);
	arch_irq_restore(flags);
}

static int64_t
sys_arch_prctl(const uint64_t *arg)
{
	const struct arch_user *arch = &thread_current()->user->arch;

	switch (arg[0]) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (arg[1] >= USER_END)
			return -EPERM;
		if (arg[0] == ARCH_SET_FS)
			arch_user_set_fs(arg[1]);
		else
			set_gs(arg[1]);
		return 0;
	case ARCH_GET_FS:
		return copy_to_user(arg[1], &arch->fs_base, sizeof(arch->fs_base));
	case ARCH_GET_GS:
		return copy_to_user(arg[1], &arch->gs_base, sizeof(arch->gs_base));
	default:
		return -EINVAL;
	}
}
SYSCALL(158, arch_prctl, 2, sys_arch_prctl);
