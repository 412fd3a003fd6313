/* SPDX-License-Identifier: MIT */
/* /proc/partitions and /proc/diskstats, in Linux's formats. */
#include <abi/stat.h>
#include <block.h>
#include <time.h>

#include "procfs.h"

static int
show_partitions(struct text *text, int pid)
{
	struct block_device *device = NULL;

	(void)pid;
	text_printf(text, "major minor  #blocks  name\n\n");
	while ((device = block_next(device)))
		text_printf(text, "%4u  %7u %10lu %s\n", device_major(device->number),
			    device_minor(device->number), (unsigned long)device->nr_sectors / 2,
			    device->name);
	return 0;
}

/* Requests, those merged, sectors, milliseconds. */
static void
show_moves(struct text *text, const struct block_statistics *statistics, enum block_op op)
{
	text_printf(text, " %lu %lu %lu %lu", (unsigned long)statistics->nr_done[op],
		    (unsigned long)statistics->nr_merged[op],
		    (unsigned long)statistics->nr_sectors[op],
		    (unsigned long)(statistics->ns[op] / NSEC_PER_MSEC));
}

static int
show_diskstats(struct text *text, int pid)
{
	struct block_device *device = NULL;
	struct block_statistics statistics;

	(void)pid;
	while ((device = block_next(device))) {
		block_get_statistics(device, &statistics);
		text_printf(text, "%4u %7u %s", device_major(device->number),
			    device_minor(device->number), device->name);
		show_moves(text, &statistics, BLOCK_READ);
		show_moves(text, &statistics, BLOCK_WRITE);
		text_printf(text, " %u %lu %lu", statistics.nr_pending,
			    (unsigned long)(statistics.busy_ns / NSEC_PER_MSEC),
			    (unsigned long)(statistics.weighted_ns / NSEC_PER_MSEC));
		/* Of sectors that nobody needs any more no disk is told. */
		text_printf(text, " 0 0 0 0 %lu %lu\n",
			    (unsigned long)statistics.nr_done[BLOCK_FLUSH],
			    (unsigned long)(statistics.ns[BLOCK_FLUSH] / NSEC_PER_MSEC));
	}
	return 0;
}

const struct proc_file proc_disk_files[] = { { "partitions", 0444, show_partitions },
					     { "diskstats", 0444, show_diskstats },
					     { NULL, 0, NULL } };
