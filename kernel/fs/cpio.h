/* SPDX-License-Identifier: MIT */
/* Reading archives in cpio's format "newc": cpio.c. Bytes to entries; nothing of the kernel. */
#ifndef CPIO_H
#define CPIO_H

#include <types.h>

struct cpio_entry {
	const char *name; /* in the archive, with its final 0 */
	size_t name_size; /* without */
	uint32_t inode, mode, uid, gid, links, mtime;
	uint32_t major, minor;		     /* of the device that it was on */
	uint32_t device_major, device_minor; /* that it is */
	const uint8_t *data;		     /* size bytes, in the archive */
	size_t size;
};

struct cpio_reader {
	const uint8_t *archive;
	size_t size;
	size_t at;	     /* where the next header begins, or what is damaged */
	const char *problem; /* what is wrong there */
};

void cpio_begin(struct cpio_reader *reader, const void *archive, size_t size);

/* The next entry: 1; 0 at the end; -EINVAL where the archive is damaged. */
int cpio_next(struct cpio_reader *reader, struct cpio_entry *entry) __must_check;

#endif
