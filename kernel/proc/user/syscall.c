/* SPDX-License-Identifier: MIT */
/*
 * The table of system calls, and a way to watch them.
 *
 * The linker has gathered what all files declare by SYSCALL(), in no order. syscall_entry.S
 * wants an array indexed by number. proc.trace=1 on the command line makes all its entries the
 * same function, which prints each call and its result: so watching costs nothing when it is off.
 */
#include <cmdline.h>
#include <printk.h>
#include <start.h>

#include "user.h"

/* Set by the linker. */
extern const struct syscall __start_syscalls[], __stop_syscalls[];

typedef int64_t syscall_fn(const uint64_t *arg);

syscall_fn *syscall_table[NR_SYSCALLS];		 /* (c) for syscall_entry.S */
static const struct syscall *known[NR_SYSCALLS]; /* (c) */

static uint64_t trace;
TUNABLE(trace, "proc.trace", 0, 1, "1: print every system call and its result");

int64_t syscall_none(const uint64_t *arg);

/* What there is no call for. */
int64_t
syscall_none(const uint64_t *arg)
{
	(void)arg;
	return -ENOSYS;
}

static void
print_call(const char *name, unsigned nr, const uint64_t *arg, int64_t result)
{
	char text[128];
	int length = 0;

	for (unsigned i = 0; i < nr; i++)
		length += ksnprintf(text + length, sizeof(text) - (size_t)length, "%s%#lx",
				    i ? ", " : "", (unsigned long)arg[i]);
	if (!nr)
		text[0] = '\0';
	kprintf("[%d] %s(%s) = %ld\n", thread_tid(user_current()), name, text, (long)result);
}

static int64_t
traced_call(const uint64_t *arg)
{
	uint64_t number = arch_call_number();
	const struct syscall *call = known[number];
	char name[16];
	int64_t result;

	if (call) {
		print_call(call->name, call->nr_args, arg, 0);
		result = call->run(arg);
		print_call(call->name, 0, arg, result);
		return result;
	}
	ksnprintf(name, sizeof(name), "call %lu", (unsigned long)number);
	print_call(name, 6, arg, -ENOSYS);
	return -ENOSYS;
}

static void
syscalls_init(void)
{
	const struct syscall *call;

	for (call = __start_syscalls; call < __stop_syscalls; call++) {
		ASSERT_LT(call->number, NR_SYSCALLS);
		ASSERT(!known[call->number]);
		known[call->number] = call;
	}
	for (unsigned i = 0; i < NR_SYSCALLS; i++)
		syscall_table[i] = trace ? traced_call : known[i] ? known[i]->run : syscall_none;
	arch_user_init();
}

START_STEP(syscalls, syscalls_init, START_PROCESSES);
