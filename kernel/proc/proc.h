/* SPDX-License-Identifier: MIT */
/* Threads as the files of kernel/proc see them. The theory is in sched.c. */
#ifndef PROC_H
#define PROC_H

#include <list.h>
#include <sched.h>
#include <spinlock.h>
#include <thread.h>
#include <types.h>

enum thread_state {
	THREAD_READY,	/* on the run queue */
	THREAD_RUNNING, /* on a CPU */
	THREAD_ASLEEP,	/* on a wait queue or a CPU's list of sleepers */
	THREAD_DEAD,	/* has ended; waits to be joined */
};

/*
 * From the cache of threads, except those of the boot and idle threads.
 * (c) fixed at creation   (s) sched_lock
 */
struct thread {
	uintptr_t sp;		 /* (s) where arch_switch() left it; while not running */
	enum thread_state state; /* (s) */
	struct list_head link;	 /* (s) in the one queue that the state says */
	struct list_head all;	 /* (s) in all_threads */
	uint64_t wake_at;	 /* (s) time_ns(); while on a list of sleepers */
	uint64_t run_ns;	 /* (s) time spent running, up to the last switch */
	int bound;		 /* (c) the only CPU it may run on, or CPU_ANY */
	unsigned cpu;		 /* (s) where it runs, or ran last */
	unsigned id;		 /* (c) */
	void (*entry)(void *);	 /* (c) */
	void *arg;		 /* (c) */
	uintptr_t stack;	 /* (c) top, for kstack_free() */
	struct wait_queue exit;	 /* who joins it */
	char name[24];		 /* (c) */
};

extern spinlock_t sched_lock;
extern struct list_head all_threads; /* (s) */

/* Fill in a new thread and add it to all_threads. It is not READY yet. */
void thread_init_locked(struct thread *thread, const char *name, int bound);

/* Put a thread on the run queue, and wake an idle CPU that may run it. */
void sched_ready_locked(struct thread *thread);

/*
 * Give up the CPU: run another thread, or idle. The caller has changed its own state and
 * put itself on a queue. Returns when somebody has made it ready and its turn has come.
 */
void sched_switch_locked(void);

/* Enter this thread into this CPU's list of sleepers, and its state into ASLEEP. */
void sched_add_sleeper_locked(struct thread *thread, uint64_t wake_at);

/* Sleep on a queue until woken. */
void wait_locked(struct wait_queue *queue);
void wake_all_locked(struct wait_queue *queue);

#endif
