/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU variables.
 *
 * The linker gathers them in one section. The boot CPU uses the section itself; each
 * other CPU gets a copy at a distance, percpu_offset[cpu], that every access adds:
 *
 *	__percpu_start ... __percpu_end            CPU 0, offset 0
 *	        copy of all of it                  CPU 1, offset = copy - __percpu_start
 *
 * The copy is made while the boot CPU has not yet written any of its variables that must
 * begin with their initial value: early, in smp_prepare().
 */
#include <percpu.h>
#include <string.h>

#include <arch/thread.h>

#include "ipi.h"
#include "x86.h"

_Static_assert(offsetof(struct arch_cpu, percpu_offset) == ARCH_CPU_PERCPU_OFFSET, "arch/cpu.h");
_Static_assert(offsetof(struct arch_cpu, id) == ARCH_CPU_ID, "arch/cpu.h");
_Static_assert(offsetof(struct arch_cpu, current) == ARCH_CPU_CURRENT, "arch/thread.h");

extern char __percpu_start[], __percpu_end[];

uintptr_t percpu_offset[MAX_CPUS]; /* (c) once nr_cpus counts the CPU */
unsigned nr_cpus = 1;		   /* (c) after smp_start() */

size_t
percpu_size(void)
{
	return (size_t)(__percpu_end - __percpu_start);
}

void
percpu_set_area(unsigned cpu, void *area)
{
	memcpy(area, __percpu_start, percpu_size());
	percpu_offset[cpu] = (uintptr_t)area - (uintptr_t)__percpu_start;
	arch_cpus[cpu].percpu_offset = percpu_offset[cpu];
}

void *
percpu_area(unsigned cpu)
{
	return __percpu_start + percpu_offset[cpu];
}
