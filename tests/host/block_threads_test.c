/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs on one disk in memory that fails now and then. Each has sectors of its own, and
 * knows what is in them. The thread sanitizer sees what two of them touch without a lock.
 */
#include "host.h"

#include <block.h>
#include <errno.h>
#include <memory_advanced.h>
#include <string.h>

#include "../../kernel/dev/disk/queue.h"
#include "machine.h"

#define NR_THREADS 4
#define NR_ROUNDS  1500
#define AREA	   24 /* sectors */

static struct block_device *disk;
static unsigned nr_wrong, nr_failed; /* atomic; threads may not use CHECK */

static void
count(unsigned *counter, bool condition)
{
	__atomic_add_fetch(counter, condition, __ATOMIC_RELAXED);
}

static void
work(unsigned cpu, void *arg)
{
	uint8_t model[AREA] = { 0 };
	struct prng prng = { host_seed * 100 + cpu };
	uint8_t *buffer = kmalloc(PAGE_SIZE, GFP_KERNEL);

	(void)arg;
	for (unsigned round = 0; round < NR_ROUNDS; round++) {
		unsigned at = (unsigned)prng_below(&prng, AREA);
		unsigned nr = 1 + (unsigned)prng_below(&prng, MIN(AREA - at, 7u));
		bool write = prng_below(&prng, 2);
		int error;

		memset(buffer, (int)round, nr * SECTOR_SIZE);
		error = write ? block_write(disk, cpu * AREA + at, buffer, nr)
			      : block_read(disk, cpu * AREA + at, buffer, nr);
		count(&nr_failed, error == -EIO);
		count(&nr_wrong, error != 0 && error != -EIO);
		for (unsigned i = 0; i < nr && !error; i++) {
			if (write)
				model[at + i] = (uint8_t)round;
			else
				count(&nr_wrong, buffer[i * SECTOR_SIZE + 100] != model[at + i]);
		}
		if (prng_below(&prng, 50) == 0)
			count(&nr_failed, block_flush(disk) == -EIO);
	}
	kfree(buffer);
}

static void
share(void)
{
	struct block_statistics statistics;
	uint64_t failed = 0, done = 0;

	machine_start(MiB(16));
	nr_wrong = nr_failed = 0;
	disk = block_ram_create(NR_THREADS * AREA, false);
	block_ram_fail(disk, 10, host_seed);
	host_run_threads(NR_THREADS, work, NULL);
	block_get_statistics(disk, &statistics);
	for (unsigned op = 0; op < 3; op++) {
		failed += statistics.nr_failed[op];
		done += statistics.nr_done[op];
	}
	CHECK_EQ(nr_wrong, 0);
	CHECK_EQ(nr_failed, failed);
	CHECK(failed > 0);
	CHECK(done >= NR_THREADS * NR_ROUNDS);
	CHECK_EQ(statistics.nr_pending, 0);
	CHECK_EQ(block_queue_check(disk->queue), 0);
	block_ram_destroy(disk);
}

HOST_SUITE(block_threads, { "share", share });
