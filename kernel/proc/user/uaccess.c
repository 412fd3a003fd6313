/* SPDX-License-Identifier: MIT */
/*
 * Touching the memory of the running program.
 *
 * A program may pass any number where a system call wants a pointer. Two things keep that
 * harmless. First, every range is compared with USER_END, so that no program can have the
 * kernel read or write what is the kernel's. Second, the bytes are moved by a handful of
 * instructions that are allowed to fault (usercopy.S): the page fault handler resolves the fault
 * as it would for the program (the page may merely not be there yet), and else makes the copy
 * end early. Nobody asks beforehand whether the range is mapped: another thread of the program
 * could unmap it between question and use.
 *
 *	copy_to_user(at, ...) --> [at, at + size) below USER_END? --> usercopy_bytes()
 *	                              no: -EFAULT                      | page fault
 *	                                                               v
 *	           0, or -EFAULT  <-- bytes left over? <---- space_fault(): resolved: again
 *	                                                               else: the fixup
 *
 * Bytes before the bad one may have been copied; programs must not rely on either.
 */
#include <address_space.h>
#include <errno.h>
#include <slab.h>
#include <string.h>
#include <uaccess.h>

#include <arch/user.h>

#include "../../lib/lockdep.h"

static bool
in_user(uintptr_t at, size_t size)
{
	return size <= USER_END && at <= USER_END - size;
}

int
copy_from_user(void *to, uintptr_t from, size_t size)
{
	assert_may_sleep("copy_from_user");
	if (!in_user(from, size) || usercopy_bytes(to, (const void *)from, size))
		return -EFAULT;
	return 0;
}

int
copy_to_user(uintptr_t to, const void *from, size_t size)
{
	assert_may_sleep("copy_to_user");
	if (!in_user(to, size) || usercopy_bytes((void *)to, from, size))
		return -EFAULT;
	return 0;
}

int
clear_user(uintptr_t to, size_t size)
{
	assert_may_sleep("clear_user");
	if (!in_user(to, size) || usercopy_clear((void *)to, size))
		return -EFAULT;
	return 0;
}

/* A string may end right below USER_END, however much room there is for it. */
int64_t
copy_string_from_user(char *to, uintptr_t from, size_t size)
{
	size_t most, copied;

	assert_may_sleep("copy_string_from_user");
	if (from >= USER_END)
		return -EFAULT;
	most = MIN(size, USER_END - from);
	copied = usercopy_string(to, (const char *)from, most);
	if (copied == SIZE_MAX)
		return -EFAULT;
	if (copied > 0 && to[copied - 1] == '\0')
		return (int64_t)copied - 1;
	return most < size ? -EFAULT : -ENAMETOOLONG;
}

int
read_user_u32(uint32_t *value, uintptr_t from)
{
	assert_may_sleep("read_user_u32");
	if (!in_user(from, sizeof(*value)) || usercopy_read_u32(value, (const uint32_t *)from))
		return -EFAULT;
	return 0;
}

int
compare_exchange_user_u32(uintptr_t at, uint32_t *expected, uint32_t desired)
{
	assert_may_sleep("compare_exchange_user_u32");
	if (!in_user(at, sizeof(desired)) ||
	    usercopy_exchange_u32((uint32_t *)at, expected, desired))
		return -EFAULT;
	return 0;
}

/* ---- Transfers --------------------------------------------------------------------------- */

static int
step_on(struct transfer *transfer, size_t size, size_t left_over)
{
	transfer->at += size - left_over;
	transfer->left -= size - left_over;
	return left_over ? -EFAULT : 0;
}

int
transfer_out(struct transfer *transfer, const void *from, size_t size)
{
	size_t left_over = 0;

	ASSERT_LE(size, transfer->left);
	if (transfer->kernel)
		memcpy((void *)transfer->at, from, size);
	else if (in_user(transfer->at, size))
		left_over = usercopy_bytes((void *)transfer->at, from, size);
	else
		left_over = size;
	return step_on(transfer, size, left_over);
}

int
transfer_in(struct transfer *transfer, void *to, size_t size)
{
	size_t left_over = 0;

	ASSERT_LE(size, transfer->left);
	if (transfer->kernel)
		memcpy(to, (const void *)transfer->at, size);
	else if (in_user(transfer->at, size))
		left_over = usercopy_bytes(to, (const void *)transfer->at, size);
	else
		left_over = size;
	return step_on(transfer, size, left_over);
}

int
pieces_from_user(struct pieces *pieces, uintptr_t from, uint64_t nr)
{
	int error = 0;

	if (nr > IOV_MAX)
		return -EINVAL;
	*pieces = (struct pieces){ .nr = (unsigned)nr };
	pieces->piece = kmalloc(nr * sizeof(struct abi_iovec), GFP_KERNEL);
	if (!pieces->piece)
		return -ENOMEM;
	if (copy_from_user(pieces->piece, from, nr * sizeof(struct abi_iovec)))
		error = -EFAULT;
	for (unsigned i = 0; !error && i < nr; i++) {
		if (pieces->piece[i].size > (uint64_t)INT64_MAX - pieces->total)
			error = -EINVAL;
		else
			pieces->total += pieces->piece[i].size;
	}
	if (error)
		kfree(pieces->piece);
	return error;
}
