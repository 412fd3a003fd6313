/* SPDX-License-Identifier: MIT */
/*
 * Opening: from a path and flags to an open file.
 *
 * Finding the name, or making it, is one step under names_lock; so two who open with O_CREAT |
 * O_EXCL never both make the file. What may wait comes after it: a pipe waits for its other end,
 * O_TRUNC for those who write.
 */
#include <printk.h>
#include <process.h>
#include <string.h>

#include "fs.h"

int
open_check_flags(unsigned flags)
{
	if (flags & O_TMPFILE & ~O_DIRECTORY)
		return (flags & (O_TMPFILE | O_CREAT)) != O_TMPFILE ||
			       (flags & O_ACCMODE) == O_RDONLY
			   ? -EINVAL
			   : 0;
	if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY) && !(flags & O_PATH))
		return -EINVAL;
	return 0;
}

/* May what there is be opened like that? */
static int
check_existing(struct walk *walk, unsigned flags)
{
	uint32_t mode = walk->found->inode->mode;
	bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
	unsigned wanted =
	    ((flags & O_ACCMODE) != O_WRONLY ? MAY_READ : 0) | (writes ? MAY_WRITE : 0);

	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if ((flags & O_DIRECTORY) && !S_ISDIR(mode))
		return -ENOTDIR;
	if (S_ISLNK(mode) && !(flags & O_PATH))
		return -ELOOP; /* only O_NOFOLLOW comes this far with a link */
	if (walk->slash && !S_ISDIR(mode))
		return -ENOTDIR;
	if (S_ISDIR(mode) && !(flags & O_PATH) && (writes || (flags & O_CREAT)))
		return -EISDIR;
	if (!(flags & O_PATH) && inode_permission(walk->found->inode, wanted))
		return -EACCES;
	if ((flags & (O_NOATIME | O_PATH)) == O_NOATIME && inode_owner_check(walk->found->inode))
		return -EPERM;
	if ((S_ISCHR(mode) || S_ISBLK(mode)) && !(flags & O_PATH) &&
	    mount_refuses(walk->found->inode, MOUNT_NO_DEVICES))
		return -EACCES;
	if (S_ISREG(mode) && !(flags & O_PATH) && writes && mount_is_read_only(walk->found->inode))
		return -EROFS;
	return 0;
}

static int
create_regular(struct walk *walk, struct fs_context *fs, uint32_t mode)
{
	struct new_inode new = { .mode = S_IFREG | (mode & S_PERMISSIONS & ~fs->umask) };
	struct inode *inode;
	int error = name_may_create_locked(walk->directory);

	if (error)
		return error;
	if (walk->slash)
		return -EISDIR;
	error = inode_make(walk->directory, &new, &inode);
	if (error)
		return error;
	return name_create_locked(walk->directory, walk->name, walk->size, inode, &walk->found);
}

/* Find or make the name. *made: there was none. */
static int
find_or_create(struct walk *walk, struct fs_context *fs, unsigned flags, uint32_t mode, bool *made)
{
	bool follow = !(flags & O_NOFOLLOW) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
	unsigned walk_flags = (follow ? WALK_FOLLOW : 0) | (flags & O_CREAT ? WALK_PARENT : 0);
	int error;

	mutex_lock(&names_lock);
	error = walk_locked(walk, walk_flags);
	*made = !error && !walk->found;
	if (*made)
		error = create_regular(walk, fs, mode);
	else if (!error)
		error = check_existing(walk, flags);
	mutex_unlock(&names_lock);
	return error;
}

/* O_TRUNC, which Linux also obeys for those who only read. */
static int
truncate_opened(struct inode *inode)
{
	int error = inode_start_write(inode);

	if (error)
		return error;
	error = file_truncate(inode, 0);
	inode_end_write(inode);
	return error;
}

/* O_TMPFILE: a file in no directory. Without O_EXCL, linkat() may give it a name later. */
static int
open_nameless(struct walk *walk, struct fs_context *fs, unsigned flags, uint32_t mode,
	      struct file **file)
{
	struct new_inode new = { .mode = S_IFREG | (mode & S_PERMISSIONS & ~fs->umask) };
	struct inode *inode;
	char name[32];
	int error;

	mutex_lock(&names_lock);
	error = walk_locked(walk, WALK_FOLLOW);
	if (!error && !S_ISDIR(walk->found->inode->mode))
		error = -ENOTDIR;
	if (!error)
		error = name_may_create_locked(walk->found);
	if (!error)
		error = inode_make(walk->found, &new, &inode);
	mutex_unlock(&names_lock);
	if (error)
		return error;
	inode->linkable = !(flags & O_EXCL);
	ksnprintf(name, sizeof(name), "/#%lu (deleted)", (unsigned long)inode->number);
	return file_create_nameless(inode, name, flags & ~O_DIRECTORY, file);
}

int
open_walk(struct walk *walk, struct fs_context *fs, unsigned flags, uint32_t mode,
	  struct file **file)
{
	bool made;
	int error;

	if (flags & O_TMPFILE & ~O_DIRECTORY & ~O_PATH)
		return open_nameless(walk, fs, flags, mode, file);
	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	error = find_or_create(walk, fs, flags, mode, &made);
	if (!error)
		error = file_create(walk->found, flags, file);
	if (error || made || !(flags & O_TRUNC) || !inode_has_pages(walk->found->inode))
		return error;
	error = truncate_opened((*file)->inode);
	if (error)
		file_put(*file);
	return error;
}

int
file_open(struct fs_context *fs, const char *path, int flags, unsigned mode, struct file **file)
{
	struct walk walk;
	int error = open_check_flags((unsigned)flags);

	if (!error)
		error = walk_begin(&walk, fs, path);
	if (error)
		return error;
	error = open_walk(&walk, fs, (unsigned)flags, mode, file);
	walk_end(&walk);
	return error;
}
