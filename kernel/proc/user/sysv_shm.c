/* SPDX-License-Identifier: MIT */
/*
 * System V shared memory: shmget() and its kin.
 *
 * A segment is a page cache without a file, found by a number, which shmget() gives for a key:
 *
 *	key --> segment, number --> page cache <-- regions of whoever has attached it
 *
 * It lives until it has been removed and nobody has it attached any more: its references are one
 * for each region that shows it, and one until it is removed. The table counts for nothing, so who
 * looks a segment up takes a reference only if there still is one.
 *
 * Source: the structures and errors are those of shmget(2), shmop(2) and shmctl(2).
 */
#include <abi/shm.h>
#include <page_cache.h>
#include <slab.h>
#include <string.h>

#include "user.h"

#define NUMBER_STEP 32768 /* numbers are not used again soon */

#define IPC_PRIVATE 0
#define IPC_CREAT   01000
#define IPC_EXCL    02000
#define IPC_RMID    0
#define IPC_SET	    1
#define IPC_STAT    2
#define IPC_INFO    3

#define SHM_LOCK     11
#define SHM_UNLOCK   12
#define SHM_STAT     13
#define SHM_INFO     14
#define SHM_STAT_ANY 15

#define SHM_HUGETLB 04000 /* of shmget(): there are none */

#define SHM_RDONLY 010000
#define SHM_RND	   020000
#define SHM_REMAP  040000
#define SHM_EXEC   0100000
#define SHM_KNOWN  (SHM_RDONLY | SHM_RND | SHM_REMAP | SHM_EXEC)

#define TO_READ	 4
#define TO_WRITE 2

#define MODE_REMOVED 01000 /* SHM_DEST */
#define MODE_LOCKED  02000 /* SHM_LOCKED */

struct segment {
	struct page_cache cache;
	struct abi_shmid_ds what; /* (t) but perm.mode's removed bit, which is removed */
	unsigned references;	  /* (a) */
	bool removed;		  /* (t) */
	int number;		  /* (c) */
};

static KMEM_CACHE(segment_cache, "shm_segment", sizeof(struct segment), 0, 0, NULL);

static spinlock_t table_lock = SPINLOCK_INIT("shm", RANK_MODULE);
static struct segment *table[SHM_SEGMENTS_MAX]; /* (t) table_lock */
static uint16_t sequences[SHM_SEGMENTS_MAX];	/* (t) of the next in that place */

struct shm_limits shm_limits = {
	.size_max = SHM_SIZE_MAX,
	.pages_max = SHM_SIZE_MAX / PAGE_SIZE,
	.segments_max = SHM_SEGMENTS_MAX,
};

static uint64_t
limit(const uint64_t *which)
{
	return __atomic_load_n(which, __ATOMIC_RELAXED);
}

static int64_t
now_seconds(void)
{
	return (int64_t)(wall_clock_ns() / NSEC_PER_SEC);
}

/* ---- References ------------------------------------------------------------------------------ */

static struct segment *
segment_of(struct memory_object *object)
{
	return container_of(page_cache_of(object), struct segment, cache);
}

static void
segment_get(struct memory_object *object)
{
	__atomic_add_fetch(&segment_of(object)->references, 1, __ATOMIC_RELAXED);
}

static void
segment_put(struct memory_object *object)
{
	struct segment *segment = segment_of(object);
	irqflags_t flags;

	if (__atomic_sub_fetch(&segment->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	flags = spin_lock_irqsave(&table_lock);
	table[segment->number % NUMBER_STEP] = NULL;
	spin_unlock_irqrestore(&table_lock, flags);
	page_cache_drop(&segment->cache);
	kmem_cache_free(&segment_cache, segment);
}

static const struct memory_object_ops segment_ops = {
	.get_page = page_cache_get_page,
	.peek_pages = page_cache_peek_pages,
	.get = segment_get,
	.put = segment_put,
};

/* One more reference, if it has not lost its last one. */
static bool
try_get_locked(struct segment *segment)
{
	unsigned seen = __atomic_load_n(&segment->references, __ATOMIC_RELAXED);

	assert_held(&table_lock);
	while (seen > 0)
		if (__atomic_compare_exchange_n(&segment->references, &seen, seen + 1, true,
						__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return true;
	return false;
}

/* The segment of that number with a reference, or NULL. */
static struct segment *
find(int number)
{
	irqflags_t flags = spin_lock_irqsave(&table_lock);
	unsigned place = (unsigned)number % NUMBER_STEP;
	struct segment *segment = NULL;

	if (number >= 0 && place < SHM_SEGMENTS_MAX)
		segment = table[place];
	if (segment && (segment->number != number || !try_get_locked(segment)))
		segment = NULL;
	spin_unlock_irqrestore(&table_lock, flags);
	return segment;
}

/* As with files: the first of owner, group and others that fits decides. wanted: TO_READ, TO_WRITE
 */
static bool
may_use(const struct segment *segment, unsigned wanted)
{
	const struct abi_ipc_perm *perm = &segment->what.perm;
	struct file_user who;
	uint32_t mode = perm->mode;

	process_file_user(&who, false);
	if (who.uid == 0)
		return true;
	if (who.uid == perm->uid || who.uid == perm->creator_uid)
		mode >>= 6;
	else if (process_in_group(&who, perm->gid) || process_in_group(&who, perm->creator_gid))
		mode >>= 3;
	return !(wanted & ~mode);
}

static bool
is_owner(const struct segment *segment)
{
	struct file_user who;

	process_file_user(&who, false);
	return who.uid == 0 || who.uid == segment->what.perm.uid ||
	       who.uid == segment->what.perm.creator_uid;
}

/* ---- shmget() -------------------------------------------------------------------------------- */

static struct segment *
segment_create(int key, uint64_t size, unsigned mode)
{
	struct segment *segment = kmem_cache_alloc(&segment_cache, GFP_KERNEL);
	struct file_user who;

	if (!segment)
		return NULL;
	memset(segment, 0, sizeof(*segment));
	page_cache_init(&segment->cache, &segment_ops, NULL);
	page_cache_extend(&segment->cache, ALIGN_UP(size, PAGE_SIZE));
	segment->references = 1;
	segment->what.perm.key = key;
	segment->what.perm.mode = mode & 0777;
	process_file_user(&who, false);
	segment->what.perm.uid = segment->what.perm.creator_uid = who.uid;
	segment->what.perm.gid = segment->what.perm.creator_gid = who.gid;
	segment->what.size = size;
	segment->what.changed_at = now_seconds();
	segment->what.creator = process_current()->pid;
	return segment;
}

static struct segment *
find_key_locked(int key)
{
	assert_held(&table_lock);
	for (unsigned i = 0; i < SHM_SEGMENTS_MAX; i++)
		if (table[i] && table[i]->what.perm.key == key && !table[i]->removed)
			return table[i];
	return NULL;
}

static uint64_t
pages_of(const struct segment *segment)
{
	return (segment->what.size + PAGE_SIZE - 1) / PAGE_SIZE;
}

/* Is there room for it beside those that there are? */
static bool
has_room_locked(const struct segment *segment)
{
	uint64_t nr = 0, pages = pages_of(segment);

	assert_held(&table_lock);
	for (unsigned i = 0; i < SHM_SEGMENTS_MAX; i++) {
		nr += table[i] != NULL;
		pages += table[i] ? pages_of(table[i]) : 0;
	}
	return nr < limit(&shm_limits.segments_max) && pages <= limit(&shm_limits.pages_max);
}

/* Enter it in a free place. Returns its number, or -ENOSPC. */
static int
enter_locked(struct segment *segment)
{
	assert_held(&table_lock);
	if (!has_room_locked(segment))
		return -ENOSPC;
	for (unsigned i = 0; i < SHM_SEGMENTS_MAX; i++) {
		if (table[i])
			continue;
		table[i] = segment;
		segment->what.perm.sequence = sequences[i];
		segment->number = (int)i + sequences[i] * NUMBER_STEP;
		sequences[i] = (sequences[i] + 1) % (INT32_MAX / NUMBER_STEP);
		return segment->number;
	}
	return -ENOSPC;
}

/* The number for a key that is there, or of the fresh one, whose new owner is the table: *used. */
static int
find_or_enter(int key, uint64_t size, unsigned options, struct segment *fresh, bool *used)
{
	irqflags_t flags = spin_lock_irqsave(&table_lock);
	struct segment *found = key == IPC_PRIVATE ? NULL : find_key_locked(key);
	int result;

	*used = false;
	if (found && (options & IPC_CREAT) && (options & IPC_EXCL))
		result = -EEXIST;
	else if (found &&
		 !may_use(found, (options >> 6 | options >> 3 | options) & (TO_READ | TO_WRITE)))
		result = -EACCES;
	else if (found)
		result = size > found->what.size ? -EINVAL : found->number;
	else if (!fresh)
		result = -ENOENT;
	else
		result = enter_locked(fresh);
	if (!found && fresh && result >= 0)
		*used = true;
	spin_unlock_irqrestore(&table_lock, flags);
	return result;
}

static int64_t
sys_shmget(const uint64_t *arg)
{
	int key = (int)arg[0], number;
	unsigned options = (unsigned)arg[2];
	bool may_create = key == IPC_PRIVATE || options & IPC_CREAT, used;
	struct segment *fresh = NULL;

	number = may_create && key == IPC_PRIVATE
		     ? -ENOENT
		     : find_or_enter(key, arg[1], options, NULL, &used);
	if (number != -ENOENT || !may_create)
		return number;
	if (options & SHM_HUGETLB || arg[1] == 0 ||
	    arg[1] > MIN(limit(&shm_limits.size_max), SHM_SIZE_MAX))
		return -EINVAL;
	fresh = segment_create(key, arg[1], options);
	if (!fresh)
		return -ENOMEM;
	number = find_or_enter(key, arg[1], options, fresh, &used);
	if (!used) {
		page_cache_drop(&fresh->cache);
		kmem_cache_free(&segment_cache, fresh);
	}
	return number;
}
SYSCALL(29, shmget, 3, sys_shmget);

/* ---- shmat(), shmdt() ------------------------------------------------------------------------ */

static int
attach(struct segment *segment, uintptr_t *at, unsigned options)
{
	unsigned prot = PROT_READ, flags = MAP_SHARED;

	if (!(options & SHM_RDONLY))
		prot |= PROT_WRITE;
	if (options & SHM_EXEC)
		prot |= PROT_EXEC;
	if (*at)
		flags |= options & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	return space_map(process_current()->space, at, page_cache_size(&segment->cache), prot,
			 flags, &segment->cache.object, 0, PROT_READ | PROT_WRITE | PROT_EXEC);
}

static void
note_use(struct segment *segment, int64_t *when)
{
	irqflags_t flags = spin_lock_irqsave(&table_lock);

	*when = now_seconds();
	segment->what.last = process_current()->pid;
	spin_unlock_irqrestore(&table_lock, flags);
}

static int64_t
sys_shmat(const uint64_t *arg)
{
	unsigned options = (unsigned)arg[2];
	uintptr_t at = arg[1];
	struct segment *segment;
	int error;

	if (options & ~SHM_KNOWN)
		return -EINVAL;
	if (at % PAGE_SIZE && !(options & SHM_RND))
		return -EINVAL;
	at = ALIGN_DOWN(at, PAGE_SIZE);
	if (!at && options & SHM_REMAP)
		return -EINVAL;
	segment = find((int)arg[0]);
	if (!segment)
		return -EINVAL;
	if (may_use(segment, options & SHM_RDONLY ? TO_READ : TO_READ | TO_WRITE))
		error = attach(segment, &at, options);
	else
		error = -EACCES;
	if (!error)
		note_use(segment, &segment->what.attached_at);
	segment_put(&segment->cache.object);
	if (error == -EEXIST || error == -EPERM)
		error = -EINVAL; /* something is there, or nothing may be */
	return error ? error : (int64_t)at;
}
SYSCALL(30, shmat, 3, sys_shmat);

static int64_t
sys_shmdt(const uint64_t *arg)
{
	struct address_space *space = process_current()->space;
	struct memory_object *object = NULL;
	struct segment *segment;
	size_t pages;

	if (arg[0] % PAGE_SIZE == 0)
		object = space_object_at(space, arg[0]);
	if (!object)
		return -EINVAL;
	if (object->ops != &segment_ops) {
		object->ops->put(object);
		return -EINVAL;
	}
	segment = segment_of(object);
	pages = space_unmap_object(space, arg[0], page_cache_size(&segment->cache), object);
	note_use(segment, &segment->what.detached_at);
	segment_put(object);
	return pages > 0 ? 0 : -EINVAL; /* another thread may have been first */
}
SYSCALL(67, shmdt, 1, sys_shmdt);

/* ---- shmctl() -------------------------------------------------------------------------------- */

/* The caller's reference is not counted. */
static void
describe(struct segment *segment, struct abi_shmid_ds *what)
{
	irqflags_t flags = spin_lock_irqsave(&table_lock);
	unsigned references = __atomic_load_n(&segment->references, __ATOMIC_RELAXED);

	*what = segment->what;
	what->nr_attached = references - 1 - !segment->removed;
	if (segment->removed)
		what->perm.mode |= MODE_REMOVED;
	spin_unlock_irqrestore(&table_lock, flags);
}

static void
remove_segment(struct segment *segment)
{
	irqflags_t flags = spin_lock_irqsave(&table_lock);
	bool was_removed = segment->removed;

	segment->removed = true;
	spin_unlock_irqrestore(&table_lock, flags);
	if (!was_removed)
		segment_put(&segment->cache.object);
}

static int64_t
set(struct segment *segment, uintptr_t from)
{
	struct abi_shmid_ds given;
	irqflags_t flags;

	if (copy_from_user(&given, from, sizeof(given)))
		return -EFAULT;
	flags = spin_lock_irqsave(&table_lock);
	segment->what.perm.uid = given.perm.uid;
	segment->what.perm.gid = given.perm.gid;
	segment->what.perm.mode = (segment->what.perm.mode & ~0777u) | (given.perm.mode & 0777);
	segment->what.changed_at = now_seconds();
	spin_unlock_irqrestore(&table_lock, flags);
	return 0;
}

/* Its frames are never given up anyway. */
static void
set_locked(struct segment *segment, bool lock)
{
	irqflags_t flags = spin_lock_irqsave(&table_lock);

	segment->what.perm.mode &= ~(unsigned)MODE_LOCKED;
	if (lock)
		segment->what.perm.mode |= MODE_LOCKED;
	spin_unlock_irqrestore(&table_lock, flags);
}

static int64_t
control(struct segment *segment, int command, uintptr_t buffer)
{
	struct abi_shmid_ds what;

	if (command != IPC_STAT && !is_owner(segment))
		return -EPERM;
	switch (command) {
	case IPC_STAT:
		if (!may_use(segment, TO_READ))
			return -EACCES;
		describe(segment, &what);
		return copy_to_user(buffer, &what, sizeof(what));
	case IPC_SET:
		return set(segment, buffer);
	case IPC_RMID:
		remove_segment(segment);
		return 0;
	case SHM_LOCK:
	case SHM_UNLOCK:
		set_locked(segment, command == SHM_LOCK);
		return 0;
	default:
		return -EINVAL;
	}
}

/* ---- What there is -----------------------------------------------------------------------------
 */

/* The segment in a place of the table with a reference, or NULL. */
static struct segment *
find_place(uint64_t place)
{
	irqflags_t flags = spin_lock_irqsave(&table_lock);
	struct segment *segment = place < SHM_SEGMENTS_MAX ? table[place] : NULL;

	if (segment && !try_get_locked(segment))
		segment = NULL;
	spin_unlock_irqrestore(&table_lock, flags);
	return segment;
}

int
shm_next(unsigned *place, struct abi_shmid_ds *what, size_t *resident)
{
	struct segment *segment = NULL;
	int number;

	while (*place < SHM_SEGMENTS_MAX && !segment)
		segment = find_place((*place)++);
	if (!segment)
		return -1;
	number = segment->number;
	describe(segment, what);
	*resident = page_cache_nr_pages(&segment->cache);
	segment_put(&segment->cache.object);
	return number;
}

/* Sums over all; returns the highest place that is used, or 0. */
static int
sum_up(struct abi_shm_info *info)
{
	struct abi_shmid_ds what;
	unsigned place = 0, highest = 0;
	size_t resident;

	*info = (struct abi_shm_info){ 0 };
	while (shm_next(&place, &what, &resident) >= 0) {
		info->nr_segments++;
		info->pages += (what.size + PAGE_SIZE - 1) / PAGE_SIZE;
		info->resident += resident;
		highest = place - 1;
	}
	return (int)highest;
}

static int64_t
tell_limits(uintptr_t to)
{
	struct abi_shminfo limits = {
		.size_max = limit(&shm_limits.size_max),
		.size_min = 1,
		.segments_max = limit(&shm_limits.segments_max),
		.attached_max = limit(&shm_limits.segments_max),
		.pages_max = limit(&shm_limits.pages_max),
	};
	struct abi_shm_info info;
	int highest = sum_up(&info);

	return copy_to_user(to, &limits, sizeof(limits)) ? -EFAULT : highest;
}

static int64_t
tell_sums(uintptr_t to)
{
	struct abi_shm_info info;
	int highest = sum_up(&info);

	return copy_to_user(to, &info, sizeof(info)) ? -EFAULT : highest;
}

/* Of the segment in a place. Returns its number. */
static int64_t
tell_place(uint64_t place, bool any, uintptr_t to)
{
	struct segment *segment = find_place(place);
	struct abi_shmid_ds what;
	int64_t result;

	if (!segment)
		return -EINVAL;
	result = any || may_use(segment, TO_READ) ? segment->number : -EACCES;
	describe(segment, &what);
	segment_put(&segment->cache.object);
	if (result >= 0 && copy_to_user(to, &what, sizeof(what)))
		return -EFAULT;
	return result;
}

static int64_t
sys_shmctl(const uint64_t *arg)
{
	struct segment *segment;
	int64_t result;

	switch ((int)arg[1]) {
	case IPC_INFO:
		return tell_limits(arg[2]);
	case SHM_INFO:
		return tell_sums(arg[2]);
	case SHM_STAT:
	case SHM_STAT_ANY:
		return tell_place((uint32_t)arg[0], (int)arg[1] == SHM_STAT_ANY, arg[2]);
	}
	segment = find((int)arg[0]);
	if (!segment)
		return -EINVAL;
	result = control(segment, (int)arg[1], arg[2]);
	segment_put(&segment->cache.object);
	return result;
}
SYSCALL(31, shmctl, 3, sys_shmctl);
