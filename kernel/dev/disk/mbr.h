/* SPDX-License-Identifier: MIT */
/* The partition table of a disk: mbr.c. */
#ifndef DISK_MBR_H
#define DISK_MBR_H

#include <block.h>

#define MBR_PARTITIONS 4

struct mbr_partition {
	uint64_t start, nr_sectors; /* nr_sectors 0: there is none */
};

/*
 * Read the table in a disk's first sector. Returns NULL, or what is wrong with it; a sector that
 * does not look like a table is no partitions, and nothing wrong.
 */
const char *mbr_parse(const uint8_t sector[SECTOR_SIZE], const struct block_device *disk,
		      struct mbr_partition partition[MBR_PARTITIONS]);

#endif
