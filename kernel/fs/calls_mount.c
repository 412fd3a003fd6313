/* SPDX-License-Identifier: MIT */
/*
 * System calls that mount, and those that write what has been written to the disk.
 */
#include <page_cache.h>
#include <process.h>
#include <string.h>
#include <syscall.h>

#include "mount.h"

/* ---- mount, umount2 ------------------------------------------------------------------------ */

#define MS_RDONLY      1
#define MS_SYNCHRONOUS 16
#define MS_REMOUNT     32
#define MS_NOATIME     1024
#define MS_NODIRATIME  2048
#define MS_SILENT      32768
#define MS_RELATIME    (1u << 21)
#define MS_MAGIC       0xc0ed0000u
#define MS_MAGIC_MASK  0xffff0000u

#define MOUNT_NO_ANY (MOUNT_NO_SET_ID | MOUNT_NO_DEVICES | MOUNT_NO_EXECUTE)

/* What is taken and changes nothing here: times are cheap. */
#define MS_IGNORED (MS_NOATIME | MS_NODIRATIME | MS_SILENT | MS_RELATIME)

/* Copy a path, or options, of the program. *to: kmalloc()ed. */
static int
copy_path(uintptr_t from, char **to)
{
	int64_t size;

	*to = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!*to)
		return -ENOMEM;
	size = copy_string_from_user(*to, from, PATH_MAX);
	if (size >= 0)
		return 0;
	kfree(*to);
	*to = NULL;
	return (int)size;
}

static int64_t
sys_mount(const uint64_t *arg)
{
	char *source = NULL, *path = NULL, *type = NULL, *options = NULL;
	unsigned flags = (unsigned)arg[3];
	int error = arg[2] ? 0 : -EINVAL;

	if (!is_privileged())
		return -EPERM;
	if ((flags & MS_MAGIC_MASK) == MS_MAGIC)
		flags &= ~MS_MAGIC_MASK;
	if (flags & ~(MS_RDONLY | MOUNT_NO_ANY | MS_IGNORED))
		return -EINVAL;
	if (!error && arg[0])
		error = copy_path(arg[0], &source);
	if (!error)
		error = copy_path(arg[1], &path);
	if (!error)
		error = copy_path(arg[2], &type);
	if (!error && arg[4])
		error = copy_path(arg[4], &options);
	if (!error)
		error = mount_at(context_current(), source, path, type, options, flags & MS_RDONLY,
				 flags & MOUNT_NO_ANY);
	kfree(source);
	kfree(path);
	kfree(type);
	kfree(options);
	return error;
}

#define MNT_FORCE	1
#define UMOUNT_NOFOLLOW 8

static int64_t
sys_umount2(const uint64_t *arg)
{
	char *path;
	int error;

	if (!is_privileged())
		return -EPERM;
	if (arg[1] & ~(uint64_t)(MNT_FORCE | UMOUNT_NOFOLLOW))
		return -EINVAL;
	error = copy_path(arg[0], &path);
	if (error)
		return error;
	error = mount_remove(context_current(), path);
	kfree(path);
	return error;
}

SYSCALL(165, mount, 5, sys_mount);
SYSCALL(166, umount2, 2, sys_umount2);

/* ---- fsync, sync --------------------------------------------------------------------------- */

static int
sync_file(struct file *file)
{
	struct inode *inode = file->inode;

	if (file->flags & O_PATH)
		return -EBADF;
	if (file->ops == &block_ops)
		return block_file_sync(file);
	if (inode_has_pages(inode))
		return file_pages_sync(inode, &file->error_seen);
	if (!S_ISDIR(inode->mode) && !S_ISREG(inode->mode))
		return -EINVAL;
	return inode->mount ? inode->mount->ops->sync_inode(inode) : 0;
}

/* What fdatasync() need not write, the time, lies beside what it must. */
static int64_t
sys_fsync(const uint64_t *arg)
{
	struct file *file = fd_current((int)arg[0]);
	int64_t result;

	if (!file)
		return -EBADF;
	result = sync_file(file);
	file_put(file);
	return result;
}

static int64_t
sys_sync(const uint64_t *arg)
{
	(void)arg;
	(void)mount_write_back(0);
	(void)mount_sync_all();
	return 0;
}

static int64_t
sys_syncfs(const uint64_t *arg)
{
	struct file *file = fd_current((int)arg[0]);
	int error = 0, later;

	if (!file)
		return -EBADF;
	if (file->flags & O_PATH)
		error = -EBADF;
	if (!error && file->inode->mount) {
		error = mount_write_back(0);
		later = file->inode->mount->ops->sync(file->inode->mount);
		error = error ? error : later;
	}
	file_put(file);
	return error;
}

SYSCALL(74, fsync, 1, sys_fsync);
SYSCALL(75, fdatasync, 1, sys_fsync);
SYSCALL(162, sync, 0, sys_sync);
SYSCALL(306, syncfs, 1, sys_syncfs);
