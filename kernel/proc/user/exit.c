/* SPDX-License-Identifier: MIT */
/*
 * The end of threads and processes.
 *
 * A process ends when its last thread does. Who wants it to end (exit_group(), a deadly signal)
 * sets ending, with the reason, and interrupts all threads: each wakes from what it waits for,
 * or leaves user mode by an interrupt, and ends itself on its way back there (signal_deliver()).
 * Nobody ends a thread from outside: it may hold things in the kernel.
 *
 * A thread gives up the address space before it leaves the list of threads: after that the last
 * one may free the page tables.
 *
 * What has ended is freed by others, since a thread cannot free the stack it runs on: a process
 * with its last thread by the parent that waits for it; the others, and processes that nobody
 * waits for, by the reaper, a thread of the kernel.
 */
#include <page_allocator.h>
#include <start.h>
#include <time.h>

#include "user.h"

static struct list_head dead = LIST_INIT(dead); /* (p) user threads, for the reaper */
static struct wait_queue reaper_queue = WAIT_QUEUE_INIT(reaper_queue);
static struct wait_queue reaped_queue = WAIT_QUEUE_INIT(reaped_queue);
static struct list_head records = LIST_INIT(records); /* (p) of signals, for the reaper */
static bool reaper_busy;			      /* (p) */
struct wait_queue first_process_ended = WAIT_QUEUE_INIT(first_process_ended);

/* ---- Times ------------------------------------------------------------------------------- */

/* Ticks say which part of the time was user mode; the sum is known exactly. */
struct process_times
thread_times(const struct thread *thread)
{
	uint64_t total = thread->run_ns, in_kernel = thread->ticks[0], in_user = thread->ticks[1];
	uint64_t user_ns;

	if (thread == thread_current())
		total += thread_unaccounted_ns();
	user_ns = total;
	if (in_kernel)
		user_ns = total / (in_kernel + in_user) * in_user;
	return (struct process_times){
		.user_ns = user_ns,
		.system_ns = total - user_ns,
		.faults_minor = thread->user->faults_minor,
		.faults_major = thread->user->faults_major,
	};
}

void
times_add(struct process_times *to, struct process_times add)
{
	to->user_ns += add.user_ns;
	to->system_ns += add.system_ns;
	to->faults_minor += add.faults_minor;
	to->faults_major += add.faults_major;
}

struct process_times
process_times_locked(struct process *process)
{
	struct process_times times = process->private->times;
	struct user_thread *user;

	assert_held(&process_lock);
	list_for_each_entry (user, &process->private->threads, link)
		times_add(&times, thread_times(user->thread));
	return times;
}

/* ---- Ending others ----------------------------------------------------------------------- */

void
process_end_locked(struct process *process, int code, int status)
{
	struct process_private *private = process->private;
	struct user_thread *user;

	assert_held(&process_lock);
	if (private->ending)
		return;
	private->ending = true;
	private->end = (struct wait_status){ code, status };
	list_for_each_entry (user, &private->threads, link)
		thread_interrupt(user->thread);
	wake_all(&private->continued);
}

/* The one that is left takes the process's id, if it was another thread's. */
int
process_kill_other_threads(void)
{
	struct user_thread *me = user_current(), *user;
	struct process_private *private = me->process->private;
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	if (private->ending || private->execer) {
		spin_unlock_irqrestore(&process_lock, flags);
		return -EINTR;
	}
	private->execer = me;
	list_for_each_entry (user, &private->threads, link)
		if (user != me)
			thread_interrupt(user->thread);
	wake_all(&private->continued);
	while (private->nr_threads > 1)
		wait_on(&private->threads_changed, &process_lock);
	private->execer = NULL;
	if (thread_tid(me) != me->process->pid) {
		user_thread_unpublish_locked(me);
		me->node.key = (uint64_t)me->process->pid;
		user_thread_publish_locked(me);
	}
	spin_unlock_irqrestore(&process_lock, flags);
	return 0;
}

void
vfork_release(struct process *process)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	if (process->private->vfork_done) {
		*process->private->vfork_done = true;
		process->private->vfork_done = NULL;
		wake_all(&process->parent->private->child_changed);
	}
	spin_unlock_irqrestore(&process_lock, flags);
}

/* ---- The reaper -------------------------------------------------------------------------- */

static void
give_to_reaper_locked(struct user_thread *user)
{
	assert_held(&process_lock);
	list_add_tail(&user->link, &dead);
	wake_one(&reaper_queue);
}

struct list_head *
reaper_records_locked(void)
{
	assert_held(&process_lock);
	return &records; /* there is no hurry to free them */
}

static void
reap(struct user_thread *user)
{
	if (user->process && user->process->private->last == user)
		process_free(user->process);
	else
		user_thread_free(user);
}

static struct list_head *
take_first(struct list_head *list)
{
	struct list_head *first = list_empty(list) ? NULL : list->next;

	if (first)
		list_del(first);
	return first;
}

static void
reaper(void *arg)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	(void)arg;
	for (;;) {
		struct list_head *thread = take_first(&dead), *record = take_first(&records);

		reaper_busy = thread || record;
		if (!reaper_busy) {
			wake_all(&reaped_queue);
			wait_on(&reaper_queue, &process_lock);
			continue;
		}
		spin_unlock_irqrestore(&process_lock, flags);
		if (thread)
			reap(list_entry(thread, struct user_thread, link));
		if (record)
			signal_record_free(list_entry(record, struct signal_record, link));
		flags = spin_lock_irqsave(&process_lock);
	}
}

void
reaper_wait(void)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	wake_one(&reaper_queue);
	while (reaper_busy || !list_empty(&dead) || !list_empty(&records))
		wait_on(&reaped_queue, &process_lock);
	spin_unlock_irqrestore(&process_lock, flags);
}

static void
reaper_init(void)
{
	if (!thread_create("reaper", reaper, NULL, CPU_ANY))
		panic("no memory for the reaper's stack");
}
START_STEP(reaper, reaper_init, START_PROCESSES);

/* ---- Ending oneself ---------------------------------------------------------------------- */

/* Give up what only a living process needs. */
static void
put_resources(struct process *process)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct address_space *space = process->space;
	struct fd_table *files = process->files;
	struct fs_context *fs = process->fs;
	struct file *executable = process->private->executable;

	process->space = NULL;
	process->files = NULL;
	process->fs = NULL;
	process->private->executable = NULL;
	spin_unlock_irqrestore(&process_lock, flags);
	fd_table_put(files);
	fs_context_put(fs);
	if (executable)
		file_put(executable);
	space_put(space);
}

/* Who gets its children: the nearest ancestor that wants to, or the first process. */
static struct process *
next_parent_locked(const struct process *process)
{
	struct process *parent = process->parent;

	assert_held(&process_lock);
	while (parent && !parent->private->reaps)
		parent = parent->parent;
	return parent ? parent : first_process;
}

/* Its children get another parent, and a signal if they have asked for one. */
static void
give_away_children_locked(struct process *process, struct list_head *dropped)
{
	struct process *parent = next_parent_locked(process);
	struct process_private *child, *next;

	assert_held(&process_lock);
	if (!parent || process == first_process)
		return;
	list_for_each_entry_safe (child, next, &process->private->children, sibling) {
		list_del(&child->sibling);
		list_add_tail(&child->sibling, &parent->private->children);
		child->process.parent = parent;
		__atomic_store_n(&child->parent_pid, parent->pid, __ATOMIC_RELAXED);
		if (child->death_signal && child->process.state != PROCESS_ZOMBIE)
			signal_send_locked(&child->process, NULL, child->death_signal, NULL,
					   dropped);
	}
	wake_all(&parent->private->child_changed);
}

static void
fill_record(struct signal_record *record, struct process *process, int code, int status,
	    struct process_times times)
{
	record->info.code = code;
	record->info.from.pid = process->pid;
	record->info.from.uid = process->private->credentials.uid.real;
	record->info.from.child.status = status;
	record->info.from.child.user_ticks = (int64_t)(times.user_ns * USER_HZ / NSEC_PER_SEC);
	record->info.from.child.system_ticks = (int64_t)(times.system_ns * USER_HZ / NSEC_PER_SEC);
}

/* Does the parent want to hear of children that end? */
static bool
parent_waits_locked(const struct process *parent)
{
	const struct abi_sigaction *action;

	if (!parent)
		return false;
	action = &parent->private->actions->of[SIGCHLD - 1];
	return action->handler != SIG_IGN && !(action->flags & SA_NOCLDWAIT);
}

/* SA_NOCLDSTOP: of those that end only. */
static bool
wants_signal_locked(const struct process *process)
{
	return process->state == PROCESS_ZOMBIE ||
	       !(process->parent->private->actions->of[SIGCHLD - 1].flags & SA_NOCLDSTOP);
}

void
tell_parent_locked(struct process *process, struct signal_record *record, struct list_head *dropped)
{
	struct process *parent = process->parent;
	struct process_private *private = process->private;
	struct wait_status what = process->state == PROCESS_ZOMBIE ? private->end : private->report;

	assert_held(&process_lock);
	if (record)
		fill_record(record, process, what.code, what.status, process_times_locked(process));
	if (parent && private->exit_signal && wants_signal_locked(process))
		signal_send_locked(parent, NULL, private->exit_signal, record, dropped);
	else if (record)
		list_add_tail(&record->link, dropped);
	if (parent)
		wake_all(&parent->private->child_changed);
}

/* The last thread: what is left is for the parent. */
static void
become_zombie(struct user_thread *me, int status)
{
	struct process *process = me->process;
	struct process_private *private = process->private;
	struct signal_record *record = signal_record_alloc(SIGCHLD, CLD_EXITED);
	struct list_head dropped = LIST_INIT(dropped);
	irqflags_t flags;

	vfork_release(process);
	terminal_leave();
	put_resources(process);
	timers_drop(process, true);
	flags = spin_lock_irqsave(&process_lock);
	if (!private->ending)
		process->private->end = (struct wait_status){ CLD_EXITED, status & 0xff };
	private->ending = true;
	give_away_children_locked(process, &dropped);
	times_add(&private->times, thread_times(me->thread));
	private->cpu = me->thread->cpu;
	private->last = me;
	user_thread_unpublish_locked(me);
	process->state = PROCESS_ZOMBIE;
	signals_take(&private->pending, UINT64_MAX, &dropped);
	tell_parent_locked(process, record, &dropped);
	if (process == first_process) {
		wake_all(&first_process_ended);
	} else if (!parent_waits_locked(process->parent)) {
		process_unpublish_locked(process);
		give_to_reaper_locked(me);
	}
	spin_unlock_irqrestore(&process_lock, flags);
	signals_free(&dropped);
}

static void
leave_process(struct user_thread *me, int status)
{
	struct process_private *private = me->process->private;
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	if (private->nr_threads == 1) {
		spin_unlock_irqrestore(&process_lock, flags);
		become_zombie(me, status);
		return;
	}
	times_add(&private->times, thread_times(me->thread));
	user_thread_unpublish_locked(me);
	signal_leave_to_others_locked(me, UINT64_MAX);
	me->process = NULL; /* which may be gone before its reaper comes */
	give_to_reaper_locked(me);
	wake_all(&private->threads_changed);
	spin_unlock_irqrestore(&process_lock, flags);
}

void
user_thread_exit(int status)
{
	struct user_thread *me = user_current();
	uint32_t zero = 0;

	page_allocator_forget_thread(thread_current());
	futex_exit();
	if (me->clear_tid && !copy_to_user(me->clear_tid, &zero, sizeof(zero)))
		futex_wake_address(me->clear_tid);
	arch_user_set_space(NULL);
	leave_process(me, status);
	thread_exit();
}

static int64_t
sys_exit(const uint64_t *arg)
{
	user_thread_exit((int)arg[0]);
}
SYSCALL(60, exit, 1, sys_exit);

static int64_t
sys_exit_group(const uint64_t *arg)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	process_end_locked(process_current(), CLD_EXITED, (int)arg[0] & 0xff);
	spin_unlock_irqrestore(&process_lock, flags);
	user_thread_exit((int)arg[0]);
}
SYSCALL(231, exit_group, 1, sys_exit_group);
