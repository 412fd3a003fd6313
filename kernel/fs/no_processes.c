/* SPDX-License-Identifier: MIT */
/*
 * What there is of processes as long as there are none: kernel/proc replaces each of these.
 */
#include <errno.h>
#include <process.h>

#define REPLACED __attribute__((weak))

REPLACED struct process *
process_current(void)
{
	return NULL;
}

REPLACED bool
signal_pending(void)
{
	return false;
}

REPLACED int
signal_process(int pid, int signal)
{
	(void)pid;
	(void)signal;
	return -ESRCH;
}

REPLACED int
signal_group(int group, int signal)
{
	(void)group;
	(void)signal;
	return -ESRCH;
}

REPLACED bool
process_info_next(int pid, struct process_info *info)
{
	(void)pid;
	(void)info;
	return false;
}

REPLACED struct address_space *
process_space(int pid)
{
	(void)pid;
	return NULL;
}

REPLACED struct fd_table *
process_files(int pid)
{
	(void)pid;
	return NULL;
}

REPLACED struct file *
process_executable(int pid)
{
	(void)pid;
	return NULL;
}

REPLACED bool
process_arguments(int pid, uintptr_t *arg_start, uintptr_t *arg_end, uintptr_t *env_start,
		  uintptr_t *env_end)
{
	(void)pid;
	*arg_start = *arg_end = *env_start = *env_end = 0;
	return false;
}
