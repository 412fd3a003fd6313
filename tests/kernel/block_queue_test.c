/* SPDX-License-Identifier: MIT */
/*
 * The queue of requests, in front of a disk that ends a command when the test says so; and the
 * disk in memory.
 */
#include <block.h>
#include <errno.h>
#include <ktest.h>
#include <memory_advanced.h>
#include <string.h>
#include <thread.h>
#include <time.h>

#include "../../kernel/dev/disk/queue.h"

/* ---- A disk that waits ------------------------------------------------------------------- */

#define MAX_LOG 256

struct told {
	enum block_op op;
	uint64_t first;
	unsigned nr_sectors;
};

static struct slow_disk {
	struct block_queue queue;
	struct block_device device;
	struct block_command *running[QUEUE_MAX_DEPTH]; /* (q) in the order of their beginning */
	unsigned nr_running;				/* (q) */
	struct told log[MAX_LOG];			/* (q) */
	unsigned nr_told;				/* (q) */
	uint64_t bad_sector; /* (q) commands that move it fail; UINT64_MAX: none */
	bool ready;	     /* (q) has ended the first of its commands */
	bool comes_back;     /* after a reset */
	unsigned nr_resets;
} slow;

static void
slow_start_locked(struct block_command *command)
{
	if (slow.nr_told < MAX_LOG)
		slow.log[slow.nr_told++] =
		    (struct told){ command->op, command->first, command->nr_sectors };
	slow.running[slow.nr_running++] = command;
}

static void
slow_poll_locked(struct block_queue *queue)
{
	struct block_command *command = slow.running[0];

	(void)queue;
	if (!slow.ready || slow.nr_running == 0)
		return;
	slow.ready = false;
	slow.nr_running--;
	memmove(slow.running, slow.running + 1, slow.nr_running * sizeof(command));
	if (slow.bad_sector - command->first < command->nr_sectors)
		block_command_done_locked(command, -EIO);
	else
		block_command_done_locked(command, 0);
}

static bool
slow_reset(struct block_queue *queue)
{
	(void)queue;
	slow.nr_resets++;
	slow.nr_running = 0;
	return slow.comes_back;
}

static const struct block_driver slow_driver = { .start_locked = slow_start_locked,
						 .poll_locked = slow_poll_locked,
						 .reset = slow_reset };

static void
make_slow_disk(unsigned depth)
{
	memset(&slow, 0, sizeof(slow));
	block_queue_init(&slow.queue, "slow", &slow_driver, &slow, depth, BLOCK_MAX_SECTORS);
	slow.device = (struct block_device){ .name = "slow",
					     .nr_sectors = 1 << 20,
					     .block_size = SECTOR_SIZE,
					     .queue = &slow.queue };
	slow.bad_sector = UINT64_MAX;
	slow.comes_back = true;
}

/* The disk ends the oldest of its commands. */
static void
end_one(void)
{
	irqflags_t irq = spin_lock_irqsave(&slow.queue.lock);

	slow.ready = true;
	spin_unlock_irqrestore(&slow.queue.lock, irq);
	block_queue_interrupt(&slow.queue);
}

static void
end_all(void)
{
	while (__atomic_load_n(&slow.queue.nr_running, __ATOMIC_RELAXED) > 0)
		end_one();
}

/* ---- Requests ---------------------------------------------------------------------------- */

struct wish {
	struct block_request request;
	struct block_segment segment;
	unsigned nr_done; /* atomic */
};

static struct page *frame; /* that all of them move to and from */
static unsigned nr_done;   /* atomic: of all wishes */

static void
note_done(struct block_request *request)
{
	struct wish *wish = request->private;

	__atomic_add_fetch(&wish->nr_done, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&nr_done, 1, __ATOMIC_RELEASE);
}

static void
begin(struct wish *wish, struct block_device *device, enum block_op op, uint64_t sector,
      unsigned nr_sectors)
{
	*wish = (struct wish){
		.request = { .op = op,
			     .device = device,
			     .sector = sector,
			     .segments = &wish->segment,
			     .nr_segments = op != BLOCK_FLUSH,
			     .done = note_done,
			     .private = wish },
		.segment = { .page = frame, .size = nr_sectors * SECTOR_SIZE },
	};
	block_submit(&wish->request);
}

static void
read_slowly(struct wish *wish, uint64_t sector, unsigned nr_sectors)
{
	begin(wish, &slow.device, BLOCK_READ, sector, nr_sectors);
}

static void
need_frame(struct ktest *t)
{
	frame = alloc_pages(GFP_KERNEL, 0);
	assert_true(t, frame != NULL);
	nr_done = 0;
}

static void
drop_frame(void)
{
	__free_pages(frame, 0);
}

static void
expect_told(struct ktest *t, unsigned i, uint64_t first, unsigned nr_sectors)
{
	if (i >= slow.nr_told || slow.log[i].first != first || slow.log[i].nr_sectors != nr_sectors)
		ktest_fail(t, __FILE__, __LINE__,
			   "command %u: expected %u sectors at %lu, got %u "
			   "at %lu (of %u)",
			   i, nr_sectors, (unsigned long)first, slow.log[i].nr_sectors,
			   (unsigned long)slow.log[i].first, slow.nr_told);
}

/* ---- Merging and order ------------------------------------------------------------------- */

KTEST(block, merges_what_adjoins)
{
	struct wish wishes[6];

	need_frame(t);
	make_slow_disk(1);
	read_slowly(&wishes[0], 8, 8); /* begins at once; the others gather */
	read_slowly(&wishes[1], 116, 8);
	read_slowly(&wishes[2], 100, 8);
	read_slowly(&wishes[3], 108, 8);
	begin(&wishes[4], &slow.device, BLOCK_WRITE, 124, 8); /* adjoins, but is a write */
	read_slowly(&wishes[5], 50, 1);
	expect_eq(t, block_queue_check(&slow.queue), 0);
	end_all();
	expect_eq(t, nr_done, 6);
	expect_eq(t, slow.nr_told, 4);
	expect_told(t, 0, 8, 8);
	expect_told(t, 1, 50, 1);
	expect_told(t, 2, 100, 24);
	expect_told(t, 3, 124, 8);
	expect_eq(t, slow.device.statistics.nr_merged[BLOCK_READ], 2);
	drop_frame();
}

KTEST(block, merges_up_to_a_limit)
{
	static struct wish wishes[QUEUE_MAX_WAITING];
	unsigned total = 0;

	need_frame(t);
	make_slow_disk(1);
	for (unsigned i = 0; i < ARRAY_SIZE(wishes); i++)
		read_slowly(&wishes[i], 1000 + 8 * i, 8);
	end_all();
	for (unsigned i = 0; i < slow.nr_told; i++) {
		expect_le(t, slow.log[i].nr_sectors, BLOCK_MAX_SECTORS);
		total += slow.log[i].nr_sectors;
	}
	expect_eq(t, total, 8 * ARRAY_SIZE(wishes));
	expect_le(t, slow.nr_told, 1 + 8 * ARRAY_SIZE(wishes) / BLOCK_MAX_SECTORS + 1);
	drop_frame();
}

/* Each sweep rises, and what arrives during one is not in it. */
KTEST(block, sweeps)
{
	static struct wish wishes[60];
	uint64_t last = 0;

	need_frame(t);
	make_slow_disk(1);
	read_slowly(&wishes[0], 0, 1);
	for (unsigned i = 1; i < 30; i++)
		read_slowly(&wishes[i], 100 + 10 * prng_below(&t->prng, 1000), 1);
	end_one(); /* the sweep of these begins */
	for (unsigned i = 30; i < 60; i++)
		read_slowly(&wishes[i], 20000 - 10 * prng_below(&t->prng, 1000), 1);
	end_all();
	assert_eq(t, slow.nr_told, 60);
	for (unsigned i = 1; i < 60; i++) {
		if (i == 30)
			last = 0;
		expect_le(t, last, slow.log[i].first);
		last = slow.log[i].first;
	}
	expect_eq(t, nr_done, 60);
	drop_frame();
}

/* However many come, a request is overtaken by no more than there is room for. */
KTEST(block, nobody_starves)
{
	static struct wish crowd[QUEUE_MAX_WAITING];
	struct wish last;
	unsigned turns = 0;

	need_frame(t);
	make_slow_disk(1);
	read_slowly(&crowd[0], 0, 1);
	read_slowly(&last, 1000000, 1);
	for (unsigned i = 1; last.nr_done == 0 && turns < 2 * QUEUE_MAX_WAITING; turns++) {
		read_slowly(&crowd[i % ARRAY_SIZE(crowd)], 10 * i, 1);
		i++;
		end_one();
	}
	expect_lt(t, turns, QUEUE_MAX_WAITING + 2);
	end_all();
	drop_frame();
}

KTEST(block, many_wait_for_one_flush)
{
	struct wish wishes[5], write;

	need_frame(t);
	make_slow_disk(1);
	begin(&write, &slow.device, BLOCK_WRITE, 5, 1);
	for (unsigned i = 0; i < 5; i++)
		begin(&wishes[i], &slow.device, BLOCK_FLUSH, 0, 0);
	end_one();
	end_one();
	expect_eq(t, slow.nr_told, 2);
	expect_eq(t, nr_done, 6);
	expect_eq(t, slow.log[1].op, BLOCK_FLUSH);
	drop_frame();
}

KTEST(block, depth)
{
	static struct wish wishes[10];

	need_frame(t);
	make_slow_disk(3);
	for (unsigned i = 0; i < 10; i++)
		read_slowly(&wishes[i], 100 * i, 1);
	expect_eq(t, slow.queue.nr_running, 3);
	expect_eq(t, block_queue_check(&slow.queue), 0);
	end_one();
	expect_eq(t, slow.queue.nr_running, 3);
	end_all();
	expect_eq(t, nr_done, 10);
	drop_frame();
}

/* ---- Room -------------------------------------------------------------------------------- */

#define NR_PATIENT 3
#define NR_EACH	   200

static void
submit_many(void *arg)
{
	struct wish *wishes = arg;

	for (unsigned i = 0; i < NR_EACH; i++)
		read_slowly(&wishes[i], prng_below(&(struct prng){ i }, 10000), 1);
}

KTEST(block, room, .budget_ms = 5000)
{
	static struct wish wishes[NR_PATIENT][NR_EACH];
	struct thread *threads[NR_PATIENT];
	uint64_t until = time_ns() + NSEC_PER_SEC;

	need_frame(t);
	make_slow_disk(2);
	for (unsigned i = 0; i < NR_PATIENT; i++) {
		threads[i] = thread_create("patient", submit_many, wishes[i], CPU_ANY);
		assert_true(t, threads[i] != NULL);
	}
	while (__atomic_load_n(&slow.queue.nr_wanting, __ATOMIC_RELAXED) < NR_PATIENT) {
		assert_true(t, time_ns() < until);
		thread_sleep_ns(NSEC_PER_MSEC);
	}
	expect_eq(t, slow.queue.nr_waiting, QUEUE_MAX_WAITING);
	expect_eq(t, block_queue_check(&slow.queue), 0);
	while (__atomic_load_n(&nr_done, __ATOMIC_ACQUIRE) < NR_PATIENT * NR_EACH) {
		end_one();
		expect_le(t, slow.queue.nr_waiting, QUEUE_MAX_WAITING);
		thread_yield();
	}
	for (unsigned i = 0; i < NR_PATIENT; i++)
		thread_join(threads[i]);
	expect_eq(t, block_queue_check(&slow.queue), 0);
	drop_frame();
}

/* ---- Errors ------------------------------------------------------------------------------ */

/* Four requests in one command; the sector that cannot be read is in the third. */
KTEST(block, an_error_is_of_one_request)
{
	struct wish wishes[5];

	need_frame(t);
	make_slow_disk(1);
	slow.bad_sector = 119;
	read_slowly(&wishes[4], 8, 1);
	for (unsigned i = 0; i < 4; i++)
		read_slowly(&wishes[i], 100 + 8 * i, 8);
	end_all();
	expect_eq(t, nr_done, 5);
	for (unsigned i = 0; i < 5; i++)
		expect_eq(t, wishes[i].request.error, i == 2 ? -EIO : 0);
	expect_eq(t, slow.nr_told, 6); /* together, then each alone */
	expect_eq(t, slow.device.statistics.nr_failed[BLOCK_READ], 1);
	expect_eq(t, slow.device.statistics.nr_done[BLOCK_READ], 5);
	expect_eq(t, slow.device.statistics.nr_sectors[BLOCK_READ], 1 + 24);
	drop_frame();
}

/* Two commands run, one of them has had its time. */
static void
let_one_be_late(struct wish *wishes)
{
	irqflags_t irq;

	for (unsigned i = 0; i < 3; i++)
		read_slowly(&wishes[i], 100 * i, 1);
	irq = spin_lock_irqsave(&slow.queue.lock);
	slow.running[0]->deadline = 0;
	spin_unlock_irqrestore(&slow.queue.lock, irq);
}

KTEST(block, too_late)
{
	struct wish wishes[3];

	need_frame(t);
	make_slow_disk(2);
	let_one_be_late(wishes);
	expect_true(t, block_queue_watch(&slow.queue));
	expect_eq(t, slow.nr_resets, 1);
	expect_eq(t, wishes[0].nr_done, 1);
	expect_eq(t, wishes[0].request.error, -EIO);
	expect_eq(t, wishes[1].nr_done + wishes[2].nr_done, 0);
	end_all(); /* what had been in time was begun anew */
	expect_eq(t, nr_done, 3);
	expect_eq(t, wishes[1].request.error | wishes[2].request.error, 0);
	expect_eq(t, block_queue_check(&slow.queue), 0);
	drop_frame();
}

KTEST(block, a_lost_interrupt_is_no_error)
{
	struct wish wishes[3];

	need_frame(t);
	make_slow_disk(2);
	let_one_be_late(wishes);
	slow.ready = true;
	expect_true(t, block_queue_watch(&slow.queue));
	expect_eq(t, slow.nr_resets, 0);
	expect_eq(t, wishes[0].nr_done, 1);
	expect_eq(t, wishes[0].request.error, 0);
	end_all();
	drop_frame();
}

KTEST(block, dead)
{
	struct wish wishes[3], later;

	need_frame(t);
	make_slow_disk(2);
	slow.comes_back = false;
	let_one_be_late(wishes);
	(void)block_queue_watch(&slow.queue);
	expect_eq(t, nr_done, 3);
	for (unsigned i = 0; i < 3; i++)
		expect_eq(t, wishes[i].request.error, -EIO);
	read_slowly(&later, 7, 1);
	expect_eq(t, later.nr_done, 1);
	expect_eq(t, later.request.error, -EIO);
	expect_true(t, !block_queue_watch(&slow.queue));
	drop_frame();
}

KTEST(block, against_the_rules)
{
	struct wish wishes[3];
	irqflags_t irq;

	need_frame(t);
	make_slow_disk(2);
	for (unsigned i = 0; i < 3; i++)
		read_slowly(&wishes[i], 100 * i, 1);
	irq = spin_lock_irqsave(&slow.queue.lock);
	block_queue_broken_locked(&slow.queue);
	spin_unlock_irqrestore(&slow.queue.lock, irq);
	(void)block_queue_watch(&slow.queue);
	expect_eq(t, slow.nr_resets, 1);
	expect_eq(t, wishes[0].request.error, -EIO);
	expect_eq(t, wishes[1].request.error, -EIO);
	end_all();
	expect_eq(t, wishes[2].nr_done, 1);
	expect_eq(t, wishes[2].request.error, 0);
	drop_frame();
}

/* ---- What is refused --------------------------------------------------------------------- */

static int
try_request(struct block_device *device, enum block_op op, uint64_t sector, unsigned offset,
	    unsigned size, unsigned nr_segments)
{
	struct block_segment segments[BLOCK_MAX_SEGMENTS + 1];
	struct block_request request = { .op = op,
					 .device = device,
					 .sector = sector,
					 .segments = segments,
					 .nr_segments = nr_segments };

	for (unsigned i = 0; i < nr_segments; i++)
		segments[i] = (struct block_segment){ frame, offset, size };
	return block_execute(&request);
}

KTEST(block, refuses)
{
	struct block_device *disk = block_ram_create(64, false),
			    *fixed = block_ram_create(64, true);

	need_frame(t);
	assert_true(t, disk && fixed);
	expect_eq(t, try_request(disk, BLOCK_READ, 0, 0, 512, 1), 0);
	expect_eq(t, try_request(disk, BLOCK_READ, 63, 0, 512, 1), 0);
	expect_eq(t, try_request(disk, BLOCK_READ, 64, 0, 512, 1), -ENXIO);
	expect_eq(t, try_request(disk, BLOCK_READ, 63, 0, 1024, 1), -ENXIO);
	expect_eq(t, try_request(disk, BLOCK_WRITE, UINT64_MAX, 0, 1024, 1), -ENXIO);
	expect_eq(t, try_request(disk, BLOCK_READ, 0, 0, 0, 1), -EINVAL);
	expect_eq(t, try_request(disk, BLOCK_READ, 0, 0, 512, 0), -EINVAL);
	expect_eq(t, try_request(disk, BLOCK_READ, 0, 0, 100, 1), -EINVAL);
	expect_eq(t, try_request(disk, BLOCK_READ, 0, 100, 512, 1), -EINVAL);
	expect_eq(t, try_request(disk, BLOCK_READ, 0, 3584, 1024, 1), -EINVAL);
	expect_eq(t, try_request(disk, BLOCK_READ, 0, UINT32_MAX - 511, 1024, 1), -EINVAL);
	expect_eq(t, try_request(disk, BLOCK_READ, 0, 0, 512, BLOCK_MAX_SEGMENTS), 0);
	expect_eq(t, try_request(disk, BLOCK_READ, 0, 0, 512, BLOCK_MAX_SEGMENTS + 1), -EINVAL);
	expect_eq(t, try_request(fixed, BLOCK_READ, 0, 0, 512, 1), 0);
	expect_eq(t, try_request(fixed, BLOCK_WRITE, 0, 0, 512, 1), -EROFS);
	expect_eq(t, block_flush(fixed), 0);
	fixed->block_size = 4096;
	expect_eq(t, try_request(fixed, BLOCK_READ, 8, 0, 4096, 1), 0);
	expect_eq(t, try_request(fixed, BLOCK_READ, 4, 0, 4096, 1), -EINVAL);
	expect_eq(t, try_request(fixed, BLOCK_READ, 8, 0, 512, 1), -EINVAL);
	expect_eq(t, block_read(disk, 60, frame, 5), -ENXIO);
	expect_eq(t, block_write(fixed, 0, frame, 8), -EROFS);
	expect_eq(t, block_read(fixed, 0, frame, 7), -EINVAL);
	block_ram_destroy(disk);
	block_ram_destroy(fixed);
	drop_frame();
}

/* ---- The disk in memory ---------------------------------------------------------------------- */

/* Writes and reads of any size, to and from buffers anywhere, beside a copy of the disk. */
KTEST(block, buffers, .budget_ms = 10000)
{
	enum { SECTORS = 700 };
	struct block_device *disk = block_ram_create(SECTORS, false);
	uint8_t *model = kmalloc_zeroed(SECTORS * SECTOR_SIZE, GFP_KERNEL);
	uint8_t *buffer = kmalloc(SECTORS * SECTOR_SIZE + PAGE_SIZE, GFP_KERNEL);

	assert_true(t, disk && model && buffer);
	for (unsigned round = 0; round < 200; round++) {
		size_t sector = prng_below(&t->prng, SECTORS);
		size_t nr = 1 + prng_below(&t->prng, SECTORS - sector);
		uint8_t *at = buffer + prng_below(&t->prng, 2) * prng_below(&t->prng, PAGE_SIZE) +
			      SECTOR_SIZE * prng_below(&t->prng, 4) / 2;

		at = prng_below(&t->prng, 2) ? at : buffer + SECTOR_SIZE * prng_below(&t->prng, 8);
		if (prng_below(&t->prng, 2)) {
			memset(at, (int)round, nr * SECTOR_SIZE);
			memcpy(at, &sector, sizeof(sector));
			memcpy(model + sector * SECTOR_SIZE, at, nr * SECTOR_SIZE);
			assert_eq(t, block_write(disk, sector, at, nr), 0);
		} else {
			memset(at, 0x5a, nr * SECTOR_SIZE);
			assert_eq(t, block_read(disk, sector, at, nr), 0);
			assert_eq(t, memcmp(at, model + sector * SECTOR_SIZE, nr * SECTOR_SIZE), 0);
		}
	}
	expect_eq(t, memcmp(block_ram_bytes(disk), model, SECTORS * SECTOR_SIZE), 0);
	block_ram_destroy(disk);
	kfree(model);
	kfree(buffer);
}

/* One command in three fails, and exactly those who are told of it have no data. */
KTEST(block, failures)
{
	struct block_device *disk = block_ram_create(64, false);
	struct block_statistics statistics;
	unsigned nr_failed = 0;
	uint64_t stack[SECTOR_SIZE / 8];

	assert_true(t, disk != NULL);
	block_ram_fail(disk, 3, t->seed);
	for (unsigned i = 0; i < 300; i++) {
		uint64_t *bytes = (uint64_t *)block_ram_bytes(disk) + i % 64 * (SECTOR_SIZE / 8);
		uint64_t before = *bytes;
		int error;

		stack[0] = 1000 + i;
		error = block_write(disk, i % 64, stack, 1);
		expect_true(t, error == 0 || error == -EIO);
		expect_eq(t, *bytes, error ? before : 1000 + i);
		nr_failed += error != 0;
	}
	block_get_statistics(disk, &statistics);
	expect_lt(t, 50, nr_failed);
	expect_lt(t, nr_failed, 150);
	expect_eq(t, statistics.nr_failed[BLOCK_WRITE], nr_failed);
	expect_eq(t, statistics.nr_done[BLOCK_WRITE], 300);
	expect_eq(t, statistics.nr_sectors[BLOCK_WRITE], 300 - nr_failed);
	expect_eq(t, statistics.nr_pending, 0);
	block_ram_destroy(disk);
}

/* When the power fails, each sector is as at the last flush, or as it was written since. */
KTEST(block, loss_of_power)
{
	struct block_device *disk = block_ram_create(64, false);
	uint64_t stack[SECTOR_SIZE / 8];
	unsigned nr_new = 0;

	assert_true(t, disk != NULL);
	assert_eq(t, block_ram_keep_cache(disk), 0);
	for (unsigned i = 0; i < 64; i++) {
		memset(stack, 1, sizeof(stack));
		assert_eq(t, block_write(disk, i, stack, 1), 0);
	}
	expect_eq(t, block_flush(disk), 0);
	for (unsigned i = 32; i < 64; i++) {
		memset(stack, 2, sizeof(stack));
		assert_eq(t, block_write(disk, i, stack, 1), 0);
	}
	block_ram_lose_power(disk, t->seed);
	for (unsigned i = 0; i < 64; i++) {
		assert_eq(t, block_read(disk, i, stack, 1), 0);
		expect_eq(t, stack[0], stack[SECTOR_SIZE / 8 - 1]);
		expect_true(t, (uint8_t)stack[0] == 1 || (i >= 32 && (uint8_t)stack[0] == 2));
		nr_new += (uint8_t)stack[0] == 2;
	}
	expect_lt(t, 4, nr_new);
	expect_lt(t, nr_new, 28);
	block_ram_destroy(disk);
}
