/* SPDX-License-Identifier: MIT */
/*
 * Traps that programs cause.
 *
 * An exception in user mode is the program's affair: a page fault is resolved by the memory
 * manager, what cannot be resolved and all other exceptions become signals. In the kernel only
 * the instructions of usercopy.S touch programs' memory; a page fault of theirs is resolved in
 * the same way, and else they go on at their fixup. All else in the kernel is a bug.
 *
 * Exceptions are handled with interrupts on, in the thread they struck, and may sleep.
 *
 * Source: Intel SDM vol. 3, 6.15; vol. 1, 8.5 and 11.5 (floating-point exceptions).
 */
#include <errno.h>
#include <printk.h>

#include "../pte.h"
#include "machine.h"

struct fixup {
	uintptr_t instruction, go_on;
};

/* Set by the linker. */
extern const struct fixup __start_usercopy_table[], __stop_usercopy_table[];

static enum fault_access
access_of(const struct trap_frame *frame)
{
	if (frame->error & PF_FETCH)
		return FAULT_EXEC;
	return frame->error & PF_WRITE ? FAULT_WRITE : FAULT_READ;
}

/* ---- Page faults ------------------------------------------------------------------------- */

static enum fault_result
resolve(const struct trap_frame *frame, uintptr_t address)
{
	struct address_space *space = thread_current()->user->space;
	enum fault_result result;

	if (!space || address >= USER_END || frame->error & PF_RESERVED)
		return FAULT_MAPERR;
	result = space_take_fault(space, address, access_of(frame));
	if (likely(result == FAULT_DONE))
		fault_count();
	return result;
}

/* The protection key of the page there. */
static unsigned
key_at(uintptr_t address)
{
	struct region_info info;

	return space_region_at(thread_current()->user->space, address, &info) ? info.key : 0;
}

static bool
is_mapped(uintptr_t address)
{
	struct region_info info;

	return space_region_at(thread_current()->user->space, address, &info);
}

/* One line about a program that is about to die of it. */
static void
report(const struct trap_frame *frame, uintptr_t address, const char *why)
{
	static const char *const doing[] = { "reading", "writing", "executing" };
	const struct process *process = process_current();

	if (signal_is_fatal(SIGSEGV))
		kprintf("segfault: %s[%d] %s address %#lx from %#lx, stack pointer %#lx: %s\n",
			process->name, process->pid, doing[access_of(frame)], address,
			(unsigned long)frame->rip, (unsigned long)frame->rsp, why);
}

static void
page_fault(const struct trap_frame *frame, uintptr_t address)
{
	switch (resolve(frame, address)) {
	case FAULT_DONE:
		return;
	case FAULT_MAPERR:
		report(frame, address, "nothing is mapped there");
		signal_current(SIGSEGV, SEGV_MAPERR, address);
		return;
	case FAULT_ACCERR:
		report(frame, address, "the mapping does not allow it");
		signal_current(SIGSEGV, SEGV_ACCERR, address);
		return;
	case FAULT_KEY:
		report(frame, address, "denied by a protection key");
		signal_current_key(address, key_at(address));
		return;
	case FAULT_HEAP:
		report(frame, address, "heap overflow");
		signal_current(SIGSEGV, is_mapped(address) ? SEGV_ACCERR : SEGV_MAPERR, address);
		return;
	case FAULT_OVERFLOW:
		report(frame, address, "stack overflow");
		/* The code is what POSIX has for it. Of a wild pointer the reason is 0. */
		signal_current_because(SIGSEGV, SEGV_MAPERR, EOVERFLOW, address);
		return;
	case FAULT_BUS:
		signal_current(SIGBUS, BUS_ADRERR, address);
		return;
	case FAULT_NOMEM:
		(void)out_of_memory(); /* it ends, or faults again */
		return;
	}
}

static uintptr_t
fixup_of(uintptr_t instruction)
{
	const struct fixup *fixup;

	for (fixup = __start_usercopy_table; fixup < __stop_usercopy_table; fixup++)
		if (fixup->instruction == instruction)
			return fixup->go_on;
	return 0;
}

/* A page fault of the kernel. Interrupts are off. */
static bool
fixup(struct trap_frame *frame)
{
	uintptr_t address = read_cr2(), go_on = fixup_of(frame->rip);
	enum fault_result result = FAULT_MAPERR;

	if (!go_on || address >= USER_END)
		return false;
	if (thread_current()->user && frame->rflags & RFLAGS_IF) {
		arch_irq_enable();
		do
			result = resolve(frame, address);
		while (result == FAULT_NOMEM && out_of_memory());
		arch_irq_disable();
	}
	if (result != FAULT_DONE)
		frame->rip = go_on;
	return true;
}

/* ---- Other exceptions -------------------------------------------------------------------- */

/* Exceptions that are flagged and not masked: bits 0 to 5 of FSW and MXCSR alike. */
static int
float_code(uint32_t raised)
{
	if (raised & 1u << 0)
		return FPE_FLTINV;
	if (raised & 1u << 2)
		return FPE_FLTDIV;
	if (raised & 1u << 3)
		return FPE_FLTOVF;
	if (raised & (1u << 4 | 1u << 1))
		return FPE_FLTUND;
	return FPE_FLTRES;
}

static int
x87_code(void)
{
	uint16_t status, control;

	__asm__ volatile("fnstsw %0; fnstcw %1" : "=m"(status), "=m"(control));
	return float_code(status & ~control);
}

static int
simd_code(void)
{
	uint32_t mxcsr;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	return float_code(mxcsr & ~(mxcsr >> 7));
}

static void
other_exception(const struct trap_frame *frame)
{
	switch (frame->vector) {
	case VECTOR_DIVIDE:
		signal_current(SIGFPE, FPE_INTDIV, frame->rip);
		break;
	case VECTOR_DEBUG:
		signal_current(SIGTRAP, TRAP_TRACE, frame->rip);
		break;
	case VECTOR_BREAKPOINT:
		signal_current(SIGTRAP, SI_KERNEL, 0);
		break;
	case VECTOR_INVALID_OPCODE:
		signal_current(SIGILL, ILL_ILLOPN, frame->rip);
		break;
	case VECTOR_X87:
		signal_current(SIGFPE, x87_code(), frame->rip);
		break;
	case VECTOR_SIMD:
		signal_current(SIGFPE, simd_code(), frame->rip);
		break;
	case VECTOR_ALIGNMENT:
		signal_current(SIGBUS, BUS_ADRALN, frame->rip);
		break;
	default: /* general protection, and its relatives */
		signal_current(SIGSEGV, SI_KERNEL, 0);
		break;
	}
}

static void
exception(struct trap_frame *frame)
{
	uintptr_t address = read_cr2();
	struct arch_user *arch = &thread_current()->user->arch;

	arch->vector = frame->vector;
	arch->error = frame->error;
	if (frame->vector == VECTOR_PAGE_FAULT)
		arch->fault_address = address;
	arch_irq_enable();
	if (frame->vector == VECTOR_PAGE_FAULT)
		page_fault(frame, address);
	else
		other_exception(frame);
	arch_irq_disable();
}

/* ---- Back -------------------------------------------------------------------------------- */

/*
 * IRET with a RIP that is not canonical would fault in the kernel. A program gets one by a jump
 * or return, on processors that find out after it, or by sigreturn.
 */
static bool
may_go_on(const struct trap_frame *frame)
{
	return frame->rip < USER_WINDOW || pte_is_canonical(frame->rip);
}

void
user_leave(struct trap_frame *frame)
{
	const struct thread *thread = thread_current();

	while (thread->interrupted || !may_go_on(frame)) {
		arch_irq_enable();
		if (!may_go_on(frame)) {
			signal_current(SIGSEGV, SI_KERNEL, 0);
			if (frame->vector == VECTOR_SYSCALL)
				frame->vector = 0;
		}
		signal_deliver();
		arch_irq_disable();
	}
}

const struct user_traps x86_user_traps = {
	.exception = exception,
	.fixup = fixup,
	.leave = user_leave,
};
