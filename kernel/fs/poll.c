/* SPDX-License-Identifier: MIT */
/*
 * Waiting for any of several files: poll() and select().
 *
 * A thread sleeps on one queue, but polls many files. So there is one queue for all who poll, and
 * whatever may have changed the state of some file wakes it (poll_wake()); who was woken asks its
 * own files again. With a handful of programs that poll at a time this costs little, and files need
 * no lists of who watches them.
 *
 * That no change is missed: a generation is read before the files are asked, and the sleep is left
 * out if it has moved on since. nr_pollers spares poll_wake() the queue where nobody polls. A
 * poller counts itself before it asks; a waker changes the state before it looks at the count; both
 * in the one order of all sequentially consistent accesses, so at least one of them sees the other.
 */
#include <abi/poll.h>
#include <process.h>
#include <string.h>
#include <syscall.h>
#include <time.h>

#include "fs.h"

static spinlock_t poll_lock = SPINLOCK_INIT("poll", RANK_POLL);
static struct wait_queue poll_queue = WAIT_QUEUE_INIT(poll_queue);
static uint64_t generation; /* (l) poll_lock */
static unsigned nr_pollers; /* atomic */

void
poll_wake(void)
{
	irqflags_t flags;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&nr_pollers, __ATOMIC_SEQ_CST) == 0)
		return;
	flags = spin_lock_irqsave(&poll_lock);
	generation++;
	spin_unlock_irqrestore(&poll_lock, flags);
	wake_all(&poll_queue);
}

static uint64_t
read_generation(void)
{
	irqflags_t flags = spin_lock_irqsave(&poll_lock);
	uint64_t now = generation;

	spin_unlock_irqrestore(&poll_lock, flags);
	return now;
}

/* Sleep until the generation is no longer this one. Returns 0, -ETIMEDOUT or -ERESTARTSYS. */
static int
wait_for_change(uint64_t seen, uint64_t until)
{
	irqflags_t flags = spin_lock_irqsave(&poll_lock);
	int error = 0;

	while (!error && generation == seen)
		error = wait_on_until(&poll_queue, &poll_lock, until);
	spin_unlock_irqrestore(&poll_lock, flags);
	return error;
}

/*
 * Ask again and again until ask() says that there is something, or an error, or until that time
 * (0: ask once). Returns what ask() said, or -ERESTARTNOHAND.
 */
static int64_t
wait_for_any(int64_t (*ask)(void *arg), void *arg, uint64_t until)
{
	int64_t result;
	int error = 0;

	__atomic_add_fetch(&nr_pollers, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		uint64_t seen = read_generation();

		result = ask(arg);
		if (result != 0 || until == 0 || error)
			break;
		error = wait_for_change(seen, until);
		if (error == -ERESTARTSYS)
			break;
	}
	__atomic_sub_fetch(&nr_pollers, 1, __ATOMIC_SEQ_CST);
	return result == 0 && error == -ERESTARTSYS ? -ERESTARTNOHAND : result;
}

/* What holds now of the events that a descriptor is watched for. */
static unsigned
ask_descriptor(int fd, unsigned events)
{
	struct file *file = fd_current(fd);
	unsigned now;

	if (!file || file->flags & O_PATH) {
		if (file)
			file_put(file);
		return POLLNVAL;
	}
	now = file->ops->poll ? file->ops->poll(file) : POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
	file_put(file);
	return now & (events | POLLERR | POLLHUP);
}

/* ---- Times --------------------------------------------------------------------------------- */

static uint64_t
after(uint64_t ns)
{
	uint64_t now = time_ns();

	if (ns == 0)
		return 0;
	return ns > WAIT_FOREVER - 1 - now ? WAIT_FOREVER - 1 : now + ns;
}

/* Seconds and parts of unit_ns nanoseconds; at NULL: for ever. */
static int
read_timeout(uintptr_t from, uint64_t unit_ns, uint64_t *until)
{
	int64_t time[2];

	*until = WAIT_FOREVER;
	if (!from)
		return 0;
	if (copy_from_user(time, from, sizeof(time)))
		return -EFAULT;
	if (time[0] < 0 || time[1] < 0 || (unit_ns == 1 && time[1] >= (int64_t)NSEC_PER_SEC))
		return -EINVAL;
	if ((uint64_t)time[0] > INT64_MAX / NSEC_PER_SEC - 1)
		return 0;
	*until = after((uint64_t)time[0] * NSEC_PER_SEC + (uint64_t)time[1] * unit_ns);
	return 0;
}

/* ---- poll() -------------------------------------------------------------------------------- */

struct polled {
	struct abi_pollfd *fds;
	unsigned nr;
};

static int64_t
ask_polled(void *arg)
{
	struct polled *polled = arg;
	int64_t nr = 0;

	for (unsigned i = 0; i < polled->nr; i++) {
		struct abi_pollfd *fd = &polled->fds[i];

		fd->revents =
		    fd->fd < 0 ? 0 : (int16_t)ask_descriptor(fd->fd, (uint16_t)fd->events);
		nr += fd->revents != 0;
	}
	return nr;
}

static int64_t
poll_until(uintptr_t fds, uint64_t nr, uint64_t until)
{
	struct polled polled = { .nr = (unsigned)nr };
	size_t size = nr * sizeof(struct abi_pollfd);
	int64_t result;

	if (nr > MAX_FILES)
		return -EINVAL;
	polled.fds = kmalloc(size, GFP_KERNEL);
	if (!polled.fds)
		return -ENOMEM;
	result = copy_from_user(polled.fds, fds, size);
	if (result == 0)
		result = wait_for_any(ask_polled, &polled, until);
	if (result >= 0 && copy_to_user(fds, polled.fds, size))
		result = -EFAULT;
	kfree(polled.fds);
	return result;
}

static int64_t
sys_poll(const uint64_t *arg)
{
	int timeout = (int)arg[2];
	uint64_t until = WAIT_FOREVER;

	if (timeout >= 0)
		until = after((uint64_t)timeout * NSEC_PER_MSEC);
	return poll_until(arg[0], arg[1], until);
}

SYSCALL(7, poll, 3, sys_poll);

/* Block other signals for the wait that follows. set: NULL, or where they are said. */
static int
begin_wait(uintptr_t set, uint64_t size)
{
	uint64_t blocked;

	if (!set)
		return 0;
	if (size != sizeof(blocked))
		return -EINVAL;
	if (copy_from_user(&blocked, set, sizeof(blocked)))
		return -EFAULT;
	signal_set_blocked_for_wait(blocked);
	return 0;
}

/* A wait that a signal has ended leaves the rest to its handling. */
static int64_t
end_wait(int64_t result)
{
	if (result != -ERESTARTNOHAND)
		signal_restore_blocked();
	return result;
}

static int64_t
sys_ppoll(const uint64_t *arg)
{
	uint64_t until;
	int error = read_timeout(arg[2], 1, &until);

	if (!error)
		error = begin_wait(arg[3], arg[4]);
	return error ? error : end_wait(poll_until(arg[0], arg[1], until));
}

SYSCALL(271, ppoll, 5, sys_ppoll);

/* ---- select() ------------------------------------------------------------------------------ */

#define SET_WORDS (FD_SETSIZE / 64)

enum { READABLE, WRITABLE, EXCEPTIONAL, NR_SETS };

struct selected {
	unsigned nr;
	uint64_t wanted[NR_SETS][SET_WORDS], found[NR_SETS][SET_WORDS];
};

static const unsigned set_events[NR_SETS] = { POLLIN | POLLRDNORM | POLLHUP | POLLERR,
					      POLLOUT | POLLWRNORM | POLLERR, POLLPRI };

/* How many of the sets have the descriptor; -EBADF if it is none. */
static int
ask_selected_one(struct selected *s, unsigned fd)
{
	uint64_t bit = 1ull << fd % 64;
	bool wanted = false;
	unsigned events;
	int nr = 0;

	for (unsigned set = 0; set < NR_SETS; set++)
		wanted = wanted || s->wanted[set][fd / 64] & bit;
	if (!wanted)
		return 0;
	events = ask_descriptor((int)fd, POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLPRI);
	if (events == POLLNVAL)
		return -EBADF;
	for (unsigned set = 0; set < NR_SETS; set++) {
		if ((s->wanted[set][fd / 64] & bit) && (events & set_events[set])) {
			s->found[set][fd / 64] |= bit;
			nr++;
		}
	}
	return nr;
}

static int64_t
ask_selected(void *arg)
{
	struct selected *s = arg;
	int64_t total = 0;

	memset(s->found, 0, sizeof(s->found));
	for (unsigned fd = 0; fd < s->nr; fd++) {
		int nr = ask_selected_one(s, fd);

		if (nr < 0)
			return nr;
		total += nr;
	}
	return total;
}

static int
move_sets(struct selected *s, const uint64_t *at, bool out)
{
	size_t size = (s->nr + 63) / 64 * 8;
	int error = 0;

	for (unsigned set = 0; set < NR_SETS && !error; set++) {
		if (!at[set])
			continue;
		error = out ? copy_to_user(at[set], s->found[set], size)
			    : copy_from_user(s->wanted[set], at[set], size);
	}
	return error;
}

static int64_t
select_until(uint64_t nr, const uint64_t *sets, uint64_t until)
{
	struct selected *s;
	int64_t result;

	if ((int)nr < 0)
		return -EINVAL;
	s = kmalloc_zeroed(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	s->nr = (unsigned)MIN(nr, (uint64_t)FD_SETSIZE);
	if (files_current()) /* nobody has a descriptor behind the end of the table */
		s->nr = MIN(s->nr, fd_table_capacity(files_current()));
	result = move_sets(s, sets, false);
	if (result == 0)
		result = wait_for_any(ask_selected, s, until);
	if (result >= 0 && move_sets(s, sets, true))
		result = -EFAULT;
	kfree(s);
	return result;
}

/* What is left of the time is told, as Linux does. */
static int64_t
sys_select(const uint64_t *arg)
{
	uint64_t until, now;
	int64_t result = read_timeout(arg[4], NSEC_PER_USEC, &until), left[2];

	if (result < 0)
		return result;
	result = select_until(arg[0], arg + 1, until);
	if (!arg[4] || until == WAIT_FOREVER)
		return result;
	now = time_ns();
	left[0] = until > now ? (int64_t)((until - now) / NSEC_PER_SEC) : 0;
	left[1] = until > now ? (int64_t)((until - now) % NSEC_PER_SEC / NSEC_PER_USEC) : 0;
	return copy_to_user(arg[4], left, sizeof(left)) ? -EFAULT : result;
}

SYSCALL(23, select, 5, sys_select);

/* The last argument is a pair: the set of signals, and its size. */
static int64_t
sys_pselect6(const uint64_t *arg)
{
	uint64_t until, signals[2] = { 0, 0 };
	int error = read_timeout(arg[4], 1, &until);

	if (!error && arg[5])
		error = copy_from_user(signals, arg[5], sizeof(signals));
	if (!error)
		error = begin_wait(signals[0], signals[1]);
	return error ? error : end_wait(select_until(arg[0], arg + 1, until));
}

SYSCALL(270, pselect6, 6, sys_pselect6);
