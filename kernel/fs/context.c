/* SPDX-License-Identifier: MIT */
/*
 * Where a process is in the tree of names: its root, its current directory, and which permission
 * bits new files do not get. Threads share one, fork() copies it.
 *
 * Threads of the kernel use one of the kernel's own.
 *
 * LOCKING. names_lock guards root and current directory, so a walk begins at one moment's.
 */
#include <process.h>
#include <slab.h>

#include "fs.h"

static KMEM_CACHE(context_cache, "fs_context", sizeof(struct fs_context), 0, 0, NULL);

struct fs_context *kernel_context;

struct fs_context *
context_current(void)
{
	struct process *process = process_current();

	return process && process->fs ? process->fs : kernel_context;
}

struct fd_table *
files_current(void)
{
	struct process *process = process_current();

	return process ? process->files : NULL;
}

struct fs_context *
fs_context_create(void)
{
	struct fs_context *fs = kmem_cache_alloc(&context_cache, GFP_KERNEL);

	if (!fs)
		return NULL;
	*fs = (struct fs_context){ .refs = 1, .umask = 022 };
	fs->root = dentry_get(root_dentry);
	fs->current = dentry_get(root_dentry);
	return fs;
}

struct fs_context *
fs_context_get(struct fs_context *fs)
{
	__atomic_add_fetch(&fs->refs, 1, __ATOMIC_RELAXED);
	return fs;
}

void
fs_context_put(struct fs_context *fs)
{
	if (__atomic_sub_fetch(&fs->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	dentry_put(fs->root);
	dentry_put(fs->current);
	kmem_cache_free(&context_cache, fs);
}

int
fs_context_copy(struct fs_context *fs, struct fs_context **copy)
{
	*copy = kmem_cache_alloc(&context_cache, GFP_KERNEL);
	if (!*copy)
		return -ENOMEM;
	mutex_lock(&names_lock);
	**copy = (struct fs_context){ .refs = 1, .umask = fs->umask };
	(*copy)->root = dentry_get(fs->root);
	(*copy)->current = dentry_get(fs->current);
	mutex_unlock(&names_lock);
	return 0;
}
