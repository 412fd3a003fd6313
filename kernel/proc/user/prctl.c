/* SPDX-License-Identifier: MIT */
/*
 * prctl(): what a process says of itself, and how it wants to be treated.
 *
 * A number says what is asked for; what the four arguments behind it mean depends on that. Where
 * an argument has no meaning, some of the requests insist on 0, as Linux has it.
 */
#include <string.h>

#include "user.h"

#define PR_SET_PDEATHSIG       1
#define PR_GET_PDEATHSIG       2
#define PR_GET_DUMPABLE	       3
#define PR_SET_DUMPABLE	       4
#define PR_SET_NAME	       15
#define PR_GET_NAME	       16
#define PR_SET_TIMERSLACK      29
#define PR_GET_TIMERSLACK      30
#define PR_SET_CHILD_SUBREAPER 36
#define PR_GET_CHILD_SUBREAPER 37
#define PR_SET_NO_NEW_PRIVS    38
#define PR_GET_NO_NEW_PRIVS    39
#define PR_SET_THP_DISABLE     41
#define PR_GET_THP_DISABLE     42
#define PR_SET_MDWE	       65
#define PR_GET_MDWE	       66

/* Our own: whether gaps are kept beside the heap's mappings. */
#define PR_HEAP_GUARD 0x494b0001

#define PR_MDWE_REFUSE_EXEC_GAIN 1u

/* Are the arguments from number first on, of 1 to 4, all 0? */
static bool
rest_is_zero(const uint64_t *arg, unsigned first)
{
	while (first <= 4)
		if (arg[first++])
			return false;
	return true;
}

/* ---- The process and its relatives ------------------------------------------------------- */

/* What it gets when its parent ends; 0: nothing. */
static int64_t
set_death_signal(struct process *process, const uint64_t *arg)
{
	irqflags_t flags;

	if (arg[1] > NR_SIGNALS)
		return -EINVAL;
	flags = spin_lock_irqsave(&process_lock);
	process->private->death_signal = (int)arg[1];
	spin_unlock_irqrestore(&process_lock, flags);
	return 0;
}

static int64_t
set_reaps(struct process *process, const uint64_t *arg)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	process->private->reaps = arg[1] != 0;
	spin_unlock_irqrestore(&process_lock, flags);
	return 0;
}

/* There is no way back. */
static int64_t
set_no_new_privileges(struct process *process, const uint64_t *arg)
{
	if (arg[1] != 1 || !rest_is_zero(arg, 2))
		return -EINVAL;
	__atomic_store_n(&process->private->no_new_privileges, true, __ATOMIC_RELAXED);
	return 0;
}

static int64_t
set_name(struct process *process, const uint64_t *arg)
{
	char name[sizeof(process->name)] = "";

	if (copy_string_from_user(name, arg[1], sizeof(name)) == -EFAULT)
		return -EFAULT;
	name[sizeof(name) - 1] = '\0';
	memcpy(process->name, name, sizeof(name));
	return 0;
}

/* Sleeps end as near to their time as they can, whatever slack there may be: it is only kept. */
static int64_t
set_timer_slack(struct process *process, const uint64_t *arg)
{
	struct process_private *its = process->private;

	its->timer_slack_ns = (int64_t)arg[1] > 0 ? arg[1] : its->default_slack_ns;
	return 0;
}

static int64_t
set_dumpable(struct process *process, const uint64_t *arg)
{
	if (arg[1] > 1)
		return -EINVAL;
	process->private->undumpable = !arg[1];
	return 0;
}

static int64_t
give(uintptr_t to, int value)
{
	return copy_to_user(to, &value, sizeof(value));
}

/* ---- Its memory -------------------------------------------------------------------------- */

/* Memory that is not executable stays so: there is no way back. */
static int64_t
set_mdwe(struct address_space *space, const uint64_t *arg)
{
	if (arg[1] & ~(uint64_t)PR_MDWE_REFUSE_EXEC_GAIN || !rest_is_zero(arg, 2))
		return -EINVAL;
	if (!arg[1])
		return space_refuses_exec_gain(space) ? -EPERM : 0;
	space_refuse_exec_gain(space);
	return 0;
}

static int64_t
forbid_huge(struct address_space *space, const uint64_t *arg)
{
	if (!rest_is_zero(arg, 2))
		return -EINVAL;
	space_forbid_huge(space, arg[1] != 0);
	return 0;
}

static int64_t
guard_heap(struct address_space *space, const uint64_t *arg)
{
	if (arg[1] > 1)
		return -EINVAL;
	space_guard_heap(space, arg[1]);
	return 0;
}

/* ------------------------------------------------------------------------------------------ */

static int64_t
sys_prctl(const uint64_t *arg)
{
	struct process *process = process_current();
	const struct process_private *its = process->private;
	struct address_space *space = process->space;

	switch ((int)arg[0]) {
	case PR_SET_PDEATHSIG:
		return set_death_signal(process, arg);
	case PR_GET_PDEATHSIG:
		return give(arg[1], its->death_signal);
	case PR_SET_DUMPABLE:
		return set_dumpable(process, arg);
	case PR_GET_DUMPABLE:
		return !its->undumpable;
	case PR_SET_NAME:
		return set_name(process, arg);
	case PR_GET_NAME:
		return copy_to_user(arg[1], process->name, sizeof(process->name));
	case PR_SET_TIMERSLACK:
		return set_timer_slack(process, arg);
	case PR_GET_TIMERSLACK:
		return (int64_t)its->timer_slack_ns;
	case PR_SET_CHILD_SUBREAPER:
		return set_reaps(process, arg);
	case PR_GET_CHILD_SUBREAPER:
		return give(arg[1], its->reaps);
	case PR_SET_NO_NEW_PRIVS:
		return set_no_new_privileges(process, arg);
	case PR_GET_NO_NEW_PRIVS:
		return rest_is_zero(arg, 1) ? its->no_new_privileges : -EINVAL;
	case PR_SET_THP_DISABLE:
		return forbid_huge(space, arg);
	case PR_GET_THP_DISABLE:
		return rest_is_zero(arg, 1) ? space_forbids_huge(space) : -EINVAL;
	case PR_SET_MDWE:
		return set_mdwe(space, arg);
	case PR_GET_MDWE:
		if (!rest_is_zero(arg, 1))
			return -EINVAL;
		return space_refuses_exec_gain(space) ? PR_MDWE_REFUSE_EXEC_GAIN : 0;
	case PR_HEAP_GUARD:
		return guard_heap(space, arg);
	default:
		return -EINVAL;
	}
}
SYSCALL(157, prctl, 5, sys_prctl);
