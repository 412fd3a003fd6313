/* SPDX-License-Identifier: MIT */
/*
 * Disks as they are: each case runs with each way of driving one. Everything that is written can
 * be recomputed from the seed and the number of the sector.
 */
#include <errno.h>
#include <memory_advanced.h>
#include <thread.h>
#include <time.h>

#include "../../kernel/dev/disk/ide.h"
#include "block_scratch.h"

enum { BY_DMA, BY_PIO, BY_VIRTIO, NR_WAYS };

/* The disk of a way; IDE's ways differ by a switch. */
static struct block_device *
disk_of(struct ktest *t)
{
	ide_use_dma = t->param != BY_PIO;
	if (t->param == BY_VIRTIO)
		return scratch_disk(t, "vda");
	return scratch_disk(t, block_find("hda") ? "hda" : "hdd");
}

static void
fill(uint8_t *bytes, uint64_t sector, size_t nr, uint64_t seed)
{
	for (; nr > 0; nr--, sector++, bytes += SECTOR_SIZE) {
		struct prng prng = { seed ^ sector * 0x9e37 };

		for (unsigned i = 0; i < SECTOR_SIZE; i += 8)
			*(uint64_t *)(bytes + i) = prng_next(&prng);
	}
}

/* ---- Several threads, each in its part of the disk --------------------------------------- */

#define NR_THREADS 4
#define AREA	   400 /* sectors */
#define ROUNDS	   12

struct worker {
	struct block_device *disk;
	uint64_t first, seed;
	unsigned nr_wrong;
	int error;
};

/* Write pieces, and read them again through another buffer. */
static void
work(void *arg)
{
	struct worker *worker = arg;
	size_t unit = worker->disk->block_size / SECTOR_SIZE;
	struct prng prng = { worker->seed };
	uint8_t *out = kmalloc(AREA * SECTOR_SIZE, GFP_KERNEL);
	uint8_t *in = kmalloc(AREA * SECTOR_SIZE + PAGE_SIZE, GFP_KERNEL);

	worker->error = out && in ? 0 : -ENOMEM;
	for (unsigned round = 0; round < ROUNDS && !worker->error; round++) {
		size_t at = prng_below(&prng, AREA / unit) * unit;
		size_t nr = (1 + prng_below(&prng, (AREA - at) / unit)) * unit;
		uint64_t sector = worker->first + at;
		uint8_t *to = in + prng_below(&prng, 2) * prng_below(&prng, PAGE_SIZE);

		fill(out, sector, nr, worker->seed + round);
		worker->error = block_write(worker->disk, sector, out, nr);
		memset(to, 0, nr * SECTOR_SIZE);
		if (!worker->error)
			worker->error = block_read(worker->disk, sector, to, nr);
		worker->nr_wrong += memcmp(out, to, nr * SECTOR_SIZE) != 0;
	}
	kfree(out);
	kfree(in);
}

KTEST(disk, threads, .budget_ms = 20000, .nr_params = NR_WAYS, .needs_disks = true)
{
	struct block_device *disk = disk_of(t);
	struct worker workers[NR_THREADS];
	struct thread *threads[NR_THREADS];

	for (unsigned i = 0; i < NR_THREADS; i++) {
		workers[i] = (struct worker){ .disk = disk,
					      .first = SCRATCH_FIRST + i * AREA,
					      .seed = prng_next(&t->prng) };
		threads[i] = thread_create("disk", work, &workers[i], CPU_ANY);
		assert_true(t, threads[i] != NULL);
	}
	for (unsigned i = 0; i < NR_THREADS; i++) {
		thread_join(threads[i]);
		expect_eq(t, workers[i].error, 0);
		expect_eq(t, workers[i].nr_wrong, 0);
	}
	expect_eq(t, block_queue_check(disk->queue), 0);
	expect_eq(t, block_flush(disk), 0);
}

/* ---- Many requests at a time ------------------------------------------------------------- */

#define NR_REQUESTS 24
#define NR_PIECES   5 /* segments of a request, of different sizes, in frames that do not follow */

struct batch {
	struct block_request request[NR_REQUESTS];
	struct block_segment segment[NR_REQUESTS][NR_PIECES];
	struct page *frame[NR_REQUESTS];
	unsigned nr_done; /* atomic */
};

static void
note_done(struct block_request *request)
{
	struct batch *batch = request->private;

	__atomic_add_fetch(&batch->nr_done, 1, __ATOMIC_RELEASE);
}

/* Request i is sectors [i * 8, i * 8 + 8) from first on, in pieces of 1, 2, 1, 3 and 1 sectors. */
static void
submit(struct batch *batch, struct block_device *disk, enum block_op op, uint64_t first)
{
	static const uint8_t sizes[NR_PIECES] = { 1, 2, 1, 3, 1 };

	batch->nr_done = 0;
	for (unsigned i = 0; i < NR_REQUESTS; i++) {
		uint32_t offset = 0;

		for (unsigned n = 0; n < NR_PIECES; n++) {
			batch->segment[i][n] = (struct block_segment){ batch->frame[i], offset,
								       sizes[n] * SECTOR_SIZE };
			offset += sizes[n] * SECTOR_SIZE;
		}
		batch->request[i] = (struct block_request){ .op = op,
							    .device = disk,
							    .sector = first + i * 8,
							    .segments = batch->segment[i],
							    .nr_segments = NR_PIECES,
							    .done = note_done,
							    .private = batch };
	}
	for (unsigned i = 0; i < NR_REQUESTS; i++) /* in no order */
		block_submit(&batch->request[i * 7 % NR_REQUESTS]);
}

static void
wait_for(struct batch *batch)
{
	while (__atomic_load_n(&batch->nr_done, __ATOMIC_ACQUIRE) < NR_REQUESTS)
		thread_sleep_ns(50 * NSEC_PER_USEC);
}

/* How many requests have failed. */
static unsigned
count_errors(struct ktest *t, const struct batch *batch)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < NR_REQUESTS; i++) {
		expect_true(t, batch->request[i].error == 0 || batch->request[i].error == -EIO);
		nr += batch->request[i].error != 0;
	}
	return nr;
}

/* Frames, full of what sectors from first on are to hold. */
static void
take_frames(struct ktest *t, struct batch *batch, uint64_t first)
{
	for (unsigned i = 0; i < NR_REQUESTS; i++) {
		batch->frame[i] = alloc_pages(GFP_KERNEL, 0);
		assert_true(t, batch->frame[i] != NULL);
		fill(page_to_virt(batch->frame[i]), first + i * 8, 8, t->seed);
	}
}

/* Read them all anew, compare, and give the frames back. */
static void
expect_frames(struct ktest *t, struct batch *batch, struct block_device *disk, uint64_t first)
{
	static uint8_t expected[PAGE_SIZE];

	for (unsigned i = 0; i < NR_REQUESTS; i++)
		memset(page_to_virt(batch->frame[i]), 0, PAGE_SIZE);
	submit(batch, disk, BLOCK_READ, first);
	wait_for(batch);
	expect_eq(t, count_errors(t, batch), 0);
	for (unsigned i = 0; i < NR_REQUESTS; i++) {
		fill(expected, first + i * 8, 8, t->seed);
		expect_eq(t, memcmp(page_to_virt(batch->frame[i]), expected, PAGE_SIZE), 0);
		__free_pages(batch->frame[i], 0);
	}
}

KTEST(disk, scattered, .budget_ms = 20000, .nr_params = NR_WAYS, .needs_disks = true)
{
	struct block_device *disk = disk_of(t);
	static struct batch batch;
	uint64_t first = disk->nr_sectors - NR_REQUESTS * 8;

	take_frames(t, &batch, first);
	submit(&batch, disk, BLOCK_WRITE, first);
	wait_for(&batch);
	expect_eq(t, count_errors(t, &batch), 0);
	expect_frames(t, &batch, disk, first);
}

/* ---- What must not happen -------------------------------------------------------------------- */

KTEST(disk, beyond_the_end, .nr_params = NR_WAYS, .needs_disks = true)
{
	struct block_device *disk = disk_of(t);
	uint8_t *bytes = kmalloc(2 * SECTOR_SIZE, GFP_KERNEL);

	assert_true(t, bytes != NULL);
	expect_eq(t, block_read(disk, disk->nr_sectors - 2, bytes, 2), 0);
	expect_eq(t, block_read(disk, disk->nr_sectors - 1, bytes, 2), -ENXIO);
	expect_eq(t, block_write(disk, disk->nr_sectors, bytes, 1), -ENXIO);
	expect_eq(t, block_write(disk, UINT64_MAX, bytes, 1), -ENXIO);
	kfree(bytes);
}

KTEST(disk, read_only, .needs_disks = true)
{
	struct block_device *disk = scratch_disk(t, "vdb");
	uint8_t *bytes = kmalloc(2 * SECTOR_SIZE, GFP_KERNEL);

	assert_true(t, bytes != NULL);
	memset(bytes, 1, SECTOR_SIZE);
	expect_eq(t, block_write(disk, SCRATCH_FIRST, bytes, 1), -EROFS);
	expect_eq(t, block_read(disk, SCRATCH_FIRST, bytes, 1), 0);
	expect_eq(t, bytes[0], 0);
	expect_eq(t, block_flush(disk), 0);
	kfree(bytes);
}

/* ---- Disks that are reset while they work ---------------------------------------------------- */

static void
break_rules(struct block_queue *queue)
{
	irqflags_t irq = spin_lock_irqsave(&queue->lock);

	block_queue_broken_locked(queue);
	spin_unlock_irqrestore(&queue->lock, irq);
}

/* What runs meanwhile may fail; what waits is done when the disk has been reset. */
KTEST(disk, reset, .budget_ms = 20000, .nr_params = NR_WAYS, .needs_disks = true)
{
	struct block_device *disk = disk_of(t);
	static struct batch batch;
	unsigned nr_errors;

	take_frames(t, &batch, SCRATCH_FIRST);
	for (unsigned round = 0; round < 3; round++) {
		submit(&batch, disk, BLOCK_WRITE, SCRATCH_FIRST);
		break_rules(disk->queue);
		wait_for(&batch);
		nr_errors = count_errors(t, &batch);
		expect_lt(t, nr_errors, NR_REQUESTS);
		expect_eq(t, block_queue_check(disk->queue), 0);
	}
	submit(&batch, disk, BLOCK_WRITE, SCRATCH_FIRST);
	wait_for(&batch);
	expect_eq(t, count_errors(t, &batch), 0);
	expect_frames(t, &batch, disk, SCRATCH_FIRST);
}

/* Emulated disks have interrupts; being asked all the time is for those that have none. */
KTEST(disk, interrupts, .nr_params = NR_WAYS, .needs_disks = true)
{
	expect_true(t, !disk_of(t)->queue->polled);
}
