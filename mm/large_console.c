/* SPDX-License-Identifier: MIT */
/* What the console shows of large objects: largeinfo. */
#include <console.h>
#include <large_object.h>
#include <printk.h>

static void
line(const char *name, uint64_t value)
{
	kprintf("%-20s %12lu\n", name, (unsigned long)value);
}

static void
largeinfo(int argc, char **argv)
{
	struct large_stats stats;
	unsigned errors;

	(void)argc;
	(void)argv;
	large_get_stats(&stats);
	line("Objects:", stats.nr_objects);
	line("Bytes:", stats.bytes);
	line("Frames:", stats.frames);
	line("WaitingObjects:", stats.waiting_objects);
	line("WaitingFrames:", stats.waiting_frames);
	line("GuardPages:", stats.guard_pages);
	line("DescriptorFrames:", stats.descriptor_frames);
	line("PageTableFrames:", stats.table_frames);
	line("Allocations:", stats.nr_alloc);
	line("of those failed:", stats.nr_failed);
	line("Frees:", stats.nr_free);
	line("Flushes:", stats.nr_flushes);
	errors = large_check();
	if (errors)
		kprintf("check: %u contradictions\n", errors);
}
CONSOLE_COMMAND(largeinfo, "largeinfo", "", "large objects, their frames and page tables",
		largeinfo);
