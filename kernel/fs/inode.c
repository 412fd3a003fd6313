/* SPDX-License-Identifier: MIT */
/*
 * Inodes: what there is, apart from what it is called.
 *
 * An inode lives as long as somebody has a reference: each name of it (a dentry) has one, and so
 * does each region of an address space that maps it. Open files have theirs through their name. A
 * file that was removed while it is open lives on therefore, and goes with its last reference.
 *
 * Rights are kept and shown. They decide nothing, because everything runs as root, except that
 * a file which nobody may execute is not executed.
 *
 * LOCKING. Reference counts and times are atomic. The count of writers is one word that says two
 * things: how many files are open for writing, or, below zero, how many are being executed; the
 * two exclude each other. alias_lock guards inode->alias, which has no reference: a dentry that
 * goes clears it.
 */
#include <block.h>
#include <process.h>
#include <slab.h>
#include <string.h>

#include "flock.h"
#include "fs.h"

static KMEM_CACHE(inode_cache, "inode", sizeof(struct inode), 0, 0, NULL);
static spinlock_t alias_lock = SPINLOCK_INIT("inode alias", RANK_MODULE);
static uint64_t last_number = 1;

int64_t
fs_now(void)
{
	return (int64_t)wall_clock_ns();
}

uint64_t
inode_new_number(void)
{
	return __atomic_add_fetch(&last_number, 1, __ATOMIC_RELAXED);
}

struct inode *
inode_create(const struct inode_ops *ops, uint32_t mode)
{
	struct inode *inode = kmem_cache_alloc(&inode_cache, GFP_ZERO);

	if (!inode)
		return NULL;
	inode->ops = ops;
	inode->refs = 1;
	inode->mode = mode;
	inode->number = inode_new_number();
	inode->accessed = inode->modified = inode->changed = fs_now();
	mutex_init(&inode->lock);
	if (S_ISDIR(mode)) {
		tree_init(&inode->directory.by_name, NULL);
		tree_init(&inode->directory.by_place, NULL);
		inode->directory.next_place = FIRST_PLACE;
		inode->directory.hash_mask = UINT64_MAX;
		inode->links = 2;
	}
	return inode;
}

struct inode *
inode_get(struct inode *inode)
{
	__atomic_add_fetch(&inode->refs, 1, __ATOMIC_RELAXED);
	return inode;
}

void
inode_put(struct inode *inode)
{
	if (__atomic_sub_fetch(&inode->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	ASSERT_EQ(inode->writers, 0);
	if (S_ISDIR(inode->mode))
		ASSERT_EQ(inode->directory.by_name.nr, 0);
	if (inode->ops->release)
		inode->ops->release(inode);
	flock_destroy(inode);
	kmem_cache_free(&inode_cache, inode);
}

/* ---- Times and sizes ----------------------------------------------------------------------- */

void
inode_touch(struct inode *inode, bool modified)
{
	int64_t now = fs_now();

	if (!modified) {
		if (mount_is_read_only(inode))
			return;
		__atomic_store_n(&inode->accessed, now, __ATOMIC_RELAXED);
		inode_dirty(inode);
		return;
	}
	__atomic_store_n(&inode->modified, now, __ATOMIC_RELAXED);
	__atomic_store_n(&inode->changed, now, __ATOMIC_RELAXED);
	inode_dirty(inode);
}

void
inode_changed(struct inode *inode)
{
	__atomic_store_n(&inode->changed, fs_now(), __ATOMIC_RELAXED);
	inode_dirty(inode);
}

uint64_t
inode_size(struct inode *inode)
{
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		return inode_has_pages(inode) ? file_pages_size(inode->file) : 0;
	case S_IFDIR:
		if (inode_is_on_disk(inode))
			return __atomic_load_n(&inode->size, __ATOMIC_RELAXED);
		return inode->ops == &directory_inode_ops ? DIRECTORY_SIZE : 0;
	case S_IFLNK:
		return inode->ops->read_link ? 0 : strlen(inode->target);
	default:
		return 0;
	}
}

static struct abi_timespec
to_timespec(int64_t ns)
{
	struct abi_timespec time = { ns / (int64_t)NSEC_PER_SEC, ns % (int64_t)NSEC_PER_SEC };

	if (time.nsec < 0) {
		time.sec--;
		time.nsec += NSEC_PER_SEC;
	}
	return time;
}

static uint64_t
device_of(const struct inode *inode)
{
	if (inode->mount)
		return inode->mount->number;
	return make_device(0, inode_is_proc(inode) ? 2 : 1);
}

void
inode_stat(struct inode *inode, struct abi_stat *stat)
{
	*stat = (struct abi_stat){
		.dev = device_of(inode),
		.ino = inode->number,
		.nlink = __atomic_load_n(&inode->links, __ATOMIC_RELAXED),
		.mode = __atomic_load_n(&inode->mode, __ATOMIC_RELAXED),
		.uid = inode->uid,
		.gid = inode->gid,
		.rdev = inode->device,
		.size = (int64_t)inode_size(inode),
		.blksize = PAGE_SIZE,
		.atime = to_timespec(inode->accessed),
		.mtime = to_timespec(inode->modified),
		.ctime = to_timespec(inode->changed),
	};
	if (inode_is_on_disk(inode))
		stat->blocks = (int64_t)__atomic_load_n(&inode->blocks, __ATOMIC_RELAXED);
	else if (inode_has_pages(inode))
		stat->blocks = (int64_t)file_pages_nr_pages(inode->file) * (PAGE_SIZE / 512);
}

/* ---- Writing and executing exclude each other ---------------------------------------------- */

/* Add step, 1 or -1, to the count of writers, unless it has the other sign. */
static int
count_writers(struct inode *inode, int step)
{
	int now = __atomic_load_n(&inode->writers, __ATOMIC_RELAXED);

	do {
		if (now * step < 0)
			return -ETXTBSY;
	} while (!__atomic_compare_exchange_n(&inode->writers, &now, now + step, false,
					      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return 0;
}

int
inode_start_write(struct inode *inode)
{
	return count_writers(inode, 1);
}

void
inode_end_write(struct inode *inode)
{
	__atomic_sub_fetch(&inode->writers, 1, __ATOMIC_ACQ_REL);
}

int
inode_deny_write(struct inode *inode)
{
	return count_writers(inode, -1);
}

void
inode_allow_write(struct inode *inode)
{
	__atomic_add_fetch(&inode->writers, 1, __ATOMIC_ACQ_REL);
}

/* ---- By which name it is known ------------------------------------------------------------- */

void
inode_set_alias(struct inode *inode, struct dentry *dentry)
{
	irqflags_t flags = spin_lock_irqsave(&alias_lock);

	inode->alias = dentry;
	spin_unlock_irqrestore(&alias_lock, flags);
}

void
inode_clear_alias(struct inode *inode, struct dentry *dentry)
{
	irqflags_t flags = spin_lock_irqsave(&alias_lock);

	if (inode->alias == dentry)
		inode->alias = NULL;
	spin_unlock_irqrestore(&alias_lock, flags);
}

/* A dentry whose count is 0 is just going and has not cleared the alias yet. */
struct dentry *
inode_alias(struct inode *inode)
{
	irqflags_t flags = spin_lock_irqsave(&alias_lock);
	struct dentry *dentry = inode->alias;
	unsigned refs = dentry ? __atomic_load_n(&dentry->refs, __ATOMIC_RELAXED) : 0;

	while (refs > 0 && !__atomic_compare_exchange_n(&dentry->refs, &refs, refs + 1, false,
							__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
	spin_unlock_irqrestore(&alias_lock, flags);
	return refs > 0 ? dentry : NULL;
}
