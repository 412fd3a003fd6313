/* SPDX-License-Identifier: MIT */
/*
 * System calls that make, copy and close descriptors.
 */
#include <abi/termios.h>
#include <process.h>
#include <string.h>
#include <syscall.h>

#include "flock.h"
#include "fs.h"
#include "record_lock.h"

#define LASTING_FLAGS (O_APPEND | O_NONBLOCK | O_NOATIME | O_DIRECT | O_ASYNC)

/* ---- Opening ------------------------------------------------------------------------------- */

static int64_t
install(struct file *file, bool close_on_exec)
{
	int fd = fd_install(files_current(), file, close_on_exec);

	if (fd < 0)
		file_put(file);
	return fd;
}

static int64_t
open_at(int directory, uintptr_t path, unsigned flags, uint32_t mode)
{
	struct fs_context *fs = context_current();
	struct file *file;
	struct walk walk;
	int error = open_check_flags(flags);

	if (!error)
		error = walk_begin_user(&walk, directory, path);
	if (error)
		return error;
	error = open_walk(&walk, fs, flags | O_LARGEFILE, mode, &file);
	walk_end(&walk);
	return error ? error : install(file, flags & O_CLOEXEC);
}

static int64_t
sys_open(const uint64_t *arg)
{
	return open_at(AT_FDCWD, arg[0], (unsigned)arg[1], (uint32_t)arg[2]);
}

static int64_t
sys_openat(const uint64_t *arg)
{
	return open_at((int)arg[0], arg[1], (unsigned)arg[2], (uint32_t)arg[3]);
}

static int64_t
sys_creat(const uint64_t *arg)
{
	return open_at(AT_FDCWD, arg[0], O_CREAT | O_WRONLY | O_TRUNC, (uint32_t)arg[1]);
}

#define MEMFD_PREFIX   "/memfd:"
#define MEMFD_SUFFIX   " (deleted)"
#define MEMFD_NAME_MAX 249

/* A regular file in no directory. */
static int64_t
sys_memfd_create(const uint64_t *arg)
{
	char name[sizeof(MEMFD_PREFIX) + MEMFD_NAME_MAX + sizeof(MEMFD_SUFFIX)] = MEMFD_PREFIX;
	size_t prefix = sizeof(MEMFD_PREFIX) - 1;
	unsigned flags = (unsigned)arg[1];
	struct inode *inode;
	struct file *file;
	int64_t size;
	int error;

	if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING))
		return -EINVAL;
	size = copy_string_from_user(name + prefix, arg[0], MEMFD_NAME_MAX + 1);
	if (size < 0)
		return size == -ENAMETOOLONG ? -EINVAL : size;
	strlcpy(name + prefix + size, MEMFD_SUFFIX, sizeof(MEMFD_SUFFIX));
	inode = ramfs_create(S_IFREG | 0777, 0);
	if (!inode)
		return -ENOMEM;
	if (flags & MFD_ALLOW_SEALING)
		file_pages_allow_seals(inode);
	error = file_create_nameless(inode, name, O_RDWR | O_LARGEFILE, &file);
	return error ? error : install(file, flags & MFD_CLOEXEC);
}

SYSCALL(2, open, 3, sys_open);
SYSCALL(257, openat, 4, sys_openat);
SYSCALL(85, creat, 2, sys_creat);
SYSCALL(319, memfd_create, 2, sys_memfd_create);

/* ---- Closing ------------------------------------------------------------------------------- */

static int64_t
sys_close(const uint64_t *arg)
{
	return fd_close(files_current(), (int)arg[0]);
}

static int64_t
sys_close_range(const uint64_t *arg)
{
	unsigned first = (unsigned)arg[0], last = (unsigned)arg[1], flags = (unsigned)arg[2];

	/* CLOSE_RANGE_UNSHARE would give the thread a table of its own. */
	if (first > last || flags & ~CLOSE_RANGE_CLOEXEC)
		return -EINVAL;
	fd_close_range(files_current(), first, last, flags & CLOSE_RANGE_CLOEXEC);
	return 0;
}

SYSCALL(3, close, 1, sys_close);
SYSCALL(436, close_range, 3, sys_close_range);

/* ---- Copying ------------------------------------------------------------------------------- */

static int64_t
dup_from(int fd, int lowest, bool close_on_exec)
{
	struct file *file = fd_current(fd);
	int copy;

	if (!file)
		return -EBADF;
	copy = fd_install_from(files_current(), file, lowest, close_on_exec);
	if (copy < 0)
		file_put(file);
	return copy;
}

static int64_t
dup_to(int fd, int to, bool close_on_exec)
{
	struct file *file = fd_current(fd);
	int copy;

	if (!file)
		return -EBADF;
	copy = fd_replace(files_current(), file, to, close_on_exec);
	if (copy < 0)
		file_put(file);
	return copy;
}

static int64_t
sys_dup(const uint64_t *arg)
{
	return dup_from((int)arg[0], 0, false);
}

static int64_t
sys_dup2(const uint64_t *arg)
{
	int fd = (int)arg[0];

	if (fd == (int)arg[1]) {
		int flags = fd_get_flags(files_current(), fd);

		return flags < 0 ? flags : fd;
	}
	return dup_to(fd, (int)arg[1], false);
}

static int64_t
sys_dup3(const uint64_t *arg)
{
	if (arg[2] & ~(uint64_t)O_CLOEXEC || (int)arg[0] == (int)arg[1])
		return -EINVAL;
	return dup_to((int)arg[0], (int)arg[1], arg[2] & O_CLOEXEC);
}

SYSCALL(32, dup, 1, sys_dup);
SYSCALL(33, dup2, 2, sys_dup2);
SYSCALL(292, dup3, 3, sys_dup3);

/* ---- fcntl, ioctl, flock ------------------------------------------------------------------- */

static void
change_flags(struct file *file, unsigned mask, unsigned flags)
{
	unsigned old = __atomic_load_n(&file->flags, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(&file->flags, &old, (old & ~mask) | (flags & mask),
					    false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static int64_t
fcntl_file(struct file *file, int fd, int command, uint64_t value)
{
	if (file->flags & O_PATH && command != F_GETFL)
		return -EBADF;
	switch (command) {
	case F_GETFL:
		return file->flags;
	case F_SETFL:
		change_flags(file, LASTING_FLAGS, (unsigned)value);
		return 0;
	case F_GETPIPE_SZ:
	case F_SETPIPE_SZ:
		return pipe_capacity(file);
	case F_ADD_SEALS:
		if (!file_writable(file))
			return -EPERM;
		return inode_has_pages(file->inode)
			   ? file_pages_add_seals(file->inode, (unsigned)value)
			   : -EINVAL;
	case F_GET_SEALS:
		return inode_has_pages(file->inode) ? file_pages_seals(file->inode) : -EINVAL;
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
		return record_lock_call(file, fd, command, value);
	default: /* no signals for input */
		return -EINVAL;
	}
}

static int64_t
sys_fcntl(const uint64_t *arg)
{
	int fd = (int)arg[0], command = (int)arg[1];
	struct file *file;
	int64_t result;

	switch (command) {
	case F_DUPFD:
		return dup_from(fd, (int)arg[2], false);
	case F_DUPFD_CLOEXEC:
		return dup_from(fd, (int)arg[2], true);
	case F_GETFD:
		return fd_get_flags(files_current(), fd);
	case F_SETFD:
		return fd_set_flags(files_current(), fd, arg[2] & FD_CLOEXEC);
	}
	file = fd_current(fd);
	if (!file)
		return -EBADF;
	result = fcntl_file(file, fd, command, arg[2]);
	file_put(file);
	return result;
}

static int64_t
set_nonblocking(struct file *file, uintptr_t arg)
{
	int32_t on;

	if (copy_from_user(&on, arg, sizeof(on)))
		return -EFAULT;
	change_flags(file, O_NONBLOCK, on ? O_NONBLOCK : 0);
	return 0;
}

/* How much there is to read: of a regular file, up to its end. */
static int64_t
bytes_left(struct file *file, uintptr_t arg)
{
	uint64_t size = inode_size(file->inode), position = file->position;
	int32_t left = (int32_t)MIN(size - MIN(position, size), (uint64_t)INT32_MAX);

	return copy_to_user(arg, &left, sizeof(left));
}

static int64_t
ioctl_file(struct file *file, int fd, unsigned request, uintptr_t arg)
{
	if (file->flags & O_PATH)
		return -EBADF;
	switch (request) {
	case FIOCLEX:
	case FIONCLEX:
		return fd_set_flags(files_current(), fd, request == FIOCLEX);
	case FIONBIO:
		return set_nonblocking(file, arg);
	case FIONREAD:
		if (S_ISREG(file->inode->mode))
			return bytes_left(file, arg);
	}
	return file->ops->ioctl ? file->ops->ioctl(file, request, arg) : -ENOTTY;
}

static int64_t
sys_ioctl(const uint64_t *arg)
{
	struct file *file = fd_current((int)arg[0]);
	int64_t result;

	if (!file)
		return -EBADF;
	result = ioctl_file(file, (int)arg[0], (unsigned)arg[1], arg[2]);
	file_put(file);
	return result;
}

static int64_t
sys_flock(const uint64_t *arg)
{
	struct file *file = fd_current((int)arg[0]);
	int64_t result;

	if (!file)
		return -EBADF;
	result = file->flags & O_PATH ? -EBADF : flock_set(file, (int)arg[1]);
	file_put(file);
	return result;
}

SYSCALL(72, fcntl, 3, sys_fcntl);
SYSCALL(16, ioctl, 3, sys_ioctl);
SYSCALL(73, flock, 2, sys_flock);
