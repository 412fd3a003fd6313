/* SPDX-License-Identifier: MIT */
/*
 * Making, removing and moving names: what open(O_CREAT), mkdir, link, unlink, rmdir and rename do
 * once the paths have been walked.
 *
 * links counts an inode's names. A directory has two at least, its name and its own ".", and one
 * for each subdirectory's "..". Once its links are gone it takes no more names, whoever still has
 * it open. All of it happens under names_lock, so each call is one step for everybody else.
 *
 * A file system on a disk is asked first (struct name_ops); when it has done its part, the rest
 * cannot fail.
 */
#include <string.h>

#include "fs.h"

static void
add_links(struct inode *inode, int nr)
{
	__atomic_add_fetch(&inode->links, (uint32_t)nr, __ATOMIC_RELAXED);
	inode_changed(inode);
}

static const struct name_ops *
names_of(const struct dentry *directory)
{
	return directory->inode->ops->names;
}

int
inode_make(struct dentry *directory, const struct new_inode *new, struct inode **made)
{
	if (names_of(directory)) {
		int error = names_of(directory)->make(directory->inode, new, made);

		if (!error)
			inode_set_creator(*made, directory->inode);
		return error;
	}
	*made = new->target ? ramfs_create_link(new->target, new->size)
			    : ramfs_create(new->mode, new->device);
	if (!*made)
		return -ENOSPC;
	if (directory->inode->mount && tmpfs_add_inode(directory->inode->mount, *made)) {
		inode_put(*made);
		return -ENOSPC;
	}
	inode_set_creator(*made, directory->inode);
	return 0;
}

int
name_may_create_locked(struct dentry *directory)
{
	DEBUG_ASSERT(mutex_is_held(&names_lock));
	if (mount_is_read_only(directory->inode))
		return -EROFS;
	if (directory->inode->ops->fixed)
		return -EPERM;
	if (directory->inode->links == 0)
		return -ENOENT;
	return name_permission(directory->inode, NULL);
}

int
name_create_locked(struct dentry *directory, const char *name, size_t size, struct inode *inode,
		   struct dentry **made)
{
	bool is_directory = S_ISDIR(inode->mode);
	struct dentry *dentry;
	int error = name_may_create_locked(directory);

	if (!error && is_directory && directory->inode->links >= MAX_LINKS)
		error = -EMLINK;
	if (!error && !is_directory && inode->links >= MAX_LINKS)
		error = -EMLINK;
	if (!error && inode->mount != directory->inode->mount)
		error = -EXDEV;
	if (error) {
		inode_put(inode);
		return error;
	}
	dentry = dentry_create(name, size, inode);
	if (!dentry)
		return -ENOSPC;
	if (names_of(directory))
		error = names_of(directory)->add(directory->inode, name, size, inode);
	else
		error = tmpfs_add_name(inode);
	if (error) {
		dentry_put(dentry);
		return error;
	}
	dentry_link_locked(directory, dentry);
	name_cache_add_locked(dentry);
	if (is_directory)
		add_links(directory->inode, 1);
	else
		add_links(inode, 1);
	inode_touch(directory->inode, true);
	*made = dentry;
	return 0;
}

/* An inode loses a name; a directory loses all its links with its only one. */
static void
drop_name(struct dentry *dentry, struct dentry *directory)
{
	if (S_ISDIR(dentry->inode->mode)) {
		__atomic_store_n(&dentry->inode->links, 0, __ATOMIC_RELAXED);
		add_links(directory->inode, -1);
	} else {
		tmpfs_forget_name(dentry->inode);
		add_links(dentry->inode, -1);
	}
	inode_touch(directory->inode, true);
}

/* Is it the root of what is mounted somewhere, or covered by it? */
static bool
is_mount_point(const struct dentry *dentry)
{
	return dentry->mount || (dentry->inode->mount && dentry->inode->mount->root == dentry);
}

int
name_remove_locked(struct dentry *dentry, bool directory)
{
	struct dentry *parent = dentry->parent;
	int error = 0;

	DEBUG_ASSERT(mutex_is_held(&names_lock));
	if (is_mount_point(dentry))
		return directory || !S_ISDIR(dentry->inode->mode) ? -EBUSY : -EISDIR;
	if (!parent || !dentry->linked)
		return parent ? -EPERM : -EBUSY;
	if (parent->inode->ops->fixed)
		return -EPERM;
	if (mount_is_read_only(parent->inode))
		return -EROFS;
	error = name_permission(parent->inode, dentry->inode);
	if (error)
		return error;
	if (!directory && S_ISDIR(dentry->inode->mode))
		return -EISDIR;
	if (directory && !S_ISDIR(dentry->inode->mode))
		return -ENOTDIR;
	if (directory && dentry->inode->ops->fixed)
		return -EBUSY;
	if (directory && !dentry_is_empty_locked(dentry) && !names_of(dentry))
		return -ENOTEMPTY;
	if (names_of(parent))
		error = names_of(parent)->remove(parent->inode, dentry->name, dentry->size,
						 dentry->inode);
	if (error)
		return error;
	drop_name(dentry, parent);
	dentry_unlink_locked(dentry);
	return 0;
}

/* ---- Renaming ------------------------------------------------------------------------------ */

static int
check_rename(struct dentry *from, struct dentry *to_directory, struct dentry *target,
	     unsigned flags)
{
	bool is_directory = S_ISDIR(from->inode->mode);
	int error;

	if (!from->parent || from->inode->ops->fixed || is_mount_point(from) ||
	    (target && is_mount_point(target)))
		return -EBUSY;
	if (!from->linked || from->parent->inode->ops->fixed || to_directory->inode->ops->fixed)
		return -EPERM;
	if (from->parent->inode->mount != to_directory->inode->mount)
		return -EXDEV;
	if (mount_is_read_only(to_directory->inode))
		return -EROFS;
	error = name_permission(from->parent->inode, from->inode);
	if (!error)
		error = name_permission(to_directory->inode, target ? target->inode : NULL);
	if (error)
		return error;
	if (names_of(to_directory) && (flags & RENAME_EXCHANGE))
		return -EINVAL;
	if (to_directory->inode->links == 0)
		return -ENOENT;
	if (is_directory && dentry_is_within_locked(to_directory, from))
		return -EINVAL;
	if (!target)
		return flags & RENAME_EXCHANGE ? -ENOENT : 0;
	if (flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (target->inode->ops->fixed)
		return -EBUSY;
	if (dentry_is_within_locked(from->parent, target) && S_ISDIR(target->inode->mode))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	if (flags & RENAME_EXCHANGE)
		return 0;
	if (is_directory && !S_ISDIR(target->inode->mode))
		return -ENOTDIR;
	if (!is_directory && S_ISDIR(target->inode->mode))
		return -EISDIR;
	if (is_directory && !dentry_is_empty_locked(target) && !names_of(target))
		return -ENOTEMPTY;
	return 0;
}

/* A directory's ".." now means another one. */
static void
move_links(struct dentry *dentry, struct dentry *from, struct dentry *to)
{
	if (S_ISDIR(dentry->inode->mode) && from != to) {
		add_links(from->inode, -1);
		add_links(to->inode, 1);
	}
	inode_changed(dentry->inode);
	inode_touch(from->inode, true);
	inode_touch(to->inode, true);
}

static char *
new_name(const char *name, size_t size)
{
	char *copy = kmalloc(size + 1, GFP_KERNEL);

	if (copy) {
		memcpy(copy, name, size);
		copy[size] = '\0';
	}
	return copy;
}

/* Each gets the other's place. Both names are made before anything moves. */
static int
exchange(struct dentry *a, struct dentry *b)
{
	struct dentry *a_parent = a->parent, *b_parent = b->parent;
	char *a_name = new_name(a->name, a->size), *b_name = new_name(b->name, b->size);
	size_t a_size = a->size, b_size = b->size;

	if (!a_name || !b_name) {
		kfree(a_name);
		kfree(b_name);
		return -ENOSPC;
	}
	/* For a moment two names may be alike, which only a lookup would mind. */
	dentry_put(dentry_move_locked(a, b_parent, b_name, b_size));
	move_links(a, a_parent, b_parent);
	dentry_put(dentry_move_locked(b, a_parent, a_name, a_size));
	move_links(b, b_parent, a_parent);
	return 0;
}

int
name_rename_locked(struct dentry *from, struct dentry *to_directory, const char *name, size_t size,
		   struct dentry *target, unsigned flags)
{
	struct dentry *old_parent = from->parent;
	int error = check_rename(from, to_directory, target, flags);
	char *copy;

	if (error)
		return error;
	if (target && target->inode == from->inode)
		return 0; /* two names of one file, or the same: POSIX wants nothing done */
	if (flags & RENAME_EXCHANGE)
		return exchange(from, target);
	copy = new_name(name, size);
	if (!copy)
		return -ENOSPC;
	if (names_of(to_directory))
		error = names_of(to_directory)
			    ->move(from, to_directory->inode, name, size,
				   target ? target->inode : NULL);
	if (error) {
		kfree(copy);
		return error;
	}
	if (target) {
		drop_name(target, to_directory);
		dentry_unlink_locked(target);
	}
	move_links(from, old_parent, to_directory);
	dentry_put(dentry_move_locked(from, to_directory, copy, size));
	return 0;
}
