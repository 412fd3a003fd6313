/* SPDX-License-Identifier: MIT */
/*
 * The system calls about memory. What they do is the memory manager's; here arguments become
 * those of its functions.
 */
#include <abi/mman.h>
#include <arch.h>
#include <percpu.h>
#include <smp.h>

#include "user.h"

#define INCORE_PIECE 256 /* pages that mincore() looks at at a time */

static struct address_space *
my_space(void)
{
	return user_current()->space;
}

static bool
fits(size_t pages, size_t length, uint64_t limit)
{
	return limit == RLIM_INFINITY || (length <= limit && pages * PAGE_SIZE <= limit - length);
}

/*
 * Does the process stay below RLIMIT_AS with length more bytes, and below RLIMIT_DATA if they are
 * data: private, writable, and no stack?
 */
static bool
within_limit(size_t length, bool data)
{
	uint64_t limit = process_limit(RLIMIT_AS);
	uint64_t data_limit = data ? process_limit(RLIMIT_DATA) : RLIM_INFINITY;
	struct space_stats stats;

	if (limit == RLIM_INFINITY && data_limit == RLIM_INFINITY)
		return true;
	space_get_stats(my_space(), &stats);
	return fits(stats.mapped, length, limit) && fits(stats.data, length, data_limit);
}

static bool
is_data(unsigned prot, unsigned flags)
{
	return prot & PROT_WRITE && flags & MAP_PRIVATE && !(flags & MAP_GROWSDOWN);
}

/* Which rights a mapping of the file may ever have: *most. 0, or -EACCES for those asked for. */
static int
check_rights(const struct file *file, unsigned prot, unsigned flags, unsigned *most)
{
	unsigned opened = file_prot(file);
	unsigned type = flags & MAP_TYPE;
	bool shared = type != MAP_PRIVATE;

	*most = PROT_READ | PROT_WRITE | PROT_EXEC;
	if (!opened)
		return -EBADF; /* it only stands for a place: O_PATH */
	if (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (file_forbids_exec(file)) {
		*most &= ~(unsigned)PROT_EXEC;
		if (prot & PROT_EXEC)
			return -EPERM;
	}
	if (!(opened & PROT_READ))
		return -EACCES;
	if (shared && !(opened & PROT_WRITE))
		*most &= ~(unsigned)PROT_WRITE;
	return prot & ~*most ? -EACCES : 0;
}

/* With its seals held: may it be mapped so, and with which rights at most? */
static int
check_seals(bool writable, unsigned prot, unsigned flags, unsigned *most)
{
	if (writable || (flags & MAP_TYPE) == MAP_PRIVATE)
		return 0;
	*most &= ~(unsigned)PROT_WRITE;
	return prot & PROT_WRITE ? -EPERM : 0;
}

/* May so many more bytes be locked? Without privilege RLIMIT_MEMLOCK says. */
static int
check_lock_limit(uintptr_t start, size_t length)
{
	uint64_t limit = process_limit(RLIMIT_MEMLOCK);
	struct space_stats stats;
	size_t pages = (start % PAGE_SIZE + length + PAGE_SIZE - 1) >> PAGE_SHIFT;

	if (is_privileged() || limit == RLIM_INFINITY)
		return 0;
	if (limit == 0)
		return -EPERM;
	space_get_stats(my_space(), &stats);
	return stats.locked + pages > limit >> PAGE_SHIFT ? -ENOMEM : 0;
}

/* The same for a mapping that will be locked from its beginning, with mmap()'s errors. */
static int
check_mapping_lock(size_t length, unsigned flags)
{
	struct space_stats stats;
	int error;

	if (is_privileged() || process_limit(RLIMIT_MEMLOCK) == RLIM_INFINITY)
		return 0;
	space_get_stats(my_space(), &stats);
	if (!(flags & MAP_LOCKED) && !stats.locks_future)
		return 0;
	error = check_lock_limit(0, length);
	return error == -ENOMEM ? -EAGAIN : error;
}

static int64_t
map_file(uintptr_t *at, const uint64_t *arg)
{
	unsigned prot = (unsigned)arg[2], flags = (unsigned)arg[3], most;
	struct file *file = fd_get(process_current()->files, (int)arg[4]);
	int error;

	if (!file)
		return -EBADF;
	error = arg[1] ? check_rights(file, prot, flags, &most) : -EINVAL;
	if (error)
		goto refused;
	error = check_seals(file_begin_map(file), prot, flags, &most);
	if (!error && file_is_zeroes(file))
		error =
		    space_map(my_space(), at, arg[1], prot, flags | MAP_ANONYMOUS, NULL, 0, most);
	else if (!error && !file_object(file))
		error = -ENODEV;
	else if (!error)
		error =
		    space_map(my_space(), at, arg[1], prot, flags, file_object(file), arg[5], most);
	if (!error)
		file_note_mapped(file);
	file_end_map(file);
refused:
	file_put(file);
	return error;
}

static int64_t
sys_mmap(const uint64_t *arg)
{
	unsigned prot = (unsigned)arg[2], flags = (unsigned)arg[3];
	uintptr_t at = arg[0];
	int64_t error;

	if (arg[5] % PAGE_SIZE)
		return -EINVAL;
	if (!within_limit(arg[1], is_data(prot, flags)))
		return -ENOMEM;
	error = check_mapping_lock(arg[1], flags);
	if (error)
		return error;
	if (flags & MAP_ANONYMOUS)
		error = space_map(my_space(), &at, arg[1], prot, flags, NULL, 0,
				  PROT_READ | PROT_WRITE | PROT_EXEC);
	else
		error = map_file(&at, arg);
	return error ? error : (int64_t)at;
}
SYSCALL(9, mmap, 6, sys_mmap);

static int64_t
sys_munmap(const uint64_t *arg)
{
	return space_unmap(my_space(), arg[0], arg[1]);
}
SYSCALL(11, munmap, 2, sys_munmap);

static int64_t
sys_mprotect(const uint64_t *arg)
{
	return space_protect(my_space(), arg[0], arg[1], (unsigned)arg[2]);
}
SYSCALL(10, mprotect, 3, sys_mprotect);

/* ---- Protection keys --------------------------------------------------------------------- */

static int64_t
sys_pkey_mprotect(const uint64_t *arg)
{
	return space_protect_key(my_space(), arg[0], arg[1], (unsigned)arg[2], (int)arg[3]);
}
SYSCALL(329, pkey_mprotect, 4, sys_pkey_mprotect);

/* The thread that asks gets the rights that it asks for; all others deny themselves the key. */
static int64_t
sys_pkey_alloc(const uint64_t *arg)
{
	int key;

	if (arg[0] || arg[1] & ~(uint64_t)(PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE))
		return -EINVAL;
	key = space_key_alloc(my_space());
	if (key >= 0)
		arch_key_deny((unsigned)key, (unsigned)arg[1]);
	return key;
}
SYSCALL(330, pkey_alloc, 2, sys_pkey_alloc);

static int64_t
sys_pkey_free(const uint64_t *arg)
{
	return space_key_free(my_space(), (int)arg[0]);
}
SYSCALL(331, pkey_free, 1, sys_pkey_free);

/* ---- The heap, moving -------------------------------------------------------------------- */

static int64_t
sys_brk(const uint64_t *arg)
{
	uintptr_t now = space_break(my_space(), 0);

	if (arg[0] > now && !within_limit(arg[0] - now, true))
		return (int64_t)now;
	return (int64_t)space_break(my_space(), arg[0]);
}
SYSCALL(12, brk, 1, sys_brk);

static bool
is_data_at(uintptr_t address)
{
	struct region_info info;

	return space_region_at(my_space(), address, &info) && is_data(info.prot, info.flags);
}

static int64_t
sys_mremap(const uint64_t *arg)
{
	uintptr_t result;
	int error;

	if (arg[2] > arg[1] && !within_limit(arg[2] - arg[1], is_data_at(arg[0])))
		return -ENOMEM;
	error = space_remap(my_space(), arg[0], arg[1], arg[2], (unsigned)arg[3], arg[4], &result);
	return error ? error : (int64_t)result;
}
SYSCALL(25, mremap, 5, sys_mremap);

/* Rights are to be given as 0: they stay as they are. */
static int64_t
sys_remap_file_pages(const uint64_t *arg)
{
	return arg[2] ? -EINVAL : space_remap_pages(my_space(), arg[0], arg[1], arg[3]);
}
SYSCALL(216, remap_file_pages, 5, sys_remap_file_pages);

static int64_t
sys_msync(const uint64_t *arg)
{
	return space_sync(my_space(), arg[0], arg[1], (int)arg[2]);
}
SYSCALL(26, msync, 3, sys_msync);

static int64_t
sys_madvise(const uint64_t *arg)
{
	return space_advise(my_space(), arg[0], arg[1], (int)arg[2]);
}
SYSCALL(28, madvise, 3, sys_madvise);

static int64_t
sys_mincore(const uint64_t *arg)
{
	uint8_t vector[INCORE_PIECE];
	uint64_t nr = (arg[1] + PAGE_SIZE - 1) / PAGE_SIZE;

	if (arg[0] % PAGE_SIZE)
		return -EINVAL;
	if (arg[1] > USER_END)
		return -ENOMEM;
	for (uint64_t done = 0; done < nr; done += INCORE_PIECE) {
		size_t piece = MIN(nr - done, INCORE_PIECE);
		int error =
		    space_incore(my_space(), arg[0] + done * PAGE_SIZE, piece * PAGE_SIZE, vector);

		if (error)
			return error;
		if (copy_to_user(arg[2] + done, vector, piece))
			return -EFAULT;
	}
	return 0;
}
SYSCALL(27, mincore, 3, sys_mincore);

static int64_t
sys_mlock(const uint64_t *arg)
{
	int error = check_lock_limit(arg[0], arg[1]);

	if (error)
		return error;
	return space_lock(my_space(), arg[0], arg[1], true, false);
}
SYSCALL(149, mlock, 2, sys_mlock);

static int64_t
sys_mlock2(const uint64_t *arg)
{
	int error;

	if (arg[2] & ~(uint64_t)MLOCK_ONFAULT)
		return -EINVAL;
	error = check_lock_limit(arg[0], arg[1]);
	return error ? error : space_lock(my_space(), arg[0], arg[1], true, arg[2] & MLOCK_ONFAULT);
}
SYSCALL(325, mlock2, 3, sys_mlock2);

static int64_t
sys_munlock(const uint64_t *arg)
{
	return space_lock(my_space(), arg[0], arg[1], false, false);
}
SYSCALL(150, munlock, 2, sys_munlock);

static int64_t
sys_mlockall(const uint64_t *arg)
{
	if (!arg[0] || arg[0] & ~(uint64_t)(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) ||
	    arg[0] == MCL_ONFAULT)
		return -EINVAL;
	if (arg[0] & MCL_CURRENT) {
		struct space_stats stats;
		int error;

		space_get_stats(my_space(), &stats);
		error = check_lock_limit(0, (stats.mapped - stats.locked) * PAGE_SIZE);
		if (error)
			return error;
	}
	return space_lock_all(my_space(), (int)arg[0]);
}
SYSCALL(151, mlockall, 1, sys_mlockall);

static int64_t
sys_munlockall(const uint64_t *arg)
{
	(void)arg;
	return space_lock_all(my_space(), 0);
}
SYSCALL(152, munlockall, 0, sys_munlockall);

/* ---- Barriers ---------------------------------------------------------------------------- */

#define MEMBARRIER_QUERY		      0
#define MEMBARRIER_GLOBAL		      (1 << 0)
#define MEMBARRIER_GLOBAL_EXPEDITED	      (1 << 1)
#define MEMBARRIER_REGISTER_GLOBAL_EXPEDITED  (1 << 2)
#define MEMBARRIER_PRIVATE_EXPEDITED	      (1 << 3)
#define MEMBARRIER_REGISTER_PRIVATE_EXPEDITED (1 << 4)
#define MEMBARRIER_PRIVATE_SYNC_CORE	      (1 << 5)
#define MEMBARRIER_REGISTER_PRIVATE_SYNC_CORE (1 << 6)

static void
fence(void *arg)
{
	(void)arg;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Every CPU orders its accesses; the return from the interrupt also makes it fetch code anew. */
static int64_t
fence_all(void)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		smp_call(cpu, fence, NULL);
	return 0;
}

/* Who wants to use the kinds that are called expedited says so first. All kinds are as quick here.
 */
static int64_t
sys_membarrier(const uint64_t *arg)
{
	uint32_t *registered = &process_current()->private->barriers;
	uint32_t command = (uint32_t)arg[0];

	if (arg[1])
		return -EINVAL;
	switch (command) {
	case MEMBARRIER_QUERY:
		return 2 * MEMBARRIER_REGISTER_PRIVATE_SYNC_CORE - 1;
	case MEMBARRIER_GLOBAL:
	case MEMBARRIER_GLOBAL_EXPEDITED:
		return fence_all();
	case MEMBARRIER_PRIVATE_EXPEDITED:
	case MEMBARRIER_PRIVATE_SYNC_CORE:
		if (!(__atomic_load_n(registered, __ATOMIC_RELAXED) & command << 1))
			return -EPERM;
		return fence_all();
	case MEMBARRIER_REGISTER_GLOBAL_EXPEDITED:
	case MEMBARRIER_REGISTER_PRIVATE_EXPEDITED:
	case MEMBARRIER_REGISTER_PRIVATE_SYNC_CORE:
		__atomic_or_fetch(registered, command, __ATOMIC_RELAXED);
		return 0;
	default:
		return -EINVAL;
	}
}
SYSCALL(324, membarrier, 3, sys_membarrier);
