/* SPDX-License-Identifier: MIT */
/* What is known about files and file systems: Linux's structures on x86-64. */
#ifndef IKOS_ABI_STAT_H
#define IKOS_ABI_STAT_H

#include <abi/resource.h>
#include <types.h>

#define S_IFMT	 0170000
#define S_IFSOCK 0140000
#define S_IFLNK	 0120000
#define S_IFREG	 0100000
#define S_IFBLK	 0060000
#define S_IFDIR	 0040000
#define S_IFCHR	 0020000
#define S_IFIFO	 0010000
#define S_ISUID	 0004000
#define S_ISGID	 0002000
#define S_ISVTX	 0001000

#define S_ISDIR(mode)  (((mode)&S_IFMT) == S_IFDIR)
#define S_ISREG(mode)  (((mode)&S_IFMT) == S_IFREG)
#define S_ISLNK(mode)  (((mode)&S_IFMT) == S_IFLNK)
#define S_ISCHR(mode)  (((mode)&S_IFMT) == S_IFCHR)
#define S_ISBLK(mode)  (((mode)&S_IFMT) == S_IFBLK)
#define S_ISFIFO(mode) (((mode)&S_IFMT) == S_IFIFO)

#define S_PERMISSIONS 07777
#define S_ANY_EXECUTE 00111

struct abi_stat {
	uint64_t dev;
	uint64_t ino;
	uint64_t nlink;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t pad;
	uint64_t rdev;
	int64_t size;
	int64_t blksize;
	int64_t blocks; /* of 512 bytes */
	struct abi_timespec atime, mtime, ctime;
	int64_t unused[3];
};

_Static_assert(sizeof(struct abi_stat) == 144, "struct stat");

struct abi_statx_time {
	int64_t seconds;
	uint32_t nanoseconds;
	int32_t pad;
};

#define STATX_BASIC_STATS 0x7ff
#define STATX_BTIME	  0x800
#define STATX_RESERVED	  0x80000000

struct abi_statx {
	uint32_t mask;
	uint32_t blksize;
	uint64_t attributes;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint16_t mode;
	uint16_t pad;
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	uint64_t attributes_mask;
	struct abi_statx_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor;
	uint32_t dev_major, dev_minor;
	uint64_t unused[14];
};

_Static_assert(sizeof(struct abi_statx) == 256, "struct statx");

struct abi_statfs {
	int64_t type;
	int64_t bsize;
	uint64_t blocks, bfree, bavail;
	uint64_t files, ffree;
	int32_t fsid[2];
	int64_t namelen;
	int64_t frsize;
	int64_t flags;
	int64_t spare[4];
};

_Static_assert(sizeof(struct abi_statfs) == 120, "struct statfs");

#define ST_RDONLY 1
#define ST_VALID  32 /* flags tells something */

#define TMPFS_MAGIC 0x01021994
#define RAMFS_MAGIC 0x858458f6
#define PROC_MAGIC  0x9fa0
#define PIPE_MAGIC  0x50495045

#define UTIME_NOW  0x3fffffff
#define UTIME_OMIT 0x3ffffffe

/* Device numbers as programs see them. */
static inline uint64_t
make_device(uint32_t major, uint32_t minor)
{
	return ((uint64_t)(major & 0xfffff000) << 32) | ((uint64_t)(major & 0xfff) << 8) |
	       ((uint64_t)(minor & 0xffffff00) << 12) | (minor & 0xff);
}

static inline uint32_t
device_major(uint64_t device)
{
	return ((device >> 32) & 0xfffff000) | ((device >> 8) & 0xfff);
}

static inline uint32_t
device_minor(uint64_t device)
{
	return ((device >> 12) & 0xffffff00) | (device & 0xff);
}

#endif
