/* SPDX-License-Identifier: MIT */
/*
 * System calls that tell about files.
 */
#include <page_allocator.h>
#include <page_cache.h>
#include <process.h>
#include <string.h>
#include <syscall.h>

#include "fs.h"

/* ---- stat ---------------------------------------------------------------------------------- */

static int64_t
stat_inode(struct inode *inode, uintptr_t to)
{
	struct abi_stat stat;

	inode_stat(inode, &stat);
	return copy_to_user(to, &stat, sizeof(stat));
}

static unsigned
walk_flags(unsigned at_flags)
{
	return (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) |
	       (at_flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
}

static int64_t
stat_path(int directory, uintptr_t path, unsigned flags, uintptr_t to)
{
	struct dentry *dentry;
	int64_t result;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT))
		return -EINVAL;
	result = path_find_user(directory, path, walk_flags(flags), &dentry);
	if (result < 0)
		return result;
	result = stat_inode(dentry->inode, to);
	dentry_put(dentry);
	return result;
}

static int64_t
sys_stat(const uint64_t *arg)
{
	return stat_path(AT_FDCWD, arg[0], 0, arg[1]);
}

static int64_t
sys_lstat(const uint64_t *arg)
{
	return stat_path(AT_FDCWD, arg[0], AT_SYMLINK_NOFOLLOW, arg[1]);
}

static int64_t
sys_newfstatat(const uint64_t *arg)
{
	return stat_path((int)arg[0], arg[1], (unsigned)arg[3], arg[2]);
}

static int64_t
sys_fstat(const uint64_t *arg)
{
	struct file *file = fd_current((int)arg[0]);
	int64_t result;

	if (!file)
		return -EBADF;
	result = stat_inode(file->inode, arg[1]);
	file_put(file);
	return result;
}

static struct abi_statx_time
to_statx_time(struct abi_timespec time)
{
	return (struct abi_statx_time){ time.sec, (uint32_t)time.nsec, 0 };
}

static int64_t
statx_inode(struct inode *inode, uintptr_t to)
{
	struct abi_statx statx = { .mask = STATX_BASIC_STATS };
	struct abi_stat stat;

	inode_stat(inode, &stat);
	statx.blksize = (uint32_t)stat.blksize;
	statx.nlink = (uint32_t)stat.nlink;
	statx.uid = stat.uid;
	statx.gid = stat.gid;
	statx.mode = (uint16_t)stat.mode;
	statx.ino = stat.ino;
	statx.size = (uint64_t)stat.size;
	statx.blocks = (uint64_t)stat.blocks;
	statx.atime = to_statx_time(stat.atime);
	statx.mtime = to_statx_time(stat.mtime);
	statx.ctime = to_statx_time(stat.ctime);
	statx.rdev_major = device_major(stat.rdev);
	statx.rdev_minor = device_minor(stat.rdev);
	statx.dev_major = device_major(stat.dev);
	statx.dev_minor = device_minor(stat.dev);
	return copy_to_user(to, &statx, sizeof(statx));
}

static int64_t
sys_statx(const uint64_t *arg)
{
	unsigned flags = (unsigned)arg[2];
	struct dentry *dentry;
	int64_t result;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE) ||
	    (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE || (arg[3] & STATX_RESERVED))
		return -EINVAL;
	result = path_find_user((int)arg[0], arg[1], walk_flags(flags), &dentry);
	if (result < 0)
		return result;
	result = statx_inode(dentry->inode, arg[4]);
	dentry_put(dentry);
	return result;
}

SYSCALL(4, stat, 2, sys_stat);
SYSCALL(6, lstat, 2, sys_lstat);
SYSCALL(5, fstat, 2, sys_fstat);
SYSCALL(262, newfstatat, 4, sys_newfstatat);
SYSCALL(332, statx, 5, sys_statx);

/* ---- access, readlink ---------------------------------------------------------------------- */

/* R_OK and the like are MAY_READ and so on. The way there is looked for as for all calls. */
static int64_t
access_at(int directory, uintptr_t path, unsigned wanted, unsigned flags)
{
	struct dentry *dentry;
	int error;

	if (wanted & ~(unsigned)(R_OK | W_OK | X_OK) ||
	    flags & ~(AT_SYMLINK_NOFOLLOW | AT_EACCESS | AT_EMPTY_PATH))
		return -EINVAL;
	error = path_find_user(directory, path, walk_flags(flags), &dentry);
	if (error)
		return error;
	error = flags & AT_EACCESS ? inode_permission(dentry->inode, wanted)
				   : inode_permission_real(dentry->inode, wanted);
	dentry_put(dentry);
	return error;
}

static int64_t
sys_access(const uint64_t *arg)
{
	return access_at(AT_FDCWD, arg[0], (unsigned)arg[1], 0);
}

static int64_t
sys_faccessat(const uint64_t *arg)
{
	return access_at((int)arg[0], arg[1], (unsigned)arg[2], 0);
}

static int64_t
sys_faccessat2(const uint64_t *arg)
{
	return access_at((int)arg[0], arg[1], (unsigned)arg[2], (unsigned)arg[3]);
}

/* The target of a link, cut to size: its length. */
static int64_t
read_link(struct inode *inode, char *to, size_t size)
{
	size_t length;

	if (!S_ISLNK(inode->mode))
		return -EINVAL;
	if (inode->ops->read_link)
		return inode->ops->read_link(inode, to, size);
	length = MIN(strlen(inode->target), size);
	memcpy(to, inode->target, length);
	return (int64_t)length;
}

static int64_t
read_link_at(int directory, uintptr_t path, uintptr_t to, int64_t size)
{
	struct dentry *dentry;
	char *buffer;
	int64_t length;

	if (size <= 0)
		return -EINVAL;
	length = path_find_user(directory, path, directory == AT_FDCWD ? 0 : WALK_EMPTY, &dentry);
	if (length < 0)
		return length;
	size = MIN(size, PATH_MAX);
	buffer = kmalloc((size_t)size, GFP_KERNEL);
	length = buffer ? read_link(dentry->inode, buffer, (size_t)size) : -ENOMEM;
	if (length > 0 && copy_to_user(to, buffer, (size_t)length))
		length = -EFAULT;
	kfree(buffer);
	dentry_put(dentry);
	return length;
}

static int64_t
sys_readlink(const uint64_t *arg)
{
	return read_link_at(AT_FDCWD, arg[0], arg[1], (int)arg[2]);
}

static int64_t
sys_readlinkat(const uint64_t *arg)
{
	return read_link_at((int)arg[0], arg[1], arg[2], (int)arg[3]);
}

SYSCALL(21, access, 2, sys_access);
SYSCALL(269, faccessat, 3, sys_faccessat);
SYSCALL(439, faccessat2, 4, sys_faccessat2);
SYSCALL(89, readlink, 3, sys_readlink);
SYSCALL(267, readlinkat, 4, sys_readlinkat);

/* ---- statfs -------------------------------------------------------------------------------- */

static int64_t
statfs_inode(struct inode *inode, uintptr_t to)
{
	struct abi_statfs statfs = { .bsize = PAGE_SIZE, .frsize = PAGE_SIZE, .namelen = NAME_MAX };
	size_t limit = files_in_memory_limit(), used = page_cache_total_unstored();

	if (inode_is_proc(inode)) {
		statfs.type = PROC_MAGIC;
	} else if (inode->mount) {
		inode->mount->ops->statfs(inode->mount, &statfs);
		statfs.flags =
		    ST_VALID | inode->mount->refused | (inode->mount->read_only ? ST_RDONLY : 0);
	} else {
		statfs.type = TMPFS_MAGIC;
		statfs.blocks = limit;
		statfs.bfree = statfs.bavail =
		    MIN(limit - MIN(used, limit), page_allocator_nr_free());
	}
	return copy_to_user(to, &statfs, sizeof(statfs));
}

static int64_t
sys_statfs(const uint64_t *arg)
{
	struct dentry *dentry;
	int64_t result = path_find_user(AT_FDCWD, arg[0], WALK_FOLLOW, &dentry);

	if (result < 0)
		return result;
	result = statfs_inode(dentry->inode, arg[1]);
	dentry_put(dentry);
	return result;
}

static int64_t
sys_fstatfs(const uint64_t *arg)
{
	struct file *file = fd_current((int)arg[0]);
	int64_t result;

	if (!file)
		return -EBADF;
	result = statfs_inode(file->inode, arg[1]);
	file_put(file);
	return result;
}

SYSCALL(137, statfs, 2, sys_statfs);
SYSCALL(138, fstatfs, 2, sys_fstatfs);
