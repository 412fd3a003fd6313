/* SPDX-License-Identifier: MIT */
/*
 * Limits, usage, the scheduler's calls, and what the system has.
 *
 * Of the limits those are obeyed that have something to limit: RLIMIT_STACK by exec, RLIMIT_AS by
 * whatever maps memory, RLIMIT_NOFILE by the table of descriptors. The others are kept and told.
 */
#include <abi/sched.h>
#include <cmdline.h>
#include <page_allocator.h>
#include <percpu.h>
#include <string.h>
#include <time.h>

#include "user.h"

#define FILES_LIMIT 1048576 /* descriptors: nobody may have more, as in Linux */

/* ---- Limits ------------------------------------------------------------------------------ */

uint64_t
process_limit(unsigned resource)
{
	const struct process *process = process_current();

	ASSERT_LT(resource, NR_RLIMITS);
	return process ? process->private->limit[resource].current : RLIM_INFINITY;
}

/* Get and set in one step; either may be NULL. pid 0: the running process. */
static int
exchange_limit(int pid, unsigned resource, const struct abi_rlimit *wanted, struct abi_rlimit *old)
{
	struct process *process;
	irqflags_t flags;
	int error = 0;

	if (resource >= NR_RLIMITS || (wanted && wanted->current > wanted->max))
		return -EINVAL;
	flags = spin_lock_irqsave(&process_lock);
	process = pid ? process_find_locked(pid) : process_current();
	if (!process)
		error = -ESRCH;
	else if (!may_control_locked(process) ||
		 (wanted && wanted->max > process->private->limit[resource].max &&
		  !is_privileged()) ||
		 (wanted && resource == RLIMIT_NOFILE && wanted->max > FILES_LIMIT))
		error = -EPERM;
	if (!error && old)
		*old = process->private->limit[resource];
	if (!error && wanted)
		process->private->limit[resource] = *wanted;
	if (!error && wanted && resource == RLIMIT_CPU)
		timers_limit_cpu_locked(process);
	spin_unlock_irqrestore(&process_lock, flags);
	return error;
}

static int64_t
sys_prlimit64(const uint64_t *arg)
{
	struct abi_rlimit new, old;
	int error;

	if (arg[2] && copy_from_user(&new, arg[2], sizeof(new)))
		return -EFAULT;
	error = exchange_limit((int)arg[0], (unsigned)arg[1], arg[2] ? &new : NULL, &old);
	if (!error && arg[3])
		error = copy_to_user(arg[3], &old, sizeof(old));
	return error;
}
SYSCALL(302, prlimit64, 4, sys_prlimit64);

static int64_t
sys_getrlimit(const uint64_t *arg)
{
	struct abi_rlimit old;
	int error = exchange_limit(0, (unsigned)arg[0], NULL, &old);

	return error ? error : copy_to_user(arg[1], &old, sizeof(old));
}
SYSCALL(97, getrlimit, 2, sys_getrlimit);

static int64_t
sys_setrlimit(const uint64_t *arg)
{
	struct abi_rlimit new;

	if (copy_from_user(&new, arg[1], sizeof(new)))
		return -EFAULT;
	return exchange_limit(0, (unsigned)arg[0], &new, NULL);
}
SYSCALL(160, setrlimit, 2, sys_setrlimit);

/* ---- Usage ------------------------------------------------------------------------------- */

static struct abi_timeval
to_timeval(uint64_t ns)
{
	return (struct abi_timeval){ (int64_t)(ns / NSEC_PER_SEC),
				     (int64_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC) };
}

void
usage_fill(struct abi_rusage *usage, struct process_times times)
{
	memset(usage, 0, sizeof(*usage));
	usage->user = to_timeval(times.user_ns);
	usage->system = to_timeval(times.system_ns);
	usage->minflt = (int64_t)times.faults_minor;
	usage->majflt = (int64_t)times.faults_major;
}

/* Pages of the running process, for what it says of itself. */
static void
add_memory(struct abi_rusage *usage)
{
	struct space_stats stats;

	space_get_stats(user_current()->space, &stats);
	usage->maxrss = (int64_t)(stats.peak_resident * PAGE_SIZE / KiB(1));
}

static int64_t
sys_getrusage(const uint64_t *arg)
{
	struct process *process = process_current();
	struct process_times times;
	struct abi_rusage usage;
	irqflags_t flags;
	int who = (int)arg[0];

	if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN && who != RUSAGE_THREAD)
		return -EINVAL;
	flags = spin_lock_irqsave(&process_lock);
	if (who == RUSAGE_SELF)
		times = process_times_locked(process);
	else if (who == RUSAGE_CHILDREN)
		times = process->private->children_times;
	else
		times = thread_times(thread_current());
	spin_unlock_irqrestore(&process_lock, flags);
	usage_fill(&usage, times);
	if (who != RUSAGE_CHILDREN)
		add_memory(&usage);
	return copy_to_user(arg[1], &usage, sizeof(usage));
}
SYSCALL(98, getrusage, 2, sys_getrusage);

/* ---- The system -------------------------------------------------------------------------- */

struct abi_sysinfo {
	int64_t uptime;
	uint64_t loads[3], total_ram, free_ram, shared_ram, buffer_ram, total_swap, free_swap;
	uint16_t processes, pad;
	uint32_t pad2;
	uint64_t total_high, free_high;
	uint32_t unit;
	uint8_t fill[4];
};
_Static_assert(sizeof(struct abi_sysinfo) == 112, "Linux's layout");

static int64_t
sys_sysinfo(const uint64_t *arg)
{
	struct abi_sysinfo info = { .uptime = (int64_t)(time_ns() / NSEC_PER_SEC), .unit = 1 };
	struct page_totals totals;
	struct process *process;
	irqflags_t flags;

	page_allocator_totals(&totals);
	info.total_ram = totals.managed * PAGE_SIZE;
	info.free_ram = totals.free * PAGE_SIZE;
	flags = spin_lock_irqsave(&process_lock);
	for (process = process_next_locked(0); process;
	     process = process_next_locked(process->pid + 1))
		info.processes++;
	spin_unlock_irqrestore(&process_lock, flags);
	return copy_to_user(arg[0], &info, sizeof(info));
}
SYSCALL(99, sysinfo, 1, sys_sysinfo);

/* ---- The scheduler ----------------------------------------------------------------------- */

static int64_t
sys_sched_yield(const uint64_t *arg)
{
	(void)arg;
	thread_yield();
	return 0;
}
SYSCALL(24, sched_yield, 0, sys_sched_yield);

static uint64_t
all_cpus(void)
{
	return nr_cpus == 64 ? UINT64_MAX : (1ull << nr_cpus) - 1;
}

static int64_t
sys_getcpu(const uint64_t *arg)
{
	uint32_t cpu = cpu_id(), node = 0;

	if (arg[0] && copy_to_user(arg[0], &cpu, sizeof(cpu)))
		return -EFAULT;
	return arg[1] ? copy_to_user(arg[1], &node, sizeof(node)) : 0;
}
SYSCALL(309, getcpu, 3, sys_getcpu);

static int64_t
sys_sched_getaffinity(const uint64_t *arg)
{
	irqflags_t flags;
	struct user_thread *user;
	uint64_t cpus = 0;

	if (arg[1] < sizeof(cpus) || arg[1] % sizeof(cpus))
		return -EINVAL;
	flags = spin_lock_irqsave(&process_lock);
	user = user_thread_or_me_locked((int)arg[0]);
	if (user)
		cpus = user->thread->cpus & all_cpus();
	spin_unlock_irqrestore(&process_lock, flags);
	if (!user)
		return -ESRCH;
	return copy_to_user(arg[2], &cpus, sizeof(cpus)) ? -EFAULT : (int64_t)sizeof(cpus);
}
SYSCALL(204, sched_getaffinity, 3, sys_sched_getaffinity);

static int64_t
sys_sched_setaffinity(const uint64_t *arg)
{
	struct user_thread *user;
	uint64_t cpus = 0;
	irqflags_t flags;
	int error;

	if (copy_from_user(&cpus, arg[2], MIN(arg[1], sizeof(cpus))))
		return -EFAULT;
	cpus &= all_cpus();
	if (!cpus)
		return -EINVAL;
	flags = spin_lock_irqsave(&process_lock);
	user = user_thread_or_me_locked((int)arg[0]);
	error = !user ? -ESRCH : may_schedule_locked(user->process) ? 0 : -EPERM;
	if (!error && user != user_current())
		thread_set_cpus(user->thread, cpus);
	spin_unlock_irqrestore(&process_lock, flags);
	if (!error && user == user_current())
		thread_set_cpus(user->thread, cpus); /* which may have to leave this CPU */
	return error;
}
SYSCALL(203, sched_setaffinity, 3, sys_sched_setaffinity);

/* ---- Priorities -------------------------------------------------------------------------- */

static bool
is_meant_locked(const struct process *process, int which, int who)
{
	assert_held(&process_lock);
	if (which == PRIO_PROCESS)
		return process->pid == (who ? who : process_current()->pid);
	if (which == PRIO_PGRP)
		return process->group == (who ? who : process_current()->group);
	return who == 0; /* PRIO_USER */
}

/* The lowest nice value of those meant; set: make it that for all of them. */
static int
for_each_nice(int which, int who, const int *set, int *lowest)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct process *process;
	struct user_thread *user;
	int error = -ESRCH;

	*lowest = 20;
	for (process = process_next_locked(0); process;
	     process = process_next_locked(process->pid + 1)) {
		if (!is_meant_locked(process, which, who))
			continue;
		if (set && !may_schedule_locked(process)) {
			error = -EPERM;
			continue;
		}
		if (set && *set < process->private->nice && !is_privileged()) {
			error = -EACCES;
			continue;
		}
		error = error == -ESRCH ? 0 : error;
		if (set) {
			process->private->nice = *set;
			list_for_each_entry (user, &process->private->threads, link)
				user->thread->nice = *set;
		}
		*lowest = MIN(*lowest, process->private->nice);
	}
	spin_unlock_irqrestore(&process_lock, flags);
	return error;
}

/* The call returns 20 - nice, so that it is not taken for an error. */
static int64_t
sys_getpriority(const uint64_t *arg)
{
	int lowest, error;

	if (arg[0] > PRIO_USER)
		return -EINVAL;
	error = for_each_nice((int)arg[0], (int)arg[1], NULL, &lowest);
	return error ? error : 20 - lowest;
}
SYSCALL(140, getpriority, 2, sys_getpriority);

static int64_t
sys_setpriority(const uint64_t *arg)
{
	int nice = MAX(MIN((int)arg[2], 19), -20), lowest;

	if (arg[0] > PRIO_USER)
		return -EINVAL;
	return for_each_nice((int)arg[0], (int)arg[1], &nice, &lowest);
}
SYSCALL(141, setpriority, 3, sys_setpriority);
