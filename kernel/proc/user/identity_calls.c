/* SPDX-License-Identifier: MIT */
/*
 * Who a process is: ids, groups and sessions; names.
 *
 * Sessions and groups are job control's: a shell's jobs are groups of one session, which shares
 * a terminal. A group is whatever processes have the same number; it lasts as long as they do.
 */
#include <slab.h>
#include <string.h>

#include "user.h"

static int64_t
sys_getpid(const uint64_t *arg)
{
	(void)arg;
	return process_current()->pid;
}
SYSCALL(39, getpid, 0, sys_getpid);

static int64_t
sys_gettid(const uint64_t *arg)
{
	(void)arg;
	return thread_tid(user_current());
}
SYSCALL(186, gettid, 0, sys_gettid);

static int64_t
sys_getppid(const uint64_t *arg)
{
	(void)arg;
	return __atomic_load_n(&process_current()->private->parent_pid, __ATOMIC_RELAXED);
}
SYSCALL(110, getppid, 0, sys_getppid);

static int64_t
sys_set_tid_address(const uint64_t *arg)
{
	user_current()->clear_tid = arg[0];
	return thread_tid(user_current());
}
SYSCALL(218, set_tid_address, 1, sys_set_tid_address);

/* ---- Groups and sessions ----------------------------------------------------------------- */

/* The process of that id, or the running one for 0, or NULL. */
static struct process *
find_or_me_locked(int pid)
{
	return pid ? process_find_locked(pid) : process_current();
}

static int64_t
sys_getpgid(const uint64_t *arg)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	const struct process *process = find_or_me_locked((int)arg[0]);
	int group = process ? process->group : -ESRCH;

	spin_unlock_irqrestore(&process_lock, flags);
	return group;
}
SYSCALL(121, getpgid, 1, sys_getpgid);

static int64_t
sys_getpgrp(const uint64_t *arg)
{
	(void)arg;
	return process_current()->group;
}
SYSCALL(111, getpgrp, 0, sys_getpgrp);

static int64_t
sys_getsid(const uint64_t *arg)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	const struct process *process = find_or_me_locked((int)arg[0]);
	int session = process ? process->session : -ESRCH;

	spin_unlock_irqrestore(&process_lock, flags);
	return session;
}
SYSCALL(124, getsid, 1, sys_getsid);

/* Has the session a group of that number? */
static bool
session_has_group_locked(int session, int group)
{
	struct process *process;

	assert_held(&process_lock);
	for (process = process_next_locked(0); process;
	     process = process_next_locked(process->pid + 1))
		if (process->group == group && process->session == session)
			return true;
	return false;
}

static int
set_group_locked(struct process *process, int group)
{
	struct process *me = process_current();

	assert_held(&process_lock);
	if (!process || (process != me && process->parent != me))
		return -ESRCH;
	if (process != me && process->private->has_execed)
		return -EACCES;
	if (process->session != me->session || process->session == process->pid)
		return -EPERM;
	if (!group)
		group = process->pid;
	if (group != process->pid && !session_has_group_locked(me->session, group))
		return -EPERM;
	process->group = group;
	return 0;
}

static int64_t
sys_setpgid(const uint64_t *arg)
{
	irqflags_t flags;
	int error;

	if ((int)arg[1] < 0)
		return -EINVAL;
	flags = spin_lock_irqsave(&process_lock);
	error = set_group_locked(find_or_me_locked((int)arg[0]), (int)arg[1]);
	spin_unlock_irqrestore(&process_lock, flags);
	return error;
}
SYSCALL(109, setpgid, 2, sys_setpgid);

static bool
group_exists_locked(int group)
{
	struct process *process;

	assert_held(&process_lock);
	for (process = process_next_locked(0); process;
	     process = process_next_locked(process->pid + 1))
		if (process->group == group)
			return true;
	return false;
}

static int64_t
sys_setsid(const uint64_t *arg)
{
	struct process *me = process_current();
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	int result = -EPERM;

	(void)arg;
	if (!group_exists_locked(me->pid)) {
		me->session = me->group = me->pid;
		result = me->pid;
	}
	spin_unlock_irqrestore(&process_lock, flags);
	return result;
}
SYSCALL(112, setsid, 0, sys_setsid);

/* ---- Names ------------------------------------------------------------------------------- */

#define UTS_LENGTH 65

struct utsname {
	char system[UTS_LENGTH], node[UTS_LENGTH], release[UTS_LENGTH], version[UTS_LENGTH],
	    machine[UTS_LENGTH], domain[UTS_LENGTH];
};

static char node_name[UTS_LENGTH] = "ikos";	/* (p) */
static char domain_name[UTS_LENGTH] = "(none)"; /* (p) */

/* The release is that of a Linux whose programs can run; C libraries look at it. */
static int64_t
sys_uname(const uint64_t *arg)
{
	struct utsname *names = kmalloc(sizeof(*names), GFP_KERNEL);
	irqflags_t flags;
	int error;

	if (!names)
		return -ENOMEM;
	memset(names, 0, sizeof(*names));
	strlcpy(names->system, "Linux", UTS_LENGTH);
	strlcpy(names->release, SYSTEM_RELEASE, UTS_LENGTH);
	strlcpy(names->version, "IKOS", UTS_LENGTH);
	strlcpy(names->machine, "x86_64", UTS_LENGTH);
	flags = spin_lock_irqsave(&process_lock);
	memcpy(names->node, node_name, UTS_LENGTH);
	memcpy(names->domain, domain_name, UTS_LENGTH);
	spin_unlock_irqrestore(&process_lock, flags);
	error = copy_to_user(arg[0], names, sizeof(*names));
	kfree(names);
	return error;
}
SYSCALL(63, uname, 1, sys_uname);

void
system_node_name(char *name, size_t size)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	strlcpy(name, node_name, size);
	spin_unlock_irqrestore(&process_lock, flags);
}

static int64_t
set_name(char *name, const uint64_t *arg)
{
	char new[UTS_LENGTH] = "";
	irqflags_t flags;

	if (!is_privileged())
		return -EPERM;
	if (arg[1] >= UTS_LENGTH)
		return -EINVAL;
	if (copy_from_user(new, arg[0], arg[1]))
		return -EFAULT;
	flags = spin_lock_irqsave(&process_lock);
	memcpy(name, new, UTS_LENGTH);
	spin_unlock_irqrestore(&process_lock, flags);
	return 0;
}

static int64_t
sys_sethostname(const uint64_t *arg)
{
	return set_name(node_name, arg);
}
SYSCALL(170, sethostname, 2, sys_sethostname);

static int64_t
sys_setdomainname(const uint64_t *arg)
{
	return set_name(domain_name, arg);
}
SYSCALL(171, setdomainname, 2, sys_setdomainname);

/* All other flags mean nothing here; they are kept and told, as programs expect. */
static int64_t
sys_personality(const uint64_t *arg)
{
	struct process *process = process_current();
	uint32_t persona = (uint32_t)arg[0];
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	uint32_t old = process->private->persona;

	if (persona != UINT32_MAX)
		process->private->persona = persona;
	spin_unlock_irqrestore(&process_lock, flags);
	return old;
}
SYSCALL(135, personality, 1, sys_personality);
