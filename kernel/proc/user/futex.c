/* SPDX-License-Identifier: MIT */
/*
 * Futexes: sleeping on a word of memory.
 *
 * A program locks by an atomic instruction on a word and comes here only to sleep, when the lock
 * is taken, and to wake who sleeps. FUTEX_WAIT sleeps if the word still has the value that the
 * program saw. That look and the sleep are one step for wakers: both happen under a lock, and a
 * waker changes the word before it takes that lock. (Franke, Russell and Kirkwood, "Fuss, Futexes
 * and Furwocks", Ottawa Linux Symposium 2002)
 *
 *	waiter                              waker
 *	lock                                *word = new
 *	*word == expected? else -EAGAIN     lock; take matching waiters off the list; unlock
 *	enter the list, sleep, unlock
 *
 * The word may not be in memory at the moment, and reading it may sleep, which the lock forbids.
 * So it is read before, and a count of changes tells whether a waker came in between: then all
 * is done again.
 *
 * A word is known by address space and address; in a shared mapping by what is mapped, so that
 * processes meet there, wherever each has mapped it.
 *
 * So that programs which have nothing to do with each other do not meet at one lock, waiters are
 * spread over buckets, by a hash of what they wait for, each with a lock and a list:
 *
 *	bucket 0   lock   waiter (space 1, 0x5000)  waiter (space 2, 0x7010)
 *	bucket 1   lock
 *	  ...
 *
 * Requeueing moves waiters from one bucket to another while they sleep. Who wakes up finds in which
 * one it is by locking that which it says, and looking again whether it still says so.
 *
 * Locking: a bucket's lock guards its list, and the waiters in it. Two are taken in the order of
 * their addresses; a waiter's bucket changes only under both.
 */
#include <abi/futex.h>
#include <start.h>
#include <time.h>

#include "user.h"

#define ROBUST_LOCKS_MAX 2048 /* robust locks of one thread that are seen to */

struct futex_key {
	const void *what; /* address space, or object that is mapped */
	uint64_t where;	  /* address, or offset */
};

struct futex_bucket {
	spinlock_t lock;
	struct list_head waiters; /* (l) in the order they came */
	uint64_t nr_wakes;	  /* (l) */
} __attribute__((aligned(64)));

struct futex_waiter {
	struct list_head link;	     /* (l) of its bucket */
	struct futex_bucket *bucket; /* (l) and that of the next one; read without */
	struct futex_key key;	     /* (l) */
	uint32_t bits;		     /* (l) of FUTEX_WAKE_BITSET that wake it */
	bool woken;		     /* (l) and off the list */
	struct wait_queue queue;
};

#define BUCKET_BITS 6

static struct futex_bucket buckets[1u << BUCKET_BITS];

static void
futex_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(buckets); i++) {
		spin_init(&buckets[i].lock, "futex", RANK_PROCESS);
		buckets[i].lock.by_address = true;
		list_init(&buckets[i].waiters);
	}
}
START_STEP(futex, futex_init, START_PROCESSES);

/* ---- Keys -------------------------------------------------------------------------------- */

static int
find_key(uintptr_t address, bool private, struct futex_key *key)
{
	struct region_info region;
	uint32_t value;

	if (address % sizeof(uint32_t) || address >= USER_END)
		return address >= USER_END ? -EFAULT : -EINVAL;
	*key = (struct futex_key){ user_current()->space, address };
	if (private)
		return 0;
	if (!space_region_at(user_current()->space, address, &region) ||
	    read_user_u32(&value, address))
		return -EFAULT;
	if (region.flags & MAP_SHARED && region.object)
		*key = (struct futex_key){ region.object, region.offset + address - region.start };
	return 0;
}

static bool
same_key(const struct futex_key *a, const struct futex_key *b)
{
	return a->what == b->what && a->where == b->where;
}

/* Words lie at multiples of 4, objects at larger ones. (Knuth vol. 3, 6.4: multiplicative) */
static struct futex_bucket *
bucket_of(const struct futex_key *key)
{
	uint64_t mixed = ((uint64_t)(uintptr_t)key->what >> 6) + (key->where >> 2);

	return &buckets[mixed * 0x9e3779b97f4a7c15 >> (64 - BUCKET_BITS)];
}

/* ---- Waiting ----------------------------------------------------------------------------- */

static uint64_t
read_wakes(struct futex_bucket *bucket)
{
	irqflags_t flags = spin_lock_irqsave(&bucket->lock);
	uint64_t wakes = bucket->nr_wakes;

	spin_unlock_irqrestore(&bucket->lock, flags);
	return wakes;
}

/* Returns with the lock held, and the word known to be expected; or an error, and it is not. */
static int
lock_if_expected(struct futex_bucket *bucket, uintptr_t address, uint32_t expected,
		 irqflags_t *flags)
{
	for (;;) {
		uint64_t wakes = read_wakes(bucket);
		uint32_t value;

		if (read_user_u32(&value, address))
			return -EFAULT;
		if (value != expected)
			return -EAGAIN;
		*flags = spin_lock_irqsave(&bucket->lock);
		if (wakes == bucket->nr_wakes)
			return 0;
		spin_unlock_irqrestore(&bucket->lock, *flags);
	}
}

/* The lock of a bucket is held that the waiter was in: hold that of the one that it is in now. */
static void
follow(const struct futex_waiter *me, struct futex_bucket *bucket)
{
	struct futex_bucket *now;

	while ((now = __atomic_load_n(&me->bucket, __ATOMIC_RELAXED)) != bucket) {
		spin_unlock(&bucket->lock);
		bucket = now;
		spin_lock(&bucket->lock);
	}
}

/* Enter the list and sleep, with the bucket's lock held, which is released. */
static int
sleep_locked(struct futex_waiter *me, uint64_t until, irqflags_t flags)
{
	int error = 0;

	assert_held(&me->bucket->lock);
	wait_queue_init(&me->queue);
	list_add_tail(&me->link, &me->bucket->waiters);
	while (!me->woken && !error) {
		struct futex_bucket *bucket = me->bucket;

		error = wait_on_until(&me->queue, &bucket->lock, until);
		follow(me, bucket);
	}
	if (!me->woken)
		list_del(&me->link);
	else
		error = 0;
	spin_unlock_irqrestore(&me->bucket->lock, flags);
	return error;
}

static int64_t
futex_wait(uintptr_t address, bool private, uint32_t expected, uint64_t until, uint32_t bits)
{
	struct futex_waiter me = { .bits = bits };
	irqflags_t flags;
	int error;

	if (!bits)
		return -EINVAL;
	error = find_key(address, private, &me.key);
	if (error)
		return error;
	me.bucket = bucket_of(&me.key);
	error = lock_if_expected(me.bucket, address, expected, &flags);
	if (!error)
		error = sleep_locked(&me, until, flags);
	return error == -ERESTARTSYS && until != WAIT_FOREVER ? call_again_until(until) : error;
}

/* ---- Waking ------------------------------------------------------------------------------ */

static void
wake_locked(struct futex_waiter *waiter)
{
	assert_held(&waiter->bucket->lock);
	list_del(&waiter->link);
	waiter->woken = true;
	wake_all(&waiter->queue); /* the last use: it may return once the lock is free */
}

/* Let it wait for something else, in another bucket or in the same. */
static void
move_locked(struct futex_waiter *waiter, const struct futex_key *key, struct futex_bucket *bucket)
{
	assert_held(&waiter->bucket->lock);
	assert_held(&bucket->lock);
	waiter->key = *key;
	if (bucket == waiter->bucket)
		return;
	list_del(&waiter->link);
	list_add_tail(&waiter->link, &bucket->waiters);
	__atomic_store_n(&waiter->bucket, bucket, __ATOMIC_RELAXED);
}

/* Both locks, or the one if they are one. */
static irqflags_t
lock_both(struct futex_bucket *a, struct futex_bucket *b)
{
	struct futex_bucket *lower = a < b ? a : b, *upper = a < b ? b : a;
	irqflags_t flags = spin_lock_irqsave(&lower->lock);

	if (upper != lower)
		spin_lock(&upper->lock);
	return flags;
}

static void
unlock_both(struct futex_bucket *a, struct futex_bucket *b, irqflags_t flags)
{
	if (a != b)
		spin_unlock(&b->lock);
	spin_unlock_irqrestore(&a->lock, flags);
}

/* Wake up to nr waiters of from, then have up to nr_move of the others wait for to instead. */
static int64_t
wake_and_move(const struct futex_key *from, uint32_t bits, uint64_t nr, const struct futex_key *to,
	      uint64_t nr_move)
{
	struct futex_bucket *bucket = bucket_of(from), *target = bucket_of(to);
	struct futex_waiter *waiter, *next;
	irqflags_t flags = lock_both(bucket, target);
	uint64_t woken = 0, moved = 0;

	bucket->nr_wakes++;
	list_for_each_entry_safe (waiter, next, &bucket->waiters, link) {
		if (!same_key(&waiter->key, from) || !(waiter->bits & bits))
			continue;
		if (woken < nr) {
			wake_locked(waiter);
			woken++;
		} else if (moved < nr_move) {
			move_locked(waiter, to, target);
			moved++;
		} else {
			break;
		}
	}
	unlock_both(bucket, target, flags);
	return (int64_t)(woken + moved);
}

static int64_t
futex_wake(uintptr_t address, bool private, uint64_t nr, uint32_t bits)
{
	struct futex_key key;
	int error = bits ? find_key(address, private, &key) : -EINVAL;

	return error ? error : wake_and_move(&key, bits, nr, &key, 0);
}

/* The word of a thread that ends may be waited for in either way. */
void
futex_wake_address(uintptr_t address)
{
	(void)futex_wake(address, true, UINT64_MAX, FUTEX_BITSET_ALL);
	(void)futex_wake(address, false, UINT64_MAX, FUTEX_BITSET_ALL);
}

static int64_t
futex_requeue(const uint64_t *arg, bool private, bool compare)
{
	struct futex_key from, to;
	uint32_t value;
	int error = find_key(arg[0], private, &from);

	if (!error)
		error = find_key(arg[4], private, &to);
	if (error)
		return error;
	if ((int)arg[2] < 0 || (int)arg[3] < 0)
		return -EINVAL;
	if (compare) {
		if (read_user_u32(&value, arg[0]))
			return -EFAULT;
		if (value != (uint32_t)arg[5])
			return -EAGAIN;
	}
	return wake_and_move(&from, FUTEX_BITSET_ALL, (uint32_t)arg[2], &to, (uint32_t)arg[3]);
}

/* ---- The call ---------------------------------------------------------------------------- */

/* FUTEX_WAIT waits for a while, FUTEX_WAIT_BITSET until a time of one of two clocks. */
static int
read_limit(const uint64_t *arg, uint64_t *until)
{
	unsigned operation = arg[1] & FUTEX_OPERATION;

	*until = WAIT_FOREVER;
	if (!arg[3])
		return 0;
	if (operation == FUTEX_WAIT)
		return read_timeout(arg[3], until);
	user_current()->wait_until = 0; /* such a time needs no keeping */
	return read_deadline(arg[3], arg[1] & FUTEX_CLOCK_REALTIME ? 0 : 1, until);
}

static int64_t
sys_futex(const uint64_t *arg)
{
	bool private = arg[1] & FUTEX_PRIVATE;
	uint64_t until;
	int error;

	switch (arg[1] & FUTEX_OPERATION) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		error = read_limit(arg, &until);
		if (error)
			return error;
		return futex_wait(arg[0], private, (uint32_t)arg[2], until,
				  (arg[1] & FUTEX_OPERATION) == FUTEX_WAIT ? FUTEX_BITSET_ALL
									   : (uint32_t)arg[5]);
	case FUTEX_WAKE:
		return futex_wake(arg[0], private, (uint32_t)arg[2], FUTEX_BITSET_ALL);
	case FUTEX_WAKE_BITSET:
		return futex_wake(arg[0], private, (uint32_t)arg[2], (uint32_t)arg[5]);
	case FUTEX_REQUEUE:
		return futex_requeue(arg, private, false);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(arg, private, true);
	default:
		return -ENOSYS;
	}
}
SYSCALL(202, futex, 6, sys_futex);

/* ---- Robust locks ------------------------------------------------------------------------ */

/*
 * A thread may die with locks. The C library keeps a list of those that are to be marked then:
 * each entry lies at a fixed distance from the word of its lock, which holds the owner's id.
 */
struct robust_list_head {
	uintptr_t next;
	int64_t offset;
	uintptr_t pending; /* the one that was being taken or given back */
};

static void
mark_owner_died(uintptr_t address)
{
	uint32_t value, tid = (uint32_t)thread_tid(user_current());

	if (address % sizeof(value) || read_user_u32(&value, address))
		return;
	while ((value & FUTEX_TID_MASK) == tid) {
		uint32_t seen = value;

		if (compare_exchange_user_u32(address, &seen,
					      (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED))
			return;
		if (seen == value) {
			(void)futex_wake(address, false, 1, FUTEX_BITSET_ALL);
			(void)futex_wake(address, true, 1, FUTEX_BITSET_ALL);
			return;
		}
		value = seen;
	}
}

void
futex_exit(void)
{
	struct user_thread *me = user_current();
	uintptr_t entry, list = me->robust_list;
	struct robust_list_head head;

	if (!list || copy_from_user(&head, list, sizeof(head)))
		return;
	entry = head.next;
	for (unsigned i = 0; i < ROBUST_LOCKS_MAX && (entry & ~1ul) != list; i++) {
		uintptr_t next;

		if (copy_from_user(&next, entry & ~1ul, sizeof(next)))
			break;
		if (entry != head.pending)
			mark_owner_died((entry & ~1ul) + (uint64_t)head.offset);
		entry = next;
	}
	if (head.pending)
		mark_owner_died((head.pending & ~1ul) + (uint64_t)head.offset);
}

static int64_t
sys_set_robust_list(const uint64_t *arg)
{
	if (arg[1] != sizeof(struct robust_list_head))
		return -EINVAL;
	user_current()->robust_list = arg[0];
	return 0;
}
SYSCALL(273, set_robust_list, 2, sys_set_robust_list);

static int64_t
sys_get_robust_list(const uint64_t *arg)
{
	uint64_t list = 0, size = sizeof(struct robust_list_head);
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	const struct user_thread *user = user_thread_or_me_locked((int)arg[0]);
	bool may = user && may_control_locked(user->process);

	if (may)
		list = user->robust_list;
	spin_unlock_irqrestore(&process_lock, flags);
	if (!may)
		return user ? -EPERM : -ESRCH;
	if (copy_to_user(arg[2], &size, sizeof(size)))
		return -EFAULT;
	return copy_to_user(arg[1], &list, sizeof(list));
}
SYSCALL(274, get_robust_list, 3, sys_get_robust_list);
