/* SPDX-License-Identifier: MIT */
/*
 * What else can be asked of the terminal: its settings, its size, and whose it is.
 */
#include <abi/signal.h>
#include <process.h>
#include <serial.h>

#include "tty.h"

/* ---- Whose it is --------------------------------------------------------------------------- */

bool
tty_is_controlling(struct tty *tty)
{
	struct process *process = process_current();

	return process && process->session > 0 &&
	       __atomic_load_n(&tty->session, __ATOMIC_RELAXED) == process->session;
}

static bool
is_alive(int pid)
{
	struct process_info info;

	return process_info_next(pid, &info) && info.pid == pid && info.state != 'Z';
}

/* A background process that ignores or blocks the signal is not to be stopped by it. */
static bool
can_be_stopped(int pid, int signal)
{
	uint64_t bit = 1ull << (signal - 1);
	struct process_info info;

	return process_info_next(pid, &info) && info.pid == pid &&
	       !((info.signals_blocked | info.signals_ignored) & bit);
}

int
tty_check_foreground(struct tty *tty, int signal)
{
	struct process *process = process_current();
	int foreground = __atomic_load_n(&tty->foreground, __ATOMIC_RELAXED);

	if (!tty_is_controlling(tty) || foreground == 0 || process->group == foreground)
		return 0;
	if (!can_be_stopped(process->pid, signal))
		return signal == SIGTTIN ? -EIO : 0;
	(void)signal_group(process->group, signal);
	return -ERESTARTSYS;
}

int
tty_set_controlling(struct tty *tty, bool steal)
{
	struct process *process = process_current();
	int owner = __atomic_load_n(&tty->session, __ATOMIC_RELAXED);
	irqflags_t flags;

	if (!process || process->session != process->pid)
		return -EPERM;
	if (owner == process->session)
		return 0;
	if (owner > 0 && is_alive(owner) && !steal)
		return -EPERM;
	flags = spin_lock_irqsave(&tty->lock);
	tty->session = process->session;
	tty->foreground = process->group;
	spin_unlock_irqrestore(&tty->lock, flags);
	return 0;
}

/* The leader gives it up for all; another of the session has only this one way to have it. */
static int
give_up(struct tty *tty)
{
	struct process *process = process_current();
	irqflags_t flags;
	int group;

	if (!tty_is_controlling(tty))
		return -ENOTTY;
	if (process->session != process->pid)
		return 0;
	flags = spin_lock_irqsave(&tty->lock);
	group = tty->foreground;
	tty->session = tty->foreground = 0;
	spin_unlock_irqrestore(&tty->lock, flags);
	if (group > 0) {
		(void)signal_group(group, SIGHUP);
		(void)signal_group(group, SIGCONT);
	}
	return 0;
}

void
terminal_leave(void)
{
	(void)give_up(&console_tty);
}

int
tty_foreground_of(int session)
{
	int owner = __atomic_load_n(&console_tty.session, __ATOMIC_RELAXED);

	return session > 0 && owner == session
		   ? __atomic_load_n(&console_tty.foreground, __ATOMIC_RELAXED)
		   : -1;
}

/* ---- The foreground group ------------------------------------------------------------------ */

static bool
group_is_in_session(int group, int session)
{
	struct process_info info;

	for (int pid = 1; process_info_next(pid, &info); pid = info.pid + 1) {
		if (info.group == group)
			return info.session == session;
	}
	return false;
}

static int64_t
set_foreground(struct tty *tty, uintptr_t arg)
{
	int32_t group;
	int error = tty_check_foreground(tty, SIGTTOU);
	irqflags_t flags;

	if (!tty_is_controlling(tty))
		return -ENOTTY;
	if (error)
		return error;
	if (copy_from_user(&group, arg, sizeof(group)))
		return -EFAULT;
	if (group < 0)
		return -EINVAL;
	if (!group_is_in_session(group, process_current()->session))
		return -EPERM;
	flags = spin_lock_irqsave(&tty->lock);
	tty->foreground = group;
	spin_unlock_irqrestore(&tty->lock, flags);
	return 0;
}

static int64_t
get_owner(struct tty *tty, unsigned request, uintptr_t arg)
{
	int32_t value = request == TIOCGSID ? tty->session : tty->foreground;

	if (!tty_is_controlling(tty))
		return -ENOTTY;
	return copy_to_user(arg, &value, sizeof(value));
}

/* ---- Settings ------------------------------------------------------------------------------ */

static int64_t
get_settings(struct tty *tty, uintptr_t arg)
{
	struct abi_termios termios;
	irqflags_t flags = spin_lock_irqsave(&tty->lock);

	termios = tty->line.termios;
	spin_unlock_irqrestore(&tty->lock, flags);
	return copy_to_user(arg, &termios, sizeof(termios));
}

static int64_t
set_settings(struct tty *tty, uintptr_t arg, bool flush)
{
	struct abi_termios termios;
	int error = tty_check_foreground(tty, SIGTTOU);
	irqflags_t flags;

	if (error)
		return error;
	if (copy_from_user(&termios, arg, sizeof(termios)))
		return -EFAULT;
	flags = spin_lock_irqsave(&tty->lock);
	if (flush)
		ldisc_flush(&tty->line);
	ldisc_set(&tty->line, &termios);
	spin_unlock_irqrestore(&tty->lock, flags);
	wake_all(&tty->readers);
	wake_all(&tty->writers);
	return 0;
}

static int64_t
get_size(struct tty *tty, uintptr_t arg)
{
	struct abi_winsize size;
	irqflags_t flags = spin_lock_irqsave(&tty->lock);

	size = tty->size;
	spin_unlock_irqrestore(&tty->lock, flags);
	return copy_to_user(arg, &size, sizeof(size));
}

static int64_t
set_size(struct tty *tty, uintptr_t arg)
{
	struct abi_winsize size;
	irqflags_t flags;
	bool changed;
	int group;

	if (copy_from_user(&size, arg, sizeof(size)))
		return -EFAULT;
	flags = spin_lock_irqsave(&tty->lock);
	changed = size.rows != tty->size.rows || size.columns != tty->size.columns;
	tty->size = size;
	group = tty->foreground;
	spin_unlock_irqrestore(&tty->lock, flags);
	if (changed && group > 0)
		(void)signal_group(group, SIGWINCH);
	return 0;
}

static int64_t
flush(struct tty *tty, uintptr_t what)
{
	irqflags_t flags;

	if (what > TCIOFLUSH)
		return -EINVAL;
	if (what == TCOFLUSH)
		return 0; /* nothing waits to be printed */
	flags = spin_lock_irqsave(&tty->lock);
	ldisc_flush(&tty->line);
	spin_unlock_irqrestore(&tty->lock, flags);
	return 0;
}

/* tcflow(): stop and start output, as ^S and ^Q do. Input needs no stopping. */
static int64_t
control_flow(struct tty *tty, uintptr_t what)
{
	irqflags_t flags;

	if (what > TCION)
		return -EINVAL;
	if (what > TCOON)
		return 0;
	flags = spin_lock_irqsave(&tty->lock);
	tty->line.stopped = what == TCOOFF;
	spin_unlock_irqrestore(&tty->lock, flags);
	wake_all(&tty->writers);
	poll_wake();
	return 0;
}

static int64_t
tell_number(uintptr_t arg, int32_t number)
{
	return copy_to_user(arg, &number, sizeof(number));
}

static int32_t
bytes_to_read(struct tty *tty)
{
	irqflags_t flags = spin_lock_irqsave(&tty->lock);
	size_t available = ldisc_available(&tty->line);

	spin_unlock_irqrestore(&tty->lock, flags);
	return (int32_t)available;
}

int64_t
tty_ioctl(struct file *file, unsigned request, uintptr_t arg)
{
	struct tty *tty = file->private;

	switch (request) {
	case TCGETS:
		return get_settings(tty, arg);
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return set_settings(tty, arg, request == TCSETSF);
	case TIOCGWINSZ:
		return get_size(tty, arg);
	case TIOCSWINSZ:
		return set_size(tty, arg);
	case TIOCGPGRP:
	case TIOCGSID:
		return get_owner(tty, request, arg);
	case TIOCSPGRP:
		return set_foreground(tty, arg);
	case TIOCSCTTY:
		return tty_set_controlling(tty, arg == 1);
	case TIOCNOTTY:
		return give_up(tty);
	case FIONREAD:
		return tell_number(arg, bytes_to_read(tty));
	case TIOCOUTQ:
		return tell_number(arg, 0);
	case TCFLSH:
		return flush(tty, arg);
	case TCXONC:
		return control_flow(tty, arg);
	case TCSBRK:
	case TCSBRKP:
		serial_drain();
		return 0;
	default:
		return -ENOTTY;
	}
}
