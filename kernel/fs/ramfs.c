/* SPDX-License-Identifier: MIT */
/*
 * Files in memory, from the first name to the last byte: those of the file system that is there
 * from the start, and of those that are mounted later, whose limits tmpfs.c has.
 *
 * Directories are trees of names (dentry.c), regular files are page caches (file_pages.c), links
 * are texts. The root directory is made here, and the steps in which everything below it comes.
 */
#include <printk.h>
#include <start.h>
#include <string.h>

#include "mount.h"

static void
release_regular(struct inode *inode)
{
	file_pages_destroy(inode->file);
	tmpfs_forget_inode(inode);
}

static void
release_link(struct inode *inode)
{
	kfree(inode->target);
	tmpfs_forget_inode(inode);
}

static void
release_fifo(struct inode *inode)
{
	if (inode->pipe)
		pipe_destroy(inode->pipe);
	tmpfs_forget_inode(inode);
}

const struct inode_ops directory_inode_ops = { .file_ops = &directory_ops,
					       .release = tmpfs_forget_inode };
const struct inode_ops regular_inode_ops = { .file_ops = &regular_ops, .release = release_regular };
const struct inode_ops fifo_inode_ops = { .file_ops = &fifo_ops, .release = release_fifo };
const struct inode_ops device_inode_ops = { .file_ops = &device_ops,
					    .release = tmpfs_forget_inode };
static const struct inode_ops link_inode_ops = { .release = release_link };

static const struct inode_ops *
ops_for(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return &directory_inode_ops;
	case S_IFREG:
		return &regular_inode_ops;
	case S_IFIFO:
		return &fifo_inode_ops;
	default:
		return &device_inode_ops;
	}
}

struct inode *
ramfs_create(uint32_t mode, uint64_t device)
{
	struct inode *inode = inode_create(ops_for(mode), mode);

	if (!inode)
		return NULL;
	inode->device = S_ISCHR(mode) || S_ISBLK(mode) ? device : 0;
	if (!S_ISREG(mode))
		return inode;
	inode->file = file_pages_create(inode, NULL);
	if (inode->file)
		return inode;
	inode->ops = &device_inode_ops; /* there is no file to release */
	inode_put(inode);
	return NULL;
}

struct inode *
ramfs_create_link(const char *target, size_t size)
{
	char *copy = kmalloc(size + 1, GFP_KERNEL);
	struct inode *inode;

	if (!copy)
		return NULL;
	memcpy(copy, target, size);
	copy[size] = '\0';
	inode = inode_create(&link_inode_ops, S_IFLNK | 0777);
	if (!inode) {
		kfree(copy);
		return NULL;
	}
	inode->target = copy;
	return inode;
}

/* The root is in no directory, and its own parent to those who look. */
static void
make_root(void)
{
	struct inode *inode = ramfs_create(S_IFDIR | 0755, 0);

	root_dentry = inode ? dentry_create("/", 1, inode) : NULL;
	kernel_context = root_dentry ? fs_context_create() : NULL;
	if (!kernel_context)
		panic("fs: no memory for the root directory");
}

void
fs_init(void)
{
	make_root();
	initrd_unpack();
	devices_init();
	procfs_init();
	write_back_init();
	mount_at_start();
}

START_STEP(files, fs_init, START_FILES);
