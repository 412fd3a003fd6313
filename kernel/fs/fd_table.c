/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: small numbers that stand for open files.
 *
 * A table is an array of slots, each a file and whether exec closes it. A new descriptor is always
 * the lowest that is free, which programs rely on; where to begin to look is remembered. The array
 * doubles as needed.
 *
 * LOCKING. The table's spin lock guards it all. Files are closed after it has been released, as
 * that may sleep, and memory is allocated before it is taken.
 */
#include <abi/resource.h>
#include <process.h>
#include <slab.h>
#include <string.h>

#include "fs.h"
#include "record_lock.h"

#define FIRST_CAPACITY 32

struct fd_slot {
	struct file *file; /* with a reference, or NULL */
	bool close_on_exec;
};

/* (l) lock */
struct fd_table {
	spinlock_t lock;
	unsigned refs;	      /* (a) */
	unsigned capacity;    /* (l) slots that there is room for, at most MAX_FILES */
	unsigned lowest;      /* (l) none below is free */
	struct fd_slot *slot; /* (l) */
};

static KMEM_CACHE(fd_table_cache, "fd_table", sizeof(struct fd_table), 0, 0, NULL);

static struct fd_slot *
new_slots(unsigned capacity)
{
	return kmalloc_zeroed(capacity * sizeof(struct fd_slot), GFP_KERNEL);
}

static struct fd_table *
new_table(unsigned capacity)
{
	struct fd_table *table = kmem_cache_alloc(&fd_table_cache, GFP_KERNEL);

	if (!table)
		return NULL;
	*table = (struct fd_table){ .refs = 1, .capacity = capacity };
	spin_init(&table->lock, "fd table", RANK_MODULE);
	table->slot = new_slots(capacity);
	if (table->slot)
		return table;
	kmem_cache_free(&fd_table_cache, table);
	return NULL;
}

struct fd_table *
fd_table_create(void)
{
	return new_table(FIRST_CAPACITY);
}

struct fd_table *
fd_table_get(struct fd_table *table)
{
	__atomic_add_fetch(&table->refs, 1, __ATOMIC_RELAXED);
	return table;
}

/* A descriptor for the file has been taken out. Any one: the table's locks on its ranges go. */
static void
let_go(struct fd_table *table, struct file *file)
{
	record_locks_release(file->inode, table);
	file_put(file);
}

void
fd_table_put(struct fd_table *table)
{
	if (__atomic_sub_fetch(&table->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (unsigned fd = 0; fd < table->capacity; fd++) {
		if (table->slot[fd].file)
			let_go(table, table->slot[fd].file);
	}
	kfree(table->slot);
	kmem_cache_free(&fd_table_cache, table);
}

/* Copy as much as there is room for; false: it has grown, there must be more room. */
static bool
copy_slots(struct fd_table *table, struct fd_table *copy)
{
	irqflags_t flags = spin_lock_irqsave(&table->lock);
	bool fits = table->capacity <= copy->capacity;

	for (unsigned fd = 0; fits && fd < table->capacity; fd++) {
		copy->slot[fd] = table->slot[fd];
		if (copy->slot[fd].file)
			file_get(copy->slot[fd].file);
	}
	copy->lowest = table->lowest;
	spin_unlock_irqrestore(&table->lock, flags);
	return fits;
}

int
fd_table_copy(struct fd_table *table, struct fd_table **copy)
{
	for (;;) {
		struct fd_table *fresh =
		    new_table(__atomic_load_n(&table->capacity, __ATOMIC_RELAXED));

		if (!fresh)
			return -ENOMEM;
		if (copy_slots(table, fresh)) {
			*copy = fresh;
			return 0;
		}
		fd_table_put(fresh);
	}
}

/* ---- Putting in ---------------------------------------------------------------------------- */

/* Make room for descriptor fd. Returns 0, or -ENOMEM. */
static int
grow(struct fd_table *table, unsigned fd)
{
	unsigned capacity = FIRST_CAPACITY;
	struct fd_slot *fresh, *old = NULL;
	irqflags_t flags;

	while (capacity <= fd)
		capacity *= 2;
	fresh = new_slots(capacity);
	if (!fresh)
		return -ENOMEM;
	flags = spin_lock_irqsave(&table->lock);
	if (table->capacity < capacity) {
		memcpy(fresh, table->slot, table->capacity * sizeof(*fresh));
		old = table->slot;
		table->slot = fresh;
		table->capacity = capacity;
		fresh = NULL;
	}
	spin_unlock_irqrestore(&table->lock, flags);
	kfree(old);
	kfree(fresh);
	return 0;
}

static unsigned
find_free_locked(struct fd_table *table, unsigned lowest)
{
	unsigned fd = MAX(lowest, table->lowest);

	assert_held(&table->lock);
	while (fd < table->capacity && table->slot[fd].file)
		fd++;
	return fd;
}

/* One more than the highest descriptor that the running process may have. */
static unsigned
limit(void)
{
	return (unsigned)MIN(process_limit(RLIMIT_NOFILE), (uint64_t)MAX_FILES);
}

int
fd_install_from(struct fd_table *table, struct file *file, int lowest, bool close_on_exec)
{
	if (lowest < 0 || (unsigned)lowest >= limit())
		return lowest == 0 ? -EMFILE : -EINVAL;
	for (;;) {
		irqflags_t flags = spin_lock_irqsave(&table->lock);
		unsigned fd = find_free_locked(table, (unsigned)lowest);
		bool fits = fd < table->capacity && fd < limit();

		if (fits) {
			table->slot[fd] = (struct fd_slot){ file, close_on_exec };
			if (fd == table->lowest || (unsigned)lowest <= table->lowest)
				table->lowest = fd + 1;
		}
		spin_unlock_irqrestore(&table->lock, flags);
		if (fits)
			return (int)fd;
		if (fd >= limit())
			return -EMFILE;
		if (grow(table, fd))
			return -ENOMEM;
	}
}

int
fd_install(struct fd_table *table, struct file *file, bool close_on_exec)
{
	return fd_install_from(table, file, 0, close_on_exec);
}

int
fd_replace(struct fd_table *table, struct file *file, int fd, bool close_on_exec)
{
	struct file *old;
	irqflags_t flags;

	if (fd < 0 || (unsigned)fd >= limit())
		return -EBADF;
	if ((unsigned)fd >= __atomic_load_n(&table->capacity, __ATOMIC_RELAXED) &&
	    grow(table, (unsigned)fd))
		return -ENOMEM;
	flags = spin_lock_irqsave(&table->lock);
	old = table->slot[fd].file;
	table->slot[fd] = (struct fd_slot){ file, close_on_exec };
	spin_unlock_irqrestore(&table->lock, flags);
	if (old)
		let_go(table, old);
	return fd;
}

/* ---- Looking at, taking out ---------------------------------------------------------------- */

struct file *
fd_get(struct fd_table *table, int fd)
{
	irqflags_t flags = spin_lock_irqsave(&table->lock);
	struct file *file = NULL;

	if (fd >= 0 && (unsigned)fd < table->capacity)
		file = table->slot[fd].file;
	if (file)
		file_get(file);
	spin_unlock_irqrestore(&table->lock, flags);
	return file;
}

struct file *
fd_current(int fd)
{
	struct fd_table *table = files_current();

	return table ? fd_get(table, fd) : NULL;
}

static struct file *
take_out_locked(struct fd_table *table, unsigned fd)
{
	struct file *file = table->slot[fd].file;

	assert_held(&table->lock);
	table->slot[fd] = (struct fd_slot){ NULL, false };
	table->lowest = MIN(table->lowest, fd);
	return file;
}

int
fd_close(struct fd_table *table, int fd)
{
	irqflags_t flags = spin_lock_irqsave(&table->lock);
	struct file *file = NULL;

	if (fd >= 0 && (unsigned)fd < table->capacity && table->slot[fd].file)
		file = take_out_locked(table, (unsigned)fd);
	spin_unlock_irqrestore(&table->lock, flags);
	if (!file)
		return -EBADF;
	let_go(table, file);
	return 0;
}

void
fd_close_range(struct fd_table *table, unsigned first, unsigned last, bool only_mark)
{
	for (unsigned fd = first; fd <= last && fd < fd_table_capacity(table); fd++) {
		irqflags_t flags = spin_lock_irqsave(&table->lock);
		struct file *file = NULL;
		bool there = fd < table->capacity && table->slot[fd].file;

		if (there && only_mark)
			table->slot[fd].close_on_exec = true;
		else if (there)
			file = take_out_locked(table, fd);
		spin_unlock_irqrestore(&table->lock, flags);
		if (file)
			let_go(table, file);
	}
}

void
fd_table_exec(struct fd_table *table)
{
	for (unsigned fd = 0; fd < fd_table_capacity(table); fd++) {
		irqflags_t flags = spin_lock_irqsave(&table->lock);
		struct file *file = NULL;

		if (fd < table->capacity && table->slot[fd].close_on_exec)
			file = take_out_locked(table, fd);
		spin_unlock_irqrestore(&table->lock, flags);
		if (file)
			let_go(table, file);
	}
}

int
fd_get_flags(struct fd_table *table, int fd)
{
	irqflags_t flags = spin_lock_irqsave(&table->lock);
	int result = -EBADF;

	if (fd >= 0 && (unsigned)fd < table->capacity && table->slot[fd].file)
		result = table->slot[fd].close_on_exec ? FD_CLOEXEC : 0;
	spin_unlock_irqrestore(&table->lock, flags);
	return result;
}

int
fd_set_flags(struct fd_table *table, int fd, bool close_on_exec)
{
	irqflags_t flags = spin_lock_irqsave(&table->lock);
	int result = -EBADF;

	if (fd >= 0 && (unsigned)fd < table->capacity && table->slot[fd].file) {
		table->slot[fd].close_on_exec = close_on_exec;
		result = 0;
	}
	spin_unlock_irqrestore(&table->lock, flags);
	return result;
}

unsigned
fd_table_capacity(struct fd_table *table)
{
	return __atomic_load_n(&table->capacity, __ATOMIC_RELAXED);
}

int
fd_next(struct fd_table *table, int fd)
{
	irqflags_t flags = spin_lock_irqsave(&table->lock);
	unsigned next = (unsigned)MAX(fd, 0);

	while (next < table->capacity && !table->slot[next].file)
		next++;
	fd = next < table->capacity ? (int)next : -1;
	spin_unlock_irqrestore(&table->lock, flags);
	return fd;
}
