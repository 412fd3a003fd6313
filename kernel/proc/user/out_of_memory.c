/* SPDX-License-Identifier: MIT */
/*
 * Who must go when memory has run out.
 *
 * PROBLEM. Programs are promised more memory than there is. When a fault finds no frame, somebody
 * has to give some back, and programs cannot be asked to.
 *
 * IDEA. End the one that has most: whoever has grown that large is most likely the reason, and
 * its end helps most. Not the first process, with which all others would end. The thread that
 * needs the frame waits until the memory has come back, and faults again.
 *
 *	fault: no frame --> largest process is this one:  SIGKILL, the fault is given up
 *	                    another one:                   SIGKILL, wait for its end, fault again
 *	                    that does not end in time:     as if this one were the largest
 *
 * LOCKING. None is held from one step to the next: processes may come and go meanwhile.
 */
#include <page_allocator.h>
#include <printk.h>
#include <time.h>

#include "user.h"

#define PATIENCE_NS (2 * NSEC_PER_SEC)
#define NAP_NS	    NSEC_PER_MSEC

/* Pages that a process has to itself and would give back. 0: it has ended. */
static size_t
size_of(int pid)
{
	struct address_space *space = process_space(pid);
	struct space_stats stats;

	if (!space)
		return 0;
	space_get_stats(space, &stats);
	space_put(space);
	return stats.resident_anonymous + stats.tables;
}

/* The process with the most, but the first. 0: there is none. */
static int
largest(struct process_info *largest_info)
{
	struct process_info info;
	size_t most = 0;
	int found = 0;

	for (int pid = 2; process_info_next(pid, &info); pid = info.pid + 1) {
		size_t size = size_of(info.pid);

		if (size > most) {
			most = size;
			found = info.pid;
			*largest_info = info;
		}
	}
	return found;
}

/* Wait until it has given its memory back. Returns false if it takes too long. */
static bool
wait_for_end(int pid)
{
	uint64_t deadline = time_ns() + PATIENCE_NS;

	while (size_of(pid) > 0) {
		if (time_ns() > deadline)
			return false;
		thread_sleep_ns(NAP_NS);
	}
	return true;
}

/* Is the running process to end already, by another one's fault perhaps? */
static bool
is_ending(void)
{
	const struct process_private *process = process_current()->private;
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	uint64_t pending = process->pending.set | user_current()->pending.set;
	bool ending = process->ending || (pending & SIGNAL_BIT(SIGKILL)) != 0;

	spin_unlock_irqrestore(&process_lock, flags);
	return ending;
}

/* Who is to end. What a test has made fail concerns only who asked for that. */
static int
choose(int current, struct process_info *info)
{
	return page_allocator_has_failed(thread_current()) ? current : largest(info);
}

/* Told once: several threads may come to the same conclusion. */
static void
end(int pid, const char *name)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct process *process = process_find_locked(pid);
	bool tell = process && !process->private->out_of_memory;

	if (process)
		process->private->out_of_memory = true;
	spin_unlock_irqrestore(&process_lock, flags);
	if (signal_process(pid, SIGKILL) == 0 && tell)
		kprintf("out of memory: %s[%d] is killed\n", name, pid);
}

bool
out_of_memory(void)
{
	int current = process_current()->pid, victim;
	struct process_info info;

	if (is_ending())
		return false;
	victim = choose(current, &info);
	if (victim != 0 && victim != current) {
		end(victim, info.name);
		if (wait_for_end(victim))
			return true;
	}
	end(current, process_current()->name);
	return false;
}
