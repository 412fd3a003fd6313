/* SPDX-License-Identifier: MIT */
/*
 * Fair spin locks.
 *
 * A ticket lock: each CPU draws a ticket and waits until it is served, so CPUs get
 * the lock in the order they came (Reed and Kanodia 1979; Mellor-Crummey and Scott
 * 1991). Interrupts are off while any spin lock is held, hence a holder is never
 * preempted and a lock may be shared with interrupt handlers.
 *
 * Deadlock is excluded by rank: a CPU only takes a lock whose rank is greater than
 * that of every lock it holds. Debug builds check the rank, recursion, release by
 * the holder and interrupts off; the panic names both locks.
 */
#ifndef IKOS_SPINLOCK_H
#define IKOS_SPINLOCK_H

#include <arch/cpu.h>
#include <panic.h>
#include <types.h>

/* The global lock order, outermost first. */
enum lock_rank {
	RANK_TEST,    /* locks of tests, around anything */
	RANK_MODULE,  /* a subsystem's own bookkeeping */
	RANK_OBJECT,  /* memory_object: its pages and regions */
	RANK_DIRTY,   /* the list of page caches that differ from their disks */
	RANK_CACHES,  /* the list of all kmem_caches */
	RANK_SLAB,    /* kmem_cache: slabs with free objects */
	RANK_ZONE,    /* struct zone: page blocks, marks */
	RANK_BUDDY,   /* struct buddy: free blocks */
	RANK_DEVICE,  /* drivers' input queues */
	RANK_PROCESS, /* processes and their signals */
	RANK_POLL,    /* who waits for any of several files: also for signals */
	RANK_SCHED,   /* threads, run queue, wait queues */
	RANK_CONSOLE, /* output: may be taken under any other */
};

typedef struct spinlock {
	uint16_t serving; /* the ticket that holds the lock */
	uint16_t next;	  /* the ticket that the next CPU draws */
	uint16_t holder;  /* debug: CPU + 1 of the holder, 0 when free */
	uint8_t rank;	  /* enum lock_rank */
	bool by_address;  /* one of an array: several are taken in the order of their addresses */
	const char *name;
} spinlock_t;

#define SPINLOCK_INIT(lock_name, lock_rank)                                                        \
	{                                                                                          \
		.rank = (lock_rank), .name = (lock_name)                                           \
	}

static inline void
spin_init(spinlock_t *lock, const char *name, enum lock_rank rank)
{
	*lock = (spinlock_t)SPINLOCK_INIT(name, rank);
}

/* Debug builds: kernel/lib/lockdep.c. */
void spin_check_acquire(spinlock_t *lock); /* before waiting: rank, recursion, interrupts off */
void spin_note_acquired(spinlock_t *lock);
void spin_check_release(spinlock_t *lock);

/* Is the lock held by this CPU? Only debug builds know. */
bool spin_held(const spinlock_t *lock);

#ifdef IKOS_DEBUG
#define assert_held(lock) ASSERT(spin_held(lock))
#else
#define assert_held(lock)	 ((void)(lock))
#define spin_check_acquire(lock) ((void)(lock))
#define spin_note_acquired(lock) ((void)(lock))
#define spin_check_release(lock) ((void)(lock))
#endif

/* Take the lock; interrupts are off already. */
static inline void
spin_lock(spinlock_t *lock)
{
	uint16_t ticket;

	spin_check_acquire(lock);
	ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
	while (unlikely(__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket))
		arch_cpu_relax();
	spin_note_acquired(lock);
}

/* Serve the next ticket. Only the holder writes serving, so no atomic add is needed. */
static inline void
spin_unlock(spinlock_t *lock)
{
	spin_check_release(lock);
	__atomic_store_n(&lock->serving, (uint16_t)(lock->serving + 1), __ATOMIC_RELEASE);
}

/* Turn interrupts off and take the lock. Returns what spin_unlock_irqrestore() wants back. */
static inline irqflags_t
spin_lock_irqsave(spinlock_t *lock)
{
	irqflags_t flags = arch_irq_save();

	spin_lock(lock);
	return flags;
}

static inline void
spin_unlock_irqrestore(spinlock_t *lock, irqflags_t flags)
{
	spin_unlock(lock);
	arch_irq_restore(flags);
}

#endif
