/* SPDX-License-Identifier: MIT */
/*
 * System calls that change what is known about files, their sizes, and where a process is.
 *
 * Owners and permission bits are kept and shown, but everything runs as root.
 */
#include <process.h>
#include <string.h>
#include <syscall.h>

#include "fs.h"

/* Call fn for the inode that a path leads to. */
static int64_t
change_at(int directory, uintptr_t path, unsigned flags, int64_t (*fn)(struct inode *, void *),
	  void *arg)
{
	struct dentry *dentry;
	int64_t result = path_find_user(directory, path, flags, &dentry);

	if (result < 0)
		return result;
	result = fn(dentry->inode, arg);
	dentry_put(dentry);
	return result;
}

/* The same for a descriptor. */
static int64_t
change_fd(int fd, int64_t (*fn)(struct inode *, void *), void *arg)
{
	struct file *file = fd_current(fd);
	int64_t result;

	if (!file)
		return -EBADF;
	result = file->flags & O_PATH ? -EBADF : fn(file->inode, arg);
	file_put(file);
	return result;
}

/* ---- Rights and owners --------------------------------------------------------------------- */

static int64_t
set_mode(struct inode *inode, void *arg)
{
	uint32_t bits = *(const uint32_t *)arg & S_PERMISSIONS;
	int error;

	if (S_ISLNK(inode->mode))
		return -EOPNOTSUPP;
	if (inode_is_proc(inode))
		return -EPERM;
	if (mount_is_read_only(inode))
		return -EROFS;
	error = inode_owner_check(inode);
	if (error)
		return error;
	__atomic_store_n(&inode->mode, (inode->mode & S_IFMT) | bits, __ATOMIC_RELAXED);
	inode_changed(inode);
	return 0;
}

static int64_t
sys_chmod(const uint64_t *arg)
{
	uint32_t mode = (uint32_t)arg[1];

	return change_at(AT_FDCWD, arg[0], WALK_FOLLOW, set_mode, &mode);
}

static int64_t
sys_fchmod(const uint64_t *arg)
{
	uint32_t mode = (uint32_t)arg[1];

	return change_fd((int)arg[0], set_mode, &mode);
}

static int64_t
sys_fchmodat(const uint64_t *arg)
{
	uint32_t mode = (uint32_t)arg[2];

	return change_at((int)arg[0], arg[1], WALK_FOLLOW, set_mode, &mode);
}

SYSCALL(90, chmod, 2, sys_chmod);
SYSCALL(91, fchmod, 2, sys_fchmod);
SYSCALL(268, fchmodat, 3, sys_fchmodat);

struct owner {
	uint32_t uid, gid; /* -1: as it is */
};

/* Without privilege: to a group of one's own, what is one's own. */
static bool
may_set_owner(const struct inode *inode, const struct owner *owner)
{
	struct file_user who;

	if (is_privileged())
		return true;
	process_file_user(&who, false);
	return inode_owner_check(inode) == 0 &&
	       (owner->uid == UINT32_MAX || owner->uid == inode->uid) &&
	       (owner->gid == UINT32_MAX || process_in_group(&who, owner->gid));
}

static int64_t
set_owner(struct inode *inode, void *arg)
{
	const struct owner *owner = arg;

	if (inode_is_proc(inode))
		return -EPERM;
	if (mount_is_read_only(inode))
		return -EROFS;
	if (!may_set_owner(inode, owner))
		return -EPERM;
	if (S_ISREG(inode->mode) && !is_privileged())
		inode->mode &= ~(uint32_t)(S_ISUID | S_ISGID);
	if (owner->uid != UINT32_MAX)
		inode->uid = owner->uid;
	if (owner->gid != UINT32_MAX)
		inode->gid = owner->gid;
	inode_changed(inode);
	return 0;
}

static int64_t
sys_chown(const uint64_t *arg)
{
	struct owner owner = { (uint32_t)arg[1], (uint32_t)arg[2] };

	return change_at(AT_FDCWD, arg[0], WALK_FOLLOW, set_owner, &owner);
}

static int64_t
sys_lchown(const uint64_t *arg)
{
	struct owner owner = { (uint32_t)arg[1], (uint32_t)arg[2] };

	return change_at(AT_FDCWD, arg[0], 0, set_owner, &owner);
}

static int64_t
sys_fchown(const uint64_t *arg)
{
	struct owner owner = { (uint32_t)arg[1], (uint32_t)arg[2] };

	return change_fd((int)arg[0], set_owner, &owner);
}

static int64_t
sys_fchownat(const uint64_t *arg)
{
	struct owner owner = { (uint32_t)arg[2], (uint32_t)arg[3] };
	unsigned flags = (unsigned)arg[4];

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return change_at((int)arg[0], arg[1],
			 (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) |
			     (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0),
			 set_owner, &owner);
}

SYSCALL(92, chown, 3, sys_chown);
SYSCALL(94, lchown, 3, sys_lchown);
SYSCALL(93, fchown, 3, sys_fchown);
SYSCALL(260, fchownat, 5, sys_fchownat);

/* ---- Times --------------------------------------------------------------------------------- */

#define TIME_NOW  INT64_MAX
#define TIME_KEEP (INT64_MAX - 1)

struct new_times {
	int64_t accessed, modified; /* nanoseconds, or one of the above */
};

static int64_t
set_times(struct inode *inode, void *arg)
{
	const struct new_times *times = arg;
	bool only_now = times->accessed == TIME_NOW && times->modified == TIME_NOW;
	int64_t now = fs_now();

	if (mount_is_read_only(inode))
		return -EROFS;
	/* Who may write may say that it has been written now. */
	if (inode_owner_check(inode) && (!only_now || inode_permission(inode, MAY_WRITE)))
		return only_now ? -EACCES : -EPERM;
	if (times->accessed != TIME_KEEP)
		inode->accessed = times->accessed == TIME_NOW ? now : times->accessed;
	if (times->modified != TIME_KEEP)
		inode->modified = times->modified == TIME_NOW ? now : times->modified;
	inode_changed(inode);
	return 0;
}

/* What is beyond the reach of nanoseconds is brought to its edge, as file systems do. */
static int64_t
to_ns(int64_t seconds, int64_t nanoseconds)
{
	int64_t limit = INT64_MAX / (int64_t)NSEC_PER_SEC - 1;

	return MAX(MIN(seconds, limit), -limit) * (int64_t)NSEC_PER_SEC + nanoseconds;
}

static int
read_time(const struct abi_timespec *from, int64_t *to)
{
	if (from->nsec == UTIME_NOW)
		*to = TIME_NOW;
	else if (from->nsec == UTIME_OMIT)
		*to = TIME_KEEP;
	else if (from->nsec < 0 || from->nsec >= (int64_t)NSEC_PER_SEC)
		return -EINVAL;
	else
		*to = to_ns(from->sec, from->nsec);
	return 0;
}

static int64_t
sys_utimensat(const uint64_t *arg)
{
	struct new_times times = { TIME_NOW, TIME_NOW };
	unsigned flags = (unsigned)arg[3];
	struct abi_timespec given[2];

	if (arg[2]) {
		if (copy_from_user(given, arg[2], sizeof(given)))
			return -EFAULT;
		if (read_time(&given[0], &times.accessed) || read_time(&given[1], &times.modified))
			return -EINVAL;
	}
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!arg[1])
		return flags ? -EINVAL : change_fd((int)arg[0], set_times, &times);
	return change_at((int)arg[0], arg[1],
			 (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) |
			     (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0),
			 set_times, &times);
}

static int64_t
sys_utime(const uint64_t *arg)
{
	struct new_times times = { TIME_NOW, TIME_NOW };
	int64_t seconds[2];

	if (arg[1]) {
		if (copy_from_user(seconds, arg[1], sizeof(seconds)))
			return -EFAULT;
		times.accessed = to_ns(seconds[0], 0);
		times.modified = to_ns(seconds[1], 0);
	}
	return change_at(AT_FDCWD, arg[0], WALK_FOLLOW, set_times, &times);
}

static int64_t
set_times_at(int directory, uintptr_t path, uintptr_t from)
{
	struct new_times times = { TIME_NOW, TIME_NOW };
	int64_t given[4]; /* seconds, microseconds; twice */

	if (from) {
		if (copy_from_user(given, from, sizeof(given)))
			return -EFAULT;
		if (given[1] < 0 || given[1] >= 1000000 || given[3] < 0 || given[3] >= 1000000)
			return -EINVAL;
		times.accessed = to_ns(given[0], given[1] * (int64_t)NSEC_PER_USEC);
		times.modified = to_ns(given[2], given[3] * (int64_t)NSEC_PER_USEC);
	}
	return path ? change_at(directory, path, WALK_FOLLOW, set_times, &times)
		    : change_fd(directory, set_times, &times);
}

static int64_t
sys_utimes(const uint64_t *arg)
{
	return arg[0] ? set_times_at(AT_FDCWD, arg[0], arg[1]) : -EFAULT;
}

static int64_t
sys_futimesat(const uint64_t *arg)
{
	return set_times_at((int)arg[0], arg[1], arg[2]);
}

SYSCALL(280, utimensat, 4, sys_utimensat);
SYSCALL(132, utime, 2, sys_utime);
SYSCALL(235, utimes, 2, sys_utimes);
SYSCALL(261, futimesat, 3, sys_futimesat);

/* ---- Sizes --------------------------------------------------------------------------------- */

static int64_t
truncate_inode(struct inode *inode, void *arg)
{
	int error = inode_permission(inode, MAY_WRITE);

	if (!error)
		error = inode_start_write(inode);
	if (error)
		return error;
	error = file_truncate(inode, *(const uint64_t *)arg);
	inode_end_write(inode);
	return error;
}

static int64_t
sys_truncate(const uint64_t *arg)
{
	uint64_t size = arg[1];

	if ((int64_t)size < 0)
		return -EINVAL;
	return change_at(AT_FDCWD, arg[0], WALK_FOLLOW, truncate_inode, &size);
}

static int64_t
sys_ftruncate(const uint64_t *arg)
{
	struct file *file;
	int64_t result;

	if ((int64_t)arg[1] < 0)
		return -EINVAL;
	file = fd_current((int)arg[0]);
	if (!file)
		return -EBADF;
	if (file->flags & O_PATH)
		result = -EBADF;
	else if (!file_writable(file) || !S_ISREG(file->inode->mode))
		result = -EINVAL;
	else
		result = file_truncate(file->inode, arg[1]);
	file_put(file);
	return result;
}

static int64_t
allocate(struct file *file, unsigned mode, int64_t offset, int64_t size)
{
	if (!file_writable(file))
		return -EBADF;
	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE) || mode == FALLOC_FL_PUNCH_HOLE)
		return -EOPNOTSUPP;
	if (S_ISFIFO(file->inode->mode))
		return -ESPIPE;
	if (S_ISDIR(file->inode->mode))
		return -EISDIR;
	if (!inode_has_pages(file->inode))
		return -ENODEV;
	if (offset > INT64_MAX - size)
		return -EFBIG;
	if (mode & FALLOC_FL_PUNCH_HOLE)
		return file_pages_punch(file->inode, (uint64_t)offset, (uint64_t)size);
	return file_pages_allocate(file->inode, (uint64_t)offset, (uint64_t)size,
				   mode & FALLOC_FL_KEEP_SIZE);
}

static int64_t
sys_fallocate(const uint64_t *arg)
{
	int64_t offset = (int64_t)arg[2], size = (int64_t)arg[3], result;
	struct file *file;

	if (offset < 0 || size <= 0)
		return -EINVAL;
	file = fd_current((int)arg[0]);
	if (!file)
		return -EBADF;
	result = allocate(file, (unsigned)arg[1], offset, size);
	file_put(file);
	return result;
}

SYSCALL(76, truncate, 2, sys_truncate);
SYSCALL(77, ftruncate, 2, sys_ftruncate);
SYSCALL(285, fallocate, 4, sys_fallocate);

/* ---- Where a process is -------------------------------------------------------------------- */

/* Put a directory in the place of the root or the current one. */
static int
move_to(struct dentry **place, struct dentry *dentry)
{
	struct dentry *old;

	if (!S_ISDIR(dentry->inode->mode))
		return -ENOTDIR;
	if (inode_permission(dentry->inode, MAY_EXEC))
		return -EACCES;
	mutex_lock(&names_lock);
	old = *place;
	*place = dentry_get(dentry);
	mutex_unlock(&names_lock);
	dentry_put(old);
	return 0;
}

static int64_t
move_to_path(struct dentry **place, uintptr_t path)
{
	struct dentry *dentry;
	int error = path_find_user(AT_FDCWD, path, WALK_FOLLOW, &dentry);

	if (error)
		return error;
	error = move_to(place, dentry);
	dentry_put(dentry);
	return error;
}

static int64_t
sys_chdir(const uint64_t *arg)
{
	return move_to_path(&context_current()->current, arg[0]);
}

static int64_t
sys_chroot(const uint64_t *arg)
{
	return is_privileged() ? move_to_path(&context_current()->root, arg[0]) : -EPERM;
}

static int64_t
sys_fchdir(const uint64_t *arg)
{
	struct file *file = fd_current((int)arg[0]);
	int error;

	if (!file)
		return -EBADF;
	error = move_to(&context_current()->current, file->dentry);
	file_put(file);
	return error;
}

static int64_t
sys_getcwd(const uint64_t *arg)
{
	char *path = kmalloc(PATH_MAX, GFP_KERNEL);
	struct fs_context *fs = context_current();
	struct dentry *current, *root;
	int64_t length;

	if (!path)
		return -ENOMEM;
	mutex_lock(&names_lock);
	current = dentry_get(fs->current);
	root = dentry_get(fs->root);
	mutex_unlock(&names_lock);
	length = dentry_path(current, root, path, PATH_MAX);
	dentry_put(current);
	dentry_put(root);
	if (length >= 0 && (uint64_t)length + 1 > arg[1])
		length = -ERANGE;
	if (length >= 0 && copy_to_user(arg[0], path, (size_t)length + 1))
		length = -EFAULT;
	kfree(path);
	return length < 0 ? length : length + 1;
}

static int64_t
sys_umask(const uint64_t *arg)
{
	return __atomic_exchange_n(&context_current()->umask, (uint32_t)arg[0] & 0777,
				   __ATOMIC_RELAXED);
}

SYSCALL(80, chdir, 1, sys_chdir);
SYSCALL(161, chroot, 1, sys_chroot);
SYSCALL(81, fchdir, 1, sys_fchdir);
SYSCALL(79, getcwd, 2, sys_getcwd);
SYSCALL(95, umask, 1, sys_umask);
