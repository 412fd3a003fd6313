/* SPDX-License-Identifier: MIT */
/* What the suites of files share. They run in a thread of the kernel, whose root is the root. */
#ifndef FS_HELPERS_H
#define FS_HELPERS_H

#include <ktest.h>
#include <page_allocator.h>
#include <printk.h>
#include <slab.h>
#include <string.h>

#include "../../kernel/fs/fs.h"

static inline struct transfer
kernel_transfer(const void *at, size_t size)
{
	return (struct transfer){ (uintptr_t)at, size, true };
}

static inline int
open_at_path(const char *path, int flags, struct file **file)
{
	return file_open(kernel_context, path, flags, 0644, file);
}

static inline int64_t
write_bytes(struct file *file, const void *from, size_t size)
{
	struct transfer transfer = kernel_transfer(from, size);

	return file_write(file, &transfer, NULL);
}

static inline int64_t
read_bytes(struct file *file, void *to, size_t size)
{
	struct transfer transfer = kernel_transfer(to, size);

	return file_read(file, &transfer, NULL);
}

/* Give a new inode, whose reference goes, a name. NULL: there was no memory for it. */
static inline int
make_name(const char *path, struct inode *inode)
{
	struct walk walk;
	int error = inode ? walk_begin(&walk, kernel_context, path) : -ENOMEM;

	if (error) {
		if (inode)
			inode_put(inode);
		return error;
	}
	mutex_lock(&names_lock);
	error = walk_locked(&walk, WALK_PARENT);
	if (!error && walk.found)
		error = -EEXIST;
	if (!error)
		error =
		    name_create_locked(walk.directory, walk.name, walk.size, inode, &walk.found);
	else
		inode_put(inode);
	mutex_unlock(&names_lock);
	walk_end(&walk);
	return error;
}

static inline int
make_directory(const char *path)
{
	return make_name(path, ramfs_create(S_IFDIR | 0755, 0));
}

static inline int
make_symlink(const char *target, const char *path)
{
	return make_name(path, ramfs_create_link(target, strlen(target)));
}

static inline int
remove_path(const char *path, bool directory)
{
	struct walk walk;
	int error = walk_begin(&walk, kernel_context, path);

	if (error)
		return error;
	mutex_lock(&names_lock);
	error = walk_locked(&walk, WALK_PARENT);
	if (!error)
		error = walk.found ? name_remove_locked(walk.found, directory) : -ENOENT;
	mutex_unlock(&names_lock);
	walk_end(&walk);
	return error;
}

static inline int
rename_path(const char *from_path, const char *to_path, unsigned flags)
{
	struct walk from, to;
	int error = walk_begin(&from, kernel_context, from_path);

	if (error)
		return error;
	error = walk_begin(&to, kernel_context, to_path);
	if (!error) {
		mutex_lock(&names_lock);
		error = walk_locked(&from, WALK_PARENT);
		if (!error)
			error = walk_locked(&to, WALK_PARENT);
		if (!error)
			error = from.found ? name_rename_locked(from.found, to.directory, to.name,
								to.size, to.found, flags)
					   : -ENOENT;
		mutex_unlock(&names_lock);
		walk_end(&to);
	}
	walk_end(&from);
	return error;
}

/* Make a regular file that holds the text. */
static inline int
make_file(const char *path, const char *text)
{
	struct file *file;
	int error = open_at_path(path, O_CREAT | O_EXCL | O_WRONLY, &file);
	int64_t written;

	if (error)
		return error;
	written = write_bytes(file, text, strlen(text));
	file_put(file);
	return written < 0 ? (int)written : 0;
}

/* What walking to a path results in: 0 or an error. */
static inline int
walk_to(const char *path, unsigned flags)
{
	struct dentry *found;
	int error = path_find(kernel_context, path, flags, &found);

	if (!error)
		dentry_put(found);
	return error;
}

#endif
