/* SPDX-License-Identifier: MIT */
/* What the console shows of memory: meminfo, buddyinfo, check. */
#include <arch.h>
#include <console.h>
#include <memory_advanced.h>
#include <page_allocator.h>
#include <printk.h>

static void
line(const char *name, uint64_t bytes)
{
	kprintf("%-20s %12lu kB\n", name, (unsigned long)(bytes >> 10));
}

static void
meminfo(int argc, char **argv)
{
	memory_stats_t stats;
	char encryption[80];

	(void)argc;
	(void)argv;
	get_memory_stats(&stats);
	line("MemTotal:", stats.total_memory);
	line("MemFree:", stats.free_memory);
	line("MemUsed:", stats.used_memory);
	line("MemUsedPeak:", stats.allocation_size_peak);
	line("MemAllocatedEver:", stats.allocation_size_total);
	kprintf("%-20s %12lu\n", "Allocations:", (unsigned long)stats.total_allocations);
	kprintf("%-20s %12lu\n", "of those failed:", (unsigned long)stats.failed_allocations);
	kprintf("%-20s %s\n", "Encryption:", arch_memory_encryption(encryption));
}
CONSOLE_COMMAND(meminfo, "meminfo", "", "how much memory there is, is free, was used", meminfo);

/* The free blocks of one buddy allocator. */
static void
print_buddy(struct buddy *buddy)
{
	size_t nr_free[NR_ORDERS];
	irqflags_t flags;

	/* Copied under the lock, printed without it: the console is slow. */
	flags = spin_lock_irqsave(&buddy->lock);
	for (unsigned order = 0; order < NR_ORDERS; order++)
		nr_free[order] = buddy->area[order].nr_free;
	spin_unlock_irqrestore(&buddy->lock, flags);

	kprintf("order         frames   free blocks   unusable   index\n");
	for (unsigned order = 0; order < NR_ORDERS; order++) {
		unsigned unusable = buddy_unusable(buddy, order);
		int index = buddy_fragmentation_index(buddy, order);

		kprintf("%5u   %12lu  %12lu      %u.%03u  %s%d.%03d\n", order, 1ul << order,
			(unsigned long)nr_free[order], unusable / 1000, unusable % 1000,
			index < 0 ? "-" : " ", (index < 0 ? -index : index) / 1000,
			(index < 0 ? -index : index) % 1000);
	}
}

static void
buddyinfo(int argc, char **argv)
{
	struct buddy *buddy;

	(void)argc;
	(void)argv;
	for (unsigned i = 0; (buddy = page_allocator_buddy(i)) != NULL; i++) {
		if (page_allocator_buddy(1) && buddy->frames_managed == 0)
			continue;
		kprintf("%s: %lu of %lu frames free\n", buddy->name,
			(unsigned long)buddy->frames_free, (unsigned long)buddy->frames_managed);
		print_buddy(buddy);
	}
}
CONSOLE_COMMAND(buddyinfo, "buddyinfo", "", "free blocks by order, and fragmentation", buddyinfo);

static void
check(int argc, char **argv)
{
	unsigned errors = mm_check();

	(void)argc;
	(void)argv;
	if (errors)
		kprintf("check: %u contradictions\n", errors);
	else
		kprintf("check: memory agrees with its books\n");
}
CONSOLE_COMMAND(check, "check", "", "recompute the state of memory and compare", check);
