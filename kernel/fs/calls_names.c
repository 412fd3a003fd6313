/* SPDX-License-Identifier: MIT */
/*
 * System calls that make, remove and move names.
 *
 * Each walks to the directory and does its work there as one step under names_lock. Each old call
 * is the newer one from the current directory.
 */
#include <process.h>
#include <string.h>
#include <syscall.h>

#include "fs.h"

/* ---- Making -------------------------------------------------------------------------------- */

/* May the name that the walk ended at be made? directory: a slash behind it is right. */
static int
check_new_name_locked(struct walk *walk, bool directory)
{
	if (walk->last != LAST_NAME || walk->found)
		return -EEXIST;
	if (walk->slash && !directory)
		return -ENOENT;
	return name_may_create_locked(walk->directory);
}

/*
 * Give a new inode a name, or, if new is NULL, another name to one that has one and must not have
 * lost its last meanwhile.
 */
static int
make_name(struct walk *walk, const struct new_inode *new, struct inode *inode)
{
	int error;

	mutex_lock(&names_lock);
	error = walk_locked(walk, WALK_PARENT);
	if (!error)
		error = check_new_name_locked(walk, new &&S_ISDIR(new->mode));
	if (!error && new)
		error = inode_make(walk->directory, new, &inode);
	else if (!error && inode->links == 0 && !inode->linkable)
		error = -ENOENT;
	else if (!error)
		inode_get(inode);
	if (!error)
		error = name_create_locked(walk->directory, walk->name, walk->size, inode,
					   &walk->found);
	mutex_unlock(&names_lock);
	walk_end(walk);
	return error;
}

static int
make_node(int directory, uintptr_t path, uint32_t mode, uint64_t device)
{
	struct walk walk;
	int error = walk_begin_user(&walk, directory, path);
	uint32_t umask = context_current()->umask;
	struct new_inode new = { .mode = (mode & (S_IFMT | S_PERMISSIONS)) & ~umask,
				 .device = device };

	return error ? error : make_name(&walk, &new, NULL);
}

static int64_t
sys_mkdirat(const uint64_t *arg)
{
	uint32_t mode = (uint32_t)arg[2] & 01777;

	return make_node((int)arg[0], arg[1], S_IFDIR | mode, 0);
}

static int64_t
sys_mkdir(const uint64_t *arg)
{
	const uint64_t at[] = { (uint64_t)AT_FDCWD, arg[0], arg[1] };

	return sys_mkdirat(at);
}

static int64_t
sys_mknodat(const uint64_t *arg)
{
	uint32_t mode = (uint32_t)arg[2];

	switch (mode & S_IFMT) {
	case 0:
		mode |= S_IFREG;
		break;
	case S_IFCHR:
	case S_IFBLK:
		if (!is_privileged())
			return -EPERM;
		break;
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	return make_node((int)arg[0], arg[1], mode, arg[3]);
}

static int64_t
sys_mknod(const uint64_t *arg)
{
	const uint64_t at[] = { (uint64_t)AT_FDCWD, arg[0], arg[1], arg[2] };

	return sys_mknodat(at);
}

static int64_t
sys_symlinkat(const uint64_t *arg)
{
	char *target = kmalloc(PATH_MAX, GFP_KERNEL);
	int64_t size = target ? copy_string_from_user(target, arg[0], PATH_MAX) : -ENOMEM;
	struct walk walk;

	if (size == 0)
		size = -ENOENT;
	if (size > 0) {
		struct new_inode new = { .mode = S_IFLNK | 0777,
					 .target = target,
					 .size = (size_t)size };
		int error = walk_begin_user(&walk, (int)arg[1], arg[2]);

		size = error ? error : make_name(&walk, &new, NULL);
	}
	kfree(target);
	return size;
}

static int64_t
sys_symlink(const uint64_t *arg)
{
	const uint64_t at[] = { arg[0], (uint64_t)AT_FDCWD, arg[1] };

	return sys_symlinkat(at);
}

static int64_t
sys_linkat(const uint64_t *arg)
{
	unsigned flags = (unsigned)arg[4];
	struct dentry *old;
	struct walk walk;
	int error;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	error = path_find_user((int)arg[0], arg[1],
			       (flags & AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0) |
				   (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0),
			       &old);
	if (error)
		return error;
	error = walk_begin_user(&walk, (int)arg[2], arg[3]);
	if (error)
		goto no_walk;
	if (S_ISDIR(old->inode->mode) || inode_is_proc(old->inode)) {
		error = S_ISDIR(old->inode->mode) ? -EPERM : -EXDEV;
		walk_end(&walk);
		goto no_walk;
	}
	error = make_name(&walk, NULL, old->inode);
no_walk:
	dentry_put(old);
	return error;
}

static int64_t
sys_link(const uint64_t *arg)
{
	const uint64_t at[] = { (uint64_t)AT_FDCWD, arg[0], (uint64_t)AT_FDCWD, arg[1], 0 };

	return sys_linkat(at);
}

SYSCALL(258, mkdirat, 3, sys_mkdirat);
SYSCALL(83, mkdir, 2, sys_mkdir);
SYSCALL(259, mknodat, 4, sys_mknodat);
SYSCALL(133, mknod, 3, sys_mknod);
SYSCALL(266, symlinkat, 3, sys_symlinkat);
SYSCALL(88, symlink, 2, sys_symlink);
SYSCALL(265, linkat, 5, sys_linkat);
SYSCALL(86, link, 2, sys_link);

/* ---- Removing ------------------------------------------------------------------------------ */

static int
remove_found_locked(struct walk *walk, bool directory)
{
	if (walk->last == LAST_DOT)
		return directory ? -EINVAL : -EISDIR;
	if (walk->last == LAST_DOTDOT)
		return directory ? -ENOTEMPTY : -EISDIR;
	if (walk->last == LAST_ROOT)
		return directory ? -EBUSY : -EISDIR;
	if (!walk->found)
		return -ENOENT;
	if (!directory && walk->slash && !S_ISDIR(walk->found->inode->mode))
		return -ENOTDIR;
	return name_remove_locked(walk->found, directory);
}

static int
remove_at(int at, uintptr_t path, bool directory)
{
	struct walk walk;
	int error = walk_begin_user(&walk, at, path);

	if (error)
		return error;
	mutex_lock(&names_lock);
	error = walk_locked(&walk, WALK_PARENT);
	if (!error)
		error = remove_found_locked(&walk, directory);
	mutex_unlock(&names_lock);
	walk_end(&walk);
	return error;
}

static int64_t
sys_unlinkat(const uint64_t *arg)
{
	if ((unsigned)arg[2] & ~AT_REMOVEDIR)
		return -EINVAL;
	return remove_at((int)arg[0], arg[1], arg[2] & AT_REMOVEDIR);
}

static int64_t
sys_unlink(const uint64_t *arg)
{
	return remove_at(AT_FDCWD, arg[0], false);
}

static int64_t
sys_rmdir(const uint64_t *arg)
{
	return remove_at(AT_FDCWD, arg[0], true);
}

SYSCALL(263, unlinkat, 3, sys_unlinkat);
SYSCALL(87, unlink, 1, sys_unlink);
SYSCALL(84, rmdir, 1, sys_rmdir);

/* ---- Moving -------------------------------------------------------------------------------- */

static int
rename_found_locked(struct walk *from, struct walk *to, unsigned flags)
{
	bool directory;

	if (from->last != LAST_NAME)
		return -EBUSY;
	if (to->last != LAST_NAME)
		return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	if (!from->found)
		return -ENOENT;
	directory = S_ISDIR(from->found->inode->mode);
	if (!directory && (from->slash || (to->slash && !(flags & RENAME_EXCHANGE))))
		return -ENOTDIR;
	if (flags & RENAME_EXCHANGE && to->slash && to->found && !S_ISDIR(to->found->inode->mode))
		return -ENOTDIR;
	return name_rename_locked(from->found, to->directory, to->name, to->size, to->found, flags);
}

static int
rename_at(int from_at, uintptr_t from_path, int to_at, uintptr_t to_path, unsigned flags)
{
	struct walk from, to;
	int error;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	error = walk_begin_user(&from, from_at, from_path);
	if (error)
		return error;
	error = walk_begin_user(&to, to_at, to_path);
	if (error)
		goto no_target;
	mutex_lock(&names_lock);
	error = walk_locked(&from, WALK_PARENT);
	if (!error)
		error = walk_locked(&to, WALK_PARENT);
	if (!error)
		error = rename_found_locked(&from, &to, flags);
	mutex_unlock(&names_lock);
	walk_end(&to);
no_target:
	walk_end(&from);
	return error;
}

static int64_t
sys_renameat2(const uint64_t *arg)
{
	return rename_at((int)arg[0], arg[1], (int)arg[2], arg[3], (unsigned)arg[4]);
}

static int64_t
sys_renameat(const uint64_t *arg)
{
	return rename_at((int)arg[0], arg[1], (int)arg[2], arg[3], 0);
}

static int64_t
sys_rename(const uint64_t *arg)
{
	return rename_at(AT_FDCWD, arg[0], AT_FDCWD, arg[1], 0);
}

SYSCALL(316, renameat2, 5, sys_renameat2);
SYSCALL(264, renameat, 4, sys_renameat);
SYSCALL(82, rename, 2, sys_rename);
