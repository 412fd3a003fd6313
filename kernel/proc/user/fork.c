/* SPDX-License-Identifier: MIT */
/*
 * fork(), vfork() and clone(): more processes and threads.
 *
 * All three make a thread whose registers are those of the running one, but for the result of
 * the call; they differ in what the two share:
 *
 *	                    address space   files, directory   process
 *	fork()              copied          copied             new
 *	vfork()             shared          copied             new; the parent waits until it
 *	                                                       executes a program, or ends
 *	clone(CLONE_THREAD) shared          shared             the same
 *
 * A copied address space shows the same frames until somebody writes to them: space_fork().
 *
 * Nothing can find the new thread before it is complete, so each failure simply takes back what
 * was made, and the program sees an error and nothing else.
 */
#include <abi/sched.h>
#include <string.h>

#include "user.h"

/* Flags that are obeyed, and those that mean nothing here. */
#define CLONE_KNOWN                                                                                \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_VFORK | CLONE_PARENT |          \
	 CLONE_THREAD | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID |                \
	 CLONE_CHILD_SETTID | CLONE_SYSVSEM | CLONE_DETACHED | CLONE_UNTRACED | CLONE_IO)

struct clone_args {
	uint64_t flags; /* CLONE_*, the signal for the parent in the lowest byte */
	uintptr_t stack;
	uintptr_t parent_tid, child_tid;
	uintptr_t tls;
};

void
user_thread_main(void *arg)
{
	struct user_thread *user = user_current();
	int tid = thread_tid(user);

	(void)arg;
	if (user->set_tid && copy_to_user(user->set_tid, &tid, sizeof(tid)))
		user->set_tid = 0; /* a bad pointer is no error, as in Linux */
	arch_user_enter();
}

static int
check_flags(const struct clone_args *args)
{
	uint64_t flags = args->flags & ~(uint64_t)CSIGNAL;
	if (flags & ~(uint64_t)CLONE_KNOWN || (args->flags & CSIGNAL) > NR_SIGNALS)
		return -EINVAL;
	/* A handler is code, and runs in the process that has it. */
	if ((flags & CLONE_THREAD && !(flags & CLONE_SIGHAND)) ||
	    (flags & CLONE_SIGHAND && !(flags & CLONE_VM)))
		return -EINVAL;
	/* Children of nobody could not be waited for. */
	if (flags & CLONE_PARENT && process_current() == first_process)
		return -EINVAL;
	if (flags & CLONE_SETTLS && args->tls >= USER_END)
		return -EPERM;
	return 0;
}

/* What the new thread has of the running one's. */
static void
copy_thread(struct user_thread *new, const struct clone_args *args)
{
	struct user_thread *me = user_current();

	new->space = new->process->space;
	new->blocked = me->blocked;
	if (!(args->flags & CLONE_VM))
		new->altstack = me->altstack;
	arch_user_fork(new->thread, args->stack);
	if (args->flags & CLONE_SETTLS)
		new->arch.fs_base = args->tls;
	if (args->flags & CLONE_CHILD_SETTID)
		new->set_tid = args->child_tid;
	if (args->flags & CLONE_CHILD_CLEARTID)
		new->clear_tid = args->child_tid;
	new->thread->nice = me->thread->nice;
	new->policy = me->reset_on_fork ? SCHED_OTHER : me->policy;
	if (!me->reset_on_fork) {
		new->thread->priority = me->thread->priority;
		new->thread->unsliced = me->thread->unsliced;
	}
	new->thread->cpus = me->thread->cpus;
}

/* The address space, files and directory of a new process. */
static int
copy_process(struct process *child, struct process *parent, uint64_t flags)
{
	int error = 0;

	if (flags & CLONE_VM)
		child->space = space_get(parent->space);
	else
		error = space_fork(parent->space, &child->space);
	if (error)
		return error;
	if (flags & CLONE_FILES)
		child->files = fd_table_get(parent->files);
	else
		error = fd_table_copy(parent->files, &child->files);
	if (error)
		return error;
	if (flags & CLONE_FS)
		child->fs = fs_context_get(parent->fs);
	else
		error = fs_context_copy(parent->fs, &child->fs);
	if (!error && flags & CLONE_SIGHAND)
		signal_actions_share(child, parent);
	return error;
}

/* clone(CLONE_PARENT): a child of the running process becomes one of its parent. */
static void
become_sibling_locked(struct process *child)
{
	struct process *me = child->parent, *parent = me->parent;

	assert_held(&process_lock);
	child->private->exit_signal = me->private->exit_signal;
	if (!parent)
		return;
	list_del(&child->private->sibling);
	list_add_tail(&child->private->sibling, &parent->private->children);
	child->parent = parent;
	child->private->parent_pid = parent->pid;
}

/* More processes than the user may have? Counted where that is limited, and not for root. */
static bool
has_too_many_locked(void)
{
	const struct process *me = process_current(), *process;
	uint32_t user = me->private->credentials.uid.real;
	uint64_t nr = 0, limit = me->private->limit[RLIMIT_NPROC].current;

	assert_held(&process_lock);
	if (limit == RLIM_INFINITY || is_privileged())
		return false;
	for (process = process_next_locked(0); process;
	     process = process_next_locked(process->pid + 1))
		if (process->private->credentials.uid.real == user)
			nr += process->private->nr_threads;
	return nr >= limit;
}

/* Before the new thread runs. As in Linux, a bad pointer is no error. */
static void
tell_parent(const struct clone_args *args, int tid)
{
	int error = 0;

	if (args->flags & CLONE_PARENT_SETTID)
		error = copy_to_user(args->parent_tid, &tid, sizeof(tid));
	(void)error;
}

/* One more thread of the running process. Returns its id. */
static int64_t
clone_thread(const struct clone_args *args)
{
	struct process *process = process_current();
	struct user_thread *new = user_thread_new(process, user_thread_main);
	irqflags_t flags;
	int tid;

	if (!new)
		return -EAGAIN;
	copy_thread(new, args);
	flags = spin_lock_irqsave(&process_lock);
	if (process->private->ending || process->private->execer || has_too_many_locked()) {
		spin_unlock_irqrestore(&process_lock, flags);
		user_thread_discard(new);
		return -EAGAIN; /* of one that ends, nobody will see it */
	}
	user_thread_publish_locked(new);
	tid = thread_tid(new);
	spin_unlock_irqrestore(&process_lock, flags);
	tell_parent(args, tid);
	thread_start(new->thread);
	return tid;
}

static void
wait_for_vfork(struct process *parent, const bool *done)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	while (!*done)
		wait_on(&parent->private->child_changed, &process_lock);
	spin_unlock_irqrestore(&process_lock, flags);
}

static int64_t
clone_process(const struct clone_args *args)
{
	struct process *parent = process_current(), *child = process_new(parent);
	struct user_thread *new;
	bool vfork_done = false;
	irqflags_t flags;
	int pid, error = -ENOMEM;

	if (!child)
		return -ENOMEM;
	error = copy_process(child, parent, args->flags);
	if (error)
		goto not_copied;
	error = -EAGAIN; /* no stack in the kernel */
	new = user_thread_new(child, user_thread_main);
	if (!new)
		goto not_copied;
	copy_thread(new, args);
	child->private->exit_signal = (int)(args->flags & CSIGNAL);
	if (args->flags & CLONE_VFORK)
		child->private->vfork_done = &vfork_done;

	flags = spin_lock_irqsave(&process_lock);
	if (has_too_many_locked()) {
		spin_unlock_irqrestore(&process_lock, flags);
		user_thread_discard(new);
		goto not_copied;
	}
	process_publish_locked(child, new);
	if (args->flags & CLONE_PARENT)
		become_sibling_locked(child);
	pid = child->pid;
	spin_unlock_irqrestore(&process_lock, flags);
	tell_parent(args, pid);
	thread_start(new->thread);
	if (args->flags & CLONE_VFORK)
		wait_for_vfork(parent, &vfork_done);
	return pid;

not_copied:
	process_discard(child);
	return error;
}

static int64_t
do_clone(const struct clone_args *args)
{
	int error = check_flags(args);

	if (error)
		return error;
	return args->flags & CLONE_THREAD ? clone_thread(args) : clone_process(args);
}

static int64_t
sys_clone(const uint64_t *arg)
{
	struct clone_args args = {
		.flags = (uint32_t)arg[0],
		.stack = arg[1],
		.parent_tid = arg[2],
		.child_tid = arg[3],
		.tls = arg[4],
	};

	return do_clone(&args);
}
SYSCALL(56, clone, 5, sys_clone);

static int64_t
sys_fork(const uint64_t *arg)
{
	struct clone_args args = { .flags = SIGCHLD };

	(void)arg;
	return do_clone(&args);
}
SYSCALL(57, fork, 0, sys_fork);

static int64_t
sys_vfork(const uint64_t *arg)
{
	struct clone_args args = { .flags = CLONE_VFORK | CLONE_VM | SIGCHLD };

	(void)arg;
	return do_clone(&args);
}
SYSCALL(58, vfork, 0, sys_vfork);
