/* SPDX-License-Identifier: MIT */
/* System calls about time: clocks and sleeping. */
#include <start.h>

#include "clocks.h"

static uint64_t wall_at_boot; /* (a) ns since 1970 at which time_ns() was 0 */
static struct wait_queue wall_sleepers = WAIT_QUEUE_INIT(wall_sleepers);

/* ---- Conversions ------------------------------------------------------------------------- */

struct abi_timespec
to_timespec(uint64_t ns)
{
	return (struct abi_timespec){ (int64_t)(ns / NSEC_PER_SEC), (int64_t)(ns % NSEC_PER_SEC) };
}

struct abi_timeval
to_timeval(uint64_t ns)
{
	return (struct abi_timeval){ (int64_t)(ns / NSEC_PER_SEC),
				     (int64_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC) };
}

int
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

uint64_t
from_now(uint64_t ns)
{
	uint64_t now = time_ns();

	return now + MIN(ns, WAIT_FOREVER - now);
}

uint64_t
from_wall_clock(uint64_t wall_ns)
{
	uint64_t offset = __atomic_load_n(&wall_at_boot, __ATOMIC_RELAXED);

	if (wall_ns == UINT64_MAX)
		return wall_ns;
	return wall_ns > offset ? wall_ns - offset : 0;
}

int
read_timeout(uintptr_t from, uint64_t *until)
{
	uint64_t ns;
	int error = read_timespec(from, &ns);

	if (error)
		return error;
	*until = time_limit(from_now(ns));
	return 0;
}

uint64_t
time_limit(uint64_t until)
{
	struct user_thread *me = user_current();
	uint64_t kept = me->wait_until;

	me->wait_until = 0;
	return kept ? kept : until;
}

int
call_again_until(uint64_t until)
{
	user_current()->wait_until = until;
	return -ERESTARTNOHAND;
}

int
read_deadline(uintptr_t from, int clock, uint64_t *until)
{
	uint64_t ns;
	int error = read_timespec(from, &ns);

	if (error)
		return error;
	*until = clock == CLOCK_REALTIME ? from_wall_clock(ns) : ns;
	return 0;
}

/* ---- Clocks ------------------------------------------------------------------------------ */

uint64_t
wall_clock_ns(void)
{
	return __atomic_load_n(&wall_at_boot, __ATOMIC_RELAXED) + time_ns();
}

/*
 * A clock of processor time that is not the caller's own: the complement of the number of the
 * process or thread, then which of three times, with CPU_CLOCK_THREAD if it is a thread's.
 */
#define CPU_CLOCK_NUMBER(clock) (~((clock) >> 3))
#define CPU_CLOCK_THREAD	4
#define CPU_CLOCK_WHICH		3 /* 0: all of it, 1: in user mode, 2: all, exactly */

bool
clock_is_cpu_time(int clock)
{
	return clock == CLOCK_PROCESS_CPUTIME || clock == CLOCK_THREAD_CPUTIME ||
	       (clock < 0 && (clock & CPU_CLOCK_WHICH) != CPU_CLOCK_WHICH);
}

bool
cpu_clock_read_locked(int clock, uint64_t *ns)
{
	bool is_thread = clock == CLOCK_THREAD_CPUTIME || (clock < 0 && clock & CPU_CLOCK_THREAD);
	int number = clock < 0 ? CPU_CLOCK_NUMBER(clock) : 0;
	bool user_only = clock < 0 && (clock & CPU_CLOCK_WHICH) == 1;
	struct process_times times;

	assert_held(&process_lock);
	if (is_thread) {
		struct user_thread *user =
		    number ? user_thread_find_locked(number) : user_current();

		if (!user || user->process != process_current())
			return false;
		times = thread_times(user->thread);
	} else {
		struct process *process = number ? process_find_locked(number) : process_current();

		if (!process || process->state == PROCESS_ZOMBIE)
			return false;
		times = process_times_locked(process);
	}
	*ns = user_only ? times.user_ns : times.user_ns + times.system_ns;
	return true;
}

static bool
read_cpu_clock(int clock, uint64_t *ns)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	bool exists = cpu_clock_read_locked(clock, ns);

	spin_unlock_irqrestore(&process_lock, flags);
	return exists;
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
	default:
		return clock_is_cpu_time(clock) && read_cpu_clock(clock, ns);
	}
}

/* Who waits for a time of day finds out anew how long that is. */
static void
set_wall_clock(uint64_t ns)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	__atomic_store_n(&wall_at_boot, ns - time_ns(), __ATOMIC_RELAXED);
	timers_wall_clock_set_locked();
	wake_all(&wall_sleepers);
	spin_unlock_irqrestore(&process_lock, flags);
}

static int64_t
sys_clock_settime(const uint64_t *arg)
{
	uint64_t ns;
	int error;

	if (clock_is_cpu_time((int)arg[0]))
		return read_cpu_clock((int)arg[0], &ns) ? -EPERM : -EINVAL;
	if ((int)arg[0] != CLOCK_REALTIME)
		return -EINVAL;
	error = read_timespec(arg[1], &ns);
	if (error)
		return error;
	if (!is_privileged())
		return -EPERM;
	if (ns == UINT64_MAX || ns < time_ns())
		return -EINVAL;
	set_wall_clock(ns);
	return 0;
}
SYSCALL(227, clock_settime, 2, sys_clock_settime);

static int64_t
sys_settimeofday(const uint64_t *arg)
{
	struct abi_timeval t;

	if (!arg[0])
		return 0; /* a time zone, which is the C library's business */
	if (copy_from_user(&t, arg[0], sizeof(t)))
		return -EFAULT;
	if (t.sec < 0 || t.usec < 0 || t.usec >= 1000000 || t.sec > INT32_MAX ||
	    (uint64_t)t.sec * NSEC_PER_SEC < time_ns())
		return -EINVAL;
	if (!is_privileged())
		return -EPERM;
	set_wall_clock((uint64_t)t.sec * NSEC_PER_SEC + (uint64_t)t.usec * NSEC_PER_USEC);
	return 0;
}
SYSCALL(164, settimeofday, 2, sys_settimeofday);

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

/* Returns 0 when the time has come, of day if so, or -ERESTARTSYS. */
static int
sleep_until(uint64_t until, bool of_day)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct wait_queue nobody;
	int error = 0;

	wait_queue_init(&nobody);
	while (!error) {
		uint64_t at = of_day ? from_wall_clock(until) : until;

		if (time_ns() >= at)
			break;
		error = wait_on_until(of_day ? &wall_sleepers : &nobody, &process_lock, at);
		if (error == -ETIMEDOUT)
			error = 0; /* unless the clock has been set back */
	}
	spin_unlock_irqrestore(&process_lock, flags);
	return error;
}

/* remaining: where what is left is told if a signal comes, or 0. */
static int64_t
sleep_for_a_while(uint64_t until, uintptr_t remaining)
{
	int error = sleep_until(until, false);
	struct abi_timespec left;
	uint64_t now = time_ns();

	if (!error)
		return 0;
	left = to_timespec(until > now ? until - now : 0);
	if (remaining && copy_to_user(remaining, &left, sizeof(left)))
		return -EFAULT;
	return call_again_until(until);
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
		return read_clock(clock, &until) ? -EOPNOTSUPP : -EINVAL;
	if (!(arg[1] & TIMER_ABSTIME)) {
		error = read_timeout(arg[2], &until);
		return error ? error : sleep_for_a_while(until, arg[3]);
	}
	error = read_timespec(arg[2], &until);
	if (error)
		return error;
	/* A time that a clock shows can be waited for again. */
	return sleep_until(until, clock == CLOCK_REALTIME) ? -ERESTARTNOHAND : 0;
}
SYSCALL(230, clock_nanosleep, 4, sys_clock_nanosleep);

static void
time_init(void)
{
	wall_at_boot = arch_wall_clock() * NSEC_PER_SEC - time_ns();
}
START_STEP(time, time_init, START_PROCESSES);
