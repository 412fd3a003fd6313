/* SPDX-License-Identifier: MIT */
/*
 * System calls about time: clocks, sleeping, alarms.
 *
 * There is one clock, time_ns(). The time of day is that plus what the battery clock said at the
 * start. Alarms (ITIMER_REAL) are watched by one thread of the kernel, which sleeps until the
 * next one is due and sends SIGALRM; the times are in the processes, under process_lock.
 */
#include <abi/time.h>
#include <start.h>
#include <time.h>

#include "user.h"

#define USEC_PER_SEC 1000000ll

static uint64_t wall_at_boot; /* (c) ns since 1970 at which time_ns() was 0 */
static struct wait_queue alarm_queue = WAIT_QUEUE_INIT(alarm_queue);

/* ---- Conversions ------------------------------------------------------------------------- */

static struct abi_timespec
to_timespec(uint64_t ns)
{
	return (struct abi_timespec){ (int64_t)(ns / NSEC_PER_SEC), (int64_t)(ns % NSEC_PER_SEC) };
}

static struct abi_timeval
to_timeval(uint64_t ns)
{
	return (struct abi_timeval){ (int64_t)(ns / NSEC_PER_SEC),
				     (int64_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC) };
}

/* What would overflow is for ever. */
static int
read_timespec(uintptr_t from, uint64_t *ns)
{
	struct abi_timespec t;

	if (copy_from_user(&t, from, sizeof(t)))
		return -EFAULT;
	if (t.sec < 0 || t.nsec < 0 || t.nsec >= (int64_t)NSEC_PER_SEC)
		return -EINVAL;
	if (__builtin_mul_overflow((uint64_t)t.sec, NSEC_PER_SEC, ns) ||
	    __builtin_add_overflow(*ns, (uint64_t)t.nsec, ns))
		*ns = UINT64_MAX;
	return 0;
}

static uint64_t
from_now(uint64_t ns)
{
	uint64_t now = time_ns();

	return now + MIN(ns, WAIT_FOREVER - now);
}

int
read_timeout(uintptr_t from, uint64_t *until)
{
	uint64_t ns;
	int error = read_timespec(from, &ns);

	if (!error)
		*until = from_now(ns);
	return error;
}

int
read_deadline(uintptr_t from, int clock, uint64_t *until)
{
	uint64_t ns;
	int error = read_timespec(from, &ns);

	if (error)
		return error;
	if (clock == CLOCK_REALTIME && ns != UINT64_MAX)
		ns = ns > wall_at_boot ? ns - wall_at_boot : 0;
	*until = ns;
	return 0;
}

/* ---- Clocks ------------------------------------------------------------------------------ */

uint64_t
wall_clock_ns(void)
{
	return wall_at_boot + time_ns();
}

static uint64_t
process_ns(void)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct process_times times = process_times_locked(process_current());

	spin_unlock_irqrestore(&process_lock, flags);
	return times.user_ns + times.system_ns + thread_unaccounted_ns();
}

/* Returns false for a clock that there is not. */
static bool
read_clock(int clock, uint64_t *ns)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
		*ns = wall_clock_ns();
		return true;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
		*ns = time_ns();
		return true;
	case CLOCK_PROCESS_CPUTIME:
		*ns = process_ns();
		return true;
	case CLOCK_THREAD_CPUTIME:
		*ns = thread_current()->run_ns + thread_unaccounted_ns();
		return true;
	default:
		return false;
	}
}

static int64_t
sys_clock_gettime(const uint64_t *arg)
{
	struct abi_timespec t;
	uint64_t ns;

	if (!read_clock((int)arg[0], &ns))
		return -EINVAL;
	t = to_timespec(ns);
	return copy_to_user(arg[1], &t, sizeof(t));
}
SYSCALL(228, clock_gettime, 2, sys_clock_gettime);

static int64_t
sys_clock_getres(const uint64_t *arg)
{
	struct abi_timespec t = { 0, 1 };
	uint64_t ns;

	if (!read_clock((int)arg[0], &ns))
		return -EINVAL;
	return arg[1] ? copy_to_user(arg[1], &t, sizeof(t)) : 0;
}
SYSCALL(229, clock_getres, 2, sys_clock_getres);

static int64_t
sys_gettimeofday(const uint64_t *arg)
{
	struct abi_timeval t = to_timeval(wall_clock_ns());
	int32_t zone[2] = { 0, 0 }; /* Greenwich */

	if (arg[0] && copy_to_user(arg[0], &t, sizeof(t)))
		return -EFAULT;
	return arg[1] ? copy_to_user(arg[1], zone, sizeof(zone)) : 0;
}
SYSCALL(96, gettimeofday, 2, sys_gettimeofday);

static int64_t
sys_time(const uint64_t *arg)
{
	int64_t seconds = (int64_t)(wall_clock_ns() / NSEC_PER_SEC);

	if (arg[0] && copy_to_user(arg[0], &seconds, sizeof(seconds)))
		return -EFAULT;
	return seconds;
}
SYSCALL(201, time, 1, sys_time);

static int64_t
sys_times(const uint64_t *arg)
{
	struct process *process = process_current();
	struct process_times times, children;
	uint64_t tick = NSEC_PER_SEC / USER_HZ, out[4];
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	times = process_times_locked(process);
	children = process->private->children_times;
	spin_unlock_irqrestore(&process_lock, flags);
	out[0] = times.user_ns / tick;
	out[1] = times.system_ns / tick;
	out[2] = children.user_ns / tick;
	out[3] = children.system_ns / tick;
	if (arg[0] && copy_to_user(arg[0], out, sizeof(out)))
		return -EFAULT;
	return (int64_t)(time_ns() / tick);
}
SYSCALL(100, times, 1, sys_times);

/* ---- Sleeping ---------------------------------------------------------------------------- */

/* Returns 0 when the time has come, or -ERESTARTSYS. */
static int
sleep_until(uint64_t until)
{
	struct wait_queue nobody;
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	int error = 0;

	wait_queue_init(&nobody);
	while (!error && time_ns() < until)
		error = wait_on_until(&nobody, &process_lock, until);
	spin_unlock_irqrestore(&process_lock, flags);
	return error == -ETIMEDOUT ? 0 : error;
}

/* remaining: where what is left is told if a signal comes, or 0. */
static int64_t
sleep_for_a_while(uint64_t until, uintptr_t remaining)
{
	int error = sleep_until(until);
	struct abi_timespec left;
	uint64_t now = time_ns();

	if (!error)
		return 0;
	left = to_timespec(until > now ? until - now : 0);
	if (remaining && copy_to_user(remaining, &left, sizeof(left)))
		return -EFAULT;
	return -EINTR;
}

static int64_t
sys_nanosleep(const uint64_t *arg)
{
	uint64_t until;
	int error = read_timeout(arg[0], &until);

	return error ? error : sleep_for_a_while(until, arg[1]);
}
SYSCALL(35, nanosleep, 2, sys_nanosleep);

static int64_t
sys_clock_nanosleep(const uint64_t *arg)
{
	uint64_t until;
	int clock = (int)arg[0], error;

	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME)
		return clock == CLOCK_PROCESS_CPUTIME ? -EOPNOTSUPP : -EINVAL;
	if (!(arg[1] & TIMER_ABSTIME)) {
		error = read_timeout(arg[2], &until);
		return error ? error : sleep_for_a_while(until, arg[3]);
	}
	error = read_deadline(arg[2], clock, &until);
	if (error)
		return error;
	/* A time of day can be waited for again. */
	return sleep_until(until) ? -ERESTARTNOHAND : 0;
}
SYSCALL(230, clock_nanosleep, 4, sys_clock_nanosleep);

/* ---- Alarms ------------------------------------------------------------------------------ */

/* A period counts from when the alarm was due, as long as that is not all over again. */
static uint64_t
next_alarm(const struct process_private *private, uint64_t now)
{
	if (!private->alarm_period)
		return 0;
	return MAX(private->alarm_at + private->alarm_period, now + 1);
}

/* Send what is due. Returns when the next one is. */
static uint64_t
ring_alarms_locked(void)
{
	uint64_t next = WAIT_FOREVER, now = time_ns();
	struct process *process;

	assert_held(&process_lock);
	for (process = process_next_locked(0); process;
	     process = process_next_locked(process->pid + 1)) {
		struct process_private *private = process->private;

		if (private->alarm_at && private->alarm_at <= now) {
			signal_send_locked(process, NULL, SIGALRM, NULL, reaper_records_locked());
			private->alarm_at = next_alarm(private, now);
		}
		if (private->alarm_at)
			next = MIN(next, private->alarm_at);
	}
	return next;
}

static void
watch_alarms(void *arg)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	(void)arg;
	for (;;) {
		uint64_t next = ring_alarms_locked();

		if (wait_on_until(&alarm_queue, &process_lock, next))
			continue; /* which is what it is for */
	}
	spin_unlock_irqrestore(&process_lock, flags);
}

/* Set the alarm of the running process; the old one, as what is left, in *old. */
static void
set_alarm(uint64_t ns, uint64_t period, struct abi_itimerval *old)
{
	struct process_private *private = process_current()->private;
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	uint64_t now = time_ns();
	uint64_t left = private->alarm_at ? MAX(private->alarm_at, now + NSEC_PER_USEC) - now : 0;

	old->value = to_timeval(left);
	old->interval = to_timeval(private->alarm_period);
	private->alarm_at = ns ? from_now(ns) : 0;
	private->alarm_period = period;
	wake_all(&alarm_queue);
	spin_unlock_irqrestore(&process_lock, flags);
}

static int64_t
sys_alarm(const uint64_t *arg)
{
	struct abi_itimerval old;

	set_alarm((uint32_t)arg[0] * NSEC_PER_SEC, 0, &old);
	return old.value.sec + (old.value.usec > 0);
}
SYSCALL(37, alarm, 1, sys_alarm);

static int
to_ns(struct abi_timeval t, uint64_t *ns)
{
	if (t.sec < 0 || t.usec < 0 || t.usec >= USEC_PER_SEC)
		return -EINVAL;
	if (__builtin_mul_overflow((uint64_t)t.sec, NSEC_PER_SEC, ns))
		*ns = UINT64_MAX / 2;
	*ns += (uint64_t)t.usec * NSEC_PER_USEC;
	return 0;
}

static int64_t
sys_setitimer(const uint64_t *arg)
{
	struct abi_itimerval new = { { 0, 0 }, { 0, 0 } }, old;
	uint64_t ns, period;

	if (arg[0] != ITIMER_REAL)
		return -EINVAL;
	if (arg[1] && copy_from_user(&new, arg[1], sizeof(new)))
		return -EFAULT;
	if (to_ns(new.value, &ns) || to_ns(new.interval, &period))
		return -EINVAL;
	set_alarm(ns, period, &old);
	return arg[2] ? copy_to_user(arg[2], &old, sizeof(old)) : 0;
}
SYSCALL(38, setitimer, 3, sys_setitimer);

static int64_t
sys_getitimer(const uint64_t *arg)
{
	struct process_private *private = process_current()->private;
	struct abi_itimerval now;
	irqflags_t flags;

	if (arg[0] != ITIMER_REAL)
		return -EINVAL;
	flags = spin_lock_irqsave(&process_lock);
	now.value =
	    to_timeval(private->alarm_at ? MAX(private->alarm_at, time_ns()) - time_ns() : 0);
	now.interval = to_timeval(private->alarm_period);
	spin_unlock_irqrestore(&process_lock, flags);
	return copy_to_user(arg[1], &now, sizeof(now));
}
SYSCALL(36, getitimer, 2, sys_getitimer);

static void
time_init(void)
{
	wall_at_boot = arch_wall_clock() * NSEC_PER_SEC - time_ns();
	if (!thread_create("alarms", watch_alarms, NULL, CPU_ANY))
		panic("no memory for the stack of a thread");
}
START_STEP(time, time_init, START_PROCESSES);
