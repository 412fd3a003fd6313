/* SPDX-License-Identifier: MIT */
/*
 * Requests of those who wait for them: submit, and sleep until it has ended.
 *
 * A buffer in the direct map that begins at a multiple of SECTOR_SIZE lies in frames as it is, and
 * the disk moves to and from these. For any other (a stack, a large object, an odd address) a
 * frame stands in, from and to which the bytes are copied.
 */
#include <arch.h>
#include <errno.h>
#include <memory_advanced.h>
#include <string.h>
#include <thread.h>

#include "queue.h"

/* ---- Sleeping ---------------------------------------------------------------------------- */

struct waiter {
	spinlock_t lock;
	struct wait_queue queue;
	bool done; /* (l) */
};

/* As long as this holds the lock, the waiter, on its thread's stack, is there. */
static void
wake_waiter(struct block_request *request)
{
	struct waiter *waiter = request->private;
	irqflags_t irq = spin_lock_irqsave(&waiter->lock);

	waiter->done = true;
	wake_one(&waiter->queue);
	spin_unlock_irqrestore(&waiter->lock, irq);
}

int
block_execute(struct block_request *request)
{
	struct waiter waiter = { .lock = SPINLOCK_INIT("disk waiter", RANK_MODULE) };
	irqflags_t irq;

	wait_queue_init(&waiter.queue);
	request->done = wake_waiter;
	request->private = &waiter;
	block_submit(request);
	irq = spin_lock_irqsave(&waiter.lock);
	while (!waiter.done)
		wait_on(&waiter.queue, &waiter.lock);
	spin_unlock_irqrestore(&waiter.lock, irq);
	return request->error;
}

int
block_flush(struct block_device *device)
{
	struct block_request request = { .op = BLOCK_FLUSH, .device = device };

	return block_execute(&request);
}

/* ---- Buffers ----------------------------------------------------------------------------- */

static bool
lies_in_frames(const void *buffer)
{
	return IS_ALIGNED((uintptr_t)buffer, SECTOR_SIZE) &&
	       (uintptr_t)buffer - DIRECT_MAP_BASE < arch_direct_map_end();
}

/* Move up to nr sectors, at least a block, from or to frames. Returns how many, or an error. */
static int64_t
move_frames(struct block_device *device, enum block_op op, uint64_t sector, uint8_t *buffer,
	    size_t nr)
{
	enum { MAX_FRAMES = BLOCK_MAX_SECTORS * SECTOR_SIZE / PAGE_SIZE };
	struct block_segment segments[MAX_FRAMES];
	struct block_request request = {
		.op = op, .device = device, .sector = sector, .segments = segments
	};
	size_t room = MAX_FRAMES * PAGE_SIZE - (uintptr_t)buffer % PAGE_SIZE;
	size_t size = MIN(nr * SECTOR_SIZE, ALIGN_DOWN(room, (size_t)device->block_size));
	size_t part;
	int error;

	for (size_t at = 0; at < size; at += part) {
		size_t offset = (uintptr_t)(buffer + at) % PAGE_SIZE;

		part = MIN(PAGE_SIZE - offset, size - at);
		segments[request.nr_segments++] = (struct block_segment){
			.page = pfn_to_page(virt_to_phys(buffer + at) >> PAGE_SHIFT),
			.offset = (uint32_t)offset,
			.size = (uint32_t)part,
		};
	}
	error = block_execute(&request);
	return error ? error : (int64_t)(size / SECTOR_SIZE);
}

/* The same through a frame that stands in. */
static int64_t
move_through(struct page *frame, struct block_device *device, enum block_op op, uint64_t sector,
	     uint8_t *buffer, size_t nr)
{
	size_t size = MIN(nr * SECTOR_SIZE, PAGE_SIZE);
	int64_t moved;

	if (op == BLOCK_WRITE)
		memcpy(page_to_virt(frame), buffer, size);
	moved = move_frames(device, op, sector, page_to_virt(frame), size / SECTOR_SIZE);
	if (op == BLOCK_READ && moved > 0)
		memcpy(buffer, page_to_virt(frame), size);
	return moved;
}

static int
move(struct block_device *device, enum block_op op, uint64_t sector, uint8_t *buffer, size_t nr)
{
	int error = block_check_range(device, op, sector, nr);
	struct page *frame = NULL;
	int64_t moved;

	if (!error && !lies_in_frames(buffer)) {
		frame = alloc_pages(GFP_KERNEL, 0);
		error = frame ? 0 : -ENOMEM;
	}
	while (nr > 0 && !error) {
		moved = frame ? move_through(frame, device, op, sector, buffer, nr)
			      : move_frames(device, op, sector, buffer, nr);
		if (moved < 0) {
			error = (int)moved;
		} else {
			sector += (uint64_t)moved;
			buffer += (size_t)moved * SECTOR_SIZE;
			nr -= (size_t)moved;
		}
	}
	if (frame)
		__free_pages(frame, 0);
	return error;
}

int
block_read(struct block_device *device, uint64_t sector, void *buffer, size_t nr)
{
	return move(device, BLOCK_READ, sector, buffer, nr);
}

int
block_write(struct block_device *device, uint64_t sector, const void *buffer, size_t nr)
{
	return move(device, BLOCK_WRITE, sector, (void *)buffer, nr);
}
