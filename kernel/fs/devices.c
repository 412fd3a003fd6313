/* SPDX-License-Identifier: MIT */
/*
 * Device nodes: what is behind a pair of numbers.
 *
 * A node in a directory is an inode with a number; opening it looks the number up here, and from
 * then on the file is the device's. There are the few that every program expects, the sink and the
 * sources without end, and the terminals (tty.c); and the disks (block_file.c).
 *
 * Random bytes are those of kernel/proc/user/random.c.
 */
#include <block.h>
#include <process.h>
#include <random.h>
#include <string.h>

#include "fs.h"
#include "tty.h"

#define MEMORY_MAJOR 1

/* ---- null, zero, full ---------------------------------------------------------------------- */

static int64_t
read_nothing(struct file *file, struct transfer *to, uint64_t offset)
{
	(void)file;
	(void)to;
	(void)offset;
	return 0;
}

static int64_t
write_anything(struct file *file, struct transfer *from, uint64_t *offset)
{
	int64_t size = (int64_t)from->left;

	(void)file;
	(void)offset;
	from->at += from->left;
	from->left = 0;
	return size;
}

static int64_t
write_full(struct file *file, struct transfer *from, uint64_t *offset)
{
	(void)file;
	(void)from;
	(void)offset;
	return -ENOSPC;
}

/* Give what is asked for, a buffer at a time, which fill() makes anew each time unless NULL. */
static int64_t
read_endless(struct transfer *to, const uint8_t *buffer, size_t size,
	     void (*fill)(void *to, size_t size))
{
	int64_t moved = 0, now;

	while (to->left > 0) {
		size_t bytes = MIN(to->left, size);

		if (fill)
			fill((void *)buffer, bytes);
		now = transfer_out_part(to, buffer, bytes);
		if (now < 0)
			return moved > 0 ? moved : now;
		moved += now;
		if (signal_pending())
			break;
	}
	return moved;
}

static int64_t
read_zeroes(struct file *file, struct transfer *to, uint64_t offset)
{
	static const uint8_t zeroes[4 * PAGE_SIZE];

	(void)file;
	(void)offset;
	return read_endless(to, zeroes, sizeof(zeroes), NULL);
}

/* ---- random -------------------------------------------------------------------------------- */

static int64_t
read_random(struct file *file, struct transfer *to, uint64_t offset)
{
	uint8_t buffer[256];

	(void)file;
	(void)offset;
	return read_endless(to, buffer, sizeof(buffer), random_bytes);
}

/* ---- The table ----------------------------------------------------------------------------- */

static const struct file_ops null_ops = { .name = "null",
					  .seekable = true,
					  .endless = true,
					  .read = read_nothing,
					  .write = write_anything };
static const struct file_ops zero_ops = { .name = "zero",
					  .seekable = true,
					  .endless = true,
					  .zeroes = true,
					  .read = read_zeroes,
					  .write = write_anything };
static const struct file_ops full_ops = {
	.name = "full", .seekable = true, .endless = true, .read = read_zeroes, .write = write_full
};
static const struct file_ops random_ops = { .name = "random",
					    .seekable = true,
					    .endless = true,
					    .read = read_random,
					    .write = write_anything };

static const struct device {
	const char *name;
	unsigned major, minor, mode;
	const struct file_ops *ops;
} devices[] = {
	{ "null", MEMORY_MAJOR, 3, 0666, &null_ops },
	{ "zero", MEMORY_MAJOR, 5, 0666, &zero_ops },
	{ "full", MEMORY_MAJOR, 7, 0666, &full_ops },
	{ "random", MEMORY_MAJOR, 8, 0666, &random_ops },
	{ "urandom", MEMORY_MAJOR, 9, 0666, &random_ops },
	{ "tty", TTY_MAJOR, 0, 0666, &tty_ops },
	{ "console", TTY_MAJOR, 1, 0600, &tty_ops },
	{ "ttyS0", SERIAL_MAJOR, SERIAL_MINOR, 0660, &tty_ops },
};

const struct file_ops *
device_find(uint32_t mode, uint64_t number)
{
	for (size_t i = 0; i < ARRAY_SIZE(devices) && S_ISCHR(mode); i++) {
		if (number == make_device(devices[i].major, devices[i].minor))
			return devices[i].ops;
	}
	return S_ISBLK(mode) && block_find_number(number) ? &block_ops : NULL;
}

static int
device_open(struct file *file)
{
	const struct file_ops *ops = device_find(file->inode->mode, file->inode->device);

	if (!ops)
		return -ENXIO;
	file->ops = ops;
	return ops->open ? ops->open(file) : 0;
}

const struct file_ops device_ops = { .name = "device", .open = device_open };

/* ---- /dev ---------------------------------------------------------------------------------- */

struct dentry *
make_at_start(struct dentry *directory, const char *name, struct inode *inode)
{
	struct dentry *made;
	int error;

	if (!inode)
		panic("fs: no memory for %s", name);
	mutex_lock(&names_lock);
	made = dentry_find_locked(directory, name, strlen(name));
	if (made)
		inode_put(inode);
	error = made ? 0 : name_create_locked(directory, name, strlen(name), inode, &made);
	mutex_unlock(&names_lock);
	if (error)
		panic("fs: %s cannot be made: error %d", name, -error);
	return made;
}

static void
make_link(struct dentry *directory, const char *name, const char *target)
{
	dentry_put(make_at_start(directory, name, ramfs_create_link(target, strlen(target))));
}

void
devices_init(void)
{
	struct dentry *dev = make_at_start(root_dentry, "dev", ramfs_create(S_IFDIR | 0755, 0));
	struct block_device *disk = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		const struct device *device = &devices[i];
		uint64_t number = make_device(device->major, device->minor);

		dentry_put(make_at_start(dev, device->name,
					 ramfs_create(S_IFCHR | device->mode, number)));
	}
	/* Where shm_open() and sem_open() of the C libraries have their files. */
	dentry_put(make_at_start(dev, "shm", ramfs_create(S_IFDIR | S_ISVTX | 0777, 0)));
	while ((disk = block_next(disk)))
		dentry_put(make_at_start(dev, disk->name,
					 ramfs_create(S_IFBLK | 0660, disk->number)));
	make_link(dev, "fd", "/proc/self/fd");
	make_link(dev, "stdin", "/proc/self/fd/0");
	make_link(dev, "stdout", "/proc/self/fd/1");
	make_link(dev, "stderr", "/proc/self/fd/2");
	dentry_put(dev);
}
