/* SPDX-License-Identifier: MIT */
/* ioctl() on disks: numbers as programs see them. */
#ifndef ABI_DISK_H
#define ABI_DISK_H

#define BLKROGET     0x125eu	 /* int: may only be read */
#define BLKGETSIZE   0x1260u	 /* unsigned long: sectors of 512 bytes */
#define BLKFLSBUF    0x1261u	 /* flush */
#define BLKSSZGET    0x1268u	 /* int: bytes of a block */
#define BLKGETSIZE64 0x80081272u /* 64 bits: bytes */

#endif
