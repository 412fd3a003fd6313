/* SPDX-License-Identifier: MIT */
/*
 * Who may do what with a file.
 *
 * An inode has an owner, a group, and three times three bits: for its owner, for its group, and for
 * all others. The first of the three that fits decides, even if a later one would allow more:
 *
 *	rwx r-x ---        the owner all, the group not to write, others nothing
 *
 * The superuser may all, but not execute a file that nobody may. On a directory, x is to look a
 * name up in it, and wx to make and remove names; in one with the sticky bit, such as /tmp, only
 * the owner of a file, or of the directory, removes its name.
 *
 * Source: POSIX.1-2017, 4.5 File Access Permissions, and unlink().
 */
#include <process.h>

#include "fs.h"

static int
check(const struct inode *inode, unsigned wanted, const struct file_user *who)
{
	uint32_t mode = __atomic_load_n(&inode->mode, __ATOMIC_RELAXED);

	if (wanted & MAY_EXEC && !S_ISDIR(mode) && mount_refuses(inode, MOUNT_NO_EXECUTE))
		return -EACCES;
	if (who->uid == 0)
		return wanted & MAY_EXEC && !S_ISDIR(mode) && !(mode & S_ANY_EXECUTE) ? -EACCES : 0;
	if (who->uid == inode->uid)
		mode >>= 6;
	else if (process_in_group(who, inode->gid))
		mode >>= 3;
	return wanted & ~mode ? -EACCES : 0;
}

int
inode_permission(const struct inode *inode, unsigned wanted)
{
	struct file_user who;

	process_file_user(&who, false);
	return check(inode, wanted, &who);
}

int
inode_permission_real(const struct inode *inode, unsigned wanted)
{
	struct file_user who;

	process_file_user(&who, true);
	return check(inode, wanted, &who);
}

int
inode_owner_check(const struct inode *inode)
{
	struct file_user who;

	process_file_user(&who, false);
	return who.uid == 0 || who.uid == inode->uid ? 0 : -EPERM;
}

int
name_permission(const struct inode *directory, const struct inode *named)
{
	int error = inode_permission(directory, MAY_WRITE | MAY_EXEC);

	if (error || !named || !(directory->mode & S_ISVTX))
		return error;
	return inode_owner_check(named) && inode_owner_check(directory) ? -EPERM : 0;
}

void
inode_set_creator(struct inode *inode, const struct inode *directory)
{
	struct file_user who;

	process_file_user(&who, false);
	if (directory->mode & S_ISGID) { /* all in it is of its group */
		who.gid = directory->gid;
		if (S_ISDIR(inode->mode))
			inode->mode |= S_ISGID;
	}
	if (who.uid == inode->uid && who.gid == inode->gid)
		return;
	inode->uid = who.uid;
	inode->gid = who.gid;
	inode_changed(inode);
}
