/* SPDX-License-Identifier: MIT */
/*
 * Scheduling policies of threads.
 *
 *	SCHED_OTHER, _BATCH, _IDLE    ordinary, priority 0: niceness only
 *	SCHED_RR                      real-time, priority 1 to 99: turns among those of the same
 *	SCHED_FIFO                    real-time: runs until it waits, yields, or one more urgent
 *comes
 */
#include <time.h>

#include "clocks.h"

static bool
is_real_time(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static bool
is_policy(int policy)
{
	return is_real_time(policy) || policy == SCHED_OTHER || policy == SCHED_BATCH ||
	       policy == SCHED_IDLE;
}

static int
check(int policy, int priority)
{
	if (!is_policy(policy))
		return -EINVAL;
	if (is_real_time(policy))
		return priority < 1 || priority > PRIORITY_MAX ? -EINVAL : 0;
	return priority == 0 ? 0 : -EINVAL;
}

/* policy: -1 keeps what it has. */
static int64_t
set_scheduler(uint64_t tid, int policy, uintptr_t param)
{
	bool reset = policy >= 0 && policy & SCHED_RESET_ON_FORK;
	struct user_thread *user;
	int32_t priority;
	irqflags_t flags;
	int error = 0;

	if ((int)tid < 0 || !param)
		return -EINVAL;
	if (copy_from_user(&priority, param, sizeof(priority)))
		return -EFAULT;
	flags = spin_lock_irqsave(&process_lock);
	user = user_thread_or_me_locked((int)tid);
	if (user && policy < 0) {
		policy = user->policy;
		reset = user->reset_on_fork;
	}
	policy &= ~SCHED_RESET_ON_FORK;
	error = user ? check(policy, priority) : -ESRCH;
	if (!error &&
	    (!may_schedule_locked(user->process) || (is_real_time(policy) && !is_privileged())))
		error = -EPERM;
	if (!error) {
		user->policy = policy;
		user->reset_on_fork = reset;
		thread_set_priority(user->thread, priority, policy == SCHED_FIFO);
	}
	spin_unlock_irqrestore(&process_lock, flags);
	return error;
}

static int64_t
sys_sched_setscheduler(const uint64_t *arg)
{
	return (int)arg[1] < 0 ? -EINVAL : set_scheduler(arg[0], (int)arg[1], arg[2]);
}
SYSCALL(144, sched_setscheduler, 3, sys_sched_setscheduler);

static int64_t
sys_sched_setparam(const uint64_t *arg)
{
	return set_scheduler(arg[0], -1, arg[1]);
}
SYSCALL(142, sched_setparam, 2, sys_sched_setparam);

/* Returns the policy, or -EINVAL or -ESRCH. */
static int
get_scheduler(uint64_t tid, int32_t *priority)
{
	const struct user_thread *user;
	int policy = -ESRCH;
	irqflags_t flags;

	if ((int)tid < 0)
		return -EINVAL;
	flags = spin_lock_irqsave(&process_lock);
	user = user_thread_or_me_locked((int)tid);
	if (user) {
		policy = user->policy | (user->reset_on_fork ? SCHED_RESET_ON_FORK : 0);
		*priority = user->thread->priority;
	}
	spin_unlock_irqrestore(&process_lock, flags);
	return policy;
}

static int64_t
sys_sched_getscheduler(const uint64_t *arg)
{
	int32_t priority;

	return get_scheduler(arg[0], &priority);
}
SYSCALL(145, sched_getscheduler, 1, sys_sched_getscheduler);

static int64_t
sys_sched_getparam(const uint64_t *arg)
{
	int32_t priority = 0;
	int policy = arg[1] ? get_scheduler(arg[0], &priority) : -EINVAL;

	return policy < 0 ? policy : copy_to_user(arg[1], &priority, sizeof(priority));
}
SYSCALL(143, sched_getparam, 2, sys_sched_getparam);

static int64_t
sys_sched_get_priority_max(const uint64_t *arg)
{
	int policy = (int)arg[0];

	if (!is_policy(policy) && policy != SCHED_DEADLINE)
		return -EINVAL;
	return is_real_time(policy) ? PRIORITY_MAX : 0;
}
SYSCALL(146, sched_get_priority_max, 1, sys_sched_get_priority_max);

static int64_t
sys_sched_get_priority_min(const uint64_t *arg)
{
	int policy = (int)arg[0];

	if (!is_policy(policy) && policy != SCHED_DEADLINE)
		return -EINVAL;
	return is_real_time(policy);
}
SYSCALL(147, sched_get_priority_min, 1, sys_sched_get_priority_min);

/* How long a turn is; 0 for one that has no end. */
static int64_t
sys_sched_rr_get_interval(const uint64_t *arg)
{
	struct abi_timespec t;
	int32_t priority;
	int policy = get_scheduler(arg[0], &priority);

	if (policy < 0)
		return policy;
	t = to_timespec(policy == SCHED_FIFO ? 0 : sched_tick_ns());
	return copy_to_user(arg[1], &t, sizeof(t));
}
SYSCALL(148, sched_rr_get_interval, 2, sys_sched_rr_get_interval);
