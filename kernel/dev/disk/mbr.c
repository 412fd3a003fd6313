/* SPDX-License-Identifier: MIT */
/*
 * Partitions, as PCs have always had them: four entries of 16 bytes at the end of the first sector.
 *
 *	446  +0 0x80 if it is booted from, else 0     +4 kind; 0: unused
 *	     +8 first sector, 32 bits                 +12 sectors, 32 bits
 *	462, 478, 494  the same
 *	510  0x55 0xaa
 *
 * A file system's own boot sector ends with the same two bytes; but then the entries are code, and
 * one of their first bytes is neither 0 nor 0x80. Partitions inside of an extended one, and the
 * tables of GPT, are not read.
 */
#include "mbr.h"

#include <string.h>

#define TABLE	   446
#define ENTRY_SIZE 16
#define SIGNATURE  510

#define STATUS_ACTIVE 0x80

#define KIND_EXTENDED	  0x05
#define KIND_EXTENDED_LBA 0x0f
#define KIND_GPT	  0xee

static uint32_t
read_u32(const uint8_t *bytes)
{
	return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
	       (uint32_t)bytes[3] << 24;
}

static bool
looks_like_table(const uint8_t *sector)
{
	bool used = false;

	if (sector[SIGNATURE] != 0x55 || sector[SIGNATURE + 1] != 0xaa)
		return false;
	for (unsigned i = 0; i < MBR_PARTITIONS; i++) {
		const uint8_t *entry = sector + TABLE + i * ENTRY_SIZE;

		if (entry[0] != 0 && entry[0] != STATUS_ACTIVE)
			return false;
		used |= entry[4] != 0;
	}
	return used;
}

const char *
mbr_parse(const uint8_t sector[SECTOR_SIZE], const struct block_device *disk,
	  struct mbr_partition partition[MBR_PARTITIONS])
{
	uint32_t block = disk->block_size / SECTOR_SIZE;

	memset(partition, 0, MBR_PARTITIONS * sizeof(*partition));
	for (unsigned i = 0; i < MBR_PARTITIONS && looks_like_table(sector); i++) {
		const uint8_t *entry = sector + TABLE + i * ENTRY_SIZE;
		/* They count in the disk's own blocks. */
		uint64_t start = (uint64_t)read_u32(entry + 8) * block;
		uint64_t nr = (uint64_t)read_u32(entry + 12) * block;

		if (entry[4] == KIND_GPT)
			return "the table is a GPT";
		if (entry[4] == 0 || entry[4] == KIND_EXTENDED || entry[4] == KIND_EXTENDED_LBA)
			continue;
		if (start == 0 || nr == 0 || start >= disk->nr_sectors ||
		    nr > disk->nr_sectors - start)
			return "one of them is not on the disk";
		partition[i] = (struct mbr_partition){ start, nr };
	}
	return NULL;
}
