/* SPDX-License-Identifier: MIT */
/*
 * Signals as something to read: signalfd(). A file that is a set of signals: a read takes those of
 * the set that wait for who reads, as sigtimedwait() does, and waits while there is none. Whoever
 * opened it, a thread gets its own signals and its process's: after fork() a child reads its own.
 *
 * A program blocks the signals first, or they go the usual way. What a read has taken is gone.
 *
 * LOCKING. The set is guarded by process_lock, as the signals are, so kernel/proc looks at both.
 */
#include <abi/poll.h>
#include <abi/signal.h>
#include <abi/signalfd.h>
#include <process.h>
#include <syscall.h>

#include "fs.h"

#define SET_SIZE 8 /* bytes of a set of signals, which programs have to pass */

#define FAULTS                                                                                     \
	(SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGFPE) |      \
	 SIGNAL_BIT(SIGSEGV))

static uint64_t *
set_of(struct file *file)
{
	return &file->inode->private.number;
}

/* ---- Reading ------------------------------------------------------------------------------- */

static void
describe_sender(const struct abi_siginfo *info, struct abi_signalfd_siginfo *to)
{
	to->pid = (uint32_t)info->from.pid;
	to->uid = info->from.uid;
}

static void
describe_value(uint64_t value, struct abi_signalfd_siginfo *to)
{
	to->value = value;
	to->value_int = (int32_t)value;
}

static void
describe_timer(const struct abi_siginfo *info, struct abi_signalfd_siginfo *to)
{
	to->timer = (uint32_t)info->timer.id;
	to->overrun = (uint32_t)info->timer.overrun;
	describe_value(info->timer.value, to);
}

/* Children may tell their end by any signal. */
static void
describe_child(const struct abi_siginfo *info, struct abi_signalfd_siginfo *to)
{
	describe_sender(info, to);
	to->status = info->from.child.status;
	to->user_ticks = (uint64_t)info->from.child.user_ticks;
	to->system_ticks = (uint64_t)info->from.child.system_ticks;
}

/* The signal and its code say what else is known. */
static struct abi_signalfd_siginfo
describe(const struct abi_siginfo *info)
{
	struct abi_signalfd_siginfo to = {
		.signo = (uint32_t)info->signo,
		.error = info->error,
		.code = info->code,
	};
	bool has_cause = info->code > SI_USER && info->code < SI_KERNEL;

	if (has_cause && FAULTS & SIGNAL_BIT(info->signo)) {
		to.address = info->fault.address;
	} else if (has_cause) {
		describe_child(info, &to);
	} else if (info->code == SI_TIMER) {
		describe_timer(info, &to);
	} else {
		describe_sender(info, &to);
		if (info->code < 0)
			describe_value(info->from.value, &to);
	}
	return to;
}

/* As many as there is room for; it waits for the first only. */
static int64_t
signals_read(struct file *file, struct transfer *to, uint64_t offset)
{
	struct abi_signalfd_siginfo described;
	struct abi_siginfo info;
	bool wait = !(file->flags & O_NONBLOCK);
	int error = to->left < sizeof(described) ? -EINVAL : 0;
	int64_t moved = 0;

	(void)offset;
	while (!error && to->left >= sizeof(described)) {
		error = signal_take(set_of(file), wait && moved == 0, &info);
		if (error)
			break;
		described = describe(&info);
		error = transfer_out(to, &described, sizeof(described));
		if (!error)
			moved += sizeof(described);
	}
	return moved > 0 ? moved : error;
}

static unsigned
signals_poll(struct file *file)
{
	return signal_waits(set_of(file)) ? POLLIN : 0;
}

/* ---- The calls ----------------------------------------------------------------------------- */

static const struct file_ops signals_ops = {
	.name = "signalfd",
	.endless = true,
	.read = signals_read,
	.poll = signals_poll,
};

static const struct inode_ops signals_inode_ops = {
	.file_ops = &signals_ops,
};

static int64_t
make(uint64_t set, unsigned flags)
{
	struct inode *inode = inode_create(&signals_inode_ops, 0600);
	struct file *file;
	int error, fd;

	if (!inode)
		return -ENOMEM;
	signal_change_set(&inode->private.number, set);
	error = file_create_nameless(inode, "anon_inode:[signalfd]", O_RDWR | (flags & O_NONBLOCK),
				     &file);
	if (error)
		return error;
	fd = fd_install(files_current(), file, flags & O_CLOEXEC);
	if (fd < 0)
		file_put(file);
	return fd;
}

static int64_t
change(int fd, uint64_t set)
{
	struct file *file = fd_current(fd);
	int64_t result = fd;

	if (!file)
		return -EBADF;
	if (file->flags & O_PATH)
		result = -EBADF;
	else if (file->ops != &signals_ops)
		result = -EINVAL;
	else
		signal_change_set(set_of(file), set);
	file_put(file);
	return result;
}

/* fd: of one whose set is to be this one, or -1: a new one. */
static int64_t
signalfd(int fd, uintptr_t from, uint64_t size, unsigned flags)
{
	uint64_t set;

	if (size != SET_SIZE)
		return -EINVAL;
	if (copy_from_user(&set, from, sizeof(set)))
		return -EFAULT;
	if (flags & ~(O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	return fd == -1 ? make(set, flags) : change(fd, set);
}

static int64_t
sys_signalfd4(const uint64_t *arg)
{
	return signalfd((int)arg[0], arg[1], arg[2], (unsigned)arg[3]);
}

static int64_t
sys_signalfd(const uint64_t *arg)
{
	return signalfd((int)arg[0], arg[1], arg[2], 0);
}

SYSCALL(289, signalfd4, 4, sys_signalfd4);
SYSCALL(282, signalfd, 3, sys_signalfd);
