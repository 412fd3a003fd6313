/* SPDX-License-Identifier: MIT */
/*
 * The thread that looks after disks: it sees commands that take too long, and asks disks that have
 * no interrupt whether they are ready.
 *
 * It wakes up ten times a second while there are disks, however little they do: that costs nothing
 * that can be measured, and no command has to set a timer.
 */
#include <printk.h>
#include <time.h>

#include "queue.h"

#define PERIOD_NS (100 * NSEC_PER_MSEC)
/* Of a disk that has nothing to do, but would not tell of what it has done. */
#define POLL_NS (NSEC_PER_MSEC / 2)

static struct block_queue *watched; /* the first, each leads to the next; atomic */

/* Look at all queues once. Returns how long there is nothing to do. */
static uint64_t
look_at_all(void)
{
	struct block_queue *queue = __atomic_load_n(&watched, __ATOMIC_ACQUIRE);
	uint64_t pause = PERIOD_NS;

	for (; queue; queue = queue->watched) {
		bool running = block_queue_watch(queue);

		if (queue->polled)
			pause = running ? 0 : MIN(pause, POLL_NS);
	}
	return pause;
}

static void
watch_main(void *arg)
{
	(void)arg;
	for (;;) {
		uint64_t pause = look_at_all();

		if (pause > 0) {
			thread_sleep_ns(pause);
		} else {
			arch_cpu_relax();
			thread_yield();
		}
	}
}

void
block_watch(struct block_queue *queue)
{
	bool first = !watched;

	queue->watched = watched;
	__atomic_store_n(&watched, queue, __ATOMIC_RELEASE);
	if (first && !thread_create("disks", watch_main, NULL, CPU_ANY))
		kprintf("disks: no memory for the thread that sees when they do not answer\n");
}
