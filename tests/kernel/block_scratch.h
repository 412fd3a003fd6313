/* SPDX-License-Identifier: MIT */
/*
 * Disks that tests may write to. grading/scratch.py makes them, and writes the same mark into
 * their first sector; without it no test touches a disk. A case that uses them says so with
 * .needs_disks = true.
 */
#ifndef BLOCK_SCRATCH_H
#define BLOCK_SCRATCH_H

#include <block.h>
#include <ktest.h>
#include <string.h>

#define SCRATCH_MARK  "IKOS scratch disk\n"
#define SCRATCH_FIRST 8 /* sectors below are left as they are */

/* The disk of that name. Skips the case if there is none, or its contents may be somebody's. */
static inline struct block_device *
scratch_disk(struct ktest *t, const char *name)
{
	struct block_device *disk = block_find(name);
	char block[PAGE_SIZE];

	if (!disk)
		ktest_skip(t, "there is no such disk");
	if (block_read(disk, 0, block, disk->block_size / SECTOR_SIZE) != 0 ||
	    memcmp(block, SCRATCH_MARK, strlen(SCRATCH_MARK)) != 0)
		ktest_skip(t, "the disk is not made for tests");
	return disk;
}

#endif
