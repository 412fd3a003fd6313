/* SPDX-License-Identifier: MIT */
/* Locks on ranges of files: record_lock.c. */
#ifndef RECORD_LOCK_H
#define RECORD_LOCK_H

#include "fs.h"

/*
 * fcntl() with F_GETLK, F_SETLK or F_SETLKW and the address of its struct, for a descriptor of the
 * running process and its file. Returns 0; -EAGAIN, -EDEADLK, -ERESTARTSYS, -ENOLCK for want of
 * memory, -EBADF, -EINVAL, -EOVERFLOW, -EFAULT. May sleep.
 */
int record_lock_call(struct file *file, int fd, int command, uintptr_t at);

/* Who has table as its descriptors has closed one of the inode: its locks on it go. */
void record_locks_release(struct inode *inode, const struct fd_table *table);

#endif
