/* SPDX-License-Identifier: MIT */
/* What the console shows of address spaces: spaces. */
#include <console.h>
#include <page_cache.h>
#include <printk.h>

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
