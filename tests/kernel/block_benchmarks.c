/* SPDX-License-Identifier: MIT */
/*
 * What a request costs the processor: in the queue, in front of a disk that does nothing, and in
 * the drivers. How long a disk takes depends on the host, and is not measured.
 */
#include <bench.h>
#include <block.h>
#include <memory_advanced.h>
#include <printk.h>

#include "../../kernel/dev/disk/ide.h"

#define NR_REQUESTS 32

static struct {
	struct block_queue queue;
	struct block_device device;
	struct block_command *held; /* (q) the command that runs, in a disk that waits */
	bool waits;
} idle_disk;

static void
idle_start_locked(struct block_command *command)
{
	if (idle_disk.waits)
		idle_disk.held = command;
	else
		block_command_done_locked(command, 0);
}

static void
idle_poll_locked(struct block_queue *queue)
{
	struct block_command *command = idle_disk.held;

	(void)queue;
	idle_disk.held = NULL;
	if (command)
		block_command_done_locked(command, 0);
}

static bool
idle_reset(struct block_queue *queue)
{
	(void)queue;
	return true;
}

static const struct block_driver idle_driver = { .start_locked = idle_start_locked,
						 .poll_locked = idle_poll_locked,
						 .reset = idle_reset };

static unsigned nr_done; /* atomic */

static void
count_done(struct block_request *request)
{
	(void)request;
	__atomic_add_fetch(&nr_done, 1, __ATOMIC_RELEASE);
}

static void
submit_page(struct block_request *request, struct block_segment *segment,
	    struct block_device *device, uint64_t sector)
{
	*request = (struct block_request){ .op = BLOCK_READ,
					   .device = device,
					   .sector = sector,
					   .segments = segment,
					   .nr_segments = 1,
					   .done = count_done };
	block_submit(request);
}

/* ---- The queue --------------------------------------------------------------------------- */

/* Alone, from submission to done(); and 32 that adjoin, of which 31 wait and become one command. */
static void
measure_queue(struct block_segment *segment)
{
	static struct block_request requests[NR_REQUESTS];
	uint64_t alone[BENCH_REPS], merged[BENCH_REPS], before;

	for (unsigned rep = 0; rep < BENCH_REPS; rep++) {
		idle_disk.waits = false;
		before = arch_cycles();
		for (unsigned i = 0; i < NR_REQUESTS; i++)
			submit_page(&requests[i], segment, &idle_disk.device, i * 100);
		alone[rep] = arch_cycles() - before;

		idle_disk.waits = true;
		before = arch_cycles();
		for (unsigned i = 0; i < NR_REQUESTS; i++)
			submit_page(&requests[i], segment, &idle_disk.device, i * 8);
		while (idle_disk.held)
			block_queue_interrupt(&idle_disk.queue);
		merged[rep] = arch_cycles() - before;
	}
	bench_report("block.request4k", alone, BENCH_REPS, NR_REQUESTS);
	bench_report("block.request4k.merged", merged, BENCH_REPS, NR_REQUESTS);
}

BENCH_SUITE(block, "what a request costs in the queue of a disk that does nothing")
{
	struct block_segment segment = { alloc_pages(GFP_KERNEL, 0), 0, PAGE_SIZE };

	if (!segment.page)
		return;
	block_queue_init(&idle_disk.queue, "idle", &idle_driver, NULL, 1, BLOCK_MAX_SECTORS);
	idle_disk.device = (struct block_device){ .name = "idle",
						  .nr_sectors = 1 << 20,
						  .block_size = SECTOR_SIZE,
						  .queue = &idle_disk.queue };
	measure_queue(&segment);
	__free_pages(segment.page, 0);
}

/* ---- Drivers ----------------------------------------------------------------------------- */

/*
 * A read of 4 KiB: what submitting takes, and what the interrupt takes that ends it. Interrupts
 * are off, and the driver is asked instead until the disk has done it.
 */
static void
measure_read(struct block_device *disk, struct block_segment *segment, uint64_t *submit,
	     uint64_t *end)
{
	struct block_request request;
	irqflags_t irq = arch_irq_save();
	uint64_t before = arch_cycles();

	nr_done = 0;
	submit_page(&request, segment, disk, 0);
	*submit = arch_cycles() - before;
	do {
		arch_cpu_relax();
		before = arch_cycles();
		block_queue_interrupt(disk->queue);
		*end = arch_cycles() - before;
	} while (__atomic_load_n(&nr_done, __ATOMIC_ACQUIRE) == 0);
	arch_irq_restore(irq);
}

static void
measure_driver(const char *name, const char *what)
{
	struct block_device *disk = block_find(name);
	struct block_segment segment = { alloc_pages(GFP_KERNEL, 0), 0, PAGE_SIZE };
	uint64_t submit[BENCH_REPS], end[BENCH_REPS];
	char figure[40];

	for (unsigned rep = 0; disk && segment.page && rep < BENCH_REPS; rep++)
		measure_read(disk, &segment, &submit[rep], &end[rep]);
	if (disk && segment.page) {
		ksnprintf(figure, sizeof(figure), "disk.%s.read4k.submit", what);
		bench_report(figure, submit, BENCH_REPS, 1);
		ksnprintf(figure, sizeof(figure), "disk.%s.read4k.end", what);
		bench_report(figure, end, BENCH_REPS, 1);
	}
	if (segment.page)
		__free_pages(segment.page, 0);
}

BENCH_SUITE(disk, "what a read costs in the drivers of disks, if there are disks")
{
	measure_driver("vda", "virtio");
	measure_driver("hda", "ide_dma");
}
