/* SPDX-License-Identifier: MIT */
/*
 * Threads: preemptive, round robin, on all CPUs. Those of programs are threads of the kernel
 * that now and then go to user mode.
 *
 * Every call here may be made from any thread. Those marked "may sleep" must not be
 * made with interrupts off, with a spin lock held, or from an interrupt handler.
 */
#ifndef IKOS_THREAD_H
#define IKOS_THREAD_H

#include <list.h>
#include <spinlock.h>
#include <types.h>

#define CPU_ANY (-1)

struct thread;

/*
 * Start a thread that runs entry(arg) and ends when it returns. cpu binds it to one
 * CPU, CPU_ANY lets it run anywhere. name is copied. Returns the thread, which the
 * caller must thread_join(), or NULL when there is no memory for its stack.
 */
struct thread *thread_create(const char *name, void (*entry)(void *), void *arg, int cpu);

/* Wait until the thread has ended and release it. May sleep. */
void thread_join(struct thread *thread);

/* The thread that runs on this CPU. */
struct thread *thread_current(void);

const char *thread_name(const struct thread *thread);

/* The console command "ps": one line a thread. */
void threads_print(void);

/* Let another thread run, if one is ready. May sleep. */
void thread_yield(void);

/* Sleep for at least that many nanoseconds. May sleep. */
void thread_sleep_ns(uint64_t ns);

/*
 * Its priority from now on: 0 for ordinary threads, those of 1 to PRIORITY_MAX come before them.
 * unsliced: it runs until it waits, without turns for others of the same. The kernel's own threads
 * that serve programs have PRIORITY_SERVICE, so that no program keeps them from it.
 */
#define PRIORITY_MAX	 99
#define PRIORITY_SERVICE 100

void thread_set_priority(struct thread *thread, int priority, bool unsliced);

/* A queue of threads that wait for something that the lock guards. */
struct wait_queue {
	struct list_head waiters; /* (s) sched_lock */
};

#define WAIT_QUEUE_INIT(name)                                                                      \
	{                                                                                          \
		LIST_INIT((name).waiters)                                                          \
	}

void wait_queue_init(struct wait_queue *queue);

/*
 * Sleep until woken. The caller holds lock (taken with spin_lock_irqsave(), its only
 * spin lock, of a rank below RANK_SCHED); it is released while the thread sleeps and
 * held again on return. Wake-ups between release and sleep are not lost. Use in a
 * loop that tests the condition again.
 */
void wait_on(struct wait_queue *queue, spinlock_t *lock);

#define WAIT_FOREVER UINT64_MAX

/*
 * The same, but no longer than until time_ns() is until, and not if thread_interrupt() was or is
 * called for this thread. Returns 0 if it was woken, or -ETIMEDOUT, or -ERESTARTSYS, which a
 * system call passes on: it is made again if the signal allows that.
 */
int wait_on_until(struct wait_queue *queue, spinlock_t *lock, uint64_t until) __must_check;

/* Make one or all waiters ready. Callable from interrupt handlers. */
void wake_one(struct wait_queue *queue);
void wake_all(struct wait_queue *queue);

/*
 * Preempt at a period drawn anew for each tick from [min_ns, max_ns] by the seed,
 * instead of the regular tick: a repeatable search for races. (0, 0, 0) goes back.
 */
void sched_fuzz_ticks(uint64_t min_ns, uint64_t max_ns, uint64_t seed);

#endif
