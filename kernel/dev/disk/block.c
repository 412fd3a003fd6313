/* SPDX-License-Identifier: MIT */
/*
 * Block devices: the list of them, what they refuse, what they have done.
 *
 *	file system, swap, /dev/hda1      block_submit()
 *	        |  sector of the device
 *	block.c         checks it, adds where the device begins
 *	        |  sector of the queue
 *	queue.c         waits, sorts, merges
 *	        |  commands
 *	ide_channel.c, virtio_blk.c, ram.c
 *
 * A partition is a device with another beginning: it costs one addition.
 *
 * LOCKING. devices_lock guards the list. Devices are only ever added, at its end, so who has one
 * may go on from it.
 */
#include <checker.h>
#include <errno.h>
#include <memory_advanced.h>
#include <panic.h>
#include <printk.h>
#include <string.h>
#include <time.h>

#include "mbr.h"
#include "queue.h"

static struct list_head devices = LIST_INIT(devices); /* (d) devices_lock */
static spinlock_t devices_lock = SPINLOCK_INIT("disks", RANK_MODULE);

/* ---- The list ---------------------------------------------------------------------------- */

struct block_device *
block_next(struct block_device *device)
{
	irqflags_t irq = spin_lock_irqsave(&devices_lock);
	struct list_head *next = device ? device->link.next : devices.next;

	spin_unlock_irqrestore(&devices_lock, irq);
	return next == &devices ? NULL : list_entry(next, struct block_device, link);
}

struct block_device *
block_find(const char *name)
{
	struct block_device *device = NULL;

	while ((device = block_next(device)) && strcmp(device->name, name) != 0)
		;
	return device;
}

struct block_device *
block_find_number(uint64_t number)
{
	struct block_device *device = NULL;

	while ((device = block_next(device)) && device->number != number)
		;
	return device;
}

static void
add_device(struct block_device *device)
{
	irqflags_t irq = spin_lock_irqsave(&devices_lock);

	list_add_tail(&device->link, &devices);
	spin_unlock_irqrestore(&devices_lock, irq);
}

/* Small sizes are told in KiB, since a unit should leave some digits of them. */
static void
announce(const struct block_device *device, const char *how)
{
	uint64_t kib = device->nr_sectors / 2;
	bool small = kib < KiB(10);

	kprintf("%s: %s, %lu %s%s\n", device->name, how, (unsigned long)(small ? kib : kib >> 10),
		small ? "KiB" : "MiB", device->read_only ? ", read only" : "");
}

/* Of partitions of one disk the same queue, again. */
static unsigned
check_all(void)
{
	struct block_device *device = NULL;
	unsigned errors = 0;

	while ((device = block_next(device)))
		errors += block_queue_check(device->queue);
	return errors;
}
MM_CHECKER(disks, check_all);

/* ---- Partitions -------------------------------------------------------------------------- */

static void
add_partition(const struct block_device *disk, unsigned number, const struct mbr_partition *where)
{
	struct block_device *device = kmalloc_zeroed(sizeof(*device), GFP_KERNEL);
	size_t length = strlen(disk->name);

	if (!device) {
		kprintf("%s: no memory for partition %u\n", disk->name, number);
		return;
	}
	strlcpy(device->name, disk->name, sizeof(device->name) - 1);
	device->name[length] = (char)('0' + number);
	device->number = disk->number + number;
	device->start = disk->start + where->start;
	device->nr_sectors = where->nr_sectors;
	device->block_size = disk->block_size;
	device->read_only = disk->read_only;
	device->queue = disk->queue;
	announce(device, "a partition");
	add_device(device);
}

static void
read_partitions(struct block_device *disk)
{
	struct mbr_partition partition[MBR_PARTITIONS];
	size_t nr = disk->block_size / SECTOR_SIZE;
	uint8_t *block = kmalloc(disk->block_size, GFP_KERNEL);
	const char *wrong = NULL;
	int error = -ENOMEM;

	if (block && disk->nr_sectors >= nr)
		error = block_read(disk, 0, block, nr);
	if (error)
		kprintf("%s: the first block cannot be read: error %d\n", disk->name, -error);
	else
		wrong = mbr_parse(block, disk, partition);
	if (wrong)
		kprintf("%s: no partitions: %s\n", disk->name, wrong);
	for (unsigned i = 0; i < MBR_PARTITIONS && !error && !wrong; i++) {
		if (partition[i].nr_sectors > 0)
			add_partition(disk, i + 1, &partition[i]);
	}
	kfree(block);
}

void
block_register(struct block_device *device, const char *how)
{
	char text[80];

	ksnprintf(text, sizeof(text), "%s, %s", device->model, how);
	announce(device, text);
	add_device(device);
	read_partitions(device);
}

/* ---- Requests ---------------------------------------------------------------------------- */

/* Sectors of all segments; 0: there is something wrong with them. */
static uint32_t
count_sectors(const struct block_request *request)
{
	uint32_t bytes = 0;

	if (request->nr_segments > BLOCK_MAX_SEGMENTS)
		return 0;
	for (unsigned i = 0; i < request->nr_segments; i++) {
		const struct block_segment *segment = &request->segments[i];

		if (segment->size == 0 || segment->offset > PAGE_SIZE ||
		    segment->size > PAGE_SIZE - segment->offset ||
		    (segment->offset | segment->size) % SECTOR_SIZE != 0)
			return 0;
		bytes += segment->size;
	}
	return bytes <= BLOCK_MAX_SECTORS * SECTOR_SIZE ? bytes / SECTOR_SIZE : 0;
}

int
block_check_range(const struct block_device *device, enum block_op op, uint64_t sector, uint64_t nr)
{
	if ((sector | nr) % (device->block_size / SECTOR_SIZE) != 0)
		return -EINVAL;
	if (sector > device->nr_sectors || nr > device->nr_sectors - sector)
		return -ENXIO;
	return op == BLOCK_WRITE && device->read_only ? -EROFS : 0;
}

/* Set the queue's part of a request. Returns 0, or why it is refused. */
static int
prepare(struct block_request *request)
{
	struct block_device *device = request->device;

	if (request->op == BLOCK_FLUSH) {
		request->first = device->start;
		request->nr_sectors = request->nr_segments = 0;
		return 0;
	}
	request->first = device->start + request->sector;
	request->nr_sectors = count_sectors(request);
	if (request->nr_sectors == 0)
		return -EINVAL;
	return block_check_range(device, request->op, request->sector, request->nr_sectors);
}

void
block_submit(struct block_request *request)
{
	int error = prepare(request);
	irqflags_t irq;

	if (!error) {
		block_queue_submit(request->device->queue, request);
		return;
	}
	irq = arch_irq_save();
	request->error = error;
	request->done(request);
	arch_irq_restore(irq);
}

/* ---- Statistics -------------------------------------------------------------------------- */

/* Bring the sums over time up to now. */
static void
count_time(struct block_statistics *statistics, uint64_t now)
{
	uint64_t passed = now - MIN(statistics->counted_until, now);

	statistics->weighted_ns += passed * statistics->nr_pending;
	statistics->busy_ns += statistics->nr_pending > 0 ? passed : 0;
	statistics->counted_until = now;
}

void
block_count_pending(struct block_device *device, int by, uint64_t now)
{
	assert_held(&device->queue->lock);
	count_time(&device->statistics, now);
	device->statistics.nr_pending += (unsigned)by;
}

void
block_get_statistics(struct block_device *device, struct block_statistics *statistics)
{
	irqflags_t irq = spin_lock_irqsave(&device->queue->lock);

	count_time(&device->statistics, time_ns());
	*statistics = device->statistics;
	spin_unlock_irqrestore(&device->queue->lock, irq);
}
