/* SPDX-License-Identifier: MIT */
/*
 * A disk in memory, for tests of what is built on disks: it fails when it is told to, and loses
 * what was not flushed.
 *
 *	bytes      what a read finds
 *	durable    what there was at the last flush: a copy, kept only when asked for
 *
 * When the power fails, a disk has written of its cache what it has written: any sectors, in any
 * order, but each sector as a whole. So of every sector that differs between the two, the seed
 * decides which one survives.
 *
 * Commands end before start_locked() returns.
 */
#include <errno.h>
#include <fault_injection.h>
#include <memory_advanced.h>
#include <panic.h>
#include <string.h>

#include "queue.h"

/* (q) queue.lock */
struct ram_disk {
	struct block_queue queue;
	struct block_device device;
	struct fault_injector faults; /* (q) */
	size_t size;		      /* (c) bytes */
	uint8_t *bytes, *durable;     /* (q) */
};

static struct ram_disk *
disk_of(struct block_device *device)
{
	return container_of(device, struct ram_disk, device);
}

static void
ram_start_locked(struct block_command *command)
{
	struct ram_disk *disk = command->queue->data;
	uint8_t *at = disk->bytes + command->first * SECTOR_SIZE;
	const struct block_segment *segment;
	struct block_cursor cursor;

	if (fault_strikes(&disk->faults)) {
		block_command_done_locked(command, -EIO);
		return;
	}
	block_cursor_init(&cursor, command);
	while ((segment = block_next_segment(&cursor))) {
		uint8_t *frame = (uint8_t *)page_to_virt(segment->page) + segment->offset;

		memcpy(command->op == BLOCK_READ ? frame : at,
		       command->op == BLOCK_READ ? at : frame, segment->size);
		at += segment->size;
	}
	if (command->op == BLOCK_FLUSH && disk->durable)
		memcpy(disk->durable, disk->bytes, disk->size);
	block_command_done_locked(command, 0);
}

static void
ram_poll_locked(struct block_queue *queue)
{
	(void)queue;
}

static bool
ram_reset(struct block_queue *queue)
{
	(void)queue;
	return true;
}

static const struct block_driver ram_driver = { .start_locked = ram_start_locked,
						.poll_locked = ram_poll_locked,
						.reset = ram_reset };

struct block_device *
block_ram_create(uint64_t nr_sectors, bool read_only)
{
	struct ram_disk *disk = kmalloc_zeroed(sizeof(*disk), GFP_KERNEL);

	if (!disk)
		return NULL;
	disk->size = nr_sectors * SECTOR_SIZE;
	disk->bytes = kmalloc_zeroed(disk->size, GFP_KERNEL);
	if (!disk->bytes) {
		kfree(disk);
		return NULL;
	}
	block_queue_init(&disk->queue, "ram", &ram_driver, disk, 1, BLOCK_MAX_SEGMENTS);
	disk->device = (struct block_device){
		.name = "ram",
		.nr_sectors = nr_sectors,
		.block_size = SECTOR_SIZE,
		.read_only = read_only,
		.queue = &disk->queue,
	};
	return &disk->device;
}

void
block_ram_destroy(struct block_device *device)
{
	struct ram_disk *disk = disk_of(device);

	ASSERT_EQ(disk->queue.nr_waiting + disk->queue.nr_running, 0);
	kfree(disk->durable);
	kfree(disk->bytes);
	kfree(disk);
}

void
block_ram_fail(struct block_device *device, uint64_t every, uint64_t seed)
{
	irqflags_t irq = spin_lock_irqsave(&device->queue->lock);

	fault_set(&disk_of(device)->faults, every, seed);
	spin_unlock_irqrestore(&device->queue->lock, irq);
}

void *
block_ram_bytes(struct block_device *device)
{
	return disk_of(device)->bytes;
}

int
block_ram_keep_cache(struct block_device *device)
{
	struct ram_disk *disk = disk_of(device);
	uint8_t *copy = kmalloc(disk->size, GFP_KERNEL);
	irqflags_t irq;

	if (!copy)
		return -ENOMEM;
	irq = spin_lock_irqsave(&disk->queue.lock);
	memcpy(copy, disk->bytes, disk->size);
	disk->durable = copy;
	spin_unlock_irqrestore(&disk->queue.lock, irq);
	return 0;
}

void
block_ram_lose_power(struct block_device *device, uint64_t seed)
{
	struct ram_disk *disk = disk_of(device);
	irqflags_t irq = spin_lock_irqsave(&disk->queue.lock);
	struct prng prng;

	ASSERT(disk->durable);
	prng_seed(&prng, seed);
	for (size_t at = 0; at < disk->size; at += SECTOR_SIZE) {
		if (memcmp(disk->bytes + at, disk->durable + at, SECTOR_SIZE) != 0 &&
		    prng_below(&prng, 2) == 0)
			memcpy(disk->bytes + at, disk->durable + at, SECTOR_SIZE);
	}
	memcpy(disk->durable, disk->bytes, disk->size);
	spin_unlock_irqrestore(&disk->queue.lock, irq);
}
