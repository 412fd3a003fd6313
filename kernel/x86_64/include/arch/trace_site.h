/* SPDX-License-Identifier: MIT */
/*
 * The switch in front of a trace point, made of code.
 *
 *	off	nopl  0(%rax,%rax)	0f 1f 44 00 00		falls through
 *	on	jmp   on		e9, distance		goes to the call
 *
 * No variable is read and no flag is touched. Each switch has an entry in the section
 * trace_sites; turning a group on writes a jump over each of its switches.
 */
#ifndef ARCH_TRACE_SITE_H
#define ARCH_TRACE_SITE_H

#include <types.h>

#define TRACE_SITE_SIZE 5 /* bytes: a jump with a 32-bit distance */

struct trace_site {
	uint8_t *code;	    /* the switch */
	const void *target; /* where it goes when it is on */
	uint64_t group;
};

/* Is the group, a constant, turned on? */
static inline __attribute__((always_inline)) bool
arch_trace_site(unsigned group)
{
	__asm__ inline goto("1:	.byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n\t"
			    ".pushsection trace_sites, \"a\"\n\t"
			    ".balign 8\n\t"
			    ".quad 1b, %l[on], %c0\n\t"
			    ".popsection"
			    :
			    : "i"(group)
			    :
			    : on);
	return false;
on:
	return true;
}

/*
 * Call function(event, a, b) and keep every register: see kernel/x86_64/trace_call.S. After a
 * usual call the compiler counts half of the registers as lost, and before it loads some with
 * arguments; it would arrange the code around a trace point for the sake of a call that
 * hardly ever happens. For the same reason memory does not count as changed (nothing that
 * the caller knows of is), and this is a macro: an argument of 32 bits is pushed as it lies in
 * its register, with anything in the upper half.
 *
 * Naming RSP makes the compiler set up the frame first, which arch_trace_caller() needs.
 */
#define arch_trace_call(function, event, a, b)                                                     \
	do {                                                                                       \
		register uintptr_t stack_ __asm__("rsp");                                          \
		__asm__ inline volatile("push %q[b_]; push %q[a_]; push %[event_]\n\t"             \
					"push %[function_]; call arch_trace_thunk"                 \
					: "+r"(stack_)                                             \
					: [function_] "i"(function), [event_] "i"(event),          \
					  [a_] "r"(a), [b_] "r"(b));                               \
	} while (0)

/* Is the switch on? */
bool arch_trace_site_is_on(const struct trace_site *site);

/* Write to code, a copy of a switch that will lie at address, the jump to target. */
void arch_trace_jump(uint8_t code[TRACE_SITE_SIZE], uintptr_t address, uintptr_t target);

/*
 * Turn on every switch of a group. Only while one CPU runs, and the kernel's text can still
 * be written to: before kernel_map_init().
 */
void arch_trace_enable(unsigned group);

/*
 * Who called the memory manager: the innermost return address outside of mm/, of the calls
 * that led to a trace point. frame is the __builtin_frame_address(0) of the function that
 * arch_trace_call() called. 0 if there is none.
 */
uintptr_t arch_trace_caller(const void *frame);

#endif
