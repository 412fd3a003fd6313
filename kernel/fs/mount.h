/* SPDX-License-Identifier: MIT */
/* Mounting and unmounting: mount.c. See struct mount in fs.h. */
#ifndef MOUNT_H
#define MOUNT_H

#include "fs.h"

extern const struct fs_type ext2_type, tmpfs_type, ramfs_type;

/*
 * Mount a disk, a device node or a bare name, or memory, whatever it is called, at a directory.
 * Errors are those of mount(2): -ENODEV: there is no such type; -EINVAL: no such file system is on
 * the disk, or its options are not what the type knows. source and options: NULL for none; options
 * are cut up. refused: MOUNT_NO_*.
 */
int mount_at(struct fs_context *fs, const char *source, const char *path, const char *type,
	     char *options, bool read_only, unsigned refused) __must_check;

/* Unmount what is mounted at a directory. -EINVAL: nothing is; -EBUSY: it is in use. */
int mount_remove(struct fs_context *fs, const char *path) __must_check;

/* Write all that is known of files, their bytes apart. */
int mount_sync_all(void);

/* Mount what the command line names, or the first disk, at /mnt. */
void mount_at_start(void);

/* write_back.c: start the thread. */
void write_back_init(void);

#endif
