/* SPDX-License-Identifier: MIT */
/*
 * Advisory locks on whole files, as flock() has them: held by an open file (so they are shared by
 * dup() and fork()), many shared or one exclusive, gone with the open file.
 *
 * What an inode has locked is two counters. One queue serves all inodes: locks are waited for
 * seldom, and who was woken for another inode looks and sleeps again.
 *
 * Locks on ranges have nothing to do with these: record_lock.c. LOCKING. flock_lock guards it all.
 */
#include "flock.h"

struct flock_state {
	unsigned nr_shared;
	bool exclusive;
};

static spinlock_t flock_lock = SPINLOCK_INIT("flock", RANK_MODULE);
static struct wait_queue flock_waiters = WAIT_QUEUE_INIT(flock_waiters);

/* The state of an inode, made when it is first needed. NULL: no memory. */
static struct flock_state *
get_state(struct inode *inode)
{
	struct flock_state *fresh = NULL, *state;
	irqflags_t flags;

	if (!__atomic_load_n(&inode->flock, __ATOMIC_ACQUIRE))
		fresh = kmalloc_zeroed(sizeof(*fresh), GFP_KERNEL);
	flags = spin_lock_irqsave(&flock_lock);
	if (!inode->flock && fresh) {
		__atomic_store_n(&inode->flock, fresh, __ATOMIC_RELEASE);
		fresh = NULL;
	}
	state = inode->flock;
	spin_unlock_irqrestore(&flock_lock, flags);
	kfree(fresh);
	return state;
}

static void
drop_locked(struct file *file)
{
	struct flock_state *state = file->inode->flock;

	assert_held(&flock_lock);
	if (file->flock == LOCK_SH)
		state->nr_shared--;
	else if (file->flock == LOCK_EX)
		state->exclusive = false;
	file->flock = 0;
}

static bool
may_have_locked(const struct flock_state *state, int kind)
{
	assert_held(&flock_lock);
	return !state->exclusive && (kind == LOCK_SH || state->nr_shared == 0);
}

static int
take(struct file *file, struct flock_state *state, int kind, bool wait)
{
	irqflags_t flags = spin_lock_irqsave(&flock_lock);
	int error = 0;

	/* Going from one kind to the other lets go of the first, as Linux does. */
	drop_locked(file);
	while (!error && !may_have_locked(state, kind))
		error = wait ? wait_on_until(&flock_waiters, &flock_lock, WAIT_FOREVER) : -EAGAIN;
	/* Another thread may have locked the same open file meanwhile. */
	if (!error && file->flock == 0) {
		file->flock = (uint8_t)kind;
		state->nr_shared += kind == LOCK_SH;
		state->exclusive = kind == LOCK_EX;
	}
	spin_unlock_irqrestore(&flock_lock, flags);
	wake_all(&flock_waiters);
	return error;
}

void
flock_release(struct file *file)
{
	irqflags_t flags;

	if (!__atomic_load_n(&file->inode->flock, __ATOMIC_ACQUIRE))
		return;
	flags = spin_lock_irqsave(&flock_lock);
	drop_locked(file);
	spin_unlock_irqrestore(&flock_lock, flags);
	wake_all(&flock_waiters);
}

int
flock_set(struct file *file, int operation)
{
	int kind = operation & ~LOCK_NB;
	struct flock_state *state;

	if (operation & LOCK_MAND)
		return 0; /* mandatory locks, as if they had been granted: what Linux says now */
	if (kind == LOCK_UN) {
		flock_release(file);
		return 0;
	}
	if (kind != LOCK_SH && kind != LOCK_EX)
		return -EINVAL;
	state = get_state(file->inode);
	if (!state)
		return -ENOMEM;
	return take(file, state, kind, !(operation & LOCK_NB));
}

void
flock_destroy(struct inode *inode)
{
	kfree(inode->flock);
}
