/* SPDX-License-Identifier: MIT */
/* Processes: who they are. */
#include "user.h"

spinlock_t process_lock = SPINLOCK_INIT("process", RANK_PROCESS);

struct process *
process_current(void)
{
	struct user_thread *user = thread_current()->user;

	return user ? user->process : NULL;
}

bool
signal_pending(void)
{
	return __atomic_load_n(&thread_current()->interrupted, __ATOMIC_RELAXED);
}
