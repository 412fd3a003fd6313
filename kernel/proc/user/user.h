/* SPDX-License-Identifier: MIT */
/*
 * Processes and their threads as the files of kernel/proc/user see them.
 *
 * Locks. process_lock guards the family tree, who is in which process, group and session, and
 * all signals. It is a spin lock, held for short whiles only: nothing below it waits for memory.
 * What belongs to one thread alone, and is used only while that thread is in the kernel,
 * needs no lock.
 */
#ifndef USER_H
#define USER_H

#include <abi/signal.h>
#include <list.h>
#include <process.h>
#include <spinlock.h>
#include <syscall.h>
#include <tree.h>
#include <uaccess.h>

#include <arch/user.h>

#include "../proc.h"

/* (c) fixed   (p) process_lock   (o) its own thread only */
struct user_thread {
	struct thread *thread;	 /* (c) */
	struct process *process; /* (c) */
};

extern spinlock_t process_lock;

#endif
