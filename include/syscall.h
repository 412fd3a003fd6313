/* SPDX-License-Identifier: MIT */
/*
 * System calls: Linux's numbers, arguments and errors on x86-64. Each file that implements some
 * declares them, and the linker gathers them in a table.
 *
 *	static int64_t
 *	sys_getpid(const uint64_t *arg)
 *	{
 *		...
 *	}
 *	SYSCALL(39, getpid, 0, sys_getpid);
 *
 * A function gets its arguments in arg[0] to arg[5] and returns the result, or a negative error
 * number. It runs with interrupts on, in the calling thread. Pointers in arguments are the
 * program's: only copy_from_user() and its like may touch what they point at.
 */
#ifndef IKOS_SYSCALL_H
#define IKOS_SYSCALL_H

#include <types.h>

struct syscall {
	unsigned number;
	unsigned nr_args;
	const char *name;
	int64_t (*run)(const uint64_t *arg);
};

#define SYSCALL(number_, name_, nr_args_, function)                                                \
	static const struct syscall syscall_##name_ __section("syscalls") = { number_, nr_args_,   \
									      #name_, function }

#define NR_SYSCALLS 512

#endif
