/* SPDX-License-Identifier: MIT */
/*
 * System calls that move bytes.
 *
 * One call on several pieces of memory is to be one step where that can be promised: pieces that
 * make up no more than a page are gathered first, so that what a program's stdio prints with one
 * writev() is not torn apart in a pipe or on a terminal.
 */
#include <abi/uio.h>
#include <page_cache.h>
#include <process.h>
#include <string.h>
#include <syscall.h>

#include "fs.h"

#define GATHER_MAX ((size_t)PAGE_SIZE)

/* ---- One piece ----------------------------------------------------------------------------- */

/* Reads, or writes, at the position (offset NULL) or at a place. */
static int64_t
move(int fd, uintptr_t at, size_t size, const uint64_t *offset, bool writes)
{
	struct transfer transfer = { at, size, false };
	struct file *file;
	int64_t moved;

	if (offset && (int64_t)*offset < 0)
		return -EINVAL;
	file = fd_current(fd);
	if (!file)
		return -EBADF;
	moved = writes ? file_write(file, &transfer, offset) : file_read(file, &transfer, offset);
	file_put(file);
	return moved;
}

static int64_t
sys_read(const uint64_t *arg)
{
	return move((int)arg[0], arg[1], arg[2], NULL, false);
}

static int64_t
sys_write(const uint64_t *arg)
{
	return move((int)arg[0], arg[1], arg[2], NULL, true);
}

static int64_t
sys_pread64(const uint64_t *arg)
{
	return move((int)arg[0], arg[1], arg[2], &arg[3], false);
}

static int64_t
sys_pwrite64(const uint64_t *arg)
{
	return move((int)arg[0], arg[1], arg[2], &arg[3], true);
}

SYSCALL(0, read, 3, sys_read);
SYSCALL(1, write, 3, sys_write);
SYSCALL(17, pread64, 4, sys_pread64);
SYSCALL(18, pwrite64, 4, sys_pwrite64);

/* ---- Several pieces ------------------------------------------------------------------------ */

/* Copy all pieces into one. -EFAULT: not all can be read. */
static int
gather(const struct pieces *pieces, char *to)
{
	for (unsigned i = 0; i < pieces->nr; i++) {
		if (copy_from_user(to, pieces->piece[i].base, pieces->piece[i].size))
			return -EFAULT;
		to += pieces->piece[i].size;
	}
	return 0;
}

static int64_t
write_gathered(struct file *file, const struct pieces *pieces, const uint64_t *offset)
{
	char *buffer = kmalloc(pieces->total, GFP_KERNEL);
	struct transfer from = { (uintptr_t)buffer, pieces->total, true };
	int64_t moved;

	if (!buffer)
		return -ENOMEM;
	moved = gather(pieces, buffer);
	if (moved == 0)
		moved = file_write(file, &from, offset);
	kfree(buffer);
	return moved;
}

/* One after the other, until one is not moved as a whole. */
static int64_t
move_each(struct file *file, const struct pieces *pieces, const uint64_t *offset, bool writes)
{
	uint64_t at = offset ? *offset : 0;
	int64_t total = 0, moved;

	for (unsigned i = 0; i < pieces->nr; i++) {
		const struct abi_iovec *piece = &pieces->piece[i];
		struct transfer transfer = { piece->base, piece->size, false };

		if (piece->size == 0)
			continue;
		moved = writes ? file_write(file, &transfer, offset ? &at : NULL)
			       : file_read(file, &transfer, offset ? &at : NULL);
		if (moved < 0)
			return total > 0 ? total : moved;
		total += moved;
		at += (uint64_t)moved;
		if ((uint64_t)moved < piece->size)
			break;
	}
	return total;
}

static int64_t
move_pieces(int fd, uintptr_t from, uint64_t nr, const uint64_t *offset, bool writes)
{
	struct file *file;
	struct pieces pieces;
	int64_t moved;

	if (offset && (int64_t)*offset < 0)
		return -EINVAL;
	file = fd_current(fd);
	if (!file)
		return -EBADF;
	moved = writes == false && !file_readable(file) ? -EBADF : 0;
	if (writes && !file_writable(file))
		moved = -EBADF;
	if (moved == 0)
		moved = pieces_from_user(&pieces, from, nr);
	if (moved == 0) {
		moved = -EFAULT;
		if (writes && pieces.nr > 1 && pieces.total > 0 && pieces.total <= GATHER_MAX)
			moved = write_gathered(file, &pieces, offset);
		/* Up to the piece that cannot be read they are written one by one. */
		if (moved == -EFAULT)
			moved = move_each(file, &pieces, offset, writes);
		kfree(pieces.piece);
	}
	file_put(file);
	return moved;
}

static int64_t
sys_readv(const uint64_t *arg)
{
	return move_pieces((int)arg[0], arg[1], arg[2], NULL, false);
}

static int64_t
sys_writev(const uint64_t *arg)
{
	return move_pieces((int)arg[0], arg[1], arg[2], NULL, true);
}

static int64_t
sys_preadv(const uint64_t *arg)
{
	return move_pieces((int)arg[0], arg[1], arg[2], &arg[3], false);
}

static int64_t
sys_pwritev(const uint64_t *arg)
{
	return move_pieces((int)arg[0], arg[1], arg[2], &arg[3], true);
}

SYSCALL(19, readv, 3, sys_readv);
SYSCALL(20, writev, 3, sys_writev);
SYSCALL(295, preadv, 5, sys_preadv);
SYSCALL(296, pwritev, 5, sys_pwritev);

/* ---- From file to file --------------------------------------------------------------------- */

/*
 * Move up to size bytes from a place of one file to another. What the target does not take is not
 * taken from the source either: so that has to have places.
 */
static int64_t
copy_between(struct file *in, uint64_t *in_at, struct file *out, uint64_t *out_at, size_t size)
{
	char *buffer = kmalloc(PAGE_SIZE, GFP_KERNEL);
	int64_t total = 0, moved = buffer ? 1 : -ENOMEM;

	while (moved > 0 && size > 0) {
		struct transfer to = { (uintptr_t)buffer, MIN(size, PAGE_SIZE), true };
		struct transfer from = { (uintptr_t)buffer, 0, true };

		moved = file_read(in, &to, in_at);
		if (moved <= 0)
			break;
		from.left = (size_t)moved;
		moved = file_write(out, &from, out_at);
		if (moved <= 0)
			break;
		total += moved;
		size -= (size_t)moved;
		*in_at += (uint64_t)moved;
		if (out_at)
			*out_at += (uint64_t)moved;
	}
	kfree(buffer);
	return total > 0 ? total : moved < 0 ? moved : 0;
}

/* With the place in the program's memory, or, at NULL, the file's position. */
static int
get_place(struct file *file, uintptr_t at, uint64_t *place)
{
	if (!at) {
		*place = file->position;
		return 0;
	}
	if (copy_from_user(place, at, sizeof(*place)))
		return -EFAULT;
	return (int64_t)*place < 0 ? -EINVAL : 0;
}

static int
put_place(struct file *file, uintptr_t at, uint64_t place)
{
	if (at)
		return copy_to_user(at, &place, sizeof(place));
	mutex_lock(&file->position_lock);
	file->position = place;
	mutex_unlock(&file->position_lock);
	return 0;
}

static int64_t
send_file(struct file *in, uintptr_t in_offset, struct file *out, size_t size)
{
	uint64_t at;
	int64_t moved;

	if (!file_readable(in) || !file_writable(out))
		return -EBADF;
	if (!in->ops->seekable || S_ISDIR(in->inode->mode))
		return -EINVAL;
	if (out->flags & O_APPEND)
		return -EINVAL;
	moved = get_place(in, in_offset, &at);
	if (moved == 0)
		moved = copy_between(in, &at, out, NULL, size);
	if (moved >= 0 && put_place(in, in_offset, at))
		return -EFAULT;
	return moved;
}

static int64_t
sys_sendfile(const uint64_t *arg)
{
	struct file *out = fd_current((int)arg[0]), *in = fd_current((int)arg[1]);
	int64_t moved = -EBADF;

	if (in && out)
		moved = send_file(in, arg[2], out, MIN(arg[3], MAX_IO));
	if (in)
		file_put(in);
	if (out)
		file_put(out);
	return moved;
}

static int64_t
copy_range(struct file *in, uintptr_t in_offset, struct file *out, uintptr_t out_offset,
	   size_t size)
{
	uint64_t from, to;
	int64_t moved;

	if (!file_readable(in) || !file_writable(out) || (out->flags & O_APPEND))
		return -EBADF;
	if (S_ISDIR(in->inode->mode) || S_ISDIR(out->inode->mode))
		return -EISDIR;
	if (in->ops != &regular_ops || out->ops != &regular_ops)
		return -EINVAL;
	moved = get_place(in, in_offset, &from);
	if (moved == 0)
		moved = get_place(out, out_offset, &to);
	if (moved < 0)
		return moved;
	if (in->inode == out->inode && from < to + size && to < from + size)
		return -EINVAL;
	moved = copy_between(in, &from, out, &to, size);
	if (moved >= 0 && (put_place(in, in_offset, from) || put_place(out, out_offset, to)))
		return -EFAULT;
	return moved;
}

static int64_t
sys_copy_file_range(const uint64_t *arg)
{
	struct file *in = fd_current((int)arg[0]), *out = fd_current((int)arg[2]);
	int64_t moved = -EBADF;

	if (in && out)
		moved = arg[5] ? -EINVAL : copy_range(in, arg[1], out, arg[3], MIN(arg[4], MAX_IO));
	if (in)
		file_put(in);
	if (out)
		file_put(out);
	return moved;
}

SYSCALL(40, sendfile, 4, sys_sendfile);
SYSCALL(326, copy_file_range, 6, sys_copy_file_range);

/* ---- Positions ----------------------------------------------------------------------------- */

static int64_t
sys_lseek(const uint64_t *arg)
{
	struct file *file = fd_current((int)arg[0]);
	int64_t position;

	if (!file)
		return -EBADF;
	position = file_seek(file, (int64_t)arg[1], (int)arg[2]);
	file_put(file);
	return position;
}

/* Of all advice, only that which frees memory is taken: the pages of a file on a disk go. */
static int64_t
advise(struct file *file, uint64_t advice)
{
	if (S_ISFIFO(file->inode->mode))
		return -ESPIPE;
	if (advice > POSIX_FADV_NOREUSE)
		return -EINVAL;
	if (advice == POSIX_FADV_DONTNEED && inode_has_pages(file->inode) &&
	    inode_is_on_disk(file->inode))
		page_cache_drop_clean(file_pages_cache(file->inode->file));
	return 0;
}

static int64_t
sys_fadvise64(const uint64_t *arg)
{
	struct file *file = fd_current((int)arg[0]);
	int64_t result;

	if (!file)
		return -EBADF;
	result = advise(file, arg[3]);
	file_put(file);
	return result;
}

SYSCALL(8, lseek, 3, sys_lseek);
SYSCALL(221, fadvise64, 4, sys_fadvise64);
