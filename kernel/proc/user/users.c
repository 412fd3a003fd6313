/* SPDX-License-Identifier: MIT */
/*
 * Users: whose a process is, and what it may do to others.
 *
 * A process has three numbers of a user and of a group: the real one says whose it is, the
 * effective one what it may do, the saved one what it may become again. Who is effectively user 0
 * may do everything; there are no finer privileges. What a process is changes by these calls, and
 * by executing a file with the set-user-ID bit.
 *
 * Threads of a process are of the same user, as POSIX wants it. (Linux lets them differ; C
 * libraries make the call in every thread, which here is the same call again.)
 */
#include <string.h>

#include "user.h"

#define UNCHANGED UINT32_MAX

static struct credentials *
mine(void)
{
	return &process_current()->private->credentials;
}

bool
is_privileged(void)
{
	return !process_current() || mine()->uid.effective == 0;
}

void
process_file_user(struct file_user *who, bool real)
{
	const struct credentials *me = process_current() ? mine() : NULL;

	*who = (struct file_user){ 0, 0 };
	if (me)
		*who = (struct file_user){ real ? me->uid.real : me->uid.files,
					   real ? me->gid.real : me->gid.files };
}

bool
process_in_group(const struct file_user *who, uint32_t gid)
{
	const struct credentials *me = process_current() ? mine() : NULL;

	if (who->gid == gid)
		return true;
	for (unsigned i = 0; me && i < me->nr_groups; i++)
		if (me->groups[i] == gid)
			return true;
	return false;
}

/* To send signals, or to change limits. */
bool
may_control_locked(const struct process *process)
{
	const struct ids *me = &mine()->uid, *other = &process->private->credentials.uid;

	assert_held(&process_lock);
	return me->effective == 0 || me->real == other->real || me->real == other->saved ||
	       me->effective == other->real || me->effective == other->saved;
}

/* To read and write its memory: nothing of it is anybody else's. */
bool
may_access_memory_locked(const struct process *process)
{
	const struct ids *user = &process->private->credentials.uid;
	const struct ids *group = &process->private->credentials.gid;
	uint32_t me = mine()->uid.real, mine_group = mine()->gid.real;

	assert_held(&process_lock);
	if (process == process_current() || is_privileged())
		return true;
	return me == user->real && me == user->effective && me == user->saved &&
	       mine_group == group->real && mine_group == group->effective &&
	       mine_group == group->saved && !process->private->undumpable;
}

/* To change where and when it runs. */
bool
may_schedule_locked(const struct process *process)
{
	const struct ids *other = &process->private->credentials.uid;
	uint32_t me = mine()->uid.effective;

	assert_held(&process_lock);
	return me == 0 || me == other->real || me == other->effective;
}

/* ---- Asking ------------------------------------------------------------------------------ */

static int64_t
sys_getuid(const uint64_t *arg)
{
	(void)arg;
	return mine()->uid.real;
}
SYSCALL(102, getuid, 0, sys_getuid);

static int64_t
sys_getgid(const uint64_t *arg)
{
	(void)arg;
	return mine()->gid.real;
}
SYSCALL(104, getgid, 0, sys_getgid);

static int64_t
sys_geteuid(const uint64_t *arg)
{
	(void)arg;
	return mine()->uid.effective;
}
SYSCALL(107, geteuid, 0, sys_geteuid);

static int64_t
sys_getegid(const uint64_t *arg)
{
	(void)arg;
	return mine()->gid.effective;
}
SYSCALL(108, getegid, 0, sys_getegid);

static int64_t
tell_all(const struct ids *ids, const uint64_t *arg)
{
	if (copy_to_user(arg[0], &ids->real, sizeof(ids->real)) ||
	    copy_to_user(arg[1], &ids->effective, sizeof(ids->effective)))
		return -EFAULT;
	return copy_to_user(arg[2], &ids->saved, sizeof(ids->saved));
}

static int64_t
sys_getresuid(const uint64_t *arg)
{
	return tell_all(&mine()->uid, arg);
}
SYSCALL(118, getresuid, 3, sys_getresuid);

static int64_t
sys_getresgid(const uint64_t *arg)
{
	return tell_all(&mine()->gid, arg);
}
SYSCALL(120, getresgid, 3, sys_getresgid);

/* ---- Changing ---------------------------------------------------------------------------- */

/* Without privilege a number may only become one of those that are there. */
static bool
may_become(const struct ids *ids, uint32_t id, bool saved_too)
{
	return id == UNCHANGED || is_privileged() || id == ids->real || id == ids->effective ||
	       (saved_too && id == ids->saved);
}

static void
replace(struct ids *ids, struct ids new)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	if (new.real != UNCHANGED)
		ids->real = new.real;
	if (new.effective != UNCHANGED)
		ids->effective = ids->files = new.effective;
	if (new.saved != UNCHANGED)
		ids->saved = new.saved;
	spin_unlock_irqrestore(&process_lock, flags);
}

static int64_t
set_one(struct ids *ids, uint32_t id)
{
	if (id == UNCHANGED)
		return -EINVAL;
	if (is_privileged())
		replace(ids, (struct ids){ id, id, id, id });
	else if (id == ids->real || id == ids->saved)
		replace(ids, (struct ids){ UNCHANGED, id, UNCHANGED, id });
	else
		return -EPERM;
	return 0;
}

static int64_t
sys_setuid(const uint64_t *arg)
{
	return set_one(&mine()->uid, (uint32_t)arg[0]);
}
SYSCALL(105, setuid, 1, sys_setuid);

static int64_t
sys_setgid(const uint64_t *arg)
{
	return set_one(&mine()->gid, (uint32_t)arg[0]);
}
SYSCALL(106, setgid, 1, sys_setgid);

/* The saved one follows the effective one, if either changes from what the real one was. */
static int64_t
set_two(struct ids *ids, uint32_t real, uint32_t effective)
{
	uint32_t saved = UNCHANGED;

	if ((real != UNCHANGED && !is_privileged() && real != ids->real &&
	     real != ids->effective) ||
	    !may_become(ids, effective, true))
		return -EPERM;
	if (real != UNCHANGED || (effective != UNCHANGED && effective != ids->real))
		saved = effective != UNCHANGED ? effective : ids->effective;
	replace(ids, (struct ids){ real, effective, saved, 0 });
	return 0;
}

static int64_t
sys_setreuid(const uint64_t *arg)
{
	return set_two(&mine()->uid, (uint32_t)arg[0], (uint32_t)arg[1]);
}
SYSCALL(113, setreuid, 2, sys_setreuid);

static int64_t
sys_setregid(const uint64_t *arg)
{
	return set_two(&mine()->gid, (uint32_t)arg[0], (uint32_t)arg[1]);
}
SYSCALL(114, setregid, 2, sys_setregid);

static int64_t
set_three(struct ids *ids, const uint64_t *arg)
{
	for (unsigned i = 0; i < 3; i++)
		if (!may_become(ids, (uint32_t)arg[i], true))
			return -EPERM;
	replace(ids, (struct ids){ (uint32_t)arg[0], (uint32_t)arg[1], (uint32_t)arg[2], 0 });
	return 0;
}

static int64_t
sys_setresuid(const uint64_t *arg)
{
	return set_three(&mine()->uid, arg);
}
SYSCALL(117, setresuid, 3, sys_setresuid);

static int64_t
sys_setresgid(const uint64_t *arg)
{
	return set_three(&mine()->gid, arg);
}
SYSCALL(119, setresgid, 3, sys_setresgid);

/* For files alone. There is no error: it returns what was before. */
static int64_t
set_for_files(struct ids *ids, uint32_t id)
{
	uint32_t old = ids->files;

	if (id != UNCHANGED && (id == old || may_become(ids, id, true)))
		ids->files = id;
	return old;
}

static int64_t
sys_setfsuid(const uint64_t *arg)
{
	return set_for_files(&mine()->uid, (uint32_t)arg[0]);
}
SYSCALL(122, setfsuid, 1, sys_setfsuid);

static int64_t
sys_setfsgid(const uint64_t *arg)
{
	return set_for_files(&mine()->gid, (uint32_t)arg[0]);
}
SYSCALL(123, setfsgid, 1, sys_setfsgid);

/* ---- Further groups ---------------------------------------------------------------------- */

static int64_t
sys_getgroups(const uint64_t *arg)
{
	const struct credentials *me = mine();
	int room = (int)arg[0];

	if (room < 0 || (room && (unsigned)room < me->nr_groups))
		return -EINVAL;
	if (room && copy_to_user(arg[1], me->groups, me->nr_groups * sizeof(me->groups[0])))
		return -EFAULT;
	return me->nr_groups;
}
SYSCALL(115, getgroups, 2, sys_getgroups);

static int64_t
sys_setgroups(const uint64_t *arg)
{
	uint32_t groups[GROUPS_MAX];
	irqflags_t flags;

	if (!is_privileged())
		return -EPERM;
	if (arg[0] > GROUPS_MAX)
		return -EINVAL;
	if (copy_from_user(groups, arg[1], arg[0] * sizeof(groups[0])))
		return -EFAULT;
	flags = spin_lock_irqsave(&process_lock);
	memcpy(mine()->groups, groups, arg[0] * sizeof(groups[0]));
	mine()->nr_groups = (unsigned)arg[0];
	spin_unlock_irqrestore(&process_lock, flags);
	return 0;
}
SYSCALL(116, setgroups, 2, sys_setgroups);

/* ---- Executing --------------------------------------------------------------------------- */

void
credentials_exec(uint32_t set_uid, uint32_t set_gid)
{
	struct credentials *me = mine();
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	if (set_uid != UNCHANGED)
		me->uid.effective = set_uid;
	if (set_gid != UNCHANGED)
		me->gid.effective = set_gid;
	me->uid.saved = me->uid.files = me->uid.effective;
	me->gid.saved = me->gid.files = me->gid.effective;
	spin_unlock_irqrestore(&process_lock, flags);
}
