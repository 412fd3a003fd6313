/* SPDX-License-Identifier: MIT */
/*
 * Timers: alarm(), setitimer(), timer_create().
 *
 * All are struct timer. One on a clock that runs by itself is in a list by rising time, and a
 * thread of the kernel sleeps until the first is due:
 *
 *	due_timers --> 10 ms --> 25 ms --> 4 s        the time_ns() at which each is due
 *
 * One that measures processor time is in a list of its process instead, which a thread looks
 * through after each tick that finds it running, on its way back to user mode: processor time does
 * not pass while nobody runs.
 *
 * An expired timer sends its signal. While that waits to be taken, further expirations are counted
 * in its record, as the timer's overrun; the count is known for good when the signal is taken.
 *
 * A timer for a time of day keeps it, so that the time_ns() at which it is due can be worked out
 * again when the time of day is set.
 */
#include <slab.h>
#include <start.h>
#include <string.h>

#include "clocks.h"

#define USEC_PER_SEC	1000000ll
#define OVERRUN_MAX	INT32_MAX
#define SHORTEST_NS	(20 * NSEC_PER_USEC) /* from one expiration to the next that is seen to */
#define TIMERS_MAX	32768		     /* of one process */
#define SIGEV_SIGNAL	0
#define SIGEV_NONE	1
#define SIGEV_THREAD	2 /* the C library's thread: to the kernel a signal */
#define SIGEV_THREAD_ID 4

struct abi_sigevent {
	uint64_t value;
	int32_t signal, notify, tid;
	uint8_t rest[44];
};
_Static_assert(sizeof(struct abi_sigevent) == 64, "Linux's layout");

struct abi_itimerspec {
	struct abi_timespec interval, value;
};

static KMEM_CACHE(timer_cache, "timer", sizeof(struct timer), 0, 0, NULL);

static struct list_head due_timers = LIST_INIT(due_timers); /* (p) by rising time */
static struct wait_queue timer_queue = WAIT_QUEUE_INIT(timer_queue);

/* ---- Arming ------------------------------------------------------------------------------ */

static void
disarm_locked(struct timer *timer)
{
	assert_held(&process_lock);
	if (timer->at)
		list_del(&timer->due);
	timer->at = 0;
}

/* at: by its clock, not 0. It is not armed. */
static void
arm_locked(struct timer *timer, uint64_t at)
{
	struct process_private *private = timer->process->private;
	struct list_head *behind;
	struct user_thread *user;

	assert_held(&process_lock);
	timer->at = at;
	if (clock_is_cpu_time(timer->clock)) {
		list_add_tail(&timer->due, &private->cpu_timers);
		list_for_each_entry (user, &private->threads, link)
			user->thread->watched = true;
		return;
	}
	for (behind = due_timers.prev; behind != &due_timers; behind = behind->prev)
		if (list_entry(behind, struct timer, due)->at <= at)
			break;
	list_add(&timer->due, behind);
	wake_all(&timer_queue);
}

/* What its clock says now; 0 for one whose thread or process has ended. */
static uint64_t
clock_now_locked(const struct timer *timer)
{
	uint64_t now = 0;

	if (!clock_is_cpu_time(timer->clock))
		return time_ns();
	(void)cpu_clock_read_locked(timer->clock, &now);
	return now;
}

/* How long until it expires: at least 1 if it is armed, else 0. */
static uint64_t
left_locked(const struct timer *timer)
{
	uint64_t now = clock_now_locked(timer);

	assert_held(&process_lock);
	return timer->at ? MAX(timer->at, now + 1) - now : 0;
}

/* ---- Expiring ---------------------------------------------------------------------------- */

/* The record of its signal, if that has been sent and not been taken. */
static struct signal_record *
waiting_record_locked(const struct timer *timer, const struct signal_queue *queue)
{
	struct signal_record *record;

	assert_held(&process_lock);
	list_for_each_entry (record, &queue->records, link)
		if (record->info.code == SI_TIMER && record->info.signo == timer->signal &&
		    record->info.timer.id == timer->id)
			return record;
	return NULL;
}

static void
add_overrun(int32_t *overrun, uint64_t more)
{
	*overrun = (int32_t)MIN((uint64_t)*overrun + more, OVERRUN_MAX);
}

/* Is it RLIMIT_CPU's, and has the process had all that it may have? */
static bool
is_final_locked(const struct timer *timer)
{
	const struct process_private *private = timer->process->private;
	uint64_t most = private->limit[RLIMIT_CPU].max;

	assert_held(&process_lock);
	return timer == &private->cpu_limit && clock_now_locked(timer) / NSEC_PER_SEC >= most;
}

/* missed: expirations before this one that nobody was told of. */
static void
send_locked(const struct timer *timer, uint64_t missed, struct signal_record **spare)
{
	struct user_thread *user = timer->tid ? user_thread_find_locked(timer->tid) : NULL;
	struct signal_record *record;

	assert_held(&process_lock);
	if (timer->notify == SIGEV_NONE)
		return;
	if (timer->id < 0) { /* setitimer(), alarm(), a limit: without a record */
		signal_send_locked(timer->process, NULL,
				   is_final_locked(timer) ? SIGKILL : timer->signal, NULL,
				   reaper_records_locked());
		return;
	}
	if (timer->tid && (!user || user->process != timer->process))
		return; /* that thread has ended */
	record =
	    waiting_record_locked(timer, user ? &user->pending : &timer->process->private->pending);
	if (record) {
		add_overrun(&record->info.timer.overrun, missed + 1);
		return;
	}
	record = *spare;
	*spare = NULL;
	if (record) {
		record->info.code = SI_TIMER;
		record->info.timer.id = timer->id;
		record->info.timer.overrun = 0;
		record->info.timer.value = timer->value;
		add_overrun(&record->info.timer.overrun, missed);
	}
	signal_send_locked(timer->process, user, timer->signal, record, reaper_records_locked());
}

/*
 * A period counts from when the timer was due, not from when that was noticed. Expirations that
 * come faster than anybody could see to are left for the next one that is seen to.
 */
static void
expire_locked(struct timer *timer, uint64_t now, struct signal_record **spare)
{
	uint64_t at = timer->at, period = timer->period, missed = period ? (now - at) / period : 0;
	uint64_t next = at + (missed + 1) * period;

	assert_held(&process_lock);
	disarm_locked(timer);
	send_locked(timer, missed + timer->skipped, spare);
	timer->skipped = 0;
	if (!period || at >= WAIT_FOREVER - (missed + 1) * period)
		return;
	if (next < now + SHORTEST_NS)
		timer->skipped = (now + SHORTEST_NS - next) / period;
	arm_locked(timer, next + timer->skipped * period);
}

static void
watch_timers(void *arg)
{
	struct signal_record *spare = NULL;

	(void)arg;
	for (;;) {
		uint64_t until = WAIT_FOREVER, now;
		struct timer *first;
		irqflags_t flags;

		if (!spare)
			spare = signal_record_alloc(SIGALRM, SI_TIMER);
		flags = spin_lock_irqsave(&process_lock);
		now = time_ns();
		if (!list_empty(&due_timers)) {
			first = list_first_entry(&due_timers, struct timer, due);
			until = first->at;
			if (until <= now)
				expire_locked(first, now, &spare);
		}
		if (until > now && wait_on_until(&timer_queue, &process_lock, until))
			until = now; /* the time has come, which is what it is for */
		spin_unlock_irqrestore(&process_lock, flags);
	}
}

void
timers_check_cpu(void)
{
	struct process_private *private = process_current()->private;
	struct signal_record *spare = NULL;
	struct timer *timer, *next;
	irqflags_t flags;

	if (!thread_current()->watched)
		return;
	spare = signal_record_alloc(SIGALRM, SI_TIMER);
	flags = spin_lock_irqsave(&process_lock);
	thread_current()->watched = !list_empty(&private->cpu_timers);
	list_for_each_entry_safe (timer, next, &private->cpu_timers, due) {
		uint64_t now = clock_now_locked(timer);

		if (timer->at <= now)
			expire_locked(timer, now, &spare);
	}
	spin_unlock_irqrestore(&process_lock, flags);
	if (spare)
		signal_record_free(spare);
}

void
timers_wall_clock_set_locked(void)
{
	struct list_head changed = LIST_INIT(changed);
	struct timer *timer, *next;

	assert_held(&process_lock);
	list_for_each_entry_safe (timer, next, &due_timers, due) {
		if (!timer->wall_at)
			continue;
		list_del(&timer->due);
		list_add_tail(&timer->due, &changed);
	}
	list_for_each_entry_safe (timer, next, &changed, due) {
		disarm_locked(timer);
		arm_locked(timer, MAX(from_wall_clock(timer->wall_at), 1));
	}
}

/* ---- The three of setitimer() ------------------------------------------------------------ */

static const struct {
	int clock, signal;
} interval_timers[NR_ITIMERS] = {
	[ITIMER_REAL] = { CLOCK_MONOTONIC, SIGALRM },
	[ITIMER_VIRTUAL] = { CLOCK_PROCESS_USER, SIGVTALRM },
	[ITIMER_PROF] = { CLOCK_PROCESS_CPUTIME, SIGPROF },
};

void
timers_init(struct process *process)
{
	struct process_private *private = process->private;

	list_init(&private->timers);
	list_init(&private->cpu_timers);
	for (unsigned i = 0; i < NR_ITIMERS; i++)
		process->private->itimer[i] = (struct timer){
			.process = process,
			.id = -1,
			.clock = interval_timers[i].clock,
			.signal = interval_timers[i].signal,
		};
	private->cpu_limit = (struct timer){
		.process = process,
		.id = -1,
		.clock = CLOCK_PROCESS_CPUTIME,
		.signal = SIGXCPU,
		.period = NSEC_PER_SEC,
	};
}

void
timers_limit_cpu_locked(struct process *process)
{
	const struct abi_rlimit *limit = &process->private->limit[RLIMIT_CPU];
	struct timer *timer = &process->private->cpu_limit;
	uint64_t seconds = MIN(limit->current, limit->max);

	assert_held(&process_lock);
	disarm_locked(timer);
	if (seconds < UINT64_MAX / NSEC_PER_SEC)
		arm_locked(timer, MAX(seconds, 1) * NSEC_PER_SEC);
}

/* Set one of the running process; what was before, in *old. */
static void
set_itimer(unsigned which, uint64_t ns, uint64_t period, struct abi_itimerval *old)
{
	struct timer *timer = &process_current()->private->itimer[which];
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	uint64_t left = left_locked(timer);

	/* Less than a microsecond left is not nothing. */
	old->value = to_timeval(left ? MAX(left, NSEC_PER_USEC) : 0);
	old->interval = to_timeval(timer->period);
	disarm_locked(timer);
	timer->period = period;
	timer->skipped = 0;
	if (ns) {
		uint64_t now = clock_now_locked(timer);

		arm_locked(timer, now + MIN(ns, WAIT_FOREVER - now));
	}
	spin_unlock_irqrestore(&process_lock, flags);
}

static int64_t
sys_alarm(const uint64_t *arg)
{
	struct abi_itimerval old;

	set_itimer(ITIMER_REAL, (uint32_t)arg[0] * NSEC_PER_SEC, 0, &old);
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

	if ((uint32_t)arg[0] >= NR_ITIMERS)
		return -EINVAL;
	if (arg[1] && copy_from_user(&new, arg[1], sizeof(new)))
		return -EFAULT;
	if (to_ns(new.value, &ns) || to_ns(new.interval, &period))
		return -EINVAL;
	set_itimer((unsigned)arg[0], ns, period, &old);
	return arg[2] ? copy_to_user(arg[2], &old, sizeof(old)) : 0;
}
SYSCALL(38, setitimer, 3, sys_setitimer);

static int64_t
sys_getitimer(const uint64_t *arg)
{
	const struct timer *timer;
	struct abi_itimerval now;
	irqflags_t flags;

	if ((uint32_t)arg[0] >= NR_ITIMERS)
		return -EINVAL;
	timer = &process_current()->private->itimer[arg[0]];
	flags = spin_lock_irqsave(&process_lock);
	now.value = to_timeval(left_locked(timer));
	now.interval = to_timeval(timer->period);
	spin_unlock_irqrestore(&process_lock, flags);
	return copy_to_user(arg[1], &now, sizeof(now));
}
SYSCALL(36, getitimer, 2, sys_getitimer);

/* ---- POSIX timers ------------------------------------------------------------------------ */

static struct timer *
find_locked(const struct process *process, uint64_t id)
{
	struct timer *timer;

	assert_held(&process_lock);
	list_for_each_entry (timer, &process->private->timers, link)
		if (timer->id == (int)id)
			return timer;
	return NULL;
}

/* The signal of a timer has been taken: its overrun is known. */
void
timers_taken_locked(struct process *process, const struct abi_siginfo *info)
{
	struct timer *timer = find_locked(process, (uint64_t)info->timer.id);

	assert_held(&process_lock);
	if (timer)
		timer->overrun = info->timer.overrun;
}

static bool
may_be_timed(int clock)
{
	uint64_t ns;
	irqflags_t flags;
	bool exists;

	if (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME)
		return true;
	if (!clock_is_cpu_time(clock))
		return false;
	flags = spin_lock_irqsave(&process_lock);
	exists = cpu_clock_read_locked(clock, &ns);
	spin_unlock_irqrestore(&process_lock, flags);
	return exists;
}

static int
check_event(const struct abi_sigevent *event)
{
	if (event->notify == SIGEV_NONE)
		return 0;
	if (event->notify != SIGEV_SIGNAL && event->notify != SIGEV_THREAD &&
	    event->notify != SIGEV_THREAD_ID)
		return -EINVAL;
	return event->signal < 1 || event->signal > NR_SIGNALS ? -EINVAL : 0;
}

/* Give it the lowest number that is free, and put it there in the list. */
static int
publish(struct timer *timer)
{
	struct process_private *private = timer->process->private;
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct list_head *behind = &private->timers;
	struct timer *other;
	int id = 0, error = 0;

	list_for_each_entry (other, &private->timers, link) {
		if (other->id != id)
			break;
		behind = &other->link;
		id++;
	}
	timer->id = id;
	if (timer->tid) {
		const struct user_thread *user = user_thread_find_locked(timer->tid);

		error = user && user->process == timer->process ? 0 : -EINVAL;
	}
	if (!error && id >= TIMERS_MAX)
		error = -EAGAIN;
	if (!error)
		list_add(&timer->link, behind);
	spin_unlock_irqrestore(&process_lock, flags);
	return error ? error : id;
}

static int64_t
sys_timer_create(const uint64_t *arg)
{
	struct abi_sigevent event = { .signal = SIGALRM, .notify = SIGEV_SIGNAL };
	struct timer *timer;
	int32_t id;

	if (!may_be_timed((int)arg[0]))
		return -EINVAL;
	if (arg[1] && copy_from_user(&event, arg[1], sizeof(event)))
		return -EFAULT;
	if (check_event(&event))
		return -EINVAL;
	timer = kmem_cache_alloc(&timer_cache, GFP_KERNEL);
	if (!timer)
		return -EAGAIN;
	*timer = (struct timer){
		.process = process_current(),
		.clock = (int)arg[0],
		.signal = event.signal,
		.notify = event.notify,
		.value = event.value,
		.tid = event.notify == SIGEV_THREAD_ID ? event.tid : 0,
	};
	id = publish(timer);
	if (id < 0) {
		kmem_cache_free(&timer_cache, timer);
		return id;
	}
	if (!arg[1]) /* then the value is its number */
		timer->value = (uint64_t)id;
	return copy_to_user(arg[2], &id, sizeof(id));
}
SYSCALL(222, timer_create, 3, sys_timer_create);

static void
set_locked(struct timer *timer, uint64_t ns, uint64_t period, bool absolute)
{
	uint64_t now = clock_now_locked(timer);

	assert_held(&process_lock);
	disarm_locked(timer);
	timer->period = period;
	timer->skipped = 0;
	timer->wall_at = absolute && timer->clock == CLOCK_REALTIME ? ns : 0;
	if (!ns)
		return;
	if (timer->wall_at)
		ns = from_wall_clock(ns);
	else if (!absolute)
		ns = now + MIN(ns, WAIT_FOREVER - now);
	arm_locked(timer, MAX(ns, 1));
}

static void
describe_locked(const struct timer *timer, struct abi_itimerspec *spec)
{
	assert_held(&process_lock);
	spec->value = to_timespec(left_locked(timer));
	spec->interval = to_timespec(timer->period);
}

static int64_t
sys_timer_settime(const uint64_t *arg)
{
	struct abi_itimerspec old;
	uint64_t ns, period;
	struct timer *timer;
	irqflags_t flags;
	int error = arg[2] ? read_timespec(arg[2], &period) : -EINVAL;

	if (!error)
		error = read_timespec(arg[2] + sizeof(struct abi_timespec), &ns);
	if (error)
		return error;
	flags = spin_lock_irqsave(&process_lock);
	timer = find_locked(process_current(), arg[0]);
	if (timer) {
		describe_locked(timer, &old);
		set_locked(timer, ns, period, arg[1] & TIMER_ABSTIME);
	}
	spin_unlock_irqrestore(&process_lock, flags);
	if (!timer)
		return -EINVAL;
	return arg[3] ? copy_to_user(arg[3], &old, sizeof(old)) : 0;
}
SYSCALL(223, timer_settime, 4, sys_timer_settime);

static int64_t
sys_timer_gettime(const uint64_t *arg)
{
	struct abi_itimerspec now;
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	const struct timer *timer = find_locked(process_current(), arg[0]);

	if (timer)
		describe_locked(timer, &now);
	spin_unlock_irqrestore(&process_lock, flags);
	return timer ? copy_to_user(arg[1], &now, sizeof(now)) : -EINVAL;
}
SYSCALL(224, timer_gettime, 2, sys_timer_gettime);

static int64_t
sys_timer_getoverrun(const uint64_t *arg)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	const struct timer *timer = find_locked(process_current(), arg[0]);
	int overrun = timer ? timer->overrun : -EINVAL;

	spin_unlock_irqrestore(&process_lock, flags);
	return overrun;
}
SYSCALL(225, timer_getoverrun, 1, sys_timer_getoverrun);

static int64_t
sys_timer_delete(const uint64_t *arg)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct timer *timer = find_locked(process_current(), arg[0]);

	if (timer) {
		disarm_locked(timer);
		list_del(&timer->link);
	}
	spin_unlock_irqrestore(&process_lock, flags);
	if (!timer)
		return -EINVAL;
	kmem_cache_free(&timer_cache, timer);
	return 0;
}
SYSCALL(226, timer_delete, 1, sys_timer_delete);

/* A new program keeps what setitimer() has set; after a process's end nothing is due. */
void
timers_drop(struct process *process, bool has_ended)
{
	struct process_private *private = process->private;
	struct list_head dropped = LIST_INIT(dropped);
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct timer *timer, *next;

	list_for_each_entry_safe (timer, next, &private->timers, link) {
		disarm_locked(timer);
		list_del(&timer->link);
		list_add_tail(&timer->link, &dropped);
	}
	for (unsigned i = 0; has_ended && i < NR_ITIMERS; i++)
		disarm_locked(&private->itimer[i]);
	if (has_ended)
		disarm_locked(&private->cpu_limit);
	spin_unlock_irqrestore(&process_lock, flags);
	list_for_each_entry_safe (timer, next, &dropped, link)
		kmem_cache_free(&timer_cache, timer);
}

static void
start_watching(void)
{
	struct thread *thread = thread_create("timers", watch_timers, NULL, CPU_ANY);

	if (!thread)
		panic("no memory for the stack of a thread");
	thread_set_priority(thread, PRIORITY_SERVICE, true);
}
START_STEP(timers, start_watching, START_PROCESSES);
