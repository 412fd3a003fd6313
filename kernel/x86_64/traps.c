/* SPDX-License-Identifier: MIT */
/*
 * What happens when the processor enters the kernel through entry.S.
 *
 * Interrupts, and the NMI, go to the handler that was set for the vector. Exceptions of
 * programs go to user_traps, as do page faults of the few instructions that touch programs'
 * memory. Any other exception the kernel raises only by a bug, so each panics, and says in words
 * what the processor was asked to do and why it could not. A test that provokes an exception on
 * purpose runs under trap_expect(), which cuts it short there.
 *
 * Source: Intel SDM vol. 3, chapter 6; 4.7 (page-fault error code).
 */
#include <panic.h>
#include <printk.h>

#include "pte.h"
#include "x86.h"

#define RFLAGS_FIXED (1ul << 1) /* always set */

static const char *const exception_names[VECTOR_FIRST_IRQ] = {
	[VECTOR_DIVIDE] = "divide error",
	[VECTOR_DEBUG] = "debug exception",
	[VECTOR_NMI] = "non-maskable interrupt",
	[VECTOR_BREAKPOINT] = "breakpoint",
	[VECTOR_OVERFLOW] = "overflow",
	[5] = "bound range exceeded",
	[VECTOR_INVALID_OPCODE] = "invalid opcode",
	[7] = "floating-point unit not available",
	[VECTOR_DOUBLE_FAULT] = "double fault",
	[10] = "invalid TSS",
	[11] = "segment not present",
	[12] = "stack segment fault",
	[VECTOR_PROTECTION] = "general protection fault",
	[VECTOR_PAGE_FAULT] = "page fault",
	[VECTOR_X87] = "x87 floating-point error",
	[VECTOR_ALIGNMENT] = "alignment check",
	[VECTOR_MACHINE_CHECK] = "machine check",
	[VECTOR_SIMD] = "SIMD floating-point error",
	[20] = "virtualization exception",
	[21] = "control protection exception",
};

static void (*handlers[NR_VECTORS])(struct trap_frame *frame); /* (c) after boot */

const struct user_traps *user_traps; /* (c) after boot */

/* What trap_expect() waits for. Only its own CPU uses it, with interrupts off. */
static struct expectation {
	bool active;
	unsigned vector;
	uint64_t rsp; /* where trap_try_caught resumes */
	struct trap_frame frame;
} expectations[MAX_CPUS];

bool trap_try(void (*fn)(void *arg), void *arg, uint64_t *rsp); /* entry.S */
extern const char trap_try_caught[];
void trap_dispatch(struct trap_frame *frame); /* for entry.S */

void
trap_set_handler(unsigned vector, void (*handler)(struct trap_frame *frame))
{
	ASSERT_LT(vector, NR_VECTORS);
	ASSERT(vector >= VECTOR_FIRST_IRQ || vector == VECTOR_NMI);
	__atomic_store_n(&handlers[vector], handler, __ATOMIC_RELEASE);
}

bool
trap_expect(unsigned vector, void (*fn)(void *arg), void *arg, struct trap_frame *out)
{
	irqflags_t flags = arch_irq_save();
	struct expectation *expected = &expectations[cpu_id()];
	bool caught;

	ASSERT(!expected->active);
	expected->vector = vector;
	expected->active = true;
	caught = trap_try(fn, arg, &expected->rsp);
	expected->active = false;
	if (caught && out)
		*out = expected->frame;
	arch_irq_restore(flags);
	return caught;
}

/* Make the trap return into trap_expect(), if it is the one that is waited for there. */
static bool
expectation_met(struct trap_frame *frame)
{
	struct expectation *expected = &expectations[cpu_id()];

	if (!expected->active || expected->vector != frame->vector)
		return false;
	expected->frame = *frame;
	frame->rip = (uintptr_t)trap_try_caught;
	frame->rsp = expected->rsp;
	frame->rflags = RFLAGS_FIXED; /* interrupts, single step and all else off */
	return true;
}

/* Why the processor refused, in words. */
static const char *
page_fault_cause(uint32_t error, uintptr_t address)
{
	if (error & PF_RESERVED)
		return "a reserved bit is set in its page tables";
	if (address < PAGE_SIZE)
		return "null pointer";
	if (!(error & PF_PROTECTION))
		return "page not present";
	if (error & PF_FETCH)
		return "page is not executable";
	if (error & PF_WRITE)
		return "page is read-only";
	return "page is not accessible";
}

static _Noreturn void
page_fault_panic(const struct trap_frame *frame)
{
	uint32_t error = (uint32_t)frame->error;
	uintptr_t address = read_cr2();
	const char *guard = kstack_guard_name(address), *cause = page_fault_cause(error, address);
	const char *access = error & PF_FETCH	? "executing"
			     : error & PF_WRITE ? "writing"
						: "reading";

	if (kstack_is_own_guard(address, frame->rsp))
		panic_frame(frame,
			    "kernel stack overflow: %s guard page, %s address %#lx from kernel at "
			    "%#lx",
			    guard, access, address, (unsigned long)frame->rip);
	panic_frame(frame, "page fault %s address %#lx from %s at %#lx: %s", access, address,
		    error & PF_USER ? "user" : "kernel", (unsigned long)frame->rip,
		    guard ? "guard page of a stack that is not in use here" : cause);
}

/*
 * A fault while a fault was being delivered: nearly always because the stack ran into
 * its guard page, whose address CR2 then still holds.
 */
static _Noreturn void
double_fault_panic(const struct trap_frame *frame)
{
	uintptr_t address = read_cr2();
	const char *guard = kstack_guard_name(address);

	if (kstack_is_own_guard(address, frame->rsp))
		panic_frame(frame,
			    "kernel stack overflow: %s guard page, at address %#lx from kernel at "
			    "%#lx",
			    guard, address, (unsigned long)frame->rip);
	panic_frame(frame, "double fault from kernel at %#lx, stack pointer %#lx",
		    (unsigned long)frame->rip, (unsigned long)frame->rsp);
}

static _Noreturn void
exception_panic(const struct trap_frame *frame)
{
	const char *name = exception_names[frame->vector];

	switch (frame->vector) {
	case VECTOR_PAGE_FAULT:
		page_fault_panic(frame);
	case VECTOR_DOUBLE_FAULT:
		double_fault_panic(frame);
	case VECTOR_PROTECTION:
		panic_frame(frame,
			    "general protection fault from kernel at %#lx: %s (error code %#lx)",
			    (unsigned long)frame->rip,
			    frame->error ? "bad segment selector"
					 : "non-canonical address or forbidden operation",
			    (unsigned long)frame->error);
	default:
		panic_frame(frame, "%s (exception %lu, error code %#lx) from kernel at %#lx",
			    name ? name : "unknown exception", (unsigned long)frame->vector,
			    (unsigned long)frame->error, (unsigned long)frame->rip);
	}
}

static void
ignore(struct trap_frame *frame)
{
	(void)frame;
}

/* What strikes the kernel's own state, whoever was running. */
static bool
is_fatal(unsigned vector)
{
	return vector == VECTOR_DOUBLE_FAULT || vector == VECTOR_MACHINE_CHECK;
}

static void
exception(struct trap_frame *frame, unsigned vector)
{
	if (user_traps && !is_fatal(vector)) {
		if (from_user(frame)) {
			user_traps->exception(frame);
			return;
		}
		if (vector == VECTOR_PAGE_FAULT && user_traps->fixup(frame))
			return;
	}
	if (!expectation_met(frame))
		exception_panic(frame);
}

void
trap_dispatch(struct trap_frame *frame)
{
	unsigned vector = (unsigned)frame->vector;
	void (*handler)(struct trap_frame *) = __atomic_load_n(&handlers[vector], __ATOMIC_ACQUIRE);

	if (user_traps && cpu_has(CPU_SMAP))
		__asm__ volatile("clac" ::: "memory"); /* a program may have set it */
	if (handler) {
		handler(frame);
	} else if (vector >= VECTOR_FIRST_IRQ) {
		kprintf("trap: interrupt vector %u has no handler: ignored from now on\n", vector);
		trap_set_handler(vector, ignore);
	} else {
		exception(frame, vector);
	}
	if (from_user(frame) && vector != VECTOR_NMI)
		user_traps->leave(frame);
}
