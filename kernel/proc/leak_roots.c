/* SPDX-License-Identifier: MIT */
/*
 * Roots of the leak detector: the stacks of all threads, from where each ends now to its top.
 * A thread that runs has its registers there as well, since all CPUs have been stopped; one
 * that does not, since it was switched away from.
 */
#include <leak_roots.h>
#include <percpu.h>

#include <arch/thread.h>

#include "proc.h"

static void
each_stack(leak_scan_fn *scan)
{
	struct thread *thread;

	list_for_each_entry (thread, &all_threads, all) {
		uintptr_t sp = thread->sp;

		if (thread->state == THREAD_DEAD)
			continue;
		if (thread->state == THREAD_RUNNING)
			sp = arch_stopped_sp(thread->cpu);
		scan((const void *)sp, (const void *)kstack_top(sp));
	}
}
LEAK_ROOTS(stacks, each_stack);
