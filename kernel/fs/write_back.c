/* SPDX-License-Identifier: MIT */
/*
 * The thread that writes back what programs have written to files on disks and nobody asks for.
 *
 * It wakes by time, and writes what is older than fs.dirty_expire, first bytes, then what file
 * systems keep about them; and by amount, when the memory manager says that much of memory is
 * dirty. So a machine that dies loses no more than the last few seconds, and nothing that a
 * program has made sure of by fsync().
 *
 * LOCKING. The thread's lock guards whether it is wanted; nothing is held while it works.
 */
#include <cmdline.h>
#include <page_cache.h>
#include <printk.h>
#include <time.h>

#include "mount.h"

static uint64_t interval_ms = 1000;
TUNABLE(interval_ms, "fs.write_back", 10, 3600000, "milliseconds between two rounds of write-back");
static uint64_t expire_ms = 5000;
TUNABLE(expire_ms, "fs.dirty_expire", 0, 3600000,
	"milliseconds after which what was written to a file goes to its disk");

static struct {
	spinlock_t lock;
	struct wait_queue queue;
	bool wanted; /* (l) */
} work = { .lock = SPINLOCK_INIT("write-back", RANK_MODULE), .queue = WAIT_QUEUE_INIT(work.queue) };

static void
want(void)
{
	irqflags_t irq = spin_lock_irqsave(&work.lock);

	work.wanted = true;
	wake_one(&work.queue);
	spin_unlock_irqrestore(&work.lock, irq);
}

/* Sleep until the next round. Returns whether somebody could not wait for it. */
static bool
wait_for_round(void)
{
	uint64_t until = time_ns() + interval_ms * NSEC_PER_MSEC;
	irqflags_t irq = spin_lock_irqsave(&work.lock);
	bool wanted;

	while (!work.wanted && wait_on_until(&work.queue, &work.lock, until) == 0)
		;
	wanted = work.wanted;
	work.wanted = false;
	spin_unlock_irqrestore(&work.lock, irq);
	return wanted;
}

static void
write_back(void *arg)
{
	uint64_t rounds = expire_ms / interval_ms, since = 0;

	(void)arg;
	for (;;) {
		bool wanted = wait_for_round();

		(void)mount_write_back(wanted ? 0 : rounds);
		if (!wanted && ++since <= rounds)
			continue;
		(void)mount_sync_all();
		since = 0;
	}
}

void
write_back_init(void)
{
	if (!thread_create("writeback", write_back, NULL, CPU_ANY))
		panic("fs: no memory for the thread that writes back");
	write_back_wanted = want;
}
