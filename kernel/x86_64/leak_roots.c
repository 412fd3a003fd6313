/* SPDX-License-Identifier: MIT */
/*
 * Roots of the leak detector: the kernel's variables. Of the boot CPU's stacks, which lie among
 * them, only what is in use counts: see kernel/proc/leak_roots.c.
 */
#include <leak_roots.h>

#include "ipi.h"
#include "x86.h"

static void
each_variable(leak_scan_fn *scan)
{
	struct stack_area boot = kstack_boot_area();

	scan(data_start, (const void *)boot.start);
	scan((const void *)boot.end, data_end);
	for (unsigned cpu = 1; cpu < nr_cpus; cpu++) {
		const char *area = (const char *)percpu_area(cpu);

		scan(area, area + percpu_size());
	}
}
LEAK_ROOTS(variables, each_variable);
