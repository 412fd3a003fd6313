/* SPDX-License-Identifier: MIT */
/*
 * Signals, as the thread that gets them sees it.
 *
 * A thread looks for signals on its way to user mode, if thread->interrupted says so: after a
 * system call, an interrupt or an exception. It takes the lowest one that it does not block,
 * its own before the process's, and does what the program wants, until there is none left:
 *
 *	ignore     nothing
 *	end        the whole process ends
 *	stop       all threads of the process wait for SIGCONT
 *	handler    the frame of registers is kept on the program's stack, and replaced
 *
 * The call that was interrupted either fails with EINTR, or is made again: if there was no
 * handler to run after all, or the handler says SA_RESTART.
 *
 * thread->interrupted is cleared under process_lock, when nothing waits any more; who sends a
 * signal sets it under the same lock, so it cannot be lost.
 */
#include <slab.h>
#include <string.h>
#include <time.h>

#include "user.h"

/* ---- Taking ------------------------------------------------------------------------------ */

/* The lowest signal of the set that waits, or 0. Its record goes into *info. */
static int
take_from_locked(struct signal_queue *queue, uint64_t set, struct abi_siginfo *info,
		 struct list_head *dropped)
{
	struct signal_record *record, *found = NULL;
	int signal;
	bool more = false;

	assert_held(&process_lock);
	if (!(queue->set & set))
		return 0;
	signal = __builtin_ctzll(queue->set & set) + 1;
	memset(info, 0, sizeof(*info));
	info->signo = signal;
	info->code = SI_KERNEL;
	list_for_each_entry (record, &queue->records, link) {
		if (record->info.signo != signal)
			continue;
		more = found != NULL;
		if (more)
			break;
		found = record;
	}
	if (found) {
		*info = found->info;
		queue->nr_records--;
		list_del(&found->link);
		list_add_tail(&found->link, dropped);
	}
	if (!more)
		queue->set &= ~SIGNAL_BIT(signal);
	return signal;
}

int
signal_take_locked(struct user_thread *me, uint64_t set, struct abi_siginfo *info,
		   struct list_head *dropped)
{
	int signal = take_from_locked(&me->pending, set, info, dropped);

	if (!signal)
		signal = take_from_locked(&me->process->private->pending, set, info, dropped);
	if (signal && info->code == SI_TIMER)
		timers_taken_locked(me->process, info);
	return signal;
}

/*
 * Who reads signals mostly blocks them, so sending one interrupts nobody for that. All who wait are
 * woken, for each may want other signals than the next.
 */
void
signal_wake_readers_locked(struct process *process)
{
	assert_held(&process_lock);
	wake_all(&process->private->signal_sent);
	poll_wake();
}

int
signal_take(const uint64_t *set, bool wait, struct abi_siginfo *info)
{
	struct user_thread *me = user_current();
	struct wait_queue *sent = &me->process->private->signal_sent;
	struct list_head dropped = LIST_INIT(dropped);
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	int signal, error = 0;

	while (!(signal = signal_take_locked(me, *set, info, &dropped)) && !error)
		error = wait ? wait_on_until(sent, &process_lock, WAIT_FOREVER) : -EAGAIN;
	spin_unlock_irqrestore(&process_lock, flags);
	signals_free(&dropped);
	return signal ? 0 : error;
}

bool
signal_waits(const uint64_t *set)
{
	struct user_thread *me = user_current();
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	bool waits = (me->pending.set | me->process->private->pending.set) & *set;

	spin_unlock_irqrestore(&process_lock, flags);
	return waits;
}

void
signal_change_set(uint64_t *set, uint64_t signals)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	*set = signals & ~SIGNALS_UNBLOCKABLE;
	signal_wake_readers_locked(process_current());
	spin_unlock_irqrestore(&process_lock, flags);
}

/* Must the running thread see to something before it goes on? */
static bool
has_work_locked(const struct user_thread *me)
{
	const struct process_private *private = me->process->private;

	assert_held(&process_lock);
	return private->ending || private->stopped || (private->execer && private->execer != me) ||
	       (me->pending.set | private->pending.set) & ~me->blocked;
}

void
signal_recalculate_locked(struct user_thread *me)
{
	assert_held(&process_lock);
	if (has_work_locked(me))
		thread_interrupt(me->thread);
	else
		thread_clear_interrupt(me->thread);
}

void
signal_leave_to_others_locked(struct user_thread *me, uint64_t set)
{
	struct process_private *private = me->process->private;
	struct user_thread *user;

	assert_held(&process_lock);
	set &= private->pending.set;
	list_for_each_entry (user, &private->threads, link) {
		uint64_t takes = set & (~user->blocked | user->waits_for);

		if (user == me || !takes)
			continue;
		thread_interrupt(user->thread);
		set &= ~takes;
	}
}

void
signal_set_blocked(uint64_t blocked)
{
	struct user_thread *me = user_current();
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	uint64_t before = me->blocked;

	me->blocked = blocked & ~SIGNALS_UNBLOCKABLE;
	signal_recalculate_locked(me);
	signal_leave_to_others_locked(me, me->blocked & ~before);
	spin_unlock_irqrestore(&process_lock, flags);
}

void
signal_set_blocked_for_wait(uint64_t blocked)
{
	struct user_thread *me = user_current();

	me->saved_blocked = me->blocked;
	me->restore_blocked = true;
	signal_set_blocked(blocked);
}

void
signal_restore_blocked(void)
{
	struct user_thread *me = user_current();

	if (!me->restore_blocked)
		return;
	me->restore_blocked = false;
	signal_set_blocked(me->saved_blocked);
}

bool
signal_pending(void)
{
	return __atomic_load_n(&thread_current()->interrupted, __ATOMIC_RELAXED);
}

/* ---- Delivering -------------------------------------------------------------------------- */

/* A signal that has been taken, and what is to be done about it. */
struct delivery {
	int signal;
	enum signal_effect effect;
	struct abi_sigaction action;
	struct abi_siginfo info;
	/* In place of a signal: */
	bool exit;    /* the thread is to end */
	bool goes_on; /* the process was stopped, and its parent is to hear that it goes on */
};

static void
stop_locked(struct user_thread *me, int signal)
{
	struct process_private *private = me->process->private;
	struct user_thread *user;

	assert_held(&process_lock);
	private->stopped = true;
	private->report = (struct wait_status){ CLD_STOPPED, signal };
	list_for_each_entry (user, &private->threads, link)
		thread_interrupt(user->thread);
}

/* Wait while the process is stopped. */
static void
wait_while_stopped_locked(struct user_thread *me)
{
	struct process_private *private = me->process->private;

	assert_held(&process_lock);
	while (private->stopped && !private->ending && !private->execer)
		wait_on(&private->continued, &process_lock);
}

/* The first process had blocked what it has no handler for. Only its own fault ends it. */
static bool
is_kept_from_locked(const struct process *process, const struct delivery *delivery)
{
	assert_held(&process_lock);
	return process == first_process && delivery->effect != EFFECT_HANDLER &&
	       !(SIGNALS_OF_FAULTS & SIGNAL_BIT(delivery->signal) && delivery->info.code > 0);
}

/* What to do about the next signal. Returns false if there is nothing left to do. */
static bool
next_locked(struct user_thread *me, struct delivery *delivery, struct list_head *dropped)
{
	struct process_private *private = me->process->private;
	struct abi_sigaction *action;

	assert_held(&process_lock);
	wait_while_stopped_locked(me);
	delivery->exit = private->ending || (private->execer && private->execer != me);
	delivery->goes_on = private->goes_on;
	private->goes_on = false;
	if (delivery->exit || delivery->goes_on)
		return true;
	delivery->signal = signal_take_locked(me, ~me->blocked, &delivery->info, dropped);
	if (!delivery->signal) {
		signal_recalculate_locked(me);
		return false;
	}
	action = &private->actions->of[delivery->signal - 1];
	delivery->effect = signal_effect_locked(me->process, delivery->signal);
	if (is_kept_from_locked(me->process, delivery))
		delivery->effect = EFFECT_IGNORE;
	delivery->action = *action;
	if (delivery->effect == EFFECT_HANDLER && action->flags & SA_RESETHAND)
		action->handler = SIG_DFL;
	if (delivery->effect == EFFECT_END)
		process_end_locked(me->process, CLD_KILLED, delivery->signal);
	return true;
}

/* Stop, unless there is nobody who could make the process go on. */
static void
stop(struct user_thread *me, int signal)
{
	struct signal_record *record = signal_record_alloc(SIGCHLD, CLD_STOPPED);
	struct list_head dropped = LIST_INIT(dropped);
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct process *parent = me->process->parent;

	if (parent) {
		stop_locked(me, signal);
		tell_parent_locked(me->process, record, &dropped);
	} else if (record) {
		list_add_tail(&record->link, &dropped);
	}
	spin_unlock_irqrestore(&process_lock, flags);
	signals_free(&dropped);
}

/* The process was stopped and is no more: tell its parent. */
static void
go_on(struct user_thread *me)
{
	struct signal_record *record = signal_record_alloc(SIGCHLD, CLD_CONTINUED);
	struct list_head dropped = LIST_INIT(dropped);
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	tell_parent_locked(me->process, record, &dropped);
	spin_unlock_irqrestore(&process_lock, flags);
	signals_free(&dropped);
}

/* The stack cannot be used. A handler for just that would fail in the same way, for ever. */
static void
no_stack_for(struct user_thread *me, int signal)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	if (signal == SIGSEGV)
		me->process->private->actions->of[SIGSEGV - 1].handler = SIG_DFL;
	spin_unlock_irqrestore(&process_lock, flags);
	signal_current(SIGSEGV, SI_KERNEL, 0);
}

static void
call_handler(struct user_thread *me, const struct delivery *delivery)
{
	uint64_t blocked = me->blocked, to_restore = blocked;

	if (arch_call_interrupted(ERESTARTSYS) && delivery->action.flags & SA_RESTART)
		arch_call_again();
	else if (arch_call_interrupted(ERESTARTSYS) || arch_call_interrupted(ERESTARTNOHAND))
		arch_call_fail();
	me->wait_until = 0;
	if (me->restore_blocked)
		to_restore = me->saved_blocked;
	me->restore_blocked = false;
	if (arch_signal_call(&delivery->action, &delivery->info, to_restore, &me->altstack)) {
		no_stack_for(me, delivery->signal);
		return;
	}
	blocked |= delivery->action.mask;
	if (!(delivery->action.flags & SA_NODEFER))
		blocked |= SIGNAL_BIT(delivery->signal);
	signal_set_blocked(blocked);
}

static bool
deliver_next(struct user_thread *me)
{
	struct list_head dropped = LIST_INIT(dropped);
	struct delivery delivery = { .signal = 0 };
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	bool found = next_locked(me, &delivery, &dropped);

	spin_unlock_irqrestore(&process_lock, flags);
	signals_free(&dropped);
	if (!found)
		return false;
	if (delivery.exit)
		user_thread_exit(0);
	if (delivery.goes_on)
		go_on(me);
	else if (delivery.effect == EFFECT_STOP)
		stop(me, delivery.signal);
	else if (delivery.effect == EFFECT_HANDLER)
		call_handler(me, &delivery);
	return true;
}

void
signal_deliver(void)
{
	struct user_thread *me = user_current();

	timers_check_cpu();
	while (deliver_next(me))
		;
	if (arch_call_interrupted(ERESTARTSYS) || arch_call_interrupted(ERESTARTNOHAND))
		arch_call_again();
	if (me->restore_blocked) {
		me->restore_blocked = false;
		signal_set_blocked(me->saved_blocked);
	}
}

/* ---- Actions ---------------------------------------------------------------------------- */

static KMEM_CACHE(actions_cache, "signal_actions", sizeof(struct signal_actions), 0, 0, NULL);

struct signal_actions *
signal_actions_new(void)
{
	struct signal_actions *actions = kmem_cache_alloc(&actions_cache, GFP_KERNEL);

	if (actions) {
		memset(actions, 0, sizeof(*actions));
		actions->users = 1;
	}
	return actions;
}

void
signal_actions_put(struct signal_actions *actions)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	bool last = --actions->users == 0;

	spin_unlock_irqrestore(&process_lock, flags);
	if (last)
		kmem_cache_free(&actions_cache, actions);
}

void
signal_actions_share(struct process *child, struct process *parent)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct signal_actions *own = child->private->actions;

	child->private->actions = parent->private->actions;
	child->private->actions->users++;
	spin_unlock_irqrestore(&process_lock, flags);
	signal_actions_put(own);
}

int
signal_actions_unshare(void)
{
	struct process_private *private = process_current()->private;
	struct signal_actions *shared = private->actions, *own;
	irqflags_t flags;

	if (__atomic_load_n(&shared->users, __ATOMIC_RELAXED) == 1)
		return 0;
	own = signal_actions_new();
	if (!own)
		return -ENOMEM;
	flags = spin_lock_irqsave(&process_lock);
	memcpy(own->of, shared->of, sizeof(own->of));
	private->actions = own;
	spin_unlock_irqrestore(&process_lock, flags);
	signal_actions_put(shared);
	return 0;
}

void
signals_exec(void)
{
	struct user_thread *me = user_current();
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	for (int i = 0; i < NR_SIGNALS; i++) {
		struct abi_sigaction *action = &me->process->private->actions->of[i];

		*action = (struct abi_sigaction){
			.handler = action->handler == SIG_IGN ? SIG_IGN : SIG_DFL,
		};
	}
	me->altstack = (struct abi_sigaltstack){ .flags = SS_DISABLE };
	spin_unlock_irqrestore(&process_lock, flags);
}
