/* SPDX-License-Identifier: MIT */
/*
 * Stopping the kernel, and the assertions that do.
 *
 * An assertion guards against a bug in the code that makes or calls it: it prints
 * both values and never returns. A shortage or damaged input is not a bug and is
 * never asserted; it is returned as NULL or an error number.
 */
#ifndef IKOS_PANIC_H
#define IKOS_PANIC_H

#include <types.h>

/*
 * Print "panic: " and the message on one line, then registers and a backtrace as
 * addresses, stop the other CPUs and end the machine. Callable from any context.
 */
_Noreturn void panic(const char *fmt, ...) __format(1, 2);

/* What stands in a starter for a function that a student is to write. */
_Noreturn void lab_todo(int lab, const char *what);

#define ASSERT(cond)                                                                               \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			panic("%s:%d: %s: assertion failed: %s", __FILE__, __LINE__, __func__,     \
			      #cond);                                                              \
	} while (0)

#define ASSERT_CMP(a, op, b)                                                                       \
	do {                                                                                       \
		uint64_t a_ = (uint64_t)(a), b_ = (uint64_t)(b);                                   \
		if (unlikely(!(a_ op b_)))                                                         \
			panic("%s:%d: %s: assertion failed: %s (%#lx) " #op " %s (%#lx)",          \
			      __FILE__, __LINE__, __func__, #a, (unsigned long)a_, #b,             \
			      (unsigned long)b_);                                                  \
	} while (0)

#define ASSERT_EQ(a, b) ASSERT_CMP(a, ==, b)
#define ASSERT_LT(a, b) ASSERT_CMP(a, <, b)
#define ASSERT_LE(a, b) ASSERT_CMP(a, <=, b)

/* Checks that cost something on a hot path: debug builds only. */
#ifdef IKOS_DEBUG
#define DEBUG_ASSERT(cond) ASSERT(cond)
#else
#define DEBUG_ASSERT(cond) ((void)sizeof(cond))
#endif

#endif
