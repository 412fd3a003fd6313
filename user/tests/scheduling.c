/* SPDX-License-Identifier: MIT */
/* Scheduling policies: who runs first. What needs privileges is skipped without them. */
#include "ktap.h"

#include <sched.h>
#include <sys/resource.h>

#define EACH_SPINS 2000000

/* The C library has no wrappers that do anything. */
static long
set_policy(int tid, int policy, int priority)
{
	return syscall(SYS_sched_setscheduler, tid, policy, &priority);
}

static long
policy_of(int tid)
{
	return syscall(SYS_sched_getscheduler, tid);
}

static int
priority_of(int tid)
{
	int priority = -1;

	is(syscall(SYS_sched_getparam, tid, &priority), 0);
	return priority;
}

static bool
may_be_real_time(void)
{
	return geteuid() == 0 && set_policy(0, SCHED_FIFO, 1) == 0 &&
	       set_policy(0, SCHED_OTHER, 0) == 0;
}

/* All that follows on one processor. */
static void
on_one_processor(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	is(sched_setaffinity(0, sizeof(set), &set), 0);
}

CASE(ranges)
{
	is(syscall(SYS_sched_get_priority_min, SCHED_OTHER), 0);
	is(syscall(SYS_sched_get_priority_max, SCHED_OTHER), 0);
	is(syscall(SYS_sched_get_priority_min, SCHED_FIFO), 1);
	is(syscall(SYS_sched_get_priority_max, SCHED_FIFO), 99);
	is(syscall(SYS_sched_get_priority_min, SCHED_RR), 1);
	is(syscall(SYS_sched_get_priority_max, SCHED_RR), 99);
	is(syscall(SYS_sched_get_priority_min, SCHED_DEADLINE), 0);
	is(syscall(SYS_sched_get_priority_max, SCHED_DEADLINE), 0);
	fails(syscall(SYS_sched_get_priority_max, 77), EINVAL);
	fails(syscall(SYS_sched_get_priority_min, -1), EINVAL);
}

CASE(refused)
{
	int priority = 0;

	fails(set_policy(0, 77, 0), EINVAL);
	fails(set_policy(0, SCHED_OTHER, 1), EINVAL);
	fails(set_policy(0, SCHED_FIFO, 0), EINVAL);
	fails(set_policy(0, SCHED_RR, 100), EINVAL);
	fails(set_policy(-1, SCHED_OTHER, 0), EINVAL);
	fails(set_policy(999999, SCHED_OTHER, 0), ESRCH);
	fails(policy_of(999999), ESRCH);
	fails(syscall(SYS_sched_getparam, 0, NULL), EINVAL);
	fails(syscall(SYS_sched_setparam, 0, 8), EFAULT);
	fails(syscall(SYS_sched_setparam, 999999, &priority), ESRCH);
}

CASE(kept_and_inherited)
{
	int status, priority = 7;
	pid_t child;

	is(policy_of(0), SCHED_OTHER);
	is(priority_of(0), 0);
	if (!may_be_real_time())
		return;
	is(set_policy(0, SCHED_RR, 5), 0);
	is(policy_of(0), SCHED_RR);
	is(syscall(SYS_sched_setparam, 0, &priority), 0);
	is(priority_of(getpid()), 7);
	child = fork();
	if (child == 0)
		_exit(policy_of(0) == SCHED_RR && priority_of(0) == 7 ? 0 : 1);
	is(waitpid(child, &status, 0), child);
	is(status, 0);
	is(set_policy(0, SCHED_FIFO | 0x40000000 /* SCHED_RESET_ON_FORK */, 3), 0);
	child = fork();
	if (child == 0)
		_exit(policy_of(0) == SCHED_OTHER && priority_of(0) == 0 ? 0 : 1);
	is(waitpid(child, &status, 0), child);
	is(status, 0);
}

/* ---- Who runs -------------------------------------------------------------------------------- */

struct shared {
	volatile int order[4], nr;
	volatile long spins[2];
	volatile int go, stop;
};

static struct shared *
shared_memory(void)
{
	void *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	need(memory != MAP_FAILED);
	return memory;
}

/* A child of that policy that notes when it was done with some work. */
static pid_t
worker(struct shared *shared, int name, int policy, int priority)
{
	pid_t child = fork();

	if (child)
		return child;
	need(set_policy(0, policy, priority) == 0);
	for (volatile int i = 0; i < EACH_SPINS; i++)
		;
	shared->order[shared->nr++] = name;
	_exit(0);
}

/* The more urgent are done first, in whatever order they began. */
CASE(more_urgent_first)
{
	struct shared *shared = shared_memory();
	int status;

	if (!may_be_real_time())
		return;
	on_one_processor();
	is(set_policy(0, SCHED_FIFO, 50), 0);
	worker(shared, 1, SCHED_FIFO, 10);
	worker(shared, 2, SCHED_RR, 20);
	worker(shared, 3, SCHED_OTHER, 0);
	worker(shared, 4, SCHED_FIFO, 30);
	while (wait(&status) > 0)
		is(status, 0);
	is(shared->order[0], 4);
	is(shared->order[1], 2);
	is(shared->order[2], 1);
	is(shared->order[3], 3);
}

/* Who becomes ready and is more urgent does not wait for a turn. */
CASE(preempted_at_once)
{
	struct shared *shared = shared_memory();
	int fd[2], status;
	char byte = 0;

	if (!may_be_real_time())
		return;
	on_one_processor();
	need(pipe(fd) == 0);
	is(set_policy(0, SCHED_FIFO, 10), 0);
	if (fork() == 0) {
		need(set_policy(0, SCHED_FIFO, 20) == 0);
		need(read(fd[0], &byte, 1) == 1);
		shared->go = 1;
		_exit(0);
	}
	sched_yield(); /* until the child waits for the byte */
	is(write(fd[1], &byte, 1), 1);
	is(shared->go, 1); /* before write() came back */
	yes(wait(&status) > 0);
	is(status, 0);
}

/*
 * Of the same priority, SCHED_FIFO does not share. Each child makes itself less urgent, and so the
 * first leaves the processor to the second, which then keeps it.
 */
CASE(no_turns)
{
	struct shared *shared = shared_memory();
	int status;

	if (!may_be_real_time())
		return;
	on_one_processor();
	is(set_policy(0, SCHED_FIFO, 50), 0);
	worker(shared, 1, SCHED_FIFO, 10);
	worker(shared, 2, SCHED_FIFO, 10);
	while (wait(&status) > 0)
		is(status, 0);
	is(shared->order[0], 2);
	is(shared->order[1], 1);
}

/* sched_yield() lets others of the same priority run, but nobody less urgent. */
CASE(yield)
{
	struct shared *shared = shared_memory();
	int status;

	if (!may_be_real_time())
		return;
	on_one_processor();
	is(set_policy(0, SCHED_FIFO, 10), 0);
	if (fork() == 0) {
		shared->go = 1;
		_exit(0);
	}
	if (fork() == 0) {
		need(set_policy(0, SCHED_OTHER, 0) == 0);
		shared->stop = 1;
		_exit(0);
	}
	while (!shared->go)
		sched_yield();
	for (int i = 0; i < 100; i++)
		sched_yield();
	is(shared->stop, 0);
	while (wait(&status) > 0)
		is(status, 0);
	is(shared->stop, 1);
}
