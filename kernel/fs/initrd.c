/* SPDX-License-Identifier: MIT */
/*
 * The first files: unpacking the archive that the boot loader brought into the root directory.
 *
 * What the archive says is untrusted: names are walked as any path is, so they stay below the root;
 * what cannot be made is counted and the rest goes on; at damage the unpacking stops, says where
 * in one line, and keeps what it has.
 *
 * Names of one file (hard links) have the same inode number in the archive; each but the last
 * usually comes without contents. The first name of each is remembered, in a tree by number.
 */
#include <bootinfo.h>
#include <printk.h>
#include <string.h>

#include "cpio.h"
#include "fs.h"

/* An inode of the archive that has several names. */
struct known_inode {
	struct tree_node node;	  /* key: number in the archive */
	struct known_inode *next; /* the same number on another device */
	uint32_t major, minor;
	struct inode *inode; /* with a reference */
};

struct unpacking {
	struct fs_context *fs;
	struct tree known;
	unsigned nr_made, nr_failed;
	uint64_t bytes;
	int first_error;
	char first_failed[64]; /* its name */
};

/* ---- Hard links ---------------------------------------------------------------------------- */

static struct known_inode *
find_known(struct unpacking *u, const struct cpio_entry *entry)
{
	struct tree_node *node = tree_find(&u->known, entry->inode);
	struct known_inode *known = node ? container_of(node, struct known_inode, node) : NULL;

	while (known && (known->major != entry->major || known->minor != entry->minor))
		known = known->next;
	return known;
}

static int
remember(struct unpacking *u, const struct cpio_entry *entry, struct inode *inode)
{
	struct known_inode *known = kmalloc_zeroed(sizeof(*known), GFP_KERNEL);
	struct tree_node *node;

	if (!known)
		return -ENOMEM;
	known->major = entry->major;
	known->minor = entry->minor;
	known->inode = inode_get(inode);
	known->node.key = entry->inode;
	node = tree_find(&u->known, entry->inode);
	if (node) {
		struct known_inode *first = container_of(node, struct known_inode, node);

		known->next = first->next;
		first->next = known;
	} else {
		tree_insert(&u->known, &known->node);
	}
	return 0;
}

static void
forget_all(struct unpacking *u)
{
	struct tree_node *node;

	while ((node = tree_first(&u->known))) {
		struct known_inode *known = container_of(node, struct known_inode, node), *next;

		tree_erase(&u->known, node);
		for (; known; known = next) {
			next = known->next;
			inode_put(known->inode);
			kfree(known);
		}
	}
}

/* ---- One entry ----------------------------------------------------------------------------- */

/* A fresh inode for an entry, or that which it is another name of, with a reference. */
static int
make_inode(struct unpacking *u, const struct cpio_entry *entry, struct inode **made)
{
	bool shared = entry->links > 1 && !S_ISDIR(entry->mode);
	struct known_inode *known = shared ? find_known(u, entry) : NULL;
	struct inode *inode;
	int error = 0;

	if (known && (known->inode->mode & S_IFMT) == (entry->mode & S_IFMT)) {
		*made = inode_get(known->inode);
		return 0;
	}
	if (S_ISLNK(entry->mode))
		inode = ramfs_create_link((const char *)entry->data, entry->size);
	else
		inode = ramfs_create(entry->mode & (S_IFMT | S_PERMISSIONS),
				     make_device(entry->device_major, entry->device_minor));
	if (!inode)
		return -ENOSPC;
	if (shared && !known)
		error = remember(u, entry, inode);
	if (error) {
		inode_put(inode);
		return error;
	}
	*made = inode;
	return 0;
}

static bool
kind_is_known(const struct cpio_entry *entry)
{
	switch (entry->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return true;
	case S_IFLNK: /* its contents are a path */
		return entry->size > 0 && entry->size < PATH_MAX &&
		       strnlen((const char *)entry->data, entry->size) == entry->size;
	default:
		return false;
	}
}

/* Put the inode where the walk ended. A directory that is there stays; else the newest wins. */
static int
put_name_locked(struct walk *walk, struct inode *inode)
{
	int error;

	if (walk->last != LAST_NAME)
		return 0;
	if (walk->found && S_ISDIR(walk->found->inode->mode))
		return S_ISDIR(inode->mode) ? 0 : -EISDIR;
	if (walk->found) {
		error = name_remove_locked(walk->found, false);
		if (error)
			return error;
		dentry_put(walk->found);
		walk->found = NULL;
	}
	return name_create_locked(walk->directory, walk->name, walk->size, inode_get(inode),
				  &walk->found);
}

static int
make_name(struct unpacking *u, const struct cpio_entry *entry, struct inode *inode,
	  struct dentry **made)
{
	struct walk walk;
	int error = walk_begin(&walk, u->fs, entry->name);

	if (error)
		return error;
	mutex_lock(&names_lock);
	error = walk_locked(&walk, WALK_PARENT);
	if (!error)
		error = put_name_locked(&walk, inode);
	if (!error)
		*made = dentry_get(walk.found);
	mutex_unlock(&names_lock);
	walk_end(&walk);
	return error;
}

static int
write_contents(struct dentry *dentry, const struct cpio_entry *entry)
{
	struct transfer from = { (uintptr_t)entry->data, entry->size, true };
	struct file *file;
	int64_t moved = 0;
	int error = file_create(dentry, O_WRONLY, &file);

	if (error)
		return error;
	while (from.left > 0 && moved >= 0)
		moved = file_write(file, &from, NULL);
	file_put(file);
	return moved < 0 ? (int)moved : 0;
}

static int
unpack_entry(struct unpacking *u, const struct cpio_entry *entry)
{
	struct dentry *dentry = NULL;
	struct inode *inode;
	int error = kind_is_known(entry) ? make_inode(u, entry, &inode) : -EINVAL;

	if (error)
		return error;
	error = make_name(u, entry, inode, &dentry);
	inode_put(inode);
	if (error)
		return error;
	inode = dentry->inode;
	if (S_ISREG(inode->mode) && entry->size > 0)
		error = write_contents(dentry, entry);
	if (!S_ISLNK(inode->mode))
		inode->mode = (inode->mode & S_IFMT) | (entry->mode & S_PERMISSIONS);
	inode->uid = entry->uid;
	inode->gid = entry->gid;
	inode->modified = (int64_t)entry->mtime * (int64_t)NSEC_PER_SEC;
	dentry_put(dentry);
	return error;
}

/* ---- All of it ----------------------------------------------------------------------------- */

static void
note_result(struct unpacking *u, const struct cpio_entry *entry, int error)
{
	if (!error) {
		u->nr_made++;
		u->bytes += entry->size;
		return;
	}
	if (u->nr_failed++ == 0) {
		u->first_error = error;
		strlcpy(u->first_failed, entry->name, sizeof(u->first_failed));
	}
}

static void
report(const struct unpacking *u, const struct cpio_reader *reader, int result)
{
	if (result)
		kprintf("initrd: damaged at byte %lu: %s; what came before it is kept: %u files, "
			"%lu KiB\n",
			(unsigned long)reader->at, reader->problem, u->nr_made,
			(unsigned long)(u->bytes >> 10));
	else
		kprintf("initrd: %u files, %lu KiB\n", u->nr_made, (unsigned long)(u->bytes >> 10));
	if (u->nr_failed > 0)
		kprintf("initrd: %u could not be made, the first \"%s\" (error %d)\n", u->nr_failed,
			u->first_failed, -u->first_error);
}

int
initrd_unpack_archive(struct fs_context *fs, const void *archive, size_t size, bool quiet)
{
	struct unpacking u = { .fs = fs };
	struct cpio_reader reader;
	struct cpio_entry entry;
	int result;

	tree_init(&u.known, NULL);
	cpio_begin(&reader, archive, size);
	while ((result = cpio_next(&reader, &entry)) > 0)
		note_result(&u, &entry, unpack_entry(&u, &entry));
	forget_all(&u);
	if (!quiet)
		report(&u, &reader, result);
	return result;
}

void
initrd_unpack(void)
{
	struct boot_module *module = &boot_info.modules[0];

	if (boot_info.nr_modules == 0)
		return;
	(void)initrd_unpack_archive(kernel_context, phys_to_virt(module->start),
				    module->end - module->start, false);
	initrd_free_memory(module);
}
