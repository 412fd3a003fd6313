/* SPDX-License-Identifier: MIT */
/*
 * File systems in memory that are mounted: tmpfs, with limits, and ramfs, without.
 *
 * Their files are those of ramfs.c, of which inode->mount says to which of them they belong. What
 * each has beside the trees of names are two budgets:
 *
 *	pages    frames of its files; each page cache takes from it (page_cache.c)
 *	names    inodes, and names of files beyond their first: what nr_inodes= limits
 *
 * An inode without a name counts as well: one that was removed and is open, or mapped, or one of
 * O_TMPFILE. So the names in the tree are as many as are counted, unless somebody uses such a one.
 *
 * UNMOUNTING. All that there is hangs on the tree, so to unmount means to throw the tree away; and
 * nobody else may have a reference into it:
 *
 *	a name     has one reference by its directory, and one by each name below it
 *	an inode   has one by each of its names
 *	the root   has one more of each: its name and its inode are the mount's
 *
 * Any more is somebody's: an open file's, a current directory's, a mapping's, or that of a mount
 * inside. A name that is open after it was removed still holds its directory.
 *
 * LOCKING. names_lock for the tree and links; the budgets are atomic. References may come and go
 * without a lock, but only where there is one already. Who has a name's may take its inode's, to
 * map it, and drop the name's: so the inode is looked at last.
 */
#include <budget.h>
#include <cmdline.h>
#include <page_allocator.h>
#include <page_cache.h>
#include <slab.h>
#include <string.h>

#include "mount.h"
#include "procfs.h"

struct tmpfs {
	struct budget pages, names;
	uint32_t mode, uid, gid; /* (c) of the root, as it was mounted */
};

#define TMPFS_MODE (S_ISVTX | 0777u)
#define RAMFS_MODE 0755u

static const struct mount_ops tmpfs_ops;

/* ---- Options ------------------------------------------------------------------------------- */

/* Digits of a base up to 10, and nothing else. UINT32_MAX is no value: it is nobody's number. */
static int
parse_u32(const char *text, unsigned base, uint32_t *value)
{
	uint64_t number = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		unsigned digit = (unsigned)(*text - '0');

		if (digit >= base)
			return -EINVAL;
		number = number * base + digit;
		if (number >= UINT32_MAX)
			return -EINVAL;
	}
	*value = (uint32_t)number;
	return 0;
}

/* 0 stands for no limit. */
static void
set_limit(struct budget *budget, uint64_t limit)
{
	budget->limit = limit ? limit : SIZE_MAX;
}

/* A number that may end with k, m or g, which the command line wants to be capitals. */
static int
parse_amount(char *text, uint64_t *value)
{
	size_t length = strlen(text);

	if (length > 0 && strchr("kmg", text[length - 1]))
		text[length - 1] += 'A' - 'a';
	return parse_u64(text, value);
}

/* Bytes, or with a '%' behind it the part of memory. */
static int
set_size(struct tmpfs *fs, char *text)
{
	size_t length = strlen(text);
	bool percent = length > 0 && text[length - 1] == '%';
	struct page_totals totals;
	uint64_t size;

	if (percent)
		text[length - 1] = '\0';
	if (parse_amount(text, &size))
		return -EINVAL;
	if (percent) {
		page_allocator_totals(&totals);
		if (size > SIZE_MAX / (totals.managed << PAGE_SHIFT))
			return -EINVAL;
		size = size * (totals.managed << PAGE_SHIFT) / 100;
	}
	set_limit(&fs->pages, (size >> PAGE_SHIFT) + (size % PAGE_SIZE != 0));
	return 0;
}

static int
set_tmpfs_option(struct tmpfs *fs, const char *name, char *value)
{
	uint64_t number;

	if (strcmp(name, "size") == 0)
		return set_size(fs, value);
	if (strcmp(name, "uid") == 0)
		return parse_u32(value, 10, &fs->uid);
	if (strcmp(name, "gid") == 0)
		return parse_u32(value, 10, &fs->gid);
	if (strcmp(name, "nr_inodes") != 0 || parse_amount(value, &number))
		return -EINVAL;
	set_limit(&fs->names, number);
	return 0;
}

/* ramfs takes any option, and knows but one. */
static int
set_option(struct tmpfs *fs, const struct fs_type *type, const char *name, char *value)
{
	if (strcmp(name, "mode") != 0)
		return type == &tmpfs_type ? set_tmpfs_option(fs, name, value) : 0;
	if (parse_u32(value, 8, &fs->mode))
		return -EINVAL;
	fs->mode &= S_PERMISSIONS;
	return 0;
}

/* "NAME=VALUE,NAME=VALUE", which is cut up. */
static int
set_options(struct tmpfs *fs, const struct fs_type *type, char *text)
{
	int error = 0;

	while (text && !error) {
		char *next = strchr(text, ','), *value;

		if (next)
			*next++ = '\0';
		value = strchr(text, '=');
		if (value)
			*value++ = '\0';
		if (*text)
			error = set_option(fs, type, text, value ? value : text + strlen(text));
		text = next;
	}
	return error;
}

static void
set_defaults(struct tmpfs *fs, const struct fs_type *type)
{
	bool limited = type == &tmpfs_type;

	*fs = (struct tmpfs){ .mode = limited ? TMPFS_MODE : RAMFS_MODE };
	set_limit(&fs->pages, limited ? files_in_memory_limit() : 0);
	set_limit(&fs->names, limited ? files_in_memory_limit() : 0);
}

/* ---- Mounting ------------------------------------------------------------------------------ */

static int
make_root(struct mount *mount, const struct tmpfs *fs)
{
	struct inode *root = ramfs_create(S_IFDIR | fs->mode, 0);

	if (!root)
		return -ENOMEM;
	if (tmpfs_add_inode(mount, root)) {
		inode_put(root);
		return -ENOSPC;
	}
	root->uid = fs->uid;
	root->gid = fs->gid;
	mount->root_inode = root;
	return 0;
}

static int
tmpfs_mount(struct mount *mount, char *options)
{
	static uint32_t last_number = 2; /* mounts_lock; those before are the first files', /proc */
	struct tmpfs *fs = kmalloc(sizeof(*fs), GFP_KERNEL);
	int error;

	if (!fs)
		return -ENOMEM;
	set_defaults(fs, mount->type);
	mount->ops = &tmpfs_ops;
	mount->private = fs;
	mount->number = make_device(0, ++last_number);
	error = set_options(fs, mount->type, options);
	if (!error)
		error = make_root(mount, fs);
	if (error)
		kfree(fs);
	return error;
}

static void
tmpfs_free(struct mount *mount)
{
	struct tmpfs *fs = mount->private;

	ASSERT_EQ(budget_used(&fs->names), 0);
	ASSERT_EQ(budget_used(&fs->pages), 0);
	kfree(fs);
}

/* ---- What is counted ----------------------------------------------------------------------- */

static struct tmpfs *
tmpfs_of(const struct inode *inode)
{
	return inode->mount && inode->mount->ops == &tmpfs_ops ? inode->mount->private : NULL;
}

/* What an inode takes of the budget of names: a directory has links that are no names. */
static size_t
names_taken(const struct inode *inode)
{
	return S_ISDIR(inode->mode) ? 1 : MAX(inode->links, 1u);
}

int
tmpfs_add_inode(struct mount *mount, struct inode *inode)
{
	struct tmpfs *fs = mount->private;

	if (!budget_take(&fs->names))
		return -ENOSPC;
	inode->mount = mount;
	if (S_ISREG(inode->mode))
		file_pages_cache(inode->file)->budget = &fs->pages;
	return 0;
}

/* With this the mount may go, too. */
void
tmpfs_forget_inode(struct inode *inode)
{
	struct tmpfs *fs = tmpfs_of(inode);

	if (fs)
		budget_give(&fs->names, names_taken(inode));
}

int
tmpfs_add_name(struct inode *inode)
{
	struct tmpfs *fs = tmpfs_of(inode);
	bool first = S_ISDIR(inode->mode) || inode->links == 0;

	return !fs || first || budget_take(&fs->names) ? 0 : -ENOSPC;
}

void
tmpfs_forget_name(struct inode *inode)
{
	struct tmpfs *fs = tmpfs_of(inode);

	if (fs && inode->links > 1)
		budget_give(&fs->names, 1);
}

/* ---- Unmounting ---------------------------------------------------------------------------- */

static struct dentry *
first_below(const struct dentry *dentry)
{
	struct tree_node *node = NULL;

	if (S_ISDIR(dentry->inode->mode))
		node = tree_first(&dentry->inode->directory.by_place);
	return node ? container_of(node, struct dentry, by_place) : NULL;
}

/* All names below the root, each directory before what is in it; NULL: that was the last. */
static struct dentry *
next_name(struct dentry *dentry, const struct dentry *root)
{
	struct dentry *below = first_below(dentry);

	while (!below && dentry != root) {
		struct tree_node *node = tree_next(&dentry->by_place);

		if (node)
			below = container_of(node, struct dentry, by_place);
		else
			dentry = dentry->parent;
	}
	return below;
}

/* Has anybody but the tree, and so many others, a reference to the name or its inode? */
static bool
is_used(const struct dentry *dentry, unsigned others)
{
	const struct inode *inode = dentry->inode;
	size_t below = S_ISDIR(inode->mode) ? inode->directory.by_place.nr : 0;

	return __atomic_load_n(&dentry->refs, __ATOMIC_ACQUIRE) != 1 + below + others ||
	       __atomic_load_n(&inode->refs, __ATOMIC_ACQUIRE) != names_taken(inode) + others;
}

static bool
tree_is_used_locked(const struct tmpfs *fs, struct dentry *root)
{
	struct dentry *dentry = root;
	size_t nr = 1;

	DEBUG_ASSERT(mutex_is_held(&names_lock));
	if (is_used(root, 1)) /* its name is in no tree: they are the mount's, and its finder's */
		return true;
	for (; (dentry = next_name(dentry, root)); nr++) {
		if (is_used(dentry, 0))
			return true;
	}
	return budget_used(&fs->names) != nr;
}

/* The deepest names first. Not from the root each time: the tree may be as deep as it is large. */
static void
drop_tree_locked(struct dentry *root)
{
	struct dentry *dentry = root, *below;

	DEBUG_ASSERT(mutex_is_held(&names_lock));
	for (;;) {
		while ((below = first_below(dentry)))
			dentry = below;
		if (dentry == root)
			return;
		below = dentry;
		dentry = dentry->parent;
		dentry_unlink_locked(below);
	}
}

static int
drop_names(struct mount *mount)
{
	if (tree_is_used_locked(mount->private, mount->root))
		return -EBUSY;
	drop_tree_locked(mount->root);
	return 0;
}

/* ---- The rest ------------------------------------------------------------------------------ */

static void
tmpfs_statfs(struct mount *mount, struct abi_statfs *statfs)
{
	const struct tmpfs *fs = mount->private;

	statfs->type = mount->type == &tmpfs_type ? TMPFS_MAGIC : RAMFS_MAGIC;
	if (fs->pages.limit != SIZE_MAX) {
		statfs->blocks = fs->pages.limit;
		statfs->bfree = statfs->bavail = fs->pages.limit - budget_used(&fs->pages);
	}
	if (fs->names.limit != SIZE_MAX) {
		statfs->files = fs->names.limit;
		statfs->ffree = fs->names.limit - budget_used(&fs->names);
	}
}

/* For people, and mount(), no limit is 0. */
static unsigned long
shown(const struct budget *budget)
{
	return budget->limit == SIZE_MAX ? 0 : budget->limit;
}

static void
tmpfs_show_options(struct mount *mount, struct text *text)
{
	const struct tmpfs *fs = mount->private;
	struct tmpfs usual;

	set_defaults(&usual, mount->type);
	if (fs->pages.limit != usual.pages.limit)
		text_printf(text, ",size=%luk", shown(&fs->pages) << (PAGE_SHIFT - 10));
	if (fs->names.limit != usual.names.limit)
		text_printf(text, ",nr_inodes=%lu", shown(&fs->names));
	if (fs->mode != usual.mode)
		text_printf(text, ",mode=%03o", fs->mode);
	if (fs->uid != 0)
		text_printf(text, ",uid=%u", fs->uid);
	if (fs->gid != 0)
		text_printf(text, ",gid=%u", fs->gid);
}

/* There is no disk that could want to know, or have to be written. */
static void
ignore_dirty(struct inode *inode)
{
	(void)inode;
}

static int
write_nothing(struct mount *mount)
{
	(void)mount;
	return 0;
}

static int
write_no_inode(struct inode *inode)
{
	(void)inode;
	return 0;
}

static const struct mount_ops tmpfs_ops = {
	.dirty = ignore_dirty,
	.sync = write_nothing,
	.sync_inode = write_no_inode,
	.statfs = tmpfs_statfs,
	.show_options = tmpfs_show_options,
	.drop_names = drop_names,
	.unmount = write_nothing,
	.free = tmpfs_free,
};

const struct fs_type tmpfs_type = { .name = "tmpfs", .in_memory = true, .mount = tmpfs_mount };
const struct fs_type ramfs_type = { .name = "ramfs", .in_memory = true, .mount = tmpfs_mount };
