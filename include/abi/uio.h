/* SPDX-License-Identifier: MIT */
/* Pieces of memory for readv() and writev(). */
#ifndef IKOS_ABI_UIO_H
#define IKOS_ABI_UIO_H

#include <types.h>

#define IOV_MAX 1024

struct abi_iovec {
	uint64_t base;
	uint64_t size;
};

#endif
