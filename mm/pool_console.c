/* SPDX-License-Identifier: MIT */
/* What the console shows of pools: pools. */
#include <console.h>
#include <pool_manager.h>
#include <printk.h>

static bool
print_pool(struct pool_entry *entry, void *arg)
{
	struct pool_report report;

	(void)arg;
	entry->kind->report(entry, &report);
	kprintf("%6u %-8s %-16s %8lu %8lu %8lu %8lu %10lu %8lu\n", entry->number, entry->kind->name,
		*entry->name ? entry->name : "-", (unsigned long)report.element_size,
		(unsigned long)report.in_use, (unsigned long)report.kept,
		(unsigned long)(report.bytes >> 10), (unsigned long)report.nr_alloc,
		(unsigned long)report.nr_failed);
	return true;
}

static void
pools(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	kprintf("number kind     name                 size   in use     kept       kB"
		"     allocs   failed\n");
	pool_for_each(print_pool, NULL);
}
CONSOLE_COMMAND(pools, "pools", "", "every memory pool: elements in use and kept", pools);
