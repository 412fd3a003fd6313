/* SPDX-License-Identifier: MIT */
/* Advisory locks: flock.c. */
#ifndef FLOCK_H
#define FLOCK_H

#include "fs.h"

/* flock(): operation LOCK_*. Returns 0, -EWOULDBLOCK, -EINTR, -EINVAL, -ENOMEM. May sleep. */
int flock_set(struct file *file, int operation);

/* The file is closed, the inode goes. */
void flock_release(struct file *file);
void flock_destroy(struct inode *inode);

#endif
