/* SPDX-License-Identifier: MIT */
/* What the files about several CPUs share; private to kernel/x86_64. */
#ifndef X86_IPI_H
#define X86_IPI_H

#include <types.h>

/*
 * The page below 1 MiB where APs start. kernel_main() keeps it out of the free memory.
 */
#define TRAMPOLINE_PAGE 0x8000

/* Take the vectors of interrupts between CPUs. */
void ipi_init(void);

/* Has another CPU told all others to halt? */
bool smp_stopping(void);

/* Halt this CPU for good; the one that stops it waits for this. Callable from an NMI. */
_Noreturn void smp_halt(void);

/* Bytes of one CPU's per-CPU variables, and the set-up of a CPU's copy. percpu.c. */
size_t percpu_size(void);
void percpu_set_area(unsigned cpu, void *area);
void *percpu_area(unsigned cpu);

#endif
