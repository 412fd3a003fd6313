/* SPDX-License-Identifier: MIT */
/*
 * Processes: how they are made, found and removed.
 *
 * A process is what its threads share: address space, open files, signal handlers, limits. A
 * thread of a program is a thread of the kernel that spends most of its time in user mode.
 *
 *	            process_new(), user_thread_new()    not to be found yet
 *	                  | process_publish_locked()
 *	fork() ---------> ALIVE       in the trees by id; the first thread has the process's id
 *	                  |  ^ clone(): one more thread
 *	                  |  |
 *	exit() of a thread   its reaper joins it and frees its stack
 *	exit() of the last   address space, files and directory are put
 *	                  |
 *	                ZOMBIE        only what wait4() tells is left
 *	                  | wait4() by the parent, or nobody wants to know
 *	                  v
 *	               process_free()
 *
 * Processes and threads draw their ids from the same numbers. While anything has an id (a
 * process that has not been waited for, a thread, a group, a session) nothing else gets it.
 *
 * A process that loses its parent gets the first process as parent, which is expected to wait
 * for it.
 */
#include <slab.h>
#include <string.h>
#include <time.h>
#include <trace.h>

#include "user.h"

spinlock_t process_lock = SPINLOCK_INIT("process", RANK_PROCESS);
struct process *first_process;
uint64_t pid_max = 32768;

static KMEM_CACHE(process_cache, "process", sizeof(struct process_private), 64, 0, NULL);
static KMEM_CACHE(user_thread_cache, "user thread", sizeof(struct user_thread), 64, 0, NULL);

static struct tree processes, threads; /* (p) by id */
static int last_id;		       /* (p) */
static bool ids_wrapped;	       /* (p) so a new one may be in use */

/* ---- Finding ----------------------------------------------------------------------------- */

static struct process *
process_of(struct tree_node *node)
{
	return node ? &container_of(node, struct process_private, node)->process : NULL;
}

struct process *
process_current(void)
{
	struct user_thread *user = user_current();

	return user ? user->process : NULL;
}

struct process *
process_find_locked(int pid)
{
	assert_held(&process_lock);
	return process_of(tree_find(&processes, (uint64_t)pid));
}

struct process *
process_next_locked(int pid)
{
	assert_held(&process_lock);
	return process_of(tree_lower_bound(&processes, (uint64_t)MAX(pid, 0)));
}

struct process *
process_before_locked(int pid)
{
	assert_held(&process_lock);
	return pid > 0 ? process_of(tree_floor(&processes, (uint64_t)pid - 1)) : NULL;
}

struct user_thread *
user_thread_find_locked(int tid)
{
	struct tree_node *node;

	assert_held(&process_lock);
	node = tree_find(&threads, (uint64_t)tid);
	return node ? container_of(node, struct user_thread, node) : NULL;
}

struct user_thread *
user_thread_or_me_locked(int tid)
{
	return tid ? user_thread_find_locked(tid) : user_current();
}

/* ---- Ids --------------------------------------------------------------------------------- */

static bool
id_in_use_locked(int id)
{
	struct process *process;

	if (process_find_locked(id) || user_thread_find_locked(id))
		return true;
	for (process = process_next_locked(0); process;
	     process = process_next_locked(process->pid + 1))
		if (process->group == id || process->session == id)
			return true;
	return false;
}

/* There are far fewer stacks in the kernel than ids, so one is free. */
static int
new_id_locked(void)
{
	int max = (int)__atomic_load_n(&pid_max, __ATOMIC_RELAXED) - 1;

	assert_held(&process_lock);
	do {
		if (last_id >= max)
			ids_wrapped = true;
		last_id = last_id >= max ? 2 : last_id + 1;
	} while (ids_wrapped && id_in_use_locked(last_id));
	return last_id;
}

/* ---- Making ------------------------------------------------------------------------------ */

static void
set_default_limits(struct abi_rlimit *limit)
{
	for (unsigned i = 0; i < NR_RLIMITS; i++)
		limit[i] = (struct abi_rlimit){ RLIM_INFINITY, RLIM_INFINITY };
	limit[RLIMIT_STACK].current = MiB(8);
	limit[RLIMIT_CORE] = (struct abi_rlimit){ 0, 0 };
	limit[RLIMIT_NOFILE] = (struct abi_rlimit){ 1024, 4096 };
	limit[RLIMIT_SIGPENDING] = (struct abi_rlimit){ 4096, 4096 };
}

/* What a child begins with of its parent's. */
static void
inherit(struct process_private *child, struct process *parent)
{
	struct process_private *from = parent->private;
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	memcpy(child->actions->of, from->actions->of, sizeof(child->actions->of));
	memcpy(child->limit, from->limit, sizeof(child->limit));
	memcpy(child->process.name, parent->name, sizeof(child->process.name));
	child->nice = from->nice;
	child->credentials = from->credentials;
	child->persona = from->persona;
	child->no_new_privileges = from->no_new_privileges;
	child->undumpable = from->undumpable;
	child->timer_slack_ns = child->default_slack_ns = from->timer_slack_ns;
	child->barriers = from->barriers;
	child->arg_start = from->arg_start;
	child->arg_end = from->arg_end;
	child->env_start = from->env_start;
	child->env_end = from->env_end;
	if (from->executable)
		child->executable = file_get(from->executable);
	timers_limit_cpu_locked(&child->process);
	spin_unlock_irqrestore(&process_lock, flags);
}

struct process *
process_new(struct process *parent)
{
	struct process_private *new = kmem_cache_alloc(&process_cache, GFP_KERNEL);

	if (!new)
		return NULL;
	memset(new, 0, sizeof(*new));
	new->actions = signal_actions_new();
	if (!new->actions) {
		kmem_cache_free(&process_cache, new);
		return NULL;
	}
	new->process.private = new;
	list_init(&new->children);
	list_init(&new->threads);
	wait_queue_init(&new->child_changed);
	wait_queue_init(&new->threads_changed);
	wait_queue_init(&new->continued);
	wait_queue_init(&new->signal_sent);
	signals_init(&new->pending);
	new->exit_signal = SIGCHLD;
	new->timer_slack_ns = new->default_slack_ns = DEFAULT_TIMER_SLACK_NS;
	new->started_ns = time_ns();
	set_default_limits(new->limit);
	new->process.parent = parent;
	timers_init(&new->process);
	if (parent)
		inherit(new, parent);
	return &new->process;
}

struct user_thread *
user_thread_new(struct process *process, void (*entry)(void *))
{
	struct user_thread *user = kmem_cache_alloc(&user_thread_cache, GFP_KERNEL);

	if (!user)
		return NULL;
	memset(user, 0, sizeof(*user));
	user->process = process;
	user->altstack.flags = SS_DISABLE;
	signals_init(&user->pending);
	if (arch_user_create(&user->arch))
		goto no_registers;
	user->thread = thread_new(process->name, entry, NULL, arch_user_reserve());
	if (!user->thread)
		goto no_thread;
	user->thread->user = user;
	user->thread->nice = process->private->nice;
	user->thread->watched = !list_empty(&process->private->cpu_timers);
	return user;

no_thread:
	arch_user_destroy(&user->arch);
no_registers:
	kmem_cache_free(&user_thread_cache, user);
	return NULL;
}

void
user_thread_publish_locked(struct user_thread *user)
{
	struct process_private *private = user->process->private;

	assert_held(&process_lock);
	if (!user->node.key)
		user->node.key = (uint64_t)new_id_locked();
	tree_insert(&threads, &user->node);
	list_add_tail(&user->link, &private->threads);
	private->nr_threads++;
}

void
process_publish_locked(struct process *process, struct user_thread *user)
{
	struct process_private *private = process->private;
	struct process *parent = process->parent;

	assert_held(&process_lock);
	process->pid = new_id_locked();
	process_trace(process);
	private->node.key = user->node.key = (uint64_t)process->pid;
	process->group = parent ? parent->group : process->pid;
	process->session = parent ? parent->session : process->pid;
	private->parent_pid = parent ? parent->pid : 0;
	tree_insert(&processes, &private->node);
	if (parent)
		list_add_tail(&private->sibling, &parent->private->children);
	user_thread_publish_locked(user);
}

/* The first process has id 1, always. */
void
process_publish_first_locked(struct process *process, struct user_thread *user)
{
	last_id = 0;
	process_publish_locked(process, user);
}

/* ---- Removing ---------------------------------------------------------------------------- */

static void
free_user_thread(struct user_thread *user)
{
	struct list_head dropped = LIST_INIT(dropped);

	signals_take(&user->pending, UINT64_MAX, &dropped);
	signals_free(&dropped);
	arch_user_destroy(&user->arch);
	kmem_cache_free(&user_thread_cache, user);
}

void
user_thread_free(struct user_thread *user)
{
	thread_join(user->thread);
	free_user_thread(user);
}

void
user_thread_discard(struct user_thread *user)
{
	thread_discard(user->thread);
	free_user_thread(user);
}

void
process_discard(struct process *process)
{
	struct list_head dropped = LIST_INIT(dropped);

	signals_take(&process->private->pending, UINT64_MAX, &dropped);
	signals_free(&dropped);
	if (process->private->executable)
		file_put(process->private->executable);
	if (process->files)
		fd_table_put(process->files);
	if (process->fs)
		fs_context_put(process->fs);
	if (process->space)
		space_put(process->space);
	signal_actions_put(process->private->actions);
	kmem_cache_free(&process_cache, process->private);
}

void
process_unpublish_locked(struct process *process)
{
	assert_held(&process_lock);
	tree_erase(&processes, &process->private->node);
	if (process->parent)
		list_del(&process->private->sibling);
}

void
user_thread_unpublish_locked(struct user_thread *user)
{
	assert_held(&process_lock);
	tree_erase(&threads, &user->node);
	list_del(&user->link);
	user->process->private->nr_threads--;
}

void
process_free(struct process *process)
{
	user_thread_free(process->private->last);
	process_discard(process);
}

/* ---- Names ------------------------------------------------------------------------------- */

void
process_trace(const struct process *process)
{
	uint64_t part[sizeof(process->name) / sizeof(uint64_t)];

	if (!trace_space_is_on())
		return;
	memcpy(part, process->name, sizeof(part));
	trace_space(TRACE_SPACE_OWNER, process->space, (uint64_t)process->pid);
	trace_space(TRACE_SPACE_NAME, process->space, part[0]);
	trace_space(TRACE_SPACE_NAME, process->space, part[1]);
}

void
process_set_name(struct process *process, const char *path)
{
	const char *name = path;

	for (const char *p = path; *p; p++)
		if (*p == '/' && p[1])
			name = p + 1;
	strlcpy(process->name, name, sizeof(process->name));
}
