/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs: bringing them up, asking one to do something, stopping them.
 *
 * smp_call() and tlb_shootdown() wait for other CPUs. Both may be called with interrupts
 * off, but never with a spin lock held (debug builds check): another CPU may be waiting
 * for that lock with interrupts off and could not answer.
 */
#ifndef IKOS_SMP_H
#define IKOS_SMP_H

#include <types.h>

/*
 * Count the CPUs that ACPI lists and take their per-CPU areas and stacks from the boot
 * allocator. After acpi_init() and kernel_map_init(), before boot_alloc_finish().
 */
void smp_prepare(void);

/*
 * Start the other CPUs; those that answer run the scheduler and are counted in nr_cpus,
 * those that do not are reported and left out. After sched_init().
 */
void smp_start(void);

/* The stack, by its top, that smp_prepare() took for the idle thread of a CPU. */
uintptr_t smp_idle_stack(unsigned cpu);

/* Interrupt a CPU so that it calls sched_preempt(). Does not wait. */
void smp_reschedule(unsigned cpu);

/* Run fn(arg) on a CPU, this one included, with interrupts off there, and wait for it. */
void smp_call(unsigned cpu, void (*fn)(void *), void *arg);

/*
 * Make every CPU, this one included, forget its translations of [start, end), and wait
 * until all have. Above 32 pages a CPU forgets all of its translations.
 */
void tlb_shootdown(uintptr_t start, uintptr_t end);

/*
 * The same for the CPUs that use some tables and for single pages, of programs only; pages NULL, or
 * more than 32, stands for all of them.
 */
struct mmu_users;
void tlb_shootdown_pages(struct mmu_users *users, const uintptr_t *pages, unsigned nr);

/* Use the tables below root on this CPU; users: NULL if they are the kernel's own. */
void tlb_load(paddr_t root, const struct mmu_users *users);

/*
 * For panic(): halt all other CPUs, by NMI, so that even one with interrupts off stops.
 * If another CPU is doing the same already, this one halts and the call does not return.
 */
void smp_stop_others(void);

#endif
