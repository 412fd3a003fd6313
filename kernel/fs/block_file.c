/* SPDX-License-Identifier: MIT */
/*
 * Disks as files: what is behind /dev/hda and its like.
 *
 * A program moves any number of bytes, a disk whole blocks. So the bytes go through a buffer that
 * holds the blocks around them; a block that is written only in part is read first. Nothing is kept
 * in memory: a read asks the disk, and a write has reached it when it returns, if perhaps only its
 * cache, until fsync().
 *
 * Writes to one node exclude each other, by its inode's lock, since two of them may be to parts of
 * one block. Who writes to a disk that is mounted, or to one place through a disk and its
 * partition, gets what he asks for.
 */
#include <abi/disk.h>
#include <block.h>
#include <process.h>

#include "fs.h"

#define BUFFER_SIZE KiB(32)

static struct block_device *
device_of(struct file *file)
{
	return file->private;
}

static uint64_t
block_file_size(struct file *file)
{
	return device_of(file)->nr_sectors * SECTOR_SIZE;
}

static int
block_open(struct file *file)
{
	struct block_device *device = block_find_number(file->inode->device);

	if (!device)
		return -ENXIO;
	if (file_writable(file) && device->read_only)
		return -EROFS;
	file->private = device;
	return 0;
}

/* ---- Moving bytes ------------------------------------------------------------------------ */

/* The blocks around bytes [offset, offset + bytes) of the disk, as far as the buffer holds them. */
struct piece {
	uint64_t sector;
	size_t nr_sectors;
	size_t skip, bytes; /* in the buffer: what is before, and what is meant */
};

static struct piece
piece_at(struct file *file, uint64_t offset, size_t left)
{
	size_t block = device_of(file)->block_size;
	uint64_t start = ALIGN_DOWN(offset, (uint64_t)block);
	size_t skip = (size_t)(offset - start);
	uint64_t bytes = MIN(MIN(left, BUFFER_SIZE - skip), block_file_size(file) - offset);

	return (struct piece){ .sector = start / SECTOR_SIZE,
			       .nr_sectors = ALIGN_UP(skip + bytes, block) / SECTOR_SIZE,
			       .skip = skip,
			       .bytes = bytes };
}

static int64_t
read_piece(struct file *file, struct transfer *to, const struct piece *piece, uint8_t *buffer)
{
	int error = block_read(device_of(file), piece->sector, buffer, piece->nr_sectors);

	return error ? error : transfer_out_part(to, buffer + piece->skip, piece->bytes);
}

static int64_t
write_piece(struct file *file, struct transfer *from, const struct piece *piece, uint8_t *buffer)
{
	struct block_device *device = device_of(file);
	bool whole = piece->bytes == piece->nr_sectors * SECTOR_SIZE;
	int error = whole ? 0 : block_read(device, piece->sector, buffer, piece->nr_sectors);
	int64_t moved;

	if (error)
		return error;
	moved = transfer_in_part(from, buffer + piece->skip, piece->bytes);
	if (moved < (int64_t)piece->bytes) /* else what is not the program's would be written */
		return -EFAULT;
	error = block_write(device, piece->sector, buffer, piece->nr_sectors);
	return error ? error : moved;
}

typedef int64_t move_fn(struct file *file, struct transfer *transfer, const struct piece *piece,
			uint8_t *buffer);

/* Returns how many bytes were moved, or if none, the error. */
static int64_t
move(struct file *file, struct transfer *transfer, uint64_t offset, move_fn *move_piece)
{
	uint8_t *buffer = kmalloc(BUFFER_SIZE, GFP_KERNEL);
	int64_t moved = 0, now = buffer ? 0 : -ENOMEM;

	while (transfer->left > 0 && now >= 0 && offset < block_file_size(file)) {
		struct piece piece = piece_at(file, offset, transfer->left);

		now = move_piece(file, transfer, &piece, buffer);
		if (now > 0) {
			moved += now;
			offset += (uint64_t)now;
		}
		if (now < (int64_t)piece.bytes || signal_pending())
			break;
	}
	kfree(buffer);
	return moved > 0 ? moved : now;
}

static int64_t
block_file_read(struct file *file, struct transfer *to, uint64_t offset)
{
	return move(file, to, offset, read_piece);
}

static int64_t
block_file_write(struct file *file, struct transfer *from, uint64_t *offset)
{
	int64_t moved;

	if (file->flags & O_APPEND)
		*offset = block_file_size(file);
	if (from->left > 0 && *offset >= block_file_size(file))
		return -ENOSPC;
	mutex_lock(&file->inode->lock);
	moved = move(file, from, *offset, write_piece);
	mutex_unlock(&file->inode->lock);
	return moved;
}

/* ---- What else programs ask -------------------------------------------------------------- */

int
block_file_sync(struct file *file)
{
	return block_flush(device_of(file));
}

static int64_t
block_ioctl(struct file *file, unsigned request, uintptr_t arg)
{
	struct block_device *device = device_of(file);
	uint64_t bytes = block_file_size(file), sectors = device->nr_sectors;
	int number = request == BLKROGET ? device->read_only : (int)device->block_size;

	switch (request) {
	case BLKGETSIZE64:
		return copy_to_user(arg, &bytes, sizeof(bytes));
	case BLKGETSIZE:
		return copy_to_user(arg, &sectors, sizeof(sectors));
	case BLKSSZGET:
	case BLKROGET:
		return copy_to_user(arg, &number, sizeof(number));
	case BLKFLSBUF:
		return block_flush(device);
	default:
		return -ENOTTY;
	}
}

const struct file_ops block_ops = {
	.name = "disk",
	.seekable = true,
	.open = block_open,
	.read = block_file_read,
	.write = block_file_write,
	.ioctl = block_ioctl,
	.size = block_file_size,
};
