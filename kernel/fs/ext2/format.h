/* SPDX-License-Identifier: MIT */
/*
 * What ext2 looks like on a disk. All numbers are little-endian, as the processor's.
 *
 *	byte 1024                 a superblock; copies of it begin some of the groups
 *	the blocks after that     descriptors of all groups, and copies
 *
 *	a group:  [superblock, descriptors]  block bitmap  inode bitmap  inode table  data ...
 *
 *	an inode: block[0..11]    first blocks of the file
 *	          block[12]  -->  map of blocks
 *	          block[13]  -->  map of maps of blocks
 *	          block[14]  -->  map of maps of maps of blocks          0: a hole
 */
#ifndef EXT2_FORMAT_H
#define EXT2_FORMAT_H

#include <types.h>

#define EXT2_MAGIC	  0xef53
#define EXT2_SUPER_AT	  1024 /* byte */
#define EXT2_SUPER_SIZE	  1024
#define EXT2_ROOT	  2  /* inode */
#define EXT2_FIRST_REV0	  11 /* first inode that may be given out, in revision 0 */
#define EXT2_INODE_REV0	  128
#define EXT2_DIRECT	  12
#define EXT2_LEVELS	  3
#define EXT2_SLOTS	  (EXT2_DIRECT + EXT2_LEVELS)
#define EXT2_SHORT_TARGET (EXT2_SLOTS * 4) /* a link below that has its target in block[] */

#define EXT2_STATE_CLEAN  1
#define EXT2_STATE_ERRORS 2

#define EXT2_INCOMPAT_TYPES 0x2 /* names in directories tell the kind of what they lead to */
#define EXT2_RO_SPARSE	    0x1 /* only some groups have copies of the superblock */
#define EXT2_RO_LARGE	    0x2 /* there are files of 2 GiB and more */
#define EXT2_RO_BTREE	    0x4 /* never used */

#define EXT2_FLAG_INDEX 0x1000 /* a directory has an index, which we do not keep */

struct ext2_super {
	uint32_t inodes_count, blocks_count, reserved_blocks;
	uint32_t free_blocks, free_inodes;
	uint32_t first_data_block;
	uint32_t log_block_size; /* 1024 << that */
	uint32_t log_fragment_size;
	uint32_t blocks_per_group, fragments_per_group, inodes_per_group;
	uint32_t mount_time, write_time;
	uint16_t mount_count, max_mount_count;
	uint16_t magic, state, errors, minor_revision;
	uint32_t last_check, check_interval, creator, revision;
	uint16_t reserved_uid, reserved_gid;
	/* Since revision 1: */
	uint32_t first_inode;
	uint16_t inode_size, block_group;
	uint32_t compat, incompat, ro_compat;
	uint8_t uuid[16];
	char name[16], last_mounted[64];
	uint32_t compression;
	uint8_t preallocate, preallocate_directory;
	uint16_t reserved_descriptors;
	uint8_t journal_uuid[16];
	uint32_t journal_inode, journal_device, last_orphan;
	uint32_t rest[197];
};

_Static_assert(sizeof(struct ext2_super) == EXT2_SUPER_SIZE, "superblock");

struct ext2_group {
	uint32_t block_bitmap, inode_bitmap, inode_table;
	uint16_t free_blocks, free_inodes, directories, pad;
	uint32_t unused[3];
};

_Static_assert(sizeof(struct ext2_group) == 32, "group descriptor");

struct ext2_inode {
	uint16_t mode, uid;
	uint32_t size, accessed, changed, modified, deleted;
	uint16_t gid, links;
	uint32_t sectors, flags, version;
	uint32_t block[EXT2_SLOTS];
	uint32_t generation, attributes;
	uint32_t size_high; /* of a regular file */
	uint32_t fragment;
	uint16_t unused, unused2, uid_high, gid_high;
	uint32_t unused3;
	/* In inodes of more than 128 bytes, if extra_size reaches that far: */
	uint16_t extra_size, checksum_high;
	uint32_t changed_extra, modified_extra, accessed_extra;
	uint32_t created, created_extra, version_high, project;
};

_Static_assert(sizeof(struct ext2_inode) == 160, "inode");
#define EXT2_EXTRA_SIZE 32
#define EXT2_EXTRA_TIME 16 /* extra_size with which there are the fractions of times */

struct ext2_entry {
	uint32_t inode; /* 0: none */
	uint16_t size;	/* of the entry: the next follows */
	uint8_t name_size;
	uint8_t type; /* with EXT2_INCOMPAT_TYPES; else the upper half of name_size, 0 */
	char name[];
};

#define EXT2_ENTRY_SIZE(name_size) ALIGN_UP(sizeof(struct ext2_entry) + (name_size), 4ul)

#define EXT2_ATTRIBUTES_MAGIC 0xea020000u

/* A block of extended attributes begins so; we only ever give it back. */
struct ext2_attributes {
	uint32_t magic, references;
};

#endif
