/* SPDX-License-Identifier: MIT */
/*
 * Mounting: a file system, on a disk or in memory, becomes part of the tree of names.
 *
 *	/ --> "mnt"  (covered)      mount->place
 *	        |  mount
 *	        v
 *	      "mnt"  (the root)     mount->root: found whenever "mnt" is looked up
 *
 * The root has the name and the parent of what it covers, so that ".." and paths lead out of it;
 * a directory that is covered, or a root, can be neither renamed nor removed.
 *
 * A mount is in use as long as anybody has a reference to one of its names or inodes, but for the
 * mount itself and, of a disk, the name cache, or in memory the tree of names, which is all that
 * there is (tmpfs.c). Then it cannot be unmounted.
 *
 * LOCKING. mounts_lock around mounting, unmounting and writing everything; inside it names_lock,
 * which alone is enough to look at the list. Who writes pages back for everybody holds references
 * to inodes meanwhile; write_back_lock, inside mounts_lock, keeps unmounting from taking that for
 * use.
 */
#include <block.h>
#include <cmdline.h>
#include <page_cache.h>
#include <printk.h>
#include <process.h>
#include <slab.h>
#include <string.h>

#include "mount.h"

struct mutex mounts_lock = MUTEX_INIT(mounts_lock);
struct list_head mounts = LIST_INIT(mounts);
static struct mutex write_back_lock = MUTEX_INIT(write_back_lock);

const struct fs_type *const fs_types[] = { &tmpfs_type, &ramfs_type, &ext2_type, NULL };

static const char *mounted_first;

static int
parse_mount(const char *value)
{
	mounted_first = value;
	return 0;
}
CMDLINE_OPTION(mount, "mount", "disk to mount at /mnt; \"none\": none; default: the first",
	       parse_mount);

static const struct fs_type *
find_type(const char *name)
{
	const struct fs_type *const *type = fs_types;

	while (*type && strcmp((*type)->name, name) != 0)
		type++;
	return *type;
}

/* ---- Mounting ------------------------------------------------------------------------------ */

/* The disk that a path leads to: a device node, or else a bare name such as "hda". */
static int
find_device(struct fs_context *fs, const char *source, struct block_device **device)
{
	struct dentry *dentry;
	int error = path_find(fs, source, WALK_FOLLOW, &dentry);

	if (error) {
		*device = block_find(source);
		return *device ? 0 : error;
	}
	*device = S_ISBLK(dentry->inode->mode) ? block_find_number(dentry->inode->device) : NULL;
	error = S_ISBLK(dentry->inode->mode) ? -ENXIO : -ENOTBLK;
	dentry_put(dentry);
	return *device ? 0 : error;
}

/* What is to be mounted: a disk must be there, memory is there. */
static int
set_source(struct mount *mount, struct fs_context *fs, const char *source)
{
	int error;

	strlcpy(mount->source, source ? source : "none", sizeof(mount->source));
	if (mount->type->in_memory)
		return 0;
	error = source ? find_device(fs, source, &mount->device) : -EINVAL;
	if (error)
		return error;
	mount->number = mount->device->number;
	mount->read_only |= mount->device->read_only;
	return 0;
}

static bool
is_mounted(const struct block_device *device)
{
	struct mount *mount;

	list_for_each_entry (mount, &mounts, link) {
		if (mount->device == device)
			return true;
	}
	return false;
}

/* Put the root in place of the directory, where it is still. */
static int
cover(struct mount *mount, struct dentry *place)
{
	struct dentry *root = dentry_create(place->name, place->size, inode_get(mount->root_inode));
	int error = root ? 0 : -ENOMEM;

	mutex_lock(&names_lock);
	if (!error && (!place->parent || !place->linked || place->mount))
		error = -EBUSY;
	if (!error) {
		root->parent = dentry_get(place->parent);
		root->made_up = true;
		mount->root = root;
		mount->place = dentry_get(place);
		place->mount = mount;
		list_add_tail(&mount->link, &mounts);
	}
	mutex_unlock(&names_lock);
	if (error)
		dentry_put(root);
	return error;
}

static int
mount_locked(struct mount *mount, struct dentry *place, char *options)
{
	int error;

	DEBUG_ASSERT(mutex_is_held(&mounts_lock));
	if (mount->device && is_mounted(mount->device))
		return -EBUSY;
	error = mount->type->mount(mount, options);
	if (error)
		return error;
	error = cover(mount, place);
	if (error) {
		int busy = mount->ops->unmount(mount);

		ASSERT(!busy);
		inode_put(mount->root_inode);
		mount->ops->free(mount);
	}
	return error;
}

int
mount_at(struct fs_context *fs, const char *source, const char *path, const char *type,
	 char *options, bool read_only, unsigned refused)
{
	struct mount *mount = kmalloc_zeroed(sizeof(*mount), GFP_KERNEL);
	struct dentry *place;
	int error = mount ? path_find(fs, path, WALK_FOLLOW, &place) : -ENOMEM;

	if (error)
		goto no_place;
	mount->type = find_type(type);
	mount->read_only = read_only;
	mount->refused = refused;
	error = !S_ISDIR(place->inode->mode) ? -ENOTDIR : mount->type ? 0 : -ENODEV;
	if (!error)
		error = set_source(mount, fs, source);
	if (!error) {
		mutex_lock(&mounts_lock);
		error = mount_locked(mount, place, options);
		mutex_unlock(&mounts_lock);
	}
	dentry_put(place);
no_place:
	if (error)
		kfree(mount);
	return error;
}

/* ---- Unmounting ---------------------------------------------------------------------------- */

/* Nobody but the names, the mount and we have a reference to anything of it? Then it goes. */
static int
uncover_locked(struct mount *mount, struct dentry *found)
{
	int error = 0;

	if (mount->root != found)
		return -EBUSY;
	if (mount->ops->drop_names)
		error = mount->ops->drop_names(mount);
	else
		name_cache_shrink_locked(mount);
	if (!error && __atomic_load_n(&found->refs, __ATOMIC_ACQUIRE) != 2)
		error = -EBUSY;
	if (!error)
		error = mount->ops->unmount(mount);
	if (error)
		return error;
	mount->place->mount = NULL;
	list_del(&mount->link);
	return 0;
}

int
mount_remove(struct fs_context *fs, const char *path)
{
	struct dentry *found;
	struct mount *mount;
	int error = path_find(fs, path, WALK_FOLLOW, &found);

	if (error)
		return error;
	mutex_lock(&mounts_lock);
	mount = found->inode->mount;
	if (!mount || mount->root != found) {
		error = -EINVAL;
	} else {
		mutex_lock(&write_back_lock);
		(void)page_caches_write_back(0);
		(void)mount->ops->sync(mount);
		mutex_lock(&names_lock);
		error = uncover_locked(mount, found);
		mutex_unlock(&names_lock);
		mutex_unlock(&write_back_lock);
	}
	mutex_unlock(&mounts_lock);
	dentry_put(found);
	if (error)
		return error;
	dentry_put(mount->place);
	dentry_put(mount->root);
	inode_put(mount->root_inode);
	mount->ops->free(mount);
	kfree(mount);
	return 0;
}

/* ---- All of them --------------------------------------------------------------------------- */

int
mount_write_back(uint64_t rounds)
{
	int error;

	mutex_lock(&write_back_lock);
	error = page_caches_write_back(rounds);
	mutex_unlock(&write_back_lock);
	return error;
}

int
mount_sync_all(void)
{
	struct mount *mount;
	int error = 0;

	mutex_lock(&mounts_lock);
	list_for_each_entry (mount, &mounts, link) {
		int now = mount->ops->sync(mount);

		error = error ? error : now;
	}
	mutex_unlock(&mounts_lock);
	return error;
}

void
mount_at_start(void)
{
	struct block_device *first = block_next(NULL);
	const char *source = mounted_first ? mounted_first : first ? first->name : "none";
	int error;

	if (strcmp(source, "none") == 0)
		return;
	dentry_put(make_at_start(root_dentry, "mnt", ramfs_create(S_IFDIR | 0755, 0)));
	error = mount_at(kernel_context, source, "/mnt", "ext2", NULL, false, 0);
	if (!error)
		kprintf("mount: %s at /mnt\n", source);
	else if (mounted_first)
		kprintf("mount: %s cannot be mounted at /mnt: error %d\n", source, -error);
}
