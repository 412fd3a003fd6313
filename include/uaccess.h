/* SPDX-License-Identifier: MIT */
/*
 * Touching the memory of the running program: kernel/proc/uaccess.c, kernel/x86_64/uaccess.S.
 *
 * A bad pointer is an error of the program, not of the kernel: these return -EFAULT. Pages that
 * are not there yet are brought in, as for the program itself; hence all may sleep, and no
 * spin lock may be held.
 */
#ifndef IKOS_UACCESS_H
#define IKOS_UACCESS_H

#include <abi/uio.h>
#include <types.h>

int copy_from_user(void *to, uintptr_t from, size_t size) __must_check;
int copy_to_user(uintptr_t to, const void *from, size_t size) __must_check;
int clear_user(uintptr_t to, size_t size) __must_check;

/*
 * Copy a string with its final 0 into to, which has room for size bytes. Returns its length
 * without the 0, -ENAMETOOLONG if it does not fit, or -EFAULT.
 */
int64_t copy_string_from_user(char *to, uintptr_t from, size_t size) __must_check;

/* An aligned 32-bit word, read or exchanged in one piece (futexes). */
int read_user_u32(uint32_t *value, uintptr_t from) __must_check;
int compare_exchange_user_u32(uintptr_t at, uint32_t *expected, uint32_t desired) __must_check;

/*
 * Where the bytes of a read go to, or those of a write come from: memory of the running
 * program, or of the kernel.
 */
struct transfer {
	uintptr_t at;
	size_t left; /* bytes */
	bool kernel;
};

/*
 * Move size bytes, at most left, and step on. Return 0, or -EFAULT after as many as could be moved:
 * what left has become less by.
 */
int transfer_out(struct transfer *transfer, const void *from, size_t size) __must_check;
int transfer_in(struct transfer *transfer, void *to, size_t size) __must_check;

/* Pieces of the program's memory, for readv() and its like. */
struct pieces {
	struct abi_iovec *piece;
	unsigned nr;
	size_t total; /* bytes of all */
};

/*
 * Read their array from the program's memory. Returns 0, and piece is for kfree(); -EINVAL: more
 * than IOV_MAX, or of more bytes than a file can have; -EFAULT; -ENOMEM.
 */
int pieces_from_user(struct pieces *pieces, uintptr_t from, uint64_t nr) __must_check;

#endif
