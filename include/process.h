/* SPDX-License-Identifier: MIT */
/*
 * Processes: programs in address spaces of their own. kernel/proc.
 *
 * A process is what its threads share. fork() makes a process with one thread, clone() with
 * CLONE_VM | CLONE_THREAD one more thread of the same process. Process ids and thread ids are
 * drawn from the same numbers; a process has the id of its first thread.
 */
#ifndef IKOS_PROCESS_H
#define IKOS_PROCESS_H

#include <address_space.h>
#include <file.h>
#include <types.h>

struct thread;

enum process_state {
	PROCESS_ALIVE,
	PROCESS_ZOMBIE, /* all threads have ended; its parent has not waited for it yet */
};

/* (c) fixed   (p) process_lock   (x) replaced by exec, by its only thread */
struct process {
	int pid;			 /* (c) */
	int group, session;		 /* (p) */
	struct process *parent;		 /* (p) NULL: the first process */
	enum process_state state;	 /* (p) */
	struct address_space *space;	 /* (x) NULL once it has ended */
	struct fd_table *files;		 /* (x) NULL once it has ended */
	struct fs_context *fs;		 /* (c) NULL once it has ended */
	char name[16];			 /* (x) last component of what it executes, cut short */
	struct process_private *private; /* kernel/proc's own */
};

/* The process of the running thread, or NULL for a thread of the kernel. */
struct process *process_current(void);
int process_current_thread(void); /* the number of the running thread of a program, or 0 */

/* The time of day: ns since 1970. */
uint64_t wall_clock_ns(void);

/* What the running process may use of a resource, RLIMIT_*; RLIM_INFINITY. <abi/resource.h> */
uint64_t process_limit(unsigned resource);

/* Start the first process, which runs path. Returns 0 or an error. */
int process_start_first(const char *path, const char *const *argv, const char *const *envp);

/* Send a signal to a process, a process group, or the running thread. 0, -ESRCH or -EINVAL. */
int signal_process(int pid, int signal);
int signal_group(int group, int signal);
void signal_current(int signal, int code, uintptr_t address);
void signal_current_key(uintptr_t address, unsigned key); /* SIGSEGV, SEGV_PKUERR */

/* The same with a reason, an error number, in si_errno. */
void signal_current_because(int signal, int code, int error, uintptr_t address);

/* Is a signal waiting that the running thread must see to: a sleep is to end with -EINTR? */
bool signal_pending(void);

struct abi_siginfo;

/*
 * Take the lowest signal of the set that waits for the running thread or its process, and describe
 * it in *info. wait: sleep until there is one. Returns 0; or -EAGAIN or -ERESTARTSYS, and nothing
 * was taken. Takes process_lock, under which the set is read anew each time that it looks.
 */
int signal_take(const uint64_t *set, bool wait, struct abi_siginfo *info) __must_check;

/* Does one of the set wait? Takes process_lock. */
bool signal_waits(const uint64_t *set);

/*
 * Give such a set other signals, without those that nobody may keep back: threads of the running
 * process that wait for one of it, or poll, look again. Takes process_lock.
 */
void signal_change_set(uint64_t *set, uint64_t signals);

/*
 * Block these signals instead, for a wait: until a signal has been handled, or this is taken back
 * because the wait ended without one.
 */
void signal_set_blocked_for_wait(uint64_t blocked);
void signal_restore_blocked(void);

/* How much of new programs' layout is random: enum layout_kind. Atomic: /proc/sys sets it. */
extern uint64_t randomize_va_space;

/* Ids are below it, which is PID_MAX_MIN to PID_MAX_MAX. Atomic: /proc/sys sets it. */
#define PID_MAX_MIN 4096 /* for 1,024 stacks, and as many groups and sessions */
#define PID_MAX_MAX (1 << 22)
extern uint64_t pid_max;

/* What uname() says: the release of a Linux whose programs can run, and the machine's name. */
#define SYSTEM_RELEASE "6.1.0-ikos"
void system_node_name(char *name, size_t size);

/*
 * Go through the segments of System V shared memory: *place is 0 at first. Returns the number of
 * the next one, described, with how many pages of it there are; or -1.
 */
struct abi_shmid_ds;
struct shm_limits {
	uint64_t size_max;     /* (a) bytes of a segment */
	uint64_t pages_max;    /* (a) of all */
	uint64_t segments_max; /* (a) at most SHM_SEGMENTS_MAX */
};
extern struct shm_limits shm_limits; /* /proc/sys sets them */

int shm_next(unsigned *place, struct abi_shmid_ds *what, size_t *resident);

/* ---- Whose files it may use ---------------------------------------------------------------- */

/* The running process as a user of files; real: as who it really is. Threads of the kernel: root.
 */
struct file_user {
	uint32_t uid, gid;
};

void process_file_user(struct file_user *who, bool real);
bool process_in_group(const struct file_user *who, uint32_t gid);

/* May it do what only the superuser may? */
bool is_privileged(void);

/* ---- What /proc shows ---------------------------------------------------------------------- */

struct process_info {
	int pid, parent, group, session, tty_group;
	int group_leader; /* the process that a thread is of; pid for a process */
	char state;	  /* R, S, Z, T as ps prints it */
	char name[16];
	unsigned nr_threads;
	uint64_t user_ns, system_ns; /* time spent running */
	uint64_t children_ns;	     /* of those waited for */
	uint64_t faults_minor, faults_major, children_minor, children_major;
	uint64_t started_ns;	 /* time_ns() */
	uint32_t uid[4], gid[4]; /* real, effective, saved, for files */
	unsigned nr_groups;
	uint32_t groups[32]; /* further ones */
	int priority, nice;
	int policy, real_time_priority; /* SCHED_*; 0: ordinary */
	unsigned cpu;			/* where it ran last */
	uint64_t signals_pending, signals_blocked, signals_ignored, signals_caught;
	uint64_t affinity;
};

/* The process with the lowest id of at least pid. Returns false if there is none. */
bool process_info_next(int pid, struct process_info *info);

/* The process of that number, or for another of its threads what is the thread's own. */
bool process_info_of(int id, struct process_info *info);

/* The kernel's thread behind it: to know it by, not to follow. NULL: there is none. */
const struct thread *process_thread(int id);

/* The lowest number, of at least id, of a thread of the process, or -1. */
int process_thread_next(int pid, int id);

/* For the numbers of processes and of threads: */

/* Its address space, files and arguments, for /proc: with references, NULL if it has ended. */
struct address_space *process_space(int pid);
struct fd_table *process_files(int pid);
struct file *process_executable(int pid);
struct fs_context *process_context(int pid);

/* Its limit of a resource, RLIMIT_* of <abi/resource.h>. Returns false if there is no such process.
 */
bool process_get_limit(int pid, unsigned resource, uint64_t *soft, uint64_t *hard);

/* Where in its address space arguments and environment lie. */
bool process_arguments(int pid, uintptr_t *arg_start, uintptr_t *arg_end, uintptr_t *env_start,
		       uintptr_t *env_end);

#endif
