/* SPDX-License-Identifier: MIT */
/*
 * Open files: an inode, how it was opened, and a position.
 *
 * What dup() and fork() make are more descriptors of the same open file, which has one position
 * for all of them. read() and write() at that position hold its lock from finding it until it has
 * moved on, so two who share it never get the same bytes. Pipes and terminals have no position,
 * and take no such lock: one who waits for input must not keep another from writing.
 *
 * LOCKING. position_lock, the outermost of all; the copying below it may fault. Flags are one word.
 */
#include <page_cache.h>
#include <process.h>
#include <slab.h>
#include <string.h>

#include "flock.h"
#include "fs.h"

static KMEM_CACHE(file_cache, "file", sizeof(struct file), 0, 0, NULL);

/* ---- Opening and closing ------------------------------------------------------------------- */

const struct file_ops path_ops = { .name = "path" };

/* Flags that only say how to open. */
#define OPENING_FLAGS (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)

static struct file *
new_file(struct dentry *dentry, unsigned flags)
{
	struct file *file = kmem_cache_alloc(&file_cache, GFP_ZERO);

	if (!file)
		return NULL;
	file->refs = 1;
	file->flags = flags;
	file->dentry = dentry_get(dentry);
	file->inode = dentry->inode;
	file->ops = flags & O_PATH ? &path_ops : dentry->inode->ops->file_ops;
	if (inode_has_pages(file->inode)) /* errors up to now are not of what is written here */
		(void)page_cache_error(file_pages_cache(file->inode->file), &file->error_seen);
	mutex_init(&file->position_lock);
	return file;
}

static void
free_file(struct file *file)
{
	dentry_put(file->dentry);
	kmem_cache_free(&file_cache, file);
}

int
file_create(struct dentry *dentry, unsigned flags, struct file **made)
{
	struct file *file;
	int error = 0;

	if (!(flags & O_PATH) && !dentry->inode->ops->file_ops)
		return S_ISLNK(dentry->inode->mode) ? -ELOOP : -ENXIO;
	file = new_file(dentry, flags);
	if (!file)
		return -ENOMEM;
	if (file_writable(file))
		error = inode_start_write(file->inode);
	if (error)
		goto not_writable;
	if (file->ops->open)
		error = file->ops->open(file);
	if (error)
		goto not_opened;
	file->flags &= ~OPENING_FLAGS;
	*made = file;
	return 0;
not_opened:
	if (file_writable(file))
		inode_end_write(file->inode);
not_writable:
	free_file(file);
	return error;
}

int
file_create_nameless(struct inode *inode, const char *name, unsigned flags, struct file **file)
{
	struct dentry *dentry = dentry_create(name, strlen(name), inode);
	int error;

	if (!dentry)
		return -ENOMEM;
	error = file_create(dentry, flags, file);
	dentry_put(dentry);
	return error;
}

struct file *
file_get(struct file *file)
{
	__atomic_add_fetch(&file->refs, 1, __ATOMIC_RELAXED);
	return file;
}

void
file_put(struct file *file)
{
	if (__atomic_sub_fetch(&file->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	flock_release(file);
	if (file->ops->close)
		file->ops->close(file);
	if (file_writable(file))
		inode_end_write(file->inode);
	if (file->denies_write)
		inode_allow_write(file->inode);
	free_file(file);
}

/* ---- Reading and writing ------------------------------------------------------------------- */

/* Hold the position, if the file has one and the caller gives none. Returns where to begin. */
static uint64_t
begin_at(struct file *file, const uint64_t *offset, bool *moves)
{
	*moves = !offset && file->ops->seekable;
	if (*moves)
		mutex_lock(&file->position_lock);
	return offset ? *offset : file->position;
}

static void
end_at(struct file *file, bool moves, uint64_t position)
{
	if (!moves)
		return;
	file->position = position;
	mutex_unlock(&file->position_lock);
}

static size_t
piece_of(const struct transfer *transfer, size_t left)
{
	return MIN(left, PAGE_SIZE - transfer->at % PAGE_SIZE);
}

int64_t
transfer_out_part(struct transfer *to, const void *from, size_t size)
{
	size_t moved = 0;

	while (moved < size) {
		size_t piece = piece_of(to, size - moved);

		if (transfer_out(to, (const char *)from + moved, piece))
			return moved > 0 ? (int64_t)moved : -EFAULT;
		moved += piece;
	}
	return (int64_t)moved;
}

int64_t
transfer_in_part(struct transfer *from, void *to, size_t size)
{
	size_t moved = 0;

	while (moved < size) {
		size_t piece = piece_of(from, size - moved);

		if (transfer_in(from, (char *)to + moved, piece))
			return moved > 0 ? (int64_t)moved : -EFAULT;
		moved += piece;
	}
	return (int64_t)moved;
}

int64_t
file_read(struct file *file, struct transfer *to, const uint64_t *offset)
{
	uint64_t at;
	int64_t moved;
	bool moves;

	if (!file_readable(file))
		return -EBADF;
	if (S_ISDIR(file->inode->mode))
		return -EISDIR;
	if (!file->ops->read)
		return -EINVAL;
	if (offset && !file->ops->seekable)
		return -ESPIPE;
	to->left = MIN(to->left, MAX_IO);
	at = begin_at(file, offset, &moves);
	moved = file->ops->read(file, to, at);
	end_at(file, moves, at + (uint64_t)MAX(moved, 0));
	return moved;
}

int64_t
file_write(struct file *file, struct transfer *from, const uint64_t *offset)
{
	uint64_t at;
	int64_t moved;
	bool moves;

	if (!file_writable(file))
		return -EBADF;
	if (!file->ops->write)
		return -EINVAL;
	if (offset && !file->ops->seekable)
		return -ESPIPE;
	from->left = MIN(from->left, MAX_IO);
	at = begin_at(file, offset, &moves);
	moved = file->ops->write(file, from, &at);
	if (moved > 0 && (file->flags & O_DSYNC) && file->inode->mount) {
		int error = file_pages_sync(file->inode, &file->error_seen);

		moved = error ? error : moved;
	}
	/* Where O_APPEND wrote is where the position is now. */
	end_at(file, moves, moved > 0 ? at + (uint64_t)moved : file->position);
	return moved;
}

int64_t
file_read_at(struct file *file, uint64_t offset, void *to, size_t size)
{
	struct transfer transfer = { (uintptr_t)to, size, true };

	return file_read(file, &transfer, &offset);
}

/* ---- The position -------------------------------------------------------------------------- */

/*
 * Where data or a hole begins: a file is taken to be data up to its end, as a file system may that
 * does not tell its holes.
 */
static int64_t
seek_data(uint64_t offset, int whence, uint64_t size)
{
	if (offset >= size)
		return -ENXIO;
	return (int64_t)(whence == SEEK_DATA ? offset : size);
}

static int64_t
seek_to(struct file *file, int64_t offset, int whence)
{
	uint64_t size = file->ops->size ? file->ops->size(file) : 0;
	uint64_t base;

	switch (whence) {
	case SEEK_SET:
		base = 0;
		break;
	case SEEK_CUR:
		base = file->position;
		break;
	case SEEK_END:
		base = size;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (offset < 0 || !S_ISREG(file->inode->mode))
			return offset < 0 ? -ENXIO : -EINVAL;
		return seek_data((uint64_t)offset, whence, size);
	default:
		return -EINVAL;
	}
	if (offset > 0 && base > MAX_FILE_SIZE - (uint64_t)offset)
		return -EOVERFLOW;
	if (offset < 0 && (uint64_t)-offset > base)
		return -EINVAL;
	return (int64_t)(base + (uint64_t)offset);
}

int64_t
file_seek(struct file *file, int64_t offset, int whence)
{
	int64_t position;

	if (file->flags & O_PATH)
		return -EBADF;
	if (file->ops->endless)
		return 0;
	if (!file->ops->seekable)
		return -ESPIPE;
	mutex_lock(&file->position_lock);
	position = seek_to(file, offset, whence);
	if (position >= 0)
		file->position = (uint64_t)position;
	mutex_unlock(&file->position_lock);
	return position;
}

int
file_truncate(struct inode *inode, uint64_t size)
{
	if (S_ISDIR(inode->mode))
		return -EISDIR;
	if (!inode_has_pages(inode))
		return -EINVAL;
	return file_pages_truncate(inode, size);
}

/* ---- What others ask ----------------------------------------------------------------------- */

/*
 * From here on until the file is closed nobody opens it for writing: what is executed must not
 * change.
 */
int
file_may_exec(struct file *file)
{
	int error;

	if (!S_ISREG(file->inode->mode) || inode_permission(file->inode, MAY_EXEC))
		return -EACCES;
	if (file->denies_write)
		return 0;
	error = inode_deny_write(file->inode);
	if (!error)
		file->denies_write = true;
	return error;
}

unsigned
file_prot(const struct file *file)
{
	return (file_readable(file) ? PROT_READ : 0) | (file_writable(file) ? PROT_WRITE : 0);
}

struct memory_object *
file_object(struct file *file)
{
	if (!inode_has_pages(file->inode) || file->flags & O_PATH)
		return NULL;
	return file_pages_object(file->inode->file);
}

void
file_set_ids(const struct file *file, uint32_t *uid, uint32_t *gid)
{
	uint32_t mode = file->inode->mode;

	if (mount_refuses(file->inode, MOUNT_NO_SET_ID))
		mode = 0;
	*uid = mode & S_ISUID ? file->inode->uid : UINT32_MAX;
	*gid = (mode & S_ISGID) && (mode & 0010) ? file->inode->gid : UINT32_MAX;
}

bool
file_forbids_exec(const struct file *file)
{
	return mount_refuses(file->inode, MOUNT_NO_EXECUTE);
}

bool
file_is_zeroes(const struct file *file)
{
	return file->ops->zeroes;
}

void
file_note_mapped(struct file *file)
{
	inode_touch(file->inode, false);
}

/* For people: " (deleted)" behind the name of what has none any more. */
void
dentry_show_path(struct dentry *dentry, char *path, size_t size)
{
	static const char deleted[] = " (deleted)";
	int64_t length = dentry_path(dentry, context_current()->root, path, size);

	if (length == -ENOENT && strlen(path) + sizeof(deleted) <= size)
		strlcpy(path + strlen(path), deleted, sizeof(deleted));
	else if (length == -ENAMETOOLONG && size > 0)
		path[0] = '\0';
}

void
file_path(struct file *file, char *path, size_t size)
{
	dentry_show_path(file->dentry, path, size);
}

void
object_path(struct memory_object *object, char *path, size_t size)
{
	struct inode *inode = object_inode(object);
	struct dentry *dentry = inode ? inode_alias(inode) : NULL;

	if (size > 0)
		path[0] = '\0';
	if (!dentry)
		return;
	dentry_show_path(dentry, path, size);
	dentry_put(dentry);
}
