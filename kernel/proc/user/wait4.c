/* SPDX-License-Identifier: MIT */
/*
 * Waiting for children.
 *
 * A child that has ended is a zombie until its parent has asked how; then it is taken out of the
 * trees, under process_lock, by exactly one thread, which frees it. Stops and continuations of
 * children are told once, too, to who asks for them.
 */
#include <abi/wait.h>
#include <string.h>

#include "user.h"

/* What is waited for, and what was found. */
struct wait_request {
	int64_t pid; /* > 0: that child; -1: any; 0: of the own group; < -1: of group -pid */
	int options; /* W* */
	/* The answer: */
	int child;
	struct wait_status status;
	struct process_times times;
};

static bool
is_meant_locked(const struct wait_request *request, const struct process *child)
{
	assert_held(&process_lock);
	if (request->pid > 0)
		return child->pid == request->pid;
	if (request->pid == -1)
		return true;
	return child->group == (request->pid ? -request->pid : process_current()->group);
}

/* Has the child anything to tell that was asked for? */
static bool
has_news_locked(const struct wait_request *request, const struct process *child)
{
	int report = child->private->report.code;

	assert_held(&process_lock);
	if (child->state == PROCESS_ZOMBIE)
		return request->options & WEXITED;
	if (report == CLD_STOPPED)
		return child->private->stopped && request->options & WSTOPPED;
	return report == CLD_CONTINUED && request->options & WCONTINUED;
}

static void
answer_locked(struct wait_request *request, struct process *child)
{
	struct process_private *private = child->private;
	bool ended = child->state == PROCESS_ZOMBIE;

	assert_held(&process_lock);
	request->child = child->pid;
	request->status = ended ? private->end : private->report;
	request->times = process_times_locked(child);
	times_add(&request->times, private->children_times);
	if (request->options & WNOWAIT)
		return;
	if (ended) {
		times_add(&child->parent->private->children_times, request->times);
		process_unpublish_locked(child);
	} else {
		private->report.code = 0;
	}
}

/* Look at all children once. *zombie: one that is now the caller's to free. */
static int
look_locked(struct wait_request *request, struct process **zombie)
{
	struct process_private *child, *me = process_current()->private;
	int error = -ECHILD;

	assert_held(&process_lock);
	list_for_each_entry (child, &me->children, sibling) {
		if (!is_meant_locked(request, &child->process))
			continue;
		error = 0;
		if (!has_news_locked(request, &child->process))
			continue;
		answer_locked(request, &child->process);
		if (child->process.state == PROCESS_ZOMBIE && !(request->options & WNOWAIT))
			*zombie = &child->process;
		return 0;
	}
	return error;
}

/* Returns 0 with the answer, of which child is 0 if there is none and WNOHANG; or an error. */
static int
wait_for_child(struct wait_request *request)
{
	struct process_private *me = process_current()->private;
	struct process *zombie = NULL;
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	int error, interrupted = 0;

	/* A signal ends the wait only if there is still something to wait for. */
	for (;;) {
		error = look_locked(request, &zombie);
		if (error || request->child || request->options & WNOHANG)
			break;
		error = interrupted;
		if (error)
			break;
		interrupted = wait_on_until(&me->child_changed, &process_lock, WAIT_FOREVER);
	}
	spin_unlock_irqrestore(&process_lock, flags);
	if (zombie)
		process_free(zombie);
	return error;
}

static int
status_word(struct wait_status status)
{
	switch (status.code) {
	case CLD_EXITED:
		return status.status << 8;
	case CLD_STOPPED:
		return status.status << 8 | 0x7f;
	case CLD_CONTINUED:
		return 0xffff;
	default:
		return status.status;
	}
}

static int
put_usage(uintptr_t to, struct process_times times)
{
	struct abi_rusage usage;

	usage_fill(&usage, times);
	return to ? copy_to_user(to, &usage, sizeof(usage)) : 0;
}

static int64_t
sys_wait4(const uint64_t *arg)
{
	struct wait_request request = { .pid = (int)arg[0], .options = (int)arg[2] };
	int status, error;

	if (request.options & ~(WNOHANG | WUNTRACED | WCONTINUED | WCLONE_MASK))
		return -EINVAL;
	if (request.pid == INT32_MIN) /* no group has the number that it would be minus of */
		return -ESRCH;
	request.options |= WEXITED;
	error = wait_for_child(&request);
	if (error || !request.child)
		return error;
	status = status_word(request.status);
	if (arg[1] && copy_to_user(arg[1], &status, sizeof(status)))
		return -EFAULT;
	if (put_usage(arg[3], request.times))
		return -EFAULT;
	return request.child;
}
SYSCALL(61, wait4, 4, sys_wait4);

static int
put_info(uintptr_t to, const struct wait_request *request)
{
	struct abi_siginfo info;

	if (!to)
		return 0;
	memset(&info, 0, sizeof(info));
	if (request->child) {
		info.signo = SIGCHLD;
		info.code = request->status.code;
		info.from.pid = request->child;
		info.from.child.status = request->status.status;
	}
	return copy_to_user(to, &info, sizeof(info));
}

static int64_t
sys_waitid(const uint64_t *arg)
{
	struct wait_request request = { .pid = (int)arg[1], .options = (int)arg[3] };
	int error;

	if (!(request.options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	switch ((int)arg[0]) {
	case P_ALL:
		request.pid = -1;
		break;
	case P_PID:
		if (request.pid <= 0)
			return -EINVAL;
		break;
	case P_PGID:
		request.pid = -request.pid;
		break;
	default:
		return -EINVAL;
	}
	error = wait_for_child(&request);
	if (!error)
		error = put_info(arg[2], &request);
	if (!error)
		error = put_usage(arg[4], request.times);
	return error;
}
SYSCALL(247, waitid, 5, sys_waitid);
