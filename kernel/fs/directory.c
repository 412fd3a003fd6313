/* SPDX-License-Identifier: MIT */
/*
 * Open directories: getdents().
 *
 * The position of a directory that is open is the place of the next name (see dentry.c). Names are
 * gathered in a buffer of the kernel under names_lock, and copied to the program after that, as
 * the copy may fault.
 */
#include <abi/dirent.h>
#include <process.h>
#include <string.h>
#include <syscall.h>

#include "fs.h"

#define BUFFER_SIZE ((size_t)16384)

/* What one call gathers. */
struct gathering {
	uint8_t *buffer;
	size_t size, used;
	uint64_t next; /* place behind the last name */
	bool old;      /* struct abi_dirent, not abi_dirent64 */
};

static bool
gather64(struct gathering *g, const struct listed *entry)
{
	struct abi_dirent64 *to = (struct abi_dirent64 *)(g->buffer + g->used);
	size_t size = ALIGN_UP(sizeof(*to) + entry->size + 1, 8ul);

	if (size > g->size - g->used)
		return false;
	memset(to, 0, size);
	to->ino = entry->inode;
	to->next = (int64_t)entry->next;
	to->size = (uint16_t)size;
	to->type = (uint8_t)((entry->mode & S_IFMT) >> 12);
	memcpy(to->name, entry->name, entry->size);
	g->used += size;
	return true;
}

/* In the old form the type stands in the last byte. */
static bool
gather_old(struct gathering *g, const struct listed *entry)
{
	struct abi_dirent *to = (struct abi_dirent *)(g->buffer + g->used);
	size_t size = ALIGN_UP(sizeof(*to) + entry->size + 2, 8ul);

	if (size > g->size - g->used)
		return false;
	memset(to, 0, size);
	to->ino = entry->inode;
	to->next = entry->next;
	to->size = (uint16_t)size;
	memcpy(to->name, entry->name, entry->size);
	g->buffer[g->used + size - 1] = (uint8_t)((entry->mode & S_IFMT) >> 12);
	g->used += size;
	return true;
}

static bool
gather(const struct listed *entry, void *arg)
{
	struct gathering *g = arg;
	bool taken = g->old ? gather_old(g, entry) : gather64(g, entry);

	if (taken)
		g->next = entry->next;
	return taken;
}

/* Is there a name from here on? Tells "no room for one" from "no more". */
static bool
note_any(const struct listed *entry, void *arg)
{
	(void)entry;
	*(bool *)arg = true;
	return false;
}

static int
list_locked(struct file *file, struct gathering *g)
{
	struct dentry *directory = file->dentry;
	bool more = false;

	if (directory->inode->links == 0)
		return -ENOENT;
	g->next = file->position;
	dentry_list_locked(directory, file->position, gather, g);
	if (g->used == 0)
		dentry_list_locked(directory, file->position, note_any, &more);
	return more ? -EINVAL : 0;
}

static int64_t
list(struct file *file, struct gathering *g, uintptr_t to)
{
	int error;

	mutex_lock(&file->position_lock);
	mutex_lock(&names_lock);
	error = list_locked(file, g);
	mutex_unlock(&names_lock);
	if (!error)
		error = copy_to_user(to, g->buffer, g->used);
	if (!error)
		file->position = g->next;
	mutex_unlock(&file->position_lock);
	inode_touch(file->inode, false);
	return error ? error : (int64_t)g->used;
}

static int64_t
get_entries(const uint64_t *arg, bool old)
{
	struct file *file = fd_current((int)arg[0]);
	struct gathering g = { .size = MIN((size_t)(uint32_t)arg[2], BUFFER_SIZE), .old = old };
	int64_t result = -ENOTDIR;

	if (!file)
		return -EBADF;
	if (S_ISDIR(file->inode->mode) && !(file->flags & O_PATH)) {
		g.buffer = kmalloc(MAX(g.size, 1ul), GFP_KERNEL);
		result = g.buffer ? list(file, &g, arg[1]) : -ENOMEM;
		kfree(g.buffer);
	}
	file_put(file);
	return result;
}

static int64_t
sys_getdents64(const uint64_t *arg)
{
	return get_entries(arg, false);
}

static int64_t
sys_getdents(const uint64_t *arg)
{
	return get_entries(arg, true);
}

SYSCALL(217, getdents64, 3, sys_getdents64);
SYSCALL(78, getdents, 3, sys_getdents);

const struct file_ops directory_ops = { .name = "directory", .seekable = true };
