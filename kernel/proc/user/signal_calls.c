/* SPDX-License-Identifier: MIT */
/* The system calls about signals, except those that send some: see signal_send.c. */
#include <string.h>
#include <time.h>

#include "user.h"

#define SET_SIZE 8 /* bytes of a set of signals, which programs have to pass */

/* ---- Handlers ---------------------------------------------------------------------------- */

/* new: or NULL. A signal that is ignored from now on is not kept, even if it is blocked. */
static void
exchange_action(int signal, const struct abi_sigaction *new, struct abi_sigaction *old)
{
	struct process *process = process_current();
	struct list_head dropped = LIST_INIT(dropped);
	struct abi_sigaction *action = &process->private->actions->of[signal - 1];
	struct user_thread *user;
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	*old = *action;
	if (new) {
		*action = *new;
		action->mask &= ~SIGNALS_UNBLOCKABLE;
	}
	if (new &&signal_effect_locked(process, signal) == EFFECT_IGNORE) {
		signals_take(&process->private->pending, SIGNAL_BIT(signal), &dropped);
		list_for_each_entry (user, &process->private->threads, link)
			signals_take(&user->pending, SIGNAL_BIT(signal), &dropped);
	}
	spin_unlock_irqrestore(&process_lock, flags);
	signals_free(&dropped);
}

static int64_t
sys_rt_sigaction(const uint64_t *arg)
{
	int signal = (int)arg[0];
	struct abi_sigaction new, old;

	if (signal < 1 || signal > NR_SIGNALS || arg[3] != SET_SIZE)
		return -EINVAL;
	if (arg[1] && SIGNALS_UNBLOCKABLE & SIGNAL_BIT(signal))
		return -EINVAL;
	if (arg[1] && copy_from_user(&new, arg[1], sizeof(new)))
		return -EFAULT;
	exchange_action(signal, arg[1] ? &new : NULL, &old);
	return arg[2] ? copy_to_user(arg[2], &old, sizeof(old)) : 0;
}
SYSCALL(13, rt_sigaction, 4, sys_rt_sigaction);

static int64_t
sys_rt_sigreturn(const uint64_t *arg)
{
	struct user_thread *me = user_current();
	struct abi_sigaltstack stack;
	uint64_t blocked;
	int64_t result;

	(void)arg;
	if (arch_signal_return(&blocked, &stack, &result)) {
		signal_current(SIGSEGV, SI_KERNEL, 0);
		return 0;
	}
	signal_set_blocked(blocked);
	if (stack.flags == 0 || stack.flags == SS_DISABLE)
		me->altstack = stack;
	return result;
}
SYSCALL(15, rt_sigreturn, 0, sys_rt_sigreturn);

static int64_t
set_altstack(struct user_thread *me, const struct abi_sigaltstack *new, bool in_use)
{
	if (in_use)
		return -EPERM;
	if (new->flags & ~SS_DISABLE)
		return -EINVAL;
	if (!(new->flags &SS_DISABLE) && new->size < MINSIGSTKSZ)
		return -ENOMEM;
	me->altstack = *new;
	if (new->flags & SS_DISABLE)
		me->altstack.sp = me->altstack.size = 0;
	return 0;
}

static int64_t
sys_sigaltstack(const uint64_t *arg)
{
	struct user_thread *me = user_current();
	struct abi_sigaltstack new, old = me->altstack;
	bool in_use = !(old.flags & SS_DISABLE) && arch_on_stack(old.sp, old.size);
	int64_t error = 0;

	if (in_use)
		old.flags |= SS_ONSTACK;
	if (arg[0]) {
		if (copy_from_user(&new, arg[0], sizeof(new)))
			return -EFAULT;
		error = set_altstack(me, &new, in_use);
	}
	if (!error && arg[1])
		error = copy_to_user(arg[1], &old, sizeof(old));
	return error;
}
SYSCALL(131, sigaltstack, 2, sys_sigaltstack);

/* ---- Blocking ---------------------------------------------------------------------------- */

static int64_t
sys_rt_sigprocmask(const uint64_t *arg)
{
	uint64_t old = user_current()->blocked, set;

	if (arg[3] != SET_SIZE)
		return -EINVAL;
	if (arg[1]) {
		if (copy_from_user(&set, arg[1], sizeof(set)))
			return -EFAULT;
		switch ((int)arg[0]) {
		case SIG_BLOCK:
			signal_set_blocked(old | set);
			break;
		case SIG_UNBLOCK:
			signal_set_blocked(old & ~set);
			break;
		case SIG_SETMASK:
			signal_set_blocked(set);
			break;
		default:
			return -EINVAL;
		}
	}
	return arg[2] ? copy_to_user(arg[2], &old, sizeof(old)) : 0;
}
SYSCALL(14, rt_sigprocmask, 4, sys_rt_sigprocmask);

static int64_t
sys_rt_sigpending(const uint64_t *arg)
{
	struct user_thread *me = user_current();
	irqflags_t flags;
	uint64_t set;

	if (arg[1] > SET_SIZE)
		return -EINVAL;
	flags = spin_lock_irqsave(&process_lock);
	set = (me->pending.set | me->process->private->pending.set) & me->blocked;
	spin_unlock_irqrestore(&process_lock, flags);
	return copy_to_user(arg[0], &set, arg[1]);
}
SYSCALL(127, rt_sigpending, 2, sys_rt_sigpending);

/* ---- Waiting ----------------------------------------------------------------------------- */

/* Sleep until a signal comes, or the time is up. The wait queue is one that nobody wakes. */
static int
wait_for_signal_locked(uint64_t until)
{
	struct wait_queue nobody;

	wait_queue_init(&nobody);
	return wait_on_until(&nobody, &process_lock, until);
}

static int64_t
wait_for_handler(void)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	int error;

	while ((error = wait_for_signal_locked(WAIT_FOREVER)) == 0)
		;
	spin_unlock_irqrestore(&process_lock, flags);
	return -ERESTARTNOHAND;
}

static int64_t
sys_pause(const uint64_t *arg)
{
	(void)arg;
	return wait_for_handler();
}
SYSCALL(34, pause, 0, sys_pause);

static int64_t
sys_rt_sigsuspend(const uint64_t *arg)
{
	uint64_t blocked;

	if (arg[1] != SET_SIZE)
		return -EINVAL;
	if (copy_from_user(&blocked, arg[0], sizeof(blocked)))
		return -EFAULT;
	signal_set_blocked_for_wait(blocked);
	return wait_for_handler();
}
SYSCALL(130, rt_sigsuspend, 2, sys_rt_sigsuspend);

/* Take a signal of the set, and wait for one if there is none. */
static int
wait_for_one_of(uint64_t set, uint64_t until, struct abi_siginfo *info)
{
	struct user_thread *me = user_current();
	struct list_head dropped = LIST_INIT(dropped);
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	int signal, error = 0;

	me->waits_for = set;
	while (!(signal = signal_take_locked(me, set, info, &dropped)) && !error)
		error = wait_for_signal_locked(until);
	me->waits_for = 0;
	signal_recalculate_locked(me);
	signal_leave_to_others_locked(me, set & me->blocked);
	spin_unlock_irqrestore(&process_lock, flags);
	signals_free(&dropped);
	return signal ? signal : error == -ETIMEDOUT ? -EAGAIN : -EINTR;
}

static int64_t
sys_rt_sigtimedwait(const uint64_t *arg)
{
	uint64_t set, until = WAIT_FOREVER;
	struct abi_siginfo info;
	int signal, error = 0;

	if (arg[3] != SET_SIZE)
		return -EINVAL;
	if (copy_from_user(&set, arg[0], sizeof(set)))
		return -EFAULT;
	if (arg[2])
		error = read_timeout(arg[2], &until);
	if (error)
		return error;
	signal = wait_for_one_of(set & ~SIGNALS_UNBLOCKABLE, until, &info);
	if (signal > 0 && arg[1] && copy_to_user(arg[1], &info, sizeof(info)))
		return -EFAULT;
	return signal;
}
SYSCALL(128, rt_sigtimedwait, 4, sys_rt_sigtimedwait);
