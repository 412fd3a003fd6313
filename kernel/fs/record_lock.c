/* SPDX-License-Identifier: MIT */
/*
 * Locks on ranges of files, as POSIX has them: fcntl(), and lockf() on top of it.
 *
 * PROBLEM. Processes that share a file agree on who may use which bytes of it. Many may read a
 * byte, or one may write it. A process can change its mind about any part of what it holds.
 *
 * IDEA. A lock is a range [start, end) of an inode with an owner and a kind. An owner's locks on an
 * inode never overlap, and those of a kind never touch, so setting one cuts and unites:
 *
 *	held      [ r      r      r )              [ r )[ w    w )
 *	set              [ w )                          [ r )
 *	then      [ r   )[ w )[ r  )               [ r      )[ w )
 *
 * Setting needs at most two more records than there were: the new one, and one where another is
 * cut in two. They are had before anything is changed.
 *
 * The OWNER is a table of descriptors, which is what a process's threads share. When any descriptor
 * of the inode is closed in it, all of its locks on that inode go: so it is specified, and so a
 * process that ends leaves none. A child has a table of its own, and no lock; exec keeps them.
 *
 * WAITING. Who must wait says whose lock it is that it waits for. If that one waits, too, and so
 * on, and the way leads back, then nobody would ever go on: EDEADLK.
 *
 * LOCKING. record_lock guards all locks, of all inodes, and the waiters; one queue serves them all,
 * as waiting is rare: who was woken for another lock looks and sleeps again.
 */
#include "record_lock.h"

#include <process.h>

#define TO_THE_END (1ull << 63) /* behind the last byte that a file can have */

struct record {
	struct record *next;
	const struct fd_table *owner;
	int pid; /* of who set it: for F_GETLK */
	int type;
	uint64_t start, end;
};

/* Records to be used, and those that are left over: free them without the lock. */
struct record_stock {
	struct record *first;
};

struct record_waiter {
	struct list_head link;
	const struct fd_table *owner;
	const struct fd_table *for_whom; /* NULL: it is about to look again */
};

static spinlock_t record_lock = SPINLOCK_INIT("record", RANK_MODULE);
static struct wait_queue changed = WAIT_QUEUE_INIT(changed);
static struct list_head waiters = LIST_INIT(waiters); /* (l) record_lock */
static unsigned nr_waiters;			      /* (l) */

/* ---- Records ------------------------------------------------------------------------------- */

static void
put_away(struct record_stock *stock, struct record *record)
{
	record->next = stock->first;
	stock->first = record;
}

static struct record *
take_out(struct record_stock *stock)
{
	struct record *record = stock->first;

	stock->first = record->next;
	return record;
}

static void
stock_free(struct record_stock *stock)
{
	while (stock->first)
		kfree(take_out(stock));
}

/* Giving up all of a file takes none: that must always be possible. */
static int
stock_fill(struct record_stock *stock, const struct record *wanted)
{
	bool all = wanted->type == F_UNLCK && wanted->start == 0 && wanted->end == TO_THE_END;

	stock->first = NULL;
	for (unsigned i = 0; i < 2 && !all; i++) {
		struct record *record = kmalloc(sizeof(*record), GFP_KERNEL);

		if (!record) {
			stock_free(stock);
			return -ENOLCK;
		}
		put_away(stock, record);
	}
	return 0;
}

/* ---- Setting ------------------------------------------------------------------------------- */

static bool
overlap(const struct record *a, const struct record *b)
{
	return a->start < b->end && b->start < a->end;
}

/* The lowest lock of somebody else that forbids the wanted one, or NULL. */
static struct record *
find_conflict_locked(const struct inode *inode, const struct record *wanted)
{
	struct record *record, *found = NULL;

	assert_held(&record_lock);
	for (record = inode->records; record; record = record->next) {
		if (record->owner == wanted->owner || !overlap(record, wanted))
			continue;
		if (record->type != F_WRLCK && wanted->type != F_WRLCK)
			continue;
		if (!found || record->start < found->start)
			found = record;
	}
	return found;
}

/*
 * Make room for the wanted lock in one of the same owner's: cut it, or let the wanted one grow over
 * it if they are of a kind. Returns whether nothing is left of it.
 */
static bool
give_way_locked(struct record *record, struct record *wanted, struct record_stock *stock)
{
	assert_held(&record_lock);
	if (record->type == wanted->type) {
		if (record->end < wanted->start || wanted->end < record->start)
			return false;
		wanted->start = MIN(wanted->start, record->start);
		wanted->end = MAX(wanted->end, record->end);
		return true;
	}
	if (!overlap(record, wanted))
		return false;
	if (record->start < wanted->start && wanted->end < record->end) {
		struct record *rest = take_out(stock);

		*rest = *record;
		rest->start = wanted->end;
		record->end = wanted->start;
		record->next = rest;
	} else if (record->start < wanted->start) {
		record->end = wanted->start;
	} else if (wanted->end < record->end) {
		record->start = wanted->end;
	} else {
		return true;
	}
	return false;
}

static void
set_locked(struct inode *inode, struct record wanted, struct record_stock *stock)
{
	struct record **at = &inode->records, *record;

	assert_held(&record_lock);
	while ((record = *at)) {
		if (record->owner == wanted.owner && give_way_locked(record, &wanted, stock)) {
			*at = record->next;
			put_away(stock, record);
		} else {
			at = &record->next;
		}
	}
	if (wanted.type != F_UNLCK) {
		*at = take_out(stock);
		**at = wanted;
		(*at)->next = NULL;
	}
}

/* ---- Waiting ------------------------------------------------------------------------------- */

/* Whom does an owner wait for? NULL: for nobody. */
static const struct fd_table *
waits_for_locked(const struct fd_table *owner)
{
	struct record_waiter *waiter;

	assert_held(&record_lock);
	list_for_each_entry (waiter, &waiters, link) {
		if (waiter->owner == owner)
			return waiter->for_whom;
	}
	return NULL;
}

/*
 * Of an owner whose threads wait for several others only the first counts, so others may go round
 * in a circle that this one is not part of: the way is given up when it is longer than all waiters.
 */
static bool
would_deadlock_locked(const struct fd_table *owner, const struct fd_table *for_whom)
{
	for (unsigned steps = 0; for_whom && for_whom != owner && steps <= nr_waiters; steps++)
		for_whom = waits_for_locked(for_whom);
	return for_whom == owner;
}

/* The owner's locks have changed: who waits for them will be woken, and looks again. */
static void
forget_waits_locked(const struct fd_table *owner)
{
	struct record_waiter *waiter;

	assert_held(&record_lock);
	list_for_each_entry (waiter, &waiters, link) {
		if (waiter->for_whom == owner)
			waiter->for_whom = NULL;
	}
}

static int
wait_locked(const struct fd_table *owner, const struct fd_table *for_whom)
{
	struct record_waiter me = { .owner = owner, .for_whom = for_whom };
	int error;

	if (would_deadlock_locked(owner, for_whom))
		return -EDEADLK;
	list_add_tail(&me.link, &waiters);
	nr_waiters++;
	error = wait_on_until(&changed, &record_lock, WAIT_FOREVER);
	nr_waiters--;
	list_del(&me.link);
	return error;
}

static int
set(struct inode *inode, const struct record *wanted, bool wait)
{
	struct record_stock stock;
	struct record *conflict;
	irqflags_t flags;
	int error = stock_fill(&stock, wanted);

	if (error)
		return error;
	flags = spin_lock_irqsave(&record_lock);
	while (!error && wanted->type != F_UNLCK &&
	       (conflict = find_conflict_locked(inode, wanted)) != NULL)
		error = wait ? wait_locked(wanted->owner, conflict->owner) : -EAGAIN;
	if (!error) {
		set_locked(inode, *wanted, &stock);
		forget_waits_locked(wanted->owner);
		wake_all(&changed);
	}
	spin_unlock_irqrestore(&record_lock, flags);
	stock_free(&stock);
	return error;
}

void
record_locks_release(struct inode *inode, const struct fd_table *table)
{
	struct record all = { .owner = table, .type = F_UNLCK, .end = TO_THE_END };
	int error = 0;

	if (__atomic_load_n(&inode->records, __ATOMIC_RELAXED))
		error = set(inode, &all, false);
	ASSERT_EQ(error, 0); /* it takes no memory, and nothing stands in its way */
}

/* ---- The calls ----------------------------------------------------------------------------- */

/* Bytes from the beginning of the file, from what the program says. */
static int
read_range(struct file *file, const struct abi_flock *asked, struct record *record)
{
	int64_t start = asked->start, end;

	if (asked->whence == SEEK_CUR) {
		if (__builtin_add_overflow(start, (int64_t)file->position, &start))
			return -EOVERFLOW;
	} else if (asked->whence == SEEK_END) {
		if (__builtin_add_overflow(start, (int64_t)inode_size(file->inode), &start))
			return -EOVERFLOW;
	} else if (asked->whence != SEEK_SET) {
		return -EINVAL;
	}
	if (start < 0)
		return -EINVAL;
	record->start = (uint64_t)start;
	record->end = TO_THE_END;
	if (asked->length == 0)
		return 0;
	if (asked->length > 0) {
		/* The last byte must be one that can be named. */
		if (__builtin_add_overflow(start, asked->length - 1, &end))
			return -EOVERFLOW;
		record->end = (uint64_t)end + 1;
		return 0;
	}
	if (start + asked->length < 0)
		return -EINVAL;
	record->end = record->start;
	record->start = (uint64_t)(start + asked->length);
	return 0;
}

static int
read_record(struct file *file, uintptr_t at, struct abi_flock *asked, struct record *record)
{
	int error = copy_from_user(asked, at, sizeof(*asked));

	*record = (struct record){
		.owner = files_current(),
		.pid = process_current()->pid,
		.type = asked->type,
	};
	return error ? error : read_range(file, asked, record);
}

static int
tell_conflict(struct file *file, const struct record *wanted, struct abi_flock *asked, uintptr_t at)
{
	irqflags_t flags;
	struct record *conflict;

	if (wanted->type != F_RDLCK && wanted->type != F_WRLCK)
		return -EINVAL;
	flags = spin_lock_irqsave(&record_lock);
	conflict = find_conflict_locked(file->inode, wanted);
	if (conflict) {
		asked->type = (int16_t)conflict->type;
		asked->whence = SEEK_SET;
		asked->start = (int64_t)conflict->start;
		asked->length =
		    conflict->end == TO_THE_END ? 0 : (int64_t)(conflict->end - conflict->start);
		asked->pid = conflict->pid;
	} else {
		asked->type = F_UNLCK;
	}
	spin_unlock_irqrestore(&record_lock, flags);
	return copy_to_user(at, asked, sizeof(*asked));
}

/*
 * Another thread may have closed the descriptor while this one waited: nobody would let go of the
 * lock then.
 */
static int
check_still_open(struct file *file, int fd, const struct record *wanted)
{
	struct file *now = fd_current(fd);

	if (now != file)
		record_locks_release(file->inode, wanted->owner);
	if (now)
		file_put(now);
	return now == file ? 0 : -EBADF;
}

int
record_lock_call(struct file *file, int fd, int command, uintptr_t at)
{
	struct abi_flock asked;
	struct record wanted;
	int error = read_record(file, at, &asked, &wanted);

	if (error)
		return error;
	if (command == F_GETLK)
		return tell_conflict(file, &wanted, &asked, at);
	if (wanted.type < F_RDLCK || wanted.type > F_UNLCK)
		return -EINVAL;
	if ((wanted.type == F_RDLCK && !file_readable(file)) ||
	    (wanted.type == F_WRLCK && !file_writable(file)))
		return -EBADF;
	error = set(file->inode, &wanted, command == F_SETLKW);
	if (!error && wanted.type != F_UNLCK)
		error = check_still_open(file, fd, &wanted);
	return error;
}
