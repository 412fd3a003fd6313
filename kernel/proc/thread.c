/* SPDX-License-Identifier: MIT */
/*
 * The life of a thread: created, run, ended, joined.
 *
 * A thread is an object of a cache, and has a stack of frames of its own, with a page below
 * that nobody may touch: an overflow of the stack cannot reach the thread, or another's.
 *
 *	struct thread          guard page | stack, grows down ...  <- sp |  top
 *
 * A thread cannot free the stack it runs on. So it only ends, DEAD, and whoever created
 * it frees both in thread_join(). That is safe as soon as it can be seen to be DEAD: see the
 * locking in sched.c.
 */
#include <console.h>
#include <percpu.h>
#include <printk.h>
#include <slab.h>
#include <string.h>
#include <time.h>

#include <arch/thread.h>

#include "../lib/lockdep.h"
#include "proc.h"

static KMEM_CACHE(thread_cache, "thread", sizeof(struct thread), 64, 0, NULL);

static unsigned nr_created; /* (s) the next thread's id */

void
thread_init_locked(struct thread *thread, const char *name, int cpu)
{
	assert_held(&sched_lock);
	memset(thread, 0, sizeof(*thread));
	thread->cpus = cpu == CPU_ANY ? UINT64_MAX : 1ull << cpu;
	thread->id = nr_created++;
	wait_queue_init(&thread->exit);
	strlcpy(thread->name, name, sizeof(thread->name));
	list_add_tail(&thread->all, &all_threads);
}

_Noreturn void
thread_exit(void)
{
	struct thread *thread = thread_current();

	arch_irq_disable();
	spin_lock(&sched_lock);
	thread->state = THREAD_DEAD;
	wake_all_locked(&thread->exit);
	sched_switch_locked();
	__builtin_unreachable(); /* nobody makes a dead thread ready */
}

/* Where a thread begins: as if back from arch_switch(), holding sched_lock. */
static void
thread_main(void)
{
	struct thread *thread = thread_current();

	spin_unlock(&sched_lock);
	arch_irq_enable();
	thread->entry(thread->arg);
	thread_exit();
}

struct thread *
thread_new(const char *name, void (*entry)(void *), void *arg, size_t reserve)
{
	/* Also with interrupts off, where nobody may wait for memory. */
	gfp_t gfp = arch_irqs_enabled() ? GFP_KERNEL : GFP_NOWAIT;
	struct thread *thread;
	irqflags_t flags;
	uintptr_t top;

	thread = kmem_cache_alloc(&thread_cache, gfp);
	if (!thread)
		return NULL;
	top = reserve ? kstack_take(gfp) : kstack_alloc(gfp);
	if (!top)
		goto no_stack;
	flags = spin_lock_irqsave(&sched_lock);
	thread_init_locked(thread, name, CPU_ANY);
	thread->state = THREAD_DEAD; /* so far */
	thread->entry = entry;
	thread->arg = arg;
	thread->stack = top;
	thread->sp = arch_thread_stack(top - reserve, thread_main);
	spin_unlock_irqrestore(&sched_lock, flags);
	return thread;

no_stack:
	kmem_cache_free(&thread_cache, thread);
	return NULL;
}

void
thread_start(struct thread *thread)
{
	irqflags_t flags = spin_lock_irqsave(&sched_lock);

	sched_ready_locked(thread);
	spin_unlock_irqrestore(&sched_lock, flags);
}

void
thread_discard(struct thread *thread)
{
	thread_join(thread); /* which takes it for one that has ended */
}

struct thread *
thread_create(const char *name, void (*entry)(void *), void *arg, int cpu)
{
	struct thread *thread;

	ASSERT(cpu == CPU_ANY || (cpu >= 0 && cpu < (int)nr_cpus));
	thread = thread_new(name, entry, arg, 0);
	if (!thread)
		return NULL;
	if (cpu != CPU_ANY)
		thread->cpus = 1ull << cpu;
	thread_start(thread);
	return thread;
}

void
thread_join(struct thread *thread)
{
	irqflags_t flags;

	assert_may_sleep("thread_join");
	flags = spin_lock_irqsave(&sched_lock);
	while (thread->state != THREAD_DEAD)
		wait_locked(&thread->exit);
	list_del(&thread->all);
	spin_unlock_irqrestore(&sched_lock, flags);
	if (thread->user)
		kstack_keep(thread->stack);
	else
		kstack_free(thread->stack);
	kmem_cache_free(&thread_cache, thread);
}

struct thread *
thread_current(void)
{
	return arch_thread_current();
}

const char *
thread_name(const struct thread *thread)
{
	return thread->name;
}

void
thread_sleep_ns(uint64_t ns)
{
	irqflags_t flags;
	uint64_t now;

	assert_may_sleep("thread_sleep_ns");
	flags = spin_lock_irqsave(&sched_lock);
	now = time_ns();
	sched_add_sleeper_locked(thread_current(), now + MIN(ns, UINT64_MAX - now));
	sched_switch_locked();
	spin_unlock_irqrestore(&sched_lock, flags);
}

/* ---- The console command ps ----------------------------------------------------------- */

/* Copy the thread with the lowest id of at least min. Returns false if there is none. */
static bool
copy_thread(unsigned min, struct thread *copy)
{
	irqflags_t flags = spin_lock_irqsave(&sched_lock);
	struct thread *thread, *found = NULL;

	list_for_each_entry (thread, &all_threads, all) {
		if (thread->id >= min && (!found || thread->id < found->id))
			found = thread;
	}
	if (found)
		*copy = *found;
	spin_unlock_irqrestore(&sched_lock, flags);
	return found != NULL;
}

/* One at a time, so that printing, which is slow, does not hold up the scheduler. */
void
threads_print(void)
{
	static const char *const state_names[] = {
		[THREAD_READY] = "ready",
		[THREAD_RUNNING] = "running",
		[THREAD_ASLEEP] = "asleep",
		[THREAD_DEAD] = "dead",
	};
	struct thread thread;

	kprintf("%4s %-8s %3s %5s %10s %s\n", "id", "state", "cpu", "bound", "run ms", "name");
	for (unsigned id = 0; copy_thread(id, &thread); id = thread.id + 1)
		kprintf("%4u %-8s %3u %5s %10lu %s\n", thread.id, state_names[thread.state],
			thread.cpu, thread.cpus & (thread.cpus - 1) ? "any" : "one",
			(unsigned long)(thread.run_ns / NSEC_PER_MSEC), thread.name);
}

static void
ps(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	threads_print();
}

CONSOLE_COMMAND(ps, "ps", "", "list the threads", ps);
