/* SPDX-License-Identifier: MIT */
/*
 * The name cache: names of file systems on disks that have been looked up.
 *
 * PROBLEM. A walk along a path asks for a name in each directory. To read the directory each time
 * would cost far more than all the rest.
 *
 * IDEA. A name that was found stays in the tree of its directory, like those of directories in
 * memory, and has its inode, whose pages stay with it. All of these are also on one list, oldest
 * first. When they become too many, those go that nobody uses: that have no other reference than
 * their directory's, and no names below them, each of which holds its parent.
 *
 *	/mnt  --> "src" --> "main.c"       list: "main.c" can go; then "src", unless it is open
 *
 * A name that is used when it is looked at goes to the end of the list.
 *
 * LOCKING. names_lock.
 */
#include <cmdline.h>

#include "fs.h"

static uint64_t limit = 2048;
TUNABLE(limit, "fs.names", 16, 1 << 20, "names of files on disks that are kept in memory");

static struct list_head cached = LIST_INIT(cached);
static size_t nr_cached;

void
name_cache_add_locked(struct dentry *dentry)
{
	DEBUG_ASSERT(mutex_is_held(&names_lock));
	if (!inode_is_on_disk(dentry->inode) || !list_empty(&dentry->cached))
		return;
	list_add_tail(&dentry->cached, &cached);
	if (++nr_cached > limit)
		name_cache_shrink_locked(NULL);
}

void
name_cache_forget_locked(struct dentry *dentry)
{
	if (list_empty(&dentry->cached))
		return;
	list_del(&dentry->cached);
	list_init(&dentry->cached);
	nr_cached--;
}

/* Look at each name once. Returns whether any has gone, so that its parent might now. */
static bool
shrink_once(struct mount *mount, size_t target)
{
	struct dentry *dentry, *tmp, *last;
	bool any = false;

	if (list_empty(&cached))
		return false;
	last = list_entry(cached.prev, struct dentry, cached);
	list_for_each_entry_safe (dentry, tmp, &cached, cached) {
		bool is_last = dentry == last;

		if (nr_cached <= target)
			break;
		if (!mount || dentry->inode->mount == mount) {
			list_del(&dentry->cached);
			list_add_tail(&dentry->cached, &cached);
			/* Nobody finds it but through its directory, whose lock we hold. */
			if (__atomic_load_n(&dentry->refs, __ATOMIC_ACQUIRE) == 1) {
				dentry_unlink_locked(dentry);
				any = true;
			}
		}
		if (is_last)
			break;
	}
	return any;
}

void
name_cache_shrink_locked(struct mount *mount)
{
	size_t target = mount ? 0 : limit - limit / 4;

	DEBUG_ASSERT(mutex_is_held(&names_lock));
	while (shrink_once(mount, target) && nr_cached > target)
		;
}
