/* SPDX-License-Identifier: MIT */
/* What getdents() and getdents64() return. */
#ifndef IKOS_ABI_DIRENT_H
#define IKOS_ABI_DIRENT_H

#include <types.h>

struct abi_dirent64 {
	uint64_t ino;
	int64_t next; /* where lseek() goes on behind this name */
	uint16_t size;
	uint8_t type; /* S_IFMT >> 12 */
	char name[];
} __attribute__((packed));

/* The type stands in the last byte. */
struct abi_dirent {
	uint64_t ino;
	uint64_t next;
	uint16_t size;
	char name[];
} __attribute__((packed));

#endif
