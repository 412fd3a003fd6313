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
	THREAD_ASLEEP,	/* on a wait queue or a CPU's list of sleepers, or both */
	THREAD_DEAD,	/* has ended; waits to be joined */
};

/*
 * From the cache of threads, except those of the boot and idle threads.
 * (c) fixed at creation   (s) sched_lock
 */
struct thread {
	bool interrupted;	  /* (s) something waits that ends its sleeps. syscall_entry.S */
	uintptr_t sp;		  /* (s) where arch_switch() left it; while not running */
	enum thread_state state;  /* (s) */
	struct list_head link;	  /* (s) in the run queue, or in a wait queue if queued */
	struct list_head timer;	  /* (s) in a CPU's list of sleepers if timed */
	struct list_head all;	  /* (s) in all_threads */
	uint64_t wake_at;	  /* (s) time_ns(); while on a list of sleepers */
	uint64_t run_ns;	  /* (s) time spent running, up to the last switch */
	uint64_t ticks[2];	  /* (s) that found it in the kernel, and in user mode */
	uint64_t cpus;		  /* (s) bit for each CPU it may run on */
	int nice;		  /* (s) -20: long ticks, to 19: short ones */
	int priority;		  /* (s) 0: an ordinary one; from 1 on, real-time */
	bool unsliced;		  /* (s) of its priority, it runs until it waits */
	unsigned cpu;		  /* (s) where it runs, or ran last */
	bool queued, timed;	  /* (s) */
	bool watched;		  /* a tick that finds it running sets interrupted */
	bool interruptible;	  /* (s) thread_interrupt() ends its sleep */
	int woken;		  /* (s) what its sleep is to return */
	unsigned id;		  /* (c) */
	struct user_thread *user; /* (c) of a program: kernel/proc/user. Else NULL */
	void (*entry)(void *);	  /* (c) */
	void *arg;		  /* (c) */
	uintptr_t stack;	  /* (c) top, for kstack_free() */
	struct wait_queue exit;	  /* who joins it */
	char name[24];		  /* (c) */
};

extern spinlock_t sched_lock;
extern struct list_head all_threads; /* (s) */

/* Fill in a new thread and add it to all_threads. It is not READY yet. cpu: or CPU_ANY. */
void thread_init_locked(struct thread *thread, const char *name, int cpu);

/*
 * thread_create() in two steps, for those who have more to fill in: a thread that has never run,
 * with reserve bytes (a multiple of 16) kept free at the top of its stack; and its start, or its
 * end if it is not to run at all. thread_new() may sleep.
 */
struct thread *thread_new(const char *name, void (*entry)(void *), void *arg, size_t reserve);
void thread_start(struct thread *thread);
void thread_discard(struct thread *thread);

/* End the running thread, as if its entry function returned. */
_Noreturn void thread_exit(void);

/* Time that the running thread has run since what run_ns says. */
uint64_t thread_unaccounted_ns(void);

/* End a thread's sleep, if it may be ended, and those that it tries until it is cleared. */
void thread_interrupt(struct thread *thread);
void thread_clear_interrupt(struct thread *thread);

/*
 * Let it run on these CPUs only, of which one at least is there; from now on. If it is the running
 * one it may sleep.
 */
void thread_set_cpus(struct thread *thread, uint64_t cpus);

/* How long a thread that is as nice as all runs at a stretch. */
uint64_t sched_tick_ns(void);

/*
 * Called, if set, before each switch to another thread, with interrupts off: for what programs
 * have in registers that the kernel does not use.
 */
extern void (*sched_switch_hook)(struct thread *prev, struct thread *next);

/* Put a thread on the run queue, and wake an idle CPU that may run it. */
void sched_ready_locked(struct thread *thread);

/*
 * Give up the CPU: run another thread, or idle. The caller has changed its own state and
 * put itself on a queue. Returns when somebody has made it ready and its turn has come.
 */
void sched_switch_locked(void);

/* Enter this thread into this CPU's list of sleepers, and its state into ASLEEP. */
void sched_add_sleeper_locked(struct thread *thread, uint64_t wake_at);

/* Make a sleeping thread ready, out of all the queues it is in. woken: why, 0 or an error. */
void sched_wake_locked(struct thread *thread, int woken);

/* Sleep on a queue until woken. */
void wait_locked(struct wait_queue *queue);

/* As wait_on_until(). */
int wait_until_locked(struct wait_queue *queue, uint64_t until) __must_check;
void wake_all_locked(struct wait_queue *queue);

#endif
