/* SPDX-License-Identifier: MIT */
/* What the console shows of address spaces: spaces. */
#include <cmdline.h>
#include <console.h>
#include <page_cache.h>
#include <printk.h>
#include <string.h>

#include "space_internal.h"

static void
print_events(const struct space_stats *sum)
{
	kprintf("faults: %lu, of which %lu zero page, %lu fresh, %lu copied, %lu reused, %lu of "
		"files\n",
		(unsigned long)sum->faults_minor, (unsigned long)sum->faults_zero,
		(unsigned long)sum->faults_anonymous, (unsigned long)sum->faults_cow,
		(unsigned long)sum->faults_reuse, (unsigned long)sum->faults_file);
	kprintf("huge pages: %lu given, %lu not to be had, %lu split\n",
		(unsigned long)sum->huge_faults, (unsigned long)sum->huge_fallbacks,
		(unsigned long)sum->huge_splits);
	kprintf("besides: %lu pages mapped around others, stacks grown %lu times, %lu spurious\n",
		(unsigned long)sum->faults_around, (unsigned long)sum->faults_stack,
		(unsigned long)sum->faults_spurious);
}

static void
spaces(int argc, char **argv)
{
	struct address_space *space;
	struct space_stats stats;

	(void)argc;
	(void)argv;
	kprintf("   pages  resident anonymous  tables regions  CPUs\n");
	mutex_lock(&spaces_lock);
	list_for_each_entry (space, &all_spaces, all) {
		space_get_stats(space, &stats);
		kprintf("%8lu %9lu %9lu %7lu %7lu %5lx\n", (unsigned long)stats.mapped,
			(unsigned long)stats.resident, (unsigned long)stats.resident_anonymous,
			(unsigned long)stats.tables, (unsigned long)space->regions.tree.nr,
			(unsigned long)space->users.cpus);
	}
	mutex_unlock(&spaces_lock);
	space_get_totals(&stats);
	print_events(&stats);
	kprintf("page cache: %lu pages\n", (unsigned long)page_cache_total());
}
CONSOLE_COMMAND(spaces, "spaces", "", "address spaces, and page faults so far", spaces);

/* heapguard PID on|off */
static void
heapguard(int argc, char **argv)
{
	uint64_t pid;
	bool on;

	if (argc != 3 || parse_u64(argv[1], &pid) != 0 || pid > INT32_MAX ||
	    (strcmp(argv[2], "on") != 0 && strcmp(argv[2], "off") != 0)) {
		kprintf("usage: heapguard PID on|off\n");
		return;
	}
	on = strcmp(argv[2], "on") == 0;
	if ((on ? enable_heap_protection : disable_heap_protection)((int)pid) != 0)
		kprintf("heapguard: there is no process %lu\n", (unsigned long)pid);
}
CONSOLE_COMMAND(heapguard, "heapguard", "PID on|off", "gaps beside mappings of a process's heap",
		heapguard);
