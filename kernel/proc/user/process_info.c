/* SPDX-License-Identifier: MIT */
/* What /proc shows of processes. See <process.h>. */
#include <start.h>
#include <string.h>
#include <time.h>

#include "user.h"

/* As ps prints it: running, asleep, stopped, a zombie. */
static char
state_of(const struct process *process)
{
	struct user_thread *user;

	if (process->state == PROCESS_ZOMBIE)
		return 'Z';
	if (process->private->stopped)
		return 'T';
	list_for_each_entry (user, &process->private->threads, link)
		if (user->thread->state == THREAD_RUNNING || user->thread->state == THREAD_READY)
			return 'R';
	return 'S';
}

static void
fill_signals_locked(const struct process_private *private, struct process_info *info)
{
	struct user_thread *user;

	assert_held(&process_lock);
	info->signals_pending = private->pending.set;
	list_for_each_entry (user, &private->threads, link) {
		info->signals_pending |= user->pending.set;
		info->signals_blocked |= user->blocked;
	}
	for (int signal = 1; signal <= NR_SIGNALS; signal++) {
		if (private->actions->of[signal - 1].handler == SIG_IGN)
			info->signals_ignored |= SIGNAL_BIT(signal);
		else if (private->actions->of[signal - 1].handler != SIG_DFL)
			info->signals_caught |= SIGNAL_BIT(signal);
	}
}

static void
fill_locked(struct process *process, struct process_info *info)
{
	struct process_private *private = process->private;
	struct process_times times = process_times_locked(process);

	assert_held(&process_lock);
	memset(info, 0, sizeof(*info));
	info->pid = info->group_leader = process->pid;
	info->parent = process->parent ? process->parent->pid : 0;
	info->group = process->group;
	info->session = process->session;
	info->tty_group = -1;
	info->state = state_of(process);
	memcpy(info->name, process->name, sizeof(info->name));
	info->nr_threads = private->nr_threads;
	info->user_ns = times.user_ns;
	info->system_ns = times.system_ns;
	info->children_ns = private->children_times.user_ns + private->children_times.system_ns;
	info->faults_minor = times.faults_minor;
	info->faults_major = times.faults_major;
	info->children_minor = private->children_times.faults_minor;
	info->children_major = private->children_times.faults_major;
	info->started_ns = private->started_ns;
	memcpy(info->uid, &private->credentials.uid, sizeof(info->uid));
	info->nr_groups = private->credentials.nr_groups;
	memcpy(info->groups, private->credentials.groups, sizeof(info->groups));
	memcpy(info->gid, &private->credentials.gid, sizeof(info->gid));
	info->nice = private->nice;
	info->priority = 20 + private->nice;
	info->cpu = private->cpu;
	if (!list_empty(&private->threads)) {
		const struct user_thread *first =
		    list_first_entry(&private->threads, struct user_thread, link);

		info->cpu = first->thread->cpu;
		info->affinity = first->thread->cpus;
		info->policy = first->policy;
		info->real_time_priority = first->thread->priority;
		if (first->thread->priority)
			info->priority = -1 - first->thread->priority;
	}
	fill_signals_locked(private, info);
}

bool
process_info_next(int pid, struct process_info *info)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct process *process = process_next_locked(pid);

	if (process)
		fill_locked(process, info);
	spin_unlock_irqrestore(&process_lock, flags);
	return process != NULL;
}

/* What is a thread's own. */
static void
fill_thread_locked(struct user_thread *user, struct process_info *info)
{
	struct process_times times = thread_times(user->thread);
	bool runs = user->thread->state == THREAD_RUNNING || user->thread->state == THREAD_READY;

	assert_held(&process_lock);
	info->pid = thread_tid(user);
	if (info->state == 'R' || info->state == 'S')
		info->state = runs ? 'R' : 'S';
	info->user_ns = times.user_ns;
	info->system_ns = times.system_ns;
	info->faults_minor = times.faults_minor;
	info->faults_major = times.faults_major;
	info->cpu = user->thread->cpu;
	info->affinity = user->thread->cpus;
	info->signals_pending = user->pending.set;
	info->signals_blocked = user->blocked;
}

bool
process_info_of(int id, struct process_info *info)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct process *process = process_find_locked(id);
	struct user_thread *user = process ? NULL : user_thread_find_locked(id);

	if (process || user)
		fill_locked(process ? process : user->process, info);
	if (user)
		fill_thread_locked(user, info);
	spin_unlock_irqrestore(&process_lock, flags);
	return process || user;
}

const struct thread *
process_thread(int id)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct user_thread *user = user_thread_find_locked(id);
	const struct thread *thread = user ? user->thread : NULL;

	spin_unlock_irqrestore(&process_lock, flags);
	return thread;
}

int
process_thread_next(int pid, int id)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct process *process = process_find_locked(pid);
	struct user_thread *user;
	int next = -1;

	if (process && process->state == PROCESS_ZOMBIE && id <= pid)
		next = pid;
	if (process) {
		list_for_each_entry (user, &process->private->threads, link) {
			int tid = thread_tid(user);

			if (tid >= id && (next < 0 || tid < next))
				next = tid;
		}
	}
	spin_unlock_irqrestore(&process_lock, flags);
	return next;
}

/* The process of that number, or that of the thread. */
static struct process *
find_any_locked(int id)
{
	struct process *process = process_find_locked(id);
	struct user_thread *user = process ? NULL : user_thread_find_locked(id);

	assert_held(&process_lock);
	return user ? user->process : process;
}

struct address_space *
process_space(int pid)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct process *process = find_any_locked(pid);
	struct address_space *space = process && process->space ? space_get(process->space) : NULL;

	spin_unlock_irqrestore(&process_lock, flags);
	return space;
}

struct fd_table *
process_files(int pid)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct process *process = find_any_locked(pid);
	struct fd_table *files = process && process->files ? fd_table_get(process->files) : NULL;

	spin_unlock_irqrestore(&process_lock, flags);
	return files;
}

struct file *
process_executable(int pid)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct process *process = find_any_locked(pid);
	struct file *file =
	    process && process->private->executable ? file_get(process->private->executable) : NULL;

	spin_unlock_irqrestore(&process_lock, flags);
	return file;
}

bool
process_arguments(int pid, uintptr_t *arg_start, uintptr_t *arg_end, uintptr_t *env_start,
		  uintptr_t *env_end)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct process *process = find_any_locked(pid);

	if (process) {
		*arg_start = process->private->arg_start;
		*arg_end = process->private->arg_end;
		*env_start = process->private->env_start;
		*env_end = process->private->env_end;
	}
	spin_unlock_irqrestore(&process_lock, flags);
	return process != NULL;
}

struct fs_context *
process_context(int pid)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct process *process = find_any_locked(pid);
	struct fs_context *fs = process && process->fs ? fs_context_get(process->fs) : NULL;

	spin_unlock_irqrestore(&process_lock, flags);
	return fs;
}

bool
process_get_limit(int pid, unsigned resource, uint64_t *soft, uint64_t *hard)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct process *process = find_any_locked(pid);

	if (process) {
		*soft = process->private->limit[resource].current;
		*hard = process->private->limit[resource].max;
	}
	spin_unlock_irqrestore(&process_lock, flags);
	return process != NULL;
}

int
process_current_thread(void)
{
	struct user_thread *user = user_current();

	return user ? thread_tid(user) : 0;
}

/* ---- What the memory manager asks by process id ------------------------------------- */

static void
process_info_init(void)
{
	space_of_process = process_space;
}
START_STEP(process_info, process_info_init, START_PROCESSES);
