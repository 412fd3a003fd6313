/* SPDX-License-Identifier: MIT */
/*
 * process_vm_readv(), process_vm_writev(): from the memory of one process to that of another,
 * without either one's help. (Debuggers, and programs that pass large messages.)
 *
 *	local pieces   [    ][          ]       the running program's
 *	                 |  |  |      |
 *	remote pieces  [     ][       ][  ]     the other's
 *
 * Bytes go by way of a page of the kernel's, as far as one piece of each side and one page of the
 * other process reach. Where something is not mapped, or not with that right, it ends; what was
 * moved before stays moved.
 */
#include <abi/uio.h>
#include <errno.h>
#include <slab.h>
#include <uaccess.h>

#include "user.h"

/* A place in pieces. */
struct place {
	const struct pieces *pieces;
	unsigned piece;
	size_t offset;
};

/* How many bytes lie side by side from the place on, and where. 0: it is the end. */
static size_t
run_at(struct place *place, uintptr_t *at)
{
	const struct pieces *pieces = place->pieces;

	while (place->piece < pieces->nr && place->offset == pieces->piece[place->piece].size) {
		place->piece++;
		place->offset = 0;
	}
	if (place->piece == pieces->nr)
		return 0;
	*at = pieces->piece[place->piece].base + place->offset;
	return pieces->piece[place->piece].size - place->offset;
}

/* Move bytes between the running program and the other. Returns how many it were. */
static size_t
move(struct address_space *other, uintptr_t remote, uintptr_t local, char *buffer, size_t bytes,
     bool writes)
{
	struct transfer transfer = { local, bytes, false };

	if (writes) {
		(void)!transfer_in(&transfer, buffer, bytes);
		return space_write(other, remote, buffer, bytes - transfer.left);
	}
	transfer.left = space_read(other, remote, buffer, bytes);
	bytes = transfer.left;
	(void)!transfer_out(&transfer, buffer, bytes);
	return bytes - transfer.left;
}

static int64_t
move_all(struct address_space *other, const struct pieces *local, const struct pieces *remote,
	 bool writes)
{
	struct place here = { local, 0, 0 }, there = { remote, 0, 0 };
	char *buffer = kmalloc(PAGE_SIZE, GFP_KERNEL);
	uintptr_t from = 0, to = 0;
	size_t bytes, moved, total = 0;

	if (!buffer)
		return -ENOMEM;
	do {
		bytes = MIN(run_at(&here, &from), run_at(&there, &to));
		bytes = MIN(bytes, PAGE_SIZE - to % PAGE_SIZE);
		moved = move(other, to, from, buffer, bytes, writes);
		here.offset += moved;
		there.offset += moved;
		total += moved;
	} while (moved == bytes && bytes > 0);
	kfree(buffer);
	return moved == bytes || total > 0 ? (int64_t)total : -EFAULT;
}

/* The space of a process whose memory the running one may access, with a reference. */
static int
find_space(int pid, struct address_space **space)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct user_thread *user = user_thread_find_locked(pid);
	struct process *process = user ? user->process : process_find_locked(pid);
	int error = 0;

	if (!process || !process->space)
		error = -ESRCH;
	else if (!may_access_memory_locked(process))
		error = -EPERM;
	else
		*space = space_get(process->space);
	spin_unlock_irqrestore(&process_lock, flags);
	return error;
}

static int64_t
access(const uint64_t *arg, bool writes)
{
	struct pieces local, remote;
	struct address_space *space;
	int64_t result;

	if (arg[5])
		return -EINVAL;
	result = pieces_from_user(&local, arg[1], arg[2]);
	if (result)
		return result;
	result = pieces_from_user(&remote, arg[3], arg[4]);
	if (!result) {
		if (local.total > 0 && remote.total > 0)
			result = find_space((int)arg[0], &space);
		if (!result && local.total > 0 && remote.total > 0) {
			result = move_all(space, &local, &remote, writes);
			space_put(space);
		}
		kfree(remote.piece);
	}
	kfree(local.piece);
	return result;
}

static int64_t
sys_process_vm_readv(const uint64_t *arg)
{
	return access(arg, false);
}
SYSCALL(310, process_vm_readv, 6, sys_process_vm_readv);

static int64_t
sys_process_vm_writev(const uint64_t *arg)
{
	return access(arg, true);
}
SYSCALL(311, process_vm_writev, 6, sys_process_vm_writev);
