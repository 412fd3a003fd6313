/* SPDX-License-Identifier: MIT */
/*
 * Processes and their threads as the files of kernel/proc/user see them.
 *
 * Locks. process_lock guards the family tree, who is in which process, group and session, and
 * all signals. It is a spin lock, held for short whiles only: nothing below it waits for memory
 * or puts a reference. What belongs to one thread alone, and is used only while that thread is
 * in the kernel, needs no lock.
 */
#ifndef USER_H
#define USER_H

#include <abi/resource.h>
#include <abi/sched.h>
#include <abi/signal.h>
#include <abi/time.h>
#include <errno.h>
#include <list.h>
#include <memory_advanced.h>
#include <process.h>
#include <spinlock.h>
#include <syscall.h>
#include <tree.h>
#include <uaccess.h>

#include <arch/user.h>

#include "../proc.h"

/* Signals that have been sent and not yet taken. */
struct signal_queue {
	uint64_t set;		  /* bit n - 1: signal n waits */
	struct list_head records; /* what is known of them, in the order sent */
	unsigned nr_records;
};

/* What a process does about signals. Processes may share it: clone(CLONE_SIGHAND). */
struct signal_actions {
	unsigned users;			     /* (p) processes */
	struct abi_sigaction of[NR_SIGNALS]; /* (p) of signal n at n - 1 */
};

/* From the cache of records. A signal without one was sent by the kernel. */
struct signal_record {
	struct list_head link;
	struct abi_siginfo info;
};

/* (c) fixed   (p) process_lock   (o) its own thread only   (s) sched_lock */
struct user_thread {
	struct tree_node node;	 /* (p) in the tree of threads; key: its id */
	struct thread *thread;	 /* (c) */
	struct process *process; /* (c) */
	struct list_head link;	 /* (p) in its process's list, then in that of the dead */

	struct arch_user arch;	     /* (o) and the scheduler's */
	int policy;		     /* (p) SCHED_*; what follows from it is in thread */
	bool reset_on_fork;	     /* (p) children are ordinary ones */
	struct address_space *space; /* (o) what it runs in; NULL: ended */

	struct signal_queue pending;	 /* (p) sent to this thread */
	uint64_t blocked;		 /* (p) written by its own thread only */
	uint64_t waits_for;		 /* (p) in sigtimedwait() */
	uint64_t saved_blocked;		 /* (o) to be put back after the next signal, */
	bool restore_blocked;		 /* (o) if so */
	uint64_t wait_until;		 /* (o) the time limit of a call that is made again, or 0 */
	struct abi_sigaltstack altstack; /* (o) */

	uintptr_t set_tid;     /* (o) a word to write its id to at the start, or 0 */
	uintptr_t clear_tid;   /* (o) a word to clear and wake at the end, or 0 */
	uintptr_t robust_list; /* (o) kept for the C library, see futex.c */

	uint64_t faults_minor, faults_major; /* written by (o): see fault_count() */
};

struct wait_status {
	int code;   /* CLD_* */
	int status; /* exit status or signal */
};

/* What threads have used, and are asked for by rusage and the like. */
struct process_times {
	uint64_t user_ns, system_ns;
	uint64_t faults_minor, faults_major;
};

/* One of setitimer() or timer_create(); all (p) once it can be found. timers.c */
struct timer {
	struct list_head link;	 /* in its process's list, if of timer_create() */
	struct list_head due;	 /* while armed: among those by time, or of its process */
	struct process *process; /* (c) */
	int id;			 /* (c) -1: of setitimer() */
	int clock;		 /* (c) CLOCK_*, or as clock_getcpuclockid() gives it */
	int signal, notify;	 /* (c) */
	int tid;		 /* (c) the thread that gets the signal; 0: the process */
	uint64_t value;		 /* (c) for the signal's record */
	uint64_t at;		 /* when it expires, by its clock; 0: not armed */
	uint64_t wall_at;	 /* the time of day meant by that, or 0 */
	uint64_t period;	 /* ns, or 0 */
	uint64_t skipped;	 /* expirations before at that nobody has seen to */
	int overrun;		 /* expirations that the signal taken last stands for, but one */
};

/* Numbers of a user or a group. users.c */
struct ids {
	uint32_t real, effective, saved;
	uint32_t files; /* for what is done to files: as a rule the effective one */
};
_Static_assert(sizeof(struct ids) == 4 * sizeof(uint32_t), "as struct process_info has them");

#define GROUPS_MAX 32

#define DEFAULT_TIMER_SLACK_NS 50000

struct credentials {
	struct ids uid, gid;
	unsigned nr_groups;
	uint32_t groups[GROUPS_MAX]; /* further ones */
};

/* What process.h keeps back. */
struct process_private {
	struct process process;
	struct tree_node node;		   /* (p) in the tree of processes; key: its id */
	int parent_pid;			   /* (p) 0: none; read without the lock */
	struct list_head children;	   /* (p) by sibling, also those that have ended */
	struct list_head sibling;	   /* (p) */
	struct list_head threads;	   /* (p) those that have not ended */
	unsigned nr_threads;		   /* (p) of them */
	struct user_thread *last;	   /* (p) who made it a zombie; for its reaper */
	struct wait_queue child_changed;   /* for wait4() */
	struct wait_queue threads_changed; /* one has ended */

	bool ending;		    /* (p) every thread is to end, for this reason: */
	struct wait_status end;	    /* (p) */
	struct user_thread *execer; /* (p) NULL, or the one that is to survive */
	bool stopped;		    /* (p) by a signal; every thread waits */
	bool goes_on;		    /* (p) since then, and its parent does not know yet */
	struct wait_queue continued;
	struct wait_status report; /* (p) stop or continuation not told yet; code 0: none */
	bool has_execed;	   /* (p) since it was forked */
	bool *vfork_done;	   /* (p) what its parent waits for in vfork(), or NULL */
	int exit_signal;	   /* (p) what its parent gets */

	struct signal_queue pending;	/* (p) sent to the process */
	struct signal_actions *actions; /* (p) */
	struct wait_queue signal_sent;	/* for signal_take() */

	struct file *executable;			  /* (p) */
	uintptr_t arg_start, arg_end, env_start, env_end; /* (o) set by exec */
	struct abi_rlimit limit[NR_RLIMITS];		  /* (p) */
	struct process_times times;			  /* (p) of threads that have ended */
	struct process_times children_times;		  /* (p) of those waited for */
	struct credentials credentials;			  /* (p) written by its own threads only */
	uint64_t started_ns;				  /* (c) */
	struct list_head timers;			  /* (p) of timer_create(), by number */
	struct list_head cpu_timers;	 /* (p) armed ones that measure processor time */
	struct timer itimer[NR_ITIMERS]; /* of setitimer() */
	struct timer cpu_limit;		 /* RLIMIT_CPU: each second from the limit on */
	int nice;			 /* (p) */
	uint32_t persona;		 /* (p) ADDR_NO_RANDOMIZE and the like */
	int death_signal;		 /* (p) what it gets when its parent ends, or 0 */
	bool reaps;			 /* (p) it gets the children of descendants that end */
	bool no_new_privileges;		 /* (a) by executing a program */
	bool out_of_memory;		 /* (p) it has been told that it ends for that reason */
	bool undumpable;		 /* (a) told to those that ask: there are no dumps */
	uint64_t timer_slack_ns;	 /* (a) told to those that ask */
	uint64_t default_slack_ns;	 /* (c) what its parent had when it was forked */
	uint32_t barriers;		 /* (a) kinds of membarrier() that it has asked for */
	unsigned cpu;			 /* (p) where its last thread ended */
};

extern spinlock_t process_lock;
extern struct process *first_process; /* (p) */

static inline struct user_thread *
user_current(void)
{
	return thread_current()->user;
}

static inline int
thread_tid(const struct user_thread *user)
{
	return (int)user->node.key;
}

/*
 * A fault of the running thread has found no frame: end the process that has most memory, and
 * wait until it has. Returns true if the fault is to be tried again, false if the running process
 * is to end itself. May sleep: out_of_memory.c.
 */
bool out_of_memory(void);

/* ---- process.c: making, finding and removing --------------------------------------------- */

/* A process without threads, child of parent (or NULL), not yet to be found. NULL: no memory. */
struct process *process_new(struct process *parent);

/* One more thread for it, that would run entry(); not yet to be found. NULL: no memory. */
struct user_thread *user_thread_new(struct process *process, void (*entry)(void *));

/* Undo the two above, for what nobody has found yet. */
void process_discard(struct process *process);
void user_thread_discard(struct user_thread *user);

/* Give them ids and put them into the trees. process: with its first thread. */
void process_publish_locked(struct process *process, struct user_thread *user);
void process_publish_first_locked(struct process *process, struct user_thread *user);
void user_thread_publish_locked(struct user_thread *user);

/* Take them out again: nobody can find them any more. */
void process_unpublish_locked(struct process *process);

/* For who traces address spaces: it has another space, or another name. */
void process_trace(const struct process *process);
void user_thread_unpublish_locked(struct user_thread *user);

/* By id, or NULL. */
struct process *process_find_locked(int pid);
struct user_thread *user_thread_find_locked(int tid);

/* By id, or the running thread for 0, or NULL. */
struct user_thread *user_thread_or_me_locked(int tid);

/* The process with the lowest id of at least pid, or NULL. */
struct process *process_next_locked(int pid);

/* The process with the highest id below pid, or NULL. */
struct process *process_before_locked(int pid);

/* Free a thread that has ended, and a process whose last one has, and nobody can find. Sleeps. */
void user_thread_free(struct user_thread *user);
void process_free(struct process *process);

/* The names of processes and threads. */
void process_set_name(struct process *process, const char *path);

/* ---- exit.c ------------------------------------------------------------------------------ */

/* Make all threads end but the running one, which goes on. -EINTR: it is to end itself. */
int process_kill_other_threads(void) __must_check;

/* Begin the end of a process. */
void process_end_locked(struct process *process, int code, int status);

/* End the running thread, and with the last one its process: with status, if it has no other. */
_Noreturn void user_thread_exit(int status);

/* What personality() knows of: programs begin at the same addresses each time. */
#define ADDR_NO_RANDOMIZE 0x0040000u

/* The process does not use its parent's memory any more: let vfork() return there. */
void vfork_release(struct process *process);

/*
 * The running thread has faulted, and the page is there now. Every such fault is a minor one: none
 * has waited for a device yet. One that has is to be counted here, too, as a major one.
 */
static inline void
fault_count(void)
{
	user_current()->faults_minor++;
}

/* What a thread of a program has used, and the threads of a process have, dead or alive. */
struct process_times thread_times(const struct thread *thread);
void times_add(struct process_times *to, struct process_times add);
struct process_times process_times_locked(struct process *process);

/* As getrusage() and wait4() tell them. */
void usage_fill(struct abi_rusage *usage, struct process_times times);

/* Tell the parent that the process has stopped or goes on. */
void tell_parent_locked(struct process *process, struct signal_record *record,
			struct list_head *dropped);

/*
 * The first process, with nothing in its address space and no open files, whose thread runs
 * entry() in the kernel. NULL: no memory.
 */
struct process *process_make_first(void (*entry)(void *));

/* Wait for the end of the first process, kill all others, and free everything. */
struct wait_status process_wait_first(void);

/* The first process has become a zombie, which nobody else waits for. */
extern struct wait_queue first_process_ended;

/* Where records go that nobody can free: into the hands of the reaper. */
struct list_head *reaper_records_locked(void);

/* Wait until everything that has ended has been freed: for tests. */
void reaper_wait(void);

/* ---- fork.c ------------------------------------------------------------------------------ */

/* Where a thread of a program begins, in the kernel. */
void user_thread_main(void *arg);

/* ---- exec.c ------------------------------------------------------------------------------ */

/* Strings that go to a new program: one after the other, each with its final 0. */
struct exec_strings {
	char *text;
	size_t size, room; /* bytes used, and allocated */
	unsigned nr;
};

struct exec_args {
	struct exec_strings argv, envp;
};

int exec_strings_add(struct exec_strings *strings, const char *text) __must_check;
void exec_args_free(struct exec_args *args);

/*
 * Make the running thread, the only one of its process, run the program at path. Returns 0, and
 * the program begins when the thread goes to user mode; or an error, and nothing has changed.
 * Past the point of no return, what goes wrong kills the process.
 */
int exec_program(const char *path, struct exec_args *args) __must_check;

/* ---- signal.c, signal_send.c ------------------------------------------------------------- */

void signals_init(struct signal_queue *queue);

/*
 * Take the signals of a set off a queue that process_lock guards, or that nobody else knows, and
 * add their records to the list; and free such records, with no lock held.
 */
void signals_take(struct signal_queue *queue, uint64_t set, struct list_head *dropped);
void signals_free(struct list_head *dropped);

enum signal_effect {
	EFFECT_IGNORE,
	EFFECT_HANDLER,
	EFFECT_STOP,
	EFFECT_END,
};

/* What the process would do with a signal that is not blocked. */
enum signal_effect signal_effect_locked(const struct process *process, int signal);

/* A record for a signal that is to be sent; NULL: no memory, and it will be sent without. */
struct signal_record *signal_record_alloc(int signal, int code);
void signal_record_free(struct signal_record *record);

/*
 * Send a signal to a process, or to that thread of it. record: NULL, or owned by this from here
 * on; what it does not need goes to dropped, for signals_free().
 */
void signal_send_locked(struct process *process, struct user_thread *user, int signal,
			struct signal_record *record, struct list_head *dropped);

/* Would the signal end the process of the running thread, were it sent now? */
bool signal_is_fatal(int signal);

/* Take the lowest signal of the set that waits for the thread. Returns it, or 0. */
int signal_take_locked(struct user_thread *user, uint64_t set, struct abi_siginfo *info,
		       struct list_head *dropped);

/* Those who wait in signal_take() for signals of the process, or poll, are to look again. */
void signal_wake_readers_locked(struct process *process);

/* The running thread does not take these signals of the process (any more): have others look. */
void signal_leave_to_others_locked(struct user_thread *me, uint64_t set);

/* Note in the running thread whether it has to see to anything. */
void signal_recalculate_locked(struct user_thread *me);

/* Set what is blocked for the running thread. */
void signal_set_blocked(uint64_t blocked);

/* See to all signals of the running thread, on its way to user mode. */
void signal_deliver(void);

/* A new program: handlers are forgotten. */
void signals_exec(void);

/*
 * What a process does about signals, all by default; let a child that nobody has found yet do the
 * same as its parent, for ever; and let the running process decide for itself again. NULL, -ENOMEM.
 */
struct signal_actions *signal_actions_new(void);
void signal_actions_put(struct signal_actions *actions);
void signal_actions_share(struct process *child, struct process *parent);
int signal_actions_unshare(void) __must_check;

#define SIGNALS_UNBLOCKABLE (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))

/* What instructions cause. */
#define SIGNALS_OF_FAULTS                                                                          \
	(SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGILL) |      \
	 SIGNAL_BIT(SIGTRAP))

/* ---- users.c ----------------------------------------------------------------------------- */

/* It executes a file of these owners with the bits that say so: UINT32_MAX where there is none. */
void credentials_exec(uint32_t set_uid, uint32_t set_gid);

/* May the running process send signals to that process, and change what it may use? */
bool may_control_locked(const struct process *process);
bool may_access_memory_locked(const struct process *process);

/* May it change its niceness, policy and CPUs? */
bool may_schedule_locked(const struct process *process);

/* ---- futex.c, time.c --------------------------------------------------------------------- */

void futex_wake_address(uintptr_t address);
void futex_exit(void); /* the running thread ends: locks that it holds are marked */

/*
 * A time that a program gives as a timespec from now on, as time_ns(). 0, -EFAULT or -EINVAL. A
 * call that is made again, because it returned call_again_until(), gets the time it had then.
 */
int read_timeout(uintptr_t from, uint64_t *until) __must_check;

/*
 * What a call with such a time limit returns when it is interrupted: unless a handler is called,
 * it is made again and has what is left of its time.
 */
int call_again_until(uint64_t until);

/* The same for a time of a clock, CLOCK_REALTIME or another. */
int read_deadline(uintptr_t from, int clock, uint64_t *until) __must_check;

/* ---- timers.c ---------------------------------------------------------------------------- */

void timers_init(struct process *process);

/* Those of processor time: the running thread was found by a tick, and is on its way back. */
void timers_check_cpu(void);

/* A signal of code SI_TIMER has been taken from a queue. */
void timers_taken_locked(struct process *process, const struct abi_siginfo *info);

/* Its program is replaced, or it has ended. */
void timers_drop(struct process *process, bool has_ended);

/* RLIMIT_CPU has changed. */
void timers_limit_cpu_locked(struct process *process);

#endif
