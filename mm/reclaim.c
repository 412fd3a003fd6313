/* SPDX-License-Identifier: MIT */
/*
 * The table of reclaimers: see reclaim.h for the idea.
 *
 * Reclaiming must not start reclaiming: a thread that frees memory may allocate a little, and
 * if that request fell short and asked again, it would never end. So one thread at a time
 * reclaims. Others wait for their turn, but not for long: it might be the same thread.
 *
 * LOCKING. reclaim_lock guards the table and who is at work; it is not held while a reclaimer
 * runs. Reclaimers are never removed, so the list may be followed without it.
 */
#include <reclaim.h>
#include <spinlock.h>
#include <thread.h>

#define NAP_NS	 (100 * NSEC_PER_USEC)
#define MAX_NAPS 100

static spinlock_t reclaim_lock = SPINLOCK_INIT("reclaim", RANK_MODULE);
static struct list_head reclaimers = LIST_INIT(reclaimers); /* (r) by rising rank */
static bool busy;					    /* (r) */

/* Set by the linker. Weak: there may be none. */
extern struct reclaimer *const __start_reclaimers[] __attribute__((weak));
extern struct reclaimer *const __stop_reclaimers[] __attribute__((weak));

void
reclaim_register(struct reclaimer *reclaimer)
{
	irqflags_t flags = spin_lock_irqsave(&reclaim_lock);
	struct reclaimer *next;

	list_for_each_entry (next, &reclaimers, link) {
		if (next->rank > reclaimer->rank)
			break;
	}
	list_add_tail(&reclaimer->link, &next->link);
	spin_unlock_irqrestore(&reclaim_lock, flags);
}

void
reclaim_init(void)
{
	list_init(&reclaimers);
	for (struct reclaimer *const *entry = __start_reclaimers; entry < __stop_reclaimers;
	     entry++)
		reclaim_register(*entry);
}

/* Returns false if somebody else reclaims already. */
static bool
set_busy(bool value)
{
	irqflags_t flags = spin_lock_irqsave(&reclaim_lock);
	bool changed = busy != value;

	busy = value;
	spin_unlock_irqrestore(&reclaim_lock, flags);
	return changed;
}

size_t
reclaim_frames(size_t nr_frames, gfp_t gfp)
{
	struct reclaimer *reclaimer;
	size_t freed = 0;

	for (unsigned naps = 0; !set_busy(true); naps++) {
		if (naps == MAX_NAPS)
			return 0;
		thread_sleep_ns(NAP_NS);
	}
	list_for_each_entry (reclaimer, &reclaimers, link) {
		size_t nr = reclaimer->reclaim(nr_frames - freed, gfp);

		__atomic_add_fetch(&reclaimer->nr_reclaimed, nr, __ATOMIC_RELAXED);
		freed += nr;
		if (freed >= nr_frames)
			break;
	}
	set_busy(false);
	return freed;
}
